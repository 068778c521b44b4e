"""Stand-ins for the outside world where a test is about us and not about the wire."""

from __future__ import annotations

from collections.abc import Sequence

from payments.money import Money
from payments.processors.base import Issued, Pair, Quote, Unreachable


class FakeOutbound:
    """A processor that answers from memory. Set `silent` and it cannot be reached."""

    def __init__(self, quotes: Sequence[Quote] = ()) -> None:
        self.silent = False
        self.asked: list[str] = []
        self._quotes = list(quotes)

    def issue(self, *, currency: str, convert_to: str | None, references: Sequence[str]) -> list[Issued]:
        self._answer()
        self.asked += references
        return [
            Issued(
                reference=reference,
                currency=currency,
                convert_to=convert_to,
                address=f"2N{currency}{reference}",
                tag=None,
                external_id=f"up-{reference}",
            )
            for reference in references
        ]

    def quotes(self, pairs: Sequence[Pair] = ()) -> list[Quote]:
        self._answer()
        return [quote for quote in self._quotes if not pairs or quote.pair in pairs]

    def balances(self) -> list[Money]:
        self._answer()
        return []

    def _answer(self) -> None:
        if self.silent:
            raise Unreachable("no answer")
