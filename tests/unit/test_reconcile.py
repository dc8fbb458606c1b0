"""Whole passes on a strict model of EC2: look, decide, do, and stop in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from park_volumes import records
from park_volumes.ec2 import Ec2
from park_volumes.model import CreateVolume, Outcome
from park_volumes.reconcile import OutOfTime, in_parallel, one_by_one
from park_volumes.survey import look, survey, sweep_park, sweep_start
from tests.model import judge
from tests.model.faults import Call, Fault, ProcessDied, at_operation
from tests.model.records import Disk, Durations, Rules
from tests.model.world import World
from tests.unit.facts import SETTINGS
from tests.unit.passes import DATA, ROOT, OneAtATime, Stand


def kinds(steps: Sequence[Sequence[object]]) -> list[str]:
    return [type(step).__name__ for stage in steps for step in stage]


def volumes_of(stand: Stand, snapshot_id: str) -> list[str]:
    return [v.id for v in stand.world.volumes.current() if v.snapshot_id == snapshot_id]


def nothing_is_wrong(stand: Stand) -> None:
    assert judge.problems(stand.world) == []


class TestParkingAndStarting:
    def test_a_stopped_instance_is_parked(self, stand: Stand) -> None:
        stand.parked()

        assert list(stand.world.volumes.current()) == []
        nothing_is_wrong(stand)

    def test_one_start_brings_everything_back_as_it_was(self, stand: Stand) -> None:
        instance_id = stand.launch()
        before = judge.fittings(stand.world, instance_id)
        stand.stop(instance_id)
        for _ in range(8):
            stand.step(instance_id)
        result = stand.new_pass().start(instance_id)
        stand.after(61)
        stand.new_pass().settle([instance_id])

        assert result is not None
        assert (result.error, result.decision.outcome) == ("", Outcome.DONE)
        assert stand.instance(instance_id).state == "running"
        assert judge.fittings(stand.world, instance_id) == before
        nothing_is_wrong(stand)

    def test_the_snapshots_go_after_the_retention(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.new_pass().start(instance_id)
        stand.after(61)
        stand.new_pass().settle([instance_id])
        stand.after(timedelta(hours=23).total_seconds())
        stand.step(instance_id)
        assert len(list(stand.world.snapshots.current())) == 2
        stand.after(timedelta(hours=1).total_seconds())
        stand.step(instance_id)

        assert list(stand.world.snapshots.current()) == []
        nothing_is_wrong(stand)

    def test_the_root_volume_goes_first_and_the_others_in_later_passes(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        (commit,) = stand.step(instance_id)
        (rest,) = stand.step(instance_id)

        assert kinds(commit.decision.steps) == ["DeleteVolume", "DetachVolume"]
        assert kinds(rest.decision.steps) == ["DeleteVolume"]

    def test_an_excluded_volume_stays_attached_all_the_time(self, stand: Stand) -> None:
        stays = DATA._replace(tags={"ParkVolumes": "false"})
        instance_id = stand.stopped(ROOT, stays)
        for _ in range(10):
            stand.step(instance_id)

        assert [d.device for d in stand.instance(instance_id).devices] == [DATA.device]
        stand.new_pass().start(instance_id)
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_only_the_root_volume_goes_where_the_tag_says_root(self, stand: Stand) -> None:
        instance_id = stand.stopped(opt_in="root")
        for _ in range(10):
            stand.step(instance_id)

        assert [d.device for d in stand.instance(instance_id).devices] == [DATA.device]

    def test_an_instance_that_is_not_opted_in_is_never_touched(self, stand: Stand) -> None:
        instance_id = stand.stopped(opt_in="false")
        before = stand.world.clone()
        for _ in range(3):
            stand.step(instance_id)
            stand.new_pass().start(instance_id)
            stand.new_pass().settle([instance_id])

        resources = [instance_id, *(d.volume_id for d in before.instances.get(instance_id).devices)]  # type: ignore[union-attr]
        assert judge.differences(before, stand.world, resources) == []

    def test_several_instances_take_their_steps_in_one_pass(self, stand: Stand) -> None:
        ids = [stand.stopped(name=name) for name in ("a", "b", "c")]
        results = stand.step(*ids)

        assert {r.seen.instance.id for r in results} == set(ids)
        assert len(list(stand.world.snapshots.current())) == 6

    def test_27_volumes_come_back_in_one_start(self, stand: Stand) -> None:
        data = [Disk(device=f"/dev/sd{chr(97 + n)}", size=10) for n in range(26)]
        instance_id = stand.parked(ROOT, *data)
        result = stand.new_pass(each=in_parallel).start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE
        assert len(stand.instance(instance_id).devices) == 27
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_a_start_before_the_commit_puts_the_very_volumes_back(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        before = {v.id for v in stand.world.volumes.current()}
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert stand.instance(instance_id).state == "pending"
        assert {d.volume_id for d in stand.instance(instance_id).devices} == before
        nothing_is_wrong(stand)

    def test_an_unknown_instance_has_no_result(self, stand: Stand) -> None:
        current = stand.new_pass()

        assert (current.start("i-00000000"), current.park(["i-00000000"]), current.settle([])) == (None, [], [])


class TestAStart:
    def test_waits_for_its_volumes(self, stand: Stand) -> None:
        instance_id = stand.parked()
        before = stand.clock.now()
        stand.new_pass().start(instance_id)
        took = stand.clock.now() - before

        assert timedelta(seconds=8) <= took <= timedelta(seconds=30)
        assert stand.instance(instance_id).state == "pending"

    def test_waits_for_the_slowest_of_its_volumes(self) -> None:
        stand = Stand(World(durations=Durations(create=1, create_per_gib=0.2)))
        instance_id = stand.parked()
        client = OneAtATime(stand.world)
        stand.new_pass(ec2=Ec2(client, deployment=SETTINGS.deployment)).start(instance_id)  # type: ignore[arg-type]

        assert client.refusals == {}
        assert stand.instance(instance_id).state == "pending"

    def test_does_not_ask_for_locks(self, stand: Stand) -> None:
        instance_id = stand.parked()
        client = OneAtATime(stand.world)
        stand.new_pass(ec2=Ec2(client, deployment=SETTINGS.deployment)).start(instance_id)  # type: ignore[arg-type]

        assert "DescribeLockedSnapshots" not in client.calls

    def test_gives_up_before_its_deadline_and_the_next_pass_goes_on(self) -> None:
        stand = Stand(World(durations=Durations(create=100)))
        instance_id = stand.parked()
        current = stand.new_pass()
        result = current.start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.GOING_ON
        assert "the start goes on by itself" in result.decision.reason
        assert stand.clock.now() <= current.deadline
        stand.after(60)
        stand.new_pass().settle([instance_id])
        assert stand.instance(instance_id).state == "pending"
        assert len(list(stand.world.volumes.current())) == 2
        nothing_is_wrong(stand)

    def test_ends_while_volumes_wait_to_be_deleted_and_the_event_of_that_goes_on(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        stand.step(instance_id)
        asked = stand.world.clock.now
        result = stand.new_pass().start(instance_id)
        assert result is not None
        assert "are being deleted; then it is restored" in result.decision.reason
        assert stand.world.clock.now < asked + 1
        stand.step(instance_id)
        (result,) = stand.new_pass().settle([instance_id])

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
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert (result.error, result.decision.outcome) == ("", Outcome.DONE)
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
        result = stand.new_pass().start(instance_id)

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
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.REFUSED
        ids = [instance_id, empty, *(s.id for s in before.snapshots.current())]
        assert judge.differences(before, stand.world, ids) == []
        assert len(list(stand.world.volumes.current())) == 1

    def test_that_fails_tells_the_error_and_is_remembered(self, stand: Stand) -> None:
        instance_id = stand.parked()
        result = stand.new_pass(faults=at_operation("CreateVolume", Fault.DENIED, 2)).start(instance_id)

        assert result is not None
        assert "CreateVolume failed for snap-" in result.error
        assert sweep_start(stand.ec2(), SETTINGS, stand.clock.now()) == ([], [instance_id])
        stand.after(300)
        stand.new_pass().sweep_starts()
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_without_capacity_keeps_its_volumes_and_tries_again(self, stand: Stand) -> None:
        instance_id = stand.parked()
        result = stand.new_pass(faults=at_operation("StartInstances", Fault.NO_CAPACITY)).start(instance_id)

        assert result is not None
        assert "InsufficientInstanceCapacity" in result.error
        stand.step(instance_id)
        assert len(stand.instance(instance_id).devices) == 2
        stand.new_pass().settle([instance_id])
        assert stand.instance(instance_id).state == "pending"

    def test_does_not_ask_to_attach_what_it_sees_another_pass_has_attached(self, stand: Stand) -> None:
        instance_id = stand.parked()
        first, second = stand.ec2(caller="first"), stand.ec2(caller="second")
        client = second._client
        look = client.describe_volumes

        def after_the_first(**params: Any) -> Any:
            if "CreateVolume" in client.calls and "AttachVolume" not in first._client.calls:  # type: ignore[attr-defined]
                stand.new_pass(ec2=first).start(instance_id)
            return look(**params)

        client.describe_volumes = after_the_first  # type: ignore[method-assign]
        result = stand.new_pass(ec2=second).start(instance_id)

        assert result is not None
        assert not result.error
        assert "AttachVolume" not in client.calls  # type: ignore[attr-defined]
        assert stand.instance(instance_id).state in ("pending", "running")

    @pytest.mark.parametrize("operation", ["ModifyInstanceAttribute", "DeleteTags"])
    @pytest.mark.parametrize("done", [True, False])
    def test_is_denied_to_settle_only_what_nobody_has_settled(self, stand: Stand, operation: str, done: bool) -> None:
        instance_id = stand.parked()
        stand.new_pass(faults=at_operation("ModifyInstanceAttribute", Fault.NOT_SENT, 9)).start(instance_id)
        stand.owner.start_instances(InstanceIds=[instance_id])
        stand.after(600)
        first = stand.new_pass()

        def another_was_first(call: Call) -> Fault | None:
            if call.operation != operation:
                return None
            if done:
                first.settle([instance_id])
            return Fault.DENIED

        (result,) = stand.new_pass(faults=another_was_first).settle([instance_id])

        assert bool(result.error) is not done

    def test_that_died_leaves_what_the_next_one_uses(self, stand: Stand) -> None:
        instance_id = stand.parked()
        with pytest.raises(ProcessDied):
            stand.new_pass(faults=at_operation("AttachVolume", Fault.DIES_AFTER)).start(instance_id)
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE
        assert len(list(stand.world.volumes.current())) == 2
        nothing_is_wrong(stand)

    def test_with_a_broken_key_loses_nothing_and_leaves_the_instance_stopped(self) -> None:
        key = "arn:aws:kms:us-east-1:123456789012:key/broken"
        stand = Stand()
        instance_id = stand.parked(ROOT, DATA._replace(key=key))
        stand.world.rules = Rules(broken_keys=frozenset({key}))
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.error.startswith("CreateVolume failed for vol-")
        assert result.error.endswith("look at its KMS key and the volume quota.")
        assert Counter(v.state for v in stand.world.volumes.current())["error"] == 1
        assert stand.instance(instance_id).state == "stopped"
        assert len(list(stand.world.snapshots.current())) == 2
        nothing_is_wrong(stand)

    def test_stops_looking_when_the_instance_is_gone(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        stand.step(instance_id)

        def it_vanishes(operation: str, _: dict[str, Any]) -> None:
            if operation == "CreateTags":
                stand.world.instances.drop(instance_id, stand.world.clock.now)

        stand.world.on_call = it_vanishes
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.GOING_ON


class TestAttempts:
    """The token of CreateVolume answers with its first volume for ever, even when that is gone."""

    def one_dead(self, stand: Stand) -> tuple[str, str]:
        """Parked; the first volume made from its root snapshot was deleted by somebody, long ago."""
        instance_id = stand.parked(ROOT)
        (r,) = stand.ec2().snapshots_of([instance_id]).records
        volume_id, _ = stand.ec2().create_volume(CreateVolume(record=r, token=f"{r.snapshot_id}-1"))
        stand.after(10)
        stand.owner.delete_volume(VolumeId=volume_id)
        stand.world.ledger.waived.clear()
        stand.after(300)
        return instance_id, r.snapshot_id

    def test_a_token_that_answers_with_a_dead_volume_raises_the_attempt(self, stand: Stand) -> None:
        instance_id, snapshot_id = self.one_dead(stand)
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE
        assert [r.attempt for r in stand.ec2().snapshots_named([snapshot_id]).records] == [2]
        assert len(volumes_of(stand, snapshot_id)) == 1
        nothing_is_wrong(stand)

    def test_a_young_volume_that_can_not_be_seen_yet_does_not(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        (r,) = stand.ec2().snapshots_of([instance_id]).records
        volume_id, _ = stand.ec2().create_volume(CreateVolume(record=r, token=f"{r.snapshot_id}-1"))
        stand.world.volumes.drop(volume_id, stand.world.clock.now)
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.GOING_ON
        assert [r.attempt for r in stand.ec2().snapshots_named([r.snapshot_id]).records] == [1]

    def test_one_that_was_attached_and_settled_meanwhile_does_not(self, stand: Stand) -> None:
        """Whoever still sees the instance without it learns from the token which it is."""
        instance_id = stand.parked(ROOT)
        (r,) = stand.ec2().snapshots_of([instance_id]).records
        (before,) = look(stand.ec2(), [instance_id], locks=False).values()
        stand.new_pass().start(instance_id)
        stand.after(20)
        stand.new_pass().settle([instance_id])
        assert [v.mark for v in stand.ec2().volumes(volumes_of(stand, r.snapshot_id))] == [None]
        stand.new_pass().start_seen(before)

        assert [r.attempt for r in stand.ec2().snapshots_named([r.snapshot_id]).records] == [1]
        assert len(volumes_of(stand, r.snapshot_id)) == 1

    def test_a_volume_in_error_is_replaced_by_the_next_attempt(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        stand.new_pass(faults=at_operation("CreateVolume", Fault.VOLUME_FAILS)).start(instance_id)
        result = stand.new_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.DONE
        (snapshot,) = stand.world.snapshots.current()
        assert snapshot.tags[records.ATTEMPT] == "2"
        assert stand.instance(instance_id).state == "pending"

    def test_the_volume_in_error_is_deleted_by_the_park_side(self, stand: Stand) -> None:
        instance_id = stand.parked(ROOT)
        stand.new_pass(faults=at_operation("CreateVolume", Fault.VOLUME_FAILS)).start(instance_id)
        assert [v.state for v in stand.world.volumes.current()] == ["error"]
        stand.new_pass().start(instance_id)
        assert Counter(v.state for v in stand.world.volumes.current()) == {"error": 1, "in-use": 1}
        stand.step(*sweep_park(survey(stand.ec2(), SETTINGS), SETTINGS, stand.clock.now()))
        stand.after(10)

        assert [v.state for v in stand.world.volumes.current()] == ["in-use"]


class TestAParkingPass:
    def test_does_nothing_after_its_deadline(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.after(61)
        (result,) = stand.new_pass(lasts=timedelta(0)).park([instance_id])

        assert result.postponed
        assert result.decision.reason.endswith("There was no time left for all of it.")
        assert list(stand.world.snapshots.current()) == []

    def test_confirms_all_of_its_locks_with_one_call(self, stand: Stand) -> None:
        ids = [stand.stopped(name=name) for name in "abc"]
        stand.step(*ids)
        stand.after(61)
        calls: list[int] = []

        def count(_: str, params: dict[str, Any]) -> None:
            if "park-volumes:mark" in str(params.get("Tags")):
                calls.append(len(params["Resources"]))

        stand.world.on_call = count
        stand.step(*ids)

        assert sorted(calls) == [1, 1, 1, 1, 1, 1, 6]
        assert all(s.tags["park-volumes:mark"] for s in stand.world.snapshots.current())

    def test_confirms_one_by_one_where_ec2_refuses_all_for_the_sake_of_one(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        stand.step(first, second)
        stand.after(61)
        lost = next(s for s in stand.world.snapshots.current() if s.tags["park-volumes:instance"] == first)

        def somebody_deletes(operation: str, params: dict[str, Any]) -> None:
            if operation == "CreateTags" and len(params["Resources"]) > 2:
                stand.world.snapshots.drop(lost.id, stand.world.clock.now)

        stand.world.on_call = somebody_deletes
        results = {r.seen.instance.id: r for r in stand.step(first, second)}

        assert results[first].error
        assert not results[first].finished
        assert results[second].error == ""
        marked = {
            s.tags["park-volumes:instance"] for s in stand.world.snapshots.current() if "park-volumes:mark" in s.tags
        }
        assert marked == {second}

    def test_still_tells_after_its_deadline_that_nothing_is_to_be_done(self, stand: Stand) -> None:
        instance_id = stand.parked()
        (result,) = stand.new_pass(lasts=timedelta(0)).park([instance_id])

        assert (result.error, result.decision.reason) == ("", f"{instance_id} is parked.")

    def test_that_fails_for_one_instance_goes_on_with_the_others(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        results = {
            r.seen.instance.id: r
            for r in stand.step(first, second, faults=at_operation("CreateSnapshot", Fault.DENIED))
        }

        assert sorted(bool(r.error) for r in results.values()) == [False, True]
        assert "CreateSnapshot failed for vol-" in next(r.error for r in results.values() if r.error)

    def test_that_lost_a_race_comes_back_soon(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        root = next(v.id for v in stand.world.volumes.current() if not v.attachments)

        def somebody_puts_it_back(operation: str, _: dict[str, Any]) -> None:
            if operation == "DeleteVolume":
                stand.world.on_call = None
                stand.owner.attach_volume(VolumeId=root, InstanceId=instance_id, Device=ROOT.device)

        stand.world.on_call = somebody_puts_it_back
        (result,) = stand.step(instance_id)

        assert (result.error, result.decision.outcome) == ("", Outcome.GOING_ON)
        assert result.decision.look_again == timedelta(seconds=2)
        assert "DeleteVolume failed" in result.decision.reason
        assert len(stand.instance(instance_id).devices) == 2
        nothing_is_wrong(stand)

    def test_that_races_another_one_makes_no_harm(self, stand: Stand) -> None:
        """Both look before either acts."""
        instance_id = stand.stopped()
        stand.after(61)
        raced = False

        def another_pass(operation: str, _: dict[str, Any]) -> None:
            nonlocal raced
            if operation == "CreateSnapshot" and not raced:
                raced = True
                stand.new_pass().park([instance_id])

        stand.world.on_call = another_pass
        stand.new_pass().park([instance_id])
        assert len(list(stand.world.snapshots.current())) == 4
        for _ in range(10):
            stand.step(instance_id)

        assert list(stand.world.volumes.current()) == []
        stand.new_pass().start(instance_id)
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_takes_a_failed_snapshot_again(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.step(instance_id, faults=at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS))
        for _ in range(15):
            stand.step(instance_id)

        assert list(stand.world.volumes.current()) == []
        assert {s.state for s in stand.world.snapshots.current()} == {"completed"}
        nothing_is_wrong(stand)

    def test_keeps_the_volumes_of_a_start_that_fell_back(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.new_pass(faults=at_operation("StartInstances", Fault.START_FALLS_BACK)).start(instance_id)
        stand.after(61)
        assert stand.instance(instance_id).state == "stopped"
        stand.new_pass().settle([instance_id])
        (result,) = stand.step(instance_id)

        assert result.decision.outcome is Outcome.REFUSED
        assert "Client.InternalError" in result.decision.reason
        assert len(stand.instance(instance_id).devices) == 2


class TestEach:
    def test_one_by_one_keeps_the_order(self) -> None:
        done: list[int] = []
        one_by_one([lambda: done.append(1), lambda: done.append(2)])

        assert done == [1, 2]

    def test_in_parallel_does_all_at_once(self) -> None:
        meeting = Barrier(3, timeout=5)
        in_parallel([lambda: ignore(meeting.wait())] * 3)

        assert not meeting.broken

    def test_in_parallel_does_a_single_call_too(self) -> None:
        done: list[int] = []
        in_parallel([lambda: done.append(1)])
        in_parallel([])

        assert done == [1]

    def test_in_parallel_ends_every_call_before_it_raises_the_first_error(self) -> None:
        done: list[int] = []

        def fail() -> None:
            raise ValueError("first")

        with pytest.raises(ValueError, match="first"):
            in_parallel([fail, lambda: done.append(1), lambda: done.append(2)])
        assert sorted(done) == [1, 2]


def ignore(_: object) -> None:
    """For calls whose answer does not matter."""


def test_fifty_starts_at_once_make_one_set_of_volumes(stand: Stand) -> None:
    """Each start begins while the one before is about to create its volumes."""
    instance_id = stand.parked()
    started = 0

    def another_start(operation: str, _: dict[str, Any]) -> None:
        nonlocal started
        if operation == "CreateVolume" and started < 49:
            started += 1
            stand.new_pass().start(instance_id)

    stand.world.on_call = another_start
    stand.new_pass().start(instance_id)

    assert started == 49
    assert len(list(stand.world.volumes.current())) == 2
    assert stand.instance(instance_id).state in ("pending", "running")
    nothing_is_wrong(stand)


def test_a_deployment_without_locks_works_the_same() -> None:
    stand = Stand(settings=replace(SETTINGS, lock_snapshots=False))
    instance_id = stand.parked()
    stand.new_pass().start(instance_id)

    assert stand.instance(instance_id).state == "pending"
    assert all(s.lock is None for s in stand.world.snapshots.current())


class TestTheConfirmationOfALock:
    @pytest.mark.parametrize(("refused", "lasts", "words"), [(2, 60, ""), (99, 5, "no time left to confirm")])
    def test_is_insisted_on_when_the_turn_of_the_pass_is_over(
        self, stand: Stand, refused: int, lasts: int, words: str
    ) -> None:
        instance_id = stand.stopped()
        left = [refused]

        def its_turn_is_over(operation: str, params: dict[str, Any]) -> None:
            if operation == "CreateTags" and params["Resources"][0].startswith("snap-") and left[0]:
                left[0] -= 1
                raise OutOfTime

        while stand.instance(instance_id).root is not None:
            stand.after(61)
            stand.world.on_call = its_turn_is_over
            (result,) = stand.new_pass(lasts=timedelta(seconds=lasts)).park([instance_id])
            stand.world.on_call = None
            stand.after(10)

        assert words in result.error
        assert bool(result.error) is bool(words)
        nothing_is_wrong(stand)
