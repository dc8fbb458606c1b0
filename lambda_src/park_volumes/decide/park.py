"""What the park side does about one instance: copy, lock, dismantle; and discard what is superseded.

The order, and the reason for it, is in docs/safety.md. In short: no volume is given up before every volume of the
attempt has a completed and locked snapshot; detaching the root volume is the lock, because EC2 starts no instance
without one; deleting the root volume is the commit, because a start either puts that very volume back or finds it gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from park_volumes import records
from park_volumes.decide.archive import archive
from park_volumes.decide.orphans import GONE, TERMINATED, orphans
from park_volumes.decide.refusals import dearer, refusal
from park_volumes.decide.situation import (
    BY_HAND,
    Generation,
    Marked,
    attached,
    displaced,
    given_up,
    held_up,
    marked,
    opted_in,
    root_detached,
    root_in_transit,
    settled,
    start_pending,
    unconfirmed,
    without_some,
)
from park_volumes.model import (
    LEAVE_ATTACHED,
    PARK_ROOT,
    Attachment,
    CreateSnapshot,
    Decision,
    DeleteVolume,
    DetachVolume,
    DiscardSnapshot,
    LockSnapshot,
    Mark,
    MarkSnapshots,
    MarkVolume,
    Outcome,
    Record,
    Seen,
    Settings,
    Step,
    Volume,
)

DETACHING = timedelta(seconds=15)
"""What a detachment usually takes; EC2 sends no event for it."""

RETRY_SNAPSHOT = timedelta(minutes=5)
"""How long after a failed snapshot the next one is tried."""


def park(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """The next steps towards this instance being parked, or the reason why there are none."""
    instance = seen.instance
    if instance.state in (TERMINATED, GONE):
        return orphans(seen, settings, now)
    if not opted_in(instance, settings):
        return Decision(reason=f"{instance.id} is not opted in.")
    if dead := [m.id for m in marked(seen) if m.restored and m.state == "error"]:
        steps = tuple(DeleteVolume(volume_id=v) for v in dead)
        reason = f"{', '.join(dead)} for {instance.id} could not be created and is deleted; its snapshot is kept."
        return Decision(reason=reason, steps=(steps,), look_again=DETACHING)
    if instance.state == "running":
        return _discard(seen, settings, now)
    if instance.state != "stopped":
        return Decision(reason=f"{instance.id} is {instance.state}.")
    if root_detached(seen):
        return _dismantle(seen, settings, now)
    return _copy(seen, settings, now)


def worth_a_look(seen: Seen, settings: Settings, now: datetime) -> bool:
    """Whether the sweep, which sees of all volumes only the marked ones, should have a closer look at this instance."""
    instance = seen.instance
    if instance.state in (TERMINATED, GONE):
        return bool(orphans(seen, settings, now).steps)
    if marked(seen):
        return True
    if instance.state == "running":
        since = (superseded_since(r, instance.launch_time, seen.records) for r in seen.records)
        return any(t is not None and now >= t + settings.snapshot_retention for t in since)
    if instance.state != "stopped":
        return False
    generation = given_up(seen)
    named = {r.volume_id for r in seen.records}
    return (
        instance.on(instance.root_device) is not None
        or generation is None
        or bool(generation.missing)
        or any(m.volume_id in named for m in instance.mappings)
    )


def _wait(reason: str, *, again: timedelta | None = None, outcome: Outcome = Outcome.DONE) -> Decision:
    return Decision(reason=reason, outcome=outcome, look_again=again)


def _refuse(reason: str) -> Decision:
    return Decision(reason=reason, outcome=Outcome.REFUSED)


# Copy and lock: the instance is stopped, its root volume attached.


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One volume of an attempt at parking, and the snapshots that count for it: usable ones first."""

    volume: Volume
    at: Attachment
    snapshots: tuple[Record, ...]

    @property
    def completed(self) -> bool:
        return bool(self.snapshots) and self.snapshots[0].state == "completed"

    @property
    def failed(self) -> list[Record]:
        return [r for r in self.snapshots if r.state == "error"]

    @property
    def pending(self) -> bool:
        return len(self.snapshots) > len(self.failed)


