"""Reading the books: balances, what was booked about a subject, and what would undo it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Sum

from merchants.models import Merchant
from payments.ledger.lines import Line, reclaim
from payments.models.account import AccountKind
from payments.models.entry import Entry, Posting
from payments.money import Money


def undo(subject: str) -> list[Line]:
    """What undoes all that `subject` has booked: what a merchant got is reclaimed, the rest negated."""
    sums = (
        Posting.objects.filter(entry__subject=subject)
        .values_list("account__merchant_id", "account__processor_id", "currency", "account__kind")
        .annotate(total=Sum("amount"))
        .exclude(total=0)
        .order_by("account__kind")
    )
    given: dict[int, Money] = {}
    lines: list[Line] = []
    for merchant_id, processor_id, currency, kind, total in sums:
        money = Money(total, currency)
        if kind in {AccountKind.AVAILABLE, AccountKind.RECEIVABLE}:
            given[merchant_id] = given.get(merchant_id, Money.zero(currency)) + money
        else:
            lines.append(Line(AccountKind(kind), -money, merchant_id, processor_id))
    return lines + [reclaim(merchant_id, money) for merchant_id, money in given.items()]


LAST_BALANCE_AFTER = """
SELECT posting.balance_after
  FROM payments_entry AS entry
  JOIN payments_posting AS posting ON posting.entry_id = entry.id
  JOIN payments_account AS account ON account.id = posting.account_id AND account.kind = 'available'
 WHERE entry.subject = {subject}
 ORDER BY posting.id DESC LIMIT 1
"""
"""A merchant's available balance after the last booking about a subject, for other statements to join."""


def of_house(kind: AccountKind) -> dict[str, Decimal]:
    """What an account of the house comes to, by currency: the sum of its postings, where it is not zero."""
    mine = Posting.objects.filter(account__kind=kind, account__merchant=None, account__processor=None)
    sums = mine.order_by().values_list("currency").annotate(total=Sum("amount")).exclude(total=0)
    return dict(sums)


@dataclass(frozen=True, slots=True)
class BookedLine:
    """A posting as people read it."""

    account: str
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """An entry as people read it."""

    key: str
    booked_at: datetime
    lines: list[BookedLine]


def entries_about(subject: str) -> list[BookedEntry]:
    """What was booked about `subject`, oldest first."""
    entries = Entry.objects.filter(subject=subject).order_by("id").prefetch_related("postings__account")
    return [
        BookedEntry(
            entry.key,
            entry.booked_at,
            [BookedLine(row.account.kind, row.currency, row.amount) for row in entry.postings.all()],
        )
        for entry in entries
    ]


@dataclass(frozen=True, slots=True)
class Balance:
    """A merchant's standing in one currency; debt is what the merchant owes us, positive."""

    currency: str
    available: Decimal
    held: Decimal
    debt: Decimal


def balances(merchant: Merchant | int) -> list[Balance]:
    """Every currency of the merchant that was ever opened, in the order of opening."""
    merchant_id = merchant if isinstance(merchant, int) else merchant.pk
    found: dict[str, dict[str, Decimal]] = {}
    with connection.cursor() as cursor:  # the ORM cost three times the query itself
        cursor.execute(_BALANCES, [merchant_id])
        for currency, kind, balance in cursor.fetchall():
            found.setdefault(currency, {})[kind] = balance
    return [_balance(currency, kinds) for currency, kinds in found.items()]


_BALANCES = """
SELECT currency, kind, balance FROM payments_account WHERE merchant_id = %s AND kept ORDER BY id
"""


def _balance(currency: str, kinds: dict[str, Decimal]) -> Balance:
    zero = Decimal(0)
    return Balance(
        currency=currency,
        available=kinds.get(AccountKind.AVAILABLE, zero),
        held=kinds.get(AccountKind.HELD, zero),
        debt=-kinds.get(AccountKind.RECEIVABLE, zero),
    )
