"""What the doctor finds, before or after the module is deployed: pure functions of the facts that were read."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, assert_never

from park_volumes.cli.examined import (
    ENABLED,
    SNAPSHOTS,
    Encryption,
    Event,
    Examined,
    Key,
    Layer,
    Place,
    Rule,
    Trail,
    Unread,
)
from park_volumes.cli.explain import money
from park_volumes.core import tags
from park_volumes.core.choice import stays_in_words, volumes_to_park
from park_volumes.core.facts import BinnedVolume, Observation, SnapshotRecord
from park_volumes.core.park import park
from park_volumes.core.phase import WITHOUT_ROOT, Phase, phase_of
from park_volumes.core.prices import NOT_COUNTED, TRAIL_COPY, Savings, savings, total
from park_volumes.core.refusals import hidden_volumes, misspelt_opt_in, not_to_be_parked
from park_volumes.core.settings import Settings
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import Outcome
from park_volumes.core.volume_spec import VolumeSpec
from park_volumes.overview import BIN_ADVICE
from park_volumes.run.context import alone

FAILED_START = Event(name="StartInstances", reads=False)
LOOK = Event(name="DescribeVolumes", reads=True)
IDLE_CALLS = 50 * 730
"""The calls of a month that CloudTrail records while nothing happens: by the hour, twelve sweeps of the park side with
four, and one of the start side with two. All of them read."""
CHANGING_CALLS = 21
"""Those that change something when an instance of two volumes is parked and started once."""
WORKING_DAYS = 22
"""Of a month: how often an instance may stop and start."""
GIB_PER_TIB = 1024
GENERATIONS = 2
"""Snapshots of a volume at one time: that of the last stop, which is kept for a while, and that of this one."""
SHOWN = 5
"""Ids that a sentence lists."""
MOST_WORDS = 300
"""Characters of an error that a sentence quotes."""


class Level(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Topic(StrEnum):
    """What is examined, in the order in which it is shown."""

    REGION = "region"
    LAYER = "layer"
    TRAIL = "trail"
    TRAIL_COST = "cost of CloudTrail"
    ENCRYPTION = "encryption"
    RECYCLE_BIN = "Recycle Bin"
    QUOTAS = "quotas"
    INSTANCES = "instances"
    VOLUMES = "volumes of others"
    SAVINGS = "savings"
    NOT_READ = "not read"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A sentence about a topic, and what to do about it; nothing if the remedy is empty."""

    topic: Topic
    level: Level
    words: str
    remedy: str = ""


Found = Iterator[tuple[Level, str, str]]
"""The findings about one topic: level, words, remedy."""


class Check(NamedTuple):
    """A topic, what judges it, and the facts that this takes. Without those that it can do without (``refined_by``), it
    says less."""

    topic: Topic
    judge: Callable[..., Found]
    facts: Sequence[Any]
    refined_by: Sequence[Any] = ()


def diagnose(of: Examined, settings: Settings, now: datetime) -> list[Finding]:
    """Every finding. What could not be read has one of its own, which names the topics that it leaves open."""
    found: list[Finding] = []
    unread: dict[Unread, list[Topic]] = {}
    for check in _checks(of, settings, now):
        for fact in (*check.facts, *check.refined_by):
            if isinstance(fact, Unread):
                unread.setdefault(fact, []).append(check.topic)
        if not any(isinstance(fact, Unread) for fact in check.facts):
            found += alone(check.topic, partial(_judged, check), partial(_not_judged, check))
    return found + [_not_read(one, topics, of.place) for one, topics in unread.items()]


def of_two_deployments(name: str, region: str, beside: str) -> Finding:
    """Their snapshots and volumes bear the same name, so that the functions cannot tell."""
    words = f"Two deployments {name} look after {region}: the one in {region}, and the one in {beside}."
    remedy = (
        f"Nothing is lost by that, but each uses the rates of the region as if it were alone. Destroy the one "
        f"in {region}, or take {region} out of the input regions of the one in {beside}."
    )
    return Finding(topic=Topic.REGION, level=Level.WARNING, words=words, remedy=remedy)


