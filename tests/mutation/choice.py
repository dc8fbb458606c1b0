"""Which tests can find a mutant: those that run its line. What runs at an import, all that import it, however far away.

One run of all tests under coverage tells. It is remembered for as long as neither code nor tests change.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from coverage import CoverageData

from tests.mutation.mutants import Mutant
from tests.mutation.project import Project, ProjectError

CACHE = ".coverage.mutation.json"
RUNS = Mapping[str, Mapping[int, frozenset[str]]]
"""Path of a module in the package, and line, to the tests that run it."""
IMPORT = ""
"""Stands for a test where a line runs when its module is imported."""


@dataclass(frozen=True)
class Choice:
    runs: RUNS
    importers: Mapping[str, frozenset[str]]
    """Path of a module in the package to all modules that import it, directly or not: of the package and of the tests,
    the latter with their path in the project."""
    direct: Mapping[str, frozenset[str]]
    """The same without those that import it by way of another."""
    folder: str
    """Where the tests are that may be chosen: others import the same modules, and may take minutes."""

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests, or files of tests, that can find it.

        Those of the files that import the module itself come first, and of them those that run the least code: they
        find most, and end soon.
        """
        lines = self.runs.get(mutant.path, {})
        chosen = {test for line in range(mutant.first or mutant.line, mutant.line + 1) for test in lines.get(line, ())}
        if IMPORT in chosen:
            chosen = self._of_import(mutant.path)
        near = self.direct.get(mutant.path, frozenset())
        return sorted(
            chosen - {IMPORT},
            key=lambda test: (test.split("::", 1)[0] not in near, self.weights[test], test),
        )

    def _of_import(self, path: str) -> set[str]:
        """What is decided when a module is imported may show wherever it is imported, even if none of it runs."""
        modules = self.importers.get(path, frozenset()) | {path}
        near = (module for module in modules if module.startswith(f"{self.folder}/"))
        files = {module for module in near if module.rpartition("/")[2].startswith("test_")}
        return files | {test for m in modules for tests in self.runs.get(m, {}).values() for test in tests}

    @cached_property
    def weights(self) -> Counter[str]:
        """How many lines each test runs."""
        return Counter(test for lines in self.runs.values() for tests in lines.values() for test in tests)


def choose(project: Project, cores: int) -> Choice:
    state = fingerprint(project)
    cache = project.root / CACHE
    if cache.exists():
        remembered = json.loads(cache.read_text(encoding="utf-8"))
        if remembered["state"] == state:
            return Choice(_unpacked(remembered), *importers(project), project.tests)
    runs = _measure(project, cores)
    cache.write_text(json.dumps({"state": state} | _packed(runs)), encoding="utf-8")
    return Choice(runs, *importers(project), project.tests)


def fingerprint(project: Project) -> str:
    """Of everything that the tests run."""
    digest = hashlib.sha256()
    folders = {project.package, project.root / project.tests.split("/", maxsplit=1)[0]}
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        digest.update(f"{file.relative_to(project.root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def importers(project: Project) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Of each module in the package: who imports it, by way of others or not, and who does so directly."""
    modules = {file.relative_to(project.package).as_posix(): file for file in project.package.rglob("*.py")}
    names = {_name(project.package.name, path): path for path in modules}
    folder = project.root / project.tests.split("/", maxsplit=1)[0]
    for file in folder.rglob("*.py"):
        path = file.relative_to(project.root).as_posix()
        modules[path] = file
        names[_name("", path)] = path
    direct: dict[str, set[str]] = {path: set() for path in modules}
    for path, file in modules.items():
        for name in _imported(ast.parse(file.read_text(encoding="utf-8"))):
            if name in names:
                direct[names[name]].add(path)
    every = {}
    for path in modules:
        reached, left = {path}, [path]
        while left:
            further = direct[left.pop()] - reached
            reached |= further
            left += further
        every[path] = frozenset(reached - {path})
    return every, {path: frozenset(found) for path, found in direct.items()}


def _name(package: str, path: str) -> str:
    parts = [*([package] if package else []), *path.removesuffix(".py").split("/")]
    return ".".join(parts).removesuffix(".__init__")


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _measure(project: Project, cores: int) -> RUNS:
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "coveragerc"
        settings.write_text(f"[run]\nsource = {project.package}\ndata_file = {folder}/data\n", encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pytest", project.tests, "-q", "-n", str(cores), "-p", "no:cacheprovider"),
            *(f"--cov={project.package}", f"--cov-config={settings}", "--cov-context=test", "--cov-report="),
            *("-o", f"pythonpath={project.package.parent} {project.root}"),
        ]
        done = subprocess.run(
            command,
            cwd=project.root,
            env=os.environ | {"COVERAGE_FILE": f"{folder}/data"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProjectError(f"Without a mutant the tests have to pass:\n{done.stdout}")
        data = CoverageData(f"{folder}/data")
        data.read()
        return {
            Path(file).relative_to(project.package).as_posix(): {
                line: tests
                for line, contexts in data.contexts_by_lineno(file).items()
                if (tests := frozenset(context.rsplit("|", 1)[0] for context in contexts))
            }
            for file in data.measured_files()
        }


def _packed(runs: RUNS) -> dict[str, object]:
    """Tests are long names, and the same ones run many lines."""
    names = sorted({test for lines in runs.values() for tests in lines.values() for test in tests})
    place = {name: number for number, name in enumerate(names)}
    packed = {p: {str(n): sorted(place[t] for t in tests) for n, tests in lines.items()} for p, lines in runs.items()}
    return {"names": names, "runs": packed}


def _unpacked(remembered: Mapping[str, object]) -> RUNS:
    names, runs = remembered["names"], remembered["runs"]
    assert isinstance(names, list)
    assert isinstance(runs, dict)
    return {p: {int(n): frozenset(names[t] for t in tests) for n, tests in lines.items()} for p, lines in runs.items()}
