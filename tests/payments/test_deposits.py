"""Deposits: what each notice makes of the operation, the books and the merchant's news."""

from __future__ import annotations

import itertools
import threading
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments import deposits, events, held_deposits, ledger, rates
from payments.models import BELOW_MINIMUM, CreditedTo, Operation, OperationStatus, UnmatchedDeposit
from payments.models.account import AccountKind
from payments.models.entry import Entry, Posting
from payments.processors.base import DepositStatus, NoticeFee, Pair, Quote, Risk
from tests import factories
from tests.constraints import judge_now, refused
from tests.factories import NOW, money, notice

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(monkeypatch):
    """(operation's wire id, version, status) of everything that the merchant was told, in order."""
    news: list[tuple[int, int, str]] = []

    def listen(operations):
        news.extend((row.wire_id, row.version, str(row.status)) for row in operations)

    monkeypatch.setattr(events, "transactions_changed", listen)
    return news


@pytest.fixture
def merchant():
    return factories.merchant()


@pytest.fixture
def address(merchant):
    factories.terms("BTC", merchant=merchant)
    return factories.address(merchant, "BTC")


def record(*notices) -> None:
    with transaction.atomic():
        deposits.record_many(processor=factories.processor(), notices=notices, now=NOW)
        judge_now()


def balance(merchant, currency: str = "BTC") -> ledger.Balance:
    rows = [row for row in ledger.balances(merchant) if row.currency == currency]
    return rows[0] if rows else ledger.Balance(currency, Decimal(0), Decimal(0), Decimal(0))


def booked(kind: AccountKind, currency: str = "BTC") -> Decimal:
    """The sum of an account that is not kept."""
    rows = Posting.objects.filter(account__kind=kind, currency=currency).values_list("amount", flat=True)
    return sum(rows, Decimal(0))


def later(first, status: DepositStatus, **options):
    """A further notice about the same deposit."""
    options = {"external_id": first.external_id, "sent": first.sent, "status": status} | options
    credited = first.received if status == DepositStatus.CONFIRMED else None
    return notice(_AddressOf(first), **{"received": first.received, "credited": credited} | options)


class _AddressOf:
    def __init__(self, first):
        self.address, self.tag, self.currency = first.address, first.tag, first.sent.currency


class TestFirstSight:
    def test_records_a_deposit_and_books_nothing_yet(self, merchant, address, told):
        record(notice(address, status=DepositStatus.NOT_CONFIRMED, risk=Risk("0.12")))
        operation = Operation.objects.get()
        assert (operation.status, operation.version, operation.amount_sent) == (
            "not_confirmed",
            1,
            Decimal("0.01500000"),
        )
        assert operation.amount_minus_fee == Decimal("0.01500000")
        assert operation.legs.get().riskscore == "0.12"
        assert told == [(operation.wire_id, 1, "not_confirmed")]
        assert not Entry.objects.exists()

    def test_credits_what_is_confirmed_less_our_fee(self, merchant, address, told):
        record(notice(address, credited=money("0.01499000")))
        assert balance(merchant).available == Decimal("0.01488000")
        assert booked(AccountKind.FEE_INCOME) == Decimal("0.00012000")
        assert booked(AccountKind.AT_PROCESSOR) == Decimal("-0.01499000")
        assert booked(AccountKind.PROCESSOR_FEE) == Decimal("-0.00001000")
        operation = Operation.objects.get()
        assert operation.amount_minus_fee == Decimal("0.01488000")
        assert [(fee.type, fee.amount) for fee in operation.fees.all()] == [
            ("deposit", Decimal("0.00012000"))
        ]
        assert operation.terms == factories.Terms.objects.get(merchant=merchant)
        assert told == [(operation.wire_id, 1, "confirmed")]

    def test_books_a_sweep_fee_in_the_chains_coin_as_ours(self, merchant):
        factories.terms("USDTE", merchant=merchant)
        address = factories.address(merchant, "USDTE")
        record(notice(address, "100", fees=(NoticeFee("transfer", money("0.00041", "ETH")),)))
        assert balance(merchant, "USDTE").available == Decimal("99.2")
        assert booked(AccountKind.AT_PROCESSOR, "ETH") == Decimal("0.00041")
        assert booked(AccountKind.PROCESSOR_FEE, "ETH") == Decimal("-0.00041")

    def test_copies_the_customers_reference(self, merchant):
        factories.terms("BTC", merchant=merchant)
        record(notice(factories.address(merchant, end_user_reference="player-77")))
        assert Operation.objects.get().end_user_reference == "player-77"

    def test_credits_without_a_fee_where_no_terms_were_ever_set(self, merchant):
        record(notice(factories.address(merchant, "BTC")))
        assert balance(merchant).available == Decimal("0.015")

    def test_books_a_deposit_of_a_currency_disabled_meanwhile(self, merchant, address):
        factories.terms("BTC", merchant=merchant, enabled=False, valid_from=NOW)
        record(notice(address))
        assert balance(merchant).available == Decimal("0.01488")

    def test_opens_wire_ids_that_fit_32_bits(self, address):
        record(notice(address))
        operation = Operation.objects.get()
        assert 0 < operation.wire_id < 2**31
        assert 0 < operation.legs.get().wire_id < 2**31


