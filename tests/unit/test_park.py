"""What the park side does next with an instance, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from park_volumes.core.facts import (
    Attachment,
    Observation,
    Rehearsal,
    SnapshotRecord,
    TransitMark,
    Verdict,
    Volume,
)
from park_volumes.core.park import DETACHING, needs_park_pass, park
from park_volumes.core.prices import prices_of
from park_volumes.core.retention import next_discard, superseded_since
from park_volumes.core.settings import Settings
from park_volumes.core.status import status
from park_volumes.core.steps import (
    ConfirmSnapshots,
    CreateSnapshot,
    Decision,
    DeleteVolume,
    DetachVolume,
    DiscardSnapshot,
    LockSnapshot,
    MarkVolume,
    Outcome,
)
from tests.unit.facts import (
    DATA,
    GENERATION,
    ID,
    LAUNCHED,
    MARK,
    MARKED,
    NOW,
    OPT_IN,
    OTHER,
    ROOT,
    SETTINGS,
    TAKEN,
    attachment,
    change,
    data_volume,
    given_up,
    in_transit,
    kinds,
    mappings,
    opted,
    parked,
    record,
    recorded,
    records,
    restored,
    root_volume,
    seen,
    steps_of,
    target,
    volume,
    with_snapshots,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LOCK_PERIOD = timedelta(seconds=180)


IN_SEOUL = replace(SETTINGS, prices=prices_of("ap-northeast-2", {}))


def decide(s: Observation, now: datetime = NOW, settings: Settings = SETTINGS) -> Decision:
    return park(s, settings, now)


def stopped() -> Observation:
    return seen(root_volume(), data_volume())


class TestWhatIsNotTouched:
    def test_an_instance_that_is_not_opted_in(self) -> None:
        decision = decide(change(stopped(), tags={"Name": "db"}))

        assert (decision.steps, decision.reason) == ((), f"{ID} is not opted in.")

    @pytest.mark.parametrize("state", ["pending", "stopping", "shutting-down", "terminated"])
    def test_an_instance_that_is_neither_stopped_nor_running(self, state: str) -> None:
        decision = decide(change(stopped(), state=state))

        assert (decision.steps, decision.reason) == ((), f"{ID} is {state}.")

    def test_an_instance_that_is_refused(self) -> None:
        decision = decide(change(stopped(), lifecycle="spot"))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert decision.reason.startswith(f"{ID} is not parked. It is a Spot Instance")

    def test_an_instance_with_a_refused_volume(self) -> None:
        decision = decide(seen(root_volume(), data_volume(multi_attach=True)))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())

    def test_an_instance_that_could_cost_more_parked(self) -> None:
        stopped = seen(root_volume(), data_volume(type="sc1", size=500))

        decision = decide(stopped, settings=IN_SEOUL)

        assert decision.outcome is Outcome.REFUSED
        assert not decision.steps
        assert "as snapshots up to 25.40 USD" in decision.reason

    def test_a_dear_volume_that_stays_anyway_costs_nothing_more(self) -> None:
        stays = data_volume(type="sc1", size=500, tags=opted("false"))

        assert steps_of(decide(seen(root_volume(), stays), settings=IN_SEOUL), CreateSnapshot)

    def test_an_instance_whose_refused_volume_stays_anyway_is_parked(self) -> None:
        shared = data_volume(multi_attach=True, tags=opted("false"))

        assert len(steps_of(decide(seen(root_volume(), shared)), CreateSnapshot)) == 1

    def test_an_instance_whose_root_volume_is_excluded(self) -> None:
        decision = decide(seen(root_volume(tags=opted("false")), data_volume()))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "root volume vol-root has to stay attached, because it is tagged ParkVolumes=false" in decision.reason


class TestFailedVolume:
    @pytest.mark.parametrize("state", ["stopped", "running", "pending"])
    def test_a_restored_volume_in_error_is_deleted(self, state: str) -> None:
        dead = restored(record(DATA, confirmed_at=MARKED), state="error")
        decision = decide(change(seen(dead, records=records()), state=state))

        assert decision.steps == ((DeleteVolume(volume_id=dead.id),),)
        assert decision.look_again == timedelta(seconds=15)
        assert "every snapshot is kept" in decision.reason

    def test_an_original_volume_in_error_is_kept(self) -> None:
        broken = in_transit(volume("vol-data", state="error"))

        assert not steps_of(decide(change(seen(broken, records=records()), state="running")), DeleteVolume)


class TestHold:
    @pytest.mark.parametrize("state", ["attaching", "detaching"])
    def test_nothing_is_done_while_volumes_are_on_their_way(self, state: str) -> None:
        decision = decide(seen(root_volume(), volume("vol-data", attachment(DATA, state=state))))

        assert (decision.steps, decision.look_again) == ((), timedelta(seconds=15))
        assert decision.outcome is Outcome.GOING_ON

    def test_nothing_is_done_for_an_hour_after_a_start_was_asked_for(self) -> None:
        asked = records(confirmed_at=None, start_requested=NOW - 59 * MINUTE)
        decision = decide(replace(stopped(), records=asked))

        assert (decision.steps, decision.reason) == ((), f"A start of {ID} was requested within the last hour.")

    def test_an_hour_after_a_start_was_asked_for_parking_goes_on(self) -> None:
        asked = records(confirmed_at=None, start_requested=NOW - HOUR)

        assert steps_of(decide(replace(stopped(), records=asked)), CreateSnapshot)

    def test_nothing_is_done_while_a_volume_that_came_back_bears_its_mark(self) -> None:
        back = volume("vol-root", attachment(attach_time=MARKED + MINUTE))
        decision = decide(seen(in_transit(back), data_volume(), records=records()))

        assert decision.steps == ()
        assert "vol-root" in decision.reason
        assert "must be settled first" in decision.reason

    def test_nothing_is_done_while_a_volume_in_transit_is_not_attached(self) -> None:
        decision = decide(seen(root_volume(), in_transit(volume("vol-data")), records=records()))

        assert decision.steps == ()
        assert "vol-data" in decision.reason

    def test_nothing_is_done_while_a_volume_that_came_back_has_another_flag_than_it_had(self) -> None:
        kept = record(ROOT, delete_on_termination=False)
        back = volume("vol-root", attachment(ROOT, attach_time=MARKED + SECOND))

        assert decide(seen(in_transit(back), data_volume(), records=[kept])).steps == ()

    def test_the_flag_that_its_owner_has_changed_on_a_volume_that_never_left_is_recorded_anew(self) -> None:
        kept = record(ROOT, delete_on_termination=False)
        taken = steps_of(decide(seen(in_transit(root_volume()), data_volume(), records=[kept])), CreateSnapshot)

        assert {s.volume_id for s in taken} == {"vol-root", "vol-data"}

    def test_a_volume_in_transit_whose_device_another_has_is_told(self) -> None:
        own = in_transit(volume("vol-own"))
        decision = decide(seen(root_volume(), data_volume(), own, records=[record(DATA, volume_id="vol-own")]))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "taken by vol-data, while its own volume vol-own is free" in decision.reason

    def test_nothing_is_done_while_a_mark_of_another_launch_is_left(self) -> None:
        old = in_transit(root_volume(), mark=replace(MARK, launch_time=LAUNCHED - DAY))
        decision = decide(seen(old, data_volume(), records=records(launch_time=LAUNCHED - DAY)))

        assert decision.steps == ()
        assert "must be settled first" in decision.reason

    def test_a_mark_of_an_attempt_that_stopped_before_the_detachment_holds_nothing_up(self) -> None:
        left = in_transit(root_volume()), in_transit(data_volume())

        assert steps_of(decide(seen(*left, records=records(confirmed_at=None))), CreateSnapshot)

    @pytest.mark.parametrize("age", [timedelta(0), SECOND, timedelta(seconds=120)])
    def test_nothing_is_done_for_a_quiet_period_after_an_attachment(self, age: timedelta) -> None:
        fresh = volume("vol-data", attachment(DATA, attach_time=NOW - age))
        decision = decide(seen(root_volume(), fresh))

        assert decision.steps == ()
        assert decision.look_again == timedelta(seconds=120) - age

    def test_a_quiet_period_after_an_attachment_the_copying_begins(self) -> None:
        fresh = volume("vol-data", attachment(DATA, attach_time=NOW - timedelta(seconds=121)))

        assert steps_of(decide(seen(root_volume(), fresh)), CreateSnapshot)


class TestCopy:
    def test_every_volume_gets_a_snapshot_and_nothing_else_happens(self) -> None:
        decision = decide(stopped())

        assert kinds(decision) == [{"CreateSnapshot"}]
        assert {s.volume_id for s in steps_of(decision, CreateSnapshot)} == {"vol-root", "vol-data"}
        assert decision.outcome is Outcome.GOING_ON

    def test_the_snapshots_say_of_what_they_are(self) -> None:
        data, root = steps_of(decide(stopped()), CreateSnapshot)

        assert data.description.startswith(f"ParkVolumes: {DATA} of {ID} [")
        assert root.description.startswith(f"ParkVolumes: {ROOT} of {ID} [")

    def test_the_snapshots_are_born_with_their_records(self) -> None:
        tagged = root_volume(tags={"Name": "db root"}), data_volume()
        data, root = (recorded(s, started=NOW, number=1) for s in steps_of(decide(seen(*tagged)), CreateSnapshot))

        assert (data.device, data.part, data.parts) == (DATA, 1, 2)
        assert (root.device, root.part, root.parts, root.user_tags) == (ROOT, 2, 2, {"Name": "db root"})
        assert data.generation == root.generation
        assert (root.launch_time, root.instance_id) == (LAUNCHED, ID)

    def test_an_excluded_volume_gets_none(self) -> None:
        decision = decide(seen(root_volume(), data_volume(tags=opted("false"))))

        assert [s.volume_id for s in steps_of(decision, CreateSnapshot)] == ["vol-root"]

    def test_only_the_root_volume_gets_one_where_the_tag_says_root(self) -> None:
        decision = decide(change(stopped(), tags=opted("root")))

        assert [s.volume_id for s in steps_of(decision, CreateSnapshot)] == ["vol-root"]

    def test_27_volumes_get_27_snapshots(self) -> None:
        data = [volume(f"vol-{n:02}", attachment(f"/dev/sd{chr(97 + n)}")) for n in range(1, 27)]
        created = steps_of(decide(seen(root_volume(), *data)), CreateSnapshot)

        assert [recorded(s, started=NOW, number=1).part for s in created] == list(range(1, 28))

    def test_two_passes_at_once_arrive_at_the_same_generation(self) -> None:
        first, later = decide(stopped(), NOW), decide(stopped(), NOW + MINUTE)

        assert first.steps == later.steps

    @pytest.mark.parametrize(
        "other",
        [
            change(stopped(), launch_time=LAUNCHED + HOUR),
            seen(root_volume(), volume("vol-data", attachment(DATA, attach_time=LAUNCHED + HOUR))),
            seen(root_volume(), volume("vol-else", attachment(DATA))),
            seen(root_volume(), volume("vol-data", attachment("/dev/sdg"))),
            seen(root_volume()),
        ],
        ids=["launch", "attach time", "volume", "device", "number"],
    )
    def test_snapshots_of_other_attachments_do_not_count(self, other: Observation) -> None:
        of_another = with_snapshots(other).records

        assert len(steps_of(decide(replace(stopped(), records=of_another)), CreateSnapshot)) == 2

    @pytest.mark.parametrize(
        "data",
        [
            data_volume(size=200),
            data_volume(type="gp2"),
            data_volume(iops=4000),
            data_volume(throughput=250),
            data_volume(kms_key="arn:of:another"),
            data_volume(tags={"Owner": "mina"}),
            volume("vol-data", attachment(DATA, delete_on_termination=True)),
            volume("vol-data", attachment(DATA, card=1)),
        ],
        ids=["size", "type", "iops", "throughput", "key", "tag", "flag", "card"],
    )
    def test_snapshots_of_a_volume_that_was_another_do_not_count(self, data: Volume) -> None:
        """Its owner has modified or tagged it since: the next attempt begins from what is true now."""
        before = with_snapshots(seen(root_volume(), data)).records

        assert len(steps_of(decide(replace(stopped(), records=before)), CreateSnapshot)) == 2

    def test_a_snapshot_from_before_the_attachment_does_not_count(self) -> None:
        s = with_snapshots(stopped(), started=LAUNCHED)

        assert len(steps_of(decide(s), CreateSnapshot)) == 2

    def test_a_snapshot_from_before_the_stop_does_not_count(self) -> None:
        """Somebody wrote the tags of this attempt on one of ours from a moment when the instance ran."""
        s = with_snapshots(change(stopped(), stopped_at=TAKEN + SECOND))

        assert len(steps_of(decide(s), CreateSnapshot)) == 2

    def test_tags_of_aws_and_our_own_on_the_volume_change_nothing(self) -> None:
        """AWS Backup tags what it copies, and another pass marks it."""
        before = with_snapshots(stopped())
        tagged = data_volume(tags={"aws:backup:source-resource": "x", "park-volumes:place": "y"})

        assert not steps_of(decide(replace(before, volumes=(root_volume(), tagged))), CreateSnapshot)

    def test_only_what_is_missing_is_taken(self) -> None:
        s = with_snapshots(stopped())
        decision = decide(replace(s, records=s.records[:1]))

        assert [s.volume_id for s in steps_of(decision, CreateSnapshot)] == ["vol-root"]
        assert decision.reason == f"{ID} is stopped. Volumes that still need a snapshot: 1 of 2."

    def test_tags_that_only_aws_can_write_are_told_to_be_lost(self) -> None:
        tagged = root_volume(tags={"a": "1", "aws:backup:source-resource": "web"})
        decision = decide(seen(tagged))

        assert decision.reason.endswith("Tags that only AWS can write will not come back: aws:backup:source-resource.")
        assert [key for s in steps_of(decision, CreateSnapshot) for key in s.tags if key.startswith("aws:")] == []

    @pytest.mark.parametrize("state", ["pending", "recoverable", "recovering"])
    def test_running_snapshots_are_waited_for_without_a_message(self, state: str) -> None:
        decision = decide(with_snapshots(stopped(), state=state, progress="40%"))

        assert (decision.steps, decision.look_again, decision.outcome) == ((), None, Outcome.GOING_ON)
        assert decision.reason == f"Snapshots of {ID} are running: {DATA} 40%, {ROOT} 40%."

    def test_one_running_snapshot_is_enough_to_wait(self) -> None:
        s = with_snapshots(stopped(), progress="")
        decision = decide(replace(s, records=(s.records[0], replace(s.records[1], state="pending"))))

        assert decision.reason == f"Snapshots of {ID} are running: {ROOT} 0%."


class TestOthersAtWork:
    """Whoever modifies or copies a volume is waited for: at the copy, and again when the volumes are given up."""

    def beside(self, s: Observation, at_work: str, volume_id: str = "vol-data") -> Observation:
        ids = frozenset({volume_id})
        return replace(s, modifying=ids) if at_work == "modifying" else replace(s, being_copied=ids)

    @pytest.mark.parametrize(
        ("at_work", "words"),
        [
            ("modifying", "Somebody is modifying vol-data of {}; parking goes on after that."),
            ("being_copied", "Parking {} waits for somebody else's pending snapshot of vol-data."),
        ],
    )
    @pytest.mark.parametrize(
        "before", [stopped(), with_snapshots(stopped()), given_up(), seen(in_transit(data_volume()), records=records())]
    )
    def test_nothing_is_done_to_their_volume(self, before: Observation, at_work: str, words: str) -> None:
        decision = decide(self.beside(before, at_work))

        assert (decision.outcome, decision.steps) == (Outcome.GOING_ON, ())
        assert decision.reason == words.format(ID)

    @pytest.mark.parametrize("at_work", ["modifying", "being_copied"])
    def test_a_volume_that_stays_attached_is_nobodys_business(self, at_work: str) -> None:
        stays = volume("vol-stays", attachment("/dev/sdz"), tags=opted("false"))
        s = seen(root_volume(), data_volume(), stays)

        assert decide(self.beside(s, at_work, "vol-stays")).steps == decide(s).steps

    def test_the_lock_period_is_waited_for_first(self) -> None:
        s = self.beside(given_up(), "modifying")

        assert decide(s, MARKED).look_again == LOCK_PERIOD + SECOND


class TestSnapshotInError:
    def failed(self, minutes: int) -> Observation:
        """Both completed, but that of the data volume failed so many minutes ago."""
        s = with_snapshots(stopped(), started=NOW - minutes * MINUTE)
        return replace(s, records=(replace(s.records[0], state="error"), s.records[1]))

    def test_is_left_alone_for_five_minutes(self) -> None:
        decision = decide(self.failed(minutes=4))

        assert (decision.steps, decision.outcome) == ((), Outcome.GOING_ON)
        assert f"{DATA} failed and is retried in a few minutes" in decision.reason

    def test_is_discarded_and_taken_again_after_five_minutes(self) -> None:
        decision = decide(self.failed(minutes=5))

        assert kinds(decision) == [{"DiscardSnapshot"}, {"CreateSnapshot"}]
        assert steps_of(decision, DiscardSnapshot) == [DiscardSnapshot(snapshot_id="snap-1", locked=False)]
        assert [s.volume_id for s in steps_of(decision, CreateSnapshot)] == ["vol-data"]

    def test_does_not_matter_beside_a_completed_one(self) -> None:
        s = self.failed(minutes=30)
        again = replace(s.records[0], snapshot_id="snap-9", state="completed")

        assert steps_of(decide(replace(s, records=(*s.records, again))), DetachVolume)

    def test_is_not_tried_again_while_another_one_runs(self) -> None:
        s = self.failed(minutes=30)
        again = replace(s.records[0], snapshot_id="snap-9", state="pending")

        assert decide(replace(s, records=(*s.records, again))).steps == ()


class TestLock:
    def ready(self) -> Observation:
        return with_snapshots(stopped())

    def test_comes_when_every_snapshot_is_completed(self) -> None:
        steps = [{"LockSnapshot"}, {"MarkVolume"}, {"TryGivingUp"}, {"DetachVolume"}, {"ConfirmSnapshots"}]

        assert kinds(decide(self.ready())) == steps

    def test_detaches_the_root_volume_only(self) -> None:
        assert steps_of(decide(self.ready()), DetachVolume) == [
            DetachVolume(volume_id="vol-root", instance_id=ID, device=ROOT, attach_time=LAUNCHED)
        ]

    def test_locks_the_snapshots_of_all_volumes(self) -> None:
        assert [s.snapshot_id for s in steps_of(decide(self.ready()), LockSnapshot)] == ["snap-1", "snap-2"]

    def test_does_not_lock_again_what_is_locked(self) -> None:
        locked = replace(self.ready(), locked=frozenset({"snap-1"}))

        assert [s.snapshot_id for s in steps_of(decide(locked), LockSnapshot)] == ["snap-2"]

    def test_marks_at_once_when_all_is_locked(self) -> None:
        locked = replace(self.ready(), locked=frozenset({"snap-1", "snap-2"}))

        assert kinds(decide(locked)) == [{"MarkVolume"}, {"TryGivingUp"}, {"DetachVolume"}, {"ConfirmSnapshots"}]

    def test_locks_nothing_where_the_deployment_does_not_want_it(self) -> None:
        decision = decide(self.ready(), settings=replace(SETTINGS, lock_snapshots=False))

        assert kinds(decision) == [{"MarkVolume"}, {"TryGivingUp"}, {"DetachVolume"}, {"ConfirmSnapshots"}]

    def test_marks_every_volume_with_one_mark_and_its_own_place(self) -> None:
        marked = steps_of(decide(self.ready()), MarkVolume)
        generation = self.ready().records[0].generation

        assert {m.mark for m in marked} == {replace(MARK, generation=generation, at=NOW)}
        assert {m.volume_id: m.target for m in marked} == {
            "vol-data": target(DATA, "snap-1"),
            "vol-root": target(ROOT, "snap-2"),
        }

    def test_marks_the_snapshots_after_the_detachment_with_the_same_mark(self) -> None:
        decision = decide(self.ready())
        (mark,) = {m.mark for m in steps_of(decision, MarkVolume)}

        assert decision.steps[-1] == (ConfirmSnapshots(snapshot_ids=("snap-1", "snap-2"), at=mark.at),)

    def test_writes_its_marks_anew_after_an_attempt_that_stopped_short(self) -> None:
        before = self.ready()
        mark = replace(MARK, generation=before.records[0].generation)
        again = replace(before, volumes=tuple(in_transit(v, mark=mark) for v in before.volumes))

        assert len(again.in_transit) == 2
        assert {m.mark.at for m in steps_of(decide(again), MarkVolume)} == {NOW}

    def test_asks_for_another_look_when_the_lock_period_is_over(self) -> None:
        assert decide(self.ready()).look_again == LOCK_PERIOD + SECOND

    def test_waits_for_the_grace_period_from_the_first_snapshot_on(self) -> None:
        first, last = self.ready().records
        later = replace(self.ready(), records=(first, replace(last, started=TAKEN + 20 * MINUTE)))
        decision = decide(later, TAKEN + 29 * MINUTE, replace(SETTINGS, grace_period=30 * MINUTE))

        assert (decision.steps, decision.look_again, decision.outcome) == ((), MINUTE, Outcome.GOING_ON)
        assert "until the grace period is over" in decision.reason

    def test_comes_when_the_grace_period_is_over(self) -> None:
        decision = decide(self.ready(), TAKEN + 30 * MINUTE, replace(SETTINGS, grace_period=30 * MINUTE))

        assert steps_of(decision, DetachVolume)

    @pytest.mark.parametrize(("later", "counts"), [(SECOND, "snap-0"), (-SECOND, "snap-1")])
    def test_takes_of_two_completed_snapshots_the_newest(self, later: timedelta, counts: str) -> None:
        s = self.ready()
        twin = replace(s.records[0], snapshot_id="snap-0", started=TAKEN + later)
        marked = steps_of(decide(replace(s, records=(*s.records, twin))), MarkVolume)

        assert {m.target.snapshot_id for m in marked} == {counts, "snap-2"}

    def test_takes_the_completed_snapshot_though_another_is_newer(self) -> None:
        s = self.ready()
        twin = replace(s.records[0], snapshot_id="snap-0", started=TAKEN + SECOND, state="pending")
        marked = steps_of(decide(replace(s, records=(*s.records, twin))), MarkVolume)

        assert {m.target.snapshot_id for m in marked} == {"snap-1", "snap-2"}

    def test_leaves_an_excluded_volume_unmarked(self) -> None:
        s = with_snapshots(seen(root_volume(), data_volume(tags=opted("false"))))

        assert [m.volume_id for m in steps_of(decide(s), MarkVolume)] == ["vol-root"]


class TestCommit:
    @pytest.mark.parametrize("seconds", [0, 179])
    def test_nothing_is_deleted_before_the_lock_period_is_over(self, seconds: int) -> None:
        now = MARKED + timedelta(seconds=seconds)
        decision = decide(given_up(), now)

        assert (decision.steps, decision.outcome) == ((), Outcome.GOING_ON)
        assert decision.look_again == MARKED + LOCK_PERIOD - now + SECOND

    def test_the_root_volume_is_deleted_when_it_is_over(self) -> None:
        decision = decide(given_up(), MARKED + LOCK_PERIOD)

        assert decision.steps[0] == (DeleteVolume(volume_id="vol-root"),)

    def test_it_comes_before_the_others_are_detached(self) -> None:
        assert decide(given_up()).steps == (
            (DeleteVolume(volume_id="vol-root"),),
            (DetachVolume(volume_id="vol-data", instance_id=ID, device=DATA, attach_time=LAUNCHED),),
        )

    def test_it_waits_while_the_root_volume_is_on_its_way(self) -> None:
        s = given_up()
        going = replace(s, volumes=(replace(s.volumes[0], state="deleting"), s.volumes[1]))

        assert (decide(going).steps, decide(going).look_again) == ((), timedelta(seconds=15))


class TestDismantle:
    def without_root(self, data: Volume) -> Observation:
        of_data, of_root = records()
        return seen(in_transit(data), records=(of_data, of_root))

    def test_a_volume_is_detached_after_the_commit(self) -> None:
        decision = decide(self.without_root(data_volume()))

        assert decision.steps == (
            (DetachVolume(volume_id="vol-data", instance_id=ID, device=DATA, attach_time=LAUNCHED),),
        )
        assert decision.look_again == timedelta(seconds=15)

    def test_a_detached_volume_is_deleted(self) -> None:
        decision = decide(self.without_root(volume("vol-data")))

        assert decision.steps == ((DeleteVolume(volume_id="vol-data"),),)
        assert decision.look_again is None

    @pytest.mark.parametrize("at", [attachment(DATA, state="detaching"), attachment(DATA, state="busy")])
    def test_a_volume_on_its_way_is_waited_for(self, at: Attachment) -> None:
        s = self.without_root(data_volume())
        away = replace(s.volumes[0], attachments=(at,))
        decision = decide(seen(away, records=s.records))

        assert (decision.steps, decision.look_again) == ((), timedelta(seconds=15))

    def test_the_lock_period_counts_from_the_snapshots_where_the_root_volume_is_gone(self) -> None:
        s = self.without_root(volume("vol-data"))

        assert decide(s, MARKED + LOCK_PERIOD - SECOND).steps == ()
        assert decide(s, MARKED + LOCK_PERIOD).steps

    @pytest.mark.parametrize("states", list(product(["attached", "detaching", "free", "deleting"], repeat=3)))
    def test_no_pass_detaches_and_deletes_the_same_volume(self, states: tuple[str, ...]) -> None:
        confirmed = {"confirmed_at": MARKED}
        parts = [record(f"/dev/sd{k}", volume_id=f"vol-{k}", snapshot_id=f"snap-{k}", part=k, parts=4, **confirmed)
                 for k in range(1, 4)]  # fmt: skip
        root = record(ROOT, part=4, parts=4, **confirmed)
        there: list[Volume] = []
        for part, state in zip(parts, states, strict=True):
            at = attachment(part.device, state=state) if state in ("attached", "detaching") else None
            facts = {"state": "deleting"} if state == "deleting" else {}
            there.append(in_transit(volume(part.volume_id, at, **facts)))
        decision = decide(seen(*there, records=[*parts, root]))
        detached = {s.volume_id for s in steps_of(decision, DetachVolume)}
        deleted = {s.volume_id for s in steps_of(decision, DeleteVolume)}

        assert detached == {r.volume_id for r, s in zip(parts, states, strict=True) if s == "attached"}
        assert deleted == {r.volume_id for r, s in zip(parts, states, strict=True) if s == "free"}

    def test_nothing_is_left_to_do_when_none_of_the_volumes_exists(self) -> None:
        decision = decide(parked())

        assert (decision.steps, decision.reason, decision.outcome) == ((), f"{ID} is parked.", Outcome.DONE)

    def test_an_excluded_volume_stays_attached(self) -> None:
        stays = volume("vol-stays", attachment("/dev/sdz"), tags=opted("false"))
        s = given_up()
        decision = decide(seen(*s.volumes, stays, records=s.records))

        assert "vol-stays" not in str(decision.steps)


class TestChangedDuringTheLock:
    """The owner modifies a volume or changes its tags while the root volume is detached: the lock is void."""

    @pytest.mark.parametrize(
        ("root", "data", "which"),
        [
            ({}, {"size": 200}, "vol-data"),
            ({}, {"tags": {"Owner": "mina"}}, "vol-data"),
            ({"type": "gp2"}, {}, "vol-root"),
            ({"tags": {"Owner": "mina"}}, {}, "vol-root"),
            ({"size": 9}, {"size": 200}, "vol-root, vol-data"),
        ],
    )
    def test_nothing_is_given_up_and_everything_is_put_back(
        self, root: dict[str, Any], data: dict[str, Any], which: str
    ) -> None:
        there = in_transit(volume("vol-root", **root)), in_transit(data_volume(**data))
        decision = decide(seen(*there, records=records()))

        assert (decision.outcome, decision.steps) == (Outcome.GOING_ON, ())
        assert decision.reason == (f"Somebody changed {which} of {ID} after the snapshot: all volumes are put back.")

    def test_a_tag_that_aws_writes_changes_nothing(self) -> None:
        root, data = given_up().volumes
        tagged = replace(data, tags={"aws:backup:source-resource": "x"})

        assert steps_of(decide(seen(root, tagged, records=records())), DeleteVolume)


class TestARehearsal:
    """A volume that was created only to try a key."""

    def tried(self, *, created: datetime, verdict: datetime | None) -> Observation:
        """It is there, and the verdict was written then."""
        of_data = record(DATA, verdict=Verdict(shape="s", at=verdict) if verdict else None)
        trial = Rehearsal(deployment=SETTINGS.deployment, instance_id=ID)
        size = of_data.rehearsal.size
        there = volume("vol-try", snapshot_id=of_data.snapshot_id, size=size, created=created, rehearsal=trial)
        return seen(root_volume(), data_volume(), there, records=[of_data])

    def test_is_left_to_the_pass_that_created_it(self) -> None:
        assert not steps_of(decide(self.tried(created=NOW - MINUTE, verdict=None)), DeleteVolume)

    def test_is_deleted_once_the_verdict_is_written(self) -> None:
        tried = self.tried(created=NOW - MINUTE, verdict=NOW)

        assert steps_of(decide(tried), DeleteVolume) == [DeleteVolume(volume_id="vol-try")]

    def test_is_deleted_once_that_pass_is_over(self) -> None:
        created = NOW - SETTINGS.quiet_period

        assert not steps_of(decide(self.tried(created=created, verdict=None)), DeleteVolume)
        assert steps_of(decide(self.tried(created=created - SECOND, verdict=None)), DeleteVolume)

    @pytest.mark.parametrize(("ago", "detached"), [(timedelta(0), False), (SECOND, True)])
    def test_keeps_the_volumes_until_no_pass_can_create_another_one(self, ago: timedelta, detached: bool) -> None:
        s = with_snapshots(seen(root_volume(), data_volume()))
        rehearsed = NOW - SETTINGS.settle_period - ago
        known = [replace(r, verdict=replace(r.verdict, rehearsed=rehearsed)) for r in s.records if r.verdict]

        assert bool(steps_of(decide(replace(s, records=tuple(known))), DetachVolume)) is detached


class TestChangedAfterTheCommit:
    """Nobody writes on the volumes that are left, but their owner can still change what they are."""

    def left(self, *more: SnapshotRecord, **facts: Any) -> Observation:
        """The root volume is gone; the data volume has these facts since its snapshot was taken. What is confirmed is
        locked."""
        every = [*records(), *more]
        locked = [r.snapshot_id for r in every if r.confirmed_at]
        return seen(in_transit(data_volume(**facts)), records=every, locked=locked)

    def copied(self, s: Observation, **facts: Any) -> SnapshotRecord:
        """The snapshot that is taken then."""
        (step,) = steps_of(decide(s), CreateSnapshot)
        return replace(recorded(step, started=NOW, number=9), **facts)

    @pytest.mark.parametrize("changed", [{"size": 200, "iops": 4000}, {"tags": {"Owner": "mina"}}], ids=str)
    def test_another_snapshot_is_taken_as_the_same_part(self, changed: dict[str, Any]) -> None:
        decision = decide(self.left(**changed))

        assert kinds(decision) == [{"CreateSnapshot"}]
        assert decision.reason == (
            f"Somebody changed vol-data of {ID} after the snapshot was taken: another one is taken first."
        )
        r, old = self.copied(self.left(**changed)), records()[0]
        assert r.spec == data_volume(**changed).spec
        assert r.user_tags == changed.get("tags", {})
        assert (r.generation, r.part, r.parts, r.device, r.launch_time) == (GENERATION, 1, 2, DATA, LAUNCHED)
        assert (r.card, r.delete_on_termination) == (old.card, old.delete_on_termination)

    def test_a_volume_that_is_free_already_is_copied_too(self) -> None:
        s = seen(in_transit(volume("vol-data", size=200)), records=records())

        assert kinds(decide(s)) == [{"CreateSnapshot"}]

    def test_one_that_is_being_deleted_is_only_waited_for(self) -> None:
        """EC2 takes no snapshot of it. Asking for one again and again would hide that it does not go."""
        s = seen(in_transit(volume("vol-data", size=200, state="deleting")), records=records())
        decision = decide(s)

        assert (decision.outcome, decision.steps, decision.look_again) == (Outcome.GOING_ON, (), DETACHING)
        assert decision.reason == f"The volumes of {ID} have their snapshots and are deleted."

    def test_nothing_is_deleted_while_that_runs(self) -> None:
        pending = self.copied(self.left(size=200), state="pending")

        assert (decide(self.left(pending, size=200)).outcome, decide(self.left(pending, size=200)).steps) == (
            Outcome.GOING_ON,
            (),
        )

    def test_the_completed_one_is_locked_and_confirmed_first(self) -> None:
        done = self.copied(self.left(size=200))

        assert decide(self.left(done, size=200)).steps == (
            (LockSnapshot(snapshot_id="snap-9"),),
            (ConfirmSnapshots(snapshot_ids=("snap-9",), at=NOW),),
        )

    def test_what_somebody_has_locked_is_only_confirmed(self) -> None:
        """EC2 refuses to change a lock in compliance mode."""
        left = self.left(self.copied(self.left(size=200)), size=200)

        assert kinds(decide(replace(left, locked=left.locked | {"snap-9"}))) == [{"ConfirmSnapshots"}]

    def test_without_locks_it_is_confirmed(self) -> None:
        done = self.copied(self.left(size=200))
        decision = decide(self.left(done, size=200), settings=replace(SETTINGS, lock_snapshots=False))

        assert kinds(decision) == [{"ConfirmSnapshots"}]

    def test_the_volume_goes_a_lock_period_after_that(self) -> None:
        confirmed = self.copied(self.left(size=200), confirmed_at=NOW)
        s = self.left(confirmed, size=200)

        assert decide(s, NOW + LOCK_PERIOD - SECOND).steps == ()
        assert kinds(decide(s, NOW + LOCK_PERIOD)) == [{"DetachVolume"}]

    def test_a_failed_one_is_taken_again_after_five_minutes(self) -> None:
        failed = self.copied(self.left(size=200), state="error")
        s = self.left(failed, size=200)

        assert decide(s, NOW + 4 * MINUTE).steps == ()
        assert kinds(decide(s, NOW + 5 * MINUTE)) == [{"DiscardSnapshot"}, {"CreateSnapshot"}]

    def test_a_failed_one_does_not_matter_beside_a_completed_one(self) -> None:
        done = self.copied(self.left(size=200))
        failed = replace(done, snapshot_id="snap-10", state="error", started=NOW + SECOND)

        assert kinds(decide(self.left(done, failed, size=200))) == [{"LockSnapshot"}, {"ConfirmSnapshots"}]

    def test_a_volume_that_is_changed_back_is_copied_once_more(self) -> None:
        """The first snapshot says what it is, but the newest confirmed one is what a start would follow."""
        second = self.copied(self.left(size=200), confirmed_at=NOW)

        assert kinds(decide(self.left(second), NOW + HOUR)) == [{"CreateSnapshot"}]

    def test_a_snapshot_of_another_attempt_does_not_do(self) -> None:
        other = self.copied(self.left(size=200), generation="another")

        assert kinds(decide(self.left(other, size=200))) == [{"CreateSnapshot"}]

    def test_a_tag_that_aws_or_a_pass_writes_changes_nothing(self) -> None:
        tagged = {"aws:backup:source-resource": "x", "park-volumes:place": "y"}

        assert kinds(decide(self.left(tags=tagged))) == [{"DetachVolume"}]


class TestProof:
    """Without it no volume is deleted, and none detached."""

    def refused(self, s: Observation, settings: Settings = SETTINGS) -> str:
        decision = decide(s, settings=settings)
        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        return decision.reason

    def test_there_must_be_snapshots_at_all(self) -> None:
        assert "has no root volume, and no snapshots" in self.refused(seen(data_volume()))

    def test_no_part_may_be_missing(self) -> None:
        assert "are missing (part 1 of 2)" in self.refused(replace(parked(), records=records()[1:]))

    def test_every_snapshot_must_be_locked(self) -> None:
        decision = decide(given_up(locked={"snap-root"}))
        assert decision.steps == ((LockSnapshot(snapshot_id="snap-data"),),)
        assert "they are locked before any volume is deleted" in decision.reason

    def test_locks_do_not_matter_where_the_deployment_does_without(self) -> None:
        assert decide(given_up(locked=()), settings=replace(SETTINGS, lock_snapshots=False)).steps

    def test_a_volume_must_bear_a_mark(self) -> None:
        s = given_up()
        bare = seen(s.volumes[0], data_volume(), records=s.records)

        assert self.refused(bare).startswith(f"No volume of {ID} is deleted, because of vol-data: no mark")

    @pytest.mark.parametrize(
        "mark",
        [
            replace(MARK, launch_time=LAUNCHED - HOUR),
            replace(MARK, generation="another"),
            replace(MARK, instance_id=OTHER),
        ],
        ids=["launch", "generation", "instance"],
    )
    def test_the_mark_must_be_of_this_attempt(self, mark: TransitMark) -> None:
        s = given_up()
        strange = seen(s.volumes[0], replace(s.volumes[1], mark=mark), records=s.records)

        assert "vol-data" in self.refused(strange)

    def test_a_data_volume_must_have_stayed_attached_since_its_snapshot(self) -> None:
        s = given_up()
        back = replace(s.volumes[1], attachments=(attachment(DATA, attach_time=TAKEN),))

        assert "vol-data of" in self.refused(seen(s.volumes[0], back, records=s.records))
        assert "did not stay attached" in self.refused(seen(s.volumes[0], back, records=s.records))

    @pytest.mark.parametrize("at", [None, attachment(DATA, state="detaching")])
    def test_a_data_volume_must_be_attached_until_the_commit(self, at: Attachment | None) -> None:
        s = given_up()
        left = in_transit(volume("vol-data", at))

        assert "Start the instance to put all volumes back" in self.refused(seen(s.volumes[0], left, records=s.records))

    def test_an_attempt_that_nobody_confirmed_waits_until_it_is_put_back(self) -> None:
        decision = decide(replace(given_up(), records=records(confirmed_at=None)))

        assert (decision.outcome, decision.steps, decision.look_again) == (Outcome.GOING_ON, (), None)
        assert "the volume is put back" in decision.reason

    def test_the_volume_must_not_be_attached_elsewhere(self) -> None:
        s = given_up()
        away = replace(s.volumes[1], attachments=(attachment(DATA, instance_id=OTHER),))

        assert "vol-data" in self.refused(seen(s.volumes[0], away, records=s.records))

    @pytest.mark.parametrize("data", [volume("vol-data"), data_volume()])
    def test_the_snapshot_must_be_one_of_this_very_volume(self, data: Volume) -> None:
        """Whatever the tags of the volume say, and whatever device the snapshot says it is of."""
        of_another = record(DATA, volume_id="vol-else", confirmed_at=MARKED)
        decision = decide(seen(in_transit(data), records=[of_another, records()[1]]))

        assert not steps_of(decision, DetachVolume) + steps_of(decision, DeleteVolume)

    @pytest.mark.parametrize("later", [SECOND, -SECOND])
    def test_the_snapshot_that_counts_must_be_locked_even_where_its_twin_is(self, later: timedelta) -> None:
        s = given_up()
        twin = record(DATA, snapshot_id="snap-twin", started=TAKEN + later, confirmed_at=MARKED)
        newest, older = ("snap-twin", "snap-data") if later > timedelta(0) else ("snap-data", "snap-twin")

        def locked(snapshot_id: str) -> Observation:
            return seen(*s.volumes, records=[*s.records, twin], locked={snapshot_id, "snap-root"})

        assert decide(locked(older)).steps == ((LockSnapshot(snapshot_id=newest),),)
        assert steps_of(decide(locked(newest)), DeleteVolume)


class Days:
    """Office hours: launched at 8, stopped at 18, parked; every morning restored from the evening's snapshot."""

    def __init__(self, days: int) -> None:
        self.launches = [NOW.replace(hour=8) + n * DAY for n in range(days + 1)]
        self.records = tuple(
            record(
                ROOT,
                snapshot_id=f"snap-{n}",
                volume_id=f"vol-{n}",
                part=1,
                parts=1,
                launch_time=launch,
                started=launch + 10 * HOUR,
                generation=f"day-{n}",
                source=f"snap-{n - 1}" if n else "",
            )
            for n, launch in enumerate(self.launches[:-1])
        )
        attached = volume(f"vol-{days}", attachment(attach_time=self.launches[-1]), snapshot_id=f"snap-{days - 1}")
        self.seen = seen(attached, records=self.records, state="running", launch_time=self.launches[-1])


