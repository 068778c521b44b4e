"""The last hop: whatever a processor answers, or however a process dies, nothing is handed over twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from payments import ledger, sending
from payments.models import Alert, Stop, Withdrawal
from payments.processors.base import CannotTell, NotFound, PayoutStatus, Unreachable
from tests import factories
from tests.constraints import judge_now
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Killed, Payer, approved, as_role, ask, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return up.payer_out()


def balance(shop) -> tuple[Decimal, Decimal]:
    one = next(one for one in ledger.balances(shop) if one.currency == "BTC")
    return one.available, one.held


def state(row: Withdrawal) -> str:
    row.refresh_from_db()
    return row.state


class TestSend:
    def test_hands_over_exactly_what_was_written_down(self, shop):
        row, payer = approved(shop), Payer()
        assert send(payer) == 1
        row.refresh_from_db()
        assert row.state == "sent"
        assert payer.submitted == [bytes(row.prepared)]
        assert bytes(row.prepared) == f"{row.our_id} 0.10000000 BTC {up.ADDRESS}".encode()
        assert row.external_id == f"up-{row.our_id}"
        assert (row.prepared_at, row.submitted_at) == (NOW, NOW)

    def test_writes_the_order_down_before_it_leaves(self, shop):
        row, seen = approved(shop), []

        def looks(payer, prepared):
            seen.append(Withdrawal.objects.values_list("state", "prepared").get(pk=row.pk))
            return up.accepts(payer, prepared)

        send(Payer(looks))
        assert seen[0][0] == "sending"
        assert bytes(seen[0][1]).startswith(row.our_id.encode())

    def test_takes_the_oldest_first_and_each_once(self, shop):
        first, second, payer = approved(shop), approved(shop), Payer()
        assert [send(payer), send(payer), send(payer)] == [1, 1, 0]
        assert [blob.split()[0].decode() for blob in payer.submitted] == [first.our_id, second.our_id]

    def test_leaves_alone_what_waits_for_approval(self, shop):
        by = up.owner(shop)
        up.limits.set_limit(merchant=shop, origin="api", everything=True, by=by.user, now=NOW)
        row, payer = approved(shop), Payer()
        assert send(payer) == 0
        assert (state(row), payer.submitted) == ("pending", [])

    def test_sends_what_a_second_person_approved(self, shop):
        row = up.approved_by_hand(shop, up.owner(shop))
        send(Payer())
        assert state(row) == "sent"

    def test_works_with_the_rights_of_the_sender(self, shop):
        rows = [approved(shop), approved(shop), approved(shop)]
        payer = Payer(up.accepts, up.refuses, up.is_cut_off)
        with as_role("bursar_sender"):
            assert [send(payer) for _ in range(4)] == [1, 1, 1, 0]
            up.time_to_ask()
            payer.told = CannotTell("not now")
            ask(payer)
            payer.told = up.notice(rows[2].our_id, PayoutStatus.CONFIRMED, txid="ab")
            ask(payer)
            judge_now()
        assert [state(row) for row in rows] == ["sent", "failed", "confirmed"]


class TestAnswer:
    def test_of_refusal_gives_the_money_back(self, shop):
        before = balance(shop)
        row = approved(shop)
        send(Payer(up.refuses))
        judge_now()
        assert state(row) == "failed"
        row.operation.refresh_from_db()
        assert (row.operation.status, row.operation.error) == (
            "cancelled",
            "The amount must be at least 0.0001.",
        )
        assert balance(shop) == before

    @pytest.mark.parametrize("act", [up.is_cut_off, up.breaks])
    def test_that_is_none_leaves_the_outcome_unknown_and_the_money_held(self, shop, act):
        row, payer = approved(shop), Payer(act)
        held = balance(shop)
        send(payer)
        judge_now()
        row.refresh_from_db()
        assert (row.state, row.unknown_at) == ("unknown", NOW)
        assert row.unknown_reason != ""
        assert balance(shop) == held
        assert held[1] > 0
        assert send(payer) == 0
        assert payer.paid == {row.our_id: 1}

    def test_with_a_number_that_is_anothers_is_no_answer(self, shop):
        first, second = approved(shop), approved(shop)

        def confuses(payer, prepared):
            return up.Accepted(external_id=f"up-{first.our_id}", status=PayoutStatus.PROCESSING)

        payer = Payer(up.accepts, confuses)
        send(payer), send(payer)
        assert (state(first), state(second)) == ("sent", "unknown")
        assert second.external_id is None

    def test_with_a_number_too_long_to_keep_is_no_answer(self, shop):
        row = approved(shop)
        send(Payer(lambda payer, prepared: up.Accepted("9" * 61, PayoutStatus.PROCESSING)))
        assert state(row) == "unknown"

    def test_may_come_after_the_callback(self, shop):
        row = approved(shop)
        send(Payer(up.calls_back_first(PayoutStatus.CONFIRMED, up.accepts)))
        judge_now()
        assert state(row) == "confirmed"
        assert balance(shop) == (Decimal(10) - row.held, Decimal(0))

    def test_may_be_lost_after_the_callback(self, shop):
        row = approved(shop)
        send(Payer(up.calls_back_first(PayoutStatus.PROCESSING, up.is_cut_off)))
        assert state(row) == "sent"

    def test_of_refusal_after_a_callback_of_payment_moves_nothing_and_is_told(self, shop):
        row = approved(shop)
        send(Payer(up.calls_back_first(PayoutStatus.CONFIRMED, up.refuses)))
        judge_now()
        assert state(row) == "confirmed"
        assert Alert.objects.filter(kind="contradiction", merchant=shop).count() == 1

    def test_of_refusal_after_a_callback_of_cancelling_is_the_same_word(self, shop):
        row = approved(shop)
        send(Payer(up.calls_back_first(PayoutStatus.CANCELLED, up.refuses)))
        assert state(row) == "failed"
        assert not Alert.objects.exists()


class TestKill:
    """A process that ends between two lines; what comes after is the next one's."""

    @pytest.mark.parametrize("act", [up.dies_before, up.dies_after])
    def test_leaves_an_unknown_outcome_and_no_second_order(self, shop, act):
        row, payer = approved(shop), Payer(act)
        with pytest.raises(Killed):
            send(payer)
        assert state(row) == "sending"
        assert [send(payer), ask(payer)] == [0, 0]  # its lease still runs
        up.time_to_ask()
        assert ask(payer) == 1
        judge_now()
        assert state(row) == "unknown"
        assert len(payer.submitted) == 1
        assert balance(shop)[1] == row.held

    def test_before_committing_leaves_it_to_be_sent(self, shop, monkeypatch):
        row, payer = approved(shop), Payer()

        def dies(*_, **__):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(sending, "_write", dies)
            with pytest.raises(Killed):
                send(payer)
        assert (state(row), payer.submitted) == ("approved", [])
        send(payer)
        assert (state(row), len(payer.submitted)) == ("sent", 1)

    def test_before_the_answer_is_noted_is_an_unknown_outcome(self, shop, monkeypatch):
        row, payer = approved(shop), Payer()

        def dies(*_, **__):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(sending, "_accepted", dies)
            with pytest.raises(Killed):
                send(payer)
        up.time_to_ask()
        payer.told = up.notice(row.our_id, PayoutStatus.PROCESSING)
        ask(payer)
        row.refresh_from_db()
        assert (row.state, row.external_id) == ("sent", f"up-{row.our_id}")
        assert payer.paid == {row.our_id: 1}

    def test_is_followed_by_the_same_bytes_where_that_is_safe(self, shop):
        row, payer = approved(shop), Payer(up.dies_before, resubmit_is_safe=True)
        with pytest.raises(Killed):
            send(payer)
        up.time_to_ask()
        ask(payer)
        assert state(row) == "sent"
        assert payer.submitted == [bytes(row.prepared)] * 2


