"""Passes, one after the other, until every instance that was named has come to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Any

from park_volumes.cli.screen import Board, Screen
from park_volumes.decide.situation import STOPPED_ON_PURPOSE, marked
from park_volumes.decide.status import status
from park_volumes.ec2 import INSTANCE_ID, Ec2, literally
from park_volumes.model import OPTED_IN, Decision, Instance, Outcome, Seen, Settings
from park_volumes.reconcile import Clock, Each, Pass, Result, in_parallel
from park_volumes.survey import every_orphan, look

MARGIN = timedelta(seconds=3)
"""What a pass leaves of its time limit."""
PACE = 3.0
"""Seconds between two passes."""


class Ending(IntEnum):
    """How a command ended: its exit code."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNFINISHED = 4
    UNKNOWN = 5
    INTERRUPTED = 130


WORST = (Ending.FAILED, Ending.REFUSED, Ending.UNKNOWN, Ending.UNFINISHED)
"""Of several instances the worst ending counts."""


def together(endings: Iterable[Ending]) -> Ending:
    found = set(endings)
    return next((e for e in WORST if e in found), Ending.DONE)


Act = Callable[[Pass, str], Result | None]
"""What one pass does about one instance; None where there is no such instance."""


def _ending(r: Result | None, ended: Callable[[Result], bool]) -> Ending | None:
    """How it ended for an instance; None while it goes on."""
    if r is None:
        return Ending.UNKNOWN
    if r.error:
        return Ending.FAILED
    if ended(r):
        return Ending.DONE
    return Ending.REFUSED if r.decision.outcome in (Outcome.REFUSED, Outcome.OBSERVED) else None


def _at_rest(r: Result) -> bool:
    return r.decision.outcome is Outcome.DONE and not r.decision.steps


def _unmarked(r: Result) -> bool:
    return not marked(r.seen)


def _percent(shown: dict[str, Any], goal: str) -> float:
    """How far an instance is, going by its devices: a volume counts for a start, a finished snapshot for parking."""
    if shown["state"] == goal:
        return 100
    parking = goal == "parked"
    done = [_done(d, parking=parking) for d in shown["devices"]]
    return 90 * sum(done) / max(len(done), 1)


def _done(device: dict[str, Any], *, parking: bool) -> float:
    if not parking:
        return float(device["state"] == "attached")
    return int((device["progress"] or "100%").rstrip("%")) / 100 if device["snapshot_id"] else 0


