"""What is reported of all instances together: their sums, and once a day what stands out among them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from park_volumes.core import phase
from park_volumes.core.facts import BinnedVolume, Observation, SnapshotRecord
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.prices import Savings, bin_price, total
from park_volumes.core.settings import Settings
from park_volumes.core.tags import MARK
from park_volumes.report import Kind, Report, in_words, without_volumes
from park_volumes.run.context import each_alone

TO_CORRECT = "Correct the tag, or remove it if it is not needed: docs/by-hand.md says what each of them tells."


def of_damage(observation: Observation) -> Report | None:
    """What is reported once a day of an instance of which tags are damaged."""
    ids = tuple(r.snapshot_id for r in observation.records if r.damage)
    return Report(Kind.DAMAGED, observation, observation.damage, TO_CORRECT, ids) if observation.damaged else None


STRAYS = "ParkVolumes: damaged tags"
"""The subject of the message about damaged snapshots that belong to no instance."""

MOST_STRAYS = 100


def of_stray_damage(damaged: Mapping[str, Sequence[str]], told: Collection[str]) -> str:
    """What is reported once a day of damaged snapshots that belong to none of the ``told`` instances; else empty."""
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
    """What is reported while another deployment parks the same instances; empty if none does. The sign is its snapshot
    of the last day, newer than the oldest of ours. Once a day an older one counts too, if its deployment bears one of
    our previous names."""
    every = [r for o in fleet for r in o.records]
    began = min((r.started for r in every if _is_ours(r, settings)), default=now)
    others = [r for r in every if not _is_ours(r, settings) and r.started > now - LATELY]
    renamed = [r for r in others if daily and r.deployment != settings.deployment]
    theirs = [*renamed, *(r for r in others if r.started > began + OVERLAP)]
    namesakes = sorted({r.home for r in theirs if r.deployment == settings.deployment})
    names = ", ".join(sorted({r.deployment for r in theirs} - {settings.deployment}))
    if namesakes:
        return _of_a_namesake(namesakes[0], settings)
    return _of_a_previous_one(names, settings) if names else ""


TOGETHER = "Two deployments now work on the same instances. Nothing is lost by that, but each"


def _is_ours(r: SnapshotRecord, settings: Settings) -> bool:
    """Deployments of the same name are told apart by their home regions."""
    return (r.deployment, r.home) == (settings.deployment, settings.home)


def _of_a_namesake(home: str, settings: Settings) -> str:
    return (
        f"Another deployment with the name {settings.deployment}, whose home region is {home or 'this one'}, has taken "
        f"snapshots here in the last day. {TOGETHER} uses the rates of the region as if it were alone. Destroy one of "
        f"them, or take this region out of the input regions of the one that is not at home here."
    )


def _of_a_previous_one(names: str, settings: Settings) -> str:
    return (
        f"The deployment {names} has taken snapshots in the last day, although previous_names says that it has become "
        f"{settings.deployment}. {TOGETHER} can refuse what the other has begun. Destroy {names}; or take it out of "
        f"previous_names, and let the two have different tags to opt in (opt_in_tag_key)."
    )


LOST = "ParkVolumes: a region cannot be reached"


def of_lost_region(name: str, why: str) -> str:
    """What is reported of a region that cannot be reached, or that a policy closes."""
    return (
        f"{name} cannot be reached: {why.rstrip('.')}. Nothing is lost, and the other regions go on. But what stops "
        f"in {name} is not parked, and what is parked there cannot be started. Let the roles of ParkVolumes call EC2 "
        f"there, or take the region out of the input regions once nothing is parked in it."
    )


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
        saves=without_volumes(observation, settings) if gib else None,
        in_transit_since=_in_transit_since(observation),
        asked=_unfinished_start(observation, settings),
    )


def _figures(fleet: Iterable[Observation], settings: Settings) -> list[_Figures]:
    """Those of a fleet, without any instance that cannot be counted."""
    return each_alone(fleet, partial(_figures_of, settings=settings))


def of_recycle_bin(binned: Sequence[BinnedVolume], settings: Settings) -> str:
    """What is reported once a day of given up volumes that a Recycle Bin keeps; empty if there are none."""
    if not binned:
        return ""
    cost = bin_price(settings.prices, binned)
    money = "" if cost is None else f", {cost:.2f} USD a month"
    last = max((v.leaves for v in binned if v.leaves), default=None)
    until = f" until {last:%Y-%m-%d %H:%M} UTC at the latest" if last else ""
    words = f"In this deployment, {_binned(binned)} in the Recycle Bin{until}"
    return f"{words}, at the same price as before{money}. {BIN_ADVICE}"


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
    money = in_words(total(parked)) or " The saving is not known."
    words = f"Opted-in instances that are parked: {len(parked)} of {len(every)}, with {gib:,} GiB of volumes.{money}"
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