class TestAsk:
    @pytest.fixture
    def row(self, shop):
        one = approved(shop)
        send(Payer(up.is_cut_off))
        return one

    def test_waits_longer_from_one_question_to_the_next(self, row):
        payer, waits = Payer(), []
        for _ in range(7):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT extract(epoch FROM next_ask_at - clock_timestamp()) FROM payments_withdrawal"
                )
                waits.append(float(cursor.fetchone()[0]))
            up.time_to_ask()
            ask(payer)
        for wait, due in zip(waits, (10, 30, 60, 120, 300, 600, 600), strict=True):
            assert due - 5 < wait <= due
        assert ask(payer) == 0
        assert payer.asked == 7

    @pytest.mark.parametrize(
        ("status", "becomes"), [("confirmed", "confirmed"), ("cancelled", "failed"), ("pending", "sent")]
    )
    def test_takes_the_processors_word(self, row, status, becomes):
        payer = Payer()
        payer.told = up.notice(row.our_id, PayoutStatus(status), txid="ab")
        up.time_to_ask()
        ask(payer)
        judge_now()
        assert state(row) == becomes

    @pytest.mark.parametrize("told", [NotFound(), CannotTell("503"), Unreachable("no"), RuntimeError("odd")])
    def test_goes_on_while_there_is_no_word(self, row, shop, told):
        payer = Payer()
        payer.told = told
        up.time_to_ask()
        ask(payer)
        row.refresh_from_db()
        assert (row.state, row.asks) == ("unknown", 1)
        assert balance(shop)[1] == row.held
        assert row.next_ask_at is not None

    def test_frees_the_money_where_not_found_is_final(self, row, shop):
        payer = Payer(not_found_is_final=True)
        payer.told = NotFound()
        up.time_to_ask()
        ask(payer)
        judge_now()
        assert state(row) == "failed"
        assert balance(shop) == (Decimal(10), Decimal(0))

    def test_moves_nothing_on_a_word_about_another_amount(self, row, shop):
        payer = Payer()
        payer.told = up.replace(
            up.notice(row.our_id, PayoutStatus.CONFIRMED), paid=factories.money("0.2"), received=None
        )
        up.time_to_ask()
        ask(payer)
        assert state(row) == "unknown"
        assert balance(shop)[1] == row.held
        assert Alert.objects.get(kind="contradiction").merchant == shop


