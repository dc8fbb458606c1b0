"""Instances in the second region of the deployment: of one the event is lost, so that the sweep has to find it."""

from __future__ import annotations

from datetime import timedelta

from tests.deployed.stops import DATA
from tests.local_aws.client import LocalAws
from tests.support.fleet import Disk, Fleet, Picture

HEARD, UNHEARD, BY_CLI = "abroad", "abroad unheard", "abroad by cli"
LONG_AGO = timedelta(minutes=10)
"""Older than the quiet period: what was attached then need not settle any more."""


class Abroad:
    """``before`` are their pictures from when they ran."""

    def __init__(self, aws: LocalAws, region: str) -> None:
        self.aws, self.region = aws, region
        self.fleet = Fleet(aws=aws, ec2=aws.client("ec2", region), zone=f"{region}a")
        self.key = aws.client("kms", region).create_key(Description="data abroad")["KeyMetadata"]["Arn"]
        disks = (Disk(kms_key=self.key, iops=4000, throughput=200, tags={"Name": "root"}), DATA)
        opted_in = {"ParkVolumes": "true"}
        self.ids = {name: self.fleet.launch(name, disks, opted_in) for name in (HEARD, UNHEARD, BY_CLI)}
        self.before: dict[str, Picture] = {}

    def stop(self) -> None:
        long_ago = (self.aws.now() - LONG_AGO).isoformat()
        for name, instance_id in self.ids.items():
            self.aws.set_instance(instance_id, attach_time=long_ago)
            self.aws.write(instance_id)
            self.before[name] = self.fleet.picture(instance_id)
        self.aws.drop_events(event="stopped", resource=self.ids[UNHEARD], count=9)
        self.fleet.ec2.stop_instances(InstanceIds=list(self.ids.values()))
