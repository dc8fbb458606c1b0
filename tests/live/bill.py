"""What a run makes, and what that costs at most."""

from __future__ import annotations

from dataclasses import dataclass

from park_volumes.core.prices import (
    BY_REGION,
    GIB,
    LEAST_ARCHIVED,
    archive_price,
    prices_of,
    snapshot_price,
    volume_price,
)
from park_volumes.core.volume_spec import VolumeSpec
from tests.live.lab import INSTANCE_TYPE

HOURS_OF_A_MONTH = 730
MINUTES = 55
"""Of a run, as far as the documents of AWS tell; nobody has timed one yet. No run takes longer than two hours."""
INSTANCE_HOUR = 0.0077
"""USD for a t4g.nano in the dearest region (https://aws.amazon.com/ec2/pricing/on-demand/, read in 2026)."""
ELSEWHERE = 0.03
"""USD for functions, queues, alarms, IOPS, requests to KMS and CloudTrail's copies: less than a cent each."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How many of what a run makes at most. The tests count."""

    instances: int = 70
    volumes: int = 190
    snapshots: int = 70
    archived: int = 1


AT_MOST = Made()
ROOT_GIB, VOLUME_GIB = 8, 2
INSTANCE_HOURS, VOLUME_HOURS = 0.2, 1.0
"""How long each lives on an average: an instance goes with its step, a volume with the run."""
WRITTEN_GIB = 3
"""In the snapshot of a root volume of Amazon Linux, of which a run makes a few; the others are of empty volumes."""
ROOT_SNAPSHOTS = 12


def cost(region: str, made: Made = AT_MOST) -> float:
    """USD. Every volume counts as one of 2 GiB, although most have 1, and an archived snapshot as a full one."""
    prices = prices_of(region, {}) or dearest()
    month = 1 / HOURS_OF_A_MONTH
    root = volume_price(prices, VolumeSpec(zone="", type="gp3", size=ROOT_GIB, iops=None, throughput=None))
    other = volume_price(prices, VolumeSpec(zone="", type="gp3", size=VOLUME_GIB, iops=None, throughput=None))
    kept = snapshot_price(prices, WRITTEN_GIB * GIB)
    archived, restored = archive_price(prices, GIB), prices["archive-restore"]
    assert root is not None
    assert other is not None
    assert kept is not None
    assert archived is not None
    return (
        made.instances * INSTANCE_HOURS * (INSTANCE_HOUR + root * month)
        + made.volumes * VOLUME_HOURS * other * month
        + ROOT_SNAPSHOTS * kept * month
        + made.archived * (archived * LEAST_ARCHIVED + restored)
        + ELSEWHERE
    )


def dearest() -> dict[str, float]:
    """Each price of the dearest region that is known, for one that is not."""
    return {name: max(prices[name] for prices in BY_REGION.values()) for name in next(iter(BY_REGION.values()))}


def announcement(region: str, account: str, run: str) -> str:
    return f"""In the region {region} of the account {account} this makes, and removes again:

- up to {AT_MOST.instances} instances ({INSTANCE_TYPE}, Amazon Linux, reachable by nobody), up to six at a time
- up to {AT_MOST.volumes} volumes of 1 to 9 GiB and {AT_MOST.snapshots} snapshots, of which one is archived
- two roles, two queues, a rule, a small function, and a trail with its bucket where no trail logs yet
- the deployment of examples/complete, which is called park-volumes

All of it bears the tag ParkVolumesLive={run} and is removed after {MINUTES} minutes, or two hours at the latest.
It costs at most {cost(region):.2f} USD. If this computer fails meanwhile: make live-clean RUN={run}
"""
