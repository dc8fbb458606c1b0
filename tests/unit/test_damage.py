"""Tags that say what cannot be: they count for nothing, cost nobody else anything, and are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from park_volumes.aws.described import Snapshots
from park_volumes.core import tags
from park_volumes.core.archive import due
from park_volumes.core.facts import MOST_DAMAGE, Observation
from park_volumes.core.park import park
from park_volumes.core.phase import (
    Phase,
    Request,
    last_request,
    next_try,
    phase_of,
    request_of,
    request_of_this_launch,
    start_pending,
    start_reverted,
    start_under_way,
)
from park_volumes.core.status import status
from park_volumes.overview import MOST_STRAYS, STRAYS, TO_CORRECT, gauges, of_damage, of_stray_damage
from park_volumes.run.fleet import start_sweep
from park_volumes.run.observe import assemble, observe
from tests.model import judge
from tests.unit import facts
from tests.unit.facts import ID, NOW, OTHER, SETTINGS
from tests.unit.functions import REMINDER, SWEEP, SWEEP_STARTS, Functions, state_change
from tests.unit.passes import DATA, ROOT, Stand
from tests.unit.test_cli import Laptop
from tests.unit.test_park_handler import logged

FUTURE = "2099-01-01T00:00:00+00:00"
NO_ZONE = "2026-01-05T10:00:00"
TOPIC = "arn:aws:sns:us-east-1:123456789012:park-volumes"


def snapshots_of(stand: Stand, instance_id: str) -> list[str]:
    return sorted(s.id for s in stand.world.snapshots.current() if s.tags.get(tags.INSTANCE) == instance_id)


def write(stand: Stand, resource_id: str, key: str, value: str) -> None:
    """What somebody who may tag does. The model refuses values that EC2 refuses."""
    stand.owner.create_tags(Resources=[resource_id], Tags=[{"Key": key, "Value": value}])


def observed(stand: Stand, instance_id: str) -> Observation:
    return observe(stand.ec2().reads, [instance_id], now=stand.clock.now(), locks=True)[instance_id]


@pytest.fixture
def two(stand: Stand) -> tuple[str, str]:
    """Two parked instances: one whose tags somebody changes, and one that has nothing to do with it."""
    return stand.parked(name="bad"), stand.parked(name="good")


class TestOneBadTag:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            (tags.START_REQUESTED, NO_ZONE),
            (tags.START_REQUESTED, "9999-12-31T23:59:59+00:00"),
            (tags.START_REQUESTED, FUTURE),
            (tags.PART, "1/40000000"),
            (tags.VOLUME, "size=" + "9" * 250),
            (tags.ATTEMPT, "9" * 256),
            (tags.TERMINATED, "*"),
            (tags.LAUNCH_TIME, "0001-01-01T00:00:00+23:59"),
            (tags.MARK, "9999-12-31T23:59:59-23:59"),
            (tags.INSTANCE, "*"),
            (tags.INSTANCE, ""),
            (tags.INSTANCE, "i-*"),
        ],
    )
    def test_on_a_snapshot_stops_no_sweep_no_list_and_no_start_of_others(
        self, stand: Stand, functions: Functions, two: tuple[str, str], key: str, value: str
    ) -> None:
        bad, good = two
        write(stand, snapshots_of(stand, bad)[0], key, value)

        assert functions.park(SWEEP) == []
        assert functions.park(REMINDER) == []
        assert functions.start(SWEEP_STARTS) == {}
        listed = {i["id"]: i for i in functions.get().body["instances"]}
        assert listed[good]["state"] == "parked"
        assert listed[bad]["state"] == "needs attention"
        assert functions.request("GET", "/savings").status == 200
        assert functions.post(good, "start").status == 202
        assert stand.instance(good).state == "pending"
        assert judge.problems(stand.world) == []

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            (tags.MARK, f"park-volumes {NO_ZONE}"),
            (tags.MARK, f"park-volumes * g {NO_ZONE} {NO_ZONE}"),
            (tags.MARK, f"park-volumes i-0123456789abcdef0 g {FUTURE} 9999-12-31T23:59:59+00:00"),
        ],
    )
    def test_on_a_volume_stops_nobody(self, stand: Stand, functions: Functions, key: str, value: str) -> None:
        bad, good = stand.rootless(name="bad"), stand.parked(name="good")
        root = next(v for v in stand.world.volumes.current() if not v.attachments)
        write(stand, root.id, key, value)
        stand.after(61)

        assert functions.park(SWEEP) == []
        assert functions.start(SWEEP_STARTS) == {}
        assert functions.park(state_change(bad, "stopped"), state_change(good, "stopped")) == []
        assert functions.get(bad).body["state"] == "needs attention"
        assert functions.post(good, "start").status == 202
        assert judge.problems(stand.world) == []

    def test_that_is_not_needed_does_not_keep_its_own_instance_from_starting(
        self, stand: Stand, functions: Functions, two: tuple[str, str]
    ) -> None:
        bad, _ = two
        for snapshot_id in snapshots_of(stand, bad):
            write(stand, snapshot_id, tags.ATTEMPT, "last")
            write(stand, snapshot_id, tags.START_REQUESTED, NO_ZONE)

        assert functions.post(bad, "start").status == 202
        assert stand.instance(bad).state == "pending"
        assert judge.problems(stand.world) == []

    def test_that_is_needed_refuses_the_start_and_says_which(
        self, stand: Stand, functions: Functions, two: tuple[str, str]
    ) -> None:
        bad, _ = two
        snapshot_id = snapshots_of(stand, bad)[0]
        write(stand, snapshot_id, tags.PART, "1/40000000")
        reply = functions.post(bad, "start")

        assert (reply.status, reply.code) == (409, "refused")
        assert f"The tags of snapshot {snapshot_id} do not say how to rebuild its volume (park-volumes:part is " in (
            reply.message
        )
        assert list(stand.world.volumes.current()) == []


class TestARequestOfTheFuture:
    @pytest.fixture
    def seen(self) -> Observation:
        """Parked, with a request of 2099 and a refusal of 2099; and launched once before."""
        future = datetime(2099, 1, 1, tzinfo=UTC)
        now = facts.records(start_requested=future, capacity_refused_at=future)
        before = facts.record(
            ROOT.device,
            snapshot_id="snap-old",
            launch_time=facts.LAUNCHED - timedelta(days=1),
            start_requested=future,
        )
        instance = facts.instance(state_reason="Server.InsufficientInstanceCapacity")
        found = assemble([instance], Snapshots(records=(*now, before), damaged={}), [], now=NOW)
        return found[ID]

    def test_is_seen_by_nobody(self, seen: Observation) -> None:
        assert all(r.start_requested is None and r.capacity_refused_at is None for r in seen.records)
        assert last_request(seen) is None
        assert not start_pending(seen, SETTINGS, NOW)
        assert not start_under_way(seen, SETTINGS, NOW)
        assert request_of_this_launch(seen, SETTINGS) is None
        assert not start_reverted(seen, SETTINGS)
        assert next_try(seen, SETTINGS, NOW) is None
        assert request_of(seen, SETTINGS, NOW) is Request.NONE
        assert gauges([seen], SETTINGS, NOW)["StartAge"] == 0

    def test_does_not_keep_the_snapshots_from_the_archive(self, seen: Observation) -> None:
        prices = {"snapshot": 0.05, "archive": 0.0125, "archive-restore": 0.0}
        archives = replace(SETTINGS, archive_after=timedelta(hours=1), prices=prices)

        assert due(seen, archives, NOW + timedelta(hours=2))

    def test_is_told(self, seen: Observation) -> None:
        assert [told.split()[4] for told in seen.damaged] == ["snap-data", "snap-root", "snap-old"]
        assert all("park-volumes:start-requested is of the future" in told for told in seen.damaged)

    def test_starts_nothing_and_keeps_nothing_from_being_parked(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        for snapshot_id in snapshots_of(stand, instance_id):
            write(stand, snapshot_id, tags.START_REQUESTED, FUTURE)
        functions.start(SWEEP_STARTS)
        functions.live(300)

        assert start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now()) == ([], [])
        assert stand.instance(instance_id).state == "stopped"
        assert list(stand.world.volumes.current()) == []
        assert functions.get(instance_id).body["state"] == "needs attention"

    def test_gives_way_to_a_real_one(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        for snapshot_id in snapshots_of(stand, instance_id):
            write(stand, snapshot_id, tags.START_REQUESTED, FUTURE)

        assert functions.post(instance_id, "start").status == 202
        assert stand.instance(instance_id).state == "pending"
        assert observed(stand, instance_id).damaged == ()

    def test_of_a_pass_that_began_later_is_one_of_the_present(self, stand: Stand) -> None:
        """A pass that has run for minutes sees what has been asked for meanwhile."""
        instance_id = stand.parked()
        long = stand.start_pass(lasts=timedelta(minutes=15))
        stand.after(300)
        for snapshot_id in snapshots_of(stand, instance_id):
            write(stand, snapshot_id, tags.START_REQUESTED, stand.clock.now().isoformat())
        (result,) = long.settle([instance_id])

        assert result.observation.damaged == ()
        assert last_request(result.observation) == stand.clock.now() or stand.instance(instance_id).state == "pending"


class TestWhoIsTold:
    def test_the_instance_of_a_snapshot_and_no_other(self, stand: Stand, two: tuple[str, str]) -> None:
        bad, good = two
        write(stand, snapshots_of(stand, bad)[0], tags.ATTEMPT, "last")

        assert len(observed(stand, bad).damaged) == 1
        assert observed(stand, good).damaged == ()

    def test_the_instance_that_a_volume_is_attached_to_and_the_one_in_its_mark(self) -> None:
        v = tags.with_mark(facts.root_volume(tags={tags.MARK: f"d {OTHER} g then"}))
        instances = [facts.instance(), facts.instance(id=OTHER), facts.instance(id="i-00000000")]
        found = assemble(instances, Snapshots(records=(), damaged={}), [v], now=NOW)

        assert [len(o.damaged) for o in found.values()] == [1, 1, 0]
        assert [len(o.volumes) for o in found.values()] == [1, 0, 0]
        assert [bool(o.in_transit) for o in found.values()] == [False] * 3

    def test_an_instance_that_is_gone_and_has_left_nothing_else(self, stand: Stand) -> None:
        gone = "i-0123456789abcdef0"
        stand.world.add_snapshot(tags={tags.DEPLOYMENT: SETTINGS.deployment, tags.INSTANCE: gone})
        (o,) = stand.fleet()

        assert (o.instance.id, phase_of(o), len(o.damaged)) == (gone, Phase.ENDED, 1)


class TestStatus:
    BAD = ("The first.", "The second.")

    def test_of_an_instance_without_a_root_volume_needs_attention(self) -> None:
        shown = status(replace(facts.parked(), damaged=self.BAD), SETTINGS, NOW)

        assert (shown["state"], shown["detail"]) == ("needs attention", f"{ID} is parked. The first. The second.")

    def test_of_an_instance_with_one_is_as_ever_and_says_so(self) -> None:
        running = facts.seen(facts.root_volume(), state="running")
        before = status(running, SETTINGS, NOW)
        shown = status(replace(running, damaged=self.BAD), SETTINGS, NOW)

        assert shown == before | {"detail": f"{before['detail']} The first. The second."}

    def test_says_it_once_where_it_is_the_reason_of_a_refusal_too(self) -> None:
        broken = facts.seen(records=facts.records(start_requested=NOW)[:1])
        detail = status(replace(broken, damaged=self.BAD), SETTINGS, NOW)["detail"]

        assert detail.count("The first.") == 1
        assert detail.endswith("The first. The second.")

    def test_does_not_list_a_thousand(self) -> None:
        many = tuple(f"No. {n}." for n in range(1000))
        detail = status(replace(facts.parked(), damaged=many), SETTINGS, NOW)["detail"]

        assert detail.endswith(f"No. 4. Damaged tags beyond these: {1000 - MOST_DAMAGE}.")
        assert MOST_DAMAGE == 5

    @pytest.mark.parametrize(("number", "more"), [(5, False), (6, True)])
    def test_lists_five(self, number: int, more: bool) -> None:
        damage = replace(facts.parked(), damaged=("x.",) * number).damage

        assert damage == "x. x. x. x. x." + (" Damaged tags beyond these: 1." if more else "")


class TestOnceADay:
    @pytest.fixture
    def topic(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
        """On a day that is not the first of a month, which has a message of its own."""
        stand.after(24 * 3600)
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        return functions

    def test_it_is_found_without_a_further_look_at_the_account(self, stand: Stand, topic: Functions) -> None:
        stand.launch(opt_in="ture")
        looks: list[str] = []
        stand.world.on_call = lambda name, _: looks.append(name) if name.startswith("Describe") else None
        topic.park(REMINDER)

        assert looks == ["DescribeInstances", "DescribeSnapshots", "DescribeVolumes"]

    def test_it_is_reported_of_its_instance(self, stand: Stand, topic: Functions, two: tuple[str, str]) -> None:
        bad, _ = two
        (snapshot_id, _) = snapshots_of(stand, bad)
        write(stand, snapshot_id, tags.START_REQUESTED, FUTURE)
        topic.park(SWEEP)
        assert topic.reported() == []

        topic.park(REMINDER)
        assert topic.reported() == [("Tags Damaged", bad)]
        detail = json.loads(topic.events[0]["Detail"])
        assert detail["version"] == "1"
        assert "start-requested is of the future" in detail["what"]
        assert (detail["advice"], detail["snapshot-ids"]) == (TO_CORRECT, [snapshot_id])
        assert "start-requested is of the future" in topic.messages[0]["message"]

    @pytest.mark.usefixtures("two")
    def test_a_snapshot_of_which_nobody_can_tell_whose_it_is_is_told_and_harms_nobody(
        self, stand: Stand, topic: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ours = {tags.DEPLOYMENT: SETTINGS.deployment}
        strays = [stand.world.add_snapshot(tags=ours | more) for more in ({}, {tags.INSTANCE: "*"})]
        topic.park(REMINDER)
        (line,) = logged(capsys)
        (message,) = topic.messages

        assert topic.reported() == []
        assert message["subject"] == STRAYS
        assert all(snapshot_id in message["message"] and snapshot_id in line["message"] for snapshot_id in strays)
        assert line["level"] == "WARNING"
        assert {i["state"] for i in topic.get().body["instances"]} == {"parked"}

    def test_a_snapshot_of_an_instance_that_is_not_opted_in_is_told_too(self, stand: Stand, topic: Functions) -> None:
        instance_id = stand.launch(opt_in="false")
        stand.world.add_snapshot(tags={tags.DEPLOYMENT: SETTINGS.deployment, tags.INSTANCE: instance_id})
        topic.park(REMINDER)

        assert [m["subject"] for m in topic.messages] == [STRAYS]

    @pytest.mark.usefixtures("two")
    def test_nothing_is_told_where_nothing_is_damaged(self, topic: Functions) -> None:
        topic.park(REMINDER)

        assert (topic.reported(), topic.messages) == ([], [])
        assert of_damage(facts.parked()) is None

    def test_of_many_strays_a_hundred_are_named(self) -> None:
        words = of_stray_damage({"": [f"No. {n}." for n in range(103)], ID: ["mine"]}, {ID})

        assert words.count("No. ") == MOST_STRAYS == 100
        assert words.endswith(f"{TO_CORRECT}\n\nThere are 3 more.")
        assert "mine" not in words


class TestTheCommandLine:
    @pytest.fixture
    def laptop(self, stand: Stand) -> Laptop:
        return Laptop(stand)

    def test_lists_and_explains_the_damage(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        write(stand, snapshots_of(stand, instance_id)[0], tags.ATTEMPT, "last")
        laptop.run("list")
        assert "needs attention" in laptop.said
        assert "park-volumes:attempt is 'last'" in laptop.said

        laptop.run("explain", instance_id)
        assert "  damaged   A tag of snapshot " in laptop.said

    def test_does_not_say_that_nothing_is_parked_where_every_record_is_damaged(
        self, laptop: Laptop, stand: Stand
    ) -> None:
        instance_id = stand.parked()
        for snapshot_id in snapshots_of(stand, instance_id):
            write(stand, snapshot_id, tags.PART, "1/40000000")

        assert laptop.run("check") == 3
        assert instance_id in laptop.said

    def test_parks_an_instance_with_a_damaged_tag_to_the_end(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.step(instance_id)
        for snapshot_id in snapshots_of(stand, instance_id):
            write(stand, snapshot_id, tags.ATTEMPT, "last")

        assert laptop.run("park", instance_id) == 0
        assert stand.instance(instance_id).devices == ()


def test_a_decision_to_park_is_as_before_with_damaged_notes() -> None:
    whole = facts.given_up()
    notes: dict[str, Any] = {"damage": ("x",)}
    damaged = replace(whole, records=tuple(replace(r, **notes) for r in whole.records), damaged=("x",))

    assert park(damaged, SETTINGS, NOW) == park(whole, SETTINGS, NOW)
    assert DATA.device in {r.device for r in damaged.records}
