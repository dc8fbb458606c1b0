"""One thread that does what is due later: the only clock of the local AWS."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Timers:
    """Runs callbacks at their time, in order, one at a time. Callbacks must be short; an error in one is logged."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, str, Callable[[], object]]] = []
        self._order = itertools.count()
        self._running = ""
        threading.Thread(target=self._run, name="timers", daemon=True).start()

    def after(self, seconds: float, what: str, callback: Callable[[], object]) -> None:
        """Calls back in so many seconds. ``what`` names the reason; ``pending`` lists these names."""
        with self._condition:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), what, callback))
            self._condition.notify()

    def pending(self) -> list[str]:
        """The names of what is still to come, soonest first, beginning with what runs right now."""
        with self._condition:
            return ([self._running] if self._running else []) + [what for _, _, what, _ in sorted(self._due)]

    def _run(self) -> None:
        while True:
            with self._condition:
                self._running = ""
                while not self._due or self._due[0][0] > time.monotonic():
                    self._condition.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, self._running, callback = heapq.heappop(self._due)
            try:
                callback()
            except Exception:
                log.exception("The timer %r failed.", self._running)
