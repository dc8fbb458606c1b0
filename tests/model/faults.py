"""What goes wrong, when a test says so: faults of single calls, lagging reads, throttling."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from tests.model.table import MEMORY_SECONDS
from tests.model.validation import Refused


class ProcessDied(BaseException):
    """The process that made the call is gone. Not an Exception: no product code may catch it."""


class Fault(Enum):
    """What can happen to one call."""

    DIES_BEFORE = "the process dies before the call"
    DIES_AFTER = "the call takes effect, then the process dies"
    NOT_SENT = "the connection fails before EC2 hears of it"
    ANSWER_LOST = "the call takes effect, its answer is lost (read time-out)"
    CONNECTION_CLOSED = "the call takes effect, its answer is lost (connection closed)"
    THROTTLED = "RequestLimitExceeded, no effect"
    SERVER_ERROR = "500 InternalError, no effect"
    SERVER_ERROR_AFTER = "the call takes effect, yet the answer is 503 Unavailable"
    DENIED = "UnauthorizedOperation, no effect: the role may not do this"
    SNAPSHOT_FAILS = "the snapshot made here will end in error"
    VOLUME_FAILS = "the volume made here will end in error"
    MODIFICATION_FAILS = "the modification of a volume begun here will fail"
    NO_CAPACITY = "InsufficientInstanceCapacity"
    NO_HOST_CAPACITY = "InsufficientHostCapacity"
    HOST_FULL = "InsufficientCapacityOnHost"
    RESERVATION_FULL = "ReservationCapacityExceeded"
    START_FALLS_BACK = "the instance started here falls back to stopped (Client.InternalError)"
    START_FINDS_NO_CAPACITY = "the same, and says so (Server.InsufficientInstanceCapacity)"
    START_FINDS_NO_HOST = "the same, on a dedicated host (Server.InsufficientHostCapacity)"


CAPACITY: Mapping[Fault, str] = {
    Fault.NO_CAPACITY: "We currently do not have sufficient capacity in the Availability Zone you requested.",
    Fault.NO_HOST_CAPACITY: "There is not enough capacity to fulfill your Dedicated Host request.",
    Fault.HOST_FULL: "Dedicated host h-0123456789abcdef0 has insufficient capacity to launch the instances requested.",
    Fault.RESERVATION_FULL: "The reservation has not enough compatible and available capacity for this request.",
}
"""Why EC2 refuses a start for now, in its words; the code is the fault's value."""

FALLS_BACK: Mapping[Fault, str] = {
    Fault.START_FALLS_BACK: "Client.InternalError",
    Fault.START_FINDS_NO_CAPACITY: "Server.InsufficientInstanceCapacity",
    Fault.START_FINDS_NO_HOST: "Server.InsufficientHostCapacity",
}
"""Why EC2 takes a start back after a while: the code of the StateReason."""


STRIKES_AT: Mapping[Fault, str] = {
    Fault.SNAPSHOT_FAILS: "CreateSnapshot",
    Fault.VOLUME_FAILS: "CreateVolume",
    Fault.MODIFICATION_FAILS: "ModifyVolume",
    **dict.fromkeys([*CAPACITY, *FALLS_BACK], "StartInstances"),
}
"""The faults that only one operation can have, and no dry run; any other strikes at whatever call comes next."""


class Call(NamedTuple):
    caller: str
    number: int  # of this client, from 1
    operation: str
    params: Mapping[str, Any]

    def may_have(self, fault: Fault) -> bool:
        return fault not in STRIKES_AT or (STRIKES_AT[fault] == self.operation and not self.params.get("DryRun"))


class FaultPlan(Protocol):
    """Asked at every call, before it; None means that nothing goes wrong."""

    def __call__(self, call: Call, /) -> Fault | None: ...


def at_call(number: int, fault: Fault) -> FaultPlan:
    """The fault strikes at the client's call with that number, counted from 1."""
    return lambda call: fault if call.number == number else None


def at_operation(operation: str, fault: Fault, times: int = 1) -> FaultPlan:
    """The fault strikes at the first calls of one operation ("CreateSnapshot")."""
    left = times

    def plan(call: Call) -> Fault | None:
        nonlocal left
        if call.operation != operation or left == 0 or not call.may_have(fault):
            return None
        left -= 1
        return fault

    return plan


def first_of(plans: Iterable[FaultPlan]) -> FaultPlan:
    plans = tuple(plans)
    return lambda call: next((fault for plan in plans if (fault := plan(call)) is not None), None)


