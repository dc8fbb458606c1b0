"""What the messages in the park queue say: events of EC2, scheduled events, and what the functions tell each other."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aws_lambda_powertools import Logger

from park_volumes.core.reading import flag, instance_id, read_from, region_in, snapshot_id, whole
from park_volumes.handlers import runtime
from park_volumes.handlers.wake import START_GOES_ON, WAKE

LOOK_AGAIN = "Look Again"
ERRANDS = frozenset({WAKE, START_GOES_ON})
"""What a message can ask for in a region instead of a look at instances."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one message asks for: to look at instances, or at the one that a snapshot is of, or an errand.
    ``region``: where; empty for the home region. ``sweep``: to look everywhere at everything. ``looks`` counts the
    delayed messages in a row that led to it; a ``silent`` one comes from a sweep. ``last``: it is the last one that
    wakes, if no more are sent."""

    ids: frozenset[str] = frozenset()
    region: str = ""
    sweep: bool = False
    snapshot_id: str = ""
    looks: int | None = None
    silent: bool = False
    reminder: bool = False
    last: bool = False


@dataclass(kw_only=True)
class Batch:
    """What a batch of messages asks for in one region: the ids, or the errand, in each message, by message id.
    ``looks`` counts, by instance, the delayed messages in a row that led here. ``silent`` messages come from a sweep or
    are delivered again; they do not cause another report of an ongoing problem. ``snapshots`` are those of which a
    message says that they are completed, by message."""

    ids_of: dict[str, set[str]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    snapshots: dict[str, str] = field(default_factory=dict)
    last: bool = False

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

    def add(self, message_id: str, said: Message) -> None:
        self.ids_of[message_id] = set(said.ids)
        self.last |= said.last
        if said.snapshot_id:
            self.snapshots[message_id] = said.snapshot_id
        if said.silent:
            self.silent.add(message_id)
        if said.looks is not None:
            self.looks.update({i: max(said.looks, self.looks.get(i, 0)) for i in said.ids})

    def find_instances(self, instances_of: Callable[[Iterable[str]], Mapping[str, str]]) -> None:
        """Put the instances in the place of the snapshots that messages name."""
        instance_of = instances_of(self.snapshots.values()) if self.snapshots else {}
        for message_id, its_snapshot in self.snapshots.items():
            self.ids_of[message_id] = {instance_of[its_snapshot]} if its_snapshot in instance_of else set()


@dataclass(kw_only=True)
class Inbox:
    """What messages ask for, by region. ``sweeps`` are the messages that ask for a sweep, one of them maybe for the
    daily ``reminder``; ``broken`` ones cannot be read."""

    batches: dict[str, Batch] = field(default_factory=lambda: defaultdict(Batch))
    sweeps: set[str] = field(default_factory=set)
    reminder: bool = False
    broken: set[str] = field(default_factory=set)


def read(messages: Iterable[dict[str, Any]], home: str, logger: Logger) -> Inbox:
    """Whatever a message says, it costs no other message its turn. Without a region it is about the ``home`` region."""
    inbox = Inbox()
    for message in messages:
        message_id = message["messageId"]
        try:
            said = _read_one(json.loads(message["body"]))
        except Exception as error:
            why, body = (ascii(what)[:1000] for what in (error, message.get("body")))
            logger.error(f"A message in the park queue cannot be read: {why}.", body=body)
            inbox.broken.add(message_id)
            continue
        if said.sweep:
            inbox.sweeps.add(message_id)
            inbox.reminder |= said.reminder
            continue
        again = message.get("attributes", {}).get("ApproximateReceiveCount", "1") != "1"
        inbox.batches[said.region or home].add(message_id, replace(said, silent=said.silent or again))
    return inbox


def _read_one(body: Any) -> Message:
    """Events of EC2 say in their envelope where they are from, our own messages in their detail."""
    detail = body["detail"]
    match body["detail-type"]:
        case "EC2 Instance State-change Notification":
            return Message(ids=frozenset({read_from(detail, "instance-id", instance_id)}), region=region_in(body))
        case "EBS Snapshot Notification":
            named = snapshot_id(runtime.id_in_arn(detail["snapshot_id"]))
            return Message(snapshot_id=named, region=region_in(body))
        case "Scheduled Event":
            return Message(sweep=True, reminder=runtime.is_reminder(body))
        case str(kind) if kind == WAKE:
            return Message(ids=frozenset({WAKE}), last=flag(detail["last"]), region=region_in(detail))
        case str(kind) if kind == START_GOES_ON:
            return Message(ids=frozenset({START_GOES_ON}), region=region_in(detail))
        case str(kind) if kind == LOOK_AGAIN:
            ids, looks = read_from(detail, "instance-ids", _ids), whole(0, 1000)(detail.get("looks", 0))
            silent = not looks and not flag(detail.get("reminder", False))
            return Message(ids=ids, looks=looks, silent=silent, region=region_in(detail))
        case kind:
            raise ValueError(f"unknown detail-type {kind!r}")


def _ids(values: Any) -> frozenset[str]:
    """The ids that a message lists. Raises ValueError for anything else: EC2 would refuse the whole batch."""
    if not isinstance(values, list):
        raise ValueError("it is not a list of ids")
    return frozenset(map(instance_id, values))
