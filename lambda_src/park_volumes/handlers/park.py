"""The park Lambda: takes a batch of the park queue, and puts the instances named in it one step further on."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from math import ceil
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from park_volumes import settings as environment
from park_volumes.ec2 import Ec2
from park_volumes.handlers import runtime
from park_volumes.reconcile import Result, sweep_park

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

SETTINGS = environment.from_environment(os.environ)
QUEUE_URL = environment.text(os.environ, "PARK_QUEUE_URL")
LOOK_AGAIN = "Look Again"
SWEEP = "sweep"
LONGEST_DELAY = 900
"""Seconds; the most that SQS delays a message (SendMessage API). What takes longer is left to the sweep."""
IDS_PER_MESSAGE = 25
MESSAGES_PER_CALL = 10

logger = Logger()
ec2 = Ec2(boto3.client("ec2", config=runtime.patient()), deployment=SETTINGS.deployment)
sqs = boto3.client("sqs", config=Config(retries={"mode": "standard"}))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle SQS records; those named in the answer come back after their visibility timeout."""
    this_pass = runtime.begin_pass(ec2, SETTINGS, context)
    ids_of, broken = _read(event["Records"])
    if any(SWEEP in ids for ids in ids_of.values()):
        _send(sweep_park(ec2, SETTINGS, this_pass.began), delay=0)
    results = this_pass.park({i for ids in ids_of.values() for i in ids if i != SWEEP})
    for result in results:
        runtime.log(logger, result)
    _look_again(results)
    failed = {r.seen.instance.id for r in results if r.error}
    unfinished = broken | {message for message, ids in ids_of.items() if ids & failed}
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(unfinished)]}


def _read(messages: Iterable[dict[str, Any]]) -> tuple[dict[str, set[str]], set[str]]:
    """The instance ids (or SWEEP) that each message names, and the ids of the messages that can not be read."""
    ids_of: dict[str, set[str]] = {}
    snapshots: dict[str, str] = {}
    broken: set[str] = set()
    for message in messages:
        try:
            body = json.loads(message["body"])
            detail = body["detail"]
            match body["detail-type"]:
                case "EC2 Instance State-change Notification":
                    ids_of[message["messageId"]] = {detail["instance-id"]}
                case "EBS Snapshot Notification":
                    snapshots[message["messageId"]] = runtime.id_in_arn(detail["snapshot_id"])
                case "Scheduled Event":
                    ids_of[message["messageId"]] = {SWEEP}
                case str(kind) if kind == LOOK_AGAIN:
                    ids_of[message["messageId"]] = set(map(str, detail["instance-ids"]))
                case kind:
                    raise ValueError(f"unknown detail-type {kind!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error(
                f"A message of the park queue can not be read: {error!r}.", body=message.get("body", "")[:1000]
            )
            broken.add(message["messageId"])
    if snapshots:
        instance_of = {r.snapshot_id: r.instance_id for r in ec2.snapshots_named(snapshots.values()).records}
        for message_id, snapshot_id in snapshots.items():
            ids_of[message_id] = {instance_of[snapshot_id]} if snapshot_id in instance_of else set()
    return ids_of, broken


def _look_again(results: Iterable[Result]) -> None:
    """Ask for another look at those instances for which time, not an event, decides when it is worth while."""
    by_delay: dict[int, list[str]] = defaultdict(list)
    for r in results:
        if r.decision.look_again and not r.error:
            by_delay[ceil(r.decision.look_again.total_seconds())].append(r.seen.instance.id)
    for delay, ids in by_delay.items():
        if delay <= LONGEST_DELAY:
            _send(ids, delay=delay)


def _send(ids: list[str], *, delay: int) -> None:
    bodies = [_look_again_message(ids[n : n + IDS_PER_MESSAGE]) for n in range(0, len(ids), IDS_PER_MESSAGE)]
    for n in range(0, len(bodies), MESSAGES_PER_CALL):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(k), "MessageBody": body, "DelaySeconds": delay}
            for k, body in enumerate(bodies[n : n + MESSAGES_PER_CALL])
        ]
        answer = sqs.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"The park queue refused {len(answer['Failed'])} messages: {answer['Failed'][0]}.")


def _look_again_message(ids: list[str]) -> str:
    return json.dumps({"source": "park-volumes", "detail-type": LOOK_AGAIN, "detail": {"instance-ids": ids}})
