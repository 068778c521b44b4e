"""What must hold before anything runs: exactly one listener on payments' port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from payments.events import transactions_changed_signal


@register()
def one_listener_tells_merchants(
    app_configs: Sequence[AppConfig] | None, **_options: Any
) -> list[CheckMessage]:
    """None, and merchants hear nothing; two, and they hear everything twice."""
    count = len(transactions_changed_signal.receivers)
    if count == 1:
        return []
    return [
        Error(
            f"transactions_changed has {count} receivers; it must have exactly one.",
            id="callbacks.E001",
        )
    ]
