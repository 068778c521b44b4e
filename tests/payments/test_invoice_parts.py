"""What deposits make of invoices: part by part, too much, too little, too late, and taken back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from callbacks.models import OutgoingCallback
from payments import events, held_deposits, ledger
from payments.models import Invoice, InvoicePart, Operation, Rate
from payments.models.account import AccountKind
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW, money
from tests.payments.invoicing import PRICE, Shop, confirmed

pytestmark = pytest.mark.django_db

NET, FEE = Decimal("105.896"), Decimal("0.854")


@pytest.fixture
def told(monkeypatch):
    """(version, status) of everything that the merchant was told of invoices, in order."""
    news: list[tuple[int, str]] = []
    monkeypatch.setattr(
        events,
        "invoices_changed",
        lambda invoices: news.extend((row.version, str(row.status)) for row in invoices),
    )
    return news


@pytest.fixture
def shop(told):
    return Shop()


def left(shop: Shop) -> list[tuple[str, Decimal, str]]:
    """(why, how much, of what) of all that is still a payer's."""
    parts = InvoicePart.objects.for_merchant(shop.merchant).left().select_related("operation")
    return [(part.leftover, part.left, part.operation.currency_received) for part in parts]


class TestPaid:
    def test_waits_while_the_payment_is_unconfirmed(self, shop, told):
        invoice = shop.ready()
        shop.wait(minutes=2)
        shop.pay(invoice, "0.0018")
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.release_at) == ("processing", NOW.replace(day=5, minute=2))
        assert told == [(2, "processing")]
        assert shop.balance().available == shop.balance().held == 0

    def test_credits_the_amount_at_the_held_price_less_the_fee(self, shop, told):
        invoice = shop.ready()
        shop.confirm(shop.pay(invoice, "0.0018"))
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.fee_amount, invoice.credited_to) == ("confirmed", FEE, "available")
        assert told == [(2, "processing"), (3, "confirmed")]
        assert (shop.balance().available, shop.balance().held) == (NET, 0)
        assert shop.booked(AccountKind.FEE_INCOME) == FEE
        assert Operation.objects.get().credited_to == "available"
        assert left(shop) == []

    def test_leaves_what_the_processors_rate_made_differ_to_the_house(self, shop):
        shop.upstream = Decimal(60000)
        shop.confirm(shop.pay(shop.ready(), "0.0018"))
        assert shop.balance().available == NET
        assert shop.booked(AccountKind.CONVERSION) == Decimal("1.25")
        assert shop.booked(AccountKind.AT_PROCESSOR) == Decimal(-108)

    def test_pays_the_merchant_in_full_when_the_market_fell(self, shop):
        shop.upstream = Decimal(50000)
        shop.confirm(shop.pay(shop.ready(), "0.0018"))
        assert shop.balance().available == NET
        assert shop.booked(AccountKind.CONVERSION) == Decimal("-16.75")

    def test_needs_no_conversion_in_the_same_currency(self, shop):
        invoice = shop.ready("0.01", "BTC")
        shop.confirm(shop.pay(invoice, "0.01"))
        assert shop.balance("BTC").available == Decimal("0.00992")
        assert shop.booked(AccountKind.CONVERSION, "BTC") == 0
        assert Invoice.objects.get().fee_amount == Decimal("0.00008")

    def test_is_told_twice_when_it_is_confirmed_at_first_sight(self, shop, told):
        invoice = shop.ready()
        shop.report(confirmed(shop.payment(invoice, "0.0018")))
        assert told == [(2, "processing"), (3, "confirmed")]
        assert shop.balance().available == NET

    def test_takes_several_invoices_in_one_batch(self, shop):
        payments = [shop.payment(shop.ready(), "0.0018") for _ in range(4)]
        shop.report(*payments)
        shop.confirm(*payments)
        assert set(Invoice.objects.values_list("status", flat=True)) == {"confirmed"}
        assert shop.balance().available == 4 * NET

    def test_keeps_the_terms_and_the_rate_of_the_choice(self, shop):
        invoice = shop.ready()
        shop.quote(BTC_EUR="10000")
        shop.confirm(shop.pay(invoice, "0.0018"))
        assert shop.again(invoice).rate.price == PRICE
        assert Rate.objects.get(source="BTC", target="EUR", is_current=True).price == 10000

    def test_books_a_blocked_merchants_to_held_and_gives_it_once_unblocked(self, shop):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0020")
        shop.merchant.block()
        shop.confirm(payment)
        excess = shop.part(payment).left
        assert (shop.balance().available, shop.balance().held) == (0, NET + excess)
        assert shop.again(invoice).credited_to == "held"
        assert held_deposits.release(merchant=shop.merchant, now=NOW) == 0
        judge_now()
        assert (shop.balance().available, shop.balance().held) == (NET, excess)
        assert shop.again(invoice).credited_to == "available"
        assert Operation.objects.get().credited_to == "available"

    def test_tells_only_of_the_invoice_never_of_its_deposits(self, shop, monkeypatch):
        monkeypatch.undo()
        invoice = shop.ready()
        shop.confirm(shop.pay(invoice, "0.0018"))
        rows = OutgoingCallback.objects.order_by("version")
        assert [(row.subject_kind, row.subject_id, row.version) for row in rows] == [
            ("invoice", invoice.pk, 2),
            ("invoice", invoice.pk, 3),
        ]


