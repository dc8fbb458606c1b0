"""The archive tier: when the snapshots of a parked instance move there, and how a start gets them back.

An archived snapshot costs a quarter, is billed for at least 90 days, and takes up to 72 hours to come back (Amazon EBS
User Guide, "Archive Amazon EBS snapshots"). It can be used while it moves there, but not once it has arrived."""

from collections.abc import Collection, Iterable
from datetime import datetime

from park_volumes.core.facts import Observation, SnapshotRecord
from park_volumes.core.phase import last_request
from park_volumes.core.prices import archiving_pays
from park_volumes.core.retention import why_kept
from park_volumes.core.settings import Settings
from park_volumes.core.steps import ArchiveSnapshot, Decision, RestoreSnapshotTier, Stage, stages

ARCHIVES_AT_ONCE = 25
RESTORES_AT_ONCE = 5
"""Snapshots of an account moving to and from the archive, by default (Amazon EBS User Guide, "Quotas")."""


def due(seen: Observation, settings: Settings, now: datetime) -> tuple[SnapshotRecord, ...]:
    """The snapshots of a parked instance to archive: all of each device, since they share their blocks.
    A restoration that has begun needs them, even if the start is no longer wanted."""
    generation = seen.complete_generation
    if settings.archive_after is None or generation is None or seen.restored:
        return ()
    since = max(filter(None, (generation.confirmed_at, last_request(seen))))
    devices = {r.device for r in generation.parts}
    every = [r for r in seen.records if r.device in devices and r.state == "completed"]
    if now < since + settings.archive_after or not archiving_pays(every, generation.parts, settings.prices):
        return ()
    return tuple(r for r in every if not r.archived)


def archive(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """What to do about a parked instance that has no volume left."""
    instance = seen.instance
    if left := due(seen, settings, now):
        waiting = [r for r in left if r.snapshot_id not in seen.moving]
        steps: Stage = tuple(ArchiveSnapshot(snapshot_id=r.snapshot_id) for r in waiting[:ARCHIVES_AT_ONCE])
        reason = f"{instance.id} has been parked for a long time: its snapshots move to the archive tier."
        return Decision(reason=reason, steps=stages(steps))
    generation = seen.complete_generation
    archived = generation is not None and any(r.archived for r in generation.parts)
    slow = ", and its snapshots are archived: a start takes up to 72 hours" if archived else ""
    return Decision(reason=f"{instance.id} is parked{slow}.{why_kept(seen)}")


def bring_back(archived: Iterable[SnapshotRecord], moving: Collection[str]) -> Stage:
    """The steps that bring snapshots back to the standard tier: those not moving yet, as many as EC2 accepts."""
    ids = [r.snapshot_id for r in archived]
    waiting = [i for i in ids if i not in moving]
    free = max(0, RESTORES_AT_ONCE - (len(ids) - len(waiting)))
    return tuple(RestoreSnapshotTier(snapshot_id=i) for i in waiting[:free])


def some_at_once(fleet: Iterable[Observation], settings: Settings, now: datetime) -> list[Observation]:
    """The instances of a fleet to archive, as many as EC2 accepts at once; every day it begins with different ones.
    Those still moving are included until they have arrived, so no sweep asks for more than there is room for."""
    candidates = [(o, due(o, settings, now)) for o in sorted(fleet, key=lambda o: o.instance.id)]
    every = [(o, len(parts)) for o, parts in candidates if parts]
    first = now.toordinal() * ARCHIVES_AT_ONCE % len(every) if every else 0
    found: list[Observation] = []
    room = ARCHIVES_AT_ONCE
    for seen, count in [*every[first:], *every[:first]]:
        if room > 0:
            found.append(seen)
            room -= count
    return found
