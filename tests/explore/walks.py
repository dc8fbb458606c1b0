"""Random walks: several passes at once, people, faults and time, in any order; told as a story that can be told again.

A story is all that a run depends on. What its deeds name is chosen among what there is, so that any part of a story is
a story too: that is what makes shrinking easy.
"""

import gc
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from park_volumes.core.capacity import lacks_capacity
from tests.explore import people
from tests.explore.crashes import conclude
from tests.explore.memory import remembering
from tests.explore.scenarios import MOMENTS, SHAPES, at
from tests.explore.stage import EXCUSES, KINDS, Finding, Process, Stage
from tests.model.faults import CAPACITY, FALLS_BACK, STRIKES_AT, Fault, Lag
from tests.model.records import SWITCHES

FAULTS = (
    Fault.DIES_BEFORE,
    Fault.DIES_AFTER,
    Fault.NOT_SENT,
    Fault.ANSWER_LOST,
    Fault.THROTTLED,
    Fault.SERVER_ERROR,
    Fault.SERVER_ERROR_AFTER,
    Fault.SNAPSHOT_FAILS,
    Fault.VOLUME_FAILS,
    Fault.NO_CAPACITY,
    Fault.START_FALLS_BACK,
)
SELDOM = 100_000
"""Allocations between two searches for garbage: stories leave little, and the searches would take a twentieth of the
time."""
SHORTAGES = (*CAPACITY, *(fault for fault, reason in FALLS_BACK.items() if lacks_capacity(reason)))
"""How EC2 says that it has no room for a start."""
SHORT = (100, 700, 1500, 2700)
"""Seconds for which it has none."""
WAITS = (0.5, 1, 2, 5, 10, 20, 40, 61, 90, 125, 185, 400, 3700)
"""Seconds: what EC2 needs for its steps, what passes live, the quiet period, the hour of a start, and between."""


class Deed(NamedTuple):
    """``verb``: begin, go, finish, die, fault, short, wait, person. ``what`` says more; ``which`` chooses or counts."""

    verb: str
    what: str = ""
    which: float = 0

    def __str__(self) -> str:
        return f"{self.verb} {self.what} {self.which:g}".replace("  ", " ")


@dataclass(frozen=True, kw_only=True)
class Story:
    shape: str
    moment: str
    lag: Lag | None
    deeds: tuple[Deed, ...]
    seed: int
    aws: tuple[tuple[str, Any], ...] = ()
    """Which of the two AWS is (``SWITCHES``), where that is not as the instance of this shape has it."""

    def __str__(self) -> str:
        lag = f"describe calls lag up to {self.lag.seconds:.0f} s" if self.lag else "no lag"
        lag += "".join(f", {name}: {value}" for name, value in self.aws)
        deeds = "; ".join(map(str, self.deeds))
        return f"Seed {self.seed}: an instance with {self.shape}, {self.moment}; {lag}; {deeds or 'nothing happens'}."


def invent(seed: int) -> Story:
    """The story of a seed: always the same. In half of them people only start and stop the instance."""
    chance = Random(seed)
    lag = Lag(60.0, seed=seed, share=chance.choice((20, 50, 100))) if chance.random() < 0.6 else None
    calm = chance.random() < 0.5
    turns = (_pass_begins, _pass_goes_on, _time_passes, _person_acts)
    weights = (6, 7, 4, 1) if calm else (5, 6, 4, 4)
    shape = chance.choices(tuple(SHAPES), (4, 5, 1, 1, 1, 2))[0]
    deeds: list[Deed] = []
    for turn in chance.choices(turns, weights, k=chance.randint(3, 14)):
        deeds += turn(chance, calm)
    moment = chance.choice(MOMENTS)
    return Story(shape=shape, moment=moment, lag=lag, deeds=tuple(deeds), seed=seed, aws=_which_aws(seed))


def _which_aws(seed: int) -> tuple[tuple[str, Any], ...]:
    chance = Random(f"which of the two AWS is: {seed}")
    return tuple((name, chance.choice(values)) for name, values in SWITCHES.items())


def _pass_begins(chance: Random, calm: bool) -> Iterator[Deed]:
    yield Deed("begin", chance.choices(tuple(KINDS), (5, 1, 1, 3, 3, 1))[0])
    if chance.random() < (0.1 if calm else 0.25):
        fault = chance.choices(FAULTS, [1 + 3 * (fault in STRIKES_AT) for fault in FAULTS])[0]
        if fault is Fault.NO_CAPACITY and chance.random() < 0.5:
            yield Deed("short", chance.choice(SHORTAGES).name, chance.choice(SHORT))
        else:
            yield Deed("fault", (chance.choice(SHORTAGES) if fault is Fault.NO_CAPACITY else fault).name)
    if chance.random() < 0.7:
        yield Deed("go", "c", chance.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15)))


def _pass_goes_on(chance: Random, calm: bool) -> Iterator[Deed]:
    verb = chance.choices(("go", "finish", "die"), (7, 5, 0.4 if calm else 0.8))[0]
    yield Deed(verb, chance.choice("abc"), chance.choice((1, 1, 2, 3, 4, 5, 6, 8, 12)) if verb == "go" else 0)


def _time_passes(chance: Random, _: bool) -> Iterator[Deed]:
    yield Deed("wait", "", chance.choice(WAITS))


def _person_acts(chance: Random, calm: bool) -> Iterator[Deed]:
    weights = CALM if calm else WEIGHTS
    deed = chance.choices(tuple(weights), tuple(weights.values()))[0]
    yield Deed("person", deed, chance.randrange(12))
    if deed == "detaches" and chance.random() < 0.7:
        yield Deed("wait", "", 1)
        yield Deed("person", chance.choice(AFTER_DETACHING), chance.randrange(12))
    if deed == "backs up" and chance.random() < 0.7:
        yield Deed("person", "copies our tags", chance.randrange(12))


