"""Views that people save; a desk's matter, of which the sender has no need."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("merchants", "0004_accounts"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("page", models.CharField(choices=[("transactions", "Transactions")], max_length=20)),
                ("name", models.CharField(max_length=40)),
                ("query", models.CharField(max_length=500)),
                ("saved_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "merchant",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("merchant", "user", "page", "name"), name="saved_view_has_its_own_name"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("name", ""), _negated=True), models.Q(("query", ""), _negated=True)
                        ),
                        name="saved_view_is_named_and_filters",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("page__in", ["transactions"])), name="saved_view_page_is_known"
                    ),
                ],
            },
        ),
        migrations.RunSQL("REVOKE ALL ON merchants_savedview FROM bursar_sender", migrations.RunSQL.noop),
    ]
