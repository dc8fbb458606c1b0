"""CloudTrail alive: calls that change instances become events on the bus, where a trail logs them.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moto.cloudtrail.models import cloudtrail_backends

from tests.local_aws.credentials import Caller
from tests.local_aws.world import ACCOUNT, World

RECORDED = ("StartInstances", "StopInstances", "RebootInstances", "TerminateInstances")
SERVER_ERROR = 500


class CloudTrail:
    """Records one call after the other; without a trail that is logging, none."""

    def __init__(self, world: World) -> None:
        self._world = world

    def record(self, call: dict[str, Any], caller: Caller | None, message: str) -> None:
        """Send the record of an answered call (an entry of the call log), with the message of its error."""
        if call["operation"] not in RECORDED or not self._logging(call["region"]):
            return
        detail: dict[str, Any] = {
            "eventVersion": "1.11",
            "userIdentity": _identity(caller),
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "ec2.amazonaws.com",
            "eventName": call["operation"],
            "awsRegion": call["region"],
            "requestParameters": {
                "instancesSet": {"items": [{"instanceId": i} for i in call["parameters"].get("InstanceIds", ())]}
            },
            "responseElements": None,
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        }
        if call["error"]:
            side = "Server." if call["status"] >= SERVER_ERROR else "Client."
            prefix = "" if self._world.settings.bare_trail_codes else side
            detail |= {"errorCode": f"{prefix}{call['error']}", "errorMessage": message}
        self._world.emit("AWS API Call via CloudTrail", [], detail, call["region"])

    @staticmethod
    def looked_up(calls: Iterable[dict[str, Any]], response: Any) -> str:
        """LookupEvents by the user name, which for a session of a role is the name of the session. One page has all."""
        (asked,) = response._get_param("LookupAttributes")
        if asked["AttributeKey"] != "Username":
            raise NotImplementedError("The local AWS looks events up by the user name only.")
        since = float(response._get_param("StartTime") or 0)
        found = [
            {
                "EventName": call["operation"],
                "EventTime": call["time"],
                "Username": asked["AttributeValue"],
                "CloudTrailEvent": json.dumps({"errorCode": call["error"]} if call["error"] else {}),
            }
            for call in calls
            if call["caller"].rsplit("/", 1)[-1] == asked["AttributeValue"] and call["time"] >= since
        ]
        return json.dumps({"Events": found})

    @staticmethod
    def _logging(region: str) -> bool:
        trails = [
            (trail, home) for home, backend in cloudtrail_backends[ACCOUNT].items() for trail in backend.trails.values()
        ]
        return any(trail.status.is_logging and (trail.is_multi_region or home == region) for trail, home in trails)


def _identity(caller: Caller | None) -> dict[str, Any]:
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html"""
    if caller is None:
        return {"type": "Unknown"}
    who: dict[str, Any] = {"principalId": caller.user_id, "arn": caller.arn, "accountId": ACCOUNT}
    if caller.role_arn is None:
        return {"type": "IAMUser", **who, "accessKeyId": caller.access_key, "userName": caller.arn.rsplit("/", 1)[-1]}
    role_name = caller.role_arn.rsplit("/", 1)[-1]
    issuer = {
        "type": "Role",
        "principalId": caller.user_id.split(":")[0],
        "arn": caller.role_arn,
        "accountId": ACCOUNT,
        "userName": role_name,
    }
    return {
        "type": "AssumedRole",
        **who,
        "accessKeyId": caller.access_key,
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}},
    }
