"""Invoices are told of too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("callbacks", "0004_repeats"),
    ]

    operations = [
        migrations.AlterField(
            model_name="outgoingcallback",
            name="subject_kind",
            field=models.CharField(
                choices=[
                    ("operation", "A deposit, withdrawal or exchange"),
                    ("invoice", "An invoice"),
                    ("test", "Nothing: a try that staff asked for; the subject is the merchant"),
                ],
                max_length=12,
            ),
        ),
    ]
