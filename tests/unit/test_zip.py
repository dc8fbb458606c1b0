"""The zip that is checked in is the one that the sources make. tests/processes builds it as people do."""

from __future__ import annotations

import runpy
import zipfile
from pathlib import Path

from tests.support.terraform import ROOT


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_checked_in_zip_holds_what_the_sources_are(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "lambda_src" / "build.py"))["build"](tmp_path / "new.zip")
    assert contents(ROOT / "dist" / "park_volumes.zip") == contents(tmp_path / "new.zip"), "run make package"
