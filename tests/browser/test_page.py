"""The page as people meet it: in Chromium, with the deployed functions behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser import answers
from tests.browser.person import Person
from tests.browser.place import HOSTILE, LIMITED, REGION, TOKEN, Place
from tests.support.fleet import PATIENCE


def unsigned(complaints: list[str]) -> list[str]:
    """What the console complained of, without the answers 401 that asking for a token begins with."""
    return [c for c in complaints if "401" not in c]


def test_whoever_stops_an_instance_sees_it_being_parked(desk: Person, place: Place) -> None:
    desk.see("web-1", "Its disks are")
    expect(desk.page.locator("#news")).to_contain_text("web-1: Falling asleep.")
    assert place.fleet.state(place.ids["web-1"]) == "stopped"
    assert unsigned(desk.complaints) == []


class TestSigningIn:
    def test_shows_the_instances_and_what_they_cost(self, person: Person) -> None:
        person.sign_in(TOKEN)
        person.see("web-2", "Running")
        assert person.names() == [HOSTILE, "crowd", "db", "tried", "web-1", "web-2"]
        person.see("web-2", "Disks cost $9.85 a month")
        expect(person.page.locator("#costs")).to_contain_text("a month instead of")
        assert unsigned(person.complaints) == []

    def test_with_a_wrong_token_says_what_to_do(self, person: Person) -> None:
        person.sign_in("no-token-of-this-place-0123456789ab")
        assert "ask for a new one" in person.at_the_field()
        expect(person.field).to_be_focused()
        assert person.measure("getSelection().toString().length") == 35, "one key press replaces it"
        person.sign_in(TOKEN)
        person.see("db", "Running")
        assert not person.page.locator("#problem").is_visible()

    def test_a_token_can_be_shown_and_a_password_manager_may_fill_it_in(self, person: Person) -> None:
        person.field.fill("seen")
        person.page.get_by_role("button", name="Show the token").click()
        expect(person.field).to_have_attribute("type", "text")
        expect(person.page.locator("#reveal")).to_have_text("Hide")
        person.page.locator("#reveal").click()
        expect(person.field).to_have_attribute("type", "password")
        expect(person.field).to_have_attribute("autocomplete", "current-password")

    @pytest.mark.parametrize("token", ["토큰" * 20, "two words " * 5], ids=["korean", "with spaces"])
    def test_with_what_can_be_no_token_says_so_too(self, person: Person, token: str) -> None:
        person.sign_in(token)
        assert "This token is not valid. Check" in person.at_the_field()
        expect(person.field).to_have_attribute("aria-invalid", "true")

    def test_keeps_the_token_in_this_tab_only(self, person: Person) -> None:
        person.signed_in(TOKEN)
        assert person.measure("[document.cookie, localStorage.length, location.href]") == ["", 0, person.url]
        person.page.reload()
        person.see("db", "Running")
        other = person.page.context.new_page()
        other.goto(person.url)
        expect(other.locator("#token")).to_be_visible()

    def test_keeps_a_pass_on_the_device_only_where_somebody_asks_for_it(self, person: Person) -> None:
        stay = person.page.get_by_label("Keep me signed in on this device for 7 days")
        expect(stay).not_to_be_checked()
        stay.check()
        person.signed_in(TOKEN)
        expect(person.button("Sign out")).to_be_visible()
        person.page.wait_for_function("localStorage.length === 1")
        kept = json.loads(person.measure("localStorage.getItem('park-volumes-pass')"))
        assert kept["pass"].startswith("park-volumes-pass.")
        assert TOKEN not in person.measure("JSON.stringify([localStorage, sessionStorage, document.cookie])")

    def test_stays_signed_in_in_every_tab_until_somebody_signs_out(self, person: Person) -> None:
        person.page.locator("#stay").check()
        person.signed_in(TOKEN)
        person.page.wait_for_function("localStorage.length === 1")
        other = person.page.context.new_page()
        other.goto(person.url)
        other.get_by_role("searchbox").wait_for()
        other.get_by_role("button", name="Sign out").click()
        expect(person.field).to_be_visible()
        assert person.measure("[localStorage.length, sessionStorage.length]") == [0, 0]
        person.page.reload()
        expect(person.field).to_be_visible()

    @pytest.mark.parametrize("until", ["2020-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00"])
    def test_forgets_a_pass_that_is_over_or_is_none(self, person: Person, until: str) -> None:
        """The page throws away what has ended; what only claims to last, the function refuses."""
        kept = json.dumps({"pass": f"park-volumes-pass.1772452800.{'0' * 64}", "until": until})
        expect(person.field).to_be_visible()
        person.page.evaluate("kept => localStorage.setItem('park-volumes-pass', kept)", kept)
        person.page.reload()
        expect(person.field).to_be_visible()
        assert person.measure("localStorage.length") == 0
        said = "" if until.startswith("2020") else "This device is no longer signed in. Sign in again."
        expect(person.page.locator("#token-wrong")).to_have_text(said)

    def test_says_where_the_instances_are_and_who_is_signed_in(self, person: Person, place: Place) -> None:
        person.signed_in(TOKEN)
        account = place.outputs["start_role_arn"].split(":")[4]
        expect(person.page.locator("#place")).to_have_text(f"Signed in as adaAccount {account}{REGION}")
        person.button("Sign out").click()
        expect(person.page.locator("#place")).to_be_hidden()

    def test_puts_nobody_into_a_text_field_that_opens_a_keyboard(self, person: Person) -> None:
        person.signed_in(TOKEN)
        expect(person.page.get_by_role("heading", name="Instances")).to_be_focused()

    def test_out_forgets_everything(self, person: Person) -> None:
        person.signed_in(TOKEN)
        person.button("Sign out").click()
        expect(person.field).to_be_visible()
        assert person.measure("[sessionStorage.length, localStorage.length]") == [0, 0]
        assert "web-1" not in person.page.locator("body").inner_html()

    def test_with_a_limited_token_shows_what_it_is_for(self, person: Person) -> None:
        person.sign_in(LIMITED)
        person.see("web-2", "Disks")
        assert person.names() == ["web-1", "web-2"]


def test_the_page_asks_this_server_alone_and_may_not_ask_another(person: Person) -> None:
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url))
    person.signed_in(TOKEN)
    assert asked
    assert all(url.startswith(person.url) for url in asked)
    elsewhere = "fetch('http://127.0.0.1:9/').then(() => 'asked', () => 'not asked')"
    assert person.measure(elsewhere) == "not asked"
    assert any("Content Security Policy" in c for c in person.complaints)


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
    starter = f"*{place.outputs['start_function_name']}*"
    place.aws.fail_call("DescribeInstances", "InternalError", status=500, count=30, caller=starter)
    person.sign_in(TOKEN)
    assert "DescribeInstances failed" in person.alert()
    assert person.barriers() == []
    place.aws.clear_faults()
    person.see("db", "Running")
    expect(person.page.locator("#problem")).to_be_hidden()


def test_without_a_connection_the_page_says_so_and_goes_on(person: Person) -> None:
    person.signed_in(TOKEN)
    person.page.context.set_offline(True)
    assert "cannot be reached" in person.alert()
    person.page.context.set_offline(False)
    expect(person.page.locator("#problem")).to_be_hidden()


def test_everything_can_be_done_with_the_keyboard(person: Person) -> None:
    keys = person.page.keyboard
    expect(person.field).to_be_focused()
    keys.type(TOKEN)
    keys.press("Enter")
    expect(person.page.get_by_role("heading", name="Instances")).to_be_focused()
    keys.press("Tab")
    expect(person.page.get_by_role("searchbox")).to_be_focused()
    keys.type("web-2")
    for _ in range(20):
        keys.press("Tab")
        if person.measure("document.activeElement.ariaLabel") == "Stop web-2":
            break
    expect(person.button("Stop web-2")).to_be_focused()
    keys.press("Enter")
    expect(person.page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(person.page.get_by_role("dialog")).to_be_hidden()
    expect(person.button("Stop web-2")).to_be_focused()
    person.see("web-2", "Running")


def test_people_whose_browser_speaks_korean_read_korean(browser: Browser, place: Place, tmp_path: Path) -> None:
    with Person.at(browser, place.url, tmp_path, language="ko-KR", width=390) as someone:
        someone.page.locator("#token").fill(TOKEN)
        someone.button("로그인").click()
        someone.see("db", "실행 중")
        expect(someone.button("db 중지")).to_be_visible()
        assert someone.measure("document.documentElement.lang") == "ko"
        visible = someone.page.locator("body").inner_text()
        assert not re.search(r"undefined|\b(Start|Stop|Sign|Running|Asleep|month|[Dd]isk)", visible)


# Places of another size or kind: the browser's own requests are answered by the test.


@pytest.fixture
def big(browser: Browser, place: Place, tmp_path: Path) -> Iterator[Person]:
    """The page with 1,000 instances in every state."""
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.thousand())) as someone:
        someone.page.get_by_role("searchbox").wait_for()
        yield someone


def test_a_thousand_instances_are_there_and_found_at_once(big: Person) -> None:
    expect(big.page.locator("#count")).to_have_text("1,000 instances, 167 running.")
    expect(big.page.locator("#list > li")).to_have_count(1000)
    took = big.measure(
        """() => Math.min(...["1", "12", "0123", "machine", "0777"].map(words => {
        const query = document.getElementById("query"), began = performance.now();
        query.value = words; query.dispatchEvent(new Event("input")); document.body.offsetHeight;
        return performance.now() - began; }))"""
    )
    assert big.names() == ["machine 0777"]
    assert took < 500, f"searching took {took} ms at best: not a machine that was busy for a moment"


def test_of_many_instances_those_in_one_state_can_be_picked(big: Person) -> None:
    expect(big.page.locator("#list > li")).to_have_count(1000)
    big.page.locator("#kinds").get_by_text("Need help").click()
    expect(big.page.locator("#count")).to_have_text("167 of 1,000 instances.")
    big.page.get_by_role("searchbox").fill("no such name")
    expect(big.page.locator("#nothing")).to_contain_text("No instance matches")
    big.page.locator("#all").click()
    expect(big.page.locator("#count")).to_have_text("1,000 instances, 167 running.")
    big.page.locator("#kinds").get_by_text("On the way").click()
    expect(big.page.locator("#count")).to_have_text("333 of 1,000 instances.")


def test_the_filters_stay_where_they_are(big: Person) -> None:
    """Whatever is scrolled, typed, chosen or loaded anew, and also where nothing is in a state."""
    kinds = big.page.locator("#kinds button")
    words = ["All 1,000", "Running 167", "Asleep 167", "On the way 333", "Need help 167"]
    expect(big.page.locator("#list > li")).to_have_count(1000)
    expect(kinds).to_have_text(words)
    for width, top in ((1000, 16), (390, 7)):
        big.page.set_viewport_size({"width": width, "height": 800})
        big.page.evaluate("scrollTo(0, 20000)")
        assert abs(big.measure("document.querySelector('#kinds button').getBoundingClientRect().top") - top) < 4, width
    big.page.get_by_role("searchbox").fill("no such name")
    kinds.nth(2).click()
    expect(kinds).to_have_text(words)
    big.page.reload()
    expect(kinds.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(big.page.locator("#count")).to_have_text("167 of 1,000 instances.")


def test_nothing_is_cut_off_at_any_width(big: Person) -> None:
    for width in (320, 390, 768, 1600):
        big.page.set_viewport_size({"width": width, "height": 800})
        assert big.measure("document.documentElement.scrollWidth") <= width
        cut = big.measure(
            "[...document.querySelectorAll('main *, header *')].slice(0, 900).filter(e => e.getClientRects().length && "
            "!e.closest('.unseen, svg') && getComputedStyle(e).overflowX !== 'clip' && "
            "(e.getBoundingClientRect().right > innerWidth || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1))"
            ".map(e => e.outerHTML.slice(0, 120))"
        )
        assert cut == [], width
        sizes = big.measure(
            "[...document.querySelectorAll('button, input')].slice(0, 50).map(e => e.getBoundingClientRect())"
            ".filter(r => r.width).map(r => Math.min(r.width, r.height))"
        )
        assert min(sizes) >= 44, width


@pytest.fixture
def few(browser: Browser, place: Place, tmp_path: Path) -> Iterator[Person]:
    """The page with an instance in every state that there is."""
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.a_few())) as someone:
        someone.see("wiki", "Asleep")
        yield someone


def test_every_state_is_shown_in_words(few: Person) -> None:
    words = {"parking": "Falling asleep 62%", "needs attention": "Needs help", "parked": "Asleep"}
    for name, (state, _) in answers.SHOWN.items():
        few.see(name, words.get(state, state.capitalize()))
    few.see("build agent", "Its disks are being copied. About 4 min left.")


def test_what_only_administrators_want_to_know_is_in_the_details(few: Person) -> None:
    technical = re.compile(r"\bi-0|snap-|vol-|/dev/|gp[23]|parked|GiB")
    assert not technical.search(few.page.locator("main").inner_text())
    few.row("licence server").locator("summary").click()
    for words in ("i-00000000000000003", "needs attention", answers.WRONG, "2 disks, 80 GiB", "/dev/sda1"):
        few.see("licence server", words)
    few.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    few.button("Copy for your administrator").click()
    few.see("licence server", "Copied")
    copied = few.measure("navigator.clipboard.readText()")
    assert copied == f"licence server (i-00000000000000003): needs attention. {answers.WRONG}"


@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
def test_five_instances_fit_on_the_screen_of_a_phone(
    browser: Browser, place: Place, tmp_path: Path, language: str
) -> None:
    phone: dict[str, Any] = {"width": 390, "height": 844, "language": language}
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.a_few()), **phone) as someone:
        expect(someone.page.locator("#list > li")).to_have_count(len(answers.SHOWN))
        ends = someone.measure(
            "[...document.querySelectorAll('#list > li')].map(e => e.getBoundingClientRect().bottom)"
        )
        assert ends[4] <= 844
        beside = someone.measure(
            "[...document.querySelectorAll('#list > li')].map(e => ['h2', '.act'].map(s => e.querySelector(s)"
            ".getBoundingClientRect())).every(([name, act]) => act.left >= name.right && act.top <= name.bottom)"
        )
        assert beside, "each button is beside its name"


def test_a_refusal_is_told_in_its_words(few: Person) -> None:
    def refuse(route: Route) -> None:
        error = {"error": {"code": "refused", "message": "Its device is taken. Detach vol-1 and try again."}}
        route.fulfill(status=409, body=json.dumps(error), content_type="application/json")

    few.page.route("**/start", refuse)
    few.button("Start wiki").click()
    few.see("wiki", "Asleep")
    assert "wiki: Its device is taken. Detach vol-1 and try again." in few.alert()
    expect(few.button("Start wiki")).to_be_enabled()


def test_an_instance_shows_what_it_saves_and_the_page_what_all_do(few: Person) -> None:
    few.see("wiki", "saves $3.10")
    few.see("shop", "could save at least $21.92")
    few.see("staging", "saves -$1.10 (copies)")
    total = answers.a_few()["total"]["usd_per_month"]
    expect(few.page.locator("#saved")).to_have_text(f"${total['saved']}")
    few.page.get_by_text(f"Disks cost ${total['now']} a month instead of ${total['as_volumes']}.").wait_for()
    share = few.page.get_by_role("progressbar", name="73% saved")
    expect(share).to_have_attribute("value", "73")


def test_copies_that_cost_more_than_they_save_are_shown_as_such(browser: Browser, place: Place, tmp_path: Path) -> None:
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.dearer())) as someone:
        expect(someone.page.locator("#saved")).to_have_text("-$1.10")
        expect(someone.page.locator("#costs")).to_contain_text("because of the copies")
        expect(someone.page.get_by_role("progressbar", name="0% saved")).to_have_attribute("value", "0")


def test_an_instance_shows_its_disks_when_asked(few: Person) -> None:
    few.row("shop").locator("summary").click()
    few.see("shop", "2 disks, 532 GiB")
    few.see("shop", "/dev/sdf")
    few.see("shop", "500 GiB gp3")
    few.row("build agent").locator("summary").click()
    few.see("build agent", "snap-00000000000200000 62%")


def test_what_comes_back_shows_how_far_it_is(browser: Browser, place: Place, tmp_path: Path) -> None:
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.coming_back())) as someone:
        someone.see("half", "Attaching (1 of 2)")
        step = someone.row("half").locator("[aria-current=step]")
        expect(step).to_have_text("Attaching (1 of 2)")
        someone.see("restored", "Disks are still loading: 43%. About 25 min left.")
        someone.row("restored").locator("summary").click()
        someone.see("restored", "40% loaded")
        assert someone.barriers() == []


def test_a_start_that_waits_says_for_what_and_how_long(browser: Browser, place: Place, tmp_path: Path) -> None:
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.waiting())) as someone:
        someone.see("no room", "AWS has no room for it at the moment. It is tried again in about 4 min.")
        someone.see("not yet", "Something else has to finish first. It goes on by itself.")
        someone.see(
            "archive", "Its copies come back from the archive, which takes up to three days. About 47 hours left."
        )
        assert someone.page.locator(".steps:visible").count() == 0


def test_an_address_is_a_link(few: Person) -> None:
    link = few.row("shop").get_by_role("link")
    expect(link).to_have_attribute("href", "https://ec2-203-0-113-4.ap-northeast-2.compute.amazonaws.com")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_an_address_can_be_copied(few: Person) -> None:
    few.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    few.button("Copy the address of shop").click()
    few.see("shop", "Copied")
    assert few.measure("navigator.clipboard.readText()").startswith("ec2-203-0-113-")


def test_a_price_that_nobody_knows_is_not_guessed(browser: Browser, place: Place, tmp_path: Path) -> None:
    unknown = answers.body(answers.of_unknown_price())
    with Person.at(browser, place.url, tmp_path, instances=unknown) as someone:
        someone.see("wiki", "Cost not known")
        expect(someone.page.locator("#saved")).to_have_text("n/a")
        someone.page.get_by_text("The prices of this region are not known here.").wait_for()
        assert "$" not in someone.page.locator("main").inner_text()


def test_a_region_that_cannot_be_looked_at_is_named_and_an_instance_is_found_by_its_region(
    browser: Browser, place: Place, tmp_path: Path
) -> None:
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.in_several_regions())) as someone:
        someone.page.get_by_text("us-east-1 cannot be reached, so what is there is not shown.").wait_for()
        someone.page.get_by_role("searchbox").fill("eu-central-1")
        expect(someone.page.get_by_role("heading", name="wiki")).to_be_hidden()
        someone.row("shop").locator("summary").click()
        someone.see("shop", "eu-central-1")
        assert someone.barriers() == []


def test_a_page_without_instances_says_how_to_get_one(browser: Browser, place: Place, tmp_path: Path) -> None:
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.nothing())) as someone:
        someone.page.get_by_text("opts one in with the tag ParkVolumes=true").wait_for()
        assert not someone.page.get_by_role("searchbox").is_visible()
        assert someone.barriers() == []


def test_the_answers_made_up_here_are_such_as_the_api_gives(place: Place) -> None:
    real = place.with_token(TOKEN).send("GET", "instances").body
    for made_up in (
        answers.in_several_regions(),
        answers.a_few(),
        answers.thousand(),
        answers.of_unknown_price(),
        answers.dearer(),
        answers.waiting(),
    ):
        assert shape(made_up) == shape(real)


def shape(answer: dict[str, Any]) -> list[set[str]]:
    """The names of the fields, level by level."""
    one = answer["instances"][0]
    levels = (answer, answer["total"], answer["total"]["usd_per_month"], one, one["usd_per_month"], one["devices"][0])
    return [set(level) for level in levels]


LOOKS: dict[str, dict[str, Any]] = {
    "light": {"scheme": "light", "width": 940, "height": 830},
    "dark": {"scheme": "dark", "width": 940, "height": 830},
    "phone": {"scheme": "light", "width": 390, "height": 844, "scale": 1.25},
    "phone-korean": {"scheme": "dark", "width": 390, "height": 844, "scale": 1.25, "language": "ko-KR"},
}
"""How the README's pictures are taken."""


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_that_keeps_anybody_out(browser: Browser, place: Place, tmp_path: Path, look: str) -> None:
    options = LOOKS[look]
    with Person.at(browser, place.url, tmp_path, **options) as someone:
        someone.page.locator("#token").wait_for()
        assert someone.barriers() == []
        someone.page.locator("#token").fill("wrong" * 8)
        someone.page.keyboard.press("Enter")
        someone.page.locator("#token-wrong").wait_for()
        assert someone.barriers() == []
    with Person.at(browser, place.url, tmp_path, instances=answers.body(answers.a_few()), **options) as someone:
        someone.page.get_by_role("heading", name="wiki").wait_for()
        someone.picture(f"page-{look}")
        assert someone.page.locator("#list > li").count() == len(answers.SHOWN)
        assert someone.barriers() == []
        for summary in someone.page.locator("summary").all():
            summary.click()
        assert someone.barriers() == []
        someone.row("shop").locator(".act").click()
        expect(someone.page.get_by_role("dialog")).to_be_visible()
        assert someone.barriers() == []


