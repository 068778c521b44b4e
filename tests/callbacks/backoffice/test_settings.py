"""Settings → API: the callback address with its refusals, the switches, the test callback."""

from __future__ import annotations

import pytest

from callbacks import endpoints
from callbacks.models import Endpoint, OutgoingCallback
from merchants.roles import Role
from tests import desk, factories

pytestmark = pytest.mark.django_db
PATH = "settings/callbacks/"
WHOLE = {"preset": "2023", "below_minimum": "on", "sender_address": "on"}


@pytest.fixture
def at():
    return desk.desk(factories.merchant())


class TestEndpoint:
    def test_is_saved_whole(self, at):
        answer = at.post(PATH, url="http://127.0.0.1:9/callbacks", **WHOLE)
        assert answer.status_code == 302
        endpoint = Endpoint.objects.get(merchant=at.merchant)
        assert (endpoint.url, endpoint.preset) == ("http://127.0.0.1:9/callbacks", "2023")
        assert [getattr(endpoint, name) for name in endpoints.SWITCHES] == [True, False, False, True]

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://shop.test/",
            "javascript:alert(1)",
            "http://user:password@127.0.0.1/",
            "http://10.0.0.5/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::ffff:10.0.0.5]/",
            "http://",
            "shop",
            "http://127.0.0.1:99999/",
        ],
    )
    def test_says_at_the_field_why_an_address_is_refused(self, at, url):
        answer = at.post(PATH, url=url, **WHOLE)
        assert answer.status_code == 422
        assert 'id="id_url_error"' in answer.content.decode()
        assert not Endpoint.objects.exclude(url="").exists()

    def test_takes_a_fresh_code(self, at):
        assert at.post(PATH, url="http://127.0.0.1:9/", code="", **WHOLE).status_code == 422
        assert not Endpoint.objects.exists()

    def test_is_closed_to_who_may_only_look(self, at):
        viewer = desk.desk(at.merchant, Role.VIEW)
        assert viewer.post(PATH, url="http://127.0.0.1:9/", **WHOLE).status_code == 403
        assert viewer.get("settings/").status_code == 200

    def test_shows_which_key_signs(self, at):
        key, _ = factories.active_key(at.merchant)
        assert key in at.get("settings/").content.decode()


class TestTest:
    def test_shows_what_was_written(self, at):
        factories.active_key(at.merchant)
        at.post(PATH, url="http://127.0.0.1:9/callbacks", **WHOLE)
        answer = at.post("settings/test/")
        assert answer["Location"] == at.url("settings/test/1/")
        page = at.get("settings/test/1/")
        assert "bursar-test" in page.content.decode()
        assert page["Refresh"] == "1"

    def test_says_what_is_missing(self, at):
        assert "The merchant has no callback URL." in at.post("settings/test/").content.decode()
        assert not OutgoingCallback.objects.exists()

    def test_of_another_merchant_is_missing(self, at):
        assert at.get("settings/test/1/").status_code == 404
        assert at.get("settings/test/99999999999999999999/").status_code == 404
