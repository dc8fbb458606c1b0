"""Two other ways to turn volumes into snapshots, written anew: as the article has it, and as waiters have it.

Both are one Lambda invocation for each stop and each start, which waits for EC2 as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from unittest.mock import patch

import botocore.waiter
from botocore.loaders import Loader
from botocore.waiter import NormalizedOperationMethod, Waiter, WaiterModel

from tests.bench.sdk import Ec2Sdk
from tests.bench.simulation import Clock, Simulation

INSTANCE, DEVICE = "instance", "device"
POLL_SECONDS = 2
WAITERS = WaiterModel(Loader().load_service_model("ec2", "waiters-2"))


class Way(Protocol):
    """What a function does when an instance has stopped, and when it is to start."""

    def park(self, instance_id: str) -> None: ...

    def start(self, instance_id: str) -> None: ...


def waiters_wait(simulation: Simulation) -> Any:
    """While this is entered, boto3's waiters wait on the model's clock."""
    return patch.object(botocore.waiter, "time", Clock(simulation))


class Article:
    """The article's way: the snapshot before is deleted, the first volume is snapshotted, detached and, as soon as it
    is available, deleted. Nobody looks whether the snapshot was completed, nor at any other volume.
    """

    def __init__(self, simulation: Simulation, ec2: Ec2Sdk) -> None:
        self._sleep, self._ec2 = simulation.sleep, ec2

    def park(self, instance_id: str) -> None:
        device = _instance(self._ec2, instance_id)["BlockDeviceMappings"][0]
        volume_id = device["Ebs"]["VolumeId"]
        for snapshot in _snapshots(self._ec2, instance_id):
            self._ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
        self._ec2.create_snapshot(VolumeId=volume_id, TagSpecifications=_tags(instance_id, device["DeviceName"]))
        self._ec2.detach_volume(VolumeId=volume_id)
        self._poll(volume_id, "available")
        self._ec2.delete_volume(VolumeId=volume_id)

    def start(self, instance_id: str) -> None:
        instance = _instance(self._ec2, instance_id)
        (snapshot,) = _snapshots(self._ec2, instance_id)
        volume_id = _create(self._ec2, snapshot, instance)
        self._poll(volume_id, "available")
        self._ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=_device(snapshot))
        self._poll(volume_id, "in-use")
        self._ec2.start_instances(InstanceIds=[instance_id])

    def _poll(self, volume_id: str, state: str) -> None:
        while True:
            volume = self._ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
            if volume["State"] == state and all(a["State"] == "attached" for a in volume["Attachments"]):
                return
            self._sleep(POLL_SECONDS)


class Waiters:
    """The way of schedulers and custodians: every step for all volumes, and boto3's waiters between the steps.

    When Lambda tries again, a start takes the last snapshot of each device that an attempt before has not attached yet.
    """

    def __init__(self, _: Simulation, ec2: Ec2Sdk) -> None:
        self._ec2 = ec2

    def park(self, instance_id: str) -> None:
        devices = _instance(self._ec2, instance_id)["BlockDeviceMappings"]
        volume_ids = [d["Ebs"]["VolumeId"] for d in devices]
        made = [
            self._ec2.create_snapshot(VolumeId=v, TagSpecifications=_tags(instance_id, d["DeviceName"]))["SnapshotId"]
            for v, d in zip(volume_ids, devices, strict=True)
        ]
        self._wait("SnapshotCompleted", self._ec2.describe_snapshots, "SnapshotIds", made)
        for volume_id in volume_ids:
            self._ec2.detach_volume(VolumeId=volume_id)
        self._wait("VolumeAvailable", self._ec2.describe_volumes, "VolumeIds", volume_ids)
        for volume_id in volume_ids:
            self._ec2.delete_volume(VolumeId=volume_id)

    def start(self, instance_id: str) -> None:
        instance = _instance(self._ec2, instance_id)
        attached = {device["DeviceName"] for device in instance["BlockDeviceMappings"]}
        found = sorted(_snapshots(self._ec2, instance_id), key=lambda snapshot: snapshot["StartTime"])
        last = {_device(snapshot): snapshot for snapshot in found}
        snapshots = [snapshot for device, snapshot in last.items() if device not in attached]
        volume_ids = [_create(self._ec2, snapshot, instance) for snapshot in snapshots]
        self._wait("VolumeAvailable", self._ec2.describe_volumes, "VolumeIds", volume_ids)
        for volume_id, snapshot in zip(volume_ids, snapshots, strict=True):
            self._ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=_device(snapshot))
        self._wait("VolumeInUse", self._ec2.describe_volumes, "VolumeIds", volume_ids)
        self._ec2.start_instances(InstanceIds=[instance_id])

    @staticmethod
    def _wait(name: str, call: Callable[..., Any], parameter: str, ids: Sequence[str]) -> None:
        """A waiter without ids would wait for everything in the account."""
        if ids:
            config: Any = WAITERS.get_waiter(name)  # its stubs know two kinds of it
            Waiter(name, config, NormalizedOperationMethod(call)).wait(**{parameter: ids})


def _instance(ec2: Ec2Sdk, instance_id: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def _snapshots(ec2: Ec2Sdk, instance_id: str) -> Any:
    filters = [{"Name": f"tag:{INSTANCE}", "Values": [instance_id]}]
    return ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]


def _tags(instance_id: str, device: str) -> Any:
    tags = [{"Key": INSTANCE, "Value": instance_id}, {"Key": DEVICE, "Value": device}]
    return [{"ResourceType": "snapshot", "Tags": tags}]


def _device(snapshot: Any) -> str:
    return str(next(tag["Value"] for tag in snapshot["Tags"] if tag["Key"] == DEVICE))


def _create(ec2: Ec2Sdk, snapshot: Any, instance: Any) -> str:
    zone = instance["Placement"]["AvailabilityZone"]
    made = ec2.create_volume(SnapshotId=snapshot["SnapshotId"], AvailabilityZone=zone, VolumeType="gp3")
    return str(made["VolumeId"])
