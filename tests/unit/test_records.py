"""What is written on snapshots and volumes, and read back: it is all that is remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_volumes import records
from park_volumes.model import Attachment, Mark, Place, Record, Volume
from tests.unit.facts import (
    DATA,
    GENERATION,
    LAUNCHED,
    MARK,
    ROOT,
    TAKEN,
    attachment,
    place,
    record,
    root_volume,
    volume,
)

LONGEST_INSTANCE = "i-" + "f" * 17
LONGEST_SNAPSHOT = "snap-" + "f" * 17
LONGEST_DEPLOYMENT = "d" * 32
"""The longest name that the Terraform module takes."""
LONGEST_DEVICE = "/dev/nvme127n1p128"
LONGEST_TIME = datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
LONGEST_KEY = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-" + "f" * 32
SNAPSHOT: dict[str, Any] = {
    "snapshot_id": "snap-1",
    "volume_id": "vol-1",
    "state": "completed",
    "started": LAUNCHED,
    "progress": "100%",
    "encrypted": False,
}

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
times = st.datetimes(min_value=datetime(2006, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
devices = st.sampled_from([ROOT, DATA, "/dev/sda1", "xvdb", "/dev/sdz", LONGEST_DEVICE])
user_tags = st.dictionaries(st.text(min_size=1, max_size=127), st.text(max_size=256), max_size=38).map(
    lambda tags: {k: v for k, v in tags.items() if not k.startswith(("aws:", records.PREFIX))}
)
marks = st.builds(Mark, deployment=words, instance_id=words, generation=words, launch_time=times, at=times)
places = st.builds(
    Place, device=devices, card=st.integers(0, 7), snapshot_id=words, delete_on_termination=st.booleans()
)
attachments = st.builds(
    Attachment,
    instance_id=words,
    device=devices,
    state=st.just("attached"),
    attach_time=times,
    delete_on_termination=st.booleans(),
    card=st.integers(0, 7),
)
volumes = st.builds(
    Volume,
    id=words,
    state=st.just("in-use"),
    zone=words,
    type=st.sampled_from(["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]),
    size=st.integers(1, 65536),
    iops=st.none() | st.integers(1, 256000),
    throughput=st.none() | st.integers(125, 2000),
    encrypted=st.booleans(),
    tags=user_tags,
)


def written(v: Volume, at: Attachment, part: str = "1/3") -> dict[str, str]:
    return records.tags_of_record(
        v, at, deployment="park-volumes", launch_time=LAUNCHED, generation=GENERATION, part=part
    )


def read(tags: dict[str, str], **facts: Any) -> Record:
    return records.record(tags, **(SNAPSHOT | facts))


class TestRecord:
    @given(volumes, attachments)
    def test_says_all_that_the_volume_was(self, v: Volume, at: Attachment) -> None:
        r = read(written(v, at), encrypted=v.encrypted)

        assert (r.zone, r.type, r.size, r.iops, r.throughput) == (v.zone, v.type, v.size, v.iops, v.throughput)
        assert (r.encrypted, r.kms_key, r.user_tags) == (v.encrypted, v.kms_key, v.tags)

    @given(attachments)
    def test_says_where_the_volume_was(self, at: Attachment) -> None:
        r = read(written(root_volume(), at))

        assert (r.instance_id, r.device, r.card) == (at.instance_id, at.device, at.card)
        assert r.delete_on_termination is at.delete_on_termination

    @given(times)
    def test_keeps_the_launch_time_to_the_microsecond(self, launch_time: datetime) -> None:
        tags = records.tags_of_record(
            root_volume(), attachment(), deployment="d", launch_time=launch_time, generation="g", part="1/1"
        )

        assert read(tags).launch_time == launch_time

    def test_says_which_part_of_which_generation_it_is(self) -> None:
        r = read(written(root_volume(), attachment(), part="2/27"))

        assert (r.part, r.parts, r.generation) == (2, 27, GENERATION)

    def test_begins_with_the_first_attempt_and_nothing_asked_for(self) -> None:
        r = read(written(root_volume(), attachment()))

        assert (r.attempt, r.start_requested, r.mark) == (1, None, None)

    def test_reads_the_attempt_the_start_request_and_the_mark_that_were_added(self) -> None:
        added = {
            records.ATTEMPT: "3",
            records.START_REQUESTED: LAUNCHED.isoformat(),
            **records.tags_of_confirmation(MARK.at),
        }

        r = read(written(root_volume(), attachment()) | added)

        assert (r.attempt, r.start_requested, r.mark) == (3, LAUNCHED, MARK)

    def test_reads_when_ec2_last_had_no_capacity_for_the_start(self) -> None:
        added = {records.START_REQUESTED: records.request_value(LAUNCHED, TAKEN)}
        r = read(written(root_volume(), attachment()) | added)

        assert (r.start_requested, r.start_refused) == (LAUNCHED, TAKEN)

    def test_names_the_key_of_an_encrypted_volume(self) -> None:
        r = read(written(root_volume(encrypted=True, kms_key=LONGEST_KEY), attachment()), encrypted=True)

        assert (r.encrypted, r.kms_key) == (True, LONGEST_KEY)

    @pytest.mark.parametrize("source", ["", "snap-0123456789abcdef0"])
    def test_says_which_snapshot_the_volume_was_made_from(self, source: str) -> None:
        assert read(written(root_volume(snapshot_id=source), attachment())).source == source

    def test_is_of_an_encrypted_volume_where_it_names_a_key(self) -> None:
        """Whatever the snapshot's own description says: CreateVolume takes a key only with Encrypted."""
        assert read(written(root_volume(kms_key=LONGEST_KEY), attachment()), encrypted=False).encrypted

    def test_carries_the_tags_of_the_owner_whole(self) -> None:
        tags = {"Name": "db root", "cost=centre": "4711 / ä", "awslike": "", "park-volumes": "mine"}

        assert read(written(root_volume(tags=tags), attachment())).user_tags == tags

    def test_leaves_out_the_tags_of_aws_and_our_own(self) -> None:
        tags = {"aws:cloudformation:stack-name": "s", records.MARK: "old", records.PLACE: "old", "Name": "db"}

        assert read(written(root_volume(tags=tags), attachment())).user_tags == {"Name": "db"}

    def test_of_a_volume_with_old_marks_is_born_without_a_mark(self) -> None:
        old = records.tags_of_mark(MARK, place(ROOT, "snap-0"))

        assert records.MARK not in written(root_volume(tags=old), attachment())


