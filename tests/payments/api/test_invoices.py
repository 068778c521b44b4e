"""The calls about invoices: what they answer, field by field, and every way to be refused."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from merchants import clock
from payments import addresses
from payments.api import schema
from payments.models import Address, Invoice
from tests.payments.invoicing import Shop, nothing_moves
from tests.signed import SignedClient

pytestmark = pytest.mark.django_db

FIELDS = [
    *("id", "url", "foreign_id", "address", "title", "name", "status", "currency", "amount"),
    *("sender_currency", "sender_amount", "fixed_at", "release_at", "seconds_left"),
]
AFTER_A_CHOICE = ("address", "sender_currency", "sender_amount")
IN_TIME = ("fixed_at", "release_at", "seconds_left")
REQUIRED = ("timer", "title", "currency", "amount", "foreign_id", "url_success", "url_failed")
TAKEN = "The foreign id has already been taken."


@pytest.fixture
def shop():
    return Shop(now=clock.now())


@pytest.fixture
def client(shop):
    return SignedClient(shop.merchant)


def asked(**options: Any) -> dict[str, Any]:
    """As a client sends it; an option of None leaves the parameter out."""
    body = {
        "timer": True,
        "title": "Invoice Title",
        "currency": "EUR",
        "sender_currency": "BTC",
        "amount": "106.75",
        "foreign_id": "200",
        "url_success": "https://merchant.example/success",
        "url_failed": "http://merchant.example/failed?a=1",
    }
    return {name: value for name, value in (body | options).items() if value is not None}


def create(client: SignedClient, **options: Any) -> Any:
    return client.post("invoices/create", asked(**options))


def refusal(client: SignedClient, **options: Any) -> dict[str, str]:
    """What is wrong; nothing is made of it."""
    with nothing_moves(Invoice, Address):
        answer = create(client, **options)
    assert answer.status_code == 400, answer.content
    return answer.json()["errors"]


def misfits(path: str, answer: Any) -> list[str]:
    document = schema.build()
    responses = document["paths"][f"/api/v2/{path}"]["post"]["responses"]
    found = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    whole = found | {"components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(answer.json())]


class TestCreate:
    def test_answers_a_fixed_one_whole(self, client):
        answer = create(client, end_user_reference="player-77", email_user="ann@example.org")
        assert answer.status_code == 200
        data, invoice = answer.json()["data"], Invoice.objects.get()
        assert list(data) == FIELDS
        assert data["id"] == invoice.wire_id
        assert data["url"] == f"http://127.0.0.1:8000/invoice/{invoice.code}"
        assert data["address"] == invoice.address.address
        assert (data["foreign_id"], data["title"], data["name"]) == ("200", "Invoice Title", "Invoice Title")
        assert (data["status"], data["amount"], data["currency"]) == ("pending", "106.75000000", "EUR")
        assert (data["sender_amount"], data["sender_currency"]) == ("0.00180000", "BTC")
        assert data["release_at"] - data["fixed_at"] == 900
        assert 890 <= data["seconds_left"] <= 900
        assert misfits("invoices/create", answer) == []

    def test_answers_nulls_before_a_choice(self, client):
        answer = create(client, timer=False, sender_currency=None)
        data = answer.json()["data"]
        assert data["status"] == "created"
        assert [data[name] for name in (*AFTER_A_CHOICE, *IN_TIME)] == [None] * 6
        assert misfits("invoices/create", answer) == []

    def test_answers_the_time_of_a_held_rate(self, client):
        data = create(client, sender_currency=None).json()["data"]
        assert data["status"] == "pending"
        assert [data[name] for name in AFTER_A_CHOICE] == [None] * 3
        assert data["release_at"] - data["fixed_at"] == 900

    def test_proposes_a_currency_without_a_timer(self, client):
        assert create(client, timer=False).json()["data"]["status"] == "created"
        assert Invoice.objects.get().asked_currency == "BTC"

    @pytest.mark.parametrize("timer", [True, 1, "1", "true"])
    def test_reads_every_form_of_true(self, client, timer):
        assert create(client, timer=timer).json()["data"]["status"] == "pending"

    def test_takes_numbers_explicit_nulls_and_unknown_parameters(self, client):
        body = asked(amount=106.75, foreign_id=200) | {"sender_currency": None, "email_user": None, "x": {}}
        data = client.post("invoices/create", body).json()["data"]
        assert (data["foreign_id"], data["amount"]) == ("200", "106.75000000")

    def test_is_answered_with_a_slash_too(self, client):
        assert client.post("invoices/create/", asked()).status_code == 200

    def test_takes_out_what_would_turn_a_title(self, client):
        data = create(client, title="\u202eevil\u200f\x07\ttitle\u2066").json()["data"]
        assert data["title"] == "evil title"

    def test_keeps_the_lines_of_a_description(self, client):
        create(client, description="one\u202e\r\ntwo\x00".replace("\x00", ""))
        assert Invoice.objects.get().description == "one\ntwo"

    def test_points_to_the_checkouts_own_host(self, client, settings):
        settings.PUBLIC_URL = "https://pay.example.com:8443"
        settings.DOOR_HOSTS = settings.DOOR_HOSTS | {"checkout": "checkout.example.com"}
        assert create(client).json()["data"]["url"].startswith("https://checkout.example.com:8443/invoice/")

    def test_says_the_tag_where_there_is_one(self, client):
        answer = create(client)
        Invoice.objects.get()
        assert "tag" not in answer.json()["data"]


class TestRefusals:
    def test_names_every_missing_field(self, client):
        with nothing_moves(Invoice, Address):
            answer = client.post("invoices/create", b"{}")
        assert answer.status_code == 400
        assert answer.json() == {
            "errors": {name: f"The {name.replace('_', ' ')} field is required." for name in REQUIRED}
        }

    def test_names_several_wrong_fields_at_once(self, client):
        assert refusal(
            client, timer="maybe", amount="1e", currency="XXX", url_failed="javascript:alert(1)", type="often"
        ) == {
            "timer": "The timer field must be true or false.",
            "amount": "The amount must be a number.",
            "currency": "The selected currency is invalid.",
            "url_failed": "The url failed format is invalid.",
            "type": "The selected type is invalid.",
        }

    def test_refuses_a_foreign_id_a_second_time(self, client):
        create(client)
        assert refusal(client) == {"foreign_id": TAKEN}

    def test_leaves_a_refused_foreign_id_free(self, client):
        refusal(client, amount="1")
        assert create(client).status_code == 200

    @pytest.mark.parametrize("amount", ["9.99", 0, "0", "0.00000001", 1])
    def test_refuses_too_little(self, client, amount):
        sentence = "The amount is too small. The minimum amount is 10.00 EUR."
        assert refusal(client, amount=amount) == {"amount": sentence}

    @pytest.mark.parametrize("amount", ["10000.01", "99999999999999999", 1e15])
    def test_refuses_too_much(self, client, amount):
        sentence = "The amount is too large. The maximum amount is 10000.00 EUR."
        assert refusal(client, amount=amount) == {"amount": sentence}

    @pytest.mark.parametrize("amount", ["-10", "ten", "1e3", " 10", "NaN", True, [], {}, "1" * 30])
    def test_refuses_what_is_no_amount(self, client, amount):
        assert refusal(client, amount=amount) == {"amount": "The amount must be a number."}

    def test_refuses_too_many_decimals(self, client):
        sentence = "The amount may not have more than 8 decimal places."
        assert refusal(client, amount="106.750000001") == {"amount": sentence}

    @pytest.mark.parametrize("code", ["GBP", "XXX", "eur", 7, [], {}, True])
    def test_refuses_a_currency_that_is_not_enabled(self, client, code):
        assert refusal(client, currency=code) == {"currency": "The selected currency is invalid."}

    @pytest.mark.parametrize("code", ["USD", "LTC", "btc", 7, []])
    def test_refuses_to_be_paid_in_such(self, client, code):
        sentence = "The selected sender currency is invalid."
        assert refusal(client, sender_currency=code) == {"sender_currency": sentence}

    def test_refuses_a_pair_without_a_price(self, client):
        sentence = "Exchange is unavailable for given currencies"
        assert refusal(client, currency="USD", sender_currency="ETH", amount="50") == {
            "sender_currency": sentence
        }

    def test_refuses_a_stale_price(self, client, shop):
        shop.silence()
        sentence = "Exchange is unavailable for given currencies"
        assert refusal(client) == {"sender_currency": sentence}

    @pytest.mark.parametrize(
        "link",
        [
            *("javascript:alert(1)", "//shop.example", "shop.example", "ftp://shop.example", "https://"),
            *("https://user:secret@shop.example/", "https://shop.example@evil.example/", "https:/x"),
            *("https://shop.example/ a", "https://shop\\.example", "https://[::1", "https://x:99999999/"),
            *("https://shop.example/\u202e", "https://shop.example/\n", "data:text/html,x"),
        ],
    )
    def test_refuses_links_that_lead_elsewhere(self, client, link):
        assert refusal(client, url_success=link) == {"url_success": "The url success format is invalid."}

    @pytest.mark.parametrize(
        "link", ["https://shop.example", "HTTP://10.0.0.1:8080/a?b=c#d", "https://ünicode.example/ä"]
    )
    def test_takes_links_of_the_web(self, client, link):
        assert create(client, url_success=link).status_code == 200

    @pytest.mark.parametrize("email", ["ann", "ann@", "a b@example.org", "ann@example.org\nbcc: x", "@x.org"])
    def test_refuses_what_is_no_email_address(self, client, email):
        sentence = "The email user must be a valid email address."
        assert refusal(client, email_user=email) == {"email_user": sentence}

    def test_refuses_texts_that_are_too_long(self, client):
        assert refusal(client, title="x" * 256, foreign_id="x" * 256, description="x" * 2001) == {
            "title": "The title may not be greater than 255 characters.",
            "foreign_id": "The foreign id may not be greater than 255 characters.",
            "description": "The description may not be greater than 2000 characters.",
        }

    def test_refuses_texts_that_are_none(self, client):
        assert refusal(client, title=["x"], url_success={}, foreign_id=1.5) == {
            "title": "The title must be a string.",
            "url_success": "The url success must be a string.",
            "foreign_id": "The foreign id must be a string.",
        }

    def test_refuses_a_title_of_which_nothing_is_seen(self, client):
        assert refusal(client, title="\u202e\u200f") == {"title": "The title field is required."}

    def test_answers_that_it_cannot_while_no_address_comes(self, client, monkeypatch):
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.1)
        Address.objects.filter(origin="pool").delete()
        with nothing_moves(Invoice):
            assert create(client).status_code == 503

    def test_refuses_our_own_callback_played_back(self, client):
        body = asked() | {"fees": [], "status": "confirmed", "transactions": []}
        assert client.post("invoices/create", body).status_code == 400
        assert not Invoice.objects.exists()


class TestCancel:
    def cancel(self, client: SignedClient, name: str) -> Any:
        return client.post(f"invoices/{name}/cancel/", b"{}")

    @pytest.mark.parametrize("ending", ["cancel/", "cancel"])
    def test_answers_the_failed_invoice(self, client, ending):
        made = create(client).json()["data"]
        answer = client.post(f"invoices/200/{ending}", b"{}")
        assert answer.status_code == 200
        assert answer.json() == {"data": made | {"status": "failed", "seconds_left": 0}}
        assert misfits("invoices/{foreign_id}/cancel", answer) == []

    @pytest.mark.parametrize(
        ("foreign_id", "spelled"),
        [("a/b", "a%2Fb"), ("a/", "a%2F"), ("a/cancel", "a%2Fcancel"), ("Café №5", "Caf%C3%A9%20%E2%84%965")],
    )
    def test_finds_ids_of_any_form(self, client, foreign_id, spelled):
        create(client, foreign_id=foreign_id)
        assert self.cancel(client, spelled).json()["data"]["status"] == "failed"

    def test_refuses_what_has_ended(self, client):
        create(client)
        self.cancel(client, "200")
        with nothing_moves(Invoice):
            answer = self.cancel(client, "200")
        assert answer.status_code == 400
        assert answer.json() == {
            "errors": {
                "error": "Invoice cannot be failed in its current state.",
                "code": "invalid_invoice_state",
            }
        }

    @pytest.mark.parametrize("name", ["201", "%00", "%ff", "x" * 300, "%E2%80%AE"])
    def test_knows_no_such_invoice(self, client, name):
        answer = self.cancel(client, name)
        assert answer.status_code == 404
        assert answer.json() == {"errors": {"foreign_id": "The selected foreign id is invalid."}}

    def test_knows_no_other_merchants(self, client):
        create(SignedClient(Shop(now=clock.now()).merchant), foreign_id="theirs")
        assert self.cancel(client, "theirs").status_code == 404
        assert Invoice.objects.get().status == "pending"
