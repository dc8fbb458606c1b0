"""The tables of inputs and outputs in README.md, generated from variables.tf and outputs.tf (``make docs``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import hcl2

from tests.support.terraform import ROOT

README = ROOT / "README.md"


def current(readme: str) -> str:
    """The README with its generated tables as they should be."""
    for name, table in (("inputs", _inputs()), ("outputs", _outputs())):
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin not in readme or end not in readme:
            raise ValueError(f"README.md lacks the marker {begin} or {end}.")
        before, after = readme.split(begin, maxsplit=1)[0], readme.split(end, maxsplit=1)[1]
        readme = before + "\n".join((begin, *table, end)) + after
    return readme


def _inputs() -> Iterator[str]:
    yield "| input | default | what it is |"
    yield "|---|---|---|"
    for name, variable in _blocks("variables.tf", "variable"):
        default = json.dumps(_plain(variable["default"]))
        yield f"| `{name}` | `{default}` | {_plain(variable['description'])} |"


def _outputs() -> Iterator[str]:
    yield "| output | what it is |"
    yield "|---|---|"
    for name, output in _blocks("outputs.tf", "output"):
        yield f"| `{name}` | {_plain(output['description'])} |"


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
    README.write_text(current(README.read_text(encoding="utf-8")), encoding="utf-8")
