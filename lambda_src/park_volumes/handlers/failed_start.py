"""The CloudTrail record of a StartInstances call that EC2 refused because an instance has no root volume.

That is how a start from anywhere, the console, the CLI, an SDK or a scheduler, meets a parked instance. EC2 looks for
the root volume only after it has let the caller in, so whoever is named here may start every instance of the call. The
code alone does not say so: EC2 answers it for malformed calls too. Without the words it is known by, nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

CODE = "Client.InvalidParameterValue"
WORDS = "does not have a volume attached at root"


@dataclass(frozen=True, kw_only=True)
class FailedStart:
    """Who tried in vain to start which instances, and when. The call was refused as a whole: none of them started."""

    instance_ids: frozenset[str]
    at: datetime
    caller: str


def read(event: dict[str, Any], *, our_role: str) -> FailedStart | None:
    """What the record of a call says; None for our own calls and for those that failed for another reason.

    A start of ours that met a missing root volume looks again by itself. Answering its record could go round for ever.
    """
    detail = event["detail"]
    who = detail["userIdentity"]
    issuer = who.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
    if issuer == our_role or detail.get("errorCode") != CODE or WORDS not in detail.get("errorMessage", ""):
        return None
    return FailedStart(
        instance_ids=frozenset(item["instanceId"] for item in detail["requestParameters"]["instancesSet"]["items"]),
        at=datetime.fromisoformat(detail["eventTime"]),
        caller=who.get("arn") or who.get("invokedBy") or who["type"],
    )
