"""Invoices and their parts; the rules that the database itself holds stand in the .sql file."""

from decimal import Decimal
from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

import payments.models.columns

HERE = Path(__file__).parent


class Migration(migrations.Migration):
    dependencies = [
        ("merchants", "0004_accounts"),
        ("payments", "0012_exchanges"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("wire_id", models.IntegerField()),
                ("foreign_id", models.CharField(max_length=255)),
                ("code", models.CharField(max_length=22)),
                ("timer", models.BooleanField()),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("fill_or_kill", "To be paid at once"),
                            ("good_until_expired", "May be paid in parts"),
                        ],
                        max_length=20,
                    ),
                ),
                ("title", models.CharField(max_length=255)),
                ("description", models.TextField(blank=True, default="")),
                ("currency", payments.models.columns.CurrencyField(max_length=16)),
                ("amount", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                (
                    "asked_currency",
                    payments.models.columns.CurrencyField(blank=True, default="", max_length=16),
                ),
                ("quotes", models.JSONField(default=dict)),
                ("url_success", models.CharField(max_length=2000)),
                ("url_failed", models.CharField(max_length=2000)),
                ("email_user", models.CharField(blank=True, default="", max_length=254)),
                ("end_user_reference", models.CharField(max_length=255, null=True)),
                ("sender", models.JSONField(null=True)),
                (
                    "sender_currency",
                    payments.models.columns.CurrencyField(blank=True, default="", max_length=16),
                ),
                (
                    "sender_amount",
                    payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True),
                ),
                ("price", payments.models.columns.PriceField(decimal_places=18, max_digits=36, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("created", "Waits for the payer to choose a currency; no rate is held"),
                            ("pending", "A rate is held; the whole amount was not seen yet"),
                            ("processing", "The whole amount was seen"),
                            ("confirmed", "Paid, and the merchant credited"),
                            ("failed", "Not paid in time, or cancelled"),
                        ],
                        max_length=20,
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1)),
                ("error", models.CharField(blank=True, default="", max_length=255)),
                ("fixed_at", models.DateTimeField(null=True)),
                ("release_at", models.DateTimeField(null=True)),
                (
                    "credited_to",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Nothing is booked"),
                            ("available", "The merchant's available balance"),
                            ("held", "The merchant's held balance, because the merchant is blocked"),
                            ("dust", "Dust: below the minimum"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                (
                    "fee_amount",
                    payments.models.columns.AmountField(decimal_places=8, default=0, max_digits=36),
                ),
                ("bookings", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                (
                    "address",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.address"
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
                ),
                (
                    "rate",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.rate"
                    ),
                ),
                (
                    "terms",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.terms"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="InvoicePart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "standing",
                    models.CharField(
                        choices=[
                            ("counted", "Seen while the invoice could be paid"),
                            ("late", "Seen when the invoice had ended"),
                            ("foreign", "In another currency than was asked for"),
                        ],
                        max_length=10,
                    ),
                ),
                ("stood", models.BooleanField(default=False)),
                ("taken", payments.models.columns.AmountField(decimal_places=8, default=0, max_digits=36)),
                ("settled", payments.models.columns.AmountField(decimal_places=8, default=0, max_digits=36)),
                ("left", payments.models.columns.AmountField(decimal_places=8, default=0, max_digits=36)),
                (
                    "leftover",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Nothing is left"),
                            ("failed", "The invoice failed"),
                            ("overpaid", "More was paid than asked"),
                            ("late", "It came when the invoice had ended"),
                            ("foreign", "It came in another currency"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("seen_at", models.DateTimeField()),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="parts",
                        to="payments.invoice",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"
                    ),
                ),
                (
                    "operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoice_part",
                        to="payments.operation",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "processing"])),
                fields=["release_at", "id"],
                name="invoice_running_out",
            ),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["merchant", "created_at", "id"], name="invoice_by_time"),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("credited_to", "held")), fields=["merchant", "id"], name="invoice_held"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("merchant", "foreign_id"), name="invoice_foreign_id_is_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("merchant", "wire_id"), name="invoice_wire_id_is_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("merchant", "id"), name="invoice_belongs_to_one_merchant"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(fields=("code",), name="invoice_code_is_unique"),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("code__regex", "^[0-9A-Za-z_-]{22}$")), name="invoice_code_is_long"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("version__gte", 1), ("wire_id__gte", 1)),
                name="invoice_is_numbered_from_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("mode__in", ["fill_or_kill", "good_until_expired"]),
                    ("status__in", ["created", "pending", "processing", "confirmed", "failed"]),
                ),
                name="invoice_mode_and_status_are_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount__lt", Decimal("100000000000000000000000000")),
                    ("fee_amount__lt", Decimal("100000000000000000000000000")),
                    ("amount__gt", 0),
                    ("fee_amount__gte", 0),
                    ("fee_amount__lte", models.F("amount")),
                ),
                name="invoice_amount_is_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("address", None),
                        ("price", None),
                        ("rate", None),
                        ("sender_amount", None),
                        ("sender_currency", ""),
                        ("terms", None),
                    ),
                    models.Q(
                        models.Q(("sender_currency", ""), _negated=True),
                        ("sender_amount__lt", Decimal("100000000000000000000000000")),
                        ("price__lt", Decimal("100000000000000000000000000")),
                        ("address__isnull", False),
                        ("fixed_at__isnull", False),
                        ("price__gt", 0),
                        ("price__isnull", False),
                        ("sender_amount__gt", 0),
                        ("sender_amount__isnull", False),
                        ("terms__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="invoice_is_quoted_whole_or_not_at_all",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("sender_currency", ""),
                    models.Q(("rate", None), ("sender_currency", models.F("currency"))),
                    models.Q(
                        models.Q(("sender_currency", models.F("currency")), _negated=True),
                        ("rate__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="invoice_keeps_the_rate_of_a_conversion",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("fixed_at", None), ("release_at", None)),
                    models.Q(
                        ("fixed_at__isnull", False),
                        ("release_at__gt", models.F("fixed_at")),
                        ("release_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="invoice_time_has_an_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("fixed_at", None), ("status", "created"), ("timer", False)),
                    models.Q(("fixed_at__isnull", False), ("status", "pending"), ("timer", True)),
                    models.Q(
                        ("fixed_at__isnull", False),
                        ("status", "pending"),
                        models.Q(("sender_currency", ""), _negated=True),
                    ),
                    models.Q(
                        ("status__in", ["processing", "confirmed"]),
                        models.Q(("sender_currency", ""), _negated=True),
                    ),
                    ("status", "failed"),
                    _connector="OR",
                ),
                name="invoice_holds_what_its_status_needs",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "failed"), models.Q(("error", ""), _negated=True)),
                    models.Q(models.Q(("status", "failed"), _negated=True), ("error", "")),
                    _connector="OR",
                ),
                name="invoice_failed_for_a_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("bookings__gte", 1),
                        ("credited_to__in", ["available", "held"]),
                        ("status", "confirmed"),
                    ),
                    models.Q(
                        models.Q(("status", "confirmed"), _negated=True),
                        ("credited_to", ""),
                        ("fee_amount", 0),
                    ),
                    _connector="OR",
                ),
                name="invoice_is_credited_once_confirmed",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("url_failed__regex", "^https?://"), ("url_success__regex", "^https?://")),
                name="invoice_links_lead_to_the_web",
            ),
        ),
        migrations.AddIndex(
            model_name="invoicepart",
            index=models.Index(
                condition=models.Q(("left__gt", 0)), fields=["merchant", "id"], name="invoice_part_left"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicepart",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("leftover__in", ["", "failed", "overpaid", "late", "foreign"]),
                    ("standing__in", ["counted", "late", "foreign"]),
                ),
                name="invoice_part_standing_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicepart",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("taken__lt", Decimal("100000000000000000000000000")),
                    ("settled__lt", Decimal("100000000000000000000000000")),
                    ("left__lt", Decimal("100000000000000000000000000")),
                    ("left__gte", 0),
                    ("settled__gte", 0),
                    ("taken__gte", 0),
                ),
                name="invoice_part_amounts_are_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicepart",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("settled", 0), ("taken", 0)),
                    models.Q(("standing", "counted"), ("taken__gt", 0)),
                    _connector="OR",
                ),
                name="invoice_part_is_taken_only_if_counted",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicepart",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("left", 0), ("leftover", "")),
                    models.Q(("left__gt", 0), models.Q(("leftover", ""), _negated=True)),
                    _connector="OR",
                ),
                name="invoice_part_is_left_for_a_reason",
            ),
        ),
        migrations.RunSQL((HERE / "invoices.sql").read_text(), migrations.RunSQL.noop),
    ]
