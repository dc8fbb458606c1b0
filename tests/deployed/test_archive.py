"""What becomes of an instance that has been parked for so long that its snapshots are archived."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.deployed.stops import Stops
from tests.support.fleet import PATIENCE, differences
from tests.support.url import Answer, FunctionUrl

LONG_AGO = timedelta(days=61)


@pytest.fixture(scope="module")
def archived(stopped: Stops) -> Stops:
    """The sleeper, after a sweep to which it seemed to have been parked two months ago."""
    sleeper, ec2 = stopped.ids["sleeper"], stopped.fleet.ec2
    then = (stopped.aws.now() - LONG_AGO).isoformat(timespec="seconds")
    ids = [s["SnapshotId"] for s in stopped.fleet.snapshots(sleeper)]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "park-volumes:mark", "Value": then}])
    stopped.aws.fire_rule("park-volumes-sweep")
    stopped.aws.wait_for(
        lambda: stopped.fleet.tiers(sleeper) == {"archive"}, PATIENCE, "the sweep to archive the sleeper"
    )
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
    assert asked.body["detail"].endswith("takes up to 72 hours. The start then continues by itself.")
    archived.fleet.wait_until_running(sleeper)
    archived.wait_until_settled("sleeper")
    assert differences(archived.before["sleeper"], archived.fleet.picture(sleeper)) == []
