"""What a park, a start and a sweep may cost: counted on the model, so that the figures are the same in every run."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from time import process_time
from typing import Any
from unittest.mock import patch

import pytest

from park_volumes.run.wait import POLL
from tests.bench import sdk
from tests.bench.comparison import WAITERS, compare, spent
from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.night import parked
from tests.bench.scenario import DURATIONS, asleep
from tests.bench.sdk import Tally
from tests.model import judge
from tests.model.records import Durations
from tests.support.terraform import ROOT
from tests.unit.functions import SWEEP, path_of, url_event

LATENCIES = (0.5, 1, 2, 5, 10)
"""Seconds that EC2 may take to create volumes, and to attach them."""
LOADED_MB = 60
"""What the park function has loaded before it does anything, measured: boto3, a client of EC2, Powertools."""

TEN_MINUTES = Durations(snapshot=585)
"""What ends before boto3's waiter gives up: 40 looks, every 15 seconds."""


def park_calls(deployment: Deployment) -> Tally:
    return deployment.calls["park"]


@pytest.fixture(scope="module")
def hundred() -> Deployment:
    return parked(100, 1)


class TestAPark:
    def test_of_one_volume_takes_five_changing_calls_and_a_share_of_the_confirmation(self, hundred: Deployment) -> None:
        """All look alike to a policy: for one of them it is tried whether it may be detached and deleted."""
        calls = park_calls(hundred).calls

        assert {name: n for name, n in calls.items() if not name.startswith("Describe") and name != "CreateTags"} == {
            "CreateSnapshot": 100,
            "LockSnapshot": 100,
            "DetachVolume": 100 + 1,
            "DeleteVolume": 100 + 1,
        }
        assert calls["CreateTags"] <= 100 + 1 + ceil(100 / 25)

    def test_takes_less_than_a_third_of_a_describing_call_in_a_batch_of_a_hundred(self, hundred: Deployment) -> None:
        assert park_calls(hundred).describing <= 0.32 * 100

    def test_costs_the_other_side_a_trial_for_all_that_look_alike(self, hundred: Deployment) -> None:
        calls = hundred.calls["start"].calls

        assert {name: n for name, n in calls.items() if not name.startswith("Describe")} == {
            "CreateVolume": 1,
            "AttachVolume": 1,
            "StartInstances": 1,
            "CreateTags": 1,
        }

    def test_does_not_cost_more_with_a_hundred_thousand_snapshots_and_volumes_of_others_around(
        self, hundred: Deployment
    ) -> None:
        among_others = park_calls(parked(100, 1, foreign=100_000))

        assert among_others.describing <= 1.1 * park_calls(hundred).describing
        assert among_others.changing == park_calls(hundred).changing


@dataclass(frozen=True, kw_only=True)
class Started:
    """What a start called, until StartInstances and after it until all is settled, and the seconds until then. ``idle``
    is what the sweeps of as long a time call while nothing is to be settled."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    idle: Mapping[str, int]
    seconds: float

    @property
    def changing(self) -> dict[str, int]:
        calls = Counter(self.before) + Counter(self.after)
        return {name: n for name, n in calls.items() if not name.startswith("Describe")}


@contextmanager
def calls_take_no_time() -> Iterator[None]:
    with patch.object(sdk, "DESCRIBING_SECONDS", 0), patch.object(sdk, "CHANGING_SECONDS", 0):
        yield


def started(volumes: int, durations: Durations = DURATIONS) -> Started:
    """A parked instance of so many volumes is started at the Function URL, by calls that take no time of their own."""
    deployment = parked(1, volumes)
    with on_the_clock(deployment.simulation, deployment.module):
        deployment.simulation.run(seconds=420)  # the events of the last deletions, and the sweeps that were asked for
    world, tally = deployment.simulation.world, deployment.calls["start"]
    world.durations = durations
    tally.calls.clear()
    (instance,) = world.instances.current()
    asked, before, seconds = deployment.simulation.now, dict[str, int](), list[float]()

    def note(name: str, _: Any) -> None:
        if name == "StartInstances":
            before.update(tally.calls)
            seconds.append(deployment.simulation.now - asked)

    world.on_answer = note
    deployment.bus.silent = frozenset()
    with on_the_clock(deployment.simulation, deployment.module), calls_take_no_time():
        deployment.functions["start"].invoke_later(url_event("POST", path_of(instance.id, "start")))
        deployment.simulation.run(seconds=300)
        after = Counter(tally.calls) - Counter(before)
        tally.calls.clear()
        deployment.simulation.run(seconds=300)
    assert judge.problems(world) == []
    assert all(not v.tags for v in world.volumes.current())
    return Started(before=before, after=after, idle=dict(tally.calls), seconds=seconds[0])


@pytest.mark.parametrize("volumes", [1, 2, 8, 27])
class TestAStart:
    def test_makes_and_attaches_each_volume_and_changes_four_things_more(self, volumes: int) -> None:
        assert started(volumes).changing == {
            "CreateVolume": volumes,
            "AttachVolume": volumes,
            "CreateTags": 1,
            "ModifyInstanceAttribute": 1,
            "StartInstances": 1,
            "DeleteTags": 1,
        }

    def test_takes_five_describing_calls_and_one_for_each_four_tenths_of_a_second_that_ec2_needs(
        self, volumes: int
    ) -> None:
        """One more tells whether it is the first of a crowd; sweeps settle it, until the next one of the park side."""
        start, d = started(volumes), Durations()

        assert describing(start.before) <= 5 + ceil(d.create / POLL) + ceil(d.attach / POLL)
        assert describing(start.after) <= 1 + 3 * 3
        assert describing(start.idle) <= 3

    @pytest.mark.parametrize("create", LATENCIES)
    @pytest.mark.parametrize("attach", LATENCIES)
    def test_takes_a_second_more_than_ec2_needs_to_create_and_attach_volumes(
        self, volumes: int, create: float, attach: float
    ) -> None:
        took = started(volumes, durations=Durations(create=create, attach=attach)).seconds

        assert took <= create + attach + 1


def describing(calls: Mapping[str, int]) -> int:
    return sum(n for name, n in calls.items() if name.startswith("Describe"))


@pytest.mark.parametrize("instances", [1, 100])
def test_a_park_is_billed_a_thirtieth_of_what_waiting_for_a_snapshot_of_ten_minutes_is(instances: int) -> None:
    ours = parked(instances, 2, durations=TEN_MINUTES)
    waiters = compare(WAITERS, 1, 2, durations=TEN_MINUTES)

    assert spent(ours).billed_seconds / instances <= waiters.park_billed_ms / 1000 / 30


def test_a_park_costs_the_same_in_a_large_account() -> None:
    """Instances are stopped as often, but for ten times as long, as in the smaller one."""
    few, many = (spent(parked(instances, 1, within=instances / 2)) for instances in (100, 1000))

    assert many.dollars / 1000 <= 1.1 * few.dollars / 100
    assert many.describing / 1000 <= 1.1 * few.describing / 100
    assert many.changing / 1000 <= 1.1 * few.changing / 100


def test_the_package_stays_small() -> None:
    assert (ROOT / "dist" / "park_volumes.zip").stat().st_size < 200_000


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
