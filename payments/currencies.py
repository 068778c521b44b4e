"""The currency registry: every currency Bursar knows, one entry each.

It promises that a code, an id and a network never change their meaning: ids go out on the wire and are
never reused, so a new currency is one new line with the next free id. Whether a merchant may use a
currency, and at what price, is decided by terms, not here; a crypto currency whose network has no
address format yet can not be enabled by anyone.

Codes, confirmations and minimums: the processing docs' currency table of 2023-12. The codes that only
the 2026 docs name (`ETHA`, `SOL` and the like) come without published numbers; theirs are Bursar's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from payments.errors import SelectedIsInvalid

PRECISION = 8
"""Decimals of every currency on the wire, fiat included."""


class CurrencyKind(StrEnum):
    """What a currency is; the wire's spelling."""

    CRYPTO = "crypto"
    """Moves on a network, to addresses."""
    FIAT = "fiat"
    """Moves between banks; here only balances, top-ups and conversions."""


class UnknownCurrency(SelectedIsInvalid):
    """The selected {attr} is invalid."""

    field = "currency"


@dataclass(frozen=True, slots=True)
class Network:
    """A chain. `address_format` names an entry of `payments.address_formats`, None where there is none yet.

    The explorers are URL templates with one `{txid}`; empty where no public explorer serves that chain.
    """

    code: str
    name: str
    address_format: str | None
    explorer: str
    testnet_explorer: str = ""

    def transaction_url(self, *, txid: str, testnet: bool) -> str:
        """Where a person can look the transaction up, or an empty string."""
        return (self.testnet_explorer if testnet else self.explorer).format(txid=txid)


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency.

    id: the number in `currencies/list`. ticker: what people call it, shared by the forms of one coin.
    network: None for fiat. confirmations: how many make a deposit final; with `instant`, a risk service
    may make it final at none. minimum_deposit and minimum_withdrawal: in the currency itself, what terms
    begin with. takes_tag: an address is only complete with a tag. has_riskscore: deposits are scored.
    """

    code: str
    id: int
    kind: CurrencyKind
    name: str
    ticker: str
    network: Network | None = None
    precision: int = PRECISION
    takes_tag: bool = False
    confirmations: int = 0
    instant: bool = False
    minimum_deposit: Decimal = Decimal(0)
    minimum_withdrawal: Decimal = Decimal(0)
    has_riskscore: bool = False

    @property
    def is_crypto(self) -> bool:
        return self.kind is CurrencyKind.CRYPTO

    @property
    def address_format(self) -> str | None:
        """The format of its addresses: the network's, None for fiat and for networks without one yet."""
        return self.network.address_format if self.network else None

    @property
    def can_be_enabled(self) -> bool:
        """Fiat always; crypto once its addresses can be checked."""
        return not self.is_crypto or self.address_format is not None


BITCOIN = Network(
    "bitcoin",
    "Bitcoin",
    "bitcoin",
    "https://mempool.space/tx/{txid}",
    "https://mempool.space/testnet/tx/{txid}",
)
BITCOIN_CASH = Network(
    "bitcoin-cash",
    "Bitcoin Cash",
    "bitcoin-cash",
    "https://blockchair.com/bitcoin-cash/transaction/{txid}",
    "https://tbch.loping.net/tx/{txid}",
)
LITECOIN = Network(
    "litecoin",
    "Litecoin",
    "litecoin",
    "https://litecoinspace.org/tx/{txid}",
    "https://litecoinspace.org/testnet/tx/{txid}",
)
DOGECOIN = Network("dogecoin", "Dogecoin", "dogecoin", "https://blockchair.com/dogecoin/transaction/{txid}")
ETHEREUM = Network(
    "ethereum", "Ethereum", "evm", "https://etherscan.io/tx/{txid}", "https://sepolia.etherscan.io/tx/{txid}"
)
ARBITRUM = Network(
    "arbitrum",
    "Arbitrum One",
    "evm",
    "https://arbiscan.io/tx/{txid}",
    "https://sepolia.arbiscan.io/tx/{txid}",
)
BASE = Network(
    "base", "Base", "evm", "https://basescan.org/tx/{txid}", "https://sepolia.basescan.org/tx/{txid}"
)
POLYGON = Network(
    "polygon",
    "Polygon PoS",
    "evm",
    "https://polygonscan.com/tx/{txid}",
    "https://amoy.polygonscan.com/tx/{txid}",
)
BNB_SMART_CHAIN = Network(
    "bnb-smart-chain",
    "BNB Smart Chain",
    "evm",
    "https://bscscan.com/tx/{txid}",
    "https://testnet.bscscan.com/tx/{txid}",
)
BNB_BEACON = Network("bnb-beacon", "BNB Beacon Chain", None, "https://explorer.bnbchain.org/tx/{txid}")
TRON = Network(
    "tron",
    "Tron",
    "tron",
    "https://tronscan.org/#/transaction/{txid}",
    "https://shasta.tronscan.org/#/transaction/{txid}",
)
XRP_LEDGER = Network(
    "xrp-ledger",
    "XRP Ledger",
    "xrp",
    "https://livenet.xrpl.org/transactions/{txid}",
    "https://testnet.xrpl.org/transactions/{txid}",
)
CARDANO = Network(
    "cardano",
    "Cardano",
    None,
    "https://cardanoscan.io/transaction/{txid}",
    "https://preprod.cardanoscan.io/transaction/{txid}",
)
SOLANA = Network(
    "solana",
    "Solana",
    None,
    "https://solscan.io/tx/{txid}",
    "https://solscan.io/tx/{txid}?cluster=devnet",
)


