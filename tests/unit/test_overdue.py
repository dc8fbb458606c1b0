"""Nothing lasts in silence: what takes longer than it should is told once and then daily, with EC2's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from park_volumes.aws.errors import INVALID, Ec2Error
from park_volumes.aws.reads import Ec2Reads
from park_volumes.core.due import PATIENCE, PER_GIB, THAWING, dismantling, restoring
from park_volumes.core.facts import Instance, Observation, Volume
from park_volumes.core.overdue import Overdue, overdue
from park_volumes.core.park import needs_park_pass, park
from park_volumes.core.phase import PHASES, Phase, Row, phase_of
from park_volumes.core.start import Intent, start
from park_volumes.core.status import NEEDS_ATTENTION, status
from park_volumes.core.steps import Outcome, going_on
from park_volumes.report import AGAIN, Kind, advice_on
from park_volumes.run.observe import observe_instances
from tests.model.faults import Lag
from tests.model.records import Rules
from tests.model.validation import Refused
from tests.model.world import World
from tests.unit import facts
from tests.unit.facts import DATA, ID, MARKED, NOW, ROOT, SETTINGS, attachment, change, in_transit
from tests.unit.functions import REMINDER, SWEEP, SWEEP_STARTS, Functions, sqs_record, state_change
from tests.unit.passes import DATA as DATA_DISK
from tests.unit.passes import Stand

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def late(s: Observation, now: datetime) -> Overdue | None:
    return overdue(s, park(s, SETTINGS, now), SETTINGS, now)


def told_at(s: Observation) -> datetime:
    """The first minute at which it is told; it is not before, and is from then on."""
    now = NOW
    while late(s, now) is None:
        now += MINUTE
        assert now < NOW + timedelta(days=30), "it is never told"
    assert late(s, now + timedelta(days=1))
    return now


def stopped_at(at: datetime, *volumes: Volume, **more: Any) -> Observation:
    return facts.seen(*volumes, stopped_at=at, **more)


def test_it_is_news_for_65_minutes() -> None:
    """A sweep comes at least once an hour, and so finds it while it is news."""
    found = Overdue(by=NOW, what="", remedy="")

    assert found.is_news(NOW + 65 * MINUTE - timedelta(seconds=1))
    assert not found.is_news(NOW + 65 * MINUTE)


class TestTheTable:
    @pytest.mark.parametrize("row", PHASES, ids=lambda row: row.phase.name)
    def test_says_what_to_do_wherever_something_can_take_too_long(self, row: Row) -> None:
        assert bool(row.takes) == bool(row.remedy)

    def test_lets_no_phase_that_is_on_its_way_last_in_silence(self) -> None:
        silent = {row.phase for row in PHASES if not row.takes}

        assert silent == {Phase.ENDED, Phase.BROKEN}


class TestWhole:
    def test_an_attachment_that_stays_busy_is_told_an_hour_after_the_stop(self) -> None:
        busy = facts.volume("vol-data", attachment(DATA, state="busy"), size=100)
        s = stopped_at(NOW, facts.root_volume(), busy)

        assert NOW + PATIENCE <= told_at(s) <= NOW + PATIENCE + 5 * MINUTE
        found = late(s, NOW + 2 * HOUR)
        assert found is not None
        assert f"vol-data at {DATA} is busy" in found.what
        assert "detach-volume --force" in found.remedy

    def test_an_attachment_that_is_not_finished_is_told_an_hour_after_it_began(self) -> None:
        attaching = facts.volume("vol-data", attachment(DATA, state="attaching", attach_time=NOW))
        s = stopped_at(NOW - 5 * HOUR, facts.root_volume(), attaching)

        assert NOW + PATIENCE <= told_at(s) <= NOW + PATIENCE + 5 * MINUTE

    @pytest.mark.parametrize("size", [8, 100, 1000])
    def test_a_snapshot_is_given_time_by_its_size(self, size: int) -> None:
        s = stopped_at(NOW - HOUR, facts.root_volume(size=size))
        s = replace(facts.with_snapshots(s), records=())
        pending = [replace(r, state="pending", progress="0%", started=NOW) for r in facts.with_snapshots(s).records]
        s = replace(s, records=tuple(pending))
        by = NOW + PATIENCE + size * PER_GIB

        assert by <= told_at(s) <= by + 5 * MINUTE
        found = late(s, by + HOUR)
        assert found is not None
        assert f"of {ROOT} is pending at 0%" in found.what

    def test_one_whose_snapshots_are_only_now_taken_is_not_late_however_long_it_has_been_stopped(self) -> None:
        """It was opted in a week after its stop."""
        assert late(stopped_at(NOW - timedelta(days=7), facts.root_volume()), NOW) is None

    def test_one_that_is_refused_is_not_late(self) -> None:
        s = stopped_at(NOW - timedelta(days=7), facts.root_volume(), lifecycle="spot")

        assert late(s, NOW) is None

    def test_one_that_only_observes_is_not_late(self) -> None:
        s = facts.given_up()
        decision = going_on("It is on its way.")

        assert overdue(s, decision, SETTINGS, NOW + 9 * HOUR)
        assert overdue(s, replace(decision, outcome=Outcome.OBSERVED), SETTINGS, NOW + 9 * HOUR) is None

    def test_a_modification_of_a_large_volume_is_given_its_time(self) -> None:
        s = stopped_at(NOW - 5 * HOUR, facts.root_volume(size=1000))
        s = replace(s, modifying=frozenset({"vol-root"}), since={"vol-root": NOW - HOUR})
        by = NOW + 1000 * PER_GIB

        assert late(s, by - 5 * MINUTE) is None
        found = late(s, by + 5 * MINUTE)
        assert found is not None
        assert "vol-root is being modified" in found.what

    def test_without_the_time_of_its_stop_the_last_attachment_counts(self) -> None:
        busy = facts.volume("vol-data", attachment(DATA, state="busy", attach_time=NOW))
        s = facts.seen(facts.root_volume(), busy)

        assert NOW + PATIENCE <= told_at(s) <= NOW + PATIENCE + 5 * MINUTE


class TestFromTheLockOn:
    def test_a_lock_that_nobody_confirms_is_told(self) -> None:
        root, data = facts.given_up().volumes
        s = facts.seen(root, data, records=facts.records(confirmed_at=None))
        by = MARKED + SETTINGS.lock_period + PATIENCE

        assert phase_of(s) is Phase.LOCK_VOID
        assert late(s, by - MINUTE) is None
        assert late(s, by + MINUTE)

    def test_a_root_volume_that_does_not_leave_is_told(self) -> None:
        _, data = facts.given_up().volumes
        root = in_transit(facts.volume("vol-root", state="in-use"))
        s = facts.seen(root, data, records=facts.records())
        found = late(s, MARKED + SETTINGS.lock_period + PATIENCE + MINUTE)

        assert phase_of(s) is Phase.LOCKED
        assert found is not None

    def test_a_data_volume_that_does_not_leave_is_told(self) -> None:
        data = in_transit(facts.volume("vol-data", attachment(DATA, state="detaching")))
        s = facts.seen(data, records=facts.records())
        by = MARKED + SETTINGS.lock_period + PATIENCE + 8 * PER_GIB

        assert phase_of(s) is Phase.COMMITTED
        assert late(s, by - MINUTE) is None
        found = late(s, by + MINUTE)
        assert found is not None
        assert f"vol-data at {DATA} is detaching" in found.what

    def test_a_volume_of_which_another_snapshot_was_taken_is_given_its_time_from_then_on(self) -> None:
        again = facts.record(DATA, snapshot_id="snap-again", started=NOW, confirmed_at=MARKED)
        failed = replace(again, snapshot_id="snap-failed", started=NOW + HOUR, state="error")
        s = facts.seen(in_transit(facts.data_volume()), records=[*facts.records(), again, failed])

        assert dismantling(s, SETTINGS) == NOW + SETTINGS.lock_period + PATIENCE + 8 * PER_GIB

    def test_a_volume_that_stays_in_creation_is_told(self) -> None:
        made = facts.restored(facts.records()[0], state="creating", created=NOW)
        s = facts.seen(made, records=facts.records())

        assert late(s, NOW + PATIENCE - MINUTE) is None
        found = late(s, NOW + PATIENCE)
        assert found is not None
        assert f"{made.id} is creating" in found.what

    def test_a_volume_with_a_rate_is_given_the_time_to_load(self) -> None:
        made = facts.restored(facts.records()[0], state="creating", created=NOW, size=1000)
        s = facts.seen(made, records=facts.records())
        rated = replace(SETTINGS, volume_initialization_rate=100)
        by = NOW + PATIENCE + timedelta(seconds=10_240)

        def found(now: datetime) -> Overdue | None:
            return overdue(s, park(s, rated, now), rated, now)

        assert found(by - MINUTE) is None
        assert found(by)

    def test_the_largest_of_several_counts(self) -> None:
        small, large = (
            facts.restored(r, state="creating", created=NOW, size=size)
            for r, size in zip(facts.records(), (1, 1000), strict=True)
        )
        rated = replace(SETTINGS, volume_initialization_rate=100)

        assert restoring(facts.seen(small, large, records=facts.records()), rated) == (
            NOW + PATIENCE + timedelta(seconds=10_240)
        )

    def test_snapshots_that_do_not_come_back_from_the_archive_are_told_after_three_days(self) -> None:
        asked = NOW + THAWING + PATIENCE / 2
        every = facts.records(archived=True, start_requested=asked)
        s = facts.seen(records=every)
        s = replace(s, moving=frozenset({"snap-data"}), since={"snap-data": NOW})

        def found(now: datetime) -> Overdue | None:
            again = replace(s, records=facts.records(archived=True, start_requested=now))
            return overdue(again, start(again, SETTINGS, now, intent=Intent.SWEEP), SETTINGS, now)

        assert found(NOW + THAWING) is None
        assert found(NOW + THAWING + PATIENCE)
        shown = status(
            replace(s, records=facts.records(archived=True, start_requested=asked)), SETTINGS, asked + PATIENCE / 2
        )
        assert shown["state"] == NEEDS_ATTENTION

    def test_what_is_parked_and_wanted_by_nobody_is_not_late(self) -> None:
        assert late(facts.parked(), NOW + timedelta(days=365)) is None


class TestOthers:
    @pytest.mark.parametrize("state", ["stopping", "shutting-down"])
    def test_a_stop_that_does_not_end_is_told_and_the_sweep_looks(self, state: str) -> None:
        s = change(facts.seen(facts.root_volume()), state=state, stopped_at=NOW)

        assert late(s, NOW + PATIENCE - MINUTE) is None
        found = late(s, NOW + PATIENCE)
        assert found is not None
        assert f"{ID} is {state}" in found.what
        assert not needs_park_pass(s, SETTINGS, NOW + PATIENCE - MINUTE)
        assert needs_park_pass(s, SETTINGS, NOW + PATIENCE)

    def test_a_start_that_does_not_end_is_told(self) -> None:
        s = change(facts.seen(facts.root_volume()), state="pending", launch_time=NOW)

        assert late(s, NOW + PATIENCE)

    def test_a_volume_that_cannot_be_settled_is_told(self) -> None:
        root = in_transit(facts.root_volume())
        s = facts.seen(root, records=facts.records(), state="running", launch_time=NOW)

        assert late(s, NOW + SETTINGS.settle_period + PATIENCE + MINUTE)

    def test_one_that_runs_while_a_volume_in_transit_is_attached_nowhere_is_shown_as_running(self) -> None:
        left = in_transit(facts.volume("vol-data"))
        s = facts.seen(facts.root_volume(), left, records=facts.records(), state="running", launch_time=NOW)

        assert [v.attachment for v in s.in_transit] == [None]
        assert status(s, SETTINGS, NOW)["state"] == "running"

    def test_one_that_runs_with_everything_settled_is_not_late(self) -> None:
        s = facts.seen(facts.root_volume(), records=facts.records(), state="running", launch_time=NOW)

        assert late(s, NOW + timedelta(days=9)) is None


# On the model, through the functions.


def stuck_snapshot(stand: Stand) -> str:
    instance_id = stand.stopped()
    stand.step(instance_id)
    for s in stand.world.snapshots.current():
        stand.world.hold(s.id)
    return instance_id


def busy_attachment(stand: Stand) -> str:
    instance_id = stand.stopped()
    stand.world.make_busy(stand.instance(instance_id).devices[1].volume_id)
    return instance_id


def stuck_detachment(stand: Stand) -> str:
    instance_id = stand.stopped()
    stand.world.hold(stand.instance(instance_id).devices[0].volume_id)
    for _ in range(4):
        stand.step(instance_id)
    return instance_id


def stuck_creation(stand: Stand) -> str:
    instance_id = stand.parked()
    stand.start_pass(lasts=timedelta(seconds=4)).start(instance_id)
    for v in stand.world.volumes.current():
        stand.world.hold(v.id)
    return instance_id


STUCK = pytest.mark.parametrize("stick", [stuck_snapshot, busy_attachment, stuck_detachment, stuck_creation])


def sweeps(stand: Stand, functions: Functions, hours: float) -> None:
    """A sweep every quarter of an hour; each run of a function is a new one."""
    for _ in range(int(4 * hours)):
        stand.after(900)
        functions.park(SWEEP)
        functions.park(*(body for _, body in functions.sent()))
        stand.world.take_messages()


@pytest.fixture
def one_function(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """A function that stays warm: it remembers what it has told."""
    loaded = functions.load("park")
    monkeypatch.setattr(functions, "load", lambda name: loaded if name == "park" else Functions.load(functions, name))
    return functions


class TestTheSweeps:
    @STUCK
    def test_tell_it_once_and_the_reminder_daily(
        self, stand: Stand, one_function: Functions, stick: Callable[[Stand], str]
    ) -> None:
        instance_id = stick(stand)
        sweeps(stand, one_function, 8)
        told = [e for e in one_function.events if e["DetailType"] == Kind.OVERDUE]

        assert [json.loads(e["Detail"])["instance-id"] for e in told] == [instance_id]
        assert "This should have been over by" in json.loads(told[0]["Detail"])["what"]
        one_function.park(REMINDER)
        one_function.park(*(body for _, body in one_function.sent()))
        assert [kind for kind, _ in one_function.reported()].count(Kind.OVERDUE) == 2

    @STUCK
    def test_show_it_where_the_instance_is_shown(
        self, stand: Stand, functions: Functions, stick: Callable[[Stand], str]
    ) -> None:
        stick(stand)
        stand.after(8 * 3600)
        shown = functions.get("db").body

        assert shown["state"] == NEEDS_ATTENTION
        assert "EC2 says now: " in shown["detail"]

    def test_let_it_count_for_the_alarm_without_any_mark(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stuck_snapshot(stand)
        sweeps(stand, functions, 8)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"TransitAge"' in line]

        assert max(age for line in lines for age in line["TransitAge"]) > 5 * 3600

    def test_say_nothing_of_one_that_is_parked_as_it_should(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        for _ in range(100):
            stand.after(60)
            functions.deliver()
            functions.park(SWEEP)
            functions.start(SWEEP_STARTS)

        assert [kind for kind, _ in functions.reported()] == [Kind.PARKED]


class TestADeviceThatEc2DoesNotAccept:
    @pytest.fixture
    def stand(self) -> Stand:
        return Stand(World(rules=Rules(refused_devices=frozenset({DATA_DISK.device}))))

    def test_is_an_error_with_ec2s_sentence_and_no_race(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        reply = functions.post("db", "start")

        assert reply.status == 502
        assert "Value (/dev/sdf) for parameter device is invalid" in reply.message
        (event,) = [e for e in functions.events if e["DetailType"] == Kind.START_FAILED]
        told = json.loads(event["Detail"])
        assert "for parameter device is invalid" in told["what"]
        assert "does not help: correct" in told["advice"]

    def test_is_a_race_as_long_as_ec2_does_not_show_the_instance(
        self, stand: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether the device is still free is not known then: the next look tries once more."""
        instance_id = stand.parked()
        read, tried, hidden = Ec2Reads.instances, list[str](), list[Instance]()
        stand.world.on_call = lambda operation, _: tried.extend([operation] if operation == "AttachVolume" else [])

        def lagging(reads: Ec2Reads, ids: Iterable[str]) -> list[Instance]:
            found = read(reads, ids)
            if hidden or not tried:
                return found
            hidden.extend(found)
            return []

        monkeypatch.setattr(Ec2Reads, "instances", lagging)
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert (len(hidden), len(tried)) == (1, 2)
        assert "for parameter device is invalid" in str(result.error)

    def test_that_another_pass_has_just_taken_is_a_race(self, stand: Stand) -> None:
        stand.world.rules = Rules()
        instance_id = stand.parked()
        volume_id = stand.world.add_volume(DATA_DISK._replace(device=""))
        asked: list[str] = []

        def meddle(operation: str, params: dict[str, object]) -> None:
            if operation == "AttachVolume" and params["VolumeId"] != volume_id and not asked:
                asked.append(operation)
                stand.owner.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=DATA_DISK.device)

        stand.world.on_call = meddle
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.error is None
        assert f"is taken by {volume_id}" in result.decision.reason


