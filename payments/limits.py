"""Withdrawal limits: beyond which a withdrawal waits for approval, for programs and for staff apart.

A currency's own row takes precedence wholly: it counts that currency in itself, and the defaults no longer
do. The defaults count all other currencies together in EUR, at the present prices; what has no price waits.
What counts is requested, and neither declined, expired nor failed. Nothing here stops money; the sender's
caps do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Unpack

from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum

from merchants import audit, emails
from merchants.errors import Refusal
from merchants.models import Merchant, User
from payments import currencies, rates, worth
from payments.errors import FieldRefusal
from payments.models import (
    Limit,
    LimitRecipient,
    Origin,
    Rate,
    Withdrawal,
    WithdrawalLimit,
    WithdrawalState,
)
from payments.models.columns import BOUND
from payments.money import Money
from payments.processors.base import Pair

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_RECIPIENTS = 20
_BOUNDS = ("one_operation", "per_hour", "per_day")
_NOT_COUNTED = (WithdrawalState.DECLINED, WithdrawalState.EXPIRED, WithdrawalState.FAILED)


class ZeroForbidden(FieldRefusal):
    """0 is not a limit. Leave it empty for unlimited, or send everything to approval."""


class BadLimit(FieldRefusal):
    """A limit is a positive number with at most 8 decimals."""


class NoOrigin(Refusal):
    """Limits are for withdrawals made by programs (api) or by staff (staff)."""

    field = "origin"


class NoSuchLimit(Refusal):
    """{currency} has no limits of its own."""

    field = "currency"


class TooManyRecipients(Refusal):
    """At most {most} addresses can be told."""

    field = "emails"


class BadRecipient(Refusal):
    """{email} is not an e-mail address."""

    field = "emails"


def hit(*, merchant: Merchant, origin: str, money: Money, now: datetime, in_turn: bool = False) -> Limit:
    """Why a withdrawal of `money` (fees apart) would wait; `Limit.NONE` when it need not.

    in_turn: until the transaction ends nobody else's request of this merchant and origin is judged, so that
    two at once do not each pass as the only one.
    """
    if origin == Origin.REFUND:
        return Limit.REFUND
    rows = {row.currency: row for row in WithdrawalLimit.objects.for_merchant(merchant).filter(origin=origin)}
    own = rows.get(money.currency)
    row = own or rows.get("")
    if row is None:
        return Limit.NONE
    if row.everything:
        return Limit.ALL
    if all(getattr(row, bound) is None for bound in _BOUNDS):
        return Limit.NONE
    if in_turn:
        _take_turns(merchant, origin)
    if own is not None:
        return _beyond(row, money, _spent(merchant, origin, now, Q(currency=money.currency)), None)
    elsewhere = Q(currency__in=[currency for currency in rows if currency])
    return _beyond(
        row, money, _spent(merchant, origin, now, ~elsewhere), rates.current(merchant=merchant, now=now)
    )


def of(merchant: Merchant) -> list[WithdrawalLimit]:
    """The merchant's limits of both origins, the defaults before the currencies' own."""
    return list(WithdrawalLimit.objects.for_merchant(merchant).order_by("origin", "currency"))


def recipients(merchant: Merchant) -> QuerySet[LimitRecipient]:
    """Who is told when a withdrawal waits."""
    return LimitRecipient.objects.for_merchant(merchant).order_by("email")


@transaction.atomic
def set_limit(
    *,
    merchant: Merchant,
    origin: str,
    currency: str = "",
    one_operation: Decimal | None = None,
    per_hour: Decimal | None = None,
    per_day: Decimal | None = None,
    everything: bool = False,
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> WithdrawalLimit:
    """Sets one row of one origin; None is unlimited. currency: empty for the defaults, which are in EUR.

    Raises `ZeroForbidden` and `BadLimit` at the bound, `UnknownCurrency`, `NoOrigin`.
    """
    _demand_origin(origin)
    if currency:
        currencies.get(currency)
    bounds = dict(zip(_BOUNDS, (one_operation, per_hour, per_day), strict=True))
    for name, bound in bounds.items():
        _demand_bound(name, bound)
    before = _locked(merchant, origin, currency)
    row, _ = WithdrawalLimit.objects.update_or_create(
        merchant=merchant,
        origin=origin,
        currency=currency,
        defaults={**bounds, "everything": everything, "changed_at": now},
    )
    _audit("limits.set", merchant, _facts(before), _facts(row), by, now, how)
    return row


@transaction.atomic
def remove(
    *,
    merchant: Merchant,
    origin: str,
    currency: str = "",
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> None:
    """Removes a row: the defaults count for its currency again; without defaults all is unlimited.

    Raises `NoSuchLimit`, `NoOrigin`.
    """
    _demand_origin(origin)
    row = _locked(merchant, origin, currency)
    if row is None:
        raise NoSuchLimit(currency=currency or "The default set")
    _audit("limits.remove", merchant, _facts(row), None, by, now, how)
    row.delete()


@transaction.atomic
def set_recipients(
    *,
    merchant: Merchant,
    emails: Sequence[str],
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> list[LimitRecipient]:
    """Exactly these addresses are told from now on; none at all is allowed.

    Raises `BadRecipient`, `TooManyRecipients`.
    """
    wanted = sorted({_spelled(email) for email in emails})
    if len(wanted) > MOST_RECIPIENTS:
        raise TooManyRecipients(most=MOST_RECIPIENTS)
    Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
    before = sorted(recipients(merchant).values_list("email", flat=True))
    LimitRecipient.objects.for_merchant(merchant).exclude(email__in=wanted).delete()
    fresh = [LimitRecipient(merchant=merchant, email=email) for email in wanted if email not in before]
    LimitRecipient.objects.bulk_create(fresh)
    _audit("limits.set_recipients", merchant, {"emails": before}, {"emails": wanted}, by, now, how)
    return list(recipients(merchant))


# --- judging ---


def _take_turns(merchant: Merchant, origin: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('limits:' || %s || ':' || %s, 0))",
            [str(merchant.pk), str(origin)],
        )


def _spent(merchant: Merchant, origin: str, now: datetime, which: Q) -> list[tuple[Money, Money]]:
    """What was requested within (an hour, a day) before `now`, by currency."""
    counted = Withdrawal.objects.for_merchant(merchant).filter(
        which, origin=origin, requested_at__gte=now - DAY
    )
    sums = (
        counted.exclude(state__in=_NOT_COUNTED)
        .values("currency")
        .order_by("currency")
        .annotate(day=Sum("amount"), hour=Sum("amount", filter=Q(requested_at__gte=now - HOUR)))
    )
    return [
        (Money(row["hour"] or Decimal(0), row["currency"]), Money(row["day"], row["currency"]))
        for row in sums
    ]


def _beyond(
    row: WithdrawalLimit,
    money: Money,
    spent: Sequence[tuple[Money, Money]],
    prices: Mapping[Pair, Rate] | None,
) -> Limit:
    """Which bound of `row` is passed. prices: None when the row counts in the currency itself."""
    counts: tuple[tuple[Limit, Decimal | None, list[Money]], ...] = (
        (Limit.ONE, row.one_operation, []),
        (Limit.HOUR, row.per_hour, [hour for hour, _ in spent]),
        (Limit.DAY, row.per_day, [day for _, day in spent]),
    )
    for limit, bound, before in counts:
        if bound is None:
            continue
        total = _total([money, *before], prices)
        if total is None:
            return Limit.NO_PRICE
        if total > bound:
            return limit
    return Limit.NONE


def _total(amounts: Iterable[Money], prices: Mapping[Pair, Rate] | None) -> Decimal | None:
    """In EUR at `prices`, or as they are; None when one that is not zero has no price."""
    valued = [money if prices is None else worth.in_eur(money, prices) for money in amounts if money]
    known = [money for money in valued if money is not None]
    if len(known) < len(valued):
        return None
    unit = known[0].currency if known else worth.SHOWN_IN
    return sum(known, Money.zero(unit)).amount


# --- checking what people set ---


def _demand_origin(origin: str) -> None:
    if origin not in {Origin.API, Origin.STAFF}:
        raise NoOrigin


def _demand_bound(name: str, bound: Decimal | None) -> None:
    if bound is None:
        return
    if not bound.is_finite() or bound < 0 or bound >= BOUND:
        raise BadLimit(field=name)
    if not bound:
        raise ZeroForbidden(field=name)
    if int(bound.normalize().as_tuple().exponent) < -currencies.PRECISION:
        raise BadLimit(field=name)


def _spelled(email: str) -> str:
    try:
        return emails.checked(email)
    except emails.BadEmail:
        raise BadRecipient(email=email) from None


def _locked(merchant: Merchant, origin: str, currency: str) -> WithdrawalLimit | None:
    rows = WithdrawalLimit.objects.for_merchant(merchant).select_for_update()
    return rows.filter(origin=origin, currency=currency).first()


def _facts(row: WithdrawalLimit | None) -> audit.Facts | None:
    if row is None:
        return None
    bounds = {bound: getattr(row, bound) for bound in _BOUNDS}
    return {"origin": str(row.origin), "currency": row.currency, **bounds, "everything": row.everything}


def _audit(
    act: str,
    merchant: Merchant,
    before: audit.Facts | None,
    after: audit.Facts | None,
    by: User,
    now: datetime,
    how: audit.How,
) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=merchant,
        subject=merchant.subject,
        before=before,
        after=after,
        now=now,
        **how,
    )
