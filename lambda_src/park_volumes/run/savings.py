"""What parking saves, as JSON for programs and as CSV for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from park_volumes.core import prices
from park_volumes.core.facts import BinnedVolume, Observation, SnapshotRecord
from park_volumes.core.retention import kept_until
from park_volumes.core.settings import Settings
from park_volumes.run.context import each_alone
from park_volumes.run.show import savings_of

COLUMNS = ("id", "name", "as_volumes", "now", "saved", "as_snapshots", "at_most", "in_recycle_bin")
UNKNOWN = "n/a"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters that make a spreadsheet read a cell as a formula."""


@dataclass(frozen=True, kw_only=True)
class OfRegion:
    """What a report is made of in one region. ``left``: the instances that no longer exist but left snapshots. They are
    not part of the total. ``kept``: the parked volumes in the Recycle Bin, which the other figures leave out; None if
    they are not known."""

    every: Sequence[Observation]
    settings: Settings
    region: str
    left: Sequence[Observation] = ()
    kept: Sequence[BinnedVolume] | None = ()


def report(regions: Sequence[OfRegion]) -> dict[str, Any]:
    """The storage costs of each instance and in total, in USD a month rounded to cents; null if a price is unknown.
    The prices are those of the first region, and ``of_region`` has those of each."""
    found = [(o, savings_of(o, r.settings), r) for r in regions for o in r.every]
    found.sort(key=lambda one: (one[0].instance.name, one[0].instance.id))
    leaves = [v.leaves.isoformat() for r in regions for v in r.kept or () if v.leaves]
    in_bin = [None if r.kept is None else prices.bin_price(r.settings.prices, r.kept) for r in regions]
    return {
        "currency": "USD",
        "per": "month",
        "instances": [
            {"id": o.instance.id, "name": o.instance.name, "region": r.region}
            | prices.figures(costs)
            | {"in_recycle_bin": _in_bin(_of(o, r.kept), r.settings)}
            for o, costs, r in found
        ],
        "total": prices.figures(prices.total(costs for _, costs, _ in found)),
        "recycle_bin": {"cost": prices.cents(prices.together(in_bin)), "until": max(leaves, default=None)},
        "orphans": [one for r in regions for one in _orphans_of(r)],
        "prices": {
            "source": prices.SOURCE,
            "read_in": prices.READ_IN,
            "of": dict(regions[0].settings.prices),
            "of_region": {r.region: dict(r.settings.prices) for r in regions},
        },
    }


def _orphans_of(r: OfRegion) -> list[dict[str, Any]]:
    found = each_alone(r.left, partial(_orphans, settings=r.settings))
    return [one | {"region": r.region} for some in found for one in some]


def as_csv(report: dict[str, Any]) -> str:
    """A line with the column names, one for each instance, and one for the total."""
    columns = (*COLUMNS, "region")
    return csv_of(columns, rows(report, columns))


def rows(report: dict[str, Any], columns: Sequence[str] = COLUMNS) -> list[list[str]]:
    """What stands in these columns for each instance, and for the total: harmless in a spreadsheet."""
    total = {"id": "total", "name": "", "region": ""} | _total(report)
    return [[_text(row[column]) for column in columns] for row in (*report["instances"], total)]


def _total(report: dict[str, Any]) -> dict[str, Any]:
    return {**report["total"], "in_recycle_bin": report["recycle_bin"]["cost"]}


def sum_of(reports: Sequence[dict[str, Any]]) -> list[str]:
    """What stands in ``COLUMNS`` for several reports together; what one of them does not know is not known."""
    totals = [_total(report) for report in reports]

    def together(column: str) -> object:
        values = [total[column] for total in totals]
        if column == "at_most":
            return any(values)
        return None if None in values else float(sum(values))

    return ["total", "", *(_text(together(column)) for column in COLUMNS[2:])]


def csv_of(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A line with the column names, and the others."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()


def _of(o: Observation, kept: Sequence[BinnedVolume] | None) -> list[BinnedVolume] | None:
    return None if kept is None else [v for v in kept if v.id in o.volumes_given_up]


def _in_bin(kept: Sequence[BinnedVolume] | None, settings: Settings) -> float | None:
    """What they cost; None if a price, or what is kept, is not known."""
    return None if kept is None else prices.cents(prices.bin_price(settings.prices, kept))


def _orphans(left: Observation, settings: Settings) -> list[dict[str, Any]]:
    return [_orphan(r, settings) for r in left.records]


def _orphan(r: SnapshotRecord, settings: Settings) -> dict[str, Any]:
    """A snapshot whose instance no longer exists; ``kept_until`` is null if only a person deletes it."""
    until = kept_until(r, settings)
    return {
        "snapshot_id": r.snapshot_id,
        "instance_id": r.instance_id,
        "device": r.device,
        "kept_until": until.isoformat() if until else None,
        "cost": prices.cents(prices.snapshot_price(settings.prices, prices.written(r))),
    }


def _text(value: object) -> str:
    match value:
        case None:
            return UNKNOWN
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.2f}"
        case _:
            return harmless(str(value))


def harmless(text: str) -> str:
    """A name can be any text: a spreadsheet must show it, not evaluate it."""
    return f"'{text}" if text.startswith(FORMULA) else text
