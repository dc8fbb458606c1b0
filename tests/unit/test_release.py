"""A release can be pinned: everything that names its version names the one that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from park_volumes import __version__
from tests.support.readme import API, DOCUMENTS, README, blocks
from tests.support.release import GIT_SOURCE, REGISTRY_SOURCE, newest_of_the_changelog, of_this_copy, pinned_in
from tests.support.terraform import ROOT

EXAMPLES = sorted(folder for folder in (ROOT / "examples").iterdir() if folder.is_dir())
WITH_A_MODULE = [folder for folder in EXAMPLES if '"../.."' in (folder / "main.tf").read_text(encoding="utf-8")]
TEMPLATES = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def test_the_changelog_has_a_section_of_the_version() -> None:
    assert newest_of_the_changelog() == __version__


def test_the_first_block_of_the_readme_is_pinned_and_the_form_of_a_registry_stands_beside_it() -> None:
    first, second, *_ = blocks(README.read_text(encoding="utf-8"), "hcl")
    assert f'source = "{GIT_SOURCE}"' in first
    assert f'"{REGISTRY_SOURCE}"' in second
    assert pinned_in(first) == pinned_in(second) == [__version__]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_release_that_a_document_pins_is_this_one(document: Path) -> None:
    assert set(pinned_in(document.read_text(encoding="utf-8"))) <= {__version__}


@pytest.mark.parametrize("example", WITH_A_MODULE, ids=lambda path: path.name)
def test_every_example_says_how_to_take_the_module_from_a_release(example: Path) -> None:
    assert f'source = "{GIT_SOURCE}"' in (example / "README.md").read_text(encoding="utf-8")


def test_only_the_guard_is_an_example_without_the_module() -> None:
    assert [example.name for example in EXAMPLES if example not in WITH_A_MODULE] == ["guard"]


def test_a_configuration_of_a_document_can_take_this_copy_instead_of_a_release() -> None:
    for block in [*blocks(README.read_text(encoding="utf-8"), "hcl"), *blocks(API.read_text(encoding="utf-8"), "hcl")]:
        here = of_this_copy(block, "./here")
        assert pinned_in(here) == []
        assert ('source = "./here"' in re.sub(" +", " ", here)) == ("module" in block)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_for_issues_has_what_github_asks_for(template: Path) -> None:
    head, *parts = template.read_text(encoding="utf-8").split("\n  - type: ")
    assert {"name", "description", "body"} <= set(re.findall(r"^(\w+):", head, flags=re.MULTILINE))
    asked = [part for part in parts if not part.startswith("markdown")]
    assert all(re.search(r"^      label: .+", part, flags=re.MULTILINE) for part in asked)
    ids = [found for part in asked for found in re.findall(r"^    id: (\w+)$", part, flags=re.MULTILINE)]
    assert len(set(ids)) == len(ids) == len(asked)
    assert any("      required: true" in part for part in asked)


def test_somebody_is_asked_for_every_change() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["* @OWNER"]
