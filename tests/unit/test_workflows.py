"""The workflows of GitHub Actions: what they may do, what they run, and on which versions."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.hcl import load, plain
from tests.support.terraform import ROOT
from tests.support.terraform_mirror import find_mirror, terraform_environment

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEST = ROOT / ".github" / "workflows" / "test.yml"


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="utf-8")


def test_every_action_is_pinned_and_of_a_maker_that_has_to_be_trusted_anyway(workflow: str) -> None:
    """By its commit, which nobody can move, with the version beside it, by which dependabot knows what is newer."""
    used = re.findall(r"uses: *(.+)", workflow)
    pinned = re.compile(r"(actions|hashicorp)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert used
    assert [action for action in used if not pinned.fullmatch(action)] == []


def test_a_workflow_may_read_at_most_unless_a_job_says_what_for(workflow: str) -> None:
    top, jobs = workflow.split("\njobs:", 1)
    assert re.search(r"^permissions:(?: \{\}|\n  contents: read)$", top, flags=re.MULTILINE)
    assert "write" not in re.sub(r"#.*", "", top)
    granted = re.findall(r"^ +[\w-]+: write(.*)$", jobs, flags=re.MULTILINE)
    assert [reason for reason in granted if not reason.startswith(" # to ")] == []


def test_nothing_that_others_can_write_is_put_into_a_command(workflow: str) -> None:
    commands = re.findall(r"run: *(?:\|\n((?: {10}.*\n?)+)|(.*))", workflow)
    assert commands
    assert [text for pair in commands for text in pair if "${{" in text] == []


def test_a_checkout_leaves_no_credentials_behind(workflow: str) -> None:
    assert workflow.count("actions/checkout@") == workflow.count("persist-credentials: false") == 1


def test_the_oldest_versions_that_the_module_claims_are_tested_and_the_newest() -> None:
    rows = re.findall(r'terraform: "([^"]+)", provider: "([^"]+)"', TEST.read_text(encoding="utf-8"))
    (required,) = load(ROOT / "versions.tf")["terraform"]
    oldest = plain(required["required_version"]).removeprefix(">= ")
    provider = plain(required["required_providers"][0]["aws"]["version"]).removeprefix(">= ")
    assert rows == [(f"{oldest}.0", provider), ("latest", ">= 6.0.0")]


def test_the_provider_of_a_row_is_put_where_the_tests_take_it_from(tmp_path: Path) -> None:
    (script,) = re.findall(r"run: \|\n((?: {10}.*\n)+)", TEST.read_text(encoding="utf-8"))
    runner = {"HOME": str(tmp_path / "home"), "RUNNER_TEMP": str(tmp_path / "temp"), "PROVIDER": ">= 5.100.0"}
    done = subprocess.run(
        ["bash", "-e", "-c", dedent(script)],
        cwd=ROOT,
        env=terraform_environment(tmp_path) | runner,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert find_mirror(runner, roots=[]) == tmp_path / "home" / ".terraform.d" / "plugins"
