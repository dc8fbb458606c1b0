"""What is reported of a pass, to whom, and how often."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from park_volumes.aws.errors import Ec2Error
from park_volumes.core.facts import Observation
from park_volumes.core.park import park
from park_volumes.core.prices import BY_REGION
from park_volumes.core.steps import Decision, DeleteVolume, UnmarkVolumes, refuse
from park_volumes.handlers import notices
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.notices import Notices
from park_volumes.overview import gauges
from park_volumes.report import Kind, Report, of_parking, of_start
from park_volumes.run.execute import Ending, Result
from park_volumes.run.observe import observe
from tests.model.faults import Call, Fault, at_operation
from tests.unit import facts
from tests.unit.facts import SETTINGS
from tests.unit.functions import (
    REMINDER,
    RULES,
    SWEEP,
    SWEEP_STARTS,
    Bus,
    Functions,
    Trails,
    failed_start,
    sqs_record,
    state_change,
)
from tests.unit.passes import DATA, ROOT, Stand

FALLBACK = SWEEP | {"resources": [f"{RULES}-start-fallback"]}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:park-volumes"


def parked_by_events(stand: Stand, functions: Functions, **facts: Any) -> str:
    instance_id = stand.launch(**facts)
    stand.owner.stop_instances(InstanceIds=[instance_id])
    functions.live(600)
    assert stand.instance(instance_id).devices == ()
    return instance_id


def detail(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event["Detail"])
    return found


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """The metrics in the log, by name; every line must be one that CloudWatch understands."""
    found: dict[str, list[float]] = {}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        if "_aws" not in line:
            continue
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "ParkVolumes"
        assert set(directive["Dimensions"][0]) == {"deployment", "service"}
        assert line["deployment"] == "park-volumes"
        for metric in directive["Metrics"]:
            found.setdefault(metric["Name"], []).extend(line[metric["Name"]])
    return found


class TestParking:
    @pytest.mark.parametrize("disks", [(ROOT,), (ROOT, DATA), (ROOT, DATA, DATA._replace(device="/dev/sdg"))])
    def test_is_reported_once_when_the_last_volume_is_deleted(
        self, stand: Stand, functions: Functions, disks: tuple[Any, ...]
    ) -> None:
        instance_id = stand.launch(*disks)
        stand.owner.stop_instances(InstanceIds=[instance_id])
        functions.live(1200)

        assert functions.reported() == [(Kind.PARKED, instance_id)]

    @pytest.mark.usefixtures("unknown_prices")
    def test_is_reported_with_what_became_of_the_volumes(self, stand: Stand, functions: Functions) -> None:
        instance_id = parked_by_events(stand, functions, name="db")
        (event,) = functions.events
        reported = detail(event)

        assert event["Source"] == "park-volumes"
        assert event["Resources"] == [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}"]
        assert (reported["version"], reported["deployment"], reported["name"]) == ("1", "park-volumes", "db")
        assert reported["what"] == f"{instance_id} is parked: its 2 volumes (132 GiB) became snapshots."
        assert reported["gib"] == 132
        assert reported["snapshot-ids"] == sorted(s.id for s in stand.world.snapshots.current())
        assert 180 <= reported["seconds"] <= 600
        assert reported["console"].endswith(f"#InstanceDetails:instanceId={instance_id}")

    def test_is_not_reported_again_by_whatever_looks_later(self, stand: Stand, functions: Functions) -> None:
        instance_id = parked_by_events(stand, functions)
        for body in (state_change(instance_id, "stopped"), SWEEP, REMINDER):
            functions.park(body)
        functions.start(SWEEP_STARTS)
        functions.start(REMINDER)

        assert functions.reported() == [(Kind.PARKED, instance_id)]

    def test_that_lost_a_race_for_the_last_volume_is_not_reported_yet(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.rootless(ROOT)
        stand.after(200)
        (root,) = (v.id for v in stand.world.volumes.current())

        def somebody_is_quicker(call: Call) -> None:
            if call.operation == "DeleteVolume":
                stand.owner.attach_volume(VolumeId=root, InstanceId=instance_id, Device=ROOT.device)

        functions.faults = somebody_is_quicker
        functions.park(state_change(instance_id, "stopped"))

        assert functions.reported() == []
        assert [v.id for v in stand.world.volumes.current()] == [root]


class TestMoney:
    """In us-east-1 a GiB of gp3 is 0.08, of gp2 0.10, of a snapshot 0.05; of gp3 an IOPS 0.005, a MiB/s 0.04."""

    VOLUMES = 32 * 0.08 + 1000 * 0.005 + 125 * 0.04 + 100 * 0.10

    @pytest.mark.parametrize(("saves", "told"), [(1.23456, 1.23), (-0.005001, -0.01), (None, None)])
    def test_is_reported_to_the_cent(self, saves: float | None, told: float | None) -> None:
        report = Report(kind=Kind.PARKED, observation=facts.seen(), what="", advice="", saves=saves)
        location = FunctionLocation(partition="aws", region="us-east-1", account="123456789012")

        assert notices.detail(report, "park-volumes", location)["usd-a-month"] == told

    def test_that_parking_saves_is_reported(
        self,
        stand: Stand,
        functions: Functions,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        instance_id = parked_by_events(stand, functions)
        (event,) = functions.events
        saves = self.VOLUMES - 132 * 0.05

        assert detail(event)["usd-a-month"] == round(saves, 2)
        assert detail(event)["what"].endswith(f"became snapshots. This saves {saves:.2f} USD a month.")
        capsys.readouterr()
        functions.park(SWEEP)
        assert metrics(capsys)["MonthlySaving"] == [pytest.approx(saves)]
        assert stand.instance(instance_id).devices == ()

    def test_that_parking_costs_is_reported_too(self) -> None:
        of_data, of_root = facts.records(written=2**30)
        last = facts.seen(facts.in_transit(facts.volume("vol-root")), records=(of_data, of_root))
        settings = replace(SETTINGS, prices={"gp3": 0.01, "snapshot": 0.5})
        result = Result(observation=last, decision=park(last, settings, facts.NOW))
        report = of_parking(result, settings, facts.NOW, include_ongoing=False)

        assert report is not None
        assert report.saves == pytest.approx(-0.84)
        assert report.what.endswith("became snapshots. Snapshots cost 0.84 USD a month more than volumes.")

    def test_is_a_bound_until_ec2_says_what_is_written(self) -> None:
        of_data, of_root = facts.records(written=None)
        last = facts.seen(facts.in_transit(facts.volume("vol-root")), records=(of_data, of_root))
        settings = replace(SETTINGS, prices={"gp3": 0.08, "snapshot": 0.05})
        report = of_parking(
            Result(observation=last, decision=park(last, settings, facts.NOW)),
            settings,
            facts.NOW,
            include_ongoing=False,
        )

        assert report is not None
        assert report.what.endswith("became snapshots. This saves at least 0.48 USD a month.")

    @pytest.mark.usefixtures("unknown_prices")
    def test_of_unknown_price_is_not_reported(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parked_by_events(stand, functions)
        (event,) = functions.events
        functions.park(SWEEP)

        assert detail(event)["usd-a-month"] is None
        assert detail(event)["what"].endswith("became snapshots.")
        assert "MonthlySaving" not in metrics(capsys)


class TestARefusal:
    def test_is_reported_when_the_instance_stops(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(state="stopped", facts={"InstanceLifecycle": "spot"})
        functions.park(state_change(instance_id, "stopped"))
        (event,) = functions.events

        assert event["DetailType"] == Kind.PARKING_REFUSED
        assert "It is a Spot Instance" in detail(event)["what"]
        assert "remove the tag ParkVolumes from the instance" in detail(event)["advice"]

    def test_is_not_reported_by_sweeps_and_once_a_day_by_the_reminder(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(state="stopped", facts={"InstanceLifecycle": "spot"})
        for _ in range(5):
            functions.park(SWEEP)
            functions.live(300)
        assert functions.reported() == []
        functions.park(REMINDER)
        functions.live(300)

        assert functions.reported() == [(Kind.PARKING_REFUSED, instance_id)]

    def test_of_what_is_parked_says_that_all_there_is_was_kept(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        lost = next(s.id for s in stand.world.snapshots.current())
        stand.owner.unlock_snapshot(SnapshotId=lost)
        stand.owner.delete_snapshot(SnapshotId=lost)
        functions.park(state_change(instance_id, "stopped"))
        (event,) = functions.events

        assert event["DetailType"] == Kind.PARKING_REFUSED
        assert "no volume is deleted" in detail(event)["what"]
        assert "All existing volumes and snapshots were kept" in detail(event)["advice"]

    def test_of_a_start_is_reported(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        lost = next(s.id for s in stand.world.snapshots.current())
        stand.owner.unlock_snapshot(SnapshotId=lost)
        stand.owner.delete_snapshot(SnapshotId=lost)
        functions.post("db", "start")

        assert functions.reported() == [(Kind.START_REFUSED, instance_id)]
        assert "are missing" in detail(functions.events[0])["what"]

    def test_of_a_start_from_elsewhere_is_reported(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])
        functions.start(failed_start(instance_id, at=stand.clock.now()))

        assert functions.reported() == [(Kind.START_REFUSED, instance_id)]

    def test_of_what_nobody_asked_for_is_none(self, stand: Stand, functions: Functions) -> None:
        strangers = [stand.launch(opt_in="false"), stand.stopped(name="other", opt_in="false")]
        for instance_id in strangers:
            functions.park(state_change(instance_id, "stopped"))
        functions.start(REMINDER)

        assert functions.reported() == []


class TestAFailure:
    def test_is_reported_at_the_first_try_and_not_when_the_message_comes_back(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        functions.faults = at_operation("CreateSnapshot", Fault.DENIED, 99)
        message = sqs_record("m", state_change(instance_id, "stopped"))
        for count in range(1, 6):
            functions.park_batch(message | {"attributes": {"ApproximateReceiveCount": str(count)}})

        assert functions.reported() == [(Kind.PARKING_FAILED, instance_id)]
        assert "CreateSnapshot failed" in detail(functions.events[0])["what"]

    def test_of_a_snapshot_is_reported(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(ROOT)
        functions.faults = at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS)
        stand.owner.stop_instances(InstanceIds=[instance_id])
        functions.live(400)

        assert (Kind.PARKING_FAILED, instance_id) in functions.reported()
        assert f"A snapshot of {ROOT.device} failed" in detail(functions.events[0])["what"]

    def test_of_a_start_is_reported(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.faults = at_operation("CreateVolume", Fault.DENIED, 99)
        assert functions.post("db", "start").status == 409

        assert functions.reported() == [(Kind.START_FAILED, instance_id)]

    def test_of_a_start_that_ec2_took_back_is_reported_with_its_reason(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = parked_by_events(stand, functions, name="db")
        functions.events.clear()
        functions.faults = at_operation("StartInstances", Fault.START_FALLS_BACK)
        functions.post("db", "start")
        functions.live(300)
        (event,) = functions.events

        assert event["DetailType"] == Kind.START_FAILED
        assert "Client.InternalError" in detail(event)["what"]
        assert "KMS key" in detail(event)["advice"]
        assert stand.instance(instance_id).state == "stopped"


class TestAStart:
    def test_is_reported_once_when_the_instance_runs(self, stand: Stand, functions: Functions) -> None:
        instance_id = parked_by_events(stand, functions, name="db")
        functions.events.clear()
        functions.post("db", "start")
        assert functions.reported() == []
        functions.live(300)
        functions.start(SWEEP_STARTS)
        (event,) = functions.events

        assert event["DetailType"] == Kind.STARTED
        what = f"{instance_id} is running: its 2 volumes (132 GiB) came back from snapshots."
        assert detail(event)["what"] == what
        assert 0 <= detail(event)["seconds"] <= 60

    def test_whose_event_was_lost_is_reported_by_the_sweep(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.post("db", "start")
        stand.after(300)
        stand.world.take_events()
        functions.start(SWEEP_STARTS)

        assert functions.reported() == [(Kind.STARTED, instance_id)]

    def test_that_put_the_volumes_back_is_reported(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.rootless()
        functions.post("db", "start")
        functions.live(600)
        functions.start(SWEEP_STARTS)

        assert functions.reported() == [(Kind.STARTED, instance_id)]
        assert "came back." in detail(functions.events[0])["what"]


class TestSnapshotsThatNobodyUses:
    def test_are_reported_once_a_day_for_as_long_as_they_are_kept(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.post("db", "start")
        functions.live(300)
        data = next(v.id for v in stand.world.volumes.current() if v.size == DATA.size)
        stand.owner.detach_volume(VolumeId=data, InstanceId=instance_id)
        functions.live(25 * 3600)
        functions.events.clear()
        functions.park(SWEEP)
        functions.live(10)
        assert functions.reported() == []
        functions.park(REMINDER)
        functions.live(10)

        assert functions.reported() == [(Kind.ORPHANED, instance_id)]
        assert "aws ec2 delete-snapshot" in detail(functions.events[0])["advice"]


class TestTermination:
    def test_is_reported_once_with_what_is_left_and_for_how_long(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.events.clear()
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        functions.live(120)
        functions.park(SWEEP)
        functions.live(10)

        assert functions.reported() == [(Kind.ORPHANED, instance_id)]
        reported = detail(functions.events[0])
        assert ": kept until 2026-01-31, as its volume would have been deleted with it" in reported["what"]
        assert len(reported["snapshot-ids"]) == 2

    def test_leaves_nothing_in_transit_that_an_alarm_waits_for(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        stand.after(4000)

        assert gauges(stand.fleet(), SETTINGS, stand.clock.now())["TransitAge"] == 0


class TestMessages:
    def test_are_not_sent_without_a_topic(self, stand: Stand, functions: Functions) -> None:
        parked_by_events(stand, functions)

        assert functions.messages == []

    @pytest.mark.usefixtures("unknown_prices")
    def test_say_what_happened_to_whom_and_where_to_look(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        instance_id = parked_by_events(stand, functions, name="db")
        (message,) = functions.messages

        assert message["topic"] == TOPIC
        assert message["subject"] == f"ParkVolumes: Instance Parked: {instance_id} (db)"
        assert message["message"] == (
            f"{instance_id} (db): Instance Parked\n"
            f"{instance_id} is parked: its 2 volumes (132 GiB) became snapshots.\n"
            "There is nothing to do. Start it as usual, or at the Function URL.\n"
            "https://us-east-1.console.aws.amazon.com/ec2/home?region=us-east-1"
            f"#InstanceDetails:instanceId={instance_id}\n\n"
            "ParkVolumes, deployment park-volumes, us-east-1, account 123456789012."
        )

    def test_of_one_pass_are_one(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        ids = [stand.launch(state="stopped", facts={"InstanceLifecycle": "spot"}, name="ü" * 99) for _ in range(12)]
        functions.park(*(state_change(i, "stopped") for i in ids))
        (message,) = functions.messages

        assert message["subject"].endswith("???, and 11 more")
        assert all(i in message["message"] for i in ids)
        assert len(functions.events) == 12


class TestTheMessageOfTheMonth:
    @pytest.fixture
    def first_of_month(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        monkeypatch.setenv("PRICES", json.dumps({"gp3": 0.10, "gp2": 0.10, "gp3-iops": 0, "gp3-throughput": 0}))
        stand.parked(name="parked")
        stand.launch(name="running")
        stand.world.clock.advance_to(datetime(2026, 2, 1, 5, tzinfo=UTC).timestamp())
        return functions

    def test_says_what_is_parked_and_what_that_saves(
        self, first_of_month: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PRICES", json.dumps(dict(BY_REGION["us-east-1"])))
        first_of_month.park(REMINDER)
        (message,) = first_of_month.messages

        assert message["subject"] == "ParkVolumes: what parking saves"
        assert message["message"] == (
            "Opted-in instances that are parked: 1 of 2, with 132 GiB of volumes. This saves 15.96 USD a month.\n"
            "GET /savings at the Function URL shows the saving of each instance.\n\n"
            "ParkVolumes, deployment park-volumes, us-east-1, account 123456789012."
        )

    @pytest.mark.usefixtures("unknown_prices")
    def test_guesses_no_price(self, first_of_month: Functions) -> None:
        first_of_month.park(REMINDER)
        (message,) = first_of_month.messages

        assert "The saving is not known." in message["message"]

    def test_comes_with_the_reminder_of_the_first_day_only(self, first_of_month: Functions, stand: Stand) -> None:
        first_of_month.park(SWEEP)
        stand.after(24 * 3600)
        first_of_month.park(REMINDER)

        assert first_of_month.messages == []

    def test_comes_to_nobody_without_a_topic(self, first_of_month: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NOTIFICATION_TOPIC_ARN")
        first_of_month.park(REMINDER)

        assert first_of_month.messages == []


class TestAMissingTrail:
    @pytest.fixture
    def without_trail(self, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        functions.trails = []
        return functions

    def test_is_reported_by_the_daily_reminder_and_logged(
        self, without_trail: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        without_trail.start(REMINDER)
        (message,) = without_trail.messages

        assert message["subject"] == "ParkVolumes: no CloudTrail trail for starts elsewhere"
        assert message["message"].startswith(
            "start_on_failed_start is set, but no CloudTrail trail covers this region:"
        )
        assert "no CloudTrail trail covers this region" in capsys.readouterr().out

    def test_is_not_reported_by_other_sweeps(self, without_trail: Functions) -> None:
        without_trail.start(SWEEP_STARTS)

        assert without_trail.messages == []

    def test_matters_to_nobody_who_does_not_want_starts_from_elsewhere(
        self, without_trail: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("START_ON_FAILED_START", "false")
        without_trail.start(REMINDER)

        assert without_trail.messages == []

    def test_is_not_reported_where_there_is_one(self, without_trail: Functions) -> None:
        without_trail.trails = ["of the organization"]
        without_trail.start(REMINDER)

        assert without_trail.messages == []

    def test_that_nobody_may_look_for_is_an_error_in_the_log_and_stops_nothing(
        self, without_trail: Functions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def denied(_: object, **__: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeTrails")

        monkeypatch.setattr(Trails, "describe_trails", denied)
        without_trail.start(REMINDER)

        assert "trail covers this region: An error occurred (AccessDeniedException)" in capsys.readouterr().out


class TestNumbers:
    def test_of_a_sweep_are_the_parked_size_and_the_oldest_things_under_way(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stand.parked(name="parked")
        stand.stopped(name="whole")
        stand.rootless(name="locked")
        functions.park(SWEEP)
        found = metrics(capsys)

        assert found["ParkedGiB"] == [132]
        assert 0 < found["TransitAge"][0] <= 120
        assert found["StartAge"] == [0]

    def test_of_an_empty_account_are_zero(self, functions: Functions, capsys: pytest.CaptureFixture[str]) -> None:
        functions.park(SWEEP)

        assert metrics(capsys) == {"ParkedGiB": [0], "MonthlySaving": [0], "TransitAge": [0], "StartAge": [0]}

    def test_of_a_start_that_does_not_get_on_grow(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.start_pass(faults=at_operation("CreateVolume", Fault.DENIED, 99)).start(instance_id)
        stand.after(1200)

        assert gauges(stand.fleet(), SETTINGS, stand.clock.now())["StartAge"] == pytest.approx(1200, 1)

    def test_of_a_restored_volume_count_from_the_request_and_not_from_the_parking(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.after(90 * 24 * 3600)
        stand.start_pass(faults=at_operation("AttachVolume", Fault.DENIED, 99)).start(instance_id)
        stand.after(600)
        found = gauges(stand.fleet(), SETTINGS, stand.clock.now())

        assert found["TransitAge"] == pytest.approx(600, 1)
        assert found["ParkedGiB"] == 132

    def test_of_parking_and_starting_tell_how_long_it_took(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parked_by_events(stand, functions)
        functions.post("db", "start")
        functions.live(300)
        found = metrics(capsys)

        assert found.keys() == {"ParkDuration", "StartDuration"}
        assert found["ParkDuration"][0] > 180
        assert found["StartDuration"][0] < 60

    def test_count_refusals_and_failures(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        spot = stand.launch(state="stopped", facts={"InstanceLifecycle": "spot"}, name="spot")
        functions.park(state_change(spot, "stopped"))
        stand.parked()
        functions.faults = at_operation("CreateVolume", Fault.DENIED, 99)
        functions.post("db", "start")

        assert metrics(capsys) == {"Refusals": [1], "Failures": [1]}


def parked_by_sweeps(stand: Stand, functions: Functions) -> str:
    """Where the functions cannot ask each other, the sweeps of both go on, that of the starts once an hour."""
    instance_id = stand.stopped()
    for _ in range(3):
        for _ in range(12):
            functions.live(300)
            functions.park(SWEEP)
        functions.start(FALLBACK)
    return instance_id


class TestWhatCannotBeSent:
    def test_is_an_error_in_the_log_and_stops_nothing(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def denied(*_: Any, **__: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, "PutEvents")

        monkeypatch.setattr(Bus, "put_events", denied)
        instance_id = parked_by_sweeps(stand, functions)

        assert stand.instance(instance_id).devices == ()
        assert "PutEvents failed, so nobody was told" in capsys.readouterr().out

    def test_because_the_bus_refuses_an_entry_is_logged_with_it(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        refusal = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "No."}]}
        monkeypatch.setattr(Bus, "put_events", lambda *_, **__: refusal)
        parked_by_sweeps(stand, functions)

        assert "EventBridge did not accept an event: InternalFailure." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("aws-eusc", "eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_a_console_link_leads_to_the_console_of_the_partition(partition: str, region: str, host: str) -> None:
    location = FunctionLocation.of_function(f"arn:{partition}:lambda:{region}:123456789012:function:park-volumes-park")

    assert location.console("i-1") == f"https://{host}/ec2/home?region={region}#InstanceDetails:instanceId=i-1"
    assert location.arn("i-1") == f"arn:{partition}:ec2:{region}:123456789012:instance/i-1"


def test_there_is_no_link_to_a_console_that_nobody_knows() -> None:
    location = FunctionLocation.of_function(
        "arn:aws-iso-b:lambda:us-isob-east-1:123456789012:function:park-volumes-park"
    )
    told = notices.paragraph(Report(Kind.PARKED, facts.parked(), "It is parked.", "Nothing to do."), location)

    assert location.console("i-1") == ""
    assert told.splitlines()[1:] == ["It is parked.", "Nothing to do."]


def test_of_more_than_a_hundred_parked_at_once_all_name_the_deployment(
    stand: Stand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "ParkVolumes")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    (observation,) = observe(stand.ec2().reads, [stand.launch()], now=stand.clock.now(), locks=False).values()
    parked = Report(kind=Kind.PARKED, observation=observation, what="", advice="", seconds=300)
    location = FunctionLocation(partition="aws", region="us-east-1", account="123456789012")
    notices = Notices(deployment="park-volumes", topic_arn="", client=lambda _: Bus([], []), logger=Logger())
    notices.send([parked] * 250, location)

    assert len(metrics(capsys)["ParkDuration"]) == 250


MINUTE = timedelta(minutes=1)
UNMARK = (UnmarkVolumes(volume_ids=("vol-root",), mark=facts.MARK),)


class TestTheReportOfAStart:
    """Of one pass, by what it saw and what it did."""

    def of(self, observation: Observation, decision: Decision, **options: Any) -> Report | None:
        ending = options.pop("ending", Ending.COMPLETE)
        how = {"asked": False, "include_ongoing": False} | options
        result = Result(observation=observation, decision=decision, ending=ending)
        return of_start(result, SETTINGS, facts.NOW, **how)

    def back(self, *, state: str = "running", put_back: bool = False) -> Observation:
        """Both volumes are attached again; the data volume is the original one if it was put back."""
        of_data, of_root = facts.records()
        root = facts.restored(of_root, facts.attachment(ROOT.device))
        data = facts.restored(of_data, facts.attachment(DATA.device))
        original = facts.in_transit(facts.data_volume())
        return facts.seen(root, original if put_back else data, records=(of_data, of_root), state=state)

    def test_says_restored_only_where_every_volume_was(self) -> None:
        settled = Decision(reason="", steps=(UNMARK,))
        restored, mixed = (self.of(self.back(put_back=p), settled) for p in (False, True))

        assert restored is not None
        assert mixed is not None
        assert restored.what == f"{facts.ID} is running: its 2 volumes (16 GiB) came back from snapshots."
        assert "slower until each block" in restored.advice
        assert mixed.what.endswith("its 2 volumes (16 GiB) came back.")
        assert mixed.advice == "There is nothing to do."

    def test_is_none_of_a_pass_that_settled_nothing_or_not_to_the_end(self) -> None:
        settled, nothing = Decision(reason="", steps=(UNMARK,)), Decision(reason="")

        assert self.of(self.back(), nothing) is None
        assert self.of(self.back(), settled, ending=Ending.RACED) is None
        assert self.of(self.back(state="stopped"), settled) is None

    def test_that_failed_advises_another_type_only_where_capacity_is_missing(self) -> None:
        advice = []
        for code in ("InsufficientInstanceCapacity", "UnauthorizedOperation"):
            error = Ec2Error("StartInstances", facts.ID, code, "No.")
            result = Result(observation=facts.parked(), decision=Decision(reason=""), ending=Ending.FAILED, error=error)
            report = of_start(result, SETTINGS, facts.NOW, asked=True, include_ongoing=True)
            assert report is not None
            advice.append(report.advice)

        assert advice[0].endswith("Another instance type may start at once.")
        assert advice[1].startswith("Nothing is lost. A policy does not allow it")

    @pytest.mark.parametrize(("minutes", "told"), [(59, True), (60, False), (None, False)])
    def test_that_was_asked_for_within_the_hour_tells_a_refusal(self, minutes: float | None, told: bool) -> None:
        at = facts.NOW - minutes * MINUTE if minutes else None
        waiting = facts.seen(records=facts.records(start_requested=at))
        report = self.of(waiting, refuse("No."), include_ongoing=True)

        assert (report is not None) is told
        assert report is None or (report.kind, report.what) == (Kind.START_REFUSED, "No.")

    def test_that_is_asked_for_now_tells_a_refusal_of_a_stopped_instance_and_of_no_other(self) -> None:
        asked = {"asked": True, "include_ongoing": True}

        assert self.of(facts.parked(), refuse("No."), **asked) is not None
        assert self.of(facts.parked(), refuse("No."), asked=True) is None
        assert self.of(facts.parked(), Decision(reason="Yes."), **asked) is None
        assert self.of(facts.parked(state="stopping"), refuse("No."), **asked) is None


class TestTheReportOfAParking:
    def last(self, **prices: float) -> Report:
        """Of the pass that deletes the root volume, which is the last; the data volume was copied ten minutes later."""
        of_data, of_root = facts.records()
        of_data = replace(of_data, started=of_root.started + 10 * MINUTE)
        there = facts.in_transit(facts.volume("vol-root"))
        decision = Decision(reason="", steps=((DeleteVolume(volume_id="vol-root"),),))
        result = Result(observation=facts.seen(there, records=(of_data, of_root)), decision=decision)
        report = of_parking(result, replace(SETTINGS, prices=prices), facts.NOW, include_ongoing=False)
        assert report is not None
        return report

    def test_counts_the_time_from_the_first_snapshot(self) -> None:
        assert self.last().seconds == 3600

    def test_that_saves_nothing_says_so_and_does_not_say_that_it_costs_more(self) -> None:
        assert self.last(gp3=0.05, snapshot=0.05).what.endswith("This saves at least 0.00 USD a month.")

    def test_is_none_while_another_volume_is_left(self) -> None:
        of_data, of_root = facts.records()
        there = facts.given_up().volumes
        for deleted, told in (({"vol-root"}, False), ({"vol-root", "vol-data"}, True)):
            steps = tuple(DeleteVolume(volume_id=v) for v in sorted(deleted))
            result = Result(
                observation=facts.seen(*there, records=(of_data, of_root)), decision=Decision(reason="", steps=(steps,))
            )
            assert (of_parking(result, SETTINGS, facts.NOW, include_ongoing=False) is not None) is told


class TestGauges:
    """The oldest of what is under way, in seconds, and what is parked."""

    def of(self, *fleet: Observation) -> dict[str, float]:
        return dict(gauges(fleet, SETTINGS, facts.NOW))

    def locked(self, minutes: float, **changes: Any) -> Observation:
        """Both originals marked so many minutes ago."""
        mark = replace(facts.MARK, at=facts.NOW - minutes * MINUTE)
        both = facts.records(**changes)
        names = (("vol-data", facts.attachment(DATA.device)), ("vol-root", None))
        there = [facts.in_transit(facts.volume(v, at), mark=mark) for (v, at), r in zip(names, both, strict=True)]
        return facts.seen(*there, records=both)

    def asked(self, minutes: float, **changes: Any) -> Observation:
        return facts.seen(records=facts.records(start_requested=facts.NOW - minutes * MINUTE), **changes)

    def test_the_oldest_transit_of_all_counts(self) -> None:
        assert self.of(self.locked(5), self.locked(20), self.locked(10), facts.parked())["TransitAge"] == 1200

    def test_of_two_marks_of_one_instance_the_older_counts(self) -> None:
        older, younger = self.locked(20), self.locked(5)
        both = replace(older, volumes=(older.volumes[0], younger.volumes[1]))

        assert self.of(both)["TransitAge"] == 1200

    def test_a_request_from_before_the_parking_does_not_make_an_original_older(self) -> None:
        asked_before = facts.NOW - 50 * MINUTE
        assert self.of(self.locked(5, start_requested=asked_before))["TransitAge"] == 300

    def test_a_restored_volume_is_on_its_way_since_the_last_request_whatever_else_is(self) -> None:
        of_data, of_root = facts.records()
        of_data = replace(of_data, start_requested=facts.NOW - 9 * MINUTE)
        of_root = replace(of_root, start_requested=facts.NOW - 3 * MINUTE)
        late = replace(facts.MARK, at=facts.NOW - MINUTE)
        original = facts.in_transit(facts.volume("vol-data"), mark=late)
        mixed = facts.seen(facts.restored(of_root), original, records=(of_data, of_root))

        assert self.of(mixed)["TransitAge"] == 180

    def test_the_oldest_start_that_has_not_come_about_counts(self) -> None:
        assert self.of(self.asked(5), self.asked(20), self.asked(10), facts.parked())["StartAge"] == 1200

    @pytest.mark.parametrize(("minutes", "seconds"), [(59, 3540), (60, 0), (61, 0)])
    def test_a_start_is_remembered_for_an_hour(self, minutes: float, seconds: float) -> None:
        assert self.of(self.asked(minutes))["StartAge"] == seconds

    def test_a_start_is_under_way_until_the_instance_runs(self) -> None:
        launched = facts.NOW - 2 * MINUTE
        assert self.of(self.asked(5, state="pending", launch_time=launched))["StartAge"] == 300
        assert self.of(self.asked(5, state="running", launch_time=launched))["StartAge"] == 0
        assert self.of(self.asked(5, state="running"))["StartAge"] == 0

    def test_a_start_that_ec2_took_back_is_still_under_way(self) -> None:
        back = self.asked(5, launch_time=facts.NOW - 2 * MINUTE, state_reason="Server.InsufficientInstanceCapacity")
        assert self.of(back)["StartAge"] == 300

    def test_only_volumes_that_are_gone_are_parked(self) -> None:
        whole, half = self.locked(5), self.locked(5)
        half = replace(half, volumes=half.volumes[:1], instance=replace(half.instance, mappings=()))
        found = [self.of(o)["ParkedGiB"] for o in (facts.parked(), half, whole, facts.parked(state="running"))]

        assert found == [16, 8, 0, 0]
