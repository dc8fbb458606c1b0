"""The park Lambda: receives a batch from the park queue, and does the next steps for the instances in it."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from park_volumes.aws import Ec2
from park_volumes.core import environment
from park_volumes.core.facts import Verdict
from park_volumes.handlers import runtime
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.messages import LOOK_AGAIN, SWEEP, Batch, read
from park_volumes.handlers.notices import Notices
from park_volumes.handlers.pace import Pace
from park_volumes.handlers.wake import START_GOES_ON, SWEEP_STARTS, WAKE, ask, since_sweep, wakes
from park_volumes.report import (
    BINNED,
    MONTHLY,
    STRAYS,
    TWO_AT_WORK,
    Report,
    gauges,
    of_damage,
    of_parking,
    of_recycle_bin,
    of_stray_damage,
    of_the_month,
    of_two_at_work,
    overdue_of,
)
from park_volumes.run.context import Pass, alone, each_alone
from park_volumes.run.execute import Ending, Result, goes_on
from park_volumes.run.fleet import Fleet, Sweeps, in_recycle_bin
from park_volumes.run.park_pass import ParkPass, park_sweep

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

SETTINGS = environment.from_environment(os.environ)
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

OF_PARKED = ("ParkedGiB", "MonthlySaving")

known = dict[str, datetime]()
verdicts = dict[str, Verdict]()
sweeps = Sweeps()
parked = dict[str, float]()

logger = Logger()
client = boto3.client("ec2", config=runtime.patient())
pace = Pace(runtime.clock(), functions=int(environment.text(os.environ, "PARK_MAXIMUM_CONCURRENCY")))
client.meta.events.register("before-call.ec2", pace)
ec2 = Ec2(client, deployment=SETTINGS.deployment, previous_names=SETTINGS.previous_names)
notices = Notices.of_function(SETTINGS.deployment, logger)
sqs = boto3.client("sqs", config=Config(retries={"mode": "standard"}))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle SQS records. SQS delivers those named in the answer again after their visibility timeout."""
    this_pass = runtime.begin_pass(ec2, SETTINGS, context, known)
    location = FunctionLocation.of_function(context.invoked_function_arn)
    batch = read(event["Records"], _instances_of, logger)
    pace.begin(turn=this_pass.began + _turn(len(event["Records"])), deadline=this_pass.deadline)
    unfinished = _run_errands(batch, this_pass, location)
    parking = ParkPass(this_pass=this_pass, verdicts=verdicts)
    results = parking.park(batch.ids, snapshot_just_completed=batch.snapshot_just_completed)
    for result in results:
        runtime.log(logger, result)
    ongoing = batch.include_ongoing
    if any(goes_on(r) and r.instance_id in ongoing for r in results):
        alone("Waking the start side", partial(_keep_awake, this_pass), lambda _: None)

    def told(result: Result) -> Report | None:
        occasion = runtime.is_news(this_pass, result) or result.instance_id in ongoing
        return of_parking(result, SETTINGS, this_pass.began, include_ongoing=occasion)

    notices.send(each_alone(results, told), location)
    late = _late(results, this_pass.began)
    unfinished |= {r.instance_id for r in results if r.ending in (Ending.FAILED, Ending.OUT_OF_TIME)}
    come_back = {message for message, ids in batch.ids_of.items() if ids & unfinished}
    seen_then = {i for message in come_back for i in batch.ids_of[message]}
    _look_again([r for r in results if r.instance_id not in seen_then | late], batch.looks)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(batch.broken | come_back)]}


def _late(results: Iterable[Result], now: datetime) -> set[str]:
    """The ids of the instances that take too long. They count as in transit, with a mark or without: the alarm hears of
    them."""

    def late(result: Result) -> tuple[str, float] | None:
        overdue = overdue_of(result, SETTINGS, now)
        return (result.instance_id, (now - overdue.by).total_seconds()) if overdue else None

    ages = dict(each_alone(results, late))
    if ages:
        notices.measure({"TransitAge": max(ages.values())})
    return set(ages)


def _instances_of(snapshot_ids: Iterable[str]) -> dict[str, str]:
    return {r.snapshot_id: r.instance_id for r in ec2.reads.snapshots_named(snapshot_ids).records}


