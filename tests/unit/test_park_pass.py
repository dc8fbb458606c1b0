"""Whole passes of the park side on a strict model of EC2: observe, decide, do, and stop in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core.steps import Outcome
from park_volumes.run.context import OutOfTime
from park_volumes.run.execute import Ending
from tests.model import judge
from tests.model.faults import Fault, at_operation
from tests.unit.facts import SETTINGS
from tests.unit.passes import DATA, ROOT, Stand


def nothing_is_wrong(stand: Stand) -> None:
    assert judge.problems(stand.world) == []


class TestParking:
    def test_leaves_no_volume_of_a_stopped_instance(self, stand: Stand) -> None:
        stand.parked()

        assert list(stand.world.volumes.current()) == []
        nothing_is_wrong(stand)

    def test_discards_the_snapshots_after_the_retention(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)
        stand.after(61)
        stand.start_pass().settle([instance_id])
        stand.after(timedelta(hours=23).total_seconds())
        stand.step(instance_id)
        assert len(list(stand.world.snapshots.current())) == 2
        stand.after(timedelta(hours=1).total_seconds())
        stand.step(instance_id)

        assert list(stand.world.snapshots.current()) == []
        nothing_is_wrong(stand)

    def test_deletes_the_root_volume_first_and_the_others_in_later_passes(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        stand.after(180)
        (commit,) = stand.step(instance_id)
        (rest,) = stand.step(instance_id)

        assert [type(step).__name__ for step in commit.decision.every_step] == ["DeleteVolume", "DetachVolume"]
        assert [type(step).__name__ for step in rest.decision.every_step] == ["DeleteVolume"]

    def test_leaves_an_excluded_volume_attached_all_the_time(self, stand: Stand) -> None:
        stays = DATA._replace(tags={"ParkVolumes": "false"})
        instance_id = stand.stopped(ROOT, stays)
        for _ in range(10):
            stand.step(instance_id)

        assert [d.device for d in stand.instance(instance_id).devices] == [DATA.device]
        stand.start_pass().start(instance_id)
        assert stand.instance(instance_id).state == "pending"
        nothing_is_wrong(stand)

    def test_takes_only_the_root_volume_where_the_tag_says_root(self, stand: Stand) -> None:
        instance_id = stand.stopped(opt_in="root")
        for _ in range(10):
            stand.step(instance_id)

        assert [d.device for d in stand.instance(instance_id).devices] == [DATA.device]

    def test_and_starting_never_touch_an_instance_that_is_not_opted_in(self, stand: Stand) -> None:
        instance_id = stand.stopped(opt_in="false")
        resources = [instance_id, *(d.volume_id for d in stand.instance(instance_id).devices)]
        before = stand.world.clone()
        for _ in range(3):
            stand.step(instance_id)
            stand.start_pass().start(instance_id)
            stand.start_pass().settle([instance_id])

        assert judge.differences(before, stand.world, resources) == []

    def test_works_the_same_without_locks(self) -> None:
        stand = Stand(settings=replace(SETTINGS, lock_snapshots=False))
        instance_id = stand.parked()
        stand.start_pass().start(instance_id)

        assert stand.instance(instance_id).state == "pending"
        assert all(s.lock is None for s in stand.world.snapshots.current())


class TestAParkPass:
    def test_takes_the_steps_of_several_instances(self, stand: Stand) -> None:
        ids = [stand.stopped(name=name) for name in ("a", "b", "c")]
        results = stand.step(*ids)

        assert {r.instance_id for r in results} == set(ids)
        assert len(list(stand.world.snapshots.current())) == 6

    def test_has_no_result_for_an_unknown_instance(self, stand: Stand) -> None:
        assert stand.park_pass().park(["i-00000000"]) == []

    def test_that_fails_for_one_instance_goes_on_with_the_others(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        results = stand.step(first, second, faults=at_operation("CreateSnapshot", Fault.DENIED))
        errors = [r.error for r in results if r.error]

        assert {r.instance_id for r in results} == {first, second}
        assert len(errors) == 1
        assert "CreateSnapshot failed for vol-" in str(errors[0])

    def test_that_races_another_one_does_no_harm(self, stand: Stand) -> None:
        """Both observe before either acts."""
        instance_id = stand.stopped()
        stand.after(61)
        raced = False

        def another_pass(operation: str, _: dict[str, Any]) -> None:
            nonlocal raced
            if operation == "CreateSnapshot" and not raced:
                raced = True
                stand.park_pass().park([instance_id])

        stand.world.on_call = another_pass
        stand.park_pass().park([instance_id])
        assert len(list(stand.world.snapshots.current())) == 4
        for _ in range(10):
            stand.step(instance_id)

        assert list(stand.world.volumes.current()) == []
        stand.start_pass().start(instance_id)
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

    def test_keeps_the_volumes_of_a_start_that_ec2_took_back(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.start_pass(faults=at_operation("StartInstances", Fault.START_FALLS_BACK)).start(instance_id)
        stand.after(61)
        assert stand.instance(instance_id).state == "stopped"
        stand.start_pass().settle([instance_id])
        (result,) = stand.step(instance_id)

        assert result.decision.outcome is Outcome.REFUSED
        assert "Client.InternalError" in result.reason
        assert len(stand.instance(instance_id).devices) == 2


class TestTheConfirmationOfALock:
    def test_is_one_call_for_all_locks_of_the_pass(self, stand: Stand) -> None:
        ids = [stand.stopped(name=name) for name in "abc"]
        stand.ready(*ids)
        calls: list[int] = []

        def count(_: str, params: dict[str, Any]) -> None:
            if "park-volumes:mark" in str(params.get("Tags")) and not params.get("DryRun"):
                calls.append(len(params["Resources"]))

        stand.world.on_call = count
        stand.step(*ids)

        assert sorted(calls) == [1, 1, 1, 1, 1, 1, 6]
        assert all(s.tags["park-volumes:mark"] for s in stand.world.snapshots.current())

    def test_is_a_call_for_each_where_ec2_refuses_all_for_the_sake_of_one(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        stand.ready(first, second)
        lost = next(s for s in stand.world.snapshots.current() if s.tags["park-volumes:instance"] == first)

        def somebody_deletes(operation: str, params: dict[str, Any]) -> None:
            if operation == "CreateTags" and len(params["Resources"]) > 2:
                stand.world.snapshots.drop(lost.id, stand.world.clock.now)

        stand.world.on_call = somebody_deletes
        results = {r.instance_id: r for r in stand.step(first, second)}

        assert results[first].error
        assert results[first].ending is Ending.FAILED
        assert results[second].error is None
        confirmed = {
            s.tags["park-volumes:instance"] for s in stand.world.snapshots.current() if "park-volumes:mark" in s.tags
        }
        assert confirmed == {second}

    @pytest.mark.parametrize(("refused", "lasts", "words"), [(2, 60, ""), (99, 5, "no time left to confirm")])
    def test_is_insisted_on_when_the_turn_of_the_pass_is_over(
        self, stand: Stand, refused: int, lasts: int, words: str
    ) -> None:
        instance_id = stand.stopped()
        left = [refused]

        def its_turn_is_over(operation: str, params: dict[str, Any]) -> None:
            confirms = operation == "CreateTags" and params["Resources"][0].startswith("snap-")
            if confirms and not params.get("DryRun") and left[0]:
                left[0] -= 1
                raise OutOfTime

        while stand.instance(instance_id).root is not None:
            stand.after(61)
            stand.world.on_call = its_turn_is_over
            (result,) = stand.park_pass(lasts=timedelta(seconds=lasts)).park([instance_id])
            stand.world.on_call = None
            stand.try_way_back(instance_id)
            stand.after(10)

        assert words in str(result.error)
        assert bool(result.error) is bool(words)
        nothing_is_wrong(stand)
