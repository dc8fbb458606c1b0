"""EC2's rules, in one table. The strict EC2 model and the local AWS must both keep every one of them.

tests/unit asks the model, tests/processes the local AWS, and `make live` EC2 itself.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests.model.accounts import A_DAY, ARCHIVE, CARDS, DATA_DEVICES, Account, Machine

SPARE = "/dev/sdp"
MARK = {"Key": "park-volumes:mark", "Value": "park-volumes first"}


class Refusal(NamedTuple):
    """The code, and words that the message contains."""

    code: str
    words: str = ""


class Rule(NamedTuple):
    """What `act` does with what `arrange` made either is refused or answers with `expected`."""

    name: str
    arrange: Callable[[Account], Any]
    act: Callable[[Account, Any], Any]
    expected: Any
    needs: str = ""
    """What an account has to have. Where it lacks that, the rule cannot be tried there."""


def nothing(_: Account) -> None:
    """For rules that need nothing arranged."""


def machine_and(make: Callable[[Account], Any], state: str = "running") -> Callable[[Account], tuple[Machine, Any]]:
    return lambda account: (account.running() if state == "running" else account.stopped(), make(account))


def free_volume(account: Account) -> str:
    return account.new_volume()


def pending_snapshot(account: Account) -> str:
    return str(account.ec2.create_snapshot(VolumeId=account.new_volume())["SnapshotId"])


def attach(account: Account, machine: Machine, volume_id: str, device: str = SPARE, **more: Any) -> Any:
    return account.ec2.attach_volume(VolumeId=volume_id, InstanceId=machine.id, Device=device, **more)


def create(account: Account, **params: Any) -> Any:
    return account.ec2.create_volume(**{"AvailabilityZone": account.zone, "Size": 1, "VolumeType": "gp3", **params})


def no_larger(kind: str, largest: int) -> Rule:
    return Rule(
        f"{kind} takes no volume larger than {largest:,} GiB",
        nothing,
        lambda a, _: create(a, VolumeType=kind, Size=largest + 1),
        Refusal("InvalidParameterValue"),
    )


def state_after_attach(account: Account, machine: Machine, volume_id: str) -> list[str]:
    account.attach(volume_id, machine, SPARE)
    return account.attachments(volume_id)


def starting_one_of_two(account: Account) -> tuple[Machine, Machine]:
    return account.stopped(), account.rootless()


def states_after_failed_batch(account: Account, machines: tuple[Machine, Machine]) -> list[str]:
    with pytest.raises(ClientError, match="does not have a volume attached at root"):
        account.ec2.start_instances(InstanceIds=[machine.id for machine in machines])
    return [account.state(machine) for machine in machines]


def launch_time_moves_at(account: Account, machine: Machine, *deeds: Callable[[Machine], None]) -> bool:
    before = account.instance(machine.id)["LaunchTime"]
    for deed in deeds:
        deed(machine)
    return bool(account.instance(machine.id)["LaunchTime"] > before)


def asked_to_stop(account: Account, machine: Machine) -> list[Any]:
    """Whether StateTransitionReason is of EC2's form, is the same when it has stopped, and is of after the launch."""
    account.ec2.stop_instances(InstanceIds=[machine.id])
    at_once = account.instance(machine.id)["StateTransitionReason"]
    account.settle(lambda: account.state(machine) == "stopped")
    found = account.instance(machine.id)
    asked = re.fullmatch(r"User initiated \((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)", at_once)
    when = asked and datetime.strptime(f"{asked[1]}Z", "%Y-%m-%d %H:%M:%S%z")
    return [bool(asked), found["StateTransitionReason"] == at_once, bool(when and when >= found["LaunchTime"])]


def told_when_running(account: Account, machine: Machine) -> str:
    account.start(machine)
    return str(account.instance(machine.id).get("StateTransitionReason", ""))


def restore_root(account: Account, machine: Machine) -> str:
    snapshot_id = account.new_snapshot(machine.root)
    account.delete(machine.root)
    volume_id = account.new_volume(AvailabilityZone=machine.zone, SnapshotId=snapshot_id)
    account.attach(volume_id, machine, machine.root_device)
    account.start(machine)
    return account.state(machine)


def delete_on_termination(account: Account, machine: Machine, device: str) -> bool:
    mappings = account.instance(machine.id)["BlockDeviceMappings"]
    return next(bool(item["Ebs"]["DeleteOnTermination"]) for item in mappings if item["DeviceName"] == device)


def set_delete_on_termination(account: Account, machine: Machine, device: str) -> Any:
    mapping = {"DeviceName": device, "Ebs": {"DeleteOnTermination": True}}
    return account.ec2.modify_instance_attribute(InstanceId=machine.id, BlockDeviceMappings=[mapping])


def late_volume_kept_for_good(account: Account, machine: Machine, volume_id: str) -> list[bool]:
    account.attach(volume_id, machine, SPARE)
    before = delete_on_termination(account, machine, SPARE)
    set_delete_on_termination(account, machine, SPARE)
    return [before, delete_on_termination(account, machine, SPARE)]


def root_put_back(account: Account, machine: Machine) -> bool:
    account.attach(machine.root, machine, machine.root_device)
    return delete_on_termination(account, machine, machine.root_device)


def survivors_of_termination(account: Account, machine: Machine, late: str) -> list[bool]:
    account.attach(late, machine, SPARE)
    account.ec2.terminate_instances(InstanceIds=[machine.id])
    account.settle(lambda: account.state(machine) == "terminated" and not account.volume(machine.root))
    return [bool(account.volume(volume_id)) for volume_id in (machine.root, machine.data[0], late)]


def card_of_attachment(account: Account, machine: Machine, volume_id: str) -> int:
    """Descriptions of volumes may leave it out."""
    attach(account, machine, volume_id, EbsCardIndex=1)
    mappings = account.instance(machine.id)["BlockDeviceMappings"]
    return next(int(item["Ebs"]["EbsCardIndex"]) for item in mappings if item["DeviceName"] == SPARE)


