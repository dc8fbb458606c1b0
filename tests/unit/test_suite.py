"""The parts of the test suite: what runs where, and what is said of it at the end."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest

from tests.support import suite
from tests.support.suite import PARTS, Case, Checks, Part, Pytest, Result, main, read, summary
from tests.support.terraform import ROOT

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite tests="4">
<testcase classname="tests.unit.test_a.TestIt" name="test_passes[1]" file="tests/unit/test_a.py" time="0.5" />
<testcase classname="tests.unit.test_a" name="test_fails" file="tests/unit/test_a.py" time="2"><failure/></testcase>
<testcase classname="tests.unit.test_b" name="test_is_skipped" time="0.1"><skipped message="why" /></testcase>
<testcase classname="tests.unit.test_b" name="test_errs" file="tests/unit/test_b.py" time="0.2"><error/></testcase>
</testsuite></testsuites>
"""


class Fixed:
    """A part whose result is known."""

    def __init__(self, *cases: Case, exit_code: int = 0, name: str = "some") -> None:
        self.name, self._cases, self._code = name, cases, exit_code

    def run(self, out: io.StringIO) -> Result:
        print(f"running {self.name}", file=out)
        return Result(self.name, 61.0, self._cases, self._code)


def run(monkeypatch: pytest.MonkeyPatch, *parts: Fixed) -> tuple[int, list[str]]:
    monkeypatch.setitem(PARTS, "check", parts)
    out = io.StringIO()
    return main(["check"], out), out.getvalue().splitlines()


GOOD, BAD, LEFT_OUT = Case("good", 0.5, "passed"), Case("bad", 2.0, "failed"), Case("left out", 0.0, "skipped")


def test_the_last_line_says_what_passed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(monkeypatch, Fixed(GOOD, GOOD), Fixed(GOOD))
    assert (code, said[-1]) == (0, "3 passed, 0 failed")


def test_every_part_keeps_the_bytecode_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    run(monkeypatch, Fixed(GOOD))
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ


def test_what_is_skipped_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(monkeypatch, Fixed(GOOD, LEFT_OUT))
    assert (code, said[-1]) == (0, "1 passed, 0 failed, 1 skipped")


def test_a_part_that_fails_fails_the_whole_and_keeps_no_other_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(monkeypatch, Fixed(BAD, exit_code=1), Fixed(GOOD, name="another"))
    assert (code, said[-1]) == (1, "1 passed, 1 failed")
    assert "running another" in said


@pytest.mark.parametrize("exit_code", [1, 2, 3, 4, 5, -9])
def test_a_part_that_ends_badly_without_a_failed_test_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, exit_code: int
) -> None:
    """Too little covered, no test found, a crash."""
    code, said = run(monkeypatch, Fixed(GOOD, exit_code=exit_code))
    assert (code, said[-1]) == (1, "1 passed, 1 failed")


def test_whoever_interrupts_is_told_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Fixed):
        def run(self, out: io.StringIO) -> Result:
            print("running", file=out)
            raise KeyboardInterrupt

    code, said = run(monkeypatch, Fixed(GOOD), Interrupted())
    assert code == 130
    assert not any("passed" in line for line in said)


@pytest.mark.parametrize("arguments", [[], ["all"], ["check", "test"]])
def test_what_is_no_suite_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "lint|check|test" in capsys.readouterr().err


def test_the_slowest_twenty_and_the_time_of_each_part_are_told() -> None:
    cases = [Case(f"test {n}", float(n), "passed") for n in range(30)]
    said = summary([Result("unit", 125.0, cases), Result("deployed", 61.0, [BAD, LEFT_OUT], 1)])
    slow = re.findall(r"^ +(\d+\.0) s  (.+)$", said, flags=re.MULTILINE)
    assert slow == [(f"{n}.0", f"test {n}") for n in range(29, 9, -1)]
    assert re.search(r"^unit +2:05 +30 +0 +0$", said, flags=re.MULTILINE)
    assert re.search(r"^deployed +1:01 +0 +1 +1$", said, flags=re.MULTILINE)
    assert re.search(r"^all +3:06$", said, flags=re.MULTILINE)


def test_the_report_of_pytest_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert list(read(tmp_path / "report.xml")) == [
        Case("tests/unit/test_a.py::TestIt::test_passes[1]", 0.5, "passed"),
        Case("tests/unit/test_a.py::test_fails", 2.0, "failed"),
        Case("tests::unit::test_b::test_is_skipped", 0.1, "skipped"),
        Case("tests/unit/test_b.py::test_errs", 0.2, "failed"),
    ]


def folders(parts: tuple[Part, ...]) -> list[str]:
    return [path for part in parts if isinstance(part, Pytest) for path in part.paths]


def test_everything_that_is_tested_belongs_to_a_part_once() -> None:
    there = sorted({str(path.parent.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py")})
    assert sorted(folders(PARTS["test"])) == there


def test_everything_runs_every_static_check_and_the_quick_suite_all_but_the_slow_one() -> None:
    (everything,) = (part for part in PARTS["test"] if isinstance(part, Checks))
    (quick,) = (part for part in PARTS["check"] if isinstance(part, Checks))
    assert everything.commands.keys() - quick.commands.keys() == {"rules of checkov"}
    assert (everything,) == PARTS["lint"]


def test_only_the_quick_suite_leaves_tests_out() -> None:
    assert [part for part in PARTS["test"] if isinstance(part, Pytest) and "-m" in part.options] == []


def test_the_unit_tests_of_everything_say_what_they_do_not_cover() -> None:
    (unit,) = (part for part in PARTS["test"] if isinstance(part, Pytest) and part.name == "unit")
    assert "--cov" in unit.options


def test_ci_runs_everything_and_prints_nothing_after_it() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "exec make test"
    assert "set -euo pipefail" in lines
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^test: setup .*\n\t@\$\(PY\) -m tests\.support\.suite test$", makefile, flags=re.MULTILINE)


def test_the_order_of_parts_puts_what_is_quick_first() -> None:
    assert [part.name for part in PARTS["test"]][:2] == ["static checks", "unit"]
    assert suite.SLOWEST == 20
