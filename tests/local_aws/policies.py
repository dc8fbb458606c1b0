"""Whether a resource's policy lets an AWS service in, and what a service may do with a role that it is given."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from moto.iam.models import iam_backends

from tests.local_aws.credentials import PARTITION
from tests.local_aws.world import ACCOUNT


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


def refusal_of_role(role_arn: str, service: str, source_arn: str, action: str, resource: str) -> str | None:
    """Why a service may not do this with that role, in words: the role has to trust it for what it acts for, and to
    allow the action inline, whatever the conditions."""
    role = iam_backends[ACCOUNT][PARTITION].get_role_by_arn(role_arn)
    trust = listed(json.loads(role.assume_role_policy_document)["Statement"])
    if not service_may(trust, service, "sts:AssumeRole", source_arn):
        return f"The role {role.name} does not trust {service} for {source_arn}."
    statements = [s for text in role.policies.values() for s in listed(json.loads(text)["Statement"])]
    if not any(s["Effect"] == "Allow" and _covers(s, action, resource) for s in statements):
        return f"The role {role.name} may not {action} on {resource}."
    return None


def _covers(statement: dict[str, Any], action: str, resource: str) -> bool:
    """Whether a statement of an identity policy names the action and the resource."""
    actions = [str(a).lower() for a in listed(statement.get("Action", []))]
    named = any(fnmatchcase(action.lower(), pattern) for pattern in actions)
    return named and any(fnmatchcase(resource, str(r)) for r in listed(statement.get("Resource", [])))
