"""What happens around a deployment: what it depends on changes, and somebody else takes its name."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, RootModule, TerraformError, copy_module

REGION = "ap-northeast-2"
STACK = """\
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

module "park_volumes" {
  source = "./module"

  name                     = var.inputs.name
  tags                     = { Purpose = var.purpose }
  alarm_topic_arns         = [aws_sns_topic.people.arn]
  dashboard                = true
  function_timeout_seconds = var.inputs.function_timeout_seconds
  quiet_period_seconds     = var.inputs.quiet_period_seconds
  sweep_interval_minutes   = var.inputs.sweep_interval_minutes

  depends_on = [aws_sns_topic.people]
}
"""
INPUTS: Mapping[str, object] = {**QUICK_INPUTS, "name": "park-volumes"}


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
    return Changes(
        of_the_dependency=of_the_dependency,
        left_after_the_dependency=left,
        of_the_second=said,
        taken_by_the_second=taken,
        taken_by_its_destroy=first.plan(purpose="other"),
    )


def _stack(folder: Path, aws: LocalAws, owner: str) -> RootModule:
    """A root module that calls the module with ``depends_on``."""
    copy_module(folder / "module")
    (folder / "main.tf").write_text(STACK, encoding="utf-8")
    return RootModule(folder, aws.environment(), {"owner": owner, "purpose": owner, "inputs": INPUTS})


def _refused(stack: RootModule) -> str:
    try:
        stack.apply()
    except TerraformError as error:
        return str(error)
    raise AssertionError("A second deployment of the same name was applied.")
