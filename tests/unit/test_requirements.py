"""What is installed: pinned with hashes, from short lists that say why, and from nowhere in particular."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.environments import FOLDERS
from tests.support.terraform import ROOT

FOLDER = ROOT / "requirements"
NAMES = sorted(path.stem for path in FOLDER.glob("*.in"))
PIN = re.compile(r"([a-z0-9][a-z0-9-]*)==([^ ;]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
WANTED = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?(?:==([^\s]+))?")


def text_of(name: str, kind: str) -> str:
    return (FOLDER / f"{name}.{kind}").read_text(encoding="utf-8")


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version, _ in PIN.findall(text_of(name, "txt")):
        found.setdefault(package, set()).add(version)
    return found


def lines(name: str) -> list[str]:
    return [line for line in text_of(name, "in").splitlines() if not line.startswith("#")]


def test_there_is_an_environment_of_each_list_and_a_list_for_each_environment() -> None:
    assert NAMES == sorted(FOLDERS) == sorted(path.stem for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_is_installed_is_pinned_with_its_hashes(name: str) -> None:
    left = PIN.sub("", text_of(name, "txt"))
    assert pins(name)
    assert re.sub(r"^ *#.*\n", "", left, flags=re.MULTILINE) == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_a_list_says_why_it_is_there(name: str) -> None:
    assert lines(name)
    assert [line for line in lines(name) if not re.fullmatch(r"\S+( \S+)?  +# \S.+", line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_pins_are_those_of_the_list(name: str) -> None:
    for line in lines(name):
        if line.startswith("-"):
            continue
        found = WANTED.match(line)
        assert found
        package, version = found.groups()
        assert package in pins(name), "run make pins"
        assert version is None or pins(name)[package] == {version}, "run make pins"


@pytest.mark.parametrize(("part", "whole"), [("lambda", "demo"), ("demo", "dev"), ("lambda", "dev")])
def test_what_two_environments_share_has_the_same_version_in_both(part: str, whole: str) -> None:
    shared = pins(part).keys() & pins(whole).keys()
    assert {name: pins(part)[name] for name in shared} == {name: pins(whole)[name] for name in shared}


def test_the_tests_have_everything_that_the_demo_has() -> None:
    assert pins("demo").keys() <= pins("dev").keys()


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_file_says_where_packages_come_from(file: Path) -> None:
    """Everybody has a registry of their own."""
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"://|--(?:extra-)?index|--find-links|--trusted|(?:^|\s)-[fi]\s", text) == []


def test_a_header_tells_renovate_how_the_pins_are_made_anew() -> None:
    recipe = "uv pip compile --universal --python-version=3.11 --generate-hashes"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert recipe.replace("compile", "compile --quiet") in makefile
    for name in NAMES:
        assert text_of(name, "txt").splitlines()[1] == f"#    {recipe} --output-file={name}.txt {name}.in"


def test_the_layer_is_the_one_with_the_pinned_version() -> None:
    """The functions are tested with the version that the layer has in AWS."""
    said = re.search(
        r"^aws-lambda-powertools==(\S+) .*this version is layer (\d+)$", text_of("lambda", "in"), re.MULTILINE
    )
    assert said
    module = (ROOT / "main.tf").read_text(encoding="utf-8")
    assert re.findall(r"The public layer, version ([\d.]+):", module) == [said[1]]
    assert re.findall(r"AWSLambdaPowertoolsPythonV3-.*:(\d+)", module) == [said[2]]
