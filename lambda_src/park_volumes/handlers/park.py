"""The park Lambda: receives a batch from the park queue, and does the next steps for the instances in it."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from park_volumes.core import environment
from park_volumes.core.facts import BinnedVolume, Verdict
from park_volumes.handlers import runtime
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.messages import LOOK_AGAIN, Batch, Inbox, read
from park_volumes.handlers.notices import Notices
from park_volumes.handlers.region import Region, Regions, Run
from park_volumes.handlers.wake import START_GOES_ON, SWEEP_STARTS, WAKE, ask, since_sweep, wakes
from park_volumes.overview import (
    BINNED,
    LOST,
    MONTHLY,
    STRAYS,
    TWO_AT_WORK,
    gauges,
    of_damage,
    of_lost_region,
    of_recycle_bin,
    of_stray_damage,
    of_the_month,
    of_two_at_work,
    together,
)
from park_volumes.report import Report, of_parking, overdue_of
from park_volumes.run.context import Pass, alone, each_alone
from park_volumes.run.execute import Ending, Result, goes_on
from park_volumes.run.fleet import Fleet, Sweeps, in_recycle_bin, observe_moving
from park_volumes.run.park_pass import ParkPass, park_sweep

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

QUEUE_URL = environment.text(os.environ, "PARK_QUEUE_URL")
SWEEP_INTERVAL = int(environment.text(os.environ, "SWEEP_INTERVAL_MINUTES"))
LONGEST_DELAY = 900
"""Seconds; the longest delay of a message in SQS (SendMessage API). Longer waits are left to the sweep."""
MOST_LOOKS = 6
"""Delayed messages in a row for one instance; then the sweep takes over. After about 16 rounds Lambda stops a function
that sends to its own queue (Lambda Developer Guide, "Recursive loop detection")."""
IDS_PER_MESSAGE = 25
MESSAGES_PER_CALL = 10
FULL_BATCH = 190
"""Messages, as in the event source mapping: if a batch is full, other messages are waiting."""
ONE_DAY = timedelta(days=1)
IN_QUEUE = "in queue"
"""What a run learns when it meets, or sends, messages about instances of a region."""

OF_PARKED = ("ParkedGiB", "MonthlySaving")


@dataclass(kw_only=True)
class ParkRegion(Region):
    """``verdicts``: what EC2 said of the way back, by shape. ``parked``: the figures of what is parked, as the last
    look at everything showed them; None before the first."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    sweeps: Sweeps = field(init=False)
    parked: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        self.sweeps = Sweeps(always=self.is_home)


logger = Logger()
regions = Regions(
    ParkRegion,
    os.environ,
    client=boto3.client,
    clock=runtime.clock(),
    config=runtime.patient(),
    functions=int(environment.text(os.environ, "PARK_MAXIMUM_CONCURRENCY")),
)
DEPLOYMENT = regions.home.settings.deployment
notices = Notices.of_function(DEPLOYMENT, logger)
sqs = boto3.client("sqs", config=Config(retries={"mode": "standard"}))


