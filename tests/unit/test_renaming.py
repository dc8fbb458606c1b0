"""A deployment that gets another name: what it parked before starts under the new one, or the refusal says where."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park_volumes.cli.desk import ExitCode
from park_volumes.core.steps import Outcome
from park_volumes.overview import TWO_AT_WORK, of_two_at_work
from tests.model import judge
from tests.unit.facts import DATA, NOW, SETTINGS, record, seen
from tests.unit.functions import ENVIRONMENT, REMINDER, Functions
from tests.unit.passes import Stand
from tests.unit.test_cli import Laptop

OLD = replace(SETTINGS, deployment="old")
NEW = replace(SETTINGS, deployment="park-volumes", previous_names=("older", "old"))
STEPS_TO_PARK = 11


@pytest.fixture
def old() -> Stand:
    return Stand(settings=OLD)


@pytest.fixture
def new(old: Stand) -> Stand:
    """The same world, in which the deployment now has another name, and says which it had."""
    return Stand(old.world, NEW)


def stopped(stand: Stand) -> tuple[str, object]:
    instance_id = stand.launch()
    before = judge.fittings(stand.world, instance_id)
    stand.stop(instance_id)
    return instance_id, before


def start_up(stand: Stand, instance_id: str) -> None:
    """Asks for the start, and lets the sweeps of both sides do the rest."""
    stand.start_pass().start(instance_id)
    for _ in range(12):
        stand.step(instance_id)
        stand.after(61)
        stand.start_pass().sweep()


def is_as_before(stand: Stand, instance_id: str, before: object) -> bool:
    assert judge.problems(stand.world) == []
    return stand.instance(instance_id).state == "running" and judge.fittings(stand.world, instance_id) == before


class TestWithoutThePreviousName:
    """The new deployment touches nothing of the old one, and says who has parked the instance."""

    @pytest.fixture
    def stranger(self, old: Stand) -> Stand:
        return Stand(old.world, SETTINGS)

    def test_a_start_names_the_deployment_that_parked_it(self, old: Stand, stranger: Stand) -> None:
        instance_id = old.parked()
        result = stranger.start_pass().start(instance_id)

        assert result is not None
        assert result.decision.outcome is Outcome.REFUSED
        assert result.reason == (
            f"{instance_id} has no root volume, because the deployment old has parked it. Start it there. If old is "
            f"what this deployment was called before, add that name to previous_names, apply, and try again."
        )

    def test_the_park_side_and_the_list_say_the_same(self, old: Stand, stranger: Stand) -> None:
        instance_id = old.parked()
        (result,) = stranger.step(instance_id)
        (seen,) = stranger.fleet()

        assert "the deployment old has parked it" in result.reason
        assert seen.parked_by == ("old",)

    def test_nothing_is_changed(self, old: Stand, stranger: Stand) -> None:
        instance_id = old.parked()
        before = old.world.clone()
        start_up(stranger, instance_id)

        ids = [v.id for v in before.volumes.current()] + [s.id for s in before.snapshots.current()]
        assert judge.differences(before, old.world, [instance_id, *ids]) == []

    def test_a_deployment_that_parked_it_once_and_gave_it_back_is_not_named(self, old: Stand, stranger: Stand) -> None:
        instance_id, _ = stopped(old)
        for _ in range(STEPS_TO_PARK):
            old.step(instance_id)
        start_up(old, instance_id)
        old.stop(instance_id)
        root = old.instance(instance_id).root
        assert root is not None
        old.owner.detach_volume(VolumeId=root.volume_id)
        old.after(61)
        (seen,) = stranger.fleet()

        assert seen.parked_by == ()


class TestWithThePreviousName:
    @pytest.mark.parametrize("steps", range(STEPS_TO_PARK + 1))
    def test_the_new_one_starts_what_the_old_one_has_parked_or_begun_to(
        self, old: Stand, new: Stand, steps: int
    ) -> None:
        instance_id, before = stopped(old)
        for _ in range(steps):
            old.step(instance_id)
        start_up(new, instance_id)

        assert is_as_before(new, instance_id, before)

    @pytest.mark.parametrize("steps", range(STEPS_TO_PARK + 1))
    def test_the_new_one_parks_to_the_end_what_the_old_one_began(self, old: Stand, new: Stand, steps: int) -> None:
        instance_id, before = stopped(old)
        for _ in range(steps):
            old.step(instance_id)
        for _ in range(STEPS_TO_PARK):
            new.step(instance_id)
        assert new.instance(instance_id).devices == ()
        start_up(new, instance_id)

        assert is_as_before(new, instance_id, before)

    def test_a_restoration_goes_on_that_the_old_one_began(self, old: Stand, new: Stand) -> None:
        instance_id, before = stopped(old)
        for _ in range(STEPS_TO_PARK):
            old.step(instance_id)
        old.start_pass(lasts=timedelta(seconds=2)).start(instance_id)
        assert any(v.snapshot_id for v in old.world.volumes.current())
        start_up(new, instance_id)

        assert is_as_before(new, instance_id, before)

    def test_the_snapshots_of_the_old_one_are_discarded_once_they_are_superseded(self, old: Stand, new: Stand) -> None:
        instance_id = old.parked()
        start_up(new, instance_id)
        new.after(timedelta(hours=25).total_seconds())
        new.step(instance_id)

        assert list(new.world.snapshots.current()) == []

    def test_a_third_deployment_is_left_alone(self, old: Stand, new: Stand) -> None:
        third = Stand(old.world, replace(SETTINGS, deployment="third"))
        instance_id = third.rootless()

        assert new.ec2().reads.every_snapshot().records == ()
        assert new.ec2().reads.marked_volumes("*") == []
        assert new.ec2().reads.snapshots_of([instance_id]).records == ()


class TestTwoAtWork:
    """Somebody gives the new deployment the old one's name, and leaves the old one there."""

    @settings(max_examples=60)
    @given(st.lists(st.booleans(), min_size=STEPS_TO_PARK, max_size=STEPS_TO_PARK), st.booleans())
    def test_nothing_is_lost_whoever_does_which_step(self, news: list[bool], new_starts: bool) -> None:
        old = Stand(settings=OLD)
        new = Stand(old.world, NEW)
        instance_id, before = stopped(old)
        for is_new in news:
            (new if is_new else old).step(instance_id)
            (old if is_new else new).start_pass().sweep()
        if not new_starts:
            old.start_pass().start(instance_id)
            old.after(61)
        start_up(new, instance_id)

        assert is_as_before(new, instance_id, before)

    @pytest.fixture
    def there(self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
        """The functions of the new one, in whose world the old one has just parked an instance; not on the first of a
        month, which has a message of its own."""
        stand.after(timedelta(days=1).total_seconds())
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:people")
        monkeypatch.setenv("PREVIOUS_NAMES", "older old")
        Stand(stand.world, OLD).parked()
        return functions

    def test_it_is_told_once_a_day(self, there: Functions) -> None:
        there.park(REMINDER)

        (message,) = there.messages
        assert message["subject"] == TWO_AT_WORK
        assert message["message"].startswith("The deployment old has taken snapshots in the last day")

    @pytest.mark.parametrize(("minutes", "told"), [(0, False), (1, True)])
    def test_it_is_told_of_the_last_23_hours(self, minutes: int, told: bool) -> None:
        theirs = record(DATA, deployment="old", started=NOW - timedelta(hours=23) + timedelta(minutes=minutes))
        words = of_two_at_work([seen(records=[theirs])], replace(SETTINGS, previous_names=("old",)), NOW)

        assert bool(words) is told

    def test_a_renaming_alone_is_not_told(self, there: Functions) -> None:
        """The first reminder of a new deployment comes a day after it was made."""
        there.stand.after(timedelta(days=1).total_seconds())
        there.park(REMINDER)

        assert there.messages == []


class TestCheck:
    """Before the module is removed, or its deployment renamed."""

    def test_fails_where_nothing_is_deployed_that_starts_what_another_deployment_parked(self, old: Stand) -> None:
        instance_id = old.parked(name="db")
        laptop = Laptop(old)

        assert laptop.run("check") is ExitCode.REFUSED
        assert f"{instance_id} (db) has its volumes in snapshots of the deployment old." in laptop.said
        assert "`--name old restore --all` brings their volumes back" in laptop.said
        assert "No instance is parked" not in laptop.said
        assert laptop.run("--name", "old", "restore", "--all") is ExitCode.DONE
        assert laptop.run("check") is ExitCode.DONE

    def test_tells_of_another_deployment_that_is_there_and_does_not_fail(self, old: Stand) -> None:
        instance_id = old.parked(name="db")
        laptop = Laptop(old)
        laptop.functions.environment = ENVIRONMENT

        assert laptop.run("check") is ExitCode.DONE
        assert f"{instance_id} (db) has its volumes in snapshots of the deployment old." in laptop.said
        assert "old is deployed: it starts them" in laptop.said

    def test_fails_where_the_other_deployment_only_observes(self, old: Stand) -> None:
        old.parked(name="db")
        laptop = Laptop(old)
        laptop.functions.environment = ENVIRONMENT | {"OBSERVE_ONLY": "true"}

        assert laptop.run("check") is ExitCode.REFUSED
        assert "old is deployed, but only observes: it starts nothing" in laptop.said

    def test_counts_those_of_previous_names_as_its_own_and_names_each_once(self, old: Stand) -> None:
        instance_id = old.parked(name="db")
        laptop = Laptop(old)
        laptop.functions.environment = ENVIRONMENT | {"PREVIOUS_NAMES": "old"}

        assert laptop.run("check") is ExitCode.REFUSED
        assert laptop.said.count(instance_id) == 1
        assert f"{instance_id} (db) is parked." in laptop.said
