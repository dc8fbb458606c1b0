"""Instances to park, and pictures of them: everything that must be the same after parking and starting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.local_aws.client import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

PATIENCE = 480
"""Seconds until a test gives up waiting for an instance to be parked, started or settled: snapshots, the lock with the
default periods, then a sweep or three, a minute each, all of it on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A volume to launch an instance with; no device means the root. Size in GiB, throughput in MiB/s."""

    device: str = ""
    size: int = 8
    type: str = "gp3"
    iops: int | None = None
    throughput: int | None = None
    kms_key: str | None = None
    delete_on_termination: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    def mapping(self, root_device: str) -> dict[str, Any]:
        """The disk as RunInstances takes it."""
        ebs: dict[str, Any] = {
            "VolumeSize": self.size,
            "VolumeType": self.type,
            "DeleteOnTermination": self.delete_on_termination,
        }
        optional = {"Iops": self.iops, "Throughput": self.throughput, "KmsKeyId": self.kms_key}
        ebs |= {name: value for name, value in optional.items() if value is not None}
        return {"DeviceName": self.device or root_device, "Ebs": ebs | ({"Encrypted": True} if self.kms_key else {})}


@dataclass(frozen=True, kw_only=True)
class DevicePicture:
    """What one device of an instance is: the attributes of its volume, its tags, its content."""

    zone: str
    type: str
    size: int
    iops: int | None
    throughput: int | None
    encrypted: bool
    kms_key: str | None
    delete_on_termination: bool
    card: int
    tags: Mapping[str, str]
    content: str


Picture = Mapping[str, DevicePicture]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Launches instances in one account, and takes pictures of them."""

    aws: LocalAws
    ec2: EC2Client
    zone: str

    def launch(self, name: str, disks: Sequence[Disk], tags: Mapping[str, str]) -> str:
        """A running instance of that name; its volumes bear the tags of their disks."""
        image = self.ec2.describe_images(Owners=["amazon"])["Images"][0]
        launched = self.ec2.run_instances(
            ImageId=image["ImageId"],
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": self.zone},
            BlockDeviceMappings=[d.mapping(image["RootDeviceName"]) for d in disks],  # type: ignore[misc]
            TagSpecifications=[{"ResourceType": "instance", "Tags": _tags({"Name": name} | dict(tags))}],
        )["Instances"][0]["InstanceId"]
        self.wait_for_state(launched, "running")
        volumes = {device: v["VolumeId"] for device, v in self._volumes(launched).items()}
        for disk in disks:
            if disk.tags:
                self.ec2.create_tags(Resources=[volumes[disk.device or image["RootDeviceName"]]], Tags=_tags(disk.tags))
        return launched

    def state(self, instance_id: str) -> str:
        return str(self._instance(instance_id)["State"]["Name"])

    def wait_for_state(self, instance_id: str, state: str, seconds: float = 30) -> None:
        now = partial(self.state, instance_id)
        self.aws.wait_for(lambda: now() == state, seconds, f"{instance_id} to be {state}", now)

    def wait_until_running(self, instance_id: str) -> None:
        """Waits for an instance that somebody asked to start, or restored by hand."""
        self.wait_for_state(instance_id, "running", PATIENCE)

    def volume_ids(self, instance_id: str) -> list[str]:
        return sorted(v["VolumeId"] for v in self._volumes(instance_id).values())

    def volume_on(self, instance_id: str, device: str) -> str:
        return str(self._volumes(instance_id)[device]["VolumeId"])

    def snapshots(self, instance_id: str) -> list[dict[str, Any]]:
        """The snapshots with records of the instance."""
        tagged = [{"Name": "tag:park-volumes:instance", "Values": [instance_id]}]
        found = self.ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]  # type: ignore[arg-type]
        return [dict(s) for s in found]

    def tiers(self, instance_id: str) -> set[str]:
        return {s["StorageTier"] for s in self.snapshots(instance_id)}

    def archive(self, instance_id: str) -> None:
        """Archive its snapshots by hand, and wait until they are."""
        for s in self.snapshots(instance_id):
            self.ec2.modify_snapshot_tier(SnapshotId=s["SnapshotId"], StorageTier="archive")
        self.aws.wait_for(lambda: self.tiers(instance_id) == {"archive"}, 30, "the archive")

    def picture(self, instance_id: str) -> Picture:
        """The instance's devices as they are now; empty while it is parked."""
        content = self.aws.fingerprints(instance_id)
        return {device: device_picture(v, content[device]) for device, v in self._volumes(instance_id).items()}

    def is_marked(self, instance_id: str) -> bool:
        """Whether a volume of the instance bears a mark of ours."""
        return any(key.startswith("park-volumes:") for disk in self.picture(instance_id).values() for key in disk.tags)

    def wait_until_settled(self, instance_id: str) -> None:
        what = f"the marks of {instance_id} to be taken off"
        self.aws.wait_for(lambda: not self.is_marked(instance_id), PATIENCE, what)

    def _instance(self, instance_id: str) -> Any:
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def _volumes(self, instance_id: str) -> dict[str, Any]:
        attached = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
        found = self.ec2.describe_volumes(Filters=attached)["Volumes"]  # type: ignore[arg-type]
        return {v["Attachments"][0]["Device"]: v for v in found}


def differences(before: Picture, after: Picture) -> list[str]:
    """What is not as it was, a line for each attribute of each device."""
    found = [f"{d}: {'gone' if d in before else 'new'}" for d in sorted(before.keys() ^ after.keys())]
    for device in sorted(before.keys() & after.keys()):
        for each in fields(DevicePicture):
            old, new = getattr(before[device], each.name), getattr(after[device], each.name)
            if old != new:
                found.append(f"{device}: {each.name} was {old}, is {new}")
    return found


def device_picture(v: Any, content: str) -> DevicePicture:
    """Of a volume as DescribeVolumes tells it, and of what is on it."""
    attachment = v["Attachments"][0]
    return DevicePicture(
        zone=v["AvailabilityZone"],
        type=v["VolumeType"],
        size=v["Size"],
        iops=v.get("Iops"),
        throughput=v.get("Throughput"),
        encrypted=v["Encrypted"],
        kms_key=v.get("KmsKeyId"),
        delete_on_termination=attachment["DeleteOnTermination"],
        card=attachment.get("EbsCardIndex", 0),
        tags={t["Key"]: t["Value"] for t in v.get("Tags", ())},
        content=content,
    )


def _tags(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
