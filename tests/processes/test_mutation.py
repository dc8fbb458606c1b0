"""The tool that puts faults into the code, run on a toy: what is found, what is not, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.terraform import ROOT

TOY = """
LIMIT = 3
SPARE = 7


def grown(amount: int) -> int:
    return amount + 1


def is_much(amount: int) -> bool:
    return amount > LIMIT


def rounds(amount: int) -> int:
    done = 0
    while amount > 0:
        amount -= 1
        done += 1
    return done
"""
UNSEEN = """

def unseen(amount: int) -> int:
    return amount - 1
"""
CHECKS = """
from toy.sums import SPARE, grown, is_much, rounds


def test_spare():  # it runs no line of the package
    assert SPARE == 7


def test_grown():
    assert grown(4) == 5


def test_is_much():
    assert is_much(5)
    assert not is_much(1)


def test_rounds():
    assert rounds(2) == 2
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for folder in ("toy", "checks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "toy" / "__init__.py").write_text("")
    (tmp_path / "toy" / "sums.py").write_text(TOY)
    (tmp_path / "checks" / "test_sums.py").write_text(CHECKS)
    (tmp_path / "equivalent.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mutation]\npackage = "toy"\nrooms = ["sums.py"]\ntests = "checks"\n'
        'equivalents = "equivalent.toml"\nat-least = 95\n[tool.pytest.ini_options]\naddopts = "-p no:schemathesis"\n'
    )
    return tmp_path


def run(toy: Path, **given: str) -> subprocess.CompletedProcess[str]:
    asked = {"NUMBER": "all", "CPU_SECONDS": "6", "PROCESSES": "2"} | given
    return subprocess.run(
        [sys.executable, "-m", "tests.mutation"],
        cwd=toy,
        env={**os.environ, "PYTHONPATH": str(ROOT)} | asked,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_what_no_test_notices_is_shown_where_it_is_and_the_rest_is_found(toy: Path) -> None:
    """`amount -= 1` becomes `amount += 1`, which has no end; two mutants of the limit are noticed by no test."""
    (toy / "toy" / "sums.py").write_text(TOY + UNSEEN)
    done = run(toy)
    assert done.returncode == 1, done.stdout
    assert "toy/sums.py:2: nobody noticed\n- LIMIT = 3\n+ LIMIT = 4" in done.stdout
    assert "toy/sums.py:11: nobody noticed\n-     return amount > LIMIT\n+     return amount >= LIMIT" in done.stdout
    assert done.stdout.count("nobody noticed") == 2
    assert "toy/sums.py:23: no test runs it\n-     return amount - 1\n+     return amount + 1" in done.stdout
    assert "10 of 14 mutants found" in done.stdout
    assert (toy / "toy" / "sums.py").read_text() == TOY + UNSEEN


def test_with_the_test_that_was_missing_and_the_reason_of_the_other_all_are_found(toy: Path) -> None:
    (toy / "checks" / "test_sums.py").write_text(CHECKS.replace("assert is_much(5)", "assert is_much(4)"))
    (toy / "equivalent.toml").write_text(
        '[[equivalent]]\nfile = "sums.py"\nline = "return amount > LIMIT"\nchange = "> → >="\n'
        'reason = "nobody has so much"\n',
        encoding="utf-8",
    )
    done = run(toy)
    assert done.returncode == 0, done.stdout
    assert "11 of 11 mutants found" in done.stdout


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("checks/test_sums.py", CHECKS.replace("== 5", "== 6"), "Without a mutant the tests have to pass"),
        ("checks/test_sums.py", "def test_nothing(): pass\n", "No test runs any of it"),
        ("pyproject.toml", None, "There is no toy/elsewhere"),
    ],
    ids=["a test fails", "no test", "no such room"],
)
def test_where_nothing_can_be_said_that_is_said(toy: Path, file: str, text: str | None, said: str) -> None:
    place = toy / file
    place.write_text(text or place.read_text().replace('"sums.py"', '"elsewhere"'))
    done = run(toy)
    assert done.returncode == 2, done.stdout
    assert said in done.stdout
