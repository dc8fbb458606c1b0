"""Where an instance stands: its phase, and the start that was asked for. Nothing else in the product infers either.

A phase is a reading of what was observed and is stored nowhere. ``PHASES`` has one row for each: its evidence, what
each side does about it, and where it leads. ``make docs`` writes the same table into ``docs/safety.md`` and draws it in
``docs/how-it-works.md``. The request is a second axis: what was asked for, wherever the instance stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from park_volumes.core import capacity
from park_volumes.core.due import Due, changing, copying, dismantling, locked, never, restoring, settling, thawing
from park_volumes.core.evidence import changed
from park_volumes.core.facts import NOT_SHOWN, Instance, Observation, SnapshotRecord
from park_volumes.core.settings import Settings

TERMINATED = "terminated"
STOPPED_ON_PURPOSE = ("", "Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown", "Server.ScheduledStop")
"""The StateReason codes of a stop that a person, the guest or AWS maintenance asked for; an absent one counts too."""


class Phase(StrEnum):
    """Where an instance stands on its way from its volumes to its snapshots and back."""

    ENDED = "ended"
    CHANGING = "changing"
    RUNNING = "running"
    WHOLE = "whole"
    LOCK_VOID = "lock void"
    LOCKED = "locked"
    BROKEN = "broken"
    COMMITTED = "committed"
    RESTORING = "restoring"
    PARKED = "parked"


WITHOUT_ROOT = frozenset({Phase.LOCK_VOID, Phase.LOCKED, Phase.BROKEN, Phase.COMMITTED, Phase.RESTORING, Phase.PARKED})
"""The phases of a stopped instance that EC2 cannot start, since it has no root volume."""


class Request(StrEnum):
    """What has become of the last start that was asked for here."""

    NONE = "none"
    PENDING = "pending"
    UNDER_WAY = "under way"
    AWAITING_CAPACITY = "awaiting capacity"
    REVERTED = "reverted"


# The phases, each with its evidence.


def _ended(seen: Observation) -> bool:
    return seen.instance.state in (TERMINATED, NOT_SHOWN)


def _changing(seen: Observation) -> bool:
    return seen.instance.state not in ("running", "stopped")


def _running(seen: Observation) -> bool:
    return seen.instance.state == "running"


def _whole(seen: Observation) -> bool:
    return not seen.root_detached


def _lock_void(seen: Observation) -> bool:
    root = seen.marked_root
    if root is None:
        return False
    generation = seen.complete_generation
    confirmed = generation is not None and generation.name == root.mark.generation
    stale = changed(seen.originals_of(root.mark.generation))
    return not confirmed or bool(stale) or root.mark.launch_time != seen.instance.launch_time


def _locked(seen: Observation) -> bool:
    return seen.marked_root is not None


def _broken(seen: Observation) -> bool:
    return seen.complete_generation is None


def _committed(seen: Observation) -> bool:
    generation = seen.complete_generation
    return generation is not None and bool(seen.left_of(generation))


def _restoring(seen: Observation) -> bool:
    return bool(seen.restored)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One phase in the table: how it is recognized, what both sides do about it, and where it leads.
    ``due`` says by when it should be over, ``takes`` the same in words, and ``remedy`` what to do if it lasts longer.
    ``leads_to`` are the phases that the functions and EC2 bring about, each with what has happened then; ``people``
    those that only people bring about, each with what they do."""

    phase: Phase
    holds: Callable[[Observation], bool]
    evidence: str
    park_side: str
    wanted_start: str
    due: Due = never
    takes: str = ""
    remedy: str = ""
    leads_to: Mapping[Phase, str] = field(default_factory=dict)
    people: Mapping[Phase, str] = field(default_factory=dict)


TERMINATE = {Phase.CHANGING: "terminate it"}
ATTACH = {Phase.WHOLE: "attach a root volume of their own"}
DELETE = {Phase.BROKEN: "delete a snapshot, or change its record"}
DELETE_ROOT = {Phase.BROKEN: "delete the snapshot of the root volume, or change its record"}
DETACH = dict.fromkeys((Phase.COMMITTED, Phase.RESTORING, Phase.PARKED), "detach a root volume of their own again")

BY_FORCE = (
    "Nothing is changed meanwhile. If it stays so, stop it by force (aws ec2 stop-instances --force --instance-ids "
    "...), or ask AWS Support."
)
ATTACHING_REMEDY = (
    "Nothing is lost. A volume that does not leave or arrive can be detached by force while the instance is stopped "
    "(aws ec2 detach-volume --force --volume-id ...); otherwise ask AWS Support."
)
COPYING_REMEDY = (
    "Its volumes exist, cost as much as before, and nothing was given up: it can be started. A data volume whose "
    "attachment is busy can be detached by force (aws ec2 detach-volume --force --volume-id ...) and attached again. "
    "About a snapshot that does not go on, ask AWS Support."
)
DISMANTLING_REMEDY = (
    "Nothing is lost: every volume has its snapshot. A volume that does not leave can be detached by force (aws ec2 "
    "detach-volume --force --volume-id ...); otherwise ask AWS Support."
)
RESTORING_REMEDY = (
    "Nothing is lost: the snapshots are kept. Check whether the key of the volume can be used, and whether its device "
    "is free; about a volume that EC2 does not finish, ask AWS Support."
)
THAWING_REMEDY = "Nothing is lost. Ask AWS Support why the snapshots do not come back from the archive."

