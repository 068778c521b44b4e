"""Prices: read from the processor by the sender, refused when stale, frozen by the row that was used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Now

from merchants.errors import Refusal
from merchants.models import Merchant
from payments.currencies import CURRENCIES
from payments.models import Processor, Rate, Route, Terms
from payments.models.route import RouteOperation
from payments.money import CONTEXT
from payments.processors.base import Outbound, Pair, Quote

KEPT_FOR = timedelta(days=7)
STALE_AFTER = timedelta(seconds=60)
"""A price that the processor has not repeated for this long is refused."""


class NoRate(Refusal):
    """Exchange is unavailable for given currencies"""

    field = "sender_currency"


def refresh(*, processor: Processor, outbound: Outbound) -> int:
    """Reads the processor's prices of all pairs in use and keeps them; returns how many it quoted.

    The call is made outside any transaction. Raises `Unreachable` as the processor does.
    """
    quotes = outbound.quotes(pairs_in_use())
    keep(processor=processor, quotes=quotes)
    return len(quotes)


def pairs_in_use() -> list[Pair]:
    """Every pair of two currencies that some merchant has enabled, or could."""
    codes = set(Terms.objects.filter(enabled=True).values_list("currency", flat=True).distinct())
    ordered = [code for code in CURRENCIES if code in codes]
    return [Pair(source, target) for source in ordered for target in ordered if source != target]


@transaction.atomic
def keep(*, processor: Processor, quotes: Sequence[Quote]) -> None:
    """Stores new prices and moves `seen_at` of those that stand."""
    Processor.objects.filter(pk=processor.pk).update(quotes_at=Now())
    current = {
        Pair(rate.source, rate.target): rate
        for rate in Rate.objects.select_for_update().filter(processor=processor, is_current=True)
    }
    stands = [current[quote.pair].pk for quote in quotes if _same(current.get(quote.pair), quote)]
    changed = {quote.pair: quote for quote in quotes if not _same(current.get(quote.pair), quote)}
    replaced = [current[pair].pk for pair in changed if pair in current]
    Rate.objects.filter(pk__in=stands).update(seen_at=Now())
    Rate.objects.filter(pk__in=replaced).update(is_current=False)
    Rate.objects.bulk_create(_row(processor, quote) for quote in changed.values())


def current(*, merchant: Merchant, now: datetime) -> Mapping[Pair, Rate]:
    """The fresh prices of the merchant's processor, by pair; none while it is silent."""
    processor = _source(merchant, now)
    fresh = Rate.objects.filter(processor=processor, is_current=True, seen_at__gte=Now() - STALE_AFTER)
    return {Pair(rate.source, rate.target): rate for rate in fresh}


def fresh(*, merchant: Merchant, source: str, target: str, now: datetime) -> Rate:
    """The merchant's processor's price of one pair. Raises `NoRate` where there is none, or none fresh."""
    seen = Rate.objects.filter(processor=_source(merchant, now), seen_at__gte=Now() - STALE_AFTER)
    rate = seen.filter(source=source, target=target, is_current=True).first()
    if rate is None:
        raise NoRate
    return rate


def of_pair(*, processor: Processor, source: str, target: str) -> Rate | None:
    """What the processor quotes for a conversion now, fresh or not; None where nothing is converted."""
    if source == target:
        return None
    return Rate.objects.filter(processor=processor, source=source, target=target, is_current=True).first()


def converts(*, merchant: Merchant, source: str, target: str, now: datetime) -> bool:
    """True when the merchant's processor offers the pair, fresh or not: an address may be bound to it."""
    return Rate.objects.filter(
        processor=_source(merchant, now), source=source, target=target, is_current=True
    ).exists()


def targets(*, merchant: Merchant, source: str, now: datetime) -> frozenset[str]:
    """Into what the merchant's processor converts `source`, fresh or not."""
    pairs = Rate.objects.filter(processor=_source(merchant, now), source=source, is_current=True)
    return frozenset(pairs.values_list("target", flat=True))


def _source(merchant: Merchant, now: datetime) -> Processor | None:
    return Route.objects.choose(merchant=merchant, currency="", operation=RouteOperation.EXCHANGE, now=now)


def prune() -> int:
    """Removes prices older than a week that nothing refers to; returns how many."""
    old = Rate.objects.filter(is_current=False, seen_at__lt=Now() - KEPT_FOR)
    return old.filter(operation=None, invoice=None, quote=None, future=None).delete()[0]


def inverse(price: Decimal) -> Decimal:
    """1/price to 18 decimals: fiat per coin, where the price is coins per unit of fiat."""
    context = CONTEXT.copy()
    context.clear_traps()
    return context.divide(Decimal(1), price).quantize(Decimal(1).scaleb(-18), context=context)


def _same(rate: Rate | None, quote: Quote) -> bool:
    return rate is not None and (rate.price, rate.minimum, rate.minimum_deposit) == (
        quote.price,
        quote.minimum,
        quote.minimum_deposit,
    )


def _row(processor: Processor, quote: Quote) -> Rate:
    return Rate(
        processor=processor,
        source=quote.pair.source,
        target=quote.pair.target,
        price=quote.price,
        minimum=quote.minimum,
        minimum_deposit=quote.minimum_deposit,
        quoted_at=Now(),
        seen_at=Now(),
    )
