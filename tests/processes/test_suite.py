"""The parts of the test suite, run for good on tests made for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import suite
from tests.support.suite import Checks, Pytest

PASSES = "def test_passes(): pass\n"
FAILS = "def test_fails(): assert False\n"


def run(part: Checks | Pytest, folder: Path) -> tuple[suite.Result, str]:
    with (folder / "said").open("w+") as said:
        result = part.run(said)
        said.seek(0)
        return result, said.read()


@pytest.mark.parametrize(
    ("source", "passed", "failed"),
    [(PASSES, 1, 0), (PASSES + FAILS, 1, 1), ("", 0, 1), ("import nothing_of_that_name\n", 0, 1)],
    ids=["passes", "fails", "no test", "cannot be read"],
)
def test_a_run_of_pytest_is_counted(tmp_path: Path, source: str, passed: int, failed: int) -> None:
    (tmp_path / "test_it.py").write_text(source)
    result, _ = run(Pytest("some", (str(tmp_path),), ("-p", "no:cacheprovider", f"--rootdir={tmp_path}")), tmp_path)
    assert (result.number("passed"), result.number("failed")) == (passed, failed)
    assert bool(result.exit_code) == bool(failed)


def test_what_stands_in_the_way_of_a_part_is_said(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(PASSES)
    options = ("-p", "no:cacheprovider", f"--rootdir={tmp_path}")
    _, said = run(Pytest("some", (str(tmp_path),), options, before=lambda: "There is no browser."), tmp_path)
    assert "There is no browser." in said


def test_a_static_check_that_finds_something_says_what_and_which_command_says_it(tmp_path: Path) -> None:
    checks = Checks(
        "static",
        {
            "good": (sys.executable, "-c", "print('of no interest')"),
            "bad": (sys.executable, "-c", "print('line 7'); raise SystemExit(3)"),
            "missing": ("/no/such/program",),
        },
    )
    result, said = run(checks, tmp_path)
    assert (result.number("passed"), result.number("failed")) == (1, 2)
    assert "of no interest" not in said
    assert "line 7" in said
    assert "✗ missing" in said


def test_the_exit_code_says_whether_all_went_well() -> None:
    program = (
        "import sys\nfrom tests.support import suite\n"
        "suite.PARTS['check'] = (suite.Checks('some', {'a check': (sys.executable, '-c', sys.argv[1])}),)\n"
        "sys.exit(suite.main(['check']))"
    )
    for code in (0, 1):
        done = subprocess.run(
            [sys.executable, "-c", program, f"raise SystemExit({code})"], capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert done.stdout.splitlines()[-1] == f"{1 - code} passed, {code} failed"
