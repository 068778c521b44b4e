"""The operator admin: entered with a second factor alone, every change audited, no secret anywhere."""

from __future__ import annotations

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client

from merchants import accounts, team
from merchants.admin import operator_site
from merchants.models import (
    ApiKey,
    AuditRecord,
    Invitation,
    MailMessage,
    Membership,
    Merchant,
    TotpDevice,
    User,
)
from merchants.roles import Role
from merchants.sessions import OPERATOR_COOKIE
from tests import factories
from tests.factories import NOW
from tests.merchants.conftest import code_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.merchants.urls")]
PASSWORD = "correct horse battery"
SIGN_IN = "/operator/login/"


@pytest.fixture
def operator():
    return accounts.create(email="op@bursar.test", password=PASSWORD, is_operator=True, now=NOW)


@pytest.fixture
def client(operator):
    return Client()


@pytest.fixture
def inside(client, operator):
    answer = sign_in(client, operator)
    assert answer.status_code == 302
    return client


def sign_in(client, account, **changes):
    fields = {
        "username": account.user.email,
        "password": PASSWORD,
        "code": code_of(account.enrolment.device),
        "next": "/operator/",
    }
    return client.post(SIGN_IN, fields | changes)


def fresh(account):
    """The next code, its time having come."""
    TotpDevice.objects.filter(user=account.user).update(last_t=-1)
    return code_of(account.enrolment.device)


def last_record():
    return AuditRecord.objects.order_by("-number").first()


class TestSigningIn:
    def test_takes_password_and_code_in_one_step(self, client, operator):
        answer = sign_in(client, operator)
        assert (answer.status_code, answer["Location"]) == (302, "/operator/")
        assert client.get("/operator/").status_code == 200

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("code", "000000", "E-mail address, password or code is not right."),
            ("code", "", "This field is required."),
            ("password", "wrong", "E-mail address, password or code is not right."),
            ("username", "nobody@bursar.test", "E-mail address, password or code is not right."),
        ],
    )
    def test_refuses_each_of_them_wrong(self, client, operator, field, value, sentence):
        answer = sign_in(client, operator, **{field: value})
        assert answer.status_code == 200
        assert sentence in answer.content.decode()
        assert SESSION_KEY not in client.session
        assert client.get("/operator/").status_code == 302

    def test_spends_no_code_on_a_wrong_password(self, client, operator):
        sign_in(client, operator, password="wrong")
        assert TotpDevice.objects.get().last_t == -1
        assert sign_in(client, operator).status_code == 302

    def test_says_the_same_whatever_was_wrong(self, client, operator):
        sign_in(client, operator)
        wrong = [{}, {"password": "wrong"}, {"username": "nobody@bursar.test"}]  # {}: the code is used
        told = set()
        for changes in wrong:
            page = sign_in(Client(), operator, **changes).content.decode()
            told.add(page.split('class="errornote">')[1].split("<")[0])
        assert told == {
            "E-mail address, password or code is not right. A code works once: wait for the next one."
        }

    def test_makes_who_tries_passwords_wait(self, client, operator):
        for _ in range(5):
            sign_in(client, operator, password="wrong")
        answer = sign_in(client, operator)
        assert "Too many tries. Try again in 1 s." in answer.content.decode()
        assert TotpDevice.objects.get().last_t == -1

    def test_refuses_who_has_no_authenticator_and_says_where_it_is_made(self, client, operator):
        TotpDevice.objects.all().delete()
        answer = sign_in(client, operator, code="000000")
        assert "sign in at the back-office once" in answer.content.decode()
        assert SESSION_KEY not in client.session

    def test_with_a_one_time_password_opens_the_page_that_replaces_it_alone(self, client):
        made = accounts.create(email="new@bursar.test", is_operator=True, now=NOW)
        sign_in(client, made, password=made.password)
        change = "/operator/password_change/"
        assert client.get("/operator/")["Location"] == change
        assert client.get("/operator/merchants/user/")["Location"] == change
        assert client.get(change).status_code == 200
        form = {"old_password": made.password, "new_password1": "my own long one", "code": fresh(made)}
        assert client.post(change, form | {"new_password2": "my own long one"}).status_code == 302
        assert client.get("/operator/").status_code == 200

    def test_refuses_who_is_no_operator(self, client, merchant):
        person = accounts.create(email="owner@shop.test", password=PASSWORD, now=NOW)
        team.add(merchant=merchant, user=person.user, role=Role.OWNER, now=NOW)
        assert sign_in(client, person).status_code == 200
        assert TotpDevice.objects.get(user=person.user).last_t == -1
        assert client.get("/operator/").status_code == 302

    def test_refuses_a_session_without_a_second_factor(self, client, operator):
        client.force_login(operator.user)
        assert client.get("/operator/").status_code == 302

    @pytest.mark.parametrize("model", list(operator_site._registry), ids=lambda model: model.__name__)
    def test_is_asked_for_on_every_page(self, client, model):
        path = f"/operator/{model._meta.app_label}/{model._meta.model_name}/"
        for page in (path, f"{path}add/", f"{path}1/change/", f"{path}1/delete/", f"{path}1/history/"):
            answer = client.get(page)
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, SIGN_IN)


