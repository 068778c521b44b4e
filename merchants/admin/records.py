"""What operators look at and never touch: keys, their traffic, the audit."""

from __future__ import annotations

from django.contrib import admin

from merchants.admin.bases import ReadOnlyAdmin
from merchants.admin.site import operator_site
from merchants.models import ApiKey, AuditRecord, KeyTraffic


@admin.register(ApiKey, site=operator_site)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("short", "merchant", "state", "activated_at", "retires_at", "deactivated_at")
    list_filter = ("state",)
    search_fields = ("public_key", "merchant__name")
    exclude = ("secret_ciphertext",)


@admin.register(KeyTraffic, site=operator_site)
class KeyTrafficAdmin(ReadOnlyAdmin):
    list_display = ("hour", "key", "ip", "endpoint", "outcome", "count")
    list_filter = ("outcome",)
    ordering = ("-hour", "-id")


@admin.register(AuditRecord, site=operator_site)
class AuditRecordAdmin(ReadOnlyAdmin):
    list_display = ("number", "at", "actor_label", "act", "merchant", "subject", "ip", "second_factor")
    search_fields = ("act", "subject", "actor_label")
    ordering = ("-number",)
    fields = (*list_display, "before", "after", "chained_to", "own_hash")
    readonly_fields = fields

    @admin.display(description="hash before it")
    def chained_to(self, row: AuditRecord) -> str:
        return bytes(row.previous_hash).hex()

    @admin.display(description="hash")
    def own_hash(self, row: AuditRecord) -> str:
        return bytes(row.hash).hex()
