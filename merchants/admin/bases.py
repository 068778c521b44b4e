"""What the operator's pages share: rows to look at, rows whose every change is audited, acts with a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from merchants import audit, client_address, clock, second_factor
from merchants.admin.site import code_field
from merchants.errors import Refusal
from merchants.models import Merchant, User
from merchants.models.sealed import SealedTextField

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin

_NEVER_SHOWN = ("password",)


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


class CodeActionForm(ActionForm):
    """The list's menu of acts, with a fresh code beside it."""

    code = code_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].required = False


class CodeForm(forms.ModelForm):  # type: ignore[type-arg]  # one for several models
    """A form whose saving takes a fresh code; `ConfirmedAdmin` spends it before the transaction begins."""

    code = code_field()


class CodedActsAdmin(AuditedAdmin):
    """Rows on which an act from the list takes a fresh code."""

    action_form = CodeActionForm

    def each(self, request: HttpRequest, queryset: QuerySet[Any], verb: Any, done: str) -> None:
        """Does `verb` to each chosen row after one code; what was refused is said for its row."""
        try:
            confirm(request)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        for row in queryset:
            try:
                verb(row)
            except Refusal as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)
            else:
                self.message_user(request, f"{row}: {done}", messages.SUCCESS)


class ConfirmedAdmin(CodedActsAdmin):
    """Rows that only a fresh code changes: by the form, or by an act from the list."""

    form = CodeForm

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if request.method == "POST":
            try:
                confirm(request)
            except Refusal as refusal:
                return self._refused(request, refusal)
        return super().changeform_view(request, object_id, *args, **kwargs)


def confirm(request: HttpRequest) -> None:
    """Spends the code in the POST. Raises what `second_factor.confirm` raises."""
    second_factor.confirm(user=operator_of(request), code=request.POST.get("code", ""), now=clock.now())
