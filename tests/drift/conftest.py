"""The story of every pattern, told once for all tests."""

from __future__ import annotations

import pytest

from tests.drift.story import Story, begin, tell
from tests.support.ahead import Ahead


@pytest.fixture(scope="session")
def story(ahead: Ahead) -> Story:
    begun = ahead.result(begin)
    tell(begun)
    return begun
