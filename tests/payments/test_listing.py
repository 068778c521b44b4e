"""Listing transactions: filters, pages by key in both directions, and the same rows as CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from payments import deposits, listing
from payments.listing import Filters, NoSuchPlace
from payments.models import Operation, OperationStatus
from payments.processors.base import DepositStatus
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    for code in ("BTC", "ETH"):
        factories.terms(code)
    return factories.merchant()


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 3)


def receive(merchant, count=1, *, currency="BTC", status=DepositStatus.CONFIRMED, amount="0.5", **address):
    """Deposits, a minute apart from the last one there is; their numbers, oldest first."""
    made = []
    for _ in range(count):
        number = Operation.objects.count()
        to = factories.address(merchant, currency, **address)
        notice = factories.notice(to, amount, status=status)
        deposits.record_many(processor=to.processor, notices=[notice], now=NOW + timedelta(minutes=number))
        made.append(Operation.objects.latest("id").wire_id)
    return made


def numbers(page):
    return [row.wire_id for row in page.rows]


class TestPage:
    def test_begins_with_the_newest(self, merchant):
        made = receive(merchant, 3)
        page = listing.page(merchant=merchant, filters=Filters())
        assert numbers(page) == made[::-1]
        assert (page.older, page.newer) == (None, None)

    def test_shows_no_other_merchants(self, merchant):
        receive(factories.merchant())
        assert listing.page(merchant=merchant, filters=Filters()).rows == []

    @pytest.mark.usefixtures("_small")
    def test_goes_on_where_the_last_one_ended_and_back(self, merchant):
        made = receive(merchant, 8)[::-1]
        first = listing.page(merchant=merchant, filters=Filters())
        second = listing.page(merchant=merchant, filters=Filters(), older_than=first.older)
        third = listing.page(merchant=merchant, filters=Filters(), older_than=second.older)
        assert [numbers(page) for page in (first, second, third)] == [made[:3], made[3:6], made[6:]]
        assert third.older is None
        back = listing.page(merchant=merchant, filters=Filters(), newer_than=third.newer)
        assert numbers(back) == made[3:6]
        top = listing.page(merchant=merchant, filters=Filters(), newer_than=back.newer)
        assert (numbers(top), top.newer) == (made[:3], None)

    @pytest.mark.usefixtures("_small")
    def test_tells_apart_what_came_in_the_same_moment(self, merchant):
        made = receive(merchant, 7)[::-1]
        Operation.objects.update(created_at=NOW)
        first = listing.page(merchant=merchant, filters=Filters())
        second = listing.page(merchant=merchant, filters=Filters(), older_than=first.older)
        assert numbers(first) + numbers(second) == made[:6]

    def test_refuses_a_place_that_is_another_merchants(self, merchant):
        (theirs,) = receive(factories.merchant())
        with pytest.raises(NoSuchPlace):
            listing.page(merchant=merchant, filters=Filters(), older_than=theirs)

    def test_narrows_by_currency_status_kind_and_time(self, merchant):
        (btc,) = receive(merchant)
        (eth,) = receive(merchant, currency="ETH")
        (seen,) = receive(merchant, status=DepositStatus.NOT_CONFIRMED)

        def found(**given):
            return numbers(listing.page(merchant=merchant, filters=Filters(**given)))

        assert found(currency="ETH") == [eth]
        assert found(status=OperationStatus.NOT_CONFIRMED) == [seen]
        assert found(status=OperationStatus.CONFIRMED) == [eth, btc]
        assert found(status=OperationStatus.NOT_CONFIRMED, currency="ETH") == []
        assert found(kind="deposit_exchange") == []
        assert found(since=NOW + timedelta(minutes=1), until=NOW + timedelta(minutes=2)) == [eth]

    @pytest.mark.usefixtures("_small")
    def test_says_how_far_back_it_looked(self, merchant, monkeypatch):
        monkeypatch.setattr(listing, "WINDOW", 4)
        (odd,) = receive(merchant)
        receive(merchant, 5, status=DepositStatus.NOT_CONFIRMED)
        rare = Filters(status=OperationStatus.CONFIRMED)
        page = listing.page(merchant=merchant, filters=rare)
        assert (page.rows, page.looked_back_to) == ([], NOW + timedelta(minutes=2))
        further = listing.page(merchant=merchant, filters=rare, older_than=page.older)
        assert (numbers(further), further.older) == ([odd], None)

    def test_asks_the_same_number_of_questions_for_any_page(self, merchant, django_assert_num_queries):
        receive(merchant, 12)
        with django_assert_num_queries(3):
            page = listing.page(merchant=merchant, filters=Filters())
            assert [(row.address.address, list(row.legs.all())) for row in page.rows]


class TestCsv:
    def rows(self, merchant, **given):
        raw = b"".join(listing.csv(merchant=merchant, filters=Filters(**given)))
        return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))

    def test_holds_exactly_the_listed_rows(self, merchant):
        receive(merchant, 2)
        receive(merchant, currency="ETH")
        receive(factories.merchant())
        page = listing.page(merchant=merchant, filters=Filters(currency="BTC"))
        assert [int(row["id"]) for row in self.rows(merchant, currency="BTC")] == numbers(page)

    def test_writes_every_digit_fee_and_balance_after(self, merchant):
        receive(merchant, amount="0.12345678")
        (row,) = self.rows(merchant)
        assert (row["amount_sent"], row["fee"], row["net"]) == ("0.12345678", "0.00098766", "0.12246912")
        assert row["balance_after"] == "0.12246912"

    def test_tells_what_it_was_worth_in_fiat_where_a_rate_was_frozen(self, merchant):
        receive(merchant)
        to = factories.address(merchant, convert_to="EUR")
        notice = factories.notice(to, "0.5", received=factories.money("25000", "EUR"))
        deposits.record_many(processor=to.processor, notices=[notice], now=NOW + timedelta(hours=1))
        told = [(row["fiat_then"], row["fiat_currency"]) for row in self.rows(merchant)]
        assert told == [("25000.00000000", "EUR"), ("", "")]

    def test_ends_lines_as_the_standard_says(self, merchant):
        receive(merchant)
        raw = b"".join(listing.csv(merchant=merchant, filters=Filters()))
        assert raw.count(b"\r\n") == raw.count(b"\n") == 2

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
    def test_keeps_spreadsheets_from_calculating(self, merchant, text):
        receive(merchant, foreign_id=text)
        assert self.rows(merchant)[0]["foreign_id"] == f"'{text}"

    def test_leaves_other_texts_and_numbers_alone(self, merchant):
        receive(merchant, foreign_id='a "quoted", name')
        assert self.rows(merchant)[0]["foreign_id"] == 'a "quoted", name'