class TestStop:
    def test_of_the_merchant_holds_its_payouts_alone(self, shop):
        other = up.payer_out()
        mine, theirs, payer = approved(shop), approved(other), Payer()
        Stop.objects.create(merchant=shop, reason="so", stopped_at=NOW)
        assert [send(payer), send(payer)] == [1, 0]
        assert (state(mine), state(theirs)) == ("approved", "sent")

    def test_of_the_installation_holds_all(self, shop):
        row, payer = approved(shop), Payer()
        Stop.objects.create(reason="so", stopped_at=NOW)
        assert send(payer) == 0
        assert (state(row), payer.submitted) == ("approved", [])

    def test_made_while_an_order_is_prepared_holds_it(self, shop):
        row, payer = approved(shop), Payer()
        prepare = payer.prepare

        def stops_meanwhile(order):
            Stop.objects.create(merchant=shop, reason="so", stopped_at=NOW)
            return prepare(order)

        payer.prepare = stops_meanwhile
        assert send(payer) == 1
        assert (state(row), payer.submitted) == ("approved", [])

    def test_rings_no_bell(self, shop):
        approved(shop)
        Stop.objects.create(reason="so", stopped_at=NOW)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({sending.SEND_DUE_SQL})")
            assert cursor.fetchone() == (False,)


class TestPutOff:
    def test_is_looked_at_again_later(self, shop):
        row, payer = approved(shop), Payer()
        type(shop).objects.filter(pk=shop.pk).update(status="blocked")
        assert [send(payer), send(payer)] == [1, 0]
        assert (state(row), payer.submitted) == ("approved", [])
        type(shop).objects.filter(pk=shop.pk).update(status="active")
        up.time_to_ask()
        send(payer, NOW + timedelta(minutes=1))
        assert state(row) == "sent"

    def test_is_told_where_no_order_can_be_made(self, shop):
        row, payer = approved(shop), Payer()

        def cannot(order):
            raise ValueError("no network")

        payer.prepare = cannot
        assert send(payer) == 1
        assert state(row) == "approved"
        assert "no network" in Alert.objects.get(kind="altered").text
