"""The strict EC2 model itself: what the table of EC2's rules does not say."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    OperationNotPageableError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from tests.model.client import OPERATIONS
from tests.model.ec2_model import EC2Client
from tests.model.faults import Call, Fault, FaultPlan, Lag, ProcessDied, Throttle, at_call, at_operation, first_of
from tests.model.judge import copies, differences, fittings, latest, lost, problems
from tests.model.records import ROOT, AttachTimes, Content, Disk, Durations, Rules
from tests.model.sqs_model import SQSClient
from tests.model.table import SMALL, make_filter
from tests.model.validation import Refused, answer_check, parameter_check, service_model
from tests.model.world import World

DATA = Disk("/dev/sdf", 20, iops=4000, throughput=250, tags={"team": "db"})
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/park"
MARK = {"Key": "park-volumes:mark", "Value": "park-volumes i-1 now"}


class Checked(EC2Client):
    """Checks every answer against botocore's model of the service."""

    def _call(self, op: Any, /, **params: Any) -> dict[str, Any]:
        answer = super()._call(op, **params)
        body = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
        assert answer_check("ec2", op.name)(body), f"{op.name} answered with {body}"
        return answer


def stop(world: World, instance_id: str) -> None:
    EC2Client(world, "person", owner=True).stop_instances(InstanceIds=[instance_id])
    world.clock.advance(world.durations.stop)


def volumes_of(world: World, instance_id: str) -> dict[str, str]:
    instance = world.instances.get(instance_id)
    assert instance is not None
    return {item.device: item.volume_id for item in instance.devices}


def snapshot(world: World, volume_id: str, ec2: EC2Client | None = None) -> str:
    made = (ec2 or EC2Client(world)).create_snapshot(VolumeId=volume_id)
    world.clock.advance(world.durations.snapshot)
    return str(made["SnapshotId"])


def detach_and_delete(world: World, volume_id: str) -> None:
    ec2 = EC2Client(world)
    ec2.detach_volume(VolumeId=volume_id)
    world.clock.advance(world.durations.detach)
    ec2.delete_volume(VolumeId=volume_id)
    world.clock.advance(world.durations.delete)


def restore(world: World, instance_id: str, device: str, snapshot_id: str) -> str:
    ec2 = EC2Client(world)
    made = ec2.create_volume(AvailabilityZone=world.rules.zones[0], SnapshotId=snapshot_id, VolumeType="gp3")
    world.clock.advance(world.durations.create)
    ec2.attach_volume(VolumeId=made["VolumeId"], InstanceId=instance_id, Device=device)
    world.clock.advance(world.durations.attach)
    return str(made["VolumeId"])


def park_and_start(world: World, instance_id: str, ec2: EC2Client) -> None:
    """Everything the project ever calls, once."""
    ec2.stop_instances(InstanceIds=[instance_id])
    world.clock.advance(100)
    ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["stopped"]}])
    places = volumes_of(world, instance_id)
    mark = [{"ResourceType": "snapshot", "Tags": [MARK]}]
    made = {
        device: str(ec2.create_snapshot(VolumeId=volume_id, TagSpecifications=mark)["SnapshotId"])
        for device, volume_id in places.items()
    }
    ec2.describe_snapshots(OwnerIds=["self"])
    world.clock.advance(100)
    ec2.describe_snapshots(SnapshotIds=list(made.values()))
    for snapshot_id in made.values():
        ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=36500)
    ec2.describe_locked_snapshots()
    for snapshot_id in made.values():
        ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    world.clock.advance(100)
    for snapshot_id in made.values():
        ec2.restore_snapshot_tier(SnapshotId=snapshot_id, PermanentRestore=True)
    world.clock.advance(300)
    ec2.describe_snapshot_tier_status()
    ec2.create_tags(Resources=list(places.values()), Tags=[MARK])
    for volume_id in places.values():
        ec2.detach_volume(VolumeId=volume_id, InstanceId=instance_id)
    ec2.describe_volumes()
    world.clock.advance(100)
    for volume_id in places.values():
        ec2.delete_volume(VolumeId=volume_id)
    world.clock.advance(100)
    zone = world.rules.zones[0]
    new = {
        device: str(ec2.create_volume(AvailabilityZone=zone, SnapshotId=item, ClientToken=item)["VolumeId"])
        for device, item in made.items()
    }
    ec2.describe_volumes(VolumeIds=list(new.values()))
    ec2.describe_volume_status(VolumeIds=list(new.values()))
    world.clock.advance(100)
    for device, volume_id in new.items():
        ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
    world.clock.advance(100)
    ec2.modify_volume(VolumeId=new["/dev/xvda"], Size=9)
    world.clock.advance(100)
    ec2.describe_volumes_modifications(VolumeIds=[new["/dev/xvda"]])
    mappings = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": True}} for device in new]
    ec2.modify_instance_attribute(InstanceId=instance_id, BlockDeviceMappings=mappings)
    ec2.start_instances(InstanceIds=[instance_id])
    ec2.delete_tags(Resources=list(new.values()), Tags=[MARK])
    world.clock.advance(100)
    for snapshot_id in made.values():
        shared = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission"}
        ec2.modify_snapshot_attribute(**shared, OperationType="add", UserIds=["111122223333"])
        ec2.describe_snapshot_attribute(**shared)
        mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
        image = ec2.register_image(Name="image", BlockDeviceMappings=[mapping])
        ec2.deregister_image(ImageId=image["ImageId"])
        ec2.unlock_snapshot(SnapshotId=snapshot_id)
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    ec2.describe_instances(InstanceIds=[instance_id])
    ec2.terminate_instances(InstanceIds=[instance_id])


class TestParameters:
    def test_an_unknown_name_is_refused_in_botocores_words(self) -> None:
        with pytest.raises(ParamValidationError, match='Unknown parameter in input: "Volumes"'):
            EC2Client(World()).describe_volumes(Volumes=["vol-1"])

    def test_an_unknown_name_deep_inside_is_refused(self) -> None:
        with pytest.raises(ParamValidationError, match=r'Unknown parameter in Filters\[0\]: "Value"'):
            EC2Client(World()).describe_volumes(Filters=[{"Name": "status", "Value": "available"}])

    def test_a_missing_name_is_refused(self) -> None:
        with pytest.raises(ParamValidationError, match='Missing required parameter in input: "VolumeId"'):
            EC2Client(World()).delete_volume()

    def test_a_wrong_type_deep_inside_is_refused(self) -> None:
        tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": 1}]}]
        with pytest.raises(ParamValidationError, match=r"TagSpecifications\[0\].Tags\[0\].Value"):
            EC2Client(World()).create_snapshot(VolumeId="vol-1", TagSpecifications=tags)

    def test_a_value_that_only_the_server_would_refuse_is_refused_as_by_the_server(self) -> None:
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            EC2Client(World()).create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp4")

    def test_a_refused_parameter_is_no_call(self) -> None:
        world = World()
        with pytest.raises(ParamValidationError):
            EC2Client(world).delete_volume()
        assert world.calls == 0

    def test_an_operation_that_the_model_does_not_have_is_an_error(self) -> None:
        with pytest.raises(AttributeError, match="no operation copy_snapshot"):
            _ = EC2Client(World()).copy_snapshot

    @given(
        st.sampled_from(sorted(op for op in OPERATIONS if op[0] == "ec2")),
        st.recursive(
            st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "snapshot"]) | st.just(1.5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(["Key", "Value", "Name", "Values", "Ebs", "Tags", "X"]), inner, max_size=2
                )
            ),
            max_leaves=4,
        ),
        st.data(),
    )
    def test_the_quick_check_lets_nothing_through_that_botocore_refuses(
        self, operation: tuple[str, str], value: Any, data: st.DataObject
    ) -> None:
        name = OPERATIONS[operation].name
        shape = service_model("ec2").operation_model(name).input_shape
        assert shape is not None
        names = data.draw(st.sets(st.sampled_from([*shape.members, "Nonsense"]), max_size=3))
        params = dict.fromkeys(names | set(shape.required_members), value)
        botocore = _verdict(lambda given: validate_parameters(given, shape), params)
        assert _verdict(parameter_check("ec2", name), params) == botocore

    def test_every_answer_has_the_shape_that_botocore_knows(self) -> None:
        world = World(rules=Rules(volume_bin=86_400))
        facts = {"ProductCodes": [{"ProductCodeId": "a", "ProductCodeType": "marketplace"}]}
        instance_id = world.launch(ROOT, DATA._replace(key="arn:aws:kms:us-east-1:1:key/k"), name="db", facts=facts)
        ec2 = Checked(world)
        park_and_start(world, instance_id, ec2)
        ec2.list_volumes_in_recycle_bin()
        ec2.get_ebs_encryption_by_default()
        ec2.get_ebs_default_kms_key_id()
        ec2.describe_regions()
        assert set(ec2.calls) == {op.name for (service, _), op in OPERATIONS.items() if service == "ec2"}


