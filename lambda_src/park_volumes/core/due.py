"""By when what is on its way should be over: one function for each phase that can be. ``PHASES`` names them.

EC2 promises no times. These are generous: what takes longer is not slow but stuck, and somebody should look at it. All
of them begin with a time that EC2 or a tag of ours tells; what began at no known time is not waited for in vain."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from park_volumes.core.facts import NEVER, Observation, Volume
from park_volumes.core.settings import Settings

PATIENCE = timedelta(hours=1)
"""For what EC2 does in seconds or minutes, such as attaching a volume; and a sweep may come only once an hour."""
PER_GIB = timedelta(seconds=36)
"""For each GiB that EC2 copies for a snapshot or a modification: 100 GiB an hour, a few times slower than it is."""
THAWING = timedelta(hours=72)
"""The longest time that a snapshot takes to come back from the archive tier (Amazon EBS User Guide)."""

Due = Callable[[Observation, Settings], datetime | None]
"""By when a phase should be over; None if nothing is on its way in it, or nobody knows since when."""


def never(_seen: Observation, _settings: Settings) -> None:
    return None


def changing(seen: Observation, _settings: Settings) -> datetime | None:
    since = seen.instance.launch_time if seen.instance.state == "pending" else seen.instance.stopped_at
    return since + PATIENCE if since else None


def settling(seen: Observation, settings: Settings) -> datetime | None:
    """While it runs: until the volumes that came back are settled."""
    if not seen.in_transit:
        return None
    attached = [v.attachment.attach_time for v in seen.in_transit if v.attachment]
    return max([seen.instance.launch_time, *attached]) + settings.settle_period + PATIENCE


def copying(seen: Observation, settings: Settings) -> datetime:
    """From the stop, the last attachment or the last snapshot until the root volume is detached. A snapshot that failed
    does not count: the next one takes its place."""
    taken = [r.started for r in seen.of_this_stop if r.state != "error"]
    stop = seen.instance.stopped_at or seen.instance.launch_time
    since = max(stop, *(a.attach_time for _, a in seen.attached), *taken, NEVER)
    takes = _takes(v for v, _ in seen.attached) if seen.descriptions_agree else timedelta(0)
    return _with_others(seen, since + settings.grace_period + settings.quiet_period + takes + PATIENCE)


def locked(seen: Observation, settings: Settings) -> datetime | None:
    """Until the root volume is deleted, or put back."""
    root = seen.marked_root
    return _with_others(seen, root.mark.at + settings.lock_period + PATIENCE) if root else None


def dismantling(seen: Observation, settings: Settings) -> datetime:
    """Until the last volume is deleted. One that was changed meanwhile has another snapshot taken first."""
    generation = seen.given_up
    taken = max(r.started for r in (*generation.parts, *seen.of_this_stop) if r.state != "error")
    since = max(generation.confirmed_at, taken) + settings.lock_period + PATIENCE
    return _with_others(seen, since + _takes(v.volume for v in seen.originals))


def restoring(seen: Observation, settings: Settings) -> datetime:
    """Until the root volume is attached. EC2 may load a volume with a rate before it can be attached."""
    usable = [v.volume for v in seen.restored if v.state != "error"]
    created = max((v.created for v in usable), default=NEVER)
    largest = max((v.spec.size for v in usable), default=0)
    rate = settings.volume_initialization_rate
    loading = timedelta(seconds=largest * 1024 / rate) if rate else timedelta(0)
    return max(created, seen.instance.launch_time) + loading + PATIENCE


def thawing(seen: Observation, _settings: Settings) -> datetime | None:
    """While it is parked: until its snapshots are back from the archive, if that has begun."""
    parts = seen.complete_generation.parts if seen.complete_generation else ()
    moving = [seen.since[r.snapshot_id] for r in parts if r.archived and r.snapshot_id in seen.since]
    return max(moving) + THAWING + PATIENCE if moving else None


def _takes(volumes: Iterable[Volume]) -> timedelta:
    """How long the snapshot of the largest one may take; they are taken at once."""
    return max((v.spec.size for v in volumes), default=0) * PER_GIB


def _with_others(seen: Observation, due: datetime) -> datetime:
    """Or by when others should be done who modify or copy one of the volumes."""
    theirs = [(v, seen.since[v.id]) for v in seen.volumes if v.id in seen.since]
    return max([due, *(since + _takes([v]) + PATIENCE for v, since in theirs)])
