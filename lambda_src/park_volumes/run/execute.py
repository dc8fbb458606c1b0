"""Carries out a decision about one instance: step by step, waiting the seconds that EC2 takes for volumes."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from park_volumes.aws.errors import INVALID, MISMATCH, THROTTLED, Ec2Error, Raced
from park_volumes.aws.reads import Ec2Reads
from park_volumes.core import steps
from park_volumes.core.capacity import lacks_capacity
from park_volumes.core.evidence import TAGS_COUNT, tagged_at
from park_volumes.core.facts import NEVER, Observation, Volume
from park_volumes.core.queue import without_capacity
from park_volumes.core.refusals import apply_observe_only
from park_volumes.core.steps import Decision, Outcome, Stage, Step, refuse
from park_volumes.run.context import NotYet, OutOfTime, Pass, log
from park_volumes.run.discard import discard, remember_kept
from park_volumes.run.trial import Denied, remember_denial, try_giving_up, try_way_back
from park_volumes.run.wait import wait_until

CREATING, ATTACHING = 5.0, 3.0
"""Seconds that EC2 usually takes to create and to attach volumes (docs/performance.md)."""
AFTER_RACE = timedelta(seconds=2)
"""When to look again after EC2 refused a step because the state had changed."""

LATE = timedelta(seconds=10)
"""A denial is left to the next sweep once our tag on the resource is older than this."""

Confirmations = MutableMapping[str, steps.ConfirmSnapshots]


class Ending(StrEnum):
    """How a pass ended for one instance."""

    COMPLETE = "complete"
    RACED = "raced"
    """The state was not, or not yet, what the steps need: look again in seconds."""
    OUT_OF_TIME = "out of time"
    """The next pass continues."""
    DEFERRED = "deferred"
    """EC2 does not accept it at the moment: the sweep tries again."""
    THROTTLED = "throttled"
    """EC2 had no request tokens left; the start request, if there is one, is already remembered."""
    FAILED = "failed"
    NOT_REMEMBERED = "not remembered"
    """The start request could not be written down, and nothing else was done: decide again, without remembering it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a pass ended for one instance.
    ``error`` is what stopped it if it FAILED; ``note`` is a sentence on what stopped it otherwise. ``not_remembered``
    says in a sentence if the start request could not be written down: then nothing carries it on later. ``unwritten``:
    the pass ended before it had written the request down. ``kept`` has the snapshots that could not be discarded, each
    with the reason, if that is new."""

    observation: Observation
    decision: Decision
    ending: Ending = Ending.COMPLETE
    error: Exception | None = None
    note: str = ""
    not_remembered: str = ""
    unwritten: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def instance_id(self) -> str:
        return self.observation.instance.id

    @property
    def complete(self) -> bool:
        return self.ending is Ending.COMPLETE

    @property
    def reason(self) -> str:
        return " ".join(filter(None, (self.decision.reason, self.note, self.not_remembered)))

    @property
    def lack(self) -> str:
        """The code with which EC2 said that it has no capacity for a start, which is tried again less and less often;
        otherwise empty."""
        return self.error.code if isinstance(self.error, Ec2Error) and lacks_capacity(self.error.code) else ""


def goes_on(result: Result) -> bool:
    """Whether there was something to do, so that more may follow."""
    return bool(result.decision.steps) or result.decision.outcome is Outcome.GOING_ON


def ids_of(results: Iterable[Result]) -> set[str]:
    return {r.instance_id for r in results}


class Unforeseen(Exception):
    """Something in the handling of one instance that nobody foresaw; the log has the trace."""


def unforeseen(observation: Observation, error: Exception) -> Result:
    """The result of a pass that such an error ended for one instance."""
    words = f"{observation.instance.id} could not be handled ({error!r})."
    told = error if isinstance(error, Ec2Error) else Unforeseen(words)
    return Result(observation=observation, decision=Decision(reason=words), ending=Ending.FAILED, error=told)


class NotNow(Exception):
    """EC2 does not accept this at the moment. Nothing is wrong: the sweep tries again."""


class NotRemembered(Exception):
    """A start request could not be written on the snapshots. They may have no room for one more tag, or EC2 no request
    tokens for as long as a pass has time."""


def execute(
    this_pass: Pass,
    observation: Observation,
    decision: Decision,
    *,
    confirmations: Confirmations | None = None,
    carried_on: bool = True,
    crowd: Callable[[], bool] = lambda: False,
) -> Result:
    """Do the steps, stage by stage. A pass that loses a race or runs out of time stops there and looks again.
    The step ConfirmSnapshots is put into ``confirmations``, by instance: the pass does it for all of them at once.
    ``carried_on``: a later pass goes on with what this one leaves undone. ``crowd`` is asked before volumes
    are waited for: whether so many are started that looking all the time is no longer cheap."""
    decided = apply_observe_only(decision, observation, this_pass.settings)
    return _Execution(
        this_pass=this_pass,
        observation=observation,
        decision=decided,
        confirmations={} if confirmations is None else confirmations,
        carried_on=carried_on,
        crowd=crowd,
        unwritten=any(isinstance(step, steps.RememberStart) for step in decided.every_step),
    ).run()


@dataclass(kw_only=True)
class _Execution:
    """One decision being carried out. ``unwritten``: its start request, which comes first, is not written down yet.
    ``made``: the volumes created so far, by snapshot, and ``born`` when they were; ``ready``: those seen ready to
    attach; ``attaching``: those being attached."""

    this_pass: Pass
    observation: Observation
    decision: Decision
    confirmations: Confirmations
    carried_on: bool
    crowd: Callable[[], bool]
    unwritten: bool
    made: dict[str, str] = field(default_factory=dict)
    born: dict[str, datetime] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    attaching: set[str] = field(default_factory=set)
    stage: Stage = ()
    notes: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def run(self) -> Result:
        clock = self.this_pass.clock
        try:
            if self.decision.steps and clock.now() >= self.this_pass.deadline:
                raise OutOfTime
            self._do_stages()
        except OutOfTime:
            return self._ended(Ending.OUT_OF_TIME, note="There was not enough time for all steps.")
        except NotNow as refused:
            return self._ended(Ending.DEFERRED, note=str(refused))
        except Denied as denial:
            return replace(self._ended(Ending.COMPLETE), decision=refuse(str(denial)))
        except NotRemembered as reason:
            return self._ended(Ending.NOT_REMEMBERED, note=str(reason))
        except (NotYet, Raced) as reason:
            return self._look_again(Ending.RACED, reason)
        except Ec2Error as error:
            return self._refused(error)
        return self._ended(Ending.COMPLETE, note=" ".join(self.notes))

    def _refused(self, error: Ec2Error) -> Result:
        if error.code == THROTTLED:
            at_once = self.unwritten or not self.carried_on
            return self._look_again(Ending.RACED if at_once else Ending.THROTTLED, error)
        if lacks_capacity(error.code):
            _remember_lack_of_capacity(self.this_pass, self.observation, self.decision)
        if error.denied and (age := self._age_of_tag(error.resource)) < TAGS_COUNT:
            raced = self._look_again(Ending.RACED, error)
            return raced if age < LATE else replace(raced, decision=replace(raced.decision, look_again=None))
        if error.denied:
            _remember(self.this_pass, self.observation, error)
        return replace(self._ended(Ending.FAILED), error=error)

    def _age_of_tag(self, resource_id: str) -> timedelta:
        """How old our tag on a resource is. What this pass writes over an older one of ours is not new."""
        now, observed = self.this_pass.clock.now(), {v.id: v for v in self.observation.volumes}
        if (v := observed.get(resource_id)) and (v.mark or v.rehearsal):
            return now - tagged_at(v)
        marked = {
            s.volume_id: self.this_pass.began for s in self.decision.every_step if isinstance(s, steps.MarkVolume)
        }
        born = {r.snapshot_id: r.started for r in self.observation.records}
        return now - (marked | born | self.born).get(resource_id, NEVER)

    def _do_stages(self) -> None:
        for stage in self.decision.steps:
            self.stage = stage
            self._wait_for_volumes()
            self._wait_for_attachments()
            self.this_pass.each([partial(self._perform, step) for step in self.stage])

    def _ended(self, ending: Ending, *, note: str = "") -> Result:
        return Result(
            observation=self.observation,
            decision=self.decision,
            ending=ending,
            note=note,
            unwritten=self.unwritten,
            kept=dict(self.kept),
        )

    def _look_again(self, ending: Ending, reason: Exception) -> Result:
        decision = replace(self.decision, outcome=Outcome.GOING_ON, look_again=AFTER_RACE)
        return replace(self._ended(ending, note=str(reason)), decision=decision)

    def _volume_of(self, step: steps.AttachVolume) -> str:
        return step.volume_id or self.made[step.snapshot_id]

    def _wait_for_volumes(self) -> None:
        """Before volumes made from snapshots are attached, wait until that is possible."""
        restored = {self._volume_of(s) for s in self.stage if isinstance(s, steps.AttachVolume) and s.snapshot_id}
        if restored <= self.ready:
            return
        made = set(self.made.values()) - self.ready
        wanted = sorted(restored | made)
        usual = CREATING if made else 0
        found = self._wait_until(wanted, usual, lambda v: v.state == "available" or bool(v.attachments))
        if taken := [v.id for v in found if v.attachments and v.id in restored]:
            raise Raced("AttachVolume", ", ".join(taken), "VolumeInUse", "another pass has attached it.")
        self.ready.update(wanted)

    def _wait_for_attachments(self) -> None:
        """Before the flags are set and the instance is started, wait until everything is attached."""
        if self.attaching and any(
            isinstance(s, steps.SetDeleteOnTermination | steps.StartInstance) for s in self.stage
        ):
            attached = sorted(self.attaching)
            self._wait_until(attached, ATTACHING, lambda v: any(a.state == "attached" for a in v.attachments))
            self.attaching.clear()

    def _wait_until(self, ids: Sequence[str], usual: float, ready: Callable[[Volume], bool]) -> list[Volume]:
        crowd, carried_on = self.crowd(), self.carried_on
        return wait_until(self.this_pass, ids, ready, usual=usual, crowd=crowd, carried_on=carried_on)

    def _perform(self, step: Step) -> None:  # noqa: C901  # one case for each step that is more than one call
        ec2 = self.this_pass.ec2
        match step:
            case steps.CreateVolume():
                self._create(step)
            case steps.AttachVolume():
                self._attach(step)
            case steps.ArchiveSnapshot() | steps.RestoreSnapshotTier():
                self._change_tier(step)
            case steps.DiscardSnapshot():
                self._discard(step)
            case steps.SetDeleteOnTermination():
                self._set_flags(step)
            case steps.UnmarkVolumes():
                self._unless_done(step)
            case steps.TryGivingUp():
                try_giving_up(self.this_pass, self.observation, step)
            case steps.TryWayBack():
                try_way_back(self.this_pass, self.observation, step)
            case steps.RememberStart():
                self._remember(step)
            case steps.ConfirmSnapshots():
                self.confirmations[self.observation.instance.id] = step
            case _:
                ec2.writes.do(step)

    def _attach(self, step: steps.AttachVolume) -> None:
        """EC2 answers InvalidParameterValue where another pass has just attached a volume at the device, and where it
        does not accept the device or the volume at all. A device that is still free a moment later tells the two
        apart: then looking again does not help."""
        volume_id = self._volume_of(step)
        try:
            self.this_pass.ec2.writes.attach_volume(step, volume_id)
        except Raced as race:
            if race.code == INVALID and _is_still_free(self.this_pass, step, volume_id):
                raise race.for_good from race
            raise
        self.attaching.add(volume_id)

    def _discard(self, step: steps.DiscardSnapshot) -> None:
        if why := discard(self.this_pass, step):
            self.notes.append(f"{step.snapshot_id} is kept: {why.rstrip('.')}.")
            if remember_kept(self.this_pass, self.observation, step.snapshot_id, why):
                self.kept[step.snapshot_id] = why

    def _set_flags(self, step: steps.SetDeleteOnTermination) -> None:
        """A flag that EC2 does not let us set does not keep an instance from starting. Its volume keeps its mark, and
        as long as it has one, the flag is set again and again, and reported."""
        try:
            self._unless_done(step)
        except Raced:
            raise
        except Ec2Error as error:
            starts = any(isinstance(s, steps.StartInstance) for s in self.decision.every_step)
            if not starts or not error.refused:
                raise
            then = "It is set once that is allowed." if error.denied else "It is tried again once the instance runs."
            self.notes.append(f"{error} {then}")

    def _remember(self, step: steps.RememberStart) -> None:
        """A note: no start fails because of it. Where EC2 has no request tokens left, it is tried again all the same,
        because a start that others are ahead of has to be remembered."""
        try:
            self.this_pass.ec2.writes.do(step)
        except Ec2Error as error:
            if error.code == THROTTLED:
                raise
            raise NotRemembered(str(error)) from error
        self.unwritten = False

    def _unless_done(self, step: steps.SetDeleteOnTermination | steps.UnmarkVolumes) -> None:
        """The role may change only what is marked, so a second pass is denied what is already done."""
        try:
            self.this_pass.ec2.writes.do(step)
        except Ec2Error as error:
            if not error.denied or not _is_done(self.this_pass.ec2.reads, step):
                raise

    def _change_tier(self, step: steps.ArchiveSnapshot | steps.RestoreSnapshotTier) -> None:
        """An account has quotas for snapshots moving between the tiers; if they are used up, the sweep tries again."""
        try:
            self.this_pass.ec2.writes.do(step)
        except Ec2Error as error:
            if error.refused and error.limited:
                raise NotNow(str(error)) from error
            raise

    def _create(self, step: steps.CreateVolume) -> None:
        """Create a volume; count another attempt if the token returns one that cannot be used: in error, being deleted,
        gone, or without its mark and so its owner's.

        If a volume younger than the quiet period is missing, it may not be visible yet; an older one is gone. A volume
        attached to the instance lost its mark because it is where it belongs, which this pass has not seen yet."""
        volume_id, created = self._create_at_any_rate(step)
        self.made[step.record.snapshot_id] = volume_id
        self.born[volume_id] = created
        if created < self.this_pass.began and _unusable(self.this_pass, self.observation, volume_id, created):
            self._count_attempt(step)
            raise NotYet(f"The volume {volume_id} made from {step.record.snapshot_id} is gone; it is created again.")

    def _create_at_any_rate(self, step: steps.CreateVolume) -> tuple[str, datetime]:
        """If EC2 refuses a rate, or the SDK does not know it, another attempt is counted, which does without."""
        try:
            return self.this_pass.ec2.writes.create_volume(step)
        except Ec2Error as error:
            if error.code == MISMATCH and _is_spent(self.this_pass, step.token):
                self._count_attempt(step)
                raise NotYet(f"{error} The volume is created with another token.") from error
            if isinstance(error, Raced) or step.rate is None or not error.refused:
                raise
            self._count_attempt(step)
            raise NotYet(f"{error} The volume is created without volume_initialization_rate.") from error

    def _count_attempt(self, step: steps.CreateVolume) -> None:
        r = step.record
        self.this_pass.ec2.writes.do(steps.CountAttempt(snapshot_id=r.snapshot_id, attempt=r.attempt + 1))


def _remember(this_pass: Pass, observation: Observation, denial: Ec2Error) -> None:
    """The start side shows what is written on the snapshots. Where that is refused, too, the report tells it."""
    try:
        remember_denial(this_pass, observation, denial)
    except (Ec2Error, OutOfTime) as error:
        log.warning("A denial for %s is not remembered: %s", observation.instance.id, error)


def _remember_lack_of_capacity(this_pass: Pass, observation: Observation, decision: Decision) -> None:
    """A start that EC2 had no capacity for is tried again less and less often: remember that it was tried. Where that
    cannot be written down, every sweep tries."""
    for step in without_capacity(observation, decision, this_pass.settings, this_pass.clock.now()):
        try:
            this_pass.ec2.writes.do(step)
        except (Ec2Error, OutOfTime) as error:
            log.warning("That EC2 had no room for %s is not remembered: %s", observation.instance.id, error)


def _is_still_free(this_pass: Pass, step: steps.AttachVolume, volume_id: str) -> bool:
    reads, clock = this_pass.ec2.reads, this_pass.clock
    if clock.now() + AFTER_RACE >= this_pass.deadline:
        return False
    clock.sleep(AFTER_RACE.total_seconds())
    empty = any(i.on(step.device) is None for i in reads.instances([step.instance_id]))
    return empty and any(v.state == "available" for v in reads.volumes([volume_id]))


def _is_done(reads: Ec2Reads, step: steps.SetDeleteOnTermination | steps.UnmarkVolumes) -> bool:
    if isinstance(step, steps.UnmarkVolumes):
        return all(v.mark != step.mark for v in reads.volumes(step.volume_ids))
    mappings = (m for i in reads.instances([step.instance_id]) for m in i.mappings)
    there = reads.volumes(m.volume_id for m in mappings if m.device in step.devices)
    flags = {a.device: a.delete_on_termination for v in there if (a := v.attached_to(step.instance_id))}
    return flags == dict(step.devices) and all(v.mark is None for v in there)


def _is_spent(this_pass: Pass, token: str) -> bool:
    """Whether a token was used with other parameters long ago. If that was only now, another pass that has read other
    tags is creating the volume, and looking again finds it."""
    first = this_pass.known.setdefault(f"mismatch {token}", this_pass.began)
    return this_pass.began > first + this_pass.settings.quiet_period


def _unusable(this_pass: Pass, observation: Observation, volume_id: str, created: datetime) -> bool:
    found = this_pass.ec2.reads.volumes([volume_id])
    if any(v.attached_to(observation.instance.id) for v in found):
        return False
    if found:
        return found[0].mark is None or found[0].state not in ("creating", "available", "in-use")
    return created + this_pass.settings.quiet_period < this_pass.began
