"""Balances: what a merchant has, what is held, what is on its way in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from merchants.backoffice.access import Page
from payments import standing


class Balances(Page):
    act, tab, title = "balances.view", "balances", "Balances"
    template_name = "backoffice/money/balances.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        return self.render({"standings": standing.of_merchant(merchant=self.merchant, now=self.now)})
