"""Our own way: both handlers as main.tf and events.tf deploy them, with the numbers that stand there."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

import boto3
from aws_lambda_powertools import Metrics

from park_volumes.handlers import pace, runtime
from tests.bench.cloud import Account, Bus, BusSdk, EventSource, Function, Handler, Queue, QueueSdk, Rule, to_queue
from tests.bench.sdk import Ec2Sdk, Tally
from tests.bench.simulation import Clock, Simulation, threads_are_tasks
from tests.model.faults import FaultPlan
from tests.support import hcl
from tests.support.terraform import ROOT
from tests.unit.functions import ENVIRONMENT, START_ENVIRONMENT

OPT_IN = "ParkVolumes"
UNITS = {"minute": 60, "hour": 3600, "day": 86400}
"""Seconds."""


class Module:
    """The numbers of the module, with the defaults of its inputs."""

    def __init__(self, **inputs: float) -> None:
        variables = hcl.blocks(hcl.load(ROOT / "variables.tf"), "variable")
        self.inputs: dict[str, Any] = {name: hcl.plain(body["default"]) for name, body in variables} | inputs
        main = hcl.load(ROOT / "main.tf")
        self._locals = main["locals"][0]
        resources = dict(hcl.blocks(main, "resource"))
        queue = resources["aws_sqs_queue.park"]
        mapping = resources["aws_lambda_event_source_mapping.park"]
        self.batch_size = int(self.number(mapping["batch_size"]))
        self.window = self.number(mapping["maximum_batching_window_in_seconds"])
        self.concurrency = int(self.number(mapping["scaling_config"][0]["maximum_concurrency"]))
        self.visibility = self.number(queue["visibility_timeout_seconds"])
        self.most_receives = int(self.number(re.findall(r"maxReceiveCount = ([^,}]+)", queue["redrive_policy"])[0]))

    def number(self, expression: Any) -> float:
        """What a sum or product of numbers, inputs and locals comes to."""
        text = str(expression).removeprefix("${").removesuffix("}")
        text = re.sub(r"var\.(\w+)", lambda m: str(self.inputs[m[1]]), text)
        text = re.sub(r"local\.(\w+)", lambda m: str(self.number(self._locals[m[1]])), text)
        if not re.fullmatch(r"[\d\s.+*/()-]+", text):
            raise ValueError(f"{expression} is no sum or product.")
        return float(eval(text))

    def rules(self) -> Iterator[tuple[str, dict[str, Any] | None, float | None, list[str]]]:
        """The name of each rule, its pattern or else the seconds between two events, and its targets."""
        for name, rule in hcl.plain(hcl.load(ROOT / "events.tf")["locals"][0]["rules_always"]).items():
            every = self.seconds(rule["schedule"]) if rule["schedule"] else None
            pattern = json.loads(json.dumps(rule["pattern"]).replace("${var.name}", ENVIRONMENT["DEPLOYMENT"]))
            yield name, pattern, every, rule["targets"]

    def seconds(self, schedule: str) -> float:
        """Between two events of a schedule such as rate(1 day), or of the sweep, which comes at fixed minutes."""
        if schedule.startswith("cron("):
            return float(self.inputs["sweep_interval_minutes"] * UNITS["minute"])
        rate = re.fullmatch(r"rate\((\d+|\$\{.+?\}) .*?(minute|hour|day).*\)", schedule)
        if rate is None:
            raise ValueError(f"{schedule} is no rate.")
        return self.number(rate[1]) * UNITS[rate[2]]

    def environment(self) -> dict[str, str]:
        """What main.tf gives the functions, as the tests of the handlers have it, with the numbers of this module."""
        numbers = ["quiet_period_seconds", "function_timeout_seconds", "grace_period_minutes"]
        numbers += ["park_maximum_concurrency", "sweep_interval_minutes"]
        return {
            **ENVIRONMENT,
            **START_ENVIRONMENT,
            "START_ON_FAILED_START": "false",
            **{name.upper(): str(self.inputs[name]) for name in numbers},
            "POWERTOOLS_SERVICE_NAME": "park-volumes-bench",
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@dataclass(kw_only=True)
class Deployment:
    """Both functions, the queue and the rules. ``calls`` counts what each function asks of EC2. The functions cover the
    regions of all worlds of the simulation."""

    simulation: Simulation
    account: Account
    module: Module
    faults: FaultPlan | None = None
    calls: dict[str, Tally] = field(default_factory=lambda: {"park": Tally(), "start": Tally()})

    def __post_init__(self) -> None:
        module = self.module
        timeout = float(module.inputs["function_timeout_seconds"])
        self.queue = Queue(self.simulation, visibility=module.visibility, most_receives=module.most_receives)
        reserved = int(module.inputs["start_reserved_concurrency"])
        executions = {"park": self.account, "start": self.account.reserve(reserved) if reserved else self.account}
        self.functions = {
            name: Function(
                account=executions[name],
                load=self._loader(name),
                timeout=timeout,
                memory_mb=int(module.inputs[f"{name}_memory_size"]),
            )
            for name in ("park", "start")
        }
        EventSource(
            queue=self.queue,
            function=self.functions["park"],
            batch_size=module.batch_size,
            window=module.window,
            concurrency=module.concurrency,
        ).begin()
        targets = {"park": to_queue(self.queue), "start": self.functions["start"].invoke_later}
        self.bus = Bus(
            self.simulation,
            [
                Rule(name=name, pattern=pattern, every=every, targets=[targets[t] for t in names])
                for name, pattern, every, names in module.rules()
            ],
        )

    def _loader(self, name: str) -> Callable[[], Handler]:
        worlds = {world.rules.region: world for world in self.simulation.worlds}

        def client(service: str, config: Any = None, region_name: str = "", **_: Any) -> Any:
            if service == "sqs":
                return QueueSdk(self.queue)
            if service == "events":
                return BusSdk(self.bus)
            if service != "ec2":
                return Silence()
            world = worlds[region_name] if region_name else None
            return Ec2Sdk(self.simulation, name, config, tally=self.calls[name], faults=self.faults, world=world)

        def load() -> Handler:
            return fresh(name, client)

        return load


class Silence:
    """The client of a service that is told things and gives nothing back: the event bus, the topic for people."""

    def __getattr__(self, _: str) -> Callable[..., dict[str, Any]]:
        return lambda **__: {"Entries": []}


def fresh(name: str, client: Callable[..., Any]) -> Handler:
    """The handler of a new execution environment, with clients of its own."""
    modules = [f"park_volumes.handlers.{part}" for part in ("api", name)]
    kept = {module: sys.modules.pop(module, None) for module in modules}
    try:
        with patch.object(boto3, "client", client):
            loaded = [
                importlib.import_module(name) for name in modules
            ]  # else their package answers with the api of before
            handler: Handler = loaded[-1].handler
            return handler
    finally:
        for module, before in kept.items():
            sys.modules.pop(module, None)
            if before is not None:
                sys.modules[module] = before


@contextmanager
def on_the_clock(simulation: Simulation, module: Module) -> Iterator[None]:
    """While this is entered, the product's clock, chance, threads and environment are those of the simulation."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, module.environment()))
        if len(simulation.worlds) > 1:
            stack.enter_context(patch.dict(os.environ, {"REGIONS": "all"}))
        stack.enter_context(patch.object(runtime, "SystemClock", lambda: Clock(simulation)))
        stack.enter_context(patch.object(pace, "chance", Random(0)))
        stack.enter_context(patch.object(Metrics, "flush_metrics", Metrics.clear_metrics))
        stack.enter_context(threads_are_tasks())
        yield


def state_change(instance_id: str, state: str) -> str:
    detail = {"instance-id": instance_id, "state": state}
    return json.dumps({"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": detail})
