"""What happens around a deployment: what it depends on changes, somebody else takes its name, it gets another one, and
its Function URL is opened and closed."""

from __future__ import annotations

import json
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
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, RootModule, TerraformError, copy_module
from tests.support.url import Answer, FunctionUrl, OpenUrl

REGION = "ap-northeast-2"
DISKS = (Disk(size=16, tags={"Name": "root"}), Disk(device="/dev/sdf", size=30, delete_on_termination=False))
STACK = """\
# Of the lists nothing is known before the first apply, not even whether they are empty.
variable "owner" {
  type = string
}

variable "purpose" {
  type = string
}

variable "inputs" {
  type = any
}

resource "aws_sns_topic" "people" {
  name = "people-of-${var.owner}"
  tags = { Purpose = var.purpose }
}

resource "aws_ssm_parameter" "tokens" {
  name  = "/tokens/${var.owner}"
  type  = "SecureString"
  value = "porter:TOKEN"
}

resource "aws_kms_key" "disks" {
  deletion_window_in_days = 7
}

provider "aws" {
  alias  = "far"
  region = "eu-central-1"
}

module "far" {
  source    = "./module/modules/region"
  providers = { aws = aws.far }

  deployment = module.park_volumes.deployment

  depends_on = [aws_sns_topic.people]
}

module "park_volumes" {
  source = "./module"

  regions                  = ["eu-central-1"]
  name                     = var.inputs.name
  previous_names           = var.inputs.previous_names
  tags                     = { Purpose = var.purpose }
  notification_topic_arn   = aws_sns_topic.people.arn
  alarm_topic_arns         = compact([aws_sns_topic.people.arn])
  alarms                   = true
  kms_key_arns             = compact([aws_kms_key.disks.arn])
  dashboard                = true
  function_timeout_seconds = var.inputs.function_timeout_seconds
  quiet_period_seconds     = var.inputs.quiet_period_seconds
  sweep_interval_minutes   = var.inputs.sweep_interval_minutes
  recycle_bin_days         = 7
  function_url_auth        = var.inputs.function_url_auth
  start_tokens_parameter   = var.inputs.function_url_auth == "TOKEN" ? aws_ssm_parameter.tokens.name : null

  depends_on = [aws_sns_topic.people]
}

output "function_url" {
  value = module.park_volumes.function_url
}
"""
TOKEN = "a-token-for-the-porter-0123456789abcdef"
INPUTS: Mapping[str, object] = {
    **QUICK_INPUTS,
    "name": "park-volumes",
    "previous_names": [],
    "function_url_auth": "AWS_IAM",
}


@dataclass(frozen=True, kw_only=True)
class Switched:
    """The Function URL before and after its auth was changed."""

    plan: Mapping[str, list[str]]
    before: str
    after: str
    answer: Answer
    """What it then says to whoever asks for the instances: with a token where one counts, else without anything."""
    public: list[str]
    """The ids of the statements that then let everybody do something."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What Terraform said of each change."""

    of_the_dependency: Mapping[str, list[str]]
    """The plan once another tag is wanted on what the module depends on."""
    left_after_the_dependency: Mapping[str, list[str]]
    """The plan after the apply of that."""
    of_the_second: str
    """What the apply of a second deployment of the same name ended with."""
    taken_by_the_second: Mapping[str, list[str]]
    """The plan of the first one after that apply."""
    taken_by_its_destroy: Mapping[str, list[str]]
    """The plan of the first one after the second one's destroy."""
    of_the_start_after_renaming: Answer
    """What the renamed deployment answers to the start of an instance that it parked under its first name."""
    before: Picture
    """The instance before it was parked."""
    after: Picture
    """The same once it runs again, which the renamed deployment started when it knew the first name."""
    opened: Switched
    """From AWS_IAM to TOKEN."""
    closed: Switched
    """And back."""
    binned: list[str]
    """The snapshot that somebody deleted while the instance was parked, as the Recycle Bin shows it."""
    without_it: Answer
    """The start that was asked for while it was there."""
    denied: Mapping[str, list[str]]
    """What the functions did that their roles do not allow, by role."""


def change(ahead: Ahead) -> Changes:
    aws = ahead.enter(LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON))
    workspace = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="changes-")))
    first, second = (_stack(workspace / owner, aws, owner) for owner in ("first", "second"))
    first.apply()
    of_the_dependency = first.plan(purpose="other")
    first.apply(lambda _: None, "-var=purpose=other")
    left = first.plan(purpose="other")
    said = _refused(second)
    taken = first.plan(purpose="other")
    second.destroy()
    taken_by_its_destroy = first.plan(purpose="other")
    renamed = _rename(aws, first)
    return Changes(
        of_the_dependency=of_the_dependency,
        left_after_the_dependency=left,
        of_the_second=said,
        taken_by_the_second=taken,
        taken_by_its_destroy=taken_by_its_destroy,
        **renamed,
    )


