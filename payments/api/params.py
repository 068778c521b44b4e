"""Parameters of the API: REST framework serializers whose fields speak the wire's types and sentences.

Every failing field is reported, one sentence each. A parameter that is null or empty counts as absent;
unknown ones are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NoReturn, cast

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email
from rest_framework import serializers
from rest_framework.fields import SkipField, empty

from merchants.errors import Refusal
from payments import texts, wire
from payments.currencies import CURRENCIES, PRECISION
from payments.errors import NotAnObject, NotEmail, Required, SelectedIsInvalid, WrongFormat
from payments.terms import Offer


class Parameter(serializers.Field[Any, Any, Any, Any]):
    """A field whose sentences are the refusals of `payments.errors`, with its own name in them."""

    def fail(self, key: str, **values: Any) -> NoReturn:
        refusal = Required if key in {"required", "null"} else SelectedIsInvalid
        raise serializers.ValidationError(str(refusal(field=self.field_name or "")))

    def to_internal_value(self, data: Any) -> Any:
        try:
            return self.parse(data)
        except Refusal as refusal:
            raise serializers.ValidationError(str(refusal)) from None

    def parse(self, data: Any) -> Any:
        """The value meant by `data`; raises a `Refusal` naming this field."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.field_name or ""

    def to_representation(self, value: Any) -> Any:
        raise NotImplementedError("parameters are read, never written")


class Text(Parameter):
    """A string or an integer of 1 to 255 characters, as a string."""

    def parse(self, data: Any) -> str:
        return wire.parse_text(data, field=self.name)


class Line(Text):
    """The same as people may see it: without control characters and such as turn the direction of writing.

    multiline: line breaks stay.
    """

    def __init__(self, *, longest: int = 255, multiline: bool = False, **options: Any) -> None:
        self.longest, self.multiline = longest, multiline
        super().__init__(**options)

    def parse(self, data: Any) -> str:
        text = wire.parse_text(data, field=self.name, longest=self.longest)
        seen = texts.lines(text) if self.multiline else texts.line(text)
        if self.required and not seen:
            self.fail("required")
        return seen


class Link(Parameter):
    """An absolute http(s) link without credentials in it."""

    def parse(self, data: Any) -> str:
        text = wire.parse_text(data, field=self.name, longest=texts.LONGEST_LINK)
        link = texts.web_link(text)
        if link is None:
            raise WrongFormat(field=self.name)
        return link


class Email(Parameter):
    """An e-mail address."""

    LONGEST = 254

    def parse(self, data: Any) -> str:
        text = wire.parse_text(data, field=self.name, longest=self.LONGEST)
        try:
            validate_email(text)
        except DjangoValidationError:
            raise NotEmail(field=self.name) from None
        return text


class Amount(Parameter):
    """An amount: a decimal in a string, or a number, of at most 8 places."""

    def parse(self, data: Any) -> Decimal:
        return wire.parse_amount(data, places=PRECISION, field=self.name)


class OneOf(Parameter):
    """One of a few words."""

    def __init__(self, *, words: Sequence[str], **options: Any) -> None:
        self.words = tuple(words)
        super().__init__(**options)

    def parse(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.words:
            self.fail("invalid")
        return data


class Boolean(Parameter):
    """true/false, 1/0, "1"/"0", "true"/"false"."""

    def parse(self, data: Any) -> bool:
        return wire.parse_boolean(data, field=self.name)


class CurrencyCode(Parameter):
    """A currency code that Bursar knows, enabled or not."""

    def parse(self, data: Any) -> str:
        if not isinstance(data, str) or data not in CURRENCIES:
            self.fail("invalid")
        return data


class EnabledCurrency(Parameter):
    """A currency that the merchant has enabled; the context holds its offers."""

    def __init__(self, *, crypto_only: bool = False, **options: Any) -> None:
        self.crypto_only = crypto_only
        super().__init__(**options)

    def parse(self, data: Any) -> Offer:
        if data == "":
            self.fail("required")
        offer = self.context["offers"].get(data) if isinstance(data, str) else None
        if not isinstance(offer, Offer) or (self.crypto_only and not offer.currency.is_crypto):
            self.fail("invalid")
        return offer


class Person(Parameter):
    """Compliance data about an end user: kept as given, its shape checked when it is there.

    kind: the parameter that says which shape it has.
    """

    SHAPES: ClassVar[dict[str, tuple[str, ...]]] = {
        "natural": ("first_name", "last_name", "date_of_birth"),
        "legal": ("legal_name", "country_of_registration"),
    }

    def __init__(self, *, kind: str = "sender_type", **options: Any) -> None:
        self.kind = kind
        super().__init__(**options)

    def parse(self, data: Any) -> Mapping[str, Any]:
        shape = self.SHAPES.get(str(self.parent.initial_data.get(self.kind)))
        if not isinstance(data, dict):
            raise NotAnObject(field=self.name)
        if shape is None:
            self.fail("invalid")
        if not all(isinstance(data.get(name), str) and data[name] for name in shape):
            self.fail("invalid")
        if not isinstance(data.get("email", ""), str):
            self.fail("invalid")
        kept: Mapping[str, Any] = _storable(data)
        return kept


def _storable(value: Any) -> Any:
    """The value as plain JSON; a number with a fraction keeps its digits as text."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {name: _storable(item) for name, item in value.items()}
    return value


class Params(serializers.Serializer[Any]):
    """A set of parameters. `read` returns the values or raises with all sentences.

    `read_each` returns the values that can be read and the sentences of the others, for a verb that goes on
    to judge them together.
    """

    @classmethod
    def read(cls, data: Mapping[str, Any], **context: Any) -> dict[str, Any]:
        params = cls(data=_present(data), context=context)
        params.is_valid(raise_exception=True)
        return dict(params.validated_data)

    @classmethod
    def read_each(cls, data: Mapping[str, Any], **context: Any) -> tuple[dict[str, Any], dict[str, str]]:
        present = _present(data)
        params = cls(data=present, context=context)
        values: dict[str, Any] = {}
        sentences: dict[str, str] = {}
        for name, parameter in params.fields.items():
            try:
                values[name] = parameter.run_validation(present.get(name, empty))
            except serializers.ValidationError as error:
                sentences[name] = str(cast(list[str], error.detail)[0])
            except SkipField:
                continue
        return values, sentences


def _present(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None and value != ""}


class CurrenciesListParams(Params):
    visible = Boolean(required=False, default=True)


class PairsParams(Params):
    currency_from = CurrencyCode(required=False)
    currency_to = CurrencyCode(required=False)


class TakeAddressParams(Params):
    foreign_id = Text()
    currency = EnabledCurrency(crypto_only=True)
    convert_to = EnabledCurrency(required=False)
    end_user_reference = Text(required=False)
    sender_type = Text(required=False)
    sender_data = Person(required=False)

    def validate_convert_to(self, offer: Offer) -> Offer:
        if not self.context["converts"](self.initial_data.get("currency"), offer.currency.code):
            self.fields["convert_to"].fail("invalid")
        return offer

    def validate_sender_type(self, text: str) -> str:
        if text not in Person.SHAPES:
            self.fields["sender_type"].fail("invalid")
        return text
