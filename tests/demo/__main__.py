"""The story that ``make demo`` tells. Exit code 0 only if everything it claims was seen to hold.

KEEP=1 leaves the local AWS running after the start, until Ctrl-C. HURRY=1, for those who know the story, jumps over
what the local AWS waits for, and tells the time by its clock.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from park_volumes.core.prices import GIB, prices_of, snapshot_price, volume_price
from park_volumes.core.volume_spec import VolumeSpec
from tests.demo.screen import Board, Screen
from tests.local_aws.client import ADMIN_KEY, ADMIN_SECRET, LocalAws
from tests.local_aws.settings import Settings
from tests.support.fleet import PATIENCE, DevicePicture, Disk, Fleet, Picture, differences
from tests.support.terraform import LAMBDA_PYTHON, QUICK_INPUTS, ROOT, Progress, Terraform
from tests.support.url import FunctionUrl

REGION, SECOND = "ap-northeast-2", "us-east-1"
"""Those of ``examples/complete``."""
VARIABLES = {**QUICK_INPUTS, "snapshot_retention_hours": 0}
READS = ("Describe", "Get", "List")
TAKES = "eight and a half minutes"
"""What the README says, too."""
FOR_EACH_VOLUME = ("CreateSnapshot", "LockSnapshot", "CreateTags", "DetachVolume", "DeleteVolume")
"""The changing calls that parking a volume takes, as docs/performance.md says."""
FOR_A_TRIAL = "CreateTags"
"""And the one that asks the start function to try the later calls, for one of the volumes that look alike."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The four instances of the story, of which the blog is in the second region; and the picture of each before it was
    stopped."""

    shop: str
    wiki: str
    blog: str
    stranger: str
    before: Mapping[str, Picture]

    @property
    def opted_in(self) -> dict[str, str]:
        return {"shop": self.shop, "wiki": self.wiki, "blog": self.blog}

    @property
    def at_home(self) -> list[str]:
        return [self.shop, self.wiki, self.stranger]


class Demo:
    def __init__(self, screen: Screen, aws: LocalAws, workspace: Path) -> None:
        self.screen, self.aws = screen, aws
        arguments = aws.boto3_arguments()
        self.kms = boto3.client("kms", **arguments)  # type: ignore[call-overload]  # the arguments are a mapping
        self.ec2 = boto3.client("ec2", **arguments)  # type: ignore[call-overload]
        self.fleet = Fleet(aws=aws, ec2=self.ec2, zone=f"{REGION}a")
        self.second = Fleet(aws=aws, ec2=aws.client("ec2", SECOND), zone=f"{SECOND}a")
        self.terraform = Terraform("complete", workspace, aws.environment(), VARIABLES)

    def run(self) -> None:
        self.say_what_comes()
        machines = self.launch()
        outputs = self.deploy()
        self.url = FunctionUrl(url=outputs["function_url"], region=REGION, key=ADMIN_KEY, secret=ADMIN_SECRET)
        self.park(machines)
        self.show_what_is_left(machines)
        self.start(machines, outputs["start_command"])
        self.prove(machines)
        if os.environ.get("KEEP"):
            self.keep(outputs)
        self.clean_up(machines)

    def say_what_comes(self) -> None:
        self.screen.say(f"This takes {TAKES} on two busy cores, most of it waiting, as on AWS.")
        shorter = [f"{name} {value} ({_default(name)})" for name, value in VARIABLES.items()]
        self.screen.say(f"It shortens {len(shorter)} inputs (their defaults in brackets): {', '.join(shorter)}.")

    def deploy(self) -> dict[str, Any]:
        self.screen.heading("terraform apply: examples/complete, unchanged")
        with self.screen.board() as board:
            outputs = self.terraform.apply(lambda p: _show_terraform(board, "resources", p))
        self.screen.say(f"The Function URL is {outputs['function_url']}")
        return outputs

    def launch(self) -> Machines:
        self.screen.heading("Four instances are launched, and write to their disks")
        key = self.kms.create_key(Description="the shop's data")["KeyMetadata"]["Arn"]
        shop = self.fleet.launch(
            "shop",
            [
                Disk(size=16, kms_key=key, tags={"Name": "shop-root"}),
                Disk(
                    device="/dev/sdf",
                    size=100,
                    iops=6000,
                    throughput=250,
                    kms_key=key,
                    delete_on_termination=False,
                    tags={"Name": "shop-data", "Team": "sales"},
                ),
            ],
            {"ParkVolumes": "true"},
        )
        wiki = self.fleet.launch("wiki", [Disk(size=32, type="gp2", tags={"Name": "wiki"})], {"ParkVolumes": "true"})
        blog = self.second.launch("blog", [Disk(size=24, tags={"Name": "blog"})], {"ParkVolumes": "true"})
        stranger = self.fleet.launch("stranger", [Disk(size=8)], {})
        for instance_id in (shop, wiki, blog, stranger):
            self.aws.write(instance_id)
        self.screen.say(f"shop      {shop}  root, and data with 6000 IOPS and 250 MiB/s, encrypted with a customer key")
        self.screen.say(f"wiki      {wiki}  root: 32 GiB gp2")
        self.screen.say(f"blog      {blog}  root: 24 GiB gp3, in another region: {SECOND}")
        self.screen.say(f"stranger  {stranger}  has no tag ParkVolumes, and must never be touched")
        before = {i: self.fleet.picture(i) for i in (shop, wiki, stranger)} | {blog: self.second.picture(blog)}
        return Machines(shop=shop, wiki=wiki, blog=blog, stranger=stranger, before=before)

    def _fleet(self, machines: Machines, instance_id: str) -> Fleet:
        return self.second if instance_id == machines.blog else self.fleet

    def park(self, machines: Machines) -> None:
        self.screen.heading("All four are stopped, as anybody would stop them")
        self.ec2.stop_instances(InstanceIds=machines.at_home)
        self.second.ec2.stop_instances(InstanceIds=[machines.blog])
        self.screen.say("Settled attachments and the quiet period take about two minutes; see docs/safety.md for why.")
        with self.screen.board() as board:
            self._wait(board, "parked", machines)
        self._count_calls(machines)

    def _count_calls(self, machines: Machines) -> None:
        """What the park function changed of each volume and its snapshot. The tag that confirms the snapshots of an
        instance takes one call for all. No two volumes here look alike, so each is marked once more, for the trial."""
        changing = [c for c in self._changing_calls() if "-park-" in c["role"]]
        problems = []
        snapshots = [s for i in machines.opted_in.values() for s in self._fleet(machines, i).snapshots(i)]
        for s in snapshots:
            of_it = [c for c in changing if {s["VolumeId"], s["SnapshotId"]} & c["resources"].keys()]
            made = [c["operation"] for c in of_it if c["operation"] != "CreateTags" or s["VolumeId"] in c["resources"]]
            if Counter(made) != Counter([*FOR_EACH_VOLUME, FOR_A_TRIAL]):
                problems.append(f"{s['VolumeId']}: {', '.join(made)}")
        words = f"{len(FOR_EACH_VOLUME)} changing calls for each of the {len(snapshots)} volumes, and 1 for a trial"
        self.screen.check(f"parking took {words}, as docs/performance.md says", problems)

    def _changing_calls(self) -> list[dict[str, Any]]:
        """What both functions have changed in EC2. A dry run changes nothing, and is an error."""
        calls = [c for c in self.aws.calls() if c["role"] and c["service"] == "ec2" and not c["error"]]
        return [c for c in calls if not c["operation"].startswith(READS)]

    def _wait(self, board: Board, state: str, machines: Machines) -> None:
        """Follow the instances at the Function URL until all are in a state."""

        def all_are() -> bool:
            listed = {i["id"]: i for i in self.url.instances()}
            for name, instance_id in machines.opted_in.items():
                _show_instance(board, name, listed[instance_id])
            return all(listed[i]["state"] == state for i in machines.opted_in.values())

        self.aws.wait_for(all_are, PATIENCE, f"the instances to be {state}")

    def show_what_is_left(self, machines: Machines) -> None:
        self.screen.heading("What is left, and what it costs a month where it is")
        rows = []
        volumes = snapshots = 0.0
        for name, instance_id in machines.opted_in.items():
            fleet = self._fleet(machines, instance_id)
            left = {_tag(s, "park-volumes:device"): s for s in fleet.snapshots(instance_id)}
            self.screen.check(
                f"{name}: the instance, stopped; {_number(len(left), 'snapshot')}; no volume",
                [f"{v} is still there" for v in fleet.volume_ids(instance_id)]
                + [f"{d} has no snapshot" for d in machines.before[instance_id].keys() - left.keys()],
            )
            for device, disk in sorted(machines.before[instance_id].items()):
                before, after = _costs(disk)
                volumes, snapshots = volumes + before, snapshots + after
                kind = f"{disk.size} GiB {disk.type}"
                rows.append((name, device, kind, f"{before:.2f} USD", f"at most {after:.2f} USD"))
        rows.append(("", "", "total", f"{volumes:.2f} USD", f"at most {snapshots:.2f} USD"))
        self.screen.table(("instance", "device", "volume", "as a volume", "as a snapshot"), rows)

    def start(self, machines: Machines, command: str) -> None:
        self.screen.heading("All are started through one Function URL, with the output start_command")
        self.screen.say(command.replace("INSTANCE", "shop"))
        for name in machines.opted_in:
            began = self.screen.now()
            done = subprocess.run(
                ["bash", "-c", command.replace("INSTANCE", name)],
                env=self.aws.environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            took = self.screen.now() - began
            problems = [f"{done.stdout} {done.stderr}"] if done.returncode else []
            self.screen.check(f"{name}: recreated, attached and started; answered after {took:.1f} s", problems)
        with self.screen.board() as board:
            self._wait(board, "running", machines)

    def prove(self, machines: Machines) -> None:
        self.screen.heading("Everything is as it was")
        for name, instance_id in machines.opted_in.items():
            fleet = self._fleet(machines, instance_id)
            fleet.wait_until_settled(instance_id)
            changed = differences(machines.before[instance_id], fleet.picture(instance_id))
            self.screen.check(f"{name}: every byte, attribute and tag of every volume is back", changed)
        self._prove_the_stranger_untouched(machines)
        self._prove_snapshots_are_discarded(machines)
        problems = [] if self.terraform.plan_is_empty() else ["terraform plan finds changes"]
        self.screen.check("terraform plan: nothing to change", problems)

    def _prove_the_stranger_untouched(self, machines: Machines) -> None:
        roles = self._changing_calls()
        mine = {machines.stranger, *self.fleet.volume_ids(machines.stranger)}
        touched = [f"{c['operation']} {c['parameters']}" for c in roles if mine & c["resources"].keys()]
        changed = differences(machines.before[machines.stranger], self.fleet.picture(machines.stranger))
        claim = f"stranger: none of the {len(roles)} changing calls of both functions named it or its volume"
        self.screen.check(claim, touched + changed)

    def _prove_snapshots_are_discarded(self, machines: Machines) -> None:
        """With snapshot_retention_hours = 0 the next sweep, at most a minute later, discards them."""
        every = machines.opted_in.values()
        self.aws.wait_for(
            lambda: not any(self._fleet(machines, i).snapshots(i) for i in every),
            PATIENCE,
            "the snapshots to be discarded",
        )
        self.screen.check("the sweep has discarded the snapshots, which nobody needs any more")

    def keep(self, outputs: Mapping[str, Any]) -> None:
        self.screen.heading("KEEP: the local AWS goes on running; Ctrl-C destroys everything")
        self.screen.say(f"AWS_ENDPOINT_URL={self.aws.endpoint_url}")
        self.screen.say(f"Function URL     {outputs['function_url']}")
        self.screen.say(f"AWS_ACCESS_KEY_ID={ADMIN_KEY} AWS_SECRET_ACCESS_KEY={ADMIN_SECRET}")
        self.screen.say(outputs["start_command"])
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            self.screen.say("Going on to the end.")

    def clean_up(self, machines: Machines) -> None:
        self.screen.heading("terraform destroy")
        with self.screen.board() as board:
            self.terraform.destroy(lambda p: _show_terraform(board, "resources", p))
        self.ec2.terminate_instances(InstanceIds=machines.at_home)
        self.second.ec2.terminate_instances(InstanceIds=[machines.blog])
        ours = ("lambda", "sqs", "events", "iam", "logs", "snapshot")
        left = {kind: ids for kind, ids in self.aws.resources().items() if ids and any(word in kind for word in ours)}
        self.screen.check("nothing is left of the module", [f"{kind}: {', '.join(ids)}" for kind, ids in left.items()])


def _costs(disk: DevicePicture) -> tuple[float, float]:
    """What a disk costs as a volume, and as a snapshot at most: what was never written costs nothing there."""
    prices = prices_of(disk.zone[:-1], {})
    spec = VolumeSpec(zone=disk.zone, type=disk.type, size=disk.size, iops=disk.iops, throughput=disk.throughput)
    volume = volume_price(prices, spec)
    snapshot = snapshot_price(prices, disk.size * GIB)
    assert volume is not None
    assert snapshot is not None
    return volume, snapshot


def _show_terraform(board: Board, name: str, p: Progress) -> None:
    board.show(name, f"{p.done} of {p.of}  {p.last.rsplit('.', 1)[-1]}")


def _show_instance(board: Board, name: str, instance: Mapping[str, Any]) -> None:
    progress = [d["progress"] for d in instance["devices"] if d["snapshot_id"] and d["progress"]]
    board.show(name, f"{instance['state']}, snapshots {' '.join(progress)}" if progress else instance["state"])


def _number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _default(name: str) -> str:
    """The default of an input of the module."""
    variables = (ROOT / "variables.tf").read_text(encoding="utf-8")
    found = re.search(rf'^variable "{name}" \{{\n(?:  .*\n)*?  default\s+= (\S+)$', variables, flags=re.MULTILINE)
    return found[1] if found else "none"


def _tag(resource: Mapping[str, Any], key: str) -> str:
    return next((str(t["Value"]) for t in resource.get("Tags", ()) if t["Key"] == key), "")


@contextmanager
def _in_a_hurry(screen: Screen, aws: LocalAws) -> Iterator[None]:
    """What is shown, and that nothing but the local AWS takes time, which then can be measured on any machine."""
    with aws.standing_still():
        screen.go_by(lambda: aws.now().timestamp())
        try:
            yield
        finally:
            screen.go_by(time.monotonic)


def main() -> int:
    hurries = bool(os.environ.get("HURRY"))
    screen = Screen()
    screen.heading("A local AWS is started; no account is needed")
    with (
        tempfile.TemporaryDirectory(prefix="park-volumes-demo-") as workspace,
        LocalAws(settings=Settings(hurries=hurries), region=REGION, lambda_python=LAMBDA_PYTHON) as aws,
    ):
        screen.say(f"AWS_ENDPOINT_URL={aws.endpoint_url}")
        try:
            with _in_a_hurry(screen, aws) if hurries else nullcontext():
                Demo(screen, aws, Path(workspace)).run()
        except Exception as error:  # whatever it was, a person reads it and the exit code tells
            screen.check("the demo came to its end", [f"{type(error).__name__}: {error}"])
    if screen.failed:
        screen.heading(f"FAILED: {len(screen.failed)} things were not as claimed")
        return 1
    screen.heading("All of this held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