def _rename(aws: LocalAws, stack: RootModule) -> dict[str, Any]:
    """An instance is parked; then the deployment gets another name, and in a second apply learns the one it had."""
    fleet = Fleet(aws=aws, ec2=aws.client("ec2"), zone=f"{REGION}a")
    instance_id = fleet.launch("db", DISKS, {"ParkVolumes": "true"})
    aws.write(instance_id)
    before = fleet.picture(instance_id)
    fleet.ec2.stop_instances(InstanceIds=[instance_id])
    aws.wait_for(lambda: not fleet.ec2.describe_volumes()["Volumes"], PATIENCE, "the instance to be parked")
    binned, without_it = _throw_away_and_take_back(fleet, stack, instance_id)
    answers: list[Answer] = []
    denied = denials(aws.client("iam"), aws.calls())
    for previous in ([], ["park-volumes"]):
        inputs = json.dumps({**INPUTS, "name": "renamed", "previous_names": previous})
        outputs = stack.apply(lambda _: None, "-var=purpose=other", f"-var=inputs={inputs}")
        answers.append(_url(outputs["function_url"]).start(instance_id))
    fleet.wait_until_running(instance_id)
    fleet.wait_until_settled(instance_id)
    calls = [call for call in aws.calls() if "/renamed-" in str(call["role"])]
    renamed = {**INPUTS, "name": "renamed", "previous_names": ["park-volumes"]}
    return {
        "opened": _switch(aws, stack, {**renamed, "function_url_auth": "TOKEN"}),
        "closed": _switch(aws, stack, renamed),
        "binned": binned,
        "without_it": without_it,
        "of_the_start_after_renaming": answers[0],
        "before": before,
        "after": fleet.picture(instance_id),
        "denied": denied | denials(aws.client("iam"), calls),
    }


def _throw_away_and_take_back(fleet: Fleet, stack: RootModule, instance_id: str) -> tuple[list[str], Answer]:
    """Somebody unlocks and deletes the snapshot of the root volume, asks for a start, and takes it out of the bin."""
    ec2 = fleet.ec2
    (root,) = [s["SnapshotId"] for s in fleet.snapshots(instance_id) if "/dev/sdf" not in s["Description"]]
    ec2.unlock_snapshot(SnapshotId=root)
    ec2.delete_snapshot(SnapshotId=root)
    binned = [s["Description"] for s in ec2.list_snapshots_in_recycle_bin(SnapshotIds=[root])["Snapshots"]]
    answer = _url(stack.outputs()["function_url"]).start(instance_id)
    ec2.restore_snapshot_from_recycle_bin(SnapshotId=root)
    return binned, answer


def _switch(aws: LocalAws, stack: RootModule, inputs: Mapping[str, object]) -> Switched:
    before = stack.outputs()["function_url"]
    plan = stack.plan(purpose="other", inputs=inputs)
    after = stack.apply(lambda _: None, "-var=purpose=other", f"-var=inputs={json.dumps(inputs)}")["function_url"]
    opened = inputs["function_url_auth"] == "TOKEN"
    policy = json.loads(aws.client("lambda").get_policy(FunctionName="renamed-start")["Policy"])
    return Switched(
        plan=plan,
        before=before,
        after=after,
        answer=OpenUrl(url=after, token=TOKEN if opened else "").send("GET", "instances"),
        public=[s["Sid"] for s in policy["Statement"] if s["Principal"] == "*"],
    )


def _url(address: str) -> FunctionUrl:
    return FunctionUrl(url=address, region=REGION, key=ADMIN_KEY, secret=ADMIN_SECRET)


def _stack(folder: Path, aws: LocalAws, owner: str) -> RootModule:
    """A root module that calls the module with ``depends_on``."""
    copy_module(folder / "module")
    (folder / "main.tf").write_text(STACK.replace("porter:TOKEN", f"porter:{TOKEN}"), encoding="utf-8")
    return RootModule(folder, aws.environment(), {"owner": owner, "purpose": owner, "inputs": INPUTS})


def _refused(stack: RootModule) -> str:
    try:
        stack.apply()
    except TerraformError as error:
        return str(error)
    raise AssertionError("A second deployment of the same name was applied.")
