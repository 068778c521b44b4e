"""What the sender obeys: stops and caps, in rows that no page can undo.

A stop is made by an Owner for a merchant, by an operator for anybody and for the installation, and by the
breaker; once `stop` has returned, nothing more begins to be sent. Lifting one and writing a cap take the
database owner's rights, which no process has: the database refuses both to the application's role. The
breaker's stops (`payments.breaker`) have no author.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Unpack

from django.db import ProgrammingError, transaction
from django.db.models import Q, QuerySet, Sum

from merchants import audit
from merchants.errors import Refusal
from merchants.models import Membership, Merchant, User
from payments import alerts, currencies, rates, turns, worth
from payments.models import Cap, Stop, Withdrawal, WithdrawalState
from payments.money import Money

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_LONGEST_REASON = 255


class NotAllowed(Refusal):
    """Only an Owner of the merchant, or an operator, can stop its payouts."""


class OnlyOperators(Refusal):
    """Only an operator can stop the payouts of the whole installation."""


class ReasonMissing(Refusal):
    """Say why."""

    field = "reason"


class AlreadyStopped(Refusal):
    """Payouts are stopped already."""


class NoSuchStop(Refusal):
    """There is no such open stop."""


class NotTheDatabaseOwner(Refusal):
    """This needs the rights of the database's owner: run it on the server, with the owner's DATABASE_URL."""


class NotPositive(Refusal):
    """A cap is an amount above zero, or none."""


# --- stops ---


@transaction.atomic
def stop(
    *, merchant: Merchant | None, reason: str, by: User, now: datetime, **how: Unpack[audit.How]
) -> Stop:
    """Nothing is sent for the merchant, or without one at all, until somebody lifts it on the server.

    Raises `NotAllowed`, `OnlyOperators`, `ReasonMissing`, `AlreadyStopped`.
    """
    if not by.is_operator:
        if merchant is None:
            raise OnlyOperators
        _demand_owner(merchant, by)
    if not reason.strip():
        raise ReasonMissing
    stopped = _stop(merchant, reason.strip(), by, now, how)
    if stopped is None:
        raise AlreadyStopped
    return stopped


@transaction.atomic
def trip(*, merchant: Merchant | None, reason: str, now: datetime) -> Stop | None:
    """The breaker's stop, which has no author; None when payouts are stopped already."""
    return _stop(merchant, reason, None, now, {})


def open_stops(merchant: Merchant | None = None) -> QuerySet[Stop]:
    """The stops that hold a merchant's payouts up; without one those of the whole installation."""
    whose = Q(merchant=None) if merchant is None else Q(merchant=None) | Q(merchant=merchant)
    return Stop.objects.filter(whose, lifted_at=None).select_related("merchant", "stopped_by").order_by("id")


def lifted_stops(merchant: Merchant) -> QuerySet[Stop]:
    """The merchant's own stops that are over, newest first."""
    over = Stop.objects.filter(merchant=merchant).exclude(lifted_at=None)
    return over.select_related("stopped_by").order_by("-id")


def is_stopped(merchant_id: int) -> bool:
    whose = Q(merchant=None) | Q(merchant_id=merchant_id)
    return Stop.objects.filter(whose, lifted_at=None).exists()


@transaction.atomic
def lift(*, stop_id: int, by: str, reason: str, now: datetime) -> Stop:
    """Payouts go on. by: who says so, in words.

    Raises `NoSuchStop`, `ReasonMissing`, `NotTheDatabaseOwner`.
    """
    if not reason.strip() or not by.strip():
        raise ReasonMissing
    stopped = Stop.objects.filter(pk=stop_id, lifted_at=None).select_related("merchant").first()
    if stopped is None:
        raise NoSuchStop
    with _as_the_owner():
        Stop.objects.filter(pk=stop_id).update(
            lifted_at=now, lifted_by=by.strip()[:100], lift_reason=reason.strip()[:_LONGEST_REASON]
        )
    alerts.settle(keys=[_about(stopped)], now=now)
    audit.record(
        actor_label=f"{by.strip()} (on the server)"[:254],
        act="stops.lift",
        merchant=stopped.merchant,
        subject=f"stop:{stop_id}",
        before={"reason": stopped.reason},
        after={"reason": reason.strip()},
        now=now,
    )
    return stopped


def one_at_a_time() -> None:
    """Until the transaction ends: who begins to send and who stops it wait for each other."""
    turns.take(["payouts"])


def _stop(
    merchant: Merchant | None, reason: str, by: User | None, now: datetime, how: audit.How
) -> Stop | None:
    one_at_a_time()
    if Stop.objects.filter(merchant=merchant, lifted_at=None).exists():
        return None
    stopped = Stop.objects.create(
        merchant=merchant, reason=reason[:_LONGEST_REASON], stopped_by=by, stopped_at=now
    )
    whose = f"of {merchant.name}" if merchant else "of the whole installation"
    who = by.email if by else "the breaker"
    text = f"Payouts {whose} are stopped by {who}: {reason}"
    alerts.raise_once(kind="stop", key=_about(stopped), text=text, merchant=merchant, now=now)
    audit.record(
        actor=by,
        actor_label="breaker",
        act="stops.make",
        merchant=merchant,
        subject=f"stop:{stopped.pk}",
        after={"reason": stopped.reason},
        now=now,
        **how,
    )
    return stopped


