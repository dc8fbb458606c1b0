"""What the park side does about one instance: copy, lock, commit, dismantle.

``docs/safety.md`` has the order and the reason for it. In short: no volume is given up before every volume of the
attempt has a completed and locked snapshot. Detaching the root volume is the lock, because EC2 does not start an
instance without one. Deleting it is the commit, because a start either puts that volume back or finds it gone."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from park_volumes.core import steps, tags, way_back
from park_volumes.core.archive import archive
from park_volumes.core.choice import stays_in_words, volumes_to_park
from park_volumes.core.due import changing
from park_volumes.core.evidence import changed, is_copy, says
from park_volumes.core.facts import NEVER, Attachment, Observation, SnapshotRecord, TransitMark, Volume, VolumeInTransit
from park_volumes.core.phase import Phase, phase_of, start_pending
from park_volumes.core.refusals import (
    BY_HAND,
    device_taken,
    ever_changing,
    hidden_volumes,
    left_too_long,
    missing_originals,
    misspelt_opt_in,
    not_to_be_parked,
    parked_beside_another_root,
    parked_elsewhere,
    put_back_obstacle,
)
from park_volumes.core.retention import (
    discard,
    discard_superseded,
    discard_while_parked,
    next_discard,
    retain,
    superseded_while_parked,
)
from park_volumes.core.settings import Settings
from park_volumes.core.steps import Decision, Outcome, Stage, going_on, refuse, stages

DETACHING = timedelta(seconds=15)
"""When the park side looks again at what EC2 does in seconds, such as a detachment: no event tells of it."""
RETRY_SNAPSHOT = timedelta(minutes=5)
"""How long after a failed snapshot the next one is taken."""


def park(seen: Observation, settings: Settings, now: datetime, *, take_snapshots: bool = True) -> Decision:  # noqa: C901, PLR0912  # one case for each phase; mypy checks that none is missing
    """The next steps to park this instance, or the reason why there are none.
    Without ``take_snapshots``, the snapshots that are still needed are left to another message."""
    instance, phase = seen.instance, phase_of(seen)
    if phase is Phase.ENDED:
        return retain(seen, settings, now)
    if not tags.opted_in(instance.tags, settings):
        words = misspelt_opt_in(instance, settings)
        return refuse(words) if words else Decision(reason=f"{instance.id} is not opted in.")
    if over := _rehearsals_over(seen, settings, now):
        return over
    if dead := [v.id for v in seen.restored if v.state == "error"]:
        reason = (
            f"EC2 could not create {', '.join(dead)} for {instance.id}. What failed is deleted; every snapshot is kept."
        )
        deleted = tuple(steps.DeleteVolume(volume_id=v) for v in dead)
        return Decision(reason=reason, steps=(deleted,), look_again=DETACHING)
    match phase:
        case Phase.CHANGING:
            return Decision(reason=f"{instance.id} is {instance.state}.")
        case Phase.RUNNING:
            return discard_superseded(seen, settings, now)
        case Phase.WHOLE:
            copy = _copy(seen, settings, now, take_snapshots=take_snapshots)
            return _with_what_stays(copy, seen, settings) if copy.outcome is Outcome.GOING_ON else copy
        case Phase.LOCK_VOID:
            return _leave_to_start_side(seen)
        case Phase.BROKEN:
            return _broken(seen)
        case Phase.LOCKED | Phase.COMMITTED:
            return _unlocked(seen, settings) or _give_up(seen, settings, now)
        case Phase.RESTORING:
            return _unlocked(seen, settings) or Decision(reason=f"{instance.id} is being restored.")
        case Phase.PARKED:
            waiting = _unlocked(seen, settings) or discard_while_parked(seen, settings, now)
            return waiting or _with_what_stays(archive(seen, settings, now), seen, settings)
        case _:
            assert_never(phase)


def _rehearsals_over(seen: Observation, settings: Settings, now: datetime) -> Decision | None:
    """Delete the volumes that were created only to try a key, once the verdict is written, or the pass that should have
    written it is over."""
    tried = [(v, r.verdict) for v, r in seen.rehearsals if v.state in ("available", "error")]
    old = now - settings.quiet_period
    over = [v.id for v, verdict in tried if v.created < old or (verdict and verdict.at >= v.created)]
    reason = f"Deletes {', '.join(over)}, created only to try a key of {seen.instance.id}."
    delete = tuple(steps.DeleteVolume(volume_id=v) for v in over)
    return going_on(reason, steps=(delete,), again=DETACHING) if over else None


def _with_what_stays(decision: Decision, seen: Observation, settings: Settings) -> Decision:
    """The same, with a reason that says which volumes stay attached although their owner did not say so."""
    return replace(decision, reason=f"{decision.reason}{stays_in_words(seen, settings)}")


def needs_park_pass(seen: Observation, settings: Settings, now: datetime) -> bool:
    """Whether a park pass should look at this instance closer. The sweep itself sees only marked volumes."""
    phase = phase_of(seen)
    match phase:
        case Phase.ENDED:
            return bool(retain(seen, settings, now).steps)
        case _ if seen.in_transit or seen.rehearsals:
            return True
        case Phase.CHANGING:
            by = changing(seen, settings)
            return by is not None and now >= by
        case Phase.RUNNING:
            due = next_discard(seen, settings)
            return due is not None and now >= due
        case Phase.WHOLE | Phase.LOCK_VOID | Phase.LOCKED | Phase.BROKEN | Phase.COMMITTED | Phase.RESTORING:
            return True
        case Phase.PARKED:
            named = {r.volume_id for r in seen.records}
            left = any(m.volume_id in named for m in seen.instance.mappings)
            return left or bool(superseded_while_parked(seen, settings, now))
        case _:
            assert_never(phase)


# WHOLE: a snapshot of every volume, then the lock.


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One volume of an attempt, ``number`` like "1/3", and the snapshots that count for it: usable ones first."""

    generation: str
    number: str
    volume: Volume
    attachment: Attachment
    snapshots: tuple[SnapshotRecord, ...]

    @property
    def completed(self) -> bool:
        return bool(self.snapshots) and self.snapshots[0].state == "completed"

    @property
    def failed(self) -> list[SnapshotRecord]:
        return [r for r in self.snapshots if r.state == "error"]

    @property
    def pending(self) -> bool:
        return len(self.snapshots) > len(self.failed)

    def snapshot(self, settings: Settings, launch_time: datetime) -> steps.CreateSnapshot:
        generation, part = self.generation, self.number
        at = self.attachment
        return _create_snapshot(self.volume, at, settings, launch_time=launch_time, generation=generation, part=part)


