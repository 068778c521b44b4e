"""The way in and out: sign-in with both factors in one step, sign-out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.cache import never_cache
from django_otp import login as otp_login

from merchants import clock, second_factor
from merchants.backoffice.forms import StepUpForm
from merchants.errors import Refusal
from merchants.models import User


class NotRight(Refusal):
    """E-mail address, password or code is not right."""


class SignInForm(StepUpForm):
    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        label="Password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    field_order = ("email", "password", "code")


@method_decorator(never_cache, name="dispatch")
class SignIn(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(SignInForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = SignInForm(request.POST)
        if not form.is_valid():
            return self._show(form, status=422)
        try:
            self._enter(form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
            return self._show(form, status=422)
        return HttpResponseRedirect(_next(request))

    def _enter(self, given: dict[str, Any]) -> None:
        user = authenticate(self.request, username=given["email"], password=given["password"])
        if not isinstance(user, User):
            raise NotRight
        device = second_factor.confirm(user=user, code=given["code"], now=clock.now())
        login(self.request, user)
        otp_login(self.request, device)

    def _show(self, form: SignInForm, *, status: int = 200) -> HttpResponse:
        context = {"form": form, "page_title": "Sign in", "next": self.request.GET.get("next", "")}
        return render(self.request, "backoffice/sign_in.html", context, status=status)


class SignOut(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        logout(request)
        return HttpResponseRedirect(reverse("sign_in"))


def _next(request: HttpRequest) -> str:
    """Where the person wanted to go, as long as that is one of our own pages."""
    wanted = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if own and wanted.startswith("/") else reverse("home")
