"""Restored volumes that EC2 still fills from their snapshots: shown with an estimate, if EC2 says how far they are."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from park_volumes.aws import Ec2
from park_volumes.aws.statuses import AT_ONCE
from park_volumes.core.facts import Loading, Observation
from park_volumes.core.loading import in_words, may_load, seconds_left
from park_volumes.core.status import status
from park_volumes.run.observe import observe
from park_volumes.run.show import with_loading
from tests.model.faults import Call, Fault, at_operation
from tests.model.records import Rules
from tests.model.world import World
from tests.support.terraform import ROOT as PROJECT
from tests.unit.facts import DATA, ID, NOW, ROOT, SETTINGS, attachment, data_volume, records, restored, seen
from tests.unit.functions import Functions
from tests.unit.passes import DATA as DISK
from tests.unit.passes import Stand

HOUR = 3600


def back(**loading: Loading) -> Observation:
    """A running instance whose two volumes were restored ten minutes ago: ``root`` and ``data`` still load so far."""
    both = [restored(r, attachment(r.device)) for r in records()]
    volumes = [replace(v, created=NOW - timedelta(minutes=10)) for v in both]
    ids = {a.device: v.id for v in volumes for a in v.attachments}
    found = {ids[{"root": ROOT, "data": DATA}[name]]: one for name, one in loading.items()}
    return replace(seen(*volumes, records=records(), state="running"), loading=found)


def running(rules: Rules | None = None, **more: object) -> tuple[Stand, str]:
    """An instance that was parked and is running again, restored by an EC2 with these rules."""
    stand = Stand(World(rules=rules or Rules(hydration=HOUR)))
    stand.settings = replace(SETTINGS, **more)  # type: ignore[arg-type]  # fields of the settings
    instance_id = stand.parked()
    stand.start_pass().start(instance_id)
    stand.after(60)
    return stand, instance_id


def look(stand: Stand, instance_id: str, ec2: Ec2 | None = None, *, calls: list[str] | None = None) -> Observation:
    this_pass = stand.this_pass(ec2=ec2)
    found = observe(this_pass.ec2.reads, [instance_id], now=stand.clock.now(), locks=False)
    if calls is not None:
        stand.world.on_call = lambda operation, _: calls.append(operation)
    (with_it,) = with_loading(this_pass, list(found.values()))
    return with_it


class TestWhatMayLoad:
    def test_are_the_attached_volumes_that_were_made_from_our_snapshots(self) -> None:
        assert may_load(back()) == [v.id for v, _ in back().attached]
        assert may_load(seen(data_volume(snapshot_id="snap-of-an-image"), records=records())) == []


class TestTheTimeLeft:
    @pytest.mark.parametrize(
        ("loading", "left"),
        [
            (Loading(percent=50, seconds_left=77), 77),
            (Loading(percent=0, seconds_left=0), 0),
            (Loading(percent=50), 600),
            (Loading(percent=25), 1800),
            (Loading(percent=99), 6),
            (Loading(percent=0), None),
        ],
    )
    def test_is_that_of_ec2_or_goes_by_the_time_that_it_took_so_far(self, loading: Loading, left: int | None) -> None:
        (v, _), *_ = back().attached

        assert seconds_left(v, loading, NOW) == left


class TestTheWords:
    def test_are_of_all_volumes_by_their_size_and_of_the_slowest(self) -> None:
        told = in_words(back(root=Loading(percent=50), data=Loading(percent=25)), NOW)

        assert told == (
            "2 volumes still load from snapshots: 37% are there, with about 30 minutes left. "
            "What is not there yet is slow to read."
        )

    def test_leave_out_a_time_that_nobody_knows(self) -> None:
        told = in_words(back(root=Loading(percent=50), data=Loading(percent=0)), NOW)

        assert told.startswith("2 volumes still load from snapshots: 25% are there.")

    def test_are_none_where_all_is_loaded(self) -> None:
        assert in_words(back(), NOW) == ""


class TestAnInstanceThatRunsAgain:
    def test_shows_how_far_each_volume_is(self) -> None:
        shown = status(back(data=Loading(percent=50)), SETTINGS, NOW)
        by_device = {d["device"]: d["loading"] for d in shown["devices"]}

        assert by_device == {DATA: {"percent": 50, "seconds_left": 600}, ROOT: None}
        assert shown["detail"].endswith(
            "50% are there, with about 10 minutes left. What is not there yet is slow to read."
        )

    def test_is_told_by_ec2_how_far_it_is(self) -> None:
        stand, instance_id = running()
        stand.after(HOUR / 2)

        assert {one.percent for one in look(stand, instance_id).loading.values()} <= {50, 51, 52}

    def test_is_told_by_ec2_how_long_it_takes_where_there_is_a_rate(self) -> None:
        stand, instance_id = running(volume_initialization_rate=100)
        stand.after(60)
        found = look(stand, instance_id).loading.values()

        assert sorted(one.seconds_left or 0 for one in found) == pytest.approx([327 - 130, 1024 - 130], abs=5)

    def test_is_not_asked_about_any_more_once_all_is_loaded(self) -> None:
        stand, instance_id = running()
        stand.after(HOUR)
        calls: list[str] = []
        this_pass = stand.this_pass()
        found = list(observe(this_pass.ec2.reads, [instance_id], now=stand.clock.now(), locks=False).values())
        stand.world.on_call = lambda operation, _: calls.append(operation)

        assert [o.loading for _ in range(3) for o in with_loading(this_pass, found)] == [{}, {}, {}]
        assert calls == ["DescribeVolumeStatus"]

    def test_costs_no_call_if_nothing_was_restored(self, stand: Stand) -> None:
        calls: list[str] = []

        assert look(stand, stand.launch(), calls=calls).loading == {}
        assert calls == []

    @pytest.mark.parametrize("fault", [Fault.DENIED, Fault.THROTTLED])
    def test_is_shown_without_where_ec2_does_not_say(self, fault: Fault) -> None:
        stand, instance_id = running()
        ec2 = stand.ec2(faults=at_operation("DescribeVolumeStatus", fault, 99))

        assert look(stand, instance_id, ec2).loading == {}

    def test_is_shown_without_where_the_sdk_is_older_than_that(self, stand: Stand) -> None:
        stand, instance_id = running()
        ec2 = stand.ec2()
        client = ec2.reads._client
        told = client.describe_volume_status

        def older(**params: object) -> object:
            answer = told(**params)  # type: ignore[arg-type]  # as it comes
            for one in answer["VolumeStatuses"]:
                one.pop("InitializationStatusDetails", None)
            return answer

        client.describe_volume_status = older  # type: ignore[method-assign, assignment]  # as an older SDK answers
        assert look(stand, instance_id, ec2).loading == {}

    def test_is_shown_without_where_a_volume_has_just_gone(self) -> None:
        stand, instance_id = running()

        def gone(call: Call) -> None:
            if call.operation == "DescribeVolumeStatus":
                for v in list(stand.world.volumes.current()):
                    stand.world.volumes.drop(v.id, stand.world.clock.now)

        assert look(stand, instance_id, stand.ec2(faults=gone)).loading == {}

    def test_is_asked_about_in_parts(self, stand: Stand) -> None:
        ids = [stand.world.add_volume(DISK) for _ in range(AT_ONCE + 1)]
        calls: list[int] = []
        stand.world.on_call = lambda _, params: calls.append(len(params["VolumeIds"]))

        assert stand.ec2().loading(ids) == {}
        assert calls == [AT_ONCE, 1]


class TestTheApi:
    def test_shows_it_of_one_and_of_all(self, stand: Stand, functions: Functions) -> None:
        stand.world.rules = Rules(hydration=HOUR)
        stand.parked()
        functions.post("db", "start")
        stand.after(HOUR / 2)
        one, every = functions.get("db").body, functions.get().body["instances"][0]

        assert (
            {50, 51}
            >= {d["loading"]["percent"] for d in one["devices"]}
            == {d["loading"]["percent"] for d in every["devices"]}
        )
        assert "still load from snapshots" in one["detail"]


def test_each_step_of_a_start_shows(stand: Stand) -> None:
    instance_id = stand.parked()
    told: list[str] = []

    def peek(call: Call) -> None:
        if not call.operation.startswith("Describe"):
            found = observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=False)[instance_id]
            told.append(status(found, SETTINGS, stand.clock.now())["detail"].removeprefix(f"{instance_id} is "))

    stand.start_pass(faults=peek).start(instance_id)

    again = "restored from its 2 snapshots and started."
    assert list(dict.fromkeys(told[1:])) == [
        again,
        f"{again} Volumes created: 0 of 2; attached: 0.",
        f"{again} Volumes created: 2 of 2; attached: 0.",
        "started.",
    ]


def test_the_steps_of_a_restoration_show_while_it_goes_on() -> None:
    asked = tuple(replace(r, start_requested=NOW) for r in records())
    data, root = asked
    made = (restored(data, attachment(data.device)), restored(root))
    half = seen(*(replace(v, created=NOW) for v in made), records=asked)

    assert status(half, SETTINGS, NOW)["detail"].endswith("Volumes created: 2 of 2; attached: 1.")
    assert ID in status(half, SETTINGS, NOW)["detail"]


def in_time(seconds: float) -> str:
    """As docs/money.md says it: two digits of the largest unit of which there are two, or of hours."""
    for unit, size in (("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if seconds >= 2 * size:
            n = seconds / size
            return f"{n:.1f} {unit}" if n < 10 else f"{n:.0f} {unit}"
    return "at once"


@pytest.mark.parametrize("rate", [5, 100, 300])
def test_the_page_on_money_says_how_long_it_takes(rate: int) -> None:
    page = (PROJECT / "docs" / "money.md").read_text(encoding="utf-8")
    (row,) = (
        line for line in page.splitlines() if line.startswith("|") and re.search(rf"\b{rate}( MiB/s, if|` \|)", line)
    )

    assert [cell.strip() for cell in row.split("|")[2:5]] == [in_time(gib * 1024 / rate) for gib in (8, 100, 1000)]
