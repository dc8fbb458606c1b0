"""The three ways side by side: the same fleet, the same latencies, the same buckets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.bench.cloud import Function
from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.morning import SCHEDULE
from tests.bench.scenario import Fleet
from tests.bench.sdk import Ec2Sdk, Tally
from tests.bench.ways import Article, Waiters, waiters_wait
from tests.model import judge
from tests.model.faults import Call, Fault, FaultPlan
from tests.model.records import Durations
from tests.unit.functions import path_of, start_requested, url_event

OURS, ARTICLE, WAITERS = "ours", "the article's", "with waiters"
WAYS = (OURS, ARTICLE, WAITERS)

GIB = 80
DURATIONS = Durations(snapshot=60, snapshot_per_gib=5.4)
"""Seconds: a snapshot takes 1 minute and 5.4 s for each GiB, so 8 minutes for 80 GiB; assumed."""
SNAPSHOT_SECONDS = DURATIONS.snapshot + DURATIONS.snapshot_per_gib * GIB
MOST_SECONDS = 6 * 3600.0

GB_SECOND, REQUEST, QUEUE_REQUEST = 0.0000133334, 0.20e-6, 0.40e-6
"""USD, us-east-1, arm64: https://aws.amazon.com/lambda/pricing/ and https://aws.amazon.com/sqs/pricing/ (2026)."""
OTHERS_MEMORY_MB = 128
"""The least there is; they mostly wait."""
LONGEST_SECONDS = 900.0
"""The longest that a Lambda function may run."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Per instance, unless the name says otherwise. ``last_parked_seconds``: until the last volume was deleted of
    those that were, and its snapshot completed. ``start_seconds``: the longest from a request to StartInstances."""

    way: str
    instances: int
    volumes: int
    park_changing: float
    park_describing: float
    park_billed_ms: float
    park_seconds: float
    last_parked_seconds: float
    start_changing: float
    start_describing: float
    start_seconds: float
    dollars_per_1000: float
    not_parked: int
    not_started: int
    lost_gib: int

    @property
    def parked(self) -> int:
        return self.instances - self.not_parked

    @property
    def dollars_per_1000_parked(self) -> float | None:
        """Of those that were really parked; None if none was."""
        return self.dollars_per_1000 * self.instances / self.parked if self.parked else None

    @property
    def seconds_per_parked(self) -> float | None:
        """Of those that were really parked: the time until the last of them was, without that of its snapshot, divided
        by their number."""
        return max(0, self.last_parked_seconds - SNAPSHOT_SECONDS) / self.parked if self.parked else None


class Others:
    """One function that does a whole park or start in one invocation, called for every instance."""

    def __init__(self, fleet: Fleet, way: Callable[..., Any], faults: FaultPlan | None) -> None:
        self.tally = Tally()

        def load() -> Callable[[dict[str, Any], Any], Any]:
            work = way(fleet.simulation, Ec2Sdk(fleet.simulation, "function", tally=self.tally, faults=faults))
            return lambda event, _: getattr(work, event["do"])(event["id"])

        self.function = Function(account=fleet.account, load=load, timeout=LONGEST_SECONDS, memory_mb=OTHERS_MEMORY_MB)
        self._fleet = fleet

    def park_when_stopped(self) -> None:
        def hear(event: Any) -> None:
            if event.body["detail"].get("state") == "stopped":
                self.invoke("park", event.body["detail"]["instance-id"])

        self._fleet.simulation.on_event = hear

    def invoke(self, what: str, instance_id: str) -> None:
        self.function.invoke_later({"do": what, "id": instance_id})


@contextmanager
def _entered(fleet: Fleet, way: str, faults: FaultPlan | None) -> Iterator[Deployment | Others]:
    if way == OURS:
        module = Module()
        with on_the_clock(fleet.simulation, module):
            yield Deployment(simulation=fleet.simulation, account=fleet.account, module=module, faults=faults)
    else:
        others = Others(fleet, {ARTICLE: Article, WAITERS: Waiters}[way], faults)
        others.park_when_stopped()
        with waiters_wait(fleet.simulation):
            yield others


def _functions(way: Deployment | Others) -> list[tuple[Function, Tally]]:
    if isinstance(way, Others):
        return [(way.function, way.tally)]
    return [(way.functions[name], way.calls[name]) for name in way.functions]


def _start(way: Deployment | Others, ids: Sequence[str]) -> None:
    """Ours starts one for a person, and many for schedules, each of which names some."""
    if isinstance(way, Others):
        for instance_id in ids:
            way.invoke("start", instance_id)
    elif len(ids) == 1:
        way.functions["start"].invoke_later(url_event("POST", path_of(ids[0], "start")))
    else:
        for n in range(0, len(ids), SCHEDULE):
            way.functions["start"].invoke_later(start_requested(*ids[n : n + SCHEDULE]))


