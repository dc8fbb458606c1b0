"""Runs the parts of the test suite one after the other, and says at the end how each went.

``python -m tests.support.suite check`` is what to run after every change, ``lint`` its static part alone, and ``test``
is everything. A part that fails does not keep the others from running. The last line says how many tests passed and
how many failed; the exit code is 0 only if none failed, and no part of the suite for another reason.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from tests.support import bindings, chromium
from tests.support.terraform import ROOT

CORES = os.cpu_count() or 1
SLOWEST = 20
TOOLS = Path(sys.executable).parent
CHECKOV = str(ROOT / ".venv-checks" / "bin" / "checkov")
ALL_CORES = ("-n", str(CORES))
INTERRUPTED = 130


@dataclass(frozen=True)
class Case:
    """A test, or a static check."""

    name: str
    seconds: float
    outcome: str
    """passed, failed or skipped"""


@dataclass(frozen=True)
class Result:
    """How a part went."""

    name: str
    seconds: float
    cases: Sequence[Case]
    exit_code: int = 0

    @property
    def failed(self) -> int:
        """A part that ends badly without a failed test, as when too little is covered, counts as one."""
        failed = sum(case.outcome == "failed" for case in self.cases)
        return failed or int(self.exit_code != 0)

    def number(self, outcome: str) -> int:
        return self.failed if outcome == "failed" else sum(case.outcome == outcome for case in self.cases)


@dataclass(frozen=True)
class Checks:
    """Static checks, as many at the same time as there are cores: name to command."""

    name: str
    commands: dict[str, tuple[str, ...]]

    def run(self, out: IO[str]) -> Result:
        began = time.monotonic()
        with ThreadPoolExecutor(CORES) as pool:
            cases = list(pool.map(lambda check: _check(check, self.commands[check], out), self.commands))
        return Result(self.name, time.monotonic() - began, cases)


def _check(name: str, command: Sequence[str], out: IO[str]) -> Case:
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": "lambda_src"}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said, good = done.stdout, done.returncode == 0
    except OSError as error:
        said, good = f"{error}\n", False
    seconds = time.monotonic() - began
    lines = f"  {'✓' if good else '✗'} {name} ({seconds:.1f} s)\n"
    out.write(lines if good else f"{lines}{shlex.join(command)}\n{said}")
    out.flush()
    return Case(name, seconds, "passed" if good else "failed")


@dataclass(frozen=True)
class Pytest:
    """A run of pytest."""

    name: str
    paths: tuple[str, ...]
    options: tuple[str, ...] = ALL_CORES
    before: Callable[[], str] = field(default=str)
    """Gets what these tests need; answers what stands in the way, as a sentence, or nothing."""

    def run(self, out: IO[str]) -> Result:
        began = time.monotonic()
        if problem := self.before():
            print(problem, file=out, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            told = (f"--junit-xml={report}", "-o", "junit_family=xunit1", "-o", "junit_duration_report=total")
            code = _follow([sys.executable, "-m", "pytest", *self.paths, *self.options, *told], out)
            cases = list(read(report)) if report.exists() else []
        return Result(self.name, time.monotonic() - began, cases, code)


def _follow(command: Sequence[str], out: IO[str]) -> int:
    """Runs a command that prints as it goes, and lets it end in its own way when somebody interrupts it."""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise


def read(report: Path) -> Iterable[Case]:
    """The tests in a report of pytest, with what was set up and taken down for each."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # pytest has just written it
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        file, classes = case.get("file", ""), case.get("classname", "")
        inner = classes.removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
        name = "::".join(part for part in (file, inner.replace(".", "::"), case.get("name", "")) if part)
        yield Case(name, float(case.get("time", 0)), outcome)


Part = Checks | Pytest

STATIC = {
    "types": (str(TOOLS / "mypy"),),
    "lint": (str(TOOLS / "ruff"), "check", "lambda_src", "tests"),
    "format": (str(TOOLS / "ruff"), "format", "--check", "lambda_src", "tests"),
    "dangerous calls": (str(TOOLS / "bandit"), "--quiet", "-c", "pyproject.toml", "--recursive", "lambda_src"),
    "who imports whom": (str(TOOLS / "lint-imports"), "--no-cache"),
    "format of Terraform": ("terraform", "fmt", "-check", "-recursive", "-diff"),
}
# The longest comes first, so that the others run beside it.
EVERY_STATIC = {"rules of checkov": (CHECKOV, "--config-file", ".checkov.yaml"), **STATIC}
QUICK = (*ALL_CORES, "-m", "not thorough")
# What shares a deployment, or what a fixture has set up for a file, stays on one worker.
BY_FILE = (*ALL_CORES, "--dist", "loadfile", "--no-loadscope-reorder")
BY_DEPLOYMENT = ("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder")

PARTS: dict[str, tuple[Part, ...]] = {
    "lint": (Checks("static checks", EVERY_STATIC),),
    "check": (
        Checks("static checks", STATIC),
        Pytest("unit", ("tests/unit",), QUICK),
        Pytest("exploration, in short", ("tests/explore",), QUICK),
    ),
    "test": (
        Checks("static checks", EVERY_STATIC),
        Pytest("unit", ("tests/unit",), (*ALL_CORES, "--cov")),
        Pytest("processes", ("tests/processes",), BY_FILE, before=bindings.install),
        Pytest("exploration", ("tests/explore",)),
        Pytest("bench", ("tests/bench",), BY_FILE),
        Pytest(
            "deployed",
            ("tests/deployed", "tests/browser", "tests/demo", "tests/drift", "tests/examples", "tests/live"),
            BY_DEPLOYMENT,
            before=chromium.install,
        ),
    ),
}


def run(parts: Sequence[Part], out: IO[str]) -> list[Result]:
    results = []
    for part in parts:
        print(f"\n== {part.name}", file=out, flush=True)
        results.append(part.run(out))
    return results


def summary(results: Sequence[Result]) -> str:
    """The slowest tests, the time of each part, and in the last line what passed."""
    cases = sorted((case for result in results for case in result.cases), key=lambda case: -case.seconds)
    lines = ["", f"The slowest {SLOWEST}:", *(f"{c.seconds:8.1f} s  {c.name}" for c in cases[:SLOWEST]), ""]
    lines.append(f"{'part':24} {'time':>7} {'passed':>8} {'failed':>8} {'skipped':>8}")
    for result in results:
        counts = " ".join(f"{result.number(outcome):8}" for outcome in ("passed", "failed", "skipped"))
        lines.append(f"{result.name:24} {_minutes(result.seconds):>7} {counts}")
    passed, failed, skipped = (
        sum(result.number(outcome) for result in results) for outcome in ("passed", "failed", "skipped")
    )
    lines += [f"{'all':24} {_minutes(sum(result.seconds for result in results)):>7}", ""]
    lines.append(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return "\n".join(lines)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def main(arguments: Sequence[str], out: IO[str] = sys.stdout) -> int:
    if len(arguments) != 1 or arguments[0] not in PARTS:
        print(f"Usage: python -m tests.support.suite {'|'.join(PARTS)}", file=sys.stderr)
        return 2
    # Hundreds of processes load the same modules. On a machine where Python keeps no bytecode, each would compile them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        results = run(PARTS[arguments[0]], out)
    except KeyboardInterrupt:
        return INTERRUPTED
    print(summary(results), file=out, flush=True)
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
