"""One page for many deployments: grouped, searched, started and stopped as one, whatever the others answer."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from park_volumes.handlers import page
from tests.browser import answers
from tests.browser.addresses import DOMAIN, Addresses, Answer, Asked, Given, LetsIn, behind
from tests.browser.person import Person
from tests.browser.place import HOME, HOSTILE, LIMITED, TOKEN, Place
from tests.support.fleet import PATIENCE

LONG_TASKS = """
window.longest = 0;
const watch = seen => { for (const e of seen.getEntries()) window.longest = Math.max(window.longest, e.duration); };
new PerformanceObserver(watch).observe({ type: "longtask", buffered: true });
"""
MOST_MS = 2_000
"""For which the page may not answer to keys, with 10,000 instances. A machine that is not busy needs a tenth of it."""


@pytest.fixture
def home(addresses: Addresses) -> Iterator[Addresses]:
    addresses.clear()
    yield addresses
    addresses.clear()


def origin(name: str) -> str:
    return f"https://{name}.{DOMAIN}"


def page_with(*peers: str, instances: Answer) -> Answer:
    """A deployment whose page shows these peers: with the page and the headers that the function gives it."""
    shown = tuple((name, origin(name)) for name in peers)
    policy = page.page_policy(tuple(address for _, address in shown))

    def answer(asked: Asked) -> Given:
        if asked.path == "/":
            headers = {**page.SECURITY_HEADERS, "content-type": "text/html; charset=utf-8"}
            body = page.page(7, shown).encode()
            return Given(200, body, (*headers.items(), ("content-security-policy", policy)))
        return instances(asked)

    return answer


def says(answer: dict[str, Any], *tokens: str) -> Answer:
    """Answers this to whoever has one of the tokens, or to everybody."""
    body = answers.body(answer).encode()

    def given(asked: Asked) -> Given:
        if tokens and asked.token not in tokens:
            return Given(401, json.dumps({"error": {"code": "not_signed_in", "message": "No."}}).encode())
        return Given(200, body)

    return given


def let_in(answer: Answer) -> LetsIn:
    """A peer that names the page of ``home`` in its page_origins."""
    return LetsIn(origin=HOME, answer=answer)


def group(person: Person, name: str) -> Locator:
    return person.page.locator(".place").filter(has=person.page.get_by_role("heading", name=name, exact=True))


@pytest.fixture
def many(home: Addresses, browser: Browser, tmp_path: Path) -> Iterator[Person]:
    """A page that shows Seoul, which knows the token, and Oregon, which has tokens of its own."""
    home.named |= {
        "home": page_with("seoul", "oregon", instances=says(answers.a_few(), TOKEN)),
        "seoul": let_in(says(answers.coming_back(), TOKEN)),
        "oregon": let_in(says(answers.waiting(), LIMITED)),
    }
    with Person.at(browser, f"{HOME}/", tmp_path) as someone:
        yield someone


class TestThePage:
    def test_shows_the_instances_of_all_by_deployment(self, many: Person) -> None:
        many.signed_in(TOKEN)
        many.see("half", "Attaching (1 of 2)")
        expect(group(many, "Here").get_by_role("listitem").filter(has=many.page.locator("h2"))).to_have_count(7)
        expect(group(many, "seoul")).to_contain_text("2 instances, 1 running")
        expect(group(many, "seoul").locator(".list > li")).to_have_count(2)
        expect(many.page.locator("#count")).to_have_text("9 instances, 2 running.")
        assert many.barriers() == []

    def test_adds_up_what_all_of_them_save(self, many: Person) -> None:
        many.signed_in(TOKEN)
        many.see("half", "Attaching")
        sums = [answer()["total"]["usd_per_month"] for answer in (answers.a_few, answers.coming_back)]
        now, before = (f"${sum(each[name] for each in sums):.2f}" for name in ("now", "as_volumes"))
        expect(many.page.locator("#costs")).to_have_text(f"Disks cost {now} a month instead of {before}.")

    def test_searches_in_all_by_their_words_and_by_the_name_of_the_deployment(self, many: Person) -> None:
        many.signed_in(TOKEN)
        many.see("half", "Attaching")
        many.page.get_by_role("searchbox").fill("half")
        assert many.names() == ["half"]
        many.page.get_by_role("searchbox").fill("seoul")
        assert sorted(many.names()) == ["half", "restored"]
        many.page.locator("#kinds").get_by_text("Running").click()
        assert many.names() == ["restored"]

    def test_asks_for_a_token_of_its_own_where_the_shared_one_is_not_known(self, many: Person) -> None:
        many.signed_in(TOKEN)
        oregon = group(many, "oregon")
        expect(oregon).to_contain_text("Your token is not known there.")
        oregon.get_by_label("Token for oregon").fill("wrong" * 8)
        oregon.get_by_role("button", name="Sign in").click()
        expect(oregon).to_contain_text("This token is not valid.")
        assert many.barriers() == []
        oregon.get_by_label("Token for oregon").fill(LIMITED)
        oregon.get_by_role("button", name="Sign in").click()
        expect(oregon.locator(".list > li")).to_have_count(3)
        many.page.reload()
        expect(oregon.locator(".list > li")).to_have_count(3)
        many.button("Sign out").click()
        assert many.measure("[sessionStorage.length, localStorage.length]") == [0, 0]

    def test_sends_a_token_to_nobody_before_it_was_accepted_here(self, many: Person, home: Addresses) -> None:
        many.sign_in("mistyped" * 5)
        assert "This token is not valid" in many.at_the_field()
        assert home.of("seoul") == home.of("oregon") == []
        many.sign_in(TOKEN)
        many.see("half", "Attaching")
        assert {asked.token for asked in home.of("seoul")} <= {TOKEN, ""}
        expect(group(many, "oregon")).to_contain_text("Your token is not known there.")

    def test_asks_one_that_starts_nothing_of_another(self, many: Person, home: Addresses) -> None:
        """Both know an instance of this id."""
        many.signed_in(TOKEN)
        many.see("half", "Attaching")
        group(many, "seoul").get_by_role("button", name="Stop restored (seoul)").click()
        expect(many.page.get_by_role("dialog")).to_contain_text("Stop restored (seoul)?")
        many.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        group(many, "seoul").get_by_text("Stopping").wait_for()
        posted = [host for host, asked in home.asked if asked.method == "POST"]
        assert posted == [f"seoul.{DOMAIN}"]

    def test_shows_itself_by_its_name_in_a_list_that_all_have(
        self, home: Addresses, browser: Browser, tmp_path: Path
    ) -> None:
        home.named["home"] = page_with("home", "seoul", instances=says(answers.a_few(), TOKEN))
        home.named["seoul"] = let_in(says(answers.coming_back(), TOKEN))
        with Person.at(browser, f"{HOME}/", tmp_path) as someone:
            someone.signed_in(TOKEN)
            someone.see("half", "Attaching")
            expect(group(someone, "home").locator(".list > li")).to_have_count(7)
            expect(someone.page.locator(".place")).to_have_count(2)

    def test_speaks_korean_of_others_too(self, home: Addresses, browser: Browser, tmp_path: Path) -> None:
        home.named["home"] = page_with("seoul", "gone", instances=says(answers.a_few(), TOKEN))
        home.named["seoul"] = let_in(says(answers.coming_back(), LIMITED))
        with Person.at(browser, f"{HOME}/", tmp_path, language="ko-KR", width=390) as someone:
            someone.page.locator("#token").fill(TOKEN)
            someone.button("로그인").click()
            expect(group(someone, "seoul")).to_contain_text("지금 쓰는 토큰을 사용할 수 없습니다")
            expect(group(someone, "gone")).to_contain_text("응답이 없습니다")
            assert someone.measure("document.documentElement.scrollWidth") <= 390
            assert someone.barriers() == []
            assert not re.search(r"undefined|\b(Start|Stop|Sign|Token|more)", someone.page.locator("main").inner_text())


def test_a_deployment_that_names_the_page_is_shown_parked_and_started_by_it(
    home: Addresses, browser: Browser, place: Place, tmp_path: Path
) -> None:
    """The deployed function and its URL, with a preflight for all that is asked."""
    home.named["home"] = page_with("seoul", instances=says(answers.nothing(), TOKEN))
    home.named["seoul"] = behind(place.url)
    with Person.at(browser, f"{HOME}/", tmp_path) as someone:
        someone.signed_in(TOKEN).see("web-2", "Running")
        someone.button("Stop web-2 (seoul)").click()
        someone.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        place.aws.wait_for(lambda: place.fleet.state(place.ids["web-2"]) == "stopped", 30, "web-2 to be stopped")
        ada = place.with_token(TOKEN)
        place.aws.wait_for(lambda: ada.state("web-2") == "parked", PATIENCE, "web-2 to be parked", every=5)
        someone.see("web-2", "Asleep")
        someone.button("Start web-2 (seoul)").click()
        place.fleet.wait_until_running(place.ids["web-2"])
        someone.see("web-2", "It is running. Its address:")
    assert {asked.method for asked in home.of("seoul")} == {"OPTIONS", "GET", "POST"}


def test_a_deployment_that_does_not_name_the_page_shows_it_nothing_and_changes_nothing(
    home: Addresses, browser: Browser, place: Place, tmp_path: Path
) -> None:
    home.named["stranger"] = page_with("seoul", instances=says(answers.a_few(), TOKEN))
    home.named["seoul"] = behind(place.url)
    with Person.at(browser, origin("stranger"), tmp_path) as someone:
        someone.signed_in(TOKEN)
        expect(group(someone, "seoul")).to_contain_text("No answer.")
        options = f"{{method: 'POST', headers: {{Authorization: 'Bearer {TOKEN}'}}}}"
        stop = f"fetch('{origin('seoul')}/instances/db/stop', {options}).then(() => 'sent', () => 'not sent')"
        assert someone.measure(stop) == "not sent"
    assert {asked.method for asked in home.of("seoul")} == {"OPTIONS"}
    assert place.fleet.state(place.ids["db"]) == "running"


# Peers that are hijacked, or no deployment at all.


def changed(**changes: Any) -> dict[str, Any]:
    found = answers.dearer()
    found["instances"][0] |= changes
    return found


def raw(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    return lambda _: Given(status, body, (("content-type", kind), *headers.items()))


LARGE = json.dumps({"instances": [], "total": {}, "place": "x" * 10_000_000}).encode()
SCRIPT = b"<script>document.title = 'taken'; alert(1)</script>"
STRANGE: dict[str, Answer] = {
    "markup": raw(SCRIPT, kind="text/html"),
    "script": raw(b"alert(1)", kind="text/javascript"),
    "large": raw(LARGE),
    "deep": raw(b"[" * 100_000),
    "null": raw(b"null"),
    "list": raw(b"[]"),
    "polluting": raw(b'{"__proto__": {"instances": []}, "instances": {"length": 3}}'),
    "without-money": says(changed(usd_per_month=None)),
    "name-object": says(changed(name={"toString": "x"})),
    "id-markup": says(changed(id=HOSTILE)),
    "endless": says(changed(size_gib="1e999")),
    "devices": says(changed(devices="none")),
}
"""What is no answer of ours."""
SILENT: dict[str, Answer] = {
    "redirect": raw(b"", 302, location=f"https://elsewhere.{DOMAIN}/instances"),
    "elsewhere": raw(b"{}"),
}


class TestAPeer:
    @pytest.fixture
    def among(self, home: Addresses, browser: Browser, tmp_path: Path) -> Iterator[Person]:
        """A page with all of them, one that hangs, one that fails and one that is as it should be."""
        made_up = {**STRANGE, **SILENT, "broken": raw(b"oops", 500), "hanging": home.hang}
        home.named |= {name: let_in(answer) for name, answer in made_up.items()}
        home.named["good"] = let_in(says(answers.coming_back(), TOKEN))
        shown = [*STRANGE, "redirect", "broken", "hanging", "nobody", "good"]
        home.named["home"] = page_with(*shown, instances=says(answers.a_few(), TOKEN))
        with Person.at(browser, f"{HOME}/", tmp_path) as someone:
            yield someone

    def test_whose_answer_is_none_of_ours_is_shown_as_such_and_delays_nobody(
        self, among: Person, home: Addresses
    ) -> None:
        among.signed_in(TOKEN)
        among.see("half", "Attaching (1 of 2)")
        among.see("wiki", "Asleep")
        for name in STRANGE:
            expect(group(among, name)).to_contain_text("The answer is not one of ParkVolumes")
            expect(group(among, name).locator(".list > li")).to_have_count(0)
        expect(group(among, "redirect")).to_contain_text("No answer.")
        expect(group(among, "nobody")).to_contain_text("No answer.")
        expect(group(among, "broken")).to_contain_text("The server answered with an error (500).")
        expect(group(among, "hanging")).to_contain_text("Loading…")
        expect(among.page.locator("#problem")).to_be_hidden()
        assert home.of("elsewhere") == [], "a redirect is not followed, and no token goes there"
        assert among.measure("[document.title, document.images.length]")[1] == 0
        assert not [c for c in among.complaints if "dialog" in c or "Uncaught" in c or "TypeError" in c]

    def test_that_hangs_is_given_up_after_half_a_minute_and_asked_again(
        self, home: Addresses, browser: Browser, tmp_path: Path
    ) -> None:
        home.named["home"] = page_with("hanging", instances=says(answers.a_few(), TOKEN))
        home.named["hanging"] = let_in(home.hang)
        with Person.at(browser, f"{HOME}/", tmp_path) as someone:
            someone.page.clock.install()
            someone.page.reload()
            someone.signed_in(TOKEN)
            expect(group(someone, "hanging")).to_contain_text("Loading…")
            someone.page.clock.run_for(31_000)
            expect(group(someone, "hanging")).to_contain_text("No answer.")
            home.named["hanging"] = let_in(says(answers.coming_back(), TOKEN))
            someone.page.clock.run_for(5_000)
            someone.see("half", "Attaching (1 of 2)")
            home.named["hanging"] = let_in(home.hang)
            someone.page.clock.run_for(31_000)
            someone.page.clock.run_for(31_000)
            expect(group(someone, "hanging")).to_contain_text("No answer.")
            someone.see("half", "Attaching (1 of 2)")

    @pytest.mark.parametrize("state", [HOSTILE, "__proto__", "constructor", "toString"])
    def test_that_says_anything_makes_neither_markup_nor_a_link_nor_a_request_of_it(
        self, home: Addresses, browser: Browser, tmp_path: Path, state: str
    ) -> None:
        link = "javascript:alert(1)//https://ec2.example"
        said = changed(name=HOSTILE, state=state, detail=HOSTILE, address="ec2.example", link=link, progress=None)
        running = changed(state="running", address="ec2.example", link="https://evil.example/https://ec2.example")
        said["instances"] += [running["instances"][0] | {"name": "lured", "id": "i-00000000000000002"}]
        home.named["home"] = page_with("hostile", instances=says(answers.a_few(), TOKEN))
        home.named["hostile"] = let_in(says(said))
        with Person.at(browser, f"{HOME}/", tmp_path) as someone:
            someone.signed_in(TOKEN).see("lured", "Running")
            someone.see(HOSTILE, state)
            for summary in group(someone, "hostile").locator("summary").all():
                summary.click()
            assert group(someone, "hostile").get_by_role("link").count() == 0
            assert someone.measure("[document.images.length, document.scripts.length]") == [0, 1]
            assert someone.complaints == [c for c in someone.complaints if "401" in c]

    def test_that_refuses_says_so_by_the_name_of_the_instance(
        self, home: Addresses, browser: Browser, tmp_path: Path
    ) -> None:
        refusal = {"error": {"code": "refused", "message": f"Its device is taken. {HOSTILE}"}}
        listed, refused = says(answers.coming_back(), TOKEN), raw(json.dumps(refusal).encode(), 409)
        home.named["home"] = page_with("seoul", instances=says(answers.a_few(), TOKEN))
        home.named["seoul"] = let_in(lambda asked: (refused if asked.method == "POST" else listed)(asked))
        with Person.at(browser, f"{HOME}/", tmp_path) as someone:
            someone.signed_in(TOKEN).see("restored", "Running")
            someone.button("Stop restored (seoul)").click()
            someone.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
            assert someone.alert().startswith(f"restored (seoul): Its device is taken. {HOSTILE}")


def test_ten_peers_of_a_thousand_instances_stay_pleasant(home: Addresses, browser: Browser, tmp_path: Path) -> None:
    names = [f"account-{n}" for n in range(10)]
    home.named["home"] = page_with(*names, instances=says(answers.a_few(), TOKEN))
    home.named |= {name: let_in(says(answers.thousand(), TOKEN)) for name in names}
    with Person.at(browser, f"{HOME}/", tmp_path, before=LONG_TASKS) as someone:
        someone.signed_in(TOKEN)
        began = someone.measure("performance.now()")
        someone.page.locator(".place:nth-child(2) .list > li").first.wait_for()
        first = someone.measure("performance.now()") - began
        expect(someone.page.locator("#count")).to_have_text(re.compile("^10,007 instances"))
        everything = someone.measure("performance.now()") - began
        took = someone.measure(
            """() => ["0", "077", "0777", "machine", "account-3", ""].map(words => {
            const query = document.getElementById("query"), began = performance.now();
            query.value = words; query.dispatchEvent(new Event("input")); document.body.offsetHeight;
            return performance.now() - began; })"""
        )
        someone.page.get_by_role("searchbox").fill("0777")
        expect(someone.page.locator(".list > li")).to_have_count(10)
        someone.page.get_by_role("searchbox").fill("account-3")
        expect(someone.page.locator(".list > li")).to_have_count(50)
        someone.button("Show 200 more").click()
        expect(someone.page.locator(".list > li")).to_have_count(250)
        expect(someone.button("Show 200 more")).to_be_focused()
        longest = someone.measure("window.longest")
    if os.environ.get("MEASURE"):
        print(f"first rows {first:.0f} ms, all {everything:.0f} ms, keys {[round(t) for t in took]}, longest {longest}")
    assert max(took) < MOST_MS
    assert longest < MOST_MS