def _copy(seen: Observation, settings: Settings, now: datetime, *, take_snapshots: bool) -> Decision:
    instance = seen.instance
    if not seen.descriptions_agree:
        if words := hidden_volumes(seen):
            return refuse(f"{instance.id} is not parked. {words}")
        return going_on(f"Volumes of {instance.id} are being attached or detached.", again=DETACHING)
    volumes = volumes_to_park(seen, settings)
    if words := not_to_be_parked(seen, [v for v, _ in volumes], settings):
        return refuse(f"{instance.id} is not parked. {words}")
    if hold := _hold(seen, settings, now) or _busy(seen, [v.id for v, _ in volumes]):
        return hold
    generation = _generation_name(instance.launch_time, volumes)
    parts = []
    for n, (v, a) in enumerate(volumes, start=1):
        copies, number = _snapshots_of(seen, generation, v, a), f"{n}/{len(volumes)}"
        parts.append(_Part(generation=generation, number=number, volume=v, attachment=a, snapshots=copies))
    waiting = _take_snapshots(seen, settings, now, parts, take_snapshots=take_snapshots)
    return waiting or _lock(seen, settings, now, generation, parts)


def _hold(seen: Observation, settings: Settings, now: datetime) -> Decision | None:
    """The reason to do nothing yet: a start is under way, or a volume was attached just now."""
    instance = seen.instance
    if words := device_taken(seen) or parked_beside_another_root(seen):
        return refuse(words)
    if start_pending(seen, settings, now):
        return Decision(reason=f"A start of {instance.id} was requested within the last hour.")
    if unsettled := [v.id for v in seen.in_transit if _unsettled(v, instance.launch_time)]:
        return Decision(reason=f"{', '.join(unsettled)} of {instance.id} came back and must be settled first.")
    quiet_at = max(a.attach_time for _, a in seen.attached) + settings.quiet_period
    if now <= quiet_at:
        return going_on(f"A volume of {instance.id} was attached only a moment ago.", again=quiet_at - now)
    return None


