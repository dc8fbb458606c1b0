"""Records as boto3 shows them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, NoReturn, TypeVar

from tests.model.records import UNTOLD_FACTS, Attachment, Instance, Modification, Snapshot, Volume
from tests.model.world import World

R = TypeVar("R")
Answer = dict[str, Any]
MOST_TOLD = 20_000
"""Records whose answers are kept; then they are forgotten."""


class Told(dict[str, Any]):
    """What is told of one record. Nobody changes it, so it is made once, and read once by whoever ``made`` of it what
    depends on nothing else."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.made: dict[Any, Any] = {}

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        raise TypeError(f"{name} of an answer is changed, which others are given, too.")


def once(tell: Callable[[R], Answer]) -> Callable[[R], Told]:
    """Tells of a record, which nobody ever changes, once. Holding on to it keeps its id from being used again."""
    told: dict[int, tuple[R, Told]] = {}

    @wraps(tell)
    def tell_once(record: R) -> Told:
        known = told.get(id(record))
        if known is None:
            if len(told) >= MOST_TOLD:
                told.clear()
            known = told[id(record)] = record, Told(tell(record))
        return known[1]

    return tell_once


GIB = 2**30
MIB_IN_GIB = 1024
STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
STATE_REASONS = {
    "Client.UserInitiatedShutdown": "User initiated shutdown",
    "Client.InstanceInitiatedShutdown": "Instance initiated shutdown",
    "Client.InternalError": "Client error on launch",
    "Server.InsufficientHostCapacity": "Insufficient host capacity to satisfy instance request",
    "Server.InsufficientInstanceCapacity": "Insufficient capacity to satisfy instance request",
    "Server.SpotInstanceTermination": "Spot instance termination",
}


@once
def instance_answer(instance: Instance) -> Answer:
    answer: Answer = {
        "InstanceId": instance.id,
        "InstanceType": "m7g.large",
        "Architecture": "arm64",
        "State": {"Code": STATE_CODES[instance.state], "Name": instance.state},
        "LaunchTime": instance.launch_time,
        "Placement": {"AvailabilityZone": instance.zone, "GroupName": "", "Tenancy": "default"},
        "RootDeviceName": instance.root_device,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [
            {
                "DeviceName": item.device,
                "Ebs": {
                    "AttachTime": item.since,
                    "DeleteOnTermination": item.delete_on_termination,
                    "Status": item.state,
                    "VolumeId": item.volume_id,
                    "EbsCardIndex": item.card,
                },
            }
            for item in instance.devices
        ],
        "StateTransitionReason": instance.transition,
        "ProductCodes": [],
        "HibernationOptions": {"Configured": False},
        "Operator": {"Managed": False},
    }
    if instance.tags:
        answer["Tags"] = _tag_list(instance.tags)
    if instance.state_reason:
        code = instance.state_reason
        words = STATE_REASONS.get(code)
        answer["StateReason"] = {"Code": code, "Message": f"{code}: {words}" if words else code}
    answer.update(instance.facts)
    return answer


@once
def volume_answer(volume: Volume) -> Answer:
    answer: Answer = {
        "VolumeId": volume.id,
        "State": volume.state,
        "AvailabilityZone": volume.zone,
        "Size": volume.size,
        "VolumeType": volume.type,
        "SnapshotId": volume.snapshot_id,
        "CreateTime": volume.created,
        "Encrypted": volume.encrypted,
        "MultiAttachEnabled": volume.multi_attach,
        "Attachments": [attachment_answer(item) for item in volume.attachments],
        "Operator": {"Managed": False},
    }
    if volume.tags:
        answer["Tags"] = _tag_list(volume.tags)
    if volume.key is not None:
        answer["KmsKeyId"] = volume.key
    if volume.iops is not None:
        answer["Iops"] = volume.iops
    if volume.throughput is not None:
        answer["Throughput"] = volume.throughput
    if volume.rate is not None:
        answer["VolumeInitializationRate"] = volume.rate
    answer.update(volume.facts)
    return answer


def bin_answer(volume: Volume, since: float, kept: float) -> Answer:
    told = volume_answer(volume)
    names = ("VolumeId", "VolumeType", "Size", "Iops", "Throughput", "AvailabilityZone", "SnapshotId", "CreateTime")
    times = {"RecycleBinEnterTime": since, "RecycleBinExitTime": since + kept}
    answer = {name: told[name] for name in names if name in told} | {"State": "deleted"}
    return answer | {name: datetime.fromtimestamp(at, UTC) for name, at in times.items()}


def status_answer(world: World, volume: Volume) -> Answer:
    """Of a volume that was made from a snapshot EC2 tells how far it has loaded it."""
    answer: Answer = {
        "VolumeId": volume.id,
        "AvailabilityZone": volume.zone,
        "VolumeStatus": {"Status": "ok", "Details": [{"Name": "io-enabled", "Status": "passed"}]},
    }
    if not volume.snapshot_id:
        return answer
    takes = volume.size * MIB_IN_GIB / volume.rate if volume.rate else world.rules.hydration
    passed = world.clock.now - volume.created.timestamp()
    details: Answer = {"InitializationType": "provisioned-rate" if volume.rate else "default"}
    details["Progress"] = 100 if passed >= takes else int(100 * passed / takes)
    if volume.rate:
        details["EstimatedTimeToCompleteInSeconds"] = max(0, round(takes - passed))
    return answer | {"InitializationStatusDetails": details}


