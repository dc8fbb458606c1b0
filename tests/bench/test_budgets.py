"""What a park, a start and a sweep may cost: counted on the model, so that the figures are the same in every run."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from time import process_time

import pytest

from park_volumes import records
from tests.bench.deployed import OPT_IN, Deployment, Module, on_the_clock
from tests.bench.scenario import Fleet
from tests.bench.sdk import Tally
from tests.model import judge
from tests.support.terraform import ROOT
from tests.unit.functions import SWEEP

LOADED_MB = 60
"""What the park function has loaded before it does anything, measured: boto3, a client of EC2, Powertools."""


@contextmanager
def deployed(fleet: Fleet) -> Iterator[Deployment]:
    """With all that happens within a minute in one batch."""
    module = Module()
    module.window, module.concurrency = 60, 1
    with on_the_clock(fleet.simulation, module):
        yield Deployment(simulation=fleet.simulation, account=fleet.account, module=module)


def parked(instances: int, volumes: int, *, foreign: int = 0) -> Deployment:
    """So many instances, all of them parked; beside them so many snapshots and volumes that are nobody's business."""
    fleet = Fleet(instances, volumes)
    for _ in range(foreign):
        fleet.world.add_snapshot(size=8, tags={"Name": "somebody else's"})
    with deployed(fleet) as deployment:
        deployment.bus.on = False  # the sweeps have a budget of their own
        fleet.stop(within=5)
        fleet.until_parked(1800)
    assert fleet.left() == 0
    assert judge.problems(fleet.world) == []
    return deployment


def park_calls(deployment: Deployment) -> Tally:
    return deployment.calls["park"]


@pytest.fixture(scope="module")
def hundred() -> Deployment:
    return parked(100, 1)


class TestAPark:
    def test_of_one_volume_takes_five_changing_calls_and_a_share_of_the_confirmation(self, hundred: Deployment) -> None:
        calls = park_calls(hundred).calls

        assert {name: n for name, n in calls.items() if not name.startswith("Describe") and name != "CreateTags"} == {
            "CreateSnapshot": 100,
            "LockSnapshot": 100,
            "DetachVolume": 100,
            "DeleteVolume": 100,
        }
        assert calls["CreateTags"] <= 100 + ceil(100 / 25)

    def test_takes_a_fifth_of_a_describing_call_in_a_batch_of_a_hundred(self, hundred: Deployment) -> None:
        assert park_calls(hundred).describing <= 0.2 * 100

    def test_costs_one_describing_call_on_the_other_side_for_each_deleted_volume(self, hundred: Deployment) -> None:
        assert hundred.calls["start"].describing <= 100 + 10

    def test_does_not_cost_more_with_a_hundred_thousand_snapshots_of_others_around(self, hundred: Deployment) -> None:
        among_others = park_calls(parked(100, 1, foreign=100_000))

        assert among_others.describing <= 1.1 * park_calls(hundred).describing
        assert among_others.changing == park_calls(hundred).changing


def test_the_package_stays_small() -> None:
    assert (ROOT / "dist" / "park_volumes.zip").stat().st_size < 200_000


def asleep(instances: int) -> Fleet:
    """So many instances that were parked long ago: no volume, and two snapshots each of the last stop."""
    fleet = Fleet(0, 0)
    launch = datetime.fromtimestamp(int(fleet.simulation.now) - 7200, UTC)
    when = datetime.fromtimestamp(int(fleet.simulation.now) - 3600, UTC)
    for _ in range(instances):
        instance_id = fleet.world.launch(tags={OPT_IN: "true"}, state="stopped", age_seconds=7200)
        instance = fleet.world.instances.get(instance_id)
        assert instance is not None
        for item in instance.devices:
            fleet.world.volumes.rows.pop(item.volume_id)
        fleet.world.instances.put(instance._replace(devices=()), 0)
        for k, device in enumerate(("/dev/sdf", "/dev/xvda"), start=1):
            fleet.world.add_snapshot(tags=record_tags(instance_id, device, f"{k}/2", launch, when))
    return fleet


def record_tags(instance_id: str, device: str, part: str, launch: datetime, when: datetime) -> dict[str, str]:
    return {
        records.DEPLOYMENT: "park-volumes",
        records.INSTANCE: instance_id,
        records.DEVICE: device,
        records.LAUNCH_TIME: launch.isoformat(),
        records.GENERATION: "0123456789abcdef",
        records.PART: part,
        records.VOLUME: "zone=us-east-1a type=gp3 size=8 iops=3000 throughput=125 card=0 delete-on-termination=true",
        **records.tags_of_confirmation(when),
    }


class TestASweep:
    def test_over_ten_thousand_parked_instances_is_cheap(self) -> None:
        fleet = asleep(10_000)
        with on_the_clock(fleet.simulation, Module()):
            deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=Module())
            began = process_time()
            deployment.queue.send(json.dumps(SWEEP))
            fleet.simulation.run(seconds=60)
            seconds = process_time() - began

        assert deployment.functions["park"].invocations == 1
        assert deployment.functions["park"].errors == []
        assert park_calls(deployment).changing == 0
        assert park_calls(deployment).describing <= 60
        assert seconds < 20

    def test_over_ten_thousand_parked_instances_fits_into_the_memory_of_a_small_function(self) -> None:
        fleet = asleep(10_000)
        with on_the_clock(fleet.simulation, Module()):
            deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=Module())
            deployment.queue.send(json.dumps(SWEEP))
            tracemalloc.start()
            fleet.simulation.run(seconds=60)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()

        assert peak + LOADED_MB * 2**20 < 160 * 2**20