def _about(stopped: Stop) -> str:
    return f"stop:{stopped.pk}"


def _demand_owner(merchant: Merchant, by: User) -> None:
    member = Membership.objects.for_merchant(merchant).filter(user=by).first()
    if member is None or not member.may("withdrawals.approve"):
        raise NotAllowed


@contextmanager
def _as_the_owner() -> Iterator[None]:
    """For a statement that only the database's owner may say; a refusal in words for everybody else."""
    try:
        yield
    except ProgrammingError as error:
        if "permission denied" not in str(error):
            raise
        raise NotTheDatabaseOwner from error


# --- caps ---


@transaction.atomic
def set_cap(
    *,
    merchant: Merchant | None,
    currency: str,
    one_operation: Decimal | None,
    per_hour: Decimal | None,
    per_day: Decimal | None,
    by: str,
    now: datetime,
) -> Cap:
    """The most that is paid out for a merchant, or for each that has no row of its own; none is no cap.

    currency: empty counts all in EUR. Raises `NotPositive`, `UnknownCurrency`, `NotTheDatabaseOwner`.
    """
    amounts = {"one_operation": one_operation, "per_hour": per_hour, "per_day": per_day}
    if currency:
        currencies.get(currency)
    if any(amount is not None and amount <= 0 for amount in amounts.values()):
        raise NotPositive
    with _as_the_owner():
        cap, _ = Cap.objects.update_or_create(
            merchant=merchant, currency=currency, defaults={**amounts, "changed_at": now}
        )
    audit.record(
        actor_label=f"{by} (on the server)"[:254],
        act="caps.set",
        merchant=merchant,
        subject=f"cap:{cap.pk}",
        after={"currency": currency or "EUR equivalent", **amounts},
        now=now,
    )
    return cap


def cap_of(*, merchant_id: int, currency: str) -> Cap | None:
    """The row that holds: a currency's before the one in EUR, of each the merchant's before the general."""
    rows = _rows_for(merchant_id).filter(currency__in=[currency, ""])
    ranked = sorted(rows, key=lambda row: (row.currency == "", row.merchant_id is None))
    return next(iter(ranked), None)


def _rows_for(merchant_id: int) -> QuerySet[Cap]:
    return Cap.objects.filter(Q(merchant_id=merchant_id) | Q(merchant=None))


def beyond_cap(withdrawal: Withdrawal, *, now: datetime) -> str | None:
    """Which cap the withdrawal would break, as a sentence; None for none.

    Counted is what began to be sent, except what definitely was not paid. A cap in EUR counts all currencies
    that have none of their own, and lets nothing pass while a price is missing.
    """
    cap = cap_of(merchant_id=withdrawal.merchant_id, currency=withdrawal.currency)
    if cap is None:
        return None
    for most, since, words in (
        (cap.one_operation, None, "one operation"),
        (cap.per_hour, now - HOUR, "an hour"),
        (cap.per_day, now - DAY, "a day"),
    ):
        if most is None:
            continue
        counted = _counted(withdrawal, since, cap.currency, now)
        if counted is None:
            return "The cap is in EUR, and a price in EUR is missing at the moment."
        if counted > most:
            return f"It would go beyond the cap of {most:f} {cap.currency or 'EUR'} for {words}."
    return None


def begun(*, since: datetime) -> Q:
    """What began to be sent after `since` and may have been paid."""
    return Q(submitted_at__gt=since) & ~Q(state=WithdrawalState.FAILED)


def _counted(withdrawal: Withdrawal, since: datetime | None, currency: str, now: datetime) -> Decimal | None:
    """The withdrawal itself and, after `since`, what went out before; in `currency`, or in EUR if empty.

    None where EUR is asked and a price is missing.
    """
    amounts = [withdrawal.money]
    if since is not None:
        own = Withdrawal.objects.for_merchant(withdrawal.merchant_id).filter(begun(since=since))
        capped = _rows_for(withdrawal.merchant_id).exclude(currency="").values("currency")
        amounts += _sums(own.filter(currency=currency) if currency else own.exclude(currency__in=capped))
    if currency:
        return sum((money.amount for money in amounts), Decimal(0))
    together = worth.of_amounts(amounts, rates.current(merchant=withdrawal.merchant, now=now))
    return None if together.without else together.total.amount


def _sums(rows: QuerySet[Withdrawal]) -> list[Money]:
    totals: Iterable[tuple[str, Decimal]] = rows.values_list("currency").annotate(Sum("amount"))
    return [Money(total, currency) for currency, total in totals]
