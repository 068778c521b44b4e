"""The example client of the docs, as a merchant would run it: a process of its own, over HTTP."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from merchants import signing
from payments import addresses, positions
from payments.models import Address, Exchange
from tests import factories
from tests.factories import money
from tests.payments.upstream_of_exchanges import trader
from tests.vectors import VECTORS

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "client.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_client", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestExample:
    def test_is_short_and_needs_requests_alone(self):
        lines = EXAMPLE.read_text().splitlines()
        assert len(lines) < 80
        imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
        assert imported - sys.stdlib_module_names == {"requests"}

    @pytest.mark.django_db(transaction=True)
    def test_runs_against_the_api(self, live_server, monkeypatch):
        monkeypatch.setattr("payments.doorbell.ring", lambda bell: None)
        positions.forget()
        merchant = trader()
        factories.fund(merchant, money("1"))
        Address.objects.create(
            processor=factories.processor(),
            currency="BTC",
            address="2Nexample",
            lookup=addresses.lookup("BTC", "2Nexample"),
        )
        key, secret = factories.active_key(merchant)
        known = {"BURSAR_URL": live_server.url, "BURSAR_KEY": key, "BURSAR_SECRET": secret}
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), "mine-1"],
            env=os.environ | known,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        sold = Exchange.objects.get()
        assert done.stdout.splitlines() == [
            "1.00000000 BTC",
            "0.00000000 ETH",
            "0.00000000 EUR",
            "0.00000000 USD",
            "customer-1 pays to 2Nexample",
            "0.01 BTC can be sold at 60000.00000000",
            f"exchange {sold.operation.wire_id} is processing",
        ]

    def test_believes_our_callbacks_and_no_others(self):
        example = loaded()
        meta, vector = VECTORS["meta"], VECTORS["callbacks"][0]
        client = example.Bursar("http://nowhere", meta["demo_public_key"], meta["demo_secret"])
        body = vector["raw"].encode()
        headers = {signing.KEY_HEADER: meta["demo_public_key"], signing.SIGNATURE_HEADER: vector["signature"]}
        assert client.callback(headers, body) == vector["payload"]
        for forged in (
            (headers | {signing.KEY_HEADER: "another"}, body),
            (headers | {signing.SIGNATURE_HEADER: "0" * 128}, body),
            ({}, body),
            (headers, body + b" "),
        ):
            with pytest.raises(example.Refused):
                client.callback(*forged)
