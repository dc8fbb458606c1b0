"""Looks at a whole account and region, and finds the instances that a sweep must look at closer."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from park_volumes.aws.described import PAGE, Snapshots
from park_volumes.aws.reads import Ec2Reads
from park_volumes.core.facts import NEVER, BinnedVolume, Observation, Volume
from park_volumes.core.phase import TERMINATED, last_request, start_pending, start_reverted
from park_volumes.core.refusals import misspelt_opt_in
from park_volumes.core.settings import Settings
from park_volumes.core.tags import opted_in
from park_volumes.run.observe import (
    assemble,
    chosen,
    ended,
    may_have_rehearsed,
    volumes_of,
    with_other_deployments,
)

STARTS_PER_SWEEP = 150
"""Starts that a pass of one minute continues: more than EC2 accepts in that time."""
FEW = 3
"""The calls of a look at an account in which each kind of resource fits on one page."""
FOR_EACH_FURTHER_CALL = timedelta(minutes=24)
"""How much later the next full look comes for each further call. So further calls never exceed 1,825 a month, however
large the fleet."""
SELDOM = timedelta(minutes=29)
"""How long an empty region is left alone: less than half an hour, in which a sweep comes in any case."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What one look at the whole account shows.

    - ``observations``: every opted-in instance, and every one that no longer exists but left snapshots. Only marked
      volumes are seen, and no locks.
    - ``start_side``: whether the start side may have something to do.
    - ``misspelt``: the ids of the existing instances whose opt-in tag says neither yes nor no.
    - ``damaged``: the damaged snapshots, as in ``Snapshots``.
    - ``calls``: how many calls the look took, if nothing was unusual.
    - ``everything``: False if only those were looked at of which ``observe_moving`` tells.
    - ``empty``: whether there is nothing at all, opted in or left."""

    observations: list[Observation]
    start_side: bool
    misspelt: Sequence[str] = ()
    damaged: Mapping[str, Sequence[str]]
    calls: int = FEW
    everything: bool = True
    empty: bool = False

    @property
    def lasts(self) -> timedelta:
        """For how long the sweeps look only at what moves, or may have missed an event."""
        return FOR_EACH_FURTHER_CALL * (self.calls - FEW)


NOTHING = Fleet(observations=[], start_side=False, damaged={}, everything=False)
"""What is shown of a region that was empty not long ago."""


@dataclass(kw_only=True)
class Sweeps:
    """Looks at the fleet of a region, and remembers when everything has to be looked at again. Where nothing is opted
    in and nothing is left, it asks seldom whether that is still so, unless it is to do so ``always``."""

    always: bool
    due: datetime = NEVER
    _empty_until: datetime | None = None

    def look(self, ec2: Ec2Reads, settings: Settings, now: datetime, *, everything: bool) -> Fleet:
        if not everything and self._is_empty(ec2, settings, now):
            return NOTHING
        if not everything and now < self.due:
            return observe_moving(ec2, settings, now)
        fleet = observe_fleet(ec2, settings, now)
        self.due = now + fleet.lasts
        self._empty_until = now + SELDOM if fleet.empty and not self.always else None
        return fleet

    def _is_empty(self, ec2: Ec2Reads, settings: Settings, now: datetime) -> bool:
        """Something can begin there only with an instance that is opted in: one call tells."""
        if self._empty_until is None:
            return False
        if now >= self._empty_until:
            found = ec2.instances_tagged(settings.opt_in_tag_key)
            self._empty_until = None if found else now + SELDOM
        return self._empty_until is not None


def observe_fleet(ec2: Ec2Reads, settings: Settings, now: datetime) -> Fleet:
    """Look at the whole account, in three to five calls, and one more for every 1,000 instances or snapshots."""
    tagged = ec2.instances_tagged(settings.opt_in_tag_key)
    instances = [i for i in tagged if opted_in(i.tags, settings)]
    snapshots = ec2.every_snapshot()
    instances += ended(ec2, snapshots, known={i.id for i in instances})
    rehearsals = ec2.rehearsals("*") if may_have_rehearsed(snapshots.records) else []
    marked = [*ec2.marked_volumes("*"), *rehearsals]
    every = with_other_deployments(ec2, assemble(instances, snapshots, marked, now=now))
    return replace(
        _fleet(every.values(), snapshots, marked, settings, now),
        misspelt=[i.id for i in tagged if i.state != TERMINATED and misspelt_opt_in(i, settings)],
        calls=sum(len(each) // PAGE + 1 for each in (tagged, snapshots.records, marked)),
        empty=not (tagged or snapshots.records or snapshots.damaged or marked),
    )


def observe_moving(ec2: Ec2Reads, settings: Settings, now: datetime) -> Fleet:
    """Look only at the instances that have a volume though they do not run, that have volumes in transit, or whose
    start was asked for within the last hour: in three calls, and a few more where there are any. So what an event has
    missed is found, and no parked instance is looked at."""
    idle = ec2.instances_tagged(settings.opt_in_tag_key, idle=True)
    asked = ec2.requests(now - settings.start_hold, now).keys()
    marked = ec2.marked_volumes("*")
    others = {v.mark.instance_id for v in marked if v.mark} | asked
    every = {i.id: i for i in (*idle, *ec2.instances(others - {i.id for i in idle}))}
    instances = [i for i in every.values() if opted_in(i.tags, settings)]
    snapshots = ec2.snapshots_of(i.id for i in instances)
    found = with_other_deployments(ec2, assemble(instances, snapshots, marked, now=now))
    return replace(_fleet(found.values(), snapshots, marked, settings, now), everything=False)


def _fleet(
    every: Collection[Observation], snapshots: Snapshots, marked: Sequence[Volume], settings: Settings, now: datetime
) -> Fleet:
    start_side = bool(marked) or _any_asked(every, settings, now)
    return Fleet(observations=list(every), start_side=start_side, damaged=snapshots.damaged)


def _any_asked(every: Iterable[Observation], settings: Settings, now: datetime) -> bool:
    """Whether a start of one of these was asked for within the last hour, and is not done."""

    def asked(o: Observation) -> bool:
        lately = (r.start_requested for r in o.records)
        return _waits(o, settings, now) and any(at and now < at + settings.start_hold for at in lately)

    return bool(chosen(every, asked, unclear=True))


def _waits(observation: Observation, settings: Settings, now: datetime) -> bool:
    return start_pending(observation, settings, now) or start_reverted(observation, settings)


def in_recycle_bin(ec2: Ec2Reads, fleet: Iterable[Observation]) -> list[BinnedVolume] | None:
    """The volumes of a fleet that were given up and that a Recycle Bin still keeps; None if the SDK cannot ask."""
    given_up = {i for o in fleet for i in o.volumes_given_up}
    kept = ec2.recycle_bin()
    return None if kept is None else [v for v in kept if v.id in given_up]


def start_sweep(ec2: Ec2Reads, settings: Settings, now: datetime) -> tuple[list[Observation], list[str]]:
    """The running instances with volumes in transit, with everything needed to settle them; and the ids of those to
    look at closer: the others with volumes in transit, and those that have waited longest for their start."""
    volumes, snapshots = ec2.marked_volumes("*"), ec2.every_snapshot(with_request=True)
    marked = {v.mark.instance_id for v in volumes if v.mark}
    requests = ((r.instance_id, r.start_requested) for r in snapshots.records)
    asked = {instance_id for instance_id, at in requests if at and now < at + settings.start_hold}
    instances = ec2.instances(marked | asked)
    back = [i for i in instances if i.id in marked and i.state != "pending"]
    running = [i for i in back if i.state == "running"]
    assembled = assemble(running, snapshots, volumes_of(ec2, running, snapshots.records, volumes), now=now)
    settled = {i: o for i, o in assembled.items() if not o.unproven}  # the others need all of their records
    queue = assemble((i for i in instances if i.id in asked), snapshots, (), now=now).values()
    waiting = chosen(queue, lambda o: _waits(o, settings, now), unclear=True)
    waiting.sort(key=lambda o: last_request(o) or now)
    closer = {i.id for i in back} - settled.keys() | {o.instance.id for o in waiting[:STARTS_PER_SWEEP]}
    return list(settled.values()), sorted(closer)
