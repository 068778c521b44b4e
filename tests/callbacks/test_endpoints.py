"""Callback settings: checked when saved, audited, and a fresh start for a fresh URL."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callbacks import connector, endpoints
from callbacks.endpoints import UnknownPreset, UnknownSwitch
from callbacks.models import Endpoint, Health
from merchants.models import AuditRecord, Merchant
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:8020/callback"


@pytest.fixture
def merchant() -> Merchant:
    return factories.merchant()


def set_url(merchant: Merchant, url: str = URL) -> Endpoint:
    return endpoints.set_url(merchant=merchant, url=url, by=None, now=NOW)


class TestSetUrl:
    def test_saves_and_audits(self, merchant: Merchant) -> None:
        place = set_url(merchant)
        assert Endpoint.objects.get().url == URL
        (record,) = AuditRecord.objects.filter(act="callbacks.set_url")
        assert (record.merchant, record.subject) == (merchant, place.subject)
        assert (json.loads(record.before)["url"], json.loads(record.after)["url"]) == ("", URL)

    def test_replaces_the_one_before(self, merchant: Merchant) -> None:
        set_url(merchant)
        set_url(merchant, URL + "2")
        assert Endpoint.objects.get().url == URL + "2"

    def test_gives_another_url_a_clean_bill_of_health(self, merchant: Merchant) -> None:
        set_url(merchant)
        Endpoint.objects.update(health=Health.FAILING)
        assert set_url(merchant, URL + "2").health == Health.HEALTHY

    def test_may_name_nowhere(self, merchant: Merchant) -> None:
        set_url(merchant)
        assert not set_url(merchant, "").is_addressed

    @pytest.mark.parametrize(
        "url", ["http://10.0.0.1/", "ftp://127.0.0.1/", "http://u@127.0.0.1/", "here", "http://[fe80::1]/"]
    )
    def test_refuses_what_could_not_be_called(self, merchant: Merchant, url: str) -> None:
        set_url(merchant)
        with pytest.raises(connector.UrlRefused):
            set_url(merchant, url)
        assert Endpoint.objects.get().url == URL
        assert AuditRecord.objects.filter(act="callbacks.set_url").count() == 1

    def test_refuses_loopback_where_it_is_not_listed(self, merchant: Merchant, settings: Any) -> None:
        settings.PRIVATE_TARGETS = []
        with pytest.raises(connector.UrlRefused):
            set_url(merchant)
        assert not Endpoint.objects.exists()


class TestSwitch:
    def test_turns_what_is_named_and_nothing_else(self, merchant: Merchant) -> None:
        endpoints.switch(
            merchant=merchant, switches={"below_minimum": False, "sender_address": True}, by=None, now=NOW
        )
        place = Endpoint.objects.get()
        assert [getattr(place, name) for name in endpoints.SWITCHES] == [False, True, False, True]
        record = AuditRecord.objects.get(act="callbacks.switch")
        assert (json.loads(record.before)["below_minimum"], json.loads(record.after)["below_minimum"]) == (
            True,
            False,
        )

    @pytest.mark.parametrize("name", ["url", "health", "merchant_id"])
    def test_refuses_what_is_no_switch(self, merchant: Merchant, name: str) -> None:
        with pytest.raises(UnknownSwitch):
            endpoints.switch(merchant=merchant, switches={name: True}, by=None, now=NOW)
        assert not Endpoint.objects.exists()


class TestFollow:
    def test_takes_the_other_list(self, merchant: Merchant) -> None:
        endpoints.follow(merchant=merchant, preset="2023", by=None, now=NOW)
        assert Endpoint.objects.get().preset == "2023"

    def test_refuses_a_list_that_was_never_published(self, merchant: Merchant) -> None:
        with pytest.raises(UnknownPreset):
            endpoints.follow(merchant=merchant, preset="2020", by=None, now=NOW)
        assert not Endpoint.objects.exists()


class TestOf:
    def test_is_the_defaults_while_there_is_none(self, merchant: Merchant) -> None:
        place = endpoints.of(merchant)
        assert (place.pk, place.url, place.preset) == (None, "", "2026")
        assert [getattr(place, name) for name in endpoints.SWITCHES] == [True, True, False, False]

    def test_is_the_merchants_own(self, merchant: Merchant) -> None:
        set_url(factories.merchant(), URL + "2")
        assert endpoints.of(merchant).pk is None
        assert endpoints.of(merchant).pk is None
        place = set_url(merchant)
        assert endpoints.of(merchant) == place
