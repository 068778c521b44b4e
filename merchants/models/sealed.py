"""Columns that hold a secret: encrypted for their own row, opened only by the code that uses them.

A sealed column is known by its type, so that rotating and checking the keys cannot forget one.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db import connection, models

from merchants.secrets import KeyRing, context


class SealedTextField(models.TextField):  # type: ignore[type-arg]  # generic in the stubs alone
    """Text encrypted with `seal`; empty means that there is no secret yet."""


def key_ring() -> KeyRing:
    return KeyRing(settings.ENCRYPTION_KEYS)


def seal(row: models.Model, column: str, plain: str) -> str:
    """`plain` encrypted for `column` of `row`, which must have its primary key already."""
    return key_ring().encrypt(plain, context=_place(row, column))


def unseal(row: models.Model, column: str) -> str:
    """The secret in `column` of `row`. Raises `CannotOpen`."""
    return key_ring().decrypt(getattr(row, column), context=_place(row, column))


def columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every sealed column of the installation."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, SealedTextField):
                yield model, column.attname


def reserve_id(model: type[models.Model]) -> int:
    """The next primary key of `model`: for a row whose secret must be sealed before it is inserted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [model._meta.db_table])
        return int(cursor.fetchone()[0])


def _place(row: models.Model, column: str) -> str:
    if row.pk is None:
        raise ValueError("a secret is sealed for a row that has its id")
    return context(table=row._meta.db_table, row=row.pk, column=column)
