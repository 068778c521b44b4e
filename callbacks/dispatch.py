"""Which verb of payments records which kind of notice; the one place that knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType, ModuleType

from payments import deposits, exchange_outcomes, payouts
from payments.models import Processor
from payments.processors.base import ConversionNotice, DepositNotice, Notice, PayoutNotice

_SUBJECTS: Mapping[type[Notice], ModuleType] = MappingProxyType(
    {
        DepositNotice: deposits,
        PayoutNotice: payouts,
        ConversionNotice: exchange_outcomes,
    }
)
"""Each has a `record_many`, for the inside of a transaction and as its last act."""


def record_many(
    kind: type[Notice], *, processor: Processor, notices: Sequence[Notice], now: datetime
) -> None:
    """Records notices of one kind; raises what its verb raises."""
    _SUBJECTS[kind].record_many(processor=processor, notices=notices, now=now)


class MixedNotices(Exception):
    """A callback that speaks of several kinds of things: each kind is booked in a transaction of its own."""


def kind_of(notices: Sequence[Notice]) -> type[Notice]:
    """Of which kind they all are; of deposits, when there are none. Raises `MixedNotices`."""
    kinds = {type(notice) for notice in notices} or {DepositNotice}
    if len(kinds) > 1:
        raise MixedNotices(f"{len(kinds)} kinds of notices in one callback")
    return kinds.pop()


def told(notice: Notice, *, heard_at: datetime, repeated: bool) -> Notice:
    """A deposit's notice also says when it came, and whether the very same was applied before."""
    if isinstance(notice, DepositNotice):
        return replace(notice, heard_at=heard_at, repeated=repeated)
    return notice
