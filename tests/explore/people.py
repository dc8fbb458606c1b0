"""What people and other tools do to the instance, its volumes, its snapshots and its tags, whenever they like.

EC2 may refuse any of it. Left out are only the deeds that docs/safety.md names under "What is not promised".
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from park_volumes.aws.described import volume_of
from park_volumes.core import tags
from tests.explore.stage import DEPLOYMENT, OPT_IN, Stage
from tests.model.answers import volume_answer
from tests.model.ec2_model import EC2Client
from tests.model.records import SHARED_WITH, USED_BY, Attachment, Disk, Volume

MARK, PLACE = tags.MARK, tags.TARGET
STAYING = ("/dev/sdy", "/dev/sdz")
DEVICES = ("/dev/sdf", "/dev/sdg", "/dev/xvda")


def act(stage: Stage, deed: str, which: int) -> bool:
    """Whether EC2 let them. ``which`` chooses where there is a choice."""
    try:
        done = DEEDS[deed](stage, which)
    except ClientError:
        done = False
    if done:
        stage.meddled = True
        stage.judge_transition("people")
        stage.seen[f"person: {deed}"] += 1
        stage.tell(f"a person {deed}")
    return done


def starts(stage: Stage, _: int) -> bool:
    stage.person.start_instances(InstanceIds=[stage.instance_id])
    return True


def stops(stage: Stage, _: int) -> bool:
    stage.person.stop_instances(InstanceIds=[stage.instance_id])
    return True


def shuts_down(stage: Stage, _: int) -> bool:
    if stage.state != "running":
        return False
    stage.world.shut_down(stage.instance_id)
    return True


def terminates(stage: Stage, _: int) -> bool:
    stage.person.terminate_instances(InstanceIds=[stage.instance_id])
    stage.excuses.append("it is terminated")
    return True


def withdraws(stage: Stage, _: int) -> bool:
    """The opt-in tag goes."""
    if not stage.opted_in:
        return False
    stage.person.delete_tags(Resources=[stage.instance_id], Tags=[{"Key": OPT_IN}])
    stage.withdrawn = stage.world.clock.now
    return True


def opts_in(stage: Stage, which: int) -> bool:
    """Anew, or in the other way."""
    stage.fixed = {d: v for d, v in stage.fixed.items() if d in STAYING}
    tags = [{"Key": OPT_IN, "Value": ("True", "root ")[which % 2]}]
    stage.person.create_tags(Resources=[stage.instance_id], Tags=tags)
    stage.withdrawn = None
    return True


def tags_a_volume(stage: Stage, which: int) -> bool:
    """The tag that excludes the volume, or takes it in again, or that nobody understands."""
    item = _attached(stage, which)
    if item is None:
        return False
    word = ("False", ("true", "nein")[which % 2])[which // 4 % 2]
    _write(stage, item.volume_id, {OPT_IN: word})
    stage.protected.pop(item.volume_id, None)
    if word != "true":
        stage.protected[item.volume_id] = stage.world.clock.now
    stage.free_to_change.add(item.device)
    stage.excuses.append(f"{item.device} was tagged")
    return True


def retags_a_volume(stage: Stage, which: int) -> bool:
    """Gives a volume of the instance, attached or on its way, a tag, or takes one off: so it comes back."""
    volume = _of_instance(stage, which)
    if volume is None:
        return False
    own = tags.owner_tags(volume.tags)
    if which % 3 == 0 and (key := min(own.keys() - {OPT_IN}, default="")):
        stage.person.delete_tags(Resources=[volume.id], Tags=[{"Key": key}])
        own.pop(key)
        stage.fixed = {device: v for device, v in stage.fixed.items() if v != volume.id}  # that tag may have kept it
    else:
        own |= {"owner": str(which)}
        _write(stage, volume.id, own)
    stage.change(volume, lambda look: look._replace(tags=tuple(sorted(own.items()))))
    return True


def modifies_a_volume(stage: Stage, which: int) -> bool:
    """Enlarges a volume of the instance, or makes it another kind or a faster one: so it comes back."""
    volume = _of_instance(stage, which)
    if volume is None:
        return False
    wanted: list[dict[str, Any]] = [
        {"Size": volume.size + 10},
        {"VolumeType": "gp3", "Iops": 6000, "Throughput": 500},
        {"Size": volume.size + 1, "VolumeType": "gp2"},
    ]
    stage.person.modify_volume(VolumeId=volume.id, **wanted[which // 4 % 3])
    modification = stage.world.modifications.get(volume.id)
    made = modification.target._asdict() if modification else {}
    stage.change(volume, lambda look: look._replace(**made), after=stage.world.durations.modify)
    return True


def switches_a_flag(stage: Stage, which: int) -> bool:
    """DeleteOnTermination of a data volume that has never left, while no pass looks: so it comes back."""
    item = _attached(stage, which)
    instance = stage.instance
    if item is None or instance is None or item.device == instance.root_device or stage.live or stage.world.lag:
        return False
    volume = stage.world.volumes.get(item.volume_id)
    if volume is None or item.state != "attached" or not _never_left(volume, item):
        return False
    stage.homes[volume.id] = item.device
    flag = not item.delete_on_termination
    mapping = {"DeviceName": item.device, "Ebs": {"DeleteOnTermination": flag}}
    stage.person.modify_instance_attribute(InstanceId=instance.id, BlockDeviceMappings=[mapping])
    stage.change(volume, lambda look: look._replace(delete_on_termination=flag))
    return True


def deletes_a_snapshot(stage: Stage, which: int) -> bool:
    """One that is not locked, as a script does that cleans up; or a locked one, on purpose, while parked."""
    found = stage.ours()
    if not found:
        return False
    chosen = found[which % len(found)]
    in_transit = any(MARK in v.tags and not v.snapshot_id for v in stage.volumes())
    if chosen.lock and which % 3 == 0 and not in_transit:
        stage.person.unlock_snapshot(SnapshotId=chosen.id)
        stage.excuses.append("a snapshot was unlocked")
    stage.person.delete_snapshot(SnapshotId=chosen.id)
    stage.excuses.append("a snapshot was deleted")
    return True


def registers_an_image(stage: Stage, which: int) -> bool:
    """From one of our snapshots, which cannot be deleted then; or takes that back."""
    found = stage.ours()
    if not found:
        return False
    chosen = found[which % len(found)]
    if image := chosen.facts.get(USED_BY):
        stage.person.deregister_image(ImageId=image)
        return True
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": chosen.id}}
    stage.person.register_image(Name=f"image-{which}", BlockDeviceMappings=[mapping])
    stage.in_the_way.add(chosen.id)
    return True


def shares_a_snapshot(stage: Stage, which: int) -> bool:
    """One of ours with another account; or ends that."""
    found = stage.ours()
    if not found:
        return False
    chosen = found[which % len(found)]
    operation = "remove" if chosen.facts.get(SHARED_WITH) else "add"
    stage.person.modify_snapshot_attribute(
        SnapshotId=chosen.id, Attribute="createVolumePermission", OperationType=operation, UserIds=["111122223333"]
    )
    stage.shared.pop(chosen.id, None)
    if operation == "add":
        stage.shared[chosen.id] = stage.world.clock.now
    stage.in_the_way.add(chosen.id)
    return True


def locks_for_good(stage: Stage, which: int) -> bool:
    """One of our snapshots, in compliance mode: nobody can take that lock off."""
    found = stage.ours()
    if not found:
        return False
    chosen = found[which % len(found)]
    stage.person.lock_snapshot(SnapshotId=chosen.id, LockMode="compliance", LockDuration=1000)
    stage.in_the_way.add(chosen.id)
    return True


def sticks(stage: Stage, which: int) -> bool:
    """EC2 does not come to an end with a volume of the instance, or with a snapshot of ours that is pending."""
    pending = [s.id for s in stage.ours() if s.state == "pending"]
    attached = [item.volume_id for item in stage.instance.devices] if stage.instance else []
    marked = [v.id for v in stage.volumes() if MARK in v.tags and v.id not in stage.strangers]
    found = list(dict.fromkeys([*pending, *marked, *attached]))
    if not found:
        return False
    stage.world.hold(found[which % len(found)])
    return True


def deletes_a_locked_snapshot(stage: Stage, which: int) -> bool:
    """On purpose, whatever its volume is up to. Not promised: random stories leave it out."""
    found = stage.ours()
    chosen = found[which % len(found)]
    stage.person.unlock_snapshot(SnapshotId=chosen.id)
    stage.person.delete_snapshot(SnapshotId=chosen.id)
    stage.excuses.append("a locked snapshot was deleted")
    return True


def archives_a_snapshot(stage: Stage, which: int) -> bool:
    """One of ours, as a script does that saves money."""
    found = stage.ours()
    if not found:
        return False
    stage.person.modify_snapshot_tier(SnapshotId=found[which % len(found)].id, StorageTier="archive")
    return True


def tags_a_snapshot(stage: Stage, which: int) -> bool:
    """One of ours, as a cleaner does, or one that sorts by names: no volume may bear such a tag."""
    found = stage.ours()
    if not found:
        return False
    chosen = found[which % len(found)]
    own = tags.owner_tags(chosen.tags)
    key = min(own) if own and which % 3 == 0 else "cleanup"
    _write(stage, chosen.id, {key: f"on day {which}"})
    if key in own:
        stage.fittings.may_lack |= {(device, key) for device in stage.fittings.devices}
    return True


def backs_up(stage: Stage, which: int) -> bool:
    """A snapshot of their own of a volume of the instance, which is pending for a while."""
    volume = _of_instance(stage, which)
    if volume is None:
        return False
    made = stage.person.create_snapshot(VolumeId=volume.id, Description="a backup")["SnapshotId"]
    stage.strangers[made] = stage.of_stranger(made)
    return True


def copies_our_tags(stage: Stage, which: int) -> bool:
    """All tags of one of our snapshots, to a snapshot that is not ours, best of the same volume; and some more."""
    ours, others = stage.ours(), [s for s in stage.world.snapshots.current() if s.id in stage.strangers]
    if not ours or not others:
        return False
    chosen = ours[which % len(ours)]
    to = next((s for s in others if s.volume_id == chosen.volume_id), others[which % len(others)])
    copied = dict(chosen.tags)
    if which % 3 == 0:
        copied |= {tags.INSTANCE: "i-00000000", tags.TERMINATED: "i-00000000 2025-01-01T00:00:00+00:00"}
    if which % 3 == 1:
        copied |= tags.tags_of_confirmation(stage.world.clock.time())
    _write(stage, to.id, copied)
    stage.strangers[to.id] = stage.of_stranger(to.id)
    return True


def forges_a_record(stage: Stage, which: int) -> bool:
    """Changes a tag of one of our snapshots: it counts for nothing then, as if it were deleted."""
    found = stage.ours()
    if not found:
        return False
    chosen = found[which % len(found)]
    values = [
        (tags.VOLUME, chosen.tags.get(tags.VOLUME, "").replace("size=", "size=9")),
        (tags.DEVICE, "/dev/sdf"),
        (tags.PART, "1/1"),
        (tags.GENERATION, "0123456789abcdef"),
    ]
    forged = dict([values[which // 4 % 4]])
    if all(chosen.tags.get(key) == value for key, value in forged.items()):
        return False
    _write(stage, chosen.id, forged)
    stage.forged.add(chosen.id)
    stage.excuses.append("a record was forged")
    return True


def forges_a_mark(stage: Stage, which: int) -> bool:
    """On a free volume that is not of the instance: as if it were on its way to the root device, or to another one.
    Or on an attached one of it that has none: as if it were of another attempt, of now or of a future one."""
    ours, item, now = stage.ours(), _attached(stage, which), stage.world.clock.time()
    if which % 4 == 3 and item is not None:
        volume = stage.world.volumes.get(item.volume_id)
        at = now + timedelta(days=which // 4)
        written = {MARK: f"{DEPLOYMENT} {stage.instance_id} 0123456789abcdef {now.isoformat()} {at.isoformat()}"}
        if volume is None or MARK in volume.tags:
            return False
        _write(stage, volume.id, written)
        return True
    if not ours:
        return False
    chosen = ours[which % len(ours)]
    words = [chosen.tags.get(key, "") for key in (tags.DEPLOYMENT, tags.INSTANCE, tags.GENERATION, tags.LAUNCH_TIME)]
    written = {
        MARK: " ".join([*words, now.isoformat()]),
        PLACE: f"{DEVICES[which % 3]} 0 {chosen.id} true",
    }
    volume_id = stage.world.add_volume(Disk(device="", tags=written))
    stage.strangers[volume_id] = stage.of_stranger(volume_id)
    stage.theirs.add(volume_id)
    return True


def forges_a_place(stage: Stage, which: int) -> bool:
    """Another device, and the other end, for a volume on its way."""
    marked = [v for v in stage.volumes() if MARK in v.tags and v.id not in stage.strangers]
    if not marked:
        return False
    volume = marked[which % len(marked)]
    stage.homes.setdefault(volume.id, volume.tags.get(PLACE, "").split(" ")[0])
    _write(stage, volume.id, {PLACE: f"{DEVICES[which % 3]} 0 snap-00000000 {('true', 'false')[which // 3 % 2]}"})
    return True


def _write(stage: Stage, resource_id: str, written: Mapping[str, str]) -> None:
    stage.person.create_tags(Resources=[resource_id], Tags=[{"Key": k, "Value": v} for k, v in written.items()])


def _of_instance(stage: Stage, which: int) -> Volume | None:
    """A volume that is attached to the instance, or that a pass has detached from it."""
    for item in stage.instance.devices if stage.instance else ():
        stage.homes[item.volume_id] = item.device
    found = [v for v in stage.volumes() if v.id in stage.homes and v.id not in stage.theirs and v.state != "deleting"]
    return found[which % len(found)] if found else None


def deletes_a_volume(stage: Stage, which: int) -> bool:
    """A free one of theirs, that is not in transit."""
    free = [v for v in stage.volumes() if v.state == "available" and v.id in stage.theirs and MARK not in v.tags]
    if not free:
        return False
    stage.person.delete_volume(VolumeId=free[which % len(free)].id)
    return True


def detaches(stage: Stage, which: int) -> bool:
    """A volume, the root volume too.

    The owner takes it away; but one that is in transit may come back: a mark says that it belongs to the instance.
    Not promised, and left out: to take off by hand what is in transit from an instance only just started, where
    a pass may still see it stopped; or an original that was put back while its mark is still on it, after the instance
    has run with it, where a pass that looked before may be about to delete it; or what a termination is deleting. Nor
    what is in transit where EC2 never lets it go: an instance that is started meanwhile has it neither on nor off.
    """
    item = _attached(stage, which)
    volume = stage.world.volumes.get(item.volume_id) if item else None
    if item is None or volume is None or stage.state == "shutting-down":
        return False
    if _ran_with(stage, volume) or (
        MARK in volume.tags and (volume.id in stage.world.held or _may_look_stopped(stage))
    ):
        return False
    whole = any(d.device == stage.instance.root_device for d in stage.instance.devices) if stage.instance else False
    _by(stage, volume).detach_volume(VolumeId=volume.id, InstanceId=stage.instance_id, Device=item.device)
    if whole and not _is_given_up(stage, volume):
        stage.taken_off.add(volume.id)
    if MARK in volume.tags:
        stage.wait(stage.world.durations.detach)
        gone = stage.world.volumes.get(volume.id) or volume
        if not gone.attachments:
            stage.lay_aside(item.device, stage.world.ledger.kept.pop(volume.id, gone.content))
    if tags.REHEARSAL in volume.tags and _is_as_created(stage, volume):
        stage.world.ledger.kept.pop(volume.id, None)
    stage.theirs.add(volume.id)
    stage.free_to_change.add(item.device)
    stage.excuses.append(f"{item.device} was detached")
    return True


def attaches(stage: Stage, which: int) -> bool:
    """A free volume of theirs, where it was, or elsewhere if it is not in transit."""
    strangers = {*stage.bystanders, *stage.strangers}
    free = [v for v in stage.volumes() if v.state == "available" and v.id not in strangers]
    if not free:
        return False
    volume = free[which % len(free)]
    device = DEVICES[which // 4 % 3]
    if MARK in volume.tags:
        told = volume.tags[PLACE].split(" ")[0] if PLACE in volume.tags else device
        device = stage.homes.get(volume.id, told)
    return _attach(stage, volume, device)


def attaches_another(stage: Stage, which: int) -> bool:
    """A new and empty volume, as Terraform does when it sees none."""
    volume_id = stage.world.add_volume(Disk(device=""))
    stage.theirs.add(volume_id)
    volume = stage.world.volumes.get(volume_id)
    return volume is not None and _attach(stage, volume, DEVICES[which % 3])


def lends(stage: Stage, which: int) -> bool:
    """A free volume of theirs goes to another instance, which writes on it, and comes back later. One that bears our
    mark is theirs as long as its instance is not locked."""
    free = [v for v in stage.volumes() if v.state == "available" and v.id in stage.theirs]
    free = [v for v in free if MARK not in v.tags or v.id in stage.taken_off]
    if not free:
        return False
    helper = stage.world.launch(Disk(device="/dev/xvda"))
    instance = stage.world.instances.get(helper)
    stage.theirs |= {item.volume_id for item in instance.devices} if instance else set()
    volume = free[which % len(free)]
    _take_back(stage, volume)
    stage.world.ledger.deleted.add(volume.content)  # written over
    stage.person.attach_volume(VolumeId=volume.id, InstanceId=helper, Device="/dev/sdf")
    stage.wait(3)
    stage.person.detach_volume(VolumeId=volume.id, InstanceId=helper, Device="/dev/sdf")
    return True


def _attach(stage: Stage, volume: Volume, device: str) -> bool:
    instance, latest = stage.instance, stage.world.ledger.latest.get(stage.instance_id, {})
    if instance is None:
        return False
    before = dict(latest)
    _by(stage, volume).attach_volume(VolumeId=volume.id, InstanceId=stage.instance_id, Device=device)
    theirs = not _in_transit(stage, volume)
    if theirs:
        _take_back(stage, volume)
    if device == instance.root_device:
        stage.world.ledger.own_root.add(instance.id)
    mine = latest.get(device)
    there = {item.device for item in instance.devices if item.state != "detaching"}
    missing = before.keys() - there if device == instance.root_device else set()
    for parked in missing | ({device} & before.keys() if theirs else set()):
        stage.lay_aside(parked, before[parked])
    if theirs and mine is not None:
        latest[device] = mine
    stage.theirs.add(volume.id)
    stage.taken_off.discard(volume.id)
    stage.free_to_change.add(device)
    stage.excuses.append(f"{device} got another volume")
    return True


def _take_back(stage: Stage, volume: Volume) -> None:
    """What was laid aside, or is left of a terminated instance, is its owner's again, who may write on it."""
    if tags.REHEARSAL in volume.tags:
        return  # the same bytes, but not that volume
    left = stage.world.ledger.latest.get(stage.instance_id, {}) if stage.state == "terminated" else {}
    kept = stage.world.ledger.kept
    aside = [name for name in kept if name.endswith("laid aside")]
    for places, names in ((kept, aside), (left, list(left))):
        for name in [n for n in names if places[n] == volume.content]:
            del places[name]


