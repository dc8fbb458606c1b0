"""The command line, on the model: what it does, what it says, and with which exit code it ends."""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from park_volumes import __version__
from park_volumes.cli import account as an_account
from park_volumes.cli import command, deployed
from park_volumes.cli.account import Account, NotPossible
from park_volumes.cli.command import main
from park_volumes.cli.desk import ExitCode
from park_volumes.cli.explain import would
from park_volumes.cli.lease import ClockOff, Lease, PassOver
from park_volumes.cli.options import deployment_of
from park_volumes.cli.screen import Screen
from park_volumes.core import steps
from park_volumes.core.facts import AttachmentTarget, Kept, Verdict
from park_volumes.core.prices import prices_of
from park_volumes.core.settings import Settings
from park_volumes.core.steps import Step
from tests.model import judge
from tests.model.faults import Call, Fault, FaultPlan, at_operation
from tests.model.records import Instance
from tests.support.hcl import blocks, load, plain
from tests.support.terraform import ROOT as REPOSITORY
from tests.unit.facts import MARK, record
from tests.unit.functions import ENVIRONMENT
from tests.unit.passes import DATA, ROOT, OneAtATime, Stand, WorldClock

UNKNOWN = "i-0000000000000000f"


@dataclass
class Functions:
    """Lambda, and what it answers about the park function: its environment, an error, or that it is not there."""

    environment: dict[str, str] | None = None
    error: BotoCoreError | ClientError | None = None
    answer: dict[str, Any] | None = None
    asked: list[str] = field(default_factory=list)

    def get_function_configuration(self, **parameters: str) -> dict[str, Any]:
        self.asked.append(parameters["FunctionName"])
        if self.error:
            raise self.error
        if self.answer is not None:
            return self.answer
        if self.environment is None:
            raise refused("ResourceNotFoundException")
        return {"Environment": {"Variables": self.environment}}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "words"}}, "GetFunctionConfiguration")