class TestDamagedRecord:
    @pytest.mark.parametrize(
        "key",
        [
            records.INSTANCE,
            records.DEVICE,
            records.LAUNCH_TIME,
            records.GENERATION,
            records.PART,
            records.VOLUME,
        ],
    )
    def test_names_the_snapshot_and_the_tag_that_is_gone(self, key: str) -> None:
        tags = written(root_volume(), attachment())
        del tags[key]

        with pytest.raises(records.DamagedRecord, match=f"snap-1 .*{key}.* The snapshot is kept; correct its"):
            read(tags)

    @pytest.mark.parametrize(
        ("key", "value", "word"),
        [
            (records.LAUNCH_TIME, "yesterday", "yesterday"),
            (records.PART, "1", "unpack"),
            (records.PART, "one/two", "one"),
            (records.VOLUME, "big and blue", "sequence"),
            (records.VOLUME, "zone=a type=gp3 card=0 delete-on-termination=true", "size"),
            (records.VOLUME, "zone=a type=gp3 size=8 card=0 delete-on-termination=maybe", "maybe"),
            (records.VOLUME, "zone=a type=gp3 size=8 iops=many card=0 delete-on-termination=true", "many"),
            (records.ATTEMPT, "last", "last"),
            (records.START_REQUESTED, "soon", "soon"),
            (records.MARK, "just a word", "just a word"),
            (records.MARK, "then", "then"),
        ],
    )
    def test_names_what_can_not_be_read(self, key: str, value: str, word: str) -> None:
        with pytest.raises(records.DamagedRecord, match=f"snap-1 .*{word}"):
            read(written(root_volume(), attachment()) | {key: value})


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
            tags={f"user-{n}": "x" for n in range(records.TAGS_PER_RESOURCE - records.OUR_TAGS)},
        )
        mark = Mark(
            deployment=LONGEST_DEPLOYMENT,
            instance_id=LONGEST_INSTANCE,
            generation=GENERATION,
            launch_time=LONGEST_TIME,
            at=LONGEST_TIME,
        )
        where = Place(device=LONGEST_DEVICE, card=7, snapshot_id=LONGEST_SNAPSHOT, delete_on_termination=False)
        born = records.tags_of_record(
            v, at, deployment=LONGEST_DEPLOYMENT, launch_time=LONGEST_TIME, generation=GENERATION, part="127/128"
        )
        later = {records.START_REQUESTED: records.request_value(LONGEST_TIME, LONGEST_TIME), records.ATTEMPT: "999"}
        return born | later | records.tags_of_mark(mark, where)

    def test_all_our_tags_fit_beside_as_many_of_the_owner_as_are_allowed(self) -> None:
        tags = self.everything()

        assert len(tags) == records.TAGS_PER_RESOURCE
        assert len([key for key in tags if key.startswith(records.PREFIX)]) == records.OUR_TAGS

    def test_the_longest_values_fit(self) -> None:
        assert max(map(len, self.everything().values())) <= 256

    def test_the_longest_keys_fit(self) -> None:
        assert max(map(len, self.everything())) <= 127

    def test_our_values_use_only_characters_that_every_service_takes(self) -> None:
        values = "".join(value for key, value in self.everything().items() if key.startswith(records.PREFIX))

        assert not {c for c in values if not (c.isalnum() or c in " +-=._:/@")}

    @pytest.mark.parametrize(("count", "too_many"), [(38, False), (39, True)])
    def test_a_volume_has_too_many_tags_from_39_on(self, count: int, too_many: bool) -> None:
        assert records.too_many_tags(root_volume(tags={f"tag-{n}": "" for n in range(count)})) is too_many

    def test_tags_of_aws_and_our_own_do_not_count(self) -> None:
        tags = {f"tag-{n}": "" for n in range(38)} | {"aws:backup:source": "x", records.MARK: "x"}

        assert not records.too_many_tags(root_volume(tags=tags))


