"""Invoices: asked for by merchants, paid by customers, ended by time.

A merchant's `foreign_id` is used once, and the database decides who was first. A payer chooses a currency
once, in however many tabs: one address and one rate. Whoever asks for what cannot be, leaves everything as
it was. What payments do to an invoice is in `invoice_parts`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, connection, transaction

from merchants.errors import Refusal
from merchants.models import Merchant
from payments import addresses, invoice_parts, invoice_quotes, invoice_rules, terms
from payments.addresses import PoolEmpty
from payments.errors import FieldRefusal, SelectedIsInvalid
from payments.invoice_quotes import AmountTooSmall, Price, Prices, Quote
from payments.models import CANCELLED_BY_MERCHANT, Invoice, InvoiceMode, InvoiceStatus, Rate
from payments.money import Money
from payments.processors.base import Pair
from payments.rates import NoRate
from payments.terms import Offer

AT_ONCE = 100
"""How many invoices one step of the sweep ends."""
_CODE_BYTES = 16
_TRIES = 5


class AlreadyTaken(FieldRefusal):
    """The {attr} has already been taken."""

    field = "foreign_id"


class UnknownInvoice(Refusal):
    """The selected foreign id is invalid."""

    field = "foreign_id"


class CannotBeFailed(Refusal):
    """Invoice cannot be failed in its current state."""

    code = "invalid_invoice_state"


class CannotBePaid(Refusal):
    """This invoice can no longer be paid."""


class AlreadyChosen(Refusal):
    """A currency was already chosen for this invoice."""

    field = "sender_currency"


class NotOffered(SelectedIsInvalid):
    """This invoice cannot be paid in the selected currency."""

    field = "sender_currency"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a merchant asks for. sender_currency: what the payer shall pay in, if the merchant decides that.

    timer: a rate is held from now on. Texts are clean, links absolute; whoever asks has seen to that.
    """

    foreign_id: str
    timer: bool
    title: str
    currency: Offer
    amount: Decimal
    url_success: str
    url_failed: str
    mode: InvoiceMode = InvoiceMode.FILL_OR_KILL
    description: str = ""
    sender_currency: Offer | None = None
    email_user: str = ""
    end_user_reference: str | None = None
    sender: Mapping[str, Any] | None = None

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency.currency.code)

    @property
    def is_quoted(self) -> bool:
        """The payer gets an address and a rate at once."""
        return self.timer and self.sender_currency is not None


def create(
    *, merchant: Merchant, asked: Asked, prices: Prices, now: datetime, call_for_more: Callable[[], object]
) -> Invoice:
    """A new invoice: waiting for a choice, or with a rate held, or with its address too.

    prices: `invoice_quotes.prices` of the currencies that it may be paid in. call_for_more: rings the sender
    when no address is free. Raises `AmountTooSmall`, `AmountTooLarge`, `NoRate`, `NoRoute`, `PoolEmpty`,
    `AlreadyTaken`.
    """
    invoice_quotes.demand_within_limits(asked.money, found=prices)
    quoted = None
    if asked.is_quoted and asked.sender_currency is not None:
        quoted = invoice_quotes.quote(asked.money, offer=asked.sender_currency, found=prices)
        invoice_quotes.demand_sendable(asked.money, quoted)
    try:
        return _create(merchant, asked, quoted, prices, now)
    except PoolEmpty:
        if quoted is None:
            raise
        _wait_for_address(merchant, quoted, asked.money, now, call_for_more)
        return _create(merchant, asked, quoted, prices, now)


def choose(
    *,
    code: str,
    currency: str,
    now: datetime,
    call_for_more: Callable[[], object],
    email: str = "",
) -> Invoice:
    """The payer chooses what to pay in: from then on a rate, an amount and an address stand for good.

    Choosing the same again changes nothing. email: where the payer is reached, unless the merchant said so.
    Raises `Invoice.DoesNotExist`, `CannotBePaid`, `NotOffered`, `AlreadyChosen`, `NoRate`, `PoolEmpty`.
    """
    invoice = of_code(code)
    try:
        return _choose(code, currency, email, now)
    except PoolEmpty:
        quoted = _quote_for(invoice, currency, now)
        _wait_for_address(invoice.merchant, quoted, invoice.asked, now, call_for_more)
        return _choose(code, currency, email, now)


