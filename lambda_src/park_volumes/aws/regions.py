"""Which regions the account may use."""

from typing import TYPE_CHECKING, Any, Final

from park_volumes.aws.errors import errors_of

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

USABLE: Final[Any] = {"Name": "opt-in-status", "Values": ["opt-in-not-required", "opted-in"]}


def enabled_regions(client: "EC2Client") -> list[str]:
    """Their names. Raises Ec2Error."""
    found: list[str] = []
    with errors_of("DescribeRegions", "regions"):
        found += [str(region["RegionName"]) for region in client.describe_regions(Filters=[USABLE])["Regions"]]
    return sorted(found)
