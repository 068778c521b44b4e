"""Exchanges: promises, orders and holds, and what is refused with nothing moved."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from payments import exchanges, positions, rates, terms
from payments.exchanges import ForeignIdTaken, PriceExpired, TooBig, TooSmall, Wish
from payments.ledger import InsufficientFunds
from payments.models import Exchange, Operation, Quote, Rate, Stop
from payments.models.entry import Entry
from payments.rates import NoRate
from tests import factories
from tests.factories import NOW, money
from tests.payments.upstream_of_exchanges import balance, key_of, quoted, record, trader
from tests.payments.upstream_of_exchanges import notice as said

pytestmark = pytest.mark.django_db

SELL = Wish("BTC", "EUR", sent=Decimal("0.01"))
BUY = Wish("EUR", "BTC", sent=Decimal(600))


@pytest.fixture(autouse=True)
def _positions_are_read_anew():
    positions.forget()


@pytest.fixture
def merchant():
    owner = trader()
    key_of(owner)
    factories.fund(owner, money("1"))
    factories.fund(owner, money("1000", "EUR"))
    return owner


def promised(merchant, wish=SELL, now=NOW):
    return exchanges.calculate(merchant=merchant, wish=wish, now=now)


def fixed(merchant, wish=SELL, foreign_id="ex-1", price="60000", now=NOW):
    return exchanges.at_quote(
        merchant=merchant,
        wish=wish,
        foreign_id=foreign_id,
        price=Decimal(price),
        api_key_id=key_of(merchant),
        now=now,
    )


def market(merchant, wish=SELL, foreign_id="ex-1", now=NOW):
    return exchanges.at_market(
        merchant=merchant, wish=wish, foreign_id=foreign_id, api_key_id=key_of(merchant), now=now
    )


def nothing_moved(merchant) -> bool:
    untouched = [balance(merchant, code) for code in ("BTC", "EUR")]
    return (
        untouched == [(Decimal(1), Decimal(0)), (Decimal(1000), Decimal(0))]
        and not Exchange.objects.exists()
        and not Operation.objects.exists()
        and not Entry.objects.filter(key__startswith="exchange").exists()
    )


class TestCalculate:
    def test_promises_the_present_price_for_a_minute(self, merchant):
        deal = promised(merchant)
        quote = Quote.objects.get()
        assert (deal.sent, deal.received) == (money("0.01"), money("600", "EUR"))
        assert deal.fee == money("6", "EUR")
        assert (quote.price, quote.rate) == (Decimal(60000), Rate.objects.get(source="BTC", target="EUR"))
        assert (quote.fixed_at, quote.release_at) == (NOW, NOW + timedelta(seconds=60))

    def test_charges_on_the_fiat_side_or_in_the_senders_coin(self, merchant):
        assert promised(merchant, BUY).fee == money("6", "EUR")
        assert promised(merchant, Wish("ETH", "BTC", sent=Decimal(1))).fee == money("0.01", "ETH")

    def test_finds_what_it_costs_to_get_an_amount(self, merchant):
        deal = promised(merchant, Wish("BTC", "EUR", received=Decimal("1000.01")))
        assert deal.received == money("1000.01", "EUR")
        assert deal.sent == money("0.01666684")  # rounded up

    def test_rounds_what_is_got_down(self, merchant):
        deal = promised(merchant, Wish("EUR", "BTC", sent=Decimal("181.11")))
        assert deal.received == money("0.00301850")

    @pytest.mark.parametrize("sent", ["0.0001", "0.00299999", "0"])
    def test_refuses_less_than_the_pair_takes(self, merchant, sent):
        with pytest.raises(TooSmall) as refusal:
            promised(merchant, Wish("BTC", "EUR", sent=Decimal(sent)))
        assert (str(refusal.value), refusal.value.field) == (
            "The amount must be at least 0.00300000",
            "sender_amount",
        )
        assert not Quote.objects.exists()

    def test_takes_what_buys_fifty_dollars(self, merchant):
        deal = promised(merchant, Wish("BTC", "USD", received=Decimal(50)))
        assert deal.sent == money("0.00066667")
        with pytest.raises(TooSmall):
            promised(merchant, Wish("BTC", "USD", received=Decimal("0.1")))

    def test_refuses_nothing_at_all_even_where_no_minimum_is_quoted(self, merchant):
        Rate.objects.update(is_current=False)
        rates.keep(
            processor=factories.processor(),
            quotes=[rates.Quote(rates.Pair("EUR", "BTC"), Decimal("0.00001"), None, None)],
        )
        with pytest.raises(TooSmall, match=r"0\.00100000"):
            promised(merchant, Wish("EUR", "BTC", sent=Decimal("0.0005")))

    def test_refuses_more_digits_than_the_wire_has(self, merchant):
        most = Decimal("99999999999999999")
        with pytest.raises(TooBig) as refusal:
            promised(merchant, Wish("BTC", "EUR", sent=most))
        assert str(refusal.value) == "The receiver amount is too large."
        with pytest.raises(TooBig) as refusal:
            promised(merchant, Wish("EUR", "BTC", received=most))
        assert str(refusal.value) == "The sender amount is too large."

    @pytest.mark.parametrize(
        ("source", "target"), [("BTC", "BTC"), ("BTC", "ETH"), ("DOGE", "EUR"), ("BTC", "GBP")]
    )
    def test_refuses_a_pair_without_a_price_or_not_enabled(self, merchant, source, target):
        with pytest.raises(NoRate, match="Exchange is unavailable for given currencies"):
            promised(merchant, Wish(source, target, sent=Decimal(1)))

    def test_refuses_a_currency_disabled_meanwhile(self, merchant):
        terms.disable(merchant=merchant, currency="EUR", now=NOW)
        with pytest.raises(NoRate):
            promised(merchant)

    def test_refuses_a_stale_price(self, merchant):
        Rate.objects.update(seen_at="2026-01-01T00:00:00Z")
        with pytest.raises(NoRate):
            promised(merchant)

    @pytest.mark.parametrize("whole", [True, False])
    def test_refuses_while_payouts_are_stopped(self, merchant, whole):
        Stop.objects.create(merchant=None if whole else merchant, reason="a look", stopped_at=NOW)
        for act in (promised, market):
            with pytest.raises(NoRate):
                act(merchant)

    def test_promises_a_small_price_in_all_its_digits(self, merchant):
        quoted(factories.processor(), EURBTC="0.000016666666666666", BTCEUR="60000.123456789")
        assert promised(merchant, BUY).price == Decimal("0.000016666666666666")
        assert promised(merchant).price == Decimal("60000.12345678")


class TestAtQuote:
    def test_sets_the_amount_aside_and_takes_the_fee_of_what_it_brings(self, merchant):
        promised(merchant)
        exchange = fixed(merchant)
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))
        assert balance(merchant, "EUR") == (Decimal(1000), Decimal(0))
        assert (exchange.state, exchange.quote) == ("processing", Quote.objects.get())
        operation = Operation.objects.get()
        assert (operation.kind, operation.status, operation.version) == ("exchange", "processing", 1)
        assert operation.amount_minus_fee == Decimal(594)
        (leg,) = operation.legs.all()
        assert (leg.amount, leg.amount_to, leg.type) == (Decimal("0.01"), Decimal(600), "exchange")

    def test_sets_a_fee_in_the_senders_currency_aside_too(self, merchant):
        promised(merchant, BUY)
        exchange = fixed(merchant, BUY, price="0.000016666666666667")
        assert balance(merchant, "EUR") == (Decimal(394), Decimal(606))
        assert exchange.held == Decimal(606)

    def test_takes_the_promised_price_whatever_it_is_now(self, merchant):
        promised(merchant)
        quoted(factories.processor(), BTCEUR="1")
        assert fixed(merchant).amount_to == Decimal(600)

    @pytest.mark.parametrize("price", ["60000", "60000.00000000", "60000.05", "59999.95"])
    def test_takes_a_price_a_hair_off(self, merchant, price):
        promised(merchant)
        assert fixed(merchant, price=price).price == Decimal(60000)

    @pytest.mark.parametrize("price", ["60000.07", "59999.93", "0", "1e17"])
    def test_refuses_another_price(self, merchant, price):
        promised(merchant)
        with pytest.raises(PriceExpired, match=r"^The price is expired or invalid\.$"):
            fixed(merchant, price=price)
        assert nothing_moved(merchant)

    def test_takes_the_nearest_of_several_promises(self, merchant):
        promised(merchant)
        quoted(factories.processor(), BTCEUR="60000.02")
        promised(merchant)
        assert fixed(merchant, price="60000.018").price == Decimal("60000.02")

    def test_binds_no_amount(self, merchant):
        promised(merchant)
        assert fixed(merchant, Wish("BTC", "EUR", sent=Decimal("0.5"))).amount_to == Decimal(30000)

    def test_refuses_after_a_minute(self, merchant):
        promised(merchant)
        with pytest.raises(PriceExpired):
            fixed(merchant, now=NOW + timedelta(seconds=60))
        assert nothing_moved(merchant)
        assert fixed(merchant, now=NOW + timedelta(seconds=59)).price == Decimal(60000)

    def test_refuses_the_promise_of_another_pair(self, merchant):
        promised(merchant, Wish("ETH", "EUR", sent=Decimal(1)))
        with pytest.raises(PriceExpired):
            fixed(merchant, price="3000")

    def test_refuses_the_promise_to_another_merchant(self, merchant):
        promised(trader())
        with pytest.raises(PriceExpired):
            fixed(merchant)
        assert nothing_moved(merchant)


class TestAtMarket:
    def test_takes_the_present_price_and_promises_nothing(self, merchant):
        exchange = market(merchant)
        assert (exchange.price, exchange.amount_to, exchange.quote) == (Decimal(60000), Decimal(600), None)
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))

    @pytest.mark.parametrize(
        "wish", [Wish("BTC", "EUR", sent=Decimal("1.00000001")), Wish("EUR", "BTC", sent=Decimal(1000))]
    )
    def test_refuses_more_than_there_is_with_the_fee(self, merchant, wish):
        with pytest.raises(InsufficientFunds) as refusal:
            market(merchant, wish)
        assert (str(refusal.value), refusal.value.field) == ("Not enough money on balance", "sender_amount")
        assert nothing_moved(merchant)

    def test_does_not_burn_the_number_of_a_refused_order(self, merchant):
        with pytest.raises(InsufficientFunds):
            market(merchant, Wish("BTC", "EUR", sent=Decimal(2)))
        assert market(merchant).operation.foreign_id == "ex-1"

    def test_refuses_a_number_twice(self, merchant):
        market(merchant)
        with pytest.raises(ForeignIdTaken, match=r"^The foreign id has already been taken\.$"):
            market(merchant, Wish("BTC", "EUR", sent=Decimal("0.02")))
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))
        assert Exchange.objects.count() == 1

    def test_lets_another_merchant_use_the_number(self, merchant):
        other = trader()
        factories.fund(other, money("1"))
        assert market(merchant).operation.foreign_id == market(other).operation.foreign_id

    def test_takes_another_number_where_the_wires_have_come_round(self, merchant):
        first = market(merchant)
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('operation_wire_id', %s, false)", [first.operation.wire_id])
        second = market(merchant, foreign_id="ex-2")
        assert second.operation.wire_id == first.operation.wire_id + 1


class TestPositions:
    def test_are_what_was_given_beside_what_was_promised(self, merchant):
        promised(merchant)
        exchange = fixed(merchant)
        (btc, eur) = positions.of_house()
        assert (btc.currency, btc.booked, btc.open) == ("BTC", Decimal(0), Decimal("0.01"))
        assert (eur.currency, eur.booked, eur.open) == ("EUR", Decimal(0), Decimal(-600))
        _send(exchange)
        record(said(exchange, "590"))
        (eur,) = positions.of_house()
        assert (eur.booked, eur.open, eur.money) == (Decimal(-10), Decimal(0), money("-10", "EUR"))

    def test_are_not_opened_by_exchanges_at_the_market(self, merchant):
        market(merchant)
        assert positions.of_house() == []

    @pytest.mark.parametrize(("limit", "goes"), [("600", True), ("599.99999999", False)])
    def test_promise_nothing_further_beyond_the_limit(self, merchant, settings, limit, goes):
        settings.CONVERSION_LIMIT_EUR = Decimal(limit)
        promised(merchant)
        fixed(merchant)
        positions.forget()
        if goes:
            assert promised(merchant).price == Decimal(60000)
            return
        for act in (promised, lambda one: fixed(one, foreign_id="ex-2")):
            with pytest.raises(NoRate):
                act(merchant)
        assert market(merchant, foreign_id="ex-3").state == "processing"

    def test_of_unknown_worth_promise_nothing(self, merchant):
        promised(merchant, Wish("BTC", "USD", sent=Decimal("0.01")))
        fixed(merchant, Wish("BTC", "USD", sent=Decimal("0.01")), price="75000")
        positions.forget()
        Rate.objects.filter(source="USD").update(seen_at="2026-01-01T00:00:00Z")
        with pytest.raises(NoRate):
            promised(merchant, Wish("BTC", "USD", sent=Decimal("0.01")))


def _send(exchange: Exchange) -> None:
    assert Exchange.objects.write_down(our_id=exchange.our_id, blob=b"x", lease=timedelta(seconds=60))


class TestPrune:
    def test_forgets_promises_that_nobody_took_up(self, merchant):
        promised(merchant)
        promised(merchant, BUY)
        fixed(merchant)
        assert exchanges.prune(now=NOW + timedelta(days=7)) == 0
        assert exchanges.prune(now=NOW + timedelta(days=7, seconds=61)) == 1
        assert Quote.objects.get().source == "BTC"

    def test_keeps_the_prices_that_promises_stand_on(self, merchant):
        promised(merchant)
        Rate.objects.update(is_current=False, seen_at="2026-01-01T00:00:00Z")
        rates.prune()
        assert Rate.objects.get() == Quote.objects.get().rate


@pytest.mark.django_db(transaction=True)
class TestSideBySide:
    def test_a_number_is_used_once(self, merchant):
        outcomes = _at_once(lambda n: market(merchant), 4)
        assert sorted(map(str, outcomes)) == ["The foreign id has already been taken."] * 3 + ["done"]
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))

    def test_a_balance_for_one_of_two_is_spent_once(self, merchant):
        whole = Wish("BTC", "EUR", sent=Decimal(1))
        outcomes = _at_once(lambda n: market(merchant, whole, foreign_id=f"ex-{n}"), 2)
        assert sorted(map(str, outcomes)) == ["Not enough money on balance", "done"]
        assert balance(merchant, "BTC") == (Decimal(0), Decimal(1))
        assert Exchange.objects.count() == 1


def _at_once(act, count: int) -> list[object]:
    outcomes: list[object] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            act(number)
            outcomes.append("done")
        except Exception as error:  # noqa: BLE001 - whatever it was is compared
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
