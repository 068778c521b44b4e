"""Send: shown first, done by a second POST with a code, once however often it is sent."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from merchants import team
from merchants.models import AuditRecord
from merchants.roles import Role
from payments import contacts, terms
from payments.models import Operation, Origin, Withdrawal
from tests import desk, factories
from tests.factories import money
from tests.payments.backoffice import paying

pytestmark = pytest.mark.django_db
PAGE = "send/BTC/"


@pytest.fixture
def at():
    return paying.owner()


def text(answer):
    return answer.content.decode()


def hidden(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page).group(1)


def look(at, **changed):
    """The first POST; returns (answer, the fields that the second one carries)."""
    token = hidden(text(at.get(PAGE)), "token")
    given = {"address": paying.address(), "amount": "0.5", "token": token, "step": "look", **changed}
    answer = at.post(PAGE, code="", **given)
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', text(answer))
    return answer, {**given, "step": "send", "seen": seen.group(1) if seen else ""}


def nothing_moved(at):
    return not Withdrawal.objects.exists() and paying.available(at) == 2


class TestLook:
    def test_shows_what_it_would_cost_and_does_nothing(self, at):
        answer, _ = look(at)
        page = text(answer)
        assert answer.status_code == 200
        assert "<strong>0.5051 BTC</strong>" in page
        assert ">0.005 BTC<" in page
        assert ">0.0001 BTC<" in page
        assert "Nobody: it is within your limits" in page
        assert "First seen" in page
        assert nothing_moved(at)

    def test_groups_the_address_by_four(self, at):
        address = paying.address()
        answer, _ = look(at, address=address)
        for start in range(0, len(address), 4):
            assert f'aria-hidden="true">{address[start : start + 4]}<' in text(answer)

    def test_names_the_limit_and_who_must_approve(self, at):
        paying.limited(at, Origin.STAFF, currency="BTC", one_operation=Decimal("0.1"))
        other = paying.second_owner(at)
        page = text(look(at)[0])
        assert "Above the limit of one operation" in page
        assert f"<li>{other.user.email}</li>" in page
        assert "Ask for approval" in page

    def test_tells_a_single_owner_that_nobody_could_approve(self, at):
        paying.limited(at, Origin.STAFF)
        assert "an Owner cannot approve what he himself asked for" in text(look(at)[0])

    def test_warns_of_an_address_that_looks_like_a_known_one(self, at):
        known = paying.address()
        contacts.add(
            merchant=at.merchant, name="Known", currency="BTC", address=known, by=at.user, now=factories.NOW
        )
        page = text(look(at, address=known)[0])
        assert "contact “Known”" in page

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"address": ""}, "Choose a contact or give an address."),
            ({"address": "2Nnonsense"}, "The address is invalid."),
            ({"amount": ""}, "Give the amount."),
            ({"amount": "0"}, "The amount must be more than 0."),
            ({"amount": "0.123456789"}, "At most 8 decimals"),
            ({"amount": "1,5"}, "Write a plain number"),
            ({"amount": "0.00000001"}, "The amount must be at least"),
            ({"amount": "1.999"}, "Not enough money on balance"),
            ({"note": "x" * 256}, "at most 255 characters"),
            ({"token": "../.."}, "Look again before you send."),
        ],
    )
    def test_refuses_at_the_field(self, at, changed, sentence):
        answer, _ = look(at, **changed)
        assert answer.status_code == 422
        assert sentence in text(answer)
        assert nothing_moved(at)

    def test_goes_back_to_the_fields_as_they_were(self, at):
        _, fields = look(at)
        page = text(at.post(PAGE, code="", **{**fields, "step": "edit"}))
        assert 'name="amount" value="0.5"' in page
        assert 'type="hidden" name="amount"' not in page


class TestSend:
    def test_holds_the_money_once(self, at):
        _, fields = look(at, note="Invoice 7")
        answer = at.post(PAGE, **fields)
        made = Withdrawal.objects.get()
        assert answer["Location"] == at.url(f"transactions/{made.operation.wire_id}/")
        assert (made.amount, made.requested_by, made.origin, made.note, made.state) == (
            Decimal("0.5"),
            at.user,
            "staff",
            "Invoice 7",
            "approved",
        )
        assert made.operation.foreign_id == f"bo-{fields['token']}"
        assert paying.available(at) == Decimal("1.4949")
        assert AuditRecord.objects.get(act="withdrawals.create").second_factor

    def test_of_the_same_form_again_leads_to_the_same_withdrawal(self, at):
        _, fields = look(at)
        first = at.post(PAGE, **fields)
        again = at.post(PAGE, code="", **fields)
        assert (again.status_code, again["Location"]) == (302, first["Location"])
        assert Withdrawal.objects.count() == 1
        assert "This was asked for already, once" in text(at.client.get(again["Location"]))

    def test_of_the_first_step_again_leads_there_too(self, at):
        _, fields = look(at)
        first = at.post(PAGE, **fields)
        assert at.post(PAGE, code="", **{**fields, "step": "look"})["Location"] == first["Location"]

    @pytest.mark.parametrize("code", ["", "000000"])
    def test_takes_a_code(self, at, code):
        _, fields = look(at)
        answer = at.post(PAGE, code=code, **fields)
        assert answer.status_code == 422
        assert "What it would do" in text(answer)
        assert nothing_moved(at)

    def test_without_looking_first_is_shown_first(self, at):
        _, fields = look(at)
        answer = at.post(PAGE, **{**fields, "seen": ""})
        assert (answer.status_code, "What it would do" in text(answer)) == (200, True)
        assert nothing_moved(at)

    @pytest.mark.parametrize("changed", [{"amount": "0.6"}, {"note": "another"}, {"address": "other"}])
    def test_of_something_else_than_was_shown_is_shown_first(self, at, changed):
        _, fields = look(at)
        if "address" in changed:
            changed = {"address": paying.address()}
        page = text(at.post(PAGE, **{**fields, **changed}))
        assert "Something is not as it was when you looked" in page
        assert nothing_moved(at)

    def test_at_a_fee_that_rose_meanwhile_is_shown_first(self, at):
        _, fields = look(at)
        terms.agree(
            merchant=at.merchant,
            currency="BTC",
            withdrawal_fee_percent=Decimal("0.02"),
            now=factories.NOW + timedelta(days=1),
        )
        page = text(at.post(PAGE, **fields))
        assert "Something is not as it was when you looked" in page
        assert ">0.01 BTC<" in page
        assert nothing_moved(at)

    def test_beyond_what_is_left_meanwhile_is_refused(self, at):
        _, fields = look(at, amount="1.5")
        paying.ask(at, "1")
        answer = at.post(PAGE, **fields)
        assert answer.status_code == 422
        assert "Not enough money on balance" in text(answer)
        assert Withdrawal.objects.count() == 1

    def test_to_a_contact_that_cools_down_waits(self, at):
        paying.second_owner(at)
        contact = contacts.add(
            merchant=at.merchant,
            name="New",
            currency="BTC",
            address=paying.address(),
            by=at.user,
            now=timezone.now(),
        )
        answer, fields = look(at, contact=contact.pk, address="")
        assert "A new contact that still cools down" in text(answer)
        at.post(PAGE, **fields)
        made = Withdrawal.objects.get()
        assert (made.address, made.limit, made.state) == (contact.address, "new_destination", "pending")

    def test_to_a_contact_and_another_address_is_refused(self, at):
        contact = contacts.add(
            merchant=at.merchant,
            name="New",
            currency="BTC",
            address=paying.address(),
            by=at.user,
            now=timezone.now(),
        )
        answer, _ = look(at, contact=contact.pk)
        assert (answer.status_code, "This is not the address of New." in text(answer)) == (422, True)


class TestWho:
    def test_may_not_be_unsettled(self, at):
        membership = at.merchant.memberships.get(user=at.user)
        membership.settled_at = timezone.now() + timedelta(hours=3)
        membership.save()
        answer, _ = look(at)
        assert answer.status_code == 422
        assert "For 24 hours after becoming Owner" in text(answer)
        assert nothing_moved(at)

    def test_may_not_be_of_a_blocked_merchant(self, at):
        team.block(merchant=at.merchant, now=timezone.now(), pause=lambda _: None)
        answer, _ = look(at)
        assert answer.status_code == 422
        assert nothing_moved(at)

    def test_is_an_owner(self, at):
        for role in (Role.VIEW, Role.EXCHANGE, Role.LIMITS):
            assert desk.desk(at.merchant, role).get(PAGE).status_code == 403

    @pytest.mark.parametrize("code", ["ETH", "EUR", "NONSENSE"])
    def test_sends_enabled_crypto(self, at, code):
        assert at.get(f"send/{code}/").status_code == 404

    def test_cannot_be_led_to_another_merchants_withdrawal(self, at):
        _, fields = look(at)
        at.post(PAGE, **fields)
        stranger = paying.owner()
        answer = stranger.post(PAGE, code="", **{**fields, "step": "look"})
        assert (answer.status_code, Operation.objects.for_merchant(stranger.merchant).count()) == (200, 0)


class TestBalances:
    def test_lead_to_it_for_owners(self, at):
        assert at.url(PAGE) in text(at.get("balances/"))
        assert at.url(PAGE) not in text(desk.desk(at.merchant, Role.VIEW).get("balances/"))

    def test_count_what_is_held(self, at):
        paying.limited(at)
        paying.ask(at)
        assert paying.available(at) == money("1.4949").amount
