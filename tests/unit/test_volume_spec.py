"""The attributes of a volume: to the tag of its snapshot and back, and what it takes to add one more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_volumes.aws import Ec2
from park_volumes.aws.volume_parameters import PARAMETERS, Parameter, parameters_of, spec_of
from park_volumes.core import tags
from park_volumes.core.steps import CreateSnapshot, CreateVolume
from park_volumes.core.volume_spec import READ, VolumeSpec
from tests.model.validation import service_model
from tests.unit.facts import DATA, GENERATION, ID, LAUNCHED, NOW, SETTINGS, TAKEN, ZONE, spec

KEY = "arn:aws:kms:eu-central-1:123456789012:key/k"
FULL = VolumeSpec(zone=ZONE, type="gp3", size=8, iops=4000, throughput=250, encrypted=True, kms_key=KEY)
WORDS = {"zone": ZONE, "type": "gp3", "size": "8", "iops": "4000", "throughput": "250"}
NO_WORDS: dict[str, Any] = {"encrypted": True, "kms_key": KEY}

plain_words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
specs = st.builds(
    VolumeSpec,
    zone=plain_words,
    type=plain_words,
    size=st.integers(1, 65536),
    iops=st.none() | st.integers(1, 256000),
    throughput=st.none() | st.integers(125, 2000),
    encrypted=st.booleans(),
    kms_key=st.just("") | plain_words,
)


@pytest.mark.parametrize(("kind", "largest"), [("gp2", 16_384), ("io1", 16_384), ("st1", 16_384), ("standard", 1_024)])
def test_enlarged_keeps_its_type_unless_that_has_no_larger_volumes(kind: str, largest: int) -> None:
    spec = replace(FULL, type=kind, size=largest - 1)
    assert spec.enlarged() == replace(spec, size=largest)
    assert spec.enlarged().enlarged() == replace(spec, size=largest + 1, type="gp3", iops=None, throughput=None)


def test_enlarged_keeps_what_has_been_provisioned() -> None:
    assert replace(FULL, size=20_000).enlarged() == replace(FULL, size=20_001)


class TestWords:
    def test_every_attribute_is_a_word_or_is_kept_elsewhere(self) -> None:
        assert {f.name for f in fields(VolumeSpec)} == WORDS.keys() | NO_WORDS.keys()

    def test_stand_in_the_tag_as_they_always_have(self) -> None:
        """Snapshots of earlier versions are read with the same words."""
        assert list(FULL.words().items()) == list(WORDS.items())

    @pytest.mark.parametrize(("name", "text"), WORDS.items())
    def test_hold_each_attribute(self, name: str, text: str) -> None:
        assert FULL.words()[name] == text
        assert getattr(VolumeSpec.of_words(WORDS), name) == getattr(FULL, name)

    @pytest.mark.parametrize(("name", "value"), NO_WORDS.items())
    def test_do_not_hold_what_is_kept_elsewhere(self, name: str, value: object) -> None:
        assert name not in FULL.words()
        assert getattr(VolumeSpec.of_words(WORDS, **NO_WORDS), name) == value

    def test_come_back_as_the_spec(self) -> None:
        assert VolumeSpec.of_words(WORDS, **NO_WORDS) == FULL

    @given(specs)
    def test_come_back_as_the_spec_whatever_the_volume_is(self, one: VolumeSpec) -> None:
        assert VolumeSpec.of_words(one.words(), encrypted=one.encrypted, kms_key=one.kms_key) == one

    @pytest.mark.parametrize("name", ["iops", "throughput"])
    def test_leave_out_what_ec2_does_not_report(self, name: str) -> None:
        without = {key: text for key, text in WORDS.items() if key != name}

        assert name not in spec(**{name: None}).words()
        assert getattr(VolumeSpec.of_words(without), name) is None

    @pytest.mark.parametrize("name", ["zone", "type", "size"])
    def test_must_hold_what_every_volume_has(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} is missing"):
            VolumeSpec.of_words({key: text for key, text in WORDS.items() if key != name})

    @pytest.mark.parametrize("name", ["size", "iops", "throughput"])
    def test_must_be_numbers_where_the_attribute_is_one(self, name: str) -> None:
        with pytest.raises(ValueError, match="many"):
            VolumeSpec.of_words(WORDS | {name: "many"})

    def test_of_something_else_are_ignored(self) -> None:
        others = {"card": "1", "delete-on-termination": "true", "from": "snap-0"}

        assert VolumeSpec.of_words(others | WORDS, **NO_WORDS) == FULL


class TestParameters:
    def test_there_is_one_for_every_attribute(self) -> None:
        assert sorted(p.attribute for p in PARAMETERS) == sorted(f.name for f in fields(VolumeSpec))

    def test_are_read_and_given_under_the_same_names(self) -> None:
        described = {
            "AvailabilityZone": ZONE,
            "VolumeType": "gp3",
            "Size": 8,
            "Iops": 4000,
            "Throughput": 250,
            "Encrypted": True,
            "KmsKeyId": KEY,
        }

        assert spec_of(described | {"State": "in-use"}) == FULL
        assert parameters_of(FULL) == described

    def test_of_a_plain_volume_name_no_performance_and_no_key(self) -> None:
        asked = {"AvailabilityZone": ZONE, "VolumeType": "standard", "Size": 8}

        assert spec_of({**asked, "Encrypted": False}) == spec(type="standard")
        assert parameters_of(spec(type="standard")) == asked

    def test_never_ask_for_a_volume_that_is_not_encrypted(self) -> None:
        """Where encryption by default is on, the volume is encrypted all the same; and a policy may deny the words."""
        assert "Encrypted" not in parameters_of(spec(encrypted=False))
        assert parameters_of(spec(encrypted=True))["Encrypted"] is True


@dataclass(frozen=True, kw_only=True)
class WithBurst(VolumeSpec):
    """With an attribute that EBS volumes do not have: the first of the two lines."""

    burst: int | None = field(default=None, metadata={READ: int})


BURST = Parameter(attribute="burst", name="BurstCredits", types=frozenset({"gp3", "gp2"}))
"""The second line."""


class Account:
    """EC2 with one volume attached, as far as it takes to copy that volume and to make it anew."""

    meta = SimpleNamespace(service_model=service_model("ec2"))

    def __init__(self, **attributes: Any) -> None:
        self.volume = {"VolumeId": "vol-1", "State": "in-use", "AvailabilityZone": ZONE, "Size": 8} | attributes
        attached = {"InstanceId": ID, "Device": DATA, "State": "attached", "AttachTime": LAUNCHED}
        self.volume |= {"Encrypted": False, "Attachments": [attached]}
        self.snapshots: list[dict[str, Any]] = []
        self.created: list[dict[str, Any]] = []

    def get_paginator(self, name: str) -> Any:
        account = self

        class Pages:
            def paginate(self, **_: object) -> Sequence[dict[str, Any]]:
                described = {"describe_volumes": [account.volume], "describe_snapshots": account.snapshots}[name]
                return [{"Volumes": described, "Snapshots": described}]

        return Pages()

    def create_snapshot(self, **params: Any) -> None:
        (specification,) = params["TagSpecifications"]
        snapshot = {"SnapshotId": "snap-1", "VolumeId": params["VolumeId"], "State": "completed", "StartTime": TAKEN}
        self.snapshots.append(snapshot | {"Description": params["Description"], "Tags": specification["Tags"]})

    def create_volume(self, **params: Any) -> dict[str, Any]:
        self.created.append(params)
        return {"VolumeId": "vol-2", "CreateTime": NOW}


class TestOneMoreAttribute:
    """It takes a field of VolumeSpec and an entry of PARAMETERS, and nothing else."""

    @pytest.fixture(autouse=True)
    def added(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if WithBurst stood in place of VolumeSpec, in both modules that make a spec."""
        monkeypatch.setattr("park_volumes.core.tags.VolumeSpec", WithBurst)
        monkeypatch.setattr("park_volumes.aws.volume_parameters.VolumeSpec", WithBurst)
        monkeypatch.setattr("park_volumes.aws.volume_parameters.PARAMETERS", (*PARAMETERS, BURST))

    def way(self, account: Account) -> tuple[VolumeSpec, dict[str, str], VolumeSpec, dict[str, Any]]:
        """The spec of the volume, the tags of its snapshot, the spec in its record, and how the new one is made."""
        ec2 = Ec2(account, deployment=SETTINGS.deployment)  # type: ignore[arg-type]
        (volume,) = ec2.reads.volumes(["vol-1"])
        born = tags.tags_of_record(
            volume,
            volume.attachments[0],
            deployment=SETTINGS.deployment,
            launch_time=LAUNCHED,
            generation=GENERATION,
            part="1/1",
        )
        step = CreateSnapshot(
            volume_id=volume.id, description=tags.description_of(born), tags=born | tags.tags_of_confirmation(NOW)
        )
        ec2.writes.do(step)
        (record,) = ec2.reads.every_snapshot().records
        ec2.writes.create_volume(CreateVolume(record=record, token="t"))
        (params,) = account.created
        return volume.spec, born, record.spec, params

    def test_makes_the_whole_way_from_the_volume_to_the_one_that_is_made_anew(self) -> None:
        seen, born, kept, params = self.way(Account(VolumeType="gp3", BurstCredits=77))

        assert seen == kept == WithBurst(zone=ZONE, type="gp3", size=8, burst=77)
        assert "burst=77" in born[tags.VOLUME].split()
        assert params["BurstCredits"] == 77

    def test_leaves_no_trace_where_ec2_does_not_report_it(self) -> None:
        seen, born, kept, params = self.way(Account(VolumeType="gp3"))

        assert seen == kept == WithBurst(zone=ZONE, type="gp3", size=8)
        assert "burst" not in born[tags.VOLUME]
        assert "BurstCredits" not in params

    def test_is_remembered_but_not_asked_for_with_a_type_that_does_not_take_it(self) -> None:
        _, _, kept, params = self.way(Account(VolumeType="st1", BurstCredits=77))

        assert kept == WithBurst(zone=ZONE, type="st1", size=8, burst=77)
        assert "BurstCredits" not in params

    def test_is_absent_from_the_records_that_were_written_before(self) -> None:
        before = WithBurst.of_words(WORDS, **NO_WORDS)

        assert (before.burst, before.words()) == (None, WORDS)

    def test_needs_a_default_because_of_them(self) -> None:
        """A word without a default must be in every record: a fourth one would damage all that exist."""
        required = {f.name for f in fields(VolumeSpec) if READ in f.metadata and f.default is MISSING}

        assert required == {"zone", "type", "size"}


@pytest.mark.parametrize("name", ["iops", "throughput"])
def test_none_at_all_is_a_number(name: str) -> None:
    words = spec().words() | {name: "0"}

    assert getattr(VolumeSpec.of_words(words), name) == 0
