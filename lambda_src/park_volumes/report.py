"""What is told of a pass, once: an instance was parked, started, refused, failed, or left snapshots behind.

The pass that reaches something tells it: the one that deletes the last volume, the one that settles what came back.
What lasts, a refusal or an error, is told by the pass that a person or an event brought about and, as long as it lasts,
once a day; the sweeps between find it every few minutes and are silent. ``docs/events.md`` has the words and fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from park_volumes.decide.orphans import GONE, TERMINATED
from park_volumes.decide.situation import (
    CAPACITY,
    asked_to_start,
    fell_back,
    given_up,
    last_request,
    marked,
    root_detached,
    start_pending,
    taken_back,
)
from park_volumes.ec2 import NO_CAPACITY
from park_volumes.model import DeleteVolume, Outcome, Record, RememberTermination, Seen, Settings, UnmarkVolumes
from park_volumes.prices import Savings, savings, total
from park_volumes.reconcile import Result

AGAIN = "Nothing is lost, and it is tried again by itself. The log of the function has every step."
NOTHING = "Nothing is to be done."
ORPHANS = (
    "They are kept and cost what snapshots cost. If nobody needs them: aws ec2 unlock-snapshot, then aws ec2 "
    "delete-snapshot, for each."
)
SHORT_OF_CAPACITY = "It is tried again for an hour, with growing delays. Another instance type may start at once."
OTHER_CAUSE = (
    "Its volumes are attached, cost what they did, and are not parked again. Often the cause is a KMS key: its policy "
    "must let the role of the start function create grants. Then start it again."
)

AT_ONCE = timedelta(minutes=4)
"""A launch within this time after the request is the first one that was tried."""


class Kind(StrEnum):
    """The detail-type of the event."""

    PARKED = "Instance Parked"
    STARTED = "Instance Started"
    PARKING_REFUSED = "Parking Refused"
    PARKING_FAILED = "Parking Failed"
    START_REFUSED = "Start Refused"
    START_FAILED = "Start Failed"
    ORPHANED = "Snapshots Orphaned"


@dataclass(frozen=True, kw_only=True)
class Report:
    """One thing that happened to one instance, and what its owner may want to do about it.

    ``gib`` is the size of the volumes that were parked or restored, ``seconds`` how long it took, ``saves`` what it
    saves in USD a month, less than nothing where snapshots are dearer. None where unknown.
    """

    kind: Kind
    seen: Seen
    what: str
    advice: str
    snapshot_ids: tuple[str, ...] = ()
    gib: int | None = None
    seconds: float | None = None
    saves: float | None = None


def of_parking(result: Result, settings: Settings, now: datetime, *, telling: bool) -> Report | None:
    """What the park side tells of a pass; with ``telling`` also what lasts."""
    seen, decision = result.seen, result.decision
    if result.finished and (parts := _given_up_now(result)):
        return _parked(seen, parts, settings, now)
    if result.finished and any(isinstance(s, RememberTermination) for stage in decision.steps for s in stage):
        ids = tuple(r.snapshot_id for r in seen.records)
        return Report(kind=Kind.ORPHANED, seen=seen, what=decision.reason, advice=ORPHANS, snapshot_ids=ids)
    if not telling:
        return None
    if result.error:
        return Report(kind=Kind.PARKING_FAILED, seen=seen, what=result.error, advice=AGAIN)
    if fell_back(seen, settings):
        return _fell_back(seen, settings)
    if decision.outcome is Outcome.REFUSED:
        return _not_parked(seen, decision.reason, settings)
    if failed := [r.device for r in seen.records if r.state == "error" and r.launch_time == seen.instance.launch_time]:
        what = f"A snapshot of {', '.join(failed)} failed. {decision.reason}"
        return Report(kind=Kind.PARKING_FAILED, seen=seen, what=what, advice=AGAIN)
    return None


def of_start(result: Result, settings: Settings, now: datetime, *, asked: bool, telling: bool) -> Report | None:
    """What the start side tells of a pass, which somebody ``asked`` for or not; with ``telling`` also what lasts."""
    seen, decision = result.seen, result.decision
    steps = [step for stage in decision.steps for step in stage]
    if result.finished and seen.instance.state == "running" and any(isinstance(s, UnmarkVolumes) for s in steps):
        return _started(seen, settings)
    if not telling:
        return None
    if result.error:
        advice = SHORT_OF_CAPACITY if NO_CAPACITY in result.error else AGAIN
        return Report(kind=Kind.START_FAILED, seen=seen, what=result.error, advice=advice)
    wanted = asked or start_pending(seen, settings, now)
    if wanted and decision.outcome is Outcome.REFUSED and seen.instance.state == "stopped":
        return Report(kind=Kind.START_REFUSED, seen=seen, what=decision.reason, advice="Put that right, and ask again.")
    return None


def _given_up_now(result: Result) -> tuple[Record, ...]:
    """The records of the volumes of which this pass deleted all that was left; none where it did not."""
    generation = given_up(result.seen)
    if generation is None or generation.missing:
        return ()
    named = {r.volume_id for r in generation.parts}
    left = {v.id for v in result.seen.volumes if v.id in named and v.state != "deleting"}
    steps = (step for stage in result.decision.steps for step in stage)
    deleted = {s.volume_id for s in steps if isinstance(s, DeleteVolume)}
    return generation.parts if left and left <= deleted else ()


def _parked(seen: Seen, parts: Sequence[Record], settings: Settings, now: datetime) -> Report:
    gib = sum(r.size for r in parts)
    volumes = "its volume" if len(parts) == 1 else f"its {len(parts)} volumes"
    money = _without_volumes(seen, settings)
    return Report(
        kind=Kind.PARKED,
        seen=seen,
        what=f"{seen.instance.id} is parked: {volumes} ({gib} GiB) became snapshots.{_in_words(money)}",
        advice=f"{NOTHING} Start it as you always have, or at the Function URL.",
        snapshot_ids=tuple(r.snapshot_id for r in parts),
        gib=gib,
        seconds=(now - min(r.started for r in parts)).total_seconds(),
        saves=money.saved,
    )


def _without_volumes(seen: Seen, settings: Settings) -> Savings:
    """What parking saves, going by the records alone: of the volumes that are left none was parked."""
    return savings(replace(seen, volumes=()), settings.prices)


def _in_words(money: Savings) -> str:
    """A sentence about the price, with a space before it; empty where it is not known."""
    if money.saved is None:
        return ""
    if money.saved < 0:
        return f" Snapshots cost {'up to ' if money.at_most else ''}{-money.saved:.2f} USD a month more than volumes."
    return f" This saves {'at least ' if money.at_most else ''}{money.saved:.2f} USD a month."


def _started(seen: Seen, settings: Settings) -> Report:
    back = marked(seen)
    asked = asked_to_start(seen, settings)
    restored = all(m.restored for m in back)
    how = "restored from its snapshots" if restored else "put back"
    gib = sum(m.volume.size for m in back)
    return Report(
        kind=Kind.STARTED,
        seen=seen,
        what=f"{seen.instance.id} runs: {len(back)} volumes ({gib} GiB) were {how}.",
        advice=f"{NOTHING} Restored volumes are slower until each block was read once." if restored else NOTHING,
        snapshot_ids=tuple(m.place.snapshot_id for m in back),
        gib=gib,
        seconds=(seen.instance.launch_time - asked).total_seconds() if asked else None,
    )


def _fell_back(seen: Seen, settings: Settings) -> Report | None:
    """That EC2 took a start back. Of one that is tried again and again for want of capacity, the first time is told."""
    instance = seen.instance
    asked = asked_to_start(seen, settings)
    short = instance.state_reason == CAPACITY
    if short and asked and instance.launch_time - asked > AT_ONCE:
        return None
    advice = SHORT_OF_CAPACITY if short else OTHER_CAUSE
    return Report(kind=Kind.START_FAILED, seen=seen, what=taken_back(seen), advice=advice)


def _not_parked(seen: Seen, reason: str, settings: Settings) -> Report:
    """A refusal: of one that runs, that its snapshots are left behind; of one that stopped, that it goes on costing."""
    if seen.instance.state == "running":
        ids = tuple(r.snapshot_id for r in seen.records)
        return Report(kind=Kind.ORPHANED, seen=seen, what=reason, advice=ORPHANS, snapshot_ids=ids)
    if root_detached(seen):
        advice = "All volumes and snapshots that there are were kept. Put that right, or start it."
    else:
        key = settings.opt_in_tag_key
        advice = f"Its volumes cost what they did. Put that right, or take the tag {key} off the instance."
    return Report(kind=Kind.PARKING_REFUSED, seen=seen, what=reason, advice=advice)


# What a sweep can tell of the fleet as a whole.


MONTHLY = "ParkVolumes: what parking saves"
"""The subject of the message of the month."""


def of_the_month(fleet: Iterable[Seen], settings: Settings) -> str:
    """What is parked and what that saves, in a few words."""
    every = [s for s in fleet if s.instance.state not in (TERMINATED, GONE)]
    parked = [s for s in every if _parked_gib(s)]
    gib = sum(_parked_gib(s) for s in parked)
    money = _in_words(total(_without_volumes(s, settings) for s in parked)) or " What this saves is not known here."
    words = f"{len(parked)} of {len(every)} opted-in instances are parked, with volumes of {gib:,} GiB.{money}"
    return f"{words}\nGET /savings at the Function URL has it for each instance."


def gauges(fleet: Iterable[Seen], settings: Settings, now: datetime) -> Mapping[str, float]:
    """The size in GiB of all that is parked, and what that saves in USD a month, where prices are known; the age in
    seconds of the oldest transit and the oldest undone start."""
    every = [s for s in fleet if s.instance.state not in (TERMINATED, GONE)]
    parked = [s for s in every if _parked_gib(s)]
    saved = total(_without_volumes(s, settings) for s in parked).saved
    oldest_transit = min((t for s in every if (t := _in_transit_since(s))), default=now)
    oldest_start = min((t for s in every if (t := _unfinished_start(s, settings, now))), default=now)
    return {
        "ParkedGiB": sum(_parked_gib(s) for s in parked),
        "TransitAge": (now - oldest_transit).total_seconds(),
        "StartAge": (now - oldest_start).total_seconds(),
    } | ({} if saved is None else {"MonthlySaving": saved})


def _parked_gib(seen: Seen) -> int:
    generation = given_up(seen)
    if generation is None or not root_detached(seen):
        return 0
    there = {v.id for v in seen.volumes}
    return sum(r.size for r in generation.parts if r.volume_id not in there)


def _in_transit_since(seen: Seen) -> datetime | None:
    """Since when the volume that is longest on its way has been: an original since its mark, a restored one since the
    request for it, for it is born with the mark of the parking."""
    originals = [m.mark.at for m in marked(seen) if not m.restored]
    requests = [r.start_requested for r in seen.records if r.start_requested]
    restored = [max(requests)] if requests and any(m.restored for m in marked(seen)) else []
    return min(originals + restored, default=None)


def _unfinished_start(seen: Seen, settings: Settings, now: datetime) -> datetime | None:
    """When the start was asked for that has not led to a running instance, for as long as it is remembered."""
    under_way = seen.instance.state == "pending" or fell_back(seen, settings)
    at = asked_to_start(seen, settings) if under_way else last_request(seen)
    return at if at and seen.instance.state in ("pending", "stopped") and now < at + settings.start_hold else None
