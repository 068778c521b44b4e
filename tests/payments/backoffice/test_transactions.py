"""The list of transactions and its export, on pages."""

from __future__ import annotations

import pytest

from merchants.models import AuditRecord
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
