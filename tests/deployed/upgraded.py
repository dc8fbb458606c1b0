"""The oldest release, deployed by Terraform; an upgrade to today's module while instances are everywhere on their way;
and the way back and up again while one is parked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.iam.judge import denials
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import QUICK
from tests.model.policies import Deny, tagged
from tests.support.ahead import Ahead
from tests.support.fleet import PATIENCE, Disk, Fleet, Picture
from tests.support.old_release import OLDEST
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, RootModule, copy_module
from tests.support.url import Answer, FunctionUrl

REGION = "ap-northeast-2"
STACK = """\
module "park_volumes" {
  source = "./module"

  function_timeout_seconds = FUNCTION_TIMEOUT_SECONDS
  quiet_period_seconds     = QUIET_PERIOD_SECONDS
  sweep_interval_minutes   = SWEEP_INTERVAL_MINUTES
}

output "function_url" {
  value = module.park_volumes.function_url
}
"""
NAMES = ("running", "copying", "locked", "committed", "parked", "restoring", "on its way back")


@dataclass(kw_only=True)
class Upgraded:
    """What was seen. ``seen`` is where each instance stood when the upgrade began."""

    ids: Mapping[str, str]
    before: Mapping[str, Picture]
    seen: dict[str, str] = field(default_factory=dict)
    left: Mapping[str, list[str]] = field(default_factory=dict)
    """The plan after the upgrade."""
    after: dict[str, Picture] = field(default_factory=dict)
    denied: Mapping[str, list[str]] = field(default_factory=dict)
    """What the functions of today did that their roles do not allow."""
    of_the_old: Answer | None = None
    """What the old release answers to a start of what today's has parked."""
    after_all: Picture = field(default_factory=dict)
    """That instance once today's is there again, and has started it."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account with one deployment, which is now of this version and now of that."""

    aws: LocalAws
    fleet: Fleet
    folder: Path

    def _stack(self, put_module: Callable[[Path], None]) -> RootModule:
        shutil.rmtree(self.folder / "module", ignore_errors=True)
        put_module(self.folder / "module")
        inputs = STACK
        for name, value in QUICK_INPUTS.items():
            inputs = inputs.replace(name.upper(), str(value))
        (self.folder / "main.tf").write_text(inputs, encoding="utf-8")
        return RootModule(self.folder, self.aws.environment(), {})

    def old(self) -> FunctionUrl:
        return _url(self._stack(OLDEST.module).apply())

    def today(self) -> tuple[RootModule, FunctionUrl]:
        stack = self._stack(copy_module)
        return stack, _url(stack.apply())

    def stop(self, instance_id: str) -> None:
        self.fleet.ec2.stop_instances(InstanceIds=[instance_id])

    def phase(self, instance_id: str) -> str:
        """What EC2 shows of an instance: in which state it is, which of its volumes are there, and which snapshots."""
        volumes = self.fleet.ec2.describe_volumes(
            Filters=[{"Name": "tag:park-volumes:mark", "Values": [f"* {instance_id} *"]}]
        )["Volumes"]
        attached = len(self.fleet.volume_ids(instance_id))
        pending = sum(s["State"] == "pending" for s in self.fleet.snapshots(instance_id))
        state = self.fleet.state(instance_id)
        return f"{state}, {attached} attached, {len(volumes)} marked, {pending} pending"

    def wait_for(self, instance_id: str, *phases: str) -> None:
        def there() -> bool:
            return self.phase(instance_id) in phases

        what = f"{instance_id} to be: {' or '.join(phases)}"
        self.aws.wait_for(there, PATIENCE, what, lambda: self.phase(instance_id))

    def start(self, url: FunctionUrl, instance_id: str) -> Picture:
        """Asks until it is accepted, as people do, and waits until it runs and is settled."""

        def accepted() -> bool:
            return url.start(instance_id).status in (200, 202)

        what = f"the start of {instance_id} to be accepted"
        self.aws.wait_for(accepted, PATIENCE, what, lambda: url.show(instance_id), 20)
        self.fleet.wait_until_running(instance_id)
        self.fleet.wait_until_settled(instance_id)
        return self.fleet.picture(instance_id)


