"""The workflows of GitHub Actions: what they may do, and on which versions. tests/processes runs their commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.hcl import load, plain
from tests.support.terraform import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE, TEST = WORKFLOWS
EXAMPLES = sorted(ROOT.glob("examples/*/.github/workflows/*.yml"))
"""Workflows for owners to copy."""


@pytest.fixture(params=WORKFLOWS + EXAMPLES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="utf-8")


def test_every_action_is_pinned_and_of_a_maker_that_has_to_be_trusted_anyway(workflow: str) -> None:
    """By its commit, which nobody can move, with the version beside it, by which Renovate knows what is newer."""
    used = re.findall(r"uses: *(.+)", workflow)
    pinned = re.compile(r"(actions|aws-actions|hashicorp)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
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
    assert workflow.count("actions/checkout@") == workflow.count("persist-credentials: false") > 0


def test_the_oldest_versions_that_the_module_claims_are_tested_and_the_newest() -> None:
    rows = re.findall(r'terraform: "([^"]+)", provider: "([^"]+)"', TEST.read_text(encoding="utf-8"))
    (required,) = load(ROOT / "versions.tf")["terraform"]
    oldest = plain(required["required_version"]).removeprefix(">= ")
    provider = plain(required["required_providers"][0]["aws"]["version"]).removeprefix(">= ")
    assert rows == [(f"{oldest}.0", provider), ("latest", ">= 6.0.0")]


def test_nothing_is_built_or_released_before_it_is_known_to_be_on_main_and_tested() -> None:
    """tests/processes runs that step; nothing lets the ones after it run where it fails."""
    text = RELEASE.read_text(encoding="utf-8")
    steps = re.findall(r"^      - (?:name: |uses: )(.*)$", text, flags=re.MULTILINE)
    assert [step.split("@")[0] for step in steps[:2]] == [
        "actions/checkout",
        "Release only what is on main and has passed its tests there",
    ]
    assert "fetch-depth: 0" in text
    assert not re.search(r"continue-on-error|if: |always\(\)", text)


def test_what_a_release_asks_for_is_what_the_tests_are_called() -> None:
    text = RELEASE.read_text(encoding="utf-8")
    (file,) = re.findall(r"--workflow (\S+)", text)
    assert file == TEST.name
    assert "branches: [main]" in TEST.read_text(encoding="utf-8")


def test_what_is_released_has_its_provenance() -> None:
    text = RELEASE.read_text(encoding="utf-8")
    (proven,) = re.findall(r"uses: actions/attest-build-provenance@.*\n +with:\n +subject-path: (\S+)\n", text)
    (released,) = re.findall(r'gh release create "\$TAG" (\S+)', text)
    assert text.index("attest-build-provenance") < text.index("gh release create")
    assert proven == released == "dist/park_volumes.zip"


class TestTheExampleForAnOrganization:
    """What it may do in AWS depends on who started it: a pull request runs code that nobody has approved yet."""

    @pytest.fixture
    def text(self) -> str:
        (only,) = EXAMPLES
        return only.read_text(encoding="utf-8")

    def test_has_a_job_and_a_state_for_each_account_and_ends_none_of_them(self, text: str) -> None:
        assert "account: ${{ fromJSON(needs.accounts.outputs.names) }}" in text
        assert "fail-fast: false" in text
        assert "group: park-volumes-${{ matrix.account }}\n      cancel-in-progress: false" in text
        assert "key=park-volumes/$TF_VAR_account.tfstate" in text

    def test_gives_a_pull_request_roles_that_can_only_read(self, text: str) -> None:
        assert "${{ github.event_name == 'push' && vars.APPLY_ROLE_ARN || vars.PLAN_ROLE_ARN }}" in text
        assert "${{ github.event_name == 'push' && 'park-volumes-apply' || 'park-volumes-plan' }}" in text
        assert "pull_request_target" not in text
        assert "branches: [main]" in text

    def test_applies_on_main_only_and_what_was_planned(self, text: str) -> None:
        (condition,) = re.findall(r"- name: Apply\n +if: (.*)\n +run: terraform apply plan.tfplan\n", text)
        assert condition == "github.event_name == 'push'"
        assert text.count("terraform apply") == 1

    def test_keeps_no_key_of_aws(self, text: str) -> None:
        assert "secrets." not in text
        assert "access-key" not in text
