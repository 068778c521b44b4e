"""Which language a payer reads: the one asked for by the link, else the browser's first that we speak.

Only the checkout speaks more than one, so it is chosen for each page here and nowhere else. Numbers that are
copied are never translated.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import trans_real

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""What a page can be read in, each in its own words."""
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})


def of(request: HttpRequest) -> str:
    """A key of `LANGUAGES`."""
    asked = request.GET.get("lang", "")
    if asked in LANGUAGES:
        return asked
    for code, _ in trans_real.parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        language = code.partition("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


def direction(language: str) -> str:
    """How the language is written: `ltr` or `rtl`."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"