def _verdict(check: Callable[[dict[str, Any]], None], params: dict[str, Any]) -> bool:
    """Whether the client would send it. What only the server refuses has passed."""
    try:
        check(params)
    except ParamValidationError:
        return False
    except Refused:
        return True
    return True


class TestTime:
    def test_nothing_happens_until_the_test_moves_the_clock(self) -> None:
        world = World()
        volume_id = world.add_volume()
        EC2Client(world).create_snapshot(VolumeId=volume_id)
        assert not world.outbox
        world.clock.advance(59)
        assert not world.outbox
        world.clock.advance(1)
        assert [event.at - world.clock.now for event in world.outbox] == [0]

    def test_a_pending_snapshot_shows_its_progress(self) -> None:
        world = World(durations=Durations(snapshot=40, snapshot_per_gib=2))
        ec2 = EC2Client(world)
        made = ec2.create_snapshot(VolumeId=world.add_volume(Disk("", 30)))
        seen = [made["Progress"]]
        for _ in range(3):
            world.clock.advance(25)
            seen.append(ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"][0]["Progress"])
        assert seen == ["0%", "25%", "50%", "75%"]

    def test_times_are_in_utc(self) -> None:
        world = World()
        world.clock.advance(12.5)
        made = EC2Client(world).create_snapshot(VolumeId=world.add_volume())
        assert made["StartTime"] == datetime(2026, 1, 1, 0, 0, 12, 500000, tzinfo=UTC)

    def test_launch_time_moves_even_when_nothing_takes_time(self) -> None:
        world = World(durations=Durations(start=0, stop=0))
        instance_id = world.launch()
        ec2 = EC2Client(world)
        seen = set()
        for _ in range(3):
            ec2.stop_instances(InstanceIds=[instance_id])
            ec2.start_instances(InstanceIds=[instance_id])
            found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
            assert found["State"]["Name"] == "running"
            seen.add(found["LaunchTime"])
        assert len(seen) == 3

    def test_the_clock_does_not_run_backwards(self) -> None:
        with pytest.raises(ValueError, match="backwards"):
            World().clock.advance(-1)

    def test_the_world_says_when_something_will_happen_next(self) -> None:
        world = World()
        assert world.next_due is None
        EC2Client(world).create_snapshot(VolumeId=world.add_volume())
        assert world.next_due == world.clock.now + 60
        world.clock.advance(60)
        assert world.next_due is None

    def test_the_same_calls_give_the_same_world(self) -> None:
        def story() -> tuple[Any, ...]:
            world = World()
            park_and_start(world, world.launch(ROOT, DATA), EC2Client(world))
            return world.outbox, world.snapshots.rows, world.volumes.rows, world.instances.rows

        assert story() == story()

    def test_ids_are_in_no_order_of_age(self) -> None:
        world = World()
        ids = [world.add_snapshot() for _ in range(20)]
        assert ids != sorted(ids)


class TestLag:
    def world(self, share: int = 100) -> tuple[World, str, EC2Client]:
        world = World()
        instance_id = world.launch()
        world.lag = Lag(60, seed=1, share=share)
        return world, instance_id, EC2Client(world)

    def states(self, ec2: EC2Client, instance_id: str, times: int = 200) -> set[str]:
        reads = (ec2.describe_instances(InstanceIds=[instance_id]) for _ in range(times))
        return {read["Reservations"][0]["Instances"][0]["State"]["Name"] for read in reads}

    def test_a_read_may_see_what_was_so_up_to_so_many_seconds_ago(self) -> None:
        world, instance_id, ec2 = self.world()
        world.clock.advance(1000)
        ec2.stop_instances(InstanceIds=[instance_id])
        world.clock.advance(31)
        assert self.states(ec2, instance_id) == {"running", "stopping", "stopped"}
        world.clock.advance(29)
        assert self.states(ec2, instance_id) == {"stopping", "stopped"}
        world.clock.advance(31)
        assert self.states(ec2, instance_id) == {"stopped"}

    def test_each_resource_lags_by_itself(self) -> None:
        world, instance_id, ec2 = self.world()
        world.clock.advance(1000)
        stop(world, instance_id)
        root = volumes_of(world, instance_id)["/dev/xvda"]
        ec2.detach_volume(VolumeId=root)
        world.clock.advance(20)
        seen = set()
        for _ in range(200):
            instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
            volume = ec2.describe_volumes(VolumeIds=[root])["Volumes"][0]
            seen.add((bool(instance["BlockDeviceMappings"]), bool(volume["Attachments"])))
        assert seen == {(True, True), (True, False), (False, True), (False, False)}

    def test_what_is_new_may_not_be_seen_and_what_is_gone_may_be(self) -> None:
        world, _, ec2 = self.world()
        snapshot_id = ec2.create_snapshot(VolumeId=world.add_volume())["SnapshotId"]
        found = {len(ec2.describe_snapshots()["Snapshots"]) for _ in range(50)}
        assert found == {0}
        with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
            ec2.describe_snapshots(SnapshotIds=[snapshot_id])
        world.clock.advance(1000)
        ec2.delete_snapshot(SnapshotId=snapshot_id)
        world.clock.advance(30)
        assert {len(ec2.describe_snapshots()["Snapshots"]) for _ in range(50)} == {0, 1}
        world.clock.advance(31)
        assert {len(ec2.describe_snapshots()["Snapshots"]) for _ in range(50)} == {0}

    def test_filters_see_the_past_too(self) -> None:
        world, _, ec2 = self.world()
        volume_id = world.add_volume()
        world.clock.advance(1000)
        ec2.create_tags(Resources=[volume_id], Tags=[MARK])
        ec2.delete_tags(Resources=[volume_id], Tags=[MARK])
        world.clock.advance(30)
        ec2.create_tags(Resources=[volume_id], Tags=[{"Key": "later", "Value": ""}])
        world.clock.advance(20)
        filters = [{"Name": "tag-key", "Values": ["later"]}]
        assert {len(ec2.describe_volumes(Filters=filters)["Volumes"]) for _ in range(50)} == {0, 1}

    def test_writes_do_not_lag(self) -> None:
        world, _, ec2 = self.world()
        volume_id = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        world.clock.advance(5)
        ec2.delete_volume(VolumeId=volume_id)
        with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
            ec2.delete_volume(VolumeId=volume_id)

    def test_only_a_share_of_the_reads_lags_if_so_wished(self) -> None:
        _, instance_id, ec2 = self.world(share=20)
        ec2.create_tags(Resources=[instance_id], Tags=[MARK])
        lagging = sum("Tags" not in ec2.describe_instances()["Reservations"][0]["Instances"][0] for _ in range(500))
        assert 50 < lagging < 150

    def test_nothing_lags_longer_than_the_tables_remember(self) -> None:
        with pytest.raises(ValueError, match="300"):
            Lag(301)

    def test_the_same_seed_gives_the_same_lags(self) -> None:
        lag = Lag(60, seed=5)
        draws = [lag.of("vol-1", call) for call in range(50)]
        assert draws == [Lag(60, seed=5).of("vol-1", call) for call in range(50)]
        assert draws != [Lag(60, seed=6).of("vol-1", call) for call in range(50)]
        assert len(set(draws)) > 40
        assert 0 <= min(draws) < 10
        assert 50 < max(draws) <= 60


class TestFaults:
    def tagging(self, faults: FaultPlan) -> tuple[EC2Client, Callable[[], Any], Callable[[], bool]]:
        world = World()
        volume_id = world.add_volume()
        ec2 = EC2Client(world, "park", faults=faults)
        return (
            ec2,
            lambda: ec2.create_tags(Resources=[volume_id], Tags=[MARK]),
            lambda: bool(world.volumes.get(volume_id).tags),  # type: ignore[union-attr]
        )

    @pytest.mark.parametrize(
        ("fault", "error", "took_effect"),
        [
            (Fault.DIES_BEFORE, ProcessDied, False),
            (Fault.DIES_AFTER, ProcessDied, True),
            (Fault.NOT_SENT, EndpointConnectionError, False),
            (Fault.ANSWER_LOST, ReadTimeoutError, True),
            (Fault.CONNECTION_CLOSED, ConnectionClosedError, True),
            (Fault.THROTTLED, ClientError, False),
            (Fault.SERVER_ERROR, ClientError, False),
            (Fault.SERVER_ERROR_AFTER, ClientError, True),
            (Fault.DENIED, ClientError, False),
        ],
    )
    def test_a_fault_strikes_before_or_after_the_effect(
        self, fault: Fault, error: type[BaseException], took_effect: bool
    ) -> None:
        _, call, tagged = self.tagging(at_call(1, fault))
        with pytest.raises(error):
            call()
        assert tagged() == took_effect

    def test_errors_say_what_aws_says(self) -> None:
        codes = {}
        for fault in (Fault.THROTTLED, Fault.SERVER_ERROR, Fault.SERVER_ERROR_AFTER, Fault.DENIED):
            ec2, call, _ = self.tagging(at_call(1, fault))
            with pytest.raises(ec2.exceptions.ClientError) as refused:
                call()
            answer = refused.value.response
            codes[answer["Error"]["Code"]] = answer["ResponseMetadata"]["HTTPStatusCode"]
            assert refused.value.operation_name == "CreateTags"
        expected = {"RequestLimitExceeded": 503, "InternalError": 500, "Unavailable": 503, "UnauthorizedOperation": 403}
        assert codes == expected

    def test_a_dead_process_calls_nothing_more(self) -> None:
        ec2, call, tagged = self.tagging(at_call(1, Fault.DIES_BEFORE))
        for _ in range(2):
            with pytest.raises(ProcessDied):
                call()
        assert not tagged()
        assert ec2.dead

    def test_no_except_exception_survives_a_death(self) -> None:
        assert not issubclass(ProcessDied, Exception)

    def test_plans_can_name_operations_and_be_combined(self) -> None:
        plan = first_of([at_call(1, Fault.NOT_SENT), at_operation("CreateTags", Fault.THROTTLED, times=2)])
        ec2, call, tagged = self.tagging(plan)
        with pytest.raises(EndpointConnectionError):
            ec2.describe_volumes()
        for _ in range(2):
            with pytest.raises(ClientError, match="RequestLimitExceeded"):
                call()
        call()
        assert tagged()
        assert (ec2.calls, ec2.refusals) == ({"DescribeVolumes": 1, "CreateTags": 3}, {"RequestLimitExceeded": 2})

    def test_a_plan_sees_who_calls_what(self) -> None:
        seen: list[Call] = []
        _, call, _ = self.tagging(seen.append)
        call()
        assert [(item.caller, item.number, item.operation) for item in seen] == [("park", 1, "CreateTags")]
        assert seen[0].params["Tags"] == [MARK]

    def test_a_snapshot_can_end_in_error(self) -> None:
        world = World()
        ec2 = EC2Client(world, faults=at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS))
        snapshot_id = snapshot(world, world.add_volume(), ec2)
        assert ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"] == "error"
        assert world.outbox[-1].body["detail"]["result"] == "failed"

    def test_a_volume_can_end_in_error(self) -> None:
        world = World()
        ec2 = EC2Client(world, faults=at_call(1, Fault.VOLUME_FAILS))
        volume_id = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t")["VolumeId"]
        world.clock.advance(5)
        again = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t")
        assert (again["VolumeId"], again["State"]) == (volume_id, "error")
        assert world.outbox[-1].body["detail"]["result"] == "failed"

    @pytest.mark.parametrize(
        ("fault", "code", "status"),
        [
            (Fault.NO_CAPACITY, "InsufficientInstanceCapacity", 500),
            (Fault.NO_HOST_CAPACITY, "InsufficientHostCapacity", 500),
            (Fault.HOST_FULL, "InsufficientCapacityOnHost", 400),
            (Fault.RESERVATION_FULL, "ReservationCapacityExceeded", 400),
        ],
    )
    def test_capacity_can_be_missing(self, fault: Fault, code: str, status: int) -> None:
        world = World()
        instance_id = world.launch(state="stopped")
        before = world.instances.get(instance_id)
        with pytest.raises(ClientError) as refused:
            EC2Client(world, faults=at_call(1, fault)).start_instances(InstanceIds=[instance_id])
        answer = refused.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
        assert world.instances.get(instance_id) == before

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (Fault.START_FALLS_BACK, "Client.InternalError"),
            (Fault.START_FINDS_NO_CAPACITY, "Server.InsufficientInstanceCapacity"),
            (Fault.START_FINDS_NO_HOST, "Server.InsufficientHostCapacity"),
        ],
    )
    def test_a_start_that_falls_back_says_why(self, fault: Fault, code: str) -> None:
        world = World()
        instance_id = world.launch(state="stopped")
        ec2 = EC2Client(world, faults=at_call(1, fault))
        ec2.start_instances(InstanceIds=[instance_id])
        world.clock.advance(60)
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        assert (found["State"]["Name"], found["StateReason"]["Code"]) == ("stopped", code)
        assert found["StateReason"]["Message"].startswith(f"{code}: ")

    @pytest.mark.parametrize("cause", ["fault", "broken key"])
    def test_a_start_can_fall_back_to_stopped(self, cause: str) -> None:
        world = World(rules=Rules(broken_keys=frozenset(["k"] if cause == "broken key" else [])))
        instance_id = world.launch(ROOT._replace(key="k"), state="stopped")
        before = world.instances.get(instance_id)
        faults = at_call(1, Fault.START_FALLS_BACK) if cause == "fault" else None
        EC2Client(world, faults=faults).start_instances(InstanceIds=[instance_id])
        world.clock.advance(60)
        after = world.instances.get(instance_id)
        assert before is not None
        assert after is not None
        assert (after.state, after.state_reason) == ("stopped", "Client.InternalError")
        assert after.launch_time > before.launch_time
        assert [event.body["detail"]["state"] for event in world.outbox] == ["pending", "stopped"]

    def test_a_broken_key_shows_only_after_the_volume_was_promised(self) -> None:
        world = World(rules=Rules(broken_keys=frozenset(["arn:k"])))
        ec2 = EC2Client(world)
        made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True, KmsKeyId="arn:k")
        assert made["State"] == "creating"
        world.clock.advance(5)
        assert ec2.describe_volumes()["Volumes"][0]["State"] == "error"
        assert "disabled" in world.outbox[-1].body["detail"]["cause"]

    def test_each_key_breaks_and_is_mended_for_itself(self) -> None:
        world = World()
        other = world.clone()
        world.break_key("arn:k")

        def made_under(world: World, key: str) -> Any:
            ec2 = EC2Client(world)
            made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True, KmsKeyId=key)
            world.clock.advance(5)
            return ec2.describe_volumes(VolumeIds=[made["VolumeId"]])["Volumes"][0]["State"]

        assert [made_under(world, key) for key in ("arn:k", "arn:l")] == ["error", "available"]
        assert made_under(other, "arn:k") == "available"
        world.mend_key("arn:k")
        assert made_under(world, "arn:k") == "available"


