"""What the module itself costs, as docs/money.md says it."""

from __future__ import annotations

import pytest

from tests.bench.running import idle, running
from tests.support.readme import MONEY


@pytest.mark.parametrize("instances", [10, 100])
def test_costs_what_the_page_about_money_says(instances: int) -> None:
    assert running(instances).row in MONEY.read_text(encoding="utf-8")


@pytest.mark.parametrize(("instances", "hours"), [(3, 24), (400, 24), (3_000, 12)])
def test_an_idle_month_takes_few_runs_and_few_calls_however_many_are_parked(instances: int, hours: int) -> None:
    month = idle(instances, hours=hours)

    assert month.runs <= 10_000
    assert month.calls <= 30_000


def test_a_tenth_of_a_fleet_does_not_cost_as_much_as_the_whole() -> None:
    few, many = running(5), running(50)

    assert few.idle == pytest.approx(many.idle, rel=0.02)
    assert few.stops_and_starts < many.stops_and_starts
