"""A night in which instances are stopped and parked, without the sweeps of the park side, which have a budget of their
own. Those of the start side go on: they try the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from park_volumes.core import tags
from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.scenario import DURATIONS, Fleet
from tests.model import judge
from tests.model.records import Disk, Durations
from tests.unit.functions import SWEEP_STARTS

MINUTE = 60
OTHERS = Disk(device="", size=8, tags={"Name": "somebody else's"})


def _somebody_asks(fleet: Fleet) -> bool:
    """Whether marks ask for a verdict. Otherwise a sweep of the start side finds nothing, and has its own budget."""
    answered = any(tags.WAY_BACK in s.tags for s in fleet.world.snapshots.current())
    return not answered and any(tags.MARK in v.tags for v in fleet.world.volumes.current())


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
        deployment.bus.silent = frozenset({"sweep", "reminder", "start-sweep", "start-fallback"})
        fleet.stop(within=within)
        while fleet.volumes_left() > foreign and fleet.seconds < 1800 + within:
            fleet.simulation.run(seconds=MINUTE / 2)
            if _somebody_asks(fleet):
                deployment.functions["start"].invoke_later(SWEEP_STARTS)
            fleet.simulation.run(seconds=MINUTE / 2)
    assert fleet.left() == 0
    assert judge.problems(fleet.world) == []
    return deployment
