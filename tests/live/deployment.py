"""`examples/complete`, unchanged, in a folder that outlives the run, so that it can be destroyed after a crash, too."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.live.lab import TAG, Aws, Lab
from tests.support.terraform import RootModule, Terraform

RUNS = Path(__file__).resolve().parents[2] / ".live"
"""A folder for each run: Terraform's state, and the report."""
EXAMPLE = "complete"
DEPLOYMENT = "park-volumes"
"""What the example calls it."""


def deployed(aws: Aws, folder: Path, run: str, key: str = "") -> RootModule:
    """The root module of a run: made, or found again in the folder."""
    os.makedirs(folder, exist_ok=True)
    variables: dict[str, object] = {
        "region": aws.region,
        "snapshot_retention_hours": 0,
        "sweep_interval_minutes": 1,
        **({"kms_key_arns": [key]} if key else {}),
    }
    environment = {**aws.environment, f"TF_AWS_DEFAULT_TAGS_{TAG}": run}
    there = folder / "module" / "examples" / EXAMPLE
    return (
        RootModule(there, environment, variables)
        if there.exists()
        else Terraform(EXAMPLE, folder, environment, variables)
    )


def make_roles(module: RootModule) -> None:
    """The roles and their policies alone, of which some questions are: no function sees what is tried."""
    module.apply(lambda _: None, "-target=module.park_volumes.aws_iam_role_policy.function")


def was_applied(folder: Path) -> bool:
    return (folder / "module" / "examples" / EXAMPLE / "terraform.tfstate").exists()


def policy_of(lab: Lab, side: str) -> str:
    """The policy of a function's role: ``make_roles`` comes first."""
    role = f"{DEPLOYMENT}-{side}-{lab.aws.region}"
    told = lab.client("iam").get_role_policy(RoleName=role, PolicyName=f"{DEPLOYMENT}-{side}")["PolicyDocument"]
    return told if isinstance(told, str) else json.dumps(told)
