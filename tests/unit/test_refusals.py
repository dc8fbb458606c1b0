"""Who is not parked, and in which words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from park_volumes.core.facts import Instance, Observation, Volume
from park_volumes.core.prices import prices_of
from park_volumes.core.refusals import dearer, foreign_originals, missing_originals, put_back_obstacle
from park_volumes.core.refusals import refusal as refusal_with
from tests.unit.facts import (
    DATA,
    ID,
    MARK,
    OTHER,
    SETTINGS,
    attachment,
    data_volume,
    given_up,
    in_transit,
    instance,
    record,
    records,
    root_volume,
    seen,
    volume,
)

TAGS = {"ParkVolumes": "true"}


def refusal(i: Instance, volumes: Iterable[Volume]) -> str:
    return refusal_with(i, volumes, SETTINGS)


def test_a_plain_stopped_instance_may_be_parked() -> None:
    assert refusal(instance(), [root_volume()]) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"lifecycle": "spot"}, "Spot Instance, which EC2 terminates"),
        ({"lifecycle": "capacity-block"}, "lifecycle is capacity-block"),
        ({"hibernation": True}, "Hibernation"),
        ({"root_device_type": "instance-store"}, "instance-store, not ebs"),
        ({"product_codes": ("abc123",)}, "Marketplace product code abc123"),
        ({"outpost_arn": "arn:aws:outposts:eu-central-1:1:outpost/op-1"}, "op-1: Outposts"),
        ({"zone": "us-west-2-lax-1a"}, "us-west-2-lax-1a: Outposts, Local Zones"),
        ({"zone": "us-east-1-wl1-bos-wlz-1"}, "us-east-1-wl1-bos-wlz-1"),
        ({"tags": TAGS | {"aws:autoscaling:groupName": "web"}}, "Auto Scaling group web"),
        ({"tags": TAGS | {"aws:ec2:fleet-id": "fleet-1"}}, "EC2 Fleet"),
        ({"tags": TAGS | {"aws:ec2spot:fleet-request-id": "sfr-1"}}, "EC2 Fleet"),
        ({"managed_by": "eks.amazonaws.com"}, "managed by eks.amazonaws.com"),
        ({"state_reason": "Client.InternalError"}, "stopped because of Client.InternalError"),
        ({"state_reason": "Server.InsufficientInstanceCapacity"}, "Server.InsufficientInstanceCapacity"),
    ],
)
def test_an_instance_is_refused_in_words(facts: dict[str, Any], words: str) -> None:
    assert words in refusal(instance(**facts), [root_volume()])


@pytest.mark.parametrize(
    "reason", ["", "Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown", "Server.ScheduledStop"]
)
def test_a_stop_that_somebody_asked_for_is_no_reason(reason: str) -> None:
    assert refusal(instance(state_reason=reason), [root_volume()]) == ""


REGIONS = ("us-west-2", "ap-southeast-4", "us-gov-west-1", "cn-north-1", "us-isob-east-1", "eusc-de-east-1", "me-x-12")


def test_the_zones_of_every_region_that_the_sdk_knows_are_no_reason() -> None:
    sdk = Session()
    known = {r for p in sdk.get_available_partitions() for r in sdk.get_available_regions("ec2", partition_name=p)}
    assert len(known) > 30
    zones = [f"{region}{letter}" for region in (*known, *REGIONS) for letter in "abfz"]
    assert [zone for zone in zones if refusal(instance(zone=zone), [root_volume()])] == []


@given(region=st.sampled_from(REGIONS), more=st.from_regex(r"-[a-z0-9]+(-[a-z0-9]+)*-[0-9][a-z]?", fullmatch=True))
def test_a_zone_with_more_in_its_name_than_its_region_is_a_reason(region: str, more: str) -> None:
    assert "are not supported" in refusal(instance(zone=f"{region}{more}"), [root_volume()])


@pytest.mark.parametrize(
    "zone",
    [
        "us-west-2-lax-1a",
        "us-west-2-lax-1b",
        "us-east-1-wl1-bos-wlz-1",
        "ap-northeast-1-wl1-kix-wlz-1",
        "eu-central-1-ham-1a",
        "us-east-1",
        "us-east-1ab",
        "us-east-1A",
        "us-east-\u0661a",
        "east-1a",
        "use1-az1",
        "",
    ],
)
def test_a_zone_that_is_not_its_region_and_one_letter_is_a_reason(zone: str) -> None:
    assert "are not supported" in refusal(instance(zone=zone), [root_volume()])


def test_a_scheduled_instance_is_a_plain_one() -> None:
    assert refusal(instance(lifecycle="scheduled"), [root_volume()]) == ""


def test_a_volume_that_may_be_shared_is_refused_by_name() -> None:
    assert "vol-root can be shared by several instances" in refusal(instance(), [root_volume(multi_attach=True)])


def test_a_volume_at_two_instances_is_refused() -> None:
    shared = replace(root_volume(), attachments=(attachment(), attachment(instance_id=OTHER)))

    assert "vol-root" in refusal(instance(), [shared])


def test_a_volume_with_too_many_tags_is_refused() -> None:
    tags = {f"tag-{n}": "" for n in range(39)}

    assert "vol-root has more than 38 tags" in refusal(instance(), [root_volume(tags=tags)])


def test_tags_of_aws_and_our_own_do_not_count() -> None:
    tags = {f"tag-{n}": "" for n in range(38)} | {"aws:backup:source": "x", "park-volumes:mark": "x"}

    assert refusal(instance(), [root_volume(tags=tags)]) == ""


def test_one_tag_of_its_owner_less_fits_where_the_home_region_is_another() -> None:
    tags = {f"tag-{n}": "" for n in range(38)}
    away = replace(SETTINGS, home="us-east-1")

    assert "vol-root has more than 37 tags" in refusal_with(instance(), [root_volume(tags=tags)], away)


def test_the_instance_is_looked_at_before_its_volumes() -> None:
    assert "Spot" in refusal(instance(lifecycle="spot"), [root_volume(multi_attach=True)])


def test_a_product_code_that_was_allowed_is_no_reason() -> None:
    allowing = replace(SETTINGS, allowed_product_codes=frozenset({"abc123", "def456"}))

    assert refusal_with(instance(product_codes=("abc123",)), [root_volume()], allowing) == ""
    assert "code xyz789" in refusal_with(instance(product_codes=("abc123", "xyz789")), [root_volume()], allowing)


IN_VIRGINIA = replace(SETTINGS, prices=prices_of("us-east-1", {}))


@pytest.mark.parametrize("kind", ["gp3", "gp2", "standard"])
def test_volumes_that_cost_no_less_than_full_snapshots_may_be_parked(kind: str) -> None:
    assert dearer([root_volume(type=kind)], IN_VIRGINIA) == ""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("sc1", "cost 8.14 USD a month, but as snapshots up to 25.40 USD, because of vol-data (500 GiB sc1)"),
        ("st1", "cost 23.14 USD a month, but as snapshots up to 25.40 USD, because of vol-data (500 GiB st1)"),
    ],
)
def test_volumes_that_could_cost_more_as_snapshots_are_refused_with_the_figures(kind: str, words: str) -> None:
    assert words in dearer([root_volume(), data_volume(type=kind, size=500)], IN_VIRGINIA)


def test_a_dear_volume_makes_up_for_a_cheap_one() -> None:
    assert dearer([root_volume(size=1000), data_volume(type="sc1", size=500)], IN_VIRGINIA) == ""


def test_where_one_price_is_unknown_nothing_is_refused_for_it() -> None:
    assert dearer([root_volume(type="gp9"), data_volume(type="sc1", size=500)], IN_VIRGINIA) == ""
    assert dearer([data_volume(type="sc1", size=500)], SETTINGS) == ""


def test_whoever_wants_it_parked_even_if_dearer_gets_it_parked() -> None:
    assert dearer([data_volume(type="sc1", size=500)], replace(IN_VIRGINIA, park_even_if_dearer=True)) == ""


@pytest.mark.parametrize(("number", "refused"), [(37, False), (38, False), (39, True)])
def test_a_volume_may_have_as_many_tags_as_a_snapshot_has_room_for(number: int, refused: bool) -> None:
    tags = {f"tag-{n}": "" for n in range(number)}

    assert bool(refusal(instance(), [root_volume(tags=tags)])) is refused


def test_only_the_volumes_that_cost_more_as_snapshots_are_named() -> None:
    even = replace(IN_VIRGINIA, prices={"gp3": 0.05, "sc1": 0.015, "snapshot": 0.05})
    words = dearer([root_volume(), data_volume(type="sc1", size=500)], even)

    assert "because of vol-data (500 GiB sc1). Tag that volume" in words


def test_what_costs_exactly_as_much_as_snapshots_may_be_parked() -> None:
    assert dearer([root_volume()], replace(IN_VIRGINIA, prices={"gp3": 0.05, "snapshot": 0.05})) == ""


class TestPuttingBack:
    """What somebody has to move first, and what is lost."""

    def obstacle(self, *volumes: Volume) -> str:
        others = [
            record("/dev/sdg", volume_id="vol-third", snapshot_id="snap-third"),
            record("/dev/sdz", volume_id="vol-old", snapshot_id="snap-old", generation="another"),
        ]
        found = seen(*volumes, records=[*given_up().records, *others])
        root = found.marked_root
        assert root is not None
        return put_back_obstacle(found, root)

    def test_is_not_in_the_way_of_itself(self) -> None:
        assert self.obstacle(*given_up().volumes) == ""

    def test_every_volume_that_another_instance_has_is_named_and_no_other(self) -> None:
        root, data = given_up().volumes
        away = replace(data, attachments=(attachment(DATA, instance_id=OTHER),))

        assert self.obstacle(root, away) == f"Another instance has vol-data of {ID}: detach it there and try again."

    def test_a_volume_of_another_attempt_may_be_wherever_it_is(self) -> None:
        root, data = given_up().volumes
        mark = replace(MARK, generation="another")
        other = in_transit(volume("vol-old", attachment("/dev/sdz", instance_id=OTHER)), mark=mark)

        assert self.obstacle(root, data, other) == ""

    def test_only_the_volumes_at_wrong_devices_are_named(self) -> None:
        root, data = given_up().volumes
        third = in_transit(volume("vol-third", attachment("/dev/sdq")))

        assert self.obstacle(root, data, third) == (
            f"{ID} has vol-third at /dev/sdq instead of /dev/sdg: detach it and try again."
        )

    def test_a_device_that_another_volume_has_is_named_with_both_volumes(self) -> None:
        root, data = given_up().volumes
        words = self.obstacle(root, replace(data, state="available", attachments=()), volume("vol-x", attachment(DATA)))

        assert words == (
            f"The device {DATA} of {ID} is taken by vol-x, while its own volume vol-data is free. "
            "Detach vol-x, or remove the tag park-volumes:mark from vol-data."
        )

    def missing(self, *volumes: Volume, **changes: Any) -> str:
        others = record("/dev/sdh", volume_id="vol-of-another-attempt", generation="another")
        found = seen(*volumes, records=[*given_up().records, others], **changes)
        root = found.marked_root
        assert root is not None
        return missing_originals(found, root)

    def test_lacks_only_the_originals_of_this_attempt(self) -> None:
        root, data = given_up().volumes

        assert self.missing(root, data) == ""
        assert self.missing(root) == (f"{ID} lacks original volumes (vol-data), which are gone or have lost their mark")


class TestOriginalsOfAnotherAttempt:
    OLD = replace(MARK, generation="another")

    def left(self, *volumes: Volume, whole: bool = True) -> Observation:
        of_old = record("/dev/sdz", volume_id="vol-old", snapshot_id="snap-old", generation="another")
        return seen(*volumes, records=[*(records() if whole else records()[1:]), of_old])

    def old(self, **changes: Any) -> Volume:
        return in_transit(volume("vol-old", changes.pop("at", None)), mark=self.OLD)

    def test_are_told_of_where_one_is_free(self) -> None:
        words = foreign_originals(self.left(self.old()))

        assert words.startswith(f"{ID} has no root volume, and its snapshots do not say that it was parked.")
        assert "attach its root volume at /dev/xvda" in words

    def test_may_stay_attached_once_a_whole_generation_was_given_up(self) -> None:
        attached = self.old(at=attachment("/dev/sdz"))

        assert foreign_originals(self.left(attached)) == ""
        assert foreign_originals(self.left(attached, whole=False)) != ""

    def test_do_not_matter_while_one_of_the_last_attempt_is_left(self) -> None:
        own = in_transit(volume("vol-root"))

        assert foreign_originals(self.left(own, self.old())) == ""
        assert foreign_originals(self.left(own, self.old(), whole=False)) == ""

    def test_do_not_matter_where_there_are_none(self) -> None:
        assert foreign_originals(self.left()) == ""
