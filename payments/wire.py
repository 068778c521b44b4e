"""The wire's own forms: the guard that bytes pass on the way in, the writer of bytes on the way out.

In: a body is a small, shallow, strict JSON object or it is `BadContent`; numbers keep their literal text
(int or Decimal, never float), so that an amount is read once, exactly, and never rounded. Out: the bytes
that PHP's `json_encode` makes, because receivers verify signatures over their own re-encoding of a body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NoReturn

from merchants.errors import Refusal
from payments.errors import FieldRefusal, NotBoolean, NotText, Required, TooLong

MAX_BODY_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_NUMBER_CHARACTERS = 255
"""No number on the wire needs more; a foreign id of digits may have this many."""

_EXACT = Context(prec=78, traps=[Inexact, InvalidOperation])
_CONTENT_TYPE = re.compile(r'\s*application/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)
# Possessive, and closing quote optional: one pass over hostile input whatever it holds.
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = re.compile(rb"[^\[\]{}]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXPONENT = re.compile(r"[eE][+-]?0*[0-9]{1,4}$")


class BadContent(Refusal):
    """Bad content format"""

    code = "bad_content_format"


def parse_body(raw: bytes, content_type: str, *, longest: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The parameters of a request: a JSON object, or `{}` for `[]`, `null` and no bytes at all.

    Values are str, bool, None, int, Decimal, list and dict. Refused as `BadContent`: more than `longest`,
    more than 32 levels, another content type (not looked at without a body), anything but strict UTF-8
    JSON, a key twice, NUL or a lone surrogate in any text, NaN and infinities, absurdly long numbers.
    """
    if not raw:
        return {}
    if len(raw) > longest or not _CONTENT_TYPE.fullmatch(content_type):
        raise BadContent
    _refuse_depth(raw)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            parse_int=_integer,
            parse_float=_fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except ValueError:
        raise BadContent from None
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise BadContent
    _refuse_unstorable(value)
    return value


