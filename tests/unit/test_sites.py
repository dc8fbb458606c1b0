"""One report of many accounts and regions: one that fails costs no other its turn."""

from __future__ import annotations

import argparse
import csv
import io
import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from park_volumes.cli import reports
from park_volumes.cli.account import Account, connect
from park_volumes.cli.command import main
from park_volumes.cli.desk import ExitCode
from park_volumes.cli.examination import Examination
from park_volumes.cli.examined import Place
from park_volumes.core import prices
from tests.model.faults import Fault
from tests.unit.functions import ENVIRONMENT
from tests.unit.passes import OneAtATime, Stand, WorldClock
from tests.unit.test_cli import Functions

HOME, SECOND, CLOSED = "111111111111", "222222222222", "333333333333"
VIRGINIA, SEOUL = "us-east-1", "ap-northeast-2"
PLACE = Place(region=VIRGINIA, partition="aws", account=HOME, listed=True)


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/reader"


def denied(action: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "You may not."}}, action)


@dataclass
class Cloud:
    """Accounts and regions, each with instances of its own; nobody may assume the role of the account CLOSED."""

    stands: dict[tuple[str, str], Stand] = field(default_factory=dict)
    silent: set[tuple[str, str]] = field(default_factory=set)
    """Where EC2 denies everything."""
    functions: dict[str, Functions] = field(default_factory=dict)
    """Lambda in some regions of every account; elsewhere there are no functions."""
    said: str = ""
    noted: str = ""

    def run(self, *arguments: str) -> ExitCode:
        out, notes = io.StringIO(), io.StringIO()
        clock = WorldClock(next(iter(self.stands.values())).world)
        code = main(arguments, out=out, notes=notes, clock=clock, connect=lambda _: self.account(HOME, VIRGINIA))
        self.said, self.noted = out.getvalue(), notes.getvalue()
        return ExitCode(code)

    def account(self, account: str, region: str) -> Account:
        def client(service: str, **_: Any) -> Any:
            return self._client(service, account, region)

        def assume(arn: str) -> Account:
            if CLOSED in arn:
                raise denied("AssumeRole")
            return self.account(arn.split(":")[4], region)

        return Account(
            client=client,
            region=region,
            credentials=lambda: None,
            moved=lambda name: self.account(account, name),
            assume=assume,
        )

    def _client(self, service: str, account: str, region: str) -> Any:
        match service:
            case "sts":
                identity = {"Account": account, "Arn": f"arn:aws:iam::{account}:user/ada"}
                return SimpleNamespace(get_caller_identity=lambda: identity)
            case "organizations":
                states = {HOME: "ACTIVE", SECOND: "ACTIVE", CLOSED: "SUSPENDED"}
                page = {"Accounts": [{"Id": i, "Status": state} for i, state in states.items()]}
                return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda: [page]))
            case "lambda":
                return self.functions.get(region, Functions())
        stand = self.stands[account, region]
        fault = Fault.DENIED if (account, region) in self.silent else None
        ec2 = OneAtATime(stand.world, "laptop", faults=lambda _: fault)
        ec2.meta.events = SimpleNamespace(register=lambda *_: None)
        names = sorted(name for owner, name in self.stands if owner == account)
        ec2.describe_regions = lambda **_: {"Regions": [{"RegionName": name} for name in names]}  # type: ignore[attr-defined]  # the model has no account beyond its region
        return ec2


@pytest.fixture
def cloud() -> Cloud:
    """A parked instance in each of two regions at home, and a running one in the second account."""
    found = Cloud(stands={where: Stand() for where in ((HOME, VIRGINIA), (HOME, SEOUL), (SECOND, VIRGINIA))})
    found.stands[HOME, VIRGINIA].parked(name="shop")
    found.stands[HOME, SEOUL].parked(name="lab")
    found.stands[SECOND, VIRGINIA].launch(name="wiki")
    return found


def rows(text: str) -> list[dict[str, str]]:
    names, *lines = csv.reader(io.StringIO(text))
    assert len(set(names)) == len(names)
    return [dict(zip(names, line, strict=True)) for line in lines]


