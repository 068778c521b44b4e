"""Going past Python: statements that the database itself must refuse, by the constraint's name."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction


def refused(constraint: str, *statements: str) -> None:
    """Runs the statements as one transaction would; it must end in the constraint named, leaving nothing."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    diagnosis = caught.value.__cause__.diag  # type: ignore[union-attr]
    assert diagnosis.constraint_name == constraint or constraint in str(caught.value)


def judge_now() -> None:
    """What commit would judge, now."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
