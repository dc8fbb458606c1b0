"""Whether there is a CloudTrail trail: without one, we cannot see that EC2 refused a start made elsewhere."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

SUBJECT = "ParkVolumes: no CloudTrail trail for starts elsewhere"
MISSING = (
    "start_on_failed_start is set, but no CloudTrail trail covers this region: a parked instance that somebody starts "
    "in the console, the CLI or an SDK stays parked, and ParkVolumes cannot see that. Create a trail that logs "
    "management events, or set start_on_failed_start = false. The Function URL still starts instances."
)


def missing(client: "CloudTrailClient") -> bool:
    """Trails of other regions and of the organization count if they cover this region (CloudTrail API, DescribeTrails).
    What they log is not checked: an organization does not show its members what its trail logs."""
    return not client.describe_trails(includeShadowTrails=True)["trailList"]
