"""A pass of the park side: one look at the instances that a batch names, and the next steps for each."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest

from park_volumes.aws.errors import Ec2Error
from park_volumes.core.archive import due, some_at_once
from park_volumes.core.facts import Observation, SnapshotRecord, Verdict
from park_volumes.core.park import needs_park_pass, park
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.settings import Settings
from park_volumes.core.steps import ConfirmSnapshots, Decision, MarkVolume, Step, TryGivingUp
from park_volumes.core.way_back import FRESH, is_allowed, shape_of
from park_volumes.run.context import OutOfTime, Pass, alone
from park_volumes.run.execute import Confirmations, Ending, Result, execute, unforeseen
from park_volumes.run.observe import chosen, observe, observe_not_shown
from park_volumes.run.trial import look_of, may_give_up
from park_volumes.run.wait import POLL

Decided = tuple[Observation, Decision]
ASKED = timedelta(minutes=2)
"""How long an answer is waited for before another instance asks: the start side sweeps every minute."""


class NotConfirmed(Exception):
    """The pass detached a root volume and had no time left to confirm it. The sweep puts the volume back."""


@dataclass(frozen=True, kw_only=True)
class ParkPass:
    this_pass: Pass
    verdicts: MutableMapping[str, Verdict] = field(default_factory=dict)
    """What earlier passes have read, by shape."""
    _confirmations: Confirmations = field(default_factory=dict)
    """The last step of each lock, by instance; done at the end for all of them at once."""

    def park(self, ids: Iterable[str], *, snapshot_just_completed: Collection[str] = ()) -> list[Result]:
        """Observe all of these instances once, and do the next steps for each.
        For those in ``snapshot_just_completed`` no snapshot is taken: another message asks for it."""
        reads, named, now = self.this_pass.ec2.reads, set(ids), self.this_pass.clock.now()
        shown = observe(reads, named, now=now, locks=True, may_move=self._old_enough)
        every = self._with_verdicts(shown) | observe_not_shown(reads, named - shown.keys(), now)
        results: dict[str, Result] = {}
        decisions: list[Decided] = []
        for i, o in every.items():
            decide = partial(self._decide, o, take_snapshots=i not in snapshot_just_completed)
            match alone(i, decide, partial(unforeseen, o)):
                case Decision() as decision:
                    decisions.append((o, decision))
                case Result() as failed:
                    results[i] = failed

        def one(observation: Observation, decision: Decision) -> None:
            instance_id = observation.instance.id
            do = partial(execute, self.this_pass, observation, decision, confirmations=self._confirmations)
            results[instance_id] = alone(instance_id, do, partial(unforeseen, observation))

        for some in self._tried_first(decisions):
            self.this_pass.each([partial(one, o, decision) for o, decision in _by_kind_in_turn(some)])
        for instance_id, error in self._confirm().items():
            results[instance_id] = replace(results[instance_id], ending=Ending.FAILED, error=error)
        return [results[i] for i in every]

    def _decide(self, observation: Observation, *, take_snapshots: bool) -> Decision | Result:
        this_pass = self.this_pass
        decision = park(observation, this_pass.settings, this_pass.began, take_snapshots=take_snapshots)
        asks = {type(step) for step in decision.every_step} == {MarkVolume}
        return replace(decision, steps=()) if asks and self._is_asked(observation) else decision

    def _is_asked(self, observation: Observation) -> bool:
        """Whether another instance whose volumes look alike has just asked for the verdict: one is enough."""
        completed = (r for r in observation.of_this_stop if r.state == "completed")
        what = f"asked {sorted({shape_of(r, observation.instance) for r in completed})}"
        if self.this_pass.knows(what, ASKED):
            return True
        self.this_pass.learns(what)
        return False

    def _tried_first(self, decisions: Sequence[Decided]) -> tuple[list[Decided], list[Decided]]:
        """Those that try first what nobody has tried yet, one for each kind of volume; and the others."""
        first: list[Decided] = []
        tried = set[str]()
        for observation, decision in decisions:
            tries = (s for s in decision.every_step if isinstance(s, TryGivingUp))
            looks = {look_of(r, observation) for step in tries for _, r in step.parts}
            new = {look for look in looks - tried if not may_give_up(self.this_pass, look)}
            if new:
                first.append((observation, decision))
                tried |= new
        ids = {o.instance.id for o, _ in first}
        return first, [one for one in decisions if one[0].instance.id not in ids]

    def _with_verdicts(self, every: Mapping[str, Observation]) -> dict[str, Observation]:
        """The same with the verdicts on volumes that look alike to a policy; EC2 is asked if one is missing."""
        began = self.this_pass.began
        copied = chosen(every.values(), lambda o: phase_of(o) is Phase.WHOLE, unclear=False)
        done = [(r, o.instance) for o in copied for r in o.of_this_stop if r.state == "completed"]
        if not all(is_allowed(self.verdicts.get(shape_of(r, i)), began) for r, i in done):
            read = self.this_pass.ec2.reads.verdicts(began - FRESH, began)
            self.verdicts.update({v.shape: v for v in sorted(read, key=lambda v: v.at)})
        known = dict(self.verdicts)
        return {i: replace(o, verdicts=known) for i, o in every.items()}

    def _old_enough(self, r: SnapshotRecord) -> bool:
        """Whether a snapshot may have been sent to the archive."""
        after = self.this_pass.settings.archive_after
        return after is not None and (r.confirmed_at or r.started) <= self.this_pass.began - after

    def _confirm(self) -> dict[str, Exception]:
        """Confirm the snapshots of all instances whose root volume this pass detached. Returns the errors by instance.
        EC2 tags all resources or none: if it refuses, each instance gets its own call."""
        steps = dict(self._confirmations)
        self._confirmations.clear()
        ids = tuple(i for step in steps.values() for i in step.snapshot_ids)
        of_all = ConfirmSnapshots(snapshot_ids=ids, at=self.this_pass.began)
        if alone("The confirmation", partial(self._insist, of_all), lambda error: error) is None:
            return {}
        found = {i: alone(i, partial(self._insist, step), lambda error: error) for i, step in steps.items()}
        return {i: error for i, error in found.items() if error}

    def _insist(self, step: ConfirmSnapshots) -> Exception | None:
        """Do it even after the turn of this pass: otherwise its earlier steps are lost. Returns the error, if any."""
        clock = self.this_pass.clock
        while True:
            try:
                self.this_pass.ec2.writes.do(step)
            except OutOfTime:
                if clock.now() >= self.this_pass.deadline:
                    words = "There was no time left to confirm that its root volume was detached"
                    return NotConfirmed(f"{words}: the volume is put back.")
                clock.sleep(POLL)
            except Ec2Error as error:
                return error
            else:
                return None


def _by_kind_in_turn(decisions: Iterable[Decided]) -> list[Decided]:
    """Take turns between the kinds of first step: while the calls of one kind have to wait, the others are made."""
    kinds: dict[type[Step] | None, list[Decided]] = defaultdict(list)
    for observation, decision in decisions:
        kinds[type(decision.steps[0][0]) if decision.steps else None].append((observation, decision))
    return [one for turn in zip_longest(*kinds.values()) for one in turn if one]


def park_sweep(fleet: Sequence[Observation], settings: Settings, now: datetime) -> list[str]:
    """The ids of the instances of a fleet for which the park side may have something to do."""
    found = chosen(fleet, lambda o: needs_park_pass(o, settings, now), unclear=True)
    to_archive = chosen(fleet, lambda o: bool(due(o, settings, now)), unclear=False)
    return list(dict.fromkeys(o.instance.id for o in (*found, *some_at_once(to_archive, settings, now))))
