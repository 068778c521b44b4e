"""The ledger: double entry, append-only, zero-sum per currency. The only writer of postings.

`post_many` books a sequence of entries in five statements: accounts found or opened, the merchants'
accounts locked in id order, entries, balances, postings. The database judges: every entry sums to zero per
currency, arrives whole, and continues each merchant account's numbered chain of balances; a key books
once. It is meant to be the last thing a transaction does, so that accounts are locked briefly.

Signs: what the house owes is positive (a merchant's balance, our income), what it owns is negative.
"""

from __future__ import annotations

from payments.ledger.lines import (
    AccountKey,
    InsufficientFunds,
    Line,
    NewEntry,
    Unbalanced,
    at_processor,
    available,
    credit,
    held,
    house,
    reclaim,
)
from payments.ledger.posting import open_accounts, post, post_many
from payments.ledger.reading import (
    LAST_BALANCE_AFTER,
    Balance,
    BookedEntry,
    BookedLine,
    balances,
    entries_about,
    of_house,
    undo,
)
from payments.models.account import AccountKind

__all__ = [
    "LAST_BALANCE_AFTER",
    "AccountKey",
    "AccountKind",
    "Balance",
    "BookedEntry",
    "BookedLine",
    "InsufficientFunds",
    "Line",
    "NewEntry",
    "Unbalanced",
    "at_processor",
    "available",
    "balances",
    "credit",
    "entries_about",
    "held",
    "house",
    "of_house",
    "open_accounts",
    "post",
    "post_many",
    "reclaim",
    "undo",
]
