"""The allowlist's column: networks in, networks out, and nothing that is none."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.db import DataError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from merchants import keys
from merchants.models import AllowlistEntry
from merchants.models.allowlist import CidrField
from merchants.networks import parse_network, shown
from tests.factories import NOW


@pytest.fixture
def key(merchant):
    return keys.generate(merchant=merchant, by=None, now=NOW)


class TestAllowlistEntry:
    @pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::1/128", "0.0.0.0/0"])
    def test_gives_back_the_network_that_it_keeps(self, key, text):
        AllowlistEntry.objects.create(key=key, network=ip_network(text))
        assert AllowlistEntry.objects.get().network == ip_network(text)
        assert AllowlistEntry.objects.get(network=ip_network(text)).key == key

    def test_reads_as_people_write_it(self, key):
        AllowlistEntry.objects.create(key=key, network=ip_network("192.0.2.7"))
        assert str(AllowlistEntry.objects.get()) == "192.0.2.7"

    @pytest.mark.parametrize("text", ["10.0.0.5/8", "10.0.0.300", "rubbish", "fe80::1%eth0"])
    def test_takes_nothing_that_is_no_network_past_python(self, key, text):
        with pytest.raises(DataError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO merchants_allowlistentry (key_id, network) VALUES (%s, %s)", [key.pk, text]
            )
        assert not AllowlistEntry.objects.exists()


class TestCidrField:
    @pytest.mark.parametrize("value", ["10.0.0.5/8", "rubbish", 1.5])
    def test_refuses_in_python_what_is_no_network(self, value):
        with pytest.raises(ValueError, match=str(value)):
            CidrField().get_prep_value(value)

    def test_lets_null_be(self):
        field = CidrField()
        assert (
            field.get_prep_value(None)
            is field.to_python(None)
            is field.from_db_value(None, None, None)
            is None
        )

    @given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(0, 128))
    def test_keeps_every_network_that_people_can_write(self, address, length):
        network = ip_network((address, min(length, address.max_prefixlen)), strict=False)
        parsed = parse_network(str(network))
        assert CidrField().to_python(CidrField().get_prep_value(parsed)) == parsed
        assert parse_network(shown(parsed)) == parsed
