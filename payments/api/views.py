"""The signed REST API, version 2: each view is parse → one verb → render.

Order of refusals: key, signature, address, then the method, the body's form and its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import clock
from merchants.authentication import Caller, SignedKeyAuthentication
from merchants.models import Merchant
from merchants.signing import KEY_HEADER, SIGNATURE_HEADER
from payments import addresses, doorbell, ledger, rates, tasks, terms, wire
from payments.api import params, shapes
from payments.processors.base import Pair
from payments.terms import Offer


class WireRenderer(BaseRenderer):
    """The wire's JSON: the bytes that PHP's encoder would make."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else wire.php_json(data)


class JsonWhateverIsAsked(BaseContentNegotiation):
    """There is one representation; an odd Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class SignedView(APIView):
    """A view for a signed request."""

    authentication_classes = (SignedKeyAuthentication,)
    renderer_classes = (WireRenderer,)
    content_negotiation_class = JsonWhateverIsAsked
    metadata_class = None
    http_method_names: Sequence[str] = ("post",)

    def body(self) -> dict[str, Any]:
        """The request's parameters. Raises `BadContent`."""
        request: HttpRequest = self.request._request
        return wire.parse_body(request.body, request.headers.get("Content-Type", ""))

    @cached_property
    def now(self) -> Any:
        return clock.now()

    @property
    def caller(self) -> Caller:
        return self.request.user  # type: ignore[return-value]  # the authentication class sets it

    @cached_property
    def merchant(self) -> Merchant:
        return Merchant.objects.get(pk=self.caller.merchant_id)

    @cached_property
    def offers(self) -> dict[str, Offer]:
        return terms.enabled(merchant_id=self.caller.merchant_id, now=self.now)


class Ping(SignedView):
    """`OK` without credentials, or with a key alone; with both headers it is a test of them."""

    http_method_names = ("get", "head")

    def perform_authentication(self, request: Request) -> None:
        if KEY_HEADER in request.headers and SIGNATURE_HEADER in request.headers:
            super().perform_authentication(request)

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(b"OK", content_type="text/plain")


class CurrenciesList(SignedView):
    def post(self, request: Request) -> Response:
        wanted = params.CurrenciesListParams.read(self.body())
        listing = terms.enabled if wanted["visible"] else terms.available
        offers = listing(merchant_id=self.caller.merchant_id, now=self.now)
        return Response({"data": [shapes.currency(offer) for offer in offers.values()]})


class CurrenciesPairs(SignedView):
    """Pairs and their prices; `currencies/rates` answers the same."""

    def post(self, request: Request) -> Response:
        wanted = params.PairsParams.read({**request.query_params.dict(), **self.body()})
        pair = Pair(wanted.get("currency_from", ""), wanted.get("currency_to", ""))
        current = rates.current(merchant=self.merchant, now=self.now)
        return Response({"data": shapes.pairs(current, self.offers, pair)})


class AccountsList(SignedView):
    def post(self, request: Request) -> Response:
        self.body()
        return Response({"data": [shapes.account(row) for row in ledger.balances(self.caller.merchant_id)]})


class AddressesTake(SignedView):
    def post(self, request: Request) -> Response:
        wanted = params.TakeAddressParams.read(self.body(), offers=self.offers, converts=self._converts)
        taken = addresses.take(
            merchant=self.merchant,
            order=_order(wanted),
            now=self.now,
            call_for_more=lambda: doorbell.ring(tasks.FILL_POOLS),
        )
        data = shapes.address(taken, tag_as_string=self.merchant.take_tag_as_string)
        return Response({"data": data}, status=201)

    def _converts(self, source: object, target: str) -> bool:
        return isinstance(source, str) and rates.converts(
            merchant=self.merchant, source=source, target=target, now=self.now
        )


def _order(wanted: dict[str, Any]) -> addresses.Order:
    convert_to = wanted.get("convert_to")
    sender: dict[str, Any] = {name: wanted[name] for name in ("sender_type", "sender_data") if name in wanted}
    return addresses.Order(
        foreign_id=wanted["foreign_id"],
        currency=wanted["currency"].currency.code,
        convert_to=convert_to.currency.code if convert_to else "",
        end_user_reference=wanted.get("end_user_reference"),
        sender=sender or None,
    )


class Unknown(SignedView):
    """Any other path: the caller proves itself first, then learns that there is nothing here."""

    http_method_names = ("get", "post", "put", "patch", "delete", "head", "options")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise exceptions.NotFound