def _run_errands(batch: Batch, this_pass: Pass, location: FunctionLocation) -> set[str]:
    """Those that could not be finished."""
    ways: dict[str, Callable[[], Exception | None]] = {
        SWEEP: partial(_sweep, batch, this_pass, location),
        WAKE: partial(_wake, batch, this_pass),
        START_GOES_ON: partial(_keep_awake, this_pass),
    }
    return {errand for errand in sorted(batch.errands) if alone(errand, ways[errand], lambda error: error)}


def _wake(batch: Batch, this_pass: Pass) -> None:
    ask(notices, SWEEP_STARTS, SETTINGS.deployment)
    if batch.last:
        _enqueue(wakes(this_pass.began, SWEEP_INTERVAL))


def _keep_awake(this_pass: Pass) -> None:
    """Wake the start side every minute until the next sweep looks whether that is still needed."""
    if not this_pass.knows("awake", since_sweep(this_pass.began, SWEEP_INTERVAL)):
        _enqueue(wakes(this_pass.began, SWEEP_INTERVAL))
        this_pass.learns("awake")


def _sweep(batch: Batch, this_pass: Pass, location: FunctionLocation) -> None:
    """Hand on what a look at the whole fleet finds; while other messages are waiting, the next sweep does it."""
    if _waiting() > FULL_BATCH:
        _keep_awake(this_pass)
        return
    began = this_pass.began
    fleet = sweeps.look(ec2.reads, SETTINGS, began, everything=batch.reminder)
    every = fleet.observations
    _measure(fleet, began)
    if fleet.start_side:
        ask(notices, SWEEP_STARTS, SETTINGS.deployment)
        _keep_awake(this_pass)
    misspelt = fleet.misspelt if batch.reminder else []
    _send([*park_sweep(every, SETTINGS, began), *misspelt], delay=0, looks=0, reminder=batch.reminder)
    if batch.reminder:
        binned = alone("The Recycle Bin", partial(in_recycle_bin, ec2.reads, every), lambda _: None) or []
        if began.day == 1:
            notices.send_words(MONTHLY, of_the_month(every, SETTINGS, binned), location)
        if words := of_recycle_bin(binned, SETTINGS):
            logger.warning(words)
            notices.send_words(BINNED, words, location)
        _tell_damage(fleet, location)
        if words := of_two_at_work(every, SETTINGS, began):
            logger.warning(words)
            notices.send_words(TWO_AT_WORK, words, location)


def _measure(fleet: Fleet, now: datetime) -> None:
    """What is parked is known of a look at everything, and holds until the next one."""
    found = gauges(fleet.observations, SETTINGS, now)
    if fleet.everything:
        parked.update({name: found[name] for name in OF_PARKED if name in found})
    notices.measure({**found, **parked})


def _tell_damage(fleet: Fleet, location: FunctionLocation) -> None:
    """Tell once a day which tags are damaged: those of instances, and those of snapshots of which nobody can say whose
    they are, or whose instances are not opted in."""
    notices.send(each_alone(fleet.observations, of_damage), location)
    known = {o.instance.id for o in fleet.observations}
    if words := of_stray_damage(fleet.damaged, known):
        logger.warning(words)
        notices.send_words(STRAYS, words, location)


def _turn(messages: int) -> timedelta:
    """The time for a batch: each message in the queue gets a turn about once a minute, however many there are.
    Otherwise messages that still need snapshots would hold up all later ones, as EC2 takes only a few a second."""
    waiting = _waiting() if messages >= FULL_BATCH else messages
    return SETTINGS.function_timeout * pace.functions * messages / max(waiting, messages, 1)


def _waiting() -> int:
    """The approximate number of messages in the park queue, including those that a function is handling."""
    names: list[QueueAttributeNameType] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=QUEUE_URL, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def _look_again(results: Iterable[Result], looks: Mapping[str, int]) -> None:
    """Schedule another look at the instances that wait for time to pass, not for an event."""
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for r in results:
        if r.decision.look_again and not r.error:
            delay, count = ceil(r.decision.look_again.total_seconds()), looks.get(r.instance_id, 0) + 1
            groups[delay, count].append(r.instance_id)
    for (delay, count), ids in groups.items():
        if delay <= LONGEST_DELAY and count <= MOST_LOOKS:
            _send(ids, delay=delay, looks=count)


def _send(ids: list[str], *, delay: int, looks: int, reminder: bool = False) -> None:
    more = {"reminder": True} if reminder else {}
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
