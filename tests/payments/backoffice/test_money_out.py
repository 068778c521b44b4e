"""Withdrawals under way on pages: what is unknown, why nothing is sent again, and the two people who say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from merchants.roles import Role
from payments.backoffice import story
from payments.models import Origin, Withdrawal
from tests import desk, factories
from tests.payments import upstream_of_payouts as up
from tests.payments.backoffice import paying

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    return paying.owner()


@pytest.fixture
def unknown(at):
    """A withdrawal of 0.5 BTC whose answer was lost."""
    paying.ask(at)
    up.send(up.Payer(up.is_cut_off))
    row = Withdrawal.objects.get()
    assert row.state == "unknown"
    return row


def text(answer):
    return answer.content.decode()


def path(row, rest=""):
    return f"withdrawals/{row.operation.wire_id}/{rest}"


def state():
    row = Withdrawal.objects.get()
    return row.state, row.outcome


class TestUnderWay:
    def test_says_when_all_is_well(self, at):
        assert "No withdrawal is unknown or stuck." in text(at.get("withdrawals/"))

    def test_lists_the_unknown_apart(self, at, unknown):
        paying.ask(at, "0.1")
        page = text(at.get("withdrawals/"))
        assert "Outcome unknown" in page
        assert "Under way" in page
        assert f"№ {unknown.operation.wire_id}<" in page

    def test_hides_those_of_others(self, at, unknown):
        stranger = paying.owner()
        assert f"№ {unknown.operation.wire_id}<" not in text(stranger.get("withdrawals/"))
        for rest in ("", "outcome/"):
            assert stranger.get(path(unknown, rest)).status_code == 404
            assert stranger.post(path(unknown, rest)).status_code in {404, 405}


class TestWithdrawal:
    def test_shows_the_exact_order_and_why_nothing_is_sent_again(self, at, unknown):
        page = text(at.get(path(unknown)))
        assert bytes(unknown.prepared).decode() in page
        assert "Why we will not retry" in page
        assert "If it were sent again, both could be paid." in page
        assert "Say what became of it" in page

    def test_may_be_looked_at_by_everybody_and_resolved_by_owners(self, at, unknown):
        viewer = desk.desk(at.merchant, Role.VIEW)
        assert "Say what became of it" not in text(viewer.get(path(unknown)))
        assert viewer.post(path(unknown, "outcome/"), outcome="paid").status_code == 403


class TestOutcome:
    def say(self, at, row, **changed):
        given = {"outcome": "not_paid", "reason": "Their support looked it up", "txid": "", **changed}
        return at.post(path(row, "outcome/"), **given)

    def agree(self, at, row, outcome="not_paid", **more):
        return at.post(path(row, "outcome/"), act="agree", outcome=outcome, **more)

    def test_takes_two_people_to_give_the_money_back(self, at, unknown):
        assert self.say(at, unknown).status_code == 302
        assert state() == ("unknown", "not_paid")
        assert paying.available(at) == Decimal("1.4949")
        other = paying.second_owner(at)
        page = text(other.get(path(unknown, "outcome/")))
        assert at.user.email in page
        assert "are available again" in page
        assert self.agree(other, unknown).status_code == 302
        assert state() == ("failed", "not_paid")
        assert paying.available(at) == 2

    def test_takes_two_people_to_settle_it(self, at, unknown):
        self.say(at, unknown, outcome="paid", txid="c0ffee")
        assert self.agree(paying.second_owner(at), unknown, "paid").status_code == 302
        assert state() == ("confirmed", "paid")
        assert paying.available(at) == Decimal("1.4949")

    def test_is_not_agreed_to_by_who_said_it(self, at, unknown):
        self.say(at, unknown)
        assert "another Owner must agree" in text(at.get(path(unknown, "outcome/")))
        self.agree(at, unknown)
        assert state() == ("unknown", "not_paid")

    def test_that_changed_meanwhile_is_looked_at_again(self, at, unknown):
        self.say(at, unknown)
        answer = self.agree(paying.second_owner(at), unknown, "paid")
        assert answer.status_code == 422
        assert "What the first person said has changed" in text(answer)
        assert state() == ("unknown", "not_paid")

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"outcome": ""}, "Say what became of it."),
            ({"outcome": "perhaps"}, "Select a valid choice."),
            ({"reason": ""}, "Say how you know."),
            ({"outcome": "paid"}, "Give the transaction by which it was paid."),
            ({"code": "000000"}, "This code is not right."),
        ],
    )
    def test_says_what_is_missing(self, at, unknown, changed, sentence):
        answer = self.say(at, unknown, **changed)
        assert answer.status_code == 422
        assert sentence in text(answer)
        assert state() == ("unknown", "")

    def test_of_what_is_known_is_not_asked_for(self, at):
        row = paying.ask(at).withdrawal
        assert "There is nothing to say." in text(at.get(path(row, "outcome/")))
        answer = self.say(at, row)
        assert (answer.status_code, "The outcome of this withdrawal is not open." in text(answer)) == (
            422,
            True,
        )


class TestStory:
    def words(self):
        row = Withdrawal.objects.get()
        return [step.text for step in story.of(row)]

    def test_tells_of_an_approved_one(self, at):
        paying.limited(at, Origin.STAFF)
        asked = paying.ask(at, origin=Origin.STAFF)
        other = paying.second_owner(at)
        shown = other.get("approvals/").content.decode().split(f'name="hash-{asked.wire_id}" value="')[1]
        other.post(
            "approvals/",
            chosen=asked.wire_id,
            decision="approve",
            reason="Invoice 7",
            **{f"hash-{asked.wire_id}": shown[:64]},
        )
        told = self.words()
        waits = f"Asked for by {at.user.email}; the money is held. Waits for an Owner: "
        assert f"{waits}Everything is approved by hand" in told
        assert f"Approved by {other.user.email}: Invoice 7" in told

    def test_tells_of_an_unknown_one(self, at, unknown):
        assert any(words.startswith("Outcome unknown: ") for words in self.words())


class TestTransaction:
    def test_shows_a_withdrawal_in_its_own_words(self, at, unknown):
        number = unknown.operation.wire_id
        page = text(at.get(f"transactions/{number}/"))
        assert "Outcome unknown" in page
        assert f'class="sr">{unknown.address}<' in page
        assert "Why we will not retry" in page
        listed = text(at.get("transactions/"))
        assert "Outcome unknown" in listed
        assert unknown.address in listed
        assert unknown.operation.foreign_id in listed

    def test_is_exported_with_its_address(self, at, unknown):
        answer = at.post("transactions/export/")
        lines = b"".join(answer.streaming_content).decode().splitlines()
        assert len(lines) == 2
        assert unknown.address in lines[1]
        assert unknown.operation.foreign_id in lines[1]

    def test_of_a_deposit_looks_as_before(self, at):
        assert factories.address(at.merchant).address in text(at.get("addresses/system/"))
