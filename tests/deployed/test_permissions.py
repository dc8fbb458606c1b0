"""Least privilege, in both directions: whatever the functions did is allowed, and whatever is allowed they did.

These tests come last (see conftest.py), so that they judge the calls of the whole run.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from tests.deployed.conftest import NIGHT_TOKEN, REGION, SECOND
from tests.deployed.stops import Stops
from tests.iam.evaluate import unsupported
from tests.iam.forbidden import FORBIDDEN, Forbidden, in_region, on_instance
from tests.iam.judge import Role, decidable, policies
from tests.iam.reference import NEWER
from tests.iam.requests import Call
from tests.local_aws.client import LocalAws
from tests.support.fleet import PATIENCE, differences
from tests.support.terraform import ROOT
from tests.support.url import FunctionUrl

ROLES = ("park", "start", "night park", "night start")
PARLIAMENT = str(ROOT / ".venv-checks" / "bin" / "parliament")
LOOKS = ("Describe", "List")
"""How the names of operations begin that change nothing."""
A_QUIET_WHILE = 300
"""Seconds: some more sweeps, which look at what is at rest."""
OF_TOKENS = ("ReadTokens", "DecryptTokens")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The roles of both deployments, and what the functions have done with each."""

    roles: Mapping[str, Role]
    calls: Mapping[str, list[Call]]


@pytest.fixture(scope="module")
def brought_back(stopped: Stops, night: dict[str, Any]) -> FunctionUrl:
    """The URL of the night deployment, after it has parked and started its own instance."""
    url = FunctionUrl(url=night["function_url"], region="", key="", secret="", token=NIGHT_TOKEN)
    stopped.aws.wait_for(lambda: url.state("night") == "parked", PATIENCE, "the night instance to be parked")
    stopped.aws.fire_rule("night-reminder")
    stopped.fleet.archive(stopped.ids["night"])
    assert "72 hours" in url.start("night").body["detail"]
    stopped.aws.wait_for(lambda: stopped.fleet.tiers(stopped.ids["night"]) == {"standard"}, 30, "the archive")
    assert url.start("night").status in (200, 202)
    stopped.fleet.wait_until_running(stopped.ids["night"])
    stopped.wait_until_settled("night")
    return url


@pytest.fixture(scope="module")
def rarer_things(brought_back: FunctionUrl, broken_event: str, url: FunctionUrl) -> None:
    """What the other tests do not do."""
    assert brought_back
    assert broken_event
    assert url.get("savings").body["recycle_bin"] == {"cost": 0, "until": None}


@pytest.fixture(scope="module")
def bench(aws: LocalAws, outputs: dict[str, Any], night: dict[str, Any], rarer_things: None) -> Bench:
    """Everything that was done."""
    del rarer_things
    aws.run(A_QUIET_WHILE)
    arns = {side: outputs[f"{side}_role_arn"] for side in ("park", "start")}
    arns |= {f"night {side}": night[f"{side}_role_arn"] for side in ("park", "start")}
    iam = boto3.client("iam", **aws.boto3_arguments())  # type: ignore[call-overload]  # the arguments are a mapping
    return Bench(
        roles={name: Role.deployed(iam, arn) for name, arn in arns.items()},
        calls={name: [c for c in aws.calls(role=arn) if decidable(c)] for name, arn in arns.items()},
    )


@pytest.fixture(scope="module")
def broken_event(aws: LocalAws, outputs: dict[str, Any]) -> str:
    """The dead letter of an event of which the start function can make nothing, three times."""
    functions = boto3.client("lambda", **aws.boto3_arguments())  # type: ignore[call-overload]  # a mapping
    event = {"detail-type": "Unheard Of", "detail": {}}
    name, dead = outputs["start_function_name"], outputs["dead_letter_queue_url"].rsplit("/", 1)[-1]
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))

    def letters() -> list[str]:
        return [message["body"] for message in aws.messages(dead) if "Unheard Of" in message["body"]]

    aws.wait_for(letters, 60, "the broken event in the dead-letter queue")
    return letters()[0]


def test_an_event_of_which_the_start_function_makes_nothing_is_kept(broken_event: str) -> None:
    assert json.loads(broken_event)["requestContext"]["condition"] == "RetriesExhausted"


@pytest.mark.parametrize("name", ROLES)
def test_every_call_of_a_function_is_allowed_by_its_role(bench: Bench, name: str) -> None:
    assert bench.calls[name]
    denied = [
        (c["operation"], c["parameters"], c["error"], d)
        for c in bench.calls[name]
        if (d := bench.roles[name].denied(c))
    ]
    assert denied == []


@pytest.mark.parametrize("name", ["park", "start"])
def test_every_grant_of_a_role_is_used(bench: Bench, name: str) -> None:
    assert bench.roles[name].unused(bench.calls[name]) == []


def test_the_grants_that_tokens_need_are_used(bench: Bench) -> None:
    name = "night start"
    assert {s.sid for s in bench.roles[name].policy} - {s.sid for s in bench.roles["start"].policy} == set(OF_TOKENS)
    assert [line for line in bench.roles[name].unused(bench.calls[name]) if line.startswith(OF_TOKENS)] == []


@pytest.mark.parametrize("forbidden", FORBIDDEN, ids=lambda f: f.words)
def test_no_function_may(bench: Bench, forbidden: Forbidden) -> None:
    for name in forbidden.roles:
        assert any(not bench.roles[name].allowing(request) for request in forbidden.requests)


@pytest.mark.parametrize("value", ["true", "root", "True", " TRUE", "rOOt  ", "  true  ", " root"])
def test_an_instance_is_opted_in_by_every_spelling(bench: Bench, value: str) -> None:
    for name, asked in on_instance({"ParkVolumes": value}).items():
        assert [request for request in asked if not bench.roles[name].allowing(request)] == []


