"""Texts and links that a merchant's program sends and a payer will see; pure.

Control characters and those that turn the direction of writing go; everything else is shown as it was sent.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST_LINK = 2000
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_LINK = re.compile(r"(?i:https?)://[^\s\\@\x00-\x20\x7f-\x9f]+")


def line(text: str) -> str:
    """`text` in one line, without what machines see and people do not."""
    return _UNSEEN.sub("", re.sub(r"[\t\r\n]+", " ", text)).strip()


def lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(line, text.splitlines())).strip()


def web_link(text: str) -> str | None:
    """`text` as an absolute http(s) link without credentials; None when it is no such link."""
    if len(text) > LONGEST_LINK or not _LINK.fullmatch(text) or _UNSEEN.search(text):
        return None
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or not re.fullmatch(r"[\w.:-]+", host):
        return None
    scheme, rest = text.split(":", 1)
    return f"{scheme.lower()}:{rest}"
