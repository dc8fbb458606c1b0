"""What people see of an instance: its state in a word, the reason in a sentence, and each of its devices."""

from datetime import datetime
from typing import Any, assert_never

from park_volumes.core import loading, progress
from park_volumes.core.facts import Instance, Observation, SnapshotRecord, Volume
from park_volumes.core.overdue import Overdue, due_by, overdue
from park_volumes.core.park import park
from park_volumes.core.phase import WITHOUT_ROOT, Phase, Request, phase_of, request_of, reverted_message
from park_volumes.core.refusals import apply_observe_only
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import Decision, Outcome

NEEDS_ATTENTION = "needs attention"
STARTING, PARKING, PARKED = "starting", "parking", "parked"


def status(seen: Observation, settings: Settings, now: datetime) -> dict[str, Any]:
    """An instance as the API shows it. ``state`` is one of EC2's, or parking, parked, starting, needs attention."""
    state, detail = _state(seen.undamaged, settings, now)
    if seen.damaged:
        state = NEEDS_ATTENTION if phase_of(seen) in WITHOUT_ROOT else state
        detail = f"{detail} {seen.damage}"
    if seen.instance.state == "running":
        detail = " ".join(filter(None, (detail, loading.in_words(seen, now))))
    instance, devices = seen.instance, _devices(seen, now)
    address = instance.address if state == "running" else ""
    return {
        "id": instance.id,
        "name": instance.name,
        "state": state,
        "detail": detail,
        "address": address,
        "link": link(address, settings),
        "size_gib": sum(d["size_gib"] for d in devices),
        "progress": _progress(state, seen.undamaged, settings, now),
        "devices": devices,
    }


def starting(seen: Observation, detail: str, settings: Settings, now: datetime) -> dict[str, Any]:
    """What ``status`` says otherwise of an instance whose start has just been accepted."""
    return {"state": STARTING, "detail": detail, "progress": progress.of_start(seen, settings, now).shown()}


def link(address: str, settings: Settings) -> str:
    """The address as people can open it; empty if the deployment names no protocol."""
    host = f"[{address}]" if ":" in address else address
    return f"{settings.address_protocol}://{host}" if address and settings.address_protocol else ""


def _progress(state: str, seen: Observation, settings: Settings, now: datetime) -> dict[str, Any] | None:
    if state == STARTING:
        return progress.of_start(seen, settings, now).shown()
    return progress.of_parking(seen, settings, now).shown() if state == PARKING else None


def no_status(instance: Instance, why: str) -> dict[str, Any]:
    """The same for an instance of which only the reason is known why it cannot be shown."""
    return {
        "id": instance.id,
        "name": instance.name,
        "state": NEEDS_ATTENTION,
        "detail": why,
        "address": "",
        "link": "",
        "size_gib": 0,
        "progress": None,
        "devices": [],
    }


def _state(seen: Observation, settings: Settings, now: datetime) -> tuple[str, str]:
    phase, state = phase_of(seen), seen.instance.state
    to_park = apply_observe_only(park(seen, settings, now), seen, settings)
    if late := overdue(seen, to_park, settings, now) or _thaws_too_long(seen, settings, now):
        return NEEDS_ATTENTION, f"{late.what} {late.remedy}"
    match phase:
        case Phase.ENDED | Phase.CHANGING | Phase.RUNNING:
            return (STARTING if state == "pending" else state), to_park.reason
        case Phase.WHOLE:
            word = PARKING if to_park.outcome is Outcome.GOING_ON else state
            return _asked_for(seen, settings, now) or (word, to_park.reason)
        case Phase.LOCK_VOID | Phase.LOCKED | Phase.COMMITTED:
            word = PARKING
        case Phase.RESTORING | Phase.PARKED | Phase.BROKEN:
            word = PARKED
        case _:
            assert_never(phase)
    return _asked_for(seen, settings, now) or _at_rest(word, to_park, seen, settings, now)


