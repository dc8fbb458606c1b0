"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from tests.unit.functions import Functions
from tests.unit.passes import Stand


@pytest.fixture
def stand() -> Stand:
    """A deployment in a model world of its own."""
    return Stand()


@pytest.fixture
def functions(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """Both Lambdas in that world."""
    return Functions(stand, monkeypatch)
