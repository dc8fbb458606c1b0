"""The pictures in the README: what an instance that is really parked costs, in money and in time, against the size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from PIL import Image

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend is chosen before it is loaded
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator

from tests.bench.comparison import ARTICLE, OURS, WAITERS, WAYS, Figures
from tests.support.terraform import ROOT

PICTURES = ROOT / "docs" / "pictures"
VOLUMES = 2
COLOURS = 64
"""Of a picture: enough for its smooth edges, and a third of the bytes."""
FEWEST = 10
"""Instances. Of a single one the cost of ours is that of its sweeps, which go on in any case."""
LABELS = {OURS: "ParkVolumes", ARTICLE: "the article's way:\none volume of two", WAITERS: "with boto3's waiters"}
MARKERS = {OURS: "o", ARTICLE: "s", WAITERS: "^"}
NOTE = (
    "Hollow: so many were not parked within six hours, and what they cost is shared by those that were.\n"
    "Crossed: volumes are deleted while their snapshots are pending; AWS documents no outcome, and the model, "
    "which does the worst, loses them."
)


@dataclass(frozen=True, kw_only=True)
class Theme:
    """The colours of GitHub's light and dark pages; those of the ways can be told apart without red and green."""

    ground: str
    text: str
    faint: str
    ways: Mapping[str, str]


THEMES = {
    "light": Theme(
        ground="#ffffff",
        text="#1f2328",
        faint="#d1d9e0",
        ways={OURS: "#0969da", ARTICLE: "#bc4c00", WAITERS: "#6e7781"},
    ),
    "dark": Theme(
        ground="#0d1117",
        text="#f0f6fc",
        faint="#3d444d",
        ways={OURS: "#58a6ff", ARTICLE: "#f0883e", WAITERS: "#9198a1"},
    ),
}


def draw(found: Sequence[Figures], folder: Path = PICTURES) -> None:
    """Writes bench-light.png and bench-dark.png."""
    folder.mkdir(exist_ok=True)
    for name, theme in THEMES.items():
        with mpl.rc_context(_settings(theme)):
            figure = _figure(shown(found), theme)
            picture = folder / f"bench-{name}.png"
            figure.savefig(picture, metadata={"Software": None})
            plt.close(figure)
            with Image.open(picture) as drawn:
                drawn.convert("RGB").quantize(COLOURS).save(picture, optimize=True)


def shown(found: Sequence[Figures]) -> list[Figures]:
    """What is comparable: fleets of the same instances, of which some were really parked."""
    return [f for f in found if f.volumes == VOLUMES and f.instances >= FEWEST and f.parked]


def _settings(theme: Theme) -> Any:
    colours = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    grounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return dict.fromkeys(colours, theme.text) | dict.fromkeys(grounds, theme.ground) | {"font.size": 10}


def _figure(found: Sequence[Figures], theme: Theme) -> Any:
    figure, (cost, time) = plt.subplots(1, 2, figsize=(10, 4.4), dpi=100, layout="constrained")
    _panel(cost, "USD for 1,000 instances that are really parked", found, lambda f: f.dollars_per_1000_parked, theme)
    _panel(
        time,
        "Seconds beyond the snapshots for each of them",
        found,
        lambda f: f.seconds_per_parked,
        theme,
    )
    figure.supxlabel(f"instances of {VOLUMES} volumes, all stopped within a minute\n\n{NOTE}", fontsize=9)
    return figure


def _panel(
    axes: Any, title: str, found: Sequence[Figures], value: Callable[[Figures], float | None], theme: Theme
) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set(xscale="log", yscale="log")
    points = [(f, y) for f in found if (y := value(f)) is not None]
    sizes = sorted({f.instances for f in found})
    lowest = {n: min(y for f, y in points if f.instances == n) for n in sizes}
    for way in WAYS:
        _line(axes, [(f, y, y == lowest[f.instances]) for f, y in points if f.way == way], theme)
    axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.06, y=0.14)


def _line(axes: Any, mine: Sequence[tuple[Figures, float, bool]], theme: Theme) -> None:
    """Of one way; each point with whether it is the lowest there, so that what is written goes below it."""
    first, y, lowest = mine[0]
    colour, ground = theme.ways[first.way], theme.ground
    axes.plot([f.instances for f, *_ in mine], [y for _, y, _ in mine], color=colour, linewidth=2, zorder=2)
    _write(axes, LABELS[first.way], (first.instances, y), colour, below=lowest, left=True)
    for f, y, lowest in mine:
        face = ground if f.not_parked else colour
        axes.plot(f.instances, y, MARKERS[f.way], markersize=8, color=colour, markerfacecolor=face, zorder=3)
        if f.lost_gib:
            axes.plot(f.instances, y, "x", markersize=13, color=colour, zorder=3)
        if f.not_parked:
            _write(axes, f"{f.not_parked:,} not parked", (f.instances, y), colour, below=lowest)


def _write(axes: Any, text: str, point: tuple[float, float], colour: str, *, below: bool, left: bool = False) -> None:
    """Beside its point, so that nobody has to look a colour up."""
    axes.annotate(
        text,
        point,
        xytext=(-3 if left else 4, -10 if below else 10),
        textcoords="offset points",
        ha="left" if left else "right",
        va="top" if below else "bottom",
        color=colour,
        fontsize=9,
        path_effects=[withStroke(linewidth=3, foreground=axes.get_facecolor())],
    )
