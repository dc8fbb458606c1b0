"""The control API: what a test may know and do that AWS itself would not let it. JSON over ``POST /_local/<name>``.

Every public method of ``Control`` is one call; its keyword arguments are the request's JSON object, its return value
the answer. ``client.py`` gives them types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends

from tests.local_aws.calls import CallLog
from tests.local_aws.credentials import ADMIN
from tests.local_aws.ebs import GIB, Content, StrictSnapshot, is_customers
from tests.local_aws.events import EventBridge
from tests.local_aws.faults import Fault
from tests.local_aws.function_url import FunctionUrls
from tests.local_aws.instances import StrictBackend
from tests.local_aws.lambdas import Lambdas
from tests.local_aws.queues import Mappings
from tests.local_aws.recycle_bin import RecycleBin
from tests.local_aws.schedules import Scheduler
from tests.local_aws.world import ACCOUNT, World
from tests.local_aws.wrong import WAYS
from tests.model.policies import Deny

GONE = ("terminated", "shutting-down")


Names = dict[str, Iterable[str]]
"""Kind of resource to the names of those that exist."""


class Control:
    """All calls of the control API. Errors are ValueError or KeyError with a sentence."""

    def __init__(
        self,
        *,
        world: World,
        region: str,
        calls: CallLog,
        bus: EventBridge,
        lambdas: Lambdas,
        mappings: Mappings,
        urls: FunctionUrls,
        recycle_bin: RecycleBin,
        scheduler: Scheduler,
    ) -> None:
        self._world = world
        self._region = region
        self._calls = calls
        self._bus = bus
        self._lambdas = lambdas
        self._mappings = mappings
        self._urls = urls
        self._recycle_bin = recycle_bin
        self._scheduler = scheduler
        self._wrong = ExitStack()

    def _ec2(self, resource_id: str) -> StrictBackend:
        """The backend of the region where an instance, volume or snapshot is; the server's own if it is nowhere."""
        backends = [backend for _, backend in list(ec2_backends[ACCOUNT].items()) if isinstance(backend, StrictBackend)]
        for backend in backends:
            instances = {instance.id for _, instance in backend.every_instance()}
            if resource_id in instances or resource_id in backend.volumes or resource_id in backend.snapshots:
                return backend
        own = ec2_backends[ACCOUNT][self._region]
        assert isinstance(own, StrictBackend)
        return own

    def answer(self, name: str, arguments: dict[str, Any]) -> tuple[int, Any]:
        """HTTP status and JSON value for one call."""
        method: Callable[..., Any] | None = None if name.startswith("_") else getattr(self, name, None)
        if method is None or name == "answer":
            return 404, {"error": f"The control API has no call {name!r}."}
        try:
            return 200, method(**arguments)
        except EC2ClientError as error:
            return 400, {"error": str(error.message)}
        except (ValueError, TypeError, KeyError) as error:
            return 400, {"error": f"{type(error).__name__}: {error}"}

    # The clock

    def now(self) -> float:
        return self._world.clock.now()

    def run(self, seconds: float) -> float:
        """Lets time pass, as fast as may be, until nothing is left that was due by then."""
        return self._world.clock.run(seconds)

    def stand_still(self, still: bool) -> None:
        """The clock is not to go by itself, or it may again."""
        self._world.clock.hold(still)

    def sleep(self, request_id: str, seconds: float) -> None:
        """A function sleeps in the execution of that request."""
        self._lambdas.sleep(request_id, seconds)

    # Settings and failures

    def settings(self) -> dict[str, Any]:
        return asdict(self._world.settings)

    def configure(self, **changes: float) -> dict[str, Any]:
        self._world.settings = self._world.settings.changed(changes)
        self._bus.plan_schedules()
        return self.settings()

    def fail(self, kind: str, count: int = 1, match: dict[str, str] | None = None, **details: Any) -> None:
        self._world.faults.order(Fault(kind=kind, count=count, match=match or {}, details=details))

    def clear_faults(self) -> None:
        self._world.faults.clear()

    def deny(self, **policy: Any) -> None:
        """One more policy that denies; see tests/model/policies.py."""
        self._world.denials = (*self._world.denials, Deny.of_json(policy))

    def clear_denials(self) -> None:
        self._world.denials = ()

    def set_key(self, key: str, usable: bool) -> None:
        """Whether EC2 can use a KMS key, whatever KMS says."""
        self._world.keys[key] = usable

    def go_wrong(self, way: str | None = None) -> None:
        """From now on it is no AWS in this way (``wrong.WAYS``), and in no other; None: it is as it should be."""
        self._wrong.close()
        if way is not None:
            self._wrong.enter_context(WAYS[way]())

    def enable_region(self, name: str, enabled: bool = True) -> None:
        """The account enables a region, or disables it again."""
        self._world.regions.enable(name, enabled=enabled)

    # EC2

    def content(self, resource_id: str) -> Any:
        """What is on a volume or in a snapshot."""
        with self._world.ec2_lock:
            content: Content
            ec2 = self._ec2(resource_id)
            if resource_id.startswith("snap-"):
                snapshot = ec2.snapshot_named(resource_id)
                content = snapshot.content if isinstance(snapshot, StrictSnapshot) else Content()
            else:
                content = ec2.volume_named(resource_id).content
            return asdict(content)

    def contents(self, instance_id: str) -> dict[str, Any]:
        """Device to content, for all volumes of an instance."""
        with self._world.ec2_lock:
            devices = self._ec2(instance_id).get_instance(instance_id).block_device_mapping
            return {device: asdict(attachment.volume.content) for device, attachment in sorted(devices.items())}

    def write(self, instance_id: str, device: str | None = None, written_gib: float | None = None) -> Any:
        """The running instance writes to one or all of its volumes."""
        with self._world.ec2_lock:
            ec2 = self._ec2(instance_id)
            instance = ec2.get_instance(instance_id)
            if instance.state != "running":
                raise ValueError(f"The instance {instance_id} is {instance.state}; only a running one writes.")
            if device is not None and device not in instance.block_device_mapping:
                raise ValueError(f"The instance {instance_id} has no device {device}.")
            ec2.write(instance, device, None if written_gib is None else int(written_gib * GIB))
        return self.contents(instance_id)

    def set_instance(self, instance_id: str, **facts: Any) -> None:
        with self._world.ec2_lock:
            self._ec2(instance_id).set_facts(instance_id, facts)

    def guest_shutdown(self, instance_id: str) -> None:
        with self._world.ec2_lock:
            self._ec2(instance_id).guest_shutdown(instance_id)

    def stop_because(self, instance_id: str, state_reason: str) -> None:
        with self._world.ec2_lock:
            ec2 = self._ec2(instance_id)
            ec2.stop_one(ec2.get_instance(instance_id), state_reason)

    # Events

    def events(self) -> list[dict[str, Any]]:
        return list(self._bus.log)

    def emit(self, event: dict[str, Any]) -> dict[str, Any]:
        return self._bus.put({"region": self._region, **event})

    def fire_rule(self, name: str, region: str | None = None) -> dict[str, Any]:
        return self._bus.fire(name, region or self._region)

    def fire_schedule(self, name: str, group: str = "default", region: str | None = None) -> None:
        self._scheduler.fire(name, group, region or self._region)

    # Lambda, queues, logs

    def end_idle_environments(self) -> None:
        self._lambdas.end_idle()

    def invocations(self, function: str | None = None) -> list[dict[str, Any]]:
        return [i for i in list(self._lambdas.invocations) if function in {None, i["function"]}]

    def logs(self, function: str | None = None) -> list[dict[str, Any]]:
        return [line for line in list(self._lambdas.lines) if function in {None, line["function"]}]

    def queues(self, region: str | None = None) -> dict[str, dict[str, int]]:
        """Queue name to the numbers of messages: visible, in flight, delayed."""
        described = {}
        for name, queue in list(sqs_backends[ACCOUNT][region or self._region].queues.items()):
            with queue._messages_lock:
                delayed = sum(1 for m in queue._messages if m.delayed)
                visible = len(queue.messages)
                described[name] = {
                    "visible": visible,
                    "delayed": delayed,
                    "in_flight": len(queue._messages) - visible - delayed,
                }
        return described

    def messages(self, queue: str, region: str | None = None) -> list[dict[str, Any]]:
        """All messages of a queue, whatever their state, without receiving them."""
        found = sqs_backends[ACCOUNT][region or self._region].queues[queue]
        with found._messages_lock:
            return [
                {
                    "body": m.body,
                    "receive_count": m.approximate_receive_count,
                    "attributes": {k: v.get("StringValue") for k, v in m.message_attributes.items()},
                }
                for m in found._messages
            ]

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        return self._calls.since(since)

    def function_urls(self) -> dict[str, str]:
        return self._urls.addresses()

    def under_way(self) -> dict[str, Any]:
        """What is not at rest: timers, executions, batches, asynchronous invocations and visible mapped messages."""
        messages = 0
        for region, backend in list(lambda_backends[ACCOUNT].items()):
            mapped = {m.event_source_arn.rsplit(":", 1)[-1] for m in list(backend._event_source_mappings.values())}
            messages += sum(q["visible"] + q["in_flight"] for name, q in self.queues(region).items() if name in mapped)
        return {
            "timers": self._world.clock.pending(),
            "executions": self._lambdas.slots.taken,
            "asynchronous": self._lambdas.waiting,
            "batches": self._mappings.busy,
            "messages": messages,
        }

    # What exists

    def resources(self) -> dict[str, list[str]]:
        """Everything that somebody made and that still exists, by kind; kinds without any are left out."""
        with self._world.ec2_lock:
            found = [self._of_region(region) for region in list(ec2_backends[ACCOUNT])]
        found += [kind(backend) for services, kind in KINDS for _, backend in list(services[ACCOUNT].items())]
        kinds: dict[str, list[str]] = {}
        for one in found:
            for name, names in one.items():
                kinds[name] = kinds.get(name, []) + list(names)
        kinds["function URLs"] = list(self._urls.addresses())
        kinds["rules of the Recycle Bin"] = self._recycle_bin.rules()
        return {kind: names for kind, names in kinds.items() if names}

    @staticmethod
    def _of_region(region: str) -> Names:
        ec2 = ec2_backends[ACCOUNT][region]
        assert isinstance(ec2, StrictBackend)
        return {
            "instances": [instance.id for _, instance in ec2.every_instance() if instance.state not in GONE],
            "volumes": list(ec2.volumes),
            "snapshots": list(ec2.snapshots),
            "key pairs": list(ec2.key_pairs),
            "launch templates": list(ec2.launch_templates),
        }


