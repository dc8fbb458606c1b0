"""What is mutated, with what: as ``[tool.mutation]`` of pyproject.toml says, and tests/mutation/equivalent.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, mutants


class ProjectError(Exception):
    """What is told is not so, as a sentence."""


@dataclass(frozen=True)
class Equivalent:
    """A mutant that no test can find, because it changes nothing that anybody could see."""

    file: str
    line: str
    change: str
    reason: str
    number: int = 0
    """Which one of those with this change in this line; 0: all."""

    def means(self, mutant: Mutant, source: str) -> bool:
        same = (self.file, self.change) == (mutant.path, mutant.change)
        return same and self.number in (0, mutant.number) and mutant.text_of_line(source) == self.line


@dataclass(frozen=True)
class Project:
    root: Path
    package: Path
    """The folder of the package whose modules are mutated."""
    rooms: tuple[str, ...]
    """Files and folders in it."""
    tests: str
    at_least: float
    """Percent."""
    preload: tuple[str, ...] = ()
    """What takes long to import, and is imported once for all mutants."""
    equivalents: tuple[Equivalent, ...] = field(default=())

    def sources(self) -> dict[str, str]:
        """The text of every module that is mutated, by its path in the package."""
        found: dict[str, str] = {}
        for room in self.rooms:
            place = self.package / room
            files = [place] if place.is_file() else sorted(place.rglob("*.py"))
            if not files:
                raise ProjectError(f"There is no {place.relative_to(self.root)}: say in pyproject.toml where it is.")
            found |= {file.relative_to(self.package).as_posix(): file.read_text(encoding="utf-8") for file in files}
        return found

    def mutants(self) -> list[Mutant]:
        """Every fault that a test should find. Raises ProjectError if an equivalent one is told that is none."""
        sources = self.sources()
        every = [mutant for path, source in sources.items() for mutant in mutants(path, source)]
        for told in self.equivalents:
            if not told.reason or not any(told.means(mutant, sources[mutant.path]) for mutant in every):
                raise ProjectError(
                    f"{told.file} has no mutant {told.change!r} in the line {told.line!r}, or no reason is told: "
                    f"bring equivalent.toml up to date."
                )
        return [m for m in every if not any(told.means(m, sources[m.path]) for told in self.equivalents)]


def read(root: Path) -> Project:
    configuration: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    told = configuration["tool"]["mutation"]
    listed = tomllib.loads((root / told["equivalents"]).read_text(encoding="utf-8")).get("equivalent", [])
    return Project(
        root=root,
        package=root / told["package"],
        rooms=tuple(told["rooms"]),
        tests=told["tests"],
        at_least=float(told["at-least"]),
        preload=tuple(told.get("preload", ())),
        equivalents=tuple(Equivalent(**entry) for entry in listed),
    )
