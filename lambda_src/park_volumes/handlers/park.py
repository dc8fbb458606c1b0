"""The park Lambda: receives a batch from the park queue, and does the next steps for the instances in it."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
from park_volumes.core.reading import flag, instance_id, read_from, snapshot_id, whole
from park_volumes.handlers import runtime
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.notices import Notices
from park_volumes.handlers.pace import Pace
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
from park_volumes.run.execute import Ending, Result
from park_volumes.run.observe import Fleet, in_recycle_bin, observe_fleet, park_sweep
from park_volumes.run.park_pass import ParkPass

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

SETTINGS = environment.from_environment(os.environ)
QUEUE_URL = environment.text(os.environ, "PARK_QUEUE_URL")
LOOK_AGAIN = "Look Again"
SWEEP = "sweep"
LONGEST_DELAY = 900
"""Seconds; the longest delay of a message in SQS (SendMessage API). Longer waits are left to the sweep."""
MOST_LOOKS = 6
"""Delayed messages in a row for one instance; then the sweep takes over. After about 16 rounds Lambda stops a function
that sends to its own queue (Lambda Developer Guide, "Recursive loop detection")."""
IDS_PER_MESSAGE = 25
MESSAGES_PER_CALL = 10
FULL_BATCH = 190
"""Messages, as in the event source mapping: if a batch is full, other messages are waiting."""

known = dict[str, datetime]()
verdicts = dict[str, Verdict]()

logger = Logger()
client = boto3.client("ec2", config=runtime.patient())
pace = Pace(runtime.clock(), functions=int(environment.text(os.environ, "PARK_MAXIMUM_CONCURRENCY")))
client.meta.events.register("before-call.ec2", pace)
ec2 = Ec2(client, deployment=SETTINGS.deployment, previous_names=SETTINGS.previous_names)
notices = Notices.of_function(SETTINGS.deployment, logger)
sqs = boto3.client("sqs", config=Config(retries={"mode": "standard"}))


@dataclass(frozen=True, kw_only=True)
class _Message:
    """What one message asks for: to look at instances (or SWEEP), or at the one that a snapshot is of.
    ``looks`` counts the delayed messages in a row that led to it; a ``silent`` one comes from a sweep."""

    ids: frozenset[str] = frozenset()
    snapshot_id: str = ""
    looks: int | None = None
    silent: bool = False
    reminder: bool = False


@dataclass(kw_only=True)
class _Batch:
    """What a batch of messages asks for: the ids (or SWEEP) in each message, by message id.
    ``looks`` counts, by instance, the delayed messages in a row that led here. ``silent`` messages come from a sweep or
    are delivered again; they do not cause another report of an ongoing problem. ``snapshots`` are the messages about a
    completed snapshot. ``broken`` messages cannot be read."""

    ids_of: dict[str, set[str]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)
    reminder: bool = False
    broken: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        return {i for ids in self.ids_of.values() for i in ids}

    @property
    def snapshot_just_completed(self) -> set[str]:
        """The instances named only because a snapshot is completed.
        If such an instance lacks a snapshot of another volume, another message names it too, maybe at the same moment
        in another function: both would take that snapshot, and one is enough."""
        others = {i for message, ids in self.ids_of.items() if message not in self.snapshots for i in ids}
        return self.ids - others

    @property
    def include_ongoing(self) -> set[str]:
        """The instances for which even an ongoing refusal or error is reported."""
        return {i for message, ids in self.ids_of.items() if message not in self.silent for i in ids}


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle SQS records. SQS delivers those named in the answer again after their visibility timeout."""
    this_pass = runtime.begin_pass(ec2, SETTINGS, context, known)
    location = FunctionLocation.of_function(context.invoked_function_arn)
    batch = _read(event["Records"])
    pace.begin(turn=this_pass.began + _turn(len(event["Records"])), deadline=this_pass.deadline)
    failed_sweep = SWEEP in batch.ids and not alone(
        "The sweep", partial(_sweep, batch, this_pass, location), lambda _: False
    )
    parking = ParkPass(this_pass=this_pass, verdicts=verdicts)
    results = parking.park(batch.ids - {SWEEP}, snapshot_just_completed=batch.snapshot_just_completed)
    for result in results:
        runtime.log(logger, result)
    ongoing = batch.include_ongoing

    def told(result: Result) -> Report | None:
        occasion = runtime.is_news(this_pass, result) or result.instance_id in ongoing
        return of_parking(result, SETTINGS, this_pass.began, include_ongoing=occasion)

    notices.send(each_alone(results, told), location)
    late = _late(results, this_pass.began)
    unfinished = {r.instance_id for r in results if r.ending in (Ending.FAILED, Ending.OUT_OF_TIME)}
    unfinished |= {SWEEP} if failed_sweep else set()
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


