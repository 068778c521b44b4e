"""Every page, wide and narrow, light and dark: nothing that axe minds, nothing wider than the window, and a
console without a word.
"""

from __future__ import annotations

import pytest

from tests.browser.visitor import NARROW, WIDE
from tests.flows.installation import until

pytestmark = pytest.mark.browser

M = "/m/11"
PAGES = [
    "/merchants/",
    "/account/",
    "/account/password/",
    "/account/recovery-codes/",
    "/account/authenticator/",
    "/account/email/",
    "/mailbox/",
    f"{M}/balances/",
    f"{M}/currencies/",
    f"{M}/currencies/add/",
    f"{M}/currencies/EUR/disable/",
    f"{M}/fees/",
    f"{M}/transactions/",
    f"{M}/transactions/?currency=BTC&status=cancelled",
    f"{M}/transactions/export/",
    f"{M}/transactions/views/save/?currency=BTC",
    f"{M}/callbacks/",
    f"{M}/callbacks/resend/",
    f"{M}/settings/",
    f"{M}/settings/callbacks/",
    f"{M}/settings/test/",
    f"{M}/addresses/",
    f"{M}/addresses/system/",
    f"{M}/receive/BTC/",
    f"{M}/send/BTC/",
    f"{M}/approvals/",
    f"{M}/withdrawals/",
    f"{M}/contacts/",
    f"{M}/contacts/add/",
    f"{M}/settings/withdrawal-limits/",
    f"{M}/settings/withdrawal-limits/staff/default/",
    f"{M}/settings/withdrawal-limits/api/add/",
    f"{M}/settings/withdrawal-limits/recipients/",
    f"{M}/stop/",
    f"{M}/stop/all/",
    f"{M}/alerts/",
    f"{M}/team/",
    f"{M}/team/invite/",
    f"{M}/team/viewer@demo.test/role/",
    f"{M}/keys/",
    f"{M}/keys/generate/",
    f"{M}/audit/",
    f"{M}/audit/export/",
    f"{M}/search/?q=nothing",
    f"{M}/nowhere/",
]


@pytest.fixture
def deposit(place):
    """A deposit that is confirmed and called back; the paths of its pages."""
    rows = place.query("SELECT wire_id FROM payments_operation ORDER BY id LIMIT 1")
    if not rows:
        place.control.call("pay", address=place.take("browser"), amount="0.01")
        place.control.call("block", network="BTC", count=3)
        rows = until(
            lambda: place.query(
                "SELECT wire_id FROM payments_operation o WHERE status = 'confirmed' AND EXISTS (SELECT 1"
                " FROM callbacks_outgoingcallback c WHERE c.subject_id = o.id AND c.state = 'delivered')"
            ),
            what="a deposit",
        )
    number = rows[0][0]
    base = f"{M}/transactions/{number}/"
    return [base, f"{base}callbacks/1/", f"{base}callbacks/1/resend/", f"{base}callbacks/1/signature/"]


@pytest.fixture
def own(owner, place):
    """An address and a view that the owner made; the paths of their pages."""
    if not place.query("SELECT 1 FROM merchants_savedview"):
        owner.go(f"{M}/transactions/views/save/?currency=BTC")
        owner.submit(code=False, name="Bitcoin alone")
        owner.go(f"{M}/receive/BTC/")
        owner.submit(code=False, label="Till 2")
    view = place.query("SELECT id FROM merchants_savedview LIMIT 1")[0][0]
    number = place.query("SELECT wire_id FROM payments_address WHERE label = 'Till 2' LIMIT 1")[0][0]
    return [
        f"{M}/transactions/?currency=BTC",
        f"{M}/transactions/views/{view}/remove/",
        f"{M}/addresses/{number}/",
        f"{M}/addresses/{number}/rename/",
    ]


def test_is_fit_for_everybody(owner, place, deposit, own):
    """In both widths and schemes, of which each page is told while it is open."""
    key = f"{M}/keys/{place.demo['api_key']}/"
    of_a_key = [key, *(f"{key}{act}/" for act in ("activate", "rotate", "deactivate", "allowlist"))]
    minded = []
    for path in [*PAGES, *deposit, *own, *of_a_key]:
        owner.go(path)
        minded += owner.judge(path.strip("/").replace("/", "-"))
    assert minded == []
    assert owner.complaints == []


@pytest.mark.parametrize("path", ["/sign-in/", "/operator/login/"])
def test_of_the_door_is_fit_for_everybody(owner, path):
    owner.page.context.clear_cookies()
    for width in (WIDE, NARROW):
        owner.look(width=width, scheme="light")
        owner.go(path)
        assert owner.overflow() <= 0
        if path == "/sign-in/":
            assert owner.findings() == []
    assert owner.complaints == []