def shared_volume(account: Account) -> tuple[str, list[Machine]]:
    volume_id = account.new_volume(VolumeType="io2", Size=4, Iops=100, MultiAttachEnabled=True)
    machines = [account.running(), account.running()]
    for machine in machines:
        attach(account, machine, volume_id)
    account.settle(lambda: account.attachments(volume_id) == ["attached", "attached"])
    return volume_id, machines


def left_with_the_other(account: Account, volume_id: str, machines: list[Machine]) -> list[str]:
    account.ec2.detach_volume(VolumeId=volume_id, InstanceId=machines[0].id, Device=SPARE)
    account.settle(lambda: len(account.attachments(volume_id)) == 1)
    found = account.volume(volume_id)
    return [found["State"], *(item["InstanceId"] == machines[1].id and "second" for item in found["Attachments"])]


def size_and_origin(account: Account, snapshot_id: str) -> list[Any]:
    volume = account.volume(account.new_volume(SnapshotId=snapshot_id))
    return [volume["Size"], volume["SnapshotId"] == snapshot_id]


def volume_under(account: Account, key: str) -> list[Any]:
    made = create(account, Encrypted=True, KmsKeyId=key)
    account.settle(lambda: bool(account.volume(made["VolumeId"]).get("State", "creating") != "creating"))
    found = account.volume(made["VolumeId"])
    return [made["State"], found["State"], found["KmsKeyId"] == key]


def new_value_of_a_tag(account: Account, volume_id: str) -> str:
    account.ec2.create_tags(Resources=[volume_id], Tags=[{"Key": "k0", "Value": "new"}])
    return account.tags(account.volume(volume_id))["k0"]


def same_volume_twice(account: Account, _: None) -> bool:
    first = create(account, ClientToken="snap-1 attempt 1", TagSpecifications=volume_tags(MARK))
    account.settle(lambda: bool(account.volume(first["VolumeId"]).get("State") == "available"))
    again = create(account, ClientToken="snap-1 attempt 1", TagSpecifications=volume_tags(MARK))
    return bool(first["VolumeId"] == again["VolumeId"])


def volume_tags(*tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": "volume", "Tags": list(tags)}]


def gone_volume(account: Account) -> str:
    volume_id = account.new_volume()
    account.delete(volume_id)
    return volume_id


def restored_volume(account: Account) -> str:
    return account.new_volume(SnapshotId=account.new_snapshot(account.new_volume()))


def deleted_volume_with_token(account: Account) -> str:
    volume_id = account.new_volume(ClientToken="of a dead volume")
    account.delete(volume_id)
    return volume_id


def answer_of_the_old_token(account: Account, volume_id: str) -> list[bool]:
    again = create(account, ClientToken="of a dead volume")
    return [again["VolumeId"] == volume_id, bool(account.volume(volume_id))]


def tiering(account: Account, snapshot_id: str) -> list[str]:
    filters = [{"Name": "snapshot-id", "Values": [snapshot_id]}]
    (found,) = account.ec2.describe_snapshot_tier_status(Filters=filters)["SnapshotTierStatuses"]
    return [found.get("StorageTier", "standard"), found["LastTieringOperationStatus"]]


def archived_snapshot(account: Account) -> str:
    snapshot_id = account.new_snapshot()
    account.ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    account.settle(lambda: tiering(account, snapshot_id)[0] == "archive")
    return snapshot_id


def volumes_while_archiving(account: Account, snapshot_id: str) -> list[str]:
    account.ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    on_the_way = [*tiering(account, snapshot_id), create(account, SnapshotId=snapshot_id)["State"]]
    account.settle(lambda: tiering(account, snapshot_id)[0] == "archive")
    return [*on_the_way, *tiering(account, snapshot_id)]


def back_from_the_archive(account: Account, snapshot_id: str) -> list[str]:
    account.ec2.restore_snapshot_tier(SnapshotId=snapshot_id, PermanentRestore=True)
    on_the_way = tiering(account, snapshot_id)[1]
    account.settle(lambda: tiering(account, snapshot_id)[0] == "standard")
    volume = account.volume(account.new_volume(SnapshotId=snapshot_id))
    return [on_the_way, tiering(account, snapshot_id)[1], volume["State"]]


def goes_when_completed(account: Account, snapshot_id: str) -> list[bool]:
    account.ec2.delete_snapshot(SnapshotId=snapshot_id)
    there = bool(account.snapshot(snapshot_id))
    account.settle(lambda: not account.snapshot(snapshot_id))
    return [there, bool(account.snapshot(snapshot_id))]


def unlock_and_delete(account: Account, snapshot_id: str) -> bool:
    account.ec2.unlock_snapshot(SnapshotId=snapshot_id)
    account.ec2.delete_snapshot(SnapshotId=snapshot_id)
    return bool(account.snapshot(snapshot_id))


def used_by_an_image(account: Account) -> tuple[str, str]:
    """A snapshot, and the AMI that is registered from it."""
    snapshot_id = account.new_snapshot()
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
    image = account.ec2.register_image(
        Name=snapshot_id,
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[mapping],
        Architecture="x86_64",
        VirtualizationType="hvm",
    )
    return snapshot_id, str(image["ImageId"])


def deleted_without_its_image(account: Account, snapshot_id: str, image_id: str) -> bool:
    with pytest.raises(ClientError, match=f"is currently in use by {image_id}"):
        account.ec2.delete_snapshot(SnapshotId=snapshot_id)
    account.ec2.deregister_image(ImageId=image_id)
    account.ec2.delete_snapshot(SnapshotId=snapshot_id)
    return bool(account.snapshot(snapshot_id))


def shared_and_not(account: Account, snapshot_id: str) -> list[list[str]]:
    """Whom it is shared with before, while and after it is shared; and EC2 deletes it while it is."""
    told = []
    for operation in ("", "add", "remove", "add"):
        if operation:
            account.ec2.modify_snapshot_attribute(
                SnapshotId=snapshot_id,
                Attribute="createVolumePermission",
                OperationType=operation,
                UserIds=["111122223333"],
            )
        answer = account.ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
        told.append([p["UserId"] for p in answer["CreateVolumePermissions"]])
    account.ec2.delete_snapshot(SnapshotId=snapshot_id)
    return [*told, ["is there"] if account.snapshot(snapshot_id) else []]


def locked_in_compliance_mode(account: Account) -> str:
    snapshot_id = account.new_snapshot()
    account.ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="compliance", LockDuration=1)
    return snapshot_id