class TestAStartThatEc2DoesNotAccept:
    def test_is_an_error_with_ec2s_sentence(self, stand: Stand, functions: Functions) -> None:
        """The code also says that the root volume is missing, which is a race: the words tell the two apart."""
        stand.parked()

        def refuse(operation: str, params: dict[str, Any]) -> None:
            if operation == "StartInstances" and not params.get("DryRun"):
                raise Refused(INVALID, "The Xen hypervisor is gone.")

        stand.world.on_call = refuse
        reply = functions.post("db", "start")

        assert reply.status == 502
        assert "The Xen hypervisor is gone." in reply.message
        assert Kind.START_FAILED in [e["DetailType"] for e in functions.events]

    @pytest.mark.parametrize("lag", [20, 60])
    def test_is_no_error_where_the_park_side_has_just_detached_the_root_volume(self, stand: Stand, lag: float) -> None:
        instance_id = stand.stopped()
        stand.ready(instance_id)
        reads = stand.ec2().reads
        found = reads.instances([instance_id])
        observation = observe_instances(reads, found, now=stand.clock.now(), locks=False)[instance_id]
        stand.step(instance_id)
        stand.after(5)
        assert stand.instance(instance_id).root is None
        stand.world.lag = Lag(lag, seed=3)
        result = stand.start_pass().start_observed(observation)

        assert result.error is None


