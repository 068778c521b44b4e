"""Approvals: what waits for an Owner, each with all that a decision needs; one or several under one code.

Each row travels with the hash of what it shows. The code that is spent confirms exactly the rows, hashes,
decision and reason that arrive with it: a row that is another by then refuses the whole POST.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property

from merchants import team
from merchants.backoffice.access import Act
from merchants.backoffice.forms import StepUpForm
from merchants.models import Membership
from payments import approvals, contacts, doorbell, tasks
from payments.contacts import Familiarity
from payments.models import Withdrawal

APPROVE, DECLINE = "approve", "decline"
MOST = 50
"""Rows on a page; who has more decides on these first."""


class DecisionForm(StepUpForm):
    """Which rows, what of them, and why. seen: by number, the hash of what the page showed."""

    reason = forms.CharField(
        label="Reason",
        max_length=approvals.LONGEST_REASON,
        help_text="Kept with the withdrawal and in the audit: an invoice number, who was asked.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Say why."},
    )
    decision = forms.ChoiceField(
        choices=[(APPROVE, "Approve"), (DECLINE, "Decline")],
        error_messages={"required": "Approve or decline.", "invalid_choice": "Approve or decline."},
    )
    field_order = ("reason", "code")

    @property
    def seen(self) -> Mapping[int, str]:
        data: Any = self.data
        numbers = [int(text) for text in data.getlist("chosen") if text.isdecimal() and len(text) < 11]
        return {number: str(data.get(f"hash-{number}", ""))[:64] for number in numbers}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.seen:
            self.add_error(None, "Choose at least one withdrawal.")
        return cleaned


@dataclass(frozen=True)
class Row:
    """A withdrawal that waits, as its card shows it.

    hash: of what is shown. is_own: the person at the desk asked for it. chosen: was ticked before.
    """

    withdrawal: Withdrawal
    hash: str
    familiarity: Familiarity
    is_own: bool
    chosen: bool


class Approvals(Act):
    """The inbox."""

    act: ClassVar[str] = "withdrawals.approve"
    tab, title = "approvals", "Approvals"
    template_name = "backoffice/approvals/list.html"
    form_class = DecisionForm

    def waiting(self) -> list[Withdrawal]:
        return list(approvals.waiting(self.merchant)[: MOST + 1])

    def context(self) -> dict[str, Any]:
        return super().context() | {"rail": "approvals"}

    def show(self, form: Any, *, status: int = 200) -> HttpResponse:
        waiting = self.waiting()
        chosen = form.seen if form.is_bound else {}
        rows = [self._row(withdrawal, chosen) for withdrawal in waiting[:MOST]]
        context = {
            "form": form,
            "rows": rows,
            "more": len(waiting) > MOST,
            "others": self._other_owners(),
            "settled": team.may_move_money(self.membership, self.now),
        }
        return self.render(context, status=status)

    def _row(self, withdrawal: Withdrawal, chosen: Mapping[int, str]) -> Row:
        return Row(
            withdrawal=withdrawal,
            hash=approvals.content_hash(withdrawal),
            familiarity=contacts.familiarity(
                merchant=self.merchant,
                currency=withdrawal.pays.currency,
                address=withdrawal.address,
                tag=withdrawal.tag,
            ),
            is_own=withdrawal.requested_by_id == self.person.pk,
            chosen=withdrawal.operation.wire_id in chosen,
        )

    def _other_owners(self) -> int:
        others = Membership.objects.for_merchant(self.merchant).exclude(user=self.person)
        return sum(1 for one in others if one.may("withdrawals.approve"))

    def perform(self, form: Any) -> HttpResponse:
        common: dict[str, Any] = {
            "merchant": self.merchant,
            "by": self.membership,
            "reason": form.cleaned_data["reason"],
            "now": self.now,
            **self.how(),
        }
        try:
            if form.cleaned_data["decision"] == APPROVE:
                decided = approvals.approve(seen=form.seen, **common)
                doorbell.ring(tasks.SEND_APPROVED)
                return self._decided(decided, "approved")
            decided = approvals.decline(numbers=list(form.seen), **common)
        except Withdrawal.DoesNotExist as missing:
            raise Http404 from missing
        return self._decided(decided, "declined, and the money is available again")

    def _decided(self, decided: list[Withdrawal], what: str) -> HttpResponse:
        count = "The withdrawal is" if len(decided) == 1 else f"{len(decided)} withdrawals are"
        return self.done(f"{count} {what}.", "approvals")


class Approval(Approvals):
    """One of them: where the mail's link leads. What is no longer waiting is shown as it is now."""

    title = "Approval"
    template_name = "backoffice/approvals/one.html"

    @cached_property
    def withdrawal(self) -> Withdrawal | None:
        waiting = approvals.waiting(self.merchant)
        return waiting.filter(operation__wire_id=self.kwargs["number"]).first()

    def waiting(self) -> list[Withdrawal]:
        return [self.withdrawal] if self.withdrawal else []

    def get(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.withdrawal is None:
            where = {"client_id": self.merchant.wire_id, "number": self.kwargs["number"]}
            return HttpResponseRedirect(reverse("transaction", kwargs=where))
        return super().get(request, *args, **kwargs)
