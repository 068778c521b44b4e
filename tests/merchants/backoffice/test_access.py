"""The back-office's door: both factors, merchant and role; refusals say what is missing."""

from __future__ import annotations

import pytest
from django.test import Client

from merchants import clock
from merchants.models import AuditRecord, Membership
from merchants.roles import Role
from tests import desk, factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return factories.merchant()


class TestPage:
    def test_sends_strangers_to_the_sign_in_and_back(self, shop):
        answer = Client().get(f"/m/{shop.wire_id}/keys/?state=active")
        assert answer.status_code == 302
        assert answer["Location"] == f"/sign-in/?next=%2Fm%2F{shop.wire_id}%2Fkeys%2F%3Fstate%3Dactive"

    def test_is_closed_to_a_password_alone(self, shop):
        client = desk.sign_in(Client(), desk.person(shop), second_factor=False)
        assert client.get(f"/m/{shop.wire_id}/keys/")["Location"].startswith("/sign-in/")

    def test_of_another_merchant_looks_like_one_that_does_not_exist(self, shop):
        at = desk.desk(factories.merchant())
        other, missing = at.client.get(f"/m/{shop.wire_id}/keys/"), at.client.get("/m/2000000000/keys/")
        assert (other.status_code, missing.status_code) == (404, 404)
        assert other.content == missing.content

    def test_is_closed_to_a_restricted_member(self, shop):
        assert desk.desk(shop, Role.RESTRICTED).get("keys/").status_code == 404

    def test_names_the_missing_permission_and_who_has_it(self, shop):
        answer = desk.desk(shop, Role.VIEW).get("keys/")
        assert answer.status_code == 403
        assert b"See API keys and where they are used from" in answer.content
        assert b"It belongs to: Owner." in answer.content

    def test_audits_a_refused_try(self, shop):
        at = desk.desk(shop, Role.VIEW)
        at.get("keys/")
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.actor, record.merchant) == ("keys.view.refused", at.user, shop)

    def test_is_kept_by_no_cache(self, shop):
        assert "no-store" in desk.desk(shop).get("keys/")["Cache-Control"]

    def test_leaves_out_tabs_that_the_role_may_not_open(self, shop):
        assert b"/keys/" in desk.desk(shop).get("keys/").content
        assert b"/keys/" not in desk.desk(shop, Role.VIEW).get("balances/").content


class TestAct:
    def test_takes_no_wrong_code(self, shop):
        at = desk.desk(shop)
        answer = at.post("keys/generate/", code="000000" if desk.code_of(at.user) != "000000" else "000001")
        assert answer.status_code == 422
        assert b"This code is not right." in answer.content
        assert not shop.api_keys.exists()

    def test_takes_a_code_once(self, shop):
        at = desk.desk(shop)
        code = desk.code_of(at.user)
        assert at.post("keys/generate/", code=code).status_code == 302
        answer = at.post("keys/generate/", code=code)
        assert b"Wait for the next code." in answer.content
        assert shop.api_keys.count() == 1

    def test_demands_a_code(self, shop):
        answer = desk.desk(shop).post("keys/generate/", code="")
        assert b"Enter the six digits" in answer.content
        assert not shop.api_keys.exists()

    def test_audits_a_refused_act(self, shop):
        at = desk.desk(shop)
        at.post("keys/generate/", code="12")
        record = AuditRecord.objects.latest("number")
        assert (record.act, record.after) == ("keys.generate.refused", '{"reason":"WrongCode"}')

    def test_records_that_a_code_confirmed_it(self, shop):
        at = desk.desk(shop)
        at.post("keys/generate/")
        record = AuditRecord.objects.get(act="keys.generate")
        assert (record.second_factor, record.ip, record.actor) == (True, "127.0.0.1", at.user)

    def test_refuses_a_form_without_its_token(self, shop):
        user = desk.person(shop)
        client = desk.sign_in(Client(enforce_csrf_checks=True), user)
        answer = client.post(f"/m/{shop.wire_id}/keys/generate/", {"code": desk.code_of(user)})
        assert answer.status_code == 403
        assert not shop.api_keys.exists()


class TestHome:
    def test_is_the_only_merchant(self, shop):
        assert desk.desk(shop).client.get("/")["Location"].startswith(f"/m/{shop.wire_id}/")

    def test_is_a_choice_between_several(self, shop):
        at = desk.desk(shop)
        other = factories.merchant()
        now = clock.now()
        Membership.objects.create(merchant=other, user=at.user, role=Role.VIEW, settled_at=now, joined_at=now)
        page = at.client.get("/", follow=True).content.decode()
        assert shop.name in page
        assert other.name in page

    def test_says_what_to_do_without_a_team(self):
        client = desk.sign_in(Client(), desk.person())
        assert b"You are on no team" in client.get("/", follow=True).content
