"""One search box for a merchant's desk: by number, txid, address, customer, key or e-mail address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from merchants.backoffice.access import Page
from merchants.models import ApiKey, Membership, Merchant
from payments.models import Address, AddressOrigin, Operation

MOST = 20
LONGEST = 150
LARGEST_NUMBER = 2_147_483_647


@dataclass(frozen=True)
class Hit:
    """What was found, and where it is shown."""

    kind: str
    text: str
    url: str


class Search(Page):
    """A single hit is shown at once; several are listed."""

    act: ClassVar[str] = "transactions.view"
    title = "Search"
    template_name = "backoffice/callbacks/search.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        wanted = request.GET.get("q", "").strip()[:LONGEST]
        hits = self._hits(wanted) if wanted else []
        if len(hits) == 1:
            return HttpResponseRedirect(hits[0].url)
        return self.render({"wanted": wanted, "hits": hits, "most": MOST})

    def _hits(self, wanted: str) -> list[Hit]:
        found = [*_operations(self.merchant, wanted)] or [*_addresses(self.merchant, wanted)]
        if self.membership.may("keys.view"):
            found += _keys(self.merchant, wanted)
        if self.membership.may("team.view"):
            found += _people(self.merchant, wanted)
        return found[:MOST]


def _operations(merchant: Merchant, wanted: str) -> list[Hit]:
    rows = Operation.objects.for_merchant(merchant)
    found = list(rows.filter(legs__merchant=merchant, legs__txid=wanted).distinct()[:MOST])
    if wanted.isascii() and wanted.isdigit() and int(wanted) <= LARGEST_NUMBER:
        found += rows.filter(wire_id=int(wanted))
    addresses = Address.objects.for_merchant(merchant)
    theirs = [*addresses.filter(address=wanted)[:MOST], *addresses.filter(foreign_id=wanted)[:MOST]]
    found += rows.filter(address__in=[one.pk for one in theirs]).order_by("-created_at", "-id")[:MOST]
    return [
        Hit("Transaction", f"№ {row.wire_id}, {row.amount_sent.normalize():f} {row.currency_sent}", _url(row))
        for row in dict.fromkeys(found)
    ]


def _addresses(merchant: Merchant, wanted: str) -> list[Hit]:
    """Addresses that nothing was paid to yet, and those of the staff by their name."""
    rows = Address.objects.for_merchant(merchant)
    named = rows.filter(origin=AddressOrigin.PORTAL, label__icontains=wanted)[:MOST]
    found = dict.fromkeys(
        [*rows.filter(address=wanted)[:MOST], *rows.filter(foreign_id=wanted)[:MOST], *named]
    )
    return [
        Hit(
            "Address",
            f"{row.label or row.foreign_id}, {row.currency}",
            reverse("address", kwargs={"client_id": merchant.wire_id, "number": row.wire_id}),
        )
        for row in found
    ]


def _url(operation: Operation) -> str:
    return reverse(
        "transaction",
        kwargs={"client_id": operation.merchant.wire_id, "number": operation.wire_id},
    )


def _keys(merchant: Merchant, wanted: str) -> list[Hit]:
    rows = ApiKey.objects.for_merchant(merchant).filter(public_key__startswith=wanted)[:MOST]
    return [
        Hit(
            "API key",
            row.short,
            reverse("key", kwargs={"client_id": merchant.wire_id, "public_key": row.public_key}),
        )
        for row in rows
    ]


def _people(merchant: Merchant, wanted: str) -> list[Hit]:
    rows = Membership.objects.for_merchant(merchant).filter(user__email=wanted.lower())
    return [
        Hit("Person", row.user.email, reverse("team", kwargs={"client_id": merchant.wire_id}))
        for row in rows.select_related("user")
    ]
