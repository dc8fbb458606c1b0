"""All examples, applied at once: each in a region of its own, so that all can have the same names."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.iam.requests import ACCOUNT
from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.fleet import Disk, Fleet
from tests.support.readme import API, README, blocks
from tests.support.terraform import LAMBDA_PYTHON, Terraform

REGIONS = {
    "minimal": "us-east-1",
    "existing-instances": "eu-north-1",
    "guard": "us-east-2",
    "multi-region": "us-west-1",
    "office-hours": "eu-west-1",
    "token-page": "us-west-2",
}
"""``multi-region`` names its regions itself, and its deployment stands in neither of these. ``complete`` is applied in
tests/deployed, ``organization`` in test_organization.py."""
RESTORERS = f"arn:aws:iam::{ACCOUNT}:role/restorers"
"""A role of people who restore by hand."""
ANY_INSTANCE = "i-0123456789abcdef0"
"""The id that stands for an instance in the documents."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example that is applied: its outputs, and the region it stands in."""

    terraform: Terraform
    outputs: Mapping[str, Any]
    region: str


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The account in which all are applied, the examples by name, and two instances that were there before."""

    aws: LocalAws
    examples: Mapping[str, Example]
    office: str
    orphan: str


def fleet_in(aws: LocalAws, region: str) -> Fleet:
    return Fleet(aws=aws, ec2=aws.client("ec2", region), zone=f"{region}a")


def command(word: str) -> str:
    """The commands of README.md or docs/api.md that a word is in."""
    (found,) = [block for block in commands() if word in block]
    return found


def commands() -> list[str]:
    """All commands that a reader of README.md and docs/api.md is told to run."""
    return [block for page in (README, API) for block in blocks(page.read_text(encoding="utf-8"), "sh")]


def apply(ahead: Ahead) -> Applied:
    aws = ahead.enter(LocalAws(settings=QUICK, lambda_python=LAMBDA_PYTHON))
    workspace = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="examples-")))
    office, orphan = _office(aws), _orphan(aws)
    variables: dict[str, dict[str, object]] = {
        "guard": {
            "deployments": _deployments(),
            "other_writers": [RESTORERS],
            "target_ids": [_organization(aws)],
        },
        "office-hours": {"instance_ids": [office]},
    }

    def one(name: str) -> Example:
        region = REGIONS[name]
        environment = aws.environment() | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        (workspace / name).mkdir()
        terraform = Terraform(name, workspace / name, environment, variables.get(name, {}))
        if name == "token-page":
            terraform.shell(command("put-parameter"))
        return Example(terraform=terraform, outputs=terraform.apply(), region=region)

    with ThreadPoolExecutor(len(REGIONS)) as pool:
        examples = dict(zip(REGIONS, pool.map(one, REGIONS), strict=True))
    return Applied(aws=aws, examples=examples, office=office, orphan=orphan)


def _deployments() -> list[dict[str, str]]:
    """Those of the other examples, as the guard is told of them."""
    return [{"account": ACCOUNT, "region": region} for name, region in REGIONS.items() if name != "guard"]


def _organization(aws: LocalAws) -> str:
    """The root of an organization that the account makes for itself."""
    organizations = aws.client("organizations", REGIONS["guard"])
    organizations.create_organization(FeatureSet="ALL")
    (root,) = organizations.list_roots()["Roots"]
    return str(root["Id"])


def _office(aws: LocalAws) -> str:
    """The instance that keeps office hours, running before the example is applied."""
    fleet = fleet_in(aws, REGIONS["office-hours"])
    disks = (Disk(), Disk(device="/dev/sdf", size=20, delete_on_termination=False))
    return fleet.launch("office", disks, {"ParkVolumes": "true"})


def _orphan(aws: LocalAws) -> str:
    """An instance that is parked by ``minimal`` and restored by hand, when that is gone."""
    region = REGIONS["minimal"]
    key = aws.client("kms", region).create_key(Description="data")["KeyMetadata"]["Arn"]
    disks = (
        Disk(iops=4000, throughput=200, kms_key=key, tags={"Name": "orphan root", "Äpfel": "süß & 'sauer'"}),
        Disk(device="/dev/sdf", size=20, type="io2", iops=500, delete_on_termination=False, tags={"Team": "sales"}),
        Disk(device="/dev/sdg", size=500, type="st1"),
    )
    return fleet_in(aws, region).launch("orphan", disks, {})
