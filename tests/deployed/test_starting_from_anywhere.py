"""What becomes of a parked instance when somebody starts it as always, here with the AWS CLI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.deployed.abroad import BY_CLI, Abroad
from tests.deployed.conftest import REGION
from tests.deployed.stops import Stops
from tests.local_aws.client import LocalAws
from tests.support.fleet import PATIENCE, differences
from tests.support.url import FunctionUrl

AWS_CLI = Path(sys.executable).with_name("aws")


@pytest.fixture(scope="module")
def trail(aws: LocalAws) -> None:
    """A trail that logs management events: without one, EventBridge hears of no call."""
    boto3.client("s3", **aws.boto3_arguments()).create_bucket(  # type: ignore[call-overload]  # a mapping
        Bucket="trail", CreateBucketConfiguration={"LocationConstraint": aws.region}
    )
    cloudtrail = boto3.client("cloudtrail", **aws.boto3_arguments())  # type: ignore[call-overload]  # the same
    cloudtrail.create_trail(Name="management", S3BucketName="trail", IsMultiRegionTrail=True)
    cloudtrail.start_logging(Name="management")


def _start(aws: LocalAws, *ids: str, region: str = REGION) -> subprocess.CompletedProcess[str]:
    command = [str(AWS_CLI), "ec2", "start-instances", "--region", region, "--instance-ids", *ids]
    return subprocess.run(command, env=aws.environment(), capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("trail")
def test_a_parked_instance_that_the_cli_could_not_start_starts(stopped: Stops, aws: LocalAws) -> None:
    done = _start(aws, stopped.ids["by cli"])

    assert done.returncode != 0
    assert "does not have a volume attached at root" in done.stderr
    stopped.fleet.wait_until_running(stopped.ids["by cli"])
    stopped.wait_until_settled("by cli")
    assert differences(stopped.before["by cli"], stopped.fleet.picture(stopped.ids["by cli"])) == []


@pytest.mark.usefixtures("trail", "stopped")
def test_so_does_one_of_the_second_region_from_which_modules_region_forwards_the_record(
    abroad: Abroad, aws: LocalAws, url: FunctionUrl
) -> None:
    instance_id = abroad.ids[BY_CLI]
    aws.wait_for(lambda: url.state(instance_id) == "parked", PATIENCE, f"{BY_CLI} to be parked")

    assert "does not have a volume attached at root" in _start(aws, instance_id, region=abroad.region).stderr
    abroad.fleet.wait_until_running(instance_id)
    abroad.fleet.wait_until_settled(instance_id)
    assert differences(abroad.before[BY_CLI], abroad.fleet.picture(instance_id)) == []


@pytest.mark.usefixtures("trail")
def test_of_a_batch_that_failed_the_parked_start_and_the_same_command_then_starts_the_others(
    stopped: Stops, aws: LocalAws
) -> None:
    parked, *whole = (stopped.ids[name] for name in ("in a batch", "stranger", "refuser"))
    assert _start(aws, parked, *whole).returncode != 0
    stopped.fleet.wait_until_running(parked)
    stopped.wait_until_settled("in a batch")
    assert differences(stopped.before["in a batch"], stopped.fleet.picture(parked)) == []
    assert {stopped.fleet.state(instance_id) for instance_id in whole} == {"stopped"}

    again = _start(aws, parked, *whole)
    assert again.returncode == 0, again.stderr
    for instance_id in whole:
        stopped.fleet.wait_until_running(instance_id)


@pytest.mark.usefixtures("trail")
def test_no_start_of_our_own_is_answered(stopped: Stops, aws: LocalAws) -> None:
    """A start that the function tries too early is refused like anybody's, and its record changes nothing."""
    seen = [e["event"] for e in aws.events() if e["event"]["detail-type"] == "AWS API Call via CloudTrail"]
    by_us = [e for e in seen if e["detail"]["userIdentity"]["arn"].endswith("/park-volumes-start")]
    assert by_us
    assert stopped.ids["by cli"] in str(by_us)
    assert not [e for e in by_us if "errorCode" in e["detail"]]
