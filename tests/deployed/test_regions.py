"""What becomes of instances in another region than that of the deployment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.deployed.abroad import HEARD, UNHEARD, Abroad
from tests.deployed.conftest import REGION, SECOND
from tests.deployed.stops import Stops
from tests.support.fleet import PATIENCE, differences
from tests.support.url import FunctionUrl

BOTH = [HEARD, UNHEARD]


@pytest.fixture(scope="module")
def parked(stopped: Stops, abroad: Abroad, url: FunctionUrl) -> Abroad:
    """All of them asleep. They have stopped before the fleet at home has."""
    assert stopped
    for name in abroad.ids:
        abroad.aws.wait_for(lambda name=name: url.state(name) == "parked", PATIENCE, f"{name} to be parked")  # type: ignore[misc]
    return abroad


@pytest.fixture(scope="module")
def started(parked: Abroad, url: FunctionUrl) -> Abroad:
    """Both of them started: one by its Name, one by its id, at the one address."""
    for ref in (HEARD, parked.ids[UNHEARD]):
        answer = url.start(ref)
        assert answer.status in (200, 202), answer.body
    for name in BOTH:
        parked.fleet.wait_until_running(parked.ids[name])
        parked.fleet.wait_until_settled(parked.ids[name])
    return parked


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _stopped(abroad: Abroad, name: str) -> list[dict[str, Any]]:
    """What became of the event that an instance has stopped, first in its region, then at home."""
    told = {"instance-id": abroad.ids[name], "state": "stopped"}
    return [entry for entry in abroad.aws.events() if entry["event"]["detail"] == told]


def _first_copy(abroad: Abroad, name: str) -> dict[str, Any]:
    taken = [c for c in abroad.aws.calls() if c["operation"] == "CreateSnapshot" and c["region"] == SECOND]
    volumes = {s["VolumeId"] for s in abroad.fleet.snapshots(abroad.ids[name])}
    return next(call for call in taken if volumes & call["resources"].keys())


@pytest.mark.parametrize("name", BOTH)
def test_of_a_stopped_instance_only_the_snapshots_in_its_own_region_are_left(
    parked: Abroad, stopped: Stops, name: str
) -> None:
    assert parked.fleet.picture(parked.ids[name]) == {}
    assert len(parked.fleet.snapshots(parked.ids[name])) == len(parked.before[name])
    assert stopped.fleet.snapshots(parked.ids[name]) == []


def test_modules_region_puts_the_event_on_the_bus_of_the_deployment(parked: Abroad, outputs: dict[str, Any]) -> None:
    there, at_home = _stopped(parked, HEARD)
    assert there["delivered"] == [outputs["deployment"]["event_bus_arn"]]
    assert outputs["park_queue_arn"] in at_home["delivered"]
    assert there["event"] == at_home["event"]
    assert at_home["event"]["region"] == SECOND


def test_an_instance_is_parked_at_once_when_its_event_arrives(parked: Abroad) -> None:
    heard = _seconds(_stopped(parked, HEARD)[0]["event"]["time"])
    assert _first_copy(parked, HEARD)["time"] < heard + 15, "the sweep is once a minute"


def test_an_instance_of_which_no_event_arrives_is_found_by_the_sweep(parked: Abroad) -> None:
    assert [entry["fault"] for entry in _stopped(parked, UNHEARD)] == ["drop"]
    assert _first_copy(parked, UNHEARD)


def test_the_list_names_the_region_of_each_instance(parked: Abroad, stopped: Stops, url: FunctionUrl) -> None:
    regions = {i["id"]: i["region"] for i in url.instances()}
    assert {regions[instance_id] for instance_id in parked.ids.values()} == {SECOND}
    assert regions[stopped.ids["shop"]] == REGION


@pytest.mark.parametrize("name", BOTH)
def test_every_byte_attribute_and_tag_is_back(started: Abroad, name: str) -> None:
    assert differences(started.before[name], started.fleet.picture(started.ids[name])) == []


def test_neither_function_calls_ec2_in_any_other_region(started: Abroad, outputs: dict[str, Any]) -> None:
    roles = {outputs["park_role_arn"], outputs["start_role_arn"]}
    called = {c["region"] for c in started.aws.calls() if c["service"] == "ec2" and c["role"] in roles}
    assert called == {REGION, SECOND}
