"""Terraform's files as Python values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

MARKERS = ("__is_block__", "__comments__", "__inline_comments__")
"""What python-hcl2 adds to what it read."""


def load(file: Path) -> dict[str, Any]:
    """What is in a file. The same text is read once, since that takes long: nobody may change what comes back."""
    return _parsed(file.read_text(encoding="utf-8"))


@cache
def _parsed(text: str) -> dict[str, Any]:
    return {key: value for key, value in hcl2.loads(text).items() if key not in MARKERS}


def blocks(parsed: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The blocks of a kind: their labels, joined with a dot, and what is in them."""
    for block in parsed.get(kind, []):
        for label, body in block.items():
            if label in MARKERS:
                continue
            if kind in ("resource", "data"):
                yield from ((f"{plain(label)}.{plain(name)}", inner) for name, inner in body.items())
            else:
                yield plain(label), body


def plain(value: Any) -> Any:
    """A literal without the quotes that python-hcl2 leaves around it; an expression stays "${...}"."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items() if key not in MARKERS}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str) and value.startswith('"') and value.endswith('"'):
        return value[1:-1] if "${" in value else json.loads(value)
    return value
