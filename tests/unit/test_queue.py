"""Where a start stands in line: how many are ahead of it, had EC2 started them as fast as it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from park_volumes.core.facts import Observation
from park_volumes.core.queue import TAKES, ahead, may_wait, queue_message, remembering, with_request, without_capacity
from park_volumes.core.steps import Decision, RememberStart, StartInstance
from tests.unit import facts
from tests.unit.facts import DATA, ID, ROOT, SETTINGS, given_up, parked, record, records, root_volume, seen

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def asked(*seconds_ago: float) -> list[datetime]:
    return [NOW - timedelta(seconds=s) for s in seconds_ago]


def test_nobody_is_ahead_of_the_first() -> None:
    assert ahead([], NOW, NOW) == 0


def test_those_that_were_asked_for_just_now_are_ahead() -> None:
    assert ahead(asked(*[0.001] * 100), NOW, NOW) == 100


def test_two_a_second_have_been_started_meanwhile() -> None:
    """From when the first of them can have been ready."""
    assert ahead(asked(*[TAKES.total_seconds() + 20] * 100), NOW, NOW) == 59


def test_those_of_an_hour_ago_do_not_count() -> None:
    assert ahead(asked(*[3600] * 2000, 0.001), NOW, NOW) == 1


def test_a_pause_is_not_made_up_for() -> None:
    """What EC2 could have started while nobody asked does not shorten the line of those who ask later."""
    assert ahead(asked(1800, *[20] * 50), NOW, NOW) == 29


def test_those_asked_for_later_are_not_ahead() -> None:
    assert ahead(asked(-5, -10), NOW, NOW) == 0


def test_the_words_say_how_many_and_how_long() -> None:
    assert queue_message("i-1", 1117) == (
        "i-1 is waiting in the queue: about 1117 starts are ahead of it, and EC2 accepts 2 a second. "
        "It continues by itself in about 11 minutes."
    )


def test_the_words_about_few_are_as_people_say_them() -> None:
    assert queue_message("i-1", 0) == "i-1 is next in the queue. It continues by itself in about a minute."
    assert "about 1 start is ahead of it" in queue_message("i-1", 1)
    assert "in about 2 minutes" in queue_message("i-1", 1)


def test_one_that_asked_at_the_same_moment_is_not_ahead() -> None:
    assert ahead(asked(5, 4, 4), NOW - timedelta(seconds=4), NOW) == 1


def test_a_start_takes_ten_seconds_and_is_not_ahead_any_more_then() -> None:
    assert ahead(asked(9.9), NOW, NOW) == 1
    assert ahead(asked(10), NOW, NOW) == 0


class TestWhoMayWait:
    @pytest.mark.parametrize("observation", [parked(), given_up()], ids=["parked", "given up"])
    def test_is_who_has_a_complete_generation_of_snapshots(self, observation: Observation) -> None:
        assert may_wait(observation, SETTINGS)

    def test_is_nobody_in_a_deployment_that_only_observes(self) -> None:
        assert not may_wait(parked(), replace(SETTINGS, observe_only=True))

    def test_is_nobody_who_is_not_opted_in(self) -> None:
        assert not may_wait(parked(tags={}), SETTINGS)

    @pytest.mark.parametrize("state", ["running", "pending", "stopping", "terminated"])
    def test_is_nobody_who_is_not_stopped(self, state: str) -> None:
        assert not may_wait(parked(state=state), SETTINGS)

    def test_is_nobody_who_lacks_a_snapshot(self) -> None:
        assert not may_wait(seen(records=records()[1:]), SETTINGS)

    def test_is_nobody_who_has_all_volumes_and_never_gave_one_up(self) -> None:
        assert not may_wait(seen(root_volume()), SETTINGS)


class TestARequest:
    def test_is_not_written_where_there_is_no_snapshot_of_this_stop(self) -> None:
        assert remembering(seen(root_volume()), facts.NOW) == ()

    @pytest.mark.parametrize(("seconds", "again"), [(299, False), (300, True), (301, True)])
    def test_is_written_again_after_exactly_five_minutes(self, seconds: int, again: bool) -> None:
        earlier = facts.NOW - timedelta(seconds=seconds)
        assert bool(remembering(seen(records=records(start_requested=earlier)), facts.NOW)) is again

    def test_is_not_written_again_where_one_of_the_snapshots_has_it(self) -> None:
        one = seen(records=[record(DATA, start_requested=facts.NOW), record(ROOT)])
        assert remembering(one, facts.NOW) == ()

    def test_once_written_is_on_the_snapshots_of_this_stop_and_no_try_has_failed_since(self) -> None:
        before = record(ROOT, snapshot_id="snap-before", launch_time=facts.LAUNCHED - timedelta(days=1))
        tried = records(capacity_refused_at=facts.NOW - timedelta(minutes=9))
        data, root, other = with_request(seen(records=[*tried, before]), facts.NOW).records

        assert {(r.start_requested, r.capacity_refused_at) for r in (data, root)} == {(facts.NOW, None)}
        assert other == before


class TestATryThatFindsNoRoom:
    BEGIN = (StartInstance(instance_id=ID),)

    def test_is_remembered_with_the_request_that_the_decision_wrote(self) -> None:
        just = facts.NOW - timedelta(seconds=20)
        earlier = seen(records=records(start_requested=facts.NOW - timedelta(minutes=30)))
        decision = Decision(reason="", steps=((RememberStart(snapshot_ids=("snap-root",), at=just),), self.BEGIN))

        (step,) = without_capacity(earlier, decision, SETTINGS, facts.NOW)
        assert (step.at, step.capacity_refused_at) == (just, facts.NOW)
        assert step.snapshot_ids == ("snap-data", "snap-root")

    def test_is_remembered_with_the_last_request_where_the_decision_wrote_none(self) -> None:
        asked_at = facts.NOW - timedelta(minutes=3)
        decision = Decision(reason="", steps=(self.BEGIN,))

        (step,) = without_capacity(seen(records=records(start_requested=asked_at)), decision, SETTINGS, facts.NOW)
        assert (step.at, step.capacity_refused_at) == (asked_at, facts.NOW)

    def test_is_remembered_with_the_newest_request_of_several(self) -> None:
        requests = [facts.NOW - timedelta(minutes=9), facts.NOW - timedelta(minutes=3)]
        both = [record(device, start_requested=at) for device, at in zip((DATA, ROOT), requests, strict=True)]

        (step,) = without_capacity(seen(records=both), Decision(reason="", steps=(self.BEGIN,)), SETTINGS, facts.NOW)
        assert step.at == requests[1]

    def test_is_not_remembered_without_a_request_or_without_a_snapshot(self) -> None:
        remembered = Decision(reason="", steps=((RememberStart(snapshot_ids=(), at=facts.NOW),),))

        assert without_capacity(parked(), Decision(reason="", steps=(self.BEGIN,)), SETTINGS, facts.NOW) == ()
        assert without_capacity(seen(root_volume()), remembered, SETTINGS, facts.NOW) == ()
