"""One deployment that people sign in to with tokens, and one Chromium to do it with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from playwright.sync_api import Browser

from tests.browser.person import Person, a_browser
from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support import chromium
from tests.support.fleet import PATIENCE, Disk, Fleet
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, Terraform
from tests.support.url import OpenUrl

REGION = "ap-northeast-2"
PARAMETER = "/park-volumes/tokens"
TOKEN = "a-token-of-the-test-0123456789abcdef"
LIMITED = "another-token-for-web-0123456789abcd"
TRYING = "a-token-to-try-the-api-with-01234567"
HOSTILE = '"><img src=x onerror=alert(1)>'
LINES = f"# who: token: instances\nada:{TOKEN}\nweb team:{LIMITED}:web-*\ntester:{TRYING}:tried\nshort:tiny\n"
VARIABLES = {
    "function_url_auth": "TOKEN",
    "start_tokens_parameter": PARAMETER,
    **QUICK_INPUTS,
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """The deployment: its URL, its outputs, and the instances by name."""

    aws: LocalAws
    fleet: Fleet
    outputs: dict[str, Any]
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.outputs["function_url"])

    def with_token(self, token: str) -> OpenUrl:
        return OpenUrl(url=self.url, token=token)

    def set_tokens(self, lines: str) -> None:
        ssm = boto3.client("ssm", **self.aws.boto3_arguments())  # type: ignore[call-overload]  # a mapping
        ssm.put_parameter(Name=PARAMETER, Type="SecureString", Value=lines, Overwrite=True)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Running instances, and the module in TOKEN mode. One is stopped at once, because parking takes minutes."""
    with LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON) as aws:
        ec2 = boto3.client("ec2", **aws.boto3_arguments())  # type: ignore[call-overload]  # the arguments are a mapping
        fleet = Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")
        opted_in = {"ParkVolumes": "true"}
        disks = [Disk(size=8), Disk(device="/dev/sdf", size=100)]
        names = ("web-1", "web-2", "db", "crowd", "tried", HOSTILE)
        ids = {name: fleet.launch(name, disks, opted_in) for name in names}
        terraform = Terraform("complete", tmp_path_factory.mktemp("terraform"), aws.environment(), VARIABLES)
        deployed = Place(aws=aws, fleet=fleet, outputs={}, ids=ids)
        deployed.set_tokens(LINES)
        deployed.outputs.update(terraform.apply())
        ec2.stop_instances(InstanceIds=[ids["crowd"]])
        yield deployed  # it goes with the local AWS: that everything can be destroyed is tested in tests/deployed


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without one the tests are skipped, and under CI they fail."""
    found = chromium.find()
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(chromium.NONE)
    with a_browser(found) as started:
        yield started


@pytest.fixture
def person(browser: Browser, place: Place, tmp_path: Path) -> Iterator[Person]:
    """Somebody in front of a browser that knows nothing yet, with English for their language."""
    with Person.at(browser, place.url, tmp_path) as someone:
        yield someone


@pytest.fixture(scope="session")
def desk(browser: Browser, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who has stopped web-1 and leaves the page open, to see what becomes of it while others test."""
    with Person.at(browser, place.url, tmp_path_factory.mktemp("desk")) as someone:
        someone.signed_in(TOKEN).see("web-1", "compute.amazonaws.com")
        someone.button("Stop web-1").click()
        someone.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        someone.see("web-1", "Parking", PATIENCE)
        yield someone
