"""The file: all or nothing, exact sums, and the rules that hold past Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from payments.money import Money
from sandbox import addresses, store
from sandbox.store import Store


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Store]:
    file = Store(tmp_path / "s.sqlite3")
    yield file
    file.close()


class TestTransaction:
    def test_keeps_nothing_of_a_block_that_fails(self, file: Store) -> None:
        with pytest.raises(RuntimeError), file.transaction() as db:
            store.move(db, Money(Decimal(1), "EUR"))
            raise RuntimeError
        with file.transaction() as db:
            assert store.balance(db, "EUR") == Money(Decimal(0), "EUR")


class TestMove:
    def test_adds_exactly_and_may_go_below_zero(self, file: Store) -> None:
        with file.transaction() as db:
            for amount in ("0.1", "0.2", "-0.30000001"):
                store.move(db, Money(Decimal(amount), "BTC"))
            assert store.balances(db) == [Money(Decimal("-0.00000001"), "BTC")]


class TestIds:
    def test_of_a_new_file_lie_above_those_of_an_older_one(self, file: Store) -> None:
        with file.transaction() as db:
            row = addresses.take(db, foreign_id="a", currency="BTC")
        assert 90_000_000 < row["id"] < 2**31


class TestConstraints:
    def insert(self, file: Store, **values: object) -> None:
        row: dict[str, object] = {
            "family": "withdrawal",
            "type": "withdrawal",
            "status": "processing",
            "foreign_id": "w-1",
            "sent_currency": "BTC",
            "sent_amount": "1",
            "received_currency": "BTC",
            "received_amount": "1",
            "created_at": 0,
        }
        with file.transaction() as db:
            store.add(db, "operation", **{**row, **values})

    def test_take_a_foreign_id_once_in_a_family(self, file: Store) -> None:
        self.insert(file)
        self.insert(file, family="exchange", type="exchange")
        with pytest.raises(sqlite3.IntegrityError, match=r"operation\.family, operation\.foreign_id"):
            self.insert(file, status="confirmed")

    @pytest.mark.parametrize("values", [{"family": "gift"}, {"place": "limbo"}])
    def test_know_only_the_words_of_the_schema(self, file: Store, values: dict[str, str]) -> None:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            self.insert(file, **values)

    def test_issue_an_address_once(self, file: Store) -> None:
        row = {"currency": "BTC", "convert_to": "", "address": "2N"}
        with file.transaction() as db:
            store.add(db, "address", foreign_id="a", **row)
        with pytest.raises(sqlite3.IntegrityError, match="address_is_issued_once"), file.transaction() as db:
            store.add(db, "address", foreign_id="b", **row)
