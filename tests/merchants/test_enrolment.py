"""Enrolment: an authenticator counts from its first code on; replacing or resetting one starts the day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from merchants import accounts, enrolment, mail, recovery, second_factor
from merchants.models import AuditRecord, Door, RecoveryCode, SignedInSession, TotpDevice, User
from tests import constraints
from tests.factories import NOW
from tests.merchants.conftest import code_of

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)


@pytest.fixture
def newcomer(owner):
    TotpDevice.objects.filter(user=owner).delete()
    return owner


def standing(user):
    return (
        list(TotpDevice.objects.order_by("id").values_list("pk", "confirmed")),
        list(RecoveryCode.objects.order_by("id").values_list("pk", flat=True)),
        User.objects.get(pk=user.pk).settled_at,
        AuditRecord.objects.count(),
    )


class TestStart:
    def test_shows_the_same_seed_until_it_is_confirmed(self, newcomer):
        first = enrolment.start(user=newcomer, now=NOW)
        assert not first.device.confirmed
        assert enrolment.start(user=newcomer, now=NOW + timedelta(minutes=59)).secret == first.secret
        assert first.secret not in repr(first)

    def test_takes_a_new_seed_after_an_hour(self, newcomer):
        first = enrolment.start(user=newcomer, now=NOW)
        assert enrolment.start(user=newcomer, now=NOW + timedelta(hours=1)).secret != first.secret
        assert TotpDevice.objects.count() == 1


class TestConfirm:
    def test_makes_it_count_and_gives_ten_recovery_codes(self, newcomer):
        device = enrolment.start(user=newcomer, now=NOW).device
        made = enrolment.confirm(user=newcomer, code=code_of(device), now=NOW, ip="203.0.113.7")
        assert (made.device, made.device.confirmed, len(made.recovery_codes)) == (device, True, 10)
        assert made.recovery_codes[0] not in repr(made)
        assert (recovery.left(newcomer), AuditRecord.objects.latest("number").act) == (10, "accounts.enrol")
        assert accounts.is_settled(newcomer, NOW)
        with pytest.raises(second_factor.UsedCode):
            second_factor.confirm(user=newcomer, code=code_of(device), now=NOW)

    def test_refuses_a_wrong_code_and_makes_the_next_one_wait(self, newcomer):
        enrolment.start(user=newcomer, now=NOW)
        before = standing(newcomer)
        with pytest.raises(second_factor.WrongCode):
            enrolment.confirm(user=newcomer, code="", now=NOW)
        with pytest.raises(second_factor.TooManyCodes):
            enrolment.confirm(user=newcomer, code="", now=NOW)
        assert standing(newcomer) == before

    def test_refuses_where_nothing_was_started(self, newcomer):
        with pytest.raises(enrolment.NoEnrolment):
            enrolment.confirm(user=newcomer, code="123456", now=NOW)

    def test_replaces_the_former_one_and_starts_the_day(self, owner):
        SignedInSession.objects.create(user=owner, door=Door.BACKOFFICE)
        old = recovery.renew(user=owner, now=NOW)
        device = enrolment.start(user=owner, now=NOW).device
        enrolment.confirm(user=owner, code=code_of(device), now=NOW)
        assert list(TotpDevice.objects.values_list("pk", flat=True)) == [device.pk]
        assert not recovery.spend(user=owner, code=old[0], now=NOW)
        assert not SignedInSession.objects.live().exists()
        after = User.objects.get(pk=owner.pk)
        assert (accounts.is_settled(after, NOW), accounts.is_settled(after, NOW + DAY)) == (False, True)
        assert AuditRecord.objects.latest("number").act == "accounts.replace_authenticator"
        assert mail.recent(now=NOW)[0].subject == "Your authenticator was replaced"


class TestProve:
    def test_takes_the_present_authenticator_or_a_recovery_code(self, owner):
        enrolment.prove(user=owner, code=code_of(TotpDevice.objects.get()), now=NOW)
        code = recovery.renew(user=owner, now=NOW)[0]
        enrolment.prove(user=owner, code=code, now=NOW)
        with pytest.raises(second_factor.WrongCode):
            enrolment.prove(user=owner, code=code, now=NOW)
        assert recovery.left(owner) == 9


class TestRegenerate:
    def test_replaces_the_codes_and_is_audited(self, owner):
        first = enrolment.regenerate(user=owner, now=NOW)
        second = enrolment.regenerate(user=owner, now=NOW, second_factor=True)
        assert not set(first) & set(second)
        assert recovery.left(owner) == 10
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.second_factor, record.after) == (
            "accounts.renew_recovery_codes",
            True,
            '{"codes":10}',
        )


class TestReset:
    def test_takes_everything_away_and_starts_the_day(self, owner):
        operator = User.objects.create_user(email="op@bursar.test", is_operator=True)
        SignedInSession.objects.create(user=owner, door=Door.BACKOFFICE)
        recovery.renew(user=owner, now=NOW)
        enrolment.reset(user=owner, by=operator, now=NOW, ip="203.0.113.7", second_factor=True)
        assert not TotpDevice.objects.filter(user=owner).exists()
        assert recovery.left(owner) == 0
        assert not SignedInSession.objects.live().exists()
        after = User.objects.get(pk=owner.pk)
        assert (accounts.is_settled(after, NOW), accounts.is_settled(after, NOW + DAY)) == (False, True)
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.actor, record.before) == (
            "accounts.reset_factor",
            operator,
            '{"authenticators":1}',
        )
        assert mail.recent(now=NOW)[0].subject == "Your second factor was reset"


class TestTheDevice:
    def test_is_slowed_down_and_never_locked_for_good(self, owner):
        device = TotpDevice.objects.get()
        for _ in range(40):
            device.throttle_increment()
        allowed, waiting = device.verify_is_allowed()
        assert not allowed
        longest = waiting["locked_until"] - device.throttling_failure_timestamp
        assert longest == timedelta(seconds=512)

    def test_has_recovery_codes_with_a_digest_past_python(self, owner):
        recovery.renew(user=owner, now=NOW)
        constraints.refused(
            "recovery_code_has_a_digest", "UPDATE merchants_recoverycode SET digest_ciphertext = ''"
        )