class TestThrottling:
    def test_a_bucket_runs_empty_and_fills_again(self) -> None:
        world = World()
        world.throttle = Throttle()
        volume_id = world.add_volume()
        ec2 = EC2Client(world)
        answered = self.tag_until_refused(ec2, volume_id)
        world.clock.advance(2)
        assert (answered, self.tag_until_refused(ec2, volume_id)) == (100, 20)
        assert world.throttle.refused == 2

    def tag_until_refused(self, ec2: EC2Client, volume_id: str) -> int:
        for count in range(1000):
            try:
                ec2.create_tags(Resources=[volume_id], Tags=[MARK])
            except ClientError:
                return count
        return 1000

    def test_describing_everything_at_once_has_a_smaller_bucket(self) -> None:
        world = World()
        world.throttle = Throttle()
        ec2 = EC2Client(world)
        for _ in range(50):
            ec2.describe_volumes()
        with pytest.raises(ClientError, match="RequestLimitExceeded"):
            ec2.describe_volumes()
        for _ in range(100):
            ec2.describe_volumes(MaxResults=500)

    def test_a_start_takes_a_token_for_every_instance(self) -> None:
        world = World()
        world.throttle = Throttle()
        ids = [world.launch(state="stopped") for _ in range(600)]
        ec2 = EC2Client(world)
        ec2.start_instances(InstanceIds=ids)
        with pytest.raises(ClientError, match="RequestLimitExceeded"):
            ec2.start_instances(InstanceIds=ids)
        ec2.start_instances(InstanceIds=ids[:400])


