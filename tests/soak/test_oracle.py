"""The oracle's arithmetic, by hand: one that agrees with everything would prove nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.soak import oracle
from tests.soak.shops import Place
from tests.soak.story import CANCELLED, CONFIRMED, NOT_CONFIRMED, Said

TERMS = [
    {
        "BTC": {
            "deposit_fee_percent": "0.008",
            "deposit_exchange_fee_percent": "0.015",
            "deposit_minimum": "0.001",
            "deposit_minimum_fee": "0.0001",
        }
    }
]


def said(status: str, act: int = 0, turn: int = 0, *, sent: str = "0.5", **options: object) -> Said:
    amount = Decimal(sent)
    defaults = {"shop": 0, "place": Place("BTC"), "received": amount, "credited": amount - Decimal("0.002")}
    return Said(7, status, act, turn, sent=amount, **defaults | options)  # type: ignore[arg-type]


class TestFee:
    @pytest.mark.parametrize(
        ("gross", "percent", "minimum", "fee"),
        [
            ("0.01500000", "0.008", "0", "0.00012000"),
            ("0.00000001", "0.008", "0", "0.00000001"),
            ("1.00000001", "0.015", "0", "0.01500001"),
            ("0.5", "0.008", "0.1", "0.1"),
            ("0.05", "0.008", "0.1", "0.05"),
            ("99999999999999999.99999999", "0.000001", "0", "100000000000.00000000"),
        ],
    )
    def test_is_rounded_up_and_bounded(self, gross, percent, minimum, fee):
        found = oracle.fee(Decimal(gross), percent=Decimal(percent), minimum=Decimal(minimum))
        assert found == Decimal(fee)


class TestExpect:
    def test_credits_a_confirmed_deposit_once_however_often_it_is_told(self):
        expected = oracle.expect([said(NOT_CONFIRMED), said(CONFIRMED, turn=1), said(CONFIRMED, 1, 2)], TERMS)
        (deposit,) = expected.deposits.values()
        assert (deposit.status, deposit.net, deposit.bookings) == (CONFIRMED, Decimal("0.496"), 1)
        assert deposit.versions == {1, 2}
        assert expected.available(0, "BTC") == Decimal("0.496")
        assert dict(expected.house) == {
            ("at_processor", "BTC"): Decimal("-0.498"),
            ("processor_fee", "BTC"): Decimal("-0.002"),
            ("fee_income", "BTC"): Decimal("0.004"),
        }

    def test_leaves_nothing_of_a_reversed_deposit_but_its_two_entries(self):
        expected = oracle.expect([said(CONFIRMED), said(CANCELLED, 1, 1)], TERMS)
        (deposit,) = expected.deposits.values()
        assert (deposit.status, deposit.net, deposit.credited_to) == (CANCELLED, 0, "")
        assert (deposit.bookings, deposit.versions) == (2, {2})
        assert not expected.house
        assert not any(expected.totals.values())

    def test_makes_a_debt_of_what_was_spent_before_it_was_taken_back(self):
        spent = {(0, "BTC"): Decimal("0.496")}
        expected = oracle.expect([said(CONFIRMED), said(CANCELLED, 1, 1)], TERMS, spent)
        assert expected.available(0, "BTC") == 0
        assert expected.receivable(0, "BTC") == Decimal("-0.496")
        assert expected.house["adjustment", "BTC"] == Decimal("0.496")

    def test_keeps_a_small_deposit_as_dust(self):
        told = [said(CONFIRMED, sent="0.00099999", credited=Decimal("0.0005"))]
        expected = oracle.expect(told, TERMS)
        (deposit,) = expected.deposits.values()
        assert (deposit.status, deposit.credited_to, deposit.net) == (CANCELLED, "dust", 0)
        assert expected.house["dust", "BTC"] == Decimal("0.00099999")
        assert expected.house["processor_fee", "BTC"] == Decimal("-0.00049999")

    def test_keeps_what_is_nobodys_in_suspense(self):
        expected = oracle.expect([said(CONFIRMED, shop=None)], TERMS)
        assert not expected.deposits
        assert expected.unmatched["7"] == oracle.Unmatched(CONFIRMED, True, 1)
        assert expected.house["suspense", "BTC"] == Decimal("0.5")

    def test_credits_a_conversion_in_what_it_was_converted_to(self):
        place = Place("BTC", "EUR")
        told = [said(CONFIRMED, place=place, received=Decimal(100), credited=Decimal(99))]
        expected = oracle.expect(told, TERMS)
        assert expected.available(0, "EUR") == Decimal("98.5")
        assert expected.house["fee_income", "EUR"] == Decimal("1.5")

    @pytest.mark.parametrize("percent", ["0", "0.015"])
    def test_always_sums_to_zero(self, percent):
        terms = [{"BTC": TERMS[0]["BTC"] | {"deposit_fee_percent": percent}}]
        told = [said(CONFIRMED), said(CANCELLED, 1, 1), said(CONFIRMED, 2, 2)]
        assert not any(oracle.expect(told, terms).sums().values())
