"""Whatever is sent to the Function URL: no answer is an error of ours, and strangers change nothing.

The requests are made by a seeded generator and not by Hypothesis, so that 20,000 of them take seconds.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.model import judge
from tests.unit.functions import CALLER, Context, Functions, url_event
from tests.unit.passes import Stand

EACH = 7_000
"""Requests for each of the three kinds of callers: 21,000 in all."""
OVERSIZE = "x" * 7_000_000
"""Bytes; more than Lambda itself lets through (6 MB)."""
METHODS = (
    "GET",
    "GET",
    "POST",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "DELETE",
    "PATCH",
    "TRACE",
    "get",
    "post",
    "BREW",
    "",
)
WORDS = (
    *("instances", "instances", "instances", "db", "other", "start", "stop", "openapi.json", "savings", "pass", ""),
    *(".", "..", "%2e%2e", "%00", "%", "%zz", "%ff%fe", "*", "<ref>", "i-0123456789abcdef0", "x" * 5000),
)
NAMES = (
    *("authorization", "Authorization", "host", "content-type", "content-length", "accept", "cookie", "origin"),
    *("x-forwarded-for", "x-amzn-iam-user-arn", "x-http-method-override", "x-original-url", "x-amz-security-token"),
)
CLAIMS = {"requestContext": {"authorizer": {"iam": {"userArn": CALLER}}}, "userArn": CALLER, "caller": "ada"}
SIGNATURE = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260302/us-east-1/lambda/aws4_request, Signature=0"
BASIC = f"Basic {base64.b64encode(b'ada:ada').decode()}"
VALUES = (
    *(
        CALLER,
        SIGNATURE,
        BASIC,
        f"Bearer park-volumes-pass.{1772452801}.{'0' * 64}",
        "Bearer",
        "Bearer ",
        f"Bearer {'x' * 40}",
        "text/csv",
        "../../etc/passwd",
    ),
    *("${jndi:ldap://x}", "\r\nx-injected: 1", "\x00", "' OR 1=1 --", json.dumps(CLAIMS)),
)
QUERIES = ("wait", "format", "token", "access_token", "userArn", "")


def text(chance: random.Random) -> str:
    """Letters of every kind, control characters and lone surrogates among them."""
    ranges = ((0, 127), (0x80, 0x2FF), (0xAC00, 0xD7A3), (0xD800, 0xDFFF), (0x1F300, 0x1FAFF))
    return "".join(chr(chance.randint(*chance.choice(ranges))) for _ in range(chance.randint(0, 20)))


def path(chance: random.Random) -> str:
    def segment() -> str:
        if chance.random() < 0.75:
            return chance.choice(WORDS)
        return text(chance) if chance.random() < 0.5 else quote(text(chance).encode("utf-8", "replace"), safe="")

    if chance.random() < 0.3:
        return f"/instances/{chance.choice(('db', 'other', segment()))}/{chance.choice(('start', 'stop'))}"
    return "/" + "/".join(segment() for _ in range(chance.randint(0, 4)))


def headers(chance: random.Random) -> dict[str, str]:
    def value() -> str:
        return chance.choice(VALUES) if chance.random() < 0.7 else text(chance)

    def name() -> str:
        return chance.choice(NAMES) if chance.random() < 0.8 else text(chance)

    return {name(): value() for _ in range(chance.randint(0, 5))}


def body(chance: random.Random) -> dict[str, Any]:
    """A body as Lambda hands it on, or one that says to be base64 and is none."""
    content = chance.choice((None, "", text(chance), json.dumps(CLAIMS), "{", "[" * 5000, "x" * 100_000))
    if chance.random() < 0.002:
        content = OVERSIZE
    encoded = chance.random() < 0.5
    if content and encoded and chance.random() < 0.7:
        content = base64.b64encode(content.encode("utf-8", "replace")).decode()
    return {"body": content, "isBase64Encoded": encoded}


def query(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.6:
        return {}
    found = {chance.choice(QUERIES): chance.choice((*VALUES, "csv", "-1", "0", text(chance))) for _ in range(2)}
    return {"queryStringParameters": found, "rawQueryString": "&".join(found)}


def requests(number: int, seed: int) -> Iterator[dict[str, Any]]:
    """Events of payload format 2.0 that nobody signed."""
    chance = random.Random(seed)
    for _ in range(number):
        event = url_event(chance.choice(METHODS), path(chance), caller=None)
        event |= {"headers": headers(chance), "cookies": [text(chance)]} | body(chance) | query(chance)
        yield event


def is_open_to_all(event: dict[str, Any]) -> bool:
    return (event["requestContext"]["http"]["method"], event["rawPath"]) in {("GET", "/"), ("GET", "/openapi.json")}


@pytest.mark.parametrize(("kind", "refusal"), [("AWS_IAM", 403), ("TOKEN", 401)])
def test_strangers_get_no_error_of_ours_and_change_nothing(
    stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch, kind: str, refusal: int
) -> None:
    ids = [stand.launch(), stand.parked(name="other")]
    handler = functions.load("start")
    variables = {"FUNCTION_URL_AUTH": kind, "START_TOKENS_PARAMETER": "/tokens", "STAY_SIGNED_IN_DAYS": "30"}
    callers = handler.sign_in.from_environment(variables, lambda _: f"ada:{'a' * 40}", handler.logger)
    monkeypatch.setattr(handler, "callers", callers)
    before, calls = stand.world.clone(), stand.world.calls

    for event in requests(EACH, seed=refusal):
        answer = handler.handler(event, Context())
        assert answer["statusCode"] == (200 if is_open_to_all(event) else refusal), event

    assert judge.differences(before, stand.world, ids) == []
    assert stand.world.calls == calls


def test_callers_get_no_error_of_ours(stand: Stand, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever signed in may start and stop, and still gets an answer in words to whatever they send."""
    stand.launch(name="db"), stand.launch(name="other")
    handler = functions.load("start")
    monkeypatch.setattr(handler, "others", handler.peers.from_environment({"PAGE_ORIGINS": "https://page.example"}))
    statuses = set()
    for event in requests(EACH, seed=200):
        event["requestContext"]["authorizer"] = {"iam": {"userArn": CALLER}}
        answer = handler.handler(event, Context())
        statuses.add(answer["statusCode"])
        assert answer["statusCode"] < 500, event
        if answer["headers"]["Content-Type"] == "application/json":
            json.loads(answer["body"])
    assert statuses >= {200, 202, 400, 403, 404, 405, 409}
