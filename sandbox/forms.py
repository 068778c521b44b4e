"""Reading parameters: every field that fails is collected, and all are answered at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar, cast

from merchants.errors import Refusal
from payments import address_formats
from payments.currencies import Currency
from payments.errors import FieldRefusal, Required, SelectedIsInvalid
from payments.wire import BadAmount, parse_amount, parse_text
from sandbox.prices import CARRIED

T = TypeVar("T")
_LARGEST_TAG = 4_294_967_295


class Refused(Exception):
    """What was asked is refused: one sentence for each field."""

    def __init__(self, errors: Mapping[str, str], *, status: int = 400) -> None:
        super().__init__(errors)
        self.errors = dict(errors)
        self.status = status


class AddressIsInvalid(Refusal):
    """The address is invalid."""

    field = "address"


class Form:
    """A request's parameters and what was wrong with them."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self.errors: dict[str, str] = {}

    def required(self, reader: Callable[[object, str], T], field: str) -> T:
        """What `reader` makes of the field; means nothing until `demand_valid` has passed."""
        try:
            return reader(self.params.get(field), field)
        except Refusal as refusal:
            self.refuse(refusal)
            return cast(T, None)

    def optional(self, reader: Callable[[object, str], T], field: str) -> T | None:
        """The same; None for a field that is absent or null."""
        return None if self.params.get(field) is None else self.required(reader, field)

    def refuse(self, refusal: Refusal) -> None:
        """Notes a refusal; the first one of each field stands."""
        self.errors.setdefault(refusal.field, str(refusal))

    def check(self, rule: Callable[[Currency, str], None], currency: Currency, value: str) -> None:
        """Notes what a rule over two fields refuses."""
        try:
            rule(currency, value)
        except Refusal as refusal:
            self.refuse(refusal)

    def demand_valid(self) -> None:
        """Raises `Refused` if anything was wrong."""
        if self.errors:
            raise Refused(self.errors)


def text(value: object, field: str) -> str:
    return parse_text(value, field=field)


def amount(value: object, field: str) -> Decimal:
    """A positive amount."""
    if value is None:
        raise Required(field=field)
    number = parse_amount(value, places=8, field=field)
    if not number:
        raise BadAmount(field=field)
    return number


def price(value: object, field: str) -> Decimal:
    """A positive price, as finely as we quote it."""
    if value is None:
        raise Required(field=field)
    number = parse_amount(value, places=18, field=field)
    if not number:
        raise BadAmount(field=field)
    return number


def currency(value: object, field: str) -> Currency:
    """A currency that is carried here."""
    if value is None:
        raise Required(field=field)
    if not isinstance(value, str) or value not in CARRIED:
        raise SelectedIsInvalid(field=field)
    return CARRIED[value]


def coin(value: object, field: str) -> Currency:
    """A crypto currency that is carried here."""
    found = currency(value, field)
    if not found.is_crypto:
        raise SelectedIsInvalid(field=field)
    return found


def tag(value: object, field: str) -> str:
    """A destination tag: digits, at most 32 bits."""
    digits = parse_text(value, field=field, longest=10)
    if not digits.isascii() or not digits.isdigit() or int(digits) > _LARGEST_TAG:
        raise FieldRefusal(field=field)
    return digits


def whole(least: int, most: int) -> Callable[[object, str], int]:
    """A reader of integers within bounds."""

    def read(value: object, field: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise FieldRefusal(field=field)
        return value

    return read


def demand_address(currency: Currency, address: str) -> None:
    """Raises `AddressIsInvalid` unless it is a testnet address of the currency's network."""
    if not address_formats.is_valid(currency.address_format or "", address, testnet=True):
        raise AddressIsInvalid