def offered(*, invoice: Invoice, now: datetime) -> list[Quote]:
    """What the invoice can be paid in, and how much that would be, in the registry's order."""
    offers = [offer for offer in _offers(invoice.merchant, now).values() if offer.currency.is_crypto]
    found = _held_prices(invoice, [offer.currency.code for offer in offers], now)
    quotes = []
    for offer in offers:
        try:
            quoted = invoice_quotes.quote(invoice.asked, offer=offer, found=found)
            invoice_quotes.demand_sendable(invoice.asked, quoted)
        except (NoRate, AmountTooSmall):
            continue
        quotes.append(quoted)
    return quotes


@transaction.atomic
def cancel(*, merchant: Merchant, foreign_id: str, now: datetime) -> Invoice:
    """The merchant gives it up. Raises `UnknownInvoice`, `CannotBeFailed` once it is confirmed or failed."""
    rows = Invoice.objects.for_merchant(merchant).select_for_update()
    invoice = rows.filter(foreign_id=foreign_id).first()
    if invoice is None:
        raise UnknownInvoice
    if invoice.status in {InvoiceStatus.CONFIRMED, InvoiceStatus.FAILED}:
        raise CannotBeFailed
    invoice_parts.end(invoices=[invoice], now=now, error=CANCELLED_BY_MERCHANT)
    return Invoice.objects.for_merchant(merchant).select_related("address").get(pk=invoice.pk)


@transaction.atomic
def expire_due(*, now: datetime, most: int = AT_ONCE) -> int:
    """Fails the invoices whose time is up, oldest first; returns how many. Others' locked rows are left."""
    rows = Invoice.objects.due(now).order_by("release_at", "id").select_for_update(skip_locked=True)
    over = list(rows[:most])
    if over:
        invoice_parts.end(invoices=over, now=now)
    return len(over)


def of_code(code: str) -> Invoice:
    """The invoice that a payer's link names. Raises `Invoice.DoesNotExist`."""
    rows = Invoice.objects.select_related("merchant", "address").prefetch_related("parts__operation__legs")
    return rows.get(code=code)


# --- creating --------------------------------------------------------------------------------------


def _create(
    merchant: Merchant, asked: Asked, quoted: Quote | None, prices: Prices, now: datetime, tries: int = _TRIES
) -> Invoice:
    try:
        with transaction.atomic():
            return _insert(merchant, asked, quoted, prices, now)
    except IntegrityError as error:
        match _constraint(error):
            case "invoice_foreign_id_is_unique":
                raise AlreadyTaken from None
            case "invoice_wire_id_is_unique" if tries > 1:  # the numbers have come round to one in use
                return _create(merchant, asked, quoted, prices, now, tries - 1)
        raise


def _insert(merchant: Merchant, asked: Asked, quoted: Quote | None, prices: Prices, now: datetime) -> Invoice:
    named = asked.sender_currency
    invoice = Invoice(
        merchant=merchant,
        wire_id=_next_wire_id(),
        foreign_id=asked.foreign_id,
        code=secrets.token_urlsafe(_CODE_BYTES),
        timer=asked.timer,
        mode=asked.mode,
        title=asked.title,
        description=asked.description,
        currency=asked.money.currency,
        amount=asked.amount,
        asked_currency=named.currency.code if named else "",
        quotes=_to_hold(asked, prices) if asked.timer and quoted is None else {},
        url_success=asked.url_success,
        url_failed=asked.url_failed,
        email_user=asked.email_user,
        end_user_reference=asked.end_user_reference,
        sender=dict(asked.sender) if asked.sender else None,
        status=InvoiceStatus.PENDING if asked.timer else InvoiceStatus.CREATED,
        fixed_at=now if asked.timer else None,
        release_at=now + invoice_rules.HELD_FOR if asked.timer else None,
        created_at=now,
        changed_at=now,
    )
    if quoted is not None:
        _hold(invoice, quoted, now)
    invoice.save(force_insert=True)
    return invoice


