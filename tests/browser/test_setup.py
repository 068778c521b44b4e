"""The set-up stage in a browser: key, allowlist, callback address, currencies, test callback."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.flows.installation import until

pytestmark = pytest.mark.browser
M = "/m/11"


class TestKeys:
    def test_are_generated_activated_and_shown_once(self, owner, place):
        owner.go(f"{M}/keys/")
        first = owner.page.locator("tbody a code").first.get_attribute("data-value")
        owner.go(f"{M}/keys/{first}/deactivate/")
        owner.submit()
        assert "deactivated for good" in owner.text()
        owner.go(f"{M}/keys/generate/")
        owner.submit()
        owner.page.get_by_role("link", name="Activate", exact=True).click()
        owner.submit()
        assert "Save this secret now" in owner.text()
        secret = owner.text("#secret")
        assert secret.startswith("bps_") or len(secret) > 40
        place.demo["api_key"], place.demo["api_secret"] = owner.text("#public-key"), secret
        place.receiver.secret = secret
        assert place.call("accounts/list").status_code == 200

        owner.page.reload()
        assert secret not in owner.page.content()
        owner.page.go_back()
        assert secret not in owner.page.content()
        owner.go(f"{M}/keys/")
        assert secret not in owner.page.content()
        assert owner.complaints == []

    def test_lock_out_nobody_unseen(self, owner, place):
        place.call("accounts/list")
        key = place.demo["api_key"]
        owner.go(f"{M}/keys/{key}/")

        def seen():
            owner.page.reload()
            return "127.0.0.1" in owner.text()

        until(seen, seconds=20, what="the key's traffic")
        owner.go(f"{M}/keys/{key}/allowlist/")
        owner.submit(ips="203.0.113.9, 2001:db8::7")
        assert "within the hour" in owner.text()
        owner.submit()
        assert "Type LOCK OUT to go on." in owner.text()
        owner.submit(ips="127.0.0.1, 203.0.113.9", typed="")
        if "What this list would do" in owner.text():
            owner.submit()
        assert "saved and in force" in owner.text()
        assert place.call("accounts/list").status_code == 200

    def test_show_addresses_as_chips_that_can_be_removed(self, owner, place):
        owner.go(f"{M}/keys/{place.demo['api_key']}/allowlist/")
        owner.page.fill("[name=ips]", "127.0.0.1, 203.0.113.9")
        owner.page.click("[aria-label='Remove 203.0.113.9']")
        expect(owner.page.locator("[name=ips]")).to_have_value("127.0.0.1")

    @pytest.mark.parametrize(
        ("ips", "sentence"),
        [
            ("10.0.0.300", "is not an IPv4 or IPv6 address or network"),
            ("0.0.0.0/0", "allows requests from everywhere"),
            (", ".join(f"10.{n // 250}.{n % 250}.1" for n in range(5000)), "At most"),
        ],
    )
    def test_refuse_at_the_field(self, owner, place, ips, sentence):
        owner.go(f"{M}/keys/{place.demo['api_key']}/allowlist/")
        owner.page.locator("[name=ips]").evaluate("(area, text) => { area.value = text }", ips)
        owner.submit()
        error = owner.page.locator("#id_ips_error")
        expect(error).to_contain_text(sentence)
        expect(owner.page.locator("[name=ips]")).to_have_attribute(
            "aria-describedby", re.compile("id_ips_error")
        )

    def test_say_when_a_code_was_used(self, owner):
        owner.go(f"{M}/keys/generate/")
        owner.submit()
        owner.go(f"{M}/keys/generate/")
        owner.page.fill("main [name=code]", owner.last_code)
        owner.submit(code=False)
        text = owner.text()
        assert "Wait for the next code" in text or "This code is not right" in text


class TestCallbackAddress:
    def test_is_set_and_tried(self, owner, place):
        owner.go(f"{M}/settings/callbacks/")
        owner.submit(url=place.receiver.url)
        assert "The callback settings are saved." in owner.text()
        before = len(place.receiver.bodies)
        owner.page.get_by_role("link", name="Send test callback").click()
        owner.submit(code=False)
        expect(owner.page.locator("h1 .badge")).to_have_text("Delivered")
        assert len(place.receiver.bodies) == before + 1
        told = place.receiver.bodies[-1]
        assert (told["crypto_address"]["foreign_id"], told["status"]) == ("bursar-test", "cancelled")
        assert place.receiver.unsigned == 0
        assert "Your server answered 200." in owner.text()
        assert owner.complaints == []

    @pytest.mark.parametrize(
        "url", ["http://user:pw@shop.test/", "http://10.0.0.5/", "ftp://shop.test/", "javascript:alert(1)"]
    )
    def test_says_why_it_is_refused(self, owner, url):
        owner.go(f"{M}/settings/callbacks/")
        owner.submit(url=url)
        expect(owner.page.locator("#id_url_error")).to_be_visible()
        expect(owner.page.locator("[name=url]")).to_have_value(url)


class TestCurrencies:
    def test_are_searched_enabled_several_at_once_and_disabled(self, owner):
        owner.go(f"{M}/currencies/add/?q=ethereum")
        owner.page.check("[value=USDTE]")
        owner.page.check("[value=USDC]")
        owner.submit(code=False)
        assert "Enabled: USDTE, USDC." in owner.text() or "Enabled: USDC, USDTE." in owner.text()
        owner.go(f"{M}/currencies/USDC/disable/")
        owner.submit(code=False)
        assert "USDC is disabled." in owner.text()


class TestRoles:
    def test_name_the_missing_permission_and_who_has_it(self, viewer):
        viewer.go(f"{M}/keys/")
        assert "See API keys and where they are used from" in viewer.text()
        assert "Owner" in viewer.text()
        viewer.go(f"{M}/balances/")
        assert "API keys" not in viewer.text("nav.tabs")

    def test_hide_other_merchants(self, viewer):
        assert viewer.go("/m/12/balances/").status == 404


class TestExpiredForm:
    def test_says_so_and_loses_nothing(self, owner):
        owner.go(f"{M}/keys/generate/")
        owner.page.context.clear_cookies(name="csrftoken")
        owner.submit()
        assert "open for too long" in owner.text("body")
