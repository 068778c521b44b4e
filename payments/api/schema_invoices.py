"""The description of the calls about invoices."""

from __future__ import annotations

from payments.api import invoices
from payments.api import schema_answers as answers
from payments.api.schema_answers import Schema
from payments.api.schema_call import Call

INVOICE_EXAMPLE: Schema = {
    "id": 500028,
    "url": "https://pay.example.com/invoice/zeUBm1V8Gq3kLx0oRt5c7w",
    "foreign_id": "order-200",
    "address": "2N4Q5FhU2497BryFfUgbqkAJE87aKHUhXMp",
    "title": "Order 200",
    "name": "Order 200",
    "status": "pending",
    "currency": "EUR",
    "amount": "106.75000000",
    "sender_currency": "BTC",
    "sender_amount": "0.00180000",
    "fixed_at": 1790000000,
    "release_at": 1790000900,
    "seconds_left": 900,
}
_GIVEN: Schema = {
    "timer": True,
    "title": "Order 200",
    "currency": "EUR",
    "sender_currency": "BTC",
    "amount": "106.75",
    "foreign_id": "order-200",
    "url_success": "https://shop.example/thanks",
    "url_failed": "https://shop.example/again",
    "email_user": "ann@example.org",
}
_LATER = "Null until the payer has chosen a currency."


def _or_null(schema: Schema) -> Schema:
    """With its description outside, where one reads it."""
    return {"anyOf": [schema, {"type": "null"}], "description": schema.get("description", "")}


def _moment(description: str) -> Schema:
    whole = {"type": "integer", "minimum": 0, "description": description}
    return _or_null(whole)


COMPONENTS: dict[str, Schema] = {
    "Invoice": answers.closed(
        "An invoice as it stands. What its payer has not chosen yet is null.",
        INVOICE_EXAMPLE,
        ("tag",),
        id=answers.number("Number of the invoice; callbacks name it too."),
        url=answers.text("The page where it is paid.", format="uri"),
        foreign_id=answers.text("As it was given.", minLength=1, maxLength=255),
        address=_or_null(answers.text(f"Where to pay. {_LATER}", minLength=1)),
        tag=answers.text("Tag or memo that the payment must carry. Absent where there is none."),
        title=answers.text("As it was given, without unseen characters.", minLength=1),
        name=answers.text("The same, for older clients.", minLength=1),
        status=answers.text(
            "Where it stands.", enum=["created", "pending", "processing", "confirmed", "failed"]
        ),
        currency=answers.CODE,
        amount=answers.amount("What the merchant gets, before the fee, in `currency`."),
        sender_currency=_or_null(dict(answers.CRYPTO_CODE)),
        sender_amount=_or_null(answers.amount(f"What to send, in `sender_currency`. {_LATER}")),
        fixed_at=_moment("From when the rate is held, Unix seconds. Null while none is."),
        release_at=_moment(
            "Until when it can be paid, Unix seconds; once the whole amount was seen, until"
            " when it must be confirmed. Null while no rate is held."
        ),
        seconds_left=_moment("Seconds until then, never below 0. Null while no rate is held."),
    ),
    "UnknownInvoice": answers.closed(
        "The merchant has no invoice of this foreign id.",
        {"errors": {"foreign_id": "The selected foreign id is invalid."}},
        errors={"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    ),
}

CALLS = (
    Call(
        "invoices/create",
        invoices.InvoicesCreate,
        "Ask for payment",
        "A page where a customer pays. Without `timer` the payer chooses a currency and has 15 minutes from"
        " then on; with it the rates are held from now on; with it and `sender_currency` the answer already"
        " holds the address and the amount to send. A refused call leaves its `foreign_id` free.",
        (200, answers.data(answers.reference("Invoice"))),
        invoices.CreateInvoiceParams,
        _GIVEN,
        INVOICE_EXAMPLE,
    ),
    Call(
        "invoices/{foreign_id}/cancel",
        invoices.InvoicesCancel,
        "Give an invoice up",
        "Fails an invoice that is created, pending or processing. Money that has come or still comes to its"
        " address stays the payer's.",
        (200, answers.data(answers.reference("Invoice"))),
        got=INVOICE_EXAMPLE | {"status": "failed", "seconds_left": 0},
        in_path={"foreign_id": "The invoice, as the merchant called it; a slash in it as %2F."},
        refuses={404: answers.reference("UnknownInvoice")},
    ),
)

MEANINGS = {
    "timer": "Whether a rate is held from now on.",
    "title": "What the payer reads first. Control characters are taken out.",
    "type": "What the payer is told about parts; they are summed either way. Absent: fill_or_kill.",
    "description": "More for the payer to read.",
    "sender_currency": "What the payer pays in. Without `timer` it is only proposed.",
    "amount": "What the merchant shall get, before the fee, in `currency`; at most 8 decimals.",
    "url_success": "Where the page leads when the invoice is paid: http or https.",
    "url_failed": "Where it leads when the invoice has failed: http or https.",
    "email_user": "Where the payer is reached. Absent: the page asks.",
}