def _to_hold(asked: Asked, prices: Prices) -> dict[str, int]:
    """The rates of this moment, by the currency that a payer may still choose."""
    return {
        pair.source: price.rate_id
        for pair, price in prices.items()
        if pair.target == asked.money.currency and price.is_fresh
    }


def _next_wire_id() -> int:
    """From the number space that all operations share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('operation_wire_id')")
        return int(cursor.fetchone()[0])


def _constraint(error: IntegrityError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


# --- choosing --------------------------------------------------------------------------------------


@transaction.atomic
def _choose(code: str, currency: str, email: str, now: datetime) -> Invoice:
    invoice = Invoice.objects.select_for_update(of=("self",)).select_related("merchant").get(code=code)
    if invoice.is_chosen and invoice.sender_currency == currency:
        return of_code(code)
    if invoice.status not in {InvoiceStatus.CREATED, InvoiceStatus.PENDING} or invoice.is_over(now):
        raise CannotBePaid
    if invoice.is_chosen:
        raise AlreadyChosen
    _hold(invoice, _quote_for(invoice, currency, now), now)
    invoice.reach(email)
    if invoice.status == InvoiceStatus.CREATED:
        invoice.begin(now, until=now + invoice_rules.HELD_FOR)
    else:
        invoice.touch(now)
    invoice.keep_choice()
    return of_code(code)


def _quote_for(invoice: Invoice, currency: str, now: datetime) -> Quote:
    offer = _offers(invoice.merchant, now, [currency]).get(currency)
    if offer is None or not offer.currency.is_crypto:
        raise NotOffered
    found = _held_prices(invoice, [currency], now)
    quoted = invoice_quotes.quote(invoice.asked, offer=offer, found=found)
    invoice_quotes.demand_sendable(invoice.asked, quoted)
    return quoted


def _held_prices(invoice: Invoice, codes: Iterable[str], now: datetime) -> Prices:
    """Those of the invoice's creation where it holds them, else the present ones."""
    if not invoice.timer:
        return invoice_quotes.prices(merchant=invoice.merchant, codes=[*codes, invoice.currency], now=now)
    rows = Rate.objects.in_bulk(list(invoice.quotes.values())).values()
    return {Pair(row.source, row.target): Price(row.pk, row.price, row.minimum_deposit, True) for row in rows}


def _offers(merchant: Merchant, now: datetime, among: Iterable[str] | None = None) -> dict[str, Offer]:
    return terms.enabled(merchant_id=merchant.pk, now=now, among=among)


# --- the payer's side --------------------------------------------------------------------------------


def _hold(invoice: Invoice, quoted: Quote, now: datetime) -> None:
    address = addresses.claim(
        merchant=invoice.merchant,
        order=_order(quoted, invoice.asked, invoice.foreign_id, invoice.end_user_reference),
        now=now,
    )
    invoice.hold(
        sent=quoted.sent,
        price=quoted.price,
        rate_id=quoted.rate_id,
        terms=quoted.terms,
        address=address,
    )


def _order(
    quoted: Quote, asked: Money, foreign_id: str, end_user_reference: str | None = None
) -> addresses.Order:
    """An address of its own; the processor converts what comes, unless it comes in the asked currency."""
    code = quoted.sent.currency
    return addresses.Order(
        foreign_id=foreign_id,
        currency=code,
        convert_to="" if code == asked.currency else asked.currency,
        end_user_reference=end_user_reference,
        for_invoice=True,
    )


def _wait_for_address(
    merchant: Merchant, quoted: Quote, asked: Money, now: datetime, call_for_more: Callable[[], object]
) -> None:
    order = _order(quoted, asked, foreign_id="")
    addresses.wait_for_one(merchant=merchant, order=order, now=now, call_for_more=call_for_more)