class TestHooks:
    def test_every_call_is_told_before_and_after(self) -> None:
        world = World()
        told: list[str] = []
        world.on_call = lambda operation, params: told.append(f"before {operation} {sorted(params)}")
        world.on_answer = lambda operation, _: told.append(f"after {operation}")
        ec2 = EC2Client(world)
        ec2.describe_volumes(MaxResults=5)
        with pytest.raises(ClientError):
            ec2.delete_volume(VolumeId="vol-1")
        assert told == [
            "before DescribeVolumes ['MaxResults']",
            "after DescribeVolumes",
            "before DeleteVolume ['VolumeId']",
            "after DeleteVolume",
        ]

    def test_what_another_does_before_the_call_counts(self) -> None:
        world = World()
        volume_id = world.add_volume()
        slow, quick = EC2Client(world, "slow"), EC2Client(world, "quick")

        def interfere(_: str, __: dict[str, Any]) -> None:
            world.on_call = None
            quick.create_tags(Resources=[volume_id], Tags=[MARK])

        world.on_call = interfere
        assert slow.describe_volumes()["Volumes"][0]["Tags"] == [MARK]

    def test_a_process_killed_while_it_waits_has_no_effect(self) -> None:
        world = World()
        volume_id = world.add_volume()
        ec2 = EC2Client(world)

        def kill(_: str, __: dict[str, Any]) -> None:
            ec2.dead = True

        world.on_call = kill
        with pytest.raises(ProcessDied):
            ec2.delete_volume(VolumeId=volume_id)
        assert world.find(volume_id) is not None


class TestClone:
    def test_a_clone_goes_its_own_way(self) -> None:
        world = World()
        instance_id = world.launch()
        stop(world, instance_id)
        snapshot_id = EC2Client(world).create_snapshot(VolumeId=volumes_of(world, instance_id)["/dev/xvda"])[
            "SnapshotId"
        ]
        other = world.clone()
        detach_and_delete(other, volumes_of(other, instance_id)["/dev/xvda"])
        world.clock.advance(100)
        assert (len(world.volumes.rows), len(volumes_of(other, instance_id))) == (1, 0)
        assert world.find(snapshot_id) is not None
        other.clock.advance(100)
        assert len(lost(other)) == 1
        EC2Client(other).start_instances(InstanceIds=[other.launch(state="stopped")])
        other.ledger.incidents.append("Something happened there.")
        assert not problems(world)
        assert list(world.ledger.latest) == [instance_id]

    def test_a_clone_does_the_same_from_there(self) -> None:
        world = World()
        instance_id = world.launch(ROOT, DATA)
        other = world.clone()
        for each in (world, other):
            park_and_start(each, instance_id, EC2Client(each))
        assert world.outbox == other.outbox
        assert world.volumes.rows == other.volumes.rows

    def test_a_clone_has_its_own_buckets_tokens_and_messages(self) -> None:
        world = World()
        world.throttle = Throttle()
        other = world.clone()
        EC2Client(other).create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t")
        SQSClient(other).send_message(QueueUrl=QUEUE, MessageBody="{}")
        assert (world.tokens, world.messages, world.throttle.levels) == ({}, [], {})


class TestContent:
    def test_a_running_instance_keeps_changing_its_disks(self) -> None:
        world = World()
        instance_id = world.launch()
        seen = []
        steps: list[Callable[[], None]] = [
            lambda: None,
            lambda: world.write(instance_id),
            lambda: world.clock.advance(1),
        ]
        for step in steps:
            step()
            seen.append(latest(world, instance_id)["/dev/xvda"])
        assert seen == sorted(set(seen))

    def test_a_stopped_instance_changes_nothing(self) -> None:
        world = World()
        instance_id = world.launch()
        stop(world, instance_id)
        before = latest(world, instance_id)
        world.clock.advance(1000)
        assert latest(world, instance_id) == before
        with pytest.raises(ValueError, match="not running"):
            world.write(instance_id)

    def test_a_snapshot_holds_what_was_there_when_it_was_created(self) -> None:
        world = World()
        instance_id = world.launch()
        volume_id = volumes_of(world, instance_id)["/dev/xvda"]
        made = EC2Client(world).create_snapshot(VolumeId=volume_id)
        then = latest(world, instance_id)["/dev/xvda"]
        world.clock.advance(100)
        now = latest(world, instance_id)["/dev/xvda"]
        assert now > then
        assert [copy.id for copy in copies(world, then)] == [made["SnapshotId"]]
        assert [copy.id for copy in copies(world, now)] == [volume_id]

    def test_a_volume_made_from_a_snapshot_holds_the_same(self) -> None:
        world = World()
        old = world.add_volume()
        snapshot_id = snapshot(world, old)
        made = EC2Client(world).create_volume(AvailabilityZone="us-east-1a", SnapshotId=snapshot_id)
        content = world.snapshots.get(snapshot_id).content  # type: ignore[union-attr]
        places = {copy.id: copy.proof for copy in copies(world, content)}
        assert places == {old: True, snapshot_id: True, made["VolumeId"]: False}
        world.clock.advance(5)
        assert all(copy.proof for copy in copies(world, content))


