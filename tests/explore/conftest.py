"""Exploring makes millions of small objects that no cycle holds: Python is told to look for cycles seldom."""

from __future__ import annotations

import gc

import pytest

from tests.explore.walks import SELDOM


@pytest.fixture(scope="session", autouse=True)
def _seldom() -> None:
    gc.set_threshold(SELDOM)
