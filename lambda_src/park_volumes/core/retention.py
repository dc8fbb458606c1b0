"""How long snapshots are kept, and which of them are discarded (docs/safety.md, rule 9).

If an instance runs again: those that its volumes have superseded, ``snapshot_retention_hours`` after the launch.
If an instance was terminated: those of volumes that would have been deleted with it, ``orphan_retention_days`` after
the termination was seen. Seeing it once is enough, and it is written on the snapshots, because EC2 shows a terminated
instance for only an hour. Not seeing an instance proves nothing, so nothing is ever discarded because of that."""

from datetime import datetime

from park_volumes.core.facts import Observation, SnapshotRecord
from park_volumes.core.phase import TERMINATED
from park_volumes.core.settings import Settings
from park_volumes.core.steps import Decision, DiscardSnapshot, RememberTermination, refuse


def discard(r: SnapshotRecord, seen: Observation) -> DiscardSnapshot:
    return DiscardSnapshot(snapshot_id=r.snapshot_id, locked=r.snapshot_id in seen.locked)


def discard_superseded(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """Discard the snapshots that the running volumes have superseded for long enough, the oldest link first."""
    instance = seen.instance
    if not seen.descriptions_agree or seen.in_transit:
        return Decision(reason=f"{instance.id} is running; its volumes are still being settled.")
    superseded, failed = _superseded(seen), [r for r in seen.records if r.state == "error"]
    over = [*(r for r in superseded if r.state == "completed"), *failed]
    if due := [r for r in over if _due(r, seen, settings, now)]:
        reason = f"{instance.id} is running: {len(due)} of its snapshots are superseded and discarded."
        return Decision(reason=reason, steps=tuple((discard(r, seen),) for r in due))
    if kept := [r.snapshot_id for r in seen.records if r not in superseded and r not in failed]:
        return refuse(f"{instance.id} is running without the volumes of {', '.join(kept)}: these snapshots are kept.")
    return Decision(reason=f"{instance.id} is running.")


def next_discard(seen: Observation, settings: Settings) -> datetime | None:
    """When the first snapshot of a running instance has been superseded for long enough; None if none is superseded."""
    since = [t for r in seen.records if (t := superseded_since(r, seen))]
    return min(since) + settings.snapshot_retention if since else None


def _due(r: SnapshotRecord, seen: Observation, settings: Settings, now: datetime) -> bool:
    since = superseded_since(r, seen)
    return since is not None and now >= since + settings.snapshot_retention


def superseded_since(r: SnapshotRecord, seen: Observation) -> datetime | None:
    """The first launch after the snapshot's own: from then on its volume has changed. None if there is none."""
    launches = (seen.instance.launch_time, *(q.launch_time for q in seen.records))
    return min((t for t in launches if t > r.launch_time), default=None)


def _superseded(seen: Observation) -> list[SnapshotRecord]:
    """The snapshots whose content continues in a running volume: its own, those of the volume that it was created from
    through a snapshot, and so on. The furthest come first, and for each volume the snapshot that links it to the next
    comes last: as long as anything is left of a chain, it can be followed."""
    by_id = {r.snapshot_id: r for r in seen.records}
    found: list[SnapshotRecord] = []
    for volume, attachment in seen.attached:
        chain = [(volume.id, "")]
        link = by_id.get(volume.snapshot_id)
        while link:
            chain.append((link.volume_id, link.snapshot_id))
            link = by_id.get(link.source)
        for volume_id, snapshot_id in reversed(chain):
            copies = [r for r in seen.records if r.volume_id == volume_id and r.device == attachment.device]
            found += sorted(copies, key=lambda r: r.snapshot_id == snapshot_id)
    return found


def retain(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """What to do about the snapshots of an instance that is terminated, or that EC2 does not show.
    Those of volumes that would have been deleted with it are discarded after a while. The others are kept forever."""
    instance = seen.instance
    new = tuple(r.snapshot_id for r in seen.records if r.terminated is None)
    if new and instance.state == TERMINATED:
        remember = RememberTermination(snapshot_ids=new, instance_id=instance.id, at=now)
        return Decision(reason=_what_is_kept(seen, settings, now), steps=((remember,),))
    if due := [r for r in seen.records if (until := kept_until(r, settings)) and now >= until]:
        words = f"{len(due)} snapshots of volumes that would have been deleted with it are discarded"
        return Decision(reason=f"{instance.id} was terminated: {words}.", steps=tuple((discard(r, seen),) for r in due))
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
    return " ".join(words)


def _ids(records: list[SnapshotRecord]) -> str:
    return ", ".join(sorted(r.snapshot_id for r in records))
