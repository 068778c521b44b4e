"""Approvals on pages: bound to what was shown, by another Owner, several at once or none."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from merchants.models import AuditRecord
from merchants.roles import Role
from payments import doorbell
from payments.models import Origin, Withdrawal
from tests import desk
from tests.payments.backoffice import paying

pytestmark = pytest.mark.django_db
PAGE = "approvals/"


@pytest.fixture
def at():
    at = paying.owner()
    paying.limited(at)
    paying.limited(at, Origin.STAFF)
    return at


@pytest.fixture(autouse=True)
def rung(monkeypatch):
    """The bells that were rung."""
    bells = []
    monkeypatch.setattr(doorbell, "ring", bells.append)
    return bells


def text(answer):
    return answer.content.decode()


def hashes(page):
    return dict(re.findall(r'name="(hash-\d+)" value="([0-9a-f]{64})"', page))


def decide(at, *asked, path=PAGE, decision="approve", reason="Invoice 7", **more):
    numbers = [one.wire_id for one in asked]
    shown = hashes(text(at.get(PAGE)))
    return at.post(path, chosen=numbers, decision=decision, reason=reason, **{**shown, **more})


def states():
    return list(Withdrawal.objects.order_by("operation_id").values_list("state", flat=True))


class TestInbox:
    def test_shows_all_that_a_decision_needs(self, at):
        one = paying.ask(at, note="For Kyiv").withdrawal
        page = text(at.get(PAGE))
        assert "0.5 BTC" in page
        assert "Everything is approved by hand" in page
        assert "your program, with the API key" in page
        assert "First seen" in page
        assert "For Kyiv" in page
        assert ">0.5051 BTC<" in page
        assert f'aria-hidden="true">{one.address[:4]}<' in page

    def test_counts_on_the_rail_what_waits(self, at):
        paying.ask(at)
        assert "1<span" in text(at.get("balances/")).split('class="count">', 1)[1]
        assert 'class="count"' not in text(desk.desk(at.merchant, Role.VIEW).get("balances/"))

    def test_is_empty_without_waiting_ones(self, at):
        assert "Nothing waits for you" in text(at.get(PAGE))

    def test_hides_those_of_others(self, at):
        stranger = paying.owner()
        paying.limited(stranger)
        asked = paying.ask(stranger)
        assert "Nothing waits for you" in text(at.get(PAGE))
        assert decide(at, asked, **{f"hash-{asked.wire_id}": "0" * 64}).status_code == 404
        assert states() == ["pending"]

    def test_tells_the_only_owner_what_he_cannot_approve(self, at):
        assert "You are the only Owner." in text(at.get(PAGE))
        paying.second_owner(at)
        assert "You are the only Owner." not in text(at.get(PAGE))


class TestApprove:
    def test_lets_it_go_and_keeps_what_was_seen(self, at, rung):
        asked = paying.ask(at)
        shown = hashes(text(at.get(PAGE)))[f"hash-{asked.wire_id}"]
        assert decide(at, asked).status_code == 302
        row = Withdrawal.objects.get()
        assert (row.state, row.decided_by, row.decision_reason) == ("approved", at.user, "Invoice 7")
        assert bytes(row.approved_hash).hex() == shown
        assert AuditRecord.objects.get(act="withdrawals.approve").second_factor
        assert len(rung) == 1

    def test_of_several_takes_one_code(self, at):
        asked = [paying.ask(at, "0.1") for _ in range(3)]
        answer = decide(at, *asked[:2])
        assert answer.status_code == 302
        assert states() == ["approved", "approved", "pending"]
        assert "2 withdrawals are approved." in text(at.client.get(answer["Location"]))

    def test_of_several_with_one_that_changed_is_refused_whole(self, at):
        asked = [paying.ask(at, "0.1") for _ in range(2)]
        answer = decide(at, *asked, **{f"hash-{asked[1].wire_id}": "0" * 64})
        assert answer.status_code == 422
        assert f"Withdrawal {asked[1].wire_id} is not what was shown to you." in text(answer)
        assert states() == ["pending", "pending"]

    def test_of_what_was_decided_meanwhile_is_refused(self, at):
        asked = paying.ask(at)
        shown = hashes(text(at.get(PAGE)))
        decide(paying.second_owner(at), asked, decision="decline")
        answer = at.post(PAGE, chosen=asked.wire_id, decision="approve", reason="x", **shown)
        assert answer.status_code == 422
        assert f"Withdrawal {asked.wire_id} does not wait any more" in text(answer)
        assert states() == ["declined"]
        assert paying.available(at) == 2

    def test_of_ones_own_request_is_refused(self, at):
        asked = paying.ask(at, origin=Origin.STAFF)
        assert "You asked for this yourself" in text(at.get(PAGE))
        answer = decide(at, asked)
        assert answer.status_code == 422
        assert "another Owner must approve it" in text(answer)
        assert states() == ["pending"]
        assert decide(paying.second_owner(at), asked).status_code == 302
        assert states() == ["approved"]

    def test_by_an_unsettled_owner_is_refused(self, at):
        asked = paying.ask(at)
        membership = at.merchant.memberships.get(user=at.user)
        membership.settled_at = timezone.now() + timedelta(hours=3)
        membership.save()
        assert "less than 24 hours ago" in text(at.get(PAGE))
        answer = decide(at, asked)
        assert answer.status_code == 422
        assert "For 24 hours after becoming Owner" in text(answer)
        assert states() == ["pending"]

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"reason": ""}, "Say why."),
            ({"decision": ""}, "Approve or decline."),
            ({"decision": "burn"}, "Approve or decline."),
            ({"code": "000000"}, "This code is not right."),
            ({"code": ""}, "Enter the six digits"),
        ],
    )
    def test_says_what_is_missing(self, at, changed, sentence):
        answer = decide(at, paying.ask(at), **changed)
        assert answer.status_code == 422
        assert sentence in text(answer)
        assert "checked" in text(answer)
        assert states() == ["pending"]

    @pytest.mark.parametrize("chosen", [[], ["x"], ["-1"], ["99999999999999"], ["²"]])
    def test_demands_a_choice(self, at, chosen):
        paying.ask(at)
        answer = at.post(PAGE, chosen=chosen, decision="approve", reason="x")
        assert (answer.status_code, "Choose at least one withdrawal." in text(answer)) == (422, True)
        assert states() == ["pending"]

    def test_is_an_owners(self, at):
        asked = paying.ask(at)
        for role in (Role.VIEW, Role.EXCHANGE, Role.LIMITS):
            answer = desk.desk(at.merchant, role).post(PAGE, chosen=asked.wire_id, decision="approve")
            assert answer.status_code == 403
        assert states() == ["pending"]


class TestDecline:
    def test_gives_the_money_back(self, at):
        asked = paying.ask(at)
        assert paying.available(at) == Decimal("1.4949")
        assert decide(at, asked, decision="decline", reason="Not ours").status_code == 302
        assert (states(), paying.available(at)) == (["declined"], 2)

    def test_of_ones_own_request_is_allowed(self, at):
        asked = paying.ask(at, origin=Origin.STAFF)
        assert decide(at, asked, decision="decline").status_code == 302
        assert states() == ["declined"]


class TestOne:
    def test_is_decided_alone(self, at):
        asked = paying.ask(at)
        page = text(at.get(f"{PAGE}{asked.wire_id}/"))
        assert 'type="checkbox"' not in page
        assert decide(at, asked, path=f"{PAGE}{asked.wire_id}/").status_code == 302
        assert states() == ["approved"]

    def test_offers_only_to_decline_ones_own(self, at):
        asked = paying.ask(at, origin=Origin.STAFF)
        page = text(at.get(f"{PAGE}{asked.wire_id}/"))
        assert 'value="decline"' in page
        assert 'value="approve"' not in page

    def test_of_what_no_longer_waits_leads_to_its_transaction(self, at):
        asked = paying.ask(at)
        decide(at, asked)
        assert at.get(f"{PAGE}{asked.wire_id}/")["Location"] == at.url(f"transactions/{asked.wire_id}/")
