"""The archive tier: where parked instances go that nobody has started for long, and how they come back from there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from park_volumes.aws import Ec2
from park_volumes.core.archive import ARCHIVES_AT_ONCE, RESTORES_AT_ONCE, some_at_once
from park_volumes.core.facts import Observation, SnapshotRecord
from park_volumes.core.park import needs_park_pass, park
from park_volumes.core.prices import BY_REGION, GIB
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.status import status
from park_volumes.core.steps import ArchiveSnapshot, DiscardSnapshot, Outcome, RememberStart, RestoreSnapshotTier
from park_volumes.run.execute import Ending, Result
from park_volumes.run.fleet import observe_fleet
from park_volumes.run.park_pass import park_sweep
from tests.model import judge
from tests.model.ec2_model import EC2Client
from tests.model.faults import Fault, FaultPlan
from tests.model.records import Durations, Rules, Snapshot
from tests.model.world import World
from tests.unit.facts import (
    DATA,
    ID,
    MARKED,
    NOW,
    ROOT,
    SETTINGS,
    kinds,
    parked,
    record,
    records,
    restored,
    seen,
    steps_of,
)
from tests.unit.passes import Stand

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)
PATIENT = replace(SETTINGS, archive_after=MONTH, prices=BY_REGION["us-east-1"])
LATER = MARKED + MONTH


def archived(o: Observation, settings: Settings = PATIENT, now: datetime = LATER) -> list[str]:
    return [step.snapshot_id for step in steps_of(park(o, settings, now), ArchiveSnapshot)]


def brought_back(o: Observation, *, intent: Intent = Intent.START) -> list[str]:
    return [step.snapshot_id for step in steps_of(start(o, PATIENT, NOW, intent=intent), RestoreSnapshotTier)]


def older(device: str, n: int) -> SnapshotRecord:
    """A snapshot of an earlier stop that is still kept."""
    before = MARKED - n * timedelta(days=1)
    facts = {"snapshot_id": f"snap-older-{n}-{device[-1]}", "launch_time": before, "started": before}
    return record(device, generation=f"older{n}", written=4 * GIB, **facts)


class TestGoingThere:
    def test_snapshots_are_archived_once_the_instance_has_been_parked_for_long(self) -> None:
        assert archived(parked()) == ["snap-data", "snap-root"]

    def test_not_a_second_earlier(self) -> None:
        assert archived(parked(), now=LATER - timedelta(seconds=1)) == []

    def test_never_unless_it_is_wanted(self) -> None:
        assert archived(parked(), replace(PATIENT, archive_after=None)) == []

    def test_not_where_its_price_is_unknown(self) -> None:
        assert archived(parked(), replace(PATIENT, prices={"snapshot": 0.05, "archive": 0.0125})) == []

    def test_not_where_coming_back_costs_more_than_the_least_time_there_saves(self) -> None:
        dear = dict(PATIENT.prices) | {"archive-restore": 3 * (0.05 - 0.0125)}
        assert archived(parked(), replace(PATIENT, prices=dear)) == []

    def test_not_while_any_part_is_missing(self) -> None:
        assert archived(seen(records=records()[1:])) == []

    def test_not_while_a_restoration_has_begun_which_needs_all_of_them(self) -> None:
        assert archived(seen(restored(records()[0]), records=records())) == []

    def test_an_hour_after_a_start_was_asked_for_is_as_good_as_just_parked(self) -> None:
        asked = replace(parked(), records=records(start_requested=LATER - HOUR))
        assert archived(asked) == []
        assert archived(asked, now=LATER - HOUR + MONTH) == ["snap-data", "snap-root"]

    def test_what_is_on_its_way_or_there_is_left_alone(self) -> None:
        data, root = records()
        half = seen(records=[replace(data, archived=True), root])
        assert archived(half) == ["snap-root"]
        assert archived(replace(half, moving=frozenset({"snap-root"}))) == []

    def test_earlier_snapshots_of_a_device_go_with_the_last_because_they_share_its_blocks(self) -> None:
        data, root = records(written=4 * GIB)
        both = seen(records=[data, root, older(ROOT, 1)])
        keeps = replace(PATIENT, snapshot_retention=2 * MONTH)
        assert archived(both, keeps) == ["snap-data", "snap-root", "snap-older-1-a"]

    def test_earlier_snapshots_that_nothing_needs_any_more_are_discarded_first(self) -> None:
        both = seen(records=[*records(written=4 * GIB), older(ROOT, 1)])
        decision = park(both, PATIENT, LATER)

        assert [s.snapshot_id for s in steps_of(decision, DiscardSnapshot)] == ["snap-older-1-a"]
        assert not steps_of(decision, ArchiveSnapshot)

    def test_many_of_them_would_cost_more_there_where_each_is_whole(self) -> None:
        last = records(written=4 * GIB)
        many = [older(device, n) for n in range(1, 4) for device in (DATA, ROOT)]
        assert archived(seen(records=[*last, *many])) == []

    def test_the_sweep_looks_at_those_that_are_due_and_at_no_other(self) -> None:
        assert not needs_park_pass(parked(), PATIENT, LATER)
        assert some_at_once([parked()], PATIENT, LATER) == [parked()]
        assert some_at_once([parked()], PATIENT, LATER - HOUR) == []
        there = seen(records=records(archived=True))
        assert some_at_once([there], PATIENT, LATER) == []

    def test_of_many_the_sweep_takes_as_many_as_ec2_has_room_for_and_others_the_next_day(self) -> None:
        fleet = [replace(o := parked(), instance=replace(o.instance, id=f"i-{n:08x}")) for n in range(40)]
        days = [some_at_once(fleet, PATIENT, LATER + n * timedelta(days=1)) for n in range(2)]

        assert [sum(len(o.records) for o in day) for day in days] == [ARCHIVES_AT_ONCE + 1] * 2
        assert not {o.instance.id for o in days[0]} & {o.instance.id for o in days[1]}

    def test_of_single_snapshots_the_sweep_takes_exactly_as_many_as_there_is_room_for(self) -> None:
        single = seen(records=[replace(records()[1], part=1, parts=1)])
        fleet = [replace(single, instance=replace(single.instance, id=f"i-{n:08x}")) for n in range(40)]

        assert len(some_at_once(fleet, PATIENT, LATER)) == ARCHIVES_AT_ONCE == 25

    def test_who_looks_later_is_told_that_a_start_takes_long_if_any_part_is_archived(self) -> None:
        data, root = records()
        told = [
            park(seen(records=[replace(data, archived=a), replace(root, archived=b)]), SETTINGS, NOW).reason
            for a, b in ((False, False), (True, False), (True, True))
        ]
        slow = f"{ID} is parked, and its snapshots are archived: a start takes up to 72 hours."

        assert told == [f"{ID} is parked.", slow, slow]


class TestComingBack:
    def test_a_start_brings_archived_snapshots_back_before_anything_else(self) -> None:
        decision = start(seen(records=records(archived=True)), PATIENT, NOW, intent=Intent.START)

        assert kinds(decision) == [{"RememberStart"}, {"RestoreSnapshotTier"}]
        assert decision.outcome is Outcome.GOING_ON
        assert decision.look_again is None
        assert decision.reason == (
            f"The snapshots of {ID} come back from the archive tier, which takes up to 72 hours. "
            "The start then continues by itself."
        )

    def test_only_those_that_are_there_and_not_under_way(self) -> None:
        data, root = records()
        assert brought_back(seen(records=[data, replace(root, archived=True)])) == ["snap-root"]
        both = seen(records=records(archived=True))
        assert brought_back(replace(both, moving=frozenset({"snap-data"}))) == ["snap-root"]

    def test_as_many_at_once_as_ec2_takes(self) -> None:
        parts = [replace(records(archived=True)[0], snapshot_id=f"snap-{n}", device=f"/dev/sd{n}", part=n, parts=9)
                 for n in range(1, 9)]  # fmt: skip
        root = replace(records(archived=True)[1], part=9, parts=9)
        many = seen(records=[*parts, root])
        assert len(brought_back(many)) == RESTORES_AT_ONCE
        assert len(brought_back(replace(many, moving=frozenset({"snap-1", "snap-2"})))) == RESTORES_AT_ONCE - 2
        under_way = frozenset(f"snap-{n}" for n in range(1, 7))
        assert brought_back(replace(many, moving=under_way)) == []

    def test_the_request_is_written_down_anew_for_as_long_as_it_takes(self) -> None:
        waiting = seen(records=records(archived=True, start_requested=NOW - HOUR / 2), locked=())
        (again,) = steps_of(start(waiting, PATIENT, NOW, intent=Intent.SWEEP), RememberStart)
        assert again.at == NOW

    def test_without_a_request_nothing_is_brought_back(self) -> None:
        assert brought_back(seen(records=records(archived=True)), intent=Intent.SWEEP) == []

    def test_a_restore_alone_remembers_no_start_and_says_to_ask_again(self) -> None:
        decision = start(seen(records=records(archived=True)), PATIENT, NOW, intent=Intent.RESTORE)
        assert kinds(decision) == [{"RestoreSnapshotTier"}]
        assert decision.reason.endswith("which takes up to 72 hours. Try again then.")

    def test_who_asks_is_told_beforehand(self) -> None:
        told = status(seen(records=records(archived=True)), PATIENT, NOW)
        assert (told["state"], told["detail"]) == (
            "parked",
            f"{ID} is parked, and its snapshots are archived: a start takes up to 72 hours.",
        )
        assert {d["state"] for d in told["devices"]} == {"archived"}


class Years:
    """A parked instance on the model, where the archive takes its time, and the sweeps of both sides."""

    def __init__(self, rules: Rules | None = None) -> None:
        slow = Durations(archive=6 * 3600, thaw=48 * 3600)
        self.stand = Stand(World(durations=slow, rules=rules), PATIENT)
        self.instance_id = self.stand.parked()
        self.stand.after(MONTH.total_seconds())

    @property
    def snapshots(self) -> list[Snapshot]:
        return list(self.stand.world.snapshots.current())

    @property
    def tiers(self) -> set[str]:
        return {s.tier for s in self.snapshots}

    def park_sweep(self, faults: FaultPlan | None = None) -> list[Result]:
        parking = self.stand.park_pass(faults=faults)
        this_pass = parking.this_pass
        return parking.park(
            park_sweep(
                observe_fleet(this_pass.ec2.reads, PATIENT, this_pass.began).observations, PATIENT, this_pass.began
            )
        )

    def start_sweep(self) -> list[Result]:
        return self.stand.start_pass().sweep()

    def start(self, faults: FaultPlan | None = None) -> Result:
        result = self.stand.start_pass(faults=faults).start(self.instance_id)
        assert result is not None
        return result

    def archived(self) -> Years:
        self.park_sweep()
        self.stand.after(6 * 3600)
        assert self.tiers == {"archive"}
        return self


class TestOnTheModel:
    def test_a_sweep_archives_and_the_next_ones_wait_until_it_has_come_about(self) -> None:
        years = Years()

        assert [r.complete for r in years.park_sweep()] == [True]
        years.stand.after(300)
        assert [kinds(r.decision) for r in years.park_sweep()] == [[]]
        years.stand.after(6 * 3600)
        assert years.tiers == {"archive"}
        assert years.park_sweep() == []

    def test_a_start_comes_about_by_itself_days_later_and_loses_nothing(self) -> None:
        years = Years().archived()

        assert "72 hours" in years.start().reason
        for _ in range(48 * 4 + 2):
            years.stand.after(900)
            years.start_sweep()
            years.park_sweep()
        years.stand.after(60)

        assert years.stand.instance(years.instance_id).state == "running"
        assert judge.problems(years.stand.world) == []

    def test_it_can_be_started_while_it_is_on_its_way_there(self) -> None:
        years = Years()
        years.park_sweep()
        years.start()
        years.stand.after(60)

        assert years.stand.instance(years.instance_id).state == "running"

    def test_archived_snapshots_are_discarded_like_others_once_it_has_run_for_a_day(self) -> None:
        years = Years().archived()
        years.start()
        years.stand.after(48 * 3600)
        years.start()
        for _ in range(4):
            years.stand.after(24 * 3600)
            years.start_sweep()
            years.park_sweep()

        assert years.snapshots == []

    def test_quotas_of_the_account_are_waited_for_and_are_no_failure(self) -> None:
        years = Years(Rules(archives=1, thaws=1))

        (first,) = years.park_sweep()
        assert (first.ending, first.error) == (Ending.DEFERRED, None)
        assert "LimitExceeded" in first.reason
        for _ in range(3):
            years.stand.after(6 * 3600)
            years.park_sweep()
        assert years.tiers == {"archive"}
        assert years.start().error is None
        assert sum(s.tiering == "permanent-restore-in-progress" for s in years.snapshots) == 1

    def test_what_ec2_refuses_otherwise_is_a_failure(self) -> None:
        def denied(call: object) -> Fault | None:
            return Fault.DENIED if "RestoreSnapshotTier" in str(call) else None

        years = Years().archived()
        assert "RestoreSnapshotTier failed" in str(years.start(denied).error)

    def test_nothing_is_asked_of_the_tiers_where_none_is_archived_and_none_is_to_be(self) -> None:
        stand = Stand()
        instance_id = stand.parked()
        client = EC2Client(stand.world)
        ec2 = Ec2(client, deployment=stand.settings.deployment)  # type: ignore[arg-type]
        stand.park_pass(ec2=ec2).park([instance_id])
        stand.start_pass(ec2=ec2).start(instance_id)
        assert "DescribeSnapshots" in client.calls
        assert "DescribeSnapshotTierStatus" not in client.calls


@pytest.mark.parametrize(("days", "pays"), [(29, False), (30, True)])
def test_the_age_is_counted_from_the_parking_and_not_from_the_snapshot(days: int, pays: bool) -> None:
    launched, taken = MARKED - timedelta(days=11), MARKED - timedelta(days=10)
    early = seen(records=records(launch_time=launched, started=taken), launch_time=launched)
    assert bool(archived(early, now=MARKED + timedelta(days=days))) is pays
