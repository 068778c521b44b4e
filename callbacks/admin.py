"""The operators' view of what came in and what went out; rows to look at, and replay for the quarantined."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from callbacks import incoming
from callbacks.models import DeliveryAttempt, Endpoint, IncomingCallback, OutgoingCallback
from merchants.admin import ReadOnlyAdmin, note, operator_site
from merchants.errors import Refusal


def _text(raw: bytes | memoryview) -> str:
    """Stored bytes for people; what is no text is shown escaped."""
    return bytes(raw).decode("utf-8", "backslashreplace")


@admin.register(Endpoint, site=operator_site)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ("merchant", "url", "preset", "health", "paused_until")
    list_filter = ("health", "preset")
    search_fields = ("merchant__name", "url")


@admin.register(IncomingCallback, site=operator_site)
class IncomingCallbackAdmin(ReadOnlyAdmin):
    list_display = ("id", "processor", "received_at", "state", "attempts", "failures", "error")
    list_filter = ("state", "processor")
    ordering = ("-id",)
    fields = (*list_display, "unfinished", "next_attempt_at", "applied_at", "headers", "body")
    readonly_fields = fields
    actions = ("replay",)

    @admin.display(description="body")
    def body(self, row: IncomingCallback) -> str:
        return _text(row.raw)

    @admin.action(description="Replay the quarantined")
    def replay(self, request: HttpRequest, rows: QuerySet[IncomingCallback]) -> None:
        """Each that is quarantined becomes due again; each replay is audited."""
        for row in rows:
            try:
                incoming.replay(callback_id=row.pk)
            except Refusal as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)
            else:
                note(request, "replay", row, before={"error": row.error}, after=None)


@admin.register(OutgoingCallback, site=operator_site)
class OutgoingCallbackAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "merchant",
        "subject_kind",
        "subject_id",
        "version",
        "state",
        "attempts",
        "created_at",
    )
    list_filter = ("state",)
    search_fields = ("=subject_id", "merchant__name")
    list_select_related = ("merchant",)
    ordering = ("-id",)
    fields = (
        *list_display,
        "endpoint",
        "schedule_from",
        "next_attempt_at",
        "leased_until",
        "last_attempt_at",
        "text",
    )
    readonly_fields = fields

    @admin.display(description="body")
    def text(self, row: OutgoingCallback) -> str:
        return _text(row.body)


@admin.register(DeliveryAttempt, site=operator_site)
class DeliveryAttemptAdmin(ReadOnlyAdmin):
    list_display = ("id", "callback", "number", "at", "url", "status", "ms", "address", "error")
    search_fields = ("=callback__id", "url")
    list_select_related = ("callback",)
    ordering = ("-id",)
    fields = (*list_display, "request_headers", "response_headers", "answer")
    readonly_fields = fields

    @admin.display(description="answer")
    def answer(self, row: DeliveryAttempt) -> str:
        return _text(row.response_body)
