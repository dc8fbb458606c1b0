"""All small faults that a module can have: an operator, a comparison, a condition or a constant that is another one.

Texts are left out, and so are annotations and the options of dataclasses: they decide nothing. A fault is a few
characters of the source, so that it can be shown as a person would have typed it.
"""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
    ast.BitXor: ("^", "|"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, order=True)
class Mutant:
    """In the file ``path`` the text from ``start`` to ``end`` is ``new``, and not ``old``."""

    path: str
    start: int
    end: int
    old: str
    new: str
    line: int
    first: int = 0
    """Where its statement begins: Python says of a long one only that some of its lines are run."""
    number: int = 1
    """Which one it is of those with this change in this line."""

    @property
    def change(self) -> str:
        return f"{self.old} → {self.new}"

    def applied(self, source: str) -> str:
        return source[: self.start] + self.new + source[self.end :]

    def text_of_line(self, source: str) -> str:
        return source.splitlines()[self.line - 1].strip()

    def diff(self, source: str) -> str:
        """The lines that it changes, before and after."""
        lines = difflib.ndiff(source.splitlines(), self.applied(source).splitlines())
        return "\n".join(line.rstrip() for line in lines if line.startswith(("- ", "+ ")))


def mutants(path: str, source: str) -> list[Mutant]:
    """Every fault that this module can have, in the order of its text."""
    finder = _Finder(source)
    seen: dict[tuple[int, str, str], int] = {}
    numbered = []
    for start, end, new in sorted(set(finder.found)):
        old, line = source[start:end], source.count("\n", 0, start) + 1
        seen[line, old, new] = seen.get((line, old, new), 0) + 1
        first = max((n for n in finder.statements if n <= line), default=line)
        numbered.append(Mutant(path, start, end, old, new, line, first, seen[line, old, new]))
    return numbered


class _Finder:
    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._texts = source.splitlines(keepends=True)
        self.found: list[tuple[int, int, str]] = []
        tree = ast.parse(source)
        self.statements = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)}
        self._visit(tree)

    def _place(self, line: int, column: int) -> int:
        """Where in the source a position of the syntax tree is: its columns count bytes."""
        return self._lines[line - 1] + len(self._texts[line - 1].encode()[:column].decode())

    def _start(self, node: ast.expr) -> int:
        return self._place(node.lineno, node.col_offset)

    def _end(self, node: ast.expr) -> int:
        return self._place(node.end_lineno or 0, node.end_col_offset or 0)

    def _visit(self, node: ast.AST) -> None:
        for child in _children(node):
            self._visit(child)
        self._operators(node)
        self._values(node)
        self._conditions(node)

    def _operators(self, node: ast.AST) -> None:
        match node:
            case ast.BinOp():
                self._between(node.left, node.right, node.op)
            case ast.Compare():
                for (left, right), op in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
                    self._between(left, right, op)
            case ast.BoolOp():
                for left, right in pairwise(node.values):
                    self._between(left, right, node.op)
            case ast.AugAssign() if type(node.op) in OPERATORS:
                old, new = OPERATORS[type(node.op)]
                self._swap(self._end(node.target), self._start(node.value), f"{old}=", f"{new}=")
            case ast.UnaryOp(op=ast.Not()):
                self.found.append((self._start(node), self._start(node) + len("not "), ""))
            case ast.UnaryOp(op=ast.USub()):
                self.found.append((self._start(node), self._start(node) + 1, ""))

    def _values(self, node: ast.AST) -> None:
        match node:
            case ast.Constant(value=bool(value)):
                self.found.append((self._start(node), self._end(node), str(not value)))
            case ast.Constant(value=int(value) | float(value)):
                self.found.append((self._start(node), self._end(node), repr(value + 1)))
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                self.found.append((self._start(node.func), self._end(node.func), CALLS[name]))

    def _conditions(self, node: ast.AST) -> None:
        match node:
            case ast.If() | ast.While() | ast.IfExp():
                self._condition(node.test)
            case ast.comprehension():
                for condition in node.ifs:
                    self._condition(condition)

    def _between(self, left: ast.expr, right: ast.expr, op: ast.AST) -> None:
        if type(op) in OPERATORS:
            self._swap(self._end(left), self._start(right), *OPERATORS[type(op)])

    def _swap(self, start: int, end: int, old: str, new: str) -> None:
        """The operator stands between the operands, perhaps with brackets, comments and ends of lines around it."""
        words = old.split()
        tokens = list(_tokens(self._source[start:end]))
        for number in range(len(tokens) - len(words) + 1):
            if [text for text, _, _ in tokens[number : number + len(words)]] == words:
                begin, stop = tokens[number][1], tokens[number + len(words) - 1][2]
                self.found.append((start + begin, start + stop, new))
                return
        raise ValueError(f"{old} is not in {self._source[start:end]!r}")

    def _condition(self, test: ast.expr) -> None:
        """What is compared, combined or negated has a fault of its own already, which is the same."""
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            text = self._source[self._start(test) : self._end(test)]
            self.found.append((self._start(test), self._end(test), f"not ({text})"))


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """The tokens of a piece of an expression without comments, with their places; brackets may be half of a pair."""
    for found in re.finditer(r"#[^\n]*|[A-Za-z_]\w*|[-+*/%|&^<>=!]+|\S", text):
        if not found[0].startswith("#"):
            yield found[0], found.start(), found.end()


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What decides something: no annotations, no f-string's own texts, and nothing that only types see."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            if name == "decorator_list" and "dataclass" in ast.dump(child):
                continue
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.JoinedStr):
                # Before Python 3.12 the places of what stands in an f-string are not known.
                continue
            yield child


def compiles(source: str) -> bool:
    try:
        ast.parse(source)
        list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return False
    return True
