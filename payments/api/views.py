"""The signed REST API, version 2: each view is parse → one verb → render.

Order of refusals: key, signature, address, then the method, the body's form and its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import clock
from merchants.authentication import Caller, SignedKeyAuthentication
from merchants.models import Merchant
from merchants.signing import KEY_META, SIGNATURE_META
from payments import addresses, doorbell, ledger, rates, tasks, terms, wire
from payments.api import params, shapes
from payments.api.negotiation import JsonWhateverIsAsked
from payments.processors.base import Pair
from payments.terms import Offer

_OF_A_CALLBACK = frozenset({"fees", "status", "transactions"})


class WireRenderer(BaseRenderer):
    """The wire's JSON: the bytes that PHP's encoder would make."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else wire.php_json(data)


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
        return wire.parse_body(request.body, request.META.get("CONTENT_TYPE", ""))

    def write_body(self) -> dict[str, Any]:
        """The parameters of a request that changes something.

        Our own callbacks carry valid signatures of the merchant's key; played back at us, they are refused.
        """
        body = self.body()
        if body.keys() >= _OF_A_CALLBACK:
            raise wire.BadContent
        return body

    @cached_property
    def now(self) -> Any:
        return clock.now()

    @property
    def caller(self) -> Caller:
        return self.request.user  # type: ignore[return-value]  # the authentication class sets it

    @cached_property
    def merchant(self) -> Merchant:
        (row,) = Merchant.objects.raw(
            "SELECT * FROM merchants_merchant WHERE id = %s", [self.caller.merchant_id]
        )
        return row

    @cached_property
    def offers(self) -> dict[str, Offer]:
        return terms.enabled(merchant_id=self.caller.merchant_id, now=self.now)


class Ping(SignedView):
    """`OK` without credentials, or with a key alone; with both headers it is a test of them."""

    http_method_names = ("get", "head")

    def perform_authentication(self, request: Request) -> None:
        both = KEY_META in request.META and SIGNATURE_META in request.META
        if both or request.method not in {"GET", "HEAD"}:
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
        body = self.write_body()
        named = [code for name in ("currency", "convert_to") if isinstance(code := body.get(name), str)]
        offers = terms.enabled(merchant_id=self.caller.merchant_id, now=self.now, among=named)
        wanted = params.TakeAddressParams.read(body, offers=offers, converts=self._converts)
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

    @property
    def default_response_headers(self) -> dict[str, str]:
        """No `Allow`: where nothing is, no method is allowed."""
        return {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise exceptions.NotFound
