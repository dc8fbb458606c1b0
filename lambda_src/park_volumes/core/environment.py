"""The settings of a deployment, from the environment that Terraform gives the functions."""

import json
from collections.abc import Mapping
from datetime import timedelta

from park_volumes.core import reading
from park_volumes.core.prices import prices_of
from park_volumes.core.settings import Settings

ALL = ("all",)
"""Instead of names: every region that the account has enabled."""


class MissingSetting(Exception):
    """An environment variable that the function needs is absent or unreadable; the message names it."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises MissingSetting, so a wrongly deployed function fails when it is loaded."""
    return Settings(
        deployment=text(environment, "DEPLOYMENT"),
        previous_names=tuple(environment.get("PREVIOUS_NAMES", "").split()),
        opt_in_tag_key=text(environment, "OPT_IN_TAG_KEY"),
        function_timeout=timedelta(seconds=_number(environment, "FUNCTION_TIMEOUT_SECONDS")),
        quiet_period=timedelta(seconds=_number(environment, "QUIET_PERIOD_SECONDS")),
        grace_period=timedelta(minutes=_number(environment, "GRACE_PERIOD_MINUTES")),
        snapshot_retention=timedelta(hours=_number(environment, "SNAPSHOT_RETENTION_HOURS")),
        lock_snapshots=boolean(environment, "LOCK_SNAPSHOTS"),
        allowed_product_codes=frozenset(environment.get("ALLOWED_PRODUCT_CODES", "").split()),
        park_even_if_dearer=boolean(environment, "PARK_EVEN_IF_DEARER"),
        orphan_retention=timedelta(days=_number(environment, "ORPHAN_RETENTION_DAYS")),
        volume_initialization_rate=int(_number(environment, "VOLUME_INITIALIZATION_RATE")),
        archive_after=timedelta(days=_number(environment, "ARCHIVE_AFTER_DAYS")) or None,
        kms_key_arns=frozenset(environment.get("KMS_KEY_ARNS", "").split()),
        address_protocol=environment.get("ADDRESS_PROTOCOL", ""),
        observe_only=boolean(environment, "OBSERVE_ONLY"),
        prices=prices_of(environment.get("AWS_REGION", ""), _prices(environment)),
    )


def regions(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The regions that the deployment covers beside its home region. Raises MissingSetting."""
    names = tuple(environment.get("REGIONS", "").split())
    if names == ALL:
        return names
    try:
        return tuple(map(reading.region, names))
    except ValueError as error:
        raise MissingSetting(f"The environment variable REGIONS is {environment['REGIONS']!r}: {error}.") from error


def text(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name, ""):
        return value
    words = f"The environment variable {name} is missing"
    raise MissingSetting(f"{words}: deploy the function with the Terraform module.")


def boolean(environment: Mapping[str, str], name: str) -> bool:
    value = text(environment, name)
    if value not in ("true", "false"):
        raise MissingSetting(f"The environment variable {name} is {value!r}, neither true nor false.")
    return value == "true"


def _number(environment: Mapping[str, str], name: str) -> float:
    try:
        return float(text(environment, name))
    except ValueError as error:
        raise MissingSetting(f"The environment variable {name} is {environment[name]!r}, not a number.") from error


def _prices(environment: Mapping[str, str]) -> dict[str, float]:
    """The deployment's own prices: a JSON object of numbers; absent if there are none."""
    value = environment.get("PRICES") or "{}"
    try:
        return {str(name): float(price) for name, price in json.loads(value).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise MissingSetting(f"The environment variable PRICES is {value!r}, not an object of numbers.") from error
