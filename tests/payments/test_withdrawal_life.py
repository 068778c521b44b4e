"""The life of withdrawals, in any order that chance finds: asked for, decided, sent, heard of, died upon.

A model beside Bursar knows what the processor did and where each withdrawal must stand; after every step the
books, the held money, the wire and the processor's log are compared with it. Processes die between making an
order, writing it down, handing it over and hearing the answer; callbacks come early, late, twice and wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from merchants.errors import Refusal
from payments import approvals, controls, deposits, ledger, limits, outcomes, payouts, sending, withdrawals
from payments.models import Operation, Origin, Rate, Stop, Withdrawal, WithdrawalState
from payments.models.account import Account, AccountKind
from payments.processors.base import (
    CannotTell,
    DepositStatus,
    NotFound,
    PayoutStatus,
    Refused,
    Unreachable,
)
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW, money
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Killed, Payer

pytestmark = pytest.mark.django_db
S = WithdrawalState
OPEN = {S.PENDING, S.APPROVED, S.SENDING, S.SENT, S.UNKNOWN}
IN_FLIGHT = {S.SENDING, S.SENT, S.UNKNOWN}
SHOWN = {S.PENDING: "pending", S.CONFIRMED: "confirmed", S.FAILED: "cancelled"}
SHOWN |= dict.fromkeys([S.APPROVED, S.SENDING, S.SENT, S.UNKNOWN], "processing")
SHOWN |= dict.fromkeys([S.DECLINED, S.EXPIRED], "declined")
NEVER = NOW + timedelta(days=36_500)
CALLBACKS = [PayoutStatus.PROCESSING, PayoutStatus.CONFIRMED, PayoutStatus.CANCELLED]
AMOUNTS = st.sampled_from(["0.1", "0.25", "1", "3"])
_SUMS = """
SELECT 'currency ' || currency FROM payments_posting GROUP BY currency HAVING sum(amount) <> 0
UNION ALL
SELECT 'account ' || a.id FROM payments_account a
 WHERE a.kept AND (
       a.balance <> COALESCE((SELECT sum(amount) FROM payments_posting WHERE account_id = a.id), 0)
    OR a.balance <> COALESCE((SELECT balance_after FROM payments_posting WHERE account_id = a.id
                               ORDER BY seq DESC LIMIT 1), 0)
    OR CASE a.kind WHEN 'receivable' THEN a.balance > 0 ELSE a.balance < 0 END)
"""


@dataclass
class Known:
    """A withdrawal as the model knows it. word: the processor's last one, if it was final; it is kept to."""

    row: Withdrawal
    state: str
    staffs: bool = False
    was_taken: bool = False
    refused: bool = False


def refuses(_payer: Payer, _prepared: Any) -> Any:
    raise Refused("The address is invalid.", "address")


def is_lost(_payer: Payer, _prepared: Any) -> Any:
    raise Unreachable("withdrawal/crypto: 502")


