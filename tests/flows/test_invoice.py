"""Invoices from end to end, across real processes: asked for, paid in parts, overpaid, expired, cancelled."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.flows.installation import DEAD_VALKEY, Installation, installed, until
from tests.flows.test_deposit import check_books, mine, pay

pytestmark = [pytest.mark.flow]


@pytest.fixture
def installation(tmp_path):
    """Worked by a command, so that each step ends when it ends."""
    with installed(tmp_path, valkey=DEAD_VALKEY) as running:
        running.start("web", "intake")
        running.manage("drain", role="sender")
        yield running


def ask(installation: Installation, foreign_id: str, **options: Any) -> dict[str, Any]:
    body = {
        "timer": True,
        "title": "An order",
        "type": "good_until_expired",
        "currency": "EUR",
        "sender_currency": "BTC",
        "amount": "120",
        "foreign_id": foreign_id,
        "url_success": "https://shop.example/ok",
        "url_failed": "https://shop.example/no",
    }
    answer = installation.call("invoices/create", body | options)
    if answer.status_code == 503:  # the first address of its kind: the sender is asked, and comes
        installation.manage("drain", role="sender")
        answer = installation.call("invoices/create", body | options)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def page(invoice: dict[str, Any], installation: Installation) -> str:
    code = invoice["url"].rpartition("/")[2]
    answer = requests.get(f"{installation.web_url}/invoice/{code}", timeout=30)
    assert answer.status_code == 200
    return answer.text


def work(installation: Installation, received: int) -> None:
    """Once the processor's callbacks have come in, applies them and tells the merchant."""
    until(
        lambda: installation.query("SELECT count(*) FROM callbacks_incomingcallback") == [(received,)],
        what=f"{received} callbacks of the processor",
    )
    installation.manage("drain")
    until(
        lambda: _all_told(installation),
        what="every callback delivered",
    )


def _all_told(installation: Installation) -> bool:
    installation.manage("drain")
    return not installation.query("SELECT 1 FROM callbacks_outgoingcallback WHERE state <> 'delivered'")


def balance(installation: Installation) -> tuple[Decimal, Decimal]:
    """What the merchant may spend in euro, and what is held."""
    rows = installation.query("SELECT kind, balance FROM payments_account WHERE currency = 'EUR' AND kept")
    found = dict(rows)
    return found["available"], found["held"]


def test_invoices_are_paid_kept_from_and_given_up(installation):
    """One installation for all: to start it takes longer than the rest."""
    _is_cancelled(installation)
    _is_paid_in_parts_and_the_excess_is_kept(installation)
    _expires_and_what_comes_late_is_kept(installation, received=4)


def _is_paid_in_parts_and_the_excess_is_kept(installation: Installation) -> None:
    before = balance(installation)
    invoice = ask(installation, "inv-1")
    assert invoice["address"] in page(invoice, installation).replace(" ", "")
    half = (Decimal(invoice["sender_amount"]) / 2).quantize(Decimal("1E-8"))
    pay(installation, invoice["address"], str(half))
    work(installation, 1)
    assert installation.receiver.statuses(invoice["id"]) == ["pending"]
    pay(installation, invoice["address"], invoice["sender_amount"])
    work(installation, 2)
    assert installation.receiver.statuses(invoice["id"])[-1] == "processing"
    mine(installation)
    work(installation, 4)
    assert installation.receiver.statuses(invoice["id"])[-1] == "confirmed"
    body = installation.receiver.bodies[-1]
    assert body["currency_received"] == {"currency": "EUR", "amount": "120.00000000"}
    assert body["currency_sent"]["remaining_amount"] == "0.00000000"
    assert body["fees"][0]["type"] == "fee_crypto_deposit_to_fiat"
    assert installation.receiver.unsigned == 0
    fee = Decimal(body["fees"][0]["amount"])
    after = balance(installation)
    assert after[0] - before[0] == 120 - fee
    left = installation.query('SELECT leftover, "left" FROM payments_invoicepart WHERE "left" > 0')
    assert [why for why, _ in left] == ["overpaid"]
    assert after[1] == left[0][1]
    check_books(installation)


def _expires_and_what_comes_late_is_kept(installation: Installation, received: int) -> None:
    before = balance(installation)
    invoice = ask(installation, "inv-2")
    installation.manage("shift_clock", "900")
    installation.manage("drain")
    assert installation.receiver.statuses(invoice["id"]) == ["failed"]
    assert installation.receiver.bodies[-1]["error"] == "Timer expired. User not paid."
    pay(installation, invoice["address"], invoice["sender_amount"])
    work(installation, received + 1)
    mine(installation)
    work(installation, received + 2)
    assert installation.receiver.statuses(invoice["id"]) == ["failed"]
    assert balance(installation)[0] == before[0]
    late = "SELECT count(*) FROM payments_invoicepart WHERE leftover = 'late' AND \"left\" > 0"
    assert installation.query(late) == [(1,)]
    assert re.search("kept for you|too late|back", page(invoice, installation))
    check_books(installation)


def _is_cancelled(installation: Installation) -> None:
    invoice = ask(installation, "inv/3", timer=False)
    answer = installation.call("invoices/inv%2F3/cancel/")
    assert answer.json()["data"]["status"] == "failed"
    installation.manage("drain")
    assert installation.receiver.bodies[-1]["error"] == "Cancelled by merchant."
    assert "crypto_address" not in installation.receiver.bodies[-1]
    assert installation.call("invoices/inv%2F3/cancel/").status_code == 400
    assert invoice["address"] is None