def refusals_of_a_lock(account: Account, snapshot_id: str) -> list[str]:
    deeds: list[Callable[[], Any]] = [
        lambda: account.ec2.unlock_snapshot(SnapshotId=snapshot_id),
        lambda: account.ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1),
        lambda: account.ec2.delete_snapshot(SnapshotId=snapshot_id),
    ]
    codes = []
    for deed in deeds:
        with pytest.raises(ClientError) as refused:
            deed()
        codes.append(refused.value.response["Error"]["Code"])
    return codes


def lock_states(account: Account, snapshot_ids: list[str]) -> list[tuple[int, str]]:
    """Of those that are listed. Their ids are not asked for: EC2 may refuse that if one is not locked."""
    found = account.ec2.describe_locked_snapshots()["Snapshots"]
    listed = [item for item in found if item["SnapshotId"] in snapshot_ids]
    return [(snapshot_ids.index(item["SnapshotId"]), item["LockState"]) for item in listed]


def found_by_lock_state(account: Account, snapshot_id: str) -> list[bool]:
    def found(state: str) -> bool:
        filters = [{"Name": "lock-state", "Values": [state]}]
        items = account.ec2.describe_locked_snapshots(Filters=filters)["Snapshots"]
        return snapshot_id in [item["SnapshotId"] for item in items]

    return [found("governance"), found("compliance")]


def pages_of_locked_snapshots(account: Account, locked: list[str]) -> list[bool]:
    """Whether they take several pages, of which none is too long, and each stands there once."""
    page = account.ec2.describe_locked_snapshots(MaxResults=5)
    pages = [[item["SnapshotId"] for item in page["Snapshots"]]]
    while page.get("NextToken"):
        page = account.ec2.describe_locked_snapshots(MaxResults=5, NextToken=page["NextToken"])
        pages.append([item["SnapshotId"] for item in page["Snapshots"]])
    found = [snapshot_id for ids in pages for snapshot_id in ids]
    return [len(pages) > 1, max(map(len, pages)) <= 5, [found.count(snapshot_id) for snapshot_id in locked] == [1] * 6]


def attach_times(account: Account, machine: Machine) -> list[bool]:
    """Of a volume attached later, whether the answers to both calls and the description agree to the second."""
    volume_id = account.new_volume()
    attached = attach(account, machine, volume_id)
    account.settle(lambda: account.attachments(volume_id) == ["attached"])
    described = account.volume(volume_id)["Attachments"][0]["AttachTime"]
    detached = account.ec2.detach_volume(VolumeId=volume_id)
    told = [answer.get("AttachTime", described).replace(microsecond=0) for answer in (attached, detached)]
    return [described.microsecond == 0, told == [described, described]]


def pending_on(account: Account, volume_id: str) -> list[str]:
    """The descriptions of the snapshots that are pending on the volume, whoever makes them."""
    account.ec2.create_snapshot(VolumeId=volume_id, Description="ours")
    account.ec2.create_snapshot(VolumeId=volume_id, Description="This snapshot is created by the AWS Backup service.")
    filters = [{"Name": "volume-id", "Values": [volume_id]}, {"Name": "status", "Values": ["pending"]}]
    found = account.ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return sorted(snapshot["Description"] for snapshot in found)


def forged(account: Account, made: tuple[Machine, str]) -> list[bool]:
    """Whether each kind of resource bears the tags that are written on it, as if they were ours."""
    machine, snapshot_id = made
    tags = dict.fromkeys(("park-volumes:mark", "park-volumes:deployment", "park-volumes:x"), "park-volumes forged")
    new = [{"Key": key, "Value": value} for key, value in tags.items()]
    account.ec2.create_tags(Resources=[machine.id, machine.root, snapshot_id], Tags=new)
    found = account.instance(machine.id), account.volume(machine.root), account.snapshot(snapshot_id)
    return [tags.items() <= account.tags(resource).items() for resource in found]


def five_pending_snapshots(account: Account) -> str:
    volume_id = account.new_volume()
    for _ in range(5):
        account.ec2.create_snapshot(VolumeId=volume_id)
    return volume_id


def finished_snapshot(account: Account, volume_id: str) -> list[str]:
    tags = [{"ResourceType": "snapshot", "Tags": [MARK]}]
    found = account.snapshot(account.new_snapshot(volume_id, TagSpecifications=tags))
    return [found["State"], found["Progress"], account.tags(found)[MARK["Key"]]]


def tagged_volume(account: Account) -> str:
    return account.new_volume(TagSpecifications=volume_tags(MARK, {"Key": "Name", "Value": "db"}))


def tags_after_deleting(account: Account, volume_id: str, *tags: dict[str, str]) -> list[str]:
    more = {"Tags": list(tags)} if tags else {}
    account.ec2.delete_tags(Resources=[volume_id], **more)
    return sorted(account.tags(account.volume(volume_id)))


def volume_with_50_tags(account: Account) -> str:
    tags = ({"Key": f"k{n}", "Value": "v"} for n in range(50 - account.own_tags))
    return account.new_volume(TagSpecifications=volume_tags(*tags))


