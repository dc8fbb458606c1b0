"""What the messages in the park queue say: events of EC2, scheduled events, and what the functions tell each other."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger

from park_volumes.core.reading import flag, instance_id, read_from, snapshot_id, whole
from park_volumes.handlers import runtime
from park_volumes.handlers.wake import START_GOES_ON, WAKE

LOOK_AGAIN = "Look Again"
SWEEP = "Sweep"
ERRANDS = frozenset({SWEEP, WAKE, START_GOES_ON})
"""What a message can ask for instead of a look at instances."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one message asks for: to look at instances, or at the one that a snapshot is of, or an errand.
    ``looks`` counts the delayed messages in a row that led to it; a ``silent`` one comes from a sweep.
    ``last``: it is the last one that wakes, if no more are sent."""

    ids: frozenset[str] = frozenset()
    snapshot_id: str = ""
    looks: int | None = None
    silent: bool = False
    reminder: bool = False
    last: bool = False


@dataclass(kw_only=True)
class Batch:
    """What a batch of messages asks for: the ids, or the errand, in each message, by message id.
    ``looks`` counts, by instance, the delayed messages in a row that led here. ``silent`` messages come from a sweep or
    are delivered again; they do not cause another report of an ongoing problem. ``snapshots`` are the messages about a
    completed snapshot. ``broken`` messages cannot be read."""

    ids_of: dict[str, set[str]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)
    reminder: bool = False
    last: bool = False
    broken: set[str] = field(default_factory=set)

    @property
    def _all(self) -> set[str]:
        return {i for ids in self.ids_of.values() for i in ids}

    @property
    def ids(self) -> set[str]:
        return self._all - ERRANDS

    @property
    def errands(self) -> set[str]:
        return self._all & ERRANDS

    @property
    def snapshot_just_completed(self) -> set[str]:
        """The instances named only because a snapshot is completed.
        If such an instance lacks a snapshot of another volume, another message names it too, maybe at the same moment
        in another function: both would take that snapshot, and one is enough."""
        others = {i for message, ids in self.ids_of.items() if message not in self.snapshots for i in ids}
        return self.ids - others

    @property
    def include_ongoing(self) -> set[str]:
        """The instances for which even an ongoing refusal or error is reported."""
        return {i for message, ids in self.ids_of.items() if message not in self.silent for i in ids}


def read(
    messages: Iterable[dict[str, Any]], instances_of: Callable[[Iterable[str]], Mapping[str, str]], logger: Logger
) -> Batch:
    """Whatever a message says, it costs no other message its turn. ``instances_of`` finds those of snapshots."""
    batch = Batch()
    snapshots: dict[str, str] = {}
    for message in messages:
        message_id = message["messageId"]
        try:
            said = _read_one(json.loads(message["body"]))
        except Exception as error:
            why, body = (ascii(what)[:1000] for what in (error, message.get("body")))
            logger.error(f"A message in the park queue cannot be read: {why}.", body=body)
            batch.broken.add(message_id)
            continue
        batch.ids_of[message_id] = set(said.ids)
        batch.reminder |= said.reminder
        batch.last |= said.last
        if said.snapshot_id:
            snapshots[message_id] = said.snapshot_id
        if said.silent or message.get("attributes", {}).get("ApproximateReceiveCount", "1") != "1":
            batch.silent.add(message_id)
        if said.looks is not None:
            batch.looks.update({i: max(said.looks, batch.looks.get(i, 0)) for i in said.ids})
    if snapshots:
        instance_of = instances_of(snapshots.values())
        batch.snapshots |= snapshots.keys()
        for message_id, its_snapshot in snapshots.items():
            batch.ids_of[message_id] = {instance_of[its_snapshot]} if its_snapshot in instance_of else set()
    return batch


def _read_one(body: Any) -> Message:
    detail = body["detail"]
    match body["detail-type"]:
        case "EC2 Instance State-change Notification":
            return Message(ids=frozenset({read_from(detail, "instance-id", instance_id)}))
        case "EBS Snapshot Notification":
            return Message(snapshot_id=snapshot_id(runtime.id_in_arn(detail["snapshot_id"])))
        case "Scheduled Event":
            return Message(ids=frozenset({SWEEP}), reminder=runtime.is_reminder(body))
        case str(kind) if kind == WAKE:
            return Message(ids=frozenset({WAKE}), last=flag(detail["last"]))
        case str(kind) if kind == START_GOES_ON:
            return Message(ids=frozenset({START_GOES_ON}))
        case str(kind) if kind == LOOK_AGAIN:
            ids, looks = read_from(detail, "instance-ids", _ids), whole(0, 1000)(detail.get("looks", 0))
            silent = not looks and not flag(detail.get("reminder", False))
            return Message(ids=ids, looks=looks, silent=silent)
        case kind:
            raise ValueError(f"unknown detail-type {kind!r}")


def _ids(values: Any) -> frozenset[str]:
    """The ids that a message lists. Raises ValueError for anything else: EC2 would refuse the whole batch."""
    if not isinstance(values, list):
        raise ValueError("it is not a list of ids")
    return frozenset(map(instance_id, values))
