"""Sealed columns: a secret opens in its own row and nowhere else."""

from __future__ import annotations

import pytest

from merchants.models import ApiKey, TotpDevice
from merchants.models.sealed import reserve_id, seal, unseal
from merchants.secrets import CannotOpen
from tests import factories

pytestmark = pytest.mark.django_db


class TestSeal:
    def test_is_opened_by_the_row_that_it_was_made_for(self):
        row = ApiKey(pk=17)
        row.secret_ciphertext = seal(row, "secret_ciphertext", "a secret")
        assert "a secret" not in row.secret_ciphertext
        assert row.secret() == unseal(row, "secret_ciphertext") == "a secret"

    def test_refuses_a_row_that_has_no_id_yet(self):
        with pytest.raises(ValueError, match="has its id"):
            seal(ApiKey(), "secret_ciphertext", "a secret")

    @pytest.mark.parametrize("other", [ApiKey(pk=18), TotpDevice(pk=17)])
    def test_is_not_opened_by_another_row(self, other):
        column = "secret_ciphertext" if isinstance(other, ApiKey) else "seed_ciphertext"
        setattr(other, column, seal(ApiKey(pk=17), "secret_ciphertext", "a secret"))
        with pytest.raises(CannotOpen):
            unseal(other, column)

    def test_is_not_opened_after_a_copy_inside_the_database(self):
        first, second = factories.merchant(), factories.merchant()
        factories.active_key(first)
        factories.active_key(second)
        stolen = ApiKey.objects.get(merchant=first).secret_ciphertext
        ApiKey.objects.filter(merchant=second).update(secret_ciphertext=stolen)
        with pytest.raises(CannotOpen):
            ApiKey.objects.get(merchant=second).secret()


class TestReserveId:
    def test_gives_each_id_once(self):
        assert reserve_id(TotpDevice) + 1 == reserve_id(TotpDevice)
