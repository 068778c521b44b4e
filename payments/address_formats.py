"""How each network spells an address: checked to the checksum, made from a seed, brought to one spelling.

It promises that `is_valid` accepts an address only if its checksum holds and it belongs to the asked
side, mainnet or testnet. An EVM or Tron address looks the same on both. Sources: BIP-13, BIP-173 and
BIP-350 (segwit), the CashAddr specification, EIP-55, the chain parameters of Litecoin and Dogecoin Core,
the Tron and XRP Ledger documentation (classic addresses only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Protocol

import base58
import bech32
from Crypto.Hash import keccak

_HASH_BYTES = 20
_LONGEST = 120
"""No format here is longer; decoding base58 is quadratic, so longer text is not looked at."""


class AddressFormat(Protocol):
    """One network's spelling of an address."""

    def is_valid(self, address: str, *, testnet: bool) -> bool: ...

    def make(self, seed: bytes, *, testnet: bool) -> str: ...

    def normalise(self, address: str) -> str: ...


def is_valid(format: str, address: str, *, testnet: bool) -> bool:
    """Whether `address` is one of the network's, on that side, checksum and all. Raises `KeyError`."""
    return len(address) <= _LONGEST and FORMATS[format].is_valid(address, testnet=testnet)


def make(format: str, seed: bytes, *, testnet: bool) -> str:
    """A valid address, always the same for the same seed; nobody holds its key. For the sandbox and tests."""
    return FORMATS[format].make(seed, testnet=testnet)


def normalise(format: str, address: str) -> str:
    """The one spelling for looking an address up; what is no address comes back as it is."""
    return FORMATS[format].normalise(address) if len(address) <= _LONGEST else address


def _hash_of(seed: bytes) -> bytes:
    return sha256(seed).digest()[:_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Base58Check:
    """Version byte, 20 bytes, four bytes of a double SHA-256. `make` uses the last version of a side."""

    mainnet: tuple[int, ...]
    testnet: tuple[int, ...]
    alphabet: bytes = base58.BITCOIN_ALPHABET
    renewed: Mapping[int, int] = field(default_factory=dict)
    """Version bytes that the chain gave up, to what it writes instead."""

    def is_valid(self, address: str, *, testnet: bool) -> bool:
        payload = self.payload(address)
        return payload is not None and payload[0] in (self.testnet if testnet else self.mainnet)

    def make(self, seed: bytes, *, testnet: bool) -> str:
        version = (self.testnet if testnet else self.mainnet)[-1]
        return self._spelled(version, _hash_of(seed))

    def normalise(self, address: str) -> str:
        """Itself, as base58 has one spelling, unless the chain changed the version byte."""
        payload = self.payload(address) if self.renewed else None
        if payload is None or payload[0] not in self.renewed:
            return address
        return self._spelled(self.renewed[payload[0]], payload[1:])

    def _spelled(self, version: int, hashed: bytes) -> str:
        text: bytes = base58.b58encode_check(bytes([version]) + hashed, alphabet=self.alphabet)
        return text.decode("ascii")

    def payload(self, address: str) -> bytes | None:
        """Version and hash, or None. The library forgives spaces at the end; this does not."""
        if not address.isalnum() or not address.isascii():
            return None
        try:
            payload: bytes = base58.b58decode_check(address, alphabet=self.alphabet)
        except ValueError:
            return None
        return payload if len(payload) == 1 + _HASH_BYTES else None


_BECH32, _BECH32M = 1, 0x2BC830A3
"""The checksum constants of BIP-173 (witness version 0) and BIP-350 (1 and above)."""


@dataclass(frozen=True, slots=True)
class BitcoinLike:
    """Base58 with versions of its own, and segwit under the chain's prefixes. `make` makes base58."""

    legacy: Base58Check
    mainnet: tuple[str, ...]
    testnet: tuple[str, ...]

    def is_valid(self, address: str, *, testnet: bool) -> bool:
        prefixes = self.testnet if testnet else self.mainnet
        return self.legacy.is_valid(address, testnet=testnet) or _is_segwit(address, prefixes)

    def make(self, seed: bytes, *, testnet: bool) -> str:
        return self.legacy.make(seed, testnet=testnet)

    def normalise(self, address: str) -> str:
        """Segwit in lower case, base58 as its chain writes it today."""
        if _is_segwit(address, self.mainnet + self.testnet):
            return address.lower()
        return self.legacy.normalise(address)


def _is_segwit(address: str, prefixes: tuple[str, ...]) -> bool:
    """BIP-173 and BIP-350: the right prefix, checksum and program length for the witness version."""
    if address not in {address.lower(), address.upper()}:
        return False
    prefix, _, text = address.lower().rpartition("1")
    data = _five_bits(text)
    if prefix not in prefixes or data is None or len(address) > 90 or len(data) < 7:
        return False
    version, program = data[0], bech32.convertbits(data[1:-6], 5, 8, False)
    checksum = bech32.bech32_polymod(bech32.bech32_hrp_expand(prefix) + data)
    if program is None or version > 16 or checksum != (_BECH32M if version else _BECH32):
        return False
    return len(program) in ((20, 32) if version == 0 else range(2, 41))


def _five_bits(text: str) -> list[int] | None:
    values = [bech32.CHARSET.find(character) for character in text]
    return None if -1 in values else values


_CASHADDR_GENERATOR = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)
_CASHADDR_BYTES = {0x00: 21, 0x08: 21, 0x0B: 33, 0x10: 21, 0x18: 21, 0x1B: 33}
"""Version byte to payload length, of the kinds that consensus can pay: to a key's hash and to a script's
(20 or 32 bytes), and the same again for wallets that understand tokens."""


