"""Callbacks and transactions on pages: what was told, each try, sending again, a signature that differs."""

from __future__ import annotations

import json

import pytest

from callbacks import endpoints, mailbag
from callbacks.models import Health, OutgoingCallback, OutgoingState
from callbacks.outgoing import queue
from callbacks.outgoing.queue import Try
from merchants import signing
from merchants.models import AuditRecord
from merchants.roles import Role
from payments import deposits
from tests import desk, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    factories.terms("BTC")
    at = desk.desk(factories.merchant())
    endpoints.set_url(merchant=at.merchant, url="http://127.0.0.1:9/", by=None, now=NOW)
    return at


def receive(at, **options):
    """A deposit; the callback that tells of it."""
    to = factories.address(at.merchant, **options)
    deposits.record_many(processor=to.processor, notices=[factories.notice(to, "0.5")], now=NOW)
    return OutgoingCallback.objects.latest("id")


def number(at):
    from payments.models import Operation

    return Operation.objects.for_merchant(at.merchant).latest("id").wire_id


def try_once(row, **what):
    (parcel,) = queue.claim(health=Health.HEALTHY, limit=1)
    queue.record(tries=[Try(parcel, **what)])
    row.refresh_from_db()


class TestList:
    def test_shows_health_and_queue(self, at):
        receive(at)
        page = at.get("callbacks/").content.decode()
        assert "http://127.0.0.1:9/" in page
        assert f"№ {number(at)}" in page
        assert "On its way" in page

    def test_narrows_by_state(self, at):
        receive(at)
        assert "No callbacks in this state" in at.get("callbacks/?state=delivered").content.decode()
        assert at.get("callbacks/?state=nonsense&older_than=never").status_code == 200

    def test_goes_on_among_callbacks_of_one_moment(self, at, monkeypatch):
        monkeypatch.setattr(mailbag, "PAGE", 2)
        notices = [factories.notice(factories.address(at.merchant), "0.5") for _ in range(5)]
        deposits.record_many(processor=factories.processor(), notices=notices, now=NOW)
        rows = list(OutgoingCallback.objects.order_by("id"))
        assert (len(rows), len({row.created_at for row in rows})) == (5, 1)
        pages, place = [], None
        while found := mailbag.latest(merchant=at.merchant, older_than=place):
            shown = found[: mailbag.PAGE]
            pages += [letter.callback.pk for letter in shown]
            name, _, version = shown[-1].name.partition(".")
            place = mailbag.place_of(merchant=at.merchant, number=int(name), version=int(version))
        assert pages == [row.pk for row in reversed(rows)]

    def test_links_to_the_next_page(self, at, monkeypatch):
        monkeypatch.setattr(mailbag, "PAGE", 1)
        receive(at)
        receive(at)
        assert f"older_than={number(at)}.1" in at.get("callbacks/").content.decode()
        page = at.get(f"callbacks/?older_than={number(at)}.1").content.decode()
        assert f"№ {number(at)}" not in page

    def test_asks_the_same_number_of_questions_for_many(self, at, django_assert_max_num_queries):
        for _ in range(6):
            receive(at)
        with django_assert_max_num_queries(20):
            at.get("callbacks/")


class TestCallback:
    def path(self, at, row):
        return f"transactions/{number(at)}/callbacks/{row.version}/"

    def test_shows_each_try_with_request_and_answer(self, at):
        row = receive(at)
        try_once(
            row,
            request_headers={signing.KEY_HEADER: "bpk_x", signing.SIGNATURE_HEADER: "ab" * 64},
            status=503,
            response_body=b"<b>busy</b>",
            ms=12,
        )
        page = at.get(self.path(at, row)).content.decode()
        assert "ab" * 64 in page
        assert "&lt;b&gt;busy" in page
        assert "curl -i -X POST http://127.0.0.1:9/" in page

    def test_shows_an_answer_that_is_no_text(self, at):
        row = receive(at)
        try_once(row, status=500, response_body=b"\xff\x00")
        assert "\\xff" in at.get(self.path(at, row)).content.decode()

    def test_of_another_merchant_is_missing(self, at):
        row = receive(at)
        other = desk.desk(factories.merchant())
        path = self.path(at, row)
        assert other.get(path).status_code == 404
        assert other.post(f"{path}resend/").status_code == 404
        assert at.get(f"transactions/{number(at)}/callbacks/99/").status_code == 404


