"""Withdrawals under way: those whose outcome is unknown or that hang, one with its exact order, and the two
people who say what became of it.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property

from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from payments import contacts, outcomes
from payments.backoffice import story
from payments.models import Outcome, Withdrawal, WithdrawalState

MOST = 100
OPEN = (WithdrawalState.UNKNOWN, WithdrawalState.SENT)
"""Of which two people may say what became of them."""
_UNDER_WAY = (
    WithdrawalState.UNKNOWN,
    WithdrawalState.SENDING,
    WithdrawalState.SENT,
    WithdrawalState.APPROVED,
)
"""Neither final nor waiting for an Owner, what needs people first."""


class UnderWay(Page):
    """The unknown ones, the stuck ones, and what is simply under way."""

    act, tab, title = "transactions.view", "transactions", "Unknown and stuck"
    template_name = "backoffice/withdrawals/open.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        rows = Withdrawal.objects.for_merchant(self.merchant).filter(state__in=_UNDER_WAY)
        found = list(rows.select_related("operation", "processor").order_by("requested_at")[:MOST])
        unknown = [row for row in found if row.state == WithdrawalState.UNKNOWN]
        stuck = [row for row in found if row.state != WithdrawalState.UNKNOWN and row.stuck_at]
        others = [row for row in found if row.state != WithdrawalState.UNKNOWN and not row.stuck_at]
        return self.render({"unknown": unknown, "stuck": stuck, "others": others})


class _OfWithdrawal:
    """The withdrawal that the URL names; another merchant's is as good as missing."""

    merchant: Any
    kwargs: dict[str, Any]

    @cached_property
    def withdrawal(self) -> Withdrawal:
        rows = Withdrawal.objects.for_merchant(self.merchant).select_related(
            *("operation", "processor", "requested_by", "decided_by", "api_key"),
            *("outcome_said_by", "outcome_agreed_by"),
        )
        found = rows.filter(operation__wire_id=self.kwargs["number"]).first()
        if found is None:
            raise Http404
        return found

    def facts(self) -> dict[str, Any]:
        """What both pages show of it."""
        one = self.withdrawal
        familiarity = contacts.familiarity(
            merchant=self.merchant, currency=one.pays.currency, address=one.address, tag=one.tag
        )
        return {
            "one": one,
            "familiarity": familiarity,
            "steps": story.of(one),
            "order": _order(one),
            "why": outcomes.why_not_retry(one),
            "is_open": one.state in OPEN,
        }


class WithdrawalPage(_OfWithdrawal, Page):
    act, tab, title = "transactions.view", "transactions", "Withdrawal"
    template_name = "backoffice/withdrawals/detail.html"

    def get(self, request: HttpRequest, client_id: int, number: int) -> HttpResponse:
        return self.render(self.facts())


class SayForm(StepUpForm):
    """What the first person says."""

    outcome = forms.ChoiceField(
        label="What became of it",
        choices=Outcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Say what became of it."},
    )
    txid = forms.CharField(
        label="Transaction on the chain (txid)",
        required=False,
        max_length=150,
        help_text="Of the payment, when it was paid.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(
        label="How you know",
        max_length=255,
        help_text="Whom you asked at the processor, what you saw on the chain. The second person reads it.",
        error_messages={"required": "Say how you know."},
    )
    field_order = ("outcome", "txid", "reason", "code")


class Resolve(_OfWithdrawal, Act):
    """The first person says what became of an unknown withdrawal; a second one, who looks alike, agrees."""

    act, tab, title = "withdrawals.approve", "transactions", "What became of it"
    template_name = "backoffice/withdrawals/resolve.html"

    @property
    def is_second(self) -> bool:
        """Whether somebody has said something already that this person may agree to."""
        return bool(self.withdrawal.outcome) and self.withdrawal.outcome_said_by_id != self.person.pk

    def form(self, data: Any = None) -> BackofficeForm:
        agreeing = self.is_second and (data is None or data.get("act") == "agree")
        return StepUpForm(data) if agreeing else SayForm(data)

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        context = {"form": form, "agreeing": not isinstance(form, SayForm), "is_second": self.is_second}
        return self.render(context | self.facts(), status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        common: dict[str, Any] = {"by": self.person, "now": self.now, **self.how()}
        number = self.withdrawal.operation.wire_id
        if not isinstance(form, SayForm):
            outcomes.agree(withdrawal=self.withdrawal, outcome=self.request.POST.get("outcome", ""), **common)
            return self.done("Two people agree: the withdrawal is closed.", "transaction", number=number)
        given = form.cleaned_data
        outcomes.say(
            withdrawal=self.withdrawal,
            outcome=Outcome(given["outcome"]),
            txid=given["txid"].strip(),
            reason=given["reason"],
            **common,
        )
        return self.done(
            "Noted. A second Owner must agree before anything is booked.", "withdrawal", number=number
        )


def _order(withdrawal: Withdrawal) -> str:
    """The exact stored bytes, readable; they carry neither key nor signature. Empty before they exist."""
    return bytes(withdrawal.prepared or b"").decode("utf-8", "backslashreplace")
