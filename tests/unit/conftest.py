"""Fixtures of the unit tests, which start no process: what needs one stands in tests/processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import hypothesis
import pytest

from park_volumes.core import prices
from tests.unit.functions import Functions
from tests.unit.passes import Stand

# On a busy machine an example may take any time: it makes a test slower, never red.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

STARTS_A_PROCESS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
watching = False


def _watch(event: str, _arguments: object) -> None:
    if watching and event in STARTS_A_PROCESS:
        raise AssertionError(f"{event}: a unit test starts no process, tests/processes is there for that")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _no_process() -> Iterator[None]:
    global watching  # noqa: PLW0603  # a hook cannot be taken off again
    watching = True
    yield
    watching = False


@pytest.fixture
def stand() -> Stand:
    """A deployment in a model world of its own."""
    return Stand()


@pytest.fixture
def unknown_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prices of no region are known."""
    monkeypatch.setattr(prices, "BY_REGION", {})


@pytest.fixture
def functions(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """Both Lambdas in that world."""
    return Functions(stand, monkeypatch)
