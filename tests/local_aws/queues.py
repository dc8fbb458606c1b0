"""SQS made thread-safe, and the event source mappings that poll it for Lambda.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from moto.awslambda.models import EventSourceMapping
from moto.core.utils import unix_time_millis
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from tests.local_aws.clock import Alarm, Slots, Turn
from tests.local_aws.world import ACCOUNT, World

if TYPE_CHECKING:
    from tests.local_aws.lambdas import Lambdas

log = logging.getLogger(__name__)

HIDDEN_SECONDS = 43_200
POLL_SECONDS = 0.25
DEFAULT_CONCURRENCY = 10
A_LITTLE = 0.002
"""Seconds: moto counts milliseconds, and shows a message after its time, not at it."""


class SafeQueue(Queue):
    """moto's queue loses messages when one thread deletes while another sends, and rewords its policies."""

    BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]  # noqa: RUF012  # moto's is a plain list, too
    redrive_allow_policy: str | None = None

    arrived: ClassVar[Callable[[str, float], None]]
    """Is told the queue's ARN, and in how many seconds there is a message in it."""

    def add_message(self, message: Message) -> None:
        """Only keeps the message (standard queues). moto would invoke the mapped function here, in this thread."""
        with self._messages_lock:
            self._messages.append(message)
            self._messages_lock.notify_all()
        SafeQueue.arrived(self.queue_arn, max(0.0, (message.delayed_until - unix_time_millis()) / 1000))

    def delete_message(self, receipt_handle: str) -> None:
        with self._messages_lock:
            super().delete_message(receipt_handle)

    def _setup_dlq(self, policy: Any) -> None:
        super()._setup_dlq(policy)
        self.redrive_policy_text = policy if isinstance(policy, str) else json.dumps(policy)

    def _set_attributes(self, attributes: dict[str, Any], now: float | None = None) -> None:
        if "RedriveAllowPolicy" in attributes:
            self.redrive_allow_policy = attributes["RedriveAllowPolicy"] or None
        others = {key: value for key, value in attributes.items() if key != "RedriveAllowPolicy"}
        policy_before = self.policy if hasattr(self, "_policy_json") else None
        super()._set_attributes(others, now)
        if "Policy" not in attributes and policy_before:
            self.policy = policy_before  # moto forgets the policy whenever another attribute is set

    @property
    def attributes(self) -> dict[str, Any]:
        """SQS gives both redrive policies back as they were set; otherwise Terraform's second plan is not empty."""
        attributes = super().attributes
        if attributes.get("RedrivePolicy"):
            attributes["RedrivePolicy"] = self.redrive_policy_text
        if self.redrive_allow_policy:
            attributes["RedriveAllowPolicy"] = self.redrive_allow_policy
        return attributes


class SafeSqs(SQSBackend):
    """moto's SQS with receives that do not collide."""

    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        queue = self.get_queue(queue_name)
        until = time.time() + (wait_seconds_timeout or 0)
        while True:
            with queue._messages_lock:
                found = super().receive_message(queue_name, count, 0, visibility_timeout, message_attribute_names)
                left = until - time.time()
                if found or left <= 0:
                    return found
                queue._messages_lock.wait(min(left, POLL_SECONDS))