@dataclass(frozen=True, kw_only=True)
class Handled:
    """What came of the messages of one region: ``reports`` for people, the seconds by which instances take too long
    (``late``), and the messages that must come back."""

    reports: Sequence[Report] = ()
    late: Mapping[str, float] = field(default_factory=dict)
    come_back: Collection[str] = ()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle SQS records. SQS delivers those named in the answer again after their visibility timeout."""
    home = runtime.begin_pass(regions.home, context)
    location = FunctionLocation.of_function(context.invoked_function_arn)
    inbox = read(event["Records"], regions.home.name, logger)
    run = Run(regions=regions, home=home, turn=home.began + _turn(len(event["Records"])))
    come_back = set(inbox.broken)
    if inbox.sweeps:
        sweep: Callable[[], Exception | None] = partial(_sweep, run, location, reminder=inbox.reminder)
        come_back |= inbox.sweeps if alone("The sweep", sweep, lambda error: error) else set()
    handled = _handle_all(inbox, run, location)
    if ages := [age for each in handled for age in each.late.values()]:
        notices.measure({"TransitAge": max(ages)})
    come_back |= {message for each in handled for message in each.come_back}
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(come_back)]}


def _handle_all(inbox: Inbox, run: Run[ParkRegion], location: FunctionLocation) -> list[Handled]:
    """Handle the messages of each region, and tell people. A region that the deployment does not cover, or that cannot
    be reached, gets no second delivery: the sweep finds there what is to be done. Raises the error if there is nothing
    else."""
    there = {name: regions.named(name, run.home.began) for name in inbox.batches}
    if strange := sorted(name for name, region in there.items() if region is None):
        logger.warning(f"Messages about regions that this deployment does not cover are ignored: {', '.join(strange)}.")
    visited = run.visit(
        [region for region in there.values() if region],
        lambda region, this_pass: _handle(inbox.batches[region.name], region, this_pass),
    )
    failures = [one.failure for one in visited if one.failure]
    if failures and len(failures) == len(visited):
        raise failures[0]  # the alarm for errors of the function hears of it
    handled = []
    for one in visited:
        if one.found:
            notices.send(one.found.reports, location.at(one.region.name))
            handled.append(one.found)
        elif one.failure:
            handled.append(Handled(come_back=inbox.batches[one.region.name].ids_of.keys()))
    return handled


def _handle(batch: Batch, region: ParkRegion, this_pass: Pass) -> Handled:
    batch.find_instances(partial(_instances_of, this_pass))
    unfinished = _run_errands(batch, region, this_pass)
    if batch.ids:
        this_pass.learns(IN_QUEUE)
    parking = ParkPass(this_pass=this_pass, verdicts=region.verdicts)
    results = parking.park(batch.ids, snapshot_just_completed=batch.snapshot_just_completed)
    for result in results:
        runtime.log(logger, result)
    ongoing = batch.include_ongoing
    if any(goes_on(r) and (r.instance_id in ongoing or not region.is_home) for r in results):
        alone("Waking the start side", partial(_keep_awake, region, this_pass), lambda _: None)

    def told(result: Result) -> Report | None:
        occasion = runtime.is_news(this_pass, result) or result.instance_id in ongoing
        return of_parking(result, this_pass.settings, this_pass.began, include_ongoing=occasion)

    reports, late = each_alone(results, told), _late(results, this_pass)
    unfinished |= {r.instance_id for r in results if r.ending in (Ending.FAILED, Ending.OUT_OF_TIME)}
    come_back = {message for message, ids in batch.ids_of.items() if ids & unfinished}
    seen_then = {i for message in come_back for i in batch.ids_of[message]}
    again = [r for r in results if r.instance_id not in seen_then | late.keys()]
    _look_again(again, batch.looks, region)
    return Handled(reports=reports, late=late, come_back=come_back)


def _late(results: Iterable[Result], this_pass: Pass) -> dict[str, float]:
    """The instances that take too long, and by how many seconds. They count as in transit, with a mark or without: the
    alarm hears of them."""

    def late(result: Result) -> tuple[str, float] | None:
        overdue = overdue_of(result, this_pass.settings, this_pass.began)
        return (result.instance_id, (this_pass.began - overdue.by).total_seconds()) if overdue else None

    return dict(each_alone(results, late))


def _instances_of(this_pass: Pass, snapshot_ids: Iterable[str]) -> dict[str, str]:
    return {r.snapshot_id: r.instance_id for r in this_pass.ec2.reads.snapshots_named(snapshot_ids).records}


def _run_errands(batch: Batch, region: ParkRegion, this_pass: Pass) -> set[str]:
    """Those that could not be finished. Raises the error if another region cannot be reached."""
    ways: dict[str, Callable[[], Exception | None]] = {
        WAKE: partial(_wake, batch, region, this_pass),
        START_GOES_ON: partial(_keep_awake, region, this_pass),
    }
    errors = {errand: alone(errand, ways[errand], lambda error: error) for errand in sorted(batch.errands)}
    for error in errors.values():
        if error and region.is_closed_by(error):
            raise error
    return {errand for errand, error in errors.items() if error}


def _wake(batch: Batch, region: ParkRegion, this_pass: Pass) -> None:
    """Where no event tells that something has happened, this side looks itself. A full queue that has lately brought
    messages about that region gets no more of them."""
    _ask_start_side(region)
    if batch.last:
        _enqueue_wakes(region, this_pass)
    lately = this_pass.knows(IN_QUEUE, timedelta(minutes=SWEEP_INTERVAL))
    if not region.is_home and not (lately and _is_busy()):
        this_pass.learns(IN_QUEUE)
        moving = observe_moving(this_pass.ec2.reads, this_pass.settings, this_pass.began)
        _send(park_sweep(moving.observations, this_pass.settings, this_pass.began), region, delay=0, looks=0)


def _ask_start_side(region: ParkRegion) -> None:
    ask(notices, SWEEP_STARTS, DEPLOYMENT, regions.elsewhere(region.name))


def _keep_awake(region: ParkRegion, this_pass: Pass) -> None:
    """Wake the start side every minute until the next sweep looks whether that is still needed."""
    if not this_pass.knows("awake", since_sweep(this_pass.began, SWEEP_INTERVAL)):
        _enqueue_wakes(region, this_pass)
        this_pass.learns("awake")


def _enqueue_wakes(region: ParkRegion, this_pass: Pass) -> None:
    _enqueue(wakes(this_pass.began, SWEEP_INTERVAL, regions.elsewhere(region.name)))


def _sweep(run: Run[ParkRegion], location: FunctionLocation, *, reminder: bool) -> Exception | None:
    """Hand on what a look at every region finds; while other messages are waiting, the next sweep does it. Returns what
    kept the home region from being looked at."""
    every = run.covered()
    if _is_busy():
        for region in every:
            if region.is_home or run.there(region).knows("awake", timedelta(minutes=2 * SWEEP_INTERVAL)):
                _keep_awake(region, run.there(region))
        return None
    visited = run.visit(every, partial(_sweep_region, reminder=reminder))
    swept = {one.region.name: one.found for one in visited if one.found}
    _measure([(region, swept.get(region.name)) for region in every], run.home.began)
    _tell_lost(every, location, reminder=reminder)
    found = [(one.region, one.found) for one in visited if one.found]
    _tell_two_at_work(found, run, location, daily=reminder)
    if reminder:
        _remind(found, run.home.began, location)
    return next((one.error for one in visited if one.region.is_home), None)


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep has found in a region; ``binned`` is what a Recycle Bin keeps, read for the daily reminder."""

    fleet: Fleet
    binned: Sequence[BinnedVolume] = ()


