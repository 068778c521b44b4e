"""What every page tells the browser, whichever door it belongs to, and how cookies travel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.django_db
PAGES = ("/sign-in/", "/operator/", "/no-such-page/", "/healthz", "/api/v2/ping", "/api/v2/accounts/list")


@pytest.mark.parametrize("path", PAGES)
class TestEveryAnswer:
    def test_forbids_frames_and_foreign_code(self, client, path):
        answer = client.get(path)
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert answer["X-Frame-Options"] == "DENY"

    def test_lets_nobody_guess_types_or_learn_where_people_came_from(self, client, path):
        answer = client.get(path)
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"

    def test_shares_nothing_with_foreign_pages(self, client, path):
        answer = client.get(path, headers={"origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in answer


class TestCookies:
    def test_are_out_of_reach_for_scripts_and_other_sites(self):
        assert settings.SESSION_COOKIE_HTTPONLY is True
        assert settings.SESSION_COOKIE_SAMESITE == "Lax"
        assert settings.SESSION_COOKIE_AGE == 12 * 3600

    def test_travel_by_https_alone_where_the_installation_is_reached_by_it(self):
        names = "s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS"
        code = f"import config.settings as s; print({names})"
        environment = {"PATH": os.environ["PATH"], "BURSAR_PUBLIC_URL": "https://pay.example.org"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "True True 31536000\n"
