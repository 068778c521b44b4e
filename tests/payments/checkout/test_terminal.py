"""Terminal links: what a signed one shows, and that an unsigned one tells nothing."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from merchants import clock, keys, signing
from merchants.models import MerchantStatus
from payments import addresses, terms
from payments.models import Address
from tests import factories
from tests.factories import NOW
from tests.payments.upstream_of_exchanges import trader
from tests.vectors import VECTORS

pytestmark = pytest.mark.django_db

NOTHING = "This link does not lead to a payment. Ask the shop for a new one."


@pytest.fixture
def merchant():
    owner = trader(public_name="Bee & Sons")
    for convert_to in ("", "EUR"):
        _free("BTC", f"2Nfree{convert_to}", convert_to)
    return owner


@pytest.fixture
def secret(merchant):
    return factories.active_key(merchant)[1]


def _free(currency: str, text: str, convert_to: str = "") -> None:
    Address.objects.create(
        processor=factories.processor(),
        currency=currency,
        convert_to=convert_to,
        address=text,
        lookup=addresses.lookup(currency, text),
    )


def wish(merchant, **changed) -> dict:
    asked = {"client_id": merchant.wire_id, "currency": "BTC", "foreign_id": "u-77"} | changed
    return {name: value for name, value in asked.items() if value is not ...}


def link(secret: str, asked: dict | bytes, path: str = "/", **changed: str) -> str:
    raw = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    data = base64.b64encode(raw).decode()
    return f"{path}?{urlencode({'data': data, 'signature': signing.sign(secret, raw)} | changed)}"


def spellings(raw: bytes) -> set[str]:
    """In either alphabet, with and without padding."""
    encoded = {encode(raw).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return encoded | {text.rstrip("=") for text in encoded}


class TestSigned:
    @pytest.mark.parametrize("path", ["/", "/terminal/", "/terminal"])
    def test_shows_an_address_with_its_code(self, client, merchant, secret, path):
        answer = client.get(link(secret, wish(merchant), path))
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "2Nfree" in text
        assert "Bee &amp; Sons" in text
        assert "<svg" in text
        assert "Back to the shop" not in text
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]

    def test_shows_amount_conversion_and_the_way_back(self, client, merchant, secret):
        asked = wish(
            merchant,
            amount=0.0005,
            convert_to="EUR",
            url_back="https://shop.example/?a=1~2>3",
            is_iframe=True,
        )
        answer = client.get(link(secret, asked))
        text = answer.content.decode()
        assert "2NfreeEUR" in text
        assert "0.0005" in text
        assert 'href="https://shop.example/?a=1~2&gt;3"' in text
        assert "frame-ancestors *" in answer["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer

    def test_gives_the_same_address_again_and_to_the_api(self, client, merchant, secret):
        first, second = (client.get(link(secret, wish(merchant))) for _ in range(2))
        assert first.content == second.content
        taken = Address.objects.for_merchant(merchant).get()
        assert (taken.foreign_id, taken.origin) == ("u-77", "api")

    @pytest.mark.parametrize("foreign_id", [77, "ключ/1", "x" * 255])
    def test_takes_any_name_of_a_customer(self, client, merchant, secret, foreign_id):
        assert client.get(link(secret, wish(merchant, foreign_id=foreign_id))).status_code == 200
        assert Address.objects.for_merchant(merchant).get().foreign_id == str(foreign_id)

    def test_takes_either_alphabet_with_and_without_padding(self, client, merchant, secret):
        # Where the text ends depends on the merchant's number: one of these is spelled in all four ways.
        tries = [
            json.dumps(wish(merchant, url_back=f"https://shop.example/?a={'x' * more}~~>>??")).encode()
            for more in range(6)
        ]
        raw, spelled = next((raw, four) for raw in tries if len(four := spellings(raw)) == 4)
        signature = signing.sign(secret, raw)
        for data in spelled:
            for signed in (signature, signature.upper()):
                assert client.get("/", {"data": data, "signature": signed}).status_code == 200
        unescaped = f"/?data={base64.b64encode(raw).decode()}&signature={signature}"
        assert client.get(unescaped).status_code == 200  # a plus that a shop did not escape is a space

    def test_takes_either_key_of_a_rotation(self, client, merchant, secret):
        key = merchant.api_keys.get()
        overlap = timedelta(days=1)
        newer = keys.rotate(merchant=merchant, key_id=key.pk, overlap=overlap, by=None, now=clock.now())
        for known in (secret, newer.secret):
            assert client.get(link(known, wish(merchant))).status_code == 200


class TestVectors:
    @pytest.mark.parametrize("vector", VECTORS["terminal_vectors"], ids=lambda vector: vector["base64"])
    def test_are_signed_as_we_check(self, vector):
        from payments.terminal import _decoded

        raw = _decoded(vector["data"])
        assert raw == vector["json"].encode()
        assert signing.verify(vector["secret"], raw, vector["signature"])

    @pytest.mark.parametrize("vector", VECTORS["terminal_vectors"], ids=lambda vector: vector["base64"])
    def test_open_the_terminal(self, client, monkeypatch, vector):
        factories.active_key(trader(wire_id=11))
        _free("BTC", "2Nfree")
        _free("BTC", "2NfreeEUR", "EUR")
        monkeypatch.setattr("merchants.models.ApiKey.secret", lambda key: vector["secret"])
        answer = client.get("/", {"data": vector["data"], "signature": vector["signature"]})
        assert (answer.status_code, "2Nfree" in answer.content.decode()) == (200, True)


class TestRefused:
    def _tells_nothing(self, answer) -> bool:
        text = answer.content.decode()
        return (
            answer.status_code == 400
            and NOTHING in text
            and "2Nfree" not in text
            and "Bee" not in text
            and Address.objects.free().count() == 2
        )

    @pytest.mark.parametrize("signature", ["", "0" * 128, "x", "ß" * 128])
    def test_tells_nothing_without_the_signature(self, client, merchant, secret, signature):
        assert self._tells_nothing(client.get(link(secret, wish(merchant), signature=signature)))

    def test_tells_nothing_for_anothers_signature(self, client, merchant, secret):
        other = factories.active_key(factories.merchant())[1]
        assert self._tells_nothing(client.get(link(other, wish(merchant))))

    @pytest.mark.parametrize("data", ["", "%", "e30=", "bm8gSlNPTg==", "A" * 9000, "e30", "\u00e9"])
    def test_tells_nothing_for_what_is_no_wish(self, client, merchant, secret, data):
        assert self._tells_nothing(client.get(link(secret, wish(merchant), data=data)))

    @pytest.mark.parametrize(
        "changed",
        [
            {"client_id": ...},
            {"client_id": 10**12},
            {"client_id": True},
            {"client_id": [1]},
            {"currency": "DOGE"},
            {"currency": "EUR"},
            {"currency": ["BTC"]},
            {"convert_to": "BTC"},
            {"convert_to": "GBP"},
            {"convert_to": {}},
            {"foreign_id": ...},
            {"foreign_id": "x" * 256},
            {"foreign_id": {}},
            {"amount": "much"},
            {"amount": []},
            {"is_iframe": "maybe"},
        ],
        ids=str,
    )
    def test_tells_nothing_for_a_wish_that_cannot_be_met(self, client, merchant, secret, changed):
        assert self._tells_nothing(client.get(link(secret, wish(merchant, **changed))))

    def test_tells_nothing_once_a_merchant_is_blocked_or_a_key_dead(self, client, merchant, secret):
        merchant.status = MerchantStatus.BLOCKED
        merchant.save()
        assert self._tells_nothing(client.get(link(secret, wish(merchant))))
        merchant.status = MerchantStatus.ACTIVE
        merchant.save()
        terms.disable(merchant=merchant, currency="BTC", now=NOW)
        assert self._tells_nothing(client.get(link(secret, wish(merchant))))

    @pytest.mark.parametrize("back", ["javascript:alert(1)", "//evil.example", 7, "https://a@b.example/"])
    def test_leads_back_to_web_pages_only(self, client, merchant, secret, back):
        text = client.get(link(secret, wish(merchant, url_back=back))).content.decode()
        assert "Back to the shop" not in text

    def test_says_so_when_no_address_is_free(self, client, merchant, secret, monkeypatch):
        monkeypatch.setattr(addresses, "PATIENCE_SECONDS", 0.1)
        monkeypatch.setattr("payments.doorbell.ring", lambda bell: None)
        answer = client.get(link(secret, wish(merchant, currency="ETH")))
        assert answer.status_code == 503
        assert "No address is free at the moment." in answer.content.decode()

    def test_is_the_back_office_with_one_parameter_only(self, client):
        for query in ("", "?data=e30=", "?signature=0"):
            answer = client.get(f"/{query}")
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/")

    def test_is_read_only(self, client, merchant, secret):
        assert client.post(link(secret, wish(merchant))).status_code == 405

    def test_stands_on_the_checkouts_host(self, client, merchant, secret, settings):
        settings.ALLOWED_HOSTS = ["*"]
        settings.DOOR_HOSTS = {"checkout": "pay.example", "backoffice": "office.example"}
        there = link(secret, wish(merchant))
        assert client.get(there, headers={"Host": "pay.example"}).status_code == 200
        assert client.get(there, headers={"Host": "office.example"}).status_code == 404