def tags_after_a_failed_batch(account: Account, volume_id: str) -> list[str]:
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        account.ec2.create_tags(Resources=[volume_id, "vol-0123456789abcdef0"], Tags=[MARK])
    return sorted(account.tags(account.volume(volume_id)))


def found_by_wildcard(account: Account, volume_id: str) -> list[bool]:
    def found(value: str) -> list[str]:
        filters = [{"Name": "tag:park-volumes:mark", "Values": [value]}]
        return [item["VolumeId"] for item in account.ec2.describe_volumes(Filters=filters)["Volumes"]]

    return [volume_id in found(value) for value in ("park-volumes *", "park-volumes", "park-volume? first")]


def pages_of_volumes(account: Account, _: Any) -> list[int]:
    pages = account.ec2.get_paginator("describe_volumes").paginate(
        Filters=[{"Name": "tag-key", "Values": ["page"]}], PaginationConfig={"PageSize": 5}
    )
    sizes = [len(page["Volumes"]) for page in pages]
    return [size for size in sizes if size]


def seven_volumes(account: Account) -> None:
    for _ in range(7):
        create(account, TagSpecifications=volume_tags({"Key": "page", "Value": ""}))


def pending_instance(account: Account) -> Machine:
    machine = account.stopped()
    account.ec2.start_instances(InstanceIds=[machine.id])
    return machine


def stopping_instance(account: Account) -> Machine:
    machine = account.running()
    account.ec2.stop_instances(InstanceIds=[machine.id])
    return machine


def modification(account: Account, volume_id: str) -> dict[str, Any]:
    """The latest of the volume; empty if it was never modified."""
    filters = [{"Name": "volume-id", "Values": [volume_id]}]
    found = account.ec2.describe_volumes_modifications(Filters=filters)["VolumesModifications"]
    return dict(found[0]) if found else {}


def leaves(account: Account, volume_id: str, state: str) -> None:
    account.settle(lambda: bool(modification(account, volume_id)["ModificationState"] != state))


def modified_volume(account: Account) -> str:
    """One that has just been enlarged."""
    volume_id = account.new_volume()
    account.ec2.modify_volume(VolumeId=volume_id, Size=2)
    leaves(account, volume_id, "modifying")
    leaves(account, volume_id, "optimizing")
    return volume_id


def modifying_volume(account: Account) -> str:
    volume_id = account.new_volume()
    account.ec2.modify_volume(VolumeId=volume_id, Size=2)
    return volume_id


def way_of_a_modification(account: Account, volume_id: str) -> list[tuple[str, int, int]]:
    """Its state, and the size and throughput of the volume, at each of its steps."""

    def seen() -> tuple[str, int, int]:
        volume = account.volume(volume_id)
        return modification(account, volume_id)["ModificationState"], volume["Size"], volume["Throughput"]

    account.ec2.modify_volume(VolumeId=volume_id, Size=3, Throughput=200)
    way = [seen()]
    for state in ("modifying", "optimizing"):
        leaves(account, volume_id, state)
        way.append(seen())
    return way


def told_of_a_modification(account: Account, volume_id: str) -> list[Any]:
    found = modification(account, volume_id)
    names = ("OriginalSize", "TargetSize", "OriginalVolumeType", "TargetVolumeType", "TargetIops", "Progress")
    return [*(found[name] for name in names), found["StartTime"] <= found["EndTime"]]


def volume_of_another_type(account: Account, volume_id: str) -> list[Any]:
    account.ec2.modify_volume(VolumeId=volume_id, VolumeType="gp3")
    leaves(account, volume_id, "modifying")
    volume = account.volume(volume_id)
    return [volume["VolumeType"], volume["Iops"], volume["Throughput"]]


def seven_modifications(account: Account) -> None:
    for _ in range(7):
        account.ec2.modify_volume(VolumeId=account.new_volume(), Size=17)


def status_of(account: Account, volume_id: str) -> Any:
    [found] = account.ec2.describe_volume_status(VolumeIds=[volume_id])["VolumeStatuses"]
    return found


def told_of_loading(account: Account, volume_id: str) -> list[Any]:
    details = status_of(account, volume_id)["InitializationStatusDetails"]
    return [details["InitializationType"], 0 <= details["Progress"] <= 100]


def pages_of_modifications(account: Account, _: Any) -> list[int]:
    pages = account.ec2.get_paginator("describe_volumes_modifications").paginate(
        Filters=[{"Name": "target-size", "Values": ["17"]}], PaginationConfig={"PageSize": 5}
    )
    sizes = [len(page["VolumesModifications"]) for page in pages]
    return [size for size in sizes if size]


def found_by_state(account: Account, volume_id: str) -> list[bool]:
    def found(state: str) -> bool:
        filters = [{"Name": "modification-state", "Values": [state]}]
        items = account.ec2.describe_volumes_modifications(Filters=filters)["VolumesModifications"]
        return volume_id in [item["VolumeId"] for item in items]

    return [found("completed"), found("modifying")]


