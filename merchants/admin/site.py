"""The operators' door: sign-in by the one verb that every door uses, and their own password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, update_session_auth_hash
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django_otp.admin import OTPAdminSite

from merchants import accounts, client_address, clock, mail, passwords, second_factor, sessions
from merchants.errors import Refusal
from merchants.models import User

_FIELDS = {"current": "old_password", "password": "new_password1", "code": "code"}
"""Where a refusal of the verbs stands in the operator's form."""


def code_field() -> forms.CharField:
    return forms.CharField(
        label="Code from your authenticator",
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


def _password_field(label: str, autocomplete: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, widget=widget)


class SignInForm(forms.Form):
    """E-mail address, password and code in one step; `entered` is who came in by them."""

    username = UsernameField(
        label="E-mail address", max_length=254, widget=forms.TextInput(attrs={"autofocus": True})
    )
    password = _password_field("Password", "current-password")
    code = code_field()

    entered: accounts.SignedIn

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                self.entered = self._enter(given)
            except Refusal as refusal:
                self.add_error(None, str(refusal))
        return given

    def _enter(self, given: dict[str, Any]) -> accounts.SignedIn:
        entered = accounts.sign_in(
            email=given["username"],
            password=given["password"],
            code=given["code"],
            ip=client_address.text_of(self.request),
            now=clock.now(),
            operator=True,
        )
        if isinstance(entered, accounts.EnrolmentDue):
            raise EnrolFirst
        return entered


class EnrolFirst(Refusal):
    """You have no authenticator: sign in at the back-office once and set it up there."""


class SignIn(LoginView):
    """Django's page around the verb's answer."""

    def form_valid(self, form: Any) -> HttpResponse:
        sessions.enter(self.request, user=form.entered.user, device=form.entered.device)
        return HttpResponseRedirect(self.get_success_url())


class ChangePasswordForm(forms.Form):
    """The old password, the new one twice, and a fresh code of its own."""

    old_password = _password_field("Current password", "current-password")
    new_password1 = _password_field("New password", "new-password")
    new_password2 = _password_field("New password again", "new-password")
    code = code_field()

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and given["new_password1"] != given["new_password2"]:
            self.add_error("new_password2", "This is not what you typed above.")
        return given

    def change(self, request: HttpRequest, user: User) -> bool:
        """Whether the code and the passwords were right and the new one counts."""
        given, now, ip = self.cleaned_data, clock.now(), client_address.text_of(request)
        try:
            second_factor.confirm(user=user, code=given["code"], now=now)
            passwords.change(
                user=user,
                current=given["old_password"],
                new=given["new_password1"],
                keep=sessions.current_id(request),
                now=now,
                ip=ip,
                second_factor=True,
            )
        except Refusal as refusal:
            self.add_error(_FIELDS.get(refusal.field), str(refusal))
            return False
        return True


class OperatorSite(OTPAdminSite):  # type: ignore[misc]  # django-otp carries no types
    """The operators' door. Whoever has not shown a second factor sees the sign-in page alone."""

    site_header = site_title = "Bursar operator"
    index_title = "Installation"
    login_template = "operator/sign_in.html"

    def admin_view(self, view: Any, cacheable: bool = False) -> Callable[..., HttpResponseBase]:
        """A one-time password opens the page that replaces it, and nothing else."""
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            change = reverse("operator:password_change")
            if self.has_permission(request) and request.path not in {change, reverse("operator:logout")}:
                user: Any = request.user
                if user.must_change_password:
                    return HttpResponseRedirect(change)
            answer: HttpResponseBase = inner(request, *args, **kwargs)
            return answer

        return guarded

    def get_urls(self) -> list[Any]:
        own = [path("mailbox/", self.admin_view(self.mailbox), name="mailbox")]
        return own + super().get_urls()  # type: ignore[no-any-return]  # django-otp carries no types

    def mailbox(self, request: HttpRequest) -> HttpResponse:
        """The sandbox's letters, for who invites somebody there; production has no mailbox."""
        if settings.PRODUCTION:
            raise Http404
        context = {
            **self.each_context(request),
            "title": "Mailbox of the sandbox",
            "letters": mail.recent(now=clock.now()),
        }
        return render(request, "operator/mailbox.html", context)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("operator:index"))
        context = {
            **self.each_context(request),
            "title": "Sign in",
            "app_path": request.get_full_path(),
            **(extra_context or {}),
        }
        if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
            context[REDIRECT_FIELD_NAME] = reverse("operator:index")
        request.current_app = self.name
        page = SignIn.as_view(
            extra_context=context, authentication_form=SignInForm, template_name=self.login_template
        )
        return page(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if request.method == "POST":
            sessions.leave(request)
        answer: HttpResponseBase = super().logout(request, extra_context)
        return answer

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        form = ChangePasswordForm(request.POST if request.method == "POST" else None)
        user = User.objects.get(email=request.user.get_username())
        if request.method == "POST" and form.is_valid() and form.change(request, user):
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed.")
            return HttpResponseRedirect(reverse("operator:index"))
        context = {**self.each_context(request), "title": "Change your password", "form": form}
        return render(request, "operator/change_password.html", {**context, **(extra_context or {})})


operator_site = OperatorSite("operator")
