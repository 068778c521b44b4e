"""Operators know no merchant when they look up a number, an address or a customer."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("payments", "0006_where_money_lies"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="operation",
            index=models.Index(fields=["wire_id"], name="operation_by_number"),
        ),
        AddIndexConcurrently(
            model_name="operation",
            index=models.Index(fields=["external_id"], name="operation_by_external_id"),
        ),
        AddIndexConcurrently(
            model_name="address",
            index=models.Index(fields=["address"], name="address_by_text"),
        ),
        AddIndexConcurrently(
            model_name="address",
            index=models.Index(fields=["foreign_id"], name="address_by_customer"),
        ),
    ]
