"""One deployment per region becomes one for all, and nobody loses a byte."""

from __future__ import annotations

import pytest

from tests.deployed.moved import ASLEEP, LATER, ON_ITS_WAY, Moved, move
from tests.local_aws.regions import ENABLED_BY_DEFAULT
from tests.support.ahead import Ahead
from tests.support.fleet import differences


@pytest.fixture(scope="module")
def moved(ahead: Ahead) -> Moved:
    return ahead.result(move)


def test_one_was_on_its_way_when_the_old_deployment_was_removed(moved: Moved) -> None:
    assert moved.left > 0


@pytest.mark.parametrize("name", [ASLEEP, ON_ITS_WAY, LATER])
def test_the_one_deployment_starts_what_either_has_parked_as_it_was(moved: Moved, name: str) -> None:
    assert differences(moved.before[name], moved.after[name]) == []


def test_it_looks_at_every_region_that_the_account_has_enabled(moved: Moved) -> None:
    assert moved.looked_at == ENABLED_BY_DEFAULT


def test_and_everything_that_took_is_allowed(moved: Moved) -> None:
    assert {arn.rsplit("/", 1)[-1] for arn in moved.denied} == {
        f"park-volumes-{side}-ap-northeast-2" for side in ("park", "start")
    }
    assert [line for lines in moved.denied.values() for line in lines] == []
