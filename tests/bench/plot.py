"""The picture in the README: cost and time against size."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "park-volumes"  # the same picture from the same figures
from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen before it is loaded

from tests.bench.comparison import WAYS, Figures  # noqa: E402  # the same
from tests.support.terraform import ROOT  # noqa: E402  # the same

PICTURES = ROOT / "docs" / "pictures"
VOLUMES = 2


def draw(found: Sequence[Figures]) -> None:
    """Writes docs/pictures/bench.png and bench.svg."""
    figure, (cost, time) = plt.subplots(1, 2, figsize=(8, 3), dpi=100, layout="constrained")
    for way in WAYS:
        mine = [f for f in found if f.way == way and f.volumes == VOLUMES]
        sizes = [f.instances for f in mine]
        cost.plot(sizes, [f.dollars_per_1000 for f in mine], marker="o", label=way)
        time.plot(sizes, [f.park_seconds for f in mine], marker="o", label=way)
    for axes, title in ((cost, "USD for 1,000 parks"), (time, "Seconds beyond the snapshots' own")):
        axes.set(xscale="log", xlabel=f"instances of {VOLUMES} volumes", title=title)
        axes.grid(alpha=0.3)
    cost.set_yscale("log")
    cost.legend()
    PICTURES.mkdir(exist_ok=True)
    for kind in ("png", "svg"):
        figure.savefig(PICTURES / f"bench.{kind}", metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)
