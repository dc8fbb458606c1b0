"""What both Lambdas need of the place they run in: its clock, its time limit, its SDK."""

from __future__ import annotations

import gc
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from park_volumes.ec2 import Ec2
from park_volumes.model import Outcome, Settings
from park_volumes.reconcile import Clock, Line, Pass, Result, SystemClock

MARGIN = timedelta(seconds=3)
"""What is left of the time limit for writing the answer."""


def clock() -> Clock:
    return SystemClock()


def begin_pass(ec2: Ec2, settings: Settings, context: LambdaContext, line: Line | None = None) -> Pass:
    """``line``: of the starts, as the function saw it in an earlier pass."""
    gc.enable()
    its_clock = clock()
    began = its_clock.now()
    left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    deadline = began + left - MARGIN
    return Pass(ec2=ec2, settings=settings, clock=its_clock, began=began, deadline=deadline, line=line or Line())


def patient() -> Config:
    """An SDK that backs off before EC2 throttles it (retry mode adaptive), with connections for parallel steps."""
    return Config(
        retries={"mode": "adaptive", "max_attempts": 6},
        max_pool_connections=30,
        connect_timeout=5,
        read_timeout=20,
    )


def id_in_arn(arn: str) -> str:
    """The resource id in an ARN: what follows the last slash. On the rest of it the EBS events disagree."""
    return arn.rsplit("/", 1)[-1]


def is_reminder(event: dict[str, Any]) -> bool:
    """Whether a scheduled event is the daily one, at which what lasts is told again."""
    return any(arn.endswith("-reminder") for arn in event["resources"])


def prompt() -> Config:
    """An SDK for a caller that waits: two quick retries, then the error is told."""
    return Config(
        retries={"mode": "standard", "max_attempts": 2}, max_pool_connections=30, connect_timeout=3, read_timeout=15
    )


def log(logger: Logger, result: Result) -> None:
    """One line for each instance looked at: what was decided and why, or the error that stopped it."""
    about = {
        "instance_id": result.seen.instance.id,
        "steps": [str(s) for stage in result.decision.steps for s in stage],
    }
    if result.error:
        logger.error(result.error, extra=about)
    elif result.decision.outcome is Outcome.REFUSED:
        logger.warning(result.decision.reason, extra=about)
    else:
        logger.info(result.decision.reason, extra=about)