def _refuse_depth(raw: bytes) -> None:
    """Before parsing, because a recursive parser is what deep input attacks."""
    depth = 0
    for bracket in _NOT_BRACKETS.sub(b"", _JSON_STRING.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise BadContent


def _integer(literal: str) -> int:
    if len(literal) > MAX_NUMBER_CHARACTERS:
        raise BadContent
    return int(literal)


def _fraction(literal: str) -> Decimal:
    """Bounded, because an exponent of nine digits is short to write and huge to print."""
    long = len(literal) > MAX_NUMBER_CHARACTERS
    if long or (("e" in literal or "E" in literal) and not _EXPONENT.search(literal)):
        raise BadContent
    return Decimal(literal)


def _refuse_constant(literal: str) -> NoReturn:
    raise BadContent


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadContent
    return found


def _refuse_unstorable(value: object) -> None:
    """PostgreSQL stores neither NUL nor half a surrogate pair; no text or key may hold one."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise BadContent
    elif isinstance(value, dict):
        for key, member in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(member)
    elif isinstance(value, list):
        for member in value:
            _refuse_unstorable(member)


def is_storable(text: str) -> bool:
    """Whether `text` (a query parameter, a header) holds neither NUL nor a lone surrogate."""
    return not _UNSTORABLE.search(text)


_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,16})(\.[0-9]{1,18})?", re.ASCII)
_LARGEST_EXPONENT = 18
_INTEGER_DIGITS = 17


class BadAmount(FieldRefusal):
    """The {attr} must be a number."""

    field = "amount"


class TooManyDecimals(BadAmount):
    """The {attr} may not have more than {places} decimal places."""


def parse_amount(value: object, *, places: int, field: str = "amount") -> Decimal:
    """An amount as sent, exact, at exactly `places` decimals; zero is an amount, a negative is not.

    Strings are plain ASCII decimals; JSON numbers may carry an exponent (JavaScript writes 1e-8). Zeros
    beyond `places` lose nothing and pass. Raises `BadAmount` for what is no such number (booleans too),
    `TooManyDecimals` (a `BadAmount`) for what would need rounding.
    """
    number = _number(value)
    if number is None:
        raise BadAmount(field=field)
    try:
        return number.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    except Inexact:
        raise TooManyDecimals(field=field, places=places) from None


def _number(value: object) -> Decimal | None:
    """The value as a Decimal that is safe to compute with and print; None if it is no plain number."""
    if isinstance(value, str):
        return Decimal(value) if _AMOUNT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite() or number.is_signed():
        return None
    exponent = int(number.as_tuple().exponent)
    if (
        exponent > _LARGEST_EXPONENT
        or exponent < -2 * _LARGEST_EXPONENT
        or number.adjusted() >= _INTEGER_DIGITS
    ):
        return None
    return number


def amount_text(amount: Decimal) -> str:
    """`amount` as the wire writes it: 8 decimals, never an exponent. Raises `Inexact` if it has more."""
    exact = amount.quantize(Decimal("1E-8"), context=_EXACT)
    return f"{exact if exact else abs(exact):f}"


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def parse_boolean(value: object, *, field: str) -> bool:
    """`true`, `1`, `"1"`, `"true"` and their opposites, as clients send them. Raises `NotBoolean`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    if isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise NotBoolean(field=field)


def parse_text(value: object, *, field: str, longest: int = 255) -> str:
    """A string of 1 to `longest` characters, or an integer as its digits: a foreign id, a reference.

    Raises `Required` for an empty or absent one, `NotText` for another type, `TooLong`.
    """
    if value is None or value == "":
        raise Required(field=field)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise NotText(field=field)
    text = str(value)
    if len(text) > longest:
        raise TooLong(field=field, longest=longest)
    return text


_CANONICAL_INTEGER = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_LARGEST_INTEGER = 2**53 - 1


def tag_for_take(tag: str | None, *, as_string: bool) -> int | str | None:
    """The tag as `addresses/take` shows it: an integer where it is one, unless the merchant wants strings."""
    if tag is None or as_string or not _CANONICAL_INTEGER.fullmatch(tag) or int(tag) > _LARGEST_INTEGER:
        return tag
    return int(tag)


def php_json(value: object) -> bytes:
    """The bytes of PHP's `json_encode(value)` with its default flags, for signing and sending.

    Takes str, bool, None, int, mappings and sequences. Raises `ValueError` for what does not survive a
    receiver's decoding and encoding again: an empty object (PHP makes `[]` of it), a key that looks like
    an integer, half a surrogate pair, an integer beyond 2**53; `TypeError` for anything else: a number
    with a fraction goes as text.
    """
    return _php(value).encode("ascii")


def _php(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _php_string(value)
    if isinstance(value, int):
        return _php_integer(value)
    if isinstance(value, Mapping):
        return _php_object(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return f"[{','.join(map(_php, value))}]"
    raise TypeError(f"{type(value).__name__} has no form on the wire")


_PLAIN = re.compile(r"[ !#-.0-\[\]-~]*", re.ASCII)
"""Nothing to escape; nearly every text of ours, and quickly told."""


def _php_string(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    if _SURROGATE.search(text):
        raise ValueError("half a surrogate pair has no form on the wire")
    # Python escapes DEL, PHP does not.
    quoted = "\x7f".join(encode_basestring_ascii(part)[1:-1] for part in text.split("\x7f"))
    return f'"{quoted}"'.replace("/", "\\/")


def _php_integer(number: int) -> str:
    if abs(number) > _LARGEST_INTEGER:
        raise ValueError("an integer beyond 2**53 changes in a receiver's hands")
    return int.__repr__(number)


def _php_object(members: Mapping[str, object]) -> str:
    if not members:
        raise ValueError("an empty object comes back as an empty array")
    return "{" + ",".join(f"{_php_key(key)}:{_php(member)}" for key, member in members.items()) + "}"


@lru_cache(maxsize=1024)
def _php_key(key: str) -> str:
    if _CANONICAL_INTEGER.fullmatch(key.removeprefix("-")):
        raise ValueError(f"the key {key!r} comes back as a list index")
    return _php_string(key)
