"""What the bus and people are told of all that happened here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.deployed.post import Post
from tests.deployed.stops import STAYING, Stops
from tests.local_aws.client import LocalAws
from tests.support.fleet import PATIENCE
from tests.support.url import FunctionUrl

PARKED = ["shop", "guest", "root only", "excluded", "unheard", "doubled"]


@pytest.mark.parametrize("name", PARKED)
def test_a_parked_instance_is_told_once(stopped: Stops, post: Post, name: str) -> None:
    (event,) = post.events(stopped.ids[name], "Instance Parked")
    kept = {s["SnapshotId"] for s in stopped.fleet.snapshots(stopped.ids[name])}
    assert event["source"] == "park-volumes"
    assert event["resources"] == [f"arn:aws:ec2:ap-northeast-2:123456789012:instance/{stopped.ids[name]}"]
    assert kept <= set(event["detail"]["snapshot-ids"])
    before = stopped.before[name]
    left = {"root only": before.keys() - {"/dev/sda1"}, "excluded": STAYING}.get(name, set())
    assert event["detail"]["gib"] == sum(picture.size for device, picture in before.items() if device not in left)


def test_a_refusal_is_told_once_while_the_sweeps_repeat_it(stopped: Stops, post: Post, aws: LocalAws) -> None:
    for _ in range(2):
        aws.fire_rule("park-volumes-sweep")
        aws.wait_until_quiet(60)
    (event,) = post.events(stopped.ids["spot"])
    assert event["detail-type"] == "Parking Refused"
    assert "Spot Instance" in event["detail"]["what"]


def test_what_lasts_is_told_again_by_the_daily_reminder(stopped: Stops, post: Post, aws: LocalAws) -> None:
    before = len(post.events(stopped.ids["spot"]))
    aws.fire_rule("park-volumes-reminder")
    aws.wait_for(lambda: len(post.events(stopped.ids["spot"])) > before, PATIENCE, "the refusal to be told again")
    aws.wait_until_quiet(60)
    assert len(post.events(stopped.ids["spot"])) == before + 1


def test_an_opt_in_tag_that_says_neither_yes_nor_no_is_told_with_the_right_spelling(stopped: Stops, post: Post) -> None:
    events = post.events(stopped.ids["misspelt"])
    assert {event["detail-type"] for event in events} == {"Parking Refused"}
    assert "ParkVolumes='yes', which opts nothing in: tag it ParkVolumes=true" in events[0]["detail"]["what"]


def test_a_failed_snapshot_is_told(stopped: Stops, post: Post) -> None:
    events = post.events(stopped.ids["unlucky"], "Parking Failed")
    assert events
    assert "A snapshot of /dev/sda1 failed" in events[0]["detail"]["what"]


def test_a_start_is_told_when_the_instance_runs(stopped: Stops, post: Post, url: FunctionUrl, aws: LocalAws) -> None:
    assert url.start("doubled").status in (200, 202)
    stopped.fleet.wait_until_running(stopped.ids["doubled"])
    stopped.wait_until_settled("doubled")
    aws.wait_for(lambda: post.events(stopped.ids["doubled"], "Instance Started"), PATIENCE, "the start to be told")
    (event,) = post.events(stopped.ids["doubled"], "Instance Started")
    assert "came back from snapshots" in event["detail"]["what"]
    assert 0 <= event["detail"]["seconds"] < 60


@pytest.mark.usefixtures("stopped")
def test_people_are_told_in_words_with_a_link(stopped: Stops, post: Post) -> None:
    told = [m for m in post.messages() if stopped.ids["spot"] in m["Message"]]
    assert told
    assert told[0]["Subject"].startswith("ParkVolumes: ")
    assert "remove the tag ParkVolumes from the instance" in told[0]["Message"]
    link = "https://ap-northeast-2.console.aws.amazon.com/ec2/home?region=ap-northeast-2#InstanceDetails:instanceId="
    assert f"{link}{stopped.ids['spot']}" in told[0]["Message"]


def test_a_stranger_is_told_of_nowhere(stopped: Stops, post: Post) -> None:
    assert post.events(stopped.ids["stranger"]) == []
    assert not [m for m in post.messages() if stopped.ids["stranger"] in m["Message"]]


def test_sweeps_write_the_numbers_of_the_fleet(stopped: Stops, outputs: dict[str, Any]) -> None:
    lines = [json.loads(line) for line in stopped.aws.logs(outputs["park_function_name"]) if '"_aws"' in line]
    sweeps = [line for line in lines if "ParkedGiB" in line]
    assert sweeps
    assert {(line["deployment"], line["service"]) for line in sweeps} == {("park-volumes", "park-volumes")}
    assert max(line["ParkedGiB"][0] for line in sweeps) > 0


def test_nothing_was_left_untold(stopped: Stops, outputs: dict[str, Any]) -> None:
    for name in ("park_function_name", "start_function_name"):
        assert not [line for line in stopped.aws.logs(outputs[name]) if "a report was not sent" in line]
