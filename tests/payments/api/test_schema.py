"""The API's description: current, complete, valid, and true of what the API answers."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from django.urls import resolve
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from payments import rates, terms
from payments.api import schema, urls
from payments.api.params import Parameter
from payments.processors.base import Pair, Quote
from tests import factories
from tests.signed import SignedClient

ROOT = Path(__file__).parents[3]
DOCUMENT = schema.build()
SCHEMAS = DOCUMENT["components"]["schemas"]


def misfits(part: dict, value: object) -> list[str]:
    whole = part | {"components": {"schemas": SCHEMAS}}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def operation(call: schema.Call) -> dict:
    (found,) = DOCUMENT["paths"][f"/api/v2/{call.path}"].values()
    return found


class TestDocument:
    def test_is_the_one_in_the_docs(self):
        assert (ROOT / "docs" / "openapi.yaml").read_text() == schema.as_yaml()

    def test_is_openapi_3_1(self):
        assert DOCUMENT["openapi"] == "3.1.0"
        validate_schema(DOCUMENT)

    def test_describes_every_call_that_is_served(self):
        served = {pattern.callback.cls.__name__ for pattern in urls.urlpatterns} - {"Unknown"}
        assert {call.view.__name__ for call in schema.CALLS} == served

    @pytest.mark.parametrize("call", schema.CALLS, ids=lambda call: call.path)
    def test_names_paths_that_lead_to_their_views(self, call):
        assert resolve(f"/api/v2/{call.path}").func.cls is call.view

    def test_knows_every_parameter(self):
        described = {name for call in schema.CALLS if call.takes for name in call.takes().fields}
        assert described == schema.MEANINGS.keys()

    def test_refuses_a_parameter_of_an_unknown_kind(self):
        with pytest.raises(NotImplementedError):
            schema._wanted(Parameter())

    @pytest.mark.parametrize("call", schema.CALLS, ids=lambda call: call.path)
    def test_shows_examples_that_fit(self, call):
        found = operation(call)
        content = found["responses"][str(call.gives[0])]["content"][call.media]
        assert misfits(content["schema"], content["examples"]["Answer"]["value"]) == []
        if call.given:
            content = found["requestBody"]["content"]["application/json"]
            assert misfits(content["schema"], content["examples"]["Parameters"]["value"]) == []

    @pytest.mark.parametrize("name", sorted(name for name in SCHEMAS if "examples" in SCHEMAS[name]))
    def test_shows_components_that_fit(self, name):
        assert misfits(SCHEMAS[name], SCHEMAS[name]["examples"][0]) == []

    def test_is_loaded_by_nothing_that_serves(self):
        ask = (
            "import django, sys; django.setup(); import config.urls; print('drf_spectacular' in sys.modules)"
        )
        known = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "BURSAR_ROLE": "web"}
        done = subprocess.run(
            [sys.executable, "-c", ask], cwd=ROOT, env=known, capture_output=True, text=True, check=True
        )
        assert done.stdout == "False\n"


@pytest.mark.django_db
class TestAnswers:
    @pytest.fixture
    def client(self):
        merchant, processor = factories.merchant(), factories.processor()
        for currency in ("BTC", "EUR", "XRP"):
            factories.terms(currency)
            terms.enable(merchant=merchant, currency=currency, now=factories.NOW)
        factories.fund(merchant, factories.money("2"))
        quote = Quote(Pair("BTC", "EUR"), Decimal("48715.6168"), Decimal("0.003"), Decimal("0.0001"))
        rates.keep(processor=processor, quotes=[quote])
        return SignedClient(merchant)

    @pytest.mark.parametrize("call", schema.CALLS, ids=lambda call: call.path)
    def test_fit_when_something_is_wrong(self, client, call):
        found = operation(call)["responses"]
        for body in (b"{", b'{"visible":7,"currency_from":"X","currency":7}'):
            answer = client.post(call.path, body)
            if answer.status_code == 200:
                continue
            content = found[str(answer.status_code)]["content"]["application/json"]
            assert misfits(content["schema"], answer.json()) == []

    @pytest.mark.parametrize(
        ("path", "filled"),
        [("currencies/list", 3), ("currencies/pairs", 1), ("currencies/rates", 1), ("accounts/list", 3)],
    )
    def test_of_lists_fit(self, client, path, filled):
        answer = client.post(path, b"{}")
        assert (answer.status_code, len(answer.json()["data"])) == (200, filled)
        assert misfits(self.given(path, "200"), answer.json()) == []

    @pytest.mark.parametrize("tag", [None, "12345", "memo"])
    def test_of_addresses_fit(self, client, tag):
        taken = factories.address(client.merchant, "XRP", foreign_id="u-1", tag=tag, convert_to="")
        answer = client.post("addresses/take", {"foreign_id": "u-1", "currency": "XRP"})
        assert (answer.status_code, answer.json()["data"]["address"]) == (201, taken.address)
        assert misfits(self.given("addresses/take", "201"), answer.json()) == []

    def given(self, path: str, status: str) -> dict:
        content = DOCUMENT["paths"][f"/api/v2/{path}"]["post"]["responses"][status]["content"]
        return content["application/json"]["schema"]
