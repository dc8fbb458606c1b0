"""Staying signed in on a device: a pass that stands for a token there, and ends by itself.

The device keeps the pass and never the token. A pass is the time when it ends, and an HMAC of that time whose key is
the digest of the token. So nothing is stored here. A pass ends with its token, and nobody can make a later pass of it.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from park_volumes.core import environment

NONE = timedelta(0)
FORM = re.compile("park-volumes-pass[.]([0-9]{10})[.]([0-9a-f]{64})")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class DevicePass:
    """What a device keeps. ``text`` is sent like a token."""

    text: str
    until: datetime


def longest(variables: Mapping[str, str]) -> timedelta:
    """How long somebody can stay signed in here; without the setting, not at all."""
    value = variables.get("STAY_SIGNED_IN_DAYS") or "0"
    if not re.fullmatch("[0-9]{1,2}", value):
        raise environment.MissingSetting(f"The environment variable STAY_SIGNED_IN_DAYS is {value!r}, not days.")
    return timedelta(days=int(value))


def is_pass(text: str) -> bool:
    return FORM.fullmatch(text) is not None


def give(token_digest: bytes, now: datetime, lasts: timedelta) -> DevicePass:
    until = datetime.fromtimestamp(int((now + lasts).timestamp()), UTC)
    seconds = f"{int(until.timestamp()):010}"
    return DevicePass(text=f"park-volumes-pass.{seconds}.{_seal(token_digest, seconds)}", until=until)


def holder(text: str, of: Mapping[bytes, T], now: datetime, lasts: timedelta) -> T | None:
    """Whose pass this is, among the digests of all tokens; None if it is nobody's, or over. A pass that would last
    longer than the deployment allows today is over, too."""
    read = FORM.fullmatch(text)
    if not read:
        return None
    left = timedelta(seconds=int(read[1]) - now.timestamp())
    # Compare all of them, even after a match, so the time taken reveals nothing.
    found = [one for digest, one in of.items() if hmac.compare_digest(_seal(digest, read[1]), read[2])]
    return found[0] if found and NONE < left <= lasts else None


def _seal(token_digest: bytes, seconds: str) -> str:
    return hmac.new(token_digest, f"park-volumes pass until {seconds}".encode(), sha256).hexdigest()
