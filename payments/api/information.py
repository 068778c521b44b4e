"""`transactions/info`: one transaction in its present state, as its callbacks show it, without an envelope.

The parameters travel as a JSON body, on a GET or a POST, or in the query.
"""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from payments import information
from payments.api.params import OneOf, Parameter, Params, Text
from payments.api.views import SignedView
from payments.errors import FieldRefusal
from payments.information import KINDS, LARGEST_ID, Key, NotFound

BY = ("id", "foreign_id", "txid")


class NotOneKey(FieldRefusal):
    """Provide exactly one of id, foreign_id, txid."""

    field = "id"


class Number(Parameter):
    """A positive integer, or its digits in a string."""

    def parse(self, data: Any) -> int:
        text = str(data) if isinstance(data, int) and not isinstance(data, bool) else data
        if not isinstance(text, str) or not text.isascii() or not text.isdigit():
            self.fail("invalid")
        return int(text[:20])


class TransactionsInfoParams(Params):
    id = Number(required=False)
    foreign_id = Text(required=False, help_text="The merchant's number of a withdrawal, exchange or invoice.")
    txid = Text(required=False)
    type = OneOf(words=KINDS, required=False, help_text="Only a transaction of this type.")


class TransactionsInfo(SignedView):
    http_method_names = ("get", "post")

    def get(self, request: Request) -> Response:
        return self._answer(request)

    def post(self, request: Request) -> Response:
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        asked = {**request.query_params.dict(), **self.body()}
        given = [name for name in BY if asked.get(name) is not None and asked[name] != ""]
        if len(given) != 1:
            raise NotOneKey
        wanted = TransactionsInfoParams.read(asked)
        key = Key(wanted.get("id"), wanted.get("foreign_id"), wanted.get("txid"), wanted.get("type", ""))
        try:
            if key.id is not None and not 0 < key.id <= LARGEST_ID:
                raise NotFound(field="id")
            return Response(information.find(merchant=self.merchant, key=key))
        except NotFound as missing:
            return Response({"errors": {missing.field: str(missing)}}, status=404)
