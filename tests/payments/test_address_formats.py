"""Addresses: the published vectors of each format, and what one wrong character does."""

from __future__ import annotations

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import address_formats
from payments.address_formats import FORMATS, is_valid, make, normalise
from payments.currencies import CURRENCIES

SEEDS = st.binary(max_size=40)
CHECKSUMMED = sorted(FORMATS.keys() - {"evm"})
BECH32_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

# BIP-173 and BIP-350, "Test vectors": address, is it testnet.
SEGWIT_VALID = [
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", False),
    ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", True),
    ("bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", False),
    ("BC1SW50QGDZ25J", False),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", False),
    ("tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy", True),
    ("tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", True),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", False),
]
SEGWIT_INVALID = {
    "another chain's prefix": "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
    "bech32 for version 1": "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
    "bech32 for version 2": "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
    "bech32 for version 16": "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
    "bech32m for version 0": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
    "bech32m for version 0, testnet": "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
    "a letter outside the alphabet": "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
    "version 17": "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
    "a program of one byte": "bc1pw5dgrnzv",
    "a program of 41 bytes": "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
    "version 0 with 16 bytes": "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
    "mixed case": "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",
    "too much padding": "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
    "padding that is not zero": "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
    "no data": "bc1gmk9yu",
}

# EIP-55, "Test cases".
EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]

