"""Contacts: destinations that a merchant's staff have named, and how familiar a destination is.

A contact's address is checked when it is named and never changes afterwards; for a day after, what staff
send to it waits for approval. An address that looks like a known one and is another may have been planted
in the history for somebody to copy, so people are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Unpack

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, QuerySet

from merchants import audit
from merchants.errors import Refusal
from merchants.models import Merchant, User
from merchants.one_line import one_line
from payments import currencies, destinations
from payments.errors import SelectedIsInvalid
from payments.models import Contact, Withdrawal, WithdrawalState

LONGEST_NAME = 100
_ENDS = 4
"""Of an address people compare the first and the last few characters; who plants one knows that."""


class NameMissing(Refusal):
    """Give the contact a name."""

    field = "name"


class NameTooLong(Refusal):
    """A name has at most {most} characters."""

    field = "name"


class NameTaken(Refusal):
    """There is a contact named {name} already."""

    field = "name"


class AlreadyAContact(Refusal):
    """This address is a contact already: {name}."""

    field = "address"


class NoSuchContact(Refusal):
    """There is no such contact."""


class Mark(StrEnum):
    """How familiar a destination is."""

    FIRST_SEEN = "first_seen"
    """Nobody was paid there before, and it is no contact."""
    KNOWN = "known"
    """A contact, or paid before."""
    SIMILAR = "similar"
    """Another one than a known one that begins and ends alike."""


@dataclass(frozen=True, slots=True)
class Familiarity:
    """contact: whose it is. similar: the known address that it resembles. payouts: confirmed ones to it."""

    mark: Mark
    contact: Contact | None = None
    similar: str = ""
    payouts: int = 0
    last_at: datetime | None = None


def of(merchant: Merchant) -> QuerySet[Contact]:
    """The merchant's contacts by name, removed ones left out."""
    return Contact.objects.for_merchant(merchant).filter(removed_at=None).order_by("name")


def find(*, merchant: Merchant, currency: str, lookup: str, tag: str | None) -> Contact | None:
    """The contact at exactly this destination; lookup: the address in its one spelling."""
    return of(merchant).filter(currency=currency, lookup=lookup, tag=tag).first()


def cools_down(*, merchant: Merchant, currency: str, lookup: str, tag: str | None, now: datetime) -> bool:
    """Whether it is a contact that was named too recently to be sent to without approval."""
    contact = find(merchant=merchant, currency=currency, lookup=lookup, tag=tag)
    return contact is not None and now < contact.usable_from


@transaction.atomic
def add(
    *,
    merchant: Merchant,
    name: str,
    currency: str,
    address: str,
    tag: str | None = None,
    by: User,
    now: datetime,
    **how: Unpack[audit.How],
) -> Contact:
    """Names a destination; what staff send to it waits for approval until `usable_from`.

    Raises `NameMissing`, `NameTooLong`, `NameTaken`, `AlreadyAContact`, `UnknownCurrency`,
    `SelectedIsInvalid` for a currency without a network, and what `destinations.read` raises.
    """
    called = _name(name)
    known = currencies.get(currency)
    if not known.is_crypto:
        raise SelectedIsInvalid(field="currency")
    place = destinations.read(known, address.strip(), tag)
    there = find(merchant=merchant, currency=currency, lookup=place.lookup, tag=place.tag)
    if there is not None:
        raise AlreadyAContact(name=there.name)
    contact = Contact(
        merchant=merchant,
        name=called,
        currency=currency,
        address=place.address,
        lookup=place.lookup,
        tag=place.tag,
        created_by=by,
        created_at=now,
        usable_from=now + settings.CONTACT_COOL_DOWN,
    )
    try:
        with transaction.atomic():
            contact.save(force_insert=True)
    except IntegrityError as error:
        raise _taken(error, called) from None
    _audit("contacts.add", contact, by, now, how, after=_facts(contact))
    return contact


@transaction.atomic
def remove(
    *, merchant: Merchant, contact_id: int, by: User, now: datetime, **how: Unpack[audit.How]
) -> Contact:
    """The destination is no contact any more; named again it cools down again. Raises `NoSuchContact`."""
    contact = of(merchant).select_for_update(no_key=True).filter(pk=contact_id).first()
    if contact is None:
        raise NoSuchContact
    contact.remove(now)
    _audit("contacts.remove", contact, by, now, how, before=_facts(contact))
    return contact


def familiarity(*, merchant: Merchant, currency: str, address: str, tag: str | None = None) -> Familiarity:
    """What the merchant knows of a destination; `address` need not be valid."""
    lookup = destinations.lookup(currency, address)
    contact = find(merchant=merchant, currency=currency, lookup=lookup, tag=tag)
    paid = Withdrawal.objects.for_merchant(merchant).filter(state=WithdrawalState.CONFIRMED)
    seen = paid.filter(lookup=lookup, tag=tag).aggregate(payouts=Count("pk"), last_at=Max("closed_at"))
    if contact is not None or seen["payouts"]:
        return Familiarity(Mark.KNOWN, contact=contact, **seen)
    similar = _similar(merchant, lookup)
    return Familiarity(Mark.SIMILAR if similar else Mark.FIRST_SEEN, similar=similar)


def _similar(merchant: Merchant, lookup: str) -> str:
    """A known address that begins and ends like this one and is another; empty when there is none."""
    begins, ends = lookup[:_ENDS], lookup[-_ENDS:]
    named = of(merchant).filter(lookup__istartswith=begins, lookup__iendswith=ends)
    paid = Withdrawal.objects.for_merchant(merchant).filter(
        state=WithdrawalState.CONFIRMED, lookup__istartswith=begins, lookup__iendswith=ends
    )
    found = named.exclude(lookup=lookup).values_list("address", flat=True).first()
    return found or paid.exclude(lookup=lookup).values_list("address", flat=True).first() or ""


def _name(text: str) -> str:
    name = one_line(text)
    if not name:
        raise NameMissing
    if len(name) > LONGEST_NAME:
        raise NameTooLong(most=LONGEST_NAME)
    return name


def _taken(error: IntegrityError, name: str) -> Refusal:
    """Which rule an insert broke that another person's was faster than."""
    broken = getattr(getattr(error.__cause__, "diag", None), "constraint_name", "")
    if broken == "contact_name_is_unique":
        return NameTaken(name=name)
    if broken == "contact_is_unique":
        return AlreadyAContact(name=name)
    raise error


def _facts(contact: Contact) -> audit.Facts:
    return {
        "name": contact.name,
        "currency": contact.currency,
        "address": contact.address,
        "tag": contact.tag,
        "usable_from": contact.usable_from,
    }


def _audit(
    act: str,
    contact: Contact,
    by: User,
    now: datetime,
    how: audit.How,
    *,
    before: audit.Facts | None = None,
    after: audit.Facts | None = None,
) -> None:
    audit.record(
        actor=by,
        act=act,
        merchant=contact.merchant,
        subject=f"contact:{contact.pk}",
        before=before,
        after=after,
        now=now,
        **how,
    )
