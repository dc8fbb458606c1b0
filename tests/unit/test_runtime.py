"""What both Lambdas need of the place they run in."""

from __future__ import annotations

import gc
import importlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.config import Config

from park_volumes import handlers
from park_volumes.handlers import runtime
from park_volumes.handlers.pace import Pace
from park_volumes.handlers.region import Region, config_elsewhere
from park_volumes.run.context import THREADS, SystemClock
from tests.unit.facts import SETTINGS
from tests.unit.functions import Context
from tests.unit.passes import Stand, WorldClock


def region(stand: Stand) -> Region:
    pace = Pace(stand.clock, functions=1)
    return Region(name="us-east-1", is_home=True, settings=SETTINGS, ec2=stand.ec2(), pace=pace)


def test_a_pass_ends_three_seconds_before_the_time_limit(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SystemClock", lambda: WorldClock(stand.world))
    this_pass = runtime.begin_pass(region(stand), cast("Any", Context(remaining_seconds=60)))

    assert this_pass.began == stand.clock.now()
    assert this_pass.deadline == stand.clock.now() + timedelta(seconds=57)


def test_garbage_that_was_left_alone_while_the_function_loaded_is_collected_from_its_first_pass_on(
    stand: Stand,
) -> None:
    importlib.reload(handlers)
    assert not gc.isenabled()

    runtime.begin_pass(region(stand), cast("Any", Context(remaining_seconds=60)))
    assert gc.isenabled()


@pytest.mark.parametrize("seconds", [10, 29, 30, 59, 60, 420])
@pytest.mark.parametrize("config", [runtime.patient(), runtime.prompt()], ids=["park", "start"])
def test_another_region_that_is_silent_uses_up_less_than_the_time_of_a_run(config: Config, seconds: int) -> None:
    """Regions are asked at once, so that the slowest counts. The SDK pauses for 1, 2 and 4 seconds at most."""
    elsewhere: Any = config_elsewhere(config, timedelta(seconds=seconds))
    retries = elsewhere.retries["max_attempts"]
    pauses = sum(2**n for n in range(retries))

    assert (1 + retries) * max(elsewhere.connect_timeout, elsewhere.read_timeout) + pauses <= 0.8 * seconds
    assert elsewhere.retries["mode"] == cast("Any", config).retries["mode"]
    assert elsewhere.connect_timeout == 2
    assert elsewhere.max_pool_connections == cast("Any", config).max_pool_connections


@pytest.mark.parametrize(("rules", "reminds"), [(["p", "p-reminder"], True), (["p-reminder"], True), (["p"], False)])
def test_a_scheduled_event_is_a_reminder_if_any_of_its_rules_is(rules: list[str], reminds: bool) -> None:
    assert runtime.is_reminder({"resources": [f"arn:aws:events:us-east-1:1:rule/{name}" for name in rules]}) is reminds


def test_a_region_that_is_lost_rests_for_less_than_the_time_between_two_sweeps_and_is_logged_once(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    lost, now = region(stand), stand.clock.now()
    for _ in range(2):
        lost.loses("it is silent", now)

    assert [r.getMessage() for r in caplog.records] == ["us-east-1 cannot be reached: it is silent"]
    assert lost.is_resting(now + timedelta(seconds=239))
    assert not lost.is_resting(now + timedelta(seconds=240))


@pytest.mark.parametrize(("seconds", "retries"), [(10, 0), (29, 0), (30, 1), (59, 1), (60, 3), (420, 3)])
def test_another_region_is_tried_again_as_often_as_there_is_time(seconds: int, retries: int) -> None:
    elsewhere: Any = config_elsewhere(runtime.patient(), timedelta(seconds=seconds))

    assert elsewhere.retries["max_attempts"] == min(retries, cast("Any", runtime.patient()).retries["max_attempts"])


def test_the_clock_of_the_system_tells_the_time_with_its_zone() -> None:
    before = datetime.now(UTC)

    assert before <= SystemClock().now() <= datetime.now(UTC)


def test_the_clock_of_the_system_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    SystemClock().sleep(1.5)

    assert slept == [1.5]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:ec2::us-west-2:snapshot/snap-1",
        "arn:aws:ec2:us-west-2::snapshot/snap-1",
        "arn:aws-cn:ec2:cn-north-1:123456789012:snapshot/snap-1",
        "snap-1",
    ],
)
def test_an_id_is_what_follows_the_last_slash_of_an_arn(arn: str) -> None:
    assert runtime.id_in_arn(arn) == "snap-1"


def test_calls_of_the_park_side_back_off_before_ec2_throttles_them() -> None:
    assert cast("Any", runtime.patient()).retries["mode"] == "adaptive"


def test_a_call_of_the_park_side_gives_up_before_the_function_has_to_end() -> None:
    """Six tries, of which one may take as long as a function that has the least time; the SDK says when it is up."""
    config = cast("Any", runtime.patient())

    assert config.retries["max_attempts"] == 6
    assert (config.connect_timeout, config.read_timeout) == (5, 20)


def test_calls_for_somebody_who_waits_are_tried_three_times_within_a_minute() -> None:
    config = cast("Any", runtime.prompt())

    assert config.retries == {"mode": "standard", "max_attempts": 2}
    assert (config.connect_timeout, config.read_timeout) == (3, 15)
    assert 3 * (config.connect_timeout + config.read_timeout) < 60


def test_parallel_steps_find_a_connection_each() -> None:
    assert {cast("Any", c).max_pool_connections for c in (runtime.patient(), runtime.prompt())} == {30}
    assert THREADS <= 30
