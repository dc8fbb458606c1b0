"""What a terminated instance leaves: kept for a while, or for ever, and discarded only on proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from park_volumes.aws import Ec2
from park_volumes.core.facts import NOT_SHOWN, Observation
from park_volumes.core.park import needs_park_pass, park
from park_volumes.core.phase import TERMINATED
from park_volumes.core.steps import DiscardSnapshot, RememberTermination
from park_volumes.core.tags import tags_of_termination
from tests.model import judge
from tests.unit.facts import DATA, ID, NOW, OTHER, ROOT, SETTINGS, parked, record, seen, steps_of
from tests.unit.functions import SWEEP, Functions, state_change
from tests.unit.passes import DATA as DATA_DISK
from tests.unit.passes import ROOT as ROOT_DISK
from tests.unit.passes import Stand

MONTH = SETTINGS.orphan_retention
SECOND = timedelta(seconds=1)


def left(state: str, terminated: datetime | None = None) -> Observation:
    """A parked instance that is no more: its root volume would have died with it, its data volume would not."""
    both = tuple(record(d, terminated=terminated) for d in (DATA, ROOT))
    return seen(records=both, state=state, tags={})


def discarded(s: Observation, now: datetime = NOW) -> list[str]:
    decision = park(s, SETTINGS, now)
    assert needs_park_pass(s, SETTINGS, now) is bool(decision.steps)
    return [step.snapshot_id for step in steps_of(decision, DiscardSnapshot)]


def test_that_it_is_terminated_is_remembered_on_every_snapshot() -> None:
    decision = park(left(TERMINATED), SETTINGS, NOW)

    (step,) = steps_of(decision, RememberTermination)
    assert (set(step.snapshot_ids), step.instance_id, step.at) == ({"snap-data", "snap-root"}, ID, NOW)
    assert decision.reason == (
        f"{ID} is terminated. snap-root: kept until 2026-04-01, as its volume would have been deleted with it. "
        "snap-data: kept until somebody deletes it."
    )


def test_it_is_remembered_once() -> None:
    assert not park(left(TERMINATED, NOW - SECOND), SETTINGS, NOW).steps
    assert not needs_park_pass(left(TERMINATED, NOW - SECOND), SETTINGS, NOW)


@pytest.mark.parametrize("state", [TERMINATED, NOT_SHOWN])
def test_what_would_have_died_with_it_is_discarded_after_the_retention_and_nothing_else(state: str) -> None:
    assert discarded(left(state, NOW - MONTH)) == ["snap-root"]
    assert discarded(left(state, NOW - MONTH + SECOND)) == []


def test_not_to_be_seen_is_no_proof() -> None:
    assert discarded(left(NOT_SHOWN)) == []
    assert not park(left(NOT_SHOWN), SETTINGS, NOW + timedelta(days=3650)).steps
    assert park(left(NOT_SHOWN), SETTINGS, NOW).reason.endswith("snap-data, snap-root: kept until somebody deletes it.")


@pytest.mark.parametrize("state", ["stopped", "running", "stopping", "pending", "shutting-down"])
def test_of_an_instance_that_is_there_nothing_is_discarded_whatever_a_tag_says(state: str) -> None:
    there = replace(parked(state=state), records=left(state, NOW - 2 * MONTH).records)

    assert not steps_of(park(there, SETTINGS, NOW), DiscardSnapshot)


def test_of_what_goes_at_different_times_the_first_day_is_told() -> None:
    first, second = (
        record(device, terminated=NOW - days * timedelta(days=1), delete_on_termination=True)
        for device, days in ((ROOT, 9), (DATA, 2))
    )
    told = park(seen(records=[second, first], state=NOT_SHOWN, tags={}), SETTINGS, NOW).reason

    assert told == (
        f"{ID} is {NOT_SHOWN}. snap-data, snap-root: kept until 2026-03-23, as its volume would have been deleted "
        "with it."
    )


def test_a_termination_is_remembered_on_the_snapshots_that_do_not_say_it_yet_and_on_no_other() -> None:
    both = [record(DATA, terminated=NOW - SECOND), record(ROOT)]
    (step,) = steps_of(park(seen(records=both, state=TERMINATED, tags={}), SETTINGS, NOW), RememberTermination)

    assert step.snapshot_ids == ("snap-root",)


def test_of_nothing_left_nothing_is_told_but_the_state() -> None:
    assert park(seen(state=TERMINATED, tags={}), SETTINGS, NOW).reason == f"{ID} is terminated."


def test_locks_are_known_to_be_taken_off() -> None:
    decision = park(left(NOT_SHOWN, NOW - MONTH), SETTINGS, NOW)

    assert [step.locked for step in steps_of(decision, DiscardSnapshot)] == [True]


class Fate:
    """A parked instance on the model, terminated, and the sweeps that follow."""

    def __init__(self, stand: Stand, functions: Functions) -> None:
        self.stand, self.functions = stand, functions
        self.instance_id = stand.parked()

    def terminate(self, seconds: float = 60) -> None:
        self.stand.owner.terminate_instances(InstanceIds=[self.instance_id])
        self.stand.after(seconds)

    def sweep(self) -> None:
        """A sweep, and the messages that it sends."""
        self.functions.park(SWEEP)
        self.functions.park(*(body for _, body in self.functions.sent()))
        self.stand.world.take_messages()

    def left(self) -> set[str]:
        return {s.tags["park-volumes:device"] for s in self.stand.world.snapshots.current()}

    def remembered(self) -> bool:
        return all("park-volumes:terminated" in s.tags for s in self.stand.world.snapshots.current())


@pytest.fixture
def fate(stand: Stand, functions: Functions) -> Fate:
    return Fate(stand, functions)


def test_the_sweeps_keep_both_for_a_month_and_then_one(fate: Fate) -> None:
    fate.terminate()
    fate.sweep()
    assert fate.remembered()

    fate.stand.after(29.9 * 86400)
    fate.sweep()
    assert fate.left() == {ROOT_DISK.device, DATA_DISK.device}

    fate.stand.after(0.2 * 86400)
    fate.sweep()
    assert fate.left() == {DATA_DISK.device}
    assert judge.problems(fate.stand.world) == []


def test_a_volume_that_was_on_its_way_is_named(stand: Stand) -> None:
    instance_id = stand.rootless()
    stand.owner.terminate_instances(InstanceIds=[instance_id])
    stand.after(60)
    (result,) = stand.park_pass().park([instance_id])

    assert "was in transit and still exists: delete it if nobody needs it." in result.decision.reason


def test_the_event_of_the_termination_is_enough(fate: Fate) -> None:
    fate.terminate()
    fate.functions.park(state_change(fate.instance_id, "terminated"))

    assert fate.remembered()


def test_what_nobody_saw_terminated_is_kept_for_ever(fate: Fate) -> None:
    fate.terminate(4000)
    for _ in range(3):
        fate.sweep()
        fate.stand.after(365 * 86400)

    assert fate.left() == {ROOT_DISK.device, DATA_DISK.device}
    assert not fate.remembered()


def test_a_termination_remembered_of_another_instance_is_none_of_this_one(fate: Fate) -> None:
    """Somebody moves a snapshot to another instance by its tag."""
    for s in list(fate.stand.world.snapshots.current()):
        tag = {"Key": "park-volumes:terminated", "Value": tags_of_termination(OTHER, NOW)["park-volumes:terminated"]}
        fate.stand.owner.create_tags(Resources=[s.id], Tags=[tag])
    ec2: Ec2 = fate.stand.ec2()

    assert {r.terminated for r in ec2.reads.every_snapshot().records} == {None}


def test_a_sweep_asks_nothing_more_where_nothing_is_left(stand: Stand, functions: Functions) -> None:
    stand.parked()
    asked: list[str] = []
    stand.world.on_call = lambda operation, _: asked.append(operation)
    functions.park(SWEEP)

    assert asked.count("DescribeInstances") == 1
