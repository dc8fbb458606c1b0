"""What is written on snapshots and volumes, and read back: it is all that is remembered."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from park_volumes.core import tags
from park_volumes.core.facts import Attachment, AttachmentTarget, SnapshotRecord, TransitMark, Volume
from park_volumes.core.reading import INSTANCE_ID
from park_volumes.core.volume_spec import VolumeSpec
from tests.unit.facts import (
    DATA,
    GENERATION,
    ID,
    LAUNCHED,
    MARK,
    NOW,
    OTHER,
    ROOT,
    TAKEN,
    attachment,
    data_volume,
    record,
    root_volume,
    target,
    volume,
)

LONGEST_INSTANCE = "i-" + "f" * 17
LONGEST_SNAPSHOT = "snap-" + "f" * 17
LONGEST_DEPLOYMENT = "d" * 32
"""The longest name that the Terraform module takes."""
LONGEST_DEVICE = "/dev/nvme127n1p128"
LONGEST_TIME = datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
LONGEST_KEY = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-" + "f" * 32
WORDS = "zone=a type=gp3 size=8 card=0 delete-on-termination=true"
SNAPSHOT: dict[str, Any] = {
    "snapshot_id": "snap-1",
    "volume_id": "vol-1",
    "state": "completed",
    "started": LAUNCHED,
    "progress": "100%",
    "encrypted": False,
    "kms_key": "",
}

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
times = st.datetimes(min_value=datetime(2006, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
devices = st.sampled_from([ROOT, DATA, "/dev/sda1", "xvdb", "/dev/sdz", LONGEST_DEVICE])
owner_tags = st.dictionaries(st.text(min_size=1, max_size=127), st.text(max_size=256), max_size=38).map(
    lambda every: {k: v for k, v in every.items() if not k.startswith(("aws:", tags.PREFIX))}
)
instance_ids = st.from_regex(INSTANCE_ID, fullmatch=True)
marks = st.builds(
    TransitMark, deployment=words, instance_id=instance_ids, generation=words, launch_time=times, at=times
)
targets = st.builds(
    AttachmentTarget, device=devices, card=st.integers(0, 7), snapshot_id=words, delete_on_termination=st.booleans()
)
attachments = st.builds(
    Attachment,
    instance_id=instance_ids,
    device=devices,
    state=st.just("attached"),
    attach_time=times,
    delete_on_termination=st.booleans(),
    card=st.integers(0, 7),
)
specs = st.builds(
    VolumeSpec,
    zone=words,
    type=st.sampled_from(["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]),
    size=st.integers(1, 65536),
    iops=st.none() | st.integers(1, 256000),
    throughput=st.none() | st.integers(125, 2000),
    encrypted=st.booleans(),
    kms_key=st.just(""),
)
volumes = st.builds(Volume, id=words, state=st.just("in-use"), spec=specs, tags=owner_tags)


def written(v: Volume, at: Attachment, part: str = "1/3") -> dict[str, str]:
    return tags.tags_of_record(v, at, deployment="park-volumes", launch_time=LAUNCHED, generation=GENERATION, part=part)


def read(now: dict[str, str], *, born: dict[str, str] | None = None, **facts: Any) -> SnapshotRecord:
    """What a snapshot with these tags says; it was created with the same, unless others are given."""
    return tags.read_record(now, **(SNAPSHOT | {"description": tags.description_of(born or now)} | facts))


class TestRecord:
    @given(volumes, attachments)
    def test_says_all_that_the_volume_was(self, v: Volume, at: Attachment) -> None:
        r = read(written(v, at), encrypted=v.spec.encrypted)

        assert (r.spec, r.user_tags) == (v.spec, v.tags)

    @given(attachments)
    def test_says_where_the_volume_was(self, at: Attachment) -> None:
        r = read(written(root_volume(), at))

        assert (r.instance_id, r.device, r.card) == (at.instance_id, at.device, at.card)
        assert r.delete_on_termination is at.delete_on_termination

    @given(times)
    def test_keeps_the_launch_time_to_the_microsecond(self, launch_time: datetime) -> None:
        born = tags.tags_of_record(
            root_volume(), attachment(), deployment="d", launch_time=launch_time, generation="g", part="1/1"
        )

        assert read(born).launch_time == launch_time

    def test_says_which_part_of_which_generation_and_whose_it_is(self) -> None:
        r = read(written(root_volume(), attachment(), part="2/27"))

        assert (r.part, r.parts, r.generation, r.deployment) == (2, 27, GENERATION, "park-volumes")

    def test_begins_with_the_first_attempt_and_nothing_asked_for(self) -> None:
        r = read(written(root_volume(), attachment()))

        assert (r.attempt, r.start_requested, r.confirmed_at) == (1, None, None)

    def test_reads_the_attempt_the_start_request_and_the_confirmation_that_were_added(self) -> None:
        added = {
            tags.ATTEMPT: "3",
            tags.START_REQUESTED: LAUNCHED.isoformat(),
            **tags.tags_of_confirmation(MARK.at),
        }

        r = read(written(root_volume(), attachment()) | added)

        assert (r.attempt, r.start_requested, r.confirmed_at) == (3, LAUNCHED, MARK.at)

    def test_reads_when_ec2_last_had_no_capacity_for_the_start(self) -> None:
        r = read(written(root_volume(), attachment()) | tags.tags_of_request(LAUNCHED, TAKEN))

        assert (r.start_requested, r.capacity_refused_at) == (LAUNCHED, TAKEN)

    def test_has_the_key_of_the_snapshot_itself_whatever_its_tag_says(self) -> None:
        born = written(root_volume(encrypted=True, kms_key=LONGEST_KEY), attachment())
        r = read(born, encrypted=True, kms_key="arn:of:the:snapshot")

        assert (r.spec.encrypted, r.spec.kms_key) == (True, "arn:of:the:snapshot")
        assert born[tags.KMS_KEY] == LONGEST_KEY

    @pytest.mark.parametrize("source", ["", "snap-0123456789abcdef0"])
    def test_says_which_snapshot_the_volume_was_made_from(self, source: str) -> None:
        assert read(written(root_volume(snapshot_id=source), attachment())).source == source

    def test_carries_the_tags_of_the_owner_whole(self) -> None:
        owners = {"Name": "db root", "cost=centre": "4711 / ä", "awslike": "", "park-volumes": "mine"}

        assert read(written(root_volume(tags=owners), attachment())).user_tags == owners

    def test_leaves_out_the_tags_of_aws_and_our_own(self) -> None:
        every = {"aws:cloudformation:stack-name": "s", tags.MARK: "old", tags.TARGET: "old", "Name": "db"}

        assert read(written(root_volume(tags=every), attachment())).user_tags == {"Name": "db"}

    def test_of_a_volume_with_an_old_mark_is_born_unconfirmed(self) -> None:
        old = tags.tags_of_transit(MARK, target(ROOT, "snap-0"))

        assert tags.MARK not in written(root_volume(tags=old), attachment())


class TestDamagedRecord:
    @pytest.mark.parametrize(
        "key",
        [
            tags.DEPLOYMENT,
            tags.INSTANCE,
            tags.DEVICE,
            tags.LAUNCH_TIME,
            tags.GENERATION,
            tags.PART,
            tags.VOLUME,
        ],
    )
    def test_names_the_snapshot_and_the_tag_that_is_gone(self, key: str) -> None:
        born = written(root_volume(), attachment())
        damaged = {k: v for k, v in born.items() if k != key}

        with pytest.raises(tags.DamagedRecord, match=f"snap-1 .*{key}.* The snapshot is kept; correct its"):
            read(damaged, born=born)

    @pytest.mark.parametrize(
        ("key", "value", "word"),
        [
            (tags.INSTANCE, "*", "it is not an instance id"),
            (tags.INSTANCE, "", "it is not an instance id"),
            (tags.DEVICE, "", "it is not a word"),
            (tags.DEVICE, "/dev/sda 1", "it is not a word"),
            (tags.GENERATION, "세대", "it is not a word"),
            (tags.DEPLOYMENT, "x" * 256, "it is not a word"),
            (tags.LAUNCH_TIME, "yesterday", "yesterday"),
            (tags.LAUNCH_TIME, "2026-01-05T10:00:00", "it has no time zone"),
            (tags.LAUNCH_TIME, "9999-12-31T23:59:59+00:00", "it is not of the years 2006 to 2199"),
            (tags.LAUNCH_TIME, "0001-01-01T00:00:00+23:59", "it is not of the years 2006 to 2199"),
            (tags.PART, "1", "like 1/3"),
            (tags.PART, "3/2", "like 1/3"),
            (tags.PART, "one/two", "one"),
            (tags.PART, "0/1", "it is not a whole number from 1 to 200"),
            (tags.PART, "1/40000000", "it is not a whole number from 1 to 200"),
            (tags.PART, "1/" + "9" * 250, "it is not a whole number from 1 to 200"),
            (tags.PART, "\u0661/\u0662", "it is not a whole number from 1 to 200"),
            (tags.VOLUME, "big and blue", "words like size=8"),
            (tags.VOLUME, "", "words like size=8"),
            (tags.VOLUME, "zone=a type=gp3 card=0 delete-on-termination=true", "size is missing"),
            (tags.VOLUME, f"{WORDS} delete-on-termination=maybe", "maybe"),
            (tags.VOLUME, f"{WORDS} iops=many", "many"),
            (tags.VOLUME, f"{WORDS} iops=-3000", "iops is '-3000'"),
            (tags.VOLUME, f"{WORDS} throughput=1e999", "throughput is '1e999'"),
            (tags.VOLUME, f"{WORDS} size=0", "it is not a whole number from 1 to 65536"),
            (tags.VOLUME, f"{WORDS} size=65537", "it is not a whole number from 1 to 65536"),
            (tags.VOLUME, f"{WORDS} card=101", "it is not a whole number from 0 to 100"),
            (tags.VOLUME, f"{WORDS} from=", "from is ''"),
            (tags.VOLUME, f"{WORDS} zone=", "zone is ''"),
            (tags.MARK, "just a word", "just a word"),
            (tags.MARK, "then", "then"),
            (tags.MARK, "2026-03-02T11:30:00", "it has no time zone"),
        ],
    )
    def test_names_what_cannot_be_read(self, key: str, value: str, word: str) -> None:
        with pytest.raises(tags.DamagedRecord, match=f"snap-1 .*{key}.*{re.escape(word)}|snap-1 .*{re.escape(word)}"):
            read(written(root_volume(), attachment()) | {key: value})

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            (tags.PART, "1/1"),
            (tags.PART, "200/200"),
            (tags.LAUNCH_TIME, "2006-01-01T00:00:00+00:00"),
            (tags.LAUNCH_TIME, "2199-12-31T23:59:59.999999+00:00"),
            (tags.VOLUME, f"{WORDS} size=65536 card=100 iops=256000 throughput=2000"),
        ],
    )
    def test_is_none_up_to_the_ends_of_the_ranges(self, key: str, value: str) -> None:
        assert read(written(root_volume(), attachment()) | {key: value}).damage == ()


class TestNotes:
    """What a record does not need counts as absent where it cannot be read, and is told."""

    @pytest.mark.parametrize(
        ("key", "value", "why"),
        [
            (tags.ATTEMPT, "last", "it is not a whole number from 1 to 10000"),
            (tags.ATTEMPT, "0", "it is not a whole number from 1 to 10000"),
            (tags.ATTEMPT, "10001", "it is not a whole number from 1 to 10000"),
            (tags.ATTEMPT, "9" * 5000, "it is not a whole number from 1 to 10000"),
            (tags.START_REQUESTED, "soon", "soon"),
            (tags.START_REQUESTED, "", "it is not a word"),
            (tags.START_REQUESTED, "2026-01-05T10:00:00", "it has no time zone"),
            (tags.START_REQUESTED, f"{LAUNCHED.isoformat()} later", "later"),
            (tags.START_REQUESTED, f"{LAUNCHED.isoformat()} {LAUNCHED.isoformat()} {LAUNCHED.isoformat()}", "a word"),
            (tags.TERMINATED, "then", "it is not an instance id"),
            (tags.TERMINATED, ID, "it is not a word"),
            (tags.TERMINATED, f"{ID} 9999-12-31T23:59:59+00:00", "it is not of the years 2006 to 2199"),
        ],
    )
    def test_that_cannot_be_read_count_as_absent_and_are_told(self, key: str, value: str, why: str) -> None:
        whole = read(written(root_volume(), attachment()))
        r = read(written(root_volume(), attachment()) | {key: value})

        (told,) = r.damage
        assert replace(r, damage=()) == whole
        assert told.startswith(f"A tag of snapshot snap-1 counts for nothing ({key} is ")
        assert why in told
        assert told.endswith("): correct it, or remove it.")

    def test_are_told_each(self) -> None:
        bad = {tags.ATTEMPT: "x", tags.START_REQUESTED: "y", tags.TERMINATED: "z"}

        assert len(read(written(root_volume(), attachment()) | bad).damage) == 3

    @pytest.mark.parametrize(("value", "attempt"), [("1", 1), ("10000", 10_000), ("007", 7)])
    def test_in_their_range_count(self, value: str, attempt: int) -> None:
        r = read(written(root_volume(), attachment()) | {tags.ATTEMPT: value})

        assert (r.attempt, r.damage) == (attempt, ())

    def test_of_another_instance_do_not_count_and_are_no_damage(self) -> None:
        r = read(written(root_volume(), attachment()) | tags.tags_of_termination(OTHER, TAKEN))

        assert (r.terminated, r.damage) == (None, ())


class TestTheFuture:
    """Nobody has asked for anything then: a clock may be wrong by a minute, and a tag may say anything."""

    @pytest.mark.parametrize("late", [timedelta(seconds=61), timedelta(days=365 * 73)], ids=str)
    @pytest.mark.parametrize("refused", [False, True])
    def test_holds_no_request(self, late: timedelta, refused: bool) -> None:
        times = (NOW - timedelta(minutes=9), NOW + late) if refused else (NOW + late, None)
        r = record(ROOT, start_requested=times[0], capacity_refused_at=times[1])
        found = tags.without_the_future(r, NOW)

        assert (found.start_requested, found.capacity_refused_at) == (None, None)
        (told,) = found.damage
        assert told == (
            "A tag of snapshot snap-root counts for nothing (park-volumes:start-requested is of the future): "
            "correct it, or remove it."
        )

    def test_holds_no_termination(self) -> None:
        found = tags.without_the_future(record(ROOT, terminated=NOW + timedelta(days=1)), NOW)

        assert found.terminated is None
        assert "park-volumes:terminated is of the future" in found.damage[0]

    def test_begins_after_a_minute(self) -> None:
        at = NOW + timedelta(seconds=60)
        r = record(ROOT, start_requested=at, capacity_refused_at=at, terminated=at, confirmed_at=at)

        assert tags.without_the_future(r, NOW) == r

    def test_holds_a_confirmation_that_counts_and_is_told(self) -> None:
        """A start needs it, and no start needs its time."""
        r = record(ROOT, confirmed_at=NOW + timedelta(days=1))
        found = tags.without_the_future(r, NOW)

        assert found.confirmed_at == r.confirmed_at
        (told,) = found.damage
        assert told == (
            "The tag park-volumes:mark of snapshot snap-root is of the future: before 2026-03-03 12:00 UTC nothing is "
            "deleted or settled."
        )

    @pytest.mark.parametrize(("late", "told"), [(60, False), (61, True)])
    def test_holds_a_mark_that_is_told(self, late: int, told: bool) -> None:
        v = volume("vol-1", mark=replace(MARK, at=NOW + timedelta(seconds=late)))

        assert ("park-volumes:mark of volume vol-1 is of the future" in tags.damage_of_volume(v, NOW)) is told


changed_values = st.sampled_from(tags.BORN_WITH).flatmap(lambda key: st.tuples(st.just(key), st.text(max_size=256)))


class TestSeal:
    """The description seals the tags that a snapshot is created with: EC2 has no call that changes it."""

    @given(volumes, attachments)
    def test_is_read_by_people_first(self, v: Volume, at: Attachment) -> None:
        description = tags.description_of(written(v, at))

        assert description.startswith(f"ParkVolumes: {at.device} of {at.instance_id} [")

    @given(volumes, attachments)
    def test_never_tells_twins_apart(self, v: Volume, at: Attachment) -> None:
        """Two passes at once take the same snapshot: the tags come in no order."""
        born = written(v, at)

        assert tags.description_of(dict(reversed(born.items()))) == tags.description_of(born)

    @given(volumes, attachments, changed_values)
    def test_makes_a_record_damaged_of_which_somebody_changed_a_tag(
        self, v: Volume, at: Attachment, changed: tuple[str, str]
    ) -> None:
        born, (key, value) = written(v, at), changed
        assume(born.get(key) != value)

        with pytest.raises(tags.DamagedRecord, match="snap-1 do not say how to rebuild its volume"):
            read(born | {key: value}, born=born)

    @given(volumes, attachments, st.text(max_size=255))
    def test_makes_tags_of_ours_on_any_other_snapshot_worthless(self, v: Volume, at: Attachment, other: str) -> None:
        born = written(v, at)
        plain = f"ParkVolumes: {at.device} of {at.instance_id}"
        assume(other not in (plain, tags.description_of(born)))

        with pytest.raises(tags.DamagedRecord, match=r"it was not created with them, by its description"):
            read(born, description=other)

    def test_is_of_this_very_snapshot(self) -> None:
        """All tags of the root volume's record, copied to the snapshot of the data volume."""
        root, data = written(root_volume(), attachment()), written(data_volume(), attachment(DATA))

        with pytest.raises(tags.DamagedRecord):
            read(root, born=data)

    @given(volumes, attachments, owner_tags)
    def test_keeps_what_somebody_wrote_later_from_the_volume(
        self, v: Volume, at: Attachment, later: dict[str, str]
    ) -> None:
        """Added, or written over a tag of the owner; a tag that was changed is nobody's."""
        born = written(v, at)
        kept = {key: value for key, value in v.tags.items() if later.get(key, value) == value}

        assert read(born | later, born=born).user_tags == kept

    @given(volumes, attachments)
    def test_does_not_miss_a_tag_that_somebody_removed(self, v: Volume, at: Attachment) -> None:
        born = written(v, at)
        left = {key: value for key, value in born.items() if key not in v.tags}

        assert read(left, born=born).user_tags == {}

    def test_of_the_most_and_longest_tags_fits_and_tells_them_all_apart(self) -> None:
        """CreateSnapshot takes a description of 255 characters (EC2 API Reference)."""
        most = tags.TAGS_PER_RESOURCE - tags.OUR_TAGS
        many = {f"{n:02}" + "k" * 125: "v" * 256 for n in range(most)}
        at = attachment(LONGEST_DEVICE, instance_id=LONGEST_INSTANCE)
        born = written(volume("vol-1", at, tags=many), at)

        assert len(tags.description_of(born)) <= 255
        assert tags.description_of(born).isascii()
        assert len(read(born).user_tags) == most

    @given(volumes, attachments, owner_tags)
    def test_is_not_demanded_of_a_snapshot_from_before_it(
        self, v: Volume, at: Attachment, later: dict[str, str]
    ) -> None:
        """A version that knew no seal took it: what is parked with it must start."""
        born = written(v, at)
        plain = f"ParkVolumes: {at.device} of {at.instance_id}"
        r = read(born | later, description=plain, encrypted=v.spec.encrypted)

        assert (r.spec, r.user_tags) == (v.spec, {**v.tags, **later})

    @pytest.mark.parametrize(
        "description",
        [
            "",
            "Created by CreateImage(i-0123456789abcdef0) for ami-1",
            f"ParkVolumes: {DATA} of i-0123456789abcdef0",
            f"ParkVolumes: {ROOT} of i-0fedcba9876543210",
            f"ParkVolumes: {ROOT} of i-0123456789abcdef0 ",
            f"ParkVolumes: {ROOT} of i-0123456789abcdef0 []",
            f"ParkVolumes: {ROOT} of i-0123456789abcdef0 [AAAAAAAAAAA.]",
            f"a ParkVolumes: {ROOT} of i-0123456789abcdef0",
        ],
    )
    def test_is_nothing_that_looks_like_it(self, description: str) -> None:
        with pytest.raises(tags.DamagedRecord):
            read(written(root_volume(), attachment()), description=description)


