"""The describe calls of EC2, as facts."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from park_volumes.aws.errors import GONE, errors_of
from park_volumes.aws.volume_parameters import spec_of
from park_volumes.core import tags as our_tags
from park_volumes.core.facts import (
    NEVER,
    Attachment,
    BinnedVolume,
    BlockDevice,
    Instance,
    SnapshotRecord,
    Verdict,
    Volume,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

FILTER_VALUES: Final = 195
"""The most values that we pass in a call: its filters take 200 (EC2 API Reference, "List and filter"), and up to five
of them are the names of the deployment (``previous_names`` in variables.tf)."""
PAGE: Final = 1000
PAGE_OF_MODIFICATIONS: Final = 500
"""The largest page of DescribeVolumesModifications (EC2 API Reference)."""
PAGE_OF_BIN: Final = 500
"""The largest page of ListVolumesInRecycleBin (EC2 API Reference)."""
HIDDEN_TOO: Final = "IncludeManagedResources"
"""With this parameter EC2 also describes what other services manage and hide. Older SDKs do not know it."""
LOCKED: Final[Any] = {"Name": "lock-state", "Values": ["compliance-cooloff", "compliance", "governance"]}
"""All lock states but expired. The SDK has no paginator for this call."""
STOPPED_AT: Final = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)", re.ASCII)
UNFINISHED: Final = ("modifying", "optimizing")


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Our snapshots: the records that could be read, and for each of the others a sentence, by instance id. Where even
    that cannot be read, the id is empty."""

    records: tuple[SnapshotRecord, ...]
    damaged: Mapping[str, Sequence[str]]


