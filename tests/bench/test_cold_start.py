"""Loading a function and making its clients costs hardly more than boto3 itself: a ratio of CPU of real processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from statistics import median
from zipfile import ZipFile

import pytest

from tests.support.terraform import LAMBDA_PYTHON, ROOT
from tests.unit.functions import ENVIRONMENT, START_ENVIRONMENT

MOST = 1.35
FEWEST, ROUNDS = 15, 61
CPU_SECONDS = "import resource; r = resource.getrusage(resource.RUSAGE_SELF); print(r.ru_utime + r.ru_stime)"
BARE = "import boto3; boto3.client('ec2');"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as Lambda unpacks it: unlike the SDK it brings no bytecode, so that every cold start compiles it."""
    path = tmp_path_factory.mktemp("unpacked")
    with ZipFile(ROOT / "dist" / "park_volumes.zip") as archive:
        archive.extractall(path)
    return path


def seconds(code: str, path: Path) -> float:
    environment = os.environ | ENVIRONMENT | START_ENVIRONMENT
    environment |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    environment |= {"PYTHONPATH": str(path)}
    command = [LAMBDA_PYTHON, "-B", "-c", code + CPU_SECONDS]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["park", "start"])
def test_a_function_loads_almost_as_fast_as_a_bare_client(name: str, unpacked: Path) -> None:
    """The median ratio of pairs: a machine that changes its pace does so for both of a pair, and spoils few pairs. On a
    busy machine it takes more of them until those are few."""
    function = f"import park_volumes.handlers.{name};"
    ratios: list[float] = []
    while len(ratios) < FEWEST or (median(ratios) > MOST and len(ratios) < ROUNDS):
        ratios.append(seconds(function, unpacked) / seconds(BARE, unpacked))

    assert median(ratios) <= MOST
