"""What there is to see of instances, and whom a sweep looks at closer, on a strict model of EC2."""

from __future__ import annotations

from typing import Any

import pytest

from park_volumes.core import tags
from park_volumes.core.steps import CreateVolume
from park_volumes.run.fleet import start_sweep
from park_volumes.run.observe import assemble, observe
from park_volumes.run.park_pass import park_sweep
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.unit.facts import SETTINGS
from tests.unit.passes import DATA, ROOT, Stand


class TestObserve:
    def test_sees_nothing_of_no_instances(self, stand: Stand) -> None:
        assert observe(stand.ec2().reads, [], now=stand.clock.now(), locks=True) == {}

    def test_asks_for_locks_only_where_they_are_wanted(self, stand: Stand) -> None:
        instance_id = stand.parked()

        assert (
            observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id].locked
            == frozenset()
        )
        assert (
            len(observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=True)[instance_id].locked) == 2
        )

    def test_finds_a_marked_volume_that_is_attached_nowhere(self, stand: Stand) -> None:
        instance_id = stand.rootless()

        assert (
            len(observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id].volumes) == 2
        )

    def test_finds_a_volume_that_lost_its_mark_by_the_record(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        stand.owner.delete_tags(Resources=[root.id], Tags=[{"Key": tags.MARK}])

        assert root.id in {
            v.id
            for v in observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id].volumes
        }

    @pytest.mark.parametrize("place", ["/dev/sdz 0 snap-0 false", "somewhere", None])
    def test_finds_where_a_marked_volume_belongs_in_its_record(self, stand: Stand, place: str | None) -> None:
        instance_id = stand.rootless()
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        if place is None:
            stand.owner.delete_tags(Resources=[root.id], Tags=[{"Key": tags.TARGET}])
        else:
            stand.owner.create_tags(Resources=[root.id], Tags=[{"Key": tags.TARGET, "Value": place}])
        found = observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id].marked_root

        assert found is not None
        assert (found.id, found.target.device) == (root.id, ROOT.device)

    def test_finds_where_a_restored_volume_belongs_in_the_record_of_its_snapshot(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        (r,) = stand.ec2().reads.snapshots_of([instance_id]).records
        volume_id, _ = stand.ec2().writes.create_volume(CreateVolume(record=r, token="t"))
        (v,) = observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id].restored

        assert (v.id, v.record) == (volume_id, r)

    def test_proves_nothing_of_a_marked_volume_that_no_record_knows(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        for s in list(stand.world.snapshots.current()):
            stand.world.snapshots.drop(s.id, stand.world.clock.now)
        observed = observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id]

        assert observed.in_transit == ()
        assert len(observed.unproven) == 2

    def test_reports_damaged_records_with_their_own_instance(self, stand: Stand) -> None:
        mine, other = stand.launch(name="a"), stand.launch(name="b")
        broken = stand.world.add_snapshot(tags={tags.DEPLOYMENT: SETTINGS.deployment, tags.INSTANCE: mine})
        observed = observe(stand.ec2().reads, [mine, other], now=stand.clock.now(), locks=False)

        assert broken in observed[mine].damaged[0]
        assert observed[other].damaged == ()

    def test_shows_a_volume_to_every_instance_it_is_of(self, stand: Stand) -> None:
        """Marked for one instance, attached by somebody to another one."""
        mine, other = stand.rootless(), stand.stopped(name="other")
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        stand.owner.attach_volume(VolumeId=root.id, InstanceId=other, Device="/dev/sdz")
        observed = observe(stand.ec2().reads, [mine, other], now=stand.clock.now(), locks=False)

        assert all(root.id in {v.id for v in o.volumes} for o in observed.values())

    def test_needs_no_snapshots_and_no_volumes(self, stand: Stand) -> None:
        reads = stand.ec2().reads
        instances = reads.instances([stand.launch()])
        (observation,) = assemble(instances, reads.every_snapshot(), [], now=stand.clock.now()).values()

        assert (observation.volumes, observation.records) == ((), ())


