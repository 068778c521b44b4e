"""What payments stores. The ledger's rows (`account`, `entry`) are registered here and not re-exported:
only `payments.ledger` writes them.
"""

from __future__ import annotations

import payments.models.account
import payments.models.entry  # noqa: F401
from payments.models.address import Address, AddressOrigin, AddressPool
from payments.models.adjustment import Adjustment, AdjustmentStatus
from payments.models.operation import (
    BELOW_MINIMUM,
    CreditedTo,
    Leg,
    LegType,
    Operation,
    OperationFee,
    OperationKind,
    OperationStatus,
    TransactionType,
)
from payments.models.rate import Rate
from payments.models.route import Processor, Route
from payments.models.terms import Terms
from payments.models.unmatched import UnmatchedDeposit

__all__ = [
    "BELOW_MINIMUM",
    "Address",
    "AddressOrigin",
    "AddressPool",
    "Adjustment",
    "AdjustmentStatus",
    "CreditedTo",
    "Leg",
    "LegType",
    "Operation",
    "OperationFee",
    "OperationKind",
    "OperationStatus",
    "Processor",
    "Rate",
    "Route",
    "Terms",
    "TransactionType",
    "UnmatchedDeposit",
]
