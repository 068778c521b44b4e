"""The sandbox's mailbox: what would have been sent, for whoever is signed in. Production has none."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from merchants import mail
from merchants.backoffice.access import SignedIn


class Mailbox(SignedIn):
    template_name, title = "backoffice/account/mailbox.html", "Mailbox of the sandbox"

    def admit(self) -> HttpResponse | None:
        if settings.PRODUCTION:
            raise Http404
        return None

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render({"letters": mail.recent(now=self.now), "rail": "account"})
