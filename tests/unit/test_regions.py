"""One deployment that looks after several regions: nothing of one region is mixed up with another, lost by another, or
delayed by another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from park_volumes.aws.errors import Ec2Error
from park_volumes.core import prices, tags
from park_volumes.core.environment import MissingSetting
from park_volumes.core.settings import Settings
from park_volumes.handlers import wake
from park_volumes.handlers.messages import LOOK_AGAIN
from park_volumes.overview import LOST, MONTHLY, TWO_AT_WORK, of_two_at_work
from park_volumes.report import Kind
from tests.model import judge
from tests.model.faults import Call, Fault
from tests.model.records import Message
from tests.unit.facts import SETTINGS
from tests.unit.functions import (
    QUEUE_URL,
    REMINDER,
    SWEEP,
    SWEEP_STARTS,
    Functions,
    Reply,
    failed_start,
    path_of,
    sqs_record,
    start_requested,
    state_change,
    url_event,
)
from tests.unit.passes import Stand
from tests.unit.test_report import TOPIC

HOME, AWAY, THIRD = "us-east-1", "eu-west-1", "ap-northeast-2"
OTHERS = [f"xx-test-{n}" for n in range(1, 17)]


@pytest.fixture
def away(functions: Functions) -> Stand:
    (stand,) = functions.covers(AWAY)
    return stand


def query(functions: Functions, method: str, path: str, **parameters: str) -> Reply:
    return Reply.of(functions.start(url_event(method, path) | {"queryStringParameters": parameters}))


def at_its_minute(functions: Functions) -> None:
    """When a sweep is due."""
    functions.stand.after(300 - functions.stand.world.clock.now % 300)


def parked(stand: Stand) -> bool:
    return not list(stand.world.volumes.current())


class TestParking:
    def test_elsewhere_needs_no_events(self, functions: Functions, away: Stand) -> None:
        instance_id = away.launch()
        away.stop(instance_id)
        functions.live_with_sweeps(15)

        assert parked(away)
        assert judge.problems(away.world) == []
        assert functions.reported() == [(Kind.PARKED, instance_id)]

    def test_elsewhere_goes_on_every_minute(self, functions: Functions, away: Stand) -> None:
        """A snapshot is noticed within a minute after it is completed, and the lock is over within minutes."""
        away.stopped()
        functions.live_with_sweeps(5)
        began = functions.stand.clock.now()
        while not parked(away):
            functions.live_with_sweeps(1)

        assert (functions.stand.clock.now() - began).total_seconds() <= 8 * 60

    def test_elsewhere_is_looked_at_as_soon_as_somebody_wakes_the_function(
        self, functions: Functions, away: Stand
    ) -> None:
        instance_id = away.stopped()
        away.step(instance_id)
        functions.park({"source": wake.SOURCE, "detail-type": wake.WAKE, "detail": {"last": False, "region": AWAY}})

        assert [(delay, body["detail"]["instance-ids"]) for delay, body in functions.sent()] == [(0, [instance_id])]

    def test_in_both_regions_at_once_leaves_each_with_its_own(
        self, stand: Stand, functions: Functions, away: Stand
    ) -> None:
        ids = {HOME: stand.launch(name="a"), AWAY: away.launch(name="b")}
        stand.owner.stop_instances(InstanceIds=[ids[HOME]])
        away.owner.stop_instances(InstanceIds=[ids[AWAY]])
        functions.live_with_sweeps(20)

        assert parked(stand)
        assert parked(away)
        assert sorted(functions.reported()) == sorted((Kind.PARKED, i) for i in ids.values())
        assert [judge.problems(s.world) for s in (stand, away)] == [[], []]

    def test_elsewhere_begins_at_once_where_events_are_forwarded(self, functions: Functions, away: Stand) -> None:
        functions.forwarding.add(AWAY)
        away.owner.stop_instances(InstanceIds=[away.launch()])
        functions.live(600)

        assert parked(away)

    def test_nothing_happens_in_a_region_that_is_not_covered(self, functions: Functions, away: Stand) -> None:
        instance_id = away.stopped()
        body = state_change(instance_id, "stopped") | {"region": THIRD}

        assert functions.park(body) == []
        assert away.world.calls == 1  # of the owner, who has stopped it

    @pytest.mark.parametrize("region", ["eu-west-1.example.com/", "", 5, "EU-WEST-1", "a" * 300])
    @pytest.mark.usefixtures("away")
    def test_the_name_of_a_region_has_a_form(self, functions: Functions, region: Any) -> None:
        """It becomes part of an address. An empty one is none."""
        body = {"detail-type": LOOK_AGAIN, "detail": {"instance-ids": ["i-0123456789abcdef0"], "region": region}}

        assert functions.park(body) == ([] if region == "" else ["m0"])

    def test_a_message_of_the_version_before_is_about_the_home_region(self, stand: Stand, functions: Functions) -> None:
        functions.covers(AWAY)
        instance_id = stand.stopped()
        stand.after(130)
        functions.park({"detail-type": LOOK_AGAIN, "detail": {"instance-ids": [instance_id], "looks": 1}})

        assert len(list(stand.world.snapshots.current())) == 2

    def test_messages_of_one_region_come_back_without_the_others(
        self, stand: Stand, functions: Functions, away: Stand
    ) -> None:
        here, there = stand.stopped(name="a"), away.stopped(name="b")
        away.world.on_call = _breaks
        messages = [state_change(here, "stopped"), state_change(there, "stopped") | {"region": AWAY}]

        assert functions.park(*messages) == ["m1"]
        assert len(list(stand.world.snapshots.current())) == 2


def _breaks(operation: str, _: dict[str, Any]) -> None:
    raise RuntimeError(f"nobody foresaw {operation}")


class TestStarting:
    def test_by_its_id_an_instance_is_found_wherever_it_is(self, functions: Functions, away: Stand) -> None:
        instance_id = away.parked()
        reply = functions.post(instance_id, "start")

        assert (reply.status, reply.body["id"], reply.body["region"]) == (202, instance_id, AWAY)
        functions.live(120)
        assert away.instance(instance_id).state == "running"

    def test_in_the_home_region_an_instance_is_found_before_anybody_asks_which_others_there_are(
        self, stand: Stand, functions: Functions
    ) -> None:
        (away,) = functions.covers(AWAY, every=True)
        instance_id, asked = stand.parked(), list[str]()
        stand.world.on_call = lambda operation, _: asked.append(operation)

        assert functions.post(instance_id, "start").status == 202
        assert "DescribeRegions" not in asked
        assert away.world.calls == 0

    def test_by_its_id_in_a_region_that_is_named_no_other_is_asked(
        self, stand: Stand, functions: Functions, away: Stand
    ) -> None:
        instance_id, before = away.parked(), stand.world.calls

        assert query(functions, "GET", path_of(instance_id), region=AWAY).status == 200
        assert stand.world.calls == before
        assert query(functions, "GET", path_of(instance_id), region=HOME).status == 404

    def test_by_its_name_too(self, functions: Functions, away: Stand) -> None:
        instance_id = away.parked(name="shop")

        assert functions.get("shop").body["id"] == instance_id
        assert functions.post("shop", "start").status == 202

    def test_a_name_in_two_regions_is_ambiguous_and_the_answer_lists_both(
        self, stand: Stand, functions: Functions, away: Stand
    ) -> None:
        here, there = stand.launch(name="shop"), away.launch(name="shop")
        reply = functions.post("shop", "start")

        assert (reply.status, reply.code) == (409, "ambiguous")
        assert f"{here} in {HOME}" in reply.message
        assert f"{there} in {AWAY}" in reply.message
        assert query(functions, "GET", path_of("shop"), region=AWAY).body["id"] == there

    def test_goes_on_by_itself_and_is_settled_there(self, functions: Functions, away: Stand) -> None:
        """The request names no region; the sweeps of the start side that follow do."""
        instance_id = away.parked()
        functions.start(start_requested(instance_id), seconds=4)
        assert away.instance(instance_id).state == "stopped"
        functions.live_with_sweeps(6)

        assert away.instance(instance_id).state == "running"
        assert judge.problems(away.world) == []
        assert (Kind.STARTED, instance_id) in functions.reported()

    def test_of_many_at_once_each_region_does_its_part(self, stand: Stand, functions: Functions, away: Stand) -> None:
        here, there = stand.parked(name="a"), away.parked(name="b")
        functions.start(start_requested(here, there))
        functions.live(120)

        assert stand.instance(here).state == away.instance(there).state == "running"

    def test_that_ec2_refused_elsewhere_is_followed_there(self, functions: Functions, away: Stand) -> None:
        instance_id = away.parked()
        away.after(60)
        functions.start(failed_start(instance_id, at=away.clock.now(), awsRegion=AWAY))
        functions.live(120)

        assert away.instance(instance_id).state == "running"

    def test_that_ec2_refused_in_a_region_that_is_not_covered_is_nobodys_business(self, functions: Functions) -> None:
        functions.covers(AWAY)

        assert functions.start(failed_start("i-12345678", at=functions.stand.clock.now(), awsRegion=THIRD)) == {}

    def test_the_sweep_of_the_start_side_is_of_the_region_that_asks(
        self, stand: Stand, functions: Functions, away: Stand
    ) -> None:
        before = stand.world.calls
        functions.start(SWEEP_STARTS | {"detail": {"deployment": "park-volumes", "region": AWAY}})

        assert away.world.calls == 2
        assert stand.world.calls == before

    def test_the_hourly_one_looks_at_other_regions_four_times_a_day(self, functions: Functions, away: Stand) -> None:
        looked = []
        for _ in range(24):
            before = away.world.calls
            functions.start(SWEEP)
            looked.append(away.world.calls > before)
            functions.stand.after(3600)

        assert sum(looked) == 4
        functions.start(REMINDER)
        assert away.world.calls > before


class TestAnswers:
    def test_show_the_region_of_each_instance(self, stand: Stand, functions: Functions, away: Stand) -> None:
        here, there = stand.launch(name="a"), away.launch(name="b")
        body = functions.get().body

        assert [(i["id"], i["region"]) for i in body["instances"]] == [(here, HOME), (there, AWAY)]
        assert body["place"]["region"] == HOME
        assert body["regions_unavailable"] == []
        assert body["total"]["size_gib"] == 264

    def test_can_be_of_one_region(self, stand: Stand, functions: Functions, away: Stand) -> None:
        stand.launch(name="a")
        there = away.launch(name="b")
        body = query(functions, "GET", "/instances", region=AWAY).body

        assert [i["id"] for i in body["instances"]] == [there]

    @pytest.mark.usefixtures("away")
    def test_name_the_covered_regions_to_whoever_asks_for_another(self, functions: Functions) -> None:
        reply = query(functions, "GET", "/instances", region=THIRD)

        assert (reply.status, reply.code) == (404, "unknown_region")
        assert reply.message == f"region is {THIRD!r}: this deployment covers {HOME}, {AWAY}."

    def test_of_savings_have_a_row_for_each_and_one_total(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (third,) = functions.covers(THIRD)
        monkeypatch.setenv("PRICES", '{"gp3": 1.0, "snapshot": 0.5}')
        stand.parked(name="a")
        third.parked(name="b")
        third.owner.terminate_instances(InstanceIds=[third.parked(name="c")])
        third.after(4000)
        body = query(functions, "GET", "/savings").body
        saved = [row["saved"] for row in body["instances"]]

        assert [row["region"] for row in body["instances"]] == [HOME, THIRD]
        assert body["total"]["saved"] == pytest.approx(sum(saved), abs=0.011)
        assert {row["region"] for row in body["orphans"]} == {THIRD}
        assert body["prices"]["of"]["gp3"] == body["prices"]["of_region"][HOME]["gp3"] == 1.0
        assert body["prices"]["of_region"][THIRD] == prices.BY_REGION[THIRD]
        text = functions.start(url_event("GET", "/savings") | {"queryStringParameters": {"format": "csv"}})["body"]
        assert [line.split(",")[-1] for line in text.splitlines()] == ["region", HOME, THIRD, ""]


class TestARegionThatIsLost:
    """Denied by a policy, or silent."""

    @pytest.fixture(params=["denied", "silent"])
    def lost(self, functions: Functions, away: Stand, request: pytest.FixtureRequest) -> Stand:
        getattr(functions, request.param).add(AWAY)
        return away

    @pytest.mark.usefixtures("lost")
    def test_keeps_no_other_from_parking(self, stand: Stand, functions: Functions) -> None:
        stand.owner.stop_instances(InstanceIds=[stand.launch()])
        functions.live_with_sweeps(15)

        assert parked(stand)

    @pytest.mark.usefixtures("lost")
    def test_keeps_no_instance_elsewhere_from_starting(self, functions: Functions) -> None:
        (third,) = functions.covers(THIRD)
        instance_id = third.parked(name="shop")

        assert functions.post(instance_id, "start").status == 202
        functions.live(60)
        assert functions.get("shop").body["region"] == THIRD

    @pytest.mark.usefixtures("lost")
    def test_is_named_in_a_list_and_where_an_instance_is_not_found(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        body = functions.get().body
        unknown = functions.post("i-0123456789abcdef0", "start")

        assert len(body["instances"]) == 1
        assert [one["region"] for one in body["regions_unavailable"]] == [AWAY]
        assert "DescribeInstances failed" in body["regions_unavailable"][0]["why"]
        assert unknown.status == 404
        assert f"{AWAY} could not be asked: DescribeInstances failed" in unknown.message

    @pytest.mark.usefixtures("lost")
    def test_fails_a_start_that_a_schedule_asks_for_and_names_the_region(self, functions: Functions) -> None:
        with pytest.raises(Exception, match=f"no such instance exists here. {AWAY} could not be asked"):
            functions.start(start_requested("i-0123456789abcdef0"))

    def test_is_told_once_when_it_is_lost_and_then_daily(
        self, functions: Functions, away: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        functions.stay_warm()
        away.launch()
        functions.park(SWEEP)
        functions.denied.add(AWAY)
        functions.live_with_sweeps(60)
        assert [m["subject"] for m in functions.messages] == [LOST]
        assert functions.messages[0]["message"].startswith(f"{AWAY} cannot be reached: DescribeInstances failed")

        functions.park(REMINDER)
        assert [m["subject"] for m in functions.messages].count(LOST) == 2

        functions.denied.clear()
        functions.live_with_sweeps(10)
        functions.denied.add(AWAY)
        functions.live_with_sweeps(10)
        assert [m["subject"] for m in functions.messages].count(LOST) == 3

    def test_is_left_alone_between_the_sweeps(self, functions: Functions, lost: Stand) -> None:
        functions.stay_warm()
        functions.get()
        before = lost.world.calls
        functions.get()
        assert lost.world.calls == before

        functions.stand.after(300)
        functions.get()
        assert lost.world.calls > before

    def test_is_asked_after_all_where_an_instance_is_in_none_of_the_others(
        self, functions: Functions, away: Stand
    ) -> None:
        functions.stay_warm()
        functions.silent.add(AWAY)
        instance_id = away.launch(name="shop")
        functions.get()
        functions.silent.clear()

        assert functions.get(instance_id).status == 200
        assert functions.get("shop").status == 200

    def test_is_not_asked_where_the_instance_is_in_another(
        self, stand: Stand, functions: Functions, away: Stand
    ) -> None:
        functions.stay_warm()
        functions.silent.add(AWAY)
        stand.launch(name="shop")
        functions.get()
        functions.silent.clear()
        before = away.world.calls

        assert functions.get("shop").status == 200
        assert away.world.calls == before

    def test_is_named_beside_one_that_does_not_answer_now(self, functions: Functions, away: Stand) -> None:
        functions.covers(AWAY, THIRD)
        functions.stay_warm()
        functions.silent.add(AWAY)
        functions.get()
        functions.denied.add(THIRD)
        away.launch()
        unknown = functions.get("i-0123456789abcdef0")

        assert unknown.status == 404
        assert all(f"{name} could not be asked" in unknown.message for name in (AWAY, THIRD))

    @pytest.mark.usefixtures("lost")
    def test_from_the_start_is_told_with_the_reminder_and_not_by_every_new_function(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        functions.park(SWEEP)
        assert functions.messages == []

        functions.park(REMINDER)
        assert [m["subject"] for m in functions.messages].count(LOST) == 1

    def test_is_looked_at_again_once_it_answers(self, functions: Functions, lost: Stand) -> None:
        lost.launch()
        functions.park(SWEEP)
        functions.denied.clear()
        functions.silent.clear()
        lost.owner.stop_instances(InstanceIds=[i.id for i in lost.world.instances.current()])
        functions.live_with_sweeps(20)

        assert parked(lost)

    @pytest.mark.usefixtures("lost")
    def test_gets_no_second_delivery_of_a_forwarded_event(self, functions: Functions) -> None:
        assert functions.park(state_change("i-0123456789abcdef0", "stopped") | {"region": AWAY}) == []

    @pytest.mark.usefixtures("lost")
    def test_gets_no_second_delivery_of_a_wake(self, functions: Functions) -> None:
        body = {"source": wake.SOURCE, "detail-type": wake.WAKE, "detail": {"last": False, "region": AWAY}}
        assert functions.park(body) == []

    @pytest.mark.usefixtures("lost")
    def test_fails_no_sweep_of_its_starts(self, functions: Functions) -> None:
        """Lambda would try it twice more, and an alarm would tell of a function that fails."""
        detail = {"deployment": "park-volumes", "region": AWAY}
        assert functions.start(SWEEP_STARTS | {"detail": detail}) == {}


class TestARegionWhereSomethingElseIsDenied:
    """It can be looked at, and its messages come back like those of the home region, until that ends or is told."""

    def test_is_not_lost(self, functions: Functions, away: Stand) -> None:
        instance_id = away.stopped()
        away.step(instance_id)
        away.after(130)
        functions.faults = _denies_locks
        message = state_change(instance_id, "stopped") | {"region": AWAY}

        with pytest.raises(Ec2Error, match="DescribeLockedSnapshots"):
            functions.park(message)
        assert [one["region"] for one in functions.get().body["regions_unavailable"]] == [AWAY]
        functions.faults = None
        assert functions.get().body["regions_unavailable"] == []
        assert functions.park(message) == []


class TestTheHomeRegion:
    def test_that_does_not_answer_keeps_no_other_from_starting(self, functions: Functions, away: Stand) -> None:
        functions.silent.add(HOME)
        instance_id = away.parked()

        assert functions.post(instance_id, "start").status == 202
        assert functions.get().body["regions_unavailable"][0]["region"] == HOME

    def test_gets_its_messages_again(self, stand: Stand, functions: Functions, away: Stand) -> None:
        functions.silent.add(HOME)
        here, there = stand.launch(name="a"), away.stopped(name="b")
        away.after(130)
        messages = [state_change(here, "stopped"), state_change(there, "stopped") | {"region": AWAY}]

        assert functions.park(SWEEP, *messages) == ["m0", "m1"]
        assert len(list(away.world.snapshots.current())) == 2

    @pytest.mark.usefixtures("away")
    def test_that_does_not_answer_when_nothing_else_is_to_be_done_is_an_error_of_the_function(
        self, stand: Stand, functions: Functions
    ) -> None:
        functions.silent.add(HOME)

        with pytest.raises(Ec2Error):
            functions.park(state_change(stand.launch(), "stopped"))

    def test_alone_answers_with_its_error_as_ever(self, functions: Functions) -> None:
        functions.silent.add(HOME)

        assert functions.get().status == 502


class TestEveryRegion:
    def test_is_covered_that_the_account_has_enabled(self, functions: Functions) -> None:
        away, third = functions.covers(AWAY, THIRD, every=True)
        ids = {away.launch(name="a"), third.launch(name="b")}

        assert {i["id"] for i in functions.get().body["instances"]} == ids

    def test_is_asked_for_once_an_hour(self, stand: Stand, functions: Functions) -> None:
        functions.covers(AWAY, every=True)
        functions.stay_warm()
        asked: list[str] = []
        stand.world.on_call = lambda operation, _: asked.append(operation)
        functions.live_with_sweeps(120)

        assert asked.count("DescribeRegions") == 2

    def test_that_was_enabled_before_stays_covered_while_that_cannot_be_asked(self, functions: Functions) -> None:
        (away,) = functions.covers(AWAY, every=True)
        functions.stay_warm()
        instance_id = away.launch()
        functions.get()
        functions.stand.after(7200)
        functions.faults = _denies_the_list

        assert [i["id"] for i in functions.get().body["instances"]] == [instance_id]

    def test_is_none_but_the_home_region_while_nothing_is_known(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        functions.covers(AWAY, every=True)
        functions.faults = _denies_the_list
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        instance_id = stand.launch()
        assert [i["id"] for i in functions.get().body["instances"]] == [instance_id]

        functions.park(SWEEP)
        assert functions.messages == []

        functions.park(REMINDER)
        (message,) = (m for m in functions.messages if m["subject"] == LOST)
        assert "so only the home region is looked at: DescribeRegions failed" in message["message"]

    def test_that_is_empty_is_looked_at_every_half_hour_with_one_call(self, functions: Functions) -> None:
        empty = functions.covers(*OTHERS, every=True)
        functions.stay_warm()
        functions.park(SWEEP)
        before = sum(stand.world.calls for stand in empty)
        functions.live_with_sweeps(120)

        assert sum(stand.world.calls for stand in empty) - before == 4 * len(empty)

    def test_that_was_empty_is_looked_at_with_every_sweep_once_something_is_opted_in(
        self, functions: Functions
    ) -> None:
        (away,) = functions.covers(AWAY, every=True)
        functions.stay_warm()
        functions.park(SWEEP)
        away.owner.stop_instances(InstanceIds=[away.launch()])
        functions.live_with_sweeps(45)

        assert parked(away)


def _denies_locks(call: Call) -> Fault | None:
    return Fault.DENIED if call.operation == "DescribeLockedSnapshots" else None


def _denies_the_list(call: Call) -> Fault | None:
    return Fault.DENIED if call.operation == "DescribeRegions" else None


class TestReports:
    def test_name_the_region_and_link_to_its_console(
        self, functions: Functions, away: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        instance_id = away.launch()
        away.stop(instance_id)
        functions.live_with_sweeps(15)
        (event,) = functions.events
        told, (message,) = json.loads(event["Detail"]), functions.messages

        assert event["Resources"] == [f"arn:aws:ec2:{AWAY}:123456789012:instance/{instance_id}"]
        assert (told["version"], told["region"]) == ("1", AWAY)
        assert told["what"].startswith(f"In {AWAY}: {instance_id} is parked")
        assert told["console"].startswith(f"https://{AWAY}.console.aws.amazon.com/ec2/home?region={AWAY}")
        assert f"In {AWAY}: {instance_id} is parked" in message["message"]

    @pytest.mark.usefixtures("away")
    def test_of_the_home_region_say_only_which_it_is(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()
        stand.stop(instance_id)
        functions.live_with_sweeps(15)
        told = json.loads(functions.events[0]["Detail"])

        assert told["region"] == HOME
        assert told["what"].startswith(f"{instance_id} is parked")

    def test_of_the_month_is_one_for_all_regions(
        self, stand: Stand, functions: Functions, away: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        stand.parked()
        away.parked()
        away.launch(name="b")
        functions.park(REMINDER)
        (message,) = (m for m in functions.messages if m["subject"] == MONTHLY)

        assert message["message"].startswith("Opted-in instances that are parked: 2 of 3, with 264 GiB of volumes.")

    def test_of_a_day_name_the_region_of_what_is_damaged_there(
        self, functions: Functions, away: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        instance_id = away.parked()
        requested = {"Key": tags.START_REQUESTED, "Value": "2099-01-01T00:00:00+00:00"}
        ids = [s.id for s in away.world.snapshots.current()]
        away.owner.create_tags(Resources=ids, Tags=[requested])
        functions.park(REMINDER)
        (event,) = (json.loads(e["Detail"]) for e in functions.events if e["DetailType"] == Kind.DAMAGED)

        assert (event["instance-id"], event["region"]) == (instance_id, AWAY)

    def test_in_numbers_are_sums_and_the_greatest_age(
        self, stand: Stand, functions: Functions, away: Stand, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stand.parked()
        away.parked()
        away.ready(away.stopped(name="b"))
        capsys.readouterr()
        functions.park(SWEEP)
        (told,) = (json.loads(line) for line in capsys.readouterr().out.splitlines() if "ParkedGiB" in line)

        assert told["ParkedGiB"] == [264.0]
        assert told["TransitAge"][0] > 0
        assert "MonthlySaving" not in told  # no prices are known of the other region


class TestRegionsByName:
    @pytest.mark.parametrize("names", ["eu-west-1 nowhere!", "ALL", "all eu-west-1", "https://eu-west-1"])
    def test_are_read_when_the_function_is_loaded(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, names: str
    ) -> None:
        monkeypatch.setenv("REGIONS", names)

        with pytest.raises(MissingSetting, match="REGIONS"):
            functions.load("park")

    def test_that_name_the_home_region_name_nothing_new(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REGIONS", HOME)
        stand.launch()

        assert len(functions.get().body["instances"]) == 1


class TestAFullQueue:
    def test_has_what_was_on_its_way_elsewhere_looked_at_all_the_same(self, functions: Functions, away: Stand) -> None:
        functions.stay_warm()
        away.ready(away.stopped())
        at_its_minute(functions)
        functions.park(SWEEP)
        functions.stand.after(300)
        world = functions.stand.world
        world.messages = [Message(f"m-{n}", QUEUE_URL, "{}", world.clock.now) for n in range(500)]
        functions.park(SWEEP)
        added = [json.loads(message.body)["detail"] for message in world.messages[500:]]

        assert {detail.get("region", HOME) for detail in added} == {HOME, AWAY}

    def test_gets_what_is_on_its_way_elsewhere_once_per_sweep(self, functions: Functions, away: Stand) -> None:
        """A wake comes every minute, and second messages about the same instances would hold up all others."""
        functions.stay_warm()
        away.ready(away.stopped())

        assert self.looks(functions) == [1, 1, 1, 1, 1, 2]

    def test_gets_nothing_more_while_it_brings_messages_about_that_region(
        self, functions: Functions, away: Stand
    ) -> None:
        functions.stay_warm()
        away.ready(away.stopped())
        other = state_change("i-0123456789abcdef0", "stopped") | {"region": AWAY}

        assert self.looks(functions, other) == [1, 1, 1, 1, 1, 1]

    def looks(self, functions: Functions, *others: Mapping[str, Any]) -> list[int]:
        """How many messages have been sent after each wake, one a minute, beside the ``others``."""
        world = functions.stand.world
        world.messages = [Message(f"m-{n}", QUEUE_URL, "{}", world.clock.now) for n in range(500)]
        body = {"source": wake.SOURCE, "detail-type": wake.WAKE, "detail": {"last": False, "region": AWAY}}
        counts = []
        for _ in range(6):
            functions.park(body, *others)
            counts.append(sum(LOOK_AGAIN in message.body for message in world.messages))
            functions.stand.after(60)
        return counts


class TestWakes:
    def test_name_the_region_that_is_to_be_looked_at(self, functions: Functions, away: Stand) -> None:
        away.ready(away.stopped())
        at_its_minute(functions)
        functions.park(SWEEP)

        assert {body["detail"].get("region") for _, body in functions.sent(wake.WAKE)} == {AWAY}
        assert [json.loads(e["Detail"])["region"] for e in functions.asked] == [AWAY]

    @pytest.mark.usefixtures("away")
    def test_of_the_home_region_name_none(self, stand: Stand, functions: Functions) -> None:
        stand.ready(stand.stopped())
        at_its_minute(functions)
        functions.park(SWEEP)

        assert {tuple(body["detail"]) for _, body in functions.sent(wake.WAKE)} == {("last",)}

    @pytest.mark.usefixtures("away")
    def test_of_two_regions_in_one_batch_are_both_done(self, functions: Functions) -> None:
        said = {"source": wake.SOURCE, "detail-type": wake.WAKE}
        functions.park(said | {"detail": {"last": False}}, said | {"detail": {"last": False, "region": AWAY}})

        assert sorted(json.loads(e["Detail"]).get("region", "") for e in functions.asked) == ["", AWAY]


OLD = replace(SETTINGS, deployment="old")


class TestOneModulePerRegionBecomesOneForAll:
    """Of the same name, or of another one with ``previous_names``."""

    @pytest.fixture(params=["the same name", "another name"])
    def old(
        self, functions: Functions, away: Stand, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Stand:
        """What the module of the other region did there."""
        if request.param == "another name":
            away.settings = OLD
            monkeypatch.setenv("PREVIOUS_NAMES", "old")
        functions.events.clear()
        return away

    def test_and_starts_what_the_old_one_has_parked(self, functions: Functions, old: Stand) -> None:
        instance_id = old.parked(name="shop")
        functions.live_with_sweeps(10)

        assert functions.post("shop", "start").status == 202
        functions.live_with_sweeps(6)
        assert old.instance(instance_id).state == "running"
        assert judge.problems(old.world) == []

    def test_and_parks_to_the_end_what_the_old_one_began(self, functions: Functions, old: Stand) -> None:
        old.rootless()
        functions.live_with_sweeps(15)

        assert parked(old)
        assert judge.problems(old.world) == []

    def test_while_both_are_at_work_nothing_is_lost(self, functions: Functions, old: Stand) -> None:
        """An instance stops; the old one gets the event, the new one finds it, and each goes on with what there is."""
        instance_id = old.stopped(name="shop")
        before = old.instance(instance_id).devices
        for _ in range(12):
            old.step(instance_id)
            functions.live_with_sweeps(1)
        assert judge.problems(old.world) == []
        assert functions.post("shop", "start").status in (200, 202)
        for _ in range(3):
            old.try_way_back(instance_id)
            functions.live_with_sweeps(2)

        assert old.instance(instance_id).state == "running"
        assert {d.device for d in old.instance(instance_id).devices} == {d.device for d in before}
        assert judge.problems(old.world) == []

    @pytest.mark.parametrize(
        ("other", "who"),
        [
            (OLD, "The deployment old has taken snapshots"),
            (SETTINGS, f"Another deployment with the name {SETTINGS.deployment}"),
        ],
        ids=["another name", "the same name"],
    )
    def test_two_at_work_are_told_at_once_and_not_with_every_sweep(
        self, functions: Functions, away: Stand, monkeypatch: pytest.MonkeyPatch, other: Settings, who: str
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        monkeypatch.setenv("PREVIOUS_NAMES", "old")
        functions.stay_warm()
        away.settings = replace(SETTINGS, home=HOME)
        away.parked(name="ours")
        away.after(1200)
        away.settings = other
        away.parked(name="theirs")
        functions.live_with_sweeps(30)
        (told,) = (m for m in functions.messages if m["subject"] == TWO_AT_WORK)

        assert told["message"].startswith(who)
        assert AWAY in told["message"]

    @pytest.mark.parametrize("began", [AWAY, HOME])
    def test_two_of_the_same_name_are_told_at_once_by_both(self, away: Stand, began: str) -> None:
        """Whichever came first: the one that is at home there, or the one of another home region."""
        of_all = replace(SETTINGS, home=HOME)
        first, second = (SETTINGS, of_all) if began == AWAY else (of_all, SETTINGS)
        away.settings = first
        away.parked(name="earlier")
        away.after(1200)
        away.settings = second
        away.parked(name="later")
        away.after(1200)
        away.settings = first
        away.parked(name="later still")
        told = {s.home: of_two_at_work(away.fleet(), s, away.clock.now(), daily=False) for s in (first, second)}

        assert told[""].startswith(
            f"Another deployment with the name {SETTINGS.deployment}, whose home region is {HOME}, has taken"
        )
        assert told[HOME].startswith(
            f"Another deployment with the name {SETTINGS.deployment}, whose home region is this one, has taken"
        )

    def test_where_a_snapshot_comes_from_is_written_only_elsewhere(self, functions: Functions, away: Stand) -> None:
        functions.stand.stopped(name="here")
        away.stopped(name="there")
        functions.live_with_sweeps(30)
        of = {
            s.id: s.tags.get(tags.HOME)
            for world in (functions.stand.world, away.world)
            for s in world.snapshots.current()
        }

        assert parked(away)
        assert sorted(map(str, of.values())) == ["None", "None", HOME, HOME]

    @pytest.mark.parametrize("old", [OLD, SETTINGS], ids=["another name", "the same name"])
    def test_a_takeover_alone_is_not_told(
        self, functions: Functions, away: Stand, monkeypatch: pytest.MonkeyPatch, old: Settings
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        monkeypatch.setenv("PREVIOUS_NAMES", "old")
        functions.stay_warm()
        away.settings = old
        away.parked(name="theirs")
        away.after(60)
        away.settings = replace(SETTINGS, home=HOME)
        away.parked(name="ours")
        functions.live_with_sweeps(30)

        assert TWO_AT_WORK not in [m["subject"] for m in functions.messages]


def test_a_batch_of_both_regions_is_handled_at_once(stand: Stand, functions: Functions, away: Stand) -> None:
    here, there = stand.stopped(name="a"), away.stopped(name="b")
    stand.after(130)
    bodies = [state_change(here, "stopped") | {"region": HOME}, state_change(there, "stopped") | {"region": AWAY}]

    assert functions.park_batch(*(sqs_record(f"m{n}", body) for n, body in enumerate(bodies))) == []
    assert [len(list(s.world.snapshots.current())) for s in (stand, away)] == [2, 2]
