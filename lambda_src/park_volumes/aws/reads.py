"""What EC2 is asked: which instances, volumes and snapshots, and what is happening to them."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from park_volumes.aws.described import PAGE, Described, Snapshots, pages_of, records_in
from park_volumes.aws.errors import GONE, errors_of
from park_volumes.aws.volume_parameters import spec_of
from park_volumes.core import tags as our_tags
from park_volumes.core.facts import NEVER, BinnedVolume, Instance, SnapshotRecord, Verdict, Volume

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

FILTER_VALUES: Final = 195
"""The most values that we pass in a call: its filters take 200 (EC2 API Reference, "List and filter"), and up to five
of them are the names of the deployment (``previous_names`` in variables.tf)."""
PAGE_OF_MODIFICATIONS: Final = 500
"""The largest page of DescribeVolumesModifications (EC2 API Reference)."""
PAGE_OF_BIN: Final = 500
"""The largest page of ListVolumesInRecycleBin (EC2 API Reference)."""
LOCKED: Final[Any] = {"Name": "lock-state", "Values": ["compliance-cooloff", "compliance", "governance"]}
"""All lock states but expired. The SDK has no paginator for this call."""
IDLE: Final = {
    "instance-state-name": ["pending", "shutting-down", "stopping", "stopped"],
    "block-device-mapping.status": ["attaching", "attached", "detaching"],
}
UNFINISHED: Final = ("modifying", "optimizing")


class Ec2Reads:
    """EC2 as one deployment sees it. Every method raises Ec2Error."""

    def __init__(self, client: "EC2Client", *, names: Sequence[str]) -> None:
        """``names``: that of the deployment, and the previous ones."""
        self._client = client
        self._names = names
        self._described = Described(client, names)

    def instances(self, ids: Iterable[str]) -> list[Instance]:
        """The existing instances with these ids; unknown ids are left out."""
        return [i for chunk in chunks(ids) for i in self._described.instances({"instance-id": chunk})]

    def instances_tagged(self, key: str | None, *, name: str | None = None, idle: bool = False) -> list[Instance]:
        """The instances with a tag of this key, whatever its value: a filter for values would be exact, and people are
        not. With ``name`` only those with exactly this Name; ``idle``: only those that have a volume and do not run."""
        tagged = {} if key is None else {"tag-key": [key]}
        named = {} if name is None else {"tag:Name": [literally(name)]}
        return list(self._described.instances(tagged | named | (IDLE if idle else {})))

    def volumes(self, ids: Iterable[str]) -> list[Volume]:
        """The existing volumes with these ids; unknown ids are left out."""
        return [v for chunk in chunks(ids) for v in self._described.volumes({"volume-id": chunk})]

    def marked_volumes(self, instance_ids: Iterable[str]) -> list[Volume]:
        """The volumes in transit of these instances; "*" stands for all."""
        patterns = (our_tags.mark_pattern(name, i) for i in instance_ids for name in self._names)
        return [v for chunk in chunks(patterns) for v in self._described.volumes({f"tag:{our_tags.MARK}": chunk})]

    def rehearsals(self, instance_ids: Iterable[str]) -> list[Volume]:
        """The volumes that were created only to try a key, for these instances; "*" stands for all."""
        values = (f"{name} {i}" for i in instance_ids for name in self._names)
        return [v for chunk in chunks(values) for v in self._described.volumes({f"tag:{our_tags.REHEARSAL}": chunk})]

    def verdicts(self, since: datetime, until: datetime) -> list[Verdict]:
        """What EC2 said in these hours of the calls that follow once a volume is given up."""
        found = records_in(self._described.snapshots({f"tag:{our_tags.WAY_BACK}": _hours(since, until)})).records
        return [r.verdict for r in found if r.verdict]

    def rehearsed_keys(self) -> dict[str, datetime]:
        """When a volume was last created with a key, as verdicts say."""
        found = records_in(self._described.snapshots({"tag-key": [our_tags.WAY_BACK], "encrypted": ["true"]})).records
        times = [(r.spec.kms_key, r.verdict.rehearsed) for r in found if r.verdict and r.verdict.rehearsed]
        return dict(sorted(times, key=lambda one: one[1]))

    def snapshots_of(self, instance_ids: Iterable[str]) -> Snapshots:
        tag = f"tag:{our_tags.INSTANCE}"
        return records_in(s for chunk in chunks(instance_ids) for s in self._described.snapshots({tag: chunk}))

    def every_snapshot(self, *, with_request: bool = False) -> Snapshots:
        """All of this deployment, or only those on which a start request is remembered, done or not."""
        wanted = {"tag-key": [our_tags.START_REQUESTED]} if with_request else {}
        return records_in(self._described.snapshots(wanted))

    def requests(self, since: datetime, until: datetime) -> dict[str, datetime]:
        """The instances whose start was requested in these hours, and when, as their first snapshots say."""
        wanted = {f"tag:{our_tags.PART}": ["1/*"], f"tag:{our_tags.START_REQUESTED}": _hours(since, until)}
        every = records_in(self._described.snapshots(wanted)).records
        return {r.instance_id: r.start_requested for r in every if r.start_requested}

    def snapshots_named(self, ids: Iterable[str]) -> Snapshots:
        return records_in(s for chunk in chunks(ids) for s in self._described.snapshots({"snapshot-id": chunk}))

    def records_of_others(self, instance_ids: Iterable[str]) -> list[SnapshotRecord]:
        """The records of these instances that belong to other deployments."""
        tag = f"tag:{our_tags.INSTANCE}"
        found = (s for chunk in chunks(instance_ids) for s in self._described.snapshots_of_anyone({tag: chunk}))
        return [r for r in records_in(found).records if r.deployment not in self._names]

    def other_deployments(self) -> list[str]:
        """The names of all other deployments that have snapshots in this account and region."""
        found = records_in(self._described.snapshots_of_anyone({"tag-key": [our_tags.DEPLOYMENT]})).records
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

    def moving(self, snapshot_ids: Iterable[str]) -> tuple[dict[str, datetime], frozenset[str]]:
        """The snapshots among these that are moving to the archive tier or back, and since when; and those whose way
        back has failed (DescribeSnapshotTierStatus)."""
        found: dict[str, datetime] = {}
        failed = set[str]()
        for chunk in chunks(snapshot_ids):
            with errors_of("DescribeSnapshotTierStatus", "snapshots"):
                pages = pages_of(self._client.get_paginator("describe_snapshot_tier_status"), {"snapshot-id": chunk})
                every = [
                    (s, s.get("LastTieringOperationStatus", "")) for page in pages for s in page["SnapshotTierStatuses"]
                ]
                moving = (s for s, status in every if status.endswith("-in-progress"))
                found |= {s["SnapshotId"]: s.get("LastTieringStartTime", NEVER) for s in moving}
                failed |= {s["SnapshotId"] for s, status in every if status.endswith("-restore-failed")}
        return found, frozenset(failed)

    def modifying(self, volume_ids: Iterable[str]) -> dict[str, datetime]:
        """The volumes among these whose modification is not finished, and when it began
        (DescribeVolumesModifications)."""
        found: dict[str, datetime] = {}
        for chunk in chunks(volume_ids, FILTER_VALUES - len(UNFINISHED)):
            with errors_of("DescribeVolumesModifications", "volumes"):
                pages = pages_of(
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
            pending = self._described.snapshots_of_anyone({"volume-id": chunk, "status": ["pending"]})
            theirs = sorted((s for s in pending if s["SnapshotId"] not in ours), key=lambda s: s["StartTime"])
            found |= {s["VolumeId"]: s["StartTime"] for s in theirs}
        return found


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


def _hours(since: datetime, until: datetime) -> list[str]:
    """Patterns for the values of tags that begin with a time of these hours."""
    first = since.replace(minute=0, second=0, microsecond=0)
    return [f"{first + timedelta(hours=n):%Y-%m-%dT%H}*" for n in range((until - first) // timedelta(hours=1) + 1)]


def literally(text: str) -> str:
    """Escape the wildcards of EC2 filters, * and ?, and the backslash itself, with a backslash."""
    return re.sub(r"([*?\\])", r"\\\1", text)
