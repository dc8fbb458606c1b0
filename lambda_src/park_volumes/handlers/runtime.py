"""What both Lambdas need from their runtime: the clock, the time limit, the SDK."""

import gc
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from park_volumes.core.overdue import NEWS
from park_volumes.core.steps import Outcome
from park_volumes.handlers.region import Region
from park_volumes.report import overdue_of
from park_volumes.run.context import Clock, Pass, SystemClock
from park_volumes.run.execute import Result

MARGIN = timedelta(seconds=3)
"""The part of the time limit reserved for writing the answer."""


def clock() -> Clock:
    return SystemClock()


def begin_pass(region: Region, context: LambdaContext) -> Pass:
    """A pass that ends in time to write the answer."""
    gc.enable()
    its_clock = clock()
    began = its_clock.now()
    left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    return Pass(
        ec2=region.ec2,
        settings=region.settings,
        clock=its_clock,
        began=began,
        deadline=began + left - MARGIN,
        known=region.known,
        region=region.name,
    )


def patient() -> Config:
    """SDK settings that slow down before EC2 throttles (retry mode adaptive), with connections for parallel steps."""
    return Config(
        retries={"mode": "adaptive", "max_attempts": 6}, max_pool_connections=30, connect_timeout=5, read_timeout=20
    )


def id_in_arn(arn: str) -> str:
    """The resource id in an ARN: the part after the last slash. EBS events differ in the rest."""
    return arn.rsplit("/", 1)[-1]


def is_reminder(event: dict[str, Any]) -> bool:
    """Whether a scheduled event is the daily reminder, which reports ongoing problems again."""
    return any(arn.endswith("-reminder") for arn in event["resources"])


def prompt() -> Config:
    """SDK settings for a waiting caller: two quick retries, then the error is returned."""
    return Config(
        retries={"mode": "standard", "max_attempts": 2}, max_pool_connections=30, connect_timeout=3, read_timeout=15
    )


def is_news(this_pass: Pass, result: Result) -> bool:
    """Whether this is the first time that this function sees that an instance takes too long. A sweep sees it, which is
    silent otherwise; from then on the daily reminder tells it."""
    late = overdue_of(result, this_pass.settings, this_pass.began)
    if late is None or not late.is_news(this_pass.began):
        return False
    what = f"overdue {result.instance_id} {late.by.isoformat()}"
    told = this_pass.knows(what, NEWS)
    this_pass.learns(what)
    return not told


def log(logger: Logger, result: Result) -> None:
    """Log one line for each instance: what was decided and why, or the error that stopped it."""
    about = {"instance_id": result.instance_id, "steps": [str(s) for s in result.decision.every_step]}
    if result.error:
        logger.error(str(result.error), extra=about)
    elif result.decision.outcome is Outcome.REFUSED or result.not_remembered:
        logger.warning(result.reason, extra=about)
    else:
        logger.info(result.reason, extra=about)
