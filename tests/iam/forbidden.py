"""Calls that no function may ever make: what somebody would try who has taken one of them over.

Each is judged with everything in its favour that an attacker can bring about, and is named after what it would do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.iam.evaluate import Request
from tests.iam.requests import ACCOUNT, ec2_arn, requests

REGION: Final = "ap-northeast-2"
NAME: Final = "park-volumes"
INSTANCE, VOLUME, SNAPSHOT = "i-0123456789abcdef0", "vol-0123456789abcdef0", "snap-0123456789abcdef0"
GROUP: Final = "sg-0123456789abcdef0"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Tags = Mapping[str, str]
NONE: Final[Tags] = {"Name": "shop"}
OPTED_IN: Final[Tags] = {"Name": "shop", "ParkVolumes": "true"}
OPTED_OUT: Final[Tags] = {"Name": "shop", "ParkVolumes": "false"}
MISSPELT: Final[Tags] = {"Name": "shop", "ParkVolumes": "not true"}
NIGHTLY: Final[Tags] = {"Name": "shop", "Nightly": "true"}
MARKED: Final[Tags] = {"park-volumes:mark": f"{NAME} {INSTANCE} and more"}
MARKED_BY_NIGHT: Final[Tags] = {"park-volumes:mark": f"night {INSTANCE} and more"}
MARKED_BY_NAMESAKE: Final[Tags] = {"park-volumes:mark": f"{NAME}-2 {INSTANCE} and more"}
OURS: Final[Tags] = {"park-volumes:deployment": NAME}
OF_NIGHT: Final[Tags] = {"park-volumes:deployment": "night"}

PARK, START = "park", "start"


@dataclass(frozen=True, kw_only=True)
class Forbidden:
    """A call that these roles must not get through; one of its requests denied is enough."""

    words: str
    roles: tuple[str, ...] = (PARK, START)
    requests: list[Request] = field(default_factory=list)


def _made(
    operation: str,
    resources: Mapping[str, Tags],
    *,
    facts: Mapping[str, Any] | None = None,
    region: str = REGION,
    **parameters: Any,
) -> list[Request]:
    """An EC2 call with these parameters, on resources with these tags and further facts."""
    disk = {"volume": VOLUME, "tags": resources.get(VOLUME, MARKED), "kms_key": None}
    return requests(
        {
            "service": "ec2",
            "operation": operation,
            "region": region,
            "parameters": parameters,
            "resources": resources,
            "facts": facts or {},
            "attached": {INSTANCE: {"/dev/sda1": disk}},
            "kms_keys": {},
        }
    )


def _asked(action: str, resource: str = "*") -> list[Request]:
    return [Request(action=action, resource=resource)]


def _tagged(resource: str, before: Tags, **tags: str) -> list[Request]:
    new = [{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()]
    return _made("CreateTags", {resource: before}, Resources=[resource], Tags=new)


def _untagged(resource: str, before: Tags, *keys: str) -> list[Request]:
    return _made("DeleteTags", {resource: before}, Resources=[resource], Tags=[{"Key": key} for key in keys])


def _copied(*, tags: Tags) -> list[Request]:
    specified = (
        [{"ResourceType": "snapshot", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}] if tags else []
    )
    return _made("CreateSnapshot", {VOLUME: NONE}, VolumeId=VOLUME, TagSpecifications=specified)


def _restored(snapshot: Tags, tags: Tags, *, owner: str = ACCOUNT) -> list[Request]:
    specified = [{"ResourceType": "volume", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}] if tags else []
    facts = {SNAPSHOT: {"ec2:Owner": owner}}
    return _made("CreateVolume", {SNAPSHOT: snapshot}, facts=facts, SnapshotId=SNAPSHOT, TagSpecifications=specified)


def _empty(tags: Tags) -> list[Request]:
    specified = [{"ResourceType": "volume", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]
    return _made("CreateVolume", {}, Size=16384, TagSpecifications=specified)


def _attached(operation: str, instance: Tags, volume: Tags, region: str = REGION) -> list[Request]:
    resources = {INSTANCE: instance, VOLUME: volume}
    return _made(operation, resources, region=region, InstanceId=INSTANCE, VolumeId=VOLUME)


def _switched(operation: str, instance: Tags, region: str = REGION) -> list[Request]:
    return _made(operation, {INSTANCE: instance}, region=region, InstanceIds=[INSTANCE])


def _modified(instance: Tags, volume: Tags, region: str = REGION) -> list[Request]:
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": True}}]
    resources = {INSTANCE: instance, VOLUME: volume}
    return _made("ModifyInstanceAttribute", resources, region=region, InstanceId=INSTANCE, BlockDeviceMappings=mapping)


def _rewritten(attribute: str, value: Any) -> list[Request]:
    """Another attribute of an opted-in instance."""
    resources = {INSTANCE: OPTED_IN, GROUP: NONE}
    return _made("ModifyInstanceAttribute", resources, InstanceId=INSTANCE, **{attribute: value})


def on_instance(tags: Tags, region: str = REGION) -> dict[str, list[Request]]:
    """What each role has to do with an instance, judged with these tags on it; its volumes are marked."""
    switched = [*_switched("StartInstances", tags, region), *_switched("StopInstances", tags, region)]
    return {
        PARK: _attached("DetachVolume", tags, MARKED, region),
        START: [*_attached("AttachVolume", tags, MARKED, region), *switched, *_modified(tags, MARKED, region)],
    }


def in_region(region: str) -> dict[str, list[Request]]:
    """What each role has to do in a region, with its instances, volumes and snapshots and with the keys of volumes."""
    both = on_instance(OPTED_IN, region)
    look = _made("DescribeInstances", {}, region=region)
    mark = [{"Key": "park-volumes:mark", "Value": MARKED["park-volumes:mark"]}]
    record = [{"ResourceType": "snapshot", "Tags": [{"Key": k, "Value": v} for k, v in OURS.items()]}]
    key = f"arn:aws:kms:{region}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    created = {
        "service": "ec2",
        "operation": "CreateVolume",
        "region": region,
        "parameters": {"SnapshotId": SNAPSHOT, "TagSpecifications": [{"ResourceType": "volume", "Tags": mark}]},
        "resources": {SNAPSHOT: OURS},
        "kms_keys": {SNAPSHOT: key},
    }
    return {
        PARK: [
            *look,
            *both[PARK],
            *_made("CreateSnapshot", {VOLUME: NONE}, region=region, VolumeId=VOLUME, TagSpecifications=record),
            *_made("CreateTags", {VOLUME: NONE}, region=region, Resources=[VOLUME], Tags=mark),
            *_made("DeleteVolume", {VOLUME: MARKED}, region=region, VolumeId=VOLUME),
            *_made("DeleteSnapshot", {SNAPSHOT: OURS}, region=region, SnapshotId=SNAPSHOT),
        ],
        START: [*look, *both[START], *requests(created)],
    }


def _on_key(action: str, **context: str) -> list[Request]:
    keys = {name.replace("__", ":"): [value] for name, value in context.items()}
    return [Request(action=action, resource=KEY, context=keys)]


_instance, _volume, _snapshot = (ec2_arn(ec2_id, REGION) for ec2_id in (INSTANCE, VOLUME, SNAPSHOT))
_BUS: Final = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
_THROUGH_S3, _THROUGH_EC2 = f"s3.{REGION}.amazonaws.com", f"ec2.{REGION}.amazonaws.com"

FORBIDDEN: Final = [
    # The start function deletes nothing at all, whatever it is marked or tagged with.
    *[
        Forbidden(words=f"start {words}", roles=(START,), requests=asked)
        for words, asked in {
            "deletes a volume that it marked": _made("DeleteVolume", {VOLUME: MARKED}, VolumeId=VOLUME),
            "deletes a record": _made("DeleteSnapshot", {SNAPSHOT: OURS}, SnapshotId=SNAPSHOT),
            "unlocks a record": _made("UnlockSnapshot", {SNAPSHOT: OURS}, SnapshotId=SNAPSHOT),
            "locks a record": _made("LockSnapshot", {SNAPSHOT: OURS}, SnapshotId=SNAPSHOT),
            "archives a record": _made("ModifySnapshotTier", {SNAPSHOT: OURS}, SnapshotId=SNAPSHOT),
            "brings a snapshot back that is no record": _made(
                "RestoreSnapshotTier", {SNAPSHOT: NONE}, SnapshotId=SNAPSHOT
            ),
            "brings a record of another deployment back": _made(
                "RestoreSnapshotTier", {SNAPSHOT: OF_NIGHT}, SnapshotId=SNAPSHOT
            ),
            "detaches a marked volume": _attached("DetachVolume", OPTED_IN, MARKED),
            "copies a volume": _copied(tags=OURS),
            "marks a volume, to make it ours": _tagged(VOLUME, NONE, **{"park-volumes__mark": f"{NAME} {INSTANCE}"}),
            "marks a snapshot as given up": _tagged(SNAPSHOT, OURS, **{"park-volumes__mark": f"{NAME} {INSTANCE}"}),
            "takes a snapshot of somebody for its own": _tagged(SNAPSHOT, NONE, **{"park-volumes__deployment": NAME}),
            "rewrites where a record belongs": _tagged(SNAPSHOT, OURS, **{"park-volumes__instance": "i-1"}),
            "takes the tags off a record": _untagged(SNAPSHOT, OURS, "park-volumes:deployment"),
            "takes an owner's tag off a volume": _untagged(VOLUME, MARKED, "Name"),
            "takes every tag off a volume": _untagged(VOLUME, MARKED),
            "takes the mark of another deployment off": _untagged(VOLUME, MARKED_BY_NIGHT, "park-volumes:mark"),
            "restores a snapshot that is no record": _restored(NONE, MARKED),
            "restores a record of another deployment": _restored(OF_NIGHT, MARKED),
            "makes a volume without a mark": _restored(OURS, NONE),
            "makes a volume without any tag": _restored(OURS, {}),
            "makes an empty volume without a mark": _made("CreateVolume", {}, Size=1),
            "makes an empty volume with a mark": _empty(MARKED),
            "restores a snapshot that another account shares and somebody tagged": _restored(
                OURS, MARKED, owner="999999999999"
            ),
            "attaches a volume without a mark": _attached("AttachVolume", OPTED_IN, NONE),
            "attaches a volume of another deployment": _attached("AttachVolume", OPTED_IN, MARKED_BY_NIGHT),
            "attaches to an instance that is not opted in": _attached("AttachVolume", NONE, MARKED),
            "attaches to an instance of another deployment": _attached("AttachVolume", NIGHTLY, MARKED),
            "starts an instance that is not opted in": _switched("StartInstances", NONE),
            "starts an instance that is opted out": _switched("StartInstances", OPTED_OUT),
            "starts an instance whose opt-in tag says something like it": _switched("StartInstances", MISSPELT),
            "starts an instance of another deployment": _switched("StartInstances", NIGHTLY),
            "stops an instance that is not opted in": _switched("StopInstances", NONE),
            "stops an instance of another deployment": _switched("StopInstances", NIGHTLY),
            "changes a disk of an instance that is not opted in": _modified(NONE, MARKED),
            "changes a disk that is not marked": _modified(OPTED_IN, NONE),
            "rewrites the user data of an instance": _rewritten("UserData", {"Value": "x"}),
            "changes the security groups of an instance": _rewritten("Groups", [GROUP]),
            "uses a key on its own": _on_key("kms:Decrypt"),
            "uses a key through S3": _on_key("kms:Decrypt", kms__ViaService=_THROUGH_S3),
            "gives a person a grant": _on_key("kms:CreateGrant", kms__ViaService=_THROUGH_EC2),
            "receives from the park queue": _asked("sqs:ReceiveMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-park"),
            "sends to the park queue": _asked("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-park"),
            "writes the log of park": _asked(
                "logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{NAME}-park:log-stream:1"
            ),
            "reads a parameter": _asked("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/secret"),
        }.items()
    ],
    # The park function destroys what is marked and superseded, and nothing else.
    *[
        Forbidden(words=f"park {words}", roles=(PARK,), requests=asked)
        for words, asked in {
            "deletes a volume without a mark": _made("DeleteVolume", {VOLUME: NONE}, VolumeId=VOLUME),
            "deletes a volume of another deployment": _made("DeleteVolume", {VOLUME: MARKED_BY_NIGHT}, VolumeId=VOLUME),
            "deletes a volume of a deployment whose name begins alike": _made(
                "DeleteVolume", {VOLUME: MARKED_BY_NAMESAKE}, VolumeId=VOLUME
            ),
            "detaches a volume without a mark": _attached("DetachVolume", OPTED_IN, NONE),
            "detaches a volume of another deployment": _attached("DetachVolume", OPTED_IN, MARKED_BY_NIGHT),
            "detaches from an instance that is not opted in": _attached("DetachVolume", NONE, MARKED),
            "detaches from an instance of another deployment": _attached("DetachVolume", NIGHTLY, MARKED),
            "detaches from an instance whose opt-in tag says something like it": _attached(
                "DetachVolume", MISSPELT, MARKED
            ),
            "deletes a snapshot that is no record": _made("DeleteSnapshot", {SNAPSHOT: NONE}, SnapshotId=SNAPSHOT),
            "deletes a record of another deployment": _made(
                "DeleteSnapshot", {SNAPSHOT: OF_NIGHT}, SnapshotId=SNAPSHOT
            ),
            "deletes a snapshot of another account that somebody tagged": _made(
                "DeleteSnapshot",
                {SNAPSHOT: OURS},
                facts={SNAPSHOT: {"ec2:Owner": "999999999999"}},
                SnapshotId=SNAPSHOT,
            ),
            "unlocks a snapshot that is no record": _made("UnlockSnapshot", {SNAPSHOT: NONE}, SnapshotId=SNAPSHOT),
            "unlocks a record of another deployment": _made(
                "UnlockSnapshot", {SNAPSHOT: OF_NIGHT}, SnapshotId=SNAPSHOT
            ),
            "locks a snapshot that is no record": _made("LockSnapshot", {SNAPSHOT: NONE}, SnapshotId=SNAPSHOT),
            "archives a snapshot that is no record": _made("ModifySnapshotTier", {SNAPSHOT: NONE}, SnapshotId=SNAPSHOT),
            "archives a record of another deployment": _made(
                "ModifySnapshotTier", {SNAPSHOT: OF_NIGHT}, SnapshotId=SNAPSHOT
            ),
            "brings a record back from the archive": _made(
                "RestoreSnapshotTier", {SNAPSHOT: OURS}, SnapshotId=SNAPSHOT
            ),
            "takes a snapshot of somebody for its own": _tagged(SNAPSHOT, NONE, **{"park-volumes__deployment": NAME}),
            "takes a record of another deployment": _tagged(SNAPSHOT, OF_NIGHT, **{"park-volumes__deployment": NAME}),
            "rewrites where a record belongs": _tagged(SNAPSHOT, OURS, **{"park-volumes__instance": "i-1"}),
            "marks over the mark of another deployment": _tagged(
                VOLUME, MARKED_BY_NIGHT, **{"park-volumes__mark": f"{NAME} {INSTANCE}"}
            ),
            "marks in the name of another deployment": _tagged(VOLUME, NONE, **{"park-volumes__mark": "night i-1"}),
            "writes an owner's tag on a volume": _tagged(VOLUME, MARKED, Name="mine"),
            "opts a volume out": _tagged(VOLUME, NONE, ParkVolumes="false"),
            "copies without making a record": _copied(tags={}),
            "copies for another deployment": _copied(tags=OF_NIGHT),
            "makes a volume": _restored(OURS, MARKED),
            "attaches a marked volume": _attached("AttachVolume", OPTED_IN, MARKED),
            "starts an instance": _switched("StartInstances", OPTED_IN),
            "stops an instance": _switched("StopInstances", OPTED_IN),
            "changes a disk of an instance": _modified(OPTED_IN, MARKED),
            "takes a mark off": _untagged(VOLUME, MARKED, "park-volumes:mark"),
            "uses a key": _on_key("kms:Decrypt", kms__ViaService=_THROUGH_EC2),
            "receives from another queue": _asked("sqs:ReceiveMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"),
            "sends to the dead-letter queue": _asked(
                "sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-dead-letter"
            ),
            "reads the tokens": _asked("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{NAME}/tokens"),
        }.items()
    ],
    # Neither touches anything else.
    *[
        Forbidden(words=f"either {words}", requests=asked)
        for words, asked in {
            "opts an instance in": _tagged(INSTANCE, NONE, ParkVolumes="true"),
            "writes a tag on an opted-in instance": _tagged(INSTANCE, OPTED_IN, **{"park-volumes__mark": NAME}),
            "takes a tag off an opted-in instance": _untagged(INSTANCE, OPTED_IN, "ParkVolumes"),
            "terminates an opted-in instance": _asked("ec2:TerminateInstances", _instance),
            "reboots an opted-in instance": _asked("ec2:RebootInstances", _instance),
            "launches an instance": _asked("ec2:RunInstances", _instance),
            "shares a snapshot": _asked("ec2:ModifySnapshotAttribute", _snapshot),
            "copies a snapshot": _asked("ec2:CopySnapshot", _snapshot),
            "archives a snapshot": _asked("ec2:ModifySnapshotTier", _snapshot),
            "changes a volume": _asked("ec2:ModifyVolume", _volume),
            "makes an image": _asked("ec2:CreateImage", _instance),
            "snapshots a whole instance": _asked("ec2:CreateSnapshots", _instance),
            "reads a snapshot's blocks": _asked("ebs:GetSnapshotBlock", _snapshot),
            "tells something in the name of EC2": [
                Request(action="events:PutEvents", resource=_BUS, context={"events:source": ["aws.ec2"]})
            ],
            "tells another bus": [
                Request(action="events:PutEvents", resource=f"{_BUS}-2", context={"events:source": ["park-volumes"]})
            ],
            "writes to another topic": _asked("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"),
            "reads a bucket": _asked("s3:GetObject", "arn:aws:s3:::backups/a"),
            "passes a role": _asked("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
            "changes its own policy": _asked("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/{NAME}-park-{REGION}"),
            "takes another role": _asked("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
            "invokes a function": _asked(
                "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}-park"
            ),
            "changes its own code": _asked(
                "lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}-park"
            ),
            "makes a log group": _asked("logs:CreateLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:x"),
            "retires a key": _asked("kms:ScheduleKeyDeletion", KEY),
            "reads a secret": _asked("secretsmanager:GetSecretValue"),
            "switches a rule off": _asked("events:DisableRule"),
            "empties a queue": _asked("sqs:PurgeQueue", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-park"),
        }.items()
    ],
]