@dataclass(frozen=True, slots=True)
class Lag:
    """Describe calls lag behind writes, each resource by its own time, anew at every call.

    seconds: the longest lag. share: how many reads in a hundred lag. The same seed and calls give the same lags.
    """

    seconds: float
    seed: int = 0
    share: int = 100

    def __post_init__(self) -> None:
        if self.seconds > MEMORY_SECONDS:
            raise ValueError(f"The tables remember {MEMORY_SECONDS} seconds, so nothing can lag by {self.seconds}.")

    def of(self, resource_id: str, call_number: int) -> float:
        draw = crc32(resource_id.encode(), self.seed * 7919 + call_number) * 2654435761 & 0xFFFFFFFF
        if draw % 100 >= self.share:
            return 0.0
        return (draw >> 8) % 1009 / 1008 * self.seconds


class Bucket(NamedTuple):
    size: float
    refill: float  # tokens a second


SNAPSHOTS_AND_VOLUMES, TAGS, ATTACHMENTS = Bucket(100, 5), Bucket(100, 10), Bucket(50, 5)
DESCRIBE, DESCRIBE_ALL = Bucket(100, 20), Bucket(50, 10)
BUCKETS: Mapping[str, Bucket] = {
    "CreateSnapshot": SNAPSHOTS_AND_VOLUMES,
    "DeleteSnapshot": SNAPSHOTS_AND_VOLUMES,
    "CreateVolume": SNAPSHOTS_AND_VOLUMES,
    "DeleteVolume": SNAPSHOTS_AND_VOLUMES,
    "CreateTags": TAGS,
    "DeleteTags": TAGS,
    "AttachVolume": ATTACHMENTS,
    "DetachVolume": ATTACHMENTS,
    "ModifyInstanceAttribute": ATTACHMENTS,
    "LockSnapshot": ATTACHMENTS,
    "UnlockSnapshot": ATTACHMENTS,
    "StartInstances": Bucket(5, 2),
    "StopInstances": ATTACHMENTS,
    "TerminateInstances": Bucket(100, 5),
    "DescribeInstances": DESCRIBE,
    "DescribeVolumes": DESCRIBE,
    "DescribeSnapshots": DESCRIBE,
    "DescribeLockedSnapshots": DESCRIBE,
    "DescribeSnapshotAttribute": DESCRIBE,
    "DescribeSnapshotTierStatus": DESCRIBE,
    "DescribeVolumesModifications": DESCRIBE,
    "DescribeVolumeStatus": DESCRIBE,
    "ModifySnapshotTier": SNAPSHOTS_AND_VOLUMES,
    "RestoreSnapshotTier": SNAPSHOTS_AND_VOLUMES,
}
"""Request tokens of each API action, per account and region (EC2 developer guide, "Request throttling")."""

STARTED_INSTANCES = Bucket(1000, 2)
"""StartInstances also takes one token for every instance it names."""

UNPAGED = frozenset(["DescribeInstances", "DescribeSnapshots", "DescribeVolumes"])
"""These have a bucket of their own when called with neither ids, filters nor MaxResults."""


@dataclass(slots=True)
class Throttle:
    """EC2's token buckets. `refused` counts the calls that found theirs empty."""

    buckets: Mapping[str, Bucket] = field(default_factory=lambda: BUCKETS)
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)  # name -> tokens, at time
    refused: int = 0

    def clone(self) -> "Throttle":
        return Throttle(self.buckets, self.levels.copy(), self.refused)

    def take(self, operation: str, params: Mapping[str, Any], now: float) -> None:
        bucket = self.buckets.get(operation)
        if bucket is None:
            return
        wants = [(operation, bucket, 1)]
        if operation in UNPAGED and not any(value for name, value in params.items() if name != "DryRun"):
            wants = [(operation + " unpaged", DESCRIBE_ALL, 1)]
        if operation == "StartInstances":
            wants.append(("started instances", STARTED_INSTANCES, len(params["InstanceIds"])))
        levels = [self._level(name, bucket, now) for name, bucket, _ in wants]
        if any(level < want for level, (_, _, want) in zip(levels, wants, strict=True)):
            self.refused += 1
            raise Refused("RequestLimitExceeded", "Request limit exceeded.")
        for level, (name, _, want) in zip(levels, wants, strict=True):
            self.levels[name] = (level - want, now)

    def _level(self, name: str, bucket: Bucket, now: float) -> float:
        tokens, then = self.levels.get(name, (bucket.size, now))
        return min(bucket.size, tokens + (now - then) * bucket.refill)
