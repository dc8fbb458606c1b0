"""Where a start stands in line: how many are ahead of it, had EC2 started them as fast as it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from park_volumes.core.queue import TAKES, ahead, queue_message

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