def _sweep_region(region: ParkRegion, this_pass: Pass, *, reminder: bool) -> Swept:
    """Look at a region, and hand on what is found."""
    reads, settings, began = this_pass.ec2.reads, this_pass.settings, this_pass.began
    fleet = region.sweeps.look(reads, settings, began, everything=reminder)
    if fleet.start_side:
        _ask_start_side(region)
        _keep_awake(region, this_pass)
    misspelt = fleet.misspelt if reminder else []
    ids = [*park_sweep(fleet.observations, settings, began), *misspelt]
    _send(ids, region, delay=0, looks=0, reminder=reminder)
    if not reminder:
        return Swept(fleet=fleet)
    binned = alone("The Recycle Bin", partial(in_recycle_bin, reads, fleet.observations), lambda _: None)
    return Swept(fleet=fleet, binned=binned or ())


def _remind(swept: Sequence[tuple[ParkRegion, Swept]], now: datetime, location: FunctionLocation) -> None:
    """What is reported once a day."""
    if now.day == 1:
        of_each = [(found.fleet.observations, region.settings, found.binned) for region, found in swept]
        notices.send_words(MONTHLY, of_the_month(of_each), location)
    for region, found in swept:
        there, settings = location.at(region.name), region.settings
        _tell(BINNED, of_recycle_bin(found.binned, settings), there)
        _tell_damage(found.fleet, there)


def _tell_two_at_work(
    swept: Sequence[tuple[ParkRegion, Swept]], run: Run[ParkRegion], location: FunctionLocation, *, daily: bool
) -> None:
    """Tell of a deployment that should have become this one and goes on: at once, and then daily."""
    for region, found in swept:
        this_pass = run.there(region)
        if daily or not this_pass.knows("two at work", ONE_DAY):
            words = of_two_at_work(found.fleet.observations, region.settings, this_pass.began, daily=daily)
            _tell(TWO_AT_WORK, words, location.at(region.name))
            if words:
                this_pass.learns("two at work")