def _busy(seen: Observation, volume_ids: Iterable[str]) -> Decision | None:
    """The reason to wait for others who are at work on these volumes; EC2 sends no event for it."""
    ids, i = set(volume_ids), seen.instance.id
    if modifying := sorted(ids & seen.modifying):
        return going_on(f"Somebody is modifying {', '.join(modifying)} of {i}; parking goes on after that.")
    if being_copied := sorted(ids & seen.being_copied):
        return going_on(f"Parking {i} waits for somebody else's pending snapshot of {', '.join(being_copied)}.")
    return None


def _unsettled(v: VolumeInTransit, launch_time: datetime) -> bool:
    """A mark of this launch on a volume that never left does not count: this attempt writes it again."""
    return v.attachment is None or v.came_back or v.flag_differs or v.mark.launch_time != launch_time


def _generation_name(launch_time: datetime, volumes: Sequence[tuple[Volume, Attachment]]) -> str:
    """The name of an attempt at parking exactly these volumes as they are: two passes at once find the same one."""
    words = [launch_time.isoformat(), *sorted(_as_it_is(v, a) for v, a in volumes)]
    return hashlib.sha256("\n".join(words).encode(errors="surrogatepass")).hexdigest()[:16]


def _as_it_is(v: Volume, a: Attachment) -> str:
    at = (a.device, a.card, a.delete_on_termination, a.attach_time.isoformat())
    return repr((v.id, at, v.spec.words(), v.spec.kms_key, sorted(tags.owner_tags(v.tags).items())))


def _snapshots_of(seen: Observation, generation: str, volume: Volume, a: Attachment) -> tuple[SnapshotRecord, ...]:
    """The snapshots that count for this attachment: completed ones first, and of those the newest first."""
    found = [r for r in seen.records if r.generation == generation and is_copy(r, volume, a, seen.instance)]
    return tuple(sorted(sorted(found, key=lambda r: r.order, reverse=True), key=lambda r: r.state != "completed"))


def _take_snapshots(
    seen: Observation, settings: Settings, now: datetime, parts: Sequence[_Part], *, take_snapshots: bool
) -> Decision | None:
    """The snapshots still to take or to wait for; None once all are completed."""
    instance = seen.instance
    left = [part for part in parts if not part.completed]
    just_failed = [p for p in left if not p.pending and any(now < r.started + RETRY_SNAPSHOT for r in p.failed)]
    if needed := [part for part in left if not part.pending and part not in just_failed]:
        reason = f"{instance.id} is stopped. Volumes that still need a snapshot: {len(needed)} of {len(parts)}."
        if lost := sorted({key for part in parts for key in tags.tags_of_aws(part.volume.tags)}):
            reason = f"{reason} Tags that only AWS can write will not come back: {', '.join(lost)}."
        if not take_snapshots:
            return going_on(f"{reason} Another message asks for them.")
        if words := ever_changing(seen, [part.volume.id for part in needed], now):
            return refuse(f"{instance.id} is not parked. {words}")
        discarded = tuple(discard(r, seen) for part in needed for r in part.failed)
        create = tuple(part.snapshot(settings, instance.launch_time) for part in needed)
        return going_on(reason, steps=stages(discarded, create))
    running = [
        f"{part.attachment.device} failed and is retried in a few minutes"
        if part in just_failed
        else f"{part.attachment.device} {part.snapshots[0].progress or '0%'}"
        for part in left
    ]
    return going_on(f"Snapshots of {instance.id} are running: {', '.join(running)}.") if running else None


