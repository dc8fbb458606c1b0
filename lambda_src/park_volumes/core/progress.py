"""How far a start or a parking is: its step, how many disks are done with it, and the time left where facts tell it."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Any, assert_never

from park_volumes.core.due import THAWING
from park_volumes.core.facts import Observation, SnapshotRecord, VolumeInTransit
from park_volumes.core.phase import Phase, next_try, phase_of
from park_volumes.core.settings import Settings

PERCENT = re.compile("([0-9]{1,2})%?")


class ProgressStep(StrEnum):
    """What is being done now. The first three belong to a parking, the others to a start."""

    COPYING = "copying"
    """EC2 copies the disks to snapshots."""
    HOLDING = "holding"
    """The copies are complete; nothing is deleted before one lock period is over."""
    REMOVING = "removing"
    """The volumes are deleted."""
    WAITING = "waiting"
    """EC2 has no capacity, or an earlier parking is being finished first."""
    THAWING = "thawing"
    """Its snapshots come back from the archive tier."""
    MAKING = "making"
    """Volumes are made from the snapshots."""
    ATTACHING = "attaching"
    BOOTING = "booting"
    """All of its disks are back, and EC2 starts it."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """``done`` of ``disks`` are done with this step. ``seconds_left`` is until the step is over, at most, or until the
    next try; None if nothing tells."""

    step: ProgressStep
    done: int
    disks: int
    seconds_left: int | None = None

    def shown(self) -> dict[str, Any]:
        return asdict(self)


def of_start(seen: Observation, settings: Settings, now: datetime) -> Progress:
    """How far a start is that was asked for."""
    disks, phase = _disks(seen), phase_of(seen)
    if again := next_try(seen, settings, now):
        return Progress(step=ProgressStep.WAITING, done=0, disks=disks, seconds_left=_seconds(again - now))
    match phase:
        case Phase.COMMITTED:
            return Progress(step=ProgressStep.WAITING, done=0, disks=disks)
        case Phase.PARKED | Phase.BROKEN:
            return _thawing(seen, now) or Progress(step=ProgressStep.MAKING, done=0, disks=disks)
        case Phase.RESTORING:
            volumes = made(seen)
            if len(volumes) < disks:
                return Progress(step=ProgressStep.MAKING, done=len(volumes), disks=disks)
            return Progress(step=ProgressStep.ATTACHING, done=attached(volumes), disks=disks)
        case Phase.LOCK_VOID | Phase.LOCKED:
            return Progress(step=ProgressStep.ATTACHING, done=min(attached(seen.originals), disks), disks=disks)
        case Phase.WHOLE | Phase.CHANGING | Phase.RUNNING | Phase.ENDED:
            return Progress(step=ProgressStep.BOOTING, done=disks, disks=disks)
        case _:
            assert_never(phase)


def of_parking(seen: Observation, settings: Settings, now: datetime) -> Progress:
    """How far an instance is that is on its way to being parked."""
    phase, root = phase_of(seen), seen.marked_root
    match phase:
        case Phase.WHOLE:
            return _copying(seen, now)
        case Phase.LOCKED | Phase.LOCK_VOID if root:
            left = _seconds(root.mark.at + settings.lock_period - now)
            return Progress(step=ProgressStep.HOLDING, done=0, disks=_disks(seen), seconds_left=left)
        case (
            Phase.LOCKED
            | Phase.LOCK_VOID
            | Phase.COMMITTED
            | Phase.RESTORING
            | Phase.PARKED
            | Phase.BROKEN
            | Phase.ENDED
            | Phase.CHANGING
            | Phase.RUNNING
        ):
            return _removing(seen)
        case _:
            assert_never(phase)


def _removing(seen: Observation) -> Progress:
    disks, there = _disks(seen), len(seen.left_of(seen.generation)) if seen.generation else 0
    return Progress(step=ProgressStep.REMOVING, done=max(0, disks - there), disks=disks)


def _disks(seen: Observation) -> int:
    """How many disks are, or will be, parked."""
    return len(seen.generation.parts) if seen.generation else _copies(seen)[0]


def made(seen: Observation) -> list[VolumeInTransit]:
    """The restored volumes that EC2 has finished creating."""
    return [v for v in seen.restored if v.state in ("available", "in-use")]


def attached(volumes: Iterable[VolumeInTransit]) -> int:
    """How many of these EC2 has finished attaching."""
    return sum(v.attachment is not None and v.attachment.state == "attached" for v in volumes)


def _copies(seen: Observation) -> tuple[int, list[SnapshotRecord]]:
    """How many disks are copied, and the newest snapshot of each of which one has begun."""
    in_order = sorted(seen.of_this_stop, key=lambda r: r.order)
    if not in_order:
        return len(seen.attached), []
    last = in_order[-1]
    return last.parts, list({r.part: r for r in in_order if r.generation == last.generation}.values())


def _copying(seen: Observation, now: datetime) -> Progress:
    """The time left if each copy goes on as fast as so far; unknown while one has shown no progress."""
    disks, copies = _copies(seen)
    left = [_copy_left(r, now) for r in copies if r.state == "pending"]
    known = [seconds for seconds in left if seconds is not None]
    tells = known and len(known) == len(left) and len(copies) == disks
    done = sum(r.state == "completed" for r in copies)
    return Progress(step=ProgressStep.COPYING, done=done, disks=disks, seconds_left=max(known) if tells else None)


def _copy_left(copy: SnapshotRecord, now: datetime) -> int | None:
    read = PERCENT.fullmatch(copy.progress)
    percent = int(read[1]) if read else 0
    return _seconds((now - copy.started) * (100 - percent) / percent) if percent else None


def _thawing(seen: Observation, now: datetime) -> Progress | None:
    """While snapshots are in the archive tier. EC2 needs up to three days from the request on."""
    parts = seen.complete_generation.parts if seen.complete_generation else ()
    away = [r for r in parts if r.archived]
    if not away:
        return None
    since = [seen.since[r.snapshot_id] for r in away if r.snapshot_id in seen.since]
    left = _seconds(max(since, default=now) + THAWING - now)
    return Progress(step=ProgressStep.THAWING, done=len(parts) - len(away), disks=len(parts), seconds_left=left)


def _seconds(left: timedelta) -> int:
    return max(0, ceil(left.total_seconds()))
