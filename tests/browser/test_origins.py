"""What the Function URL answers to pages of others, beside what a browser makes of it."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.browser.place import HOME, TOKEN, Place

STRANGER = "https://stranger.peers.test"


def answered(place: Place, method: str, path: str, origin: str, **headers: str) -> tuple[int, list[tuple[str, str]]]:
    """The status, and the headers that are for browsers."""
    given = {"Origin": origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = Request(f"{place.url}{path}", method=method, headers=given)
    try:
        with urlopen(request) as answer:
            found = answer.status, answer.headers.items()
    except HTTPError as error:
        found = error.code, error.headers.items()
    return found[0], sorted((n, v) for n, v in found[1] if n.startswith("access-control"))


def preflight(place: Place, origin: str) -> tuple[int, list[tuple[str, str]]]:
    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
    return answered(place, "OPTIONS", "instances/db/stop", origin, **asks)


def runs(place: Place) -> int:
    every = place.aws.invocations(place.outputs["start_function_name"])
    return len([one for one in every if one["trigger"] == "url"])


def test_a_preflight_is_answered_without_a_run_of_the_function(place: Place) -> None:
    before = runs(place)
    allowed = [
        ("access-control-allow-headers", "authorization"),
        ("access-control-allow-origin", HOME),
        ("access-control-max-age", "7200"),
    ]
    status, headers = preflight(place, HOME)
    methods = dict(headers)["access-control-allow-methods"]
    assert set(methods.split(",")) == {"GET", "POST"}
    assert (status, headers) == (200, sorted([*allowed, ("access-control-allow-methods", methods)]))
    assert preflight(place, STRANGER) == (200, [])
    assert runs(place) == before


def test_an_answer_says_once_that_a_page_may_read_it(place: Place) -> None:
    """Twice, and a browser refuses it: Lambda adds this header, and the function must not."""
    signed = {"Authorization": f"Bearer {TOKEN}"}
    once = [("access-control-allow-origin", HOME)]
    assert answered(place, "GET", "instances", HOME, **signed) == (200, once)
    assert answered(place, "GET", "instances", HOME) == (401, once)


def test_another_page_gets_nothing_with_a_token_either(place: Place) -> None:
    signed = {"Authorization": f"Bearer {TOKEN}"}
    for method, path in (("GET", "instances"), ("POST", "instances/db/stop"), ("POST", "instances/db/start")):
        assert answered(place, method, path, STRANGER, **signed) == (403, [])
    assert place.fleet.state(place.ids["db"]) == "running"
