"""SQS made thread-safe, and the event source mappings that poll it for Lambda.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import EventSourceMapping, lambda_backends
from moto.core.utils import unix_time_millis
from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from tests.local_aws.world import ACCOUNT, World

if TYPE_CHECKING:
    from tests.local_aws.lambdas import Lambdas

log = logging.getLogger(__name__)

HIDDEN_SECONDS = 43_200
POLL_SECONDS = 0.25
DEFAULT_CONCURRENCY = 10


class SafeQueue(Queue):
    """moto's queue loses messages when one thread deletes while another sends, and rewords its policies."""

    BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]  # noqa: RUF012  # moto's is a plain list, too
    redrive_allow_policy: str | None = None

    def add_message(self, message: Message) -> None:
        """Only keeps the message (standard queues). moto would invoke the mapped function here, in this thread."""
        with self._messages_lock:
            self._messages.append(message)
            self._messages_lock.notify_all()

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
        until = time.monotonic() + (wait_seconds_timeout or 0)
        while True:
            with queue._messages_lock:
                found = super().receive_message(queue_name, count, 0, visibility_timeout, message_attribute_names)
                left = until - time.monotonic()
                if found or left <= 0:
                    return found
                queue._messages_lock.wait(min(left, POLL_SECONDS))


class Pollers:
    """One thread per event source mapping: batches, concurrency, partial failures, retries."""

    def __init__(self, world: World, lambdas: Lambdas) -> None:
        self._world = world
        self._lambdas = lambdas
        self._known: set[str] = set()
        self._slots: dict[str, threading.Semaphore] = {}
        self._executor = ThreadPoolExecutor(max_workers=64, thread_name_prefix="batch")
        self.busy = 0
        """Batches that are being worked on."""
        self._busy_lock = threading.Lock()

    def install(self) -> None:
        threading.Thread(target=self._watch, name="event-source-mappings", daemon=True).start()

    def _watch(self) -> None:
        while True:
            for _, backend in list(lambda_backends[ACCOUNT].items()):
                for mapping in list(backend._event_source_mappings.values()):
                    if mapping.uuid not in self._known and ":sqs:" in mapping.event_source_arn:
                        self._known.add(mapping.uuid)
                        threading.Thread(target=self._poll, args=(backend, mapping), daemon=True).start()
            time.sleep(POLL_SECONDS)

    def _poll(self, backend: Any, mapping: EventSourceMapping) -> None:
        region, name = mapping.event_source_arn.split(":")[3], mapping.event_source_arn.split(":")[5]
        limit = int((mapping.scaling_config or {}).get("MaximumConcurrency") or DEFAULT_CONCURRENCY)
        slots = threading.Semaphore(limit)
        self._acted(mapping, "GetQueueAttributes")
        while mapping.uuid in backend._event_source_mappings:
            queue = sqs_backends[ACCOUNT][region].queues.get(name)
            if queue is None or not mapping.enabled:
                time.sleep(POLL_SECONDS)
                continue
            slots.acquire()
            try:
                batch = self._gather(queue, mapping)
            except QueueDoesNotExist:  # deleted while it was waited for
                batch = []
            if not batch:
                slots.release()
                continue
            self._acted(mapping, "ReceiveMessage")
            with self._busy_lock:
                self.busy += 1
            self._executor.submit(self._work, mapping, queue, batch, slots)

    def _acted(self, mapping: EventSourceMapping, operation: str) -> None:
        """Lambda polls with the role of the function."""
        function = self._lambdas.function(mapping.function_arn)
        if function is not None:
            region, name = mapping.event_source_arn.split(":")[3], mapping.event_source_arn.split(":")[5]
            self._world.acted(function.role, "sqs", operation, region, {"QueueName": name})

    def _gather(self, queue: Queue, mapping: EventSourceMapping) -> list[Message]:
        """Waits for a message, then collects until the batch is full or the window is over."""
        sqs = sqs_backends[ACCOUNT][queue.region]
        batch = sqs.receive_message(queue.name, min(10, mapping.batch_size), 1, HIDDEN_SECONDS)
        window = min(float(mapping.max_batch_window or 0), self._world.settings.batching_window_cap_seconds)
        until = time.monotonic() + window
        while batch and len(batch) < mapping.batch_size and (left := until - time.monotonic()) > 0:
            more = sqs.receive_message(queue.name, min(10, mapping.batch_size - len(batch)), 0, HIDDEN_SECONDS)
            batch += more
            if not more:
                time.sleep(min(left, 0.05))
        return batch

    def _work(
        self, mapping: EventSourceMapping, queue: Queue, batch: list[Message], slots: threading.Semaphore
    ) -> None:
        """Invokes the function with a batch; successes are deleted, failures come back after the visibility timeout."""
        try:
            failed = self._invoke(mapping, queue, batch)
            for message in batch:
                if message.id in failed:
                    self._hand_back(queue, message)
                else:
                    sqs_backends[ACCOUNT][queue.region].delete_message(queue.name, str(message.receipt_handle))
                    self._acted(mapping, "DeleteMessage")
        except Exception:
            log.exception("A batch of the queue %s failed.", queue.name)
        finally:
            with self._busy_lock:
                self.busy -= 1
            slots.release()

    def _invoke(self, mapping: EventSourceMapping, queue: Queue, batch: list[Message]) -> set[str]:
        """The ids of the messages that failed."""
        everything = {message.id for message in batch}
        function = self._lambdas.function(mapping.function_arn)
        if function is None:
            return everything
        event = {"Records": [self._record(queue, message) for message in batch]}
        result = self._lambdas.invoke(function, json.dumps(event), trigger="sqs")
        if result.error:
            return everything
        if "ReportBatchItemFailures" not in (mapping.function_response_types or []):
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

    def _hand_back(self, queue: Queue, message: Message) -> None:
        seconds = float(queue.visibility_timeout) * self._world.settings.visibility_factor  # type: ignore[attr-defined]
        with queue._messages_lock:
            for original in queue._messages:
                if original.id == message.id:
                    original.visible_at = unix_time_millis() + 1000 * seconds

    @staticmethod
    def _record(queue: Queue, message: Message) -> dict[str, Any]:
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
            "eventSourceARN": queue.queue_arn,
            "awsRegion": queue.region,
        }
