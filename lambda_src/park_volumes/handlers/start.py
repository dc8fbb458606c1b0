"""The start Lambda: answers the Function URL, handles volumes that fail, and sweeps instances that are coming back."""

import os
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.core import environment
from park_volumes.core.reading import INSTANCE_ID, region_in, volume_id
from park_volumes.core.steps import Outcome
from park_volumes.handlers import api, peers, runtime, sign_in
from park_volumes.handlers.location import FunctionLocation
from park_volumes.handlers.notices import Notices
from park_volumes.handlers.region import Regions, Run
from park_volumes.handlers.starts import StartRegion, Starts
from park_volumes.handlers.wake import START_GOES_ON, SWEEP_STARTS, ask
from park_volumes.report import Report, of_start
from park_volumes.run.context import alone, each_alone
from park_volumes.run.execute import Result, goes_on, ids_of
from park_volumes.run.start_pass import StartPass

if TYPE_CHECKING:
    from park_volumes.handlers.failed_start import FailedStart

CALL = "AWS API Call via CloudTrail"
SCHEDULE = "Scheduled Event"
SWEEPS = (SCHEDULE, SWEEP_STARTS)
START_REQUESTED = "Start Requested"
"""The detail-type of a start request from a schedule, or from anyone else who may invoke this function."""
ASKING = (CALL, START_REQUESTED)
T = TypeVar("T")
FOLLOWS_TRAIL = environment.boolean(os.environ, "START_ON_FAILED_START")
OUR_ROLE = environment.text(os.environ, "START_ROLE_ARN")

logger = Logger()
regions = Regions(
    StartRegion,
    os.environ,
    client=boto3.client,
    clock=runtime.clock(),
    config=runtime.prompt(),
    functions=1,
    retries=True,
)
DEPLOYMENT = regions.home.settings.deployment
notices = Notices.of_function(DEPLOYMENT, logger)


def _parameter(name: str) -> str:
    """The value of an SSM parameter, decrypted. The client is created here: most deployments need none."""
    ssm = boto3.client("ssm", config=runtime.prompt())
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


callers = sign_in.from_environment(os.environ, _parameter, logger)
others = peers.from_environment(os.environ)


class FailedPass(Exception):
    """Some instances could not continue: Lambda tries again, then sends the event to the dead-letter queue."""


class Unreadable(ValueError):
    """An event that does not say what an event of its type says; the message says what is wrong with it."""


