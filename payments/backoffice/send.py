"""Send: what sending would do is shown first, and done by a second POST with a fresh code.

The form carries a token that becomes the withdrawal's foreign id, so that a double click, the back button
or a reload make one withdrawal and not two. It also carries a fingerprint of what was shown: when a fee, a
limit or anything else is another by then, the page shows it again instead of sending.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from http import HTTPStatus
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property

from merchants.backoffice.access import Act
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.errors import Refusal
from merchants.models import Membership
from merchants.one_line import one_line
from payments import contacts, doorbell, receiving, tasks, terms, withdrawals
from payments.backoffice.amounts import AmountField
from payments.models import WITHDRAWALS, Contact, Limit, Operation, Origin
from payments.terms import Offer

LOOK, EDIT, SEND = "look", "edit", "send"
"""The form's three buttons: show what it would do, go back to the fields, do it."""
_PLAIN_TEXT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class SendForm(StepUpForm):
    """An order to pay out, and what sending it would do.

    preview: what the verb would do now; None as long as something is wrong. changed: it is not what the
    person saw. What is required depends on the other fields, so browsers are not told.
    """

    use_required_attribute = False

    contact = forms.TypedChoiceField(label="Contact", required=False, coerce=int, empty_value=None)
    address = forms.CharField(
        label="Address",
        max_length=150,
        widget=forms.TextInput(attrs=_PLAIN_TEXT),
        error_messages={"required": "Choose a contact or give an address."},
    )
    tag = forms.CharField(
        label="Tag",
        required=False,
        max_length=40,
        help_text="Where the network needs one: without it the money may be lost.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )
    convert_to = forms.ChoiceField(label="Convert to", required=False)
    amount = AmountField(label="Amount", error_messages={"required": "Give the amount."})
    amount_to = AmountField(
        label="Amount to arrive",
        required=False,
        help_text="Instead of the amount: what is debited is then reckoned at the price of the moment.",
    )
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=255,
        help_text="For your team; it is not sent along.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    token = forms.RegexField(
        regex=r"\A[0-9a-f]{24}\Z",
        widget=forms.HiddenInput,
        error_messages={"required": "Look again before you send.", "invalid": "Look again before you send."},
    )
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    field_order = ("contact", "address", "tag", "convert_to", "amount", "amount_to", "note", "code")

    def __init__(self, data: Any, *, page: Send, **options: Any) -> None:
        super().__init__(data, **options)
        self.page = page
        self.order: withdrawals.Order | None = None
        self.preview: withdrawals.Preview | None = None
        self.step = self.data.get("step", LOOK)
        self.fields["code"].required = self.step == SEND
        self._offer_choices()
        self.fields["amount"].required = not self.data.get("amount_to")
        self.fields["address"].required = not self.data.get("contact")

    def _offer_choices(self) -> None:
        code, targets = self.page.offer.currency.code, self.page.targets
        fields: dict[str, Any] = self.fields
        keep = [("", f"No, send {code}")] if self.page.offer.currency.is_crypto else [("", "Choose")]
        fields["convert_to"].choices = [*keep, *((to, f"{to}: {_named(one)}") for to, one in targets.items())]
        known = self.page.contacts
        fields["contact"].choices = [
            ("", "Type an address below"),
            *((one.pk, f"{one.name} ({one.currency})") for one in known.values()),
        ]
        if not targets:
            del self.fields["convert_to"], self.fields["amount_to"]
        if not known:
            del self.fields["contact"]
        if not any(offer.currency.takes_tag for offer in (self.page.offer, *targets.values())):
            del self.fields["tag"]

    @property
    def is_shown(self) -> bool:
        """Whether the page shows what would happen, rather than the fields."""
        return self.preview is not None and self.step != EDIT

    @property
    def fingerprint(self) -> str:
        """Of everything that the page shows of the order and its consequences."""
        order, seen = self.order, self.preview
        if order is None or seen is None:
            return ""
        shown: list[Any] = [order.address, order.tag, order.note, seen.limit, seen.is_internal]
        for money in (seen.money, seen.pays, seen.fee, seen.mining_fee, seen.held):
            shown += [f"{money.amount:f}", money.currency]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()

    @property
    def changed(self) -> bool:
        return self.step == SEND and self.cleaned_data.get("seen") != self.fingerprint

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._take_contact(cleaned)
        wrong = {name for name in self.errors if name not in {"code", "seen"}}
        if not wrong:
            self._look(cleaned)
        return cleaned

    def _take_contact(self, cleaned: dict[str, Any]) -> None:
        """A chosen contact is the destination; typing one beside it leaves open which was meant."""
        contact = self.page.contacts.get(cleaned.get("contact") or 0)
        if contact is None:
            return
        if cleaned.get("address") not in {"", contact.address}:
            self.add_error("address", f"This is not the address of {contact.name}. Choose one or the other.")
            return
        sends = cleaned.get("convert_to") or self.page.offer.currency.code
        if contact.currency != sends:
            self.add_error(
                "contact", f"{contact.name} takes {contact.currency}, and you are sending {sends}."
            )
            return
        cleaned["address"], cleaned["tag"] = contact.address, contact.tag or ""

    def _look(self, cleaned: dict[str, Any]) -> None:
        self.order = withdrawals.Order(
            foreign_id=f"bo-{cleaned['token']}",
            currency=self.page.offer.currency.code,
            address=cleaned["address"].strip(),
            amount=cleaned.get("amount"),
            amount_to=cleaned.get("amount_to"),
            convert_to=cleaned.get("convert_to") or "",
            tag=(cleaned.get("tag") or "").strip() or None,
            note=one_line(cleaned.get("note", "")),
        )
        try:
            self.preview = withdrawals.preview(
                merchant=self.page.merchant,
                order=self.order,
                origin=Origin.STAFF,
                by=self.page.membership,
                now=self.page.now,
            )
        except Refusal as refusal:
            self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> None:
        """Several fields at once, where the verb found several things wrong."""
        if not isinstance(refusal, withdrawals.Wrong):
            super().refuse(refusal)
            return
        for name, sentence in refusal.sentences.items():
            self.add_error(name if name in self.fields else None, sentence)