class TestInParts:
    def test_tells_of_each_part_and_goes_on_when_the_sum_is_reached(self, shop, told):
        invoice = shop.ready()
        first = shop.pay(invoice, "0.0010")
        assert told == [(2, "pending")]
        assert shop.again(invoice).release_at == NOW.replace(minute=15)
        shop.wait(minutes=5)
        second = shop.pay(invoice, "0.0008")
        assert told[1:] == [(3, "processing")]
        shop.confirm(first)
        assert shop.again(invoice).status == "processing"
        assert (shop.balance().available, shop.balance().held) == (0, Decimal("59.30555555"))
        shop.confirm(second)
        assert told[2:] == [(4, "confirmed")]
        assert (shop.balance().available, shop.balance().held) == (NET, 0)
        assert left(shop) == []

    def test_tells_of_each_part_of_one_batch(self, shop, told):
        invoice = shop.ready()
        shop.report(shop.payment(invoice, "0.0010"), shop.payment(invoice, "0.0008"))
        assert told == [(2, "pending"), (3, "processing")]

    def test_sums_parts_in_fill_or_kill_too(self, shop, told):
        invoice = shop.ready(mode="fill_or_kill")
        shop.confirm(shop.pay(invoice, "0.0010"), shop.pay(invoice, "0.0008"))
        assert shop.again(invoice).status == "confirmed"

    def test_says_nothing_when_a_part_is_merely_confirmed(self, shop, told):
        invoice = shop.ready()
        shop.confirm(shop.pay(invoice, "0.0010"))
        assert told == [(2, "pending")]

    def test_counts_a_part_below_the_minimum_of_a_deposit(self, shop):
        invoice = shop.ready()
        small = shop.pay(invoice, "0.00005")
        shop.confirm(small, shop.pay(invoice, "0.00175"))
        assert shop.again(invoice).status == "confirmed"
        assert shop.booked(AccountKind.DUST) == 0

    def test_tells_when_a_part_is_replaced(self, shop, told):
        invoice = shop.ready()
        shop.cancel_deposits(shop.pay(invoice, "0.0010"))
        assert told == [(2, "pending"), (3, "pending")]
        shop.pay(invoice, "0.0018")
        assert told[2:] == [(4, "processing")]

    def test_counts_what_replaces_a_payment_that_was_seen_in_time(self, shop, told):
        invoice = shop.ready()
        first = shop.pay(invoice, "0.0018")
        shop.wait(minutes=40)
        shop.cancel_deposits(first)
        assert told[1:] == [(3, "processing")]
        shop.confirm(shop.pay(invoice, "0.0018"))
        assert shop.again(invoice).status == "confirmed"
        assert shop.balance().available == NET


