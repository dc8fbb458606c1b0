"""What the module itself costs, as docs/money.md says it."""

from __future__ import annotations

import pytest

from tests.bench.running import running
from tests.support.readme import MONEY


@pytest.mark.parametrize("instances", [10, 100])
def test_costs_what_the_page_about_money_says(instances: int) -> None:
    assert running(instances).row in MONEY.read_text(encoding="utf-8")


def test_a_tenth_of_a_fleet_does_not_cost_as_much_as_the_whole() -> None:
    few, many = running(5), running(50)

    assert few.idle == pytest.approx(many.idle, rel=0.02)
    assert few.stops_and_starts < many.stops_and_starts