def attachment_answer(item: Attachment) -> Answer:
    return {
        "AttachTime": item.since,
        "Device": item.device,
        "InstanceId": item.instance_id,
        "State": item.state,
        "VolumeId": item.volume_id,
        "DeleteOnTermination": item.delete_on_termination,
        "EbsCardIndex": item.card,
    }


def modification_answer(world: World, modification: Modification) -> Answer:
    answer: Answer = {
        "VolumeId": modification.id,
        "ModificationState": modification.state,
        "Progress": _percent(world, modification),
        "StartTime": datetime.fromtimestamp(modification.started, UTC),
    }
    for name, makeup in (("Original", modification.before), ("Target", modification.target)):
        facts = {"Size": makeup.size, "VolumeType": makeup.type, "Iops": makeup.iops, "Throughput": makeup.throughput}
        answer |= {name + fact: value for fact, value in facts.items() if value is not None}
    if modification.ended is not None:
        answer["EndTime"] = datetime.fromtimestamp(modification.ended, UTC)
    if modification.state == "failed":
        answer["StatusMessage"] = "Internal error."
    return answer


def _percent(world: World, modification: Modification) -> int:
    if modification.state == "completed":
        return 100
    took = world.durations.modify + world.durations.optimize
    passed = world.clock.now - modification.started
    return min(99, int(100 * passed / took)) if modification.state != "failed" and took > 0 else 0


def snapshot_answer(world: World, snapshot: Snapshot) -> Answer:
    told = _answer_of_snapshot(snapshot)
    if snapshot.state != "pending":
        return told
    progress = f"{_progress(world, snapshot)}%"
    if progress not in told.made:
        told.made[progress] = Told({**told, "Progress": progress})
    so_far: Told = told.made[progress]
    return so_far


@once
def _answer_of_snapshot(snapshot: Snapshot) -> Answer:
    answer: Answer = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.size,
        "State": snapshot.state,
        "StartTime": datetime.fromtimestamp(snapshot.started, UTC),
        "Progress": "100%",
        "OwnerId": snapshot.owner,
        "Description": snapshot.description,
        "Encrypted": snapshot.encrypted,
        "StorageTier": snapshot.tier,
    }
    if snapshot.tags:
        answer["Tags"] = _tag_list(snapshot.tags)
    if snapshot.key is not None:
        answer["KmsKeyId"] = snapshot.key
    if snapshot.state == "completed":
        answer["CompletionTime"] = datetime.fromtimestamp(snapshot.completes, UTC)
        answer["FullSnapshotSizeInBytes"] = snapshot.size * GIB
    if snapshot.state == "error":
        answer["StateMessage"] = "Internal error."
    answer.update({key: value for key, value in snapshot.facts.items() if key not in UNTOLD_FACTS})
    return answer


def _progress(world: World, snapshot: Snapshot) -> int:
    if snapshot.id in world.held:
        return 0
    whole = snapshot.completes - snapshot.started
    return min(99, int(100 * (world.clock.now - snapshot.started) / whole)) if whole > 0 else 99


def tier_answer(snapshot: Snapshot) -> Answer:
    answer: Answer = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "Status": snapshot.state,
        "OwnerId": snapshot.owner,
        "StorageTier": snapshot.tier,
    }
    if snapshot.tiering:
        answer["LastTieringOperationStatus"] = snapshot.tiering
        answer["LastTieringStartTime"] = datetime.fromtimestamp(snapshot.tiering_since, UTC)
    return answer


def lock_state(world: World, snapshot: Snapshot) -> str:
    if snapshot.lock is None:
        return ""
    return snapshot.lock.mode if world.clock.time() < snapshot.lock.expires else "expired"


def lock_answer(world: World, snapshot: Snapshot) -> Answer:
    lock = snapshot.lock
    if lock is None:
        raise ValueError(f"{snapshot.id} is not locked.")
    return {
        "SnapshotId": snapshot.id,
        "LockState": lock_state(world, snapshot),
        "LockDuration": lock.days,
        "LockCreatedOn": lock.created,
        "LockDurationStartTime": lock.created,
        "LockExpiresOn": lock.expires,
    }


def change_answer(before: Instance, after: Instance) -> Answer:
    return {
        "InstanceId": before.id,
        "CurrentState": {"Code": STATE_CODES[after.state], "Name": after.state},
        "PreviousState": {"Code": STATE_CODES[before.state], "Name": before.state},
    }


TOLD_SELDOM: Mapping[str, Any] = {
    "CompletionTime": ...,
    "EbsCardIndex": 0,
    "FullSnapshotSizeInBytes": ...,
    "HibernationOptions": {"Configured": False},
    "MultiAttachEnabled": False,
    "Operator": {"Managed": False},
    "StorageTier": "standard",
}
"""What recorded answers often lack, where it says nothing else than this; ...: whatever it says."""


def sparse(told: Any, *, of_volume: bool = False) -> Any:
    """The same answer as recorded ones are. Those of volumes have never told the card."""
    if isinstance(told, list):
        return [sparse(one, of_volume=of_volume) for one in told]
    if isinstance(told, Told):
        if sparse not in told.made:
            told.made[sparse] = Told(_sparse(told, of_volume=of_volume))
        return told.made[sparse]
    return _sparse(told, of_volume=of_volume) if isinstance(told, dict) else told


def _sparse(told: Answer, *, of_volume: bool) -> Answer:
    return {
        k: sparse(v, of_volume=k == "Attachments") if isinstance(v, (dict, list)) else v
        for k, v in told.items()
        if k not in TOLD_SELDOM or not (TOLD_SELDOM[k] in (..., v) or (of_volume and k == "EbsCardIndex"))
    }


def _tag_list(tags: Mapping[str, str]) -> list[Answer]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
