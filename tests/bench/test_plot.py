"""The picture of the benchmark is fair: what was given up is nobody's saving, and no line hides another's meaning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.bench.comparison import ARTICLE, OURS, SNAPSHOT_SECONDS, WAITERS, WAYS, Figures
from tests.bench.plot import FEWEST, LABELS, THEMES, VOLUMES, draw, shown

ONE = Figures(
    way=OURS,
    instances=1000,
    volumes=VOLUMES,
    park_changing=10,
    park_describing=1,
    park_billed_ms=2000,
    park_seconds=800,
    last_parked_seconds=SNAPSHOT_SECONDS + 500,
    start_changing=7,
    start_describing=4,
    start_seconds=600,
    dollars_per_1000=0.02,
    not_parked=0,
    not_started=0,
    lost_gib=0,
)


def test_cost_and_time_are_shared_by_those_that_were_really_parked() -> None:
    half = replace(ONE, not_parked=500)

    assert (ONE.dollars_per_1000_parked, ONE.seconds_per_parked) == (0.02, 0.5)
    assert (half.dollars_per_1000_parked, half.seconds_per_parked) == (0.04, 1)


def test_where_nothing_was_parked_nothing_is_shown() -> None:
    none = replace(ONE, not_parked=1000)

    assert (none.dollars_per_1000_parked, none.seconds_per_parked) == (None, None)
    assert shown([none]) == []


def test_every_series_begins_where_it_is_comparable() -> None:
    sizes = [replace(ONE, instances=n) for n in (1, FEWEST, 100)]

    assert [f.instances for f in shown([*sizes, replace(ONE, volumes=8)])] == [FEWEST, 100]


def test_every_way_has_a_label_and_the_article_says_what_it_does_not_park() -> None:
    assert LABELS.keys() == set(WAYS)
    assert "one volume of two" in LABELS[ARTICLE]


@pytest.mark.parametrize("theme", THEMES)
def test_the_pictures_are_of_their_grounds(tmp_path: Path, theme: str) -> None:
    fleets = [replace(ONE, way=way, instances=n) for way in WAYS for n in (10, 100, 1000)]
    draw([replace(f, not_parked=9 * (f.way == WAITERS), lost_gib=80 * (f.way == ARTICLE)) for f in fleets], tmp_path)
    corner = imread(tmp_path / f"bench-{theme}.png")[0, 0]

    assert [round(255 * c) for c in corner[:3]] == list(bytes.fromhex(THEMES[theme].ground[1:]))
