"""Nothing is given up before every later call is known to be allowed, and before a key has been tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from park_volumes.core import tags
from park_volumes.core.facts import Verdict
from park_volumes.core.steps import Outcome
from park_volumes.core.way_back import FRESH, asked_already, shape_of
from park_volumes.run.context import one_by_one
from park_volumes.run.execute import Result
from tests.model.policies import Deny, asked_with, asked_without, born_with, born_without, tagged
from tests.model.records import Disk
from tests.unit.facts import NOW, SETTINGS, data_volume, in_transit, instance, record, records, root_volume, seen
from tests.unit.passes import ROOT, TIME_LIMIT, Stand

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
FOREIGN_KEY = "arn:aws:kms:us-east-1:999999999999:key/11111111-2222-3333-4444-555555555555"
SECRET = Disk(device="/dev/sdf", size=20, key=KEY)


@pytest.fixture
def stand() -> Stand:
    return Stand()


def pass_of_both_sides(stand: Stand, instance_id: str) -> Result:
    """A minute later, one pass of each side; what the park side decided."""
    (result,) = stand.step_alone(instance_id)
    stand.try_way_back(instance_id)
    return result


def passes(stand: Stand, instance_id: str, number: int = 8) -> Result:
    for _ in range(number - 1):
        pass_of_both_sides(stand, instance_id)
    return pass_of_both_sides(stand, instance_id)


def devices(stand: Stand, instance_id: str) -> set[str]:
    return {item.device for item in stand.instance(instance_id).devices}


def is_whole(stand: Stand, instance_id: str) -> bool:
    return devices(stand, instance_id) == {"/dev/xvda", "/dev/sdf"}


def start(stand: Stand, instance_id: str) -> Result:
    stand.after(61)
    result = stand.start_pass().start(instance_id)
    assert result is not None
    stand.after(61)
    return result


class TestADenial:
    """Of a call that is needed later."""

    @pytest.mark.parametrize(
        "denial",
        [
            Deny(actions=("DeleteVolume",)),
            Deny(actions=("DetachVolume",)),
            Deny(actions=("CreateVolume",), when=born_without("cost-center")),
            Deny(actions=("CreateVolume",), when=asked_without("Encrypted", "true")),
            Deny(actions=("AttachVolume",)),
            Deny(actions=("StartInstances",)),
        ],
        ids=lambda denial: denial.actions[0],
    )
    def test_is_found_out_before_anything_is_detached(self, stand: Stand, denial: Deny) -> None:
        instance_id = stand.stopped()
        stand.world.denials = (denial,)
        result = passes(stand, instance_id)

        assert is_whole(stand, instance_id)
        assert result.decision.outcome is Outcome.REFUSED
        assert denial.actions[0] in result.reason
        assert "not authorized to perform" in result.reason

    def test_names_the_volume_that_it_is_about(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, Disk(device="/dev/sdf", size=100, tags={"DoNotDelete": "yes"}))
        stand.world.denials = (Deny(actions=("DeleteVolume",), when=tagged("DoNotDelete")),)
        (data,) = [item.volume_id for item in stand.instance(instance_id).devices if item.device == "/dev/sdf"]
        result = passes(stand, instance_id)

        assert is_whole(stand, instance_id)
        assert f"DeleteVolume is denied for {data} (/dev/sdf of {instance_id})" in result.reason

    def test_leaves_an_instance_that_starts_as_it_is(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.world.denials = (Deny(actions=("DeleteVolume",)),)
        passes(stand, instance_id)
        start(stand, instance_id)

        assert stand.instance(instance_id).state == "running"
        assert is_whole(stand, instance_id)

    def test_is_tried_again_and_forgotten_once_the_call_is_allowed(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.world.denials = (Deny(actions=("DeleteVolume", "CreateVolume")),)
        passes(stand, instance_id)
        stand.world.denials = ()
        passes(stand, instance_id, 30)

        assert devices(stand, instance_id) == set()

    def test_counts_for_other_volumes_that_look_alike_to_a_policy(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        stand.world.denials = (Deny(actions=("CreateVolume",)),)
        passes(stand, first)
        stand.step_alone(second)
        (result,) = stand.step_alone(second)

        assert result.decision.outcome is Outcome.REFUSED
        assert tags.MARK not in stand.world.volumes.get(stand.instance(second).devices[0].volume_id).tags  # type: ignore[union-attr]

    def test_is_looked_for_with_one_of_several_that_look_alike_before_the_others(self, stand: Stand) -> None:
        ids = [stand.stopped(name=name) for name in ("a", "b", "c")]
        stand.ready(*ids)
        at_once: list[int] = []

        def each(deeds: Sequence[Callable[[], None]]) -> None:
            at_once.append(len(deeds))
            one_by_one(deeds)

        stand.park_pass(each=each).park(ids)

        assert at_once[:2] == [1, 2]

    def test_of_the_flag_keeps_nothing_from_being_parked_or_started(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.world.denials = (Deny(actions=("ModifyInstanceAttribute",)),)
        passes(stand, instance_id, 12)
        assert devices(stand, instance_id) == set()
        result = start(stand, instance_id)

        assert stand.instance(instance_id).state == "running"
        assert "ModifyInstanceAttribute" in result.reason

    def test_of_the_flag_is_told_until_it_ends_and_then_it_is_set(self, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.world.denials = (Deny(actions=("ModifyInstanceAttribute",)),)
        start(stand, instance_id)
        (told,) = stand.start_pass().settle([instance_id])
        stand.world.denials = ()
        stand.after(300)
        stand.start_pass().settle([instance_id])

        assert told.error is not None
        assert {i.device: i.delete_on_termination for i in stand.instance(instance_id).devices} == {
            "/dev/xvda": True,
            "/dev/sdf": False,
        }

    def test_of_the_confirmation_is_found_out_before_anything_is_detached(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.world.denials = (Deny(actions=("CreateTags",), on="snapshot", when=born_with(tags.MARK)),)
        detached: list[str] = []
        stand.world.on_call = lambda operation, params: detached.extend(
            [operation] if operation == "DetachVolume" and not params.get("DryRun") else []
        )
        result = passes(stand, instance_id, 12)

        assert detached == []
        assert "CreateTags is denied for snap-" in result.reason
        stand.world.denials = ()
        passes(stand, instance_id, 40)
        assert devices(stand, instance_id) == set()

    @pytest.mark.parametrize("on", [0, 1])
    def test_that_goes_by_a_tag_of_aws_is_found_out_whichever_volume_has_it(self, stand: Stand, on: int) -> None:
        """No record keeps such a tag, but a policy may go by it."""
        key = "aws:servicecatalog:provisioningPrincipalArn"
        disks = [Disk(device=device, size=8, delete_on_termination=True) for device in (ROOT.device, "/dev/xvdb")]
        instance_id = stand.stopped(*disks)
        chosen = stand.world.volumes.get(stand.instance(instance_id).devices[on].volume_id)
        assert chosen is not None
        stand.world.volumes.put(chosen._replace(tags={key: "arn:aws:iam::1:role/x"}), stand.world.clock.now)
        stand.world.denials = (Deny(actions=("DeleteVolume",), when=tagged(key)),)
        result = passes(stand, instance_id, 20)

        assert len(devices(stand, instance_id)) == 2
        assert f"DeleteVolume is denied for {chosen.id}" in result.reason

    def test_of_what_is_never_sent_harms_nobody(self, stand: Stand) -> None:
        """A policy that forbids to ask for an unencrypted volume."""
        instance_id = stand.stopped()
        stand.world.denials = (Deny(actions=("CreateVolume",), when=asked_with("Encrypted", "false")),)
        passes(stand, instance_id, 12)
        start(stand, instance_id)

        assert stand.instance(instance_id).state == "running"


class TestADenialAfterTheCommit:
    def committed(self, stand: Stand) -> str:
        """The root volume is deleted; from now on the data volume may not be."""
        instance_id = stand.rootless()
        root = {s.volume_id for s in stand.world.snapshots.current() if s.tags[tags.DEVICE] == "/dev/xvda"}
        while any(v.id in root for v in stand.world.volumes.current()):
            stand.step(instance_id)
            stand.after(5)
        stand.world.denials = (Deny(actions=("DeleteVolume",)),)
        return instance_id

    def test_is_what_a_start_answers(self, stand: Stand) -> None:
        instance_id = self.committed(stand)
        for _ in range(4):
            stand.step(instance_id)
        result = start(stand, instance_id)

        assert result.decision.outcome is Outcome.REFUSED
        assert "DeleteVolume is denied" in result.reason
        assert "the start continues once that is allowed" in result.reason

    def test_ends_with_the_start_that_was_asked_for(self, stand: Stand) -> None:
        instance_id = self.committed(stand)
        for _ in range(4):
            stand.step(instance_id)
        start(stand, instance_id)
        stand.world.denials = ()
        for _ in range(4):
            stand.step(instance_id)
            stand.start_pass().sweep()
        stand.after(61)

        assert stand.instance(instance_id).state == "running"
        assert is_whole(stand, instance_id)


class TestAKey:
    def volumes(self, stand: Stand) -> list[str]:
        return [v.id for v in stand.world.volumes.current() if tags.REHEARSAL in v.tags]

    def test_is_tried_with_a_volume_that_is_deleted_again(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, SECRET)
        tried = set[str]()
        for _ in range(20):
            pass_of_both_sides(stand, instance_id)
            tried |= set(self.volumes(stand))

        assert len(tried) == 1
        assert self.volumes(stand) == []
        assert devices(stand, instance_id) == set()

    def test_is_tried_with_the_smallest_volume_that_it_encrypts(self, stand: Stand) -> None:
        sizes = {"/dev/sdg": 40, "/dev/sdh": 9, "/dev/sdi": 70}
        instance_id = stand.stopped(
            ROOT, *(SECRET._replace(device=device, size=size) for device, size in sizes.items())
        )
        tried = set[int]()
        for _ in range(20):
            pass_of_both_sides(stand, instance_id)
            tried |= {v.size for v in stand.world.volumes.current() if tags.REHEARSAL in v.tags}

        assert tried == {10}  # one more than the volume, so that nobody takes it for that

    @pytest.mark.parametrize(("kind", "largest"), [("gp2", 16_384), ("st1", 16_384), ("standard", 1_024)])
    def test_is_tried_although_no_volume_of_that_type_can_be_larger(
        self, stand: Stand, kind: str, largest: int
    ) -> None:
        instance_id = stand.stopped(ROOT, SECRET._replace(size=largest, type=kind))
        passes(stand, instance_id, 40)

        assert devices(stand, instance_id) == set()
        assert self.volumes(stand) == []

    def test_that_ec2_cannot_use_keeps_the_volumes(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, SECRET)
        stand.world.break_key(KEY)
        result = passes(stand, instance_id, 12)

        assert is_whole(stand, instance_id)
        assert result.decision.outcome is Outcome.REFUSED
        assert KEY in result.reason

    def test_is_left_to_the_next_pass_where_its_volume_takes_too_long(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, SECRET)
        stand.world.durations = replace(stand.world.durations, create=3600)
        stand.step_alone(instance_id), stand.step_alone(instance_id)
        began = stand.clock.now()
        stand.try_way_back(instance_id)

        assert len(self.volumes(stand)) == 1
        assert stand.clock.now() <= began + TIME_LIMIT

    def test_that_works_again_lets_it_be_parked(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, SECRET)
        stand.world.break_key(KEY)
        passes(stand, instance_id, 12)
        stand.world.mend_key(KEY)
        passes(stand, instance_id, 40)

        assert devices(stand, instance_id) == set()
        assert self.volumes(stand) == []

    def test_is_not_tried_again_within_thirty_days(self, stand: Stand) -> None:
        first = stand.stopped(ROOT, SECRET, name="a")
        passes(stand, first, 20)
        second = stand.stopped(ROOT, SECRET, name="b")
        made = set[str]()
        for _ in range(12):
            pass_of_both_sides(stand, second)
            made |= set(self.volumes(stand))

        assert made == set()
        assert devices(stand, second) == set()

    def test_of_another_account_is_refused_by_name(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, Disk(device="/dev/sdf", size=20, key=FOREIGN_KEY))
        result = pass_of_both_sides(stand, instance_id)

        assert result.decision.outcome is Outcome.REFUSED
        assert FOREIGN_KEY in result.reason
        assert "kms_key_arns" in result.reason

    def test_of_another_account_that_the_deployment_names_is_tried(self) -> None:
        stand = Stand(settings=replace(SETTINGS, kms_key_arns=frozenset({FOREIGN_KEY})))
        instance_id = stand.stopped(ROOT, Disk(device="/dev/sdf", size=20, key=FOREIGN_KEY))
        passes(stand, instance_id, 20)

        assert devices(stand, instance_id) == set()

    def test_leaves_a_restored_volume_alone_that_tags_call_a_trial(self, stand: Stand) -> None:
        """Whoever may write and delete tags takes the confirmation off a record, and calls the volume a trial."""
        instance_id = stand.parked(ROOT, SECRET)
        start(stand, instance_id)
        stand.after(600)
        stand.start_pass().sweep()
        (data,) = [i.volume_id for i in stand.instance(instance_id).devices if i.device == "/dev/sdf"]
        stand.owner.detach_volume(VolumeId=data)
        for s in list(stand.world.snapshots.current()):
            stand.owner.delete_tags(Resources=[s.id], Tags=[{"Key": tags.MARK}])
        forged = {"Key": tags.REHEARSAL, "Value": f"{SETTINGS.deployment} {instance_id}"}
        stand.owner.create_tags(Resources=[data], Tags=[forged])
        passes(stand, instance_id)

        assert stand.world.volumes.get(data) is not None

    @pytest.mark.parametrize("restored", [True, False])
    def test_is_not_believed_to_have_been_tried_with_a_volume_of_the_owner(self, stand: Stand, restored: bool) -> None:
        """Whatever its tags say: only a volume of a snapshot by which nothing was given up is deleted."""
        instance_id = stand.parked(ROOT, SECRET)
        of_record = next(s.id for s in stand.world.snapshots.current() if s.tags[tags.DEVICE] == "/dev/sdf")
        origin = {"SnapshotId": of_record} if restored else {"Size": 20}
        made = stand.owner.create_volume(AvailabilityZone="us-east-1a", **origin)["VolumeId"]
        forged = {"Key": tags.REHEARSAL, "Value": f"{SETTINGS.deployment} {instance_id}"}
        stand.owner.create_tags(Resources=[made], Tags=[forged])
        passes(stand, instance_id)

        assert stand.world.volumes.get(made) is not None


class TestAVerdict:
    def test_is_given_to_whoever_asks_with_a_mark(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        stand.step_alone(instance_id)
        stand.step_alone(instance_id)
        stand.after(61)
        stand.start_pass().sweep()
        found = stand.ec2().reads.snapshots_of([instance_id]).records

        assert [r.verdict and r.verdict.denied for r in found] == ["", ""]

    def test_is_not_given_on_a_snapshot_that_somebody_has_archived(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT, SECRET)
        stand.step_alone(instance_id)
        stand.step_alone(instance_id)
        for record_ in stand.ec2().reads.snapshots_of([instance_id]).records:
            stand.owner.modify_snapshot_tier(SnapshotId=record_.snapshot_id, StorageTier="archive")
        stand.after(61)
        stand.start_pass().sweep()
        found = stand.ec2().reads.snapshots_of([instance_id]).records

        assert [r.verdict for r in found] == [None, None]
        assert devices(stand, instance_id) == {"/dev/xvda", "/dev/sdf"}

    def test_is_asked_for_until_every_volume_has_asked(self) -> None:
        of_data, of_root = records(confirmed_at=None)
        asking = seen(in_transit(data_volume()), root_volume(), records=(of_data, of_root))

        assert asked_already([of_data], asking)
        assert not asked_already([of_data, of_root], asking)

    def test_is_what_parking_waits_for(self, stand: Stand) -> None:
        instance_id = stand.stopped()
        for _ in range(8):
            stand.step_alone(instance_id)

        assert is_whole(stand, instance_id)

    def test_is_shared_by_volumes_that_look_alike(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        stand.step_alone(first, second)
        for _ in range(3):
            pass_of_both_sides(stand, first)
        for _ in range(8):
            stand.step_alone(second)

        assert devices(stand, second) == set()

    def test_is_asked_for_by_one_of_those_that_look_alike_and_by_each_that_does_not(self, stand: Stand) -> None:
        alike = [stand.stopped(name="a"), stand.stopped(name="b")]
        other = stand.stopped(ROOT._replace(tags={"team": "x"}), name="c")
        stand.step_alone(*alike, other)
        stand.after(61)
        stand.park_pass(known={}).park([*alike, other])
        marks = [v.tags[tags.MARK] for v in stand.world.volumes.current() if tags.MARK in v.tags]
        asking = {mark.split()[1] for mark in marks}

        assert other in asking
        assert len(asking & set(alike)) == 1

    def test_counts_for_an_hour(self, stand: Stand) -> None:
        first, second = stand.stopped(name="a"), stand.stopped(name="b")
        stand.step_alone(first, second)
        for _ in range(3):
            pass_of_both_sides(stand, first)
        stand.after(FRESH.total_seconds())
        for _ in range(4):
            stand.step_alone(second)

        assert is_whole(stand, second)

    def test_fits_into_a_tag_with_the_beginning_of_what_ec2_said(self) -> None:
        verdict = Verdict(
            shape="0" * 16, at=NOW, rehearsed=NOW, denied="ModifyInstanceAttribute", words="x (y) 'z' " * 99
        )
        written = tags.tags_of_verdict(verdict)
        read = record("/dev/sdf")

        assert len(written[tags.WAY_BACK]) <= tags.VALUE_LENGTH
        assert shape_of(read, instance()) != shape_of(replace(read, user_tags={"a": "b"}), instance())

    @pytest.mark.parametrize("words", ["", "You are not authorized."])
    @pytest.mark.parametrize("rehearsed", [None, NOW - timedelta(days=1)])
    @pytest.mark.parametrize("denied", ["", "CreateVolume"])
    def test_is_read_as_it_was_written(self, words: str, rehearsed: object, denied: str) -> None:
        verdict = Verdict(shape="0" * 16, at=NOW, rehearsed=rehearsed, denied=denied, words=words)  # type: ignore[arg-type]

        assert tags._verdict(tags.tags_of_verdict(verdict)[tags.WAY_BACK]) == verdict


def test_a_verdict_of_the_future_counts_for_nothing_and_is_told() -> None:
    forged = record("/dev/sdf", verdict=Verdict(shape="0" * 16, at=NOW + timedelta(days=365)))
    read = tags.without_the_future(forged, NOW)

    assert read.verdict is None
    assert "park-volumes:way-back is of the future" in read.damage[0]


def test_what_two_volumes_differ_by_to_a_policy_makes_two_shapes() -> None:
    one, there = record("/dev/sdf"), instance()
    others = [
        replace(one, spec=replace(one.spec, **changed))
        for changed in ({"size": 9}, {"type": "gp2"}, {"iops": 1}, {"encrypted": True, "kms_key": KEY}, {"zone": "x"})
    ]
    shapes = {shape_of(r, there) for r in (one, *others, replace(one, user_tags={"Owner": "mina"}))}

    assert len(shapes) == 7
    assert shape_of(one, replace(there, tags={**there.tags, "Name": "else"})) == shape_of(one, there)
    assert shape_of(one, replace(there, tags={**there.tags, "team": "a"})) != shape_of(one, there)
