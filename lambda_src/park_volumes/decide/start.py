"""What the start side does about one instance: put back, restore, start; and settle what came back.

It deletes nothing, ever. While the original root volume exists, the originals are put back; only when all of them are
gone are volumes made from the snapshots. The root volume is attached last: an instance starts with all or not at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from park_volumes.decide.archive import bring_back
from park_volumes.decide.situation import (
    BY_HAND,
    Generation,
    Marked,
    attached,
    attempt_of,
    displaced,
    given_up,
    held_up,
    last_request,
    marked,
    next_try,
    opted_in,
    originals,
    root_detached,
    root_in_transit,
    settled,
    start_pending,
    start_under_way,
    unconfirmed,
    without_some,
)
from park_volumes.model import (
    AttachVolume,
    CountAttempt,
    CreateVolume,
    Decision,
    Instance,
    Outcome,
    Record,
    RememberStart,
    Seen,
    SetDeleteOnTermination,
    Settings,
    StartInstance,
    Step,
    UnmarkVolumes,
)

Stage = tuple[Step, ...]

INITIALIZATION_RATE = "park-volumes:initialization-rate"
"""A tag that the owner of an instance may give it: MiB/s, or 0 for none."""
RATES = range(100, 301)
"""What CreateVolume takes, in MiB/s."""

REMEMBERED = timedelta(minutes=5)
"""How long a request counts as remembered before asking again writes it anew."""

GOES_ON = " The start then goes on by itself."
ASK_AGAIN = " Ask again then."

SOON = timedelta(seconds=2)
"""What EC2 usually takes to attach, detach or delete a volume."""


def start(seen: Seen, settings: Settings, now: datetime, *, asked: bool) -> Decision:
    """The next steps towards this instance running, if that is wanted: asked for now, or in the last hour and not done.

    Where it is not wanted, what came back is settled, and volumes are put back whose lock came too late.
    """
    instance = seen.instance
    if not opted_in(instance, settings):
        return _refuse(f"{instance.id} is not opted in: tag it {settings.opt_in_tag_key}=true and ask again.")
    if instance.state == "pending":
        return Decision(reason=f"{instance.id} is starting.", outcome=Outcome.GOING_ON)
    if instance.state == "running":
        return _settle(seen, settings, now)
    if instance.state != "stopped":
        return _refuse(f"{instance.id} is {instance.state}.")
    if not asked and start_under_way(seen, settings, now) and _begun(seen):
        return Decision(reason=f"{instance.id} is being started.", outcome=Outcome.GOING_ON)
    again = next_try(seen, settings, now)
    if not asked and again and now < again:
        reason = f"EC2 had no capacity for {instance.id}; its start is tried again at {again:%H:%M} UTC."
        return Decision(reason=reason, outcome=Outcome.GOING_ON)
    wanted = asked or again is not None or start_pending(seen, settings, now)
    remember = remembering(seen, now) if asked else ()
    if not root_detached(seen):
        return _with_root(seen, settings, now, remember, wanted=wanted)
    if left := _left(seen):
        return _put_back(seen, settings, now, left, remember, wanted=wanted)
    if wanted or any(m.restored for m in marked(seen)):
        return _restore(seen, settings, now, remember, wanted=wanted)
    staying = [m for m in marked(seen) if m.at]
    return Decision(reason=f"{instance.id} is parked.", steps=_stages(_unmark(staying, settings, now)))


def restore(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """The next steps towards this instance having its volumes back, as for a start, and staying stopped."""
    decision = start(seen, settings, now, asked=True)
    of_a_start = [s for stage in decision.steps for s in stage if isinstance(s, StartInstance | RememberStart)]
    rest = _stages(*(tuple(s for s in stage if s not in of_a_start) for stage in decision.steps))
    if not any(isinstance(s, StartInstance) for s in of_a_start):
        return replace(decision, reason=decision.reason.replace(GOES_ON, ASK_AGAIN), steps=rest)
    words = f"The volumes of {seen.instance.id} are brought back" if rest else f"{seen.instance.id} has its volumes"
    return replace(decision, reason=f"{words}; it is not started.", steps=rest)


def _refuse(reason: str, *steps: Stage) -> Decision:
    return Decision(reason=reason, outcome=Outcome.REFUSED, steps=_stages(*steps))


def _not_yet(reason: str, remember: Stage) -> Decision:
    return Decision(reason=reason, outcome=Outcome.GOING_ON, steps=_stages(remember), look_again=SOON)


def _begun(seen: Seen) -> bool:
    """Whether a start has put something back or restored it; one that waits for a deletion has not, and has ended."""
    return not root_detached(seen) or any(m.restored for m in marked(seen))


def _after_deletion(reason: str, remember: Stage) -> Decision:
    """What waits for the park side to delete volumes: the sweep of every minute goes on."""
    return Decision(reason=reason, outcome=Outcome.GOING_ON, steps=_stages(remember))


def _stages(*stages: Stage) -> tuple[Stage, ...]:
    return tuple(stage for stage in stages if stage)


def remembering(seen: Seen, now: datetime) -> tuple[RememberStart, ...]:
    """The request is written on the snapshots of this stop, so that it outlives the pass that took it; but not on
    failed ones, which are discarded."""
    kept = (r for r in seen.records if r.state != "error")
    of_this_stop = [r for r in kept if r.launch_time == seen.instance.launch_time]
    if not of_this_stop or any(r.start_requested and now < r.start_requested + REMEMBERED for r in of_this_stop):
        return ()
    return (RememberStart(snapshot_ids=tuple(r.snapshot_id for r in of_this_stop), at=now),)


def requested(seen: Seen, now: datetime) -> Seen:
    """What is seen once the request is written down."""
    launch = seen.instance.launch_time
    marked_so = (
        replace(r, start_requested=now, start_refused=None) if r.launch_time == launch else r for r in seen.records
    )
    return replace(seen, records=tuple(marked_so))


def without_capacity(seen: Seen, decision: Decision, now: datetime) -> Stage:
    """What is written down of a start for which EC2 had no capacity; nothing where no request is remembered."""
    written = (step.at for stage in decision.steps for step in stage if isinstance(step, RememberStart))
    requested = next(written, last_request(seen))
    ids = tuple(r.snapshot_id for r in seen.records if r.launch_time == seen.instance.launch_time)
    return (RememberStart(snapshot_ids=ids, at=requested, refused=now),) if ids and requested else ()


# The root volume is attached.


def _with_root(seen: Seen, settings: Settings, now: datetime, remember: Stage, *, wanted: bool) -> Decision:
    if until := _blind_until(seen, settings, now):
        words = f"Another root volume was attached to {seen.instance.id} while its volumes were being deleted."
        reason = f"{words} Nothing is done before {until:%H:%M:%S} UTC, when everybody has seen it."
        return _after_deletion(reason + (GOES_ON if wanted else ""), remember)
    return _start_as_it_is(seen, remember) if wanted else _settle(seen, settings, now)


def _blind_until(seen: Seen, settings: Settings, now: datetime) -> datetime | None:
    """Until when passes may be at work that take the originals away, since they do not see that somebody attached
    another root volume; None where there are none."""
    generation, root = given_up(seen), seen.instance.root_device
    if generation is None or generation.missing or not attempt_of(seen, generation.name):
        return None
    theirs = [
        at.attach_time + settings.quiet_period for v, at in attached(seen) if at.device == root and v.mark is None
    ]
    return max((until for until in theirs if now < until), default=None)


def _start_as_it_is(seen: Seen, remember: Stage) -> Decision:
    instance = seen.instance
    if not _joined(seen):
        return _not_yet(f"Volumes of {instance.id} are still being attached.", remember)
    if words := displaced(seen):
        return _refuse(words)
    begin = (StartInstance(instance_id=instance.id),)
    return Decision(reason=f"{instance.id} is started.", steps=_stages(remember, *_complete(seen), begin))


def _settle(seen: Seen, settings: Settings, now: datetime) -> Decision:
    """What came back gets its DeleteOnTermination again, and loses its mark once it can not be seen as it was before.

    A running instance gets no volume of ours any more: what is free then has been taken away, and loses its mark too.
    """
    reason = f"{seen.instance.id} is {seen.instance.state}."
    if not _joined(seen):
        return Decision(reason=reason)
    running = seen.instance.state == "running"
    over = [m for m in marked(seen) if m.at or (running and m.state == "available")]
    return Decision(reason=reason, steps=_stages(*_complete(seen), _unmark(over, settings, now)))


def _unmark(over: Sequence[Marked], settings: Settings, now: datetime) -> Stage:
    old = [m for m in over if now > m.mark.at + settings.settle_period]
    return tuple(
        UnmarkVolumes(volume_ids=tuple(m.id for m in old if m.mark == mark), mark=mark)
        for mark in sorted({m.mark for m in old}, key=lambda mark: mark.at)
    )


def _joined(seen: Seen) -> bool:
    """Whether nothing is on its way: everything attached is settled, no volume in transit is between two states."""
    return settled(seen) and all(m.state in ("in-use", "available", "error") for m in marked(seen))


def _complete(seen: Seen) -> tuple[Stage, Stage]:
    """A volume in transit that is free while its device is free too belongs there, unless the instance runs without."""
    free = [m for m in marked(seen) if m.state == "available" and seen.instance.on(m.place.device) is None]
    missing = free if seen.instance.state == "stopped" else []
    there = [m for m in marked(seen) if m.at]
    return tuple(_attach(m, seen) for m in missing), _deletion_flags(seen, [*missing, *there])


def _attach(m: Marked, seen: Seen) -> AttachVolume:
    return AttachVolume(instance_id=seen.instance.id, device=m.place.device, card=m.place.card, volume_id=m.id)


def _deletion_flags(seen: Seen, volumes: Sequence[Marked]) -> Stage:
    """DeleteOnTermination as it was: EC2 sets it to false for whatever is attached after the launch."""
    wrong = [m for m in volumes if m.altered or (m.at is None and m.place.delete_on_termination)]
    flags = {m.place.device: m.place.delete_on_termination for m in wrong}
    return _set_flags(seen, flags)


def _set_flags(seen: Seen, flags: Mapping[str, bool]) -> Stage:
    return (SetDeleteOnTermination(instance_id=seen.instance.id, devices=flags),) if flags else ()


# The root volume is detached, original volumes exist.


def _left(seen: Seen) -> list[Marked]:
    """The originals of what was parked. Once its root volume is gone, what another attempt only marked is none of them:
    it was not taken along, since the instance was then opted in for its root volume only, and it stays attached."""
    generation = given_up(seen)
    if root_in_transit(seen) or generation is None or generation.missing:
        return originals(seen)
    return [m for m in originals(seen) if m.at is None or m.mark.generation == generation.name]


def _put_back(
    seen: Seen, settings: Settings, now: datetime, left: Sequence[Marked], remember: Stage, *, wanted: bool
) -> Decision:
    """A wanted start puts the originals back. So does the sweep where the attempt is void: its lock came after another
    launch, or nobody confirmed it, and the pass that could is dead."""
    instance = seen.instance
    root = root_in_transit(seen)
    if root is None:
        return _without_root(seen, left, remember, wanted=wanted)
    void = root.mark.launch_time != instance.launch_time or unconfirmed(seen, given_up(seen))
    if not (wanted or (void and now > root.mark.at + settings.quiet_period)):
        return Decision(reason=f"{instance.id} is being parked.")
    if words := held_up(seen, root):
        return _refuse(words, remember)
    attempt = attempt_of(seen, root.mark.generation)
    if any(m.state not in ("available", "in-use") or (m.at and m.at.state != "attached") for m in attempt):
        return _not_yet(f"Volumes of {instance.id} are still being detached.", remember)
    if words := without_some(seen, root):
        if void:
            return _refuse(f"{words}. {BY_HAND}", remember)
        return _after_deletion(f"{words}: it is restored from its snapshots once the others are deleted.", remember)
    data = tuple(_attach(m, seen) for m in attempt if m.at is None and m.id != root.id)
    begin: Stage = (StartInstance(instance_id=instance.id),) if wanted else ()
    steps = _stages(remember, data, (_attach(root, seen),), _deletion_flags(seen, attempt), begin)
    return Decision(reason=f"The volumes of {instance.id} are put back.", steps=steps)


def _without_root(seen: Seen, left: Sequence[Marked], remember: Stage, *, wanted: bool) -> Decision:
    """The root volume is gone, others are left: they are deleted next, if it went the way that the snapshots tell."""
    instance = seen.instance
    generation = given_up(seen)
    if generation is None or all(m.mark.generation != generation.name for m in left):
        words = (
            f"{instance.id} has no root volume, and its snapshots do not say that it was parked. Nothing was changed"
        )
        return _refuse(f"{words}; attach its root volume at {instance.root_device}, and ask again.")
    if generation.missing:
        return _refuse(_nothing_whole(seen, generation))
    if words := _astray(seen, generation):
        return _refuse(words)
    if not wanted:
        return Decision(reason=f"{instance.id} is being parked.")
    return _after_deletion(f"The last volumes of {instance.id} are being deleted; then it is restored.", remember)


# The root volume is detached, the originals are gone.


def _restore(seen: Seen, settings: Settings, now: datetime, remember: Stage, *, wanted: bool) -> Decision:
    """Volumes from the snapshots, and then the start. A restoration once begun is finished even when it is no longer
    wanted, and the instance is then parked anew: a volume that somebody may have written on is never just deleted."""
    instance = seen.instance
    generation = given_up(seen)
    if generation is None or generation.missing:
        return _refuse(_nothing_whole(seen, generation))
    if words := _astray(seen, generation):
        return _refuse(words)
    ids = {r.volume_id for r in generation.parts}
    left = [v for v in seen.volumes if v.id in ids]
    if left:
        words = f"{', '.join(v.id for v in left)} of {instance.id} still exists"
        return _not_yet(f"{words}; once deleted, it is restored.", remember)
    if words := _in_the_way(seen, generation):
        return _refuse(words)
    restored = [m for m in marked(seen) if m.restored]
    if leaving := [m.id for m in restored if m.at and m.at.state == "detaching"]:
        return _not_yet(f"{', '.join(leaving)} of {instance.id} is being detached.", remember)
    attached_last = sorted(restored, key=lambda m: m.at is not None)
    made = {m.place.snapshot_id: m for m in attached_last if m.state in ("creating", "available", "in-use")}
    if archived := [r for r in generation.parts if r.archived and r.snapshot_id not in made]:
        return _from_archive(seen, now, archived, wanted=wanted)
    missing = [r for r in generation.parts if not _is_on(r, seen, made)]
    attach = [(r.device, _attach_restored(r, seen, made)) for r in missing]
    begin: Stage = (StartInstance(instance_id=instance.id),) if wanted else ()
    words = f"{instance.id} is restored from its {len(generation.parts)} snapshots"
    return Decision(
        reason=f"{words} and started." if wanted else f"{words}.",
        steps=_stages(
            remember,
            *_create(seen, settings, [r for r in missing if r.snapshot_id not in made]),
            tuple(step for device, step in attach if device != instance.root_device),
            tuple(step for device, step in attach if device == instance.root_device),
            _set_flags(seen, {r.device: True for r in generation.parts if r.delete_on_termination}),
            begin,
        ),
    )


def _astray(seen: Seen, generation: Generation) -> str:
    """A sentence where an original exists that nobody may delete, since it bears no mark; else empty."""
    ids = {r.volume_id for r in generation.parts}
    if strays := [v.id for v in seen.volumes if v.id in ids and v.mark is None and v.state != "deleting"]:
        words = f"{', '.join(strays)} of {seen.instance.id} still exists, and no mark says that it may be replaced"
        return f"{words}. Nothing was changed; attach it again, or delete it, and ask again."
    return ""


def _from_archive(seen: Seen, now: datetime, archived: Sequence[Record], *, wanted: bool) -> Decision:
    """A request is forgotten after an hour, and this takes days: every look writes it down anew."""
    words = f"The snapshots of {seen.instance.id} come back from the archive tier, which takes up to 72 hours."
    steps = _stages(remembering(seen, now) if wanted else (), bring_back(archived, seen.moving))
    return Decision(reason=words + (GOES_ON if wanted else ""), outcome=Outcome.GOING_ON, steps=steps)


def initialization_rate(instance: Instance, settings: Settings) -> int | None:
    """MiB/s at which EC2 is to load an instance's volumes: those of its tag, if it is a rate, else of the setting."""
    word = instance.tags.get(INITIALIZATION_RATE, "")
    tagged = int(word) if re.fullmatch("[0-9]{1,3}", word) else -1
    rate = tagged if tagged == 0 or tagged in RATES else settings.volume_initialization_rate
    return rate or None


