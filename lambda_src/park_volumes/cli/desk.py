"""Runs pass after pass until every named instance is done."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Any

from park_volumes.aws import Ec2
from park_volumes.cli.screen import Board, Screen
from park_volumes.core.facts import Instance, Observation
from park_volumes.core.park import park
from park_volumes.core.phase import Phase, is_terminated, phase_of, stopped_on_purpose
from park_volumes.core.reading import INSTANCE_ID, TAG_VALUE
from park_volumes.core.settings import Settings
from park_volumes.core.status import PARKED
from park_volumes.core.steps import Decision, Outcome, refuse
from park_volumes.core.tags import opted_in
from park_volumes.run.context import Clock, Each, Pass, alone, in_parallel
from park_volumes.run.execute import Ending, Result, unforeseen
from park_volumes.run.observe import not_shown, observe, observe_orphans, opted_in_instances
from park_volumes.run.park_pass import ParkPass
from park_volumes.run.show import status_of
from park_volumes.run.start_pass import StartPass

MARGIN = timedelta(seconds=3)
"""The part of its time limit that a pass leaves unused."""
PACE = 3.0
"""Seconds between two passes."""

Act = Callable[[Pass, str], Result | None]
"""What one pass does about one instance; None if there is no such instance."""


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNFINISHED = 4
    UNKNOWN = 5
    INTERRUPTED = 130


WORST = (ExitCode.FAILED, ExitCode.REFUSED, ExitCode.UNKNOWN, ExitCode.UNFINISHED)
"""For several instances the worst ending counts."""


class StartReverted(Exception):
    """EC2 started an instance and stopped it again."""


def together(endings: Iterable[ExitCode]) -> ExitCode:
    found = set(endings)
    return next((e for e in WORST if e in found), ExitCode.DONE)


def not_stopped(instance: Instance) -> str:
    """Why an instance cannot be parked now; empty if it is stopped."""
    stopped = instance.state == "stopped"
    return "" if stopped else f"{instance.id} is {instance.state}: only a stopped instance can be parked."


def park_stopped(observation: Observation, settings: Settings, now: datetime) -> Decision:
    """What `park` decides: the park side itself also looks after instances that run."""
    words = not_stopped(observation.instance)
    return refuse(words) if words else park(observation, settings, now)


def _ending(r: Result | None, ended: Callable[[Result], bool]) -> ExitCode | None:
    """How it ended for an instance; None while it continues."""
    if r is None:
        return ExitCode.UNKNOWN
    if r.error:
        return ExitCode.FAILED
    if ended(r):
        return ExitCode.DONE
    return ExitCode.REFUSED if r.decision.outcome in (Outcome.REFUSED, Outcome.OBSERVED) else None


def _at_rest(r: Result) -> bool:
    return r.decision.outcome is Outcome.DONE and not r.decision.steps


def _settle(this_pass: Pass, instance_id: str) -> Result | None:
    return next(iter(StartPass(this_pass=this_pass).settle([instance_id])), None)


def _percent(shown: dict[str, Any], goal: str) -> float:
    """The progress of an instance by its devices: a start counts attached volumes, parking counts snapshots."""
    if shown["state"] == goal:
        return 100
    devices = shown["devices"]
    if goal == PARKED:
        done = sum(int((d["progress"] or "100%").rstrip("%")) / 100 for d in devices if d["snapshot_id"])
    else:
        done = sum(d["state"] == "attached" for d in devices)
    return 90 * done / max(len(devices), 1)


@dataclass(kw_only=True)
class Desk:
    """One person's work on one account and region. ``lease`` is called when a pass begins; ``known`` is what earlier
    passes have learned, each with the time."""

    ec2: Ec2
    settings: Settings
    clock: Clock
    lease: Callable[[datetime], None]
    screen: Screen
    timeout: timedelta
    each: Each = in_parallel
    known: dict[str, datetime] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    def every(self) -> list[Observation]:
        """The instances that are opted in or have snapshots, by Name."""
        opted = {i.id for i in opted_in_instances(self.ec2.reads, self.settings)}
        snapshots = self.ec2.reads.every_snapshot()
        ids = opted | {r.instance_id for r in snapshots.records} | {i for i in snapshots.damaged if i}
        orphans = observe_orphans(self.ec2.reads, snapshots, self.clock.now())
        found = {o.instance.id: o for o in (*orphans, *self.observe(ids))}
        return sorted(found.values(), key=lambda o: (o.instance.name, o.instance.id))

    def observe(self, ids: Iterable[str]) -> list[Observation]:
        return list(observe(self.ec2.reads, ids, now=self.clock.now(), locks=True).values())

    def named(self, refs: Sequence[str]) -> tuple[list[str], bool]:
        """The ids for these ids and Names, and whether each stands for exactly one; the others are reported."""
        found = {ref: self._candidates(ref) for ref in refs}
        for ref, candidates in found.items():
            if not candidates:
                self.screen.say(f"No instance has the id or Name {ref!r}. `list` shows the ids and Names.")
            elif len(candidates) > 1:
                ids = ", ".join(sorted(i.id for i in candidates))
                self.screen.say(f"{len(candidates)} instances have the Name {ref!r}: {ids}. Use an id.")
        clear = {ref: c[0].id for ref, c in found.items() if len(c) == 1}
        return list(dict.fromkeys(clear.values())), len(clear) == len(found)

    def _candidates(self, ref: str) -> list[Instance]:
        """The instances that are meant: of several with the Name, those that are opted in."""
        if INSTANCE_ID.fullmatch(ref):
            return self.ec2.reads.instances([ref])
        if not TAG_VALUE.fullmatch(ref):
            return []
        every = self.ec2.reads.instances_tagged(None, name=ref)
        there = [i for i in every if not is_terminated(i)]
        return [i for i in there if opted_in(i.tags, self.settings)] or there

    def start(self, ids: Sequence[str]) -> ExitCode:
        endings = self._follow(ids, self._start, lambda r: phase_of(r.observation) is Phase.RUNNING, "running")
        return self._settled(endings)

    def restore(self, ids: Sequence[str]) -> ExitCode:
        endings = self._follow(ids, lambda p, i: StartPass(this_pass=p).restore(i), _at_rest, "stopped")
        return self._settled(endings)

    def park(self, ids: Sequence[str]) -> ExitCode:
        refused = {o.instance.id: words for o in self.observe(ids) if (words := not_stopped(o.instance))}
        for words in refused.values():
            self.screen.say(words)
        endings = self._follow([i for i in ids if i not in refused], self._park, self._is_parked, PARKED)
        return together([*endings.values(), *(ExitCode.REFUSED for _ in refused)])

    def _is_parked(self, r: Result) -> bool:
        """Whether it is parked; that some tag is damaged does not change that."""
        return bool(self._shown(r.observation.undamaged)["state"] == PARKED)

    def _park(self, this_pass: Pass, instance_id: str) -> Result | None:
        """An instance that is neither parked nor being parked is refused, for the reason in the decision."""
        result = next(iter(ParkPass(this_pass=this_pass).park([instance_id])), None)
        if result and phase_of(result.observation) is Phase.WHOLE:
            _settle(this_pass, instance_id)  # the start side tries the way back
        if result is None or not _at_rest(result) or self._is_parked(result):
            return result
        return replace(result, decision=replace(result.decision, outcome=Outcome.REFUSED))

    def _start(self, this_pass: Pass, instance_id: str) -> Result | None:
        """Start an instance, but not again if EC2 has started it and stopped it again."""
        if instance_id in self._begun and (reverted := self._reverted(instance_id)):
            return reverted
        result = StartPass(this_pass=this_pass).start(instance_id)
        if result and result.observation.instance.state == "stopped" and result.decision.outcome is Outcome.DONE:
            self._begun.add(instance_id)
        return result

    def _reverted(self, instance_id: str) -> Result | None:
        observation = next(iter(self.observe([instance_id])), None)
        if observation is None or observation.instance.state != "stopped":
            return None
        if stopped_on_purpose(observation.instance):
            return None
        error = StartReverted(f"EC2 started {instance_id} and stopped it again ({observation.instance.state_reason}).")
        return Result(observation=observation, decision=Decision(reason=str(error)), ending=Ending.FAILED, error=error)

    def _settled(self, endings: dict[str, ExitCode]) -> ExitCode:
        """Remove the marks of what came back, once no description can show the old state: some minutes later."""
        back = [i for i, e in endings.items() if e is ExitCode.DONE]
        if any(o.in_transit for o in self.observe(back)):
            minutes = f"{self.settings.settle_period.total_seconds() / 60:.0f} minutes"
            self.screen.say(f"The marks on the volumes are removed within {minutes}. You need not wait for that,")
            self.screen.say("unless you remove the module. Ctrl-C leaves the marks; the same command continues.")
            endings |= self._follow(back, _settle, lambda r: not r.observation.in_transit, "settled")
        return together(endings.values())

    def _follow(self, ids: Sequence[str], act: Act, ended: Callable[[Result], bool], goal: str) -> dict[str, ExitCode]:
        """Run passes over the unfinished instances, until all are done or the time is over."""
        until = self.clock.now() + self.timeout
        endings: dict[str, ExitCode] = {}
        with self.screen.board() as board:
            while left := [i for i in ids if i not in endings]:
                for instance_id, result in self._pass_over(left, act).items():
                    self._tell(board, instance_id, result, goal)
                    if (ending := _ending(result, ended)) is not None:
                        endings[instance_id] = ending
                if all(i in endings for i in ids):
                    break
                if self.clock.now() >= until:
                    return endings | dict.fromkeys((i for i in ids if i not in endings), ExitCode.UNFINISHED)
                self.clock.sleep(PACE)
        return endings

    def _pass_over(self, ids: Sequence[str], act: Act) -> dict[str, Result | None]:
        began = self.clock.now()
        self.lease(began)
        deadline = began + self.settings.function_timeout - MARGIN
        this_pass = Pass(
            ec2=self.ec2,
            settings=self.settings,
            clock=self.clock,
            began=began,
            deadline=deadline,
            each=self.each,
            known=self.known,
        )
        results: dict[str, Result | None] = {}

        def one(instance_id: str) -> None:
            not_seen = Observation(instance=not_shown(instance_id))
            do = partial(act, this_pass, instance_id)
            results[instance_id] = alone(instance_id, do, lambda error: unforeseen(not_seen, error))

        self.each([partial(one, i) for i in ids])
        return results

    def _tell(self, board: Board, instance_id: str, result: Result | None, goal: str) -> None:
        if result is None:
            board.show(instance_id, 0, "there is no such instance")
            return
        name = f"{instance_id} {result.observation.instance.name}".rstrip()
        board.show(name, _percent(self._shown(result.observation), goal), str(result.error or result.reason))

    def _shown(self, observation: Observation) -> dict[str, Any]:
        return status_of(observation, self.settings, self.clock.now())
