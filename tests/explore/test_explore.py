"""Every crash, every race, and random stories: nothing is lost, and everything comes to a rest."""

from collections import Counter
from collections.abc import Iterator

import pytest

from park_volumes.core.phase import Phase
from tests.explore.crashes import crashes, suffer
from tests.explore.memory import remembering
from tests.explore.races import ONE_VOLUME, PAIRS, Known, Race, races, schedules
from tests.explore.scenarios import SHAPES
from tests.explore.stories import STORIES, TRANSITIONS
from tests.explore.transitions import BY_FUNCTIONS, BY_PEOPLE, Actor, in_words, is_in_table
from tests.explore.walks import tell, walk

CHUNK, CHUNKS = 500, 40
"""Random stories: 20,000 in all."""
QUICK_CHUNKS = 1
QUICK_SHAPES = (ONE_VOLUME, "two volumes")
"""`make check` runs these without lag, and so many chunks, beside the schedules that find every deliberate fault."""
LAGS = (0.0, 60.0)
"""Seconds that every describe call may lag behind: nothing, and as much as the quiet period allows for."""
RACES: dict[tuple[str, str], list[Race]] = {}
for race in races((ONE_VOLUME, "two volumes"), PAIRS):
    RACES.setdefault((race.shape, race.moment), []).append(race)


class Nothing(Known):
    """Takes every situation for a new one."""

    def is_new(self, _used: int, _situation: object) -> bool:
        return True


@pytest.fixture(autouse=True)
def _remembering() -> Iterator[None]:
    with remembering():
        yield


def _unless(quick: bool) -> tuple[pytest.MarkDecorator, ...]:
    return () if quick else (pytest.mark.thorough,)


@pytest.mark.parametrize(
    ("shape", "lag"),
    [pytest.param(shape, lag, marks=_unless(shape in QUICK_SHAPES and not lag)) for shape in SHAPES for lag in LAGS],
)
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


@pytest.mark.thorough
@pytest.mark.parametrize(("shape", "moment"), RACES)
def test_whoever_overtakes_whom_nothing_is_lost(shape: str, moment: str) -> None:
    seen: Counter[str] = Counter()
    known: set[int] = set()
    run = sum(1 for race in RACES[shape, moment] for _ in schedules(race, seen, known))
    assert run > 50


@pytest.mark.thorough
@pytest.mark.parametrize("moment", ["locked", "rootless"])
def test_schedules_that_end_where_another_has_been_would_have_shown_nothing_new(moment: str) -> None:
    short, whole = Counter[str](), Counter[str]()
    for race in [race for race in RACES[ONE_VOLUME, moment] if len(race.actors) == 2]:
        of_short, of_whole = set[int](), set[int]()
        run = len(list(schedules(race, short, of_short)))
        assert run <= len(list(schedules(race, whole, of_whole, Nothing())))
        assert of_short == of_whole
    assert short["schedules: as another before"]
    assert {name for name in short if name.startswith("transition")} == {n for n in whole if n.startswith("transition")}


@pytest.mark.parametrize("chunk", [pytest.param(n, marks=_unless(n < QUICK_CHUNKS)) for n in range(CHUNKS)])
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


def test_every_transition_of_the_table_is_seen() -> None:
    """One that never happens would be in the table for nothing; one that is not in it is a finding anyway."""
    seen: Counter[str] = Counter()
    for told in (*STORIES.values(), *TRANSITIONS):
        tell(told, seen)
    table = {in_words(before, after) for before, after in BY_FUNCTIONS | BY_PEOPLE}
    assert {name for name in seen if name.startswith("transition: ")} == table


@pytest.mark.parametrize(
    ("before", "after", "actor", "yes"),
    [
        (Phase.LOCKED, Phase.COMMITTED, "the functions", True),
        (Phase.LOCKED, Phase.COMMITTED, "people", True),
        (Phase.PARKED, Phase.BROKEN, "people", True),
        (Phase.PARKED, Phase.BROKEN, "the functions", False),
        (Phase.RUNNING, Phase.PARKED, "people", False),
    ],
)
def test_what_only_people_do_the_functions_may_not(before: Phase, after: Phase, actor: Actor, yes: bool) -> None:
    assert is_in_table(before, after, actor) is yes
