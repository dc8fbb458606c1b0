"""The workflows of GitHub Actions: what they may do, what they run, and on which versions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.hcl import load, plain
from tests.support.terraform import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="utf-8")


def test_every_action_is_pinned_and_of_a_maker_that_has_to_be_trusted_anyway(workflow: str) -> None:
    used = re.findall(r"uses: *(\S+)", workflow)
    assert used
    assert [
        action for action in used if not re.fullmatch(r"(actions|hashicorp)/[\w-]+@(v\d+|[0-9a-f]{40})", action)
    ] == []


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
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    rows = re.findall(r'terraform: "([^"]+)", provider: "([^"]+)"', text)
    (required,) = load(ROOT / "versions.tf")["terraform"]
    oldest = plain(required["required_version"]).removeprefix(">= ")
    provider = plain(required["required_providers"][0]["aws"]["version"]).removeprefix(">= ")
    assert any(terraform.startswith(f"{oldest}.") and version == provider for terraform, version in rows)
    assert any(terraform == "latest" and version.startswith(">= 6") for terraform, version in rows)