def _is_given_up(stage: Stage, volume: Volume) -> bool:
    """Whether a pass has once detached the root volume, and confirmed that a snapshot holds what the volume holds."""
    return any(MARK in s.tags for s in stage.ours() if s.volume_id == volume.id)


def _is_as_created(stage: Stage, volume: Volume) -> bool:
    """Whether nobody has written on it since it was created from its snapshot."""
    snapshot = stage.world.snapshots.get(volume.snapshot_id or "")
    return snapshot is not None and snapshot.content == stage.world.content(volume)


def _ran_with(stage: Stage, volume: Volume) -> bool:
    """Whether it is an original that was put back, and with which the instance ran, while the mark is still on it."""
    mark = tags.with_mark(volume_of(volume_answer(volume))).mark
    if mark is None or stage.instance is None or volume.created > mark.at:
        return False
    return mark.launch_time != stage.instance.launch_time


def _may_look_stopped(stage: Stage) -> bool:
    """Whether it was started so lately that a describe call which lags answers what was before."""
    lag, instance = stage.world.lag, stage.instance
    if lag is None or instance is None or stage.state == "stopped":
        return False
    return stage.world.clock.now <= instance.launch_time.timestamp() + lag.seconds


def _in_transit(stage: Stage, volume: Volume) -> bool:
    return MARK in volume.tags and stage.state in ("stopped", "terminated")


