"""Volumes and snapshots as EC2 really treats them: states that take time, refusals, and content that travels.

Behaviour follows the EC2 API reference (the actions named in each method) and the EBS user guide
(https://docs.aws.amazon.com/ebs/latest/userguide/): error codes from
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import DryRunClientError, EC2ClientError, InvalidVolumeIdError
from moto.ec2.models.elastic_block_store import Snapshot, Volume
from moto.ec2.utils import random_snapshot_id, random_volume_id
from moto.kms.models import kms_backends

from tests.local_aws.filters import matches
from tests.local_aws.settings import Settings
from tests.local_aws.world import World
from tests.model.records import too_large

GIB = 1024**3
MIB = 2**20
MAX_TAGS = 50
MAX_TAG_KEY, MAX_TAG_VALUE = 127, 256
PENDING_SNAPSHOTS_PER_VOLUME = 5
MIN_INITIALIZATION_RATE, MAX_INITIALIZATION_RATE = 100, 300
MAX_LOCK_DAYS = 36_500
GP3_IOPS, GP3_THROUGHPUT = 3000, 125
KMS_CAUSE = "Client.InvalidKMSKey.InvalidState: The specified KMS keyId is not in an enabled state"


def refusal(code: str, message: str) -> EC2ClientError:
    """An EC2 error, to be raised."""
    return EC2ClientError(code, message)


def is_customers(key: Any) -> bool:
    """Whether a KMS key is not one of AWS's own (aliases `alias/aws/...`)."""
    return not any(alias.startswith("alias/aws/") for alias in key.aliases)


def whole_second(moment: datetime) -> datetime:
    """EC2 gives launch and attach times without fractions."""
    return moment.replace(microsecond=0)


