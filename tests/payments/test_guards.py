"""What only Python used to hold: statements that the database refuses, and what its roles may not say."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import ProgrammingError, connection, transaction

from payments import addresses, adjustments, deposits, rates
from payments.models import Address, Rate
from payments.processors.base import DepositStatus, Pair, Quote
from tests import factories
from tests.constraints import judge_now, refused
from tests.factories import NOW, money, notice

pytestmark = pytest.mark.django_db


def record(*notices) -> None:
    with transaction.atomic():
        deposits.record_many(processor=factories.processor(), notices=notices, now=NOW)
        judge_now()


class TestAdjustment:
    @pytest.fixture
    def adjustment(self):
        return adjustments.request(
            merchant=factories.merchant(), money=money("1"), reason="so", by=factories.operator(), now=NOW
        )

    @pytest.mark.parametrize("change", ["amount = 1000", "currency = 'ETH'", "reason = 'else'"])
    def test_stays_as_it_was_asked_for(self, adjustment, change):
        refused("adjustment_stays_as_asked_for", f"UPDATE payments_adjustment SET {change}")

    def test_cannot_be_given_another_merchant(self, adjustment):
        other = factories.merchant()
        refused("adjustment_stays_as_asked_for", f"UPDATE payments_adjustment SET merchant_id = {other.pk}")

    def test_is_decided_once(self, adjustment):
        adjustments.decline(adjustment_id=adjustment.pk, by=factories.operator(), now=NOW)
        refused("adjustment_is_decided_once", "UPDATE payments_adjustment SET status = 'approved'")

    def test_is_never_removed(self, adjustment):
        refused("adjustment_is_never_removed", "DELETE FROM payments_adjustment")


class TestUnmatchedDeposit:
    @pytest.fixture(autouse=True)
    def _one(self):
        nobodys = factories.address(factories.merchant())
        record(notice(nobodys, address="2Nnobodys"))

    @pytest.mark.parametrize("change", ["amount = 9", "address = 'x'", "bookings = 0", "is_booked = false"])
    def test_stays_as_it_was_reported(self, change):
        refused("unmatched_deposit_stays_as_reported", f"UPDATE payments_unmatcheddeposit SET {change}")

    def test_is_never_removed(self):
        refused("unmatched_deposit_is_never_removed", "DELETE FROM payments_unmatcheddeposit")


class TestLeg:
    @pytest.fixture(autouse=True)
    def _one(self):
        record(notice(factories.address(factories.merchant())))

    @pytest.mark.parametrize("change", ["amount = 9", "address = 'x'", "type = 'exchange'"])
    def test_stays_as_it_moved(self, change):
        refused("leg_stays_as_it_moved", f"UPDATE payments_leg SET {change}")

    def test_of_a_deposit_is_never_removed(self):
        refused("leg_stays_as_it_moved", "DELETE FROM payments_leg")


class TestRate:
    def test_keeps_its_price(self):
        factories.processor()
        rates.keep(
            processor=factories.processor(), quotes=[Quote(Pair("BTC", "EUR"), Decimal(50_000), None, None)]
        )
        refused("rate_keeps_its_price", "UPDATE payments_rate SET price = 1")
        assert Rate.objects.get().price == Decimal(50_000)


class TestFreeAddress:
    @pytest.fixture(autouse=True)
    def _one(self):
        Address.objects.create(processor=factories.processor(), currency="BTC", address="2N", lookup="2N")

    @pytest.mark.parametrize("change", ["address = 'x'", "lookup = 'x'", "tag = '1'", "currency = 'ETH'"])
    def test_stays_as_it_was_issued(self, change):
        refused("address_stays_as_issued", f"UPDATE payments_address SET {change}")


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "statement"),
        [
            ("bursar_app", "UPDATE payments_address SET address = 'mine'"),
            ("bursar_app", "INSERT INTO payments_address (processor_id, currency) VALUES (1, 'BTC')"),
            ("bursar_app", "DELETE FROM payments_address"),
            ("bursar_app", "UPDATE payments_rate SET seen_at = now()"),
            ("bursar_app", "INSERT INTO payments_rate (source) VALUES ('BTC')"),
            ("bursar_app", "DELETE FROM payments_adjustment"),
            ("bursar_app", "DELETE FROM payments_unmatcheddeposit"),
            ("bursar_sender", "SELECT * FROM payments_adjustment"),
            ("bursar_sender", "INSERT INTO payments_terms (currency) VALUES ('BTC')"),
            ("bursar_sender", "INSERT INTO payments_route (currency) VALUES ('BTC')"),
            ("bursar_sender", "UPDATE payments_processor SET connector = 'x'"),
        ],
    )
    def test_may_not(self, role, statement):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)

    def test_may_do_their_work_on_addresses_and_prices(self):
        merchant, processor = factories.merchant(), factories.processor()
        addresses.want(merchant=merchant, currency="BTC", convert_to="", now=NOW)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE bursar_sender")
            quote = Quote(Pair("BTC", "EUR"), Decimal(50_000), None, None)
            rates.keep(processor=processor, quotes=[quote])
            rates.keep(processor=processor, quotes=[quote])
            addresses._reserve(processor)
            free = Address.objects.wanted(processor)[0]
            free.issued(address="2N", lookup="2N", tag=None, external_id="1")
            cursor.execute("SET LOCAL ROLE bursar_app")
            order = addresses.Order(foreign_id="u", currency="BTC")
            taken = addresses.take(merchant=merchant, order=order, now=NOW, call_for_more=lambda: None)
            record(notice(taken, status=DepositStatus.NOT_CONFIRMED))
            assert rates.prune() == 0
            cursor.execute("RESET ROLE")
        assert taken.pk == free.pk
