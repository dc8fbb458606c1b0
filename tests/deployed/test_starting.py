"""What becomes of a parked instance when its start is asked for at the Function URL."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from tests.deployed.stops import Stops
from tests.local_aws.client import LocalAws
from tests.support.fleet import PATIENCE, differences
from tests.support.url import FunctionUrl


@pytest.fixture(scope="module")
def started(stopped: Stops, url: FunctionUrl, outputs: dict[str, Any]) -> Stops:
    """Several of the fleet started again: by Name, by id, by the printed command, by many at once."""
    _make_image(stopped, "guest")
    by_command = outputs["start_command"].replace("INSTANCE", "guest")
    environment = stopped.aws.environment()
    done = subprocess.run(["bash", "-c", by_command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for ref in ("shop", stopped.ids["excluded"], "root only"):
        answer = url.start(ref)
        assert answer.status in (200, 202), answer.body
    with ThreadPoolExecutor(50) as pool:
        statuses = [a.status for a in pool.map(lambda _: url.start("crowd"), range(50))]
    assert set(statuses) <= {200, 202}, statuses
    for name in ("shop", "guest", "excluded", "root only", "crowd"):
        stopped.fleet.wait_until_running(stopped.ids[name])
        stopped.wait_until_settled(name)
    return stopped


def _make_image(stopped: Stops, name: str) -> None:
    """Somebody registers an AMI from a snapshot of a parked instance."""
    first = min(str(s["SnapshotId"]) for s in stopped.fleet.snapshots(stopped.ids[name]))
    stopped.fleet.ec2.register_image(
        Name=name,
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": first}}],
    )


@pytest.mark.parametrize("name", ["shop", "guest", "excluded", "root only", "crowd"])
def test_every_byte_attribute_and_tag_is_back(started: Stops, name: str) -> None:
    assert differences(started.before[name], started.fleet.picture(started.ids[name])) == []


def test_fifty_starts_at_once_make_one_set_of_volumes(started: Stops) -> None:
    made = {
        r
        for c in started.aws.calls()
        if c["operation"] == "AttachVolume" and started.ids["crowd"] in c["resources"] and not c["error"]
        for r in c["resources"]
        if r.startswith("vol-")
    }
    assert made == set(started.fleet.volume_ids(started.ids["crowd"]))


def test_the_log_names_who_signed_with_every_action(started: Stops, outputs: dict[str, Any]) -> None:
    sts = boto3.client("sts", **started.aws.boto3_arguments())  # type: ignore[call-overload]  # a mapping
    lines = [json.loads(line) for line in started.aws.logs(outputs["start_function_name"]) if line.startswith("{")]
    for name in ("shop", "guest", "excluded", "root only", "crowd"):
        acted = [line for line in lines if line.get("instance_id") == started.ids[name] and "caller" in line]
        assert {line["caller"] for line in acted} == {sts.get_caller_identity()["Arn"]}, name


def test_the_start_function_deletes_nothing(started: Stops, outputs: dict[str, Any]) -> None:
    calls = started.aws.calls(role=outputs["start_role_arn"])
    assert {c["operation"] for c in calls} >= {"CreateVolume", "AttachVolume", "StartInstances"}
    assert not [c["operation"] for c in calls if c["operation"].startswith("Delete") and c["operation"] != "DeleteTags"]


def test_snapshots_are_discarded_once_the_instance_has_been_seen_running(started: Stops) -> None:
    started.aws.fire_rule("park-volumes-sweep")
    started.aws.wait_for(
        lambda: not started.fleet.snapshots(started.ids["shop"]), PATIENCE, "the snapshots of shop to be discarded"
    )


def test_a_snapshot_that_an_image_uses_is_kept_and_locked_and_the_others_are_discarded(started: Stops) -> None:
    started.aws.fire_rule("park-volumes-sweep")
    guest = started.ids["guest"]
    started.aws.wait_for(
        lambda: len(started.fleet.snapshots(guest)) == 1, PATIENCE, "all snapshots of guest but one to be discarded"
    )
    (kept,) = started.fleet.snapshots(guest)
    tags = {tag["Key"]: tag["Value"] for tag in kept["Tags"]}
    locked = started.fleet.ec2.describe_locked_snapshots()["Snapshots"]

    assert "is currently in use by ami-" in tags["park-volumes:kept"]
    assert kept["SnapshotId"] in [s["SnapshotId"] for s in locked]


def test_a_start_that_falls_back_to_stopped_is_shown_and_not_parked_again(
    stopped: Stops, url: FunctionUrl, aws: LocalAws
) -> None:
    instance_id = stopped.ids["keyless"]
    aws.fail_start(instance=instance_id)
    assert url.start("keyless").status in (200, 202)
    aws.wait_for(lambda: url.state("keyless") == "needs attention", PATIENCE, "keyless to fall back")
    aws.fire_rule("park-volumes-sweep")
    aws.wait_until_quiet(60)
    assert "Client.InternalError" in url.show("keyless").body["detail"]
    after = stopped.fleet.picture(instance_id)
    assert after.keys() == stopped.before["keyless"].keys()
    assert {d: p.content for d, p in after.items()} == {d: p.content for d, p in stopped.before["keyless"].items()}


def test_a_volume_that_fails_is_made_again(stopped: Stops, url: FunctionUrl, aws: LocalAws) -> None:
    snapshot = stopped.fleet.snapshots(stopped.ids["unheard"])[0]["SnapshotId"]
    aws.fail_volume(snapshot=snapshot)
    answer = url.start("unheard")
    assert answer.status == 502
    assert "Nothing is lost; the sweep tries again." in answer.body["error"]["message"]
    stopped.fleet.wait_until_running(stopped.ids["unheard"])
    stopped.wait_until_settled("unheard")
    made = [c for c in aws.calls() if c["operation"] == "CreateVolume" and snapshot in c["resources"]]
    assert len({c["parameters"]["ClientToken"] for c in made}) == 2
    assert differences(stopped.before["unheard"], stopped.fleet.picture(stopped.ids["unheard"])) == []


@pytest.mark.usefixtures("started")
def test_starting_what_runs_changes_nothing(url: FunctionUrl) -> None:
    answer = url.start("running")
    assert (answer.status, answer.body["state"]) == (200, "running")


def test_stopping_and_stopping_again_is_the_same(stopped: Stops, url: FunctionUrl) -> None:
    first, second = url.stop("running"), url.stop("running")
    assert first.status == 202
    assert second.status in (200, 202)
    stopped.fleet.wait_for_state(stopped.ids["running"], "stopped")
