"""No function and no class of the product grows beyond what can be read at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.terraform import ROOT

PRODUCT = ROOT / "lambda_src" / "park_volumes"
MOST_LINES, MOST_METHODS = 40, 20


def too_large(source: str) -> list[str]:
    """The names of what is, each with its size."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name, lineno=first, end_lineno=int(last)) if last - first >= MOST_LINES:
                found.append(f"{name}: {last - first + 1} lines")
            case ast.ClassDef(name=name, body=body):
                methods = sum(isinstance(member, ast.FunctionDef) for member in body)
                found += [f"{name}: {methods} methods"] if methods > MOST_METHODS else []
    return found


@pytest.mark.parametrize("file", sorted(PRODUCT.rglob("*.py")), ids=lambda file: str(file.relative_to(PRODUCT)))
def test_every_function_and_class_can_be_read_at_once(file: Path) -> None:
    assert too_large(file.read_text(encoding="utf-8")) == []


def test_what_is_larger_is_found() -> None:
    lines = "\n".join(["def long():", *["    pass"] * MOST_LINES])
    methods = "\n".join(["class Large:", *[f"    def m{n}(self): ..." for n in range(MOST_METHODS + 1)]])

    assert too_large(lines) == ["long: 41 lines"]
    assert too_large(methods) == ["Large: 21 methods"]
    assert too_large(lines.removesuffix("\n    pass")) == []
