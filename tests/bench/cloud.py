"""Lambda, SQS and EventBridge on the model's clock: as much of them as costs time or money."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.bench.simulation import Process, Simulation, Task
from tests.model.faults import ProcessDied
from tests.model.records import Event
from tests.unit.functions import RULES, SWEEP, as_event

COLD_START_SECONDS = 0.8
"""Loading the code and making the clients, billed since August 2025. Assumed, for Python with boto3 and 512 MB."""
EVENT_SECONDS = 0.5
"""From what happens in EC2 to the target of a rule (EventBridge names "about half a second")."""

Handler = Callable[[dict[str, Any], "Context"], Any]


@dataclass(frozen=True)
class Context:
    """The context object of a Lambda invocation."""

    simulation: Simulation
    ends: float
    function_name: str = "park-volumes"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:park-volumes"
    aws_request_id: str = "5c2a0c3e-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - self.simulation.now) * 1000)


class Account:
    """The concurrent executions that all functions of an account share."""

    def __init__(self, simulation: Simulation, concurrency: int) -> None:
        self.simulation = simulation
        self.left = concurrency
        self.waiting: deque[Task] = deque()

    def reserve(self, executions: int) -> Account:
        """So many for one function alone."""
        self.left -= executions
        return Account(self.simulation, executions)

    def take(self) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        return True

    def give_back(self) -> None:
        self.left += 1
        self.simulation.wake_first(self.waiting)


class Throttled(Exception):
    """No concurrent execution is left (429)."""


class Failed(Exception):
    """The function raised an error, or came to its time limit."""


@dataclass(kw_only=True)
class Function:
    """A Lambda function. ``load`` makes the handler of one execution environment; those are kept warm."""

    account: Account
    load: Callable[[], Handler]
    timeout: float
    memory_mb: int
    billed_seconds: float = 0
    invocations: int = 0
    timeouts: int = 0
    dropped: int = 0
    """Events that failed at every try: Lambda sends them to the dead-letter queue."""
    errors: list[str] = field(default_factory=list)
    _warm: list[Handler] = field(default_factory=list)

    def invoke(self, event: dict[str, Any]) -> Any:
        """Run it in the task that calls. Raises Throttled, Failed."""
        if not self.account.take():
            raise Throttled
        simulation = self.account.simulation
        began = simulation.now
        try:
            handler = self._warm.pop() if self._warm else self._cold()
            answer = self._run(handler, event)
            self._warm.append(handler)
            return answer
        finally:
            self.account.give_back()
            self.invocations += 1
            self.billed_seconds += simulation.now - began

    def _cold(self) -> Handler:
        self.account.simulation.sleep(COLD_START_SECONDS)
        return self.load()

    def _run(self, handler: Handler, event: dict[str, Any]) -> Any:
        simulation = self.account.simulation
        process, ended = Process(), deque[Task]()
        outcome: list[Any] = []
        ends = simulation.now + self.timeout

        def work() -> None:
            try:
                outcome.append(handler(event, Context(simulation, ends)))
            except ProcessDied:
                self.timeouts += 1
                outcome.append(Failed("time limit"))
            except Exception as error:
                self.errors.append(repr(error))
                outcome.append(Failed(repr(error)))
            simulation.wake(ended)

        simulation.spawn(work, process)
        simulation.at(ends, lambda: None if outcome else simulation.kill(process))
        while not outcome:
            simulation.wait(ended)
        if isinstance(outcome[0], Failed):
            raise outcome[0]
        return outcome[0]

    def invoke_later(self, event: dict[str, Any], retries: int = 2) -> None:
        """Asynchronously: throttled ones wait, failed ones are tried again after a minute."""

        def work() -> None:
            for _ in range(1 + retries):
                while self.account.left == 0:
                    self.account.simulation.wait(self.account.waiting)
                try:
                    self.invoke(event)
                except Failed:
                    self.account.simulation.sleep(60)
                else:
                    return
            self.dropped += 1

        self.account.simulation.spawn(work)


@dataclass
class Message:
    id: str
    body: str
    received: int = 0


class Queue:
    """A standard queue of SQS with a dead-letter queue. ``requests`` counts what SQS bills."""

    def __init__(self, simulation: Simulation, *, visibility: float, most_receives: int) -> None:
        self.simulation = simulation
        self.visibility, self.most_receives = visibility, most_receives
        self.visible: deque[Message] = deque()
        self.dead: list[Message] = []
        self.hidden = 0
        self.delayed = 0
        self.requests = 0
        self.waiting: deque[Task] = deque()
        self._ids = count()

    def send(self, body: str, delay: float = 0) -> None:
        self.delayed += 1
        self.simulation.at(self.simulation.now + delay, lambda: self._arrive(Message(f"m{next(self._ids)}", body)))

    def _arrive(self, message: Message) -> None:
        self.delayed -= 1
        self.visible.append(message)
        self.simulation.wake(self.waiting)

    def receive(self, most: int) -> list[Message]:
        found: list[Message] = []
        while self.visible and len(found) < most:
            message = self.visible.popleft()
            message.received += 1
            if message.received > self.most_receives:
                self.dead.append(message)
            else:
                found.append(message)
        self.hidden += len(found)
        self.requests += -(-len(found) // 10)
        return found

    def delete(self, messages: Sequence[Message]) -> None:
        self.hidden -= len(messages)
        self.requests += -(-len(messages) // 10)

    def hand_back(self, messages: Sequence[Message], received_at: float) -> None:
        """They become visible again when their visibility time-out is over."""
        self.simulation.at(received_at + self.visibility, lambda: self._show(messages))

    def _show(self, messages: Sequence[Message]) -> None:
        self.hidden -= len(messages)
        self.visible.extend(messages)
        self.simulation.wake(self.waiting)


class QueueSdk:
    """The boto3 client of a queue, as much of it as the product calls."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: ARG002, N803  # boto3's names
        self._queue.simulation.sleep(0.02)
        self._queue.requests += 1
        for entry in Entries:
            self._queue.send(entry["MessageBody"], entry.get("DelaySeconds", 0))
        return {"Successful": [], "Failed": []}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002, N803  # the same
        self._queue.simulation.sleep(0.02)
        self._queue.requests += 1
        numbers = {
            "ApproximateNumberOfMessages": len(self._queue.visible),
            "ApproximateNumberOfMessagesNotVisible": self._queue.hidden,
            "ApproximateNumberOfMessagesDelayed": self._queue.delayed,
        }
        return {"Attributes": {name: str(numbers[name]) for name in AttributeNames}}


