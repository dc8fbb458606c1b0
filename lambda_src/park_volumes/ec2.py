"""The one room that talks to EC2: describe calls to facts, steps to calls, error codes to exceptions of our own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from park_volumes import records
from park_volumes.model import (
    ArchiveSnapshot,
    Attachment,
    AttachVolume,
    BlockDevice,
    CountAttempt,
    CreateSnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    DiscardSnapshot,
    Instance,
    LockSnapshot,
    MarkSnapshots,
    MarkVolume,
    Record,
    RememberStart,
    RememberTermination,
    RestoreSnapshotTier,
    SetDeleteOnTermination,
    StartInstance,
    Step,
    UnmarkVolumes,
    Volume,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

FILTER_VALUES: Final = 199
"""The most values of ours in a call: it takes 200 in its filters (EC2 API Reference, "List and filter"), and the tag of
the deployment is one of them."""
TAGGED: Final = 500
"""Resources that are tagged in one call; it takes 1,000, and asks for fewer (CreateTags API)."""

PAGE: Final = 1000
LOCK_DAYS: Final = 36_500
"""The longest that LockSnapshot takes. In governance mode UnlockSnapshot ends it earlier."""

INSTANCE_ID: Final = re.compile(r"i-[0-9a-f]{8,17}")

GONE: Final = frozenset({"InvalidVolume.NotFound", "InvalidSnapshot.NotFound", "InvalidInstanceID.NotFound"})
RACED: Final = GONE | {
    "IncorrectState",
    "IncorrectInstanceState",
    "VolumeInUse",
    "InvalidAttachment.NotFound",
    "IdempotentParameterMismatch",
    "SnapshotCreationPerVolumeRateExceeded",
    "ConcurrentSnapshotLimitExceeded",
}
"""Codes that say: the resource is not, or no longer, in the state that was seen. Look again."""

THROTTLED: Final = "RequestLimitExceeded"
"""The code of a call that came too soon after too many others, after the SDK's own retries."""

NO_CAPACITY: Final = "InsufficientInstanceCapacity"
"""The code of a start for which EC2 has no room at the moment."""

DENIED: Final = "UnauthorizedOperation"
"""The code of a call that the caller's policies do not allow, for the tags that the resource has now."""

REFUSALS: Final = range(400, 500)
"""The HTTP status of an error that is the caller's: EC2 has done nothing."""


class Ec2Error(Exception):
    """A call that EC2 refused or that did not come through, in a sentence. ``refused``: it surely changed nothing."""

    def __init__(self, action: str, resource: str, code: str, message: str) -> None:
        super().__init__(f"{action} failed for {resource} ({code}): {message}")
        self.code = code
        self.refused = False


