"""What every test stands on: real PostgreSQL, real Valkey, the network closed but for loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations


@pytest.fixture(autouse=True, scope="session")
def _append_only_tables_may_be_emptied_between_tests() -> Iterator[None]:
    """Transactional tests end by TRUNCATE, which the ledger and the audit rightly refuse.

    The triggers are put aside for that one statement, by a right that no role of Bursar's has.
    """
    patch = pytest.MonkeyPatch()
    original = DatabaseOperations.execute_sql_flush

    def flush(self: DatabaseOperations, sql_list: Any) -> None:
        aside = ["SET LOCAL session_replication_role = 'replica';"]
        original(self, [*aside, *sql_list])

    patch.setattr(DatabaseOperations, "execute_sql_flush", flush)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _passwords_are_hashed_quickly(settings: Any) -> None:
    """What passwords are really hashed with costs a tenth of a second, on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
