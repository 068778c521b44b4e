"""A person's own pages: what they sign in with, where they are signed in, and how to change either."""

from __future__ import annotations

from django import forms
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from merchants import emails, enrolment, links, passwords, recovery, sessions
from merchants.backoffice.access import OwnAct, SignedIn
from merchants.backoffice.enrolling import picture
from merchants.backoffice.forms import BackofficeForm, ChosenPasswordForm, StepUpForm
from merchants.models import LinkPurpose, Membership, TotpDevice


class ChangePasswordForm(ChosenPasswordForm, StepUpForm):
    current = forms.CharField(
        label="Current password",
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("current", "password", "repeat", "code")


class ChangeEmailForm(StepUpForm):
    email = forms.EmailField(
        label="New e-mail address",
        max_length=254,
        help_text="A link goes there; the change counts once it is opened.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    field_order = ("email", "code")


class Account(SignedIn):
    """`/account/`: everything at a glance."""

    template_name, title = "backoffice/account/overview.html", "Account"

    def get(self, request: HttpRequest) -> HttpResponse:
        person = self.person
        teams = Membership.objects.select_related("merchant").filter(user=person)
        context = {
            "rail": "account",
            "teams": teams.order_by("merchant__name"),
            "device": TotpDevice.objects.filter(user=person, confirmed=True).order_by("id").first(),
            "codes_left": recovery.left(person),
            "settled": person.is_settled(self.now),
            "sessions": sessions.of(person),
            "here": sessions.current_id(request),
        }
        return self.render(context)


class OwnPage(OwnAct):
    """What the acts below share."""

    def context(self) -> dict[str, object]:
        return super().context() | {"rail": "account"}


class ChangePassword(OwnPage):
    act, title = "accounts.change_password", "Change your password"
    template_name = "backoffice/account/password.html"
    form_class = ChangePasswordForm
    with_one_time_password = True

    def perform(self, form: BackofficeForm) -> HttpResponse:
        given = form.cleaned_data
        passwords.change(
            user=self.person,
            current=given["current"],
            new=given["password"],
            keep=sessions.current_id(self.request),
            now=self.now,
            **self.how(),
        )
        update_session_auth_hash(self.request, self.person)
        return self.done("Your password is changed; your other sessions are signed out.", "account")


class ChangeEmail(OwnPage):
    act, title = "accounts.change_email", "Change your e-mail address"
    template_name = "backoffice/account/email.html"
    form_class = ChangeEmailForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        email = form.cleaned_data["email"]
        emails.ask_change(user=self.person, email=email, now=self.now, **self.how())
        return self.done(f"A link is on its way to {email}. Open it within an hour.", "account")


class ConfirmEmail(OwnPage):
    """`/account/email/<token>/`, from the mail to the new address."""

    act, title = "accounts.change_email", "Use this e-mail address"
    template_name = "backoffice/account/email_confirm.html"
    form_class = BackofficeForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        try:
            link = links.find(token=self.kwargs["token"], purpose=LinkPurpose.CHANGE_EMAIL, now=self.now)
            if link.user != self.person:
                raise links.NoSuchLink
        except links.NoSuchLink as refusal:
            return self.render({"form": form, "sentence": str(refusal)}, status=404)
        return self.render({"form": form, "email": link.email}, status=status)

    def perform(self, form: BackofficeForm) -> HttpResponse:
        here = sessions.current_id(self.request)
        emails.change(token=self.kwargs["token"], keep=here, user=self.person, now=self.now, **self.how())
        return self.done("You sign in by your new e-mail address from now on.", "account")


class RenewCodes(OwnPage):
    """The answer to the POST shows the codes; no page shows them again."""

    act, title = "accounts.renew_recovery_codes", "New recovery codes"
    template_name = "backoffice/account/renew_codes.html"
    form_class = StepUpForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        codes = enrolment.regenerate(user=self.person, now=self.now, **self.how())
        return _show_codes(self, codes)


class ProveForm(BackofficeForm):
    code = forms.CharField(
        label="Code from your present authenticator, or a recovery code",
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
    )


class NewAuthenticator(OwnPage):
    """First the present authenticator, or a recovery code where it is lost; then the new one's key."""

    act, title = "accounts.replace_authenticator", "New authenticator"
    template_name = "backoffice/account/prove.html"
    form_class = ProveForm

    def _confirm(self, form: BackofficeForm) -> None:
        enrolment.prove(user=self.person, code=form.cleaned_data["code"], now=self.now)
        sessions.renew(self.request)
        self._confirmed = True

    def perform(self, form: BackofficeForm) -> HttpResponse:
        self.request.session[_REPLACING] = self.now.timestamp()
        return HttpResponseRedirect(reverse("authenticator_scan"))


class ScanAuthenticator(OwnPage):
    """The new one's key, for a quarter of an hour after `NewAuthenticator`; its first code makes it count."""

    act, title = "accounts.replace_authenticator", "New authenticator"
    template_name = "backoffice/account/scan.html"
    form_class = StepUpForm

    def admit(self) -> HttpResponse | None:
        since = self.request.session.get(_REPLACING, 0)
        if not 0 <= self.now.timestamp() - since <= 900:
            return HttpResponseRedirect(reverse("authenticator"))
        return None

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        shown = picture(enrolment.start(user=self.person, now=self.now))
        return self.render({"form": form, **shown}, status=status)

    def _confirm(self, form: BackofficeForm) -> None:
        """The code is the new authenticator's: the verb judges it."""

    def perform(self, form: BackofficeForm) -> HttpResponse:
        made = enrolment.confirm(
            user=self.person, code=form.cleaned_data["code"], now=self.now, **self.how(second_factor=True)
        )
        del self.request.session[_REPLACING]
        sessions.enter(self.request, user=self.person, device=made.device)
        return _show_codes(self, made.recovery_codes)


class EndSession(OwnPage):
    """Signs one of the person's sessions out, or all but this one."""

    act, title = "accounts.end_sessions", "Sign out elsewhere"
    template_name = "backoffice/account/end_session.html"
    form_class = BackofficeForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        sessions.end(user=self.person, session_id=self.kwargs["session_id"], now=self.now, **self.how())
        return self.done("That session is signed out.", "account")


class EndOtherSessions(EndSession):
    def perform(self, form: BackofficeForm) -> HttpResponse:
        here = sessions.current_id(self.request)
        ended = sessions.end_others(user=self.person, keep=here, now=self.now, **self.how())
        return self.done(f"Signed out elsewhere: {ended}.", "account")


_REPLACING = "replacing_authenticator_since"


def _show_codes(page: OwnPage, codes: tuple[str, ...]) -> HttpResponse:
    context = {**page.context(), "codes": codes, "page_title": "Save your recovery codes"}
    return render(page.request, "backoffice/account/codes.html", context)
