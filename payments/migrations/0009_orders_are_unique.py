"""A merchant's number for an order is used once; the widened checks hold for all rows."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

_UNIQUE = (
    ("withdrawal_foreign_id_is_unique", "kind IN ('withdrawal', 'withdrawal_exchange')"),
    ("exchange_foreign_id_is_unique", "kind = 'exchange'"),
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0008_withdrawals")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {name}"
                    f" ON payments_operation (merchant_id, foreign_id) WHERE {condition}",
                    f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
                )
                for name, condition in _UNIQUE
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="operation",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("kind__in", ("withdrawal", "withdrawal_exchange"))),
                        fields=("merchant", "foreign_id"),
                        name="withdrawal_foreign_id_is_unique",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="operation",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("kind", "exchange")),
                        fields=("merchant", "foreign_id"),
                        name="exchange_foreign_id_is_unique",
                    ),
                ),
            ],
        ),
        ValidateConstraint(model_name="operation", name="operation_kind_and_status_are_known"),
        ValidateConstraint(model_name="operation", name="operation_comes_in_or_is_ordered"),
        ValidateConstraint(model_name="operation", name="operation_money_lies_where_its_status_says"),
    ]
