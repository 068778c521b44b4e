"""The rules that the database itself holds; the statements stand in `rules.sql` beside this module."""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent


class Migration(migrations.Migration):
    dependencies = [("callbacks", "0001_initial"), ("merchants", "0002_rules")]

    operations = [migrations.RunSQL((HERE / "rules.sql").read_text(), migrations.RunSQL.noop)]
