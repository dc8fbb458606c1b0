"""The park Lambda: takes a batch of the park queue, and puts the instances named in it one step further on."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from park_volumes import settings as environment
from park_volumes.ec2 import Ec2
from park_volumes.handlers import runtime
from park_volumes.handlers.notices import Notices, Place
from park_volumes.handlers.pace import Pace
from park_volumes.reconcile import Result
from park_volumes.report import MONTHLY, gauges, of_parking, of_the_month
from park_volumes.survey import survey, sweep_park

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

SETTINGS = environment.from_environment(os.environ)
QUEUE_URL = environment.text(os.environ, "PARK_QUEUE_URL")
LOOK_AGAIN = "Look Again"
SWEEP = "sweep"
LONGEST_DELAY = 900
"""Seconds; the most that SQS delays a message (SendMessage API). What takes longer is left to the sweep."""
MOST_LOOKS = 6
"""Delayed messages in a row for one instance; then the sweep goes on. After about 16 rounds Lambda takes a function
that sends to its own queue for a runaway, and stops it (Lambda Developer Guide, "Recursive loop detection")."""
IDS_PER_MESSAGE = 25
MESSAGES_PER_CALL = 10
FULL_BATCH = 190
"""Messages, as the event source mapping has it: where a batch is full, others wait."""

logger = Logger()
client = boto3.client("ec2", config=runtime.patient())
pace = Pace(runtime.clock(), functions=int(environment.text(os.environ, "PARK_MAXIMUM_CONCURRENCY")))
client.meta.events.register("before-call.ec2", pace)
ec2 = Ec2(client, deployment=SETTINGS.deployment)
notices = Notices.of_function(SETTINGS.deployment, logger)
sqs = boto3.client("sqs", config=Config(retries={"mode": "standard"}))


@dataclass(kw_only=True)
class _Batch:
    """What a batch of messages asks for: the ids (or SWEEP) that each message names, by message id.

    ``looks`` counts, by instance, the delayed messages in a row that led here. ``silent`` messages, those of a sweep
    and those that come back, are no reason to tell once more what lasts. ``copies`` are the messages about a snapshot
    that is done. ``broken`` messages can not be read.
    """

    ids_of: dict[str, set[str]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    reminder: bool = False
    broken: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        return {i for ids in self.ids_of.values() for i in ids}

    @property
    def copied(self) -> set[str]:
        """The instances named only because a snapshot is done. What lacks a snapshot of another volume is named by
        another message too, maybe at the same moment in another function: both would take it, and one is enough."""
        others = {i for message, ids in self.ids_of.items() if message not in self.copies for i in ids}
        return self.ids - others

    @property
    def telling(self) -> set[str]:
        """The instances of which is told what lasts."""
        return {i for message, ids in self.ids_of.items() if message not in self.silent for i in ids}


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle SQS records; those named in the answer come back after their visibility timeout."""
    this_pass = runtime.begin_pass(ec2, SETTINGS, context)
    batch = _read(event["Records"])
    pace.begin(turn=this_pass.began + _turn(len(event["Records"])), deadline=this_pass.deadline)
    if SWEEP in batch.ids and _waiting() <= FULL_BATCH:
        fleet = survey(ec2, SETTINGS)
        notices.measure(gauges(fleet, SETTINGS, this_pass.began))
        if batch.reminder and this_pass.began.day == 1:
            place = Place.of_function(context.invoked_function_arn)
            notices.send_words(MONTHLY, of_the_month(fleet, SETTINGS), place)
        _send(sweep_park(fleet, SETTINGS, this_pass.began), delay=0, looks=0, reminder=batch.reminder)
    results = this_pass.park(batch.ids - {SWEEP}, copied=batch.copied)
    for result in results:
        runtime.log(logger, result)
    _tell(results, batch, this_pass.began, context)
    unfinished = {r.seen.instance.id for r in results if r.error or r.postponed}
    come_back = {message for message, ids in batch.ids_of.items() if ids & unfinished}
    seen_then = {i for message in come_back for i in batch.ids_of[message]}
    _look_again([r for r in results if r.seen.instance.id not in seen_then], batch.looks)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(batch.broken | come_back)]}


