"""The API as an OpenAPI 3.1 document, made by `manage.py openapi` and kept as docs/openapi.yaml.

Nothing that serves imports this: it stands on drf-spectacular, which only development installs, and costs a
request nothing. Parameters are read off the serializers that read them (`params`), refusals off the tables
that answer them; what no serializer knows, the answers, is in `schema_answers`.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from django.urls import URLPattern, path
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.views import APIView

from merchants.authentication import SignedKeyAuthentication
from merchants.signing import KEY_HEADER, SIGNATURE_HEADER
from payments.api import params, schema_exchanges, schema_invoices, schema_withdrawals, views
from payments.api import schema_answers as answers
from payments.api.schema_answers import Schema
from payments.api.schema_call import Call
from payments.texts import LONGEST_LINK

MOUNT = "api/v2/"
TITLE, VERSION = "Bursar", "2"
DESCRIPTION = """\
Signed calls of a merchant's program. Every request carries the public key of an API key and the HMAC-SHA512
of the exact bytes of its body, keyed with the key's secret, in lower-case hex.

A call without parameters may send `{}`, `[]`, `null` or nothing. Parameters that are unknown are ignored;
`null` and the empty string count as absent. Each path is served with and without a slash at its end. Amounts
are decimals in strings, timestamps integers in Unix seconds, ids integers below 2^31.
"""
_NOTHING: Schema = {"type": ["object", "array", "null"], "maxItems": 0, "description": "No parameters."}
_NO_NUL = "^[^\\u0000]*$"
_COMPONENTS = {
    **answers.COMPONENTS,
    **schema_invoices.COMPONENTS,
    **schema_exchanges.COMPONENTS,
    **schema_withdrawals.COMPONENTS,
}
_AMOUNT = r"^(0|[1-9][0-9]{0,16})(\.[0-9]{1,8}0{0,10})?$"


CALLS = (
    Call(
        "ping",
        views.Ping,
        "Whether the API answers",
        "`OK` without credentials, or with a key alone. With both headers it is a test of them. Also HEAD.",
        (200, None),
        got="OK",
    ),
    Call(
        "currencies/list",
        views.CurrenciesList,
        "Currencies and terms",
        "The merchant's enabled currencies, or with `visible` false those that could be enabled.",
        (200, answers.several("Currency")),
        params.CurrenciesListParams,
        {"visible": True},
        [answers.CURRENCY_EXAMPLE],
    ),
    Call(
        "currencies/pairs",
        views.CurrenciesPairs,
        "Pairs and prices",
        "What can be exchanged now between the merchant's currencies. Pairs whose price is not fresh are left"
        " out.",
        (200, answers.several("Pair")),
        params.PairsParams,
        {"currency_from": "BTC", "currency_to": "EUR"},
        [answers.PAIR_EXAMPLE],
        ("currency_from", "currency_to"),
    ),
    Call(
        "currencies/rates",
        views.CurrenciesPairs,
        "Prices",
        "The same as `currencies/pairs`.",
        (200, answers.several("Pair")),
        params.PairsParams,
        {"currency_from": "BTC", "currency_to": "EUR"},
        [answers.PAIR_EXAMPLE],
        ("currency_from", "currency_to"),
    ),
    Call(
        "accounts/list",
        views.AccountsList,
        "Balances",
        "Every account of the merchant in the order in which they were opened, empty ones too.",
        (200, answers.several("Account")),
        got=[answers.ACCOUNT_EXAMPLE],
    ),
    Call(
        "addresses/take",
        views.AddressesTake,
        "A deposit address for a customer",
        "The address of this customer, currency and conversion: asking again gives the same one.",
        (201, answers.data(answers.reference("Address"))),
        params.TakeAddressParams,
        {"foreign_id": "u-77", "currency": "BTC", "convert_to": "EUR", "end_user_reference": "player-77"},
        answers.ADDRESS_EXAMPLE,
    ),
    *schema_invoices.CALLS,
    *schema_exchanges.CALLS,
    *schema_withdrawals.CALLS,
)

MEANINGS = {
    "visible": "False: what could be enabled instead of what is. Absent: true.",
    "currency_from": "Only pairs that give this currency.",
    "currency_to": "Only pairs that get this currency.",
    "foreign_id": "The customer, as the merchant calls them; need not be unique. Answered as a string.",
    "currency": "What will be paid: a crypto currency that the merchant has enabled.",
    "convert_to": "What each deposit is converted to: an enabled currency with a price for the pair.",
    "end_user_reference": "Who pays, for the merchant's own records. Answered as a string.",
    "sender_type": "Which kind of end user `sender_data` describes.",
    "sender_data": "Compliance data about the end user, kept as given.",
    **schema_invoices.MEANINGS,
    **schema_exchanges.MEANINGS,
    **schema_withdrawals.MEANINGS,
}
"""Each parameter by name; where it means something else in one call, its own help text says so there."""


class SignedKey(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Two headers that go together."""

    target_class = SignedKeyAuthentication
    name = ["ProcessingKey", "ProcessingSignature"]  # noqa: RUF012 - the base class reads it like this

    def get_security_definition(self, auto_schema: AutoSchema) -> list[Schema]:
        signature = "HMAC-SHA512 of the exact bytes of the body, keyed with the secret: 128 hex digits."
        return [
            {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The public key."},
            {"type": "apiKey", "in": "header", "name": SIGNATURE_HEADER, "description": signature},
        ]


class ParameterField(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """A parameter as the wire takes it; one that may be left out may also be null or empty."""

    target_class = params.Parameter
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Schema:
        wanted = _wanted(self.target) | {
            "description": self.target.help_text or MEANINGS[self.target.field_name]
        }
        if self.target.required:
            return wanted
        return {"anyOf": [wanted, {"type": "null"}, {"const": ""}]}


def _wanted(parameter: params.Parameter) -> Schema:
    special = schema_exchanges.wanted(parameter) or schema_withdrawals.wanted(parameter)
    if special is not None:
        return special
    match parameter:
        case params.Text() | params.Link() | params.Email():
            return _text(parameter)
        case params.Amount():
            number = {"type": "number", "minimum": 0}
            return {"anyOf": [{"type": "string", "pattern": _AMOUNT}, number]}
        case params.OneOf():
            return {"enum": list(parameter.words)}
        case params.Boolean():
            return {"enum": [True, False, 1, 0, "1", "0", "true", "false"]}
        case params.EnabledCurrency(crypto_only=True):
            return dict(answers.CRYPTO_CODE)
        case params.CurrencyCode() | params.EnabledCurrency():
            return dict(answers.CODE)
        case params.Person():
            return {"anyOf": [_person(kind, names) for kind, names in params.Person.SHAPES.items()]}
    raise NotImplementedError(f"{type(parameter).__name__} has no schema yet")


def _text(parameter: params.Text | params.Link | params.Email) -> Schema:
    match parameter:
        case params.Text(field_name="sender_type"):
            return {"enum": list(params.Person.SHAPES)}
        case params.Line():
            return {"type": "string", "minLength": 1, "maxLength": parameter.longest, "pattern": _NO_NUL}
        case params.Link():
            return {
                "type": "string",
                "format": "uri",
                "maxLength": LONGEST_LINK,
                "pattern": "^https?://[^@]+$",
            }
        case params.Email():
            return {"type": "string", "format": "email", "maxLength": parameter.LONGEST}
    text = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _NO_NUL}
    return {"anyOf": [text, {"type": "integer"}]}


def _person(kind: str, names: tuple[str, ...]) -> Schema:
    """One kind of end user; members beside these are kept as they are."""
    text = {"type": "string", "minLength": 1, "pattern": _NO_NUL}
    return {
        "type": "object",
        "title": kind,
        "properties": {**dict.fromkeys(names, text), "email": {"type": "string", "pattern": _NO_NUL}},
        "required": list(names),
    }


class CallSchema(AutoSchema):
    """What drf-spectacular asks about one call."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def get_operation_id(self) -> str:
        return re.sub(r"[{}]", "", self._call.path).replace("/", "_")

    def get_summary(self) -> str:
        return self._call.summary

    def get_description(self) -> str:  # type: ignore[override]  # as the base class has it
        return self._call.description

    def get_tags(self) -> list[str]:
        return [self._call.path.partition("/")[0]]

    def get_auth(self) -> list[Schema]:
        """Both headers; ping also without."""
        required: list[Schema] = super().get_auth()
        return required if self._call.answers_json else [*required, {}]

    def get_override_parameters(self) -> list[Any]:
        in_query = [
            OpenApiParameter(name, _in_query(name), description="As in the body.")
            for name in self._call.query
        ]
        return in_query + [
            OpenApiParameter(name, str, OpenApiParameter.PATH, description=meaning, required=True)
            for name, meaning in self._call.in_path.items()
        ]

    def get_request_serializer(self) -> Any:
        return {"application/json": self._call.takes or _NOTHING} if self._call.answers_json else None

    def get_response_serializers(self) -> Any:
        status, schema = self._call.gives
        given = schema or {"type": "string", "const": self._call.got}
        done = OpenApiResponse(given, description="Done.")
        return {(status, self._call.media): done, **_refusals(self._call)}

    def get_examples(self) -> list[OpenApiExample]:
        call = self._call
        shown = {"data": call.got} if call.answers_json and not call.is_bare else call.got
        codes = [call.gives[0]]
        given = [OpenApiExample("Parameters", call.given, request_only=True)] if call.given else []
        return [
            *given,
            OpenApiExample("Answer", shown, response_only=True, media_type=call.media, status_codes=codes),
        ]


def _in_query(name: str) -> Schema:
    return dict(answers.CODE) if name.startswith("currency") else {"type": "string", "minLength": 1}


def _refusals(call: Call) -> dict[int, OpenApiResponse]:
    found: dict[int, Schema] = {
        400: {"anyOf": [answers.reference("FieldErrors"), answers.reference("BadContent")]},
        403: answers.reference("Forbidden"),
        405: answers.reference("MethodNotAllowed"),
        503: answers.reference("Unavailable"),
        **call.refuses,
    }
    return {status: OpenApiResponse(schema, description=_said(schema)) for status, schema in found.items()}


def _said(schema: Schema) -> str:
    """The referred components' own words."""
    parts = schema.get("anyOf", [schema])
    return " ".join(_COMPONENTS[part["$ref"].rpartition("/")[2]]["description"] for part in parts)


def patterns() -> list[URLPattern]:
    """A view for each call: the one that serves, in a class of its own that knows its description."""
    return [path(f"{MOUNT}{_pattern(call)}", _described(call).as_view()) for call in CALLS]


def _pattern(call: Call) -> str:
    return re.sub(r"\{(\w+)\}", r"<path:\1>", call.path)


def _described(call: Call) -> type[APIView]:
    described: dict[str, Any] = {"schema": CallSchema(call)}
    if call.method:
        described["http_method_names"] = (call.method,)
    return type(f"Described{call.view.__name__}", (call.view,), described)


def build() -> Schema:
    """The whole document."""
    settings = {
        "TITLE": TITLE,
        "VERSION": VERSION,
        "DESCRIPTION": DESCRIPTION,
        "OAS_VERSION": "3.1.0",
        "APPEND_COMPONENTS": {"schemas": _COMPONENTS},
        "SORT_OPERATIONS": False,
        "POSTPROCESSING_HOOKS": [],
    }
    with patched_settings(settings):
        generator = SchemaGenerator(patterns=patterns())  # type: ignore[no-untyped-call]
        document: Schema = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    for call in CALLS:
        if call.takes:
            described = document["components"]["schemas"][call.takes.__name__]
            described["description"] = "Parameters: see the call. Unknown ones are ignored."
    return document


def as_yaml() -> str:
    """The document as docs/openapi.yaml holds it."""
    text: str = yaml.safe_dump(build(), sort_keys=False, allow_unicode=True, width=110)
    return text
