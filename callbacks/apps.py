"""Registers the callbacks application: its listener on payments' port, and its checks."""

from __future__ import annotations

from django.apps import AppConfig


class CallbacksConfig(AppConfig):
    name = "callbacks"
    verbose_name = "Callbacks"

    def ready(self) -> None:
        from callbacks import checks, receivers  # noqa: F401 - importing registers; models are ready only now
