"""The README says what the module is."""

from __future__ import annotations

import re

from tests.support.readme import README, current
from tests.support.terraform import ROOT


def test_the_tables_of_inputs_and_outputs_are_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert current(text) == text, "run make docs"


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
