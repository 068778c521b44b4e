"""Passwords and e-mail addresses: changed by their owner, reset by mail; each change tells and unsettles."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from merchants import accounts, emails, links, mail, passwords, throttle
from merchants.models import AuditRecord, Door, MailMessage, OneTimeLink, SignedInSession, User
from tests import constraints
from tests.factories import NOW

pytestmark = pytest.mark.django_db
PASSWORD, NEW = "correct horse battery", "another long enough one"
DAY, HOUR = timedelta(hours=24), timedelta(hours=1)


@pytest.fixture
def here(owner):
    return SignedInSession.objects.create(user=owner, door=Door.BACKOFFICE)


@pytest.fixture
def elsewhere(owner):
    return SignedInSession.objects.create(user=owner, door=Door.OPERATOR)


def live():
    return set(SignedInSession.objects.live().values_list("pk", flat=True))


def token(kind="password"):
    return re.search(rf"/{kind}/([\w-]{{43}})/", mail.recent(now=NOW)[0].text)[1]


def standing(owner):
    fresh = User.objects.get(pk=owner.pk)
    return fresh.password, fresh.email, fresh.settled_at, live(), AuditRecord.objects.count()


def change(owner, here, **given):
    fields = {"current": PASSWORD, "new": NEW, "keep": here.pk, "now": NOW, "ip": "203.0.113.7"}
    passwords.change(user=owner, **fields | given)


class TestChange:
    def test_ends_the_other_sessions_and_tells_by_mail(self, owner, here, elsewhere):
        change(owner, here, second_factor=True)
        assert User.objects.get(pk=owner.pk).check_password(NEW)
        assert live() == {here.pk}
        assert mail.recent(now=NOW)[0].subject == "Your password was changed"
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.second_factor) == ("accounts.change_password", True)
        assert accounts.is_settled(owner, NOW)

    @pytest.mark.parametrize(
        ("given", "refusal", "field"),
        [
            ({"current": "wrong"}, passwords.WrongPassword, "current"),
            ({"new": "short"}, passwords.BadPassword, "password"),
            ({"new": PASSWORD}, passwords.SamePassword, "password"),
        ],
    )
    def test_refuses(self, owner, here, elsewhere, given, refusal, field):
        before = standing(owner)
        with pytest.raises(refusal) as caught:
            change(owner, here, **given)
        assert caught.value.field == field
        assert standing(owner) == before

    def test_makes_who_guesses_the_current_one_wait(self, owner, here):
        for _ in range(5):
            with pytest.raises(passwords.WrongPassword):
                change(owner, here, current="wrong")
        with pytest.raises(throttle.TooManyTries):
            change(owner, here)
        assert User.objects.get(pk=owner.pk).check_password(PASSWORD)


class TestReset:
    def ask(self, email="Owner@shop.test"):
        passwords.ask_reset(email=email, ip="203.0.113.7", now=NOW)

    def test_is_mailed_to_whoever_has_the_address_and_says_nothing_of_others(self, owner):
        self.ask("nobody@shop.test")
        assert not MailMessage.objects.exists()
        self.ask()
        assert mail.recent(now=NOW)[0].to == "owner@shop.test"
        assert passwords.find_reset(token=token(), now=NOW) == owner

    def test_is_not_mailed_to_who_may_not_sign_in(self, owner):
        User.objects.update(is_active=False)
        self.ask()
        assert not MailMessage.objects.exists()

    def test_changes_the_password_ends_every_session_and_starts_the_day(self, owner, here, elsewhere):
        self.ask()
        assert passwords.reset(token=token(), password=NEW, now=NOW) == owner
        after = User.objects.get(pk=owner.pk)
        assert after.check_password(NEW)
        assert (accounts.is_settled(after, NOW + DAY - timedelta(seconds=1)), live()) == (False, set())
        assert accounts.is_settled(after, NOW + DAY)
        told = mail.recent(now=NOW)[0]
        assert (told.subject, "withdrawals before 5 May 2026, 12:00 UTC" in told.text) == (
            "Your password was reset",
            True,
        )
        assert AuditRecord.objects.latest("number").act == "accounts.reset_password"

    def test_works_once_for_an_hour_and_by_the_latest_link(self, owner):
        self.ask()
        older = token()
        self.ask()
        for odd, moment in ((older, NOW), (token(), NOW + HOUR), ("", NOW), ("é" * 43, NOW)):
            with pytest.raises(links.NoSuchLink):
                passwords.reset(token=odd, password=NEW, now=moment)
        latest = token()
        passwords.reset(token=latest, password=NEW, now=NOW)
        before = standing(owner)
        with pytest.raises(links.NoSuchLink):
            passwords.reset(token=latest, password="a third long one", now=NOW)
        assert standing(owner) == before

    def test_refuses_a_weak_password_and_keeps_the_link(self, owner):
        self.ask()
        before = standing(owner)
        with pytest.raises(passwords.BadPassword):
            passwords.reset(token=token(), password="password", now=NOW)
        assert standing(owner) == before
        passwords.reset(token=token(), password=NEW, now=NOW)

    def test_is_throttled(self, owner):
        for _ in range(5):
            self.ask()
        with pytest.raises(throttle.TooManyTries):
            self.ask()
        assert MailMessage.objects.count() == 5


class TestChangingTheAddress:
    def ask(self, owner, email="New@shop.test"):
        emails.ask_change(user=owner, email=email, now=NOW)

    def test_is_proved_by_the_new_one_told_to_the_old_one_and_starts_the_day(self, owner, here, elsewhere):
        self.ask(owner)
        assert mail.recent(now=NOW)[0].to == "new@shop.test"
        emails.change(token=token("email"), user=owner, keep=here.pk, now=NOW)
        after = User.objects.get(pk=owner.pk)
        assert (after.email, accounts.is_settled(after, NOW), live()) == ("new@shop.test", False, {here.pk})
        assert mail.recent(now=NOW)[0].to == "owner@shop.test"
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.before) == ("accounts.change_email", '{"email":"owner@shop.test"}')

    @pytest.mark.parametrize(
        ("email", "refusal"), [("owner@shop.test", emails.SameEmail), ("x", emails.BadEmail)]
    )
    def test_refuses(self, owner, email, refusal):
        before = standing(owner)
        with pytest.raises(refusal):
            self.ask(owner, email)
        assert standing(owner) == before

    def test_refuses_an_address_that_somebody_took_meanwhile(self, owner):
        self.ask(owner)
        accounts.create(email="new@shop.test", now=NOW)
        before = standing(owner)
        with pytest.raises(emails.EmailTaken):
            emails.change(token=token("email"), user=owner, now=NOW)
        assert standing(owner) == before

    def test_refuses_somebody_elses_link_and_one_for_another_purpose(self, owner):
        other = accounts.create(email="other@shop.test", now=NOW).user
        self.ask(owner)
        with pytest.raises(links.NoSuchLink):
            emails.change(token=token("email"), user=other, now=NOW)
        with pytest.raises(links.NoSuchLink):
            passwords.reset(token=token("email"), password=NEW, now=NOW)
        assert User.objects.get(pk=owner.pk).email == "owner@shop.test"


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("purpose = 'x'", "one_time_link_purpose_is_known"),
            ("email = 'a@b.test'", "one_time_link_names_the_new_address"),
            ("purpose = 'change_email'", "one_time_link_names_the_new_address"),
            ("expires_at = created_at", "one_time_link_ends"),
        ],
    )
    def test_refuses(self, owner, change, constraint):
        links.make(user=owner, purpose="reset_password", now=NOW)
        constraints.refused(constraint, f"UPDATE merchants_onetimelink SET {change}")

    def test_refuses_two_links_for_one_purpose(self, owner):
        links.make(user=owner, purpose="reset_password", now=NOW)
        constraints.refused(
            "one_time_link_is_the_latest",
            "INSERT INTO merchants_onetimelink"
            " (user_id, purpose, email, token_digest, created_at, expires_at)"
            " SELECT user_id, purpose, email, 'x', created_at, expires_at FROM merchants_onetimelink",
        )
        assert OneTimeLink.objects.count() == 1
