"""`manage.py seed_demo`: who is there afterwards, at which prices, and that it happens once."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from callbacks.models import Endpoint
from merchants.models import Merchant
from payments import ledger
from payments.ledger import proof
from payments.models import Processor, Route, Terms

pytestmark = pytest.mark.django_db

SHOP = "http://127.0.0.1:9020/callbacks"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "demo.json"


def seed(out: Path, **more: Any) -> dict[str, Any]:
    call_command("seed_demo", json_out=out, **{"shop_url": SHOP} | more, verbosity=0)
    facts: dict[str, Any] = json.loads(out.read_text())
    return facts


class TestSeedDemo:
    def test_makes_a_shop_whose_processor_is_the_sandbox(self, out):
        facts = seed(out)
        merchant = Merchant.objects.get()
        assert (merchant.name, merchant.wire_id) == ("Demo Shop", facts["client_id"])
        assert Endpoint.objects.get().url == facts["callback_url"] == SHOP
        assert set(Route.objects.values_list("processor__code", flat=True)) == {"sandbox"}
        assert Terms.objects.get(merchant=None, currency="BTC").deposit_fee_percent == Decimal("0.008")
        assert out.stat().st_mode & 0o777 == 0o600

    def test_makes_a_shop_whose_processor_is_another_bursar(self, out):
        seed(out, processor="upstream")
        processor = Processor.objects.get()
        assert (processor.code, processor.connector) == ("upstream", "gateway")
        assert set(Route.objects.values_list("processor__code", flat=True)) == {"upstream"}

    def test_serves_another_bursar_at_half_the_price(self, out):
        facts = seed(out, merchant="bursar")
        assert Merchant.objects.get().name == "Bursar in front"
        assert facts["owner"]["email"] == "owner@front.test"
        assert facts["operator"]["email"] == "operator@upstream.test"
        assert Terms.objects.get(merchant=None, currency="BTC").deposit_fee_percent == Decimal("0.004")

    def test_books_no_bank_transfer_unless_there_was_one(self, out):
        seed(out)
        assert proof.at_processor(Processor.objects.get().pk) == {}

    def test_books_what_a_bank_brought(self, out):
        facts = seed(out, banked=True)
        at_processor = proof.at_processor(Processor.objects.get().pk)
        assert at_processor == {"EUR": Decimal(10_000), "USD": Decimal(10_000)}
        (merchant,) = Merchant.objects.filter(wire_id=facts["client_id"])
        balances = {row.currency: row.available for row in ledger.balances(merchant)}
        assert (balances["EUR"], balances["BTC"]) == (Decimal(10_000), Decimal(0))

    def test_moves_only_the_callback_address_the_second_time(self, out):
        before = seed(out)
        moved = "http://127.0.0.1:9520/callbacks"
        assert seed(out, shop_url=moved, banked=True) == before
        assert Endpoint.objects.get().url == moved
        assert proof.at_processor(Processor.objects.get().pk) == {}

    def test_refuses_in_production(self, out, settings):
        settings.PRODUCTION = True
        with pytest.raises(CommandError, match="for the sandbox only"):
            seed(out)
        assert not out.exists()
        assert not Merchant.objects.exists()