class TestProgress:
    def test_credits_once_confirmed(self, merchant, address, told):
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first)
        record(later(first, DepositStatus.CONFIRMED, confirmations=1))
        operation = Operation.objects.get()
        assert (operation.status, operation.version) == ("confirmed", 2)
        assert operation.legs.get().confirmations == 1
        assert balance(merchant).available == Decimal("0.01488")
        assert [version for _, version, _ in told] == [1, 2]

    def test_credits_once_whatever_comes_again(self, merchant, address, told):
        first = notice(address)
        record(first)
        record(later(first, DepositStatus.CONFIRMED, confirmations=5))
        record(first, first)
        assert balance(merchant).available == Decimal("0.01488")
        assert len(told) == 1
        assert Operation.objects.get().version == 1

    def test_ignores_an_earlier_status_that_arrives_late(self, merchant, address, told):
        first = notice(address)
        record(first)
        record(later(first, DepositStatus.NOT_CONFIRMED))
        assert Operation.objects.get().status == "confirmed"
        assert len(told) == 1

    def test_takes_several_notices_of_one_deposit_in_one_batch(self, merchant, address, told):
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first, later(first, DepositStatus.CONFIRMED), later(first, DepositStatus.CANCELLED))
        operation = Operation.objects.get()
        assert told == [
            (operation.wire_id, 1, "not_confirmed"),
            (operation.wire_id, 2, "confirmed"),
            (operation.wire_id, 3, "cancelled"),
        ]
        assert balance(merchant).available == Decimal(0)

    def test_takes_many_deposits_in_one_batch(self, merchant, address):
        record(*(notice(address, "0.01") for _ in range(20)))
        assert balance(merchant).available == Decimal("0.1984")
        assert Entry.objects.count() == 20

    def test_cancels_what_never_confirmed(self, merchant, address, told):
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first)
        record(later(first, DepositStatus.CANCELLED))
        operation = Operation.objects.get()
        assert (operation.status, operation.error) == (
            "cancelled",
            "Transaction was replaced in the network",
        )
        assert operation.amount_minus_fee == Decimal(0)
        assert not Entry.objects.exists()

    def test_keeps_the_terms_of_the_first_sight(self, merchant, address, told):
        first = notice(address)
        record(first)
        factories.terms("BTC", merchant=merchant, deposit_minimum=Decimal(1), valid_from=NOW)
        record(later(first, DepositStatus.CONFIRMED, confirmations=9))
        operation = Operation.objects.get()
        assert (operation.status, operation.version, len(told)) == ("confirmed", 1, 1)
        assert balance(merchant).available == Decimal("0.01488")

    def test_charges_the_fee_of_the_first_sight(self, merchant, address):
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first)
        factories.terms("BTC", merchant=merchant, deposit_fee_percent=Decimal("0.5"), valid_from=NOW)
        record(later(first, DepositStatus.CONFIRMED))
        assert balance(merchant).available == Decimal("0.01488")


