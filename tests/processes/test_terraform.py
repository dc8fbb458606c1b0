"""The Terraform files: formatted, valid, and with inputs that say what is wrong with them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.readme import blocks
from tests.support.terraform import ROOT, copy_module
from tests.support.terraform_mirror import terraform_environment

EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the module, with its Terraform tests."""
    folder = tmp_path_factory.mktemp("terraform") / "module"
    copy_module(folder)
    (folder / "tests").mkdir()
    for file in (ROOT / "tests").glob("*.tftest.hcl"):
        shutil.copy(file, folder / "tests")
    _terraform(folder, "init", "-backend=false", "-input=false")
    return folder


def _terraform(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", *arguments, "-no-color"],
        cwd=folder,
        env=terraform_environment(folder) | {"TF_IN_AUTOMATION": "1", "AWS_REGION": "ap-northeast-2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_module_is_valid_without_a_warning(module: Path) -> None:
    report = json.loads(_terraform(module, "validate", "-json"))
    assert (report["valid"], report["diagnostics"]) == (True, [])


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid_without_a_warning(module: Path, example: str) -> None:
    folder = module / "examples" / example
    _terraform(folder, "init", "-backend=false", "-input=false")
    report = json.loads(_terraform(folder, "validate", "-json"))
    assert (report["valid"], report["diagnostics"]) == (True, [])


@pytest.mark.parametrize("document", ["README.md", "docs/terraform.md"])
def test_every_configuration_in_the_documents_is_valid(module: Path, document: str) -> None:
    for number, block in enumerate(blocks((ROOT / document).read_text(encoding="utf-8"), "hcl")):
        folder = module / "documents" / document / str(number)
        (folder / "modules").mkdir(parents=True)
        (folder / "modules" / "park-volumes").symlink_to(module)
        (folder / "main.tf").write_text(block, encoding="utf-8")
        _terraform(folder, "init", "-backend=false", "-input=false")
        report = json.loads(_terraform(folder, "validate", "-json"))
        assert (report["valid"], report["diagnostics"]) == (True, []), block


def test_every_input_takes_what_is_right_and_says_what_is_wrong(module: Path) -> None:
    report = _terraform(module, "test")
    assert "0 failed" in report