PHASES = (
    Row(
        phase=Phase.ENDED,
        holds=_ended,
        evidence="EC2 says that it is terminated, or does not show it",
        park_side="keeps the snapshots for a while, then discards them",
        wanted_start="refuses",
    ),
    Row(
        phase=Phase.CHANGING,
        holds=_changing,
        evidence="pending, stopping or shutting down",
        park_side="waits",
        wanted_start="waits, or refuses",
        due=changing,
        takes="an hour",
        remedy=BY_FORCE,
        leads_to={Phase.RUNNING: "it runs", Phase.WHOLE: "it has stopped", Phase.ENDED: "it is terminated"},
    ),
    Row(
        phase=Phase.RUNNING,
        holds=_running,
        evidence="running",
        park_side="discards the snapshots that are superseded",
        wanted_start="settles what came back",
        due=settling,
        takes="an hour after the launch, while a volume has its mark",
        remedy=ATTACHING_REMEDY,
        people={Phase.CHANGING: "stop or terminate it"},
    ),
    Row(
        phase=Phase.WHOLE,
        holds=_whole,
        evidence="stopped, and a root volume is attached by either description",
        park_side="takes a snapshot of every volume, then locks: marks the volumes and detaches the root volume",
        wanted_start="starts it as it is",
        due=copying,
        takes="an hour, and one more for each 100 GiB of its largest volume",
        remedy=COPYING_REMEDY,
        leads_to={
            Phase.LOCKED: "the root volume is detached and confirmed",
            Phase.LOCK_VOID: "it is detached, and not confirmed yet",
            Phase.CHANGING: "it is started",
        },
        people={Phase.BROKEN: "detach the root volume"} | DETACH,
    ),
    Row(
        phase=Phase.LOCK_VOID,
        holds=_lock_void,
        evidence="the root volume is detached and marked; its generation is not confirmed, lacks a part, is of an "
        "earlier launch, or a volume is no longer what its record says",
        park_side="leaves it to the start side",
        wanted_start="puts the volumes back; so does the sweep",
        due=locked,
        takes="an hour after the lock period",
        remedy=ATTACHING_REMEDY,
        leads_to={
            Phase.LOCKED: "it is confirmed, or the volume is changed back",
            Phase.WHOLE: "the root volume is put back",
            Phase.COMMITTED: "a pass that has not seen the change deletes the root volume",
            Phase.BROKEN: "the same where a record is gone; or that of the root volume goes",
        },
        people=TERMINATE,
    ),
    Row(
        phase=Phase.LOCKED,
        holds=_locked,
        evidence="the same, with a confirmed and complete generation",
        park_side="waits for one lock period, then deletes the root volume, which is the commit",
        wanted_start="puts the volumes back",
        due=locked,
        takes="an hour after the lock period, or after what others do to a volume",
        remedy=ATTACHING_REMEDY,
        leads_to={Phase.COMMITTED: "the root volume is deleted", Phase.WHOLE: "it is put back"},
        people={Phase.LOCK_VOID: "delete another snapshot, or change a volume"} | DELETE_ROOT | TERMINATE,
    ),
    Row(
        phase=Phase.BROKEN,
        holds=_broken,
        evidence="no root volume of ours, and no confirmed and complete generation",
        park_side="refuses",
        wanted_start="refuses",
        leads_to={
            Phase.LOCK_VOID: "a pass marks the root volume that somebody detached",
            Phase.WHOLE: "a pass puts that root volume back",
        },
        people=TERMINATE,
    ),
    Row(
        phase=Phase.COMMITTED,
        holds=_committed,
        evidence="volumes of the confirmed generation still exist",
        park_side="detaches them, and deletes them in a later pass",
        wanted_start="waits until they are deleted",
        due=dismantling,
        takes="an hour after the lock period, and one more for each 100 GiB of the largest volume that is left",
        remedy=DISMANTLING_REMEDY,
        leads_to={Phase.PARKED: "the last volume is deleted"},
        people=ATTACH | DELETE | TERMINATE,
    ),
    Row(
        phase=Phase.RESTORING,
        holds=_restoring,
        evidence="volumes made from its snapshots exist, and bear a mark",
        park_side="waits",
        wanted_start="goes on restoring; so does the sweep, wanted or not, unless all has failed",
        due=restoring,
        takes="an hour, and as long as its largest volume loads at the rate",
        remedy=RESTORING_REMEDY,
        leads_to={
            Phase.WHOLE: "the root volume is attached",
            Phase.PARKED: "a volume that could not be created is deleted",
        },
        people=DELETE | TERMINATE,
    ),
    Row(
        phase=Phase.PARKED,
        holds=lambda _: True,
        evidence="none of these volumes exists",
        park_side="discards the snapshots that are superseded; archives the others, if that pays",
        wanted_start="makes volumes from the snapshots, attaches them, the root volume last, and starts",
        due=thawing,
        takes="73 hours, while its snapshots come back from the archive",
        remedy=THAWING_REMEDY,
        leads_to={Phase.RESTORING: "a start creates volumes"},
        people=ATTACH | DELETE | TERMINATE,
    ),
)
"""In the order in which they are tested. From WHOLE on the instance is stopped."""


