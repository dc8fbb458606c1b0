"""GET /savings: what the storage of each instance costs, for programs and for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from park_volumes.handlers import page
from tests.model.faults import Fault, at_operation
from tests.unit.functions import Functions, state_change, url_event
from tests.unit.passes import DATA, ROOT, Stand

AS_VOLUMES = 32 * 0.08 + 1000 * 0.005 + 125 * 0.04 + 100 * 0.10
AS_SNAPSHOTS = 132 * 0.05


@pytest.fixture(autouse=True)
def in_virginia(monkeypatch: pytest.MonkeyPatch, functions: Functions) -> None:
    del functions  # it sets the rest of the environment
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def asked(functions: Functions, accept: str = "*/*", **query: str) -> dict[str, Any]:
    event = url_event("GET", "/savings") | {"queryStringParameters": query}
    event["headers"]["accept"] = accept
    answer: dict[str, Any] = functions.start(event)
    return answer


def rows(answer: dict[str, Any]) -> list[dict[str, str]]:
    assert answer["headers"]["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer["body"])))


def test_every_opted_in_instance_and_the_total(functions: Functions, stand: Stand) -> None:
    parked, running = stand.parked(name="db"), stand.launch(name="web")
    stand.launch(name="other", opt_in="false")

    body = json.loads(asked(functions)["body"])

    assert [i["id"] for i in body["instances"]] == [parked, running]
    db, web = body["instances"]
    assert db["as_volumes"] == web["as_volumes"] == web["now"] == round(AS_VOLUMES, 2)
    assert db["now"] == db["as_snapshots"] == round(AS_SNAPSHOTS, 2)
    assert (db["saved"], db["at_most"]) == (round(AS_VOLUMES - AS_SNAPSHOTS, 2), False)
    assert (web["saved"], web["at_most"]) == (0, True)
    assert body["total"]["saved"] == db["saved"]
    assert body["total"]["as_volumes"] == round(2 * AS_VOLUMES, 2)
    assert body["prices"]["of"]["gp3"] == 0.08


def test_where_prices_are_unknown_the_figures_are_too(
    functions: Functions, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    stand.parked()

    assert json.loads(asked(functions)["body"])["total"]["saved"] is None
    assert {row["saved"] for row in rows(asked(functions, format="csv"))} == {"n/a"}


@pytest.mark.parametrize(
    ("accept", "query"), [("*/*", {"format": "csv"}), ("text/csv", {}), ("application/json", {"format": "csv"})]
)
def test_a_spreadsheet_has_a_line_for_each_and_the_total(
    functions: Functions, stand: Stand, accept: str, query: dict[str, str]
) -> None:
    instance_id = stand.parked(name="db")

    lines = rows(asked(functions, accept, **query))

    assert [line["id"] for line in lines] == [instance_id, "total"]
    assert lines[0]["name"] == "db"
    assert lines[0]["as_volumes"] == f"{AS_VOLUMES:.2f}"
    assert lines[0]["saved"] == lines[1]["saved"] == f"{AS_VOLUMES - AS_SNAPSHOTS:.2f}"


class TestTheRecycleBin:
    """A rule keeps deleted volumes for five days, at the same price."""

    @pytest.fixture(autouse=True)
    def _rule(self, stand: Stand) -> None:
        stand.world.rules = replace(stand.world.rules, volume_bin=5 * 86_400)

    def test_is_told_of_each_instance_and_of_all(self, functions: Functions, stand: Stand) -> None:
        parked, other = stand.parked(name="db"), stand.parked(name="web")
        running = stand.launch(name="www")
        stand.owner.delete_volume(VolumeId=stand.world.add_volume())
        body = json.loads(asked(functions)["body"])
        kept = {i["id"]: i["in_recycle_bin"] for i in body["instances"]}

        assert kept == {parked: round(AS_VOLUMES, 2), other: round(AS_VOLUMES, 2), running: 0}
        assert body["recycle_bin"]["cost"] == round(2 * AS_VOLUMES, 2)
        assert body["recycle_bin"]["until"].startswith("2026-01-")
        assert body["total"]["saved"] == round(2 * (AS_VOLUMES - AS_SNAPSHOTS), 2)

    def test_is_a_column_of_the_spreadsheet(self, functions: Functions, stand: Stand) -> None:
        stand.parked(name="db")

        assert [row["in_recycle_bin"] for row in rows(asked(functions, format="csv"))] == [f"{AS_VOLUMES:.2f}"] * 2

    def test_is_empty_once_they_have_left_it(self, functions: Functions, stand: Stand) -> None:
        stand.parked(name="db")
        stand.after(5 * 86_400)

        assert json.loads(asked(functions)["body"])["recycle_bin"] == {"cost": 0, "until": None}

    @pytest.mark.parametrize("fault", [Fault.DENIED, None])
    def test_that_cannot_be_read_is_not_guessed_and_hides_nothing_else(
        self, functions: Functions, stand: Stand, fault: Fault | None
    ) -> None:
        stand.parked(name="db")
        stand.world.rules = replace(stand.world.rules, old_sdk=fault is None)
        functions.faults = at_operation("ListVolumesInRecycleBin", fault, 9) if fault else None
        body = json.loads(asked(functions)["body"])

        assert body["recycle_bin"] == {"cost": None, "until": None}
        assert body["instances"][0]["in_recycle_bin"] is None
        assert body["total"]["saved"] == round(AS_VOLUMES - AS_SNAPSHOTS, 2)


def test_what_terminated_instances_left_is_listed_with_its_end(functions: Functions, stand: Stand) -> None:
    instance_id = stand.parked(name="db")
    stand.owner.terminate_instances(InstanceIds=[instance_id])
    stand.after(60)
    functions.park(state_change(instance_id, "terminated"))
    stand.after(4000)

    left = {o["device"]: o for o in json.loads(asked(functions)["body"])["orphans"]}

    assert left[ROOT.device]["kept_until"] is not None
    assert left[DATA.device]["kept_until"] is None
    assert left[DATA.device]["cost"] == 5.0
    assert {o["instance_id"] for o in left.values()} == {instance_id}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "\tx"])
def test_a_name_is_no_formula_in_a_spreadsheet(functions: Functions, stand: Stand, name: str) -> None:
    stand.launch(name=name)

    assert rows(asked(functions, format="csv"))[0]["name"] == f"'{name}"


@pytest.mark.parametrize("kind", ["xml", "", "CSV"])
def test_another_format_is_refused_in_words(functions: Functions, kind: str) -> None:
    answer = asked(functions, format=kind)

    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["error"]["message"] == f"format is {kind!r}: use csv or json."


def test_the_document_describes_what_is_answered(functions: Functions, stand: Stand) -> None:
    stand.launch()
    stand.owner.terminate_instances(InstanceIds=[stand.parked()])
    stand.after(60)
    schemas = json.loads(page.openapi())["components"]["schemas"]
    schema, costs = schemas["Savings"], schemas["Costs"]
    body = json.loads(asked(functions)["body"])

    assert set(schema["required"]) == set(schema["properties"]) == body.keys()
    kept = schema["properties"]["recycle_bin"]
    assert set(kept["required"]) == set(kept["properties"]) == body["recycle_bin"].keys()
    one = schema["properties"]["instances"]["items"]
    assert set(one["required"]) == set(one["properties"]) == body["instances"][0].keys()
    assert set(costs["required"]) == set(costs["properties"]) == body["total"].keys()
    orphan = schema["properties"]["orphans"]["items"]
    assert set(orphan["required"]) == set(orphan["properties"]) == body["orphans"][0].keys()
