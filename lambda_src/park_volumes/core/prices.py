"""What volumes and snapshots cost, and what parking saves, in USD a month.

Each price has a name: a volume type for a GiB (gp3, gp2, io1, io2, st1, sc1, standard); a type with -iops for one IOPS
(for gp3, above 3,000); gp3-throughput for a MiB/s above 125; snapshot and archive for a GiB of written blocks;
archive-restore for restoring a GiB from there, once. Without a price the cost is None, never a guess, and so is every
sum that includes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from park_volumes.core.facts import BinnedVolume, Observation, SnapshotRecord, Volume
from park_volumes.core.volume_spec import VolumeSpec

SOURCE = "https://aws.amazon.com/ebs/pricing/"
"""For archive-restore: Amazon EBS User Guide, "Pricing and billing for archiving Amazon EBS snapshots"."""
READ_IN = "2026"
"""The year in which the prices below were read there."""
REGIONS = ("us-east-1", "ap-northeast-2")
TABLE = {
    "gp3": (0.08, 0.0912),
    "gp3-iops": (0.005, 0.0057),
    "gp3-throughput": (0.04, 0.0456),
    "gp2": (0.10, 0.114),
    "io1": (0.125, 0.1278),
    "io1-iops": (0.065, 0.0666),
    "io2": (0.125, 0.1278),
    "io2-iops": (0.065, 0.0666),
    "st1": (0.045, 0.051),
    "sc1": (0.015, 0.0174),
    "standard": (0.05, 0.08),
    "snapshot": (0.05, 0.05),
    "archive": (0.0125, 0.0125),
    "archive-restore": (0.03, 0.03),
}
"""One row for each price, one column for each of the ``REGIONS``."""
BY_REGION: Mapping[str, Mapping[str, float]] = {
    region: {name: row[column] for name, row in TABLE.items()} for column, region in enumerate(REGIONS)
}

TRAIL_COPY = 2.00 / 100_000
"""USD for one management event in each trail of a region but the first, whose copy is free:
https://aws.amazon.com/cloudtrail/pricing/, read in the same year."""
GP3_FREE_IOPS = 3000
GP3_FREE_THROUGHPUT = 125  # MiB/s
IO2_FIRST_TIER = 32_000
"""IOPS of io2 up to which one price applies. The tiers above it are cheaper, and not in the table."""
LEAST_ARCHIVED = 3
"""The minimum number of months that the archive tier bills."""
GIB = 2**30


def prices_of(region: str, overrides: Mapping[str, float]) -> Mapping[str, float]:
    """The prices of a region: those in the table, replaced by a deployment's own. Empty if none is known."""
    return {**BY_REGION.get(region, {}), **overrides}


def volume_price(prices: Mapping[str, float], spec: VolumeSpec) -> float | None:
    """What such a volume costs, written or not, attached or not."""
    cost, iops, throughput = _times(spec.size, prices.get(spec.type)), spec.iops or 0, spec.throughput or 0
    match spec.type:
        case "gp3":
            more = _times(max(0, iops - GP3_FREE_IOPS), prices.get("gp3-iops"))
            faster = _times(max(0, throughput - GP3_FREE_THROUGHPUT), prices.get("gp3-throughput"))
            return together((cost, more, faster))
        case "io2" if iops > IO2_FIRST_TIER:
            return None
        case "io1" | "io2":
            return together((cost, _times(iops, prices.get(f"{spec.type}-iops"))))
        case _:
            return cost


def bin_price(prices: Mapping[str, float], kept: Iterable[BinnedVolume]) -> float | None:
    """What volumes in the Recycle Bin cost: the same as before."""
    return together(volume_price(prices, v.spec) for v in kept)


def snapshot_price(prices: Mapping[str, float], written_bytes: int) -> float | None:
    """What a snapshot with this many bytes in written blocks costs (FullSnapshotSizeInBytes)."""
    return _times(written_bytes / GIB, prices.get("snapshot"))


def written(r: SnapshotRecord) -> int:
    """The bytes in written blocks of a snapshot; every block of its volume if EC2 has not reported them yet."""
    return r.spec.size * GIB if r.written is None else r.written


def archive_price(prices: Mapping[str, float], written_bytes: int) -> float | None:
    """What the same snapshot costs in the archive tier, which keeps every snapshot whole."""
    return _times(written_bytes / GIB, prices.get("archive"))