WEIGHTS = {
    "starts": 5,
    "stops": 5,
    "shuts down": 1,
    "terminates": 0.2,
    "withdraws": 0.6,
    "opts in": 0.6,
    "tags a volume": 0.7,
    "retags a volume": 1.5,
    "modifies a volume": 1.5,
    "switches a flag": 4,
    "tags a snapshot": 0.7,
    "backs up": 0.7,
    "copies our tags": 0.5,
    "forges a record": 0.4,
    "forges a mark": 0.4,
    "forges a place": 0.4,
    "deletes a snapshot": 0.8,
    "deletes a volume": 0.2,
    "detaches": 3,
    "attaches": 1,
    "attaches another": 0.7,
    "lends": 0.2,
    "archives a snapshot": 0.5,
    "registers an image": 0.5,
    "shares a snapshot": 0.4,
    "locks a snapshot for good": 0.2,
    "waits for EC2 in vain": 0.4,
}
"""How often people do what. Left out is what docs/safety.md does not promise anything about."""
AFTER_DETACHING = ("attaches", "attaches", "attaches another", "lends", "lends", "deletes a volume", "starts")
CALM = {"starts": 4, "stops": 4, "shuts down": 1}


def tell(story: Story, seen: Counter[str], log: list[str] | None = None) -> None:
    """Let the story happen, and what follows from it. Raises Finding."""
    stage = at(story.shape, story.moment).clone(seen)
    stage.world.lag = story.lag
    stage.world.rules = replace(stage.world.rules, **dict(story.aws))
    seen.update(f"AWS: {name} {value}" for name, value in story.aws)
    stage.log = log
    seen[f"moment: {story.moment}"] += 1
    seen[f"shape: {story.shape}"] += 1
    last: Process | None = None
    for deed in story.deeds:
        last = _happen(stage, deed, last)
    conclude(stage)
    if not stage.opted_in and stage.state != "terminated":
        people.act(stage, "opts in", 0)
        conclude(stage)


def _happen(stage: Stage, deed: Deed, last: Process | None) -> Process | None:
    """One deed. Answers the pass that acted last: the next one to act may be another, and that is a preemption."""
    match deed.verb:
        case "begin":
            return stage.begin(deed.what)  # type: ignore[arg-type]  # a Kind
        case "wait":
            stage.wait_out(deed.which)
        case "short":
            stage.fall_short(Fault[deed.what], deed.which)
        case "person":
            people.act(stage, deed.what, int(deed.which))
        case _ if live := stage.live:
            process = live["abc".find(deed.what) % len(live)]
            stage.seen["preemptions"] += process is not last and deed.verb in ("go", "finish")
            _go_on(stage, process, deed)
            return process
    return last


def _go_on(stage: Stage, process: Process, deed: Deed) -> None:
    match deed.verb:
        case "fault":
            process.faults.append(Fault[deed.what])
            stage.excuses += EXCUSES.get(Fault[deed.what], ())
        case "die":
            process.kill()
        case "finish":
            process.finish()
        case "go":
            for _ in range(int(deed.which)):
                if not process.done:
                    process.step()


def finding(story: Story) -> Finding | None:
    try:
        tell(story, Counter())
    except Finding as found:
        return found
    return None


def shrink(story: Story) -> Story:
    """The shortest story found that ends in a finding too."""
    for smaller in _ever_smaller(story):
        if finding(smaller) is not None:
            return shrink(smaller)
    return story


def _ever_smaller(story: Story) -> Iterator[Story]:
    deeds = story.deeds
    size = len(deeds)
    while size:
        for start in range(0, len(deeds), size):
            yield replace(story, deeds=(*deeds[:start], *deeds[start + size :]))
        size //= 2
    if story.lag:
        yield replace(story, lag=None)
        if story.lag.share < 100:
            yield replace(story, lag=replace(story.lag, share=100))
    for n in range(len(story.aws)):
        yield replace(story, aws=(*story.aws[:n], *story.aws[n + 1 :]))
    names = tuple(SHAPES)
    for name in names[: names.index(story.shape)]:
        yield replace(story, shape=name)
    for n, deed in enumerate(deeds):
        for which in _smaller(deed):
            yield replace(story, deeds=(*deeds[:n], deed._replace(which=which), *deeds[n + 1 :]))


def _smaller(deed: Deed) -> Sequence[float]:
    if deed.verb == "wait":
        return [w for w in WAITS if w < deed.which]
    if deed.verb == "go":
        return range(1, int(deed.which))
    return ()


def explain(story: Story) -> str:
    """The story, every call in it, and the finding at its end."""
    log: list[str] = []
    try:
        tell(story, Counter(), log)
    except Finding as found:
        return "\n".join([str(story), *log, str(found)])
    return "\n".join([str(story), *log, "All is well."])


def walk(seeds: range, seen: Counter[str]) -> Iterator[str]:
    """Every story of these seeds; of each that goes wrong the finding, told as short as it can be."""
    for seed in seeds:
        story = invent(seed)
        try:
            tell(story, seen)
        except Finding:
            yield explain(shrink(story))


Walked = tuple[int, Counter[str], list[str]]
"""How many stories were told, what they covered, and the findings in them."""


def ready_for_many() -> None:
    """Call this in each process that tells very many stories: what the product logs would hide the findings."""
    gc.set_threshold(SELDOM)
    logging.disable()


def walked(seeds: range) -> Walked:
    """The same for a process of its own."""
    seen: Counter[str] = Counter()
    with remembering():
        return len(seeds), seen, list(walk(seeds, seen))
