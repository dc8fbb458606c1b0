"""Whether there is a CloudTrail trail at all: without one, nothing tells that EC2 refused a start elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

SUBJECT = "ParkVolumes: no trail tells of starts elsewhere"
MISSING = (
    "start_on_failed_start is set, but no CloudTrail trail covers this region: a parked instance that somebody starts "
    "in the console, the CLI or an SDK stays parked, and nothing tells so. Create a trail that logs management events, "
    "or set start_on_failed_start = false. The Function URL starts instances all the same."
)


def missing(client: CloudTrailClient) -> bool:
    """Trails of other regions and of the organization count where they cover this one (CloudTrail API, DescribeTrails).

    What they log is not looked at: that of a trail of the organization is not shown to its members.
    """
    return not client.describe_trails(includeShadowTrails=True)["trailList"]
