"""The pace of the park function: its part of EC2's buckets, and what there is no time for is not begun."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from park_volumes.handlers.pace import BUCKETS, LEAST, RATE, SIZE, Pace
from park_volumes.reconcile import OutOfTime
from tests.model import faults

LATER, A_MOMENT = timedelta(hours=1), timedelta(milliseconds=1)


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def call(pace: Pace, action: str, times: int = 1) -> None:
    for _ in range(times):
        pace(model=SimpleNamespace(name=action))


def test_the_buckets_are_those_that_ec2_documents() -> None:
    for action, bucket in BUCKETS.items():
        assert faults.BUCKETS[action] == bucket


def test_a_burst_goes_through_at_once(clock: Clock) -> None:
    before = clock.now()
    call(Pace(clock, functions=2), "CreateSnapshot", int(SIZE * 100 / 2))

    assert clock.now() - before < A_MOMENT


@pytest.mark.parametrize("functions", [2, 10])
def test_after_it_all_functions_together_call_as_often_as_the_bucket_is_filled(clock: Clock, functions: int) -> None:
    pace = Pace(clock, functions=functions)
    call(pace, "CreateSnapshot", int(SIZE * 100 / functions))
    before = clock.now()
    call(pace, "CreateSnapshot", 49)

    assert (clock.now() - before).total_seconds() == pytest.approx(49 * functions / (RATE * 5))


def test_one_action_does_not_wait_for_another(clock: Clock) -> None:
    pace = Pace(clock, functions=2)
    call(pace, "CreateSnapshot", 100)
    before = clock.now()
    call(pace, "DeleteVolume", 30)

    assert clock.now() - before < A_MOMENT


def test_describing_is_not_held_up(clock: Clock) -> None:
    before = clock.now()
    call(Pace(clock, functions=2), "DescribeVolumes", 1000)

    assert clock.now() - before < A_MOMENT


def test_a_call_that_would_have_to_wait_beyond_the_turn_is_not_made_and_takes_nothing(clock: Clock) -> None:
    pace = Pace(clock, functions=2)
    call(pace, "DetachVolume", int(SIZE * 50 / 2))
    pace.begin(turn=clock.now() + timedelta(seconds=5), deadline=clock.now() + LATER)
    made = 0
    with suppress(OutOfTime):
        for _ in range(100):
            call(pace, "DetachVolume")
            made += 1
    with pytest.raises(OutOfTime):
        call(pace, "DetachVolume")

    assert made == int(5 * RATE * 5 / 2)


def test_a_turn_that_the_look_used_up_still_has_a_moment(clock: Clock) -> None:
    pace = Pace(clock, functions=2)
    call(pace, "DetachVolume", int(SIZE * 50 / 2))
    pace.begin(turn=clock.now(), deadline=clock.now() + LATER)
    clock.sleep(2)
    before = clock.now()
    with pytest.raises(OutOfTime):
        call(pace, "DetachVolume", 100)

    assert clock.now() - before <= LEAST


def test_nothing_waits_beyond_the_deadline(clock: Clock) -> None:
    pace = Pace(clock, functions=2)
    call(pace, "DetachVolume", int(SIZE * 50 / 2))
    pace.begin(turn=clock.now() + LATER, deadline=clock.now())

    with pytest.raises(OutOfTime):
        call(pace, "DetachVolume")