def _checks(of: Examined, settings: Settings, now: datetime) -> Iterator[Check]:
    hidden = [] if isinstance(of.trails, Unread) else [part for t in of.trails for part in (t.logging, t.selectors)]
    binned = () if isinstance(of.binned, Unread) else of.binned
    yield Check(Topic.REGION, partial(_of_region, prices=settings.prices), [of.place])
    yield Check(Topic.LAYER, _of_layer, [of.place, of.layer])
    yield Check(Topic.TRAIL, _of_trails, [of.trails], hidden)
    yield Check(Topic.TRAIL_COST, partial(_of_trail_cost, settings=settings), [of.trails, of.fleet], hidden)
    yield Check(Topic.ENCRYPTION, partial(_of_encryption, settings=settings), [of.encryption, of.fleet])
    for key in of.keys:
        yield Check(Topic.ENCRYPTION, partial(_of_key, settings=settings, place=of.place), [key])
    yield Check(Topic.RECYCLE_BIN, partial(_of_rules, settings=settings), [of.rules, of.fleet])
    quotas = partial(_of_quotas, settings=settings, binned=binned)
    yield Check(Topic.QUOTAS, quotas, [of.quotas, of.used, of.snapshots, of.fleet], [of.binned])
    yield Check(Topic.INSTANCES, partial(_of_instances, settings=settings, now=now), [of.fleet])
    yield Check(Topic.VOLUMES, partial(_of_volumes, settings=settings), [of.fleet])
    yield Check(Topic.SAVINGS, partial(_of_savings, settings=settings), [of.fleet])


def _judged(check: Check) -> list[Finding]:
    told = check.judge(*check.facts)
    return [Finding(topic=check.topic, level=level, words=words, remedy=remedy) for level, words, remedy in told]


def _not_judged(check: Check, error: Exception) -> list[Finding]:
    return [Finding(topic=check.topic, level=Level.WARNING, words=f"This could not be examined: {error!r}.")]


def as_json(found: Iterable[Finding]) -> list[dict[str, str]]:
    return [{key: str(value) for key, value in asdict(one).items()} for one in found]


def _not_read(one: Unread, topics: Iterable[Topic], place: Place) -> Finding:
    told = " ".join(one.words.split())[:MOST_WORDS].rstrip(".")
    words = f"{one.action} failed ({one.code}): {told}. Not known in full: {', '.join(dict.fromkeys(topics))}."
    if one.denied:
        remedy = f"Run it again with credentials that may call {one.action}."
    else:
        remedy = f"Run it again; {place.region} may not have that service."
    return Finding(topic=Topic.NOT_READ, level=Level.WARNING, words=words, remedy=remedy)


def _of_region(place: Place, *, prices: Mapping[str, float]) -> Found:
    where = f"{place.region} of the partition {place.partition}, account {place.account}"
    if place.listed:
        yield Level.GOOD, f"{where}.", ""
    else:
        words = f"{where}: this version of boto3 does not know the region."
        yield Level.WARNING, words, "Update boto3, so that every call below goes to the right address."
    if not prices:
        words = f"The prices of {place.region} are not known: savings are n/a, and nothing is refused as too dear."
        yield Level.WARNING, words, "Set prices (docs/money.md)."


def _of_layer(place: Place, layer: Layer) -> Found:
    if not layer.arn:
        words = f"No public layer of Powertools is known in the partition {place.partition}."
        yield Level.BAD, words, "Set powertools_layer_arn; the plan of Terraform refuses to go on without it."
    elif isinstance(layer.there, Unread):
        words = f"{layer.there.action} failed for the layer {layer.arn} ({layer.there.code}): it does not exist,"
        remedy = f"Allow {layer.there.action}, or set powertools_layer_arn to a layer version that you know to exist."
        yield Level.WARNING, f"{words} or you may not see it.", remedy
    elif layer.there:
        yield Level.GOOD, f"The layer {layer.arn} exists.", ""
    else:
        words = f"The layer {layer.arn} does not exist, so Lambda makes no function with it."
        yield Level.BAD, words, "Set powertools_layer_arn to a layer version that exists in this region."


def _of_trails(trails: Sequence[Trail]) -> Found:
    logging = {t.name: t.logs(FAILED_START) for t in trails}
    names = [name for name, logs in logging.items() if logs]
    hidden = [name for name, logs in logging.items() if logs is None]
    if names:
        yield Level.GOOD, f"A trail logs management events here: {', '.join(names)}.", ""
        return
    remedy = "Create a trail that logs the management events that write, or set start_on_failed_start = false."
    if hidden:
        words = f"Whether a trail logs starts that EC2 refuses is not known ({', '.join(hidden)})."
        yield Level.WARNING, words, "Ask whoever owns the trail whether it logs management events that write."
    else:
        words = "No trail logs the management events of this region. Starts in the console, the CLI or an SDK are not"
        yield Level.WARNING, f"{words} noticed; only the Function URL starts what is parked.", remedy


