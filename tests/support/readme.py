"""The generated tables (``make docs``): phases, permissions, inputs, outputs, savings, what Terraform plans say, and by
which tags something else knows a volume."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import Any

import hcl2

from park_volumes.core import prices
from park_volumes.core.choice import KNOWN_BY_ID
from park_volumes.core.volume_spec import VolumeSpec
from tests.drift import table
from tests.support import phases
from tests.support.permissions import DOCUMENTS as ROLES
from tests.support.permissions import Permissions
from tests.support.terraform import ROOT

README = ROOT / "README.md"
KOREAN = ROOT / "README.ko.md"
SAFETY = ROOT / "docs" / "safety.md"
TERRAFORM = ROOT / "docs" / "terraform.md"
WORDS = ROOT / "docs" / "words.md"
REGION = "ap-northeast-2"
SIZE_GIB = 100
KEPT_HOURS = 24
"""The default of snapshot_retention_hours."""
KINDS: tuple[tuple[str, str, int | None], ...] = (
    ("gp3", "gp3", None),
    ("gp2", "gp2", None),
    ("io2, 3000 IOPS", "io2", 3000),
    ("st1", "st1", None),
    ("standard", "standard", None),
    ("sc1", "sc1", None),
)
"""The volumes of the table of savings: in words, type, IOPS."""


def tables() -> dict[Path, dict[str, Callable[[], Iterator[str]]]]:
    """The generated tables of each document, by the name in their markers."""
    return {
        README: {
            "permissions": _permissions,
            "inputs": _inputs,
            "outputs": _outputs,
            "savings": _savings,
            "patterns": table.summary,
            "phases": phases.diagram,
        },
        KOREAN: {"phases": phases.diagram},
        SAFETY: {"phases": phases.rows},
        TERRAFORM: {"plans": table.in_full},
        WORDS: {"known": _known},
    }


def current(document: Path) -> str:
    """A document with its generated tables as they should be."""
    text = document.read_text(encoding="utf-8")
    for name, rows in tables()[document].items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{document.name} lacks the marker {begin} or {end}.")
        before, after = text.split(begin, maxsplit=1)[0], text.split(end, maxsplit=1)[1]
        text = before + "\n".join((begin, *rows(), end)) + after
    return text


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a Markdown text that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


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


def _inputs() -> Iterator[str]:
    yield "| input | default | what it is |"
    yield "|---|---|---|"
    for name, variable in _blocks("variables.tf", "variable"):
        default = json.dumps(_plain(variable["default"]))
        yield f"| `{name}` | `{default}` | {_plain(variable['description'])} |"


def _permissions() -> Iterator[str]:
    permissions = Permissions()
    for role in ROLES:
        yield f"<details><summary>What the {role} function may do</summary>"
        yield from ("", "| statement | allows | on | where | why |", "|---|---|---|---|---|")
        for each in permissions.of(role):
            allows, on = (", ".join(f"`{one}`" for one in many) for many in (each.actions, each.resources))
            yield f"| {each.sid} | {allows} | {on} | {'; '.join(each.conditions)} | {each.why} |"
        yield from ("", "</details>", "")


def _outputs() -> Iterator[str]:
    yield "| output | what it is |"
    yield "|---|---|"
    for name, output in _blocks("outputs.tf", "output"):
        yield f"| `{name}` | {_plain(output['description'])} |"


def _known() -> Iterator[str]:
    yield "| who | tags |"
    yield "|---|---|"
    for who, patterns in KNOWN_BY_ID.items():
        yield f"| {who} | {', '.join(f'`{pattern}`' for pattern in patterns)} |"


def _savings() -> Iterator[str]:
    yield f"| {SIZE_GIB} GiB | as a volume | as a snapshot, full | half full | pays off after, full | half full |"
    yield "|---|---|---|---|---|---|"
    here = prices.prices_of(REGION, {})
    snapshots = [prices.snapshot_price(here, written * prices.GIB) or 0 for written in (SIZE_GIB, SIZE_GIB // 2)]
    for words, kind, iops in KINDS:
        spec = VolumeSpec(zone=f"{REGION}a", type=kind, size=SIZE_GIB, iops=iops)
        volume = prices.volume_price(here, spec) or 0
        costs = " | ".join(f"{cost:.2f}" for cost in (volume, *snapshots))
        after = " | ".join(_pays_off_after(volume, snapshot) for snapshot in snapshots)
        yield f"| {words} | {costs} | {after} |"


def _pays_off_after(volume: float, snapshot: float) -> str:
    """How long parking takes to make up for the hours that the snapshot is kept beside the volume afterwards."""
    if volume <= snapshot:
        return "never"
    hours = ceil(round(KEPT_HOURS * snapshot / (volume - snapshot), 3))
    return "an hour" if hours <= 1 else f"{hours} hours"


def _blocks(file: str, kind: str) -> Iterable[tuple[str, dict[str, Any]]]:
    with (ROOT / file).open(encoding="utf-8") as source:
        parsed = hcl2.load(source)
    for block in parsed[kind]:
        for name, body in block.items():
            yield _plain(name), body


def _plain(value: Any) -> Any:
    """A literal without the quotes that python-hcl2 leaves around it."""
    return json.loads(value) if isinstance(value, str) and value.startswith('"') else value


if __name__ == "__main__":
    for path in tables():
        path.write_text(current(path), encoding="utf-8")
