"""API keys: each verb, each refusal with everything left as it was, and each rule past Python."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest

from merchants import keys, networks, secrets
from merchants.models import AllowlistEntry, ApiKey, AuditRecord
from merchants.models.api_key import CACHE_SECONDS
from tests import factories
from tests.factories import NOW

LATER = NOW + timedelta(hours=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def generated(merchant, owner):
    return keys.generate(merchant=merchant, by=owner, now=NOW)


@pytest.fixture
def active(merchant, owner, generated):
    return keys.activate(merchant=merchant, key_id=generated.pk, by=owner, now=NOW)


@pytest.fixture
def rotated(merchant, owner, active):
    return keys.rotate(merchant=merchant, key_id=active.key.pk, overlap=HOUR, by=owner, now=NOW)


def standing():
    """All that a refused verb must leave as it was."""
    rows = ApiKey.objects.order_by("id").values_list("id", "state", "secret_ciphertext", "retires_at")
    return (
        list(rows),
        list(AllowlistEntry.objects.values_list("key_id", "network")),
        AuditRecord.objects.count(),
    )


def refused(refusal, verb, **options):
    before = standing()
    with pytest.raises(refusal) as caught:
        verb(**options)
    assert standing() == before
    return str(caught.value)


class TestGenerate:
    def test_makes_a_key_that_has_no_secret_yet(self, generated):
        row = ApiKey.objects.get(pk=generated.pk)
        assert (row.state, row.secret_ciphertext, row.activated_at) == ("generated", "", None)
        assert secrets.is_well_formed(row.public_key)

    def test_is_audited(self, generated, owner):
        record = AuditRecord.objects.order_by("-number").first()
        assert (record.act, record.actor, record.subject) == (
            "keys.generate",
            owner,
            f"api_key:{generated.pk}",
        )

    def test_refuses_when_ten_wait_for_activation(self, merchant):
        for _ in range(10):
            keys.generate(merchant=merchant, by=None, now=NOW)
        sentence = refused(keys.TooManyGenerated, keys.generate, merchant=merchant, by=None, now=NOW)
        assert sentence == "10 keys wait for activation already. Activate or deactivate one of them first."


class TestActivate:
    def test_tells_the_secret_that_it_stored_encrypted(self, active):
        row = ApiKey.objects.get(pk=active.key.pk)
        assert (row.state, row.activated_at) == ("active", NOW)
        assert row.secret() == active.secret
        assert secrets.is_well_formed(active.secret)
        assert active.secret not in row.secret_ciphertext

    def test_leaves_the_secret_in_no_audit_and_no_repr(self, active):
        told = [f"{record.before} {record.after}" for record in AuditRecord.objects.all()]
        assert all(active.secret not in text for text in told)
        assert active.secret not in repr(active)

    def test_takes_an_allowlist_along(self, merchant, generated):
        keys.activate(merchant=merchant, key_id=generated.pk, allowlist=["10.0.0.0/8"], by=None, now=NOW)
        assert [entry.network for entry in generated.allowlist.all()] == [ip_network("10.0.0.0/8")]

    def test_refuses_a_second_time(self, merchant, active):
        refused(
            keys.AlreadyActive, keys.activate, merchant=merchant, key_id=active.key.pk, by=None, now=LATER
        )

    def test_refuses_beside_another_active_key(self, merchant, active):
        second = keys.generate(merchant=merchant, by=None, now=NOW)
        refused(
            keys.AnotherKeyIsActive, keys.activate, merchant=merchant, key_id=second.pk, by=None, now=LATER
        )

    def test_refuses_a_deactivated_key(self, merchant, generated):
        keys.deactivate(merchant=merchant, key_id=generated.pk, by=None, now=NOW)
        refused(keys.Deactivated, keys.activate, merchant=merchant, key_id=generated.pk, by=None, now=LATER)

    def test_refuses_another_merchants_key_like_a_missing_one(self, generated):
        other = factories.merchant()
        refused(keys.NoSuchKey, keys.activate, merchant=other, key_id=generated.pk, by=None, now=NOW)
        refused(keys.NoSuchKey, keys.activate, merchant=other, key_id=0, by=None, now=NOW)

    def test_refuses_a_bad_allowlist_whole(self, merchant, generated):
        sentence = refused(
            networks.BadNetwork,
            keys.activate,
            merchant=merchant,
            key_id=generated.pk,
            allowlist=["10.0.0.1", "10.0.0.300"],
            by=None,
            now=NOW,
        )
        assert "10.0.0.300" in sentence


class TestRotate:
    def test_gives_a_second_active_key_and_ends_the_first_after_the_overlap(self, active, rotated):
        old, new = ApiKey.objects.get(pk=active.key.pk), ApiKey.objects.get(pk=rotated.key.pk)
        assert (old.state, old.rotated_at, old.retires_at) == ("active", NOW, NOW + HOUR)
        assert (new.state, new.retires_at, new.secret()) == ("active", None, rotated.secret)
        assert rotated.secret != active.secret

    def test_hands_the_allowlist_on(self, merchant, active):
        keys.set_allowlist(
            merchant=merchant, key_id=active.key.pk, entries=["::1", "10.0.0.0/8"], by=None, now=NOW
        )
        new = keys.rotate(merchant=merchant, key_id=active.key.pk, overlap=HOUR, by=None, now=NOW).key
        assert [str(entry) for entry in new.allowlist.order_by("id")] == ["::1", "10.0.0.0/8"]

    @pytest.mark.parametrize(
        "overlap", [timedelta(0), timedelta(seconds=-1), timedelta(days=7, microseconds=1)]
    )
    def test_refuses_no_overlap_and_more_than_seven_days(self, merchant, active, overlap):
        refused(
            keys.BadOverlap,
            keys.rotate,
            merchant=merchant,
            key_id=active.key.pk,
            overlap=overlap,
            by=None,
            now=NOW,
        )

    def test_takes_seven_days(self, merchant, active):
        week = timedelta(days=7)
        keys.rotate(merchant=merchant, key_id=active.key.pk, overlap=week, by=None, now=NOW)
        assert ApiKey.objects.get(pk=active.key.pk).retires_at == NOW + week

    def test_refuses_a_key_that_is_not_active(self, merchant, generated):
        refused(
            keys.NotActive,
            keys.rotate,
            merchant=merchant,
            key_id=generated.pk,
            overlap=HOUR,
            by=None,
            now=NOW,
        )

    @pytest.mark.parametrize("which", ["active", "rotated"])
    def test_refuses_while_a_rotation_is_under_way(self, merchant, active, rotated, which):
        key = (active if which == "active" else rotated).key
        refused(
            keys.RotationUnderWay,
            keys.rotate,
            merchant=merchant,
            key_id=key.pk,
            overlap=HOUR,
            by=None,
            now=NOW,
        )

    def test_begins_anew_once_the_last_rotation_is_over(self, merchant, active, rotated):
        third = keys.rotate(merchant=merchant, key_id=rotated.key.pk, overlap=HOUR, by=None, now=NOW + HOUR)
        states = dict(ApiKey.objects.values_list("id", "state"))
        assert states == {active.key.pk: "deactivated", rotated.key.pk: "active", third.key.pk: "active"}


class TestDeactivate:
    def test_is_final_and_audited_with_before_and_after(self, merchant, owner, active):
        keys.deactivate(
            merchant=merchant, key_id=active.key.pk, by=owner, now=LATER, ip="203.0.113.7", second_factor=True
        )
        row = ApiKey.objects.get(pk=active.key.pk)
        assert (row.state, row.deactivated_at) == ("deactivated", LATER)
        record = AuditRecord.objects.order_by("-number").first()
        assert (record.act, record.ip, record.second_factor) == ("keys.deactivate", "203.0.113.7", True)
        assert '"state":"active"' in record.before
        assert '"state":"deactivated"' in record.after

    def test_waits_out_the_key_cache_after_the_commit(
        self, merchant, active, django_capture_on_commit_callbacks
    ):
        waits = []
        with django_capture_on_commit_callbacks(execute=True):
            keys.deactivate(merchant=merchant, key_id=active.key.pk, by=None, now=LATER, pause=waits.append)
            assert waits == []
        assert waits == [CACHE_SECONDS] == [1.0]

    def test_refuses_a_second_time(self, merchant, active):
        keys.deactivate(merchant=merchant, key_id=active.key.pk, by=None, now=NOW)
        refused(
            keys.Deactivated, keys.deactivate, merchant=merchant, key_id=active.key.pk, by=None, now=LATER
        )

    def test_refuses_another_merchants_key(self, active):
        refused(
            keys.NoSuchKey,
            keys.deactivate,
            merchant=factories.merchant(),
            key_id=active.key.pk,
            by=None,
            now=NOW,
        )

    def test_does_not_wait_when_it_refuses(self, merchant, django_capture_on_commit_callbacks):
        waits = []
        with django_capture_on_commit_callbacks(execute=True), pytest.raises(keys.NoSuchKey):
            keys.deactivate(merchant=merchant, key_id=0, by=None, now=NOW, pause=waits.append)
        assert waits == []


class TestSetAllowlist:
    def set(self, merchant, key, *entries, **options):
        return keys.set_allowlist(
            merchant=merchant, key_id=key.pk, entries=entries, by=None, now=NOW, **options
        )

    def test_replaces_the_entries_normalised_each_once_in_order(self, merchant, generated):
        self.set(merchant, generated, "192.0.2.1")
        answer = self.set(
            merchant, generated, " 18.202.102.115", "::ffff:1.2.3.4", "2001:DB8::/32", "1.2.3.4", ""
        )
        kept = [str(entry) for entry in generated.allowlist.order_by("id")]
        assert kept == ["18.202.102.115", "1.2.3.4", "2001:db8::/32"]
        assert [networks.shown(network) for network in answer] == kept

    def test_takes_away_all_limits_with_no_entries(self, merchant, generated):
        self.set(merchant, generated, "192.0.2.1")
        assert self.set(merchant, generated) == []
        assert not generated.allowlist.exists()

    def test_waits_out_the_key_cache(self, merchant, generated, django_capture_on_commit_callbacks):
        waits = []
        with django_capture_on_commit_callbacks(execute=True):
            self.set(merchant, generated, "192.0.2.1", pause=waits.append)
        assert waits == [1.0]

    def test_refuses_the_first_bad_entry_by_name(self, merchant, generated):
        before = standing()
        with pytest.raises(networks.BadNetwork) as caught:
            self.set(merchant, generated, "10.0.0.1", "10.0.0.300", "rubbish")
        assert str(caught.value) == "“10.0.0.300” is not an IPv4 or IPv6 address or network."
        assert standing() == before

    @pytest.mark.parametrize("everywhere", ["0.0.0.0/0", "::/0", "::ffff:0:0/96"])
    def test_asks_before_it_allows_everywhere(self, merchant, generated, everywhere):
        before = standing()
        with pytest.raises(keys.AllowsEverywhere):
            self.set(merchant, generated, everywhere)
        assert standing() == before
        assert len(self.set(merchant, generated, everywhere, everywhere_confirmed=True)) == 1

    def test_refuses_more_than_256_entries(self, merchant, generated):
        before = standing()
        with pytest.raises(keys.TooManyEntries) as caught:
            self.set(merchant, generated, *(f"10.0.{n // 256}.{n % 256}" for n in range(5000)))
        assert str(caught.value) == "At most 256 addresses and networks; these are 5000."
        assert standing() == before

    def test_refuses_a_deactivated_key(self, merchant, generated):
        keys.deactivate(merchant=merchant, key_id=generated.pk, by=None, now=NOW)
        before = standing()
        with pytest.raises(keys.Deactivated):
            self.set(merchant, generated, "10.0.0.1")
        assert standing() == before

    def test_records_what_was_before_and_after(self, merchant, generated):
        self.set(merchant, generated, "192.0.2.1")
        self.set(merchant, generated, "192.0.2.2")
        record = AuditRecord.objects.order_by("-number").first()
        assert record.before == '{"allowlist":["192.0.2.1"]}'
        assert '"allowlist":["192.0.2.2"]' in record.after


class TestEndOverdue:
    def test_ends_the_older_key_when_the_rotation_is_over(self, merchant, active, rotated):
        assert keys.end_overdue(now=NOW + HOUR - timedelta(microseconds=1)) == 0
        assert keys.end_overdue(now=NOW + HOUR) == 1
        assert ApiKey.objects.get(pk=active.key.pk).state == "deactivated"
        assert ApiKey.objects.get(pk=rotated.key.pk).state == "active"
        assert keys.end_overdue(now=NOW + HOUR) == 0


class TestSigningKeyFor:
    def test_is_none_without_an_active_key(self, merchant, generated):
        assert keys.signing_key_for(merchant) is None

    def test_is_the_active_key(self, merchant, active):
        signing = keys.signing_key_for(merchant.pk)
        assert (signing.public_key, signing.secret) == (active.key.public_key, active.secret)
        assert active.secret not in repr(signing)

    def test_is_the_older_key_until_the_newer_ones_first_request(self, merchant, active, rotated):
        assert keys.signing_key_for(merchant).public_key == active.key.public_key
        ApiKey.objects.filter(pk=rotated.key.pk).update(first_used_at=NOW)
        assert keys.signing_key_for(merchant).public_key == rotated.key.public_key

    def test_is_the_newer_key_once_the_older_is_deactivated(self, merchant, active, rotated):
        keys.deactivate(merchant=merchant, key_id=active.key.pk, by=None, now=NOW)
        assert keys.signing_key_for(merchant).public_key == rotated.key.public_key
