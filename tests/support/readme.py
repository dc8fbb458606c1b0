"""The generated parts of the documents (``make docs``), and the parts of which documents consist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from park_volumes.core.choice import KNOWN_BY_ID
from tests.drift import table
from tests.support import figures, phases, reference
from tests.support.terraform import ROOT

README = ROOT / "README.md"
KOREAN = ROOT / "README.ko.md"
DOCS = ROOT / "docs"
API, REFERENCE, MONEY = (DOCS / f"{name}.md" for name in ("api", "reference", "money"))
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *DOCS.glob("*.md"),
    *(page for folder in ("modules", "examples") for page in ROOT.glob(f"{folder}/*/README.md")),
]
SAVINGS = {f"savings in {region}": partial(figures.savings_in, region) for region in figures.REGIONS}
Rows = Callable[[], Iterator[str]]


def tables() -> dict[Path, dict[str, Rows]]:
    """The generated tables of each document, by the name in their markers."""
    return {
        README: {"savings": figures.savings, "patterns": table.summary},
        REFERENCE: {
            "requirements": reference.requirements,
            "inputs": reference.inputs,
            "outputs": reference.outputs,
            "resources": reference.resources,
            "permissions": reference.permissions,
        },
        MONEY: dict(SAVINGS),
        DOCS / "how-it-works.md": {"phases": phases.diagram},
        DOCS / "safety.md": {"phases": phases.rows},
        DOCS / "terraform.md": {"plans": table.in_full},
        DOCS / "words.md": {"known": _known},
    }


def current(document: Path) -> str:
    """A document with its tables, its contents and its figures as they should be."""
    text = document.read_text(encoding="utf-8")
    for name, rows in tables().get(document, {}).items():
        text = _filled(document, text, name, rows)
    if "<!-- begin contents -->" in text:
        text = _filled(document, text, "contents", partial(_contents, text))
    return figures.with_figures(text)


def _filled(document: Path, text: str, name: str, rows: Rows) -> str:
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{document.name} lacks the marker {begin} or {end}.")
    before, after = text.split(begin, maxsplit=1)[0], text.split(end, maxsplit=1)[1]
    return before + "\n".join((begin, *rows(), end)) + after


def _contents(text: str) -> Iterator[str]:
    yield from (f"- [{title}](#{anchor(title)})" for level, title, _ in sections(text) if level == 2)


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a Markdown text that are in this language."""
    return [block for each, block in all_blocks(text) if each == language]


def all_blocks(text: str) -> list[tuple[str, str]]:
    """The code blocks of a Markdown text, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def sections(text: str) -> list[tuple[int, str, str]]:
    """The parts of a Markdown text: level of the heading, heading, what is below it."""
    found: list[tuple[int, str, str]] = []
    in_code = False
    for line in text.splitlines(keepends=True):
        in_code ^= line.startswith("```")
        heading = None if in_code else re.match(r"(#+) (.*)", line)
        if heading:
            found.append((len(heading[1]), heading[2], ""))
        elif found:
            level, title, below = found[-1]
            found[-1] = (level, title, below + line)
    return found


def prose(text: str) -> str:
    """A Markdown text without its tables."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("|"))


def words(text: str) -> int:
    """How many words a text has: whatever stands between blanks and has a letter or a digit. Markers do not count."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return sum(any(character.isalnum() for character in word) for word in text.split())


def _known() -> Iterator[str]:
    yield "| who | tags |"
    yield "|---|---|"
    for who, patterns in KNOWN_BY_ID.items():
        yield f"| {who} | {', '.join(f'`{pattern}`' for pattern in patterns)} |"


if __name__ == "__main__":
    for path in DOCUMENTS:
        path.write_text(current(path), encoding="utf-8")
