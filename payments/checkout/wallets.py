"""What a wallet opens: a payment as a link, which is also what the QR code holds.

Bitcoin's kin take BIP 21 with their own scheme; a native coin of an Ethereum-like chain takes EIP-681 with
the chain's number and the amount in its smallest unit. Where nothing better is agreed on it is the plain
address, which every wallet reads. Amounts have a dot, whatever the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from payments.currencies import Currency

_BIP21: Mapping[str, str] = MappingProxyType(
    {"bitcoin": "bitcoin", "litecoin": "litecoin", "dogecoin": "dogecoin", "bitcoin-cash": "bitcoincash"}
)
"""The scheme of each network (BIP 21; the others took it over)."""
_CHAINS: Mapping[str, int] = MappingProxyType(
    {"ethereum": 1, "bnb-smart-chain": 56, "polygon": 137, "base": 8453, "arbitrum": 42161}
)
"""Chain ids (EIP-155)."""
_NATIVE = frozenset({"ETH", "BNB", "POL"})
"""Tickers that are coins of their chain; a token would need its contract's address."""
_WEI = Decimal(10) ** 18


def link(*, currency: Currency, address: str, amount: Decimal | None) -> str:
    """The payment as a wallet takes it. amount: in the currency itself; None leaves it to the payer."""
    network = currency.network.code if currency.network else ""
    if network in _BIP21:
        begun = address if ":" in address else f"{_BIP21[network]}:{address}"
        return begun if amount is None else f"{begun}?amount={_plain(amount)}"
    if network in _CHAINS and currency.ticker in _NATIVE:
        begun = f"ethereum:{address}@{_CHAINS[network]}"
        return begun if amount is None else f"{begun}?value={amount * _WEI:.0f}"
    return address


def _plain(amount: Decimal) -> str:
    """A dot, no grouping, no zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
