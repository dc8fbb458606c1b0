"""What a pass works with: EC2, the settings, a clock, its time, and ways to do things in parallel and apart."""

import logging
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from park_volumes.aws import Ec2
from park_volumes.core.settings import Settings

THREADS = 24
"""Calls and instances in parallel: as many as EC2 can start in the seconds that one start takes (docs/performance.md),
and no more than the SDK has connections for."""
log = logging.getLogger(__name__)
T = TypeVar("T")
Item = TypeVar("Item", bound="OfOneInstance")


class Clock(Protocol):
    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class NotYet(Exception):
    """EC2 is not ready for the next step. Nothing is wrong: an event, the sweep or another look continues."""


class OutOfTime(Exception):
    """The pass has no time left for a call. Nothing is wrong, and nothing was done: the next pass continues."""


Each = Callable[[Sequence[Callable[[], None]]], None]


def one_by_one(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def in_parallel(calls: Sequence[Callable[[], None]]) -> None:
    """Make all of these calls at once. Raises the first error when all have ended."""
    if len(calls) <= 1:
        one_by_one(calls)
        return
    with ThreadPoolExecutor(max_workers=min(len(calls), THREADS)) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


def alone(what: str, do: Callable[[], T], failed: Callable[[Exception], T]) -> T:
    """What ``do`` returns. After an exception that nobody foresaw: what ``failed`` makes of it; the log has the trace.
    So one instance that cannot be handled costs no other its turn. OutOfTime is foreseen, and passed on."""
    try:
        return do()
    except OutOfTime:
        raise
    except Exception as error:
        log.exception("%s could not be handled.", what)
        return failed(error)


class OfOneInstance(Protocol):
    @property
    def instance_id(self) -> str: ...


def each_alone(items: Iterable[Item], do: Callable[[Item], T | None]) -> list[T]:
    """What ``do`` returns for each of these, without those for which it returns None or fails unexpectedly."""
    found = (alone(one.instance_id, partial(do, one), lambda _: None) for one in items)
    return [one for one in found if one is not None]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One run of a Lambda, in one ``region``. It may act on what it observed until ``deadline``, and decides by the
    time ``began``. ``known`` is what earlier runs of the same function have learned there, each with the time."""

    ec2: Ec2
    settings: Settings
    clock: Clock
    began: datetime
    deadline: datetime
    each: Each = in_parallel
    known: MutableMapping[str, datetime] = field(default_factory=dict)
    region: str = ""

    def knows(self, what: str, lasts: timedelta) -> bool:
        at = self.known.get(what)
        return at is not None and self.began < at + lasts

    def learns(self, what: str) -> None:
        self.known[what] = self.clock.now()
