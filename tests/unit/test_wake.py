"""Both functions run only while something is on its way: who wakes whom, when, and that nothing is left waiting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core import tags
from park_volumes.handlers import wake
from park_volumes.run import fleet
from park_volumes.run.fleet import Sweeps, observe_moving
from park_volumes.run.park_pass import park_sweep
from tests.model import judge
from tests.unit.facts import NOW, SETTINGS
from tests.unit.functions import SWEEP, SWEEP_STARTS, Functions, start_requested, state_change
from tests.unit.passes import Stand

MINUTE = 60


def asked(functions: Functions) -> list[str]:
    return [entry["DetailType"] for entry in functions.asked]


def calls(stand: Stand, functions: Functions, event: dict[str, Any]) -> int:
    """How many of EC2; those of the queue are not counted."""
    made: list[str] = []
    stand.world.on_call = lambda operation, _: made.append(operation)
    functions.park(event)
    stand.world.on_call = None
    return sum(operation.startswith("Describe") for operation in made)


def _on_its_way(stand: Stand, way: str) -> str:
    instance_id = stand.stopped() if way != "asked to start" else stand.parked()
    match way:
        case "marked":
            stand.ready(instance_id)
        case "rootless":
            stand.ready(instance_id)
            stand.step(instance_id)
        case "asked to start":
            stand.start_pass().request([instance_id])
    return instance_id


class TestWhenNothingIsOnItsWay:
    def test_a_sweep_wakes_nobody(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        stand.launch(name="runs")

        assert functions.park(SWEEP) == []
        assert (asked(functions), functions.wakes(), functions.sent()) == ([], [], [])

    @pytest.mark.parametrize("parked", [0, 1, 3])
    def test_a_sweep_takes_three_calls(self, stand: Stand, functions: Functions, parked: int) -> None:
        for n in range(parked):
            stand.parked(name=f"n{n}")

        assert calls(stand, functions, SWEEP) == 3

    def test_a_start_that_was_done_long_ago_wakes_nobody(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.post("db", "start")
        functions.live(900)
        functions.asked.clear()
        functions.park(SWEEP)

        assert asked(functions) == []


class TestWhileSomethingIsOnItsWay:
    def test_a_sweep_wakes_the_start_side_now_and_at_every_full_minute_until_the_next(
        self, stand: Stand, functions: Functions
    ) -> None:
        _on_its_way(stand, "marked")
        now = stand.clock.now()
        functions.park(SWEEP)
        until = [5 * MINUTE - (now.minute % 5 * MINUTE + now.second)]

        assert asked(functions) == [wake.SWEEP_STARTS]
        assert [(now + timedelta(seconds=s)).second for s in functions.wakes()] == [0] * len(functions.wakes())
        assert all(seconds < until[0] for seconds in functions.wakes())
        assert len(functions.wakes()) == 4 - now.minute % 5

    def test_nobody_is_woken_at_the_full_hour_which_has_a_sweep_of_its_own(self) -> None:
        now = NOW.replace(minute=56, second=0)

        found = wake.wakes(now, 25, {})

        assert [seconds for seconds, _ in found] == [60, 120, 180]
        assert [said["detail"]["last"] for _, said in found] == [False, False, True]

    def test_a_stop_has_the_start_side_woken(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        functions.park(state_change(instance_id, "stopped"))

        assert len(functions.wakes()) == 4 - stand.clock.now().minute % 5

    def test_what_a_sweep_handed_on_wakes_nobody_again(self, stand: Stand, functions: Functions) -> None:
        _on_its_way(stand, "marked")
        functions.park(SWEEP)
        messages = [body for _, body in functions.sent()]
        stand.world.take_messages()
        stand.world.messages.clear()
        functions.park(*messages)

        assert functions.wakes() == []

    def test_several_wakes_of_one_minute_are_one_sweep(self, functions: Functions) -> None:
        one = {"source": wake.SOURCE, "detail-type": wake.WAKE, "detail": {"last": False}}
        functions.park(one, one, one)

        assert asked(functions) == [wake.SWEEP_STARTS]
        assert functions.wakes() == []

    def test_the_last_one_of_ten_sends_more(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SWEEP_INTERVAL_MINUTES", "60")
        stand.world.clock.advance((120 - stand.clock.now().minute) % 60 * MINUTE)
        _on_its_way(stand, "marked")
        minutes = 0
        functions.park({"source": wake.SOURCE, "detail-type": wake.START_GOES_ON, "detail": {}})
        began = stand.clock.now()
        while functions.wakes():
            stand.after(int(functions.wakes()[0]))
            minutes += len(stand.world.take_messages())
            functions.park({"source": wake.SOURCE, "detail-type": wake.WAKE, "detail": {"last": not functions.wakes()}})

        assert minutes == 59 - began.minute
        assert stand.clock.now().minute == 59

    def test_a_message_that_says_something_else_is_refused(self, functions: Functions) -> None:
        wrong = {"source": wake.SOURCE, "detail-type": wake.WAKE, "detail": {"last": "maybe"}}

        assert functions.park(wrong, SWEEP) == ["m0"]


class TestAStart:
    def test_tells_the_park_side_that_it_goes_on(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.post("db", "start")

        assert asked(functions) == [wake.START_GOES_ON]

    def test_of_several_tells_it_if_one_of_them_goes_on(self, stand: Stand, functions: Functions) -> None:
        functions.start(start_requested(stand.launch(), stand.parked(name="web")))

        assert asked(functions) == [wake.START_GOES_ON]

    def test_of_what_runs_tells_nothing(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        functions.post("db", "start")

        assert asked(functions) == []

    def test_that_a_sweep_goes_on_with_tells_nothing(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.post("db", "start")
        functions.asked.clear()
        stand.after(61)
        functions.start(SWEEP_STARTS)

        assert asked(functions) == []

    def test_that_has_others_ahead_tells_nothing_since_the_first_has(self, stand: Stand, functions: Functions) -> None:
        ids = [stand.parked(name=f"n{n}") for n in range(3)]
        for instance_id in ids:
            functions.start(start_requested(instance_id))
            stand.world.clock.advance(0.1)

        assert asked(functions) == [wake.START_GOES_ON]

    def test_is_settled_without_any_sweep(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.post("db", "start")
        functions.live(290)

        assert stand.instance(instance_id).state == "running"
        assert [v.id for v in stand.world.volumes.current() if tags.MARK in v.tags] == []
        assert judge.problems(stand.world) == []

    def test_of_which_the_park_side_never_hears_is_found_by_the_next_sweep(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.parked()
        functions.start(start_requested(instance_id), seconds=4)
        functions.asked.clear()
        stand.world.messages.clear()
        assert stand.instance(instance_id).state == "stopped"

        stand.after(300)
        functions.park(SWEEP)
        assert asked(functions) == [wake.SWEEP_STARTS]
        functions.live(120)
        assert stand.instance(instance_id).state in ("pending", "running")


def test_a_region_that_was_empty_not_long_ago_is_not_looked_at_whole(stand: Stand) -> None:
    sweeps, reads = Sweeps(always=False), stand.ec2().reads
    looks = [sweeps.look(reads, SETTINGS, stand.clock.now(), everything=False) for _ in range(2)]

    assert [one.everything for one in looks] == [True, False]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every resource fills a page of its own."""
    monkeypatch.setattr(fleet, "PAGE", 1)


