"""Invoices: asked for, chosen, cancelled, expired; and what the database itself refuses."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from payments import addresses, invoice_quotes, invoices, rates, tasks, terms
from payments.addresses import PoolEmpty
from payments.invoice_quotes import AmountTooLarge, AmountTooSmall
from payments.invoices import (
    AlreadyChosen,
    AlreadyTaken,
    CannotBeFailed,
    CannotBePaid,
    NotOffered,
    UnknownInvoice,
)
from payments.models import Address, Invoice, InvoicePart, Operation, Rate
from payments.models.operation import IllegalMove
from payments.rates import NoRate
from tests import factories
from tests.constraints import refused
from tests.factories import NOW
from tests.payments.invoicing import PRICE, Shop, no_one, nothing_moves

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return Shop()


class TestCreate:
    def test_holds_nothing_without_a_timer(self, shop):
        invoice = shop.create(timer=False)
        assert (invoice.status, invoice.fixed_at, invoice.release_at, invoice.address) == (
            "created",
            None,
            None,
            None,
        )
        assert invoice.quotes == {}

    def test_holds_every_rate_for_a_payer_who_has_not_chosen(self, shop):
        invoice = shop.create()
        held = Rate.objects.filter(pk__in=invoice.quotes.values())
        assert (invoice.status, invoice.release_at) == ("pending", NOW + timedelta(minutes=15))
        assert {rate.source for rate in held if rate.target == "EUR"} == set(invoice.quotes)
        assert set(invoice.quotes) == {"BTC", "ETH", "USD"}
        assert invoice.sender_currency == ""

    def test_is_ready_to_be_paid_in_the_currency_named(self, shop):
        invoice = shop.ready()
        assert (invoice.sender_amount, invoice.price) == (Decimal("0.00180000"), PRICE)
        assert (invoice.address.convert_to, invoice.address.origin) == ("EUR", "invoice")
        assert invoice.address.merchant == shop.merchant
        assert invoice.terms == factories.Terms.objects.get(merchant=shop.merchant, currency="BTC")

    def test_rounds_up_what_is_to_be_sent(self, shop):
        shop.quote(BTC_EUR="30000")
        invoice = shop.ready("100")
        assert invoice.sender_amount == Decimal("0.00333334")
        assert invoice.sender_amount * invoice.price >= 100

    def test_converts_nothing_in_the_same_currency(self, shop):
        invoice = shop.ready("0.01", "BTC")
        assert (invoice.price, invoice.rate, invoice.address.convert_to) == (1, None, "")

    def test_gives_each_an_address_and_a_code_of_its_own(self, shop):
        made = [shop.ready() for _ in range(3)]
        assert len({invoice.address_id for invoice in made}) == 3
        assert len({invoice.code for invoice in made}) == 3
        assert {len(invoice.code) for invoice in made} == {22}

    def test_takes_its_number_from_the_operations(self, shop):
        first, second = shop.create(), shop.create()
        assert second.wire_id == first.wire_id + 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT last_value FROM operation_wire_id")
            assert cursor.fetchone()[0] == second.wire_id

    def test_refuses_a_foreign_id_that_is_taken_and_keeps_no_address(self, shop):
        shop.ready(foreign_id="a")
        with nothing_moves(Invoice, Address), pytest.raises(AlreadyTaken) as caught:
            shop.ready(foreign_id="a")
        assert str(caught.value) == "The foreign id has already been taken."

    def test_lets_two_merchants_use_one_foreign_id(self, shop):
        other = Shop()
        assert shop.create(foreign_id="a").foreign_id == other.create(foreign_id="a").foreign_id

    def test_leaves_a_refused_foreign_id_free(self, shop):
        with pytest.raises(AmountTooSmall):
            shop.ready("9.99", foreign_id="a")
        assert shop.ready(foreign_id="a").foreign_id == "a"

    def test_refuses_less_than_ten_euro(self, shop):
        shop.create("10")
        with nothing_moves(Invoice), pytest.raises(AmountTooSmall) as caught:
            shop.create("9.99999999")
        assert str(caught.value) == "The amount is too small. The minimum amount is 10.00 EUR."

    def test_refuses_more_than_ten_thousand_euro(self, shop):
        shop.create("10000")
        with nothing_moves(Invoice), pytest.raises(AmountTooLarge) as caught:
            shop.create("10000.01")
        assert str(caught.value) == "The amount is too large. The maximum amount is 10000.00 EUR."

    def test_reckons_the_limits_in_the_invoices_currency(self, shop):
        with pytest.raises(AmountTooSmall) as caught:
            shop.create("11.11", "USD")
        assert str(caught.value) == "The amount is too small. The minimum amount is 11.12 USD."
        with pytest.raises(AmountTooSmall) as caught:
            shop.create("0.0001", "BTC")
        assert str(caught.value) == "The amount is too small. The minimum amount is 0.00016862 BTC."

    def test_reckons_them_at_an_old_price_or_by_way_of_bitcoin(self, shop):
        Rate.objects.filter(source="USD").update(is_current=False)
        Rate.objects.filter(source="ETH", target="EUR").update(is_current=False)
        shop.silence()
        with pytest.raises(AmountTooSmall) as caught:
            shop.create("0.001", "ETH", timer=False)
        assert str(caught.value) == "The amount is too small. The minimum amount is 0.00562061 ETH."
        assert shop.create("1", "USD", timer=False).amount == 1

    def test_takes_other_limits_from_the_settings(self, shop, settings):
        settings.INVOICE_LIMITS_EUR = (Decimal("0.5"), Decimal("20"))
        shop.create("0.5")
        with pytest.raises(AmountTooLarge):
            shop.create("20.01")

    def test_refuses_what_would_not_be_credited_on_arrival(self, shop, settings):
        settings.INVOICE_LIMITS_EUR = (Decimal("0.5"), Decimal("20"))
        with nothing_moves(Invoice, Address), pytest.raises(AmountTooSmall) as caught:
            shop.ready("5")
        assert str(caught.value) == "The amount is too small. The minimum amount is 5.94 EUR."

    def test_refuses_a_stale_price(self, shop):
        shop.silence()
        with nothing_moves(Invoice, Address), pytest.raises(NoRate):
            shop.ready()

    def test_waits_for_an_address_and_calls_for_more(self, shop, monkeypatch):
        Address.objects.filter(origin="pool").delete()
        asked = shop.asked(sender_currency="BTC")
        found = invoice_quotes.prices(merchant=shop.merchant, codes=["BTC", "EUR"], now=NOW)
        invoice = invoices.create(
            merchant=shop.merchant,
            asked=asked,
            prices=found,
            now=NOW,
            call_for_more=lambda: shop.fill_pool("BTC", "EUR", 1),
        )
        assert invoice.address is not None

    def test_gives_up_when_no_address_comes(self, shop, monkeypatch):
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.1)
        Address.objects.filter(origin="pool").delete()
        with nothing_moves(Invoice), pytest.raises(PoolEmpty):
            shop.ready()

    def test_keeps_no_customers_address_of_the_same_name(self, shop):
        theirs = factories.address(
            shop.merchant, "BTC", foreign_id="a", convert_to="EUR", processor=shop.processor
        )
        assert shop.ready(foreign_id="a").address_id != theirs.pk

    def test_keeps_the_rate_from_being_pruned(self, shop):
        invoice = shop.ready()
        shop.quote(BTC_EUR="1")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE payments_rate SET seen_at = seen_at - interval '30 days'")
        rates.prune()
        assert Rate.objects.filter(pk=invoice.rate_id).exists()


class TestChoose:
    def test_begins_the_time_of_an_invoice_without_a_timer(self, shop):
        invoice = shop.create(timer=False)
        shop.quote(BTC_EUR="50000")
        shop.wait(hours=5)
        chosen = shop.choose(invoice, email="ann@example.org")
        assert (chosen.status, chosen.fixed_at, chosen.price) == ("pending", shop.now, 50000)
        assert chosen.release_at == shop.now + timedelta(minutes=15)
        assert chosen.email_user == "ann@example.org"

    def test_pays_at_the_rate_of_the_creation_where_one_is_held(self, shop):
        invoice = shop.create()
        shop.quote(BTC_EUR="50000")
        shop.wait(minutes=5)
        chosen = shop.choose(invoice)
        assert (chosen.price, chosen.release_at) == (PRICE, NOW + timedelta(minutes=15))

    def test_changes_nothing_when_the_same_is_chosen_again(self, shop):
        invoice = shop.create()
        first = shop.choose(invoice)
        with nothing_moves(Invoice, Address):
            assert shop.choose(invoice).address == first.address

    def test_refuses_another_currency_afterwards(self, shop):
        invoice = shop.create()
        shop.choose(invoice)
        with nothing_moves(Invoice, Address), pytest.raises(AlreadyChosen):
            shop.choose(invoice, "ETH")

    @pytest.mark.parametrize("currency", ["EUR", "LTC", "", "btc", "\u202e"])
    def test_refuses_what_is_not_offered(self, shop, currency):
        invoice = shop.create()
        with nothing_moves(Invoice, Address), pytest.raises(NotOffered):
            shop.choose(invoice, currency)

    def test_refuses_a_currency_that_was_disabled_meanwhile(self, shop):
        invoice = shop.create()
        terms.disable(merchant=shop.merchant, currency="BTC", now=NOW)
        with pytest.raises(NotOffered):
            shop.choose(invoice)

    def test_refuses_without_a_price(self, shop):
        invoice = shop.create(timer=False)
        shop.silence()
        with nothing_moves(Invoice, Address), pytest.raises(NoRate):
            shop.choose(invoice)

    def test_refuses_when_the_time_is_over(self, shop):
        invoice = shop.create()
        shop.wait(minutes=15)
        with nothing_moves(Invoice, Address), pytest.raises(CannotBePaid):
            shop.choose(invoice)

    def test_refuses_a_failed_invoice(self, shop):
        invoice = shop.create()
        invoices.cancel(merchant=shop.merchant, foreign_id=invoice.foreign_id, now=NOW)
        with nothing_moves(Invoice, Address), pytest.raises(CannotBePaid):
            shop.choose(invoice)

    def test_knows_no_other_code(self, shop):
        with pytest.raises(Invoice.DoesNotExist):
            invoices.choose(code="x" * 22, currency="BTC", now=NOW, call_for_more=no_one)

    def test_keeps_the_merchants_word_about_the_payers_address(self, shop):
        invoice = shop.create(email_user="a@example.org")
        assert shop.choose(invoice, email="b@example.org").email_user == "a@example.org"

    def test_offers_what_has_a_price(self, shop):
        invoice = shop.create()
        offered = invoices.offered(invoice=invoice, now=NOW)
        assert [str(quote.sent) for quote in offered] == ["0.00180000 BTC", "0.05337500 ETH"]

    def test_offers_the_same_currency_without_a_price(self, shop):
        invoice = shop.create("0.01", "BTC", timer=False)
        shop.silence()
        offered = invoices.offered(invoice=invoice, now=NOW)
        assert [quote.sent for quote in offered] == [factories.money("0.01")]


@pytest.mark.django_db(transaction=True)
class TestTwoTabs:
    def test_get_one_address_and_one_rate(self):
        shop = Shop()
        invoice = shop.create()
        got: list[Any] = []
        barrier = threading.Barrier(4)

        def tab(currency: str) -> None:
            barrier.wait()
            try:
                got.append(shop.choose(invoice, currency).address_id)
            except AlreadyChosen:
                got.append(None)
            finally:
                connection.close()

        threads = [threading.Thread(target=tab, args=[code]) for code in ("BTC", "BTC", "ETH", "ETH")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({address for address in got if address}) == 1
        assert sorted(address is None for address in got) == [False, False, True, True]
        assert Address.objects.filter(origin="invoice").count() == 1

    def test_let_one_program_have_a_foreign_id(self):
        shop = Shop()
        outcomes: list[str] = []
        barrier = threading.Barrier(3)

        def program() -> None:
            barrier.wait()
            try:
                shop.ready(foreign_id="a")
                outcomes.append("made")
            except AlreadyTaken:
                outcomes.append("taken")
            finally:
                connection.close()

        threads = [threading.Thread(target=program) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["made", "taken", "taken"]
        assert Address.objects.filter(origin="invoice").count() == 1


class TestCancel:
    def test_fails_what_waits(self, shop):
        for invoice in (shop.create(timer=False), shop.create(), shop.ready()):
            gone = invoices.cancel(merchant=shop.merchant, foreign_id=invoice.foreign_id, now=NOW)
            assert (gone.status, gone.error, gone.version) == ("failed", "Cancelled by merchant.", 2)

    def test_keeps_what_was_paid_for_the_payer(self, shop):
        invoice = shop.ready()
        payment = shop.pay(invoice, "0.0018")
        invoices.cancel(merchant=shop.merchant, foreign_id=invoice.foreign_id, now=NOW)
        shop.confirm(payment)
        part = shop.part(payment)
        assert (part.leftover, part.left) == ("failed", Decimal("106.75"))
        assert shop.balance().available == 0

    def test_refuses_what_has_ended(self, shop):
        failed, paid = shop.create(foreign_id="f"), shop.ready(foreign_id="p")
        invoices.cancel(merchant=shop.merchant, foreign_id="f", now=NOW)
        shop.confirm(shop.pay(paid, "0.0018"))
        for invoice in (failed, paid):
            with nothing_moves(Invoice), pytest.raises(CannotBeFailed) as caught:
                invoices.cancel(merchant=shop.merchant, foreign_id=invoice.foreign_id, now=NOW)
            assert str(caught.value) == "Invoice cannot be failed in its current state."

    def test_knows_no_other_merchants_invoice(self, shop):
        invoice = Shop().create(foreign_id="theirs")
        with nothing_moves(Invoice), pytest.raises(UnknownInvoice):
            invoices.cancel(merchant=shop.merchant, foreign_id=invoice.foreign_id, now=NOW)


class TestExpireDue:
    def test_leaves_alone_what_has_no_time(self, shop):
        shop.create(timer=False)
        shop.wait(days=400)
        assert shop.sweep() == 0

    def test_fails_an_invoice_whose_payer_never_chose(self, shop):
        invoice = shop.create()
        shop.wait(minutes=15)
        assert shop.sweep() == 1
        assert shop.again(invoice).error == "Timer expired. User not paid."

    def test_does_a_limited_number_at_once(self, shop):
        for _ in range(3):
            shop.create()
        shop.wait(minutes=15)
        assert invoices.expire_due(now=shop.now, most=2) == 2
        assert invoices.expire_due(now=shop.now, most=2) == 1

    def test_is_rung_when_something_is_due(self, shop):
        question = f"SELECT EXISTS ({tasks.EXPIRE_INVOICES.due_sql})"
        with connection.cursor() as cursor:
            shop.create()  # of a time long past, by the database's clock
            cursor.execute(question)
            assert cursor.fetchone()[0] is True
            tasks.expire_once()
            cursor.execute(question)
            assert cursor.fetchone()[0] is False

    def test_finds_them_by_an_index(self, shop):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {tasks.EXPIRE_INVOICES.due_sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "invoice_running_out" in plan


LEGAL = {
    ("created", "pending"),
    ("created", "failed"),
    ("pending", "processing"),
    ("pending", "failed"),
    ("processing", "confirmed"),
    ("processing", "failed"),
    ("confirmed", "processing"),
}
STATUSES = ("created", "pending", "processing", "confirmed", "failed")


class TestTheModel:
    @pytest.mark.parametrize("after", STATUSES)
    @pytest.mark.parametrize("before", STATUSES)
    def test_moves_along_legal_edges_alone(self, before, after):
        invoice = Invoice(status=before)
        if (before, after) in LEGAL:
            invoice.advance(status=after, now=NOW)
            assert (invoice.status, invoice.version) == (after, 2)
        else:
            with pytest.raises(IllegalMove):
                invoice.advance(status=after, now=NOW)


def in_status(shop: Shop, status: str) -> Invoice:
    if status == "created":
        return shop.create(timer=False)
    invoice = shop.ready()
    if status in {"processing", "confirmed"}:
        payment = shop.pay(invoice, "0.0018")
        if status == "confirmed":
            shop.confirm(payment)
    if status == "failed":
        shop.wait(minutes=15)
        shop.sweep()
    return shop.again(invoice)


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (one, other)
            for one in STATUSES
            for other in STATUSES
            if one != other and (one, other) not in LEGAL
        ],
    )
    def test_refuses_every_other_edge(self, shop, before, after):
        invoice = in_status(shop, before)
        refused(
            "invoice_status_moves_legally",
            f"UPDATE payments_invoice SET status = '{after}', version = version + 1 WHERE id = {invoice.pk}",
        )

    @pytest.mark.parametrize(
        "change",
        [
            *("merchant_id = merchant_id + 1", "wire_id = 1", "foreign_id = 'x'", "code = repeat('x', 22)"),
            *("timer = NOT timer", "mode = 'fill_or_kill'", "title = 'x'", "description = 'x'"),
            *("currency = 'USD'", "amount = 1", "asked_currency = ''", "quotes = '{\"BTC\": 1}'"),
            *("url_success = 'https://evil.example'", "url_failed = 'https://evil.example'"),
            *("end_user_reference = 'x'", "sender = '{}'", "created_at = now()", "id = id + 1"),
            "email_user = 'evil@example.org'",
        ],
    )
    def test_keeps_what_was_asked_for(self, shop, change):
        invoice = shop.ready(email_user="a@example.org")
        refused("invoice_stays_as_asked_for", f"UPDATE payments_invoice SET {change} WHERE id = {invoice.pk}")

    @pytest.mark.parametrize(
        "change",
        [
            *("sender_currency = 'ETH'", "sender_amount = 1", "price = 1", "rate_id = NULL"),
            *("terms_id = terms_id + 1", "address_id = NULL", "fixed_at = now()"),
        ],
    )
    def test_keeps_what_was_chosen(self, shop, change):
        invoice = shop.ready()
        refused("invoice_is_quoted_once", f"UPDATE payments_invoice SET {change} WHERE id = {invoice.pk}")

    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("invoice_goes_forwards", "version = version - 1"),
            ("invoice_goes_forwards", "status = 'processing', release_at = release_at + interval '1 day'"),
            ("invoice_keeps_its_time", "release_at = release_at + interval '1 day'"),
            ("invoice_failed_for_a_reason", "status = 'failed', version = version + 1"),
            ("invoice_failed_for_a_reason", "error = 'x'"),
            ("invoice_is_credited_once_confirmed", "fee_amount = 1"),
            ("invoice_amount_is_positive", "fee_amount = 'NaN'"),
            ("invoice_is_credited_once_confirmed", "credited_to = 'available', bookings = 1"),
        ],
    )
    def test_keeps_a_waiting_invoice_in_order(self, shop, constraint, change):
        invoice = shop.ready()
        refused(constraint, f"UPDATE payments_invoice SET {change} WHERE id = {invoice.pk}")

    def test_refuses_a_confirmed_invoice_without_its_credit(self, shop):
        invoice = in_status(shop, "confirmed")
        refused(
            "invoice_is_credited_once_confirmed",
            f"UPDATE payments_invoice SET credited_to = '', bookings = bookings + 1 WHERE id = {invoice.pk}",
        )
        refused(
            "invoice_goes_forwards",
            f"UPDATE payments_invoice SET bookings = bookings - 1 WHERE id = {invoice.pk}",
        )
        refused(
            "invoice_amount_is_positive",
            f"UPDATE payments_invoice SET fee_amount = 1000 WHERE id = {invoice.pk}",
        )

    def test_refuses_to_pay_before_the_payer_has_chosen(self, shop):
        invoice = shop.create()
        refused(
            "invoice_holds_what_its_status_needs",
            f"UPDATE payments_invoice SET status = 'processing', version = 2 WHERE id = {invoice.pk}",
        )

    def test_refuses_half_a_choice(self, shop):
        invoice = shop.create()
        refused(
            "invoice_is_quoted_whole_or_not_at_all",
            f"UPDATE payments_invoice SET sender_currency = 'BTC', price = 1 WHERE id = {invoice.pk}",
        )

    def test_refuses_a_conversion_without_its_rate(self, shop):
        chosen = shop.ready()
        invoice = shop.create()
        address = factories.address(shop.merchant)
        refused(
            "invoice_keeps_the_rate_of_a_conversion",
            "UPDATE payments_invoice SET sender_currency = 'BTC', sender_amount = 1, price = 1,"
            f" terms_id = {chosen.terms_id}, address_id = {address.pk} WHERE id = {invoice.pk}",
        )

    def test_refuses_another_merchants_address(self, shop):
        chosen, invoice = shop.ready(), shop.create()
        theirs = factories.address(factories.merchant())
        refused(
            "invoice_address_is_the_merchants",
            "UPDATE payments_invoice SET sender_currency = 'BTC', sender_amount = 1, price = 1,"
            f" terms_id = {chosen.terms_id}, rate_id = {chosen.rate_id}, address_id = {theirs.pk}"
            f" WHERE id = {invoice.pk}",
        )

    @pytest.mark.parametrize(
        ("constraint", "options"),
        [
            ("invoice_begins_unpaid", {"status": "failed", "error": "x"}),
            ("invoice_begins_unpaid", {"version": 2}),
            ("invoice_begins_unpaid", {"bookings": 1}),
            ("invoice_code_is_long", {"code": "short"}),
            ("invoice_is_numbered_from_one", {"wire_id": 0}),
            ("invoice_mode_and_status_are_known", {"mode": "maybe"}),
            ("invoice_amount_is_positive", {"amount": 0}),
            ("invoice_time_has_an_end", {"release_at": None}),
            ("invoice_time_has_an_end", {"release_at": NOW}),
            ("invoice_holds_what_its_status_needs", {"status": "created"}),
            ("invoice_holds_what_its_status_needs", {"timer": False, "status": "pending"}),
            ("invoice_links_lead_to_the_web", {"url_success": "javascript:alert(1)"}),
            ("invoice_links_lead_to_the_web", {"url_failed": "//shop.example"}),
        ],
    )
    def test_refuses_to_begin_in_disorder(self, constraint, options):
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            factories.invoice(factories.merchant(), **options)
        assert caught.value.__cause__.diag.constraint_name == constraint

    @pytest.mark.parametrize(
        ("constraint", "same"),
        [
            ("invoice_foreign_id_is_unique", "foreign_id"),
            ("invoice_wire_id_is_unique", "wire_id"),
            ("invoice_code_is_unique", "code"),
        ],
    )
    def test_holds_one_of_each(self, constraint, same):
        first = factories.invoice(factories.merchant())
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            factories.invoice(first.merchant, **{same: getattr(first, same)})
        assert caught.value.__cause__.diag.constraint_name == constraint

    def test_removes_nothing(self, shop):
        invoice = in_status(shop, "confirmed")
        refused("invoice_part_is_never_removed", "DELETE FROM payments_invoicepart")
        refused("invoice_is_never_removed", f"DELETE FROM payments_invoice WHERE id = {invoice.pk}")

    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("invoice_part_stays_as_seen", "standing = 'late'"),
            ("invoice_part_stays_as_seen", "seen_at = now()"),
            ("invoice_part_stays_as_seen", "merchant_id = merchant_id + 1"),
            ("invoice_part_stays_as_seen", "invoice_id = invoice_id + 1"),
            ("invoice_part_stays_as_seen", "operation_id = operation_id + 1"),
            ("invoice_part_is_taken_only_if_counted", "taken = 0"),
            ("invoice_part_amounts_are_not_negative", '"left" = -1'),
            ("invoice_part_amounts_are_not_negative", "settled = 'NaN'"),
            ("invoice_part_is_left_for_a_reason", '"left" = 1'),
            ("invoice_part_is_left_for_a_reason", "leftover = 'late'"),
            ("invoice_part_standing_is_known", "leftover = 'x', \"left\" = 1"),
        ],
    )
    def test_keeps_parts_in_order(self, shop, constraint, change):
        in_status(shop, "confirmed")
        refused(constraint, f"UPDATE payments_invoicepart SET {change}")

    def test_lets_no_part_be_of_two_merchants(self, shop):
        invoice, other = shop.ready(), Shop()
        payment = other.pay(other.ready(), "0.0001")
        operation = Operation.objects.get(external_id=payment.external_id)
        InvoicePart.objects.filter(operation=operation)
        insert = (
            "INSERT INTO payments_invoicepart (merchant_id, invoice_id, operation_id, standing, stood, taken,"
            ' settled, "left", leftover, seen_at)'
            " VALUES ({merchant}, {invoice}, {operation}, 'late', false, 0, 0, 0, '', now())"
        )
        stranger = factories.notice(factories.address(other.merchant, processor=shop.processor))
        other.report(stranger)
        theirs = Operation.objects.get(external_id=stranger.external_id)
        refused(
            "invoice_part_operation_is_the_merchants",
            insert.format(merchant=shop.merchant.pk, invoice=invoice.pk, operation=theirs.pk),
        )
        refused(
            "invoice_part_invoice_is_the_merchants",
            insert.format(merchant=other.merchant.pk, invoice=invoice.pk, operation=theirs.pk),
        )

    @pytest.mark.parametrize("role", ["bursar_app", "bursar_sender"])
    def test_lets_no_role_remove_or_empty(self, role):
        with connection.cursor() as cursor:
            for table in ("payments_invoice", "payments_invoicepart"):
                cursor.execute(
                    "SELECT has_table_privilege(%s, %s, 'DELETE'), has_table_privilege(%s, %s, 'TRUNCATE')",
                    [role, table] * 2,
                )
                assert cursor.fetchone() == (False, False)