COPYING = "stopped, 2 attached, 0 marked, 2 pending"
LOCKED = "stopped, 1 attached, 2 marked, 0 pending"
COMMITTED = "stopped, 0 attached, 1 marked, 0 pending"
PARKED = "stopped, 0 attached, 0 marked, 0 pending"
RESTORING = "stopped, 0 attached, 2 marked, 0 pending"
BACK = "stopped, 2 attached, 2 marked, 0 pending"
HELD = {"DeleteVolume": "data of committed", "AttachVolume": "* of restoring", "StartInstances": "on its way back"}
"""What a policy denies, and of which volume or instance, so that it stays where it is."""


def upgrade(ahead: Ahead) -> Upgraded:
    aws = ahead.enter(LocalAws(settings=QUICK, region=REGION, lambda_python=LAMBDA_PYTHON))
    ahead.enter(aws.standing_still())
    folder = Path(ahead.enter(tempfile.TemporaryDirectory(prefix="upgraded-")))
    account = Account(aws=aws, fleet=Fleet(aws=aws, ec2=aws.client("ec2"), zone=f"{REGION}a"), folder=folder)
    upgraded = _launch(account)
    _bring_everywhere(account, account.old(), upgraded)
    since = len(aws.calls())
    stack, url = account.today()
    upgraded.left = stack.plan()
    for name in ("copying", "locked"):
        account.wait_for(upgraded.ids[name], PARKED)
    for name in NAMES:
        upgraded.after[name] = account.start(url, upgraded.ids[name])
    upgraded.denied = denials(aws.client("iam"), aws.calls(since))
    _go_back_and_forth(account, upgraded)
    return upgraded


def _launch(account: Account) -> Upgraded:
    key = account.aws.client("kms").create_key(Description="of the customer")["KeyMetadata"]["Arn"]
    ids = {}
    for name in NAMES:
        root = Disk(size=16, iops=4000, throughput=200, kms_key=key, tags={"Name": f"root of {name}"})
        data = Disk(device="/dev/sdf", size=30, delete_on_termination=False, tags={"Name": f"data of {name}"})
        ids[name] = account.fleet.launch(name, (root, data), {"ParkVolumes": "true"})
    for instance_id in ids.values():
        account.aws.write(instance_id)
    return Upgraded(ids=ids, before={name: account.fleet.picture(i) for name, i in ids.items()})


def _bring_everywhere(account: Account, url: FunctionUrl, upgraded: Upgraded) -> None:
    """The later an instance is stopped, the less far it comes; and policies hold some where they are."""
    ids, aws = upgraded.ids, account.aws
    for action, name in HELD.items():
        aws.deny(Deny(actions=(action,), when=tagged("Name", name)))
    back = ("parked", "restoring", "on its way back")
    for name in (*back, "committed"):
        account.stop(ids[name])
    account.wait_for(ids["committed"], COMMITTED)
    for name in back:
        account.wait_for(ids[name], PARKED)
    for name in back[1:]:
        url.start(ids[name])
    account.stop(ids["locked"])
    account.wait_for(ids["locked"], LOCKED)
    aws.configure(snapshot_seconds=30)
    account.stop(ids["copying"])
    account.wait_for(ids["copying"], COPYING)
    upgraded.seen = {name: account.phase(instance_id) for name, instance_id in ids.items()}
    aws.clear_denials()


def _go_back_and_forth(account: Account, upgraded: Upgraded) -> None:
    """Today's module has parked an instance; the old one is deployed again, and then today's once more."""
    instance_id = upgraded.ids["parked"]
    account.stop(instance_id)
    account.wait_for(instance_id, PARKED)
    upgraded.of_the_old = account.old().start(instance_id)
    account.aws.run(150)
    _, url = account.today()
    upgraded.after_all = account.start(url, instance_id)


def _url(outputs: Mapping[str, Any]) -> FunctionUrl:
    return FunctionUrl(url=outputs["function_url"], region=REGION, key=ADMIN_KEY, secret=ADMIN_SECRET)
