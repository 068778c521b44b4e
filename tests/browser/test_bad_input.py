"""What people do by mistake, in a browser: twice, too late, two at once, without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import visiting

pytestmark = pytest.mark.browser
M = "/m/11"


@pytest.fixture
def second_owner(chromium, place):
    with visiting(chromium, place, "second_owner") as visitor:
        visitor.sign_in()
        yield visitor


def count(place, table):
    return place.query(f"SELECT count(*) FROM {table}")[0][0]


def the_key(place):
    """The public part of the merchant's active key."""
    found = place.query(
        "SELECT public_key FROM merchants_apikey k JOIN merchants_merchant m ON m.id = k.merchant_id"
        " WHERE m.wire_id = 11 AND k.state = 'active'"
    )
    return found[0][0]


def listed(place):
    return {
        row[0]
        for row in place.query(
            "SELECT host(e.network) FROM merchants_allowlistentry e"
            f" JOIN merchants_apikey k ON k.id = e.key_id WHERE k.public_key = '{the_key(place)}'"
        )
    }


class TestDoubleSubmit:
    def test_by_two_clicks_makes_one_key(self, owner, place):
        before = count(place, "merchants_apikey")
        owner.go(f"{M}/keys/generate/")
        owner.page.fill("main [name=code]", owner.code())
        owner.page.get_by_role("button", name="Generate").dblclick()
        owner.page.wait_for_url("**/keys/bpk*/")
        assert count(place, "merchants_apikey") == before + 1
        assert owner.complaints == []

    def test_of_the_same_form_spends_its_code_once(self, owner, place):
        before = count(place, "merchants_apikey")
        owner.go(f"{M}/keys/generate/")
        form = {
            "csrfmiddlewaretoken": owner.page.locator("main [name=csrfmiddlewaretoken]").input_value(),
            "code": owner.code(),
        }
        sent = [owner.page.request.post(owner.page.url, form=form) for _ in range(2)]
        assert [answer.status for answer in sent] == [200, 422]
        assert "Wait for the next code" in sent[1].text()
        assert count(place, "merchants_apikey") == before + 1


class TestTwoBrowsers:
    def test_editing_one_key_overwrite_nothing(self, owner, second_owner, place):
        path = f"{M}/keys/{the_key(place)}/allowlist/"
        for visitor in (owner, second_owner):
            visitor.go(path)
        owner.submit(ips="127.0.0.1, 203.0.113.20")
        if "What this list would do" in owner.text():
            owner.submit()
        assert "saved and in force" in owner.text()
        second_owner.submit(ips="127.0.0.1, 203.0.113.21")
        if "What this list would do" in second_owner.text():
            second_owner.submit()
        expect(second_owner.page.locator("#id_ips_error")).to_contain_text("changed meanwhile")
        assert listed(place) == {"127.0.0.1", "203.0.113.20"}


class TestCode:
    def test_that_is_wrong_says_so_at_the_field(self, owner, place):
        before = count(place, "merchants_apikey")
        owner.go(f"{M}/keys/generate/")
        owner.page.fill("main [name=code]", "000000")
        owner.submit(code=False)
        expect(owner.page.locator("#id_code_error")).to_be_visible()
        expect(owner.page.locator("main [name=code]")).to_be_focused()
        assert count(place, "merchants_apikey") == before


class TestMappedAddress:
    def test_is_kept_as_what_it_means(self, owner, place):
        owner.go(f"{M}/keys/{the_key(place)}/allowlist/")
        owner.submit(ips="127.0.0.1, ::ffff:198.51.100.9")
        if "What this list would do" in owner.text():
            owner.submit()
        assert "saved and in force" in owner.text()
        assert "198.51.100.9" in listed(place)


class TestExpiredSession:
    def test_leads_back_to_where_one_was(self, owner):
        owner.go(f"{M}/keys/")
        owner.page.context.clear_cookies()
        owner.go(f"{M}/keys/generate/")
        assert "/sign-in/" in owner.page.url
        owner.page.fill("[name=email]", owner.email)
        owner.page.fill("[name=password]", owner.password)
        owner.page.fill("[name=code]", owner.code())
        owner.page.click("main [type=submit]")
        owner.page.wait_for_url(f"**{M}/keys/generate/")


class TestWithoutScripts:
    def test_the_whole_of_a_step_works(self, chromium, place):
        before = count(place, "merchants_apikey")
        with visiting(chromium, place, "second_owner", javascript=False) as visitor:
            visitor.sign_in()
            visitor.go(f"{M}/keys/generate/")
            visitor.submit()
            assert "The key is made." in visitor.text()
            visitor.go(f"{M}/receive/BTC/")
            visitor.submit(code=False, label="Without scripts")
            assert "Without scripts" in visitor.text("h1")
            assert visitor.page.locator(".qr svg").count() == 1
        assert count(place, "merchants_apikey") == before + 1
