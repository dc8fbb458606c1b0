"""What a pass reports, once: an instance was parked, started, refused, failed, or left snapshots behind.

The pass that achieves something reports it: the one that deletes the last volume, the one that settles what came back.
An ongoing refusal or error is reported by the pass that a person or an event caused, and then once a day. The sweeps
in between find it every few minutes and stay silent. ``docs/events.md`` lists the fields."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeGuard, assert_never

from park_volumes.aws.errors import Ec2Error
from park_volumes.core import capacity, phase
from park_volumes.core.choice import told_to_stay
from park_volumes.core.facts import BinnedVolume, Observation, SnapshotRecord
from park_volumes.core.overdue import Overdue, overdue
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.prices import Savings, bin_price, savings, total
from park_volumes.core.refusals import misspelt_opt_in
from park_volumes.core.settings import Settings
from park_volumes.core.steps import DeleteVolume, Outcome, RememberTermination, UnmarkVolumes
from park_volumes.core.tags import MARK
from park_volumes.run.context import each_alone
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
USED = "Nothing is lost. Something else uses it: look what that is, and end it. Then it goes on."
NOT_ACCEPTED = (
    "Nothing is lost. EC2 does not accept it as it is, and will not by itself: correct what it names. Then it goes on."
)
FOLLOWED = " A start is followed for an hour; after that, ask for it again."
ASK_AGAIN = "Nothing is lost, but the request could not be written down: ask for the start again."
TO_CORRECT = "Correct the tag, or remove it if it is not needed: docs/by-hand.md says what each of them tells."
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
    """None of an instance that could not be handled: that is told anyway."""
    if isinstance(result.error, Unforeseen):
        return None
    return overdue(result.observation, result.decision, settings, now)


def _overdue(result: Result, settings: Settings, now: datetime) -> Report | None:
    late = overdue_of(result, settings, now)
    return Report(Kind.OVERDUE, result.observation, late.what, late.remedy) if late else None


def of_damage(observation: Observation) -> Report | None:
    """What is reported once a day of an instance of which tags are damaged."""
    ids = tuple(r.snapshot_id for r in observation.records if r.damage)
    return Report(Kind.DAMAGED, observation, observation.damage, TO_CORRECT, ids) if observation.damaged else None


STRAYS = "ParkVolumes: damaged tags"
"""The subject of the message about damaged snapshots of which no instance is told."""
MOST_STRAYS = 100


def of_stray_damage(damaged: Mapping[str, Sequence[str]], told: Collection[str]) -> str:
    """What is told once a day of damaged snapshots that are of none of the ``told`` instances; empty if none are."""
    strays = [words for instance_id, every in sorted(damaged.items()) if instance_id not in told for words in every]
    if not strays:
        return ""
    more = f"\n\nThere are {len(strays) - MOST_STRAYS} more." if len(strays) > MOST_STRAYS else ""
    return "\n\n".join((*strays[:MOST_STRAYS], TO_CORRECT)) + more


TWO_AT_WORK = "ParkVolumes: two deployments at work"
LATELY = timedelta(hours=23)
"""Less than the day after which a new deployment looks for this the first time: until then it may have been renamed."""


OVERLAP = timedelta(minutes=15)
"""For how long the functions of before may go on while a deployment is renamed, or its regions are taken over."""


def of_two_at_work(fleet: Iterable[Observation], settings: Settings, now: datetime, *, daily: bool = True) -> str:
    """What is told while the deployment that had a previous name goes on parking; empty if none does. Its snapshots of
    the last day tell that once a day; at any time one that is younger than one of ours."""
    every = [r for o in fleet for r in o.records]
    began = min((r.started for r in every if r.deployment == settings.deployment), default=None)
    theirs = [r for r in every if r.deployment in settings.previous_names and r.started > now - LATELY]
    if not daily:
        theirs = [r for r in theirs if began and r.started > began + OVERLAP]
    names = ", ".join(sorted({r.deployment for r in theirs}))
    return names and (
        f"The deployment {names} has taken snapshots in the last day, although previous_names says that it has become "
        f"{settings.deployment}. Two deployments now work on the same instances. Nothing is lost by that, but each can "
        f"refuse what the other has begun. Destroy {names}; or take it out of previous_names, and let the two have "
        f"different tags to opt in (opt_in_tag_key)."
    )


LOST = "ParkVolumes: a region cannot be looked at"


def of_lost_region(name: str, why: str) -> str:
    """What is told of a region that cannot be reached, or that a policy closes."""
    return (
        f"{name} cannot be looked at: {why.rstrip('.')}. Nothing is lost, and the other regions go on. But what stops "
        f"in {name} is not parked, and what is parked there cannot be started. Let the roles of ParkVolumes call EC2 "
        f"there, or take the region out of the input regions once nothing is parked in it."
    )


def _given_up_now(result: Result) -> tuple[SnapshotRecord, ...]:
    """The records of the volumes if this pass deleted the last of them; otherwise none."""
    generation = result.observation.complete_generation
    if generation is None:
        return ()
    left = {v.id for v in result.observation.left_of(generation) if v.state != "deleting"}
    deleted = {s.volume_id for s in result.decision.every_step if isinstance(s, DeleteVolume)}
    return generation.parts if left and left <= deleted else ()


def _parked(observation: Observation, parts: Sequence[SnapshotRecord], settings: Settings, now: datetime) -> Report:
    gib = sum(r.spec.size for r in parts)
    volumes = "its volume" if len(parts) == 1 else f"its {len(parts)} volumes"
    money = _without_volumes(observation, settings)
    what = f"{observation.instance.id} is parked: {volumes} ({gib} GiB) became snapshots.{_in_words(money)}"
    what = f"{what}{told_to_stay(observation, settings)}"
    advice = f"{NOTHING} Start it as usual, or at the Function URL."
    ids = tuple(r.snapshot_id for r in parts)
    took = (now - min(r.started for r in parts)).total_seconds()
    return Report(Kind.PARKED, observation, what, advice, snapshot_ids=ids, gib=gib, seconds=took, saves=money.saved)


def _orphaned(observation: Observation, what: str) -> Report:
    ids = tuple(r.snapshot_id for r in observation.records)
    return Report(Kind.ORPHANED, observation, what, ORPHANS, snapshot_ids=ids)


def _kept(result: Result) -> Report:
    """Snapshots that something else uses: told by the pass that finds it out, and not again for the same reason."""
    each = ", ".join(f"{i} ({why.rstrip('.')})" for i, why in result.kept.items())
    what = f"A superseded snapshot of {result.instance_id} cannot be discarded: {each}."
    return Report(Kind.ORPHANED, result.observation, what, IN_USE, snapshot_ids=tuple(result.kept))


def _without_volumes(observation: Observation, settings: Settings) -> Savings:
    """What parking saves, by the records alone: the volumes that still exist were not parked."""
    return savings(replace(observation, volumes=()), settings.prices)


def _in_words(money: Savings) -> str:
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
    how = "restored from its snapshots" if restored else "put back"
    gib = sum(v.volume.spec.size for v in back)
    what = f"{instance.id} is running: {len(back)} volumes ({gib} GiB) were {how}."
    advice = f"{NOTHING} Restored volumes are slower until each block has been read once." if restored else NOTHING
    ids = tuple(v.record.snapshot_id for v in back)
    took = (instance.launch_time - asked).total_seconds() if asked else None
    return Report(Kind.STARTED, observation, what, advice, snapshot_ids=ids, gib=gib, seconds=took)


def _short_of(code: str) -> str:
    return f"{capacity.TRIED_AGAIN} {capacity.remedy(code)}"


def _reverted(observation: Observation, settings: Settings) -> Report | None:
    """EC2 took a start back. If it is tried again because EC2 has no room, only the first time is reported."""
    instance = observation.instance
    asked = phase.request_of_this_launch(observation, settings)
    short = capacity.lacks_room(instance.state_reason)
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


BINNED = "ParkVolumes: parked volumes in the Recycle Bin"
"""The subject of the message about them."""
BIN_ADVICE = (
    "Parking saves nothing of that before they leave it, nobody can empty it, and they count towards the volume quota "
    "of the account: an instance that is started meanwhile counts twice. If you want the savings at once, add the "
    f"exclusion tag {MARK}, without a value, to the retention rule of the region for volumes (aws rbin update-rule "
    "--exclude-resource-tags): every volume that is parked bears it. The snapshots are kept in any case."
)

MONTHLY = "ParkVolumes: what parking saves"
"""The subject of the monthly message."""


@dataclass(frozen=True, kw_only=True)
class _Figures:
    """What one instance adds to the numbers of a deployment. ``saves`` is None if nothing of it is parked."""

    parked_gib: int
    saves: Savings | None
    in_transit_since: datetime | None
    asked: datetime | None


def _figures_of(observation: Observation, settings: Settings) -> _Figures | None:
    """None of an instance that has ended."""
    if phase_of(observation) is Phase.ENDED:
        return None
    gib = _parked_gib(observation)
    return _Figures(
        parked_gib=gib,
        saves=_without_volumes(observation, settings) if gib else None,
        in_transit_since=_in_transit_since(observation),
        asked=_unfinished_start(observation, settings),
    )


def _figures(fleet: Iterable[Observation], settings: Settings) -> list[_Figures]:
    """Those of a fleet, without any instance that cannot be counted."""
    return each_alone(fleet, partial(_figures_of, settings=settings))


def of_recycle_bin(binned: Sequence[BinnedVolume], settings: Settings) -> str:
    """What is told once a day of given up volumes that a Recycle Bin keeps; empty if there are none."""
    if not binned:
        return ""
    cost = bin_price(settings.prices, binned)
    money = "" if cost is None else f", {cost:.2f} USD a month"
    last = max((v.leaves for v in binned if v.leaves), default=None)
    until = f" until {last:%Y-%m-%d %H:%M} UTC at the latest" if last else ""
    words = f"Of this deployment {_binned(binned)} in the Recycle Bin{until}"
    return f"{words}, at the price of before{money}. {BIN_ADVICE}"


def _binned(binned: Sequence[BinnedVolume]) -> str:
    gib = sum(v.spec.size for v in binned)
    which = "a parked volume" if len(binned) == 1 else f"{len(binned)} parked volumes"
    return f"{which} ({gib:,} GiB) {'is' if len(binned) == 1 else 'are'} still"


OfRegion = tuple[Iterable[Observation], Settings, Sequence[BinnedVolume]]


def of_the_month(regions: Sequence[OfRegion]) -> str:
    """The sums of all regions: of the fleet in each, by its settings, with what a Recycle Bin keeps."""
    every = [f for fleet, settings, _ in regions for f in _figures(fleet, settings)]
    binned = [v for _, _, kept in regions for v in kept]
    parked = [f.saves for f in every if f.saves]
    gib = sum(f.parked_gib for f in every)
    money = _in_words(total(parked)) or " The saving is not known."
    words = f"{len(parked)} of {len(every)} opted-in instances are parked, with {gib:,} GiB of volumes.{money}"
    if binned:
        words += f" Of that, {_binned(binned)} in the Recycle Bin, and saves nothing yet."
    return f"{words}\nGET /savings at the Function URL shows the saving of each instance."


AGES = ("TransitAge", "StartAge")


def gauges(fleet: Iterable[Observation], settings: Settings, now: datetime) -> Mapping[str, float]:
    """The parked size in GiB, and what that saves in USD a month, if prices are known; the age in seconds of the oldest
    transit and of the oldest unfinished start."""
    every = _figures(fleet, settings)
    saved = total(f.saves for f in every if f.saves).saved
    oldest_transit = min((f.in_transit_since for f in every if f.in_transit_since), default=now)
    remembered = (f.asked for f in every if f.asked and now < f.asked + settings.start_hold)
    oldest_start = min(remembered, default=now)
    return {
        "ParkedGiB": sum(f.parked_gib for f in every),
        "TransitAge": (now - oldest_transit).total_seconds(),
        "StartAge": (now - oldest_start).total_seconds(),
    } | ({} if saved is None else {"MonthlySaving": saved})


def together(regions: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The figures of several regions in one: sums, and the greatest age. What one of them cannot tell of money is not
    known of all."""
    names = dict.fromkeys(name for of_region in regions for name in of_region)
    values = {name: [of_region[name] for of_region in regions if name in of_region] for name in names}
    known = {name: every for name, every in values.items() if name in AGES or len(every) == len(regions)}
    return {name: max(every) if name in AGES else sum(every) for name, every in known.items()}


def _parked_gib(observation: Observation) -> int:
    generation = observation.generation
    if generation is None or phase_of(observation) not in phase.WITHOUT_ROOT:
        return 0
    there = {v.id for v in observation.volumes}
    return sum(r.spec.size for r in generation.parts if r.volume_id not in there)


def _in_transit_since(observation: Observation) -> datetime | None:
    """When the oldest transit began: for an original with its mark; for a restored volume, which is created with the
    mark from parking, with the start request, or with its creation where no start was asked for."""
    originals = [v.mark.at for v in observation.in_transit if not v.restored]
    requests = [r.start_requested for r in observation.records if r.start_requested]
    created = [v.volume.created for v in observation.in_transit if v.restored]
    restored = [max(requests, default=min(created))] if created else []
    return min(originals + restored, default=None)


def _unfinished_start(observation: Observation, settings: Settings) -> datetime | None:
    """When a start was requested that has not led to a running instance."""
    state = observation.instance.state
    launched = state == "pending" or phase.start_reverted(observation, settings)
    at = phase.request_of_this_launch(observation, settings) if launched else phase.last_request(observation)
    return at if state in ("pending", "stopped") else None
