"""Writes a start request on the snapshots of a stop, so it outlives the pass that accepted it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from park_volumes.core.facts import Observation
from park_volumes.core.phase import last_request
from park_volumes.core.steps import Decision, RememberStart

REMEMBERED = timedelta(minutes=5)
"""How long a request counts as remembered; after that, the next request is written again."""


def remembering(seen: Observation, now: datetime) -> tuple[RememberStart, ...]:
    """Write the request on the snapshots of this stop, but not on failed ones, which are discarded."""
    kept = [r for r in seen.of_this_stop if r.state != "error"]
    if not kept or any(r.start_requested and now < r.start_requested + REMEMBERED for r in kept):
        return ()
    return (RememberStart(snapshot_ids=tuple(r.snapshot_id for r in kept), at=now),)


def with_request(seen: Observation, now: datetime) -> Observation:
    """The observation once the request is written on the snapshots."""
    launch = seen.instance.launch_time
    records = (
        replace(r, start_requested=now, capacity_refused_at=None) if r.launch_time == launch else r
        for r in seen.records
    )
    return replace(seen, records=tuple(records))


def without_capacity(seen: Observation, decision: Decision, now: datetime) -> tuple[RememberStart, ...]:
    """What to remember about a start that EC2 had no capacity for; nothing if no request is remembered."""
    written = (step.at for step in decision.every_step if isinstance(step, RememberStart))
    requested = next(written, last_request(seen))
    ids = tuple(r.snapshot_id for r in seen.of_this_stop)
    return (RememberStart(snapshot_ids=ids, at=requested, capacity_refused_at=now),) if ids and requested else ()
