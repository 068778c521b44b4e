"""The rules that the database itself holds; the statements stand in the .sql files beside this module."""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [
        migrations.RunSQL((HERE / name).read_text(), migrations.RunSQL.noop)
        for name in ("ledger.sql", "operations.sql")
    ]
