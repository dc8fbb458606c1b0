"""One deployment that people sign in to with tokens, and one Chromium to do it with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.addresses import Addresses
from tests.browser.person import Person, a_browser
from tests.browser.place import TOKEN, Place, deploy
from tests.support import chromium
from tests.support.ahead import Ahead


@pytest.fixture(scope="session")
def place(ahead: Ahead) -> Place:
    return ahead.result(deploy)


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    with Addresses(tmp_path_factory.mktemp("addresses")) as there:
        yield there


@pytest.fixture(scope="session")
def browser(addresses: Addresses) -> Iterator[Browser]:
    """Chromium; without one the tests are skipped, and under CI they fail."""
    found = chromium.find()
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(chromium.NONE)
    with a_browser(found, *addresses.for_chromium) as started:
        yield started


@pytest.fixture
def person(browser: Browser, place: Place, tmp_path: Path) -> Iterator[Person]:
    """Somebody in front of a browser that knows nothing yet, with English for their language."""
    with Person.at(browser, place.url, tmp_path) as someone:
        yield someone


@pytest.fixture(scope="session")
def desk(browser: Browser, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who has stopped web-1 and leaves the page open, to see what becomes of it while others test."""
    with Person.at(browser, place.url, tmp_path_factory.mktemp("desk")) as someone:
        someone.signed_in(TOKEN).see("web-1", "compute.amazonaws.com")
        someone.button("Stop web-1").click()
        someone.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        place.aws.wait_for(lambda: place.fleet.state(place.ids["web-1"]) == "stopped", 30, "web-1 to be stopped")
        someone.see("web-1", "Falling asleep")
        yield someone