class Life(RuleBasedStateMachine):
    """One merchant, two Owners, two operators, one processor."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = up.payer_out("5")
        self.owners = [up.owner(self.shop), up.owner(self.shop)]
        self.operators = [up.operator(), up.operator()]
        limits.set_limit(
            merchant=self.shop, origin=Origin.STAFF, everything=True, by=self.owners[0].user, now=NOW
        )
        factories.active_key(self.shop)
        self.address = factories.address(self.shop)
        self.payer = Payer()
        self.known: list[Known] = []
        self.deposits: list[tuple[str, bool]] = []
        self.is_stopped = False
        self.now = NOW

    @initialize()
    def begin(self) -> None:
        """What earlier lives left behind is not this one's; without prices no outflow is unlike another."""
        Withdrawal.objects.exclude(merchant=self.shop).update(next_ask_at=NEVER)
        Rate.objects.filter(is_current=True).update(is_current=False)
        Stop.objects.filter(lifted_at=None).update(
            lifted_at=self.now, lifted_by="the last life", lift_reason="over"
        )
        for staffs in (False, False, False, True):
            self._ask_for("0.1", staffs)

    # --- money comes and goes ---

    @rule(amount=AMOUNTS)
    def deposit(self, amount: str) -> None:
        one = factories.notice(self.address, amount)
        self._hear_deposit(one)
        self.deposits.append((one.external_id, True))

    @precondition(lambda self: any(stands for _, stands in self.deposits))
    @rule(data=st.data())
    def reverse_a_deposit(self, data: Any) -> None:
        external_id = data.draw(st.sampled_from([name for name, stands in self.deposits if stands]))
        operation = Operation.objects.get(external_id=external_id)
        self._hear_deposit(
            factories.notice(
                self.address,
                f"{operation.amount_sent:f}",
                external_id=external_id,
                status=DepositStatus.CANCELLED,
            )
        )
        self.deposits = [(name, stands and name != external_id) for name, stands in self.deposits]

    def _hear_deposit(self, notice: Any) -> None:
        with transaction.atomic():
            deposits.record_many(processor=factories.processor(), notices=[notice], now=self.now)

    # --- it is asked for, and decided ---

    @rule(amount=AMOUNTS, staffs=st.booleans())
    def ask_for(self, amount: str, staffs: bool) -> None:
        self._ask_for(amount, staffs)

    def _ask_for(self, amount: str, staffs: bool) -> None:
        how = {"origin": Origin.STAFF, "by": self.owners[0]} if staffs else {"origin": Origin.API}
        if not staffs:
            how["api_key_id"] = self.shop.api_keys.get().pk
        number = None if staffs else f"life-{len(self.known)}-{self.shop.pk}"
        order = withdrawals.Order(
            foreign_id=number, currency="BTC", address=up.ADDRESS, amount=Decimal(amount)
        )
        before = self._balances()
        try:
            made = withdrawals.request(merchant=self.shop, order=order, now=self.now, **how)
        except (withdrawals.InsufficientFunds, withdrawals.MerchantInDebt):
            assert self._balances() == before
            assert before["available"] < Decimal(amount) or before["receivable"] < 0
            return
        row = Withdrawal.objects.get(pk=made.pk)
        self.known.append(Known(row, S.PENDING if staffs else S.APPROVED, staffs))

    @precondition(lambda self: self._in({S.APPROVED, S.SENT, S.CONFIRMED}))
    @rule(data=st.data())
    def ask_for_it_again(self, data: Any) -> None:
        one = self._one(data, {S.APPROVED, S.SENT, S.CONFIRMED})
        order = withdrawals.Order(
            foreign_id=one.row.operation.foreign_id,
            currency="BTC",
            address=up.ADDRESS,
            amount=Decimal("0.1"),
        )
        with pytest.raises(Refusal):
            withdrawals.request(
                merchant=self.shop,
                order=order,
                origin=Origin.API,
                api_key_id=self.shop.api_keys.get().pk,
                now=self.now,
            )

    @precondition(lambda self: self._in({S.PENDING}))
    @rule(data=st.data(), own=st.booleans(), changed=st.booleans())
    def approve(self, data: Any, own: bool, changed: bool) -> None:
        one = self._one(data, {S.PENDING})
        seen = {one.row.operation.wire_id: "00" * 32 if changed else approvals.content_hash(one.row)}
        late = one.row.expires_at <= self.now

        def let_go() -> None:
            approvals.approve(
                merchant=self.shop,
                seen=seen,
                by=self.owners[0 if own else 1],
                reason="looked at",
                now=self.now,
            )

        if own or changed or late or self._balances()["receivable"] < 0:
            with pytest.raises(Refusal):
                let_go()
            return
        let_go()
        one.state = S.APPROVED

    @precondition(lambda self: self._in({S.PENDING}))
    @rule(data=st.data())
    def decline(self, data: Any) -> None:
        one = self._one(data, {S.PENDING})
        numbers = [one.row.operation.wire_id]
        approvals.decline(merchant=self.shop, numbers=numbers, by=self.owners[0], reason="no", now=self.now)
        one.state = S.DECLINED

    @precondition(lambda self: self._in({S.PENDING}))
    @rule()
    def let_a_day_pass(self) -> None:
        self.now += timedelta(hours=25)
        while approvals.expire_due(now=self.now):  # by the batch, earlier lives' too
            continue
        for one in self.known:
            if one.state == S.PENDING:
                one.state = S.EXPIRED

    # --- it is sent ---

    @rule()
    def send(self) -> None:
        self._send(up.accepts, S.SENT, taken=True)

    @rule()
    def send_and_be_refused(self) -> None:
        self._send(refuses, S.FAILED, refused=True)

    @rule(paid=st.booleans())
    def send_and_hear_nothing(self, paid: bool) -> None:
        self._send(up.is_cut_off if paid else is_lost, S.UNKNOWN)

    @rule(paid=st.booleans())
    def send_and_die(self, paid: bool) -> None:
        self._send(up.dies_after if paid else up.dies_before, S.SENDING)

    @rule(where=st.sampled_from(["prepare", "_begin"]))
    def die_before_it_is_handed_over(self, where: str) -> None:
        """While the order is made; after it was written down."""
        with pytest.MonkeyPatch.context() as patch:
            if where == "prepare":
                patch.setattr(self.payer, "prepare", _dying())
                self._send(None, S.APPROVED)
            else:
                patch.setattr(sending, "_hand_over", _dying())
                self._send(None, S.SENDING)

    @rule(answer=st.sampled_from(["_accepted", "_refused", "_become_unknown"]))
    def die_over_the_answer(self, answer: str) -> None:
        script = {"_accepted": up.accepts, "_refused": refuses, "_become_unknown": up.is_cut_off}[answer]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sending, answer, _dying())
            self._send(script, S.SENDING, refused=answer == "_refused")

    @rule(status=st.sampled_from(CALLBACKS), answered=st.booleans())
    def be_called_back_before_the_answer(self, status: PayoutStatus, answered: bool) -> None:
        def act(payer: Payer, prepared: Any) -> Any:
            if status != PayoutStatus.CANCELLED:
                payer.pay(prepared)
            up.hears(prepared.our_id, status)
            accepted = up.Accepted(f"up-{prepared.our_id}", PayoutStatus.PROCESSING)
            return accepted if answered else is_lost(payer, prepared)

        ends = {PayoutStatus.PROCESSING: S.SENT, PayoutStatus.CONFIRMED: S.CONFIRMED}
        self._send(act, ends.get(status, S.FAILED), taken=True)

    def _send(
        self, script: Callable[..., Any] | None, then: str, *, taken: bool = False, refused: bool = False
    ) -> None:
        """The next one in line, if the sender may; what it becomes if nothing stands against it."""
        self._let_time_pass_for_the_approved()
        due = [one for one in self.known if one.state == S.APPROVED]
        may = due and not self.is_stopped and self._balances()["receivable"] == 0
        self.payer.script = [script] if script else []
        try:
            up.send(self.payer, self.now)
        except Killed:
            assert may
        if may:
            due[0].state, due[0].was_taken, due[0].refused = then, taken, refused
        self._look_after_the_breaker()

    def _let_time_pass_for_the_approved(self) -> None:
        Withdrawal.objects.filter(merchant=self.shop, state=S.APPROVED).update(next_ask_at=None)

    # --- what became of it ---

    @precondition(lambda self: self._in(IN_FLIGHT))
    @rule(answer=st.sampled_from(["tells", "not found", "cannot tell", "fails"]))
    def ask_the_processor(self, answer: str) -> None:
        """The oldest question first; it is honest about what it paid, or does not say."""
        open_ones = [one for one in self.known if one.state in IN_FLIGHT]
        asked = open_ones[0]
        Withdrawal.objects.filter(merchant=self.shop).update(next_ask_at=None)
        Withdrawal.objects.filter(pk=asked.row.pk).update(next_ask_at=NOW - timedelta(days=999))
        paid = self.payer.paid[asked.row.our_id] > 0
        status = PayoutStatus.CONFIRMED if paid else PayoutStatus.CANCELLED
        told = {"not found": NotFound(), "cannot tell": CannotTell("503"), "fails": KeyError("data")}
        if answer == "tells":
            told["tells"] = up.notice(asked.row.our_id, status)
        self.payer.told = told[answer]
        assert up.ask(self.payer, self.now) == 1
        if asked.state == S.SENDING:
            asked.state = S.UNKNOWN
        if answer == "tells":
            self._ended(asked, status)
        self._look_after_the_breaker()

    @precondition(lambda self: self.known)
    @rule(data=st.data(), status=st.sampled_from(CALLBACKS), wrong_amount=st.booleans())
    def be_called_back(self, data: Any, status: PayoutStatus, wrong_amount: bool) -> None:
        """About any of them at any time: early, or in time."""
        self._be_called_back(data.draw(st.sampled_from(self.known)), status, wrong_amount)

    @precondition(lambda self: self._in({S.CONFIRMED, S.FAILED}))
    @rule(data=st.data(), status=st.sampled_from(CALLBACKS))
    def be_called_back_once_more(self, data: Any, status: PayoutStatus) -> None:
        """About one that has ended: late, again, or against what was said before."""
        self._be_called_back(self._one(data, {S.CONFIRMED, S.FAILED}), status, wrong_amount=False)

    def _be_called_back(self, one: Known, status: PayoutStatus, wrong_amount: bool) -> None:
        paid = self.payer.paid[one.row.our_id] > 0
        is_open = one.state in IN_FLIGHT
        if is_open and (status == PayoutStatus.CONFIRMED) != paid and status != PayoutStatus.PROCESSING:
            return  # the processor may err about what has ended, and does not lie about what is open
        before = self._balances()
        notice = up.notice(one.row.our_id, status)
        if wrong_amount:
            amounts = {"paid": money("0.00000001"), "received": money("0.00000001")}
            notice = up.replace(notice, **amounts)
        try:
            with transaction.atomic():
                payouts.record_many(processor=factories.processor(), notices=[notice], now=self.now)
        except payouts.Contradiction:
            assert self._balances() == before
            assert wrong_amount or not is_open
            return
        assert not wrong_amount
        if is_open and status == PayoutStatus.PROCESSING:
            one.state, one.was_taken = S.SENT, True
        elif is_open:
            self._ended(one, status)
        else:
            assert self._balances() == before

    def _ended(self, one: Known, status: PayoutStatus) -> None:
        one.state = S.CONFIRMED if status == PayoutStatus.CONFIRMED else S.FAILED
        one.was_taken = True

    @precondition(lambda self: self._in({S.UNKNOWN, S.SENT}))
    @rule(data=st.data(), alone=st.booleans(), otherwise=st.booleans())
    def let_two_people_say(self, data: Any, alone: bool, otherwise: bool) -> None:
        """They are right, as they looked it up; one of them alone, or with another word, moves nothing."""
        one = self._one(data, {S.UNKNOWN, S.SENT})
        paid = self.payer.paid[one.row.our_id] > 0
        word = "paid" if paid else "not_paid"
        facts = {"withdrawal": one.row, "now": self.now}
        outcomes.say(
            **facts, outcome=word, txid="c0ffee" if paid else "", reason="looked up", by=self.operators[0]
        )
        other = {"paid": "not_paid", "not_paid": "paid"}[word] if otherwise else word
        by = self.operators[0 if alone else 1]
        if alone or otherwise:
            with pytest.raises(Refusal):
                outcomes.agree(**facts, outcome=other, by=by)
            return
        outcomes.agree(**facts, outcome=other, by=by)
        one.state = S.CONFIRMED if paid else S.FAILED

    # --- the kill switch ---

    @precondition(lambda self: not self.is_stopped)
    @rule(everybody=st.booleans())
    def stop(self, everybody: bool) -> None:
        merchant = None if everybody else self.shop
        controls.stop(merchant=merchant, reason="so", by=self.operators[0], now=self.now)
        self.is_stopped = True

    @precondition(lambda self: self.is_stopped)
    @rule()
    def lift(self) -> None:
        for stop in controls.open_stops(self.shop):
            controls.lift(stop_id=stop.pk, by="the operator", reason="over", now=self.now)
        self.is_stopped = False

    def _look_after_the_breaker(self) -> None:
        """It stops everything after a few unknown outcomes; here somebody lifts that at once."""
        for stop in Stop.objects.filter(lifted_at=None, stopped_by=None):
            controls.lift(stop_id=stop.pk, by="the operator", reason="looked at", now=self.now)

    # --- what must hold after every step ---

    @invariant()
    def is_as_the_books_and_the_model_say(self) -> None:
        judge_now()
        with connection.cursor() as cursor:
            cursor.execute(_SUMS)
            assert cursor.fetchall() == []
        held = Decimal(0)
        for one in self.known:
            one.row.refresh_from_db()
            operation = Operation.objects.get(pk=one.row.pk)
            assert (one.row.state, operation.status) == (one.state, SHOWN[S(one.state)])
            keys = [entry.key.rpartition(":")[2] for entry in ledger.entries_about(one.row.subject)]
            assert keys == (["hold"] if one.state in OPEN else ["hold", "close"])
            held += one.row.held if one.state in OPEN else 0
            self._demand_honest(one)
        assert self._balances()["held"] == held
        assert max(self.payer.paid.values(), default=0) <= 1
        assert len(self.payer.submitted) == len(set(self.payer.submitted))

    def _demand_honest(self, one: Known) -> None:
        """Nothing that was paid is given back, nothing settled that was not, nothing sent that may not be."""
        paid = self.payer.paid[one.row.our_id]
        if one.state in {S.FAILED, S.DECLINED, S.EXPIRED}:
            assert not paid
        if one.state == S.CONFIRMED:
            assert paid
        if one.state in {S.PENDING, S.APPROVED, S.DECLINED, S.EXPIRED}:
            assert not any(one.row.our_id.encode() in blob for blob in self.payer.submitted)

    # --- reading ---

    def _balances(self) -> dict[str, Decimal]:
        found: dict[str, Decimal] = defaultdict(Decimal)
        for account in Account.objects.filter(merchant=self.shop, currency="BTC"):
            found[account.kind] = account.balance
        return {str(kind): found[kind] for kind in (AccountKind.AVAILABLE, AccountKind.HELD, "receivable")}

    def _in(self, states: set[S]) -> bool:
        return any(one.state in states for one in self.known)

    def _one(self, data: Any, states: set[S]) -> Known:
        return data.draw(st.sampled_from([one for one in self.known if one.state in states]))


def _dying() -> Callable[..., Any]:
    def die(*_arguments: Any, **_options: Any) -> Any:
        raise Killed

    return die


class TestALife:
    def test_keeps_the_books_whatever_happens(self):
        run(
            Life,
            settings=settings(
                max_examples=20,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