class TestReorganisedChain:
    def test_takes_an_unspent_deposit_back_whole(self, merchant, address, told):
        first = notice(address, credited=money("0.01499"))
        record(first)
        record(later(first, DepositStatus.CANCELLED))
        operation = Operation.objects.get()
        assert (operation.status, operation.credited_to) == ("cancelled", CreditedTo.NOWHERE)
        assert not operation.fees.exists()
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(0), Decimal(0))
        assert booked(AccountKind.FEE_INCOME) == booked(AccountKind.AT_PROCESSOR) == Decimal(0)
        assert [status for _, _, status in told] == ["confirmed", "cancelled"]

    def test_makes_a_spent_deposit_a_debt_that_later_deposits_repay(self, merchant, address):
        first = notice(address)
        record(first)
        _spend(merchant, "0.01")
        record(later(first, DepositStatus.CANCELLED))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(0), Decimal("0.01"))
        record(notice(address, "0.02"))
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.00984"), Decimal(0), Decimal(0))

    def test_credits_again_when_mined_again(self, merchant, address, told):
        first = notice(address)
        record(first)
        record(later(first, DepositStatus.CANCELLED))
        record(later(first, DepositStatus.CONFIRMED, txid="beef" + "0" * 60))
        operation = Operation.objects.get()
        assert (operation.status, operation.version, operation.bookings) == ("confirmed", 3, 3)
        assert operation.legs.get().txid == "beef" + "0" * 60
        assert operation.fees.count() == 1
        assert balance(merchant).available == Decimal("0.01488")
        assert [status for _, _, status in told] == ["confirmed", "cancelled", "confirmed"]


def _spend(merchant, amount: str) -> None:
    ledger.post(
        ledger.NewEntry(
            key=f"spend:{amount}",
            kind="test",
            subject="test",
            occurred_at=NOW,
            lines=[
                ledger.available(merchant.pk, money(f"-{amount}")),
                ledger.house(AccountKind.ADJUSTMENT, money(amount)),
            ],
        )
    )


class TestBelowMinimum:
    def test_cancels_at_once_and_books_the_dust_when_it_arrives(self, merchant, address, told):
        first = notice(address, "0.00000900", status=DepositStatus.NOT_CONFIRMED)
        record(first)
        operation = Operation.objects.get()
        assert (operation.status, operation.error) == ("cancelled", BELOW_MINIMUM)
        assert operation.is_below_minimum
        record(later(first, DepositStatus.CONFIRMED))
        assert booked(AccountKind.DUST) == Decimal("0.000009")
        assert balance(merchant).available == Decimal(0)
        assert told == [(operation.wire_id, 1, "cancelled")]

    def test_books_nothing_when_the_processor_kept_it(self, merchant, address):
        record(notice(address, "0.00000900", status=DepositStatus.CANCELLED, error=BELOW_MINIMUM))
        assert Operation.objects.get().error == BELOW_MINIMUM
        assert not Entry.objects.exists()


