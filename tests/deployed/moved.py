"""One deployment per region becomes one for all, as docs/regions.md says, with instances parked and on their way."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.iam.judge import denials
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.fleet import PATIENCE, Disk, Fleet, Picture
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, RootModule, copy_module
from tests.support.url import FunctionUrl

HOME, FAR = "ap-northeast-2", "eu-central-1"
DISKS = (Disk(size=16, tags={"Name": "root"}), Disk(device="/dev/sdf", size=30, delete_on_termination=False))
ASLEEP, ON_ITS_WAY, LATER = "asleep", "on its way", "later"
STACK = """\
variable "stage" {
  description = "each: a deployment per region; neither: the second one is gone; all: one for both."
  type        = string
}

variable "inputs" {
  type = any
}

provider "aws" {
  alias  = "far"
  region = "eu-central-1"
}

module "home" {
  source = "./module"

  previous_names           = var.stage == "all" ? ["far"] : []
  regions                  = var.stage == "all" ? ["all"] : []
  function_timeout_seconds = var.inputs.function_timeout_seconds
  quiet_period_seconds     = var.inputs.quiet_period_seconds
  sweep_interval_minutes   = var.inputs.sweep_interval_minutes
}

module "far" {
  count     = var.stage == "each" ? 1 : 0
  source    = "./module"
  providers = { aws = aws.far }

  name                     = "far"
  function_timeout_seconds = var.inputs.function_timeout_seconds
  quiet_period_seconds     = var.inputs.quiet_period_seconds
  sweep_interval_minutes   = var.inputs.sweep_interval_minutes
}

module "events_of_far" {
  count     = var.stage == "all" ? 1 : 0
  source    = "./module/modules/region"
  providers = { aws = aws.far }

  deployment = module.home.deployment
}

output "function_url" {
  value = module.home.function_url
}
"""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Pictures of the instances by name: from when they ran, and from when the one deployment had started them."""

    before: Mapping[str, Picture]
    after: Mapping[str, Picture]
    left: int
    """How many volumes of the instance on its way were left when the old deployment was gone."""
    looked_at: set[str]
    """The regions in which the one deployment has looked for instances."""
    denied: Mapping[str, list[str]]
    """What the functions of the one deployment did that their roles do not allow, by role."""


def move(ahead: Ahead) -> Moved:
    aws = ahead.enter(LocalAws(settings=QUICK, region=HOME, lambda_python=LAMBDA_PYTHON))
    folder = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="moved-")))
    copy_module(folder / "module")
    (folder / "main.tf").write_text(STACK, encoding="utf-8")
    stack = RootModule(folder, aws.environment(), {"inputs": QUICK_INPUTS})
    fleet = Fleet(aws=aws, ec2=aws.client("ec2", FAR), zone=f"{FAR}a")
    ids = {name: fleet.launch(name, DISKS, {"ParkVolumes": "true"}) for name in (ASLEEP, ON_ITS_WAY, LATER)}
    _stage(stack, "each")
    for instance_id in ids.values():
        aws.write(instance_id)
    before = {name: fleet.picture(instance_id) for name, instance_id in ids.items()}
    _stop_and_wait(fleet, ids[ASLEEP], lambda: not fleet.volume_ids(ids[ASLEEP]))
    _stop_and_wait(fleet, ids[ON_ITS_WAY], lambda: len(fleet.volume_ids(ids[ON_ITS_WAY])) < len(DISKS))
    _stage(stack, "neither")
    left = len(fleet.ec2.describe_volumes()["Volumes"]) - len(fleet.volume_ids(ids[LATER]))
    since = aws.calls()[-1]["number"]
    address = _stage(stack, "all")["function_url"]
    fleet.ec2.stop_instances(InstanceIds=[ids[LATER]])
    aws.wait_for(
        lambda: not fleet.ec2.describe_volumes()["Volumes"], PATIENCE, "all to be parked by the one deployment"
    )
    url = FunctionUrl(url=address, region=HOME, key=ADMIN_KEY, secret=ADMIN_SECRET)
    for name, instance_id in ids.items():
        assert url.start(name).status in (200, 202)
        fleet.wait_until_running(instance_id)
        fleet.wait_until_settled(instance_id)
    after = {name: fleet.picture(instance_id) for name, instance_id in ids.items()}
    calls = aws.calls(since)
    return Moved(
        before=before,
        after=after,
        left=left,
        looked_at={c["region"] for c in calls if c["role"] and c["operation"] == "DescribeInstances"},
        denied=denials(aws.client("iam"), calls),
    )


def _stage(stack: RootModule, stage: str) -> dict[str, Any]:
    return stack.apply(lambda _: None, f"-var=stage={stage}")


def _stop_and_wait(fleet: Fleet, instance_id: str, condition: Any) -> None:
    fleet.ec2.stop_instances(InstanceIds=[instance_id])
    fleet.aws.wait_for(condition, PATIENCE, f"{instance_id} to give up volumes")
