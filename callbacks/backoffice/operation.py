"""A transaction in whole: its money, its timeline, its ledger lines, and what the merchant was told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from callbacks import mailbag
from callbacks.mailbag import Letter
from callbacks.models import OutgoingState
from merchants.backoffice.access import Page
from payments import ledger
from payments.backoffice import story
from payments.models import Operation, OperationStatus

_PEOPLE = ("requested_by", "decided_by", "api_key", "outcome_said_by", "outcome_agreed_by")
"""Whom a withdrawal's timeline names."""


@dataclass(frozen=True)
class Moment:
    """One line of a timeline."""

    at: datetime
    text: str
    tone: str = ""


class OperationPage(Page):
    act, tab, title = "transactions.view", "transactions", "Transaction"
    template_name = "backoffice/callbacks/operation.html"

    def get(self, request: HttpRequest, client_id: int, number: int) -> HttpResponse:
        found = Operation.objects.for_merchant(self.merchant).for_bodies()
        people = [f"withdrawal__{who}" for who in _PEOPLE]
        related = ("address", "rate", "terms", "withdrawal__processor", *people)
        operation = found.select_related(*related).filter(wire_id=number).first()
        if operation is None:
            raise Http404
        letters = mailbag.of_operation(operation)
        entries = ledger.entries_about(operation.subject)
        context: dict[str, Any] = {
            "operation": operation,
            "withdrawal": getattr(operation, "withdrawal", None),
            "legs": operation.legs.all(),
            "on_chain": any(leg.txid for leg in operation.legs.all()),
            "fees": operation.fees.all(),
            "entries": entries,
            "letters": letters,
            "timeline": _timeline(operation, entries, letters),
        }
        return self.render(context)


def _timeline(operation: Operation, entries: list[ledger.BookedEntry], letters: list[Letter]) -> list[Moment]:
    """What happened, oldest first. Bookings and callbacks are dated by the database's own clock."""
    withdrawal = getattr(operation, "withdrawal", None)
    moments = [Moment(operation.created_at, "Asked for" if operation.address is None else "Seen")]
    if withdrawal is not None:
        moments = [Moment(step.at, step.text, step.tone) for step in story.of(withdrawal)]
    elif operation.address and operation.address.taken_at:
        moments.append(Moment(operation.address.taken_at, "Address issued"))
    moments += [Moment(entry.booked_at, _booking(entry), "good") for entry in entries]
    moments += [moment for letter in letters for moment in _told(letter)]
    if operation.status == OperationStatus.CANCELLED and withdrawal is None:
        text = f"Cancelled: {operation.error}" if operation.error else "Cancelled"
        moments.append(Moment(operation.changed_at, text, "bad"))
    return sorted(moments, key=lambda moment: moment.at)


def _booking(entry: ledger.BookedEntry) -> str:
    ours = [line for line in entry.lines if line.account in {"available", "held", "receivable"}]
    amounts = ", ".join(f"{line.amount:+f} {line.currency} {line.account}" for line in ours)
    return f"Booked {amounts}" if amounts else "Booked"


def _told(letter: Letter) -> list[Moment]:
    row = letter.callback
    moments = []
    for one in row.tries.all():
        answer = f"answered {one.status}" if one.status else one.error
        tone = "good" if one.status == 200 else "bad"
        moments.append(Moment(one.at, f"Callback {row.version}, try {one.number}: {answer}", tone))
    if row.state == OutgoingState.UNADDRESSED:
        moments.append(Moment(row.created_at, f"Callback {row.version}: nowhere to send it"))
    return moments
