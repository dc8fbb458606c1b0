"""What people are told about an instance: its state in a word, the reason in a sentence, and each of its devices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from park_volumes.decide.observe import observed
from park_volumes.decide.park import park
from park_volumes.decide.situation import fell_back, given_up, next_try, root_detached, start_pending, taken_back
from park_volumes.decide.start import start
from park_volumes.model import Outcome, Record, Seen, Settings, Volume

STUCK = (Outcome.REFUSED, Outcome.OBSERVED)
"""What does not go on by itself."""


def status(seen: Seen, settings: Settings, now: datetime) -> dict[str, Any]:
    """An instance as the API shows it. ``state`` is one of EC2's, or parking, parked, starting, needs attention."""
    state, detail = _state(seen, settings, now)
    instance, devices = seen.instance, _devices(seen)
    return {
        "id": instance.id,
        "name": instance.name,
        "state": state,
        "detail": detail,
        "address": instance.address if state == "running" else "",
        "size_gib": sum(d["size_gib"] for d in devices),
        "devices": devices,
    }


def _state(seen: Seen, settings: Settings, now: datetime) -> tuple[str, str]:
    instance = seen.instance
    if instance.state != "stopped":
        reason = observed(park(seen, settings, now), seen, settings).reason
        return ("starting" if instance.state == "pending" else instance.state), reason
    if next_try(seen, settings, now):
        return "starting", start(seen, settings, now, asked=False).reason
    if fell_back(seen, settings):
        return "needs attention", taken_back(seen)
    to_start = observed(start(seen, settings, now, asked=True), seen, settings)
    to_park = observed(park(seen, settings, now), seen, settings)
    if start_pending(seen, settings, now):
        return ("needs attention" if to_start.outcome in STUCK else "starting"), to_start.reason
    if not root_detached(seen):
        return ("parking" if to_park.outcome == Outcome.GOING_ON else "stopped"), to_park.reason
    if to_park.outcome in STUCK:
        return "needs attention", to_park.reason
    if to_start.outcome is Outcome.REFUSED:
        return "needs attention", to_start.reason
    return ("parking" if to_park.outcome == Outcome.GOING_ON else "parked"), to_park.reason


def _devices(seen: Seen) -> list[dict[str, Any]]:
    """Every device of the instance, in order: its volume while one is there, and the snapshot with its content."""
    instance = seen.instance
    generation = given_up(seen)
    current = generation.parts if generation else ()
    of_this_stop = {r.device: r for r in seen.records if r.launch_time == instance.launch_time}
    latest = of_this_stop | {r.device: r for r in current}
    attached = {a.device: v for v in seen.volumes if (a := v.attached_to(instance.id))}
    return [_device(d, held, latest.get(d)) for d, held in sorted((latest | attached).items())]


def _device(device: str, held: Volume | Record, record: Record | None) -> dict[str, Any]:
    """One device: what holds its content, which is its volume where one is attached, and its snapshot if any."""
    volume = held if isinstance(held, Volume) else None
    return {
        "device": device,
        "volume_id": volume.id if volume else None,
        "snapshot_id": record.snapshot_id if record else None,
        "size_gib": held.size,
        "type": held.type,
        "state": "attached" if volume else "archived" if record and record.archived else "parked",
        "progress": record.progress if record and record.state == "pending" else None,
    }
