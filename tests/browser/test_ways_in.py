"""The pages on the way in and around one's own sign-in, walked through as people do, each fit for all."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests.browser.conftest import quicken
from tests.browser.visitor import Visitor, visiting

pytestmark = pytest.mark.browser
CHOSEN, RESET = "seven quiet herons at dusk", "eight loud herons at dawn"


@pytest.fixture
def person(chromium, place):
    """The first Owner of a merchant of their own, with a one-time password."""
    name = f"way{len(place.query('SELECT 1 FROM merchants_user'))}@in.test"
    made = json.loads(place.manage("create_merchant", "Way In", name, "--settled", "--json"))
    quicken(place)
    with visiting(chromium, place) as visitor:
        visitor.email, visitor.password = made["owner"], made["one-time password"]
        visitor.seed = base64.b32decode(padded(made["TOTP secret"].replace(" ", "")))
        yield visitor


def padded(text):
    return text + "=" * (-len(text) % 8)


def fit(visitor: Visitor, name: str) -> None:
    assert visitor.judge(name) == []
    assert visitor.complaints == []


def letter_to(visitor, email):
    """The path of the link in the latest letter to `email`."""
    visitor.go("/mailbox/")
    text = visitor.page.locator("article", has_text=f"To {email}").first.inner_text()
    return re.search(r"http://[^/\s]+(/\S+)", text)[1]


def read_key(visitor, place):
    """The new authenticator's key from the page, as a phone takes it; its first code is a slow one."""
    key = visitor.page.locator("#key").get_attribute("data-value")
    visitor.seed, visitor.step = base64.b32decode(padded(key)), 30
    visitor.submit()
    quicken(place)
    visitor.step = 4


def test_a_one_time_password_is_replaced_first(person):
    person.sign_in()
    person.page.wait_for_url("**/account/password/")
    fit(person, "one-time-password")
    person.go("/merchants/")
    assert person.page.url.endswith("/account/password/")
    person.submit(current=person.password, password=CHOSEN, repeat=CHOSEN)
    person.page.wait_for_url("**/account/")
    fit(person, "account")


def choose_a_password(person):
    person.sign_in()
    person.submit(current=person.password, password=CHOSEN, repeat=CHOSEN)
    person.password = CHOSEN


def test_codes_and_authenticator_are_replaced(person, place):
    choose_a_password(person)
    person.go("/account/recovery-codes/")
    fit(person, "renew-codes")
    person.submit()
    fit(person, "new-codes")
    person.go("/account/authenticator/")
    fit(person, "prove")
    person.submit()
    assert "Scan this with the new app" in person.text()
    fit(person, "scan")
    read_key(person, place)
    assert person.page.locator(".codes code").count() == 10
    fit(person, "codes-of-the-new-one")
    person.go("/account/")
    assert "cannot make or approve withdrawals" in person.text()
    fit(person, "account-unsettled")


def test_an_email_address_is_confirmed_at_the_new_one(person):
    choose_a_password(person)
    new = f"new-{person.email}"
    person.go("/account/email/")
    fit(person, "email")
    person.submit(email=new)
    link = letter_to(person, new)
    fit(person, "mailbox")
    person.go(link)
    fit(person, "email-confirm")
    person.submit(code=False)
    assert new in person.text()
    person.go(link)
    assert "does not work" in person.text()
    fit(person, "email-link-over")


def test_a_password_is_reset_by_a_link(person, chromium, place):
    choose_a_password(person)
    with visiting(chromium, place) as stranger:
        stranger.go("/password/")
        fit(stranger, "ask-reset")
        stranger.submit(code=False, email=person.email)
        fit(stranger, "reset-asked")
        link = letter_to(person, person.email)
        stranger.go(link)
        fit(stranger, "reset-password")
        stranger.submit(code=False, password=RESET, repeat=RESET)
        fit(stranger, "password-reset")
        stranger.go(link)
        fit(stranger, "link-over")
        stranger.go("/sign-in/recovery/")
        fit(stranger, "sign-in-by-recovery")
    person.go("/account/")
    assert "/sign-in/" in person.page.url  # signed out everywhere


def test_an_invitation_leads_in(person, chromium, place):
    choose_a_password(person)
    guest = f"guest-{person.email}"
    person.go("/")
    person.page.get_by_role("link", name="Team", exact=True).click()
    person.page.get_by_role("link", name="Invite somebody").click()
    person.submit(email=guest)
    assert guest in person.text()
    fit(person, "team")
    link = letter_to(person, guest)
    with visiting(chromium, place) as stranger:
        stranger.email = guest
        stranger.go(link)
        fit(stranger, "invitation")
        stranger.submit(code=False, password=RESET, repeat="another one altogether")
        fit(stranger, "invitation-refused")
        stranger.submit(code=False, password=RESET, repeat=RESET)
        fit(stranger, "enrol")
        read_key(stranger, place)
        fit(stranger, "first-codes")
        stranger.page.get_by_role("link", name="I have saved them").click()
        stranger.page.wait_for_url("**/balances/")
        fit(stranger, "first-page-of-a-viewer")


def test_a_newcomers_first_page_says_what_comes_next(person):
    choose_a_password(person)
    person.go("/")
    assert "0 of 5 done" in person.text()
    fit(person, "first-page")
    home = person.page.url.removeprefix(person.base).removesuffix("balances/")
    for name in ("currencies", "fees", "transactions", "addresses", "addresses/system", "callbacks"):
        person.go(f"{home}{name}/")
        fit(person, f"empty-{name.replace('/', '-')}")
    for name in ("keys", "settings", "settings/callbacks", "settings/test", "team", "audit"):
        person.go(f"{home}{name}/")
        fit(person, f"empty-{name.replace('/', '-')}")
