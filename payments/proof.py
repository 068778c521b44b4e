"""The proof of everything: the books, each withdrawal beside them, and the audit's chain.

`first_flaw` needs a database and nothing else; it names the first row that is wrong and says in what way.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from merchants import audit
from payments.ledger import AccountKey, AccountKind, proof
from payments.ledger.proof import Flaw
from payments.models import Withdrawal, WithdrawalState
from payments.models.withdrawal import OPEN

__all__ = ["Flaw", "first_flaw"]


def first_flaw() -> Flaw | None:
    """The first row that is wrong, the books' before the withdrawals' before the audit's; None for none."""
    walks: tuple[Callable[[], Flaw | None], ...] = (_of_books, _of_withdrawals, _of_audit)
    return next(filter(None, (walk() for walk in walks)), None)


def _of_books() -> Flaw | None:
    return next(proof.flaws(), None)


def _of_withdrawals() -> Flaw | None:
    """Each is held as it says; closed exactly when it has ended, and to the side on which it ended."""
    for row in Withdrawal.objects.order_by("operation_id").iterator(chunk_size=1000):
        reason = _wrong(row)
        if reason:
            return Flaw(f"{row} (operation {row.operation_id})", reason)
    return None


def _wrong(row: Withdrawal) -> str:
    held = AccountKey(row.merchant_id, None, row.currency, AccountKind.HELD)
    available = held._replace(kind=AccountKind.AVAILABLE)
    hold = proof.amounts_of(f"withdrawal:{row.operation_id}:hold")
    close = proof.amounts_of(f"withdrawal:{row.operation_id}:close")
    if hold != {held: row.held, available: -row.held}:
        return "its hold is not what it says"
    if bool(close) == (row.state in OPEN):
        return f"it is {row.state}, and {'closed' if close else 'not closed'} in the books"
    if not close:
        return ""
    if close.get(held) != -row.held:
        return "its closing takes another amount from what was held"
    given = close.get(available, Decimal(0)) + close.get(
        held._replace(kind=AccountKind.RECEIVABLE), Decimal(0)
    )
    if given != (Decimal(0) if row.state == WithdrawalState.CONFIRMED else row.held):
        return f"it is {row.state}, and its closing gave the merchant {given:f} back"
    return ""


def _of_audit() -> Flaw | None:
    bad = audit.verify()
    return Flaw(f"audit record {bad.number}", bad.reason) if bad else None
