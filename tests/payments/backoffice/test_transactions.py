"""The list of transactions and its export, on pages."""

from __future__ import annotations

import pytest

from merchants.models import AuditRecord, SavedView
from merchants.roles import Role
from payments import deposits
from tests import desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    factories.terms("BTC")
    return desk.desk(factories.merchant())


def receive(at, amount="0.5", **address):
    to = factories.address(at.merchant, **address)
    deposits.record_many(processor=to.processor, notices=[factories.notice(to, amount)], now=NOW)
    return to


class TestList:
    def test_says_what_will_appear(self, at):
        assert "No transactions yet" in at.get("transactions/").content.decode()

    def test_shows_amount_and_credit(self, at):
        receive(at)
        page = at.get("transactions/").content.decode()
        assert "0.5 BTC" in page
        assert "0.496 BTC" in page

    def test_keeps_its_filters_in_the_url_and_on_chips(self, at):
        receive(at)
        page = at.get("transactions/?currency=BTC&status=confirmed").content.decode()
        assert "Currency: BTC ×" in page
        assert 'href="?status=confirmed"' in page
        assert "transactions/export/?status=confirmed&amp;currency=BTC" in page

    @pytest.mark.parametrize(
        "query",
        ["currency=NONSENSE", "since=yesterday", "status=%27%3B", "older_than=0", "older_than=99999999999"],
    )
    def test_shrugs_at_nonsense_in_the_url(self, at, query):
        receive(at)
        assert at.get(f"transactions/?{query}").status_code == 200

    def test_escapes_what_customers_are_called(self, at):
        receive(at, foreign_id="<script>alert(1)</script>")
        assert "<script>alert" not in at.get("transactions/").content.decode()


class TestExport:
    def test_is_a_file_of_the_filtered_rows(self, at):
        receive(at)
        answer = at.post("transactions/export/?currency=BTC")
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer["Content-Disposition"]
        assert b"0.50000000" in b"".join(answer.streaming_content)

    def test_is_audited_with_its_filters(self, at):
        at.post("transactions/export/?currency=BTC")
        record = AuditRecord.objects.get(act="export.create")
        assert (record.after, record.second_factor) == ('{"query":"currency=BTC"}', True)

    def test_takes_a_code(self, at):
        answer = at.post("transactions/export/", code="")
        assert answer.status_code == 422
        assert not answer.streaming

    def test_belongs_to_owners(self, at):
        assert desk.desk(at.merchant, Role.VIEW).post("transactions/export/").status_code == 403


class TestViews:
    QUERY = "status=confirmed&currency=BTC"

    def save(self, at, name="Mine", query=QUERY):
        return at.post(f"transactions/views/save/?{query}", name=name)

    def test_are_saved_from_the_filters_and_opened_again(self, at):
        assert self.save(at)["Location"] == at.url(f"transactions/?{self.QUERY}")
        page = at.get(f"transactions/?{self.QUERY}").content.decode()
        assert f'href="?{self.QUERY.replace("&", "&amp;")}" aria-current="page">Mine<' in page

    def test_are_nobody_elses(self, at):
        self.save(at)
        assert ">Mine<" not in desk.desk(at.merchant).get("transactions/").content.decode()

    @pytest.mark.parametrize(
        ("name", "query", "sentence"),
        [
            ("", QUERY, "Give the view a name."),
            ("Mine", QUERY, "You have a view named “Mine” already"),
            ("x" * 41, QUERY, "at most 40 characters"),
            ("New", "", "Set at least one filter first"),
            ("New", "status=nonsense&since=never", "Set at least one filter first"),
        ],
    )
    def test_say_what_is_wrong(self, at, name, query, sentence):
        self.save(at)
        answer = self.save(at, name, query)
        assert (answer.status_code, sentence in answer.content.decode()) == (422, True)
        assert SavedView.objects.count() == 1

    def test_leave_out_filters_that_make_no_sense(self, at):
        self.save(at, query="status=confirmed&since=yesterday")
        assert SavedView.objects.get().query == "status=confirmed"

    def test_are_removed_by_their_owner_alone(self, at):
        self.save(at)
        path = f"transactions/views/{SavedView.objects.get().pk}/remove/"
        assert desk.desk(at.merchant).get(path).status_code == 404
        assert desk.desk(at.merchant).post(path).status_code == 404
        assert at.post(path).status_code == 302
        assert not SavedView.objects.exists()
