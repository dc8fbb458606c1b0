"""Programs of this repository, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import terraform_mirror
from tests.support.terraform import ROOT


def test_the_command_line_needs_neither_powertools_nor_rich() -> None:
    program = (
        "import sys; sys.modules['rich'] = sys.modules['aws_lambda_powertools'] = None\n"
        "from park_volumes.__main__ import run\n"
        "sys.argv = ['park-volumes', '--help']\n"
        "run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "lambda_src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "restore" in done.stdout


def test_the_mirror_of_terraform_passes_the_environment_on_and_the_exit_code_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    binary = cache / terraform_mirror.PROVIDER / "5.100.0" / terraform_mirror._target() / "terraform-provider-aws_v5"
    binary.parent.mkdir(parents=True)
    binary.touch()
    missing = str(tmp_path / "missing")
    for name, value in {"TF_PLUGIN_CACHE_DIR": str(cache), "TF_CLI_CONFIG_FILE": missing}.items():
        monkeypatch.setenv(name, value)
    command = "import os, shutil, sys; shutil.copy(os.environ['TF_CLI_CONFIG_FILE'], sys.argv[1]); sys.exit(3)"

    assert terraform_mirror.main([sys.executable, "-c", command, str(tmp_path / "seen")]) == 3
    assert str(cache) in (tmp_path / "seen").read_text()
    assert os.environ["TF_CLI_CONFIG_FILE"] == missing
