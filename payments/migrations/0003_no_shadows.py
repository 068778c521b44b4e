"""The ledger's rules read the real tables: a session's temporary ones would be found first otherwise."""

from django.db import migrations

READING = ("posting_is_judged", "entry_has_postings", "account_has_its_posting")


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_rules")]

    operations = [
        migrations.RunSQL(
            f"ALTER FUNCTION {name}() SET search_path = pg_catalog, public, pg_temp",
            f"ALTER FUNCTION {name}() RESET search_path",
        )
        for name in READING
    ]
