"""An environment is made for good, from pins with hashes, and the one of the demo has what the demo imports."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment, Progress, SetUpError, environment, is_current, make, set_up
from tests.support.terraform import LAMBDA_PYTHON, ROOT

WHEEL = "toy-1.0-py3-none-any.whl"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a package, which pip is told of; answers its hash."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("toy.py", "SAID = 'hello'\n")
        wheel.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        wheel.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("toy-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest()


@pytest.mark.parametrize("with_pip", [True, False], ids=["with the pip of the system", "without one"])
@pytest.mark.parametrize("changed", [False, True], ids=["the same", "another"])
def test_only_what_has_the_hash_of_its_pin_is_installed(
    tmp_path: Path, wheels: str, changed: bool, with_pip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_pip:
        monkeypatch.setattr(environments, "_pip_can_install_elsewhere", lambda: False)
    (tmp_path / "requirements").mkdir()
    digest = "0" * 64 if changed else wheels
    (tmp_path / "requirements" / "demo.txt").write_text(f"toy==1.0 \\\n    --hash=sha256:{digest}\n")
    wanted, said = environment("demo", tmp_path), io.StringIO()
    if changed:
        with pytest.raises(SetUpError, match="DO NOT MATCH THE HASHES"):
            set_up(["demo"], tmp_path, said)
        assert not is_current(wanted)
        return
    set_up(["demo"], tmp_path, said)
    assert is_current(wanted)
    assert "everything is here" in said.getvalue()
    done = subprocess.run(
        [str(wanted.python), "-c", "import toy; print(toy.SAID)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "hello\n"


def test_a_link_to_another_checkout_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    pins = tmp_path / "demo.txt"
    pins.write_text("")
    with pytest.raises(SetUpError, match="belongs to another checkout"):
        make(Environment("demo", tmp_path / "link", pins), Progress({"demo": 0}, io.StringIO()))
    assert list((tmp_path / "other").iterdir()) == []


PROGRAM = """
import json, sys
import tests.demo.__main__
from tests.local_aws.client import LocalAws
import boto3
with LocalAws(lambda_python=sys.argv[1]) as aws:
    for service, operation in json.loads(sys.argv[2]).items():
        getattr(boto3.client(service, **aws.boto3_arguments()), operation)()
print("all of it answers")
"""
ASKED = {
    "ec2": "describe_instances",
    "sqs": "list_queues",
    "lambda": "list_functions",
    "events": "list_rules",
    "iam": "list_roles",
    "kms": "list_keys",
    "logs": "describe_log_groups",
    "cloudwatch": "describe_alarms",
    "sts": "get_caller_identity",
    "ssm": "describe_parameters",
    "sns": "list_topics",
}
"""Every service that examples/complete and the demo use, by a call of it."""


def test_the_environment_of_the_demo_has_what_the_demo_needs() -> None:
    """The demo itself takes minutes; this imports all of it, and asks every service once."""
    demo = environment("demo")
    if not demo.python.exists():
        assert not os.environ.get("CI"), "make setup has not made .venv-demo"
        pytest.skip("make setup makes .venv-demo")
    done = subprocess.run(
        [str(demo.python), "-c", PROGRAM, LAMBDA_PYTHON, json.dumps(ASKED)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "lambda_src:."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "all of it answers\n"), done.stderr


def test_the_set_up_runs_in_the_python_of_the_system() -> None:
    """With nothing installed: it may import the standard library only."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "tests" / "support" / "environments.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
