"""Withdrawals and what bounds them; the rules that the database itself holds stand in the .sql file."""

from decimal import Decimal
from pathlib import Path

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

import payments.models.columns

HERE = Path(__file__).parent


class Migration(migrations.Migration):
    dependencies = [
        ("merchants", "0004_accounts"),
        ("payments", "0007_looked_up_by_operators"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("key", models.CharField(max_length=150)),
                ("text", models.CharField(max_length=500)),
                ("raised_at", models.DateTimeField()),
                ("cleared_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Cap",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("currency", payments.models.columns.CurrencyField(blank=True, default="", max_length=16)),
                (
                    "one_operation",
                    payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True),
                ),
                ("per_hour", payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True)),
                ("per_day", payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True)),
                ("changed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Contact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("currency", payments.models.columns.CurrencyField(max_length=16)),
                ("address", models.CharField(max_length=150)),
                ("lookup", models.CharField(max_length=150)),
                ("tag", models.CharField(max_length=40, null=True)),
                ("created_at", models.DateTimeField()),
                ("usable_from", models.DateTimeField()),
                ("removed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="LimitRecipient",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
            ],
        ),
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("currency", payments.models.columns.CurrencyField(max_length=16)),
                ("at", models.DateTimeField()),
                ("booked", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("in_flight", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("reported", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("difference", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
            ],
        ),
        migrations.CreateModel(
            name="Stop",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.CharField(max_length=255)),
                ("stopped_at", models.DateTimeField()),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lifted_by", models.CharField(blank=True, default="", max_length=100)),
                ("lift_reason", models.CharField(blank=True, default="", max_length=255)),
            ],
        ),
        migrations.CreateModel(
            name="Withdrawal",
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
                            ("pending", "Held: waits for approval"),
                            ("approved", "Held: may be sent"),
                            ("sending", "The order is written down; it may have been handed over"),
                            ("sent", "The processor took the order"),
                            ("unknown", "Nobody knows whether the processor took the order"),
                            ("confirmed", "Paid"),
                            ("failed", "Definitely not paid; the money is back"),
                            ("declined", "An Owner refused it; the money is back"),
                            ("expired", "Nobody approved it in time; the money is back"),
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
                ("note", models.CharField(blank=True, default="", max_length=255)),
                ("currency", payments.models.columns.CurrencyField(max_length=16)),
                ("amount", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                (
                    "fixed_side",
                    models.CharField(
                        choices=[("sent", "What is debited"), ("received", "What arrives")], max_length=10
                    ),
                ),
                ("convert_to", payments.models.columns.CurrencyField(blank=True, default="", max_length=16)),
                (
                    "amount_to",
                    payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True),
                ),
                ("address", models.CharField(max_length=150)),
                ("lookup", models.CharField(max_length=150)),
                ("tag", models.CharField(max_length=40, null=True)),
                ("address_wire_id", models.IntegerField()),
                ("fee", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("mining_fee", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("held", payments.models.columns.AmountField(decimal_places=8, max_digits=36)),
                ("is_internal", models.BooleanField(default=False)),
                (
                    "limit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "It need not be approved"),
                            ("one_operation", "Above the limit of one operation"),
                            ("hour", "Above the limit of an hour"),
                            ("day", "Above the limit of a day"),
                            ("everything", "Everything is approved by hand"),
                            ("no_price", "Its worth in EUR is not known at the moment"),
                            ("refund", "A refund to a payer"),
                            ("new_destination", "A new contact that still cools down"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                ("expires_at", models.DateTimeField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision_reason", models.CharField(blank=True, default="", max_length=255)),
                ("approved_hash", models.BinaryField(null=True)),
                ("our_id", models.CharField(max_length=60, unique=True)),
                ("external_id", models.CharField(max_length=60, null=True)),
                ("prepared", models.BinaryField(null=True)),
                ("prepared_at", models.DateTimeField(null=True)),
                ("submitted_at", models.DateTimeField(null=True)),
                ("unknown_at", models.DateTimeField(null=True)),
                ("unknown_reason", models.CharField(blank=True, default="", max_length=255)),
                ("asks", models.PositiveIntegerField(default=0)),
                ("next_ask_at", models.DateTimeField(null=True)),
                ("stuck_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[("paid", "It was paid"), ("not_paid", "It was not paid and will not be")],
                        default="",
                        max_length=10,
                    ),
                ),
                ("outcome_reason", models.CharField(blank=True, default="", max_length=255)),
                ("outcome_txid", models.CharField(blank=True, default="", max_length=150)),
                ("outcome_said_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="WithdrawalLimit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("origin", models.CharField(choices=[("api", "API"), ("staff", "Staff")], max_length=10)),
                ("currency", payments.models.columns.CurrencyField(blank=True, default="", max_length=16)),
                (
                    "one_operation",
                    payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True),
                ),
                ("per_hour", payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True)),
                ("per_day", payments.models.columns.AmountField(decimal_places=8, max_digits=36, null=True)),
                ("everything", models.BooleanField(default=False)),
                ("changed_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="operation",
            name="operation_kind_and_status_are_known",
        ),
        migrations.RemoveConstraint(
            model_name="operation",
            name="operation_money_lies_where_its_status_says",
        ),
        migrations.AddField(
            model_name="operation",
            name="foreign_id",
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.AddField(
            model_name="operation",
            name="origin",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "Nobody: it came in"),
                    ("api", "A merchant's program"),
                    ("staff", "A merchant's staff"),
                    ("refund", "A payer who gets money back"),
                ],
                db_default="",
                default="",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="address",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.address"
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="external_id",
            field=models.CharField(max_length=150, null=True),
        ),
        migrations.AlterField(
            model_name="operation",
            name="kind",
            field=models.CharField(
                choices=[
                    ("deposit", "Deposit"),
                    ("deposit_exchange", "Deposit with conversion"),
                    ("withdrawal", "Withdrawal"),
                    ("withdrawal_exchange", "Withdrawal with conversion"),
                    ("exchange", "Exchange"),
                ],
                max_length=30,
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="status",
            field=models.CharField(
                choices=[
                    ("not_confirmed", "Seen, not yet credited"),
                    ("pending", "Waits for approval"),
                    ("processing", "Accepted, outcome open"),
                    ("confirmed", "Final"),
                    ("cancelled", "Not done, or no longer; the money is where it was"),
                    ("declined", "Refused by the merchant, or never approved"),
                ],
                max_length=20,
            ),
        ),
        AddConstraintNotValid(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind__in", ("deposit", "deposit_exchange")),
                        ("status__in", ["not_confirmed", "confirmed", "cancelled"]),
                    ),
                    models.Q(
                        ("kind__in", ("withdrawal", "withdrawal_exchange", "exchange")),
                        ("status__in", ["pending", "processing", "confirmed", "cancelled", "declined"]),
                    ),
                    _connector="OR",
                ),
                name="operation_kind_and_status_are_known",
            ),
        ),
        AddConstraintNotValid(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("address__isnull", False),
                        ("external_id__isnull", False),
                        ("foreign_id", None),
                        ("kind__in", ("deposit", "deposit_exchange")),
                        ("origin", ""),
                    ),
                    models.Q(
                        models.Q(("kind__in", ("deposit", "deposit_exchange")), _negated=True),
                        models.Q(("origin", ""), _negated=True),
                        ("address__isnull", True),
                        ("external_id__isnull", True),
                        ("foreign_id__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="operation_comes_in_or_is_ordered",
            ),
        ),
        AddConstraintNotValid(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("credited_to", ""), ("status", "not_confirmed")),
                    models.Q(
                        ("credited_to__in", ["available", "held"]),
                        ("kind__in", ("deposit", "deposit_exchange")),
                        ("status", "confirmed"),
                    ),
                    models.Q(("credited_to__in", ["", "dust"]), ("status", "cancelled")),
                    models.Q(
                        models.Q(("kind__in", ("deposit", "deposit_exchange")), _negated=True),
                        ("credited_to", ""),
                    ),
                    _connector="OR",
                ),
                name="operation_money_lies_where_its_status_says",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="cleared_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="merchant",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"
            ),
        ),
        migrations.AddField(
            model_name="cap",
            name="merchant",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="created_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="limitrecipient",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="reconciliation",
            name="processor",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="payments.processor"),
        ),
        migrations.AddField(
            model_name="stop",
            name="merchant",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"
            ),
        ),
        migrations.AddField(
            model_name="stop",
            name="stopped_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="api_key",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="merchants.apikey"
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="decided_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="outcome_agreed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="outcome_said_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="processor",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="payments.processor"),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="requested_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="withdrawallimit",
            name="merchant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="merchants.merchant"),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("cleared_at", None)), fields=["merchant", "-raised_at"], name="alert_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("cleared_at", None)), fields=("key",), name="alert_is_raised_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="cap",
            constraint=models.UniqueConstraint(
                fields=("merchant", "currency"), name="cap_is_unique", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="cap",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("one_operation__isnull", True),
                        models.Q(
                            ("one_operation__lt", Decimal("100000000000000000000000000")),
                            ("one_operation__gt", 0),
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        ("per_hour__isnull", True),
                        models.Q(
                            ("per_hour__lt", Decimal("100000000000000000000000000")), ("per_hour__gt", 0)
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        ("per_day__isnull", True),
                        models.Q(("per_day__lt", Decimal("100000000000000000000000000")), ("per_day__gt", 0)),
                        _connector="OR",
                    ),
                ),
                name="cap_is_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at", None)),
                fields=("merchant", "currency", "lookup", "tag"),
                name="contact_is_unique",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at", None)),
                fields=("merchant", "name"),
                name="contact_name_is_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="limitrecipient",
            constraint=models.UniqueConstraint(
                fields=("merchant", "email"), name="limit_recipient_is_unique"
            ),
        ),
        migrations.AddIndex(
            model_name="reconciliation",
            index=models.Index(fields=["processor", "currency", "-at"], name="reconciliation_latest"),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("booked__lt", Decimal("100000000000000000000000000")),
                    ("in_flight__lt", Decimal("100000000000000000000000000")),
                    ("reported__lt", Decimal("100000000000000000000000000")),
                    ("difference__lt", Decimal("100000000000000000000000000")),
                ),
                name="reconciliation_is_in_numbers",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(
                condition=models.Q(("lifted_at", None)),
                fields=("merchant",),
                name="stop_is_one_at_a_time",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("lifted_at", None),
                    models.Q(
                        models.Q(("lifted_by", ""), _negated=True),
                        models.Q(("lift_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="stop_is_lifted_by_somebody_for_a_reason",
            ),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(
                condition=models.Q(("state", "approved")),
                fields=["prepared_at", "operation"],
                name="withdrawal_to_send",
            ),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(
                condition=models.Q(("state__in", ("sending", "sent", "unknown"))),
                fields=["next_ask_at", "operation"],
                name="withdrawal_in_flight",
            ),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["merchant", "expires_at", "operation"],
                name="withdrawal_to_approve",
            ),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(
                fields=["merchant", "origin", "currency", "requested_at"], name="withdrawal_by_velocity"
            ),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(fields=["merchant", "lookup"], name="withdrawal_by_destination"),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(fields=["processor", "submitted_at"], name="withdrawal_by_outflow"),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.UniqueConstraint(
                fields=("processor", "external_id"), name="withdrawal_is_one_order_of_the_processor"
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.UniqueConstraint(
                fields=("merchant", "address_wire_id"), name="withdrawal_address_wire_id_is_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount__lt", Decimal("100000000000000000000000000")),
                    ("fee__lt", Decimal("100000000000000000000000000")),
                    ("mining_fee__lt", Decimal("100000000000000000000000000")),
                    ("held__lt", Decimal("100000000000000000000000000")),
                    ("amount__gt", 0),
                    ("fee__gte", 0),
                    ("mining_fee__gte", 0),
                    (
                        "held",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("amount"), "+", models.F("fee")
                            ),
                            "+",
                            models.F("mining_fee"),
                        ),
                    ),
                ),
                name="withdrawal_holds_amount_and_fees",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount_to__isnull", True), ("convert_to", "")),
                    models.Q(
                        models.Q(("convert_to", ""), _negated=True),
                        ("amount_to__lt", Decimal("100000000000000000000000000")),
                        ("amount_to__gt", 0),
                        ("amount_to__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="withdrawal_converts_to_an_amount",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "pending",
                            "approved",
                            "sending",
                            "sent",
                            "unknown",
                            "confirmed",
                            "failed",
                            "declined",
                            "expired",
                        ],
                    ),
                    (
                        "limit__in",
                        [
                            "",
                            "one_operation",
                            "hour",
                            "day",
                            "everything",
                            "no_price",
                            "refund",
                            "new_destination",
                        ],
                    ),
                    ("origin__in", ["api", "staff", "refund"]),
                ),
                name="withdrawal_state_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("api_key__isnull", False), ("origin", "api"), ("requested_by", None)),
                    models.Q(("api_key", None), ("origin", "staff"), ("requested_by__isnull", False)),
                    models.Q(("api_key", None), ("origin", "refund")),
                    _connector="OR",
                ),
                name="withdrawal_says_who_asked",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("requested_by__isnull", True),
                    ("decided_by__isnull", True),
                    ("state", "declined"),
                    models.Q(("decided_by", models.F("requested_by")), _negated=True),
                    _connector="OR",
                ),
                name="withdrawal_approver_is_not_requester",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("limit", ""),
                    ("state__in", ["pending", "expired"]),
                    models.Q(("decided_at__isnull", False), ("decided_by__isnull", False)),
                    _connector="OR",
                ),
                name="withdrawal_beyond_a_limit_is_decided_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["pending", "declined", "expired"]), _negated=True),
                    models.Q(("limit", ""), _negated=True),
                    _connector="OR",
                ),
                name="withdrawal_waits_for_a_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("limit", ""),
                    ("state__in", ["pending", "expired", "declined"]),
                    ("approved_hash__isnull", False),
                    _connector="OR",
                ),
                name="withdrawal_approval_keeps_what_was_seen",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("outcome_agreed_by__isnull", True),
                    models.Q(
                        ("outcome_said_by__isnull", False),
                        models.Q(("outcome_agreed_by", models.F("outcome_said_by")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="withdrawal_outcome_takes_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["sent", "unknown"]), _negated=True),
                    ("prepared__isnull", False),
                    _connector="OR",
                ),
                name="withdrawal_is_written_down_before_it_is_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawallimit",
            constraint=models.UniqueConstraint(
                fields=("merchant", "origin", "currency"), name="withdrawal_limit_is_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawallimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("one_operation__isnull", True),
                        models.Q(
                            ("one_operation__lt", Decimal("100000000000000000000000000")),
                            ("one_operation__gt", 0),
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        ("per_hour__isnull", True),
                        models.Q(
                            ("per_hour__lt", Decimal("100000000000000000000000000")), ("per_hour__gt", 0)
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        ("per_day__isnull", True),
                        models.Q(("per_day__lt", Decimal("100000000000000000000000000")), ("per_day__gt", 0)),
                        _connector="OR",
                    ),
                ),
                name="withdrawal_limit_is_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawallimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("origin__in", ["api", "staff"])), name="withdrawal_limit_has_an_origin"
            ),
        ),
        migrations.RunSQL((HERE / "withdrawals.sql").read_text(), migrations.RunSQL.noop),
    ]
