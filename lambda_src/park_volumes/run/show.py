"""What is shown of many instances, each alone: one of which nothing can be told does not hide the others."""

from datetime import datetime
from functools import partial
from typing import Any

from park_volumes.core import prices, status
from park_volumes.core.facts import Observation
from park_volumes.core.settings import Settings
from park_volumes.run.context import alone
from park_volumes.run.execute import unforeseen


def status_of(seen: Observation, settings: Settings, now: datetime) -> dict[str, Any]:
    def failed(error: Exception) -> dict[str, Any]:
        return status.no_status(seen.instance, unforeseen(seen, error).reason)

    return alone(seen.instance.id, partial(status.status, seen, settings, now), failed)


def savings_of(seen: Observation, settings: Settings) -> prices.Savings:
    return alone(seen.instance.id, partial(prices.savings, seen, settings.prices), lambda _: prices.NOT_COUNTED)