class TestResend:
    def test_makes_it_due_and_says_so(self, at):
        row = receive(at)
        try_once(row, status=200)
        viewer = desk.desk(at.merchant, Role.VIEW)
        answer = viewer.post(f"transactions/{number(at)}/callbacks/{row.version}/resend/")
        assert answer.status_code == 302
        row.refresh_from_db()
        assert row.state == OutgoingState.DUE

    def test_refuses_while_it_is_being_sent(self, at):
        row = receive(at)
        queue.claim(health=Health.HEALTHY, limit=1)
        answer = at.post(f"transactions/{number(at)}/callbacks/{row.version}/resend/")
        assert "is being sent at this moment" in answer.content.decode()


class TestResendSince:
    def test_counts_before_it_sends(self, at):
        row = receive(at)
        try_once(row, status=500)
        first = at.post("callbacks/resend/", since="2020-01-01T00:00")
        assert "would be sent again" in first.content.decode()
        row.refresh_from_db()
        assert row.schedule_from == 0
        assert at.post("callbacks/resend/", since="2020-01-01T00:00", counted="1").status_code == 302
        row.refresh_from_db()
        assert row.schedule_from == 1

    def test_counts_anew_when_there_are_others_meanwhile(self, at):
        receive(at)
        receive(at)
        answer = at.post("callbacks/resend/", since="2020-01-01T00:00", counted="1")
        assert (answer.status_code, "Send 2 again" in answer.content.decode()) == (200, True)

    def test_says_what_a_moment_looks_like(self, at):
        answer = at.post("callbacks/resend/", since="yesterday")
        assert "such as 2026-05-04 12:00" in answer.content.decode()


class TestExplain:
    def test_names_the_mistake_and_shows_no_secret(self, at):
        _, secret = factories.active_key(at.merchant)
        row = receive(at)
        pretty = json.dumps(json.loads(bytes(row.body)), indent=4).encode()
        path = f"transactions/{number(at)}/callbacks/{row.version}/signature/"
        page = at.post(path, signature=signing.sign(secret, pretty)).content.decode()
        assert "The body was pretty-printed." in page
        assert secret not in page

    def test_asks_for_something(self, at):
        row = receive(at)
        path = f"transactions/{number(at)}/callbacks/{row.version}/signature/"
        assert at.post(path).status_code == 422


class TestTransaction:
    def test_tells_the_whole_story(self, at):
        row = receive(at)
        try_once(row, status=200)
        page = at.get(f"transactions/{number(at)}/").content.decode()
        for part in (
            "0.5 BTC",
            "0.496 BTC",
            "Address issued",
            "Booked +0.49600000 BTC available",
            "answered 200",
        ):
            assert part in page

    def test_of_another_merchant_is_missing(self, at):
        receive(at)
        assert desk.desk(factories.merchant()).get(f"transactions/{number(at)}/").status_code == 404


class TestSearch:
    def find(self, at, text):
        return at.client.get(at.url("search/"), {"q": text})

    def test_goes_straight_to_a_single_hit(self, at):
        receive(at, foreign_id="user-77")
        where = at.url(f"transactions/{number(at)}/")
        for text in (str(number(at)), "c0ffee" + "0" * 58, "user-77", f" {number(at)} "):
            assert self.find(at, text)["Location"] == where

    def test_lists_several(self, at):
        receive(at)
        receive(at)
        page = self.find(at, "c0ffee" + "0" * 58).content.decode()
        assert page.count("Transaction</span>") == 2

    def test_finds_an_address_that_nothing_was_paid_to(self, at):
        row = factories.address(at.merchant, origin="portal", label="Till 2", foreign_id="bo-1")
        where = at.url(f"addresses/{row.wire_id}/")
        for text in (row.address, "bo-1", "till"):
            assert self.find(at, text)["Location"] == where
        assert self.find(desk.desk(factories.merchant()), row.address).status_code == 200

    def test_finds_a_key_by_its_beginning_for_who_may_see_keys(self, at):
        key, _ = factories.active_key(at.merchant)
        assert self.find(at, key[:12])["Location"] == at.url(f"keys/{key}/")
        assert "Nothing found" in self.find(desk.desk(at.merchant, Role.VIEW), key[:12]).content.decode()

    @pytest.mark.parametrize("text", ["", "9" * 40, "%", "<script>", "ü" * 500])
    def test_finds_nothing_in_nonsense(self, at, text):
        assert self.find(at, text).status_code == 200
        assert not AuditRecord.objects.filter(act__endswith=".refused").exists()