def _copy(seen: Seen, settings: Settings, now: datetime) -> Decision:
    instance = seen.instance
    if not settled(seen):
        reason = f"Volumes of {instance.id} are being attached or detached."
        return _wait(reason, again=DETACHING, outcome=Outcome.GOING_ON)
    volumes = _volumes_to_park(seen, settings)
    if words := refusal(instance, (v for v, _ in volumes), settings):
        return _refuse(f"{instance.id} is not parked. {words}")
    if all(at.device != instance.root_device for _, at in volumes):
        excluded = f"{settings.opt_in_tag_key}={LEAVE_ATTACHED}"
        return _refuse(f"{instance.id} is not parked. Its root volume is excluded by the tag {excluded}.")
    if words := dearer((v for v, _ in volumes), settings):
        return _refuse(f"{instance.id} is not parked. {words}")
    if hold := _hold(seen, settings, now):
        return hold
    generation = _name(instance.launch_time, volumes)
    parts = [_Part(volume=v, at=at, snapshots=_counting(seen.records, generation, v, at)) for v, at in volumes]
    return _take_snapshots(seen, settings, now, generation, parts) or _lock(seen, settings, now, generation, parts)


def _volumes_to_park(seen: Seen, settings: Settings) -> list[tuple[Volume, Attachment]]:
    root_only = seen.instance.tags[settings.opt_in_tag_key] == PARK_ROOT
    return [
        (v, at)
        for v, at in attached(seen)
        if v.tags.get(settings.opt_in_tag_key) != LEAVE_ATTACHED
        and (at.device == seen.instance.root_device or not root_only)
    ]


def _hold(seen: Seen, settings: Settings, now: datetime) -> Decision | None:
    """The reason to do nothing yet: a start is under way, or something was attached only now."""
    instance = seen.instance
    if words := displaced(seen):
        return _refuse(words)
    if start_pending(seen, settings, now):
        return _wait(f"{instance.id} was asked to start within the last hour.")
    if transit := [m.id for m in marked(seen) if _in_transit(m, instance.launch_time)]:
        return _wait(f"{', '.join(transit)} of {instance.id} came back and must be settled first.")
    settles = max(at.attach_time for _, at in attached(seen)) + settings.quiet_period
    if now <= settles:
        reason = f"A volume of {instance.id} was attached only a moment ago."
        return _wait(reason, again=settles - now, outcome=Outcome.GOING_ON)
    return None


def _in_transit(m: Marked, launch_time: datetime) -> bool:
    """A mark left by an attempt that stopped short of detaching is no transit: this attempt writes it anew."""
    return m.at is None or m.came_back or m.altered or m.mark.launch_time != launch_time


