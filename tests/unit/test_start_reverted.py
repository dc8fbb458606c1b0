"""Starts that EC2 refuses for want of capacity, or accepts and takes back: reported, tried again where that helps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from park_volumes.core import capacity
from park_volumes.core.facts import Observation
from park_volumes.core.park import park
from park_volumes.core.phase import next_try, records_of_request
from park_volumes.core.start import Intent, start
from park_volumes.core.status import status
from park_volumes.core.steps import Decision, Outcome, StartInstance
from park_volumes.report import Kind, Report, of_parking
from park_volumes.run.execute import Result
from tests.model import judge
from tests.model.faults import Call, Fault, at_operation
from tests.unit.facts import (
    DATA,
    ID,
    NOW,
    ROOT,
    SETTINGS,
    attachment,
    records,
    restored,
    seen,
    steps_of,
)
from tests.unit.functions import SWEEP_STARTS, Functions
from tests.unit.passes import Stand

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CAPACITY = "Server.InsufficientInstanceCapacity"
MESSAGE = f"{CAPACITY}: There is not enough capacity to fulfill your request"


def reverted(*, asked: float, launched: float, reason: str = CAPACITY, message: str = MESSAGE) -> Observation:
    """An instance whose start was asked for and last begun so many minutes ago, and which is stopped again."""
    at, launch = NOW - asked * MINUTE, NOW - launched * MINUTE
    both = tuple(replace(r, start_requested=at) for r in records())
    there = [restored(r, attachment(r.device, attach_time=at)) for r in both]
    return seen(*there, records=both, launch_time=launch, state_reason=reason, state_message=message)


def test_only_the_request_of_this_launch_is_carried_on() -> None:
    s = reverted(asked=10, launched=5)
    earlier = [replace(r, snapshot_id=f"{r.snapshot_id}-1", start_requested=NOW - 2 * HOUR) for r in s.records]
    unasked = [replace(r, snapshot_id=f"{r.snapshot_id}-2", start_requested=None) for r in s.records]

    assert records_of_request(replace(s, records=(*earlier, *s.records, *unasked)), SETTINGS) == s.records


def decide(observation: Observation) -> Decision:
    return start(observation, SETTINGS, NOW, intent=Intent.SWEEP)


class TestAStartThatEc2TookBackForWantOfCapacity:
    @pytest.mark.parametrize(
        ("asked", "launched", "tried"),
        [
            (0.5, 0.5, False),
            (1.5, 1.5, True),
            (10, 5.5, True),
            (9, 5, True),
            (20, 9, False),
            (20, 10, True),
            (45, 20, True),
            (45, 9, False),
            (59.5, 9, True),
            (59.5, 0.4, True),
        ],
    )
    def test_is_tried_again_after_as_long_as_it_has_been_waited_for(
        self, asked: float, launched: float, tried: bool
    ) -> None:
        decision = decide(reverted(asked=asked, launched=launched))

        assert bool(steps_of(decision, StartInstance)) is tried
        if not tried:
            assert decision.outcome is Outcome.GOING_ON
            assert "EC2 had no capacity for" in decision.reason

    def test_is_not_tried_any_more_after_an_hour(self) -> None:
        observation = reverted(asked=61, launched=20)

        assert next_try(observation, SETTINGS, NOW) is None
        assert steps_of(decide(observation), StartInstance) == []

    def test_is_started_at_once_when_somebody_asks(self) -> None:
        decision = start(reverted(asked=20, launched=1), SETTINGS, NOW, intent=Intent.START)

        assert steps_of(decision, StartInstance) == [StartInstance(instance_id=ID)]

    @pytest.mark.parametrize("asked", [5, 61, 6000])
    def test_is_not_parked_again(self, asked: float) -> None:
        decision = park(reverted(asked=asked, launched=min(asked, 5)), SETTINGS, NOW)

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())

    def test_is_shown_as_starting_with_the_time_of_the_next_try(self) -> None:
        shown = status(reverted(asked=20, launched=5), SETTINGS, NOW)

        assert shown["state"] == "starting"
        assert shown["detail"] == f"EC2 had no capacity for {ID}; its start is retried at 12:05 UTC."

    def test_is_reported_the_first_time_only(self) -> None:
        first, later = (_reported(reverted(asked=asked, launched=5)) for asked in (5.5, 20))

        assert first is not None
        assert (first.kind, first.what) == (Kind.START_FAILED, f"EC2 took the start of {ID} back: {MESSAGE}.")
        assert first.advice == f"{capacity.TRIED_AGAIN} Another instance type may start at once."
        assert later is None

    @pytest.mark.parametrize(("minutes", "told"), [(3.9, True), (4, True), (4.1, False)])
    def test_is_the_first_time_for_four_minutes_after_the_request(self, minutes: float, told: bool) -> None:
        assert (_reported(reverted(asked=5 + minutes, launched=5)) is not None) is told


def _reported(observation: Observation) -> Report | None:
    result = Result(observation=observation, decision=park(observation, SETTINGS, NOW))
    return of_parking(result, SETTINGS, NOW, include_ongoing=True)


class TestAStartThatEc2TookBackForAnotherReason:
    def test_is_not_tried_again(self) -> None:
        observation = reverted(asked=10, launched=9, reason="Client.InternalError", message="")

        assert next_try(observation, SETTINGS, NOW) is None
        assert steps_of(decide(observation), StartInstance) == []

    def test_needs_attention_for_as_long_as_it_is_remembered(self) -> None:
        shown = status(reverted(asked=10, launched=9, reason="Client.InternalError", message=""), SETTINGS, NOW)

        assert (shown["state"], shown["detail"]) == (
            "needs attention",
            f"EC2 took the start of {ID} back: Client.InternalError.",
        )

    def test_is_another_matter_than_a_stop_long_after_a_start(self) -> None:
        observation = reverted(asked=500, launched=400, reason="Server.InternalError")
        both = tuple(replace(r, start_requested=NOW - 500 * MINUTE) for r in observation.records)

        assert status(replace(observation, records=both), SETTINGS, NOW)["state"] == "stopped"


class TestAStartThatEc2RefusesForWantOfCapacity:
    def test_is_tried_less_and_less_often_for_an_hour(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        began = stand.clock.now()
        tries: list[datetime] = []

        def full(call: Call) -> Fault | None:
            if call.operation != "StartInstances":
                return None
            tries.append(stand.clock.now())
            return Fault.NO_CAPACITY

        functions.faults = full
        assert functions.post("db", "start").code == "ec2_refused"
        for _ in range(11):
            stand.after(300)
            functions.start(SWEEP_STARTS)
        minutes = [round((t - began) / MINUTE) for t in tries]

        assert minutes == [0, 5, 15, 25, 35, 45, 55]
        assert stand.instance(instance_id).state == "stopped"
        assert len(stand.instance(instance_id).devices) == 2
        assert functions.reported() == [(Kind.START_FAILED, instance_id)]
        assert "tries again for an hour" in json.loads(functions.events[0]["Detail"])["advice"]

    def test_runs_as_soon_as_a_later_try_finds_room(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.faults = at_operation("StartInstances", Fault.NO_CAPACITY)
        functions.post("db", "start")
        stand.after(300)
        functions.start(SWEEP_STARTS)
        functions.live(120)

        assert stand.instance(instance_id).state == "running"
        assert (Kind.STARTED, instance_id) in functions.reported()

    def test_is_not_parked_within_the_hour_and_once_after_it(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.faults = at_operation("StartInstances", Fault.NO_CAPACITY, 99)
        functions.post("db", "start")
        for minutes in range(0, 60, 5):
            assert len(stand.instance(instance_id).devices) == 2, minutes
            stand.after(299)
            stand.step(*stand.swept())
        functions.faults = None
        for _ in range(12):
            stand.after(60)
            functions.start(SWEEP_STARTS)
            stand.step(*stand.swept())

        assert stand.instance(instance_id).devices == ()
        assert stand.instance(instance_id).state == "stopped"
        assert judge.problems(stand.world) == []


class TestARequestInTheSecondOfItsLaunch:
    """EC2 cuts LaunchTime to seconds: it looks earlier than the request."""

    def started(self, stand: Stand, functions: Functions, fault: Fault) -> str:
        """An instance with snapshots that is started in the same second in which that is asked for."""
        instance_id = stand.stopped()
        stand.step(instance_id)
        stand.after(120 + 1 - stand.world.clock.now % 1 + 0.4)
        functions.faults = at_operation("StartInstances", fault)
        functions.post("db", "start")
        (r, _) = stand.ec2().reads.snapshots_of([instance_id]).records
        assert r.start_requested is not None
        launched = stand.instance(instance_id).launch_time
        assert launched < r.start_requested < launched + timedelta(seconds=1)
        stand.after(60)
        assert stand.instance(instance_id).state == "stopped"
        return instance_id

    def test_is_told_when_ec2_takes_the_start_back(self, stand: Stand, functions: Functions) -> None:
        instance_id = self.started(stand, functions, Fault.START_FALLS_BACK)
        (seen_now,) = stand.start_pass().settle([instance_id])
        shown = status(seen_now.observation, SETTINGS, stand.clock.now())

        assert (shown["state"], "Client.InternalError" in shown["detail"]) == ("needs attention", True)

    def test_is_tried_again_when_there_was_no_room(self, stand: Stand, functions: Functions) -> None:
        instance_id = self.started(stand, functions, Fault.START_FINDS_NO_CAPACITY)
        functions.start(SWEEP_STARTS)
        functions.live(120)

        assert stand.instance(instance_id).state == "running"


class TestAWaitingCaller:
    def test_is_told_that_ec2_took_the_start_back(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.faults = at_operation("StartInstances", Fault.START_FALLS_BACK)
        reply = functions.waiting("db", "50")

        assert (reply.status, reply.code) == (502, "start_taken_back")
        assert "Client.InternalError" in reply.message

    def test_of_an_instance_that_was_never_parked_is_told_too(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        functions.faults = at_operation("StartInstances", Fault.START_FALLS_BACK)

        assert functions.waiting("db", "50").code == "start_taken_back"


def test_the_devices_of_these_facts_are_those_of_a_restored_instance() -> None:
    assert {m.device for m in reverted(asked=1, launched=1).instance.mappings} == {ROOT, DATA}
