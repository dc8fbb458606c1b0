"""The page and the OpenAPI document: what they may hold, and the headers that they go with."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from park_volumes.handlers import page
from tests.unit.functions import CALLER, Functions, url_event
from tests.unit.passes import Stand

MOST_BYTES = 68_000


def get(functions: Functions, path: str, caller: str | None = CALLER) -> dict[str, Any]:
    answer: dict[str, Any] = functions.start(url_event("GET", path, caller=caller))
    return answer


def hashes(kind: str) -> set[str]:
    found = re.findall(rf"<{kind}>(.*?)</{kind}>", page.page(), re.DOTALL)
    return {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in found}


class TestPage:
    def test_is_html_that_nothing_may_keep_or_frame(self, functions: Functions) -> None:
        answer = get(functions, "/", caller=None)

        assert answer["statusCode"] == 200
        assert answer["body"] == page.page()
        assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
        assert answer["headers"]["Cache-Control"] == "no-store"
        assert answer["headers"]["X-Frame-Options"] == "DENY"
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert answer["headers"]["Referrer-Policy"] == "no-referrer"

    def test_may_run_its_own_script_and_style_only(self, functions: Functions) -> None:
        policy = get(functions, "/")["headers"]["Content-Security-Policy"]
        directives = {name: set(values) for name, *values in (part.split() for part in policy.split(";"))}

        assert directives["default-src"] == {"'none'"}
        assert len(hashes("script")) == len(hashes("style")) == 1
        assert directives["script-src"] == hashes("script")
        assert directives["style-src"] == hashes("style")
        assert directives["connect-src"] == {"'self'"}
        assert directives["frame-ancestors"] == directives["base-uri"] == directives["form-action"] == {"'none'"}
        assert "unsafe" not in policy

    def test_is_small(self) -> None:
        assert len(page.page().encode()) <= MOST_BYTES

    def test_loads_nothing_and_makes_no_markup_of_data(self) -> None:
        shown = page.page().replace("xmlns='http://www.w3.org/2000/svg'", "")  # a name, which nothing is loaded from
        assert not re.findall(r"https?://|@import|url\(|\bsrc=|<script\s|<style\s", shown)
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(", page.page())
        assert not re.findall(r"\sstyle=|\son[a-z]+=", page.page())

    def test_asks_nothing_of_ec2(self, functions: Functions, stand: Stand) -> None:
        stand.launch()
        before = stand.world.calls
        get(functions, "/")
        get(functions, "/openapi.json")

        assert stand.world.calls == before

    def test_says_everything_in_both_languages(self) -> None:
        english, korean = re.findall(r"^  (?:en|ko): \{(.*?)^  \},", page.page(), re.DOTALL | re.MULTILINE)
        named = [re.findall(r'(\w+|"[\w -]+"): (?=["{(\w])', words) for words in (english, korean)]

        assert set(named[0]) == set(named[1])
        assert len(named[0]) > 40


class TestOpenApi:
    def test_is_there_for_everybody(self, functions: Functions) -> None:
        answer = get(functions, "/openapi.json", caller=None)

        assert answer["statusCode"] == 200
        assert answer["headers"]["Content-Type"] == "application/json"
        assert json.loads(answer["body"])["openapi"] == "3.1.0"

    def test_has_every_route_and_no_other(self, functions: Functions) -> None:
        functions.load("start")
        api = functions.load("api")
        routes = api.WITHOUT_SIGNING_IN.keys() | api.ROUTES.keys()
        paths = json.loads(page.openapi())["paths"]

        assert routes == {(m.upper(), path) for path, item in paths.items() for m in item if m != "parameters"}

    def test_describes_an_instance_as_it_is_shown(self, functions: Functions, stand: Stand) -> None:
        stand.launch()
        schemas = json.loads(page.openapi())["components"]["schemas"]
        shown = functions.get("db").body

        assert set(schemas["Instance"]["required"]) == set(schemas["Instance"]["properties"]) == shown.keys()
        assert set(schemas["Device"]["required"]) == set(schemas["Device"]["properties"]) == shown["devices"][0].keys()


@pytest.mark.parametrize("path", ["/instances", "/instances/nobody", "/nothing"])
def test_answers_for_programs_are_no_pages(functions: Functions, path: str) -> None:
    headers = get(functions, path)["headers"]

    assert headers["Content-Security-Policy"] == page.NOTHING
    assert headers["X-Content-Type-Options"] == "nosniff"
