"""Futures: a price held for ten minutes for what is paid to one converting address of a merchant.

`ladder` shows which prices could be held, `confirm` holds one. A deposit that is first seen inside the window
is converted at the held price, whatever its amount, as long as all of them together stay within the cap; any
other one at the market. The house's `conversion` account takes the difference to what the processor made of
it, within the limit of `positions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Sum

from merchants.models import Merchant
from payments import controls, conversions, fees, positions, rates, terms, turns, worth
from payments.errors import BelowMinimum, FieldRefusal
from payments.models import (
    Address,
    Future,
    FutureDeposit,
    Operation,
    OperationKind,
    OperationStatus,
    Rate,
    Terms,
)
from payments.models.future import new_future_number
from payments.money import CONTEXT, Money
from payments.processors.base import DepositNotice, DepositStatus, Pair
from payments.rates import NoRate

WINDOW = timedelta(seconds=600)
CAP_EUR = Decimal(10_000)
STEPS_EUR = tuple(map(Decimal, (100, 500, 1_000, 5_000, 10_000, 100_000)))
"""Upper bounds of the ladder: what is got, in euro or worth so much."""
MOST_TRIES = 5


class NoSuchAddress(FieldRefusal):
    """Address is not found, incorrect or without exchange"""

    field = "address"


class WrongCurrencies(FieldRefusal):
    """Address is not found, incorrect or without exchange, or the currencies are not its own"""

    field = "address"


class AboveCap(FieldRefusal):
    """The {attr} may not be greater than {cap}."""

    field = "receiver_amount"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Which prices could be held now. steps: by pair, (upper bound of what is got, price or 0)."""

    addresses: Sequence[Address]
    fixed_at: datetime
    release_at: datetime
    steps: Mapping[Pair, Sequence[tuple[Decimal, Decimal]]]


def ladder(*, merchant: Merchant, address: str, now: datetime) -> Ladder:
    """What the merchant's address of that text could be paid at. Raises `NoSuchAddress`."""
    found = _converting(merchant, address)
    prices = rates.current(merchant=merchant, now=now)
    pairs = {Pair(one.currency, one.convert_to) for one in found}
    return Ladder(found, now, now + WINDOW, {pair: _steps(pair, prices) for pair in pairs})


def confirm(
    *, merchant: Merchant, address: str, source: str, target: str, received: Decimal, now: datetime
) -> Future:
    """Holds the present price at an address; `received`: what the merchant expects, of `target`.

    Raises `NoSuchAddress`, `WrongCurrencies`, `NoRate`, `AboveCap`, `BelowMinimum`.
    """
    found = _converting(merchant, address)
    at = next((one for one in found if (one.currency, one.convert_to) == (source, target)), None)
    if at is None:
        raise WrongCurrencies
    agreed = _terms(merchant, source, target, now)
    rate = rates.fresh(merchant=merchant, source=source, target=target, now=now)
    positions.demand_room(merchant=merchant, currencies={source, target}, now=now)
    cap = _cap(target, rates.current(merchant=merchant, now=now))
    gets = Money(received, target)
    price = conversions.promised(rate.price)
    sends = conversions.cost_of(gets, price=price, source=source)
    _demand_size(sends, gets, cap, price, max(rate.minimum_deposit or Decimal(0), agreed.deposit_minimum))
    return _write(
        Future(
            merchant=merchant,
            address=at,
            rate=rate,
            source=source,
            target=target,
            price=price,
            sender_amount=sends.amount,
            receiver_amount=gets.amount,
            fee=fees.fee_for(gets, percent=agreed.deposit_exchange_fee_percent, minimum=Decimal(0)).amount,
            cap=cap,
            fixed_at=now,
            release_at=now + WINDOW,
        )
    )


def _converting(merchant: Merchant, text: str) -> list[Address]:
    """The merchant's addresses of that text that convert, the newest first: one for each tag."""
    mine = Address.objects.for_merchant(merchant).filter(address=text).exclude(convert_to="")
    found = list(mine.order_by("-id"))
    if not found:
        raise NoSuchAddress
    return found


def _terms(merchant: Merchant, source: str, target: str, now: datetime) -> Terms:
    offers = terms.enabled(merchant_id=merchant.pk, now=now, among=[source, target])
    if source not in offers or target not in offers or controls.is_stopped(merchant.pk):
        raise NoRate
    return offers[source].terms


def _cap(target: str, prices: Mapping[Pair, Rate]) -> Decimal:
    """The most that may be got, in `target`. Raises `NoRate` while its worth is not known."""
    one = worth.in_eur(Money(Decimal(1), target), prices)
    if one is None:
        raise NoRate
    return conversions.made_of(Money(CAP_EUR, "EUR"), price=rates.inverse(one.amount), target=target).amount


