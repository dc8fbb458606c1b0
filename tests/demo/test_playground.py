"""The playground can be used as it says, and leaves nothing behind."""

from __future__ import annotations

import re

import pytest

from tests.demo.played import Left, Played, play
from tests.demo.playground import STATES
from tests.support.ahead import Ahead


@pytest.fixture(scope="module")
def played(ahead: Ahead) -> Played:
    return ahead.result(play)


def test_it_says_at_once_how_long_it_takes_to_get_ready(played: Played) -> None:
    assert "Getting ready takes about" in "\n".join(played.said.splitlines()[:4])


def test_it_names_the_address_of_the_page_the_token_and_five_things_to_try(played: Played) -> None:
    assert re.findall(r"^  ([1-9])\. ", played.said, flags=re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert re.search(r"start wiki:  http://\S+$", played.said, flags=re.MULTILINE)
    assert re.search(r"^  export PARK_VOLUMES_TOKEN=[0-9a-f]{64}$", played.said, flags=re.MULTILINE)


def test_what_it_says_to_paste_and_to_try_works_in_a_shell(played: Played) -> None:
    done = played.in_the_shell
    assert done.returncode == 0, done.stdout
    assert '"status":' in done.stdout or '"state":' in done.stdout
    assert "Marketplace" in done.stdout


def test_the_instances_are_in_different_states(played: Played) -> None:
    assert len(STATES) == 5
    assert len(set(STATES.values())) == 4
    for name in STATES:
        assert name in played.in_the_shell.stdout


@pytest.mark.parametrize("which", ["left", "left_early"])
def test_when_it_has_ended_nothing_is_left(played: Played, which: str) -> None:
    """TERM once it was ready, INT while it got ready; both in the background, where a shell has INT ignored."""
    left: Left = getattr(played, which)
    assert left.exit_code == 0
    assert not left.answers
    assert left.processes == []
    assert left.files == []
