"""The command line is installed from a checkout, as pip does with the address of the repository, and runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from park_volumes import __version__
from tests.support.environments import environment
from tests.support.terraform import ROOT

BUILD = "import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
BUILT_WITH = ("setuptools", "setuptools-*.dist-info", "_distutils_hack", "pkg_resources")
VERSION = f"park-volumes {__version__}\n"


def site_packages(name: str) -> Path:
    """Where the packages of one of our environments are."""
    (found,) = environment(name).folder.glob("lib/python3*/site-packages")
    return found


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with setuptools and nothing else, as pip gives it to a build."""
    folder = tmp_path_factory.mktemp("tools")
    for pattern in BUILT_WITH:
        for package in site_packages("checks").glob(pattern):
            (folder / package.name).symlink_to(package)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build reads of the repository; it writes beside it."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "lambda_src", folder / "lambda_src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def run(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program without what surrounds the tests, and least of all their PYTHONPATH."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=kept | variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, checkout: Path, tools: Path
) -> Path:
    """The programs of a fresh environment in which the command line is installed, with a boto3 that is there."""
    folder = tmp_path_factory.mktemp(request.param)
    built = run(
        *(sys.executable, "-S", "-c", BUILD.format(kind=request.param), folder / "dist"),
        cwd=checkout,
        PYTHONPATH=str(tools),
    )
    assert built.returncode == 0, built.stderr
    (package,) = (folder / "dist").iterdir()
    fresh = folder / "fresh"
    made = run(sys.executable, "-m", "venv", fresh, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    (libraries,) = fresh.glob("lib/python3*/site-packages")
    (libraries / "boto3.pth").write_text(str(site_packages("lambda")))
    options = ("--no-index", "--no-build-isolation", "--disable-pip-version-check")
    done = run(fresh / "bin" / "python", "-m", "pip", "install", *options, package, cwd=folder, PYTHONPATH=str(tools))
    assert done.returncode == 0, done.stdout + done.stderr
    return fresh / "bin"


def test_both_ways_to_call_it_tell_the_version(installed: Path, tmp_path: Path) -> None:
    for command in ([installed / "park-volumes"], [installed / "python", "-m", "park_volumes"]):
        done = run(*command, "--version", cwd=tmp_path)

        assert (done.returncode, done.stdout, done.stderr) == (0, VERSION, "")


def test_the_version_is_that_of_the_package_that_is_installed(installed: Path, tmp_path: Path) -> None:
    program = "import importlib.metadata as m; print('park-volumes', m.version('park-volumes'))"

    assert run(installed / "python", "-c", program, cwd=tmp_path).stdout == VERSION


def test_it_names_itself_as_it_was_called(installed: Path, tmp_path: Path) -> None:
    for called, command in (
        ("park-volumes", [installed / "park-volumes"]),
        ("python -m park_volumes", [installed / "python", "-m", "park_volumes"]),
    ):
        done = run(*command, cwd=tmp_path)

        assert done.returncode == 2
        assert re.match(rf"usage: {called} \[-h\]", done.stderr)


def test_its_commands_are_all_there(installed: Path, tmp_path: Path) -> None:
    nowhere = {"AWS_CONFIG_FILE": str(tmp_path / "none")}
    done = run(installed / "park-volumes", "list", cwd=tmp_path, **nowhere)

    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == "No region: give --region, for example --region eu-west-1, or set AWS_REGION.\n"


def test_an_unpacked_copy_tells_the_same_version_without_being_installed(checkout: Path) -> None:
    path = f"{checkout / 'lambda_src'}{os.pathsep}{site_packages('lambda')}"
    done = run(sys.executable, "-S", "-m", "park_volumes", "--version", cwd=checkout, PYTHONPATH=path)

    assert (done.returncode, done.stdout) == (0, VERSION), done.stderr