class Raced(Ec2Error):
    """EC2 refused because things are no longer as they were seen. Nothing is wrong: look again, and decide anew."""


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Our snapshots: those whose record could be read, and for the others a sentence each, by instance id."""

    records: tuple[Record, ...]
    damaged: Mapping[str, tuple[str, ...]]


class Ec2:
    """EC2 as one deployment sees it. Every method raises Ec2Error; the steps raise Raced where looking again helps."""

    def __init__(self, client: EC2Client, *, deployment: str) -> None:
        self._client = client
        self._deployment = deployment

    # Look.

    def instances(self, ids: Iterable[str]) -> list[Instance]:
        """The instances of these ids that exist; an unknown id is left out."""
        return [i for chunk in _chunks(ids) for i in self._instances({"instance-id": chunk})]

    def instances_tagged(self, tags: Mapping[str, Sequence[str]]) -> list[Instance]:
        """The instances that bear all of these tags with one of the values each."""
        return list(self._instances({f"tag:{key}": values for key, values in tags.items()}))

    def volumes(self, ids: Iterable[str]) -> list[Volume]:
        """The volumes of these ids that exist; an unknown id is left out."""
        return [v for chunk in _chunks(ids) for v in self._volumes({"volume-id": chunk})]

    def marked_volumes(self, instance_ids: Iterable[str]) -> list[Volume]:
        """The volumes in transit of these instances."""
        patterns = (records.mark_pattern(self._deployment, i) for i in instance_ids)
        return [v for chunk in _chunks(patterns) for v in self._volumes({f"tag:{records.MARK}": chunk})]

    def every_marked_volume(self) -> list[Volume]:
        return list(self._volumes({f"tag:{records.MARK}": [f"{self._deployment} *"]}))

    def snapshots_of(self, instance_ids: Iterable[str]) -> Snapshots:
        """The snapshots that hold records of these instances."""
        return _read(s for chunk in _chunks(instance_ids) for s in self._snapshots({f"tag:{records.INSTANCE}": chunk}))

    def every_snapshot(self) -> Snapshots:
        return _read(self._snapshots({}))

    def snapshots_with_requests(self) -> Snapshots:
        """The snapshots on which a start request is remembered, done or not."""
        return _read(self._snapshots({"tag-key": [records.START_REQUESTED]}))

    def requests(self, hours: Iterable[str]) -> list[datetime]:
        """When starts were asked for in these hours: one for each instance, as its first snapshot tells."""
        wanted = {f"tag:{records.PART}": ["1/*"], f"tag:{records.START_REQUESTED}": [f"{hour}*" for hour in hours]}
        return [r.start_requested for r in _read(self._snapshots(wanted)).records if r.start_requested]

    def snapshots_named(self, ids: Iterable[str]) -> Snapshots:
        return _read(s for chunk in _chunks(ids) for s in self._snapshots({"snapshot-id": chunk}))

    def locked(self, snapshot_ids: Iterable[str]) -> frozenset[str]:
        """Those of these snapshots that DeleteSnapshot refuses because of a lock.

        Where one of them is gone EC2 refuses the whole call; then none counts as locked, and nothing is deleted for it.
        """
        found: set[str] = set()
        for chunk in _chunks(snapshot_ids):
            with _errors("DescribeLockedSnapshots", "snapshots", done=GONE):
                answer = self._client.describe_locked_snapshots(SnapshotIds=chunk)
                found |= {s["SnapshotId"] for s in answer["Snapshots"] if s["LockState"] != "expired"}
        return frozenset(found)

    def moving(self, snapshot_ids: Iterable[str]) -> frozenset[str]:
        """Those of these snapshots that are on their way to the archive tier or back (DescribeSnapshotTierStatus)."""
        found: set[str] = set()
        for chunk in _chunks(snapshot_ids):
            with _errors("DescribeSnapshotTierStatus", "snapshots"):
                pages = self._client.get_paginator("describe_snapshot_tier_status").paginate(
                    Filters=_filters({"snapshot-id": chunk}), PaginationConfig={"PageSize": PAGE}
                )
                every = (s for page in pages for s in page["SnapshotTierStatuses"])
                found |= {s["SnapshotId"] for s in every if _under_way(s.get("LastTieringOperationStatus", ""))}
        return frozenset(found)

    def _instances(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Instance]:
        with _errors("DescribeInstances", "instances"):
            pages = self._client.get_paginator("describe_instances").paginate(
                Filters=_filters(filters), PaginationConfig={"PageSize": PAGE}
            )
            for page in pages:
                for reservation in page["Reservations"]:
                    yield from map(_instance, reservation["Instances"])

    def _volumes(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Volume]:
        with _errors("DescribeVolumes", "volumes"):
            pages = self._client.get_paginator("describe_volumes").paginate(
                Filters=_filters(filters), PaginationConfig={"PageSize": PAGE}
            )
            for page in pages:
                yield from map(_volume, page["Volumes"])

    def _snapshots(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Any]:
        ours = {f"tag:{records.DEPLOYMENT}": [self._deployment]}
        with _errors("DescribeSnapshots", "snapshots"):
            pages = self._client.get_paginator("describe_snapshots").paginate(
                OwnerIds=["self"], Filters=_filters(ours | dict(filters)), PaginationConfig={"PageSize": PAGE}
            )
            for page in pages:
                yield from page["Snapshots"]

    # Do.

    @singledispatchmethod
    def do(self, step: Step) -> None:
        """Perform a step of which nothing but its success is of interest."""
        raise TypeError(f"{step} is no step of this kind")

    @do.register
    def _create_snapshot(self, step: CreateSnapshot) -> None:
        with _errors("CreateSnapshot", step.volume_id):
            self._client.create_snapshot(
                VolumeId=step.volume_id,
                Description=step.description,
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": _tags(step.tags)}],
            )

    @do.register
    def _lock_snapshot(self, step: LockSnapshot) -> None:
        with _errors("LockSnapshot", step.snapshot_id):
            self._client.lock_snapshot(SnapshotId=step.snapshot_id, LockMode="governance", LockDuration=LOCK_DAYS)

    @do.register
    def _mark_volume(self, step: MarkVolume) -> None:
        self._tag([step.volume_id], records.tags_of_mark(step.mark, step.place))

    @do.register
    def _detach_volume(self, step: DetachVolume) -> None:
        """Detach a volume. Raises Raced, too late, where EC2's answer names another attachment than was meant."""
        with _errors("DetachVolume", step.volume_id):
            answer = self._client.detach_volume(
                VolumeId=step.volume_id, InstanceId=step.instance_id, Device=step.device
            )
        if answer["AttachTime"] != step.attach_time:
            words = f"it was attached again at {answer['AttachTime']:%H:%M:%S}, which nobody had seen yet."
            raise Raced("DetachVolume", step.volume_id, "AttachedAnew", words)

    @do.register
    def _mark_snapshots(self, step: MarkSnapshots) -> None:
        self._tag(step.snapshot_ids, records.tags_of_confirmation(step.at))

    @do.register
    def _delete_volume(self, step: DeleteVolume) -> None:
        """Delete a volume. One that is gone already is done; one in use raises Raced."""
        with _errors("DeleteVolume", step.volume_id, done=GONE):
            self._client.delete_volume(VolumeId=step.volume_id)

    @do.register
    def _discard_snapshot(self, step: DiscardSnapshot) -> None:
        """Unlock and delete a snapshot. Whether the unlocking worked, or was needed, is what the deletion shows."""
        if step.locked:
            with suppress(ClientError, BotoCoreError):
                self._client.unlock_snapshot(SnapshotId=step.snapshot_id)
        with _errors("DeleteSnapshot", step.snapshot_id, done=GONE):
            self._client.delete_snapshot(SnapshotId=step.snapshot_id)

    @do.register
    def _archive_snapshot(self, step: ArchiveSnapshot) -> None:
        with _errors("ModifySnapshotTier", step.snapshot_id):
            self._client.modify_snapshot_tier(SnapshotId=step.snapshot_id, StorageTier="archive")

    @do.register
    def _restore_snapshot_tier(self, step: RestoreSnapshotTier) -> None:
        with _errors("RestoreSnapshotTier", step.snapshot_id):
            self._client.restore_snapshot_tier(SnapshotId=step.snapshot_id, PermanentRestore=True)

    @do.register
    def _remember_start(self, step: RememberStart) -> None:
        self._tag(step.snapshot_ids, {records.START_REQUESTED: records.request_value(step.at, step.refused)})

    def _tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """In one call, or in a few."""
        for start in range(0, len(ids), TAGGED):
            some = ids[start : start + TAGGED]
            with _errors("CreateTags", ", ".join(some)):
                self._client.create_tags(Resources=list(some), Tags=_tags(tags))

    @do.register
    def _remember_termination(self, step: RememberTermination) -> None:
        self._tag(step.snapshot_ids, {records.TERMINATED: records.termination_value(step.instance_id, step.at)})

    @do.register
    def _count_attempt(self, step: CountAttempt) -> None:
        self._tag([step.snapshot_id], {records.ATTEMPT: str(step.attempt)})

    def create_volume(self, step: CreateVolume) -> tuple[str, datetime]:
        """Make a volume as its record says. Answers its id and its creation time: a past one for a token used before.

        Iops go only with io1, io2 and gp3, Throughput only with gp3 (CreateVolume API).
        """
        r = step.record
        optional: dict[str, Any] = {}
        if r.iops is not None and r.type in ("io1", "io2", "gp3"):
            optional["Iops"] = r.iops
        if r.throughput is not None and r.type == "gp3":
            optional["Throughput"] = r.throughput
        if r.kms_key:
            optional["KmsKeyId"] = r.kms_key
        if step.rate:
            optional["VolumeInitializationRate"] = step.rate
        with _errors("CreateVolume", r.snapshot_id):
            made = self._client.create_volume(
                SnapshotId=r.snapshot_id,
                AvailabilityZone=r.zone,
                VolumeType=r.type,  # type: ignore[arg-type]  # any type that EC2 named once
                Size=r.size,
                Encrypted=r.encrypted,
                ClientToken=step.token,
                TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(records.tags_of_volume(r))}],
                **optional,
            )
        return made["VolumeId"], made["CreateTime"]

    def attach_volume(self, step: AttachVolume, volume_id: str) -> None:
        # Older SDKs do not know the card, and 0 is what EC2 takes without it.
        card: dict[str, Any] = {"EbsCardIndex": step.card} if step.card else {}
        with _errors("AttachVolume", volume_id, raced={"InvalidParameterValue"}):
            self._client.attach_volume(VolumeId=volume_id, InstanceId=step.instance_id, Device=step.device, **card)

    @do.register
    def _set_delete_on_termination(self, step: SetDeleteOnTermination) -> None:
        with _errors("ModifyInstanceAttribute", step.instance_id, raced={"InvalidInstanceAttributeValue"}):
            self._client.modify_instance_attribute(
                InstanceId=step.instance_id,
                BlockDeviceMappings=[
                    {"DeviceName": device, "Ebs": {"DeleteOnTermination": flag}}
                    for device, flag in sorted(step.devices.items())
                ],
            )

    @do.register
    def _unmark_volumes(self, step: UnmarkVolumes) -> None:
        """Take this very mark off. EC2 deletes a tag with a value only where it still has that value (DeleteTags API).

        The place goes whatever it says: one that a newer mark should have kept is found again in the record.
        """
        with _errors("DeleteTags", ", ".join(step.volume_ids), done=GONE):
            self._client.delete_tags(
                Resources=list(step.volume_ids),
                Tags=[{"Key": records.MARK, "Value": records.mark_value(step.mark)}, {"Key": records.PLACE}],
            )

    @do.register
    def _start_instance(self, step: StartInstance) -> None:
        """Start an instance. InvalidParameterValue is what EC2 answers where the root volume is not attached."""
        with _errors("StartInstances", step.instance_id, raced={"InvalidParameterValue"}):
            self._client.start_instances(InstanceIds=[step.instance_id])

    def stop_instance(self, instance_id: str) -> None:
        with _errors("StopInstances", instance_id):
            self._client.stop_instances(InstanceIds=[instance_id])


