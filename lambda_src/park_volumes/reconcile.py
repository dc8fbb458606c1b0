"""Look, decide, do: what both Lambdas do with the instances that a batch of events names. Then they stop.

An event only says which instance to look at, never what is true. Nothing waits here for what takes minutes: a decision
that can not go on says when another look is worth while, and an event, a delayed message or the sweep comes back.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, count, zip_longest
from typing import Protocol

from park_volumes.decide.line import AT_ONCE, ahead, may_wait, standing
from park_volumes.decide.observe import observed
from park_volumes.decide.park import park
from park_volumes.decide.situation import last_request, opted_in, start_pending, start_refused
from park_volumes.decide.start import remembering, requested, restore, start, without_capacity
from park_volumes.ec2 import DENIED, NO_CAPACITY, THROTTLED, Ec2, Ec2Error, Raced
from park_volumes.model import (
    NEVER,
    ArchiveSnapshot,
    AttachVolume,
    CountAttempt,
    CreateSnapshot,
    CreateVolume,
    Decision,
    Instance,
    MarkSnapshots,
    Outcome,
    Record,
    RememberStart,
    RestoreSnapshotTier,
    Seen,
    SetDeleteOnTermination,
    Settings,
    StartInstance,
    Step,
    UnmarkVolumes,
    Volume,
)
from park_volumes.survey import assemble, left_behind, look, look_at, sweep_start

CREATING, ATTACHING = 5.0, 3.0
"""Seconds that EC2 usually takes to create and to attach volumes (docs/performance.md): looking earlier is in vain."""
POLL = 0.4
"""Seconds until the second look at volumes that take longer; each further one comes after twice as long as the last."""
LONGEST_POLL = 5.0

THREADS = 24
"""Calls under way at once, and instances: as many as start within the seconds that one of them takes, at EC2's rate
(docs/performance.md), and no more than the SDK has connections for."""

LINE_LASTS = timedelta(seconds=30)
"""How long a function goes by a long line that it saw: EC2 is not asked for it by everybody who joins it."""

AFTER_RACE = timedelta(seconds=2)
"""When to look again after EC2 refused a step because things had moved on."""


class Clock(Protocol):
    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class OutOfTime(Exception):
    """The pass has no time left for a call. Nothing is wrong, and nothing was done: it is the turn of the next pass."""


class NotNow(Exception):
    """EC2 does not take this at the moment. Nothing is wrong: the sweep asks again."""


class TooSlow(Exception):
    """EC2 needs longer than this pass may take. Nothing is wrong: an event or the sweep goes on from here."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one instance in this pass: the decision, and the sentence of the error that stopped its steps.

    ``finished`` is False where the steps were not all done: of an error, a lost race, or for want of time.
    ``postponed`` says that it was for want of time, ``throttled`` for want of EC2's request tokens, after the request
    for it, if there is one, was remembered: the next pass goes on.
    """

    seen: Seen
    decision: Decision
    error: str = ""
    finished: bool = True
    postponed: bool = False
    throttled: bool = False


def ids_of(results: Iterable[Result]) -> set[str]:
    return {r.seen.instance.id for r in results}


Each = Callable[[Sequence[Callable[[], None]]], None]
Decide = Callable[[Seen, Settings, datetime], Decision]


def one_by_one(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def in_parallel(calls: Sequence[Callable[[], None]]) -> None:
    """Do all of these calls at once; the first error is raised when all have ended."""
    if len(calls) <= 1:
        one_by_one(calls)
        return
    with ThreadPoolExecutor(max_workers=min(len(calls), THREADS)) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


def _without_copies(decision: Decision) -> Decision:
    """A decision to take snapshots becomes one to leave that to whoever has begun with it."""
    if not any(isinstance(step, CreateSnapshot) for stage in decision.steps for step in stage):
        return decision
    return replace(decision, reason=f"{decision.reason} Another message asks for them.", steps=())


def _mixed(decisions: Iterable[tuple[Seen, Decision]]) -> list[tuple[Seen, Decision]]:
    """Each kind of first step in turn: while the calls of one kind have to wait, those of the others are made."""
    kinds: dict[type[Step] | None, list[tuple[Seen, Decision]]] = defaultdict(list)
    for seen, decision in decisions:
        kinds[type(decision.steps[0][0]) if decision.steps else None].append((seen, decision))
    return [one for turn in zip_longest(*kinds.values()) for one in turn if one]


class _Work:
    """What the steps of one instance have made so far in this pass: volumes by snapshot, those that were seen to be
    ready to attach, and those being attached."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.made: dict[str, str] = {}
        self.ready: set[str] = set()
        self.attaching: set[str] = set()

    def volume_of(self, step: AttachVolume) -> str:
        return step.volume_id or self.made[step.snapshot_id]


