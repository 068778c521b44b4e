"""Who calls: the contract's steps in their order, each with its answer, each counted."""

from __future__ import annotations

import threading
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client

from merchants import authentication, clock, keys, signing, team, traffic
from merchants.models import ApiKey, KeyTraffic, Outcome
from tests import factories
from tests.factories import NOW
from tests.merchants.test_signing import ODD
from tests.vectors import VECTORS

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.merchants.urls")]

BODY = b'{"currency":"BTC"}'
BODIES = {error["body"]["code"]: error["body"] for error in VECTORS["auth_errors"]}


@pytest.fixture
def credentials(merchant):
    return factories.active_key(merchant)


def call(key=None, signature=None, body=BODY, *, path="accounts/list", peer="203.0.113.7", **headers):
    named = {} if key is None else {signing.KEY_HEADER: key}
    if signature is not None:
        named[signing.SIGNATURE_HEADER] = signature
    return Client().generic(
        "POST", f"/api/v2/{path}", body, "application/json", headers=named | headers, REMOTE_ADDR=peer
    )


def signed(credentials, body=BODY, **options):
    key, secret = credentials
    return call(key, signing.sign(secret, body), body, **options)


def assert_refused(answer, code, status=403):
    assert (answer.status_code, answer.json()) == (status, BODIES[code])


def counted():
    """(key id, ip, endpoint, outcome) -> count of everything so far."""
    traffic.flush()
    return {(row.key_id, row.ip, row.endpoint, row.outcome): row.count for row in KeyTraffic.objects.all()}


class TestTheOrder:
    def test_step_2_asks_for_a_key_before_anything_else(self, credentials):
        assert_refused(call(), "required_header_key")
        assert_refused(call(""), "required_header_key")
        assert_refused(call(signature="0" * 128, body=b"x" * 70_000), "required_header_key")

    def test_step_3_knows_the_key_before_it_asks_for_a_signature(self, credentials):
        assert_refused(call("bpk_unknown"), "bad_header_key")
        assert_refused(call("bpk_unknown", "0" * 128), "bad_header_key")

    def test_step_4_asks_for_a_signature(self, credentials):
        assert_refused(call(credentials[0]), "required_header_signature")
        assert_refused(call(credentials[0], ""), "required_header_signature")

    def test_step_5_compares_it_with_the_body_that_came(self, credentials):
        key, secret = credentials
        assert_refused(call(key, signing.sign(secret, b"{}")), "bad_header_signature")
        assert_refused(call(key, signing.sign("another", BODY)), "bad_header_signature")

    def test_step_6_tells_of_a_wrong_address_only_who_proved_the_secret(self, merchant, credentials):
        limit(merchant, credentials, "192.0.2.0/24")
        key, _ = credentials
        assert_refused(call(key, "0" * 128), "bad_header_signature")
        assert_refused(signed(credentials), "forbidden_ip")
        assert signed(credentials, peer="192.0.2.9").status_code == 200

    def test_step_7_refuses_more_than_64_kb_last(self, merchant, credentials):
        body = b"x" * (64 * 1024 + 1)
        assert_refused(signed(credentials, body), "bad_content_format", 400)
        assert_refused(call(credentials[0], "0" * 128, body), "bad_header_signature")
        limit(merchant, credentials, "192.0.2.0/24")
        assert_refused(signed(credentials, body), "forbidden_ip")

    def test_step_7_takes_64_kb(self, credentials):
        assert signed(credentials, b"x" * 64 * 1024).status_code == 200

    def test_signs_no_more_than_a_megabyte_for_anybody(self, credentials):
        assert_refused(signed(credentials, b"x" * 1_048_577), "bad_content_format", 400)

    def test_lets_in_who_proved_it(self, merchant, credentials):
        answer = signed(credentials)
        assert (answer.status_code, answer.json()) == (200, {"merchant": merchant.pk, "key": credentials[0]})


