"""What there is in the world, as immutable records, and what may be set about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from tests.model.evidence import Switches, newest, replaced

NO_FACTS: Mapping[str, Any] = MappingProxyType({})
USED_BY, SHARED_WITH, OF_BACKUP = "used-by-image", "shared-with", "of-backup"
UNTOLD_FACTS = (USED_BY, SHARED_WITH, OF_BACKUP)
"""What stands in the way of a snapshot's deletion, or should; DescribeSnapshots does not tell it."""
LOCKED = ":locked"
"""No filter of EC2's: DescribeLockedSnapshots finds with it what it is to show."""


class Content(NamedTuple):
    """The fingerprint of what a volume holds: whose bytes they are, and when they were last changed."""

    origin: str  # the first volume that held them; copies keep it
    written: int  # the world's tick

    def __str__(self) -> str:
        return f"{self.origin}@{self.written}"


class Attachment(NamedTuple):
    """Held by the instance and by the volume, each of which may be seen late."""

    volume_id: str
    instance_id: str
    device: str
    since: datetime
    state: str = "attached"  # attaching, attached, detaching
    delete_on_termination: bool = False
    card: int = 0


class Instance(NamedTuple):
    id: str
    zone: str
    state: str
    launch_time: datetime
    root_device: str
    devices: tuple[Attachment, ...]
    tags: Mapping[str, str]
    state_reason: str = ""  # a code such as Client.UserInitiatedShutdown
    transition: str = ""  # StateTransitionReason
    facts: Mapping[str, Any] = NO_FACTS  # further members of the response, as they are

    @property
    def root(self) -> Attachment | None:
        return self.attachment(self.root_device)

    def attachment(self, device: str) -> Attachment | None:
        return next((item for item in self.devices if item.device == device), None)


class Volume(NamedTuple):
    id: str
    zone: str
    size: int  # GiB
    type: str
    state: str  # creating, available, in-use, deleting, error
    created: datetime
    content: Content
    tags: Mapping[str, str]
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool = False
    key: str | None = None
    snapshot_id: str = ""
    multi_attach: bool = False
    rate: int | None = None  # VolumeInitializationRate, MiB/s
    attachments: tuple[Attachment, ...] = ()
    facts: Mapping[str, Any] = NO_FACTS


class Makeup(NamedTuple):
    """What ModifyVolume can change."""

    size: int  # GiB
    type: str
    iops: int | None
    throughput: int | None


class Modification(NamedTuple):
    """The latest of a volume; what else is told of it goes by the clock."""

    id: str  # of the volume
    state: str  # modifying, optimizing, completed, failed
    started: float
    before: Makeup
    target: Makeup
    ended: float | None = None
    fails: bool = False
    tags: Mapping[str, str] = NO_FACTS  # none: a modification is no resource


class Lock(NamedTuple):
    mode: str
    days: int
    created: datetime
    expires: datetime


class Snapshot(NamedTuple):
    id: str
    volume_id: str
    size: int  # GiB
    state: str  # pending, completed, error
    started: float
    completes: float
    content: Content
    tags: Mapping[str, str]
    owner: str
    encrypted: bool = False
    key: str | None = None
    description: str = ""
    fails: bool = False
    doomed: bool = False  # deleted while pending: goes when it completes
    tier: str = "standard"  # or archive
    tiering: str = ""  # LastTieringOperationStatus
    tiering_since: float = 0  # LastTieringStartTime
    lock: Lock | None = None
    facts: Mapping[str, Any] = NO_FACTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Durations:
    """Seconds that things take."""

    start: float = 20
    fall_back: float = 10
    stop: float = 30
    terminate: float = 30
    snapshot: float = 60
    snapshot_per_gib: float = 0
    create: float = 5
    create_per_gib: float = 0
    attach: float = 3
    detach: float = 5
    delete: float = 3
    modify: float = 10  # until the volume is as was asked for
    optimize: float = 300  # from then on
    archive: float = 60
    thaw: float = 300


AttachTimes = Literal["whole seconds", "milliseconds", "missing"]
"""Recorded answers have the second; descriptions always cut it to the first."""


ASSUMED: Switches = {
    "attach_times": ("whole seconds", "milliseconds", "missing"),
    "dry_run_checks": (False, True),
    "hides_managed": (False, True),
    "old_sdk": (False, True),
    "sparse": (False, True),
    "tags_count_after": (0, 8),
    "unlocked_ids_refused": (False, True),
    "volume_bin": (0, 86_400),
}
SWITCHES: Switches = replaced(ASSUMED, newest())
"""Which of the two AWS is, where nobody has seen it: whatever is drawn of these, all has to be well (docs/aws.md). The
first of each is what the model does unless it is told otherwise: what AWS has answered, or else what is assumed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What an account may be set to, and the quotas of EC2."""

    region: str = "us-east-1"
    account: str = "123456789012"
    zones: tuple[str, ...] = ("us-east-1a", "us-east-1b", "us-east-1c")
    regions: tuple[str, ...] = ("us-east-1",)  # that the account has enabled
    pending_snapshots: int = 5
    pending_snapshots_hdd: int = 1
    seconds_between_snapshots: float = 0  # of one volume; real EC2 asks for 15 between concurrent ones
    seconds_between_modifications: float = 6 * 3600  # of one volume
    snapshots: int | None = None  # a region's quota is 100,000
    archives: int = 25
    thaws: int = 5
    # a dry run is refused for states and parameters too, not for permissions alone
    dry_run_checks: bool = SWITCHES["dry_run_checks"][0]
    attach_times: AttachTimes = SWITCHES["attach_times"][0]  # in the answers of AttachVolume and DetachVolume
    sparse: bool = SWITCHES["sparse"][0]  # answers lack what recorded ones lack (tests/recorded)
    # seconds; the functions' roles need marks on volumes, and IAM goes by tags that old
    tags_count_after: float = SWITCHES["tags_count_after"][0]
    old_sdk: bool = SWITCHES["old_sdk"][0]  # the SDK of the runtime does not know yet what is new
    # what other services manage is described only where that is asked for
    hides_managed: bool = SWITCHES["hides_managed"][0]
    volume_bin: float = SWITCHES["volume_bin"][0]  # seconds that a Recycle Bin keeps a deleted volume
    # DescribeLockedSnapshots fails if one of the SnapshotIds is not locked
    unlocked_ids_refused: bool = SWITCHES["unlocked_ids_refused"][0]
    default_key: str | None = None  # encryption by default with this key
    refused_devices: frozenset[str] = frozenset()  # AttachVolume does not accept them, whatever is free
    broken_keys: frozenset[str] = frozenset()  # disabled, or the caller may not use them
    hydration: float = (
        0  # seconds a new volume without a rate loads from its snapshot; whether deleting that harms it, no page says
    )