@dataclass(kw_only=True)
class Desk:
    """One person at work on one account and region. ``lease`` is told when a pass begins."""

    ec2: Ec2
    settings: Settings
    clock: Clock
    lease: Callable[[datetime], None]
    screen: Screen
    timeout: timedelta
    each: Each = in_parallel
    _begun: set[str] = field(default_factory=set)

    def every(self) -> list[Seen]:
        """The instances that are opted in, and those of which there are snapshots, by Name."""
        opted = {i.id for i in self.ec2.instances_tagged({self.settings.opt_in_tag_key: OPTED_IN})}
        snapshots = self.ec2.every_snapshot()
        ids = opted | {r.instance_id for r in snapshots.records} | {i for i in snapshots.damaged if i}
        seen = {s.instance.id: s for s in (*every_orphan(self.ec2), *self.look(ids))}
        return sorted(seen.values(), key=lambda s: (s.instance.name, s.instance.id))

    def look(self, ids: Iterable[str]) -> list[Seen]:
        return list(look(self.ec2, ids, locks=True).values())

    def named(self, refs: Sequence[str]) -> tuple[list[str], bool]:
        """The ids that ids and Names stand for, and whether each stands for just one; the others are told."""
        found = {ref: self._candidates(ref) for ref in refs}
        for ref, candidates in found.items():
            if not candidates:
                self.screen.say(f"No instance is called {ref!r} here. `list` shows those that there are.")
            elif len(candidates) > 1:
                ids = ", ".join(sorted(i.id for i in candidates))
                self.screen.say(f"{len(candidates)} instances have the Name {ref!r}: {ids}. Use an id.")
        clear = {ref: c[0].id for ref, c in found.items() if len(c) == 1}
        return list(dict.fromkeys(clear.values())), len(clear) == len(found)

    def _candidates(self, ref: str) -> list[Instance]:
        if INSTANCE_ID.fullmatch(ref):
            return self.ec2.instances([ref])
        tags = {"Name": (literally(ref),), self.settings.opt_in_tag_key: OPTED_IN}
        return [i for i in self.ec2.instances_tagged(tags) if i.state not in ("shutting-down", "terminated")]

    # What can be done about instances.

    def start(self, ids: Sequence[str]) -> Ending:
        endings = self._follow(ids, self._start, lambda r: r.seen.instance.state == "running", "running")
        return self._settled(endings)

    def restore(self, ids: Sequence[str]) -> Ending:
        endings = self._follow(ids, lambda p, i: p.restore(i), _at_rest, "stopped")
        return self._settled(endings)

    def park(self, ids: Sequence[str]) -> Ending:
        states = {s.instance.id: s.instance.state for s in self.look(ids)}
        running = [i for i, state in states.items() if state != "stopped"]
        for i in running:
            self.screen.say(f"{i} is {states[i]}: only a stopped instance is parked.")
        endings = self._follow([i for i in ids if i not in running], self._park, self._is_parked, "parked")
        return together([*endings.values(), *(Ending.REFUSED for _ in running)])

    def _is_parked(self, r: Result) -> bool:
        return bool(self._shown(r.seen)["state"] == "parked")

    def _park(self, this_pass: Pass, instance_id: str) -> Result | None:
        """What is neither parked nor on its way there is not going to be, for the reason that the decision gives."""
        result = next(iter(this_pass.park([instance_id])), None)
        if result is None or result.decision.outcome is not Outcome.DONE or result.decision.steps:
            return result
        if self._is_parked(result):
            return result
        return replace(result, decision=replace(result.decision, outcome=Outcome.REFUSED))

    def _start(self, this_pass: Pass, instance_id: str) -> Result | None:
        """A start, but not once more for an instance that EC2 has started and stopped again."""
        if instance_id in self._begun and (fallen := self._fallen_back(instance_id)):
            return fallen
        result = this_pass.start(instance_id)
        if result and result.seen.instance.state == "stopped" and result.decision.outcome is Outcome.DONE:
            self._begun.add(instance_id)
        return result

    def _fallen_back(self, instance_id: str) -> Result | None:
        seen = next(iter(self.look([instance_id])), None)
        if seen is None or seen.instance.state != "stopped" or seen.instance.state_reason in STOPPED_ON_PURPOSE:
            return None
        words = f"EC2 started {instance_id} and stopped it again ({seen.instance.state_reason})."
        return Result(seen=seen, decision=Decision(reason=words), error=words)

    def _settled(self, endings: dict[str, Ending]) -> Ending:
        """What came back loses its marks, once nobody can see it any more as it was before: some minutes later."""
        back = [i for i, e in endings.items() if e is Ending.DONE]
        if any(marked(s) for s in self.look(back)):
            minutes = self.settings.settle_period.total_seconds() / 60
            self.screen.say(f"The marks come off the volumes within {minutes:.0f} minutes. Nobody has to wait for it,")
            self.screen.say("unless the module is removed: Ctrl-C leaves them, and the same command goes on.")
            endings |= self._follow(back, lambda p, i: next(iter(p.settle([i])), None), _unmarked, "settled")
        return together(endings.values())

    # Passes.

    def _follow(self, ids: Sequence[str], act: Act, ended: Callable[[Result], bool], goal: str) -> dict[str, Ending]:
        """Passes over those that are not at their end yet, until all are or there is no more time."""
        until = self.clock.now() + self.timeout
        endings: dict[str, Ending] = {}
        with self.screen.board() as board:
            while left := [i for i in ids if i not in endings]:
                for instance_id, result in self._pass_over(left, act).items():
                    self._tell(board, instance_id, result, goal)
                    ending = _ending(result, ended)
                    if ending is not None:
                        endings[instance_id] = ending
                if all(i in endings for i in ids):
                    break
                if self.clock.now() >= until:
                    return endings | dict.fromkeys((i for i in ids if i not in endings), Ending.UNFINISHED)
                self.clock.sleep(PACE)
        return endings

    def _pass_over(self, ids: Sequence[str], act: Act) -> dict[str, Result | None]:
        began = self.clock.now()
        self.lease(began)
        deadline = began + self.settings.function_timeout - MARGIN
        this_pass = Pass(
            ec2=self.ec2, settings=self.settings, clock=self.clock, began=began, deadline=deadline, each=self.each
        )
        results: dict[str, Result | None] = {}

        def one(instance_id: str) -> None:
            results[instance_id] = act(this_pass, instance_id)

        self.each([partial(one, i) for i in ids])
        return results

    def _tell(self, board: Board, instance_id: str, result: Result | None, goal: str) -> None:
        if result is None:
            board.show(instance_id, 0, "there is no such instance")
            return
        name = f"{instance_id} {result.seen.instance.name}".rstrip()
        board.show(name, _percent(self._shown(result.seen), goal), result.error or result.decision.reason)

    def _shown(self, seen: Seen) -> dict[str, Any]:
        return status(seen, self.settings, self.clock.now())
