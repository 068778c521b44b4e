"""An invoice's page: every stage in words, in two languages, with and without a script's question."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from merchants import clock
from payments import invoices
from payments.checkout import languages, wallets
from payments.checkout.stages import Stage, stage
from payments.currencies import CURRENCIES
from payments.models import Invoice
from tests.payments.invoicing import Shop

pytestmark = pytest.mark.django_db
TEMPLATES = Path(__file__).parents[3] / "templates" / "checkout"


@pytest.fixture
def shop():
    return Shop(now=clock.now())


def get(invoice: Invoice, query: str = "", **headers: str) -> Any:
    return Client(headers=headers).get(f"/invoice/{invoice.code}{query}")


def text_of(invoice: Invoice, query: str = "") -> str:
    return get(invoice, query).content.decode()


def stage_of(shop: Shop, invoice: Invoice) -> Stage:
    found = invoices.of_code(invoice.code)
    return stage(found, list(found.parts.all()), now=shop.now)


class TestPaying:
    def test_says_what_to_send_where_and_on_which_network(self, shop):
        invoice = shop.again(shop.ready(title="Order <b>5</b>"))
        page = get(invoice)
        text = page.content.decode()
        assert page.status_code == 200
        assert f'data-value="{invoice.address.address}"' in text
        assert 'data-value="0.0018"' in text
        assert "Order &lt;b&gt;5&lt;/b&gt;" in text
        assert "Bitcoin" in text
        assert f'href="bitcoin:{invoice.address.address}?amount=0.0018"' in text
        assert "<svg" in text
        assert "1 BTC = 59305.55555556 EUR" in text

    def test_is_kept_from_search_engines_caches_and_the_next_site(self, shop):
        page = get(shop.ready())
        assert (page["X-Robots-Tag"], page["Referrer-Policy"]) == ("noindex, nofollow", "same-origin")
        assert "no-store" in page["Cache-Control"]

    def test_shows_the_whole_address_in_groups_of_four(self, shop):
        invoice = shop.again(shop.ready())
        shown = re.search(r'id="address".*?>(.*?)</code>', text_of(invoice))
        groups = re.findall(r"<span>(.*?)</span>", shown[1])
        assert "".join(groups) == invoice.address.address
        assert {len(group) for group in groups[:-1]} == {4}

    def test_loads_itself_again_without_a_script_and_only_while_something_may_come(self, shop):
        assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in text_of(shop.ready())
        paid = shop.ready()
        shop.confirm(shop.pay(paid, "0.0018"))
        assert "http-equiv" not in text_of(paid)

    @pytest.mark.parametrize("code", ["x" * 22, "x", "x" * 64, "x" * 65, "%2e%2e", "\u202e"])
    def test_finds_nothing_under_a_guessed_code(self, code):
        for path in (f"/invoice/{code}", f"/invoice/{code}/receipt", f"/invoice/{code}?mark=1"):
            assert Client().get(path).status_code == 404
        assert Client().post(f"/invoice/{code}", {"currency": "BTC"}).status_code == 404


class TestChoosing:
    def test_offers_each_currency_with_its_network_and_amount(self, shop):
        text = text_of(shop.create())
        assert "0.0018" in text
        assert ">Bitcoin</span>" in text
        assert ">Ethereum</span>" in text

    def test_takes_the_choice(self, shop):
        invoice = shop.create()
        answer = Client().post(
            f"/invoice/{invoice.code}?lang=de", {"currency": "BTC", "email": "a@b.example"}
        )
        assert (answer.status_code, answer["Location"]) == (302, f"/invoice/{invoice.code}?lang=de")
        chosen = shop.again(invoice)
        assert (chosen.sender_currency, chosen.email_user) == ("BTC", "a@b.example")
        assert chosen.address.address in text_of(invoice)

    def test_asks_for_no_address_that_the_shop_has_given(self, shop):
        invoice = shop.create(email_user="known@b.example")
        assert 'type="email"' not in text_of(invoice)
        assert Client().post(f"/invoice/{invoice.code}", {"currency": "BTC"}).status_code == 302
        assert shop.again(invoice).email_user == "known@b.example"

    @pytest.mark.parametrize(
        ("sent", "sentence"),
        [
            ({"currency": "XXX", "email": "a@b.example"}, "This is not offered any more."),
            ({"email": "a@b.example"}, "Choose what to pay in."),
            ({"currency": "BTC", "email": "nonsense"}, "This does not look like an e-mail address."),
            ({"currency": "BTC"}, "We need an address to reach you"),
        ],
    )
    def test_says_what_is_wrong_and_chooses_nothing(self, shop, sent, sentence):
        invoice = shop.create()
        answer = Client().post(f"/invoice/{invoice.code}", sent)
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
        assert shop.again(invoice).sender_currency == ""

    def test_in_a_second_tab_says_that_one_was_chosen(self, shop):
        invoice = shop.create()
        Client().post(f"/invoice/{invoice.code}", {"currency": "BTC", "email": "a@b.example"})
        again = Client().post(f"/invoice/{invoice.code}", {"currency": "ETH", "email": "a@b.example"})
        assert again.status_code == 422
        assert shop.again(invoice).sender_currency == "BTC"


class TestStages:
    def test_of_an_invoice_that_is_paid_as_asked(self, shop):
        invoice = shop.ready()
        assert stage_of(shop, invoice) is Stage.PAY
        seen = shop.pay(invoice, "0.0018")
        assert stage_of(shop, invoice) is Stage.SEEN
        assert "Payment seen" in text_of(invoice)
        shop.confirm(seen)
        assert stage_of(shop, invoice) is Stage.PAID
        text = text_of(invoice)
        assert "Paid" in text
        assert 'href="https://shop.example/ok"' in text

    def test_of_one_that_is_paid_in_parts_says_what_is_still_to_send(self, shop):
        invoice = shop.ready()
        shop.pay(invoice, "0.0010")
        assert stage_of(shop, invoice) is Stage.PART_PAID
        text = text_of(invoice)
        assert 'data-value="0.0008"' in text
        assert "Send the rest to the same address." in text

    def test_of_one_that_is_overpaid_says_that_the_rest_is_kept(self, shop):
        invoice = shop.ready()
        shop.confirm(shop.pay(invoice, "0.0020"))
        assert stage_of(shop, invoice) is Stage.OVERPAID
        assert "You paid more than was asked." in text_of(invoice)

    def test_of_one_whose_payment_was_replaced_asks_again(self, shop):
        invoice = shop.ready()
        shop.cancel_deposits(shop.pay(invoice, "0.0010"))
        assert stage_of(shop, invoice) is Stage.PAY
        text = text_of(invoice)
        assert "An earlier payment was replaced" in text
        assert 'data-value="0.0018"' in text

    def test_of_one_that_ran_out(self, shop):
        invoice = shop.ready()
        shop.wait(minutes=15)
        assert stage_of(shop, invoice) is Stage.ENDING
        shop.sweep()
        assert stage_of(shop, invoice) is Stage.EXPIRED
        shown = text_of(invoice)
        assert "Nothing was paid, and nothing is owed." in shown
        assert shop.again(invoice).address.address not in shown
        assert 'href="https://shop.example/no"' in shown

    def test_of_one_that_ran_out_with_a_part_of_it_paid(self, shop):
        invoice = shop.ready()
        shop.confirm(shop.pay(invoice, "0.0010"))
        shop.wait(minutes=15)
        shop.sweep()
        assert stage_of(shop, invoice) is Stage.UNDERPAID
        assert "Your money is not lost" in text_of(invoice)

    def test_of_one_that_is_paid_when_it_has_ended(self, shop):
        invoice = shop.ready()
        shop.wait(minutes=15)
        shop.sweep()
        shop.confirm(shop.pay(invoice, "0.0018"))
        assert stage_of(shop, invoice) is Stage.PAID_LATE
        assert "Your payment came after the time was over" in text_of(invoice)

    def test_of_one_that_is_never_confirmed(self, shop):
        invoice = shop.ready()
        shop.pay(invoice, "0.0018")
        shop.wait(hours=24)
        shop.sweep()
        assert stage_of(shop, invoice) is Stage.TOO_LONG

    def test_of_one_that_the_shop_cancelled(self, shop):
        invoice = shop.ready()
        invoices.cancel(merchant=shop.merchant, foreign_id=invoice.foreign_id, now=shop.now)
        assert stage_of(shop, invoice) is Stage.CANCELLED
        assert "has cancelled this invoice" in text_of(invoice)


class TestAsking:
    """A script asks each second whether anything has changed."""

    def mark(self, invoice: Invoice, query: str = "") -> str:
        return re.search(r'data-mark="(\w+)"', text_of(invoice, query))[1]

    def test_is_answered_no_by_one_query(self, shop, django_assert_num_queries):
        invoice = shop.ready()
        mark = self.mark(invoice)
        with django_assert_num_queries(2):  # the clock's offset, and the look
            answer = get(invoice, f"?mark={mark}")
        assert (answer.status_code, answer.content) == (304, b"")

    def test_gets_the_card_alone_once_something_has_changed(self, shop):
        invoice = shop.ready()
        mark = self.mark(invoice)
        seen = shop.pay(invoice, "0.0018")
        answer = get(invoice, f"?mark={mark}")
        assert answer.status_code == 200
        assert "Payment seen" in answer.content.decode()
        assert "<html" not in answer.content.decode()
        mark = re.search(r'data-mark="(\w+)"', answer.content.decode())[1]
        assert get(invoice, f"?mark={mark}").status_code == 304
        shop.confirm(seen)
        assert get(invoice, f"?mark={mark}").status_code == 200

    def test_is_told_of_another_language(self, shop):
        invoice = shop.ready()
        assert get(invoice, f"?mark={self.mark(invoice)}&lang=de").status_code == 200


class TestLanguages:
    def test_are_chosen_by_the_browser_or_the_link(self, shop):
        invoice = shop.ready()
        german = get(invoice, **{"Accept-Language": "fr-FR, de-AT;q=0.8, en;q=0.5"})
        assert 'lang="de"' in german.content.decode()
        assert "Mit BTC bezahlen" in german.content.decode()
        english = get(invoice, "?lang=en", **{"Accept-Language": "de"})
        assert "Pay with BTC" in english.content.decode()
        assert "Pay with BTC" in get(invoice, "?lang=xx").content.decode()

    def test_leave_a_copied_number_its_dot(self, shop):
        assert 'data-value="0.0018"' in text_of(shop.ready(), "?lang=de")

    def test_know_every_text_of_the_templates(self):
        texts = set()
        for template in TEMPLATES.glob("*.html"):
            source = template.read_text()
            texts |= set(re.findall(r"""{% translate ["'](.+?)["'] %}""", source))
            for block in re.findall(r"{% blocktranslate[^%]*%}(.+?){% endblocktranslate %}", source):
                texts.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", block))
        assert len(texts) > 50
        with translation.override("de"):
            untold = [text for text in sorted(texts) if translation.gettext(text) == text]
        assert untold == []

    def test_are_written_in_their_own_direction(self):
        assert {languages.direction(code) for code in languages.LANGUAGES} == {"ltr"}
        assert languages.direction("ar") == "rtl"


class TestReceipt:
    def test_names_what_was_paid(self, shop):
        invoice = shop.ready(title="Order 5")
        shop.confirm(shop.pay(invoice, "0.0018", txid="beef" * 16))
        page = get(invoice, "/receipt")
        text = page.content.decode()
        assert page.status_code == 200
        assert "Order 5" in text
        assert "106.75 EUR" in text
        assert "0.0018 BTC (Bitcoin)" in text
        assert "beef" * 16 in text

    def test_is_there_only_for_what_was_paid(self, shop):
        assert get(shop.ready(), "/receipt").status_code == 404


class TestSimulation:
    def test_is_absent_without_a_sandbox(self, shop, settings):
        settings.SANDBOX_CONTROL = ("", "")
        invoice = shop.ready()
        assert "simulate" not in text_of(invoice)
        answer = Client().post(f"/invoice/{invoice.code}/simulate", {"act": "exact"})
        assert answer.status_code == 404

    def test_says_when_the_sandbox_does_not_answer(self, shop, settings):
        settings.SANDBOX_CONTROL = ("http://127.0.0.1:1", "token")
        invoice = shop.ready()
        assert "simulate" in text_of(invoice)
        answer = Client().post(f"/invoice/{invoice.code}/simulate", {"act": "exact"})
        assert (answer.status_code, answer.content) == (503, b"The sandbox does not answer.")

    def test_knows_no_other_acts(self, shop, settings):
        settings.SANDBOX_CONTROL = ("http://127.0.0.1:1", "token")
        answer = Client().post(f"/invoice/{shop.ready().code}/simulate", {"act": "steal"})
        assert answer.status_code == 404


class TestLinks:
    @pytest.mark.parametrize(
        ("code", "address", "amount", "link"),
        [
            ("BTC", "bc1q", "0.00180000", "bitcoin:bc1q?amount=0.0018"),
            ("BTC", "bc1q", None, "bitcoin:bc1q"),
            ("BCH", "bitcoincash:qq", "1.00000000", "bitcoincash:qq?amount=1"),
            ("LTC", "ltc1", "10", "litecoin:ltc1?amount=10"),
            ("DOGE", "D1", "100", "dogecoin:D1?amount=100"),
            ("ETH", "0xab", "0.05000000", "ethereum:0xab@1?value=50000000000000000"),
            ("BNB-BSC", "0xab", "1", "ethereum:0xab@56?value=1000000000000000000"),
            ("USDTE", "0xab", "5", "0xab"),
            ("USDTT", "T1", "5", "T1"),
            ("XRP", "r1", "5", "r1"),
        ],
    )
    def test_are_what_wallets_open(self, code, address, amount, link):
        given = None if amount is None else Decimal(amount)
        assert wallets.link(currency=CURRENCIES[code], address=address, amount=given) == link
