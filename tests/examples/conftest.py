"""All examples, applied at once: each in a region of its own, so that all can have the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.fleet import PATIENCE, Disk, Fleet, Picture
from tests.support.readme import README, blocks
from tests.support.terraform import LAMBDA_PYTHON, Terraform

REGIONS = {
    "minimal": "us-east-1",
    "existing-instances": "eu-north-1",
    "multi-region": "us-west-1",
    "office-hours": "eu-west-1",
    "token-page": "us-west-2",
}
"""``multi-region`` names its regions itself. ``complete`` is applied in tests/deployed."""
ANY_INSTANCE = "i-0123456789abcdef0"
"""The id that stands for an instance in the documents."""
LONG_AGO = timedelta(minutes=10)
"""Older than the quiet period: what was attached then need not settle any more."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example that is applied: its outputs, and the region it stands in."""

    terraform: Terraform
    outputs: Mapping[str, Any]
    region: str


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws(settings=QUICK, lambda_python=LAMBDA_PYTHON) as local_aws:
        yield local_aws


def client(aws: LocalAws, service: str, region: str) -> Any:
    return boto3.client(service, **(aws.boto3_arguments() | {"region_name": region}))  # type: ignore[call-overload]


def fleet_in(aws: LocalAws, region: str) -> Fleet:
    return Fleet(aws=aws, ec2=client(aws, "ec2", region), zone=f"{region}a")


@pytest.fixture(scope="session")
def office(aws: LocalAws) -> str:
    """The instance that keeps office hours, running before the example is applied."""
    fleet = fleet_in(aws, REGIONS["office-hours"])
    disks = (Disk(), Disk(device="/dev/sdf", size=20, delete_on_termination=False))
    return fleet.launch("office", disks, {"ParkVolumes": "true"})


@pytest.fixture(scope="session")
def orphan(aws: LocalAws) -> str:
    """An instance that is parked by ``minimal`` and restored by hand, when that is gone."""
    region = REGIONS["minimal"]
    key = client(aws, "kms", region).create_key(Description="data")["KeyMetadata"]["Arn"]
    disks = (
        Disk(iops=4000, throughput=200, kms_key=key, tags={"Name": "orphan root", "Äpfel": "süß & 'sauer'"}),
        Disk(device="/dev/sdf", size=20, type="io2", iops=500, delete_on_termination=False, tags={"Team": "sales"}),
        Disk(device="/dev/sdg", size=500, type="st1"),
    )
    return fleet_in(aws, region).launch("orphan", disks, {})


@pytest.fixture(scope="session")
def examples(aws: LocalAws, office: str, orphan: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    assert orphan
    variables: dict[str, dict[str, object]] = {"office-hours": {"instance_ids": [office]}}

    def apply(name: str) -> Example:
        region = REGIONS[name]
        environment = aws.environment() | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        terraform = Terraform(name, tmp_path_factory.mktemp(name), environment, variables.get(name, {}))
        if name == "token-page":
            terraform.shell(command("put-parameter"))
        return Example(terraform=terraform, outputs=terraform.apply(), region=region)

    with ThreadPoolExecutor(len(REGIONS)) as pool:
        return dict(zip(REGIONS, pool.map(apply, REGIONS), strict=True))


@pytest.fixture(scope="session")
def existing(aws: LocalAws, examples: dict[str, Example]) -> dict[str, str]:
    """The instances of ``existing-instances``, by Name."""
    ids: dict[str, str] = examples["existing-instances"].outputs["instance_ids"]
    for instance_id in ids.values():
        aws.write(instance_id)
    return ids


@pytest.fixture(scope="session")
def evening(
    aws: LocalAws, examples: dict[str, Example], office: str, orphan: str, existing: dict[str, str]
) -> dict[str, Picture]:
    """The office closes: its schedule stops one instance, people stop others, and the modules park them all.

    Answers the pictures of the instances from when they ran.
    """
    ids = [office, orphan, *existing.values()]
    for instance_id in ids:
        aws.set_instance(instance_id, attach_time=(aws.now() - LONG_AGO).isoformat())
    stack = fleet_in(aws, REGIONS["existing-instances"])
    fleets = {
        office: fleet_in(aws, REGIONS["office-hours"]),
        orphan: fleet_in(aws, REGIONS["minimal"]),
        **dict.fromkeys(existing.values(), stack),
    }
    pictures = {instance_id: fleet.picture(instance_id) for instance_id, fleet in fleets.items()}
    stop = examples["office-hours"].outputs["schedules"][office]["stop"]
    aws.fire_schedule(stop, group="park-volumes-office-hours", region=REGIONS["office-hours"])
    stack.ec2.stop_instances(InstanceIds=list(existing.values()))
    examples["minimal"].terraform.shell(command("stop-instances").replace(ANY_INSTANCE, orphan))
    for fleet, left in ((fleets[office], 0), (fleets[orphan], 0), (stack, 1)):
        only = partial(_only_volumes, fleet, left)
        aws.wait_for(only, PATIENCE, f"only {left} volumes to be left in {fleet.zone}")
    return pictures


def _only_volumes(fleet: Fleet, count: int) -> bool:
    """Also none that is detached and still to be deleted: a start would wait for that."""
    return len(fleet.ec2.describe_volumes()["Volumes"]) == count


def command(word: str) -> str:
    """The commands of README.md that a word is in."""
    (found,) = [block for block in blocks(README.read_text(encoding="utf-8"), "sh") if word in block]
    return found
