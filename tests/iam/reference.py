"""What IAM knows of the actions that are judged: the types of resource, and which condition keys each evaluation has.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
Keys of requests that no policy here may lean on (sizes, zones, owners) are left out. ``make lint`` compares the table
with the copy of that reference which comes with parliament.
"""

from collections.abc import Mapping
from typing import Final

EVERYTHING: Final = "*"
"""The type of resource of an action that knows none."""

_RESOURCE_TAG: Final = frozenset({"aws:ResourceTag/*"})
_NEW_TAGS: Final = frozenset({"aws:RequestTag/*", "aws:TagKeys"})
_TAGGING: Final = _RESOURCE_TAG | _NEW_TAGS
_THROUGH: Final = frozenset({"kms:ViaService"})

Keys = Mapping[str, frozenset[str]]
"""Type of resource to the condition keys that an evaluation on it has."""

ACTIONS: Final[Mapping[str, Keys]] = {
    "ec2:DescribeInstances": {EVERYTHING: frozenset()},
    "ec2:DescribeLockedSnapshots": {EVERYTHING: frozenset()},
    "ec2:DescribeSnapshots": {EVERYTHING: frozenset()},
    "ec2:DescribeSnapshotTierStatus": {EVERYTHING: frozenset()},
    "ec2:DescribeVolumes": {EVERYTHING: frozenset()},
    "ec2:CreateSnapshot": {"volume": _RESOURCE_TAG, "snapshot": _NEW_TAGS | {"ec2:ParentVolume"}},
    "ec2:LockSnapshot": {"snapshot": _RESOURCE_TAG},
    "ec2:UnlockSnapshot": {"snapshot": _RESOURCE_TAG},
    "ec2:ModifySnapshotTier": {"snapshot": _RESOURCE_TAG},
    "ec2:RestoreSnapshotTier": {"snapshot": _RESOURCE_TAG},
    "ec2:DeleteSnapshot": {"snapshot": _RESOURCE_TAG | {"ec2:ParentVolume"}},
    "ec2:CreateVolume": {
        "volume": _NEW_TAGS | {"ec2:KmsKeyId", "ec2:ParentSnapshot"},
        "snapshot": _RESOURCE_TAG | {"ec2:ParentVolume"},
    },
    "ec2:DeleteVolume": {"volume": _RESOURCE_TAG | {"ec2:ParentSnapshot"}},
    "ec2:AttachVolume": {"instance": _RESOURCE_TAG, "volume": _RESOURCE_TAG},
    "ec2:DetachVolume": {"instance": _RESOURCE_TAG, "volume": _RESOURCE_TAG},
    "ec2:StartInstances": {"instance": _RESOURCE_TAG},
    "ec2:StopInstances": {"instance": _RESOURCE_TAG},
    # The reference gives ec2:Attribute to the instance only: conditions of a volume's evaluation have to do without.
    "ec2:ModifyInstanceAttribute": {"instance": _RESOURCE_TAG | {"ec2:Attribute"}, "volume": _RESOURCE_TAG},
    "ec2:CreateTags": dict.fromkeys(("instance", "volume", "snapshot", "image"), _TAGGING | {"ec2:CreateAction"}),
    "ec2:DeleteTags": dict.fromkeys(("instance", "volume", "snapshot", "image"), _TAGGING),
    "cloudtrail:DescribeTrails": {EVERYTHING: frozenset()},
    "events:PutEvents": {"event-bus": frozenset({"events:source"})},
    "sns:Publish": {"topic": frozenset()},
    "sqs:DeleteMessage": {"queue": frozenset()},
    "sqs:GetQueueAttributes": {"queue": frozenset()},
    "sqs:ReceiveMessage": {"queue": frozenset()},
    "sqs:SendMessage": {"queue": frozenset()},
    "logs:CreateLogStream": {"log-stream": frozenset()},
    "logs:PutLogEvents": {"log-stream": frozenset()},
    "ssm:GetParameter": {"parameter": _RESOURCE_TAG},
    "kms:CreateGrant": {"key": _THROUGH | {"kms:GrantIsForAWSResource"}},
    "kms:Decrypt": {"key": _THROUGH | {"kms:EncryptionContext:*"}},
    "kms:DescribeKey": {"key": _THROUGH},
    "kms:GenerateDataKeyWithoutPlaintext": {"key": _THROUGH},
    "kms:ReEncryptFrom": {"key": _THROUGH},
    "kms:ReEncryptTo": {"key": _THROUGH},
}

TYPES: Final[Mapping[str, str]] = {
    "sqs": "queue",
    "sns": "topic",
    "kms": "key",
    "ssm": "parameter",
    "logs": "log-stream",
}
"""Services whose ARNs do not begin with the type, or of which one type only is judged."""


def type_of(arn: str) -> str:
    """The type of resource that an ARN, or a pattern of ARNs, names. Raises ValueError for what is no ARN."""
    if arn == EVERYTHING:
        return EVERYTHING
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise ValueError(f"{arn} is no ARN.")
    return TYPES.get(parts[2]) or parts[5].split("/", 1)[0]


def knows(action: str, resource_type: str, key: str) -> bool:
    """Whether an evaluation of this action on this type of resource has this condition key; case does not matter.

    Raises KeyError for an action or a type that is not in the table.
    """
    known = ACTIONS[action][resource_type]
    return any(key.lower() == k.lower() or (k.endswith("*") and key.lower().startswith(k[:-1].lower())) for k in known)
