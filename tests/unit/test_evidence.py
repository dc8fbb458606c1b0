"""What proves that a volume is ours, and that a snapshot holds all of it: nothing that somebody can write in a tag."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_volumes.core.evidence import is_copy, is_current
from park_volumes.core.facts import Observation, Volume
from park_volumes.core.park import park
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import AttachVolume, DeleteVolume, DetachVolume, UnmarkVolumes
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
    TAKEN,
    attachment,
    data_volume,
    given_up,
    in_transit,
    instance,
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
HOUR = timedelta(hours=1)
OWNERS = {"Owner": "mina", "Name": "db"}
FORGED = {"park-volumes:place": f"{ROOT} 0 snap-root true"}

moments = st.timedeltas(-2 * HOUR, 2 * HOUR)


class TestIsCurrent:
    """Whether a volume made from the record would be what the volume is now."""

    def test_says_yes_of_a_volume_that_nobody_changed(self) -> None:
        v = data_volume(size=100, type="gp2", iops=300, tags=OWNERS)

        assert is_current(record(DATA, size=100, type="gp2", iops=300, user_tags=OWNERS), v)

    @pytest.mark.parametrize(
        "changed",
        [
            {"size": 200},
            {"type": "gp2"},
            {"iops": 4000},
            {"throughput": 250},
            {"encrypted": True},
            {"kms_key": "arn:of:another"},
            {"zone": "eu-central-1a"},
            {"tags": {"Owner": "mina"}},
            {"tags": OWNERS | {"Owner": "yuki"}},
            {"tags": OWNERS | {"Team": "db"}},
            {"tags": {}},
        ],
        ids=str,
    )
    def test_says_no_once_anything_of_it_is_another(self, changed: dict[str, Any]) -> None:
        assert not is_current(record(DATA, user_tags=OWNERS), data_volume(**({"tags": OWNERS} | changed)))

    def test_says_no_of_another_volume_that_looks_alike(self) -> None:
        assert not is_current(record(DATA), volume("vol-else", attachment(DATA)))

    @pytest.mark.parametrize("written", ["aws:backup:source-resource", "park-volumes:mark", "park-volumes:place"])
    def test_does_not_mind_what_aws_or_we_write_on_it(self, written: str) -> None:
        assert is_current(record(DATA, user_tags=OWNERS), data_volume(tags=OWNERS | {written: "x"}))


class TestIsCopy:
    """Whether the snapshot of a stopped instance's volume holds all that was written to it."""

    def says(self, started: timedelta = 2 * HOUR, stopped: timedelta | None = None, **facts: Any) -> bool:
        """Of a snapshot that was taken so long after the launch; the instance was stopped so long after it, too."""
        at = attachment(DATA, **facts)
        stopped_at = None if stopped is None else LAUNCHED + stopped
        r = record(DATA, started=LAUNCHED + started)
        return is_copy(r, volume("vol-data", at), at, instance(stopped_at=stopped_at))

    def test_says_yes_of_one_that_was_taken_after_everything(self) -> None:
        assert self.says()
        assert self.says(stopped=HOUR)

    @pytest.mark.parametrize(("started", "yes"), [(-HOUR, False), (timedelta(0), False), (SECOND, True)])
    def test_asks_for_one_from_after_the_launch(self, started: timedelta, yes: bool) -> None:
        assert self.says(started, attach_time=LAUNCHED - 9 * HOUR) is yes

    @pytest.mark.parametrize(("started", "yes"), [(HOUR - SECOND, False), (HOUR, False), (HOUR + SECOND, True)])
    def test_asks_for_one_from_after_the_attachment(self, started: timedelta, yes: bool) -> None:
        assert self.says(started, attach_time=LAUNCHED + HOUR) is yes

    @pytest.mark.parametrize(("started", "yes"), [(HOUR - SECOND, False), (HOUR, True), (HOUR + SECOND, True)])
    def test_asks_for_one_from_after_the_stop_where_ec2_tells_of_it(self, started: timedelta, yes: bool) -> None:
        """Last night's backup is of this launch and of this attachment, too."""
        assert self.says(started, stopped=HOUR) is yes

    @pytest.mark.parametrize("other", [{"card": 1}, {"delete_on_termination": True}])
    def test_asks_for_one_that_says_how_the_volume_is_attached(self, other: dict[str, Any]) -> None:
        assert not self.says(**other)

    def test_asks_for_one_of_this_device(self) -> None:
        moved = attachment("/dev/sdg")

        assert not is_copy(record(DATA), volume("vol-data", moved), moved, instance())

    def test_asks_for_one_that_says_what_the_volume_is_now(self) -> None:
        at = attachment(DATA)

        assert not is_copy(record(DATA), volume("vol-data", at, size=200), at, instance())

    @given(moments, moments, st.none() | moments)
    def test_never_says_yes_of_one_from_before_anything(
        self, started: timedelta, attached: timedelta, stopped: timedelta | None
    ) -> None:
        yes = self.says(started, stopped, attach_time=LAUNCHED + attached)

        assert yes is (started > max(attached, timedelta(0)) and (stopped is None or started >= stopped))


