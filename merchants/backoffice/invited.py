"""Pages behind mailed links, open to whoever holds one: an invitation, a new password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from merchants import accounts, audit, client_address, clock, invitations, passwords
from merchants.backoffice import enrolling
from merchants.backoffice.forms import BackofficeForm, ChosenPasswordForm
from merchants.errors import Refusal
from merchants.models import Invitation, User
from merchants.roles import Role


class AskResetForm(BackofficeForm):
    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )


@method_decorator(never_cache, name="dispatch")
class Open(View):
    """A page for whoever is not signed in."""

    def how(self) -> audit.How:
        return {"ip": client_address.text_of(self.request), "second_factor": False}

    def show(self, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        return render(self.request, f"backoffice/account/{template}.html", context, status=status)

    def over(self, refusal: Refusal) -> HttpResponse:
        """What is said where a link does not work."""
        return self.show("link_over", status=404, page_title="This link does not work", sentence=str(refusal))


class Invited(Open):
    """`/invitation/<token>/`: a new person chooses a password, one who has an account joins."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            invitation = invitations.find(token=token, now=clock.now())
        except Refusal as refusal:
            return self.over(refusal)
        return self._page(invitation, ChosenPasswordForm())

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        form = ChosenPasswordForm(request.POST)
        try:
            invitation = invitations.find(token=token, now=clock.now())
            person = self._person()
            if person and person.email == invitation.email:
                return self._join(token, person)
        except Refusal as refusal:
            return self.over(refusal)
        if not form.is_valid():
            return self._page(invitation, form, status=422)
        try:
            user = invitations.accept(
                token=token, password=form.cleaned_data["password"], now=clock.now(), **self.how()
            )
        except Refusal as refusal:
            form.refuse(refusal)
            return self._page(invitation, form, status=422)
        enrolling.begin(request, user)
        return HttpResponseRedirect(reverse("enrol"))

    def _join(self, token: str, person: User) -> HttpResponse:
        joined = invitations.join(token=token, user=person, now=clock.now(), **self.how())
        return HttpResponseRedirect(reverse("balances", kwargs={"client_id": joined.merchant.wire_id}))

    def _page(self, invitation: Invitation, form: ChosenPasswordForm, *, status: int = 200) -> HttpResponse:
        person = self._person()
        context = {
            "invitation": invitation,
            "role": Role(invitation.role),
            "form": form,
            "here": self.request.path,
            "is_theirs": bool(person and person.email == invitation.email),
            "somebody_else": person if person and person.email != invitation.email else None,
            "has_account": accounts.find(invitation.email) is not None,
        }
        title = f"Join {invitation.merchant.name}"
        return self.show("invitation", status=status, page_title=title, **context)

    def _person(self) -> User | None:
        """Who is signed in with both factors in this browser."""
        user: Any = self.request.user
        if not user.is_authenticated or not user.is_verified():
            return None
        return User.objects.get(email=user.get_username())


class AskReset(Open):
    """`/password/`: the answer is the same whoever asks for whomever."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show("ask_reset", form=AskResetForm(), page_title="Forgotten password")

    def post(self, request: HttpRequest) -> HttpResponse:
        form = AskResetForm(request.POST)
        if form.is_valid():
            email, ip = form.cleaned_data["email"], client_address.text_of(request)
            try:
                passwords.ask_reset(email=email, ip=ip, now=clock.now())
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                return self.show("reset_asked", page_title="Look into your mail", email=email)
        return self.show("ask_reset", status=422, form=form, page_title="Forgotten password")


class ResetPassword(Open):
    """`/password/<token>/`: choose a new one, then sign in by it."""

    title = "Choose a new password"

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            user = passwords.find_reset(token=token, now=clock.now())
        except Refusal as refusal:
            return self.over(refusal)
        return self.show("reset_password", form=ChosenPasswordForm(), email=user.email, page_title=self.title)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        form = ChosenPasswordForm(request.POST)
        try:
            user = passwords.find_reset(token=token, now=clock.now())
        except Refusal as refusal:
            return self.over(refusal)
        if form.is_valid():
            try:
                passwords.reset(
                    token=token, password=form.cleaned_data["password"], now=clock.now(), **self.how()
                )
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                return self.show("password_reset", page_title="Your password is changed")
        return self.show("reset_password", status=422, form=form, email=user.email, page_title=self.title)
