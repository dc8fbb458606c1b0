"""The dial of the local AWS's clock: a small file in which every process that lives by that clock reads the time.

It needs nothing but the standard library, because the workers that run the functions load it.
"""

from __future__ import annotations

import datetime
import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

MACHINE_TIME, MACHINE_MONOTONIC = time.time, time.monotonic
"""The machine's own clocks, also where a process lives by the local AWS's."""
HAND = struct.Struct("=Qddd")
"""A number that is odd while somebody writes; the time that was set, when it was, and how fast it goes since."""


class Dial:
    """The time in seconds since the epoch. One process sets it, and stops and starts it; others read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), HAND.size)

    @classmethod
    def make(cls, path: Path) -> Dial:
        """A new dial, which stands at the machine's time."""
        path.write_bytes(HAND.pack(0, MACHINE_TIME(), MACHINE_MONOTONIC(), 0.0))
        return cls(path)

    def now(self) -> float:
        while True:
            number, moment, since, speed = HAND.unpack(self._memory[: HAND.size])
            if number % 2 == 0 and HAND.unpack(self._memory[: HAND.size])[0] == number:
                return float(moment + speed * (MACHINE_MONOTONIC() - since))

    def set(self, moment: float, *, goes: bool) -> None:
        """Only its maker calls this, and only from one thread at a time."""
        (number,) = struct.unpack_from("=Q", self._memory)
        struct.pack_into("=Q", self._memory, 0, number + 1)
        struct.pack_into("=ddd", self._memory, 8, moment, MACHINE_MONOTONIC(), 1.0 if goes else 0.0)
        struct.pack_into("=Q", self._memory, 0, number + 2)

    def lead(self, sleep: Callable[[float], None] | None = None) -> None:
        """Makes this process live by it: what is imported from now on is told its time; ``sleep`` is how to wait.

        Who is asked to sleep counts on the time that has passed then, so that ``monotonic`` is told by it, too.
        """
        set_in_time: dict[str, Any] = {"time": self.now, "time_ns": lambda: int(self.now() * 1e9)}
        if sleep is not None:
            set_in_time |= {"sleep": sleep, "monotonic": self.now}
        for name, function in set_in_time.items():
            setattr(time, name, function)
        datetime.datetime = _datetime_of(self)  # type: ignore[misc]


class _Kind(type):
    """Times that C code makes are of the class that was there before."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _ORIGINAL)


_ORIGINAL = datetime.datetime


def _datetime_of(dial: Dial) -> type[datetime.datetime]:
    """The class ``datetime`` whose present is that of the dial."""

    class Datetime(datetime.datetime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Datetime:
            return cls.fromtimestamp(dial.now(), tz)

        @classmethod
        def today(cls) -> Datetime:
            return cls.now()

        @classmethod
        def utcnow(cls) -> Datetime:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    Datetime.__name__ = Datetime.__qualname__ = "datetime"
    return cast("type[datetime.datetime]", Datetime)
