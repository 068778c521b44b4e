"""The operator's commands: what they print, what they refuse, what they leave behind."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from merchants import accounts, clock, second_factor
from merchants.models import ClockOffset, Membership, Merchant, TotpDevice, User
from tests.factories import NOW
from tests.merchants.conftest import code_of

pytestmark = pytest.mark.django_db


def run(capsys, *arguments):
    call_command(*arguments)
    return capsys.readouterr().out


class TestCreateMerchant:
    def test_makes_a_merchant_and_an_owner_who_can_sign_in(self, capsys):
        told = json.loads(run(capsys, "create_merchant", "My Shop", "Ann@Shop.test", "--json"))
        merchant, owner = Merchant.objects.get(), User.objects.get()
        assert told["merchant"] == merchant.name == "My Shop"
        assert (told["client_id"], told["owner"]) == (merchant.wire_id, "ann@shop.test")
        assert owner.check_password(told["one-time password"])
        assert owner.must_change_password
        device = TotpDevice.objects.get()
        assert told["TOTP secret"] == device.secret_for_people()
        assert second_factor.confirm(user=owner, code=code_of(device), now=NOW) == device
        membership = Membership.objects.get()
        assert (membership.role, membership.settled_at) == ("owner", membership.joined_at + timedelta(days=1))

    def test_prints_a_table_for_people(self, capsys):
        lines = run(capsys, "create_merchant", "My Shop", "ann@shop.test").splitlines()
        assert [line[:18].strip() for line in lines] == [
            "merchant", "client_id", "owner", "one-time password", "TOTP secret",
        ]  # fmt: skip

    def test_leaves_somebody_with_an_account_as_they_are(self, capsys):
        made = accounts.create(email="ann@shop.test", now=NOW)
        told = json.loads(run(capsys, "create_merchant", "My Shop", "ann@shop.test", "--settled", "--json"))
        assert set(told) == {"merchant", "client_id", "owner"}
        assert User.objects.get().check_password(made.password)
        assert Membership.objects.get().settled_at == Membership.objects.get().joined_at

    @pytest.mark.parametrize(
        ("name", "email", "sentence"),
        [
            (" ", "ann@shop.test", "A merchant needs a name."),
            ("My Shop", "ann", "This is not an e-mail address."),
        ],
    )
    def test_refuses_in_one_sentence_and_makes_nothing(self, name, email, sentence):
        with pytest.raises(CommandError) as error:
            call_command("create_merchant", name, email)
        assert str(error.value) == sentence
        assert not Merchant.objects.exists()
        assert not User.objects.exists()

    def test_settles_nobody_at_once_in_production(self, settings):
        settings.PRODUCTION = True
        with pytest.raises(CommandError, match="sandbox"):
            call_command("create_merchant", "My Shop", "ann@shop.test", "--settled")
        assert not Merchant.objects.exists()


class TestCreateOperator:
    def test_makes_an_operator(self, capsys):
        told = json.loads(run(capsys, "create_operator", "op@bursar.test", "--json"))
        operator = User.objects.get()
        assert operator.is_operator
        assert operator.check_password(told["one-time password"])

    def test_prints_a_table_for_people(self, capsys):
        lines = run(capsys, "create_operator", "op@bursar.test").splitlines()
        assert [line[:18].strip() for line in lines] == ["operator", "one-time password", "TOTP secret"]

    def test_refuses_an_address_that_is_taken(self):
        accounts.create(email="op@bursar.test", now=NOW)
        with pytest.raises(CommandError, match="has an account already"):
            call_command("create_operator", "op@bursar.test")
        assert not User.objects.get().is_operator


class TestEnrol:
    def test_gives_a_further_authenticator(self, capsys, owner):
        told = run(capsys, "enrol", "OWNER@shop.test")
        newest = TotpDevice.objects.order_by("-id").first()
        assert TotpDevice.objects.filter(user=owner).count() == 2
        assert newest.secret_for_people() in told
        assert newest.config_url() in told

    def test_refuses_who_is_nobody(self):
        with pytest.raises(CommandError, match=r"Nobody has the e-mail address x@y\.test\."):
            call_command("enrol", "x@y.test")


class TestShiftClock:
    def test_moves_the_sandboxs_clock(self, capsys):
        before = clock.now()
        assert run(capsys, "shift_clock", "900").startswith("The clock is 0:15:00 ahead: ")
        assert clock.now() == before + timedelta(minutes=15)

    def test_refuses_in_production(self, settings):
        settings.PRODUCTION = True
        with pytest.raises(CommandError, match="Only the sandbox's clock can be moved"):
            call_command("shift_clock", "900")
        assert not ClockOffset.objects.exists()
