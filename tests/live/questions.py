"""What nobody has seen AWS do: each question with the experiment that answers it.

An experiment is a function of one step's account. It answers with a word or a number that can be compared, and with
what it has seen. What AWS refuses or does not do in time leaves the question open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.live.deployment import policy_of
from tests.live.lab import LabAccount
from tests.live.probe import Probe, Trail, is_understood
from tests.model.accounts import Machine
from tests.model.records import SWITCHES

SPARE = "/dev/sdp"
MARK = {"Key": "park-volumes:mark", "Value": "park-volumes live"}
DENIED = "UnauthorizedOperation"
OPT_IN = {"Key": "ParkVolumes", "Value": "true"}
AT_ONCE = 50
LATE = 60.0
"""Seconds until a tag that does not count yet is given up."""
IN_THE_TRAIL = 1500.0
GOVERNED = [{"Name": "lock-state", "Values": ["governance"]}]
ARCHIVED, THAWED = 1800.0, 1500.0
"""Seconds that are waited for records and tiers, which AWS promises for no time."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``value`` is compared with what the code and the model are ready for; ``seen`` is for people."""

    value: Any
    seen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """``ready_for``: the answers that the code takes in its stride, that of both stand-ins first. Those of a switch are
    the values of the switch."""

    name: str
    asks: str
    experiment: Callable[[LabAccount], Answer]
    switch: str = ""
    answers: tuple[Any, ...] = ()

    @property
    def ready_for(self) -> tuple[Any, ...]:
        return SWITCHES[self.switch] if self.switch else self.answers

    def expects(self, answer: Any) -> bool:
        """Whether the code takes it in its stride. Where a switch is a number, any number will do."""
        number = not isinstance(answer, bool) and isinstance(answer, (int, float)) and answer >= 0
        numbers = not any(isinstance(one, (bool, str)) for one in self.ready_for)
        return any(one == answer and type(one) is type(answer) for one in self.ready_for) or (number and numbers)


NOT_ASKED: Mapping[str, str] = {
    "hides_managed": "It takes a volume that another service manages, such as a node of EKS Auto Mode.",
}
"""Switches that no experiment for cents can answer, and why."""


