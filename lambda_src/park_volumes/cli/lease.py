"""What Lambda gives the functions and a laptop does not: an end to every pass, and a clock that is right.

That nothing is lost (docs/safety.md) rests on both: a pass acts no later than its time limit, and its times compare
with EC2's. A laptop sleeps with its lid closed and wakes in the middle of a pass, and its clock may say anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError

from park_volumes.reconcile import Clock

READS = "before-send.ec2.Describe"
TOLERANCE = timedelta(seconds=10)
"""EC2 tells the time in whole seconds, and its answer was under way for some."""


class PassOver(BotoCoreError):
    """The pass has outlived its time limit."""

    fmt = "this pass began more than {seconds:.0f} seconds ago and may change nothing any more. Run the command again."


class ClockOff(BotoCoreError):
    """The clock of this computer is wrong."""

    fmt = "the clock of this computer is {seconds:.0f} seconds off from EC2's. Set it, and run the command again."


class Lease:
    """Lets calls that change something go out only within a pass's time limit, and only while the clock is right."""

    def __init__(self, clock: Clock, limit: timedelta) -> None:
        self._clock, self._limit = clock, limit
        self._until = clock.now()
        self._off = timedelta(0)

    def watch(self, client: Any) -> None:
        """Have every call of this boto3 client asked about."""
        client.meta.events.register("before-send.ec2", self.check)
        client.meta.events.register("after-call.ec2", self.compare)

    def begin(self, began: datetime) -> None:
        self._until = began + self._limit

    def check(self, event_name: str, **_: Any) -> None:
        """Raises PassOver or ClockOff just before a call is sent that should not be."""
        if event_name.startswith(READS):
            return
        if self._off > TOLERANCE:
            raise ClockOff(seconds=self._off.total_seconds())
        if self._clock.now() >= self._until:
            raise PassOver(seconds=self._limit.total_seconds())

    def compare(self, parsed: dict[str, Any], **_: Any) -> None:
        """See by the header Date of an answer how far this computer's clock is off."""
        told = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if told:
            self._off = abs(self._clock.now() - parsedate_to_datetime(told))
