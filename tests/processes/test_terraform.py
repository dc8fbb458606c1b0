"""The Terraform files: formatted, valid, and with inputs that say what is wrong with them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.readme import blocks
from tests.support.release import of_this_copy
from tests.support.terraform import ROOT, copy_module
from tests.support.terraform_mirror import terraform_environment

ACCEPTED = "accepted.tftest.hcl"
"""The runs of variables.tftest.hcl that reject nothing."""
EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("[em]*s/*") if (path / "main.tf").exists())
"""The examples, and the submodules."""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the module, with its Terraform tests."""
    folder = tmp_path_factory.mktemp("terraform") / "module"
    copy_module(folder)
    (folder / "tests").mkdir()
    for file in (ROOT / "tests").glob("*.tftest.hcl"):
        shutil.copy(file, folder / "tests")
    mocks, *runs = (ROOT / "tests" / "variables.tftest.hcl").read_text(encoding="utf-8").split("\nrun ")
    accepting = [run for run in runs if "expect_failures" not in run]
    (folder / "tests" / ACCEPTED).write_text("\nrun ".join([mocks, *accepting]), encoding="utf-8")
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
def test_every_example_and_submodule_is_valid_without_a_warning(module: Path, example: str) -> None:
    folder = module / example
    _terraform(folder, "init", "-backend=false", "-input=false")
    report = json.loads(_terraform(folder, "validate", "-json"))
    assert (report["valid"], report["diagnostics"]) == (True, [])


@pytest.mark.parametrize(
    "document", ["README.md", "docs/api.md", "docs/regions.md", "docs/terraform.md", "modules/region/README.md"]
)
def test_every_configuration_in_the_documents_is_valid(module: Path, document: str) -> None:
    """Where one names a release, it gets this copy of the module."""
    for number, block in enumerate(blocks((ROOT / document).read_text(encoding="utf-8"), "hcl")):
        folder = module / "documents" / document / str(number)
        folder.mkdir(parents=True)
        (folder / "park-volumes").symlink_to(module)
        (folder / "main.tf").write_text(of_this_copy(block, "./park-volumes"), encoding="utf-8")
        _terraform(folder, "init", "-backend=false", "-input=false")
        report = json.loads(_terraform(folder, "validate", "-json"))
        assert (report["valid"], report["diagnostics"]) == (True, []), block


@pytest.mark.parametrize("file", ["deployment.tftest.hcl", "region.tftest.hcl", ACCEPTED])
def test_what_is_deployed_is_as_it_should_be_and_every_input_takes_what_is_right(module: Path, file: str) -> None:
    """What an input rejects is seen in test_inputs.py, with its message, in one go instead of a plan for each."""
    runs = (module / "tests" / file).read_text(encoding="utf-8").count("\nrun ")
    assert runs
    assert f"{runs} passed, 0 failed" in _terraform(module, "test", f"-filter=tests/{file}")
