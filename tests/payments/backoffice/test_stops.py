"""The stop switch and the alerts on pages: made by Owners, seen by everybody, lifted by no page."""

from __future__ import annotations

import pytest

from merchants.models import AuditRecord
from merchants.roles import Role
from payments import alerts, controls
from payments.models import Alert, Stop
from tests import desk, factories
from tests.factories import NOW
from tests.payments import upstream_of_payouts as up
from tests.payments.backoffice import paying

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    return paying.owner()


def text(answer):
    return answer.content.decode()


class TestStop:
    def test_holds_everything_and_is_seen_on_every_page(self, at):
        answer = at.post("stop/all/", reason="Somebody has our laptop")
        assert answer.status_code == 302
        row = Stop.objects.get()
        assert (row.merchant, row.stopped_by, row.reason) == (at.merchant, at.user, "Somebody has our laptop")
        assert AuditRecord.objects.get(act="stops.make").second_factor
        viewer = desk.desk(at.merchant, Role.VIEW)
        for page in ("balances/", "transactions/", "settings/"):
            shown = text(viewer.get(page))
            assert "Withdrawals are stopped." in shown
            assert f"by {at.user.email}: Somebody has our laptop" in shown
            assert f"./bursar manage stops lift {row.pk}" in shown

    def test_keeps_what_is_asked_for_from_being_sent(self, at):
        paying.ask(at)
        at.post("stop/all/", reason="Wait")
        payer = up.Payer()
        up.send(payer)
        assert payer.submitted == []

    def test_is_offered_no_second_time(self, at):
        assert "stop/all/" in text(at.get("stop/"))
        at.post("stop/all/", reason="Wait")
        assert "stop/all/" not in text(at.get("stop/"))
        answer = at.post("stop/all/", reason="Again", code=desk.code_of(at.user, steps=1))
        assert (answer.status_code, "Payouts are stopped already." in text(answer)) == (422, True)
        assert Stop.objects.count() == 1

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [({"reason": ""}, "Say why."), ({"reason": "  "}, "Say why."), ({"code": "000000"}, "not right")],
    )
    def test_takes_a_reason_and_a_code(self, at, changed, sentence):
        answer = at.post("stop/all/", **{"reason": "Wait", **changed})
        assert (answer.status_code, sentence in text(answer)) == (422, True)
        assert not Stop.objects.exists()

    def test_is_the_owners(self, at):
        for role in (Role.VIEW, Role.EXCHANGE, Role.LIMITS):
            assert desk.desk(at.merchant, role).post("stop/all/", reason="Wait").status_code == 403
        assert not Stop.objects.exists()

    def test_of_another_merchant_is_not_shown(self, at):
        stranger = paying.owner()
        stranger.post("stop/all/", reason="Theirs alone")
        assert "Theirs alone" not in text(at.get("balances/"))

    def test_of_the_installation_is_shown_to_all(self, at):
        controls.stop(merchant=None, reason="The processor leaks", by=up.operator(), now=NOW)
        shown = text(at.get("balances/"))
        assert "All withdrawals of this installation are stopped." in shown
        assert "by its operator: The processor leaks" in shown


class TestAlerts:
    @pytest.fixture
    def alert(self, at):
        alerts.raise_once(
            kind="stuck", key="stuck:1", text="Withdrawal 7 hangs", merchant=at.merchant, now=NOW
        )
        return Alert.objects.get()

    def test_stand_above_every_page_of_those_who_can_act(self, at, alert):
        assert "Withdrawal 7 hangs" in text(at.get("balances/"))
        assert "Withdrawal 7 hangs" not in text(desk.desk(at.merchant, Role.VIEW).get("balances/"))
        assert "Withdrawal 7 hangs" not in text(paying.owner().get("balances/"))

    def test_are_listed_with_their_history(self, at, alert):
        assert at.url(f"alerts/{alert.pk}/clear/") in text(at.get("alerts/"))
        assert at.post(f"alerts/{alert.pk}/clear/").status_code == 302
        alert.refresh_from_db()
        assert alert.cleared_by == at.user
        page = text(at.get("alerts/"))
        assert "Nothing is open." in page
        assert at.user.email in page

    def test_are_cleared_once(self, at, alert):
        at.post(f"alerts/{alert.pk}/clear/")
        answer = at.post(f"alerts/{alert.pk}/clear/")
        assert (answer.status_code, "it is cleared" in text(answer)) == (422, True)

    def test_of_others_are_missing(self, at, alert):
        assert paying.owner().post(f"alerts/{alert.pk}/clear/").status_code == 404
        alert.refresh_from_db()
        assert alert.cleared_at is None

    @pytest.mark.parametrize("query", ["older_than=x", "older_than=-1", "older_than=99999999999999999999"])
    def test_shrug_at_nonsense(self, at, query):
        assert at.get(f"alerts/?{query}").status_code == 200

    def test_say_when_there_are_none(self, at):
        factories.merchant()
        assert "No alerts" in text(at.get("alerts/"))
