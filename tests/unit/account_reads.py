"""The services that the doctor reads beside EC2: botocore's own clients, which check every call and every answer by the
service's model, and whose requests go nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from park_volumes.cli.examination import QUOTAS

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0000"
ARN_OF_TRAIL = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/all"
Answer = Mapping[str, Any] | Exception

HEALTHY: Mapping[str, Answer] = {
    "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/mina", "UserId": "AIDA"},
    "GetFunctionConfiguration": ClientError(
        {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found"}}, "GetFunctionConfiguration"
    ),
    "GetLayerVersionByArn": {"Version": 27},
    "DescribeTrails": {"trailList": [{"Name": "all", "TrailARN": ARN_OF_TRAIL}]},
    "GetTrailStatus": {"IsLogging": True},
    "GetEventSelectors": {"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}]},
    "ListRules": {"Rules": []},
    "ListServiceQuotas": {"Quotas": [{"QuotaCode": code, "Value": 50.0} for code in QUOTAS.values()]},
    "DescribeKey": {"KeyMetadata": {"KeyId": "0000", "Arn": KEY, "KeyState": "Enabled", "AWSAccountId": ACCOUNT}},
}
"""The answers of an account in which nothing is wrong, by the name of the operation."""


@cache
def _session() -> boto3.Session:
    """It reads each model of a service once for all tests."""
    return boto3.Session("key", "secret", region_name="us-east-1")


class Answers:
    """What the services answer: what is given by the name of an operation, otherwise what a healthy account does.
    ``asked`` are the operations in the order of the calls, each with its parameters."""

    def __init__(self, **answers: Any) -> None:
        self.of: dict[str, Any] = {**HEALTHY, **answers}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def client(self, service: str, **_: Any) -> Any:
        client: Any = _session().client(service)  # type: ignore[call-overload]
        client.meta.events.register("before-parameter-build", self._note)
        client.meta.events.register("before-call", partial(self._answer, service))
        return client

    def _note(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.asked.append((f"{model.service_model.service_name}:{model.name}", params))

    def _answer(self, _service: str, model: Any, **_: Any) -> tuple[Any, Mapping[str, Any]]:
        answer = self.of[model.name]
        if callable(answer):
            answer = answer(self.asked[-1][1])
        if isinstance(answer, Exception):
            raise answer
        validate_parameters(answer, model.output_shape)
        return SimpleNamespace(status_code=200), answer


def refused(operation: str, code: str = "AccessDeniedException", words: str = "Not allowed.") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": words}}, operation)
