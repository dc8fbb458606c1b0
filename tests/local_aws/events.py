"""EventBridge alive: EC2's events go through the deployed rules to the deployed targets, and schedules tick.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html
"""

from __future__ import annotations

import copy
import json
import logging
import re
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.events.models import EventsBackend, Rule, events_backends
from moto.events.utils import EventTemplateParser
from moto.sqs.models import sqs_backends

from tests.local_aws.policies import refusal_of_role, service_may
from tests.local_aws.world import ACCOUNT, World

if TYPE_CHECKING:
    from tests.local_aws.lambdas import Lambdas

log = logging.getLogger(__name__)

SERVICE = "events.amazonaws.com"
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
CRON = re.compile(r"cron\(0(?:/(\d+))? \* \* \* \? \*\)")
"""Every so many minutes, or every hour; no other kind is planned."""
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
KEPT = 20_000


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Plan:
    """When a rule is due: its name and region, its schedule, and how much faster than that it comes."""

    name: str
    region: str
    expression: str
    factor: float


class EventBridge:
    """The default event bus. Delivery happens on the clock's thread; Lambda targets are invoked asynchronously."""

    def __init__(self, world: World, lambdas: Lambdas) -> None:
        self._world = world
        self._lambdas = lambdas
        self._planned: dict[str, Plan] = {}
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """What was emitted and where it went: event, delivered (target ARNs), failed, fault (drop, double, delay)."""

    def install(self) -> None:
        """Replaces moto's way to targets: it knows no Lambda, ignores DISABLED, and its schedules match all events."""
        bus = self

        def send_to_targets(rule: Rule, original_event: Any, transform_input: bool = True) -> None:  # noqa: ARG001  # moto's names
            bus.offer(rule, normal(original_event))

        Rule.send_to_targets = send_to_targets  # type: ignore[method-assign, assignment]
        self._world.emit = self.emit_ec2
        put_rule = EventsBackend.put_rule

        def put_and_plan(backend: EventsBackend, *arguments: Any, **named: Any) -> Rule:
            rule = put_rule(backend, *arguments, **named)
            bus.plan_schedules()
            return rule

        EventsBackend.put_rule = put_and_plan  # type: ignore[method-assign, assignment]

    # Into the bus

    def emit_ec2(self, detail_type: str, resources: list[str], detail: dict[str, Any], region: str) -> None:
        """An event of EC2 or EBS; may be dropped, doubled or delayed, as events are best effort, at least once."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": ACCOUNT,
            "time": now_text(),
            "region": region,
            "resources": resources,
            "detail": detail,
        }
        facts = {
            "detail_type": detail_type,
            "event": str(detail.get("event") or detail.get("state") or detail.get("eventName")),
            "resource": resources[0].rsplit("/", 1)[-1] if resources else "",
        }
        take = self._world.faults.take
        if take("drop_event", **facts) is not None:
            self.log.append({"event": event, "delivered": [], "failed": [], "fault": "drop"})
            return
        delay = take("delay_event", **facts)
        seconds = self._world.settings.event_seconds + float((delay or {}).get("seconds", 0))
        times = 1 if take("double_event", **facts) is None else 2
        for _ in range(times):
            self._world.clock.after(seconds, f"event {facts['event']} of {facts['resource']}", partial(self.put, event))

    def put(self, event: dict[str, Any], bus: str = "") -> dict[str, Any]:
        """Offers an event to every rule of a region, else of its own, and returns its entry in the log."""
        entry: dict[str, Any] = {"event": event, "delivered": [], "failed": [], "fault": None}
        self.log.append(entry)
        for rule in list(events_backends[ACCOUNT][bus or event["region"]].event_buses["default"].rules.values()):
            self.offer(rule, event, entry)
        return entry

    def offer(self, rule: Rule, event: dict[str, Any], entry: dict[str, Any] | None = None) -> None:
        """Sends the event to the rule's targets if the rule is enabled and has a pattern that matches."""
        if rule.state == "DISABLED" or not rule.event_pattern.get_pattern():
            return
        if rule.event_pattern.matches_event(event):  # type: ignore[arg-type]
            self.send(rule, event, entry)

    def fire(self, rule_name: str, region: str) -> dict[str, Any]:
        """Fires a scheduled rule now. Raises KeyError for an unknown rule, ValueError for one without a schedule."""
        rule = events_backends[ACCOUNT][region].event_buses["default"].rules[rule_name]
        if not rule.scheduled_expression:
            raise ValueError(f"The rule {rule_name} has no schedule.")
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": now_text(),
            "region": region,
            "resources": [rule.arn],
            "detail": {},
        }
        entry: dict[str, Any] = {"event": event, "delivered": [], "failed": [], "fault": None}
        self.log.append(entry)
        if rule.state != "DISABLED":
            self.send(rule, event, entry)
        return entry

    def plan_schedules(self) -> None:
        """Plans the next tick of each ``rate`` rule that is new or changed. The first is one period after that."""
        for region, backend in list(events_backends[ACCOUNT].items()):
            for rule in list(backend.event_buses["default"].rules.values()):
                plan = Plan(rule.name, region, rule.scheduled_expression or "", self._world.settings.schedule_factor)
                if self._planned.get(rule.arn) != plan:
                    self._planned[rule.arn] = plan
                    self._plan(rule.arn, plan)

    def _plan(self, arn: str, plan: Plan) -> None:
        seconds = period(plan.expression)
        if not seconds or not plan.factor:
            return

        def tick() -> None:
            rule = events_backends[ACCOUNT][plan.region].event_buses["default"].rules.get(plan.name)
            if rule is None:
                self._planned.pop(arn, None)
            elif self._planned.get(arn) is plan:
                self._plan(arn, plan)
                self.fire(plan.name, plan.region)

        self._world.clock.after(seconds * plan.factor, f"the schedule {plan.name}", tick, background=True)

    # Out of the bus

    def send(self, rule: Rule, event: dict[str, Any], entry: dict[str, Any] | None) -> None:
        """Delivers to each target; what cannot be delivered goes to the target's dead-letter queue."""
        for target in list(rule.targets):
            body = self.target_input(target, event)
            problem = (
                self.deliver(rule, target["Arn"], body) if not is_bus(target) else self.forward(rule, target, event)
            )
            if problem:
                log.warning("EventBridge: %s", problem)
                self.bury(rule, target, body, problem)
            if entry is not None:
                entry["failed" if problem else "delivered"].append(target["Arn"])

    @staticmethod
    def target_input(target: dict[str, Any], event: dict[str, Any]) -> str:
        """Input, InputPath, InputTransformer or the event itself."""
        if "Input" in target:
            return str(target["Input"])
        if "InputPath" in target:
            value: Any = event
            for key in [part for part in target["InputPath"].lstrip("$").split(".") if part]:
                value = value[key]
            return json.dumps(value)
        if "InputTransformer" in target:
            transformer = target["InputTransformer"]
            message: Any = {**copy.deepcopy(event), "ingestion-time": event["time"]}
            return json.dumps(
                EventTemplateParser.parse(transformer["InputTemplate"], transformer.get("InputPathsMap", {}), message)
            )
        return json.dumps(event)

    def deliver(self, rule: Rule, target_arn: str, body: str) -> str | None:
        """Puts the input into the target; answers what went wrong, in words."""
        service, region, name = target_arn.split(":")[2], target_arn.split(":")[3], target_arn.split(":")[5]
        if service == "sqs":
            queue = sqs_backends[ACCOUNT][region].queues.get(name)
            if queue is None:
                return f"The queue {name}, a target of {rule.name}, does not exist."
            if not service_may(
                json.loads(queue.policy or "{}").get("Statement", []), SERVICE, "sqs:SendMessage", rule.arn
            ):
                return f"The policy of the queue {name} does not let the rule {rule.name} send messages."
            sqs_backends[ACCOUNT][region].send_message(name, body)
            return None
        if service == "lambda":
            function = self._lambdas.function(target_arn)
            if function is None:
                return f"The function {target_arn}, a target of {rule.name}, does not exist."
            if not service_may(function.policy.statements, SERVICE, "lambda:InvokeFunction", rule.arn):
                return (
                    f"The policy of the function {function.function_name} does not let the rule {rule.name} invoke it."
                )
            self._lambdas.invoke_later(function, body)
            return None
        if service == "logs":
            return None
        return f"The local AWS has no targets of the service {service} ({target_arn})."

    def forward(self, rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> str | None:
        """Puts the event on the bus of another region, as it is; answers what went wrong, in words. No rule there sends
        it on to a third.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
        """
        bus = target["Arn"].split(":")[3]
        here = rule.arn.split(":")[3]
        if event["region"] != here:
            return f"The event of {event['region']} came to {here} from another bus: it goes to no third one."
        if "RoleArn" not in target:
            return f"The rule {rule.name} has no role that puts events on {target['Arn']}."
        problem = refusal_of_role(target["RoleArn"], SERVICE, rule.arn, "events:PutEvents", target["Arn"])
        if problem is None:
            self.put(event, bus)
        return problem

    def bury(self, rule: Rule, target: dict[str, Any], body: str, problem: str) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
        queue_arn = target.get("DeadLetterConfig", {}).get("Arn")
        if not queue_arn:
            return
        _, _, _, region, _, name = queue_arn.split(":")
        queue = sqs_backends[ACCOUNT][region].queues.get(name)
        policy = json.loads(queue.policy or "{}").get("Statement", []) if queue else []
        if queue is None or not service_may(policy, SERVICE, "sqs:SendMessage", rule.arn):
            log.warning(
                "EventBridge: the dead-letter queue %s does not take what %s could not deliver.", name, rule.name
            )
            return
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": "NO_PERMISSIONS" if "policy" in problem else "NO_RESOURCE",
            "ERROR_MESSAGE": problem,
        }
        described = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
        sqs_backends[ACCOUNT][region].send_message(name, body, message_attributes=described)


def is_bus(target: dict[str, Any]) -> bool:
    return str(target["Arn"]).split(":")[2] == "events"


def period(expression: str) -> int:
    """The seconds between two events of a schedule; 0 for one that is not planned."""
    if cron := CRON.fullmatch(expression):
        return int(cron[1]) * UNIT_SECONDS["minute"] if cron[1] else UNIT_SECONDS["hour"]
    rate = RATE.fullmatch(expression)
    return int(rate[1]) * UNIT_SECONDS[rate[2]] if rate else 0


def normal(event: Any) -> dict[str, Any]:
    """A PutEvents entry of moto's as the event that targets see: the time as text, no internal field."""
    normal_event = {key: value for key, value in dict(event).items() if key != "ingestion-time"}
    moment = float(normal_event.get("time") or time.time())
    normal_event["time"] = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return normal_event
