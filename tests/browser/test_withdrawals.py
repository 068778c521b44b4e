"""Money out in a browser: four eyes, declined, sent once, unknown and resolved by two, stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from payments import address_formats
from tests.browser.visitor import Visitor, visiting
from tests.flows.installation import Installation, until

pytestmark = pytest.mark.browser
M = "/m/11"
LIMITS = f"{M}/settings/withdrawal-limits"
BROKEN = {"api_status": 502, "silent": True}
"""Every answer is lost, and no callback comes."""
WHOLE = {"api_status": 0, "silent": False}


@pytest.fixture
def second(chromium: Browser, place: Installation) -> Iterator[Visitor]:
    """The other Owner."""
    with visiting(chromium, place, "second_owner") as visitor:
        visitor.sign_in()
        yield visitor


@pytest.fixture(autouse=True)
def _money(place: Installation) -> None:
    """Enough of it, by a deposit of the sandbox."""
    if float(place.balance()) < 1:
        place.control.call("pay", address=place.take("treasury"), amount="3")
        place.control.call("block", network="BTC", count=3)
        until(lambda: float(place.balance()) > 1, seconds=60, what="a balance to spend")


def address(seed: str) -> str:
    return address_formats.make("bitcoin", seed.encode(), testnet=True)


def state(place: Installation, number: int) -> str:
    rows = place.query(
        "SELECT w.state FROM payments_withdrawal w JOIN payments_operation o ON o.id = w.operation_id"
        f" WHERE o.wire_id = {number}"
    )
    return str(rows[0][0])


def counted(place: Installation) -> int:
    return int(place.query("SELECT count(*) FROM payments_withdrawal")[0][0])


def wait_for(place: Installation, number: int, wanted: str) -> None:
    until(lambda: state(place, number) == wanted, seconds=90, what=f"withdrawal {number} to be {wanted}")


def hold_everything(owner: Visitor, *, origin: str, hold: bool) -> None:
    owner.go(f"{LIMITS}/{origin}/default/")
    owner.page.set_checked("[name=everything]", hold)
    owner.submit()
    assert "The limits are saved" in owner.text()


def look(owner: Visitor, **fields: str) -> None:
    """Fills Send and looks what it would do."""
    owner.go(f"{M}/send/BTC/")
    owner.submit(code=False, **fields)
    assert "What it would do" in owner.text()


def send(owner: Visitor, **fields: str) -> int:
    """The number of the withdrawal that was asked for."""
    look(owner, **fields)
    owner.submit()
    return int(owner.page.url.rstrip("/").rpartition("/")[2])


def decide(visitor: Visitor, number: int, decision: str, reason: str) -> None:
    visitor.go(f"{M}/approvals/")
    visitor.page.check(f"[name=chosen][value='{number}']")
    visitor.submit(button=f"main [value={decision}]", reason=reason)


class TestFourEyes:
    def test_hold_and_let_go(self, owner: Visitor, second: Visitor, place: Installation) -> None:
        hold_everything(owner, origin="staff", hold=True)
        minded = []
        owner.go(f"{M}/send/BTC/")
        minded += owner.judge("send")
        look(owner, address=address("four eyes"), amount="0.02", note="Invoice 7")
        assert second.email in owner.text()
        assert "First seen" in owner.text()
        minded += owner.judge("send-preview")
        owner.submit()
        number = int(owner.page.url.rstrip("/").rpartition("/")[2])
        assert "waits for another Owner" in owner.text()
        minded += owner.judge("transaction-pending")

        owner.go(f"{M}/approvals/")
        assert "You asked for this yourself" in owner.text()
        minded += owner.judge("approvals-own")
        decide(owner, number, "approve", "Mine")
        assert "another Owner must approve it" in owner.text()
        assert state(place, number) == "pending"

        second.go(f"{M}/approvals/")
        expect(second.page.locator(".rail .count")).to_contain_text("1")
        minded += second.judge("approvals")
        second.go(f"{M}/approvals/{number}/")
        minded += second.judge("approval")
        decide(second, number, "approve", "Compared with the invoice")
        assert "The withdrawal is approved." in second.text()
        wait_for(place, number, "confirmed")
        owner.go(f"{M}/transactions/{number}/")
        told = owner.text()
        assert "Confirmed" in told
        assert f"Approved by {second.email}: Compared with the invoice" in told
        minded += owner.judge("transaction-confirmed")
        owner.go(f"{M}/withdrawals/{number}/")
        assert "withdrawal/crypto" in owner.text("pre")
        minded += owner.judge("withdrawal")
        assert minded == []
        assert owner.complaints + second.complaints == []

    def test_hold_and_give_back(self, owner: Visitor, second: Visitor, place: Installation) -> None:
        hold_everything(owner, origin="staff", hold=True)
        before = place.balance()
        number = send(owner, address=address("declined"), amount="0.03")
        assert float(place.balance()) < float(before)
        decide(second, number, "decline", "Nobody knows this address")
        assert "declined, and the money is available again" in second.text()
        assert (state(place, number), place.balance()) == ("declined", before)
        owner.go(f"{M}/transactions/{number}/")
        assert f"Declined by {second.email}: Nobody knows this address" in owner.text()
        assert owner.complaints + second.complaints == []


class TestSend:
    def test_is_done_once_for_a_double_click_and_after_going_back(
        self, chromium: Browser, owner: Visitor, place: Installation
    ) -> None:
        """Without scripts nothing in the browser holds the second click back."""
        hold_everything(owner, origin="staff", hold=True)
        before = counted(place)
        with visiting(chromium, place, "owner", javascript=False) as plain:
            plain.sign_in()
            look(plain, address=address("once"), amount="0.01")
            fields = plain.page.locator("main form[method=post]").last
            again = {
                name: fields.locator(f"[name={name}]").get_attribute("value") or ""
                for name in ("csrfmiddlewaretoken", "token", "address", "amount", "seen")
            }
            plain.page.fill("main [name=code]", plain.code())
            plain.page.dblclick("main [value=send]")
            until(lambda: counted(place) > before, what="the withdrawal")
            url = f"{plain.base}{M}/send/BTC/"
            answer = plain.page.request.post(url, form={**again, "step": "send"}, headers={"Referer": url})
            assert "This was asked for already, once" in answer.text()
        assert counted(place) == before + 1
        number = place.query("SELECT max(wire_id) FROM payments_operation WHERE origin = 'staff'")[0][0]
        decide(owner, number, "decline", "Enough")
        assert state(place, number) == "declined"

    def test_says_what_is_wrong_at_its_field(self, owner: Visitor) -> None:
        owner.go(f"{M}/send/BTC/")
        owner.submit(code=False, address="2Nnonsense", amount="0")
        expect(owner.page.locator("#id_amount_error")).to_contain_text("more than 0")
        owner.submit(code=False, amount="0.01")
        expect(owner.page.locator("#id_address_error")).to_contain_text("address is invalid")
        expect(owner.page.locator("[name=amount]")).to_have_value("0.01")


class TestReconciliation:
    """Before an outcome is settled by people: that is booked without the processor's fees, and shows."""

    def test_is_looked_at_when_an_operator_asks(self, chromium: Browser, place: Installation) -> None:
        with visiting(chromium, place, "operator") as operator:
            operator.enter_as_operator()
            before = place.query("SELECT count(*) FROM payments_reconciliation")[0][0]
            operator.go("/operator/payments/reconciliation/latest/")
            operator.page.get_by_role("button", name="Look now").click()
            assert "The sender looks now" in operator.text("body")
            until(
                lambda: place.query("SELECT count(*) FROM payments_reconciliation")[0][0] > before,
                what="a look at the processor",
            )
            operator.go("/operator/payments/reconciliation/latest/")
            row = operator.page.locator("tr", has_text="BTC").first
            expect(row).to_contain_text("agrees")
            operator.judge("reconciliation")  # for its pictures: the page is Django's own frame


