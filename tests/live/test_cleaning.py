"""Whatever becomes of a run, nothing of it is left, and nothing of others is touched."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clean import Cleaning
from tests.live.lab import Lab
from tests.live.rehearsal import ALIVE, REGION, account_of, command, crash
from tests.local_aws.client import LocalAws
from tests.support.ahead import Ahead


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(settings=ALIVE, region=REGION) as local_aws, local_aws.standing_still():
        yield local_aws


@pytest.mark.parametrize(("number", "part"), [(signal.SIGINT, "1. "), (signal.SIGTERM, "2. ")])
def test_a_run_that_is_ended_removes_what_it_has_made(aws: LocalAws, number: int, part: str, tmp_path: Path) -> None:
    process = command(aws, tmp_path, "run", "--region", REGION, "--yes")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(part):
            break
    process.send_signal(number)
    said, _ = process.communicate()
    (kept,) = tmp_path.iterdir()

    assert process.returncode == 130, said
    assert json.loads((kept / "report.json").read_text())["ended by"] == "Somebody ended the run."
    assert aws.resources() == {}


def test_nobody_is_asked_twice_who_does_not_say_yes(aws: LocalAws, tmp_path: Path) -> None:
    process = command(aws, tmp_path, "run", "--region", REGION)
    said, _ = process.communicate()

    assert process.returncode != 0
    assert "Go on?" in said
    assert aws.resources() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_crash_in_the_middle_of_a_deployment_leaves_nothing_that_cleaning_does_not_find(ahead: Ahead) -> None:
    crashed = ahead.result(crash)

    assert {"functions", "roles", "volumes", "snapshots"} <= set(crashed.there)
    assert (crashed.code, crashed.left) == (0, {}), crashed.said
    assert "Nothing is left of" in crashed.said


def test_what_others_made_stays(aws: LocalAws) -> None:
    account = account_of(aws)
    others = Lab(account, "eu-west-1-1128000000-aaaa").account("a step")
    foreign = [others.new_volume(), others.new_snapshot()]
    mine = Lab(account, "eu-west-1-1128000000-bbbb").account("a step")
    locked, machine = mine.locked_snapshot(), mine.running(1)
    left = Cleaning(account, "eu-west-1-1128000000-bbbb", say=str).clean()

    assert left == []
    assert mine.snapshot(locked) == {}
    assert mine.state(machine) == "terminated"
    assert others.volume(foreign[0])["State"] == "available"
    assert others.snapshot(foreign[1])["State"] == "completed"
    Cleaning(account, "eu-west-1-1128000000-aaaa", say=str).clean()


def test_what_aws_refuses_to_remove_is_told(aws: LocalAws) -> None:
    account = account_of(aws)
    lab = Lab(account, "eu-west-1-1128000000-cccc")
    step = lab.account("a step")
    snapshot_id = step.new_snapshot()
    step.ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="compliance", LockDuration=1)
    (left,) = Cleaning(account, lab.run, say=str).clean(patience=30)

    assert left.startswith(f"{snapshot_id}: ")
    assert "SnapshotLocked" in left


def test_a_run_begins_in_no_region_where_its_deployment_would_park_others(aws: LocalAws, tmp_path: Path) -> None:
    other = Lab(account_of(aws), "eu-west-1-1128000000-dddd").account("a step")
    machine = other.running()
    other.ec2.create_tags(Resources=[machine.id], Tags=[{"Key": "ParkVolumes", "Value": "false"}])
    process = command(aws, tmp_path, "run", "--region", REGION, "--yes")
    said, _ = process.communicate()
    other.ec2.terminate_instances(InstanceIds=[machine.id])
    aws.run(5)

    assert process.returncode == 2
    assert f"bear the tag ParkVolumes and would be parked: {machine.id}" in said
    assert "1. " not in said