def _turn(messages: int) -> timedelta:
    """The time for a batch: about every minute each message in the queue has its turn, however many there are.

    Otherwise those that still need a snapshot, of which EC2 takes a few a second, would hold up all that come after.
    """
    waiting = _waiting() if messages >= FULL_BATCH else messages
    return SETTINGS.function_timeout * pace.functions * messages / max(waiting, messages, 1)


def _waiting() -> int:
    """The messages in the park queue, about, whether a function has them or not."""
    names: list[QueueAttributeNameType] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=QUEUE_URL, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def _tell(results: Iterable[Result], batch: _Batch, now: datetime, context: LambdaContext) -> None:
    telling = batch.telling
    reports = [of_parking(r, SETTINGS, now, telling=r.seen.instance.id in telling) for r in results]
    notices.send(reports, Place.of_function(context.invoked_function_arn))


def _read(messages: Iterable[dict[str, Any]]) -> _Batch:
    batch = _Batch()
    snapshots: dict[str, str] = {}
    for message in messages:
        try:
            _read_one(message["messageId"], json.loads(message["body"]), batch, snapshots)
            if message.get("attributes", {}).get("ApproximateReceiveCount", "1") != "1":
                batch.silent.add(message["messageId"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error(
                f"A message of the park queue can not be read: {error!r}.", body=message.get("body", "")[:1000]
            )
            batch.broken.add(message["messageId"])
    if snapshots:
        instance_of = {r.snapshot_id: r.instance_id for r in ec2.snapshots_named(snapshots.values()).records}
        batch.copies |= snapshots.keys()
        for message_id, snapshot_id in snapshots.items():
            batch.ids_of[message_id] = {instance_of[snapshot_id]} if snapshot_id in instance_of else set()
    return batch


def _read_one(message_id: str, body: Any, batch: _Batch, snapshots: dict[str, str]) -> None:
    detail = body["detail"]
    match body["detail-type"]:
        case "EC2 Instance State-change Notification":
            batch.ids_of[message_id] = _ids([detail["instance-id"]])
        case "EBS Snapshot Notification":
            snapshots[message_id] = runtime.id_in_arn(detail["snapshot_id"])
        case "Scheduled Event":
            batch.ids_of[message_id] = {SWEEP}
            batch.reminder |= runtime.is_reminder(body)
        case str(kind) if kind == LOOK_AGAIN:
            ids, looks = _ids(detail["instance-ids"]), int(detail.get("looks", 0))
            batch.ids_of[message_id] = ids
            if not looks and not detail.get("reminder"):
                batch.silent.add(message_id)
            batch.looks.update({i: max(looks, batch.looks.get(i, 0)) for i in ids})
        case kind:
            raise ValueError(f"unknown detail-type {kind!r}")


def _ids(values: Any) -> set[str]:
    """The ids that a message lists. Raises ValueError for anything else, which would stop the whole batch at EC2."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r} is no list of ids")
    return set(values)


def _look_again(results: Iterable[Result], looks: Mapping[str, int]) -> None:
    """Ask for another look at those instances for which time, not an event, decides when it is worth while."""
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for r in results:
        if r.decision.look_again and not r.error:
            delay, count = ceil(r.decision.look_again.total_seconds()), looks.get(r.seen.instance.id, 0) + 1
            groups[delay, count].append(r.seen.instance.id)
    for (delay, count), ids in groups.items():
        if delay <= LONGEST_DELAY and count <= MOST_LOOKS:
            _send(ids, delay=delay, looks=count)


def _send(ids: list[str], *, delay: int, looks: int, reminder: bool = False) -> None:
    groups = [ids[n : n + IDS_PER_MESSAGE] for n in range(0, len(ids), IDS_PER_MESSAGE)]
    bodies = [_look_again_message(group, looks, reminder) for group in groups]
    for n in range(0, len(bodies), MESSAGES_PER_CALL):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(k), "MessageBody": body, "DelaySeconds": delay}
            for k, body in enumerate(bodies[n : n + MESSAGES_PER_CALL])
        ]
        answer = sqs.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"The park queue refused {len(answer['Failed'])} messages: {answer['Failed'][0]}.")


def _look_again_message(ids: list[str], looks: int, reminder: bool) -> str:
    detail = {"instance-ids": ids, "looks": looks} | ({"reminder": True} if reminder else {})
    return json.dumps({"source": "park-volumes", "detail-type": LOOK_AGAIN, "detail": detail})
