"""Futures: a price held for what is paid to one converting address in the next minutes.

A future never changes once it is made. A deposit that is first seen in its window, and that its cap still
has room for, is bound to it by a row of its own, for good: its conversion is at the held price whenever it
is confirmed.
"""

from __future__ import annotations

from django.db import connection, models

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.address import Address
from payments.models.columns import AmountField, CurrencyField, PriceField, is_number
from payments.models.operation import Operation
from payments.models.rate import Rate
from payments.money import Money


class Future(models.Model):
    """`price` units of `target` for one of `source`, at `address`, for deposits seen in
    `[fixed_at, release_at)`.

    sender_amount pays exactly receiver_amount. cap: most of `target` that all its deposits together may make.
    fee: what that deposit would cost, in `target`. rate: what the processor quoted at that moment.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    wire_id = models.IntegerField()
    address = models.ForeignKey(Address, on_delete=models.PROTECT)
    rate = models.ForeignKey(Rate, on_delete=models.PROTECT)
    source = CurrencyField()
    target = CurrencyField()
    price = PriceField()
    sender_amount = AmountField()
    receiver_amount = AmountField()
    fee = AmountField()
    cap = AmountField()
    fixed_at = models.DateTimeField()
    release_at = models.DateTimeField()

    objects = TenantQuerySet["Future"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "wire_id"], name="future_wire_id_is_unique"),
            models.UniqueConstraint(fields=["merchant", "id"], name="future_belongs_to_one_merchant"),
            models.CheckConstraint(condition=models.Q(wire_id__gte=1), name="future_is_numbered_from_one"),
            models.CheckConstraint(
                condition=is_number("price", "sender_amount", "receiver_amount", "fee", "cap")
                & models.Q(price__gt=0, sender_amount__gt=0, receiver_amount__gt=0, fee__gte=0)
                & models.Q(receiver_amount__lte=models.F("cap"), fee__lte=models.F("receiver_amount")),
                name="future_amounts_are_positive_and_capped",
            ),
            models.CheckConstraint(
                condition=models.Q(release_at__gt=models.F("fixed_at")), name="future_holds_for_a_while"
            ),
        ]
        indexes = [models.Index(fields=["address", "release_at"], name="future_of_an_address")]

    def __str__(self) -> str:
        return f"future {self.wire_id}"

    def converted(self, sent: Money) -> Money:
        """What `sent` makes at the held price; exactly what was agreed for exactly what was asked."""
        if sent.amount == self.sender_amount:
            return Money(self.receiver_amount, self.target)
        return Money(sent.times(self.price).amount, self.target).rounded_down()


class FutureDeposit(models.Model):
    """A deposit that is converted at a future's price. amount_to: what of the cap it takes."""

    operation = models.OneToOneField(
        Operation, on_delete=models.PROTECT, primary_key=True, related_name="future_deposit"
    )
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT)
    future = models.ForeignKey(Future, on_delete=models.PROTECT, related_name="deposits")
    amount_to = AmountField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=is_number("amount_to") & models.Q(amount_to__gte=0),
                name="future_deposit_is_not_negative",
            )
        ]

    def __str__(self) -> str:
        return f"deposit {self.operation_id} of future {self.future_id}"


def new_future_number() -> int:
    """A fresh wire id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('future_wire_id')")
        number: int = cursor.fetchone()[0]
    return number
