"""All there is to see: of some instances, or of a whole account and region; and whom a sweep has to look at closer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from park_volumes import records
from park_volumes.decide.archive import some_at_once
from park_volumes.decide.orphans import GONE, TERMINATED
from park_volumes.decide.park import worth_a_look
from park_volumes.decide.situation import fell_back, last_request, start_pending
from park_volumes.ec2 import Ec2, Snapshots
from park_volumes.model import NEVER, OPTED_IN, Instance, Record, Seen, Settings, Volume

TURN = 150
"""Starts that a pass of a minute goes on with: more than EC2 takes in that time."""


# Some instances.


def _archived(r: Record) -> bool:
    return r.archived


def look(
    ec2: Ec2, ids: Iterable[str], *, locks: bool, may_move: Callable[[Record], bool] = _archived
) -> dict[str, Seen]:
    """All there is to see of these instances; ``locks`` asks for the locks of their snapshots too.

    ``may_move`` says which snapshots may be on their way between the tiers: unless there are any, EC2 is not asked.
    """
    return look_at(ec2, ec2.instances(ids), locks=locks, may_move=may_move)


def look_at(
    ec2: Ec2, instances: Sequence[Instance], *, locks: bool, may_move: Callable[[Record], bool] = _archived
) -> dict[str, Seen]:
    """All there is to see of instances that were described just now."""
    if not instances:
        return {}
    snapshots = ec2.snapshots_of(i.id for i in instances)
    volumes = _volumes(ec2, instances, snapshots.records, ec2.marked_volumes(i.id for i in instances))
    locked = _locked(ec2, snapshots) if locks else frozenset()
    moving = ec2.moving(r.snapshot_id for r in snapshots.records if may_move(r))
    return assemble(instances, snapshots, volumes, locked, moving)


def left_behind(ec2: Ec2, ids: Iterable[str]) -> dict[str, Seen]:
    """What there is of instances that EC2 does not show: their snapshots."""
    snapshots = ec2.snapshots_of(ids)
    gone = map(_gone, {r.instance_id for r in snapshots.records})
    return assemble(gone, snapshots, (), _locked(ec2, snapshots))


def _locked(ec2: Ec2, snapshots: Snapshots) -> frozenset[str]:
    return ec2.locked(r.snapshot_id for r in snapshots.records if r.state == "completed")


def every_orphan(ec2: Ec2) -> list[Seen]:
    """The instances that are terminated or gone, with the snapshots that are left of them."""
    snapshots = ec2.every_snapshot()
    return list(assemble(_ended(ec2, snapshots, known=set()), snapshots, ()).values())


def _ended(ec2: Ec2, snapshots: Snapshots, *, known: set[str]) -> list[Instance]:
    """The instances with snapshots of ours, beside those known, that are terminated or that EC2 does not show."""
    ids = {r.instance_id for r in snapshots.records} - known
    shown = {i.id: i for i in ec2.instances(ids)}
    return [i for i in shown.values() if i.state == TERMINATED] + [_gone(i) for i in sorted(ids - shown.keys())]


def _gone(instance_id: str) -> Instance:
    return Instance(id=instance_id, state=GONE, launch_time=NEVER, zone="", root_device="", mappings=(), tags={})


def _volumes(
    ec2: Ec2, instances: Sequence[Instance], every: Iterable[Record], marked: Iterable[Volume]
) -> list[Volume]:
    """The volumes attached, those that records of the last stop name, and those that are marked, each once."""
    launch = {i.id: i.launch_time for i in instances}
    named = {m.volume_id for i in instances for m in i.mappings}
    named |= {r.volume_id for r in every if r.launch_time == launch.get(r.instance_id)}
    known = {v.id: v for v in marked}
    return [*known.values(), *ec2.volumes(named - known.keys())]


def assemble(
    instances: Iterable[Instance],
    snapshots: Snapshots,
    volumes: Iterable[Volume],
    locked: frozenset[str] = frozenset(),
    moving: frozenset[str] = frozenset(),
) -> dict[str, Seen]:
    """Sort what was described by the instance that it belongs to."""
    records_of: dict[str, list[Record]] = defaultdict(list)
    for r in snapshots.records:
        records_of[r.instance_id].append(r)
    by_id = {v.id: v for v in volumes}
    ids_of: dict[str, set[str]] = defaultdict(set)
    for v in by_id.values():
        for instance_id in (*(a.instance_id for a in v.attachments), *((v.mark.instance_id,) if v.mark else ())):
            ids_of[instance_id].add(v.id)
    seen = {}
    for i in instances:
        mine = records_of[i.id]
        ids = ids_of[i.id] | {r.volume_id for r in mine if r.launch_time == i.launch_time and r.volume_id in by_id}
        seen[i.id] = Seen(
            instance=i,
            volumes=tuple(_placed(by_id[v], mine) for v in sorted(ids)),
            records=tuple(mine),
            locked=locked,
            moving=moving,
            damaged=snapshots.damaged.get(i.id, ()),
        )
    return seen


def _placed(volume: Volume, mine: Iterable[Record]) -> Volume:
    """A marked volume that has lost its place finds it in its record: of several, in that of the confirmed snapshot."""
    if volume.mark is None or volume.place is not None:
        return volume
    for r in sorted(mine, key=lambda r: (r.mark is None, r.snapshot_id)):
        original = r.volume_id == volume.id and r.generation == volume.mark.generation
        if original or r.snapshot_id == volume.snapshot_id:
            return replace(volume, place=records.place_of(r))
    return volume


# All of them.


def survey(ec2: Ec2, settings: Settings) -> list[Seen]:
    """Every opted-in instance, and every one that is no more and has left snapshots, in three or four calls.

    Of all volumes only the marked ones are seen, and no lock.
    """
    instances = ec2.instances_tagged({settings.opt_in_tag_key: OPTED_IN})
    snapshots = ec2.every_snapshot()
    instances += _ended(ec2, snapshots, known={i.id for i in instances})
    return list(assemble(instances, snapshots, ec2.every_marked_volume()).values())


def sweep_park(fleet: Iterable[Seen], settings: Settings, now: datetime) -> list[str]:
    """The ids of those instances of a survey that the park side may have something to do for."""
    every = list(fleet)
    found = [*(s for s in every if worth_a_look(s, settings, now)), *some_at_once(every, settings, now)]
    return list(dict.fromkeys(s.instance.id for s in found))


def sweep_start(ec2: Ec2, settings: Settings, now: datetime) -> tuple[list[Seen], list[str]]:
    """The running instances that have volumes in transit, with all that it takes to settle them; and the ids of those
    to look at closer: the others that have some, and those that have waited longest for their start."""
    volumes, snapshots = ec2.every_marked_volume(), ec2.snapshots_with_requests()
    marked = {v.mark.instance_id for v in volumes if v.mark}
    asked = {
        r.instance_id for r in snapshots.records if r.start_requested and now < r.start_requested + settings.start_hold
    }
    instances = ec2.instances(marked | asked)
    back = [i for i in instances if i.id in marked and i.state != "pending"]
    running = _running_again(ec2, back, snapshots, volumes)
    line = assemble((i for i in instances if i.id in asked), snapshots, ()).values()
    waiting = [s for s in line if start_pending(s, settings, now) or fell_back(s, settings)]
    waiting.sort(key=lambda s: last_request(s) or now)
    closer = {i.id for i in back} - running.keys() | {s.instance.id for s in waiting[:TURN]}
    return list(running.values()), sorted(closer)


def _running_again(
    ec2: Ec2, instances: Iterable[Instance], snapshots: Snapshots, marked: Sequence[Volume]
) -> dict[str, Seen]:
    """Those of these instances that run; but not where a mark has lost its place, which stands in another record."""
    displaced = {v.mark.instance_id for v in marked if v.mark and v.place is None}
    running = [i for i in instances if i.state == "running" and i.id not in displaced]
    return assemble(running, snapshots, _volumes(ec2, running, snapshots.records, marked))
