"""What a run works with: clients that tag whatever they make, a clock, and a time by when it has to end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.live import guest
from tests.model.accounts import A_DAY, ARCHIVE, CARDS, RemoteAccount, TookTooLong

TAG = "ParkVolumesLive"
"""The tag of everything that a run makes. Its value is the name of the run; in EC2 the step follows after a slash."""
PREFIX = "park-volumes-live"
"""The names of what has one begin so."""
LONGEST = timedelta(minutes=105)
"""Of a run: nothing of it is to live for more than two hours, and removing it takes some minutes."""
EVERY, PATIENCE, NEW_LOOKS = 3.0, 900.0, 10
"""Seconds from one look to the next, and until it is given up; looks until what is new has to be there."""
INSTANCE_TYPE = "t4g.nano"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
TAGGED: Mapping[str, tuple[str, ...]] = {
    "RunInstances": ("instance", "volume"),
    "CreateVolume": ("volume",),
    "CreateSnapshot": ("snapshot",),
    "RegisterImage": ("image",),
}
"""Call of EC2 to what it makes."""
OWN_ONLY = {"DescribeVolumes": "volume-id", "DescribeSnapshots": "snapshot-id"}
"""Descriptions of everything, which show a step only what is its own, and the filter by id."""
NO_ROOM = ("VcpuLimitExceeded", "InstanceLimitExceeded", "InsufficientInstanceCapacity")


class Stopped(Exception):
    """The run is over, because somebody ended it or because it has taken too long."""


@dataclass(frozen=True, kw_only=True)
class Aws:
    """An account in one region, how time passes there, and whether it is the local AWS."""

    region: str
    client: Callable[[str], Any]
    now: Callable[[], datetime]
    wait: Callable[[float], None]
    local: bool
    environment: Mapping[str, str]
    """Of Terraform."""
    credentials: Callable[[], Credentials]
    """Of whoever calls the Function URL."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where instances are launched, and from which image."""

    subnet: str
    zone: str
    other_zone: str
    image: str


class Lab:
    """One run. ``calls`` counts what it asks of AWS."""

    def __init__(self, aws: Aws, run: str, *, subnet: str = "", key: str = "") -> None:
        self.aws, self.run, self.key = aws, run, key
        self.began = aws.now()
        self.calls: Counter[str] = Counter()
        self._subnet = subnet
        self._over = threading.Event()
        self._lock = threading.Lock()

    # Time

    def wait(self, seconds: float) -> None:
        """Raises Stopped once the run is over: whatever is asked of AWS waits sooner or later."""
        if self._over.is_set():
            raise Stopped("The run was ended.")
        if self.aws.now() > self.began + LONGEST:
            raise Stopped(f"The run has taken {LONGEST.total_seconds() / 60:g} minutes.")
        self.aws.wait(seconds)

    def settle(self, done: Callable[[], object], what: str, seconds: float = PATIENCE, every: float = EVERY) -> None:
        """Waits until it is so. Raises TookTooLong, with what was waited for."""
        until = self.aws.now() + timedelta(seconds=seconds)
        while not done():
            if self.aws.now() > until:
                raise TookTooLong(f"Waited {seconds:g} seconds for {what}.")
            self.wait(every)

    def stop_unless(self, done: bool) -> None:
        """If something is not done, whoever waits is told that the run is over."""
        if not done:
            self._over.set()

    # Clients

    def client(self, service: str, **more: Any) -> Any:
        with self._lock:  # no two threads may make clients from one session at once
            made = self.aws.client(service, **more)
        made.meta.events.register("after-call", self._count)
        return made

    def _count(self, model: Any, **_: Any) -> None:
        with self._lock:
            self.calls[f"{model.service_model.service_name}:{model.name}"] += 1

    def ec2(self, step: str) -> Any:
        """A client that tags what it makes, and shows neither that tag nor what other steps have made."""
        client = self.client("ec2")
        Tagging(client, f"{self.run}/{step}")
        return client

    def account(self, step: str) -> LabAccount:
        return LabAccount(self, self.ec2(step))

    @property
    def tags(self) -> list[dict[str, str]]:
        """As most services take them."""
        return [{"Key": TAG, "Value": self.run}]

    @property
    def name(self) -> str:
        """Of what the run makes, where it takes a name."""
        return f"{PREFIX}-{self.run}"

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """Who asks: Account and Arn."""
        return dict(self.client("sts").get_caller_identity())

    @cached_property
    def place(self) -> Place:
        """Raises AssertionError where there is no subnet to launch in."""
        ec2 = self.client("ec2")
        chosen: dict[str, Any] = (
            {"SubnetIds": [self._subnet]}
            if self._subnet
            else {"Filters": [{"Name": "default-for-az", "Values": ["true"]}]}
        )
        offered = ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [INSTANCE_TYPE]}]
        )
        zones_of_type = {offer["Location"] for offer in offered["InstanceTypeOfferings"]}
        found = ec2.describe_subnets(**chosen)["Subnets"]
        subnets = sorted(
            (s for s in found if s["AvailabilityZone"] in zones_of_type), key=lambda s: s["AvailabilityZone"]
        )
        assert subnets, (
            f"No default subnet in {self.aws.region} is in a zone with {INSTANCE_TYPE}. "
            "Name another: SUBNET=subnet-0123456789abcdef0."
        )
        zone = subnets[0]["AvailabilityZone"]
        zones = [z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]]
        other = next(name for name in zones if name != zone)
        image = self.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
        return Place(subnet=subnets[0]["SubnetId"], zone=zone, other_zone=other, image=image)