class TestTheKey:
    def test_is_refused_alike_in_every_state_but_active(self, merchant):
        generated = keys.generate(merchant=merchant, by=None, now=NOW)
        unknown = call("bpk_unknown", signing.sign("", BODY))
        assert_refused(unknown, "bad_header_key")
        for _ in range(2):
            answer = call(generated.public_key, signing.sign("", BODY))
            assert (answer.status_code, answer.content) == (unknown.status_code, unknown.content)
            if generated.state == "generated":
                generated = keys.deactivate(merchant=merchant, key_id=generated.pk, by=None, now=NOW)

    def test_stops_when_it_is_deactivated(self, merchant, credentials):
        assert signed(credentials).status_code == 200
        key = ApiKey.objects.get(public_key=credentials[0])
        keys.deactivate(merchant=merchant, key_id=key.pk, by=None, now=NOW)
        authentication.keys.forget()
        assert_refused(signed(credentials), "bad_header_key")

    def test_stops_while_its_merchant_is_blocked(self, merchant, credentials):
        team.block(merchant=merchant, now=NOW)
        assert_refused(signed(credentials), "bad_header_key")
        team.unblock(merchant=merchant, now=NOW)
        assert signed(credentials).status_code == 200

    def test_stops_when_its_rotation_is_over_before_any_sweep(self, merchant, credentials):
        now = database_now()
        ApiKey.objects.update(rotated_at=now, retires_at=now + timedelta(hours=1))
        clock.shift(by=timedelta(minutes=59))
        assert signed(credentials).status_code == 200
        clock.shift(by=timedelta(minutes=1))
        authentication.keys.forget()
        assert_refused(signed(credentials), "bad_header_key")
        assert ApiKey.objects.get().state == "active"

    @pytest.mark.parametrize(
        "key", ["\x00", "é", "a b", "x" * 129, "' OR 1=1 --", "bpk_\ud7ff", "٣", "%00", "a\tb"], ids=ascii
    )
    def test_may_be_anything_without_another_answer(self, merchant, key):
        assert_refused(call(key, "0" * 128), "bad_header_key")
        assert counted() == {(None, "203.0.113.7", "accounts/list", "bad_header_key"): 1}

    def test_costs_an_unknown_caller_the_same_signature_work(self, monkeypatch, credentials):
        checked = []
        real = signing.verify

        def verify(secret, body, signature):
            checked.append(body)
            return real(secret, body, signature)

        monkeypatch.setattr(signing, "verify", verify)
        call("bpk_unknown", "0" * 128)
        call("bpk_unknown")
        call(credentials[0], "0" * 128)
        assert checked == [BODY, BODY, BODY]


def database_now():
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


class TestTheSignature:
    def test_may_be_in_upper_case(self, credentials):
        key, secret = credentials
        assert call(key, signing.sign(secret, BODY).upper()).status_code == 200

    @pytest.mark.parametrize(
        "odd",
        [text for text in ODD if text.strip() and "\n" not in text and "\ud800" not in text],
        ids=lambda text: ascii(text)[:24],
    )
    def test_is_refused_in_any_other_form(self, credentials, odd):
        assert_refused(call(credentials[0], odd), "bad_header_signature")

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"[]", b"null", b"\xff\xfe\x00", b"not json", b'{"a":1,"a":2}']
    )
    def test_covers_the_bytes_whatever_they_mean(self, credentials, body):
        assert signed(credentials, body).status_code == 200


class TestTheAddress:
    def test_is_free_without_entries(self, credentials):
        assert signed(credentials, peer="2001:db8::1").status_code == 200

    @pytest.mark.parametrize(
        ("entry", "peer"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7", "::ffff:192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.255"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
        ],
    )
    def test_is_let_in_by_its_entry(self, merchant, credentials, entry, peer):
        limit(merchant, credentials, entry)
        assert signed(credentials, peer=peer).status_code == 200

    @pytest.mark.parametrize("peer", ["192.0.3.0", "2001:db8::1", "::ffff:192.0.3.1", "::"])
    def test_is_refused_outside_the_entries(self, merchant, credentials, peer):
        limit(merchant, credentials, "192.0.2.0/24", "198.51.100.1")
        assert_refused(signed(credentials, peer=peer), "forbidden_ip")

    def test_comes_from_a_trusted_proxy(self, merchant, credentials, settings):
        settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
        limit(merchant, credentials, "192.0.2.7")
        headers = {"X-Forwarded-For": "192.0.2.7"}
        assert signed(credentials, peer="10.0.0.1", **headers).status_code == 200
        assert_refused(signed(credentials, peer="11.0.0.1", **headers), "forbidden_ip")

    def test_is_refused_when_the_proxy_speaks_gibberish_even_without_entries(self, credentials, settings):
        settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
        answer = signed(credentials, peer="10.0.0.1", **{"X-Forwarded-For": "rubbish"})
        assert_refused(answer, "forbidden_ip")


