"""The whole product in an account: examples/complete applied unchanged, an instance parked and started in both ways."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from tests.live.deployment import DEPLOYMENT
from tests.live.guest import WRITES
from tests.live.lab import Lab
from tests.live.probe import Trail
from tests.model.accounts import TookTooLong
from tests.model.records import Durations
from tests.support.fleet import Picture, device_picture, differences
from tests.support.terraform import TerraformError
from tests.support.url import FunctionUrl

DATA_DEVICE = "/dev/sdf"
OURS = "park-volumes:"
PARKING, STARTING = 1800.0, 1200.0
"""Seconds until either is given up: a snapshot of AWS takes what it takes."""
RECORDED_LATE = 900.0
"""Seconds until CloudTrail shows every call, says AWS."""
CYCLES = 2
BUDGET: Mapping[str, int] = {
    "CreateSnapshot": 2,
    "LockSnapshot": 2,
    "DetachVolume": 2,
    "DeleteVolume": 2,
    "CreateVolume": 2,
    "AttachVolume": 2,
    "ModifyInstanceAttribute": 1,
    "StartInstances": 1,
}
"""Calls to park an instance with two volumes and to start it, as docs/performance.md has them."""


@dataclass(kw_only=True)
class Product:
    """What came of it. ``problems`` is empty if everything was as it should be."""

    problems: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    began: datetime


def assumed_seconds() -> dict[str, float]:
    """What the model, and with it docs/performance.md, assumes that EC2 takes."""
    d = Durations()
    return {"stop": d.stop, "longest snapshot": d.snapshot, "start": d.start}


def obstacles(lab: Lab) -> list[str]:
    """Why the product must not be deployed here: it would meet another deployment, or instances of somebody else."""
    found = []
    with suppress(ClientError):
        lab.client("lambda").get_function(FunctionName=f"{DEPLOYMENT}-park")
        found.append(f"The deployment {DEPLOYMENT} is there already. Choose another region.")
    tags = [{"Name": "tag-key", "Values": ["ParkVolumes"]}]
    pages = lab.client("ec2").get_paginator("describe_instances").paginate(Filters=tags)
    others = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    if others:
        found.append(
            f"These instances bear the tag ParkVolumes and would be parked: {', '.join(others)}. Choose another."
        )
    return found


class Module(Protocol):
    """The example, to be applied and destroyed."""

    def apply(self) -> dict[str, Any]: ...
    def destroy(self) -> None: ...


class Story:
    """One instance, parked and started twice."""

    def __init__(self, lab: Lab, module: Module) -> None:
        self.lab, self.module = lab, module
        self.account = lab.account("product")
        self.told = Product(began=lab.aws.now())

    def tell(self) -> Product:
        """What goes wrong is a problem of the product, not the end of the run."""
        try:
            self._tell()
        except (AssertionError, ClientError, TerraformError, TookTooLong) as error:
            self.told.problems.append(f"It came to an end: {error or type(error).__name__}")
        return self.told

    def _tell(self) -> None:
        instance_id = self.launch()
        before = self.picture(instance_id, 1)
        self.url = self.deploy()
        self.park(instance_id)
        self.start_at_the_url(instance_id)
        self.compare("started at the URL", before, self.picture(instance_id, 2))
        self.park(instance_id)
        self.start_in_the_console(instance_id)
        self.compare("started in the console's way", before, self.picture(instance_id, 3))
        self.account.leave()
        self.lab.settle(lambda: self.state(instance_id) == "terminated", "the instance to be terminated")
        self._timed("terraform destroy", self.module.destroy)

    def _timed(self, what: str, deed: Any) -> Any:
        began = self.lab.aws.now()
        answer = deed()
        self.took(what, began)
        return answer

    def took(self, what: str, began: datetime) -> None:
        """The longest counts."""
        seconds = (self.lab.aws.now() - began).total_seconds()
        self.told.seconds[what] = round(max(seconds, self.told.seconds.get(what, 0.0)), 1)

    def launch(self) -> str:
        """With attributes that are not the usual ones, and that all have to come back."""
        account, key = self.account, self.lab.key
        encrypted = {"Encrypted": True, "KmsKeyId": key} if key else {}
        data = {"VolumeSize": 2, "VolumeType": "gp3", "Iops": 3100, "Throughput": 130, "DeleteOnTermination": False}
        root_device = account.ec2.describe_images(ImageIds=[account.image_id])["Images"][0]["RootDeviceName"]
        root = {"VolumeSize": 9, "VolumeType": "gp3", "DeleteOnTermination": True}
        mappings = [(root_device, root), (DATA_DEVICE, data)]
        tags = [{"Key": "Name", "Value": self.lab.name}]

        def run() -> str:
            made = account.ec2.run_instances(
                ImageId=account.image_id,
                MinCount=1,
                MaxCount=1,
                InstanceType=account.instance_type,
                BlockDeviceMappings=[{"DeviceName": d, "Ebs": {**ebs, **encrypted}} for d, ebs in mappings],
                TagSpecifications=[
                    {"ResourceType": "instance", "Tags": [*tags, {"Key": "ParkVolumes", "Value": "true"}]},
                    {"ResourceType": "volume", "Tags": [*tags, {"Key": "Äpfel", "Value": "süß & sauer"}]},
                ],
                UserData=WRITES,
                **account.network(),
            )
            return str(made["Instances"][0]["InstanceId"])

        return account.launching(run)

    def deploy(self) -> FunctionUrl:
        Trail(self.lab, "trail").ensure()
        outputs = self._timed("terraform apply", self.module.apply)
        keys = self.lab.aws.credentials()
        url = FunctionUrl(
            url=outputs["function_url"],
            region=self.lab.aws.region,
            key=keys.access_key,
            secret=keys.secret_key,
            session=keys.token or "",
        )
        self.lab.settle(lambda: url.get("instances").status == 200, "the Function URL to answer")
        return url

    # Seeing

    def state(self, instance_id: str) -> str:
        return str(self.account.instance(instance_id)["State"]["Name"])

    def volumes(self, instance_id: str) -> list[Any]:
        filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
        return list(self.lab.client("ec2").describe_volumes(Filters=filters)["Volumes"])

    def marked(self) -> list[str]:
        """The volumes in transit. No others are in this account and region (``obstacles``)."""
        filters = [{"Name": "tag-key", "Values": [f"{OURS}mark"]}, {"Name": "tag:Name", "Values": [self.lab.name]}]
        return [v["VolumeId"] for v in self.lab.client("ec2").describe_volumes(Filters=filters)["Volumes"]]

    def picture(self, instance_id: str, boot: int) -> Picture:
        """Every byte and every attribute, once the instance has told the sums and nothing is marked any more."""
        sums = self.account.sums(instance_id, boot)
        self.lab.settle(lambda: not self.marked(), "the marks to be taken off")
        return {
            v["Attachments"][0]["Device"]: device_picture(
                v, sums["data" if v["Attachments"][0]["Device"] == DATA_DEVICE else "root"]
            )
            for v in self.volumes(instance_id)
        }

    def compare(self, when: str, before: Picture, after: Picture) -> None:
        self.told.problems += [f"{when}: {difference}" for difference in differences(before, after)]
        if len(before) != 2:
            self.told.problems.append(f"{when}: {len(before)} volumes were compared instead of 2")

    # Doing

    def park(self, instance_id: str) -> None:
        began = self.lab.aws.now()
        self.account.ec2.stop_instances(InstanceIds=[instance_id])
        self.lab.settle(lambda: self.state(instance_id) == "stopped", "the instance to stop")
        self.took("stop", began)
        self.lab.settle(lambda: self._is_parked(instance_id), "the instance to be parked", PARKING)
        self.took("parked after the stop", began)
        filters = [{"Name": f"tag:{OURS}instance", "Values": [instance_id]}]
        for s in self.lab.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]:
            if done := s.get("CompletionTime"):
                longest = max((done - s["StartTime"]).total_seconds(), self.told.seconds.get("longest snapshot", 0.0))
                self.told.seconds["longest snapshot"] = round(longest, 1)

    def _is_parked(self, instance_id: str) -> bool:
        return self.url.state(instance_id) == "parked" and not self.volumes(instance_id) and not self.marked()

    def start_at_the_url(self, instance_id: str) -> None:
        began = self.lab.aws.now()
        answer = self.url.start(instance_id)
        assert answer.status in (200, 202), f"The Function URL answered {answer.status}: {answer.body}"
        self._runs(instance_id, "started at the URL", began)

    def start_in_the_console(self, instance_id: str) -> None:
        """EC2 refuses the call. The start function hears of it by CloudTrail and starts the instance."""
        began = self.lab.aws.now()
        try:
            self.account.ec2.start_instances(InstanceIds=[instance_id])
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code == "InvalidParameterValue", f"EC2 refused the start of a parked instance with {code}"
        else:
            raise AssertionError("EC2 started an instance without its root volume")
        self._runs(instance_id, "started in the console's way", began)

    def _runs(self, instance_id: str, what: str, began: datetime) -> None:
        self.lab.settle(lambda: self.state(instance_id) == "running", f"the instance to run, {what}", STARTING)
        self.took(what, began)
        launched = self.account.instance(instance_id)["LaunchTime"]
        self.took("start", launched)


def counted(lab: Lab, since: datetime) -> dict[str, int]:
    """The calls of both functions, as CloudTrail tells them: changing calls and descriptions, without dry runs."""
    trails = lab.client("cloudtrail")
    found: Counter[str] = Counter()

    def complete() -> bool:
        found.clear()
        for side in ("park", "start"):
            who = [{"AttributeKey": "Username", "AttributeValue": f"{DEPLOYMENT}-{side}"}]
            for page in trails.get_paginator("lookup_events").paginate(LookupAttributes=who, StartTime=since):
                found.update(
                    e["EventName"] for e in page["Events"] if "errorCode" not in json.loads(e["CloudTrailEvent"])
                )
        return found["StartInstances"] >= CYCLES

    with suppress(TookTooLong):
        lab.settle(complete, "CloudTrail to show the calls", RECORDED_LATE, every=60)
    return dict(sorted(found.items()))


def budget() -> dict[str, int]:
    """Of all cycles of the story."""
    return {name: number * CYCLES for name, number in BUDGET.items()}
