"""The set-up stage as a newcomer lives it, from the operator's invitation to a verified test callback."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
from playwright.sync_api import Error, expect

from merchants import signing
from tests.browser.conftest import quicken
from tests.browser.visitor import Visitor, visiting
from tests.flows.installation import until

pytestmark = pytest.mark.browser
PASSWORD = "seven quiet herons at dusk"


@dataclass
class Newcomer:
    """Somebody whom the operator invites."""

    visitor: Visitor
    home: str = ""
    key: str = ""
    secret: str = ""

    def onward(self, act: str) -> None:
        """Follows the step that the page names next."""
        self.visitor.page.get_by_role("link", name=act, exact=True).first.click()
        self.visitor.page.wait_for_load_state()


@pytest.fixture
def newcomer(chromium, place):
    with visiting(chromium, place) as visitor:
        visitor.email, visitor.password = "ann@new.test", PASSWORD
        yield Newcomer(visitor)


def test_leads_from_the_invitation_to_a_verified_test_callback(chromium, place, newcomer):
    link = invite(chromium, place, newcomer.visitor.email)
    join(newcomer, link)
    quicken(place)
    sign_in(newcomer)
    enable_currencies(newcomer)
    make_a_key(newcomer, place)
    list_ips(newcomer, place)
    be_called_back(newcomer)
    newcomer.visitor.go(newcomer.home)
    assert "Set up your account" not in newcomer.visitor.text()
    assert newcomer.visitor.complaints == []


def invite(chromium, place, email):
    """The operator makes a merchant and invites its first Owner; the link in the letter."""
    with visiting(chromium, place, "operator") as operator:
        operator.enter_as_operator()
        operator.go("/operator/merchants/merchant/add/")
        operator.page.fill("[name=name]", "New Shop")
        operator.page.fill("[name=public_name]", "New Shop")
        operator.page.click("[name=_save]")
        operator.page.get_by_role("link", name="Invite its first Owner").click()
        operator.page.fill("[name=email]", email)
        operator.page.fill("#invitation_form [name=code]", operator.code())
        operator.page.click("[name=_save]")
        assert "was added successfully" in operator.text("body")
        operator.go("/operator/mailbox/")
        letter = operator.page.locator(".letter", has_text=email).first.inner_text()
        assert operator.complaints == []
    return re.search(r"http://\S+?(/invitation/\S+)", letter)[1]


def join(newcomer, link):
    """Password, authenticator, recovery codes."""
    visitor = newcomer.visitor
    visitor.go(link)
    assert "as Owner" in visitor.text()
    visitor.submit(code=False, password="short", repeat="short")
    expect(visitor.page.locator("#id_password_error")).to_be_visible()
    visitor.submit(code=False, password=PASSWORD, repeat=PASSWORD)
    assert "Set up your authenticator" in visitor.text()
    assert visitor.page.locator(".qr svg").count() == 1
    key = visitor.page.locator("#key").get_attribute("data-value")
    visitor.seed, visitor.step = base64.b32decode(key + "=" * (-len(key) % 8)), 30
    visitor.submit()
    assert "Save your recovery codes" in visitor.text()
    assert visitor.page.locator(".codes code").count() == 10
    codes = visitor.page.locator(".codes code").first.inner_text()
    visitor.page.get_by_role("link", name="I have saved them").click()
    visitor.page.wait_for_url("**/balances/")
    newcomer.home = visitor.page.url.removeprefix(visitor.base)
    assert "0 of 5 done" in visitor.text()
    assert codes not in back(visitor)
    visitor.step = 4
    assert visitor.go(link).status == 404  # it worked once


def back(visitor):
    """What the back button shows; the browser may refuse to ask for an answer to a form again."""
    with suppress(Error):
        visitor.page.go_back()

    def content():
        with suppress(Error):  # it is still on its way
            return visitor.page.content()

    return until(content, what="the page before")


def sign_in(newcomer):
    """The first sign-in with both factors, as every later one."""
    visitor = newcomer.visitor
    visitor.go(newcomer.home)
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url("**/sign-in/**")
    visitor.sign_in()
    visitor.go(newcomer.home)


def enable_currencies(newcomer):
    visitor = newcomer.visitor
    newcomer.onward("Add currencies")
    visitor.page.check("[value=BTC]")
    visitor.page.check("[value=EUR]")
    visitor.submit(code=False)
    assert "Enabled: BTC, EUR." in visitor.text() or "Enabled: EUR, BTC." in visitor.text()


def make_a_key(newcomer, place):
    """Generated, activated, its secret shown once: not by a reload, not by the back button."""
    visitor = newcomer.visitor
    newcomer.onward("Generate a key")
    visitor.submit()
    newcomer.onward("Activate the key")
    visitor.submit()
    newcomer.key, newcomer.secret = visitor.text("#public-key"), visitor.text("#secret")
    assert visitor.judge("secret") == []
    visitor.page.get_by_role("link", name="I have saved it").click()
    visitor.page.wait_for_load_state()
    assert newcomer.secret not in visitor.page.content()
    assert newcomer.secret not in back(visitor)
    visitor.go(newcomer.home)
    visitor.go(f"{newcomer.home.removesuffix('balances/')}keys/{newcomer.key}/")
    assert newcomer.secret not in visitor.page.content()
    assert call(newcomer, place) == 200


def call(newcomer, place):
    """What a request of the newcomer's program is answered."""
    with borrowed(newcomer, place):
        return place.call("accounts/list").status_code


