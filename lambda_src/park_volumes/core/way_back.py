"""Whether every later call is allowed: known before a root volume is detached (docs/safety.md).

Each side tries its own calls dry, since it alone has their permissions, and EC2 says whether it would allow them. What
the start side hears it writes on the snapshots, where the park side finds it. The mark of a volume asks for that: one
that is newer than the verdict on the snapshot has not been answered yet."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeGuard

from park_volumes.core.facts import Instance, Observation, SnapshotRecord, Verdict, VolumeInTransit
from park_volumes.core.steps import Decision, TryWayBack, going_on

FRESH = timedelta(hours=1)
"""How long a verdict counts, for every volume that looks alike to a policy."""
DENIAL_LASTS = timedelta(minutes=10)
"""How long after a denial the calls are tried again."""
REHEARSAL_LASTS = timedelta(days=30)
"""How long a key with which a volume was created need not be tried again."""
ANSWERED = timedelta(seconds=30)
"""When to look for the verdict: the start side sweeps every minute."""


def shape_of(r: SnapshotRecord, instance: Instance) -> str:
    """What a policy can tell a volume of this instance by: its attributes and tags, and the tags of the instance. The
    instance's Name does not count: it is rarely the same twice, and no policy is expected to name single instances."""
    of_instance = sorted((key, value) for key, value in instance.tags.items() if key != "Name")
    spec = (sorted(r.spec.words().items()), r.spec.encrypted, r.spec.kms_key)
    words = repr((instance.zone, of_instance, spec, sorted(r.user_tags.items())))
    return hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()[:16]


def verdict_on(r: SnapshotRecord, seen: Observation) -> Verdict | None:
    """The newest verdict on a volume that looks like this one to a policy."""
    shape = shape_of(r, seen.instance)
    every = (*(q.verdict for q in seen.records), seen.verdicts.get(shape))
    return max((v for v in every if v and v.shape == shape), key=lambda v: v.at, default=None)


def is_allowed(v: Verdict | None, now: datetime) -> bool:
    return v is not None and not v.denied and now < v.at + FRESH


def is_denied(v: Verdict | None, now: datetime) -> TypeGuard[Verdict]:
    return v is not None and bool(v.denied) and now < v.at + FRESH


def in_words(v: Verdict, r: SnapshotRecord) -> str:
    """A denial as a sentence, with what to do about it."""
    of = r.snapshot_id if v.denied == "CreateTags" else r.volume_id
    resource = f"{of} ({r.device} of {r.instance_id})"
    said = f": {v.words.rstrip('. ')}" if v.words else ""
    return (
        f"{v.denied} is denied for {resource}{said}. Let the roles of ParkVolumes do it: look at service control "
        "policies, permissions boundaries and key policies. ParkVolumes tries again every few minutes."
    )


def unanswered(seen: Observation) -> tuple[VolumeInTransit, ...]:
    """The volumes whose marks ask for a verdict: attached originals with a completed snapshot of this launch. One that
    somebody has archived is no copy, and no volume can be created from it to try a key."""
    launched = seen.instance.launch_time
    asking = (v for v in seen.originals if v.attachment and not v.came_back and v.mark.launch_time == launched)
    whole = (v for v in asking if v.record.state == "completed" and not v.record.archived)
    return tuple(v for v in whole if _is_newer(v, v.record.verdict))


def _is_newer(v: VolumeInTransit, verdict: Verdict | None) -> bool:
    return verdict is None or verdict.at < v.mark.at


def try_way_back(seen: Observation) -> Decision | None:
    """What the start side does for volumes whose marks ask for its verdict; None if there are none."""
    asking = unanswered(seen)
    if not asking:
        return None
    reason = f"{seen.instance.id} is about to be parked: ParkVolumes tests whether its way back is allowed."
    parts = tuple((v.record, v.id) for v in asking)
    return going_on(reason, steps=((TryWayBack(instance_id=seen.instance.id, parts=parts),),))


def asked_already(copies: Iterable[SnapshotRecord], seen: Observation) -> bool:
    """Whether all of these volumes bear a mark that no verdict has answered yet."""
    asking = {v.id for v in unanswered(seen)}
    return all(r.volume_id in asking for r in copies)
