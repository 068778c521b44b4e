"""`withdrawal/crypto`: the published answers, every sentence, and that a refusal leaves all as it was."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.models import Operation, Withdrawal
from tests import payouts
from tests.payouts import ELSEWHERE, address_of, balance, everything
from tests.signed import SignedClient
from tests.vectors import VECTORS

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return payouts.merchant()


@pytest.fixture
def client(merchant):
    return SignedClient(merchant)


def body(**given: Any) -> dict[str, Any]:
    wanted = {"foreign_id": "wd-1", "currency": "BTC", "amount": "0.1", "address": ELSEWHERE["BTC"]}
    return {name: value for name, value in (wanted | given).items() if value != "absent"}


def ask(client, **given: Any) -> tuple[int, Any]:
    answer = client.post("withdrawal/crypto", body(**given))
    return answer.status_code, json.loads(answer.content)


class TestTaken:
    def test_is_answered_as_published(self, client):
        answer = client.post("withdrawal/crypto", body(foreign_id="wd-2026-0001"))
        operation = Operation.objects.get()
        assert answer.status_code == 201
        assert answer.content == (
            b'{"data":{"id":%d,"foreign_id":"wd-2026-0001","type":"withdrawal","status":"processing",'
            b'"amount":"0.10000000","sender_amount":"0.10000000","sender_currency":"BTC",'
            b'"receiver_amount":"0.10000000","receiver_currency":"BTC"}}' % operation.wire_id
        )

    def test_echoes_the_end_users_reference_last(self, client):
        _, answer = ask(client, end_user_reference="player-77")
        assert list(answer["data"].items())[-1] == ("end_user_reference", "player-77")

    def test_is_held_under_the_key_that_asked(self, client, merchant):
        ask(client)
        row = Withdrawal.objects.get()
        assert (row.origin, row.api_key_id, row.requested_by) == ("api", payouts.key_id(merchant), None)
        assert balance(merchant).held == Decimal("0.1004")

    def test_is_pending_beyond_a_limit(self, client, merchant):
        payouts.limit(merchant, everything=True)
        _, answer = ask(client)
        assert answer["data"]["status"] == "pending"

    def test_is_processing_within_the_installation_too(self, client):
        _, answer = ask(client, address=address_of(payouts.merchant()).address)
        assert answer["data"]["status"] == "processing"
        assert Withdrawal.objects.get().state == "confirmed"

    def test_shows_both_sides_of_a_conversion(self, client, merchant):
        payouts.enable(merchant, "EUR", "1000")
        payouts.price("EUR", "BTC", "0.00002")
        _, answer = ask(client, currency="EUR", convert_to="BTC", amount=381)
        data = answer["data"]
        assert (data["type"], data["amount"], data["sender_amount"], data["receiver_amount"]) == (
            "withdrawal_exchange",
            "381.00000000",
            "381.00000000",
            "0.00762000",
        )
        assert (data["sender_currency"], data["receiver_currency"]) == ("EUR", "BTC")

    @pytest.mark.parametrize("amount", ["0.1", "0.10000000", "0.100000000000"])
    def test_takes_amounts_as_clients_write_them(self, client, amount):
        assert ask(client, amount=amount)[0] == 201
        assert Withdrawal.objects.get().amount == Decimal("0.1")

    def test_takes_a_number_with_an_exponent(self, client):
        raw = json.dumps(body(amount="X")).replace('"X"', "1e-1").encode()
        assert client.post("withdrawal/crypto", raw).status_code == 201

    def test_takes_explicit_nulls_and_ignores_what_it_does_not_know(self, client):
        status, _ = ask(
            client, convert_to=None, tag=None, amount_to=None, end_user_reference=None, colour="red"
        )
        assert status == 201

    def test_takes_an_integer_foreign_id_and_tag_as_text(self, client, merchant):
        payouts.enable(merchant, "XRP", "100")
        status, answer = ask(
            client, foreign_id=17, tag=42, currency="XRP", amount="10", address=ELSEWHERE["XRP"]
        )
        assert (status, answer["data"]["foreign_id"]) == (201, "17")
        assert Withdrawal.objects.get().tag == "42"

    def test_keeps_who_sends_and_who_receives(self, client):
        natural = {"first_name": "Ann", "last_name": "Bee", "date_of_birth": "1990-02-03"}
        parties = {"sender_type": "natural", "sender_data": natural, "receiver_type": "self"}
        assert ask(client, **parties)[0] == 201
        assert Withdrawal.objects.get().parties == parties

    def test_serves_the_path_with_a_slash_too(self, client):
        assert client.post("withdrawal/crypto/", body()).status_code == 201


class TestRefused:
    def refused(self, client, merchant, sentences: dict[str, str], **given: Any) -> None:
        before = everything(merchant)
        assert ask(client, **given) == (400, {"errors": sentences})
        assert everything(merchant) == before

    def test_is_an_http_retry_with_the_same_foreign_id(self, client, merchant):
        assert ask(client)[0] == 201
        self.refused(client, merchant, {"foreign_id": "The foreign id has already been taken."})
        self.refused(client, merchant, {"foreign_id": "The foreign id has already been taken."}, amount="0.2")

    def test_is_more_than_there_is(self, client, merchant):
        self.refused(client, merchant, {"amount": "Not enough money on balance"}, amount="1")

    def test_tells_every_field_at_once(self, client, merchant):
        self.refused(
            client,
            merchant,
            {
                "foreign_id": "The foreign id field is required.",
                "amount": "The amount must be a number.",
                "currency": "The selected currency is invalid.",
                "address": "The address field is required.",
                "sender_type": "The selected sender type is invalid.",
            },
            foreign_id="",
            amount="1e5",
            currency="XYZ",
            address=None,
            sender_type="alien",
        )

    CASES = (
        ({"foreign_id": "x" * 256}, {"foreign_id": "The foreign id may not be greater than 255 characters."}),
        ({"foreign_id": True}, {"foreign_id": "The foreign id must be a string."}),
        ({"currency": 7}, {"currency": "The selected currency is invalid."}),
        ({"currency": "btc"}, {"currency": "The selected currency is invalid."}),
        ({"currency": "absent"}, {"currency": "The currency field is required."}),
        ({"convert_to": ["BTC"]}, {"convert_to": "The selected convert to is invalid."}),
        ({"amount": "absent"}, {"amount": "The amount field is required."}),
        ({"amount": True}, {"amount": "The amount must be a number."}),
        ({"amount": " 1"}, {"amount": "The amount must be a number."}),
        ({"amount": "0.000000001"}, {"amount": "The amount may not have more than 8 decimal places."}),
        ({"amount": "0.00001"}, {"amount": "The amount must be at least 0.0001."}),
        ({"amount": "0"}, {"amount": "The amount must be greater than 0."}),
        (
            {"amount_to": "0.1"},
            {
                "amount": "Only one of amount and amount_to can be given.",
                "convert_to": "The convert to field is required.",
            },
        ),
        ({"address": "nowhere"}, {"address": "The address is invalid."}),
        ({"address": {}}, {"address": "The address must be a string."}),
        ({"tag": "1"}, {"tag": "The tag must be left out: BTC is sent without one."}),
        ({"tag": []}, {"tag": "The tag must be a string."}),
        ({"sender_data": []}, {"sender_data": "The sender data must be an object."}),
        (
            {"receiver_type": "natural", "receiver_data": {}},
            {
                "receiver_data": "The selected receiver data is invalid.",
            },
        ),
    )

    @pytest.mark.parametrize(("given", "sentences"), CASES, ids=[str(given)[:60] for given, _ in CASES])
    def test_is_what_cannot_be_taken(self, client, merchant, given, sentences):
        self.refused(client, merchant, sentences, **given)

    def test_is_a_callback_of_ours_played_back(self, client, merchant):
        before = everything(merchant)
        for vector in VECTORS["callbacks"]:
            answer = client.post("withdrawal/crypto", vector["raw"].encode())
            assert answer.status_code == 400
        assert everything(merchant) == before

    def test_is_another_method(self, client):
        assert client.get("withdrawal/crypto", b"{}").status_code == 405


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=3,
)


class TestAnything:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.dictionaries(st.sampled_from(sorted(body() | {"tag": 0, "amount_to": 0, "convert_to": 0})), JSON)
    )
    def test_is_answered_with_201_or_400(self, client, changed):
        answer = client.post("withdrawal/crypto", body(**changed))
        assert answer.status_code in {201, 400}