@dataclass
class Laptop:
    """Somebody at a laptop, in the account of a stand."""

    stand: Stand
    faults: FaultPlan | None = None
    functions: Functions = field(default_factory=Functions)
    said: str = ""
    noted: str = ""
    operations: list[str] = field(default_factory=list)

    def run(self, *arguments: str) -> ExitCode:
        out, notes = io.StringIO(), io.StringIO()
        code = main(arguments, out=out, notes=notes, clock=WorldClock(self.stand.world), connect=self._connect)
        self.said, self.noted = out.getvalue(), notes.getvalue()
        return ExitCode(code)

    def _connect(self, _: argparse.Namespace) -> Account:
        return Account(client=self._client, region="us-east-1", credentials=lambda: None)

    def _client(self, service: str, **_: Any) -> Any:
        if service == "lambda":
            return self.functions
        client = OneAtATime(self.stand.world, "laptop", faults=self._fault_at)
        client.meta.events = SimpleNamespace(register=lambda *_: None)
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


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--function-timeout-seconds", "901"),
            ("--function-timeout-seconds", "9" * 5000),
            ("--quiet-period-seconds", "-1"),
            ("--grace-period-minutes", "1e9"),
            ("--snapshot-retention-hours", "\u0661"),
            ("--snapshot-retention-hours", "8761"),
        ],
    )
    def test_out_of_their_range_are_wrong_usage(
        self, laptop: Laptop, capsys: pytest.CaptureFixture[str], option: str, value: str
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            laptop.run(option, value, "list")
        assert ended.value.code == ExitCode.USAGE
        assert "it is not a whole number from 0 to " in capsys.readouterr().err

    @pytest.mark.parametrize("value", ["nan", "inf", "1e999", "-1", "", "100000"])
    def test_that_are_no_time_are_wrong_usage(
        self, laptop: Laptop, capsys: pytest.CaptureFixture[str], value: str
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            laptop.run("start", "db", "--timeout-minutes", value)
        assert ended.value.code == ExitCode.USAGE
        assert "it is not a number of minutes" in capsys.readouterr().err

    @pytest.mark.parametrize("ref", ["x" * 300, "\x00", "\ud800"])
    def test_that_are_no_name_stand_for_nothing(self, laptop: Laptop, ref: str) -> None:
        assert laptop.run("explain", ref) is ExitCode.UNKNOWN
        assert laptop.said.startswith("No instance has the id or Name ")


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

    @pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
    def test_beside_a_deployment_warns_that_it_is_parked_again_and_how_to_prevent_that(
        self, laptop: Laptop, stand: Stand, arguments: list[str]
    ) -> None:
        laptop.functions.environment = ENVIRONMENT

        assert laptop.run("restore", stand.parked(), *arguments) is ExitCode.DONE
        assert "park-volumes is deployed here: it parks restored instances again" in laptop.said
        assert "set observe_only = true and apply" in laptop.said
        assert "remove the tag ParkVolumes" in laptop.said

    def test_warns_where_nobody_knows_whether_there_is_a_deployment(self, laptop: Laptop, stand: Stand) -> None:
        laptop.functions.error = refused("AccessDeniedException")

        assert laptop.run("restore", stand.parked()) is ExitCode.DONE
        assert "If park-volumes is deployed here, it parks restored instances again" in laptop.said

    @pytest.mark.parametrize("environment", [None, {**ENVIRONMENT, "OBSERVE_ONLY": "true"}])
    def test_warns_of_nothing_where_nothing_parks(
        self, laptop: Laptop, stand: Stand, environment: dict[str, str] | None
    ) -> None:
        laptop.functions.environment = environment
        instance_id = stand.parked()

        assert laptop.run("restore", instance_id) is ExitCode.DONE
        assert "again" not in laptop.said
        assert devices(stand.instance(instance_id)) == {ROOT.device, DATA.device}

    def test_of_all_where_nothing_is_parked_warns_of_nothing(self, laptop: Laptop) -> None:
        laptop.functions.environment = ENVIRONMENT
        laptop.run("restore", "--all")

        assert laptop.said == "No instance is parked.\n"

    def test_is_really_parked_again_by_a_deployment(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        laptop.run("restore", instance_id)
        stand.after(600)
        for _ in range(8):
            stand.step(instance_id)

        assert devices(stand.instance(instance_id)) == set()


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


AT = datetime(2026, 3, 2, tzinfo=UTC)
PLACE = AttachmentTarget(device="/dev/sdf", card=0, snapshot_id="snap-1", delete_on_termination=True)
AWAY = steps.DetachVolume(volume_id="vol-1", instance_id="i-1", device="/dev/sdf", attach_time=AT)
SENTENCES: list[tuple[Step, str]] = [
    (
        steps.TryGivingUp(parts=((AWAY, record(DATA.device)),)),
        "ParkVolumes would test whether vol-1 may be detached and deleted.",
    ),
    (
        steps.TryWayBack(instance_id="i-1", parts=((record(DATA.device), "vol-1"),)),
        "ParkVolumes would test whether i-1 may come back from its snapshots.",
    ),
    (
        steps.RememberVerdict(snapshot_id="snap-1", verdict=Verdict(shape="x", at=AT)),
        "What EC2 allows would be written on snap-1.",
    ),
    (
        steps.RememberKept(snapshot_id="snap-1", kept=Kept(at=AT, words="in use")),
        "Why snap-1 is kept would be written on it.",
    ),
    (steps.CreateSnapshot(volume_id="vol-1", description="", tags={}), "A snapshot of vol-1 would be taken."),
    (steps.LockSnapshot(snapshot_id="snap-1"), "snap-1 would be locked against deletion."),
    (steps.MarkVolume(volume_id="vol-1", mark=MARK, target=PLACE), "vol-1 would be marked as in transit."),
    (
        steps.DetachVolume(volume_id="vol-1", instance_id="i-1", device="/dev/sdf", attach_time=AT),
        "vol-1 would be detached from /dev/sdf.",
    ),
    (
        steps.ConfirmSnapshots(snapshot_ids=("snap-1", "snap-2"), at=AT),
        "It would be written on snap-1, snap-2 that their volumes are given up.",
    ),
    (steps.DeleteVolume(volume_id="vol-1"), "vol-1 would be deleted."),
    (steps.DiscardSnapshot(snapshot_id="snap-1", locked=True), "snap-1 would be deleted."),
    (steps.ArchiveSnapshot(snapshot_id="snap-1"), "snap-1 would be moved to the archive tier."),
    (
        steps.RestoreSnapshotTier(snapshot_id="snap-1"),
        "snap-1 would be brought back from the archive tier, which takes up to 72 hours.",
    ),
    (steps.RememberStart(snapshot_ids=("snap-1",), at=AT), "The request would be written on snap-1."),
    (
        steps.RememberTermination(snapshot_ids=("snap-1",), instance_id="i-1", at=AT),
        "It would be written on snap-1 that i-1 is terminated.",
    ),
    (steps.CountAttempt(snapshot_id="snap-1", attempt=2), "Attempt 2 at a volume from snap-1 would be counted."),
    (
        steps.CreateVolume(record=record("/dev/sdf", snapshot_id="snap-1"), token="snap-1-1"),
        "A volume of 8 GiB gp3 would be created from snap-1 for /dev/sdf.",
    ),
    (
        steps.AttachVolume(instance_id="i-1", device="/dev/sdf", card=0, volume_id="vol-1"),
        "vol-1 would be attached at /dev/sdf.",
    ),
    (
        steps.SetDeleteOnTermination(instance_id="i-1", devices={"/dev/sdf": True, "/dev/sdg": False}),
        "DeleteOnTermination of /dev/sdf, /dev/sdg would be set as it was.",
    ),
    (steps.UnmarkVolumes(volume_ids=("vol-1", "vol-2"), mark=MARK), "The mark of vol-1, vol-2 would be removed."),
    (steps.StartInstance(instance_id="i-1"), "i-1 would be started."),
]


class TestDryRun:
    @pytest.mark.parametrize(
        ("verb", "words"),
        [("start", " would be started."), ("restore", "A volume of 32 GiB gp3 would be created from snap-")],
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

        assert "would be created" in laptop.said
        assert "would be started" not in laptop.said

    def test_of_parking_says_what_it_would_save(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.after(600)

        assert laptop.run("park", "--dry-run", instance_id) is ExitCode.DONE
        assert laptop.said.count("A snapshot of vol-") == 2
        assert "as volumes 22.56" in laptop.said
        assert laptop.changes == []

    def test_speaks_in_the_conditional(self, laptop: Laptop, stand: Stand) -> None:
        """The reason of a decision speaks of its steps as if they were being done."""
        parked, stopped = stand.parked(), stand.stopped()
        stand.after(600)
        for verb, instance_id in (("start", parked), ("restore", parked), ("park", stopped)):
            laptop.run(verb, "--dry-run", instance_id)
            name, *lines, _ = laptop.said.splitlines()
            steps = [line for line in lines if not line.startswith("  costs:")]

            assert name == f"{instance_id} (db)"
            assert steps
            assert all(" would be " in line for line in steps), laptop.said

    def test_of_what_would_be_refused_says_why(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped(facts={"HibernationOptions": {"Configured": True}})
        laptop.run("park", "--dry-run", instance_id)

        assert "It would be refused. " in laptop.said
        assert "Hibernation is enabled" in laptop.said

    def test_of_what_would_have_to_wait_says_for_what(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.rootless()
        laptop.run("park", "--dry-run", instance_id)

        assert f"It would have to wait. The root volume of {instance_id} is detached; nothing is" in laptop.said

    def test_of_what_is_done_already_says_so(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.launch()
        laptop.run("start", "--dry-run", instance_id)

        assert f"Nothing would be done. {instance_id} is running." in laptop.said

    def test_of_parking_what_runs_says_what_the_command_says(self, laptop: Laptop, stand: Stand) -> None:
        laptop.run("park", "--dry-run", stand.launch())

        assert "It would be refused. " in laptop.said
        assert "is running: only a stopped instance can be parked." in laptop.said

    @pytest.mark.parametrize(("step", "sentence"), SENTENCES, ids=[type(step).__name__ for step, _ in SENTENCES])
    def test_has_a_sentence_for_each_step(self, step: Step, sentence: str) -> None:
        assert would(step) == sentence

    def test_has_a_sentence_for_every_step(self) -> None:
        assert {type(step) for step, _ in SENTENCES} == set(get_args(Step))


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
            "1. The request would be written on snap-",
            "as volumes 22.56",
        ):
            assert words in laptop.said

    def test_an_explanation_of_what_is_not_opted_in_says_that_first_and_what_to_do(
        self, laptop: Laptop, stand: Stand
    ) -> None:
        instance_id = stand.launch(name="web", opt_in="no")

        assert laptop.run("explain", "web") is ExitCode.DONE
        first, advice, command = laptop.said.splitlines()[:3]
        assert first.startswith(f"{instance_id} (web) is not opted in, because its tag ParkVolumes is 'no'")
        assert advice == "To have it parked when it stops, opt it in:"
        assert command.strip() == f"aws ec2 create-tags --resources {instance_id} --tags Key=ParkVolumes,Value=true"

    def test_an_explanation_of_what_is_parked_and_has_lost_its_tag_says_how_to_start_it(
        self, laptop: Laptop, stand: Stand
    ) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])
        laptop.run("explain", "db")

        assert "is not opted in, because it has no tag ParkVolumes" in laptop.said.splitlines()[0]
        assert laptop.said.splitlines()[1] == "Its volumes are parked. To start it, opt it in again:"

    @pytest.mark.parametrize("opt_in", ["true", "root"])
    def test_an_explanation_of_what_is_opted_in_begins_with_its_state(
        self, laptop: Laptop, stand: Stand, opt_in: str
    ) -> None:
        instance_id = stand.launch(opt_in=opt_in)
        laptop.run("explain", instance_id)

        assert laptop.said.startswith(f"{instance_id} (db): running\n")

    def test_a_name_is_that_of_the_instance_that_is_opted_in_where_there_is_one(
        self, laptop: Laptop, stand: Stand
    ) -> None:
        stand.launch(name="web", opt_in="false")
        meant = stand.launch(name="web")
        laptop.run("explain", "web")

        assert laptop.said.startswith(f"{meant} (web): running\n")

    def test_an_explanation_of_nobody_says_so(self, laptop: Laptop) -> None:
        assert laptop.run("explain", UNKNOWN) is ExitCode.UNKNOWN

    def test_a_change_of_words_is_one_line_without_a_terminal(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.after(600)
        laptop.run("park", instance_id)

        assert "\x1b" not in laptop.said
        assert len(laptop.said.splitlines()) == len(set(laptop.said.splitlines()))


class TestSettings:
    """They are those of the deployed functions, where these can be read."""

    def run(self, laptop: Laptop, *arguments: str) -> Settings:
        """The settings with which a command with these arguments works."""
        account = Account(client=laptop._client, region="us-east-1", credentials=lambda: None)
        options = command._parser().parse_args([*arguments, "list"], argparse.Namespace(**command.ANYWHERE))
        return deployment_of(options, account).settings

    def test_are_those_of_the_function(self, laptop: Laptop) -> None:
        laptop.functions.environment = {
            **ENVIRONMENT,
            "SNAPSHOT_RETENTION_HOURS": "72",
            "QUIET_PERIOD_SECONDS": "300",
            "FUNCTION_TIMEOUT_SECONDS": "200",
            "LOCK_SNAPSHOTS": "false",
            "OPT_IN_TAG_KEY": "Sleep",
            "PRICES": '{"gp3": 0.07}',
        }
        settings = self.run(laptop)

        assert settings.snapshot_retention == timedelta(hours=72)
        assert (settings.quiet_period, settings.function_timeout) == (timedelta(seconds=300), timedelta(seconds=200))
        assert (settings.lock_snapshots, settings.opt_in_tag_key) == (False, "Sleep")
        assert (settings.prices["gp3"], settings.prices["gp2"]) == (0.07, 0.10)
        assert laptop.functions.asked == ["park-volumes-park"]

    def test_options_count_more(self, laptop: Laptop) -> None:
        laptop.functions.environment = {**ENVIRONMENT, "LOCK_SNAPSHOTS": "false", "SNAPSHOT_RETENTION_HOURS": "72"}
        settings = self.run(laptop, "--lock-snapshots", "--snapshot-retention-hours", "1", "--park-even-if-dearer")

        assert settings.lock_snapshots
        assert settings.park_even_if_dearer
        assert settings.snapshot_retention == timedelta(hours=1)
        assert not self.run(laptop, "--no-lock-snapshots").lock_snapshots

    def test_that_only_observes_does_not_keep_people_from_acting(self, laptop: Laptop) -> None:
        laptop.functions.environment = {**ENVIRONMENT, "OBSERVE_ONLY": "true"}

        assert not self.run(laptop).observe_only

    def test_of_an_older_version_are_filled_in(self, laptop: Laptop) -> None:
        older = {name: value for name, value in ENVIRONMENT.items() if name != "ARCHIVE_AFTER_DAYS"}
        laptop.functions.environment = {**older, "SNAPSHOT_RETENTION_HOURS": "72"}
        settings = self.run(laptop)

        assert (settings.archive_after, settings.snapshot_retention) == (None, timedelta(hours=72))

    @pytest.mark.parametrize(
        ("functions", "words"),
        [
            (Functions(), "there is no function park-volumes-park in us-east-1"),
            (Functions(error=refused("AccessDeniedException")), "failed (AccessDeniedException)"),
            (Functions(error=EndpointConnectionError(endpoint_url="https://lambda")), "Could not connect"),
            (Functions(answer={"Environment": {"Error": {"ErrorCode": "KMSAccessDenied"}}}), "(KMSAccessDenied)"),
            (Functions(answer={}), "does not show its variables"),
            (Functions(environment={**ENVIRONMENT, "LOCK_SNAPSHOTS": "maybe"}), "LOCK_SNAPSHOTS is 'maybe'"),
        ],
    )
    def test_are_the_module_s_defaults_where_the_function_cannot_be_read_and_it_says_so(
        self, laptop: Laptop, stand: Stand, functions: Functions, words: str
    ) -> None:
        laptop.functions = functions

        assert self.run(laptop) == replace(stand.settings, prices=prices_of("us-east-1", {}))
        assert laptop.run("list") is ExitCode.DONE
        (line,) = laptop.noted.splitlines()
        assert line.startswith("Settings: the module's defaults, because ")
        assert words in line

    def test_one_line_says_where_they_come_from(self, laptop: Laptop) -> None:
        laptop.functions.environment = ENVIRONMENT
        laptop.run("list")
        assert laptop.noted == "Settings: those of the function park-volumes-park.\n"

        laptop.run("list", "--grace-period-minutes", "5")
        option = "except where an option says otherwise"
        assert laptop.noted == f"Settings: those of the function park-volumes-park, {option}.\n"

    def test_that_line_is_not_in_the_way_of_a_program_that_reads(self, laptop: Laptop, stand: Stand) -> None:
        stand.launch()
        laptop.run("list", "--json")

        assert len(json.loads(laptop.said)["instances"]) == 1
        assert laptop.noted

    def test_the_defaults_are_those_of_the_module(self) -> None:
        inputs = dict(blocks(load(REPOSITORY / "variables.tf"), "variable"))
        for name, value in deployed.DEFAULTS.items():
            default = plain(inputs[name.lower()]["default"])
            assert value == (str(default).lower() if isinstance(default, bool) else str(default)), name


class TestUsage:
    @pytest.mark.parametrize("arguments", [["start"], ["restore"], ["restore", "--all", "db"], ["park"]])
    def test_instances_are_named_or_all_of_them_are_meant(self, laptop: Laptop, arguments: list[str]) -> None:
        assert laptop.run(*arguments) is ExitCode.USAGE
        assert "Name the instances" in laptop.said

    def test_a_quiet_period_that_the_module_would_refuse_is_refused_here(self, laptop: Laptop) -> None:
        assert laptop.run("--quiet-period-seconds", "60", "list") is ExitCode.USAGE
        assert "plus 45" in laptop.said

    @pytest.mark.parametrize("arguments", [[], ["destroy"], ["list", "--what"], ["list", "--name", ""]])
    def test_what_is_no_command_ends_with_two(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(arguments)

    def test_without_a_region_it_says_how_to_give_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

        with pytest.raises(NotPossible, match="give --region"):
            an_account.connect(argparse.Namespace(profile=None, region=None))

    def test_the_options_of_every_command_stand_before_it_or_after_it(self, laptop: Laptop, stand: Stand) -> None:
        instance_id = stand.parked()
        for arguments in (["--name", "other", "explain", instance_id], ["explain", instance_id, "--name", "other"]):
            laptop.run(*arguments)

        assert laptop.functions.asked == ["other-park", "other-park"]

    def test_an_option_after_the_command_counts_more(self, laptop: Laptop) -> None:
        laptop.run("--name", "before", "list", "--name", "after")

        assert laptop.functions.asked == ["after-park"]

    def test_the_version_is_that_of_the_package(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main(["--version"])

        assert capsys.readouterr().out == f"park-volumes {__version__}\n"


CONFIG = """
[profile mina]
region = ap-northeast-2
aws_access_key_id = AKIAMINA
aws_secret_access_key = secret
[profile nowhere]
aws_access_key_id = AKIANOWHERE
aws_secret_access_key = secret
"""


class TestRegionAndProfile:
    @pytest.fixture(autouse=True)
    def _machine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Somebody's machine: two profiles, and nothing of AWS in the environment."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        (tmp_path / "config").write_text(CONFIG)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    def account(self, *arguments: str) -> Account:
        """The account on which a command with these arguments works."""
        seen: list[Account] = []

        def connect(options: argparse.Namespace) -> Account:
            seen.append(an_account.connect(options))
            raise NotPossible

        main([*arguments, "list"], out=io.StringIO(), connect=connect)
        return seen[0]

    @pytest.mark.parametrize(
        ("option", "environment", "region"),
        [
            (["--region", "eu-west-1"], ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"], "eu-west-1"),
            ([], ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"], "us-west-1"),
            ([], ["AWS_DEFAULT_REGION", "AWS_PROFILE"], "us-west-2"),
            ([], ["AWS_PROFILE"], "ap-northeast-2"),
            (["--profile", "mina"], [], "ap-northeast-2"),
            (["--profile", "mina"], ["AWS_REGION"], "us-west-1"),
            (["--profile", "nowhere"], ["AWS_DEFAULT_REGION"], "us-west-2"),
        ],
    )
    def test_the_region_is_the_nearest_one(
        self, monkeypatch: pytest.MonkeyPatch, option: list[str], environment: list[str], region: str
    ) -> None:
        values = {"AWS_REGION": "us-west-1", "AWS_DEFAULT_REGION": "us-west-2", "AWS_PROFILE": "mina"}
        for name in environment:
            monkeypatch.setenv(name, values[name])

        assert self.account(*option).region == region

    def test_the_credentials_are_those_of_the_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

        assert self.account("--profile", "mina").credentials().access_key == "AKIAMINA"

    @pytest.mark.parametrize("way", ["--profile", "AWS_PROFILE"])
    def test_a_profile_that_does_not_exist_is_told_with_those_that_do(
        self, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        said, option = io.StringIO(), ["--profile", "mima"] if way == "--profile" else []
        if not option:
            monkeypatch.setenv(way, "mima")

        assert main([*option, "list"], out=said) == ExitCode.USAGE
        assert "There is no AWS profile 'mima'" in said.getvalue()
        assert "give one of these: mina, nowhere." in said.getvalue()

    def test_where_there_is_no_profile_at_all_it_says_how_to_make_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        said = io.StringIO()

        assert main(["--profile", "mina", "list"], out=said) == ExitCode.USAGE
        assert "`aws configure` makes one" in said.getvalue()

    def test_a_profile_without_a_region_says_how_to_give_one(self) -> None:
        said = io.StringIO()

        assert main(["--profile", "nowhere", "list"], out=said) == ExitCode.USAGE
        assert "set AWS_REGION" in said.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_are_bars() -> None:
    out = Terminal()
    with Screen(out, io.StringIO()).board() as board:
        board.show("i-1 db", 50, "Snapshots are running: [/dev/sdf] 50%.")
        board.show("i-1 db", 100, "parked")

    assert "i-1 db" in out.getvalue()
    assert "parked" in out.getvalue()
    assert "\x1b" in out.getvalue()


class TestLease:
    """What Lambda's time limit and clock are to the functions."""

    @pytest.mark.parametrize("call", ["DescribeVolumes", "GetEbsEncryptionByDefault", "ListVolumesInRecycleBin"])
    def test_whoever_only_reads_needs_no_pass(self, stand: Stand, call: str) -> None:
        lease, *_ = self.lease(stand.clock)
        stand.after(60)

        lease.check(f"before-send.ec2.{call}")
        with pytest.raises(PassOver):
            lease.check("before-send.ec2.DeleteVolume")

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
