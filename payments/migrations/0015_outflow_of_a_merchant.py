"""What a merchant paid out lately is found without reading all that it ever paid out."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0014_alerts_are_mailed")]

    operations = [
        AddIndexConcurrently(
            model_name="withdrawal",
            index=models.Index(fields=["merchant", "submitted_at"], name="withdrawal_of_merchant_by_time"),
        ),
    ]
