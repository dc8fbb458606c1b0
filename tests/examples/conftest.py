"""All examples, applied at once, and an evening in the account where they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import pytest

from tests.examples.applied import ANY_INSTANCE, REGIONS, Applied, Example, apply, command, fleet_in
from tests.local_aws.client import LocalAws
from tests.support.ahead import Ahead
from tests.support.fleet import PATIENCE, Fleet, Picture

LONG_AGO = timedelta(minutes=10)
"""Older than the quiet period: what was attached then need not settle any more."""


@pytest.fixture(scope="session")
def applied(ahead: Ahead) -> Applied:
    return ahead.result(apply)


@pytest.fixture(scope="session")
def aws(applied: Applied) -> LocalAws:
    return applied.aws


@pytest.fixture(scope="session")
def office(applied: Applied) -> str:
    return applied.office


@pytest.fixture(scope="session")
def orphan(applied: Applied) -> str:
    return applied.orphan


@pytest.fixture(scope="session")
def examples(applied: Applied) -> Mapping[str, Example]:
    return applied.examples


@pytest.fixture(scope="session")
def existing(aws: LocalAws, examples: Mapping[str, Example]) -> dict[str, str]:
    """The instances of ``existing-instances``, by Name."""
    ids: dict[str, str] = examples["existing-instances"].outputs["instance_ids"]
    for instance_id in ids.values():
        aws.write(instance_id)
    return ids


@pytest.fixture(scope="session")
def evening(
    aws: LocalAws, examples: Mapping[str, Example], office: str, orphan: str, existing: dict[str, str]
) -> dict[str, Picture]:
    """The office closes: its schedule stops one instance, people stop others, and the modules park them all.

    Answers the pictures of the instances from when they ran.
    """
    ids = [office, orphan, *existing.values()]
    for instance_id in ids:
        aws.set_instance(instance_id, attach_time=(aws.now() - LONG_AGO).isoformat())
    stack = fleet_in(aws, REGIONS["existing-instances"])
    fleets = {
        office: fleet_in(aws, REGIONS["office-hours"]),
        orphan: fleet_in(aws, REGIONS["minimal"]),
        **dict.fromkeys(existing.values(), stack),
    }
    pictures = {instance_id: fleet.picture(instance_id) for instance_id, fleet in fleets.items()}
    stop = examples["office-hours"].outputs["schedules"][office]["stop"]
    aws.fire_schedule(stop, group="park-volumes-office-hours", region=REGIONS["office-hours"])
    stack.ec2.stop_instances(InstanceIds=list(existing.values()))
    examples["minimal"].terraform.shell(command("stop-instances").replace(ANY_INSTANCE, orphan))
    for fleet, left in ((fleets[office], 0), (fleets[orphan], 0), (stack, 1)):
        only = partial(_only_volumes, fleet, left)
        aws.wait_for(only, PATIENCE, f"only {left} volumes to be left in {fleet.zone}")
    return pictures


def _only_volumes(fleet: Fleet, count: int) -> bool:
    """Also none that is detached and still to be deleted: a start would wait for that."""
    return len(fleet.ec2.describe_volumes()["Volumes"]) == count