class Dry(NamedTuple):
    """What there is to try dry runs on: a stopped machine with a data volume, and resources of each kind."""

    machine: Machine
    volume: str
    snapshot: str
    locked: str
    archived: str

    def calls(self, zone: str) -> list[tuple[str, dict[str, Any]]]:
        """Every call that changes something, each of which would succeed."""
        machine, volume, snapshot = self.machine, self.volume, self.snapshot
        mapping = {"DeviceName": machine.root_device, "Ebs": {"DeleteOnTermination": False}}
        return [
            ("create_volume", {"AvailabilityZone": zone, "SnapshotId": snapshot, "ClientToken": "dry"}),
            ("attach_volume", {"VolumeId": volume, "InstanceId": machine.id, "Device": SPARE}),
            ("detach_volume", {"VolumeId": machine.root, "InstanceId": machine.id}),
            ("delete_volume", {"VolumeId": volume}),
            ("modify_volume", {"VolumeId": volume, "Size": 2}),
            ("create_snapshot", {"VolumeId": machine.root}),
            ("delete_snapshot", {"SnapshotId": snapshot}),
            ("lock_snapshot", {"SnapshotId": snapshot, "LockMode": "governance", "LockDuration": 1}),
            ("unlock_snapshot", {"SnapshotId": self.locked}),
            ("modify_snapshot_tier", {"SnapshotId": snapshot, "StorageTier": "archive"}),
            *(
                [("restore_snapshot_tier", {"SnapshotId": self.archived, "PermanentRestore": True})]
                * bool(self.archived)
            ),
            ("create_tags", {"Resources": [volume, snapshot, machine.id], "Tags": [MARK]}),
            ("delete_tags", {"Resources": [volume]}),
            ("modify_instance_attribute", {"InstanceId": machine.id, "BlockDeviceMappings": [mapping]}),
            ("start_instances", {"InstanceIds": [machine.id]}),
            ("stop_instances", {"InstanceIds": [machine.id]}),
            ("terminate_instances", {"InstanceIds": [machine.id]}),
        ]

    def picture(self, account: Account) -> list[Any]:
        """All that the calls could have changed."""
        ec2, ids = account.ec2, [item for item in (self.snapshot, self.locked, self.archived) if item]
        tiers = ec2.describe_snapshot_tier_status(Filters=[{"Name": "snapshot-id", "Values": ids}])
        return [
            account.instance(self.machine.id),
            sorted((found["VolumeId"], str(found)) for found in ec2.describe_volumes()["Volumes"]),
            sorted(
                (found["SnapshotId"], str(found)) for found in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
            ),
            [i["SnapshotId"] for i in ec2.describe_locked_snapshots()["Snapshots"] if i["SnapshotId"] in ids],
            tiers["SnapshotTierStatuses"],
        ]


def everything_to_try(account: Account) -> Dry:
    volume = account.new_volume(TagSpecifications=volume_tags({"Key": "Name", "Value": "db"}))
    archived = "" if ARCHIVE in account.lacks else archived_snapshot(account)
    dry = Dry(account.stopped(1), volume, account.new_snapshot(), account.locked_snapshot(), archived)
    account.settle(lambda: not any(found["State"] == "pending" for found in _snapshots(account)))
    return dry


def _snapshots(account: Account) -> Any:
    return account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]


def answers_of_dry_runs(account: Account, dry: Dry) -> set[tuple[str, int]]:
    """The codes and HTTP statuses of them all."""
    answers = set()
    for name, params in dry.calls(account.zone):
        with pytest.raises(ClientError, match="Request would have succeeded") as refused:
            getattr(account.ec2, name)(**params, DryRun=True)
        answer = refused.value.response
        answers.add((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]))
    return answers


def changed_by_dry_runs(account: Account, dry: Dry) -> bool:
    before = dry.picture(account)
    answers_of_dry_runs(account, dry)
    return before != dry.picture(account)


def token_of_a_dry_run(account: Account, volume_id: str) -> int:
    """The same token (any new text), with other parameters after a dry run than in it."""
    with pytest.raises(ClientError, match="DryRunOperation"):
        create(account, ClientToken=volume_id, DryRun=True)
    return int(create(account, ClientToken=volume_id, Size=2)["Size"])


ROOT_MISSING = Refusal("InvalidParameterValue", "does not have a volume attached at root")
NO_VOLUME = Refusal("InvalidVolume.NotFound", "does not exist")
GHOST = "vol-0123456789abcdef0"

