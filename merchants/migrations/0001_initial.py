"""The database roles, then the tables of merchants: companies, people, keys, devices, audit."""

import datetime
from pathlib import Path

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import merchants.models.allowlist
import merchants.models.sealed


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.RunSQL((Path(__file__).parent / "roles.sql").read_text(), migrations.RunSQL.noop),
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("email", models.EmailField(max_length=254, unique=True, verbose_name="e-mail address")),
                (
                    "is_operator",
                    models.BooleanField(
                        default=False, help_text="May use the operator admin.", verbose_name="operator"
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(default=True, help_text="May sign in.", verbose_name="active"),
                ),
                ("must_change_password", models.BooleanField(default=False, editable=False)),
                (
                    "settled_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                        name="user_email_is_lower_case",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("email", ""), _negated=True), name="user_has_an_email"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveBigIntegerField(default=0)),
                (
                    "hash",
                    models.BinaryField(
                        default=b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                        max_length=32,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="audit_head_is_one_row")
                ],
            },
        ),
        migrations.CreateModel(
            name="ClockOffset",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("offset", models.DurationField(default=datetime.timedelta)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="clock_offset_is_one_row"),
                    models.CheckConstraint(
                        condition=models.Q(("offset__gte", datetime.timedelta(0))),
                        name="clock_offset_is_not_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Merchant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "wire_id",
                    models.PositiveIntegerField(
                        db_default=models.Func(models.Value("merchant_wire_id"), function="nextval"),
                        editable=False,
                        unique=True,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "public_name",
                    models.CharField(help_text="What payers read on the checkout pages.", max_length=100),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "Works"),
                            ("blocked", "Keys are refused; what is paid to it is held"),
                        ],
                        default="active",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "take_tag_as_string",
                    models.BooleanField(
                        default=False, help_text="Answer numeric tags as strings in addresses/take."
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("wire_id__gt", 0)), name="merchant_wire_id_is_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "blocked"])),
                        name="merchant_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("name", ""), _negated=True),
                            models.Q(("public_name", ""), _negated=True),
                        ),
                        name="merchant_has_names",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("public_key", models.CharField(max_length=128, unique=True)),
                (
                    "secret_ciphertext",
                    merchants.models.sealed.SealedTextField(blank=True, default="", editable=False),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("generated", "Made, has no secret yet, opens nothing"),
                            ("active", "Signs requests and callbacks"),
                            ("deactivated", "Dead for good"),
                        ],
                        default="generated",
                        max_length=12,
                    ),
                ),
                ("generated_at", models.DateTimeField()),
                ("activated_at", models.DateTimeField(null=True)),
                ("first_used_at", models.DateTimeField(null=True)),
                ("rotated_at", models.DateTimeField(null=True)),
                ("retires_at", models.DateTimeField(null=True)),
                ("deactivated_at", models.DateTimeField(null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_keys",
                        to="merchants.merchant",
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
            },
        ),
        migrations.CreateModel(
            name="TotpDevice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(help_text="The human-readable name of this device.", max_length=64),
                ),
                ("confirmed", models.BooleanField(default=True, help_text="Is this device ready for use?")),
                (
                    "throttling_failure_timestamp",
                    models.DateTimeField(
                        blank=True,
                        default=None,
                        help_text="A timestamp of the last failed verification attempt. Null if last attempt succeeded.",
                        null=True,
                    ),
                ),
                (
                    "throttling_failure_count",
                    models.PositiveIntegerField(default=0, help_text="Number of successive failed attempts."),
                ),
                ("seed_ciphertext", merchants.models.sealed.SealedTextField(editable=False)),
                ("step", models.PositiveSmallIntegerField(default=30)),
                ("tolerance", models.PositiveSmallIntegerField(default=1)),
                ("drift", models.SmallIntegerField(default=0)),
                ("last_t", models.BigIntegerField(default=-1)),
                ("enrolled_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        help_text="The user that this device belongs to.",
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "TOTP device",
            },
        ),
        migrations.CreateModel(
            name="AllowlistEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("network", merchants.models.allowlist.CidrField()),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allowlist",
                        to="merchants.apikey",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "allowlist entries",
                "constraints": [
                    models.UniqueConstraint(fields=("key", "network"), name="allowlist_entry_stands_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="KeyTraffic",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("ip", models.GenericIPAddressField(null=True)),
                ("endpoint", models.CharField(max_length=64)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("accepted", "Key, signature and address were right"),
                            ("required_header_key", "No key was named"),
                            ("bad_header_key", "The key is unknown or does not work"),
                            ("required_header_signature", "There was no signature"),
                            ("bad_header_signature", "The signature is not that of the body"),
                            ("forbidden_ip", "Signed rightly, from an address outside the allowlist"),
                            ("bad_content_format", "Signed rightly, but larger than a request may be"),
                        ],
                        max_length=32,
                    ),
                ),
                ("count", models.PositiveBigIntegerField()),
                (
                    "key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="traffic",
                        to="merchants.apikey",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "key traffic",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key", "hour", "ip", "endpoint", "outcome"),
                        name="key_traffic_is_one_row_an_hour",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                [
                                    "accepted",
                                    "required_header_key",
                                    "bad_header_key",
                                    "required_header_signature",
                                    "bad_header_signature",
                                    "forbidden_ip",
                                    "bad_content_format",
                                ],
                            )
                        ),
                        name="key_traffic_outcome_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("exchange", "Exchange"),
                            ("limits", "Limits"),
                            ("view", "View"),
                            ("restricted", "Restricted"),
                        ],
                        max_length=20,
                    ),
                ),
                ("settled_at", models.DateTimeField()),
                ("joined_at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to="merchants.merchant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("merchant", "user"), name="membership_is_one_per_person"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("role__in", ["owner", "exchange", "limits", "view", "restricted"])
                        ),
                        name="membership_role_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditRecord",
            fields=[
                ("number", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("actor_label", models.CharField(max_length=254, verbose_name="actor's name")),
                ("act", models.CharField(max_length=64)),
                ("subject", models.CharField(max_length=128)),
                ("before", models.TextField(null=True)),
                ("after", models.TextField(null=True)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("second_factor", models.BooleanField()),
                ("previous_hash", models.BinaryField(max_length=32, unique=True)),
                ("hash", models.BinaryField(max_length=32)),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="merchants.merchant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "-number"], name="audit_of_a_merchant"),
                    models.Index(fields=["subject", "-number"], name="audit_of_a_subject"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("number__gt", 0)), name="audit_number_starts_at_one"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(
                condition=models.Q(("retires_at__isnull", True), ("state", "active")),
                fields=("merchant",),
                name="api_key_one_active_per_merchant",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(
                condition=models.Q(("retires_at__isnull", False), ("state", "active")),
                fields=("merchant",),
                name="api_key_one_retiring_per_merchant",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("secret_ciphertext", ""), ("state", "generated")),
                    models.Q(("state", "active"), models.Q(("secret_ciphertext", ""), _negated=True)),
                    ("state", "deactivated"),
                    _connector="OR",
                ),
                name="api_key_has_a_secret_once_active",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("activated_at__isnull", True),
                        ("deactivated_at__isnull", True),
                        ("state", "generated"),
                    ),
                    models.Q(
                        ("activated_at__isnull", False), ("deactivated_at__isnull", True), ("state", "active")
                    ),
                    models.Q(("deactivated_at__isnull", False), ("state", "deactivated")),
                    _connector="OR",
                ),
                name="api_key_dates_follow_its_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("retires_at__isnull", True), ("rotated_at__isnull", True)),
                    models.Q(
                        ("retires_at__gt", models.F("rotated_at")),
                        (
                            "retires_at__lte",
                            django.db.models.expressions.CombinedExpression(
                                models.F("rotated_at"), "+", models.Value(datetime.timedelta(days=7))
                            ),
                        ),
                        ("rotated_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="api_key_overlap_is_at_most_seven_days",
            ),
        ),
        migrations.AddConstraint(
            model_name="totpdevice",
            constraint=models.CheckConstraint(
                condition=models.Q(("seed_ciphertext", ""), _negated=True), name="totp_device_has_a_seed"
            ),
        ),
        migrations.AddConstraint(
            model_name="totpdevice",
            constraint=models.CheckConstraint(
                condition=models.Q(("step__gt", 0)), name="totp_device_step_is_positive"
            ),
        ),
    ]
