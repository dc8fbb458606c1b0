"""Keeps EC2 calls below the throttling limits, so EC2 throttles neither us nor other callers.

Every action has one bucket of request tokens per account and region, refilled at a fixed rate:
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any, Final

from park_volumes.aws.errors import THROTTLED
from park_volumes.core.facts import NEVER
from park_volumes.run.context import Clock, OutOfTime

BUCKETS: Final[Mapping[str, tuple[int, int]]] = {
    "CreateSnapshot": (100, 5),
    "DeleteSnapshot": (100, 5),
    "DeleteVolume": (100, 5),
    "DetachVolume": (50, 5),
    "LockSnapshot": (50, 5),
    "UnlockSnapshot": (50, 5),
    "CreateTags": (100, 10),
    "CreateVolume": (100, 5),
    "AttachVolume": (50, 5),
    "ModifyInstanceAttribute": (50, 5),
    "StartInstances": (5, 2),
    "DeleteTags": (100, 10),
}
"""Bucket size and tokens per second of the actions that our functions call most."""
SIZE, RATE = 0.8, 0.98
"""The largest share of each bucket, and of its refill, that a function uses. The rest is for other callers:
they find tokens even while we use our full share."""
LEAST: Final = timedelta(seconds=1)
"""The time that a pass gets after observing, however short its turn is."""
PATIENT: Final = ("Describe", "CreateTags")
"""Calls that are retried as long as there is time: a start request needs an observation and must be remembered."""
AGAIN: Final = (4.0, 12.0)
"""The shortest and the longest pause before such a retry, in seconds."""
THE_REST: Final = timedelta(seconds=10)
"""The time that a pass reserves for the steps after such a retry."""
BUSY: Final = timedelta(seconds=10)
"""A function that made changing calls this recently is hardly ever idle: other requests are waiting for it, too."""
chance = SystemRandom()


class Pace:
    """The share of every bucket for one of ``functions`` that may run at once. A hook for botocore's before-call.
    A call that would have to wait past the turn of its pass raises OutOfTime and is not made."""

    def __init__(self, clock: Clock, *, functions: int) -> None:
        self.functions = functions
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._turn = self._deadline = datetime.max.replace(tzinfo=UTC)
        self._doing = True
        self._last = NEVER

    def begin(self, *, turn: datetime, deadline: datetime) -> bool:
        """Begin a pass: ``turn`` is when its turn ends, ``deadline`` is when the function must end. Returns whether the
        previous pass ended just now."""
        self._turn, self._deadline, self._doing = turn, deadline, False
        return self._clock.now() < self._last + BUSY

    def __call__(self, *, model: Any, **_: object) -> None:
        if model.name in BUCKETS:
            size, rate = BUCKETS[model.name]
            wait = self._reserve(model.name, SIZE * size / self.functions, RATE * rate / self.functions)
            if wait > 0:
                self._clock.sleep(wait)

    def again(self, *, operation: Any, response: Any, **_: object) -> float | None:
        """Seconds until the retry of a throttled ``PATIENT`` call; None if there is no time for it.
        A hook for botocore's needs-retry, which decides once the SDK gives up."""
        code = response[1].get("Error", {}).get("Code") if response else ""
        if code != THROTTLED or not operation.name.startswith(PATIENT):
            return None
        wait = chance.uniform(*AGAIN)
        return wait if self._clock.now() + timedelta(seconds=wait) + THE_REST < self._deadline else None

    def _reserve(self, action: str, size: float, rate: float) -> float:
        """Reserve a token, maybe a future one. Returns the seconds until it is available. Raises OutOfTime."""
        with self._lock:
            now = self._clock.now()
            if not self._doing:
                self._doing, self._turn = True, min(self._deadline, max(self._turn, now + LEAST))
            full_at = max(self._full_at.get(action, 0), now.timestamp()) + 1 / rate
            wait = full_at - now.timestamp() - max(size, 1) / rate
            if wait > 0 and now + timedelta(seconds=wait) > self._turn:
                raise OutOfTime
            self._full_at[action] = full_at
            self._last = now
        return wait
