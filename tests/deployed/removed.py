"""An account from which the module is removed while instances are parked, and a shell in it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.ahead import Ahead
from tests.support.fleet import PATIENCE, Disk, Fleet, Picture
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, QUIET, ROOT, TIMEOUT, Terraform

REGION = "ap-northeast-2"
VARIABLES = {**QUICK_INPUTS, "snapshot_retention_hours": 0}
OPTED_IN = {"ParkVolumes": "true"}
DISKS = (
    Disk(size=16, iops=4000, throughput=200, tags={"Name": "root"}),
    Disk(device="/dev/sdf", size=30, type="gp2", delete_on_termination=False, tags={"Name": "data"}),
)


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A shell on somebody's laptop, in the local AWS's account and by its clock."""

    aws: LocalAws

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ("--function-timeout-seconds", str(TIMEOUT), "--quiet-period-seconds", str(QUIET))
        return subprocess.run(
            [sys.executable, "-m", "tests.local_aws.laptop", "park_volumes", *options, *arguments],
            env=self.aws.environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'lambda_src'}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@dataclass(frozen=True, kw_only=True)
class Removed:
    """An account from which the module was removed while two instances were parked."""

    shell: Shell
    fleet: Fleet
    ids: Mapping[str, str]
    before: Mapping[str, Picture]
    checked: subprocess.CompletedProcess[str]
    examined: subprocess.CompletedProcess[str]
    left: Mapping[str, list[str]]


def remove(ahead: Ahead) -> Removed:
    """The module is applied, parks two instances, and is destroyed."""
    aws = ahead.enter(LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON))
    workspace = ahead.enter(tempfile.TemporaryDirectory(prefix="removed-"))
    ec2 = aws.client("ec2")
    fleet = Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")
    ids = {name: fleet.launch(name, DISKS, OPTED_IN) for name in ("db", "web")}
    for instance_id in ids.values():
        aws.write(instance_id)
    before = {name: fleet.picture(i) for name, i in ids.items()}
    module = Terraform("complete", Path(workspace), aws.environment(), VARIABLES)
    module.apply()
    ec2.stop_instances(InstanceIds=list(ids.values()))
    aws.wait_for(lambda: _is_parked(fleet, ids), PATIENCE, "both to be parked")
    shell = Shell(aws=aws)
    checked, examined = shell.run("check"), shell.run("doctor")
    module.destroy()
    return Removed(
        shell=shell, fleet=fleet, ids=ids, before=before, checked=checked, examined=examined, left=dict(aws.resources())
    )


def _is_parked(fleet: Fleet, ids: Mapping[str, str]) -> bool:
    """Neither of them has a volume, nor is any still to be deleted."""
    marked = [{"Name": "tag-key", "Values": ["park-volumes:mark"]}]
    left = fleet.ec2.describe_volumes(Filters=marked)["Volumes"]  # type: ignore[arg-type]
    return not left and not any(fleet.volume_ids(i) for i in ids.values())