_OLD_VERSIONS = {
    0x00: ("bitcoincash", 0x00),
    0x05: ("bitcoincash", 0x08),
    0x6F: ("bchtest", 0x00),
    0xC4: ("bchtest", 0x08),
}
"""Base58 version byte to the cashaddr prefix and version byte of the same script."""


@dataclass(frozen=True, slots=True)
class CashAddr:
    """Bitcoin Cash: cashaddr with or without its prefix, and Bitcoin's old base58 forms."""

    legacy: Base58Check
    mainnet: tuple[str, ...]
    testnet: tuple[str, ...]

    def is_valid(self, address: str, *, testnet: bool) -> bool:
        prefixes = self.testnet if testnet else self.mainnet
        return self.legacy.is_valid(address, testnet=testnet) or _cash_prefix(address, prefixes) is not None

    def make(self, seed: bytes, *, testnet: bool) -> str:
        return _cash_encode((self.testnet if testnet else self.mainnet)[0], 0, _hash_of(seed))

    def normalise(self, address: str) -> str:
        """Cashaddr in lower case with its prefix; an old form becomes the cashaddr of the same hash."""
        payload = self.legacy.payload(address)
        if payload is not None and payload[0] in _OLD_VERSIONS:
            return _cash_encode(*_OLD_VERSIONS[payload[0]], payload[1:])
        prefix = _cash_prefix(address, self.mainnet + self.testnet)
        return f"{prefix}:{address.lower().rpartition(':')[2]}" if prefix else address


def _cash_prefix(address: str, prefixes: tuple[str, ...]) -> str | None:
    """Under which of `prefixes` the address holds, or None; one without a prefix is tried with each."""
    if address not in {address.lower(), address.upper()}:
        return None
    given, colon, text = address.lower().rpartition(":")
    data = _five_bits(text)
    if data is None or not _is_cash_payload(data):
        return None
    candidates = [prefix for prefix in prefixes if not colon or prefix == given]
    return next((prefix for prefix in candidates if _cash_checksum(prefix, data) == 0), None)


def _is_cash_payload(data: list[int]) -> bool:
    payload = bech32.convertbits(data[:-8], 5, 8, False)
    return bool(payload and _CASHADDR_BYTES.get(payload[0]) == len(payload))


def _cash_encode(prefix: str, version: int, hashed: bytes) -> str:
    data = bech32.convertbits(bytes([version]) + hashed, 8, 5) or []
    checksum = _cash_checksum(prefix, data + [0] * 8)
    data += [checksum >> 5 * (7 - place) & 31 for place in range(8)]
    return f"{prefix}:{''.join(bech32.CHARSET[value] for value in data)}"


def _cash_checksum(prefix: str, data: Iterable[int]) -> int:
    """The CashAddr polynomial over prefix, a zero and data; 0 when data ends in the right checksum."""
    checksum = 1
    for value in [*(ord(letter) & 31 for letter in prefix), 0, *data]:
        top = checksum >> 35
        checksum = (checksum & 0x07FFFFFFFF) << 5 ^ value
        for bit, generator in enumerate(_CASHADDR_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum ^ 1


_EVM = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Evm:
    """Ethereum and its kin: 40 hex digits; their case is the checksum (EIP-55), one case carries none."""

    def is_valid(self, address: str, *, testnet: bool) -> bool:
        if not _EVM.fullmatch(address):
            return False
        digits = address[2:]
        return digits in {digits.lower(), digits.upper()} or address == _with_checksum(address)

    def make(self, seed: bytes, *, testnet: bool) -> str:
        return _with_checksum(f"0x{_hash_of(seed).hex()}")

    def normalise(self, address: str) -> str:
        """With its EIP-55 case, whatever case (some chains have their own) a notice uses."""
        return _with_checksum(address) if _EVM.fullmatch(address) else address


def _with_checksum(address: str) -> str:
    digits = address[2:].lower()
    nibbles = keccak.new(digest_bits=256, data=digits.encode("ascii")).hexdigest()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, nibbles, strict=False)
    )


_BITCOIN_BASE58 = Base58Check(mainnet=(0x00, 0x05), testnet=(0x6F, 0xC4))

FORMATS: Mapping[str, AddressFormat] = MappingProxyType(
    {
        "bitcoin": BitcoinLike(_BITCOIN_BASE58, mainnet=("bc",), testnet=("tb", "bcrt")),
        "bitcoin-cash": CashAddr(_BITCOIN_BASE58, mainnet=("bitcoincash",), testnet=("bchtest", "bchreg")),
        "litecoin": BitcoinLike(
            Base58Check(
                mainnet=(0x30, 0x05, 0x32), testnet=(0x6F, 0xC4, 0x3A), renewed={0x05: 0x32, 0xC4: 0x3A}
            ),
            mainnet=("ltc",),
            testnet=("tltc", "rltc"),
        ),
        "dogecoin": Base58Check(mainnet=(0x16, 0x1E), testnet=(0xC4, 0x71)),
        "evm": Evm(),
        "tron": Base58Check(mainnet=(0x41,), testnet=(0x41,)),
        "xrp": Base58Check(mainnet=(0x00,), testnet=(0x00,), alphabet=base58.RIPPLE_ALPHABET),
    }
)
"""Every format by its name, as `payments.currencies` names it."""
