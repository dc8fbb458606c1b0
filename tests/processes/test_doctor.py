"""``park-volumes doctor`` in a process of its own, against the local AWS: every read by botocore's own validation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.fleet import Disk, Fleet
from tests.support.terraform import ROOT

REGION = "us-east-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """An account with a trail, a rule of the Recycle Bin, a key, and instances of every kind; nothing is deployed."""
    with LocalAws(settings=QUICK, region=REGION) as aws:
        fleet = Fleet(aws=aws, ec2=aws.client("ec2"), zone=f"{REGION}a")
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        disks = (Disk(size=16, kms_key=key), Disk(device="/dev/sdf", size=30, type="gp2", tags={"CSIVolumeName": "pv"}))
        fleet.launch("db", disks, {"ParkVolumes": "true"})
        fleet.launch("typo", (Disk(),), {"ParkVolumes": "ture"})
        aws.client("s3").create_bucket(Bucket="trail")
        trail = aws.client("cloudtrail")
        trail.create_trail(Name="all", S3BucketName="trail", IsMultiRegionTrail=True)
        trail.start_logging(Name="all")
        trail.put_event_selectors(
            TrailName="all", EventSelectors=[{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]
        )
        period = {"RetentionPeriodValue": 3, "RetentionPeriodUnit": "DAYS"}
        aws.client("rbin").create_rule(ResourceType="EBS_VOLUME", RetentionPeriod=period)
        yield aws


def examine(aws: LocalAws, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "park_volumes", "doctor", *arguments],
        env=aws.environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'lambda_src'}"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def by_topic(done: subprocess.CompletedProcess[str]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in json.loads(done.stdout)["findings"]:
        found.setdefault(one["topic"], []).append(one)
    return found


def test_everything_is_read_and_every_line_says_what_is_so(aws: LocalAws) -> None:
    done = examine(aws, "--json")
    found = by_topic(done)

    assert done.returncode == 0, done.stderr
    assert found.get("not read", []) == []
    assert [one["level"] for one in found["trail"]] == ["good"]
    assert [one["level"] for one in found["Recycle Bin"]] == ["warning"]
    assert [one["level"] for one in found["encryption"]] == ["good", "good"]
    assert "GiB of gp3: 24 of 51,200" in found["quotas"][-1]["words"]
    assert "'ture'" in found["instances"][0]["words"]
    assert "Kubernetes" in found["volumes of others"][0]["words"]


def test_nothing_is_changed(aws: LocalAws) -> None:
    before = aws.resources()
    examine(aws)

    assert aws.resources() == before


def test_without_credentials_it_is_wrong_usage(aws: LocalAws) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/"}
    done = examine(aws, **nobody)

    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("No AWS credentials: ")


def test_in_a_region_that_does_not_exist_it_is_wrong_usage(aws: LocalAws) -> None:
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = examine(aws, "--region", "eu-wset-1", **nowhere)

    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("There is no region 'eu-wset-1'")
