"""Observes instances: describes them, their volumes and their snapshots, and puts together what belongs together."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from park_volumes.aws.described import Snapshots
from park_volumes.aws.reads import Ec2Reads
from park_volumes.core.facts import NEVER, NOT_SHOWN, Instance, Observation, SnapshotRecord, Volume
from park_volumes.core.phase import TERMINATED, Phase, phase_of
from park_volumes.core.settings import Settings
from park_volumes.core.tags import damage_of_volume, opted_in, owner_of_mark, without_the_future
from park_volumes.run.context import alone


def _archived(r: SnapshotRecord) -> bool:
    return r.archived


def observe(
    ec2: Ec2Reads,
    ids: Iterable[str],
    *,
    now: datetime,
    locks: bool,
    may_move: Callable[[SnapshotRecord], bool] = _archived,
) -> dict[str, Observation]:
    """Observe these instances; with ``locks`` also the locks of their snapshots.
    ``may_move`` says which snapshots may be moving between the tiers: if there are none, EC2 is not asked."""
    return observe_instances(ec2, ec2.instances(ids), now=now, locks=locks, may_move=may_move)


def observe_instances(
    ec2: Ec2Reads,
    instances: Sequence[Instance],
    *,
    now: datetime,
    locks: bool,
    may_move: Callable[[SnapshotRecord], bool] = _archived,
) -> dict[str, Observation]:
    """Observe instances that were described just now."""
    if not instances:
        return {}
    snapshots = ec2.snapshots_of(i.id for i in instances)
    marked = ec2.marked_volumes(i.id for i in instances)
    rehearsals = ec2.rehearsals(may_have_rehearsed(snapshots.records)) if locks else []
    volumes = volumes_of(ec2, instances, snapshots.records, [*marked, *rehearsals])
    moving, failed = ec2.moving(r.snapshot_id for r in snapshots.records if may_move(r))
    locked = _locked(ec2, snapshots) if locks else frozenset()
    found = with_other_deployments(ec2, assemble(instances, snapshots, volumes, locked, now=now))
    modifying, being_copied = _by_others(ec2, found.values()) if locks else ({}, {})
    return {
        i: replace(
            o,
            moving=frozenset(moving),
            not_restored=failed,
            modifying=frozenset(modifying),
            being_copied=frozenset(being_copied),
            since=moving | modifying | being_copied,
        )
        for i, o in found.items()
    }


def may_have_rehearsed(records: Iterable[SnapshotRecord]) -> set[str]:
    """The ids of the instances for which a volume may exist that was created only to try a key."""
    return {r.instance_id for r in records if r.spec.kms_key and r.confirmed_at is None}


def _by_others(ec2: Ec2Reads, found: Iterable[Observation]) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """The volumes of stopped instances that others are modifying, and those that they are copying; each since when."""
    stopped = [o for o in found if o.instance.state == "stopped"]
    ids, ours = {v.id for o in stopped for v in o.volumes}, {r.snapshot_id for o in stopped for r in o.records}
    return ec2.modifying(ids), ec2.being_copied(ids, ours=ours)


def with_other_deployments(ec2: Ec2Reads, found: Mapping[str, Observation]) -> dict[str, Observation]:
    """The same with the deployments that have parked what this one cannot start."""
    broken = {o.instance.id for o in chosen(found.values(), lambda o: phase_of(o) is Phase.BROKEN, unclear=False)}
    names: dict[str, set[str]] = defaultdict(set)
    for r in ec2.records_of_others(broken):
        if r.confirmed_at and r.launch_time == found[r.instance_id].instance.launch_time:
            names[r.instance_id].add(r.deployment)
    return {i: replace(o, parked_by=tuple(sorted(names[i]))) if i in names else o for i, o in found.items()}


def observe_not_shown(ec2: Ec2Reads, ids: Iterable[str], now: datetime) -> dict[str, Observation]:
    """Observe the snapshots of instances that EC2 does not show."""
    snapshots = ec2.snapshots_of(ids)
    gone = map(not_shown, {r.instance_id for r in snapshots.records})
    return assemble(gone, snapshots, (), _locked(ec2, snapshots), now=now)


def _locked(ec2: Ec2Reads, snapshots: Snapshots) -> frozenset[str]:
    return ec2.locked(r.snapshot_id for r in snapshots.records if r.state == "completed")


def observe_orphans(ec2: Ec2Reads, snapshots: Snapshots, now: datetime) -> list[Observation]:
    """The instances that are terminated or not shown, with those of these snapshots that they left."""
    return list(assemble(ended(ec2, snapshots, known=set()), snapshots, (), now=now).values())


def ended(ec2: Ec2Reads, snapshots: Snapshots, *, known: set[str]) -> list[Instance]:
    """The instances with our snapshots, except those known, that are terminated or that EC2 does not show."""
    ids = ({r.instance_id for r in snapshots.records} | snapshots.damaged.keys()) - known - {""}
    shown = {i.id: i for i in ec2.instances(ids)}
    return [i for i in shown.values() if i.state == TERMINATED] + [not_shown(i) for i in sorted(ids - shown.keys())]


def not_shown(instance_id: str) -> Instance:
    return Instance(id=instance_id, state=NOT_SHOWN, launch_time=NEVER, zone="", root_device="", mappings=(), tags={})


def volumes_of(
    ec2: Ec2Reads, instances: Sequence[Instance], every: Iterable[SnapshotRecord], marked: Iterable[Volume]
) -> list[Volume]:
    """The attached volumes, those that records of the last stop name, and the marked ones, each once."""
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
    *,
    now: datetime,
) -> dict[str, Observation]:
    """Group what was described by instance. What no tag can say ``now``, such as a start request of the future, counts
    as absent for whoever decides by an observation, and is reported as damage of its instance."""
    records_of: dict[str, list[SnapshotRecord]] = defaultdict(list)
    for r in (without_the_future(r, now) for r in snapshots.records):
        records_of[r.instance_id].append(r)
    instances = list(instances)
    by_id = {v.id: v for v in _with_cards(volumes, instances)}
    ids_of: dict[str, set[str]] = defaultdict(set)
    for v in by_id.values():
        tags = (t.instance_id for t in (v.mark, v.rehearsal) if t)
        for instance_id in (*(a.instance_id for a in v.attachments), *tags):
            ids_of[instance_id].add(v.id)
    of_volumes = _damage_of_volumes(by_id.values(), now)
    found = {}
    for i in instances:
        mine = records_of[i.id]
        ids = ids_of[i.id] | {r.volume_id for r in mine if r.launch_time == i.launch_time and r.volume_id in by_id}
        found[i.id] = Observation(
            instance=i,
            volumes=tuple(by_id[v] for v in sorted(ids)),
            records=tuple(mine),
            locked=locked,
            damaged=(
                *snapshots.damaged.get(i.id, ()),
                *(told for r in mine for told in r.damage),
                *of_volumes.get(i.id, ()),
            ),
        )
    return found


def _with_cards(volumes: Iterable[Volume], instances: Iterable[Instance]) -> Iterator[Volume]:
    """The same volumes with the EBS card of each attachment. Recorded descriptions of instances name it, those of
    volumes do not."""
    cards = {(i.id, m.device, m.volume_id): m.card for i in instances for m in i.mappings if m.card}
    for v in volumes:
        every = ((a, cards.get((a.instance_id, a.device, v.id), a.card)) for a in v.attachments)
        yield replace(v, attachments=tuple(replace(a, card=card) for a, card in every)) if cards else v


def _damage_of_volumes(volumes: Iterable[Volume], now: datetime) -> Mapping[str, Sequence[str]]:
    """By instance: the one that a volume is attached to, and the one in its mark, as far as that can be read."""
    found: dict[str, list[str]] = defaultdict(list)
    for v in volumes:
        if told := damage_of_volume(v, now):
            for instance_id in {*(a.instance_id for a in v.attachments), owner_of_mark(v.tags)}:
                found[instance_id].append(told)
    return found


def opted_in_instances(ec2: Ec2Reads, settings: Settings, *, name: str | None = None) -> list[Instance]:
    """The instances that are opted in, in whatever spelling; with ``name`` only those with exactly this Name."""
    return [i for i in ec2.instances_tagged(settings.opt_in_tag_key, name=name) if opted_in(i.tags, settings)]


def chosen(every: Iterable[Observation], holds: Callable[[Observation], bool], *, unclear: bool) -> list[Observation]:
    """Those for which it holds. ``unclear`` says what is done with those for which not even that is known."""
    return [o for o in every if alone(o.instance.id, partial(holds, o), lambda _: unclear)]
