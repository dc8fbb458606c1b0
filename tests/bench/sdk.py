"""boto3's client on the model's clock: every call takes its time, and is retried as botocore retries it.

The retry modes are botocore's own classes: its quota, its back-off, and the rate limiter of the adaptive mode. Only the
loop around them (botocore.endpoint.Endpoint._send_request) is written anew, and their clock is the model's.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.retries import adaptive, bucket, quota, standard, throttling

from tests.bench.simulation import Clock, Condition, Simulation
from tests.model.answers import Answer
from tests.model.client import HTTP_STATUS, Operation
from tests.model.ec2_model import EC2Client
from tests.model.faults import FaultPlan
from tests.model.validation import service_model
from tests.model.world import World

DESCRIBING_SECONDS = 0.25
CHANGING_SECONDS = 0.4
"""What a call takes from the function and back, and the function's own work for it. Assumed: AWS documents none."""

STOCK_ATTEMPTS = 3
"""What boto3 does by itself: retry mode standard with three attempts (botocore 1.44)."""


class _Bucket(bucket.TokenBucket):
    """The token bucket of the adaptive mode; it waits on the model's clock."""

    def __init__(self, simulation: Simulation, clock: Clock) -> None:
        super().__init__(max_rate=1, clock=clock)  # type: ignore[arg-type]  # shaped like botocore's
        self._new_fill_rate_condition = Condition(simulation)


class Retries:
    """What botocore registers for a client: the standard retry handler, and in the adaptive mode the rate limiter."""

    def __init__(self, simulation: Simulation, config: Config | None) -> None:
        wanted: dict[str, Any] = dict(getattr(config, "retries", None) or {})
        attempts = wanted["max_attempts"] + 1 if "max_attempts" in wanted else STOCK_ATTEMPTS
        adapter = standard.RetryEventAdapter()
        detector = standard.ThrottlingErrorDetector(adapter)
        self._quota = standard.RetryQuotaChecker(quota.RetryQuota(), detector)
        backoff = standard.ExponentialBackoff(
            service_name="ec2", throttling_detector=detector, random=random.Random(0).random
        )
        policy = standard.RetryPolicy(standard.StandardRetryConditions(max_attempts=attempts), backoff)
        self._handler = standard.RetryHandler(
            policy,
            adapter,
            self._quota,  # type: ignore[arg-type]  # the stubs name another class than botocore does
            service_name="ec2",
        )
        self.limiter: adaptive.ClientRateLimiter | None = None
        if wanted.get("mode") == "adaptive":
            clock = Clock(simulation)
            self.limiter = adaptive.ClientRateLimiter(
                rate_adjustor=throttling.CubicCalculator(starting_max_rate=0, start_time=clock.current_time()),
                rate_clocker=adaptive.RateClocker(clock),
                token_bucket=_Bucket(simulation, clock),
                throttling_detector=detector,
                clock=clock,
            )

    def before_send(self) -> None:
        if self.limiter:
            self.limiter.on_sending_request(request=None)

    def after(self, name: str, code: str, status: int, attempt: int, context: dict[str, Any]) -> float | None:
        """The seconds until the next attempt; None where there is none."""
        parsed = {"Error": {"Code": code}} if code else {}
        response = (SimpleNamespace(status_code=status, headers={}), parsed)
        said: dict[str, Any] = {
            "response": response,
            "attempts": attempt,
            "operation": service_model("ec2").operation_model(name),
            "caught_exception": None,
            "request_dict": {"context": context},
        }
        delay: float | None = self._handler.needs_retry(**said) if code else None
        if self.limiter:
            self.limiter.on_receiving_response(**said)
        if not code:
            self._quota.release_retry_quota(context, http_response=response[0])  # type: ignore[arg-type]  # the same
        return delay


class Ec2Sdk(EC2Client):
    """A boto3 client of EC2 for one process, in the home region or in the one of ``world``. ``tally`` counts what it
    sends."""

    def __init__(
        self,
        simulation: Simulation,
        caller: str,
        config: Config | None = None,
        *,
        faults: FaultPlan | None = None,
        tally: Tally | None = None,
        world: World | None = None,
    ) -> None:
        super().__init__(world or simulation.world, caller, faults=faults)
        self._simulation = simulation
        self._retries = Retries(simulation, config)
        self.tally = tally or Tally()

    def _call(self, op: Operation, /, **params: Any) -> Answer:
        self.before_call(op)
        attempt, context = 1, dict[str, Any]()
        while True:
            self._retries.before_send()
            describing = op.name.startswith("Describe")
            self._simulation.sleep(DESCRIBING_SECONDS if describing else CHANGING_SECONDS)
            self.tally.attempt(op.name)
            try:
                answer = self._send(op, params)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "RequestLimitExceeded":
                    self.tally.throttled += 1
                delay = self._retries.after(op.name, code, HTTP_STATUS.get(code, 400), attempt, context)
                if delay is None:
                    delay = self._needs_retry(op, error, attempt)
                if delay is None:
                    raise
            else:
                self._retries.after(op.name, "", 200, attempt, context)
                return answer
            attempt += 1
            self._simulation.sleep(delay)

    def _needs_retry(self, op: Operation, error: ClientError, attempt: int) -> float | None:
        """What hooks say that were registered after the SDK's own: they are heard where that gives up."""
        said = {"response": (None, error.response), "attempts": attempt, "operation": SimpleNamespace(name=op.name)}
        return next((delay for hook in self.hooks["needs-retry"] if (delay := hook(**said)) is not None), None)


class Tally:
    """The calls that were sent, by operation; a repetition is a call."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.throttled = 0

    def attempt(self, operation: str) -> None:
        self.calls[operation] = self.calls.get(operation, 0) + 1

    @property
    def describing(self) -> int:
        return sum(n for name, n in self.calls.items() if name.startswith("Describe"))

    @property
    def changing(self) -> int:
        return sum(self.calls.values()) - self.describing
