"""What IAM knows of the actions that are judged: the types of resource, and which condition keys each evaluation has.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
Keys of requests that no policy here may lean on (sizes, zones) are left out. ``make lint`` compares the table
with the copy of that reference which comes with parliament.
"""

import re
from collections.abc import Mapping
from typing import Final

EVERYTHING: Final = "*"
"""The type of resource of an action that knows none."""

_RESOURCE_TAG: Final = frozenset({"aws:ResourceTag/*"})
_NEW_TAGS: Final = frozenset({"aws:RequestTag/*", "aws:TagKeys"})
_TAGGING: Final = _RESOURCE_TAG | _NEW_TAGS
_SNAPSHOT: Final = _RESOURCE_TAG | {"ec2:Owner", "ec2:ParentVolume"}
_VOLUME: Final = _RESOURCE_TAG | {"ec2:ParentSnapshot"}
_THROUGH: Final = frozenset({"kms:ViaService"})

REQUESTED_REGION: Final = "aws:RequestedRegion"
GLOBAL: Final = frozenset({"aws:PrincipalArn", REQUESTED_REGION})
"""Keys that every evaluation has; of an assumed role the first is the ARN of the role, not of the session."""

Keys = Mapping[str, frozenset[str]]
"""Type of resource to the condition keys that an evaluation on it has."""

_TAGGABLE_IN_WORDS: Final = """
    capacity-reservation capacity-reservation-fleet carrier-gateway client-vpn-endpoint coip-pool customer-gateway
    declarative-policies-report dedicated-host dhcp-options egress-only-internet-gateway elastic-gpu elastic-ip
    export-image-task export-instance-task fleet fpga-image host-reservation image import-image-task
    import-snapshot-task instance instance-connect-endpoint instance-event-window internet-gateway ipam
    ipam-external-resource-verification-token ipam-pool ipam-resource-discovery ipam-resource-discovery-association
    ipam-scope ipv4pool-ec2 ipv6pool-ec2 key-pair launch-template local-gateway local-gateway-route-table
    local-gateway-route-table-virtual-interface-group-association local-gateway-route-table-vpc-association
    local-gateway-virtual-interface local-gateway-virtual-interface-group natgateway network-acl
    network-insights-access-scope network-insights-access-scope-analysis network-insights-analysis
    network-insights-path network-interface placement-group prefix-list replace-root-volume-task reserved-instances
    route-table security-group security-group-rule snapshot spot-fleet-request spot-instances-request subnet
    subnet-cidr-reservation traffic-mirror-filter traffic-mirror-filter-rule traffic-mirror-session
    traffic-mirror-target transit-gateway transit-gateway-attachment transit-gateway-connect-peer
    transit-gateway-multicast-domain transit-gateway-policy-table transit-gateway-route-table
    transit-gateway-route-table-announcement verified-access-endpoint verified-access-endpoint-target
    verified-access-group verified-access-instance verified-access-policy verified-access-trust-provider volume vpc
    vpc-block-public-access-exclusion vpc-endpoint vpc-endpoint-connection vpc-endpoint-service
    vpc-endpoint-service-permission vpc-flow-log vpc-peering-connection vpn-connection vpn-gateway
"""
TAGGABLE: Final = re.findall(r"\S+", _TAGGABLE_IN_WORDS)
"""Every type of resource of EC2 that CreateTags and DeleteTags know."""

ACTIONS: Final[Mapping[str, Keys]] = {
    "ec2:DescribeInstances": {EVERYTHING: frozenset()},
    "ec2:DescribeLockedSnapshots": {EVERYTHING: frozenset()},
    "ec2:DescribeRegions": {EVERYTHING: frozenset()},
    "ec2:DescribeSnapshotAttribute": {"snapshot": _SNAPSHOT},
    "ec2:DescribeSnapshots": {EVERYTHING: frozenset()},
    "ec2:DescribeSnapshotTierStatus": {EVERYTHING: frozenset()},
    "ec2:DescribeVolumes": {EVERYTHING: frozenset()},
    "ec2:DescribeVolumeStatus": {EVERYTHING: frozenset()},
    "ec2:DescribeVolumesModifications": {EVERYTHING: frozenset()},
    "ec2:ListVolumesInRecycleBin": {EVERYTHING: frozenset()},
    "ec2:CreateSnapshot": {"volume": _RESOURCE_TAG, "snapshot": _NEW_TAGS | {"ec2:ParentVolume"}},
    "ec2:LockSnapshot": {"snapshot": _SNAPSHOT},
    "ec2:UnlockSnapshot": {"snapshot": _SNAPSHOT},
    "ec2:ModifySnapshotTier": {"snapshot": _SNAPSHOT},
    "ec2:RestoreSnapshotTier": {"snapshot": _SNAPSHOT},
    "ec2:DeleteSnapshot": {"snapshot": _SNAPSHOT},
    "ec2:CreateVolume": {"volume": _NEW_TAGS | {"ec2:KmsKeyId", "ec2:ParentSnapshot"}, "snapshot": _SNAPSHOT},
    "ec2:DeleteVolume": {"volume": _VOLUME},
    "ec2:AttachVolume": {"instance": _RESOURCE_TAG, "volume": _VOLUME},
    "ec2:DetachVolume": {"instance": _RESOURCE_TAG, "volume": _VOLUME},
    # Where License Manager counts the instance; no condition key is known there.
    "ec2:StartInstances": {"instance": _RESOURCE_TAG, "license-configuration": frozenset()},
    "ec2:StopInstances": {"instance": _RESOURCE_TAG},
    # The reference gives ec2:Attribute to the instance only: conditions of a volume's evaluation have to do without.
    "ec2:ModifyInstanceAttribute": {
        "instance": _RESOURCE_TAG | {"ec2:Attribute"},
        "security-group": _RESOURCE_TAG,
        "volume": _VOLUME,
    },
    "ec2:CreateTags": dict.fromkeys(TAGGABLE, _TAGGING | {"ec2:CreateAction"}),
    "ec2:DeleteTags": dict.fromkeys(TAGGABLE, _TAGGING),
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

NEWER: Final = frozenset({"ec2:ListVolumesInRecycleBin"})
"""Actions that are newer than the copy of the reference that comes with parliament."""

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
    return TYPES.get(parts[2]) or re.split("[/:]", parts[5])[0]


def knows(action: str, resource_type: str, key: str) -> bool:
    """Whether an evaluation of this action on this type of resource has this condition key; case does not matter.

    Actions with a wildcard have in common what every evaluation has. Raises KeyError for an action or a type that is
    not in the table.
    """
    known = GLOBAL if "*" in action else ACTIONS[action][resource_type] | GLOBAL
    return any(key.lower() == k.lower() or (k.endswith("*") and key.lower().startswith(k[:-1].lower())) for k in known)