class LabAccount(RemoteAccount):
    """The account as one step of a run sees it."""

    instance_type = INSTANCE_TYPE
    own_tags = 1

    def __init__(self, lab: Lab, ec2: Any) -> None:
        super().__init__(ec2, lab.place.image, wait=lab.wait, every=EVERY, patience_seconds=PATIENCE)
        self.zone, self.other_zone = lab.place.zone, lab.place.other_zone
        self.lab = lab
        self.lacks = frozenset({A_DAY} if lab.aws.local else {A_DAY, ARCHIVE, CARDS})
        self._launched: list[str] = []

    def place(self) -> dict[str, Any]:
        """An instance that nobody reaches, and that ends itself."""
        return self.network() | {"UserData": guest.SHORT_LIVED, "InstanceInitiatedShutdownBehavior": "terminate"}

    def network(self) -> dict[str, Any]:
        card = {"DeviceIndex": 0, "SubnetId": self.lab.place.subnet, "AssociatePublicIpAddress": False}
        return {"NetworkInterfaces": [card]}

    def instance(self, instance_id: str) -> dict[str, Any]:
        """EC2 does not know at once what it has just launched."""
        for _ in range(NEW_LOOKS):
            with suppress(ClientError):
                return super().instance(instance_id)
            self.wait(self.every)
        return super().instance(instance_id)

    def launch(self, data_volumes: int = 0) -> str:
        return self.launching(partial(super().launch, data_volumes))

    def launching(self, launch: Callable[[], str]) -> str:
        """Launches as soon as the account has room for one more instance."""
        waited = 0.0
        while True:
            try:
                self._launched.append(launch())
                return self._launched[-1]
            except ClientError as error:
                if error.response["Error"]["Code"] not in NO_ROOM or waited > PATIENCE:
                    raise
            self.lab.wait(EVERY * 10)
            waited += EVERY * 10

    def writer(self) -> str:
        """An instance that writes to its two volumes and tells the sums of their bytes; see guest.py."""

        def launch() -> str:
            data = {"VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": True}
            made = self.ec2.run_instances(
                ImageId=self.image_id,
                MinCount=1,
                MaxCount=1,
                InstanceType=self.instance_type,
                BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": data}],
                UserData=guest.WRITES,
                **self.network(),
            )
            return str(made["Instances"][0]["InstanceId"])

        return self.launching(launch)

    def sums(self, instance_id: str, boot: int) -> Mapping[str, str]:
        """What the instance tells of its volumes at that boot, once it does."""
        found: Mapping[str, str] = {}

        def told() -> bool:
            nonlocal found
            text = self.ec2.get_console_output(InstanceId=instance_id, Latest=True).get("Output", "")
            found = guest.sums(text, boot)
            return bool(found)

        self.lab.settle(told, f"{instance_id} to tell the sums of its bytes at boot {boot}")
        return found

    def leave(self) -> None:
        """Ends the instances of this step, so that others find room. What stays, the end of the run removes."""
        with suppress(ClientError):
            if self._launched:
                self.ec2.terminate_instances(InstanceIds=self._launched)


class Tagging:
    """Makes a client put a tag on whatever it makes, keep it there, and show nothing of it."""

    def __init__(self, client: Any, value: str) -> None:
        self._client, self._value = client, value
        self._run = value.split("/", maxsplit=1)[0]
        client.meta.events.register("provide-client-params.ec2", self._before)
        client.meta.events.register("after-call.ec2", self._after)

    def _before(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> dict[str, Any] | None:
        given = dict(params)
        if kinds := TAGGED.get(model.name):
            given["TagSpecifications"] = self._specifications(given.get("TagSpecifications", []), kinds)
        if "ClientToken" in given:  # a token lives longer than a run
            given["ClientToken"] = f"{given['ClientToken']} {self._run}"
        if model.name in OWN_ONLY and not self._names_ids(model.name, given):
            given["Filters"] = [*given.get("Filters", []), {"Name": f"tag:{TAG}", "Values": [self._value]}]
        if model.name == "DeleteTags" and not given.get("Tags"):
            context["park_volumes_bare"] = given["Resources"]
        return given

    def _specifications(self, given: list[dict[str, Any]], kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        tags = {one["ResourceType"]: list(one["Tags"]) for one in given}
        own = {"Key": TAG, "Value": self._value}
        return [{"ResourceType": kind, "Tags": [*tags.get(kind, []), own]} for kind in {**tags, **dict.fromkeys(kinds)}]

    @staticmethod
    def _names_ids(name: str, given: Mapping[str, Any]) -> bool:
        by_id = OWN_ONLY[name]
        return bool({"VolumeIds", "SnapshotIds"} & given.keys()) or any(
            one["Name"] == by_id for one in given.get("Filters", [])
        )

    def _after(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        _hide(parsed)
        bare = context.get("park_volumes_bare")
        if bare and "Error" not in parsed:
            self._client.create_tags(Resources=bare, Tags=[{"Key": TAG, "Value": self._value}])


def _hide(told: Any) -> None:
    """Takes the tag out of an answer."""
    if isinstance(told, list):
        told[:] = [one for one in told if not (isinstance(one, dict) and one.get("Key") == TAG)]
        for one in told:
            _hide(one)
    elif isinstance(told, dict):
        for value in told.values():
            _hide(value)