class TestUnknown:
    def ask(self, place: Installation, name: str) -> int:
        body = {"foreign_id": name, "currency": "BTC", "amount": "0.02", "address": address(name)}
        answer = place.call("withdrawal/crypto", body)
        assert answer.status_code == 201, answer.text
        number: Any = answer.json()["data"]["id"]
        return int(number)

    def test_is_never_sent_again_and_resolved_by_two(
        self, owner: Visitor, second: Visitor, place: Installation
    ) -> None:
        minded = []
        place.control.call("faults", **BROKEN)
        try:
            number = self.ask(place, "lost-answer")
            wait_for(place, number, "unknown")
            owner.go(f"{M}/withdrawals/")
            assert "Outcome unknown" in owner.text()
            minded += owner.judge("unknown")
            owner.page.get_by_role("link", name=f"№ {number}").click()
            assert "Why we will not retry" in owner.text()
            minded += owner.judge("unknown-detail")
            owner.page.get_by_role("link", name="Say what became of it").click()
            minded += owner.judge("unknown-say")
            owner.page.check("[name=outcome][value=paid]")
            owner.submit(txid="c0ffee" + "0" * 58, reason="Their support sees it on the chain")
            assert "A second Owner must agree" in owner.text()
            assert state(place, number) == "unknown"

            second.go(f"{M}/withdrawals/{number}/outcome/")
            assert owner.email in second.text()
            minded += second.judge("unknown-agree")
            second.submit()
            assert "Two people agree" in second.text()
            assert state(place, number) == "confirmed"
        finally:
            place.control.call("faults", **WHOLE)
        assert minded == []
        assert owner.complaints + second.complaints == []