class TestConversion:
    @pytest.fixture
    def address(self, merchant):
        factories.terms("BTC", merchant=merchant)
        return factories.address(merchant, "BTC", convert_to="EUR")

    def test_credits_what_the_processor_received_less_our_fee(self, merchant, address, told):
        record(
            notice(
                address,
                "0.004",
                received=money("241.2", "EUR"),
                credited=money("240", "EUR"),
                converted=True,
            )
        )
        operation = Operation.objects.get()
        assert operation.kind == "deposit_exchange"
        assert balance(merchant, "EUR").available == Decimal("237.582")
        assert booked(AccountKind.PROCESSOR_FEE, "EUR") == Decimal("-1.2")
        assert [(leg.type, leg.amount_to) for leg in operation.legs.all()] == [
            ("deposit", None),
            ("exchange", Decimal("241.2")),
        ]
        assert [(fee.type, fee.currency, fee.amount) for fee in operation.fees.all()] == [
            ("exchange", "EUR", Decimal("3.618"))
        ]

    def test_keeps_the_rate_that_stood(self, merchant, address):
        quoted = Quote(Pair("BTC", "EUR"), Decimal("60300"))
        rates.keep(processor=factories.processor(), quotes=[quoted])
        record(notice(address, "0.004", received=money("241.2", "EUR")))
        rates.keep(processor=factories.processor(), quotes=[Quote(quoted.pair, Decimal("59000"))])
        assert Operation.objects.get().rate.price == Decimal("60300")

    def test_takes_the_exchange_leg_back_with_the_deposit(self, merchant, address):
        first = notice(address, "0.004", received=money("241.2", "EUR"))
        record(first)
        record(later(first, DepositStatus.CANCELLED, received=None))
        operation = Operation.objects.get()
        assert [leg.type for leg in operation.legs.all()] == ["deposit"]
        assert balance(merchant, "EUR").available == Decimal(0)

    def test_refuses_a_conversion_into_another_currency(self, merchant, address):
        with pytest.raises(deposits.Contradiction, match="received USD"):
            record(notice(address, "0.004", received=money("241.2", "USD")))
        assert not Operation.objects.exists()


class TestCrossCurrency:
    def test_credits_the_currency_that_arrived(self, merchant):
        factories.terms("ETH", merchant=merchant)
        address = factories.address(merchant, "USDTE", address="0xd3" + "0" * 38, lookup="0xd3" + "0" * 38)
        record(
            notice(
                address, sent=money("0.05", "ETH"), received=money("0.05", "ETH"), expected_currency="USDTE"
            )
        )
        operation = Operation.objects.get()
        assert operation.is_cross_currency
        assert balance(merchant, "ETH").available == Decimal("0.0496")

    def test_refuses_another_currency_that_the_processor_does_not_explain(self, merchant):
        address = factories.address(merchant, "USDTE", address="0xd3" + "0" * 38, lookup="0xd3" + "0" * 38)
        with pytest.raises(deposits.Contradiction):
            record(notice(address, sent=money("0.05", "ETH"), received=money("0.05", "ETH")))


class TestBlockedMerchant:
    def test_holds_the_money_until_it_is_released(self, address, merchant, told):
        merchant.block()
        record(notice(address))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal("0.01488"), Decimal(0))
        assert held_deposits.release(merchant=merchant, now=NOW) == 1
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.01488"), Decimal(0), Decimal(0))
        assert held_deposits.release(merchant=merchant, now=NOW) == 0

    def test_reverses_a_held_deposit_from_where_it_lies(self, address, merchant):
        merchant.block()
        first = notice(address)
        record(first)
        record(later(first, DepositStatus.CANCELLED))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(0), Decimal(0))

    def test_reverses_a_released_deposit_from_where_it_lies(self, address, merchant):
        merchant.block()
        first = notice(address)
        record(first)
        held_deposits.release(merchant=merchant, now=NOW)
        record(later(first, DepositStatus.CANCELLED))
        assert balance(merchant) == ledger.Balance("BTC", Decimal(0), Decimal(0), Decimal(0))


