"""Loading a function and making its clients costs hardly more than boto3 itself: a ratio of CPU of real processes."""

from __future__ import annotations

import os
import subprocess
from statistics import median

import pytest

from tests.support.terraform import LAMBDA_PYTHON, ROOT
from tests.unit.functions import ENVIRONMENT, START_ENVIRONMENT

MOST = 1.35
ROUNDS = 7
CPU_SECONDS = "import resource; r = resource.getrusage(resource.RUSAGE_SELF); print(r.ru_utime + r.ru_stime)"
BARE = "import boto3; boto3.client('ec2');"


def seconds(code: str) -> float:
    environment = os.environ | ENVIRONMENT | START_ENVIRONMENT
    environment |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    environment |= {"PYTHONPATH": str(ROOT / "lambda_src")}
    command = [LAMBDA_PYTHON, "-c", code + CPU_SECONDS]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["park", "start"])
def test_a_function_loads_almost_as_fast_as_a_bare_client(name: str) -> None:
    """The median of the ratios of some pairs: what the machine does beside it weighs on both of a pair."""
    ratios = [seconds(f"import park_volumes.handlers.{name};") / seconds(BARE) for _ in range(ROUNDS)]

    assert median(ratios) <= MOST
