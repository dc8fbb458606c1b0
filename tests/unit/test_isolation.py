"""An instance with which something goes wrong that nobody foresaw fails alone; it is told, and the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from park_volumes.cli.desk import ExitCode
from park_volumes.core import phase, prices
from park_volumes.core.archive import due
from park_volumes.core.facts import Observation
from park_volumes.core.retention import kept_until
from park_volumes.overview import gauges, of_the_month
from park_volumes.run import savings
from park_volumes.run.context import OutOfTime, alone
from park_volumes.run.execute import Ending, Unforeseen
from park_volumes.run.fleet import start_sweep
from park_volumes.run.park_pass import park_sweep
from tests.model.faults import Fault, ProcessDied, at_operation
from tests.unit import facts
from tests.unit.facts import ID, NOW, OTHER, SETTINGS
from tests.unit.functions import REMINDER, SWEEP, SWEEP_STARTS, Functions, failed_start, start_requested, state_change
from tests.unit.passes import Stand
from tests.unit.test_cli import Laptop
from tests.unit.test_park_handler import logged, look_again


def poison(monkeypatch: pytest.MonkeyPatch, instance_id: str) -> None:
    """Whoever asks for the phase of this instance meets an exception that nobody foresaw."""
    first, *others = phase.PHASES

    def holds(seen: Observation) -> bool:
        if seen.instance.id == instance_id:
            raise RuntimeError("nobody foresaw this")
        return first.holds(seen)

    monkeypatch.setattr(phase, "PHASES", (replace(first, holds=holds), *others))


class Pair:
    """Two instances, of which the first is poisoned."""

    def __init__(self, stand: Stand, monkeypatch: pytest.MonkeyPatch, *, parked: bool) -> None:
        make = stand.parked if parked else stand.stopped
        self.bad, self.good = make(name="bad"), make(name="good")
        self.ids = [self.bad, self.good]
        stand.after(61)
        poison(monkeypatch, self.bad)


@pytest.fixture
def stopped(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(stand, monkeypatch, parked=False)


@pytest.fixture
def parked(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(stand, monkeypatch, parked=True)


class TestAlone:
    def test_is_what_it_returns(self) -> None:
        assert alone("x", lambda: 7, lambda _: 0) == 7

    def test_is_what_is_made_of_an_exception_which_is_logged_with_its_trace(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> str:
            raise KeyError("x")

        assert alone("i-1", fail, repr) == "KeyError('x')"
        (line,) = caplog.records
        assert (line.levelname, line.getMessage()) == ("ERROR", "i-1 could not be handled.")
        assert line.exc_info is not None
        assert "in fail" in caplog.text

    @pytest.mark.parametrize("error", [OutOfTime, ProcessDied, KeyboardInterrupt])
    def test_lets_pass_what_ends_the_whole_pass(self, error: type[BaseException]) -> None:
        def end() -> None:
            raise error

        with pytest.raises(error):
            alone("i-1", end, lambda _: None)


class TestAParkPass:
    def test_fails_for_that_instance_and_goes_on_with_the_others(self, stand: Stand, stopped: Pair) -> None:
        results = {r.instance_id: r for r in stand.park_pass().park(stopped.ids)}

        assert results[stopped.bad].ending is Ending.FAILED
        assert isinstance(results[stopped.bad].error, Unforeseen)
        assert str(results[stopped.bad].error).startswith(f"{stopped.bad} could not be handled (RuntimeError(")
        assert results[stopped.good].complete
        assert {s.volume_id for s in stand.world.snapshots.current()} == {
            d.volume_id for d in stand.instance(stopped.good).devices
        }

    def test_sends_only_the_messages_of_that_instance_back(
        self, stand: Stand, functions: Functions, stopped: Pair
    ) -> None:
        failed = functions.park(*(state_change(i, "stopped") for i in stopped.ids), look_again(stopped.bad))

        assert failed == ["m0", "m2"]
        assert len(list(stand.world.snapshots.current())) == 2
        assert functions.reported() == [("Parking Failed", stopped.bad)]

    def test_is_logged_as_an_error_of_that_instance(
        self, functions: Functions, stopped: Pair, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        functions.park(*(state_change(i, "stopped") for i in stopped.ids))
        levels = {line["instance_id"]: line["level"] for line in logged(capsys)}

        assert levels == {stopped.bad: "ERROR", stopped.good: "INFO"}
        assert "Traceback" in caplog.text

    def test_that_breaks_while_the_steps_are_done_fails_alone_too(
        self, stand: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bad, good = stand.stopped(name="bad"), stand.stopped(name="good")
        stand.after(61)
        of_bad = {d.volume_id for d in stand.instance(bad).devices}
        this_pass = stand.park_pass()
        writes = this_pass.this_pass.ec2.writes
        do = writes.do

        def breaks(step: Any) -> None:
            if getattr(step, "volume_id", "") in of_bad:
                raise RuntimeError("nobody foresaw this")
            do(step)

        monkeypatch.setattr(writes, "do", breaks)
        results = {r.instance_id: r for r in this_pass.park([bad, good])}

        assert {i: r.ending for i, r in results.items()} == {bad: Ending.FAILED, good: Ending.COMPLETE}

    def test_whose_process_dies_ends(self, stand: Stand, stopped: Pair) -> None:
        with pytest.raises(ProcessDied):
            stand.park_pass(faults=at_operation("CreateSnapshot", Fault.DIES_BEFORE)).park(stopped.ids)

    def test_that_cannot_confirm_for_a_reason_that_nobody_foresaw_says_so(
        self, stand: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance_id = stand.stopped()
        stand.ready(instance_id)
        this_pass = stand.park_pass()
        writes = this_pass.this_pass.ec2.writes
        do = writes.do

        def breaks(step: Any) -> None:
            if type(step).__name__ == "ConfirmSnapshots":
                raise RuntimeError("nobody foresaw this")
            do(step)

        monkeypatch.setattr(writes, "do", breaks)
        (result,) = this_pass.park([instance_id])

        assert (result.ending, repr(result.error)) == (Ending.FAILED, "RuntimeError('nobody foresaw this')")


class TestAStartPass:
    def test_fails_for_that_instance_and_goes_on_with_the_others(self, stand: Stand, parked: Pair) -> None:
        results = {r.instance_id: r for r in stand.start_pass().request(parked.ids)}

        assert results[parked.bad].ending is Ending.FAILED
        assert [stand.instance(i).state for i in parked.ids] == ["stopped", "pending"]

    def test_for_a_schedule_fails_with_that_instance(self, stand: Stand, functions: Functions, parked: Pair) -> None:
        with pytest.raises(Exception, match=f"^{parked.bad} could not continue: {parked.bad} could not be handled"):
            functions.start(start_requested(*parked.ids))
        assert stand.instance(parked.good).state == "pending"
        assert functions.reported() == [("Start Failed", parked.bad)]

    def test_after_a_call_that_ec2_refused_elsewhere_fails_with_that_instance(
        self, stand: Stand, functions: Functions, parked: Pair
    ) -> None:
        with pytest.raises(Exception, match=f"^{parked.bad} could not continue: {parked.bad} could not be handled"):
            functions.start(failed_start(*parked.ids, at=stand.clock.now()))
        assert stand.instance(parked.good).state == "pending"

    def test_of_a_caller_is_502_in_words(self, functions: Functions, parked: Pair) -> None:
        reply = functions.post(parked.bad, "start")

        assert reply.status == 502
        assert reply.message.startswith(f"{parked.bad} could not be handled (RuntimeError")
        assert functions.post(parked.good, "start").status == 202

    def test_of_the_sweep_goes_on_with_the_others(self, stand: Stand, functions: Functions) -> None:
        ids = [stand.parked(name=name) for name in ("bad", "good")]
        functions.faults = at_operation("CreateVolume", Fault.THROTTLED, 99)
        functions.start(start_requested(*ids))
        functions.faults = None
        stand.after(61)
        with pytest.MonkeyPatch.context() as patch:
            poison(patch, ids[0])
            with pytest.raises(Exception, match=f"{ids[0]} could not continue"):
                functions.start(SWEEP_STARTS)
        assert [stand.instance(i).state for i in ids] == ["stopped", "pending"]

    def test_that_finds_out_of_one_only_that_nothing_can_be_told_looks_closer(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [stand.parked(name=name) for name in ("bad", "good")]
        functions.faults = at_operation("CreateVolume", Fault.THROTTLED, 99)
        functions.start(start_requested(*ids))
        stand.after(61)
        monkeypatch.setattr("park_volumes.run.fleet.start_pending", partial(fails_for, ids[0], phase.start_pending))

        assert start_sweep(stand.ec2().reads, SETTINGS, stand.clock.now()) == ([], sorted(ids))


def fails_for(instance_id: str, really: Any, seen: Observation, *others: Any) -> Any:
    if seen.instance.id == instance_id:
        raise RuntimeError("nobody foresaw this")
    return really(seen, *others)


class TestTheSweepOfParking:
    def test_hands_on_what_it_can_tell_nothing_of(self, stand: Stand, parked: Pair) -> None:
        """The pass that looks closer then fails, and says so."""
        fleet = stand.fleet()

        assert park_sweep(fleet, SETTINGS, stand.clock.now()) == [parked.bad]

    def test_does_not_archive_what_it_can_tell_nothing_of(self) -> None:
        patient = replace(SETTINGS, archive_after=timedelta(0), prices=ARCHIVING)
        other = replace(facts.parked(), instance=facts.instance(id=OTHER))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("park_volumes.run.park_pass.due", partial(fails_for, ID, due))
            assert park_sweep([facts.parked(), other], patient, NOW) == [OTHER]

    @pytest.mark.usefixtures("parked")
    def test_counts_the_others(self, stand: Stand) -> None:
        fleet = stand.fleet()

        assert gauges(fleet, SETTINGS, stand.clock.now())["ParkedGiB"] == 132
        assert of_the_month([(fleet, SETTINGS, ())]).startswith(
            "Opted-in instances that are parked: 1 of 1, with 132 GiB"
        )

    def test_that_fails_as_a_whole_comes_back_and_costs_no_other_message_its_turn(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance_id = stand.stopped()
        stand.after(61)
        monkeypatch.setattr("park_volumes.run.fleet.Ec2Reads.every_snapshot", lambda _: 1 / 0)

        assert functions.park(SWEEP, state_change(instance_id, "stopped")) == ["m0"]
        assert len(list(stand.world.snapshots.current())) == 2

    def test_of_the_day_tells_of_the_others(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [stand.launch(name=name, state="stopped", facts={"InstanceLifecycle": "spot"}) for name in "ab"]
        poison(monkeypatch, ids[0])
        functions.park(REMINDER)
        functions.park(*(body for _, body in functions.sent()))

        assert functions.reported() == [("Parking Failed", ids[0]), ("Parking Refused", ids[1])]


ARCHIVING = {"snapshot": 0.05, "archive": 0.0125, "archive-restore": 0.0}


class TestLists:
    def test_show_that_instance_with_what_is_known_and_the_others_as_ever(
        self, functions: Functions, parked: Pair
    ) -> None:
        reply = functions.get()
        bad, good = reply.body["instances"]

        assert (bad["id"], bad["name"], bad["state"]) == (parked.bad, "bad", "needs attention")
        assert bad["detail"].startswith(f"{parked.bad} could not be handled (RuntimeError")
        assert (good["id"], good["state"], good["size_gib"]) == (parked.good, "parked", 132)
        assert reply.body["total"]["size_gib"] == 132

    def test_of_one_instance_show_it_too(self, functions: Functions, parked: Pair) -> None:
        assert functions.get(parked.bad).body["state"] == "needs attention"

    def test_of_savings_count_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = replace(SETTINGS, prices={"gp3": 0.1, "snapshot": 0.05})
        good = replace(facts.parked(), instance=facts.instance(id=OTHER))
        whole = savings.report([savings.OfRegion(region="here", every=[good], settings=known)])
        really = prices.savings
        monkeypatch.setattr(prices, "savings", partial(fails_for, ID, really))
        report = savings.report([savings.OfRegion(region="here", every=[facts.parked(), good], settings=known)])

        assert {row["id"]: row["saved"] for row in report["instances"]} == {
            ID: None,
            OTHER: whole["instances"][0]["saved"],
        }
        assert report["total"] == whole["total"]
        assert len(savings.as_csv(report).splitlines()) == 4

    def test_of_orphans_show_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good = facts.seen(records=facts.records(instance_id=OTHER), id=OTHER, state="gone")
        bad = facts.seen(records=facts.records(), state="gone")

        def breaks(r: Any, settings: Any) -> Any:
            if r.instance_id == ID:
                raise RuntimeError("nobody foresaw this")
            return kept_until(r, settings)

        monkeypatch.setattr("park_volumes.run.savings.kept_until", breaks)

        of_region = savings.OfRegion(region="here", every=[], left=[bad, good], settings=SETTINGS)

        assert [o["instance_id"] for o in savings.report([of_region])["orphans"]] == [OTHER, OTHER]


class TestTheCommandLine:
    @pytest.fixture
    def laptop(self, stand: Stand) -> Laptop:
        return Laptop(stand)

    @pytest.fixture(autouse=True)
    def _no_log_on_the_screen(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        yield
        assert any(line.exc_info for line in caplog.get_records("call"))

    def test_lists_the_others(self, laptop: Laptop, parked: Pair) -> None:
        assert laptop.run("list") is ExitCode.DONE
        lines = {line.split()[0]: line for line in laptop.said.splitlines()}

        assert "needs attention" in lines[parked.bad]
        assert "could not be handled" in lines[parked.bad]
        assert "is parked." in lines[parked.good]

    def test_explains_why_there_is_nothing_to_explain(self, laptop: Laptop, parked: Pair) -> None:
        assert laptop.run("explain", parked.bad) is ExitCode.DONE
        assert laptop.said == f"{parked.bad} could not be handled (RuntimeError('nobody foresaw this')).\n"

    def test_does_not_say_that_nothing_is_parked_where_it_cannot_tell(self, laptop: Laptop, parked: Pair) -> None:
        assert laptop.run("check") is ExitCode.REFUSED
        assert f"{parked.bad} (bad) is needs attention." in laptop.said

    def test_starts_the_others_and_fails(self, laptop: Laptop, stand: Stand, parked: Pair) -> None:
        assert laptop.run("start", *parked.ids) is ExitCode.FAILED
        assert f"{parked.bad} could not be handled" in laptop.said
        assert stand.instance(parked.good).state == "running"

    def test_says_of_the_others_what_it_would_do(self, laptop: Laptop, parked: Pair) -> None:
        assert laptop.run("start", *parked.ids, "--dry-run") is ExitCode.DONE
        assert f"{parked.bad} could not be handled" in laptop.said
        assert "A volume of" in laptop.said
