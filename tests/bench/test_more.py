"""Parts of the slower benchmarks, in small: what they lay in is true, what they read is read right."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from bench import growth, history, measure, memory, network, posting, sink
from bench.world import deposit_body, free_port
from callbacks.models import Endpoint
from launcher.state import ROOT
from merchants import signing
from payments import deposits
from payments.models import Operation
from tests import factories
from tests.factories import NOW


@pytest.fixture
def receivers() -> Iterator[int]:
    """The port at which two merchants' servers answer."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", str(port), "2"], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield port
    process.kill()
    process.wait()
    process.stdout.close()


class TestSink:
    @pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
    @pytest.mark.parametrize("number", [0, 1])
    def test_answers_at_each_merchants_own_address(self, receivers: int, number: int) -> None:
        with socket.create_connection((sink.host(number), receivers), 5) as line:
            line.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
            assert line.recv(1000).endswith(b"\r\n\r\nOK")

    def test_answers_each_request_once_however_it_is_cut(self, receivers: int) -> None:
        request = b"POST /c HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello"
        with socket.create_connection((sink.host(0), receivers), 5) as line:
            line.sendall(request + request[:20])
            line.sendall(request[20:41])
            line.sendall(request[41:])
            heard = b""
            while heard.count(b"OK") < 4:  # the status line says OK too
                heard += line.recv(1000)
        assert heard.count(b"200 OK\r\n") == 2


class TestPosting:
    @pytest.mark.parametrize("kind", ["requests", "http"])
    def test_counts_its_posts_and_what_they_took(self, receivers: int, kind: str) -> None:
        taken = posting.measure(kind, 10, f"http://127.0.0.1:{receivers}/callbacks")
        assert taken["count"] == 10
        assert taken["seconds"] > 0
        assert taken["cpu"] > 0

    def test_sends_what_a_delivery_sends(self) -> None:
        assert set(posting.HEADERS) == {signing.KEY_HEADER, signing.SIGNATURE_HEADER, "Content-Type"}
        assert len(posting.HEADERS[signing.SIGNATURE_HEADER]) == len(signing.sign("secret", posting.BODY))


@pytest.mark.django_db
class TestHistory:
    @pytest.fixture
    def shops(self) -> list[Any]:
        """Merchants with an address, terms and one deposit that was booked by the verb."""
        upstream = factories.processor()
        merchants = [factories.merchant() for _ in range(3)]
        for merchant in merchants:
            factories.terms(merchant=merchant)
            Endpoint.objects.create(merchant=merchant, url="http://127.0.0.1:9/")
            notice = factories.notice(factories.address(merchant))
            deposits.record_many(processor=upstream, notices=[notice], now=NOW)
        return merchants

    def test_obeys_every_rule_of_the_database(self, shops: list[Any]) -> None:
        with connection.cursor() as cursor:
            history.gather(cursor.execute, [merchant.pk for merchant in shops])
            history.book(cursor.execute, 1, 10, newest=20)
            history.book(cursor.execute, 11, 20, newest=20)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SELECT currency, sum(amount) FROM payments_posting GROUP BY currency")
            assert cursor.fetchall() == [("BTC", Decimal(0))]
            cursor.execute("SELECT count(*) FROM callbacks_deliveryattempt")
            assert cursor.fetchone() == (20,)
        assert Operation.objects.count() == 23

    def test_is_what_the_books_say_merchants_have(self, shops: list[Any]) -> None:
        with connection.cursor() as cursor:
            history.gather(cursor.execute, [merchant.pk for merchant in shops])
            history.book(cursor.execute, 1, 9, newest=9)
            cursor.execute("SELECT seq, balance FROM payments_account WHERE kind = 'available'")
            assert cursor.fetchall() == [(4, Decimal("0.01488000") * 4)] * 3


class TestGrowth:
    def test_names_the_tables_that_were_read_whole(self) -> None:
        before = {"payments_leg": (1, 500), "payments_entry": (2, 900)}
        after = {"payments_leg": (1, 500), "payments_entry": (4, 2900)}
        assert growth._read_whole(before, after) == ["payments_entry (2 times, 2,000 rows)"]

    @pytest.mark.django_db
    @pytest.mark.parametrize("what", growth.LOOK_UPS)
    def test_has_an_index_for_each_look_up(self, what: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {growth.LOOK_UPS[what]}")
            assert "Seq Scan" not in str(cursor.fetchall())


class TestMemory:
    def test_is_counted_by_role(self, monkeypatch: Any) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            env=os.environ | {"BURSAR_ROLE": "deliver"},
        )
        try:
            # a program that has just begun shows its environment a moment later
            measure.await_true(lambda: memory._name(process.pid) == "deliver", 10, "its role")
            assert memory._pss_kb(process.pid) > 0
        finally:
            process.kill()
            process.communicate()

    def test_of_what_is_gone_is_nothing(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        assert memory._name(process.pid) == "gone"
        assert memory._pss_kb(process.pid) == 0

    def test_is_driven_by_deposits_of_their_own(self) -> None:
        system = memory.System(1, {"sandbox_key": "key", "sandbox_secret": "secret"}, {}, {})
        system.addresses = [f"address-{number}" for number in range(memory.ADDRESSES)]
        requests = memory._deposits(system, memory.Length(0, 0, 1, 1))
        assert len(requests) == len(set(requests)) == memory.DEPOSITS_PER_SECOND
        head, _, body = requests[0].partition(b"\r\n\r\n")
        assert signing.sign("secret", body).encode() in head


class TestSecondHost:
    def test_is_refused_with_the_reason_where_it_cannot_be(self, monkeypatch: Any) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(network.NotPermitted, match="iproute2"), network.second_host():
            pass

    def test_runs_a_command_there(self) -> None:
        assert network.SecondHost("there", "198.18.0.1").command(["true"]) == [
            *("ip", "netns", "exec", "there", "true")
        ]


def test_a_deposits_body_differs_by_its_number() -> None:
    assert deposit_body("x", 1) != deposit_body("x", 2)