@dataclass(kw_only=True)
class Line:
    """When starts were asked for in the last hour, as was seen at that time."""

    requests: Sequence[datetime] = ()
    seen: datetime = NEVER


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One run of a Lambda. It acts on what it saw no later than ``deadline``; ``began`` is the time it decides by."""

    ec2: Ec2
    settings: Settings
    clock: Clock
    began: datetime
    deadline: datetime
    each: Each = in_parallel
    line: Line = field(default_factory=Line)
    confirmed: dict[str, MarkSnapshots] = field(default_factory=dict)
    """By instance, the last step of a lock, which is done at the end for all of them at once."""

    def park(self, ids: Iterable[str], *, copied: Collection[str] = ()) -> list[Result]:
        """One look at all of these instances, and the next steps of each; of those ``copied`` no snapshot is taken."""
        ids = set(ids)
        seen = look(self.ec2, ids, locks=True, may_move=self._old_enough)
        seen |= left_behind(self.ec2, ids - seen.keys())
        decisions = [(s, park(s, self.settings, self.began)) for s in seen.values()]
        decisions = [(s, _without_copies(d) if s.instance.id in copied else d) for s, d in decisions]
        results: dict[str, Result] = {}

        def one(s: Seen, decision: Decision) -> None:
            results[s.instance.id] = self._in_time(s, decision, self.each)

        self.each([partial(one, s, decision) for s, decision in _mixed(decisions)])
        for instance_id, error in self._confirm().items():
            results[instance_id] = replace(results[instance_id], error=error, finished=False)
        return [results[i] for i in seen]

    def _old_enough(self, r: Record) -> bool:
        """Whether a snapshot may have been sent to the archive."""
        after = self.settings.archive_after
        return after is not None and (r.mark.at if r.mark else r.started) <= self.began - after

    def _in_time(self, seen: Seen, decision: Decision, each: Each) -> Result:
        try:
            if decision.steps and self.clock.now() >= self.deadline:
                raise OutOfTime
            return self._do(seen, decision, each)
        except OutOfTime:
            decision = replace(decision, reason=f"{decision.reason} There was no time left for all of it.")
            return Result(seen=seen, decision=decision, finished=False, postponed=True)

    def _confirm(self) -> dict[str, str]:
        """Mark the snapshots of all instances whose root volume this pass has detached; the errors, by instance.

        EC2 tags all resources or none: where it refuses, each instance gets a call of its own.
        """
        ids = tuple(i for step in self.confirmed.values() for i in step.snapshot_ids)
        errors: dict[str, str] = {}
        if self._insist(MarkSnapshots(snapshot_ids=ids, at=self.began)):
            errors = {i: words for i, step in self.confirmed.items() if (words := self._insist(step))}
        self.confirmed.clear()
        return errors

    def _insist(self, step: MarkSnapshots) -> str:
        """Do it although the turn of this pass is over: what has gone before would be in vain. The error, if any."""
        while True:
            try:
                self.ec2.do(step)
            except OutOfTime:
                if self.clock.now() >= self.deadline:
                    return "There was no time left to confirm that its root volume was detached: it is put back."
                self.clock.sleep(POLL)
            except Ec2Error as error:
                return str(error)
            else:
                return ""

    def settle(self, ids: Iterable[str]) -> list[Result]:
        """What came back is settled, and starts that were asked for earlier go on: whoever has waited longest first."""
        return self._start_all(self._look_in_turn(ids), asked=False)

    def sweep_starts(self) -> list[Result]:
        """The same for all of them. What runs comes first: it is settled at once, as the sweep itself has seen it."""
        running, others = sweep_start(self.ec2, self.settings, self.began)
        return self._start_all([*running, *self._look_in_turn(others)], asked=False)

    def _look_in_turn(self, ids: Iterable[str]) -> list[Seen]:
        return sorted(look(self.ec2, ids, locks=False).values(), key=lambda s: last_request(s) or self.began)

    def start(self, instance_id: str) -> Result | None:
        """Bring an instance up, as far as this pass gets; None where there is no such instance."""
        return self._bring(instance_id, partial(start, asked=True))

    def restore(self, instance_id: str) -> Result | None:
        """Bring the volumes of an instance back, and leave it as it is; None where there is no such instance."""
        return self._bring(instance_id, restore)

    def _bring(self, instance_id: str, decide: Decide) -> Result | None:
        seen = look(self.ec2, [instance_id], locks=False).get(instance_id)
        return self._start(seen, decide) if seen else None

    def start_seen(self, seen: Seen) -> Result:
        """Bring an instance up that this pass has just looked at, as far as it gets."""
        return self._start(seen, partial(start, asked=True))

    def request(self, ids: Iterable[str]) -> list[Result]:
        """Start these instances for somebody who does not wait: at once, or when it is their turn."""
        instances = self.ec2.instances(ids)
        waiting = self.stand_in_line(instances)
        others = [i for i in instances if i.id not in ids_of(waiting)]
        return self._begin(look_at(self.ec2, others, locks=False).values()) + waiting

    def start_refused(self, ids: Iterable[str], tried: datetime) -> list[Result]:
        """Start those of these instances that EC2 refused to start, at that time, because their volumes are parked."""
        every = [s for s in look(self.ec2, ids, locks=False).values() if start_refused(s, tried)]
        waiting = self._stand_in_line(every)
        return self._begin(s for s in every if s.instance.id not in ids_of(waiting)) + waiting

    def stand_in_line(self, instances: Sequence[Instance]) -> list[Result]:
        """Remember the requests for those of these instances that can wait and have others ahead of them: for that
        nobody looks at their volumes. The sweep goes on with whoever has waited longest; the rest is to begin now."""
        snapshots = self.ec2.snapshots_of(i.id for i in instances)
        return self._stand_in_line(assemble(instances, snapshots, ()).values())

    def _stand_in_line(self, every: Iterable[Seen]) -> list[Result]:
        line = [s for s in every if may_wait(s, self.settings)]
        before = self.ahead() if line else 0
        places = {s.instance.id: self._place(s, before + n) for n, s in enumerate(line)}
        waiting = [s for s in line if places[s.instance.id] >= AT_ONCE]
        return [self._wait(s, places[s.instance.id]) for s in self._remember_all(waiting)]

    def _place(self, seen: Seen, new: int) -> int:
        """How many are ahead: of a new request so many, of one that is still remembered those that came before it."""
        asked = last_request(seen)
        if asked and start_pending(seen, self.settings, self.began):
            return ahead(self.line.requests, asked, self.began)
        return new

    def _wait(self, seen: Seen, number: int) -> Result:
        reason = standing(seen.instance.id, number)
        return Result(seen=seen, decision=Decision(reason=reason, outcome=Outcome.GOING_ON))

    def _begin(self, every: Iterable[Seen]) -> list[Result]:
        """Every request is remembered first, so that others see it ahead of theirs."""
        return self._start_all(self._remember_all(list(every)), asked=True)

    def ahead(self) -> int:
        """How many starts are ahead of one that is asked for now. Not everybody looks at a long line anew."""
        known = ahead(self.line.requests, self.began, self.began)
        if known >= AT_ONCE and self.began <= self.line.seen + LINE_LASTS:
            return known
        hours = {f"{at:%Y-%m-%dT%H}" for at in (self.began - self.settings.start_hold, self.began)}
        self.line.requests, self.line.seen = self.ec2.requests(sorted(hours)), self.began
        return ahead(self.line.requests, self.began, self.began)

    def _start_all(self, every: Sequence[Seen], *, asked: bool) -> list[Result]:
        results: dict[str, Result] = {}

        def one(s: Seen) -> None:
            results[s.instance.id] = self._start(s, partial(start, asked=asked))

        self.each([partial(one, s) for s in every])
        return [results[s.instance.id] for s in every]

    def _remember_all(self, every: Sequence[Seen]) -> list[Seen]:
        """Write down all of these requests with one call; what is seen from then on. EC2 tags all snapshots or none:
        where it refuses, each instance gets a call of its own."""
        steps = {s.instance.id: step for s in every for step in self._remember(s)}
        ids = tuple(i for step in steps.values() for i in step.snapshot_ids)
        try:
            self.ec2.do(RememberStart(snapshot_ids=ids, at=self.began))
        except Ec2Error:
            self.each([partial(self.ec2.do, step) for step in steps.values()])
        self.line.requests = [*self.line.requests, *([self.began] * len(steps))]
        return [requested(s, self.began) if s.instance.id in steps else s for s in every]

    def _remember(self, seen: Seen) -> tuple[RememberStart, ...]:
        if self.settings.observe_only or not opted_in(seen.instance, self.settings):
            return ()
        return remembering(seen, self.began)

    def _start(self, seen: Seen, decide: Decide) -> Result:
        """Decide and do, again and again while others interfere or EC2 needs seconds, until there is no more time.

        Where EC2 has no token left, others are at it: a request that is remembered then waits for its turn.
        """
        while True:
            result = self._in_time(seen, decide(seen, self.settings, self.began), self.each)
            again = result.decision.look_again
            later = result.throttled or result.postponed
            if again is None or later or self.clock.now() + again >= self.deadline:
                return result
            self.clock.sleep(again.total_seconds())
            found = look(self.ec2, [seen.instance.id], locks=False).get(seen.instance.id)
            if found is None:
                return result
            seen = found

    def _do(self, seen: Seen, decision: Decision, each: Each) -> Result:
        """Do the steps, stage by stage. Whoever lost a race, or ran out of time, stops where it is and looks again."""
        decision = observed(decision, seen, self.settings)
        work = _Work(seen.instance.id)
        try:
            for stage in decision.steps:
                self._wait_for(stage, work)
                each([partial(self._perform, step, work) for step in stage])
        except (Ec2Error, TooSlow) as error:
            throttled = isinstance(error, Ec2Error) and error.code == THROTTLED
            if throttled or isinstance(error, Raced | TooSlow):
                reason = f"{decision.reason} {error}"
                decision = replace(decision, reason=reason, outcome=Outcome.GOING_ON, look_again=AFTER_RACE)
                remembering = any(isinstance(step, RememberStart) for step in stage)
                return Result(seen=seen, decision=decision, finished=False, throttled=throttled and not remembering)
            self._note(seen, decision, error)
            return Result(seen=seen, decision=decision, error=str(error), finished=False)
        except NotNow as refused:
            return Result(seen=seen, decision=replace(decision, reason=f"{decision.reason} {refused}"), finished=False)
        return Result(seen=seen, decision=decision)

    def _note(self, seen: Seen, decision: Decision, error: Ec2Error) -> None:
        """A start that EC2 had no capacity for is tried again later and later: that it was tried is remembered."""
        if error.code == NO_CAPACITY:
            with suppress(Ec2Error):
                for step in without_capacity(seen, decision, self.clock.now()):
                    self.ec2.do(step)

    def _wait_for(self, stage: Sequence[Step], work: _Work) -> None:
        """Wait the seconds that EC2 takes until the volumes are as a stage needs them."""
        restored = {work.volume_of(s) for s in stage if isinstance(s, AttachVolume) and s.snapshot_id}
        if restored - work.ready:
            made = set(work.made.values()) - work.ready
            wanted = sorted(restored | made)
            usual = CREATING if made else 0
            found = self._wait_until(wanted, usual, lambda v: v.state == "available" or bool(v.attachments))
            if taken := [v.id for v in found if v.attachments and v.id in restored]:
                raise Raced("AttachVolume", ", ".join(taken), "VolumeInUse", "another pass has attached it.")
            work.ready.update(wanted)
        if work.attaching and any(isinstance(s, SetDeleteOnTermination | StartInstance) for s in stage):
            attached = sorted(work.attaching)
            self._wait_until(attached, ATTACHING, lambda v: any(a.state == "attached" for a in v.attachments))
            work.attaching.clear()

    def _wait_until(self, ids: Sequence[str], usual: float, ready: Callable[[Volume], bool]) -> list[Volume]:
        """The volumes, once all are ready. The first look comes when the usual time is over, or a quarter of what is
        left of the pass, and the next ones come less and less often."""
        left = (self.deadline - self.clock.now()).total_seconds()
        pauses = chain((min(usual, left / 4),), (min(POLL * 2**n, LONGEST_POLL) for n in count()))
        while True:
            pause = next(pauses)
            if self.clock.now() + timedelta(seconds=pause) >= self.deadline:
                raise TooSlow("EC2 is still preparing the volumes; the start goes on by itself.")
            self.clock.sleep(pause)
            found = {v.id: v for v in self.ec2.volumes(ids)}
            if failed := [v.id for v in found.values() if v.state == "error"]:
                words = "the volume could not be created: look at its KMS key and the volume quota."
                raise Ec2Error("CreateVolume", ", ".join(failed), "error", words)
            if all(i in found and ready(found[i]) for i in ids):
                return list(found.values())

    def _perform(self, step: Step, work: _Work) -> None:
        match step:
            case CreateVolume():
                self._create(step, work)
            case AttachVolume():
                self.ec2.attach_volume(step, work.volume_of(step))
                work.attaching.add(work.volume_of(step))
            case ArchiveSnapshot() | RestoreSnapshotTier():
                self._change_tier(step)
            case SetDeleteOnTermination() | UnmarkVolumes():
                self._unless_done(step)
            case MarkSnapshots():
                self.confirmed[work.instance_id] = step
            case _:
                self.ec2.do(step)

    def _unless_done(self, step: SetDeleteOnTermination | UnmarkVolumes) -> None:
        """The role may touch only what is marked, so that whoever comes second is denied what is done already."""
        try:
            self.ec2.do(step)
        except Ec2Error as error:
            if error.code != DENIED or not self._is_done(step):
                raise

    def _is_done(self, step: SetDeleteOnTermination | UnmarkVolumes) -> bool:
        if isinstance(step, UnmarkVolumes):
            return all(v.mark != step.mark for v in self.ec2.volumes(step.volume_ids))
        mappings = (m for i in self.ec2.instances([step.instance_id]) for m in i.mappings)
        there = self.ec2.volumes(m.volume_id for m in mappings if m.device in step.devices)
        flags = {at.device: at.delete_on_termination for v in there if (at := v.attached_to(step.instance_id))}
        return flags == dict(step.devices) and all(v.mark is None for v in there)

    def _change_tier(self, step: ArchiveSnapshot | RestoreSnapshotTier) -> None:
        """An account has quotas for what is under way between the tiers; whoever finds them used up comes again."""
        try:
            self.ec2.do(step)
        except Ec2Error as error:
            if error.refused and error.code.endswith("LimitExceeded"):
                raise NotNow(str(error)) from error
            raise

    def _create(self, step: CreateVolume, work: _Work) -> None:
        """Create a volume; raise the attempt where the token answers with one that can not be used: in error, going or
        gone, or without its mark, so that it is its owner's.

        A volume younger than the quiet period may only not be visible yet; an older one that is not there is gone. One
        that is attached to the instance lost its mark because it is where it belongs, which this pass has not seen yet.
        """
        volume_id, created = self._create_at_any_rate(step)
        work.made[step.record.snapshot_id] = volume_id
        if created < self.began and self._unusable(volume_id, created, work.instance_id):
            self.ec2.do(CountAttempt(snapshot_id=step.record.snapshot_id, attempt=step.record.attempt + 1))
            raise TooSlow(f"The volume {volume_id} made from {step.record.snapshot_id} is gone; another one is made.")

    def _create_at_any_rate(self, step: CreateVolume) -> tuple[str, datetime]:
        """Where EC2, or an SDK that does not know it, refuses a rate, another attempt is counted: that goes without."""
        try:
            return self.ec2.create_volume(step)
        except Raced:
            raise
        except Ec2Error as error:
            if step.rate is None or not error.refused:
                raise
            self.ec2.do(CountAttempt(snapshot_id=step.record.snapshot_id, attempt=step.record.attempt + 1))
            raise TooSlow(f"{error} It is made without volume_initialization_rate.") from error

    def _unusable(self, volume_id: str, created: datetime, instance_id: str) -> bool:
        found = self.ec2.volumes([volume_id])
        if any(v.attached_to(instance_id) for v in found):
            return False
        if found:
            return found[0].mark is None or found[0].state not in ("creating", "available", "in-use")
        return created + self.settings.quiet_period < self.began
