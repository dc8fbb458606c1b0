"""Many processes at once on the clock of a model world: whoever waits lets the others go on, and no real time passes.

A process is a tree of greenlets, the threads of one function. Everything is in one order only, so that every run with
the same beginning is the same to the last figure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any
from unittest.mock import patch

from greenlet import getcurrent, greenlet

from park_volumes.run import context
from tests.model.faults import ProcessDied
from tests.model.records import Event
from tests.model.world import World


class Process:
    """The greenlets that live and die together: one invocation of a function."""

    def __init__(self) -> None:
        self.tasks: dict[Task, None] = {}
        self.over = False


class Task(greenlet):
    """A thread of a process; or something that belongs to none, such as a queue."""

    simulation: Simulation
    process: Process | None


class Simulation:
    """Runs tasks in the order of their time; ``on_event`` hears of the events of EC2 when they happen. Those of
    other regions reach it only if somebody ``forwards`` them."""

    def __init__(self, world: World, *elsewhere: World) -> None:
        self.world = world
        self.worlds = (world, *elsewhere)
        self.forwards = False
        self.on_event: Callable[[Event], None] = lambda _: None
        self._agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self._serial = count()
        self._hub = getcurrent()

    @property
    def now(self) -> float:
        return self.world.clock.now

    def at(self, moment: float, call: Callable[[], Any]) -> None:
        heappush(self._agenda, (max(moment, self.now), next(self._serial), call))

    def spawn(self, work: Callable[[], Any], process: Process | None = None) -> Task:
        """A new task that begins now."""

        def live() -> None:
            try:
                work()
            except ProcessDied:
                if process is None:
                    raise
            finally:
                if process is not None:
                    process.tasks.pop(task, None)

        task = Task(live, parent=self._hub)
        task.simulation, task.process = self, process
        if process is not None:
            process.tasks[task] = None
        self.at(self.now, task.switch)
        return task

    def sleep(self, seconds: float) -> None:
        """The task that calls this goes on after so many seconds."""
        task = current()
        self.at(self.now + seconds, lambda: self._wake(task))
        self._hub.switch()
        self._check(task)

    def wait(self, waiting: deque[Task]) -> None:
        """The task that calls this goes on when somebody wakes it."""
        task = current()
        waiting.append(task)
        self._hub.switch()
        self._check(task)

    def wake(self, waiting: deque[Task]) -> None:
        while waiting:
            self.wake_first(waiting)

    def wake_first(self, waiting: deque[Task]) -> None:
        """Whoever has waited longest goes on; nobody has to wait."""
        if waiting:
            task = waiting.popleft()
            self.at(self.now, lambda: self._wake(task))

    def kill(self, process: Process) -> None:
        """All tasks of the process end where they are. Called from outside of it."""
        process.over = True
        for task in list(process.tasks):
            if task:  # begun, and not ended
                task.throw(ProcessDied("killed at its time limit"))
        process.tasks.clear()

    def run(self, until: Callable[[], bool] = lambda: False, *, seconds: float = float("inf")) -> None:
        """Lets time pass until it is so, nothing is left to happen, or the seconds are over."""
        self._hub = getcurrent()
        end = self.now + seconds
        while not until():
            steps = (world.next_step for world in self.worlds)
            moment = min(self._agenda[0][0] if self._agenda else float("inf"), *steps)
            if moment > end or moment == float("inf"):
                if end != float("inf"):
                    self._advance(end)
                    self._tell()
                return
            self._advance(moment)
            self._tell()
            while self._agenda and self._agenda[0][0] <= self.now:
                heappop(self._agenda)[2]()
                self._tell()

    def _advance(self, moment: float) -> None:
        for world in self.worlds:
            world.clock.advance_to(moment)

    def _tell(self) -> None:
        for world in self.worlds if self.forwards else self.worlds[:1]:
            if world.outbox:
                where = {"region": world.rules.region}
                for event in world.take_events():
                    self.on_event(event._replace(body=event.body | where))

    @staticmethod
    def _wake(task: Task) -> None:
        if not task.dead:
            task.switch()

    @staticmethod
    def _check(task: Task) -> None:
        if task.process is not None and task.process.over:
            raise ProcessDied("killed at its time limit")


def current() -> Task:
    task = getcurrent()
    if not isinstance(task, Task):
        raise RuntimeError("Only a task of a simulation can wait.")
    return task


class Clock:
    """The clock of the product and of botocore, on the model's."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def now(self) -> datetime:
        return self._simulation.world.clock.time()

    def current_time(self) -> float:
        return self._simulation.now

    def sleep(self, seconds: float) -> None:
        self._simulation.sleep(seconds)


class Condition:
    """threading.Condition for tasks: they give way only in ``wait``, so there is nothing to lock."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def __enter__(self) -> Condition:
        return self

    def __exit__(self, *_: object) -> None: ...

    def wait(self, timeout: float) -> None:
        """A moment at least: a shorter one than the clock can tell would never be over."""
        self._simulation.sleep(max(timeout, 0.001))

    def notify(self) -> None:
        """Whoever waits looks again when its own time is over."""


class Future:
    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._done = False
        self._answer: Any = None
        self._error: BaseException | None = None
        self.waiting: deque[Task] = deque()

    def run(self) -> None:
        try:
            self._answer = self._call()
        except Exception as error:
            self._error = error
        self._done = True

    def result(self) -> Any:
        while not self._done:
            task = current()
            task.simulation.wait(self.waiting)
        if self._error:
            raise self._error
        return self._answer


class Threads:
    """ThreadPoolExecutor, as much of it as the product uses, with tasks for threads."""

    def __init__(self, max_workers: int) -> None:
        self._task = current()
        self._left = max_workers
        self._queue: deque[Future] = deque()
        self._futures: list[Future] = []

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._futures:
            while not future._done:
                self._task.simulation.wait(future.waiting)

    def submit(self, call: Callable[[], Any]) -> Future:
        future = Future(call)
        self._futures.append(future)
        self._queue.append(future)
        if self._left:
            self._left -= 1
            self._task.simulation.spawn(self._work, self._task.process)
        return future

    def _work(self) -> None:
        while self._queue:
            future = self._queue.popleft()
            future.run()
            self._task.simulation.wake(future.waiting)


def _pool(max_workers: int) -> Any:
    """Threads of the simulation for whoever is in one."""
    return Threads(max_workers) if isinstance(getcurrent(), Task) else ThreadPoolExecutor(max_workers)


def threads_are_tasks() -> Any:
    """While this is entered, the product's threads are tasks of the simulation that they run in."""
    return patch.object(context, "ThreadPoolExecutor", _pool)
