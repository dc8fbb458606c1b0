"""Snapshots that cannot be discarded, because an AMI, AWS Backup, a lock or another account is in the way: they are
kept, locked and told once, and hold up no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from park_volumes.core.facts import Kept, SnapshotRecord
from park_volumes.core.park import needs_park_pass, park
from park_volumes.core.retention import superseded_while_parked
from park_volumes.core.steps import DiscardSnapshot, LockSnapshot, Outcome
from park_volumes.core.tags import KEPT, TAGS_PER_RESOURCE
from park_volumes.report import Kind
from tests.model import judge
from tests.model.faults import Call, Fault
from tests.model.records import OF_BACKUP, Snapshot
from tests.unit.facts import (
    DATA,
    ID,
    LAUNCHED,
    NOW,
    ROOT,
    SETTINGS,
    attachment,
    parked,
    record,
    records,
    seen,
    steps_of,
    volume,
)
from tests.unit.functions import REMINDER, SWEEP, Context, Functions, sqs_record
from tests.unit.passes import ROOT as ROOT_DISK
from tests.unit.passes import Stand
from tests.unit.test_park import Days

HOUR, DAY = 3600, 86400
STRANGER = "111122223333"


class Life:
    """An instance that is started and parked again and again, and the sweeps of its days."""

    def __init__(self, stand: Stand, functions: Functions) -> None:
        self.stand, self.functions = stand, functions
        self.instance_id = stand.parked()

    def start(self) -> None:
        self.stand.start_pass().start(self.instance_id)
        self.stand.after(61)
        self.stand.start_pass().settle([self.instance_id])
        self.stand.after(300)
        self.stand.start_pass().settle([self.instance_id])

    def park(self) -> None:
        self.stand.stop(self.instance_id)
        for _ in range(12):
            self.stand.step(self.instance_id)
        assert self.stand.instance(self.instance_id).devices == ()

    def runs_a_day(self) -> None:
        self.start()
        self.stand.after(DAY)
        self.sweep()

    def sweep(self, kind: dict[str, Any] = SWEEP) -> None:
        self.functions.park(kind)
        self.functions.park(*(body for _, body in self.functions.sent()))
        self.stand.world.take_messages()

    @property
    def snapshots(self) -> list[Snapshot]:
        return list(self.stand.world.snapshots.current())

    def of(self, device: str) -> Snapshot:
        return next(s for s in self.snapshots if s.tags["park-volumes:device"] == device)

    def is_there(self, snapshot: Snapshot) -> Snapshot:
        found = self.stand.world.snapshots.get(snapshot.id)
        assert found is not None
        return found

    def told(self) -> list[str]:
        """What was told of snapshots that are kept, each event."""
        return [str(e["Detail"]) for e in self.functions.events if e["DetailType"] == Kind.ORPHANED]


@pytest.fixture
def life(stand: Stand, functions: Functions) -> Life:
    return Life(stand, functions)


def image_of(life: Life, snapshot: Snapshot) -> str:
    mapping = {"DeviceName": ROOT_DISK.device, "Ebs": {"SnapshotId": snapshot.id}}
    made = life.stand.owner.register_image(Name="golden", BlockDeviceMappings=[mapping])
    return str(made["ImageId"])


def put_under_backup(life: Life, snapshot: Snapshot) -> str:
    found = life.is_there(snapshot)
    life.stand.world.snapshots.put(found._replace(facts={OF_BACKUP: True}), life.stand.world.clock.now)
    return "managed by the AWS Backup service"


def lock_for_compliance(life: Life, snapshot: Snapshot) -> str:
    life.stand.owner.lock_snapshot(SnapshotId=snapshot.id, LockMode="compliance", LockDuration=1000)
    return "is locked and cannot be deleted"


def share(life: Life, snapshot: Snapshot) -> str:
    life.stand.owner.modify_snapshot_attribute(
        SnapshotId=snapshot.id, Attribute="createVolumePermission", OperationType="add", UserIds=[STRANGER]
    )
    return f"it is shared with {STRANGER}"


OBSTACLES = pytest.mark.parametrize("obstruct", [image_of, put_under_backup, lock_for_compliance, share])


class TestASnapshotInTheWay:
    @OBSTACLES
    def test_is_kept_locked_and_told_once_and_the_others_go(self, life: Life, obstruct: Any) -> None:
        first = life.of(ROOT_DISK.device)
        words = obstruct(life, first)
        life.runs_a_day()

        assert [s.id for s in life.snapshots] == [first.id]
        assert life.is_there(first).lock
        (told,) = life.told()
        assert first.id in told
        assert words in told
        for _ in range(5):
            life.sweep(REMINDER)
            life.stand.after(DAY)
        assert len(life.told()) == 1
        assert judge.problems(life.stand.world) == []

    def test_does_not_let_the_snapshots_grow_over_ten_cycles(self, life: Life) -> None:
        first = life.of(ROOT_DISK.device)
        image = image_of(life, first)
        numbers = []
        for _ in range(10):
            life.runs_a_day()
            life.park()
            numbers.append(len(life.snapshots))

        assert numbers == [3] * 10
        assert life.is_there(first).lock
        (told,) = life.told()
        assert image in told

    def test_is_not_tried_at_every_sweep(self, life: Life) -> None:
        image_of(life, life.of(ROOT_DISK.device))
        life.runs_a_day()
        asked: list[str] = []
        life.stand.world.on_call = lambda operation, _: asked.append(operation)
        for _ in range(10):
            life.stand.after(300)
            life.sweep()

        assert set(asked) <= {"DescribeInstances", "DescribeSnapshots", "DescribeVolumes", "GetQueueAttributes"}

    def test_is_shown_where_the_instance_is_shown(self, life: Life) -> None:
        first = life.of(ROOT_DISK.device)
        image = image_of(life, first)
        life.runs_a_day()
        (result,) = life.stand.step(life.instance_id)

        assert f"{first.id} is kept: The snapshot {first.id} is currently in use by {image}." in result.decision.reason
        assert result.decision.outcome is Outcome.DONE

    def test_goes_a_day_later_if_nothing_is_in_the_way_any_more(self, life: Life) -> None:
        first = life.of(ROOT_DISK.device)
        image = image_of(life, first)
        life.runs_a_day()
        life.stand.owner.deregister_image(ImageId=image)
        life.stand.after(DAY)
        life.stand.step(life.instance_id)

        assert life.snapshots == []

    def test_that_only_another_account_uses_stays_locked_all_the_time(self, life: Life) -> None:
        first = life.of(ROOT_DISK.device)
        share(life, first)
        asked: list[str] = []
        life.stand.world.on_call = lambda operation, params: asked.append(f"{operation} {params.get('SnapshotId')}")
        life.runs_a_day()

        assert not {f"UnlockSnapshot {first.id}", f"DeleteSnapshot {first.id}"} & set(asked)

    def test_on_which_nothing_can_be_written_holds_up_no_other_and_is_told_once_by_each_function(
        self, life: Life
    ) -> None:
        first = life.of(ROOT_DISK.device)
        image_of(life, first)
        life.start()
        room = TAGS_PER_RESOURCE - len(life.is_there(first).tags)
        full = [{"Key": f"filler-{n}", "Value": ""} for n in range(room)]
        life.stand.owner.create_tags(Resources=[first.id], Tags=full)
        life.stand.after(DAY)
        park_function = life.functions.load("park")
        looks = {"detail-type": "Look Again", "detail": {"instance-ids": [life.instance_id]}}
        for _ in range(5):
            life.stand.after(300)
            park_function.handler({"Records": [sqs_record("m", looks)]}, Context())

        assert [s.id for s in life.snapshots] == [first.id]
        assert KEPT not in life.is_there(first).tags
        assert life.is_there(first).lock
        assert len(life.told()) == 1

    def test_that_a_dead_pass_has_unlocked_is_locked_again_by_the_next(self, life: Life) -> None:
        first = life.of(ROOT_DISK.device)
        image_of(life, first)
        life.start()
        life.stand.owner.unlock_snapshot(SnapshotId=first.id)
        life.stand.after(DAY)
        life.sweep()

        assert life.is_there(first).lock


class TestWhatMayStillGoOn:
    @pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.THROTTLED, Fault.NOT_SENT, Fault.SERVER_ERROR_AFTER])
    def test_an_error_of_the_moment_ends_the_pass_so_that_no_link_is_lost(self, life: Life, fault: Fault) -> None:
        life.start()
        life.stand.after(DAY)
        oldest = life.of(ROOT_DISK.device)

        def plan(call: Call) -> Fault | None:
            hit = call.operation == "DeleteSnapshot" and call.params["SnapshotId"] == oldest.id
            return fault if hit else None

        (result,) = life.stand.step(life.instance_id, faults=plan)
        assert not result.complete
        assert result.kept == {}
        life.stand.step(life.instance_id)
        assert life.snapshots == []

    def test_a_denial_of_one_snapshot_holds_up_no_other(self, life: Life) -> None:
        life.start()
        life.stand.after(DAY)
        first = life.of(ROOT_DISK.device)

        def plan(call: Call) -> Fault | None:
            hit = call.operation == "DeleteSnapshot" and call.params["SnapshotId"] == first.id
            return Fault.DENIED if hit else None

        (result,) = life.stand.step(life.instance_id, faults=plan)
        assert list(result.kept) == [first.id]
        assert [s.id for s in life.snapshots] == [first.id]

    def test_where_nobody_may_ask_whether_it_is_shared_nothing_is_discarded(self, life: Life) -> None:
        life.start()
        life.stand.after(DAY)

        def plan(call: Call) -> Fault | None:
            return Fault.DENIED if call.operation == "DescribeSnapshotAttribute" else None

        life.stand.step(life.instance_id, faults=plan)
        assert len(life.snapshots) == 2
        assert all(s.lock for s in life.snapshots)


class TestWhileParked:
    def test_two_days_after_an_hour_two_volumes_have_two_snapshots(self, life: Life) -> None:
        before = {s.id for s in life.snapshots}
        life.start()
        life.stand.after(HOUR)
        life.park()
        assert len(life.snapshots) == 4
        life.stand.after(2 * DAY)
        life.sweep()

        assert len(life.snapshots) == 2
        assert not before & {s.id for s in life.snapshots}
        assert life.functions.post("db", "start").status == 202
        assert life.stand.instance(life.instance_id).state == "pending"
        assert judge.problems(life.stand.world) == []

    def test_the_sweep_looks_at_nothing_once_they_are_gone(self, life: Life) -> None:
        life.start()
        life.park()
        life.stand.after(2 * DAY)
        life.sweep()

        assert life.stand.swept() == []

    def test_one_in_the_way_is_tried_again_every_day(self, life: Life) -> None:
        image = image_of(life, life.of(ROOT_DISK.device))
        life.start()
        life.park()
        life.stand.after(2 * DAY)
        life.sweep()
        assert len(life.snapshots) == 3
        assert len(life.told()) == 1
        life.stand.after(DAY)
        life.sweep()
        assert len(life.told()) == 1
        life.stand.owner.deregister_image(ImageId=image)
        life.stand.after(DAY)
        life.sweep()

        assert len(life.snapshots) == 2


def earlier(of: str, **facts: Any) -> SnapshotRecord:
    """The snapshot from which the volume was created whose snapshot is the latest of this device."""
    word = "root" if of == ROOT else "data"
    before: dict[str, Any] = {
        "device": of,
        "snapshot_id": f"snap-before-{word}",
        "volume_id": f"vol-before-{word}",
        "launch_time": LAUNCHED - timedelta(days=2),
        "started": LAUNCHED - timedelta(days=1),
        "generation": "before",
    }
    return record(**(before | facts))


def with_source(device: str) -> SnapshotRecord:
    word = "root" if device == ROOT else "data"
    mine = next(r for r in records() if r.device == device)
    return replace(mine, source=f"snap-before-{word}")


class TestWhichAreSupersededWhileParked:
    LATER = LAUNCHED + SETTINGS.snapshot_retention

    def ids(self, *every: SnapshotRecord, now: datetime = LATER) -> list[str]:
        return [r.snapshot_id for r in superseded_while_parked(seen(records=every), SETTINGS, now)]

    def test_those_that_the_latest_continue_for_long_enough(self) -> None:
        both = (with_source(DATA), with_source(ROOT), earlier(DATA), earlier(ROOT))

        assert self.ids(*both) == ["snap-before-data", "snap-before-root"]
        assert self.ids(*both, now=self.LATER - timedelta(seconds=1)) == []

    def test_those_of_a_volume_that_stays_attached_too(self) -> None:
        root = replace(with_source(ROOT), part=1, parts=1)
        every = (root, earlier(ROOT), earlier(DATA))
        staying = volume("vol-new", attachment(DATA), snapshot_id="snap-before-data")
        s = seen(staying, records=every)

        assert [r.snapshot_id for r in superseded_while_parked(s, SETTINGS, self.LATER)] == [
            "snap-before-root",
            "snap-before-data",
        ]
        torn = replace(s, volumes=())
        assert [r.snapshot_id for r in superseded_while_parked(torn, SETTINGS, self.LATER)] == ["snap-before-root"]

    def test_none_that_the_latest_do_not_continue(self) -> None:
        assert self.ids(*records(), earlier(DATA), earlier(ROOT)) == []

    def test_none_of_another_device(self) -> None:
        assert self.ids(with_source(DATA), with_source(ROOT), earlier(ROOT, device=DATA)) == []

    def test_never_one_of_this_stop(self) -> None:
        twin = record(ROOT, snapshot_id="snap-twin", confirmed_at=None)

        assert self.ids(*records(), twin, now=NOW + timedelta(days=365)) == []

    def test_none_that_is_on_its_way_to_the_archive(self) -> None:
        s = seen(records=[with_source(DATA), with_source(ROOT), earlier(ROOT)])

        assert superseded_while_parked(replace(s, moving=frozenset({"snap-before-root"})), SETTINGS, NOW) == []

    def test_none_while_the_latest_are_not_locked(self) -> None:
        every = [with_source(DATA), with_source(ROOT), earlier(ROOT)]
        decision = park(seen(records=every, locked=()), SETTINGS, self.LATER)

        assert decision.steps == (tuple(LockSnapshot(snapshot_id=i) for i in ("snap-data", "snap-root")),)

    def test_none_while_one_of_the_latest_is_missing(self) -> None:
        decision = park(seen(records=[with_source(ROOT), earlier(ROOT)]), SETTINGS, self.LATER)

        assert not steps_of(decision, DiscardSnapshot)

    def test_none_that_was_tried_within_a_day(self) -> None:
        kept = Kept(at=self.LATER - timedelta(hours=23), words="in use")
        every = [with_source(DATA), with_source(ROOT), earlier(ROOT, kept=kept)]

        assert self.ids(*every) == []
        assert self.ids(*every, now=self.LATER + timedelta(hours=1)) == ["snap-before-root"]
        assert not needs_park_pass(seen(records=every), SETTINGS, self.LATER)
        assert needs_park_pass(seen(records=every), SETTINGS, self.LATER + timedelta(hours=1))

    def test_the_sweep_knows_without_the_volumes(self) -> None:
        every = [with_source(DATA), with_source(ROOT), earlier(ROOT)]

        assert needs_park_pass(seen(records=every), SETTINGS, self.LATER)
        assert not needs_park_pass(parked(), SETTINGS, self.LATER)


class TestARunningInstance:
    def test_does_not_tell_every_day_of_what_was_told(self) -> None:
        days = Days(2)
        kept = replace(days.records[0], source="", kept=Kept(at=days.launches[2], words="in use by ami-1"))
        youngest = replace(days.records[1], source="")
        s = replace(days.seen, records=(kept, youngest))
        decision = park(s, SETTINGS, days.launches[2] + timedelta(hours=1))

        assert decision.outcome is Outcome.DONE
        assert decision.reason == f"{ID} is running. snap-0 is kept: in use by ami-1."
