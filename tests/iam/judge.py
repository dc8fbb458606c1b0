"""The roles of a deployment, read back from IAM, and what a log of calls says about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from park_volumes.core.tags import MARK
from tests.iam.evaluate import NULL, Request, Statement, deciding, statements
from tests.iam.reference import type_of
from tests.iam.requests import Call, requests

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

TAG_KEYS = "aws:tagkeys"
SETTLING = ("DeleteTags", "ModifyInstanceAttribute")
OF_A_FUNCTION = re.compile(r":role/[a-z0-9-]+-(park|start)-[a-z0-9-]+$")


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a role allows: its policies, and the boundary that they have to stay in."""

    arn: str
    policy: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None = None

    @classmethod
    def deployed(cls, iam: IAMClient, arn: str) -> Role:
        """The role as it stands in IAM, with its inline and attached policies."""
        boundary = (
            iam.get_role(RoleName=_name(arn))["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        )
        return cls(
            arn=arn,
            policy=tuple(s for document in policies(iam, arn) for s in statements(document)),
            boundary=statements(_managed(iam, boundary)) if boundary else None,
        )

    def allowing(self, request: Request) -> tuple[Statement, ...]:
        """The statements that allow a request; none if it is denied."""
        if self.boundary is not None and not deciding(self.boundary, request):
            return ()
        return deciding(self.policy, request)

    def denied(self, call: Call) -> list[Request]:
        """What of a call is denied; a call goes through only if nothing is."""
        return [request for request in requests(call) if not self.allowing(request)]

    def unused(self, calls: Iterable[Call]) -> list[str]:
        """What no call has needed, a line each: actions of statements, and keys of tags that may be written."""
        used: set[tuple[str, str]] = set()
        for request in (request for call in calls for request in requests(call)):
            for statement in self.allowing(request):
                used.add((statement.sid, request.action))
                used |= {(statement.sid, f"tag {key}") for key in request.values(TAG_KEYS)}
        return [f"{sid}: {what}" for sid, what in _grants(self.policy) if (sid, what) not in used]


def denials(iam: IAMClient, calls: Sequence[Call]) -> dict[str, list[str]]:
    """The role (ARN) of each function that did something, and what it did and may not as the role now stands."""
    arns = {call["role"] for call in calls if OF_A_FUNCTION.search(call["role"] or "")}
    return {
        role.arn: [
            f"{call['operation']} {call['parameters']}: {denied}"
            for call in calls
            if call["role"] == role.arn and decidable(call)
            for denied in role.denied(call)
        ]
        for role in (Role.deployed(iam, arn) for arn in sorted(arns))
    }


def decidable(call: Call) -> bool:
    """Of what does not exist any more, IAM knows no tags. And of two passes that settle the same volumes EC2 denies the
    second, once the first has taken the marks off; it takes that for done (reconcile.Pass)."""
    if str(call["error"]).endswith(".NotFound"):
        return False
    return call["operation"] not in SETTLING or not any(_of_an_unmarked_volume(request) for request in requests(call))


def _of_an_unmarked_volume(request: Request) -> bool:
    return type_of(request.resource) == "volume" and not request.values(f"aws:ResourceTag/{MARK}")


def policies(iam: IAMClient, arn: str) -> list[Mapping[str, Any]]:
    """The documents of a role's policies, inline and attached."""
    name = _name(arn)
    inline: list[Any] = [
        iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return [*inline, *(_managed(iam, policy["PolicyArn"]) for policy in attached)]


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _managed(iam: IAMClient, arn: str) -> Mapping[str, Any]:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return dict(document)


def _grants(policy: Sequence[Statement]) -> list[tuple[str, str]]:
    """Everything that a policy grants by name, as pairs of statement and action or tag."""
    allowing = [s for s in policy if s.allows]
    actions = [(s.sid, action) for s in allowing for action in s.actions]
    keys = [(s.sid, c) for s in allowing for c in s.conditions if c.key.lower() == TAG_KEYS and c.operator != NULL]
    return actions + [(sid, f"tag {key}") for sid, condition in keys for key in condition.values]