RULES = [
    # starting and stopping
    Rule(
        "an instance without a root volume does not start",
        Account.rootless,
        lambda a, m: a.ec2.start_instances(InstanceIds=[m.id]),
        ROOT_MISSING,
    ),
    Rule(
        "one rootless instance fails a whole batch of starts",
        starting_one_of_two,
        states_after_failed_batch,
        ["stopped", "stopped"],
    ),
    Rule(
        "a stopping instance does not start",
        stopping_instance,
        lambda a, m: a.ec2.start_instances(InstanceIds=[m.id]),
        Refusal("IncorrectInstanceState"),
    ),
    Rule(
        "a pending instance does not stop",
        pending_instance,
        lambda a, m: a.ec2.stop_instances(InstanceIds=[m.id]),
        Refusal("IncorrectInstanceState"),
    ),
    Rule(
        "starting a running instance changes nothing",
        Account.running,
        lambda a, m: launch_time_moves_at(a, m, a.start),
        False,
    ),
    Rule("LaunchTime stays at a stop", Account.running, lambda a, m: launch_time_moves_at(a, m, a.stop), False),
    Rule(
        "LaunchTime moves at every start",
        Account.running,
        lambda a, m: launch_time_moves_at(a, m, a.stop, a.start),
        True,
    ),
    Rule(
        "LaunchTime is in whole seconds",
        Account.running,
        lambda a, m: a.instance(m.id)["LaunchTime"].microsecond,
        0,
    ),
    Rule(
        "a stop by its user gives the reason",
        Account.stopped,
        lambda a, m: a.instance(m.id)["StateReason"]["Code"],
        "Client.UserInitiatedShutdown",
    ),
    Rule("a stop by its user tells when it was asked for", Account.running, asked_to_stop, [True, True, True]),
    Rule(
        "a running instance tells of no stop",
        Account.stopped,
        told_when_running,
        "",
    ),
    Rule(
        "an unknown instance is refused by name",
        nothing,
        lambda a, _: a.ec2.describe_instances(InstanceIds=["i-0123456789abcdef0"]),
        Refusal("InvalidInstanceID.NotFound"),
    ),
    # detaching
    Rule(
        "the root volume of a running instance stays",
        Account.running,
        lambda a, m: a.ec2.detach_volume(VolumeId=m.root, InstanceId=m.id, Device=m.root_device),
        Refusal("IncorrectState", "Unable to detach root volume"),
    ),
    Rule(
        "the root volume of a stopped instance goes",
        Account.stopped,
        lambda a, m: a.ec2.detach_volume(VolumeId=m.root, InstanceId=m.id, Device=m.root_device)["State"],
        "detaching",
    ),
    Rule(
        "RootDeviceName stays after the root volume has gone",
        Account.rootless,
        lambda a, m: [a.instance(m.id)["RootDeviceName"] == m.root_device, a.instance(m.id)["BlockDeviceMappings"]],
        [True, []],
    ),
    Rule(
        "a data volume can leave a running instance",
        lambda a: a.running(1),
        lambda a, m: a.ec2.detach_volume(VolumeId=m.data[0], InstanceId=m.id, Device=DATA_DEVICES[0])["State"],
        "detaching",
    ),
    Rule(
        "an available volume cannot be detached",
        free_volume,
        lambda a, v: a.ec2.detach_volume(VolumeId=v),
        Refusal("IncorrectState", "available"),
    ),
    Rule(
        "a volume that is being detached cannot be detached again",
        lambda a: a.running(1),
        lambda a, m: [a.ec2.detach_volume(VolumeId=m.data[0]) for _ in range(2)],
        Refusal("IncorrectState"),
    ),
    Rule(
        "a volume cannot be detached from an instance it is not attached to",
        lambda a: (a.running(1), a.running()),
        lambda a, pair: a.ec2.detach_volume(VolumeId=pair[0].data[0], InstanceId=pair[1].id, Device=DATA_DEVICES[0]),
        Refusal("InvalidAttachment.NotFound"),
    ),
    Rule(
        "a shared volume leaves only the instance that is named",
        shared_volume,
        lambda a, made: left_with_the_other(a, *made),
        ["in-use", "second"],
    ),
    Rule(
        "detaching a shared volume needs the instance",
        shared_volume,
        lambda a, made: a.ec2.detach_volume(VolumeId=made[0]),
        Refusal("InvalidParameterCombination"),
    ),
    # attaching
    Rule(
        "a taken device is refused",
        machine_and(free_volume),
        lambda a, made: attach(a, made[0], made[1], made[0].root_device),
        Refusal("InvalidParameterValue", "already in use"),
    ),
    Rule(
        "a volume in another zone is refused",
        machine_and(lambda a: a.new_volume(AvailabilityZone=a.other_zone)),
        lambda a, made: attach(a, *made),
        Refusal("InvalidVolume.ZoneMismatch", "not in the same availability zone"),
    ),
    Rule(
        "a volume in use is refused",
        lambda a: (a.running(), a.running(1)),
        lambda a, pair: attach(a, pair[0], pair[1].data[0]),
        Refusal("VolumeInUse"),
    ),
    Rule(
        "a volume that is still being created is refused",
        machine_and(lambda a: create(a)["VolumeId"]),
        lambda a, made: attach(a, *made),
        Refusal("IncorrectState"),
    ),
    Rule(
        "nothing is attached to a pending instance",
        lambda a: (a.new_volume(), pending_instance(a)),
        lambda a, made: attach(a, made[1], made[0]),
        Refusal("IncorrectState"),
    ),
    Rule(
        "a volume can be attached to a stopped instance",
        machine_and(free_volume, "stopped"),
        lambda a, made: state_after_attach(a, *made),
        ["attached"],
    ),
    Rule(
        "a volume attached later is not deleted on termination until that is set",
        machine_and(free_volume),
        lambda a, made: late_volume_kept_for_good(a, *made),
        [False, True],
    ),
    Rule(
        "a root volume put back is not deleted on termination",
        Account.rootless,
        root_put_back,
        False,
    ),
    Rule(
        "DeleteOnTermination of a device that is not there cannot be set",
        Account.running,
        lambda a, m: set_delete_on_termination(a, m, SPARE),
        Refusal("InvalidInstanceAttributeValue", "No device is currently mapped"),
    ),
    Rule(
        "termination deletes the volumes of the launch and leaves those attached later",
        lambda a: (a.running(1), a.new_volume()),
        lambda a, made: survivors_of_termination(a, *made),
        [False, False, True],
    ),
    Rule(
        "the EBS card is kept",
        machine_and(free_volume),
        lambda a, made: card_of_attachment(a, *made),
        1,
        needs=CARDS,
    ),
    Rule(
        "a root volume goes on card 0",
        Account.rootless,
        lambda a, m: attach(a, m, m.root, m.root_device, EbsCardIndex=1),
        Refusal("InvalidParameterValue"),
    ),
    Rule("an instance runs again from a restored root volume", Account.rootless, restore_root, "running"),
    Rule("AttachTime is the same to the second wherever it is told", Account.running, attach_times, [True, True]),
    # creating volumes
    Rule("the same client token answers with the same volume", nothing, same_volume_twice, True),
    Rule(
        "the same client token with other parameters is refused",
        lambda a: create(a, ClientToken="once"),
        lambda a, _: create(a, ClientToken="once", Size=2),
        Refusal("IdempotentParameterMismatch"),
    ),
    Rule(
        "a client token answers with its volume even when that is gone",
        deleted_volume_with_token,
        answer_of_the_old_token,
        [True, False],
    ),
    Rule(
        "a volume of no stated type is gp2",
        nothing,
        lambda a, _: a.ec2.create_volume(AvailabilityZone=a.zone, Size=1)["VolumeType"],
        "gp2",
    ),
    Rule(
        "a volume cannot be made from a pending snapshot",
        pending_snapshot,
        lambda a, s: a.ec2.create_volume(AvailabilityZone=a.zone, SnapshotId=s),
        Refusal("IncorrectState"),
    ),
    Rule(
        "a volume cannot be smaller than its snapshot",
        lambda a: a.new_snapshot(a.new_volume(Size=2)),
        lambda a, s: create(a, SnapshotId=s, Size=1),
        Refusal("InvalidParameterValue"),
    ),
    Rule(
        "a volume takes its snapshot's size and names it",
        lambda a: a.new_snapshot(a.new_volume(Size=3)),
        size_and_origin,
        [3, True],
    ),
    no_larger("gp2", 16_384),
    no_larger("gp3", 65_536),
    no_larger("standard", 1_024),
    Rule(
        "gp2 takes no IOPS",
        nothing,
        lambda a, _: create(a, VolumeType="gp2", Iops=300),
        Refusal("InvalidParameterCombination", "iops"),
    ),
    Rule(
        "only gp3 takes throughput",
        nothing,
        lambda a, _: create(a, VolumeType="gp2", Throughput=125),
        Refusal("InvalidParameterCombination", "throughput"),
    ),
    Rule(
        "io2 needs IOPS",
        nothing,
        lambda a, _: create(a, VolumeType="io2", Size=4),
        Refusal("MissingParameter"),
    ),
    Rule(
        "a key without encryption is refused",
        nothing,
        lambda a, _: create(a, KmsKeyId="alias/aws/ebs"),
        Refusal("InvalidParameterDependency"),
    ),
    Rule(
        "a volume under a key that EC2 cannot use is promised, and ends in error",
        lambda a: a.unusable_key(),
        volume_under,
        ["creating", "error", True],
    ),
    Rule(
        "an unknown zone is refused",
        nothing,
        lambda a, _: create(a, AvailabilityZone="us-east-1z"),
        Refusal("InvalidZone.NotFound"),
    ),
    # deleting volumes
    Rule(
        "a volume in use cannot be deleted",
        Account.running,
        lambda a, m: a.ec2.delete_volume(VolumeId=m.root),
        Refusal("VolumeInUse"),
    ),
    Rule("an unknown volume cannot be deleted", nothing, lambda a, _: a.ec2.delete_volume(VolumeId=GHOST), NO_VOLUME),
    Rule("an unknown volume has no snapshot", nothing, lambda a, _: a.ec2.create_snapshot(VolumeId=GHOST), NO_VOLUME),
    # modifying volumes
    Rule(
        "a volume changes when its modification comes to optimizing",
        free_volume,
        way_of_a_modification,
        [("modifying", 1, 125), ("optimizing", 3, 200), ("completed", 3, 200)],
    ),
    Rule(
        "a modification tells what was and what is to be",
        modified_volume,
        told_of_a_modification,
        [1, 2, "gp3", "gp3", 3000, 100, True],
    ),
    Rule(
        "a volume of another type gets what is usual for it",
        lambda a: a.new_volume(VolumeType="gp2", Size=1),
        volume_of_another_type,
        ["gp3", 3000, 125],
    ),
    Rule(
        "a volume does not shrink",
        lambda a: a.new_volume(Size=2),
        lambda a, v: a.ec2.modify_volume(VolumeId=v, Size=1),
        Refusal("InvalidParameterValue", "smaller"),
    ),
    Rule(
        "a volume in modification cannot be modified",
        modifying_volume,
        lambda a, v: a.ec2.modify_volume(VolumeId=v, Size=3),
        Refusal("IncorrectModificationState", "MODIFYING"),
    ),
    Rule(
        "a volume is modified once in six hours",
        modified_volume,
        lambda a, v: a.ec2.modify_volume(VolumeId=v, Size=3),
        Refusal("VolumeModificationRateExceeded"),
    ),
    Rule(
        "a volume in modification cannot be attached",
        machine_and(modifying_volume),
        lambda a, made: attach(a, *made),
        Refusal("OperationNotPermitted", "in modification state: MODIFYING"),
    ),
    Rule("of a volume that was never modified nothing is told", free_volume, modification, {}),
    Rule(
        "naming a volume that was never modified is an error",
        lambda a: [modified_volume(a), a.new_volume()],
        lambda a, ids: a.ec2.describe_volumes_modifications(VolumeIds=ids),
        Refusal("InvalidVolumeModification.NotFound"),
    ),
    Rule("modifications are found by their state", modified_volume, found_by_state, [True, False]),
    Rule(
        "of a volume that was created empty nothing is told about loading",
        free_volume,
        lambda a, v: "InitializationStatusDetails" in status_of(a, v),
        False,
    ),
    Rule(
        "of a volume that was made from a snapshot it is told how far it is loaded",
        restored_volume,
        told_of_loading,
        ["default", True],
    ),
    Rule(
        "the status of a volume that is gone is an error",
        gone_volume,
        status_of,
        Refusal("InvalidVolume.NotFound"),
    ),
    Rule("modifications come in pages", seven_modifications, pages_of_modifications, [5, 2]),
    # snapshots
    Rule(
        "a finished snapshot is completed, at 100%, with its tags",
        free_volume,
        finished_snapshot,
        ["completed", "100%", "park-volumes first"],
    ),
    Rule(
        "a locked snapshot cannot be deleted",
        Account.locked_snapshot,
        lambda a, s: a.ec2.delete_snapshot(SnapshotId=s),
        Refusal("SnapshotLocked"),
    ),
    Rule("an unlocked snapshot can be deleted", Account.locked_snapshot, unlock_and_delete, False),
    Rule(
        "a snapshot that an AMI uses cannot be deleted before the AMI is deregistered",
        used_by_an_image,
        lambda a, made: deleted_without_its_image(a, *made),
        False,
    ),
    Rule(
        "a snapshot tells whom it is shared with, and can be deleted all the same",
        Account.new_snapshot,
        shared_and_not,
        [[], ["111122223333"], [], ["111122223333"], []],
    ),
    Rule(
        "nothing loosens a lock in compliance mode",
        locked_in_compliance_mode,
        refusals_of_a_lock,
        ["OperationNotPermitted", "OperationNotPermitted", "SnapshotLocked"],
        needs=A_DAY,
    ),
    Rule(
        "a pending snapshot can be locked",
        pending_snapshot,
        lambda a, s: a.ec2.lock_snapshot(SnapshotId=s, LockMode="governance", LockDuration=1)["LockState"],
        "governance",
    ),
    Rule(
        "a snapshot that is not locked cannot be unlocked",
        Account.new_snapshot,
        lambda a, s: a.ec2.unlock_snapshot(SnapshotId=s),
        Refusal("SnapshotNotLocked"),
    ),
    Rule(
        "locked snapshots are told from others",
        lambda a: [a.new_snapshot(), a.locked_snapshot()],
        lock_states,
        [(1, "governance")],
    ),
    Rule(
        "locked snapshots are found by the state of the lock",
        Account.locked_snapshot,
        found_by_lock_state,
        [True, False],
    ),
    Rule(
        "locked snapshots come in pages",
        lambda a: [a.locked_snapshot() for _ in range(6)],
        pages_of_locked_snapshots,
        [True, True, True],
    ),
    Rule(
        "a snapshot can be used on its way to the archive and not there",
        Account.locked_snapshot,
        volumes_while_archiving,
        ["standard", "archival-in-progress", "creating", "archive", "archival-completed"],
        needs=ARCHIVE,
    ),
    Rule(
        "no volume is made from an archived snapshot",
        archived_snapshot,
        lambda a, s: create(a, SnapshotId=s),
        Refusal("IncorrectState", "archived"),
        needs=ARCHIVE,
    ),
    Rule(
        "an archived snapshot comes back as it was",
        archived_snapshot,
        back_from_the_archive,
        ["permanent-restore-in-progress", "permanent-restore-completed", "available"],
        needs=ARCHIVE,
    ),
    Rule(
        "a pending snapshot is not archived",
        pending_snapshot,
        lambda a, s: a.ec2.modify_snapshot_tier(SnapshotId=s, StorageTier="archive"),
        Refusal("IncorrectState"),
    ),
    Rule("a pending snapshot goes when it has completed", pending_snapshot, goes_when_completed, [True, False]),
    Rule(
        "a volume has at most five pending snapshots",
        five_pending_snapshots,
        lambda a, v: a.ec2.create_snapshot(VolumeId=v),
        Refusal("ConcurrentSnapshotLimitExceeded"),
    ),
    Rule(
        "snapshots of anybody's are pending on a volume",
        free_volume,
        pending_on,
        ["This snapshot is created by the AWS Backup service.", "ours"],
    ),
    # tags
    Rule(
        "whoever may tag can write tags like ours on anything",
        machine_and(lambda a: a.new_snapshot()),
        forged,
        [True, True, True],
    ),
    Rule(
        "tags of AWS cannot be written",
        free_volume,
        lambda a, v: a.ec2.create_tags(Resources=[v], Tags=[{"Key": "aws:backup", "Value": ""}]),
        Refusal("InvalidParameterValue", "aws:"),
    ),
    Rule(
        "a resource has at most 50 tags",
        volume_with_50_tags,
        lambda a, v: a.ec2.create_tags(Resources=[v], Tags=[MARK]),
        Refusal("TagLimitExceeded"),
    ),
    Rule(
        "the 50 tags can be given new values",
        volume_with_50_tags,
        new_value_of_a_tag,
        "new",
    ),
    Rule(
        "tags are written on all resources or on none",
        free_volume,
        tags_after_a_failed_batch,
        [],
    ),
    Rule(
        "a tag with another value is not deleted",
        tagged_volume,
        lambda a, v: tags_after_deleting(a, v, {**MARK, "Value": "park-volumes second"}),
        ["Name", "park-volumes:mark"],
    ),
    Rule(
        "a tag with the same value is deleted",
        tagged_volume,
        lambda a, v: tags_after_deleting(a, v, MARK),
        ["Name"],
    ),
    Rule(
        "a tag named without a value is deleted whatever its value",
        tagged_volume,
        lambda a, v: tags_after_deleting(a, v, {"Key": MARK["Key"]}),
        ["Name"],
    ),
    Rule("without naming any, all tags are deleted", tagged_volume, tags_after_deleting, []),
    # dry runs
    Rule(
        "a dry run of whatever would succeed is answered with an error that says so",
        everything_to_try,
        answers_of_dry_runs,
        {("DryRunOperation", 412)},
    ),
    Rule("a dry run changes nothing", everything_to_try, changed_by_dry_runs, False),
    Rule("a dry run uses no client token up", free_volume, token_of_a_dry_run, 2),
    Rule(
        "a dry run does not notice that EC2 cannot use a key",
        lambda a: a.unusable_key(),
        lambda a, key: create(a, Encrypted=True, KmsKeyId=key, DryRun=True),
        Refusal("DryRunOperation"),
    ),
    # describing
    Rule("tag filters take wildcards", tagged_volume, found_by_wildcard, [True, False, True]),
    Rule("volumes come in pages", seven_volumes, pages_of_volumes, [5, 2]),
]


def keeps(account: Account, rule: Rule) -> None:
    """Fails where an account does not keep the rule."""
    judge(account, rule, rule.arrange(account))


def judge(account: Account, rule: Rule, arranged: Any) -> None:
    """The same for what was arranged."""
    if not isinstance(rule.expected, Refusal):
        seen = rule.act(account, arranged)
        assert seen == rule.expected, f"{seen!r} instead of {rule.expected!r}"
        return
    with pytest.raises(ClientError) as refused:
        rule.act(account, arranged)
    code, message = (refused.value.response["Error"][name] for name in ("Code", "Message"))
    assert code == rule.expected.code, f"{code} ({message}) instead of {rule.expected.code}"
    assert rule.expected.words in message, f"{message!r} instead of {rule.expected.words!r}"
