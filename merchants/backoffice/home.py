"""Where a person lands: at their merchant, or at the choice between several."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from merchants.backoffice.access import SignedIn
from merchants.models import Membership
from merchants.roles import Role

LANDING = "balances"
"""The name of the page that a merchant's staff see first."""


class Home(SignedIn):
    """`/`: the only merchant's first page, or the list."""

    def get(self, request: HttpRequest) -> HttpResponse:
        teams = _teams(self.person.pk)
        if len(teams) == 1:
            return HttpResponseRedirect(reverse(LANDING, kwargs={"client_id": teams[0].merchant.wire_id}))
        return HttpResponseRedirect(reverse("merchants"))


class Merchants(SignedIn):
    """The merchants on whose team the person is."""

    template_name = "backoffice/merchants.html"
    title = "Merchants"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render({"teams": _teams(self.person.pk), "landing": LANDING, "rail": "merchants"})


def _teams(user_id: int) -> list[Membership]:
    teams = Membership.objects.select_related("merchant").filter(user_id=user_id)
    return list(teams.exclude(role=Role.RESTRICTED).order_by("merchant__name", "id"))
