"""The workflows of GitHub Actions: what they may do, what they run, and on which versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.hcl import load, plain
from tests.support.terraform import ROOT
from tests.support.terraform_mirror import find_mirror, terraform_environment

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE, TEST = WORKFLOWS


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


def run(workflow: Path, step: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of a step as GitHub does, with the Python of these tests."""
    text = workflow.read_text(encoding="utf-8")
    (script,) = re.findall(rf"- name: {step}\n(?:(?! +- ).*\n)*? +run: \|\n((?: {{10}}.*\n)+)", text)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", dedent(script)],
        cwd=folder,
        env=terraform_environment(folder) | {"PATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_the_provider_of_a_row_is_put_where_the_tests_take_it_from(tmp_path: Path) -> None:
    shutil.copy(ROOT / "versions.tf", tmp_path)
    runner = {"HOME": str(tmp_path / "home"), "RUNNER_TEMP": str(tmp_path / "temp")}
    done = run(TEST, "Get the provider of this row for all tests", tmp_path, **runner, PROVIDER=">= 5.100.0")
    assert done.returncode == 0, done.stdout
    assert find_mirror(runner, roots=[]) == tmp_path / "home" / ".terraform.d" / "plugins"


@pytest.mark.parametrize(("changed", "code"), [(False, 0), (True, 1)], ids=["the same", "another"])
def test_a_zip_is_released_only_if_the_code_makes_it(tmp_path: Path, changed: bool, code: int) -> None:
    for folder in ("lambda_src", "dist"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    if changed:
        (tmp_path / "lambda_src" / "park_volumes" / "model.py").write_text("# another\n")
    done = run(RELEASE, "Build the zip anew and compare what is in it with the one that is deployed", tmp_path)
    assert done.returncode == code, done.stdout


@pytest.mark.parametrize(("tag", "code", "notes"), [("v1.1.0", 0, "## [1.1.0]\n\nnew\n\n"), ("v1.2.0", 1, "")])
def test_a_release_tells_its_section_of_the_changelog_and_takes_one(
    tmp_path: Path, tag: str, code: int, notes: str
) -> None:
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## [1.1.0]\n\nnew\n\n## [1.0.0]\n\nold\n")
    (tmp_path / "gh").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "gh").chmod(0o755)
    done = run(RELEASE, "Create the release", tmp_path, GH_TOKEN="none", TAG=tag, REPOSITORY="owner/name")
    assert done.returncode == code, done.stdout
    assert (tmp_path / "notes.md").read_text() == notes
    assert (f"release create {tag} dist/park_volumes.zip" in done.stdout) == bool(notes)


def test_what_is_released_has_its_provenance() -> None:
    text = RELEASE.read_text(encoding="utf-8")
    (proven,) = re.findall(r"uses: actions/attest-build-provenance@.*\n +with:\n +subject-path: (\S+)\n", text)
    (released,) = re.findall(r'gh release create "\$TAG" (\S+)', text)
    assert text.index("attest-build-provenance") < text.index("gh release create")
    assert proven == released == "dist/park_volumes.zip"
