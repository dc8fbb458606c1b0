"""The facts of EC2 that decisions are made of, and the steps that decisions are made to. Imports nothing of AWS.

Times are timezone-aware UTC datetimes, sizes are GiB unless their name says otherwise, states are EC2's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

PARK_ALL = "true"
PARK_ROOT = "root"
OPTED_IN = (PARK_ALL, PARK_ROOT)
LEAVE_ATTACHED = "false"

NEVER = datetime.fromtimestamp(0, UTC)
"""The time of what has not happened yet."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the deployment was configured with; see ``variables.tf`` for the meaning of each.

    ``prices``: USD a month by the names of ``prices.py``; empty where those of the region are not known.
    """

    deployment: str
    opt_in_tag_key: str
    function_timeout: timedelta
    quiet_period: timedelta
    grace_period: timedelta
    snapshot_retention: timedelta
    lock_snapshots: bool
    allowed_product_codes: frozenset[str] = frozenset()
    prices: Mapping[str, float] = field(default_factory=dict)
    park_even_if_dearer: bool = False
    observe_only: bool = False
    orphan_retention: timedelta = timedelta(days=30)
    volume_initialization_rate: int = 0
    archive_after: timedelta | None = None
    start_hold: timedelta = timedelta(hours=1)

    @property
    def lock_period(self) -> timedelta:
        """How long after the marks were written every pass that could still detach the root volume is dead.

        The pass that wrote the marks may detach up to one function time-out later; a pass that does not see that yet
        lives for at most one quiet period (the lag of a describe call plus a function time-out) after it.
        """
        return self.function_timeout + self.quiet_period

    @property
    def settle_period(self) -> timedelta:
        """How long after the marks were written nobody can see an attachment any more that was there before them.

        That is the lock period and what a describe call may lag behind, which is the quiet period less a time-out.
        """
        return 2 * self.quiet_period


@dataclass(frozen=True, kw_only=True)
class BlockDevice:
    """One entry of an instance's block device mapping, as DescribeInstances gives it."""

    device: str
    volume_id: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An EC2 instance, as DescribeInstances gives it."""

    id: str
    state: str
    launch_time: datetime
    zone: str
    root_device: str
    mappings: tuple[BlockDevice, ...]
    tags: Mapping[str, str]
    root_device_type: str = "ebs"
    state_reason: str = ""
    state_message: str = ""
    lifecycle: str = ""
    hibernation: bool = False
    product_codes: tuple[str, ...] = ()
    managed_by: str = ""
    outpost_arn: str = ""
    address: str = ""

    @property
    def name(self) -> str:
        return self.tags.get("Name", "")

    @property
    def label(self) -> str:
        """The id, and the Name if it has one, for people."""
        return f"{self.id} ({self.name})" if self.name else self.id

    def on(self, device: str) -> BlockDevice | None:
        """The mapping at a device, or None where nothing is attached."""
        return next((m for m in self.mappings if m.device == device), None)


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """Where a volume is attached. State: attaching, attached, detaching, busy."""

    instance_id: str
    device: str
    state: str
    attach_time: datetime
    delete_on_termination: bool
    card: int = 0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The tag ``park-volumes:mark``: this volume is in transit. The same on all volumes of one attempt.

    ``at`` is the time at which the pass that wrote it began, so that this pass is dead one function time-out later.
    """

    deployment: str
    instance_id: str
    generation: str
    launch_time: datetime
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Place:
    """The tag ``park-volumes:place``: where a volume in transit belongs, and the snapshot that holds its content."""

    device: str
    card: int
    snapshot_id: str
    delete_on_termination: bool


