"""Where a start stands among those that were asked for before it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil

PER_SECOND = 2
"""Starts that EC2 takes (StartInstances: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""

AT_ONCE = 5
"""So many EC2 takes beyond that: a start with fewer ahead of it does not have to wait."""


def ahead(requests: Iterable[datetime], now: datetime) -> int:
    """How many of the starts asked for before are still to come, had EC2 started them as fast as it does."""
    left, then = 0.0, now
    for at in [*sorted(at for at in requests if at < now), now]:
        left = max(0.0, left - max(0.0, (at - then).total_seconds()) * PER_SECOND) + 1
        then = at
    return ceil(left) - 1


def standing(instance_id: str, number: int) -> str:
    """What somebody is told who asked for a start that has to wait, with so many ahead of it."""
    minutes = ceil(timedelta(seconds=number / PER_SECOND) / timedelta(minutes=1)) + 1
    return (
        f"{instance_id} stands in line: about {number} starts are ahead of it, of which EC2 takes {PER_SECOND} a "
        f"second. It goes on by itself, in about {minutes} minutes."
    )
