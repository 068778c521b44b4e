"""The audit's rule reads the real table: a session's temporary one would be found first otherwise."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("merchants", "0002_rules")]

    operations = [
        migrations.RunSQL(
            "ALTER FUNCTION audit_head_moves_by_one() SET search_path = pg_catalog, public, pg_temp",
            "ALTER FUNCTION audit_head_moves_by_one() RESET search_path",
        )
    ]