def archiving_pays(
    every: Iterable[SnapshotRecord], needed: Iterable[SnapshotRecord], prices: Mapping[str, float]
) -> bool:
    """Whether these snapshots cost less in the archive over the minimum time that it bills, including the restore of
    those that a start needs. Snapshots of a device share their blocks in the standard tier, but not in the archive."""
    found = list(every)
    shared = {r.device: max(written(q) for q in found if q.device == r.device) for r in found}
    stays, goes = snapshot_price(prices, sum(shared.values())), archive_price(prices, sum(map(written, found)))
    back = _times(sum(map(written, needed)) / GIB, prices.get("archive-restore"))
    if stays is None or goes is None or back is None:
        return False
    return LEAST_ARCHIVED * goes + back < LEAST_ARCHIVED * stays


@dataclass(frozen=True, kw_only=True)
class Savings:
    """An instance's storage in USD a month; each is None if a price is unknown.
    ``now``: the existing volumes, the largest snapshot of each device, as its snapshots share their blocks, and every
    archived one, which is whole. ``as_volumes``: if it had never been parked. ``as_snapshots``: once it is parked, by
    its last snapshots. ``saved``: ``as_volumes`` minus ``now``; negative if it runs and its last snapshots are still
    kept. ``at_most``: EC2 has not reported yet how much is written, so every block is counted."""

    now: float | None
    as_volumes: float | None
    as_snapshots: float | None
    saved: float | None
    at_most: bool


NOT_COUNTED = Savings(now=None, as_volumes=None, as_snapshots=None, saved=None, at_most=False)
"""Of an instance whose costs are not known. A total leaves it out: otherwise no total would be known."""


def savings(seen: Observation, prices: Mapping[str, float]) -> Savings:
    """What the storage of one instance costs now, and would cost as volumes and as snapshots."""
    there = [v for v in seen.volumes if v.state not in ("deleting", "deleted", "error")]
    devices = {v.id: v.target.device for v in seen.in_transit} | {v.id: a.device for v, a in seen.attached}
    held = {devices[v.id]: v for v in there if v.id in devices}
    given_up = [r for r in seen.of_this_stop if r.confirmed_at and r.state == "completed"]
    parked = {r.device: r for r in given_up if r.device not in held}
    copies = _copies(seen.records)
    every: list[Volume | SnapshotRecord] = [*held.values(), *parked.values()]
    volumes = together(_price_of(prices, one) for one in every)
    now = together((*(_price_of(prices, v) for v in there), *(_price_of(prices, c) for d in copies for c in copies[d])))
    bounds = {device: [_Copy(written=v.spec.size * GIB, bound=True)] for device, v in held.items()}
    kept = bounds | {d: copies[d] for d in (*held, *parked) if d in copies}
    return Savings(
        now=now,
        as_volumes=volumes,
        as_snapshots=together(_price_of(prices, c) for d in kept for c in kept[d]),
        saved=None if volumes is None or now is None else volumes - now,
        at_most=any(c.bound for d in kept for c in kept[d]),
    )


def total(every: Iterable[Savings]) -> Savings:
    found = [s for s in every if s is not NOT_COUNTED]
    return Savings(
        now=together(s.now for s in found),
        as_volumes=together(s.as_volumes for s in found),
        as_snapshots=together(s.as_snapshots for s in found),
        saved=together(s.saved for s in found),
        at_most=any(s.at_most for s in found),
    )


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """Blocks of a device that are paid for as a snapshot. ``bound``: only the volume's size is known."""

    written: int
    bound: bool
    archived: bool = False


def _copies(records: Iterable[SnapshotRecord]) -> dict[str, list[_Copy]]:
    """By device, its largest snapshot in the standard tier and all archived ones."""
    found: dict[str, list[_Copy]] = {}
    for r in sorted((r for r in records if r.state == "completed"), key=written, reverse=True):
        kept = found.setdefault(r.device, [])
        if r.archived or all(c.archived for c in kept):
            kept.append(_Copy(written=written(r), bound=r.written is None, archived=r.archived))
    return found


def _price_of(prices: Mapping[str, float], one: Volume | SnapshotRecord | _Copy) -> float | None:
    if isinstance(one, _Copy):
        return (archive_price if one.archived else snapshot_price)(prices, one.written)
    return volume_price(prices, one.spec)


def _times(amount: float, price: float | None) -> float | None:
    """None only if there is an amount and its price is unknown."""
    if amount == 0:
        return 0.0
    return None if price is None else amount * price


def together(costs: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    found = list(costs)
    known = [c for c in found if c is not None]
    return sum(known, 0.0) if len(known) == len(found) else None


def figures(costs: Savings) -> dict[str, float | bool | None]:
    """USD a month, rounded to cents; null if a price is unknown."""
    return {
        "as_volumes": cents(costs.as_volumes),
        "now": cents(costs.now),
        "saved": cents(costs.saved),
        "as_snapshots": cents(costs.as_snapshots),
        "at_most": costs.at_most,
    }


def cents(cost: float | None) -> float | None:
    """USD, rounded to cents."""
    return None if cost is None else round(cost, 2)
