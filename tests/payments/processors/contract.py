"""What every processor must do, whatever moves its coins: the shared suite.

A processor's own tests subclass `ProcessorContract` and give it a `Playground`: a live processor that can be
paid, mined and broken. Each test here is a promise that the verbs rely on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol, TypeVar

import pytest

from payments.money import Money
from payments.processors.base import (
    BadSignature,
    CannotTell,
    Conversion,
    ConversionNotice,
    DepositNotice,
    DepositStatus,
    Inbound,
    Issued,
    NotFound,
    Notice,
    Outbound,
    Pair,
    Payout,
    PayoutNotice,
    PayoutStatus,
    Prepared,
    RawRequest,
    Refused,
    Unreachable,
    Unreadable,
)

N = TypeVar("N", bound=Notice)


class Playground(Protocol):
    """A live processor under test, and the world around it."""

    inbound: Inbound
    parser: Inbound
    outbound: Outbound
    payable_address: str

    def received(self) -> list[RawRequest]:
        """What the processor has pushed so far."""

    def pay(self, issued: Issued, amount: str) -> None:
        """Somebody pays an issued address."""

    def mine(self) -> None:
        """Enough blocks to confirm everything."""

    def fund(self, money: Money) -> None:
        """Our account at the processor gets money."""

    def lose_answers(self) -> None:
        """From now on, what is asked is done and the answer is lost."""

    def be_unreachable(self) -> None:
        """From now on, nothing that is asked is done."""

    def recover(self) -> None:
        """Everything works again."""


def btc(amount: str) -> Money:
    return Money(Decimal(amount), "BTC")


class ProcessorContract:
    """Subclass it, and give it a `playground` fixture."""

    @pytest.fixture
    def issued(self, playground: Playground) -> Issued:
        return playground.outbound.issue(currency="BTC", convert_to=None, references=["pool-1"])[0]

    def payout(self, playground: Playground, our_id: str = "m1-withdrawal-1", amount: str = "0.5") -> Payout:
        return Payout(our_id=our_id, amount=btc(amount), address=playground.payable_address)

    def eventually(self, playground: Playground, wanted: type[N], accept: Callable[[N], bool]) -> N:
        """The first pushed notice of that kind which `accept` takes; each must be verified and readable."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for request in playground.received():
                playground.inbound.verify(request)
                for notice in playground.parser.parse(request.body):
                    if isinstance(notice, wanted) and accept(notice):
                        return notice
            time.sleep(0.05)
        raise AssertionError(f"no such {wanted.__name__} came")

    # --- addresses ---

    def test_issues_one_address_for_each_reference(self, playground: Playground) -> None:
        references = ["pool-1", "pool-2", "pool-3"]
        issued = playground.outbound.issue(currency="BTC", convert_to=None, references=references)
        assert [one.reference for one in issued] == references
        assert len({one.address for one in issued}) == 3
        assert {(one.currency, one.convert_to, one.tag) for one in issued} == {("BTC", None, None)}

    def test_issues_the_same_address_when_a_reference_is_asked_for_again(
        self, playground: Playground, issued: Issued
    ) -> None:
        again = playground.outbound.issue(currency="BTC", convert_to=None, references=["pool-1"])
        assert again == [issued]

    def test_refuses_an_address_for_an_unknown_currency(self, playground: Playground) -> None:
        with pytest.raises(Refused) as refused:
            playground.outbound.issue(currency="NOSUCH", convert_to=None, references=["pool-1"])
        assert refused.value.field == "currency"

    # --- prices, balances, estimates ---

    def test_quotes_true_multipliers_in_both_directions(self, playground: Playground) -> None:
        there, back = Pair("BTC", "EUR"), Pair("EUR", "BTC")
        quotes = {quote.pair: quote for quote in playground.outbound.quotes([there, back])}
        assert set(quotes) == {there, back}
        assert quotes[there].price > 1000
        assert abs(quotes[there].price * quotes[back].price - 1) < Decimal("0.1")

    def test_quotes_all_pairs_when_none_is_named(self, playground: Playground) -> None:
        pairs = {quote.pair for quote in playground.outbound.quotes()}
        assert {Pair("BTC", "EUR"), Pair("EUR", "BTC"), Pair("ETH", "BTC")} <= pairs

    def test_tells_the_balances(self, playground: Playground) -> None:
        playground.fund(btc("1.25"))
        assert btc("1.25") in playground.outbound.balances()

    def test_estimates_before_ordering(self, playground: Playground) -> None:
        fee = playground.outbound.estimate(self.payout(playground))
        assert fee.processing is None or fee.processing.amount >= 0
        exchange = Conversion(our_id="x", source="BTC", target="EUR", amount=btc("1"))
        fee = playground.outbound.estimate(exchange)
        assert fee.processing is None or fee.processing.currency in {"BTC", "EUR"}

    # --- deposits ---

    def test_tells_of_a_deposit_until_it_is_final(self, playground: Playground, issued: Issued) -> None:
        playground.pay(issued, "0.25")
        seen = self.eventually(playground, DepositNotice, lambda notice: True)
        assert (seen.address, seen.tag, seen.sent, seen.credited, seen.confirmations) == (
            issued.address,
            None,
            btc("0.25"),
            None,
            0,
        )
        assert seen.status is DepositStatus.NOT_CONFIRMED
        playground.mine()
        final = self.eventually(
            playground, DepositNotice, lambda notice: notice.status is DepositStatus.CONFIRMED
        )
        assert (final.external_id, final.txid, final.sent) == (seen.external_id, seen.txid, seen.sent)
        assert final.confirmations >= 1
        assert final.received == btc("0.25")
        assert final.credited is not None
        assert final.credited + sum_of(final, "BTC") == final.received
        assert final.credited in playground.outbound.balances()

    def test_tells_two_payments_to_one_address_apart(self, playground: Playground, issued: Issued) -> None:
        playground.pay(issued, "0.25")
        playground.pay(issued, "0.5")
        one = self.eventually(playground, DepositNotice, lambda notice: notice.sent == btc("0.25"))
        other = self.eventually(playground, DepositNotice, lambda notice: notice.sent == btc("0.5"))
        assert one.external_id != other.external_id

    def test_converts_a_deposit_where_it_can(self, playground: Playground) -> None:
        if not playground.outbound.capabilities.converts:
            pytest.skip("converts nothing")
        issued = playground.outbound.issue(currency="BTC", convert_to="EUR", references=["pool-1"])[0]
        assert issued.convert_to == "EUR"
        playground.pay(issued, "0.25")
        playground.mine()
        final = self.eventually(
            playground, DepositNotice, lambda notice: notice.status is DepositStatus.CONFIRMED
        )
        assert final.converted
        assert final.received is not None
        assert final.credited is not None
        assert (final.sent, final.received.currency, final.credited.currency) == (btc("0.25"), "EUR", "EUR")

    # --- verification ---

    def test_refuses_what_it_did_not_sign(self, playground: Playground, issued: Issued) -> None:
        playground.pay(issued, "0.25")
        self.eventually(playground, DepositNotice, lambda notice: True)
        request = playground.received()[0]
        for forged in (
            RawRequest(request.headers, request.body.replace(b"0.25", b"9.25")),
            RawRequest({}, request.body),
        ):
            with pytest.raises(BadSignature):
                playground.inbound.verify(forged)
        with pytest.raises(BadSignature):
            playground.parser.verify(request)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 100_000])
    def test_does_not_read_what_is_no_notice(self, playground: Playground, body: bytes) -> None:
        with pytest.raises(Unreadable):
            playground.parser.parse(body)

    # --- payouts ---

    def test_prepares_without_asking_and_always_the_same(self, playground: Playground) -> None:
        playground.be_unreachable()
        order = self.payout(playground)
        prepared = playground.outbound.prepare(order)
        assert playground.outbound.prepare(order) == prepared
        assert prepared.our_id == order.our_id
        assert prepared.blob.decode() not in repr(prepared)

    def test_pays_what_was_prepared(self, playground: Playground) -> None:
        playground.fund(btc("2"))
        prepared = playground.outbound.prepare(self.payout(playground))
        accepted = playground.outbound.submit(prepared)
        assert accepted.status in {PayoutStatus.PROCESSING, PayoutStatus.PENDING, PayoutStatus.CONFIRMED}
        notice = self.eventually(
            playground, PayoutNotice, lambda notice: notice.status is PayoutStatus.CONFIRMED
        )
        assert (notice.our_id, notice.external_id) == (prepared.our_id, accepted.external_id)
        assert (notice.paid, notice.txid is None) == (btc("0.5"), False)
        found = playground.outbound.find(prepared)
        assert found == notice

    def test_refuses_definitely_what_cannot_be_paid(self, playground: Playground) -> None:
        prepared = playground.outbound.prepare(self.payout(playground, amount="3"))
        with pytest.raises(Refused) as refused:
            playground.outbound.submit(prepared)
        assert refused.value.field == "amount"
        assert isinstance(playground.outbound.find(prepared), NotFound | CannotTell)

    def test_never_pays_twice_and_never_calls_the_second_try_a_refusal(self, playground: Playground) -> None:
        playground.fund(btc("2"))
        prepared = playground.outbound.prepare(self.payout(playground))
        playground.outbound.submit(prepared)
        with pytest.raises(Unreachable):
            playground.outbound.submit(prepared)
        self.eventually(playground, PayoutNotice, lambda notice: notice.status is PayoutStatus.CONFIRMED)
        left = next(money for money in playground.outbound.balances() if money.currency == "BTC")
        assert btc("1") < left < btc("1.5")

    def test_leaves_a_lost_answer_open_and_finds_what_became_of_it(self, playground: Playground) -> None:
        playground.fund(btc("2"))
        prepared = playground.outbound.prepare(self.payout(playground))
        playground.lose_answers()
        with pytest.raises(Unreachable):
            playground.outbound.submit(prepared)
        assert isinstance(playground.outbound.find(prepared), CannotTell)
        playground.recover()
        found = playground.outbound.find(prepared)
        assert isinstance(found, PayoutNotice)
        assert found.our_id == prepared.our_id

    def test_tells_an_unknown_order_from_not_being_able_to_tell(self, playground: Playground) -> None:
        prepared = playground.outbound.prepare(self.payout(playground, our_id="never-sent"))
        assert isinstance(playground.outbound.find(prepared), NotFound)
        playground.be_unreachable()
        assert isinstance(playground.outbound.find(prepared), CannotTell)

    def test_does_not_submit_foreign_bytes(self, playground: Playground) -> None:
        with pytest.raises(Exception, match="no order") as refused:
            playground.outbound.submit(Prepared(our_id="x", blob=b"addresses/take\n{}"))
        assert not isinstance(refused.value, Refused)

    # --- conversions ---

    def test_converts_what_was_prepared(self, playground: Playground) -> None:
        if not playground.outbound.capabilities.converts:
            pytest.skip("converts nothing")
        playground.fund(btc("2"))
        order = Conversion(our_id="m1-exchange-1", source="BTC", target="EUR", amount=btc("1"))
        prepared = playground.outbound.prepare(order)
        accepted = playground.outbound.submit(prepared)
        notice = self.eventually(
            playground, ConversionNotice, lambda notice: notice.status is PayoutStatus.CONFIRMED
        )
        assert (notice.our_id, notice.external_id) == (prepared.our_id, accepted.external_id)
        assert notice.received is not None
        assert (notice.sent, notice.received.currency) == (btc("1"), "EUR")

    # --- observing ---

    def test_observes_without_losing_the_cursor(self, playground: Playground) -> None:
        observed = playground.outbound.observe("here", [])
        if playground.outbound.capabilities.pushes:
            assert (observed.cursor, observed.bodies, observed.more) == ("here", (), False)


def sum_of(notice: DepositNotice, currency: str) -> Money:
    total = Money.zero(currency)
    for fee in notice.fees:
        total += fee.money if fee.money.currency == currency else Money.zero(currency)
    return total
