"""Runs Terraform on a root module, such as an unchanged example, against whatever AWS its environment names."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.terraform_mirror import terraform_environment

ROOT = Path(__file__).resolve().parents[2]
LAMBDA_PYTHON = str(ROOT / ".venv-lambda" / "bin" / "python")
"""Has what the functions have in AWS, and nothing else."""
DEMO_PYTHON = str(ROOT / ".venv-demo" / "bin" / "python")
"""Has what `make demo` installs, and nothing else."""
TIMEOUT, QUIET = 10, 55
"""Seconds. The shortest that the module takes; the defaults are 60 and 120."""
QUICK_INPUTS: Mapping[str, object] = {
    "function_timeout_seconds": TIMEOUT,
    "quiet_period_seconds": QUIET,
    "sweep_interval_minutes": 1,
}
FASTER = {"GOGC": "400", "TF_IN_AUTOMATION": "1"}
"""For Terraform and its provider, which live for seconds: a third of their time would go into collecting garbage."""
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


class RootModule:
    """A root module in a folder of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str], variables: Mapping[str, object]) -> None:
        self._folder = folder
        self._ready = False
        given = {f"TF_VAR_{name}": _text(value) for name, value in variables.items()}
        tools = {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
        self._environment = terraform_environment(folder, environment) | FASTER | tools | given

    def apply(self, report: Callable[[Progress], None] = lambda _: None, *options: str) -> dict[str, Any]:
        """``terraform init``, once, and ``apply``; answers the outputs. Raises TerraformError."""
        if not self._ready:
            self._run("init", "-input=false")
            trust_the_provider(self._folder)
            self._ready = True
        self._follow("apply", report, *options)
        return self.outputs()

    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in json.loads(self._run("output", "-json")).items()}

    def plan_is_empty(self) -> bool:
        """Whether another ``terraform plan`` finds nothing to change."""
        return not self._changes()

    def _changes(self, *options: str) -> bool:
        done = self._start("plan", "-input=false", "-detailed-exitcode", *options)
        if done.returncode not in (NOTHING_TO_CHANGE, CHANGES):
            raise TerraformError(done.stdout)
        return done.returncode == CHANGES

    def plan(self, **variables: object) -> dict[str, list[str]]:
        """What another plan would do: address to actions, without what stays as it is. Raises TerraformError."""
        others = [f"-var={name}={_text(value)}" for name, value in variables.items()]
        if not self._changes("-out=plan.tfplan", *others):
            return {}
        changes = json.loads(self._run("show", "-json", "plan.tfplan"))["resource_changes"]
        return {c["address"]: _described(c) for c in changes if c["change"]["actions"] not in (["no-op"], ["read"])}

    def shell(self, script: str) -> str:
        """What a person types in this folder, ``aws`` included; the first error ends it. Raises TerraformError."""
        done = self._execute(["sh", "-euc", script])
        if done.returncode:
            raise TerraformError(done.stdout)
        return done.stdout

    def state(self) -> dict[str, dict[str, Any]]:
        """What Terraform remembers of each resource: address to attributes."""
        resources = json.loads(self._run("show", "-json"))["values"]["root_module"]["resources"]
        return {str(r["address"]): dict(r["values"]) for r in resources}

    def destroy(self, report: Callable[[Progress], None] = lambda _: None, *options: str) -> None:
        self._follow("destroy", report, *options)

    def _follow(self, command: str, report: Callable[[Progress], None], *options: str) -> None:
        """Runs apply or destroy and reports progress, as Terraform's machine-readable output tells it."""
        arguments = ["terraform", command, "-json", "-input=false", "-auto-approve", *options]
        problems: list[str] = []
        done = planned = 0
        with self._in_order(arguments) as process:
            for line in process.stdout or ():
                message = json.loads(line)
                match message["type"]:
                    case "change_summary" if message["changes"]["operation"] == "plan":
                        planned = sum(message["changes"][kind] for kind in ("add", "change", "remove"))
                    case "apply_complete" if message["hook"]["action"] != "read":
                        done += 1
                        report(Progress(done=done, of=planned, last=message["hook"]["resource"]["addr"]))
                    case "diagnostic" if message["@level"] == "error":
                        problems.append(_problem(message["diagnostic"]))
        if process.returncode:
            raise TerraformError("\n".join(problems) or f"terraform {command} ended with {process.returncode}")

    @contextmanager
    def _in_order(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """A command that, when something interrupts us, is interrupted once, and ends before we go on: a second Ctrl-C
        would make Terraform forget what it has made."""
        with subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            except BaseException:
                process.send_signal(signal.SIGINT)
                for _ in process.stdout or ():
                    """What it still says: nobody reads it, but it has to be able to say it."""
                process.wait()
                raise

    def _run(self, *arguments: str) -> str:
        done = self._start(*arguments)
        if done.returncode:
            raise TerraformError(done.stdout)
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        plain = [] if arguments[0] in ("output", "show") else ["-no-color"]
        return self._execute(["terraform", *arguments, *plain])

    def _execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def trust_the_provider(folder: Path) -> None:
    """Takes out of the lock file what every command would hold the whole provider against: ``init`` has done so."""
    lock = folder / ".terraform.lock.hcl"
    lock.write_text(
        re.sub(r"\n  hashes = \[.*?\]", "", lock.read_text(encoding="utf-8"), flags=re.DOTALL), encoding="utf-8"
    )


class Terraform(RootModule):
    """One example, copied unchanged. The copy keeps Terraform's files out of the repository."""

    def __init__(
        self, example: str, workspace: Path, environment: Mapping[str, str], variables: Mapping[str, object]
    ) -> None:
        module = workspace / "module"
        copy_module(module)
        super().__init__(module / "examples" / example, environment, variables)


def _text(value: object) -> str:
    """Terraform takes the value of a string variable as it stands, and any other as an expression."""
    return value if isinstance(value, str) else json.dumps(value)


def _problem(diagnostic: Any) -> str:
    """What a person sees of an error: what went wrong, and the line of the configuration."""
    line = (diagnostic.get("snippet") or {}).get("code", "")
    return " ".join(part for part in (diagnostic["summary"], diagnostic.get("detail", ""), line) if part)


def _described(change: Any) -> list[str]:
    """The actions on a resource in words; for an update, the attributes that change."""
    actions, before, after = change["change"]["actions"], change["change"]["before"], change["change"]["after"]
    if actions != ["update"]:
        return list(actions)
    unknown = change["change"]["after_unknown"]
    return [f"update {key}" for key in sorted(after) if before.get(key) != after[key] and not unknown.get(key)]


def copy_module(target: Path) -> None:
    """What a user gets of the module: its Terraform files, its submodules, its examples, its zip."""
    ignore = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*", "tf_resources.json")
    for folder in ("modules", "examples", "dist"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, target)
