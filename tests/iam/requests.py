"""What IAM decides for one API call: an entry of the local AWS's call log to requests, all of which have to be allowed.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-policies-ec2-console.html and, for the keys that EC2 uses as its
caller, https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.iam.evaluate import Request
from tests.iam.reference import ACTIONS, REQUESTED_REGION, knows, type_of

ACCOUNT: Final = os.environ.get("MOTO_ACCOUNT_ID", "123456789012")
"""That of the local AWS whose process this is."""

Call = Mapping[str, Any]
"""An entry of the call log: service, operation, region, parameters, resources, facts, attached, licenses, kms_keys.

What is not of interest for the operation may be missing, but for the first five. A dry run is judged like the call, but
for KMS, which it does not ask.
"""

KINDS: Final[Mapping[str, str]] = {
    "i": "instance",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "sg": "security-group",
    "subnet": "subnet",
}
EBS_ENCRYPTION: Final = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What a caller needs on a customer managed key to create an encrypted volume."""


def requests(call: Call) -> list[Request]:
    """The requests of a call. Raises LookupError for an operation that nobody has said what IAM decides of."""
    here = {REQUESTED_REGION: [call["region"]]}
    return [replace(one, context={**one.context, **here}) for one in _requests(call)]


def _requests(call: Call) -> list[Request]:
    name = f"{call['service']}:{call['operation']}"
    if name in RULES:
        return list(RULES[name](call))
    if name in ACTIONS and "*" in ACTIONS[name]:
        return [Request(action=name, resource="*")]
    if name in ACTIONS and call["service"] == "ec2":
        return [_on(call, name, ec2_id) for ec2_id in call["resources"]]
    raise LookupError(f"{name} is in no table of what IAM decides.")


def ec2_arn(ec2_id: str, region: str) -> str:
    """The ARN of an instance, volume, snapshot, image, security group or subnet from its id."""
    kind = KINDS[ec2_id.split("-", 1)[0]]
    return _arn("ec2", region, f"{kind}/{ec2_id}", account="" if kind in ("snapshot", "image") else ACCOUNT)