def _steps(pair: Pair, prices: Mapping[Pair, Rate]) -> list[tuple[Decimal, Decimal]]:
    """The whole ladder at one price up to the cap; nothing at all without a price."""
    rate, one = prices.get(pair), worth.in_eur(Money(Decimal(1), pair.target), prices)
    if rate is None or one is None:
        return [(step, Decimal(0)) for step in STEPS_EUR]
    per_euro, price = rates.inverse(one.amount), conversions.promised(rate.price)
    bounds = [
        conversions.made_of(Money(step, "EUR"), price=per_euro, target=pair.target) for step in STEPS_EUR
    ]
    return [
        (bound.amount, price if step <= CAP_EUR else Decimal(0))
        for bound, step in zip(bounds, STEPS_EUR, strict=True)
    ]


def _demand_size(sends: Money, gets: Money, cap: Decimal, price: Decimal, least: Decimal) -> None:
    """A deposit below the minimum would not be credited, so none is agreed on."""
    if gets.amount > cap:
        raise AboveCap(cap=f"{cap:.8f}")
    if sends.amount < max(least, conversions.SMALLEST) or not gets:
        floor = Money(max(least, conversions.SMALLEST), sends.currency).times(price).rounded_up()
        raise BelowMinimum(field="receiver_amount", minimum=f"{floor.amount:.8f}")


def _write(future: Future) -> Future:
    for tries_left in reversed(range(MOST_TRIES)):
        future.wire_id = new_future_number()
        try:
            with transaction.atomic():
                future.save(force_insert=True)
        except IntegrityError:  # the numbers have come round to one that is in use
            if not tries_left:
                raise
        else:
            break
    return future


# --- deposits ---


@dataclass
class Held:
    """The futures that a batch of deposits may be converted at."""

    open: dict[int, list[Future]] = field(default_factory=dict)  # by address, the newest first
    room: dict[int, Decimal] = field(default_factory=dict)  # what of each cap is left
    bound: dict[int, Future] = field(default_factory=dict)  # by deposit
    new: list[FutureDeposit] = field(default_factory=list)

    def of(self, operation: Operation) -> Future | None:
        """At whose price the deposit is converted; None for the market."""
        return self.bound.get(operation.pk)

    def choose(self, address: Address, notice: DepositNotice) -> Future | None:
        """The newest open future that a deposit seen for the first time fits into."""
        if notice.status == DepositStatus.CANCELLED or notice.sent.currency != address.currency:
            return None
        for future in self.open.get(address.pk, []):
            if future.converted(notice.sent).amount <= self.room[future.pk]:
                return future
        return None

    def bind(self, operation: Operation, future: Future | None) -> None:
        """For good; unsaved."""
        if future is None:
            return
        made = future.converted(operation.sent).amount
        self.bound[operation.pk] = future
        self.room[future.pk] = CONTEXT.subtract(self.room[future.pk], made)
        self.new.append(
            FutureDeposit(
                operation=operation, merchant_id=operation.merchant_id, future=future, amount_to=made
            )
        )

    def write(self) -> None:
        FutureDeposit.objects.bulk_create(self.new)


def held_for(*, fresh: Iterable[Address], known: Iterable[Operation], now: datetime) -> Held:
    """What is held for deposits that are new at `fresh` addresses or known already.

    Deposits of addresses without conversion ask the database nothing; the others one question each kind.
    """
    converting = [address.pk for address in fresh if address.convert_to]
    converted = [operation.pk for operation in known if operation.kind == OperationKind.DEPOSIT_EXCHANGE]
    held = Held()
    if converted:
        bound = FutureDeposit.objects.filter(operation__in=converted).select_related("future__rate")
        held.bound = {row.operation_id: row.future for row in bound}
    if converting:
        open_ones = Future.objects.filter(address__in=converting, fixed_at__lte=now, release_at__gt=now)
        for future in open_ones.select_related("rate").order_by("-id"):
            held.open.setdefault(future.address_id, []).append(future)
    if held.open:
        held.room = _room([future for futures in held.open.values() for future in futures])
    return held


def _room(futures: Sequence[Future]) -> dict[int, Decimal]:
    """What of each cap is left, and stays so until the transaction ends."""
    turns.take(f"future:{future.pk}" for future in futures)
    taken = FutureDeposit.objects.filter(future__in=futures).exclude(
        operation__status=OperationStatus.CANCELLED
    )
    used = dict(taken.order_by().values_list("future").annotate(Sum("amount_to")))
    return {future.pk: CONTEXT.subtract(future.cap, used.get(future.pk, Decimal(0))) for future in futures}
