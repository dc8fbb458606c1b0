"""How the browser of tests/browser is found and got, and what is said where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import chromium
from tests.support.terraform import ROOT

BROKEN, WORKS = "#!/bin/sh\nexit 1\n", "#!/bin/sh\necho Chromium 1\n"


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(script)
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_chromium_that_does_not_run_is_none(path: Path) -> None:
    program(path, "chromium", BROKEN)
    assert chromium.find() is None
    program(path, "google-chrome", WORKS)
    assert chromium.find() == str(path / "google-chrome")


def test_a_missing_one_is_installed_with_apt_where_that_can_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(
        path,
        "apt-get",
        f"""#!/bin/sh
echo "$@" >>{path}/asked
case "$1" in install) printf '#!/bin/sh\\nexit 0\\n' >{path}/chromium; /bin/chmod +x {path}/chromium;; esac
""",
    )
    assert chromium.install() == ""
    assert chromium.find() == str(path / "chromium")
    asked = (path / "asked").read_text().splitlines()
    assert asked[0].startswith("update")
    assert asked[1].endswith("--no-install-recommends chromium")


def test_where_only_the_korean_letters_are_missing_only_those_are_installed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ubuntu has a Chrome and no package of the name chromium."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(path, "google-chrome", WORKS)
    program(path, "fc-list", "#!/bin/sh\n")
    program(path, "apt-get", f'#!/bin/sh\necho "$@" >>{path}/asked\n')
    assert chromium.install() == ""
    assert (path / "asked").read_text().splitlines()[1].endswith("--no-install-recommends fonts-noto-cjk")


@pytest.mark.parametrize("apt", [None, BROKEN], ids=["without apt", "with an apt that fails"])
def test_where_it_can_not_be_installed_that_is_said(path: Path, apt: str | None) -> None:
    if apt:
        program(path, "apt-get", apt)
    assert "chromium is missing. Get it with: apt-get install -y chromium fonts-noto-cjk" in chromium.install()


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_without_one_the_tests_are_skipped_and_under_ci_they_fail(path: Path, ci: str, outcome: str) -> None:
    program(path, "terraform", WORKS)
    test = "tests/browser/test_page.py::test_a_stop_that_is_not_confirmed_does_nothing"
    environment = {**os.environ, "PATH": str(path), "CI": ci}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert outcome in done.stdout, done.stdout
    assert "apt-get install -y chromium fonts-noto-cjk" in done.stdout
