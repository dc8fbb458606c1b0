"""Instances as EC2 really treats them: states that take time, a root volume that must be there, a moving LaunchTime.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, InstanceState, StateReason

from tests.live import guest
from tests.local_aws.ebs import GIB, Attachment, StrictVolume, check_tags, refusal, whole_second
from tests.local_aws.filters import matches
from tests.local_aws.modifications import ElasticVolumes
from tests.local_aws.world import World

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
ROOT_SIZE_GIB = 8
USER_SHUTDOWN = "Client.UserInitiatedShutdown: User initiated shutdown"
GUEST_SHUTDOWN = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"


def reason(message: str) -> StateReason:
    """A StateReason from EC2's message, which begins with the code."""
    return StateReason(message, message.split(":", maxsplit=1)[0])


def moment(text: str) -> datetime:
    """A time from ISO 8601, in UTC and without zone, as moto keeps times."""
    given = datetime.fromisoformat(text)
    return given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given


class StrictInstance(Instance):
    """An instance whose block devices are its attachments, with the facts that DescribeInstances gives."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.user_data = self.user_data if str(self.user_data or "") else None  # a launch template's may be empty text
        self.launch_time = whole_second(self.launch_time)
        self.hibernation_options: dict[str, bool] = {
            "Configured": bool((self.hibernation_options or {}).get("Configured"))
        }
        self.operator: dict[str, Any] = {"Managed": False}
        self.outpost_arn: str | None = None
        self.license_arns: tuple[str, ...] = ()
        self.console: list[str] = []
        self.boots = 0
        self.enter("pending")

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The attachments themselves, so that states and times agree with DescribeVolumes."""
        return [{"DeviceName": device, "Ebs": ebs} for device, ebs in self.block_device_mapping.items()]

    @property
    def licenses(self) -> list[dict[str, str]]:
        """What License Manager counts it under."""
        return [{"LicenseConfigurationArn": arn} for arn in self.license_arns]

    def enter(self, state: str, why: str = "", transition: str = "") -> None:
        """Changes the state. A state without a reason has no StateReason at all."""
        self._state = InstanceState(state, CODES[state])
        self._reason = transition
        self.state_reason = reason(why) if why else None  # type: ignore[assignment]

    def boot(self) -> None:
        """It runs. On its console it tells what it finds on its volumes, as the instances of `make live` do."""
        self.boots += 1
        for device, attachment in self.block_device_mapping.items():
            kind = "root" if device == self.root_device_name else "data"
            self.console.append(guest.line(self.boots, kind, attachment.volume.content.fingerprint))

    def move_launch_time(self) -> None:
        """LaunchTime is the time of the last start; it always moves, even when two starts share a second here."""
        self.launch_time = max(whole_second(utcnow()), self.launch_time + timedelta(seconds=1))

    def teardown_defaults(self) -> None:
        """moto would take the volumes off at once; ``Instances.end`` does it in EC2's way."""

    def fields(self) -> dict[str, Callable[[], list[Any]]]:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html, Filter.N"""
        devices: list[Attachment] = list(self.block_device_mapping.values())
        return {
            "architecture": lambda: [self.architecture],
            "availability-zone": lambda: [self.placement.zone],
            "block-device-mapping.attach-time": lambda: [d.attach_time for d in devices],
            "block-device-mapping.delete-on-termination": lambda: [d.delete_on_termination for d in devices],
            "block-device-mapping.device-name": lambda: [d.device for d in devices],
            "block-device-mapping.status": lambda: [d.status for d in devices],
            "block-device-mapping.volume-id": lambda: [d.volume_id for d in devices],
            "hibernation-options.configured": lambda: [self.hibernation_options["Configured"]],
            "image-id": lambda: [self.image_id],
            "instance-id": lambda: [self.id],
            "instance-lifecycle": lambda: [self.lifecycle],
            "instance-state-code": lambda: [self.state_code],
            "instance-state-name": lambda: [self.state],
            "instance-type": lambda: [self.instance_type],
            "instance.group-id": lambda: [g.id for g in self.security_groups],
            "instance.group-name": lambda: [g.name for g in self.security_groups],
            "key-name": lambda: [self.key_name],
            "launch-time": lambda: [self.launch_time.strftime("%Y-%m-%dT%H:%M:%S.000Z")],
            "owner-id": lambda: [self.owner_id],
            "private-ip-address": lambda: [self.private_ip],
            "root-device-name": lambda: [self.root_device_name],
            "root-device-type": lambda: [self.root_device_type],
            "source-dest-check": lambda: [self.source_dest_check],
            "state-reason-code": lambda: [self.state_reason.code if self.state_reason else None],
            "subnet-id": lambda: [self.subnet_id],
            "tenancy": lambda: [self.placement.tenancy],
            "virtualization-type": lambda: [self.virtualization_type],
            "vpc-id": lambda: [self.vpc_id],
        }


class StrictBackend(ElasticVolumes, EC2Backend):
    """moto's EC2 with strict volumes, snapshots and instances. ``world`` is set when the server is wired."""

    world: World

    def __init__(self, region_name: str, account_id: str):
        EC2Backend.__init__(self, region_name, account_id)
        ElasticVolumes.__init__(self)
        # moto creates a snapshot per public AMI; among the account's own they would slow every description down.
        self.ami_snapshots = dict(self.snapshots)
        self.snapshots.clear()

    # Finding

    def get_instance(self, instance_id: str) -> StrictInstance:
        return self.instances_named([instance_id])[0]

    def every_instance(self) -> list[tuple[Any, StrictInstance]]:
        """Pairs of reservation and instance, oldest first."""
        pairs: list[tuple[Any, Any]] = [(r, i) for r in self.reservations.values() for i in r.instances]
        return pairs

    def instances_named(self, ids: list[str]) -> list[StrictInstance]:
        known = {instance.id: instance for _, instance in self.every_instance()}
        if missing := [i for i in ids if i not in known]:
            raise InvalidInstanceIdError(missing)
        return [known[i] for i in ids]

    def matching_instances(self, ids: list[str], filters: dict[str, list[str]]) -> list[tuple[Any, StrictInstance]]:
        """DescribeInstances: pairs of reservation and instance."""
        if ids:
            self.instances_named(ids)
        return [
            (reservation, instance)
            for reservation, instance in self.every_instance()
            if not ids or instance.id in ids
            if matches(filters, self.tags.get(instance.id, {}), instance.fields())
        ]

    def announce(self, instance: StrictInstance) -> None:
        """EC2 Instance State-change Notification."""
        detail = {"instance-id": instance.id, "state": instance.state}
        resources = [self.arn("instance", instance.id)]
        self.world.emit("EC2 Instance State-change Notification", resources, detail, self.region_name)

    # Launching

    def run_instances(
        self, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Any:
        """RunInstances: moto's instances, with volumes that keep every attribute of the block device mappings."""
        asked = kwargs.pop("block_device_mappings", None)
        if asked is None and kwargs.get("launch_template"):
            template = self._get_template_from_args(kwargs["launch_template"])
            asked = template.data.get("BlockDeviceMappings")
        tags = kwargs.get("tags", {})
        check_tags(tags.get("instance", {}))
        check_tags(tags.get("volume", {}))
        kwargs["block_device_mappings"] = []
        reservation = super().run_instances(image_id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            assert isinstance(instance, StrictInstance)
            for device, ebs in self.devices(instance, asked or []).items():
                self.launch_volume(instance, device, ebs, tags.get("volume", {}))
            self.announce(instance)
            self.come_up(instance)
        return reservation

    def devices(self, instance: StrictInstance, asked: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Device name to EBS attributes: the image's root device, and over it what was asked for."""
        image = self.amis.get(instance.image_id)
        root: dict[str, Any] = {"VolumeSize": ROOT_SIZE_GIB, "DeleteOnTermination": True}
        if image:
            root["SnapshotId"] = image.ebs_snapshot.id
        devices = {instance.root_device_name: root}
        for mapping in asked:
            name = mapping["DeviceName"]
            if mapping.get("NoDevice") == "":
                devices.pop(name, None)
            elif "Ebs" in mapping:
                given = {key: value for key, value in mapping["Ebs"].items() if value is not None}
                devices[name] = {**devices.get(name, {}), **given}
        return devices

    def launch_volume(
        self, instance: StrictInstance, device: str, ebs: dict[str, Any], tags: dict[str, str]
    ) -> StrictVolume:
        """Creates and attaches one volume of a new instance; its first content is the instance's own."""
        volume = self.new_volume({**ebs, "Size": ebs.get("VolumeSize")}, instance.placement.zone)
        used = int(0.4 * volume.size * GIB)
        volume.content = volume.content.written(f"first boot of {instance.id} {device}", used)
        ends = bool(ebs.get("DeleteOnTermination", False))
        self.put_on(volume, instance, device, ends_with_instance=ends, card=int(ebs.get("EbsCardIndex") or 0))
        volume.attached[0].status = "attached"
        self.tags[volume.id].update(tags)
        return volume

    def come_up(self, instance: StrictInstance, falls_back: str | None = None) -> None:
        """pending -> running, or back to stopped with a reason. Starting may change what is on the disks."""

        def finish() -> None:
            if instance.state != "pending":
                return
            if falls_back:
                instance.enter("stopped", falls_back)
            else:
                instance.enter("running")
                instance.boot()
                if self.world.settings.write_on_start:
                    self.write(instance)
            self.announce(instance)

        self.world.later(self.world.settings.start_seconds, f"{instance.id} comes up", finish)

    def write(self, instance: StrictInstance, device: str | None = None, written_bytes: int | None = None) -> None:
        """The running instance changes what is on one or all of its volumes."""
        for name, attachment in instance.block_device_mapping.items():
            if device in {None, name}:
                volume = attachment.volume
                volume.content = volume.content.written(f"{len(volume.content.lineage)}", written_bytes)

    # Starting and stopping

    def start_instances(self, instance_ids: list[str]) -> list[tuple[Any, InstanceState]]:
        """StartInstances: all or none. A root that is still attaching or already detaching does not count."""
        instances = self.instances_named(instance_ids)
        for instance in instances:
            if instance.state not in {"pending", "running", "stopped"}:
                raise refusal(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be started.",
                )
            root = instance.block_device_mapping.get(instance.root_device_name)
            if root is None or root.status != "attached":
                raise refusal(
                    "InvalidParameterValue",
                    f"Invalid value '{instance.id}' for instanceId. Instance does not have a volume attached at root "
                    f"({instance.root_device_name})",
                )
        self.end_dry_run()
        return [(instance, self.start_one(instance)) for instance in instances]

    def start_one(self, instance: StrictInstance) -> InstanceState:
        before = instance._state
        if instance.state != "stopped":
            return before
        failure = self.world.faults.take("start", instance=instance.id)
        falls_back = None
        if failure is not None:
            falls_back = failure.get("message", "Client.InternalError: Client error on launch")
        elif not all(self.key_usable(a.volume.kms_key_id) for a in instance.block_device_mapping.values()):
            falls_back = "Client.InternalError: Client error on launch"
        instance.enter("pending")
        instance.move_launch_time()
        self.announce(instance)
        self.come_up(instance, falls_back)
        return before

    def stop_instances(
        self, instance_ids: list[str], why: str = USER_SHUTDOWN, hibernate: bool = False
    ) -> list[tuple[Any, InstanceState]]:
        """StopInstances."""
        instances = self.instances_named(instance_ids)
        for instance in instances:
            if instance.disable_api_stop is True:
                raise refusal(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be stopped. Modify its 'disableApiStop' instance attribute.",
                )
            if instance.state not in {"running", "stopping", "stopped"}:
                raise refusal(
                    "IncorrectInstanceState",
                    f"This instance '{instance.id}' is not in a state from which it can be stopped.",
                )
            if hibernate and not instance.hibernation_options["Configured"]:
                raise refusal(
                    "UnsupportedHibernationConfiguration",
                    f"The instance '{instance.id}' is not configured to hibernate.",
                )
        self.end_dry_run()
        why = "Client.UserInitiatedHibernate: User initiated hibernate" if hibernate else why
        return [(instance, self.stop_one(instance, why)) for instance in instances]

    def stop_one(self, instance: StrictInstance, why: str) -> InstanceState:
        before = instance._state
        if instance.state != "running":
            return before
        by_user = why.startswith("Client.User")
        transition = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if by_user else ""
        instance.enter("stopping", why, transition)
        self.announce(instance)

        def stopped() -> None:
            if instance.state == "stopping":
                instance.enter("stopped", why, transition)
                self.announce(instance)

        self.world.later(self.world.settings.stop_seconds, f"{instance.id} stops", stopped)
        return before

    def guest_shutdown(self, instance_id: str) -> None:
        """``shutdown`` in the guest: stops or terminates as InstanceInitiatedShutdownBehavior says."""
        instance = self.get_instance(instance_id)
        if instance.state != "running":
            raise refusal("IncorrectInstanceState", f"The instance '{instance_id}' is not running.")
        if instance.instance_initiated_shutdown_behavior == "terminate":
            self.end(instance, GUEST_SHUTDOWN)
        else:
            self.stop_one(instance, GUEST_SHUTDOWN)

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Any, InstanceState]]:
        """TerminateInstances."""
        instances = self.instances_named(instance_ids)
        for instance in instances:
            if instance.disable_api_termination is True:
                raise refusal(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' instance "
                    "attribute and try again.",
                )
        return [(instance, self.end(instance, USER_SHUTDOWN)) for instance in instances]

    def end(self, instance: StrictInstance, why: str) -> InstanceState:
        """shutting-down -> terminated. Volumes with DeleteOnTermination go, the others are left `available`."""
        before = instance._state
        if instance.state in {"shutting-down", "terminated"}:
            return before
        transition = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if why == USER_SHUTDOWN else ""
        instance.enter("shutting-down", why, transition)
        self.announce(instance)

        def terminated() -> None:
            for attachment in list(instance.block_device_mapping.values()):
                self.take_off(attachment)
                if attachment.delete_on_termination and not attachment.volume.attached:
                    self.let_go(attachment.volume)
            Instance.terminate(instance)
            instance.enter("terminated", why, transition)
            self.announce(instance)

        self.world.later(self.world.settings.terminate_seconds, f"{instance.id} is terminated", terminated)
        return before

    # Attributes and tags

    def set_delete_on_termination(self, instance_id: str, mappings: list[dict[str, Any]]) -> None:
        """ModifyInstanceAttribute with BlockDeviceMappings; every device must be attached."""
        instance = self.get_instance(instance_id)
        for mapping in mappings:
            if mapping.get("DeviceName") not in instance.block_device_mapping:
                raise refusal(
                    "InvalidInstanceAttributeValue",
                    f"No device is currently mapped at {mapping.get('DeviceName')}",
                )
        self.end_dry_run()
        for mapping in mappings:
            value = mapping.get("Ebs", {}).get("DeleteOnTermination")
            if value is not None:
                instance.block_device_mapping[mapping["DeviceName"]].delete_on_termination = value

    def api_create_tags(self, resource_ids: list[str], tags: dict[str, str]) -> None:
        """CreateTags: all or none."""
        for resource_id in resource_ids:
            check_tags(tags, self.tags.get(resource_id, {}))
        self.end_dry_run()
        for resource_id in resource_ids:
            self.tags[resource_id].update({key: value or "" for key, value in tags.items()})

    def api_delete_tags(self, resource_ids: list[str], tags: dict[str, str | None]) -> None:
        """DeleteTags: with a value only where it is still that value; without tags all but the `aws:` ones."""
        if any(key.lower().startswith("aws:") for key in tags):
            raise refusal("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        self.end_dry_run()
        for resource_id in resource_ids:
            present = self.tags.get(resource_id, {})
            for key, value in list(present.items()):
                if key.startswith("aws:") or (tags and key not in tags):
                    continue
                if not tags or tags[key] is None or tags[key] == value:
                    del present[key]

    def set_facts(self, instance_id: str, facts: dict[str, Any]) -> None:
        """Makes an instance something that no API call can make of it, for the tests of refusals."""
        instance = self.get_instance(instance_id)
        attachments: list[Attachment] = list(instance.block_device_mapping.values())
        setters: dict[str, Callable[[Any], object]] = {
            "state_reason": lambda v: setattr(instance, "state_reason", reason(v) if v else None),
            "lifecycle": lambda v: setattr(instance, "lifecycle", v),
            "hibernation_configured": lambda v: setattr(instance, "hibernation_options", {"Configured": bool(v)}),
            "product_codes": lambda v: setattr(
                instance, "product_codes", [{"ProductCodeId": c, "ProductCodeType": "marketplace"} for c in v]
            ),
            "licenses": lambda v: setattr(instance, "license_arns", tuple(v)),
            "root_device_type": lambda v: setattr(instance, "root_device_type", v),
            "outpost_arn": lambda v: setattr(instance, "outpost_arn", v),
            "availability_zone": lambda v: setattr(instance.placement, "zone", v),
            "operator": lambda v: setattr(
                instance, "operator", {"Managed": bool(v), **({"Principal": v} if v else {})}
            ),
            "launch_time": lambda v: setattr(instance, "launch_time", moment(v)),
            "attach_time": lambda v: [attachment.attached_at(moment(v)) for attachment in attachments],
            "tags": self.tags[instance_id].update,
        }
        for name, value in facts.items():
            if name not in setters:
                raise ValueError(f"There is no fact {name!r}. The facts are: {', '.join(setters)}.")
            setters[name](value)


def tags_of(resource: Any) -> list[dict[str, str]]:
    """A resource's tags. moto looks through the tags of all resources for it, which is slow with thousands of them."""
    tags = resource.ec2_backend.tags.get(resource.id, {})
    return [{"key": key, "value": value, "resource_id": resource.id} for key, value in tags.items()]
