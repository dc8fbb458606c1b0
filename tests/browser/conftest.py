"""A deployment that people sign in to with tokens, and a Chromium to do it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from tests.browser.person import Person
from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.fleet import Disk, Fleet
from tests.support.terraform import ROOT, Terraform

REGION = "ap-northeast-2"
PARAMETER = "/park-volumes/tokens"
TOKEN = "a-token-of-the-test-0123456789abcdef"
LIMITED = "another-token-for-web-0123456789abcd"
HOSTILE = '"><img src=x onerror=alert(1)>'
VARIABLES = {
    "function_url_auth": "TOKEN",
    "start_tokens_parameter": PARAMETER,
    "function_timeout_seconds": 10,
    "quiet_period_seconds": 55,
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_IT = "no Chromium on the PATH: the browser tests are left out (Debian: apt-get install -y chromium)"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; without one the tests are skipped, and under CI they fail."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(HOW_TO_GET_IT)
    pytest.skip(HOW_TO_GET_IT)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The deployment: its URL and the instances by name."""

    aws: LocalAws
    fleet: Fleet
    url: str
    ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def place(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Running instances, and the module in TOKEN mode."""
    assert chromium
    lambda_python = str(ROOT / ".venv-lambda" / "bin" / "python")
    with LocalAws(settings=QUICK, region=REGION, lambda_python=lambda_python) as aws:
        arguments = aws.boto3_arguments()
        ec2 = boto3.client("ec2", **arguments)  # type: ignore[call-overload]  # the arguments are a mapping
        ssm = boto3.client("ssm", **arguments)  # type: ignore[call-overload]
        lines = f"# who: token: instances\nada:{TOKEN}\nweb team:{LIMITED}:web-*\nshort:tiny\n"
        ssm.put_parameter(Name=PARAMETER, Type="SecureString", Value=lines)
        fleet = Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")
        opted_in = {"ParkVolumes": "true"}
        disks = [Disk(size=8), Disk(device="/dev/sdf", size=100)]
        ids = {name: fleet.launch(name, disks, opted_in) for name in ("web-1", "web-2", "db", HOSTILE)}
        terraform = Terraform("complete", tmp_path_factory.mktemp("terraform"), aws.environment(), VARIABLES)
        outputs = terraform.apply()
        yield Place(aws=aws, fleet=fleet, url=outputs["function_url"], ids=ids)
        terraform.destroy()


@pytest.fixture
def person(chromium: str, place: Place, tmp_path: Path) -> Iterator[Person]:
    """Somebody in front of a new browser, with English for their language."""
    with Person.at(chromium, place.url, tmp_path) as someone:
        yield someone
