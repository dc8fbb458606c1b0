"""What volumes and snapshots cost, and what parking saves, in USD a month. Imports nothing but the model.

A price is a number under the name of what it buys: a volume type for a GiB (gp3, gp2, io1, io2, st1, sc1, standard); a
type with -iops for one IOPS (of gp3, above 3,000); gp3-throughput for a MiB/s above 125; snapshot and archive for a GiB
of written blocks; archive-restore for bringing a GiB back from there, once. What has no price costs None, never a
guess, and no sum with it in it is known either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from park_volumes.model import Record, Seen, Volume

SOURCE = "https://aws.amazon.com/ebs/pricing/"
"""That of archive-restore: Amazon EBS User Guide, "Pricing and billing for archiving Amazon EBS snapshots"."""
READ_IN = "2026"
"""The year in which the table below was read there."""

BY_REGION: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "us-east-1": {
            "gp3": 0.08,
            "gp3-iops": 0.005,
            "gp3-throughput": 0.04,
            "gp2": 0.10,
            "io1": 0.125,
            "io1-iops": 0.065,
            "io2": 0.125,
            "io2-iops": 0.065,
            "st1": 0.045,
            "sc1": 0.015,
            "standard": 0.05,
            "snapshot": 0.05,
            "archive": 0.0125,
            "archive-restore": 0.03,
        },
        "ap-northeast-2": {
            "gp3": 0.0912,
            "gp3-iops": 0.0057,
            "gp3-throughput": 0.0456,
            "gp2": 0.114,
            "io1": 0.1278,
            "io1-iops": 0.0666,
            "io2": 0.1278,
            "io2-iops": 0.0666,
            "st1": 0.051,
            "sc1": 0.0174,
            "standard": 0.08,
            "snapshot": 0.05,
            "archive": 0.0125,
            "archive-restore": 0.03,
        },
    }
)

NAMES = tuple(BY_REGION["us-east-1"])

GP3_FREE_IOPS = 3000
GP3_FREE_THROUGHPUT = 125
"""MiB/s."""
IO2_FIRST_TIER = 32_000
"""IOPS of io2 up to which one price holds. The tiers above it are cheaper, and not in the table."""
LEAST_ARCHIVED = 3
"""Months that the archive tier bills at least."""
GIB = 2**30


def prices_of(region: str, overrides: Mapping[str, float]) -> Mapping[str, float]:
    """The prices of a region: those of the table, and over them a deployment's own. Empty where none is known."""
    return {**BY_REGION.get(region, {}), **overrides}


def volume_price(
    prices: Mapping[str, float], kind: str, size: int, *, iops: int | None, throughput: int | None
) -> float | None:
    """What a volume of this type costs, written or not, attached or not. Size in GiB, throughput in MiB/s."""
    cost = _times(size, prices.get(kind))
    if kind == "gp3":
        more = _times(max(0, (iops or 0) - GP3_FREE_IOPS), prices.get("gp3-iops"))
        faster = _times(max(0, (throughput or 0) - GP3_FREE_THROUGHPUT), prices.get("gp3-throughput"))
        return _sum((cost, more, faster))
    if kind == "io2" and (iops or 0) > IO2_FIRST_TIER:
        return None
    if kind in ("io1", "io2"):
        return _sum((cost, _times(iops or 0, prices.get(f"{kind}-iops"))))
    return cost


def snapshot_price(prices: Mapping[str, float], written_bytes: int) -> float | None:
    """What a snapshot costs with this many bytes in written blocks (FullSnapshotSizeInBytes)."""
    return _times(written_bytes / GIB, prices.get("snapshot"))


def written(r: Record) -> int:
    """The bytes in written blocks of a snapshot; every block of its volume where EC2 has not said yet."""
    return r.size * GIB if r.written is None else r.written


def archive_price(prices: Mapping[str, float], written_bytes: int) -> float | None:
    """What the same snapshot costs in the archive tier, which keeps every snapshot whole."""
    return _times(written_bytes / GIB, prices.get("archive"))


def archiving_pays(every: Iterable[Record], needed: Iterable[Record], prices: Mapping[str, float]) -> bool:
    """Whether these snapshots cost less in the archive over the time that it bills at least, with the way back of those
    that a start needs. Snapshots of a device share their blocks in the standard tier, and do not in the archive."""
    found = list(every)
    shared = {r.device: max(written(q) for q in found if q.device == r.device) for r in found}
    stays, goes = snapshot_price(prices, sum(shared.values())), archive_price(prices, sum(map(written, found)))
    back = _times(sum(map(written, needed)) / GIB, prices.get("archive-restore"))
    if stays is None or goes is None or back is None:
        return False
    return LEAST_ARCHIVED * goes + back < LEAST_ARCHIVED * stays


