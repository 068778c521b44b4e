"""What a payer is asked before paying: the currency, and where to reach them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from payments import invoices
from payments.invoice_quotes import Quote
from payments.models import Invoice


class ChoiceForm(forms.Form):
    """`quotes`: what is offered at this moment, as shown beside each choice."""

    currency = forms.ChoiceField(
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose what to pay in."),
            "invalid_choice": _("This is not offered any more. Choose another."),
        },
    )
    email = forms.EmailField(
        max_length=254,
        error_messages={
            "required": _("We need an address to reach you, should something be paid back."),
            "invalid": _("This does not look like an e-mail address."),
        },
    )

    def __init__(self, *args: Any, invoice: Invoice, now: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        self.quotes: list[Quote] = invoices.offered(invoice=invoice, now=now)
        choices = [(quote.sent.currency, quote.sent.currency) for quote in self.quotes]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField's
        self.fields["email"].initial = invoice.email_user
        self.fields["email"].required = not invoice.email_user