class TestProof:
    """A volume is in transit if a record of the attempt that its mark names is of it, or it was made from that one."""

    def test_is_the_record_whose_snapshot_was_taken_of_the_volume(self) -> None:
        of_data, of_root = records()

        assert {v.id: v.record for v in given_up().in_transit} == {"vol-data": of_data, "vol-root": of_root}

    def test_is_the_record_whose_snapshot_the_volume_was_made_from(self) -> None:
        (made,) = seen(restored(record(DATA)), records=records()).in_transit

        assert (made.record, made.restored) == (records()[0], True)

    def test_is_no_record_of_another_attempt(self) -> None:
        s = seen(in_transit(volume("vol-data")), records=records(generation="another"))

        assert (s.in_transit, [v.id for v in s.unproven]) == ((), ["vol-data"])

    def test_is_no_record_of_another_volume_at_the_same_device(self) -> None:
        s = seen(in_transit(volume("vol-else")), records=records())

        assert (s.in_transit, [v.id for v in s.unproven]) == ((), ["vol-else"])

    def test_is_the_confirmed_record_of_two(self) -> None:
        of_data, of_root = records()
        later = replace(of_data, snapshot_id="snap-twin", started=TAKEN + SECOND, confirmed_at=None)
        (found,) = seen(in_transit(volume("vol-data")), records=[of_data, later, of_root]).in_transit

        assert found.record == of_data

    @pytest.mark.parametrize("confirmed_at", [None, MARKED])
    def test_is_the_newest_of_two_alike(self, confirmed_at: Any) -> None:
        older = record(DATA, confirmed_at=confirmed_at)
        newest = replace(older, snapshot_id="snap-0", started=TAKEN + SECOND)

        for every in ([older, newest], [newest, older]):
            (found,) = seen(in_transit(volume("vol-data")), records=every).in_transit
            assert found.record == newest

    @pytest.mark.parametrize("state", ["error", "pending"])
    def test_is_the_completed_record_of_two_that_nobody_confirmed(self, state: str) -> None:
        completed = record(DATA, confirmed_at=None)
        newest = replace(completed, snapshot_id="snap-0", started=TAKEN + SECOND, state=state)
        (found,) = seen(in_transit(volume("vol-data")), records=[completed, newest]).in_transit

        assert found.record == completed

    def test_says_where_the_volume_belongs_and_nothing_else_does(self) -> None:
        tags = {"park-volumes:place": f"{ROOT} 0 snap-root true"}
        (found,) = seen(in_transit(volume("vol-data", tags=tags)), records=records(card=1)).in_transit

        assert (found.target.device, found.target.card, found.target.delete_on_termination) == (DATA, 1, False)


def everything_decided(s: Observation) -> list[Any]:
    """All steps that either side would ever take, asked or not."""
    decisions = [park(s, SETTINGS, NOW), *(start(s, SETTINGS, NOW, intent=intent) for intent in Intent)]
    return [step for decision in decisions for step in decision.every_step]


def touches(steps: list[Any], volume_id: str) -> bool:
    return any(volume_id in repr(s) for s in steps if isinstance(s, AttachVolume | DeleteVolume | DetachVolume))