def _create_snapshot(
    volume: Volume, a: Attachment, settings: Settings, *, launch_time: datetime, generation: str, part: str
) -> steps.CreateSnapshot:
    record = tags.tags_of_record(
        volume, a, deployment=settings.deployment, launch_time=launch_time, generation=generation, part=part
    )
    born_with = record | tags.tags_of_home(settings)
    return steps.CreateSnapshot(volume_id=volume.id, description=tags.description_of(born_with), tags=born_with)


def _lock(seen: Observation, settings: Settings, now: datetime, generation: str, parts: Sequence[_Part]) -> Decision:
    """Every volume has its completed snapshot: lock the snapshots, mark the volumes, detach the root volume.
    The snapshots are confirmed last, by the pass that detached the exact attachment that they copy: nothing else proves
    that nobody else has detached the root volume, or detached it and attached it again, since it was observed."""
    instance = seen.instance
    copies = [part.snapshots[0] for part in parts]
    ripe = min(r.started for r in copies) + settings.grace_period
    if now < ripe:
        reason = f"{instance.id} has its snapshots; its volumes stay attached until the grace period is over."
        return going_on(reason, again=ripe - now)
    mark = TransitMark(
        deployment=settings.deployment,
        instance_id=instance.id,
        generation=generation,
        launch_time=instance.launch_time,
        at=now,
    )
    marks = tuple(steps.MarkVolume(volume_id=r.volume_id, mark=mark, target=r.target) for r in copies)
    if waiting := _await_way_back(seen, now, copies, marks) or _await_end_of_rehearsal(seen, settings, now, copies):
        return waiting
    detachments = (_detach(part.volume, part.attachment) for part in parts)
    tries = (steps.TryGivingUp(parts=tuple(zip(detachments, copies, strict=True))),)
    root = next(part for part in parts if part.attachment.device == instance.root_device)
    detach = (_detach(root.volume, root.attachment),)
    confirm = (steps.ConfirmSnapshots(snapshot_ids=tuple(r.snapshot_id for r in copies), at=mark.at),)
    reason = f"All snapshots of {instance.id} ({len(copies)}) are completed: its root volume is detached."
    over = settings.lock_period + timedelta(seconds=1)
    return going_on(reason, steps=stages(_locks(seen, settings, copies), marks, tries, detach, confirm), again=over)


def _locks(seen: Observation, settings: Settings, copies: Sequence[SnapshotRecord]) -> Stage:
    """For the copies that nobody has locked: EC2 refuses to change what is locked in compliance mode. Nobody knows
    whether it shows the lock of an archived one."""
    bare = (r for r in copies if r.snapshot_id not in seen.locked and not r.archived)
    to_lock = bare if settings.lock_snapshots else ()
    return tuple(steps.LockSnapshot(snapshot_id=r.snapshot_id) for r in to_lock)


def _await_way_back(
    seen: Observation, now: datetime, copies: Sequence[SnapshotRecord], marks: Stage
) -> Decision | None:
    """The reason why nothing is detached yet: the start side has not tried the way back, or EC2 denies it."""
    verdicts = [(r, way_back.verdict_on(r, seen)) for r in copies]
    if all(way_back.is_allowed(v, now) for _, v in verdicts):
        return None
    ask: Stage = () if way_back.asked_already(copies, seen) else marks
    if denied := [(r, v) for r, v in verdicts if way_back.is_denied(v, now)]:
        r, v = denied[0]
        again = ask if now >= v.at + way_back.DENIAL_LASTS else ()
        return refuse(f"{seen.instance.id} is not parked. {way_back.in_words(v, r)}", again)
    reason = f"{seen.instance.id} has its snapshots. ParkVolumes detaches nothing before it has tested the way back."
    return going_on(reason, steps=stages(ask), again=way_back.ANSWERED)