@pytest.mark.usefixtures("large")
class TestALargeFleet:
    def sweeps_after_a_look_at_everything(self, stand: Stand) -> Sweeps:
        sweeps = Sweeps(always=True)
        assert sweeps.look(stand.ec2().reads, SETTINGS, stand.clock.now(), everything=False).everything
        return sweeps

    def test_is_looked_at_whole_the_less_often_the_more_calls_that_takes(self, stand: Stand) -> None:
        for n in range(3):
            stand.parked(name=f"n{n}")
        sweeps = self.sweeps_after_a_look_at_everything(stand)

        assert sweeps.due - stand.clock.now() == (3 + 6) * fleet.FOR_EACH_FURTHER_CALL
        assert not sweeps.look(stand.ec2().reads, SETTINGS, stand.clock.now(), everything=False).everything
        assert sweeps.look(stand.ec2().reads, SETTINGS, stand.clock.now(), everything=True).everything
        assert sweeps.look(stand.ec2().reads, SETTINGS, sweeps.due, everything=False).everything

    def test_in_between_takes_three_calls_and_shows_no_parked_instance(self, stand: Stand) -> None:
        stand.parked()
        stand.launch(name="runs")
        before = stand.world.calls
        found = observe_moving(stand.ec2().reads, SETTINGS, stand.clock.now())

        assert stand.world.calls - before == 3
        assert (found.observations, found.start_side) == ([], False)

    @pytest.mark.parametrize("way", ["stopped", "marked", "rootless", "asked to start"])
    def test_in_between_shows_whatever_is_on_its_way(self, stand: Stand, way: str) -> None:
        instance_id = _on_its_way(stand, way)
        found = observe_moving(stand.ec2().reads, SETTINGS, stand.clock.now())

        assert [o.instance.id for o in found.observations] == [instance_id]
        assert found.start_side is (way != "stopped")
        assert park_sweep(found.observations, SETTINGS, stand.clock.now()) == [instance_id]