class TestTooMuch:
    def test_keeps_the_excess_for_the_payer(self, shop):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0020")
        assert left(shop) == []
        shop.confirm(payment)
        assert shop.again(invoice).status == "confirmed"
        assert left(shop) == [("overpaid", Decimal("11.86111111"), "EUR")]
        assert (shop.balance().available, shop.balance().held) == (NET, Decimal("11.86111111"))
        part = shop.part(payment)
        assert (part.taken, part.settled) == (Decimal("0.0018"), Decimal("106.75"))

    def test_values_the_excess_at_what_the_processor_made_of_it(self, shop):
        shop.upstream = Decimal(50000)
        shop.confirm(shop.pay(shop.ready(), "0.0020"))
        assert left(shop) == [("overpaid", Decimal("10"), "EUR")]
        assert shop.booked(AccountKind.CONVERSION) == Decimal("-16.75")

    def test_does_not_wait_for_a_part_that_it_does_not_need(self, shop, told):
        invoice = shop.ready()
        needed, spare = shop.pay(invoice, "0.0018"), shop.pay(invoice, "0.0005")
        assert told == [(2, "processing"), (3, "processing")]
        shop.confirm(needed)
        assert shop.again(invoice).status == "confirmed"
        shop.confirm(spare)
        assert left(shop) == [("overpaid", Decimal("29.65277778"), "EUR")] or left(shop) == [
            ("overpaid", Decimal("29.65277777"), "EUR")
        ]
        assert shop.balance().available == NET
        assert told[3:] == []

    def test_keeps_a_second_payment_of_a_paid_invoice(self, shop, told):
        invoice = shop.ready()
        shop.confirm(shop.pay(invoice, "0.0018"))
        news = list(told)
        shop.confirm(shop.pay(invoice, "0.0018"))
        assert told == news
        assert left(shop) == [("late", Decimal("106.75"), "EUR")]
        assert shop.balance().available == NET


class TestTooLittle:
    def test_fails_unpaid_when_the_time_is_over(self, shop, told):
        invoice = shop.ready()
        shop.wait(minutes=15)
        assert shop.sweep() == 1
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.error) == ("failed", "Timer expired. User not paid.")
        assert told == [(2, "failed")]

    def test_lets_it_live_until_the_very_end(self, shop):
        invoice = shop.ready()
        shop.wait(minutes=14, seconds=59)
        assert shop.sweep() == 0
        assert shop.again(invoice).status == "pending"

    def test_keeps_what_was_paid_when_it_was_less(self, shop, told):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0010")
        shop.confirm(payment)
        shop.wait(minutes=15)
        shop.sweep()
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.error) == (
            "failed",
            "Timer expired. User paid less than requested.",
        )
        assert left(shop) == [("failed", Decimal("59.30555555"), "EUR")]
        assert (shop.balance().available, shop.balance().held) == (0, Decimal("59.30555555"))

    def test_keeps_what_is_confirmed_after_it_failed(self, shop, told):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0010")
        shop.wait(minutes=15)
        shop.sweep()
        news = list(told)
        shop.confirm(payment)
        assert told == news
        assert left(shop) == [("failed", Decimal("59.30555555"), "EUR")]

    def test_fails_when_the_network_takes_longer_than_a_day(self, shop, told):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0018")
        shop.wait(hours=24)
        shop.sweep()
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.error) == (
            "failed",
            "Timer expired. Transactions were in status processing too long.",
        )
        shop.confirm(payment)
        assert shop.again(invoice).status == "failed"
        assert left(shop) == [("failed", Decimal("106.75"), "EUR")]
        assert shop.balance().available == 0

    def test_calls_a_payment_unpaid_that_was_cancelled(self, shop):
        invoice = shop.ready()
        shop.cancel_deposits(shop.pay(invoice, "0.0010"))
        shop.wait(minutes=15)
        shop.sweep()
        assert shop.again(invoice).error == "Timer expired. User not paid."


class TestTooLate:
    def test_records_a_late_payment_and_credits_nobody(self, shop, told):
        invoice = shop.ready()
        shop.wait(minutes=15)
        shop.sweep()
        news = list(told)
        payment = shop.pay(invoice, "0.0018")
        shop.confirm(payment)
        assert shop.again(invoice).status == "failed"
        assert told == news
        assert left(shop) == [("late", Decimal("106.75"), "EUR")]
        assert (shop.balance().available, shop.balance().held) == (0, Decimal("106.75"))
        assert Operation.objects.get().credited_to == "held"

    def test_judges_by_the_clock_and_not_by_when_the_sweep_came_by(self, shop, told):
        invoice = shop.ready()
        shop.wait(minutes=15)
        shop.pay(invoice, "0.0018")
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.error) == ("failed", "Timer expired. User not paid.")
        assert told == [(2, "failed")]

    def test_does_not_give_late_money_to_an_unblocked_merchant(self, shop):
        invoice = shop.ready()
        shop.wait(minutes=15)
        shop.confirm(shop.pay(invoice, "0.0018"))
        held_deposits.release(merchant=shop.merchant, now=NOW)
        assert (shop.balance().available, shop.balance().held) == (0, Decimal("106.75"))


