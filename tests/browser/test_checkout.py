"""A payer's way through an invoice in a real browser: chosen, paid, seen, with a script and without."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import visiting
from tests.flows.installation import Installation

_numbers = itertools.count(1)


def invoice(place: Installation, **options: Any) -> str:
    """The path of a new invoice's page."""
    asked = {
        "timer": True,
        "type": "good_until_expired",
        "title": "Two tickets",
        "currency": "EUR",
        "amount": "106.75",
        "foreign_id": f"checkout-{next(_numbers)}",
        "url_success": "https://shop.example/ok",
        "url_failed": "https://shop.example/no",
    }
    answer = place.call("invoices/create", asked | options)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["data"]["url"]
    return "/invoice/" + url.rpartition("/")[2]


def pay(place: Installation, page: Any, *, share: float = 1.0) -> None:
    """The sandbox's payer sends what the page says, or a part of it."""
    address = page.get_attribute("#address", "data-value")
    amount = float(page.get_attribute("#amount", "data-value"))
    place.control.call("pay", address=address, amount=f"{amount * share:.8f}")


def test_is_chosen_and_followed_on_the_open_page(chromium: Browser, place: Installation) -> None:
    minded = []
    with visiting(chromium, place) as payer:
        payer.go(invoice(place))
        minded += payer.judge("checkout-choose")
        payer.page.check("[name=currency][value=BTC]")
        payer.page.fill("[name=email]", "payer@example.com")
        payer.page.get_by_role("button", name="Continue").click()
        expect(payer.page.locator(".card.pay")).to_be_visible()
        expect(payer.page.locator("[data-until]")).to_have_text(re.compile(r"^1[0-4]:[0-5][0-9]$"))
        minded += payer.judge("checkout-pay")
        pay(place, payer.page, share=0.6)
        expect(payer.page.locator(".card.part_paid")).to_be_visible()
        minded += payer.judge("checkout-part-paid")
        pay(place, payer.page, share=1.25)
        expect(payer.page.locator(".card.seen, .card.overpaid")).to_be_visible()
        minded += payer.judge("checkout-seen")
        place.control.call("block", count=3)
        expect(payer.page.locator(".card.overpaid")).to_be_visible()
        assert "You paid more than was asked." in payer.text()
        assert payer.complaints == []
    assert minded == []


@pytest.mark.parametrize("javascript", [True, False])
def test_takes_every_step_without_a_script_too(
    chromium: Browser, place: Installation, javascript: bool
) -> None:
    with visiting(chromium, place, javascript=javascript) as payer:
        payer.go(invoice(place, timer=False))
        payer.page.check("[name=currency][value=BTC]")
        payer.page.fill("[name=email]", "payer@example.com")
        payer.page.get_by_role("button", name="Continue").click()
        expect(payer.page.locator(".card.pay")).to_be_visible()
        expect(payer.page.locator("a.qr svg")).to_be_visible()
        assert payer.complaints == []


def test_is_small_and_asks_nobody_else(chromium: Browser, place: Installation) -> None:
    with visiting(chromium, place) as payer:
        asked: list[tuple[str, int]] = []
        payer.page.on("response", lambda answer: asked.append((answer.url, len(answer.body()))))
        path = invoice(place)
        payer.go(path)
        payer.page.wait_for_load_state("load")
        first = [(url, size) for url, size in asked if "mark=" not in url]
        assert all(url.startswith((payer.base, "data:")) for url, _ in first)
        assert sum(size for _, size in first) <= 60_000
