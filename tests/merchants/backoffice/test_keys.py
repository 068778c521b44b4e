"""API keys on pages: made, activated with a secret shown once, limited to addresses, rotated, ended."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from merchants import clock, keys, traffic
from merchants.models import ApiKey, AuditRecord, KeyState, KeyTraffic, Outcome
from tests import desk, factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    return desk.desk(factories.merchant())


@pytest.fixture
def key(at):
    return keys.generate(merchant=at.merchant, by=None, now=clock.now())


@pytest.fixture
def active(at, key):
    return keys.activate(merchant=at.merchant, key_id=key.pk, by=None, now=clock.now()).key


def use(key, ip, count=1, *, hours_ago=0):
    hour = (datetime.now(UTC) - timedelta(hours=hours_ago)).replace(minute=0, second=0, microsecond=0)
    KeyTraffic.objects.create(
        key=key, hour=hour, ip=ip, endpoint="ping", outcome=Outcome.ACCEPTED, count=count
    )


def refresh(at):
    """The person waits for the next code."""
    device = desk.device_of(at.user)
    device.last_t = -1
    device.save()


class TestList:
    def test_says_what_to_do_first(self, at):
        assert b"No API key yet" in at.get("keys/").content

    def test_shows_addresses_as_chips(self, at, active):
        entries = ["18.202.102.115", "203.0.113.0/24"]
        keys.set_allowlist(
            merchant=at.merchant, key_id=active.pk, entries=entries, by=None, now=clock.now(), pause=id
        )
        page = at.get("keys/").content.decode()
        assert "18.202.102.115" in page
        assert "and 1 other" in page

    def test_tells_the_last_use(self, at, active):
        use(active, "203.0.113.9")
        assert "203.0.113.9 · ping" in at.get("keys/").content.decode()

    def test_never_asks_once_per_key(self, at, django_assert_max_num_queries):
        for _ in range(5):
            keys.generate(merchant=at.merchant, by=None, now=clock.now())
        with django_assert_max_num_queries(20):
            at.get("keys/")


class TestActivate:
    def test_shows_the_secret_in_the_answer_to_the_post(self, at, key):
        answer = at.post(f"keys/{key.public_key}/activate/")
        secret = re.search(r'id="secret">([^<]+)<', answer.content.decode())[1]
        assert ApiKey.objects.get().secret() == secret
        assert "no-store" in answer["Cache-Control"]
        assert "Set-up, step" not in answer.content.decode()  # nothing leads away before it is saved

    def test_shows_it_nowhere_else_ever(self, at, key):
        at.post(f"keys/{key.public_key}/activate/")
        secret = ApiKey.objects.get().secret()
        refresh(at)
        again = at.post(f"keys/{key.public_key}/activate/")
        pages = [
            again,
            at.get("keys/"),
            at.get(f"keys/{key.public_key}/"),
            at.get(f"keys/{key.public_key}/activate/"),
        ]
        assert again.status_code == 422
        assert b"its secret was shown then and cannot be shown again" in again.content
        assert not [page for page in pages if secret.encode() in page.content]
        assert secret not in str(list(AuditRecord.objects.values()))
        assert secret not in str(dict(at.client.session))

    def test_refuses_a_second_active_key(self, at, active):
        second = keys.generate(merchant=at.merchant, by=None, now=clock.now())
        answer = at.post(f"keys/{second.public_key}/activate/")
        assert b"Another key is active." in answer.content
        second.refresh_from_db()
        assert second.state == KeyState.GENERATED

    def test_of_another_merchants_key_is_missing(self, at, key):
        other = desk.desk(factories.merchant())
        assert other.post(f"keys/{key.public_key}/activate/").status_code == 404
        key.refresh_from_db()
        assert key.state == KeyState.GENERATED


class TestRotate:
    def test_lets_both_keys_work_for_the_chosen_time(self, at, active):
        answer = at.post(f"keys/{active.public_key}/rotate/", overlap="24")
        assert b"Save this secret now" in answer.content
        active.refresh_from_db()
        assert active.retires_at - active.rotated_at == timedelta(days=1)
        assert ApiKey.objects.active().count() == 2

    def test_refuses_a_time_that_is_not_offered(self, at, active):
        answer = at.post(f"keys/{active.public_key}/rotate/", overlap="9999")
        assert answer.status_code == 422
        assert ApiKey.objects.count() == 1


class TestDeactivate:
    def test_is_final(self, at, active):
        assert at.post(f"keys/{active.public_key}/deactivate/").status_code == 302
        active.refresh_from_db()
        assert active.state == KeyState.DEACTIVATED
        refresh(at)
        again = at.post(f"keys/{active.public_key}/deactivate/")
        assert b"was deactivated, which is final" in again.content


class TestAllowlist:
    def path(self, key):
        return f"keys/{key.public_key}/allowlist/"

    def entries(self, key):
        return keys.allowlist_of(key)

    def test_takes_pasted_addresses(self, at, active):
        answer = at.post(self.path(active), ips="203.0.113.9, 2001:db8::7\n198.51.100.0/24;::ffff:192.0.2.1")
        assert answer.status_code == 302
        assert self.entries(active) == ["203.0.113.9", "2001:db8::7", "198.51.100.0/24", "192.0.2.1"]

    @pytest.mark.parametrize(
        ("ips", "sentence"),
        [
            ("10.0.0.300", "“10.0.0.300” is not an IPv4 or IPv6 address or network."),
            ("10.0.0.5/24", "is an address inside 10.0.0.0/24"),
            ("fe80::1%eth0", "is not an IPv4 or IPv6 address"),
            (", ".join(f"10.0.{n // 250}.{n % 250}" for n in range(1000)), "At most 256 addresses"),
        ],
    )
    def test_says_at_the_field_what_is_wrong(self, at, active, ips, sentence):
        answer = at.post(self.path(active), ips=ips)
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
        assert self.entries(active) == []

    def test_spends_no_code_on_a_wrong_entry(self, at, active):
        code = desk.code_of(at.user)
        at.post(self.path(active), ips="10.0.0.300", code=code)
        assert at.post(self.path(active), ips="10.0.0.30", code=code).status_code == 302

    def test_asks_before_it_opens_to_everybody(self, at, active):
        code = desk.code_of(at.user)
        asked = at.post(self.path(active), ips="0.0.0.0/0", code=code)
        assert "allows requests from everywhere" in asked.content.decode()
        assert self.entries(active) == []
        at.post(self.path(active), ips="0.0.0.0/0", everywhere="on", code=code)
        assert self.entries(active) == ["0.0.0.0/0"]

    def test_previews_who_would_be_locked_out(self, at, active):
        use(active, "203.0.113.9", 214, hours_ago=50)
        answer = at.post(self.path(active), ips="198.51.100.7", step="preview", code="")
        page = answer.content.decode()
        assert answer.status_code == 200
        assert re.search(r"214</strong>\s+from <code>203\.0\.113\.9</code>", page)
        assert self.entries(active) == []

    def test_shows_the_preview_before_a_first_save(self, at, active):
        use(active, "203.0.113.9", 214, hours_ago=50)
        code = desk.code_of(at.user)
        first = at.post(self.path(active), ips="198.51.100.7", code=code)
        assert (first.status_code, self.entries(active)) == (200, [])
        at.post(self.path(active), ips="198.51.100.7", previewed="198.51.100.7/32", code=code)
        assert self.entries(active) == ["198.51.100.7"]

    def test_shows_it_again_for_another_list(self, at, active):
        use(active, "203.0.113.9", 214, hours_ago=50)
        answer = at.post(self.path(active), ips="198.51.100.8", previewed="198.51.100.7/32")
        assert (answer.status_code, self.entries(active)) == (200, [])

    def test_locks_out_the_last_hour_only_when_it_is_typed(self, at, active):
        use(active, "203.0.113.9", 3)
        code = desk.code_of(at.user)
        asked = at.post(self.path(active), ips="198.51.100.7", previewed="198.51.100.7/32", code=code)
        assert "Type LOCK OUT to go on." in asked.content.decode()
        assert (
            "Type LOCK OUT to refuse addresses that used this key within the hour" in asked.content.decode()
        )
        assert self.entries(active) == []
        at.post(
            self.path(active), ips="198.51.100.7", previewed="198.51.100.7/32", typed="LOCK OUT", code=code
        )
        assert self.entries(active) == ["198.51.100.7"]

    def test_refuses_a_list_that_another_browser_changed(self, at, active):
        keys.set_allowlist(
            merchant=at.merchant, key_id=active.pk, entries=["192.0.2.1"], by=None, now=clock.now(), pause=id
        )
        answer = at.post(self.path(active), ips="192.0.2.2", seen="")
        assert "changed meanwhile" in answer.content.decode()
        assert self.entries(active) == ["192.0.2.1"]


class TestDetail:
    def test_lists_refused_tries_with_their_address(self, at, active):
        traffic.count(key_id=active.pk, ip="192.0.2.66", endpoint="ping", outcome=Outcome.FORBIDDEN_IP)
        traffic.flush()
        page = at.get(f"keys/{active.public_key}/").content.decode()
        assert "192.0.2.66" in page
        assert "from an address outside the allowlist" in page

    def test_is_missing_for_strangers(self, key):
        assert Client().get(f"/m/{key.merchant.wire_id}/keys/{key.public_key}/").status_code == 302
