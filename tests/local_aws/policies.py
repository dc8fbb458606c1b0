"""Whether a resource's policy lets an AWS service in."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any


def listed(value: Any) -> list[Any]:
    """Policies write one or many."""
    return value if isinstance(value, list) else [value]


def service_may(statements: list[dict[str, Any]], service: str, action: str, source_arn: str) -> bool:
    """Whether a statement allows the service principal the action for this source, as EventBridge needs it.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    return any(
        statement.get("Effect") == "Allow"
        and _principal_is(statement.get("Principal"), service)
        and any(fnmatchcase(action.lower(), str(a).lower()) for a in listed(statement.get("Action", [])))
        and _source_is(statement.get("Condition", {}), source_arn)
        for statement in statements
    )


def _principal_is(principal: Any, service: str) -> bool:
    if principal == "*":
        return True
    return isinstance(principal, dict) and service in listed(principal.get("Service", []))


def _source_is(condition: dict[str, Any], source_arn: str) -> bool:
    """Every condition on aws:SourceArn must fit; conditions on other keys are taken as met."""
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            concerned = key.lower() == "aws:sourcearn" and operator.lower().startswith(("arn", "string"))
            if concerned and not any(fnmatchcase(source_arn, str(pattern)) for pattern in listed(wanted)):
                return False
    return True