# Other services than EC2: the backends of their regions, and how to name what is in one.
KINDS: list[tuple[Any, Callable[[Any], Names]]] = [
    (
        lambda_backends,
        lambda b: {
            "functions": [f.function_name for f in b.list_functions()],
            "event source mappings": b._event_source_mappings,
        },
    ),
    (sqs_backends, lambda b: {"queues": b.queues}),
    (events_backends, lambda b: {"rules": b.event_buses["default"].rules}),
    (
        iam_backends,
        lambda b: {
            "roles": [role.name for role in b.roles.values()],
            "users": [name for name in b.users if name != ADMIN],
            "policies": [p.arn for p in b.managed_policies.values() if f":{ACCOUNT}:" in p.arn],
        },
    ),
    (scheduler_backends, lambda b: {"schedules": [name for g in b.schedule_groups.values() for name in g.schedules]}),
    (logs_backends, lambda b: {"log groups": b.groups}),
    (sns_backends, lambda b: {"topics": b.topics}),
    (cloudwatch_backends, lambda b: {"alarms": b.alarms, "dashboards": b.dashboards}),
    (ssm_backends, lambda b: {"parameters": [name for name in b._parameters if not name.startswith("/aws/")]}),
    (
        kms_backends,
        lambda b: {"keys": [k.id for k in b.keys.values() if is_customers(k) and k.key_state != "PendingDeletion"]},
    ),
]


def json_text(value: Any) -> bytes:
    """JSON for the wire; times and other foreign values as text."""
    return json.dumps(value, default=str).encode()
