"""The breaker: stops payouts by itself when what goes out is unlike what went out before.

Three things trip it. An hour's outflow in one currency beyond three times the greatest hour of the last 30
days (and beyond a floor, so that quiet merchants may have a busy hour): a merchant's own stops the merchant,
a processor's the installation. More than three unknown outcomes of one processor within ten minutes, and
money that is missing there: the installation, since a processor serves every merchant from one purse. After
a stop was lifted only what came later counts, so that lifting it is not in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max, Q, QuerySet, Sum
from django.db.models.functions import TruncHour

from merchants.models import Merchant
from payments import controls, worth
from payments.models import Processor, Rate, Stop, Withdrawal
from payments.money import Money
from payments.processors.base import Pair

TIMES = 3
HISTORY = timedelta(days=30)
FLOOR = Money(Decimal(25_000), "EUR")
"""An hour's outflow of one currency up to this never trips it, whatever went before."""
MOST_UNKNOWN = 3
UNKNOWN_WITHIN = timedelta(minutes=10)


def trips_on(withdrawal: Withdrawal, *, now: datetime) -> bool:
    """Whether this withdrawal would make an hour unlike those before; payouts are then stopped.

    Inside the transaction that would begin to send it.
    """
    floor = _floor_of(withdrawal)
    reason = f"within an hour {TIMES} times more {withdrawal.currency} would have gone out than ever before"
    own = Withdrawal.objects.for_merchant(withdrawal.merchant_id)
    if _is_unlike(withdrawal, own, withdrawal.merchant, floor, now):
        _trip(withdrawal.merchant, reason, now)
        return True
    everybodys = Withdrawal.objects.filter(processor_id=withdrawal.processor_id)
    if _is_unlike(withdrawal, everybodys, None, floor, now):
        _trip(None, reason, now)
        return True
    return False


def trips_on_unknown(processor: Processor, *, now: datetime) -> bool:
    """Whether too many outcomes became unknown lately; payouts are then stopped, all of them."""
    since = max(now - UNKNOWN_WITHIN, _lifted(None) or now - UNKNOWN_WITHIN)
    count = Withdrawal.objects.filter(processor=processor, unknown_at__gt=since).count()
    if count <= MOST_UNKNOWN:
        return False
    _trip(None, f"{count} outcomes at {processor.name} became unknown within 10 minutes", now)
    return True


def trips_on_shortage(processor: Processor, missing: Money, *, now: datetime) -> None:
    """Money is missing at a processor: payouts are stopped, all of them."""
    _trip(None, f"{missing} less lies at {processor.name} than the books say", now)


def _trip(merchant: Merchant | None, reason: str, now: datetime) -> None:
    controls.trip(merchant=merchant, reason=reason, now=now)


def _is_unlike(
    withdrawal: Withdrawal,
    rows: QuerySet[Withdrawal],
    merchant: Merchant | None,
    floor: Decimal | None,
    now: datetime,
) -> bool:
    if floor is None:
        return False
    begun = rows.filter(controls.begun(since=now - HISTORY), currency=withdrawal.currency)
    hour_ago = now - controls.HOUR
    since = max(hour_ago, _lifted(merchant) or hour_ago)
    lately = begun.filter(submitted_at__gt=since).aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    outflow = lately + withdrawal.amount
    if outflow <= floor:
        return False
    hours = begun.filter(submitted_at__lte=hour_ago).annotate(hour=TruncHour("submitted_at")).order_by()
    sums = hours.values("hour").annotate(sum=Sum("amount")).values_list("sum", flat=True)
    return bool(outflow > TIMES * max(sums, default=Decimal(0)))


def _lifted(merchant: Merchant | None) -> datetime | None:
    """When a stop of the merchant, or of the installation, was last lifted."""
    whose = Q(merchant=None) | Q(merchant=merchant) if merchant else Q(merchant=None)
    at: datetime | None = Stop.objects.filter(whose).aggregate(at=Max("lifted_at"))["at"]
    return at


def _floor_of(withdrawal: Withdrawal) -> Decimal | None:
    """The floor in the withdrawal's currency, at the last prices however old; None without any."""
    one = worth.of_amounts([Money(Decimal(1000), withdrawal.currency)], _last_prices(withdrawal))
    if one.without or not one.total:
        return None
    return FLOOR.amount * 1000 / one.total.amount


def _last_prices(withdrawal: Withdrawal) -> Mapping[Pair, Rate]:
    rows = Rate.objects.filter(processor_id=withdrawal.processor_id, is_current=True)
    wanted = rows.filter(source__in=[withdrawal.currency, worth.BESIDE_IT])
    return {Pair(rate.source, rate.target): rate for rate in wanted}
