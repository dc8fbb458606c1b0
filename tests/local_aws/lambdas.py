"""Lambda for real: the deployed zip runs in worker processes with the deployed handler, environment and role.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
import zipfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends

from tests.local_aws.clock import Clock, Slots, Turn
from tests.local_aws.credentials import Caller, credentials_of_role
from tests.local_aws.world import ACCOUNT, World

log = logging.getLogger(__name__)

HANGS_SECONDS = 600.0
"""Of the machine: a function that computes for so long never ends, for the clock stands still while it does."""
KEPT = 20_000
MAX_RETRIES = 2
WORKER = Path(__file__).with_name("lambda_worker.py")


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an invocation ended: the payload (JSON text), and ``Unhandled`` in ``error`` if it is an error's."""

    request_id: str
    payload: str
    error: str | None
    logs: list[str]


class Throttled(Exception):
    """No execution became free in time."""


class WorkerEnded(Exception):
    """The worker process ended or ran out of time; the text is Lambda's error payload."""


class Worker:
    """One execution environment: a process that handles one event after the other."""

    def __init__(self, python: str, task_root: Path, environment: dict[str, str], stream: str) -> None:
        self.stream = stream
        self.tmp = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        request_read, request_write = os.pipe()
        answer_read, answer_write = os.pipe()
        self._process = subprocess.Popen(
            [python, "-I", "-u", str(WORKER), str(request_read), str(answer_write)],
            env=environment,
            cwd=task_root,
            pass_fds=(request_read, answer_write),
            stdin=subprocess.DEVNULL,
            stdout=self.tmp,
            stderr=self.tmp,
            start_new_session=True,
        )
        os.close(request_read)
        os.close(answer_write)
        self._requests = os.fdopen(request_write, "w")
        self._frames: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, args=(os.fdopen(answer_read),), daemon=True).start()
        self.fresh = True

    def _read(self, answers: Any) -> None:
        with answers:
            for line in answers:
                with contextlib.suppress(ValueError):
                    self._frames.put(json.loads(line))
        self._frames.put(None)

    def handle(self, request: dict[str, Any], timeout: float, lines: list[str], clock: Clock) -> dict[str, Any]:
        """Hands one event over and waits for the answer, log lines on the way. Raises WorkerEnded."""
        if self.fresh:
            self._wait("ready", timeout, lines, request["request_id"])
            self.fresh = False
        request["deadline"] = time.time() + timeout
        limit = clock.after(timeout, f"the time of {request['request_id']} is over", self._end_time, background=True)
        try:
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
            return self._wait("", timeout, lines, request["request_id"])
        except OSError:
            raise WorkerEnded(self._exit_error(request["request_id"])) from None
        finally:
            limit.cancel()

    def _end_time(self) -> None:
        self._frames.put({"timed out": True})

    def _wait(self, wanted: str, timeout: float, lines: list[str], request_id: str) -> dict[str, Any]:
        while True:
            try:
                frame = self._frames.get(timeout=HANGS_SECONDS)
            except queue.Empty:
                frame = {"timed out": True}
            if frame is None:
                raise WorkerEnded(self._exit_error(request_id))
            if "timed out" in frame:
                self.kill()
                over = f"Task timed out after {timeout:.2f} seconds"
                lines.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z} {request_id} {over}")
                error = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request_id} Error: {over}"}
                raise WorkerEnded(json.dumps(error))
            if "log" in frame:
                lines.append(frame["log"])
            elif not wanted or wanted in frame:
                return frame

    def _exit_error(self, request_id: str) -> str:
        status = self._process.wait()
        self.tmp.seek(0)
        said = self.tmp.read().decode(errors="replace").strip()
        message = f"RequestId: {request_id} Error: Runtime exited with error: exit status {status}"
        return json.dumps({"errorType": "Runtime.ExitError", "errorMessage": f"{message}\n{said}" if said else message})

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends the process and all it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            self._requests.close()
        self.tmp.close()


@dataclass(kw_only=True)
class Pool:
    """The idle workers of one version of one function, and where its zip is unpacked."""

    version: str
    task_root: Path
    caller: Caller
    idle: list[Worker] = field(default_factory=list)


