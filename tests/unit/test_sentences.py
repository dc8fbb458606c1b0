"""A sentence is for people: no code of the product searches one, edits one, or decides by one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terraform import ROOT

SOURCES = sorted((ROOT / "lambda_src" / "park_volumes").rglob("*.py"))
SENTENCES = frozenset({"advice", "error", "note", "problem", "reason", "state_message", "what"})
"""Names and attributes that hold a sentence, or an exception, which tells one."""
READING = frozenset(
    {
        "casefold",
        "count",
        "endswith",
        "find",
        "index",
        "lower",
        "partition",
        "removeprefix",
        "removesuffix",
        "replace",
        "rfind",
        "rpartition",
        "split",
        "splitlines",
        "startswith",
        "translate",
        "upper",
    }
)
"""The methods of text that look into it, or change it."""
ALLOWED = {
    "aws/described.py": ("STOPPED_AT.search", "only StateTransitionReason tells when a stop was requested"),
    "aws/writes.py": ("ROOTLESS.search", "EC2 has no code of its own for a missing root volume"),
    "handlers/failed_start.py": ("WORDS.fullmatch", "CloudTrail has no code of its own for a missing root volume"),
}
"""Where there is no other way, by which code, and why: the sentence is AWS's, not ours."""


def is_sentence(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in SENTENCES
        case ast.Call(func=ast.Name(id="str"), args=[argument]):
            return is_sentence(argument)
        case ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return is_sentence(left) or is_sentence(right)
        case _:
            return False


def is_matched(call: ast.Call) -> bool:
    """Whether a regular expression is tried on a sentence."""
    of_re = isinstance(call.func, ast.Attribute) and call.func.attr in (
        "match",
        "fullmatch",
        "search",
        "sub",
        "findall",
    )
    return of_re and any(is_sentence(argument) for argument in call.args)


def readings(source: str) -> Iterator[str]:
    """The places in which a sentence is searched, compared or edited."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others) if any(
                isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in ops
            ):
                if any(is_sentence(one) for one in (left, *others)):
                    yield f"line {node.lineno}: {ast.unparse(node)}"
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in READING and is_sentence(value):
                yield f"line {node.lineno}: {ast.unparse(node)}"
            case ast.Call() if is_matched(node):
                yield f"line {node.lineno}: {ast.unparse(node)}"
            case ast.Subscript(value=value) if is_sentence(value):
                yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SOURCES[0].parent).as_posix())
def test_no_sentence_is_read(path: Path) -> None:
    name = path.relative_to(ROOT / "lambda_src" / "park_volumes").as_posix()
    found = readings(path.read_text(encoding="utf-8"))
    allowed, _ = ALLOWED.get(name, ("", ""))

    assert [words for words in found if not allowed or allowed not in words] == []


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_still_needed(name: str) -> None:
    assert ALLOWED[name][0] in (ROOT / "lambda_src" / "park_volumes" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "code",
    [
        "if NO_CAPACITY in result.error: pass",
        "if NO_CAPACITY in str(error): pass",
        "reason = decision.reason.replace(GOES_ON, ASK_AGAIN)",
        "if decision.reason == 'parked': pass",
        "re.search('denied', note)",
        "short = reason[:10]",
        "if (reason + note).startswith('EC2'): pass",
    ],
)
def test_the_check_sees(code: str) -> None:
    assert list(readings(code))


@pytest.mark.parametrize(
    "code",
    [
        "reason = f'{reason} {note}'",
        "if error.code == NO_CAPACITY: pass",
        "if result.error: pass",
        "return reason or note",
    ],
)
def test_the_check_leaves_the_rest_alone(code: str) -> None:
    assert list(readings(code)) == []