class TestJudge:
    def parked(self) -> tuple[World, str, dict[str, str]]:
        world = World()
        instance_id = world.launch(ROOT, DATA)
        stop(world, instance_id)
        places = volumes_of(world, instance_id)
        snapshots = {device: snapshot(world, volume_id) for device, volume_id in places.items()}
        for volume_id in places.values():
            detach_and_delete(world, volume_id)
        return world, instance_id, snapshots

    def start(self, world: World, instance_id: str) -> None:
        EC2Client(world).start_instances(InstanceIds=[instance_id])

    def test_parking_and_starting_well_is_no_problem(self) -> None:
        world, instance_id, snapshots = self.parked()
        assert not problems(world)
        for device, snapshot_id in snapshots.items():
            restore(world, instance_id, device, snapshot_id)
        self.start(world, instance_id)
        world.clock.advance(100)
        assert not problems(world)

    def test_a_loss_is_seen(self) -> None:
        world, instance_id, snapshots = self.parked()
        EC2Client(world).delete_snapshot(SnapshotId=snapshots["/dev/sdf"])
        [sentence] = problems(world)
        assert f"The latest bytes of {instance_id} /dev/sdf" in sentence
        assert "no copy of any age is left" in sentence

    def test_a_pending_snapshot_is_no_proof(self) -> None:
        world = World()
        instance_id = world.launch()
        stop(world, instance_id)
        [volume_id] = volumes_of(world, instance_id).values()
        EC2Client(world).create_snapshot(VolumeId=volume_id)
        detach_and_delete(world, volume_id)
        assert len(lost(world)) == 1

    def test_a_snapshot_fails_when_its_volume_is_deleted_meanwhile(self) -> None:
        world = World()
        volume_id = world.add_volume()
        ec2 = EC2Client(world)
        snapshot_id = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
        ec2.delete_volume(VolumeId=volume_id)
        world.clock.advance(100)
        assert ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"] == "error"

    def test_swapped_disks_are_seen_at_the_start(self) -> None:
        world, instance_id, snapshots = self.parked()
        restore(world, instance_id, "/dev/xvda", snapshots["/dev/sdf"])
        restore(world, instance_id, "/dev/sdf", snapshots["/dev/xvda"])
        self.start(world, instance_id)
        assert ["where" in sentence and "belongs" in sentence for sentence in problems(world)] == [True, True]

    def test_a_stale_disk_is_seen_at_the_start(self) -> None:
        world = World()
        instance_id = world.launch()
        [volume_id] = volumes_of(world, instance_id).values()
        old = snapshot(world, volume_id)
        stop(world, instance_id)
        EC2Client(world).detach_volume(VolumeId=volume_id)
        world.clock.advance(5)
        restore(world, instance_id, "/dev/xvda", old)
        self.start(world, instance_id)
        assert "starts with stale" in problems(world)[0]

    def test_a_missing_and_a_foreign_disk_are_seen_at_the_start(self) -> None:
        world, instance_id, snapshots = self.parked()
        restore(world, instance_id, "/dev/xvda", snapshots["/dev/xvda"])
        restore(world, instance_id, "/dev/sdg", world.add_snapshot())
        self.start(world, instance_id)
        missing, foreign = problems(world)
        assert "starts without /dev/sdf" in missing
        assert "/dev/sdg, where nobody put a disk" in foreign

    def test_a_disk_that_is_just_leaving_counts_as_missing_at_the_start(self) -> None:
        world = World()
        instance_id = world.launch(ROOT, DATA, state="stopped")
        EC2Client(world).detach_volume(VolumeId=volumes_of(world, instance_id)["/dev/sdf"])
        self.start(world, instance_id)
        assert "starts without /dev/sdf" in problems(world)[0]

    def test_a_disk_that_its_owner_takes_while_the_instance_stops_is_not_missed_later(self) -> None:
        world = World(durations=Durations(stop=2, detach=5))
        instance_id = world.launch(ROOT, DATA)
        person = EC2Client(world, "person", owner=True)
        person.detach_volume(VolumeId=volumes_of(world, instance_id)["/dev/sdf"])
        stop(world, instance_id)
        world.clock.advance(10)
        self.start(world, instance_id)
        assert not problems(world)

    def test_a_disk_that_is_given_to_a_running_instance_is_seen(self) -> None:
        world = World()
        instance_id = world.launch()
        EC2Client(world).attach_volume(VolumeId=world.add_volume(), InstanceId=instance_id, Device="/dev/sdf")
        assert "is attached to" in problems(world)[0]

    def test_a_running_instance_that_loses_a_disk_is_seen(self) -> None:
        world = World()
        instance_id = world.launch(ROOT, DATA)
        EC2Client(world).detach_volume(VolumeId=volumes_of(world, instance_id)["/dev/sdf"])
        assert "loses /dev/sdf while it is running" in problems(world)[0]

    def with_another_root(self, world: World) -> tuple[str, str]:
        """During the lock somebody attaches another root volume: the instance, and its data volume."""
        instance_id = world.launch(ROOT, DATA)
        stop(world, instance_id)
        root, data = volumes_of(world, instance_id).values()
        EC2Client(world).detach_volume(VolumeId=root)
        world.clock.advance(10)
        person = EC2Client(world, "person", owner=True)
        person.attach_volume(VolumeId=world.add_volume(), InstanceId=instance_id, Device="/dev/xvda")
        world.clock.advance(10)
        return instance_id, data

    def beside_another_root(self, starter: EC2Client) -> tuple[World, str]:
        """It is started, and we take the data volume off."""
        world = starter.world
        instance_id, data = self.with_another_root(world)
        starter.start_instances(InstanceIds=[instance_id])
        EC2Client(world).detach_volume(VolumeId=data)
        world.clock.advance(10)
        return world, data

    def test_who_starts_beside_a_root_volume_of_his_own_may_see_a_disk_go_but_not_its_bytes(self) -> None:
        world, data = self.beside_another_root(EC2Client(World(), "person", owner=True))
        assert not problems(world)
        EC2Client(world).delete_volume(VolumeId=data)
        assert "are gone" in problems(world)[0]

    def test_what_is_written_on_a_disk_that_leaves_at_such_a_start_must_stay_too(self) -> None:
        world = World(durations=Durations(detach=10))
        instance_id, data = self.with_another_root(world)
        snapshot(world, data)
        EC2Client(world).detach_volume(VolumeId=data)
        EC2Client(world, "person", owner=True).start_instances(InstanceIds=[instance_id])
        world.write(instance_id)
        world.clock.advance(10)
        assert not problems(world)
        EC2Client(world).delete_volume(VolumeId=data)
        assert "are gone; the newest that is left is" in problems(world)[0]

    def test_our_own_start_beside_somebodys_root_volume_must_not_cost_a_disk(self) -> None:
        world, _ = self.beside_another_root(EC2Client(World()))
        assert "loses /dev/sdf while it is pending" in problems(world)[0]

    def test_what_an_instance_loses_later_than_lag_explains_is_seen(self) -> None:
        world = World()
        instance_id, data = self.with_another_root(world)
        EC2Client(world, "person", owner=True).start_instances(InstanceIds=[instance_id])
        world.clock.advance(120)
        EC2Client(world).detach_volume(VolumeId=data)
        assert "loses /dev/sdf while it is running" in problems(world)[0]

    def test_the_owner_may_detach_attach_and_delete(self) -> None:
        world = World()
        instance_id = world.launch(ROOT, DATA)
        person = EC2Client(world, "person", owner=True)
        data = volumes_of(world, instance_id)["/dev/sdf"]
        person.detach_volume(VolumeId=data)
        world.write(instance_id)
        world.clock.advance(10)
        assert not problems(world)
        gone = world.clone()
        EC2Client(gone).delete_volume(VolumeId=data)
        gone.clock.advance(10)
        assert f"The latest bytes of {data}" in problems(gone)[0]
        person.attach_volume(VolumeId=data, InstanceId=instance_id, Device="/dev/sdh")
        world.clock.advance(10)
        stop(world, instance_id)
        assert set(latest(world, instance_id)) == {"/dev/xvda", "/dev/sdh"}
        person.detach_volume(VolumeId=data)
        world.clock.advance(10)
        person.delete_volume(VolumeId=data)
        world.clock.advance(10)
        self.start(world, instance_id)
        assert not problems(world)

    def test_who_deletes_the_last_copy_of_his_own_data_has_lost_nothing(self) -> None:
        world, _, snapshots = self.parked()
        person = EC2Client(world, "person", owner=True)
        person.delete_snapshot(SnapshotId=snapshots["/dev/sdf"])
        assert not problems(world)

    def test_termination_gives_up_the_disks_that_go_with_the_instance_and_no_others(self) -> None:
        world = World()
        instance_id = world.launch(ROOT, DATA._replace(delete_on_termination=False))
        data = volumes_of(world, instance_id)["/dev/sdf"]
        EC2Client(world).terminate_instances(InstanceIds=[instance_id])
        world.clock.advance(100)
        assert not problems(world)
        assert set(latest(world, instance_id)) == {"/dev/sdf"}
        EC2Client(world).delete_volume(VolumeId=data)
        world.clock.advance(100)
        assert len(problems(world)) == 1

    def test_a_spot_instance_is_terminated_when_its_root_is_detached(self) -> None:
        world = World()
        instance_id = world.launch(facts={"InstanceLifecycle": "spot"})
        stop(world, instance_id)
        EC2Client(world).detach_volume(VolumeId=volumes_of(world, instance_id)["/dev/xvda"])
        world.clock.advance(5)
        assert world.instances.get(instance_id).state == "shutting-down"  # type: ignore[union-attr]

    def test_a_snapshot_deleted_while_a_volume_loads_from_it_is_seen_where_that_takes_time(self) -> None:
        for hydration, expected in ((0, 0), (300, 1)):
            world = World(rules=Rules(hydration=hydration))
            snapshot_id = world.add_snapshot()
            ec2 = EC2Client(world)
            ec2.create_volume(AvailabilityZone="us-east-1a", SnapshotId=snapshot_id)
            world.clock.advance(200)
            ec2.delete_snapshot(SnapshotId=snapshot_id)
            assert len(problems(world)) == expected

    def test_bystanders_are_compared_whole(self) -> None:
        world = World()
        bystander = world.launch(name="not opted in")
        ids = [bystander, *volumes_of(world, bystander).values()]
        before = world.clone()
        world.clock.advance(1000)
        assert not differences(before, world, ids)
        EC2Client(world).create_tags(Resources=ids[1:], Tags=[MARK])
        assert len(differences(before, world, ids)) == 1

    def test_fittings_show_a_device_that_came_back_otherwise(self) -> None:
        world, instance_id, snapshots = self.parked()
        for device, snapshot_id in snapshots.items():
            restore(world, instance_id, device, snapshot_id)
        fitting = fittings(world, instance_id)["/dev/sdf"]
        assert (fitting.size, fitting.iops, fitting.tags, fitting.delete_on_termination) == (20, 3000, (), False)
        assert fittings(World(), instance_id) == {}

    def test_contents_are_readable(self) -> None:
        assert str(Content("vol-1", 17)) == "vol-1@17"


class TestRoot:
    @pytest.mark.parametrize("under_way", ["attaching", "detaching"])
    def test_a_root_volume_that_is_on_its_way_is_no_root_volume(self, under_way: str) -> None:
        world = World()
        instance_id = world.launch(state="stopped")
        [root] = volumes_of(world, instance_id).values()
        ec2 = EC2Client(world)
        ec2.detach_volume(VolumeId=root)
        if under_way == "attaching":
            world.clock.advance(world.durations.detach)
            ec2.attach_volume(VolumeId=root, InstanceId=instance_id, Device="/dev/xvda")
        with pytest.raises(ClientError, match="does not have a volume attached at root"):
            ec2.start_instances(InstanceIds=[instance_id])


