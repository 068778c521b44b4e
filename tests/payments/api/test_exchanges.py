"""The API's calls that convert: shapes in their order, status codes, sentences, and how often one may ask."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from jsonschema import Draft202012Validator

from payments import futures, positions
from payments.api import pace, schema
from payments.models import Exchange, Future, Operation, Quote
from tests import factories
from tests.factories import NOW, money
from tests.payments.upstream_of_exchanges import balance, trader
from tests.signed import SignedClient

pytestmark = pytest.mark.django_db

CALCULATION = [
    *("sender_amount", "sender_currency", "receiver_amount", "receiver_currency"),
    *("fee_amount", "fee_currency", "price", "ts_fixed", "ts_release", "fix_period"),
]
UNAVAILABLE = "Exchange is unavailable for given currencies"


@pytest.fixture(autouse=True)
def _begin_anew(monkeypatch):
    positions.forget()
    monkeypatch.setattr(pace._Broken, "until", 0.0)
    try:
        names = pace._valkey().keys("pace:*")
        if names:
            pace._valkey().delete(*names)
    except redis.RedisError:  # the limit fails open, as a test shows
        pass


@pytest.fixture
def merchant():
    owner = trader()
    factories.fund(owner, money("1"))
    factories.fund(owner, money("1000", "EUR"))
    return owner


@pytest.fixture
def api(merchant):
    return SignedClient(merchant)


@pytest.fixture
def rung(monkeypatch):
    bells: list[str] = []
    monkeypatch.setattr("payments.doorbell.ring_on_commit", lambda bell: bells.append(bell.task))
    return bells


def order(**changed):
    sell = {
        "sender_currency": "BTC",
        "receiver_currency": "EUR",
        "sender_amount": "0.01",
        "foreign_id": "ex-1",
    }
    return {name: value for name, value in (sell | changed).items() if value is not ...}


def fits(answer, path: str) -> bool:
    """Whether the document describes exactly this answer."""
    document = schema.build()
    (described,) = document["paths"][f"/api/v2/{path}"].values()
    content = described["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    whole = content | {"components": document["components"]}
    return not list(Draft202012Validator(whole).iter_errors(answer.json()))


class TestCalculate:
    def test_answers_in_the_contracts_order(self, api):
        answer = api.post("exchange/calculate", order())
        data = answer.json()["data"]
        assert (answer.status_code, list(data)) == (200, CALCULATION)
        quote = Quote.objects.get()
        fixed, release = int(quote.fixed_at.timestamp()), int(quote.release_at.timestamp())
        assert data == {
            "sender_amount": "0.01000000",
            "sender_currency": "BTC",
            "receiver_amount": "600.00000000",
            "receiver_currency": "EUR",
            "fee_amount": "6.00000000",
            "fee_currency": "EUR",
            "price": "60000.00000000",
            "ts_fixed": fixed,
            "ts_release": release,
            "fix_period": 60,
        }
        assert release - fixed == 60
        assert fits(answer, "exchange/calculate")

    def test_shows_a_small_price_in_all_its_digits(self, api):
        asked = order(sender_currency="EUR", receiver_currency="BTC", sender_amount=200)
        assert api.post("exchange/calculate", asked).json()["data"]["price"] == "0.000016666666666667"

    def test_counts_the_senders_amount_where_both_are_given(self, api):
        data = api.post("exchange/calculate", order(receiver_amount="7")).json()["data"]
        assert data["receiver_amount"] == "600.00000000"

    @pytest.mark.parametrize(
        ("changed", "errors"),
        [
            (
                {"sender_amount": ...},
                {
                    "sender_amount": "The sender amount field is required.",
                    "receiver_amount": "The receiver amount field is required.",
                },
            ),
            (
                {
                    "sender_amount": None,
                    "receiver_amount": "",
                    "sender_currency": None,
                    "receiver_currency": "X",
                },
                {
                    "sender_currency": "The sender currency field is required.",
                    "receiver_currency": "The selected receiver currency is invalid.",
                    "sender_amount": "The sender amount field is required.",
                    "receiver_amount": "The receiver amount field is required.",
                },
            ),
            ({"receiver_currency": "BTC"}, {"sender_currency": UNAVAILABLE}),
            ({"receiver_currency": "GBP"}, {"sender_currency": UNAVAILABLE}),
            ({"sender_amount": "0.0001"}, {"sender_amount": "The amount must be at least 0.00300000"}),
            (
                {"sender_currency": "USD", "sender_amount": "0.1"},
                {"sender_amount": "The amount must be at least 1.00000000"},
            ),
            ({"sender_amount": "much"}, {"sender_amount": "The sender amount must be a number."}),
            ({"sender_amount": True}, {"sender_amount": "The sender amount must be a number."}),
            ({"sender_amount": "-1"}, {"sender_amount": "The sender amount must be a number."}),
            (
                {"sender_amount": "0.123456789"},
                {"sender_amount": "The sender amount may not have more than 8 decimal places."},
            ),
            (
                {"sender_amount": "99999999999999999"},
                {"receiver_amount": "The receiver amount is too large."},
            ),
        ],
        ids=lambda value: json.dumps(value, default=str)[:50],
    )
    def test_names_every_wrong_field(self, api, changed, errors):
        answer = api.post("exchange/calculate", order(**changed))
        assert (answer.status_code, answer.json()) == (400, {"errors": errors})
        assert not Quote.objects.exists()

    def test_refuses_a_callback_of_ours_played_back(self, api):
        answer = api.post("exchange/calculate", order(fees=[], status="confirmed", transactions=[]))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_content_format")

    def test_pauses_for_a_minute_after_thirty_in_one(self, api, settings):
        settings.CALCULATIONS_A_MINUTE = 3
        codes = [api.post("exchange/calculate", order()).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        answer = api.post("exchange/calculate", order())
        assert answer.content == b'{"errors":{"limit":"Too many requests. Try again in one minute."}}'
        assert answer["Retry-After"] == "60"
        assert fits(answer, "exchange/calculate")
        assert api.post("exchange/now", order()).status_code == 201
        assert Quote.objects.count() == 3

    def test_refuses_nobody_while_valkey_is_away(self, api, settings, monkeypatch):
        settings.CALCULATIONS_A_MINUTE = 0

        def away():
            raise redis.ConnectionError("away")

        monkeypatch.setattr(pace, "_valkey", away)
        assert api.post("exchange/calculate", order()).status_code == 200
        assert pace._Broken.until > 0


class TestFixed:
    def test_takes_what_was_calculated(self, api, merchant, rung):
        price = api.post("exchange/calculate", order()).json()["data"]["price"]
        answer = api.post("exchange/fixed", order(price=price))
        operation = Operation.objects.get()
        assert answer.status_code == 201
        assert list(answer.json()["data"]) == ["id", "foreign_id", "type", *CALCULATION[:7], "status"]
        assert answer.json()["data"] == {
            "id": operation.wire_id,
            "foreign_id": "ex-1",
            "type": "exchange",
            "sender_amount": "0.01000000",
            "sender_currency": "BTC",
            "receiver_amount": "600.00000000",
            "receiver_currency": "EUR",
            "fee_amount": "6.00000000",
            "fee_currency": "EUR",
            "price": "60000.00000000",
            "status": "processing",
        }
        assert fits(answer, "exchange/fixed")
        assert rung == ["payments.tasks.work_exchanges"]
        assert balance(merchant, "BTC") == (Decimal("0.99"), Decimal("0.01"))

    @pytest.mark.parametrize("price", ["60000", 60000, "60000.0"])
    def test_takes_the_price_as_a_client_writes_it(self, api, rung, price):
        api.post("exchange/calculate", order())
        assert api.post("exchange/fixed", order(price=price)).status_code == 201

    @pytest.mark.parametrize(
        ("changed", "errors"),
        [
            ({"price": "59000"}, {"price": "The price is expired or invalid."}),
            ({"price": 0}, {"price": "The price is expired or invalid."}),
            ({"price": "dear"}, {"price": "The price must be a number."}),
            (
                {"price": ..., "foreign_id": ...},
                {
                    "price": "The price field is required.",
                    "foreign_id": "The foreign id field is required.",
                },
            ),
            (
                {"foreign_id": "x" * 256},
                {"foreign_id": "The foreign id may not be greater than 255 characters."},
            ),
            ({"sender_amount": "2"}, {"sender_amount": "Not enough money on balance"}),
        ],
        ids=lambda value: json.dumps(value, default=str)[:50],
    )
    def test_refuses_and_moves_nothing(self, api, merchant, rung, changed, errors):
        api.post("exchange/calculate", order())
        answer = api.post("exchange/fixed", order(**{"price": "60000"} | changed))
        assert (answer.status_code, answer.json()) == (400, {"errors": errors})
        assert (rung, Exchange.objects.count()) == ([], 0)
        assert balance(merchant, "BTC") == (Decimal(1), Decimal(0))


class TestNow:
    def test_takes_an_order_at_the_market(self, api, merchant, rung):
        answer = api.post("exchange/now", order(foreign_id=17, sender_amount=..., receiver_amount=600))
        data = answer.json()["data"]
        assert (answer.status_code, data["foreign_id"], data["sender_amount"]) == (201, "17", "0.01000000")
        assert fits(answer, "exchange/now")
        assert rung == ["payments.tasks.work_exchanges"]

    def test_takes_a_number_once(self, api, rung):
        api.post("exchange/now", order())
        answer = api.post("exchange/now", order(sender_amount="0.02"))
        assert answer.status_code == 400
        assert answer.json() == {"errors": {"foreign_id": "The foreign id has already been taken."}}
        assert Exchange.objects.count() == 1

    def test_leaves_the_number_of_a_refused_order_free(self, api, rung):
        assert api.post("exchange/now", order(sender_amount="0.0001")).json() == {
            "errors": {"sender_amount": "The amount must be at least 0.00300000"}
        }
        assert api.post("exchange/now", order()).status_code == 201


class TestFutures:
    @pytest.fixture
    def address(self, merchant):
        return factories.address(merchant, "BTC", convert_to="EUR")

    def test_rates_show_a_ladder_up_to_the_cap(self, api, address):
        answer = api.post("futures/rates", {"address": address.address})
        data = answer.json()["data"]
        assert (answer.status_code, list(data)) == (200, ["addresses", "ts_fixed", "ts_release", "rates"])
        assert data["addresses"] == [
            {
                "id": address.wire_id,
                "currency": "BTC",
                "convert_to": "EUR",
                "address": address.address,
                "tag": None,
                "foreign_id": address.foreign_id,
            }
        ]
        assert data["ts_release"] - data["ts_fixed"] == 600
        assert data["rates"] == {
            "BTCEUR": {
                "100.00000000": "60000.00000000",
                "500.00000000": "60000.00000000",
                "1000.00000000": "60000.00000000",
                "5000.00000000": "60000.00000000",
                "10000.00000000": "60000.00000000",
                "100000.00000000": "0.00000000",
            }
        }
        assert fits(answer, "futures/rates")

    def test_confirm_holds_a_price(self, api, address):
        asked = {
            "address": address.address,
            "sender_currency": "BTC",
            "receiver_currency": "EUR",
            "receiver_amount": "100",
        }
        answer = api.post("futures/confirm", asked)
        data = answer.json()["data"]
        future = Future.objects.get()
        assert answer.status_code == 200
        assert list(data) == [
            *("futures_id", "sender_currency", "receiver_currency", "fee_currency", "price", "address"),
            *("sender_amount", "receiver_amount", "fee_amount", "ts_fixed", "ts_release"),
        ]
        assert (data["futures_id"], data["price"]) == (future.wire_id, "60000.00000000")
        assert (data["sender_amount"], data["receiver_amount"]) == ("0.00166667", "100.00000000")
        assert (data["fee_amount"], data["fee_currency"]) == ("1.50000000", "EUR")
        assert data["ts_release"] - data["ts_fixed"] == 600
        assert future.release_at - future.fixed_at == timedelta(seconds=600) == futures.WINDOW
        assert fits(answer, "futures/confirm")

    @pytest.mark.parametrize(
        ("changed", "errors"),
        [
            ({"address": "2Nnobodys"}, {"address": "Address is not found, incorrect or without exchange"}),
            (
                {"receiver_currency": "USD"},
                {
                    "address": "Address is not found, incorrect or without exchange,"
                    " or the currencies are not its own"
                },
            ),
            (
                {"receiver_amount": "10000.00000001"},
                {"receiver_amount": "The receiver amount may not be greater than 10000.00000000."},
            ),
            (
                {"receiver_amount": "5.9"},
                {"receiver_amount": "The receiver amount must be at least 6.00000000."},
            ),
            ({"receiver_amount": "x"}, {"receiver_amount": "The receiver amount must be a number."}),
            (
                {
                    "address": None,
                    "sender_currency": None,
                    "receiver_currency": None,
                    "receiver_amount": None,
                },
                {
                    "address": "The address field is required.",
                    "sender_currency": "The sender currency field is required.",
                    "receiver_currency": "The receiver currency field is required.",
                    "receiver_amount": "The receiver amount field is required.",
                },
            ),
        ],
        ids=lambda value: json.dumps(value)[:50],
    )
    def test_confirm_names_what_is_wrong(self, api, address, changed, errors):
        asked = {
            "address": address.address,
            "sender_currency": "BTC",
            "receiver_currency": "EUR",
            "receiver_amount": "100",
        }
        answer = api.post("futures/confirm", asked | changed)
        assert (answer.status_code, answer.json()) == (400, {"errors": errors})
        assert not Future.objects.exists()

    @pytest.mark.parametrize("kind", ["another's", "without conversion"])
    def test_rates_refuse_an_address_that_is_not_meant(self, api, merchant, kind):
        whose = factories.merchant() if kind == "another's" else merchant
        convert_to = "EUR" if kind == "another's" else ""
        address = factories.address(whose, "BTC", convert_to=convert_to)
        answer = api.post("futures/rates", {"address": address.address})
        assert answer.status_code == 400
        assert answer.json() == {"errors": {"address": "Address is not found, incorrect or without exchange"}}


class TestReadBack:
    def test_finds_an_exchange_in_every_way(self, api, rung):
        made = api.post("exchange/now", order()).json()["data"]
        answers = [
            api.get("transactions/info", json.dumps({"id": made["id"]}).encode()),
            api.get(f"transactions/info?id={made['id']}", b""),
            api.post("transactions/info", {"foreign_id": "ex-1"}),
            api.get("transactions/info/?foreign_id=ex-1&type=exchange", b""),
        ]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert answers[0].json() == {
            "id": made["id"],
            "foreign_id": "ex-1",
            "type": "exchange",
            "currency_sent": {"currency": "BTC", "amount": "0.01000000"},
            "currency_received": {"currency": "EUR", "amount": "600.00000000"},
            "transactions": answers[0].json()["transactions"],
            "fees": [],
            "error": "",
            "status": "processing",
        }
        assert fits(answers[2], "transactions/info")

    def test_finds_a_deposit_by_its_txid(self, api, merchant):
        from django.db import transaction

        from payments import deposits

        address = factories.address(merchant, "BTC")
        with transaction.atomic():
            deposits.record_many(
                processor=factories.processor(),
                notices=[factories.notice(address, txid="c0ffee01")],
                now=NOW,
            )
        answer = api.post("transactions/info", {"txid": "c0ffee01"})
        assert (answer.status_code, answer.json()["type"]) == (200, "deposit")
        assert answer.json()["id"] == Operation.objects.get().wire_id
        assert fits(answer, "transactions/info")

    @pytest.mark.parametrize(
        "asked", [{}, {"id": 1, "txid": "x"}, {"type": "deposit"}, {"id": None, "foreign_id": ""}]
    )
    def test_wants_exactly_one_key(self, api, asked):
        answer = api.post("transactions/info", asked)
        assert answer.status_code == 400
        assert answer.json() == {"errors": {"id": "Provide exactly one of id, foreign_id, txid."}}

    @pytest.mark.parametrize(
        "asked",
        [
            {"id": 1},
            {"id": 2**31},
            {"id": "9" * 200},
            {"id": "007"},
            {"foreign_id": "no"},
            {"foreign_id": 7},
            {"txid": "no"},
        ],
    )
    def test_says_not_found_at_the_field_that_was_asked_by(self, api, asked):
        answer = api.post("transactions/info", asked)
        assert answer.status_code == 404
        assert answer.json() == {"errors": {next(iter(asked)): "Transaction not found."}}
        assert fits(answer, "transactions/info")

    @pytest.mark.parametrize(
        ("asked", "errors"),
        [
            ({"id": "x"}, {"id": "The selected id is invalid."}),
            ({"id": [1]}, {"id": "The selected id is invalid."}),
            ({"id": -1}, {"id": "The selected id is invalid."}),
            ({"id": True}, {"id": "The selected id is invalid."}),
            ({"id": 1.5}, {"id": "The selected id is invalid."}),
            ({"txid": {}}, {"txid": "The txid must be a string."}),
            ({"id": 1, "type": "gift"}, {"type": "The selected type is invalid."}),
        ],
    )
    def test_refuses_what_is_no_key(self, api, asked, errors):
        answer = api.post("transactions/info", asked)
        assert (answer.status_code, answer.json()) == (400, {"errors": errors})

    def test_shows_nobody_anothers(self, api, rung):
        made = api.post("exchange/now", order()).json()["data"]
        other = SignedClient(trader())
        for asked in ({"id": made["id"]}, {"foreign_id": "ex-1"}):
            assert other.post("transactions/info", asked).status_code == 404

    def test_narrows_by_type(self, api, rung):
        api.post("exchange/now", order())
        answer = api.post("transactions/info", {"foreign_id": "ex-1", "type": "withdrawal"})
        assert answer.status_code == 404
