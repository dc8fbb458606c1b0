"""The HTTP API at the Function URL: what is asked, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from park_volumes.aws.reads import Ec2Reads
from park_volumes.core import tags
from park_volumes.core.facts import Instance
from tests.model import judge
from tests.model.faults import Fault, Lag, at_operation
from tests.model.records import Durations
from tests.model.world import World
from tests.unit.facts import SETTINGS
from tests.unit.functions import CALLER, SWEEP_STARTS, Context, Functions, start_requested, url_event
from tests.unit.passes import DATA, ROOT, Stand

UNKNOWN = "i-0000000000000000f"


def states(stand: Stand, *ids: str) -> list[str]:
    return [stand.instance(i).state for i in ids]


class TestList:
    def test_shows_every_opted_in_instance_by_name(self, stand: Stand, functions: Functions) -> None:
        web, db, _ = stand.launch(name="web"), stand.parked(name="db"), stand.launch(name="other", opt_in="false")
        reply = functions.get()

        assert reply.status == 200
        assert [(i["name"], i["id"], i["state"]) for i in reply.body["instances"]] == [
            ("db", db, "parked"),
            ("web", web, "running"),
        ]

    def test_shows_nothing_where_nothing_is_opted_in(self, stand: Stand, functions: Functions) -> None:
        stand.launch(opt_in="false")

        nothing = {"as_volumes": 0, "now": 0, "saved": 0, "as_snapshots": 0, "at_most": False}
        body = functions.get().body
        assert (body["instances"], body["total"]) == ([], {"size_gib": 0, "usd_per_month": nothing})

    def test_says_where_they_are_and_who_asked(self, functions: Functions) -> None:
        body = functions.get().body

        assert body["place"] == {"account": "123456789012", "region": "us-east-1"}
        assert body["caller"] == CALLER

    def test_says_what_each_costs_and_saves_and_what_all_do(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The parked one is 32 GiB of gp3 with IOPS and throughput of its own, and 100 GiB of gp2."""
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        stand.parked(name="db"), stand.launch(name="web")
        body = functions.get().body
        db, web = (i["usd_per_month"] for i in body["instances"])

        as_volumes = round(32 * 0.08 + 1000 * 0.005 + 125 * 0.04 + 100 * 0.10, 2)
        assert (db["as_volumes"], db["now"], db["saved"]) == (as_volumes, 6.6, round(as_volumes - 6.6, 2))
        assert (web["as_volumes"], web["now"], web["saved"]) == (as_volumes, as_volumes, 0)
        assert body["total"]["size_gib"] == 264
        assert body["total"]["usd_per_month"]["saved"] == db["saved"]
        assert body["total"]["usd_per_month"]["now"] == round(as_volumes + 6.6, 2)

    def test_says_nothing_of_costs_where_prices_are_unknown(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_REGION", "af-south-1")
        stand.parked(name="db")
        body = functions.get().body

        for costs in (body["instances"][0]["usd_per_month"], body["total"]["usd_per_month"]):
            assert (costs["as_volumes"], costs["now"], costs["saved"]) == (None, None, None)

    def test_shows_instances_that_are_opted_in_with_their_root_volume_only(
        self, stand: Stand, functions: Functions
    ) -> None:
        instance_id = stand.launch(opt_in="root")

        assert [i["id"] for i in functions.get().body["instances"]] == [instance_id]


class TestShow:
    def test_an_instance_by_its_id(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()
        reply = functions.get(instance_id)

        assert reply.status == 200
        assert reply.body.keys() == {
            *("id", "name", "region", "state", "detail", "address", "link"),
            *("size_gib", "usd_per_month", "progress", "devices"),
        }
        assert (reply.body["id"], reply.body["name"], reply.body["state"]) == (instance_id, "db", "running")

    def test_an_instance_by_its_name(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(name="db")

        assert functions.get("db").body["id"] == instance_id

    def test_a_parked_instance_with_the_snapshots_of_its_devices(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        reply = functions.get("db")

        assert reply.body["state"] == "parked"
        assert [(d["device"], d["state"], d["size_gib"]) for d in reply.body["devices"]] == [
            (DATA.device, "parked", 100),
            (ROOT.device, "parked", 32),
        ]

    def test_an_instance_whose_snapshots_run_with_their_progress(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()
        stand.step(instance_id)
        stand.after(30)

        assert [d["progress"] for d in functions.get("db").body["devices"]] == ["50%", "50%"]

    @pytest.mark.parametrize(
        "name",
        [
            "my db",
            "db/primary",
            "Datenbank für Straße",
            "データベース",
            "50%",
            "a+b",
            "what?",
            "#1",
            "a;b=c&d",
            'say "db"',
            "back\\slash",
            "star*",
            "%2F",
            "(old) db!",
        ],
    )
    def test_an_instance_whose_name_is_percent_encoded(self, stand: Stand, functions: Functions, name: str) -> None:
        """A Function URL hands rawPath on as it was sent; only an HTTP API of API Gateway would decode it."""
        instance_id = stand.launch(name=name)

        assert functions.get(name).body["id"] == instance_id

    def test_an_instance_whose_name_was_sent_as_it_is(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(name="db+(1)")

        assert functions.request("GET", "/instances/db+(1)").body["id"] == instance_id

    def test_a_name_is_no_pattern(self, stand: Stand, functions: Functions) -> None:
        stand.launch(name="db-1")

        assert [functions.get(ref).status for ref in ("db*", "db-?", "*", "d\\b-1")] == [404] * 4

    def test_a_name_with_a_star_is_found_by_it_alone(self, stand: Stand, functions: Functions) -> None:
        starred, _ = stand.launch(name="db*"), stand.launch(name="db-1")

        assert functions.get("db*").body["id"] == starred


class TestUnknown:
    def test_a_reference_is_404_with_the_closest_names(self, stand: Stand, functions: Functions) -> None:
        for name in ("db-primary", "db-replica", "web"):
            stand.launch(name=name)
        reply = functions.get("db-primry")

        assert (reply.status, reply.code) == (404, "unknown_instance")
        assert "No instance has the id or Name 'db-primry'. Did you mean db-primary" in reply.message
        assert "web" not in reply.message

    def test_a_name_in_another_case_is_among_the_closest(self, stand: Stand, functions: Functions) -> None:
        stand.launch(name="DB")

        assert functions.get("db").message == "No instance has the id or Name 'db'. Did you mean DB?"

    def test_a_reference_like_nothing_at_all_says_how_to_opt_in(self, stand: Stand, functions: Functions) -> None:
        stand.launch(name="db")

        assert functions.get("zzzzzz").message.endswith("Opt an instance in with the tag ParkVolumes=true.")

    def test_an_id_is_404_with_the_closest_ids(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()
        reply = functions.get(instance_id[:-1] + ("0" if instance_id[-1] != "0" else "1"))

        assert reply.status == 404
        assert instance_id in reply.message

    @pytest.mark.parametrize("verb", ["start", "stop"])
    def test_a_reference_is_404_for_every_deed(self, functions: Functions, verb: str) -> None:
        reply = functions.post(UNKNOWN, verb)

        assert (reply.status, reply.code) == (404, "unknown_instance")

    def test_an_instance_that_is_not_opted_in_is_as_good_as_none(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(name="secret", opt_in="false")

        assert [functions.get(ref).status for ref in (instance_id, "secret")] == [404, 404]
        assert "secret" not in functions.get("secre").message

    @pytest.mark.parametrize("verb", ["start", "stop"])
    def test_an_instance_that_is_not_opted_in_is_not_touched(
        self, stand: Stand, functions: Functions, verb: str
    ) -> None:
        running, stopped = stand.launch(opt_in="false"), stand.stopped(opt_in="false")

        assert [functions.post(i, verb).status for i in (running, stopped)] == [404, 404]
        assert states(stand, running, stopped) == ["running", "stopped"]


class TestAmbiguous:
    def test_a_name_of_two_is_409_with_their_ids(self, stand: Stand, functions: Functions) -> None:
        ids = sorted([stand.launch(name="db"), stand.parked(name="db")])
        reply = functions.post("db", "start")

        assert (reply.status, reply.code) == (409, "ambiguous")
        assert reply.message == f"2 instances have the Name 'db': {', '.join(ids)}. Use the id of the one you mean."

    def test_a_name_of_one_that_lives_is_clear(self, stand: Stand, functions: Functions) -> None:
        gone, lives = stand.launch(name="db"), stand.launch(name="db")
        stand.owner.terminate_instances(InstanceIds=[gone])
        stand.after(60)

        assert functions.get("db").body["id"] == lives

    def test_a_name_of_one_that_is_opted_in_is_clear(self, stand: Stand, functions: Functions) -> None:
        mine, _ = stand.launch(name="db"), stand.launch(name="db", opt_in="false")

        assert functions.get("db").body["id"] == mine


class TestStart:
    def test_of_a_parked_instance_is_202_and_starts_it(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        reply = functions.post("db", "start")

        assert (reply.status, reply.body["id"], reply.body["state"]) == (202, instance_id, "starting")
        assert reply.body["detail"] == f"{instance_id} is restored from its 2 snapshots and started."
        assert states(stand, instance_id) == ["pending"]
        assert judge.problems(stand.world) == []

    def test_of_a_stopped_instance_is_202_and_starts_it(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped()

        assert functions.post("db", "start").status == 202
        assert states(stand, instance_id) == ["pending"]

    def test_of_a_running_instance_is_200_and_changes_nothing(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()
        before = stand.world.clone()
        reply = functions.post("db", "start")

        assert (reply.status, reply.body["state"]) == (200, "running")
        assert judge.differences(before, stand.world, [instance_id]) == []

    def test_of_a_pending_instance_is_202(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        first, second = functions.post("db", "start"), functions.post("db", "start")

        assert (first.status, second.status, second.body["state"]) == (202, 202, "starting")

    def test_that_takes_longer_than_a_request_is_202_and_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand = Stand(World(durations=Durations(create=100)))
        functions = Functions(stand, monkeypatch)
        instance_id = stand.parked()
        stand.world.take_events()
        reply = functions.post("db", "start")

        assert (reply.status, reply.body["state"]) == (202, "starting")
        assert "the start continues by itself" in reply.body["detail"]
        functions.live(120)
        assert states(stand, instance_id) == ["running"]

    def test_of_a_stopping_instance_is_409_in_words(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()
        stand.owner.stop_instances(InstanceIds=[instance_id])
        reply = functions.post("db", "start")

        assert (reply.status, reply.code) == (409, "stopping")
        assert reply.message.startswith(f"{instance_id} is still stopping: try again once it has stopped")

    def test_that_is_refused_is_409_with_the_reason(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        empty = stand.world.add_volume(DATA)
        stand.owner.attach_volume(VolumeId=empty, InstanceId=instance_id, Device=DATA.device)
        stand.after(10)
        reply = functions.post("db", "start")

        assert (reply.status, reply.code) == (409, "refused")
        assert f"aws ec2 detach-volume --volume-id {empty}" in reply.message
        assert states(stand, instance_id) == ["stopped"]

    def test_that_a_policy_denies_is_409_and_says_what_to_do(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.faults = at_operation("CreateVolume", Fault.DENIED, 99)
        reply = functions.post("db", "start")

        assert (reply.status, reply.code) == (409, "refused")
        assert "CreateVolume failed for snap-" in reply.message
        assert "Let the start role of ParkVolumes do that, and start the instance again" in reply.message

    def test_that_ec2_refuses_is_502_and_says_what_failed(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.faults = at_operation("CreateVolume", Fault.SERVER_ERROR, 99)
        reply = functions.post("db", "start")

        assert (reply.status, reply.code) == (502, "ec2_refused")
        assert "CreateVolume failed for snap-" in reply.message
        assert "Nothing is lost; the sweep tries again" in reply.message

    def test_without_capacity_is_502_with_the_words_of_ec2(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()
        functions.faults = at_operation("StartInstances", Fault.NO_CAPACITY)

        assert "InsufficientInstanceCapacity" in functions.post("db", "start").message

    def test_of_a_snapshot_that_bears_no_mark_is_409(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        ids = [s.id for s in stand.world.snapshots.current()]
        stand.owner.delete_tags(Resources=ids, Tags=[{"Key": tags.MARK}])
        reply = functions.post(instance_id, "start")

        assert (reply.status, reply.code) == (409, "refused")
        assert "are not those of its last stop" in reply.message

    def test_asked_for_fifty_times_at_once_makes_one_set_of_volumes(self, stand: Stand, functions: Functions) -> None:
        """Each request comes while the one before is about to create its volumes."""
        instance_id = stand.parked()
        others: list[int] = []

        def another_request(operation: str, _: dict[str, Any]) -> None:
            if operation == "CreateVolume" and len(others) < 49:
                others.append(0)
                stand.start_pass().start(instance_id)

        stand.world.on_call = another_request
        reply = functions.post("db", "start")

        assert len(others) == 49
        assert reply.status in (200, 202)
        assert len(list(stand.world.volumes.current())) == 2
        assert judge.problems(stand.world) == []

    @pytest.mark.parametrize(("state", "needed"), [("stopped", 0), ("rootless", 3), ("dismantling", 0), ("parked", 8)])
    def test_is_answered_within_a_second_of_what_ec2_needs(
        self, stand: Stand, functions: Functions, state: str, needed: int
    ) -> None:
        """Seconds: 5 to create volumes, 3 to attach them. What waits for the park side goes on without the caller."""
        instance_id = {"stopped": stand.stopped, "parked": stand.parked}.get(state, stand.rootless)()
        while state == "dismantling" and "deleting" not in {v.state for v in stand.world.volumes.current()}:
            stand.step(instance_id)
        began = stand.clock.now()
        reply = functions.post("db", "start")
        took = (stand.clock.now() - began).total_seconds()

        assert (reply.status, reply.body["state"]) == (202, "starting")
        assert took < needed + 1
        for _ in range(12):
            stand.after(5)
            functions.deliver()
            stand.step(instance_id)
            functions.start(SWEEP_STARTS)
        assert states(stand, instance_id) == ["running"]

    def test_asks_for_no_locks_which_it_does_not_need(self, stand: Stand, functions: Functions) -> None:
        stand.parked(name="db")
        asked: list[str] = []
        stand.world.on_call = lambda operation, _: asked.append(operation)
        functions.post("db", "start")

        assert "DescribeLockedSnapshots" not in asked

    def test_with_wait_is_answered_when_it_runs(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        reply = functions.waiting("db", "30")

        assert (reply.status, reply.body["state"]) == (200, "running")
        assert states(stand, instance_id) == ["running"]

    def test_with_wait_is_answered_within_a_second_of_its_running(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand = Stand(World(durations=Durations(start=7)))
        functions = Functions(stand, monkeypatch)
        stand.stopped()
        began = stand.clock.now()

        assert functions.waiting("db", "30").body["state"] == "running"
        assert 7 <= (stand.clock.now() - began).total_seconds() < 8

    def test_with_wait_what_ec2_tells_late_is_not_taken_for_a_start_that_was_taken_back(
        self, stand: Stand, functions: Functions
    ) -> None:
        """For a while EC2 may still describe the instance as it was before: stopped, with the launch of then."""
        stand.stopped()
        stand.world.lag = Lag(5, seed=1)

        reply = functions.waiting("db", "30")
        assert (reply.status, reply.body["state"]) == (200, "running")

    def test_with_wait_goes_on_while_ec2_shows_no_instance(
        self, stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What EC2 lists may lag: for a moment it shows nothing."""
        stand.stopped()
        read, hidden = Ec2Reads.instances, list[Instance]()

        def lagging(reads: Ec2Reads, ids: Iterable[str]) -> list[Instance]:
            found = read(reads, ids)
            if hidden or not any(i.state == "pending" for i in found):
                return found
            hidden.extend(found)
            return []

        monkeypatch.setattr(Ec2Reads, "instances", lagging)
        reply = functions.waiting("db", "30")
        assert (reply.status, reply.body["state"], len(hidden)) == (200, "running", 1)

    def test_with_a_wait_that_is_too_short_is_202(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        functions.post("db", "start")
        began = stand.clock.now()
        reply = functions.waiting("db", "5")

        assert 3 <= (stand.clock.now() - began).total_seconds() <= 5
        assert (reply.status, reply.body["state"]) == (202, "starting")

    def test_waits_no_longer_than_the_function_may_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand = Stand(World(durations=Durations(start=500)))
        functions = Functions(stand, monkeypatch)
        stand.stopped()
        began = stand.clock.now()
        reply = functions.waiting("db", "999")

        assert (reply.status, reply.body["state"]) == (202, "starting")
        assert (stand.clock.now() - began).total_seconds() <= 57

    @pytest.mark.parametrize("wait", ["", "soon", "-1", "1.5", "1000", "\uff11"])
    def test_with_a_wait_that_is_no_number_is_400_and_starts_nothing(
        self, stand: Stand, functions: Functions, wait: str
    ) -> None:
        instance_id = stand.stopped()
        reply = functions.waiting("db", wait)

        assert (reply.status, reply.code) == (400, "bad_wait")
        assert states(stand, instance_id) == ["stopped"]


class TestStop:
    def test_of_a_running_instance_is_202_and_stops_it(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()
        reply = functions.post("db", "stop")

        assert (reply.status, reply.body["id"], reply.body["state"]) == (202, instance_id, "stopping")
        assert states(stand, instance_id) == ["stopping"]

    def test_of_a_stopping_instance_is_202(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        functions.post("db", "stop")
        reply = functions.post("db", "stop")

        assert (reply.status, reply.body["state"]) == (202, "stopping")

    def test_of_a_parked_instance_is_200_and_changes_nothing(self, stand: Stand, functions: Functions) -> None:
        stand.parked()
        reply = functions.post("db", "stop")

        assert (reply.status, reply.body["state"]) == (200, "parked")

    def test_of_a_stopped_instance_is_200(self, stand: Stand, functions: Functions) -> None:
        stand.stopped()

        assert functions.post("db", "stop").status == 200

    def test_of_a_starting_instance_is_409_in_words(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        functions.post("db", "start")
        reply = functions.post("db", "stop")

        assert (reply.status, reply.code) == (409, "starting")
        assert "try again once it is running" in reply.message
        assert states(stand, instance_id) == ["pending"]

    def test_that_ec2_refuses_is_502(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        functions.faults = at_operation("StopInstances", Fault.DENIED)
        reply = functions.post("db", "stop")

        assert (reply.status, reply.code) == (502, "ec2_refused")
        assert "StopInstances failed" in reply.message

    def test_that_somebody_was_quicker_with_is_409(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch()

        def it_is_terminated(operation: str, _: dict[str, Any]) -> None:
            if operation == "StopInstances":
                stand.world.on_call = None
                stand.owner.terminate_instances(InstanceIds=[instance_id])

        stand.world.on_call = it_is_terminated
        reply = functions.post("db", "stop")

        assert (reply.status, reply.code) == (409, "changed_meanwhile")
        assert reply.message.endswith("Try again.")


class TestTerminated:
    @pytest.mark.parametrize("seconds", [1, 60])
    def test_an_instance_is_410(self, stand: Stand, functions: Functions, seconds: int) -> None:
        instance_id = stand.launch()
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        stand.after(seconds)

        for reply in (functions.get(instance_id), functions.get("db"), functions.post("db", "start")):
            assert (reply.status, reply.code) == (410, "terminated")
            assert reply.message.endswith("Its remaining snapshots: none.")

    def test_an_instance_that_was_parked_names_its_snapshots(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.parked()
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        stand.after(60)

        assert all(s.id in functions.post("db", "start").message for s in stand.world.snapshots.current())

    def test_an_instance_that_has_lost_its_tags_is_still_410(self, stand: Stand, functions: Functions) -> None:
        """EC2 takes the tags off a terminated instance while it can still be seen."""
        instance_id = stand.parked()
        stand.owner.terminate_instances(InstanceIds=[instance_id])
        stand.owner.delete_tags(Resources=[instance_id])
        stand.after(60)

        assert functions.get(instance_id).code == "terminated"


class TestLostTag:
    @pytest.mark.parametrize("verb", ["start", "stop"])
    def test_of_a_parked_instance_is_409_and_says_what_to_do(
        self, stand: Stand, functions: Functions, verb: str
    ) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])
        reply = functions.post(instance_id, verb)

        assert (reply.status, reply.code) == (409, "not_opted_in")
        assert "tag it ParkVolumes=true and try again" in reply.message
        assert list(stand.world.volumes.current()) == []

    def test_of_an_instance_with_a_damaged_record_is_409_too(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(opt_in="false")
        stand.world.add_snapshot(tags={tags.DEPLOYMENT: SETTINGS.deployment, tags.INSTANCE: instance_id})

        assert functions.get(instance_id).code == "not_opted_in"


class TestAReference:
    @pytest.mark.parametrize("ref", ["x" * 257, "x" * 5000, "\x00", "a\nb", "\x7f"])
    def test_that_no_name_can_be_is_404_and_asks_ec2_for_none(
        self, stand: Stand, functions: Functions, ref: str
    ) -> None:
        stand.launch(name="db")
        asked: list[dict[str, Any]] = []
        stand.world.on_call = lambda _, params: asked.append(params)
        reply = functions.get(ref)

        assert (reply.status, reply.code) == (404, "unknown_instance")
        assert "tag:Name" not in str(asked)

    def test_may_hold_whatever_a_name_can(self, stand: Stand, functions: Functions) -> None:
        name = "데이터 👩\u200d💻 " + "x" * 240
        instance_id = stand.launch(name=name)

        assert functions.get(name).body["id"] == instance_id


class TestRoutes:
    @pytest.mark.parametrize(
        "path",
        ["", "/instance", "/instances/", "/instances/db/", "/instances/db/restart", "/favicon.ico"],
    )
    def test_an_unknown_address_is_404_and_says_what_there_is(self, functions: Functions, path: str) -> None:
        reply = functions.request("GET", path)

        assert (reply.status, reply.code) == (404, "unknown_route")
        assert "POST /instances/{ref}/start" in reply.message

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/instances"),
            ("DELETE", "/instances/db"),
            ("PUT", "/instances/db/start"),
            ("GET", "/instances/db/stop"),
            ("HEAD", "/instances"),
            ("OPTIONS", "/instances"),
            ("PATCH", "/"),
        ],
    )
    def test_a_wrong_method_is_405_and_says_what_there_is(
        self, stand: Stand, functions: Functions, method: str, path: str
    ) -> None:
        instance_id = stand.launch()
        reply = functions.request(method, path)

        assert (reply.status, reply.code) == (405, "wrong_method")
        assert reply.headers["Allow"] in ("GET", "POST")
        assert states(stand, instance_id) == ["running"]

    def test_one_segment_is_one_name(self, stand: Stand, functions: Functions) -> None:
        """An encoded slash belongs to the name, another one does not."""
        stand.launch(name="db/start")

        assert functions.request("GET", "/instances/db%2Fstart").status == 200
        assert functions.request("GET", "/instances/db/start").status == 405


class TestAnswers:
    def test_are_json_that_nobody_may_keep(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        for reply in (
            functions.get(),
            functions.get("db"),
            functions.get("nobody"),
            functions.request("GET", "/nothing"),
        ):
            assert reply.headers["Content-Type"] == "application/json"
            assert reply.headers["Cache-Control"] == "no-store"

    def test_of_a_failed_look_are_502(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        functions.faults = at_operation("DescribeInstances", Fault.THROTTLED)
        reply = functions.get()

        assert (reply.status, reply.code) == (502, "ec2_refused")
        assert "DescribeInstances failed" in reply.message
        assert reply.message.endswith("Try again in a minute.")

    def test_of_a_connection_that_failed_are_502(self, stand: Stand, functions: Functions) -> None:
        stand.launch()
        functions.faults = at_operation("DescribeVolumes", Fault.NOT_SENT)

        assert functions.get("db").status == 502


class TestLog:
    def lines(self, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def test_names_who_asked_for_what(self, functions: Functions, capsys: pytest.CaptureFixture[str]) -> None:
        functions.request("POST", "/instances/my%20db/start")
        (line,) = self.lines(capsys)

        assert (line["caller"], line["method"], line["path"]) == (CALLER, "POST", "/instances/my%20db/start")

    def test_names_who_asked_with_what_was_done(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parked, running = stand.parked(name="db"), stand.launch(name="web")
        capsys.readouterr()
        functions.post("db", "start"), functions.post("web", "stop")
        _, started, _, stopped = self.lines(capsys)

        assert (started["caller"], started["instance_id"]) == (CALLER, parked)
        assert started["message"] == f"{parked} is restored from its 2 snapshots and started."
        assert any("StartInstance" in step for step in started["steps"])
        assert (stopped["caller"], stopped["instance_id"]) == (CALLER, running)
        assert stopped["message"] == f"Stopping {running} as requested."

    def test_names_nobody_for_what_comes_after(
        self, stand: Stand, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An execution environment is used for one request after the other, and for events."""
        instance_id = stand.launch()
        handler = functions.load("start").handler
        handler(url_event("GET", "/instances"), Context())
        capsys.readouterr()
        handler(start_requested(instance_id), Context())
        handler(url_event("GET", "/instances", caller=None), Context())
        followed, refused = self.lines(capsys)

        assert "caller" not in followed
        assert refused["caller"] == "unknown"

    def test_of_a_request_that_nobody_signed_says_so(
        self, functions: Functions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert functions.request("GET", "/instances", caller=None).status == 403
        (line,) = self.lines(capsys)

        assert line["caller"] == "unknown"
        assert "The function was invoked directly" in line["message"]
