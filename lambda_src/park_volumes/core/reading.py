"""Reads values that anybody may have written: in tags, messages and events. Each has a type and a range.

Whatever does not fit raises ValueError, which says what it should have been, and nothing else is ever raised. So one
value that does not fit costs the item that it belongs to, and nobody else."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")

YEARS = range(2006, 2200)
"""EC2 is from 2006; and no time span that we add to a time of these years leaves the calendar."""
WORD = re.compile("[!-~]{1,255}")
DIGITS = re.compile("[0-9]{1,9}")
INSTANCE_ID = re.compile("i-[0-9a-f]{8,17}")
SNAPSHOT_ID = re.compile("snap-[0-9a-f]{8,17}")
VOLUME_ID = re.compile("vol-[0-9a-f]{8,17}")
REGION = re.compile("[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")
TAG_VALUE = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
"""What the Name of an instance can be. EC2 refuses a filter with anything else."""


def word(value: object) -> str:
    """Printable ASCII without blanks: what our tags and the ids of AWS are made of."""
    return _like(WORD, value, "a word")


def instance_id(value: object) -> str:
    """Without this check a value with a wildcard would stand for other instances in a filter of EC2."""
    return _like(INSTANCE_ID, value, "an instance id")


def snapshot_id(value: object) -> str:
    return _like(SNAPSHOT_ID, value, "a snapshot id")


def volume_id(value: object) -> str:
    return _like(VOLUME_ID, value, "a volume id")


def region(value: object) -> str:
    """The name becomes part of the address to which calls are sent."""
    return _like(REGION, value, "the name of a region")


def _like(pattern: re.Pattern[str], value: object, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"it is not {what}")
    return value


def time(value: object) -> datetime:
    """A time in ISO 8601, with its time zone."""
    moment = datetime.fromisoformat(word(value))
    if moment.tzinfo is None:
        raise ValueError("it has no time zone")
    if moment.year not in YEARS:
        raise ValueError(f"it is not of the years {YEARS.start} to {YEARS.stop - 1}")
    return moment.astimezone(UTC)


def whole(least: int, most: int) -> Callable[[object], int]:
    """Reads a whole number in this range, written in digits or, in JSON, as a number."""

    def read(value: object) -> int:
        if isinstance(value, str) and DIGITS.fullmatch(value):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"it is not a whole number from {least} to {most}")
        return value

    return read


def flag(value: object) -> bool:
    """True or false, as a word or, in JSON, as it is."""
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise ValueError("it is neither true nor false")
    return value == "true"


def read_from(values: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> T:
    """One of these values. The ValueError names it, and quotes it."""
    if name not in values:
        raise ValueError(f"{name} is missing")
    try:
        return read(values[name])
    except ValueError as error:
        raise ValueError(f"{name} is {values[name]!r}: {error}") from error


def region_in(values: Mapping[str, Any]) -> str:
    """The region that a message or an event names; empty if it names none."""
    return read_from(values, "region", region) if values.get("region") else ""
