"""A start request that cannot be written down: the start goes on, and nobody is promised that it goes on by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from park_volumes.core import tags
from park_volumes.core.facts import Observation
from park_volumes.core.park import park
from park_volumes.core.queue import AT_ONCE
from park_volumes.core.start import Intent, start
from park_volumes.core.steps import RememberStart
from park_volumes.run.execute import Ending, Result
from tests.model import judge
from tests.model.faults import Call, Fault, FaultPlan
from tests.model.records import Durations
from tests.model.world import World
from tests.unit import facts
from tests.unit.facts import NOW, SETTINGS, steps_of
from tests.unit.functions import SWEEP_STARTS, Context, Functions, failed_start, start_requested
from tests.unit.passes import ROOT, Stand
from tests.unit.test_queueing import busy

SAYS = "The request could not be written down, so nothing carries it on by itself"


def fill(stand: Stand, instance_id: str) -> list[str]:
    """Something tags the parked snapshots until nothing more fits."""
    found = [s for s in stand.world.snapshots.current() if s.tags.get(tags.INSTANCE) == instance_id]
    for s in found:
        more = [{"Key": f"filler-{n}", "Value": ""} for n in range(tags.TAGS_PER_RESOURCE - len(s.tags))]
        stand.owner.create_tags(Resources=[s.id], Tags=more)
    return [s.id for s in found]


def refused(operation: str, fault: Fault, *, requests_only: bool = True) -> FaultPlan:
    """Every call of that operation fails; of CreateTags only those that write a start request."""

    def plan(call: Call) -> Fault | None:
        keys = {tag["Key"] for tag in call.params.get("Tags", ())}
        hit = call.operation == operation and (not requests_only or tags.START_REQUESTED in keys)
        return fault if hit else None

    return plan


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> tuple[Stand, Functions]:
    """An account in which volumes take longer than a request."""
    stand = Stand(World(durations=Durations(create=100)))
    return stand, Functions(stand, monkeypatch)


def of(stand: Stand, instance_id: str, faults: FaultPlan | None = None) -> Result:
    result = stand.start_pass(faults=faults).start(instance_id)
    assert result is not None
    return result


class TestASnapshotWithFiftyTags:
    def test_starts(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        ids = fill(stand, instance_id)
        assert all(len(stand.owner.describe_snapshots(SnapshotIds=[i])["Snapshots"][0]["Tags"]) == 50 for i in ids)
        reply = functions.post("db", "start")

        assert reply.status == 202
        assert stand.instance(instance_id).state == "pending"
        assert f"{instance_id} is restored from its 2 snapshots and started. {SAYS}" in reply.body["detail"]
        assert "TagLimitExceeded" in reply.body["detail"]
        assert judge.problems(stand.world) == []

    def test_is_logged_as_a_warning(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fill(stand, stand.parked())
        functions.post("db", "start")

        assert '"level":"WARNING"' in capsys.readouterr().out

    def test_starts_in_the_same_pass_also_with_the_originals(self, stand: Stand) -> None:
        instance_id = stand.rootless()
        fill(stand, instance_id)
        result = of(stand, instance_id)

        assert result.not_remembered
        assert stand.instance(instance_id).state == "pending"
        assert judge.problems(stand.world) == []

    def test_starts_for_a_schedule_beside_others(self, stand: Stand, functions: Functions) -> None:
        full, other = stand.parked(name="full"), stand.parked(name="other")
        fill(stand, full)

        assert functions.start(start_requested(full, other)) == {}
        assert [stand.instance(i).state for i in (full, other)] == ["pending", "pending"]

    def test_starts_where_ec2_refused_it_elsewhere(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        fill(stand, instance_id)
        functions.start(failed_start(instance_id, at=stand.clock.now()))

        assert stand.instance(instance_id).state == "pending"

    def test_that_an_earlier_request_is_written_on_is_written_again(self, stand: Stand) -> None:
        instance_id = stand.parked()
        for s in list(stand.world.snapshots.current()):
            stand.owner.create_tags(Resources=[s.id], Tags=[{"Key": tags.START_REQUESTED, "Value": "nonsense"}])
        fill(stand, instance_id)

        assert of(stand, instance_id).not_remembered == ""


@pytest.mark.parametrize(
    "fault", [Fault.DENIED, Fault.NOT_SENT, Fault.ANSWER_LOST, Fault.SERVER_ERROR, Fault.SERVER_ERROR_AFTER]
)
class TestARefusalOfAnyKind:
    def test_does_not_stop_the_start(self, stand: Stand, fault: Fault) -> None:
        instance_id = stand.parked()
        result = of(stand, instance_id, refused("CreateTags", fault))

        assert (result.ending, result.error) == (Ending.COMPLETE, None)
        assert stand.instance(instance_id).state == "pending"
        assert judge.problems(stand.world) == []

    def test_of_many_does_not_stop_one_of_them(self, stand: Stand, fault: Fault) -> None:
        ids = [stand.parked(ROOT, name=f"n{k}") for k in range(AT_ONCE + 1)]
        results = stand.start_pass(faults=refused("CreateTags", fault)).request(ids)

        assert {r.ending for r in results} == {Ending.COMPLETE}
        assert {stand.instance(i).state for i in ids} <= {"pending", "running"}


def test_a_throttled_request_is_tried_again_until_it_is_written(stand: Stand) -> None:
    """Others are ahead of it, so it has to be remembered."""
    instance_id = stand.parked()
    left = 3

    def plan(call: Call) -> Fault | None:
        nonlocal left
        if call.operation != "CreateTags" or not left:
            return None
        left -= 1
        return Fault.THROTTLED

    result = of(stand, instance_id, plan)

    assert (result.not_remembered, left) == ("", 0)
    assert all(tags.START_REQUESTED in s.tags for s in stand.world.snapshots.current())


class TestThePromise:
    def test_is_not_made_where_the_pass_ends_too_early(self, slow: tuple[Stand, Functions]) -> None:
        stand, functions = slow
        fill(stand, stand.parked())
        reply = functions.post("db", "start")

        assert (reply.status, reply.body["state"]) == (202, "starting")
        assert "EC2 is still preparing the volumes. " in reply.body["detail"]
        assert SAYS in reply.body["detail"]
        assert "continues" not in reply.body["detail"]

    def test_is_right_not_to_be_made(self, slow: tuple[Stand, Functions]) -> None:
        """The sweep finishes the restoration, and starts nothing."""
        stand, functions = slow
        instance_id = stand.parked()
        fill(stand, instance_id)
        functions.post("db", "start")
        for _ in range(5):
            stand.after(61)
            functions.start(SWEEP_STARTS)
        assert stand.instance(instance_id).state == "stopped"
        assert len(stand.instance(instance_id).devices) == 2

        assert functions.post("db", "start").status == 202
        assert stand.instance(instance_id).state == "pending"

    def test_is_not_made_where_ec2_refuses_a_step(self, stand: Stand, functions: Functions) -> None:
        fill(stand, stand.parked())
        functions.faults = refused("CreateVolume", Fault.SERVER_ERROR, requests_only=False)
        reply = functions.post("db", "start")

        assert reply.status == 502
        assert SAYS in reply.message
        assert "Nothing is lost. " in reply.message
        assert "the sweep tries again" not in reply.message
        assert functions.reported()[0][0] == "Start Failed"
        assert "ask for the start again" in functions.events[0]["Detail"]

    def test_is_not_made_where_ec2_has_no_token_left(self, stand: Stand, functions: Functions) -> None:
        fill(stand, stand.parked())
        functions.faults = refused("StartInstances", Fault.THROTTLED, requests_only=False)
        reply = functions.post("db", "start")

        assert reply.status == 202
        assert SAYS in reply.body["detail"]
        assert "waiting in the queue" not in reply.body["detail"]

    def test_is_not_made_in_the_queue_which_needs_it(self, stand: Stand, functions: Functions) -> None:
        """Whoever cannot be remembered cannot wait for a turn, and is started now."""
        ids = [stand.parked(ROOT, name=f"n{k}") for k in range(8)]
        handler = busy(stand, functions, ids[:7])
        fill(stand, ids[7])
        results = handler(start_requested(ids[7]), Context(60))

        assert results == {}
        assert stand.instance(ids[7]).state in ("pending", "running")

    def test_of_a_schedule_is_kept_by_lambda(self, slow: tuple[Stand, Functions]) -> None:
        """Nobody waits for the answer: the event fails, and comes again."""
        stand, functions = slow
        instance_id = stand.parked()
        fill(stand, instance_id)
        with pytest.raises(Exception, match=f"{instance_id} could not continue: .*{SAYS}"):
            functions.start(start_requested(instance_id))
        stand.after(61)
        functions.start(start_requested(instance_id))

        assert stand.instance(instance_id).state == "pending"


class TestADecisionWithoutARequest:
    @pytest.mark.parametrize(
        "seen",
        [facts.parked(), facts.given_up(), facts.seen(facts.root_volume(), facts.data_volume())],
        ids=["parked", "locked", "whole"],
    )
    def test_does_all_but_remember(self, seen: Observation) -> None:
        with_request = start(seen, SETTINGS, NOW, intent=Intent.START)
        without = start(seen, SETTINGS, NOW, intent=Intent.START_NOW)
        steps = [step for step in with_request.every_step if not isinstance(step, RememberStart)]

        assert steps_of(without, RememberStart) == []
        assert list(without.every_step) == steps
        assert without.outcome is with_request.outcome

    def test_does_not_say_that_it_waits_and_continues(self) -> None:
        of_data, of_root = facts.records()
        left = facts.in_transit(facts.data_volume())
        committed = facts.seen(left, records=(of_data, of_root))

        assert start(committed, SETTINGS, NOW, intent=Intent.START).reason.endswith("then it is restored.")
        assert start(committed, SETTINGS, NOW, intent=Intent.START_NOW).reason.endswith("then ask again to restore it.")

    def test_brings_snapshots_back_from_the_archive_and_says_to_ask_again(self) -> None:
        archived = facts.seen(records=facts.records(archived=True))
        decision = start(archived, SETTINGS, NOW, intent=Intent.START_NOW)

        assert {type(step).__name__ for step in decision.every_step} == {"RestoreSnapshotTier"}
        assert decision.reason.endswith("takes up to 72 hours. Ask for the start again then.")


def test_that_ec2_had_no_capacity_may_stay_unwritten(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """Then every sweep tries again, for as long as the request is remembered."""
    instance_id = stand.parked()

    def plan(call: Call) -> Fault | None:
        if call.operation == "StartInstances":
            return Fault.NO_CAPACITY
        words = [t["Value"].split() for t in call.params.get("Tags", ()) if t["Key"] == tags.START_REQUESTED]
        return Fault.DENIED if words and len(words[0]) == 2 else None

    result = of(stand, instance_id, plan)
    assert result.lack
    assert f"That EC2 had no room for {instance_id} is not remembered: CreateTags failed" in caplog.text

    stand.after(61)
    stand.start_pass().sweep()
    assert stand.instance(instance_id).state == "pending"


def test_a_confirmation_that_cannot_be_written_is_no_note(stand: Stand) -> None:
    """It is the proof without which nothing is deleted: the volumes come back."""
    instance_id = stand.stopped()
    stand.ready(instance_id)
    fill(stand, instance_id)
    (result,) = stand.park_pass().park([instance_id])
    assert "TagLimitExceeded" in str(result.error)
    stand.after(timedelta(minutes=5).total_seconds())
    stand.start_pass().sweep()

    assert len(stand.instance(instance_id).devices) == 2
    assert park(facts.parked(), SETTINGS, NOW).reason.endswith("is parked.")
    assert judge.problems(stand.world) == []


def test_an_attempt_that_cannot_be_counted_is_no_note(stand: Stand) -> None:
    """The token would name the dead volume again: the start fails, and says why."""
    instance_id = stand.parked(ROOT)
    stand.start_pass(faults=refused("CreateVolume", Fault.VOLUME_FAILS, requests_only=False)).start(instance_id)
    fill(stand, instance_id)
    result = of(stand, instance_id)

    assert result.ending is Ending.FAILED
    assert "TagLimitExceeded" in str(result.error)


class TestARequestForWhichEc2HasNoTokensAllTheTime:
    """Nothing is begun, and nothing carries it on: that must not look like success."""

    def test_fails_and_says_so(self, stand: Stand) -> None:
        instance_id = stand.parked()
        result = of(stand, instance_id, refused("CreateTags", Fault.THROTTLED))

        assert (result.ending, str(result.error).split(". ")[0]) == (
            Ending.FAILED,
            f"The start of {instance_id} was not even begun",
        )
        assert result.not_remembered.startswith(SAYS)
        assert stand.instance(instance_id).state == "stopped"

    def test_is_answered_with_an_error_that_says_to_ask_again(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.faults = refused("CreateTags", Fault.THROTTLED)
        reply = functions.post("db", "start")

        assert reply.status == 502
        assert f"Nothing is lost. {SAYS}" in reply.message

    def test_of_a_schedule_is_delivered_again_by_lambda(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.faults = refused("CreateTags", Fault.THROTTLED)

        with pytest.raises(Exception, match=f"{instance_id} could not continue: The start of {instance_id} was not"):
            functions.start(start_requested(instance_id))
