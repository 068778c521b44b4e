"""How exchanges end: what is booked, what merchants are told, and what the database refuses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import ProgrammingError, connection, transaction

from payments import bodies, events, exchange_outcomes, exchanges, positions
from payments.deposit_rules import Contradiction
from payments.exchange_outcomes import NotKnownYet
from payments.exchanges import Wish
from payments.models import Exchange, Leg, Operation, OperationFee, Quote
from payments.models.account import AccountKind
from payments.models.exchange import MOVES, ExchangeState
from payments.processors.base import NoticeFee, PayoutStatus
from tests import factories
from tests.constraints import judge_now, refused
from tests.factories import NOW, money
from tests.payments.upstream_of_exchanges import balance, booked, key_of, notice, record, trader
from tests.vectors import callbacks

pytestmark = pytest.mark.django_db

SELL = Wish("BTC", "EUR", sent=Decimal("0.01"))
BUY = Wish("EUR", "BTC", sent=Decimal(600))


@pytest.fixture
def told(monkeypatch):
    """(version, status) of everything that the merchant was told, in order."""
    news: list[tuple[int, str]] = []
    monkeypatch.setattr(
        events,
        "transactions_changed",
        lambda operations: news.extend((row.version, str(row.status)) for row in operations),
    )
    return news


@pytest.fixture
def merchant():
    positions.forget()
    owner = trader()
    factories.fund(owner, money("1"))
    factories.fund(owner, money("1000", "EUR"))
    return owner


def ordered(merchant, wish=SELL, *, promised=True, foreign_id="ex-1") -> Exchange:
    common = {"merchant": merchant, "wish": wish, "now": NOW}
    order = {"foreign_id": foreign_id, "api_key_id": key_of(merchant)}
    if not promised:
        return exchanges.at_market(**common, **order)
    price = exchanges.calculate(**common).price
    return exchanges.at_quote(**common, **order, price=price)


def sent(merchant, wish=SELL, *, promised=True, foreign_id="ex-1") -> Exchange:
    """Written down and, as far as anybody knows, handed over."""
    exchange = ordered(merchant, wish, promised=promised, foreign_id=foreign_id)
    assert Exchange.objects.write_down(our_id=exchange.our_id, blob=b"order", lease=timedelta(seconds=60))
    exchange.refresh_from_db()
    return exchange


class TestConfirmed:
    def test_gives_what_was_promised_and_the_house_the_difference(self, merchant, told):
        exchange = sent(merchant)
        record(notice(exchange, "590", fees=(NoticeFee("exchange", money("3", "EUR")),)))
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal(0))
        assert balance(merchant, "EUR") == (Decimal(1594), Decimal(0))
        assert booked(AccountKind.FEE_INCOME, "EUR") == Decimal(6)
        assert booked(AccountKind.CONVERSION, "EUR") == Decimal(-10)
        assert booked(AccountKind.AT_PROCESSOR, "EUR") == Decimal(-587)
        assert booked(AccountKind.PROCESSOR_FEE, "EUR") == Decimal(-3)
        assert booked(AccountKind.AT_PROCESSOR, "BTC") == Decimal("0.01")
        assert booked(AccountKind.CONVERSION, "BTC") == 0
        operation = Operation.objects.get()
        assert (operation.status, operation.amount_received) == ("confirmed", Decimal(600))
        assert told == [(2, "confirmed")]

    def test_gives_what_the_processor_made_of_it_at_the_market(self, merchant):
        exchange = sent(merchant, promised=False)
        number = Leg.objects.get().wire_id
        record(notice(exchange, "590"))
        assert balance(merchant, "EUR") == (Decimal("1584.1"), Decimal(0))  # less 1 % of 590
        assert booked(AccountKind.CONVERSION, "EUR") == 0
        operation = Operation.objects.get()
        assert (operation.amount_received, operation.amount_minus_fee) == (Decimal(590), Decimal("584.1"))
        (leg,) = Leg.objects.all()
        assert (leg.amount_to, leg.wire_id) == (Decimal(590), number)
        (fee,) = OperationFee.objects.all()
        assert (fee.type, fee.currency, fee.amount) == ("exchange", "EUR", Decimal("5.9"))

    def test_takes_a_fee_in_the_senders_currency_of_what_was_held(self, merchant):
        exchange = sent(merchant, BUY)
        record(notice(exchange, fees=(NoticeFee("exchange", money("3", "EUR")),)))
        assert balance(merchant, "EUR") == (Decimal(394), Decimal(0))
        assert balance(merchant, "BTC") == (Decimal("1.01"), Decimal(0))
        assert booked(AccountKind.FEE_INCOME, "EUR") == Decimal(6)
        assert booked(AccountKind.AT_PROCESSOR, "EUR") == Decimal(603)
        assert booked(AccountKind.PROCESSOR_FEE, "EUR") == Decimal(-3)

    def test_is_taken_once_whatever_comes_again(self, merchant, told):
        exchange = sent(merchant)
        record(notice(exchange), notice(exchange))
        record(notice(exchange), notice(exchange, status=PayoutStatus.PROCESSING))
        assert told == [(2, "confirmed")]
        assert balance(merchant, "EUR") == (Decimal(1594), Decimal(0))

    def test_is_found_by_the_processors_number_alone(self, merchant):
        exchange = sent(merchant)
        Exchange.objects.taken(our_id=exchange.our_id, external_id="77", ask_in=timedelta(seconds=5))
        record(notice(exchange, our_id="", external_id="77"))
        assert Operation.objects.get().status == "confirmed"

    def test_waits_for_a_number_that_is_not_known_yet(self, merchant):
        exchange = sent(merchant)
        with pytest.raises(NotKnownYet):
            record(notice(exchange, our_id="", external_id="77"))
        assert Operation.objects.get().status == "processing"

    def test_repays_a_debt_first(self, merchant):
        from payments import ledger

        with transaction.atomic():
            lines = [
                ledger.reclaim(merchant.pk, money("1100", "EUR")),
                ledger.house(AccountKind.ADJUSTMENT, money("1100", "EUR")),
            ]
            ledger.post(ledger.NewEntry("debt", "test", "test", NOW, lines))
        record(notice(sent(merchant)))
        assert balance(merchant, "EUR")[0] == Decimal(494)


class TestCancelled:
    @pytest.mark.parametrize("status", [PayoutStatus.CANCELLED, PayoutStatus.DECLINED])
    def test_gives_back_what_was_held(self, merchant, told, status):
        exchange = sent(merchant, BUY)
        record(notice(exchange, status=status, received=None, error="Not enough money on balance"))
        assert balance(merchant, "EUR") == (Decimal(1000), Decimal(0))
        operation = Operation.objects.get()
        assert (operation.status, operation.error) == (
            "cancelled",
            "Exchange is unavailable for given currencies",
        )
        assert Exchange.objects.get().failure == "Not enough money on balance"
        assert told == [(2, "cancelled")]
        assert not OperationFee.objects.exists()

    def test_before_it_was_sent(self, merchant):
        exchange = ordered(merchant)
        done = exchange_outcomes.fail(
            our_id=exchange.our_id, reason="cannot", among=[ExchangeState.PROCESSING], now=NOW
        )
        assert done
        assert balance(merchant, "BTC") == (Decimal(1), Decimal(0))

    def test_only_where_the_caller_may_know(self, merchant):
        exchange = sent(merchant)
        known = {"our_id": exchange.our_id, "reason": "cannot", "now": NOW}
        assert not exchange_outcomes.fail(**known, among=[ExchangeState.PROCESSING])
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))


class TestProcessing:
    @pytest.mark.parametrize("status", [PayoutStatus.PENDING, PayoutStatus.PROCESSING])
    def test_settles_that_the_order_was_taken(self, merchant, told, status):
        exchange = sent(merchant)
        Exchange.objects.lost(our_id=exchange.our_id, reason="broken off", ask_in=timedelta(seconds=5))
        record(notice(exchange, status=status))
        exchange.refresh_from_db()
        assert (exchange.state, exchange.external_id) == ("sent", f"up-{exchange.our_id}")
        assert told == []


class TestContradictions:
    @pytest.mark.parametrize(
        "said",
        [
            {"sent": money("0.02")},
            {"sent": money("600", "EUR")},
            {"received": money("600", "USD")},
            {"received": None},
            {"received": money("0", "EUR")},
            {"our_id": "m1-exchange-0"},
        ],
    )
    def test_move_nothing(self, merchant, said):
        exchange = sent(merchant)
        with pytest.raises(Contradiction):
            record(notice(exchange, **said))
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))
        assert Operation.objects.get().status == "processing"

    def test_of_an_order_that_was_not_sent(self, merchant):
        with pytest.raises(Contradiction, match="was not sent"):
            record(notice(ordered(merchant)))

    def test_of_another_number(self, merchant):
        exchange = sent(merchant)
        record(notice(exchange, status=PayoutStatus.PROCESSING))
        with pytest.raises(Contradiction):
            record(notice(exchange, external_id="another"))

    def test_of_two_endings(self, merchant):
        converted, released = sent(merchant), sent(merchant, foreign_id="ex-2")
        record(notice(converted), notice(released, status=PayoutStatus.CANCELLED))
        for said in (notice(converted, status=PayoutStatus.CANCELLED), notice(released)):
            with pytest.raises(Contradiction):
                record(said)
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal(0))

    def test_of_another_processors_order(self, merchant):
        exchange = sent(merchant)
        with pytest.raises(Contradiction), transaction.atomic():
            exchange_outcomes.record_many(
                processor=factories.processor("other"), notices=[notice(exchange)], now=NOW
            )


class TestBodies:
    @pytest.mark.parametrize("vector", callbacks("exchange"), ids=lambda vector: vector["name"])
    def test_are_the_published_ones_to_the_byte(self, vector):
        payload = vector["payload"]
        operation = _stored(payload)
        body = bodies.operation_body(Operation.objects.for_bodies().get(pk=operation.pk))
        assert list(body) == list(payload)
        assert bodies.render(body) == vector["raw"].encode()

    def test_of_an_exchange_on_its_way_have_no_address_and_no_fee(self, merchant):
        ordered(merchant)
        body = bodies.operation_body(Operation.objects.for_bodies().get())
        assert (body["status"], body["fees"], body["foreign_id"]) == ("processing", [], "ex-1")
        assert "crypto_address" not in body


def _stored(payload) -> Operation:
    given, got = payload["currency_sent"], payload["currency_received"]
    operation = Operation.objects.create(
        merchant=factories.merchant(),
        wire_id=payload["id"],
        kind="exchange",
        status=payload["status"],
        processor=factories.processor(),
        foreign_id=payload["foreign_id"],
        origin="api",
        currency_sent=given["currency"],
        amount_sent=Decimal(given["amount"]),
        currency_received=got["currency"],
        amount_received=Decimal(got["amount"]),
        amount_minus_fee=Decimal(got["amount"]),
        error=payload["error"],
        created_at=NOW,
        changed_at=NOW,
    )
    (leg,) = payload["transactions"]
    Leg.objects.create(
        merchant=operation.merchant,
        operation=operation,
        wire_id=leg["id"],
        transaction_type="exchange",
        type="exchange",
        currency=leg["currency"],
        currency_to=leg["currency_to"],
        amount=Decimal(leg["amount"]),
        amount_to=Decimal(leg["amount_to"]),
    )
    for fee in payload["fees"]:
        OperationFee.objects.create(operation=operation, **fee | {"amount": Decimal(fee["amount"])})
    return operation


EDGES = [(one, other) for one in ExchangeState for other in ExchangeState if one != other]


class TestDatabase:
    @pytest.mark.parametrize(
        ("one", "other"), [edge for edge in EDGES if edge[1] not in MOVES.get(edge[0], frozenset())]
    )
    def test_refuses_an_illegal_move(self, merchant, one, other):
        exchange = sent(merchant)
        if one in {ExchangeState.CONFIRMED, ExchangeState.FAILED}:
            status = PayoutStatus.CONFIRMED if one == ExchangeState.CONFIRMED else PayoutStatus.CANCELLED
            record(notice(exchange, status=status))
        elif one == ExchangeState.PROCESSING:
            exchange = ordered(merchant, foreign_id="ex-2")
        elif one != ExchangeState.SENDING:
            Exchange.objects.filter(pk=exchange.pk).update(state=one)
        whose = f"WHERE operation_id = {exchange.pk}"
        refused("exchange_state_moves_legally", f"UPDATE payments_exchange SET state = '{other}' {whose}")

    @pytest.mark.parametrize(
        "change",
        [
            "amount = 9, held = 9",
            "amount_to = 9",
            "price = 9",
            "target = 'USD'",
            "our_id = 'x'",
            "quote_id = NULL",
        ],
    )
    def test_keeps_what_was_asked_for(self, merchant, change):
        ordered(merchant)
        refused("exchange_stays_as_asked_for", f"UPDATE payments_exchange SET {change}")

    @pytest.mark.parametrize("change", ["prepared = 'x'", "prepared_at = now()"])
    def test_keeps_the_order_as_it_was_written_down(self, merchant, change):
        sent(merchant)
        refused("exchange_order_stays_as_written", f"UPDATE payments_exchange SET {change}")

    def test_keeps_the_processors_number(self, merchant):
        record(notice(sent(merchant), status=PayoutStatus.PROCESSING))
        refused("exchange_order_stays_as_written", "UPDATE payments_exchange SET external_id = 'x'")

    def test_removes_nothing(self, merchant):
        ordered(merchant)
        refused("exchange_is_never_removed", "DELETE FROM payments_exchange")

    def test_keeps_what_was_promised(self, merchant):
        ordered(merchant)
        refused("promise_is_kept", "UPDATE payments_quote SET price = 1")
        refused("promise_is_kept", "UPDATE payments_quote SET release_at = release_at + interval '1 h'")

    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("exchange_is_booked_as_its_state_says", "state = 'failed', closed_at = now()"),
            ("exchange_closes_when_it_ends", "state = 'failed'"),
            ("exchange_is_written_down_before_it_is_sent", "state = 'sending'"),
        ],
    )
    def test_refuses_an_ending_or_a_sending_that_is_none(self, merchant, constraint, change):
        ordered(merchant)
        refused(constraint, f"UPDATE payments_exchange SET {change}")

    def test_shows_an_exchange_as_its_state_says(self, merchant):
        ordered(merchant)
        refused(
            "exchange_is_shown_as_its_state_says",
            "UPDATE payments_operation SET status = 'cancelled', version = 2",
            "UPDATE payments_exchange SET state = 'processing'",
        )

    @pytest.mark.parametrize(
        ("constraint", "changed"),
        [
            ("exchange_holds_what_it_debits", {"held": Decimal("0.02")}),
            ("exchange_holds_what_it_debits", {"fee": Decimal(601)}),
            ("exchange_holds_what_it_debits", {"fee_currency": "USD"}),
            ("exchange_amounts_are_positive", {"amount": Decimal(0), "held": Decimal(0)}),
            ("exchange_begins_unsent", {"state": "sent"}),
            ("exchange_begins_unsent", {"prepared": b"x"}),
            ("exchange_is_at_its_quote", {"price": Decimal(59999)}),
            ("exchange_says_who_asked", {"api_key_id": None}),
            ("exchange_quote_is_the_merchants", {"quote": "another's"}),
            ("exchange_is_one_order_of_the_processor", {}),
        ],
    )
    def test_refuses_an_exchange_that_is_none(self, merchant, constraint, changed):
        exchange = sent(merchant)
        if changed.get("quote"):
            theirs = exchanges.calculate(merchant=trader(), wish=SELL, now=NOW)
            changed = {"quote": theirs.quote}
        if constraint == "exchange_is_one_order_of_the_processor":
            other = sent(merchant, foreign_id="ex-2")
            Exchange.objects.filter(pk=exchange.pk).update(external_id="77")
            refused(
                constraint, f"UPDATE payments_exchange SET external_id = '77' WHERE operation_id = {other.pk}"
            )
            return
        operation = ordered(merchant, foreign_id="ex-2").operation
        fields = {field.attname: getattr(exchange, field.attname) for field in Exchange._meta.concrete_fields}
        fields |= {"operation_id": operation.pk, "our_id": "x", "prepared": None, "prepared_at": None}
        fields |= {"state": "processing"}
        row = Exchange(**fields)
        for name, value in changed.items():
            setattr(row, name, value)
        with connection.cursor() as cursor:  # the operation has an exchange; this one takes its place
            cursor.execute("SET LOCAL session_replication_role = 'replica'")
            cursor.execute("DELETE FROM payments_exchange WHERE operation_id = %s", [operation.pk])
            cursor.execute("SET LOCAL session_replication_role = 'origin'")
        names = [field.column for field in Exchange._meta.concrete_fields]
        with connection.cursor() as cursor:
            values = [
                field.get_db_prep_save(getattr(row, field.attname), connection)
                for field in Exchange._meta.concrete_fields
            ]
            cursor.execute("CREATE TEMP TABLE wanted AS SELECT * FROM payments_exchange WHERE false")
            marks = ", ".join(["%s"] * len(names))
            cursor.execute(f"INSERT INTO wanted ({', '.join(names)}) VALUES ({marks})", values)
        refused(
            constraint,
            f"INSERT INTO payments_exchange ({', '.join(names)}) SELECT {', '.join(names)} FROM wanted",
        )

    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("quote_price_is_positive", {"price": 0}),
            ("quote_holds_for_a_while", {"release_at": NOW}),
            ("quote_is_of_two_currencies", {"target": "BTC"}),
        ],
    )
    def test_refuses_a_promise_that_is_none(self, merchant, constraint, change):
        exchanges.calculate(merchant=merchant, wish=SELL, now=NOW)
        row = Quote.objects.values(
            "merchant_id", "source", "target", "price", "rate_id", "fixed_at", "release_at"
        ).get()
        row |= change
        names, values = ", ".join(row), ", ".join(f"'{value}'" for value in row.values())
        refused(constraint, f"INSERT INTO payments_quote ({names}) VALUES ({values})")

    @pytest.mark.parametrize(
        ("role", "statement"),
        [
            ("bursar_app", "UPDATE payments_exchange SET prepared = 'x'"),
            ("bursar_app", "UPDATE payments_exchange SET submitted_at = now()"),
            ("bursar_app", "UPDATE payments_exchange SET amount = 1"),
            ("bursar_app", "DELETE FROM payments_exchange"),
            ("bursar_app", "UPDATE payments_quote SET price = 1"),
            ("bursar_app", "UPDATE payments_future SET price = 1"),
            ("bursar_sender", "INSERT INTO payments_exchange (our_id) VALUES ('x')"),
            ("bursar_sender", "INSERT INTO payments_quote (price) VALUES (1)"),
            ("bursar_sender", "INSERT INTO payments_future (price) VALUES (1)"),
            ("bursar_sender", "UPDATE payments_exchange SET held = 1"),
        ],
    )
    def test_gives_each_role_its_own_part(self, role, statement):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)

    def test_lets_each_role_do_its_part(self, merchant):
        key = key_of(merchant)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE bursar_app")
            exchange = exchanges.at_market(
                merchant=merchant, wish=SELL, foreign_id="ex-1", api_key_id=key, now=NOW
            )
            cursor.execute("SET LOCAL ROLE bursar_sender")
            lease = timedelta(seconds=60)
            assert Exchange.objects.write_down(our_id=exchange.our_id, blob=b"x", lease=lease)
            Exchange.objects.taken(our_id=exchange.our_id, external_id="up", ask_in=lease)
            cursor.execute("SET LOCAL ROLE bursar_app")
            exchange_outcomes.record_many(
                processor=factories.processor(), notices=[notice(exchange, external_id="up")], now=NOW
            )
            judge_now()
            other = exchanges.at_market(
                merchant=merchant, wish=SELL, foreign_id="ex-2", api_key_id=key, now=NOW
            )
            cursor.execute("SET LOCAL ROLE bursar_sender")
            assert exchange_outcomes.fail(
                our_id=other.our_id, reason="no", among=[ExchangeState.PROCESSING], now=NOW
            )
            cursor.execute("RESET ROLE")
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal(0))