def test_a_start_answers_at_once_and_ends_with_the_address(browser: Browser, place: Place, tmp_path: Path) -> None:
    """The server takes its time: what shows before its answer, the page knows by itself."""
    story = answers.starting()
    with Person.at(browser, place.url, tmp_path, instances=answers.body(next(story))) as someone:
        someone.see("wiki", "Asleep")
        someone.page.locator("#kinds").get_by_text("Asleep").click()
        held: list[Route] = []
        someone.page.route("**/start", lambda r: held.append(r))  # noqa: PLW0108  # Playwright writes an attribute on it
        someone.button("Start wiki").click()
        someone.see("wiki", "Starting")
        row = someone.row("wiki")
        expect(row.locator("[aria-current=step]")).to_have_text("Making disks")
        assert row.locator("use").first.get_attribute("href") == "#i-turn", "what turns is no P"
        expect(someone.button("Start wiki (Starting)")).to_have_attribute("aria-disabled", "true")
        assert someone.barriers() == []
        accepted = next(story)["instances"][0]
        held[0].fulfill(status=202, body=json.dumps(accepted), content_type="application/json")
        for told in ("Making disks (1 of 2)", "Attaching (1 of 2)", "Booting"):
            someone.answer_with(answers.body(next(story)))
            expect(row.locator("[aria-current=step]")).to_have_text(told)
        someone.answer_with(answers.body(next(story)))
        someone.see("wiki", "It is running. Its address:")
        expect(row.get_by_role("link")).to_be_visible()
        expect(someone.page.locator("#news")).to_contain_text("wiki is running. Address: ec2-")
        assert someone.barriers() == []


