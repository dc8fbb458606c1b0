"""The standard rules of tflint, checked without it: https://github.com/terraform-linters/tflint-ruleset-terraform"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.hcl import blocks, load, plain
from tests.support.terraform import ROOT

MODULES = [ROOT, *sorted(path for path in ROOT.glob("[em]*s/*") if (path / "main.tf").exists())]
"""The module, its submodules and the examples."""
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
STRING = re.compile(r'"(?:\\.|\$\{[^{}]*\}|[^"\\])*"')


@pytest.fixture(params=MODULES, ids=lambda path: path.name if path != ROOT else "module")
def module(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def _text(folder: Path) -> str:
    """The code without comments."""
    lines = (line for file in sorted(folder.glob("*.tf")) for line in file.read_text(encoding="utf-8").splitlines())
    return "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in lines)


def _every(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body for file in folder.glob("*.tf") for name, body in blocks(load(file), kind)}


def _locals(folder: Path) -> set[str]:
    found = (block for file in folder.glob("*.tf") for block in load(file).get("locals", []))
    return {name for block in found for name in plain(block)}


def test_comments_begin_with_a_hash(module: Path) -> None:
    text = STRING.sub("", _text(module))
    assert "//" not in text
    assert "/*" not in text


def test_an_expression_stands_without_an_interpolation_around_it(module: Path) -> None:
    assert re.findall(r'"\$\{[^{}"]+\}"', _text(module)) == []


def test_an_element_is_named_in_brackets(module: Path) -> None:
    assert re.findall(r"[\w\]]\.\d+\b(?!\.\d)", re.sub(r"\d+\.\d+", "", STRING.sub("", _text(module)))) == []


def test_a_map_is_looked_up_with_a_default_or_in_brackets(module: Path) -> None:
    assert re.findall(r"\blookup\([^,()]+,[^,()]+\)", _text(module)) == []


def test_no_map_has_a_key_twice(module: Path) -> None:
    """Of two, Terraform takes the last without a word."""
    text = re.sub(rf"({STRING.pattern})(\s*=)?", lambda found: found[0] if found[2] else "", _text(module))
    scopes: list[list[str]] = [[]]
    for found in re.finditer(r'(\{)|(\})|("[^"]+"|[\w-]+)\s*=(?![=>])', text):
        opened, closed, key = found.groups()
        if opened:
            scopes.append([])
        elif closed:
            keys = scopes.pop()
            assert len(keys) == len(set(keys)), keys
        else:
            scopes[-1].append(key.strip('"'))
    assert len(scopes) == 1


def test_lists_are_not_compared_with_an_empty_one(module: Path) -> None:
    assert re.findall(r"[!=]= *\[ *\]|\[ *\] *[!=]=", _text(module)) == []


def test_every_variable_has_a_description_and_a_type(module: Path) -> None:
    assert {
        name for name, v in _every(module, "variable").items() if not (v.get("description") and v.get("type"))
    } == set()


def test_every_output_has_a_description(module: Path) -> None:
    outputs = _every(module, "output")
    assert outputs
    assert {name for name, output in outputs.items() if not output.get("description")} == set()


def test_every_name_is_in_snake_case(module: Path) -> None:
    kinds = ("variable", "output", "resource", "data", "module")
    names = {name.rsplit(".", 1)[-1] for kind in kinds for name in _every(module, kind)} | _locals(module)
    assert names
    assert {name for name in names if not SNAKE_CASE.fullmatch(name)} == set()


def test_nothing_is_declared_that_is_not_used(module: Path) -> None:
    text = _text(module)
    declared = {f"var.{name}" for name in _every(module, "variable")}
    declared |= {f"data.{name}" for name in _every(module, "data")} | {f"local.{name}" for name in _locals(module)}
    assert {name for name in declared if not re.search(rf"\b{re.escape(name)}\b", text)} == set()


def test_versions_of_terraform_and_of_every_provider_are_required(module: Path) -> None:
    (terraform,) = load(module / "versions.tf")["terraform"]
    assert plain(terraform["required_version"])
    (required,) = terraform["required_providers"]
    providers = {name: plain(body) for name, body in required.items() if isinstance(body, dict)}
    assert all(body["source"] and body["version"] for body in providers.values())
    types = {name.split("_", 1)[0] for kind in ("resource", "data") for name in _every(module, kind)}
    assert types - {"terraform"} <= providers.keys()
    assert providers.keys() == {"aws"}, "the module needs no other provider, and an example hands on none"


def test_every_module_comes_from_this_repository(module: Path) -> None:
    assert {plain(body["source"]) for body in _every(module, "module").values()} <= {"../..", "../../modules/region"}


def test_files_have_the_standard_names_and_hold_what_they_are_named_after(module: Path) -> None:
    names = {file.name for file in module.glob("*.tf")}
    assert names >= {"main.tf", "outputs.tf", "versions.tf"}
    elsewhere = [module / name for name in sorted(names - {"variables.tf"})]
    assert [file.name for file in elsewhere if list(blocks(load(file), "variable"))] == []
    elsewhere = [module / name for name in sorted(names - {"outputs.tf"})]
    assert [file.name for file in elsewhere if list(blocks(load(file), "output"))] == []
