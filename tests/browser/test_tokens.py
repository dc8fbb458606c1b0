"""The deployed module with function_url_auth TOKEN, as scripts and many people at once use it."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

from tests.browser.place import LIMITED, LINES, TOKEN, Place
from tests.support.fleet import PATIENCE


def log_of(place: Place) -> list[dict[str, Any]]:
    lines = place.aws.logs(place.outputs["start_function_name"])
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_without_a_valid_token_nothing_is_shown_and_nothing_is_changed(place: Place) -> None:
    before = len(place.aws.calls())
    for token in ("", "wrong" * 8, TOKEN[:-1], "short", "tiny"):
        for method, path in (("GET", "instances"), ("POST", "instances/db/stop"), ("POST", "instances/db/start")):
            answer = place.with_token(token).send(method, path)
            assert (answer.status, answer.body["error"]["code"]) == (401, "not_signed_in")
    by_function = place.aws.calls(since=before, role=place.outputs["start_role_arn"])
    assert not [c for c in by_function if c["operation"] in ("StopInstances", "StartInstances")]
    assert place.fleet.state(place.ids["db"]) == "running"


def test_a_token_with_a_pattern_starts_and_stops_nothing_else(place: Place) -> None:
    for ref in ("db", place.ids["db"]):
        assert place.with_token(LIMITED).stop(ref).status == 404
    assert place.fleet.state(place.ids["db"]) == "running"


def test_whoever_invokes_the_function_directly_is_nobody(place: Place) -> None:
    """The identities that AWS would have put there, and every other, written by the caller themselves."""
    function = boto3.client("lambda", **place.aws.boto3_arguments())  # type: ignore[call-overload]  # a mapping
    claims = {"iam": {"userArn": "arn:aws:iam::123456789012:root"}, "jwt": {"claims": {"sub": "ada"}}, "caller": "ada"}
    event = {
        "version": "2.0",
        "rawPath": "/instances/db/stop",
        "rawQueryString": "",
        "headers": {"x-amzn-iam-user-arn": claims["iam"]["userArn"], "x-caller": "ada"},  # type: ignore[index]
        "requestContext": {
            "http": {"method": "POST", "path": "/instances/db/stop", "sourceIp": "203.0.113.9"},
            "stage": "$default",
            "authorizer": claims,
        },
        "body": json.dumps({"requestContext": {"authorizer": claims}}),
        "isBase64Encoded": False,
    }
    invoked = function.invoke(FunctionName=place.outputs["start_function_name"], Payload=json.dumps(event))
    answer = json.loads(invoked["Payload"].read())
    assert answer["statusCode"] == 401
    assert place.fleet.state(place.ids["db"]) == "running"


def test_the_printed_command_starts_an_instance_with_the_token_of_the_environment(place: Place) -> None:
    command = place.outputs["start_command"].replace("INSTANCE", "db")
    done = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PARK_VOLUMES_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["state"] == "running"


def test_tokens_are_changed_without_a_deployment(place: Place) -> None:
    """A new execution environment reads them anew at once; one that lives on does within five minutes (unit tests)."""
    rotated = TOKEN.replace("a-token", "another")

    def anew(token: str) -> int:
        place.aws.end_idle_environments()
        return place.with_token(token).send("GET", "instances/db").status

    place.set_tokens(LINES.replace(TOKEN, rotated))
    try:
        place.aws.wait_for(lambda: anew(rotated) == 200, 60, "the new token to be taken")
        place.aws.wait_for(lambda: anew(TOKEN) == 401, 60, "the old token to be refused")
    finally:
        place.set_tokens(LINES)
    place.aws.wait_for(lambda: anew(TOKEN) == 200, 60, "the old token to be taken again")


def test_fifty_starts_at_once_make_one_set_of_volumes(place: Place) -> None:
    instance_id = place.ids["crowd"]
    ada = place.with_token(TOKEN)
    place.aws.wait_for(lambda: ada.state("crowd") == "parked", PATIENCE, "crowd to be parked", every=5)
    before = len(place.aws.calls())
    with ThreadPoolExecutor(50) as pool:
        statuses = {answer.status for answer in pool.map(lambda _: ada.start("crowd"), range(50))}
    assert statuses <= {200, 202}
    place.fleet.wait_until_running(instance_id)
    attached = [c for c in place.aws.calls(since=before) if c["operation"] == "AttachVolume"]
    of_crowd = {r for c in attached if instance_id in c["resources"] for r in c["resources"] if r.startswith("vol-")}
    assert of_crowd == set(place.fleet.volume_ids(instance_id))
    assert len(of_crowd) == 2


def test_the_log_names_the_holder_with_every_action_and_never_a_token(place: Place) -> None:
    done = [line for line in log_of(place) if line.get("instance_id") == place.ids["crowd"] and line.get("caller")]
    assert done
    assert {line["caller"] for line in done} == {"ada"}
    everything = "\n".join(place.aws.logs())
    assert "Line 5 of the parameter" in everything
    assert not [token for token in (TOKEN, LIMITED, "tiny") if token in everything]
