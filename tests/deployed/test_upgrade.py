"""An upgrade by Terraform from the oldest release, with instances everywhere on their way; and the way back."""

from __future__ import annotations

import pytest

from tests.deployed.upgraded import (
    BACK,
    COMMITTED,
    COPYING,
    LOCKED,
    NAMES,
    PARKED,
    RESTORING,
    Upgraded,
    upgrade,
)
from tests.support.ahead import Ahead
from tests.support.fleet import differences


@pytest.fixture(scope="module")
def upgraded(ahead: Ahead) -> Upgraded:
    return ahead.result(upgrade)


def test_when_the_upgrade_began_an_instance_was_everywhere(upgraded: Upgraded) -> None:
    assert upgraded.seen == {
        "running": "running, 2 attached, 0 marked, 0 pending",
        "copying": COPYING,
        "locked": LOCKED,
        "committed": COMMITTED,
        "parked": PARKED,
        "restoring": RESTORING,
        "on its way back": BACK,
    }


def test_the_upgrade_leaves_nothing_to_change(upgraded: Upgraded) -> None:
    assert upgraded.left == {}


@pytest.mark.parametrize("name", NAMES)
def test_after_it_everything_starts_whole(upgraded: Upgraded, name: str) -> None:
    assert len(upgraded.before[name]) == 2
    assert differences(upgraded.before[name], upgraded.after[name]) == []


def test_and_everything_that_took_is_allowed(upgraded: Upgraded) -> None:
    assert len(upgraded.denied) == 2
    assert [line for lines in upgraded.denied.values() for line in lines] == []


def test_the_old_release_says_why_it_cannot_start_what_today_s_has_parked(upgraded: Upgraded) -> None:
    answer = upgraded.of_the_old
    assert answer is not None
    assert answer.status == 409
    message = answer.body["error"]["message"]
    assert message.startswith(f"{upgraded.ids['parked']} has no root volume")
    assert "do not say how to rebuild its volume" in message


def test_and_with_today_s_again_it_starts_whole(upgraded: Upgraded) -> None:
    assert differences(upgraded.after["parked"], upgraded.after_all) == []
