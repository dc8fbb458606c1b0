"""The morning: very many starts are asked for within a minute, by schedules and by people: more than EC2 takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.bench.cloud import Failed, Throttled
from tests.bench.deployed import Deployment, Module, on_the_clock
from tests.bench.scenario import Fleet, asleep
from tests.model import judge
from tests.model.faults import BUCKETS
from tests.unit.functions import path_of, start_requested, url_event

SCHEDULE = 50
"""Instances that one schedule names: those of an office."""
PEOPLE = 0.1
"""The part of the starts that people ask for at the page."""
ASK_AGAIN_SECONDS = 3
"""After which a person asks again whom Lambda, with no execution left, has not even let in."""


@dataclass(frozen=True, kw_only=True)
class Morning:
    """What came of it. Times in seconds since the first request; a person has ``asked`` when Lambda let the request in.
    ``answers`` are those that people got, with the number of starts that were asked for before theirs."""

    asked: dict[str, float]
    started: dict[str, float]
    answers: list[dict[str, Any]]
    running: int
    dictated: float
    problems: list[str]
    errors: list[str]
    dropped: int
    calls: int
    throttled: int
    billed_seconds: float
    invocations: int

    @property
    def seconds(self) -> float:
        return max(self.started.values(), default=0)

    @property
    def overtaken(self) -> int:
        """By how many that were asked for later the unluckiest was overtaken."""
        every = [(self.asked[i], at) for i, at in self.started.items()]
        return max(sum(a < b and s > t for b, t in every) for a, s in every)


class People:
    """Each presses the button once, and again where Lambda lets nobody in, or the answer is to ask again."""

    def __init__(self, fleet: Fleet, deployment: Deployment) -> None:
        self.answers: list[dict[str, Any]] = []
        self.let_in: dict[str, float] = {}
        self._fleet, self._simulation = fleet, fleet.simulation
        self._function = deployment.functions["start"]

    def ask(self, instance_id: str) -> None:
        self._simulation.spawn(lambda: self._ask(instance_id))

    def _ask(self, instance_id: str) -> None:
        while True:
            self.let_in[instance_id] = self._fleet.seconds
            try:
                answer = self._function.invoke(url_event("POST", path_of(instance_id, "start")))
            except Throttled:
                self._simulation.sleep(ASK_AGAIN_SECONDS)
                continue
            except Failed:
                answer = {"statusCode": 502, "body": "{}"}
            self.answers.append({"status": answer["statusCode"], **json.loads(answer["body"])})
            if answer["statusCode"] != HTTPStatus.BAD_GATEWAY:
                return
            self._simulation.sleep(60)


def morning(
    instances: int, *, concurrency: int, reserved: int = 0, schedule: int = SCHEDULE, people: float = PEOPLE
) -> Morning:
    """``reserved``: how many of the concurrent executions are for the start function alone; ``schedule``: how many
    instances one schedule names; ``people``: which part of the starts people ask for."""
    fleet = asleep(instances, concurrency=concurrency)
    module = Module(start_reserved_concurrency=reserved)
    started: dict[str, float] = {}

    def note(name: str, params: Any) -> None:
        if name == "StartInstances":
            for instance_id in params["InstanceIds"]:
                started.setdefault(instance_id, fleet.seconds)

    fleet.world.on_answer = note
    with on_the_clock(fleet.simulation, module):
        deployment = Deployment(simulation=fleet.simulation, account=fleet.account, module=module)
        crowd = People(fleet, deployment)
        asked = _ask(fleet, deployment, crowd, schedule, people)
        end = 3 * dictated(instances) + 1200
        fleet.simulation.run(lambda: fleet.running() == instances, seconds=end)
        fleet.simulation.run(seconds=600)
    functions = deployment.functions.values()
    return Morning(
        asked=asked | crowd.let_in,
        started=started,
        answers=crowd.answers,
        running=fleet.running(),
        dictated=dictated(instances),
        problems=judge.problems(fleet.world),
        errors=[error for f in functions for error in f.errors],
        dropped=sum(f.dropped for f in functions),
        calls=sum(sum(t.calls.values()) for t in deployment.calls.values()),
        throttled=sum(t.throttled for t in deployment.calls.values()),
        billed_seconds=deployment.functions["start"].billed_seconds,
        invocations=deployment.functions["start"].invocations,
    )


def _ask(fleet: Fleet, deployment: Deployment, crowd: People, schedule: int, people: float) -> dict[str, float]:
    """Everybody asks, evenly over a minute; when each start was asked for."""
    asked = {i: 60 * k / len(fleet.ids) for k, i in enumerate(fleet.ids)}
    pressed = [i for k, i in enumerate(fleet.ids) if int((k + 1) * people) > int(k * people)]
    scheduled = [i for i in fleet.ids if i not in set(pressed)]
    for instance_id in pressed:
        fleet.simulation.at(fleet.began + asked[instance_id], lambda i=instance_id: crowd.ask(i))  # type: ignore[misc]
    for n in range(0, len(scheduled), schedule):
        named = scheduled[n : n + schedule]
        asked |= dict.fromkeys(named, asked[named[0]])
        event = start_requested(*named)
        fleet.simulation.at(
            fleet.began + asked[named[0]],
            lambda event=event: deployment.functions["start"].invoke_later(event),  # type: ignore[misc]
        )
    return asked


def dictated(instances: int) -> float:
    """Seconds that EC2's bucket of starts alone asks for."""
    bucket = BUCKETS["StartInstances"]
    return max(0, instances - bucket.size) / bucket.refill
