"""Test callbacks: what staff send to see that their address takes and verifies one.

It travels like every other callback: written to the outbox, signed and posted by the deliverer, its try
kept. It is a cancelled deposit of nothing to a customer that cannot exist, so that it credits nobody; it is
sent once, and a newer test outdates an older one.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Unpack

from django.db import transaction
from django.db.models import Max

from callbacks.models import Endpoint, OutgoingCallback, OutgoingQuerySet, OutgoingState, SubjectKind
from callbacks.outgoing import NowhereToSend
from merchants import audit, keys
from merchants.errors import Refusal
from merchants.models import Merchant, User
from payments import bodies, wire
from payments.bodies import Body

FOREIGN_ID = "bursar-test"
CURRENCY = "BTC"
ERROR = "Test callback"
_ZERO = Decimal(0)


class NoKeyToSign(Refusal):
    """There is no active API key to sign with. Activate one first."""


@transaction.atomic
def send(*, merchant: Merchant, by: User | None, now: datetime, **how: Unpack[audit.How]) -> OutgoingCallback:
    """Writes a test callback, due at once. Raises `NowhereToSend`, `NoKeyToSign`."""
    Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
    endpoint = Endpoint.objects.for_merchant(merchant).exclude(url="").first()
    if endpoint is None:
        raise NowhereToSend
    if keys.signing_key_for(merchant) is None:
        raise NoKeyToSign
    number = (sent(merchant).aggregate(last=Max("version"))["last"] or 0) + 1
    row = OutgoingCallback.objects.create(
        subject_kind=SubjectKind.TEST,
        subject_id=merchant.pk,
        version=number,
        merchant=merchant,
        endpoint=endpoint,
        body=bodies.render(body(number)),
        state=OutgoingState.DUE,
    )
    audit.record(
        actor=by,
        act="callbacks.test",
        merchant=merchant,
        subject=endpoint.subject,
        after={"url": endpoint.url, "number": number},
        now=now,
        **how,
    )
    return row


def sent(merchant: Merchant) -> OutgoingQuerySet:
    """The merchant's test callbacks so far."""
    return OutgoingCallback.objects.for_merchant(merchant).filter(
        subject_kind=SubjectKind.TEST, subject_id=merchant.pk
    )


def body(number: int) -> Body:
    """A deposit as the wire writes it, cancelled, of nothing; `number` stands where ids stand."""
    nothing = {"currency": CURRENCY, "amount": wire.amount_text(_ZERO)}
    return {
        "id": number,
        "type": "deposit",
        "crypto_address": {
            "id": number,
            "currency": CURRENCY,
            "address": FOREIGN_ID,
            "tag": None,
            "foreign_id": FOREIGN_ID,
        },
        "currency_sent": nothing,
        "currency_received": {**nothing, "amount_minus_fee": wire.amount_text(_ZERO)},
        "transactions": [],
        "fees": [],
        "error": ERROR,
        "status": "cancelled",
    }