# CashAddr specification, "Examples of address translation": the old form and the new one.
CASH_PAIRS = [
    ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
    ("1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR", "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy"),
    ("16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb", "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
    ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
    ("3LDsS579y7sruadqu11beEJoTjdFiFCdX4", "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e"),
    ("31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw", "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
]

# Addresses that have been in public use: format, address, is it testnet.
IN_USE = [
    ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", False),
    ("bitcoin", "3P14159f73E4gFr7JterCCQh9QjiTjiZrG", False),
    ("bitcoin", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", True),
    ("bitcoin", "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", True),
    ("litecoin", "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1", False),
    ("dogecoin", "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", False),
    ("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", False),
    ("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", True),
    ("xrp", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", False),
    ("xrp", "rrrrrrrrrrrrrrrrrrrrrhoLvTp", False),
]


def base58check(version: int, hashed: bytes) -> str:
    return base58.b58encode_check(bytes([version]) + hashed).decode()


class TestIsValid:
    @pytest.mark.parametrize(("name", "address", "testnet"), IN_USE)
    def test_accepts_addresses_in_use(self, name: str, address: str, testnet: bool) -> None:
        assert is_valid(name, address, testnet=testnet)

    @pytest.mark.parametrize(("name", "address", "testnet"), IN_USE[:6])
    def test_refuses_the_other_side_of_the_chain(self, name: str, address: str, testnet: bool) -> None:
        assert not is_valid(name, address, testnet=not testnet)

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize(
        "text", ["", " ", "0x", "1", ":", "é", "bitcoincash:", "bc1", "x" * 200, "1" * 34]
    )
    def test_refuses_what_is_no_address(self, name: str, text: str) -> None:
        assert not is_valid(name, text, testnet=False)
        assert not is_valid(name, text, testnet=True)

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("around", [" {}", "{} ", "{}\n", "\t{}", "{}\x00"])
    def test_refuses_space_around_an_address(self, name: str, around: str) -> None:
        assert not is_valid(name, around.format(make(name, b"seed", testnet=True)), testnet=True)

    def test_knows_no_other_format(self) -> None:
        with pytest.raises(KeyError):
            is_valid("cardano", "addr1", testnet=False)

    @given(seed=SEEDS, testnet=st.booleans())
    def test_never_mistakes_a_base58_chain_for_another(self, seed: bytes, testnet: bool) -> None:
        distinct = ["dogecoin", "tron", "xrp"]
        for name in distinct:
            address = make(name, seed, testnet=False)
            assert [other for other in distinct if is_valid(other, address, testnet=False)] == [name]
            assert not is_valid("bitcoin", address, testnet=testnet)


class TestSegwit:
    @pytest.mark.parametrize(("address", "testnet"), SEGWIT_VALID)
    def test_accepts_the_published_addresses_on_their_side_only(self, address: str, testnet: bool) -> None:
        assert is_valid("bitcoin", address, testnet=testnet)
        assert not is_valid("bitcoin", address, testnet=not testnet)

    @pytest.mark.parametrize("why", SEGWIT_INVALID)
    def test_refuses_the_published_failures(self, why: str) -> None:
        assert not is_valid("bitcoin", SEGWIT_INVALID[why], testnet=False)
        assert not is_valid("bitcoin", SEGWIT_INVALID[why], testnet=True)

    def test_accepts_regtest_as_testnet(self) -> None:
        address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
        assert is_valid("bitcoin", address, testnet=True)
        assert not is_valid("bitcoin", address, testnet=False)

    def test_keeps_litecoin_and_bitcoin_apart(self) -> None:
        address = "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"
        assert is_valid("litecoin", address, testnet=False)
        assert not is_valid("litecoin", address, testnet=True)
        assert not is_valid("bitcoin", address, testnet=False)

    @given(data=st.data())
    def test_refuses_an_address_with_one_letter_changed(self, data: st.DataObject) -> None:
        address, testnet = data.draw(st.sampled_from(SEGWIT_VALID))
        address = address.lower()
        place = data.draw(st.integers(3, len(address) - 1))
        letter = data.draw(st.sampled_from(BECH32_LETTERS.replace(address[place], "")))
        assert not is_valid("bitcoin", address[:place] + letter + address[place + 1 :], testnet=testnet)


class TestCashAddr:
    @pytest.mark.parametrize(("old", "new"), CASH_PAIRS)
    def test_accepts_both_forms_and_looks_them_up_as_one(self, old: str, new: str) -> None:
        bare = new.removeprefix("bitcoincash:")
        for spelling in (old, new, bare, new.upper()):
            assert is_valid("bitcoin-cash", spelling, testnet=False)
            assert not is_valid("bitcoin-cash", spelling, testnet=True)
            assert normalise("bitcoin-cash", spelling) == new

    def test_accepts_the_testnet_vector(self) -> None:
        address = "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t"
        assert is_valid("bitcoin-cash", address, testnet=True)
        assert not is_valid("bitcoin-cash", address, testnet=False)

    def test_looks_old_testnet_forms_up_as_cashaddr(self) -> None:
        hashed = bytes.fromhex("f5bf48b397dae70be82b3cca4793f8eb2b6cdac9")
        script = "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t"
        assert normalise("bitcoin-cash", base58check(0xC4, hashed)) == script
        assert normalise("bitcoin-cash", base58check(0x6F, hashed)).startswith("bchtest:q")

    def test_refuses_another_prefix_and_mixed_case(self) -> None:
        bare = "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
        assert not is_valid("bitcoin-cash", f"ergon:{bare}", testnet=False)
        assert not is_valid("bitcoin-cash", f"bitcoincash:{bare.upper()}", testnet=False)
        assert not is_valid("bitcoin-cash", f"bchtest:{bare}", testnet=True)

    @pytest.mark.parametrize(
        "address",
        [
            "bitcoincash:q9adhakpwzztepkpwp5z0dq62m6u5v5xtyj7j3h2ws4mr9g0",
            "bitcoincash:qvch8mmxy0rtfrlarg7ucrxxfzds5pamg73h7370aa87d80gyhqxq5nlegake",
        ],
    )
    def test_refuses_hash_sizes_that_nobody_can_pay(self, address: str) -> None:
        assert address_formats._cash_checksum("bitcoincash", _values(address)) == 0
        assert not is_valid("bitcoin-cash", address, testnet=False)

    def test_accepts_a_script_hash_of_32_bytes(self) -> None:
        address = address_formats._cash_encode("bitcoincash", 0x0B, bytes(range(32)))
        assert is_valid("bitcoin-cash", address, testnet=False)


def _values(address: str) -> list[int]:
    return [BECH32_LETTERS.index(letter) for letter in address.partition(":")[2]]


class TestEvm:
    @pytest.mark.parametrize("address", EIP_55)
    def test_accepts_the_published_addresses(self, address: str) -> None:
        assert is_valid("evm", address, testnet=False)
        assert normalise("evm", address.lower()) == address

    @pytest.mark.parametrize("address", EIP_55)
    def test_accepts_one_case_only_as_unchecked(self, address: str) -> None:
        assert is_valid("evm", address.lower(), testnet=False)
        assert is_valid("evm", f"0x{address[2:].upper()}", testnet=True)

    @given(data=st.data())
    def test_refuses_one_letter_in_the_other_case(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(EIP_55[4:]))
        place = data.draw(
            st.sampled_from([i for i, digit in enumerate(address) if i > 1 and digit.isalpha()])
        )
        assert not is_valid(
            "evm", address[:place] + address[place].swapcase() + address[place + 1 :], testnet=False
        )

    @pytest.mark.parametrize(
        "text",
        [
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xde709f2102306220921060314715629080e2fb7",
            "0xde709f2102306220921060314715629080e2fb777",
            "0xde709f2102306220921060314715629080e2fb7g",
            "0xde709f2102306220921060314715629080e2fb7７",
        ],
    )
    def test_refuses_what_is_not_40_hex_digits(self, text: str) -> None:
        assert not is_valid("evm", text, testnet=False)


class TestMake:
    @given(seed=SEEDS, name=st.sampled_from(sorted(FORMATS)), testnet=st.booleans())
    def test_makes_a_valid_address_that_is_its_own_spelling(
        self, seed: bytes, name: str, testnet: bool
    ) -> None:
        address = make(name, seed, testnet=testnet)
        assert is_valid(name, address, testnet=testnet)
        assert normalise(name, address) == address
        assert make(name, seed, testnet=testnet) == address

    @given(data=st.data(), name=st.sampled_from(CHECKSUMMED), testnet=st.booleans())
    def test_one_changed_letter_makes_it_invalid(self, data: st.DataObject, name: str, testnet: bool) -> None:
        address = make(name, data.draw(SEEDS), testnet=testnet)
        place = data.draw(st.integers(address.find(":") + 1, len(address) - 1))
        alphabet = BECH32_LETTERS if ":" in address else base58.BITCOIN_ALPHABET.decode()
        letter = data.draw(st.sampled_from(alphabet.replace(address[place], "")))
        assert not is_valid(name, address[:place] + letter + address[place + 1 :], testnet=testnet)

    @given(seed=SEEDS)
    def test_makes_bitcoin_testnet_script_addresses_of_35_characters(self, seed: bytes) -> None:
        address = make("bitcoin", seed, testnet=True)
        assert len(address) == 35
        assert address.startswith("2")

    def test_makes_different_addresses_of_different_seeds(self) -> None:
        made = {make(name, bytes([seed]), testnet=True) for name in FORMATS for seed in range(50)}
        assert len(made) == 50 * len(FORMATS)

    def test_keeps_to_the_addresses_it_made_before(self) -> None:
        assert make("bitcoin", b"s", testnet=True) == "2MsdahmuH4nsNUy95wgNP4uRqTR1GFNCsNG"
        assert (
            make("bitcoin-cash", b"s", testnet=True) == "bchtest:qqzr5uv8wnzh90v2ykkmavdle4wqy44wzyvmkgu2pv"
        )
        assert make("evm", b"s", testnet=True) == "0x043A718774C572bD8a25AdBeb1bFCd5c0256Ae11"
        assert make("xrp", b"s", testnet=True) == "rPM5V7ouSseUrFf9TnvpLneaYW4AHJoRo"


class TestNormalise:
    def test_writes_segwit_in_lower_case(self) -> None:
        upper = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"
        assert normalise("bitcoin", upper) == upper.lower()

    @pytest.mark.parametrize(("old", "new"), [(0x05, 0x32), (0xC4, 0x3A)])
    def test_writes_litecoin_script_addresses_in_their_new_form(self, old: int, new: int) -> None:
        hashed = bytes(range(20))
        assert normalise("litecoin", base58check(old, hashed)) == base58check(new, hashed)
        assert normalise("litecoin", base58check(new, hashed)) == base58check(new, hashed)

    def test_leaves_other_base58_as_it_is(self) -> None:
        for name, address, _ in IN_USE:
            assert normalise(name, address) == address

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("text", ["", "Nonsense", "X" * 500, "é\x00"])
    def test_gives_back_what_is_no_address(self, name: str, text: str) -> None:
        assert normalise(name, text) == text


class TestFormats:
    def test_every_format_that_a_network_names_exists_and_none_is_idle(self) -> None:
        named = {currency.address_format for currency in CURRENCIES.values()} - {None}
        assert named == set(FORMATS)
