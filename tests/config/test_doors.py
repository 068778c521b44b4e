"""The doors of a process: health, hosts, last-resort errors, and what each role serves."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory

from config.wsgi import application
from merchants import signing
from tests import factories
from tests.signed import SignedClient

ROOT = Path(__file__).parents[2]
HOSTS = {"backoffice": "desk.test", "api": "api.test", "checkout": "pay.test", "operator": "ops.test"}


@pytest.fixture
def hosts(settings):
    settings.ALLOWED_HOSTS = [*HOSTS.values(), "testserver"]
    settings.DOOR_HOSTS = HOSTS


@pytest.mark.django_db
class TestHealth:
    def test_says_role_and_database(self, client):
        assert client.get("/healthz").json() == {"role": "manage", "database": "ok"}

    def test_is_answered_on_every_host(self, client, hosts):
        assert client.get("/healthz", headers={"Host": "anything.test"}).status_code in {200, 400}
        assert client.get("/healthz", headers={"Host": "api.test"}).status_code == 200


@pytest.mark.django_db
class TestHosts:
    @pytest.mark.parametrize(
        ("path", "door"),
        [("/sign-in/", "backoffice"), ("/api/v2/ping", "api"), ("/operator/login/", "operator")],
    )
    def test_serve_one_door_each(self, client, hosts, path, door):
        for name, host in HOSTS.items():
            expected = 200 if name == door else 404
            assert client.get(path, headers={"Host": host}).status_code == expected, host

    def test_are_all_one_where_none_is_named(self, client):
        assert client.get("/api/v2/ping").status_code == 200
        assert client.get("/sign-in/").status_code == 200


@pytest.mark.django_db
class TestErrors:
    def test_are_json_for_programs_and_a_page_for_people(self, client):
        assert client.get("/api/v3/anything").json() == {"error": "Not found", "code": "not_found"}
        assert "no such page" in client.get("/nothing").content.decode()

    def test_are_json_for_a_program_at_a_host_that_is_not_ours(self, client):
        answer = client.get("/api/v2/ping", headers={"Host": "evil.test"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_content_format")
        page = client.get("/", headers={"Host": "evil.test"})
        assert (page.status_code, page.content) == (400, b"This request cannot be read.")

    @pytest.mark.parametrize(
        "form", ["email=" + "x" * 1_100_000, "&".join(f"f{number}=1" for number in range(1_100))]
    )
    def test_are_no_matter_for_the_log_where_a_form_is_too_large(self, client, caplog, form):
        kind = "application/x-www-form-urlencoded"
        for path in ("/sign-in/", "/operator/login/"):
            answer = client.post(path, form, content_type=kind)
            assert answer.status_code == 400
        assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]

    def test_name_nothing_of_what_failed(self, client, monkeypatch):
        def fail(*_, **__):
            raise RuntimeError("a secret detail")

        monkeypatch.setattr("payments.ledger.balances", fail)
        client.raise_request_exception = False
        answer = SignedClient(factories.merchant()).post("accounts/list", b"")
        assert answer.status_code == 500
        assert answer.json() == {"error": "Internal server error", "code": "internal_error"}
        assert b"secret detail" not in answer.content


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=known | environment, capture_output=True, text=True, check=False
    )


class TestSettings:
    def test_refuse_production_with_a_default_secret(self):
        done = manage("check", BURSAR_ENV="production")
        assert done.returncode != 0
        assert "Production needs its own BURSAR_SECRET_KEY" in done.stderr

    def test_refuse_a_sandbox_control_in_production(self):
        done = manage(
            "check",
            BURSAR_ENV="production",
            BURSAR_SECRET_KEY="x" * 60,
            BURSAR_ENCRYPTION_KEYS="k1:" + "A" * 43 + "=",
            BURSAR_SANDBOX_CONTROL_URL="http://127.0.0.1:8010",
        )
        assert "The sandbox cannot be reached from production" in done.stderr

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("BURSAR_ENV", "staging"),
            ("BURSAR_ROLE", "boss"),
            ("BURSAR_ENCRYPTION_KEYS", "k1:short"),
            ("BURSAR_TRUSTED_PROXIES", "10.0.0.300"),
        ],
    )
    def test_name_what_is_wrong(self, name, value):
        done = manage("check", **{name: value})
        assert done.returncode != 0
        assert name in done.stderr

    @pytest.mark.parametrize(
        ("role", "served", "closed"),
        [("web", "/api/v2/ping", "/callbacks/sandbox/"), ("intake", "/callbacks/sandbox/", "/api/v2/ping")],
    )
    def test_open_each_role_its_own_doors_only(self, role, served, closed):
        ask = (
            "from django.urls import resolve, Resolver404\n"
            f"resolve({served!r})\n"
            f"try:\n    resolve({closed!r})\nexcept Resolver404:\n    print('closed')"
        )
        done = manage("shell", "-v0", "-c", ask, BURSAR_ROLE=role)
        assert "closed" in done.stdout, done.stderr


@pytest.mark.django_db
class TestChunkedBodies:
    """Through the WSGI application itself: the server has taken the chunks apart and tells no length."""

    def ask(self, body: bytes, signature: str) -> tuple[str, bytes]:
        statuses: list[str] = []
        environ = RequestFactory().generic("POST", "/api/v2/currencies/list").environ
        environ |= {
            "HTTP_TRANSFER_ENCODING": "chunked",
            "CONTENT_TYPE": "application/json",
            "HTTP_X_PROCESSING_KEY": self.client.key,
            "HTTP_X_PROCESSING_SIGNATURE": signature,
            "wsgi.input": io.BytesIO(body),
        }
        environ.pop("CONTENT_LENGTH", None)
        answer = application(environ, lambda status, headers, *_: statuses.append(status))
        return statuses[0][:3], b"".join(answer)

    @pytest.fixture(autouse=True)
    def _client(self):
        self.client = SignedClient(factories.merchant())
        request_started.disconnect(close_old_connections)  # as Django's own test client does
        yield
        request_started.connect(close_old_connections)

    def sign(self, body: bytes) -> str:
        return signing.sign(self.client.secret, body)

    def test_are_what_is_signed_and_read(self):
        body = b'{"visible":"maybe"}'
        status, answer = self.ask(body, self.sign(body))
        assert (status, b"visible" in answer) == ("400", True)

    def test_are_never_taken_for_nothing(self):
        assert self.ask(b'{"visible":false}', self.sign(b""))[0] == "403"

    def test_are_refused_when_they_are_too_large(self):
        body = b"{" + b" " * 70_000 + b"}"
        assert self.ask(body, self.sign(body))[0] == "400"
        assert self.ask(b"x" * 2_000_000, "0" * 128)[0] == "400"
