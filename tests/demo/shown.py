"""What ``make demo`` prints where there is no terminal, in a hurry."""

from __future__ import annotations

import subprocess

from tests.local_aws.client import AS_STARTED
from tests.support.ahead import Ahead
from tests.support.terraform import DEMO_PYTHON, ROOT


def show(_: Ahead) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in AS_STARTED.items() if key != "KEEP"}
    return subprocess.run(
        [DEMO_PYTHON, "-m", "tests.demo"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": "lambda_src", "HURRY": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
