"""An account to try EC2's rules in: through boto3's interface alone, whatever stands behind it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from time import sleep
from typing import Any, NamedTuple

from tests.model.ec2_model import EC2Client
from tests.model.records import Disk, Rules
from tests.model.world import World

A_MOMENT = 0.05
FOREIGN_KEY = "arn:aws:kms:{region}:999999999999:key/00000000-0000-4000-8000-000000000000"
CARDS = "an instance with two EBS cards"
ARCHIVE = "an archive that takes minutes"
A_DAY = "a snapshot that nobody can delete for a day"
"""What rules may need. The model and the local AWS have all of it."""
DATA_DEVICES = ("/dev/sdf", "/dev/sdg", "/dev/sdh")


class TookTooLong(AssertionError):
    """What was waited for has not come about in time."""


class Machine(NamedTuple):
    """An instance, with the ids of its volumes as they were at launch."""

    id: str
    zone: str
    root_device: str
    root: str
    data: tuple[str, ...]


class Account(ABC):
    """`launch` and `settle` differ from one side to the other; the rest is plain EC2."""

    lacks: frozenset[str] = frozenset()
    """What of the needs of rules it does not have."""
    own_tags = 0
    """How many tags it puts on everything, which count although it does not show them."""

    def __init__(self, ec2: Any, zone: str, other_zone: str) -> None:
        self.ec2 = ec2
        self.zone = zone
        self.other_zone = other_zone

    @abstractmethod
    def launch(self, data_volumes: int = 0) -> str:
        """A running instance with a root of 8 GiB, and data volumes of 1 GiB that go with it when it is terminated."""

    @abstractmethod
    def settle(self, done: Callable[[], bool]) -> None:
        """Lets time pass until it is so. Fails if that takes too long."""

    @abstractmethod
    def unusable_key(self) -> str:
        """The ARN of a KMS key of another account, which EC2 cannot use."""

    def running(self, data_volumes: int = 0) -> Machine:
        return self.machine(self.launch(data_volumes))

    def machine(self, instance_id: str) -> Machine:
        found = self.instance(instance_id)
        volumes = {item["DeviceName"]: item["Ebs"]["VolumeId"] for item in found["BlockDeviceMappings"]}
        root_device = found["RootDeviceName"]
        data = tuple(volume_id for device, volume_id in volumes.items() if device != root_device)
        zone = found["Placement"]["AvailabilityZone"]
        return Machine(found["InstanceId"], zone, root_device, volumes[root_device], data)

    def stopped(self, data_volumes: int = 0) -> Machine:
        machine = self.running(data_volumes)
        self.stop(machine)
        return machine

    def rootless(self, data_volumes: int = 0) -> Machine:
        machine = self.stopped(data_volumes)
        self.detach(machine.root)
        return machine

    def stop(self, machine: Machine) -> None:
        self.ec2.stop_instances(InstanceIds=[machine.id])
        self.settle(lambda: self.state(machine) == "stopped")

    def start(self, machine: Machine) -> None:
        self.ec2.start_instances(InstanceIds=[machine.id])
        self.settle(lambda: self.state(machine) == "running")

    def attach(self, volume_id: str, machine: Machine, device: str) -> None:
        self.ec2.attach_volume(VolumeId=volume_id, InstanceId=machine.id, Device=device)
        self.settle(lambda: self.attachments(volume_id) == ["attached"])

    def detach(self, volume_id: str) -> None:
        self.ec2.detach_volume(VolumeId=volume_id)
        self.settle(lambda: bool(self.volume(volume_id).get("State") == "available"))

    def delete(self, volume_id: str) -> None:
        self.ec2.delete_volume(VolumeId=volume_id)
        self.settle(lambda: not self.volume(volume_id))

    def new_volume(self, **params: Any) -> str:
        """An available volume of 1 GiB in the account's zone, unless the parameters say otherwise."""
        defaults = {} if "SnapshotId" in params else {"Size": 1}
        made = self.ec2.create_volume(**{"AvailabilityZone": self.zone, "VolumeType": "gp3", **defaults, **params})
        volume_id: str = made["VolumeId"]
        self.settle(lambda: bool(self.volume(volume_id).get("State") == "available"))
        return volume_id

    def new_snapshot(self, volume_id: str = "", **params: Any) -> str:
        """A completed snapshot of that volume, or of a new one."""
        made = self.ec2.create_snapshot(VolumeId=volume_id or self.new_volume(), **params)
        snapshot_id: str = made["SnapshotId"]
        self.settle(lambda: bool(self.snapshot(snapshot_id).get("State") == "completed"))
        return snapshot_id

    def locked_snapshot(self) -> str:
        snapshot_id = self.new_snapshot()
        self.ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
        return snapshot_id

    def state(self, machine: Machine) -> str:
        return str(self.instance(machine.id)["State"]["Name"])

    def instance(self, instance_id: str) -> dict[str, Any]:
        reservations = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return dict(reservations[0]["Instances"][0])

    def volume(self, volume_id: str) -> dict[str, Any]:
        """Empty if there is no such volume."""
        found = self.ec2.describe_volumes(Filters=[{"Name": "volume-id", "Values": [volume_id]}])["Volumes"]
        return found[0] if found else {}

    def snapshot(self, snapshot_id: str) -> dict[str, Any]:
        """Empty if there is no such snapshot."""
        filters = [{"Name": "snapshot-id", "Values": [snapshot_id]}]
        found = self.ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
        return found[0] if found else {}

    def attachments(self, volume_id: str) -> list[str]:
        return [item["State"] for item in self.volume(volume_id).get("Attachments", ())]

    def tags(self, resource: dict[str, Any]) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


