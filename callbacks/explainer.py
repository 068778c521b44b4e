"""Why does my signature differ? Finds what a receiver did to a callback before it hashed it; pure.

Only bytes that Bursar itself stored are ever signed: what somebody pastes is compared with signatures of
the stored body and of what JSON libraries commonly make of it, under the merchant's keys. Nothing pasted is
signed, and no answer holds a secret or a signature of anything but the stored body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from merchants import signing


@dataclass(frozen=True)
class Candidate:
    """A key of the merchant. is_signing: the one that signed this callback."""

    name: str
    secret: str = field(repr=False)
    is_signing: bool


@dataclass(frozen=True)
class Finding:
    """What was found. matches: the pasted text is right as it is; advice: what to change."""

    matches: bool
    what: str
    advice: str = ""


MATCHES = Finding(True, "This is the right signature of this callback.")
UNKNOWN = Finding(
    False,
    "No common mistake explains it.",
    "Hash the raw bytes of the request's body, before any parsing, with HMAC-SHA512 and the secret of the "
    "key that the X-Processing-Key header names, and write the result in hexadecimal.",
)
_ADVICE = "Hash the raw bytes as they arrived; do not parse and encode them again."


def explain_signature(*, body: bytes, pasted: str, candidates: list[Candidate]) -> Finding:
    """What somebody did who computed `pasted` for this callback."""
    wanted = pasted.strip()
    for key in candidates:
        for digest, how in _digests(wanted):
            for text, what in _bodies(body):
                if digest(key.secret, text):
                    return _finding(what, how, key)
    if _names_key_itself(body, wanted, candidates):
        return Finding(False, "It was made with the API key itself.", "Use the secret of the key instead.")
    return UNKNOWN


def explain_body(*, body: bytes, pasted: str) -> Finding:
    """What somebody did whose program hashed the text `pasted` for this callback."""
    given = pasted.encode("utf-8", "surrogatepass")
    if given == body:
        return Finding(True, "These are the very bytes that were signed.")
    for text, what in _bodies(body):
        if text and (given == text or given.replace(b"\r\n", b"\n") == text):
            return Finding(False, f"The body was {what}.", _ADVICE)
    return _difference(body, given)


def _finding(what: str, how: str, key: Candidate) -> Finding:
    if not what and not how and key.is_signing:
        return MATCHES
    parts = [f"the body was {what}"] if what else []
    parts += [f"it is written in {how}"] if how else []
    parts += [] if key.is_signing else [f"it was made with another key's secret ({key.name})"]
    text = ", and ".join(parts)
    return Finding(False, f"{text[0].upper()}{text[1:]}.", _advice(what, how, key))


def _advice(what: str, how: str, key: Candidate) -> str:
    if what:
        return _ADVICE
    if how:
        return "Write HMAC-SHA512 in lower-case hexadecimal: 128 characters."
    return "Look up the secret by the key that the X-Processing-Key header names."


def _digests(wanted: str) -> Iterator[tuple[Callable[[str, bytes], bool], str]]:
    """Ways to compare `wanted` with a signature, and what each says of how it is written."""
    lower = wanted.lower().removeprefix("sha512=")
    yield lambda secret, text: hmac.compare_digest(signing.sign(secret, text), _ascii(lower)), ""
    yield lambda secret, text: _is_base64(secret, text, wanted), "base64 instead of hexadecimal"
    yield lambda secret, text: _other(secret, text, "sha256") == lower, "SHA-256 instead of SHA-512"
    yield (
        lambda secret, text: hashlib.sha512(secret.encode() + text).hexdigest() == lower,
        "a plain SHA-512 of secret and body instead of an HMAC",
    )


def _ascii(text: str) -> str:
    return text if text.isascii() else ""


def _is_base64(secret: str, text: bytes, wanted: str) -> bool:
    raw = bytes.fromhex(signing.sign(secret, text))
    return wanted.rstrip("=").translate(_URLSAFE) == base64.b64encode(raw).decode().rstrip("=")


_URLSAFE = str.maketrans("-_", "+/")


def _other(secret: str, text: bytes, algorithm: str) -> str:
    return hmac.new(secret.encode(), text, algorithm).hexdigest()


def _names_key_itself(body: bytes, wanted: str, candidates: list[Candidate]) -> bool:
    return any(signing.sign(key.name, body) == wanted.lower() for key in candidates)


def _bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    """The stored body, and what programs commonly make of it, each with what was done; fewest first."""
    yield body, ""
    yield body + b"\n", "given a trailing newline"
    yield body + b"\r\n", "given a trailing newline"
    yield b"", "empty: it had been read before"
    yield body.replace(b"\\/", b"/"), "written with its slashes unescaped"
    parsed = json.loads(body)
    for write, what in _WRITERS:
        yield write(parsed), what
        yield write(parsed).replace(b"/", b"\\/"), f"{what}, slashes escaped"
    yield json.dumps(body.decode()).encode(), "encoded twice, as a string in JSON"


def _dump(**options: object) -> Callable[[object], bytes]:
    return lambda value: json.dumps(value, **options).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]


_COMPACT = (",", ":")
_WRITERS: tuple[tuple[Callable[[object], bytes], str], ...] = (
    (_dump(separators=_COMPACT, ensure_ascii=False), "written with its non-ASCII letters unescaped"),
    (_dump(separators=_COMPACT), "parsed and encoded again"),
    (_dump(), "parsed and encoded again with spaces after commas and colons"),
    (_dump(ensure_ascii=False), "parsed and encoded again with spaces, letters unescaped"),
    (_dump(separators=_COMPACT, sort_keys=True), "re-ordered by its keys"),
    (_dump(separators=_COMPACT, sort_keys=True, ensure_ascii=False), "re-ordered by its keys"),
    (_dump(sort_keys=True), "re-ordered by its keys and spaced"),
    (_dump(indent=4), "pretty-printed"),
    (_dump(indent=2), "pretty-printed"),
    (_dump(indent=4, ensure_ascii=False), "pretty-printed"),
    (_dump(indent=2, ensure_ascii=False), "pretty-printed"),
    (_dump(indent="\t"), "pretty-printed"),
    (lambda value: _dump(separators=_COMPACT)(_numbers(value)), "re-encoded with its amounts as numbers"),
    (lambda value: _dump()(_numbers(value)), "re-encoded with its amounts as numbers"),
    (lambda value: _dump(separators=_COMPACT)(_without_nulls(value)), "stripped of its null fields"),
)

_AMOUNT = re.compile(r"\d+\.\d{8}", re.ASCII)


def _numbers(value: object) -> object:
    """Amounts as a program's floating-point numbers would be written; for comparing only."""
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return float(value)
    return value


def _without_nulls(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _difference(body: bytes, given: bytes) -> Finding:
    """Where two texts part, and whether they still mean the same."""
    at = next((i for i, (one, other) in enumerate(zip(body, given, strict=False)) if one != other), None)
    place = min(len(body), len(given)) if at is None else at
    context = body[max(0, place - 20) : place + 20].decode("utf-8", "replace")
    try:
        same = json.loads(given) == json.loads(body)
    except (ValueError, RecursionError):
        same = False
    what = "The text means the same but was written differently" if same else "The text differs"
    return Finding(False, f"{what}, from byte {place}: near “{context}”.", _ADVICE)
