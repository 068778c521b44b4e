"""Handing exchanges over: once, as written down; and what is made of silence, refusals and lost senders."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from merchants.models import AuditRecord
from payments import exchange_outcomes, exchange_sending, exchanges, positions, tasks
from payments.deposit_rules import Contradiction
from payments.exchanges import Wish
from payments.models import Alert, Exchange, Operation, Stop
from payments.processors import registry
from payments.processors.base import (
    CannotTell,
    NotFound,
    PayoutStatus,
    ProcessorError,
    Refused,
    Unreachable,
)
from tests import factories
from tests.factories import NOW, money
from tests.payments.upstream_of_exchanges import Exchanger, balance, key_of, notice, trader
from tests.payments.upstream_of_exchanges import record as heard

pytestmark = pytest.mark.django_db

SELL = Wish("BTC", "EUR", sent=Decimal("0.01"))
HELD, BACK, GONE = (
    (Decimal("0.99"), Decimal("0.01")),
    (Decimal(1), Decimal(0)),
    (Decimal("0.99"), Decimal(0)),
)


@pytest.fixture
def merchant():
    positions.forget()
    owner = trader()
    factories.fund(owner, money("1"))
    return owner


@pytest.fixture
def exchange(merchant):
    return exchanges.at_market(
        merchant=merchant, wish=SELL, foreign_id="ex-1", api_key_id=key_of(merchant), now=NOW
    )


def work(outbound: Exchanger) -> int:
    return exchange_sending.work(processor=factories.processor(), outbound=outbound, now=NOW)


def ask_now() -> None:
    """The time of every next question has come."""
    Exchange.objects.exclude(next_ask_at=None).update(next_ask_at=Now() - timedelta(seconds=1))


def state() -> str:
    return Exchange.objects.get().state


def is_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({exchange_sending.DUE_SQL})")
        return bool(cursor.fetchone()[0])


class TestSend:
    def test_writes_the_order_down_and_hands_over_these_bytes_once(self, exchange):
        upstream = Exchanger()
        assert is_due()
        assert work(upstream) == 1
        row = Exchange.objects.get()
        assert (row.state, row.external_id) == ("sent", f"up-{row.our_id}")
        assert upstream.submitted == [bytes(row.prepared)]
        assert upstream.submitted == [f"{row.our_id} 0.01000000 BTC EUR".encode()]
        assert (work(upstream), is_due()) == (0, False)
        assert len(upstream.submitted) == 1

    def test_has_committed_the_order_before_it_hands_it_over(self, exchange):
        class Looking(Exchanger):
            def submit(self, prepared):
                assert state() == "sending"
                assert bytes(Exchange.objects.get().prepared) == prepared.blob
                return super().submit(prepared)

        work(Looking())
        assert state() == "sent"

    def test_leaves_alone_what_another_sender_wrote_down(self, exchange):
        class Slow(Exchanger):
            def prepare(self, order):
                prepared = super().prepare(order)
                Exchange.objects.write_down(our_id=order.our_id, blob=b"first", lease=timedelta(seconds=60))
                return prepared

        upstream = Slow()
        work(upstream)
        assert (state(), upstream.submitted) == ("sending", [])

    def test_frees_the_money_of_a_refused_order(self, merchant, exchange):
        work(Exchanger(Refused("Not enough money on balance", "amount")))
        row = Exchange.objects.get()
        assert (row.state, row.failure) == ("failed", "Not enough money on balance")
        assert balance(merchant, "BTC") == BACK
        assert Operation.objects.get().status == "cancelled"

    @pytest.mark.parametrize("error", [Unreachable("no answer"), ProcessorError("odd")])
    def test_holds_the_money_while_nobody_knows(self, merchant, exchange, error):
        work(Exchanger(error))
        row = Exchange.objects.get()
        assert (row.state, row.unknown_reason) == ("unknown", str(error))
        assert balance(merchant, "BTC") == HELD
        assert Operation.objects.get().status == "processing"

    def test_frees_the_money_of_an_order_that_cannot_be_written(self, merchant, exchange):
        class Speechless(Exchanger):
            def prepare(self, order):
                raise ProcessorError("no such pair")

        work(Speechless())
        assert (state(), balance(merchant, "BTC")) == ("failed", BACK)

    def test_keeps_an_ending_that_came_before_the_answer(self, merchant, exchange):
        class Hasty(Exchanger):
            def submit(self, prepared):
                from tests.payments.upstream_of_exchanges import record

                record(notice(Exchange.objects.get()))
                return super().submit(prepared)

        work(Hasty())
        assert (state(), balance(merchant, "BTC")) == ("confirmed", GONE)

    @pytest.mark.parametrize("whole", [True, False])
    def test_waits_while_payouts_are_stopped(self, merchant, exchange, whole):
        stop = Stop.objects.create(merchant=None if whole else merchant, reason="a look", stopped_at=NOW)
        assert not is_due()
        assert work(Exchanger()) == 0
        Stop.objects.filter(pk=stop.pk).update(lifted_at=NOW, lifted_by="me", lift_reason="seen")
        assert work(Exchanger()) == 1


class TestAsk:
    @pytest.fixture
    def unknown(self, exchange):
        work(Exchanger(Unreachable("no answer")))
        ask_now()
        return exchange

    def test_takes_the_answer_for_a_notice(self, merchant, unknown):
        assert is_due()
        work(Exchanger(found=notice(unknown, "599")))
        assert (state(), balance(merchant, "BTC")) == ("confirmed", GONE)
        assert not is_due()

    def test_settles_that_it_was_taken(self, unknown):
        work(Exchanger(found=notice(unknown, status=PayoutStatus.PROCESSING)))
        assert state() == "sent"

    @pytest.mark.parametrize("found", [NotFound(), CannotTell("closed")])
    def test_leaves_open_what_nobody_can_tell(self, merchant, unknown, found):
        upstream = Exchanger(found=found)
        work(upstream)
        assert (state(), upstream.submitted, balance(merchant, "BTC")) == ("unknown", [], HELD)
        assert not is_due()

    def test_frees_the_money_where_not_found_is_final(self, merchant, unknown):
        work(Exchanger(found=NotFound()).can(not_found_is_final=True))
        assert (state(), balance(merchant, "BTC")) == ("failed", BACK)

    def test_hands_it_over_again_only_where_that_is_safe(self, unknown):
        upstream = Exchanger(found=NotFound()).can(resubmit_is_safe=True)
        work(upstream)
        assert (state(), len(upstream.submitted)) == ("sent", 1)

    def test_takes_a_refusal_of_the_second_time_for_no_proof(self, merchant, unknown):
        upstream = Exchanger(Refused("Not enough money on balance"), found=NotFound())
        work(upstream.can(resubmit_is_safe=True))
        assert (state(), balance(merchant, "BTC")) == ("unknown", HELD)

    def test_finds_what_a_lost_sender_left(self, merchant, exchange):
        Exchange.objects.write_down(our_id=exchange.our_id, blob=b"x", lease=timedelta(seconds=60))
        upstream = Exchanger(found=notice(exchange))
        assert (work(upstream), upstream.asked) == (0, [])
        ask_now()
        work(upstream)
        assert (state(), upstream.submitted) == ("confirmed", [])

    def test_calls_a_lost_senders_order_unknown(self, exchange):
        Exchange.objects.write_down(our_id=exchange.our_id, blob=b"x", lease=timedelta(seconds=60))
        ask_now()
        work(Exchanger(found=CannotTell("closed")))
        assert state() == "unknown"

    def test_tells_people_once_when_it_takes_too_long(self, unknown):
        for _ in range(6):
            ask_now()
            work(Exchanger(found=CannotTell("closed")))
        alert = Alert.objects.get()
        assert (alert.kind, alert.merchant) == ("exchange_stuck", None)
        assert Exchange.objects.get().asks == 6

    def test_tells_people_of_a_contradiction(self, merchant, unknown):
        for _ in range(4):
            ask_now()
            work(Exchanger(found=notice(unknown, sent=money("7"))))
        assert "0.01000000 BTC was ordered, 7 BTC is reported" in Alert.objects.get().text
        assert balance(merchant, "BTC") == HELD


class TestGiveUp:
    @pytest.fixture
    def stuck(self, exchange):
        work(Exchanger(Unreachable("no answer")))
        for _ in range(4):
            ask_now()
            work(Exchanger(found=NotFound()))
        return exchange

    def test_gives_the_money_back_and_says_who_decided(self, merchant, stuck):
        known = {"our_id": stuck.our_id, "by": "Ada", "reason": "asked their support", "now": NOW}
        exchange_outcomes.give_up(**known)
        assert (state(), balance(merchant, "BTC")) == ("failed", BACK)
        assert Operation.objects.get().status == "cancelled"
        record = AuditRecord.objects.get(act="exchanges.give_up")
        assert record.actor_label == "Ada (on the server)"
        assert "asked their support" in str(record.after)
        assert Alert.objects.get().cleared_at is not None
        with pytest.raises(exchange_outcomes.NotUnknown):
            exchange_outcomes.give_up(**known)

    def test_refuses_what_is_on_its_way_or_without_a_reason(self, merchant, exchange):
        known = {"our_id": exchange.our_id, "by": "Ada", "now": NOW}
        with pytest.raises(exchange_outcomes.NotUnknown, match="Held: may be sent"):
            exchange_outcomes.give_up(**known, reason="so")
        with pytest.raises(exchange_outcomes.ReasonMissing):
            exchange_outcomes.give_up(**known, reason=" ")
        with pytest.raises(Exchange.DoesNotExist):
            exchange_outcomes.give_up(**known | {"our_id": "m1-exchange-0"}, reason="so")
        assert balance(merchant, "BTC") == HELD

    def test_contradicts_a_processor_that_did_it_all_the_same(self, merchant, stuck):
        exchange_outcomes.give_up(our_id=stuck.our_id, by="Ada", reason="so", now=NOW)
        with pytest.raises(Contradiction):
            heard(notice(stuck))
        assert balance(merchant, "BTC") == BACK

    def test_is_a_command_on_the_server(self, merchant, stuck, capsys):
        call_command("exchanges")
        assert stuck.our_id in capsys.readouterr().out
        call_command("exchanges", "give-up", stuck.our_id, "--by", "Ada", "--reason", "asked")
        assert (state(), balance(merchant, "BTC")) == ("failed", BACK)
        with pytest.raises(CommandError, match="no exchange"):
            call_command("exchanges", "give-up", "m1-exchange-0", "--by", "Ada", "--reason", "asked")

    def test_shows_the_houses_positions(self, merchant, capsys):
        deal = exchanges.calculate(merchant=merchant, wish=SELL, now=NOW)
        exchanges.at_quote(
            merchant=merchant,
            wish=SELL,
            foreign_id="ex-1",
            price=deal.price,
            api_key_id=key_of(merchant),
            now=NOW,
        )
        call_command("exchanges")
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert ["BTC", "0", "0.01000000"] in lines
        assert ["EUR", "0", "-600.00000000"] in lines


class TestTask:
    def test_works_every_active_processor(self, exchange, monkeypatch):
        upstream = Exchanger()
        monkeypatch.setattr(registry, "outbound", lambda code: upstream)
        assert tasks.work_exchanges_once() == 1
        assert state() == "sent"

    def test_goes_on_where_one_cannot_be_asked(self, exchange, monkeypatch):
        def missing(code):
            raise ProcessorError("no credentials")

        monkeypatch.setattr(registry, "outbound", missing)
        assert tasks.work_exchanges_once() == 0
        assert state() == "processing"
