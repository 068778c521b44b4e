"""The embedded services: real servers in a directory of the test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from launcher.services import Postgres, ServiceFailed, Valkey

ROOT = Path(__file__).parents[2]


@pytest.fixture
def postgres(tmp_path):
    server = Postgres(tmp_path / "postgres", throw_away=True)
    server.start()
    server.prepare()
    yield server
    server.stop()


class TestPostgres:
    def test_lets_each_role_in_and_gives_the_database_to_the_owner(self, postgres):
        for user in ("bursar_owner", "bursar_app", "bursar_sender"):
            with psycopg.connect(postgres.url(user)) as connection:
                row = connection.execute("SELECT current_user, current_database()").fetchone()
                assert row == (user, "bursar")
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'bursar'"
        assert postgres.ask(owner) == "bursar_owner"

    def test_makes_no_role_mighty(self, postgres):
        mighty = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'bursar_%' AND rolsuper"
        assert postgres.ask(mighty) == "1"  # bursar_super alone, which no process is given

    def test_listens_on_no_network(self, postgres):
        assert postgres.ask("SHOW listen_addresses") == ""

    def test_keeps_its_socket_from_others(self, postgres):
        assert postgres.sockets.stat().st_mode & 0o777 == 0o700

    def test_may_be_prepared_twice(self, postgres):
        postgres.prepare()
        assert postgres.ask("SELECT count(*) FROM pg_database WHERE datname = 'bursar'") == "1"

    def test_keeps_its_data_and_removes_its_socket_directory(self, postgres, tmp_path):
        postgres.ask("CREATE TABLE kept AS SELECT 7 AS number", "bursar")
        postgres.stop()
        assert not postgres.sockets.exists()
        again = Postgres(tmp_path / "postgres", throw_away=True)
        again.start()
        assert again.ask("SELECT number FROM kept", "bursar") == "7"
        again.stop()

    def test_starts_after_it_was_killed(self, postgres, tmp_path):
        postgres.process.kill()
        postgres.process.wait()
        again = Postgres(tmp_path / "postgres", throw_away=True)
        again.start()
        assert again.ask("SELECT 1") == "1"
        again.stop()

    def test_starts_though_its_pid_file_names_a_stranger(self, postgres, tmp_path):
        postgres.stop()
        (postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.data}\n")
        postgres.start()
        assert postgres.ask("SELECT 1") == "1"

    def test_refuses_a_socket_directory_that_is_a_link(self, tmp_path):
        server = Postgres(tmp_path / "postgres", throw_away=True)
        server.sockets = tmp_path / "sockets"
        server.sockets.symlink_to(tmp_path)
        with pytest.raises(ServiceFailed, match="belongs to somebody else"):
            server.start()

    def test_tells_a_failed_statement_in_one_line(self, postgres):
        with pytest.raises(ServiceFailed, match=r"PostgreSQL: psql: .*nowhere") as told:
            postgres.ask("SELECT 1 FROM nowhere")
        assert "\n" not in str(told.value)


class TestValkey:
    @pytest.fixture
    def url(self, tmp_path):
        server = Valkey(tmp_path / "valkey")
        yield server.start()
        server.stop()

    def test_answers_who_knows_its_password(self, url):
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}

    def test_refuses_who_does_not(self, url):
        with socket.create_connection(("127.0.0.1", urlsplit(url).port), 5) as stranger:
            stranger.sendall(b"PING\r\n")
            assert stranger.recv(100).startswith(b"-NOAUTH")


class TestBoth:
    def test_end_when_their_launcher_is_killed(self, tmp_path):
        script = textwrap.dedent(f"""
            import signal
            from pathlib import Path
            from launcher.services import Postgres, Valkey
            postgres = Postgres(Path({str(tmp_path)!r}) / "postgres", throw_away=True)
            valkey = Valkey(Path({str(tmp_path)!r}) / "valkey")
            valkey.start()
            postgres.start()
            print(postgres.process.pid, valkey.process.pid, flush=True)
            signal.pause()
        """)
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
            numbers = [int(word) for word in launcher.stdout.readline().split()]
            assert all(is_alive(number) for number in numbers)
            launcher.send_signal(signal.SIGKILL)
        end = time.monotonic() + 20
        while any(is_alive(number) for number in numbers) and time.monotonic() < end:
            time.sleep(0.05)
        assert len(numbers) == 2
        assert not any(is_alive(number) for number in numbers)


def is_alive(number: int) -> bool:
    """A zombie that nobody has buried yet is dead."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