class Spent(NamedTuple):
    changing: int
    describing: int
    billed_seconds: float
    dollars: float


def spent(way: Deployment | Others) -> Spent:
    """What it came to so far."""
    parts = _functions(way)
    dollars = sum(f.billed_seconds * f.memory_mb / 1024 * GB_SECOND + f.invocations * REQUEST for f, _ in parts)
    if isinstance(way, Deployment):
        dollars += way.queue.requests * QUEUE_REQUEST
    return Spent(
        changing=sum(t.changing for _, t in parts),
        describing=sum(t.describing for _, t in parts),
        billed_seconds=sum(f.billed_seconds for f, _ in parts),
        dollars=dollars,
    )


class _Parks:
    """When volumes became snapshots: each was deleted, and its snapshot is completed."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._completed: dict[str, float] = {}
        self.last = fleet.began

    def note(self, name: str, params: Any) -> None:
        now = self._fleet.simulation.now
        if name == "CreateSnapshot":
            self._completed[params["VolumeId"]] = now + SNAPSHOT_SECONDS
        if name == "DeleteVolume":
            self.last = max(self.last, now, self._completed.get(params["VolumeId"], now))


def compare(
    way: str,
    instances: int,
    volumes: int,
    *,
    durations: Durations = DURATIONS,
    seed: int | None = None,
) -> Figures:
    """A night and a morning of one fleet. With a seed, some of the calls go wrong."""
    fleet = Fleet(instances, volumes, gib=GIB, durations=durations, concurrency=1000)
    with _entered(fleet, way, misfortune(seed) if seed is not None else None) as entered:
        parks = _Parks(fleet)
        fleet.world.on_answer = parks.note
        fleet.stop(within=min(60, instances))
        parked_after = _wait(fleet, lambda: not _left(fleet, way, volumes))
        not_parked = _left(fleet, way, volumes)
        night, last_parked = spent(entered), parks.last
        called: dict[str, float] = {}

        def note(name: str, params: Any) -> None:
            if name == "StartInstances":
                called.setdefault(params["InstanceIds"][0], fleet.simulation.now)

        fleet.world.on_answer = note
        asked = fleet.simulation.now
        _start(entered, fleet.ids)
        _wait(fleet, lambda: fleet.running() == instances, most=3600)
        if seed is not None:
            fleet.simulation.run(seconds=3600)
        after = spent(entered)
    return Figures(
        way=way,
        instances=instances,
        volumes=volumes,
        park_changing=night.changing / instances,
        park_describing=night.describing / instances,
        park_billed_ms=1000 * night.billed_seconds / instances,
        park_seconds=max(0, parked_after - SNAPSHOT_SECONDS),
        last_parked_seconds=last_parked - fleet.began,
        start_changing=(after.changing - night.changing) / instances,
        start_describing=(after.describing - night.describing) / instances,
        start_seconds=max(called.values(), default=asked) - asked,
        dollars_per_1000=1000 * night.dollars / instances,
        not_parked=not_parked,
        not_started=instances - fleet.running(),
        lost_gib=GIB * len(judge.lost(fleet.world)),
    )


def _left(fleet: Fleet, way: str, volumes: int) -> int:
    """Instances that still have more volumes than this way leaves them."""
    leaves = volumes - 1 if way == ARTICLE else 0
    found = (fleet.world.instances.get(i) for i in fleet.ids)
    there = sum(len(i.devices) > leaves for i in found if i)
    free = fleet.volumes_left() - sum(len(i.devices) for i in map(fleet.world.instances.get, fleet.ids) if i)
    return there or min(free, len(fleet.ids))


def _wait(fleet: Fleet, done: Callable[[], bool], most: float = MOST_SECONDS) -> float:
    """The seconds until it was seen to be done; the larger the fleet, the less often somebody looks."""
    end, pause = fleet.seconds + most, max(5, len(fleet.ids) / 200)
    while not done() and fleet.seconds < end:
        fleet.simulation.run(seconds=pause)
    return fleet.seconds


def misfortune(seed: int) -> FaultPlan:
    """Of 2,000 calls 10 are answered by an error and the function dies at one; of 200 snapshots 4 fail."""
    draw = random.Random(seed)

    def plan(call: Call) -> Fault | None:
        number = draw.randrange(2000)
        if number < 10:
            return Fault.SERVER_ERROR_AFTER
        if number == 10:
            return Fault.DIES_AFTER
        if number < 51 and call.operation == "CreateSnapshot":
            return Fault.SNAPSHOT_FAILS
        return None

    return plan
