"""The CloudTrail record of a StartInstances call that EC2 refused because an instance has no root volume.

EC2 writes it when the console, the CLI, an SDK or a scheduler starts a parked instance. EC2 checks the root volume only
after it has authorized the caller, so the caller named here may start every instance of the call. The error code alone
is not enough: EC2 also returns it for malformed calls. Without the known error message, nothing happens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from park_volumes.core.reading import instance_id, read_from, time

CODE = "Client.InvalidParameterValue"
WORDS = "does not have a volume attached at root"


@dataclass(frozen=True, kw_only=True)
class FailedStart:
    """Who tried to start which instances, and when. EC2 refused the whole call: none of them started."""

    instance_ids: frozenset[str]
    at: datetime
    caller: str


def read(event: dict[str, Any], *, our_role: str) -> FailedStart | None:
    """Read the record of a call; None for our own calls and for those that failed for another reason.
    If the root volume is missing, our own start looks again anyway. Reacting to its record could loop forever."""
    detail = event["detail"]
    who = detail["userIdentity"]
    issuer = who.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
    if issuer == our_role or detail.get("errorCode") != CODE or WORDS not in detail.get("errorMessage", ""):
        return None
    items = detail["requestParameters"]["instancesSet"]["items"]
    return FailedStart(
        instance_ids=frozenset(read_from(item, "instanceId", instance_id) for item in items),
        at=read_from(detail, "eventTime", time),
        caller=str(who.get("arn") or who.get("invokedBy") or who["type"]),
    )
