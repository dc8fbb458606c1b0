"""A night in which instances are stopped and parked, without the sweeps, which have a budget of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.scenario import DURATIONS, Fleet
from tests.model import judge
from tests.model.records import Disk, Durations

OTHERS = Disk(device="", size=8, tags={"Name": "somebody else's"})


@contextmanager
def deployed(fleet: Fleet) -> Iterator[Deployment]:
    """With all that happens within a minute in one batch."""
    module = Module()
    module.window, module.concurrency = 60, 1
    with on_the_clock(fleet.simulation, module):
        yield Deployment(simulation=fleet.simulation, account=fleet.account, module=module)


def parked(
    instances: int, volumes: int, *, foreign: int = 0, within: float = 5, durations: Durations = DURATIONS
) -> Deployment:
    """So many instances, all of them parked; beside them so many snapshots and volumes that are nobody's business."""
    fleet = Fleet(instances, volumes, durations=durations)
    for _ in range(foreign):
        fleet.world.add_snapshot(size=8, tags={"Name": "somebody else's"})
        fleet.world.add_volume(OTHERS)
    with deployed(fleet) as deployment:
        deployment.bus.on = False
        fleet.stop(within=within)
        fleet.until_parked(1800 + within, but=foreign)
    assert fleet.left() == 0
    assert judge.problems(fleet.world) == []
    return deployment
