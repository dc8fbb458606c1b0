"""Runs the tests on mutants, as many at once as there are cores, each in a process and with a copy of its own.

The copy of the package comes first on the path, so that nothing is ever written where people work. What has no end
is found, too: a mutant may take many times the processor time that the tests take without it, and no more, however
busy the machine is.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from tests.mutation.choice import IMPORT, Choice
from tests.mutation.mutants import Mutant, compiles
from tests.mutation.project import Project, ProjectError

CPU_SECONDS = 120
"""The unit tests take half of that, all together."""
WALL_SECONDS = 1200
"""For what waits for something that never comes, which takes no processor time."""


class Outcome(Enum):
    FOUND = "found"
    ENDLESS = "found, because it has no end"
    SURVIVED = "nobody noticed"
    UNSEEN = "no test runs it"

    @property
    def found(self) -> bool:
        return self in (Outcome.FOUND, Outcome.ENDLESS)


@dataclass(frozen=True)
class Limits:
    """How many mutants at once, and how long each may take."""

    cores: int
    cpu_seconds: int = CPU_SECONDS
    wall_seconds: int = WALL_SECONDS


class Chosen:
    """A plugin of pytest that runs the tests of a list, and all of the files in it, in its order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        def place(item: pytest.Item) -> int | None:
            return self._place.get(item.nodeid, self._place.get(item.nodeid.split("::", 1)[0]))

        placed = [(number, item) for item in items if (number := place(item)) is not None]
        items[:] = [item for _, item in sorted(placed, key=lambda each: each[0])]


@dataclass
class _Running:
    mutant: Mutant | None
    process: ForkProcess
    folder: Path
    began: float


def hunt(
    project: Project,
    choice: Choice,
    chosen: Iterable[Mutant],
    tell: Callable[[Mutant, Outcome], None],
    limits: Limits,
) -> None:
    """Tells of every mutant what came of it, in the order in which they end. Raises ProjectError."""
    _preload(project)
    _control(project, choice, limits)
    waiting = list(chosen)[::-1]
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < limits.cores:
                mutant = waiting.pop()
                tests = choice.tests(mutant)
                if not tests:
                    tell(mutant, Outcome.UNSEEN)
                    continue
                running.append(_begin(project, mutant, tests, limits))
            connection.wait([r.process.sentinel for r in running], timeout=1)
            for ended in [r for r in running if not r.process.is_alive() or _too_long(r, limits)]:
                running.remove(ended)
                outcome = _end(ended)
                assert ended.mutant
                tell(ended.mutant, outcome)
    finally:
        for left in running:
            _end(left)


def _preload(project: Project) -> None:
    """What takes long to import is imported once for all: what the project names, and the plugins of pytest."""
    plugins = [each.module for each in importlib.metadata.entry_points(group="pytest11")]
    for name in (*project.preload, *(name for name in plugins if not name.startswith("schemathesis"))):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _control(project: Project, choice: Choice, limits: Limits) -> None:
    """The tests pass on a copy without a mutant: what makes them fail later is the mutant."""
    every = sorted(choice.weights.keys() - {IMPORT})
    if not every:
        raise ProjectError("No test runs any of it.")
    control = _begin(project, None, every[:50], limits)
    control.process.join()
    said = (control.folder / "said").read_text(encoding="utf-8")
    if _end(control) is not Outcome.SURVIVED:
        raise ProjectError(f"Without a mutant the tests have to pass:\n{said}")


def _begin(project: Project, mutant: Mutant | None, tests: Sequence[str], limits: Limits) -> _Running:
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    copy = folder / "sources" / project.package.name
    shutil.copytree(project.package, copy)
    if mutant:
        place = copy / mutant.path
        mutated = mutant.applied(place.read_text(encoding="utf-8"))
        assert compiles(mutated), f"{mutant}: this is no Python"
        place.write_text(mutated, encoding="utf-8")
        # Python takes what it has compiled for current if its source has the same size and time.
        for stale in place.parent.glob(f"__pycache__/{place.stem}.*.pyc"):
            stale.unlink()
    process = get_context("fork").Process(target=_run, args=(project, folder, tests, limits))
    process.start()
    return _Running(mutant, process, folder, time.monotonic())


def _run(project: Project, folder: Path, tests: Sequence[str], limits: Limits) -> None:
    """What the process of a mutant does."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.dont_write_bytecode = True
    os.chdir(project.root)
    # What Hypothesis finds in a mutant is of no use for the code as it is.
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
    options = [
        *(
            "-x",
            "-q",
            "--no-header",
            "--tb=line",
            "-p",
            "no:cacheprovider",
            "-n",
            "0",
            "-W",
            "ignore::pytest.PytestWarning",
        ),
        *("-o", f"pythonpath={folder / 'sources'} {project.root}", f"--basetemp={folder / 'temporary'}"),
        *sorted({test.split("::", 1)[0] for test in tests}),
    ]
    code = pytest.main(options, plugins=[Chosen(tests)])
    sys.stdout.flush()
    os._exit(int(code))  # threads that a mutant has left must not keep the process


def _too_long(running: _Running, limits: Limits) -> bool:
    return time.monotonic() - running.began > limits.wall_seconds


def _end(running: _Running) -> Outcome:
    if running.process.is_alive():
        running.process.kill()
    running.process.join()
    code = running.process.exitcode
    said = running.folder / "said"
    text = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
    running.process.close()
    shutil.rmtree(running.folder, ignore_errors=True)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise ProjectError(f"The tests that were chosen are not there:\n{text}")
    if code == 0:
        return Outcome.SURVIVED
    return Outcome.ENDLESS if code is not None and code < 0 else Outcome.FOUND
