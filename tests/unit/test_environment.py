"""A function that was deployed wrongly fails when it is loaded, and says why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from park_volumes.core.environment import MissingSetting, from_environment, text
from tests.unit.facts import SETTINGS
from tests.unit.functions import ENVIRONMENT

READ_BY_BOTH = [
    "DEPLOYMENT",
    "OPT_IN_TAG_KEY",
    "QUIET_PERIOD_SECONDS",
    "FUNCTION_TIMEOUT_SECONDS",
    "GRACE_PERIOD_MINUTES",
    "SNAPSHOT_RETENTION_HOURS",
    "LOCK_SNAPSHOTS",
    "PARK_EVEN_IF_DEARER",
    "OBSERVE_ONLY",
    "ORPHAN_RETENTION_DAYS",
    "ARCHIVE_AFTER_DAYS",
    "VOLUME_INITIALIZATION_RATE",
]


def test_the_environment_gives_the_settings() -> None:
    assert from_environment(ENVIRONMENT | {"AWS_REGION": "eu-west-1"}) == SETTINGS


def test_minutes_and_hours_are_read_as_such() -> None:
    settings = from_environment({**ENVIRONMENT, "GRACE_PERIOD_MINUTES": "30", "SNAPSHOT_RETENTION_HOURS": "0.5"})

    assert settings.grace_period == settings.snapshot_retention == timedelta(minutes=30)


def test_locks_can_be_switched_off() -> None:
    assert not from_environment({**ENVIRONMENT, "LOCK_SNAPSHOTS": "false"}).lock_snapshots


def test_product_codes_are_separated_by_spaces() -> None:
    assert from_environment(ENVIRONMENT).allowed_product_codes == frozenset()
    assert from_environment({**ENVIRONMENT, "ALLOWED_PRODUCT_CODES": "a1 b2"}).allowed_product_codes == {"a1", "b2"}


def test_the_protocol_of_addresses_is_none_unless_it_is_named() -> None:
    assert from_environment(ENVIRONMENT).address_protocol == ""
    assert from_environment({**ENVIRONMENT, "ADDRESS_PROTOCOL": "ssh"}).address_protocol == "ssh"


def test_the_lock_period_is_a_time_out_and_a_quiet_period() -> None:
    assert SETTINGS.lock_period == timedelta(seconds=180)


@pytest.mark.parametrize("name", READ_BY_BOTH)
def test_a_missing_variable_is_named(name: str) -> None:
    without = {key: value for key, value in ENVIRONMENT.items() if key != name}

    with pytest.raises(MissingSetting, match=f"The environment variable {name} is missing"):
        from_environment(without)


@pytest.mark.parametrize("name", READ_BY_BOTH)
def test_an_empty_variable_is_a_missing_one(name: str) -> None:
    with pytest.raises(MissingSetting, match=f"{name} is missing"):
        from_environment({**ENVIRONMENT, name: ""})


@pytest.mark.parametrize(
    "name", [name for name in READ_BY_BOTH if name.endswith(("SECONDS", "MINUTES", "HOURS", "DAYS"))]
)
def test_a_number_that_is_none_is_named_with_what_it_says(name: str) -> None:
    with pytest.raises(MissingSetting, match=f"{name} is 'soon', not a number"):
        from_environment({**ENVIRONMENT, name: "soon"})


@pytest.mark.parametrize("value", ["yes", "1", "True"])
def test_a_switch_is_true_or_false(value: str) -> None:
    with pytest.raises(MissingSetting, match=f"LOCK_SNAPSHOTS is '{value}', neither true nor false"):
        from_environment({**ENVIRONMENT, "LOCK_SNAPSHOTS": value})


def test_a_text_is_read_as_it_is() -> None:
    assert text(ENVIRONMENT, "OPT_IN_TAG_KEY") == "ParkVolumes"


def test_the_prices_are_those_of_the_region_and_the_deployment_s_own() -> None:
    settings = from_environment({**ENVIRONMENT, "AWS_REGION": "us-east-1", "PRICES": '{"gp3": 0.07}'})

    assert settings.prices["gp3"] == 0.07
    assert settings.prices["gp2"] == 0.10


@pytest.mark.parametrize("value", ["cheap", "[1]", '{"gp3": "cheap"}', '{"gp3": null}'])
def test_prices_that_are_none_are_named_with_what_they_say(value: str) -> None:
    with pytest.raises(MissingSetting, match=r"PRICES is .*, not an object of numbers"):
        from_environment({**ENVIRONMENT, "PRICES": value})
