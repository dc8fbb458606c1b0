"""Whatever is sent to the Function URL: no answer is an error of ours, and strangers change nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model import judge
from tests.unit.functions import CALLER, Context, Functions, url_event
from tests.unit.passes import Stand

ANY_TEXT = st.text(max_size=60)
WORDS = st.sampled_from(
    ["instances", "db", "start", "stop", "..", "%2e%2e", "i-0123456789abcdef0", "*", "openapi.json", ""]
)
PATHS = st.lists(WORDS | ANY_TEXT.map(lambda t: quote(t, safe="")) | ANY_TEXT, max_size=5).map(
    lambda p: "/" + "/".join(p)
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "get", "BREW"]) | ANY_TEXT
NAMES = st.sampled_from(
    [
        "authorization",
        "host",
        "content-type",
        "x-forwarded-for",
        "x-amzn-iam-user-arn",
        "x-http-method-override",
        "accept",
    ]
)
HEADERS = st.dictionaries(NAMES | ANY_TEXT, ANY_TEXT | st.just("Bearer " + "x" * 40) | st.just(CALLER), max_size=5)
BODIES = st.none() | ANY_TEXT | st.just("x" * 100_000) | st.just(json.dumps({"userArn": CALLER}))
QUERIES = st.none() | st.dictionaries(st.just("wait") | ANY_TEXT, ANY_TEXT, max_size=3)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """An event of payload format 2.0 that nobody signed."""
    event = url_event(draw(METHODS), draw(PATHS), caller=None)
    event |= {"headers": draw(HEADERS), "body": draw(BODIES), "isBase64Encoded": draw(st.booleans())}
    event |= {"queryStringParameters": draw(QUERIES), "cookies": draw(st.none() | st.lists(ANY_TEXT, max_size=2))}
    return event


@pytest.mark.parametrize("kind", ["AWS_IAM", "TOKEN"])
def test_strangers_get_no_error_of_ours_and_change_nothing(
    stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("FUNCTION_URL_AUTH", kind)
    monkeypatch.setenv("START_TOKENS_PARAMETER", "/tokens")
    ids = [stand.launch(), stand.parked(name="other")]
    handler = functions.load("start")
    variables = {"FUNCTION_URL_AUTH": kind, "START_TOKENS_PARAMETER": "/tokens"}
    callers = handler.sign_in.from_environment(variables, lambda _: f"ada:{'a' * 40}", handler.logger)
    monkeypatch.setattr(handler, "callers", callers)
    before = stand.world.clone()

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(requests())
    def holds(event: dict[str, Any]) -> None:
        answer = handler.handler(event, Context())
        open_to_all = event["requestContext"]["http"]["method"] == "GET" and event["rawPath"] in ("/", "/openapi.json")
        assert answer["statusCode"] == (200 if open_to_all else 401 if kind == "TOKEN" else 403)

    holds()
    assert judge.differences(before, stand.world, ids) == []


def test_callers_get_no_error_of_ours(stand: Stand, functions: Functions) -> None:
    stand.launch()
    handler = functions.load("start")

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(requests())
    def holds(event: dict[str, Any]) -> None:
        event["requestContext"]["authorizer"] = {"iam": {"userArn": CALLER}}
        answer = handler.handler(event, Context())
        assert answer["statusCode"] < 500
        if event["rawPath"] != "/":
            json.loads(answer["body"])

    holds()
