"""The evaluator of IAM policies decides as IAM does, and refuses what it does not understand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.iam.evaluate import NotUnderstood, Request, deciding, statements, unsupported
from tests.iam.forbidden import FORBIDDEN, MARKED, OPTED_IN
from tests.iam.judge import Role, decidable, denials
from tests.iam.reference import ACTIONS, EVERYTHING, NEWER, knows, type_of
from tests.iam.requests import requests
from tests.support.terraform import ROOT

REGION = "ap-northeast-2"
HERE = {"aws:RequestedRegion": [REGION]}
VOLUMES = f"arn:aws:ec2:{REGION}:123456789012:volume/*"
VOLUME = f"arn:aws:ec2:{REGION}:123456789012:volume/vol-0123456789abcdef0"
INSTANCE = f"arn:aws:ec2:{REGION}:123456789012:instance/i-0123456789abcdef0"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/1234"


def _statement(**changes: Any) -> dict[str, Any]:
    statement = {"Sid": "One", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": VOLUMES}
    return {key: value for key, value in (statement | changes).items() if value is not None}


def _policy(*parts: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(parts)}


def _allows(
    operator: str, key: str, wanted: object, context: Mapping[str, Sequence[str]], action: str = "ec2:CreateTags"
) -> bool:
    policy = statements(_policy(_statement(Action=action, Condition={operator: {key: wanted}})))
    return bool(deciding(policy, Request(action=action, resource=VOLUME, context=context)))


# Effect, action, resource


def test_nothing_is_allowed_unless_something_allows_it() -> None:
    assert deciding(statements(_policy()), Request(action="ec2:CreateTags", resource=VOLUME)) == ()


def test_a_deny_outweighs_every_allow() -> None:
    policy = statements(_policy(_statement(), _statement(Sid="Two", Effect="Deny", Action="ec2:*", Resource="*")))
    assert deciding(policy, Request(action="ec2:CreateTags", resource=VOLUME)) == ()


def test_a_deny_that_does_not_apply_changes_nothing() -> None:
    policy = statements(_policy(_statement(), _statement(Effect="Deny", Action="iam:*", Resource="*")))
    assert [s.sid for s in deciding(policy, Request(action="ec2:CreateTags", resource=VOLUME))] == ["One"]


@pytest.mark.parametrize(("region", "allowed"), [(REGION, True), ("eu-central-1", True), ("us-east-1", False)])
def test_a_deny_of_every_other_region_leaves_these(region: str, allowed: bool) -> None:
    others = {"StringNotEquals": {"aws:RequestedRegion": [REGION, "eu-central-1"]}}
    role = _role(
        _statement(Action="ec2:StartInstances", Resource="arn:aws:ec2:*:123456789012:instance/*"),
        _statement(Sid="NowhereElse", Effect="Deny", Action="ec2:*", Resource="*", Condition=others),
    )
    call = _call("StartInstances", region=region, resources={"i-0123456789abcdef0": OPTED_IN}, attached={})
    assert (role.denied(call) == []) == allowed


@pytest.mark.parametrize(
    ("pattern", "action", "fits"),
    [
        ("ec2:CreateTags", "ec2:CreateTags", True),
        ("EC2:createtags", "ec2:CreateTags", True),
        ("ec2:Create*", "ec2:CreateTags", True),
        ("ec2:CreateTag?", "ec2:CreateTags", True),
        ("ec2:CreateTag", "ec2:CreateTags", False),
        ("ec2:CreateTag[s]", "ec2:CreateTags", False),
        ("*", "ec2:CreateTags", True),
    ],
)
def test_an_action_fits_its_pattern_whatever_the_case(pattern: str, action: str, fits: bool) -> None:
    policy = statements(_policy(_statement(Action=[pattern])))
    assert bool(deciding(policy, Request(action=action, resource=VOLUME))) == fits


@pytest.mark.parametrize(
    ("pattern", "fits"), [(VOLUMES, True), (VOLUMES.upper(), False), (INSTANCE, False), ("*", True), (VOLUME, True)]
)
def test_a_resource_fits_its_pattern_letter_by_letter(pattern: str, fits: bool) -> None:
    policy = statements(_policy(_statement(Resource=pattern)))
    assert bool(deciding(policy, Request(action="ec2:CreateTags", resource=VOLUME))) == fits


# Conditions


@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "met"),
    [
        ("StringEquals", ["a", "b"], ["b"], True),
        ("StringEquals", ["a", "b"], ["c"], False),
        ("StringEquals", "a*", ["ab"], False),
        ("StringEquals", "a", ["A"], False),
        ("StringEquals", "a", [], False),
        ("StringEqualsIfExists", "a", [], True),
        ("StringEqualsIfExists", "a", ["b"], False),
        ("StringEqualsIgnoreCase", "a", ["A"], True),
        ("StringLike", "park *", ["park i-1"], True),
        ("StringLike", "park *", ["park-2 i-1"], False),
        ("StringLike", "park *", ["park"], False),
        ("StringLike", "a[bc]", ["ab"], False),
        ("StringLikeIfExists", "park *", [], True),
        ("ArnLike", "arn:aws:ec2:r:*:snapshot/*", ["arn:aws:ec2:r::snapshot/snap-1"], True),
        ("ArnLike", "arn:aws:ec2:r:*:snapshot/*", ["arn:aws:ec2:r:1:snapshot/snap-1"], True),
        ("ArnLike", "arn:aws:ec2:r:*:snapshot/*", ["arn:aws:ec2:r:1:volume/vol-1"], False),
        ("ArnLike", "arn:aws:ec2:*:snapshot/*", ["arn:aws:ec2:r:1:snapshot/snap-1"], False),
        ("ArnLike", "arn:aws:ec2:*:snapshot/*", [], False),
        ("ArnNotLike", "arn:aws:ec2:r:*:snapshot/*", ["arn:aws:ec2:r:1:snapshot/snap-1"], False),
        ("ArnNotLike", "arn:aws:ec2:r:*:snapshot/*", ["arn:aws:ec2:r:1:volume/vol-1"], True),
        ("ArnNotLike", ["arn:aws:ec2:r:*:snapshot/*", "arn:*"], ["arn:aws:ec2:r:1:snapshot/snap-1"], False),
        ("ArnNotLike", "arn:aws:ec2:r:*:snapshot/*", [], True),
        ("StringNotEquals", ["a", "b"], ["b"], False),
        ("StringNotEquals", ["a", "b"], ["c"], True),
        ("StringNotEquals", "a", [], True),
        ("Null", "true", [], True),
        ("Null", "true", ["a"], False),
        ("Null", "false", ["a"], True),
        ("Null", False, [], False),
    ],
)
def test_a_condition_is_met_as_iam_says(operator: str, wanted: object, actual: list[str], met: bool) -> None:
    context = {"aws:ResourceTag/mark": actual} if actual else {}
    assert _allows(operator, "aws:ResourceTag/mark", wanted, context) == met


@pytest.mark.parametrize(("value", "met"), [("true", True), ("True", True), ("false", False)])
def test_a_bool_is_compared_as_one(value: str, met: bool) -> None:
    statement = _statement(
        Action="kms:CreateGrant", Resource=KEY, Condition={"Bool": {"kms:GrantIsForAWSResource": True}}
    )
    request = Request(action="kms:CreateGrant", resource=KEY, context={"kms:GrantIsForAWSResource": [value]})
    assert bool(deciding(statements(_policy(statement)), request)) == met


@pytest.mark.parametrize(
    ("operator", "actual", "met"),
    [
        ("ForAllValues:StringEquals", ["mark"], True),
        ("ForAllValues:StringEquals", ["mark", "place"], True),
        ("ForAllValues:StringEquals", ["mark", "Name"], False),
        ("ForAllValues:StringEquals", [], True),
        ("ForAnyValue:StringEquals", ["mark", "Name"], True),
        ("ForAnyValue:StringEquals", ["Name"], False),
        ("ForAnyValue:StringEquals", [], False),
    ],
)
def test_a_set_is_tested_all_or_any(operator: str, actual: list[str], met: bool) -> None:
    context = {"aws:TagKeys": actual} if actual else {}
    assert _allows(operator, "aws:TagKeys", ["mark", "place"], context) == met


def test_the_name_of_a_condition_key_is_not_case_sensitive() -> None:
    assert _allows("StringEquals", "AWS:resourcetag/Mark", "a", {"aws:ResourceTag/mark": ["a"]})


def test_every_request_has_somebody_who_asks() -> None:
    who = {"aws:PrincipalArn": ["arn:aws:iam::123456789012:role/park-volumes-park-eu-west-1"]}
    assert _allows("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/park-volumes-park-*", who)
    assert not _allows("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/park-volumes-park-*", who)


def test_all_conditions_have_to_be_met() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/a": "1", "aws:ResourceTag/b": "2"}}
    policy = statements(_policy(_statement(Condition=condition)))
    one = Request(action="ec2:CreateTags", resource=VOLUME, context={"aws:ResourceTag/a": ["1"]})
    both = Request(
        action="ec2:CreateTags", resource=VOLUME, context={"aws:ResourceTag/a": ["1"], "aws:ResourceTag/b": ["2"]}
    )
    assert (deciding(policy, one), len(deciding(policy, both))) == ((), 1)


# What is not understood


@pytest.mark.parametrize(
    "statement",
    [
        _statement(NotAction="iam:*", Action=None),
        _statement(NotResource="*", Resource=None),
        _statement(Principal="*"),
        _statement(Effect="Maybe"),
        _statement(Condition={"NumericLessThan": {"ec2:VolumeSize": "1"}}),
        _statement(Condition={"StringEqual": {"aws:ResourceTag/a": "1"}}),
        _statement(Condition={"ForEveryValue:StringEquals": {"aws:TagKeys": "a"}}),
        _statement(Condition={"StringEquals": {"aws:TagKeys": "a"}}),
        _statement(Condition={"ForAllValues:StringEquals": {"aws:ResourceTag/a": "1"}}),
        _statement(Condition={"StringEquals": {"aws:ResourceTag/a": "${aws:username}"}}),
    ],
)
def test_what_is_not_understood_is_an_error(statement: Mapping[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        statements(_policy(statement))


def test_a_policy_of_another_version_is_an_error() -> None:
    with pytest.raises(NotUnderstood):
        statements({"Version": "2008-10-17", "Statement": []})


def test_a_request_cannot_claim_a_key_that_its_evaluation_does_not_have() -> None:
    with pytest.raises(NotUnderstood, match="has no key ec2:Attribute"):
        Request(action="ec2:ModifyInstanceAttribute", resource=VOLUME, context={"ec2:Attribute": ["UserData"]})


def test_a_condition_on_a_key_that_its_action_does_not_have_is_found() -> None:
    condition = {"StringEqualsIfExists": {"aws:RequestTag/a": "1"}}
    policy = statements(_policy(_statement(Action="ec2:DeleteVolume", Condition=condition)))
    assert unsupported(policy) == ["One: ec2:DeleteVolume on volume has no key aws:RequestTag/a."]


def test_a_condition_on_an_action_that_is_not_in_the_table_is_found() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/a": "1"}}
    policy = statements(_policy(_statement(Action="ec2:ModifyVolume", Condition=condition)))
    assert unsupported(policy) == ["One: ec2:ModifyVolume on volume is not in the table of actions."]


@pytest.mark.parametrize(("key", "found"), [("aws:RequestedRegion", 0), ("aws:ResourceTag/a", 1)])
def test_actions_with_a_wildcard_have_the_keys_of_every_call_only(key: str, found: int) -> None:
    policy = statements(_policy(_statement(Action="ec2:*", Resource="*", Condition={"StringNotEquals": {key: "a"}})))
    assert len(unsupported(policy)) == found


def test_a_key_with_two_values_is_no_single_value() -> None:
    with pytest.raises(NotUnderstood, match="several values"):
        _allows("StringEquals", "aws:ResourceTag/a", "1", {"aws:ResourceTag/a": ["1"], "aws:ResourceTag/A": ["2"]})


# Calls


def _call(operation: str, service: str = "ec2", **facts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"parameters": {}, "resources": {}, "attached": {}, "kms_keys": {}}
    return {"service": service, "operation": operation, "region": REGION} | empty | facts


def test_an_operation_that_nobody_has_described_is_an_error() -> None:
    with pytest.raises(LookupError, match="ec2:ModifyVolume"):
        requests(_call("ModifyVolume"))


def test_a_snapshot_takes_the_volume_the_new_snapshot_and_its_tags() -> None:
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "1"}]}]
    parameters = {"VolumeId": "vol-0123456789abcdef0", "TagSpecifications": tags}
    found = requests(_call("CreateSnapshot", parameters=parameters, resources={"vol-0123456789abcdef0": {"b": "2"}}))
    snapshots = f"arn:aws:ec2:{REGION}::snapshot/*"
    assert [(r.action, r.resource) for r in found] == [
        ("ec2:CreateSnapshot", VOLUME),
        ("ec2:CreateSnapshot", snapshots),
        ("ec2:CreateTags", snapshots),
    ]
    assert found[0].context == {"aws:ResourceTag/b": ["2"]} | HERE
    assert found[2].context == HERE | {
        "aws:RequestTag/a": ["1"],
        "aws:TagKeys": ["a"],
        "ec2:CreateAction": ["CreateSnapshot"],
    }


def test_starting_an_instance_takes_a_grant_on_every_customer_key_of_its_volumes() -> None:
    disks = {"/dev/sda1": {"volume": "vol-1", "tags": {}, "kms_key": KEY}, "/dev/sdf": {"kms_key": None}}
    instance = "i-0123456789abcdef0"
    found = requests(_call("StartInstances", resources={instance: OPTED_IN}, attached={instance: disks}))
    assert [(r.action, r.resource) for r in found] == [("ec2:StartInstances", INSTANCE), ("kms:CreateGrant", KEY)]
    assert found[1].context["kms:GrantIsForAWSResource"] == ["true"]


def test_starting_an_instance_takes_its_license_configurations_too() -> None:
    instance, arn = "i-0123456789abcdef0", f"arn:aws:license-manager:{REGION}:123456789012:license-configuration:lic-1"
    call = _call("StartInstances", resources={instance: OPTED_IN}, licenses={instance: [arn]})
    assert [(r.action, r.resource) for r in requests(call)] == [("ec2:StartInstances", r) for r in (INSTANCE, arn)]
    of_instances = _statement(Action="ec2:StartInstances", Resource=INSTANCE)
    of_licenses = _statement(Action="ec2:StartInstances", Resource=arn.replace("lic-1", "*"))
    assert [r.resource for r in _role(of_instances).denied(call)] == [arn]
    assert _role(of_instances, of_licenses).denied(call) == []


DRY: dict[str, Any] = {"DryRun": True}
OF_VOLUME: dict[str, Any] = {"resources": {"vol-0123456789abcdef0": MARKED, "i-0123456789abcdef0": OPTED_IN}}
DRY_CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("DetachVolume", {"VolumeId": "vol-0123456789abcdef0"}, OF_VOLUME),
    ("DeleteVolume", {"VolumeId": "vol-0123456789abcdef0"}, {"resources": {"vol-0123456789abcdef0": MARKED}}),
    ("AttachVolume", {"VolumeId": "vol-0123456789abcdef0"}, OF_VOLUME),
    ("StartInstances", {}, {"resources": {"i-0123456789abcdef0": OPTED_IN}}),
    ("CreateVolume", {"SnapshotId": "snap-1"}, {"resources": {"snap-1": {}}}),
    (
        "ModifyInstanceAttribute",
        {"InstanceId": "i-0123456789abcdef0", "BlockDeviceMappings": [{"DeviceName": "/dev/xvda"}]},
        {"resources": {"i-0123456789abcdef0": OPTED_IN}},
    ),
]


@pytest.mark.parametrize(("operation", "parameters", "facts"), DRY_CALLS, ids=[name for name, *_ in DRY_CALLS])
def test_a_dry_run_takes_what_the_call_takes(operation: str, parameters: dict[str, Any], facts: dict[str, Any]) -> None:
    call, dry = _call(operation, parameters=parameters, **facts), _call(operation, parameters=parameters | DRY, **facts)
    assert requests(dry) == requests(call) != []
    assert len(_role().denied(dry)) == len(requests(dry))
    assert _role(_statement(Action=f"ec2:{operation}", Resource="*")).denied(dry) == []


def test_a_dry_run_uses_a_grant() -> None:
    role = _role(_statement(Action="ec2:DeleteVolume", Resource="*"))
    call = _call("DeleteVolume", parameters=DRY, resources={"vol-0123456789abcdef0": {}}, error="DryRunOperation")
    assert decidable(call)
    assert role.unused([call]) == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("CreateVolume", {"SnapshotId": "snap-0123456789abcdef0"}),
        ("AttachVolume", {"VolumeId": "vol-0123456789abcdef0"}),
        ("StartInstances", {}),
    ],
)
def test_a_dry_run_asks_no_key(operation: str, parameters: dict[str, Any]) -> None:
    facts: dict[str, Any] = {
        "resources": {"i-0123456789abcdef0": {}, "snap-0123456789abcdef0": {}, "vol-0123456789abcdef0": {}},
        "attached": {"i-0123456789abcdef0": {"/dev/sda1": {"kms_key": KEY}}},
        "kms_keys": dict.fromkeys(parameters.values(), KEY),
    }
    named = {"CreateVolume": "snap", "AttachVolume": "vol", "StartInstances": "i-"}[operation]
    facts["resources"] = {ec2_id: tags for ec2_id, tags in facts["resources"].items() if ec2_id.startswith(named)}

    def keys(more: dict[str, Any]) -> set[str]:
        call = _call(operation, parameters=parameters | more, **facts)
        return {r.resource for r in requests(call) if r.action.startswith("kms:")}

    assert (keys({}), keys(DRY)) == ({KEY}, set())


def test_a_device_that_is_not_there_yet_takes_no_volume() -> None:
    """As where a change is tried dry while the instance is parked."""
    operation, parameters, facts = DRY_CALLS[-1]
    assert [r.resource for r in requests(_call(operation, parameters=parameters, **facts))] == [INSTANCE]


def test_where_a_volume_or_snapshot_comes_from_counts_where_the_action_knows_it() -> None:
    snapshot, volume = "snap-0123456789abcdef0", "vol-0123456789abcdef0"
    facts = {snapshot: {"ec2:Owner": "123456789012", "ec2:ParentVolume": VOLUME}, volume: {"ec2:ParentSnapshot": "s"}}
    condition = {"StringEquals": {"ec2:Owner": "123456789012"}}
    role = _role(_statement(Action="ec2:DeleteSnapshot", Resource="*", Condition=condition))
    assert role.denied(_call("DeleteSnapshot", resources={snapshot: {}}, facts=facts)) == []
    assert len(role.denied(_call("DeleteSnapshot", resources={snapshot: {}}))) == 1
    [deleted] = requests(_call("DeleteVolume", resources={volume: {}}, facts=facts))
    assert deleted.context == {"ec2:ParentSnapshot": ["s"]} | HERE
    [tagged] = requests(_call("CreateTags", parameters={"Resources": [volume]}, resources={volume: {}}, facts=facts))
    assert tagged.context == HERE


def test_looking_at_modifications_takes_its_own_permission() -> None:
    call = _call("DescribeVolumesModifications")
    assert [(r.action, r.resource) for r in requests(call)] == [("ec2:DescribeVolumesModifications", "*")]


def test_new_security_groups_are_judged_too() -> None:
    parameters = {"InstanceId": "i-0123456789abcdef0", "Groups": ["sg-1"]}
    call = _call("ModifyInstanceAttribute", parameters=parameters, resources={"i-0123456789abcdef0": {}, "sg-1": {}})
    assert [r.resource.split(":")[-1] for r in requests(call)] == [
        "instance/i-0123456789abcdef0",
        "security-group/sg-1",
    ]


def test_changing_a_disk_of_an_instance_takes_its_volume_too() -> None:
    instance = "i-0123456789abcdef0"
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": True}}]
    disks = {"/dev/sda1": {"volume": "vol-0123456789abcdef0", "tags": MARKED, "kms_key": None}}
    parameters = {"InstanceId": instance, "BlockDeviceMappings": mapping}
    call = _call(
        "ModifyInstanceAttribute", parameters=parameters, resources={instance: OPTED_IN}, attached={instance: disks}
    )
    assert [r.resource for r in requests(call)] == [INSTANCE, VOLUME]


def test_a_parameter_under_a_customer_key_takes_the_key() -> None:
    call = _call("GetParameter", "ssm", parameters={"Name": "/a/b"}, kms_keys={"/a/b": KEY})
    arn = f"arn:aws:ssm:{REGION}:123456789012:parameter/a/b"
    assert [(r.action, r.resource) for r in requests(call)] == [("ssm:GetParameter", arn), ("kms:Decrypt", KEY)]


# Roles


def _role(*parts: Mapping[str, Any], boundary: Mapping[str, Any] | None = None) -> Role:
    return Role(arn="arn", policy=statements(_policy(*parts)), boundary=statements(boundary) if boundary else None)


def test_what_the_boundary_does_not_allow_is_denied() -> None:
    call = _call("DeleteVolume", resources={"vol-0123456789abcdef0": {}})
    grant = _statement(Action="ec2:DeleteVolume")
    within = _policy(_statement(Action="ec2:*", Resource="*"))
    without = _policy(*within["Statement"], _statement(Effect="Deny", Action="ec2:DeleteVolume", Resource="*"))
    assert _role(grant).denied(call) == []
    assert _role(grant, boundary=within).denied(call) == []
    assert len(_role(grant, boundary=without).denied(call)) == 1


def test_a_grant_that_no_call_needs_is_found() -> None:
    keys = {"ForAllValues:StringEquals": {"aws:TagKeys": ["mark", "place"]}}
    role = _role(_statement(Action=["ec2:CreateTags", "ec2:DeleteTags"], Condition=keys))
    parameters = {"Resources": ["vol-0123456789abcdef0"], "Tags": [{"Key": "mark", "Value": "x"}]}
    call = _call("CreateTags", parameters=parameters, resources={"vol-0123456789abcdef0": {}})
    assert role.unused([call]) == ["One: ec2:DeleteTags", "One: tag place"]


def test_a_call_that_is_denied_uses_nothing() -> None:
    role = _role(_statement(Action="ec2:DeleteVolume", Resource=INSTANCE))
    call = _call("DeleteVolume", resources={"vol-0123456789abcdef0": {}})
    assert role.unused([call]) == ["One: ec2:DeleteVolume"]


class OneRole:
    """IAM with the inline policy of one role, as much of it as is asked."""

    def __init__(self, *parts: Mapping[str, Any]) -> None:
        self.policy = _policy(*parts)

    def get_role(self, **_: str) -> dict[str, Any]:
        return {"Role": {}}

    def list_role_policies(self, **_: str) -> dict[str, Any]:
        return {"PolicyNames": ["inline"]}

    def list_attached_role_policies(self, **_: str) -> dict[str, Any]:
        return {"AttachedPolicies": []}

    def get_role_policy(self, **_: str) -> dict[str, Any]:
        return {"PolicyDocument": self.policy}


@pytest.mark.parametrize(("action", "denied"), [("ec2:DeleteVolume", 0), ("ec2:DeleteSnapshot", 1)])
def test_what_a_function_did_is_judged_by_its_role_and_what_others_did_is_not(action: str, denied: int) -> None:
    of_park, of_person = "arn:aws:iam::123456789012:role/park-volumes-park-eu-west-1", "arn:aws:iam::1:role/admin"
    call = _call("DeleteVolume", resources={"vol-0123456789abcdef0": {}}, error=None)
    calls = [call | {"role": role} for role in (of_park, of_person, None)]
    found = denials(OneRole(_statement(Action=action)), calls)  # type: ignore[arg-type]  # a stand-in
    assert {arn: len(lines) for arn, lines in found.items()} == {of_park: denied}


def _unmarking(tags: Mapping[str, str], error: str | None = None) -> dict[str, Any]:
    volume = "vol-0123456789abcdef0"
    parameters = {"Resources": [volume], "Tags": [{"Key": "park-volumes:mark"}]}
    return _call("DeleteTags", parameters=parameters, resources={volume: tags}, error=error)


def _flagging(tags: Mapping[str, str], error: str | None = None) -> dict[str, Any]:
    instance, device = "i-0123456789abcdef0", "/dev/xvda"
    parameters = {"InstanceId": instance, "BlockDeviceMappings": [{"DeviceName": device}]}
    disks = {device: {"volume": "vol-0123456789abcdef0", "tags": tags, "kms_key": None}}
    facts: dict[str, Any] = {"resources": {instance: OPTED_IN}, "attached": {instance: disks}}
    return _call("ModifyInstanceAttribute", parameters=parameters, error=error, **facts)


@pytest.mark.parametrize("settling", [_unmarking, _flagging])
def test_of_what_another_pass_has_settled_a_second_one_is_not_judged(settling: Callable[..., dict[str, Any]]) -> None:
    assert decidable(settling(MARKED))
    assert not decidable(settling({"Name": "root"}))
    assert not decidable(settling(MARKED, error="InvalidVolume.NotFound"))


# Tables


def test_every_forbidden_call_would_get_through_with_a_role_that_may_do_everything() -> None:
    everything = _role(_statement(Action="*", Resource="*"))
    assert len(FORBIDDEN) >= 40
    assert len({f.words for f in FORBIDDEN}) == len(FORBIDDEN)
    assert all(f.requests and all(everything.allowing(r) for r in f.requests) for f in FORBIDDEN)


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("*", "*"),
        (VOLUME, "volume"),
        (f"arn:aws:ec2:{REGION}::snapshot/*", "snapshot"),
        (KEY, "key"),
        (f"arn:aws:license-manager:{REGION}:123456789012:license-configuration:lic-1", "license-configuration"),
        (f"arn:aws:sqs:{REGION}:123456789012:park", "queue"),
        (f"arn:aws:ssm:{REGION}:123456789012:parameter/a", "parameter"),
    ],
)
def test_the_type_of_a_resource_is_in_its_arn(arn: str, kind: str) -> None:
    assert type_of(arn) == kind


def test_what_is_no_arn_has_no_type() -> None:
    with pytest.raises(ValueError, match="no ARN"):
        type_of("volume")


def test_a_key_is_known_by_its_pattern() -> None:
    assert knows("ec2:DeleteVolume", "volume", "aws:ResourceTag/park-volumes:mark")
    assert not knows("ec2:DeleteVolume", "volume", "aws:RequestTag/park-volumes:mark")


def test_the_table_says_nothing_that_the_published_reference_does_not_say() -> None:
    published = _published()
    for action, types in ACTIONS.items():
        for kind, keys in types.items():
            said = published[action.lower()]
            assert kind == EVERYTHING or kind in said, f"{action} on {kind}"
            known = said.get(kind, frozenset()) | said[""]
            assert {key for key in keys if not _in(key, known)} == set(), f"{action} on {kind}"


def test_the_table_has_every_tag_key_that_the_published_reference_has() -> None:
    published = _published()
    for action, types in ACTIONS.items():
        for kind in types:
            said = {k for k in published[action.lower()].get(kind, ()) if k.startswith("aws:") and "TagKey" in k}
            assert {key for key in said if not knows(action, kind, key)} == set(), f"{action} on {kind}"


def test_the_table_has_every_type_of_resource_that_the_published_reference_has() -> None:
    """A policy that leaves one out is a start that is denied for reasons nobody sees."""
    published = _published()
    for action, types in ACTIONS.items():
        assert types.keys() - {EVERYTHING} == published[action.lower()].keys() - {""}, action


def _in(key: str, known: frozenset[str]) -> bool:
    """The reference writes aws:ResourceTag/${TagKey} where the table writes aws:ResourceTag/*."""
    return re.sub(r"\*$", "", key) in {re.sub(r"\$\{\w+\}$", "", k) for k in known}


def _published() -> dict[str, dict[str, frozenset[str]]]:
    """Action to type of resource to condition keys, from the copy of AWS's reference that comes with parliament."""
    (file,) = (ROOT / ".venv-checks").glob("lib/python*/site-packages/parliament/iam_definition.json")
    return {action.lower(): {"": frozenset()} for action in NEWER} | {
        f"{service['prefix']}:{privilege['privilege']}".lower(): {
            "": frozenset(),
            **{t["resource_type"].rstrip("*"): frozenset(t["condition_keys"]) for t in privilege["resource_types"]},
        }
        for service in json.loads(file.read_text(encoding="utf-8"))
        for privilege in service["privileges"]
    }
