"""The page as people meet it: in Chromium, with the deployed functions behind it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import HOSTILE, LIMITED, TOKEN, Place
from tests.browser.person import Person

pytestmark = pytest.mark.xdist_group("browser")

AXE = "axe-core@4.11.0"
PARKING_SECONDS = 240


def unsigned(complaints: list[str]) -> list[str]:
    """What the console complained of, without the answers 401 that asking for a token begins with."""
    return [c for c in complaints if "401" not in c]


class TestSigningIn:
    def test_shows_the_instances(self, person: Person) -> None:
        person.sign_in(TOKEN)
        person.see("web-2", "Running")
        assert person.names() == [HOSTILE, "db", "web-1", "web-2"]
        assert unsigned(person.complaints) == []

    def test_with_a_wrong_token_says_what_to_do(self, person: Person) -> None:
        person.sign_in("no-token-of-this-place-0123456789ab")
        assert "ask for a new one" in person.alert()
        expect(person.page.get_by_label("Token")).to_be_focused()
        person.sign_in(TOKEN)
        person.see("db", "Running")
        assert not person.page.locator("#problem").is_visible()

    @pytest.mark.parametrize("token", ["토큰" * 20, "two words " * 5])
    def test_with_what_can_be_no_token_says_so_too(self, person: Person, token: str) -> None:
        person.sign_in(token)
        assert "This token is not valid here" in person.alert()

    def test_keeps_the_token_in_this_tab_only(self, person: Person) -> None:
        person.signed_in(TOKEN)
        assert person.measure("[document.cookie, localStorage.length, location.href]") == ["", 0, person.url]
        person.page.reload()
        person.see("db", "Running")
        other = person.page.context.new_page()
        other.goto(person.url)
        expect(other.get_by_label("Token")).to_be_visible()

    def test_out_forgets_everything(self, person: Person) -> None:
        person.signed_in(TOKEN)
        person.button("Sign out").click()
        expect(person.page.get_by_label("Token")).to_be_visible()
        assert person.measure("sessionStorage.length") == 0
        assert "web-1" not in person.page.locator("body").inner_html()

    def test_with_a_limited_token_shows_what_it_is_for(self, person: Person) -> None:
        person.sign_in(LIMITED)
        person.see("web-2", "disks")
        assert person.names() == ["web-1", "web-2"]


def test_an_instance_is_stopped_parked_found_again_and_started(person: Person) -> None:
    person.signed_in(TOKEN).see("web-1", "compute.amazonaws.com")
    person.button("Stop web-1").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    person.see("web-1", "Parking", 60)
    person.picture("parking")
    person.see("web-1", "Parked", PARKING_SECONDS)
    person.page.get_by_role("searchbox").fill("parked")
    assert person.names() == ["web-1"]
    person.button("Start web-1").click()
    person.page.get_by_role("searchbox").fill("web")
    person.see("web-1", "Starting")
    person.see("web-1", "Running", 60)
    person.see("web-1", "Address: ")
    expect(person.page.locator("#news")).to_contain_text("web-1 is running. Address: ")
    assert unsigned(person.complaints) == []


def test_a_name_with_markup_in_it_stays_text(person: Person) -> None:
    person.signed_in(TOKEN).see(HOSTILE, "Running")
    person.button(f"Stop {HOSTILE}").click()
    expect(person.page.get_by_role("dialog")).to_contain_text(f"Stop {HOSTILE}?")
    person.button("Cancel").click()
    assert person.measure("document.images.length") == 0
    assert unsigned(person.complaints) == []


def test_a_stop_that_is_not_confirmed_does_nothing(person: Person, place: Place) -> None:
    person.signed_in(TOKEN)
    person.button("Stop db").click()
    person.button("Cancel").click()
    person.see("db", "Running")
    assert place.fleet.state(place.ids["db"]) == "running"


def test_what_ec2_refuses_is_told_in_its_words(person: Person, place: Place) -> None:
    person.signed_in(TOKEN)
    place.aws.fail_call("StopInstances", "UnauthorizedOperation", "You are not authorized.", count=9)
    person.button("Stop db").click()
    person.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    told = person.alert()
    place.aws.clear_faults()
    assert told.startswith("db: StopInstances failed")
    assert "UnauthorizedOperation" in told
    person.see("db", "Running")


def test_a_failing_backend_is_told_and_got_over(person: Person, place: Place) -> None:
    place.aws.fail_call("DescribeInstances", "InternalError", status=500, count=30)
    person.sign_in(TOKEN)
    assert "DescribeInstances failed" in person.alert()
    place.aws.clear_faults()
    person.see("db", "Running")
    expect(person.page.locator("#problem")).to_be_hidden()


def test_without_a_connection_the_page_says_so_and_goes_on(person: Person) -> None:
    person.signed_in(TOKEN)
    person.page.context.set_offline(True)
    assert "can not be reached" in person.alert()
    person.page.context.set_offline(False)
    expect(person.page.locator("#problem")).to_be_hidden(timeout=30_000)


def test_everything_can_be_done_with_the_keyboard(person: Person) -> None:
    keys = person.page.keyboard
    expect(person.page.get_by_label("Token")).to_be_focused()
    keys.type(TOKEN)
    keys.press("Enter")
    expect(person.page.get_by_role("searchbox")).to_be_focused()
    keys.type("web-2")
    keys.press("Tab")
    expect(person.button("Stop web-2")).to_be_focused()
    keys.press("Enter")
    expect(person.page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(person.page.get_by_role("dialog")).to_be_hidden()
    expect(person.button("Stop web-2")).to_be_focused()
    person.see("web-2", "Running")


# Places of another size or kind: the browser's own requests are answered by the test.


def listed(number: int) -> list[dict[str, Any]]:
    states = ("running", "parked", "parking", "needs attention", "stopped", "starting")
    return [instance(n, states[n % len(states)]) for n in range(number)]


def instance(n: int, state: str) -> dict[str, Any]:
    device = {
        "device": "/dev/sda1",
        "volume_id": None,
        "snapshot_id": f"snap-{n:017x}",
        "size_gib": 8,
        "state": "parked",
    }
    return {
        "id": f"i-{n:017x}",
        "name": f"machine {n:04}",
        "state": state,
        "detail": "It stopped because of Client.InternalError: start it to see what is wrong.",
        "address": "203.0.113.7" if state == "running" else "",
        "devices": [device | {"progress": "40%" if state == "parking" else None}],
    }


@pytest.fixture
def big(person: Person) -> Iterator[Person]:
    """The page with 1,000 instances in every state."""
    every = json.dumps({"instances": listed(1000)})
    person.page.route("**/instances", lambda r: r.fulfill(body=every, content_type="application/json"))
    person.page.reload()
    person.page.get_by_role("searchbox").wait_for()
    yield person
    person.page.unroute_all(behavior="ignoreErrors")


def test_a_thousand_instances_are_there_and_found_at_once(big: Person) -> None:
    expect(big.page.get_by_text("1,000 instances, 167 running.")).to_be_visible()
    expect(big.page.locator("#list > li")).to_have_count(1000)
    took = big.measure(
        """() => { const query = document.getElementById("query"), began = performance.now();
        query.value = "0777"; query.dispatchEvent(new Event("input")); document.body.offsetHeight;
        return performance.now() - began; }"""
    )
    assert big.names() == ["machine 0777"]
    assert took < 500, f"searching took {took} ms"


def test_every_state_is_shown_in_words(big: Person) -> None:
    big.picture("states")
    for n, words in enumerate(("Running", "Parked", "Parking 40%", "Needs attention", "Stopped", "Starting")):
        big.see(f"machine {n:04}", words)
    big.see("machine 0003", "Client.InternalError: start it to see what is wrong.")


def test_a_refusal_is_told_in_its_words(big: Person) -> None:
    def refuse(route: Route) -> None:
        error = {"error": {"code": "refused", "message": "Its device is taken. Detach vol-1 and ask again."}}
        route.fulfill(status=409, body=json.dumps(error), content_type="application/json")

    big.page.route("**/start", refuse)
    big.button("Start machine 0001").click()
    assert "machine 0001: Its device is taken. Detach vol-1 and ask again." in big.alert()
    expect(big.button("Start machine 0001")).to_be_enabled()


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_nothing_is_cut_off_at_any_width(big: Person, width: int) -> None:
    big.page.set_viewport_size({"width": width, "height": 800})
    assert big.measure("document.documentElement.scrollWidth") <= width
    sizes = big.measure(
        "[...document.querySelectorAll('button, input')].map(e => e.getBoundingClientRect()).filter(r => r.width)"
        ".slice(0, 50).map(r => Math.min(r.width, r.height))"
    )
    assert min(sizes) >= 44


def test_people_whose_browser_speaks_korean_read_korean(chromium: str, place: Place, tmp_path: Path) -> None:
    with Person.at(chromium, place.url, tmp_path, language="ko-KR", width=390) as someone:
        someone.page.get_by_label("토큰").fill(TOKEN)
        someone.button("로그인").click()
        someone.see("db", "실행 중")
        expect(someone.button("db 중지")).to_be_visible()
        assert someone.measure("document.documentElement.lang") == "ko"
        someone.picture("phone-korean")
        visible = someone.page.locator("body").inner_text()
        assert not re.search(r"undefined|\bStart\b|\bStop\b|Sign", visible)


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which npm gets; without npm these tests are skipped."""
    if not shutil.which("npm"):
        pytest.skip("no npm to get axe-core with (Debian: apt-get install -y npm)")
    folder = tmp_path_factory.mktemp("axe")
    command = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder),
        AXE,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: str, place: Place, tmp_path: Path, axe: str, scheme: Any) -> None:
    with Person.at(chromium, place.url, tmp_path, scheme=scheme) as someone:
        someone.page.get_by_label("Token").wait_for()
        assert violations(someone, axe) == []
        someone.picture(f"sign-in-{scheme}")
        some = json.dumps({"instances": listed(6)})
        someone.page.route("**/instances", lambda r: r.fulfill(body=some, content_type="application/json"))
        someone.signed_in(TOKEN).see("machine 0000", "Running")
        someone.picture(f"instances-{scheme}")
        assert violations(someone, axe) == []
        someone.button("Stop machine 0000").click()
        assert violations(someone, axe) == []


def violations(person: Person, axe: str) -> list[str]:
    """The rules that axe finds broken, with the elements."""
    person.page.evaluate(axe)
    found = person.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{v['id']}: {[n['html'][:120] for n in v['nodes']][:3]}" for v in found]