def check_tags(tags: dict[str, str], present: Iterable[str] = ()) -> None:
    """Refuses what EC2's tag restrictions refuse.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
    """
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise refusal("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > MAX_TAG_KEY:
            raise refusal("InvalidParameterValue", f"Tag key exceeds the maximum length of {MAX_TAG_KEY} characters")
        if len(value or "") > MAX_TAG_VALUE:
            raise refusal(
                "InvalidParameterValue", f"Tag value exceeds the maximum length of {MAX_TAG_VALUE} characters"
            )
    if len({key for key in {*tags, *present} if not key.startswith("aws:")}) > MAX_TAGS:
        raise refusal("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is on a disk: a fingerprint, the fingerprints before it (oldest first) and the bytes ever written."""

    fingerprint: str = "empty"
    lineage: tuple[str, ...] = ()
    written_bytes: int = 0

    def written(self, what: str, written_bytes: int | None = None) -> Content:
        """The content after writing something; the same content and ``what`` give the same fingerprint."""
        return Content(
            fingerprint=hashlib.sha256(f"{self.fingerprint}\n{what}".encode()).hexdigest()[:16],
            lineage=(*self.lineage, self.fingerprint),
            written_bytes=self.written_bytes if written_bytes is None else written_bytes,
        )


class Attachment:
    """A volume on an instance. moto reads it as a volume's attachment and as an instance's block device."""

    def __init__(self, volume: StrictVolume, instance: Any, device: str, *, ends_with_instance: bool, card: int):
        self.volume = volume
        self.instance = instance
        self.device = device
        self.status = "attaching"
        self.attach_time = whole_second(utcnow())
        self.delete_on_termination = ends_with_instance
        self.ebs_card_index = card

    def attached_at(self, moment: datetime) -> Attachment:
        """The same attachment, as if it had been made then."""
        self.attach_time = moment
        return self

    @property
    def volume_id(self) -> str:
        return self.volume.id

    @property
    def instance_id(self) -> str:
        return str(self.instance.id)

    @property
    def size(self) -> int:
        return self.volume.size


class StrictVolume(Volume):
    """A volume with a state of its own: creating, available, in-use, deleting, deleted or error."""

    def __init__(self, **facts: Any):
        self.attached: list[Attachment] = []
        self.state = "creating"
        self.content = Content()
        self.volume_initialization_rate: int | None = None
        self.created = utcnow()
        self.operator = {"Managed": False}
        super().__init__(**facts)

    @property
    def status(self) -> str:
        return self.state

    @property
    def attachment(self) -> Any:
        return self.attached[0] if self.attached else None

    @attachment.setter
    def attachment(self, value: Any) -> None:
        """moto's constructor sets None; attachments are kept in ``attached``."""

    @property
    def attachments(self) -> Any:
        return self.attached

    def described_status(self, settings: Settings) -> dict[str, Any]:
        """DescribeVolumeStatus; how far a volume is loaded is told of one that was made from a snapshot."""
        checks = {"Status": "ok", "Details": [{"Name": "io-enabled", "Status": "passed"}]}
        status = {"VolumeId": self.id, "AvailabilityZone": self.availability_zone, "VolumeStatus": checks}
        if not self.snapshot_id:
            return status
        rate = self.volume_initialization_rate
        takes = self.size * GIB / (rate * MIB) if rate else settings.load_seconds
        left = max(0.0, takes - (utcnow() - self.created).total_seconds())
        details: dict[str, Any] = {"InitializationType": "provisioned-rate" if rate else "default"}
        details["Progress"] = int(100 - 100 * left / takes) if left else 100
        if rate:
            details["EstimatedTimeToCompleteInSeconds"] = round(left)
        return status | {"InitializationStatusDetails": details}

    def fields(self) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html, Filter.N"""
        return {
            "attachment.attach-time": lambda: [a.attach_time for a in self.attached],
            "attachment.delete-on-termination": lambda: [a.delete_on_termination for a in self.attached],
            "attachment.device": lambda: [a.device for a in self.attached],
            "attachment.instance-id": lambda: [a.instance_id for a in self.attached],
            "attachment.status": lambda: [a.status for a in self.attached],
            "availability-zone": lambda: [self.availability_zone],
            "create-time": lambda: [self.create_time],
            "encrypted": lambda: [self.encrypted],
            "multi-attach-enabled": lambda: [bool(self.multi_attach_enabled)],
            "size": lambda: [self.size],
            "snapshot-id": lambda: [self.snapshot_id],
            "status": lambda: [self.state],
            "volume-id": lambda: [self.id],
            "volume-type": lambda: [self.volume_type],
        }


class StrictSnapshot(Snapshot):
    """A snapshot that takes its time; its content is the volume's at the moment of CreateSnapshot."""

    def __init__(self, *, volume: StrictVolume, seconds: float, **facts: Any):
        super().__init__(volume=volume, **facts)
        self.status = "pending"
        self.seconds = seconds
        self.size = volume.size
        self.content = volume.content
        self.completion_time: datetime | None = None
        self.status_message: str | None = None
        self.lock: SnapshotLock | None = None
        self.delete_when_completed = False

    @property
    def volume_size(self) -> int:
        return self.size

    @property
    def moving(self) -> bool:
        """Whether it is on its way to the archive tier or back."""
        return str(self.last_tiering_operation_status or "").endswith("-in-progress")

    def arrive(self, tier: str, status: str) -> None:
        self.storage_tier, self.last_tiering_operation_status = tier, status

    @property
    def full_snapshot_size_in_bytes(self) -> int:
        return self.content.written_bytes

    @property
    def progress(self) -> str:
        if self.status == "completed":
            return "100%"
        passed = (utcnow() - self.start_time).total_seconds()
        return f"{min(99, int(100 * passed / max(self.seconds, 0.001)))}%"

    def fields(self) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html, Filter.N"""
        return {
            "description": lambda: [self.description],
            "encrypted": lambda: [self.encrypted],
            "owner-id": lambda: [self.owner_id],
            "progress": lambda: [self.progress],
            "snapshot-id": lambda: [self.id],
            "start-time": lambda: [self.start_time],
            "status": lambda: [self.status],
            "storage-tier": lambda: [self.storage_tier],
            "volume-id": lambda: [self.volume.id],
            "volume-size": lambda: [self.size],
        }


@dataclass(frozen=True, kw_only=True)
class BinnedSnapshot:
    """A deleted snapshot in the Recycle Bin, as long as that keeps it."""

    snapshot: StrictSnapshot
    tags: Mapping[str, str]
    leaves: datetime
    entered: datetime = field(default_factory=utcnow)

    def described(self) -> dict[str, Any]:
        s = self.snapshot
        entry = {"SnapshotId": s.id, "Description": s.description, "VolumeId": s.volume_id}
        return entry | {"RecycleBinEnterTime": self.entered, "RecycleBinExitTime": self.leaves}


@dataclass(frozen=True, kw_only=True)
class SnapshotLock:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockedSnapshotsInfo.html"""

    mode: str
    created_on: datetime
    duration_days: int
    starts: datetime
    cool_off_hours: int

    @property
    def expires_on(self) -> datetime:
        return self.starts + timedelta(days=self.duration_days)

    @property
    def cool_off_expires_on(self) -> datetime | None:
        return self.created_on + timedelta(hours=self.cool_off_hours) if self.cool_off_hours else None

    @property
    def state(self) -> str:
        if self.expires_on <= utcnow():
            return "expired"
        if self.mode == "compliance" and self.cool_off_expires_on and self.cool_off_expires_on > utcnow():
            return "compliance-cooloff"
        return self.mode

    def described(self) -> dict[str, Any]:
        facts = {
            "LockState": self.state,
            "LockDuration": self.duration_days,
            "CoolOffPeriod": self.cool_off_hours or None,
            "CoolOffPeriodExpiresOn": self.cool_off_expires_on,
            "LockCreatedOn": self.created_on,
            "LockExpiresOn": self.expires_on,
            "LockDurationStartTime": self.starts,
        }
        return {name: value for name, value in facts.items() if value is not None}


def snapshot_fields(snapshot: Snapshot) -> dict[str, Any]:
    """The filter fields of any snapshot, moto's own (those of AMIs) included."""
    if isinstance(snapshot, StrictSnapshot):
        return snapshot.fields()
    return {
        name: lambda name=name: [snapshot.get_filter_value(name)]
        for name in ("description", "encrypted", "owner-id", "snapshot-id", "start-time", "status", "volume-id")
    }


class StrictEbs:
    """The EBS half of the EC2 backend. Methods named after API actions take what the API takes."""

    world: World
    account_id: str
    region_name: str
    partition: str
    volumes: dict[str, Any]
    snapshots: dict[str, Any]
    tags: dict[str, dict[str, str]]
    ebs_encryption_by_default: bool

    def __init__(self) -> None:
        self.ami_snapshots: dict[str, Snapshot] = {}
        self.binned_snapshots: dict[str, BinnedSnapshot] = {}
        self.volume_tokens: dict[str, tuple[dict[str, Any], StrictVolume]] = {}
        self.binned_volumes: dict[str, tuple[StrictVolume, datetime]] = {}

    def end_dry_run(self) -> None:
        """All that EC2 may check is checked, and nothing is changed yet."""
        if self.world.dry_run:
            raise DryRunClientError()

    def arn(self, kind: str, resource_id: str) -> str:
        """The ARN of an instance or volume; a snapshot's has no account."""
        account = "" if kind == "snapshot" else self.account_id
        return f"arn:{self.partition}:ec2:{self.region_name}:{account}:{kind}/{resource_id}"

    # Volumes

    def volume_named(self, volume_id: str) -> StrictVolume:
        volume = self.volumes.get(volume_id)
        if volume is None:
            raise InvalidVolumeIdError(volume_id)
        assert isinstance(volume, StrictVolume)
        return volume

    def api_create_volume(self, params: dict[str, Any], tags: dict[str, str]) -> StrictVolume:
        """CreateVolume, with its client token (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).

        A token answers with the volume of its first use even when that volume is dead by now.
        """
        token = params.get("ClientToken")
        rest = {k: v for k, v in params.items() if k not in {"ClientToken", "DryRun"}}
        if token and token in self.volume_tokens:
            used_with, volume = self.volume_tokens[token]
            if used_with != rest:
                raise refusal(
                    "IdempotentParameterMismatch",
                    "The client token you have provided is associated with a request with other parameters.",
                )
            self.end_dry_run()
            return volume
        check_tags(tags)
        volume = self.new_volume(rest, params.get("AvailabilityZone"))
        self.tags[volume.id].update(tags)
        if token:
            self.volume_tokens[token] = (rest, volume)
        failure = self.world.faults.take("create_volume", volume=volume.id, snapshot=volume.snapshot_id or "")
        if failure is None and not self.key_usable(volume.kms_key_id):
            failure = {}

        def finish() -> None:
            if volume.state != "creating":
                return
            volume.state = "available" if failure is None else "error"
            cause = "" if failure is None else failure.get("cause", KMS_CAUSE)
            self.volume_event(volume, "createVolume", "available" if failure is None else "failed", cause)

        self.world.later(self.world.settings.create_volume_seconds, f"{volume.id} is created", finish)
        return volume

    def new_volume(self, params: dict[str, Any], zone_name: str | None) -> StrictVolume:
        """A volume in state `creating` from the parameters that CreateVolume and RunInstances have in common."""
        zone = self.get_zone_by_name(zone_name)  # type: ignore[attr-defined]
        if zone is None:
            raise refusal("InvalidZone.NotFound", f"The zone '{zone_name}' does not exist.")
        snapshot_id = params.get("SnapshotId")
        snapshot = self.snapshot_named(snapshot_id) if snapshot_id else None
        if snapshot and snapshot.status != "completed":
            raise refusal("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
        if snapshot and snapshot.storage_tier == "archive":
            raise refusal("IncorrectState", f"Snapshot {snapshot_id} is archived")
        smallest = snapshot.volume_size if isinstance(snapshot, StrictSnapshot) else 1
        size = params.get("Size") or (snapshot.volume_size if snapshot else None)
        if not size:
            raise refusal("MissingParameter", "The request must contain the parameter size/snapshot")
        if size < smallest:
            raise refusal(
                "InvalidParameterValue",
                f"Volume of {size}GiB is smaller than snapshot '{snapshot_id}', expect size >= {smallest}GiB",
            )
        volume_type = params.get("VolumeType") or "gp2"
        iops, throughput = self.performance(volume_type, size, params)
        encrypted, key = self.encryption(params, snapshot)
        rate = params.get("VolumeInitializationRate")
        if rate is not None and not (snapshot and MIN_INITIALIZATION_RATE <= rate <= MAX_INITIALIZATION_RATE):
            raise refusal("InvalidParameterValue", "VolumeInitializationRate is 100 to 300 and needs a snapshot")
        self.end_dry_run()
        volume = StrictVolume(  # type: ignore[abstract]  # moto's own Volume leaves them abstract, too
            ec2_backend=self,
            volume_id=random_volume_id(),
            size=size,
            zone=zone,
            snapshot_id=snapshot_id,
            encrypted=encrypted,
            kms_key_id=key,
            volume_type=volume_type,
            iops=iops,
            throughput=throughput,
            multi_attach_enabled=bool(params.get("MultiAttachEnabled")),
        )
        volume.volume_initialization_rate = rate
        if isinstance(snapshot, StrictSnapshot):
            volume.content = snapshot.content
        elif snapshot:
            volume.content = Content().written(snapshot.id, written_bytes=2 * GIB)
        self.volumes[volume.id] = volume
        return volume

    @staticmethod
    def performance(volume_type: str, size: int, params: dict[str, Any]) -> tuple[int | None, int | None]:
        """IOPS and throughput (MiB/s): which types take them, and their defaults (EBS user guide, volume types)."""
        iops, throughput = params.get("Iops"), params.get("Throughput")
        if message := too_large(volume_type, size):
            raise refusal("InvalidParameterValue", message)
        if iops and volume_type not in {"io1", "io2", "gp3"}:
            raise refusal(
                "InvalidParameterCombination", f"The parameter iops is not supported for {volume_type} volumes."
            )
        if throughput and volume_type != "gp3":
            raise refusal(
                "InvalidParameterCombination", f"The parameter throughput is not supported for {volume_type} volumes."
            )
        if volume_type in {"io1", "io2"} and not iops:
            raise refusal("MissingParameter", f"The parameter iops must be specified for {volume_type} volumes.")
        if volume_type == "gp3":
            return iops or GP3_IOPS, throughput or GP3_THROUGHPUT
        return (min(16000, max(100, 3 * size)) if volume_type == "gp2" else iops), None

    def encryption(self, params: dict[str, Any], snapshot: Snapshot | None) -> tuple[bool, str | None]:
        """Whether a new volume is encrypted, and with which key (EBS user guide, "Encryption scenarios")."""
        wanted = params.get("KmsKeyId")
        if wanted and not (params.get("Encrypted") or (snapshot and snapshot.encrypted)):
            raise refusal(
                "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."
            )
        by_default = self.ebs_encryption_by_default
        if not (params.get("Encrypted") or by_default or (snapshot and snapshot.encrypted)):
            return False, None
        if wanted:
            return True, self.key_arn(wanted)
        if snapshot and snapshot.encrypted and snapshot.kms_key_id and not by_default:
            return True, snapshot.kms_key_id
        return True, self.default_key()

    def key_arn(self, key: str) -> str:
        """A key's ARN from its id, alias or ARN; an unknown one is kept as it is and fails later, as on EC2."""
        try:
            return str(kms_backends[self.account_id][self.region_name].describe_key(key).arn)
        except KeyError:
            return key

    def key_usable(self, key: str | None) -> bool:
        """Whether the key exists in this account and is enabled, unless a test says otherwise."""
        if key is None or key in self.world.keys:
            return key is None or self.world.keys[key]
        try:
            return str(kms_backends[self.account_id][self.region_name].describe_key(key).key_state) == "Enabled"
        except KeyError:
            return False

    def default_key(self) -> str:
        return str(self.default_kms_key_id or self._create_default_encryption_key())  # type: ignore[attr-defined]

    def api_delete_volume(self, volume_id: str) -> None:
        """DeleteVolume."""
        volume = self.volume_named(volume_id)
        if volume.attached:
            raise refusal(
                "VolumeInUse", f"Volume {volume_id} is currently attached to {volume.attached[0].instance_id}"
            )
        if volume.state not in {"available", "error"}:
            raise refusal("IncorrectState", f"The volume '{volume_id}' is in state '{volume.state}'")
        self.end_dry_run()
        self.let_go(volume)

    def let_go(self, volume: StrictVolume) -> None:
        """Deletes an unattached volume, in its time."""
        volume.state = "deleting"

        def gone() -> None:
            volume.state = "deleted"
            self.volumes.pop(volume.id, None)
            if self.world.settings.volume_bin_days:
                self.binned_volumes[volume.id] = (volume, utcnow())
            self.tags.pop(volume.id, None)
            self.volume_event(volume, "deleteVolume", "deleted", "")

        self.world.later(self.world.settings.delete_volume_seconds, f"{volume.id} is deleted", gone)

    def volume_event(self, volume: StrictVolume, event: str, result: str, cause: str) -> None:
        detail = {"result": result, "cause": cause, "event": event, "request-id": str(uuid.uuid4())}
        self.world.emit("EBS Volume Notification", [self.arn("volume", volume.id)], detail, self.region_name)

    # Attachments

    def api_attach_volume(self, volume_id: str, instance_id: str, device: str, card: int) -> Attachment:
        """AttachVolume."""
        volume = self.volume_named(volume_id)
        instance = self.get_instance(instance_id)  # type: ignore[attr-defined]
        if instance.state not in {"running", "stopped"}:
            raise refusal("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
        if volume.state != "available" and not (volume.multi_attach_enabled and volume.state == "in-use"):
            if volume.attached:
                raise refusal("VolumeInUse", f"{volume_id} is already attached to an instance")
            raise refusal("IncorrectState", f"Volume '{volume_id}' is in the '{volume.state}' state, not 'available'.")
        if any(a.instance is instance for a in volume.attached):
            raise refusal("VolumeInUse", f"{volume_id} is already attached to an instance")
        if volume.availability_zone != instance.placement.zone:
            raise refusal(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'",
            )
        if device in instance.block_device_mapping:
            raise refusal(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )
        if device == instance.root_device_name and card:
            raise refusal("InvalidParameterValue", "The root volume can only be attached to EBS card 0")
        self.end_dry_run()
        attachment = self.put_on(volume, instance, device, ends_with_instance=False, card=card)

        def attached() -> None:
            if attachment.status == "attaching":
                attachment.status = "attached"

        self.world.later(self.world.settings.attach_seconds, f"{volume_id} is attached", attached)
        return attachment

    @staticmethod
    def put_on(volume: StrictVolume, instance: Any, device: str, *, ends_with_instance: bool, card: int) -> Attachment:
        """Attaches without asking; the attachment is `attaching`."""
        attachment = Attachment(volume, instance, device, ends_with_instance=ends_with_instance, card=card)
        volume.attached.append(attachment)
        volume.state = "in-use"
        instance.block_device_mapping[device] = attachment
        return attachment

    def api_detach_volume(
        self, volume_id: str, instance_id: str | None, device: str | None, force: bool = False
    ) -> Attachment:
        """DetachVolume; the instance need not be named. Forcing takes the volume off at once."""
        volume = self.volume_named(volume_id)
        if not volume.attached:
            raise refusal("IncorrectState", f"Volume '{volume_id}' is in the '{volume.state}' state.")
        if len(volume.attached) > 1 and not instance_id:
            raise refusal("InvalidParameterCombination", f"'{volume_id}' is attached to several instances: name one.")
        if instance_id:
            self.get_instance(instance_id)  # type: ignore[attr-defined]
        chosen = [a for a in volume.attached if instance_id in {None, a.instance_id} and device in {None, a.device}]
        if not chosen:
            raise refusal(
                "InvalidAttachment.NotFound",
                f"The volume '{volume_id}' is not attached to instance '{instance_id}' as device '{device}'.",
            )
        attachment = chosen[0]
        instance = attachment.instance
        if attachment.device == instance.root_device_name and instance.state != "stopped":
            raise refusal("IncorrectState", f"Unable to detach root volume '{volume_id}' from instance '{instance.id}'")
        if attachment.status == "detaching":
            raise refusal("IncorrectState", f"Volume '{volume_id}' is in the 'detaching' state.")
        self.end_dry_run()
        attachment.status = "detaching"
        seconds = 0.0 if force else self.world.settings.detach_seconds
        self.world.later(seconds, f"{volume_id} is detached", lambda: self.take_off(attachment))
        return attachment

    def take_off(self, attachment: Attachment) -> None:
        """Ends an attachment. A stopped Spot instance without a root is terminated (EC2 user guide, Spot)."""
        volume, instance = attachment.volume, attachment.instance
        if attachment not in volume.attached:
            return
        attachment.status = "detached"
        volume.attached.remove(attachment)
        instance.block_device_mapping.pop(attachment.device, None)
        if not volume.attached:
            volume.state = "available"
        root_gone = attachment.device == instance.root_device_name
        if root_gone and instance.lifecycle == "spot" and instance.state == "stopped":
            self.end(instance, "Server.SpotInstanceTermination: Spot instance termination")  # type: ignore[attr-defined]

    # Snapshots

    def snapshot_named(self, snapshot_id: str) -> Snapshot:
        snapshot = self.snapshots.get(snapshot_id) or self.ami_snapshots.get(snapshot_id)
        if snapshot is None:
            raise refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
        return snapshot

    def api_create_snapshot(self, volume_id: str, description: str | None, tags: dict[str, str]) -> StrictSnapshot:
        """CreateSnapshot. The content is the volume's of this moment."""
        check_tags(tags)
        volume = self.volume_named(volume_id)
        if volume.state not in {"available", "in-use"}:
            raise refusal("IncorrectState", f"Volume '{volume_id}' is in the '{volume.state}' state.")
        pending = [s for s in self.snapshots.values() if s.volume.id == volume_id and s.status == "pending"]
        limit = 1 if volume.volume_type in {"st1", "sc1"} else PENDING_SNAPSHOTS_PER_VOLUME
        if len(pending) >= limit:
            raise refusal(
                "ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded."
            )
        self.end_dry_run()
        snapshot = StrictSnapshot(
            ec2_backend=self,
            snapshot_id=random_snapshot_id(),
            volume=volume,
            description=description or "",
            encrypted=volume.encrypted,
            kms_key_id=volume.kms_key_id,
            seconds=self.world.settings.snapshot_seconds,
        )
        self.snapshots[snapshot.id] = snapshot
        self.tags[snapshot.id].update(tags)
        failure = self.world.faults.take("snapshot", volume=volume_id, snapshot=snapshot.id)
        self.world.later(
            snapshot.seconds, f"{snapshot.id} is completed", lambda: self.finish_snapshot(snapshot, failure)
        )
        return snapshot

    def finish_snapshot(self, snapshot: StrictSnapshot, failure: dict[str, Any] | None = None) -> None:
        """The snapshot becomes completed, or error; the event follows, and a deletion that had to wait."""
        if snapshot.status != "pending" or snapshot.id not in self.snapshots:
            return
        snapshot.status = "completed" if failure is None else "error"
        cause = "" if failure is None else failure.get("cause", "An internal error occurred.")
        snapshot.completion_time = utcnow()
        snapshot.status_message = cause or None
        # The documented event names both with the region in the account's place (EBS user guide, "createSnapshot").
        place = f"arn:{self.partition}:ec2::{self.region_name}"
        detail = {
            "event": "createSnapshot",
            "result": "succeeded" if failure is None else "failed",
            "cause": cause,
            "request-id": "",
            "snapshot_id": f"{place}:snapshot/{snapshot.id}",
            "source": f"{place}:volume/{snapshot.volume.id}",
            "startTime": snapshot.start_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "endTime": snapshot.completion_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.world.emit("EBS Snapshot Notification", [f"{place}:snapshot/{snapshot.id}"], detail, self.region_name)
        if snapshot.delete_when_completed:
            self.forget_snapshot(snapshot.id)

    def forget_snapshot(self, snapshot_id: str) -> None:
        self.snapshots.pop(snapshot_id, None)
        self.tags.pop(snapshot_id, None)

    def api_delete_snapshot(self, snapshot_id: str) -> None:
        """DeleteSnapshot. A pending one goes when it is completed.

        The code for a locked snapshot is not in AWS's list of EC2 errors; nothing may depend on it.
        """
        snapshot = self.snapshot_named(snapshot_id)
        if snapshot.from_ami and snapshot.from_ami in self.amis:  # type: ignore[attr-defined]
            raise refusal(
                "InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is currently in use by {snapshot.from_ami}"
            )
        if isinstance(snapshot, StrictSnapshot) and snapshot.lock and snapshot.lock.state != "expired":
            raise refusal("SnapshotLocked", f"The snapshot '{snapshot_id}' is locked and can't be deleted.")
        self.end_dry_run()
        if isinstance(snapshot, StrictSnapshot) and snapshot.status == "pending":
            snapshot.delete_when_completed = True
            return
        tags = dict(self.tags.get(snapshot_id, {}))
        self.forget_snapshot(snapshot_id)
        seconds = self.world.kept_for(self.region_name, tags)
        if seconds is not None and isinstance(snapshot, StrictSnapshot):
            leaves = utcnow() + timedelta(seconds=seconds)
            self.binned_snapshots[snapshot_id] = BinnedSnapshot(snapshot=snapshot, tags=tags, leaves=leaves)

    @property
    def recycle_bin(self) -> dict[str, BinnedSnapshot]:
        """The deleted snapshots that can still be had."""
        return {name: binned for name, binned in self.binned_snapshots.items() if binned.leaves > utcnow()}

    def api_restore_snapshot_from_recycle_bin(self, snapshot_id: str) -> StrictSnapshot:
        """With its tags, and without the lock that it had to lose to be deleted."""
        if snapshot_id not in self.recycle_bin:
            raise refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
        self.end_dry_run()
        binned = self.binned_snapshots.pop(snapshot_id)
        self.snapshots[snapshot_id] = binned.snapshot
        self.tags[snapshot_id] = dict(binned.tags)
        return binned.snapshot

    def api_lock_snapshot(self, params: dict[str, Any]) -> StrictSnapshot:
        """LockSnapshot. The duration of a lock set while the snapshot is pending begins at once here."""
        snapshot = self.own_snapshot(params["SnapshotId"])
        mode, days, until = params.get("LockMode"), params.get("LockDuration"), params.get("ExpirationDate")
        if mode not in {"governance", "compliance"}:
            raise refusal("InvalidParameterValue", f"Value ({mode}) for parameter LockMode is invalid.")
        if (days is None) is (until is None):
            raise refusal("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate, but not both.")
        if mode == "governance" and params.get("CoolOffPeriod"):
            raise refusal("InvalidParameterCombination", "CoolOffPeriod is for compliance mode only.")
        if snapshot.status not in {"pending", "completed"}:
            raise refusal("IncorrectState", f"The snapshot '{snapshot.id}' is in state '{snapshot.status}'.")
        now = utcnow()
        asked = (until.replace(tzinfo=None) - now).total_seconds() / 86400 if until else float(days or 0)
        duration = max(1, round(asked)) if until else int(asked)
        if not 1 <= duration <= MAX_LOCK_DAYS:
            raise refusal("InvalidParameterValue", f"Value ({duration}) for parameter LockDuration is invalid.")
        old = snapshot.lock
        if old and old.state == "compliance" and (mode != "compliance" or duration < old.duration_days):
            raise refusal("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked in compliance mode.")
        self.end_dry_run()
        snapshot.lock = SnapshotLock(
            mode=mode,
            created_on=now,
            duration_days=duration,
            starts=now,
            cool_off_hours=params.get("CoolOffPeriod") or 0,
        )
        return snapshot

    def api_unlock_snapshot(self, snapshot_id: str) -> None:
        """UnlockSnapshot. Unlocking what is not locked is refused, with a code that AWS does not document."""
        snapshot = self.own_snapshot(snapshot_id)
        if snapshot.lock is None:
            raise refusal("SnapshotNotLocked", f"The snapshot '{snapshot_id}' is not locked.")
        if snapshot.lock.state == "compliance":
            raise refusal("OperationNotPermitted", f"The snapshot '{snapshot_id}' is locked in compliance mode.")
        self.end_dry_run()
        snapshot.lock = None

    def api_modify_snapshot_tier(self, snapshot_id: str) -> StrictSnapshot:
        """ModifySnapshotTier, to the archive. What EC2 answers to a second one is not documented."""
        snapshot = self.own_snapshot(snapshot_id)
        if snapshot.status != "completed" or snapshot.storage_tier == "archive" or snapshot.moving:
            raise refusal("IncorrectState", f"The snapshot '{snapshot.id}' can't be archived now.")
        self.end_dry_run()
        snapshot.last_tiering_start_time = utcnow()
        self.move(snapshot, "archive", "archival", self.world.settings.archive_seconds)
        return snapshot

    def api_restore_snapshot_tier(self, snapshot_id: str) -> StrictSnapshot:
        """RestoreSnapshotTier, permanently."""
        snapshot = self.own_snapshot(snapshot_id)
        if snapshot.storage_tier != "archive" or snapshot.moving:
            raise refusal("IncorrectState", f"The snapshot '{snapshot.id}' can't be restored from the archive now.")
        self.end_dry_run()
        snapshot.restore_start_time = snapshot.last_tiering_start_time = utcnow()
        self.move(snapshot, "standard", "permanent-restore", self.world.settings.thaw_seconds)
        return snapshot

    def move(self, snapshot: StrictSnapshot, tier: str, operation: str, seconds: float) -> None:
        """The snapshot is on its way to a tier, and arrives there."""
        snapshot.last_tiering_operation_status = f"{operation}-in-progress"
        self.world.later(
            seconds,
            f"{snapshot.id} is in the {tier} tier",
            lambda: snapshot.arrive(tier, f"{operation}-completed"),
        )

    def own_snapshot(self, snapshot_id: str) -> StrictSnapshot:
        snapshot = self.snapshot_named(snapshot_id)
        if not isinstance(snapshot, StrictSnapshot):
            raise refusal("OperationNotPermitted", f"The snapshot '{snapshot_id}' belongs to another account.")
        return snapshot

    # Descriptions

    def matching_volumes(self, ids: list[str], filters: dict[str, list[str]]) -> list[StrictVolume]:
        """DescribeVolumes."""
        volumes = [self.volume_named(i) for i in ids] if ids else list(self.volumes.values())
        return [v for v in volumes if matches(filters, self.tags.get(v.id, {}), v.fields())]

    def matching_snapshots(self, ids: list[str], filters: dict[str, list[str]], owners: list[str]) -> list[Snapshot]:
        """DescribeSnapshots. The many snapshots behind public AMIs are looked through only when they may be meant."""
        if ids:
            snapshots = [self.snapshot_named(i) for i in ids]
        elif owners and set(owners) <= {"self", self.account_id}:
            snapshots = list(self.snapshots.values())
        else:
            snapshots = [*self.snapshots.values(), *self.ami_snapshots.values()]
        mine = {self.account_id if owner == "self" else owner for owner in owners}
        return [
            s
            for s in snapshots
            if (not mine or s.owner_id in mine or ("amazon" in mine and s.from_ami))
            and matches(filters, self.tags.get(s.id, {}), snapshot_fields(s))
        ]
