"""The clock of the local AWS: the one that everything in it goes by, and that a test can move.

It stands still while somebody works, that is while a function computes or a change is made: work takes no time, however
slow the machine is. Where nobody works it goes as the machine's does, or jumps to what is due next for whoever asks.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType

from tests.local_aws.dial import Dial

log = logging.getLogger(__name__)


class Alarm:
    """What is done at its time. ``background`` says that nobody waits for it, as for the next tick of a schedule."""

    def __init__(self, at: float, what: str, callback: Callable[[], object], *, background: bool) -> None:
        self.at, self.what, self.callback, self.background = at, what, callback, background
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Tells the time and does what is due later: in order, one at a time, in one thread.

    Callbacks must be short; an error in one is logged.
    """

    def __init__(self, dial: Dial, *, hurries: bool) -> None:
        """``hurries``: whether it jumps over the sleep of whoever works. Else they sleep as long as on AWS."""
        self._dial = dial
        self._hurries = hurries
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Alarm]] = []
        self._order = itertools.count()
        self._running: Alarm | None = None
        self._working = 0
        self._sleeping = 0
        self._until = -math.inf
        self._held = 0
        self._dial.set(self._dial.now(), goes=True)
        threading.Thread(target=self._run, name="clock", daemon=True).start()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._dial.now()

    def after(self, seconds: float, what: str, callback: Callable[[], object], *, background: bool = False) -> Alarm:
        """Calls back in so many seconds. ``what`` names the reason; ``pending`` lists these names."""
        with self._condition:
            alarm = Alarm(self.now() + seconds, what, callback, background=background)
            heapq.heappush(self._due, (alarm.at, next(self._order), alarm))
            self._condition.notify_all()
        return alarm

    def pending(self) -> list[str]:
        """The names of what somebody may wait for, soonest first, beginning with what runs right now."""
        with self._condition:
            alarms = [alarm for _, _, alarm in sorted(self._due)]
            alarms = [self._running, *alarms] if self._running else alarms
            return [alarm.what for alarm in alarms if not alarm.background and not alarm.cancelled]

    def run(self, seconds: float) -> float:
        """Lets so many seconds pass, as fast as may be, and waits until all that was due is done. Answers the time."""
        with self._condition:
            until = self.now() + seconds
            self._until = max(self._until, until)
            self._condition.notify_all()
            self._condition.wait_for(lambda: self.now() >= until and self._rests())
            return self.now()

    def hold(self, still: bool) -> None:
        """It does not go by itself until that is taken back. It is still moved by whoever lets time pass or sleeps."""
        with self._condition:
            self._held += 1 if still else -1
            self._set(self.now())

    def _set(self, moment: float) -> None:
        self._dial.set(moment, goes=not self._working and not self._held)
        self._condition.notify_all()

    def work(self) -> Turn:
        """Somebody begins to work, until the turn is ended."""
        return Turn(self)

    def count(self, working: int, sleeping: int = 0) -> None:
        """More or less of those who work, and who sleep at their work. The clock stops with the first who works."""
        with self._condition:
            worked = self._working
            self._working += working
            self._sleeping += sleeping
            if bool(worked) is not bool(self._working):
                self._set(self.now())
            self._condition.notify_all()

    def _rests(self) -> bool:
        return not (self._working or (self._hurries and self._sleeping) or self._something_due())

    def _something_due(self) -> bool:
        while self._due and self._due[0][2].cancelled:
            heapq.heappop(self._due)
        return bool(self._due) and self._due[0][0] <= self.now()

    def _run(self) -> None:
        while True:
            alarm = self._next()
            try:
                alarm.callback()
            except Exception:
                log.exception("What was due failed: %r.", alarm.what)
            with self._condition:
                self._running = None
            self.count(-1)

    def _next(self) -> Alarm:
        """Waits for what is due next, or jumps there. Whoever does it works."""
        with self._condition:
            while not self._something_due():
                at = self._due[0][0] if self._due else math.inf
                until = at if self._hurries and self._sleeping and self._due else self._until
                if not self._working and until > self.now():
                    self._set(min(at, until))
                    continue
                # It also goes by itself, past the moment that somebody in ``run`` waits for.
                self._condition.notify_all()
                stands = self._working or self._held or math.isinf(at)
                self._condition.wait(None if stands else at - self.now())
            self._running = heapq.heappop(self._due)[2]
            self.count(+1)
            return self._running


class Turn:
    """Somebody's turn of work, as a context manager. The clock stands still until it is over, or they sleep.

    Several threads may sleep in one turn; it goes on when all of them are awake.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._asleep = 0
        self._over = False
        clock.count(+1)

    def sleep(self, seconds: float, what: str) -> None:
        awake = threading.Event()

        def wake() -> None:
            self.wake(sleeping=1)
            awake.set()

        self.clock.after(max(0.0, seconds), what, wake, background=True)
        self.rest(sleeping=1)
        awake.wait()

    def rest(self, *, sleeping: int = 0) -> None:
        """The work stops until somebody calls ``wake``: another one who works, so that no time is lost between."""
        with self._lock:
            self._asleep += 1
            self.clock.count(-1 if self._asleep == 1 and not self._over else 0, sleeping)

    def wake(self, *, sleeping: int = 0) -> None:
        with self._lock:
            self._asleep -= 1
            self.clock.count(+1 if self._asleep == 0 and not self._over else 0, -sleeping)

    def end(self) -> None:
        with self._lock:
            if not self._over and not self._asleep:
                self.clock.count(-1)
            self._over = True

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Slots:
    """Places for so many at once. Whoever waits for one gets it in turn, and works from the moment they have it."""

    def __init__(self, clock: Clock, how_many: Callable[[], int]) -> None:
        self._clock = clock
        self._how_many = how_many
        self._lock = threading.Lock()
        self._line: deque[_Waiting] = deque()
        self.taken = 0

    def take(self, turn: Turn, seconds: float) -> bool:
        """Waits for a place for at most so many seconds. Answers whether there was one."""
        with self._lock:
            if self.taken < self._how_many():
                self.taken += 1
                return True
            waiting = _Waiting(turn)
            self._line.append(waiting)
            turn.rest()
        give_up = partial(self._give_up, waiting)
        alarm = self._clock.after(seconds, "somebody has waited long enough", give_up, background=True)
        waiting.over.wait()
        alarm.cancel()
        return waiting.served

    @property
    def free(self) -> int:
        return max(0, self._how_many() - self.taken)

    def take_now(self) -> None:
        """For whoever has seen that a place is free, and is the only one who takes any."""
        with self._lock:
            self.taken += 1

    def give_back(self) -> None:
        with self._lock:
            self.taken -= 1
            while self._line and self.taken < self._how_many():
                self.taken += 1
                self._line.popleft().end(served=True)

    def _give_up(self, waiting: _Waiting) -> None:
        with self._lock:
            if waiting in self._line:
                self._line.remove(waiting)
                waiting.end(served=False)


class _Waiting:
    """Somebody in the line for a place."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.over = threading.Event()
        self.served = False

    def end(self, *, served: bool) -> None:
        self.served = served
        self.turn.wake()
        self.over.set()
