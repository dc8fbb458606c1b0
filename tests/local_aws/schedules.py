"""EventBridge Scheduler: what a schedule sends when it is due, as its role. Its clock stands still: a test fires it.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets.html
"""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
from botocore import xform_name
from moto.scheduler.models import Schedule, scheduler_backends

from tests.local_aws.credentials import credentials_of_role
from tests.local_aws.lambdas import Lambdas
from tests.local_aws.policies import refusal_of_role
from tests.local_aws.world import ACCOUNT

SERVICE = "scheduler.amazonaws.com"
UNIVERSAL = re.compile(r"arn:aws:scheduler:::aws-sdk:(\w+):(\w+)")
"""A universal target: any operation of an SDK, with the schedule's input for its parameters."""


class Scheduler:
    """Sends what a schedule holds for its target. Every refusal is a ValueError with a sentence."""

    def __init__(self, lambdas: Lambdas, endpoint_url: str) -> None:
        self._lambdas = lambdas
        self._endpoint_url = endpoint_url

    def fire(self, name: str, group: str, region: str) -> None:
        """Sends once, whatever the time is. Raises ScheduleNotFound, and ValueError for a disabled schedule."""
        schedule = scheduler_backends[ACCOUNT][region].get_schedule(group, name)
        if schedule.state != "ENABLED":
            raise ValueError(f"The schedule {name} is {schedule.state}.")
        target, text = schedule.target, schedule.target.get("Input", "{}")
        if universal := UNIVERSAL.fullmatch(target["Arn"]):
            service, operation = universal[1], universal[2][0].upper() + universal[2][1:]
            parameters = json.loads(text)
            for arn in arns_of(parameters, region):
                self._must_be_allowed(schedule, f"{service}:{operation}", arn)
            client: Any = self._client(service, schedule, region)
            getattr(client, xform_name(operation))(**parameters)
            return
        function = self._lambdas.function(target["Arn"])
        if function is None:
            raise ValueError(f"The target {target['Arn']} of the schedule {name} does not exist.")
        self._must_be_allowed(schedule, "lambda:InvokeFunction", target["Arn"])
        self._lambdas.invoke_later(function, text)

    def _client(self, service: str, schedule: Schedule, region: str) -> Any:
        caller = credentials_of_role(schedule.target["RoleArn"], schedule.name, region)
        return boto3.client(  # type: ignore[call-overload]  # whichever service the target names
            service,
            endpoint_url=self._endpoint_url,
            region_name=region,
            aws_access_key_id=caller.access_key,
            aws_secret_access_key=caller.secret,
            aws_session_token=caller.session_token,
        )

    @staticmethod
    def _must_be_allowed(schedule: Schedule, action: str, resource: str) -> None:
        """The role lets the scheduler in for this group and, inline, allows the call, whatever the conditions."""
        group_arn = schedule.arn.replace(":schedule/", ":schedule-group/").rsplit("/", 1)[0]
        if problem := refusal_of_role(schedule.target["RoleArn"], SERVICE, group_arn, action, resource):
            raise ValueError(problem)


def arns_of(parameters: dict[str, Any], region: str) -> list[str]:
    """The instances that an EC2 call is about; a call about none is judged on everything."""
    ids = parameters.get("InstanceIds", [])
    return [f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance_id}" for instance_id in ids] or ["*"]
