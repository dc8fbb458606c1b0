"""One deployment of ``examples/complete`` for all tests here, a second one beside it, and a fleet that was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from pytest_terraform.tf import TerraformTestApi

from tests.deployed.abroad import Abroad
from tests.deployed.post import Post
from tests.deployed.stops import Stops
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import QUICK
from tests.support.fleet import Fleet
from tests.support.terraform import FASTER, LAMBDA_PYTHON, QUICK_INPUTS, RootModule, copy_module
from tests.support.terraform_mirror import terraform_environment
from tests.support.url import FunctionUrl

REGION, SECOND = "ap-northeast-2", "us-east-1"
"""Those of ``examples/complete``."""
VARIABLES = {**QUICK_INPUTS, "snapshot_retention_hours": 0}
NIGHT_TOKEN = "a-token-of-the-night-0123456789abcdef"
BOUNDARY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["iam:*", "organizations:*", "ec2:RunInstances"], "Resource": "*"},
    ],
}
"""What an organisation may ask of every role: nothing that makes roles or launches instances."""
JUDGED_LAST = "test_permissions.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The roles are judged by what all other tests have made the functions do."""
    items.sort(key=lambda item: item.path.name == JUDGED_LAST)


@pytest.fixture(scope="session", autouse=True)
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS, which Terraform finds in the environment as it would find AWS."""
    before = dict(os.environ)
    with (
        LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON) as local_aws,
        local_aws.standing_still(),
    ):
        environment = terraform_environment(tmp_path_factory.mktemp("terraform"), local_aws.environment()) | FASTER
        variables = {f"TF_VAR_{name}": str(value) for name, value in VARIABLES.items()}
        try:
            _replace_environment(environment | variables)
            yield local_aws
        finally:
            _replace_environment(before)


def _replace_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="session")
def fleet(aws: LocalAws) -> Fleet:
    ec2 = boto3.client("ec2", **aws.boto3_arguments())  # type: ignore[call-overload]  # the arguments are a mapping
    return Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")


@pytest.fixture(scope="session")
def stops(aws: LocalAws, fleet: Fleet) -> Stops:
    """The instances, launched before the module is applied, as in the stacks it is added to."""
    return Stops(aws=aws, fleet=fleet)


@pytest.fixture(scope="session")
def abroad(aws: LocalAws) -> Abroad:
    """Instances in the second region, launched as early. A region without any is looked at every half hour only."""
    return Abroad(aws, SECOND)


class Second:
    """A deployment that is applied and destroyed while another one is."""

    def __init__(self, terraform: RootModule, pool: ThreadPoolExecutor) -> None:
        self.outputs: Future[dict[str, Any]] = pool.submit(terraform.apply)
        self._terraform, self._pool = terraform, pool
        self._gone: Future[None] | None = None

    def begin_to_go(self) -> Future[None]:
        if self._gone is None:
            self._gone = self._pool.submit(self._terraform.destroy)
        return self._gone


@pytest.fixture(scope="session")
def second(aws: LocalAws, stops: Stops, abroad: Abroad, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """A second deployment in the same account and region, with other names, a boundary, a key and tokens.

    It is applied while the first one is.
    """
    assert abroad.ids
    ssm, iam = (boto3.client(name, **aws.boto3_arguments()) for name in ("ssm", "iam"))  # type: ignore[call-overload]
    ssm.put_parameter(Name="/night/tokens", Type="SecureString", KeyId=stops.key, Value=f"porter:{NIGHT_TOKEN}")
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(BOUNDARY))["Policy"]["Arn"]
    variables = {
        "name": "night",
        "opt_in_tag_key": "Nightly",
        "function_url_auth": "TOKEN",
        "start_tokens_parameter": "/night/tokens",
        "kms_key_arns": [stops.key],
        "permissions_boundary_arn": boundary,
    }
    folder = tmp_path_factory.mktemp("night") / "module"
    copy_module(folder)
    terraform = RootModule(folder, os.environ, variables)
    with ThreadPoolExecutor(1) as pool:
        made = Second(terraform, pool)
        yield made
        made.begin_to_go().result()


@pytest.fixture(scope="session")
def outputs(second: Second, complete: TerraformTestApi) -> Iterator[dict[str, Any]]:
    """The outputs of the deployment, which came after the instances. Both deployments are destroyed at once."""
    yield {name: output["value"] for name, output in complete.outputs.items()}
    second.begin_to_go()


@pytest.fixture(scope="session")
def night(outputs: dict[str, Any], second: Second) -> dict[str, Any]:
    """The outputs of the second deployment."""
    assert outputs
    return second.outputs.result()


@pytest.fixture(scope="session")
def url(outputs: dict[str, Any]) -> FunctionUrl:
    return FunctionUrl(url=outputs["function_url"], region=REGION, key=ADMIN_KEY, secret=ADMIN_SECRET)


@pytest.fixture(scope="session")
def post(aws: LocalAws, outputs: dict[str, Any]) -> Post:
    """Somebody who listens to what is told, from before anything happens."""
    return Post(aws=aws, topic_arn=outputs["notification_topic_arn"])


@pytest.fixture(scope="session")
def stopped(stops: Stops, url: FunctionUrl, post: Post, night: dict[str, Any], abroad: Abroad) -> Stops:
    """The fleet, stopped in every way, after the module has done what it does about each."""
    assert post.messages() == []
    assert night
    abroad.stop()
    stops.stop_all(url)
    return stops
