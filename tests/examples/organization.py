"""``examples/organization``, applied for each of its accounts: each is a local AWS of its own, with its state in it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.fleet import Disk, Fleet
from tests.support.terraform import LAMBDA_PYTHON, ROOT, Terraform
from tests.support.url import FunctionUrl

ACCOUNTS: Mapping[str, Mapping[str, str]] = json.loads(
    (ROOT / "examples" / "organization" / "accounts.json").read_text(encoding="utf-8")
)
STATES = "terraform-states"
"""The bucket of each account's state."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account: what was applied in it, and an opted-in instance that runs there."""

    aws: LocalAws
    fleet: Fleet
    terraform: Terraform
    outputs: Mapping[str, Any]
    instance: str

    @property
    def url(self) -> FunctionUrl:
        return FunctionUrl(url=self.outputs["function_url"], region=self.aws.region, key=ADMIN_KEY, secret=ADMIN_SECRET)


def state_of(name: str) -> str:
    """Where the workflow of the example keeps the state of an account."""
    return f"park-volumes/{name}.tfstate"


def apply(ahead: Ahead) -> Mapping[str, Account]:
    workspace = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="organization-")))
    clouds = {
        name: ahead.enter(
            LocalAws(settings=QUICK, region=there["region"], account=there["id"], lambda_python=LAMBDA_PYTHON)
        )
        for name, there in ACCOUNTS.items()
    }
    with ThreadPoolExecutor(len(ACCOUNTS)) as pool:
        applied = pool.map(lambda name: _apply(name, clouds[name], workspace / name), ACCOUNTS)
        return dict(zip(ACCOUNTS, applied, strict=True))


def _apply(name: str, aws: LocalAws, folder: Path) -> Account:
    folder.mkdir()
    where = {"LocationConstraint": aws.region}
    aws.client("s3").create_bucket(Bucket=STATES, CreateBucketConfiguration=where)
    fleet = Fleet(aws=aws, ec2=aws.client("ec2"), zone=f"{aws.region}a")
    instance = fleet.launch(f"{name}-1", (Disk(), Disk(device="/dev/sdf", size=20)), {"ParkVolumes": "true"})
    backend = {"bucket": STATES, "region": aws.region, "key": state_of(name), "use_path_style": "true"}
    options = " ".join(f"-backend-config={key}={value}" for key, value in backend.items())
    environment = aws.environment() | {"TF_CLI_ARGS_init": options}
    terraform = Terraform("organization", folder, environment, {"account": name})
    outputs = terraform.apply()
    return Account(aws=aws, fleet=fleet, terraform=terraform, outputs=outputs, instance=instance)
