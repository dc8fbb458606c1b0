"""The CloudTrail record of a StartInstances call that EC2 refused because an instance has no root volume.

EC2 writes it when the console, the CLI, an SDK or a scheduler starts a parked instance. EC2 checks the root volume only
after it has authorized the caller, so the caller named here may start every instance of the call. The error code alone
is not enough: EC2 also returns it for malformed calls. Without the known error message, nothing happens: it has to be
all of the message, since others may quote what their callers wrote."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from park_volumes.core.reading import instance_id, read_from, region, time

CODES: Final = ("Client.InvalidParameterValue", "InvalidParameterValue")
"""CloudTrail has written codes of EC2 with and without the prefix; of this call nobody has seen a record."""
WORDS: Final = re.compile(
    r"Invalid value '?(?P<id>i-[0-9a-f]+)'? for instanceId\. "
    r"Instance does not have a volume attached at root( \([^()']+\))?\.?"
)


@dataclass(frozen=True, kw_only=True)
class FailedStart:
    """Who tried to start which instances, where and when. EC2 refused the whole call: none of them started."""

    region: str
    instance_ids: frozenset[str]
    at: datetime
    caller: str


def read(event: dict[str, Any], *, our_role: str) -> FailedStart | None:
    """Read the record of a call; None for our own calls and for those that failed for another reason.
    If the root volume is missing, our own start looks again anyway. Reacting to its record could loop forever."""
    detail = event["detail"]
    who = detail["userIdentity"]
    issuer = who.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
    if issuer == our_role or detail.get("errorCode") not in CODES:
        return None
    said = WORDS.fullmatch(detail.get("errorMessage", ""))
    items = detail["requestParameters"]["instancesSet"]["items"]
    ids = frozenset(read_from(item, "instanceId", instance_id) for item in items)
    if said is None or said["id"] not in ids:
        return None
    return FailedStart(
        region=read_from(detail, "awsRegion", region) if "awsRegion" in detail else "",
        instance_ids=ids,
        at=read_from(detail, "eventTime", time),
        caller=str(who.get("arn") or who.get("invokedBy") or who["type"]),
    )
