"""A morning of more starts than EC2 takes: all run, in the order in which they were asked for, and nobody hammers.

``make bench`` runs it with 2,000 instances; a tenth of them shows the same in the tests' time.
"""

from __future__ import annotations

import re

import pytest

from tests.bench.morning import PEOPLE, SCHEDULE, Morning, morning

INSTANCES = 200


@pytest.fixture(scope="module", params=[10, 100])
def day(request: pytest.FixtureRequest) -> Morning:
    return morning(INSTANCES, concurrency=request.param)


@pytest.fixture(scope="module", params=[10, 100])
def crowd(request: pytest.FixtureRequest) -> Morning:
    """All of them are asked for by people at the page, who wait for an answer."""
    return morning(INSTANCES, concurrency=request.param, people=1)


@pytest.fixture(scope="module", params=[10, 100])
def offices(request: pytest.FixtureRequest) -> Morning:
    """Each of them has a schedule of its own."""
    return morning(INSTANCES, concurrency=request.param, people=0, schedule=1)


def well(some: Morning) -> None:
    assert some.running == INSTANCES
    assert (some.problems, some.errors, some.dropped) == ([], [], 0)


def test_all_run(day: Morning) -> None:
    well(day)


def test_nobody_is_refused(day: Morning) -> None:
    assert len(day.answers) == PEOPLE * INSTANCES
    assert {answer["status"] for answer in day.answers} == {202}


def test_all_run_that_people_ask_for_and_nobody_is_refused(crowd: Morning) -> None:
    well(crowd)
    assert [answer["status"] for answer in crowd.answers] == [202] * INSTANCES


def test_all_run_that_have_a_schedule_each(offices: Morning) -> None:
    well(offices)
    assert offices.throttled < 0.1 * offices.calls


def test_reserved_executions_keep_the_order_where_an_account_has_more_than_ec2_bears() -> None:
    """Without them a few of so many are never lucky with EC2's tokens, and come last."""
    large = morning(1000, concurrency=100, reserved=10, people=0, schedule=1)

    assert large.running == 1000
    assert large.overtaken <= 100
    assert large.throttled < 0.05 * large.calls


def test_whoever_asked_first_is_started_first_but_for_those_who_wait_at_the_page(day: Morning) -> None:
    """And but for a few that are under way at the same time."""
    assert day.overtaken <= (PEOPLE + 0.05) * INSTANCES


def test_whoever_has_to_wait_learns_how_many_are_ahead(crowd: Morning) -> None:
    ahead = [re.search(r"about (\d+) starts? (?:is|are) ahead", answer["detail"]) for answer in crowd.answers]
    told = [int(found[1]) for found in ahead if found]

    assert len(told) > 0.5 * INSTANCES
    assert max(told) < INSTANCES


def test_people_do_not_make_it_much_longer(crowd: Morning) -> None:
    assert crowd.seconds <= 2 * crowd.dictated + 60


def test_hardly_any_call_is_throttled(day: Morning) -> None:
    assert day.throttled < 0.05 * day.calls


def test_it_takes_a_minute_more_than_half_as_long_again_as_ec2_dictates(day: Morning) -> None:
    assert day.seconds <= 1.5 * day.dictated + 60


def test_a_schedule_is_one_event(day: Morning) -> None:
    """Few enough for a new account's ten concurrent executions."""
    assert day.invocations < 2 * INSTANCES + INSTANCES / SCHEDULE
