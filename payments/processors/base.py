"""The contract between Bursar and whatever moves the coins; frozen, so own nodes fit later unchanged.

A processor translates and nothing else: bytes into frozen notices (`Inbound`), orders into exact bytes
that are submitted later (`Outbound`). It touches no models, retries nothing, reads no settings;
credentials come in its constructor. What may be retried is decided by its `Capabilities`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from payments.money import Money


@dataclass(frozen=True)
class Capabilities:
    """What a processor can do; each flag is a decision point of the verbs."""

    pools: bool
    """Addresses may be taken ahead of need."""
    converts: bool
    """It converts on the way in and out (`convert_to`)."""
    pushes: bool
    """It calls back; a processor that does not is observed."""
    watches: bool
    """It must be told which addresses to watch."""
    resubmit_is_safe: bool
    """Submitting the same prepared bytes twice pays at most once."""
    not_found_is_final: bool
    """`find` answering `NotFound` proves that nothing was or will be paid."""
    needs_customer: bool
    """It refuses orders without data of the end user."""


class DepositStatus(StrEnum):
    """What a processor says about a deposit."""

    NOT_CONFIRMED = "not_confirmed"
    """Seen, not yet final."""
    CONFIRMED = "confirmed"
    """Final and credited to us."""
    CANCELLED = "cancelled"
    """Will not be credited, or is no longer."""


class PayoutStatus(StrEnum):
    """What a processor says about a payout or a conversion."""

    PENDING = "pending"
    """Held by the processor, nothing sent."""
    PROCESSING = "processing"
    """Accepted, outcome open."""
    CONFIRMED = "confirmed"
    """Done: handed to the network, or converted."""
    CANCELLED = "cancelled"
    """Definitely not done; funds returned by the processor."""
    DECLINED = "declined"
    """Refused by a person at the processor; funds returned."""


@dataclass(frozen=True)
class NoticeFee:
    """A fee that the processor itself took; `type` in its own words."""

    type: str
    money: Money


@dataclass(frozen=True)
class Risk:
    """A risk score was asked for; `score` is a fraction in a string, or None while unknown."""

    score: str | None


@dataclass(frozen=True)
class DepositNotice:
    """One processor's statement about one deposit.

    external_id: the processor's operation id, `txid:vout` or `txhash:logIndex`; unique per processor.
    sent: what arrived on chain. received: gross in the credited currency (an estimate before
    `confirmed`), None where the processor gives none. credited: what the processor really credited us
    after its own fees, None until confirmed. expected_currency: what the address was issued for when
    another currency arrived. replaces: the external id of a deposit that this one replaces. heard_at and
    repeated are the inbox's: when we were told, and whether the very same bytes had been applied before.
    """

    external_id: str
    address: str
    tag: str | None
    status: DepositStatus
    sent: Money
    received: Money | None
    credited: Money | None
    fees: tuple[NoticeFee, ...] = ()
    txid: str | None = None
    confirmations: int = 0
    risk: Risk | None = None
    replaces: str | None = None
    expected_currency: str | None = None
    converted: bool = False
    sender_address: str | None = None
    error: str = ""
    occurred_at: datetime | None = None
    heard_at: datetime | None = None
    repeated: bool = False


@dataclass(frozen=True)
class PayoutNotice:
    """One processor's statement about one payout that we ordered as `our_id`."""

    our_id: str
    external_id: str
    status: PayoutStatus
    paid: Money | None
    received: Money | None = None
    fees: tuple[NoticeFee, ...] = ()
    txid: str | None = None
    confirmations: int = 0
    error: str = ""


@dataclass(frozen=True)
class ConversionNotice:
    """One processor's statement about one exchange that we ordered as `our_id`."""

    our_id: str
    external_id: str
    status: PayoutStatus
    sent: Money | None
    received: Money | None
    fees: tuple[NoticeFee, ...] = ()
    error: str = ""


Notice = DepositNotice | PayoutNotice | ConversionNotice


