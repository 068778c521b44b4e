"""What is done to a valid body: to its structure, or to its bytes. All chance comes from the caller's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.bodies import Literal, Pairs

TEXTS = (
    "",
    " ",
    "\x00",
    "u-\x00-77",
    "\ud800",
    "\udfff\ud800",
    "\u202egnp.exe",
    "\u2066\u200b\ufeff",
    "\x1b[31m\r\nX-Injected: 1",
    "\x7f\x80\x9f",
    "🂡" * 64,
    "é" * 255,
    "e\u0301" * 128,
    "x" * 255,
    "x" * 256,
    "x" * 10_000,
    "ß" * 10_000,
    "../../etc/passwd",
    "a/b\\c//d",
    "%00%2e%2f",
    "' OR 1=1; --",
    "{{7*7}}${7*7}",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "null",
    "NaN",
    "-0",
    "1e5",
    " 5 ",
    "１２",
    "1_000",
    "0x10",
    "٣",
    "BTC\n",
    "btc",
    "ＢＴＣ",
    "BTC,EUR",
    "-1",
    "99999999999999999999999999999999999999",
)
LITERALS = (
    "0",
    "-0",
    "-1",
    "1.5",
    "1e-8",
    "1E+400",
    "1e999999999",
    "-1e-999999999",
    "1e-400",
    "0e5000",
    "9" * 250,
    "9" * 5_000,
    "0." + "1" * 300,
    "2147483648",
    "9223372036854775808",
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "+1",
    ".5",
    "1.",
    "0x1F",
    "1e",
    "--1",
    "tru",
    "undefined",
    "'x'",
    '"\\ud800"',
    '"\\u0000"',
    '"\\x41"',
    '"\n"',
)
NAMES = (
    "foreign_id",
    "currency",
    "convert_to",
    "currency_from",
    "currency_to",
    "visible",
    "sender_type",
    "sender_data",
    "end_user_reference",
    "tag",
    "id",
    "status",
    "transactions",
    "fees",
    "type",
    "crypto_address",
    "amount",
    "__proto__",
    "constructor",
    "",
    "\x00",
    "0",
    "-1",
    "x" * 10_000,
    'é/\\"',
)
CODES = ("BTC", "ETH", "EUR", "USD", "XRP", "USDTE", "DOGE", "BNB-BSC", "XXX")


def structure(value: Any, rng: Random) -> Any:
    """The body with one to four of its places changed."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        value = _changed(value, rng)
    return value


def _changed(value: Any, rng: Random) -> Any:
    """Goes down to a random place and changes what is there."""
    if isinstance(value, Pairs) and value.members and rng.random() < 0.85:
        return _changed_object(value, rng)
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], _changed(value[at], rng), *value[at + 1 :]]
    return _another(value, rng)


def _changed_object(value: Pairs, rng: Random) -> Pairs:
    members = list(value.members)
    at, what = rng.randrange(len(members)), rng.random()
    name, member = members[at]
    if what < 0.12:
        del members[at]
    elif what < 0.22:
        members.insert(rng.randrange(len(members) + 1), (rng.choice(NAMES), _fresh(rng)))
    elif what < 0.28:
        members.append((name, member if rng.random() < 0.5 else _fresh(rng)))
    elif what < 0.33:
        members[at] = (rng.choice(NAMES), member)
    elif what < 0.36:
        rng.shuffle(members)
    else:
        members[at] = (name, _changed(member, rng))
    return Pairs(members)


def _another(value: Any, rng: Random) -> Any:
    """In a value's place: often the same type with an odd value, else anything."""
    if isinstance(value, str) and rng.random() < 0.5:
        return _odd_text(value, rng)
    return _fresh(rng)


def _odd_text(text: str, rng: Random) -> str:
    at = rng.randrange(len(text) + 1)
    makers: tuple[Callable[[], str], ...] = (
        lambda: f"{text}-{rng.randrange(10_000)}",
        lambda: rng.choice(CODES),
        lambda: text[:at] + rng.choice(TEXTS) + text[at:],
        lambda: text * rng.choice((2, 40)),
        text.swapcase,
        lambda: text[:at],
        lambda: f"{text[:at]}\u200b{text[at:]}",
        lambda: f"{rng.choice(('-', '+', '0', ' '))}{text}",
    )
    return rng.choice(makers)()


def _fresh(rng: Random) -> Any:
    makers: tuple[Callable[[], Any], ...] = (
        lambda: rng.choice(TEXTS),
        lambda: rng.choice(TEXTS),
        lambda: rng.choice(CODES),
        lambda: Literal(rng.choice(LITERALS)),
        lambda: Literal(rng.choice(LITERALS)),
        lambda: rng.choice((True, False, None)),
        lambda: rng.choice((0, 1, -1, 2**31, 2**63, 10 ** rng.randrange(300))),
        lambda: _deep(rng),
        list,
        lambda: Pairs([]),
        lambda: [rng.choice(CODES)] * rng.choice((1, 3, 2_000)),
        lambda: Pairs([(f"k{n}", n) for n in range(rng.choice((1, 20, 2_000)))]),
    )
    return rng.choice(makers)()


def _deep(rng: Random) -> Any:
    """Brackets, some just within the allowed depth, some far beyond."""
    levels = rng.choice((5, 28, 31, 32, 33, 500, 9_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    whole = rng.random() < 0.8
    return Literal(opening * levels + "1" + (closing * levels if whole else ""))


def bytewise(raw: bytes, rng: Random) -> bytes:
    """The body with one to three accidents of its bytes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        raw = _accident(raw, rng)
    return raw


def _accident(raw: bytes, rng: Random) -> bytes:
    at, other = sorted((rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)))
    makers: tuple[Callable[[], bytes], ...] = (
        lambda: raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :],
        lambda: raw[:at] + bytes([rng.randrange(256)]) + raw[at:],
        lambda: raw[:at] + raw[at + 1 :],
        lambda: raw[:at] + raw[other:],
        lambda: raw[:other] + raw[at:],
        lambda: raw[:at],
        lambda: (
            raw[:at]
            + rng.choice((b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"))
            + raw[at:]
        ),
        lambda: b"\xef\xbb\xbf" + raw,
        lambda: rng.choice((b" \t\r\n", b"\x0c", b"//x\n", b"\xc2\xa0")) + raw,
        lambda: raw + rng.choice((b" ", b"\n", b",", b"}", b"{}", b"\x00", raw)),
        lambda: rng.randbytes(rng.choice((1, 16, 700))),
        lambda: raw + b" " * rng.choice((100, 64 * 1024 - len(raw), 64 * 1024 + 1 - len(raw), 70_000)),
        lambda: rng.choice((b"true", b"7", b'"x"', b"[1]", b"{", b"[", b'"', b"-", b"\\u0000")),
    )
    return rng.choice(makers)()
