"""What must hold before anything runs: exactly one listener on each signal of payments' port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from payments.events import invoices_changed_signal, transactions_changed_signal


@register()
def one_listener_tells_merchants(
    app_configs: Sequence[AppConfig] | None, **_options: Any
) -> list[CheckMessage]:
    """None, and merchants hear nothing; two, and they hear everything twice."""
    counts = {
        "transactions_changed": len(transactions_changed_signal.receivers),
        "invoices_changed": len(invoices_changed_signal.receivers),
    }
    return [
        Error(f"{name} has {count} receivers; it must have exactly one.", id="callbacks.E001")
        for name, count in counts.items()
        if count != 1
    ]
