"""Ways in which the local AWS is no AWS: whoever asks an AWS what it is has to find each of them out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from tests.local_aws.calls import CallLog
from tests.local_aws.cloudtrail import CloudTrail
from tests.local_aws.ebs import Attachment, Content, StrictSnapshot, StrictVolume
from tests.local_aws.ec2_api import StrictEc2Api
from tests.local_aws.instances import StrictBackend, StrictInstance

LATE_SECONDS = 4.0
OTHER_BYTES = Content(fingerprint="0123456789abcdef")

new_volume, create_volume = StrictBackend.new_volume, StrictBackend.api_create_volume
delete_snapshot, let_go, move = StrictBackend.api_delete_snapshot, StrictBackend.let_go, StrictBackend.move
create_tags, denied, record = StrictBackend.api_create_tags, CallLog.denied, CloudTrail.record
as_recorded = StrictEc2Api.as_recorded


def starts_without_root(ec2: StrictBackend, instance_ids: list[str]) -> list[Any]:
    return [(instance, ec2.start_one(instance)) for instance in ec2.instances_named(instance_ids)]


def detaches_any_root(ec2: StrictBackend, volume_id: str, *_: Any, **__: Any) -> Attachment:
    attachment = ec2.volume_named(volume_id).attached[0]
    attachment.status = "detaching"
    ec2.world.later(1.0, f"{volume_id} is detached", lambda: ec2.take_off(attachment))
    return attachment


def deletes_what_is_locked(ec2: StrictBackend, snapshot_id: str) -> None:
    snapshot = ec2.snapshot_named(snapshot_id)
    if isinstance(snapshot, StrictSnapshot):
        snapshot.lock = None
    delete_snapshot(ec2, snapshot_id)


def forgets_tokens(ec2: StrictBackend, params: dict[str, Any], tags: dict[str, str]) -> StrictVolume:
    return create_volume(ec2, {k: v for k, v in params.items() if k != "ClientToken"}, tags)


def forgets_iops(ec2: StrictBackend, params: dict[str, Any], tags: dict[str, str]) -> StrictVolume:
    usual = {k: v for k, v in params.items() if k not in ("Iops", "Throughput") or not params.get("SnapshotId")}
    return create_volume(ec2, usual, tags)


def restores_other_bytes(ec2: StrictBackend, params: dict[str, Any], zone_name: str | None) -> StrictVolume:
    volume = new_volume(ec2, params, zone_name)
    if params.get("SnapshotId"):
        volume.content = OTHER_BYTES
    return volume


def unlocks_in_the_archive(ec2: StrictBackend, snapshot: StrictSnapshot, tier: str, *more: Any) -> None:
    snapshot.lock = None
    move(ec2, snapshot, tier, *more)


def loses_snapshots_with_their_volume(ec2: StrictBackend, volume: StrictVolume) -> None:
    for snapshot in ec2.snapshots.values():
        if snapshot.volume is volume and snapshot.status == "pending":
            snapshot.status = "error"
    let_go(ec2, volume)


def writes_other_words(trail: CloudTrail, call: dict[str, Any], caller: Any, message: str) -> None:
    record(trail, call, caller, message.replace("does not have a volume attached at root", "has no root volume"))


def leaves_out_tiers(api: StrictEc2Api, body: Any) -> Any:
    return re.sub("<storageTier>standard</storageTier>", "", as_recorded(api, body))


@contextmanager
def late_tags() -> Iterator[None]:
    """IAM goes by tags that were written some seconds ago."""
    written: dict[str, float] = {}

    def writes(ec2: StrictBackend, resource_ids: list[str], tags: dict[str, str]) -> None:
        create_tags(ec2, resource_ids, tags)
        written.update(dict.fromkeys(resource_ids, ec2.world.clock.now()))

    def denies(log: CallLog, call: dict[str, Any]) -> tuple[str, str] | None:
        volume_id = call["parameters"].get("VolumeId", "")
        since = written.get(volume_id, 0.0)
        if call["role"] and call["operation"] == "DetachVolume" and log._world.clock.now() < since + LATE_SECONDS:
            return "DetachVolume", volume_id
        return denied(log, call)

    with patch.object(StrictBackend, "api_create_tags", writes), patch.object(CallLog, "denied", denies):
        yield


def instead(where: type, name: str, other: Any) -> Callable[[], AbstractContextManager[Any]]:
    return partial(patch.object, where, name, other)


WAYS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    "it starts an instance without a root volume": instead(StrictBackend, "start_instances", starts_without_root),
    "LaunchTime stays at a start": instead(StrictInstance, "move_launch_time", lambda _: None),
    "the root volume of a running instance goes": instead(StrictBackend, "api_detach_volume", detaches_any_root),
    "it deletes locked snapshots": instead(StrictBackend, "api_delete_snapshot", deletes_what_is_locked),
    "it forgets client tokens": instead(StrictBackend, "api_create_volume", forgets_tokens),
    "DeleteOnTermination cannot be set": instead(StrictBackend, "set_delete_on_termination", lambda *_: None),
    "restored volumes have other bytes": instead(StrictBackend, "new_volume", restores_other_bytes),
    "restored volumes have the usual IOPS": instead(StrictBackend, "api_create_volume", forgets_iops),
    "the archive unlocks": instead(StrictBackend, "move", unlocks_in_the_archive),
    "snapshots go with their volume": instead(StrictBackend, "let_go", loses_snapshots_with_their_volume),
    "CloudTrail has other words": instead(CloudTrail, "record", writes_other_words),
    "answers leave out what is usual": instead(StrictEc2Api, "as_recorded", leaves_out_tiers),
    "a new mark does not count": late_tags,
}
