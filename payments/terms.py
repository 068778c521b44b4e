"""Which currencies a merchant may use, and at what price: the verbs over the append-only terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Unpack

from django.db import transaction
from django.db.models import Q

from merchants import audit
from merchants.errors import Refusal
from merchants.models import Merchant, User
from payments import addresses, ledger
from payments import currencies as registry
from payments.currencies import Currency
from payments.models import Terms

_CARRIED = [
    field.name
    for field in Terms._meta.concrete_fields
    if field.name not in {"id", "merchant", "currency", "enabled", "valid_from"}
]


class CurrencyNotSupported(Refusal):
    """{currency} cannot be enabled yet: Bursar has no address format for its network."""

    field = "currency"


class NoTerms(Refusal):
    """There are no terms for {currency} yet; the operator sets them first."""

    field = "currency"


@dataclass(frozen=True, slots=True)
class Offer:
    """A currency together with the terms that a merchant has for it."""

    currency: Currency
    terms: Terms


def enabled(*, merchant_id: int, now: datetime, among: Iterable[str] | None = None) -> dict[str, Offer]:
    """The merchant's enabled currencies by code, in the registry's order; `among` looks at these alone."""
    offers = _in_force(merchant_id, now, among)
    return {code: offer for code, offer in offers.items() if offer.terms.enabled}


def available(*, merchant_id: int, now: datetime) -> dict[str, Offer]:
    """What the installation offers and the merchant has not enabled, at the terms it would get."""
    mine = enabled(merchant_id=merchant_id, now=now)
    offered = _in_force(None, now)
    return {code: offer for code, offer in offered.items() if offer.terms.enabled and code not in mine}


def in_force_for(pairs: Iterable[tuple[int, str]], *, now: datetime) -> dict[tuple[int, str], Terms]:
    """The terms of several (merchant id, currency) at once, enabled or not.

    A merchant that never had the currency gets the installation's; where there are none either, the pair
    is left out.
    """
    pairs = set(pairs)
    merchants, codes = {merchant_id for merchant_id, _ in pairs}, {code for _, code in pairs}
    rows = Terms.objects.effective(now).filter(
        Q(merchant_id__in=merchants) | Q(merchant=None), currency__in=codes
    )
    found = {(row.merchant_id, row.currency): row for row in rows}
    best = {pair: found.get(pair) or found.get((None, pair[1])) for pair in pairs}
    return {pair: row for pair, row in best.items() if row is not None}


@transaction.atomic
def agree(
    *, merchant: Merchant | None, currency: str, now: datetime, enabled: bool = True, **prices: Any
) -> Terms:
    """Sets what `currency` costs a merchant from now on, or (without one) those who enable it from now on.

    prices: columns of `Terms`; a minimum that is not named is the registry's. An enabled currency gets its
    accounts and addresses. Raises `UnknownCurrency`, `CurrencyNotSupported`.
    """
    known = registry.get(currency)
    if enabled and not known.can_be_enabled:
        raise CurrencyNotSupported(currency=currency)
    minimums = {"deposit_minimum": known.minimum_deposit, "withdrawal_minimum": known.minimum_withdrawal}
    row = Terms.objects.create(
        merchant=merchant, currency=currency, enabled=enabled, valid_from=now, **minimums | prices
    )
    if merchant is not None and enabled:
        ledger.open_accounts(merchant_id=merchant.pk, currency=currency)
        if known.is_crypto:
            addresses.want(merchant=merchant, currency=currency, convert_to="", now=now)
    return row


def enable(
    *, merchant: Merchant, currency: str, by: User | None = None, now: datetime, **how: Unpack[audit.How]
) -> Terms:
    """Enables one currency; as `enable_all`."""
    return enable_all(merchant=merchant, currencies=[currency], by=by, now=now, **how)[0]


@transaction.atomic
def enable_all(
    *,
    merchant: Merchant,
    currencies: Sequence[str],
    by: User | None = None,
    now: datetime,
    **how: Unpack[audit.How],
) -> list[Terms]:
    """Enables currencies at the merchant's last terms, or at the installation's; opens their accounts.

    All of them or, on a refusal, none. Raises `UnknownCurrency`, `CurrencyNotSupported` or `NoTerms`.
    """
    rows = [_switch(merchant, currency, enabled=True, now=now) for currency in currencies]
    _audit("currencies.enable", merchant, currencies, by, now, how)
    return rows


@transaction.atomic
def disable(
    *, merchant: Merchant, currency: str, by: User | None = None, now: datetime, **how: Unpack[audit.How]
) -> Terms:
    """Disables a currency: refused to programs and payers from now on; its account stays.

    Raises `UnknownCurrency` or `NoTerms`.
    """
    row = _switch(merchant, currency, enabled=False, now=now)
    _audit("currencies.disable", merchant, [currency], by, now, how)
    return row


def _audit(
    act: str, merchant: Merchant, codes: Sequence[str], by: User | None, now: datetime, how: audit.How
) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=merchant,
        subject=merchant.subject,
        after={"currencies": list(codes)},
        now=now,
        **how,
    )


def _switch(merchant: Merchant, currency: str, *, enabled: bool, now: datetime) -> Terms:
    known = registry.get(currency)
    if enabled and not known.can_be_enabled:
        raise CurrencyNotSupported(currency=currency)
    rows = Terms.objects.effective(now).filter(currency=currency)
    last = rows.filter(merchant=merchant).first() or rows.filter(merchant=None).first()
    if last is None:
        raise NoTerms(currency=currency)
    carried = {name: getattr(last, name) for name in _CARRIED}
    return agree(merchant=merchant, currency=currency, enabled=enabled, now=now, **carried)


def _in_force(merchant_id: int | None, now: datetime, among: Iterable[str] | None = None) -> dict[str, Offer]:
    """By hand: composing the same by the ORM cost more than all the rest of taking an address."""
    conditions: list[str] = ["valid_from <= %s"]
    values: list[Any] = [now]
    if merchant_id is None:
        conditions += ["merchant_id IS NULL"]
    else:
        conditions += ["merchant_id = %s"]
        values += [merchant_id]
    if among is not None:
        conditions += ["currency = ANY(%s)"]
        values += [list(among)]
    rows = Terms.objects.raw(
        f"SELECT DISTINCT ON (currency) * FROM payments_terms WHERE {' AND '.join(conditions)}"  # noqa: S608 - texts of this function
        " ORDER BY currency, valid_from DESC, id DESC",
        values,
    )
    offers = [Offer(registry.get(row.currency), row) for row in rows]
    return {offer.currency.code: offer for offer in sorted(offers, key=lambda offer: offer.currency.id)}