def _of_trail_cost(trails: Sequence[Trail], fleet: Sequence[Observation], *, settings: Settings) -> Found:
    """The first copy of an event is free, whichever trail it is in."""
    starts = WORKING_DAYS * CHANGING_CALLS * len(_opted_in(fleet, settings))
    copies = {LOOK: IDLE_CALLS, FAILED_START: starts}
    paid = sum(n * max(0, sum(bool(t.logs(event)) for t in trails) - 1) for event, n in copies.items())
    calls = f"{IDLE_CALLS:,} calls a month, and {starts:,} more if every opted-in instance stops each working day"
    if paid == 0:
        yield Level.GOOD, f"CloudTrail charges nothing for the {calls}: a first copy of each is free.", ""
        return
    words = f"CloudTrail charges about {paid * TRAIL_COPY:.2f} USD a month for the {calls}: only a first copy is free."
    yield Level.WARNING, words, "Let the additional trails log only what writes, or other sources of events than ec2."


def _of_encryption(found: Encryption, fleet: Sequence[Observation], *, settings: Settings) -> Found:
    if not found.by_default:
        yield Level.GOOD, "Encryption by default is off: every volume comes back as it was.", ""
        return
    by_default = f"Encryption by default is on, with {found.key}"
    plain = [name for o in _opted_in(fleet, settings) for name in _not_encrypted(o, settings)]
    if not plain:
        yield Level.GOOD, f"{by_default}. Every volume comes back with its own key.", ""
        return
    words = f"{by_default}. What is not encrypted now comes back encrypted: {_listed(plain)}."
    remedy = "If Terraform says encrypted = false there, its plan will replace the volume or the instance: remove that."
    yield Level.WARNING, words, remedy


def _not_encrypted(o: Observation, settings: Settings) -> Iterator[str]:
    """The volumes that are not encrypted, and the snapshots of those that are parked."""
    yield from (v.id for v, _ in volumes_to_park(o, settings) if not v.spec.encrypted)
    yield from (r.snapshot_id for r in _parked(o) if not r.spec.encrypted)


def _of_key(key: Key, *, settings: Settings, place: Place) -> Found:
    if key.state != ENABLED:
        words = f"The key {key.arn} is in the state {key.state}: no volume can be restored with it."
        yield Level.BAD, words, "Enable it before an instance with such a volume stops."
    elif key.account != place.account and key.arn not in settings.kms_key_arns:
        words = f"The key {key.arn} belongs to the account {key.account}, and the start role may not use it."
        yield Level.BAD, words, "Add it to kms_key_arns, and let its key policy allow the start role."
    else:
        yield Level.GOOD, f"The key {key.arn} is enabled.", ""


def _of_rules(rules: Sequence[Rule], fleet: Sequence[Observation], *, settings: Settings) -> Found:
    owners = [{}, *(dict(owner) for o in _opted_in(fleet, settings) for owner in _owners_tags(o, settings))]
    kept = [rule for rule in rules if any(rule.keeps(owner | _ours_on(rule, settings)) for owner in owners)]
    for rule in kept:
        yield _of_volume_rule(rule) if rule.of_volumes else _of_snapshot_rule(rule, settings)
    if not kept:
        yield Level.GOOD, "No rule of the Recycle Bin keeps what is deleted here.", ""


def _owners_tags(o: Observation, settings: Settings) -> Iterator[Mapping[str, str]]:
    """The tags of what is parked, or would be."""
    yield from (v.tags for v, _ in volumes_to_park(o, settings))
    yield from (r.user_tags for r in o.of_this_stop)


def _ours_on(rule: Rule, settings: Settings) -> dict[str, str]:
    """The tags that ParkVolumes writes, on a volume that it deletes or on a snapshot."""
    return {tags.MARK: settings.deployment} if rule.of_volumes else {tags.DEPLOYMENT: settings.deployment}


def _of_volume_rule(rule: Rule) -> tuple[Level, str, str]:
    words = f"The rule {rule.id} of the Recycle Bin keeps deleted volumes for {rule.days} days, parked ones too."
    if not rule.tags:
        return Level.WARNING, words, BIN_ADVICE
    keys = ", ".join(key for key, _ in rule.tags)
    remedy = f"Take the tags of the rule ({keys}) off the volumes that are parked, or give the rule other tags."
    return Level.WARNING, f"{words} They cost as before, and count towards the quotas.", remedy


