"""Which verb hears which notice, from the inbox on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from callbacks import dispatch, incoming
from callbacks.models import IncomingCallback
from payments.models import Address, Operation, Withdrawal
from payments.processors.base import ConversionNotice, DepositNotice, PayoutNotice, PayoutStatus
from tests import factories, payouts
from tests.callbacks import upstream
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("intake")]


def hear(*bodies: bytes) -> list[str]:
    """Takes callbacks in and applies them; the rows' states in their order."""
    for body in bodies:
        incoming.receive(processor_code="sandbox", request=upstream.request(body))
    incoming.process(now=NOW)
    return list(IncomingCallback.objects.order_by("id").values_list("state", flat=True))


def spoken(row: Withdrawal, **more: object) -> bytes:
    money = {"currency": row.currency, "amount": f"{row.amount:f}"}
    return upstream.payout(row.our_id, money, **more)


class TestCallback:
    def test_of_a_payout_settles_the_withdrawal(self) -> None:
        merchant = payouts.merchant()
        row = payouts.sent(payouts.ask(merchant))
        assert hear(spoken(row)) == ["applied"]
        assert Withdrawal.objects.get(pk=row.pk).state == "confirmed"
        assert payouts.balance(merchant).available == Decimal("0.8996")

    def test_of_a_payout_that_comes_again_changes_nothing(self) -> None:
        row = payouts.sent(payouts.ask(payouts.merchant()))
        hear(spoken(row))
        assert hear(spoken(row)) == ["applied"]
        assert Operation.objects.get(pk=row.pk).version == 2

    def test_of_several_kinds_is_applied_kind_by_kind(self, address: Address) -> None:
        rows = [payouts.sent(payouts.ask(payouts.merchant())) for _ in range(2)]
        bodies = [spoken(row, number=number) for number, row in enumerate(rows, start=9)]
        assert hear(bodies[0], upstream.deposit(address), bodies[1]) == ["applied"] * 3
        assert {Withdrawal.objects.get(pk=row.pk).state for row in rows} == {"confirmed"}
        assert Operation.objects.filter(kind="deposit").count() == 1

    def test_that_contradicts_is_set_aside_and_stops_no_other(self) -> None:
        rows = [payouts.sent(payouts.ask(payouts.merchant())) for _ in range(2)]
        wrong = spoken(rows[0], currency_sent={"currency": "BTC", "amount": "7"})
        assert hear(wrong, spoken(rows[1], number=10)) == ["quarantined", "applied"]
        assert Withdrawal.objects.get(pk=rows[0].pk).state == "sending"
        assert "7.00000000 BTC is reported" in IncomingCallback.objects.order_by("id")[0].error


class TestKindOf:
    PAYOUT = PayoutNotice("a", "1", PayoutStatus.PENDING, None)
    CONVERSION = ConversionNotice("b", "2", PayoutStatus.PENDING, None, None)

    def test_is_the_one_that_all_notices_have(self) -> None:
        assert dispatch.kind_of([self.PAYOUT, self.PAYOUT]) is PayoutNotice
        assert dispatch.kind_of([self.CONVERSION]) is ConversionNotice
        assert dispatch.kind_of([]) is DepositNotice

    def test_refuses_a_callback_of_several(self) -> None:
        with pytest.raises(dispatch.MixedNotices, match="2 kinds"):
            dispatch.kind_of([self.PAYOUT, self.CONVERSION])


class TestTold:
    def test_says_to_a_deposit_when_it_came(self) -> None:
        factories.terms()
        notice = factories.notice(factories.address(factories.merchant()))
        told = dispatch.told(notice, heard_at=NOW, repeated=True)
        assert (told.heard_at, told.repeated) == (NOW, True)
        assert dispatch.told(TestKindOf.PAYOUT, heard_at=NOW, repeated=True) is TestKindOf.PAYOUT
