"""How far a start or a parking is: the step, the disks that are done with it, and the time left where facts tell it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core.facts import Observation
from park_volumes.core.progress import Progress, ProgressStep, of_parking, of_start
from park_volumes.core.status import status
from park_volumes.handlers import page
from park_volumes.run.observe import observe
from tests.model.faults import Call
from tests.unit.facts import (
    DATA,
    MARKED,
    NOW,
    ROOT,
    SETTINGS,
    TAKEN,
    attachment,
    change,
    data_volume,
    given_up,
    in_transit,
    parked,
    record,
    records,
    restored,
    root_volume,
    seen,
    volume,
)
from tests.unit.functions import Functions
from tests.unit.passes import Stand

HOUR = timedelta(hours=1)


def start_of(s: Observation) -> tuple[str, int, int, int | None]:
    return told(of_start(s, SETTINGS, NOW))


def parking_of(s: Observation) -> tuple[str, int, int, int | None]:
    return told(of_parking(s, SETTINGS, NOW))


def told(p: Progress) -> tuple[str, int, int, int | None]:
    return (p.step.value, p.done, p.disks, p.seconds_left)


def copying(*copies: dict[str, Any]) -> Observation:
    """A stopped instance of two disks whose snapshots run, or are completed, since an hour."""
    made = [record(device, **facts) for device, facts in zip((DATA, ROOT), copies, strict=False)]
    return seen(root_volume(), data_volume(), records=made)


PENDING = {"state": "pending"}


class TestAStart:
    def test_of_a_parked_instance_makes_its_disks_first(self) -> None:
        assert start_of(parked()) == ("making", 0, 2, None)

    def test_counts_the_disks_that_are_made(self) -> None:
        data, root = records()
        half = (restored(data), restored(root, state="creating"))

        assert start_of(seen(*half, records=(data, root))) == ("making", 1, 2, None)

    def test_attaches_them_once_all_are_made(self) -> None:
        data, root = records()
        made = (restored(data, attachment(DATA)), restored(root))

        assert start_of(seen(*made, records=(data, root))) == ("attaching", 1, 2, None)

    def test_counts_no_disk_that_stayed_attached(self) -> None:
        """With ParkVolumes=root the data volume is never parked."""
        root = record(ROOT, part=1, parts=1, confirmed_at=MARKED)

        assert start_of(seen(data_volume(), records=[root])) == ("making", 0, 1, None)
        assert start_of(seen(data_volume(), restored(root), records=[root])) == ("attaching", 0, 1, None)

    def test_whose_disks_are_all_there_boots(self) -> None:
        whole = seen(root_volume(), data_volume())

        assert start_of(whole) == ("booting", 2, 2, None)
        assert start_of(change(whole, state="pending", launch_time=NOW)) == ("booting", 2, 2, None)

    def test_during_a_parking_puts_the_disks_back(self) -> None:
        assert start_of(given_up()) == ("attaching", 1, 2, None)

    def test_after_the_commit_waits_for_its_end(self) -> None:
        committed = seen(in_transit(data_volume()), records=records())

        assert start_of(committed) == ("waiting", 0, 2, None)

    def test_without_capacity_says_when_it_is_tried_again(self) -> None:
        asked = {"start_requested": NOW - timedelta(minutes=2), "capacity_refused_at": NOW - timedelta(minutes=1)}

        assert start_of(seen(records=records(**asked))) == ("waiting", 0, 2, 0)
        asked["capacity_refused_at"] = NOW - timedelta(seconds=20)
        assert start_of(seen(records=records(**asked))) == ("waiting", 0, 2, 80)

    def test_from_the_archive_takes_three_days_from_the_request_on_at_most(self) -> None:
        data, root = records()
        away = seen(records=(data, replace(root, archived=True)))

        assert start_of(away) == ("thawing", 1, 2, 72 * 3600)
        assert start_of(replace(away, since={"snap-root": NOW - HOUR})) == ("thawing", 1, 2, 71 * 3600)

    def test_goes_through_its_steps(self, stand: Stand) -> None:
        instance_id, steps = stand.parked(), list[str]()

        def peek(call: Call) -> None:
            if not call.operation.startswith("Describe"):
                found = observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id]
                shown = status(found, SETTINGS, stand.clock.now())
                steps.append(shown["progress"]["step"] if shown["progress"] else shown["state"])

        stand.start_pass(faults=peek).start(instance_id)

        assert list(dict.fromkeys(steps[1:])) == ["making", "attaching", "booting"]

    def test_is_told_with_the_answer_that_accepts_it(self, stand: Stand, functions: Functions) -> None:
        stand.parked(name="db")
        answer = functions.post("db", "start")

        assert (answer.status, answer.body["state"]) == (202, "starting")
        assert answer.body["progress"]["step"] in ("making", "attaching", "booting")
        assert answer.body["progress"]["disks"] == 2


class TestAParking:
    def test_that_has_not_begun_to_copy_does_not_know_how_long_that_takes(self) -> None:
        assert parking_of(seen(root_volume(), data_volume())) == ("copying", 0, 2, None)

    @pytest.mark.parametrize(
        ("copies", "done", "left"),
        [
            (({"progress": "25%"} | PENDING, {"progress": "75%"} | PENDING), 0, 3 * 3600),
            (({"progress": "50%"} | PENDING, {}), 1, 3600),
            (({"progress": "0%"} | PENDING, {"progress": "75%"} | PENDING), 0, None),
            (({"progress": ""} | PENDING, {}), 1, None),
            (({"progress": "many"} | PENDING, {}), 1, None),
            (({"progress": "50%"} | PENDING,), 0, None),
            (({}, {}), 2, None),
        ],
    )
    def test_takes_as_long_again_for_as_much(self, copies: Any, done: int, left: int | None) -> None:
        assert parking_of(copying(*copies)) == ("copying", done, 2, left)

    def test_counts_the_last_attempt_only(self) -> None:
        older = [record(d, snapshot_id=f"{d}-old", generation="older", started=TAKEN - HOUR) for d in (DATA, ROOT)]
        again = record(DATA, state="pending", progress="50%")

        assert parking_of(seen(root_volume(), data_volume(), records=[*older, again])) == ("copying", 0, 2, None)

    def test_holds_for_one_lock_period_before_anything_is_deleted(self) -> None:
        passed = NOW - MARKED
        recent = replace(SETTINGS, quiet_period=passed)

        assert told(of_parking(given_up(), recent, NOW)) == ("holding", 0, 2, 60)
        assert parking_of(given_up()) == ("holding", 0, 2, 0)

    def test_removes_the_disks_in_the_end(self) -> None:
        assert parking_of(seen(in_transit(data_volume()), records=records())) == ("removing", 1, 2, None)

    def test_counts_no_disk_that_is_still_being_removed(self) -> None:
        leaving = in_transit(volume("vol-root", state="deleting"))

        assert parking_of(seen(leaving, in_transit(data_volume()), records=records())) == ("removing", 0, 2, None)


class TestAnInstanceThatGoesNowhere:
    @pytest.mark.parametrize("s", [parked(), change(seen(root_volume()), state="running"), seen()])
    def test_shows_no_progress(self, s: Observation) -> None:
        assert status(s, SETTINGS, NOW)["progress"] is None


def test_every_step_is_in_the_document_of_the_api() -> None:
    assert all(f'"{step}"' in page.openapi() for step in ProgressStep)
