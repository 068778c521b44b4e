"""The worker writes the letters about alerts, and notes that a withdrawal hangs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0013_invoices")]

    operations = [
        migrations.AddField(model_name="alert", name="mailed_at", field=models.DateTimeField(null=True)),
        migrations.RunSQL(
            "GRANT UPDATE (mailed_at) ON payments_alert TO bursar_app;"
            " GRANT UPDATE (stuck_at) ON payments_withdrawal TO bursar_app",
            migrations.RunSQL.noop,
        ),
    ]
