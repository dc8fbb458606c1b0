"""One deployment that people sign in to with tokens."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.fleet import Disk, Fleet
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, Terraform
from tests.support.url import OpenUrl

REGION = "ap-northeast-2"
PARAMETER = "/park-volumes/tokens"
TOKEN = "a-token-of-the-test-0123456789abcdef"
LIMITED = "another-token-for-web-0123456789abcd"
HOME = "https://home.peers.test"
"""The page of another deployment, which may call this one."""
TRYING = "a-token-to-try-the-api-with-01234567"
HOSTILE = '"><img src=x onerror=alert(1)>'
LINES = f"# who: token: instances\nada:{TOKEN}\nweb team:{LIMITED}:web-*\ntester:{TRYING}:tried\nshort:tiny\n"
VARIABLES = {
    "function_url_auth": "TOKEN",
    "start_tokens_parameter": PARAMETER,
    "page_origins": [HOME],
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
        self.aws.client("ssm").put_parameter(Name=PARAMETER, Type="SecureString", Value=lines, Overwrite=True)


def deploy(ahead: Ahead) -> Place:
    """Running instances, and the module in TOKEN mode. One is stopped at once, because parking takes minutes.

    It goes with the local AWS: that everything can be destroyed is tested in tests/deployed.
    """
    aws = ahead.enter(LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON))
    workspace = ahead.enter(tempfile.TemporaryDirectory(prefix="place-"))
    ec2 = aws.client("ec2")
    fleet = Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")
    opted_in = {"ParkVolumes": "true"}
    disks = [Disk(size=8), Disk(device="/dev/sdf", size=100)]
    names = ("web-1", "web-2", "db", "crowd", "tried", HOSTILE)
    ids = {name: fleet.launch(name, disks, opted_in) for name in names}
    terraform = Terraform("complete", Path(workspace), aws.environment(), VARIABLES)
    deployed = Place(aws=aws, fleet=fleet, outputs={}, ids=ids)
    deployed.set_tokens(LINES)
    deployed.outputs.update(terraform.apply())
    ec2.stop_instances(InstanceIds=[ids["crowd"]])
    return deployed
