"""A person in a browser: signs in, fills forms with fresh codes, notes what the browser minds."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django_otp.oath import totp
from playwright.sync_api import Browser, Page

from tests.flows.installation import Installation, until

WIDE, NARROW = 1280, 360
SERIOUS = {"serious", "critical"}
_LAST_CODES: dict[str, str] = {}
"""By e-mail address: a code works once, in whatever browser."""


@dataclass
class Visitor:
    """complaints: what the console said, refused scripts and styles included."""

    page: Page
    base: str
    email: str
    password: str
    seed: bytes
    complaints: list[str] = field(default_factory=list)
    last_code: str = ""
    step: int = 4

    def go(self, path: str) -> Any:
        return self.page.goto(self.base + path)

    def sign_in(self) -> None:
        self.go("/sign-in/")
        self.page.fill("[name=email]", self.email)
        self.page.fill("[name=password]", self.password)
        self.page.fill("[name=code]", self.code())
        self.page.click("main [type=submit]")
        assert "/sign-in/" not in self.page.url, self.text("main")

    def enter_as_operator(self) -> None:
        self.go("/operator/login/")
        self.page.fill("[name=username]", self.email)
        self.page.fill("[name=password]", self.password)
        self.page.fill("[name=code]", self.code())
        self.page.click("[type=submit]")
        assert self.page.url.endswith("/operator/"), self.text("body")

    def code(self) -> str:
        """A code that was not used yet."""

        def fresh() -> str:
            code = f"{totp(self.seed, step=self.step):06d}"
            return code if code != _LAST_CODES.get(self.email) else ""

        self.last_code = _LAST_CODES[self.email] = until(fresh, what="a fresh code")
        return self.last_code

    def submit(
        self, *, code: bool = True, button: str = "main form[method=post] [type=submit]", **fields: str
    ) -> None:
        """Fills the page's form, with a fresh code unless told otherwise, and sends it."""
        for name, value in fields.items():
            self.page.fill(f"main [name={name}]", value)
        if code:
            self.page.fill("main [name=code]", self.code())
        self.page.locator(button).first.click()
        self.page.wait_for_load_state()

    def text(self, selector: str = "main") -> str:
        return str(self.page.inner_text(selector))

    def findings(self) -> list[str]:
        """Serious and critical findings of axe on the page as it stands."""
        results = Axe().run(self.page)
        found = [one for one in results.response["violations"] if one["impact"] in SERIOUS]
        return [f"{self.page.url}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in found]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def look(self, *, width: int, scheme: Any) -> None:
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.emulate_media(color_scheme=scheme)

    def judge(self, name: str) -> list[str]:
        """What is wrong with the page as it stands, in every width and scheme.

        `BURSAR_BROWSER_SHOTS` names a directory that pictures of it are put into, for people to look at.
        """
        minded, shots = [], os.environ.get("BURSAR_BROWSER_SHOTS", "")
        for width in (WIDE, NARROW):
            for scheme in ("light", "dark"):
                self.look(width=width, scheme=scheme)
                minded += [f"{name}, {width}, {scheme}: {one}" for one in self.findings()]
                if self.overflow() > 0:
                    minded.append(f"{name}: {self.overflow()} px wider than a window of {width}")
                if shots:
                    self.page.screenshot(path=f"{shots}/{name}-{width}-{scheme}.png", full_page=True)
        self.look(width=WIDE, scheme="light")
        return minded


@contextmanager
def visiting(
    browser: Browser, place: Installation, who: str = "", *, javascript: bool = True
) -> Iterator[Visitor]:
    """A browser of their own for one of the demo's people, or for somebody new."""
    context = browser.new_context(
        viewport={"width": WIDE, "height": 800},
        java_script_enabled=javascript,
        reduced_motion="reduce",  # colours are judged where they end, not on their way
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    person = place.demo[who] if who else {"email": "", "password": "", "totp_secret": ""}
    seed = base64.b32decode(person["totp_secret"])
    visitor = Visitor(page, place.web_url, person["email"], person["password"], seed)
    page.on("console", lambda message: _note(visitor, message))
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    try:
        yield visitor
    finally:
        context.close()


def _note(visitor: Visitor, message: Any) -> None:
    """Chromium reports a refusal's status as an error too; that is what the test looks for itself."""
    if message.type in {"error", "warning"} and "the server responded with a status of 4" not in message.text:
        visitor.complaints.append(message.text)
