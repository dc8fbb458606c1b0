"""What owners, other tools and people who may write tags do meanwhile: whole passes on the strict model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core import tags
from park_volumes.core.steps import Outcome
from park_volumes.run.execute import Result
from park_volumes.run.observe import observe
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.model.records import Disk, Rules, Snapshot, Volume
from tests.model.world import World
from tests.unit.facts import SETTINGS
from tests.unit.functions import Functions
from tests.unit.passes import DATA, ROOT, Stand

DAY = 24 * 3600


def sweeps(stand: Stand, rounds: int) -> None:
    """Both sides look at everything, again and again."""
    for _ in range(rounds):
        stand.after(300)
        stand.park_pass().park(stand.swept())
        stand.start_pass().sweep()


def started(stand: Stand, instance_id: str) -> dict[str, Volume]:
    """The volumes of the instance by device once it was started and settled."""
    result = stand.start_pass().start(instance_id)
    assert result is not None
    assert result.decision.outcome is Outcome.DONE, result.reason
    sweeps(stand, 2)
    assert stand.instance(instance_id).state == "running"
    assert judge.problems(stand.world) == []
    return attached(stand, instance_id)


def attached(stand: Stand, instance_id: str) -> dict[str, Volume]:
    found = {d.device: stand.world.volumes.get(d.volume_id) for d in stand.instance(instance_id).devices}
    return {device: volume for device, volume in found.items() if volume is not None}


def committed(stand: Stand) -> str:
    """An instance whose root volume is deleted, and whose data volume is not."""
    instance_id = stand.rootless()
    while observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id].marked_root:
        stand.step(instance_id)
    return instance_id


def attach_new(stand: Stand, instance_id: str, device: str, **made: Any) -> str:
    """Its owner creates a volume and attaches it."""
    zone = stand.instance(instance_id).zone
    volume_id = str(stand.owner.create_volume(AvailabilityZone=zone, **made)["VolumeId"])
    stand.after(30)
    stand.owner.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
    stand.after(30)
    return volume_id


def snapshots(stand: Stand) -> list[Snapshot]:
    return list(stand.world.snapshots.current())


def write(stand: Stand, resource_id: str, written: dict[str, str]) -> None:
    stand.owner.create_tags(Resources=[resource_id], Tags=[{"Key": k, "Value": v} for k, v in written.items()])


def reasons(results: list[Result]) -> str:
    return " ".join(r.reason for r in results)


class TestAnOwnerWhoChangesAVolume:
    """Stopping an instance to resize its disk is the most common reason to stop it at all."""

    def change(self, stand: Stand, volume_id: str) -> None:
        stand.owner.modify_volume(VolumeId=volume_id, Size=200, VolumeType="gp3", Iops=4000)
        write(stand, volume_id, {"Owner": "mina"})

    def parked_after(
        self, stand: Stand, moment: str, *disks: Disk, change: Callable[[Stand, str], None] | None = None
    ) -> str:
        """Parked; the data volume was changed between its snapshot and its deletion, at this moment."""
        instance_id = stand.stopped(*disks)
        data = attached(stand, instance_id)[DATA.device].id
        while not self.reached(stand, instance_id, moment):
            stand.step(instance_id)
            stand.after(10)
            assert list(stand.world.volumes.current()), f"It was never {moment}."
        (change or self.change)(stand, data)
        sweeps(stand, 12)
        assert stand.instance(instance_id).devices == ()
        assert list(stand.world.volumes.current()) == []
        assert judge.problems(stand.world) == []
        return instance_id

    def reached(self, stand: Stand, instance_id: str, moment: str) -> bool:
        there = attached(stand, instance_id)
        match moment:
            case "copied":
                return [s.state for s in snapshots(stand)] == ["completed"] * 2
            case "marked":
                return any(tags.MARK in v.tags for v in there.values())
            case "locked":
                return ROOT.device not in there
            case _:
                return len(list(stand.world.volumes.current())) == 1

    @pytest.mark.parametrize("moment", ["copied", "locked", "committed"])
    def test_gets_it_back_as_it_was_when_it_was_deleted(self, stand: Stand, moment: str) -> None:
        instance_id = self.parked_after(stand, moment)
        data = started(stand, instance_id)[DATA.device]

        assert (data.size, data.type, data.iops, data.throughput) == (200, "gp3", 4000, 125)
        assert data.tags == {"Name": "data", "Owner": "mina"}

    @pytest.mark.parametrize("moment", ["copied", "marked", "locked"])
    @pytest.mark.parametrize("flag", [True, False])
    def test_gets_the_flag_back_that_it_had_when_it_was_detached(self, stand: Stand, moment: str, flag: bool) -> None:
        """Nobody switches DeleteOnTermination on again for an owner who has switched it off."""

        def switch(stand: Stand, _: str) -> None:
            (instance,) = stand.world.instances.current()
            mapping = {"DeviceName": DATA.device, "Ebs": {"DeleteOnTermination": flag}}
            stand.owner.modify_instance_attribute(InstanceId=instance.id, BlockDeviceMappings=[mapping])

        data = DATA._replace(delete_on_termination=not flag)
        instance_id = self.parked_after(stand, moment, ROOT, data, change=switch)
        started(stand, instance_id)

        flags = {d.device: d.delete_on_termination for d in stand.instance(instance_id).devices}
        assert flags == {ROOT.device: ROOT.delete_on_termination, DATA.device: flag}

    def test_is_waited_for_until_the_modification_is_finished(self, stand: Stand) -> None:
        stand.world.durations = replace(stand.world.durations, optimize=1200)
        instance_id = stand.stopped()
        data = attached(stand, instance_id)[DATA.device].id
        self.change(stand, data)
        results = stand.step(instance_id)

        assert f"Somebody is modifying {data} of {instance_id}" in reasons(results)
        assert snapshots(stand) == []
        stand.after(1300)
        stand.step(instance_id)
        assert [s.size for s in snapshots(stand)] == [200, 32]


class TestSomebodyWhoTakesSnapshotsToo:
    def test_is_waited_for(self, stand: Stand) -> None:
        """AWS Backup begins just as the instance is stopped."""
        instance_id = stand.stopped()
        data = attached(stand, instance_id)[DATA.device].id
        stand.world.durations = replace(stand.world.durations, snapshot=1200)
        backup = stand.owner.create_snapshot(VolumeId=data, Description="This snapshot is created by the AWS Backup")
        results = stand.step(instance_id)

        assert f"Parking {instance_id} waits for somebody else's pending snapshot of {data}" in reasons(results)
        assert [s.id for s in snapshots(stand)] == [backup["SnapshotId"]]
        stand.world.durations = replace(stand.world.durations, snapshot=60)
        stand.after(1300)
        sweeps(stand, 10)
        assert stand.instance(instance_id).devices == ()


class TestACleaner:
    """A tool that tags whatever nothing seems to need."""

    MARKED = {"custodian_cleanup": "delete@2026-12-24", "Name": "nobody's"}  # noqa: RUF012  # never changed

    def test_leaves_no_tag_on_the_live_volumes(self, stand: Stand) -> None:
        instance_id = stand.parked()
        for s in snapshots(stand):
            write(stand, s.id, self.MARKED)

        assert [v.tags for v in started(stand, instance_id).values()] == [{}, {}]

    def test_leaves_the_owners_tags_that_it_did_not_write_over(self, stand: Stand) -> None:
        instance_id = stand.parked()
        for s in snapshots(stand):
            write(stand, s.id, {"custodian_cleanup": "delete@2026-12-24"})
        there = started(stand, instance_id)

        assert {device: v.tags["Name"] for device, v in there.items()} == {ROOT.device: "root", DATA.device: "data"}
        assert not any("custodian_cleanup" in v.tags for v in there.values())


class TestSomebodyWhoForgesTags:
    """With ec2:CreateTags, and nothing else."""

    def test_makes_no_backup_count_as_the_copy_of_a_volume(self, stand: Stand) -> None:
        """Last night's backup gets all tags of the attempt; the snapshots of the attempt itself fail."""
        instance_id = stand.launch()
        backups = {v.id: stand.world.add_snapshot(v.id) for v in attached(stand, instance_id).values()}
        stand.after(3600)
        stand.stop(instance_id)
        stand.step(instance_id, faults=at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS, 2))
        ours = [s for s in snapshots(stand) if s.id not in backups.values()]
        for s in ours:
            write(stand, backups[s.volume_id], dict(s.tags))
        results = stand.step(instance_id)

        assert "failed and is retried in a few minutes" in reasons(results)
        damaged = results[0].observation.damaged
        assert all(any(b in words for words in damaged) for b in backups.values())
        sweeps(stand, 12)
        assert stand.instance(instance_id).devices == ()
        assert set(started(stand, instance_id)) == {ROOT.device, DATA.device}

    def test_makes_no_snapshot_of_ours_count_for_another_volume(self, stand: Stand) -> None:
        """The record of the root volume, copied to the snapshot of the data volume."""
        instance_id = stand.parked()
        of_data, of_root = sorted(snapshots(stand), key=lambda s: s.tags[tags.DEVICE])
        write(stand, of_data.id, dict(of_root.tags))
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert (result.decision.outcome, result.decision.steps) == (Outcome.REFUSED, ())
        assert "are missing: part 1 of 2" in result.reason
        assert f"The tags of snapshot {of_data.id} do not say how to rebuild its volume" in result.reason

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            (tags.VOLUME, "zone=us-east-1a type=gp3 size=999 card=0 delete-on-termination=true"),
            (tags.DEVICE, "/dev/sdz"),
            (tags.GENERATION, "0123456789abcdef"),
            (tags.PART, "1/1"),
            (tags.LAUNCH_TIME, "2026-01-01T00:00:00+00:00"),
        ],
    )
    def test_gets_nothing_restored_but_what_was_recorded(self, stand: Stand, key: str, value: str) -> None:
        instance_id = stand.parked()
        chosen = snapshots(stand)[0]
        write(stand, chosen.id, {key: value})
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.REFUSED
        assert chosen.id in result.reason
        assert list(stand.world.volumes.current()) == []

    def test_gets_no_snapshot_of_anybody_unlocked_or_deleted(self, stand: Stand) -> None:
        stand.parked()
        stranger = stand.world.add_snapshot()
        stand.owner.lock_snapshot(SnapshotId=stranger, LockMode="governance", LockDuration=100)
        copied = dict(snapshots(stand)[0].tags) | {tags.INSTANCE: "i-00000000"}
        write(stand, stranger, copied | {tags.TERMINATED: f"i-00000000 {stand.clock.now().isoformat()}"})
        before = stand.world.find(stranger)
        stand.after(40 * DAY)
        sweeps(stand, 3)

        assert stand.world.find(stranger) == before

    @pytest.mark.parametrize("moment", ["parked", "rootless"])
    @pytest.mark.parametrize("at", ["", "2030-01-01T00:00:00+00:00"])
    def test_gets_no_volume_attached(self, stand: Stand, moment: str, at: str) -> None:
        """A free volume gets the mark of the attempt, or one of another time, and the root device as its place."""
        instance_id = stand.rootless()
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        forged = {key: root.tags[key] for key in (tags.MARK, tags.TARGET)}
        if at:
            forged[tags.MARK] = f"{forged[tags.MARK].rpartition(' ')[0]} {at}"
        if moment == "parked":
            for _ in range(8):
                stand.step(instance_id)
        foreign = stand.world.add_volume(Disk(device="", tags=forged))
        sweeps(stand, 3)
        there = started(stand, instance_id)

        assert set(there) == {ROOT.device, DATA.device}
        assert foreign not in {v.id for v in there.values()}
        volume = stand.world.volumes.get(foreign)
        assert volume is not None
        assert volume.attachments == ()

    def test_moves_no_volume_to_another_device(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        for v in list(stand.world.volumes.current()):
            write(stand, v.id, {tags.TARGET: "/dev/sdz 0 snap-0 true"})
        before = {v.id for v in stand.world.volumes.current()}
        there = started(stand, instance_id)

        assert set(there) == {ROOT.device, DATA.device}
        assert {v.id for v in there.values()} == before

    def test_switches_delete_on_termination_neither_on_nor_off(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        for v in list(stand.world.volumes.current()):
            device, card, snapshot_id, flag = v.tags[tags.TARGET].split(" ")
            write(stand, v.id, {tags.TARGET: f"{device} {card} {snapshot_id} {'false' if flag == 'true' else 'true'}"})
        started(stand, instance_id)

        flags = {d.device: d.delete_on_termination for d in stand.instance(instance_id).devices}
        assert flags == {ROOT.device: True, DATA.device: False}


class TestAnOlderVersion:
    """Its snapshots have a description without a seal."""

    def parked_by_it(self, stand: Stand) -> str:
        instance_id = stand.parked()
        for s in snapshots(stand):
            plain = f"ParkVolumes: {s.tags[tags.DEVICE]} of {instance_id}"
            stand.world.snapshots.put(s._replace(description=plain), stand.world.clock.now)
        return instance_id

    def test_left_instances_that_start(self, stand: Stand) -> None:
        there = started(stand, self.parked_by_it(stand))

        assert {device: (v.size, v.tags["Name"]) for device, v in there.items()} == {
            ROOT.device: (32, "root"),
            DATA.device: (100, "data"),
        }

    @pytest.mark.parametrize("to", [0, 1], ids=["itself", "each other"])
    def test_left_snapshots_that_somebody_may_let_name_each_other_as_their_source(
        self, stand: Stand, functions: Functions, to: int
    ) -> None:
        instance_id = self.parked_by_it(stand)
        ours = snapshots(stand)
        for s, source in zip(ours, (ours[to], ours[1 - to]), strict=True):
            forged = {tags.VOLUME: f"{s.tags[tags.VOLUME]} from={source.id}"}
            stand.world.snapshots.put(s._replace(tags={**s.tags, **forged}), stand.world.clock.now)
        sweeps(stand, 2)

        assert [one["state"] for one in functions.get().body["instances"]] == ["parked"]
        assert functions.post("db", "start").status == 202
        sweeps(stand, 2)
        assert set(attached(stand, instance_id)) == {ROOT.device, DATA.device}

    def test_left_snapshots_that_are_discarded_in_time(self, stand: Stand) -> None:
        started(stand, self.parked_by_it(stand))
        stand.after(2 * DAY)
        sweeps(stand, 2)

        assert snapshots(stand) == []


@pytest.mark.parametrize("attach_times", ["whole seconds", "milliseconds", "missing"])
def test_an_instance_is_parked_again_and_again_however_ec2_tells_the_time_of_an_attachment(attach_times: Any) -> None:
    stand = Stand(World(rules=Rules(attach_times=attach_times)))
    instance_id = stand.parked()
    started(stand, instance_id)
    stand.stop(instance_id)
    sweeps(stand, 10)

    assert stand.instance(instance_id).devices == ()
    assert set(started(stand, instance_id)) == {ROOT.device, DATA.device}


class TestAnOwnerWhoGoesBackToAnEarlierSnapshot:
    """By hand. What was written after that snapshot is in later ones of the same volume, and nowhere else."""

    @pytest.fixture
    def latest(self, stand: Stand) -> dict[str, str]:
        """The snapshots of the second stop, by device. Those of the first one were never given up."""
        instance_id = stand.launch()
        stand.stop(instance_id)
        stand.step(instance_id)
        earlier = {s.tags[tags.DEVICE]: s.id for s in snapshots(stand)}
        stand.after(61)
        stand.owner.start_instances(InstanceIds=[instance_id])
        stand.after(700)
        stand.world.write(instance_id)
        stand.stop(instance_id)
        sweeps(stand, 8)
        assert attached(stand, instance_id) == {}
        for device, snapshot_id in earlier.items():
            attach_new(stand, instance_id, device, SnapshotId=snapshot_id)
        stand.owner.start_instances(InstanceIds=[instance_id])
        stand.after(120)
        return {s.tags[tags.DEVICE]: s.id for s in snapshots(stand) if tags.MARK in s.tags}

    def test_keeps_the_later_ones_while_it_runs_and_is_told_of_them(self, stand: Stand, latest: dict[str, str]) -> None:
        stand.after(2 * DAY)
        sweeps(stand, 3)
        (instance_id,) = (i.id for i in stand.world.instances.current())
        (told,) = stand.park_pass().park([instance_id])

        assert {s.id for s in snapshots(stand)} == set(latest.values())
        assert told.decision.outcome is Outcome.REFUSED
        assert all(snapshot_id in told.reason for snapshot_id in latest.values())

    def test_keeps_the_later_ones_while_it_is_parked_again(self, stand: Stand, latest: dict[str, str]) -> None:
        (instance_id,) = (i.id for i in stand.world.instances.current())
        stand.stop(instance_id)
        sweeps(stand, 8)
        assert attached(stand, instance_id) == {}
        stand.after(2 * DAY)
        sweeps(stand, 3)

        assert set(latest.values()) <= {s.id for s in snapshots(stand)}

    def test_has_the_snapshot_for_a_day_after_its_volume_was_attached(self, stand: Stand) -> None:
        """However long the instance has been running without it."""
        instance_id = stand.parked()
        of_data = next(s.id for s in snapshots(stand) if s.tags[tags.DEVICE] == "/dev/sdf")
        attach_new(stand, instance_id, "/dev/xvda", Size=9)
        stand.owner.start_instances(InstanceIds=[instance_id])
        stand.after(14 * DAY)
        attach_new(stand, instance_id, "/dev/sdf", SnapshotId=of_data)
        stand.after(DAY - 600)
        stand.park_pass().park([instance_id])
        assert of_data in {s.id for s in snapshots(stand)}

        stand.after(1200)
        stand.park_pass().park([instance_id])
        assert of_data not in {s.id for s in snapshots(stand)}


class TestATaggerThatNeverStops:
    """It writes over the owner's tag of every new snapshot, which then no longer says what the volume is."""

    def tag(self, stand: Stand) -> None:
        for s in snapshots(stand):
            if s.tags.get("Name") != "tagger":
                write(stand, s.id, {"Name": "tagger"})

    def test_has_at_most_five_snapshots_taken_of_a_volume_and_is_told_of(self, stand: Stand) -> None:
        instance_id = stand.launch()
        stand.stop(instance_id)
        for _ in range(40):
            stand.after(300)
            (result,) = stand.park_pass().park([instance_id])
            self.tag(stand)

        assert len(snapshots(stand)) == 10
        assert result.decision.outcome is Outcome.REFUSED
        assert "5 snapshots of" in result.reason
        assert set(attached(stand, instance_id)) == {"/dev/xvda", "/dev/sdf"}

        stand.after(DAY)
        stand.park_pass().park([instance_id])
        assert len(snapshots(stand)) == 12

    def test_is_told_to_whoever_starts_an_instance_that_has_lost_its_root_volume(self, stand: Stand) -> None:
        instance_id = committed(stand)
        for _ in range(60):
            self.tag(stand)
            stand.after(150)
            (parking,) = stand.park_pass().park([instance_id])
        start = stand.start_pass().start(instance_id)

        assert start is not None
        assert [r.decision.outcome for r in (parking, start)] == [Outcome.REFUSED, Outcome.REFUSED]
        assert "again and again" in parking.reason
        assert "again and again" in start.reason
        assert len(snapshots(stand)) <= 2 + 5


class TestALockThatIsMissing:
    @pytest.mark.parametrize("deployed", [True, False])
    def test_is_made_before_the_last_volumes_are_deleted(self, deployed: bool) -> None:
        """Somebody unlocked a snapshot, or the deployment was told to lock them only now."""
        stand = Stand(settings=replace(SETTINGS, lock_snapshots=deployed))
        instance_id = stand.rootless()
        for s in snapshots(stand):
            if s.lock:
                stand.owner.unlock_snapshot(SnapshotId=s.id)
        stand.settings = SETTINGS
        sweeps(stand, 8)

        assert attached(stand, instance_id) == {}
        assert all(s.lock for s in snapshots(stand))
        assert set(started(stand, instance_id)) == {"/dev/xvda", "/dev/sdf"}


class TestAVolumeThatSomebodyLends:
    def test_is_named_to_whoever_starts_its_instance(self, stand: Stand) -> None:
        stand.world.durations = replace(stand.world.durations, create=40)
        instance_id, other = stand.parked(), stand.world.launch(tags={}, name="other")
        stand.stop(other)
        stand.start_pass(lasts=timedelta(seconds=20)).start(instance_id)
        stand.after(60)
        data = next(v.id for v in stand.world.volumes.current() if v.size == DATA.size and tags.MARK in v.tags)
        stand.owner.attach_volume(VolumeId=data, InstanceId=other, Device="/dev/sdz")
        stand.after(30)
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.REFUSED
        assert result.reason.startswith(f"Another instance has {data} of {instance_id}")

        stand.owner.detach_volume(VolumeId=data)
        stand.after(30)
        assert started(stand, instance_id)["/dev/sdf"].id == data

    def test_at_the_device_of_one_that_was_moved_keeps_its_flag(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT, DATA._replace(delete_on_termination=True))
        stand.start_pass().restore(instance_id)
        stand.after(5)
        data = attached(stand, instance_id)["/dev/sdf"].id
        own = stand.world.add_volume(DATA)
        stand.owner.detach_volume(VolumeId=data, InstanceId=instance_id)
        stand.after(8)
        stand.owner.attach_volume(VolumeId=data, InstanceId=instance_id, Device="/dev/sdg")
        stand.owner.attach_volume(VolumeId=own, InstanceId=instance_id, Device="/dev/sdf")
        stand.after(400)
        stand.start_pass().settle([instance_id])
        flags = {d.device: d.delete_on_termination for d in stand.instance(instance_id).devices}

        assert flags == {"/dev/xvda": True, "/dev/sdf": False, "/dev/sdg": False}
        assert tags.MARK not in attached(stand, instance_id)["/dev/sdg"].tags


class TestAVolumeThatCameBackFromTheRecycleBin:
    def test_is_not_deleted_again(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        before = {v.id: v for v in stand.world.volumes.current()}
        sweeps(stand, 8)
        assert not list(stand.world.volumes.current())
        gone = next(v for v in before.values() if v.size == DATA.size)
        stand.after(DAY)
        stand.world.volumes.put(gone._replace(state="available", attachments=()), stand.world.clock.now)
        sweeps(stand, 3)
        (parking,) = stand.park_pass().park([instance_id])
        start = stand.start_pass().start(instance_id)

        assert stand.world.volumes.get(gone.id) is not None
        assert start is not None
        for result in (parking, start):
            assert result.decision.outcome is Outcome.REFUSED
            assert f"{gone.id} of {instance_id} should have been deleted by" in result.reason

        stand.owner.delete_volume(VolumeId=gone.id)
        stand.after(60)
        assert set(started(stand, instance_id)) == {"/dev/xvda", "/dev/sdf"}


class TestAVolumeThatIsModifiedForDays:
    def test_after_the_commit_is_copied_again_and_deleted(self, stand: Stand) -> None:
        instance_id = committed(stand)
        (data,) = (v for v in stand.world.volumes.current() if v.size == DATA.size)
        stand.world.durations = replace(stand.world.durations, optimize=2 * DAY)
        stand.owner.modify_volume(VolumeId=data.id, Size=DATA.size + 1)
        sweeps(stand, 3)
        stand.after(2 * DAY)
        sweeps(stand, 8)

        assert not list(stand.world.volumes.current())
        assert started(stand, instance_id)["/dev/sdf"].size == DATA.size + 1


class TestAnotherRootVolumeOfAParkedInstance:
    @pytest.fixture
    def instance_id(self, stand: Stand) -> str:
        instance_id = stand.parked()
        attach_new(stand, instance_id, "/dev/xvda", Size=9)
        stand.after(400)
        return instance_id

    def test_is_not_started_without_the_others(self, stand: Stand, instance_id: str) -> None:
        result = stand.start_pass().start(instance_id)
        parked = next(s.id for s in snapshots(stand) if s.tags[tags.DEVICE] == "/dev/sdf")

        assert result is not None
        assert result.decision.outcome is Outcome.REFUSED
        assert f"its other volumes are still parked ({parked})" in result.reason
        assert stand.instance(instance_id).state == "stopped"

        stand.owner.detach_volume(VolumeId=attached(stand, instance_id)["/dev/xvda"].id)
        stand.after(30)
        stand.start_pass().start(instance_id)
        assert set(attached(stand, instance_id)) == {"/dev/xvda", "/dev/sdf"}

    def test_is_not_parked_without_the_others(self, stand: Stand, instance_id: str) -> None:
        before = len(snapshots(stand))
        sweeps(stand, 8)
        (result,) = stand.park_pass().park([instance_id])

        assert result.decision.outcome is Outcome.REFUSED
        assert set(attached(stand, instance_id)) == {"/dev/xvda"}
        assert len(snapshots(stand)) == before

    def test_is_started_where_nothing_else_is_parked(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        attach_new(stand, instance_id, "/dev/xvda", Size=9)
        stand.after(400)
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE


class TestAWayBackFromTheArchiveThatFails:
    def test_is_told_and_tried_again_when_somebody_asks(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        (archived,) = snapshots(stand)
        now = stand.world.clock.now
        stand.world.snapshots.put(archived._replace(tier="archive", tiering="archival-completed"), now)
        stand.world.durations = replace(stand.world.durations, thaw=1e9)
        asked = stand.start_pass().start(instance_id)
        assert asked is not None
        assert asked.decision.outcome is Outcome.GOING_ON

        sweeps(stand, 20)
        (moving,) = snapshots(stand)
        stand.world.snapshots.put(moving._replace(tiering="permanent-restore-failed"), stand.world.clock.now)
        (told,) = stand.start_pass().settle([instance_id])
        assert told.decision.outcome is Outcome.REFUSED
        assert f"EC2 could not bring {archived.id} of {instance_id} back" in told.reason

        stand.start_pass().start(instance_id)
        assert snapshots(stand)[0].tiering == "permanent-restore-in-progress"
