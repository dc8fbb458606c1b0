"""``park-volumes doctor``: what it reads, what it makes of that, and what it says."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from park_volumes.cli import deployed, doctor
from park_volumes.cli.account import Account, _regions
from park_volumes.cli.desk import ExitCode
from park_volumes.cli.doctor import Finding, Level, Topic, diagnose
from park_volumes.cli.examination import QUOTAS
from park_volumes.cli.examined import (
    Encryption,
    Examined,
    Key,
    Layer,
    Place,
    Rule,
    Selector,
    Trail,
    Unread,
)
from park_volumes.core import tags
from park_volumes.core.facts import BinnedVolume
from park_volumes.core.prices import TRAIL_COPY, prices_of
from tests.model.faults import Fault, at_operation
from tests.model.records import Disk
from tests.support.hcl import load
from tests.support.readme import DOCS
from tests.support.terraform import ROOT as REPOSITORY
from tests.unit import facts
from tests.unit.account_reads import ACCOUNT, KEY, Answers, _session, refused
from tests.unit.facts import NOW, OPT_IN, data_volume, parked, record, root_volume, seen
from tests.unit.passes import Stand
from tests.unit.test_cli import Laptop

SETTINGS = replace(facts.SETTINGS, prices=prices_of("us-east-1", {}))
ARN = deployed.LAYER.format(region="us-east-1")
FOREIGN_KEY = "arn:aws:kms:us-east-1:999999999999:key/0000"
EVERYTHING: tuple[Selector, ...] = ((),)
DENIED = Unread(action="ec2:DescribeInstances", code="UnauthorizedOperation", words="You may not.")
RULE = {"Identifier": "r", "RetentionPeriod": {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}}
WELL = seen(root_volume(), data_volume())


def examined(**others: Any) -> Examined:
    """An account in which nothing is wrong, but for the facts that are given."""
    healthy: dict[str, Any] = {
        "place": Place(region="us-east-1", partition="aws", account=ACCOUNT, listed=True),
        "layer": Layer(arn=ARN, there=True),
        "trails": (Trail(name="all", logging=True, selectors=EVERYTHING),),
        "encryption": Encryption(by_default=False, key="alias/aws/ebs"),
        "keys": (),
        "rules": (),
        "quotas": dict.fromkeys(QUOTAS, 50.0),
        "used": {"gp3": 16},
        "snapshots": 0,
        "binned": (),
        "fleet": (WELL,),
    }
    return Examined(**(healthy | others))


def found(topic: Topic, settings: Any = SETTINGS, **others: Any) -> list[Finding]:
    return [one for one in diagnose(examined(**others), settings, NOW) if one.topic is topic]


def levels(findings: Iterable[Finding]) -> list[Level]:
    return [one.level for one in findings]


def test_of_a_healthy_account_every_line_is_good_and_every_topic_has_one() -> None:
    every = diagnose(examined(), SETTINGS, NOW)

    assert set(levels(every)) == {Level.GOOD}
    assert {one.topic for one in every} == set(Topic) - {Topic.NOT_READ}
    assert {one.remedy for one in every} == {""}


class TestTheRegion:
    def test_that_the_sdk_does_not_know_is_a_warning(self) -> None:
        place = Place(region="eu-new-1", partition="aws", account=ACCOUNT, listed=False)
        (one,) = found(Topic.REGION, place=place)

        assert one.level is Level.WARNING
        assert "does not know the region" in one.words

    def test_without_prices_is_a_warning(self) -> None:
        where, prices = found(Topic.REGION, facts.SETTINGS)

        assert (where.level, prices.level) == (Level.GOOD, Level.WARNING)
        assert "Set prices" in prices.remedy


class TestTheLayer:
    def test_that_does_not_exist_is_bad(self) -> None:
        (one,) = found(Topic.LAYER, layer=Layer(arn=ARN, there=False))

        assert one.level is Level.BAD
        assert f"{ARN} does not exist" in one.words

    def test_of_another_partition_has_to_be_named(self) -> None:
        (one,) = found(Topic.LAYER, layer=Layer(arn="", there=False))

        assert one.level is Level.BAD
        assert "Set powertools_layer_arn" in one.remedy

    def test_that_may_not_be_seen_may_not_exist(self) -> None:
        denied = Unread(action="lambda:GetLayerVersion", code="AccessDeniedException", words="No.")
        every = diagnose(examined(layer=Layer(arn=ARN, there=denied)), SETTINGS, NOW)
        (one,) = (one for one in every if one.level is not Level.GOOD)

        assert (one.topic, one.level) == (Topic.LAYER, Level.WARNING)
        assert "it does not exist, or you may not see it" in one.words
        assert "Allow lambda:GetLayerVersion" in one.remedy

    def test_is_the_one_of_the_module(self) -> None:
        local = load(REPOSITORY / "main.tf")["locals"][0]["powertools_layer_arn"]
        arn = deployed.LAYER.format(region="${local.region}").replace("arn:aws:", "arn:${local.partition}:")

        assert arn.replace("-arm64:", "-${var.lambda_architecture}:") in local


class TestTrails:
    @pytest.mark.parametrize(
        ("selectors", "logs"),
        [
            ((), False),
            (((),), True),
            (((("readOnly", "Equals", ("false",)),),), True),
            (((("readOnly", "Equals", ("true",)),),), False),
            (((("readOnly", "NotEquals", ("true",)),),), True),
            (((("eventSource", "NotEquals", ("kms.amazonaws.com", "rdsdata.amazonaws.com")),),), True),
            (((("eventSource", "NotEquals", ("ec2.amazonaws.com",)),),), False),
            (((("eventSource", "Equals", ("s3.amazonaws.com",)),),), False),
            (((("eventName", "StartsWith", ("Start", "Stop")),),), True),
            (((("eventName", "NotStartsWith", ("Start",)),),), False),
            (((("eventName", "EndsWith", ("Instances",)), ("eventName", "NotEndsWith", ("es",))),), False),
            (((("readOnly", "Equals", ("true",)),), (("readOnly", "Equals", ("false",)),)), True),
            (((("userIdentity.arn", "NotEquals", ("arn:of:somebody",)),),), True),
        ],
    )
    def test_log_refused_starts_by_their_selectors(self, selectors: tuple[Selector, ...], logs: bool) -> None:
        trail = Trail(name="one", logging=True, selectors=selectors)

        assert trail.logs(doctor.FAILED_START) is logs
        assert levels(found(Topic.TRAIL, trails=(trail,))) == [Level.GOOD if logs else Level.WARNING]

    @pytest.mark.parametrize("trails", [(), (Trail(name="off", logging=False, selectors=EVERYTHING),)])
    def test_that_are_missing_or_off_leave_starts_elsewhere_unnoticed(self, trails: tuple[Trail, ...]) -> None:
        (one,) = found(Topic.TRAIL, trails=trails)

        assert one.level is Level.WARNING
        assert "are not noticed" in one.words
        assert "start_on_failed_start = false" in one.remedy

    def test_of_an_organization_may_hide_what_they_log(self) -> None:
        hidden = Unread(action="cloudtrail:GetEventSelectors", code="AccessDeniedException", words="No.")
        every = diagnose(examined(trails=(Trail(name="org", logging=True, selectors=hidden),)), SETTINGS, NOW)
        trail, not_read = (one for one in every if one.level is not Level.GOOD)

        assert trail.words == "Whether a trail logs starts that EC2 refuses is not known (org)."
        assert not_read.remedy.endswith("cloudtrail:GetEventSelectors.")
        assert "Not known in full: trail, cost of CloudTrail." in not_read.words

    def test_are_free_if_there_is_one(self) -> None:
        (one,) = found(Topic.TRAIL_COST)

        assert one.words.startswith("CloudTrail charges nothing for the 36,500 calls a month")

    def test_that_share_the_work_are_free(self) -> None:
        halves = [
            Trail(name=word, logging=True, selectors=((("readOnly", "Equals", (word,)),),))
            for word in ("true", "false")
        ]

        assert levels(found(Topic.TRAIL_COST, trails=tuple(halves))) == [Level.GOOD]

    def test_beside_the_first_are_not_free(self) -> None:
        writes: Selector = (("readOnly", "Equals", ("false",)),)
        trails = [Trail(name=str(n), logging=True, selectors=EVERYTHING) for n in range(2)]
        trails += [Trail(name="writes", logging=True, selectors=(writes,))]
        (one,) = found(Topic.TRAIL_COST, trails=tuple(trails))
        usd = TRAIL_COPY * (doctor.IDLE_CALLS + 2 * doctor.WORKING_DAYS * doctor.CHANGING_CALLS)

        assert one.level is Level.WARNING
        assert f"about {usd:.2f} USD a month" in one.words


class TestEncryption:
    ON = Encryption(by_default=True, key=KEY)

    def test_by_default_changes_volumes_that_are_not_encrypted(self) -> None:
        (one,) = found(Topic.ENCRYPTION, encryption=self.ON)

        assert one.level is Level.WARNING
        assert KEY in one.words
        assert one.words.endswith("What is not encrypted now comes back encrypted: vol-data, vol-root.")
        assert "encrypted = false" in one.remedy

    def test_by_default_changes_what_is_parked_without_it(self) -> None:
        (one,) = found(Topic.ENCRYPTION, encryption=self.ON, fleet=(parked(),))

        assert one.words.endswith("comes back encrypted: snap-data, snap-root.")

    def test_by_default_changes_nothing_of_volumes_that_are(self) -> None:
        own = seen(root_volume(encrypted=True, kms_key=KEY), data_volume(encrypted=True, kms_key=KEY))

        assert levels(found(Topic.ENCRYPTION, encryption=self.ON, fleet=(own,))) == [Level.GOOD]

    @pytest.mark.parametrize(
        ("key", "level"),
        [
            (Key(arn=KEY, state="Enabled", account=ACCOUNT), Level.GOOD),
            (Key(arn=KEY, state="PendingDeletion", account=ACCOUNT), Level.BAD),
            (Key(arn=FOREIGN_KEY, state="Enabled", account="999999999999"), Level.BAD),
        ],
    )
    def test_needs_keys_that_work(self, key: Key, level: Level) -> None:
        _, one = found(Topic.ENCRYPTION, keys=(key,))

        assert one.level is level
        assert key.arn in one.words

    def test_with_a_key_of_another_account_needs_that_key_in_kms_key_arns(self) -> None:
        with_it = replace(SETTINGS, kms_key_arns=frozenset({FOREIGN_KEY}))
        key = Key(arn=FOREIGN_KEY, state="Enabled", account="999999999999")

        assert set(levels(found(Topic.ENCRYPTION, with_it, keys=(key,)))) == {Level.GOOD}


class TestTheRecycleBin:
    @pytest.mark.parametrize(
        ("rule", "kept"),
        [
            (Rule(id="r", of_volumes=True, days=7), True),
            (Rule(id="r", of_volumes=True, days=7, excluded=((tags.MARK, ""),)), False),
            (Rule(id="r", of_volumes=True, days=7, excluded=((tags.MARK, "other"),)), True),
            (Rule(id="r", of_volumes=True, days=7, tags=(("env", "prod"),)), False),
            (Rule(id="r", of_volumes=True, days=7, tags=(("team", "db"),)), True),
            (Rule(id="r", of_volumes=True, days=7, tags=(("team", ""),)), True),
            (Rule(id="r", of_volumes=False, days=7), True),
            (Rule(id="r", of_volumes=False, days=7, excluded=((tags.DEPLOYMENT, "park-volumes"),)), False),
            (Rule(id="r", of_volumes=False, days=7, tags=((tags.DEPLOYMENT, "another"),)), False),
            (Rule(id="r", of_volumes=False, days=7, tags=(("team", "db"),)), True),
        ],
    )
    def test_keeps_what_a_rule_says(self, rule: Rule, kept: bool) -> None:
        tagged = seen(root_volume(), data_volume(tags={"team": "db"}))
        (one,) = found(Topic.RECYCLE_BIN, rules=(rule,), fleet=(tagged,))

        assert one.level is (Level.WARNING if kept else Level.GOOD)
        assert ("for 7 days" in one.words) is kept

    def test_keeps_by_the_tags_of_volumes_that_are_parked_already(self) -> None:
        rule = Rule(id="r", of_volumes=False, days=7, tags=(("team", "db"),))
        there = seen(records=facts.records(user_tags={"team": "db"}))

        assert levels(found(Topic.RECYCLE_BIN, rules=(rule,), fleet=(there,))) == [Level.WARNING]

    def test_of_the_module_itself_is_as_it_should_be(self) -> None:
        ours = Rule(id="r", of_volumes=False, days=7, tags=((tags.DEPLOYMENT, "park-volumes"),))
        (one,) = found(Topic.RECYCLE_BIN, rules=(ours,))

        assert one.level is Level.GOOD
        assert "as recycle_bin_days asks for" in one.words

    def test_of_volumes_has_the_exclusion_tag_as_its_remedy(self) -> None:
        (one,) = found(Topic.RECYCLE_BIN, rules=(Rule(id="r", of_volumes=True, days=7),), fleet=())

        assert f"exclusion tag {tags.MARK}" in one.remedy


class TestQuotas:
    @pytest.mark.parametrize(
        ("used", "level"),
        [(51_200 - 16, Level.GOOD), (51_200 - 15, Level.WARNING), (51_200, Level.WARNING), (51_201, Level.BAD)],
    )
    def test_have_room_for_twice_a_fleet_that_has_its_volumes(self, used: int, level: Level) -> None:
        """Both volumes have 8 GiB, and the quota is 50 TiB."""
        worst = found(Topic.QUOTAS, used={"gp3": used})[0]

        assert worst.level is level

    @pytest.mark.parametrize(
        ("used", "level"),
        [
            (51_200 - 32, Level.GOOD),
            (51_200 - 31, Level.WARNING),
            (51_200 - 16, Level.WARNING),
            (51_200 - 15, Level.BAD),
        ],
    )
    def test_have_room_for_a_parked_fleet_to_come_back_twice(self, used: int, level: Level) -> None:
        worst = found(Topic.QUOTAS, used={"gp3": used}, fleet=(parked(),))[0]

        assert worst.level is level
        assert ("takes 16 more to come back" in worst.words) is (level is Level.BAD)

    def test_count_what_a_recycle_bin_keeps(self) -> None:
        kept = BinnedVolume(id="vol-1", spec=facts.spec(size=51_200 - 31), leaves=None)

        assert found(Topic.QUOTAS, binned=(kept,))[0].level is Level.WARNING

    def test_are_judged_without_a_look_into_the_recycle_bin(self) -> None:
        denied = Unread(action="ec2:ListVolumesInRecycleBin", code="UnauthorizedOperation", words="No.")
        every = diagnose(examined(binned=denied), SETTINGS, NOW)

        assert [one.level for one in every if one.topic is Topic.QUOTAS] == [Level.GOOD]
        assert every[-1].words.endswith("Not known in full: quotas.")

    def test_of_types_that_the_fleet_does_not_have_do_not_count(self) -> None:
        assert levels(found(Topic.QUOTAS, used={"gp2": 99_999})) == [Level.GOOD]

    @pytest.mark.parametrize(("snapshots", "level"), [(46, Level.GOOD), (47, Level.WARNING), (51, Level.BAD)])
    def test_have_room_for_two_snapshots_of_each_volume(self, snapshots: int, level: Level) -> None:
        assert found(Topic.QUOTAS, snapshots=snapshots)[0].level is level

    def test_that_nobody_names_are_told(self) -> None:
        unknown = found(Topic.QUOTAS, quotas={"snapshots": 50.0})[0]

        assert unknown.words == "Service Quotas names no quota for GiB of gp3."


class TestInstances:
    def test_that_would_be_refused_are_told_with_the_reason_each(self) -> None:
        spot = facts.change(WELL, lifecycle="spot", state="running", state_reason="")
        crashed = facts.change(WELL, state_reason="Server.InternalError")
        misspelt = facts.change(WELL, tags={OPT_IN: "ture"})
        running = facts.change(misspelt, state="running")
        *refused_ones, rest = found(Topic.INSTANCES, fleet=(WELL, spot, crashed, misspelt, running))

        assert levels(refused_ones) == [Level.WARNING] * 4
        assert "would not be parked. It is a Spot Instance" in refused_ones[0].words
        assert "Server.InternalError" in refused_ones[1].words
        assert "'ture'" in refused_ones[2].words
        assert "'ture'" in refused_ones[3].words
        assert rest.words == "Instances that are opted in: 3. Nothing prevents the others."

    def test_that_are_parked_and_would_not_start_are_bad(self) -> None:
        broken = seen(records=(record(facts.DATA, confirmed_at=facts.MARKED),))
        first, _ = found(Topic.INSTANCES, fleet=(broken, parked()))

        assert first.level is Level.BAD
        assert "would not start" in first.words
        assert "missing" in first.words

    def test_that_lost_their_tag_while_parked_are_bad(self) -> None:
        first = found(Topic.INSTANCES, fleet=(parked(tags={}),))[0]

        assert first.level is Level.BAD
        assert f"tag it {OPT_IN}=true" in first.words

    @pytest.mark.parametrize("word", ["false", "no", ""])
    def test_that_say_no_are_left_alone(self, word: str) -> None:
        (one,) = found(Topic.INSTANCES, fleet=(facts.change(WELL, tags={OPT_IN: word}),))

        assert one.words == "No instance is tagged ParkVolumes=true."

    def test_that_are_gone_are_left_alone(self) -> None:
        gone = facts.change(parked(), state="terminated")

        assert levels(found(Topic.INSTANCES, fleet=(gone, WELL))) == [Level.GOOD]

    def test_of_which_nothing_can_be_told_cost_the_others_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def breaks(*_: Any) -> Any:
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(doctor, "park", breaks)
        spot = facts.change(WELL, lifecycle="spot", state="running", state_reason="")
        bad, refused_one, _ = found(Topic.INSTANCES, fleet=(WELL, spot))

        assert bad.level is Level.BAD
        assert "nobody foresaw this" in bad.words
        assert "Spot" in refused_one.words

    def test_lose_no_other_topic_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def breaks(*_: Any, **__: Any) -> Any:
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(doctor, "stays_in_words", breaks)
        (one,) = found(Topic.VOLUMES)

        assert one.words == "This could not be examined: RuntimeError('nobody foresaw this')."
        assert found(Topic.SAVINGS)


def test_volumes_of_others_are_named_with_who_knows_them() -> None:
    keys = {"Kubernetes": "CSIVolumeName", "CloudFormation": "aws:cloudformation:stack-id", "ECS": "AmazonECSManaged"}
    for who, key in keys.items():
        (one,) = found(Topic.VOLUMES, fleet=(seen(root_volume(), data_volume(tags={key: "x"})),))

        assert one.level is Level.WARNING
        assert f"{who} knows it by its id (tag {key})" in one.words


class TestSavings:
    def test_are_those_of_the_volumes_that_are_parked(self) -> None:
        stays = seen(root_volume(size=100), data_volume(size=1000, tags={OPT_IN: "false"}))
        (one,) = found(Topic.SAVINGS, fleet=(stays,))

        assert one.words.endswith("cost 8.00 USD a month, and at least 3.00 less as snapshots.")

    def test_leave_out_what_is_refused(self) -> None:
        spot = facts.change(WELL, lifecycle="spot")
        (one,) = found(Topic.SAVINGS, fleet=(spot,))

        assert "cost 0.00 USD" in one.words

    def test_of_what_is_parked_go_by_what_is_written(self) -> None:
        there = seen(records=facts.records(written=2**30))
        (one,) = found(Topic.SAVINGS, fleet=(there,))

        assert one.words.endswith("cost 1.28 USD a month, and 1.18 less as snapshots.")

    def test_name_the_stopped_instances_that_nobody_has_tagged(self) -> None:
        untagged = [facts.change(WELL, id=f"i-{n}", tags={}) for n in range(7)]
        others = [facts.change(WELL, tags={OPT_IN: "false"}), facts.change(WELL, tags={}, state="running")]
        (one,) = found(Topic.SAVINGS, fleet=(*untagged, *others))

        assert one.words.startswith("Stopped instances without the tag: 7.")
        assert one.remedy.endswith("i-0, i-1, i-2, i-3, i-4 and 2 more.")

    def test_without_a_price_are_a_warning(self) -> None:
        (one,) = found(Topic.SAVINGS, facts.SETTINGS)

        assert (one.level, one.remedy) == (Level.WARNING, "Set prices.")

    def test_of_nobody_are_nothing(self) -> None:
        assert found(Topic.SAVINGS, fleet=())[0].words.startswith("Nothing would be saved")


class TestWhatIsNotRead:
    def test_is_one_line_that_names_the_permission_and_what_it_leaves_open(self) -> None:
        every = diagnose(examined(fleet=DENIED), SETTINGS, NOW)
        (one,) = (one for one in every if one.level is not Level.GOOD)

        assert one.topic is Topic.NOT_READ
        assert one.words.startswith("ec2:DescribeInstances failed (UnauthorizedOperation): You may not. Not known")
        assert one.words.endswith(
            "cost of CloudTrail, encryption, Recycle Bin, quotas, instances, volumes of others, savings."
        )
        assert one.remedy == "Run it again with credentials that may call ec2:DescribeInstances."
        assert {one.topic for one in every} >= {Topic.REGION, Topic.LAYER, Topic.TRAIL}

    def test_for_another_reason_may_not_exist_in_the_region(self) -> None:
        elsewhere = Unread(action="rbin:ListRules", code="EndpointConnectionError", words="<html>\n <p>" + "x" * 999)
        (one,) = found(Topic.NOT_READ, rules=elsewhere)

        assert one.remedy == "Run it again; us-east-1 may not have that service."
        assert "<html> <p>xxx" in one.words
        assert len(one.words) < 500


@dataclass
class Examiner(Laptop):
    """Somebody at a laptop who examines the account of a stand."""

    answers: Answers = field(default_factory=Answers)
    regions: Sequence[str] = ("us-east-1", "eu-west-1", "eu-west-2")
    region: str = "us-east-1"

    def _connect(self, _: argparse.Namespace) -> Account:
        return Account(client=self._client, region=self.region, credentials=lambda: None, regions=lambda: self.regions)

    def _client(self, service: str, **options: Any) -> Any:
        return super()._client(service, **options) if service == "ec2" else self.answers.client(service, **options)

    def lines(self, topic: Topic) -> list[Mapping[str, str]]:
        self.run("doctor", "--json")
        return [one for one in json.loads(self.said)["findings"] if one["topic"] == topic]


@pytest.fixture
def examiner(stand: Stand) -> Examiner:
    return Examiner(stand)


class TestTheCommand:
    def test_says_in_a_line_each_what_is_good(self, examiner: Examiner, stand: Stand) -> None:
        stand.launch()

        assert examiner.run("doctor") is ExitCode.DONE
        first, *lines = examiner.said.splitlines()
        assert first.split() == ["level", "about", "finding"]
        assert {line.split()[0] for line in lines} == {"good"}
        assert "the module's defaults, because there is no function park-volumes-park" in examiner.noted

    def test_changes_nothing(self, examiner: Examiner, stand: Stand) -> None:
        stand.launch()
        stand.parked()
        before = stand.world.calls
        examiner.operations.clear()
        examiner.run("doctor")

        asked = [operation.split(":")[1] for operation, _ in examiner.answers.asked] + examiner.operations
        assert stand.world.calls > before
        assert {operation for operation in asked if not operation.startswith(("Describe", "Get", "List"))} == set()

    def test_says_everything_to_programs(self, examiner: Examiner, stand: Stand) -> None:
        stand.launch()
        examiner.run("doctor", "--json")
        said = json.loads(examiner.said)

        assert {k: said[k] for k in ("region", "partition", "account")} == {
            "region": "us-east-1",
            "partition": "aws",
            "account": ACCOUNT,
        }
        assert (said["deployment"], said["deployed"]) == ("park-volumes", False)
        assert all(set(one) == {"topic", "level", "words", "remedy"} for one in said["findings"])

    def test_with_warnings_alone_is_done(self, examiner: Examiner) -> None:
        assert examiner.run("doctor") is ExitCode.DONE
        assert "warning" in examiner.said

    def test_is_refused_if_anything_is_bad(self, examiner: Examiner, stand: Stand) -> None:
        instance_id = stand.parked()
        stand.owner.delete_tags(Resources=[instance_id], Tags=[{"Key": "ParkVolumes"}])

        assert examiner.run("doctor") is ExitCode.REFUSED
        assert f"{instance_id} (db) would not start" in examiner.said

    def test_examines_the_layer_of_the_deployment(self, examiner: Examiner) -> None:
        layer = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:Own:3"
        examiner.answers.of["GetFunctionConfiguration"] = {
            "Environment": {"Variables": {"SNAPSHOT_RETENTION_HOURS": "1"}},
            "Layers": [{"Arn": layer}],
        }
        examiner.run("doctor")

        assert ("lambda:GetLayerVersionByArn", {"Arn": layer}) in examiner.answers.asked
        assert "those of the function park-volumes-park" in examiner.noted

    def test_examines_the_layer_that_is_given(self, examiner: Examiner) -> None:
        layer = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:Own:3"
        examiner.run("doctor", "--powertools-layer-arn", layer)

        assert ("lambda:GetLayerVersionByArn", {"Arn": layer}) in examiner.answers.asked

    def test_of_a_layer_that_is_none_is_wrong_usage(
        self, examiner: Examiner, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            examiner.run("doctor", "--powertools-layer-arn", "Powertools")

        assert ended.value.code == ExitCode.USAGE
        assert "is not the ARN of a layer version" in capsys.readouterr().err

    def test_knows_no_public_layer_in_another_partition(self, examiner: Examiner) -> None:
        arn = f"arn:aws-cn:iam::{ACCOUNT}:user/mina"
        examiner.answers.of["GetCallerIdentity"] = {"Account": ACCOUNT, "Arn": arn, "UserId": "AIDA"}

        assert examiner.run("doctor") is ExitCode.REFUSED
        assert "No public layer of Powertools is known in the partition aws-cn." in examiner.said


class TestWithoutAWay:
    @pytest.mark.parametrize(
        "error",
        [NoCredentialsError(), PartialCredentialsError(provider="env", cred_var="aws_secret_access_key")],
    )
    def test_no_credentials_are_wrong_usage(self, examiner: Examiner, error: Exception) -> None:
        examiner.answers.of["GetCallerIdentity"] = error

        assert examiner.run("doctor") is ExitCode.USAGE
        assert examiner.said.startswith("No AWS credentials: ")
        assert "aws configure" in examiner.said

    def test_credentials_that_aws_does_not_accept_are_wrong_usage(self, examiner: Examiner) -> None:
        expired = refused("GetCallerIdentity", "ExpiredToken", "The security token is expired.")
        examiner.answers.of["GetCallerIdentity"] = expired

        assert examiner.run("doctor") is ExitCode.USAGE
        assert "does not accept these credentials in us-east-1 (ExpiredToken)" in examiner.said
        assert "may not have enabled that region" in examiner.said

    def test_an_unknown_region_is_wrong_usage_and_the_near_ones_are_named(self, examiner: Examiner) -> None:
        examiner.region = "eu-wset-1"
        examiner.answers.of["GetCallerIdentity"] = EndpointConnectionError(endpoint_url="https://sts")

        assert examiner.run("doctor") is ExitCode.USAGE
        assert examiner.said.startswith("There is no region 'eu-wset-1'")
        assert "eu-west-1 or eu-west-2" in examiner.said

    def test_a_known_region_that_cannot_be_reached_is_a_failure(self, examiner: Examiner) -> None:
        examiner.answers.of["GetCallerIdentity"] = EndpointConnectionError(endpoint_url="https://sts.us-east-1")

        assert examiner.run("doctor") is ExitCode.FAILED
        assert "https://sts.us-east-1" in examiner.said

    def test_the_sdk_knows_the_regions_of_every_partition(self) -> None:
        assert {"us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"} <= set(_regions(_session()))


class TestTheReads:
    @pytest.mark.parametrize(
        ("operation", "action"),
        [
            ("DescribeTrails", "cloudtrail:DescribeTrails"),
            ("GetTrailStatus", "cloudtrail:GetTrailStatus"),
            ("GetEventSelectors", "cloudtrail:GetEventSelectors"),
            ("ListRules", "rbin:ListRules"),
            ("GetRule", "rbin:GetRule"),
            ("ListServiceQuotas", "servicequotas:ListServiceQuotas"),
            ("DescribeKey", "kms:DescribeKey"),
        ],
    )
    @pytest.mark.parametrize(
        "error",
        [
            refused("Any"),
            EndpointConnectionError(endpoint_url="https://nowhere"),
            ResponseParserError("A proxy answers."),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_that_fail_are_a_warning_each_and_end_no_other(
        self, stand: Stand, operation: str, action: str, error: Exception
    ) -> None:
        stand.launch(Disk(device="/dev/xvda", key=KEY))
        answers = {"ListRules": {"Rules": [RULE]} if operation == "GetRule" else {"Rules": []}, operation: error}
        examiner = Examiner(stand, answers=Answers(**answers))

        (one,) = examiner.lines(Topic.NOT_READ)
        assert one["level"] == "warning"
        assert one["words"].startswith(f"{action} failed (")
        assert examiner.run("doctor") is ExitCode.DONE

    @pytest.mark.parametrize(
        "operation",
        [
            "DescribeInstances",
            "DescribeVolumes",
            "DescribeSnapshots",
            "GetEbsEncryptionByDefault",
            "GetEbsDefaultKmsKeyId",
            "ListVolumesInRecycleBin",
        ],
    )
    def test_of_ec2_that_are_denied_are_a_warning_each(self, examiner: Examiner, stand: Stand, operation: str) -> None:
        stand.launch()
        examiner.faults = at_operation(operation, Fault.DENIED, times=99)

        (one,) = examiner.lines(Topic.NOT_READ)
        assert one["words"].startswith(f"ec2:{operation} failed (UnauthorizedOperation)")
        assert one["remedy"] == f"Run it again with credentials that may call ec2:{operation}."

    def test_of_an_sdk_that_does_not_know_the_call_are_a_warning(self, examiner: Examiner, stand: Stand) -> None:
        stand.world.rules = replace(stand.world.rules, old_sdk=True)

        (one,) = examiner.lines(Topic.NOT_READ)
        assert "This version of boto3 does not know the call: update it" in one["words"]

    def test_that_are_made_wrong_are_no_finding(self, examiner: Examiner) -> None:
        examiner.answers.of["DescribeTrails"] = ParamValidationError(report="Unknown parameter")

        assert examiner.run("doctor") is ExitCode.FAILED

    @pytest.mark.parametrize(
        ("selectors", "level"),
        [
            ({}, "good"),
            ({"EventSelectors": [], "AdvancedEventSelectors": []}, "good"),
            ({"EventSelectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]}, "good"),
            ({"EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]}, "warning"),
            ({"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": False}]}, "warning"),
            (
                {
                    "AdvancedEventSelectors": [
                        {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
                    ]
                },
                "good",
            ),
            (
                {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]},
                "warning",
            ),
            (
                {
                    "AdvancedEventSelectors": [
                        {
                            "FieldSelectors": [
                                {"Field": "eventCategory", "Equals": ["Management"]},
                                {"Field": "readOnly", "Equals": ["true"]},
                            ]
                        }
                    ]
                },
                "warning",
            ),
        ],
    )
    def test_understand_both_kinds_of_selectors(
        self, examiner: Examiner, selectors: Mapping[str, Any], level: str
    ) -> None:
        examiner.answers.of["GetEventSelectors"] = selectors

        assert [one["level"] for one in examiner.lines(Topic.TRAIL)] == [level]

    def test_find_the_rules_of_the_recycle_bin_on_all_pages(self, examiner: Examiner) -> None:
        period = RULE["RetentionPeriod"]
        excluded = [{"ResourceTagKey": tags.DEPLOYMENT, "ResourceTagValue": "park-volumes"}]

        def listed(params: Mapping[str, Any]) -> Mapping[str, Any]:
            name = params["ResourceType"] + params.get("NextToken", "")
            more = {} if "NextToken" in params else {"NextToken": "2"}
            return {"Rules": [{"Identifier": name, "RetentionPeriod": period}]} | more

        def rule(params: Mapping[str, Any]) -> Mapping[str, Any]:
            kind = params["Identifier"].removesuffix("2")
            more = {"ExcludeResourceTags": excluded} if kind == "EBS_SNAPSHOT" else {}
            return {"Identifier": params["Identifier"], "ResourceType": kind, "RetentionPeriod": period} | more

        examiner.answers.of |= {"ListRules": listed, "GetRule": rule}

        first, second = examiner.lines(Topic.RECYCLE_BIN)
        assert first["words"].startswith("The rule EBS_VOLUME of the Recycle Bin keeps deleted volumes for 7 days")
        assert second["words"].startswith("The rule EBS_VOLUME2 ")

    def test_ask_for_each_key_once_and_never_for_the_one_that_aws_would_create(
        self, examiner: Examiner, stand: Stand
    ) -> None:
        stand.world.rules = replace(stand.world.rules, default_key="alias/aws/ebs")
        stand.launch(Disk(device="/dev/xvda", key=KEY), Disk(device="/dev/sdf", key=KEY))
        examiner.run("doctor")

        asked = [params for operation, params in examiner.answers.asked if operation == "kms:DescribeKey"]
        assert asked == [{"KeyId": KEY}]

    def test_ask_for_no_key_of_instances_that_have_nothing_to_do_with_it(
        self, examiner: Examiner, stand: Stand
    ) -> None:
        stand.stop(stand.launch(Disk(device="/dev/xvda", key=KEY), opt_in="no"))
        examiner.run("doctor")

        assert "kms:DescribeKey" not in {operation for operation, _ in examiner.answers.asked}

    def test_find_the_default_key_that_is_disabled(self, examiner: Examiner, stand: Stand) -> None:
        stand.world.rules = replace(stand.world.rules, default_key=KEY)
        disabled = {"KeyId": "0000", "Arn": KEY, "KeyState": "Disabled", "AWSAccountId": ACCOUNT}
        examiner.answers.of["DescribeKey"] = {"KeyMetadata": disabled}

        assert examiner.run("doctor") is ExitCode.REFUSED
        assert f"The key {KEY} is in the state Disabled" in examiner.said

    def test_find_that_a_layer_does_not_exist(self, examiner: Examiner) -> None:
        examiner.answers.of["GetLayerVersionByArn"] = refused("GetLayerVersionByArn", "ResourceNotFoundException")

        assert [one["level"] for one in examiner.lines(Topic.LAYER)] == ["bad"]

    def test_count_every_volume_and_snapshot_of_the_account(self, examiner: Examiner, stand: Stand) -> None:
        stand.launch(Disk(device="/dev/xvda", size=10), opt_in="true")
        stand.launch(Disk(device="/dev/xvda", size=500), opt_in="false")
        stand.world.add_snapshot(size=8)

        (one,) = examiner.lines(Topic.QUOTAS)
        assert "GiB of gp3: 510 of 51,200; snapshots: 1 of 50" in one["words"]


class TestTheDocument:
    TEXT = (DOCS / "cli.md").read_text(encoding="utf-8")

    def test_tells_every_topic(self) -> None:
        for topic in Topic:
            assert f"| {topic} |" in self.TEXT

    def test_tells_every_permission(self, stand: Stand) -> None:
        stand.launch(Disk(device="/dev/xvda", key=KEY))
        one = Answers(ListRules={"Rules": [RULE]}, GetRule=RULE | {"ResourceType": "EBS_SNAPSHOT"})
        examiner = Examiner(stand, answers=one)
        examiner.run("doctor")
        names = {"service-quotas": "servicequotas", "GetLayerVersionByArn": "GetLayerVersion"}
        asked = {tuple(names.get(w, w) for w in operation.split(":")) for operation, _ in examiner.answers.asked}
        asked |= {("ec2", operation) for operation in examiner.operations}
        asked -= {("sts", "GetCallerIdentity")}  # nobody needs a permission for it

        assert {pair for pair in asked if f"`{':'.join(pair)}`" not in self.TEXT} == set()
