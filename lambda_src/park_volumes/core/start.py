"""What the start side does about one instance: put back, restore, start.

It never deletes anything. While the original root volume exists, the originals are put back; volumes are created from
the snapshots only when all originals are gone. The root volume is attached last: an instance starts with all volumes
or not at all."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from park_volumes.core import refusals, steps, tags
from park_volumes.core.archive import bring_back
from park_volumes.core.evidence import changed
from park_volumes.core.facts import Instance, Observation, SnapshotRecord, VolumeInTransit
from park_volumes.core.phase import Phase, next_try, phase_of, start_pending, start_under_way
from park_volumes.core.queue import remembering
from park_volumes.core.settings import Settings
from park_volumes.core.settle import attach, complete, deletion_flags, nothing_moves, set_flags, settle, unmark
from park_volumes.core.steps import Decision, Stage, going_on, refuse, stages
from park_volumes.core.way_back import try_way_back

INITIALIZATION_RATE = tags.PREFIX + "initialization-rate"
"""A tag that the owner can put on an instance: MiB/s, or 0 for none."""
RATES = range(100, 301)
"""The rates that CreateVolume accepts, in MiB/s."""
SOON = timedelta(seconds=2)
"""When the start side, for which somebody waits, looks again at what EC2 attaches, detaches or deletes."""
RETRY_VOLUME = timedelta(minutes=5)
"""How long a sweep leaves a volume alone that has failed after an earlier attempt. It ends sooner if the park side has
deleted that volume, or if somebody asks again."""


class Intent(StrEnum):
    """Why the start side looks at an instance."""

    SWEEP = "sweep"
    """No new request: a start that was requested earlier continues, and what came back is settled."""
    START = "start"
    START_NOW = "start now"
    """The same where the request could not be written down: nothing carries it on after this pass."""
    RESTORE = "restore"
    """Bring the volumes back, and leave the instance stopped."""


def start(seen: Observation, settings: Settings, now: datetime, *, intent: Intent) -> Decision:  # noqa: C901  # one case for each phase; mypy checks that none is missing
    """The next steps to get this instance running, if that is wanted.
    If it is not wanted, what came back is settled, and volumes whose lock is void are put back."""
    instance, phase = seen.instance, phase_of(seen)
    wish = _Wish(seen=seen, settings=settings, now=now, intent=intent)
    if not tags.opted_in(instance.tags, settings):
        return refuse(f"{instance.id} is not opted in: tag it {settings.opt_in_tag_key}=true and try again.")
    match phase:
        case Phase.CHANGING if instance.state == "pending":
            return going_on(f"{instance.id} is starting.")
        case Phase.ENDED | Phase.CHANGING:
            return refuse(f"{instance.id} is {instance.state}.")
        case Phase.RUNNING:
            return settle(seen, settings, now)
        case _ if waiting := wish.left_to_others(phase):
            return waiting
        case Phase.WHOLE:
            return wish.start_whole()
        case Phase.LOCK_VOID | Phase.LOCKED:
            return wish.put_back(void=phase is Phase.LOCK_VOID)
        case Phase.BROKEN:
            return refuse(refusals.nothing_whole(seen))
        case Phase.COMMITTED:
            return wish.await_deletion()
        case Phase.RESTORING:
            return wish.restore()
        case Phase.PARKED:
            return wish.restore() if wish.wanted else wish.stay_parked()
        case _:
            assert_never(phase)


def initialization_rate(instance: Instance, settings: Settings) -> int | None:
    """MiB/s at which EC2 should load an instance's volumes: from its tag, if that is a rate, else from the setting."""
    word = instance.tags.get(INITIALIZATION_RATE, "")
    tagged = int(word) if re.fullmatch("[0-9]{1,3}", word) else None
    rate = tagged if tagged == 0 or tagged in RATES else settings.volume_initialization_rate
    return rate or None


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What is wanted for an instance, and what was observed of it."""

    seen: Observation
    settings: Settings
    now: datetime
    intent: Intent

    @property
    def wanted(self) -> bool:
        """Whether its volumes are wanted back: requested now, or in the last hour and not done."""
        asked_before = next_try(self.seen, self.settings, self.now) or start_pending(self.seen, self.settings, self.now)
        return self.intent is not Intent.SWEEP or bool(asked_before)

    @property
    def remember(self) -> Stage:
        return remembering(self.seen, self.now) if self.intent is Intent.START else ()

    @property
    def what_follows(self) -> str:
        """What happens after a wait, as the end of a reason."""
        if self.intent is Intent.RESTORE:
            return " Try again then."
        if self.intent is Intent.START_NOW:
            return " Ask for the start again then."
        return " The start then continues by itself." if self.wanted else ""

    @property
    def restored_then(self) -> str:
        return "ask again to restore it" if self.intent is Intent.START_NOW else "it is restored"

    def wait(self, reason: str, *, again: timedelta | None = None) -> Decision:
        return going_on(reason, steps=stages(self.remember), again=again)

    def bring_up(self, reason: str, *before: Stage) -> Decision:
        """These stages, and then the start itself, if it is wanted."""
        i = self.seen.instance.id
        if self.intent is Intent.RESTORE:
            back = f"The volumes of {i} are brought back" if any(before) else f"{i} has its volumes"
            return Decision(reason=f"{back}; the instance is not started.", steps=stages(*before))
        begin: Stage = (steps.StartInstance(instance_id=i),) if self.wanted else ()
        return Decision(reason=reason, steps=stages(self.remember, *before, begin))

    def left_to_others(self, phase: Phase) -> Decision | None:
        """A sweep leaves an instance alone while the requested pass may still run, or EC2 has no capacity."""
        if self.intent is not Intent.SWEEP:
            return None
        begun = phase is Phase.WHOLE or self.seen.restored
        if begun and start_under_way(self.seen, self.settings, self.now):
            return going_on(f"{self.seen.instance.id} is being started.")
        again = next_try(self.seen, self.settings, self.now)
        if again and self.now < again:
            words = f"EC2 had no capacity for {self.seen.instance.id}"
            return going_on(f"{words}; its start is retried at {again:%H:%M} UTC.")
        return None

    # WHOLE.

    def start_whole(self) -> Decision:
        instance = self.seen.instance
        if until := self.stale_passes_until():
            reason = f"Another root volume was attached to {instance.id} while its volumes were being deleted. "
            reason += f"Nothing is done before {until:%H:%M:%S} UTC, when every pass has seen it."
            return self.wait(reason + self.what_follows)
        if not self.wanted:
            return try_way_back(self.seen) or settle(self.seen, self.settings, self.now)
        if not nothing_moves(self.seen):
            return self.wait(f"Volumes of {instance.id} are still being attached.", again=SOON)
        if words := refusals.device_taken(self.seen) or refusals.parked_beside_another_root(self.seen):
            return refuse(words)
        return self.bring_up(f"{instance.id} is started.", *complete(self.seen))

    def stale_passes_until(self) -> datetime | None:
        """Until when a pass may still run that takes the originals away, because it has not seen that somebody attached
        another root volume; None if there is none."""
        generation, root = self.seen.complete_generation, self.seen.instance.root_device
        if generation is None or not self.seen.originals_of(generation.name):
            return None
        ours = {v.id for v in self.seen.in_transit}
        foreign = [a.attach_time for v, a in self.seen.attached if a.device == root and v.id not in ours]
        seen_by_all = [at + self.settings.quiet_period for at in foreign]
        return max((until for until in seen_by_all if self.now < until), default=None)

    # LOCK_VOID and LOCKED: the original root volume is detached, and still exists.

    def put_back(self, *, void: bool) -> Decision:
        """A wanted start puts the originals back. So does the sweep if the lock is void: it came after another launch,
        or it was not confirmed, and the pass that could have confirmed it is over."""
        seen, instance, root = self.seen, self.seen.instance, self.seen.marked_root
        if root is None or not (self.wanted or (void and self.now > root.mark.at + self.settings.quiet_period)):
            return Decision(reason=f"{instance.id} is being parked.")
        if words := refusals.put_back_obstacle(seen, root):
            return refuse(words, self.remember)
        volumes = seen.originals_of(root.mark.generation)
        if any(v.moves for v in volumes):
            return self.wait(f"Volumes of {instance.id} are still being detached.", again=SOON)
        if words := refusals.missing_originals(seen, root):
            if void:
                return refuse(f"{words}. {refusals.BY_HAND}", self.remember)
            return self.wait(f"{words}: {self.restored_then} from its snapshots once the others are deleted.")
        data = tuple(attach(v, seen) for v in volumes if v.attachment is None and v.id != root.id)
        reason = f"The volumes of {instance.id} are put back."
        return self.bring_up(reason, data, (attach(root, seen),), deletion_flags(seen, volumes))

    # COMMITTED: the root volume is deleted, others still exist.

    def await_deletion(self) -> Decision:
        """The park side deletes what is left, and the sweep continues every minute. Wait only for the last seconds."""
        seen, generation = self.seen, self.seen.given_up
        if words := refusals.foreign_originals(seen) or refusals.unmarked_originals(seen):
            return refuse(words)
        left = seen.originals_of(generation.name)
        blocked = refusals.deletion_denied(seen, self.now) or refusals.lent(seen, left)
        if words := blocked or refusals.ever_changing(seen, [v.id for v in changed(left)], self.now):
            return refuse(words, self.remember)
        if words := refusals.left_too_long(seen, left, self.now):
            return refuse(words)
        if not self.wanted:
            return Decision(reason=f"{seen.instance.id} is being parked.")
        reason = f"The last volumes of {seen.instance.id} are being deleted; then {self.restored_then}."
        return self.wait(reason, again=None if left else SOON)

    # RESTORING and PARKED: none of the originals is left.

    def stay_parked(self) -> Decision:
        """A volume that another attempt or somebody else marked, but that is still attached, loses its mark."""
        if words := refusals.foreign_originals(self.seen):
            return refuse(words)
        marked = [v for v, _ in self.seen.attached if v.mark and v.mark.instance_id == self.seen.instance.id]
        marks_off = unmark(marked, self.settings, self.now)
        return Decision(reason=f"{self.seen.instance.id} is parked.", steps=stages(marks_off))

    def restore(self) -> Decision:
        """Create volumes from the snapshots, and then start. A restoration that has begun is finished even if it is no
        longer wanted, and the instance is then parked again: a volume that may have been written to is never just
        deleted. If all that it has made has failed, nothing was written, and no other is made."""
        seen, instance = self.seen, self.seen.instance
        if words := refusals.foreign_originals(seen) or refusals.restore_obstacle(seen):
            return refuse(words)
        if words := refusals.lent(seen, seen.restored):
            return refuse(words, self.remember)
        if leaving := [v.id for v in seen.restored if v.attachment and v.attachment.state == "detaching"]:
            return self.wait(f"EC2 is detaching {', '.join(leaving)} from {instance.id}.", again=SOON)
        attached_last = sorted(seen.restored, key=lambda v: v.attachment is not None)
        made = {v.record.snapshot_id: v for v in attached_last if v.state in ("creating", "available", "in-use")}
        parts = seen.given_up.parts
        if not self.wanted and not any(_is_in_place(r, seen, made) or r.snapshot_id in made for r in parts):
            return self.stay_parked()
        if failed := self.failed_lately():
            reason = (
                f"EC2 could not create {', '.join(failed)} for {instance.id}. The next try follows in a few minutes."
            )
            return self.wait(reason, again=RETRY_VOLUME)
        if archived := [r for r in parts if r.archived and r.snapshot_id not in made]:
            return self.from_archive(archived)
        snapshots = "its snapshot" if len(parts) == 1 else f"its {len(parts)} snapshots"
        reason = f"{instance.id} is restored from {snapshots}"
        return self.bring_up(f"{reason} and started." if self.wanted else f"{reason}.", *self.restoration(made))

    def failed_lately(self) -> list[str]:
        """The ids of volumes after which no other is created yet: a second one of their snapshots has just failed, and
        nobody asks for the start now."""
        failed = [v for v in self.seen.restored if v.state == "error" and v.record.attempt > 1]
        asked = self.intent is not Intent.SWEEP
        return [] if asked else [v.id for v in failed if self.now < v.volume.created + RETRY_VOLUME]

    def restoration(self, made: Mapping[str, VolumeInTransit]) -> tuple[Stage, ...]:
        """The stages of a restoration: create what is missing, attach it, the root volume last, and set the flags."""
        seen, parts, root_device = self.seen, self.seen.given_up.parts, self.seen.instance.root_device
        missing = [r for r in parts if not _is_in_place(r, seen, made)]
        attach_each = [(r.device, _attach_restored(r, seen, made)) for r in missing]
        return (
            *self.create([r for r in missing if r.snapshot_id not in made]),
            tuple(step for device, step in attach_each if device != root_device),
            tuple(step for device, step in attach_each if device == root_device),
            set_flags(seen, {r.device: True for r in parts if r.delete_on_termination}),
        )

    def create(self, parts: Sequence[SnapshotRecord]) -> tuple[Stage, Stage]:
        """The volumes still to create. One seen in error means a new attempt for its snapshot, with a new token."""
        dead = Counter(v.record.snapshot_id for v in self.seen.restored if v.state == "error")
        needed = [(r, max(r.attempt, 1 + dead[r.snapshot_id])) for r in parts]
        count = tuple(steps.CountAttempt(snapshot_id=r.snapshot_id, attempt=n) for r, n in needed if n > r.attempt)
        rate = initialization_rate(self.seen.instance, self.settings)
        return count, tuple(_create_one(r, n, rate) for r, n in needed)

    def from_archive(self, archived: Sequence[SnapshotRecord]) -> Decision:
        """A request is forgotten after an hour, and this takes days: every look writes it again. What has failed is
        tried once more when somebody asks for that."""
        failed = [r.snapshot_id for r in archived if r.snapshot_id in self.seen.not_restored]
        if failed and self.intent is Intent.SWEEP:
            return refuse(
                f"EC2 could not bring {', '.join(failed)} of {self.seen.instance.id} back from the archive tier. The "
                "snapshots are kept. If they are encrypted, check whether their key can be used. Then ask again."
            )
        start_wanted = self.wanted and self.intent not in (Intent.RESTORE, Intent.START_NOW)
        remember = remembering(self.seen, self.now) if start_wanted else ()
        words = f"The snapshots of {self.seen.instance.id} come back from the archive tier, which takes up to 72 hours."
        return going_on(words + self.what_follows, steps=stages(remember, bring_back(archived, self.seen.moving)))


def _is_in_place(r: SnapshotRecord, seen: Observation, made: Mapping[str, VolumeInTransit]) -> bool:
    """Whether the volume created from the snapshot is attached. At its device it counts even without a mark."""
    if r.snapshot_id in made:
        return made[r.snapshot_id].attachment is not None
    there = [(v.snapshot_id, a.device) for v, a in seen.attached if a.state != "detaching"]
    return (r.snapshot_id, r.device) in there


def _attach_restored(r: SnapshotRecord, seen: Observation, made: Mapping[str, VolumeInTransit]) -> steps.AttachVolume:
    known, i = made[r.snapshot_id].id if r.snapshot_id in made else "", seen.instance.id
    return steps.AttachVolume(instance_id=i, device=r.device, card=r.card, volume_id=known, snapshot_id=r.snapshot_id)


def _create_one(r: SnapshotRecord, attempt: int, rate: int | None) -> steps.CreateVolume:
    """Only the first attempt asks for a rate: if EC2 refuses it, another attempt is counted, which does without.
    The rate is part of the token, because EC2 accepts a token only with one set of parameters."""
    if rate and attempt == 1:
        return steps.CreateVolume(record=r, token=f"{r.snapshot_id}-1-{rate}", rate=rate)
    return steps.CreateVolume(record=r, token=f"{r.snapshot_id}-{attempt}")
