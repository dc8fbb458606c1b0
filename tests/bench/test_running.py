"""What the module itself costs, as docs/money.md says it."""

from __future__ import annotations

import pytest

from park_volumes.cli import doctor
from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.running import HOURS, VOLUMES, idle, idle_everywhere, page, running
from tests.bench.scenario import Fleet, asleep
from tests.support.readme import MONEY
from tests.unit.functions import start_requested


@pytest.mark.parametrize("instances", [10, 100])
def test_costs_what_the_page_about_money_says(instances: int) -> None:
    assert running(instances).row in MONEY.read_text(encoding="utf-8")


@pytest.mark.parametrize(("instances", "hours"), [(3, 24), (400, 24), (3_000, 12)])
def test_an_idle_month_takes_few_runs_and_few_calls_however_many_are_parked(instances: int, hours: int) -> None:
    month = idle(instances, hours=hours)

    assert month.runs <= 10_000
    assert month.calls <= 30_000


def test_an_idle_month_in_every_region_of_an_account_stays_cheap() -> None:
    month = idle_everywhere(50, regions=17, hours=48)

    assert month.runs <= 12_000
    assert month.calls <= 100_000


def test_a_page_over_five_regions_is_hardly_slower_than_over_one() -> None:
    one, shown = page(1000)
    five, shown_of_five = page(200, 200, 200, 200, 200)

    assert shown == shown_of_five == 1000
    assert five <= one + 1


def test_a_tenth_of_a_fleet_does_not_cost_as_much_as_the_whole() -> None:
    few, many = running(5), running(50)

    assert few.idle == pytest.approx(many.idle, rel=0.02)
    assert few.stops_and_starts < many.stops_and_starts


def test_an_idle_module_makes_the_calls_that_the_doctor_counts() -> None:
    fleet, module = asleep(10), Module()
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        fleet.simulation.run(seconds=3600)
        first = {name: tally.describing for name, tally in deployment.calls.items()}
        fleet.simulation.run(seconds=3600)
    an_hour = sum(tally.describing - first[name] for name, tally in deployment.calls.items())
    sweeps = 60 // module.inputs["sweep_interval_minutes"]

    assert sum(tally.changing for tally in deployment.calls.values()) == 0
    assert (an_hour + sweeps) * HOURS == doctor.IDLE_CALLS  # each sweep also asks how long the queue is


def test_a_stop_and_a_start_make_the_changing_calls_that_the_doctor_counts() -> None:
    fleet, module = Fleet(10, VOLUMES), Module()
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        fleet.stop()
        fleet.until_parked(3600)
        deployment.functions["start"].invoke_later(start_requested(*fleet.ids))
        fleet.simulation.run(lambda: fleet.running() == len(fleet.ids), seconds=3600)
        fleet.simulation.run(seconds=600)

    changing = sum(tally.changing for tally in deployment.calls.values())
    assert 0.9 * doctor.CHANGING_CALLS <= changing / len(fleet.ids) <= doctor.CHANGING_CALLS
