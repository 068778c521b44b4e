"""Money: exact, of one currency, rounded only where it is said."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, Inexact, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.money import CONTEXT, CurrencyMismatch, Money

DIGITS = st.integers(-(10**36), 10**36)
AMOUNTS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places, CONTEXT), DIGITS, st.integers(0, 18)
)


def btc(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), "BTC")


def eur(amount: str | int) -> Money:
    return Money(Decimal(amount), "EUR")


class TestMoney:
    @pytest.mark.parametrize("amount", [1, 1.5, "1", True, None])
    def test_is_made_of_a_decimal_only(self, amount: object) -> None:
        with pytest.raises(TypeError, match="an amount is a Decimal"):
            Money(amount, "BTC")  # type: ignore[arg-type]  # the point of the test

    @pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
    def test_is_finite(self, text: str) -> None:
        with pytest.raises(ValueError, match="finite"):
            btc(text)

    def test_can_not_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            btc(1).amount = Decimal(2)  # type: ignore[misc]  # the point of the test

    def test_is_equal_by_value_whatever_the_zeros(self) -> None:
        assert btc("1.50") == btc("1.5")
        assert hash(btc("1.50")) == hash(btc("1.5"))
        assert btc(1) != eur(1)

    def test_is_false_only_when_there_is_none(self) -> None:
        assert not btc("0.00000000")
        assert not Money.zero("BTC")
        assert btc("-0.00000001")

    def test_reads_as_a_plain_number_and_its_currency(self) -> None:
        assert str(btc("1e-8")) == "0.00000001 BTC"
        assert str(btc("1E+3")) == "1000 BTC"

    def test_adds_and_takes_away_beyond_the_default_precision(self) -> None:
        large = btc("12345678901234567890123456789.00000001")
        assert large + btc("0.00000001") == btc("12345678901234567890123456789.00000002")
        assert large - large == Money.zero("BTC")
        assert -large == btc("-12345678901234567890123456789.00000001")

    def test_refuses_to_lose_a_digit(self) -> None:
        with pytest.raises(Inexact):
            btc("1e70") + btc("1e-18")
        with pytest.raises(Inexact):
            btc("1." + "1" * 40).times(Decimal("1." + "1" * 40))


class TestTwoCurrencies:
    def test_do_not_mix(self) -> None:
        with pytest.raises(CurrencyMismatch, match="EUR and BTC do not mix"):
            eur(1) + btc(1)
        with pytest.raises(CurrencyMismatch):
            eur(1) - btc(1)

    def test_do_not_compare(self) -> None:
        with pytest.raises(CurrencyMismatch):
            assert eur(1) < btc(2)
        with pytest.raises(CurrencyMismatch):
            assert eur(1) <= btc(2)
        with pytest.raises(CurrencyMismatch):
            max(eur(1), btc(2))


class TestArithmetic:
    @given(first=AMOUNTS, second=AMOUNTS)
    def test_is_that_of_exact_fractions(self, first: Decimal, second: Decimal) -> None:
        total, rest = btc(first) + btc(second), btc(first) - btc(second)
        assert Fraction(total.amount) == Fraction(first) + Fraction(second)
        assert Fraction(rest.amount) == Fraction(first) - Fraction(second)
        assert Fraction((-btc(first)).amount) == -Fraction(first)

    @given(amount=AMOUNTS, factor=st.decimals(-(10**12), 10**12, places=18))
    def test_multiplies_exactly(self, amount: Decimal, factor: Decimal) -> None:
        assert Fraction(btc(amount).times(factor).amount) == Fraction(amount) * Fraction(factor)

    @given(first=AMOUNTS, second=AMOUNTS)
    def test_orders_as_numbers_do(self, first: Decimal, second: Decimal) -> None:
        assert (btc(first) < btc(second)) is (first < second)
        assert (btc(first) <= btc(second)) is (first <= second)
        assert max(btc(first), btc(second)) == btc(max(first, second))

    @given(first=AMOUNTS, second=AMOUNTS)
    def test_does_not_care_for_the_threads_own_context(self, first: Decimal, second: Decimal) -> None:
        expected = btc(first) + btc(second)
        with localcontext(prec=3):
            assert btc(first) + btc(second) == expected
            assert btc(first).rounded_up() - btc(first).rounded_down() <= btc("0.00000001")


class TestRounding:
    @pytest.mark.parametrize(
        ("amount", "up", "down"),
        [
            ("0.000000001", "0.00000001", "0"),
            ("0.000000019", "0.00000002", "0.00000001"),
            ("-0.000000001", "0", "-0.00000001"),
            ("1.5", "1.5", "1.5"),
        ],
    )
    def test_goes_up_for_fees_and_down_for_credits(self, amount: str, up: str, down: str) -> None:
        assert btc(amount).rounded_up() == btc(up)
        assert btc(amount).rounded_down() == btc(down)

    def test_takes_other_places_where_asked(self) -> None:
        assert eur("1.234").rounded_up(2) == eur("1.24")
        assert eur("1.234").rounded_down(0) == eur("1")

    @given(amount=AMOUNTS, places=st.integers(0, 18))
    def test_is_the_nearest_step_on_its_side(self, amount: Decimal, places: int) -> None:
        up, down, step = (
            btc(amount).rounded_up(places),
            btc(amount).rounded_down(places),
            Decimal(10) ** -places,
        )
        assert 0 <= Fraction(up.amount) - Fraction(amount) < Fraction(step)
        assert 0 <= Fraction(amount) - Fraction(down.amount) < Fraction(step)
        for rounded, way in ((up, ROUND_CEILING), (down, ROUND_FLOOR)):
            assert rounded.amount.quantize(step, way, CONTEXT) == rounded.amount
