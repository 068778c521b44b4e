"""The rule about names holds for older rows too; the staff's few addresses are found among a program's many."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("payments", "0010_address_labels"),
    ]

    operations = [
        ValidateConstraint(model_name="address", name="address_label_is_of_the_staff"),
        AddIndexConcurrently(
            model_name="address",
            index=models.Index(
                condition=models.Q(("origin", "portal")),
                fields=["merchant", "wire_id"],
                name="address_of_the_staff",
            ),
        ),
    ]
