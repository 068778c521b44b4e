"""Staff give names to the addresses that they take; no program's address has one."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0009_orders_are_unique"),
    ]

    operations = [
        migrations.AddField(
            model_name="address",
            name="label",
            field=models.CharField(blank=True, db_default="", default="", max_length=60),
        ),
        AddConstraintNotValid(
            model_name="address",
            constraint=models.CheckConstraint(
                condition=models.Q(("label", ""), ("origin", "portal"), _connector="OR"),
                name="address_label_is_of_the_staff",
            ),
        ),
        migrations.RunSQL("GRANT UPDATE (label) ON payments_address TO bursar_app", migrations.RunSQL.noop),
    ]
