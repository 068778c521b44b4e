"""A merchant's whole life of exchanges, in any order, against a model in plain numbers.

After each step: every currency sums to zero, what is held is what open exchanges hold, balances are what the
model says, and each exchange has one hold and, if it ended, one ending.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from payments import exchange_outcomes, exchange_sending, exchanges, positions
from payments.deposit_rules import Contradiction
from payments.exchanges import ForeignIdTaken, PriceExpired, TooSmall, Wish
from payments.ledger import InsufficientFunds
from payments.models import Exchange, Operation
from payments.models.entry import Entry, Posting
from payments.processors.base import PayoutStatus, Refused, Unreachable
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW, money
from tests.payments.upstream_of_exchanges import Exchanger, balance, key_of, notice, quoted, trader

pytestmark = pytest.mark.django_db

START = {"BTC": Decimal(1), "EUR": Decimal(5000)}
AMOUNTS = {"BTC": ["0.001", "0.01", "0.3", "0.9"], "EUR": ["100", "200.00000001", "3000", "4990"]}
numbers = st.integers(0, 5)


class Exchanging(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        positions.forget()
        self.merchant = trader()
        self.key = key_of(self.merchant)
        for currency, amount in START.items():
            factories.fund(self.merchant, money(str(amount), currency))
        self.now = NOW
        self.free, self.held = Counter(START), Counter()
        self.open: dict[str, dict] = {}
        self.used: set[str] = set()
        self.quotes: list[tuple[str, Decimal, object]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    # --- the merchant ---

    @rule(source=st.sampled_from(["BTC", "EUR"]))
    def calculate(self, source: str) -> None:
        deal = exchanges.calculate(
            merchant=self.merchant, wish=_wish(source, AMOUNTS[source][2]), now=self.now
        )
        self.quotes.append((source, deal.price, self.now + exchanges.PRICE_HOLDS))

    @rule(
        source=st.sampled_from(["BTC", "EUR"]), size=st.integers(0, 3), number=numbers, promised=st.booleans()
    )
    def order(self, source: str, size: int, number: int, promised: bool) -> None:
        wish, foreign_id = _wish(source, AMOUNTS[source][size]), f"ex-{number}"
        common = {"merchant": self.merchant, "wish": wish, "foreign_id": foreign_id, "now": self.now}
        common["api_key_id"] = self.key
        live = [price for code, price, until in self.quotes if code == source and until > self.now]
        try:
            with transaction.atomic():
                if promised:
                    price = live[-1] if live else Decimal("12.5")
                    made = exchanges.at_quote(**common, price=price)
                else:
                    made = exchanges.at_market(**common)
                judge_now()
        except PriceExpired:
            assert promised
            assert not live
        except TooSmall:
            assert size == 0
        except ForeignIdTaken:
            assert foreign_id in self.used
        except InsufficientFunds:
            fee = wish.sent / 100 if source == "EUR" else Decimal(0)
            assert wish.sent + fee > self.free[source]
        else:
            assert foreign_id not in self.used
            self.used.add(foreign_id)
            self.free[source] -= made.held
            self.held[source] += made.held
            self.open[foreign_id] = {"exchange": made, "promised": promised, "sent": False}

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(price=st.sampled_from(["59000", "60000", "61234.56789"]))
    def move_the_market(self, price: str) -> None:
        quoted(factories.processor(), BTCEUR=price)

    # --- the sender and the processor ---

    @rule(answer=st.sampled_from(["taken", "refused", "lost"]))
    def send(self, answer: str) -> None:
        upstream = Exchanger({"taken": None, "refused": Refused("no"), "lost": Unreachable("?")}[answer])
        exchange_sending.work(processor=factories.processor(), outbound=upstream, now=self.now)
        handed = {blob.split()[0].decode() for blob in upstream.submitted}
        for foreign_id, row in list(self.open.items()):
            if row["exchange"].our_id in handed:
                assert not row["sent"], "an order was handed over twice"
                row["sent"] = True
                if answer == "refused":
                    self._release(foreign_id)

    @rule(
        number=numbers,
        status=st.sampled_from(list(PayoutStatus)),
        made=st.sampled_from(["0.9", "1", "1.05"]),
        times=st.integers(1, 2),
    )
    def hear(self, number: int, status: PayoutStatus, made: str, times: int) -> None:
        row = self.open.get(f"ex-{number}")
        if row is None:
            return
        exchange = row["exchange"]
        gave = (exchange.amount_to * Decimal(made)).quantize(Decimal("1E-8"))
        said = notice(exchange, str(gave), status=status)
        try:
            with transaction.atomic():
                exchange_outcomes.record_many(
                    processor=factories.processor(), notices=[said] * times, now=self.now
                )
                judge_now()
        except Contradiction:
            assert not row["sent"]
            return
        assert row["sent"]
        if status == PayoutStatus.CONFIRMED:
            self._settle(f"ex-{number}", gave)
        elif status in {PayoutStatus.CANCELLED, PayoutStatus.DECLINED}:
            self._release(f"ex-{number}")

    def _settle(self, foreign_id: str, gave: Decimal) -> None:
        row = self.open.pop(foreign_id)
        exchange = row["exchange"]
        given = exchange.amount_to if row["promised"] else gave
        if exchange.fee_currency == exchange.source:
            fee = Decimal(0)
        elif row["promised"]:
            fee = exchange.fee
        else:
            fee = (given / 100).quantize(Decimal("1E-8"), rounding="ROUND_CEILING")
        self.held[exchange.source] -= exchange.held
        self.free[exchange.target] += given - fee

    def _release(self, foreign_id: str) -> None:
        exchange = self.open.pop(foreign_id)["exchange"]
        self.held[exchange.source] -= exchange.held
        self.free[exchange.source] += exchange.held

    # --- what always holds ---

    @invariant()
    def balances_are_as_expected(self) -> None:
        for currency in START:
            assert balance(self.merchant, currency) == (self.free[currency], self.held[currency])

    @invariant()
    def every_currency_sums_to_zero(self) -> None:
        sums: Counter = Counter()
        for currency, amount in Posting.objects.values_list("currency", "amount"):
            sums[currency] += amount
        assert not any(sums.values())

    @invariant()
    def each_exchange_is_booked_once(self) -> None:
        keys = Counter(Entry.objects.filter(key__startswith="exchange:").values_list("key", flat=True))
        for row in Exchange.objects.all():
            assert keys.pop(f"exchange:{row.pk}:hold") == 1
            assert keys.pop(f"exchange:{row.pk}:close", 0) == int(row.is_final)
        assert not keys

    @invariant()
    def the_wire_shows_what_is(self) -> None:
        shown = {"confirmed": "confirmed", "failed": "cancelled"}
        for row in Exchange.objects.select_related("operation"):
            assert row.operation.status == shown.get(row.state, "processing")
        assert Operation.objects.count() == Exchange.objects.count() == len(self.used)


def _wish(source: str, amount: str) -> Wish:
    return Wish(source, "EUR" if source == "BTC" else "BTC", sent=Decimal(amount))


def test_exchanges_keep_every_promise_in_any_order():
    run_state_machine_as_test(
        Exchanging,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
