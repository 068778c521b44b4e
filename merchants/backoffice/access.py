"""The back-office's door: who sees which page, and how a sensitive act is confirmed.

Every page of a merchant is a `Page` (or an `Act`, which also does something) that names its permission in
`act`. It is shown to a person who signed in with both factors and whose role on *that* merchant's team has
the permission. Anybody else is sent to the sign-in; another merchant is a 404, as one that does not exist;
a missing permission is a page that names it and who may grant it, and the refused try is audited.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views import View

from merchants import audit, client_address, clock, second_factor, sessions
from merchants.backoffice.forms import BackofficeForm
from merchants.errors import Refusal
from merchants.models import Membership, Merchant, User
from merchants.roles import PERMISSIONS, Role, roles_with


class SignedIn(View):
    """A page for a person who has shown both factors; the base of all others.

    now: business time, read once for the request. with_one_time_password: also open to somebody who has
    yet to replace the password that they were given.
    """

    with_one_time_password: ClassVar[bool] = False
    template_name: ClassVar[str]
    title: ClassVar[str] = ""

    person: User
    now: datetime

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        way_in = _way_in(request)
        if way_in:
            return way_in
        self.person = User.objects.get(email=request.user.get_username())
        self.now = clock.now()
        if self.person.must_change_password and not self.with_one_time_password:
            return HttpResponseRedirect(reverse("password"))
        refused = self.admit()
        response = refused or super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    def admit(self) -> HttpResponse | None:
        """What is answered instead of the page; None lets the person in."""
        return None

    def context(self) -> dict[str, Any]:
        """What the template gets besides what the view gives."""
        return {"page_title": self.title, "person": self.person, "now": self.now}

    def render(self, context: Mapping[str, Any] | None = None, *, status: int = 200) -> HttpResponse:
        return render(self.request, self.template_name, {**self.context(), **(context or {})}, status=status)

    def done(self, text: str, to: str, **kwargs: Any) -> HttpResponseRedirect:
        """After an act: its outcome in a sentence, on the page named `to`."""
        messages.success(self.request, text)
        return HttpResponseRedirect(reverse(to, kwargs=kwargs))

    def how(self, *, second_factor: bool = False) -> audit.How:
        """How the person acts, for the audit."""
        return {"ip": client_address.text_of(self.request), "second_factor": second_factor}

    def audit_refusal(self, act: str, reason: str) -> None:
        """A refused act of somebody who is signed in."""
        audit.record(
            actor=self.person,
            act=f"{act}.refused",
            merchant=getattr(self, "merchant", None),
            after={"reason": reason},
            now=self.now,
            **self.how(),
        )


class Page(SignedIn):
    """A page of one merchant, under `/m/<client_id>/`.

    act: the permission of `merchants.roles` that it takes. tab: which tab is marked as this page's.
    """

    act: ClassVar[str]
    tab: ClassVar[str] = ""

    membership: Membership
    merchant: Merchant

    def admit(self) -> HttpResponse | None:
        team = Membership.objects.select_related("merchant", "user")
        membership = team.filter(user=self.person, merchant__wire_id=self.kwargs["client_id"]).first()
        if membership is None or Role(membership.role) is Role.RESTRICTED:
            raise Http404
        self.membership, self.merchant = membership, membership.merchant
        permission = self.permission()
        if not membership.may(permission):
            self.audit_refusal(permission, "no_permission")
            return _forbidden(self.request, self.context(), permission)
        return None

    def permission(self) -> str:
        """Which permission this request takes; `act` unless a page's method needs another."""
        return self.act

    def context(self) -> dict[str, Any]:
        return super().context() | {
            "merchant": self.merchant,
            "membership": self.membership,
            "client_id": self.merchant.wire_id,
            "tab": self.tab,
        }

    def done(self, text: str, to: str, **kwargs: Any) -> HttpResponseRedirect:
        return super().done(text, to, client_id=self.merchant.wire_id, **kwargs)


class OwnAct(SignedIn):
    """A page whose POST does one thing, after a fresh code where its form asks for one.

    A subclass gives `form_class` and `perform`, which makes one call to a verb and answers. A `Refusal`, of
    the code or of the verb, is shown in the form with everything else as the person left it.

    act: what the audit calls it. On its own the class is for what concerns the person alone.
    """

    act: ClassVar[str]
    form_class: ClassVar[type[BackofficeForm]]

    _confirmed = False

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.show(self.form())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST)
        if not form.is_valid():
            return self.show(form, status=422)
        if self.holds_back(form):
            return self.show(form)
        try:
            self._confirm(form)
            return self.perform(form)
        except Refusal as refusal:
            self.audit_refusal(self.permission(), type(refusal).__name__)
            form.refuse(refusal)
            return self.show(form, status=422)

    def permission(self) -> str:
        """What the act is called."""
        return self.act

    def form(self, data: Any = None) -> BackofficeForm:
        """The form, empty or with what was sent; `initial` is what the page starts from."""
        return self.form_class(data, initial=self.initial())

    def initial(self) -> dict[str, Any]:
        return {}

    def holds_back(self, form: BackofficeForm) -> bool:
        """Whether the page is shown once more first, with what the act would change; no code is spent."""
        return False

    def perform(self, form: BackofficeForm) -> HttpResponse:
        """Does it: one call to a verb, then a redirect. May raise a `Refusal`."""
        raise NotImplementedError

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form}, status=status)

    def how(self, *, second_factor: bool | None = None) -> audit.How:
        """As the base; an act whose form carries a code was confirmed by it once `perform` runs."""
        confirmed = self._confirmed if second_factor is None else second_factor
        return super().how(second_factor=confirmed)

    def _confirm(self, form: BackofficeForm) -> None:
        """Spends the code; committed before the verb begins, so that a refusal gives no guess back."""
        if "code" in form.fields:
            second_factor.confirm(user=self.person, code=form.cleaned_data["code"], now=self.now)
            sessions.renew(self.request)
            self._confirmed = True


class Act(Page, OwnAct):
    """An act on a merchant's account, for the roles with its permission."""


def _way_in(request: HttpRequest) -> HttpResponse | None:
    """Where somebody goes who may not see any page yet; None for whoever has shown both factors."""
    user: Any = request.user
    here = urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
    if not user.is_authenticated or not user.is_verified():
        return HttpResponseRedirect(f"{reverse('sign_in')}?{here}")
    return None


def _forbidden(request: HttpRequest, context: Mapping[str, Any], permission: str) -> HttpResponse:
    """Names the permission and who has it."""
    shown = {
        **context,
        "page_title": "Not for your role",
        "permission": PERMISSIONS[permission],
        "roles": [role.label for role in roles_with(permission)],
    }
    return render(request, "backoffice/forbidden.html", shown, status=403)