def row_of(seen: Observation) -> Row:
    return next(row for row in PHASES if row.holds(seen))


def phase_of(seen: Observation) -> Phase:
    return row_of(seen).phase


# The request.


def request_of(seen: Observation, settings: Settings, now: datetime) -> Request:
    if next_try(seen, settings, now):
        return Request.AWAITING_CAPACITY
    if start_reverted(seen, settings):
        return Request.REVERTED
    if not start_pending(seen, settings, now):
        return Request.NONE
    return Request.UNDER_WAY if start_under_way(seen, settings, now) else Request.PENDING


def last_request(seen: Observation) -> datetime | None:
    """When the last start of this stop was asked for."""
    return max((r.start_requested for r in seen.of_this_stop if r.start_requested), default=None)


def start_pending(seen: Observation, settings: Settings, now: datetime) -> bool:
    """Whether a start was asked for within the last hour that has not moved the launch time yet."""
    asked = last_request(seen)
    return asked is not None and now < asked + settings.start_hold


def start_under_way(seen: Observation, settings: Settings, now: datetime) -> bool:
    """Whether the pass that was asked for the start may still be at work: others would only get in its way."""
    asked = last_request(seen)
    return asked is not None and now < asked + settings.function_timeout


def request_of_this_launch(seen: Observation, settings: Settings) -> datetime | None:
    """When the latest launch was asked for here, to the second; None where it was not, or too long before it.
    EC2 cuts LaunchTime to seconds: a request of the same second came before it."""
    launched = seen.instance.launch_time
    asked = (r.start_requested for r in seen.records if r.start_requested and r.launch_time < launched)
    requests = map(_in_seconds, asked)
    return max((at for at in requests if at <= launched < at + settings.start_hold), default=None)


def _in_seconds(at: datetime) -> datetime:
    """Cut as EC2 cuts LaunchTime: only so can the two be compared."""
    return at.replace(microsecond=0)


def is_terminated(i: Instance) -> bool:
    """Whether it is terminated, or is being terminated: nothing starts it any more."""
    return i.state in ("shutting-down", TERMINATED)


def stopped_on_purpose(i: Instance) -> bool:
    """Whether somebody asked for the stop, as far as EC2 says why."""
    return i.state_reason in STOPPED_ON_PURPOSE


def start_reverted(seen: Observation, settings: Settings) -> bool:
    """Whether it was started here and stopped again though nobody asked for that: EC2 took the start back."""
    i = seen.instance
    return i.state == "stopped" and not stopped_on_purpose(i) and request_of_this_launch(seen, settings) is not None


def next_try(seen: Observation, settings: Settings, now: datetime) -> datetime | None:
    """When a start is tried again that EC2 had no capacity for; None where the last try did not end like that, or the
    hour is over."""
    last = _try_without_capacity(seen, settings)
    if last is None or now >= (until := last[0] + settings.start_hold):
        return None
    asked, tried = last
    return capacity.next_try(asked, tried, until)


def _try_without_capacity(seen: Observation, settings: Settings) -> tuple[datetime, datetime] | None:
    """When the start for which EC2 had no capacity was requested, and when it was last tried. EC2 refused the call, or
    it accepted the call, moved the launch time, and let the instance fall back to stopped."""
    fell_back = start_reverted(seen, settings)
    if fell_back and not capacity.lacks_capacity(seen.instance.state_reason):
        return None
    launches = [seen.instance.launch_time] if fell_back else []
    tries = ((r.start_requested, [r.capacity_refused_at, *launches]) for r in records_of_request(seen, settings))
    every = ((asked, max(filter(None, at), default=None)) for asked, at in tries)
    return max(((asked, tried) for asked, tried in every if asked and tried), default=None)


def records_of_request(seen: Observation, settings: Settings) -> tuple[SnapshotRecord, ...]:
    """The records on which the start is remembered that is being carried on: those of this stop, or, where EC2 took the
    start back and so moved the launch time, those of the stop before."""
    if not start_reverted(seen, settings):
        return seen.of_this_stop
    asked = request_of_this_launch(seen, settings)
    return tuple(r for r in seen.records if r.start_requested and _in_seconds(r.start_requested) == asked)


def reverted_message(seen: Observation) -> str:
    """EC2's own reason for a start that it accepted and then took back, as a sentence."""
    i = seen.instance
    return f"EC2 took the start of {i.id} back: {(i.state_message or i.state_reason).rstrip('.')}."


def blocked_by_parking(seen: Observation, tried: datetime) -> bool:
    """Whether EC2 must have refused a start at that time because of us: no root volume since, and records of this stop.
    An instance launched later has been started by somebody meanwhile, and may have been stopped again on purpose."""
    return phase_of(seen) in WITHOUT_ROOT and bool(seen.of_this_stop) and seen.instance.launch_time < tried
