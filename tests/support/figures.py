"""The figures of the product that documents tell, each from the place that decides it, and what parking saves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil

from park_volumes import __version__
from park_volumes.core import prices
from park_volumes.core.volume_spec import VolumeSpec
from tests.bench.running import HOURS, POLLS
from tests.explore.mutants import MUTANTS
from tests.support.hcl import blocks, load, plain
from tests.support.release import PINNED
from tests.support.terraform import ROOT

SEOUL = "ap-northeast-2"
REGIONS = {"us-east-1": "us-east-1", SEOUL: "Seoul"}
SIZE_GIB = 100
KINDS: tuple[tuple[str, str, int | None], ...] = (
    ("gp3", "gp3", None),
    ("gp2", "gp2", None),
    ("io2, 3000 IOPS", "io2", 3000),
    ("st1", "st1", None),
    ("standard", "standard", None),
    ("sc1", "sc1", None),
)
"""The volumes of the tables of savings: in words, type, IOPS."""
EVERY_DAY = {"gp3", "gp2", "io2, 3000 IOPS"}
"""Those of the short table."""
_INPUTS = {name: plain(body.get("default")) for name, body in blocks(load(ROOT / "variables.tf"), "variable")}
KEPT_HOURS: int = _INPUTS["snapshot_retention_hours"]


def _functions_run() -> int:
    """How often both functions run in a month in which nothing happens: the sweep, that of the starts once an hour, and
    the reminder of either once a day."""
    return HOURS * 60 // int(_INPUTS["sweep_interval_minutes"]) + HOURS + 2 * HOURS // 24


def _versions(what: str) -> str:
    (found,) = re.findall(rf'\b{what} *= ">= (\d+\.\d+)', (ROOT / "versions.tf").read_text(encoding="utf-8"))
    return str(found)


def _about(number: int, to: int) -> str:
    """Rounded down, as people say a number."""
    return f"{number // to * to:,}"


FIGURES = {
    r"([\d,]+)\s+short\s+Lambda\s+runs": _about(_functions_run(), 500),
    r"짧은\s+Lambda\s+실행\s+([\d,]+)번": _about(_functions_run(), 500),
    r"([\d,]+)\s+SQS\s+requests": _about(POLLS, 10_000),
    r"SQS\s+요청\s+([\d,]+)번": _about(POLLS, 10_000),
    r"Terraform\s+(\d[\d.]*\d)\s+or\s+newer": _versions("required_version"),
    r"Terraform\s+(\d[\d.]*\d)\s+이상": _versions("required_version"),
    r"AWS\s+provider\s+(5[\d.]*\d)\s+or\s+newer": _versions("version"),
    r"AWS\s+프로바이더\s+(5[\d.]*\d)\s+이상": _versions("version"),
    r"(\d+)\s+faults\s+put\s+into\s+the\s+product": str(len(MUTANTS)),
    **dict.fromkeys(PINNED, __version__),
}
"""Patterns of what documents say, each with one group, and what has to stand there."""
DEFAULTS = re.compile(r"(`(\w+)`\s+)\((\d+)\)")
"""An input with its default behind it."""


def with_figures(text: str) -> str:
    """A text in which every figure is what it is now."""
    for pattern, value in FIGURES.items():
        text = re.sub(pattern, lambda found, value=value: found[0].replace(found[1], value), text)  # type: ignore[misc]
    return DEFAULTS.sub(lambda found: f"{found[1]}({_INPUTS.get(found[2], found[3])})", text)


def savings() -> Iterator[str]:
    """For the READMEs: what a parked volume saves where half of it is written."""
    titles = " | ".join(f"{region}: volume | snapshot | saved" for region in REGIONS.values())
    yield f"| {SIZE_GIB} GiB, half written | {titles} |"
    yield f"|---|{'---|' * 3 * len(REGIONS)}"
    for words, kind, iops in (each for each in KINDS if each[0] in EVERY_DAY):
        cells: list[str] = []
        for region in REGIONS:
            volume, _, half = _costs(region, kind, iops)
            cells += [f"{usd:.2f}" for usd in (volume, half, volume - half)]
        yield f"| {words} | {' | '.join(cells)} |"


def savings_in(region: str) -> Iterator[str]:
    """For the page about money: every type of volume, full and half full, and after how long parking pays."""
    yield f"| {SIZE_GIB} GiB | as a volume | as a snapshot, full | half full | pays off after, full | half full |"
    yield "|---|---|---|---|---|---|"
    for words, kind, iops in KINDS:
        volume, *snapshots = _costs(region, kind, iops)
        costs = " | ".join(f"{cost:.2f}" for cost in (volume, *snapshots))
        after = " | ".join(_pays_off_after(volume, snapshot) for snapshot in snapshots)
        yield f"| {words} | {costs} | {after} |"


def _costs(region: str, kind: str, iops: int | None) -> tuple[float, float, float]:
    """USD a month of a volume, of its snapshot if all of it is written, and if half of it is."""
    here = prices.prices_of(region, {})
    volume = prices.volume_price(here, VolumeSpec(zone=f"{region}a", type=kind, size=SIZE_GIB, iops=iops)) or 0
    full, half = (prices.snapshot_price(here, written * prices.GIB) or 0 for written in (SIZE_GIB, SIZE_GIB // 2))
    return volume, full, half


def _pays_off_after(volume: float, snapshot: float) -> str:
    """How long parking takes to make up for the hours that the snapshot is kept beside the volume afterwards."""
    if volume <= snapshot:
        return "never"
    hours = ceil(round(KEPT_HOURS * snapshot / (volume - snapshot), 3))
    return "an hour" if hours <= 1 else f"{hours} hours"