def _await_end_of_rehearsal(
    seen: Observation, settings: Settings, now: datetime, copies: Sequence[SnapshotRecord]
) -> Decision | None:
    """Wait until every volume that was created only to try a key is deleted, and none can appear any more: a pass may
    have created another one because it did not see the verdict yet."""
    verdicts = (way_back.verdict_on(r, seen) for r in copies)
    over = max((v.rehearsed for v in verdicts if v and v.rehearsed), default=NEVER) + settings.settle_period
    if now > over and not seen.rehearsals:
        return None
    reason = f"A volume was created to try a key of {seen.instance.id}; it is deleted before anything is detached."
    return going_on(reason, again=max(over - now, DETACHING))


def _detach(v: Volume, a: Attachment) -> steps.DetachVolume:
    return steps.DetachVolume(volume_id=v.id, instance_id=a.instance_id, device=a.device, attach_time=a.attach_time)


# LOCK_VOID and BROKEN: nothing is given up.


def _leave_to_start_side(seen: Observation) -> Decision:
    instance, root = seen.instance, seen.marked_root
    if root and (words := put_back_obstacle(seen, root)):
        return refuse(words)
    if root and (words := missing_originals(seen, root)):
        return refuse(f"{words}. {BY_HAND}")
    stale = changed(seen.originals_of(root.mark.generation)) if root else []
    if ids := ", ".join(v.id for v in stale):
        return going_on(f"Somebody changed {ids} of {instance.id} after the snapshot: all volumes are put back.")
    return going_on(f"No pass confirmed that it detached the root volume of {instance.id}: the volume is put back.")


def _broken(seen: Observation) -> Decision:
    instance, generation = seen.instance, seen.generation
    if words := parked_elsewhere(seen):
        return refuse(words)
    if generation is None:
        return refuse(f"{instance.id} has no root volume, and no snapshots that replaced it at its last stop.")
    return refuse(f"Snapshots of {instance.id} are missing ({', '.join(generation.missing)}): no volume is deleted.")


# LOCKED and COMMITTED: the volumes are given up, if everything needed for that was seen.


def _unlocked(seen: Observation, settings: Settings) -> Decision | None:
    """Somebody has unlocked a snapshot, or the deployment has only now been told to lock them."""
    locks = _locks(seen, settings, seen.given_up.parts)
    reason = f"Not all snapshots of {seen.instance.id} are locked: they are locked before any volume is deleted."
    return going_on(reason, steps=stages(locks), again=DETACHING) if locks else None


