"""Fees: exact to the last digit, rounded up, never more than there is."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import fees
from payments.money import CONTEXT, Money

GROSS = st.decimals(0, Decimal("1e17"), places=8).map(lambda amount: Money(amount, "BTC"))
PERCENT = st.decimals(0, 2, places=6)
MINIMUM = st.decimals(0, 1000, places=8)


def btc(amount: str) -> Money:
    return Money(Decimal(amount), "BTC")


class TestFeeFor:
    @pytest.mark.parametrize(
        ("gross", "percent", "minimum", "fee"),
        [
            ("1", "0.008", "0", "0.008"),
            ("0.00000001", "0.008", "0", "0.00000001"),
            ("0.015", "0.008", "0.0001", "0.00012"),
            ("0.015", "0.008", "0.0002", "0.0002"),
            ("0.00005", "0.008", "0.0001", "0.00005"),
            ("0.12345678", "0.008", "0", "0.00098766"),
            ("0.125", "0.008", "0", "0.001"),
            ("1", "0", "0", "0"),
            ("0", "0.008", "0.0001", "0"),
            ("1", "1.5", "0", "1"),
            ("1", "0", "0.000000001", "0.00000001"),
        ],
    )
    def test_takes_the_percentage_or_the_minimum_rounded_up(
        self, gross: str, percent: str, minimum: str, fee: str
    ) -> None:
        taken = fees.fee_for(btc(gross), percent=Decimal(percent), minimum=Decimal(minimum))
        assert taken == btc(fee)

    @given(gross=GROSS, percent=PERCENT, minimum=MINIMUM)
    def test_is_at_least_what_was_agreed_by_less_than_the_last_digit(
        self, gross: Money, percent: Decimal, minimum: Decimal
    ) -> None:
        fee = fees.fee_for(gross, percent=percent, minimum=minimum)
        with localcontext(CONTEXT):
            agreed = max(gross.amount * percent, minimum)
            assert fee.amount == gross.amount or 0 <= fee.amount - agreed < Decimal("1e-8")
        assert 0 <= fee.amount <= gross.amount
        assert fee.amount == 0 or int(fee.amount.as_tuple().exponent) >= -8

    @given(gross=GROSS, more=GROSS, percent=PERCENT, minimum=MINIMUM)
    def test_never_falls_when_the_amount_rises(
        self, gross: Money, more: Money, percent: Decimal, minimum: Decimal
    ) -> None:
        small = fees.fee_for(gross, percent=percent, minimum=minimum)
        assert small <= fees.fee_for(gross + more, percent=percent, minimum=minimum)

    @pytest.mark.parametrize(
        ("gross", "percent", "minimum"), [("-1", "0", "0"), ("1", "-0.1", "0"), ("1", "0", "-1")]
    )
    def test_refuses_negative_numbers(self, gross: str, percent: str, minimum: str) -> None:
        with pytest.raises(ValueError, match="not negative"):
            fees.fee_for(btc(gross), percent=Decimal(percent), minimum=Decimal(minimum))


class TestSplit:
    def test_takes_the_fee_out_of_the_gross(self) -> None:
        assert fees.split(btc("0.015"), percent=Decimal("0.008"), minimum=Decimal(0)) == (
            btc("0.01488"),
            btc("0.00012"),
        )

    def test_leaves_nothing_of_less_than_the_minimum_fee(self) -> None:
        assert fees.split(btc("0.00005"), percent=Decimal(0), minimum=Decimal("0.0001")) == (
            btc("0"),
            btc("0.00005"),
        )

    @given(gross=GROSS, percent=PERCENT, minimum=MINIMUM)
    def test_loses_and_creates_nothing(self, gross: Money, percent: Decimal, minimum: Decimal) -> None:
        net, fee = fees.split(gross, percent=percent, minimum=minimum)
        assert net + fee == gross
        assert net.amount >= 0
        assert fee.amount >= 0
