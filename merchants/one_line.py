"""Text that people typed for other people to read: one line, and nothing in it that only machines see.

Characters that turn the direction of writing, or are not shown at all, could make a name read as another's.
"""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Unicode's categories of controls, formats (bidi marks among them), what has no meaning, line separators."""


def one_line(text: str) -> str:
    """`text` without unseen characters, with single spaces, composed (NFC)."""
    seen = "".join(" " if unicodedata.category(each) in _UNSEEN else each for each in text)
    return " ".join(unicodedata.normalize("NFC", seen).split())
