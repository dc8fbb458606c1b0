"""Whole passes of the start side on a strict model of EC2: observe, decide, do, and stop in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from park_volumes.aws import Ec2
from park_volumes.core.queue import AT_ONCE
from park_volumes.core.steps import Outcome
from park_volumes.run.context import in_parallel
from park_volumes.run.fleet import start_sweep
from park_volumes.run.start_pass import Queue
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.model.records import Disk
from tests.unit.facts import SETTINGS
from tests.unit.passes import DATA, ROOT, OneAtATime, Stand


def nothing_is_wrong(stand: Stand) -> None:
    assert judge.problems(stand.world) == []


class TestAStart:
    def test_brings_everything_back_as_it_was(self, stand: Stand) -> None:
        instance_id = stand.launch()
        before = judge.fittings(stand.world, instance_id)
        stand.stop(instance_id)
        for _ in range(8):
            stand.step(instance_id)
        result = stand.start_pass().start(instance_id)
        stand.after(61)
        stand.start_pass().settle([instance_id])

        assert result is not None
        assert (result.error, result.decision.outcome) == (None, Outcome.DONE)
        assert stand.instance(instance_id).state == "running"
        assert judge.fittings(stand.world, instance_id) == before
        nothing_is_wrong(stand)

    def test_brings_27_volumes_back_in_one_pass(self, stand: Stand) -> None:
        data = [Disk(device=f"/dev/sd{chr(97 + n)}", size=10) for n in range(26)]
        instance_id = stand.parked(ROOT, *data)
        result = stand.start_pass(each=in_parallel).start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE
        assert len(stand.instance(instance_id).devices) == 27
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_before_the_commit_puts_the_very_volumes_back(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        before = {v.id for v in stand.world.volumes.current()}
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert stand.instance(instance_id).state == "pending"
        assert {d.volume_id for d in stand.instance(instance_id).devices} == before
        nothing_is_wrong(stand)

    def test_of_an_unknown_instance_has_no_result(self, stand: Stand) -> None:
        starts = stand.start_pass()

        assert (starts.start("i-00000000"), starts.settle([])) == (None, [])

    def test_does_not_ask_for_locks(self, stand: Stand) -> None:
        instance_id = stand.parked()
        client = OneAtATime(stand.world)
        ec2 = Ec2(client, deployment=SETTINGS.deployment)  # type: ignore[arg-type]  # the model has no stubs
        stand.start_pass(ec2=ec2).start(instance_id)

        assert "DescribeLockedSnapshots" not in client.calls

    def test_ends_while_volumes_wait_to_be_deleted_and_the_event_of_that_goes_on(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        stand.step(instance_id)
        asked = stand.world.clock.now
        result = stand.start_pass().start(instance_id)
        assert result is not None
        assert "are being deleted; then it is restored" in result.reason
        assert stand.world.clock.now < asked + 1
        stand.step(instance_id)
        (result,) = stand.start_pass().settle([instance_id])

        assert result.decision.outcome is Outcome.DONE
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_that_lost_a_race_looks_again_and_succeeds(self, stand: Stand) -> None:
        instance_id = stand.parked()

        def somebody_attaches_first(operation: str, params: dict[str, Any]) -> None:
            if operation == "AttachVolume" and params["Device"] == DATA.device:
                stand.world.on_call = None
                stand.owner.attach_volume(**params)

        stand.world.on_call = somebody_attaches_first
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert (result.error, result.decision.outcome) == (None, Outcome.DONE)
        assert stand.instance(instance_id).state == "pending"

    def test_that_races_the_commit_finds_the_root_volume_gone_and_waits(self, stand: Stand) -> None:
        instance_id = stand.rootless(ROOT)
        stand.after(180)

        def the_park_side_commits_first(operation: str, params: dict[str, Any]) -> None:
            if operation == "AttachVolume":
                stand.world.on_call = None
                stand.owner.delete_volume(VolumeId=params["VolumeId"])
                stand.world.ledger.waived.clear()

        stand.world.on_call = the_park_side_commits_first
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_that_is_refused_changes_nothing(self, stand: Stand) -> None:
        instance_id = stand.parked()
        empty = stand.world.add_volume(DATA)
        stand.owner.attach_volume(VolumeId=empty, InstanceId=instance_id, Device=DATA.device)
        stand.after(10)
        before = stand.world.clone()
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.REFUSED
        ids = [instance_id, empty, *(s.id for s in before.snapshots.current())]
        assert judge.differences(before, stand.world, ids) == []
        assert len(list(stand.world.volumes.current())) == 1

    def test_that_fails_has_the_error_and_is_remembered(self, stand: Stand) -> None:
        instance_id = stand.parked()
        result = stand.start_pass(faults=at_operation("CreateVolume", Fault.DENIED, 2)).start(instance_id)

        assert result is not None
        assert "CreateVolume failed for snap-" in str(result.error)
        assert start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now()) == ([], [instance_id])
        stand.after(300)
        stand.start_pass().sweep()
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_without_capacity_keeps_its_volumes_and_tries_again(self, stand: Stand) -> None:
        instance_id = stand.parked()
        result = stand.start_pass(faults=at_operation("StartInstances", Fault.NO_CAPACITY)).start(instance_id)

        assert result is not None
        assert result.lack == "InsufficientInstanceCapacity"
        assert "InsufficientInstanceCapacity" in str(result.error)
        stand.step(instance_id)
        assert len(stand.instance(instance_id).devices) == 2
        stand.start_pass().settle([instance_id])
        assert stand.instance(instance_id).state == "pending"

    def test_stops_looking_when_the_instance_is_gone(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        stand.step(instance_id)

        def it_vanishes(operation: str, _: dict[str, Any]) -> None:
            if operation == "CreateTags":
                stand.world.instances.drop(instance_id, stand.world.clock.now)

        stand.world.on_call = it_vanishes
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.GOING_ON


def test_fifty_starts_at_once_make_one_set_of_volumes(stand: Stand) -> None:
    """Each start begins while the one before is about to create its volumes."""
    instance_id = stand.parked()
    started = 0

    def another_start(operation: str, _: dict[str, Any]) -> None:
        nonlocal started
        if operation == "CreateVolume" and started < 49:
            started += 1
            stand.start_pass().start(instance_id)

    stand.world.on_call = another_start
    stand.start_pass().start(instance_id)

    assert started == 49
    assert len(list(stand.world.volumes.current())) == 2
    assert stand.instance(instance_id).state in ("pending", "running")
    nothing_is_wrong(stand)


class TestTheLengthOfTheQueue:
    """As a function has seen it, or as EC2 tells it."""

    def ahead(self, stand: Stand, known: int, seen_before: timedelta) -> tuple[int, list[dict[str, Any]]]:
        """How many are ahead where so many were known of, all asked for just now, and what EC2 was asked for that."""
        asked: list[dict[str, Any]] = []
        stand.world.on_call = lambda _, params: asked.append(params)
        began = stand.clock.now()
        just: list[datetime] = [began - timedelta(seconds=1)] * known
        queue = Queue(requests=just, seen=began - seen_before)
        return queue.length(stand.start_pass().this_pass), asked

    @pytest.mark.parametrize(("seconds", "known"), [(29, 9), (30, 9), (30.5, 0)])
    def test_is_known_for_thirty_seconds(self, stand: Stand, seconds: float, known: int) -> None:
        found, asked = self.ahead(stand, 9, timedelta(seconds=seconds))

        assert (found, bool(asked)) == (known, not known)

    @pytest.mark.parametrize(("number", "asks"), [(4, True), (5, False)])
    def test_is_asked_of_ec2_while_nobody_would_have_to_wait(self, stand: Stand, number: int, asks: bool) -> None:
        assert bool(self.ahead(stand, number, timedelta(seconds=1))[1]) is asks

    def test_is_not_asked_of_ec2_twice_in_one_pass(self, stand: Stand) -> None:
        assert self.ahead(stand, 4, timedelta(0)) == (4, [])

    def test_is_that_of_this_hour_and_of_the_one_before(self, stand: Stand) -> None:
        (params,) = self.ahead(stand, 0, timedelta(seconds=1))[1]
        (hours,) = (f["Values"] for f in params["Filters"] if "start-requested" in f["Name"])
        began = stand.clock.now()

        assert hours == [f"{at:%Y-%m-%dT%H}*" for at in (began - timedelta(hours=1), began)]


class TestManyStartsAtOnce:
    @pytest.fixture
    def ids(self, stand: Stand) -> list[str]:
        return [stand.parked(ROOT, name=f"n{k}") for k in range(AT_ONCE + 2)]

    def test_begin_with_five_and_the_others_get_their_places_behind_them(self, stand: Stand, ids: list[str]) -> None:
        asked: list[str] = []
        stand.world.on_call = lambda operation, _: asked.append(operation)
        results = stand.start_pass().request(ids)

        assert [stand.instance(i).state == "stopped" for i in ids] == [False] * 5 + [True] * 2
        places = [f"about {n} starts are ahead" in r.reason for r, n in zip(results[-2:], (5, 6), strict=True)]
        assert (len(results), places) == (7, [True, True])
        assert "DescribeLockedSnapshots" not in asked

    def test_that_ec2_refused_elsewhere_begin_or_wait_like_others(self, stand: Stand, ids: list[str]) -> None:
        results = stand.start_pass().start_after_failed_call(ids, stand.clock.now())

        assert [stand.instance(i).state == "stopped" for i in ids] == [False] * 5 + [True] * 2
        assert [r.instance_id for r in results] == ids

    def test_whose_request_is_older_than_an_hour_have_lost_their_places(self, stand: Stand, ids: list[str]) -> None:
        first = ids[0]
        stand.start_pass(faults=at_operation("CreateVolume", Fault.DENIED, 9)).start(first)
        stand.after(3601)
        just = [stand.clock.now() - timedelta(seconds=1)] * 9
        instances = stand.ec2().reads.instances([first])
        (result,) = stand.start_pass(queue=Queue(requests=just, seen=stand.clock.now())).enqueue(instances)

        assert "about 9 starts are ahead of it" in result.reason

    def test_that_are_not_opted_in_are_not_remembered(self, stand: Stand, ids: list[str]) -> None:
        stand.owner.delete_tags(Resources=[ids[0]], Tags=[{"Key": "ParkVolumes"}])
        asked: list[str] = []
        stand.world.on_call = lambda operation, _: asked.append(operation)
        (result,) = stand.start_pass().request(ids[:1])

        assert result.decision.outcome is Outcome.REFUSED
        assert "CreateTags" not in asked