def _thaws_too_long(seen: Observation, settings: Settings, now: datetime) -> Overdue | None:
    """While it is parked only a start is on its way: its snapshots come back from the archive."""
    if phase_of(seen) is not Phase.PARKED or due_by(seen, settings, now) is None:
        return None
    return overdue(seen, start(seen, settings, now, intent=Intent.SWEEP), settings, now)


def _asked_for(seen: Observation, settings: Settings, now: datetime) -> tuple[str, str] | None:
    """The state of a stopped instance with a start request; None if none is remembered."""
    request = request_of(seen, settings, now)
    match request:
        case Request.NONE:
            return None
        case Request.AWAITING_CAPACITY:
            return STARTING, start(seen, settings, now, intent=Intent.SWEEP).reason
        case Request.REVERTED:
            return NEEDS_ATTENTION, reverted_message(seen)
        case Request.UNDER_WAY | Request.PENDING:
            to_start = _to_start(seen, settings, now)
            stuck = _is_stuck(to_start)
            return (NEEDS_ATTENTION if stuck else STARTING), to_start.reason + ("" if stuck else _how_far(seen))
        case _:
            assert_never(request)


def _how_far(seen: Observation) -> str:
    """How far a restoration is, as a sentence with a space before it."""
    if phase_of(seen) is not Phase.RESTORING:
        return ""
    made = progress.made(seen)
    return f" Volumes created: {len(made)} of {len(seen.given_up.parts)}; attached: {progress.attached(made)}."


def _at_rest(word: str, to_park: Decision, seen: Observation, settings: Settings, now: datetime) -> tuple[str, str]:
    """The state of an instance without a root volume and without a start request: it needs attention if one of the
    sides would refuse to continue."""
    if _is_stuck(to_park):
        return NEEDS_ATTENTION, to_park.reason
    to_start = _to_start(seen, settings, now)
    if to_start.outcome is Outcome.REFUSED:
        return NEEDS_ATTENTION, to_start.reason
    return word, to_park.reason


def _to_start(seen: Observation, settings: Settings, now: datetime) -> Decision:
    return apply_observe_only(start(seen, settings, now, intent=Intent.START), seen, settings)


def _is_stuck(decision: Decision) -> bool:
    """Whether it does not continue by itself."""
    return decision.outcome in (Outcome.REFUSED, Outcome.OBSERVED)


def _devices(seen: Observation, now: datetime) -> list[dict[str, Any]]:
    """Every device of the instance, in order: its volume, if there is one, and the snapshot with its content."""
    generation = seen.generation
    current = generation.parts if generation else ()
    taken = sorted(seen.of_this_stop, key=lambda r: (r.state != "error", r.order))
    latest = {r.device: r for r in (*taken, *current)}
    attached = {a.device: v for v, a in seen.attached}
    every = sorted((latest | attached).items())
    return [_device(d, held, latest.get(d)) | {"loading": _loading(held, seen, now)} for d, held in every]


def _loading(held: Volume | SnapshotRecord, seen: Observation, now: datetime) -> dict[str, int | None] | None:
    if not isinstance(held, Volume) or held.id not in seen.loading:
        return None
    found = seen.loading[held.id]
    return {"percent": found.percent, "seconds_left": loading.seconds_left(held, found, now)}


def _device(device: str, held: Volume | SnapshotRecord, record: SnapshotRecord | None) -> dict[str, Any]:
    """One device. ``held`` is what holds its content: its volume if one is attached, otherwise its snapshot."""
    volume = held if isinstance(held, Volume) else None
    return {
        "device": device,
        "volume_id": volume.id if volume else None,
        "snapshot_id": record.snapshot_id if record else None,
        "size_gib": held.spec.size,
        "type": held.spec.type,
        "state": "attached" if volume else "archived" if record and record.archived else "parked",
        "progress": (record.progress or "0%") if record and record.state == "pending" else None,
    }
