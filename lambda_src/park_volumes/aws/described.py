"""What the describe calls of EC2 answer, page by page, as facts."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from park_volumes.aws.errors import errors_of
from park_volumes.aws.volume_parameters import spec_of
from park_volumes.core import tags as our_tags
from park_volumes.core.facts import NEVER, Attachment, BlockDevice, Instance, SnapshotRecord, Volume

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

PAGE: Final = 1000
HIDDEN_TOO: Final = "IncludeManagedResources"
"""With this parameter EC2 also describes what other services manage and hide. Older SDKs do not know it."""
STOPPED_AT: Final = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Our snapshots: the records that could be read, and for each of the others a sentence, by instance id. Where even
    that cannot be read, the id is empty."""

    records: tuple[SnapshotRecord, ...]
    damaged: Mapping[str, Sequence[str]]


class Described:
    """What one deployment is shown. Every method raises Ec2Error."""

    def __init__(self, client: "EC2Client", names: Sequence[str]) -> None:
        """``names``: that of the deployment, and the previous ones."""
        self._client = client
        self._names = names

    def instances(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Instance]:
        with errors_of("DescribeInstances", "instances"):
            paginator = self._client.get_paginator("describe_instances")
            for page in pages_of(paginator, filters, **self._hidden_too("DescribeInstances")):
                for reservation in page["Reservations"]:
                    yield from (instance_of(i, reservation.get("OwnerId", "")) for i in reservation["Instances"])

    def volumes(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Volume]:
        with errors_of("DescribeVolumes", "volumes"):
            paginator = self._client.get_paginator("describe_volumes")
            for page in pages_of(paginator, filters, **self._hidden_too("DescribeVolumes")):
                yield from map(volume_of, page["Volumes"])

    def _hidden_too(self, operation: str) -> dict[str, bool]:
        shape = self._client.meta.service_model.operation_model(operation).input_shape
        return {HIDDEN_TOO: True} if shape and HIDDEN_TOO in getattr(shape, "members", ()) else {}

    def snapshots(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Any]:
        ours = {f"tag:{our_tags.DEPLOYMENT}": self._names}
        yield from self.snapshots_of_anyone(ours | dict(filters))

    def snapshots_of_anyone(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Any]:
        with errors_of("DescribeSnapshots", "snapshots"):
            paginator = self._client.get_paginator("describe_snapshots")
            for page in pages_of(paginator, filters, OwnerIds=["self"]):
                yield from page["Snapshots"]


def pages_of(paginator: Any, filters: Mapping[str, Sequence[str]], *, size: int = PAGE, **others: Any) -> Iterator[Any]:
    named = [{"Name": name, "Values": list(values)} for name, values in filters.items()]
    yield from paginator.paginate(Filters=named, PaginationConfig={"PageSize": size}, **others)


def _tag_map(described: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def _managed_by(described: Any) -> str:
    """The service without which nobody may change an instance or a volume; empty if there is none."""
    operator = described.get("Operator", {})
    return operator.get("Principal") or "an AWS service" if operator.get("Managed") else ""


def instance_of(i: Any, owner: str = "") -> Instance:
    return Instance(
        id=i["InstanceId"],
        state=i["State"]["Name"],
        launch_time=i["LaunchTime"],
        zone=i["Placement"]["AvailabilityZone"],
        root_device=i.get("RootDeviceName", ""),
        root_device_type=i.get("RootDeviceType", "ebs"),
        mappings=tuple(
            BlockDevice(
                device=m["DeviceName"],
                volume_id=m["Ebs"]["VolumeId"],
                status=m["Ebs"]["Status"],
                managed_by=_managed_by(m["Ebs"]),
                card=m["Ebs"].get("EbsCardIndex", 0),
            )
            for m in i.get("BlockDeviceMappings", ())
            if "Ebs" in m
        ),
        tags=_tag_map(i),
        state_reason=i.get("StateReason", {}).get("Code", ""),
        state_message=i.get("StateReason", {}).get("Message", ""),
        lifecycle=i.get("InstanceLifecycle", ""),
        hibernation=i.get("HibernationOptions", {}).get("Configured", False),
        product_codes=tuple(code["ProductCodeId"] for code in i.get("ProductCodes", ())),
        managed_by=_managed_by(i),
        outpost_arn=i.get("OutpostArn", ""),
        address=i.get("PublicDnsName") or i.get("PublicIpAddress") or i.get("PrivateIpAddress") or "",
        owner=owner,
        stopped_at=_stop_requested(i.get("StateTransitionReason", "")),
    )


def _stop_requested(reason: str) -> datetime | None:
    """When the last stop was requested, from words such as "User initiated (2026-01-05 10:00:00 GMT)"."""
    found = STOPPED_AT.search(reason)
    try:
        return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def volume_of(v: Any) -> Volume:
    return our_tags.with_mark(
        Volume(
            id=v["VolumeId"],
            state=v["State"],
            spec=spec_of(v),
            created=v.get("CreateTime", NEVER),
            snapshot_id=v.get("SnapshotId") or "",
            multi_attach=v.get("MultiAttachEnabled", False),
            managed_by=_managed_by(v),
            attachments=tuple(map(_attachment, v.get("Attachments", ()))),
            tags=_tag_map(v),
        )
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


def records_in(described: Iterable[Any]) -> Snapshots:
    found: dict[str, SnapshotRecord] = {}
    damaged: dict[str, list[str]] = defaultdict(list)
    for s in described:
        try:
            found[s["SnapshotId"]] = record_of(s)
        except our_tags.DamagedRecord as error:
            damaged[our_tags.owner_of_record(_tag_map(s))].append(str(error))
    return Snapshots(records=tuple(found.values()), damaged=damaged)


def record_of(s: Any) -> SnapshotRecord:
    """Raises DamagedRecord."""
    return our_tags.read_record(
        _tag_map(s),
        snapshot_id=s["SnapshotId"],
        volume_id=s["VolumeId"],
        state=s["State"],
        started=s["StartTime"],
        progress=s.get("Progress", ""),
        description=s.get("Description", ""),
        encrypted=s.get("Encrypted", False),
        kms_key=s.get("KmsKeyId", ""),
        written=s.get("FullSnapshotSizeInBytes"),
        archived=s.get("StorageTier") == "archive",
    )