class Ec2Reads:
    """EC2 as one deployment sees it. Every method raises Ec2Error."""

    def __init__(self, client: "EC2Client", *, names: Sequence[str]) -> None:
        """``names``: that of the deployment, and the previous ones."""
        self._client = client
        self._names = names

    def instances(self, ids: Iterable[str]) -> list[Instance]:
        """The existing instances with these ids; unknown ids are left out."""
        return [i for chunk in chunks(ids) for i in self._instances({"instance-id": chunk})]

    def instances_tagged(self, key: str | None, *, name: str | None = None) -> list[Instance]:
        """The instances with a tag of this key, whatever its value: a filter for values would be exact, and people are
        not. With ``name`` only those with exactly this Name."""
        tagged = {} if key is None else {"tag-key": [key]}
        named = {} if name is None else {"tag:Name": [literally(name)]}
        return list(self._instances(tagged | named))

    def volumes(self, ids: Iterable[str]) -> list[Volume]:
        """The existing volumes with these ids; unknown ids are left out."""
        return [v for chunk in chunks(ids) for v in self._volumes({"volume-id": chunk})]

    def every_volume(self) -> Iterator[Volume]:
        """All volumes of the account and region, whoever uses them."""
        return self._volumes({})

    def marked_volumes(self, instance_ids: Iterable[str]) -> list[Volume]:
        """The volumes in transit of these instances; "*" stands for all."""
        patterns = (our_tags.mark_pattern(name, i) for i in instance_ids for name in self._names)
        return [v for chunk in chunks(patterns) for v in self._volumes({f"tag:{our_tags.MARK}": chunk})]

    def rehearsals(self, instance_ids: Iterable[str]) -> list[Volume]:
        """The volumes that were created only to try a key, for these instances; "*" stands for all."""
        values = (f"{name} {i}" for i in instance_ids for name in self._names)
        return [v for chunk in chunks(values) for v in self._volumes({f"tag:{our_tags.REHEARSAL}": chunk})]

    def verdicts(self, hours: Iterable[str]) -> list[Verdict]:
        """What EC2 said in these hours of the calls that follow once a volume is given up."""
        values = [f"{hour}*" for hour in hours]
        found = records_in(self._snapshots({f"tag:{our_tags.WAY_BACK}": values})).records
        return [r.verdict for r in found if r.verdict]

    def rehearsed_keys(self) -> dict[str, datetime]:
        """When a volume was last created with a key, as verdicts say."""
        found = records_in(self._snapshots({"tag-key": [our_tags.WAY_BACK], "encrypted": ["true"]})).records
        times = [(r.spec.kms_key, r.verdict.rehearsed) for r in found if r.verdict and r.verdict.rehearsed]
        return dict(sorted(times, key=lambda one: one[1]))

    def snapshots_of(self, instance_ids: Iterable[str]) -> Snapshots:
        tag = f"tag:{our_tags.INSTANCE}"
        return records_in(s for chunk in chunks(instance_ids) for s in self._snapshots({tag: chunk}))

    def every_snapshot(self) -> Snapshots:
        return records_in(self._snapshots({}))

    def count_snapshots(self) -> int:
        """The number of all snapshots that the account owns in the region, whoever took them."""
        return sum(1 for _ in self._snapshots_of_anyone({}))

    def snapshots_with_requests(self) -> Snapshots:
        """The snapshots on which a start request is remembered, done or not."""
        return records_in(self._snapshots({"tag-key": [our_tags.START_REQUESTED]}))

    def requests(self, hours: Iterable[str]) -> list[datetime]:
        """When starts were requested in these hours: one for each instance, from its first snapshot."""
        wanted = {f"tag:{our_tags.PART}": ["1/*"], f"tag:{our_tags.START_REQUESTED}": [f"{hour}*" for hour in hours]}
        return [r.start_requested for r in records_in(self._snapshots(wanted)).records if r.start_requested]

    def snapshots_named(self, ids: Iterable[str]) -> Snapshots:
        return records_in(s for chunk in chunks(ids) for s in self._snapshots({"snapshot-id": chunk}))

    def records_of_others(self, instance_ids: Iterable[str]) -> list[SnapshotRecord]:
        """The records of these instances that belong to other deployments."""
        tag = f"tag:{our_tags.INSTANCE}"
        found = (s for chunk in chunks(instance_ids) for s in self._snapshots_of_anyone({tag: chunk}))
        return [r for r in records_in(found).records if r.deployment not in self._names]

    def other_deployments(self) -> list[str]:
        """The names of all other deployments that have snapshots in this account and region."""
        found = records_in(self._snapshots_of_anyone({"tag-key": [our_tags.DEPLOYMENT]})).records
        return sorted({r.deployment for r in found} - set(self._names))

    def locked(self, snapshot_ids: Iterable[str]) -> frozenset[str]:
        """The snapshots among these that DeleteSnapshot refuses because of a lock.
        They are not named in the call: whether that is an error where one of them is not locked, no document says. So
        all locks of the account are read, but no further than until all of these are found."""
        wanted, found = frozenset(snapshot_ids), set[str]()
        if not wanted:
            return wanted
        with errors_of("DescribeLockedSnapshots", "snapshots"):
            for page in _by_token(self._client.describe_locked_snapshots, Filters=[LOCKED], MaxResults=PAGE):
                found |= wanted & {s["SnapshotId"] for s in page["Snapshots"]}
                if found == wanted:
                    break
        return frozenset(found)

    def shared_with(self, snapshot_id: str) -> tuple[str, ...]:
        """The accounts that a snapshot is shared with, and "all" if it is public (DescribeSnapshotAttribute)."""
        with errors_of("DescribeSnapshotAttribute", snapshot_id, done=GONE):
            attribute = self._client.describe_snapshot_attribute
            permissions = attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")[
                "CreateVolumePermissions"
            ]
            return tuple(sorted(p.get("UserId") or p.get("Group", "others") for p in permissions))
        return ()

    def recycle_bin(self) -> list[BinnedVolume] | None:
        """The deleted volumes that the Recycle Bin keeps, whoever deleted them; None if the SDK is older than the call.
        EC2 does not tell their tags, and the SDK has no paginator."""
        if not hasattr(self._client, "list_volumes_in_recycle_bin"):
            return None
        found: list[BinnedVolume] = []
        with errors_of("ListVolumesInRecycleBin", "volumes"):
            for page in _by_token(self._client.list_volumes_in_recycle_bin, MaxResults=PAGE_OF_BIN):
                found += [
                    BinnedVolume(id=v["VolumeId"], spec=spec_of(v), leaves=v.get("RecycleBinExitTime"))
                    for v in page["Volumes"]
                ]
        return found

    def moving(self, snapshot_ids: Iterable[str]) -> dict[str, datetime]:
        """The snapshots among these that are moving to the archive tier or back, and since when
        (DescribeSnapshotTierStatus)."""
        found: dict[str, datetime] = {}
        for chunk in chunks(snapshot_ids):
            with errors_of("DescribeSnapshotTierStatus", "snapshots"):
                pages = _pages(self._client.get_paginator("describe_snapshot_tier_status"), {"snapshot-id": chunk})
                every = (s for page in pages for s in page["SnapshotTierStatuses"])
                moving = (s for s in every if s.get("LastTieringOperationStatus", "").endswith("-in-progress"))
                found |= {s["SnapshotId"]: s.get("LastTieringStartTime", NEVER) for s in moving}
        return found

    def modifying(self, volume_ids: Iterable[str]) -> dict[str, datetime]:
        """The volumes among these whose modification is not finished, and when it began
        (DescribeVolumesModifications)."""
        found: dict[str, datetime] = {}
        for chunk in chunks(volume_ids, FILTER_VALUES - len(UNFINISHED)):
            with errors_of("DescribeVolumesModifications", "volumes"):
                pages = _pages(
                    self._client.get_paginator("describe_volumes_modifications"),
                    {"volume-id": chunk, "modification-state": UNFINISHED},
                    size=PAGE_OF_MODIFICATIONS,
                )
                every = (m for page in pages for m in page["VolumesModifications"])
                found |= {m["VolumeId"]: m.get("StartTime", NEVER) for m in every}
        return found

    def being_copied(self, volume_ids: Iterable[str], *, ours: Collection[str]) -> dict[str, datetime]:
        """The volumes among these of which a snapshot is pending that is not ours, and when the last one began: of AWS
        Backup, of an AMI. ``ours`` are the ids of our own; tags would not tell, since anybody can write them."""
        found: dict[str, datetime] = {}
        for chunk in chunks(volume_ids):
            with errors_of("DescribeSnapshots", "snapshots"):
                pages = _pages(
                    self._client.get_paginator("describe_snapshots"),
                    {"volume-id": chunk, "status": ["pending"]},
                    OwnerIds=["self"],
                )
                theirs = [s for page in pages for s in page["Snapshots"] if s["SnapshotId"] not in ours]
                found |= {s["VolumeId"]: s["StartTime"] for s in sorted(theirs, key=lambda s: s["StartTime"])}
        return found

    def _instances(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Instance]:
        with errors_of("DescribeInstances", "instances"):
            paginator = self._client.get_paginator("describe_instances")
            for page in _pages(paginator, filters, **self._hidden_too("DescribeInstances")):
                for reservation in page["Reservations"]:
                    yield from (instance_of(i, reservation.get("OwnerId", "")) for i in reservation["Instances"])

    def _volumes(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Volume]:
        with errors_of("DescribeVolumes", "volumes"):
            paginator = self._client.get_paginator("describe_volumes")
            for page in _pages(paginator, filters, **self._hidden_too("DescribeVolumes")):
                yield from map(volume_of, page["Volumes"])

    def _hidden_too(self, operation: str) -> dict[str, bool]:
        shape = self._client.meta.service_model.operation_model(operation).input_shape
        return {HIDDEN_TOO: True} if shape and HIDDEN_TOO in getattr(shape, "members", ()) else {}

    def _snapshots(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Any]:
        ours = {f"tag:{our_tags.DEPLOYMENT}": self._names}
        yield from self._snapshots_of_anyone(ours | dict(filters))

    def _snapshots_of_anyone(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Any]:
        with errors_of("DescribeSnapshots", "snapshots"):
            paginator = self._client.get_paginator("describe_snapshots")
            for page in _pages(paginator, filters, OwnerIds=["self"]):
                yield from page["Snapshots"]