class TestTheSession:
    def test_lives_in_a_cookie_of_its_own(self, inside):
        cookie = inside.cookies[OPERATOR_COOKIE]
        assert (cookie["path"], cookie["samesite"]) == ("/operator/", "Strict")
        assert cookie["httponly"]
        assert "sessionid" not in inside.cookies

    def test_is_worth_nothing_under_the_other_doors_name(self, inside):
        stranger = Client()
        stranger.cookies["sessionid"] = inside.cookies[OPERATOR_COOKIE].value
        assert stranger.get("/operator/").status_code == 302

    def test_ends_with_signing_out(self, inside):
        inside.post("/operator/logout/")
        assert inside.cookies[OPERATOR_COOKIE].value == ""
        assert inside.get("/operator/").status_code == 302


class TestChangingOnesPassword:
    def change(self, inside, account, **changes):
        form = {
            "old_password": account.password,
            "new_password1": "another long enough one",
            "new_password2": "another long enough one",
            "code": code_of(account.enrolment.device, steps=1),
        }
        return inside.post("/operator/password_change/", form | changes)

    def test_takes_a_code_of_its_own_and_is_audited(self, inside, operator):
        assert self.change(inside, operator).status_code == 302
        operator.user.refresh_from_db()
        assert operator.user.check_password("another long enough one")
        assert (last_record().act, last_record().actor) == ("accounts.change_password", operator.user)
        assert inside.get("/operator/").status_code == 200

    @pytest.mark.parametrize("wrong", [{"code": "000000"}, {"code": ""}, {"old_password": "no"}])
    def test_refuses_anything_less(self, inside, operator, wrong):
        assert self.change(inside, operator, **wrong).status_code == 200
        operator.user.refresh_from_db()
        assert operator.user.check_password(operator.password)


class TestMerchants:
    def test_have_a_page_to_make_them(self, inside):
        page = inside.get("/operator/merchants/merchant/add/")
        assert (page.status_code, "client_id" in page.content.decode()) == (200, False)

    def test_are_made_and_changed_with_an_audit_record_each(self, inside, operator):
        fields = {"name": "My Shop", "public_name": "My Shop Ltd"}
        assert inside.post("/operator/merchants/merchant/add/", fields).status_code == 302
        merchant = Merchant.objects.get()
        assert (last_record().act, last_record().actor) == ("operator.merchant.add", operator.user)
        path = f"/operator/merchants/merchant/{merchant.pk}/change/"
        inside.post(path, fields | {"name": "Our Shop"}, REMOTE_ADDR="203.0.113.7")
        record = last_record()
        assert (record.act, record.merchant, record.ip, record.second_factor) == (
            "operator.merchant.change", merchant, "203.0.113.7", True,
        )  # fmt: skip
        assert '"name":"My Shop"' in record.before
        assert '"name":"Our Shop"' in record.after

    def test_are_blocked_and_unblocked_by_the_verb(self, inside, merchant):
        for action, act, blocked in [
            ("block", "merchants.block", True),
            ("unblock", "merchants.unblock", False),
        ]:
            inside.post(
                "/operator/merchants/merchant/", {"action": action, "_selected_action": [merchant.pk]}
            )
            assert Merchant.objects.get().is_blocked is blocked
            assert last_record().act == act

    def test_say_so_when_they_are_not_blocked(self, inside, merchant):
        records = AuditRecord.objects.count()
        answer = inside.post(
            "/operator/merchants/merchant/",
            {"action": "unblock", "_selected_action": [merchant.pk]},
            follow=True,
        )
        assert "This merchant is not blocked." in answer.content.decode()
        assert AuditRecord.objects.count() == records

    def test_are_never_deleted(self, inside, merchant):
        answer = inside.post(f"/operator/merchants/merchant/{merchant.pk}/delete/", {"post": "yes"})
        assert answer.status_code == 403
        assert Merchant.objects.exists()


