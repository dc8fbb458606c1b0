"""Whatever is excepted from a check has its reason beside it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.terraform import ROOT

PYTHON = [file for folder in ("lambda_src", "tests") for file in sorted((ROOT / folder).rglob("*.py"))]
CONFIGURATION = [*ROOT.glob("*.tf"), *ROOT.glob("examples/*/*.tf"), *ROOT.glob(".github/**/*.yml")]
REASON = r"\S+ \S+"
"""Two words at least."""


def _without_reason(files: list[Path], exception: str, with_reason: str) -> list[str]:
    """The lines of these files with an exception and no reason."""
    return [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(exception, line) and not re.search(with_reason, line)
    ]


def test_every_exception_from_ruff_has_its_reason_beside_it() -> None:
    assert _without_reason(PYTHON, r"# noq[a]\b", rf"# noq[a]: [A-Z]+\d+(, [A-Z]+\d+)*  # {REASON}") == []


def test_every_check_that_checkov_skips_has_its_reason_where_it_is_skipped() -> None:
    assert _without_reason(CONFIGURATION, "checkov:skip", rf"#checkov:skip=CKV\w+:{REASON}") == []


def test_nothing_is_excepted_from_bandit_in_the_code() -> None:
    assert _without_reason(PYTHON, r"# nose[c]\b", "^$") == []


@pytest.mark.parametrize("table", ["ignore = [", '"tests/**" = [', "skips = [", "ignore_missing_imports"])
def test_what_is_excepted_for_whole_folders_has_its_reason_beside_it(table: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tomllib.loads(text)
    begin = text.index(table)
    lines = text[begin : text.index("\n\n", begin)].splitlines()
    excepted = [line for line in lines if re.search(r'^ +"|\["|= (true|false)', line)]
    assert excepted
    assert [line for line in excepted if not re.search(rf"# {REASON}", line)] == []