class TestLimits:
    """EC2 User Guide, "Tag restrictions": 50 tags a resource, 127 characters a key, 256 a value."""

    def everything(self) -> dict[str, str]:
        """All tags that a snapshot can ever bear, each as long as it can be."""
        at = attachment(LONGEST_DEVICE, instance_id=LONGEST_INSTANCE, card=7)
        v = volume(
            "vol-" + "f" * 17,
            at,
            zone="ap-southeast-7c",
            type="standard",
            size=65536,
            iops=256000,
            throughput=2000,
            snapshot_id=LONGEST_SNAPSHOT,
            encrypted=True,
            kms_key=LONGEST_KEY,
            tags={f"user-{n}": "x" for n in range(tags.TAGS_PER_RESOURCE - tags.OUR_TAGS)},
        )
        mark = TransitMark(
            deployment=LONGEST_DEPLOYMENT,
            instance_id=LONGEST_INSTANCE,
            generation=GENERATION,
            launch_time=LONGEST_TIME,
            at=LONGEST_TIME,
        )
        longest = target(LONGEST_DEVICE, LONGEST_SNAPSHOT, card=7, delete_on_termination=False)
        born = tags.tags_of_record(
            v, at, deployment=LONGEST_DEPLOYMENT, launch_time=LONGEST_TIME, generation=GENERATION, part="127/128"
        )
        later = tags.tags_of_request(LONGEST_TIME, LONGEST_TIME) | {tags.ATTEMPT: "999"}
        return born | later | tags.tags_of_transit(mark, longest)

    def test_all_our_tags_fit_beside_as_many_of_the_owner_as_are_allowed(self) -> None:
        every = self.everything()

        assert len(every) == tags.TAGS_PER_RESOURCE
        assert len([key for key in every if key.startswith(tags.PREFIX)]) == tags.OUR_TAGS

    def test_the_longest_values_fit(self) -> None:
        assert max(map(len, self.everything().values())) <= 256

    def test_the_longest_keys_fit(self) -> None:
        assert max(map(len, self.everything())) <= 127

    def test_our_values_use_only_characters_that_every_service_takes(self) -> None:
        values = "".join(value for key, value in self.everything().items() if key.startswith(tags.PREFIX))

        assert not {c for c in values if not (c.isalnum() or c in " +-=._:/@")}

    def test_a_home_region_that_cannot_be_read_counts_for_nothing(self) -> None:
        v = root_volume()
        found = read(written(v, v.attachments[0]) | {tags.HOME: "two words"})

        assert (found.home, len(found.damage)) == ("", 1)


