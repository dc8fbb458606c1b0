"""What is shown of many instances, each alone: one that cannot be shown does not hide the others."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from park_volumes.aws.errors import Ec2Error
from park_volumes.aws.reads import Ec2Reads
from park_volumes.core import prices
from park_volumes.core.facts import BinnedVolume, Observation
from park_volumes.core.loading import LOADED, may_load
from park_volumes.core.settings import Settings
from park_volumes.run.context import Pass, alone, log
from park_volumes.run.execute import unforeseen

LOADED_FOR_EVER = timedelta(days=3650)
"""What is loaded once stays so."""


def with_loading(this_pass: Pass, every: Sequence[Observation]) -> list[Observation]:
    """The same with what EC2 still loads from snapshots. Nothing depends on it: if EC2 does not say, it is not shown.
    A volume that is loaded is not asked about again."""
    ids = [i for o in every for i in may_load(o) if not this_pass.knows(f"loaded {i}", LOADED_FOR_EVER)]
    try:
        found = this_pass.ec2.loading(ids) if ids else {}
    except Ec2Error as error:
        log.warning("What is still loading from snapshots is not known: %s", error)
        return list(every)
    for volume_id in (i for i, one in found.items() if one.percent >= LOADED):
        this_pass.learns(f"loaded {volume_id}")
    loads = {i: one for i, one in found.items() if one.percent < LOADED}
    return [replace(o, loading={i: loads[i] for i in may_load(o) if i in loads}) for o in every]


def in_bin(ec2: Ec2Reads, every: Sequence[Observation]) -> list[BinnedVolume] | None:
    """What a Recycle Bin keeps of their volumes; None if that is not known. It is shown, and nothing depends on it."""
    from park_volumes.run.fleet import in_recycle_bin  # noqa: PLC0415  # every start would wait for it

    try:
        return in_recycle_bin(ec2, every)
    except Ec2Error as error:
        log.warning("What the Recycle Bin keeps is not known: %s", error)
        return None


def status_of(seen: Observation, settings: Settings, now: datetime) -> dict[str, Any]:
    from park_volumes.core import status  # noqa: PLC0415  # every start would wait for the rules of both sides

    def failed(error: Exception) -> dict[str, Any]:
        return status.no_status(seen.instance, unforeseen(seen, error).reason)

    return alone(seen.instance.id, partial(status.status, seen, settings, now), failed)


def savings_of(seen: Observation, settings: Settings) -> prices.Savings:
    return alone(seen.instance.id, partial(prices.savings, seen, settings.prices), lambda _: prices.NOT_COUNTED)
