"""Prices promised to merchants, exchanges at them or at the market, and prices held for deposits."""

from decimal import Decimal
from pathlib import Path

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import payments.models.columns


class Migration(migrations.Migration):
    dependencies = [
        ("merchants", "0004_accounts"),
        ("payments", "0011_addresses_of_the_staff"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Exchange",
            fields=[
                (
                    "operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="payments.operation",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("processing", "Held: may be sent"),
                            ("sending", "The order is written down; it may have been handed over"),
                            ("sent", "The processor took the order"),
                            ("unknown", "Nobody knows whether the processor took the order"),
                            ("confirmed", "Converted"),
                            ("failed", "Definitely not converted; the money is back"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("", "Nobody: it came in"),
                            ("api", "A merchant's program"),
                            ("staff", "A merchant's staff"),
                            ("refund", "A payer who gets money back"),
                        ],
                        max_length=10,
                    ),
                ),
                ("requested_at", models.DateTimeField()),
                ("source", payments.models.columns.CurrencyField(max_length=16)),
                ("amount", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("target", payments.models.columns.CurrencyField(max_length=16)),
                ("amount_to", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("price", payments.models.columns.PriceField(decimal_places=18, max_digits=36)),
                ("fee", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("fee_currency", payments.models.columns.CurrencyField(max_length=16)),
                ("held", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("our_id", models.CharField(max_length=60, unique=True)),
                ("external_id", models.CharField(max_length=60, null=True)),
                ("prepared", models.BinaryField(null=True)),
                ("prepared_at", models.DateTimeField(null=True)),
                ("submitted_at", models.DateTimeField(null=True)),
                ("unknown_at", models.DateTimeField(null=True)),
                ("unknown_reason", models.CharField(blank=True, default="", max_length=255)),
                ("asks", models.PositiveIntegerField(default=0)),
                ("next_ask_at", models.DateTimeField(null=True)),
                ("failure", models.CharField(blank=True, default="", max_length=255)),
                ("closed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Future",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("wire_id", models.IntegerField()),
                ("source", payments.models.columns.CurrencyField(max_length=16)),
                ("target", payments.models.columns.CurrencyField(max_length=16)),
                ("price", payments.models.columns.PriceField(decimal_places=18, max_digits=36)),
                ("sender_amount", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("receiver_amount", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("fee", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("cap", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("fixed_at", models.DateTimeField()),
                ("release_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="FutureDeposit",
            fields=[
                (
                    "operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="future_deposit",
                        serialize=False,
                        to="payments.operation",
                    ),
                ),
                ("amount_to", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
            ],
        ),
        migrations.CreateModel(
            name="Quote",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", payments.models.columns.CurrencyField(max_length=16)),
                ("target", payments.models.columns.CurrencyField(max_length=16)),
                ("price", payments.models.columns.PriceField(decimal_places=18, max_digits=36)),
                ("fixed_at", models.DateTimeField()),
                ("release_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="terms",
            name="withdrawal_mining_fee",
            field=payments.models.columns.AmountField(
                db_default=0, decimal_places=8, default=0, max_digits=36
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="parties",
            field=models.JSONField(null=True),
        ),
        migrations.AlterField(
            model_name="address",
            name="origin",
            field=models.CharField(
                choices=[
                    ("pool", "Nobody yet: free in its pool"),
                    ("api", "A merchant's program"),
                    ("portal", "A merchant's staff"),
                    ("invoice", "An invoice, for itself alone; it is the invoice that calls back"),
                ],
                default="pool",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="terms",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("withdrawal_mining_fee__lt", Decimal("100000000000000000000000000")),
                    ("withdrawal_mining_fee__gte", 0),
                ),
                name="terms_mining_fee_is_not_negative",
            ),
        ),
        migrations.AddField(
            model_name="exchange",
            name="api_key",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="merchants.apikey"
            ),
        ),
        migrations.AddField(
            model_name="exchange",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="exchange",
            name="processor",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="payments.processor"),
        ),
        migrations.AddField(
            model_name="exchange",
            name="requested_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="future",
            name="address",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="payments.address"),
        ),
        migrations.AddField(
            model_name="future",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="future",
            name="rate",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="payments.rate"),
        ),
        migrations.AddField(
            model_name="futuredeposit",
            name="future",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="deposits", to="payments.future"
            ),
        ),
        migrations.AddField(
            model_name="futuredeposit",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="quote",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="quote",
            name="rate",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="payments.rate"),
        ),
        migrations.AddField(
            model_name="exchange",
            name="quote",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.quote"
            ),
        ),
        migrations.AddIndex(
            model_name="future",
            index=models.Index(fields=["address", "release_at"], name="future_of_an_address"),
        ),
        migrations.AddConstraint(
            model_name="future",
            constraint=models.UniqueConstraint(
                fields=("merchant", "wire_id"), name="future_wire_id_is_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="future",
            constraint=models.UniqueConstraint(
                fields=("merchant", "id"), name="future_belongs_to_one_merchant"
            ),
        ),
        migrations.AddConstraint(
            model_name="future",
            constraint=models.CheckConstraint(
                condition=models.Q(("wire_id__gte", 1)), name="future_is_numbered_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="future",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("price__lt", Decimal("100000000000000000000000000")),
                    ("sender_amount__lt", Decimal("100000000000000000000000000")),
                    ("receiver_amount__lt", Decimal("100000000000000000000000000")),
                    ("fee__lt", Decimal("100000000000000000000000000")),
                    ("cap__lt", Decimal("100000000000000000000000000")),
                    ("fee__gte", 0),
                    ("price__gt", 0),
                    ("receiver_amount__gt", 0),
                    ("sender_amount__gt", 0),
                    ("fee__lte", models.F("receiver_amount")),
                    ("receiver_amount__lte", models.F("cap")),
                ),
                name="future_amounts_are_positive_and_capped",
            ),
        ),
        migrations.AddConstraint(
            model_name="future",
            constraint=models.CheckConstraint(
                condition=models.Q(("release_at__gt", models.F("fixed_at"))), name="future_holds_for_a_while"
            ),
        ),
        migrations.AddConstraint(
            model_name="futuredeposit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_to__lt", Decimal("100000000000000000000000000")), ("amount_to__gte", 0)
                ),
                name="future_deposit_is_not_negative",
            ),
        ),
        migrations.AddIndex(
            model_name="quote",
            index=models.Index(fields=["merchant", "source", "target", "release_at"], name="quote_unexpired"),
        ),
        migrations.AddIndex(
            model_name="quote",
            index=models.Index(fields=["release_at"], name="quote_past"),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.UniqueConstraint(
                fields=("merchant", "id"), name="quote_belongs_to_one_merchant"
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(("price__lt", Decimal("100000000000000000000000000")), ("price__gt", 0)),
                name="quote_price_is_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(("release_at__gt", models.F("fixed_at"))), name="quote_holds_for_a_while"
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(("source", models.F("target")), _negated=True),
                name="quote_is_of_two_currencies",
            ),
        ),
        migrations.AddIndex(
            model_name="exchange",
            index=models.Index(
                condition=models.Q(("state", "processing")),
                fields=["processor", "operation"],
                name="exchange_to_send",
            ),
        ),
        migrations.AddIndex(
            model_name="exchange",
            index=models.Index(
                condition=models.Q(("state__in", ("sending", "sent", "unknown"))),
                fields=["next_ask_at", "operation"],
                name="exchange_in_flight",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.UniqueConstraint(
                fields=("processor", "external_id"), name="exchange_is_one_order_of_the_processor"
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["processing", "sending", "sent", "unknown", "confirmed", "failed"]),
                    ("origin__in", ["api", "staff"]),
                ),
                name="exchange_state_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("api_key__isnull", False), ("origin", "api"), ("requested_by", None)),
                    models.Q(("api_key", None), ("origin", "staff"), ("requested_by__isnull", False)),
                    _connector="OR",
                ),
                name="exchange_says_who_asked",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount__lt", Decimal("100000000000000000000000000")),
                    ("amount_to__lt", Decimal("100000000000000000000000000")),
                    ("price__lt", Decimal("100000000000000000000000000")),
                    ("fee__lt", Decimal("100000000000000000000000000")),
                    ("held__lt", Decimal("100000000000000000000000000")),
                    ("amount__gt", 0),
                    ("amount_to__gt", 0),
                    ("fee__gte", 0),
                    ("price__gt", 0),
                ),
                name="exchange_amounts_are_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("fee_currency", models.F("source")),
                        (
                            "held",
                            django.db.models.expressions.CombinedExpression(
                                models.F("amount"), "+", models.F("fee")
                            ),
                        ),
                    ),
                    models.Q(
                        ("fee__lte", models.F("amount_to")),
                        ("fee_currency", models.F("target")),
                        ("held", models.F("amount")),
                    ),
                    _connector="OR",
                ),
                name="exchange_holds_what_it_debits",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(("source", models.F("target")), _negated=True),
                name="exchange_is_of_two_currencies",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ("sending", "sent", "unknown")), _negated=True),
                    ("prepared__isnull", False),
                    _connector="OR",
                ),
                name="exchange_is_written_down_before_it_is_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="exchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("closed_at", None), ("state__in", ("processing", "sending", "sent", "unknown"))
                    ),
                    models.Q(("closed_at__isnull", False), ("state__in", ["confirmed", "failed"])),
                    _connector="OR",
                ),
                name="exchange_closes_when_it_ends",
            ),
        ),
        migrations.RunSQL((Path(__file__).parent / "exchanges.sql").read_text(), migrations.RunSQL.noop),
    ]