class TestUnmatched:
    def test_goes_to_suspense_and_to_no_merchant(self, merchant, address, told):
        record(notice(address, address="2NnobodysAddress"))
        row = UnmatchedDeposit.objects.get()
        assert (row.amount, row.status, row.is_booked) == (Decimal("0.015"), "confirmed", True)
        assert booked(AccountKind.SUSPENSE) == Decimal("0.015")
        assert not Operation.objects.exists()
        assert told == []

    def test_books_only_what_is_confirmed(self, address):
        first = notice(address, address="2NnobodysAddress", status=DepositStatus.NOT_CONFIRMED)
        record(first)
        assert not Entry.objects.exists()
        record(later(first, DepositStatus.CONFIRMED))
        record(later(first, DepositStatus.CONFIRMED, confirmations=9))
        assert booked(AccountKind.SUSPENSE) == Decimal("0.015")

    def test_takes_a_cancelled_one_out_of_suspense(self, address):
        first = notice(address, address="2NnobodysAddress")
        record(first)
        record(later(first, DepositStatus.CANCELLED))
        assert booked(AccountKind.SUSPENSE) == Decimal(0)

    def test_does_not_credit_an_address_with_another_tag(self, merchant):
        factories.terms("XRP", merchant=merchant)
        address = factories.address(merchant, "XRP", tag="88012345")
        record(notice(address, "250", tag="1"))
        assert balance(merchant, "XRP").available == Decimal(0)
        assert UnmatchedDeposit.objects.get().tag == "1"

    def test_does_not_credit_an_address_that_nobody_took(self, merchant):
        free = factories.Address.objects.create(
            processor=factories.processor(), currency="BTC", address="2Nfree", lookup="2Nfree"
        )
        record(notice(free))
        assert UnmatchedDeposit.objects.count() == 1


class TestHostileNotice:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"sent": money("0")}, "moves nothing"),
            ({"sent": money("0.015", "XYZ")}, "XYZ"),
            ({"received": money("0.02")}, "more was received than sent"),
            ({"credited": money("0.02")}, "more was credited than received"),
            ({"credited": money("1", "EUR")}, "credited another currency"),
            ({"received": money("1", "EUR")}, "received EUR"),
        ],
    )
    def test_is_refused_and_leaves_nothing(self, address, options, words):
        with pytest.raises(deposits.Contradiction, match=words):
            record(notice(address, **options))
        assert not Operation.objects.exists()
        assert not Entry.objects.exists()

    def test_may_not_change_the_amount_of_a_deposit(self, merchant, address):
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first)
        with pytest.raises(deposits.Contradiction, match="was recorded"):
            record(notice(address, "1.5", external_id=first.external_id))
        assert balance(merchant).available == Decimal(0)

    def test_may_not_move_a_deposit_to_another_address(self, merchant, address):
        other = factories.address(factories.merchant(), "BTC")
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first)
        with pytest.raises(deposits.Contradiction, match="another address"):
            record(notice(other, external_id=first.external_id))

    def test_takes_the_whole_batch_with_it(self, merchant, address):
        with pytest.raises(deposits.Contradiction):
            record(notice(address), notice(address, credited=money("9")))
        assert not Operation.objects.exists()
        assert balance(merchant).available == Decimal(0)