class TestMark:
    @given(marks, places)
    def test_comes_back_with_its_place_from_the_tags(self, mark: Mark, where: Place) -> None:
        tags = records.tags_of_mark(mark, where)

        assert (records.mark(tags), records.place(tags)) == (mark, where)

    def test_is_none_without_tags(self) -> None:
        assert (records.mark({}), records.place({})) == (None, None)

    def test_begins_as_the_policies_and_the_filters_want_it(self) -> None:
        value, pattern = records.mark_value(MARK), records.mark_pattern(MARK.deployment, MARK.instance_id)

        assert pattern.endswith(" *")
        assert value.startswith(pattern[:-1])

    def test_of_another_attempt_has_another_value(self) -> None:
        later = replace(MARK, at=MARK.at + timedelta(microseconds=1))

        assert records.mark_value(later) != records.mark_value(MARK)

    def test_on_a_volume_is_read_from_its_tags(self) -> None:
        where = place(ROOT, "snap-1")

        v = records.with_mark(volume("vol-1"), records.tags_of_mark(MARK, where))

        assert (v.mark, v.place) == (MARK, where)

    @pytest.mark.parametrize(
        "tags",
        [
            {records.MARK: "written by hand"},
            {records.MARK: records.mark_value(MARK), records.PLACE: "/dev/sdf 0 snap-1 perhaps"},
            {records.MARK: records.mark_value(MARK), records.PLACE: "somewhere"},
        ],
    )
    def test_that_can_not_be_read_counts_as_none(self, tags: dict[str, str]) -> None:
        v = records.with_mark(volume("vol-1"), tags)

        assert (v.mark, v.place) == (None, None)


class TestTagsOfARestoredVolume:
    def test_are_those_of_the_owner_and_the_mark_with_the_place(self) -> None:
        r = record(DATA, mark=MARK, user_tags={"Name": "db data"}, card=1)

        tags = records.tags_of_volume(r)

        assert tags == {"Name": "db data", **records.tags_of_mark(MARK, place(DATA, "snap-data", card=1))}

    def test_fit_whatever_fitted_on_the_snapshot(self) -> None:
        tags = {f"user-{n}": "x" for n in range(records.TAGS_PER_RESOURCE - records.OUR_TAGS)}

        assert len(records.tags_of_volume(record(DATA, mark=MARK, user_tags=tags))) <= records.TAGS_PER_RESOURCE

    def test_are_the_same_at_every_attempt_and_after_every_request(self) -> None:
        """EC2 takes a ClientToken only with the parameters that it had first."""
        first = record(DATA, mark=MARK)
        later = replace(first, attempt=2, start_requested=LAUNCHED)

        assert records.tags_of_volume(later) == records.tags_of_volume(first)

    def test_do_not_exist_for_a_volume_that_was_never_given_up(self) -> None:
        with pytest.raises(records.DamagedRecord, match="snap-data bears no mark"):
            records.tags_of_volume(record(DATA, mark=None))