class Send(Act):
    act, tab, title = "withdrawals.create", "balances", "Send"
    template_name = "backoffice/withdrawals/send.html"

    @cached_property
    def offer(self) -> Offer:
        """The currency to send from; fiat where it can be converted."""
        code = self.kwargs["currency"]
        offer = terms.enabled(merchant_id=self.merchant.pk, now=self.now, among=[code]).get(code)
        if offer is None or not (offer.currency.is_crypto or self._targets_of(code)):
            raise Http404
        return offer

    @cached_property
    def targets(self) -> dict[str, Offer]:
        return self._targets_of(self.offer.currency.code)

    def _targets_of(self, code: str) -> dict[str, Offer]:
        targets = receiving.targets(merchant=self.merchant, currency=code, now=self.now)
        return {to: offer for to, offer in targets.items() if offer.currency.is_crypto}

    @cached_property
    def contacts(self) -> dict[int, Contact]:
        """Those that take the currency or what it can be converted to."""
        known = contacts.of(self.merchant)
        return {one.pk: one for one in known.filter(currency__in=[self.offer.currency.code, *self.targets])}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        token = request.POST.get("token", "")
        sent = self._sent_already(token)
        if sent:
            return sent
        answer = super().post(request, *args, **kwargs)
        refused = answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        return (self._sent_already(token) if refused else None) or answer  # its twin was faster

    def _sent_already(self, token: str) -> HttpResponseRedirect | None:
        """Where a form leads that was sent before, by a double click or the back button."""
        if not (token.isascii() and token.isalnum()):
            return None
        mine = Operation.objects.for_merchant(self.merchant).filter(kind__in=WITHDRAWALS)
        made = mine.filter(foreign_id=f"bo-{token}").first()
        if made is None:
            return None
        return self.done("This was asked for already, once: here it is.", "transaction", number=made.wire_id)

    def form(self, data: Any = None) -> BackofficeForm:
        return SendForm(data, page=self, initial={"token": secrets.token_hex(12)})

    def holds_back(self, form: Any) -> bool:
        return bool(form.step != SEND or form.changed)

    def perform(self, form: Any) -> HttpResponse:
        try:
            made = withdrawals.request(
                merchant=self.merchant,
                order=form.order,
                origin=Origin.STAFF,
                by=self.membership,
                now=self.now,
                **self.how(),
            )
        except withdrawals.ForeignIdTaken:
            sent = self._sent_already(form.cleaned_data["token"])
            if sent is None:
                raise
            return sent
        doorbell.ring(tasks.SEND_APPROVED)
        return self.done(_outcome(made), "transaction", number=made.wire_id)

    def show(self, form: Any, *, status: int = 200) -> HttpResponse:
        others = _other_owners(self.membership)
        context = {"form": form, "offer": self.offer, "preview": form.preview, "others": others}
        return self.render(context, status=status)


def _other_owners(membership: Membership) -> int:
    """How many there are who could ever approve what this person asks for."""
    team = Membership.objects.for_merchant(membership.merchant).exclude(pk=membership.pk)
    return sum(1 for one in team if one.may("withdrawals.approve"))


def _outcome(made: Operation) -> str:
    row = made.withdrawal
    if row.limit == Limit.NONE:
        return "The withdrawal is on its way." if not row.is_internal else "The money is being moved."
    return "The money is held, and the withdrawal waits for another Owner."


def _named(offer: Offer) -> str:
    currency = offer.currency
    return f"{currency.name} on {currency.network.name}" if currency.network else currency.name