class TestDatabase:
    def test_refuses_a_second_operation_for_one_deposit(self, address):
        record(notice(address, external_id="up-1"))
        refused(
            "operation_of_a_processor_is_unique",
            "INSERT INTO payments_operation (merchant_id, wire_id, kind, status, version, processor_id,"
            " external_id, address_id, replaces, currency_sent, amount_sent, currency_received,"
            " amount_received, amount_minus_fee, credited, credited_to, bookings, error, created_at,"
            " changed_at)"
            " SELECT merchant_id, 1, kind, status, version, processor_id, external_id, address_id, replaces,"
            " currency_sent, amount_sent, currency_received, amount_received, amount_minus_fee, credited,"
            " credited_to, bookings, error, created_at, changed_at FROM payments_operation",
        )

    @pytest.mark.parametrize(("kind", "status"), [("gift", "confirmed"), ("deposit", "gone")])
    def test_refuses_a_kind_or_status_that_is_none(self, address, kind, status):
        record(notice(address))
        copy = _copy(Operation.objects.get(), address=address)
        copy.kind, copy.status = kind, status
        with (
            pytest.raises(
                IntegrityError, match=r"operation_(kind_and_status_are_known|comes_in_or_is_ordered)"
            ),
            transaction.atomic(),
        ):
            Operation.objects.bulk_create([copy])

    def test_refuses_an_operation_at_another_merchants_address(self, address):
        record(notice(address))
        other = factories.address(factories.merchant())
        refused(
            "operation_keeps_its_identity",
            f"UPDATE payments_operation SET address_id = {other.pk}",
        )
        with pytest.raises(IntegrityError, match="operation_address_is_the_merchants"), transaction.atomic():
            Operation.objects.bulk_create([_copy(Operation.objects.get(), address=other)])
            judge_now()

    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("operation_status_moves_legally", "status = 'not_confirmed', version = version + 1"),
            ("operation_goes_forwards", "status = 'cancelled'"),
            ("operation_goes_forwards", "version = version - 1"),
            ("operation_keeps_its_identity", "amount_sent = 99"),
            ("operation_amounts_are_not_negative", "amount_received = -1, amount_minus_fee = -1"),
            ("operation_amounts_are_not_negative", "amount_received = 'NaN'"),
            ("operation_fee_is_not_negative", "amount_minus_fee = amount_received + 1"),
            ("operation_money_lies_where_its_status_says", "credited_to = '', credited = NULL"),
            ("operation_money_lies_where_its_status_says", "credited_to = 'dust'"),
            ("operation_money_lies_where_its_status_says", "status = 'cancelled', version = version + 1"),
            ("operation_is_credited_no_more_than_received", "credited = amount_received + 1"),
            ("operation_is_credited_no_more_than_received", "credited = NULL"),
        ],
    )
    def test_refuses_what_no_verb_would_do(self, address, constraint, change):
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        record(first)
        record(later(first, DepositStatus.CONFIRMED))
        refused(constraint, f"UPDATE payments_operation SET {change}")


def _copy(operation: Operation, **changes) -> Operation:
    values = {field.attname: getattr(operation, field.attname) for field in Operation._meta.concrete_fields}
    values |= {"id": None, "wire_id": 5, "external_id": "copy", "address_id": changes["address"].pk}
    return Operation(**values)


_steps = st.lists(
    st.sampled_from([DepositStatus.NOT_CONFIRMED, DepositStatus.CONFIRMED, DepositStatus.CANCELLED]),
    min_size=1,
    max_size=6,
)


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_record_one_deposit_one_after_the_other(self):
        merchant = factories.merchant()
        factories.terms("BTC", merchant=merchant)
        address = factories.address(merchant)
        first = notice(address, status=DepositStatus.NOT_CONFIRMED)
        failed: list[Exception] = []

        def work(said) -> None:
            try:
                record(said)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
                failed.append(error)
            finally:
                connection.close()

        notices = [first, later(first, DepositStatus.CONFIRMED)] * 4
        threads = [threading.Thread(target=work, args=(said,)) for said in notices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert Operation.objects.get().status == "confirmed"
        assert balance(merchant).available == Decimal("0.01488")


class TestAnyOrder:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(_steps, min_size=1, max_size=3))
    def test_credits_exactly_the_deposits_that_stand_confirmed(self, histories):
        with transaction.atomic():
            merchant = factories.merchant()
            factories.terms("BTC", merchant=merchant)
            address = factories.address(merchant)
            firsts = [notice(address, status=DepositStatus.NOT_CONFIRMED) for _ in histories]
            rounds = itertools.zip_longest(*histories)
            for step in rounds:
                record(*(later(first, status) for first, status in zip(firsts, step, strict=True) if status))
            confirmed = Operation.objects.for_merchant(merchant).filter(status=OperationStatus.CONFIRMED)
            standing = balance(merchant)
            assert standing.available == Decimal("0.01488") * confirmed.count()
            assert standing.debt == standing.held == Decimal(0)
            for operation in Operation.objects.for_merchant(merchant):
                assert operation.is_booked == (operation.status == OperationStatus.CONFIRMED)
            transaction.set_rollback(True)
