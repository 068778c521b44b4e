"""Rotating and checking the encryption keys: no secret forgotten, none shown, none lost."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from merchants import accounts, keys, sealing
from merchants.models import ApiKey, AuditRecord, TotpDevice
from merchants.models.sealed import columns
from merchants.secrets import CannotOpen
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


@pytest.fixture
def secrets_of_two_tables(settings, merchant, owner):
    """A key and a device sealed by the old key, a generated key without secret."""
    settings.ENCRYPTION_KEYS = OLD
    _, secret = factories.active_key(merchant)
    keys.generate(merchant=merchant, by=None, now=NOW)
    TotpDevice.objects.all().delete()
    enrolment = accounts.enrol(user=owner, now=NOW)
    return secret, enrolment.secret


def opened():
    return ApiKey.objects.get(state="active").secret(), TotpDevice.objects.get().secret_for_people()


class TestRotate:
    def test_moves_every_secret_to_the_first_key(self, settings, secrets_of_two_tables):
        settings.ENCRYPTION_KEYS = NEW | OLD
        assert sealing.rotate(now=NOW) == 2
        settings.ENCRYPTION_KEYS = NEW
        assert opened() == secrets_of_two_tables

    def test_is_safe_to_run_again(self, settings, secrets_of_two_tables):
        settings.ENCRYPTION_KEYS = NEW | OLD
        sealing.rotate(now=NOW)
        assert sealing.rotate(now=NOW) == 0
        record = AuditRecord.objects.order_by("-number").first()
        assert (record.act, record.after) == ("secrets.rotate", '{"kid":"new","moved":0}')

    def test_stops_at_a_secret_that_does_not_open(self, settings, secrets_of_two_tables):
        settings.ENCRYPTION_KEYS = NEW
        before = list(ApiKey.objects.values_list("secret_ciphertext", flat=True))
        with pytest.raises(CannotOpen):
            sealing.rotate(now=NOW)
        assert list(ApiKey.objects.values_list("secret_ciphertext", flat=True)) == before

    def test_is_a_command_that_names_what_to_do_then(self, settings, secrets_of_two_tables):
        settings.ENCRYPTION_KEYS = NEW
        with pytest.raises(CommandError, match="run secrets_check"):
            call_command("secrets_rotate")

    def test_knows_every_sealed_column(self):
        assert {(model.__name__, column) for model, column in columns()} == {
            ("ApiKey", "secret_ciphertext"),
            ("MailMessage", "text_ciphertext"),
            ("MailMessage", "html_ciphertext"),
            ("RecoveryCode", "digest_ciphertext"),
            ("TotpDevice", "seed_ciphertext"),
        }


class TestCheck:
    def test_says_which_key_sealed_how_many(self, settings, secrets_of_two_tables, capsys):
        settings.ENCRYPTION_KEYS = NEW | OLD
        assert dict(sealing.check().sealed_by) == {"old": 2}
        call_command("secrets_check")
        assert capsys.readouterr().out == "       2 sealed by key old\nEvery secret opens.\n"

    def test_names_the_rows_that_do_not_open(self, secrets_of_two_tables):
        device = TotpDevice.objects.get()
        moved = ApiKey.objects.get(state="active").secret_ciphertext
        TotpDevice.objects.update(seed_ciphertext=moved)
        assert sealing.check().unreadable == [
            f"merchants_totpdevice:{device.pk}:seed_ciphertext: damaged, or sealed for another place"
        ]
        with pytest.raises(CommandError, match=f"merchants_totpdevice:{device.pk}:seed_ciphertext"):
            call_command("secrets_check")

    def test_shows_no_secret(self, settings, secrets_of_two_tables, capsys):
        settings.ENCRYPTION_KEYS = NEW | OLD
        call_command("secrets_rotate")
        call_command("secrets_check")
        shown = capsys.readouterr().out
        assert "2 secrets sealed anew." in shown
        assert not any(secret in shown for secret in secrets_of_two_tables)