def _tell(subject: str, words: str, location: FunctionLocation) -> None:
    if words:
        logger.warning(words)
        notices.send_words(subject, words, location)


def _tell_lost(every: Sequence[ParkRegion], location: FunctionLocation, *, reminder: bool) -> None:
    """Tell once of a region that has stopped answering, and daily of all that do not answer."""
    lost = [region for region in every if region.is_lost and not region.is_home]
    words = [of_lost_region(region.name, region.lost) for region in lost if reminder or region.loss_is_news]
    if reminder and regions.problem:
        words.append(regions.problem)
    for region in lost:
        region.loss_is_news = False
    _tell(LOST, "\n\n".join(words), location)


def _measure(every: Iterable[tuple[ParkRegion, Swept | None]], now: datetime) -> None:
    """Record the figures of all regions together. What is parked is known of a look at everything, and holds until the
    next one."""
    found: list[Mapping[str, float]] = []
    for region, swept in every:
        of_region = gauges(swept.fleet.observations, region.settings, now) if swept else {}
        if swept and swept.fleet.everything:
            region.parked = {name: of_region[name] for name in OF_PARKED if name in of_region}
        moving = {name: value for name, value in of_region.items() if name not in OF_PARKED}
        if region.parked is not None:
            found.append({**moving, **region.parked})
    notices.measure(together(found))


def _tell_damage(fleet: Fleet, location: FunctionLocation) -> None:
    """Tell once a day which tags are damaged: those of instances, and those of snapshots of which nobody can say whose
    they are, or whose instances are not opted in."""
    notices.send(each_alone(fleet.observations, of_damage), location)
    known = {o.instance.id for o in fleet.observations}
    _tell(STRAYS, of_stray_damage(fleet.damaged, known), location)


def _turn(messages: int) -> timedelta:
    """The time for a batch: each message in the queue gets a turn about once a minute, however many there are.
    Otherwise messages that still need snapshots would hold up all later ones, as EC2 takes only a few a second."""
    waiting = _waiting() if messages >= FULL_BATCH else messages
    home = regions.home
    return home.settings.function_timeout * home.pace.functions * messages / max(waiting, messages, 1)


def _is_busy() -> bool:
    """Whether more messages are waiting than one batch takes. Second ones of the same instances would hold up all."""
    return _waiting() > FULL_BATCH


def _waiting() -> int:
    """The approximate number of messages in the park queue, including those that a function is handling."""
    names: list[QueueAttributeNameType] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=QUEUE_URL, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def _look_again(results: Iterable[Result], looks: Mapping[str, int], region: ParkRegion) -> None:
    """Schedule another look at the instances that wait for time to pass, not for an event."""
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for r in results:
        if r.decision.look_again and not r.error:
            delay, count = ceil(r.decision.look_again.total_seconds()), looks.get(r.instance_id, 0) + 1
            groups[delay, count].append(r.instance_id)
    for (delay, count), ids in groups.items():
        if delay <= LONGEST_DELAY and count <= MOST_LOOKS:
            _send(ids, region, delay=delay, looks=count)


def _send(ids: Sequence[str], region: ParkRegion, *, delay: int, looks: int, reminder: bool = False) -> None:
    more = ({"reminder": True} if reminder else {}) | regions.elsewhere(region.name)
    groups = (ids[n : n + IDS_PER_MESSAGE] for n in range(0, len(ids), IDS_PER_MESSAGE))
    details = ({"instance-ids": some, "looks": looks} | more for some in groups)
    _enqueue([(delay, {"source": "park-volumes", "detail-type": LOOK_AGAIN, "detail": one}) for one in details])


def _enqueue(messages: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Put messages into the park queue, each with the seconds after which it is to come."""
    for n in range(0, len(messages), MESSAGES_PER_CALL):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(k), "MessageBody": json.dumps(body), "DelaySeconds": delay}
            for k, (delay, body) in enumerate(messages[n : n + MESSAGES_PER_CALL])
        ]
        answer = sqs.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"The park queue refused {len(answer['Failed'])} messages: {answer['Failed'][0]}.")