class TestTransitTags:
    @given(marks, targets)
    def test_give_the_volume_its_mark_back_and_change_nothing_else(
        self, mark: TransitMark, there: AttachmentTarget
    ) -> None:
        v = volume("vol-1", tags={"Name": "db"} | tags.tags_of_transit(mark, there))

        assert tags.with_mark(v) == replace(v, mark=mark)

    def test_tell_people_and_older_versions_where_the_volume_belongs(self) -> None:
        there = target(DATA, "snap-1", card=1, delete_on_termination=True)

        assert tags.tags_of_transit(MARK, there)[tags.TARGET] == f"{DATA} 1 snap-1 true"

    def test_that_are_not_there_leave_the_volume_as_it_was(self) -> None:
        assert tags.with_mark(volume("vol-1")) == volume("vol-1")

    def test_begin_as_the_policies_and_the_filters_want_it(self) -> None:
        value, pattern = tags.mark_value(MARK), tags.mark_pattern(MARK.deployment, MARK.instance_id)

        assert pattern.endswith(" *")
        assert value.startswith(pattern[:-1])

    def test_of_another_attempt_have_another_value(self) -> None:
        later = replace(MARK, at=MARK.at + timedelta(microseconds=1))

        assert tags.mark_value(later) != tags.mark_value(MARK)

    @pytest.mark.parametrize("unreadable", ["written by hand", "", "a b c d e", tags.mark_value(MARK) + " more"])
    def test_that_cannot_be_read_count_as_absent(self, unreadable: str) -> None:
        assert tags.with_mark(volume("vol-1", tags={tags.MARK: unreadable})).mark is None

    @pytest.mark.parametrize("place", ["/dev/sdf 0 snap-1 perhaps", "somewhere", ""])
    def test_count_whatever_somebody_wrote_as_the_place(self, place: str) -> None:
        v = volume("vol-1", tags={tags.MARK: tags.mark_value(MARK), tags.TARGET: place})

        assert tags.with_mark(v).mark == MARK

    @pytest.mark.parametrize(
        "unreadable",
        [
            "written by hand",
            "",
            tags.mark_value(MARK) + " ",
            tags.mark_value(MARK) + " more",
            tags.mark_value(MARK).replace(ID, "i-*"),
            tags.mark_value(MARK).replace("+00:00", ""),
            tags.mark_value(MARK).replace("+00:00", "Z"),
            tags.mark_value(MARK).replace("2026", "9999"),
        ],
    )
    def test_that_cannot_be_read_count_as_absent_and_are_told(self, unreadable: str) -> None:
        v = tags.with_mark(volume("vol-1", tags={tags.MARK: unreadable}))

        assert v.mark is None
        assert v.damage.startswith("A tag of volume vol-1 counts for nothing (park-volumes:")
        assert tags.damage_of_volume(v, NOW) == v.damage

    @pytest.mark.parametrize(
        ("value", "owner"),
        [(f"d {ID} and nothing else", ID), (f"d {ID}", ID), ("d i-*", ""), ("d", ""), ("", ""), (f"{ID} d", "")],
    )
    def test_that_cannot_be_read_may_still_say_whose_they_are(self, value: str, owner: str) -> None:
        assert tags.owner_of_mark({tags.MARK: value}) == owner


