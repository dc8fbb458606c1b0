"""What Renovate moves by itself: it finds every version that is pinned, wherever it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.terraform import ROOT

CONFIGURATION: Any = json.loads((ROOT / ".github" / "renovate.json").read_text(encoding="utf-8"))
MANAGERS: Any = CONFIGURATION["customManagers"]
FILES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.tf", "*.md", "docs/*.md", "requirements/*", "tests/*.hcl", "tests/*/*.py")
    for path in ROOT.glob(pattern)
)
OLD_EXAMPLES = {"variables.tf", "tests/variables.tftest.hcl"}
"""There a layer stands for any ARN, and the version does not matter."""


def takes(patterns: list[str], file: Path) -> bool:
    """Renovate writes a pattern between slashes."""
    return any(re.search(pattern[1:-1], file.as_posix()) for pattern in patterns)


def found(manager: Any, file: Path) -> list[str]:
    """The versions that a manager sees in a file. JavaScript names a group as Python does, without the P."""
    text = (ROOT / file).read_text(encoding="utf-8")
    patterns = [pattern.replace("(?<", "(?P<") for pattern in manager["matchStrings"]]
    return [match["currentValue"] for pattern in patterns for match in re.finditer(pattern, text)]


def test_every_file_of_pins_is_made_anew() -> None:
    patterns = CONFIGURATION["pip-compile"]["managerFilePatterns"]
    taken = [file for file in FILES if takes(patterns, file)]
    assert taken == [file for file in FILES if file.parent.name == "requirements" and file.suffix == ".txt"]


@pytest.mark.parametrize("manager", MANAGERS, ids=lambda manager: str(manager["depNameTemplate"]))
def test_every_file_that_a_manager_takes_has_its_version_and_all_have_the_same(manager: Any) -> None:
    taken = [file for file in FILES if takes(manager["managerFilePatterns"], file)]
    assert len(taken) == len(manager["managerFilePatterns"])
    versions = [found(manager, file) for file in taken]
    assert all(versions)
    assert len({version for each in versions for version in each}) == 1


def test_the_layer_is_found_wherever_it_is_named() -> None:
    manager = next(manager for manager in MANAGERS if manager["depNameTemplate"] == "powertools-layer")
    naming = {file.as_posix() for file in FILES if found(manager, file)}
    naming -= OLD_EXAMPLES | {Path(__file__).relative_to(ROOT).as_posix()}
    assert naming == {file.as_posix() for file in FILES if takes(manager["managerFilePatterns"], file)}


def test_all_that_a_manager_needs_is_there() -> None:
    assert {f"custom.{name}" for name in CONFIGURATION["customDatasources"]} == {
        manager["datasourceTemplate"] for manager in MANAGERS if manager["datasourceTemplate"] != "pypi"
    }
    assert set(CONFIGURATION["enabledManagers"]) == {"pip-compile", "github-actions", "custom.regex"}


def test_the_layer_moves_together_with_the_version_that_the_tests_run() -> None:
    (together,) = [rule for rule in CONFIGURATION["packageRules"] if rule["groupName"] == "powertools"]
    assert set(together["matchDepNames"]) == {manager["depNameTemplate"] for manager in MANAGERS}
