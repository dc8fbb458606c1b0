"""Which volumes stay attached because something else knows them by their id, and where that is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_volumes.aws.described import instance_of, volume_of
from park_volumes.cli.explain import explain
from park_volumes.core.choice import KNOWN_BY_ID, why_it_stays
from park_volumes.core.facts import Observation
from park_volumes.core.park import park
from park_volumes.core.prices import prices_of
from park_volumes.core.refusals import apply_observe_only
from park_volumes.core.settings import Settings
from park_volumes.core.status import status
from park_volumes.core.steps import CreateSnapshot, Decision, Outcome
from park_volumes.report import Kind
from tests.unit.facts import (
    DATA,
    ID,
    NOW,
    OPT_IN,
    SETTINGS,
    attachment,
    change,
    data_volume,
    instance,
    mappings,
    opted,
    parked,
    root_volume,
    seen,
    steps_of,
    volume,
    with_snapshots,
)
from tests.unit.functions import Functions, state_change
from tests.unit.passes import DATA as DATA_DISK
from tests.unit.passes import ROOT as ROOT_DISK
from tests.unit.passes import Stand

KUBERNETES = {"kubernetes.io/created-for/pvc/name": "db"}
MANAGED = {"Operator": {"Managed": True, "Principal": "ecs.amazonaws.com"}}
BY = {
    "kubernetes.io/created-for/pvc/name": "Kubernetes",
    "kubernetes.io/created-for/pvc/namespace": "Kubernetes",
    "kubernetes.io/created-for/pv/name": "Kubernetes",
    "kubernetes.io/cluster/shop": "Kubernetes",
    "KubernetesCluster": "Kubernetes",
    "CSIVolumeName": "Kubernetes",
    "ebs.csi.aws.com/cluster": "Kubernetes",
    "ebs.csi.aws.com/cluster-name": "Kubernetes",
    "eks:eks-cluster-name": "Kubernetes",
    "aws:cloudformation:logical-id": "CloudFormation",
    "aws:cloudformation:stack-id": "CloudFormation",
    "aws:cloudformation:stack-name": "CloudFormation",
    "AmazonECSManaged": "Amazon ECS",
    "AmazonECSCreated": "Amazon ECS",
    "elasticbeanstalk:environment-id": "Elastic Beanstalk",
    "elasticbeanstalk:environment-name": "Elastic Beanstalk",
    "aws:elasticbeanstalk:environment-name": "Elastic Beanstalk",
    "aws:autoscaling:groupName": "Auto Scaling",
    "aws:autoscaling:anything": "Auto Scaling",
}
OF_NOBODY = (
    "Name",
    "kubernetes.io",
    "kubernetes.io/role/node",
    "my-kubernetes.io/cluster/shop",
    "csi-volume",
    "CSIVolumeNames",
    "cloudformation",
    "AmazonECS",
    "beanstalk",
    "aws:backup:source-resource",
    "aws:ec2launchtemplate:id",
    "aws:dlm:lifecycle-policy-id",
)


def decide(s: Observation, settings: Settings = SETTINGS) -> Decision:
    return park(s, settings, NOW)


def copied(s: Observation) -> set[str]:
    return {step.volume_id for step in steps_of(decide(s), CreateSnapshot)}


def with_data(tags: Mapping[str, str]) -> Observation:
    return seen(root_volume(), data_volume(tags=tags))


class TestADataVolumeThatSomethingElseKnows:
    @pytest.mark.parametrize(("key", "who"), BY.items())
    def test_stays_attached_and_that_is_told_with_the_way_out(self, key: str, who: str) -> None:
        decision = decide(with_data({"Name": "data", key: "x"}))

        assert {step.volume_id for step in steps_of(decision, CreateSnapshot)} == {"vol-root"}
        assert decision.reason.endswith(
            f" What stays attached: vol-data, because {who} knows it by its id (tag {key}): "
            f"tag it {OPT_IN}=true if it may come back with another id."
        )

    @pytest.mark.parametrize("key", BY)
    @pytest.mark.parametrize("value", ["true", " True", "TRUE "])
    def test_is_parked_where_its_own_tag_says_true(self, key: str, value: str) -> None:
        decision = decide(with_data({key: "x", OPT_IN: value}))

        assert {step.volume_id for step in steps_of(decision, CreateSnapshot)} == {"vol-root", "vol-data"}
        assert "stays attached" not in decision.reason

    def test_stays_attached_where_its_own_tag_says_root(self) -> None:
        """That word is copied from the instance, and says nothing of a data volume."""
        assert copied(with_data({**KUBERNETES, **opted("root")})) == {"vol-root"}

    def test_stays_attached_without_further_words_where_its_owner_says_so(self) -> None:
        decision = decide(with_data({**KUBERNETES, **opted("No")}))

        assert {step.volume_id for step in steps_of(decision, CreateSnapshot)} == {"vol-root"}
        assert "stays attached" not in decision.reason

    def test_is_none_of_our_business_where_only_the_root_volume_is(self) -> None:
        decision = decide(change(with_data(KUBERNETES), tags=opted("root")))

        assert decision.reason == f"{ID} is stopped. Volumes that still need a snapshot: 1 of 1."

    @pytest.mark.parametrize("key", OF_NOBODY)
    def test_is_not_one_with_any_other_tag(self, key: str) -> None:
        assert copied(with_data({key: "kubernetes.io/created-for/pvc/name"})) == {"vol-root", "vol-data"}

    @given(
        pattern=st.sampled_from([p for patterns in KNOWN_BY_ID.values() for p in patterns]),
        rest=st.text(max_size=60),
        others=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
    )
    def test_is_known_by_any_key_of_its_kind_among_any_others(
        self, pattern: str, rest: str, others: dict[str, str]
    ) -> None:
        others.pop(OPT_IN, None)
        key = pattern.replace("*", rest)

        assert copied(with_data({**others, key: ""})) == {"vol-root"}

    def test_stays_where_it_is_while_the_others_are_parked_and_come_back(self, stand: Stand) -> None:
        instance_id = stand.launch(ROOT_DISK, DATA_DISK._replace(tags=KUBERNETES))
        (kept,) = (d.volume_id for d in stand.instance(instance_id).devices if d.device == DATA)
        stand.stop(instance_id)
        for _ in range(12):
            stand.step(instance_id)
            stand.after(61)
        assert [(d.device, d.volume_id) for d in stand.instance(instance_id).devices] == [(DATA, kept)]
        stand.start_pass().start(instance_id)
        stand.after(60)

        assert {d.device: d.volume_id for d in stand.instance(instance_id).devices}[DATA] == kept
        assert stand.instance(instance_id).state == "running"


class TestARootVolumeThatSomethingElseKnows:
    @pytest.mark.parametrize(("key", "who"), BY.items())
    def test_refuses_the_instance_and_says_what_to_do(self, key: str, who: str) -> None:
        decision = decide(seen(root_volume(tags={key: "x"}), data_volume()))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert decision.reason == (
            f"{ID} is not parked. Its root volume vol-root has to stay attached, because {who} knows it by its id "
            f"(tag {key}): tag it {OPT_IN}=true if it may come back with another id."
        )

    @pytest.mark.parametrize("opt_in", ["true", "root"])
    def test_is_parked_where_its_own_tag_says_true(self, opt_in: str) -> None:
        s = seen(root_volume(tags={"aws:cloudformation:stack-name": "web", OPT_IN: "True"}))

        assert copied(change(s, tags=opted(opt_in))) == {"vol-root"}

    def test_refuses_also_where_only_the_root_volume_is_to_be_parked(self) -> None:
        s = seen(root_volume(tags={"aws:cloudformation:stack-name": "web", OPT_IN: "root"}), data_volume())

        assert decide(change(s, tags=opted("root"))).outcome is Outcome.REFUSED


class TestAManagedVolume:
    def managed(self, **tags: str) -> Observation:
        return seen(root_volume(), data_volume(managed_by="ecs.amazonaws.com", tags=tags))

    @pytest.mark.parametrize("tags", [{}, {OPT_IN: "true"}, {OPT_IN: "root"}])
    def test_stays_attached_whatever_its_tag_says(self, tags: dict[str, str]) -> None:
        decision = decide(self.managed(**tags))

        assert {step.volume_id for step in steps_of(decision, CreateSnapshot)} == {"vol-root"}
        assert decision.reason.endswith(
            "vol-data, because it is managed by ecs.amazonaws.com, and nothing else may change it."
        )

    def test_is_one_if_only_the_instance_says_so(self) -> None:
        s = with_data(opted("true"))
        said = tuple(
            replace(m, managed_by="ecs.amazonaws.com" if m.device == DATA else "") for m in mappings(s.volumes)
        )

        assert copied(change(s, mappings=said)) == {"vol-root"}

    def test_refuses_the_instance_as_its_root_volume(self) -> None:
        decision = decide(seen(root_volume(managed_by="an AWS service", tags=opted("true")), data_volume()))

        assert decision.outcome is Outcome.REFUSED
        assert "root volume vol-root has to stay attached, because it is managed by an AWS service" in decision.reason

    def test_that_is_hidden_refuses_the_instance(self) -> None:
        s = seen(root_volume())
        hidden = mappings((*s.volumes, data_volume()))
        shown = tuple(replace(m, managed_by="ecs.amazonaws.com" if m.device == DATA else "") for m in hidden)
        decision = decide(change(s, mappings=shown))

        assert (decision.outcome, decision.steps) == (Outcome.REFUSED, ())
        assert "EC2 does not show all of its volumes: vol-data at /dev/sdf, which is managed by ecs" in decision.reason

    def test_that_nobody_manages_and_nobody_sees_yet_is_waited_for(self) -> None:
        s = seen(root_volume())

        assert decide(change(s, mappings=mappings((*s.volumes, data_volume())))).outcome is Outcome.GOING_ON

    @pytest.mark.parametrize(
        ("operator", "by"),
        [
            ({}, ""),
            ({"Operator": {"Managed": False}}, ""),
            ({"Operator": {"Managed": False, "Principal": "ecs.amazonaws.com"}}, ""),
            ({"Operator": {"Managed": True}}, "an AWS service"),
            ({"Operator": {"Managed": True, "Principal": ""}}, "an AWS service"),
            (MANAGED, "ecs.amazonaws.com"),
        ],
    )
    def test_is_read_as_ec2_describes_it(self, stand: Stand, operator: dict[str, Any], by: str) -> None:
        instance_id = stand.launch(ROOT_DISK, DATA_DISK._replace(facts=operator))
        described = stand.owner.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        described["BlockDeviceMappings"][1]["Ebs"] |= operator
        volume_id = described["BlockDeviceMappings"][1]["Ebs"]["VolumeId"]
        (shown,) = stand.owner.describe_volumes(VolumeIds=[volume_id])["Volumes"]

        assert volume_of(shown).managed_by == by
        assert [m.managed_by for m in instance_of(described).mappings] == ["", by]

    def test_is_there_after_hours(self, stand: Stand) -> None:
        instance_id = stand.stopped(ROOT_DISK, DATA_DISK._replace(facts=MANAGED, tags=opted("true")))
        for _ in range(24):
            stand.step(instance_id)
            stand.after(600)

        assert [d.device for d in stand.instance(instance_id).devices] == [DATA]


class TestWhereItIsTold:
    def test_at_every_step_of_parking(self) -> None:
        s = with_data(KUBERNETES)
        steps = [s, with_snapshots(s, state="pending"), with_snapshots(s)]

        assert ["What stays attached: vol-data" in status(one, SETTINGS, NOW)["detail"] for one in steps] == [True] * 3

    def test_while_it_is_parked(self) -> None:
        s = parked()
        there = volume("vol-kept", attachment("/dev/sdz"), tags=KUBERNETES)
        shown = status(replace(s, volumes=(there,), instance=instance(mappings=mappings([there]))), SETTINGS, NOW)

        assert shown["state"] == "parked"
        assert shown["detail"].startswith(f"{ID} is parked. What stays attached: vol-kept, because Kubernetes knows")

    def test_not_while_it_is_refused_or_held(self) -> None:
        spot = change(with_data(KUBERNETES), lifecycle="spot")

        assert "stays attached" not in decide(spot).reason

    def test_in_an_explanation_of_each_volume(self) -> None:
        lines = list(explain(with_data(opted(" No")), SETTINGS, NOW))
        (line,) = [line for line in lines if "volume    vol-data" in line]
        assert line.endswith(f", stays attached because it is tagged {OPT_IN}= No")
        (line,) = [line for line in explain(with_data(KUBERNETES), SETTINGS, NOW) if "volume    vol-data" in line]
        assert "stays attached because Kubernetes knows it by its id" in line
        (line,) = [line for line in lines if "volume    vol-root" in line]
        assert "stays attached" not in line

    def test_in_an_explanation_not_of_a_volume_that_is_not_attached(self) -> None:
        free = seen(root_volume(), volume("vol-free", tags=KUBERNETES))

        assert not [line for line in explain(free, SETTINGS, NOW) if "stays attached" in line]
        assert why_it_stays(free.volumes[1], free, SETTINGS)

    def test_by_one_that_only_observes_and_counts_only_what_would_be_parked(self) -> None:
        settings = replace(SETTINGS, observe_only=True, prices=prices_of("us-east-1", {}))
        alone, s = seen(root_volume()), with_data(KUBERNETES)
        saved, told = (apply_observe_only(decide(o, settings), o, settings).reason for o in (alone, s))

        assert "What stays attached: vol-data, because Kubernetes" in told
        assert saved.endswith("Parked, it would save at least 0.24 USD a month.")
        assert told.endswith("Parked, it would save at least 0.24 USD a month.")

    def test_in_the_event_that_the_instance_is_parked(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.launch(ROOT_DISK, DATA_DISK._replace(tags=KUBERNETES))
        stand.owner.stop_instances(InstanceIds=[instance_id])
        functions.live(900)

        assert functions.reported() == [(Kind.PARKED, instance_id)]
        assert "its volume (32 GiB) became snapshots." in json.loads(functions.events[0]["Detail"])["what"]
        assert "because Kubernetes knows it by its id" in json.loads(functions.events[0]["Detail"])["what"]

    def test_in_the_event_of_a_root_volume_that_refuses(self, stand: Stand, functions: Functions) -> None:
        instance_id = stand.stopped(ROOT_DISK._replace(tags={"kubernetes.io/cluster/shop": "owned"}))
        functions.park(state_change(instance_id, "stopped"))

        assert functions.reported() == [(Kind.PARKING_REFUSED, instance_id)]


def test_every_pattern_is_of_the_length_of_a_key_and_none_takes_everything() -> None:
    patterns = [p for patterns in KNOWN_BY_ID.values() for p in patterns]

    assert len(patterns) == len(set(patterns))
    assert all(5 < len(p) < 127 and p.count("*") <= 1 and p.rstrip("*") for p in patterns)
