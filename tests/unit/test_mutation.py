"""The tool that puts faults into the code: which faults there are, and which of them nobody can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.__main__ import pick
from tests.mutation.choice import Choice, importers
from tests.mutation.mutants import Mutant, compiles, mutants
from tests.mutation.project import Project, ProjectError, read
from tests.support.terraform import ROOT


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in mutants("a.py", source)]


def lines(source: str) -> list[str]:
    """What becomes of a source of one line."""
    return [mutant.applied(source) for mutant in mutants("a.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a == b", ["a != b"]),
        ("a < b", ["a <= b"]),
        ("a >= b", ["a > b"]),
        ("a is b", ["a is not b"]),
        ("a is not b", ["a is b"]),
        ("a in b", ["a not in b"]),
        ("a  not  in b", ["a  in b"]),
        ("a < b < c", ["a <= b < c", "a < b <= c"]),
        ("a + b", ["a - b"]),
        ("a // b", ["a * b"]),
        ("a | b", ["a & b"]),
        ("a += b", ["a -= b"]),
        ("a and b and c", ["a or b and c", "a and b or c"]),
        ("a or b", ["a and b"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("a = True", ["a = False"]),
        ("a = 3", ["a = 4"]),
        ("a = 0.5", ["a = 1.5"]),
        ("min(a)", ["max(a)"]),
        ("all(a)", ["any(a)"]),
        ("b if a else c", ["b if not (a) else c"]),
        ("[a for a in b if c(a)]", ["[a for a in b if not (c(a))]"]),
        ("b if a == c else d", ["b if a != c else d"]),
        ("(a) == (b)", ["(a) != (b)"]),
        ("'äöü팀' == a", ["'äöü팀' != a"]),
        ("a.b(c)[d] - e", ["a.b(c)[d] + e"]),
        ("'a - b' - a", ["'a - b' + a"]),
    ],
)
def test_one_thing_is_another(source: str, expected: list[str]) -> None:
    assert lines(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "a = 'text'",
        "a: int | None = b",
        "def f(a: int | None) -> int | None: ...",
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass A: ...",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    a = 1",
        "a = f'{b + 1}'",
        '"""1 + 1"""',
    ],
    ids=["text", "annotation", "signature", "dataclass", "for types only", "in a text", "docstring"],
)
def test_what_decides_nothing_is_left_alone(source: str) -> None:
    assert changes(source) == []


def test_brackets_comments_and_ends_of_lines_may_stand_around_an_operator() -> None:
    source = "a = (\n    (b)  # and not - or +\n    # x + y\n    +\n    (c)\n)\n"
    (mutant,) = mutants("a.py", source)
    assert mutant.applied(source) == source.replace("    +\n", "    -\n")
    assert mutant.line == 4


def test_an_operator_that_stands_twice_in_a_line_is_two_mutants() -> None:
    first, second = mutants("a.py", "a = b + c + d\n")
    assert (first.number, second.number) == (1, 2)
    assert first.diff("a = b + c + d\n") == "- a = b + c + d\n+ a = b - c + d"


@pytest.mark.thorough  # it parses every module anew for each of its mutants
def test_every_mutant_of_this_module_is_python() -> None:
    sources = read(ROOT).sources()
    found = [mutant for path, source in sources.items() for mutant in mutants(path, source)]
    assert len(found) > 1000
    assert [m for m in found if not compiles(m.applied(sources[m.path]))] == []
    assert len({(m.path, m.start, m.end, m.new) for m in found}) == len(found)


def test_what_is_no_python_is_seen() -> None:
    assert not compiles("a = = b")


def test_a_seed_chooses_the_same_mutants_again() -> None:
    every = mutants("a.py", "\n".join(f"a{n} = {n}" for n in range(100)))
    assert pick(every, "10", 1) == pick(every, "10", 1)
    assert pick(every, "10", 1) != pick(every, "10", 2)
    assert len(set(pick(every, "10", 1))) == 10
    assert pick(every, "all", 1) == every
    assert len(pick(every, "1000", 1)) == 100


# Equivalent mutants


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "sums.py").write_text("def f(a, b):\n    return a + b + 1\n")
    (tmp_path / "toy" / "uses.py").write_text("from toy import sums\n")
    (tmp_path / "toy" / "far.py").write_text("import toy.uses\n")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "test_sums.py").write_text("from toy.sums import f\n")
    (tmp_path / "checks" / "test_far.py").write_text("from checks import helper\n")
    (tmp_path / "checks" / "helper.py").write_text("from toy import far\n")
    (tmp_path / "checks" / "test_nothing.py").write_text("import os\n")
    (tmp_path / "equivalent.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mutation]\npackage = "toy"\nrooms = ["sums.py"]\ntests = "checks"\n'
        'equivalents = "equivalent.toml"\nat-least = 95\n'
    )
    return tmp_path


def told(root: Path, **changed: object) -> Project:
    entry = {"file": "sums.py", "line": "return a + b + 1", "change": "+ → -", "reason": "nobody subtracts"} | changed
    text = "[[equivalent]]\n" + "\n".join(f"{k} = {v!r}" for k, v in entry.items())
    (root / "equivalent.toml").write_text(text, encoding="utf-8")
    return read(root)


def test_a_project_says_what_is_mutated(root: Path) -> None:
    assert [mutant.change for mutant in read(root).mutants()] == ["+ → -", "+ → -", "1 → 2"]


def test_equivalent_mutants_are_left_out_all_of_a_line_or_one(root: Path) -> None:
    assert [mutant.change for mutant in told(root).mutants()] == ["1 → 2"]
    assert [(mutant.change, mutant.number) for mutant in told(root, number=2).mutants()] == [("+ → -", 1), ("1 → 2", 1)]


@pytest.mark.parametrize(
    "changed",
    [{"line": "return a - b"}, {"change": "* → /"}, {"file": "other.py"}, {"number": 3}, {"reason": ""}],
    ids=["line", "change", "file", "number", "reason"],
)
def test_an_equivalent_mutant_that_is_none_any_more_is_an_error(root: Path, changed: dict[str, object]) -> None:
    with pytest.raises(ProjectError, match="up to date"):
        told(root, **changed).mutants()


def test_a_room_that_has_moved_is_an_error(root: Path) -> None:
    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text.replace('"sums.py"', '"sums.py", "decide"'))
    with pytest.raises(ProjectError, match="There is no toy/decide"):
        read(root).mutants()


def test_the_equivalent_mutants_of_this_module_are_in_the_code() -> None:
    assert read(ROOT).mutants()


# Which tests


RUNS = {
    "sums.py": {1: frozenset({"", "wide"}), 2: frozenset({"narrow", "wide"}), 3: frozenset({"other"})},
    "uses.py": {1: frozenset({"wide"}), 7: frozenset({"wide", "other"})},
}


def mutant(line: int, first: int = 0) -> Mutant:
    return Mutant("sums.py", 0, 1, "+", "-", line, first)


def chosen(root: Path) -> Choice:
    project = read(root)
    return Choice(RUNS, *importers(project), project.tests)


def test_the_tests_of_a_line_run_and_the_narrowest_of_them_first(root: Path) -> None:
    assert chosen(root).tests(mutant(2)) == ["narrow", "wide"]


def test_what_runs_at_import_is_tested_by_all_that_import_it(root: Path) -> None:
    """Also where none of its lines runs: a test that compares constants."""
    found = chosen(root).tests(mutant(1))
    assert found == ["checks/test_sums.py", "checks/test_far.py", "narrow", "other", "wide"]


def test_tests_elsewhere_that_import_it_are_not_chosen() -> None:
    every = {"sums.py": frozenset({"checks/test_sums.py", "deployed/test_all.py"})}
    assert Choice({"sums.py": {1: frozenset({""})}}, every, {}, "checks").tests(mutant(1)) == ["checks/test_sums.py"]


def test_of_a_long_statement_some_lines_are_known_to_run(root: Path) -> None:
    source = "a = 1\nb = [\n    1,\n    2,\n]\n"
    assert [(m.line, m.first) for m in mutants("a.py", source)] == [(1, 1), (3, 2), (4, 2)]
    assert chosen(root).tests(mutant(4, first=3)) == ["other"]


def test_what_nobody_runs_has_no_test(root: Path) -> None:
    assert chosen(root).tests(mutant(9)) == []


def test_importers_are_found_however_far_away(root: Path) -> None:
    every, direct = importers(read(root))
    tests = {"checks/test_sums.py", "checks/helper.py", "checks/test_far.py"}
    assert every["sums.py"] == {"uses.py", "far.py"} | tests
    assert direct["sums.py"] == {"uses.py", "checks/test_sums.py"}
