"""Futures: which deposits are converted at a held price, what the house stands for, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from payments import bodies, deposits, futures, ledger, positions, terms
from payments.futures import AboveCap, NoSuchAddress, WrongCurrencies
from payments.models import Future, FutureDeposit, Operation, Rate
from payments.models.account import AccountKind
from payments.processors.base import DepositStatus, Pair
from payments.rates import NoRate
from tests import factories
from tests.constraints import judge_now, refused
from tests.factories import NOW, money
from tests.payments.upstream_of_exchanges import balance, booked, quoted, trader
from tests.vectors import callbacks

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(seconds=599)
OVER = NOW + timedelta(seconds=600)


@pytest.fixture
def merchant():
    positions.forget()
    return trader()


@pytest.fixture
def address(merchant):
    return factories.address(merchant, "BTC", convert_to="EUR")


def confirmed(merchant, address, received="600", now=NOW) -> Future:
    return futures.confirm(
        merchant=merchant,
        address=address.address,
        source="BTC",
        target="EUR",
        received=Decimal(received),
        now=now,
    )


def paid(address, amount="0.01", received="590", **options):
    """A deposit that the processor converted at its own price."""
    made = {"received": received and money(received, "EUR"), "converted": True}
    return factories.notice(address, sent=money(amount), **made | options)


def record(*notices, now=NOW) -> None:
    with transaction.atomic():
        deposits.record_many(processor=factories.processor(), notices=notices, now=now)
        judge_now()


def seen(address, external_id="up-x", status=DepositStatus.CONFIRMED, **options):
    credited = money("590", "EUR") if status == DepositStatus.CONFIRMED else None
    said = {"credited": credited, "external_id": external_id, "status": status}
    return paid(address, options.pop("amount", "0.01"), **said | options)


class TestInsideTheWindow:
    def test_gets_the_held_price_and_the_house_the_difference(self, merchant, address):
        future = confirmed(merchant, address)
        record(paid(address), now=LATER)
        operation = Operation.objects.get()
        assert (operation.amount_received, operation.amount_minus_fee) == (Decimal(600), Decimal(591))
        assert balance(merchant, "EUR") == (Decimal(591), Decimal(0))
        assert booked(AccountKind.FEE_INCOME, "EUR") == Decimal(9)
        assert booked(AccountKind.CONVERSION, "EUR") == Decimal(-10)
        assert booked(AccountKind.AT_PROCESSOR, "EUR") == Decimal(-590)
        assert (operation.future_deposit.future, operation.rate) == (future, future.rate)

    def test_gains_what_the_processor_made_more(self, merchant, address):
        confirmed(merchant, address)
        record(paid(address, received="610", credited=money("607", "EUR")), now=LATER)
        assert booked(AccountKind.CONVERSION, "EUR") == Decimal(10)
        assert booked(AccountKind.AT_PROCESSOR, "EUR") == Decimal(-607)
        assert booked(AccountKind.PROCESSOR_FEE, "EUR") == Decimal(-3)
        assert Operation.objects.get().credited == Decimal(600)

    def test_gets_exactly_what_was_agreed_for_exactly_what_was_asked(self, merchant, address):
        future = confirmed(merchant, address, "100")
        assert future.sender_amount == Decimal("0.00166667")
        record(paid(address, "0.00166667", "99"))
        assert Operation.objects.get().amount_received == Decimal(100)

    def test_gets_the_held_price_for_another_amount_too(self, merchant, address):
        confirmed(merchant, address, "100")
        record(paid(address, "0.02", "1180"))
        assert Operation.objects.get().amount_received == Decimal(1200)

    def test_keeps_the_price_however_late_it_is_confirmed(self, merchant, address):
        confirmed(merchant, address)
        record(seen(address, status=DepositStatus.NOT_CONFIRMED), now=LATER)
        operation = Operation.objects.get()
        assert (operation.status, operation.amount_received) == ("not_confirmed", Decimal(600))
        record(seen(address), now=OVER + timedelta(hours=1))
        assert balance(merchant, "EUR") == (Decimal(591), Decimal(0))

    def test_survives_a_reorganised_chain(self, merchant, address):
        confirmed(merchant, address)
        record(seen(address))
        record(seen(address, status=DepositStatus.CANCELLED), now=OVER)
        assert (balance(merchant, "EUR")[0], booked(AccountKind.CONVERSION, "EUR")) == (0, 0)
        record(seen(address), now=OVER)
        assert (balance(merchant, "EUR")[0], booked(AccountKind.CONVERSION, "EUR")) == (591, -10)

    def test_takes_the_newest_of_several(self, merchant, address):
        confirmed(merchant, address)
        quoted(factories.processor(), BTCEUR="50000")
        newest = confirmed(merchant, address)
        record(paid(address), now=LATER)
        assert FutureDeposit.objects.get().future == newest
        assert Operation.objects.get().amount_received == Decimal(500)

    def test_shows_both_numbers_in_the_callback(self, merchant, address):
        future = confirmed(merchant, address)
        record(paid(address))
        body = bodies.operation_body(Operation.objects.for_bodies().get())
        (vector,) = [one for one in callbacks("deposit_exchange") if one["name"].endswith(".futures")]
        assert list(body) == list(vector["payload"])
        assert (body["futures_id"], body["transaction_id"]) == (future.wire_id, body["id"])


class TestAtTheMarket:
    @pytest.mark.parametrize("now", [NOW - timedelta(seconds=1), OVER])
    def test_is_what_is_seen_outside_the_window(self, merchant, address, now):
        confirmed(merchant, address)
        record(paid(address), now=now)
        assert Operation.objects.get().amount_received == Decimal(590)
        assert "futures_id" not in bodies.operation_body(Operation.objects.for_bodies().get())

    def test_is_what_does_not_fit_the_cap(self, merchant, address):
        confirmed(merchant, address)
        record(paid(address, "0.1", "5900"), paid(address, "0.08", "4720"), paid(address, "0.06", "3540"))
        got = Operation.objects.order_by("id").values_list("amount_received", flat=True)
        assert list(got) == [Decimal(6000), Decimal(4720), Decimal(3600)]

    def test_is_not_what_a_cancelled_deposit_left_room_for(self, merchant, address):
        confirmed(merchant, address)
        record(seen(address, status=DepositStatus.NOT_CONFIRMED, amount="0.16", received=None))
        record(seen(address, status=DepositStatus.CANCELLED, amount="0.16", received=None))
        record(paid(address, "0.1", "5900"))
        assert Operation.objects.latest("id").amount_received == Decimal(6000)

    def test_is_another_address(self, merchant, address):
        confirmed(merchant, address)
        record(paid(factories.address(merchant, "BTC", convert_to="EUR")))
        assert Operation.objects.get().amount_received == Decimal(590)

    def test_is_dust(self, merchant, address):
        confirmed(merchant, address)
        record(paid(address, "0.00001", "0.5"))
        operation = Operation.objects.get()
        assert (operation.status, operation.amount_received) == ("cancelled", Decimal("0.5"))
        assert booked(AccountKind.CONVERSION, "EUR") == 0


class TestConfirm:
    def test_holds_the_price_for_ten_minutes(self, merchant, address):
        future = confirmed(merchant, address)
        assert (future.price, future.sender_amount) == (Decimal(60000), Decimal("0.01"))
        assert (future.fee, future.cap) == (Decimal(9), Decimal(10000))
        assert (future.fixed_at, future.release_at) == (NOW, OVER)

    def test_caps_what_is_got_at_its_worth_in_euro(self, merchant):
        address = factories.address(merchant, "BTC", convert_to="USD")
        ask = {"merchant": merchant, "address": address.address, "source": "BTC", "target": "USD", "now": NOW}
        assert futures.confirm(**ask, received=Decimal(12500)).cap == Decimal(12500)
        with pytest.raises(AboveCap, match=r"may not be greater than 12500\.00000000\.$"):
            futures.confirm(**ask, received=Decimal("12500.00000001"))

    def test_refuses_while_the_worth_in_euro_is_unknown(self, merchant):
        address = factories.address(merchant, "BTC", convert_to="USD")
        Rate.objects.filter(source="USD").update(seen_at="2026-01-01T00:00:00Z")
        with pytest.raises(NoRate):
            futures.confirm(
                merchant=merchant,
                address=address.address,
                source="BTC",
                target="USD",
                received=Decimal(100),
                now=NOW,
            )

    def test_refuses_others_addresses_and_other_currencies(self, merchant, address):
        with pytest.raises(NoSuchAddress):
            confirmed(trader(), address)
        other = factories.address(merchant, "ETH", convert_to="EUR")
        with pytest.raises(WrongCurrencies):
            confirmed(merchant, other)
        assert not Future.objects.exists()

    def test_refuses_a_stale_price_and_a_disabled_currency(self, merchant, address):
        terms.disable(merchant=merchant, currency="BTC", now=NOW)
        with pytest.raises(NoRate):
            confirmed(merchant, address)
        terms.enable(merchant=merchant, currency="BTC", now=NOW)
        Rate.objects.update(seen_at="2026-01-01T00:00:00Z")
        with pytest.raises(NoRate):
            confirmed(merchant, address)

    def test_refuses_beyond_the_houses_limit(self, merchant, address, settings):
        confirmed(merchant, address)
        record(paid(address))
        settings.CONVERSION_LIMIT_EUR = Decimal("9.99")
        positions.forget()
        with pytest.raises(NoRate):
            confirmed(merchant, address)

    def test_takes_another_number_where_they_have_come_round(self, merchant, address):
        first = confirmed(merchant, address)
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('future_wire_id', %s, false)", [first.wire_id])
        assert confirmed(merchant, address).wire_id == first.wire_id + 1


class TestLadder:
    def test_is_empty_of_prices_without_a_fresh_one(self, merchant, address):
        Rate.objects.update(seen_at="2026-01-01T00:00:00Z")
        steps = futures.ladder(merchant=merchant, address=address.address, now=NOW).steps
        assert steps[Pair("BTC", "EUR")] == [(step, Decimal(0)) for step in futures.STEPS_EUR]

    def test_counts_in_what_is_got(self, merchant):
        address = factories.address(merchant, "BTC", convert_to="USD")
        steps = futures.ladder(merchant=merchant, address=address.address, now=NOW).steps
        assert steps[Pair("BTC", "USD")][0] == (Decimal("125"), Decimal(75000))
        assert steps[Pair("BTC", "USD")][-1] == (Decimal("125000"), Decimal(0))


class TestQuestions:
    def test_are_none_for_deposits_that_are_not_converted(self, merchant, django_assert_num_queries):
        plain = factories.address(merchant, "BTC")
        with django_assert_num_queries(0):
            futures.held_for(fresh=[plain], known=[], now=NOW)

    def test_are_one_for_new_deposits_without_futures(self, address, django_assert_num_queries):
        with django_assert_num_queries(1):
            futures.held_for(fresh=[address, address], known=[], now=NOW)


class TestDatabase:
    @pytest.fixture(autouse=True)
    def _one(self, merchant, address):
        confirmed(merchant, address)

    @pytest.mark.parametrize("change", ["price = 1", "cap = 1", "release_at = now()", "wire_id = 1"])
    def test_keeps_what_was_promised(self, change):
        refused("promise_is_kept", f"UPDATE payments_future SET {change}")

    def test_removes_nothing(self):
        refused("promise_is_kept", "DELETE FROM payments_future")

    def test_binds_a_deposit_for_good(self, address):
        record(paid(address))
        refused("promise_is_kept", "UPDATE payments_futuredeposit SET amount_to = 0")
        refused("promise_is_kept", "DELETE FROM payments_futuredeposit")

    @pytest.mark.parametrize(
        ("constraint", "column", "value"),
        [
            ("future_amounts_are_positive_and_capped", "price", "0"),
            ("future_amounts_are_positive_and_capped", "receiver_amount", "10001"),
            ("future_amounts_are_positive_and_capped", "cap", "'NaN'"),
            ("future_holds_for_a_while", "release_at", "fixed_at"),
            ("future_is_numbered_from_one", "wire_id", "0"),
            ("future_wire_id_is_unique", "wire_id", "wire_id"),
        ],
    )
    def test_refuses_what_is_no_future(self, constraint, column, value):
        names = [field.column for field in Future._meta.concrete_fields if field.column != "id"]
        values = [
            value if name == column else "wire_id + 1000" if name == "wire_id" else name for name in names
        ]
        refused(
            constraint,
            f"INSERT INTO payments_future ({', '.join(names)})"
            f" SELECT {', '.join(values)} FROM payments_future",
        )

    def test_refuses_a_deposit_of_another_merchant(self):
        stranger = factories.address(factories.merchant(), "BTC", convert_to="EUR")
        record(paid(stranger))
        number = Operation.objects.get().pk
        for whose in ("f.merchant_id", "(SELECT merchant_id FROM payments_operation)"):
            refused(
                "future_deposit_",
                "INSERT INTO payments_futuredeposit (operation_id, merchant_id, future_id, amount_to)"
                f" SELECT {number}, {whose}, f.id, 1 FROM payments_future f",
            )

    def test_refuses_another_merchants_address(self):
        stranger = factories.address(factories.merchant(), "BTC", convert_to="EUR")
        names = [field.column for field in Future._meta.concrete_fields if field.column != "id"]
        values = {"address_id": str(stranger.pk), "wire_id": "wire_id + 1"}
        refused(
            "future_address_is_the_merchants",
            f"INSERT INTO payments_future ({', '.join(names)})"
            f" SELECT {', '.join(values.get(name, name) for name in names)} FROM payments_future",
        )

    def test_lets_the_application_do_all_of_it(self, merchant, address):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE bursar_app")
            confirmed(merchant, address)
            deposits.record_many(processor=factories.processor(), notices=[paid(address)], now=NOW)
            judge_now()
            cursor.execute("RESET ROLE")
        assert ledger.of_house(AccountKind.CONVERSION) == {"EUR": Decimal(-10)}