class TestDiscard:
    def discarded(self, s: Observation, now: datetime) -> list[str]:
        return [step.snapshot_id for step in steps_of(decide(s, now), DiscardSnapshot)]

    def test_nothing_goes_on_the_first_day(self) -> None:
        days = Days(1)

        assert self.discarded(days.seen, days.launches[1] + 23 * HOUR) == []

    def test_a_snapshot_goes_when_it_has_been_superseded_for_the_retention(self) -> None:
        days = Days(1)

        assert self.discarded(days.seen, days.launches[1] + 24 * HOUR) == ["snap-0"]

    def test_a_chain_of_office_days_goes_oldest_first_and_the_youngest_stays(self) -> None:
        days = Days(5)

        assert self.discarded(days.seen, days.launches[5] + HOUR) == ["snap-0", "snap-1", "snap-2", "snap-3"]

    @pytest.mark.parametrize("back", [0, 1, 4])
    @pytest.mark.parametrize("state", ["running", "stopped"])
    def test_a_chain_that_leads_back_into_itself_ends(self, back: int, state: str) -> None:
        """Tags may say so: whoever may tag writes any source into the record of a version that sealed none."""
        days = Days(5)
        first = replace(days.records[0], source=f"snap-{back}")
        s = replace(days.seen, records=(first, *days.records[1:]), instance=replace(days.seen.instance, state=state))

        assert self.discarded(replace(s, instance=days.seen.instance), days.launches[5] + HOUR)[0] == "snap-0"
        assert status(s, SETTINGS, days.launches[5] + HOUR)["id"] == ID

    def test_the_next_look_is_when_the_first_of_them_goes(self) -> None:
        days = Days(3)

        assert next_discard(days.seen, SETTINGS) == days.launches[1] + SETTINGS.snapshot_retention

    def test_one_snapshot_goes_after_the_other(self) -> None:
        days = Days(5)

        assert [len(stage) for stage in decide(days.seen, days.launches[5] + HOUR).steps] == [1, 1, 1, 1]

    def test_the_retention_may_be_nought(self) -> None:
        days = Days(2)
        decision = decide(days.seen, days.launches[2], replace(SETTINGS, snapshot_retention=timedelta(0)))

        assert len(steps_of(decision, DiscardSnapshot)) == 2

    def test_a_locked_snapshot_is_unlocked_first(self) -> None:
        days = Days(2)
        s = replace(days.seen, locked=frozenset({"snap-0"}))
        steps = steps_of(decide(s, days.launches[2] + DAY), DiscardSnapshot)

        assert [(s.snapshot_id, s.locked) for s in steps] == [("snap-0", True), ("snap-1", False)]

    def test_snapshots_of_a_stop_that_gave_nothing_up_go_too(self) -> None:
        """Stopped and started before the lock: the original volume is still there."""
        s = seen(root_volume(), records=[record(ROOT)], locked=(), state="running", launch_time=LAUNCHED + 3 * HOUR)

        assert self.discarded(s, LAUNCHED + 27 * HOUR) == ["snap-root"]

    def test_a_snapshot_of_this_launch_is_not_superseded(self) -> None:
        s = seen(root_volume(), records=[record(ROOT)], state="running")

        assert self.discarded(s, NOW + 100 * DAY) == []

    def test_a_failed_snapshot_goes_whatever_is_attached(self) -> None:
        s = seen(data_volume(), records=[record(ROOT, state="error")], state="running", launch_time=TAKEN + HOUR)

        assert self.discarded(s, TAKEN + 26 * HOUR) == ["snap-root"]

    def test_a_pending_snapshot_stays(self) -> None:
        s = seen(root_volume(), records=[record(ROOT, state="pending")], state="running", launch_time=TAKEN + HOUR)

        assert self.discarded(s, TAKEN + 26 * HOUR) == []

    def test_a_twin_goes_before_the_snapshot_that_was_restored(self) -> None:
        days = Days(1)
        twin = replace(days.records[0], snapshot_id="snap-x", started=days.records[0].started + SECOND)
        s = replace(days.seen, records=(*days.records, twin))

        assert self.discarded(s, days.launches[1] + DAY) == ["snap-x", "snap-0"]

    def test_a_younger_snapshot_than_the_one_restored_is_kept_and_reported(self) -> None:
        """Somebody restored an older day by hand: the younger content exists nowhere else."""
        days = Days(2)
        by_hand = volume("vol-hand", attachment(), snapshot_id="snap-0")
        s = change(replace(days.seen, volumes=(by_hand,)), mappings=mappings([by_hand]))
        now = days.launches[2] + 2 * DAY

        assert self.discarded(s, now) == ["snap-0"]
        left = replace(s, records=days.records[1:])
        assert decide(left, now).outcome is Outcome.REFUSED
        assert "snap-1: these snapshots are kept" in decide(left, now).reason

    def test_a_snapshot_of_another_device_does_not_prove_anything(self) -> None:
        of_data = record(DATA, snapshot_id="snap-other")
        made = volume("vol-x", attachment(), snapshot_id="snap-other")
        s = seen(made, records=[record(ROOT), of_data], state="running", launch_time=TAKEN + HOUR)

        assert "snap-root" not in self.discarded(s, TAKEN + 26 * HOUR)

    def test_the_snapshot_of_a_device_that_is_empty_now_is_kept(self) -> None:
        s = seen(root_volume(), records=records(confirmed_at=None), state="running", launch_time=TAKEN + HOUR)

        assert self.discarded(s, TAKEN + 26 * HOUR) == ["snap-root"]
        alone = replace(s, records=s.records[:1])
        assert "is running without the volumes of snap-data" in decide(alone, TAKEN + 26 * HOUR).reason

    def test_nothing_goes_while_a_volume_is_in_transit(self) -> None:
        days = Days(1)
        mark = replace(MARK, generation="day-0", launch_time=days.launches[0])
        s = replace(days.seen, volumes=(in_transit(days.seen.volumes[0], mark=mark),))
        decision = decide(s, days.launches[1] + 9 * DAY)

        assert decision.steps == ()
        assert "still being settled" in decision.reason

    def test_nothing_goes_while_a_volume_is_being_attached(self) -> None:
        days = Days(1)
        s = change(days.seen, mappings=())

        assert decide(s, days.launches[1] + 9 * DAY).steps == ()

    def test_an_instance_that_runs_with_everything_superseded_but_not_due_is_fine(self) -> None:
        days = Days(1)
        decision = decide(days.seen, days.launches[1] + HOUR)

        assert (decision.outcome, decision.reason) == (Outcome.DONE, f"{ID} is running.")


