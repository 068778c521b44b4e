"""Words of money on pages: where a transaction can be looked up, how a risk is said."""

from __future__ import annotations

import pytest

from payments.templatetags import money


class TestExplorer:
    def test_knows_the_networks_own(self, settings):
        settings.SANDBOX = False
        assert money.explorer("BTC", "ab12") == "https://mempool.space/tx/ab12"

    def test_sends_nobody_from_the_sandbox_to_a_real_chain(self, settings):
        settings.SANDBOX = True
        assert money.explorer("BTC", "ab12") == ""

    @pytest.mark.parametrize(("currency", "txid"), [("EUR", "ab12"), ("BTC", ""), ("NONSENSE", "ab12")])
    def test_says_nothing_where_there_is_none(self, settings, currency, txid):
        settings.SANDBOX = False
        assert money.explorer(currency, txid) == ""


class TestShare:
    @pytest.mark.parametrize(
        ("fraction", "said"),
        [("0.5", "50 %"), ("1", "100 %"), (None, "not known yet"), ("x", "not known yet")],
    )
    def test_says_a_fraction_in_percent(self, fraction, said):
        assert money.share(fraction) == said