@dataclass(frozen=True, kw_only=True)
class Volume:
    """An EBS volume. State: creating, available, in-use, deleting, deleted, error."""

    id: str
    state: str
    zone: str
    type: str
    size: int
    snapshot_id: str = ""
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool = False
    kms_key: str = ""
    multi_attach: bool = False
    attachments: tuple[Attachment, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None
    place: Place | None = None

    def attached_to(self, instance_id: str) -> Attachment | None:
        return next((a for a in self.attachments if a.instance_id == instance_id), None)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A snapshot of ours with all that is needed to rebuild the volume. It lives in the snapshot's tags.

    State: pending, completed, error, recoverable, recovering. ``launch_time`` is the instance's LaunchTime seen before
    the snapshot was taken; ``part`` of ``parts`` numbers the devices of one generation from 1; ``source`` is the
    snapshot that the volume itself was made from, if any; ``start_refused`` is when EC2 last had no capacity for the
    start that was asked for at ``start_requested``; ``written`` is the size of all written blocks in bytes, None where
    EC2 does not say; ``terminated`` is when the instance was first seen terminated; ``archived``: it is in the archive
    tier, and no volume can be made from it.
    """

    snapshot_id: str
    volume_id: str
    state: str
    started: datetime
    progress: str
    instance_id: str
    device: str
    launch_time: datetime
    generation: str
    part: int
    parts: int
    zone: str
    type: str
    size: int
    iops: int | None
    throughput: int | None
    card: int
    delete_on_termination: bool
    encrypted: bool
    kms_key: str
    user_tags: Mapping[str, str]
    source: str = ""
    mark: Mark | None = None
    start_requested: datetime | None = None
    start_refused: datetime | None = None
    attempt: int = 1
    written: int | None = None
    terminated: datetime | None = None
    archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that one look saw of one instance.

    ``volumes``: attached to it, marked for it, or named by a record of it. ``locked``: ids of its locked snapshots.
    ``moving``: ids of those on their way to or from the archive tier.
    ``damaged``: a sentence for each snapshot of ours whose record can not be read.
    """

    instance: Instance
    volumes: tuple[Volume, ...] = ()
    records: tuple[Record, ...] = ()
    locked: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = ()


# The steps, in the words of the EC2 API where it has one.


@dataclass(frozen=True, kw_only=True)
class CreateSnapshot:
    volume_id: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LockSnapshot:
    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class MarkVolume:
    """Tag a volume with its mark and place."""

    volume_id: str
    mark: Mark
    place: Place


@dataclass(frozen=True, kw_only=True)
class DetachVolume:
    """Detach a volume; ``attach_time`` names the attachment that is meant, and no later one to the same device."""

    volume_id: str
    instance_id: str
    device: str
    attach_time: datetime


@dataclass(frozen=True, kw_only=True)
class MarkSnapshots:
    """Tag the snapshots of an attempt with the time of its mark: this pass, nobody else, has detached the root volume.

    The time is the same for all attempts of a pass, so that one call is enough for them.
    """

    snapshot_ids: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class DeleteVolume:
    volume_id: str


@dataclass(frozen=True, kw_only=True)
class DiscardSnapshot:
    snapshot_id: str
    locked: bool


@dataclass(frozen=True, kw_only=True)
class ArchiveSnapshot:
    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class RestoreSnapshotTier:
    """Bring a snapshot back from the archive tier, to stay."""

    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class RememberStart:
    """Tag the snapshots of a stop: when a start was asked for, and when EC2 last had no capacity for it."""

    snapshot_ids: tuple[str, ...]
    at: datetime
    refused: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RememberTermination:
    """Tag the snapshots of an instance that was seen terminated."""

    snapshot_ids: tuple[str, ...]
    instance_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class CountAttempt:
    snapshot_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class CreateVolume:
    """A volume from a record, born with its mark and place. The same ``token`` makes one volume, whoever asks.

    ``rate``: MiB/s at which EC2 loads it from its snapshot; None: at first touch.
    """

    record: Record
    token: str
    rate: int | None = None


@dataclass(frozen=True, kw_only=True)
class AttachVolume:
    """Attach a volume: a known one by ``volume_id``, or the one that this pass creates from ``snapshot_id``."""

    instance_id: str
    device: str
    card: int
    volume_id: str = ""
    snapshot_id: str = ""


@dataclass(frozen=True, kw_only=True)
class SetDeleteOnTermination:
    instance_id: str
    devices: Mapping[str, bool]


@dataclass(frozen=True, kw_only=True)
class UnmarkVolumes:
    """Take exactly this mark off these volumes; a volume that has another mark by now keeps it."""

    volume_ids: tuple[str, ...]
    mark: Mark


@dataclass(frozen=True, kw_only=True)
class StartInstance:
    instance_id: str


Step = (
    CreateSnapshot
    | LockSnapshot
    | MarkVolume
    | DetachVolume
    | MarkSnapshots
    | DeleteVolume
    | DiscardSnapshot
    | ArchiveSnapshot
    | RestoreSnapshotTier
    | RememberStart
    | RememberTermination
    | CountAttempt
    | CreateVolume
    | AttachVolume
    | SetDeleteOnTermination
    | UnmarkVolumes
    | StartInstance
)


class Outcome(StrEnum):
    """What a decision means for whoever asked."""

    DONE = "done"
    GOING_ON = "going on"
    REFUSED = "refused"
    OBSERVED = "observed"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do about one instance, and why, in a sentence.

    ``steps`` are stages done one after the other; the steps within a stage do not depend on each other.
    ``look_again`` is the time after which another look is worth while though no event announces it.
    """

    reason: str
    outcome: Outcome = Outcome.DONE
    steps: tuple[tuple[Step, ...], ...] = ()
    look_again: timedelta | None = None
