"""What stands against sending at the last hop, however it came to be approved."""

from __future__ import annotations

import pytest

from payments import ledger
from payments.models import Alert
from tests.factories import money
from tests.payments import upstream_of_payouts as up
from tests.payments.upstream_of_payouts import Payer, approved, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return up.payer_out()


def is_held_back(row, payer: Payer) -> str:
    send(payer)
    row.refresh_from_db()
    assert (row.state, payer.submitted) == ("approved", [])
    return Alert.objects.get(kind="altered").text


class TestApproved:
    @pytest.fixture
    def row(self, shop):
        return up.approved_by_hand(shop, up.owner(shop))

    @pytest.mark.parametrize(
        "change",
        [
            "amount = 0.09, held = held - 0.01",
            f"address = '{up.address_formats.make('bitcoin', b'a thief', testnet=True)}'",
            "note = 'x'",
        ],
    )
    def test_content_that_changed_is_not_sent(self, row, change):
        up.meddle(f"UPDATE payments_withdrawal SET {change}")
        assert "approved" in is_held_back(row, Payer())

    def test_by_nobody_is_not_sent(self, row):
        up.meddle(
            "ALTER TABLE payments_withdrawal DROP CONSTRAINT withdrawal_beyond_a_limit_is_decided_by_somebody"
        )
        up.meddle("UPDATE payments_withdrawal SET decided_by_id = NULL")
        assert "Nobody" in is_held_back(row, Payer())


class TestHold:
    def test_of_another_amount_is_not_sent(self, shop):
        row = approved(shop)
        up.meddle("UPDATE payments_withdrawal SET amount = amount + 1, held = held + 1")
        assert "books" in is_held_back(row, Payer())

    def test_that_is_missing_is_not_sent(self, shop):
        row = approved(shop)
        up.meddle("UPDATE payments_entry SET key = 'gone' WHERE key LIKE 'withdrawal:%:hold'")
        assert "books" in is_held_back(row, Payer())


class TestParties:
    @pytest.mark.parametrize("field", ["amount_to", "convert_to", "tag", "address"])
    def test_that_would_change_the_order_are_not_sent(self, shop, field):
        row = approved(shop)
        up.meddle(f'UPDATE payments_withdrawal SET parties = \'{{"{field}": "1"}}\'')
        assert "parties" in is_held_back(row, Payer())

    def test_beside_it_are(self, shop):
        approved(shop, parties={"sender": {"name": "A"}})
        payer = Payer()
        send(payer)
        assert len(payer.submitted) == 1


class TestDestination:
    def test_without_its_checksum_is_not_sent(self, shop):
        row = approved(shop)
        broken = up.ADDRESS[:-1] + ("x" if up.ADDRESS[-1] != "x" else "y")
        up.meddle(f"UPDATE payments_withdrawal SET address = '{broken}', lookup = '{broken}'")
        assert "destination" in is_held_back(row, Payer())


class TestDebt:
    def test_holds_payouts_up_until_it_is_paid(self, shop):
        row, payer = approved(shop), Payer()
        with up.transaction.atomic():
            ledger.post(
                ledger.NewEntry(
                    key="reversal",
                    kind="test",
                    subject="test",
                    occurred_at=up.NOW,
                    lines=[
                        ledger.reclaim(shop.pk, money("20")),
                        ledger.house(ledger.AccountKind.ADJUSTMENT, money("20")),
                    ],
                )
            )
        send(payer)
        row.refresh_from_db()
        assert (row.state, payer.submitted) == ("approved", [])
