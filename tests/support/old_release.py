"""What people had before: the modules in tests/releases, each as it was, and their code beside today's.

``tests/releases/<version>.zip`` holds the Terraform files of that version and the zip that it deploys. The file beside
it says which commit that was, and the environment that its Terraform gives both functions by default.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

from tests.support.terraform import ROOT

FOLDER = ROOT / "tests" / "releases"
CODE = "dist/park_volumes.zip"
PACKAGE = "park_volumes"


@dataclass(frozen=True)
class OldRelease:
    version: str

    @property
    def environment(self) -> Mapping[str, str]:
        about = json.loads((FOLDER / f"{self.version}.json").read_text(encoding="utf-8"))
        environment: Mapping[str, str] = about["environment"]
        return environment

    def module(self, folder: Path) -> None:
        """Puts the module there, as a user got it."""
        with ZipFile(FOLDER / f"{self.version}.zip") as module:
            module.extractall(folder)

    def code(self, folder: Path, *names: str) -> list[ModuleType]:
        """Modules of its package, such as ``settings``, which know each other and nothing of today's package."""
        with ZipFile(FOLDER / f"{self.version}.zip") as module, ZipFile(io.BytesIO(module.read(CODE))) as code:
            code.extractall(folder)
        with _instead_of_today_s(folder):
            return [importlib.import_module(f"{PACKAGE}.{name}") for name in names]


OLDEST, LAST = OldRelease("0.1"), OldRelease("0.1-last")
"""The first code that could be deployed, and the last before version 1.0.0."""


@contextmanager
def _instead_of_today_s(folder: Path) -> Iterator[None]:
    """Within it, the package of that folder is imported under the name that today's has."""
    today = {name: module for name, module in sys.modules.items() if name.split(".")[0] == PACKAGE}
    for name in today:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]
        sys.modules.update(today)