class ModelAccount(Account):
    def __init__(self, rules: Rules | None = None) -> None:
        self.world = World(rules=rules)
        first, second, *_ = self.world.rules.zones
        super().__init__(EC2Client(self.world), first, second)

    def launch(self, data_volumes: int = 0) -> str:
        data = (Disk(device=device, size=1) for device in DATA_DEVICES[:data_volumes])
        return self.world.launch(Disk(device="/dev/xvda"), *data)

    def unusable_key(self) -> str:
        self.world.break_key(FOREIGN_KEY.format(region=self.world.rules.region))
        return FOREIGN_KEY.format(region=self.world.rules.region)

    def settle(self, done: Callable[[], bool]) -> None:
        for _ in range(1000):
            if done():
                return
            self.world.clock.advance(1)
        raise TookTooLong("This has not come about in 1,000 seconds of the model's time.")


class RemoteAccount(Account):
    """An account behind a real boto3 client. `image_id`: what is launched; `wait`: lets time pass there."""

    instance_type = "m7g.large"

    def __init__(
        self,
        ec2: Any,
        image_id: str,
        *,
        wait: Callable[[float], None] = sleep,
        every: float = A_MOMENT,
        patience_seconds: float = 30,
    ) -> None:
        zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
        super().__init__(ec2, zones[0], zones[1])
        self.image_id = image_id
        self.wait = wait
        self.every = every
        self.patience_seconds = patience_seconds

    def launch(self, data_volumes: int = 0) -> str:
        mappings = [
            {"DeviceName": device, "Ebs": {"VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": True}}
            for device in DATA_DEVICES[:data_volumes]
        ]
        made = self.ec2.run_instances(
            ImageId=self.image_id,
            MinCount=1,
            MaxCount=1,
            InstanceType=self.instance_type,
            BlockDeviceMappings=mappings,
            **self.place(),
        )
        instance_id: str = made["Instances"][0]["InstanceId"]
        self.settle(lambda: bool(self.instance(instance_id)["State"]["Name"] == "running"))
        return instance_id

    def place(self) -> dict[str, Any]:
        """Where an instance is launched, and whatever else is special to this account."""
        return {"Placement": {"AvailabilityZone": self.zone}}

    def unusable_key(self) -> str:
        return FOREIGN_KEY.format(region=self.ec2.meta.region_name)

    def settle(self, done: Callable[[], bool]) -> None:
        waited = 0.0
        while not done():
            if waited > self.patience_seconds:
                raise TookTooLong(f"This has not come about in {self.patience_seconds:g} seconds.")
            self.wait(self.every)
            waited += self.every
