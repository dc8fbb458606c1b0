"""``LocalAws``: starts the local AWS as a process of its own and talks to its control API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import boto3

from tests.local_aws.settings import Settings
from tests.model.policies import Deny

# The example key pair of AWS's own documentation (the same as in credentials.py, which needs moto).
ADMIN_KEY = "AKIAIOSFODNN7EXAMPLE"
ADMIN_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 10.0

CAPACITY = {
    "InsufficientInstanceCapacity": (500, "We currently do not have sufficient capacity in the zone you requested."),
    "InsufficientHostCapacity": (500, "There is not enough capacity to fulfill your Dedicated Host request."),
    "InsufficientCapacityOnHost": (400, "The dedicated host has insufficient capacity to launch the instances."),
    "ReservationCapacityExceeded": (400, "The reservation has not enough available capacity for this request."),
}
"""Status and message of the errors with which EC2 refuses a start for now."""

AS_STARTED = dict(os.environ)
"""The environment of this process before any test changed it."""

Record = dict[str, Any]


class ControlError(Exception):
    """The control API refused a call; the text says why."""


class LocalAws:
    """A running local AWS. Use it as a context manager, or ``start`` and ``stop`` it.

    >>> with LocalAws(settings=QUICK) as aws:
    ...     ec2 = boto3.client("ec2", **aws.boto3_arguments())
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        region: str = "us-east-1",
        account: str = "123456789012",
        port: int = 0,
        python: str = sys.executable,
        lambda_python: str | None = None,
        log: IO[str] | None = None,
    ) -> None:
        """``python`` runs the server and needs moto; ``lambda_python`` runs the functions (default: the same).

        ``log`` takes the server's complaints; None lets them through to standard error.
        """
        self.region, self._account = region, account
        self._settings = settings or Settings()
        self._arguments = [
            python,
            "-m",
            "tests.local_aws",
            "--exit-with-stdin",
            "--port",
            str(port),
            "--region",
            region,
        ]
        self._arguments += ["--lambda-python", lambda_python or python]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._of_thread = threading.local()
        self.endpoint_url = self.dial = ""

    # The process

    def start(self) -> LocalAws:
        """Starts the server and waits until it answers. Raises RuntimeError if it does not within 60 seconds."""
        values = [f"--{name.replace('_', '-')}={float(value)}" for name, value in asdict(self._settings).items()]
        environment = {k: v for k, v in AS_STARTED.items() if not k.startswith("AWS_")}
        environment["MOTO_ACCOUNT_ID"] = self._account
        self._process = subprocess.Popen(
            [*self._arguments, *values],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The local AWS did not start (exit code {self._process.wait()}).")
        ready = json.loads(line)
        self.endpoint_url, self.dial = ready["endpoint_url"], ready["dial"]
        return self

    def stop(self) -> None:
        """Ends the server and its workers."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def __enter__(self) -> LocalAws:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
        """Environment variables for terraform, boto3 and the AWS CLI: the inherited ones without other AWS settings.

        Those are the ones that this process was started with, unless others are given.
        """
        kept = AS_STARTED if inherited is None else inherited
        return {
            **{key: value for key, value in kept.items() if not key.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ADMIN_KEY,
            "AWS_SECRET_ACCESS_KEY": ADMIN_SECRET,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LOCAL_AWS_DIAL": self.dial,
        }

    def boto3_arguments(self) -> dict[str, str]:
        """Keyword arguments for ``boto3.client``."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": ADMIN_KEY,
            "aws_secret_access_key": ADMIN_SECRET,
        }

    def client(self, service: str, region: str = "") -> Any:
        """A client, from a session of this thread: no two threads may make clients from one session at once."""
        if not hasattr(self._of_thread, "session"):
            self._of_thread.session = boto3.session.Session()
        make: Any = self._of_thread.session.client
        return make(service, **(self.boto3_arguments() | ({"region_name": region} if region else {})))

    def call(self, name: str, /, **arguments: Any) -> Any:
        """One call of the control API. Raises ControlError with its sentence."""
        request = urllib.request.Request(f"{self.endpoint_url}/_local/{name}", json.dumps(arguments).encode())
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ControlError(json.load(error)["error"]) from None

    # The clock

    @property
    def hurries(self) -> bool:
        return self._settings.hurries

    def now(self) -> datetime:
        """The time there, in UTC. It stands still while a function computes, and is ahead once it was moved."""
        return datetime.fromtimestamp(self.call("now"), UTC)

    def run(self, seconds: float) -> None:
        """Lets so many seconds pass there, as fast as may be, and waits until all that was due by then is done."""
        self.call("run", seconds=seconds)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Meanwhile no time passes there but what is asked for: however long somebody takes, nothing comes of it."""
        self.call("stand_still", still=True)
        try:
            yield
        finally:
            self.call("stand_still", still=False)

    # Settings and failures

    def settings(self) -> Record:
        """The durations and speed-ups in force (see ``Settings``)."""
        return dict(self.call("settings"))

    def configure(self, **changes: float) -> None:
        """Changes settings for what begins from now on."""
        self.call("configure", **changes)

    def fail_call(
        self,
        operation: str,
        code: str,
        message: str = "Ordered by the test.",
        *,
        count: int = 1,
        status: int = 400,
        after: bool = False,
        caller: str = "*",
        dry_run: bool = False,
    ) -> None:
        """Refuses the next calls of an API operation (wildcards allowed), or the next dry runs.

        With ``after`` they take effect and only the answer is lost. SDKs retry status 500 and throttling codes, and
        each try counts.
        """
        match = {"operation": operation, "caller": caller, "dry_run": str(dry_run).lower()}
        self.call("fail", kind="api", count=count, match=match, code=code, message=message, status=status, after=after)

    def fail_volume(self, *, snapshot: str = "*", count: int = 1) -> None:
        """The next created volumes end in `error`, with a createVolume event that failed for a KMS cause."""
        self.call("fail", kind="create_volume", count=count, match={"snapshot": snapshot})

    def fail_modification(self, *, volume: str = "*", count: int = 1) -> None:
        """The next modifications of volumes end in `failed`."""
        self.call("fail", kind="modify_volume", count=count, match={"volume": volume})

    def fail_snapshot(self, *, volume: str = "*", count: int = 1) -> None:
        """The next snapshots end in `error`, with a createSnapshot event that failed."""
        self.call("fail", kind="snapshot", count=count, match={"volume": volume})

    def fail_start(
        self,
        *,
        instance: str = "*",
        message: str = "Client.InternalError: Client error on launch",
        count: int = 1,
    ) -> None:
        """The next starts succeed as calls and fall back to `stopped` with this StateReason."""
        self.call("fail", kind="start", count=count, match={"instance": instance}, message=message)

    def refuse_start_for_capacity(self, code: str = "InsufficientInstanceCapacity", *, count: int = 1) -> None:
        """The next StartInstances calls are refused with one of the codes in CAPACITY.

        Where EC2 is short itself it answers with status 500, which SDKs try again: each try counts.
        """
        status, message = CAPACITY[code]
        self.fail_call("StartInstances", code, message, count=count, status=status)

    def drop_events(self, *, event: str = "*", resource: str = "*", count: int = 1) -> None:
        """The next EC2 events get lost. ``event`` is the state or the detail's event name, such as createSnapshot."""
        self.call("fail", kind="drop_event", count=count, match={"event": event, "resource": resource})

    def double_events(self, *, event: str = "*", resource: str = "*", count: int = 1) -> None:
        """The next EC2 events come twice."""
        self.call("fail", kind="double_event", count=count, match={"event": event, "resource": resource})

    def delay_events(self, seconds: float, *, event: str = "*", resource: str = "*", count: int = 1) -> None:
        """The next EC2 events come late."""
        match = {"event": event, "resource": resource}
        self.call("fail", kind="delay_event", count=count, match=match, seconds=seconds)

    def clear_faults(self) -> None:
        """Takes back all ordered failures that have not happened yet."""
        self.call("clear_faults")

    @contextmanager
    def wrong(self, way: str) -> Iterator[None]:
        """Meanwhile it is no AWS, in one of the ways of wrong.py: for tests of what should find that out."""
        self.call("go_wrong", way=way)
        try:
            yield
        finally:
            self.call("go_wrong")

    def deny(self, policy: Deny) -> None:
        """From now on EC2 refuses to roles what this policy denies. The callers in it are ARNs of sessions of roles:
        `*-park` is the park function, `*-start` the start function."""
        self.call("deny", **policy.as_json())

    def clear_denials(self) -> None:
        """No policy denies anything any more."""
        self.call("clear_denials")

    def set_key(self, key: str, *, usable: bool) -> None:
        """Whether EC2 can use a KMS key (ARN), as one that another account shares. Else it can use the enabled keys of
        this account."""
        self.call("set_key", key=key, usable=usable)

    def enable_region(self, name: str, *, enabled: bool = True) -> None:
        """The account enables a region that has to be opted in to, or disables it again. EC2 answers in no other."""
        self.call("enable_region", name=name, enabled=enabled)

    # EC2

    def fingerprint(self, resource_id: str) -> str:
        """The fingerprint of what is on a volume or in a snapshot; `empty` for a new volume."""
        return str(self.call("content", resource_id=resource_id)["fingerprint"])

    def lineage(self, resource_id: str) -> list[str]:
        """All fingerprints of a volume's or snapshot's content, oldest first, the present one last."""
        content = self.call("content", resource_id=resource_id)
        return [*content["lineage"], content["fingerprint"]]

    def fingerprints(self, instance_id: str) -> dict[str, str]:
        """Device name to fingerprint, for the volumes attached to an instance."""
        return {device: c["fingerprint"] for device, c in self.call("contents", instance_id=instance_id).items()}

    def write(self, instance_id: str, device: str | None = None, *, written_gib: float | None = None) -> dict[str, str]:
        """A running instance changes one or all of its volumes; ``written_gib`` sets the size of all written blocks."""
        changed = self.call("write", instance_id=instance_id, device=device, written_gib=written_gib)
        return {name: content["fingerprint"] for name, content in changed.items()}

    def set_instance(self, instance_id: str, **facts: Any) -> None:
        """Sets facts that no API call can set.

        state_reason ("Code: message", or None), lifecycle ("spot"), hibernation_configured (bool), product_codes
        (list), licenses (list of ARNs), root_device_type, outpost_arn, availability_zone, operator (principal),
        launch_time and attach_time (ISO 8601, UTC; the latter of all its volumes), tags (`aws:` allowed).
        """
        self.call("set_instance", instance_id=instance_id, **facts)

    def guest_shutdown(self, instance_id: str) -> None:
        """``shutdown`` inside the guest."""
        self.call("guest_shutdown", instance_id=instance_id)

    def stop_because(self, instance_id: str, state_reason: str) -> None:
        """AWS stops the instance, for example with "Server.ScheduledStop: Stopped due to scheduled retirement"."""
        self.call("stop_because", instance_id=instance_id, state_reason=state_reason)

    # Events

    def events(self) -> list[Record]:
        """Emitted events, oldest first: event, delivered and failed (target ARNs), fault (`drop` or None)."""
        return list(self.call("events"))

    def emit(self, event: Record) -> Record:
        """Offers any event to the deployed rules; returns its entry as in ``events``."""
        return dict(self.call("emit", event=event))

    def fire_rule(self, name: str, *, region: str | None = None) -> Record:
        """Fires a scheduled rule now."""
        return dict(self.call("fire_rule", name=name, region=region))

    def fire_schedule(self, name: str, *, group: str = "default", region: str | None = None) -> None:
        """Fires a schedule of EventBridge Scheduler now. Raises ControlError where its role may not do it."""
        self.call("fire_schedule", name=name, group=group, region=region)

    # Lambda and SQS

    def invocations(self, function: str | None = None) -> list[Record]:
        """Executions, oldest first: function, request_id, trigger (sqs, asynchronous, url, invoke), event and payload
        (JSON text), error, begun, seconds (None while it runs), attempt."""
        return list(self.call("invocations", function=function))

    def end_idle_environments(self) -> None:
        """Ends the execution environments that are idle, as Lambda does sooner or later."""
        self.call("end_idle_environments")

    def logs(self, function: str | None = None) -> list[str]:
        """The lines that functions wrote, oldest first."""
        return [entry["line"] for entry in self.call("logs", function=function)]

    def queues(self, *, region: str | None = None) -> dict[str, dict[str, int]]:
        """Queue name to its numbers of messages: visible, delayed, in_flight."""
        return dict(self.call("queues", region=region))

    def messages(self, queue: str, *, region: str | None = None) -> list[Record]:
        """All messages in a queue, without receiving them: body, receive_count, attributes."""
        return list(self.call("messages", queue=queue, region=region))

    def function_urls(self) -> dict[str, str]:
        """Function ARN to its URL."""
        return dict(self.call("function_urls"))

    def calls(self, since: int = 0, *, role: str | None = None) -> list[Record]:
        """API calls after a number, oldest first, of one role (ARN) if given.

        number, time, service, operation, region, caller, role, parameters, resources (EC2 id -> tags before the call),
        facts (volume or snapshot -> IAM's keys for its origin), attached (instance -> device -> volume, tags,
        kms_key), licenses (instance -> ARNs), kms_keys (id or SSM parameter -> key), error (code or None), status.
        """
        return [call for call in self.call("calls", since=since) if role is None or call["role"] == role]

    # Looking and waiting

    def resources(self) -> dict[str, list[str]]:
        """What exists, by kind; empty when nothing is left."""
        return dict(self.call("resources"))

    def under_way(self) -> Record:
        """What is not at rest: timers (names), executions, asynchronous, batches, messages (numbers)."""
        return dict(self.call("under_way"))

    def wait_until_quiet(self, seconds: float = 30.0) -> None:
        """Waits until nothing is under way; delayed messages and schedules do not count. Raises TimeoutError."""
        self.wait_for(lambda: not any(self.under_way().values()), seconds, "to be quiet", self.under_way, 0.1)

    def wait_for(
        self,
        condition: Callable[[], object],
        seconds: float,
        what: str = "what was expected",
        seen: Callable[[], object] = str,
        every: float = 1.0,
    ) -> None:
        """Asks every so many seconds until the condition holds. Raises TimeoutError with what was seen instead.

        The seconds are those of the local AWS. Where its clock hurries they pass as fast as they can.
        """
        until = self.now() + timedelta(seconds=seconds)
        while not condition():
            if self.now() > until:
                raise TimeoutError(f"Waited {seconds:g} seconds for {what}; seen instead: {seen()}")
            self.run(every) if self.hurries else time.sleep(every)