class TestTheAdvice:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("UnauthorizedOperation", "A policy does not allow it"),
            ("VolumeLimitExceeded", "A quota is used up"),
            ("SnapshotLimitExceeded", "A quota is used up"),
            ("InvalidSnapshot.InUse", "Something else uses it"),
            ("InvalidParameterValue", "EC2 does not accept it, and trying again does not help"),
        ],
    )
    def test_fits_what_somebody_has_to_mend(self, code: str, words: str) -> None:
        advice = advice_on(Ec2Error("CreateVolume", "vol-1", code, "No.", refused=True))

        assert words in advice
        assert "tries again by itself" not in advice

    @pytest.mark.parametrize("code", ["InternalError", "RequestLimitExceeded", "EndpointConnectionError"])
    def test_says_that_it_is_tried_again_only_where_that_helps(self, code: str) -> None:
        assert advice_on(Ec2Error("CreateVolume", "vol-1", code, "Later.")) == AGAIN

    def test_of_what_nobody_foresaw_says_the_same(self) -> None:
        assert advice_on(ValueError("what?")) == AGAIN


def test_the_event_of_a_stop_tells_at_once_what_has_lasted_too_long(stand: Stand, functions: Functions) -> None:
    instance_id = busy_attachment(stand)
    stand.after(3 * 3600)
    functions.park_batch(sqs_record("m", state_change(instance_id, "stopped")))

    assert functions.reported() == [(Kind.OVERDUE, instance_id)]