class TestEvents:
    def test_a_stop_and_a_start_are_told_as_eventbridge_tells_them(self) -> None:
        world = World()
        instance_id = world.launch()
        ec2 = EC2Client(world)
        ec2.stop_instances(InstanceIds=[instance_id])
        world.clock.advance(30)
        ec2.start_instances(InstanceIds=[instance_id])
        world.clock.advance(20)
        events = [event.body for event in world.take_events()]
        assert [body["detail"]["state"] for body in events] == ["stopping", "stopped", "pending", "running"]
        assert events[1] == {
            "version": "0",
            "id": events[1]["id"],
            "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2",
            "account": "123456789012",
            "time": "2026-01-01T00:00:30Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}"],
            "detail": {"instance-id": instance_id, "state": "stopped"},
        }
        assert len({body["id"] for body in events}) == len(events)
        assert world.take_events() == []
        json.dumps(events)

    def test_snapshots_are_told_with_the_region_in_the_place_of_the_account(self) -> None:
        world = World()
        volume_id = world.add_volume()
        snapshot_id = snapshot(world, volume_id)
        [event] = world.take_events()
        assert event.body["detail-type"] == "EBS Snapshot Notification"
        assert event.body["detail"] == {
            "event": "createSnapshot",
            "result": "succeeded",
            "cause": "",
            "request-id": "",
            "snapshot_id": f"arn:aws:ec2::us-east-1:snapshot/{snapshot_id}",
            "source": f"arn:aws:ec2::us-east-1:volume/{volume_id}",
            "startTime": "2026-01-01T00:00:00Z",
            "endTime": "2026-01-01T00:01:00Z",
        }

    def test_volumes_are_told_when_available_and_when_deleted_but_not_when_attached_or_detached(self) -> None:
        world = World()
        instance_id = world.launch()
        ec2 = EC2Client(world)
        volume_id = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        world.clock.advance(10)
        ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdh")
        world.clock.advance(10)
        detach_and_delete(world, volume_id)
        told = [(event.body["detail"]["event"], event.body["detail"]["result"]) for event in world.take_events()]
        assert told == [("createVolume", "available"), ("deleteVolume", "deleted")]

    def test_a_guest_shuts_down_with_its_own_reason(self) -> None:
        world = World()
        instance_id = world.launch()
        world.shut_down(instance_id)
        world.clock.advance(30)
        found = EC2Client(world).describe_instances()["Reservations"][0]["Instances"][0]
        assert found["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
        assert found["StateTransitionReason"] == ""

    def test_a_stop_by_its_user_is_of_the_second_in_which_it_was_asked_for(self) -> None:
        world = World()
        instance_id = world.launch()
        world.clock.advance(100.7)
        stop(world, instance_id)
        world.clock.advance(1000)
        found = EC2Client(world).describe_instances()["Reservations"][0]["Instances"][0]
        assert found["StateTransitionReason"] == "User initiated (2026-01-01 00:01:40 GMT)"
        assert found["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


class TestQueue:
    def test_a_message_comes_when_its_delay_is_over(self) -> None:
        world = World()
        sqs = SQSClient(world, "park")
        sqs.send_message(QueueUrl=QUEUE, MessageBody="now")
        entries = [{"Id": "a", "MessageBody": "later", "DelaySeconds": 120}]
        assert sqs.send_message_batch(QueueUrl=QUEUE, Entries=entries)["Successful"][0]["Id"] == "a"
        assert [message.body for message in world.take_messages()] == ["now"]
        world.clock.advance(119)
        assert world.take_messages() == []
        world.clock.advance(1)
        assert [(message.queue_url, message.body) for message in world.take_messages()] == [(QUEUE, "later")]

    @pytest.mark.parametrize("delay", [-1, 901])
    def test_a_delay_is_at_most_15_minutes(self, delay: int) -> None:
        with pytest.raises(ClientError, match="DelaySeconds"):
            SQSClient(World()).send_message(QueueUrl=QUEUE, MessageBody="x", DelaySeconds=delay)

    def test_a_batch_has_at_most_ten_messages(self) -> None:
        entries = [{"Id": str(number), "MessageBody": "x"} for number in range(11)]
        with pytest.raises(ClientError, match="TooManyEntries"):
            SQSClient(World()).send_message_batch(QueueUrl=QUEUE, Entries=entries)

    def test_what_is_sent_may_get_lost_on_the_way_back(self) -> None:
        world = World()
        with pytest.raises(ReadTimeoutError):
            SQSClient(world, faults=at_call(1, Fault.ANSWER_LOST)).send_message(QueueUrl=QUEUE, MessageBody="x")
        assert len(world.take_messages()) == 1


class TestDescribing:
    def big(self) -> World:
        world = World()
        for number in range(SMALL * 2):
            world.launch(tags={"ParkVolumes": "true" if number % 2 else "root"})
        return world

    @pytest.mark.parametrize("launches", [3, SMALL * 2])
    def test_filters_find_the_same_with_and_without_an_index(self, launches: int) -> None:
        world = World()
        ids = [world.launch(tags={"ParkVolumes": "true", "n": f"{number:03}"}) for number in range(launches)]
        ec2 = EC2Client(world)

        def found(*filters: tuple[str, str]) -> set[str]:
            wanted = [{"Name": name, "Values": [value]} for name, value in filters]
            return {
                item["Instances"][0]["InstanceId"] for item in ec2.describe_instances(Filters=wanted)["Reservations"]
            }

        assert found(("tag:n", "001")) == {ids[1]}
        assert found(("tag:n", "00*")) == set(ids[:10])
        assert found(("tag:ParkVolumes", "true"), ("tag:n", "002")) == {ids[2]}
        assert found(("tag:ParkVolumes", "root")) == set()
        ec2.create_tags(Resources=[ids[0]], Tags=[{"Key": "ParkVolumes", "Value": "root"}])
        assert found(("tag:ParkVolumes", "root")) == {ids[0]}
        assert found(("tag:ParkVolumes", "true")) == set(ids[1:])
        ec2.stop_instances(InstanceIds=ids[:2])
        assert found(("instance-state-name", "stopping")) == set(ids[:2])

    def test_in_a_large_world_a_description_looks_only_at_what_its_narrowest_filter_leaves(self) -> None:
        world = World()
        ids = [world.launch(tags={"ParkVolumes": "true", "n": str(number)}) for number in range(SMALL * 2)]
        for filters in ([("ParkVolumes", "true"), ("n", "7")], [("n", "7"), ("ParkVolumes", "true")]):
            wanted = [make_filter(f"tag:{key}", (value,)) for key, value in filters]
            assert list(world.instances.candidates(wanted)) == [ids[7]]

    def test_pages_hold_everything_once_even_if_rows_go_meanwhile(self) -> None:
        world = World()
        ids = [world.add_snapshot() for _ in range(12)]
        ec2 = EC2Client(world)
        seen = []
        for page in ec2.get_paginator("describe_snapshots").paginate(PaginationConfig={"PageSize": 5}):
            seen += [item["SnapshotId"] for item in page["Snapshots"]]
            if len(seen) == 5:
                ec2.delete_snapshot(SnapshotId=ids[7])
        assert seen == [snapshot_id for snapshot_id in ids if snapshot_id != ids[7]]

    def test_a_token_is_good_for_its_own_operation_only(self) -> None:
        world = World()
        for _ in range(6):
            world.add_snapshot()
        ec2 = EC2Client(world)
        token = ec2.describe_snapshots(MaxResults=5)["NextToken"]
        with pytest.raises(ClientError, match="pagination token"):
            ec2.describe_volumes(NextToken=token)

    def test_an_empty_list_of_ids_describes_everything_as_the_wire_format_does(self) -> None:
        world = self.big()
        assert len(EC2Client(world).describe_instances(InstanceIds=[])["Reservations"]) == SMALL * 2

    def test_ids_and_pages_do_not_go_together(self) -> None:
        world = World()
        with pytest.raises(ClientError, match="InvalidParameterCombination"):
            EC2Client(world).describe_instances(InstanceIds=[world.launch()], MaxResults=5)

    @pytest.mark.parametrize("size", [4, 1001])
    def test_a_page_has_5_to_1000_items(self, size: int) -> None:
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            EC2Client(World()).describe_snapshots(MaxResults=size)

    def test_a_filter_that_ec2_does_not_have_is_refused(self) -> None:
        with pytest.raises(ClientError, match="The filter 'state' is invalid"):
            EC2Client(World()).describe_volumes(Filters=[{"Name": "state", "Values": ["available"]}])

    def test_more_than_200_filter_values_are_refused(self) -> None:
        values = [f"i-{number:08x}" for number in range(201)]
        with pytest.raises(ClientError, match="FilterLimitExceeded"):
            EC2Client(World()).describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": values}])

    def test_locked_snapshots_have_no_paginator(self) -> None:
        with pytest.raises(OperationNotPageableError):
            EC2Client(World()).get_paginator("describe_locked_snapshots")

    def test_a_lock_expires(self) -> None:
        world = World()
        snapshot_id = world.add_snapshot()
        ec2 = EC2Client(world)
        ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
        world.clock.advance(timedelta(days=1).total_seconds())
        assert ec2.describe_locked_snapshots()["Snapshots"][0]["LockState"] == "expired"
        ec2.delete_snapshot(SnapshotId=snapshot_id)

    def test_snapshots_of_other_accounts_are_not_our_own(self) -> None:
        world = World()
        ours, theirs = world.add_snapshot(), world.add_snapshot(owner="999999999999")
        ec2 = EC2Client(world)
        assert [item["SnapshotId"] for item in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [ours]
        assert {item["SnapshotId"] for item in ec2.describe_snapshots()["Snapshots"]} == {ours, theirs}

    def test_a_terminated_instance_is_shown_for_an_hour(self) -> None:
        world = World()
        instance_id = world.launch()
        ec2 = EC2Client(world)
        ec2.terminate_instances(InstanceIds=[instance_id])
        world.clock.advance(60)
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        assert found["State"] == {"Code": 48, "Name": "terminated"}
        world.clock.advance(4000)
        assert ec2.describe_instances()["Reservations"] == []


class TestRecordedAnswers:
    """What recordings and reports of EC2 disagree about can be had either way."""

    @pytest.mark.parametrize(("told", "microsecond"), [("whole seconds", 0), ("milliseconds", 432_000)])
    def test_attach_times_may_have_milliseconds_that_descriptions_cut(
        self, told: AttachTimes, microsecond: int
    ) -> None:
        world = World(rules=Rules(attach_times=told))
        world.clock.advance(0.7)
        instance_id = world.launch(state="stopped")
        [root] = volumes_of(world, instance_id).values()
        ec2 = Checked(world)
        answer = ec2.detach_volume(VolumeId=root)
        world.clock.advance(10)
        attached = ec2.attach_volume(VolumeId=root, InstanceId=instance_id, Device="/dev/xvda")
        described = ec2.describe_volumes()["Volumes"][0]["Attachments"][0]["AttachTime"]
        assert (answer["AttachTime"].microsecond, attached["AttachTime"].microsecond) == (microsecond, microsecond)
        assert (described.microsecond, attached["AttachTime"].replace(microsecond=0)) == (0, described)

    def test_attach_times_may_be_missing(self) -> None:
        world = World(rules=Rules(attach_times="missing"))
        instance_id = world.launch(state="stopped")
        answer = Checked(world).detach_volume(VolumeId=volumes_of(world, instance_id)["/dev/xvda"])
        assert (answer["State"], "AttachTime" in answer) == ("detaching", False)

    def test_launch_times_are_in_whole_seconds(self) -> None:
        world = World()
        world.clock.advance(12.75)
        ids = [world.launch(), world.launch(state="stopped")]
        EC2Client(world).start_instances(InstanceIds=[ids[1]])
        assert [world.instances.get(i).launch_time.microsecond for i in ids] == [0, 0]  # type: ignore[union-attr]

    @pytest.mark.parametrize("refused", [False, True])
    def test_naming_a_snapshot_that_is_not_locked_may_be_an_error(self, refused: bool) -> None:
        world = World(rules=Rules(unlocked_ids_refused=refused))
        ids = [world.add_snapshot(), world.add_snapshot()]
        ec2 = EC2Client(world)
        ec2.lock_snapshot(SnapshotId=ids[0], LockMode="governance", LockDuration=1)
        assert [item["SnapshotId"] for item in ec2.describe_locked_snapshots()["Snapshots"]] == ids[:1]
        assert len(ec2.describe_locked_snapshots(SnapshotIds=ids[:1])["Snapshots"]) == 1
        if refused:
            with pytest.raises(ClientError, match="SnapshotNotLocked"):
                ec2.describe_locked_snapshots(SnapshotIds=ids)
        else:
            assert len(ec2.describe_locked_snapshots(SnapshotIds=ids)["Snapshots"]) == 1


class TestKeys:
    def encrypted_snapshot(self, world: World) -> str:
        return snapshot(world, world.add_volume(ROOT._replace(key="arn:own")))

    def restored(self, world: World, **params: Any) -> Any:
        return EC2Client(world).create_volume(AvailabilityZone="us-east-1a", **params)["KmsKeyId"]

    def test_a_key_that_is_not_named_is_the_snapshots(self) -> None:
        world = World()
        assert self.restored(world, SnapshotId=self.encrypted_snapshot(world)) == "arn:own"

    def test_with_encryption_by_default_a_key_that_is_not_named_is_the_accounts(self) -> None:
        world = World(rules=Rules(default_key="arn:default"))
        assert self.restored(world, SnapshotId=self.encrypted_snapshot(world)) == "arn:default"
        named = {"SnapshotId": self.encrypted_snapshot(world), "Encrypted": True, "KmsKeyId": "arn:own"}
        assert self.restored(world, **named) == "arn:own"

    def test_what_is_encrypted_stays_encrypted(self) -> None:
        world = World()
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            self.restored(world, SnapshotId=self.encrypted_snapshot(world), Encrypted=False)


class TestQuotas:
    def test_hard_disks_have_one_pending_snapshot(self) -> None:
        world = World()
        volume_id = world.add_volume(Disk("", 125, "st1"))
        ec2 = EC2Client(world)
        ec2.create_snapshot(VolumeId=volume_id)
        with pytest.raises(ClientError, match="ConcurrentSnapshotLimitExceeded"):
            ec2.create_snapshot(VolumeId=volume_id)

    def test_failed_snapshots_count_against_the_pending_ones(self) -> None:
        world = World()
        volume_id = world.add_volume()
        ec2 = EC2Client(world, faults=at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS, times=5))
        for _ in range(5):
            snapshot(world, volume_id, ec2)
        with pytest.raises(ClientError, match="ConcurrentSnapshotLimitExceeded"):
            ec2.create_snapshot(VolumeId=volume_id)

    def test_snapshots_of_a_volume_can_be_made_to_need_15_seconds_between_them(self) -> None:
        world = World(rules=Rules(seconds_between_snapshots=15))
        volume_id = world.add_volume()
        ec2 = EC2Client(world)
        ec2.create_snapshot(VolumeId=volume_id)
        with pytest.raises(ClientError, match="SnapshotCreationPerVolumeRateExceeded"):
            ec2.create_snapshot(VolumeId=volume_id)
        world.clock.advance(15)
        ec2.create_snapshot(VolumeId=volume_id)


class TestOthers:
    """What owners and their tools do."""

    def test_an_owner_can_copy_the_tags_of_one_snapshot_to_another_and_no_fact(self) -> None:
        world = World()
        volume_id = world.add_volume(DATA)
        person = EC2Client(world, "person", owner=True)
        backup = snapshot(world, volume_id, person)
        ec2 = EC2Client(world, "park")
        tags = [MARK, {"Key": "park-volumes:device", "Value": "/dev/sdf"}]
        specified = [{"ResourceType": "snapshot", "Tags": tags}]
        ours = ec2.create_snapshot(VolumeId=volume_id, Description="ours", TagSpecifications=specified)["SnapshotId"]
        person.create_tags(Resources=[backup], Tags=tags)
        found = {item["SnapshotId"]: item for item in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        assert found[backup]["Tags"] == found[ours]["Tags"]
        assert found[backup]["StartTime"] < found[ours]["StartTime"]
        assert (found[backup]["Description"], found[ours]["Description"]) == ("", "ours")

    def test_a_snapshot_of_an_owner_can_be_pending_for_long(self) -> None:
        world = World(durations=Durations(snapshot=4 * 3600))
        volume_id = world.add_volume(DATA)
        EC2Client(world, "person", owner=True).create_snapshot(VolumeId=volume_id, Description="a backup")
        world.clock.advance(3 * 3600)
        filters = [{"Name": "volume-id", "Values": [volume_id]}, {"Name": "status", "Values": ["pending"]}]
        assert len(EC2Client(world).describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]) == 1


class TestModifications:
    def enlarged(self, world: World, volume_id: str, faults: FaultPlan | None = None, **more: Any) -> Any:
        return EC2Client(world, faults=faults).modify_volume(VolumeId=volume_id, Size=30, **more)["VolumeModification"]

    def test_a_modification_takes_its_time(self) -> None:
        world = World(durations=Durations(modify=10, optimize=90))
        volume_id = world.add_volume(DATA)
        ec2 = EC2Client(world)
        made = self.enlarged(world, volume_id)
        assert (made["ModificationState"], made["Progress"], made["OriginalSize"]) == ("modifying", 0, 20)
        seen = []
        for _ in range(3):
            world.clock.advance(45)
            [found] = ec2.describe_volumes_modifications(VolumeIds=[volume_id])["VolumesModifications"]
            seen.append((found["ModificationState"], found["Progress"], "EndTime" in found))
        assert seen == [("optimizing", 45, False), ("optimizing", 90, False), ("completed", 100, True)]

    def test_it_can_fail_and_leaves_the_volume_as_it_was(self) -> None:
        world = World()
        volume_id = world.add_volume(DATA)
        self.enlarged(world, volume_id, at_operation("ModifyVolume", Fault.MODIFICATION_FAILS))
        world.clock.advance(1000)
        ec2 = EC2Client(world)
        [found] = ec2.describe_volumes_modifications()["VolumesModifications"]
        assert found["ModificationState"] == "failed"
        assert ec2.describe_volumes()["Volumes"][0]["Size"] == 20

    def test_after_six_hours_the_next_one_may_come(self) -> None:
        world = World()
        volume_id = world.add_volume(DATA)
        self.enlarged(world, volume_id)
        world.clock.advance(6 * 3600 - 1)
        with pytest.raises(ClientError, match="VolumeModificationRateExceeded"):
            self.enlarged(world, volume_id)
        world.clock.advance(1)
        assert self.enlarged(world, volume_id)["OriginalSize"] == 30

    @pytest.mark.parametrize(
        ("disk", "asked", "becomes"),
        [
            (DATA, {"Size": 25}, (25, "gp3", 4000, 250)),
            (DATA, {"Iops": 6000}, (20, "gp3", 6000, 250)),
            (DATA, {"VolumeType": "io2"}, (20, "io2", 3000, None)),
            (DATA, {"VolumeType": "gp2"}, (20, "gp2", 100, None)),
            (Disk("", 200, "gp2"), {"Size": 300}, (300, "gp2", 900, None)),
            (Disk("", 200, "gp2"), {"VolumeType": "gp3", "Throughput": 300}, (200, "gp3", 3000, 300)),
        ],
    )
    def test_what_is_not_named_stays_or_is_usual_for_the_type(self, disk: Disk, asked: Any, becomes: Any) -> None:
        world = World()
        volume_id = world.add_volume(disk)
        EC2Client(world).modify_volume(VolumeId=volume_id, **asked)
        world.clock.advance(10)
        volume = world.volumes.get(volume_id)
        assert volume is not None
        assert (volume.size, volume.type, volume.iops, volume.throughput) == becomes

    def test_it_changes_an_attached_volume_too_and_no_byte_on_it(self) -> None:
        world = World()
        instance_id = world.launch(ROOT, DATA, state="stopped")
        before = latest(world, instance_id)
        self.enlarged(world, volumes_of(world, instance_id)["/dev/sdf"])
        world.clock.advance(1000)
        assert fittings(world, instance_id)["/dev/sdf"].size == 30
        assert latest(world, instance_id) == before
        assert not problems(world)

    def test_it_ends_with_its_volume(self) -> None:
        world = World()
        volume_id = world.add_volume(DATA)
        self.enlarged(world, volume_id)
        EC2Client(world).delete_volume(VolumeId=volume_id)
        world.clock.advance(1000)
        assert EC2Client(world).describe_volumes_modifications()["VolumesModifications"] == []
        assert (world.modifications.rows, world.next_due) == ({}, None)

    def test_a_read_that_lags_does_not_see_it_yet(self) -> None:
        world = World()
        volume_id = world.add_volume(DATA)
        world.clock.advance(1000)
        world.lag = Lag(60, seed=1)
        self.enlarged(world, volume_id)
        ec2 = EC2Client(world)
        world.clock.advance(30)
        assert {len(ec2.describe_volumes_modifications()["VolumesModifications"]) for _ in range(50)} == {0, 1}

    def test_a_clone_has_its_own(self) -> None:
        world = World()
        volume_id = world.add_volume(DATA)
        other = world.clone()
        self.enlarged(other, volume_id)
        assert world.modifications.get(volume_id) is None

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"Filters": [{"Name": "tag:a", "Values": ["b"]}]}, "InvalidParameterValue"),
            ({"MaxResults": 501}, "InvalidParameterValue"),
            ({"VolumeIds": ["vol-of-nobody"]}, r"InvalidVolume\.NotFound"),
        ],
    )
    def test_what_ec2_does_not_know_is_refused(self, params: dict[str, Any], code: str) -> None:
        with pytest.raises(ClientError, match=code):
            EC2Client(World()).describe_volumes_modifications(**params)