def _name(launch_time: datetime, volumes: Iterable[tuple[Volume, Attachment]]) -> str:
    """The name of an attempt at parking exactly these attachments: two passes at once arrive at the same one."""
    words = [launch_time.isoformat(), *sorted(f"{v.id} {at.device} {at.attach_time.isoformat()}" for v, at in volumes)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _counting(every: Iterable[Record], generation: str, volume: Volume, at: Attachment) -> tuple[Record, ...]:
    """The snapshots that count for this attachment: completed ones first, and of those the one with the smallest id."""
    found = [r for r in every if r.generation == generation and r.volume_id == volume.id and r.started > at.attach_time]
    return tuple(sorted(found, key=lambda r: (r.state != "completed", r.snapshot_id)))


def _take_snapshots(
    seen: Seen, settings: Settings, now: datetime, generation: str, parts: Sequence[_Part]
) -> Decision | None:
    """The snapshots that are still to be taken or to be waited for; None when all are completed."""
    instance = seen.instance
    discard: list[Step] = []
    create: list[Step] = []
    running: list[str] = []
    for number, part in enumerate(parts, start=1):
        if part.completed:
            continue
        if part.pending:
            running.append(f"{part.at.device} {part.snapshots[0].progress or '0%'}")
        elif any(now < r.started + RETRY_SNAPSHOT for r in part.failed):
            running.append(f"{part.at.device} failed and is tried again in a few minutes")
        else:
            discard += [_discard_step(r, seen) for r in part.failed]
            create.append(_snapshot_step(seen, settings, generation, part, f"{number}/{len(parts)}"))
    if create:
        reason = f"{instance.id} is stopped: {len(create)} of its {len(parts)} volumes need a snapshot."
        if lost := sorted({key for part in parts for key in records.lost_tags(part.volume.tags)}):
            reason = f"{reason} Tags that only AWS can write will not come back: {', '.join(lost)}."
        steps = tuple(tuple(stage) for stage in (discard, create) if stage)
        return Decision(reason=reason, outcome=Outcome.GOING_ON, steps=steps)
    if running:
        return _wait(f"Snapshots of {instance.id} are running: {', '.join(running)}.", outcome=Outcome.GOING_ON)
    return None


def _snapshot_step(seen: Seen, settings: Settings, generation: str, part: _Part, number: str) -> CreateSnapshot:
    tags = records.tags_of_record(
        part.volume,
        part.at,
        deployment=settings.deployment,
        launch_time=seen.instance.launch_time,
        generation=generation,
        part=number,
    )
    description = f"ParkVolumes: {part.at.device} of {seen.instance.id}"
    return CreateSnapshot(volume_id=part.volume.id, description=description, tags=tags)


def _discard_step(r: Record, seen: Seen) -> DiscardSnapshot:
    return DiscardSnapshot(snapshot_id=r.snapshot_id, locked=r.snapshot_id in seen.locked)


def _lock(seen: Seen, settings: Settings, now: datetime, generation: str, parts: Sequence[_Part]) -> Decision:
    """Every volume has its completed snapshot: lock the snapshots, mark the volumes, detach the root volume.

    The snapshots are marked last, by the pass that detached the very attachment of which they are: nothing else proves
    that the root volume did not leave by another hand, or leave and come back, since somebody looked.
    """
    instance = seen.instance
    chosen = [(part, part.snapshots[0]) for part in parts]
    ripe = min(r.started for _, r in chosen) + settings.grace_period
    if now < ripe:
        reason = f"{instance.id} has its snapshots; its volumes stay attached until the grace period is over."
        return _wait(reason, again=ripe - now, outcome=Outcome.GOING_ON)
    unlocked = [r.snapshot_id for _, r in chosen if settings.lock_snapshots and r.snapshot_id not in seen.locked]
    mark = Mark(
        deployment=settings.deployment,
        instance_id=instance.id,
        generation=generation,
        launch_time=instance.launch_time,
        at=now,
    )
    locks = tuple(LockSnapshot(snapshot_id=s) for s in unlocked)
    marks = tuple(MarkVolume(volume_id=part.volume.id, mark=mark, place=records.place_of(r)) for part, r in chosen)
    root = next(part for part in parts if part.at.device == instance.root_device)
    seal = MarkSnapshots(snapshot_ids=tuple(r.snapshot_id for _, r in chosen), at=mark.at)
    return Decision(
        reason=f"All {len(parts)} snapshots of {instance.id} are completed: its root volume is detached.",
        outcome=Outcome.GOING_ON,
        steps=tuple(stage for stage in (locks, marks, (_detach_step(root.volume, root.at),), (seal,)) if stage),
        look_again=settings.lock_period + timedelta(seconds=1),
    )


def _detach_step(volume: Volume, at: Attachment) -> DetachVolume:
    return DetachVolume(volume_id=volume.id, instance_id=at.instance_id, device=at.device, attach_time=at.attach_time)


# Dismantle: the root volume is detached.


def _dismantle(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """Give the volumes up, if everything that this needs was seen."""
    instance = seen.instance
    generation = given_up(seen)
    root = root_in_transit(seen)
    if root and unconfirmed(seen, generation):
        if words := held_up(seen, root):
            return _refuse(words)
        if words := without_some(seen, root):
            return _refuse(f"{words}. {BY_HAND}")
        reason = f"Nobody confirmed that the root volume of {instance.id} was detached to park it: it is put back."
        return _wait(reason, outcome=Outcome.GOING_ON)
    if generation is None:
        return _refuse(f"{instance.id} has no root volume, and no snapshots that took its place at its last stop.")
    if generation.missing:
        return _refuse(f"The snapshots of {instance.id} lack {', '.join(generation.missing)}: no volume is deleted.")
    if settings.lock_snapshots and not seen.locked.issuperset(r.snapshot_id for r in generation.parts):
        return _refuse(f"Not all snapshots of {instance.id} are locked: no volume is deleted.")
    named = {r.volume_id for r in generation.parts}
    left = [v for v in seen.volumes if v.id in named]
    if not left:
        return archive(seen, settings, now)
    proven = [m for m in marked(seen) if m.id in named and _proven(m, seen, settings, generation)]
    if unproven := [v.id for v in left if v.id not in {m.id for m in proven}]:
        words = f"{', '.join(unproven)} of {instance.id} bears no mark of this attempt, or is attached elsewhere"
        return _refuse(f"{words}: no volume is deleted.")
    return _give_up(seen, settings, now, generation, proven)


def _give_up(
    seen: Seen, settings: Settings, now: datetime, generation: Generation, volumes: Sequence[Marked]
) -> Decision:
    """Delete the root volume, which is the commit; then detach, and in a later pass delete, the others."""
    instance = seen.instance
    root = next((m for m in volumes if m.place.device == instance.root_device), None)
    over = (root.mark.at if root else generation.marked_at) + settings.lock_period
    if now < over:
        reason = f"The root volume of {instance.id} is detached; nothing is deleted before the quiet period is over."
        return _wait(reason, again=over - now + timedelta(seconds=1), outcome=Outcome.GOING_ON)
    if root and root.state != "available":
        reason = f"The root volume {root.id} of {instance.id} is {root.state}."
        return _wait(reason, again=DETACHING, outcome=Outcome.GOING_ON)
    data = [m for m in volumes if m is not root]
    if root and (moved := [m.id for m in data if not _stayed(m, seen)]):
        words = f"{', '.join(moved)} of {instance.id} did not stay attached since its snapshot was taken"
        return _refuse(f"{words}: no volume is deleted. Start the instance, and all are put back.")
    commit = (DeleteVolume(volume_id=root.id),) if root else ()
    detach = tuple(_detach_step(m.volume, m.at) for m in data if m.at and m.at.state == "attached")
    delete = tuple(DeleteVolume(volume_id=m.id) for m in data if m.state == "available")
    return Decision(
        reason=f"The volumes of {instance.id} have their snapshots and are deleted.",
        outcome=Outcome.GOING_ON,
        steps=tuple(stage for stage in (commit, detach, delete) if stage),
        look_again=DETACHING if len(delete) < len(data) else None,
    )


def _stayed(m: Marked, seen: Seen) -> bool:
    """Whether a volume is attached, and has been since before the snapshot that its place names was taken."""
    copy = next((r for r in seen.records if r.snapshot_id == m.place.snapshot_id), None)
    return m.at is not None and m.at.state == "attached" and copy is not None and m.at.attach_time < copy.started


def _proven(m: Marked, seen: Seen, settings: Settings, generation: Generation) -> bool:
    """Whether a volume may go: it is of this attempt, nobody else has it, its marked snapshot is whole and locked."""
    copies = {
        r.snapshot_id
        for r in seen.records
        if r.volume_id == m.id and r.generation == generation.name and r.state == "completed"
    }
    return (
        m.mark.launch_time == seen.instance.launch_time
        and m.mark.generation == generation.name
        and not m.elsewhere
        and m.place.snapshot_id in copies
        and (m.place.snapshot_id in seen.locked or not settings.lock_snapshots)
    )


# Discard: the instance is running.


def _discard(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """Discard the snapshots that the running volumes have superseded for long enough, the oldest link first."""
    instance = seen.instance
    if not settled(seen) or marked(seen):
        return _wait(f"{instance.id} is running; its volumes are still being settled.")
    superseded, failed = _superseded(seen), [r for r in seen.records if r.state == "error"]
    over = [*(r for r in superseded if r.state == "completed"), *failed]
    due = [r for r in over if _due(r, seen, settings, now)]
    if due:
        reason = f"{instance.id} is running: {len(due)} of its snapshots are superseded and discarded."
        return Decision(reason=reason, steps=tuple((_discard_step(r, seen),) for r in due))
    if kept := [r.snapshot_id for r in seen.records if r not in superseded and r not in failed]:
        return _refuse(f"{instance.id} runs without the volumes of {', '.join(kept)}: these snapshots are kept.")
    return _wait(f"{instance.id} is running.")


def _due(r: Record, seen: Seen, settings: Settings, now: datetime) -> bool:
    since = superseded_since(r, seen.instance.launch_time, seen.records)
    return since is not None and now >= since + settings.snapshot_retention


def superseded_since(r: Record, launch_time: datetime, every: Iterable[Record]) -> datetime | None:
    """The first launch after the snapshot's own: from then on its volume went its own way. None while there is none."""
    later = [t for t in (launch_time, *(q.launch_time for q in every)) if t > r.launch_time]
    return min(later, default=None)


def _superseded(seen: Seen) -> list[Record]:
    """The snapshots whose content a running volume carries on: of itself, of the volume that it was made from by way of
    a snapshot, and so on. The furthest come first, and of each volume the snapshot that links it to the next comes
    last: as long as anything is left of a chain, it can be followed."""
    by_id = {r.snapshot_id: r for r in seen.records}
    found: list[Record] = []
    for volume, at in attached(seen):
        chain = [(volume.id, "")]
        link = by_id.get(volume.snapshot_id)
        while link:
            chain.append((link.volume_id, link.snapshot_id))
            link = by_id.get(link.source)
        for volume_id, snapshot_id in reversed(chain):
            copies = [r for r in seen.records if r.volume_id == volume_id and r.device == at.device]
            found += sorted(copies, key=lambda r: r.snapshot_id == snapshot_id)
    return found