class borrowed:  # noqa: N801 - reads as a word where it stands
    """The installation's calls are signed with the newcomer's key meanwhile."""

    def __init__(self, newcomer, place):
        self.demo, self.theirs = place.demo, {"api_key": newcomer.key, "api_secret": newcomer.secret}

    def __enter__(self):
        self.ours = {name: self.demo[name] for name in self.theirs}
        self.demo.update(self.theirs)

    def __exit__(self, *_):
        self.demo.update(self.ours)


def list_ips(newcomer, place):
    """The preview names the traffic that a list would refuse; nothing is saved by it."""
    visitor = newcomer.visitor
    seen = (
        "SELECT 1 FROM merchants_keytraffic t JOIN merchants_apikey k ON k.id = t.key_id"
        f" WHERE k.public_key = '{newcomer.key}'"
    )
    until(lambda: place.query(seen), seconds=20, what="the key's traffic")
    visitor.go(newcomer.home)
    newcomer.onward("List IPs")
    visitor.page.fill("[name=ips]", "203.0.113.9, ::ffff:198.51.100.7")
    visitor.page.get_by_role("button", name="Preview").click()
    expect(visitor.page.locator("main")).to_contain_text("1 from 127.0.0.1")
    assert visitor.judge("preview") == []
    assert call(newcomer, place) == 200
    visitor.submit(ips="203.0.113.9, ::ffff:198.51.100.7, 127.0.0.1")
    assert "saved and in force" in visitor.text()
    for listed in ("203.0.113.9", "198.51.100.7", "127.0.0.1"):
        assert listed in visitor.text(".facts")
    assert call(newcomer, place) == 200


def be_called_back(newcomer):
    """By the receiver that the page offers: it answers 200 only to what the new secret signed."""
    visitor = newcomer.visitor
    newcomer.onward("Set the address")
    visitor.page.get_by_text("No server at hand?").click()
    assert visitor.judge("receiver") == []
    with running(visitor.text("#receiver"), newcomer.secret) as (url, told):
        visitor.submit(url=url)
        newcomer.onward("Send the test")
        visitor.submit(code=False)
        expect(visitor.page.locator("h1 .badge")).to_have_text("Delivered")
        verdict, _, body = told().partition(" ")
    assert visitor.judge("delivered") == []
    assert verdict == "genuine"
    assert json.loads(body)["crypto_address"]["foreign_id"] == "bursar-test"
    shown = visitor.text()
    assert "Your server answered 200." in shown
    assert f"{signing.KEY_HEADER}: {newcomer.key}" in shown
    assert re.search(rf"{signing.SIGNATURE_HEADER}: [0-9a-f]{{128}}", shown)
    assert url in shown


@contextmanager
def running(program, secret):
    """The receiver as a process: where it listens, and what it says next."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", program.replace("9099", str(port))],
        env={"API_SECRET": secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def listens():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    try:
        until(listens, what="the receiver")
        yield f"http://127.0.0.1:{port}/", process.stdout.readline
    finally:
        process.kill()
        process.communicate()