class TestDryRuns:
    def test_without_further_checks_only_permissions_count(self) -> None:
        world = World()
        instance_id = world.launch()
        [root] = volumes_of(world, instance_id).values()
        for params in ({"VolumeId": root}, {"VolumeId": "vol-of-nobody"}):
            with pytest.raises(ClientError, match="DryRunOperation"):
                EC2Client(world).detach_volume(**params, DryRun=True)

    def test_with_further_checks_it_is_refused_as_the_call_would_be(self) -> None:
        world = World(rules=Rules(dry_run_checks=True))
        instance_id = world.launch(state="stopped")
        [root] = volumes_of(world, instance_id).values()
        ec2 = EC2Client(world)
        with pytest.raises(ClientError, match="VolumeInUse"):
            ec2.delete_volume(VolumeId=root, DryRun=True)
        with pytest.raises(ClientError, match="DryRunOperation"):
            ec2.detach_volume(VolumeId=root, DryRun=True)
        assert ec2.refusals == {"VolumeInUse": 1, "DryRunOperation": 1}

    @pytest.mark.parametrize("checks", [False, True])
    def test_it_leaves_no_trace_in_the_future_either(self, checks: bool) -> None:
        world = World(rules=Rules(dry_run_checks=checks))
        instance_id = world.launch(ROOT, DATA)
        other = world.clone()
        ec2, data = EC2Client(other), volumes_of(world, instance_id)["/dev/sdf"]
        with pytest.raises(ClientError, match="DryRunOperation"):
            ec2.stop_instances(InstanceIds=[instance_id], DryRun=True)
        for call in (ec2.detach_volume, ec2.create_snapshot):
            with pytest.raises(ClientError, match="DryRunOperation"):
                call(VolumeId=data, DryRun=True)
        assert (other.next_due, other.outbox, problems(other)) == (None, [], [])
        assert not differences(world, other, [instance_id, *volumes_of(world, instance_id).values()])
        assert world.new_id("vol") == other.new_id("vol")

    @pytest.mark.parametrize("checks", [False, True])
    def test_it_does_not_touch_the_key(self, checks: bool) -> None:
        world = World(rules=Rules(dry_run_checks=checks, broken_keys=frozenset(["arn:k"])))
        params = {"AvailabilityZone": "us-east-1a", "Size": 1, "Encrypted": True, "KmsKeyId": "arn:k"}
        with pytest.raises(ClientError, match="DryRunOperation"):
            EC2Client(world).create_volume(**params, DryRun=True)

    def test_it_is_throttled_as_calls_are(self) -> None:
        world = World()
        world.throttle = Throttle()
        ec2, volume_id = EC2Client(world), world.add_volume()
        for _ in range(60):
            with pytest.raises(ClientError):
                ec2.detach_volume(VolumeId=volume_id, DryRun=True)
        assert ec2.refusals == {"DryRunOperation": 50, "RequestLimitExceeded": 10}

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Fault.DIES_BEFORE, ProcessDied),
            (Fault.DIES_AFTER, ProcessDied),
            (Fault.ANSWER_LOST, ReadTimeoutError),
            (Fault.THROTTLED, ClientError),
            (Fault.DENIED, ClientError),
        ],
    )
    def test_it_can_fail_as_calls_do(self, fault: Fault, error: type[BaseException]) -> None:
        world = World()
        ec2 = EC2Client(world, faults=at_call(1, fault))
        with pytest.raises(error) as failed:
            ec2.delete_volume(VolumeId=world.add_volume(), DryRun=True)
        assert "DryRunOperation" not in str(failed.value)
        assert ec2.dead == (error is ProcessDied)

    def test_what_can_befall_only_the_effect_of_a_call_waits_for_the_call(self) -> None:
        world = World()
        volume_id = world.add_volume()
        ec2 = EC2Client(world, faults=at_operation("CreateSnapshot", Fault.SNAPSHOT_FAILS))
        with pytest.raises(ClientError, match="DryRunOperation"):
            ec2.create_snapshot(VolumeId=volume_id, DryRun=True)
        assert world.snapshots.get(snapshot(world, volume_id, ec2)).state == "error"  # type: ignore[union-attr]
