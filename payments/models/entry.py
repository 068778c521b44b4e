"""Ledger entries and their postings. Append-only, zero-sum per currency, enforced by the database.

All postings of an entry arrive in one INSERT; a statement trigger refuses any that do not sum to zero per
currency, that join an entry already posted, or whose `seq` and `balance_after` do not continue their
account. An entry without postings is refused at commit.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from payments.models.account import Account
from payments.models.columns import AmountField, CurrencyField, is_number


class Entry(models.Model):
    """One event in the books.

    key: what makes it happen once ('deposit:17:1'); subject: what it is about ('operation:17');
    occurred_at: business time; booked_at: the database's clock.
    """

    key = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=30)
    subject = models.CharField(max_length=60)
    occurred_at = models.DateTimeField()
    booked_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "entries"
        indexes = [models.Index(fields=["subject", "id"], name="entry_subject")]

    def __str__(self) -> str:
        return self.key


class Posting(models.Model):
    """`amount` (signed) on one account. Kept accounts number theirs and note the balance after each."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="postings")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings")
    currency = CurrencyField()
    amount = AmountField()
    seq = models.BigIntegerField(null=True)
    balance_after = AmountField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "seq"], name="posting_number_is_unique"),
            models.CheckConstraint(condition=is_number("amount"), name="posting_amount_is_a_number"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="posting_amount_is_not_zero"),
            models.CheckConstraint(
                condition=models.Q(seq__isnull=True, balance_after__isnull=True)
                | models.Q(seq__gte=1, balance_after__isnull=False),
                name="posting_numbered_and_balanced_together",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"
