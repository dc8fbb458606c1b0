"""How long snapshots are kept, and which of them are discarded (docs/safety.md, rule 9).

If an instance runs again: those that its volumes have superseded, ``snapshot_retention_hours`` after the launch. Once
it is parked again: those that its new snapshots have superseded, after the same time.
If an instance was terminated: those of volumes that would have been deleted with it, ``orphan_retention_days`` after
the termination was seen. Seeing it once is enough, and it is written on the snapshots, because EC2 shows a terminated
instance for only an hour. Not seeing an instance proves nothing, so nothing is ever discarded because of that.

What EC2 does not delete, because an AMI or something else uses it, and what is shared with other accounts, is kept.
That is written on the snapshot, so that it is reported once and not tried all the time."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from park_volumes.core.facts import Observation, SnapshotRecord
from park_volumes.core.phase import TERMINATED
from park_volumes.core.settings import Settings
from park_volumes.core.steps import Decision, DiscardSnapshot, RememberTermination, refuse

TRIED_AGAIN = timedelta(days=1)
"""How long after a failed attempt a snapshot is discarded again."""


def discard(r: SnapshotRecord, seen: Observation) -> DiscardSnapshot:
    return DiscardSnapshot(snapshot_id=r.snapshot_id, locked=r.snapshot_id in seen.locked)


def discard_superseded(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """Discard the snapshots that the running volumes have superseded for long enough, the oldest link first."""
    instance = seen.instance
    if not seen.descriptions_agree or seen.in_transit:
        return Decision(reason=f"{instance.id} is running; its volumes are still being settled.")
    superseded = _superseded(seen, _attached(seen))
    if due := _due_of(superseded, seen, settings, now):
        reason = f"{instance.id} is running. Superseded snapshots that are discarded: {len(due)}."
        return Decision(reason=reason, steps=tuple((discard(r, seen),) for r in due))
    others = [r for r in seen.records if r not in superseded and r.state != "error" and r.kept is None]
    if kept := [r.snapshot_id for r in others]:
        return refuse(f"{instance.id} is running without the volumes of {', '.join(kept)}: these snapshots are kept.")
    return Decision(reason=f"{instance.id} is running.{why_kept(seen)}")


def superseded_while_parked(seen: Observation, settings: Settings, now: datetime) -> list[SnapshotRecord]:
    """The snapshots of earlier stops whose content continues in those of this one, or in a volume that stays attached,
    for long enough. No start needs them: it needs the confirmed generation, and nothing of that is ever among them."""
    parts = seen.given_up.parts
    staying = _attached(seen) if seen.descriptions_agree else ()
    found = _superseded(seen, (*((r.volume_id, r.source, r.device) for r in parts), *staying))
    earlier = [r for r in found if r.launch_time < seen.instance.launch_time and r not in parts]
    return [r for r in _due_of(earlier, seen, settings, now) if r.snapshot_id not in seen.moving]


def discard_while_parked(seen: Observation, settings: Settings, now: datetime) -> Decision | None:
    due = superseded_while_parked(seen, settings, now)
    reason = f"{seen.instance.id} is parked. Earlier, superseded snapshots that are discarded: {len(due)}."
    return Decision(reason=reason, steps=tuple((discard(r, seen),) for r in due)) if due else None


def why_kept(seen: Observation) -> str:
    """A sentence for each snapshot that was not discarded when that was tried, with a space before it."""
    return "".join(f" {r.snapshot_id} is kept: {r.kept.words.rstrip('.')}." for r in seen.records if r.kept)


def next_discard(seen: Observation, settings: Settings) -> datetime | None:
    """When the first snapshot of a running instance has been superseded for long enough; None if none is superseded.
    One that could not be discarded is tried again when there is another reason to look."""
    since = [t for r in seen.records if r.kept is None and (t := superseded_since(r, seen))]
    return min(since) + settings.snapshot_retention if since else None


def _due_of(
    superseded: Iterable[SnapshotRecord], seen: Observation, settings: Settings, now: datetime
) -> list[SnapshotRecord]:
    failed = (r for r in seen.records if r.state == "error")
    over = [*(r for r in superseded if r.state == "completed"), *failed]
    return [r for r in over if _due(r, seen, settings, now) and not _kept_lately(r, now)]


def _due(r: SnapshotRecord, seen: Observation, settings: Settings, now: datetime) -> bool:
    since = superseded_since(r, seen)
    return since is not None and now >= since + settings.snapshot_retention


def _kept_lately(r: SnapshotRecord, now: datetime) -> bool:
    return r.kept is not None and now < r.kept.at + TRIED_AGAIN


def superseded_since(r: SnapshotRecord, seen: Observation) -> datetime | None:
    """The first launch after the snapshot's own: from then on its volume has changed. If the volume that was created
    from it is younger, since then. None if there was no launch."""
    launches = (seen.instance.launch_time, *(q.launch_time for q in seen.records))
    since = min((t for t in launches if t > r.launch_time), default=None)
    made = (v.created for v, _ in seen.attached if v.snapshot_id == r.snapshot_id)
    return max([since, *made]) if since else None


def _attached(seen: Observation) -> Iterable[tuple[str, str, str]]:
    return ((v.id, v.snapshot_id, a.device) for v, a in seen.attached)


def _superseded(seen: Observation, latest: Iterable[tuple[str, str, str]]) -> list[SnapshotRecord]:
    """The snapshots whose content continues in the ``latest`` volumes, each with the snapshot that it was created from
    and its device: its own, those of the volume that it was created from through a snapshot, and so on. If such a
    volume was given up by a later snapshot, that is not among them: what was written since continues nowhere. The
    furthest come first, and for each volume the snapshot that links it to the next comes last: as long as anything is
    left of a chain, it can be followed."""
    by_id = {r.snapshot_id: r for r in seen.records}
    found: list[SnapshotRecord] = []
    for latest_id, source, device in latest:
        links: dict[str, SnapshotRecord] = {}
        link = by_id.get(source)
        while link and link.snapshot_id not in links:  # forged tags may lead round in circles
            links[link.snapshot_id] = link
            link = by_id.get(link.source)
        at_device = [r for r in seen.records if r.device == device]
        for last in reversed(links.values()):
            copies = (r for r in at_device if r.volume_id == last.volume_id and _continues_in(last, r))
            found += sorted(copies, key=lambda r: r.snapshot_id == last.snapshot_id)
        found += (r for r in at_device if r.volume_id == latest_id)
    return found


def _continues_in(last: SnapshotRecord, r: SnapshotRecord) -> bool:
    """Whether one snapshot of a volume has nothing that another one lacks: it is not later, or of the same attempt, in
    which nobody wrote to the volume; or it is of the same stop, or of a pass that took it too late, and the volume was
    not given up by it."""
    if r.order <= last.order or r.generation == last.generation:
        return True
    return r.confirmed_at is None and r.launch_time <= last.launch_time


def retain(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """What to do about the snapshots of an instance that is terminated, or that EC2 does not show.
    Those of volumes that would have been deleted with it are discarded after a while. The others are kept forever."""
    instance = seen.instance
    new = tuple(r.snapshot_id for r in seen.records if r.terminated is None)
    if new and instance.state == TERMINATED:
        remember = RememberTermination(snapshot_ids=new, instance_id=instance.id, at=now)
        return Decision(reason=_what_is_kept(seen, settings, now), steps=((remember,),))
    over = [r for r in seen.records if (until := kept_until(r, settings)) and now >= until]
    if due := [r for r in over if not _kept_lately(r, now)]:
        words = f"Snapshots that are discarded, of volumes that would have been deleted with it: {len(due)}"
        return Decision(reason=f"{instance.id} was terminated. {words}.", steps=tuple((discard(r, seen),) for r in due))
    return Decision(reason=_what_is_kept(seen, settings, now))


def kept_until(r: SnapshotRecord, settings: Settings) -> datetime | None:
    """When the snapshot of an instance that was seen terminated is discarded; None: it is kept forever."""
    if r.terminated is None or not r.delete_on_termination:
        return None
    return r.terminated + settings.orphan_retention


def _what_is_kept(seen: Observation, settings: Settings, now: datetime) -> str:
    instance, every = seen.instance, seen.records
    words = [f"{instance.id} is {instance.state}."]
    seen_terminated = instance.state == TERMINATED
    if mortal := [r for r in every if r.delete_on_termination and (r.terminated or seen_terminated)]:
        until = min(r.terminated or now for r in mortal) + settings.orphan_retention
        words.append(f"{_ids(mortal)}: kept until {until:%Y-%m-%d}, as its volume would have been deleted with it.")
    if others := [r for r in every if r not in mortal]:
        words.append(f"{_ids(others)}: kept until somebody deletes it.")
    if volumes := [v.id for v in seen.in_transit]:
        words.append(f"{', '.join(volumes)} was in transit and still exists: delete it if nobody needs it.")
    return " ".join(words) + why_kept(seen)


def _ids(records: list[SnapshotRecord]) -> str:
    return ", ".join(sorted(r.snapshot_id for r in records))
