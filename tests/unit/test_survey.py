"""What there is to see of instances, and whom a sweep looks at closer, on a strict model of EC2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from park_volumes import records
from park_volumes.ec2 import Snapshots
from park_volumes.model import CreateVolume
from park_volumes.survey import assemble, look, survey, sweep_park, sweep_start
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.unit.facts import MARK, SETTINGS, in_transit, instance, record, volume
from tests.unit.passes import DATA, ROOT, Stand


class TestLook:
    def test_sees_nothing_of_no_instances(self, stand: Stand) -> None:
        assert look(stand.ec2(), [], locks=True) == {}

    def test_asks_for_locks_only_where_they_are_wanted(self, stand: Stand) -> None:
        instance_id = stand.parked()

        assert look(stand.ec2(), [instance_id], locks=False)[instance_id].locked == frozenset()
        assert len(look(stand.ec2(), [instance_id], locks=True)[instance_id].locked) == 2

    def test_finds_a_marked_volume_that_is_attached_nowhere(self, stand: Stand) -> None:
        instance_id = stand.rootless()

        assert len(look(stand.ec2(), [instance_id], locks=False)[instance_id].volumes) == 2

    def test_finds_a_volume_that_lost_its_mark_by_the_record(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        stand.owner.delete_tags(Resources=[root.id], Tags=[{"Key": records.MARK}])

        assert root.id in {v.id for v in look(stand.ec2(), [instance_id], locks=False)[instance_id].volumes}

    def test_finds_the_place_of_a_volume_that_lost_it_in_its_record(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        stand.owner.delete_tags(Resources=[root.id], Tags=[{"Key": records.PLACE}])
        seen = look(stand.ec2(), [instance_id], locks=False)[instance_id]
        (found,) = [v for v in seen.volumes if v.id == root.id]

        assert found.place is not None
        assert found.place.device == ROOT.device

    def test_finds_the_place_of_a_restored_volume_in_the_record_of_its_snapshot(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        (r,) = stand.ec2().snapshots_of([instance_id]).records
        volume_id, _ = stand.ec2().create_volume(CreateVolume(record=r, token="t"))
        stand.owner.delete_tags(Resources=[volume_id], Tags=[{"Key": records.PLACE}])
        (v,) = look(stand.ec2(), [instance_id], locks=False)[instance_id].volumes

        assert v.place == records.place_of(r)

    def test_finds_no_place_where_no_record_knows_the_volume(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        stand.owner.delete_tags(Resources=[root.id], Tags=[{"Key": records.PLACE}])
        for s in list(stand.world.snapshots.current()):
            stand.world.snapshots.drop(s.id, stand.world.clock.now)
        seen = look(stand.ec2(), [instance_id], locks=False)[instance_id]

        assert [v.place for v in seen.volumes if v.id == root.id] == [None]

    def test_finds_a_lost_place_in_the_snapshot_that_was_confirmed(self) -> None:
        """Of a volume whose snapshot was taken twice in one attempt."""
        of_root = record(ROOT.device, mark=MARK, snapshot_id="snap-2")
        twin = replace(of_root, mark=None, snapshot_id="snap-1")
        lost = in_transit(volume("vol-root"), of_root, place=None)
        (seen,) = assemble([instance()], Snapshots(records=(twin, of_root), damaged={}), [lost]).values()

        assert [v.place and v.place.snapshot_id for v in seen.volumes] == ["snap-2"]

    def test_tells_each_instance_of_its_own_damaged_records(self, stand: Stand) -> None:
        mine, other = stand.launch(name="a"), stand.launch(name="b")
        tags = {records.DEPLOYMENT: SETTINGS.deployment, records.INSTANCE: mine}
        broken = stand.world.add_snapshot(tags=tags)
        seen = look(stand.ec2(), [mine, other], locks=False)

        assert broken in seen[mine].damaged[0]
        assert seen[other].damaged == ()

    def test_shows_a_volume_to_every_instance_it_is_of(self, stand: Stand) -> None:
        """Marked for one instance, attached by somebody to another one."""
        mine, other = stand.rootless(), stand.stopped(name="other")
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        stand.owner.attach_volume(VolumeId=root.id, InstanceId=other, Device="/dev/sdz")
        seen = look(stand.ec2(), [mine, other], locks=False)

        assert all(root.id in {v.id for v in s.volumes} for s in seen.values())

    def test_needs_no_snapshots_and_no_volumes(self, stand: Stand) -> None:
        ec2 = stand.ec2()
        instances = ec2.instances([stand.launch()])
        (seen,) = assemble(instances, ec2.every_snapshot(), [], frozenset()).values()

        assert (seen.volumes, seen.records) == ((), ())


class TestSweep:
    def test_finds_what_was_stopped(self, stand: Stand) -> None:
        stopped, _ = stand.stopped(), stand.launch(name="running")

        assert sweep_park(survey(stand.ec2(), SETTINGS), SETTINGS, stand.clock.now()) == [stopped]

    def test_leaves_out_what_is_parked(self, stand: Stand) -> None:
        stand.parked()

        assert sweep_park(survey(stand.ec2(), SETTINGS), SETTINGS, stand.clock.now()) == []

    def test_leaves_out_what_is_not_opted_in(self, stand: Stand) -> None:
        stand.stopped(opt_in="false")

        assert sweep_park(survey(stand.ec2(), SETTINGS), SETTINGS, stand.clock.now()) == []

    def test_takes_three_calls_however_many_instances_there_are(self, stand: Stand) -> None:
        for n in range(20):
            stand.launch(name=f"n{n}")
        before = stand.world.calls
        sweep_park(survey(stand.ec2(), SETTINGS), SETTINGS, stand.clock.now())

        assert stand.world.calls - before == 3

    def test_of_the_start_side_finds_volumes_in_transit_and_requests(self, stand: Stand) -> None:
        in_transit, asked, _ = stand.rootless(name="a"), stand.parked(name="b"), stand.parked(name="c")
        stand.new_pass(faults=at_operation("CreateVolume", Fault.DENIED, 2)).start(asked)

        assert sweep_start(stand.ec2(), SETTINGS, stand.clock.now()) == ([], sorted([in_transit, asked]))

    def test_alone_leads_from_a_stop_to_a_parked_instance(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        for _ in range(8):
            stand.after(300)
            current = stand.new_pass()
            current.park(sweep_park(survey(current.ec2, SETTINGS), SETTINGS, current.began))
            current = stand.new_pass()
            current.sweep_starts()

        assert stand.instance(instance_id).devices == ()
        assert judge.problems(stand.world) == []

    def test_settles_a_start_whose_events_were_lost(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.new_pass().start(instance_id)
        stand.after(300)
        stand.new_pass().sweep_starts()

        assert not [v for v in stand.world.volumes.current() if records.MARK in v.tags]
        assert stand.instance(instance_id).root == replace_flag(stand, instance_id)


class TestSweepOfTheStarts:
    """A start that has come about: its marks are still on."""

    @staticmethod
    def started(stand: Stand, name: str = "db") -> str:
        instance_id = stand.parked(name=name)
        stand.new_pass().start(instance_id)
        stand.after(60)
        return instance_id

    def test_sees_all_that_it_takes_to_settle_what_runs_in_three_calls(self, stand: Stand) -> None:
        ids = [self.started(stand, name=f"n{n}") for n in range(20)]
        before = stand.world.calls
        running, others = sweep_start(stand.ec2(), SETTINGS, stand.clock.now())

        assert ([s.instance.id for s in running], others) == (ids, [])
        assert stand.world.calls - before == 3
        whole = look(stand.ec2(), ids, locks=False)
        assert {s.instance.id: s for s in running} == whole

    def test_asks_once_more_for_volumes_beside_those_in_transit(self, stand: Stand) -> None:
        instance_id = self.started(stand)
        data = next(v.id for v in stand.world.volumes.current() if v.size == DATA.size)
        stand.owner.delete_tags(Resources=[data], Tags=[{"Key": records.MARK}, {"Key": records.PLACE}])
        before = stand.world.calls
        ((seen,), _) = sweep_start(stand.ec2(), SETTINGS, stand.clock.now())

        assert stand.world.calls - before == 4
        assert seen == look(stand.ec2(), [instance_id], locks=False)[instance_id]

    def test_leaves_an_instance_alone_that_is_still_starting(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.new_pass().start(instance_id)
        assert stand.instance(instance_id).state == "pending"

        assert sweep_start(stand.ec2(), SETTINGS, stand.clock.now()) == ([], [])

    def test_looks_closer_where_a_mark_has_lost_its_place(self, stand: Stand) -> None:
        instance_id = self.started(stand)
        volume_id = next(v.id for v in stand.world.volumes.current())
        stand.owner.delete_tags(Resources=[volume_id], Tags=[{"Key": records.PLACE}])
        stand.after(60)

        assert sweep_start(stand.ec2(), SETTINGS, stand.clock.now()) == ([], [instance_id])
        stand.new_pass().sweep_starts()
        assert not [v for v in stand.world.volumes.current() if records.MARK in v.tags]


def replace_flag(stand: Stand, instance_id: str) -> Any:
    """The root's attachment as it must be: DeleteOnTermination set again."""
    root = stand.instance(instance_id).root
    assert root is not None
    return root._replace(delete_on_termination=True)
