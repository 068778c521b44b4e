"""The operator admin over money: what may be added, what four eyes decide, and what is only looked at."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from merchants import accounts
from merchants.models import AuditRecord, TotpDevice
from payments import deposits, ledger
from payments.models import Adjustment, Operation, Terms
from tests import factories
from tests.factories import NOW, notice
from tests.merchants.conftest import code_of

pytestmark = pytest.mark.django_db

LISTS = (
    "processor",
    "route",
    "terms",
    "adjustment",
    "operation",
    "unmatcheddeposit",
    "address",
    "addresspool",
    "rate",
    "account",
    "entry",
)
READ_ONLY = ("operation", "unmatcheddeposit", "address", "addresspool", "rate", "account", "entry")


def signed_in(email: str) -> Client:
    """An operator who has shown a second factor."""
    made = accounts.create(email=email, now=NOW, is_operator=True, password="a long enough one", step=1)
    client = Client()
    sign_in = {
        "username": email,
        "password": "a long enough one",
        "code": code_of(made.enrolment.device),
    }
    answer = client.post(reverse("operator:login"), sign_in)
    assert answer.status_code == 302, answer.content
    client.operator, client.device = made.user, made.enrolment.device
    return client


@pytest.fixture
def inside():
    return signed_in("one@bursar.test")


@pytest.fixture
def merchant():
    factories.processor()
    return factories.merchant()


@pytest.fixture
def deposit(merchant):
    factories.terms("BTC", merchant=merchant)
    address = factories.address(merchant)
    deposits.record_many(processor=factories.processor(), notices=[notice(address)], now=NOW)
    return Operation.objects.get()


def listing(model: str) -> str:
    return reverse(f"operator:payments_{model}_changelist")


def adding(model: str) -> str:
    return reverse(f"operator:payments_{model}_add")


class TestEveryPage:
    @pytest.mark.parametrize("model", LISTS)
    def test_opens(self, inside, deposit, model):
        assert inside.get(listing(model)).status_code == 200

    @pytest.mark.parametrize("model", LISTS)
    def test_is_closed_to_strangers(self, client, model):
        answer = client.get(listing(model))
        assert (answer.status_code, reverse("operator:login") in answer["Location"]) == (302, True)

    def test_shows_a_deposit_with_its_legs_and_fees(self, inside, deposit):
        page = inside.get(reverse("operator:payments_operation_change", args=[deposit.pk]))
        assert deposit.legs.get().txid in page.content.decode()

    def test_lists_a_deposit_by_the_wires_words(self, inside, deposit):
        page = inside.get(listing("operation")).content.decode()
        assert '<td class="field-word">confirmed</td>' in page

    @pytest.mark.parametrize(
        ("model", "text", "found"),
        [
            ("operation", "{wire_id}", True),
            ("operation", "{external_id}", True),
            ("operation", "no such id", False),
            ("entry", "deposit:{pk}:1", True),
            ("entry", "operation:{pk}", True),
            ("entry", "deposit:{pk}", False),
        ],
    )
    def test_finds_by_whole_values(self, inside, deposit, model, text, found):
        page = inside.get(listing(model), {"q": text.format(**vars(deposit), pk=deposit.pk)})
        assert page.context["cl"].result_count == int(found)

    def test_counts_no_further_than_it_pages(self, inside, deposit, monkeypatch):
        monkeypatch.setattr("payments.admin.MOST_LISTED", 2)
        assert ledger.AccountKind.AVAILABLE in inside.get(listing("account")).content.decode()
        assert inside.get(listing("account")).context["cl"].result_count == 2

    def test_shows_an_entry_with_its_postings(self, inside, deposit):
        from payments.models.entry import Entry

        page = inside.get(reverse("operator:payments_entry_change", args=[Entry.objects.get().pk]))
        assert "0.01488000" in page.content.decode()


class TestWhatIsReadOnly:
    @pytest.mark.parametrize("model", READ_ONLY)
    def test_cannot_be_added(self, inside, model):
        assert inside.get(adding(model)).status_code == 403

    @pytest.mark.parametrize("model", [*READ_ONLY, "terms", "route", "adjustment"])
    def test_cannot_be_deleted(self, inside, deposit, model):
        path = reverse(f"operator:payments_{model}_delete", args=[1])
        assert inside.post(path, {"post": "yes"}).status_code in {302, 403}
        assert Operation.objects.count() == 1


FORM = {
    "currency": "BTC",
    "enabled": "on",
    "deposit_fee_percent": "0.01",
    "deposit_minimum_fee": "0",
    "deposit_minimum": "0.0001",
    "deposit_exchange_fee_percent": "0",
    "withdrawal_fee_percent": "0",
    "withdrawal_mining_fee": "0",
    "withdrawal_minimum_fee": "0",
    "withdrawal_minimum": "0",
    "withdrawal_exchange_fee_percent": "0",
    "exchange_fee_percent": "0",
}


class TestTerms:
    def test_enable_a_currency_for_a_merchant(self, inside, merchant):
        answer = inside.post(adding("terms"), FORM | {"merchant": str(merchant.pk)})
        assert answer.status_code == 302, answer.content
        assert Terms.objects.get(merchant=merchant).deposit_fee_percent == Decimal("0.01")
        assert [row.currency for row in ledger.balances(merchant)] == ["BTC"]
        assert AuditRecord.objects.order_by("-number").first().act == "operator.terms.add"

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("deposit_fee_percent", "2", "less than or equal to 0.999999."),
            ("deposit_fee_percent", "-0.1", "greater than or equal to 0."),
            ("deposit_minimum", "-1", "greater than or equal to 0."),
        ],
    )
    def test_refuse_at_its_field_what_makes_no_sense(self, inside, merchant, field, value, sentence):
        answer = inside.post(adding("terms"), FORM | {field: value})
        assert answer.context["adminform"].form.errors == {field: [f"Ensure this value is {sentence}"]}
        assert not Terms.objects.exists()

    def test_offer_no_currency_whose_addresses_cannot_be_checked(self, inside):
        assert inside.post(adding("terms"), FORM | {"currency": "ADA"}).status_code == 200
        assert not Terms.objects.exists()


class TestAdjustment:
    def ask(self, client, merchant, **changes):
        form = {"merchant": str(merchant.pk), "currency": "EUR", "amount": "100", "reason": "Transfer 7"}
        return client.post(adding("adjustment"), form | changes)

    def act(self, client, action: str, **changes):
        chosen = [str(pk) for pk in Adjustment.objects.values_list("pk", flat=True)]
        TotpDevice.objects.filter(pk=client.device.pk).update(last_t=-1)  # the next code's time has come
        form = {"action": action, "_selected_action": chosen, "code": code_of(client.device)}
        return client.post(listing("adjustment"), form | changes, follow=True)

    def test_needs_a_second_operator(self, inside, merchant):
        assert self.ask(inside, merchant).status_code == 302
        answer = self.act(inside, "approve")
        assert "another operator must" in answer.content.decode()
        assert ledger.balances(merchant) == []

    def test_is_booked_by_the_second(self, inside, merchant):
        self.ask(inside, merchant)
        self.act(signed_in("two@bursar.test"), "approve")
        assert ledger.balances(merchant)[0].available == Decimal(100)
        record = AuditRecord.objects.get(act="adjustments.approve")
        assert (record.actor.email, record.second_factor, record.ip) == ("two@bursar.test", True, "127.0.0.1")

    def test_is_left_alone_without_a_fresh_code(self, inside, merchant):
        self.ask(inside, merchant)
        second = signed_in("two@bursar.test")
        for action in ("approve", "decline"):
            self.act(second, action, code="")
            self.act(second, action, code="000000")
        assert Adjustment.objects.get().status == "requested"
        assert ledger.balances(merchant) == []

    def test_is_declined_by_the_second(self, inside, merchant):
        self.ask(inside, merchant)
        self.act(signed_in("two@bursar.test"), "decline")
        assert Adjustment.objects.get().status == "declined"
        assert ledger.balances(merchant) == []

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("amount", "0", "The amount must not be zero."),
            ("amount", "1e-9", "Ensure that there are no more than 8 decimal places."),
            ("reason", " ", "This field is required."),
            ("currency", "X", "Select a valid choice. X is not one of the available choices."),
        ],
    )
    def test_is_refused_at_its_field(self, inside, merchant, field, value, sentence):
        answer = self.ask(inside, merchant, **{field: value})
        assert answer.context["adminform"].form.errors == {field: [sentence]}
        assert not Adjustment.objects.exists()


class TestReleasingWhatWasHeld:
    def test_waits_until_the_merchant_is_unblocked(self, inside, merchant):
        factories.terms("BTC", merchant=merchant)
        merchant.block()
        address = factories.address(merchant)
        deposits.record_many(processor=factories.processor(), notices=[notice(address)], now=NOW)
        form = {"action": "release_held", "_selected_action": [str(Operation.objects.get().pk)]}
        assert "still blocked" in inside.post(listing("operation"), form, follow=True).content.decode()
        merchant.unblock()
        inside.post(listing("operation"), form)
        assert ledger.balances(merchant)[0].available == Decimal("0.01488")


class TestCurrencies:
    PAGE = "/operator/payments/terms/currencies/"

    def switch(self, client, merchant, act: str, currency: str = "BTC"):
        form = {"merchant": str(merchant.pk), "currency": currency, "act": act}
        return client.post(self.PAGE, form)

    def test_are_all_shown(self, inside):
        page = inside.get(self.PAGE).content.decode()
        assert "XRP Ledger" in page
        assert "cannot be enabled yet" in page

    def test_are_enabled_and_disabled_at_the_terms_in_force(self, inside, merchant):
        factories.terms("BTC", deposit_fee_percent=Decimal("0.02"))
        assert self.switch(inside, merchant, "enable").status_code == 302
        row = Terms.objects.get(merchant=merchant)
        assert (row.enabled, row.deposit_fee_percent) == (True, Decimal("0.02"))
        assert self.switch(inside, merchant, "disable").status_code == 302
        assert not Terms.objects.filter(merchant=merchant).latest("id").enabled
        assert AuditRecord.objects.order_by("-number").first().act == "currencies.disable"

    def test_say_at_the_field_why_not(self, inside, merchant):
        answer = self.switch(inside, merchant, "enable", "ETH")
        assert "There are no terms for ETH yet" in answer.content.decode()
        assert self.switch(inside, merchant, "explode").status_code == 200
        assert not Terms.objects.exists()

    def test_are_closed_to_strangers(self, client):
        assert client.get(self.PAGE).status_code == 302
