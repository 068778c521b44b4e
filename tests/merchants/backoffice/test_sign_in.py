"""The sign-in page: both factors at once, a new session, and no way out of the house by `next`."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client

from merchants import recovery
from merchants.models import SignedInSession, TotpDevice
from tests import desk, factories

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def person():
    return desk.person(factories.merchant())


def enter(client, person, *, to="", **given):
    fields = {"email": person.email, "password": PASSWORD, "code": desk.code_of(person)} | given
    query = f"?{urlencode({'next': to})}" if to else ""
    return client.post(f"/sign-in/{query}", fields)


class TestSignIn:
    def test_takes_both_factors_in_one_step(self, client, person):
        assert enter(client, person).status_code == 302
        assert client.session[SESSION_KEY] == str(person.pk)

    @pytest.mark.parametrize(
        "wrong", [{"password": "another"}, {"code": "000000"}, {"email": "nobody@shop.test"}, {"code": ""}]
    )
    def test_refuses_each_of_them_wrong(self, client, person, wrong):
        assert enter(client, person, **wrong).status_code == 422
        assert SESSION_KEY not in client.session

    def test_says_the_same_of_an_unknown_person_and_a_wrong_password(self, client, person):
        unknown = enter(client, person, email="nobody@shop.test")
        known = enter(client, person, password="another")
        sentence = b"E-mail address, password or code is not right."
        assert sentence in unknown.content
        assert sentence in known.content

    def test_spends_no_code_on_a_wrong_password(self, client, person):
        code = desk.code_of(person)
        enter(client, person, password="another", code=code)
        assert enter(client, person, code=code).status_code == 302

    def test_makes_who_tries_passwords_wait(self, client, person):
        for _ in range(5):
            enter(client, person, password="another")
        assert b"Too many tries. Try again in 1 s." in enter(client, person).content
        assert SESSION_KEY not in client.session

    def test_is_closed_behind_a_one_time_password_until_it_is_replaced(self, client, person):
        person.change_password(PASSWORD, temporary=True)
        enter(client, person)
        for page in ("/", "/merchants/", "/account/", "/account/email/"):
            assert client.get(page)["Location"] == "/account/password/"
        form = {"current": PASSWORD, "password": "my own long one", "repeat": "my own long one"}
        TotpDevice.objects.update(last_t=-1)
        assert client.post("/account/password/", form | {"code": desk.code_of(person)}).status_code == 302
        assert client.get("/account/").status_code == 200

    def test_begins_a_session_that_nobody_knew_before(self, client, person):
        session = client.session
        session["planted"] = "by a stranger"
        session.save()
        before = session.session_key
        enter(client, person)
        assert client.session.session_key != before

    def test_is_closed_to_who_may_not_sign_in(self, client, person):
        person.is_active = False
        person.save(update_fields=["is_active"])
        assert enter(client, person).status_code == 422

    def test_refuses_a_form_without_its_token(self, person):
        assert enter(Client(enforce_csrf_checks=True), person).status_code == 403

    def test_leads_back_to_our_own_page(self, client, person):
        assert enter(client, person, to="/m/11/keys/?state=active")["Location"] == "/m/11/keys/?state=active"

    @pytest.mark.parametrize(
        "to",
        [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example",
            "///evil.example",
            "javascript:alert(1)",
            "http:///evil.example",
            "\t//evil.example",
        ],
    )
    def test_leads_nowhere_else(self, client, person, to):
        assert enter(client, person, to=to)["Location"] == "/"


class TestByRecoveryCode:
    def test_leads_to_the_account_where_the_authenticator_is_replaced(self, client, person):
        code = recovery.renew(user=person, now=person.created_at)[0]
        form = {"email": person.email, "password": PASSWORD, "code": code}
        answer = client.post("/sign-in/recovery/", form)
        assert (answer.status_code, answer["Location"]) == (302, "/account/")
        assert client.get("/account/").status_code == 200
        again = Client().post("/sign-in/recovery/", form)
        assert b"E-mail address, password or code is not right." in again.content


class TestSignOut:
    def test_ends_the_session(self, client, person):
        enter(client, person)
        cookie = client.cookies["sessionid"].value
        assert client.post("/sign-out/").status_code == 302
        again = Client()
        again.cookies["sessionid"] = cookie
        assert again.get("/")["Location"].startswith("/sign-in/")
        assert not SignedInSession.objects.live().exists()

    def test_is_no_link(self, client, person):
        enter(client, person)
        assert client.get("/sign-out/").status_code == 405
        assert SESSION_KEY in client.session