def _give_up(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """Delete the root volume, which is the commit. Then detach the others, and delete them in a later pass."""
    instance, generation = seen.instance, seen.given_up
    proven = [v for v in seen.in_transit if _proven(v, seen)]
    if unproven := [v.id for v in seen.left_of(generation) if v.id not in {p.id for p in proven}]:
        words = f"No volume of {instance.id} is deleted, because of {', '.join(unproven)}"
        return refuse(f"{words}: no mark of this attempt, or attached elsewhere.")
    root = next((v for v in proven if v.target.device == instance.root_device), None)
    over = (root.mark.at if root else generation.confirmed_at) + settings.lock_period
    if now < over:
        reason = f"The root volume of {instance.id} is detached; nothing is deleted before the quiet period is over."
        return going_on(reason, again=over - now + timedelta(seconds=1))
    if busy := _busy(seen, generation.volume_ids):
        return busy
    data = [v for v in proven if v is not root]
    if root:
        return _commit(seen, root, data)
    if copy := _copy_again(seen, settings, now, data):
        return copy
    words = left_too_long(seen, data, now)
    return refuse(words) if words else _dismantle(seen, data)


def _commit(seen: Observation, root: VolumeInTransit, data: Sequence[VolumeInTransit]) -> Decision:
    i = seen.instance.id
    if root.state != "available":
        return going_on(f"The root volume {root.id} of {i} is {root.state}.", again=DETACHING)
    if moved := [v.id for v in data if not _stayed(v)]:
        words = f"{', '.join(moved)} of {i} did not stay attached after the snapshot was taken"
        return refuse(f"{words}: no volume is deleted. Start the instance to put all volumes back.")
    return _dismantle(seen, data, (steps.DeleteVolume(volume_id=root.id),))


def _dismantle(seen: Observation, data: Sequence[VolumeInTransit], commit: Stage = ()) -> Decision:
    detach = tuple(_detach(v.volume, a) for v in data if (a := v.attachment) and a.state == "attached")
    delete = tuple(steps.DeleteVolume(volume_id=v.id) for v in data if v.state == "available")
    reason = f"The volumes of {seen.instance.id} have their snapshots and are deleted."
    again = DETACHING if len(delete) < len(data) else None
    return going_on(reason, steps=stages(commit, detach, delete), again=again)


def _copy_again(
    seen: Observation, settings: Settings, now: datetime, data: Sequence[VolumeInTransit]
) -> Decision | None:
    """After the commit nobody writes to the volumes that are left, but their owner can still modify them or change
    their tags. Then another snapshot takes the place of the one that no longer says what the volume is."""
    stale = [v for v in changed(data) if v.state != "deleting"]
    if not stale:
        return None
    copies = {v.id: _copy_since(v, seen) for v in stale}
    needed = [v for v in stale if _may_be_taken(copies[v.id], now)]
    if words := ever_changing(seen, [v.id for v in needed], now):
        return refuse(f"No volume of {seen.instance.id} is deleted. {words}")
    failed = tuple(discard(r, seen) for v in needed if (r := copies[v.id]))
    taken = tuple(_copy_of(v, settings) for v in needed)
    done = [r for r in copies.values() if r and r.state == "completed"]
    confirm: Stage = (steps.ConfirmSnapshots(snapshot_ids=tuple(r.snapshot_id for r in done), at=now),) if done else ()
    ids = ", ".join(v.id for v in stale)
    reason = f"Somebody changed {ids} of {seen.instance.id} after the snapshot was taken: another one is taken first."
    return going_on(reason, steps=stages(failed, taken, _locks(seen, settings, done), confirm))


def _copy_since(v: VolumeInTransit, seen: Observation) -> SnapshotRecord | None:
    """The snapshot that can take the place of the volume's record: a later one that says what the volume is now."""
    later = (r for r in seen.records if r.generation == v.mark.generation and r.order > v.record.order)
    current = (r for r in later if says(r, v))
    return max(current, key=lambda r: (r.state == "completed", r.order), default=None)


def _may_be_taken(r: SnapshotRecord | None, now: datetime) -> bool:
    """Whether the next snapshot may be taken: there is none, or it failed some time ago."""
    return r is None or (r.state == "error" and now >= r.started + RETRY_SNAPSHOT)


def _copy_of(v: VolumeInTransit, settings: Settings) -> steps.CreateSnapshot:
    """Another snapshot of a volume, as the same part of the same attempt."""
    r = v.record
    at = Attachment(
        instance_id=r.instance_id,
        device=r.device,
        state="",
        attach_time=r.started,
        delete_on_termination=r.delete_on_termination if v.owners_flag is None else v.owners_flag,
        card=r.card,
    )
    part = f"{r.part}/{r.parts}"
    return _create_snapshot(v.volume, at, settings, launch_time=r.launch_time, generation=r.generation, part=part)


def _proven(v: VolumeInTransit, seen: Observation) -> bool:
    """Whether a volume may go: it is an original of the attempt that was given up, in this stop, and attached to no
    other instance."""
    of_this_stop = v.mark.launch_time == seen.instance.launch_time
    return not v.restored and v.record in seen.given_up.parts and of_this_stop and not v.elsewhere


def _stayed(v: VolumeInTransit) -> bool:
    """Whether a volume is attached, and has been since before its snapshot was taken."""
    a = v.attachment
    return a is not None and a.state == "attached" and a.attach_time < v.record.started
