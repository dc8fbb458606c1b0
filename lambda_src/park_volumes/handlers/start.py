"""The start Lambda: answers the Function URL, handles volumes that fail, and sweeps instances that are coming back."""

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.aws import Ec2
from park_volumes.core import environment
from park_volumes.core.steps import Outcome
from park_volumes.handlers import api, failed_start, runtime, sign_in, trail
from park_volumes.handlers.notices import FunctionLocation, Notices
from park_volumes.handlers.pace import Pace
from park_volumes.report import of_start
from park_volumes.run.execute import Result, ids_of
from park_volumes.run.start_pass import Queue, StartPass

SETTINGS = environment.from_environment(os.environ)
CALL = "AWS API Call via CloudTrail"
SCHEDULE = "Scheduled Event"
START_REQUESTED = "Start Requested"
"""The detail-type of a start request from a schedule, or from anyone else who may invoke this function."""
ASKING = (CALL, START_REQUESTED)
FOLLOWS_TRAIL = environment.boolean(os.environ, "START_ON_FAILED_START")
OUR_ROLE = environment.text(os.environ, "START_ROLE_ARN")

logger = Logger()
client = boto3.client("ec2", config=runtime.prompt())
pace = Pace(runtime.clock(), functions=1)
queue = Queue()
client.meta.events.register("before-call.ec2", pace)
client.meta.events.register("needs-retry.ec2", pace.again)  # type: ignore[arg-type]  # the stubs expect hooks to return nothing
ec2 = Ec2(client, deployment=SETTINGS.deployment)
notices = Notices.of_function(SETTINGS.deployment, logger)


def _parameter(name: str) -> str:
    """The value of an SSM parameter, decrypted. The client is created here: most deployments need none."""
    ssm = boto3.client("ssm", config=runtime.prompt())
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


callers = sign_in.from_environment(os.environ, _parameter, logger)


class FailedPass(Exception):
    """Some instances could not continue: Lambda tries again, then sends the event to the dead-letter queue."""


@logger.inject_lambda_context(log_event=False, clear_state=True)  # whatever the environment says: events contain tokens
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a Function URL request (payload format 2.0), start for a schedule, or handle an event."""
    this_pass = runtime.begin_pass(ec2, SETTINGS, context)
    busy = pace.begin(turn=this_pass.deadline, deadline=this_pass.deadline)
    starts = StartPass(this_pass=this_pass, queue=queue)
    location = FunctionLocation.of_function(context.invoked_function_arn)

    def report(results: Iterable[Result], *, asked: bool, include_ongoing: bool) -> None:
        told = partial(of_start, settings=SETTINGS, now=this_pass.began, asked=asked, include_ongoing=include_ongoing)
        notices.send(map(told, results), location)

    if "requestContext" in event:
        report_one = partial(report, asked=True, include_ongoing=True)
        return api.answer(event, context, starts=starts, busy=busy, sign_in=callers, logger=logger, report=report_one)
    kind = event["detail-type"]
    results = _results(event, starts)
    for result in results:
        runtime.log(logger, result)
    report(results, asked=kind in ASKING, include_ongoing=kind != SCHEDULE or runtime.is_reminder(event))
    if FOLLOWS_TRAIL and kind == SCHEDULE and runtime.is_reminder(event):
        _warn_without_trail(location)
    if failed := [words for r in results if (words := _failure(r, kind))]:
        raise FailedPass(" ".join(failed))
    return {}


def _warn_without_trail(location: FunctionLocation) -> None:
    """The client is created here: only one pass a day needs it."""
    try:
        if trail.missing(boto3.client("cloudtrail", config=runtime.prompt())):
            logger.warning(trail.MISSING)
            notices.send_words(trail.SUBJECT, trail.MISSING, location)
    except (ClientError, BotoCoreError) as error:
        logger.error(f"Cannot check whether a CloudTrail trail covers this region: {error}")


def _results(event: dict[str, Any], starts: StartPass) -> list[Result]:
    match event["detail-type"]:
        case str(kind) if kind == CALL:
            return _start_from_anywhere(event, starts)
        case str(kind) if kind == START_REQUESTED:
            return _start(event["detail"], starts)
        case str(kind) if kind == SCHEDULE:
            return starts.sweep()
        case "EBS Volume Notification":
            return starts.settle(_of_volumes(event))
        case kind:
            raise ValueError(f"The start function does not handle events of the type {kind!r}.")


def _failure(result: Result, kind: str) -> str:
    """Nobody waits for the answer to a requested start, so a refusal fails too: Lambda tries again one minute and two
    minutes later. By then an instance that was stopping has stopped. Then the event goes to the dead-letter queue."""
    # A start without capacity is retried anyway, with growing delays: it is reported, but is not our failure.
    failed = result.error is not None and not result.without_capacity
    refused = kind == START_REQUESTED and result.decision.outcome is Outcome.REFUSED
    return f"{result.instance_id} could not continue: {result.error or result.reason}" if failed or refused else ""


def _start_from_anywhere(event: dict[str, Any], starts: StartPass) -> list[Result]:
    """Start the parked instances that somebody tried to start, and log the others, which that call left stopped."""
    tried = failed_start.read(event, our_role=OUR_ROLE)
    if tried is None:
        return []
    results = starts.start_after_failed_call(tried.instance_ids, tried.at)
    ours = ids_of(results)
    who = {"caller": tried.caller, "instances": sorted(ours), "others": sorted(tried.instance_ids - ours)}
    logger.info("EC2 refused a start because of a missing root volume. Starting the parked instances.", extra=who)
    return results


def _start(detail: dict[str, Any], starts: StartPass) -> list[Result]:
    """Start one or many instances for a caller who does not wait for the answer."""
    ids = set(detail["instance-ids"] if "instance-ids" in detail else [detail["instance-id"]])
    results = starts.request(ids)
    if unknown := sorted(ids - ids_of(results)):
        raise FailedPass(f"A start was requested for {', '.join(unknown)}, but no such instance exists here.")
    return results


def _of_volumes(event: dict[str, Any]) -> list[str]:
    """The ids of the instances whose volumes in transit an event names."""
    volume_ids = {runtime.id_in_arn(arn) for arn in event["resources"] if ":volume/" in arn}
    return sorted({v.mark.instance_id for v in ec2.reads.volumes(volume_ids) if v.mark})