@pytest.mark.parametrize("value", ["", "yes", "false", "not true", "truer", "   true", "t rue", "true\n", "*", "root?"])
def test_an_instance_is_opted_in_by_nothing_else(bench: Bench, value: str) -> None:
    for name, asked in on_instance({"ParkVolumes": value}).items():
        of_instance = [request for request in asked if ":instance/" in request.resource]
        assert of_instance
        assert [request for request in of_instance if bench.roles[name].allowing(request)] == []


@pytest.mark.parametrize("region", [REGION, SECOND])
def test_both_roles_reach_the_region_of_the_deployment_and_the_second_one(bench: Bench, region: str) -> None:
    for name, asked in in_region(region).items():
        assert [request for request in asked if not bench.roles[name].allowing(request)] == []


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-2", "ap-northeast-1"])
@pytest.mark.parametrize("name", ["park", "start"])
def test_neither_role_reaches_anything_in_any_other_region(bench: Bench, name: str, region: str) -> None:
    assert [request for request in in_region(region)[name] if bench.roles[name].allowing(request)] == []


@pytest.mark.parametrize("name", ["night park", "night start"])
def test_a_deployment_for_its_own_region_reaches_no_other(bench: Bench, name: str) -> None:
    changes = [request for request in in_region(SECOND)[name.split()[1]] if request.resource != "*"]
    assert changes
    assert [request for request in changes if bench.roles[name].allowing(request)] == []


@pytest.mark.parametrize("name", ROLES)
def test_no_condition_leans_on_a_key_that_its_action_does_not_have(bench: Bench, name: str) -> None:
    assert unsupported(bench.roles[name].policy) == []


@pytest.mark.parametrize("name", ROLES)
def test_only_looking_is_allowed_on_everything(bench: Bench, name: str) -> None:
    everywhere = {a for s in bench.roles[name].policy if s.allows and "*" in s.resources for a in s.actions}
    assert everywhere
    assert [action for action in everywhere if not action.split(":")[1].startswith(LOOKS)] == []


@pytest.mark.parametrize("name", ROLES)
def test_every_action_is_named_in_full_and_of_a_service_that_is_needed(bench: Bench, name: str) -> None:
    actions = {a for s in bench.roles[name].policy if s.allows for a in s.actions}
    assert not [action for action in actions if "*" in action]
    both, keys = {"ec2", "events", "logs", "sqs"}, {"kms"}
    needed = {"park": both | {"sns"}, "start": both | keys | {"cloudtrail", "sns"}}
    needed |= {"night park": both, "night start": both | keys | {"cloudtrail", "ssm"}}
    assert {action.split(":")[0] for action in actions} == needed[name]


@pytest.mark.parametrize(("doer", "other"), [("park", "night park"), ("start", "night start")])
@pytest.mark.parametrize("swapped", [False, True], ids=["day", "night"])
def test_what_one_deployment_changed_the_other_may_not(bench: Bench, doer: str, other: str, swapped: bool) -> None:
    doer, other = (other, doer) if swapped else (doer, other)
    changes = [c for c in bench.calls[doer] if not c["operation"].startswith((*LOOKS, "PutEvents"))]
    assert {c["service"] for c in changes} >= {"ec2", "logs"}
    assert [c["operation"] for c in changes if not bench.roles[other].denied(c)] == []


def test_two_deployments_in_one_account_touch_only_what_is_theirs(bench: Bench, stopped: Stops) -> None:
    nightly = {stopped.ids["night"], *stopped.volumes_before["night"]}
    daily = {i for name, i in stopped.ids.items() if name != "night"}
    for name in ("park", "start"):
        changes = [c for c in bench.calls[name] if not c["operation"].startswith(LOOKS)]
        assert not [c for c in changes if nightly & c["resources"].keys()]
        changes = [c for c in bench.calls[f"night {name}"] if not c["operation"].startswith(LOOKS)]
        assert not [c for c in changes if daily & c["resources"].keys()]


def test_the_second_deployment_brings_back_every_byte_attribute_and_tag(
    brought_back: FunctionUrl, stopped: Stops
) -> None:
    assert [i["id"] for i in brought_back.instances()] == [stopped.ids["night"]]
    assert differences(stopped.before["night"], stopped.fleet.picture(stopped.ids["night"])) == []


@pytest.mark.parametrize("name", ["night park", "night start"])
def test_the_roles_stay_within_the_boundary_that_the_account_asks_for(bench: Bench, name: str) -> None:
    assert bench.roles[name].boundary is not None


@pytest.mark.parametrize("name", ROLES)
def test_parliament_finds_nothing_to_say(aws: LocalAws, bench: Bench, name: str) -> None:
    iam = boto3.client("iam", **aws.boto3_arguments())  # type: ignore[call-overload]  # the arguments are a mapping
    for document in policies(iam, bench.roles[name].arn):
        assert _lint(document) == []


def test_parliament_finds_an_action_that_does_not_exist() -> None:
    statement = {"Effect": "Allow", "Action": "ec2:ParkVolumes", "Resource": "*"}
    assert [finding["issue"] for finding in _lint({"Version": "2012-10-17", "Statement": [statement]})] == [
        "UNKNOWN_ACTION"
    ]


def _lint(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What parliament says of a policy.

    It wants every type of resource of an action in one statement; ours are apart, since each has conditions of its own.
    It is not asked of actions that are newer than it.
    """
    for statement in document["Statement"]:
        if isinstance(statement["Action"], list):
            statement["Action"] = [action for action in statement["Action"] if action not in NEWER]
    command = [PARLIAMENT, "--json", "--string", json.dumps(document)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [finding for line in lines if (finding := json.loads(line))["issue"] != "RESOURCE_MISMATCH"]