@dataclass(frozen=True)
class RawRequest:
    """An inbound HTTP request as it came: exact body bytes; header names lower-cased."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Issued:
    """An address that the processor issued under our `reference`."""

    reference: str
    currency: str
    convert_to: str | None
    address: str
    tag: str | None
    external_id: str


@dataclass(frozen=True)
class Pair:
    """A conversion that the processor offers, from one currency code to another."""

    source: str
    target: str


@dataclass(frozen=True)
class Quote:
    """The processor's current price of a pair: one unit of `source` costs `price` units of `target`.

    minimum: least amount of `source` it exchanges; minimum_deposit: least deposit it converts on the fly.
    """

    pair: Pair
    price: Decimal
    minimum: Decimal | None = None
    minimum_deposit: Decimal | None = None


@dataclass(frozen=True)
class Fee:
    """What an order would cost at the processor; `mining` is the network's share."""

    processing: Money | None = None
    mining: Money | None = None


@dataclass(frozen=True)
class Payout:
    """An order to pay `amount` (exclusive of fees) to an address, converting when `convert_to` is set.

    our_id: fixed before the first submit and never reused; the processor refuses it a second time.
    """

    our_id: str
    amount: Money
    address: str
    tag: str | None = None
    convert_to: str | None = None
    amount_to: Money | None = None
    end_user_reference: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversion:
    """An order to exchange; exactly one of the amounts is set. `price` binds it to a quote."""

    our_id: str
    source: str
    target: str
    amount: Money | None = None
    amount_to: Money | None = None
    price: Decimal | None = None


@dataclass(frozen=True)
class Prepared:
    """The exact bytes of an order, stored before they are submitted.

    `blob` is opaque to everybody but the processor that made it. `expires_at` is when it stops being
    acceptable, or None.
    """

    our_id: str
    blob: bytes = field(repr=False)
    external_id: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Accepted:
    """The processor took the order and named it `external_id`; the outcome comes as a notice."""

    external_id: str
    status: PayoutStatus


@dataclass(frozen=True)
class NotFound:
    """The processor knows no such order."""


@dataclass(frozen=True)
class CannotTell:
    """The processor could not be asked, or has no way to answer."""

    reason: str


@dataclass(frozen=True)
class Observed:
    """What a node showed since the cursor; `bodies` feed the same inbox as pushed callbacks."""

    cursor: str
    bodies: tuple[bytes, ...]
    more: bool


class ProcessorError(Exception):
    """The base of what a processor may raise."""


class BadSignature(ProcessorError):
    """The request does not carry this processor's signature."""


class Unreadable(ProcessorError):
    """Signed by the processor, but not a notice that we understand."""


class Refused(ProcessorError):
    """The processor answered definitely no: nothing was done and nothing will be."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class Unreachable(ProcessorError):
    """No definite answer: the order may or may not have been taken."""


class Inbound(Protocol):
    """Pure: used by intake to verify and by the worker to parse."""

    def verify(self, request: RawRequest) -> None:
        """Raises `BadSignature` unless the request carries this processor's signature."""

    def parse(self, body: bytes) -> tuple[Notice, ...]:
        """Raises `Unreadable` when the body is no notice."""


class Outbound(Protocol):
    """Spends and asks; held by the sender alone."""

    capabilities: Capabilities

    def issue(self, *, currency: str, convert_to: str | None, references: Sequence[str]) -> list[Issued]: ...

    def quotes(self, pairs: Sequence[Pair] = ()) -> list[Quote]: ...

    def balances(self) -> list[Money]: ...

    def estimate(self, order: Payout | Conversion) -> Fee: ...

    def prepare(self, order: Payout | Conversion) -> Prepared: ...

    def submit(self, prepared: Prepared) -> Accepted:
        """Raises `Refused` (final) or `Unreachable` (outcome unknown)."""

    def find(self, prepared: Prepared) -> Notice | NotFound | CannotTell: ...

    def observe(self, cursor: str, watched: Sequence[str]) -> Observed: ...
