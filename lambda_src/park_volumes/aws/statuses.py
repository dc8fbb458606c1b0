"""How far EC2 has filled volumes with the blocks of their snapshots (DescribeVolumeStatus)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from park_volumes.aws.errors import GONE, errors_of
from park_volumes.aws.reads import chunks
from park_volumes.core.facts import Loading

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

AT_ONCE = 199
"""Volumes that one call is asked about."""


def loading(client: "EC2Client", volume_ids: Sequence[str]) -> dict[str, Loading]:
    """Of these volumes those of which EC2 says how far they are, loaded or not. It says so some minutes after their
    creation, and an SDK older than 2025 passes it on to nobody: then there is none."""
    found: dict[str, Loading] = {}
    for chunk in chunks(volume_ids, AT_ONCE):
        with errors_of("DescribeVolumeStatus", "volumes", done=GONE):
            found |= dict(filter(None, map(_loading, client.describe_volume_status(VolumeIds=chunk)["VolumeStatuses"])))
    return found


def _loading(status: Any) -> tuple[str, Loading] | None:
    details = status.get("InitializationStatusDetails", {})
    if (percent := details.get("Progress")) is None:
        return None
    return status["VolumeId"], Loading(percent=percent, seconds_left=details.get("EstimatedTimeToCompleteInSeconds"))
