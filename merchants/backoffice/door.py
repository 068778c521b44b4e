"""The way in and out: sign-in with both factors in one step, by recovery code where need be; sign-out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.cache import never_cache

from merchants import accounts, client_address, clock, sessions
from merchants.backoffice import enrolling
from merchants.backoffice.forms import BackofficeForm, CodeInput
from merchants.errors import Refusal


class SignInForm(BackofficeForm):
    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        label="Password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    code = forms.CharField(
        label="Code from your authenticator",
        help_text="Leave it empty if you have not set up an authenticator yet.",
        max_length=16,
        required=False,
        widget=CodeInput,
    )


class RecoveryForm(SignInForm):
    code = forms.CharField(
        label="Recovery code",
        help_text="One of the ten that you saved. Each works once.",
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "mono"}),
    )


@method_decorator(never_cache, name="dispatch")
class SignIn(View):
    form_class: type[SignInForm] = SignInForm
    by_recovery = False

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(self.form_class())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = self.form_class(request.POST)
        if not form.is_valid():
            return self._show(form, status=422)
        try:
            entered = self._enter(form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
            return self._show(form, status=422)
        if isinstance(entered, accounts.EnrolmentDue):
            enrolling.begin(request, entered.user)
            return HttpResponseRedirect(reverse("enrol"))
        sessions.enter(request, user=entered.user, device=entered.device)
        return HttpResponseRedirect(reverse("account") if entered.recovered else _next(request))

    def _enter(self, given: dict[str, Any]) -> accounts.SignedIn | accounts.EnrolmentDue:
        return accounts.sign_in(
            email=given["email"],
            password=given["password"],
            code=given["code"],
            ip=client_address.text_of(self.request),
            now=clock.now(),
        )

    def _show(self, form: SignInForm, *, status: int = 200) -> HttpResponse:
        context = {"form": form, "page_title": "Sign in", "by_recovery": self.by_recovery}
        return render(self.request, "backoffice/sign_in.html", context, status=status)


class SignInByRecovery(SignIn):
    """The same door for whose authenticator is lost."""

    form_class = RecoveryForm
    by_recovery = True


class SignOut(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        sessions.leave(request)
        return HttpResponseRedirect(reverse("sign_in"))


def _next(request: HttpRequest) -> str:
    """Where the person wanted to go, as long as that is one of our own pages."""
    wanted = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if own and wanted.startswith("/") else reverse("home")