class TestUsers:
    def act(self, inside, operator, action, user, **changes):
        form = {"action": action, "_selected_action": [user.pk], "code": fresh(operator)}
        return inside.post("/operator/merchants/user/", form | changes, follow=True).content.decode()

    def test_have_their_second_factor_reset(self, inside, operator, owner):
        assert "no withdrawals for 24 hours" in self.act(inside, operator, "reset_factor", owner)
        assert not TotpDevice.objects.filter(user=owner).exists()
        assert (last_record().act, last_record().actor) == ("accounts.reset_factor", operator.user)

    def test_are_mailed_a_link_to_choose_a_password(self, inside, operator, owner):
        self.act(inside, operator, "send_reset", owner)
        assert (last_record().act, last_record().subject) == ("accounts.send_reset", owner.subject)
        assert MailMessage.objects.get().to == owner.email

    @pytest.mark.parametrize("action", ["reset_factor", "send_reset"])
    def test_are_left_alone_without_a_fresh_code(self, inside, operator, owner, action):
        records = AuditRecord.objects.count()
        assert "This code is not right." in self.act(inside, operator, action, owner, code="")
        assert TotpDevice.objects.filter(user=owner).exists()
        assert (AuditRecord.objects.count(), MailMessage.objects.count()) == (records, 0)

    def test_are_changed_with_an_audit_record_and_never_show_a_password(self, inside, operator, owner):
        path = f"/operator/merchants/user/{owner.pk}/change/"
        assert owner.password not in inside.get(path).content.decode()
        inside.post(path, {"is_active": "", "code": fresh(operator)})
        assert not User.objects.get(pk=owner.pk).is_active
        assert (last_record().act, last_record().subject) == ("operator.user.change", f"user:{owner.pk}")
        assert owner.password not in last_record().before + last_record().after

    def test_are_made_operators_by_no_page(self, inside, operator, owner):
        path = f"/operator/merchants/user/{owner.pk}/change/"
        form = {"is_operator": "on", "is_active": "on", "code": fresh(operator)}
        assert inside.post(path, form).status_code == 302
        assert not User.objects.get(pk=owner.pk).is_operator

    def test_are_not_made_on_a_page(self, inside):
        assert inside.get("/operator/merchants/user/add/").status_code == 403


class TestMemberships:
    def path(self, owner, verb="change"):
        return f"/operator/merchants/membership/{Membership.objects.get(user=owner).pk}/{verb}/"

    def test_are_made_by_the_verb(self, inside, merchant, operator):
        person = accounts.create(email="ann@shop.test", now=NOW).user
        fields = {"merchant": merchant.pk, "user": person.pk, "role": "owner", "code": fresh(operator)}
        assert inside.post("/operator/merchants/membership/add/", fields).status_code == 302
        joined = Membership.objects.get()
        assert (joined.role, joined.is_settled(joined.joined_at)) == ("owner", False)
        assert (last_record().act, last_record().actor) == ("team.add", operator.user)

    def remove(self, inside, operator, user, **changes):
        member = Membership.objects.get(user=user)
        form = {"action": "remove", "_selected_action": [member.pk], "code": fresh(operator)}
        return inside.post("/operator/merchants/membership/", form | changes, follow=True)

    def test_keep_the_last_owner_and_say_why(self, inside, operator, owner):
        records = AuditRecord.objects.count()
        for answer in (
            inside.post(self.path(owner), {"role": "view", "code": fresh(operator)}, follow=True),
            self.remove(inside, operator, owner),
        ):
            assert "This is the merchant&#x27;s last Owner" in answer.content.decode()
        assert Membership.objects.get(user=owner).role == "owner"
        assert AuditRecord.objects.count() == records

    def test_are_left_alone_without_a_fresh_code(self, inside, operator, merchant, owner):
        second = accounts.create(email="second@shop.test", now=NOW).user
        team.add(merchant=merchant, user=second, role=Role.OWNER, now=NOW)
        records = AuditRecord.objects.count()
        inside.post(self.path(owner), {"role": "view", "code": ""})
        self.remove(inside, operator, owner, code="")
        assert inside.post(self.path(owner, "delete"), {"post": "yes"}).status_code == 403
        assert Membership.objects.get(user=owner).role == "owner"
        assert AuditRecord.objects.count() == records

    def test_are_changed_and_ended_by_the_verbs(self, inside, operator, merchant, owner):
        second = accounts.create(email="second@shop.test", now=NOW).user
        team.add(merchant=merchant, user=second, role=Role.OWNER, now=NOW)
        inside.post(self.path(owner), {"role": "limits", "code": fresh(operator)})
        assert (Membership.objects.get(user=owner).role, last_record().act) == ("limits", "team.change_role")
        self.remove(inside, operator, owner)
        assert (Membership.objects.filter(user=owner).exists(), last_record().act) == (False, "team.remove")


