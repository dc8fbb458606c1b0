"""Every race up to two preemptions: who acts is switched at every API call, in every order that two switches allow.

A switch where somebody has ended is free, as in Musuvathi and Qadeer, "Iterative context bounding" (PLDI 2007). A
schedule ends where it comes into a situation that another has been in with as many switches left, since what may follow
is the same: Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems" (1996), calls that state
caching.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from tests.explore.crashes import conclude
from tests.explore.scenarios import at
from tests.explore.stage import Finding, Kind, Process, Stage
from tests.model.answers import Answer
from tests.model.client import Operation

PREEMPTIONS = 2
ONE_VOLUME = "one volume"


class Actor(Protocol):
    @property
    def done(self) -> bool: ...

    @property
    def knows(self) -> int:
        """A hash of what its next steps depend on, beside the world."""
        ...

    def step(self) -> None: ...


class Person:
    """Somebody, or another tool, with a list of deeds, each done at one stroke; EC2 may refuse it."""

    def __init__(self, stage: Stage, deeds: str) -> None:
        self._left = [partial(DEEDS[word], stage) for word in deeds.split(", ")]

    @property
    def done(self) -> bool:
        return not self._left

    @property
    def knows(self) -> int:
        return len(self._left)

    def step(self) -> None:
        try:
            self._left.pop(0)()
        except ClientError:
            return


class Listener:
    """A pass, and all that it has been told: the answers to its calls, and the time."""

    def __init__(self, process: Process) -> None:
        self._process, self._heard = process, 0
        self._call, self._now = process.client._call, process.now
        process.client._call = self._hear_answer  # type: ignore[method-assign]  # it listens to this pass only
        process.now = self._hear_time  # type: ignore[method-assign]  # the same

    @property
    def done(self) -> bool:
        return self._process.done

    @property
    def knows(self) -> int:
        return hash((self._heard, self._process.next_call, self._process.wakes, self.done))

    def step(self) -> None:
        self._process.step()

    def _hear(self, what: object) -> None:
        self._heard = hash((self._heard, repr(what)))

    def _hear_answer(self, op: Operation, /, **params: Any) -> Answer:
        try:
            answer = self._call(op, **params)
        except ClientError as error:
            self._hear(error)
            raise
        self._hear({name: told for name, told in answer.items() if name != "ResponseMetadata"})
        return answer

    def _hear_time(self) -> datetime:
        now = self._now()
        self._hear(now)
        return now


def _start(stage: Stage) -> None:
    stage.person.start_instances(InstanceIds=[stage.instance_id])


def _stop(stage: Stage) -> None:
    """Stopping needs an instance that is up: its owner waits for that, and then for the stop to be done."""
    stage.wait(stage.world.durations.start)
    stage.person.stop_instances(InstanceIds=[stage.instance_id])
    stage.wait(stage.world.durations.stop)


DEEDS: Mapping[str, Callable[[Stage], None]] = {"starts": _start, "stops": _stop}
PEOPLE = ("starts", "stops", "starts, stops", "stops, starts")


class Race(NamedTuple):
    shape: str
    moment: str
    actors: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.shape}, {self.moment}: {' against '.join(self.actors)}"


Switches = tuple[tuple[int, int], ...]
"""At which step who goes on; at any other step whoever did, or the first who is not done."""


def races(shapes: tuple[str, ...], pairs: Mapping[tuple[Kind, ...], tuple[str, ...]]) -> list[Race]:
    """Each pair of passes in each of its moments, alone and with one volume also against each kind of person."""
    return [
        Race(shape, moment, (*pair, *person))
        for shape in shapes
        for pair, moments in pairs.items()
        for moment in moments
        for person in [(), *((p,) for p in PEOPLE)]
        if len(pair) + len(person) == 2 or (person and shape == ONE_VOLUME)
        if (shape, moment) != (ONE_VOLUME, "committed")  # where nothing is left to dismantle, that is "parked"
    ]


STOPPED = ("stopped", "copied", "just locked", "locked", "committed")
DOWN = (*STOPPED, "parked", "half restored", "rootless")
PAIRS: Mapping[tuple[Kind, ...], tuple[str, ...]] = {
    ("park",): (*DOWN, "started", "superseded"),
    ("start",): DOWN,
    ("settle",): (*STOPPED, "half restored", "rootless", "started"),
    ("park", "park"): (*STOPPED, "superseded"),
    ("park", "start"): (*DOWN, "started"),
    ("start", "start"): DOWN,
    ("park", "settle"): ("just locked", "locked", "rootless", "started"),
    ("start", "settle"): ("just locked", "locked", "rootless", "started"),
}


class Step(NamedTuple):
    """Who acted, whether a switch was free there, and who else could. ``situation`` is what follows depends on; absent
    where the schedule only repeats the one that it branched from."""

    actor: int
    free: bool
    others: tuple[int, ...]
    situation: int | None


class Met(Exception):
    """Another schedule has been here, with as many switches left."""


class Known:
    """The situations that schedules of one race have been in, with the least number of preemptions until then."""

    def __init__(self) -> None:
        self._least: dict[object, int] = {}

    def is_new(self, used: int, situation: object) -> bool:
        new = used < self._least.get(situation, PREEMPTIONS + 1)
        if new:
            self._least[situation] = used
        return new


def schedules(race: Race, seen: Counter[str], known: set[int], met: Known | None = None) -> Iterator[Switches]:
    """Run every schedule of a race and what follows from it. Raises Finding, which tells the schedule."""
    base, met = at(race.shape, race.moment), met or Known()
    todo: list[tuple[Switches, int]] = [((), 0)]
    while todo:
        switches, used = todo.pop()
        stage = base.clone(seen)
        trace: list[Step] = []
        try:
            play(stage, race.actors, switches, trace, partial(met.is_new, used))
            conclude(stage, known)
        except Met:
            seen["schedules: as another before"] += 1
        except Finding as finding:
            raise Finding(f"{race}, switched at {dict(switches)}: {finding}") from None
        seen[f"preemptions: {used}"] += 1
        yield switches
        for n, step in enumerate(trace):
            cost = used + (not step.free)
            if step.situation is not None and cost <= PREEMPTIONS:
                todo += [
                    ((*switches, (n, other)), cost)
                    for other in step.others
                    if met.is_new(cost, (step.situation, other))
                ]


def play(
    stage: Stage,
    names: tuple[str, ...],
    switches: Switches,
    trace: list[Step],
    is_new: Callable[[object], bool],
) -> None:
    """One schedule. ``trace`` gets its steps. What it shares with the one that it branched from was judged there.
    Raises Met where a situation is not new."""
    actors: list[Actor] = [
        Person(stage, name) if name in PEOPLE else Listener(stage.begin(name))  # type: ignore[arg-type]  # a Kind otherwise
        for name in names
    ]
    at_step, branches_at = dict(switches), switches[-1][0] if switches else -1
    stage.judged_before = bool(switches)
    current = -1
    while alive := tuple(n for n, actor in enumerate(actors) if not actor.done):
        free = current not in alive
        usual = alive[0] if free else current
        situation = None
        if len(trace) == branches_at:
            stage.judge_from_here()
        if len(trace) > branches_at:
            situation = hash((stage.situation(), *(actor.knows for actor in actors)))
            if not is_new((situation, usual, free, "goes on")):
                raise Met
        current = at_step.get(len(trace), usual)
        trace.append(Step(current, free, tuple(n for n in alive if n != current), situation))
        actors[current].step()
