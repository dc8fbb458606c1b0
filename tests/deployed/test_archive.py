"""What becomes of an instance that has been parked for so long that its snapshots are archived."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.deployed.stops import Stops
from tests.support.fleet import Fleet, differences
from tests.support.url import Answer, FunctionUrl

LONG_AGO = timedelta(days=61)
SWEEP = {"detail-type": "Scheduled Event", "resources": [], "detail": {}}


def snapshots(fleet: Fleet, instance_id: str) -> list[Any]:
    """Those that hold the records of an instance."""
    of_it = {"Name": "tag:park-volumes:instance", "Values": [instance_id]}
    return list(fleet.ec2.describe_snapshots(OwnerIds=["self"], Filters=[of_it])["Snapshots"])  # type: ignore[list-item]


def tiers(fleet: Fleet, instance_id: str) -> set[str]:
    return {s["StorageTier"] for s in snapshots(fleet, instance_id)}


def archive(fleet: Fleet, instance_id: str) -> None:
    """Archive its snapshots by hand, and wait for it."""
    for s in snapshots(fleet, instance_id):
        fleet.ec2.modify_snapshot_tier(SnapshotId=s["SnapshotId"], StorageTier="archive")
    fleet.aws.wait_for(lambda: tiers(fleet, instance_id) == {"archive"}, 30, "the archive")


@pytest.fixture(scope="module")
def archived(stopped: Stops, outputs: dict[str, Any]) -> Stops:
    """The sleeper, after a sweep to which it seemed to have been parked two months ago."""
    sleeper, ec2 = stopped.ids["sleeper"], stopped.fleet.ec2
    then = (datetime.now(UTC) - LONG_AGO).isoformat(timespec="seconds")
    ids = [s["SnapshotId"] for s in snapshots(stopped.fleet, sleeper)]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "park-volumes:mark", "Value": then}])
    sqs = boto3.client("sqs", **stopped.aws.boto3_arguments())  # type: ignore[call-overload]  # a mapping
    sqs.send_message(QueueUrl=outputs["park_queue_url"], MessageBody=json.dumps(SWEEP))
    stopped.aws.wait_for(lambda: tiers(stopped.fleet, sleeper) == {"archive"}, 90, "the sweep to archive the sleeper")
    return stopped


@pytest.fixture(scope="module")
def asked(archived: Stops, url: FunctionUrl) -> Answer:
    return url.start(archived.ids["sleeper"])


def test_who_looks_is_told_that_a_start_takes_days(archived: Stops, url: FunctionUrl) -> None:
    shown = archived.show(url, "sleeper")

    assert shown["state"] == "parked"
    assert "a start takes up to 72 hours" in shown["detail"]
    assert {d["state"] for d in shown["devices"]} == {"archived"}


def test_a_start_says_how_long_it_takes_and_comes_about_by_itself(asked: Answer, archived: Stops) -> None:
    sleeper = archived.ids["sleeper"]

    assert asked.status == 202
    assert asked.body["detail"].endswith("takes up to 72 hours. The start then goes on by itself.")
    archived.fleet.wait_for_state(sleeper, "running", 150)
    archived.wait_until_settled("sleeper")
    assert differences(archived.before["sleeper"], archived.fleet.picture(sleeper)) == []
