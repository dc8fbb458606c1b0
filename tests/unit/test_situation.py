"""What both sides read from the facts, in the same way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from park_volumes.decide import situation
from park_volumes.model import Volume
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
    instance,
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


@pytest.mark.parametrize(("value", "yes"), [("true", True), ("root", True), ("false", False), ("True", False)])
def test_an_instance_is_opted_in_by_true_or_root(value: str, yes: bool) -> None:
    assert situation.opted_in(instance(tags=opted(value)), SETTINGS) is yes


def test_an_instance_without_the_tag_is_not_opted_in() -> None:
    assert not situation.opted_in(instance(tags={"Name": "db"}), SETTINGS)


def test_attached_volumes_come_in_the_order_of_their_devices() -> None:
    s = seen(root_volume(), data_volume(), volume("vol-free"))

    assert [v.id for v, _ in situation.attached(s)] == ["vol-data", "vol-root"]


class TestRootDetached:
    def test_an_instance_with_its_root_has_it(self) -> None:
        assert not situation.root_detached(seen(root_volume()))

    def test_an_instance_without_its_root_lacks_it(self) -> None:
        assert situation.root_detached(seen(data_volume()))

    def test_the_root_counts_as_there_while_only_the_instance_tells_of_it(self) -> None:
        assert not situation.root_detached(seen(volume("vol-root"), mappings=mappings([root_volume()])))

    def test_the_root_counts_as_there_while_only_the_volume_tells_of_it(self) -> None:
        assert not situation.root_detached(seen(root_volume(), mappings=()))


class TestSettled:
    def test_the_same_volumes_at_the_same_devices_are_settled(self) -> None:
        assert situation.settled(seen(root_volume(), data_volume()))

    def test_an_instance_without_volumes_is_settled(self) -> None:
        assert situation.settled(seen())

    @pytest.mark.parametrize("state", ["attaching", "detaching"])
    def test_a_volume_on_its_way_is_not(self, state: str) -> None:
        assert not situation.settled(seen(root_volume(), volume("vol-data", attachment(DATA, state=state))))

    def test_a_volume_that_the_instance_does_not_tell_of_is_not(self) -> None:
        assert not situation.settled(seen(root_volume(), data_volume(), mappings=mappings([root_volume()])))

    def test_a_mapping_whose_volume_does_not_tell_of_it_is_not(self) -> None:
        assert not situation.settled(seen(root_volume(), mappings=mappings([root_volume(), data_volume()])))

    def test_a_device_of_which_they_tell_differently_is_not(self) -> None:
        elsewhere = mappings([volume("vol-root", attachment("/dev/xvdz"))])

        assert not situation.settled(seen(root_volume(), mappings=elsewhere))


class TestMarked:
    def test_volumes_with_a_mark_and_a_place_are_in_transit(self) -> None:
        assert {m.id for m in situation.marked(given_up())} == {"vol-root", "vol-data"}

    def test_a_mark_without_a_place_is_not_enough(self) -> None:
        assert situation.marked(seen(replace(root_volume(), mark=MARK))) == []

    def test_the_mark_of_another_instance_is_not_ours(self) -> None:
        of_another = in_transit(root_volume(), record(ROOT), mark=replace(MARK, instance_id=OTHER))

        assert situation.marked(seen(of_another)) == []

    def test_the_original_is_told_from_what_was_made_of_its_snapshot(self) -> None:
        original, made = situation.marked(seen(in_transit(root_volume(), record(ROOT)), restored(record(DATA))))

        assert (original.restored, made.restored) == (False, True)

    @pytest.mark.parametrize(("seconds", "yes"), [(-1, False), (0, False), (1, True)])
    def test_a_volume_came_back_when_attached_after_the_mark(self, seconds: int, yes: bool) -> None:
        at = attachment(ROOT, attach_time=MARKED + timedelta(seconds=seconds))
        (m,) = situation.marked(seen(in_transit(volume("vol-root", at), record(ROOT))))

        assert m.came_back is yes

    def test_a_volume_at_another_instance_is_elsewhere(self) -> None:
        away = in_transit(volume("vol-data", attachment(DATA, instance_id=OTHER)), record(DATA))
        (m,) = situation.marked(seen(away))

        assert (m.at, m.elsewhere) == (None, True)

    def test_a_volume_here_or_free_is_not_elsewhere(self) -> None:
        assert not any(m.elsewhere for m in situation.marked(given_up()))


class TestAltered:
    @pytest.mark.parametrize(("flag", "yes"), [(True, False), (False, True)])
    def test_a_volume_is_when_its_flag_is_not_that_of_its_place(self, flag: bool, yes: bool) -> None:
        there = volume("vol-root", attachment(delete_on_termination=flag))
        (m,) = situation.marked(seen(in_transit(there, record(ROOT, delete_on_termination=True))))

        assert m.altered is yes

    def test_a_volume_that_is_attached_nowhere_is_not(self) -> None:
        (m,) = situation.marked(seen(in_transit(volume("vol-root"), record(ROOT))))

        assert not m.altered


class TestDisplaced:
    def test_a_free_volume_whose_device_another_has_is_told(self) -> None:
        s = seen(root_volume(), volume("vol-else", attachment(DATA)), in_transit(volume("vol-data"), record(DATA)))

        assert f"The device {DATA} of {ID} is taken by vol-else, while its own volume vol-data" in situation.displaced(
            s
        )

    def test_a_free_volume_whose_device_is_free_is_not(self) -> None:
        assert situation.displaced(seen(root_volume(), in_transit(volume("vol-data"), record(DATA)))) == ""

    def test_a_volume_that_still_shows_at_its_device_is_not(self) -> None:
        """The instance and its volume are described at different times."""
        s = seen(root_volume(), in_transit(volume("vol-data"), record(DATA)))

        assert situation.displaced(change(s, mappings=mappings([root_volume(), data_volume()]))) == ""

    def test_a_volume_at_another_instance_is_not(self) -> None:
        away = in_transit(volume("vol-data", attachment(DATA, instance_id=OTHER)), record(DATA))

        assert situation.displaced(seen(root_volume(), volume("vol-else", attachment(DATA)), away)) == ""


class TestRootInTransit:
    def test_the_marked_original_root_volume_is_found(self) -> None:
        found = situation.root_in_transit(given_up())

        assert found is not None
        assert found.id == "vol-root"

    @pytest.mark.parametrize(
        "v", [in_transit(volume("vol-root", state="deleting"), record(ROOT)), restored(record(ROOT))]
    )
    def test_one_that_is_going_or_was_made_anew_is_not(self, v: Volume) -> None:
        assert situation.root_in_transit(seen(v)) is None


class TestUnconfirmed:
    def test_an_attempt_whose_snapshots_bear_its_mark_is_confirmed(self) -> None:
        assert not situation.unconfirmed(given_up(), situation.given_up(given_up()))

    def test_an_attempt_whose_snapshots_bear_no_mark_is_not(self) -> None:
        s = replace(given_up(), records=records(mark=None))

        assert situation.unconfirmed(s, situation.given_up(s))

    def test_an_attempt_that_lacks_a_part_is_not(self) -> None:
        s = replace(given_up(), records=records()[1:])

        assert situation.unconfirmed(s, situation.given_up(s))

    def test_an_attempt_of_another_generation_than_the_confirmed_one_is_not(self) -> None:
        s = given_up()
        other = replace(s.volumes[0], mark=replace(MARK, generation="other"))

        assert situation.unconfirmed(replace(s, volumes=(other, s.volumes[1])), situation.given_up(s))

    def test_nothing_is_left_to_confirm_without_the_root_volume(self) -> None:
        assert not situation.unconfirmed(seen(records=records(mark=None)), None)


class TestGivenUp:
    def test_no_generation_without_records(self) -> None:
        assert situation.given_up(seen(root_volume())) is None

    def test_no_generation_without_marks(self) -> None:
        assert situation.given_up(seen(records=records(mark=None))) is None

    def test_the_marked_generation_is_whole(self) -> None:
        found = situation.given_up(parked())

        assert found is not None
        assert (found.name, found.marked_at, found.missing) == (GENERATION, MARKED, ())
        assert [r.device for r in found.parts] == [DATA, ROOT]

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_snapshots_of_another_launch_do_not_count(self, hours: int) -> None:
        assert situation.given_up(change(parked(), launch_time=LAUNCHED + timedelta(hours=hours))) is None

    def test_a_mark_of_another_launch_proves_nothing(self) -> None:
        late = replace(MARK, launch_time=LAUNCHED - timedelta(days=1))

        assert situation.given_up(seen(records=records(mark=late))) is None

    def test_a_mark_of_another_generation_proves_nothing(self) -> None:
        assert situation.given_up(seen(records=records(mark=replace(MARK, generation="other")))) is None

    def test_the_newest_mark_names_the_generation(self) -> None:
        earlier = replace(MARK, generation="first", at=MARKED - timedelta(minutes=9))
        old = [
            replace(r, snapshot_id=f"{r.snapshot_id}-0", generation="first", mark=earlier) for r in records(started=NOW)
        ]
        found = situation.given_up(seen(records=[*records(), *old]))

        assert found is not None
        assert found.name == GENERATION

    def test_a_part_that_is_not_there_is_named(self) -> None:
        found = situation.given_up(seen(records=records()[1:]))

        assert found is not None
        assert found.missing == ("part 1 of 2",)

    @pytest.mark.parametrize("state", ["pending", "error", "recoverable", "recovering"])
    def test_a_part_that_is_not_completed_is_missing(self, state: str) -> None:
        of_data, of_root = records()
        found = situation.given_up(seen(records=[replace(of_data, state=state), of_root]))

        assert found is not None
        assert found.missing == ("part 1 of 2",)

    def test_without_the_root_volume_it_is_not_whole(self) -> None:
        (only,) = (record(DATA, part=1, parts=1, mark=MARK),)
        found = situation.given_up(seen(records=[only]))

        assert found is not None
        assert found.missing == (f"the root volume ({ROOT})",)

    def test_of_two_snapshots_of_one_part_the_smallest_id_counts(self) -> None:
        of_data, of_root = records()
        twin = replace(of_data, snapshot_id="snap-aaaa", started=of_data.started + timedelta(seconds=9))
        found = situation.given_up(seen(records=[of_data, of_root, twin]))

        assert found is not None
        assert [r.snapshot_id for r in found.parts] == ["snap-aaaa", "snap-root"]

    def test_a_twin_that_is_not_completed_does_not_count(self) -> None:
        of_data, of_root = records()
        twin = replace(of_data, snapshot_id="snap-aaaa", state="error")
        found = situation.given_up(seen(records=[of_data, of_root, twin]))

        assert found is not None
        assert [r.snapshot_id for r in found.parts] == ["snap-data", "snap-root"]


class TestStartPending:
    @pytest.mark.parametrize(("minutes", "yes"), [(0, True), (59, True), (60, False), (90, False)])
    def test_a_request_holds_for_an_hour(self, minutes: int, yes: bool) -> None:
        asked = records(start_requested=NOW - timedelta(minutes=minutes))

        assert situation.start_pending(seen(records=asked), SETTINGS, NOW) is yes

    def test_nothing_is_pending_without_a_request(self) -> None:
        assert not situation.start_pending(parked(), SETTINGS, NOW)

    def test_a_request_is_over_once_the_launch_time_has_moved(self) -> None:
        asked = seen(records=records(start_requested=NOW))

        assert not situation.start_pending(change(asked, launch_time=NOW), SETTINGS, NOW)


class TestStartUnderWay:
    @pytest.mark.parametrize(("seconds", "yes"), [(0, True), (59, True), (60, False)])
    def test_a_pass_that_was_asked_may_be_at_work_for_one_time_limit(self, seconds: int, yes: bool) -> None:
        asked = records(start_requested=NOW - timedelta(seconds=seconds))

        assert situation.start_under_way(seen(records=asked), SETTINGS, NOW) is yes


def test_the_attachment_to_the_instance_is_found_among_several() -> None:
    shared = replace(root_volume(), attachments=(attachment(instance_id=OTHER), attachment()))

    assert shared.attached_to(ID) == attachment()
