"""Addresses that a merchant's staff take for themselves, each under a name, and what they are converted to.

They are taken from the same pools as a program's; nobody is called back about them unless the merchant
switched that on. The name can be changed; where the money goes cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Unpack

from django.db import transaction

from merchants import audit
from merchants.errors import Refusal
from merchants.models import Merchant, User
from merchants.one_line import one_line
from payments import addresses, rates, terms
from payments.models import Address, AddressOrigin
from payments.terms import Offer

LONGEST_LABEL = 60


class NameMissing(Refusal):
    """Give the address a name, such as what it is used for."""

    field = "label"


class NameTooLong(Refusal):
    """A name has at most {most} characters."""

    field = "label"


class CannotConvert(Refusal):
    """{currency} cannot be converted to {convert_to} here."""

    field = "convert_to"


class NotOfTheStaff(Refusal):
    """Only addresses that staff took have a name; this one belongs to a customer of your programs."""

    field = "label"


def targets(*, merchant: Merchant, currency: str, now: datetime) -> dict[str, Offer]:
    """What deposits in `currency` can be converted to on arrival: enabled, and with a price for the pair."""
    offers = terms.enabled(merchant_id=merchant.pk, now=now)
    priced = rates.targets(merchant=merchant, source=currency, now=now)
    return {code: offer for code, offer in offers.items() if code in priced}


def take(
    *,
    merchant: Merchant,
    currency: str,
    convert_to: str = "",
    label: str,
    by: User,
    now: datetime,
    call_for_more: Callable[[], object],
    **how: Unpack[audit.How],
) -> Address:
    """A new address of this name in an enabled `currency`; convert_to: empty for none.

    Raises `NameMissing`, `NameTooLong`, `CannotConvert`, and what `addresses.take` raises.
    """
    name = _name(label)
    if convert_to and convert_to not in targets(merchant=merchant, currency=currency, now=now):
        raise CannotConvert(currency=currency, convert_to=convert_to)
    order = addresses.Order(foreign_id=None, currency=currency, convert_to=convert_to, label=name)
    address = addresses.take(merchant=merchant, order=order, now=now, call_for_more=call_for_more)
    facts = {"address": address.address, "currency": currency, "convert_to": convert_to, "label": name}
    _audit("addresses.take", address, by, now, how, before=None, after=facts)
    return address


@transaction.atomic
def rename(
    *,
    merchant: Merchant,
    number: int,
    label: str,
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> Address:
    """Calls the merchant's address of that number by another name.

    Raises `Address.DoesNotExist`, `NotOfTheStaff`, `NameMissing`, `NameTooLong`.
    """
    name = _name(label)
    address = Address.objects.for_merchant(merchant).select_for_update(no_key=True).get(wire_id=number)
    if address.origin != AddressOrigin.PORTAL:
        raise NotOfTheStaff
    before = {"label": address.label}
    address.call(name)
    _audit("addresses.rename", address, by, now, how, before=before, after={"label": name})
    return address


def _name(label: str) -> str:
    name = one_line(label)
    if not name:
        raise NameMissing
    if len(name) > LONGEST_LABEL:
        raise NameTooLong(most=LONGEST_LABEL)
    return name


def _audit(
    act: str,
    address: Address,
    by: User,
    now: datetime,
    how: audit.How,
    *,
    before: audit.Facts | None,
    after: audit.Facts,
) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=address.merchant,
        subject=f"address:{address.pk}",
        before=before,
        after=after,
        now=now,
        **how,
    )
