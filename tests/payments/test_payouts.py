"""Payouts: what each notice makes of the withdrawal, the books and the merchant's news."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from callbacks.models import OutgoingCallback
from payments import approvals, closings, ledger
from payments import payouts as verbs
from payments.ledger import AccountKind
from payments.models import Leg, Operation, Withdrawal, WithdrawalState
from payments.models.entry import Entry, Posting
from payments.payouts import NOT_EXECUTED, Contradiction
from payments.processors.base import NoticeFee, PayoutNotice, PayoutStatus
from tests import factories, payouts
from tests.constraints import judge_now, refused
from tests.factories import NOW, money
from tests.payouts import ask, balance, booked, refused_whole

pytestmark = pytest.mark.django_db
TXID = "c0ffee" * 10


@pytest.fixture
def merchant():
    return payouts.merchant()


@pytest.fixture
def row(merchant):
    """A withdrawal of 0.1 BTC that is being handed over."""
    return payouts.sent(ask(merchant, amount="0.1"))


def notice(row: Withdrawal, status: PayoutStatus = PayoutStatus.CONFIRMED, **options: Any) -> PayoutNotice:
    amounts = {"paid": row.money, "received": row.pays, "txid": TXID}
    said = amounts if status == PayoutStatus.CONFIRMED else {"paid": None}
    return PayoutNotice(
        **{"our_id": row.our_id, "external_id": f"up-{row.pk}", "status": status} | said | options
    )


def record(*notices: PayoutNotice, **options: Any) -> None:
    with transaction.atomic():
        verbs.record_many(**{"processor": factories.processor(), "notices": notices, "now": NOW} | options)
        judge_now()


def now_is(row: Withdrawal) -> tuple[str, str, int]:
    fresh = Withdrawal.objects.select_related("operation").get(pk=row.pk)
    return fresh.state, fresh.operation.status, fresh.operation.version


def sums() -> dict[str, Decimal]:
    """What each kind of account that belongs to no merchant holds."""
    kinds = Posting.objects.filter(account__merchant=None).exclude(entry__kind="test")
    found: dict[str, Decimal] = {}
    for kind, currency, amount in kinds.values_list("account__kind", "currency", "amount"):
        name = f"{kind} {currency}"
        found[name] = found.get(name, Decimal(0)) + amount
    return {name: total for name, total in found.items() if total}


class TestConfirmed:
    def test_settles_what_was_held(self, merchant, row):
        record(notice(row))
        assert now_is(row) == ("confirmed", "confirmed", 2)
        assert balance(merchant) == ledger.Balance("BTC", Decimal("0.8996"), Decimal(0), Decimal(0))
        assert sums() == {
            "at_processor BTC": Decimal("0.1"),
            "fee_income BTC": Decimal("0.0003"),
            "network_fee BTC": Decimal("0.0001"),
        }

    def test_keeps_the_processors_number_and_the_transaction(self, row):
        record(notice(row, confirmations=2))
        fresh = Withdrawal.objects.get(pk=row.pk)
        assert (fresh.external_id, fresh.closed_at) == (f"up-{row.pk}", NOW)
        leg = Leg.objects.get(operation_id=row.pk)
        assert (leg.txid, leg.confirmations) == (TXID, 2)

    def test_tells_the_merchant_with_the_fees(self, row):
        record(notice(row))
        body = bytes(OutgoingCallback.objects.get(subject_id=row.pk).body)
        assert (
            b'"fees":[{"type":"mining","currency":"BTC","amount":"0.00010000"},'
            b'{"type":"withdrawal","currency":"BTC","amount":"0.00030000"}],"error":"","status":"confirmed"}'
        ) in body

    def test_charges_the_quoted_mining_fee_whatever_the_network_took(self, merchant, row):
        fees = (NoticeFee("mining", money("0.00003")), NoticeFee("withdrawal", money("0.00005")))
        record(notice(row, fees=fees))
        assert balance(merchant).available == Decimal("0.8996")
        assert sums() == {
            "at_processor BTC": Decimal("0.10008"),
            "fee_income BTC": Decimal("0.0003"),
            "network_fee BTC": Decimal("0.00007"),
            "processor_fee BTC": Decimal("-0.00005"),
        }

    def test_books_a_tokens_mining_fee_in_the_chains_coin(self, merchant):
        payouts.enable(merchant, "USDTE", "100", withdrawal_mining_fee=Decimal("2"))
        row = payouts.sent(ask(merchant, currency="USDTE", amount="10"))
        record(notice(row, fees=(NoticeFee("mining", money("0.001", "ETH")),)))
        assert sums() == {
            "at_processor USDTE": Decimal("10"),
            "fee_income USDTE": Decimal("0.03"),
            "network_fee USDTE": Decimal("2"),
            "at_processor ETH": Decimal("0.001"),
            "network_fee ETH": Decimal("-0.001"),
        }

    def test_takes_the_order_for_paid_where_no_amounts_are_told(self, merchant, row):
        record(notice(row, paid=None, received=None))
        assert now_is(row)[0] == "confirmed"
        assert booked(AccountKind.AT_PROCESSOR) == Decimal("0.1")

    def test_comes_once_however_often_it_is_said(self, merchant, row):
        record(notice(row), notice(row))
        record(notice(row))
        assert now_is(row) == ("confirmed", "confirmed", 2)
        assert Entry.objects.filter(key=f"withdrawal:{row.pk}:close").count() == 1

    def test_follows_the_transaction_afterwards(self, row):
        record(notice(row, txid=None))
        record(notice(row, confirmations=3))
        record(notice(row, txid=None, confirmations=4))
        leg = Leg.objects.get(operation_id=row.pk)
        assert (leg.txid, leg.confirmations) == (TXID, 4)
        assert now_is(row)[2] == 2

    @pytest.mark.parametrize("state", ["sending", "sent", "unknown"])
    def test_may_come_in_every_state_after_the_bytes_are_stored(self, row, state):
        Withdrawal.objects.filter(pk=row.pk).update(state=state)
        record(notice(row))
        assert now_is(row)[0] == "confirmed"


class TestNotPaid:
    @pytest.mark.parametrize("status", [PayoutStatus.CANCELLED, PayoutStatus.DECLINED])
    def test_gives_everything_back_with_the_processors_words(self, merchant, row, status):
        record(notice(row, status, error="Destination address was rejected by the network node"))
        assert now_is(row) == ("failed", "cancelled", 2)
        assert balance(merchant) == ledger.Balance("BTC", Decimal(1), Decimal(0), Decimal(0))
        assert sums() == {}
        operation = Operation.objects.get(pk=row.pk)
        assert operation.error == "Destination address was rejected by the network node"
        assert not operation.fees.exists()

    @pytest.mark.parametrize(
        "words", ["", "  ", "no/slash", 'a "quote"', "é", "back\\slash", "x" * 256, "a\nb"]
    )
    def test_says_it_in_words_of_ours_where_theirs_may_not_go_out(self, row, words):
        record(notice(row, PayoutStatus.CANCELLED, error=words))
        assert Operation.objects.get(pk=row.pk).error == NOT_EXECUTED

    def test_comes_once_however_often_it_is_said(self, merchant, row):
        record(notice(row, PayoutStatus.CANCELLED))
        record(notice(row, PayoutStatus.DECLINED))
        assert now_is(row)[2] == 2
        assert balance(merchant).available == Decimal(1)


class TestOpen:
    @pytest.mark.parametrize("status", [PayoutStatus.PENDING, PayoutStatus.PROCESSING])
    @pytest.mark.parametrize("state", ["sending", "unknown", "sent"])
    def test_says_that_the_processor_has_it(self, merchant, row, status, state):
        Withdrawal.objects.filter(pk=row.pk).update(state=state)
        record(notice(row, status))
        assert now_is(row) == ("sent", "processing", 1)
        assert balance(merchant).held == Decimal("0.1004")
        assert not OutgoingCallback.objects.filter(subject_id=row.pk).exists()

    def test_may_come_with_the_end_in_one_batch(self, row):
        record(notice(row, PayoutStatus.PROCESSING), notice(row), notice(row, PayoutStatus.PENDING))
        assert now_is(row) == ("confirmed", "confirmed", 2)

    def test_changes_nothing_when_it_comes_late(self, row):
        record(notice(row))
        record(notice(row, PayoutStatus.PENDING))
        assert now_is(row) == ("confirmed", "confirmed", 2)

    def test_changes_nothing_after_a_failure_that_was_told(self, merchant, row):
        record(notice(row, PayoutStatus.CANCELLED))
        record(notice(row, PayoutStatus.PROCESSING))
        assert now_is(row) == ("failed", "cancelled", 2)


class TestContradiction:
    """What people must look at; nothing moves."""

    def contradicts(self, merchant, *notices, what: str, **options) -> None:
        sentence = f"The processor contradicts what is recorded: {what}."
        with refused_whole(merchant, Contradiction, sentence):
            record(*notices, **options)

    def test_is_an_order_that_we_never_made(self, merchant, row):
        stray = notice(row, our_id="m1-withdrawal-9")
        self.contradicts(merchant, notice(row), stray, what="we ordered nothing as m1-withdrawal-9")

    def test_is_another_processors_word(self, merchant, row):
        other = factories.processor("other")
        what = f"we ordered nothing as {row.our_id}"
        self.contradicts(merchant, notice(row), what=what, processor=other)

    @pytest.mark.parametrize("status", list(PayoutStatus))
    def test_is_any_word_about_one_that_was_not_sent(self, merchant, status):
        approved = ask(merchant).withdrawal
        self.contradicts(merchant, notice(approved, status), what=f"{approved.our_id} was never sent")
        payouts.limit(merchant, everything=True)
        pending = ask(merchant).withdrawal
        self.contradicts(merchant, notice(pending, status), what=f"{pending.our_id} was never sent")

    @pytest.mark.parametrize("name", ["paid", "received"])
    @pytest.mark.parametrize("said", [money("0.2"), money("0.09999999"), money("0"), money("0.1", "LTC")])
    def test_is_an_amount_that_was_not_ordered(self, merchant, row, name, said):
        what = f"0.10000000 BTC was ordered, {said} is reported"
        self.contradicts(merchant, notice(row, **{name: said}), what=what)

    def test_is_an_amount_that_was_not_ordered_in_a_pending_word_too(self, merchant, row):
        self.contradicts(
            merchant,
            notice(row, PayoutStatus.PENDING, paid=money("1")),
            what="0.10000000 BTC was ordered, 1 BTC is reported",
        )

    def test_is_another_number_for_the_same_order(self, merchant, row):
        record(notice(row, PayoutStatus.PENDING))
        what = f"{row.our_id} is up-{row.pk} there, not up-x"
        self.contradicts(merchant, notice(row, external_id="up-x"), what=what)

    def test_is_paid_after_failed(self, merchant, row):
        record(notice(row, PayoutStatus.CANCELLED))
        self.contradicts(merchant, notice(row), what=f"{row.our_id} was not paid before, now it was")

    @pytest.mark.parametrize("status", [PayoutStatus.CANCELLED, PayoutStatus.DECLINED])
    def test_is_failed_after_paid(self, merchant, row, status):
        record(notice(row))
        what = f"{row.our_id} was paid before, now {status}"
        self.contradicts(merchant, notice(row, status), what=what)

    def test_is_taken_after_it_was_refused(self, merchant, row):
        fail(row, "The address is invalid.")
        what = f"{row.our_id} was refused, now processing"
        self.contradicts(merchant, notice(row, PayoutStatus.PROCESSING), what=what)

    def test_is_a_word_about_one_that_was_declined(self, merchant):
        payouts.limit(merchant, everything=True)
        operation = ask(merchant)
        row = operation.withdrawal
        approvals.decline(
            merchant=merchant, numbers=[operation.wire_id], by=payouts.owner(merchant), reason="x", now=NOW
        )
        self.contradicts(merchant, notice(row), what=f"{row.our_id} was never sent")

    def test_is_a_fee_in_no_currency(self, merchant, row):
        fees = (NoticeFee("mining", money("1", "XXX")),)
        self.contradicts(merchant, notice(row, fees=fees), what="a fee in XXX")

    @pytest.mark.django_db(transaction=True)
    def test_demands_a_transaction(self):
        with pytest.raises(RuntimeError):
            verbs.record_many(processor=factories.processor(), notices=[], now=NOW)


class TestConversion:
    @pytest.fixture
    def merchant(self, merchant):
        payouts.enable(
            merchant,
            "EUR",
            "1000",
            withdrawal_exchange_fee_percent=Decimal("0.008"),
            withdrawal_mining_fee=Decimal("0.41"),
        )
        payouts.price("EUR", "BTC", "0.00002")
        return merchant

    @pytest.fixture
    def row(self, merchant):
        return payouts.sent(ask(merchant, currency="EUR", convert_to="BTC", amount="381"))

    def test_debits_as_asked_and_shows_what_arrived(self, merchant, row):
        record(notice(row, received=money("0.00632")))
        operation = Operation.objects.get(pk=row.pk)
        assert (operation.amount_sent, operation.amount_received) == (Decimal("381"), Decimal("0.00632"))
        legs = [(leg.type, leg.amount, leg.amount_to, leg.txid) for leg in operation.legs.all()]
        assert legs == [
            ("exchange", Decimal("381"), Decimal("0.00632"), ""),
            ("withdrawal", Decimal("0.00632"), None, TXID),
        ]
        assert [(fee.type, fee.amount) for fee in operation.fees.all()] == [
            ("exchange", Decimal("3.048")),
            ("mining", Decimal("0.41")),
        ]
        assert balance(merchant, "EUR") == ledger.Balance("EUR", Decimal("615.542"), Decimal(0), Decimal(0))
        assert sums() == {
            "at_processor EUR": Decimal("381"),
            "fee_income EUR": Decimal("3.048"),
            "network_fee EUR": Decimal("0.41"),
        }

    def test_comes_once_however_often_it_is_said(self, row):
        said = notice(row, received=money("0.00632"))
        record(said, said)
        record(said)
        assert now_is(row) == ("confirmed", "confirmed", 2)
        assert Leg.objects.filter(operation_id=row.pk).count() == 2

    def test_keeps_the_legs_number_when_the_estimate_was_another(self, row):
        before = Leg.objects.get(operation_id=row.pk).wire_id
        record(notice(row, received=money("0.007")))
        assert Leg.objects.get(operation_id=row.pk, type="exchange").wire_id == before

    @pytest.mark.parametrize(("took", "gain"), [("310.5", "5.5"), ("320", "-4")])
    def test_leaves_the_difference_to_the_house_where_arrival_was_fixed(self, merchant, took, gain):
        row = payouts.sent(ask(merchant, currency="EUR", convert_to="BTC", amount=None, amount_to="0.00632"))
        assert row.amount == Decimal("316")
        record(notice(row, paid=money(took, "EUR"), fees=(NoticeFee("exchange", money("1", "EUR")),)))
        assert balance(merchant, "EUR").held == 0
        assert sums() == {
            "at_processor EUR": Decimal(took) + 1,
            "processor_fee EUR": Decimal("-1"),
            "conversion EUR": Decimal(gain),
            "fee_income EUR": Decimal("2.528"),
            "network_fee EUR": Decimal("0.41"),
        }
        assert Operation.objects.get(pk=row.pk).amount_sent == Decimal("316")

    @pytest.mark.parametrize("said", ["0.0038", "0.0153"])
    def test_refuses_an_arrival_beyond_half_or_double(self, merchant, row, said):
        with refused_whole(merchant, Contradiction):
            record(notice(row, received=money(said)))

    @pytest.mark.parametrize("said", ["157.9", "632.1"])
    def test_refuses_a_debit_beyond_half_or_double(self, merchant, said):
        row = payouts.sent(ask(merchant, currency="EUR", convert_to="BTC", amount=None, amount_to="0.00632"))
        with refused_whole(merchant, Contradiction):
            record(notice(row, paid=money(said, "EUR")))

    def test_refuses_another_amount_on_the_side_that_was_fixed(self, merchant, row):
        with refused_whole(merchant, Contradiction):
            record(notice(row, paid=money("380", "EUR")))

    def test_shows_both_legs_of_one_that_failed(self, merchant, row):
        record(notice(row, PayoutStatus.CANCELLED, error="Not enough money on balance"))
        legs = Leg.objects.filter(operation_id=row.pk).order_by("pk")
        assert [(leg.type, leg.txid) for leg in legs] == [("exchange", ""), ("withdrawal", "")]
        assert balance(merchant, "EUR").available == Decimal("1000")


def fail(row: Withdrawal, error: str) -> None:
    with transaction.atomic():
        (locked,) = closings.locked(pk=row.pk)
        verbs.fail(withdrawal=locked, error=error, now=NOW)
        judge_now()


class TestFail:
    def test_gives_the_money_back(self, merchant, row):
        fail(row, "The address is invalid.")
        assert now_is(row) == ("failed", "cancelled", 2)
        assert balance(merchant).available == Decimal(1)
        assert Operation.objects.get(pk=row.pk).error == "The address is invalid."


class TestConfirm:
    def test_settles_as_it_was_ordered(self, merchant, row):
        with transaction.atomic():
            (locked,) = closings.locked(pk=row.pk)
            verbs.confirm(withdrawal=locked, txid=TXID, now=NOW)
            judge_now()
        assert now_is(row) == ("confirmed", "confirmed", 2)
        assert Leg.objects.get(operation_id=row.pk).txid == TXID
        assert balance(merchant).available == Decimal("0.8996")


class TestOrderOf:
    def test_orders_the_amount_under_our_number(self, row):
        order = verbs.order_of(row)
        assert (order.our_id, order.amount, order.address) == (row.our_id, money("0.1"), row.address)
        assert (order.convert_to, order.amount_to, order.extra) == (None, None, {})

    def test_orders_what_is_to_arrive_where_that_was_fixed(self, merchant):
        payouts.enable(merchant, "EUR", "1000")
        payouts.price("EUR", "BTC", "0.00002")
        row = ask(merchant, currency="EUR", convert_to="BTC", amount=None, amount_to="0.00632").withdrawal
        order = verbs.order_of(row)
        assert (order.convert_to, order.amount_to) == ("BTC", money("0.00632"))

    def test_passes_on_who_sends_and_receives(self, merchant):
        parties = {"receiver_type": "self"}
        row = ask(merchant, parties=parties, end_user_reference="player-7").withdrawal
        order = verbs.order_of(row)
        assert (order.extra, order.end_user_reference) == (parties, "player-7")


class TestDatabase:
    def test_lets_one_ending_happen(self, row):
        record(notice(row))
        one = money("1")
        lines = [ledger.house(AccountKind.ADJUSTMENT, one), ledger.house(AccountKind.ROUNDING, -one)]
        with pytest.raises(IntegrityError), transaction.atomic():
            ledger.post(ledger.NewEntry(f"withdrawal:{row.pk}:close", "x", row.subject, NOW, lines))

    def test_lets_no_paid_one_fail(self, row):
        record(notice(row))
        refused(
            "withdrawal_state_moves_legally",
            f"UPDATE payments_withdrawal SET state = 'failed' WHERE operation_id = {row.pk}",
        )

    def test_lets_the_application_settle_and_not_send(self, merchant, row):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL ROLE bursar_app")
            verbs.record_many(processor=factories.processor(), notices=[notice(row)], now=NOW)
            judge_now()
        assert now_is(row)[0] == "confirmed"
        other = ask(merchant)
        refused(
            "withdrawal_is_sent_by_the_sender",
            "SET LOCAL ROLE bursar_app",
            f"UPDATE payments_withdrawal SET state = 'sending' WHERE operation_id = {other.pk}",
        )
        assert Withdrawal.objects.get(pk=other.pk).state == WithdrawalState.APPROVED

    def test_lets_the_sender_settle_what_it_asked_about(self, row):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL ROLE bursar_sender")
            verbs.record_many(processor=factories.processor(), notices=[notice(row)], now=NOW)
            judge_now()
        assert now_is(row)[0] == "confirmed"
