"""The stand-ins of a pass, where several threads use them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.unit.passes import Stand


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads that take turns as often as Python lets them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("impatient")
def test_time_that_several_threads_wait_for_passes_for_each_of_them() -> None:
    stand = Stand()
    began = stand.clock.now()

    def sleep(times: int) -> None:
        for _ in range(times):
            stand.clock.sleep(1)

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(sleep, [1000] * 8))
    assert stand.clock.now() - began == timedelta(seconds=8000)
