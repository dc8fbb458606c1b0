"""The clock of the local AWS: it goes on when nobody works, and jumps to what is due for whoever asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.local_aws.clock import Clock, Slots
from tests.local_aws.dial import Dial

MINUTE, DAY = 60.0, 86_400.0


@pytest.fixture
def dial(tmp_path: Path) -> Dial:
    return Dial.make(tmp_path / "dial")


@pytest.fixture
def clock(dial: Dial) -> Clock:
    return Clock(dial, hurries=True)


def test_a_day_passes_at_once_and_what_is_due_is_done_at_its_time(clock: Clock) -> None:
    began, seen = clock.now(), list[tuple[str, int]]()

    def note(what: str) -> None:
        seen.append((what, hour(clock, began)))

    for hours in (3, 1, 2):
        clock.after(hours * 3600, f"after {hours}", partial(note, f"after {hours}"))
    clock.run(DAY)
    assert seen == [("after 1", 1), ("after 2", 2), ("after 3", 3)]
    assert hour(clock, began) == 24


def hour(clock: Clock, began: float) -> int:
    return int((clock.now() - began) / 3600)


def test_who_asks_for_a_moment_that_is_over_before_it_is_looked_at_does_not_wait_for_ever(clock: Clock) -> None:
    def ask() -> None:
        for microseconds in range(500):
            clock.run(microseconds / 1e6)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(MINUTE)
    assert not asking.is_alive()


def test_what_is_due_may_bring_about_more(clock: Clock) -> None:
    seen = list[str]()
    clock.after(10, "first", lambda: clock.after(10, "second", lambda: seen.append("second")))
    clock.run(15)
    assert (seen, clock.pending()) == ([], ["second"])
    clock.run(15)
    assert (seen, clock.pending()) == (["second"], [])


def test_what_was_cancelled_is_not_done_and_what_fails_stops_nothing(clock: Clock) -> None:
    seen = list[str]()
    clock.after(1, "cancelled", lambda: seen.append("cancelled")).cancel()
    clock.after(2, "failing", lambda: 1 // 0)
    clock.after(3, "last", lambda: seen.append("last"))
    assert clock.pending() == ["failing", "last"]
    clock.run(5)
    assert seen == ["last"]


def test_nobody_waits_for_what_is_in_the_background(clock: Clock) -> None:
    clock.after(60, "the next tick of a schedule", lambda: None, background=True)
    assert clock.pending() == []


def test_it_stands_still_while_somebody_works(clock: Clock) -> None:
    with clock.work():
        began = clock.now()
        with clock.work():
            pass
        assert clock.now() == began
    clock.run(1)
    assert clock.now() >= began + 1


def test_it_can_be_kept_from_going_by_itself_and_is_then_moved_by_who_asks_and_who_sleeps(clock: Clock) -> None:
    clock.hold(True)
    began = clock.now()
    assert clock.now() == began
    assert clock.run(5) == began + 5
    with clock.work() as turn:
        turn.sleep(5, "a nap")
    assert clock.now() == began + 10
    clock.hold(False)
    assert clock.now() > began + 10


def test_who_asks_for_time_waits_until_the_work_is_done(clock: Clock) -> None:
    done = list[str]()
    with ThreadPoolExecutor() as pool:
        turn = clock.work()
        asked = pool.submit(lambda: (clock.run(1), list(done)))
        done.append("the work")
        turn.end()
    assert asked.result()[1] == ["the work"]


def test_it_jumps_over_the_sleep_of_who_works_and_no_further(clock: Clock) -> None:
    later = clock.now() + DAY
    clock.after(DAY, "much later", lambda: None)
    with clock.work() as turn:
        began = clock.now()
        turn.sleep(3600, "a nap")
        assert began + 3600 <= clock.now() < later


def test_of_several_who_sleep_in_one_turn_the_last_to_wake_works_on(clock: Clock) -> None:
    with clock.work() as turn, ThreadPoolExecutor() as pool:
        began = clock.now()
        list(pool.map(lambda seconds: turn.sleep(seconds, "a nap"), (10, 20, 30)))
        assert clock.now() >= began + 30
        assert clock.now() == clock.now()


def test_who_is_gone_while_they_sleep_stops_nothing(dial: Dial) -> None:
    clock = Clock(dial, hurries=False)
    turn = clock.work()
    with ThreadPoolExecutor() as pool:
        asleep = pool.submit(turn.sleep, 10, "a nap")
        clock.run(5)
        turn.end()
        clock.run(5)
        asleep.result()
    clock.run(1)
    assert clock.pending() == []


def test_who_waits_for_a_place_gets_it_in_turn_or_not_in_time(clock: Clock) -> None:
    slots = Slots(clock, lambda: 1)

    def wait(seconds: float) -> bool:
        with clock.work() as turn:
            served = slots.take(turn, seconds)
            if served:
                slots.give_back()
            return served

    with clock.work() as first:
        assert slots.take(first, 0)
    with ThreadPoolExecutor() as pool:
        patient, hasty = pool.submit(wait, 1000 * DAY), pool.submit(wait, 10)
        while not hasty.done():
            clock.run(10)
        assert hasty.result() is False
        slots.give_back()
        assert patient.result() is True
    assert slots.taken == 0
