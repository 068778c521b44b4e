"""Merchants, people, teams and invitations at the operator's; what somebody lost is reset here."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from merchants import clock, enrolment, invitations, passwords, team
from merchants.admin.bases import AuditedAdmin, ConfirmedAdmin, how, operator_of
from merchants.admin.site import operator_site
from merchants.errors import Refusal
from merchants.models import Invitation, Membership, Merchant, User
from merchants.roles import Role


def _invite_link(merchant: Merchant, words: str) -> SafeString:
    query = urlencode({"merchant": merchant.pk, "role": Role.OWNER.value})
    return format_html('<a href="{}?{}">{}</a>', reverse("operator:merchants_invitation_add"), query, words)


def _common(request: HttpRequest) -> Any:
    """What every verb is told: who acts, when, and how."""
    return {"by": operator_of(request), "now": clock.now(), **how(request)}


@admin.register(Merchant, site=operator_site)
class MerchantAdmin(AuditedAdmin):
    list_display = ("wire_id", "name", "public_name", "status", "created_at")
    list_display_links = ("wire_id", "name")
    list_filter = ("status",)
    search_fields = ("name", "public_name", "wire_id")
    fields = ("name", "public_name", "take_tag_as_string", "wire_id", "status", "created_at", "people")
    readonly_fields = ("wire_id", "status", "created_at", "people")
    actions = ("block", "unblock")

    @admin.display(description="people")
    def people(self, row: Merchant) -> SafeString:
        """A merchant is made without a team: its first Owner is invited next."""
        is_first = not Membership.objects.for_merchant(row).filter(role=Role.OWNER).exists()
        return _invite_link(row, "Invite its first Owner" if is_first else "Invite somebody")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> Any:
        answer = super().response_add(request, obj, post_url_continue)
        self.message_user(request, _invite_link(obj, "Invite its first Owner"), messages.INFO)
        return answer

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A merchant that is not made yet has no number, state or date to show."""
        return self.fields if obj else ("name", "public_name", "take_tag_as_string")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Block: refuse its keys, hold what is paid to it")
    def block(self, request: HttpRequest, queryset: QuerySet[Merchant]) -> None:
        self._each(request, queryset, team.block)

    @admin.action(description="Unblock: let its keys work again")
    def unblock(self, request: HttpRequest, queryset: QuerySet[Merchant]) -> None:
        self._each(request, queryset, team.unblock)

    def _each(self, request: HttpRequest, queryset: QuerySet[Merchant], verb: Any) -> None:
        for merchant in queryset:
            try:
                verb(merchant=merchant, by=operator_of(request), now=clock.now(), **how(request))
            except Refusal as refusal:
                self.message_user(request, f"{merchant}: {refusal}", messages.ERROR)
            else:
                self.message_user(request, f"{merchant}: {merchant.get_status_display()}.", messages.SUCCESS)


@admin.register(User, site=operator_site)
class UserAdmin(ConfirmedAdmin):
    """People come by invitation or by commands, which print the one-time password; a page would keep it.

    Nor does a page make an operator: the second to approve must not be of the first one's making.
    """

    list_display = ("email", "is_operator", "is_active", "last_login", "settled_at")
    list_filter = ("is_operator", "is_active")
    search_fields = ("email",)
    fields = ("email", "is_operator", "is_active", "last_login", "settled_at", "created_at", "code")
    readonly_fields = ("email", "is_operator", "last_login", "settled_at", "created_at")
    actions = ("reset_factor", "send_reset")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Reset the second factor: enrolled anew at the next sign-in")
    def reset_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        others = queryset.exclude(pk=operator_of(request).pk)
        self.each(
            request,
            others,
            lambda user: enrolment.reset(user=user, **_common(request)),
            "the second factor is reset; no withdrawals for 24 hours.",
        )

    @admin.action(description="Mail a link to choose a new password")
    def send_reset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self.each(
            request,
            queryset,
            lambda user: passwords.send_reset(user=user, **_common(request)),
            "the link is on its way.",
        )


@admin.register(Membership, site=operator_site)
class MembershipAdmin(ConfirmedAdmin):
    """Teams; only here is an Owner made, changed or removed."""

    list_display = ("user", "merchant", "role", "settled_at")
    list_filter = ("role",)
    search_fields = ("user__email", "merchant__name")
    fields = ("merchant", "user", "role", "code")
    autocomplete_fields = ("merchant", "user")
    actions = ("remove",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("merchant", "user") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        common, role = _common(request), Role(obj.role)
        if change:
            team.change_role(membership_id=obj.pk, role=role, as_operator=True, **common)
        else:
            obj.pk = team.add(merchant=obj.merchant, user=obj.user, role=role, **common).pk

    @admin.action(description="Remove from the team")
    def remove(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self.each(
            request,
            queryset,
            lambda member: team.remove(membership_id=member.pk, as_operator=True, **_common(request)),
            "removed.",
        )


@admin.register(Invitation, site=operator_site)
class InvitationAdmin(ConfirmedAdmin):
    """Invitations onto teams; the operator's may be for an Owner, such as a merchant's first."""

    list_display = ("email", "merchant", "role", "invited_by", "created_at", "expires_at", "accepted_at")
    list_filter = ("role",)
    search_fields = ("email", "merchant__name")
    fields = ("merchant", "email", "role", "code")
    autocomplete_fields = ("merchant",)
    actions = ("withdraw",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = invitations.invite(
            merchant=obj.merchant,
            email=obj.email,
            role=Role(obj.role),
            as_operator=True,
            **_common(request),
        )
        obj.pk = made.pk

    @admin.action(description="Withdraw: the link stops working")
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        self.each(
            request,
            queryset.select_related("merchant"),
            lambda invitation: invitations.withdraw(
                merchant=invitation.merchant,
                invitation_id=invitation.pk,
                as_operator=True,
                **_common(request),
            ),
            "withdrawn.",
        )
