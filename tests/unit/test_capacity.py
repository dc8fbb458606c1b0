"""EC2 has no room: whichever code of the family says so, a start is tried again, less and less often, for an hour."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import pytest

from park_volumes.core import capacity
from park_volumes.core.capacity import lacks_capacity, next_try, remedy
from park_volumes.report import Kind
from tests.model import judge
from tests.model.faults import CAPACITY, FALLS_BACK, Call, Fault, at_operation
from tests.support.terraform import ROOT
from tests.unit.facts import NOW
from tests.unit.functions import SWEEP, Functions
from tests.unit.passes import Stand

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
REFUSED = tuple(CAPACITY)
TAKEN_BACK = tuple(fault for fault, reason in FALLS_BACK.items() if lacks_capacity(reason))
HOST = "Dedicated Host"


class TestTheFamily:
    @pytest.mark.parametrize("code", [fault.value for fault in CAPACITY])
    def test_has_every_code_with_which_ec2_refuses_a_start_for_want_of_room(self, code: str) -> None:
        assert lacks_capacity(code)

    @pytest.mark.parametrize("code", ["InsufficientVolumeCapacity", "InsufficientCapacity", "InsufficientWhatever"])
    def test_has_what_else_ec2_may_lack(self, code: str) -> None:
        assert lacks_capacity(code)

    def test_has_the_reasons_for_which_a_start_is_taken_back(self) -> None:
        assert {FALLS_BACK[fault] for fault in TAKEN_BACK} == {
            "Server.InsufficientInstanceCapacity",
            "Server.InsufficientHostCapacity",
        }

    @pytest.mark.parametrize(
        "code", ["", "Client.InternalError", "VcpuLimitExceeded", "InstanceLimitExceeded", "UnauthorizedOperation"]
    )
    def test_has_no_limit_no_denial_and_nothing_that_a_person_has_to_mend(self, code: str) -> None:
        assert not lacks_capacity(code)

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("InsufficientInstanceCapacity", "Another instance type"),
            ("Server.InsufficientInstanceCapacity", "Another instance type"),
            ("InsufficientHostCapacity", HOST),
            ("Server.InsufficientHostCapacity", HOST),
            ("InsufficientCapacityOnHost", HOST),
            ("ReservationCapacityExceeded", "Capacity Reservation"),
            ("InsufficientVolumeCapacity", "only waiting helps"),
            ("InsufficientWhatever", "EC2 says above"),
        ],
    )
    def test_has_a_remedy_for_each_that_fits(self, code: str, words: str) -> None:
        assert words in remedy(code)

    def test_is_in_the_page_for_those_whom_an_alarm_has_woken(self) -> None:
        page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        told = set(re.findall(r"`Server\.(Insufficient\w+)`", page))

        assert told == {FALLS_BACK[fault].partition(".")[2] for fault in TAKEN_BACK}


class TestTheNextTry:
    @pytest.mark.parametrize(
        ("asked", "tried", "waits"), [(0, 0, 1), (5, 5, 1), (10, 8, 2), (20, 12, 8), (40, 30, 10), (50, 2, 10)]
    )
    def test_comes_after_as_long_as_has_been_waited_from_one_minute_to_ten(
        self, asked: float, tried: float, waits: float
    ) -> None:
        now = NOW - tried * MINUTE
        assert next_try(NOW - asked * MINUTE, now, NOW + HOUR) - now == waits * MINUTE

    def test_comes_at_last_a_minute_before_the_start_is_given_up(self) -> None:
        assert next_try(NOW - 56 * MINUTE, NOW, NOW + 4 * MINUTE) == NOW + 3 * MINUTE


class Tries:
    """A plan that refuses every start, and notes when it did."""

    def __init__(self, stand: Stand, fault: Fault) -> None:
        self._stand, self._fault = stand, fault
        self._began = stand.clock.now()
        self.at: list[datetime] = []

    def __call__(self, call: Call) -> Fault | None:
        if call.operation != "StartInstances":
            return None
        self.at.append(self._stand.clock.now())
        return self._fault

    @property
    def minutes(self) -> list[int]:
        return [round((at - self._began) / MINUTE) for at in self.at]


def sweeps(functions: Functions, minutes: int) -> None:
    """Events and messages come, and a sweep every five minutes."""
    for minute in range(minutes):
        functions.live(60)
        if minute % 5 == 4:
            functions.park(SWEEP)


@pytest.mark.parametrize("fault", [*REFUSED, *TAKEN_BACK])
class TestAStartThatFindsNoRoom:
    def test_for_fifty_minutes_is_tried_a_handful_of_times_and_runs_once_there_is_room(
        self, stand: Stand, functions: Functions, fault: Fault
    ) -> None:
        instance_id = stand.parked()
        tries = Tries(stand, fault)
        functions.faults = tries
        functions.post("db", "start")
        sweeps(functions, 50)
        assert 6 <= len(tries.minutes) <= 9, tries.minutes
        assert stand.instance(instance_id).state == "stopped"

        functions.faults = None
        sweeps(functions, 8)
        assert stand.instance(instance_id).state == "running"
        assert judge.problems(stand.world) == []

    def test_is_told_in_its_first_minutes_with_what_a_person_can_do(
        self, stand: Stand, functions: Functions, fault: Fault
    ) -> None:
        instance_id = stand.parked()
        functions.faults = Tries(stand, fault)
        answer = functions.waiting("db", "30")
        sweeps(functions, 30)
        told = [json.loads(event["Detail"])["advice"] for event in functions.events]
        code = fault.value if fault in CAPACITY else FALLS_BACK[fault]

        assert answer.status == 502
        assert set(functions.reported()) == {(Kind.START_FAILED, instance_id)}
        assert set(told) == {f"{capacity.TRIED_AGAIN} {remedy(code)}"}
        assert len(told) <= 3

    def test_is_shown_as_starting_with_the_time_of_the_next_try(
        self, stand: Stand, functions: Functions, fault: Fault
    ) -> None:
        stand.parked()
        functions.faults = Tries(stand, fault)
        functions.post("db", "start")
        sweeps(functions, 12)
        shown = functions.get("db").body

        assert shown["state"] == "starting"
        assert re.search(r"EC2 had no capacity for i-\w+; its start is retried at \d\d:\d\d UTC\.", shown["detail"])


def test_a_start_that_was_taken_back_and_is_then_refused_is_not_tried_every_minute(
    stand: Stand, functions: Functions
) -> None:
    """The launch time has moved, so the request stands on snapshots of the stop before."""
    instance_id = stand.parked()
    functions.faults = at_operation("StartInstances", Fault.START_FINDS_NO_HOST)
    functions.post("db", "start")
    tries = Tries(stand, Fault.HOST_FULL)
    functions.faults = tries
    sweeps(functions, 40)
    assert 4 <= len(tries.minutes) <= 7, tries.minutes

    functions.faults = None
    sweeps(functions, 10)
    assert stand.instance(instance_id).state == "running"


def test_an_instance_that_was_never_parked_is_to_be_asked_for_again(stand: Stand, functions: Functions) -> None:
    """Nothing remembers its request: it has no snapshots."""
    stand.stopped()
    functions.faults = Tries(stand, Fault.RESERVATION_FULL)
    message = functions.post("db", "start").message

    assert message.endswith(f"Nothing is lost. {remedy('ReservationCapacityExceeded')} Ask again later.")


def test_a_parked_one_is_tried_again_and_the_answer_says_so(stand: Stand, functions: Functions) -> None:
    stand.parked()
    functions.faults = Tries(stand, Fault.HOST_FULL)

    assert functions.post("db", "start").message.endswith(
        f"Nothing is lost. {capacity.TRIED_AGAIN} {capacity.FULL_HOST}"
    )
