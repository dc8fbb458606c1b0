"""What a pass reports, once: an instance was parked, started, refused, failed, or left snapshots behind.

The pass that achieves something reports it: the one that deletes the last volume, the one that settles what came back.
An ongoing refusal or error is reported by the pass that a person or an event caused, and then once a day. The sweeps
in between find it every few minutes and stay silent. ``docs/events.md`` lists the fields."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeGuard, assert_never

from park_volumes.aws.errors import Ec2Error
from park_volumes.core import capacity, phase
from park_volumes.core.choice import stays_in_words
from park_volumes.core.facts import Observation, SnapshotRecord
from park_volumes.core.overdue import Overdue, overdue
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.prices import Savings, savings
from park_volumes.core.refusals import misspelt_opt_in
from park_volumes.core.settings import Settings
from park_volumes.core.steps import DeleteVolume, Outcome, RememberTermination, UnmarkVolumes
from park_volumes.run.execute import Result, Unforeseen

AGAIN = "Nothing is lost; ParkVolumes tries again by itself. The log of the function has every step."
NOTHING = "There is nothing to do."
ORPHANS = (
    "They are kept, and you pay for them. If nobody needs them, run aws ec2 unlock-snapshot and then aws ec2 "
    "delete-snapshot for each."
)
IN_USE = (
    "It is kept and locked, and you pay for it; the others are discarded. Once nothing uses it any more (deregister "
    "the AMI, or stop sharing it), run aws ec2 unlock-snapshot and then aws ec2 delete-snapshot if it is still there."
)
DENIED = (
    "Nothing is lost. A policy does not allow it: look at service control policies, permissions boundaries and key "
    "policies. It goes on once the roles of ParkVolumes may do it."
)
LIMITED = (
    "Nothing is lost. A quota is used up: ask for a higher one (Service Quotas), or delete what nobody needs. Then it "
    "goes on."
)
USED = "Nothing is lost. Something else uses it: find out what, and end that. Then it goes on."
NOT_ACCEPTED = (
    "Nothing is lost. EC2 does not accept it, and trying again does not help: correct what it names. Then it goes on."
)
FOLLOWED = " A start is followed for an hour; after that, ask for it again."
ASK_AGAIN = "Nothing is lost, but the request could not be written down: ask for the start again."
MISSPELT = "Until then ParkVolumes neither parks nor starts it."
OTHER_CAUSE = (
    "Its volumes are attached, cost as much as before, and are not parked again. Often the cause is a KMS key: its "
    "policy must let the role of the start function create grants. Correct that, and start the instance again."
)
AT_ONCE = timedelta(minutes=4)
"""A launch within this time after the request is the first try."""


class Kind(StrEnum):
    """The detail-type of the event."""

    PARKED = "Instance Parked"
    STARTED = "Instance Started"
    PARKING_REFUSED = "Parking Refused"
    PARKING_FAILED = "Parking Failed"
    START_REFUSED = "Start Refused"
    START_FAILED = "Start Failed"
    ORPHANED = "Snapshots Orphaned"
    DAMAGED = "Tags Damaged"
    OVERDUE = "Instance Overdue"


@dataclass(frozen=True)
class Report:
    """One thing that happened to one instance, and what its owner may want to do about it.
    ``gib`` is the size of the volumes that were parked or restored, ``seconds`` is how long it took, ``saves`` is what
    it saves in USD a month, negative if snapshots cost more than volumes. None if unknown."""

    kind: Kind
    observation: Observation
    what: str
    advice: str
    snapshot_ids: tuple[str, ...] = ()
    gib: int | None = None
    seconds: float | None = None
    saves: float | None = None

    @property
    def instance_id(self) -> str:
        return self.observation.instance.id


def of_parking(result: Result, settings: Settings, now: datetime, *, include_ongoing: bool) -> Report | None:
    """What the park side reports about a pass; with ``include_ongoing`` also an ongoing refusal or error."""
    observation, decision = result.observation, result.decision
    if result.complete and (parts := _given_up_now(result)):
        return _parked(observation, parts, settings, now)
    if result.complete and any(isinstance(s, RememberTermination) for s in decision.every_step):
        return _orphaned(observation, decision.reason)
    if result.kept:
        return _kept(result)
    if not include_ongoing:
        return None
    if result.error:
        return Report(Kind.PARKING_FAILED, observation, str(result.error), advice_on(result.error))
    if phase.start_reverted(observation, settings):
        return _reverted(observation, settings)
    if decision.outcome is Outcome.REFUSED:
        return _not_parked(observation, decision.reason, settings)
    if failed := [r.device for r in observation.of_this_stop if r.state == "error"]:
        what = f"A snapshot of {', '.join(failed)} failed. {decision.reason}"
        return Report(Kind.PARKING_FAILED, observation, what, AGAIN)
    return _overdue(result, settings, now)


def of_start(result: Result, settings: Settings, now: datetime, *, asked: bool, include_ongoing: bool) -> Report | None:
    """What the start side reports about a pass. ``asked``: somebody requested the start in this pass."""
    observation, decision = result.observation, result.decision
    settled = result.complete and any(isinstance(s, UnmarkVolumes) for s in decision.every_step)
    if settled and phase_of(observation) is Phase.RUNNING:
        return _started(observation, settings)
    if not include_ongoing:
        return None
    if result.error:
        followed = FOLLOWED if _needs_somebody(result.error) else ""
        advice = _short_of(result.lack) if result.lack else advice_on(result.error) + followed
        advice = ASK_AGAIN if result.not_remembered else advice
        return Report(Kind.START_FAILED, observation, str(result.error), advice)
    wanted = asked or phase.start_pending(observation, settings, now)
    if wanted and decision.outcome is Outcome.REFUSED and observation.instance.state == "stopped":
        return Report(Kind.START_REFUSED, observation, decision.reason, "Correct that, and try again.")
    return _overdue(result, settings, now) if phase_of(observation) is Phase.PARKED else None


def _needs_somebody(error: Exception) -> TypeGuard[Ec2Error]:
    """Whether it does not help that something is tried again, before somebody has done something."""
    return isinstance(error, Ec2Error) and (error.refused or error.denied or error.limited or error.in_use)


def advice_on(error: Exception) -> str:
    """What to do about an error. That it is tried again by itself helps only where nobody has to do anything."""
    if not _needs_somebody(error):
        return AGAIN
    if error.denied:
        return DENIED
    if error.limited:
        return LIMITED
    return USED if error.in_use else NOT_ACCEPTED


def overdue_of(result: Result, settings: Settings, now: datetime) -> Overdue | None:
    """None of an instance that could not be handled: that is reported anyway."""
    if isinstance(result.error, Unforeseen):
        return None
    return overdue(result.observation, result.decision, settings, now)


def _overdue(result: Result, settings: Settings, now: datetime) -> Report | None:
    late = overdue_of(result, settings, now)
    if late is None:
        return None
    note = f" {result.note}" if result.note else ""
    return Report(Kind.OVERDUE, result.observation, f"{late.what}{note}", late.remedy)


def _given_up_now(result: Result) -> tuple[SnapshotRecord, ...]:
    """The records of the volumes if this pass deleted the last of them; otherwise none."""
    generation = result.observation.complete_generation
    if generation is None:
        return ()
    left = {v.id for v in result.observation.left_of(generation) if v.state != "deleting"}
    deleted = {s.volume_id for s in result.decision.every_step if isinstance(s, DeleteVolume)}
    return generation.parts if left and left <= deleted else ()


def _its_volumes(number: int, gib: int) -> str:
    return f"its {'volume' if number == 1 else f'{number} volumes'} ({gib} GiB)"


def _parked(observation: Observation, parts: Sequence[SnapshotRecord], settings: Settings, now: datetime) -> Report:
    gib = sum(r.spec.size for r in parts)
    money = without_volumes(observation, settings)
    what = f"{observation.instance.id} is parked: {_its_volumes(len(parts), gib)} became snapshots.{in_words(money)}"
    what = f"{what}{stays_in_words(observation, settings)}"
    advice = f"{NOTHING} Start it as usual, or at the Function URL."
    ids = tuple(r.snapshot_id for r in parts)
    took = (now - min(r.started for r in parts)).total_seconds()
    return Report(Kind.PARKED, observation, what, advice, snapshot_ids=ids, gib=gib, seconds=took, saves=money.saved)


def _orphaned(observation: Observation, what: str) -> Report:
    ids = tuple(r.snapshot_id for r in observation.records)
    return Report(Kind.ORPHANED, observation, what, ORPHANS, snapshot_ids=ids)


def _kept(result: Result) -> Report:
    """Snapshots that something else uses: reported by the pass that finds it out, and not again for the same reason."""
    each = ", ".join(f"{i} ({why.rstrip('.')})" for i, why in result.kept.items())
    what = f"A superseded snapshot of {result.instance_id} cannot be discarded: {each}."
    return Report(Kind.ORPHANED, result.observation, what, IN_USE, snapshot_ids=tuple(result.kept))


def without_volumes(observation: Observation, settings: Settings) -> Savings:
    """What parking saves, by the records alone: the volumes that still exist were not parked."""
    return savings(replace(observation, volumes=()), settings.prices)


def in_words(money: Savings) -> str:
    """A sentence about the price, with a space before it; empty if the price is unknown."""
    if money.saved is None:
        return ""
    if money.saved < 0:
        return f" Snapshots cost {'up to ' if money.at_most else ''}{-money.saved:.2f} USD a month more than volumes."
    return f" This saves {'at least ' if money.at_most else ''}{money.saved:.2f} USD a month."


def _started(observation: Observation, settings: Settings) -> Report:
    instance, back = observation.instance, observation.in_transit
    asked = phase.request_of_this_launch(observation, settings)
    restored = all(v.restored for v in back)
    gib = sum(v.volume.spec.size for v in back)
    came_back = "came back from snapshots" if restored else "came back"
    what = f"{instance.id} is running: {_its_volumes(len(back), gib)} {came_back}."
    advice = f"{NOTHING} Restored volumes are slower until each block has been read once." if restored else NOTHING
    ids = tuple(v.record.snapshot_id for v in back)
    took = (instance.launch_time - asked).total_seconds() if asked else None
    return Report(Kind.STARTED, observation, what, advice, snapshot_ids=ids, gib=gib, seconds=took)


def _short_of(code: str) -> str:
    return f"{capacity.TRIED_AGAIN} {capacity.remedy(code)}"


def _reverted(observation: Observation, settings: Settings) -> Report | None:
    """EC2 took a start back. If it is tried again because EC2 has no capacity, only the first time is reported."""
    instance = observation.instance
    asked = phase.request_of_this_launch(observation, settings)
    short = capacity.lacks_capacity(instance.state_reason)
    if short and asked and instance.launch_time - asked > AT_ONCE:
        return None
    advice = _short_of(instance.state_reason) if short else OTHER_CAUSE
    return Report(Kind.START_FAILED, observation, phase.reverted_message(observation), advice)


def _not_parked(observation: Observation, reason: str, settings: Settings) -> Report:
    """A refusal: a running instance leaves snapshots behind, a stopped instance keeps costing as much as before."""
    if misspelt_opt_in(observation.instance, settings):
        return Report(Kind.PARKING_REFUSED, observation, reason, MISSPELT)
    found = phase_of(observation)
    match found:
        case Phase.RUNNING:
            return _orphaned(observation, reason)
        case Phase.LOCK_VOID | Phase.LOCKED | Phase.BROKEN | Phase.COMMITTED | Phase.RESTORING | Phase.PARKED:
            advice = "All existing volumes and snapshots were kept. Correct that, or start the instance."
        case Phase.ENDED | Phase.CHANGING | Phase.WHOLE:
            key = settings.opt_in_tag_key
            advice = f"Its volumes cost as much as before. Correct that, or remove the tag {key} from the instance."
        case _:
            assert_never(found)
    return Report(Kind.PARKING_REFUSED, observation, reason, advice)