class _errors:  # noqa: N801  # reads as the verb of a with statement
    """Turns the errors of one call into ours: done (no error at all), Raced, or Ec2Error."""

    def __init__(self, action: str, resource: str, *, done: Iterable[str] = (), raced: Iterable[str] = ()) -> None:
        self._action, self._resource = action, resource
        self._done, self._raced = done, raced

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ClientError):
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if code in self._done:
                return True
            kind = Raced if code in RACED or code in self._raced else Ec2Error
            ours = kind(self._action, self._resource, code, message)
            ours.refused = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in REFUSALS
            raise ours from error
        if isinstance(error, BotoCoreError):
            ours = Ec2Error(self._action, self._resource, type(error).__name__, str(error))
            ours.refused = isinstance(error, ParamValidationError)
            raise ours from error
        return False


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    every = sorted(set(values))
    for start in range(0, len(every), FILTER_VALUES):
        yield every[start : start + FILTER_VALUES]


def _under_way(tiering_status: str) -> bool:
    """Whether a status such as archival-in-progress or archival-completed says that the snapshot is on its way."""
    return tiering_status.endswith("-in-progress")


def literally(text: str) -> str:
    """EC2 filters take * and ? for wildcards, and a backslash before one for the character itself."""
    return re.sub(r"([*?\\])", r"\\\1", text)


