"""Requested starts: each is written on the snapshots of its stop, so it outlives the pass that accepted it, and waits
in a queue: EC2 accepts a few a second, first come, first served."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import assert_never

from park_volumes.core.facts import NEVER, Observation
from park_volumes.core.phase import Phase, phase_of, records_of_request
from park_volumes.core.settings import Settings
from park_volumes.core.steps import Decision, RememberStart
from park_volumes.core.tags import opted_in

REMEMBERED = timedelta(minutes=5)
"""How long a request counts as remembered; after that, the next request is written again."""
PER_SECOND = 2
"""Starts that EC2 accepts (StartInstances: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""
AT_ONCE = 5
"""EC2 accepts this many more at once: a start with fewer ahead of it does not have to wait."""
TAKES = timedelta(seconds=10)
"""How long a single start takes: until its volumes are created and attached (docs/performance.md)."""


def remembering(seen: Observation, now: datetime) -> tuple[RememberStart, ...]:
    """Write the request on the snapshots of this stop, but not on failed ones, which are discarded."""
    kept = [r for r in seen.of_this_stop if r.state != "error"]
    if not kept or any(r.start_requested and now < r.start_requested + REMEMBERED for r in kept):
        return ()
    return (RememberStart(snapshot_ids=tuple(r.snapshot_id for r in kept), at=now),)


def with_request(seen: Observation, now: datetime) -> Observation:
    """The observation once the request is written on the snapshots."""
    asked = {r.snapshot_id: replace(r, start_requested=now, capacity_refused_at=None) for r in seen.of_this_stop}
    return replace(seen, records=tuple(asked.get(r.snapshot_id, r) for r in seen.records))


def without_capacity(
    seen: Observation, decision: Decision, settings: Settings, now: datetime
) -> tuple[RememberStart, ...]:
    """What to remember about a start that EC2 had no capacity for; nothing if no request is remembered."""
    bearing = records_of_request(seen, settings)
    written = [step.at for step in decision.every_step if isinstance(step, RememberStart)]
    requested = max(written or [r.start_requested for r in bearing if r.start_requested], default=None)
    ids = tuple(r.snapshot_id for r in bearing)
    return (RememberStart(snapshot_ids=ids, at=requested, capacity_refused_at=now),) if ids and requested else ()


def ahead(requests: Iterable[datetime], asked: datetime, now: datetime) -> int:
    """How many of the starts requested before ``asked`` are not done yet, at the speed of EC2."""
    done, number = NEVER, 0
    for at in sorted(at for at in requests if at < asked):
        done = max(at + TAKES, done + timedelta(seconds=1 / PER_SECOND))
        number += done > now
    return number


def may_wait(seen: Observation, settings: Settings) -> bool:
    """Whether a start can wait for its turn, judging by the snapshots: they hold a complete generation."""
    if settings.observe_only or not opted_in(seen.instance.tags, settings):
        return False
    phase = phase_of(seen)
    match phase:
        case Phase.ENDED | Phase.CHANGING | Phase.RUNNING | Phase.BROKEN:
            return False
        case Phase.WHOLE | Phase.LOCK_VOID | Phase.LOCKED | Phase.COMMITTED | Phase.RESTORING | Phase.PARKED:
            return seen.complete_generation is not None
        case _:
            assert_never(phase)


def queue_message(instance_id: str, number: int) -> str:
    """The message for a start that has to wait, with ``number`` starts ahead of it."""
    if number == 0:
        return f"{instance_id} is next in the queue. It continues by itself in about a minute."
    minutes = ceil(timedelta(seconds=number / PER_SECOND) / timedelta(minutes=1)) + 1
    starts = "start is" if number == 1 else "starts are"
    others = f"about {number} {starts} ahead of it, and EC2 accepts {PER_SECOND} a second"
    return f"{instance_id} is waiting in the queue: {others}. It continues by itself in about {minutes} minutes."
