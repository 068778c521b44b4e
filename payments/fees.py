"""The processing fee: a percentage with a minimum, rounded up, never more than there is.

It promises that nothing is created or lost: net and fee add up to gross, to the last digit.
"""

from __future__ import annotations

from decimal import Decimal

from payments.money import Money


def fee_for(gross: Money, *, percent: Decimal, minimum: Decimal) -> Money:
    """The fee on `gross` (not negative), at 8 decimals, never above `gross`.

    percent: a fraction, 0.008 is 0.8 %. minimum: in gross's currency. Neither may be negative: `ValueError`.
    """
    if gross.amount < 0 or percent < 0 or minimum < 0:
        raise ValueError("gross, percent and minimum are not negative")
    wanted = max(gross.times(percent), Money(minimum, gross.currency)).rounded_up()
    return min(wanted, gross)


def split(gross: Money, *, percent: Decimal, minimum: Decimal) -> tuple[Money, Money]:
    """What of `gross` is the merchant's and what is the fee: (net, fee), adding up to gross exactly."""
    fee = fee_for(gross, percent=percent, minimum=minimum)
    return gross - fee, fee
