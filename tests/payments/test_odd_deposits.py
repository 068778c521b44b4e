"""Deposits with odd numbers and texts: each is booked truly, or refused at once with the reason."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import transaction

from payments import deposits, held_deposits, ledger
from payments.deposits import Contradiction
from payments.models import Operation, UnmatchedDeposit
from payments.models.account import AccountKind
from payments.models.entry import Entry, Posting
from payments.processors.base import DepositNotice, DepositStatus
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW, money, notice

pytestmark = pytest.mark.django_db

CONFIRMED, CANCELLED = DepositStatus.CONFIRMED, DepositStatus.CANCELLED
ZERO = Decimal(0)


def record(*notices: DepositNotice) -> None:
    with transaction.atomic():
        deposits.record_many(processor=factories.processor(), notices=notices, now=NOW)
        judge_now()


class TestFeeThatTakesAll:
    """The minimum fee is more than what came: the merchant gets nothing, and nothing stands in the way."""

    @pytest.fixture
    def merchant(self):
        merchant = factories.merchant()
        factories.terms("BTC", merchant=merchant, deposit_minimum_fee=Decimal("0.1"), deposit_minimum=ZERO)
        return merchant

    def test_is_booked_as_our_income(self, merchant):
        record(notice(factories.address(merchant), amount="0.01"))
        income = Posting.objects.get(account__kind=AccountKind.FEE_INCOME)
        assert income.amount == Decimal("0.01")
        assert not [row for row in ledger.balances(merchant) if row.available]

    def test_is_taken_back_whole(self, merchant):
        address = factories.address(merchant)
        record(notice(address, amount="0.01", external_id="1"))
        record(notice(address, amount="0.01", external_id="1", status=CANCELLED))
        assert sum(Posting.objects.values_list("amount", flat=True)) == 0
        assert Entry.objects.count() == 2

    def test_does_not_keep_other_held_deposits_from_their_release(self, merchant):
        merchant.block()
        address = factories.address(merchant)
        record(notice(address, amount="0.01"), notice(address, amount="1"))
        merchant.unblock()
        assert held_deposits.release(merchant=merchant, now=NOW) == 2
        (balance,) = ledger.balances(merchant)
        assert (balance.available, balance.held) == (Decimal("0.9"), ZERO)
        assert not Operation.objects.filter(credited_to="held").exists()
        assert held_deposits.release(merchant=merchant, now=NOW) == 0

    def test_is_taken_back_whole_after_a_release_that_moved_nothing(self, merchant):
        merchant.block()
        address = factories.address(merchant)
        record(notice(address, amount="0.01", external_id="1"))
        merchant.unblock()
        held_deposits.release(merchant=merchant, now=NOW)
        record(notice(address, amount="0.01", external_id="1", status=CANCELLED))
        record(notice(address, amount="0.01", external_id="1"))
        assert Posting.objects.filter(account__kind=AccountKind.FEE_INCOME).count() == 3


class TestRepetition:
    """Bytes that were applied before and still stand cost one look, and only that."""

    @pytest.fixture
    def address(self):
        return factories.address(factories.merchant())

    @pytest.mark.parametrize("status", [CONFIRMED, CANCELLED, DepositStatus.NOT_CONFIRMED])
    def test_of_what_stands_is_one_query(self, address, status, django_assert_num_queries):
        said = notice(address, external_id="1", status=status, confirmations=3)
        record(said)
        before = Operation.objects.values().get()
        with transaction.atomic(), django_assert_num_queries(1):
            again = [replace(said, repeated=True)]
            deposits.record_many(processor=address.processor, notices=again, now=NOW)
        assert Operation.objects.values().get() == before

    def test_is_judged_beside_what_else_is_said_of_the_deposit(self, address):
        said = notice(address, external_id="1")
        record(said)
        with pytest.raises(Contradiction):
            record(replace(said, status=CANCELLED, credited=None), replace(said, repeated=True))
        assert Operation.objects.get().status == "confirmed"

    def test_of_what_was_taken_back_since_is_for_people(self, address):
        said = notice(address, external_id="1")
        record(said)
        record(replace(said, status=CANCELLED, credited=None))
        with pytest.raises(Contradiction):
            record(replace(said, repeated=True))

    def test_of_dust_is_one_query(self, address, django_assert_num_queries):
        factories.terms("BTC", merchant=address.merchant, deposit_minimum=Decimal(1))
        said = notice(address, external_id="1")
        record(said)
        assert Operation.objects.get().credited_to == "dust"
        with transaction.atomic(), django_assert_num_queries(1):
            again = [replace(said, repeated=True)]
            deposits.record_many(processor=address.processor, notices=again, now=NOW)


class TestConfirmedNothing:
    """A processor that confirms and credits nothing is looked at by people, at once."""

    @pytest.mark.parametrize(("currency", "convert_to"), [("BTC", ""), ("BTC", "EUR")])
    def test_is_a_contradiction(self, currency, convert_to):
        address = factories.address(factories.merchant(), currency, convert_to=convert_to)
        received = money("0", convert_to or currency)
        with pytest.raises(Contradiction, match="nothing was received"):
            record(notice(address, received=received, credited=received))
        assert not Operation.objects.exists()

    def test_that_a_processor_kept_whole_is_booked(self):
        merchant = factories.merchant()
        received, nothing = money("0.01"), money("0")
        record(notice(factories.address(merchant), amount="0.01", received=received, credited=nothing))
        assert ledger.balances(merchant)[0].available == Decimal("0.01")


class TestLongReason:
    def test_does_not_keep_a_deposit_from_being_taken_back(self):
        merchant = factories.merchant()
        address = factories.address(merchant)
        record(notice(address, external_id="1"))
        record(notice(address, external_id="1", status=CANCELLED, error="ä" * 1000))
        assert Operation.objects.get().error == "ä" * 255
        assert ledger.balances(merchant)[0].available == ZERO

    def test_does_not_keep_one_that_was_never_confirmed_from_being_recorded(self):
        record(notice(factories.address(factories.merchant()), status=CANCELLED, error="ä" * 1000))
        assert Operation.objects.get().error == "ä" * 255


class TestUnmatched:
    """Suspense is as strict as a merchant's account, with the first notice and with every later one."""

    @pytest.fixture
    def first(self):
        first = notice(
            factories.address(factories.merchant()), address="2Nnobodys", status=DepositStatus.NOT_CONFIRMED
        )
        record(first)
        return first

    def later(self, first: DepositNotice, **options) -> DepositNotice:
        return DepositNotice(
            **{
                "external_id": first.external_id,
                "address": first.address,
                "tag": first.tag,
                "status": CONFIRMED,
                "sent": first.sent,
                "received": first.sent,
                "credited": first.sent,
            }
            | options
        )

    @pytest.mark.parametrize(
        "options",
        [
            {"received": money("9"), "credited": money("9")},
            {"credited": money("9")},
            {"received": money("9", "ETH"), "credited": money("9", "ETH")},
            {"received": money("0"), "credited": money("0")},
            {"address": "2Nanother"},
            {"tag": "7"},
        ],
    )
    def test_refuses_a_later_notice_that_does_not_fit(self, first, options):
        with pytest.raises(Contradiction):
            record(self.later(first, **options))
        assert not Entry.objects.exists()
        assert UnmatchedDeposit.objects.get().status == DepositStatus.NOT_CONFIRMED

    def test_books_a_later_notice_that_fits(self, first):
        record(self.later(first))
        assert Posting.objects.get(account__kind=AccountKind.SUSPENSE).amount == first.sent.amount
