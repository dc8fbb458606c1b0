"""What AWS has really answered is read, is as we rely on, and is what the strict model can answer as well."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from park_volumes.aws.described import instance_of, records_in, volume_of
from park_volumes.core.facts import NEVER, Observation
from park_volumes.core.phase import Phase, phase_of
from park_volumes.core.refusals import refusal
from park_volumes.run.observe import assemble
from tests.model.answers import TOLD_SELDOM
from tests.model.ec2_model import EC2Client
from tests.model.records import Disk, Rules
from tests.model.validation import answer_check, service_model
from tests.model.world import World
from tests.recorded import ANSWERS, TABLE, Recorded, recorded
from tests.unit.facts import SETTINGS

INSTANCES, VOLUMES, SNAPSHOTS = (recorded(f"Describe{kind}") for kind in ("Instances", "Volumes", "Snapshots"))
SAYS: Mapping[str, Callable[[Any], Any]] = {
    "DescribeInstances": instance_of,
    "DescribeVolumes": volume_of,
    "DescribeSnapshots": lambda s: records_in([s]),
}


class Watched(dict[str, Any]):
    """A part of an answer that writes down which of its members are looked at."""

    def __init__(self, told: Mapping[str, Any], path: str, seen: set[str]) -> None:
        super().__init__({key: _watched(value, f"{path}.{key}", seen) for key, value in told.items()})
        self.path, self.seen = path, seen

    def __getitem__(self, key: str) -> Any:
        self.seen.add(f"{self.path}.{key}")
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.seen.add(f"{self.path}.{key}")
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.seen.add(f"{self.path}.{key}")
        return super().get(key, default)


def _watched(told: Any, path: str, seen: set[str]) -> Any:
    if isinstance(told, list):
        return [_watched(one, path, seen) for one in told]
    return Watched(told, path, seen) if isinstance(told, dict) else told


def members(told: Any, path: str = "") -> Iterator[str]:
    for one in told if isinstance(told, list) else [told]:
        for key, value in one.items() if isinstance(one, dict) else ():
            yield f"{path}.{key}"
            yield from members(value, f"{path}.{key}")


def ids(every: list[Recorded]) -> list[str]:
    return [f"{r.resource} {r.path.split('/')[-2]}" for r in every]


def stopped_without_volumes() -> list[Recorded]:
    return [r for r in INSTANCES if r.facts["State"]["Name"] == "stopped" and not r.facts["BlockDeviceMappings"]]


def test_every_recording_is_in_the_table_of_where_it_comes_from() -> None:
    every = {(r.repository, r.path) for op in ("AttachVolume", "DetachVolume", *SAYS) for r in recorded(op)}

    assert all(f"| {repository} | `{path}` |" in TABLE.read_text() for repository, path in every)
    assert ANSWERS.stat().st_size < 150_000


@pytest.mark.parametrize("one", [*INSTANCES, *VOLUMES, *SNAPSHOTS], ids=ids([*INSTANCES, *VOLUMES, *SNAPSHOTS]))
def test_every_recording_is_read(one: Recorded) -> None:
    found: Any = SAYS[one.operation](one.facts)

    if one.operation == "DescribeSnapshots":
        assert [one.resource in words for words in found.damaged[""]] == [True]  # it is none of ours, and told so
    else:
        assert (found.id, bool(found.tags)) == (one.resource, bool(one.facts.get("Tags")))


@pytest.mark.parametrize("operation", SAYS)
def test_whatever_is_read_was_kept_of_the_recordings(operation: str) -> None:
    """What is read in future has to be kept, too: python -m tests.recorded."""
    read: set[str] = set()
    for one in recorded(operation):
        SAYS[operation](_watched(one.facts, "", read))
    kept = {member for one in recorded(operation) for member in members(one.facts)}
    never_recorded = {
        ".Attachments.EbsCardIndex",
        ".BlockDeviceMappings.Ebs.Operator",
        ".FullSnapshotSizeInBytes",
        ".Operator.Principal",
        ".OutpostArn",
    }
    for_people = {".Description", ".PrivateIpAddress", ".PublicDnsName", ".PublicIpAddress", ".StateReason.Message"}

    assert read - kept - never_recorded - for_people == set()


class TestInstances:
    def test_launch_times_have_whole_seconds(self) -> None:
        assert {r.facts["LaunchTime"].microsecond for r in INSTANCES} == {0}

    def test_a_stopped_instance_tells_when_its_stop_was_requested(self) -> None:
        stopped = [instance_of(r.facts) for r in INSTANCES if r.facts["State"]["Name"] == "stopped"]

        assert len(stopped) > 20
        assert all(i.stopped_at and i.stopped_at >= i.launch_time for i in stopped)

    def test_an_instance_without_volumes_still_names_its_root_device(self) -> None:
        every = [instance_of(r.facts) for r in stopped_without_volumes()]

        assert {(i.root_device, i.root_device_type) for i in every} == {("/dev/xvda", "ebs"), ("/dev/sda1", "ebs")}
        assert {r.facts.get("Platform", "linux") for r in stopped_without_volumes()} == {"linux", "windows"}

    def test_an_instance_without_volumes_is_in_no_phase_with_a_root_volume(self) -> None:
        every = [Observation(instance=instance_of(r.facts)) for r in stopped_without_volumes()]

        assert {phase_of(seen) for seen in every} == {Phase.BROKEN}

    def test_those_with_an_instance_store_hibernation_or_spot_are_refused_and_no_others(self) -> None:
        refused = {r.resource: refusal(instance_of(r.facts), (), SETTINGS) for r in INSTANCES}
        whys = {words.split(",")[0] for words in refused.values() if words}

        assert len([words for words in refused.values() if not words]) > 60
        assert whys == {
            "Hibernation is enabled for it",
            "It is a Spot Instance",
            "Its root device is of the type instance-store",
            "It belongs to the Auto Scaling group ",
        }


class TestAttachments:
    """A detachment is recognized by the time at which the attachment began (docs/safety.md)."""

    def described(self) -> dict[tuple[str, str], set[datetime]]:
        found: dict[tuple[str, str], set[datetime]] = {}
        for r in VOLUMES:
            for a in r.facts["Attachments"]:
                found.setdefault((a["VolumeId"], a["InstanceId"]), set()).add(a["AttachTime"])
        return found

    def test_a_detachment_tells_the_time_of_the_attachment_to_the_second(self) -> None:
        described = self.described()
        pairs = [
            (r.facts["AttachTime"].replace(microsecond=0), {t.replace(microsecond=0) for t in times})
            for r in recorded("DetachVolume")
            if (times := described.get((r.facts["VolumeId"], r.facts["InstanceId"])))
        ]

        assert len(pairs) >= 4
        assert all({told} == seen for told, seen in pairs)

    def test_attach_volume_tells_milliseconds_that_descriptions_cut(self) -> None:
        told = {r.facts["AttachTime"].microsecond for r in recorded("AttachVolume")}

        assert 0 not in told
        assert {t.microsecond for times in self.described().values() for t in times} == {0}

    def test_descriptions_of_instances_have_shown_milliseconds_once(self) -> None:
        times = [m["Ebs"]["AttachTime"] for r in INSTANCES for m in r.facts["BlockDeviceMappings"]]

        assert [t.microsecond for t in times if t.microsecond] == [971_000]

    def test_the_card_is_told_by_instances_only_and_is_read_there(self) -> None:
        assert not any("EbsCardIndex" in a for r in VOLUMES for a in r.facts["Attachments"])
        assert any("EbsCardIndex" in m["Ebs"] for r in INSTANCES for m in r.facts["BlockDeviceMappings"])
        world = World(rules=Rules(sparse=True))
        instance_id = world.launch(Disk(device="/dev/xvda"), Disk(device="/dev/sdf", card=1))
        ec2 = EC2Client(world)
        instances = [
            instance_of(i)
            for r in ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
            for i in r["Instances"]
        ]
        volumes = [volume_of(v) for v in ec2.describe_volumes()["Volumes"]]
        seen = assemble(instances, records_in([]), volumes, now=datetime(2026, 1, 1, tzinfo=UTC))[instance_id]

        assert [(a.device, a.card) for _, a in seen.attached] == [("/dev/sdf", 1), ("/dev/xvda", 0)]


class TestVolumesAndSnapshots:
    def test_volumes_tell_when_they_were_created(self) -> None:
        assert NEVER not in {volume_of(r.facts).created for r in VOLUMES}

    def test_volumes_without_performance_are_magnetic(self) -> None:
        assert {r.facts["VolumeType"] for r in VOLUMES if "Iops" not in r.facts} == {"standard"}

    def test_a_snapshot_begins_with_no_progress(self) -> None:
        assert {(r.facts["State"], r.facts["Progress"]) for r in recorded("CreateSnapshot")} == {("pending", "")}

    def test_the_size_of_written_blocks_has_never_been_recorded(self) -> None:
        """So it counts as unknown, and savings say "at least"."""
        assert not any("FullSnapshotSizeInBytes" in r.facts for r in SNAPSHOTS)


class TestTheModel:
    """It can answer as recordings do, in either way where they differ."""

    def answers(self, **rules: Any) -> Iterator[tuple[str, Any]]:
        world = World(rules=Rules(**rules))
        ec2 = EC2Client(world)
        world.launch(Disk(device="/dev/xvda", card=0), Disk(device="/dev/sdf", type="standard"), tags={"a": "b"})
        world.launch(state="stopped")
        for volume in list(world.volumes.current()):
            world.add_snapshot(volume.id)
        yield from (("DescribeInstances", r["Instances"]) for r in ec2.describe_instances()["Reservations"])
        yield "DescribeVolumes", ec2.describe_volumes()["Volumes"]
        yield "DescribeSnapshots", ec2.describe_snapshots()["Snapshots"]

    def told(self, **rules: Any) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for operation, told in self.answers(**rules):
            found.setdefault(operation, set()).update(members(told))
        return found

    @pytest.mark.parametrize("operation", SAYS)
    @pytest.mark.parametrize("sparse", [False, True])
    def test_tells_all_that_every_recording_tells(self, operation: str, sparse: bool) -> None:
        always = set.intersection(*(set(members(r.facts)) for r in recorded(operation)))

        assert always - self.told(sparse=sparse)[operation] == set()

    def test_leaves_out_what_recordings_leave_out_where_that_is_wished(self) -> None:
        sparse = {m.rpartition(".")[2] for told in self.told(sparse=True).values() for m in told}

        assert set(TOLD_SELDOM) & sparse == set()
        for operation in SAYS:
            always = set.intersection(*({m.rpartition(".")[2] for m in members(r.facts)} for r in recorded(operation)))
            assert always & set(TOLD_SELDOM) == set()


@pytest.mark.parametrize(
    ("operation", "wrap"),
    [
        # EC2 says windows, where the SDK expects Windows.
        ("DescribeInstances", lambda one: {"Reservations": [{"Instances": [one | {"Platform": "Windows"}]}]}),
        ("DescribeVolumes", lambda one: {"Volumes": [one]}),
        ("DescribeSnapshots", lambda one: {"Snapshots": [one]}),
        ("DescribeVolumesModifications", lambda one: {"VolumesModifications": [one]}),
        *(
            (operation, lambda one: one)
            for operation in ("AttachVolume", "DetachVolume", "CreateSnapshot", "CreateVolume")
        ),
    ],
)
def test_the_sdk_knows_every_member_that_was_kept(operation: str, wrap: Callable[[Any], Any]) -> None:
    assert service_model("ec2").operation_model(operation)
    assert all(answer_check("ec2", operation)(wrap(r.facts)) for r in recorded(operation))