def _filters(filters: Mapping[str, Sequence[str]]) -> list[Any]:
    return [{"Name": name, "Values": list(values)} for name, values in filters.items()]


def _tags(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _tag_map(described: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def _instance(i: Any) -> Instance:
    operator = i.get("Operator", {})
    return Instance(
        id=i["InstanceId"],
        state=i["State"]["Name"],
        launch_time=i["LaunchTime"],
        zone=i["Placement"]["AvailabilityZone"],
        root_device=i.get("RootDeviceName", ""),
        root_device_type=i.get("RootDeviceType", "ebs"),
        mappings=tuple(
            BlockDevice(device=m["DeviceName"], volume_id=m["Ebs"]["VolumeId"], status=m["Ebs"]["Status"])
            for m in i.get("BlockDeviceMappings", ())
            if "Ebs" in m
        ),
        tags=_tag_map(i),
        state_reason=i.get("StateReason", {}).get("Code", ""),
        state_message=i.get("StateReason", {}).get("Message", ""),
        lifecycle=i.get("InstanceLifecycle", ""),
        hibernation=i.get("HibernationOptions", {}).get("Configured", False),
        product_codes=tuple(code["ProductCodeId"] for code in i.get("ProductCodes", ())),
        managed_by=operator.get("Principal", "an AWS service") if operator.get("Managed") else "",
        outpost_arn=i.get("OutpostArn", ""),
        address=i.get("PublicDnsName") or i.get("PublicIpAddress") or i.get("PrivateIpAddress") or "",
    )


def _volume(v: Any) -> Volume:
    tags = _tag_map(v)
    return records.with_mark(
        Volume(
            id=v["VolumeId"],
            state=v["State"],
            zone=v["AvailabilityZone"],
            type=v["VolumeType"],
            size=v["Size"],
            snapshot_id=v.get("SnapshotId") or "",
            iops=v.get("Iops"),
            throughput=v.get("Throughput"),
            encrypted=v.get("Encrypted", False),
            kms_key=v.get("KmsKeyId", ""),
            multi_attach=v.get("MultiAttachEnabled", False),
            attachments=tuple(map(_attachment, v.get("Attachments", ()))),
            tags=tags,
        ),
        tags,
    )


def _attachment(a: Any) -> Attachment:
    return Attachment(
        instance_id=a.get("InstanceId", ""),
        device=a.get("Device", ""),
        state=a["State"],
        attach_time=a["AttachTime"],
        delete_on_termination=a.get("DeleteOnTermination", False),
        card=a.get("EbsCardIndex", 0),
    )


def _read(described: Iterable[Any]) -> Snapshots:
    found: dict[str, Record] = {}
    damaged: dict[str, tuple[str, ...]] = {}
    for s in described:
        tags = _tag_map(s)
        try:
            found[s["SnapshotId"]] = records.record(
                tags,
                snapshot_id=s["SnapshotId"],
                volume_id=s["VolumeId"],
                state=s["State"],
                started=s["StartTime"],
                progress=s.get("Progress", ""),
                encrypted=s.get("Encrypted", False),
                written=s.get("FullSnapshotSizeInBytes"),
                archived=s.get("StorageTier") == "archive",
            )
        except records.DamagedRecord as error:
            instance_id = tags.get(records.INSTANCE, "")
            damaged[instance_id] = (*damaged.get(instance_id, ()), str(error))
    return Snapshots(records=tuple(found.values()), damaged=damaged)