class Mapped:
    """An event source mapping at work: batches, their window, concurrency, partial failures, retries.

    All but the work on a batch is done in the clock's thread.
    """

    def __init__(self, world: World, lambdas: Lambdas, mapping: EventSourceMapping) -> None:
        self._world = world
        self._lambdas = lambdas
        self._mapping = mapping
        self.source = mapping.event_source_arn
        self._region, self._queue_name = mapping.event_source_arn.split(":")[3], mapping.event_source_arn.split(":")[5]
        limit = int((mapping.scaling_config or {}).get("MaximumConcurrency") or DEFAULT_CONCURRENCY)
        self._slots = Slots(world.clock, lambda: limit)
        self._batch: list[Message] = []
        self._window: Alarm | None = None
        self._executor = ThreadPoolExecutor(max_workers=limit, thread_name_prefix="batch")
        self.acted("GetQueueAttributes")

    @property
    def busy(self) -> int:
        """Batches that are being worked on."""
        return self._slots.taken

    @property
    def _queue(self) -> Queue | None:
        return sqs_backends[ACCOUNT][self._region].queues.get(self._queue_name)

    def look(self) -> None:
        """Collects until the batch is full or its window is over. Without a free place nothing is taken."""
        while self._mapping.enabled and self._slots.free:
            self._collect()
            if len(self._batch) < self._mapping.batch_size:
                break
            self._send()
        if self._batch and self._window is None:
            cap = self._world.settings.batching_window_cap_seconds
            window = min(float(self._mapping.max_batch_window or 0), cap)
            self._window = self._world.clock.after(window, f"a batch of {self._queue_name} is sent", self._close)

    def _collect(self) -> None:
        if self._queue is None:
            return
        while room := min(10, self._mapping.batch_size - len(self._batch)):
            sqs = sqs_backends[ACCOUNT][self._region]
            more = sqs.receive_message(self._queue_name, room, 0, HIDDEN_SECONDS)
            if not more:
                return
            self._batch += more

    def _close(self) -> None:
        self._send()
        self.look()

    def _send(self) -> None:
        if self._window is not None:
            self._window.cancel()
            self._window = None
        batch, self._batch = self._batch, []
        self.acted("ReceiveMessage")
        self._slots.take_now()
        self._executor.submit(self._work, batch, self._world.clock.work())

    def acted(self, operation: str) -> None:
        """Lambda polls with the role of the function."""
        function = self._lambdas.function(self._mapping.function_arn)
        if function is not None:
            self._world.acted(function.role, "sqs", operation, self._region, {"QueueName": self._queue_name})

    def _work(self, batch: list[Message], turn: Turn) -> None:
        """Invokes the function with a batch; successes are deleted, failures come back after the visibility timeout."""
        with turn:
            try:
                failed = self._invoke(batch, turn)
                for message in batch:
                    if message.id in failed:
                        self._hand_back(message)
                    else:
                        sqs = sqs_backends[ACCOUNT][self._region]
                        sqs.delete_message(self._queue_name, str(message.receipt_handle))
                        self.acted("DeleteMessage")
            except Exception:
                log.exception("A batch of the queue %s failed.", self._queue_name)
            finally:
                self._slots.give_back()
                self._world.clock.after(0, f"{self._queue_name} is looked at", self.look)

    def _invoke(self, batch: list[Message], turn: Turn) -> set[str]:
        """The ids of the messages that failed."""
        everything = {message.id for message in batch}
        function = self._lambdas.function(self._mapping.function_arn)
        if function is None:
            return everything
        event = {"Records": [self._record(message) for message in batch]}
        result = self._lambdas.invoke(function, json.dumps(event), turn, trigger="sqs")
        if result.error:
            return everything
        if "ReportBatchItemFailures" not in (self._mapping.function_response_types or []):
            return set()
        return self.reported_failures(result.payload, everything)

    @staticmethod
    def reported_failures(payload: str, everything: set[str]) -> set[str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: an answer in the wrong form, an
        empty or unknown identifier fails the whole batch; no answer at all is success."""
        try:
            answer = json.loads(payload or "null")
            if answer is None or answer == {} or not answer.get("batchItemFailures"):
                return set()
            failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        except (ValueError, TypeError, KeyError, AttributeError):
            return everything
        return failed if failed <= everything else everything

    def _hand_back(self, message: Message) -> None:
        queue = self._queue
        if queue is None:
            return
        seconds = float(queue.visibility_timeout) * self._world.settings.visibility_factor  # type: ignore[attr-defined]
        with queue._messages_lock:
            for original in queue._messages:
                if original.id == message.id:
                    original.visible_at = unix_time_millis() + 1000 * seconds
        self._world.clock.after(seconds + A_LITTLE, f"a message of {queue.name} is visible again", self.look)

    def _record(self, message: Message) -> dict[str, Any]:
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.approximate_receive_count),
                "SentTimestamp": str(message.sent_timestamp),
                "SenderId": message.sender_id,
                "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
            },
            "messageAttributes": {
                name: {"stringValue": value.get("StringValue"), "dataType": value.get("DataType")}
                for name, value in message.message_attributes.items()
            },
            "md5OfBody": message.body_md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": self._mapping.event_source_arn,
            "awsRegion": self._region,
        }


class Mappings:
    """All event source mappings. They are told of every message, so that nobody has to ask again and again."""

    def __init__(self, world: World, lambdas: Lambdas) -> None:
        self._world = world
        self._lambdas = lambdas
        self._mapped: dict[str, Mapped] = {}

    @property
    def busy(self) -> int:
        """Batches that are being worked on."""
        return sum(mapped.busy for mapped in list(self._mapped.values()))

    def begin(self, mapping: EventSourceMapping) -> None:
        if ":sqs:" in mapping.event_source_arn:
            self._mapped[mapping.uuid] = Mapped(self._world, self._lambdas, mapping)
            self.arrived(mapping.event_source_arn)

    def end(self, uuid: str) -> None:
        self._mapped.pop(uuid, None)

    def arrived(self, queue_arn: str, seconds: float = 0.0) -> None:
        """In so many seconds there is something in a queue that may not have been there before."""
        later = seconds + A_LITTLE if seconds else 0.0
        look = partial(self._look, queue_arn)
        self._world.clock.after(later, f"a message in {queue_arn.rsplit(':', 1)[-1]}", look, background=bool(seconds))

    def _look(self, queue_arn: str) -> None:
        for mapped in list(self._mapped.values()):
            if mapped.source == queue_arn:
                mapped.look()