def code_of(call: Callable[[], object]) -> str:
    """The code of the error that a call ends with, or nothing."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def pages(call: Callable[..., Any], key: str, **params: Any) -> list[Any]:
    """All items of a description for which boto3 has no paginator."""
    page = call(**params)
    items = list(page[key])
    while page.get("NextToken"):
        page = call(**params, NextToken=page["NextToken"])
        items += page[key]
    return items


# ---- locks and tiers


def locked_and_unlocked(account: LabAccount) -> Answer:
    ids = [account.locked_snapshot(), account.new_snapshot()]
    code = code_of(lambda: account.ec2.describe_locked_snapshots(SnapshotIds=ids))
    return Answer(value=bool(code), seen={"code": code or "none"})


def lock_through_the_archive(account: LabAccount) -> Answer:
    """Lock, archive, restore: is it locked and listed at each step? One that is not is gone after the question."""
    snapshot_id = account.locked_snapshot()
    if not _locked(account, snapshot_id):
        return Answer(value="lost in the standard tier")
    account.ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    account.lab.settle(lambda: _tier(account, snapshot_id) == "archive", "the archive", ARCHIVED)
    if not _locked(account, snapshot_id):
        return Answer(value="lost in the archive")
    account.ec2.restore_snapshot_tier(SnapshotId=snapshot_id, PermanentRestore=True)
    account.lab.settle(lambda: _tier(account, snapshot_id) == "standard", "the standard tier", THAWED)
    return Answer(value="kept" if _locked(account, snapshot_id) else "lost by the restore")


def _locked(account: LabAccount, snapshot_id: str) -> bool:
    """Listed among the locked ones, and not to be deleted."""
    locked = pages(account.ec2.describe_locked_snapshots, "Snapshots", Filters=GOVERNED)
    listed = snapshot_id in [item["SnapshotId"] for item in locked]
    return bool(code_of(lambda: account.ec2.delete_snapshot(SnapshotId=snapshot_id))) and listed


def _tier(account: LabAccount, snapshot_id: str) -> str:
    return str(account.snapshot(snapshot_id).get("StorageTier", "standard"))


# ---- attachments


def attach_times(account: LabAccount) -> Answer:
    """At every second parking: volumes that AttachVolume attached, detached again."""
    machine = account.stopped()
    told: list[dict[str, str]] = []
    for _ in range(3):
        volume_id = account.new_volume()
        attached = account.ec2.attach_volume(VolumeId=volume_id, InstanceId=machine.id, Device=SPARE)
        account.settle(lambda v=volume_id: account.attachments(v) == ["attached"])  # type: ignore[misc]
        described = account.volume(volume_id)["Attachments"][0]
        detached = account.ec2.detach_volume(VolumeId=volume_id)
        told.append({k: str(a.get("AttachTime")) for k, a in _named(attached, described, detached).items()})
        account.settle(lambda v=volume_id: account.attachments(v) == [])  # type: ignore[misc]
    times = [one["DetachVolume"] for one in told]
    if "None" in times:
        return Answer(value="missing", seen={"told": told})
    return Answer(value="milliseconds" if any("." in t for t in times) else "whole seconds", seen={"told": told})


def _named(attached: Any, described: Any, detached: Any) -> dict[str, Any]:
    return {"AttachVolume": attached, "DescribeVolumes": described, "DetachVolume": detached}


# ---- policies


def unmarked_second_volume(account: LabAccount) -> Answer:
    """ModifyInstanceAttribute for one marked device of two: which volumes does EC2 ask the start policy about?"""
    machine = account.stopped(1)
    account.ec2.create_tags(Resources=[machine.id], Tags=[OPT_IN])
    account.ec2.create_tags(Resources=[machine.root], Tags=[MARK])
    ec2 = Probe(account.lab, "modify").ec2_under(policy_of(account.lab, "start"))
    mapping = {"DeviceName": machine.root_device, "Ebs": {"DeleteOnTermination": True}}
    change = {"InstanceId": machine.id, "BlockDeviceMappings": [mapping]}
    code = _once_known(account, lambda: ec2.modify_instance_attribute(**change))
    account.ec2.delete_tags(Resources=[machine.id], Tags=[OPT_IN])
    return Answer(value="denied" if code == DENIED else "allowed", seen={"code": code or "none"})


def marked_and_used_at_once(account: LabAccount) -> Answer:
    """How long after it is written does a mark count under the park policy? The volumes are not attached and the calls
    are dry runs: whatever else they are refused for, a policy has allowed them."""
    machine = account.stopped()
    account.ec2.create_tags(Resources=[machine.id], Tags=[OPT_IN])
    volumes = [account.ec2.create_volume(AvailabilityZone=account.zone, Size=1)["VolumeId"] for _ in range(AT_ONCE + 1)]
    account.settle(lambda: all(account.volume(v).get("State") == "available" for v in volumes))
    ec2 = Probe(account.lab, "mark").ec2_under(policy_of(account.lab, "park"))

    def detach(volume_id: str) -> object:
        return ec2.detach_volume(VolumeId=volume_id, InstanceId=machine.id, DryRun=True)

    account.ec2.create_tags(Resources=volumes[:1], Tags=[MARK])
    if _once_known(account, lambda: detach(volumes[0])) == DENIED:
        raise AssertionError(f"The park policy did not count {LATE:g} seconds after it was written.")
    late = [_seconds_until_allowed(account, volume_id, detach) for volume_id in volumes[1:]]
    account.ec2.delete_tags(Resources=[machine.id], Tags=[OPT_IN])
    return Answer(value=math.ceil(max(late)), seen={"at once": late.count(0.0), "of": len(late), "longest": max(late)})


def _once_known(account: LabAccount, call: Callable[[], object]) -> str:
    """The code of a call that is denied before IAM knows a role, its policy and all tags: denied only if that lasts."""
    waited = 0.0
    while (code := code_of(call)) == DENIED and waited < LATE:
        account.wait(account.every)
        waited += account.every
    return code


def _seconds_until_allowed(account: LabAccount, volume_id: str, use: Callable[[str], object]) -> float:
    account.ec2.create_tags(Resources=[volume_id], Tags=[MARK])
    waited = 0.0
    while code_of(lambda: use(volume_id)) == DENIED:
        if waited > LATE:
            raise AssertionError(f"A mark did not count {LATE:g} seconds after it was written.")
        account.wait(0.5)
        waited += 0.5
    return waited


# ---- starts elsewhere


def refused_start_in_the_trail(account: LabAccount) -> Answer:
    """StartInstances without a root volume, and the event that EventBridge delivers of it."""
    machine = account.rootless()
    trail = Trail(account.lab, "trail")
    trail.listen()
    code_of(lambda: account.ec2.start_instances(InstanceIds=[machine.id]))
    event = trail.event(machine.id, IN_THE_TRAIL)
    code, message = (str(event["detail"].get(name, "none")) for name in ("errorCode", "errorMessage"))
    understood = is_understood(event, machine.id)
    seen = {"errorCode": code, "errorMessage": message.replace(machine.id, "i-..."), "understood": understood}
    return Answer(value=code if understood else f"not understood: {code}", seen=seen)


# ---- bytes


def snapshot_deleted_while_its_volume_loads(account: LabAccount) -> Answer:
    machine, before = _written(account)
    snapshot_id = account.new_snapshot(machine.data[0])
    made = account.ec2.create_volume(AvailabilityZone=machine.zone, SnapshotId=snapshot_id, VolumeType="gp3")
    account.settle(lambda: bool(account.volume(made["VolumeId"]).get("State") == "available"))
    account.ec2.delete_snapshot(SnapshotId=snapshot_id)
    account.detach(machine.data[0])
    return _compared(account, machine, made["VolumeId"], before)


def volume_deleted_under_a_foreign_snapshot(account: LabAccount) -> Answer:
    machine, before = _written(account)
    account.detach(machine.data[0])
    foreign = account.ec2.create_snapshot(VolumeId=machine.data[0], Description="Of somebody else.")["SnapshotId"]
    code = code_of(lambda: account.ec2.delete_volume(VolumeId=machine.data[0]))
    if code:
        return Answer(value=f"refused: {code}")
    account.settle(lambda: account.snapshot(foreign).get("State", "error") != "pending")
    if account.snapshot(foreign).get("State") != "completed":
        return Answer(value="lost", seen={"snapshot": account.snapshot(foreign).get("State", "gone")})
    return _compared(account, machine, account.new_volume(SnapshotId=foreign), before)


def _written(account: LabAccount) -> tuple[Machine, str]:
    """A stopped instance that has written to its volumes, and the sum of what is on its data volume."""
    instance_id = account.writer()
    before = account.sums(instance_id, 1)["data"]
    machine = account.machine(instance_id)
    account.stop(machine)
    return machine, before


def _compared(account: LabAccount, machine: Machine, volume_id: str, before: str) -> Answer:
    """What the instance finds on a volume that takes the place of its data volume, of which it knows the sum."""
    account.attach(volume_id, machine, "/dev/sdf")
    account.start(machine)
    after = account.sums(machine.id, 2)["data"]
    return Answer(value="kept" if after == before else "lost", seen={"before": before, "after": after})


# ---- what answers say


def dry_runs(account: LabAccount) -> Answer:
    """Dry runs that no policy denies, and that would fail for another reason."""
    machine = account.stopped()
    free = account.new_volume()
    tries: dict[str, Callable[[], object]] = {
        "state": lambda: account.ec2.detach_volume(VolumeId=free, DryRun=True),
        "use": lambda: account.ec2.delete_volume(VolumeId=machine.root, DryRun=True),
        "device": lambda: account.ec2.attach_volume(
            VolumeId=free, InstanceId=machine.id, Device=machine.root_device, DryRun=True
        ),
        "parameter": lambda: account.ec2.create_volume(
            AvailabilityZone=account.zone, Size=1, VolumeType="gp2", Throughput=125, DryRun=True
        ),
    }
    seen = {what: code_of(call) for what, call in tries.items()}
    return Answer(value=any(code != "DryRunOperation" for code in seen.values()), seen=seen)


def members_that_are_missing(account: LabAccount) -> Answer:
    """Of a new snapshot, volume and instance: which members that we read are not told?"""
    machine = account.stopped(1)
    snapshot = account.snapshot(account.new_snapshot(machine.root))
    attachment = account.volume(machine.root)["Attachments"][0]
    instance = account.instance(machine.id)
    told = {
        "StorageTier": "StorageTier" in snapshot,
        "FullSnapshotSizeInBytes": "FullSnapshotSizeInBytes" in snapshot,
        "HibernationOptions": "HibernationOptions" in instance,
        "Operator": "Operator" in instance,
        "EbsCardIndex": "EbsCardIndex" in attachment,
    }
    return Answer(value=not all(told.values()), seen=told)


def deleted_volumes_kept(account: LabAccount) -> Answer:
    """How long a Recycle Bin keeps a deleted volume, in seconds."""
    volume_id = account.new_volume()
    account.delete(volume_id)
    account.wait(10)
    binned = pages(account.ec2.list_volumes_in_recycle_bin, "Volumes")
    kept = [one for one in binned if one["VolumeId"] == volume_id]
    if not kept:
        return Answer(value=0)
    seconds = (kept[0]["RecycleBinExitTime"] - kept[0]["RecycleBinEnterTime"]).total_seconds()
    return Answer(value=int(seconds), seen={"days": seconds / 86_400})


def hidden_ones_asked_for(account: LabAccount) -> Answer:
    code = code_of(lambda: account.ec2.describe_volumes(IncludeManagedResources=True))
    return Answer(value="refused" if code else "accepted", seen={"code": code or "none"})


def sdk_of_the_runtime(account: LabAccount) -> Answer:
    """Whether the SDK of Lambda's runtime knows EC2's newest calls."""
    told = Probe(account.lab, "sdk").ask_lambda()
    return Answer(value=not told["knows"], seen=told)


QUESTIONS: tuple[Question, ...] = (
    Question(
        name="refused start in the trail",
        asks="What does CloudTrail's event say of a start without a root volume, and does the start function know it?",
        experiment=refused_start_in_the_trail,
        answers=("Client.InvalidParameterValue", "InvalidParameterValue"),
    ),
    Question(
        name="lock through the archive",
        asks="Is a locked snapshot locked and listed in the archive, and after its restore?",
        experiment=lock_through_the_archive,
        answers=("kept",),
    ),
    Question(
        name="locked and unlocked ids",
        asks="Does reading locks by id fail if one of the snapshots is not locked?",
        experiment=locked_and_unlocked,
        switch="unlocked_ids_refused",
    ),
    Question(
        name="attach times",
        asks="Which AttachTime does DetachVolume return for a volume that AttachVolume attached?",
        experiment=attach_times,
        switch="attach_times",
    ),
    Question(
        name="unmarked second volume",
        asks="Does ModifyInstanceAttribute for a marked device ask the policy about the other volumes, too?",
        experiment=unmarked_second_volume,
        answers=("allowed", "denied"),
    ),
    Question(
        name="marked and used at once",
        asks=f"How many seconds after it is written does a mark count in IAM, at worst of {AT_ONCE}?",
        experiment=marked_and_used_at_once,
        switch="tags_count_after",
    ),
    Question(
        name="snapshot deleted while its volume loads",
        asks="Does a volume keep its bytes if its snapshot is deleted while it loads?",
        experiment=snapshot_deleted_while_its_volume_loads,
        answers=("kept", "lost"),
    ),
    Question(
        name="volume deleted under a foreign snapshot",
        asks="Does a pending snapshot keep its bytes if its volume is deleted?",
        experiment=volume_deleted_under_a_foreign_snapshot,
        answers=("kept", "lost", "refused: IncorrectState", "refused: VolumeInUse"),
    ),
    Question(
        name="dry runs",
        asks="Does a dry run check states and parameters, or permissions alone?",
        experiment=dry_runs,
        switch="dry_run_checks",
    ),
    Question(
        name="missing members",
        asks="Are members left out of answers where they have their usual meaning?",
        experiment=members_that_are_missing,
        switch="sparse",
    ),
    Question(
        name="deleted volumes",
        asks="For how many seconds does a Recycle Bin of this account keep a deleted volume?",
        experiment=deleted_volumes_kept,
        switch="volume_bin",
    ),
    Question(
        name="hidden resources",
        asks="Can EC2 be asked for what other services manage?",
        experiment=hidden_ones_asked_for,
        answers=("accepted", "refused"),
    ),
    Question(
        name="SDK of the runtime",
        asks="Is the SDK of Lambda's runtime older than EC2's newest calls?",
        experiment=sdk_of_the_runtime,
        switch="old_sdk",
    ),
)