def _by(stage: Stage, volume: Volume) -> EC2Client:
    return stage.hand if _in_transit(stage, volume) else stage.person


def _never_left(volume: Volume, item: Attachment) -> bool:
    """Whether it was attached before it was marked, if it is."""
    return MARK not in volume.tags or item.since < datetime.fromisoformat(volume.tags[MARK].split()[-1])


def _attached(stage: Stage, which: int) -> Attachment | None:
    devices = stage.instance.devices if stage.instance else ()
    return devices[which % len(devices)] if devices else None


DEEDS: Mapping[str, Callable[[Stage, int], bool]] = {
    "starts": starts,
    "stops": stops,
    "shuts down": shuts_down,
    "terminates": terminates,
    "withdraws": withdraws,
    "opts in": opts_in,
    "tags a volume": tags_a_volume,
    "retags a volume": retags_a_volume,
    "modifies a volume": modifies_a_volume,
    "switches a flag": switches_a_flag,
    "tags a snapshot": tags_a_snapshot,
    "backs up": backs_up,
    "copies our tags": copies_our_tags,
    "forges a record": forges_a_record,
    "forges a mark": forges_a_mark,
    "forges a place": forges_a_place,
    "deletes a snapshot": deletes_a_snapshot,
    "deletes a volume": deletes_a_volume,
    "detaches": detaches,
    "attaches": attaches,
    "attaches another": attaches_another,
    "lends": lends,
    "archives a snapshot": archives_a_snapshot,
    "registers an image": registers_an_image,
    "shares a snapshot": shares_a_snapshot,
    "locks a snapshot for good": locks_for_good,
    "waits for EC2 in vain": sticks,
    "deletes a locked snapshot": deletes_a_locked_snapshot,
}
