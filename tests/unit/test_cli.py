"""The command line, on the model: what it does, what it says, and with which exit code it ends."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from park_volumes.cli import command
from park_volumes.cli.command import Account, NotPossible, main
from park_volumes.cli.desk import ExitCode
from park_volumes.cli.lease import ClockOff, Lease, PassOver
from park_volumes.cli.screen import Screen
from tests.model import judge
from tests.model.faults import Call, Fault, FaultPlan, at_operation
from tests.model.records import Instance
from tests.unit.passes import DATA, ROOT, OneAtATime, Stand, WorldClock

UNKNOWN = "i-0000000000000000f"


class Clock(WorldClock):
    """Threads wait one after the other."""

    def sleep(self, seconds: float) -> None:
        with OneAtATime._turn:
            super().sleep(seconds)


@dataclass
class Laptop:
    """Somebody at a laptop, in the account of a stand."""

    stand: Stand
    faults: FaultPlan | None = None
    said: str = ""
    operations: list[str] = field(default_factory=list)

    def run(self, *arguments: str) -> ExitCode:
        out = io.StringIO()
        code = main(arguments, out=out, clock=Clock(self.stand.world), connect=self._connect)
        self.said = out.getvalue()
        return ExitCode(code)

    def _connect(self, _: argparse.Namespace) -> Account:
        return Account(client=self._client, region="us-east-1", credentials=lambda: None)

    def _client(self, _service: str, **_: Any) -> Any:
        client = OneAtATime(self.stand.world, "laptop", faults=self._fault_at)
        client.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))
        return client

    def _fault_at(self, call: Call) -> Fault | None:
        self.operations.append(call.operation)
        return self.faults(call) if self.faults else None

    @property
    def changes(self) -> list[str]:
        return [o for o in self.operations if not o.startswith("Describe")]


@pytest.fixture
def laptop(stand: Stand) -> Laptop:
    return Laptop(stand)


def devices(instance: Instance) -> set[str]:
    return {d.device for d in instance.devices}


def nothing_is_wrong(stand: Stand) -> None:
    assert judge.problems(stand.world) == []


class TestStart:
    def test_brings_everything_back_starts_it_and_takes_the_marks_off(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked(name="db")

        assert laptop.run("start", "db") is ExitCode.DONE
        back = stand.instance(instance_id)
        assert back.state == "running"
        assert devices(back) == {ROOT.device, DATA.device}
        assert back.root is not None
        assert back.root.delete_on_termination
        assert not any("park-volumes:mark" in v.tags for v in stand.world.volumes.current())
        nothing_is_wrong(stand)

    def test_several_at_once_by_id_and_by_name(self, laptop: Laptop, stand: Stand) -> None:
        ids = [stand.parked(name="db"), stand.parked(name="web")]

        assert laptop.run("start", ids[0], "web") is ExitCode.DONE
        assert {stand.instance(i).state for i in ids} == {"running"}
        nothing_is_wrong(stand)

    def test_puts_volumes_back_that_are_still_there(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.rootless()
        before = {v.id for v in stand.world.volumes.current()}

        assert laptop.run("start", instance_id) is ExitCode.DONE
        assert {d.volume_id for d in stand.instance(instance_id).devices} == before

    def test_of_what_runs_is_done_at_once(self, laptop: Laptop, stand: Stand) -> None:
        assert laptop.run("start", stand.launch()) is ExitCode.DONE
        assert laptop.changes == []

    def test_is_refused_in_the_words_of_the_decision(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])

        assert laptop.run("start", instance_id) is ExitCode.REFUSED
        assert "tag it ParkVolumes=true and try again" in laptop.said

    def test_that_ec2_refuses_has_failed(self, laptop: Laptop, stand: Stand) -> None:
        laptop.faults = at_operation("CreateVolume", Fault.DENIED, times=9)

        assert laptop.run("start", stand.parked()) is ExitCode.FAILED
        assert "CreateVolume failed" in laptop.said

    def test_that_ec2_takes_back_has_failed_and_is_not_tried_for_ever(self, laptop: Laptop, stand: Stand) -> None:
        laptop.faults = at_operation("StartInstances", Fault.START_FALLS_BACK, times=99)

        assert laptop.run("start", stand.parked()) is ExitCode.FAILED
        assert "stopped it again (Client.InternalError)" in laptop.said
        assert laptop.operations.count("StartInstances") <= 2

    def test_that_takes_too_long_is_unfinished_and_the_same_command_goes_on(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()

        assert laptop.run("start", instance_id, "--timeout-minutes", "0") is ExitCode.UNFINISHED
        assert laptop.run("start", instance_id) is ExitCode.DONE

    @pytest.mark.parametrize("ref", [UNKNOWN, "nobody", "d*"])
    def test_of_nobody_says_so(self, laptop: Laptop, stand: Stand, ref: str) -> None:
        stand.parked(name="db")

        assert laptop.run("start", ref) is ExitCode.UNKNOWN
        assert f"No instance has the id or Name {ref!r}" in laptop.said

    def test_of_an_ambiguous_name_starts_none(self, laptop: Laptop, stand: Stand) -> None:
        ids = [stand.launch(name="db") for _ in range(2)]

        assert laptop.run("start", "db") is ExitCode.UNKNOWN
        assert all(i in laptop.said for i in ids)

    def test_interrupted_says_that_nothing_is_lost(self, laptop: Laptop) -> None:
        def interrupt(_: Call) -> Fault | None:
            raise KeyboardInterrupt

        laptop.faults = interrupt

        assert laptop.run("start", "db") is ExitCode.INTERRUPTED
        assert "Nothing is lost" in laptop.said


class TestRestore:
    def test_brings_the_volumes_back_and_starts_nothing(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()

        assert laptop.run("restore", instance_id) is ExitCode.DONE
        assert stand.instance(instance_id).state == "stopped"
        assert devices(stand.instance(instance_id)) == {ROOT.device, DATA.device}
        assert "StartInstances" not in laptop.operations
        assert not any("park-volumes:mark" in v.tags for v in stand.world.volumes.current())
        nothing_is_wrong(stand)

    def test_of_all_brings_everybody_s_back_and_leaves_the_others_alone(self, laptop: Laptop, stand: Stand) -> None:
        parked = [stand.parked(name="db"), stand.parked(name="web"), stand.rootless(name="half")]
        others = [stand.launch(name="runs"), stand.stopped(name="whole")]

        assert laptop.run("restore", "--all") is ExitCode.DONE
        assert all(devices(stand.instance(i)) == {ROOT.device, DATA.device} for i in (*parked, *others))
        assert {stand.instance(i).state for i in parked} == {"stopped"}
        assert not any(i in laptop.said for i in others)
        nothing_is_wrong(stand)

    def test_of_all_where_nothing_is_parked_is_done(self, laptop: Laptop, stand: Stand) -> None:
        stand.launch()

        assert laptop.run("restore", "--all") is ExitCode.DONE
        assert "No instance is parked" in laptop.said

    def test_of_all_ends_with_the_worst_of_all(self, laptop: Laptop, stand: Stand) -> None:
        good, bad = stand.parked(name="good"), stand.parked(name="bad")
        doomed = next(s for s in stand.world.snapshots.current() if s.tags["park-volumes:instance"] == bad)
        stand.owner.unlock_snapshot(SnapshotId=doomed.id)
        stand.owner.delete_snapshot(SnapshotId=doomed.id)

        assert laptop.run("restore", "--all") is ExitCode.REFUSED
        assert "list-snapshots-in-recycle-bin" in laptop.said
        assert devices(stand.instance(good)) == {ROOT.device, DATA.device}
        assert devices(stand.instance(bad)) == set()

    def test_and_then_a_start_finds_everything_as_it_was(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        laptop.run("restore", instance_id)

        assert laptop.run("start", instance_id) is ExitCode.DONE
        nothing_is_wrong(stand)


class TestPark:
    def test_leaves_the_snapshots_alone(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.after(600)

        assert laptop.run("park", instance_id) is ExitCode.DONE
        assert devices(stand.instance(instance_id)) == set()
        assert list(stand.world.volumes.current()) == []
        nothing_is_wrong(stand)

    def test_and_a_start_from_the_laptop_make_a_whole(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        laptop.run("park", instance_id)

        assert laptop.run("start", instance_id) is ExitCode.DONE
        assert devices(stand.instance(instance_id)) == {ROOT.device, DATA.device}
        nothing_is_wrong(stand)

    def test_of_what_runs_is_refused(self, laptop: Laptop, stand: Stand) -> None:
        assert laptop.run("park", stand.launch()) is ExitCode.REFUSED
        assert "is running: only a stopped instance can be parked" in laptop.said
        assert laptop.changes == []

    def test_of_what_must_not_be_is_refused_with_the_reason(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped(facts={"HibernationOptions": {"Configured": True}})

        assert laptop.run("park", instance_id) is ExitCode.REFUSED
        assert "Hibernation is enabled" in laptop.said

    def test_of_what_is_not_opted_in_is_refused(self, laptop: Laptop, stand: Stand) -> None:
        assert laptop.run("park", stand.stopped(opt_in="false")) is ExitCode.REFUSED
        assert "not opted in" in laptop.said

    def test_of_what_is_misspelt_is_refused_with_the_right_spelling(self, laptop: Laptop, stand: Stand) -> None:
        assert laptop.run("park", stand.stopped(opt_in="ture")) is ExitCode.REFUSED
        assert "ParkVolumes='ture', which opts nothing in: tag it ParkVolumes=true" in laptop.said
        assert laptop.changes == []

    def test_of_what_is_opted_in_in_any_spelling_is_done_by_its_name(self, laptop: Laptop, stand: Stand) -> None:
        stand.stopped(name="db", opt_in=" TRUE")
        stand.after(600)

        assert laptop.run("park", "db") is ExitCode.DONE
        assert list(stand.world.volumes.current()) == []

    def test_of_an_empty_name_is_of_nobody(self, laptop: Laptop, stand: Stand) -> None:
        stand.stopped(name="db")

        assert laptop.run("park", "") is ExitCode.UNKNOWN
        assert laptop.changes == []


class TestDryRun:
    @pytest.mark.parametrize(
        ("verb", "words"), [("start", "StartInstance"), ("restore", "CreateVolume 32 GiB gp3 from snap-")]
    )
    def test_says_the_next_steps_and_changes_nothing(self, laptop: Laptop, stand: Stand, verb: str, words: str) -> None:
        instance_id = stand.parked()

        assert laptop.run(verb, "--dry-run", instance_id) is ExitCode.DONE
        assert words in laptop.said
        assert laptop.changes == []

    def test_of_nobody_says_so(self, laptop: Laptop, stand: Stand) -> None:
        assert laptop.run("start", "--dry-run", stand.parked(), "nobody") is ExitCode.UNKNOWN

    def test_of_a_restoration_names_no_start(self, laptop: Laptop, stand: Stand) -> None:
        stand.parked()
        laptop.run("restore", "--dry-run", "--all")

        assert "CreateVolume" in laptop.said
        assert "StartInstance" not in laptop.said

    def test_of_parking_says_what_it_would_save(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.after(600)

        assert laptop.run("park", "--dry-run", instance_id) is ExitCode.DONE
        assert "CreateSnapshot" in laptop.said
        assert "as volumes 22.56" in laptop.said
        assert laptop.changes == []


class TestCheck:
    """Before the module is removed: `check && terraform destroy`."""

    def test_ends_with_three_and_names_who_is_parked(self, laptop: Laptop, stand: Stand) -> None:
        parked, half, running = stand.parked(name="db"), stand.rootless(), stand.launch()

        assert laptop.run("check") is ExitCode.REFUSED
        assert f"{parked} (db) is parked" in laptop.said
        assert f"{half} (db) is parking" in laptop.said
        assert running not in laptop.said
        assert "restore --all" in laptop.said

    def test_ends_with_nothing_where_nobody_is(self, laptop: Laptop, stand: Stand) -> None:
        stand.launch()

        assert laptop.run("check") is ExitCode.DONE
        assert laptop.said == "No instance is parked.\n"

    def test_after_everything_is_restored_nobody_is(self, laptop: Laptop, stand: Stand) -> None:
        stand.parked()
        laptop.run("restore", "--all")

        assert laptop.run("check") is ExitCode.DONE


class TestTelling:
    def test_the_list_has_every_instance_with_its_state_and_saving(self, laptop: Laptop, stand: Stand) -> None:
        parked, running = stand.parked(name="db"), stand.launch(name="web")
        stand.launch(name="stranger", opt_in="false")

        assert laptop.run("list") is ExitCode.DONE
        head, *lines = laptop.said.splitlines()
        assert head.split()[:3] == ["instance", "name", "state"]
        assert [line.split()[:3] for line in lines] == [[parked, "db", "parked"], [running, "web", "running"]]
        assert "15.96" in lines[0]

    def test_the_list_has_every_spelling_of_opting_in(self, laptop: Laptop, stand: Stand) -> None:
        ids = {stand.launch(name=value, opt_in=value) for value in ("TRUE", " root ")}
        stand.launch(name="stranger", opt_in="yes")
        laptop.run("list", "--json")

        listed = json.loads(laptop.said)["instances"]
        assert {one["id"] for one in listed if one["opted_in"]} == {one["id"] for one in listed} == ids

    def test_the_list_has_instances_that_have_lost_their_tag(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])
        laptop.run("list", "--json")

        (listed,) = json.loads(laptop.said)["instances"]
        assert (listed["id"], listed["opted_in"]) == (instance_id, False)

    def test_the_list_has_what_terminated_instances_left(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        stand.after(4000)

        assert laptop.run("list") is ExitCode.DONE
        assert f"{instance_id} is gone. snap-" in laptop.said
        assert "kept until somebody deletes it" in laptop.said
        assert laptop.run("check") is ExitCode.DONE

    def test_an_explanation_says_what_was_seen_decided_and_why(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.rootless(name="db")

        assert laptop.run("explain", "db") is ExitCode.DONE
        for words in (
            f"{instance_id} (db): parking",
            "root device /dev/xvda",
            "in transit: generation",
            "part 1 of 2",
            "of this stop",
            "locked",
            "to park: going on.",
            "to start, if requested: done. The volumes of",
            "1. RememberStart",
            "as volumes 22.56",
        ):
            assert words in laptop.said

    def test_an_explanation_of_nobody_says_so(self, laptop: Laptop) -> None:
        assert laptop.run("explain", UNKNOWN) is ExitCode.UNKNOWN

    def test_a_change_of_words_is_one_line_without_a_terminal(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.after(600)
        laptop.run("park", instance_id)

        assert "\x1b" not in laptop.said
        assert len(laptop.said.splitlines()) == len(set(laptop.said.splitlines()))


class TestUsage:
    @pytest.mark.parametrize("arguments", [["start"], ["restore"], ["restore", "--all", "db"], ["park"]])
    def test_instances_are_named_or_all_of_them_are_meant(self, laptop: Laptop, arguments: list[str]) -> None:
        assert laptop.run(*arguments) is ExitCode.USAGE
        assert "Name the instances" in laptop.said

    def test_a_quiet_period_that_the_module_would_refuse_is_refused_here(self, laptop: Laptop) -> None:
        assert laptop.run("--quiet-period-seconds", "60", "list") is ExitCode.USAGE
        assert "plus 45" in laptop.said

    @pytest.mark.parametrize("arguments", [[], ["destroy"], ["list", "--what"]])
    def test_what_is_no_command_ends_with_two(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(arguments)

    def test_without_a_region_it_says_how_to_give_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

        with pytest.raises(NotPossible, match="give --region"):
            command._connect(argparse.Namespace(profile=None, region=None))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_are_bars() -> None:
    out = Terminal()
    with Screen(out).board() as board:
        board.show("i-1 db", 50, "Snapshots are running: [/dev/sdf] 50%.")
        board.show("i-1 db", 100, "parked")

    assert "i-1 db" in out.getvalue()
    assert "parked" in out.getvalue()
    assert "\x1b" in out.getvalue()


class TestLease:
    """What Lambda's time limit and clock are to the functions."""

    def lease(self, clock: Any) -> tuple[Lease, Callable[[], Any], Callable[[], Any]]:
        lease = Lease(clock, timedelta(seconds=60))
        lease.begin(clock.now())
        client = boto3.client(
            "ec2",
            region_name="us-east-1",
            endpoint_url="http://127.0.0.1:9",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        lease.watch(client)
        return (
            lease,
            lambda: client.delete_volume(VolumeId="vol-0123456789abcdef0"),
            lambda: client.describe_volumes(VolumeIds=["vol-0123456789abcdef0"]),
        )

    def test_a_pass_that_slept_changes_nothing_any_more(self, stand: Stand) -> None:
        _, change, describe = self.lease(stand.clock)
        stand.after(60)

        with pytest.raises(PassOver, match="began more than 60 seconds ago"):
            change()
        with pytest.raises(Exception, match="Could not connect"):
            describe()

    def test_a_pass_within_its_time_limit_may(self, stand: Stand) -> None:
        _, change, _ = self.lease(stand.clock)
        stand.after(59)

        with pytest.raises(Exception, match="Could not connect"):
            change()

    @pytest.mark.parametrize(("seconds", "right"), [(-300, False), (-11, False), (-5, True), (5, True), (300, False)])
    def test_a_clock_that_is_off_stops_every_change(self, seconds: int, right: bool) -> None:
        class Off:
            def now(self) -> datetime:
                return datetime.now(UTC) + timedelta(seconds=seconds)

        lease, change, _ = self.lease(Off())
        lease.compare(parsed={"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(datetime.now(UTC))}}})

        with pytest.raises(Exception, match="Could not connect" if right else "differs from EC2's by") as problem:
            change()
        assert isinstance(problem.value, ClockOff) is not right
