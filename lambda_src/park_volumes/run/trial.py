"""Tries what will follow once volumes are given up: the calls of either side dry, and keys by creating a volume."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from park_volumes.aws.errors import Ec2Error, Raced
from park_volumes.core import steps
from park_volumes.core.evidence import TAGS_COUNT, tagged_at
from park_volumes.core.facts import Observation, SnapshotRecord, Verdict
from park_volumes.core.start import initialization_rate
from park_volumes.core.way_back import DENIAL_LASTS, FRESH, REHEARSAL_LASTS, in_words, shape_of
from park_volumes.run.context import NotYet, Pass

LOOK_AT_KEY = 1.0
"""Seconds between two looks at the volume that is created to try a key."""


class Denied(Exception):
    """A policy denies a call that would follow. Nothing was given up."""


def look_of(r: SnapshotRecord, observation: Observation) -> str:
    """What a policy of the park side can tell a volume by: its shape, and the tags of AWS, which no record keeps."""
    of_aws = (v.tags for v in observation.volumes if v.id == r.volume_id)
    words = sorted((key, value) for every in of_aws for key, value in every.items() if key.startswith("aws:"))
    return f"{shape_of(r, observation.instance)} {words}"


def may_give_up(this_pass: Pass, look: str) -> bool:
    """Whether volumes that look like this to a policy have been tried already."""
    return this_pass.knows(f"give up {look}", FRESH)


def try_giving_up(this_pass: Pass, observation: Observation, step: steps.TryGivingUp) -> None:
    """Raises Denied. A mark that was written a moment ago may not count yet: then NotYet."""
    marked = {v.id for v in observation.in_transit}
    for detach, r in step.parts:
        look = look_of(r, observation)
        if may_give_up(this_pass, look):
            continue
        if error := _denial_of_giving_up(this_pass, detach, r):
            if detach.volume_id not in marked:
                raise NotYet(f"{error} Its mark was written only now, so this is tried again.")
            verdict = _against(error, shape_of(r, observation.instance), this_pass.clock.now())
            with suppress(Ec2Error):  # the same policy may deny that, too
                this_pass.ec2.writes.do(steps.RememberVerdict(snapshot_id=r.snapshot_id, verdict=verdict))
            raise Denied(f"{observation.instance.id} is not parked. {in_words(verdict, r)}")
        this_pass.learns(f"give up {look}")


def _denial_of_giving_up(this_pass: Pass, detach: steps.DetachVolume, r: SnapshotRecord) -> Ec2Error | None:
    denied = this_pass.ec2.writes.denied
    confirm = steps.ConfirmSnapshots(snapshot_ids=(r.snapshot_id,), at=this_pass.began)
    return denied(detach) or denied(steps.DeleteVolume(volume_id=detach.volume_id)) or denied(confirm)


def remember_denial(this_pass: Pass, observation: Observation, error: Ec2Error) -> None:
    """Write on the snapshot that the volume may not be detached or deleted: only so the start side gets to know."""
    for v in observation.originals:
        if v.id == error.resource:
            verdict = _against(error, shape_of(v.record, observation.instance), this_pass.clock.now())
            this_pass.ec2.writes.do(steps.RememberVerdict(snapshot_id=v.record.snapshot_id, verdict=verdict))


def try_way_back(this_pass: Pass, observation: Observation, step: steps.TryWayBack) -> None:
    """Write a verdict on the snapshots. Of volumes that look alike to a policy one is tried, and the verdict shared.
    A denial while a mark may not count yet is none: the next sweep tries again."""
    new = {v.id for v in observation.volumes if this_pass.clock.now() < tagged_at(v) + TAGS_COUNT}
    for r, volume_id in step.parts:
        shape = shape_of(r, observation.instance)
        # Sooner than the park side asks again, so that a new question gets a new answer.
        if this_pass.knows(f"way back {shape}", DENIAL_LASTS / 2):
            continue
        error = _denial(this_pass, observation, r, volume_id)
        at = this_pass.clock.now()
        if error and volume_id in new:
            continue
        if error is None:
            verdict = _with_key_tried(this_pass, r, [q for q, _ in step.parts], Verdict(shape=shape, at=at))
        else:
            verdict = _against(error, shape, at)
        this_pass.ec2.writes.do(steps.RememberVerdict(snapshot_id=r.snapshot_id, verdict=verdict))
        this_pass.learns(f"way back {shape}")


def _against(error: Ec2Error, shape: str, at: datetime) -> Verdict:
    return Verdict(shape=shape, at=at, denied=error.action, words=error.message)


def _denial(this_pass: Pass, observation: Observation, r: SnapshotRecord, volume_id: str) -> Ec2Error | None:
    """The first denial among the calls of a start. DeleteOnTermination is not among them: without it an instance starts
    all the same, and it is set later."""
    instance, denied = observation.instance, this_pass.ec2.writes.denied
    given_up = replace(r, confirmed_at=this_pass.began)
    rate = initialization_rate(instance, this_pass.settings)
    create = steps.CreateVolume(record=given_up, token=f"dry-{r.snapshot_id}", rate=rate)
    attach = steps.AttachVolume(instance_id=instance.id, device=r.device, card=r.card, volume_id=volume_id)
    return denied(create) or denied(attach) or denied(steps.StartInstance(instance_id=instance.id))


def _with_key_tried(this_pass: Pass, r: SnapshotRecord, parts: Sequence[SnapshotRecord], verdict: Verdict) -> Verdict:
    """The verdict, with the time when a volume was last created with the key. A dry run does not use the key, and a key
    that EC2 cannot use shows only as a volume that ends in error: so one is really created, and deleted again."""
    key, began = r.spec.kms_key, this_pass.began
    if not key:
        return verdict
    known = this_pass.ec2.reads.rehearsed_keys().get(key)
    if known and began < known + REHEARSAL_LASTS:
        return replace(verdict, rehearsed=known)
    smallest = min((q for q in parts if q.spec.kms_key == key), key=lambda q: q.spec.size)
    token = f"rehearsal-{smallest.snapshot_id}-{began:%Y%m%d%H%M}"
    try:
        volume_id, _ = this_pass.ec2.writes.create_volume(
            steps.CreateVolume(record=smallest, token=token, rehearsal=True)
        )
    except Raced:
        raise
    except Ec2Error as error:
        if not error.refused:
            raise
        return _against(error, verdict.shape, verdict.at)
    state = _final_state(this_pass, volume_id)
    if state != "available":
        words = f"the volume {volume_id} that was created to try the key {key} ended in {state}"
        return replace(verdict, at=this_pass.clock.now(), denied="CreateVolume", words=words)
    return replace(verdict, at=this_pass.clock.now(), rehearsed=this_pass.clock.now())


def _final_state(this_pass: Pass, volume_id: str) -> str:
    """The state of a volume once it is created. Raises NotYet if that takes longer than this pass has."""
    clock = this_pass.clock
    while (clock.now() - this_pass.deadline).total_seconds() < -LOOK_AT_KEY:
        clock.sleep(LOOK_AT_KEY)
        states = [v.state for v in this_pass.ec2.reads.volumes([volume_id]) if v.state != "creating"]
        if states:
            return states[0]
    raise NotYet(f"EC2 is still creating {volume_id}; it is tried again.")
