"""What Lambda guarantees and a laptop does not: a time limit for every pass, and a correct clock.

The safety rules (docs/safety.md) need both: a pass never acts after its time limit, and its times can be compared with
EC2's. A laptop can sleep and wake up in the middle of a pass, and its clock can be wrong."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError

from park_volumes.run.context import Clock

READS = tuple(f"before-send.ec2.{verb}" for verb in ("Describe", "Get", "List"))
TOLERANCE = timedelta(seconds=10)
"""EC2 gives the time in whole seconds, and its answer takes some seconds to arrive."""


class PassOver(BotoCoreError):
    """The pass has exceeded its time limit."""

    fmt = "this pass began more than {seconds:.0f} seconds ago and must not change anything now. Run the command again."


class ClockOff(BotoCoreError):
    """The clock of this computer is wrong."""

    fmt = (
        "the clock of this computer differs from EC2's by {seconds:.0f} seconds. Correct it, and run the command again."
    )


class Lease:
    """Allows calls that change something only within a pass's time limit, and only while the clock is right."""

    def __init__(self, clock: Clock, limit: timedelta) -> None:
        self._clock, self._limit = clock, limit
        self._until = clock.now()
        self._off = timedelta(0)

    def watch(self, client: Any) -> None:
        """Check every call of this boto3 client."""
        client.meta.events.register("before-send.ec2", self.check)
        client.meta.events.register("after-call.ec2", self.compare)

    def begin(self, began: datetime) -> None:
        self._until = began + self._limit

    def check(self, event_name: str, **_: Any) -> None:
        """Raises PassOver or ClockOff just before a call that must not be sent."""
        if event_name.startswith(READS):
            return
        if self._off > TOLERANCE:
            raise ClockOff(seconds=self._off.total_seconds())
        if self._clock.now() >= self._until:
            raise PassOver(seconds=self._limit.total_seconds())

    def compare(self, parsed: dict[str, Any], **_: Any) -> None:
        """Measure how far this computer's clock is off, by the header Date of an answer."""
        if told := parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"):
            self._off = abs(self._clock.now() - parsedate_to_datetime(told))