class TestWhatIsShown:
    def test_without_names_only_the_own_region(self, cloud: Cloud) -> None:
        assert cloud.run("list") is ExitCode.DONE
        assert "shop" in cloud.said
        assert "lab" not in cloud.said

    def test_every_enabled_region_with_its_account(self, cloud: Cloud) -> None:
        assert cloud.run("list", "--regions", "all") is ExitCode.DONE
        first, *others = cloud.said.splitlines()

        assert first.split()[:4] == ["account", "region", "instance", "name"]
        assert [line.split()[:2] for line in others] == [[HOME, SEOUL], [HOME, VIRGINIA]]

    def test_the_regions_that_are_named_in_their_order(self, cloud: Cloud) -> None:
        cloud.run("list", "--csv", "--regions", f"{VIRGINIA}, {SEOUL}")

        assert [(row["account"], row["region"], row["name"]) for row in rows(cloud.said)] == [
            (HOME, VIRGINIA, "shop"),
            (HOME, SEOUL, "lab"),
        ]

    def test_the_accounts_of_roles(self, cloud: Cloud) -> None:
        assert (
            cloud.run("list", "--json", "--regions", "all", "--roles", f"{role(HOME)},{role(SECOND)}") is ExitCode.DONE
        )
        sites = json.loads(cloud.said)["sites"]

        assert [(s["account"], s["region"], [i["name"] for i in s["instances"]]) for s in sites] == [
            (HOME, SEOUL, ["lab"]),
            (HOME, VIRGINIA, ["shop"]),
            (SECOND, VIRGINIA, ["wiki"]),
        ]

    def test_the_active_accounts_of_an_organization(self, cloud: Cloud) -> None:
        assert cloud.run("list", "--csv", "--organization-role", "reader") is ExitCode.DONE
        assert [(row["account"], row["name"]) for row in rows(cloud.said)] == [(HOME, "shop"), (SECOND, "wiki")]

    def test_savings_of_each_and_of_all_together(self, cloud: Cloud) -> None:
        assert (
            cloud.run("savings", "--csv", "--regions", "all", "--roles", f"{role(HOME)},{role(SECOND)}")
            is ExitCode.DONE
        )
        every = rows(cloud.said)
        totals = [float(row["as_volumes"]) for row in every if row["id"] == "total" and row["account"] != "all"]

        assert len(totals) == 3
        assert every[-1]["account"] == "all"
        assert float(every[-1]["as_volumes"]) == pytest.approx(sum(totals))

    def test_savings_of_one_region_as_the_api_tells_them(self, cloud: Cloud) -> None:
        assert cloud.run("savings", "--json") is ExitCode.DONE
        assert {"currency", "instances", "total", "recycle_bin"} <= json.loads(cloud.said).keys()

    def test_the_progress_beside_the_answer(self, cloud: Cloud) -> None:
        cloud.run("list", "--regions", "all")
        told = cloud.noted.splitlines()

        assert [line.split(":")[0] for line in told] == ["1 of 2", "2 of 2"]
        assert {line.split(": ")[1] for line in told} == {f"{HOME} {VIRGINIA}", f"{HOME} {SEOUL}"}


class TestWhatCannotBeReached:
    def test_a_role_that_may_not_be_assumed_costs_no_other_its_turn(self, cloud: Cloud) -> None:
        roles = f"{role(CLOSED)},{role(SECOND)}"
        assert cloud.run("list", "--json", "--roles", roles) is ExitCode.FAILED
        closed, second = json.loads(cloud.said)["sites"]

        assert (closed["account"], closed["region"]) == (CLOSED, "")
        assert "You may not." in closed["error"]
        assert [i["name"] for i in second["instances"]] == ["wiki"]
        assert f"{CLOSED}: An error occurred (AccessDenied)" in cloud.noted

    def test_a_region_in_which_ec2_denies_everything_stands_beside_the_others(self, cloud: Cloud) -> None:
        cloud.silent.add((HOME, SEOUL))
        assert cloud.run("list", "--csv", "--regions", "all") is ExitCode.FAILED

        assert [row["name"] for row in rows(cloud.said)] == ["shop"]
        assert f"{HOME} {SEOUL}: DescribeInstances failed" in cloud.noted

    def test_a_total_that_is_not_known_everywhere_is_of_what_is_known(self, cloud: Cloud) -> None:
        cloud.silent.add((HOME, SEOUL))
        cloud.run("savings", "--csv", "--regions", "all")

        assert [row["account"] for row in rows(cloud.said)] == [HOME, HOME, "all"]


