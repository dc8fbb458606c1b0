"""Runs Terraform on an unchanged copy of an example, against whatever AWS its environment names."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.terraform_mirror import terraform_environment

ROOT = Path(__file__).resolve().parents[2]
NOTHING_TO_CHANGE, CHANGES = 0, 2
"""Exit codes of ``terraform plan -detailed-exitcode``."""


class TerraformError(Exception):
    """A Terraform command failed; the text is what it said."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an apply or a destroy is: resources done, of how many, and the one that was done last."""

    done: int
    of: int
    last: str


class Terraform:
    """One example in a folder of its own. The copy keeps Terraform's files out of the repository."""

    def __init__(
        self, example: str, workspace: Path, environment: Mapping[str, str], variables: Mapping[str, object]
    ) -> None:
        module = workspace / "module"
        copy_module(module)
        self._folder = module / "examples" / example
        self._environment = terraform_environment(workspace, environment) | {"TF_IN_AUTOMATION": "1"}
        # Terraform takes the value of a string variable as it stands, and any other as an expression.
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
        self._variables = [f"-var={name}={text}" for name, text in texts.items()]

    def apply(self, report: Callable[[Progress], None] = lambda _: None) -> dict[str, Any]:
        """``terraform init`` and ``apply``; answers the outputs. Raises TerraformError."""
        self._run("init", "-input=false")
        self._follow("apply", report)
        return {name: output["value"] for name, output in json.loads(self._run("output", "-json")).items()}

    def plan_is_empty(self) -> bool:
        """Whether another ``terraform plan`` finds nothing to change."""
        done = self._start("plan", "-input=false", "-detailed-exitcode", *self._variables)
        if done.returncode not in (NOTHING_TO_CHANGE, CHANGES):
            raise TerraformError(done.stdout)
        return done.returncode == NOTHING_TO_CHANGE

    def destroy(self, report: Callable[[Progress], None] = lambda _: None) -> None:
        self._follow("destroy", report)

    def _follow(self, command: str, report: Callable[[Progress], None]) -> None:
        """Runs apply or destroy and reports progress, as Terraform's machine-readable output tells it."""
        arguments = ["terraform", command, "-json", "-input=false", "-auto-approve", *self._variables]
        problems: list[str] = []
        done = planned = 0
        with subprocess.Popen(
            arguments, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                message = json.loads(line)
                match message["type"]:
                    case "change_summary" if message["changes"]["operation"] == "plan":
                        planned = sum(message["changes"][kind] for kind in ("add", "change", "remove"))
                    case "apply_complete" if message["hook"]["action"] != "read":
                        done += 1
                        report(Progress(done=done, of=planned, last=message["hook"]["resource"]["addr"]))
                    case "diagnostic" if message["@level"] == "error":
                        problems.append(f"{message['@message']} {message['diagnostic'].get('detail', '')}")
        if process.returncode:
            raise TerraformError("\n".join(problems) or f"terraform {command} ended with {process.returncode}")

    def _run(self, *arguments: str) -> str:
        done = self._start(*arguments)
        if done.returncode:
            raise TerraformError(done.stdout)
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments, "-no-color"] if arguments[0] != "output" else ["terraform", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def copy_module(target: Path) -> None:
    """What a user gets of the module: its Terraform files, its examples, its zip."""
    ignore = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*", "tf_resources.json")
    for folder in ("examples", "dist"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, target)