def _coin(
    id: int,
    code: str,
    name: str,
    network: Network,
    *,
    confirmations: int,
    minimum: str,
    ticker: str = "",
    instant: bool = False,
    takes_tag: bool = False,
    has_riskscore: bool = False,
) -> Currency:
    """A crypto currency; `minimum` serves both directions, `ticker` is the code unless given."""
    return Currency(
        code=code,
        id=id,
        kind=CurrencyKind.CRYPTO,
        name=name,
        ticker=ticker or code,
        network=network,
        takes_tag=takes_tag,
        confirmations=confirmations,
        instant=instant,
        minimum_deposit=Decimal(minimum),
        minimum_withdrawal=Decimal(minimum),
        has_riskscore=has_riskscore,
    )


def _fiat(id: int, code: str, name: str) -> Currency:
    return Currency(code=code, id=id, kind=CurrencyKind.FIAT, name=name, ticker=code)


# fmt: off
_ENTRIES = (
    _coin(1, "BTC", "Bitcoin", BITCOIN, confirmations=1, instant=True, minimum="0.0001", has_riskscore=True),
    _coin(2, "ETH", "Ether", ETHEREUM, confirmations=10, minimum="0.01", has_riskscore=True),
    _fiat(3, "EUR", "Euro"),
    _fiat(4, "USD", "US dollar"),
    _fiat(5, "GBP", "Pound sterling"),
    _coin(
        6,
        "BCH",
        "Bitcoin Cash",
        BITCOIN_CASH,
        confirmations=6,
        instant=True,
        minimum="0.001",
        has_riskscore=True,
    ),
    _coin(7, "LTC", "Litecoin", LITECOIN, confirmations=6, minimum="0.01", has_riskscore=True),
    _coin(8, "DOGE", "Dogecoin", DOGECOIN, confirmations=6, minimum="1"),
    _coin(9, "USDTE", "Tether USD (ERC-20)", ETHEREUM, confirmations=10, minimum="5", ticker="USDT"),
    _coin(10, "USDTT", "Tether USD (TRC-20)", TRON, confirmations=19, minimum="2", ticker="USDT"),
    _coin(11, "USDTB", "Tether USD (BEP-20)", BNB_SMART_CHAIN, confirmations=25, minimum="5", ticker="USDT"),
    _coin(12, "USDC", "USD Coin (ERC-20)", ETHEREUM, confirmations=10, minimum="5"),
    _coin(13, "DAI", "Dai", ETHEREUM, confirmations=10, minimum="5"),
    _coin(14, "TRX", "Tronix", TRON, confirmations=19, minimum="10"),
    _coin(15, "XRP", "XRP", XRP_LEDGER, confirmations=1, minimum="0.001", takes_tag=True),
    _coin(16, "BNB", "BNB (Beacon Chain)", BNB_BEACON, confirmations=1, minimum="0.01", takes_tag=True),
    _coin(
        17, "BNB-BSC", "BNB (Smart Chain)", BNB_SMART_CHAIN, confirmations=25, minimum="0.01", ticker="BNB"
    ),
    _coin(18, "ADA", "Cardano", CARDANO, confirmations=15, minimum="2"),
    _coin(19, "CSC", "CasinoCoin", XRP_LEDGER, confirmations=1, minimum="1", takes_tag=True),
    _coin(20, "EURS", "Stasis Euro", ETHEREUM, confirmations=10, minimum="0.01"),
    _coin(21, "BRZ", "Brazilian Digital Token", ETHEREUM, confirmations=10, minimum="0.01"),
    _coin(22, "CPD", "CoinsPaid Token", ETHEREUM, confirmations=10, minimum="0.01"),
    _coin(23, "XED", "Exeedme", ETHEREUM, confirmations=10, minimum="0.01"),
    _coin(24, "WBTC", "Wrapped Bitcoin", ETHEREUM, confirmations=10, minimum="0.0001"),
    _coin(25, "VERSE", "Verse", ETHEREUM, confirmations=10, minimum="10000"),
    _coin(26, "SNACK", "Crypto Snack", BNB_SMART_CHAIN, confirmations=25, minimum="10"),
    _fiat(27, "ARS", "Argentine peso"),
    _fiat(28, "AUD", "Australian dollar"),
    _fiat(29, "AZN", "Azerbaijani manat"),
    _fiat(30, "BDT", "Bangladeshi taka"),
    _fiat(31, "BRL", "Brazilian real"),
    _fiat(32, "BYN", "Belarusian rouble"),
    _fiat(33, "CAD", "Canadian dollar"),
    _fiat(34, "CHF", "Swiss franc"),
    _fiat(35, "CLP", "Chilean peso"),
    _fiat(36, "CNY", "Chinese yuan"),
    _fiat(37, "CZK", "Czech koruna"),
    _fiat(38, "GEL", "Georgian lari"),
    _fiat(39, "HUF", "Hungarian forint"),
    _fiat(40, "IDR", "Indonesian rupiah"),
    _fiat(41, "ILS", "Israeli new shekel"),
    _fiat(42, "INR", "Indian rupee"),
    _fiat(43, "JPY", "Japanese yen"),
    _fiat(44, "KGS", "Kyrgyzstani som"),
    _fiat(45, "KRW", "South Korean won"),
    _fiat(46, "KZT", "Kazakhstani tenge"),
    _fiat(47, "LKR", "Sri Lankan rupee"),
    _fiat(48, "MDL", "Moldovan leu"),
    _fiat(49, "MXN", "Mexican peso"),
    _fiat(50, "MYR", "Malaysian ringgit"),
    _fiat(51, "NGN", "Nigerian naira"),
    _fiat(52, "NOK", "Norwegian krone"),
    _fiat(53, "NPR", "Nepalese rupee"),
    _fiat(54, "NZD", "New Zealand dollar"),
    _fiat(55, "PEN", "Peruvian sol"),
    _fiat(56, "PHP", "Philippine peso"),
    _fiat(57, "PLN", "Polish zloty"),
    _fiat(58, "RUB", "Russian rouble"),
    _fiat(59, "SEK", "Swedish krona"),
    _fiat(60, "THB", "Thai baht"),
    _fiat(61, "TJS", "Tajikistani somoni"),
    _fiat(62, "TRY", "Turkish lira"),
    _fiat(63, "UAH", "Ukrainian hryvnia"),
    _fiat(64, "VND", "Vietnamese dong"),
    _fiat(65, "ZAR", "South African rand"),
    _coin(66, "ETHA", "Ether (Arbitrum)", ARBITRUM, confirmations=20, minimum="0.01", ticker="ETH"),
    _coin(67, "ETHBASE", "Ether (Base)", BASE, confirmations=20, minimum="0.01", ticker="ETH"),
    _coin(68, "EURCE", "EURC (ERC-20)", ETHEREUM, confirmations=10, minimum="5", ticker="EURC"),
    _coin(69, "EURCBASE", "EURC (Base)", BASE, confirmations=20, minimum="5", ticker="EURC"),
    _coin(70, "EURCS", "EURC (Solana)", SOLANA, confirmations=32, minimum="5", ticker="EURC"),
    _coin(71, "USDCS", "USD Coin (Solana)", SOLANA, confirmations=32, minimum="5", ticker="USDC"),
    _coin(72, "POL", "Polygon", POLYGON, confirmations=128, minimum="10"),
    _coin(73, "SOL", "Solana", SOLANA, confirmations=32, minimum="0.1"),
)
# fmt: on

CURRENCIES: Mapping[str, Currency] = MappingProxyType(
    {entry.code: entry for entry in sorted(_ENTRIES, key=lambda entry: entry.id)}
)
"""Every currency by its code, in the order of their ids."""


def get(code: str, *, field: str = "currency") -> Currency:
    """The currency with exactly this code. Raises `UnknownCurrency`, standing at `field`."""
    try:
        return CURRENCIES[code]
    except KeyError:
        raise UnknownCurrency(field=field) from None
