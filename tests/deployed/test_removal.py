"""The module is removed while instances are parked: the command line brings everything back, with nothing deployed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import boto3
import pytest

from tests.deployed.conftest import REGION, VARIABLES
from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK
from tests.support.fleet import PATIENCE, Disk, Fleet, Picture, differences
from tests.support.terraform import LAMBDA_PYTHON, QUIET, ROOT, TIMEOUT, Terraform

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
    left: Mapping[str, list[str]]


@pytest.fixture(scope="module")
def removed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Removed]:
    with LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON) as aws:
        ec2 = boto3.client("ec2", **aws.boto3_arguments())  # type: ignore[call-overload]  # the arguments are a mapping
        fleet = Fleet(aws=aws, ec2=ec2, zone=f"{REGION}a")
        ids = {name: fleet.launch(name, DISKS, OPTED_IN) for name in ("db", "web")}
        for instance_id in ids.values():
            aws.write(instance_id)
        before = {name: fleet.picture(i) for name, i in ids.items()}
        module = Terraform("complete", tmp_path_factory.mktemp("removed"), aws.environment(), VARIABLES)
        module.apply()
        ec2.stop_instances(InstanceIds=list(ids.values()))
        marked = [{"Name": "tag-key", "Values": ["park-volumes:mark"]}]
        aws.wait_for(
            lambda: (
                not any(fleet.volume_ids(i) for i in ids.values())
                and not ec2.describe_volumes(Filters=marked)["Volumes"]
            ),
            PATIENCE,
            "both to be parked",
        )
        shell = Shell(aws=aws)
        checked = shell.run("check")
        module.destroy()
        yield Removed(shell=shell, fleet=fleet, ids=ids, before=before, checked=checked, left=dict(aws.resources()))


def test_a_check_before_the_removal_names_who_is_parked_and_fails(removed: Removed) -> None:
    assert removed.checked.returncode == 3
    named = set(re.findall(r"(i-\w+) \((\w+)\) is park(?:ed|ing)\.", removed.checked.stdout))
    assert named == {(i, name) for name, i in removed.ids.items()}, removed.checked.stdout


def test_nothing_of_the_module_is_left(removed: Removed) -> None:
    ours = ("lambda", "sqs", "events", "iam", "logs")
    assert not [ids for kind, ids in removed.left.items() if ids and any(word in kind for word in ours)]


def test_everything_is_restored_without_the_module_as_it_was(removed: Removed) -> None:
    done = removed.shell.run("restore", "--all")

    assert done.returncode == 0, done.stdout
    for name, instance_id in removed.ids.items():
        assert removed.fleet.state(instance_id) == "stopped"
        assert differences(removed.before[name], removed.fleet.picture(instance_id)) == []
    assert removed.shell.run("check").returncode == 0


def test_and_starts_without_the_module(removed: Removed) -> None:
    done = removed.shell.run("start", "db")

    assert done.returncode == 0, done.stdout
    assert removed.fleet.state(removed.ids["db"]) == "running"
    assert differences(removed.before["db"], removed.fleet.picture(removed.ids["db"])) == []