@logger.inject_lambda_context(log_event=False, clear_state=True)  # whatever the environment says: events contain tokens
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a Function URL request (payload format 2.0), start for a schedule, or handle an event."""
    if not isinstance(event, dict):
        raise Unreadable(f"An event is a JSON object, and this is a {type(event).__name__}.")
    home = runtime.begin_pass(regions.home, context)
    run = Starts(run=Run(regions=regions, home=home, turn=home.deadline))
    location = FunctionLocation.of_function(context.invoked_function_arn)
    if "requestContext" in event:
        return api.answer(event, _server(run, location))
    done, unknown = _results(event, run)
    kind = event["detail-type"]
    reminder = kind == SCHEDULE and runtime.is_reminder(event)
    for starts, results in done:
        for result in results:
            runtime.log(logger, result)
        silent = kind in SWEEPS and not reminder
        _report(location, starts, results, asked=kind in ASKING, sweep=kind in SWEEPS, include_ongoing=not silent)
    if FOLLOWS_TRAIL and reminder:
        _warn_without_trail(location)
    failures = [words for _, results in done for r in results if (words := _failure(r, kind))]
    if failed := [*failures, *unknown]:
        raise FailedPass(" ".join(failed))
    return {}


def _server(run: Starts, location: FunctionLocation) -> api.Server:
    report = partial(_report, location, asked=True)
    return api.Server(here=location, starts=run, sign_in=callers, peers=others, logger=logger, report=report)


def _report(
    location: FunctionLocation,
    starts: StartPass,
    results: Collection[Result],
    *,
    asked: bool,
    sweep: bool = False,
    include_ongoing: bool = True,
) -> None:
    """Tell people, and the park side unless it has asked for this ``sweep`` itself."""
    this_pass = starts.this_pass

    def told(result: Result) -> Report | None:
        occasion = runtime.is_news(this_pass, result) or include_ongoing
        return of_start(result, this_pass.settings, this_pass.began, asked=asked, include_ongoing=occasion)

    notices.send(each_alone(results, told), location.at(this_pass.region))
    if not sweep and any(map(goes_on, results)):
        alone("Telling the park side", partial(_tell_park_side, starts), lambda _: None)


def _tell_park_side(starts: StartPass) -> None:
    """What has begun may take longer than this pass, and what is on its way is looked at every minute. In a crowd the
    first one tells it, for all."""
    if starts.queue.is_first(starts.this_pass):
        ask(notices, START_GOES_ON, DEPLOYMENT, regions.elsewhere(starts.this_pass.region))


def _warn_without_trail(location: FunctionLocation) -> None:
    """Only one pass a day needs this module and this client."""
    from park_volumes.handlers import trail  # noqa: PLC0415  # every cold start would wait for it

    try:
        if trail.missing(boto3.client("cloudtrail", config=runtime.prompt())):
            logger.warning(trail.MISSING)
            notices.send_words(trail.SUBJECT, trail.MISSING, location)
    except (ClientError, BotoCoreError) as error:
        logger.error(f"Cannot check whether a CloudTrail trail covers this region: {error}")


Done = list[tuple[StartPass, list[Result]]]


def _results(event: dict[str, Any], starts: Starts) -> tuple[Done, list[str]]:
    """The results in each region, and what is to be said of those that the event names and that are not found."""
    match event.get("detail-type"):
        case str(kind) if kind == CALL:
            from park_volumes.handlers import failed_start  # noqa: PLC0415  # every cold start would wait for it

            tried = _read(partial(failed_start.read, our_role=OUR_ROLE), event)
            there = starts.named(tried.region) if tried else None
            return [(there, _start_from_anywhere(tried, there))] if tried and there else [], []
        case str(kind) if kind == START_REQUESTED:
            return _request(_read(_wanted, event), starts)
        case str(kind) if kind == SCHEDULE:
            _read(runtime.is_reminder, event)
            return starts.sweep(everywhere=runtime.is_reminder(event)), []
        case str(kind) if kind == SWEEP_STARTS:
            return starts.in_one(_read(_region_in_detail, event), StartPass.sweep), []
        case "EBS Volume Notification":
            ids = _read(_volumes, event)
            return starts.in_one(_read(region_in, event), lambda there: there.settle(_of_volumes(there, ids))), []
        case kind:
            raise Unreadable(f"The start function does not handle events of the type {kind!r}.")


def _request(wanted: set[str], starts: Starts) -> tuple[Done, list[str]]:
    """Start what a schedule or somebody else asks for, wherever it is."""
    ids = {i for i in wanted if INSTANCE_ID.fullmatch(i)}
    done, silent = starts.request(ids)
    unknown = sorted(wanted - {i for _, results in done for i in ids_of(results)})
    if not unknown:
        return done, []
    words = f"A start was requested for {', '.join(unknown)}, but no such instance exists here."
    return done, [" ".join([words, *silent])]


def _read(read: Callable[[dict[str, Any]], T], event: dict[str, Any]) -> T:
    """Read what an event says, before anything is done about it."""
    try:
        return read(event)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"An event of the type {event['detail-type']!r} cannot be read: {error!r}.") from error


def _failure(result: Result, kind: str) -> str:
    """Nobody waits for the answer to a requested start, so a refusal fails too: Lambda tries again one minute and two
    minutes later. By then an instance that was stopping has stopped. Then the event goes to the dead-letter queue."""
    # A start that EC2 has no capacity for is tried again anyway: it is reported, but is not our failure.
    failed = result.error is not None and not result.lack
    refused = kind == START_REQUESTED and result.decision.outcome is Outcome.REFUSED
    done = result.complete and result.decision.outcome is Outcome.DONE
    lost = kind in ASKING and bool(result.not_remembered) and not done
    words = f"{result.instance_id} could not continue: {result.error or result.reason}"
    return words if failed or refused or lost else ""


def _start_from_anywhere(tried: "FailedStart", starts: StartPass) -> list[Result]:
    """Start the parked instances that somebody tried to start, and log the others, which that call left stopped."""
    results = starts.start_after_failed_call(tried.instance_ids, tried.at)
    ours = ids_of(results)
    who = {"caller": tried.caller, "instances": sorted(ours), "others": sorted(tried.instance_ids - ours)}
    logger.info("EC2 refused a start because of a missing root volume. Starting the parked instances.", extra=who)
    return results


def _wanted(event: dict[str, Any]) -> set[str]:
    """What a start is requested for: ids of instances, and whatever else is written there."""
    detail = event["detail"]
    wanted = detail["instance-ids"] if "instance-ids" in detail else [detail["instance-id"]]
    if not isinstance(wanted, list):
        raise TypeError("instance-ids is not a list")
    return {one if isinstance(one, str) else repr(one) for one in wanted}


def _volumes(event: dict[str, Any]) -> set[str]:
    """The ids of the volumes that an event names, beside keys."""
    return {volume_id(runtime.id_in_arn(arn)) for arn in event["resources"] if ":volume/" in arn}


def _of_volumes(starts: StartPass, volume_ids: set[str]) -> list[str]:
    """The ids of the instances for which these volumes are in transit."""
    return sorted({v.mark.instance_id for v in starts.this_pass.ec2.reads.volumes(volume_ids) if v.mark})


def _region_in_detail(event: dict[str, Any]) -> str:
    return region_in(event["detail"])
