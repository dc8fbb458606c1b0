"""Where a start stands among those that were asked for before it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil

from park_volumes.decide.situation import given_up, opted_in
from park_volumes.model import NEVER, Seen, Settings

PER_SECOND = 2
"""Starts that EC2 takes (StartInstances: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""

AT_ONCE = 5
"""So many EC2 takes beyond that: a start with fewer ahead of it does not have to wait."""

TAKES = timedelta(seconds=10)
"""What a start takes when nobody else is at it: until its volumes are created and attached (docs/performance.md)."""


def ahead(requests: Iterable[datetime], asked: datetime, now: datetime) -> int:
    """How many of the starts asked for before that time are still to come, had EC2 started them as fast as it does."""
    done, number = NEVER, 0
    for at in sorted(at for at in requests if at < asked):
        done = max(at + TAKES, done + timedelta(seconds=1 / PER_SECOND))
        number += done > now
    return number


def may_wait(seen: Seen, settings: Settings) -> bool:
    """Whether a start can be left to its turn, as far as the snapshots tell: a whole instance is parked on them."""
    parked = given_up(seen)
    stopped = seen.instance.state == "stopped" and opted_in(seen.instance, settings)
    return stopped and not settings.observe_only and parked is not None and not parked.missing


def standing(instance_id: str, number: int) -> str:
    """What somebody is told who asked for a start that has to wait, with so many ahead of it."""
    minutes = ceil(timedelta(seconds=number / PER_SECOND) / timedelta(minutes=1)) + 1
    return (
        f"{instance_id} stands in line: about {number} starts are ahead of it, of which EC2 takes {PER_SECOND} a "
        f"second. It goes on by itself, in about {minutes} minutes."
    )
