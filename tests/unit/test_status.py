"""What people are told about an instance."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from park_volumes.core.facts import Observation
from park_volumes.core.status import status
from tests.unit.facts import (
    DATA,
    ID,
    LAUNCHED,
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
    parked,
    record,
    records,
    root_volume,
    seen,
    volume,
    with_snapshots,
)


def shown(s: Observation) -> dict[str, Any]:
    return status(s, SETTINGS, NOW)


def stopped() -> Observation:
    return seen(root_volume(), data_volume())


def asked(s: Observation) -> Observation:
    return replace(s, records=tuple(replace(r, start_requested=NOW) for r in s.records))


@pytest.mark.parametrize("state", ["running", "stopping", "shutting-down", "terminated"])
def test_an_instance_that_is_not_stopped_shows_the_state_of_ec2(state: str) -> None:
    assert shown(change(stopped(), state=state))["state"] == state


def test_a_pending_instance_is_starting() -> None:
    assert shown(change(stopped(), state="pending", launch_time=NOW))["state"] == "starting"


def test_a_running_instance_shows_its_address() -> None:
    one = shown(change(stopped(), state="running", address="ec2-3-4-5-6.compute.amazonaws.com"))

    assert one["address"] == "ec2-3-4-5-6.compute.amazonaws.com"


@pytest.mark.parametrize(
    ("address", "protocol", "link"),
    [
        ("ec2-3-4-5-6.compute.amazonaws.com", "https", "https://ec2-3-4-5-6.compute.amazonaws.com"),
        ("203.0.113.7", "ssh", "ssh://203.0.113.7"),
        ("2001:db8::7", "rdp", "rdp://[2001:db8::7]"),
        ("203.0.113.7", "", ""),
        ("", "https", ""),
    ],
)
def test_the_address_of_a_running_instance_is_a_link_with_the_protocol_of_the_deployment(
    address: str, protocol: str, link: str
) -> None:
    settings = replace(SETTINGS, address_protocol=protocol)
    running = change(stopped(), state="running", address=address)

    assert status(running, settings, NOW)["link"] == link
    assert status(change(running, state="stopped"), settings, NOW)["link"] == ""


def test_an_instance_that_does_not_run_shows_no_address() -> None:
    assert shown(change(stopped(), address="10.0.0.7"))["address"] == ""


def test_id_and_name_are_shown() -> None:
    assert (shown(stopped())["id"], shown(stopped())["name"]) == (ID, "db")


def test_an_instance_without_a_name_has_an_empty_one() -> None:
    assert shown(change(stopped(), tags={"ParkVolumes": "true"}))["name"] == ""


class TestState:
    def test_an_instance_whose_snapshots_are_to_be_taken_is_parking(self) -> None:
        one = shown(stopped())

        assert (one["state"], one["detail"]) == (
            "parking",
            f"{ID} is stopped. Volumes that still need a snapshot: 2 of 2.",
        )

    def test_an_instance_whose_volumes_are_being_given_up_is_parking(self) -> None:
        assert shown(given_up())["state"] == "parking"

    def test_an_instance_whose_volumes_are_gone_is_parked(self) -> None:
        one = shown(parked())

        assert (one["state"], one["detail"]) == ("parked", f"{ID} is parked.")

    def test_an_instance_that_is_refused_is_stopped_and_says_why(self) -> None:
        one = shown(change(stopped(), lifecycle="spot"))

        assert one["state"] == "stopped"
        assert "Spot Instance" in one["detail"]

    def test_an_instance_that_waits_for_its_attachments_is_parking(self) -> None:
        fresh = volume("vol-root", attachment(attach_time=NOW))

        assert shown(seen(fresh))["state"] == "parking"

    def test_an_instance_that_was_asked_to_start_is_starting(self) -> None:
        one = shown(asked(parked()))

        assert (one["state"], one["detail"]) == ("starting", f"{ID} is restored from its 2 snapshots and started.")

    def test_a_start_that_can_not_succeed_needs_attention(self) -> None:
        s = asked(parked())
        one = shown(replace(s, records=s.records[:1]))

        assert one["state"] == "needs attention"
        assert "are missing" in one["detail"]

    def test_a_parked_instance_that_lacks_a_part_needs_attention(self) -> None:
        s = parked()
        one = shown(replace(s, records=s.records[:1]))

        assert one["state"] == "needs attention"
        assert "no volume is deleted" in one["detail"]

    def test_a_parked_instance_whose_device_is_taken_needs_attention_before_it_is_started(self) -> None:
        one = shown(seen(volume("vol-empty", attachment(DATA)), records=records()))

        assert one["state"] == "needs attention"
        assert "vol-empty" in one["detail"]

    def test_an_instance_without_root_and_snapshots_needs_attention(self) -> None:
        assert shown(seen())["state"] == "needs attention"


class TestDevices:
    def test_a_volume_without_a_snapshot_is_attached(self) -> None:
        assert shown(seen(root_volume(size=32)))["devices"] == [
            {
                "device": ROOT,
                "volume_id": "vol-root",
                "snapshot_id": None,
                "size_gib": 32,
                "type": "gp3",
                "state": "attached",
                "progress": None,
                "loading": None,
            }
        ]

    def test_a_device_that_is_parked_shows_its_snapshot_and_size(self) -> None:
        of_data, of_root = records(size=100)

        assert shown(seen(records=[of_data, of_root]))["devices"][0] == {
            "device": DATA,
            "volume_id": None,
            "snapshot_id": "snap-data",
            "size_gib": 100,
            "type": "gp3",
            "state": "parked",
            "progress": None,
            "loading": None,
        }

    def test_the_sizes_of_all_devices_are_added_up_attached_or_parked(self) -> None:
        assert shown(seen(root_volume(size=32), data_volume(size=100)))["size_gib"] == 132
        assert shown(seen(records=records(size=100)))["size_gib"] == 200

    def test_devices_come_in_order(self) -> None:
        assert [d["device"] for d in shown(parked())["devices"]] == [DATA, ROOT]

    def test_a_running_snapshot_shows_its_progress(self) -> None:
        s = with_snapshots(stopped(), state="pending", progress="42%")

        assert [d["progress"] for d in shown(s)["devices"]] == ["42%", "42%"]

    def test_a_snapshot_that_has_just_begun_shows_that_nothing_is_copied(self) -> None:
        s = with_snapshots(stopped(), state="pending", progress="")

        assert [d["progress"] for d in shown(s)["devices"]] == ["0%", "0%"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_of_a_failed_snapshot_and_the_next_try_the_next_one_is_shown(self, order: int) -> None:
        failed = record(ROOT, snapshot_id="snap-failed", state="error", started=TAKEN + timedelta(seconds=1))
        again = record(ROOT, snapshot_id="snap-again", state="pending", progress="40%")
        device = shown(seen(root_volume(), records=[failed, again][::order]))["devices"][0]

        assert (device["snapshot_id"], device["progress"]) == ("snap-again", "40%")

    def test_a_snapshot_of_an_earlier_stop_is_not_shown(self) -> None:
        old = record(ROOT, launch_time=LAUNCHED - timedelta(days=1))

        assert shown(seen(root_volume(), records=[old]))["devices"][0]["snapshot_id"] is None

    def test_of_two_snapshots_of_one_part_the_one_that_counts_is_shown(self) -> None:
        twin = record(DATA, snapshot_id="snap-a", started=TAKEN + timedelta(seconds=1), confirmed_at=MARKED)

        assert shown(seen(records=[*records(), twin]))["devices"][0]["snapshot_id"] == "snap-a"

    def test_a_volume_at_another_instance_is_not_shown(self) -> None:
        away = volume("vol-away", attachment(DATA, instance_id=OTHER))

        assert [d["device"] for d in shown(seen(root_volume(), away))["devices"]] == [ROOT]
