"""Every page of the back-office is closed to strangers, a password alone, wrong roles, other merchants.

Walks the URL configuration, so that a new page is judged before anybody thinks of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from merchants.backoffice.access import Act, Page, SignedIn
from merchants.roles import PERMISSIONS, Role, allows
from tests import desk, factories

pytestmark = pytest.mark.django_db

STANDING_FOR = {"int": "1", "str": "x", "uuid": "00000000-0000-4000-8000-000000000000", "slug": "x"}
OPEN = {
    "sign_in",
    "sign_in_by_recovery",
    "sign_out",
    "enrol",
    "invitation",
    "ask_reset",
    "reset_password",
    "invoice",
    "receipt",
    "simulate",
    "terminal",
}
"""Pages for whoever is not signed in yet, and for payers; everything else is behind both factors."""


def patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """(path with <placeholders>, pattern) of everything that is mounted, without the operator's admin."""
    for item in (resolver or get_resolver()).url_patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            if item.namespace not in {"operator", "admin"}:
                yield from patterns(item, route)
        else:
            yield route, item


def pages() -> dict[str, tuple[str, type[SignedIn]]]:
    """name → (path, view) of every page behind the door."""
    found = {}
    for route, pattern in patterns():
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, SignedIn):
            found[pattern.name] = (route, view)
    return found


def path(route: str, client_id: int) -> str:
    """The route with something in each place; `client_id` where the merchant stands."""
    text = route.replace("<int:client_id>", str(client_id))
    while "<" in text:
        before, _, rest = text.partition("<")
        kind, _, after = rest.partition(">")
        text = before + STANDING_FOR[kind.partition(":")[0]] + after
    return f"/{text}"


PAGES = pages()
OF_A_MERCHANT = {name: found for name, found in PAGES.items() if issubclass(found[1], Page)}
everywhere = pytest.mark.parametrize("name", sorted(PAGES))
of_a_merchant = pytest.mark.parametrize("name", sorted(OF_A_MERCHANT))


@pytest.fixture
def shop():
    return factories.merchant()


def ask(client, name, shop):
    """The answers to GET and POST."""
    where = path(PAGES[name][0], shop.wire_id)
    return [client.get(where), client.post(where, {})]


class TestDoor:
    def test_has_pages_behind_it(self):
        assert len(OF_A_MERCHANT) >= 20

    def test_leaves_open_only_what_is_named(self):
        """A page under the merchants' or the account's path that is no `SignedIn` would be open."""
        inside = {
            pattern.name
            for route, pattern in patterns()
            if not route.startswith(("api/", "callbacks/", "healthz")) and pattern.name not in PAGES
        }
        assert inside <= OPEN

    @everywhere
    def test_is_closed_to_strangers(self, name, shop):
        for answer in ask(Client(), name, shop):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/sign-in/")

    @everywhere
    def test_is_closed_to_a_password_alone(self, name, shop):
        client = desk.sign_in(Client(), desk.person(shop), second_factor=False)
        for answer in ask(client, name, shop):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/sign-in/")

    @of_a_merchant
    def test_hides_another_merchant(self, name, shop):
        client = desk.sign_in(Client(), desk.person(factories.merchant()))
        assert {answer.status_code for answer in ask(client, name, shop)} == {404}

    @of_a_merchant
    def test_hides_the_merchant_from_a_restricted_member(self, name, shop):
        client = desk.sign_in(Client(), desk.person(shop, Role.RESTRICTED))
        assert {answer.status_code for answer in ask(client, name, shop)} == {404}

    @of_a_merchant
    def test_is_closed_to_every_role_without_its_permission(self, name, shop):
        view: Any = PAGES[name][1]
        for role in (Role.EXCHANGE, Role.LIMITS, Role.VIEW):
            if allows(role=role, permission=view.act):
                continue
            client = desk.sign_in(Client(), desk.person(shop, role))
            for answer in ask(client, name, shop):
                assert answer.status_code == 403
                assert PERMISSIONS[view.act] in answer.content.decode()


class TestActs:
    @pytest.mark.parametrize(
        "name", sorted(name for name, (_, view) in PAGES.items() if issubclass(view, Act))
    )
    def test_demand_the_forms_token(self, name, shop):
        client = desk.sign_in(Client(enforce_csrf_checks=True), desk.person(shop))
        assert client.post(path(PAGES[name][0], shop.wire_id), {}).status_code == 403