class TestParkSweep:
    def test_finds_what_was_stopped(self, stand: Stand) -> None:
        stopped, _ = stand.stopped(), stand.launch(name="running")

        assert stand.swept() == [stopped]

    def test_leaves_out_what_is_parked(self, stand: Stand) -> None:
        stand.parked()

        assert stand.swept() == []

    def test_leaves_out_what_is_not_opted_in(self, stand: Stand) -> None:
        stand.stopped(opt_in="false")

        assert stand.swept() == []

    def test_takes_three_calls_however_many_instances_there_are(self, stand: Stand) -> None:
        for n in range(20):
            stand.launch(name=f"n{n}")
        before = stand.world.calls
        stand.swept()

        assert stand.world.calls - before == 3


class TestStartSweep:
    @staticmethod
    def started(stand: Stand, name: str = "db") -> str:
        """A start that has come about: its marks are still on."""
        instance_id = stand.parked(name=name)
        stand.start_pass().start(instance_id)
        stand.after(60)
        return instance_id

    def test_finds_volumes_in_transit_and_requests(self, stand: Stand) -> None:
        in_transit, asked, _ = stand.rootless(name="a"), stand.parked(name="b"), stand.parked(name="c")
        stand.start_pass(faults=at_operation("CreateVolume", Fault.DENIED, 2)).start(asked)

        assert start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now()) == ([], sorted([in_transit, asked]))

    def test_settles_a_start_whose_events_were_lost(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)
        stand.after(300)
        stand.start_pass().sweep()

        assert not [v for v in stand.world.volumes.current() if tags.MARK in v.tags]
        assert stand.instance(instance_id).root == replace_flag(stand, instance_id)

    def test_sees_all_that_it_takes_to_settle_what_runs_in_three_calls(self, stand: Stand) -> None:
        ids = [self.started(stand, name=f"n{n}") for n in range(20)]
        before = stand.world.calls
        running, others = start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now())

        assert ([o.instance.id for o in running], others) == (ids, [])
        assert stand.world.calls - before == 3
        whole = observe(stand.ec2().reads, ids, now=stand.clock.now(), locks=False)
        assert {o.instance.id: o for o in running} == whole

    def test_asks_once_more_for_volumes_beside_those_in_transit(self, stand: Stand) -> None:
        instance_id = self.started(stand)
        data = next(v.id for v in stand.world.volumes.current() if v.size == DATA.size)
        stand.owner.delete_tags(Resources=[data], Tags=[{"Key": tags.MARK}, {"Key": tags.TARGET}])
        before = stand.world.calls
        ((observed,), _) = start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now())

        assert stand.world.calls - before == 4
        assert observed == observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id]

    def test_leaves_an_instance_alone_that_is_still_starting(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)
        assert stand.instance(instance_id).state == "pending"

        assert start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now()) == ([], [])

    def test_looks_closer_where_the_record_of_a_mark_bears_no_request(self, stand: Stand) -> None:
        instance_id = self.started(stand)
        ids = [s.id for s in stand.world.snapshots.current()]
        stand.owner.delete_tags(Resources=ids, Tags=[{"Key": tags.START_REQUESTED}])
        stand.after(300)

        assert start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now()) == ([], [instance_id])
        stand.start_pass().sweep()
        assert not [v for v in stand.world.volumes.current() if tags.MARK in v.tags]


def test_both_sweeps_alone_lead_from_a_stop_to_a_parked_instance(stand: Stand) -> None:
    instance_id = stand.stopped()
    for _ in range(8):
        stand.after(300)
        fleet = stand.fleet()
        stand.park_pass().park(park_sweep(fleet, SETTINGS, stand.clock.now()))
        stand.start_pass().sweep()

    assert stand.instance(instance_id).devices == ()
    assert judge.problems(stand.world) == []


def replace_flag(stand: Stand, instance_id: str) -> Any:
    """The root's attachment as it must be: DeleteOnTermination set again."""
    root = stand.instance(instance_id).root
    assert root is not None
    return root._replace(delete_on_termination=True)
