"""A burst of stops under EC2's documented buckets: nothing is lost or doubled, nobody is hindered, and no time is lost.

``make bench`` runs it with 10,000 instances; a twentieth of them shows the same in the tests' time.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.bench.burst import Burst, burst, spread

INSTANCES = 500


@pytest.fixture(scope="module", params=[10, 100])
def night(request: pytest.FixtureRequest) -> Burst:
    return burst(INSTANCES, concurrency=request.param)


def test_nothing_is_lost(night: Burst) -> None:
    assert night.problems == []
    assert night.left == 0


def test_hardly_any_snapshot_is_taken_twice(night: Burst) -> None:
    of_volume = Counter(night.snapshots_of)

    assert len(of_volume) == 2 * INSTANCES
    assert len(night.snapshots_of) - len(of_volume) < 0.01 * len(of_volume)


def test_no_message_is_given_up(night: Burst) -> None:
    assert night.dead_letters == 0
    assert night.errors == []


def test_hardly_any_call_is_throttled(night: Burst) -> None:
    assert night.throttled < 0.05 * night.calls


def test_another_caller_gets_through(night: Burst) -> None:
    assert night.neighbour_answered >= 0.9 * night.neighbour_made


def test_spread_over_regions_it_takes_hardly_longer_than_in_the_largest_of_them() -> None:
    """Each region has its own buckets. But turns are shorter if more messages wait, and each begins with a look."""
    alone, _ = spread(200, elsewhere=0, regions=1)
    seconds, problems = spread(200, elsewhere=100, regions=4)

    assert problems == []
    assert seconds <= 1.1 * alone
