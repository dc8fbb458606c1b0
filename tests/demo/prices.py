"""What the demo's volumes and snapshots cost in Seoul (ap-northeast-2), in USD a month.

Source: the price lists of Amazon EBS (https://aws.amazon.com/ebs/pricing/), read in 2026.
"""

from __future__ import annotations

from tests.support.fleet import DevicePicture

PER_GB = {"gp3": 0.0912, "gp2": 0.114}
GP3_FREE_IOPS, GP3_IOPS = 3000, 0.0057
GP3_FREE_MIBPS, GP3_MIBPS = 125, 0.0456
SNAPSHOT_PER_GB = 0.05


def as_volume(disk: DevicePicture) -> float:
    """What the volume costs, written or not, running or not."""
    cost = disk.size * PER_GB[disk.type]
    if disk.type == "gp3":
        cost += max(0, (disk.iops or 0) - GP3_FREE_IOPS) * GP3_IOPS
        cost += max(0, (disk.throughput or 0) - GP3_FREE_MIBPS) * GP3_MIBPS
    return cost


def as_snapshot_at_most(size_gib: int) -> float:
    """What its snapshot costs if every block was written; what was never written costs nothing."""
    return size_gib * SNAPSHOT_PER_GB
