"""What takes minutes to make is begun before the test that needs it.

The AWS provider waits until it believes what AWS says: a minute for every deployment, in which nobody computes. So all
deployments of a worker are begun with its first test, side by side, and a test waits only for what is left of its own.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

Made = TypeVar("Made")

GROUPS = (("tests/deployed", "tests/browser", "tests/demo"), ("tests/drift", "tests/examples", "tests/live"))
"""The folders whose tests one worker runs: about as much for either of two."""
MAKERS = {
    "tests/deployed/test_changes.py": "tests.deployed.changes:change",
    "tests/deployed/test_moving.py": "tests.deployed.moved:move",
    "tests/deployed/test_removal.py": "tests.deployed.removed:remove",
    "tests/deployed/test_upgrade.py": "tests.deployed.upgraded:upgrade",
    "tests/browser": "tests.browser.place:deploy",
    "tests/demo/test_demo.py": "tests.demo.shown:show",
    "tests/demo/test_playground.py": "tests.demo.played:play",
    "tests/drift": "tests.drift.story:begin",
    "tests/examples/test_organization.py": "tests.examples.organization:apply",
    "tests/examples": "tests.examples.applied:apply",
    "tests/live/test_rehearsal.py": "tests.live.rehearsal:rehearse",
    "tests/live/test_cleaning.py": "tests.live.rehearsal:crash",
    "tests/live/test_wrong_ways.py": "tests.live.rehearsal:open_workshop",
}
"""What some tests need that takes long to make: where they are, and the module and function that makes it."""


def group_of(folder: str) -> tuple[str, ...]:
    """The folders that run on one worker with this one, which may be of another kind and alone."""
    return next((group for group in GROUPS if folder in group), (folder,))


class Ahead:
    """What was begun, each once; and what has to be closed in the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="ahead")
        self._lock = threading.Lock()
        self._begun: dict[Callable[[Ahead], Any], Future[Any]] = {}
        self._groups: set[tuple[str, ...]] = set()
        self._open = ExitStack()

    def begin(self, make: Callable[[Ahead], Made]) -> Future[Made]:
        with self._lock:
            if make not in self._begun:
                self._begun[make] = self._pool.submit(make, self)
            return self._begun[make]

    def begin_all(self, group: tuple[str, ...], tests: Iterable[str]) -> None:
        """Begins, once, what the tests among these that are of a group need; they are named by their node ids."""
        if group in self._groups:
            return
        self._groups.add(group)
        mine = [test for test in tests if test.startswith(group)]
        for place, maker in MAKERS.items():
            if any(test.startswith(place) for test in mine):
                module, function = maker.split(":")
                self.begin(getattr(importlib.import_module(module), function))

    def result(self, make: Callable[[Ahead], Made]) -> Made:
        """Waits for what was begun, or begins it now. Raises what went wrong in the making."""
        return self.begin(make).result()

    def enter(self, what: AbstractContextManager[Made]) -> Made:
        """Enters a context, until the end."""
        entered = what.__enter__()
        with self._lock:
            self._open.push(what)
        return entered

    def close(self) -> None:
        self._pool.shutdown()
        self._open.close()