class TestAnotherCurrency:
    def test_is_kept_and_not_counted(self, shop, told):
        invoice = shop.ready(sender_currency="ETH")
        token = shop.payment(
            invoice, "0", sent=money("100", "USDTE"), expected_currency="ETH", converted=True
        )
        shop.report(token)
        shop.confirm(token)
        assert shop.again(invoice).status == "pending"
        assert told == []
        assert [(kind, currency) for kind, _, currency in left(shop)] == [("foreign", "EUR")]


class TestReorganisedChain:
    def test_takes_the_credit_back_and_says_so(self, shop, told):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0018")
        shop.confirm(payment)
        shop.wait(hours=3)
        shop.cancel_deposits(payment)
        invoice = shop.again(invoice)
        assert (invoice.status, invoice.fee_amount, invoice.credited_to) == ("processing", 0, "")
        assert invoice.release_at == NOW.replace(day=5, hour=15)
        assert told[2:] == [(4, "processing")]
        assert (shop.balance().available, shop.balance().held, shop.balance().debt) == (0, 0, 0)
        for kind in (AccountKind.FEE_INCOME, AccountKind.CONVERSION, AccountKind.AT_PROCESSOR):
            assert shop.booked(kind) == 0

    def test_credits_again_what_is_mined_again(self, shop, told):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0018")
        for _ in range(2):
            shop.confirm(payment)
            shop.cancel_deposits(payment)
        shop.confirm(payment)
        assert shop.again(invoice).status == "confirmed"
        assert shop.balance().available == NET
        assert [status for _, status in told][-2:] == ["processing", "confirmed"]

    def test_fails_what_is_not_mined_again_within_a_day(self, shop):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0018")
        shop.confirm(payment)
        shop.cancel_deposits(payment)
        shop.wait(hours=24)
        shop.sweep()
        assert shop.again(invoice).status == "failed"
        shop.confirm(payment)
        assert left(shop) == [("failed", Decimal("106.75"), "EUR")]
        assert shop.balance().available == 0

    def test_makes_a_debt_of_what_was_spent(self, shop):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0018")
        shop.confirm(payment)
        spent = [
            ledger.available(shop.merchant.pk, -money("100", "EUR")),
            ledger.house(AccountKind.ADJUSTMENT, money("100", "EUR")),
        ]
        ledger.post(ledger.NewEntry("spent", "test", "test", NOW, spent))
        shop.cancel_deposits(payment)
        assert (shop.balance().available, shop.balance().debt) == (0, 100)
        shop.confirm(payment)
        assert (shop.balance().available, shop.balance().debt) == (Decimal("5.896"), 0)

    def test_is_paid_by_another_part_when_the_first_is_taken_back(self, shop, told):
        invoice = shop.ready()
        first, second = shop.pay(invoice, "0.0018"), shop.pay(invoice, "0.0018")
        shop.confirm(first)
        shop.confirm(second)
        news = list(told)
        assert left(shop) == [("overpaid", Decimal("106.75"), "EUR")]
        shop.cancel_deposits(first)
        assert shop.again(invoice).status == "confirmed"
        assert told == news
        assert left(shop) == []
        assert (shop.balance().available, shop.balance().held) == (NET, 0)

    def test_leaves_the_credit_alone_when_a_spare_part_is_taken_back(self, shop):
        invoice = shop.ready()
        first, second = shop.pay(invoice, "0.0018"), shop.pay(invoice, "0.0018")
        shop.confirm(first, second)
        bookings = shop.again(invoice).bookings
        shop.cancel_deposits(second)
        assert shop.again(invoice).bookings == bookings
        assert left(shop) == []

    def test_follows_all_of_it_in_one_batch(self, shop, told):
        invoice = shop.ready()
        payment = shop.payment(invoice, "0.0018")
        gone = replace(payment, status="cancelled", error="gone")
        shop.report(payment, confirmed(payment), gone, confirmed(payment))
        assert [status for _, status in told] == ["processing", "confirmed", "processing", "confirmed"]
        assert shop.balance().available == NET

    def test_forgets_late_money_that_is_taken_back(self, shop):
        invoice = shop.ready()
        shop.wait(minutes=15)
        payment = shop.pay(invoice, "0.0018")
        shop.confirm(payment)
        shop.cancel_deposits(payment)
        assert left(shop) == []
        assert (shop.balance().available, shop.balance().held) == (0, 0)


class TestStatements:
    def test_asks_nothing_about_invoices_for_deposits_to_other_addresses(self, shop):
        address = factories.address(shop.merchant, "BTC", processor=shop.processor)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            shop.report(factories.notice(address))
        assert not [query for query in asked if "payments_invoice" in query["sql"]]