class TestTheRestClass:
    def test_gives_the_view_its_caller(self, merchant, credentials):
        answer = signed(credentials, path="rest")
        assert answer.json() == {"merchant": merchant.pk, "key": credentials[0]}

    def test_keeps_the_secret_out_of_every_repr(self, credentials):
        known = authentication.keys.find(credentials[0])
        assert known.secret == credentials[1]
        assert credentials[1] not in repr(known)

    def test_answers_a_refusal_at_its_status(self, credentials):
        assert_refused(call(path="rest"), "required_header_key")


class TestTheMemory:
    def test_believes_a_row_for_a_second_from_the_start_of_its_read(self, merchant, credentials, monkeypatch):
        clock = iter([100.0, 100.999, 101.0])
        monkeypatch.setattr(authentication, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        first = authentication.keys.find(credentials[0])
        ApiKey.objects.update(state="deactivated", deactivated_at=NOW)
        assert authentication.keys.find(credentials[0]) is first
        assert authentication.keys.find(credentials[0]) is None

    def test_asks_the_database_nothing_while_it_believes(self, credentials, django_assert_num_queries):
        ApiKey.objects.update(first_used_at=NOW)
        signed(credentials)
        with django_assert_num_queries(0):
            assert signed(credentials).status_code == 200

    def test_remembers_no_unknown_key(self, merchant):
        for number in range(50):
            call(f"bpk_{number}", "0" * 128)
        assert authentication.keys.read_at == {}

    def test_serves_threads_at_once(self, credentials):
        known = authentication.keys.find(credentials[0])
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(authentication.keys.find(credentials[0])))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [known] * 8


class TestTheFirstUse:
    def test_is_noted_once(self, credentials):
        signed(credentials)
        first = ApiKey.objects.get().first_used_at
        assert first is not None
        signed(credentials)
        assert ApiKey.objects.get().first_used_at == first

    def test_is_not_a_refused_request(self, merchant, credentials):
        limit(merchant, credentials, "192.0.2.7")
        call(credentials[0], "0" * 128)
        signed(credentials)
        assert ApiKey.objects.get().first_used_at is None

    def test_hands_the_callbacks_to_the_new_key(self, merchant, credentials):
        old = ApiKey.objects.get()
        new = keys.rotate(
            merchant=merchant, key_id=old.pk, overlap=timedelta(days=7), by=None, now=database_now()
        )
        assert keys.signing_key_for(merchant).public_key == old.public_key
        assert signed((new.key.public_key, new.secret)).status_code == 200
        assert keys.signing_key_for(merchant).public_key == new.key.public_key
        assert signed(credentials).status_code == 200


class TestTheCount:
    def test_knows_each_outcome_by_key_address_and_endpoint(self, merchant, credentials):
        key_id = ApiKey.objects.get().pk
        call()
        call("bpk_unknown", "0" * 128)
        call(credentials[0])
        call(credentials[0], "0" * 128)
        signed(credentials)
        signed(credentials, peer="::ffff:203.0.113.7")
        signed(credentials, b"x" * 70_000, path="rest")
        peer = "203.0.113.7"
        assert counted() == {
            (None, peer, "accounts/list", Outcome.NO_KEY): 1,
            (None, peer, "accounts/list", Outcome.BAD_KEY): 1,
            (key_id, peer, "accounts/list", Outcome.NO_SIGNATURE): 1,
            (key_id, peer, "accounts/list", Outcome.BAD_SIGNATURE): 1,
            (key_id, peer, "accounts/list", Outcome.ACCEPTED): 2,
            (key_id, peer, "rest", Outcome.BAD_CONTENT): 1,
        }

    def test_shows_a_key_that_does_not_work_its_tries(self, merchant):
        key = keys.generate(merchant=merchant, by=None, now=NOW)
        call(key.public_key, "0" * 128)
        assert counted() == {(key.pk, "203.0.113.7", "accounts/list", Outcome.BAD_KEY): 1}

    @pytest.mark.parametrize("path", ["nothing/here", "../../etc", "a" * 3000, "accounts/list/x"])
    def test_lets_nobody_choose_what_is_stored(self, credentials, path):
        call(path=path)
        assert counted() == {(None, "203.0.113.7", "unknown", Outcome.NO_KEY): 1}

    def test_names_a_path_with_an_id_by_its_pattern(self, credentials):
        call(path="invoices/secret-17/cancel")
        assert counted() == {(None, "203.0.113.7", "invoices/<foreign_id>/cancel", Outcome.NO_KEY): 1}


def limit(merchant, credentials, *entries):
    key = ApiKey.objects.get(public_key=credentials[0])
    keys.set_allowlist(merchant=merchant, key_id=key.pk, entries=entries, by=None, now=NOW)
    authentication.keys.forget()
