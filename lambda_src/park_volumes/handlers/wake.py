"""How the two functions wake each other while something is on its way. When nothing is, only the sweep of the park side
runs.

The park function wakes the start function at every full minute until the next sweep, which looks again whether that is
needed: delayed messages in its own queue tell it when. Sweeps come at fixed minutes of the hour, so whoever begins to
wake knows when to end, and nobody is woken twice. The start function tells the park function when it has begun
something. Both do so by events on the default bus: whoever else puts one there has somebody look at what there is."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from park_volumes.handlers.notices import Notices

SOURCE = "park-volumes.internal"
"""Not the source of what is reported: nobody's rules for reports should see these."""
SWEEP_STARTS = "Sweep Starts"
"""The park function asks the start function for a sweep."""
START_GOES_ON = "Start Goes On"
"""The start function has begun something that takes longer than its pass."""
WAKE = "Wake"
"""A delayed message of the park function to itself: ask for a sweep now."""
MOST_MESSAGES = 10
"""Minutes for which messages are sent at once: as many as a call of SQS takes, and fewer than it can delay them. The
last one then sends more."""
HOUR = 60
"""Minutes."""


def ask(notices: Notices, detail_type: str, deployment: str, elsewhere: Mapping[str, str]) -> None:
    """Put an event on the bus. If that fails, the sweeps find what is on its way, those of the starts once an hour.
    ``elsewhere``: the region that is meant, if it is not the home region."""
    detail = {"deployment": deployment, **elsewhere}
    notices.put({"Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)})


def wakes(now: datetime, interval: int, elsewhere: Mapping[str, str]) -> list[tuple[int, dict[str, Any]]]:
    """The messages for the full minutes before the next sweep, which comes at the minutes of the hour that ``interval``
    divides: the seconds until each, and what it says."""
    next_sweep = min((now.minute // interval + 1) * interval, HOUR)
    minutes = range(now.minute + 1, next_sweep)[:MOST_MESSAGES]
    said = {"source": SOURCE, "detail-type": WAKE}
    return [
        (60 * (m - now.minute) - now.second, said | {"detail": {"last": m == minutes[-1], **elsewhere}})
        for m in minutes
    ]


def since_sweep(now: datetime, interval: int) -> timedelta:
    """The time since the last minute in which a sweep was due."""
    return timedelta(minutes=now.minute % interval, seconds=now.second, microseconds=now.microsecond)
