"""Contacts on pages: checked when named, cooled down, removed."""

from __future__ import annotations

import pytest

from merchants.roles import Role
from payments.models import Contact
from tests import desk
from tests.payments.backoffice import paying

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    return paying.owner()


def text(answer):
    return answer.content.decode()


def add(at, **changed):
    given = {"name": "Cold wallet", "currency": "BTC", "address": paying.address(), **changed}
    return at.post("contacts/add/", **given)


class TestAdd:
    def test_keeps_the_destination_and_shows_that_it_cools_down(self, at):
        assert add(at).status_code == 302
        contact = Contact.objects.get()
        assert (contact.name, contact.currency, contact.created_by) == ("Cold wallet", "BTC", at.user)
        page = text(at.get("contacts/"))
        assert "Cools down" in page
        assert f">{contact.address[:4]}<" in page

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"name": " "}, "Give the contact a name."),
            ({"currency": ""}, "Choose a currency."),
            ({"currency": "EUR"}, "Select a valid choice."),
            ({"address": "2Nnonsense"}, "The address is invalid."),
            ({"address": "\x00"}, "Null characters are not allowed."),
            ({"tag": "12"}, "The tag must be left out: BTC is sent without one."),
        ],
    )
    def test_refuses_at_the_field(self, at, changed, sentence):
        answer = add(at, **changed)
        assert answer.status_code == 422
        assert sentence in text(answer)
        assert not Contact.objects.exists()

    def test_takes_a_code(self, at):
        assert add(at, code="000000").status_code == 422
        assert not Contact.objects.exists()

    def test_is_the_owners(self, at):
        viewer = desk.desk(at.merchant, Role.VIEW)
        assert add(viewer).status_code == 403
        assert "Add a contact" not in text(viewer.get("contacts/"))


class TestRemove:
    def test_takes_it_off_the_list(self, at):
        add(at)
        contact = Contact.objects.get()
        other = paying.second_owner(at)
        assert other.post(f"contacts/{contact.pk}/remove/").status_code == 302
        contact.refresh_from_db()
        assert contact.removed_at is not None
        assert "No contacts yet" in text(at.get("contacts/"))

    def test_of_another_merchants_is_missing(self, at):
        add(at)
        stranger = paying.owner()
        number = Contact.objects.get().pk
        assert stranger.post(f"contacts/{number}/remove/").status_code == 404
        assert Contact.objects.get().removed_at is None