def _create_one(r: Record, attempt: int, rate: int | None) -> CreateVolume:
    """Only the first attempt asks for a rate: where EC2 refuses it, another attempt is counted, and goes without.

    The rate is part of the token, which EC2 takes with one set of parameters only.
    """
    if rate and attempt == 1:
        return CreateVolume(record=r, token=f"{r.snapshot_id}-1-{rate}", rate=rate)
    return CreateVolume(record=r, token=f"{r.snapshot_id}-{attempt}")


def _create(seen: Seen, settings: Settings, parts: Sequence[Record]) -> tuple[Stage, Stage]:
    """The volumes still to be made; a new attempt, with a new token, for as many as are seen dead of a snapshot."""
    dead = Counter(m.place.snapshot_id for m in marked(seen) if m.restored and m.state == "error")
    needed = [(r, max(r.attempt, 1 + dead[r.snapshot_id])) for r in parts]
    count = tuple(CountAttempt(snapshot_id=r.snapshot_id, attempt=n) for r, n in needed if n > r.attempt)
    rate = initialization_rate(seen.instance, settings)
    return count, tuple(_create_one(r, n, rate) for r, n in needed)


def _is_on(r: Record, seen: Seen, made: Mapping[str, Marked]) -> bool:
    """Whether the volume made from the snapshot is attached; at its device also without its mark, if it was settled."""
    if r.snapshot_id in made:
        return made[r.snapshot_id].at is not None
    there = [(v.snapshot_id, at.device) for v, at in attached(seen) if at.state != "detaching"]
    return (r.snapshot_id, r.device) in there


