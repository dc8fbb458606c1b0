"""One root module for every account of an organization."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import pytest

from tests.examples.organization import ACCOUNTS, STATES, Account, apply, state_of
from tests.support.ahead import Ahead
from tests.support.fleet import PATIENCE, differences


@pytest.fixture(scope="session")
def accounts(ahead: Ahead) -> Mapping[str, Account]:
    return ahead.result(apply)


def test_every_account_has_a_deployment_of_its_own(accounts: Mapping[str, Account]) -> None:
    arns = {name: there.outputs["start_policy_arn"] for name, there in accounts.items()}
    assert len(arns) == 3
    assert {name: arn.split(":")[4] for name, arn in arns.items()} == {n: a["id"] for n, a in ACCOUNTS.items()}
    assert all(there.terraform.plan() == {} for there in accounts.values())


def test_every_account_has_a_state_of_its_own(accounts: Mapping[str, Account]) -> None:
    others = {name: {a["id"] for n, a in ACCOUNTS.items() if n != name} for name in ACCOUNTS}
    for name, there in accounts.items():
        s3 = there.aws.client("s3")
        assert [found["Key"] for found in s3.list_objects_v2(Bucket=STATES)["Contents"]] == [state_of(name)]
        state = s3.get_object(Bucket=STATES, Key=state_of(name))["Body"].read().decode()
        assert json.loads(state)["resources"]
        assert not [account for account in others[name] if account in state]


def test_terraform_works_in_an_account_by_the_role_that_it_assumes(accounts: Mapping[str, Account]) -> None:
    for name, there in accounts.items():
        role = f"arn:aws:iam::{ACCOUNTS[name]['id']}:role/OrganizationAccountAccessRole"
        made = [
            c for c in there.aws.calls() if c["service"] in ("iam", "lambda") and c["operation"].startswith("Create")
        ]
        assert {call["role"] for call in made} == {role}


def test_in_every_account_an_instance_is_parked_and_comes_back_and_everything_can_be_destroyed(
    accounts: Mapping[str, Account],
) -> None:
    """It stands last: nothing is left."""
    pictures = {}
    for name, there in accounts.items():
        there.aws.write(there.instance)
        pictures[name] = there.fleet.picture(there.instance)
        there.fleet.ec2.stop_instances(InstanceIds=[there.instance])
    for name, there in accounts.items():
        there.aws.wait_for(partial(_is_parked, there), PATIENCE, f"the instance of {name} to be parked", every=5)
        assert there.fleet.ec2.describe_volumes()["Volumes"] == []
        assert there.url.start(f"{name}-1").status in (200, 202)
        there.fleet.wait_until_running(there.instance)
        there.fleet.wait_until_settled(there.instance)
        assert differences(pictures[name], there.fleet.picture(there.instance)) == []
        there.terraform.destroy()
        assert there.aws.client("lambda").list_functions()["Functions"] == []


def _is_parked(there: Account) -> bool:
    return there.url.state(there.instance) == "parked"
