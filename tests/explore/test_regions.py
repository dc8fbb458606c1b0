"""Random stories of one deployment in two regions, through both functions: people stop and start instances in either,
regions close and open, and events of the second one come or do not. At the end each region is as it would be alone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.model import judge
from tests.unit.functions import Functions, state_change
from tests.unit.passes import DATA, ROOT, Stand

AWAY = "eu-west-1"
CHUNK, CHUNKS = 10, 12
TO_REST, TO_RUN = 50, 15
"""Minutes: until everything is at rest again, and until every start is over."""


class Account:
    """Two regions with instances in each, and all that may happen there. ``seen`` counts what did."""

    def __init__(self, seed: int, functions: Functions, seen: Counter[str]) -> None:
        self.chance, self.functions, self.seen = Random(seed), functions, seen
        (away,) = functions.covers(AWAY)
        self.instances = [
            (stand, stand.launch(*self.chance.choice([(ROOT,), (ROOT, DATA)]), name=f"{n} of {stand is away}"))
            for stand in (functions.stand, away)
            for n in range(self.chance.randint(1, 2))
        ]
        self.looks = {i: judge.fittings(stand.world, i) for stand, i in self.instances}

    def pass_minutes(self, minutes: int) -> None:
        for _ in range(minutes):
            self.functions.live_with_sweeps(1)
            self.judge()

    def judge(self) -> None:
        for stand in self.functions.stands.values():
            assert judge.problems(stand.world) == []

    # What happens.

    def time_passes(self) -> None:
        self.pass_minutes(self.chance.choice((1, 1, 2, 3, 6)))

    def somebody_stops(self) -> None:
        stand, instance_id = self.chance.choice(self.instances)
        if stand.instance(instance_id).state == "running":
            stand.owner.stop_instances(InstanceIds=[instance_id])
            self.functions.stand.after(self.chance.choice((1, 20, 60)))

    def somebody_starts(self) -> None:
        _, instance_id = self.chance.choice(self.instances)
        status = self.functions.post(instance_id, "start").status
        self.seen[f"a start answered with {status}"] += 1
        assert status < 500 or self.functions.denied or self.functions.silent

    def an_event_comes_twice(self) -> None:
        stand, instance_id = self.chance.choice(self.instances)
        region = stand.world.rules.region
        self.functions.park(state_change(instance_id, "stopped") | {"region": region})

    def a_region_closes(self) -> None:
        self.chance.choice((self.functions.denied, self.functions.silent)).add(AWAY)
        self.seen["a region closes"] += 1

    def it_opens(self) -> None:
        self.functions.denied.clear()
        self.functions.silent.clear()

    def events_are_forwarded_or_not(self) -> None:
        self.functions.forwarding ^= {AWAY}

    DEEDS: tuple[tuple[Callable[[Account], None], int], ...] = (
        (time_passes, 8),
        (somebody_stops, 6),
        (somebody_starts, 4),
        (an_event_comes_twice, 1),
        (a_region_closes, 1),
        (it_opens, 2),
        (events_are_forwarded_or_not, 1),
    )

    # What must come about.

    def live(self) -> None:
        deeds, weights = zip(*self.DEEDS, strict=True)
        for deed in self.chance.choices(deeds, weights, k=self.chance.randint(6, 16)):
            deed(self)
            self.judge()

    def come_to_rest(self) -> None:
        self.it_opens()
        self.pass_minutes(TO_REST)
        for stand, instance_id in self.instances:
            instance = stand.instance(instance_id)
            state = "parked" if instance.state == "stopped" and not instance.devices else instance.state
            assert state in ("parked", "running")
            self.seen[f"{state} {'at home' if stand is self.functions.stand else 'elsewhere'}"] += 1

    def start_all(self) -> None:
        for _, instance_id in self.instances:
            assert self.functions.post(instance_id, "start").status in (200, 202)
        self.pass_minutes(TO_RUN)
        for stand, instance_id in self.instances:
            assert stand.instance(instance_id).state == "running"
            assert judge.fittings(stand.world, instance_id) == self.looks[instance_id]


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.thorough
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_stories_in_two_regions_end_well(chunk: int, capsys: pytest.CaptureFixture[str]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        with pytest.MonkeyPatch.context() as patch:
            functions = Functions(Stand(), patch)
            account = Account(seed, functions, seen)
            if seed % 2:
                functions.stay_warm()
            try:
                account.live()
                account.come_to_rest()
                account.start_all()
            except AssertionError as error:
                raise AssertionError(f"Seed {seed}: {error!r}") from error
        capsys.readouterr()
    assert {"parked at home", "parked elsewhere", "running at home", "running elsewhere"} <= seen.keys()
