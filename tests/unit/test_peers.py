"""Other deployments: whose instances the page shows, and whose pages may call this one."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from park_volumes.core.environment import MissingSetting
from park_volumes.handlers import page, peers
from tests.model import judge
from tests.unit.functions import Context, Functions, url_event
from tests.unit.passes import Stand

SEOUL, OREGON = "https://seoul.example.com", "https://0123456789abcdef.lambda-url.us-west-2.on.aws"
BOTH = {"서울": SEOUL, 'a "b" & <c>': OREGON}
OWN = "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
"""The address in ``url_event``."""


@pytest.fixture
def asked(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks a function that shows both and lets in the page of Seoul. Answers status, headers and body."""

    def ask(method: str, path: str, **settings: str) -> dict[str, Any]:
        origin, variables = settings.pop("origin", ""), settings or {"PEERS": json.dumps(BOTH), "PAGE_ORIGINS": SEOUL}
        handler = functions.load("start")
        monkeypatch.setattr(handler, "others", peers.from_environment(variables))
        event = url_event(method, path)
        event["headers"] |= {"origin": origin} if origin else {}
        answer: dict[str, Any] = handler.handler(event, Context())
        return answer

    return ask


class TestThePage:
    def test_knows_the_names_and_the_addresses_of_its_peers(self, asked: Any) -> None:
        shown = asked("GET", "/")["body"]
        (given,) = re.findall(r'data-peers="(.*?)"', shown)

        assert "서울" in given
        assert json.loads(html.unescape(given)) == [list(pair) for pair in BOTH.items()]
        assert "<c>" not in shown

    def test_may_ask_its_peers_and_nobody_else(self, asked: Any) -> None:
        policy = asked("GET", "/")["headers"]["Content-Security-Policy"]

        assert f"connect-src 'self' {SEOUL} {OREGON};" in policy
        assert policy.replace(f" {SEOUL} {OREGON}", "") == page.page_policy()

    def test_without_peers_is_as_it_was(self, asked: Any) -> None:
        answer = asked("GET", "/", PAGE_ORIGINS=SEOUL)

        assert 'data-peers="[]"' in answer["body"]
        assert answer["headers"]["Content-Security-Policy"] == page.page_policy()
        assert "connect-src 'self';" in page.page_policy()


class TestARequest:
    @pytest.mark.parametrize("origin", ["", SEOUL, OWN])
    def test_of_a_program_of_this_page_or_of_one_that_is_named_is_answered(
        self, asked: Any, stand: Stand, origin: str
    ) -> None:
        stand.launch()

        assert asked("GET", "/instances", origin=origin)["statusCode"] == 200
        assert asked("POST", "/instances/db/stop", origin=origin)["statusCode"] == 202

    @pytest.mark.parametrize(
        "origin",
        [OREGON, "null", "*", f"{SEOUL}.evil.example", f"{SEOUL}:8443", SEOUL.upper(), "http://seoul.example.com"],
    )
    def test_of_any_other_page_is_refused_and_changes_nothing(self, asked: Any, stand: Stand, origin: str) -> None:
        ids = [stand.launch()]
        before, calls = stand.world.clone(), stand.world.calls
        for method, path in (("GET", "/instances"), ("POST", "/instances/db/stop"), ("POST", "/instances/db/start")):
            answer = asked(method, path, origin=origin)
            error = json.loads(answer["body"])["error"]

            assert (answer["statusCode"], error["code"]) == (403, "wrong_origin")
            assert "page_origins" in error["message"]
        assert judge.differences(before, stand.world, ids) == []
        assert stand.world.calls == calls

    @pytest.mark.parametrize("origin", ["", SEOUL, OREGON])
    def test_gets_no_header_that_lambda_adds_itself(self, asked: Any, origin: str) -> None:
        """An answer that has it twice is refused by browsers."""
        for method, path in (("GET", "/"), ("GET", "/instances"), ("OPTIONS", "/instances")):
            headers = asked(method, path, origin=origin)["headers"]

            assert [name for name in headers if name.lower().startswith("access-control")] == []

    @pytest.mark.parametrize("host", [None, 7, ""])
    def test_that_names_no_host_of_ours_is_one_of_another_page(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, host: object
    ) -> None:
        """Whoever invokes the function directly can write any event."""
        handler = functions.load("start")
        monkeypatch.setattr(handler, "others", peers.from_environment({"PAGE_ORIGINS": SEOUL}))
        event = url_event("GET", "/instances")
        event["headers"] = {"origin": OREGON}
        event["requestContext"]["domainName"] = host

        assert handler.handler(event, Context())["statusCode"] == 403
        del event["requestContext"]["domainName"]
        assert handler.handler(event, Context())["statusCode"] == 403
        event["headers"] = None
        assert handler.handler(event, Context())["statusCode"] == 200

    def test_where_no_page_is_named_nobody_asks_for_its_origin(self, asked: Any, stand: Stand) -> None:
        stand.launch()

        assert asked("GET", "/instances", origin=OREGON, PEERS=json.dumps(BOTH))["statusCode"] == 200


@pytest.mark.parametrize(
    "variables",
    [
        {"PEERS": "{"},
        {"PEERS": "[1]"},
        {"PEERS": '{"a": 1}'},
        {"PEERS": '{"a": "http://seoul.example.com"}'},
        {"PEERS": json.dumps({"a": f"{SEOUL}; script-src *"})},
        {"PEERS": json.dumps({"a": f"{SEOUL}/instances"})},
        {"PAGE_ORIGINS": "*"},
        {"PAGE_ORIGINS": f"{SEOUL} null"},
    ],
    ids=str,
)
def test_a_function_with_other_settings_does_not_load(variables: dict[str, str]) -> None:
    with pytest.raises(MissingSetting, match=r"PEERS"):
        peers.from_environment(variables)


def test_a_function_without_these_settings_shows_and_lets_in_nobody() -> None:
    assert peers.from_environment({}) == peers.Peers()
