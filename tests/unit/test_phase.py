"""Where an instance stands, as both sides read it from the facts in the same way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from park_volumes.core import phase, refusals
from park_volumes.core.evidence import changed
from park_volumes.core.facts import Observation, Volume
from park_volumes.core.phase import PHASES, Phase, phase_of
from park_volumes.core.tags import opted_in
from tests.unit.facts import (
    DATA,
    GENERATION,
    ID,
    LAUNCHED,
    MARK,
    MARKED,
    NOW,
    OTHER,
    ROOT,
    SETTINGS,
    attachment,
    change,
    data_volume,
    given_up,
    in_transit,
    mappings,
    opted,
    parked,
    record,
    records,
    restored,
    root_volume,
    seen,
    volume,
)


@pytest.mark.parametrize(("value", "yes"), [("true", True), ("root", True), ("false", False), ("yes", False)])
def test_an_instance_is_opted_in_by_true_or_root(value: str, yes: bool) -> None:
    assert opted_in(opted(value), SETTINGS) is yes


def test_an_instance_without_the_tag_is_not_opted_in() -> None:
    assert not opted_in({"Name": "db"}, SETTINGS)


def test_attached_volumes_come_in_the_order_of_their_devices() -> None:
    s = seen(root_volume(), data_volume(), volume("vol-free"))

    assert [v.id for v, _ in s.attached] == ["vol-data", "vol-root"]


class TestRootDetached:
    def test_an_instance_with_its_root_has_it(self) -> None:
        assert not seen(root_volume()).root_detached

    def test_an_instance_without_its_root_lacks_it(self) -> None:
        assert seen(data_volume()).root_detached

    def test_the_root_counts_as_there_while_only_the_instance_tells_of_it(self) -> None:
        assert not seen(volume("vol-root"), mappings=mappings([root_volume()])).root_detached

    def test_the_root_counts_as_there_while_only_the_volume_tells_of_it(self) -> None:
        assert not seen(root_volume(), mappings=()).root_detached


class TestSettled:
    def test_the_same_volumes_at_the_same_devices_are_settled(self) -> None:
        assert seen(root_volume(), data_volume()).descriptions_agree

    def test_an_instance_without_volumes_is_settled(self) -> None:
        assert seen().descriptions_agree

    @pytest.mark.parametrize("state", ["attaching", "detaching"])
    def test_a_volume_on_its_way_is_not(self, state: str) -> None:
        assert not seen(root_volume(), volume("vol-data", attachment(DATA, state=state))).descriptions_agree

    def test_a_volume_that_the_instance_does_not_tell_of_is_not(self) -> None:
        assert not seen(root_volume(), data_volume(), mappings=mappings([root_volume()])).descriptions_agree

    def test_a_mapping_whose_volume_does_not_tell_of_it_is_not(self) -> None:
        assert not seen(root_volume(), mappings=mappings([root_volume(), data_volume()])).descriptions_agree

    def test_a_device_of_which_they_tell_differently_is_not(self) -> None:
        elsewhere = mappings([volume("vol-root", attachment("/dev/xvdz"))])

        assert not seen(root_volume(), mappings=elsewhere).descriptions_agree


class TestMarked:
    def test_volumes_with_a_mark_and_a_record_are_in_transit(self) -> None:
        assert {m.id for m in given_up().in_transit} == {"vol-root", "vol-data"}

    def test_the_mark_of_another_instance_is_not_ours(self) -> None:
        s = seen(in_transit(root_volume(), mark=replace(MARK, instance_id=OTHER)), records=records())

        assert (s.in_transit, s.unproven) == ((), ())

    def test_the_original_is_told_from_what_was_made_of_its_snapshot(self) -> None:
        original, made = seen(in_transit(root_volume()), restored(record(DATA)), records=records()).in_transit

        assert (original.restored, made.restored) == (False, True)

    @pytest.mark.parametrize(("seconds", "yes"), [(-1, False), (0, False), (1, True)])
    def test_a_volume_came_back_when_attached_after_the_mark(self, seconds: int, yes: bool) -> None:
        at = attachment(ROOT, attach_time=MARKED + timedelta(seconds=seconds))
        (m,) = seen(in_transit(volume("vol-root", at)), records=records()).in_transit

        assert m.came_back is yes

    def test_a_volume_at_another_instance_is_elsewhere(self) -> None:
        away = in_transit(volume("vol-data", attachment(DATA, instance_id=OTHER)))
        (m,) = seen(away, records=records()).in_transit

        assert (m.attachment, m.elsewhere) == (None, True)

    def test_a_volume_here_or_free_is_not_elsewhere(self) -> None:
        assert not any(m.elsewhere for m in given_up().in_transit)


class TestAltered:
    @pytest.mark.parametrize(("flag", "yes"), [(True, False), (False, True)])
    def test_a_volume_is_when_its_flag_is_not_that_of_its_record(self, flag: bool, yes: bool) -> None:
        there = volume("vol-root", attachment(delete_on_termination=flag, attach_time=MARKED + timedelta(seconds=1)))
        (m,) = seen(in_transit(there), records=records()).in_transit

        assert m.flag_differs is yes

    @pytest.mark.parametrize("flag", [True, False])
    def test_a_volume_that_never_left_is_not_by_its_flag_but_its_record_is_void(self, flag: bool) -> None:
        there = volume("vol-root", attachment(delete_on_termination=flag))
        (m,) = seen(in_transit(there), records=records()).in_transit

        assert not m.flag_differs
        assert bool(changed([m])) is not flag

    @pytest.mark.parametrize("state", ["detaching", "busy"])
    def test_a_volume_that_leaves_is_not_by_its_flag(self, state: str) -> None:
        """No page says what EC2 shows of the flag then."""
        there = volume("vol-root", attachment(delete_on_termination=False, state=state))
        (m,) = seen(in_transit(there), records=records()).in_transit

        assert changed([m]) == []

    def test_a_volume_that_came_back_is_by_its_flag_however_late_it_was_marked_again(self) -> None:
        there = volume("vol-root", attachment(delete_on_termination=False, attach_time=MARKED + timedelta(seconds=1)))
        (m,) = seen(
            in_transit(there, mark=replace(MARK, at=MARKED + timedelta(minutes=1))), records=records()
        ).in_transit

        assert m.flag_differs

    def test_a_volume_that_is_attached_nowhere_is_not(self) -> None:
        (m,) = seen(in_transit(volume("vol-root")), records=records()).in_transit

        assert not m.flag_differs


class TestDisplaced:
    def test_a_free_volume_whose_device_another_has_is_told(self) -> None:
        words = refusals.device_taken(self.free_beside(volume("vol-else", attachment(DATA))))

        assert f"The device {DATA} of {ID} is taken by vol-else, while its own volume vol-data" in words

    def test_a_free_volume_whose_device_is_free_is_not(self) -> None:
        assert refusals.device_taken(self.free_beside()) == ""

    def test_a_volume_that_still_shows_at_its_device_is_not(self) -> None:
        """The instance and its volume are described at different times."""
        s = self.free_beside()

        assert refusals.device_taken(change(s, mappings=mappings([root_volume(), data_volume()]))) == ""

    def test_a_volume_at_another_instance_is_not(self) -> None:
        away = in_transit(volume("vol-data", attachment(DATA, instance_id=OTHER)))
        s = seen(root_volume(), volume("vol-else", attachment(DATA)), away, records=records())

        assert refusals.device_taken(s) == ""

    def free_beside(self, *others: Volume) -> Observation:
        """The data volume is on its way and attached nowhere."""
        return seen(root_volume(), *others, in_transit(volume("vol-data")), records=records())


class TestRootInTransit:
    def test_the_marked_original_root_volume_is_found(self) -> None:
        found = given_up().marked_root

        assert found is not None
        assert found.id == "vol-root"

    @pytest.mark.parametrize("v", [in_transit(volume("vol-root", state="deleting")), restored(record(ROOT))])
    def test_one_that_is_going_or_was_made_anew_is_not(self, v: Volume) -> None:
        assert seen(v, records=records()).marked_root is None


def with_void_root(**changes: Any) -> Observation:
    """The original root volume is detached, and its generation is not confirmed."""
    return replace(given_up(), records=records(confirmed_at=None), **changes)


def committed() -> Observation:
    """The root volume is gone, the data volume still attached."""
    return replace(given_up(), volumes=given_up().volumes[1:])


IN_EACH_PHASE: dict[Phase, list[Observation]] = {
    Phase.ENDED: [change(parked(), state="terminated"), change(parked(), state="gone")],
    Phase.CHANGING: [change(parked(), state=state) for state in ("pending", "stopping", "shutting-down")],
    Phase.RUNNING: [change(given_up(), state="running"), seen(root_volume(), state="running")],
    Phase.WHOLE: [
        seen(root_volume(), data_volume()),
        seen(volume("vol-root"), mappings=mappings([root_volume()])),
        seen(root_volume(), mappings=()),
        seen(in_transit(root_volume()), records=records()),
    ],
    Phase.LOCK_VOID: [
        with_void_root(),
        replace(given_up(), records=records()[1:]),
        seen(
            in_transit(volume("vol-root"), mark=replace(MARK, generation="other")),
            records=[*records(), record(ROOT, snapshot_id="snap-other", generation="other")],
        ),
        replace(given_up(), volumes=(given_up().volumes[0], in_transit(data_volume(size=200)))),
        replace(given_up(), volumes=(in_transit(volume("vol-root", tags={"Owner": "mina"})),)),
        change(given_up(), launch_time=LAUNCHED + timedelta(hours=1)),
    ],
    Phase.LOCKED: [given_up(), replace(given_up(), volumes=given_up().volumes[:1])],
    Phase.BROKEN: [
        seen(),
        seen(data_volume()),
        seen(records=records(confirmed_at=None)),
        seen(records=records()[1:]),
        change(parked(), launch_time=LAUNCHED + timedelta(hours=1)),
        seen(records=[record(DATA, part=1, parts=1, confirmed_at=MARKED)]),
    ],
    Phase.COMMITTED: [
        committed(),
        seen(volume("vol-data"), records=records()),
        seen(volume("vol-root", state="deleting"), records=records()),
        seen(in_transit(volume("vol-root"), mark=replace(MARK, generation="other")), records=records()),
        seen(in_transit(volume("vol-root", state="deleting")), records=records()),
    ],
    Phase.RESTORING: [
        seen(restored(record(DATA)), records=records()),
        seen(restored(record(ROOT), state="creating"), records=records()),
    ],
    Phase.PARKED: [
        parked(),
        parked(mappings=mappings([volume("vol-else", attachment("/dev/sdz"))])),
        seen(volume("vol-settled", attachment(DATA), snapshot_id="snap-data"), records=records()),
    ],
}


class TestPhases:
    @pytest.mark.parametrize(
        ("expected", "observation"),
        [(expected, observation) for expected, every in IN_EACH_PHASE.items() for observation in every],
    )
    def test_each_is_told_by_its_evidence(self, expected: Phase, observation: Observation) -> None:
        assert phase_of(observation) is expected

    def test_the_table_has_one_row_for_each(self) -> None:
        assert [row.phase for row in PHASES] == list(Phase)

    def test_no_row_leads_to_itself(self) -> None:
        assert not [row.phase for row in PHASES if row.phase in (*row.leads_to, *row.people)]

    def test_a_transition_is_caused_by_the_software_or_by_people_only(self) -> None:
        assert not [row.phase for row in PHASES if row.leads_to.keys() & row.people.keys()]

    def test_only_an_instance_without_its_root_volume_cannot_be_started_by_ec2(self) -> None:
        """WITHOUT_ROOT names the phases in which the root volume is detached."""
        rootless = {p for p, every in IN_EACH_PHASE.items() if all(o.root_detached for o in every)}

        assert rootless - {Phase.ENDED, Phase.CHANGING, Phase.RUNNING} == phase.WITHOUT_ROOT


def test_a_generation_is_demanded_where_a_phase_rests_on_one() -> None:
    assert parked().given_up.name == GENERATION
    with pytest.raises(ValueError, match="no complete generation"):
        _ = seen().given_up


class TestConfirmedGeneration:
    def test_no_generation_without_records(self) -> None:
        assert seen(root_volume()).generation is None

    def test_no_generation_without_marks(self) -> None:
        assert seen(records=records(confirmed_at=None)).generation is None

    def test_the_marked_generation_is_whole(self) -> None:
        found = parked().generation

        assert found is not None
        assert (found.name, found.confirmed_at, found.missing) == (GENERATION, MARKED, ())
        assert [r.device for r in found.parts] == [DATA, ROOT]

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_snapshots_of_another_launch_do_not_count(self, hours: int) -> None:
        assert change(parked(), launch_time=LAUNCHED + timedelta(hours=hours)).generation is None

    def test_the_newest_mark_names_the_generation(self) -> None:
        earlier = MARKED - timedelta(minutes=9)
        old = [
            replace(r, snapshot_id=f"{r.snapshot_id}-0", generation="first", confirmed_at=earlier)
            for r in records(started=NOW)
        ]
        found = seen(records=[*records(), *old]).generation

        assert found is not None
        assert found.name == GENERATION

    def test_a_part_that_is_not_there_is_named(self) -> None:
        found = seen(records=records()[1:]).generation

        assert found is not None
        assert found.missing == ("part 1 of 2",)

    @pytest.mark.parametrize("state", ["pending", "error", "recoverable", "recovering"])
    def test_a_part_that_is_not_completed_is_missing(self, state: str) -> None:
        of_data, of_root = records()
        found = seen(records=[replace(of_data, state=state), of_root]).generation

        assert found is not None
        assert found.missing == ("part 1 of 2",)

    def test_without_the_root_volume_it_is_not_whole(self) -> None:
        (only,) = (record(DATA, part=1, parts=1, confirmed_at=MARKED),)
        found = seen(records=[only]).generation

        assert found is not None
        assert found.missing == (f"the root volume ({ROOT})",)

    @pytest.mark.parametrize(
        ("later", "twin_id", "counts"),
        [(9, "snap-aaaa", "snap-aaaa"), (-9, "snap-zzzz", "snap-data"), (0, "snap-zzzz", "snap-zzzz")],
    )
    def test_of_two_snapshots_of_one_part_the_newest_counts(self, later: int, twin_id: str, counts: str) -> None:
        """Of two that were taken at the same moment, that with the greater id."""
        of_data, of_root = records()
        twin = replace(of_data, snapshot_id=twin_id, started=of_data.started + timedelta(seconds=later))

        for every in ([of_data, of_root, twin], [twin, of_root, of_data]):
            found = seen(records=every).generation
            assert found is not None
            assert [r.snapshot_id for r in found.parts] == [counts, "snap-root"]

    def test_a_twin_that_is_not_completed_does_not_count(self) -> None:
        of_data, of_root = records()
        twin = replace(of_data, snapshot_id="snap-aaaa", started=NOW, state="error")
        found = seen(records=[of_data, of_root, twin]).generation

        assert found is not None
        assert [r.snapshot_id for r in found.parts] == ["snap-data", "snap-root"]


class TestStartPending:
    @pytest.mark.parametrize(("minutes", "yes"), [(0, True), (59, True), (60, False), (90, False)])
    def test_a_request_holds_for_an_hour(self, minutes: int, yes: bool) -> None:
        asked = records(start_requested=NOW - timedelta(minutes=minutes))

        assert phase.start_pending(seen(records=asked), SETTINGS, NOW) is yes

    def test_nothing_is_pending_without_a_request(self) -> None:
        assert not phase.start_pending(parked(), SETTINGS, NOW)

    def test_a_request_is_over_once_the_launch_time_has_moved(self) -> None:
        asked = seen(records=records(start_requested=NOW))

        assert not phase.start_pending(change(asked, launch_time=NOW), SETTINGS, NOW)


class TestTheRequestOfThisLaunch:
    """A start that was asked for here, and led to a launch: its snapshots are of the launch before."""

    def asked(self, before: timedelta, **facts: Any) -> datetime | None:
        """When the launch was asked for, where a request was written so long before it."""
        launched = NOW - timedelta(minutes=10)
        earlier = {"launch_time": LAUNCHED} | facts
        both = records(start_requested=launched - before, **earlier)
        return phase.request_of_this_launch(seen(records=both, launch_time=launched), SETTINGS)

    @pytest.mark.parametrize(("minutes", "yes"), [(-1, False), (0, True), (1, True), (59, True), (60, False)])
    def test_came_at_most_an_hour_before_it_and_not_after_it(self, minutes: int, yes: bool) -> None:
        assert (self.asked(timedelta(minutes=minutes)) is not None) is yes

    @pytest.mark.parametrize(("seconds", "yes"), [(0.4, True), (0.999, True), (1, False), (1.5, False)])
    def test_may_have_come_in_the_second_to_which_ec2_cuts_the_launch(self, seconds: float, yes: bool) -> None:
        found = self.asked(timedelta(seconds=-seconds))

        assert found == (NOW - timedelta(minutes=10) if yes else None)

    def test_is_none_that_was_written_on_snapshots_of_the_same_launch(self) -> None:
        assert self.asked(timedelta(0), launch_time=NOW - timedelta(minutes=10)) is None

    def test_is_the_last_of_several(self) -> None:
        data, root = records()
        both = [replace(r, start_requested=NOW - timedelta(minutes=m)) for r, m in ((data, 30), (root, 20))]

        assert phase.request_of_this_launch(
            seen(records=both, launch_time=NOW - timedelta(minutes=10)), SETTINGS
        ) == NOW - timedelta(minutes=20)


class TestAStartThatEc2RefusedElsewhere:
    """It is taken over if the parking made EC2 refuse it."""

    @pytest.mark.parametrize(("seconds", "yes"), [(-1, False), (0, False), (1, True)])
    def test_came_after_the_last_launch(self, seconds: int, yes: bool) -> None:
        assert phase.blocked_by_parking(parked(), LAUNCHED + timedelta(seconds=seconds)) is yes

    def test_was_for_an_instance_without_a_root_volume_and_with_snapshots_of_this_stop(self) -> None:
        assert not phase.blocked_by_parking(seen(root_volume(), records=records()), NOW)
        assert not phase.blocked_by_parking(seen(), NOW)
        assert not phase.blocked_by_parking(parked(state="running"), NOW)


class TestStartUnderWay:
    @pytest.mark.parametrize(("seconds", "yes"), [(0, True), (59, True), (60, False)])
    def test_a_pass_that_was_asked_may_be_at_work_for_one_time_limit(self, seconds: int, yes: bool) -> None:
        asked = records(start_requested=NOW - timedelta(seconds=seconds))

        assert phase.start_under_way(seen(records=asked), SETTINGS, NOW) is yes


def test_the_attachment_to_the_instance_is_found_among_several() -> None:
    shared = replace(root_volume(), attachments=(attachment(instance_id=OTHER), attachment()))

    assert shared.attached_to(ID) == attachment()
