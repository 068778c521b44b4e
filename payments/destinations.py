"""Where money may be sent: an address of the currency's network, to the checksum, and the tag it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings

from payments import address_formats, addresses
from payments.currencies import Currency
from payments.errors import FieldRefusal, Required

_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)
_LARGEST_TAG = 4_294_967_295
"""A destination tag of the XRP Ledger has 32 bits (its documentation, "Source and Destination Tags")."""


class AddressIsInvalid(FieldRefusal):
    """The {attr} is invalid."""

    field = "address"


class TagIsInvalid(FieldRefusal):
    """The {attr} must be a number from 0 to 4294967295."""

    field = "tag"


class TakesNoTag(FieldRefusal):
    """The {attr} must be left out: {currency} is sent without one."""

    field = "tag"


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked address. lookup: its one spelling, to compare by. tag: canonical digits, or none."""

    address: str
    lookup: str
    tag: str | None


def read_address(currency: Currency, address: str) -> tuple[str, str]:
    """(address, lookup) on `currency`'s network. Raises `Required`, `AddressIsInvalid`."""
    if not address:
        raise Required(field="address")
    spelling = currency.address_format
    if spelling is None or not address_formats.is_valid(spelling, address, testnet=settings.SANDBOX):
        raise AddressIsInvalid
    return address, lookup(currency.code, address)


def lookup(currency: str, address: str) -> str:
    """The one spelling by which an address is compared; itself where it is none of the network's."""
    return addresses.lookup(currency, address)


def read_tag(currency: Currency, tag: str | None) -> str | None:
    """The tag in canonical digits; demanded where an address is not complete without one.

    Raises `Required`, `TagIsInvalid`, `TakesNoTag`.
    """
    if not currency.takes_tag:
        if tag is not None:
            raise TakesNoTag(currency=currency.code)
        return None
    if tag is None:
        raise Required(field="tag")
    if not _DIGITS.fullmatch(tag) or int(tag) > _LARGEST_TAG:
        raise TagIsInvalid
    return str(int(tag))


def read(currency: Currency, address: str, tag: str | None) -> Destination:
    """Both. Raises what they raise."""
    spelled, lookup = read_address(currency, address)
    return Destination(spelled, lookup, read_tag(currency, tag))
