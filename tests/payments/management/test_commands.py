"""The commands about money that goes out: what they say, and one line for what they cannot do."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from payments import controls
from payments.models import Cap, Reconciliation, Stop
from payments.processors import registry
from tests import factories
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.test_reconciliation import lies_there
from tests.payments.upstream_of_payouts import Payer, as_role

pytestmark = pytest.mark.django_db


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


class TestVerify:
    def test_says_that_all_is_whole(self):
        up.approved(up.payer_out())
        assert said("verify") == "The books, the withdrawals and the audit are whole.\n"

    def test_names_the_bad_row(self):
        up.payer_out()
        up.meddle("UPDATE payments_account SET balance = balance + 1 WHERE kind = 'available'")
        with pytest.raises(CommandError, match=r"account \d+ \(available BTC\): its balance"):
            said("verify")


class TestStops:
    def test_shows_and_lifts(self):
        assert said("stops") == "Nothing is stopped.\n"
        shop = factories.merchant()
        made = controls.trip(merchant=shop, reason="odd", now=NOW)
        assert f"merchant {shop.wire_id}" in said("stops", "list")
        assert said("stops", "lift", str(made.pk), "--by", "Ada", "--reason", "fine") == "Lifted: odd\n"
        row = Stop.objects.get()
        assert (row.lifted_by, row.lift_reason) == ("Ada", "fine")

    def test_says_what_it_does_not_know(self):
        with pytest.raises(CommandError, match="There is no such open stop"):
            said("stops", "lift", "7", "--by", "Ada", "--reason", "fine")
        with pytest.raises(CommandError):
            said("stops", "lift", "seven", "--by", "Ada", "--reason", "fine")

    def test_says_whose_rights_it_needs(self):
        made = controls.trip(merchant=None, reason="odd", now=NOW)
        with (
            pytest.raises(CommandError, match="database's owner"),
            up.transaction.atomic(),
            as_role("bursar_app"),
        ):
            said("stops", "lift", str(made.pk), "--by", "Ada", "--reason", "fine")


class TestCaps:
    def test_shows_and_sets(self):
        assert "There is no cap" in said("caps")
        shop = factories.merchant()
        line = f"merchant {shop.wire_id}, BTC: one 2.00000000, day 5.00000000\n"
        number = str(shop.wire_id)
        given = ["--merchant", number, "--currency", "BTC", "--one", "2", "--day", "5"]
        assert said("caps", "set", *given) == line
        assert said("caps") == line
        said("caps", "set", "--merchant", number, "--currency", "BTC", "--hour", "1")
        assert Cap.objects.get().one_operation is None

    def test_sets_the_general_one(self):
        assert said("caps", "set", "--day", "200000") == "each merchant, all in EUR: day 200000.00000000\n"

    @pytest.mark.parametrize(
        "given",
        [
            ["--merchant", "999999"],
            ["--currency", "XXX", "--one", "1"],
            ["--one", "0"],
            ["--one", "-1"],
            ["--one", "1e5"],
            ["--hour", "1.123456789"],
            ["--day", "NaN"],
            ["--merchant", "x"],
        ],
    )
    def test_refuses_bad_input_in_one_line(self, given):
        with pytest.raises(CommandError) as caught:
            said("caps", "set", *given)
        assert "\n" not in str(caught.value)
        assert not Cap.objects.exists()


class TestReconcile:
    @pytest.fixture
    def payer(self, monkeypatch):
        one = Payer()
        monkeypatch.setattr(registry, "outbound", lambda code: one)
        return one

    def test_looks_and_shows(self, payer):
        lies_there("10")
        payer.lying = [factories.money("10")]
        assert "booked 10.00000000, reported 10.00000000, under way 0.00000000: as booked" in said(
            "reconcile"
        )

    def test_ends_badly_where_two_looks_differ(self, payer):
        lies_there("10")
        payer.lying = [factories.money("9")]
        assert "differs by -1.00000000" in said("reconcile")
        Reconciliation.objects.update(at=NOW)
        with pytest.raises(CommandError, match="1 balances differ"):
            said("reconcile", "--processor", "sandbox")

    def test_shows_the_last_look_without_asking(self, payer):
        lies_there("10")
        payer.lying = [factories.money("10")]
        assert said("reconcile", "--last") == ""

    def test_says_which_processor_it_does_not_know(self):
        with pytest.raises(CommandError, match="There is no processor moon"):
            said("reconcile", "--processor", "moon")

    def test_says_where_the_credentials_are_missing(self):
        factories.processor()
        with pytest.raises(CommandError, match="sandbox cannot be asked"):
            said("reconcile")