def _sweep(batch: _Batch, this_pass: Pass, location: FunctionLocation) -> bool:
    """Hand on what a look at the whole fleet finds; while other messages are waiting, the next sweep does it."""
    if _waiting() > FULL_BATCH:
        return True
    began = this_pass.began
    fleet = observe_fleet(ec2.reads, SETTINGS, this_pass.clock.now())
    every = fleet.observations
    notices.measure(gauges(every, SETTINGS, began))
    misspelt = fleet.misspelt if batch.reminder else []
    _send(park_sweep(every, SETTINGS, began) + misspelt, delay=0, looks=0, reminder=batch.reminder)
    if batch.reminder:
        binned = alone("The Recycle Bin", partial(in_recycle_bin, ec2.reads, every), lambda _: [])
        if began.day == 1:
            notices.send_words(MONTHLY, of_the_month(every, SETTINGS, binned), location)
        if words := of_recycle_bin(binned, SETTINGS):
            logger.warning(words)
            notices.send_words(BINNED, words, location)
        _tell_damage(fleet, location)
        if words := of_two_at_work(every, SETTINGS, began):
            logger.warning(words)
            notices.send_words(TWO_AT_WORK, words, location)
    return True


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


def _read(messages: Iterable[dict[str, Any]]) -> _Batch:
    """Whatever a message says, it costs no other message its turn."""
    batch = _Batch()
    snapshots: dict[str, str] = {}
    for message in messages:
        message_id = message["messageId"]
        try:
            said = _read_one(json.loads(message["body"]))
        except Exception as error:
            why, body = (ascii(what)[:1000] for what in (error, message.get("body")))
            logger.error(f"A message in the park queue cannot be read: {why}.", body=body)
            batch.broken.add(message_id)
            continue
        batch.ids_of[message_id] = set(said.ids)
        batch.reminder |= said.reminder
        if said.snapshot_id:
            snapshots[message_id] = said.snapshot_id
        if said.silent or message.get("attributes", {}).get("ApproximateReceiveCount", "1") != "1":
            batch.silent.add(message_id)
        if said.looks is not None:
            batch.looks.update({i: max(said.looks, batch.looks.get(i, 0)) for i in said.ids})
    if snapshots:
        instance_of = {r.snapshot_id: r.instance_id for r in ec2.reads.snapshots_named(snapshots.values()).records}
        batch.snapshots |= snapshots.keys()
        for message_id, its_snapshot in snapshots.items():
            batch.ids_of[message_id] = {instance_of[its_snapshot]} if its_snapshot in instance_of else set()
    return batch


def _read_one(body: Any) -> _Message:
    detail = body["detail"]
    match body["detail-type"]:
        case "EC2 Instance State-change Notification":
            return _Message(ids=frozenset({read_from(detail, "instance-id", instance_id)}))
        case "EBS Snapshot Notification":
            return _Message(snapshot_id=snapshot_id(runtime.id_in_arn(detail["snapshot_id"])))
        case "Scheduled Event":
            return _Message(ids=frozenset({SWEEP}), reminder=runtime.is_reminder(body))
        case str(kind) if kind == LOOK_AGAIN:
            ids, looks = read_from(detail, "instance-ids", _ids), whole(0, 1000)(detail.get("looks", 0))
            silent = not looks and not flag(detail.get("reminder", False))
            return _Message(ids=ids, looks=looks, silent=silent)
        case kind:
            raise ValueError(f"unknown detail-type {kind!r}")


def _ids(values: Any) -> frozenset[str]:
    """The ids that a message lists. Raises ValueError for anything else: EC2 would refuse the whole batch."""
    if not isinstance(values, list):
        raise ValueError("it is not a list of ids")
    return frozenset(map(instance_id, values))


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
    bodies = []
    more = {"reminder": True} if reminder else {}
    for n in range(0, len(ids), IDS_PER_MESSAGE):
        detail = {"instance-ids": ids[n : n + IDS_PER_MESSAGE], "looks": looks} | more
        bodies.append(json.dumps({"source": "park-volumes", "detail-type": LOOK_AGAIN, "detail": detail}))
    for n in range(0, len(bodies), MESSAGES_PER_CALL):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(k), "MessageBody": body, "DelaySeconds": delay}
            for k, body in enumerate(bodies[n : n + MESSAGES_PER_CALL])
        ]
        answer = sqs.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"The park queue refused {len(answer['Failed'])} messages: {answer['Failed'][0]}.")
