"""EC2's HTTP API over the strict backend: moto's responses, with the operations that moto lacks or gets wrong."""

from __future__ import annotations

import base64
import copy
import re
from datetime import timedelta
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.models import validate_resource_ids
from moto.ec2.responses import EC2Response

from tests.local_aws.ebs import StrictSnapshot, refusal
from tests.local_aws.filters import matches
from tests.local_aws.instances import StrictBackend, StrictInstance
from tests.local_aws.world import World

MAX_PAGE = 1000


class StrictEc2Api(EC2Response):
    """One call of the EC2 API. ``world`` is set when the server is wired."""

    world: World

    @property
    def strict(self) -> StrictBackend:
        backend = self.ec2_backend
        assert isinstance(backend, StrictBackend)
        return backend

    def call_action(self) -> Any:
        with self.world.ec2_lock:
            try:
                status, headers, body = super().call_action()
            finally:
                self.world.dry_run = False
        return status, headers, self.as_recorded(body)

    def as_recorded(self, body: Any) -> Any:
        """The answer with the AttachTime that the settings want; moto writes whole seconds only."""
        settings = self.world.settings
        if self._get_action() in ("AttachVolume", "DetachVolume"):
            if settings.attach_milliseconds:
                body = body.replace(".000Z</attachTime>", ".432Z</attachTime>")
            if settings.attach_times_hidden:
                body = re.sub("<attachTime>[^<]*</attachTime>", "", body)
        return body

    def begin_change(self) -> None:
        """A dry run ends here, or, where EC2 checks more than permissions, in StrictEbs.end_dry_run."""
        if not self.world.settings.dry_run_checks:
            self.error_on_dryrun()
        self.world.dry_run = bool(self._get_param("DryRun", False))

    def arguments(self) -> dict[str, Any]:
        """The parameters under their API names."""
        params: Any = self.params
        return dict(params.original_dict() if hasattr(params, "original_dict") else params)

    def requested_tags(self, resource_type: str) -> dict[str, str]:
        return dict(self._parse_tag_specification().get(resource_type, {}))

    def filters(self) -> dict[str, list[str]]:
        return {name: list(values) for name, values in self._filters_from_querystring().items()}

    def page(self, items: list[Any], key: Any) -> tuple[list[Any], str | None]:
        """One page; the token is the key of the last item that was given."""
        token, size = self._get_param("NextToken"), self._get_param("MaxResults")
        if token:
            keys = [key(item) for item in items]
            if token not in keys:
                raise refusal("InvalidParameterValue", "Unable to parse pagination token")
            items = items[keys.index(token) + 1 :]
        shown = items[: min(int(size), MAX_PAGE)] if size else items
        return shown, (key(shown[-1]) if len(shown) < len(items) else None)

    def refuse_ids_with_paging(self, ids: list[str], name: str) -> None:
        if ids and self._get_param("MaxResults"):
            raise refusal(
                "InvalidParameterCombination",
                f"The parameter {name} cannot be used with the parameter maxResults in the same request",
            )

    # The account

    def describe_regions(self) -> ActionResult:
        self.error_on_dryrun()
        named, also_disabled = list(self._get_param("RegionNames", [])), bool(self._get_param("AllRegions", False))
        found = self.world.regions.described(named=named, also_disabled=also_disabled, filters=self.filters())
        return ActionResult({"Regions": found})

    def get_ebs_default_kms_key_id(self) -> ActionResult:
        """Nobody here has chosen a key."""
        return ActionResult({"KmsKeyId": "alias/aws/ebs"})

    # Instances

    def describe_instances(self) -> ActionResult:
        self.error_on_dryrun()
        ids = list(self._get_param("InstanceIds", []))
        self.refuse_ids_with_paging(ids, "instancesSet")
        pairs = self.strict.matching_instances(ids, self.filters())
        shown, token = self.page(pairs, lambda pair: pair[1].id)
        reservations: dict[str, Any] = {}
        for reservation, instance in shown:
            if reservation.id not in reservations:
                reservations[reservation.id] = copy.copy(reservation)
                reservations[reservation.id].instances = []
            reservations[reservation.id].instances.append(instance)
        return ActionResult({"Reservations": list(reservations.values()), "NextToken": token})

    def _parse_block_device_mapping(self) -> list[dict[str, Any]]:
        """moto drops Throughput and more; the strict backend takes the mappings whole."""
        mappings = []
        for mapping in self._get_param("BlockDeviceMappings", []):
            self._validate_block_device_mapping_of(mapping)
            mappings.append(dict(mapping))
        return mappings

    @staticmethod
    def _validate_block_device_mapping_of(mapping: dict[str, Any]) -> None:
        """Only the device's name is always needed: the image's root device knows its own size."""
        if not mapping.get("DeviceName"):
            raise refusal("MissingParameter", "The request must contain the parameter deviceName")

    def stop_instances(self) -> ActionResult:
        self.begin_change()
        ids = self._get_param("InstanceIds", [])
        changed = self.strict.stop_instances(ids, hibernate=bool(self._get_param("Hibernate", False)))
        return self.changes("StoppingInstances", changed)

    def start_instances(self) -> ActionResult:
        self.begin_change()
        ids = self._get_param("InstanceIds", [])
        return self.changes("StartingInstances", self.strict.start_instances(ids))

    @staticmethod
    def changes(name: str, changed: list[tuple[StrictInstance, Any]]) -> ActionResult:
        """The answer of StartInstances and StopInstances, with the states as they are (moto's are fixed texts)."""
        return ActionResult(
            {
                name: [
                    {
                        "InstanceId": instance.id,
                        "CurrentState": {"Code": instance.state_code, "Name": instance.state},
                        "PreviousState": {"Code": before.code, "Name": before.name},
                    }
                    for instance, before in changed
                ]
            }
        )

    def get_console_output(self) -> ActionResult:
        self.error_on_dryrun()
        instance = self.strict.get_instance(self._get_param("InstanceId"))
        text = base64.b64encode("\n".join(instance.console).encode()).decode()
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": text})

    def modify_instance_attribute(self) -> ActionResult:
        mappings = self._get_param("BlockDeviceMappings", [])
        if not mappings:
            return super().modify_instance_attribute()
        self.begin_change()
        self.strict.set_delete_on_termination(self._get_param("InstanceId"), [dict(m) for m in mappings])
        return EmptyResult()

    # Volumes

    def create_volume(self) -> ActionResult:
        self.begin_change()
        return ActionResult(self.strict.api_create_volume(self.arguments(), self.requested_tags("volume")))

    def delete_volume(self) -> ActionResult:
        self.begin_change()
        self.strict.api_delete_volume(self._get_param("VolumeId"))
        return EmptyResult()

    def describe_volumes(self) -> ActionResult:
        self.error_on_dryrun()
        ids = list(self._get_param("VolumeIds", []))
        self.refuse_ids_with_paging(ids, "volumesSet")
        shown, token = self.page(self.strict.matching_volumes(ids, self.filters()), lambda volume: volume.id)
        return ActionResult({"Volumes": shown, "NextToken": token})

    def list_volumes_in_recycle_bin(self) -> ActionResult:
        """No tags are told."""
        self.error_on_dryrun()
        kept = timedelta(days=self.world.settings.volume_bin_days)
        found = [(v, since) for v, since in self.strict.binned_volumes.values() if utcnow() < since + kept]
        shown, token = self.page(found, lambda pair: pair[0].id)
        volumes = [
            {
                "VolumeId": v.id,
                "VolumeType": v.volume_type,
                "Size": v.size,
                "Iops": v.iops,
                "Throughput": v.throughput,
                "AvailabilityZone": v.availability_zone,
                "State": "deleted",
                "RecycleBinEnterTime": since,
                "RecycleBinExitTime": since + kept,
            }
            for v, since in shown
        ]
        return ActionResult({"Volumes": volumes, "NextToken": token})

    def describe_volume_status(self) -> ActionResult:  # type: ignore[override]  # moto only says that it has none
        self.error_on_dryrun()
        ids = list(self._get_param("VolumeIds", []))
        self.refuse_ids_with_paging(ids, "volumesSet")
        shown, token = self.page(self.strict.matching_volumes(ids, {}), lambda volume: volume.id)
        settings = self.world.settings
        return ActionResult({"VolumeStatuses": [v.described_status(settings) for v in shown], "NextToken": token})

    def modify_volume(self) -> ActionResult:
        self.begin_change()
        modification = self.strict.api_modify_volume(self.arguments())
        return ActionResult({"VolumeModification": modification.described()})

    def describe_volumes_modifications(self) -> ActionResult:
        self.error_on_dryrun()
        ids = list(self._get_param("VolumeIds", []))
        self.refuse_ids_with_paging(ids, "volumesSet")
        found = self.strict.matching_modifications(ids, self.filters())
        shown, token = self.page(found, lambda modification: modification.volume.id)
        return ActionResult({"VolumesModifications": [m.described() for m in shown], "NextToken": token})

    def attach_volume(self) -> ActionResult:
        self.begin_change()
        card = int(self._get_param("EbsCardIndex") or 0)
        device = self._get_param("Device")
        if not device:
            raise refusal("MissingParameter", "The request must contain the parameter device")
        return ActionResult(
            self.strict.api_attach_volume(self._get_param("VolumeId"), self._get_param("InstanceId"), device, card)
        )

    def detach_volume(self) -> ActionResult:
        self.begin_change()
        attachment = self.strict.api_detach_volume(
            self._get_param("VolumeId"),
            self._get_param("InstanceId"),
            self._get_param("Device"),
            force=bool(self._get_param("Force", False)),
        )
        return ActionResult(attachment)

    # Snapshots

    def create_snapshot(self) -> ActionResult:
        self.begin_change()
        tags = self.requested_tags("snapshot")
        snapshot = self.strict.api_create_snapshot(self._get_param("VolumeId"), self._get_param("Description"), tags)
        return ActionResult(snapshot)

    def create_snapshots(self) -> ActionResult:
        """CreateSnapshots, CopyTagsFromSource included."""
        self.begin_change()
        spec = self._get_param("InstanceSpecification", {})
        instance = self.strict.get_instance(spec["InstanceId"])
        left_out = set(spec.get("ExcludeDataVolumeIds") or [])
        copied = self._get_param("CopyTagsFromSource") == "volume"
        snapshots = []
        for attachment in list(instance.block_device_mapping.values()):
            is_root = attachment.device == instance.root_device_name
            if (spec.get("ExcludeBootVolume") and is_root) or attachment.volume_id in left_out:
                continue
            own = {k: v for k, v in self.strict.tags.get(attachment.volume_id, {}).items() if not k.startswith("aws:")}
            tags = {**(own if copied else {}), **self.requested_tags("snapshot")}
            description = self._get_param("Description")
            snapshots.append(self.strict.api_create_snapshot(attachment.volume_id, description, tags))
        return ActionResult({"Snapshots": snapshots})

    def delete_snapshot(self) -> ActionResult:
        self.begin_change()
        self.strict.api_delete_snapshot(self._get_param("SnapshotId"))
        return EmptyResult()

    def list_snapshots_in_recycle_bin(self) -> ActionResult:
        self.error_on_dryrun()
        ids = list(self._get_param("SnapshotIds", []))
        found = [b.described() for name, b in self.strict.recycle_bin.items() if not ids or name in ids]
        return ActionResult({"Snapshots": found})

    def restore_snapshot_from_recycle_bin(self) -> ActionResult:
        self.begin_change()
        s = self.strict.api_restore_snapshot_from_recycle_bin(self._get_param("SnapshotId"))
        return ActionResult({"SnapshotId": s.id, "Description": s.description, "State": s.status})

    def describe_snapshots(self) -> ActionResult:
        self.error_on_dryrun()
        ids = list(self._get_param("SnapshotIds", []))
        self.refuse_ids_with_paging(ids, "snapshotSet")
        owners = list(self._get_param("OwnerIds", []))
        found = self.strict.matching_snapshots(ids, self.filters(), owners)
        shown, token = self.page(found, lambda snapshot: snapshot.id)
        return ActionResult({"Snapshots": shown, "NextToken": token})

    def register_image(self) -> ActionResult:
        """moto forgets which snapshots an AMI is registered from, and makes one more for it."""
        self.error_on_dryrun()
        image = self.strict.register_image(self._get_param("Name"), self._get_param("Description", ""))
        self.strict.forget_snapshot(image.ebs_snapshot.id)
        for mapping in self._get_param("BlockDeviceMappings", []):
            self.strict.own_snapshot(mapping["Ebs"]["SnapshotId"]).from_ami = image.id
        return ActionResult({"ImageId": image.id})

    def lock_snapshot(self) -> ActionResult:
        self.begin_change()
        snapshot = self.strict.api_lock_snapshot(self.arguments())
        assert snapshot.lock is not None
        return ActionResult({"SnapshotId": snapshot.id, **snapshot.lock.described()})

    def unlock_snapshot(self) -> ActionResult:
        self.begin_change()
        self.strict.api_unlock_snapshot(self._get_param("SnapshotId"))
        return ActionResult({"SnapshotId": self._get_param("SnapshotId")})

    def describe_locked_snapshots(self) -> ActionResult:
        self.error_on_dryrun()
        ids = list(self._get_param("SnapshotIds", []))
        found: list[tuple[StrictSnapshot, dict[str, Any]]] = []
        for snapshot in self.strict.matching_snapshots(ids, {}, ["self"]):
            if ids and self.world.settings.unlocked_ids_refused and not getattr(snapshot, "lock", None):
                raise refusal("SnapshotNotLocked", f"The snapshot '{snapshot.id}' is not locked.")
            if isinstance(snapshot, StrictSnapshot) and snapshot.lock:
                lock = snapshot.lock
                state = lock.state
                if matches(self.filters(), {}, {"lock-state": lambda state=state: [state]}):  # type: ignore[misc]
                    found.append((snapshot, lock.described()))
        shown, token = self.page(found, lambda pair: pair[0].id)
        locked = [{"OwnerId": s.owner_id, "SnapshotId": s.id, **lock} for s, lock in shown]
        return ActionResult({"Snapshots": locked, "NextToken": token})

    def modify_snapshot_tier(self) -> ActionResult:
        self.begin_change()
        snapshot = self.strict.api_modify_snapshot_tier(self._get_param("SnapshotId"))
        return ActionResult({"SnapshotId": snapshot.id, "TieringStartTime": snapshot.last_tiering_start_time})

    def restore_snapshot_tier(self) -> ActionResult:
        self.begin_change()
        if not self._get_param("PermanentRestore"):
            raise NotImplementedError("The local AWS restores from the archive permanently only.")
        snapshot = self.strict.api_restore_snapshot_tier(self._get_param("SnapshotId"))
        started = snapshot.restore_start_time
        return ActionResult({"SnapshotId": snapshot.id, "RestoreStartTime": started, "IsPermanentRestore": True})

    def describe_snapshot_tier_status(self) -> ActionResult:
        self.error_on_dryrun()
        found = self.strict.matching_snapshots([], self.filters(), ["self"])
        shown, token = self.page(found, lambda snapshot: snapshot.id)
        statuses = [
            {
                "SnapshotId": s.id,
                "VolumeId": s.volume_id,
                "Status": s.status,
                "OwnerId": s.owner_id,
                "StorageTier": s.storage_tier,
                "LastTieringOperationStatus": s.last_tiering_operation_status,
                "LastTieringStartTime": s.last_tiering_start_time,
            }
            for s in shown
        ]
        return ActionResult({"SnapshotTierStatuses": statuses, "NextToken": token})

    # Tags

    def create_tags(self) -> ActionResult:
        self.begin_change()
        ids = self._get_param("Resources", [])
        validate_resource_ids(ids)
        self.strict.do_resources_exist(ids)
        self.strict.api_create_tags(ids, {tag["Key"]: tag.get("Value", "") for tag in self._get_param("Tags", [])})
        return EmptyResult()

    def delete_tags(self) -> ActionResult:
        self.begin_change()
        ids = self._get_param("Resources", [])
        validate_resource_ids(ids)
        self.strict.api_delete_tags(ids, {tag["Key"]: tag.get("Value") for tag in self._get_param("Tags", [])})
        return EmptyResult()
