"""Reading the fields of an upstream's JSON: each reader returns the value or raises `Unreadable`.

Numbers arrive as int or Decimal, never float. Texts are bounded and never empty, amounts exact to 8 places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from payments.money import WIRE_PLACES, Money
from payments.processors.base import NoticeFee, Risk, Unreadable
from payments.wire import MAX_BODY_BYTES, BadAmount, BadContent, parse_amount, parse_body

Fields = Mapping[str, Any]
E = TypeVar("E", bound=StrEnum)

_LONGEST_TEXT = 255
_LONGEST_ERROR = 1000
_MOST_LINES = 10_000
_LARGEST_ID = 2**53 - 1
_CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{1,15}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_FRACTION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,18})?", re.ASCII)


def parsed(raw: bytes, *, longest: int = MAX_BODY_BYTES) -> Fields:
    """The JSON object of a body: bounded in size and depth, strict, no key twice."""
    try:
        return parse_body(raw, "application/json", longest=longest)
    except BadContent:
        raise Unreadable("no strict JSON object of reasonable size") from None


def identity(body: Fields) -> str:
    """The upstream's id of the operation, as text."""
    value = body.get("id")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_ID:
        raise Unreadable("id is no positive integer")
    return str(value)


def text(fields: Fields, name: str) -> str:
    """A text of 1 to 255 characters; an integer as its digits."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise Unreadable(f"{name} is no text of reasonable length")
    return value


def optional_text(fields: Fields, name: str) -> str | None:
    """The same; None when absent or null."""
    return None if fields.get(name) is None else text(fields, name)


def error(body: Fields) -> str:
    """The upstream's own words about what went wrong; mostly empty."""
    value = body.get("error", "")
    if not isinstance(value, str | None):
        raise Unreadable("error is no text")
    return (value or "")[:_LONGEST_ERROR]


def mapping(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is no object")
    return value


def lines(fields: Fields, name: str) -> list[Fields]:
    """A list of objects, of which there may be none."""
    value = fields.get(name, [])
    if not isinstance(value, list) or len(value) > _MOST_LINES:
        raise Unreadable(f"{name} is no list of reasonable length")
    if not all(isinstance(line, dict) for line in value):
        raise Unreadable(f"{name} holds something else than objects")
    return value


def leg(body: Fields, kind: str) -> Fields:
    """The leg of that type, or an empty one."""
    return next((line for line in lines(body, "transactions") if line.get("type") == kind), {})


def member(enum: type[E], fields: Fields, name: str) -> E:
    """One of an enum's values."""
    value = fields.get(name)
    if not isinstance(value, str) or value not in set(enum):
        raise Unreadable(f"{name} is none of {', '.join(enum)}")
    return enum(value)


def currency(fields: Fields, name: str = "currency") -> str:
    """A currency code, known to us or not."""
    value = fields.get(name)
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise Unreadable(f"{name} is no currency code")
    return value


def amount(value: object, what: str, *, places: int = WIRE_PLACES) -> Decimal:
    """An amount that is not negative."""
    try:
        return parse_amount(value, places=places)
    except BadAmount:
        raise Unreadable(f"{what} is no amount of at most {places} decimals") from None


def balance(value: object, what: str) -> Decimal:
    """An amount that may be negative."""
    if isinstance(value, str) and value.startswith("-"):
        return -amount(value[1:], what)
    return amount(value, what)


def money(fields: Fields, what: str) -> Money:
    """`{"currency": ..., "amount": ...}`."""
    return Money(amount(fields.get("amount"), f"the amount of {what}"), currency(fields))


def optional_money(body: Fields, name: str) -> Money | None:
    """The same under `name`; None when that is absent or null."""
    return None if body.get(name) is None else money(mapping(body, name), name)


def credited(body: Fields, received: Money | None) -> Money:
    """What a confirmed deposit credited us: `amount_minus_fee`, or the received amount less its fees."""
    if received is None:
        raise Unreadable("a confirmed deposit without currency_received")
    value = mapping(body, "currency_received").get("amount_minus_fee")
    if value is not None:
        return Money(amount(value, "amount_minus_fee"), received.currency)
    left = received
    for fee in fees(body):
        left -= fee.money if fee.money.currency == left.currency else Money.zero(left.currency)
    if left.amount < 0:
        raise Unreadable("the fees are more than what was received")
    return left


def fees(body: Fields) -> tuple[NoticeFee, ...]:
    """What the upstream took, line by line."""
    return tuple(NoticeFee(text(line, "type"), money(line, "a fee")) for line in lines(body, "fees"))


def confirmations(leg: Fields) -> int:
    """A count in a string, or (in older editions) a number; 0 when absent."""
    value = leg.get("confirmations", "0")
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not _COUNT.fullmatch(digits):
        raise Unreadable("confirmations is no count")
    return int(digits)


def risk(leg: Fields) -> Risk | None:
    """None where no score was asked for; a score of None where it is not known yet."""
    if "riskscore" not in leg:
        return None
    score = leg["riskscore"]
    if score is None:
        return Risk(None)
    if isinstance(score, Decimal):
        score = f"{score:f}"
    elif isinstance(score, int) and not isinstance(score, bool):
        score = str(score)
    if not isinstance(score, str) or not _FRACTION.fullmatch(score):
        raise Unreadable("riskscore is no fraction")
    return Risk(score)


def expected_currency(body: Fields, address: Fields, sent: Money) -> str | None:
    """For a cross-currency deposit, what its address was issued for.

    Published samples differ in where that stands; some have it at the root, some only as the address's own
    currency.
    """
    flag = address.get("cross_currency", False)
    if not isinstance(flag, bool):
        raise Unreadable("cross_currency is no boolean")
    if not flag:
        return None
    for holder, name in ((address, "expected_currency"), (body, "expected_currency"), (address, "currency")):
        if holder.get(name) is not None and currency(holder, name) != sent.currency:
            return currency(holder, name)
    raise Unreadable("a cross-currency deposit that does not say what was expected")


def sender_address(leg: Fields) -> str | None:
    """Who paid, where the upstream tells."""
    return None if leg.get("sender") is None else optional_text(mapping(leg, "sender"), "address")
