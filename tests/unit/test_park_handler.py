"""The park Lambda: batches of the park queue, and what it sends to itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from park_volumes.aws.errors import Ec2Error
from park_volumes.core.environment import MissingSetting
from park_volumes.core.steps import Decision
from park_volumes.handlers.wake import WAKE
from park_volumes.run.execute import Result
from tests.model.faults import Fault, at_operation
from tests.model.records import Message
from tests.unit.facts import ID, seen
from tests.unit.functions import (
    ENVIRONMENT,
    QUEUE_URL,
    SWEEP,
    SWEEP_STARTS,
    Context,
    Functions,
    sqs_record,
    state_change,
)
from tests.unit.passes import DATA, ROOT, Stand


def look_again(*ids: str, looks: int = 1) -> dict[str, Any]:
    """The function's own message; the first of a row unless another number is given."""
    detail = {"instance-ids": list(ids), "looks": looks}
    return {"source": "park-volumes", "detail-type": "Look Again", "detail": detail}


def snapshot_event(snapshot_id: str, result: str = "succeeded") -> dict[str, Any]:
    arn = f"arn:aws:ec2::us-east-1:snapshot/{snapshot_id}"
    return {
        "source": "aws.ec2",
        "detail-type": "EBS Snapshot Notification",
        "resources": [arn],
        "detail": {"event": "createSnapshot", "result": result, "cause": "", "snapshot_id": arn},
    }


def snapshots(stand: Stand) -> list[str]:
    return [s.id for s in stand.world.snapshots.current()]


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of the log; those with metrics have a file of their own."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "_aws" not in line]


def levels(lines: Iterable[dict[str, Any]]) -> set[str]:
    return {line["level"] for line in lines}


