"""Keeps calls of EC2 below the rates at which EC2 refuses them, so that neither we nor others are refused.

Every action has a bucket of request tokens for the whole account and region, which is filled again so many times a
second: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any, Final

from park_volumes.ec2 import THROTTLED
from park_volumes.model import NEVER
from park_volumes.reconcile import Clock, OutOfTime

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
"""Size, and tokens a second, of the buckets of what our functions call most."""

SIZE, RATE = 0.8, 0.98
"""The part of each bucket, and of what flows into it, that a function takes at most. The rest is for others:
they find tokens left even while we take all of ours."""

LEAST: Final = timedelta(seconds=1)
"""What a pass gets after its look, however short its turn is."""

PATIENT: Final = ("Describe", "CreateTags")
"""What is tried again for as long as there is time: without a look, or without remembering it, no request is taken."""

AGAIN: Final = (4.0, 12.0)
"""Seconds, from and to, after which it is tried again."""

THE_REST: Final = timedelta(seconds=10)
"""What a pass keeps for what comes after that."""

BUSY: Final = timedelta(seconds=10)
"""A function that has made changing calls within this time is hardly ever idle: others are waiting for it, too."""

chance = SystemRandom()


class Pace:
    """For one of ``functions`` that may run at once: its part of every bucket. A hook for botocore's before-call.

    A call that had to wait until after the turn of its pass raises OutOfTime, and is not made.
    """

    def __init__(self, clock: Clock, *, functions: int) -> None:
        self.functions = functions
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._turn = self._deadline = datetime.max.replace(tzinfo=UTC)
        self._doing = True
        self._last = NEVER

    def begin(self, *, turn: datetime, deadline: datetime) -> bool:
        """A pass has begun: when its turn is over, and when the function has to be. Whether the one before is just
        over."""
        self._turn, self._deadline, self._doing = turn, deadline, False
        return self._clock.now() < self._last + BUSY

    def __call__(self, *, model: Any, **_: object) -> None:
        if model.name in BUCKETS:
            size, rate = BUCKETS[model.name]
            wait = self._reserve(model.name, SIZE * size / self.functions, RATE * rate / self.functions)
            if wait > 0:
                self._clock.sleep(wait)

    def again(self, *, operation: Any, response: Any, **_: object) -> float | None:
        """Seconds until the next try of a look, or of a request's writing down, that EC2 throttled; None where there is
        no time for it. A hook for botocore's needs-retry, which is heard once the SDK gives up.
        """
        code = response[1].get("Error", {}).get("Code") if response else ""
        if code != THROTTLED or not operation.name.startswith(PATIENT):
            return None
        wait = chance.uniform(*AGAIN)
        return wait if self._clock.now() + timedelta(seconds=wait) + THE_REST < self._deadline else None

    def _reserve(self, action: str, size: float, rate: float) -> float:
        """Take a token, maybe one that is not there yet; the seconds until it is. Raises OutOfTime."""
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