def _of_snapshot_rule(rule: Rule, settings: Settings) -> tuple[Level, str, str]:
    words = (
        f"The rule {rule.id} of the Recycle Bin keeps deleted snapshots of {settings.deployment} for {rule.days} days"
    )
    if rule.keeps(_ours_on(rule, settings)) and rule.tags:
        return Level.GOOD, f"{words}, as recycle_bin_days asks for.", ""
    remedy = "Nothing needs to be done if that is meant as a way back for snapshots that somebody deletes."
    if not rule.tags:
        remedy += f" Otherwise add the exclusion tag {tags.DEPLOYMENT}={settings.deployment} to the rule."
    return Level.WARNING, f"{words}, at the same price: those too that a later stop has superseded.", remedy


@dataclass(frozen=True, kw_only=True)
class _Room:
    """A quota, and what it has to hold: what is there ``now``, what is there once everything parked is ``back``, and
    the ``most``, with a second copy of the fleet: a Recycle Bin keeps volumes beside those that come back, and a stop
    adds snapshots while those of the last one are still kept."""

    what: str
    now: int
    back: int
    most: int
    quota: float | None

    def judge(self) -> tuple[Level, str, str]:
        if self.quota is None:
            return Level.WARNING, f"Service Quotas names no quota for {self.what}.", "Look it up before you park much."
        told = f"{self.what}: {self.now:,} of {self.quota:,.0f}"
        if self.back > self.quota:
            words = f"{told}. What is parked takes {self.back - self.now:,} more to come back."
            return Level.BAD, words, "Ask for a higher quota before you start it."
        if self.most > self.quota:
            words = f"{told}. With twice the opted-in instances it would be {self.most:,}."
            return Level.WARNING, words, "Ask for a higher quota."
        return Level.GOOD, told, ""


def _of_quotas(
    quotas: Mapping[str, float],
    used: Mapping[str, int],
    snapshots: int,
    fleet: Sequence[Observation],
    *,
    binned: Sequence[BinnedVolume],
    settings: Settings,
) -> Found:
    opted = _opted_in(fleet, settings)
    parked = [r.spec for o in opted for r in _parked(o)]
    there = [v.spec for o in opted for v, _ in volumes_to_park(o, settings)]
    away, here, have = _gib(parked), _gib(there), _gib(v.spec for v in binned)
    have.update(used)
    rooms = []
    for kind in sorted(away | here):
        back = have[kind] + away[kind]
        most, quota = back + away[kind] + here[kind], quotas.get(kind)
        limit = None if quota is None else quota * GIB_PER_TIB
        rooms.append(_Room(what=f"GiB of {kind}", now=have[kind], back=back, most=most, quota=limit))
    most = snapshots + GENERATIONS * (len(parked) + len(there))
    rooms.append(_Room(what=SNAPSHOTS, now=snapshots, back=snapshots, most=most, quota=quotas.get(SNAPSHOTS)))
    judged = [room.judge() for room in rooms]
    yield from (one for one in judged if one[0] is not Level.GOOD)
    if enough := "; ".join(told for level, told, _ in judged if level is Level.GOOD):
        yield Level.GOOD, f"There is room for twice the opted-in instances ({enough}).", ""


def _gib(specs: Iterable[VolumeSpec]) -> Counter[str]:
    found: Counter[str] = Counter()
    for spec in specs:
        found[spec.type] += spec.size
    return found


def _parked(o: Observation) -> list[SnapshotRecord]:
    """What has been given up and is not back."""
    if o.generation is None or phase_of(o) not in WITHOUT_ROOT:
        return []
    there = {v.id for v in o.volumes} | {v.snapshot_id for v in o.volumes}
    return [r for r in o.generation.parts if not {r.volume_id, r.snapshot_id} & there]


def _of_instances(fleet: Sequence[Observation], *, settings: Settings, now: datetime) -> Found:
    ours = [o for o in fleet if settings.opt_in_tag_key in o.instance.tags or o.records or o.damaged]
    refused = False
    for o in ours:
        level, words = alone(o.instance.id, partial(_objection, o, settings, now), partial(_not_examined, o))
        if words:
            refused = True
            yield level, words, ""
    if opted := len(_opted_in(fleet, settings)):
        words = "Nothing prevents the others" if refused else "Nothing prevents parking or starting them"
        yield Level.GOOD, f"Instances that are opted in: {opted}. {words}.", ""
    elif not refused:
        words = f"No instance is tagged {settings.opt_in_tag_key}={tags.OPT_IN_ALL}."
        yield Level.WARNING, words, "Tag some, and run it again to see whether they would be parked."


