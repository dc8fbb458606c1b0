"""What the module itself costs a month, by the calls it makes: idle, and for a stop and a start each working day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.bench.comparison import QUEUE_REQUEST, spent
from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.scenario import Fleet, asleep, region, sleepers
from tests.unit.functions import start_requested, url_event

HOURS, WORKING_DAYS = 730, 22
"""Of a month."""
POLLS = 5 * HOURS * 3600 // 20
"""Empty answers of the queue: Lambda keeps five pollers, each of which asks every 20 seconds (Lambda Developer Guide,
"Using Lambda with Amazon SQS"; ``receive_wait_time_seconds`` in main.tf)."""
VOLUMES = 2


@dataclass(frozen=True, kw_only=True)
class Running:
    """USD a month at list prices, without any free allowance: Lambda and SQS. Nothing else costs by the call."""

    instances: int
    idle: float
    stops_and_starts: float

    @property
    def total(self) -> float:
        return self.idle + self.stops_and_starts

    @property
    def row(self) -> str:
        """Its line in the table of docs/money.md."""
        cells = (f"{self.instances:,}", *(f"{usd:.2f}" for usd in (self.idle, self.stops_and_starts, self.total)))
        return f"| {' | '.join(cells)} |"


def running(instances: int) -> Running:
    idle = HOURS * _hour_of_sweeps(instances) + POLLS * QUEUE_REQUEST
    return Running(instances=instances, idle=idle, stops_and_starts=WORKING_DAYS * _day(instances))


@dataclass(frozen=True, kw_only=True)
class Idle:
    """What both functions do in a month in which nothing happens."""

    runs: float
    calls: float


def idle(instances: int, *, hours: int) -> Idle:
    """Counted for so many hours, with all of the instances parked."""
    return _idle(asleep(instances), hours)


def idle_everywhere(instances: int, *, regions: int, hours: int) -> Idle:
    """The same with ``regions`` covered, and instances only in the home region and one other."""
    elsewhere = [region(f"xx-test-{n}") for n in range(1, regions)]
    sleepers(elsewhere[0], instances)
    return _idle(asleep(instances, elsewhere=elsewhere), hours)


def _idle(fleet: Fleet, hours: int) -> Idle:
    module = Module()
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        fleet.simulation.run(seconds=hours * 3600)
    runs = sum(f.invocations for f in deployment.functions.values())
    calls = sum(sum(tally.calls.values()) for tally in deployment.calls.values())
    return Idle(runs=runs * HOURS / hours, calls=calls * HOURS / hours)


def page(*instances: int) -> tuple[float, int]:
    """The seconds until the page has its list, of so many instances in each region, and how many it shows. The function
    is warm."""
    elsewhere = [region(f"xx-test-{n}") for n in range(1, len(instances))]
    for world, number in zip(elsewhere, instances[1:], strict=True):
        sleepers(world, number)
    fleet, module = asleep(instances[0], elsewhere=elsewhere), Module()
    answers: list[tuple[float, Any]] = []
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)

        def ask() -> None:
            asked = fleet.seconds
            answers.append((asked, deployment.functions["start"].invoke(url_event("GET", "/instances"))))

        for number in (1, 2):
            fleet.simulation.spawn(ask)
            fleet.simulation.run(lambda number=number: len(answers) == number, seconds=300)  # type: ignore[misc]
        asked, answer = answers[-1]
        return fleet.seconds - asked, len(json.loads(answer["body"])["instances"])


def _hour_of_sweeps(instances: int) -> float:
    """USD for an hour in which all are parked."""
    fleet, module = asleep(instances), Module()
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        fleet.simulation.run(seconds=3600)
        return spent(deployment).dollars


def _day(instances: int) -> float:
    """USD for a stop and a start of each, the sweeps beside them included."""
    fleet, module = Fleet(instances, VOLUMES), Module()
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        fleet.stop()
        fleet.until_parked(3600)
        deployment.functions["start"].invoke_later(start_requested(*fleet.ids))
        fleet.simulation.run(lambda: fleet.running() == instances, seconds=3600)
        fleet.simulation.run(seconds=600)
        if fleet.running() != instances:
            raise RuntimeError(f"Only {fleet.running()} of {instances} instances run.")
        return spent(deployment).dollars
