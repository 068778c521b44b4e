"""Invoices' lives, made up by Hypothesis: whatever happens in whatever order, states, books and news agree.

A model beside the program keeps for each invoice what was seen and confirmed of it, and says by the published
diagram where it must stand. After every step the books are added up again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from callbacks.models import OutgoingCallback
from payments import held_deposits, invoice_bodies, invoices
from payments.invoices import CannotBeFailed, CannotBePaid
from payments.models import Invoice, InvoicePart
from payments.models.account import AccountKind
from payments.processors.base import DepositNotice
from tests.payments.invoicing import PRICE, Shop

pytestmark = pytest.mark.django_db
NOTHING = Decimal(0)
OPEN = {"pending", "processing"}
DAY = timedelta(hours=24)
ACTS = [
    *("0.0018", "0.0009", "0.0030", "0.00000001", "0.0018 at once", "0.0009 at once", "0.0030 at once"),
    *("confirm all", "turn the chain"),
]
"""An amount that is sent, and perhaps confirmed when it is first seen; or what happens to all of them."""


@dataclass
class Paid:
    """One payment. counted: the invoice could be paid when it was seen. state: seen, confirmed or dropped."""

    notice: DepositNotice
    counted: bool
    state: str = "seen"

    @property
    def sent(self) -> Decimal:
        return self.notice.sent.amount


@dataclass
class Life:
    """What must be true of one invoice."""

    pk: int
    status: str
    until: datetime | None
    wanted: Decimal | None = None
    payments: list[Paid] = field(default_factory=list)

    @property
    def seen(self) -> Decimal:
        return sum((one.sent for one in self.payments if one.counted and one.state != "dropped"), NOTHING)

    @property
    def confirmed(self) -> Decimal:
        return sum((one.sent for one in self.payments if one.counted and one.state == "confirmed"), NOTHING)

    def look_at_the_clock(self, now: datetime) -> None:
        if self.status in OPEN and self.until is not None and now >= self.until:
            self.status = "failed"

    def follow(self, now: datetime) -> None:
        """The published diagram, and back to processing when the chain turns."""
        if self.wanted is None:
            return
        if self.status == "pending" and self.seen >= self.wanted:
            self.status, self.until = "processing", now + DAY
        if self.status == "processing" and self.confirmed >= self.wanted:
            self.status = "confirmed"
        if self.status == "confirmed" and self.confirmed < self.wanted:
            self.status, self.until = "processing", now + DAY


class Lives(RuleBasedStateMachine):
    known = Bundle("known")
    payable = Bundle("payable")
    paid = Bundle("paid")

    def __init__(self) -> None:
        super().__init__()
        self._undone = transaction.atomic()
        self._undone.__enter__()
        self.shop = Shop()
        self.shop.quote(BTC_EUR=PRICE)
        for convert_to in ("", "EUR"):
            self.shop.fill_pool("BTC", convert_to, 40)
        self.lives: dict[int, Life] = {}
        self.blocked = False

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._undone.__exit__(None, None, None)

    # --- what happens ---

    @rule(target=known, timer=st.booleans(), mode=st.sampled_from(["fill_or_kill", "good_until_expired"]))
    def ask_without_a_currency(self, timer: bool, mode: str) -> int:
        return self._live(self.shop.create(timer=timer, mode=mode, **self._named()))

    @initialize(target=payable)
    def begin(self) -> int:
        return self._live(self.shop.ready(**self._named()))

    @rule(target=payable, currency=st.sampled_from(["EUR", "BTC"]))
    def ask_in_bitcoin(self, currency: str) -> int:
        amount = "106.75" if currency == "EUR" else "0.0018"
        return self._live(self.shop.ready(amount, currency, **self._named()))

    @rule(target=payable, pk=known)
    def choose(self, pk: int) -> int:
        life = self.lives[pk]
        overdue = life.until is not None and self.shop.now >= life.until
        try:
            chosen = self.shop.choose(Invoice.objects.get(pk=pk))
        except CannotBePaid:
            assert life.status == "failed" or overdue
            return pk
        if life.status == "created":
            life.status, life.until = "pending", self.shop.now + timedelta(minutes=15)
        life.wanted = chosen.sender_amount
        return pk

    @rule(target=paid, pk=payable, acts=st.lists(st.sampled_from(ACTS), min_size=1, max_size=4))
    def go_on(self, pk: int, acts: list[str]) -> Paid | None:
        """Several things in a row to one invoice that can be paid: chance alone rarely gets far."""
        paid = None
        for act in acts:
            paid = self._act(self.lives[pk], act) or paid
            self.states_are_those_of_the_diagram()
            self.merchant_and_payers_have_what_is_theirs()
        return paid

    def _act(self, life: Life, act: str) -> Paid | None:
        if act == "confirm all":
            self._say("confirmed", life.payments)
        elif act == "turn the chain":
            self._say("dropped", [one for one in life.payments if one.state == "confirmed"])
        elif life.wanted is not None:
            amount, *at_once = act.split(maxsplit=1)
            return self._pay(life, amount, at_once=bool(at_once))
        return None

    def _pay(self, life: Life, amount: str, *, at_once: bool) -> Paid:
        life.look_at_the_clock(self.shop.now)
        notice = self.shop.payment(Invoice.objects.get(pk=life.pk), amount)
        payment = Paid(notice, counted=life.status in OPEN)
        life.payments.append(payment)
        if at_once:
            self.shop.confirm(notice)
            payment.state = "confirmed"
        else:
            self.shop.report(notice)
        life.follow(self.shop.now)
        return payment

    @rule(payments=st.lists(paid, min_size=1, max_size=3, unique_by=id))
    def confirm(self, payments: list[Paid | None]) -> None:
        self._say("confirmed", [one for one in payments if one])

    @rule(payments=st.lists(paid, min_size=1, max_size=3, unique_by=id))
    def drop(self, payments: list[Paid | None]) -> None:
        self._say("dropped", [one for one in payments if one])

    @rule(minutes=st.sampled_from([1, 1, 7, 15, 24 * 60]))
    def wait(self, minutes: int) -> None:
        self.shop.wait(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        self.shop.sweep()
        for life in self.lives.values():
            life.look_at_the_clock(self.shop.now)

    @rule(pk=st.one_of(known, payable))
    def cancel(self, pk: int) -> None:
        life, invoice = self.lives[pk], Invoice.objects.get(pk=pk)
        try:
            invoices.cancel(merchant=self.shop.merchant, foreign_id=invoice.foreign_id, now=self.shop.now)
        except CannotBeFailed:
            assert life.status in {"confirmed", "failed"}
        else:
            assert life.status in {"created", *OPEN}
            life.status = "failed"

    @rule(price=st.sampled_from(["30000", "59305.55555556", "90000"]))
    def let_the_market_move(self, price: str) -> None:
        self.shop.upstream = Decimal(price)

    @precondition(lambda self: not self.blocked)
    @rule()
    def block(self) -> None:
        self.shop.merchant.block()
        self.blocked = True

    @precondition(lambda self: self.blocked)
    @rule()
    def unblock(self) -> None:
        self.shop.merchant.unblock()
        held_deposits.release(merchant=self.shop.merchant, now=self.shop.now)
        self.blocked = False

    def _named(self) -> dict[str, Any]:
        return {"foreign_id": f"inv-{len(self.lives)}"}

    def _live(self, invoice: Invoice) -> int:
        life = Life(invoice.pk, str(invoice.status), invoice.release_at, invoice.sender_amount)
        self.lives[invoice.pk] = life
        return life.pk

    def _say(self, word: str, payments: list[Paid]) -> None:
        """The processor's word about several payments, in one batch."""
        if not payments:
            return
        say = self.shop.confirm if word == "confirmed" else self.shop.cancel_deposits
        mine = [life for life in self.lives.values() if any(one in life.payments for one in payments)]
        for life in mine:
            life.look_at_the_clock(self.shop.now)
        say(*(one.notice for one in payments))
        for one in payments:
            one.state = word
        for life in mine:
            life.follow(self.shop.now)

    # --- what must be true ---

    @invariant()
    def states_are_those_of_the_diagram(self) -> None:
        stored = dict(Invoice.objects.values_list("pk", "status"))
        assert stored == {pk: life.status for pk, life in self.lives.items()}

    @invariant()
    def books_add_up(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT currency FROM payments_posting GROUP BY currency HAVING sum(amount) <> 0"
                " UNION ALL SELECT a.currency FROM payments_account a"
                " LEFT JOIN payments_posting p ON p.account_id = a.id WHERE a.kept"
                " GROUP BY a.id HAVING a.balance <> COALESCE(sum(p.amount), 0)"
            )
            assert cursor.fetchall() == []

    @invariant()
    def merchant_and_payers_have_what_is_theirs(self) -> None:
        for currency in ("EUR", "BTC"):
            paid = list(Invoice.objects.filter(status="confirmed", currency=currency))
            fees = sum((row.fee_amount for row in paid), NOTHING)
            given = [row for row in paid if row.credited_to == "available"]
            waiting = [row for row in paid if row.credited_to == "held"]
            parts = list(InvoicePart.objects.select_related("operation", "invoice"))
            parts = [part for part in parts if part.operation.currency_received == currency]
            booked = [part for part in parts if part.operation.is_booked]
            still_open = [
                part for part in booked if part.invoice.status in OPEN and part.standing == "counted"
            ]
            balance = self.shop.balance(currency)
            assert balance.available - balance.debt == _net(given)
            assert balance.held == (
                _net(waiting)
                + sum((part.operation.amount_received for part in still_open), NOTHING)
                + sum((part.left for part in parts), NOTHING)
            )
            assert self.shop.booked(AccountKind.FEE_INCOME, currency) == fees
            came = sum((part.settled for part in parts), NOTHING)
            asked = sum((row.amount for row in paid), NOTHING)
            assert self.shop.booked(AccountKind.CONVERSION, currency) == came - asked
            if currency == "BTC":
                assert came == asked  # nothing was converted, nothing can differ

    @invariant()
    def each_invoice_took_what_it_asked_for(self) -> None:
        for row in Invoice.objects.prefetch_related("parts"):
            taken = sum((part.taken for part in row.parts.all()), NOTHING)
            assert taken == (row.sender_amount if row.status == "confirmed" else 0)

    @invariant()
    def news_end_where_the_invoice_stands(self) -> None:
        for row in Invoice.objects.for_bodies():
            told = OutgoingCallback.objects.filter(subject_kind="invoice", subject_id=row.pk)
            last = told.order_by("-version").first()
            if row.status in {"created"} or (row.status == "pending" and not row.parts.exists()):
                assert last is None
                continue
            if last is None:
                continue  # its parts were cancelled at first sight, or are of no account
            said, now_is = json.loads(bytes(last.body)), invoice_bodies.invoice_body(row)
            assert said["status"] == now_is["status"]
            if row.status in OPEN:
                assert said["currency_sent"] == now_is["currency_sent"]
            if row.status == "confirmed":
                assert now_is["currency_sent"]["remaining_amount"] == "0.00000000"
            if row.status in {"processing", "confirmed", "failed"}:
                assert last.version == row.version

    @invariant()
    def what_is_shown_and_what_remains_is_what_was_asked(self) -> None:
        for row in Invoice.objects.for_bodies():
            if not row.is_chosen:
                continue
            body = invoice_bodies.invoice_body(row)
            shown = sum((Decimal(leg["amount"]) for leg in body["transactions"]), NOTHING)
            remains = Decimal(body["currency_sent"]["remaining_amount"])
            assert shown + remains == max(row.sender_amount or NOTHING, shown)


def _net(rows: list[Invoice]) -> Decimal:
    return sum((row.amount - row.fee_amount for row in rows), NOTHING)


def test_lives_of_invoices():
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=12,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
