"""The start Lambda: answers the Function URL, follows volumes that fail, and sweeps whoever is on the way back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes import settings as environment
from park_volumes.ec2 import NO_CAPACITY, Ec2
from park_volumes.handlers import api, failed_start, runtime, sign_in, trail
from park_volumes.handlers.notices import Notices, Place
from park_volumes.handlers.pace import Pace
from park_volumes.model import Outcome
from park_volumes.reconcile import Line, Pass, Result, ids_of
from park_volumes.report import of_start

SETTINGS = environment.from_environment(os.environ)
CALL = "AWS API Call via CloudTrail"
SCHEDULE = "Scheduled Event"
START_REQUESTED = "Start Requested"
"""The detail-type with which a schedule, or whoever else may invoke this function, asks for a start."""
ASKING = (CALL, START_REQUESTED)
FOLLOWS_TRAIL = environment.boolean(os.environ, "START_ON_FAILED_START")
OUR_ROLE = environment.text(os.environ, "START_ROLE_ARN")

logger = Logger()
client = boto3.client("ec2", config=runtime.prompt())
pace = Pace(runtime.clock(), functions=1)
line = Line()
client.meta.events.register("before-call.ec2", pace)
client.meta.events.register("needs-retry.ec2", pace.again)  # type: ignore[arg-type]  # the stubs know no answer of a hook
ec2 = Ec2(client, deployment=SETTINGS.deployment)

notices = Notices.of_function(SETTINGS.deployment, logger)


def _parameter(name: str) -> str:
    """The value of an SSM parameter, decrypted. The client is made here: most deployments need none."""
    ssm = boto3.client("ssm", config=runtime.prompt())
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


callers = sign_in.from_environment(os.environ, _parameter, logger)


class FailedPass(Exception):
    """Some instances could not be brought further: Lambda tries again, and then tells the dead-letter queue."""


@logger.inject_lambda_context(log_event=False, clear_state=True)  # whatever the environment says: events hold tokens
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of the Function URL (payload format 2.0), start for a schedule, or follow an event."""
    this_pass = runtime.begin_pass(ec2, SETTINGS, context, line)
    busy = pace.begin(turn=this_pass.deadline, deadline=this_pass.deadline)
    place = Place.of_function(context.invoked_function_arn)

    def tell(results: Iterable[Result], *, asked: bool, telling: bool) -> None:
        notices.send([of_start(r, SETTINGS, this_pass.began, asked=asked, telling=telling) for r in results], place)

    if "requestContext" in event:
        tell_one = partial(tell, asked=True, telling=True)
        return api.answer(event, context, this_pass=this_pass, busy=busy, sign_in=callers, logger=logger, tell=tell_one)
    kind = event["detail-type"]
    results = _results(event, this_pass)
    for result in results:
        runtime.log(logger, result)
    tell(results, asked=kind in ASKING, telling=kind != SCHEDULE or runtime.is_reminder(event))
    if FOLLOWS_TRAIL and kind == SCHEDULE and runtime.is_reminder(event):
        _warn_without_trail(place)
    if failed := [_failure(r) for r in results if _failed(r) or (kind == START_REQUESTED and _refused(r))]:
        raise FailedPass(" ".join(failed))
    return {}


def _warn_without_trail(place: Place) -> None:
    """The client is made here: only one pass a day needs it."""
    try:
        if trail.missing(boto3.client("cloudtrail", config=runtime.prompt())):
            logger.warning(trail.MISSING)
            notices.send_words(trail.SUBJECT, trail.MISSING, place)
    except (ClientError, BotoCoreError) as error:
        logger.error(f"Whether a CloudTrail trail covers this region could not be seen: {error}")


def _results(event: dict[str, Any], this_pass: Pass) -> list[Result]:
    match event["detail-type"]:
        case str(kind) if kind == CALL:
            return _start_from_anywhere(event, this_pass)
        case str(kind) if kind == START_REQUESTED:
            return _start(event["detail"], this_pass)
        case str(kind) if kind == SCHEDULE:
            return this_pass.sweep_starts()
        case "EBS Volume Notification":
            return this_pass.settle(_of_volumes(event))
        case kind:
            raise ValueError(f"The start function knows no event of the type {kind!r}.")


def _failed(result: Result) -> bool:
    """For want of capacity a start is tried again anyway, later and later: that is told, and is no failure of ours."""
    return bool(result.error) and NO_CAPACITY not in result.error


def _refused(result: Result) -> bool:
    """Nobody waits for the answer to a requested start, so that a refusal fails too: Lambda asks again a minute and two
    minutes later, by when an instance that was still stopping has stopped, and then tells the dead-letter queue."""
    return result.decision.outcome is Outcome.REFUSED


def _failure(result: Result) -> str:
    return f"{result.seen.instance.id} could not be brought further: {result.error or result.decision.reason}"


def _start_from_anywhere(event: dict[str, Any], this_pass: Pass) -> list[Result]:
    """Start what somebody tried to start while its volumes were parked; and say which others that call left stopped."""
    tried = failed_start.read(event, our_role=OUR_ROLE)
    if tried is None:
        return []
    results = this_pass.start_refused(tried.instance_ids, tried.at)
    ours = ids_of(results)
    who = {"caller": tried.caller, "instances": sorted(ours), "others": sorted(tried.instance_ids - ours)}
    logger.info("EC2 refused a start because of a missing root volume; what is parked of it is started.", extra=who)
    return results


def _start(detail: dict[str, Any], this_pass: Pass) -> list[Result]:
    """Start one instance, or many, for somebody who does not wait for the answer."""
    ids = set(detail["instance-ids"] if "instance-ids" in detail else [detail["instance-id"]])
    results = this_pass.request(ids)
    if unknown := sorted(ids - ids_of(results)):
        raise FailedPass(f"A start was requested for {', '.join(unknown)}, which does not exist here.")
    return results


def _of_volumes(event: dict[str, Any]) -> list[str]:
    """The ids of the instances whose volumes in transit an event names."""
    volume_ids = {runtime.id_in_arn(arn) for arn in event["resources"] if ":volume/" in arn}
    return sorted({v.mark.instance_id for v in ec2.volumes(volume_ids) if v.mark})