def _not_examined(o: Observation, error: Exception) -> tuple[Level, str]:
    return Level.BAD, f"{o.instance.label} could not be examined: {error!r}."


def _objection(o: Observation, settings: Settings, now: datetime) -> tuple[Level, str]:
    """Why an instance would not be parked, or would not start; empty if it would. A refusal says itself what to do."""
    match phase := phase_of(o):
        case Phase.ENDED:
            return Level.GOOD, ""
        case Phase.RUNNING | Phase.CHANGING if tags.opted_in(o.instance.tags, settings):
            volumes = [v for v, _ in volumes_to_park(o, settings)]
            words = hidden_volumes(o) or not_to_be_parked(o, volumes, settings)
            return Level.WARNING, f"{o.instance.label} would not be parked. {words}" if words else ""
        case Phase.RUNNING | Phase.CHANGING:
            return Level.WARNING, misspelt_opt_in(o.instance, settings)
        case Phase.WHOLE:
            parking = park(o, settings, now)
            return Level.WARNING, parking.reason if parking.outcome is Outcome.REFUSED else ""
        case Phase.LOCK_VOID | Phase.LOCKED | Phase.BROKEN | Phase.COMMITTED | Phase.RESTORING | Phase.PARKED:
            starting = start(o, settings, now, intent=Intent.START)
            words = f"{o.instance.label} would not start. {starting.reason}"
            return Level.BAD, words if starting.outcome is Outcome.REFUSED else ""
        case _:
            assert_never(phase)


def _of_volumes(fleet: Sequence[Observation], *, settings: Settings) -> Found:
    told = [(o, stays_in_words(o, settings).strip()) for o in _opted_in(fleet, settings)]
    for o, words in told:
        if words:
            yield Level.WARNING, f"{o.instance.label}: {words}", ""
    if not any(words for _, words in told):
        yield Level.GOOD, "No volume of an opted-in instance belongs to something that knows it by its id.", ""


def _of_savings(fleet: Sequence[Observation], *, settings: Settings) -> Found:
    """Of the opted-in instances, and of those that are stopped and could be."""
    opted, others = _opted_in(fleet, settings), [o for o in fleet if _could_be_opted_in(o, settings)]
    if opted:
        yield _saved(f"Instances that are opted in: {len(opted)}", opted, settings)
    if others:
        level, words, _ = _saved(f"Stopped instances without the tag: {len(others)}", others, settings)
        ids = _listed([o.instance.label for o in others])
        yield level, words, f"Tag {settings.opt_in_tag_key}={tags.OPT_IN_ALL} those of them that may be parked: {ids}."
    if not opted and not others:
        yield Level.GOOD, "Nothing would be saved: no instance is opted in, and none is stopped.", ""


def _could_be_opted_in(o: Observation, settings: Settings) -> bool:
    volumes = [v for v, _ in volumes_to_park(o, settings)]
    untagged = settings.opt_in_tag_key not in o.instance.tags and not o.records
    return untagged and phase_of(o) is Phase.WHOLE and not not_to_be_parked(o, volumes, settings)


def _saved(who: str, every: Sequence[Observation], settings: Settings) -> tuple[Level, str, str]:
    costs = total(alone(o.instance.id, partial(_costs, o, settings), lambda _: NOT_COUNTED) for o in every)
    if costs.as_volumes is None or costs.as_snapshots is None:
        return Level.WARNING, f"{who}. What parking them saves is not known: a price is missing.", "Set prices."
    less, least = costs.as_volumes - costs.as_snapshots, "at least " if costs.at_most else ""
    what = f"Their volumes that can be parked cost {money(costs.as_volumes)} USD a month"
    return Level.GOOD, f"{who}. {what}, and {least}{money(max(0.0, less))} less as snapshots.", ""


def _costs(o: Observation, settings: Settings) -> Savings:
    """What counts is what is parked: the other volumes cost the same in any case, and so do those of a refused one."""
    if phase_of(o) in WITHOUT_ROOT:
        return savings(o, settings.prices)
    volumes = tuple(v for v, _ in volumes_to_park(o, settings))
    refused = bool(hidden_volumes(o) or not_to_be_parked(o, volumes, settings))
    return savings(replace(o, volumes=() if refused else volumes, records=()), settings.prices)


def _opted_in(fleet: Iterable[Observation], settings: Settings) -> list[Observation]:
    return [o for o in fleet if tags.opted_in(o.instance.tags, settings) and phase_of(o) is not Phase.ENDED]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
