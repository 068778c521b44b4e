"""A merchant with money to send, as the tests of these pages need one; made the way Bursar makes it."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from django.utils import timezone

from merchants.models import ApiKey, Merchant, User
from payments import address_formats, limits, terms, withdrawals
from payments.ledger import balances
from payments.models import Operation, Origin
from tests import desk, factories
from tests.desk import Desk
from tests.factories import money

_seeds = itertools.count(1)


def address(network: str = "bitcoin") -> str:
    """A valid address that nobody has seen."""
    return address_formats.make(network, f"seed {next(_seeds)}".encode(), testnet=True)


def owner(*, amount: str = "2", merchant: Merchant | None = None, currency: str = "BTC") -> Desk:
    """An Owner at the desk of a merchant that has `amount` available."""
    factories.processor()
    factories.terms("BTC", withdrawal_fee_percent=Decimal("0.01"), withdrawal_mining_fee=Decimal("0.0001"))
    factories.terms("EUR")
    at = settled(desk.desk(merchant or factories.merchant()))
    terms.enable_all(merchant=at.merchant, currencies=["BTC", "EUR"], now=factories.NOW)
    factories.fund(at.merchant, money(amount, currency))
    return at


def second_owner(at: Desk) -> Desk:
    return settled(desk.desk(at.merchant))


def settled(at: Desk) -> Desk:
    """A day has passed for this person. A test is one transaction, and its clock stands at its beginning."""
    at.merchant.memberships.filter(user=at.user).update(settled_at=factories.NOW)
    User.objects.filter(pk=at.user.pk).update(settled_at=factories.NOW)
    return at


def limited(at: Desk, origin: Origin = Origin.API, **bounds: Any) -> None:
    """Every withdrawal of that origin waits, unless bounds say less."""
    bounds = bounds or {"everything": True}
    limits.set_limit(merchant=at.merchant, origin=origin, by=at.user, now=timezone.now(), **bounds)


def ask(at: Desk, amount: str = "0.5", *, origin: Origin = Origin.API, **more: Any) -> Operation:
    """What the merchant's program, or this person, asks for now."""
    given: dict[str, Any] = {"foreign_id": f"w-{next(_seeds)}", "address": address(), **more}
    order = withdrawals.Order(currency="BTC", amount=Decimal(amount), **given)
    who: dict[str, Any] = {"api_key_id": _key(at).pk}
    if origin == Origin.STAFF:
        who = {"by": at.merchant.memberships.get(user=at.user)}
    return withdrawals.request(merchant=at.merchant, order=order, origin=origin, now=timezone.now(), **who)


def available(at: Desk, currency: str = "BTC") -> Decimal:
    return next((row.available for row in balances(at.merchant) if row.currency == currency), Decimal(0))


def _key(at: Desk) -> ApiKey:
    found = ApiKey.objects.for_merchant(at.merchant).first()
    if found is None:
        public, _ = factories.active_key(at.merchant)
        found = ApiKey.objects.get(public_key=public)
    return found