def _arn(service: str, region: str, resource: str, *, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def _tags(tags: Mapping[str, str]) -> dict[str, list[str]]:
    return {f"aws:ResourceTag/{key}": [value] for key, value in tags.items()}


def _new_tags(tags: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Without tags, the keys are absent. DeleteTags may name a key without a value."""
    values = {f"aws:RequestTag/{t['Key']}": [t["Value"]] for t in tags if "Value" in t}
    return values | ({"aws:TagKeys": [t["Key"] for t in tags]} if tags else {})


def _on(call: Call, action: str, ec2_id: str, context: Mapping[str, list[str]] | None = None) -> Request:
    """The facts of a resource count for those actions only that know them as keys."""
    arn = ec2_arn(ec2_id, call["region"])
    told = call.get("facts", {}).get(ec2_id, {})
    facts = {key: [value] for key, value in told.items() if knows(action, type_of(arn), key)}
    return Request(action=action, resource=arn, context=_tags(call["resources"][ec2_id]) | facts | dict(context or {}))


def _created(call: Call, kind: str, context: Mapping[str, list[str]]) -> Iterator[Request]:
    """The new resource, whose id nobody knows yet, and its tagging."""
    specified = call["parameters"].get("TagSpecifications", [])
    new = _new_tags([tag for each in specified if each["ResourceType"] == kind for tag in each["Tags"]])
    arn = _arn("ec2", call["region"], f"{kind}/*", account="" if kind == "snapshot" else ACCOUNT)
    yield Request(action=f"ec2:{call['operation']}", resource=arn, context=new | dict(context))
    if new:
        yield Request(action="ec2:CreateTags", resource=arn, context=new | {"ec2:CreateAction": [call["operation"]]})


def _create_snapshot(call: Call) -> Iterator[Request]:
    volume = call["parameters"]["VolumeId"]
    yield _on(call, "ec2:CreateSnapshot", volume)
    yield from _created(call, "snapshot", {"ec2:ParentVolume": [ec2_arn(volume, call["region"])]})


def _create_volume(call: Call) -> Iterator[Request]:
    snapshot = call["parameters"].get("SnapshotId")
    context: dict[str, list[str]] = {}
    if snapshot:
        yield _on(call, "ec2:CreateVolume", snapshot)
        context = {"ec2:ParentSnapshot": [ec2_arn(snapshot, call["region"])]}
    yield from _created(call, "volume", context)
    yield from _through_ec2(call, [call["kms_keys"].get(snapshot)], EBS_ENCRYPTION)


def _through_ec2(
    call: Call, keys: Iterable[str | None], actions: Sequence[str] = ("kms:CreateGrant",)
) -> Iterator[Request]:
    """EC2 uses a customer's keys in the name of its caller, unless the call is tried dry."""
    through = {"kms:ViaService": [f"ec2.{call['region']}.amazonaws.com"]}
    for key in sorted(set(filter(None, keys)) if not call["parameters"].get("DryRun") else ()):
        for action in actions:
            grant = {"kms:GrantIsForAWSResource": ["true"]} if action == "kms:CreateGrant" else {}
            yield Request(action=action, resource=key, context=through | grant)


def _attach_volume(call: Call) -> Iterator[Request]:
    yield from (_on(call, "ec2:AttachVolume", ec2_id) for ec2_id in call["resources"])
    yield from _through_ec2(call, [call["kms_keys"].get(call["parameters"]["VolumeId"])])


def _start_instances(call: Call) -> Iterator[Request]:
    """Every license counts, and every encrypted volume takes a grant, without which the instance falls back."""
    yield from (_on(call, "ec2:StartInstances", ec2_id) for ec2_id in call["resources"])
    licenses = sorted({arn for arns in call.get("licenses", {}).values() for arn in arns})
    yield from (Request(action="ec2:StartInstances", resource=arn) for arn in licenses)
    yield from _through_ec2(call, (disk["kms_key"] for disks in call["attached"].values() for disk in disks.values()))


def _modify_instance_attribute(call: Call) -> Iterator[Request]:
    """The instance with the attribute's name; what volumes the changed devices have; new security groups."""
    parameters, instance = dict(call["parameters"]), call["parameters"]["InstanceId"]
    (attribute,) = parameters.keys() - {"InstanceId", "DryRun"}
    yield _on(call, "ec2:ModifyInstanceAttribute", instance, {"ec2:Attribute": [attribute]})
    for mapping in parameters.get("BlockDeviceMappings", []):
        disk = call["attached"].get(instance, {}).get(mapping["DeviceName"])
        if disk is None:
            continue
        arn = ec2_arn(disk["volume"], call["region"])
        yield Request(action="ec2:ModifyInstanceAttribute", resource=arn, context=_tags(disk["tags"]))
    yield from (_on(call, "ec2:ModifyInstanceAttribute", group) for group in parameters.get("Groups", []))


def _tagging(call: Call) -> Iterator[Request]:
    new = _new_tags(call["parameters"].get("Tags", []))
    yield from (_on(call, f"ec2:{call['operation']}", ec2_id, new) for ec2_id in call["parameters"]["Resources"])


def _queue(call: Call) -> Iterator[Request]:
    """A batch takes the permission of its single calls."""
    name = call["parameters"].get("QueueName") or call["parameters"]["QueueUrl"].rsplit("/", 1)[-1]
    yield Request(action=f"sqs:{call['operation'].removesuffix('Batch')}", resource=_arn("sqs", call["region"], name))


def _put_events(call: Call) -> Iterator[Request]:
    for entry in call["parameters"]["Entries"]:
        bus = _arn("events", call["region"], f"event-bus/{entry.get('EventBusName', 'default')}")
        yield Request(action="events:PutEvents", resource=bus, context={"events:source": [entry["Source"]]})


def _publish(call: Call) -> Iterator[Request]:
    yield Request(action="sns:Publish", resource=call["parameters"]["TopicArn"])


def _log(call: Call) -> Iterator[Request]:
    stream = "log-group:{logGroupName}:log-stream:{logStreamName}".format_map(call["parameters"])
    yield Request(action=f"logs:{call['operation']}", resource=_arn("logs", call["region"], stream))


def _get_parameter(call: Call) -> Iterator[Request]:
    """Where a customer's key encrypts the parameter, SSM decrypts it in the name of its caller."""
    name, region = call["parameters"]["Name"], call["region"]
    arn = _arn("ssm", region, f"parameter/{name.removeprefix('/')}")
    yield Request(action="ssm:GetParameter", resource=arn)
    if key := call["kms_keys"].get(name):
        context = {"kms:ViaService": [f"ssm.{region}.amazonaws.com"], "kms:EncryptionContext:PARAMETER_ARN": [arn]}
        yield Request(action="kms:Decrypt", resource=key, context=context)


RULES: Final[Mapping[str, Callable[[Call], Iterator[Request]]]] = {
    "ec2:CreateSnapshot": _create_snapshot,
    "ec2:CreateVolume": _create_volume,
    "ec2:AttachVolume": _attach_volume,
    "ec2:StartInstances": _start_instances,
    "ec2:ModifyInstanceAttribute": _modify_instance_attribute,
    "ec2:CreateTags": _tagging,
    "ec2:DeleteTags": _tagging,
    "sqs:DeleteMessage": _queue,
    "sqs:GetQueueAttributes": _queue,
    "sqs:ReceiveMessage": _queue,
    "sqs:SendMessage": _queue,
    "sqs:SendMessageBatch": _queue,
    "logs:CreateLogStream": _log,
    "logs:PutLogEvents": _log,
    "ssm:GetParameter": _get_parameter,
    "events:PutEvents": _put_events,
    "sns:Publish": _publish,
}
