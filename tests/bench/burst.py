"""The burst: very many instances are stopped within a minute, and somebody else uses EC2 as well."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tests.bench.deployed import OPT_IN, Deployment, Module, on_the_clock
from tests.bench.scenario import Fleet, Neighbour, dictated, disks, region, stop
from tests.model import judge

QUIET_SECONDS = 180.0
"""From the detachment of the last root volume until it may be deleted: the lock period of docs/safety.md."""


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What came of it. Times in seconds; ``dictated`` is what the buckets alone ask for."""

    seconds: float
    dictated: float
    left: int
    problems: list[str]
    snapshots_of: list[str]
    dead_letters: int
    errors: list[str]
    calls: int
    throttled: int
    neighbour_made: int
    neighbour_answered: int
    billed_seconds: float
    invocations: int
    queue_requests: int

    @property
    def share(self) -> float:
        """The time beyond a quiet period, in parts of what the buckets dictate."""
        return (self.seconds - QUIET_SECONDS) / self.dictated


def spread(instances: int, *, elsewhere: int, regions: int) -> tuple[float, list[str]]:
    """So many instances in the home region and ``elsewhere`` in each of the other ``regions`` are stopped within a
    minute, and their events forwarded. The seconds until all are parked, and what went wrong."""
    others = [region(f"xx-test-{n}") for n in range(1, regions)]
    fleet, module = Fleet(instances, 2, elsewhere=others), Module()
    fleet.simulation.forwards = True
    away = [(world, world.launch(*disks(2), tags={OPT_IN: "true"})) for _ in range(elsewhere) for world in others]
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        fleet.stop(within=60)
        for k, (world, instance_id) in enumerate(away):
            moment = fleet.simulation.now + 60 * k / len(away)
            fleet.simulation.at(moment, partial(stop, world, instance_id))
        end = fleet.seconds + 3 * dictated(2 * max(instances, elsewhere)) + 3600
        while any(list(world.volumes.current()) for world in fleet.simulation.worlds) and fleet.seconds < end:
            fleet.simulation.run(seconds=10)
    errors = [error for f in deployment.functions.values() for error in f.errors]
    return fleet.seconds, errors + [p for world in fleet.simulation.worlds for p in judge.problems(world)]


def burst(instances: int, *, concurrency: int, volumes: int = 2) -> Burst:
    fleet = Fleet(instances, volumes, concurrency=concurrency)
    module = Module()
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        neighbour = Neighbour(fleet)
        fleet.stop(within=60)
        ideal = dictated(instances * volumes)
        seconds = fleet.until_parked(3 * ideal + 3600)
    functions = deployment.functions.values()
    return Burst(
        seconds=seconds,
        dictated=ideal,
        left=fleet.volumes_left(),
        problems=judge.problems(fleet.world),
        snapshots_of=[s.volume_id for s in fleet.world.snapshots.current()],
        dead_letters=len(deployment.queue.dead),
        errors=[error for f in functions for error in f.errors],
        calls=sum(sum(t.calls.values()) for t in deployment.calls.values()),
        throttled=sum(t.throttled for t in deployment.calls.values()),
        neighbour_made=neighbour.made,
        neighbour_answered=neighbour.answered,
        billed_seconds=sum(f.billed_seconds for f in functions),
        invocations=sum(f.invocations for f in functions),
        queue_requests=deployment.queue.requests,
    )
