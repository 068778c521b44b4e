"""A person's own pages: invitation, enrolment, sessions, password and address, and what each refuses."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp

from merchants import accounts, clock, invitations, mail, recovery
from merchants.models import (
    AuditRecord,
    Membership,
    OneTimeLink,
    RecoveryCode,
    SignedInSession,
    TotpDevice,
    User,
)
from merchants.roles import Role
from tests import desk, factories

pytestmark = pytest.mark.django_db
PASSWORD, NEW = "correct horse battery", "another long enough one"


@pytest.fixture
def shop():
    return factories.merchant()


@pytest.fixture
def person(shop):
    return desk.person(shop)


@pytest.fixture
def client(person):
    return desk.sign_in(Client(), person)


def latest_link():
    """The path in the latest letter."""
    return re.search(r"http://127.0.0.1:8000(/\S+)", mail.recent(now=clock.now())[0].text)[1]


def waiting_code():
    """What the new phone shows."""
    return f"{totp(TotpDevice.objects.get(confirmed=False).seed()):06d}"


@pytest.fixture
def invited(shop, person):
    """The path of an invitation for somebody new."""
    invitations.invite(merchant=shop, email="ann@shop.test", role=Role.VIEW, by=person, now=clock.now())
    return latest_link()


class TestInvitation:
    def test_leads_from_the_mail_to_the_merchant(self, shop, invited):
        newcomer = Client()
        page = newcomer.get(invited)
        assert f"Join {shop.name}" in page.content.decode()
        assert "no-store" in page["Cache-Control"]
        answer = newcomer.post(invited, {"password": PASSWORD, "repeat": PASSWORD})
        assert answer["Location"] == "/enrol/"
        assert newcomer.get("/account/")["Location"].startswith("/sign-in/")
        shown = newcomer.get("/enrol/").content.decode()
        secret = TotpDevice.objects.get(confirmed=False).secret_for_people()
        assert "<svg" in shown
        assert f'data-value="{secret}"' in shown
        done = newcomer.post("/enrol/", {"code": waiting_code()})
        assert (
            len(re.findall(r"<li><code>[a-z0-9]{4}(-[a-z0-9]{4}){3}</code></li>", done.content.decode()))
            == 10
        )
        assert "no-store" in done["Cache-Control"]
        assert newcomer.get(f"/m/{shop.wire_id}/balances/").status_code == 200

    def test_shows_key_and_codes_to_nobody_afterwards(self, invited):
        newcomer = Client()
        newcomer.post(invited, {"password": PASSWORD, "repeat": PASSWORD})
        newcomer.get("/enrol/")
        newcomer.post("/enrol/", {"code": waiting_code()})
        for answer in (newcomer.get("/enrol/"), newcomer.post("/enrol/", {"code": "123456"})):
            assert (answer.status_code, answer["Location"]) == (302, "/")
        assert newcomer.get(invited).status_code == 404
        held = str(dict(newcomer.session.items()))
        assert TotpDevice.objects.order_by("-id").first().secret_for_people() not in held

    @pytest.mark.parametrize(
        ("form", "sentence"),
        [
            ({"password": "short", "repeat": "short"}, "at least 12 characters"),
            ({"password": PASSWORD, "repeat": NEW}, "This is not what you typed above."),
            ({"password": "", "repeat": ""}, "This field is required."),
        ],
    )
    def test_refuses_a_password_at_its_field(self, invited, form, sentence):
        answer = Client().post(invited, form)
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
        assert not User.objects.filter(email="ann@shop.test").exists()

    def test_joins_who_has_an_account_once_they_are_signed_in(self, shop, invited):
        ann = accounts.create(email="ann@shop.test", password=PASSWORD, now=clock.now()).user
        assert "sign in to join" in Client().get(invited).content.decode()
        theirs = desk.sign_in(Client(), ann)
        assert "Join the team" in theirs.get(invited).content.decode()
        assert theirs.post(invited)["Location"] == f"/m/{shop.wire_id}/balances/"
        assert Membership.objects.get(user=ann).role == "view"

    def test_tells_somebody_else_whose_it_is_and_takes_them_nowhere(self, client, invited):
        assert "You are signed in as" in client.get(invited).content.decode()
        client.post(invited)
        assert not User.objects.filter(email="ann@shop.test").exists()

    @pytest.mark.parametrize("path", ["/invitation/x/", "/password/x/"])
    def test_of_no_use_says_so(self, path):
        for answer in (Client().get(path), Client().post(path)):
            assert answer.status_code == 404
            assert "This link does not work" in answer.content.decode()


class TestEnrolment:
    @pytest.fixture
    def halfway(self, person):
        """A browser that has shown the password of somebody without an authenticator."""
        TotpDevice.objects.all().delete()
        browser = Client()
        form = {"email": person.email, "password": PASSWORD, "code": ""}
        assert browser.post("/sign-in/", form)["Location"] == "/enrol/"
        return browser

    def test_is_asked_for_at_the_sign_in_and_opens_nothing_before(self, halfway):
        assert SESSION_KEY not in halfway.session
        assert halfway.get("/merchants/")["Location"].startswith("/sign-in/")

    def test_refuses_a_wrong_code_at_its_field_and_shows_the_same_key(self, halfway):
        halfway.get("/enrol/")
        secret = TotpDevice.objects.get().secret_for_people()
        answer = halfway.post("/enrol/", {"code": "12345"})
        assert answer.status_code == 422
        assert "This code is not right." in answer.content.decode()
        assert secret in answer.content.decode()
        assert not TotpDevice.objects.get().confirmed

    def test_is_over_after_a_quarter_of_an_hour(self, halfway):
        session = halfway.session
        session["enrolling_since"] -= 901
        session.save()
        assert halfway.get("/enrol/")["Location"] == "/"

    def test_is_over_once_somebody_has_an_authenticator(self, halfway, person):
        halfway.get("/enrol/")
        accounts.enrol(user=person, now=clock.now())
        assert halfway.get("/enrol/")["Location"] == "/"
        assert halfway.post("/enrol/", {"code": waiting_code()})["Location"] == "/"
        assert TotpDevice.objects.filter(confirmed=True).count() == 1


class TestOverview:
    def test_shows_where_one_is_signed_in_and_signs_out_elsewhere(self, client, person):
        other = desk.sign_in(Client(), person)
        shown = client.get("/account/").content.decode()
        assert shown.count('data-label="Signed in"') == 2
        assert shown.count("This one") == 1
        theirs = SignedInSession.objects.latest("id")
        assert client.post(f"/account/sessions/{theirs.pk}/").status_code == 302
        assert other.get("/account/")["Location"].startswith("/sign-in/")
        assert "has ended already" in client.post(f"/account/sessions/{theirs.pk}/").content.decode()

    def test_ends_nobody_elses_session(self, client, shop):
        stranger = desk.sign_in(Client(), desk.person(shop))
        theirs = SignedInSession.objects.latest("id")
        assert client.post(f"/account/sessions/{theirs.pk}/").status_code == 422
        assert stranger.get("/account/").status_code == 200

    def test_signs_out_everywhere_else_at_once(self, client, person):
        others = [desk.sign_in(Client(), person) for _ in range(2)]
        client.post("/account/sessions/others/")
        assert {one.get("/account/").status_code for one in others} == {302}
        assert client.get("/account/").status_code == 200

    def test_says_how_few_recovery_codes_are_left(self, client, person):
        assert "You have no recovery codes." in client.get("/account/").content.decode()
        recovery.renew(user=person, now=clock.now())
        kept = RecoveryCode.objects.values_list("pk", flat=True)[:7]
        RecoveryCode.objects.filter(pk__in=list(kept)).update(used_at=clock.now())
        assert "Only 3 recovery codes left." in client.get("/account/").content.decode()


class TestChangingThePassword:
    def change(self, client, person, **given):
        form = {"current": PASSWORD, "password": NEW, "repeat": NEW, "code": desk.code_of(person)}
        return client.post("/account/password/", form | given)

    def test_signs_out_the_others_and_not_oneself_under_a_new_session_id(self, client, person):
        other, before = desk.sign_in(Client(), person), client.session.session_key
        assert self.change(client, person)["Location"] == "/account/"
        assert client.get("/account/").status_code == 200
        assert client.session.session_key != before
        assert other.get("/account/").status_code == 302

    def test_sent_twice_counts_once_and_signs_nobody_out(self, client, person):
        twin, code = Client(), desk.code_of(person)
        twin.cookies["sessionid"] = client.cookies["sessionid"].value
        client.post("/account/recovery-codes/", {"code": code})
        answer = twin.post("/account/recovery-codes/", {"code": code})
        assert "Wait for the next code." in answer.content.decode()
        assert "sessionid" not in answer.cookies
        assert client.get("/account/").status_code == 200
        old = Session.objects.get(session_key=twin.cookies["sessionid"].value)
        assert old.expire_date <= timezone.now() + timedelta(seconds=10)

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({"current": "wrong"}, "This is not your current password."),
            ({"repeat": "x"}, "This is not what you typed above."),
            ({"password": "short", "repeat": "short"}, "at least 12 characters"),
            ({"code": ""}, "Enter the six digits"),
            ({"code": "12345"}, "This code is not right."),
        ],
    )
    def test_refuses_at_the_field(self, client, person, given, sentence):
        before = User.objects.get(pk=person.pk).password
        answer = self.change(client, person, **given)
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
        assert User.objects.get(pk=person.pk).password == before

    def test_audits_a_refused_try(self, client, person):
        self.change(client, person, current="wrong")
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.actor, record.after) == (
            "accounts.change_password.refused",
            person,
            '{"reason":"WrongPassword"}',
        )


class TestForgottenPassword:
    def test_answers_alike_whoever_is_asked_for(self, person):
        known = Client().post("/password/", {"email": person.email}).content.decode()
        unknown = Client().post("/password/", {"email": "nobody@shop.test"}).content.decode()
        assert known.replace(person.email, "x") == unknown.replace("nobody@shop.test", "x")
        assert OneTimeLink.objects.count() == 1

    def test_is_replaced_by_the_link_whatever_host_the_request_named(self, client, person, settings):
        settings.ALLOWED_HOSTS = ["*"]
        Client().post("/password/", {"email": person.email}, HTTP_HOST="evil.example")
        link = latest_link()
        assert "evil.example" not in mail.recent(now=clock.now())[0].text
        assert Client().get(link).status_code == 200
        assert Client().post(link, {"password": "short", "repeat": "short"}).status_code == 422
        done = Client().post(link, {"password": NEW, "repeat": NEW})
        assert "Your password is changed" in done.content.decode()
        assert client.get("/account/").status_code == 302
        assert Client().post(link, {"password": NEW, "repeat": NEW}).status_code == 404
        browser = Client()
        form = {"email": person.email, "password": NEW, "code": desk.code_of(person)}
        assert browser.post("/sign-in/", form).status_code == 302
        assert "you cannot make or approve withdrawals" in browser.get("/account/").content.decode()


class TestChangingTheAddress:
    def test_takes_a_code_and_the_link_in_the_mail(self, client, person):
        asked = client.post("/account/email/", {"email": "new@shop.test", "code": desk.code_of(person)})
        assert asked["Location"] == "/account/"
        link = latest_link()
        assert Client().get(link)["Location"].startswith("/sign-in/")
        assert "new@shop.test" in client.get(link).content.decode()
        stranger = desk.sign_in(Client(), desk.person())
        assert stranger.get(link).status_code == 404
        assert stranger.post(link).status_code == 404
        assert client.post(link)["Location"] == "/account/"
        assert User.objects.get(pk=person.pk).email == "new@shop.test"
        assert client.get("/account/").status_code == 200
        assert client.get(link).status_code == 404

    def test_refuses_a_wrong_code(self, client):
        answer = client.post("/account/email/", {"email": "new@shop.test", "code": "12345"})
        assert "This code is not right." in answer.content.decode()
        assert not OneTimeLink.objects.exists()


class TestRecoveryCodes:
    def test_are_shown_once_for_a_fresh_code(self, client, person):
        answer = client.post("/account/recovery-codes/", {"code": desk.code_of(person)})
        assert answer.content.decode().count("<li><code>") == 10
        assert "no-store" in answer["Cache-Control"]
        assert recovery.left(person) == 10
        assert "<li><code>" not in client.get("/account/recovery-codes/").content.decode()

    def test_are_left_alone_by_a_wrong_code(self, client, person):
        assert client.post("/account/recovery-codes/", {"code": "12345"}).status_code == 422
        assert recovery.left(person) == 0


class TestReplacingTheAuthenticator:
    def test_takes_the_present_one_then_the_new_one(self, client, person):
        old = TotpDevice.objects.get().pk
        assert client.get("/account/authenticator/scan/")["Location"] == "/account/authenticator/"
        answer = client.post("/account/authenticator/", {"code": desk.code_of(person)})
        assert answer["Location"] == "/account/authenticator/scan/"
        assert "<svg" in client.get("/account/authenticator/scan/").content.decode()
        done = client.post("/account/authenticator/scan/", {"code": waiting_code()})
        assert done.content.decode().count("<li><code>") == 10
        assert TotpDevice.objects.get().pk != old
        assert client.get("/account/").status_code == 200
        assert client.get("/account/authenticator/scan/")["Location"] == "/account/authenticator/"

    def test_takes_a_recovery_code_where_the_present_one_is_lost(self, client, person):
        code = recovery.renew(user=person, now=clock.now())[0]
        assert client.post("/account/authenticator/", {"code": code}).status_code == 302
        assert client.post("/account/authenticator/", {"code": code}).status_code == 422

    def test_shows_no_key_for_a_wrong_code(self, client):
        assert client.post("/account/authenticator/", {"code": "12345"}).status_code == 422
        assert client.get("/account/authenticator/scan/").status_code == 302
        assert not TotpDevice.objects.filter(confirmed=False).exists()


class TestMailbox:
    def test_shows_the_sandboxs_letters_with_their_links(self, client, invited):
        shown = client.get("/mailbox/").content.decode()
        assert "To ann@shop.test" in shown
        assert f'href="http://127.0.0.1:8000{invited}"' in shown

    def test_is_not_there_in_production(self, client, invited, settings):
        settings.PRODUCTION = True
        assert client.get("/mailbox/").status_code == 404
