"""The zip that is deployed is the one that the sources make, on any machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CHECKED_IN = REPOSITORY / "dist" / "park_volumes.zip"
BUILD = REPOSITORY / "lambda_src" / "build.py"


def build(target: Path, *, script: Path = BUILD, cwd: Path = REPOSITORY, umask: int = 0o022) -> bytes:
    """Build as `make package` does, in a process of its own."""
    subprocess.run(
        [sys.executable, str(script), str(target)], check=True, cwd=cwd, umask=umask, env={"PATH": os.defpath}
    )
    return target.read_bytes()


def copied_sources(folder: Path) -> Path:
    """The sources at another place, with other times and modes, and with what a work tree collects."""
    copy = Path(shutil.copytree(BUILD.parent, folder / "elsewhere"))
    for path in copy.rglob("*"):
        os.utime(path, (981173106, 981173106))
        if path.is_file():
            path.chmod(0o600)
    (copy / "park_volumes" / "__pycache__").mkdir(exist_ok=True)
    (copy / "park_volumes" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"compiled")
    (copy / "park_volumes" / "notes.txt").write_text("not for the zip")
    return copy / "build.py"


def entries(archive: bytes) -> list[tuple[str, tuple[int, ...], int, bytes]]:
    """What is in a zip, in its order: names, times, modes and contents, however they are compressed."""
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        return [(e.filename, e.date_time, e.external_attr, opened.read(e)) for e in opened.infolist()]


@pytest.fixture
def plain(tmp_path: Path) -> bytes:
    """What `make package` makes here."""
    return build(tmp_path / "plain.zip")


def test_the_checked_in_zip_is_the_one_that_the_sources_make(plain: bytes) -> None:
    assert entries(CHECKED_IN.read_bytes()) == entries(plain), (
        "dist/park_volumes.zip is not built from these sources: run make package"
    )


def test_two_builds_make_the_same_bytes(tmp_path: Path, plain: bytes) -> None:
    assert build(tmp_path / "again.zip") == plain


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_umask_and_the_working_directory_do_not_matter(tmp_path: Path, plain: bytes, umask: int) -> None:
    assert build(tmp_path / "new.zip", cwd=tmp_path, umask=umask) == plain


def test_times_modes_and_left_overs_of_the_work_tree_do_not_matter(tmp_path: Path, plain: bytes) -> None:
    assert build(tmp_path / "new.zip", script=copied_sources(tmp_path)) == plain


def test_the_folder_of_the_zip_is_made(tmp_path: Path, plain: bytes) -> None:
    assert build(tmp_path / "new" / "folder" / "a.zip") == plain


def test_the_zip_holds_what_the_functions_need_and_nothing_else(plain: bytes) -> None:
    sources = {p.relative_to(BUILD.parent).as_posix() for p in (BUILD.parent / "park_volumes").rglob("*.py")}
    sources = {s for s in sources if not s.startswith(("park_volumes/cli/", "park_volumes/__main__"))}
    sources |= {"park_volumes/handlers/page.html", "park_volumes/handlers/openapi.json"}

    with zipfile.ZipFile(BytesIO(plain)) as archive:
        assert set(archive.namelist()) == sources
        assert archive.testzip() is None


def test_every_module_in_the_zip_can_be_read_by_the_runtime(plain: bytes) -> None:
    with zipfile.ZipFile(BytesIO(plain)) as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_the_zip_is_small(plain: bytes) -> None:
    assert len(plain) < 300_000
