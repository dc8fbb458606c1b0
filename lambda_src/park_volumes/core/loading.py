"""Restored volumes that EC2 still fills with the blocks of their snapshots: what is not there yet is slow to read."""

from datetime import datetime
from math import ceil

from park_volumes.core.facts import Loading, Observation, Volume

LOADED = 100
"""Percent."""
MINUTE = 60


def may_load(seen: Observation) -> list[str]:
    """The ids of the attached volumes that were made from a snapshot of ours."""
    ours = {r.snapshot_id for r in seen.records}
    return [v.id for v, _ in seen.attached if v.snapshot_id in ours]


def seconds_left(v: Volume, loading: Loading, now: datetime) -> int | None:
    """EC2's estimate, which it gives only for volumes with a rate. For others, the time at the speed so far; None while
    there is no progress."""
    if loading.seconds_left is not None or not loading.percent:
        return loading.seconds_left
    took = max(0.0, (now - v.created).total_seconds())
    return round(took * (LOADED - loading.percent) / loading.percent)


def in_words(seen: Observation, now: datetime) -> str:
    """A sentence about the volumes that still load; empty if none does."""
    loads = [(v, seen.loading[v.id]) for v, _ in seen.attached if v.id in seen.loading]
    if not loads:
        return ""
    percent = sum(v.spec.size * one.percent for v, one in loads) // sum(v.spec.size for v, _ in loads)
    left = [seconds_left(v, one, now) for v, one in loads]
    known = [seconds for seconds in left if seconds is not None]
    minutes = f", with about {_minutes(max(known))} left" if len(known) == len(left) else ""
    volumes = "volume still loads" if len(loads) == 1 else "volumes still load"
    words = f"{len(loads)} {volumes} from snapshots: {percent}% are there{minutes}."
    return f"{words} What is not there yet is slow to read."


def _minutes(seconds: int) -> str:
    minutes = ceil(seconds / MINUTE)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