class Lambdas:
    """Invokes deployed functions, waiting for the answer or not."""

    def __init__(self, world: World, python: str, endpoint_url: str, dial: Path) -> None:
        self._world = world
        self.clock = world.clock
        self._dial = dial
        self._python = python
        self._endpoint_url = endpoint_url
        self._pools: dict[str, Pool] = {}
        self._busy: set[Worker] = set()
        self._stopped = False
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="local-aws-lambda-"))
        self._executor = ThreadPoolExecutor(max_workers=1000, thread_name_prefix="lambda")
        self.slots = Slots(self.clock, lambda: self._world.settings.lambda_concurrency)
        """For the executions of this moment."""
        self._turns: dict[str, Turn] = {}
        self.waiting = 0
        """Asynchronous invocations that are accepted and not yet begun or between retries."""
        self.lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """Log lines: function, request_id, time (seconds since the epoch), line."""
        self.invocations: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """number, function, request_id, trigger, event (JSON text), payload, error, begun, seconds, attempt."""

    @staticmethod
    def function(name_or_arn: str, region: str | None = None) -> LambdaFunction | None:
        """The deployed function of a name (then with the region) or an ARN."""
        if name_or_arn.startswith("arn:"):
            region, name_or_arn = name_or_arn.split(":")[3], name_or_arn.split(":")[6]
        assert region is not None
        functions = lambda_backends[ACCOUNT][region]._lambdas._functions
        latest = functions.get(name_or_arn, {}).get("latest")
        return latest if isinstance(latest, LambdaFunction) else None

    # Synchronous

    def invoke(
        self,
        function: LambdaFunction,
        event: str,
        turn: Turn,
        *,
        trigger: str,
        attempt: int = 1,
        wait_seconds: float = 60.0,
    ) -> Result:
        """One execution, in the turn of who asks. Raises Throttled if none becomes free within ``wait_seconds``."""
        if not self.slots.take(turn, wait_seconds):
            raise Throttled
        try:
            return self._execute(function, event, turn, trigger, attempt)
        finally:
            self.slots.give_back()

    def sleep(self, request_id: str, seconds: float) -> None:
        """A function sleeps. One whose time is over is gone, and not waited for."""
        turn = self._turns.get(request_id)
        if turn is not None:
            turn.sleep(seconds, f"the sleep of {request_id}")

    def _execute(self, function: LambdaFunction, event: str, turn: Turn, trigger: str, attempt: int) -> Result:
        request_id, lines, begun = str(uuid.uuid4()), list[str](), time.time()
        entry = {
            "number": len(self.invocations),
            "function": function.function_name,
            "request_id": request_id,
            "trigger": trigger,
            "event": event,
            "attempt": attempt,
            "begun": begun,
            "seconds": None,
            "payload": None,
            "error": None,
        }
        self.invocations.append(entry)
        pool = self._pool(function)
        worker = self._worker(function, pool)
        request = {"request_id": request_id, "event": event, "arn": function.function_arn}
        error: str | None = None
        self._turns[request_id] = turn
        try:
            frame = worker.handle(request, float(function.timeout), lines, self.clock)
            payload = frame["result"] if "result" in frame else json.dumps(frame["error"])
            error = None if "result" in frame else "Unhandled"
            self._give_back(pool, worker)
        except WorkerEnded as ended:
            payload, error = str(ended), "Unhandled"
            with self._lock:
                self._busy.discard(worker)
            worker.kill()
        finally:
            del self._turns[request_id]
        entry |= {"seconds": time.time() - begun, "payload": payload, "error": error}
        self._write_logs(function, worker.stream, request_id, lines, float(entry["seconds"]))
        return Result(request_id=request_id, payload=payload, error=error, logs=lines)

    def _pool(self, function: LambdaFunction) -> Pool:
        """The pool of the function as it is deployed now; workers of an older deployment are ended."""
        version = f"{function.code_sha_256} {json.dumps(function.get_configuration(), sort_keys=True, default=str)}"
        with self._lock:
            if self._stopped:
                raise RuntimeError("The local AWS has been stopped.")
            pool = self._pools.get(function.function_arn)
            if pool and pool.version == version:
                return pool
            for worker in pool.idle if pool else []:
                worker.kill()
            root = Path(tempfile.mkdtemp(dir=self._folder))
            with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                archive.extractall(root)
            caller = credentials_of_role(function.role, function.function_name, function.region)
            self._pools[function.function_arn] = Pool(version=version, task_root=root, caller=caller)
            return self._pools[function.function_arn]

    def _worker(self, function: LambdaFunction, pool: Pool) -> Worker:
        """A warm worker or a new one."""
        with self._lock:
            while pool.idle:
                worker = pool.idle.pop()
                if worker.alive:
                    self._busy.add(worker)
                    return worker
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        worker = Worker(self._python, pool.task_root, self._environment(function, pool, stream), stream)
        with self._lock:
            self._busy.add(worker)
        return worker

    def _give_back(self, pool: Pool, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            current = pool in self._pools.values()
            if current and worker.alive:
                pool.idle.append(worker)
        if not current:
            worker.kill()

    def _environment(self, function: LambdaFunction, pool: Pool, stream: str) -> dict[str, str]:
        """The deployed variables come first, so that a reserved one cannot be replaced.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        return {
            **{str(k): str(v) for k, v in function.environment_vars.items()},
            "_HANDLER": str(function.handler),
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group(function),
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ACCESS_KEY_ID": pool.caller.access_key,
            "AWS_SECRET_ACCESS_KEY": pool.caller.secret,
            "AWS_SESSION_TOKEN": str(pool.caller.session_token),
            "AWS_ENDPOINT_URL": self._endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LAMBDA_TASK_ROOT": str(pool.task_root),
            "LOCAL_AWS_DIAL": str(self._dial),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }

    def _write_logs(
        self, function: LambdaFunction, stream: str, request_id: str, lines: list[str], seconds: float
    ) -> None:
        """Into the function's log group, if it exists: the deployed roles may not create one."""
        begun = time.time()
        report = json.dumps(
            {
                "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}",
                "type": "platform.report",
                "record": {"requestId": request_id, "metrics": {"durationMs": round(1000 * seconds, 1)}},
            }
        )
        if (function_logging(function).get("LogFormat") or "Text") == "Text":
            report = f"REPORT RequestId: {request_id}\tDuration: {1000 * seconds:.2f} ms\t"
        name = function.function_name
        self.lines += [{"function": name, "request_id": request_id, "time": begun, "line": line} for line in lines]
        logs, group = logs_backends[ACCOUNT][function.region], log_group(function)
        with self._lock, contextlib.suppress(Exception):  # the group may be deleted at any moment
            logs.ensure_log_stream(group, stream)
            events = [{"timestamp": int(1000 * begun), "message": line} for line in [*lines, report]]
            logs.put_log_events(group, stream, events)
        named = {"logGroupName": group, "logStreamName": stream}
        for operation in ("CreateLogStream", "PutLogEvents"):
            self._world.acted(function.role, "logs", operation, function.region, named)

    # Asynchronous

    def invoke_later(self, function: LambdaFunction, event: str) -> None:
        """An asynchronous invocation: up to two retries on error, then the failure destination or dead-letter queue.

        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        """
        self._count(1)
        self._begin(function.function_arn, event, 1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.waiting += change

    def _begin(self, function_arn: str, event: str, attempt: int) -> None:
        self._executor.submit(self._attempt, function_arn, event, attempt, self.clock.work())

    def _attempt(self, function_arn: str, event: str, attempt: int, turn: Turn) -> None:
        with turn:
            function = self.function(function_arn)
            try:
                if function is None or self._is_over(function, event, attempt, turn):
                    self._count(-1)
            except Throttled:
                self._begin(function_arn, event, attempt)
            except Exception:
                log.exception("The invocation of %s failed.", function_arn)
                self._count(-1)

    def _is_over(self, function: LambdaFunction, event: str, attempt: int, turn: Turn) -> bool:
        """One attempt. Answers whether it was the last."""
        result = self.invoke(function, event, turn, trigger="asynchronous", attempt=attempt)
        retries = invoke_config(function).get("MaximumRetryAttempts", MAX_RETRIES)
        if result.error and attempt <= retries:
            delay = self._world.settings.lambda_retry_seconds * attempt
            again = partial(self._begin, function.function_arn, event, attempt + 1)
            self.clock.after(delay, f"retry of {function.function_name}", again)
            return False
        if result.error:
            self._bury(function, event, result, attempt)
        return True

    def _bury(self, function: LambdaFunction, event: str, result: Result, attempts: int) -> None:
        """An event that failed for good."""
        destination = invoke_config(function).get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        record = {
            "version": "1.0",
            "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}",
            "requestContext": {
                "requestId": result.request_id,
                "functionArn": f"{function.function_arn}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(event),
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": result.error},
            "responsePayload": json.loads(result.payload),
        }
        if destination:
            self._send(function, destination, json.dumps(record), {})
        dead_letters = getattr(function, "dead_letter_config", None) or {}
        if dead_letters.get("TargetArn"):
            message = json.loads(result.payload).get("errorMessage", "")
            attributes = {"RequestID": result.request_id, "ErrorCode": "200", "ErrorMessage": message[:1000] or "-"}
            self._send(function, dead_letters["TargetArn"], event, attributes)

    def _send(self, function: LambdaFunction, queue_arn: str, body: str, attributes: dict[str, str]) -> None:
        """Into a queue, as Lambda does it: with the role of the function."""
        _, _, service, region, _, name = queue_arn.split(":", 5)
        if service != "sqs" or name not in sqs_backends[ACCOUNT][region].queues:
            log.warning("Lambda: the destination %s is not a queue that exists; the event is lost.", queue_arn)
            return
        described = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
        sqs_backends[ACCOUNT][region].send_message(name, body, message_attributes=described)
        self._world.acted(function.role, "sqs", "SendMessage", region, {"QueueName": name})

    def end_idle(self) -> None:
        """Ends the workers that have nothing to do, as Lambda does sooner or later; the next invocation starts anew."""
        with self._lock:
            for pool in self._pools.values():
                while pool.idle:
                    pool.idle.pop().kill()

    def stop(self) -> None:
        """Ends every worker and removes what was unpacked; nothing is unpacked any more."""
        self.end_idle()
        with self._lock:
            self._stopped = True
            self._pools.clear()
            for worker in self._busy:
                worker.kill()
            shutil.rmtree(self._folder, ignore_errors=True)


def function_logging(function: LambdaFunction) -> dict[str, Any]:
    """The function's LoggingConfig."""
    return dict(getattr(function, "logging_config", None) or {})


def log_group(function: LambdaFunction) -> str:
    """The name of the log group that the function writes to."""
    return str(function_logging(function).get("LogGroup") or f"/aws/lambda/{function.function_name}")


def invoke_config(function: LambdaFunction) -> dict[str, Any]:
    """The function's EventInvokeConfig, empty if there is none."""
    return dict(function.event_invoke_config[-1].config) if function.event_invoke_config else {}