@dataclass(frozen=True, kw_only=True)
class Savings:
    """An instance's storage in USD a month, each None where a price is unknown.

    ``now``: the volumes that there are, and of each device the largest snapshot, as its snapshots share their blocks,
    and every archived one, which is whole. ``as_volumes``: had it never been parked. ``as_snapshots``: once it is
    parked, going by its last snapshots. ``saved``: ``as_volumes`` less ``now``; negative where it runs and its last
    snapshots are still kept. ``at_most``: EC2 has not said yet how much is written, so every block is counted.
    """

    now: float | None
    as_volumes: float | None
    as_snapshots: float | None
    saved: float | None
    at_most: bool


def savings(seen: Seen, prices: Mapping[str, float]) -> Savings:
    """What the storage of one instance costs now, would cost as volumes, and would as snapshots."""
    there = [v for v in seen.volumes if v.state not in ("deleting", "deleted", "error")]
    held = {device: v for v in there if (device := _device(v, seen.instance.id))}
    parked = {r.device: r for r in _of_this_stop(seen) if r.device not in held}
    copies = _copies(seen.records)
    every: list[Volume | Record] = [*held.values(), *parked.values()]
    volumes = _sum(_price_of(prices, one) for one in every)
    now = _sum((*(_price_of(prices, v) for v in there), *(_price_of(prices, c) for d in copies for c in copies[d])))
    bounds = {device: [_Copy(written=v.size * GIB, bound=True)] for device, v in held.items()}
    kept = bounds | {d: copies[d] for d in (*held, *parked) if d in copies}
    return Savings(
        now=now,
        as_volumes=volumes,
        as_snapshots=_sum(_price_of(prices, c) for d in kept for c in kept[d]),
        saved=None if volumes is None or now is None else volumes - now,
        at_most=any(c.bound for d in kept for c in kept[d]),
    )


def total(every: Iterable[Savings]) -> Savings:
    """The savings of many instances together."""
    found = list(every)
    return Savings(
        now=_sum(s.now for s in found),
        as_volumes=_sum(s.as_volumes for s in found),
        as_snapshots=_sum(s.as_snapshots for s in found),
        saved=_sum(s.saved for s in found),
        at_most=any(s.at_most for s in found),
    )


def _device(volume: Volume, instance_id: str) -> str:
    """Where a volume of the instance is attached, or belongs."""
    if at := volume.attached_to(instance_id):
        return at.device
    return volume.place.device if volume.place else ""


def _of_this_stop(seen: Seen) -> list[Record]:
    """The snapshots for which volumes were given up since the instance was last started."""
    launch = seen.instance.launch_time
    return [r for r in seen.records if r.mark and r.mark.launch_time == launch and r.state == "completed"]


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """Blocks of a device that are paid for as a snapshot. ``bound``: only the volume's size is known."""

    written: int
    bound: bool
    archived: bool = False


def _copies(records: Iterable[Record]) -> dict[str, list[_Copy]]:
    """By device, its largest snapshot in the standard tier, and all that are archived."""
    found: dict[str, list[_Copy]] = {}
    for r in sorted((r for r in records if r.state == "completed"), key=written, reverse=True):
        kept = found.setdefault(r.device, [])
        if r.archived or all(c.archived for c in kept):
            kept.append(_Copy(written=written(r), bound=r.written is None, archived=r.archived))
    return found


def _price_of(prices: Mapping[str, float], one: Volume | Record | _Copy) -> float | None:
    if isinstance(one, _Copy):
        return (archive_price if one.archived else snapshot_price)(prices, one.written)
    return volume_price(prices, one.type, one.size, iops=one.iops, throughput=one.throughput)


def _times(amount: float, price: float | None) -> float | None:
    """None only where something of unknown price is there at all."""
    if amount == 0:
        return 0.0
    return None if price is None else amount * price


def _sum(costs: Iterable[float | None]) -> float | None:
    found = list(costs)
    known = [c for c in found if c is not None]
    return sum(known, 0.0) if len(known) == len(found) else None
