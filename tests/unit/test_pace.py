"""The pace of the park function: its part of EC2's buckets, and what there is no time for is not begun."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders

from park_volumes.handlers import pace as pace_module
from park_volumes.handlers import runtime
from park_volumes.handlers.pace import AGAIN, BUCKETS, LEAST, RATE, SIZE, THE_REST, Pace
from park_volumes.run.context import OutOfTime
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


def test_a_fifth_of_a_bucket_is_left_to_others(clock: Clock) -> None:
    pace, before = Pace(clock, functions=1), clock.now()
    call(pace, "CreateSnapshot", 80)
    assert clock.now() - before < A_MOMENT

    call(pace, "CreateSnapshot")
    assert (clock.now() - before).total_seconds() == pytest.approx(1 / 4.9, abs=1e-5)


def test_however_small_its_part_is_a_function_has_one_call_at_once(clock: Clock) -> None:
    """The tenth part of four tokens is none."""
    pace, before = Pace(clock, functions=10), clock.now()
    call(pace, "StartInstances")
    assert clock.now() == before

    call(pace, "StartInstances")
    assert (clock.now() - before).total_seconds() == pytest.approx(10 / 1.96, abs=1e-5)


def test_tokens_come_back_up_to_the_size_of_the_bucket_and_no_further(clock: Clock) -> None:
    pace = Pace(clock, functions=1)
    call(pace, "CreateSnapshot", 80)
    clock.sleep(3600)
    before = clock.now()
    call(pace, "CreateSnapshot", 80)
    assert clock.now() - before < A_MOMENT

    call(pace, "CreateSnapshot")
    assert clock.now() - before > A_MOMENT


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


def test_that_moment_is_a_second(clock: Clock) -> None:
    pace = Pace(clock, functions=1)
    call(pace, "DetachVolume", 40)
    pace.begin(turn=clock.now(), deadline=clock.now() + LATER)
    made = 0
    with suppress(OutOfTime):
        for _ in range(40):
            call(pace, "DetachVolume")
            made += 1

    assert made == int(1 * 0.98 * 5)


def test_it_begins_with_the_first_change_and_is_not_lengthened_by_the_next(clock: Clock) -> None:
    pace = Pace(clock, functions=1)
    call(pace, "DetachVolume", 40)
    pace.begin(turn=clock.now(), deadline=clock.now() + LATER)
    clock.sleep(0.5)
    call(pace, "DetachVolume", 2)
    clock.sleep(0.8)
    call(pace, "DetachVolume", 4)
    with pytest.raises(OutOfTime):
        call(pace, "DetachVolume", 4)


def test_nothing_waits_beyond_the_deadline(clock: Clock) -> None:
    pace = Pace(clock, functions=2)
    call(pace, "DetachVolume", int(SIZE * 50 / 2))
    pace.begin(turn=clock.now() + LATER, deadline=clock.now())

    with pytest.raises(OutOfTime):
        call(pace, "DetachVolume")


def again(pace: Pace, action: str, code: str = "RequestLimitExceeded") -> float | None:
    return pace.again(operation=SimpleNamespace(name=action), response=(None, {"Error": {"Code": code}}), attempts=3)


@pytest.fixture
def passing(clock: Clock) -> Pace:
    """In a pass of a minute that has just begun."""
    pace = Pace(clock, functions=1)
    pace.begin(turn=clock.now() + timedelta(minutes=1), deadline=clock.now() + timedelta(minutes=1))
    return pace


@pytest.mark.parametrize("action", ["DescribeVolumes", "DescribeInstances", "CreateTags"])
def test_a_look_and_the_writing_down_of_a_request_are_tried_again_when_throttled(passing: Pace, action: str) -> None:
    waits = {again(passing, action) for _ in range(20)}

    assert len(waits) == 20
    assert all(wait is not None and AGAIN[0] <= wait <= AGAIN[1] for wait in waits)


def test_what_can_wait_for_the_next_pass_is_not(passing: Pace) -> None:
    assert again(passing, "StartInstances") is None


def test_what_fails_otherwise_is_not(passing: Pace) -> None:
    assert again(passing, "DescribeVolumes", "UnauthorizedOperation") is None
    assert passing.again(operation=SimpleNamespace(name="DescribeVolumes"), response=None) is None


def test_nothing_is_tried_again_when_the_time_is_needed_for_the_rest(passing: Pace, clock: Clock) -> None:
    clock.sleep(60 - THE_REST.total_seconds() - AGAIN[0])

    assert again(passing, "DescribeVolumes") is None


def test_a_try_that_leaves_ten_seconds_for_the_rest_is_made(
    passing: Pace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        asked.append((least, most))
        return least

    monkeypatch.setattr(pace_module, "chance", SimpleNamespace(uniform=uniform))
    clock.sleep(60 - 10 - 4 - 0.5)
    assert again(passing, "DescribeVolumes") == 4.0
    clock.sleep(0.5)
    assert again(passing, "DescribeVolumes") is None
    assert asked == [(4.0, 12.0)] * 2


def test_for_ten_seconds_after_a_change_a_function_is_busy_and_then_not(clock: Clock) -> None:
    pace = Pace(clock, functions=1)
    call(pace, "CreateTags")
    clock.sleep(9.9)
    assert pace.begin(turn=clock.now() + LATER, deadline=clock.now() + LATER)
    clock.sleep(0.1)
    assert not pace.begin(turn=clock.now() + LATER, deadline=clock.now() + LATER)


def test_a_function_is_busy_that_has_changed_something_ten_seconds_ago(clock: Clock) -> None:
    pace = Pace(clock, functions=1)

    def begin() -> bool:
        return pace.begin(turn=clock.now() + LATER, deadline=clock.now() + LATER)

    assert not begin()
    call(pace, "DescribeVolumes")
    assert not begin()
    call(pace, "CreateTags")
    clock.sleep(9)
    assert begin()
    clock.sleep(2)
    assert not begin()


def test_boto3_asks_again_as_the_pace_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the two quick tries of its own."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    body = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error></Errors></Response>"
    well = "<DescribeVolumesResponse><volumeSet/></DescribeVolumesResponse>"
    answers = [(503, body)] * 5 + [(200, well)]

    def send(request: Any, **_: object) -> AWSResponse:
        status, text = answers.pop(0)
        return AWSResponse(request.url, status, HTTPHeaders(), RawText(text))

    session = boto3.Session("test", "test", region_name="us-east-1")
    client = session.client("ec2", config=runtime.prompt())
    clock = Clock()
    pace = Pace(clock, functions=1)
    pace.begin(turn=clock.now() + LATER, deadline=clock.now() + LATER)
    client.meta.events.register("before-send.ec2", send)  # type: ignore[arg-type]  # the stubs know no answer of a hook
    client.meta.events.register("needs-retry.ec2", pace.again)  # type: ignore[arg-type]  # the same

    assert client.describe_volumes()["Volumes"] == []
    assert answers == []
    assert [AGAIN[0] <= wait for wait in slept] == [False, False, True, True, True]


class RawText:
    """The body of an answer as urllib3 gives it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def stream(self) -> list[bytes]:
        return [self._text]
