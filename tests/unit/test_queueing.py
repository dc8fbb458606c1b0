"""Whoever asks for a start when many have: EC2 takes two a second, and what is queued costs as little as it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from park_volumes.core import tags
from tests.model.faults import Fault, at_operation
from tests.unit.functions import SWEEP_STARTS, Context, Functions, Reply, path_of, start_requested, url_event
from tests.unit.passes import ROOT, Stand

Handler = Callable[[dict[str, Any], Context], Any]


@pytest.fixture
def ids(stand: Stand) -> list[str]:
    return [stand.parked(ROOT, name=f"n{k}") for k in range(8)]


def busy(stand: Stand, functions: Functions, ids: Sequence[str]) -> Handler:
    """The function that has just taken requests for these; EC2 has no token left, so that none of them has begun."""
    handler: Handler = functions.load("start").handler
    functions.faults = at_operation("CreateVolume", Fault.THROTTLED, 99)
    handler(start_requested(*ids), Context(60))
    functions.faults = None
    stand.after(1)
    return handler


def ask(handler: Handler, instance_id: str, **query: str) -> Reply:
    event = url_event("POST", path_of(instance_id, "start")) | {"queryStringParameters": query}
    answer = handler(event, Context(60))
    return Reply.of(answer)


def test_whoever_asks_when_many_have_asked_learns_the_position_and_is_remembered(
    stand: Stand, functions: Functions, ids: list[str]
) -> None:
    reply = ask(busy(stand, functions, ids[:7]), ids[7])

    assert reply.status == 202
    assert reply.body["state"] == "starting"
    assert reply.body["detail"].startswith(f"{ids[7]} is waiting in the queue: about 7 starts are ahead of it")
    assert stand.instance(ids[7]).devices == ()
    for _ in range(2):
        stand.after(61)
        functions.start(SWEEP_STARTS)
    assert stand.instance(ids[7]).state in ("pending", "running")


def test_whoever_asks_again_keeps_the_position(stand: Stand, functions: Functions, ids: list[str]) -> None:
    handler = busy(stand, functions, ids[:7])
    first, again = ask(handler, ids[7]), ask(handler, ids[7])

    assert first.body["detail"] == again.body["detail"]
    assert len({s.tags[tags.START_REQUESTED] for s in stand.world.snapshots.current()}) == 2


def test_a_queued_start_observes_no_volumes(stand: Stand, functions: Functions, ids: list[str]) -> None:
    handler = busy(stand, functions, ids[:7])
    calls: list[str] = []
    functions.faults = lambda call: calls.append(call.operation)
    ask(handler, ids[7])

    assert calls == ["DescribeInstances", "DescribeSnapshots", "CreateTags"]


def test_a_request_of_many_looks_at_the_queue_once(stand: Stand, ids: list[str]) -> None:
    calls: list[str] = []
    ec2 = stand.ec2(faults=lambda call: calls.append(call.operation))
    stand.start_pass(ec2=ec2).enqueue(stand.ec2().reads.instances(ids))

    assert calls == ["DescribeSnapshots", "DescribeSnapshots", "CreateTags"]


def test_an_answer_is_not_held_for_a_queued_start(stand: Stand, functions: Functions, ids: list[str]) -> None:
    handler = busy(stand, functions, ids[:7])
    before = stand.world.clock.now

    assert ask(handler, ids[7], wait="30").status == 202
    assert stand.world.clock.now < before + 1


def test_what_cannot_be_started_is_refused_at_once(stand: Stand, functions: Functions, ids: list[str]) -> None:
    (snapshot,) = [s for s in stand.world.snapshots.current() if s.tags[tags.INSTANCE] == ids[7]]
    stand.owner.unlock_snapshot(SnapshotId=snapshot.id)
    stand.owner.delete_snapshot(SnapshotId=snapshot.id)
    stand.world.ledger.waived.clear()
    reply = ask(busy(stand, functions, ids[:7]), ids[7])

    assert reply.status == 409
    assert "no snapshots of ParkVolumes" in reply.body["error"]["message"]


def test_what_has_its_volumes_is_started_at_once(stand: Stand, functions: Functions, ids: list[str]) -> None:
    stopped = stand.stopped(ROOT, name="not parked")
    reply = ask(busy(stand, functions, ids[:7]), stopped)

    assert reply.body["detail"] == f"{stopped} is started."


def test_of_few_nobody_has_to_wait(stand: Stand, functions: Functions, ids: list[str]) -> None:
    assert "started" in ask(busy(stand, functions, ids[:4]), ids[7]).body["detail"]


def test_a_function_that_was_idle_does_not_ask_who_is_ahead(stand: Stand, functions: Functions, ids: list[str]) -> None:
    handler = busy(stand, functions, ids[:7])
    stand.after(11)

    assert "started" in ask(handler, ids[7]).body["detail"]
