"""The burst: very many instances are stopped within a minute, and somebody else uses EC2 as well."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.scenario import Fleet, Neighbour, dictated
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