class TestSettings:
    def test_of_limits_and_contacts_are_fit_for_everybody(self, owner: Visitor, place: Installation) -> None:
        hold_everything(owner, origin="api", hold=False)
        minded = []
        owner.go(f"{LIMITS}/api/add/")
        owner.page.select_option("[name=currency]", "BTC")
        owner.submit(one_operation="0", per_day="2.5")
        expect(owner.page.locator("#id_one_operation_error")).to_contain_text("0 would be no limit")
        minded += owner.judge("limit-refused")
        owner.page.select_option("[name=currency]", "BTC")
        owner.submit(one_operation="0.5", per_day="2.5")
        owner.go(f"{LIMITS}/recipients/")
        owner.submit(emails="treasury@demo.test, night@demo.test")
        minded += owner.judge("limits")
        for name, path in (
            ("limit", f"{LIMITS}/staff/default/"),
            ("limit-remove", f"{LIMITS}/api/BTC/remove/"),
            ("recipients", f"{LIMITS}/recipients/"),
            ("contacts-empty", f"{M}/contacts/"),
            ("contact-add", f"{M}/contacts/add/"),
            ("approvals-empty", f"{M}/approvals/"),
            ("alerts-empty", f"{M}/alerts/"),
        ):
            owner.go(path)
            minded += owner.judge(name)
        owner.go(f"{M}/contacts/add/")
        owner.page.select_option("[name=currency]", "BTC")
        owner.submit(name="Cold wallet", address=address("cold wallet"))
        assert "Cools down" in owner.text()
        minded += owner.judge("contacts")
        owner.page.get_by_role("link", name="Remove Cold wallet").click()
        minded += owner.judge("contact-remove")
        owner.submit()
        assert "Cold wallet is removed." in owner.text()
        owner.go(f"{LIMITS}/api/BTC/remove/")
        owner.submit()
        assert minded == []
        assert owner.complaints == []


class TestStop:
    def test_stands_above_every_page_until_it_is_lifted_on_the_server(
        self, owner: Visitor, viewer: Visitor, place: Installation
    ) -> None:
        minded = []
        owner.go(f"{M}/stop/")
        minded += owner.judge("stop")
        owner.page.get_by_role("link", name="Stop all withdrawals").click()
        minded += owner.judge("stop-act")
        owner.submit(reason="A laptop was stolen")
        try:
            assert "Withdrawals are stopped." in owner.text()
            minded += owner.judge("stopped")
            for page in ("balances", "transactions", "settings"):
                viewer.go(f"{M}/{page}/")
                assert f"by {owner.email}: A laptop was stolen" in viewer.text()
            owner.go(f"{M}/alerts/")
            minded += owner.judge("alerts")
            hold_everything(owner, origin="staff", hold=False)
            number = send(owner, address=address("stopped"), amount="0.01")
            expect(owner.page.locator("h1 .badge")).to_have_text("To be sent")
        finally:
            stop = place.query("SELECT id FROM payments_stop WHERE lifted_at IS NULL")[0][0]
            place.manage("stops", "lift", str(stop), "--by", "Ada Owner", "--reason", "It was found")
        wait_for(place, number, "confirmed")
        owner.go(f"{M}/stop/")
        assert "It was found" in owner.text()
        minded += owner.judge("stop-lifted")
        assert minded == []
        assert owner.complaints + viewer.complaints == []
