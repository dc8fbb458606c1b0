"""What every room of the local AWS shares."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.local_aws.clock import Clock
from tests.local_aws.faults import Faults
from tests.local_aws.regions import Regions
from tests.local_aws.settings import Settings
from tests.model.policies import Deny

ACCOUNT = os.environ.get("MOTO_ACCOUNT_ID", "123456789012")
"""What moto goes by, too."""


def no_event(detail_type: str, resources: list[str], detail: dict[str, Any], region: str) -> None:
    """Stands in until EventBridge is wired."""


def no_call(role: str, service: str, operation: str, region: str, parameters: dict[str, Any]) -> None:
    """Stands in until the call log is wired."""


def no_bin(region: str, tags: Mapping[str, str]) -> float | None:
    """Stands in until the Recycle Bin is wired."""


@dataclass(kw_only=True)
class World:
    """Settings, clock, ordered failures and the way out for events. One per process, as moto's state is."""

    settings: Settings = field(default_factory=Settings)
    clock: Clock
    faults: Faults = field(default_factory=Faults)
    regions: Regions = field(default_factory=Regions)
    denials: tuple[Deny, ...] = ()
    """Policies that bind every role, whatever it allows."""
    keys: dict[str, bool] = field(default_factory=dict)
    """KMS keys (ARN) of which a test has said whether EC2 can use them."""
    ec2_lock: threading.RLock = field(default_factory=threading.RLock)
    """Held around every EC2 call and every change of state, because moto's EC2 is not thread-safe."""
    dry_run: bool = False
    """Whether the EC2 call that holds the lock may check, and then change nothing."""
    emit: Callable[[str, list[str], dict[str, Any], str], None] = no_event
    """Sends an `aws.ec2` event: detail-type, resources, detail, region."""
    kept_for: Callable[[str, Mapping[str, str]], float | None] = no_bin
    """How many seconds the Recycle Bin keeps a snapshot that is deleted: region, tags."""
    acted: Callable[[str, str, str, str, dict[str, Any]], None] = no_call
    """Logs a call that Lambda itself makes with a function's role: role ARN, service, operation, region, parameters."""

    def later(self, seconds: float, what: str, change: Callable[[], None]) -> None:
        """Changes EC2's state in so many seconds, under the EC2 lock."""

        def locked() -> None:
            with self.ec2_lock:
                change()

        self.clock.after(seconds, what, locked)