class TestInvitations:
    def test_may_be_for_a_merchants_first_owner(self, inside, operator, merchant):
        fields = {"merchant": merchant.pk, "email": "Ann@shop.test", "role": "owner"}
        path = "/operator/merchants/invitation/add/"
        assert inside.post(path, fields | {"code": fresh(operator)}).status_code == 302
        invitation = Invitation.objects.get()
        assert (invitation.email, invitation.role, invitation.invited_by) == (
            "ann@shop.test",
            "owner",
            operator.user,
        )
        assert last_record().act == "team.invite"
        listed = "/operator/merchants/invitation/"
        form = {"action": "withdraw", "_selected_action": [invitation.pk], "code": fresh(operator)}
        inside.post(listed, form)
        assert Invitation.objects.get().withdrawn_at is not None

    def test_are_not_made_without_a_fresh_code(self, inside, merchant):
        fields = {"merchant": merchant.pk, "email": "ann@shop.test", "role": "owner", "code": ""}
        inside.post("/operator/merchants/invitation/add/", fields)
        assert (Invitation.objects.count(), MailMessage.objects.count()) == (0, 0)


class TestFirstOwner:
    def test_is_asked_for_when_a_merchant_is_made(self, inside):
        fields = {"name": "New Shop", "public_name": "New Shop"}
        page = inside.post("/operator/merchants/merchant/add/", fields, follow=True).content.decode()
        made = Merchant.objects.get()
        link = f"/operator/merchants/invitation/add/?merchant={made.pk}&amp;role=owner"
        assert f'<a href="{link}">Invite its first Owner</a>' in page
        form = inside.get(link.replace("&amp;", "&")).content.decode()
        assert f'<option value="{made.pk}" selected>New Shop</option>' in form

    def test_is_no_longer_asked_for_once_there_is_one(self, inside, merchant, owner):
        page = inside.get(f"/operator/merchants/merchant/{merchant.pk}/change/").content.decode()
        assert "Invite somebody" in page
        assert "Invite its first Owner" not in page


class TestMailbox:
    def test_shows_the_sandboxs_letters(self, inside, operator, merchant):
        fields = {"merchant": merchant.pk, "email": "ann@shop.test", "role": "owner"}
        inside.post("/operator/merchants/invitation/add/", fields | {"code": fresh(operator)})
        page = inside.get("/operator/mailbox/").content.decode()
        assert "ann@shop.test" in page
        assert "/invitation/" in page
        assert "/operator/mailbox/" in inside.get("/operator/merchants/invitation/").content.decode()

    def test_is_closed_to_strangers(self, client):
        assert client.get("/operator/mailbox/").status_code == 302

    def test_is_none_in_production(self, inside, settings):
        settings.PRODUCTION, settings.SANDBOX = True, False
        assert inside.get("/operator/mailbox/").status_code == 404


class TestWhatIsReadOnly:
    @pytest.fixture
    def secret(self, merchant):
        return factories.active_key(merchant)[1]

    @pytest.mark.parametrize("model", ["apikey", "auditrecord", "keytraffic"])
    def test_is_neither_added_nor_changed_nor_deleted(self, inside, secret, model):
        row = {"apikey": ApiKey.objects.get().pk, "auditrecord": 1, "keytraffic": 1}[model]
        path = f"/operator/merchants/{model}/"
        assert inside.get(path).status_code == 200
        assert inside.post(f"{path}add/").status_code == 403
        assert inside.post(f"{path}{row}/delete/", {"post": "yes"}).status_code in {302, 403}
        assert inside.post(f"{path}{row}/change/", {"act": "x", "state": "generated"}).status_code in {
            302,
            403,
        }
        assert ApiKey.objects.get().state == "active"
        assert AuditRecord.objects.filter(act="x").count() == 0

    def test_shows_keys_without_their_secret_in_any_form(self, inside, secret):
        key = ApiKey.objects.get()
        pages = [
            f"/operator/merchants/apikey/{end}" for end in ("", f"{key.pk}/change/", f"{key.pk}/history/")
        ]
        shown = "".join(inside.get(page).content.decode() for page in pages)
        assert key.public_key in shown
        assert secret not in shown
        assert key.secret_ciphertext not in shown

    def test_shows_the_audit_with_its_hashes(self, inside, secret):
        record = last_record()
        shown = inside.get(f"/operator/merchants/auditrecord/{record.pk}/change/").content.decode()
        assert bytes(record.hash).hex() in shown
        assert record.act in shown

    def test_is_served_under_a_policy_without_inline_scripts(self, inside):
        answer = inside.get("/operator/")
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert "<script>" not in answer.content.decode()
        assert ' style="' not in answer.content.decode()
