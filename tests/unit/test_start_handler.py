"""The start Lambda: the events it follows. Its Function URL has a file of its own."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core import tags
from park_volumes.core.environment import MissingSetting
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.model.records import Rules
from tests.unit.functions import (
    ENVIRONMENT,
    START_ROLE,
    SWEEP_STARTS,
    Functions,
    failed_start,
    start_requested,
)
from tests.unit.passes import DATA, ROOT, Stand

QUOTED = "Invalid value 'i-0123456789abcdef0' for instanceId. Instance does not have a volume attached at root"


def volume_event(volume_id: str, event: str, result: str, **more: str) -> dict[str, Any]:
    """An EBS volume event; those of failures name the key beside the volume."""
    arns = [f"arn:aws:ec2:us-east-1:123456789012:volume/{volume_id}"]
    if result == "failed":
        arns.append("arn:aws:kms:us-east-1:123456789012:key/12345678-0000-4000-8000-000000000000")
    return {
        "source": "aws.ec2",
        "detail-type": "EBS Volume Notification",
        "resources": arns,
        "detail": {"event": event, "result": result, "cause": "", "request-id": "", **more},
    }


def in_transit(stand: Stand) -> list[str]:
    return [v.id for v in stand.world.volumes.current() if tags.MARK in v.tags]


def remember_start(stand: Stand, instance_id: str) -> None:
    """A start that was asked for a minute ago, of which nothing came but its request."""
    stand.start_pass(faults=at_operation("CreateVolume", Fault.DENIED, 99)).start(instance_id)
    stand.after(61)


class TestTheSweep:
    def test_goes_on_with_a_start_that_was_asked_for(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        remember_start(stand, instance_id)

        assert functions.start(SWEEP_STARTS) == {}
        assert stand.instance(instance_id).state == "pending"

    def test_starts_nothing_that_nobody_asked_for(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.start(SWEEP_STARTS)

        assert stand.instance(instance_id).state == "stopped"
        assert list(stand.world.volumes.current()) == []

    def test_settles_an_instance_that_runs_again(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)
        stand.after(61)

        assert functions.start(SWEEP_STARTS) == {}
        assert in_transit(stand) == []
        flags = {d.device: d.delete_on_termination for d in stand.instance(instance_id).devices}
        assert flags == {ROOT.device: True, DATA.device: False}

    def test_leaves_a_running_instance_alone_that_is_no_longer_opted_in(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)
        stand.after(61)
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])
        before = stand.world.clone()

        assert functions.start(SWEEP_STARTS) == {}
        assert judge.differences(before, stand.world, [instance_id]) == []


class TestVolumeEvents:
    def test_a_created_volume_carries_the_start_on(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        stand.start_pass(faults=at_operation("AttachVolume", Fault.DENIED, 99)).start(instance_id)
        made = in_transit(stand)
        stand.after(61)

        assert functions.start(volume_event(made[0], "createVolume", "available")) == {}
        assert stand.instance(instance_id).state == "pending"
        assert len(list(stand.world.volumes.current())) == 2

    def test_a_failed_volume_leads_to_the_next_attempt(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked(ROOT)
        broken = at_operation("CreateVolume", Fault.VOLUME_FAILS)
        stand.start_pass(faults=broken, lasts=timedelta(seconds=2)).start(instance_id)
        (failed,) = in_transit(stand)
        stand.after(61)

        assert functions.start(volume_event(failed, "createVolume", "failed")) == {}
        assert stand.instance(instance_id).state == "pending"

    def test_a_failed_attachment_leads_to_the_instance_in_the_mark(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.rootless()
        root = next(v.id for v in stand.world.volumes.current() if not v.attachments)
        remember = [s.id for s in stand.world.snapshots.current()]
        now = stand.clock.now().isoformat()
        stand.owner.create_tags(Resources=remember, Tags=[{"Key": tags.START_REQUESTED, "Value": now}])
        stand.after(61)

        assert functions.start(volume_event(root, "attachVolume", "failed")) == {}
        assert stand.instance(instance_id).state == "pending"

    def test_an_event_while_the_asked_pass_may_be_at_work_does_not_get_in_its_way(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.parked()
        stand.start_pass(faults=at_operation("AttachVolume", Fault.THROTTLED, 1)).start(instance_id)
        stand.after(10)

        assert functions.start(volume_event(in_transit(stand)[0], "createVolume", "failed")) == {}
        assert stand.instance(instance_id).devices == ()

    def test_a_volume_that_is_not_ours_leads_nowhere(self, stand: Stand, functions: Functions) -> None:
        foreign = stand.world.add_volume()
        before = stand.world.clone()

        assert functions.start(volume_event(foreign, "createVolume", "failed")) == {}
        assert functions.start(volume_event("vol-00000000", "createVolume", "failed")) == {}
        assert judge.differences(before, stand.world, [foreign]) == []


class TestAStartFromAnywhere:
    """Somebody else than this module calls StartInstances for a parked instance, and EC2 refuses."""

    def test_of_a_parked_instance_restores_and_starts_it(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()

        assert functions.start(failed_start(instance_id, at=stand.clock.now())) == {}
        assert stand.instance(instance_id).state == "pending"
        assert judge.problems(stand.world) == []

    def test_while_its_root_volume_is_only_detached_puts_the_very_volumes_back(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.rootless()
        there = {v.id for v in stand.world.volumes.current()}
        functions.start(failed_start(instance_id, at=stand.clock.now()))

        assert stand.instance(instance_id).state == "pending"
        assert {v.id for v in stand.world.volumes.current()} == there

    def test_starts_every_parked_instance_of_the_call_and_no_other(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parked = [stand.parked(name=f"parked {n}") for n in range(3)]
        whole, foreign = stand.stopped(name="whole"), stand.stopped(name="foreign", opt_in="false")
        functions.start(failed_start(whole, *parked, foreign, at=stand.clock.now()))

        assert {stand.instance(i).state for i in parked} == {"pending"}
        assert {stand.instance(i).state for i in (whole, foreign)} == {"stopped"}
        (line, *_) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (line["instances"], line["others"]) == (sorted(parked), sorted((whole, foreign)))
        assert line["caller"].endswith("user/ada")

    @pytest.mark.parametrize(
        ("who", "caller"),
        [
            ({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}, "autoscaling.amazonaws.com"),
            ({"type": "Root"}, "Root"),
        ],
    )
    def test_is_logged_with_whatever_names_the_caller(
        self,
        stand: Stand,
        functions: Functions,
        capsys: pytest.CaptureFixture[str],
        who: dict[str, str],
        caller: str,
    ) -> None:
        functions.start(failed_start(stand.parked(), at=stand.clock.now(), userIdentity=who))
        (line, *_) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        assert line["caller"] == caller

    def test_of_our_own_is_not_answered(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.start(failed_start(instance_id, at=stand.clock.now(), role=START_ROLE))

        assert stand.instance(instance_id).state == "stopped"
        assert in_transit(stand) == []

    def test_by_another_role_is_answered(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        role = "arn:aws:iam::123456789012:role/scheduler"
        functions.start(failed_start(instance_id, at=stand.clock.now(), role=role))

        assert stand.instance(instance_id).state == "pending"

    @pytest.mark.parametrize("code", ["Client.InvalidParameterValue", "InvalidParameterValue"])
    @pytest.mark.parametrize("end", [" (/dev/xvda)", " (/dev/sda1).", ""])
    def test_is_followed_with_the_prefix_of_its_code_or_without(
        self, stand: Stand, functions: Functions, code: str, end: str
    ) -> None:
        instance_id = stand.parked()
        words = f"Invalid value '{instance_id}' for instanceId. Instance does not have a volume attached at root{end}"
        functions.start(failed_start(instance_id, at=stand.clock.now(), errorCode=code, errorMessage=words))

        assert stand.instance(instance_id).state == "pending"

    @pytest.mark.parametrize(
        "changes",
        [
            {"errorCode": "Client.UnauthorizedOperation"},
            {"errorCode": "Server.InvalidParameterValue"},
            {"errorMessage": f"Invalid value 'a, that {QUOTED}' for additionalInfo"},
            {"errorMessage": f"Invalid value '{QUOTED}' for additionalInfo"},
            {"errorMessage": f"{QUOTED}' for additionalInfo"},
            {"errorMessage": f"{QUOTED} (/dev/xvda)\nand more"},
            {"errorMessage": f"{QUOTED} (/dev/xvda)"},  # of an instance that is not in the call
            {"errorMessage": "Invalid value 'x' for additionalInfo"},
            {"errorCode": None, "errorMessage": ""},
        ],
    )
    def test_that_failed_for_another_reason_starts_nothing(
        self, stand: Stand, functions: Functions, changes: dict[str, Any]
    ) -> None:
        instance_id = stand.parked()
        functions.start(failed_start(instance_id, at=stand.clock.now(), **changes))

        assert stand.instance(instance_id).state == "stopped"

    def test_that_is_heard_of_after_the_instance_ran_and_was_stopped_again_starts_nothing(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.parked()
        late = failed_start(instance_id, at=stand.clock.now())
        functions.post("db", "start")
        functions.live(300)
        stand.stop(instance_id)
        functions.live(600)
        assert stand.instance(instance_id).devices == ()

        functions.start(late)
        assert stand.instance(instance_id).state == "stopped"

    def test_of_an_instance_that_lost_its_opt_in_tag_is_refused_in_words(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])
        before = stand.world.clone()
        functions.start(failed_start(instance_id, at=stand.clock.now()))

        assert judge.differences(before, stand.world, [instance_id]) == []
        assert f"{instance_id} is not opted in" in capsys.readouterr().out

    def test_of_many_that_cannot_all_be_started_in_time_is_carried_on_by_the_sweep(
        self, stand: Stand, functions: Functions
    ) -> None:
        ids = [stand.parked(name=f"db {n}") for n in range(3)]
        functions.faults = at_operation("CreateVolume", Fault.DENIED, 99)
        with pytest.raises(Exception, match="could not continue"):
            functions.start(failed_start(*ids, at=stand.clock.now()))
        functions.faults = None
        stand.after(61)
        functions.start(SWEEP_STARTS)

        assert {stand.instance(i).state for i in ids} <= {"pending", "running"}


class TestSchedule:
    def test_carries_on_every_start_that_was_asked_for(self, stand: Stand, functions: Functions) -> None:
        ids = [stand.parked(name="a"), stand.parked(name="b")]
        for instance_id in ids:
            remember_start(stand, instance_id)

        assert functions.start(SWEEP_STARTS) == {}
        assert {stand.instance(i).state for i in ids} <= {"pending", "running"}

    def test_settles_what_came_back(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)
        stand.after(300)
        functions.start(SWEEP_STARTS)

        assert in_transit(stand) == []

    def test_starts_nothing_that_nobody_asked_for(self, stand: Stand, functions: Functions) -> None:
        parked, being_parked = stand.parked(name="a"), stand.rootless(name="b")
        functions.start(SWEEP_STARTS)

        assert {stand.instance(i).state for i in (parked, being_parked)} == {"stopped"}

    def test_has_nothing_to_do_in_an_empty_account(self, functions: Functions) -> None:
        assert functions.start(SWEEP_STARTS) == {}


class TestRequestedStarts:
    """What a schedule sends."""

    def test_a_parked_instance_is_restored_and_started(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()

        assert functions.start(start_requested(instance_id)) == {}
        assert stand.instance(instance_id).state == "pending"

    def test_a_running_instance_stays_as_it_is(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()

        assert functions.start(start_requested(instance_id)) == {}
        assert stand.instance(instance_id).state == "running"

    def test_an_instance_that_is_still_stopping_fails_so_that_lambda_asks_again(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.launch()
        stand.owner.stop_instances(InstanceIds=[instance_id])

        with pytest.raises(Exception, match=f"{instance_id} could not continue: {instance_id} is stopping"):
            functions.start(start_requested(instance_id))

    def test_an_instance_that_is_not_opted_in_is_refused_and_left_alone(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.launch(opt_in="false")
        before = stand.world.clone()

        with pytest.raises(Exception, match="is not opted in"):
            functions.start(start_requested(instance_id))
        assert judge.differences(before, stand.world, [instance_id]) == []

    def test_many_are_remembered_at_once_and_those_beyond_five_wait_for_the_next_minute(
        self, stand: Stand, functions: Functions
    ) -> None:
        ids = [stand.parked(ROOT, name=f"n{k}") for k in range(7)]

        assert functions.start(start_requested(*ids)) == {}
        assert Counter(stand.instance(i).state != "stopped" for i in ids) == {True: 5, False: 2}
        stand.after(61)
        functions.start(SWEEP_STARTS)
        assert {stand.instance(i).state for i in ids} <= {"pending", "running"}

    def test_of_many_the_refused_one_fails_and_the_others_start(self, stand: Stand, functions: Functions) -> None:
        parked, foreign = stand.parked(), stand.launch(opt_in="false")
        stand.stop(foreign)

        with pytest.raises(Exception, match=f"{foreign} could not continue: {foreign} is not opted in"):
            functions.start(start_requested(parked, foreign))
        assert stand.instance(parked).state == "pending"

    def test_an_instance_that_does_not_exist_fails_with_its_id(self, functions: Functions) -> None:
        with pytest.raises(Exception, match="requested for i-00000000, but no such instance exists"):
            functions.start(start_requested("i-00000000"))

    def test_a_start_that_ec2_refuses_fails_with_the_sentence(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.faults = at_operation("CreateVolume", Fault.DENIED, 99)

        with pytest.raises(Exception, match="could not continue: CreateVolume failed for snap-"):
            functions.start(start_requested(instance_id))


class TestErrors:
    def test_an_unknown_event_fails_with_its_type(self, functions: Functions) -> None:
        with pytest.raises(ValueError, match="does not handle events of the type 'EBS Snapshot Notification'"):
            functions.start({"source": "aws.ec2", "detail-type": "EBS Snapshot Notification", "detail": {}})

    @pytest.mark.parametrize(
        "event",
        [
            {},
            {"detail-type": 7},
            {"detail-type": ["Start Requested"]},
            {"detail-type": "Start Requested"},
            {"detail-type": "Start Requested", "detail": None},
            {"detail-type": "Start Requested", "detail": {}},
            {"detail-type": "Start Requested", "detail": {"instance-ids": "i-0123456789abcdef0"}},
            {"detail-type": "Start Requested", "detail": {"instance-ids": {"i-0123456789abcdef0": 1}}},
            {"detail-type": "EBS Volume Notification"},
            {"detail-type": "EBS Volume Notification", "resources": 7},
            {"detail-type": "EBS Volume Notification", "resources": [None]},
            {"detail-type": "EBS Volume Notification", "resources": ["arn:aws:ec2:::volume/*"]},
            {"detail-type": "Scheduled Event"},
            {"detail-type": "Scheduled Event", "resources": [7]},
            {"detail-type": "AWS API Call via CloudTrail"},
            {"detail-type": "AWS API Call via CloudTrail", "detail": {"userIdentity": []}},
        ],
        ids=str,
    )
    def test_a_broken_event_fails_in_words(self, functions: Functions, stand: Stand, event: dict[str, Any]) -> None:
        before = stand.world.calls
        with pytest.raises(ValueError, match=r"cannot be read: |does not handle events of the type"):
            functions.start(event)
        assert stand.world.calls == before

    @pytest.mark.parametrize("event", [None, 7, "Start Requested", [], True])
    def test_what_is_no_event_fails_in_words(self, functions: Functions, event: Any) -> None:
        with pytest.raises(ValueError, match="An event is a JSON object, and this is a "):
            functions.start(event)

    @pytest.mark.parametrize(
        ("change", "value"),
        [
            ("eventTime", "yesterday"),
            ("eventTime", "2026-03-02T11:00:00"),
            ("eventTime", None),
            ("errorMessage", 7),
            ("requestParameters", None),
            ("requestParameters", {"instancesSet": {"items": [{"instanceId": "i-*"}]}}),
            ("requestParameters", {"instancesSet": {"items": [7]}}),
        ],
    )
    def test_a_broken_record_of_a_call_fails_in_words(
        self, functions: Functions, stand: Stand, change: str, value: Any
    ) -> None:
        instance_id = stand.parked()
        with pytest.raises(ValueError, match="An event of the type 'AWS API Call via CloudTrail' cannot be read"):
            functions.start(failed_start(instance_id, at=stand.clock.now(), **{change: value}))
        assert stand.instance(instance_id).state == "stopped"

    @pytest.mark.parametrize("poison", ["*", "i-*", "", "\ud800", None, 7, [], {}, "i-00000000", "x" * 9000], ids=ascii)
    def test_something_else_among_the_instances_to_start_fails_alone(
        self, functions: Functions, stand: Stand, poison: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one, other = stand.parked(name="a"), stand.parked(name="b")
        event = {"detail-type": "Start Requested", "detail": {"instance-ids": [one, poison, other]}}

        with pytest.raises(Exception, match="but no such instance exists here"):
            functions.start(event)
        assert [stand.instance(i).state for i in (one, other)] == ["pending", "pending"]
        assert {json.loads(line)["instance_id"] for line in capsys.readouterr().out.splitlines()} == {one, other}

    def test_a_failed_pass_names_its_instances_and_logs_the_error(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        instance_id = stand.parked()
        remember_start(stand, instance_id)
        functions.faults = at_operation("CreateVolume", Fault.DENIED, 99)

        with pytest.raises(Exception, match=f"{instance_id} could not continue"):
            functions.start(SWEEP_STARTS)
        (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert line["level"] == "ERROR"
        assert "CreateVolume failed for snap-" in line["message"]
        assert line["instance_id"] == instance_id

    def test_a_failed_instance_does_not_stop_the_others(self, stand: Stand, functions: Functions) -> None:
        ids = sorted([stand.parked(name="a"), stand.parked(name="b")])
        for instance_id in ids:
            remember_start(stand, instance_id)
        of_first = {s.id for s in stand.world.snapshots.current() if s.tags[tags.INSTANCE] == ids[0]}
        functions.faults = lambda call: Fault.DENIED if call.params.get("SnapshotId") in of_first else None

        with pytest.raises(Exception, match=f"^{ids[0]} could not"):
            functions.start(SWEEP_STARTS)
        assert stand.instance(ids[1]).state == "pending"

    @pytest.mark.parametrize("name", [n for n in ENVIRONMENT if not n.startswith(("POWERTOOLS", "PARK_", "SWEEP_"))])
    def test_a_missing_variable_fails_with_its_name(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.delenv(name)

        with pytest.raises(MissingSetting, match=name):
            functions.load("start")

    def test_the_queue_of_the_park_side_is_not_needed(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PARK_QUEUE_URL")

        assert functions.start(SWEEP_STARTS) == {}


def test_a_start_and_a_stop_without_a_sweep_of_the_parking_come_back_to_where_they_began(
    stand: Stand, functions: Functions
) -> None:
    instance_id = stand.launch()
    before = judge.fittings(stand.world, instance_id)
    for _ in range(2):
        stand.owner.stop_instances(InstanceIds=[instance_id])
        functions.live(600)
        assert stand.instance(instance_id).devices == ()
        assert functions.post("db", "start").status == 202
        functions.live(120)

        assert stand.instance(instance_id).state == "running"
        assert judge.fittings(stand.world, instance_id) == before
    assert judge.problems(stand.world) == []


def test_a_start_with_a_broken_key_is_reported_and_loses_nothing(stand: Stand, functions: Functions) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/broken"
    instance_id = stand.parked(ROOT._replace(key=key))
    stand.world.rules = Rules(broken_keys=frozenset({key}))
    reply = functions.post("db", "start")
    with pytest.raises(Exception, match=f"{instance_id} could not continue: CreateVolume failed"):
        functions.live(120)

    assert reply.status >= 202
    assert stand.instance(instance_id).state == "stopped"
    assert judge.problems(stand.world) == []
