"""What becomes of the snapshots of an instance that was terminated (docs/safety.md, rule 9).

Being terminated is final, so to see it once is proof for ever; it is written on the snapshots, because EC2 shows a
terminated instance for an hour only. Not to see an instance proves nothing: for that nothing is ever discarded.
"""

from __future__ import annotations

from datetime import datetime

from park_volumes.decide.situation import marked
from park_volumes.model import Decision, DiscardSnapshot, Record, RememberTermination, Seen, Settings

TERMINATED = "terminated"
GONE = "gone"
"""The state of an instance that EC2 does not show, and of which there are snapshots. It is no state of EC2's."""


def orphans(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """What to do about the snapshots of an instance that is terminated or gone.

    Those whose volume would have died with it are kept for a while, and discarded. The others are kept for ever.
    """
    instance = seen.instance
    new = tuple(r.snapshot_id for r in seen.records if r.terminated is None)
    if new and instance.state == TERMINATED:
        remember = RememberTermination(snapshot_ids=new, instance_id=instance.id, at=now)
        return Decision(reason=_what_is_kept(seen, settings, now), steps=((remember,),))
    if due := [r for r in seen.records if _due(r, settings, now)]:
        words = f"{len(due)} snapshots of volumes that would have died with it are discarded"
        steps = tuple((DiscardSnapshot(snapshot_id=r.snapshot_id, locked=r.snapshot_id in seen.locked),) for r in due)
        return Decision(reason=f"{instance.id} was terminated: {words}.", steps=steps)
    return Decision(reason=_what_is_kept(seen, settings, now))


def kept_until(r: Record, settings: Settings) -> datetime | None:
    """When the snapshot of an instance that was seen terminated is discarded; None: it is kept for ever."""
    if r.terminated is None or not r.delete_on_termination:
        return None
    return r.terminated + settings.orphan_retention


def _due(r: Record, settings: Settings, now: datetime) -> bool:
    until = kept_until(r, settings)
    return until is not None and now >= until


def _what_is_kept(seen: Seen, settings: Settings, now: datetime) -> str:
    instance = seen.instance
    words = [f"{instance.id} is {instance.state}."]
    mortal = [r for r in seen.records if r.delete_on_termination and (r.terminated or instance.state == TERMINATED)]
    if mortal:
        until = min(r.terminated or now for r in mortal) + settings.orphan_retention
        words.append(f"{_ids(mortal)} would have died with it: kept until {until:%Y-%m-%d}.")
    if others := [r for r in seen.records if r not in mortal]:
        words.append(f"{_ids(others)}: kept until somebody deletes it.")
    if volumes := [m.id for m in marked(seen)]:
        words.append(f"{', '.join(volumes)} was on its way, and is left: delete it if nobody needs it.")
    return " ".join(words)


def _ids(records: list[Record]) -> str:
    return ", ".join(sorted(r.snapshot_id for r in records))
