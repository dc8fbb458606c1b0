"""Every race up to two preemptions: who acts is switched at every API call, in every order that two switches allow.

A switch where somebody has ended is free, as in Musuvathi and Qadeer, "Iterative context bounding" (PLDI 2007).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from botocore.exceptions import ClientError

from tests.explore.crashes import conclude
from tests.explore.scenarios import at
from tests.explore.stage import Finding, Kind, Stage

PREEMPTIONS = 2
ONE_VOLUME = "one volume"


class Actor(Protocol):
    @property
    def done(self) -> bool: ...

    def step(self) -> None: ...


class Person:
    """Somebody, or another tool, with a list of deeds, each done at one stroke; EC2 may refuse it."""

    def __init__(self, stage: Stage, deeds: str) -> None:
        self._left = [partial(DEEDS[word], stage) for word in deeds.split(", ")]

    @property
    def done(self) -> bool:
        return not self._left

    def step(self) -> None:
        try:
            self._left.pop(0)()
        except ClientError:
            return


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


def schedules(race: Race, seen: Counter[str], known: set[int]) -> Iterator[Switches]:
    """Run every schedule of a race and what follows from it. Raises Finding, which tells the schedule."""
    base = at(race.shape, race.moment)
    todo: list[tuple[Switches, int]] = [((), 0)]
    while todo:
        switches, used = todo.pop()
        stage = base.clone(seen)
        trace: list[tuple[int, bool, tuple[int, ...]]] = []
        try:
            play(stage, race.actors, switches, trace)
            conclude(stage, known)
        except Finding as finding:
            raise Finding(f"{race}, switched at {dict(switches)}: {finding}") from None
        seen[f"preemptions: {used}"] += 1
        yield switches
        first = switches[-1][0] + 1 if switches else 0
        for step in range(first, len(trace)):
            current, free, others = trace[step]
            cost = used + (not free)
            if cost <= PREEMPTIONS:
                todo += [((*switches, (step, other)), cost) for other in others if other != current]


def play(
    stage: Stage, names: tuple[str, ...], switches: Switches, trace: list[tuple[int, bool, tuple[int, ...]]]
) -> None:
    """One schedule. ``trace`` gets for each step who acted, whether a switch was free there, and who else could."""
    actors: list[Actor] = [
        Person(stage, name) if name in PEOPLE else stage.begin(name)  # type: ignore[arg-type]  # a Kind otherwise
        for name in names
    ]
    at_step = dict(switches)
    current = -1
    while alive := tuple(n for n, actor in enumerate(actors) if not actor.done):
        free = current not in alive
        current = at_step.get(len(trace), alive[0] if free else current)
        trace.append((current, free, tuple(n for n in alive if n != current)))
        actors[current].step()
