"""The API over the wire's own rules: order of refusals, shapes, status codes, sentences."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from payments import addresses, rates, terms
from payments.models import Address, AddressPool
from payments.models.account import AccountKind
from payments.processors.base import Pair, Quote
from tests import factories
from tests.factories import NOW, money
from tests.signed import SignedClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    """A merchant with BTC, ETH, EUR and XRP enabled, and prices between them."""
    owner = factories.merchant()
    processor = factories.processor()
    for code in ("BTC", "ETH", "EUR", "USD", "XRP"):
        factories.terms(code)
    for code in ("BTC", "ETH", "EUR", "XRP"):
        terms.enable(merchant=owner, currency=code, now=NOW)
    quotes = [
        Quote(Pair("BTC", "EUR"), Decimal("48715.6168"), Decimal("0.003"), Decimal("0.0001")),
        Quote(Pair("EUR", "BTC"), Decimal("0.0000205"), Decimal("150")),
        Quote(Pair("BTC", "USD"), Decimal("52000"), Decimal("0.003"), Decimal("0.0001")),
        Quote(Pair("ETH", "BTC"), Decimal("0.05"), Decimal("0.06"), Decimal("0.01")),
    ]
    rates.keep(processor=processor, quotes=quotes)
    return owner


@pytest.fixture
def api(merchant):
    return SignedClient(merchant)


def pool(currency: str, *texts: str, convert_to: str = "", tag: str | None = None) -> None:
    """Free addresses, as the sender would have filled them in."""
    for text in texts:
        Address.objects.create(
            processor=factories.processor(),
            currency=currency,
            convert_to=convert_to,
            address=text,
            lookup=addresses.lookup(currency, text),
            tag=tag,
        )


class TestPing:
    def test_answers_ok_to_anybody(self, client):
        answer = client.get("/api/v2/ping")
        assert (answer.status_code, answer.content) == (200, b"OK")
        assert answer["Content-Type"] == "text/plain"
        assert client.head("/api/v2/ping").status_code == 200

    def test_answers_ok_to_a_key_alone(self, client):
        assert client.get("/api/v2/ping", headers={"X-Processing-Key": "nobody"}).content == b"OK"

    def test_judges_both_headers_when_both_are_there(self, api, client):
        assert api.get("ping", b"{}").content == b"OK"
        answer = client.get(
            "/api/v2/ping", headers={"X-Processing-Key": api.key, "X-Processing-Signature": "0" * 128}
        )
        assert answer.json() == {"error": "Bad signature header", "code": "bad_header_signature"}
        assert answer.status_code == 403

    def test_asks_for_a_key_before_it_refuses_to_be_written_to(self, client):
        assert client.post("/api/v2/ping").json()["code"] == "required_header_key"

    def test_is_read_only(self, api):
        answer = api.post("ping", b"{}")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


class TestRefusals:
    def test_asks_for_a_key_first_whatever_the_path(self, client):
        for path in ("accounts/list", "nothing/here", "ping/more"):
            answer = client.post(f"/api/v2/{path}", b"not json", content_type="text/html")
            assert answer.status_code == 403
            assert answer.json() == {"error": "No key header", "code": "required_header_key"}

    def test_says_not_found_only_to_a_proven_caller(self, api, client):
        answer = api.post("nothing/here", b"{}")
        assert (answer.status_code, answer.json()) == (404, {"error": "Not found", "code": "not_found"})
        assert answer["Content-Type"] == "application/json"
        assert "Allow" not in answer.headers

    def test_refuses_another_method_after_the_signature(self, api):
        answer = api.get("accounts/list", b"")
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert answer.json() == {"error": "Method not allowed", "code": "method_not_allowed"}

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"unknown": 1}'])
    def test_takes_every_form_of_no_parameters(self, api, body):
        assert api.post("accounts/list", body).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            b"1",
            b'"text"',
            b"[1]",
            b"{",
            b'{"a": NaN}',
            b'{"a": 1, "a": 2}',
            b'{"a": "\\u0000"}',
            b'{"a": "\\ud800"}',
            b'{"a": "\xff"}',
            b"[" * 40 + b"]" * 40,
            b'{"a": "' + b"x" * 70_000 + b'"}',
        ],
        ids=lambda body: body[:12].decode("latin-1"),
    )
    @pytest.mark.parametrize("path", ["accounts/list", "addresses/take", "currencies/list"])
    def test_refuses_what_is_no_parameters(self, api, path, body):
        answer = api.post(path, body)
        assert answer.status_code == 400
        assert answer.json() == {"error": "Bad content format", "code": "bad_content_format"}

    def test_looks_at_the_content_type_only_when_there_is_content(self, api):
        assert api.post("accounts/list", b"", content_type="text/html").status_code == 200
        assert api.post("accounts/list", b"{}", content_type="text/html").status_code == 400
        spelled = "application/json; charset=utf-8"
        assert api.post("accounts/list", b"{}", content_type=spelled).status_code == 200

    def test_ignores_what_the_caller_would_accept(self, api):
        answer = api.post("accounts/list?format=xml", b"{}", headers={"Accept": "text/html"})
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")

    @pytest.mark.parametrize("query", ["a=%00", "a=%ff", "%ff=1", "a=%ed%a0%80"])
    def test_refuses_a_query_that_is_no_text(self, api, query):
        answer = api.post(f"accounts/list?{query}", b"{}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_content_format")

    def test_touches_no_cookie_of_a_browser(self, api):
        answer = api.post("accounts/list", b"{}", headers={"Cookie": "sessionid=abc; csrftoken=x"})
        assert (answer.status_code, answer.cookies) == (200, {})

    def test_answers_with_and_without_a_trailing_slash(self, api):
        assert api.post("accounts/list/", b"{}").status_code == 200


class TestCurrenciesList:
    def test_lists_the_enabled_ones_in_the_wires_form(self, api):
        rows = api.post("currencies/list", b"{}").json()["data"]
        assert [row["currency"] for row in rows] == ["BTC", "ETH", "EUR", "XRP"]
        assert rows[0] == {
            "id": 1,
            "type": "crypto",
            "currency": "BTC",
            "minimum_amount": "0.00010000",
            "deposit_fee_percent": "0.008000",
            "withdrawal_fee_percent": "0.000000",
            "precision": 8,
        }
        assert rows[2] | {"id": 3} == {
            "id": 3,
            "type": "fiat",
            "currency": "EUR",
            "minimum_amount": "0.00000000",
            "deposit_fee_percent": "0.000000",
            "withdrawal_fee_percent": "0.000000",
            "precision": 8,
        }

    @pytest.mark.parametrize("visible", [False, 0, "0", "false"])
    def test_lists_the_rest_when_asked(self, api, visible):
        rows = api.post("currencies/list", {"visible": visible}).json()["data"]
        assert [row["currency"] for row in rows] == ["USD"]

    @pytest.mark.parametrize("visible", [True, 1, "1", "true", None])
    def test_takes_yes_in_every_spelling(self, api, visible):
        assert len(api.post("currencies/list", {"visible": visible}).json()["data"]) == 4

    def test_refuses_maybe(self, api):
        answer = api.post("currencies/list", {"visible": "maybe"})
        assert answer.status_code == 400
        assert answer.json() == {"errors": {"visible": "The visible field must be true or false."}}


@pytest.mark.parametrize("path", ["currencies/pairs", "currencies/rates"])
class TestPairs:
    def test_shows_a_coin_in_fiat(self, api, path):
        answer = api.post(path, {"currency_from": "BTC", "currency_to": "EUR"})
        assert answer.json()["data"] == [
            {
                "currency_from": {
                    "currency": "BTC",
                    "type": "crypto",
                    "min_amount": "0.00300000",
                    "min_amount_deposit_with_exchange": "0.00010000",
                },
                "currency_to": {"currency": "EUR", "type": "fiat"},
                "rate_from": "1",
                "rate_to": "48715.61680000",
            }
        ]

    def test_quotes_fiat_to_coin_in_fiat_too(self, api, path):
        (pair,) = api.post(path, {"currency_from": "EUR"}).json()["data"]
        assert pair["rate_to"] == "48715.61680000"
        assert "min_amount_deposit_with_exchange" not in pair["currency_from"]

    def test_shows_only_what_the_merchant_has_enabled(self, api, path):
        shown = api.post(path, b"").json()["data"]
        sides = [(row["currency_from"]["currency"], row["currency_to"]["currency"]) for row in shown]
        assert sides == [("BTC", "EUR"), ("ETH", "BTC"), ("EUR", "BTC")]

    def test_knows_no_pair_of_known_currencies(self, api, path):
        answer = api.post(path, {"currency_from": "BTC", "currency_to": "GBP"})
        assert (answer.status_code, answer.json()) == (200, {"data": []})

    def test_refuses_unknown_codes_each_at_its_field(self, api, path):
        answer = api.post(path, {"currency_from": "XXX", "currency_to": 7})
        assert answer.status_code == 400
        assert answer.json() == {
            "errors": {
                "currency_from": "The selected currency from is invalid.",
                "currency_to": "The selected currency to is invalid.",
            }
        }

    def test_shows_no_stale_price(self, api, path):
        rates.Rate.objects.update(seen_at="2026-01-01T00:00:00Z")
        assert api.post(path, b"").json() == {"data": []}

    def test_takes_the_filters_from_the_query_too(self, api, path):
        assert len(api.post(f"{path}?currency_from=ETH", b"").json()["data"]) == 1


class TestAccountsList:
    def test_shows_every_account_in_the_order_of_opening(self, api, merchant):
        rows = api.post("accounts/list", b"[]").json()["data"]
        assert rows == [
            {"currency": "BTC", "type": "crypto", "balance": "0.00000000"},
            {"currency": "ETH", "type": "crypto", "balance": "0.00000000"},
            {"currency": "EUR", "type": "fiat", "balance": "0.00000000"},
            {"currency": "XRP", "type": "crypto", "balance": "0.00000000"},
        ]

    def test_keeps_the_account_of_a_disabled_currency(self, api, merchant):
        terms.disable(merchant=merchant, currency="BTC", now=NOW)
        assert api.post("accounts/list", b"").json()["data"][0]["currency"] == "BTC"

    def test_shows_what_is_available(self, api, merchant):
        factories.fund(merchant, money("1.5"))
        assert api.post("accounts/list", b"").json()["data"][0]["balance"] == "1.50000000"


class TestAddressesTake:
    def test_gives_an_address(self, api):
        pool("BTC", "2N1")
        answer = api.post("addresses/take", {"foreign_id": "u-77", "currency": "BTC"})
        assert answer.status_code == 201
        data = answer.json()["data"]
        assert data == {
            "id": data["id"],
            "currency": "BTC",
            "address": "2N1",
            "tag": None,
            "foreign_id": "u-77",
        }
        assert 0 < data["id"] < 2**31

    def test_gives_the_same_one_again(self, api):
        pool("BTC", "2N1", "2N2")
        order = {"foreign_id": 77, "currency": "BTC", "end_user_reference": "player"}
        first, second = api.post("addresses/take", order), api.post("addresses/take", order)
        assert (second.status_code, second.json()) == (201, first.json())
        assert first.json()["data"]["foreign_id"] == "77"
        assert first.json()["data"]["end_user_reference"] == "player"
        assert Address.objects.free().count() == 1

    def test_gives_another_one_for_a_conversion(self, api):
        pool("BTC", "2N1")
        pool("BTC", "2N2", convert_to="EUR")
        api.post("addresses/take", {"foreign_id": "u", "currency": "BTC", "convert_to": None})
        answer = api.post("addresses/take", {"foreign_id": "u", "currency": "BTC", "convert_to": "EUR"})
        data = answer.json()["data"]
        assert (data["address"], data["convert_to"]) == ("2N2", "EUR")
        assert list(data)[:4] == ["id", "currency", "convert_to", "address"]

    def test_writes_a_numeric_tag_as_an_integer(self, api):
        pool("XRP", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", tag="88012345")
        data = api.post("addresses/take", {"foreign_id": "u", "currency": "XRP"}).json()["data"]
        assert data["tag"] == 88012345

    def test_writes_the_tag_as_text_for_a_merchant_who_wants_it(self, api, merchant):
        merchant.take_tag_as_string = True
        merchant.save()
        pool("XRP", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", tag="88012345")
        data = api.post("addresses/take", {"foreign_id": "u", "currency": "XRP"}).json()["data"]
        assert data["tag"] == "88012345"

    @pytest.mark.parametrize(
        ("order", "errors"),
        [
            (
                {},
                {
                    "foreign_id": "The foreign id field is required.",
                    "currency": "The currency field is required.",
                },
            ),
            (
                {"foreign_id": None, "currency": "DOGE"},
                {
                    "foreign_id": "The foreign id field is required.",
                    "currency": "The selected currency is invalid.",
                },
            ),
            ({"foreign_id": "u", "currency": "EUR"}, {"currency": "The selected currency is invalid."}),
            ({"foreign_id": "u", "currency": ["BTC"]}, {"currency": "The selected currency is invalid."}),
            (
                {"foreign_id": "u", "currency": "BTC", "convert_to": "BTC"},
                {"convert_to": "The selected convert to is invalid."},
            ),
            (
                {"foreign_id": "u", "currency": "BTC", "convert_to": "USD"},
                {"convert_to": "The selected convert to is invalid."},
            ),
            (
                {"foreign_id": "x" * 256, "currency": "BTC"},
                {"foreign_id": "The foreign id may not be greater than 255 characters."},
            ),
            (
                {"foreign_id": "u", "currency": "BTC", "sender_type": "robot", "sender_data": []},
                {
                    "sender_type": "The selected sender type is invalid.",
                    "sender_data": "The sender data must be an object.",
                },
            ),
        ],
        ids=lambda value: json.dumps(value)[:40],
    )
    def test_names_every_wrong_field(self, api, order, errors):
        pool("BTC", "2N1")
        answer = api.post("addresses/take", order)
        assert (answer.status_code, answer.json()) == (400, {"errors": errors})
        assert Address.objects.free().count() == 1

    def test_asks_for_more_and_says_so_when_none_comes(self, api, monkeypatch):
        rung = []
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.1)
        monkeypatch.setattr("payments.doorbell.ring", rung.append)
        answer = api.post("addresses/take", {"foreign_id": "u", "currency": "BTC"})
        assert answer.status_code == 503
        assert answer.json() == {"error": "Internal server error", "code": "internal_error"}
        assert answer["Retry-After"]
        assert [bell.task for bell in rung] == ["payments.tasks.fill_pools"]
        assert AddressPool.objects.get(currency="BTC", convert_to="").wanted == 20

    def test_keeps_compliance_data_as_given(self, api):
        pool("BTC", "2N1")
        person = {"first_name": "A", "last_name": "B", "date_of_birth": "1990-01-01"}
        order = {"foreign_id": "u", "currency": "BTC", "sender_type": "natural", "sender_data": person}
        assert api.post("addresses/take", order).status_code == 201
        assert Address.objects.get(foreign_id="u").sender == {
            "sender_type": "natural",
            "sender_data": person,
        }

    def test_keeps_the_digits_of_any_number_in_compliance_data(self, api):
        pool("BTC", "2N1")
        body = (
            b'{"foreign_id":"u","currency":"BTC","sender_type":"natural","sender_data":{"first_name":"A",'
            b'"last_name":"B","date_of_birth":"1990","more":[{"share":1.50},2,1e-7]}}'
        )
        assert api.post("addresses/take", body).status_code == 201
        kept = Address.objects.get(foreign_id="u").sender["sender_data"]
        assert kept["more"] == [{"share": "1.50"}, 2, "1E-7"]

    def test_takes_an_empty_optional_parameter_for_an_absent_one(self, api):
        pool("BTC", "2N1")
        order = {"foreign_id": "u", "currency": "BTC", "convert_to": "", "end_user_reference": ""}
        data = api.post("addresses/take", order).json()["data"]
        assert "convert_to" not in data
        assert "end_user_reference" not in data

    def test_refuses_a_callback_of_ours_played_back(self, api):
        pool("BTC", "2N1")
        order = {"foreign_id": "u", "currency": "BTC", "fees": [], "status": "confirmed", "transactions": []}
        answer = api.post("addresses/take", order)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_content_format")
        assert Address.objects.free().count() == 1

    def test_shows_nobody_anothers_address(self, api):
        pool("BTC", "2N1", "2N2")
        other = SignedClient(_another())
        order = {"foreign_id": "u", "currency": "BTC"}
        mine, theirs = api.post("addresses/take", order), other.post("addresses/take", order)
        assert mine.json()["data"]["address"] != theirs.json()["data"]["address"]


def _another():
    owner = factories.merchant()
    terms.enable(merchant=owner, currency="BTC", now=NOW)
    return owner


class TestBooks:
    def test_opens_no_account_for_a_refused_currency(self, api, merchant):
        with pytest.raises(terms.CurrencyNotSupported):
            terms.enable(merchant=merchant, currency="ADA", now=NOW)
        assert not factories.Terms.objects.filter(currency="ADA").exists()
        assert AccountKind.AVAILABLE == "available"
