"""Names that people type: one line, and nothing unseen in it."""

from __future__ import annotations

import pytest

from merchants.one_line import one_line


class TestOneLine:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("  Till 2 ", "Till 2"),
            ("Till\r\n2\tBerlin", "Till 2 Berlin"),
            ("Till\u202e2", "Till 2"),
            ("Till\u2066\u20692\u200b", "Till 2"),
            ("Till\u2028 2\x00", "Till 2"),
            ("Cafe\u0301", "Caf\u00e9"),
            ("\u202e\u200b", ""),
            ("", ""),
            ("Kasse \u20bf \u2013 M\u00fcnchen", "Kasse \u20bf \u2013 M\u00fcnchen"),
        ],
    )
    def test_keeps_what_people_see(self, typed, kept):
        assert one_line(typed) == kept
