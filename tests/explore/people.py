"""What people and other tools do to the instance, its volumes, its snapshots and its tags, whenever they like.

EC2 may refuse any of it. Left out are only the deeds that docs/safety.md names under "What is not promised".
"""

from collections.abc import Callable, Mapping

from botocore.exceptions import ClientError

from tests.explore.stage import OPT_IN, Stage
from tests.model.ec2_model import EC2Client
from tests.model.records import Attachment, Disk, Snapshot, Volume

MARK = "park-volumes:mark"
PLACE = "park-volumes:place"
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
    """A tag of their own, or one of ours: it excludes the volume, or takes it in again, or nobody understands it."""
    item = _attached(stage, which)
    if item is None:
        return False
    word = ("", "False", ("true", "nein")[which % 2])[which // 4 % 3]
    tag = {"Key": OPT_IN, "Value": word} if word else {"Key": "owner", "Value": str(which)}
    stage.person.create_tags(Resources=[item.volume_id], Tags=[tag])
    if word:
        stage.protected.pop(item.volume_id, None)
    if word in ("False", "nein"):
        stage.protected[item.volume_id] = stage.world.clock.now
    stage.free_to_change.add(item.device)
    stage.excuses.append(f"{item.device} was tagged")
    return True


def deletes_a_snapshot(stage: Stage, which: int) -> bool:
    """One that is not locked, as a script does that cleans up; or a locked one, on purpose, while parked."""
    found: list[Snapshot] = [s for s in stage.world.snapshots.current() if s.id not in stage.bystanders]
    if not found:
        return False
    chosen = found[which % len(found)]
    in_transit = any(MARK in v.tags and not v.snapshot_id for v in stage.volumes())
    if chosen.lock and which % 3 == 0 and not in_transit:
        stage.person.unlock_snapshot(SnapshotId=chosen.id)
    stage.person.delete_snapshot(SnapshotId=chosen.id)
    stage.excuses.append("a snapshot was deleted")
    return True


def deletes_a_locked_snapshot(stage: Stage, which: int) -> bool:
    """On purpose, whatever its volume is up to. Not promised: random stories leave it out."""
    found: list[Snapshot] = [s for s in stage.world.snapshots.current() if s.id not in stage.bystanders]
    chosen = found[which % len(found)]
    stage.person.unlock_snapshot(SnapshotId=chosen.id)
    stage.person.delete_snapshot(SnapshotId=chosen.id)
    stage.excuses.append("a locked snapshot was deleted")
    return True


def archives_a_snapshot(stage: Stage, which: int) -> bool:
    """One of ours, as a script does that saves money."""
    found: list[Snapshot] = [s for s in stage.world.snapshots.current() if s.id not in stage.bystanders]
    if not found:
        return False
    stage.person.modify_snapshot_tier(SnapshotId=found[which % len(found)].id, StorageTier="archive")
    return True


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
    has run with it, where a pass that looked before may be about to delete it; or what a termination is deleting.
    """
    item = _attached(stage, which)
    volume = stage.world.volumes.get(item.volume_id) if item else None
    if item is None or volume is None or stage.state == "shutting-down":
        return False
    if _ran_with(stage, volume) or (MARK in volume.tags and _may_look_stopped(stage)):
        return False
    _by(stage, volume).detach_volume(VolumeId=volume.id, InstanceId=stage.instance_id, Device=item.device)
    if MARK in volume.tags:
        stage.wait(stage.world.durations.detach)
        gone = stage.world.volumes.get(volume.id) or volume
        stage.lay_aside(item.device, stage.world.ledger.kept.pop(volume.id, gone.content))
    stage.theirs.add(volume.id)
    stage.free_to_change.add(item.device)
    stage.excuses.append(f"{item.device} was detached")
    return True


def attaches(stage: Stage, which: int) -> bool:
    """A free volume of theirs, where it was, or elsewhere if it is not in transit."""
    free = [v for v in stage.volumes() if v.state == "available" and v.id not in stage.bystanders]
    if not free:
        return False
    volume = free[which % len(free)]
    device = DEVICES[which // 4 % 3]
    if MARK in volume.tags:
        device = volume.tags[PLACE].split(" ")[0] if PLACE in volume.tags else device
    return _attach(stage, volume, device)


def attaches_another(stage: Stage, which: int) -> bool:
    """A new and empty volume, as Terraform does when it sees none."""
    volume_id = stage.world.add_volume(Disk(device=""))
    stage.theirs.add(volume_id)
    volume = stage.world.volumes.get(volume_id)
    return volume is not None and _attach(stage, volume, DEVICES[which % 3])


def lends(stage: Stage, which: int) -> bool:
    """A free volume that is not in transit goes to another instance, which writes on it, and comes back later."""
    free = [v for v in stage.volumes() if v.state == "available" and v.id in stage.theirs and MARK not in v.tags]
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
    stage.free_to_change.add(device)
    stage.excuses.append(f"{device} got another volume")
    return True


def _take_back(stage: Stage, volume: Volume) -> None:
    """What was laid aside, or is left of a terminated instance, is its owner's again, who may write on it."""
    left = stage.world.ledger.latest.get(stage.instance_id, {}) if stage.state == "terminated" else {}
    kept = stage.world.ledger.kept
    aside = [name for name in kept if name.endswith("laid aside")]
    for places, names in ((kept, aside), (left, list(left))):
        for name in [n for n in names if places[n] == volume.content]:
            del places[name]


def _ran_with(stage: Stage, volume: Volume) -> bool:
    """Whether it is an original that was put back, and with which the instance ran, while the mark is still on it."""
    tags, instance = volume.tags, stage.instance
    if MARK not in tags or PLACE not in tags or instance is None or volume.snapshot_id == tags[PLACE].split(" ")[2]:
        return False
    return tags[MARK].split(" ")[3] != instance.launch_time.isoformat()


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
    "deletes a snapshot": deletes_a_snapshot,
    "deletes a volume": deletes_a_volume,
    "detaches": detaches,
    "attaches": attaches,
    "attaches another": attaches_another,
    "lends": lends,
    "archives a snapshot": archives_a_snapshot,
    "deletes a locked snapshot": deletes_a_locked_snapshot,
}
