"""The archive tier: when the snapshots of a parked instance move there, and how a start gets them back.

An archived snapshot costs a quarter, is billed for 90 days at least, and takes up to 72 hours to come back (Amazon EBS
User Guide, "Archive Amazon EBS snapshots"). It can be used while it is on its way there, and not once it has arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from park_volumes.decide.situation import given_up, last_request, marked
from park_volumes.model import ArchiveSnapshot, Decision, Record, RestoreSnapshotTier, Seen, Settings, Step
from park_volumes.prices import archiving_pays

ARCHIVES_AT_ONCE = 25
RESTORES_AT_ONCE = 5
"""Snapshots of an account under way to and from the archive, by default (Amazon EBS User Guide, "Quotas")."""


def due(seen: Seen, settings: Settings, now: datetime) -> tuple[Record, ...]:
    """The snapshots of a parked instance that are to be archived: of each device all, as they share their blocks.

    A restoration once begun needs them, although nobody may want the start any more.
    """
    generation = given_up(seen)
    if settings.archive_after is None or generation is None or generation.missing:
        return ()
    if any(m.restored for m in marked(seen)):
        return ()
    since = max(filter(None, (generation.marked_at, last_request(seen))))
    devices = {r.device for r in generation.parts}
    every = [r for r in seen.records if r.device in devices and r.state == "completed"]
    if now < since + settings.archive_after or not archiving_pays(every, generation.parts, settings.prices):
        return ()
    return tuple(r for r in every if not r.archived)


def archive(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """What to do about a parked instance, of which no volume is left."""
    instance = seen.instance
    if left := due(seen, settings, now):
        waiting = [r for r in left if r.snapshot_id not in seen.moving]
        steps: tuple[Step, ...] = tuple(ArchiveSnapshot(snapshot_id=r.snapshot_id) for r in waiting[:ARCHIVES_AT_ONCE])
        words = f"{instance.id} has been parked for long: its snapshots move to the archive tier."
        return Decision(reason=words, steps=(steps,) if steps else ())
    generation = given_up(seen)
    if generation and any(r.archived for r in generation.parts):
        return Decision(reason=f"{instance.id} is parked, its snapshots are archived: a start takes up to 72 hours.")
    return Decision(reason=f"{instance.id} is parked.")


def bring_back(archived: Iterable[Record], moving: Collection[str]) -> tuple[Step, ...]:
    """The steps that bring snapshots back to the standard tier, but for those under way, as many as EC2 takes."""
    ids = [r.snapshot_id for r in archived]
    waiting = [i for i in ids if i not in moving]
    free = max(0, RESTORES_AT_ONCE - (len(ids) - len(waiting)))
    return tuple(RestoreSnapshotTier(snapshot_id=i) for i in waiting[:free])


def some_at_once(fleet: Iterable[Seen], settings: Settings, now: datetime) -> list[Seen]:
    """Those of a fleet that are to be archived, as many as EC2 takes at once; every day it begins with others.

    Those under way are among them until they have arrived, so that no sweep asks for more than there is room for.
    """
    candidates = [(s, due(s, settings, now)) for s in sorted(fleet, key=lambda s: s.instance.id)]
    every = [(s, len(parts)) for s, parts in candidates if parts]
    return _that_fit(_turned(every, now.toordinal() * ARCHIVES_AT_ONCE))


def _turned(every: Sequence[tuple[Seen, int]], by: int) -> Sequence[tuple[Seen, int]]:
    start = by % len(every) if every else 0
    return [*every[start:], *every[:start]]


def _that_fit(every: Iterable[tuple[Seen, int]]) -> list[Seen]:
    found: list[Seen] = []
    room = ARCHIVES_AT_ONCE
    for seen, count in every:
        if room <= 0:
            break
        found.append(seen)
        room -= count
    return found
