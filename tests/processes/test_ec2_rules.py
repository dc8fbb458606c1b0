"""The local AWS keeps the rules of EC2 that tests/model/rules.py tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.model.accounts import Account, RemoteAccount
from tests.model.rules import RULES, Rule, keeps


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """The local AWS, where what takes time takes long enough for the next call to find it under way."""
    settings = replace(QUICK, snapshot_seconds=0.7, create_volume_seconds=0.3, detach_seconds=0.3, start_seconds=0.4)
    with LocalAws(settings=settings) as local_aws, local_aws.standing_still():
        yield local_aws


@pytest.fixture(scope="module")
def account(aws: LocalAws) -> Account:
    client: Any = boto3.client
    ec2 = client("ec2", **aws.boto3_arguments())
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    return RemoteAccount(ec2, image, wait=aws.run)


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_the_local_aws_keeps_every_rule(account: Account, rule: Rule) -> None:
    keeps(account, rule)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name) for rule in RULES if "dry run" in rule.name])
def test_it_keeps_those_of_dry_runs_too_where_ec2_checks_more_than_permissions(
    aws: LocalAws, account: Account, rule: Rule
) -> None:
    aws.configure(dry_run_checks=True)
    keeps(account, rule)
    aws.configure(dry_run_checks=False)
