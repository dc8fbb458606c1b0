"""The page for those whom an alarm has woken: it has a section for every alarm, and its table names them all."""

from __future__ import annotations

import re

from tests.support.terraform import ROOT

FUNCTIONS = ("park", "start")


def _alarms() -> set[str]:
    """The keys of the alarms in alarms.tf; those of each function are made from one entry."""
    text = (ROOT / "alarms.tf").read_text(encoding="utf-8")
    single = set(re.findall(r"^      ([a-z-]+) = \{$", text, re.MULTILINE))
    of_functions = re.findall(r'"\$\{key\}-([a-z]+)" => \{', text)
    return single | {f"{function}-{kind}" for function in FUNCTIONS for kind in of_functions}


def test_every_alarm_has_a_section_that_its_description_names() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^### ([a-z-]+)$", page, re.MULTILINE))
    table = set(re.findall(r"\[`([a-z-]+)`\]\(#\1\)", page))

    assert len(_alarms()) == 8
    assert _alarms() == sections == table
