"""Every validation of every input is seen: to accept, and to reject with its own message."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.hcl import blocks, load, plain
from tests.support.terraform import ROOT, copy_module
from tests.support.terraform_mirror import terraform_environment

TESTS = load(ROOT / "tests" / "variables.tftest.hcl")
RUNS = dict(blocks(TESTS, "run"))
VARIABLES = dict(blocks(load(ROOT / "variables.tf"), "variable"))
ELSEWHERE = "${data.aws_service.ec2}"
"""Where an input is compared with the region and the partition that the deployment is in."""
_REGION = dict(blocks(load(ROOT / "main.tf"), "data"))["aws_service.ec2"]["lifecycle"][0]
MESSAGES = {
    plain(validation["error_message"]): name
    for name, body in VARIABLES.items()
    for validation in body.get("validation", [])
} | {
    (text := plain(each["error_message"]).split("${")[0].replace(r"\"", '"')): text.split()[0]
    for each in _REGION["postcondition"]
}
"""What is said, up to the first value that only a plan knows, to the input that it is about."""
Said = Mapping[str, list[str]]
"""Run to what Terraform said of its values."""


def _values(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for block in run.get("variables", []) for name, value in plain(block).items()}


def _rejecting() -> dict[str, str]:
    """Run to the input whose value it expects to be rejected."""
    expected = {name: plain(body["expect_failures"]) for name, body in RUNS.items() if "expect_failures" in body}
    return {
        name: name.split("_rejects_")[0] if failure == ELSEWHERE else failure.strip("${}").removeprefix("var.")
        for name, (failure,) in expected.items()
    }


def _terraform(folder: Path, *arguments: str) -> str:
    environment = terraform_environment(folder) | {"TF_IN_AUTOMATION": "1", "AWS_REGION": "ap-northeast-2"}
    return subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    ).stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """A call of the module for each rejecting run, in a file of its own, validated all at once.

    Rules that compare two inputs are decided by a plan only: each of those runs is a test that expects no failure.
    """
    folder = tmp_path_factory.mktemp("inputs")
    copy_module(folder / "module")
    root = folder / "root"
    (root / "tests").mkdir(parents=True)
    for name in _rejecting():
        call = {"source": "../module", **_values(RUNS[name])}
        (root / f"{name}.tf.json").write_text(json.dumps({"module": {name: call}}))
    _terraform(root, "init", "-backend=false", "-input=false")
    found: dict[str, list[str]] = {name: [] for name in _rejecting()}
    for diagnostic in json.loads(_terraform(root, "validate", "-json"))["diagnostics"]:
        found[diagnostic["range"]["filename"].removesuffix(".tf.json")].append(diagnostic["detail"])
    return found | _planned(folder / "module", [name for name, details in found.items() if not details])


def _planned(module: Path, names: list[str]) -> dict[str, list[str]]:
    """What a plan says of these runs; one in each file, because the first error ends a file."""
    mocks = (ROOT / "tests" / "variables.tftest.hcl").read_text(encoding="utf-8").split("\nrun ", 1)[0]
    (module / "tests").mkdir()
    for name in names:
        values = "\n".join(f"{key} = {json.dumps(value)}" for key, value in _values(RUNS[name]).items())
        run = f'\nrun "{name}" {{\n  command = plan\n  variables {{\n{values}\n  }}\n}}\n'
        (module / "tests" / f"{name}.tftest.hcl").write_text(mocks + run)
    _terraform(module, "init", "-backend=false", "-input=false")
    found: dict[str, list[str]] = {name: [] for name in names}
    for line in map(json.loads, _terraform(module, "test", "-json").splitlines()):
        if line["type"] == "diagnostic" and line.get("@testrun") in found:
            found[line["@testrun"]].append(line["diagnostic"]["detail"])
    return found


@pytest.mark.parametrize("name", sorted(_rejecting()))
def test_what_is_rejected_is_rejected_with_one_message_of_that_input(said: Said, name: str) -> None:
    (detail,) = said[name]
    message = next(message for message in MESSAGES if detail.startswith(message))
    assert MESSAGES[message] == _rejecting()[name]
    assert name.startswith(MESSAGES[message])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.split(",")[0].split(":")[0][:60])
def test_every_validation_rejects_something_with_its_message(said: Said, message: str) -> None:
    assert [name for name, details in said.items() if any(detail.startswith(message) for detail in details)]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.split(",")[0].split(":")[0][:60])
def test_every_message_names_its_input_and_gives_an_example(message: str) -> None:
    assert message.startswith(MESSAGES[message])
    assert "for example" in message


def test_every_input_is_accepted_with_other_values_than_its_default() -> None:
    accepting = [_values(run) for name, run in RUNS.items() if name not in _rejecting()]
    given = {
        name for values in accepting for name, value in values.items() if value != plain(VARIABLES[name]["default"])
    }
    assert given == VARIABLES.keys()


def test_every_input_is_validated_unless_its_type_says_everything() -> None:
    assert {plain(body["type"]) for body in VARIABLES.values() if not body.get("validation")} == {"bool"}