class TestForgedMark:
    """Somebody who may write tags gave a volume that is not ours a mark, and a place on the parked instance."""

    def foreign(self, **facts: Any) -> Volume:
        return in_transit(volume("vol-foreign", tags=FORGED, **facts))

    @pytest.mark.parametrize(
        "where", [parked(), given_up(), seen(root_volume(), data_volume())], ids=["parked", "locked", "whole"]
    )
    def test_never_attaches_and_never_deletes_the_volume(self, where: Observation) -> None:
        s = replace(where, volumes=(*where.volumes, self.foreign()))

        assert not touches(everything_decided(s), "vol-foreign")

    @given(
        v=st.builds(
            volume,
            st.just("vol-foreign"),
            st.none() | st.builds(attachment, st.sampled_from([ROOT, DATA]), instance_id=st.sampled_from([ID, OTHER])),
            state=st.sampled_from(["available", "creating", "in-use", "deleting", "error"]),
            snapshot_id=st.sampled_from(["", "snap-foreign"]),
            tags=st.just(FORGED),
        ),
        generation=st.sampled_from([GENERATION, "another", ""]),
        where=st.sampled_from([parked(), given_up(), seen(root_volume(), data_volume(), records=records())]),
    )
    def test_never_does_whatever_the_volume_is(self, v: Volume, generation: str, where: Observation) -> None:
        s = replace(where, volumes=(*where.volumes, in_transit(v, mark=replace(MARK, generation=generation))))

        assert not touches(everything_decided(s), "vol-foreign")

    def test_counts_no_volume_as_restored(self) -> None:
        """Its owner made it from a snapshot of their own, which bears our tags."""
        s = parked()
        s = replace(s, volumes=(self.foreign(snapshot_id="snap-foreign"),))

        assert (s.restored, s.originals) == ((), ())

    @pytest.mark.parametrize("state", ["running", "stopped"])
    def test_is_taken_off_where_the_volume_is_attached(self, state: str) -> None:
        there = in_transit(volume("vol-foreign", attachment("/dev/sdz"), tags=FORGED))
        s = seen(root_volume(), there, records=records(confirmed_at=None), state=state)

        assert steps_of(start(s, SETTINGS, NOW, intent=Intent.SWEEP), UnmarkVolumes) == [
            UnmarkVolumes(volume_ids=("vol-foreign",), mark=MARK)
        ]

    def test_is_taken_off_though_the_instance_is_parked(self) -> None:
        there = in_transit(volume("vol-foreign", attachment("/dev/sdz"), tags=FORGED))
        s = seen(there, records=records())

        assert steps_of(start(s, SETTINGS, NOW, intent=Intent.SWEEP), UnmarkVolumes) == [
            UnmarkVolumes(volume_ids=("vol-foreign",), mark=MARK)
        ]

    def test_of_another_instance_is_left_to_that_one(self) -> None:
        mark = replace(MARK, instance_id=OTHER)
        there = in_transit(volume("vol-foreign", attachment("/dev/sdz"), tags=FORGED), mark=mark)

        for s in (seen(root_volume(), there), seen(there, records=records())):
            assert not steps_of(start(s, SETTINGS, NOW, intent=Intent.SWEEP), UnmarkVolumes)

    def test_does_not_keep_an_instance_from_being_parked(self) -> None:
        s = seen(root_volume(), data_volume(), self.foreign())

        assert park(s, SETTINGS, NOW).steps == park(seen(root_volume(), data_volume()), SETTINGS, NOW).steps

    def test_is_named_where_nothing_else_is_left(self) -> None:
        """It may have been the root volume: somebody deleted the snapshots of an attempt that was never confirmed."""
        words = start(seen(self.foreign()), SETTINGS, NOW, intent=Intent.START).reason

        assert "vol-foreign bears its mark, but no snapshot proves that it belongs there" in words
        assert "attach it by hand" in words

    def test_of_another_attempt_lets_no_original_be_replaced(self) -> None:
        """The root volume is deleted, and a data volume bears a mark that no pass wrote."""
        strange = in_transit(volume("vol-data"), mark=replace(MARK, generation="another"))
        s = seen(strange, records=records())
        decision = start(s, SETTINGS, NOW, intent=Intent.START)

        assert decision.reason.startswith(f"vol-data of {ID} still exists, and has no mark that allows replacing it")
        assert not touches(everything_decided(s), "vol-data")

    def test_on_a_root_volume_of_somebody_else_hurries_no_start(self) -> None:
        """Passes that have not seen it yet take the other volumes away: a start waits for them."""
        another = in_transit(volume("vol-else", attachment(ROOT, attach_time=NOW - SECOND)))
        s = seen(another, in_transit(data_volume()), records=records())

        assert "Another root volume was attached" in start(s, SETTINGS, NOW, intent=Intent.START).reason


class TestTheRecordsOfAStop:
    def test_are_of_snapshots_that_were_taken_after_the_launch(self) -> None:
        """On an older one somebody has written the tags of this stop."""
        older = record(ROOT, snapshot_id="snap-older", started=LAUNCHED - HOUR, confirmed_at=MARKED)
        of_data, of_root = records()

        assert seen(records=[older, of_data]).of_this_stop == (of_data,)
        assert seen(records=[older, of_data, of_root]).given_up.parts == (of_data, of_root)


class TestTheLastGivenUp:
    def test_is_what_was_confirmed_last_however_many_attempts_follow(self) -> None:
        first = record(DATA, generation="b", confirmed_at=MARKED - timedelta(days=1))
        last = record(DATA, snapshot_id="snap-2", generation="a", confirmed_at=MARKED)
        attempt = record(DATA, snapshot_id="snap-3", generation="c", started=NOW)

        assert seen(records=[last, first, attempt]).last_given_up == "a"

    def test_is_none_where_nothing_was(self) -> None:
        assert seen(records=[record(DATA)]).last_given_up == ""


def test_what_was_taken_in_the_second_of_the_launch_is_of_no_stop_of_it() -> None:
    in_that_second = record(DATA, started=LAUNCHED)
    later = record(ROOT, started=LAUNCHED + timedelta(seconds=1))

    assert seen(records=[in_that_second, later]).of_this_stop == (later,)
