"""Where nobody has seen which of the two AWS is, either will do (docs/aws.md)."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from park_volumes.aws.reads import PAGE_OF_BIN
from park_volumes.core.evidence import TAGS_COUNT
from park_volumes.core.facts import BinnedVolume
from park_volumes.core.way_back import FRESH
from park_volumes.overview import of_recycle_bin, of_the_month
from park_volumes.run.execute import Ending, Result
from park_volumes.run.fleet import in_recycle_bin
from park_volumes.run.park_pass import ParkPass
from tests.model.faults import Fault, at_operation
from tests.model.policies import Deny
from tests.model.records import SWITCHES, Disk, Rules
from tests.model.world import World
from tests.support.terraform import ROOT as REPOSITORY
from tests.unit.facts import SETTINGS, spec
from tests.unit.functions import REMINDER, SWEEP, Functions
from tests.unit.passes import DATA, ROOT, Stand

TOPIC = "arn:aws:sns:us-east-1:123456789012:park-volumes"
ON_A_CARD = Disk(device="/dev/sdg", size=30, type="gp2", card=1)
EITHER = [(name, value) for name, values in SWITCHES.items() for value in values]


def passes_of_both_sides(stand: Stand, instance_id: str, number: int) -> list[Result]:
    found = []
    for _ in range(number):
        found += stand.step_alone(instance_id)
        found += stand.try_way_back(instance_id)
    return found


def told(results: list[Result]) -> list[str]:
    return [str(r.error) for r in results if r.error]


@pytest.mark.parametrize(("switch", "value"), EITHER)
def test_an_instance_is_parked_and_started_twice_and_nothing_is_told(switch: str, value: Any) -> None:
    stand = Stand(World(rules=Rules(**{switch: value})))
    instance_id = stand.stopped(ROOT, DATA, ON_A_CARD)
    for _ in range(2):
        assert told(passes_of_both_sides(stand, instance_id, 14)) == []
        assert stand.instance(instance_id).devices == ()
        result = stand.start_pass().start(instance_id)
        stand.after(200)
        assert result is not None
        assert told([result, *passes_of_both_sides(stand, instance_id, 6)]) == []
        assert {(i.device, i.card) for i in stand.instance(instance_id).devices} == {
            (ROOT.device, 0),
            (DATA.device, 0),
            (ON_A_CARD.device, 1),
        }
        stand.stop(instance_id)


class TestADenialOfATagThatWasJustWritten:
    known: dict[str, datetime]

    def park(self, stand: Stand, instance_id: str) -> Result:
        """A pass of a function that has parked instances before."""
        (result,) = ParkPass(this_pass=replace(stand.this_pass(), known=self.known)).park([instance_id])
        return result

    def waiting(self, stand: Stand) -> str:
        """An instance that is marked and detached in one pass: one that looks alike has tried everything."""
        self.known = {}
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        stand.step_alone(first, second)
        for _ in range(3):
            stand.after(61)
            self.park(stand, first)
            stand.try_way_back(first)
        return second

    def test_is_a_race_that_is_looked_at_again(self) -> None:
        stand = Stand(World(rules=Rules(tags_count_after=4)))
        instance_id = self.waiting(stand)
        raced = self.park(stand, instance_id)
        stand.after(5)
        done = self.park(stand, instance_id)
        stand.after(10)

        assert (raced.ending, raced.error) == (Ending.RACED, None)
        assert "DetachVolume failed" in raced.reason
        assert done.ending is Ending.COMPLETE
        assert stand.instance(instance_id).root is None

    def test_is_told_if_it_lasts(self, stand: Stand) -> None:
        instance_id = self.waiting(stand)
        stand.world.denials = (Deny(actions=("DetachVolume",)),)
        raced = self.park(stand, instance_id)
        stand.after(TAGS_COUNT.total_seconds() + 1)
        lasting = self.park(stand, instance_id)

        assert (raced.ending, lasting.ending) == (Ending.RACED, Ending.FAILED)
        assert "DetachVolume" in str(lasting.error)

    def test_keeps_a_caller_waiting_for_seconds_only(self) -> None:
        stand = Stand(World(rules=Rules(tags_count_after=4)))
        instance_id = stand.stopped()
        passes_of_both_sides(stand, instance_id, 14)
        asked = stand.clock.now()
        result = stand.start_pass().start(instance_id)

        assert result is not None
        assert result.complete
        assert stand.instance(instance_id).state == "pending"
        assert (stand.clock.now() - asked).total_seconds() < 25

    def test_is_told_to_the_caller_of_a_start_if_it_lasts(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.world.denials = (Deny(actions=("AttachVolume",)),)
        asked = stand.clock.now()
        first = stand.start_pass().start(instance_id)
        waited = (stand.clock.now() - asked).total_seconds()
        stand.after(TAGS_COUNT.total_seconds())
        second = stand.start_pass().start(instance_id)

        assert first is not None
        assert second is not None
        assert (first.ending, second.ending) == (Ending.RACED, Ending.FAILED)
        assert "AttachVolume" in first.reason
        assert waited < 20

    def test_is_no_verdict_against_the_way_back(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.world.denials = (Deny(actions=("AttachVolume",)),)
        for _ in range(2):
            stand.step_alone(instance_id)
        stand.try_way_back(instance_id)
        at_once = [r.verdict for r in stand.ec2().reads.snapshots_of([instance_id]).records]
        stand.after(TAGS_COUNT.total_seconds() + 1)
        stand.try_way_back(instance_id)
        later = [r.verdict for r in stand.ec2().reads.snapshots_of([instance_id]).records]

        assert at_once == [None, None]
        assert [v and v.denied for v in later] == ["AttachVolume", "AttachVolume"]
        assert FRESH > TAGS_COUNT


class TestManagedVolumes:
    """Another service manages them, and the account hides that from whoever does not ask for it."""

    def stand(self, **rules: Any) -> tuple[Stand, str]:
        stand = Stand(World(rules=Rules(hides_managed=True, **rules)))
        managed = {"Operator": {"Managed": True, "Principal": "ecs.amazonaws.com"}}
        return stand, stand.stopped(ROOT, DATA._replace(facts=managed))

    def test_are_seen_and_stay_attached(self) -> None:
        stand, instance_id = self.stand()
        results = passes_of_both_sides(stand, instance_id, 14)

        assert told(results) == []
        assert [i.device for i in stand.instance(instance_id).devices] == [DATA.device]

    def test_that_an_older_sdk_does_not_see_keep_everything_attached(self) -> None:
        stand, instance_id = self.stand(old_sdk=True)
        passes_of_both_sides(stand, instance_id, 14)

        assert {i.device for i in stand.instance(instance_id).devices} == {ROOT.device, DATA.device}


def kept(stand: Stand) -> list[BinnedVolume]:
    found = in_recycle_bin(stand.ec2().reads, stand.fleet())
    assert found is not None
    return found


class TestTheRecycleBin:
    @pytest.fixture
    def stand(self) -> Stand:
        return Stand(World(rules=Rules(volume_bin=5 * 86_400)))

    def test_is_told_once_a_day_with_what_to_do(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
        monkeypatch.setenv("PRICES", '{"gp3": 0.08, "gp3-iops": 0.005, "gp3-throughput": 0.04, "gp2": 0.1}')
        stand.parked()
        stand.after(86_400 - stand.world.clock.now % 86_400 + 86_400)
        functions.park(SWEEP)
        assert functions.messages == []
        functions.park(REMINDER)
        (message,) = functions.messages

        assert message["subject"] == "ParkVolumes: parked volumes in the Recycle Bin"
        assert "2 parked volumes (132 GiB) are still in the Recycle Bin until 2026-01-06" in message["message"]
        assert "22.56 USD a month" in message["message"]
        assert "exclusion tag park-volumes:mark" in message["message"]

    def test_is_told_until_the_last_one_leaves_it(self) -> None:
        first, last = datetime(2026, 3, 4, 5, 6, tzinfo=UTC), datetime(2026, 3, 7, 5, 6, tzinfo=UTC)
        both = [BinnedVolume(id=f"vol-{n}", spec=spec(), leaves=at) for n, at in enumerate((last, first))]

        assert "until 2026-03-07 05:06 UTC at the latest" in of_recycle_bin(both, SETTINGS)

    def test_is_silent_once_they_have_left_it(self, stand: Stand) -> None:
        stand.parked()
        before = kept(stand)
        stand.after(5 * 86_400)

        assert len(before) == 2
        assert kept(stand) == []

    def test_holds_volumes_of_others_that_are_none_of_ours(self, stand: Stand) -> None:
        stand.parked()
        for _ in range(3):
            stand.owner.delete_volume(VolumeId=stand.world.add_volume())
        stand.after(60)

        assert len(stand.ec2().reads.recycle_bin() or []) == 5
        assert len(kept(stand)) == 2

    def test_is_read_page_after_page(self, stand: Stand) -> None:
        for _ in range(PAGE_OF_BIN + 2):
            stand.owner.delete_volume(VolumeId=stand.world.add_volume())
        stand.after(60)

        assert len(stand.ec2().reads.recycle_bin() or []) == PAGE_OF_BIN + 2

    def test_lowers_what_the_monthly_message_claims(self, stand: Stand) -> None:
        stand.parked()
        words = of_the_month([(stand.fleet(), SETTINGS, kept(stand))])

        assert "2 parked volumes (132 GiB) are still in the Recycle Bin" in words
        assert "Recycle Bin" not in of_the_month([(stand.fleet(), SETTINGS, [])])

    @pytest.mark.parametrize("fault", [Fault.DENIED, Fault.THROTTLED, None])
    def test_that_cannot_be_read_keeps_the_sweep_from_nothing(
        self, stand: Stand, functions: Functions, fault: Fault | None
    ) -> None:
        stand.world.rules = replace(stand.world.rules, old_sdk=fault is None)
        instance_id = stand.stopped()
        functions.faults = at_operation("ListVolumesInRecycleBin", fault, 9) if fault else None

        assert functions.park(REMINDER) == []
        functions.live(3600)
        assert stand.instance(instance_id).devices == ()


def test_every_switch_is_one_of_the_model_and_in_the_table_of_what_is_assumed() -> None:
    named = set(re.findall(r"^\| `(\w+)`", (REPOSITORY / "docs" / "aws.md").read_text(), re.MULTILINE))

    assert set(SWITCHES) <= {field.name for field in fields(Rules)}
    assert named == set(SWITCHES)
    for name, values in SWITCHES.items():
        assert getattr(Rules(), name) == values[0]
