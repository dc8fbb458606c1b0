"""Every crash, every race, and random stories: nothing is lost, and everything comes to a rest."""

from collections import Counter

import pytest

from tests.explore.crashes import crashes, suffer
from tests.explore.races import ONE_VOLUME, PAIRS, Race, races, schedules
from tests.explore.scenarios import SHAPES
from tests.explore.stories import STORIES
from tests.explore.walks import tell, walk

CHUNK, CHUNKS = 500, 40
"""Random stories: 20,000 in all."""
QUICK_CHUNKS = 3
"""`make check` tells so many of them, beside the schedules of test_mutants.py, which find every deliberate fault."""
LAGS = (0.0, 60.0)
"""Seconds that every describe call may lag behind: nothing, and as much as the quiet period allows for."""
RACES: dict[tuple[str, str], list[Race]] = {}
for race in races((ONE_VOLUME, "two volumes"), PAIRS):
    RACES.setdefault((race.shape, race.phase), []).append(race)


@pytest.mark.parametrize("lag", [pytest.param(lag, marks=pytest.mark.thorough if lag else ()) for lag in LAGS])
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_call_a_pass_dies_at_the_sweeps_alone_put_right(shape: str, lag: float) -> None:
    seen: Counter[str] = Counter()
    known: set[int] = set()
    suffered = 0
    for crash in crashes(shape, lag):
        suffer(crash, seen, known)
        suffered += 1
    assert suffered > 500
    assert seen["rest: parked"]
    assert seen["rest: running"]


@pytest.mark.parametrize(
    ("shape", "phase"),
    # With one volume each pair of passes races against people as well.
    [pytest.param(*key, marks=pytest.mark.thorough if key[0] == ONE_VOLUME else ()) for key in RACES],
)
def test_whoever_overtakes_whom_nothing_is_lost(shape: str, phase: str) -> None:
    seen: Counter[str] = Counter()
    known: set[int] = set()
    run = sum(1 for race in RACES[shape, phase] for _ in schedules(race, seen, known))
    assert run > 50


@pytest.mark.parametrize(
    "chunk", [pytest.param(n, marks=() if n < QUICK_CHUNKS else pytest.mark.thorough) for n in range(CHUNKS)]
)
def test_random_stories_end_well(chunk: int) -> None:
    seen: Counter[str] = Counter()
    assert list(walk(range(chunk * CHUNK, (chunk + 1) * CHUNK), seen)) == []
    assert seen["rest: parked"]
    assert seen["rest: running"]


@pytest.mark.parametrize("name", STORIES)
def test_what_once_went_wrong_ends_well(name: str) -> None:
    seen: Counter[str] = Counter()
    tell(STORIES[name], seen)
    assert seen