@dataclass(kw_only=True)
class EventSource:
    """An event source mapping: so many pollers, each of which gathers a batch and invokes the function with it."""

    queue: Queue
    function: Function
    batch_size: int
    window: float
    concurrency: int

    def begin(self) -> None:
        for _ in range(self.concurrency):
            self.queue.simulation.spawn(self._poll)

    def _poll(self) -> None:
        queue, simulation = self.queue, self.queue.simulation
        while True:
            while not queue.visible:
                simulation.wait(queue.waiting)
            received_at = simulation.now
            batch = queue.receive(self.batch_size)
            if len(batch) < self.batch_size and self.window:
                simulation.sleep(self.window)
                batch += queue.receive(self.batch_size - len(batch))
            if batch:
                self._work(batch, received_at)

    def _work(self, batch: list[Message], received_at: float) -> None:
        records = [
            {"messageId": m.id, "body": m.body, "attributes": {"ApproximateReceiveCount": str(m.received)}}
            for m in batch
        ]
        while True:
            try:
                answer = self.function.invoke({"Records": records})
            except Throttled:
                self.queue.simulation.wait(self.function.account.waiting)
                continue
            except Failed:
                failed = {m.id for m in batch}
            else:
                failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            break
        self.queue.delete([m for m in batch if m.id not in failed])
        self.queue.hand_back([m for m in batch if m.id in failed], received_at)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of EventBridge: a pattern or a schedule, and what it does with the event."""

    name: str
    pattern: Mapping[str, Any] | None
    every: float | None
    targets: Sequence[Callable[[dict[str, Any]], None]]


class Bus:
    """The default event bus."""

    def __init__(self, simulation: Simulation, rules: Sequence[Rule]) -> None:
        self.simulation = simulation
        self.rules = rules
        self.silent = frozenset[str]()
        """The names of the rules that deliver nothing."""
        simulation.on_event = self._route
        for rule in rules:
            if rule.every is not None:
                self._schedule(rule, rule.every)

    def _route(self, event: Event) -> None:
        self.put(event.body)

    def put(self, body: dict[str, Any]) -> None:
        for rule in self.rules:
            if rule.name not in self.silent and rule.pattern is not None and matches(rule.pattern, body):
                self._deliver(rule, body)

    def _deliver(self, rule: Rule, body: dict[str, Any]) -> None:
        for target in rule.targets:
            self.simulation.at(self.simulation.now + EVENT_SECONDS, lambda target=target: target(body))  # type: ignore[misc]

    def sweep(self, name: str) -> None:
        """One event of this schedule, now."""
        (rule,) = (r for r in self.rules if r.name == name)
        self._deliver(rule, SWEEP | {"resources": [f"{RULES}-{name}"]})

    def _schedule(self, rule: Rule, every: float) -> None:
        def due() -> None:
            if rule.name not in self.silent:
                self.sweep(rule.name)
            self._schedule(rule, every)

        self.simulation.at((self.simulation.now // every + 1) * every, due)


class BusSdk:
    """The boto3 client of the bus, as much of it as the product calls."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def put_events(self, *, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803  # boto3's name
        self._bus.simulation.sleep(0.02)
        for entry in Entries:
            self._bus.put(as_event(entry))
        return {"FailedEntryCount": 0, "Entries": []}


def matches(pattern: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether an event fits: every key is there, with one of the values. No more of the pattern language is used."""
    for key, wanted in pattern.items():
        there = body.get(key)
        if isinstance(wanted, Mapping):
            if not isinstance(there, Mapping) or not matches(wanted, there):
                return False
        elif there not in wanted:
            return False
    return True


def to_queue(queue: Queue) -> Callable[[dict[str, Any]], None]:
    return lambda body: queue.send(json.dumps(body))
