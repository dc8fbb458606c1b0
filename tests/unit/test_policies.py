"""Policies that deny, in the strict EC2 model; tests/processes asks the local AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.model.ec2_model import EC2Client
from tests.model.faults import Fault, at_call
from tests.model.policies import (
    Deny,
    When,
    asked_with,
    asked_without,
    born_with,
    born_without,
    tagged,
    untagged,
)
from tests.model.records import ROOT, Disk, Rules
from tests.model.sqs_model import SQSClient
from tests.model.world import World

DATA = Disk("/dev/sdf", 20, tags={"DoNotDelete": "yes"})
COST_CENTER = {"Key": "cost-center", "Value": "42"}
LICENSE = "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-1"
PLACE = {"AvailabilityZone": "us-east-1a", "Size": 1}


def with_tags(*tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": "volume", "Tags": list(tags)}]


def world_with(*denials: Deny, **rules: Any) -> tuple[World, EC2Client]:
    world = World(rules=Rules(**rules))
    world.denials = denials
    return world, EC2Client(world, "park")


def denied(ec2: EC2Client, operation: str, **params: Any) -> bool:
    """Of the call and of its dry run, which have to be answered alike."""
    codes = []
    for dry in ({"DryRun": True}, {}):
        try:
            getattr(ec2, operation)(**params, **dry)
            codes.append("DryRunOperation")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert set(codes) <= {"UnauthorizedOperation", "DryRunOperation"}
    assert len(set(codes)) == 1, codes
    return codes[0] == "UnauthorizedOperation"


def stopped(world: World) -> tuple[str, str, str]:
    """An instance, its root volume, and a data volume that is not to be deleted."""
    instance_id = world.launch(ROOT, DATA, state="stopped")
    instance = world.instances.get(instance_id)
    assert instance is not None
    root, data = (item.volume_id for item in instance.devices)
    return instance_id, root, data


class TestConditions:
    def test_a_tag_of_the_resource(self) -> None:
        world, ec2 = world_with(Deny(actions=("DeleteVolume",), when=tagged("DoNotDelete")))
        kept, free = world.add_volume(DATA), world.add_volume()
        assert denied(ec2, "delete_volume", VolumeId=kept)
        assert not denied(ec2, "delete_volume", VolumeId=free)

    @pytest.mark.parametrize(("like", "expected"), [("yes", True), ("y*", True), ("no", False)])
    def test_the_value_of_a_tag(self, like: str, expected: bool) -> None:
        world, ec2 = world_with(Deny(actions=("DeleteVolume",), when=tagged("DoNotDelete", like)))
        assert denied(ec2, "delete_volume", VolumeId=world.add_volume(DATA)) == expected

    def test_a_tag_that_the_resource_lacks(self) -> None:
        world, ec2 = world_with(Deny(actions=("DeleteVolume",), when=untagged("owner", "db")))
        volumes = [world.add_volume(Disk("", tags=tags)) for tags in ({}, {"owner": "web"}, {"owner": "db"})]
        assert [denied(ec2, "delete_volume", VolumeId=volume_id) for volume_id in volumes] == [True, True, False]

    @pytest.mark.parametrize(
        ("tags", "expected"),
        [([], True), ([{"Key": "Name", "Value": "db"}], True), ([COST_CENTER, {"Key": "Name", "Value": "db"}], False)],
    )
    def test_a_tag_that_a_new_volume_has_to_have(self, tags: list[dict[str, str]], expected: bool) -> None:
        _, ec2 = world_with(Deny(actions=("CreateVolume",), when=born_without("cost-center")))
        specified = {"TagSpecifications": with_tags(*tags)} if tags else {}
        assert denied(ec2, "create_volume", **PLACE, **specified) == expected

    @pytest.mark.parametrize(("encrypted", "expected"), [({}, True), ({"Encrypted": False}, True)])
    def test_a_parameter_that_has_to_be_true(self, encrypted: dict[str, bool], expected: bool) -> None:
        _, ec2 = world_with(Deny(actions=("CreateVolume",), when=asked_without("Encrypted", "true")))
        assert denied(ec2, "create_volume", **PLACE, **encrypted) == expected
        assert not denied(ec2, "create_volume", **PLACE, Encrypted=True)

    def test_a_parameter_that_must_not_be_false(self) -> None:
        _, ec2 = world_with(Deny(actions=("CreateVolume",), when=asked_with("Encrypted", "false")))
        assert denied(ec2, "create_volume", **PLACE, Encrypted=False)
        assert not denied(ec2, "create_volume", **PLACE)

    def test_writing_a_tag_at_a_creation_is_writing_a_tag(self) -> None:
        """As a policy does that reserves tag keys."""
        world, ec2 = world_with(Deny(actions=("CreateTags",), when=born_with("cost-center")))
        volume_id = world.add_volume()
        assert denied(ec2, "create_volume", **PLACE, TagSpecifications=with_tags(COST_CENTER))
        assert denied(ec2, "create_tags", Resources=[volume_id], Tags=[COST_CENTER])
        assert not denied(ec2, "create_tags", Resources=[volume_id], Tags=[{"Key": "Name", "Value": "db"}])
        assert not denied(ec2, "create_volume", **PLACE)


class TestResources:
    @pytest.mark.parametrize(
        ("operation", "action"),
        [
            ("attach_volume", "AttachVolume"),
            ("detach_volume", "DetachVolume"),
            ("modify_instance_attribute", "ModifyInstanceAttribute"),
            ("start_instances", "StartInstances"),
        ],
    )
    def test_an_action_is_denied_by_its_name(self, operation: str, action: str) -> None:
        world, ec2 = world_with(Deny(actions=(action,)))
        instance_id, root, _ = stopped(world)
        mapping = {"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": True}}
        params: dict[str, Any] = {
            "attach_volume": {"VolumeId": world.add_volume(), "InstanceId": instance_id, "Device": "/dev/sdp"},
            "detach_volume": {"VolumeId": root, "InstanceId": instance_id},
            "modify_instance_attribute": {"InstanceId": instance_id, "BlockDeviceMappings": [mapping]},
            "start_instances": {"InstanceIds": [instance_id]},
        }
        assert denied(ec2, operation, **params[operation])
        world.denials = ()
        assert not denied(ec2, operation, **params[operation])

    def test_either_resource_of_a_call_may_be_the_reason(self) -> None:
        world, ec2 = world_with(Deny(actions=("DetachVolume",), when=tagged("DoNotDelete")))
        instance_id, root, data = stopped(world)
        assert denied(ec2, "detach_volume", VolumeId=data, InstanceId=instance_id)
        assert not denied(ec2, "detach_volume", VolumeId=root, InstanceId=instance_id)

    def test_a_change_of_a_device_is_a_change_of_its_volume(self) -> None:
        world, ec2 = world_with(Deny(actions=("ModifyInstanceAttribute",), on="volume", when=tagged("DoNotDelete")))
        instance_id, *_ = stopped(world)

        def changing(device: str) -> dict[str, Any]:
            mapping = {"DeviceName": device, "Ebs": {"DeleteOnTermination": True}}
            return {"InstanceId": instance_id, "BlockDeviceMappings": [mapping]}

        assert denied(ec2, "modify_instance_attribute", **changing("/dev/sdf"))
        assert not denied(ec2, "modify_instance_attribute", **changing("/dev/xvda"))

    def test_the_type_of_the_resource_can_be_named(self) -> None:
        world, ec2 = world_with(Deny(actions=("DetachVolume",), on="instance", when=tagged("DoNotDelete")))
        instance_id, _, data = stopped(world)
        assert not denied(ec2, "detach_volume", VolumeId=data, InstanceId=instance_id)

    def test_a_start_is_a_use_of_the_licenses_of_the_instance(self) -> None:
        world, ec2 = world_with(Deny(actions=("StartInstances",), on="license-configuration"))
        facts = {"Licenses": [{"LicenseConfigurationArn": LICENSE}]}
        licensed, free = world.launch(state="stopped", facts=facts), world.launch(state="stopped")
        assert denied(ec2, "start_instances", InstanceIds=[licensed])
        assert not denied(ec2, "start_instances", InstanceIds=[free])

    def test_what_has_no_such_id_is_left_to_ec2(self) -> None:
        _, ec2 = world_with(Deny(actions=("CreateTags",), on="volume"))
        with pytest.raises(ClientError, match="InvalidID"):
            ec2.create_tags(Resources=["nonsense"], Tags=[COST_CENTER])

    def test_descriptions_can_be_denied(self) -> None:
        _, ec2 = world_with(Deny(actions=("DescribeLocked*",)))
        assert denied(ec2, "describe_locked_snapshots")


class TestReach:
    def test_a_denial_ends_when_it_is_to_end(self) -> None:
        world, ec2 = world_with()
        volume_id = world.add_volume()
        world.denials = (Deny(actions=("DeleteVolume",), until=world.clock.now + 600),)
        world.clock.advance(599)
        assert denied(ec2, "delete_volume", VolumeId=volume_id)
        world.clock.advance(1)
        assert not denied(ec2, "delete_volume", VolumeId=volume_id)

    def test_one_caller_can_be_meant(self) -> None:
        world, ec2 = world_with(Deny(actions=("CreateVolume",), callers=("start*",)))
        assert denied(EC2Client(world, "start 3"), "create_volume", **PLACE)
        assert not denied(ec2, "create_volume", **PLACE)

    def test_owners_are_not_bound(self) -> None:
        world, ec2 = world_with(Deny(actions=("*",)))
        assert denied(ec2, "create_volume", **PLACE)
        assert not denied(EC2Client(world, "person", owner=True), "create_volume", **PLACE)

    def test_other_services_are_not_meant(self) -> None:
        world, _ = world_with(Deny(actions=("*",)))
        SQSClient(world).send_message(QueueUrl="https://queue", MessageBody="{}")
        assert world.messages

    def test_a_clone_has_the_same_policies_until_it_gets_others(self) -> None:
        world, _ = world_with(Deny(actions=("CreateVolume",)))
        other = world.clone()
        world.denials = ()
        assert denied(EC2Client(other), "create_volume", **PLACE)
        assert not denied(EC2Client(world), "create_volume", **PLACE)


class TestAnswers:
    @pytest.mark.parametrize("checks", [False, True])
    @pytest.mark.parametrize("dry", [False, True])
    def test_a_denial_says_who_may_not_do_what_with_what(self, dry: bool, checks: bool) -> None:
        world, ec2 = world_with(Deny(actions=("DeleteVolume",)), dry_run_checks=checks)
        _, root, _ = stopped(world)
        with pytest.raises(ClientError) as refused:
            ec2.delete_volume(VolumeId=root, DryRun=dry)
        answer = refused.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert answer["Error"]["Code"] == "UnauthorizedOperation"
        assert answer["Error"]["Message"].startswith(
            "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/park is "
            "not authorized to perform: ec2:DeleteVolume on resource: "
            f"arn:aws:ec2:us-east-1:123456789012:volume/{root} "
            "with an explicit deny in a service control policy. Encoded authorization failure message: "
        )

    def test_what_is_to_be_made_has_no_id_yet(self) -> None:
        _, ec2 = world_with(Deny(actions=("CreateVolume",)))
        with pytest.raises(ClientError, match=r"on resource: arn:aws:ec2:us-east-1:123456789012:volume/\* with"):
            ec2.create_volume(**PLACE)

    def test_what_is_denied_has_no_effect(self) -> None:
        world, ec2 = world_with(Deny(actions=("*",)))
        volume_id = world.add_volume()
        assert denied(ec2, "delete_volume", VolumeId=volume_id)
        assert (world.next_due, world.outbox) == (None, [])

    def test_a_call_that_ec2_never_heard_of_is_not_denied(self) -> None:
        world, _ = world_with(Deny(actions=("*",)))
        with pytest.raises(ClientError, match="RequestLimitExceeded"):
            EC2Client(world, faults=at_call(1, Fault.THROTTLED)).create_volume(**PLACE)


@pytest.mark.parametrize("when", [None, tagged("a", "b"), asked_without("Encrypted", "true")])
def test_a_policy_survives_the_way_through_json(when: When | None) -> None:
    policy = Deny(actions=("A", "B"), when=when, on="volume", callers=("x*",), until=12.5)
    assert Deny.of_json(json.loads(json.dumps(policy.as_json()))) == policy
