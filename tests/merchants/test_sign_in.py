"""The sign-in that every door uses: both factors, nothing told to strangers, wrong tries that wait."""

from __future__ import annotations

import pytest

from merchants import accounts, recovery, throttle
from merchants.accounts import EnrolmentDue, NotRight, SignedIn
from merchants.models import AuditRecord, RecoveryCode, Throttle, TotpDevice
from tests.factories import NOW
from tests.merchants.conftest import code_of

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
HERE = "203.0.113.7"


@pytest.fixture
def device(owner):
    return TotpDevice.objects.get(user=owner)


def sign_in(**given):
    fields = {"email": "owner@shop.test", "password": PASSWORD, "code": "", "ip": HERE, "now": NOW}
    return accounts.sign_in(**fields | given)


def long_ago():
    Throttle.objects.update(last_at="2026-01-01T00:00:00Z")


class TestSignIn:
    def test_takes_both_factors_and_is_audited(self, owner, device):
        assert sign_in(email=" Owner@Shop.test", code=code_of(device)) == SignedIn(owner, device)
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.actor, record.ip, record.second_factor) == (
            "accounts.sign_in",
            owner,
            HERE,
            True,
        )

    @pytest.mark.parametrize(
        "wrong",
        [
            {"password": "wrong"},
            {"email": "nobody@shop.test"},
            {"code": "000000"},
            {"code": ""},
            {"code": "abcd-efgh-jkmn-pqrs"},
            {"operator": True},
            {"email": "nobody@shop.test\x01" * 20},
        ],
    )
    def test_says_the_same_of_whatever_is_wrong(self, owner, device, wrong):
        records = AuditRecord.objects.count()
        with pytest.raises(NotRight) as refusal:
            sign_in(**{"code": code_of(device)} | wrong)
        assert (str(refusal.value), refusal.value.field) == (
            "E-mail address, password or code is not right. A code works once: wait for the next one.",
            "error",
        )
        assert AuditRecord.objects.count() == records

    def test_spends_no_code_and_counts_none_against_the_person_on_a_wrong_password(self, owner, device):
        with pytest.raises(NotRight):
            sign_in(password="wrong", code="000000")
        kept = TotpDevice.objects.get()
        assert (kept.last_t, kept.throttling_failure_count) == (-1, 0)

    def test_does_not_tell_that_a_code_was_used(self, owner, device):
        code = code_of(device)
        sign_in(code=code)
        with pytest.raises(NotRight):
            sign_in(code=code)

    def test_refuses_who_may_not_sign_in(self, owner, device):
        owner.is_active = False
        owner.save(update_fields=["is_active"])
        with pytest.raises(NotRight):
            sign_in(code=code_of(device))

    def test_asks_who_has_no_authenticator_to_enrol(self, owner, device):
        device.delete()
        assert sign_in() == EnrolmentDue(owner)
        with pytest.raises(NotRight):
            sign_in(password="wrong")

    def test_counts_an_authenticator_that_was_never_confirmed_for_nothing(self, owner, device):
        TotpDevice.objects.update(confirmed=False)
        assert sign_in(code=code_of(device)) == EnrolmentDue(owner)


class TestByRecoveryCode:
    def test_takes_each_once_however_it_is_written(self, owner, device):
        first, second, *_ = recovery.renew(user=owner, now=NOW)
        assert sign_in(code=first) == SignedIn(owner, device, recovered=True)
        assert sign_in(code=f" {second.upper().replace('-', ' ')}") == SignedIn(owner, device, recovered=True)
        assert recovery.left(owner) == 8
        with pytest.raises(NotRight):
            sign_in(code=first)
        assert '"recovery_code":true' in AuditRecord.objects.latest("number").after

    def test_refuses_somebody_elses(self, owner, device):
        other = accounts.create(email="other@shop.test", now=NOW).user
        theirs = recovery.renew(user=other, now=NOW)[0]
        with pytest.raises(NotRight):
            sign_in(code=theirs)
        assert recovery.left(other) == 10

    def test_refuses_the_ones_before_the_latest(self, owner, device):
        old = recovery.renew(user=owner, now=NOW)[0]
        recovery.renew(user=owner, now=NOW)
        with pytest.raises(NotRight):
            sign_in(code=old)

    def test_keeps_no_code_that_could_be_read(self, owner):
        codes = recovery.renew(user=owner, now=NOW)
        kept = " ".join(RecoveryCode.objects.values_list("digest_ciphertext", flat=True))
        assert len(set(codes)) == 10
        assert not any(code in kept or code.replace("-", "") in kept for code in codes)


class TestThrottle:
    def test_lets_five_wrong_tries_pass_and_then_doubles_the_wait(self, owner, device):
        for _ in range(5):
            with pytest.raises(NotRight):
                sign_in(password="wrong")
        for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
            with pytest.raises(throttle.TooManyTries) as refusal:
                sign_in(code=code_of(device))
            assert str(refusal.value) == f"Too many tries. Try again in {seconds} s."
            Throttle.objects.update(last_at="2126-01-01T00:00:00Z")  # not yet forgotten, and over
            self.wait(seconds)
            with pytest.raises(NotRight):
                sign_in(password="wrong")

    def wait(self, seconds):
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE merchants_throttle SET last_at = now() - %s * interval '1 second'", [seconds]
            )

    def test_counts_an_account_that_does_not_exist_alike(self, owner):
        answers = []
        for email in ("owner@shop.test", "nobody@shop.test"):
            for number in range(6):
                with pytest.raises((NotRight, throttle.TooManyTries)) as refusal:
                    sign_in(email=email, password="wrong", ip=f"198.51.{number}.1")
                answers.append(str(refusal.value))
        assert answers[:6] == answers[6:]

    def test_forgets_an_account_that_signed_in(self, owner, device):
        for _ in range(5):
            with pytest.raises(NotRight):
                sign_in(password="wrong")
        self.wait(1)
        sign_in(code=code_of(device))
        assert list(Throttle.objects.values_list("kind", "failures")) == [("network", 5)]

    def test_forgets_after_an_hour_of_quiet(self, owner, device):
        for _ in range(5):
            with pytest.raises(NotRight):
                sign_in(password="wrong")
        long_ago()
        with pytest.raises(NotRight):
            sign_in(password="wrong")
        assert set(Throttle.objects.values_list("failures", flat=True)) == {1}
        long_ago()
        assert throttle.prune() == 2

    @pytest.mark.parametrize(
        ("ips", "others"),
        [
            (["198.51.100.1", "198.51.100.200"], "198.51.101.1"),
            (["2001:db8:1:2::1", "2001:db8:1:3::1"], "2001:db8:2::1"),
        ],
    )
    def test_slows_a_network_down_whoever_is_tried(self, owner, device, monkeypatch, ips, others):
        monkeypatch.setitem(throttle.LIMITS, "network", throttle.Limit(free=2, longest=900))
        for ip in ips:
            with pytest.raises(NotRight):
                sign_in(email=f"{ip}@b.test", ip=ip)
        with pytest.raises(throttle.TooManyTries):
            sign_in(code=code_of(device), ip=ips[0])
        assert sign_in(code=code_of(device), ip=others).user == owner

    def test_keeps_no_address(self, owner):
        with pytest.raises(NotRight):
            sign_in(password="wrong", ip=None)
        assert {len(bytes(one)) for one in Throttle.objects.values_list("subject", flat=True)} == {32}
