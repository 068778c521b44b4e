"""Contacts: destinations with a name, checked and cooled down, and look-alikes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from merchants.models import AuditRecord
from payments import contacts, currencies, destinations
from payments import payouts as verbs
from payments.contacts import Mark
from payments.errors import Required, SelectedIsInvalid
from payments.models import Contact
from payments.processors.base import PayoutNotice, PayoutStatus
from tests import factories, payouts
from tests.constraints import refused
from tests.desk import person
from tests.factories import NOW
from tests.payouts import ELSEWHERE, ask, elsewhere

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant():
    return payouts.merchant()


def add(merchant, name="Ann", currency="BTC", **options) -> Contact:
    defaults = {"address": ELSEWHERE.get(currency, "x"), "by": person(), "now": NOW}
    return contacts.add(merchant=merchant, name=name, currency=currency, **defaults | options)


class TestAdd:
    def test_names_a_destination_that_cools_down(self, merchant, settings):
        settings.CONTACT_COOL_DOWN = timedelta(hours=5)
        contact = add(merchant, " Ann \n B ")
        assert (contact.name, contact.address, contact.tag) == ("Ann B", ELSEWHERE["BTC"], None)
        assert contact.usable_from == NOW + timedelta(hours=5)
        assert AuditRecord.objects.get(act="contacts.add").subject == f"contact:{contact.pk}"

    def test_takes_a_day_unless_told_otherwise(self, merchant):
        assert add(merchant).usable_from == NOW + timedelta(hours=24)

    def test_keeps_the_one_spelling_beside_the_given_one(self, merchant):
        given = ELSEWHERE["ETH"].lower()
        contact = add(merchant, currency="ETH", address=given)
        assert (contact.address, contact.lookup) == (given, ELSEWHERE["ETH"])

    def test_takes_a_tag_where_the_network_has_one(self, merchant):
        assert add(merchant, currency="XRP", tag="07").tag == "7"

    @pytest.mark.parametrize(
        ("options", "refusal", "field"),
        [
            ({"name": "\u200b "}, contacts.NameMissing, "name"),
            ({"name": "x" * 101}, contacts.NameTooLong, "name"),
            ({"currency": "XXX"}, currencies.UnknownCurrency, "currency"),
            ({"currency": "EUR"}, SelectedIsInvalid, "currency"),
            ({"address": ""}, Required, "address"),
            ({"address": "x"}, destinations.AddressIsInvalid, "address"),
            ({"address": ELSEWHERE["ETH"]}, destinations.AddressIsInvalid, "address"),
            ({"currency": "SOL"}, destinations.AddressIsInvalid, "address"),
            ({"tag": "1"}, destinations.TakesNoTag, "tag"),
            ({"currency": "XRP"}, Required, "tag"),
            ({"currency": "XRP", "tag": "x"}, destinations.TagIsInvalid, "tag"),
        ],
    )
    def test_refuses_what_nothing_could_be_sent_to(self, merchant, options, refusal, field):
        with pytest.raises(refusal) as caught:
            add(merchant, **options)
        assert caught.value.field == field
        assert not Contact.objects.exists()

    def test_refuses_a_name_or_an_address_twice(self, merchant):
        add(merchant)
        with pytest.raises(contacts.AlreadyAContact, match="This address is a contact already: Ann"):
            add(merchant, "Bob")
        with pytest.raises(contacts.NameTaken):
            add(merchant, address=elsewhere("BTC", "other"))
        assert Contact.objects.count() == 1

    def test_refuses_what_another_person_was_faster_with(self, merchant, monkeypatch):
        add(merchant)
        monkeypatch.setattr(contacts, "find", lambda **_: None)
        with pytest.raises(contacts.AlreadyAContact):
            add(merchant, "Bob")

    def test_lets_merchants_name_the_same(self, merchant):
        add(merchant)
        add(payouts.merchant())
        assert Contact.objects.count() == 2


class TestRemove:
    def remove(self, merchant, contact) -> Contact:
        return contacts.remove(merchant=merchant, contact_id=contact.pk, by=person(), now=NOW)

    def test_leaves_it_out_and_cools_down_again_when_named_again(self, merchant):
        contact = add(merchant)
        assert self.remove(merchant, contact).removed_at == NOW
        assert list(contacts.of(merchant)) == []
        again = add(merchant, now=NOW + timedelta(days=9))
        assert again.usable_from == NOW + timedelta(days=10)
        assert AuditRecord.objects.filter(act="contacts.remove").count() == 1

    def test_refuses_anothers_and_a_removed_one(self, merchant):
        others = add(payouts.merchant())
        gone = add(merchant)
        self.remove(merchant, gone)
        for contact in (others, gone):
            with pytest.raises(contacts.NoSuchContact):
                self.remove(merchant, contact)


class TestFamiliarity:
    def of(self, merchant, address, **options) -> contacts.Familiarity:
        return contacts.familiarity(merchant=merchant, **{"currency": "BTC", "address": address} | options)

    def test_is_first_seen_for_a_stranger(self, merchant):
        add(payouts.merchant())
        seen = self.of(merchant, ELSEWHERE["BTC"])
        assert seen == contacts.Familiarity(Mark.FIRST_SEEN)

    def test_is_known_for_a_contact(self, merchant):
        contact = add(merchant)
        seen = self.of(merchant, ELSEWHERE["BTC"])
        assert (seen.mark, seen.contact, seen.payouts) == (Mark.KNOWN, contact, 0)

    def test_is_known_once_it_was_paid_and_not_before(self, merchant):
        row = payouts.sent(ask(merchant))
        assert self.of(merchant, row.address).mark == Mark.FIRST_SEEN
        paid = PayoutNotice(row.our_id, "up-1", PayoutStatus.CONFIRMED, paid=row.money)
        with transaction.atomic():
            verbs.record_many(processor=factories.processor(), notices=[paid], now=NOW)
        seen = self.of(merchant, row.address)
        assert (seen.mark, seen.payouts, seen.last_at) == (Mark.KNOWN, 1, NOW)

    def test_looks_at_the_tag_too(self, merchant):
        add(merchant, currency="XRP", tag="7")
        known = self.of(merchant, ELSEWHERE["XRP"], currency="XRP", tag="7")
        other = self.of(merchant, ELSEWHERE["XRP"], currency="XRP", tag="8")
        assert (known.mark, other.mark) == (Mark.KNOWN, Mark.FIRST_SEEN)

    @pytest.mark.parametrize("looks", ["{0}zzzz{1}", "{0}{1}"])
    def test_warns_of_one_that_begins_and_ends_alike(self, merchant, looks):
        add(merchant)
        known = ELSEWHERE["BTC"]
        seen = self.of(merchant, looks.format(known[:4], known[-4:]))
        assert (seen.mark, seen.similar) == (Mark.SIMILAR, known)

    @pytest.mark.parametrize("looks", ["{0}zzzz", "zzzz{1}", "%{0}{1}", "_____{1}"])
    def test_does_not_warn_of_half_a_likeness(self, merchant, looks):
        add(merchant)
        known = ELSEWHERE["BTC"]
        assert self.of(merchant, looks.format(known[:4], known[-4:])).mark == Mark.FIRST_SEEN

    def test_warns_of_one_like_an_address_that_was_paid(self, merchant):
        row = payouts.sent(ask(merchant, amount=Decimal("0.1")))
        paid = PayoutNotice(row.our_id, "up-1", PayoutStatus.CONFIRMED, paid=row.money)
        with transaction.atomic():
            verbs.record_many(processor=factories.processor(), notices=[paid], now=NOW)
        seen = self.of(merchant, f"{row.address[:4]}xxx{row.address[-4:]}")
        assert (seen.mark, seen.similar) == (Mark.SIMILAR, row.address)


class TestDatabase:
    def test_holds_a_contact_to_where_it_points(self, merchant):
        contact = add(merchant)
        refused(
            "contact_stays_where_it_points",
            f"UPDATE payments_contact SET address = 'x' WHERE id = {contact.pk}",
        )
        refused("contact_stays_where_it_points", f"DELETE FROM payments_contact WHERE id = {contact.pk}")
