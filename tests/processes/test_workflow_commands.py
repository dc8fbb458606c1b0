"""The commands of the workflows, run as GitHub Actions runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.terraform import ROOT
from tests.support.terraform_mirror import find_mirror, terraform_environment

RELEASE, TEST = (ROOT / ".github" / "workflows" / f"{name}.yml" for name in ("release", "test"))
ORGANIZATION = ROOT / "examples" / "organization"
ACCOUNTS = ORGANIZATION / ".github" / "workflows" / "park-volumes.yml"


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
    given = {"GH_TOKEN": "none", "REPOSITORY": "owner/name", "COMMIT": "abc123"}
    done = run(RELEASE, "Create the release", tmp_path, TAG=tag, **given)
    assert done.returncode == code, done.stdout
    assert (tmp_path / "notes.md").read_text() == notes
    made = f"release create {tag} dist/park_volumes.zip --repo owner/name --target abc123"
    assert (made in done.stdout) == bool(notes)


@pytest.mark.parametrize(("released", "code"), [("v1.2.2", 0), ("v1.2.3", 1)])
def test_the_version_of_the_code_is_released_once(tagged: Path, released: str, code: int) -> None:
    package = tagged / "lambda_src" / "park_volumes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""The product."""\n\n__version__ = "1.2.3"\n')
    subprocess.run([*GIT, "-C", str(tagged), "tag", released], check=True)
    said = tagged / "environment"
    step = "Release the version that the code has, and only once"
    done = run(RELEASE, step, tagged, GITHUB_ENV=str(said))
    assert done.returncode == code, done.stdout
    assert ("v1.2.3 is released already" in done.stdout) == bool(code)
    assert said.exists() == (not code)
    assert not said.exists() or said.read_text() == "TAG=v1.2.3\n"


GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A checkout as the workflow makes it: main with a commit, and a branch with one more."""
    origin, checkout = tmp_path / "origin", tmp_path / "checkout"
    for command in (
        [*GIT, "init", "--quiet", "--initial-branch=main", str(origin)],
        [*GIT, "-C", str(origin), "commit", "--quiet", "--allow-empty", "--message=on main"],
        [*GIT, "-C", str(origin), "checkout", "--quiet", "-b", "aside"],
        [*GIT, "-C", str(origin), "commit", "--quiet", "--allow-empty", "--message=aside"],
        [*GIT, "clone", "--quiet", str(origin), str(checkout)],
    ):
        subprocess.run(command, check=True, env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull})
    return checkout


@pytest.mark.parametrize(
    ("branch", "passed", "code", "said"),
    [
        ("main", "1", 0, ""),
        ("main", "0", 1, "has not passed the workflow test on main"),
        ("aside", "1", 1, "is not on main"),
        ("main", "", 1, "has not passed"),
    ],
    ids=["on main and green", "not green", "not on main", "no answer"],
)
def test_only_what_is_on_main_and_green_is_released(
    tagged: Path, branch: str, passed: str, code: int, said: str
) -> None:
    subprocess.run([*GIT, "-C", str(tagged), "checkout", "--quiet", "--detach", f"origin/{branch}"], check=True)
    commit = subprocess.run([*GIT, "-C", str(tagged), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    (tagged / "gh").write_text(f'#!/bin/sh\necho "$@" >asked\necho {passed}\n')
    (tagged / "gh").chmod(0o755)
    step = "Release only what is on main and has passed its tests there"
    done = run(RELEASE, step, tagged, GH_TOKEN="none", REPOSITORY="owner/name")
    assert done.returncode == code, done.stdout
    assert said in done.stdout
    if branch == "main":
        asked = (tagged / "asked").read_text()
        assert f"--commit {commit.stdout.strip()} --status success" in asked
        assert "--repo owner/name --workflow test.yml --branch main --event push" in asked


def test_every_account_of_the_list_gets_a_job(tmp_path: Path) -> None:
    shutil.copy(ORGANIZATION / "accounts.json", tmp_path)
    done = run(ACCOUNTS, "List the accounts", tmp_path, GITHUB_OUTPUT=str(tmp_path / "output"))
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "output").read_text() == 'names=["production","research","staging"]\n'


@pytest.mark.parametrize(("event", "lock"), [("push", "true"), ("pull_request", "false")])
def test_a_plan_is_of_the_state_of_its_account_and_locks_it_where_it_will_be_applied(
    tmp_path: Path, event: str, lock: str
) -> None:
    _stand_in(tmp_path / "terraform", 'echo "$@" >> said')
    given = {"TF_VAR_account": "staging", "AWS_REGION": "eu-west-1", "BUCKET": "states", "EVENT": event}
    done = run(ACCOUNTS, "Plan", tmp_path, **given)
    assert done.returncode == 0, done.stdout
    init, plan = (tmp_path / "said").read_text().splitlines()
    assert "bucket=states" in init
    assert "key=park-volumes/staging.tfstate" in init
    assert f"use_lockfile={lock}" in init
    assert plan == f"plan -lock={lock} -out=plan.tfplan"


@pytest.mark.parametrize(("found", "call"), [("", "POST"), ("17", "PATCH")], ids=["the first", "another"])
def test_the_plan_of_an_account_is_one_comment_that_is_kept_up_to_date(tmp_path: Path, found: str, call: str) -> None:
    _stand_in(tmp_path / "terraform", "printf '%070000d' 0")
    _stand_in(tmp_path / "gh", f'echo "$@" >> said; case "$*" in *--paginate*) echo "{found}";; esac')
    given = {"TF_VAR_account": "staging", "GH_TOKEN": "none", "PULL_REQUEST": "5", "GITHUB_REPOSITORY": "owner/name"}
    done = run(ACCOUNTS, "Comment the plan", tmp_path, **given)
    assert done.returncode == 0, done.stdout
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith("Plan of ParkVolumes for staging\n\n~~~\n0")
    assert 60_000 < len(comment) < 65_536, "the longest that GitHub takes"
    written = (tmp_path / "said").read_text().splitlines()[-1]
    where = f"issues/comments/{found}" if found else "issues/5/comments"
    assert written == f"api --method {call} repos/owner/name/{where} --field body=@comment.md"


def _stand_in(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