def test_an_answer_counts_until_ec2_shows_what_was_asked_for(browser: Browser, place: Place, tmp_path: Path) -> None:
    """EC2's descriptions lag behind: an accepted start does not fall asleep again for a moment."""
    story = answers.starting()
    with Person.at(browser, place.url, tmp_path, instances=answers.body(next(story))) as someone:
        accepted = json.dumps(next(story)["instances"][0])
        someone.page.route("**/start", lambda r: r.fulfill(status=202, body=accepted, content_type="application/json"))
        someone.button("Start wiki").click()
        with someone.page.expect_response("**/instances"):
            pass
        expect(someone.row("wiki").locator(".state")).to_have_text("Starting")


def test_stop_asks_once_with_a_button_of_its_own_color(few: Person) -> None:
    asked: list[str] = []
    few.page.route("**/stop", lambda r: (asked.append(r.request.url), r.abort())[0])  # type: ignore[func-returns-value]  # both are wanted
    few.button("Stop shop").click()
    yes = few.page.get_by_role("dialog").get_by_role("button", name="Stop")
    colors = "e => getComputedStyle(e).backgroundColor"
    assert yes.evaluate(colors) != few.button("Start wiki").evaluate(colors)
    yes.click()
    expect(few.page.get_by_role("dialog")).to_be_hidden()
    few.alert()
    assert len(asked) == 1


def test_whoever_left_the_page_open_finds_it_parked_and_starts_it(desk: Person, place: Place) -> None:
    ada = place.with_token(TOKEN)
    place.aws.wait_for(lambda: ada.state("web-1") == "parked", PATIENCE, "web-1 to be parked", every=5)
    desk.see("web-1", "Asleep")
    desk.see("web-1", "saves ")
    desk.page.get_by_role("searchbox").fill("parked")
    desk.row("web-1").wait_for()
    assert "web-2" not in desk.names()
    desk.page.get_by_role("searchbox").fill("asleep")
    desk.row("web-1").wait_for()
    desk.button("Start web-1").click()
    desk.page.get_by_role("searchbox").fill("web")
    desk.see("web-1", "Starting")
    desk.row("web-1").locator("[aria-current=step]").wait_for()
    place.fleet.wait_until_running(place.ids["web-1"])
    desk.see("web-1", "Running")
    desk.see("web-1", "It is running. Its address:")
    address = desk.row("web-1").get_by_role("link")
    expect(address).to_have_attribute("href", re.compile("^https://ec2-"))
    expect(desk.page.locator("#news")).to_contain_text("web-1 is running. Address: ")