def _attach_restored(r: Record, seen: Seen, made: Mapping[str, Marked]) -> AttachVolume:
    known = made[r.snapshot_id].id if r.snapshot_id in made else ""
    return AttachVolume(
        instance_id=seen.instance.id, device=r.device, card=r.card, volume_id=known, snapshot_id=r.snapshot_id
    )


def _nothing_whole(seen: Seen, generation: Generation | None) -> str:
    instance = seen.instance
    if generation:
        words = (
            f"Of the snapshots of {instance.id}, {', '.join(generation.missing)} is missing. Nothing was changed. "
            f"{_recycle_bin(instance.id)}"
        )
    elif seen.records:
        ids = ", ".join(sorted(r.snapshot_id for r in seen.records))
        words = (
            f"{instance.id} has no root volume, and its snapshots ({ids}) are not those of its last stop. Nothing was "
            "changed; make a volume from the snapshot that you want and attach it by hand."
        )
    else:
        words = f"{instance.id} has no root volume and no snapshots of ParkVolumes to make one from. "
        words += _recycle_bin(instance.id)
    return " ".join((words, *seen.damaged))


def _recycle_bin(instance_id: str) -> str:
    """How to get back a snapshot that somebody deleted; the bin shows descriptions, and keeps tags."""
    return (
        f"Look in the Recycle Bin (aws ec2 list-snapshots-in-recycle-bin) for those described as ParkVolumes: ... of "
        f"{instance_id}, bring them back (aws ec2 restore-snapshot-from-recycle-bin --snapshot-id ...), and ask again."
    )


def _in_the_way(seen: Seen, generation: Generation) -> str:
    """What speaks against restoring, as a sentence: another zone, or another volume at a device of ours.

    Such a volume is for instance an empty one that Terraform made while the instance was parked.
    """
    instance = seen.instance
    source = {v.id: v.snapshot_id for v in seen.volumes}
    held = attached(seen)
    for r in generation.parts:
        if r.zone != instance.zone:
            return f"{r.snapshot_id} is of a volume in {r.zone}, but {instance.id} is in {instance.zone}."
        for v, at in held:
            if v.snapshot_id == r.snapshot_id and at.device != r.device:
                return (
                    f"{v.id}, made from {r.snapshot_id}, is attached to {instance.id} at {at.device} instead of "
                    f"{r.device}. Nothing was changed; attach it where it belongs, or delete it, and ask again."
                )
        there = instance.on(r.device)
        if there and source.get(there.volume_id) != r.snapshot_id:
            return (
                f"The device {r.device} of {instance.id} is taken by {there.volume_id}, which is not made from "
                f"{r.snapshot_id}. Nothing was changed; detach that volume "
                f"(aws ec2 detach-volume --volume-id {there.volume_id}) and ask again."
            )
    return ""