class TestSupersededSince:
    def test_never_without_a_later_launch(self) -> None:
        r = record(ROOT)

        assert superseded_since(r, seen(records=[r])) is None

    def test_the_first_launch_after_its_own_counts(self) -> None:
        days = Days(3)

        assert superseded_since(days.records[0], days.seen) == days.launches[1]


class TestNeedsParkPass:
    """The sweep sees no volumes but the marked ones."""

    def swept(self, s: Observation) -> bool:
        return needs_park_pass(replace(s, volumes=tuple(v for v in s.volumes if v.mark)), SETTINGS, NOW)

    def test_a_stopped_instance_with_its_root_volume_is(self) -> None:
        assert self.swept(stopped())

    def test_a_parked_instance_is_not(self) -> None:
        assert not self.swept(parked())

    def test_a_parked_instance_with_an_excluded_volume_is_not(self) -> None:
        stays = volume("vol-stays", attachment("/dev/sdz"), tags=opted("false"))

        assert not self.swept(seen(stays, records=records()))

    def test_an_instance_with_volumes_in_transit_is(self) -> None:
        assert self.swept(given_up())

    def test_an_instance_without_root_and_without_snapshots_is(self) -> None:
        assert self.swept(seen(data_volume()))

    def test_a_parked_instance_that_lacks_a_part_is(self) -> None:
        assert self.swept(seen(records=records()[:1]))

    def test_a_parked_instance_with_an_unmarked_volume_of_its_records_is(self) -> None:
        assert self.swept(seen(data_volume(), records=records()))

    @pytest.mark.parametrize("state", ["pending", "stopping", "shutting-down", "terminated"])
    def test_an_instance_between_two_states_is_not(self, state: str) -> None:
        assert not self.swept(change(stopped(), state=state, launch_time=NOW))

    def test_a_running_instance_without_snapshots_is_not(self) -> None:
        assert not self.swept(change(stopped(), state="running"))

    @pytest.mark.parametrize(("hours", "yes"), [(23, False), (24, True)])
    def test_a_running_instance_is_once_a_snapshot_is_due(self, hours: int, yes: bool) -> None:
        days = Days(1)
        bare = replace(days.seen, volumes=())

        assert needs_park_pass(bare, SETTINGS, days.launches[1] + hours * HOUR) is yes


def test_the_tag_that_opts_in_is_the_one_of_the_deployment() -> None:
    other = replace(SETTINGS, opt_in_tag_key="Night")

    assert decide(stopped(), settings=other).steps == ()
    assert decide(change(stopped(), tags={"Night": "true", OPT_IN: "false"}), settings=other).steps


def test_a_record_says_which_generation_it_is_of() -> None:
    s = with_snapshots(stopped())

    assert len({r.generation for r in s.records}) == 1
    assert s.records[0].generation != GENERATION