class TestADeploymentThatLooksAfterOtherRegions:
    """Its functions are in the region that the command is for; the settings count in all regions that it covers."""

    def deployed(self, cloud: Cloud, regions: str) -> None:
        variables = ENVIRONMENT | {"REGIONS": regions, "PRICES": '{"gp3": 9.0}', "OPT_IN_TAG_KEY": "Sleeps"}
        cloud.functions[VIRGINIA] = Functions(environment=variables)

    def opted_in(self, cloud: Cloud) -> dict[str, bool]:
        cloud.run("list", "--json", "--regions", f"{VIRGINIA},{SEOUL}")
        return {site["region"]: site["instances"][0]["opted_in"] for site in json.loads(cloud.said)["sites"]}

    @pytest.mark.parametrize("regions", ["all", f"{VIRGINIA} {SEOUL}"])
    def test_gives_its_settings_there_too(self, cloud: Cloud, regions: str) -> None:
        self.deployed(cloud, regions)

        assert self.opted_in(cloud) == {VIRGINIA: False, SEOUL: False}  # by its own key

    def test_gives_none_where_it_does_not_look(self, cloud: Cloud) -> None:
        self.deployed(cloud, "eu-west-1")

        assert self.opted_in(cloud) == {VIRGINIA: False, SEOUL: True}

    def test_gives_way_to_functions_that_are_there(self, cloud: Cloud) -> None:
        self.deployed(cloud, "all")
        cloud.functions[SEOUL] = Functions(environment=ENVIRONMENT)

        assert self.opted_in(cloud) == {VIRGINIA: False, SEOUL: True}

    def test_keeps_its_own_prices_to_its_own_region(self, cloud: Cloud) -> None:
        self.deployed(cloud, "all")
        cloud.run("savings", "--json", "--regions", f"{VIRGINIA},{SEOUL}")
        gp3 = {site["region"]: site["prices"]["of"]["gp3"] for site in json.loads(cloud.said)["sites"]}

        assert gp3 == {VIRGINIA: 9.0, SEOUL: prices.BY_REGION[SEOUL]["gp3"]}

    @pytest.mark.parametrize("old", [True, False])
    def test_is_told_to_be_a_second_one_where_another_of_its_name_is(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, old: bool
    ) -> None:
        """The doctor finds nothing else here: it has tests of its own."""
        monkeypatch.setattr(reports, "locate", lambda _, region, __: replace(PLACE, region=region))
        monkeypatch.setattr(Examination, "examine", lambda *_: None)
        monkeypatch.setattr(reports, "diagnose", lambda *_: [])
        self.deployed(cloud, "all")
        if old:
            cloud.functions[SEOUL] = Functions(environment=ENVIRONMENT)
        cloud.run("doctor", "--json", "--regions", f"{VIRGINIA},{SEOUL}")
        told = {site["region"]: [f["words"] for f in site["findings"]] for site in json.loads(cloud.said)["sites"]}

        words = f"Two deployments park-volumes look after {SEOUL}: the one in {SEOUL}, and the one in {VIRGINIA}."
        assert told == {VIRGINIA: [], SEOUL: [words] if old else []}

    def test_is_found_from_another_region_by_an_option(self, cloud: Cloud) -> None:
        cloud.functions[SEOUL] = Functions(environment=ENVIRONMENT | {"REGIONS": "all"})
        cloud.run("list", "--home-region", SEOUL)

        assert f"function park-volumes-park in {SEOUL}, which also looks after {VIRGINIA}" in cloud.noted


class TestUsage:
    @pytest.mark.parametrize("arn", ["reader", "arn:aws:iam::1:role/reader", "arn:aws:iam::111111111111:user/ada"])
    def test_what_is_no_role_is_refused_with_an_example(
        self, cloud: Cloud, capsys: pytest.CaptureFixture[str], arn: str
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            cloud.run("list", "--roles", arn)
        assert "arn:aws:iam::123456789012:role/reader" in capsys.readouterr().err

    def test_roles_and_an_organization_exclude_each_other(self, cloud: Cloud) -> None:
        with pytest.raises(SystemExit, match="2"):
            cloud.run("list", "--roles", role(SECOND), "--organization-role", "reader")

    def test_what_changes_something_knows_one_region_only(self, cloud: Cloud) -> None:
        with pytest.raises(SystemExit, match="2"):
            cloud.run("start", "shop", "--regions", "all")


def test_a_session_of_a_role_has_its_credentials_in_every_region(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"AccessKeyId": "AKIAROLE", "SecretAccessKey": "secret", "SessionToken": "token"}
    asked: list[dict[str, str]] = []

    class Sts:
        def assume_role(self, **params: str) -> dict[str, Any]:
            asked.append(params)
            return {"Credentials": given}

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAHOME")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(boto3.Session, "client", lambda *_, **__: Sts())
    home = connect(argparse.Namespace(profile=None, region=VIRGINIA))
    there = home.assume(role(SECOND)).moved(SEOUL)

    assert asked == [{"RoleArn": role(SECOND), "RoleSessionName": "park-volumes"}]
    assert there.region == SEOUL
    assert there.credentials().access_key == "AKIAROLE"
    assert home.moved(SEOUL).credentials().access_key == "AKIAHOME"
