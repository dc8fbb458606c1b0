"""`make live` on the local AWS: the very same command, which goes by the local AWS's clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.credentials import Credentials

from tests.live.deployment import deployed
from tests.live.lab import Aws
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import Settings
from tests.support.ahead import Ahead
from tests.support.terraform import LAMBDA_PYTHON, ROOT

REGION = "eu-west-1"
ALIVE = Settings(hurries=True)
"""Everything takes seconds, so that it is seen under way by whoever looks every three."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A run that came to its end: what it said, its report, and what it made and left."""

    code: int
    said: str
    page: str
    told: Mapping[str, Any]
    made: Mapping[str, int]
    left: Mapping[str, list[str]]


def command(aws: LocalAws, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """What `make live` and `make live-clean` run."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.local_aws.laptop", "tests.live", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env=aws.environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'lambda_src'}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def rehearse(ahead: Ahead) -> Rehearsal:
    folder = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="live-")))
    with LocalAws(settings=ALIVE, region=REGION, lambda_python=LAMBDA_PYTHON) as aws, aws.standing_still():
        process = command(aws, folder, "run", "--region", REGION, "--yes")
        said, _ = process.communicate()
        made: dict[str, int] = {}
        for call in aws.calls():
            if not call["error"]:
                made[call["operation"]] = made.get(call["operation"], 0) + 1
        (kept,) = folder.iterdir()
        return Rehearsal(
            code=process.returncode,
            said=said,
            page=(kept / "report.md").read_text(encoding="utf-8"),
            told=json.loads((kept / "report.json").read_text(encoding="utf-8")),
            made=made,
            left=dict(aws.resources()),
        )


def account_of(aws: LocalAws) -> Aws:
    """The local AWS as a run sees it, for those who ask from this process."""
    session: Any = boto3.session.Session()
    return Aws(
        region=aws.region,
        client=lambda service, **more: session.client(service, **(aws.boto3_arguments() | more)),
        now=aws.now,
        wait=aws.run,
        local=True,
        environment=aws.environment(),
        credentials=lambda: Credentials(ADMIN_KEY, ADMIN_SECRET),
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A deployment that stands already, and that no story destroys."""

    outputs: Mapping[str, Any]

    def apply(self) -> dict[str, Any]:
        return dict(self.outputs)

    def destroy(self) -> None:
        """Others use it, too."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A local AWS for whoever makes it wrong, with a deployment in it."""

    aws: LocalAws
    account: Aws
    module: Standing


def open_workshop(ahead: Ahead) -> Workshop:
    aws = ahead.enter(LocalAws(settings=ALIVE, region=REGION, lambda_python=LAMBDA_PYTHON))
    ahead.enter(aws.standing_still())
    folder = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="workshop-")))
    account = account_of(aws)
    outputs = deployed(account, folder, "standing").apply()
    return Workshop(aws=aws, account=account, module=Standing(outputs=outputs))


@dataclass(frozen=True, kw_only=True)
class Crashed:
    """A run that died in the middle of `terraform apply`: what there was, what `make live-clean` said and left."""

    there: Mapping[str, list[str]]
    code: int
    said: str
    left: Mapping[str, list[str]]


def crash(ahead: Ahead) -> Crashed:
    folder = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="crashed-")))
    with LocalAws(settings=ALIVE, region=REGION, lambda_python=LAMBDA_PYTHON) as aws, aws.standing_still():
        process = command(aws, folder, "run", "--region", REGION, "--yes")
        while "functions" not in aws.resources() and process.poll() is None:
            time.sleep(0.2)  # until Terraform has made the functions, however long that takes
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        there = aws.resources()
        (kept,) = folder.iterdir()
        cleaning = command(aws, folder, "clean", "--run", kept.name)
        said, _ = cleaning.communicate()
        return Crashed(there=there, code=cleaning.returncode, said=said, left=aws.resources())
