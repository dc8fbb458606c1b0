"""What EC2 is asked, what is read from its answers, and what its errors become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from park_volumes.aws import Ec2
from park_volumes.aws.described import PAGE, volume_of
from park_volumes.aws.errors import Ec2Error, Raced
from park_volumes.aws.reads import FILTER_VALUES
from park_volumes.core import tags
from park_volumes.core.facts import BlockDevice
from park_volumes.core.steps import (
    AttachVolume,
    ConfirmSnapshots,
    CountAttempt,
    CreateSnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    DiscardSnapshot,
    LockSnapshot,
    MarkVolume,
    RememberStart,
    SetDeleteOnTermination,
    SimpleStep,
    StartInstance,
    Step,
    UnmarkVolumes,
)
from park_volumes.core.volume_spec import VolumeSpec
from tests.model.ec2_model import EC2Client
from tests.model.faults import Fault, at_operation
from tests.model.records import Disk, Rules
from tests.model.validation import service_model
from tests.model.world import World
from tests.unit.facts import ID, MARK, NOW, OPT_IN, SETTINGS, record
from tests.unit.passes import ROOT, Stand

DEPLOYMENT = SETTINGS.deployment
GONE_VOLUME = "vol-00000000"
GONE_SNAPSHOT = "snap-00000000"
GONE_INSTANCE = "i-00000000"


class Recorder:
    """A client that writes down how it is called and answers every call alike."""

    meta = SimpleNamespace(service_model=service_model("ec2"))

    def __init__(self, answer: Callable[[str, dict[str, Any]], Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**params: Any) -> Any:
            self.calls.append((name, params))
            return self._answer(name, params)

        return call

    def get_paginator(self, name: str) -> Any:
        recorder = self

        class Pages:
            def paginate(self, **params: Any) -> list[Any]:
                return [getattr(recorder, name)(**params)]

        return Pages()


def watched(answer: Callable[[str, dict[str, Any]], Any]) -> tuple[Ec2, Recorder]:
    recorder = Recorder(answer)
    return Ec2(recorder, deployment=DEPLOYMENT), recorder  # type: ignore[arg-type]


def answering(code: str, message: str = "No.") -> Ec2:
    """EC2 that refuses every call with this code."""

    def refuse(name: str, _: dict[str, Any]) -> None:
        raise ClientError({"Error": {"Code": code, "Message": message}}, name)

    return watched(refuse)[0]


def root_of(stand: Stand, instance_id: str) -> str:
    root = stand.instance(instance_id).root
    assert root is not None
    return root.volume_id


class TestInstances:
    def test_an_instance_is_read_as_it_is(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        (one,) = stand.ec2().reads.instances([instance_id])

        assert (one.id, one.name, one.state) == (instance_id, "db", "stopped")
        assert (one.zone, one.root_device, one.root_device_type) == ("us-east-1a", "/dev/xvda", "ebs")
        assert (one.tags[OPT_IN], one.state_reason) == ("true", "Client.UserInitiatedShutdown")
        assert one.launch_time == stand.instance(instance_id).launch_time
        assert one.on("/dev/xvda") == BlockDevice(
            device="/dev/xvda", volume_id=root_of(stand, instance_id), status="attached"
        )
        assert one.on("/dev/sdz") is None

    def test_a_plain_instance_shows_nothing_that_is_refused(self, stand: Stand) -> None:
        (one,) = stand.ec2().reads.instances([stand.launch()])

        assert (one.lifecycle, one.hibernation, one.product_codes) == ("", False, ())
        assert (one.managed_by, one.outpost_arn, one.address) == ("", "", "")

    def test_what_is_refused_is_read(self, stand: Stand) -> None:
        facts = {
            "InstanceLifecycle": "spot",
            "HibernationOptions": {"Configured": True},
            "ProductCodes": [{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}],
            "Operator": {"Managed": True, "Principal": "eks.amazonaws.com"},
            "OutpostArn": "arn:aws:outposts:us-east-1:1:outpost/op-1",
            "RootDeviceType": "instance-store",
        }
        (one,) = stand.ec2().reads.instances([stand.launch(facts=facts)])

        assert (one.lifecycle, one.hibernation, one.product_codes) == ("spot", True, ("abc",))
        assert (one.managed_by, one.root_device_type) == ("eks.amazonaws.com", "instance-store")
        assert one.outpost_arn.endswith("op-1")

    def test_a_managed_instance_without_a_principal_is_managed_all_the_same(self, stand: Stand) -> None:
        (one,) = stand.ec2().reads.instances([stand.launch(facts={"Operator": {"Managed": True}})])

        assert one.managed_by == "an AWS service"

    def test_its_account_is_read(self, stand: Stand) -> None:
        (one,) = stand.ec2().reads.instances([stand.launch()])

        assert one.owner == stand.world.rules.account

    def test_the_moment_of_the_last_stop_is_read(self, stand: Stand) -> None:
        instance_id = stand.launch()
        stand.after(3600)
        asked = stand.clock.now()
        stand.stop(instance_id)
        (one,) = stand.ec2().reads.instances([instance_id])

        assert one.stopped_at == asked

    @pytest.mark.parametrize(
        "reason",
        [
            "",
            "Server.SpotInstanceTermination: Spot instance termination",
            "User initiated",
            "User initiated (2026-13-45 10:00:00 GMT)",
            "User initiated (soon)",
        ],
    )
    def test_no_moment_is_guessed_where_ec2_tells_none(self, stand: Stand, reason: str) -> None:
        (one,) = stand.ec2().reads.instances([stand.launch(facts={"StateTransitionReason": reason})])

        assert one.stopped_at is None

    @pytest.mark.parametrize(
        ("facts", "address"),
        [
            ({"PublicDnsName": "ec2.example", "PublicIpAddress": "3.4.5.6"}, "ec2.example"),
            ({"PublicDnsName": "", "PublicIpAddress": "3.4.5.6", "PrivateIpAddress": "10.0.0.7"}, "3.4.5.6"),
            ({"PrivateIpAddress": "10.0.0.7"}, "10.0.0.7"),
        ],
    )
    def test_the_most_public_address_is_shown(self, stand: Stand, facts: dict[str, str], address: str) -> None:
        (one,) = stand.ec2().reads.instances([stand.launch(facts=facts)])

        assert one.address == address

    def test_devices_without_a_volume_are_left_out(self, stand: Stand) -> None:
        facts = {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb"}]}
        (one,) = stand.ec2().reads.instances([stand.launch(facts=facts)])

        assert one.mappings == ()

    def test_an_unknown_id_is_left_out(self, stand: Stand) -> None:
        known = stand.launch()

        assert [i.id for i in stand.ec2().reads.instances([GONE_INSTANCE, known])] == [known]

    def test_nothing_is_asked_for_no_ids(self) -> None:
        ec2, recorder = watched(lambda *_: {})

        assert (ec2.reads.instances([]), ec2.reads.volumes([]), ec2.reads.locked([])) == ([], [], frozenset())
        assert recorder.calls == []

    def test_instances_are_found_by_a_tag_whatever_it_says_and_by_name(self, stand: Stand) -> None:
        wanted, web = stand.launch(name="db"), stand.launch(name="web")
        other = stand.launch(name="db", opt_in="false")

        reads = stand.ec2().reads
        assert {i.id for i in reads.instances_tagged(OPT_IN, name="db")} == {wanted, other}
        assert {i.id for i in reads.instances_tagged(OPT_IN)} == {wanted, other, web}
        assert reads.instances_tagged("Nightly") == []

    @pytest.mark.parametrize("name", ["d*", "d?", "", "DB"])
    def test_a_name_is_taken_as_it_is(self, stand: Stand, name: str) -> None:
        stand.launch(name="db")

        assert stand.ec2().reads.instances_tagged(OPT_IN, name=name) == []


class TestVolumes:
    def test_a_volume_is_read_as_it_is(self, stand: Stand) -> None:
        key = "arn:aws:kms:us-east-1:123456789012:key/k"
        disk = Disk(device="/dev/xvda", size=32, iops=4000, throughput=250, key=key, tags={"Name": "root"}, card=0)
        instance_id = stand.launch(disk)
        (v,) = stand.ec2().reads.volumes([root_of(stand, instance_id)])

        assert v.spec == VolumeSpec(
            zone="us-east-1a", type="gp3", size=32, iops=4000, throughput=250, encrypted=True, kms_key=key
        )
        assert (v.state, v.snapshot_id, v.tags) == ("in-use", "", {"Name": "root"})
        assert (v.mark, v.multi_attach) == (None, False)

    def test_its_attachment_is_read_as_it_is(self, stand: Stand) -> None:
        instance_id = stand.launch(ROOT, Disk(device="/dev/sdf", card=1, delete_on_termination=False))
        ids = [item.volume_id for item in stand.instance(instance_id).devices]
        data, root = sorted((v.attachments[0] for v in stand.ec2().reads.volumes(ids)), key=lambda a: a.device)

        assert (data.instance_id, data.device, data.state) == (instance_id, "/dev/sdf", "attached")
        assert (data.card, data.delete_on_termination) == (1, False)
        assert (root.card, root.delete_on_termination) == (0, True)
        assert root.attach_time == stand.instance(instance_id).launch_time

    def test_an_unknown_id_is_left_out(self, stand: Stand) -> None:
        assert stand.ec2().reads.volumes([GONE_VOLUME]) == []

    def test_a_marked_volume_has_its_mark(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        (marked,) = [v for v in stand.ec2().reads.marked_volumes([instance_id]) if not v.attachments]

        assert marked.mark is not None
        assert marked.mark.instance_id == instance_id

    def test_marks_of_other_instances_and_deployments_are_not_found(self, stand: Stand) -> None:
        mine, other = stand.rootless(), stand.rootless(name="web")
        foreign = Ec2(EC2Client(stand.world), deployment="another")  # type: ignore[arg-type]

        assert {v.mark.instance_id for v in stand.ec2().reads.marked_volumes([mine]) if v.mark} == {mine}
        assert {v.mark.instance_id for v in stand.ec2().reads.marked_volumes("*") if v.mark} == {mine, other}
        assert foreign.reads.marked_volumes("*") == []

    @pytest.mark.parametrize(("described", "card"), [({}, 0), ({"EbsCardIndex": 1}, 1)])
    def test_is_at_the_first_card_where_ec2_names_none(self, described: dict[str, int], card: int) -> None:
        attachment = {"InstanceId": ID, "Device": "/dev/xvda", "State": "attached", "AttachTime": NOW} | described
        volume = {"VolumeId": "vol-1", "State": "in-use", "AvailabilityZone": "eu-central-1b", "VolumeType": "gp3"}

        (found,) = volume_of(volume | {"Size": 8, "Attachments": [attachment]}).attachments

        assert found.card == card


class TestSnapshots:
    def test_records_are_found_by_instance_and_by_id(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.parked(name="web")
        ec2 = stand.ec2()
        found = ec2.reads.snapshots_of([instance_id]).records
        one = found[0]

        assert {r.instance_id for r in found} == {instance_id}
        assert len(found) == 2
        assert ec2.reads.snapshots_named([one.snapshot_id]).records == (one,)
        assert ec2.reads.every_snapshot(with_request=True).records == ()
        assert len(ec2.reads.every_snapshot().records) == 4

    def test_only_those_with_a_start_request_are_found_by_it(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.parked(name="web")
        ec2 = stand.ec2()
        ids = tuple(r.snapshot_id for r in ec2.reads.snapshots_of([instance_id]).records)
        ec2.writes.do(RememberStart(snapshot_ids=ids, at=NOW))

        assert {(r.instance_id, r.start_requested) for r in ec2.reads.every_snapshot(with_request=True).records} == {
            (instance_id, NOW)
        }

    def test_snapshots_of_other_deployments_and_other_people_are_not_seen(self, stand: Stand) -> None:
        stand.world.add_snapshot(tags={tags.DEPLOYMENT: "another"})
        stand.world.add_snapshot(tags={})
        stand.world.add_snapshot(tags={tags.DEPLOYMENT: DEPLOYMENT}, owner="999999999999")

        assert stand.ec2().reads.every_snapshot() == stand.ec2().reads.every_snapshot(with_request=True)

    def test_a_damaged_record_is_reported_beside_the_others(self, stand: Stand) -> None:
        instance_id = stand.parked()
        broken = stand.world.add_snapshot(tags={tags.DEPLOYMENT: DEPLOYMENT, tags.INSTANCE: instance_id})
        found = stand.ec2().reads.snapshots_of([instance_id])

        assert len(found.records) == 2
        assert broken in found.damaged[instance_id][0]

    def test_every_damaged_record_is_reported(self, stand: Stand) -> None:
        for _ in range(2):
            stand.world.add_snapshot(tags={tags.DEPLOYMENT: DEPLOYMENT})

        assert len(stand.ec2().reads.every_snapshot().damaged[""]) == 2

    def test_locked_snapshots_are_told_from_others(self, stand: Stand) -> None:
        locked, free = stand.world.add_snapshot(), stand.world.add_snapshot()
        stand.ec2().writes.do(LockSnapshot(snapshot_id=locked))

        assert stand.ec2().reads.locked([locked, free]) == {locked}

    @pytest.mark.parametrize("refused", [False, True])
    def test_locks_are_told_whatever_ec2_says_of_ids_that_are_not_locked(self, refused: bool) -> None:
        stand = Stand(World(rules=Rules(unlocked_ids_refused=refused)))
        locked, free = stand.world.add_snapshot(), stand.world.add_snapshot()
        stand.ec2().writes.do(LockSnapshot(snapshot_id=locked))

        assert stand.ec2().reads.locked([locked, free, GONE_SNAPSHOT]) == {locked}

    def test_the_locks_of_others_are_none_of_these(self, stand: Stand) -> None:
        ours, theirs = stand.world.add_snapshot(), stand.world.add_snapshot()
        for snapshot_id in (ours, theirs):
            stand.owner.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)

        assert stand.ec2().reads.locked([ours]) == {ours}

    def test_an_expired_lock_is_none(self, stand: Stand) -> None:
        snapshot_id = stand.world.add_snapshot()
        stand.owner.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
        stand.after(timedelta(days=2).total_seconds())

        assert stand.ec2().reads.locked([snapshot_id]) == frozenset()


class TestOthersAtWork:
    """What is to be waited for before a volume is copied or given up."""

    def volume(self, stand: Stand) -> str:
        return stand.world.add_volume(Disk(device="", size=10))

    def test_a_volume_is_being_modified_until_it_is_optimized(self, stand: Stand) -> None:
        modified, other = self.volume(stand), self.volume(stand)
        began = stand.clock.now()
        stand.owner.modify_volume(VolumeId=modified, Size=20)
        reads = stand.ec2().reads
        told: list[dict[str, datetime]] = []
        for seconds in (0, stand.world.durations.modify, stand.world.durations.optimize):
            stand.after(seconds)
            told.append(reads.modifying([modified, other]))

        assert told == [{modified: began}, {modified: began}, {}]

    def test_modifications_are_asked_for_in_filters_and_pages_that_ec2_takes(self) -> None:
        ec2, recorder = watched(lambda *_: {"VolumesModifications": []})
        ec2.reads.modifying(f"vol-{n:08x}" for n in range(200))
        sizes = [sum(len(f["Values"]) for f in params["Filters"]) for _, params in recorder.calls]

        assert sizes == [195, 9]
        assert [params["PaginationConfig"] for _, params in recorder.calls] == [{"PageSize": 500}] * 2

    def test_a_pending_snapshot_of_somebody_else_is_seen_whatever_its_tags_say(self, stand: Stand) -> None:
        copied, other = self.volume(stand), self.volume(stand)
        forged = [{"ResourceType": "snapshot", "Tags": [{"Key": tags.DEPLOYMENT, "Value": DEPLOYMENT}]}]
        made = stand.owner.create_snapshot(VolumeId=copied, TagSpecifications=forged)["SnapshotId"]
        reads, began = stand.ec2().reads, stand.clock.now()

        assert reads.being_copied([copied, other], ours=()) == {copied: began}
        assert reads.being_copied([copied, other], ours=[made]) == {}
        stand.after(60)
        assert reads.being_copied([copied, other], ours=()) == {}

    def test_pending_snapshots_are_asked_for_in_filters_that_ec2_takes(self) -> None:
        ec2, recorder = watched(lambda *_: {"Snapshots": []})
        ec2.reads.being_copied((f"vol-{n:08x}" for n in range(200)), ours=())

        assert [sum(len(f["Values"]) for f in params["Filters"]) for _, params in recorder.calls] == [196, 6]

    def test_nothing_is_asked_for_no_volumes(self) -> None:
        ec2, recorder = watched(lambda *_: {})

        assert (ec2.reads.modifying([]), ec2.reads.being_copied([], ours=())) == ({}, {})
        assert recorder.calls == []


class TestManyAtOnce:
    def test_ids_are_asked_for_in_filters_that_leave_room_for_the_deployment(self) -> None:
        ec2, recorder = watched(lambda *_: {"Volumes": []})
        ec2.reads.volumes([f"vol-{n:08x}" for n in range(450)])
        sizes = [len(params["Filters"][0]["Values"]) for _, params in recorder.calls]

        assert sizes == [195, 195, 60]
        assert FILTER_VALUES == 195

    def test_ids_given_twice_are_asked_for_once(self) -> None:
        ec2, recorder = watched(lambda *_: {"Volumes": []})
        ec2.reads.volumes(["vol-2", "vol-1", "vol-2"])

        assert [params["Filters"][0]["Values"] for _, params in recorder.calls] == [["vol-1", "vol-2"]]

    def test_more_than_one_page_is_read(self, stand: Stand) -> None:
        for _ in range(PAGE + 5):
            stand.world.add_snapshot(tags={tags.DEPLOYMENT: DEPLOYMENT, tags.INSTANCE: ID})
        client = EC2Client(stand.world)
        found = Ec2(client, deployment=DEPLOYMENT).reads.every_snapshot()  # type: ignore[arg-type]

        assert len(found.damaged[ID]) == PAGE + 5
        assert client.calls == {"DescribeSnapshots": 2}

    def test_locks_are_read_page_after_page_until_all_are_found(self) -> None:
        pages = {
            None: {"Snapshots": [{"SnapshotId": "snap-1"}], "NextToken": "a"},
            "a": {"Snapshots": [], "NextToken": "b"},
            "b": {"Snapshots": [{"SnapshotId": "snap-2"}], "NextToken": "c"},
            "c": {"Snapshots": [{"SnapshotId": "snap-3"}]},
        }
        ec2, recorder = watched(lambda _, params: pages[params.get("NextToken")])

        assert ec2.reads.locked(["snap-1", "snap-2"]) == {"snap-1", "snap-2"}
        assert [params.get("NextToken") for _, params in recorder.calls] == [None, "a", "b"]
        assert ec2.reads.locked(["snap-1", "snap-3", "snap-4"]) == {"snap-1", "snap-3"}
        assert {params["MaxResults"] for _, params in recorder.calls} == {PAGE}
        assert not any("SnapshotIds" in params for _, params in recorder.calls)

    def test_every_description_is_paged(self) -> None:
        ec2, recorder = watched(lambda *_: {"Reservations": [], "Volumes": [], "Snapshots": []})
        ec2.reads.instances_tagged(OPT_IN)
        ec2.reads.marked_volumes("*")
        ec2.reads.every_snapshot()

        assert [params["PaginationConfig"] for _, params in recorder.calls] == [{"PageSize": PAGE}] * 3


class TestCreateVolume:
    def asked(self, **facts: Any) -> dict[str, Any]:
        """The parameters of CreateVolume for such a record."""
        ec2, recorder = watched(lambda *_: {"VolumeId": "vol-new", "CreateTime": NOW})
        made = ec2.writes.create_volume(
            CreateVolume(record=record("/dev/sdf", confirmed_at=MARK.at, **facts), token="snap-data-1")
        )
        assert made == ("vol-new", NOW)
        ((_, params),) = recorder.calls
        return params

    def test_says_all_that_the_volume_was(self) -> None:
        params = self.asked(type="gp3", size=100, iops=4000, throughput=250, zone="eu-west-1c")

        assert params["SnapshotId"] == "snap-data"
        assert (params["AvailabilityZone"], params["VolumeType"], params["Size"]) == ("eu-west-1c", "gp3", 100)
        assert (params["Iops"], params["Throughput"]) == (4000, 250)
        assert params["ClientToken"] == "snap-data-1"

    @pytest.mark.parametrize(
        ("volume_type", "performance"),
        [
            ("gp3", {"Iops", "Throughput"}),
            ("io1", {"Iops"}),
            ("io2", {"Iops"}),
            ("gp2", set()),
            ("st1", set()),
            ("sc1", set()),
            ("standard", set()),
        ],
    )
    def test_gives_each_type_the_performance_that_it_takes(self, volume_type: str, performance: set[str]) -> None:
        """DescribeVolumes reports Iops for types that CreateVolume takes none for."""
        params = self.asked(type=volume_type, iops=3000, throughput=125)

        assert params.keys() & {"Iops", "Throughput"} == performance

    def test_gives_no_performance_that_was_not_recorded(self) -> None:
        assert self.asked(type="gp3", iops=None, throughput=None).keys().isdisjoint({"Iops", "Throughput"})

    def test_names_the_key(self) -> None:
        params = self.asked(encrypted=True, kms_key="arn:aws:kms:key/1")

        assert (params["Encrypted"], params["KmsKeyId"]) == (True, "arn:aws:kms:key/1")

    def test_names_no_key_for_a_plain_volume(self) -> None:
        assert "KmsKeyId" not in self.asked()

    def test_is_born_with_its_tags_its_mark_and_its_target(self) -> None:
        (specification,) = self.asked(user_tags={"Name": "data"})["TagSpecifications"]

        assert specification["ResourceType"] == "volume"
        assert {t["Key"] for t in specification["Tags"]} == {"Name", tags.MARK, tags.TARGET}

    @pytest.mark.parametrize("volume_type", ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"])
    def test_is_taken_by_ec2_for_every_type(self, stand: Stand, volume_type: str) -> None:
        """As DescribeVolumes tells of the volume, so it is made again."""
        iops = 3000 if volume_type in ("io1", "io2") else None
        instance_id = stand.parked(ROOT, Disk(device="/dev/sdf", size=500, type=volume_type, iops=iops))
        made = [
            stand.ec2().writes.create_volume(CreateVolume(record=r, token=f"{r.snapshot_id}-1"))
            for r in stand.ec2().reads.snapshots_of([instance_id]).records
        ]

        assert volume_type in {v.spec.type for v in stand.ec2().reads.volumes(i for i, _ in made)}

    def test_of_a_snapshot_that_is_gone_was_raced(self, stand: Stand) -> None:
        gone = record("/dev/sdf", snapshot_id=GONE_SNAPSHOT, confirmed_at=MARK.at, zone="us-east-1a")

        with pytest.raises(Raced, match=GONE_SNAPSHOT):
            stand.ec2().writes.create_volume(CreateVolume(record=gone, token="t"))

    def test_with_a_token_that_was_used_for_other_parameters_was_raced(self, stand: Stand) -> None:
        instance_id = stand.parked()
        first, second = stand.ec2().reads.snapshots_of([instance_id]).records
        stand.ec2().writes.create_volume(CreateVolume(record=first, token="the-same"))

        with pytest.raises(Raced, match="IdempotentParameterMismatch"):
            stand.ec2().writes.create_volume(CreateVolume(record=second, token="the-same"))

    def test_with_the_same_token_answers_with_the_same_volume_and_its_age(self, stand: Stand) -> None:
        instance_id = stand.parked()
        r = stand.ec2().reads.snapshots_of([instance_id]).records[0]
        first = stand.ec2().writes.create_volume(CreateVolume(record=r, token="the-same"))
        stand.after(500)

        assert stand.ec2().writes.create_volume(CreateVolume(record=r, token="the-same")) == first


class TestDetachVolume:
    DETACH = DetachVolume(volume_id="vol-1", instance_id=ID, device="/dev/sdf", attach_time=NOW)

    def without_a_time(self, attachments: list[dict[str, Any]]) -> Callable[[str, dict[str, Any]], Any]:
        """EC2 whose DetachVolume tells no time, while the volume still shows these attachments."""
        answers = {"detach_volume": {}, "describe_volumes": {"Volumes": [{"Attachments": attachments}]}}
        return lambda name, _: answers[name]

    def test_a_volume_is_detached_from_the_very_instance_and_device(self) -> None:
        ec2, recorder = watched(lambda *_: {"AttachTime": NOW})
        ec2.writes.do(self.DETACH)

        assert recorder.calls == [("detach_volume", {"VolumeId": "vol-1", "InstanceId": ID, "Device": "/dev/sdf"})]

    @pytest.mark.parametrize("fractions", [(0, 432_000), (432_000, 0), (971_000, 971_000)])
    def test_the_same_attachment_is_known_by_the_second(self, fractions: tuple[int, int]) -> None:
        """Recorded answers of EC2 cut the time of an attachment to seconds, or not."""
        shown, told = (NOW.replace(microsecond=n) for n in fractions)
        ec2, recorder = watched(lambda *_: {"AttachTime": told})
        ec2.writes.do(replace(self.DETACH, attach_time=shown))

        assert [name for name, _ in recorder.calls] == ["detach_volume"]

    def test_a_volume_that_was_attached_anew_meanwhile_was_raced(self) -> None:
        ec2, _ = watched(lambda *_: {"AttachTime": NOW + timedelta(seconds=1)})

        with pytest.raises(Raced, match=r"vol-1 \(AttachedAnew\): it was attached again at 12:00:01"):
            ec2.writes.do(self.DETACH)

    @pytest.mark.parametrize(
        "attachments",
        [
            [],
            [{"InstanceId": ID, "AttachTime": NOW}],
            [{"InstanceId": ID}],
            [{"InstanceId": "i-0fedcba9876543210", "AttachTime": NOW + timedelta(hours=1)}],
        ],
    )
    def test_an_answer_without_a_time_is_no_error(self, attachments: list[dict[str, Any]]) -> None:
        ec2, recorder = watched(self.without_a_time(attachments))
        ec2.writes.do(self.DETACH)

        assert recorder.calls[1:] == [("describe_volumes", {"VolumeIds": ["vol-1"]})]

    def test_the_leaving_volume_tells_of_another_attachment_where_the_answer_does_not(self) -> None:
        ec2, _ = watched(self.without_a_time([{"InstanceId": ID, "AttachTime": NOW + timedelta(seconds=1)}]))

        with pytest.raises(Raced, match=r"vol-1 \(AttachedAnew\): it was attached again at 12:00:01"):
            ec2.writes.do(self.DETACH)


class TestAttachVolume:
    def test_names_no_card_where_it_is_0(self) -> None:
        ec2, recorder = watched(lambda *_: {})
        ec2.writes.attach_volume(AttachVolume(instance_id=ID, device="/dev/sdf", card=0, volume_id="vol-1"), "vol-1")

        assert recorder.calls == [
            ("attach_volume", {"VolumeId": "vol-1", "InstanceId": ID, "Device": "/dev/sdf"}),
        ]

    def test_names_the_card_where_it_is_another(self) -> None:
        ec2, recorder = watched(lambda *_: {})
        ec2.writes.attach_volume(AttachVolume(instance_id=ID, device="/dev/sdf", card=1, volume_id="vol-1"), "vol-1")

        assert recorder.calls[0][1]["EbsCardIndex"] == 1

    def test_at_a_device_that_is_taken_was_raced(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        free = stand.world.add_volume()

        with pytest.raises(Raced, match="already in use"):
            stand.ec2().writes.attach_volume(AttachVolume(instance_id=instance_id, device="/dev/sdf", card=0), free)

    def test_in_another_zone_is_an_error(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        far = stand.world.add_volume(zone="us-east-1b")

        with pytest.raises(Ec2Error, match="not in the same availability zone") as caught:
            stand.ec2().writes.attach_volume(AttachVolume(instance_id=instance_id, device="/dev/sdz", card=0), far)
        assert not isinstance(caught.value, Raced)


class TestSteps:
    def test_a_snapshot_is_taken_with_its_description_and_tags(self, stand: Stand) -> None:
        volume_id = root_of(stand, stand.launch())
        stand.ec2().writes.do(CreateSnapshot(volume_id=volume_id, description="ParkVolumes: x", tags={"Name": "root"}))
        (made,) = stand.world.snapshots.current()

        assert (made.volume_id, made.description, made.tags) == (volume_id, "ParkVolumes: x", {"Name": "root"})

    def test_a_snapshot_is_locked_for_good_but_not_for_ever(self) -> None:
        ec2, recorder = watched(lambda *_: {})
        ec2.writes.do(LockSnapshot(snapshot_id="snap-1"))

        assert recorder.calls == [
            ("lock_snapshot", {"SnapshotId": "snap-1", "LockMode": "governance", "LockDuration": 36_500})
        ]

    def test_a_mark_is_written_on_the_volume_with_its_place(self, stand: Stand) -> None:
        volume_id = root_of(stand, stand.launch())
        target = record("/dev/xvda").target
        stand.ec2().writes.do(MarkVolume(volume_id=volume_id, mark=MARK, target=target))
        (v,) = stand.ec2().reads.volumes([volume_id])

        assert v.mark == MARK
        assert v.tags.items() >= tags.tags_of_transit(MARK, target).items()

    def test_all_snapshots_are_confirmed_at_once(self, stand: Stand) -> None:
        ids = (stand.world.add_snapshot(), stand.world.add_snapshot())
        client = EC2Client(stand.world)
        Ec2(client, deployment=DEPLOYMENT).writes.do(ConfirmSnapshots(snapshot_ids=ids, at=MARK.at))  # type: ignore[arg-type]

        assert client.calls == {"CreateTags": 1}
        assert {s.tags[tags.MARK] for s in stand.world.snapshots.current()} == {MARK.at.isoformat()}

    def test_a_mark_goes_with_its_target_and_no_other_tag(self, stand: Stand) -> None:
        target = record("/dev/xvda").target
        volume_id = stand.world.add_volume(ROOT._replace(tags={"Name": "root"} | tags.tags_of_transit(MARK, target)))
        stand.ec2().writes.do(UnmarkVolumes(volume_ids=(volume_id,), mark=MARK))
        (v,) = stand.ec2().reads.volumes([volume_id])

        assert v.tags == {"Name": "root"}

    def test_a_newer_mark_is_not_taken_off(self, stand: Stand) -> None:
        newer = tags.mark_value(MARK).replace("2026-03-02T11:30", "2026-03-02T11:45")
        volume_id = stand.world.add_volume(ROOT._replace(tags={tags.MARK: newer}))
        stand.ec2().writes.do(UnmarkVolumes(volume_ids=(volume_id,), mark=MARK))
        (v,) = stand.ec2().reads.volumes([volume_id])

        assert v.tags[tags.MARK] == newer

    def test_an_available_volume_is_deleted(self, stand: Stand) -> None:
        volume_id = stand.world.add_volume()
        stand.ec2().writes.do(DeleteVolume(volume_id=volume_id))
        stand.after(10)

        assert stand.world.find(volume_id) is None

    def test_a_locked_snapshot_is_unlocked_and_deleted(self, stand: Stand) -> None:
        snapshot_id = stand.world.add_snapshot()
        stand.ec2().writes.do(LockSnapshot(snapshot_id=snapshot_id))
        stand.ec2().writes.do(DiscardSnapshot(snapshot_id=snapshot_id, locked=True))

        assert stand.world.find(snapshot_id) is None

    def test_a_snapshot_that_was_not_locked_after_all_is_deleted(self, stand: Stand) -> None:
        snapshot_id = stand.world.add_snapshot()
        stand.ec2().writes.do(DiscardSnapshot(snapshot_id=snapshot_id, locked=True))

        assert stand.world.find(snapshot_id) is None

    def test_a_lock_that_nobody_knew_of_is_an_error(self, stand: Stand) -> None:
        snapshot_id = stand.world.add_snapshot()
        stand.ec2().writes.do(LockSnapshot(snapshot_id=snapshot_id))

        with pytest.raises(Ec2Error, match="SnapshotLocked"):
            stand.ec2().writes.do(DiscardSnapshot(snapshot_id=snapshot_id, locked=False))

    def test_a_start_request_is_written_on_all_snapshots_at_once(self, stand: Stand) -> None:
        ids = (stand.world.add_snapshot(), stand.world.add_snapshot())
        client = EC2Client(stand.world)
        Ec2(client, deployment=DEPLOYMENT).writes.do(RememberStart(snapshot_ids=ids, at=NOW))  # type: ignore[arg-type]

        assert client.calls == {"CreateTags": 1}
        assert {s.tags[tags.START_REQUESTED] for s in stand.world.snapshots.current()} == {NOW.isoformat()}

    def test_an_attempt_is_written_on_its_snapshot(self, stand: Stand) -> None:
        snapshot_id = stand.world.add_snapshot()
        stand.ec2().writes.do(CountAttempt(snapshot_id=snapshot_id, attempt=3))
        found = stand.world.find(snapshot_id)

        assert found is not None
        assert found.tags[tags.ATTEMPT] == "3"

    def test_delete_on_termination_is_set_for_each_device(self, stand: Stand) -> None:
        instance_id = stand.launch()
        flags = {"/dev/xvda": False, "/dev/sdf": True}
        stand.ec2().writes.do(SetDeleteOnTermination(instance_id=instance_id, devices=flags))

        assert {d.device: d.delete_on_termination for d in stand.instance(instance_id).devices} == flags

    def test_delete_on_termination_at_an_empty_device_was_raced(self, stand: Stand) -> None:
        step = SetDeleteOnTermination(instance_id=stand.launch(), devices={"/dev/sdz": True})

        with pytest.raises(Raced):
            stand.ec2().writes.do(step)

    def test_an_instance_is_started_and_stopped(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.ec2().writes.do(StartInstance(instance_id=instance_id))
        stand.after(60)
        assert stand.instance(instance_id).state == "running"
        stand.ec2().writes.stop_instance(instance_id)

        assert stand.instance(instance_id).state == "stopping"

    def test_a_start_without_the_root_volume_was_raced(self, stand: Stand) -> None:
        instance_id = stand.rootless()

        with pytest.raises(Raced, match="does not have a volume attached at root"):
            stand.ec2().writes.do(StartInstance(instance_id=instance_id))

    @pytest.mark.parametrize(
        "step",
        [
            CreateVolume(record=record("/dev/sdf"), token="t"),
            AttachVolume(instance_id=ID, device="/dev/sdf", card=0, volume_id="vol-1"),
        ],
    )
    def test_steps_with_an_answer_are_not_done_without_looking_at_it(self, step: Step) -> None:
        """The type checker says so, and so does the function itself."""
        with pytest.raises(AssertionError, match=f"unreachable, but got: {name_of(step)}"):
            answering("Nothing").writes.do(step)  # type: ignore[arg-type]


STEPS: list[SimpleStep] = [
    CreateSnapshot(volume_id="vol-1", description="", tags={}),
    LockSnapshot(snapshot_id="snap-1"),
    MarkVolume(volume_id="vol-1", mark=MARK, target=record("/dev/xvda").target),
    DetachVolume(volume_id="vol-1", instance_id=ID, device="/dev/sdf", attach_time=NOW),
    DeleteVolume(volume_id="vol-1"),
    DiscardSnapshot(snapshot_id="snap-1", locked=False),
    RememberStart(snapshot_ids=("snap-1", "snap-2"), at=NOW),
    CountAttempt(snapshot_id="snap-1", attempt=2),
    SetDeleteOnTermination(instance_id=ID, devices={"/dev/sdf": True}),
    UnmarkVolumes(volume_ids=("vol-1",), mark=MARK),
    StartInstance(instance_id=ID),
    ConfirmSnapshots(snapshot_ids=("snap-1", "snap-2"), at=MARK.at),
]


def name_of(step: object) -> str:
    return type(step).__name__


class TestErrors:
    @pytest.mark.parametrize("step", STEPS, ids=name_of)
    @pytest.mark.parametrize("code", ["IncorrectState", "IncorrectInstanceState", "VolumeInUse"])
    def test_a_state_that_has_moved_on_was_raced(self, step: SimpleStep, code: str) -> None:
        with pytest.raises(Raced, match=code):
            answering(code).writes.do(step)

    @pytest.mark.parametrize("step", STEPS, ids=name_of)
    @pytest.mark.parametrize("code", ["UnauthorizedOperation", "RequestLimitExceeded", "InternalError"])
    def test_anything_else_is_an_error_that_names_call_resource_and_code(self, step: SimpleStep, code: str) -> None:
        with pytest.raises(Ec2Error, match=rf"\w+ failed for (vol|snap|i)-\S+.* \({code}\): No\.") as caught:
            answering(code).writes.do(step)

        assert not isinstance(caught.value, Raced)
        assert caught.value.code == code

    @pytest.mark.parametrize(
        "step",
        [STEPS[4], STEPS[5], STEPS[9]],
        ids=name_of,
    )
    @pytest.mark.parametrize("code", ["InvalidVolume.NotFound", "InvalidSnapshot.NotFound"])
    def test_to_delete_what_is_gone_is_done(self, step: SimpleStep, code: str) -> None:
        answering(code).writes.do(step)

    @pytest.mark.parametrize("code", ["SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded"])
    def test_too_many_snapshots_of_a_volume_is_no_fault(self, code: str) -> None:
        with pytest.raises(Raced):
            answering(code).writes.do(STEPS[0])

    def test_a_detachment_that_somebody_else_did_was_raced(self) -> None:
        with pytest.raises(Raced):
            answering("InvalidAttachment.NotFound").writes.do(STEPS[3])

    def test_a_bad_parameter_is_a_race_only_where_ec2_answers_so_for_a_device_or_a_root(self) -> None:
        code, start = "InvalidParameterValue", StartInstance(instance_id=ID)
        words = f"Invalid value '{ID}' for instanceId. Instance does not have a volume attached at root (/dev/xvda)"
        with pytest.raises(Raced):
            answering(code, words).writes.do(start)
        for step in (start, LockSnapshot(snapshot_id="snap-1")):
            with pytest.raises(Ec2Error) as caught:
                answering(code).writes.do(step)
            assert not isinstance(caught.value, Raced)

    def test_a_call_that_did_not_come_through_is_an_error_in_words(self) -> None:
        def fail(*_: object) -> None:
            raise EndpointConnectionError(endpoint_url="https://ec2.example")

        with pytest.raises(Ec2Error, match=r"StartInstances failed for i-\w+ \(EndpointConnectionError\)"):
            watched(fail)[0].writes.do(StartInstance(instance_id=ID))

    def test_other_exceptions_go_their_way(self) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            watched(fail)[0].writes.do(StartInstance(instance_id=ID))

    @pytest.mark.parametrize("operation", ["DescribeInstances", "DescribeVolumes", "DescribeSnapshots"])
    def test_a_description_that_fails_is_an_error(self, stand: Stand, operation: str) -> None:
        instance_id = stand.launch()
        ec2 = stand.ec2(faults=at_operation(operation, Fault.DENIED))

        with pytest.raises(Ec2Error, match=f"{operation} failed"):
            (ec2.reads.instances([instance_id]), ec2.reads.marked_volumes("*"), ec2.reads.every_snapshot())

    def test_a_description_of_locks_that_fails_is_an_error(self) -> None:
        with pytest.raises(Ec2Error, match="DescribeLockedSnapshots failed"):
            answering("UnauthorizedOperation").reads.locked(["snap-1"])

    def test_a_stop_that_is_refused_is_an_error(self) -> None:
        with pytest.raises(Ec2Error, match="StopInstances failed"):
            answering("UnsupportedOperation").writes.stop_instance(ID)

    def test_to_unlock_may_be_refused_while_the_deletion_succeeds(self, stand: Stand) -> None:
        snapshot_id = stand.world.add_snapshot()
        stand.ec2().writes.do(DiscardSnapshot(snapshot_id=snapshot_id, locked=True))

        assert stand.world.find(snapshot_id) is None

    def test_an_error_of_the_moment_while_unlocking_is_none_of_the_deletion(self, stand: Stand) -> None:
        """EC2 would refuse to delete it, as if somebody else had locked it."""
        snapshot_id = stand.world.add_snapshot()
        ec2 = stand.ec2(faults=at_operation("UnlockSnapshot", Fault.THROTTLED))
        with pytest.raises(Ec2Error, match="UnlockSnapshot failed"):
            ec2.writes.do(DiscardSnapshot(snapshot_id=snapshot_id, locked=True))

        assert stand.world.find(snapshot_id) is not None