class TestEvents:
    def test_an_instance_that_stopped_gets_its_snapshots(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.after(121)

        assert functions.park(state_change(instance_id, "stopped")) == []
        assert len(snapshots(stand)) == 2

    def test_a_snapshot_that_completed_leads_to_its_instance(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.ready(instance_id)

        assert functions.park(snapshot_event(snapshots(stand)[0])) == []
        assert [d.state for d in stand.instance(instance_id).devices] == ["detaching", "attached"]

    def test_a_snapshot_that_completed_takes_none_of_the_other_volume(self, stand: Stand, functions: Functions) -> None:
        """The message that asked for both comes back, maybe at the same moment in the other function."""
        instance_id = stand.stopped()
        stand.after(121)
        asked = count()
        functions.faults = lambda call: (
            Fault.DENIED if call.operation == "CreateSnapshot" and next(asked) else None  # all but the first
        )
        functions.park(state_change(instance_id, "stopped"))
        functions.faults = None
        stand.after(61)

        functions.park(snapshot_event(snapshots(stand)[0]))
        assert len(snapshots(stand)) == 1
        functions.park(state_change(instance_id, "stopped"))
        assert len(snapshots(stand)) == 2

    def test_a_snapshot_that_failed_leads_to_its_instance(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        instance_id = stand.stopped()
        stand.step(instance_id, faults=at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS, 2))
        stand.after(61)

        assert functions.park(snapshot_event(snapshots(stand)[0], "failed")) == []
        assert "retried in a few minutes" in logged(capsys)[0]["message"]

    def test_a_snapshot_that_is_not_ours_leads_nowhere(self, stand: Stand, functions: Functions) -> None:
        foreign = stand.world.add_snapshot()

        assert functions.park(snapshot_event(foreign), snapshot_event("snap-00000000")) == []

    def test_a_look_again_message_leads_to_all_the_instances_it_names(self, stand: Stand, functions: Functions) -> None:
        a, b = stand.stopped(name="a"), stand.stopped(name="b")
        stand.after(121)

        assert functions.park(look_again(a, b)) == []
        assert len(snapshots(stand)) == 4

    def test_an_event_of_an_instance_that_is_not_opted_in_changes_nothing(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.stopped(opt_in="false")
        stand.after(121)

        assert functions.park(state_change(instance_id, "stopped")) == []
        assert snapshots(stand) == []

    def test_an_event_of_an_instance_that_is_gone_is_done(self, functions: Functions) -> None:
        assert functions.park(state_change("i-00000000", "stopped")) == []

    def test_doubled_events_do_the_work_once(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        event = state_change(instance_id, "stopped")

        assert functions.park(event, event, look_again(instance_id)) == []
        assert functions.park(event) == []
        assert len(snapshots(stand)) == 2

    def test_what_the_event_says_is_not_believed(self, stand: Stand, functions: Functions) -> None:
        """A late event: the instance runs again."""
        instance_id = stand.launch()
        stand.after(121)

        assert functions.park(state_change(instance_id, "stopped")) == []
        assert snapshots(stand) == []


class TestSweep:
    def test_hands_on_what_is_worth_a_look(self, stand: Stand, functions: Functions) -> None:
        stopped, _ = stand.stopped(name="a"), stand.launch(name="b")

        assert functions.park(SWEEP) == []
        assert functions.sent() == [(0, look_again(stopped, looks=0))]

    def test_hands_on_25_instances_in_a_message(self, stand: Stand, functions: Functions) -> None:
        ids = [stand.launch(name=f"n{n}", state="stopped") for n in range(60)]
        functions.park(SWEEP)

        assert [len(body["detail"]["instance-ids"]) for _, body in functions.sent()] == [25, 25, 10]
        assert functions.sent_ids() == sorted(ids)

    def test_sends_more_than_ten_messages_in_several_calls(self, stand: Stand, functions: Functions) -> None:
        ids = [stand.launch(name=f"n{n}", state="stopped") for n in range(260)]
        functions.park(SWEEP)

        assert len(functions.sent()) == 11
        assert functions.sent_ids() == sorted(ids)

    def test_sends_nothing_where_nothing_is_to_be_done(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        functions.park(SWEEP)

        assert functions.sent() == []

    def test_does_the_other_messages_of_its_batch_too(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.after(121)

        assert functions.park(SWEEP, state_change(instance_id, "stopped")) == []
        assert len(snapshots(stand)) == 2
        assert functions.sent_ids() == [instance_id]

    def test_sends_to_the_queue_of_the_deployment(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        functions.park(SWEEP)

        assert {message.queue_url for message in stand.world.messages} == {QUEUE_URL}

    def test_fails_as_a_whole_where_the_queue_refuses_a_message(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        park: Any = functions.load("park")

        class Refusing:
            def send_message_batch(self, **_: Any) -> dict[str, Any]:
                return {"Successful": [], "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}

        park.sqs = Refusing()
        with pytest.raises(RuntimeError, match="The park queue refused 1 messages"):
            park._send(["i-1"], park.regions.home, delay=0, looks=0)


class TestLookAgain:
    def test_comes_when_the_lock_period_is_over(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.ready(instance_id)
        functions.park(look_again(instance_id, looks=0))

        assert functions.sent() == [(181, look_again(instance_id))]

    def test_comes_when_the_last_attachment_is_old_enough(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(age_seconds=30)
        functions.park(state_change(instance_id, "stopped"))

        assert functions.sent() == [(30, look_again(instance_id))]

    def test_comes_15_seconds_after_a_detachment(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.rootless()
        stand.after(181)
        functions.park(look_again(instance_id, looks=0))

        assert functions.sent() == [(15, look_again(instance_id))]

    def test_rounds_up_to_whole_seconds(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(age_seconds=30)
        stand.after(0.5)
        functions.park(state_change(instance_id, "stopped"))

        assert [delay for delay, _ in functions.sent()] == [30]

    def test_of_several_instances_comes_in_one_message_for_each_delay(self, stand: Stand, functions: Functions) -> None:
        a, b = stand.launch(name="a"), stand.launch(name="b")
        c = stand.launch(name="c")
        stand.owner.stop_instances(InstanceIds=[a, b])
        stand.after(60)
        stand.ready(a, b)
        stand.owner.stop_instances(InstanceIds=[c])
        stand.after(31)
        functions.park(look_again(a, b, c))

        assert [(delay, sorted(body["detail"]["instance-ids"])) for delay, body in functions.sent()] == [
            (181, sorted([a, b]))
        ]

    def test_counts_how_many_came_in_a_row(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(age_seconds=0)
        functions.park(look_again(instance_id, looks=2), look_again(instance_id, looks=4), look_again(instance_id))

        assert [body["detail"]["looks"] for _, body in functions.sent()] == [5]

    def test_stops_after_six_in_a_row_before_lambda_takes_it_for_a_loop(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.stopped(age_seconds=0)
        functions.park(look_again(instance_id, looks=5))
        assert len(functions.sent()) == 1
        functions.park(look_again(instance_id, looks=6))

        assert len(functions.sent()) == 1

    def test_of_an_event_begins_to_count_anew(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(age_seconds=0)
        functions.park(state_change(instance_id, "stopped"))

        assert [body["detail"]["looks"] for _, body in functions.sent()] == [1]

    def test_without_a_count_is_the_first(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(age_seconds=0)
        message = look_again(instance_id)
        del message["detail"]["looks"]
        functions.park(message)

        assert [body["detail"]["looks"] for _, body in functions.sent()] == [1]

    @pytest.mark.parametrize(("minutes", "delays"), [(16, [900]), (17, [])])
    def test_that_is_farther_off_than_sqs_can_delay_is_left_to_the_sweep(
        self,
        stand: Stand,
        functions: Functions,
        monkeypatch: pytest.MonkeyPatch,
        minutes: int,
        delays: list[int],
    ) -> None:
        monkeypatch.setenv("GRACE_PERIOD_MINUTES", str(minutes))
        instance_id = stand.stopped()
        stand.step(instance_id)
        stand.after(60)
        functions.park(look_again(instance_id))

        assert [delay for delay, _ in functions.sent()] == delays

    def test_is_not_asked_for_where_the_message_comes_back_anyway(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.ready(instance_id)
        functions.faults = at_operation("LockSnapshot", Fault.DENIED)

        assert functions.park(look_again(instance_id)) == ["m0"]
        assert functions.sent() == []


BROKEN: list[object] = [
    "no JSON at all",
    "[" * 100_000,
    '{"detail": ' * 50_000,
    "9" * 100_000,
    "\ud800",
    '{"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": 1e999}}',
    "",
    "[]",
    "null",
    '"text"',
    "{}",
    {"detail-type": "EC2 Instance State-change Notification"},
    {"detail-type": "EC2 Instance State-change Notification", "detail": None},
    {"detail-type": "EC2 Instance State-change Notification", "detail": {}},
    {"detail-type": "EC2 Instance State-change Notification", "detail": {"instance-id": None}},
    {"detail-type": "EC2 Instance State-change Notification", "detail": {"instance-id": 7}},
    {"detail-type": "EC2 Instance State-change Notification", "detail": {"instance-id": ["i-1"]}},
    {"detail-type": "EBS Snapshot Notification", "detail": {}},
    {"detail-type": "EBS Snapshot Notification", "detail": {"snapshot_id": None}},
    {"detail-type": "EBS Snapshot Notification", "detail": {"snapshot_id": "arn:aws:ec2::us-east-1:snapshot/*"}},
    {"detail-type": "Scheduled Event", "detail": {}},
    {"detail-type": "Scheduled Event", "detail": {}, "resources": [7]},
    {"detail-type": ["Scheduled Event"], "detail": {}, "resources": []},
    {"detail-type": "Look Again", "detail": {}},
    {"detail-type": "Look Again", "detail": {"instance-ids": 7}},
    {"detail-type": "Look Again", "detail": {"instance-ids": "i-0123456789abcdef0"}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [None]}},
    {"detail-type": "Look Again", "detail": {"instance-ids": ["*"]}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [ID, "i-*"]}},
    {"detail-type": "Look Again", "detail": {"instance-ids": ["\ud800"]}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [""]}},
    {"detail-type": "Look Again", "detail": {"instance-ids": ["x" * 100_000]}},
    {"detail-type": "Look Again", "detail": {"instance-ids": {ID: 1}}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": float("inf")}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": float("nan")}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": -1}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": 1.5}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": True}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": 10**400}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "reminder": "yes"}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": "many"}},
    {"detail-type": "Look Again", "detail": {"instance-ids": [], "looks": None}},
    {"detail-type": "EBS Volume Notification", "detail": {}},
    {"detail-type": 7, "detail": {}},
    {"detail-type": None, "detail": {}},
]


class TestBrokenMessages:
    @pytest.mark.parametrize("body", BROKEN, ids=lambda body: ascii(body)[:60])
    def test_come_back_and_do_not_stop_the_rest_of_the_batch(
        self, stand: Stand, functions: Functions, body: object
    ) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        failed = functions.park_batch(
            sqs_record("broken", body), sqs_record("whole", state_change(instance_id, "stopped"))
        )

        assert failed == ["broken"]
        assert len(snapshots(stand)) == 2

    @pytest.mark.parametrize("body", BROKEN, ids=lambda body: ascii(body)[:60])
    def test_of_ten_one_comes_back_and_nine_are_handled(self, stand: Stand, functions: Functions, body: object) -> None:
        ids = [stand.stopped(ROOT, name=f"n{n}") for n in range(9)]
        stand.after(121)
        batch = [sqs_record(i, state_change(i, "stopped")) for i in ids]

        assert functions.park_batch(*batch[:5], sqs_record("broken", body), *batch[5:]) == ["broken"]
        assert len(snapshots(stand)) == 9

    @pytest.mark.parametrize("message", [{}, {"body": None}, {"body": ["x"]}, {"body": 7}], ids=str)
    def test_without_a_body_come_back_too(self, functions: Functions, message: dict[str, Any]) -> None:
        assert functions.park_batch({"messageId": "empty"} | message) == ["empty"]

    def test_begin_no_sweep_and_no_reminder(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        half = {"detail-type": "Scheduled Event", "detail": {}, "resources": [7, "arn:aws:events:::rule/x-reminder"]}

        assert functions.park(half) == ["m0"]
        assert functions.sent() == []

    def test_are_logged_without_what_a_log_cannot_hold(
        self, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        functions.park("\ud800" + "x" * 5000)
        (line,) = logged(capsys)

        assert line["body"].startswith("'\\ud800xxx")
        assert len(line["body"]) == 1000

    def test_are_logged_with_what_they_say(self, functions: Functions, capsys: pytest.CaptureFixture[str]) -> None:
        functions.park({"detail-type": "Something Else", "detail": {}})
        (line,) = logged(capsys)

        assert line["level"] == "ERROR"
        assert "unknown detail-type 'Something Else'" in line["message"]
        assert "Something Else" in line["body"]


class TestErrors:
    def test_only_the_messages_of_the_failed_instance_come_back(self, stand: Stand, functions: Functions) -> None:
        a, b = stand.stopped(name="a"), stand.stopped(name="b")
        stand.after(121)
        volume_of_a = stand.instance(a).devices[0].volume_id
        functions.faults = lambda call: Fault.DENIED if call.params.get("VolumeId") == volume_of_a else None

        assert functions.park(state_change(a, "stopped"), state_change(b, "stopped")) == ["m0"]
        assert len(snapshots(stand)) >= 2

    def test_every_message_of_the_failed_instance_comes_back(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        functions.faults = at_operation("CreateSnapshot", Fault.DENIED, 2)

        assert functions.park(state_change(instance_id, "stopped"), look_again(instance_id)) == ["m0", "m1"]

    def test_are_logged_with_call_resource_and_instance(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        functions.faults = at_operation("CreateSnapshot", Fault.DENIED, 2)
        functions.park(state_change(instance_id, "stopped"))
        (line,) = logged(capsys)

        assert line["level"] == "ERROR"
        assert line["message"].startswith("CreateSnapshot failed for vol-")
        assert "(UnauthorizedOperation)" in line["message"]
        assert line["instance_id"] == instance_id

    def test_while_looking_send_the_whole_batch_back(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        functions.faults = at_operation("DescribeInstances", Fault.DENIED)

        with pytest.raises(Ec2Error, match="DescribeInstances failed"):
            functions.park(state_change(instance_id, "stopped"))

    def test_of_time_send_the_message_back(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        record = sqs_record("late", state_change(instance_id, "stopped"))

        assert functions.park_batch(record, seconds=2) == ["late"]
        assert snapshots(stand) == []

    def test_a_race_is_none(self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]) -> None:
        instance_id = stand.rootless()
        stand.after(181)
        root = next(v.id for v in stand.world.volumes.current() if not v.attachments)

        def somebody_takes_it(operation: str, _: dict[str, Any]) -> None:
            if operation == "DeleteVolume":
                stand.world.on_call = None
                stand.owner.attach_volume(VolumeId=root, InstanceId=instance_id, Device=ROOT.device)

        stand.world.on_call = somebody_takes_it

        assert functions.park(look_again(instance_id, looks=0)) == []
        assert functions.sent() == [(2, look_again(instance_id))]
        assert levels(logged(capsys)) == {"INFO"}


class TestLog:
    def test_says_for_every_instance_what_was_decided(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        instance_id = stand.stopped()
        stand.after(121)
        functions.park(state_change(instance_id, "stopped"))
        (line,) = logged(capsys)

        assert (line["level"], line["instance_id"]) == ("INFO", instance_id)
        assert line["message"] == f"{instance_id} is stopped. Volumes that still need a snapshot: 2 of 2."
        assert len(line["steps"]) == 2
        assert "CreateSnapshot" in line["steps"][0]

    def test_warns_of_a_refusal(self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]) -> None:
        instance_id = stand.launch(state="stopped", facts={"InstanceLifecycle": "spot"})
        functions.park(state_change(instance_id, "stopped"))
        (line,) = logged(capsys)

        assert line["level"] == "WARNING"
        assert "Spot Instance" in line["message"]


class TestLoading:
    @pytest.mark.parametrize("name", [n for n in ENVIRONMENT if not n.startswith("POWERTOOLS")])
    def test_a_missing_variable_fails_with_its_name(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.delenv(name)

        with pytest.raises(MissingSetting, match=name):
            functions.load("park")


def test_events_and_messages_alone_park_an_instance(stand: Stand, functions: Functions) -> None:
    instance_id = stand.launch(ROOT, DATA)
    stand.owner.stop_instances(InstanceIds=[instance_id])
    functions.live(600)

    assert list(stand.world.volumes.current()) == []
    assert stand.instance(instance_id).devices == ()


def test_sweeps_alone_park_an_instance(stand: Stand, functions: Functions) -> None:
    """Every event and every message is lost, but those that the sweep sends."""
    instance_id = stand.stopped()
    for _ in range(8):
        stand.after(timedelta(minutes=5).total_seconds())
        stand.world.take_events()
        stand.world.messages.clear()
        functions.park(SWEEP)
        sent = [body for _, body in functions.sent()]
        stand.world.messages.clear()
        functions.park(*sent)
        functions.start(SWEEP_STARTS)

    assert stand.instance(instance_id).devices == ()


class TestAFullQueue:
    def fill(self, stand: Stand, messages: int) -> None:
        now = stand.world.clock.now
        stand.world.messages += [Message(f"m-{n}", QUEUE_URL, "{}", now) for n in range(messages)]

    def test_makes_a_sweep_wait_for_the_next_one(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        self.fill(stand, 500)

        assert functions.park(SWEEP) == []
        added = stand.world.messages[500:]
        assert {json.loads(message.body)["detail-type"] for message in added} <= {WAKE}
        assert len(added) == 4 - stand.clock.now().minute % 5

    def test_of_one_batch_does_not(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        self.fill(stand, 100)
        functions.park(SWEEP)

        assert instance_id in stand.world.messages[-1].body


class TestLooksAgain:
    @pytest.mark.parametrize(
        ("seconds", "looks", "sent"),
        [(899.2, 0, [900]), (900, 5, [900]), (900.1, 0, []), (30, 5, [30]), (30, 6, [])],
        ids=["rounded up", "the most that SQS delays", "more than that", "the sixth in a row", "the seventh"],
    )
    def test_what_takes_longer_or_too_often_is_left_to_the_sweep(
        self, functions: Functions, seconds: float, looks: int, sent: list[float]
    ) -> None:
        decision = Decision(reason="it is not time yet", look_again=timedelta(seconds=seconds))
        park = functions.load("park")
        park._look_again([Result(observation=seen(), decision=decision)], {ID: looks}, park.regions.home)

        assert [delay for delay, _ in functions.sent()] == sent


class TestTurns:
    """How long a batch may hold up the batches after it."""

    @pytest.mark.parametrize(
        ("messages", "waiting", "seconds"),
        [(0, 0, 0), (1, 0, 120), (189, 19_000, 120), (190, 19_000, 1.2), (190, 380, 60), (190, 7, 120)],
        ids=["none", "one", "not full", "a hundred batches wait", "one more batch waits", "fewer than SQS counted"],
    )
    def test_each_message_has_its_turn_within_two_minutes_of_both_functions(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, messages: int, waiting: int, seconds: float
    ) -> None:
        """Of a batch that is not full nobody waits, whatever SQS says."""
        park = functions.load("park")
        turns: list[float] = []

        def begin(*, turn: datetime, deadline: datetime) -> bool:
            assert deadline - functions.stand.clock.now() == timedelta(seconds=57)
            turns.append((turn - functions.stand.clock.now()).total_seconds())
            return False

        monkeypatch.setattr(park, "_waiting", lambda: waiting)
        monkeypatch.setattr(park.regions.home.pace, "begin", begin)
        park.handler({"Records": [sqs_record(f"m{n}", "no message of ours") for n in range(messages)]}, Context())

        assert turns == [pytest.approx(seconds)]
