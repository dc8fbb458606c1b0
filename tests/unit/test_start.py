"""What the start side does next with an instance, from facts alone. It deletes nothing, ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from park_volumes.core.facts import Observation, SnapshotRecord, Volume
from park_volumes.core.settle import complete
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import (
    AttachVolume,
    CountAttempt,
    CreateVolume,
    Decision,
    Outcome,
    RememberStart,
    SetDeleteOnTermination,
    StartInstance,
    UnmarkVolumes,
)
from tests.unit.facts import (
    DATA,
    ID,
    LAUNCHED,
    MARK,
    MARKED,
    NOW,
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
    parked,
    record,
    records,
    restored,
    root_volume,
    seen,
    steps_of,
    volume,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SOON = timedelta(seconds=2)
BACK = MARKED + MINUTE
"""When volumes were attached again, after the mark."""


def decide(s: Observation, *, asked: bool = True, now: datetime = NOW) -> Decision:
    return start(s, SETTINGS, now, intent=Intent.START if asked else Intent.SWEEP)


def asked_before(s: Observation, minutes: int = 10) -> Observation:
    """The same, with a start request that is so many minutes old."""
    at = NOW - minutes * MINUTE
    return replace(s, records=tuple(replace(r, start_requested=at) for r in s.records))


def came_back(v: str, device: str, *, flag: bool = False, state: str = "attached") -> Volume:
    return volume(v, attachment(device, attach_time=BACK, delete_on_termination=flag, state=state))


class TestAFreeVolumeBesideTheRootVolume:
    def attached(self, *more: SnapshotRecord) -> list[str]:
        of_data, of_root = records()
        free, root = restored(of_data), restored(of_root, attachment(ROOT))
        attach, _ = complete(seen(root, free, records=[of_data, of_root, *more]))
        return [step.volume_id for step in attach if isinstance(step, AttachVolume)]

    def test_is_attached_if_its_attempt_was_the_last_one_that_was_confirmed(self) -> None:
        assert self.attached() == [restored(records()[0]).id]

    def test_is_left_where_another_attempt_was_confirmed_after_it(self) -> None:
        assert self.attached(record(DATA, snapshot_id="snap-later", generation="later", confirmed_at=NOW)) == []


class TestARestore:
    """The command line brings volumes back, and starts nothing."""

    def restored(self, s: Observation) -> Decision:
        return start(s, SETTINGS, NOW, intent=Intent.RESTORE)

    def test_says_that_volumes_are_brought_back(self) -> None:
        assert self.restored(given_up()).reason == (
            f"The volumes of {ID} are brought back; the instance is not started."
        )

    def test_says_that_they_are_all_there(self) -> None:
        there = seen(root_volume(), data_volume(), records=records())
        decision = self.restored(there)

        assert (decision.reason, decision.steps) == (f"{ID} has its volumes; the instance is not started.", ())


class TestWhatIsNotStarted:
    def test_an_instance_that_is_not_opted_in(self) -> None:
        decision = decide(change(parked(), tags={}))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "tag it ParkVolumes=true and try again" in decision.reason

    def test_an_instance_that_is_starting_already(self) -> None:
        decision = decide(change(parked(), state="pending"))

        assert (decision.outcome, decision.steps) == (Outcome.GOING_ON, ())

    @pytest.mark.parametrize("state", ["stopping", "shutting-down", "terminated"])
    def test_an_instance_on_its_way_down(self, state: str) -> None:
        decision = decide(change(parked(), state=state))

        assert (decision.outcome, decision.reason, decision.steps) == (Outcome.REFUSED, f"{ID} is {state}.", ())

    def test_a_parked_instance_that_nobody_asked_for(self) -> None:
        decision = decide(parked(), asked=False)

        assert (decision.outcome, decision.reason, decision.steps) == (Outcome.DONE, f"{ID} is parked.", ())

    def test_a_stopped_instance_that_nobody_asked_for(self) -> None:
        assert decide(seen(root_volume()), asked=False).steps == ()

    def test_an_instance_that_another_pass_was_asked_to_start_and_began_to_restore_this_minute(self) -> None:
        s = asked_before(parked(), 0)
        decision = decide(replace(s, volumes=(restored(s.records[0]),)), asked=False)

        assert (decision.outcome, decision.steps) == (Outcome.GOING_ON, ())
        assert decision.reason == f"{ID} is being started."

    def test_a_start_that_waited_for_a_deletion_is_carried_on_by_the_event_of_it(self) -> None:
        decision = decide(asked_before(parked(), 0), asked=False)

        assert decision.reason == f"{ID} is restored from its 2 snapshots and started."

    def test_an_instance_being_parked_that_nobody_asked_for(self) -> None:
        decision = decide(given_up(), asked=False)

        assert (decision.reason, decision.steps) == (f"{ID} is being parked.", ())


class TestStartAsItIs:
    def test_a_stopped_instance_with_its_volumes_is_started(self) -> None:
        decision = decide(seen(root_volume(), data_volume()))

        assert decision.steps == ((StartInstance(instance_id=ID),),)
        assert (decision.outcome, decision.reason) == (Outcome.DONE, f"{ID} is started.")

    def test_the_request_is_remembered_on_the_snapshots_of_this_stop(self) -> None:
        older = record(ROOT, snapshot_id="snap-old", launch_time=LAUNCHED - timedelta(days=1))
        decision = decide(seen(root_volume(), data_volume(), records=[older, *records(confirmed_at=None)]))

        assert decision.steps[0] == (RememberStart(snapshot_ids=("snap-data", "snap-root"), at=NOW),)
        assert kinds(decision) == [{"RememberStart"}, {"StartInstance"}]

    def test_the_request_is_not_remembered_on_a_failed_snapshot_which_is_discarded(self) -> None:
        of_data, of_root = records(confirmed_at=None)
        decision = decide(seen(root_volume(), data_volume(), records=[of_data, replace(of_root, state="error")]))

        assert steps_of(decision, RememberStart) == [RememberStart(snapshot_ids=("snap-data",), at=NOW)]

    @pytest.mark.parametrize(("minutes", "again"), [(4, False), (5, True)])
    def test_the_request_is_written_anew_after_five_minutes(self, minutes: int, again: bool) -> None:
        s = asked_before(seen(root_volume(), data_volume(), records=records(confirmed_at=None)), minutes)

        assert bool(steps_of(decide(s), RememberStart)) is again

    def test_the_request_is_not_written_anew_where_one_snapshot_has_it(self) -> None:
        of_data, of_root = records(confirmed_at=None)
        s = seen(root_volume(), data_volume(), records=[of_data, replace(of_root, start_requested=NOW)])

        assert not steps_of(decide(s), RememberStart)

    def test_it_waits_while_volumes_are_being_attached(self) -> None:
        decision = decide(seen(volume("vol-root", attachment(state="attaching")), records=records()))

        assert kinds(decision) == [{"RememberStart"}]
        assert (decision.outcome, decision.look_again) == (Outcome.GOING_ON, SOON)

    def test_it_waits_while_a_volume_in_transit_is_being_detached(self) -> None:
        leaving = in_transit(volume("vol-data", attachment(DATA, state="detaching")))

        assert not steps_of(decide(seen(root_volume(), leaving, records=records())), StartInstance)

    def test_it_waits_while_a_volume_in_transit_is_being_created(self) -> None:
        made = restored(record(DATA), state="creating")

        assert not steps_of(decide(seen(root_volume(), made, records=records())), StartInstance)

    def test_a_free_volume_in_transit_is_attached_first_where_its_record_says(self) -> None:
        """Whatever its tags say."""
        place = {"park-volumes:place": f"{ROOT} 0 snap-root true"}
        free = in_transit(volume("vol-data", tags=place))
        decision = decide(seen(root_volume(), free, records=records(card=1)))

        assert kinds(decision) == [{"RememberStart"}, {"AttachVolume"}, {"StartInstance"}]
        assert steps_of(decision, AttachVolume) == [
            AttachVolume(instance_id=ID, device=DATA, card=1, volume_id="vol-data")
        ]

    def test_a_free_volume_whose_device_is_taken_is_told_and_nothing_is_started(self) -> None:
        free, another = in_transit(volume("vol-data")), volume("vol-else", attachment(DATA))
        decision = decide(seen(root_volume(), another, free, records=records()))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "taken by vol-else, while its own volume vol-data is free" in decision.reason

    def test_a_volume_in_transit_that_is_in_error_is_not_attached(self) -> None:
        broken = in_transit(volume("vol-data", state="error"))

        decision = decide(seen(root_volume(), broken, records=records()))

        assert kinds(decision) == [{"RememberStart"}, {"StartInstance"}]

    def test_delete_on_termination_is_set_before_the_start(self) -> None:
        back = in_transit(came_back("vol-root", ROOT))
        decision = decide(seen(back, records=records()))

        assert decision.steps[1:] == (
            (SetDeleteOnTermination(instance_id=ID, devices={ROOT: True}),),
            (StartInstance(instance_id=ID),),
        )

    def test_delete_on_termination_is_taken_from_the_record_for_a_volume_attached_now(self) -> None:
        free = in_transit(volume("vol-data"))
        decision = decide(seen(root_volume(), free, records=records(delete_on_termination=True)))

        assert steps_of(decision, SetDeleteOnTermination) == [
            SetDeleteOnTermination(instance_id=ID, devices={DATA: True})
        ]

    def test_a_request_of_the_last_hour_starts_it_without_being_asked(self) -> None:
        s = asked_before(seen(root_volume(), data_volume(), records=records(confirmed_at=None)), 59)

        assert decide(s, asked=False).steps == ((StartInstance(instance_id=ID),),)

    def test_an_older_request_is_forgotten(self) -> None:
        s = asked_before(seen(root_volume(), data_volume(), records=records(confirmed_at=None)), 60)

        assert decide(s, asked=False).steps == ()


class TestSettle:
    """The instance runs, or is stopped with its root volume and nobody asks."""

    def back(self, **changes: object) -> Observation:
        of_data, of_root = records()
        root = in_transit(came_back("vol-root", ROOT))
        data = in_transit(came_back("vol-data", DATA))
        return change(seen(root, data, records=(of_data, of_root)), state="running", **changes)

    def test_a_running_instance_without_marks_is_left_alone(self) -> None:
        decision = decide(seen(root_volume(), state="running"))

        assert (decision.steps, decision.reason) == ((), f"{ID} is running.")

    def test_what_came_back_gets_its_flag_and_then_loses_its_mark(self) -> None:
        assert decide(self.back(), asked=False).steps == (
            (SetDeleteOnTermination(instance_id=ID, devices={ROOT: True}),),
            (UnmarkVolumes(volume_ids=("vol-root", "vol-data"), mark=MARK),),
        )

    def test_a_request_changes_nothing_about_it(self) -> None:
        assert decide(self.back(), asked=True) == decide(self.back(), asked=False)

    def test_a_stopped_instance_that_nobody_asked_for_is_settled_too(self) -> None:
        stopped = change(self.back(), state="stopped")

        assert steps_of(decide(stopped, asked=False), UnmarkVolumes)
        assert not steps_of(decide(stopped, asked=False), StartInstance)

    @pytest.mark.parametrize(("seconds", "goes"), [(240, False), (241, True)])
    def test_a_mark_stays_as_long_as_anybody_may_see_the_attachment_before_it(self, seconds: int, goes: bool) -> None:
        decision = decide(self.back(), asked=False, now=MARKED + seconds * SECOND)

        assert bool(steps_of(decision, UnmarkVolumes)) is goes

    @pytest.mark.parametrize(("seconds", "goes"), [(240, False), (241, True)])
    def test_a_mark_of_the_future_goes_as_one_of_the_past_does(self, seconds: int, goes: bool) -> None:
        """No pass has written it; clocks that differ a little are no reason."""
        decision = decide(self.back(), asked=False, now=MARKED - seconds * SECOND)

        assert bool(steps_of(decision, UnmarkVolumes)) is goes

    @pytest.mark.parametrize(("attached", "expected"), [(MARKED + SECOND, {DATA: False}), (LAUNCHED, None)])
    def test_the_flag_of_a_volume_that_came_back_is_what_its_record_says_and_of_another_what_its_owner_says(
        self, attached: datetime, expected: dict[str, bool] | None
    ) -> None:
        kept = attachment(DATA, delete_on_termination=True, attach_time=attached)
        data = in_transit(volume("vol-data", kept))
        decision = decide(seen(root_volume(), data, records=records(), state="running"))

        wanted = [SetDeleteOnTermination(instance_id=ID, devices=expected)] if expected else []
        assert steps_of(decision, SetDeleteOnTermination) == wanted

    def failed(self, *, attempt: int, ago: timedelta) -> Observation:
        """Parked; the volume that was made of its one snapshot is in error."""
        r = record(ROOT, confirmed_at=MARKED, part=1, parts=1, attempt=attempt)
        dead = volume("vol-dead", state="error", snapshot_id=r.snapshot_id, created=NOW - ago)
        return seen(in_transit(dead), records=[r])

    @pytest.mark.parametrize("attempt", [1, 2])
    def test_nothing_is_made_that_nobody_wants_where_all_that_was_made_has_failed(self, attempt: int) -> None:
        assert not steps_of(decide(self.failed(attempt=attempt, ago=60 * MINUTE), asked=False), CreateVolume)

    @pytest.mark.parametrize(
        ("attempt", "ago", "made"),
        [(1, SECOND, True), (2, 299 * SECOND, False), (2, 300 * SECOND, True), (9, SECOND, False)],
    )
    def test_after_a_second_failure_the_sweeps_pause(self, attempt: int, ago: timedelta, made: bool) -> None:
        """A key that nobody mends would have a volume made every few seconds."""
        s = self.failed(attempt=attempt, ago=ago)
        wanted = replace(s, records=tuple(replace(r, start_requested=NOW - MINUTE) for r in s.records))
        decision = decide(wanted, asked=False)

        assert bool(steps_of(decision, CreateVolume)) is made
        assert steps_of(decide(wanted), CreateVolume)
        assert ("The next try follows in a few minutes" in decision.reason) is not made

    def test_marks_of_two_attempts_go_one_after_the_other(self) -> None:
        earlier = replace(MARK, at=MARKED - MINUTE)
        s = self.back()
        root, data = s.volumes
        decision = decide(replace(s, volumes=(root, replace(data, mark=earlier))))

        assert steps_of(decision, UnmarkVolumes) == [
            UnmarkVolumes(volume_ids=("vol-data",), mark=earlier),
            UnmarkVolumes(volume_ids=("vol-root",), mark=MARK),
        ]

    def test_a_free_volume_of_a_stopped_instance_is_attached_and_keeps_its_mark(self) -> None:
        free = in_transit(volume("vol-data"))

        assert kinds(decide(seen(root_volume(), free, records=records()), asked=False)) == [{"AttachVolume"}]

    def test_a_free_volume_of_a_running_instance_was_taken_away_and_loses_its_mark(self) -> None:
        free = in_transit(volume("vol-data"))

        running = seen(root_volume(), free, records=records(), state="running")

        assert kinds(decide(running)) == [{"UnmarkVolumes"}]

    def test_nothing_happens_while_a_volume_is_on_its_way(self) -> None:
        on_its_way = in_transit(came_back("vol-data", DATA, state="attaching"))

        assert decide(seen(root_volume(), on_its_way, records=records(), state="running")).steps == ()


class TestPutBack:
    """The original root volume is detached and still exists."""

    def test_the_originals_are_attached_the_root_volume_last_and_then_it_starts(self) -> None:
        of_data, of_root = records()
        free = seen(in_transit(volume("vol-root")), in_transit(volume("vol-data")), records=(of_data, of_root))

        assert decide(free).steps == (
            (RememberStart(snapshot_ids=("snap-data", "snap-root"), at=NOW),),
            (AttachVolume(instance_id=ID, device=DATA, card=0, volume_id="vol-data"),),
            (AttachVolume(instance_id=ID, device=ROOT, card=0, volume_id="vol-root"),),
            (SetDeleteOnTermination(instance_id=ID, devices={ROOT: True}),),
            (StartInstance(instance_id=ID),),
        )

    def test_it_comes_before_any_restoring(self) -> None:
        decision = decide(given_up())

        assert not steps_of(decision, CreateVolume)
        assert [s.volume_id for s in steps_of(decision, AttachVolume)] == ["vol-root"]

    def test_a_request_of_the_last_hour_is_carried_on(self) -> None:
        assert steps_of(decide(asked_before(given_up()), asked=False), StartInstance)

    def test_it_waits_while_the_root_volume_is_on_its_way(self) -> None:
        s = given_up()
        leaving = replace(s.volumes[1], attachments=(attachment(DATA, state="detaching"),))
        decision = decide(replace(s, volumes=(s.volumes[0], leaving)))

        assert kinds(decision) == [{"RememberStart"}]
        assert (decision.outcome, decision.look_again) == (Outcome.GOING_ON, SOON)

    def test_it_waits_for_the_others_when_the_root_volume_is_gone(self) -> None:
        s = given_up()
        decision = decide(seen(s.volumes[1], records=s.records))

        assert kinds(decision) == [{"RememberStart"}]
        assert (decision.outcome, decision.look_again) == (Outcome.GOING_ON, None)
        assert "are being deleted; then it is restored" in decision.reason

    def test_volumes_left_of_a_parking_that_nobody_asked_to_start_are_the_park_sides(self) -> None:
        s = given_up()
        decision = decide(seen(s.volumes[1], records=s.records), asked=False)

        assert (decision.outcome, decision.look_again, decision.steps) == (Outcome.DONE, None, ())
        assert decision.reason == f"{ID} is being parked."

    @pytest.mark.parametrize("asked", [True, False])
    def test_a_root_volume_that_left_without_being_parked_is_told(self, asked: bool) -> None:
        s = given_up()
        unmarked = tuple(replace(r, confirmed_at=None) for r in s.records)
        decision = decide(seen(s.volumes[1], records=unmarked), asked=asked)

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert decision.reason == (
            f"{ID} has no root volume, and its snapshots do not say that it was parked. "
            "Nothing was changed; attach its root volume at /dev/xvda, and try again."
        )

    @pytest.mark.parametrize("asked", [True, False])
    def test_a_volume_that_another_attempt_only_marked_stays_where_it_is(self, asked: bool) -> None:
        """It was to be parked with the root volume; then the instance was opted in for its root volume only."""
        of_data, of_root = records()
        root_only = replace(of_root, generation="root only", part=1, parts=1)
        stays = in_transit(data_volume())
        decision = decide(seen(stays, records=(root_only, replace(of_data, confirmed_at=None))), asked=asked)

        assert decision.outcome is Outcome.DONE
        if asked:
            assert [r.record for r in steps_of(decision, CreateVolume)] == [root_only]
            assert kinds(decision)[-1] == {"StartInstance"}
        else:
            assert decision.reason == f"{ID} is parked."
            assert steps_of(decision, UnmarkVolumes) == [UnmarkVolumes(volume_ids=("vol-data",), mark=MARK)]

    def test_a_snapshot_missing_while_volumes_are_left_is_named(self) -> None:
        s = given_up()
        decision = decide(seen(s.volumes[1], records=s.records[:1]))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "are missing" in decision.reason

    def test_a_root_volume_that_lost_its_mark_while_volumes_are_left_is_named(self) -> None:
        s = given_up()
        decision = decide(seen(volume("vol-root"), s.volumes[1], records=s.records))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "vol-root of" in decision.reason
        assert "attach it again, or delete it, and try again" in decision.reason

    def test_a_volume_that_another_instance_has_is_told(self) -> None:
        s = given_up()
        away = replace(s.volumes[1], attachments=(attachment(DATA, instance_id=OTHER),))
        decision = decide(seen(s.volumes[0], away, records=s.records))

        assert decision.outcome is Outcome.REFUSED
        assert decision.reason == f"Another instance has vol-data of {ID}: detach it there and try again."
        assert kinds(decision) == [{"RememberStart"}]

    def test_a_volume_that_its_owner_attached_as_another_disk_is_told(self) -> None:
        s = given_up()
        moved = replace(s.volumes[0], attachments=(attachment("/dev/sdq"),))
        decision = decide(seen(moved, s.volumes[1], records=s.records))

        assert decision.outcome is Outcome.REFUSED
        assert decision.reason == f"{ID} has vol-root at /dev/sdq instead of /dev/xvda: detach it and try again."

    def test_a_volume_whose_device_another_has_is_told(self) -> None:
        s = given_up()
        foreign = volume("vol-else", attachment(DATA))
        decision = decide(seen(s.volumes[0], in_transit(volume("vol-data")), foreign, records=s.records))

        assert decision.outcome is Outcome.REFUSED
        assert "taken by vol-else" in decision.reason
        assert kinds(decision) == [{"RememberStart"}]

    def test_an_original_that_lost_its_mark_makes_it_wait_for_the_restoring(self) -> None:
        s = given_up()
        decision = decide(seen(s.volumes[0], records=s.records))

        assert "lacks original volumes (vol-data), which are gone or have lost their mark" in decision.reason
        assert (decision.look_again, kinds(decision)) == (None, [{"RememberStart"}])

    def test_an_original_that_is_attached_without_a_mark_is_not_lost(self) -> None:
        s = given_up()

        assert steps_of(decide(seen(s.volumes[0], data_volume(), records=s.records)), StartInstance)

    def test_volumes_of_another_attempt_are_left_alone(self) -> None:
        s = given_up()
        old = in_transit(volume("vol-old"), mark=replace(MARK, generation="old"))
        of_old = record("/dev/sdz", volume_id="vol-old", snapshot_id="snap-old", generation="old")

        assert "vol-old" not in str(decide(seen(*s.volumes, old, records=[*s.records, of_old])).steps)


class TestAnotherRootVolume:
    """Somebody attached it while the volumes of the instance were being deleted."""

    ATTACHED = NOW - MINUTE
    SEEN_BY_ALL = ATTACHED + timedelta(seconds=120)

    def beside(self) -> Observation:
        s = given_up()
        another = volume("vol-else", attachment(ROOT, attach_time=self.ATTACHED))
        return seen(another, s.volumes[1], records=s.records)

    @pytest.mark.parametrize("asked", [True, False])
    def test_makes_a_start_wait_until_nobody_takes_volumes_away_any_more(self, asked: bool) -> None:
        decision = decide(self.beside(), asked=asked, now=self.SEEN_BY_ALL - SECOND)

        assert decision.outcome is Outcome.GOING_ON
        assert decision.reason.startswith(f"Another root volume was attached to {ID} while its volumes were being")
        assert decision.reason.endswith("continues by itself.") is asked
        assert kinds(decision) == ([{"RememberStart"}] if asked else [])

    def test_is_started_with_then(self) -> None:
        decision = decide(asked_before(self.beside()), asked=False, now=self.SEEN_BY_ALL)

        assert steps_of(decision, StartInstance)

    def test_at_another_device_makes_nobody_wait(self) -> None:
        s = self.beside()
        root = volume("vol-else", attachment(ROOT, attach_time=LAUNCHED))
        more = volume("vol-more", attachment("/dev/sdm", attach_time=self.ATTACHED))
        decision = decide(seen(root, s.volumes[1], more, records=s.records), now=self.SEEN_BY_ALL - SECOND)

        assert steps_of(decision, StartInstance)

    def test_is_not_started_with_where_the_others_are_parked(self) -> None:
        s = self.beside()
        decision = decide(seen(s.volumes[0], records=s.records))

        assert decision.outcome is Outcome.REFUSED
        assert "its other volumes are still parked (snap-data)" in decision.reason


class TestLockThatCameTooLate:
    """Somebody started and stopped the instance between two calls of a parking pass."""

    def late(self) -> Observation:
        return change(given_up(), launch_time=LAUNCHED + timedelta(hours=7))

    def test_is_undone_without_being_asked(self) -> None:
        decision = decide(self.late(), asked=False)

        assert [s.volume_id for s in steps_of(decision, AttachVolume)] == ["vol-root"]
        assert not steps_of(decision, StartInstance)

    def test_is_undone_and_started_when_asked(self) -> None:
        assert steps_of(decide(self.late()), StartInstance)

    def test_is_refused_in_words_where_an_original_is_gone(self) -> None:
        s = self.late()
        decision = decide(change(seen(s.volumes[0], records=s.records), launch_time=s.instance.launch_time))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "Nothing was changed; attach the others by hand" in decision.reason


class TestLockThatNobodyConfirmed:
    """The pass that detached the root volume died before it marked the snapshots, or somebody else detached it."""

    def unconfirmed(self) -> Observation:
        return replace(given_up(), records=records(confirmed_at=None))

    @pytest.mark.parametrize(("seconds", "undone"), [(120, False), (121, True)])
    def test_is_undone_without_being_asked_when_the_pass_that_could_confirm_it_is_dead(
        self, seconds: int, undone: bool
    ) -> None:
        decision = decide(self.unconfirmed(), asked=False, now=MARKED + seconds * SECOND)

        assert bool(steps_of(decision, AttachVolume)) is undone
        assert not steps_of(decision, StartInstance)

    def test_is_undone_at_once_and_started_when_asked(self) -> None:
        decision = decide(self.unconfirmed(), now=MARKED + SECOND)

        assert steps_of(decision, AttachVolume)
        assert steps_of(decision, StartInstance)


class TestRestore:
    def test_volumes_are_made_and_attached_the_root_volume_last_and_then_it_starts(self) -> None:
        s = parked()
        of_data, of_root = s.records

        assert decide(s).steps == (
            (RememberStart(snapshot_ids=("snap-data", "snap-root"), at=NOW),),
            (
                CreateVolume(record=of_data, token="snap-data-1"),
                CreateVolume(record=of_root, token="snap-root-1"),
            ),
            (AttachVolume(instance_id=ID, device=DATA, card=0, snapshot_id="snap-data"),),
            (AttachVolume(instance_id=ID, device=ROOT, card=0, snapshot_id="snap-root"),),
            (SetDeleteOnTermination(instance_id=ID, devices={ROOT: True}),),
            (StartInstance(instance_id=ID),),
        )

    def test_it_says_what_is_done(self) -> None:
        decision = decide(parked())

        assert decision.reason == f"{ID} is restored from its 2 snapshots and started."
        assert decision.outcome is Outcome.DONE

    def test_the_card_is_kept(self) -> None:
        of_data, of_root = records()
        decision = decide(seen(records=[replace(of_data, card=1), of_root]))

        assert [s.card for s in steps_of(decision, AttachVolume)] == [1, 0]

    def test_a_request_of_the_last_hour_is_carried_on(self) -> None:
        decision = decide(asked_before(parked()), asked=False)

        assert steps_of(decision, CreateVolume)
        assert not steps_of(decision, RememberStart)

    @pytest.mark.parametrize(("later", "counts"), [(SECOND, "snap-a"), (-SECOND, "snap-data")])
    def test_of_two_snapshots_of_one_part_the_newest_is_restored(self, later: timedelta, counts: str) -> None:
        twin = record(DATA, snapshot_id="snap-a", started=TAKEN + later, confirmed_at=MARKED)
        decision = decide(seen(records=[*records(), twin]))

        assert [s.token for s in steps_of(decision, CreateVolume)] == [f"{counts}-1", "snap-root-1"]

    @pytest.mark.parametrize("state", ["creating", "available"])
    def test_a_volume_that_was_made_already_is_used(self, state: str) -> None:
        s = parked()
        made = restored(s.records[0], state=state)
        decision = decide(seen(made, records=s.records))

        assert [s.token for s in steps_of(decision, CreateVolume)] == ["snap-root-1"]
        assert steps_of(decision, AttachVolume)[0] == AttachVolume(
            instance_id=ID, device=DATA, card=0, volume_id=made.id, snapshot_id="snap-data"
        )

    def test_a_volume_that_is_attached_already_stays_where_it_is(self) -> None:
        s = parked()
        there = restored(s.records[0], attachment(DATA, attach_time=BACK))
        decision = decide(seen(there, records=s.records))

        assert [s.device for s in steps_of(decision, AttachVolume)] == [ROOT]

    @pytest.mark.parametrize("state", ["deleting", "deleted"])
    def test_a_volume_that_is_going_is_asked_for_again_with_the_same_token(self, state: str) -> None:
        """Only a volume seen dead raises the attempt; creating shows whether the token answers with it."""
        s = parked()
        decision = decide(seen(restored(s.records[0], state=state), records=s.records))

        assert [s.token for s in steps_of(decision, CreateVolume)] == ["snap-data-1", "snap-root-1"]

    def test_a_volume_in_error_raises_the_attempt_first(self) -> None:
        s = parked()
        dead = restored(s.records[0], state="error")
        decision = decide(seen(dead, records=s.records))

        assert decision.steps[1] == (CountAttempt(snapshot_id="snap-data", attempt=2),)
        assert [s.token for s in steps_of(decision, CreateVolume)] == ["snap-data-2", "snap-root-1"]

    def test_an_attempt_that_was_counted_gives_the_token(self) -> None:
        decision = decide(seen(records=records(attempt=7)))

        assert [s.token for s in steps_of(decision, CreateVolume)] == ["snap-data-7", "snap-root-7"]

    def test_a_token_fits_into_64_characters(self) -> None:
        long = "snap-" + "f" * 17
        of_data, of_root = records()
        decision = decide(seen(records=[of_data, replace(of_root, snapshot_id=long, attempt=10**9)]))

        assert max(len(s.token) for s in steps_of(decision, CreateVolume)) <= 64

    def test_a_restoration_once_begun_is_finished_though_nobody_wants_it_any_more(self) -> None:
        s = parked()
        decision = decide(seen(restored(s.records[0]), records=s.records), asked=False)

        assert [s.device for s in steps_of(decision, AttachVolume)] == [DATA, ROOT]
        assert not steps_of(decision, StartInstance)
        assert decision.reason == f"{ID} is restored from its 2 snapshots."

    def test_it_waits_while_a_restored_volume_is_being_detached(self) -> None:
        s = parked()
        leaving = restored(s.records[0], attachment(DATA, state="detaching", attach_time=BACK))
        decision = decide(seen(leaving, records=s.records))

        assert kinds(decision) == [{"RememberStart"}]
        assert decision.look_again == SOON

    def test_no_flag_is_set_where_no_volume_had_it(self) -> None:
        decision = decide(seen(records=records(delete_on_termination=False)))

        assert not steps_of(decision, SetDeleteOnTermination)

    def test_it_waits_until_the_last_original_is_gone(self) -> None:
        s = parked()
        going = in_transit(volume("vol-data", state="deleting"))
        decision = decide(seen(going, records=s.records))

        assert kinds(decision) == [{"RememberStart"}]
        assert (decision.outcome, decision.look_again) == (Outcome.GOING_ON, SOON)
        assert decision.reason == f"The last volumes of {ID} are being deleted; then it is restored."

    def test_an_excluded_volume_that_stayed_attached_is_not_in_the_way(self) -> None:
        stays = volume("vol-stays", attachment("/dev/sdz"))

        assert steps_of(decide(seen(stays, records=records())), StartInstance)


class TestRestoreRefused:
    """In words, with nothing changed."""

    def refused(self, s: Observation) -> str:
        decision = decide(s)
        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        return decision.reason

    def test_where_a_part_is_missing(self) -> None:
        words = self.refused(seen(records=records()[:1]))

        assert f"Snapshots of {ID} are missing: part 2 of 2, the root volume ({ROOT})" in words
        assert "Nothing was changed" in words
        assert "list-snapshots-in-recycle-bin" in words

    def test_where_there_are_no_snapshots(self) -> None:
        words = self.refused(seen())

        assert words.startswith(f"{ID} has no root volume and no snapshots of ParkVolumes to create one from.")
        assert f"described as ParkVolumes: ... of {ID}" in words
        assert "restore-snapshot-from-recycle-bin" in words

    def test_where_the_snapshots_are_of_another_stop(self) -> None:
        words = self.refused(change(parked(), launch_time=LAUNCHED + timedelta(days=1)))

        assert "its snapshots (snap-data, snap-root) are not those of its last stop" in words
        assert "attach it by hand" in words

    def test_where_records_are_damaged_it_says_which(self) -> None:
        assert self.refused(replace(seen(), damaged=("The tags of snapshot snap-9 are gone.",))).endswith(
            "The tags of snapshot snap-9 are gone."
        )

    def test_where_an_original_still_exists_that_no_mark_gives_up(self) -> None:
        words = self.refused(seen(volume("vol-data"), records=records()))

        assert words.startswith(f"vol-data of {ID} still exists, and has no mark that allows replacing it")
        assert "attach it again, or delete it, and try again" in words

    def test_where_another_volume_has_the_device_it_says_how_to_get_out(self) -> None:
        foreign = volume("vol-empty", attachment(DATA))
        words = self.refused(seen(foreign, records=records()))

        assert f"The device {DATA} of {ID} is taken by vol-empty, which was not created from snap-data" in words
        assert "aws ec2 detach-volume --volume-id vol-empty" in words
        assert "try again" in words

    def test_where_the_device_is_taken_by_a_volume_that_nobody_described(self) -> None:
        s = seen(volume("vol-empty", attachment(DATA)), records=records())

        assert "taken by vol-empty" in self.refused(replace(s, volumes=()))

    def test_where_the_snapshots_are_of_another_zone(self) -> None:
        words = self.refused(change(parked(), zone="eu-central-1a"))

        assert words == f"snap-data is from a volume in eu-central-1b, but {ID} is in eu-central-1a."


def test_a_start_never_asks_for_a_snapshot_or_a_deletion() -> None:
    situations = [parked(), given_up(), seen(root_volume(), data_volume()), seen()]
    allowed = {
        "RememberStart", "CountAttempt", "CreateVolume", "AttachVolume", "SetDeleteOnTermination", "UnmarkVolumes",
        "StartInstance",
    }  # fmt: skip

    assert {kind for s in situations for stage in kinds(decide(s)) for kind in stage} <= allowed
