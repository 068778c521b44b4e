"""Deposit addresses: the free ones of each pool, and those taken by a merchant for a customer."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now, RowNumber

from merchants.models import Merchant
from merchants.models.scope import TenantQuerySet
from payments.models.columns import CurrencyField
from payments.models.route import Processor


class AddressOrigin(models.TextChoices):
    """Who took an address; deposits to portal addresses call nobody back by default."""

    POOL = "pool", "Nobody yet: free in its pool"
    API = "api", "A merchant's program"
    PORTAL = "portal", "A merchant's staff"
    INVOICE = "invoice", "An invoice, for itself alone; it is the invoice that calls back"


class AddressPool(models.Model):
    """How many free addresses of one kind are wanted; made when that kind is first asked for.

    wanted doubles each time a merchant found the pool empty.
    """

    MOST = 1000

    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    currency = CurrencyField()
    convert_to = CurrencyField(blank=True, default="")
    wanted = models.PositiveIntegerField(default=10)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["processor", "currency", "convert_to"], name="address_pool_is_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(wanted__gte=1, wanted__lte=1000), name="address_pool_size_is_bounded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.currency}→{self.convert_to}" if self.convert_to else self.currency


class AddressQuerySet(TenantQuerySet["Address"]):
    def free(self) -> AddressQuerySet:
        return self.filter(origin=AddressOrigin.POOL, address__isnull=False)

    def wanted(self, processor: Processor) -> AddressQuerySet:
        """Reserved rows that have no address yet; the first of each pool before the second of any."""
        place = models.Window(RowNumber(), partition_by=["currency", "convert_to"], order_by="id")
        rows = self.filter(processor=processor, address__isnull=True)
        return rows.annotate(place=place).order_by("place", "id")


class Address(models.Model):
    """An address that a processor issued under `pool-<id>`; a merchant's from the moment it is taken.

    lookup: the address in the one spelling that notices are matched by. convert_to: empty for none.
    wire_id: what the wire calls it, unique per merchant. label: what staff call one that they took.
    """

    processor = models.ForeignKey(Processor, on_delete=models.PROTECT)
    currency = CurrencyField()
    convert_to = CurrencyField(blank=True, default="")
    origin = models.CharField(max_length=10, choices=AddressOrigin.choices, default=AddressOrigin.POOL)
    address = models.CharField(max_length=150, null=True)
    lookup = models.CharField(max_length=150, null=True)
    tag = models.CharField(max_length=40, null=True)
    external_id = models.CharField(max_length=60, blank=True, default="")
    requested_at = models.DateTimeField(db_default=Now())
    issued_at = models.DateTimeField(null=True)

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True)
    wire_id = models.IntegerField(null=True)
    foreign_id = models.CharField(max_length=255, null=True)
    end_user_reference = models.CharField(max_length=255, null=True)
    sender = models.JSONField(null=True)
    taken_at = models.DateTimeField(null=True)
    label = models.CharField(max_length=60, blank=True, default="", db_default="")

    objects = AddressQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["processor", "lookup", "tag"],
                name="address_is_issued_once",
                nulls_distinct=False,
                condition=models.Q(lookup__isnull=False),
            ),
            models.UniqueConstraint(fields=["merchant", "wire_id"], name="address_wire_id_is_unique"),
            models.UniqueConstraint(fields=["merchant", "id"], name="address_belongs_to_one_merchant"),
            models.UniqueConstraint(
                fields=["merchant", "foreign_id", "currency", "convert_to"],
                name="address_of_a_customer_is_unique",
                condition=models.Q(origin="api"),
            ),
            models.CheckConstraint(
                condition=models.Q(origin="pool", merchant__isnull=True, wire_id__isnull=True)
                | (
                    ~models.Q(origin="pool")
                    & models.Q(
                        merchant__isnull=False,
                        wire_id__isnull=False,
                        address__isnull=False,
                        taken_at__isnull=False,
                    )
                ),
                name="address_is_free_or_taken",
            ),
            models.CheckConstraint(
                condition=models.Q(address__isnull=True, lookup__isnull=True)
                | models.Q(address__isnull=False, lookup__isnull=False),
                name="address_has_its_lookup",
            ),
            models.CheckConstraint(
                condition=models.Q(label="") | models.Q(origin="portal"), name="address_label_is_of_the_staff"
            ),
        ]
        indexes = [
            models.Index(
                fields=["processor", "currency", "convert_to", "id"],
                name="address_free",
                condition=models.Q(origin="pool"),
            ),
            models.Index(fields=["address"], name="address_by_text"),
            models.Index(fields=["foreign_id"], name="address_by_customer"),
            models.Index(
                fields=["merchant", "wire_id"],
                name="address_of_the_staff",
                condition=models.Q(origin="portal"),
            ),
        ]

    def __str__(self) -> str:
        return self.address or f"pool-{self.pk}"

    @property
    def reference(self) -> str:
        """What the processor knows the address by."""
        return f"pool-{self.pk}"

    def issued(self, *, address: str, lookup: str, tag: str | None, external_id: str) -> None:
        """The processor answered; the row becomes free for a merchant to take."""
        self.address, self.lookup, self.tag = address, lookup, tag
        self.external_id, self.issued_at = external_id, Now()
        self.save(update_fields=["address", "lookup", "tag", "external_id", "issued_at"])

    def call(self, label: str) -> None:
        """Staff give it another name."""
        self.label = label
        self.save(update_fields=["label"])
