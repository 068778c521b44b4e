"""Setting up the authenticator: for who has shown a password and owns no second factor yet, or replaces it.

Between password and first code somebody is signed in to nothing: their session holds whose enrolment it is
and since when, and opens this one page, for a quarter of an hour.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from merchants import client_address, clock, enrolment, sessions
from merchants.backoffice.forms import StepUpForm
from merchants.errors import Refusal
from merchants.models import TotpDevice, User

STAGE = timedelta(minutes=15)
_WHO, _SINCE = "enrolling", "enrolling_since"


def begin(request: HttpRequest, user: User) -> None:
    """From now on this browser may enrol for `user`; whoever was signed in there is not any more."""
    request.session.flush()
    request.session[_WHO] = user.pk
    request.session[_SINCE] = timezone.now().timestamp()


def who(request: HttpRequest) -> User | None:
    """For whom this browser may enrol: nobody who has an authenticator meanwhile."""
    since = request.session.get(_SINCE, 0)
    if timezone.now().timestamp() - since > STAGE.total_seconds():
        return None
    user = User.objects.filter(pk=request.session.get(_WHO) or 0, is_active=True).first()
    owns_one = TotpDevice.objects.filter(user=user, confirmed=True).exists()
    return None if owns_one else user


@method_decorator(never_cache, name="dispatch")
class Enrol(View):
    """The first authenticator. The answer to the right code shows the recovery codes, once."""

    def get(self, request: HttpRequest) -> HttpResponse:
        user = who(request)
        return self._show(user, StepUpForm()) if user else HttpResponseRedirect(reverse("home"))

    def post(self, request: HttpRequest) -> HttpResponse:
        user, form = who(request), StepUpForm(request.POST)
        if user is None:
            return HttpResponseRedirect(reverse("home"))
        if not form.is_valid():
            return self._show(user, form, status=422)
        ip = client_address.text_of(request)
        try:
            made = enrolment.confirm(
                user=user, code=form.cleaned_data["code"], now=clock.now(), ip=ip, second_factor=True
            )
        except Refusal as refusal:
            form.refuse(refusal)
            return self._show(user, form, status=422)
        request.session.flush()
        sessions.enter(request, user=user, device=made.device)
        context = {"codes": made.recovery_codes, "page_title": "Save your recovery codes"}
        return render(request, "backoffice/account/first_codes.html", context)

    def _show(self, user: User, form: StepUpForm, *, status: int = 200) -> HttpResponse:
        context = {"form": form, "page_title": "Set up your authenticator", "email": user.email}
        context |= picture(enrolment.start(user=user, now=clock.now()))
        return render(self.request, "backoffice/account/enrol.html", context, status=status)


def picture(made: enrolment.Enrolment) -> dict[str, Any]:
    """What a template shows of a new authenticator: the URL to draw, and the key in groups of four."""
    groups = [made.secret[at : at + 4] for at in range(0, len(made.secret), 4)]
    return {"key": " ".join(groups), "url": made.url}
