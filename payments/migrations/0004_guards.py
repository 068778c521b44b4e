"""More rules that the database itself holds; the statements stand in `guards.sql` beside this module."""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_no_shadows")]

    operations = [migrations.RunSQL((HERE / "guards.sql").read_text(), migrations.RunSQL.noop)]
