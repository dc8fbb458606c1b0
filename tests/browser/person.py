"""What a person does in a browser, and what they see there; nothing else of the page is known here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page

PATIENCE_MS = 300_000
"""Until a test gives up waiting for what is not going to be shown. A slow machine must not come near it."""
expect.set_options(timeout=PATIENCE_MS)

COLORS = 256
"""Of a picture: the page has few, and the file then has a third of the size."""

QUIET_BROWSER = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def a_browser(chromium: str, *options: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*QUIET_BROWSER, *options])
        yield browser
        browser.close()


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with the page open. ``complaints`` is what the browser's console and the page's script say is wrong."""

    page: Page
    url: str
    pictures: Path
    complaints: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def at(
        cls,
        browser: Browser,
        url: str,
        pictures: Path,
        *,
        language: str = "en-US",
        width: int = 1000,
        height: int = 860,
        scale: float = 1,
        scheme: Literal["light", "dark"] = "light",
        instances: str = "",
        before: str = "",
    ) -> Iterator[Person]:
        """``instances``: what the browser gets where the page asks for them; else the function is asked. ``before``: a
        script that runs before those of the page."""
        context = browser.new_context(
            locale=language,
            color_scheme=scheme,
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        someone = cls(page=page, url=url, pictures=pictures)
        page.on("console", lambda m: someone._complain(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: someone._complain(str(e)))
        page.on("dialog", lambda d: someone._dismiss(d))  # noqa: PLW0108  # Playwright writes an attribute on the object of a bound method
        if before:
            page.add_init_script(before)
        if instances:
            someone.answer_with(instances)
        page.goto(url)
        try:
            yield someone
        finally:
            page.unroute_all(behavior="ignoreErrors")
            context.close()

    def answer_with(self, instances: str) -> None:
        """From now on, this is what the browser gets where the page asks for the instances."""
        self.page.unroute("**/instances")
        self.page.route("**/instances", lambda r: r.fulfill(body=instances, content_type="application/json"))

    def _complain(self, words: str) -> None:
        self.complaints.append(words)

    def _dismiss(self, dialog: Dialog) -> None:
        """The page opens no alert(): whatever does is somebody else's script."""
        self._complain(f"A dialog opened: {dialog.message}")
        dialog.dismiss()

    @property
    def field(self) -> Locator:
        """Where the token goes."""
        return self.page.get_by_label("Token", exact=True)

    def sign_in(self, token: str) -> None:
        self.field.fill(token)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def at_the_field(self) -> str:
        """What is said of the token."""
        said = self.page.locator("#token-wrong")
        said.filter(has_text=".").wait_for()
        return said.inner_text()

    def signed_in(self, token: str) -> Person:
        self.sign_in(token)
        self.page.get_by_role("searchbox").wait_for()
        return self

    def row(self, name: str) -> Locator:
        return self.page.get_by_role("listitem").filter(has=self.page.get_by_role("heading", name=name, exact=True))

    def names(self) -> list[str]:
        """The Names of the instances that are shown, also where nobody has scrolled to yet."""
        return self.page.get_by_role("listitem").get_by_role("heading").all_text_contents()

    def button(self, words: str) -> Locator:
        return self.page.get_by_role("button", name=words, exact=True)

    def see(self, name: str, words: str) -> None:
        """Wait until the instance's entry holds these words."""
        self.row(name).filter(has_text=words).wait_for()

    def alert(self) -> str:
        """The words of the problem that is shown."""
        shown = self.page.get_by_role("alert").filter(has_text=".")
        shown.wait_for()
        return shown.inner_text()

    def picture(self, name: str) -> None:
        """A screenshot, into the folder that PICTURES names; for the README and for looking at."""
        folder = Path(os.environ.get("PICTURES") or self.pictures)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.page.screenshot(path=str(path))
        with Image.open(path) as taken:
            fewer = taken.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        fewer.save(path, optimize=True)

    def measure(self, script: str) -> Any:
        return self.page.evaluate(script)

    def barriers(self) -> list[str]:
        """What axe-core finds that keeps people out who use a keyboard or a screen reader: rules, with elements."""
        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        return [f"{v['id']}: {[n['html'][:120] for n in v['nodes']][:3]}" for v in found]