def _pages(paginator: Any, filters: Mapping[str, Sequence[str]], *, size: int = PAGE, **others: Any) -> Iterator[Any]:
    named = [{"Name": name, "Values": list(values)} for name, values in filters.items()]
    yield from paginator.paginate(Filters=named, PaginationConfig={"PageSize": size}, **others)


def _by_token(call: Callable[..., Any], **params: Any) -> Iterator[Any]:
    """The pages of a call for which the SDK has no paginator."""
    page = call(**params)
    yield page
    while token := page.get("NextToken"):
        page = call(**params, NextToken=token)
        yield page


def chunks(values: Iterable[str], most: int = FILTER_VALUES) -> Iterator[list[str]]:
    every = sorted(set(values))
    for start in range(0, len(every), most):
        yield every[start : start + most]


def literally(text: str) -> str:
    """Escape the wildcards of EC2 filters, * and ?, and the backslash itself, with a backslash."""
    return re.sub(r"([*?\\])", r"\\\1", text)


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
        tags = _tag_map(s)
        try:
            found[s["SnapshotId"]] = our_tags.read_record(
                tags,
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
        except our_tags.DamagedRecord as error:
            damaged[our_tags.owner_of_record(tags)].append(str(error))
    return Snapshots(records=tuple(found.values()), damaged=damaged)