class TestTagsOfARestoredVolume:
    def test_are_those_of_the_owner_and_the_mark_with_the_target(self) -> None:
        r = record(DATA, confirmed_at=MARK.at, user_tags={"Name": "db data"}, card=1)

        born = tags.tags_of_restored_volume(r)

        assert born == {"Name": "db data", **tags.tags_of_transit(MARK, target(DATA, "snap-data", card=1))}

    def test_fit_whatever_fitted_on_the_snapshot(self) -> None:
        owners = {f"user-{n}": "x" for n in range(tags.TAGS_PER_RESOURCE - tags.OUR_TAGS)}
        r = record(DATA, confirmed_at=MARK.at, user_tags=owners)

        assert len(tags.tags_of_restored_volume(r)) <= tags.TAGS_PER_RESOURCE

    def test_are_the_same_at_every_attempt_and_after_every_request(self) -> None:
        """EC2 takes a ClientToken only with the parameters that it had first."""
        first = record(DATA, confirmed_at=MARK.at)
        later = replace(first, attempt=2, start_requested=LAUNCHED)

        assert tags.tags_of_restored_volume(later) == tags.tags_of_restored_volume(first)

    def test_do_not_exist_for_a_volume_that_was_never_given_up(self) -> None:
        with pytest.raises(tags.DamagedRecord, match="snap-data has no mark"):
            tags.tags_of_restored_volume(record(DATA, confirmed_at=None))
