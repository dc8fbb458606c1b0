"""The queue of starts: EC2 accepts a few a second, first come, first served."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil
from typing import assert_never

from park_volumes.core.facts import NEVER, Observation
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.settings import Settings
from park_volumes.core.tags import opted_in

PER_SECOND = 2
"""Starts that EC2 accepts (StartInstances: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""

AT_ONCE = 5
"""EC2 accepts this many more at once: a start with fewer ahead of it does not have to wait."""

TAKES = timedelta(seconds=10)
"""How long a single start takes: until its volumes are created and attached (docs/performance.md)."""


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
    minutes = ceil(timedelta(seconds=number / PER_SECOND) / timedelta(minutes=1)) + 1
    return (
        f"{instance_id} is waiting in the queue: about {number} starts are ahead of it, and EC2 accepts {PER_SECOND} a "
        f"second. It continues by itself in about {minutes} minutes."
    )
