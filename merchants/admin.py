"""The operator admin: Django's admin at `/operator/`, entered with a second factor, every change audited.

Operators look at keys and at the audit and touch neither; a secret is shown nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django_otp.admin import OTPAdminSite

from merchants import audit, client_address, clock, second_factor, team
from merchants.errors import Refusal
from merchants.models import ApiKey, AuditRecord, KeyTraffic, Membership, Merchant, User
from merchants.models.sealed import SealedTextField
from merchants.roles import Role

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin

_NEVER_SHOWN = ("password",)


def _code_field() -> forms.CharField:
    return forms.CharField(
        label="Code from your authenticator",
        max_length=16,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class SignInForm(AdminAuthenticationForm):
    """E-mail address, password and code in one step."""

    code = _code_field()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        user: Any = self.get_user()
        if user is not None and "code" in cleaned:
            try:
                device = second_factor.confirm(user=user, code=cleaned["code"], now=clock.now())
            except Refusal as refusal:
                raise ValidationError({"code": str(refusal)}) from None
            user.otp_device = device
        return cleaned


class ChangePasswordForm(AdminPasswordChangeForm):
    """The old password, the new one twice, and a fresh code of its own."""

    code = _code_field()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                second_factor.confirm(user=self.user, code=cleaned["code"], now=clock.now())
            except Refusal as refusal:
                raise ValidationError({"code": str(refusal)}) from None
        return cleaned


class ChangePassword(PasswordChangeView):
    """An operator's own password; the change is audited."""

    form_class = ChangePasswordForm
    template_name = "operator/change_password.html"

    def get_success_url(self) -> str:
        return reverse("operator:index")

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        note(self.request, "change_password", operator_of(self.request), before=None, after=None)
        messages.success(self.request, "Your password is changed.")
        return answer


class OperatorSite(OTPAdminSite):  # type: ignore[misc]  # django-otp carries no types
    """The operators' door. Whoever has not shown a second factor sees the sign-in page alone."""

    site_header = site_title = "Bursar operator"
    index_title = "Installation"
    login_form = SignInForm
    login_template = "operator/sign_in.html"

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        context = {**self.each_context(request), "title": "Change your password", **(extra_context or {})}
        return ChangePassword.as_view(extra_context=context)(request)


operator_site = OperatorSite("operator")


class ReadOnlyAdmin(_Admin):
    """Rows to look at."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AuditedAdmin(_Admin):
    """Rows that operators change: each change is one audit record with what was before and after.

    A `Refusal` raised by a verb is shown as a message and leaves everything as it was.
    """

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = facts(type(obj)._default_manager.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        note(request, "change" if change else "add", obj, before=before, after=facts(obj))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        before, subject = facts(obj), subject_of(obj)
        super().delete_model(request, obj)
        note(request, "delete", obj, before=before, after=None, subject=subject)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except Refusal as refusal:
            return self._refused(request, refusal)

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, *args, **kwargs)
        except Refusal as refusal:
            return self._refused(request, refusal)

    def _refused(self, request: HttpRequest, refusal: Refusal) -> HttpResponse:
        self.message_user(request, str(refusal), messages.ERROR)
        return HttpResponseRedirect(request.path)


def how(request: HttpRequest) -> audit.How:
    """How an operator acts: from where, and signed in with a second factor, as everybody here is."""
    return {"ip": client_address.text_of(request), "second_factor": True}


def operator_of(request: HttpRequest) -> User:
    """The operator as a row: Django wraps `request.user` lazily."""
    return User.objects.get(email=request.user.get_username())


def note(
    request: HttpRequest,
    verb: str,
    row: models.Model,
    *,
    before: audit.Facts | None,
    after: audit.Facts | None,
    subject: str = "",
) -> None:
    """Audits what an operator did to `row`."""
    merchant = row if isinstance(row, Merchant) else getattr(row, "merchant", None)
    audit.record(
        actor=operator_of(request),
        act=f"operator.{row._meta.model_name}.{verb}",
        merchant=merchant,
        subject=subject or subject_of(row),
        before=before,
        after=after,
        now=clock.now(),
        **how(request),
    )


def subject_of(row: models.Model) -> str:
    return str(getattr(row, "subject", f"{row._meta.model_name}:{row.pk}"))


def facts(row: models.Model) -> dict[str, Any]:
    """The row's columns as text, without the secret ones."""
    return {
        column.attname: _plain(getattr(row, column.attname))
        for column in row._meta.concrete_fields
        if column.attname not in _NEVER_SHOWN and not isinstance(column, SealedTextField)
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int) else str(value)


@admin.register(Merchant, site=operator_site)
class MerchantAdmin(AuditedAdmin):
    list_display = ("wire_id", "name", "public_name", "status", "created_at")
    list_display_links = ("wire_id", "name")
    list_filter = ("status",)
    search_fields = ("name", "public_name", "wire_id")
    fields = ("name", "public_name", "take_tag_as_string", "wire_id", "status", "created_at")
    readonly_fields = ("wire_id", "status", "created_at")
    actions = ("block", "unblock")

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
class UserAdmin(AuditedAdmin):
    """People are made by commands, which print the one-time password; a page would keep it.

    Nor does a page make an operator: the second to approve must not be of the first one's making.
    """

    list_display = ("email", "is_operator", "is_active", "last_login", "settled_at")
    list_filter = ("is_operator", "is_active")
    search_fields = ("email",)
    fields = ("email", "is_operator", "is_active", "last_login", "settled_at", "created_at")
    readonly_fields = ("email", "is_operator", "last_login", "settled_at", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Membership, site=operator_site)
class MembershipAdmin(AuditedAdmin):
    """Teams; only here is an Owner made, changed or removed."""

    list_display = ("user", "merchant", "role", "settled_at")
    list_filter = ("role",)
    search_fields = ("user__email", "merchant__name")
    fields = ("merchant", "user", "role")
    autocomplete_fields = ("merchant", "user")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("merchant", "user") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        common: Any = {"by": operator_of(request), "now": clock.now(), **how(request)}
        if change:
            team.change_role(membership_id=obj.pk, role=Role(obj.role), **common)
        else:
            obj.pk = team.add(merchant=obj.merchant, user=obj.user, role=Role(obj.role), **common).pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        team.remove(membership_id=obj.pk, by=operator_of(request), now=clock.now(), **how(request))


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
