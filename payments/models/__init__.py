"""What payments stores. The ledger's rows (`account`, `entry`) are registered here and not re-exported:
only `payments.ledger` writes them.
"""

from __future__ import annotations

import payments.models.account
import payments.models.entry  # noqa: F401
from payments.models.address import Address, AddressOrigin, AddressPool
from payments.models.adjustment import Adjustment, AdjustmentStatus
from payments.models.controls import (
    Alert,
    Cap,
    Contact,
    LimitRecipient,
    Reconciliation,
    Stop,
    WithdrawalLimit,
)
from payments.models.exchange import Exchange, ExchangeState, Quote
from payments.models.future import Future, FutureDeposit
from payments.models.invoice import (
    CANCELLED_BY_MERCHANT,
    NOT_PAID,
    PROCESSING_TOO_LONG,
    UNDERPAID,
    Invoice,
    InvoiceMode,
    InvoiceStatus,
)
from payments.models.invoice_part import InvoicePart, Leftover, PartStanding
from payments.models.leg import Leg, LegType, OperationFee, TransactionType
from payments.models.operation import (
    BELOW_MINIMUM,
    DEPOSITS,
    ORDERS,
    WITHDRAWALS,
    CreditedTo,
    Operation,
    OperationKind,
    OperationStatus,
    Origin,
)
from payments.models.rate import Rate
from payments.models.route import Processor, Route
from payments.models.terms import Terms
from payments.models.unmatched import UnmatchedDeposit
from payments.models.withdrawal import FixedSide, Limit, Outcome, Withdrawal, WithdrawalState

__all__ = [
    "BELOW_MINIMUM",
    "CANCELLED_BY_MERCHANT",
    "DEPOSITS",
    "NOT_PAID",
    "ORDERS",
    "PROCESSING_TOO_LONG",
    "UNDERPAID",
    "WITHDRAWALS",
    "Address",
    "AddressOrigin",
    "AddressPool",
    "Adjustment",
    "AdjustmentStatus",
    "Alert",
    "Cap",
    "Contact",
    "CreditedTo",
    "Exchange",
    "ExchangeState",
    "FixedSide",
    "Future",
    "FutureDeposit",
    "Invoice",
    "InvoiceMode",
    "InvoicePart",
    "InvoiceStatus",
    "Leftover",
    "Leg",
    "LegType",
    "Limit",
    "LimitRecipient",
    "Operation",
    "OperationFee",
    "OperationKind",
    "OperationStatus",
    "Origin",
    "Outcome",
    "PartStanding",
    "Processor",
    "Quote",
    "Rate",
    "Reconciliation",
    "Route",
    "Stop",
    "Terms",
    "TransactionType",
    "UnmatchedDeposit",
    "Withdrawal",
    "WithdrawalLimit",
    "WithdrawalState",
]