class Disk(NamedTuple):
    """A device to launch an instance with."""

    device: str
    size: int = 8
    type: str = "gp3"
    iops: int | None = None
    throughput: int | None = None
    key: str | None = None
    tags: Mapping[str, str] = NO_FACTS
    delete_on_termination: bool = True
    card: int = 0
    multi_attach: bool = False
    facts: Mapping[str, Any] = NO_FACTS


ROOT = Disk(device="/dev/xvda")


class Event(NamedTuple):
    at: float
    body: dict[str, Any]  # as EventBridge delivers it


class Message(NamedTuple):
    id: str
    queue_url: str
    body: str
    due: float


def spot(instance: Instance) -> bool:
    return instance.facts.get("InstanceLifecycle") == "spot"


def zulu(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def too_large(volume_type: str, size: int) -> str:
    """What EC2 says if no volume of this type has so many GiB (EC2 API Reference, CreateVolume); else nothing."""
    largest = {"gp3": 65_536, "io2": 65_536, "standard": 1_024}.get(volume_type, 16_384)
    words = f"Volume of {size}GiB is too large for volume type {volume_type}; maximum is {largest}GiB."
    return words if size > largest else ""


def default_iops(volume_type: str, size: int) -> int | None:
    match volume_type:
        case "gp3":
            return 3000
        case "gp2":
            return max(100, min(16000, 3 * size))
        case _:
            return None


def truth(value: bool) -> tuple[str]:
    return ("true",) if value else ("false",)


INSTANCE_VALUES: Mapping[str, Callable[[Instance], tuple[str, ...]]] = {
    "instance-id": lambda instance: (instance.id,),
    "instance-state-name": lambda instance: (instance.state,),
    "instance-lifecycle": lambda instance: (instance.facts.get("InstanceLifecycle", ""),),
    "availability-zone": lambda instance: (instance.zone,),
    "root-device-name": lambda instance: (instance.root_device,),
    "block-device-mapping.volume-id": lambda instance: tuple(item.volume_id for item in instance.devices),
    "block-device-mapping.status": lambda instance: tuple(item.state for item in instance.devices),
    "block-device-mapping.device-name": lambda instance: tuple(item.device for item in instance.devices),
}
VOLUME_VALUES: Mapping[str, Callable[[Volume], tuple[str, ...]]] = {
    "volume-id": lambda volume: (volume.id,),
    "status": lambda volume: (volume.state,),
    "snapshot-id": lambda volume: (volume.snapshot_id,),
    "volume-type": lambda volume: (volume.type,),
    "encrypted": lambda volume: truth(volume.encrypted),
    "availability-zone": lambda volume: (volume.zone,),
    "attachment.instance-id": lambda volume: tuple(item.instance_id for item in volume.attachments),
    "attachment.device": lambda volume: tuple(item.device for item in volume.attachments),
    "attachment.status": lambda volume: tuple(item.state for item in volume.attachments),
}
SNAPSHOT_VALUES: Mapping[str, Callable[[Snapshot], tuple[str, ...]]] = {
    "snapshot-id": lambda snapshot: (snapshot.id,),
    "volume-id": lambda snapshot: (snapshot.volume_id,),
    "status": lambda snapshot: (snapshot.state,),
    "description": lambda snapshot: (snapshot.description,),
    "encrypted": lambda snapshot: truth(snapshot.encrypted),
    "owner-id": lambda snapshot: (snapshot.owner,),
    "storage-tier": lambda snapshot: (snapshot.tier,),
    LOCKED: lambda snapshot: truth(snapshot.lock is not None),
}
MODIFICATION_VALUES: Mapping[str, Callable[[Modification], tuple[str, ...]]] = {
    "volume-id": lambda modification: (modification.id,),
    "modification-state": lambda modification: (modification.state,),
    "original-size": lambda modification: (str(modification.before.size),),
    "original-volume-type": lambda modification: (modification.before.type,),
    "original-iops": lambda modification: (str(modification.before.iops),),
    "target-size": lambda modification: (str(modification.target.size),),
    "target-volume-type": lambda modification: (modification.target.type,),
    "target-iops": lambda modification: (str(modification.target.iops),),
}
