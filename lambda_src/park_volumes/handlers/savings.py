"""What parking saves, as JSON for programs and as CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from park_volumes import prices
from park_volumes.decide.orphans import kept_until
from park_volumes.model import Record, Seen, Settings
from park_volumes.prices import Savings

COLUMNS = ("id", "name", "as_volumes", "now", "saved", "as_snapshots", "at_most")
UNKNOWN = "n/a"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a formula of a cell's text in spreadsheets."""


def report(every: Iterable[Seen], left: Iterable[Seen], settings: Settings) -> dict[str, Any]:
    """The storage of each instance and of all, in USD a month rounded to cents; null where a price is unknown.

    ``left``: the instances that are no more, of which snapshots are left. They are no part of the total.
    """
    found = sorted(((s, prices.savings(s, settings.prices)) for s in every), key=_by_name)
    return {
        "currency": "USD",
        "per": "month",
        "instances": [{"id": s.instance.id, "name": s.instance.name} | figures(costs) for s, costs in found],
        "total": figures(prices.total(costs for _, costs in found)),
        "orphans": [_orphan(r, settings) for s in left for r in s.records],
        "prices": {"source": prices.SOURCE, "read_in": prices.READ_IN, "of": dict(settings.prices)},
    }


def figures(costs: Savings) -> dict[str, float | bool | None]:
    """USD a month, rounded to cents; null where a price is unknown."""
    return {
        "as_volumes": _cents(costs.as_volumes),
        "now": _cents(costs.now),
        "saved": _cents(costs.saved),
        "as_snapshots": _cents(costs.as_snapshots),
        "at_most": costs.at_most,
    }


def as_csv(report: dict[str, Any]) -> str:
    """A line for each instance and one for the total, under a line with the names of the columns."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    for row in (*report["instances"], {"id": "total", "name": ""} | report["total"]):
        lines.writerow(_cell(row[column]) for column in COLUMNS)
    return text.getvalue()


def _orphan(r: Record, settings: Settings) -> dict[str, Any]:
    """A snapshot of which the instance is no more; ``kept_until`` is null where nothing but a person deletes it."""
    until = kept_until(r, settings)
    cost = prices.snapshot_price(settings.prices, prices.written(r))
    return {
        "snapshot_id": r.snapshot_id,
        "instance_id": r.instance_id,
        "device": r.device,
        "kept_until": until.isoformat() if until else None,
        "cost": _cents(cost),
    }


def _by_name(pair: tuple[Seen, Savings]) -> tuple[str, str]:
    return pair[0].instance.name, pair[0].instance.id


def _cents(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 2)


def _cell(value: object) -> str:
    """A name is whatever its owner wrote: a spreadsheet must show it, not compute it."""
    match value:
        case None:
            return UNKNOWN
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.2f}"
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(FORMULA) else text
