"""Roles: what each of the five may do, and nothing between the lines."""

from __future__ import annotations

import pytest

from merchants import roles
from merchants.roles import PERMISSIONS, Role


class TestAllows:
    def test_gives_an_owner_everything(self):
        assert roles.permissions_of(Role.OWNER) == set(PERMISSIONS)

    def test_gives_the_restricted_nothing(self):
        assert roles.permissions_of(Role.RESTRICTED) == frozenset()

    def test_gives_a_viewer_no_way_to_move_money_or_change_settings(self):
        assert roles.permissions_of(Role.VIEW) == {
            "balances.view",
            "fees.view",
            "currencies.view",
            "transactions.view",
            "invoices.view",
            "addresses.view",
            "limits.view",
            "contacts.view",
            "callbacks.view",
            "addresses.manage",
            "callbacks.resend",
            "invoices.create",
        }

    def test_gives_exchange_one_act_more_than_view(self):
        more = roles.permissions_of(Role.EXCHANGE) - roles.permissions_of(Role.VIEW)
        assert more == {"exchanges.create"}

    def test_gives_limits_two_acts_more_than_view(self):
        more = roles.permissions_of(Role.LIMITS) - roles.permissions_of(Role.VIEW)
        assert more == {"limits.keep_on_hot", "limits.minimum_transaction"}

    @pytest.mark.parametrize(
        "permission",
        [
            "keys.generate",
            "keys.activate",
            "keys.rotate",
            "keys.deactivate",
            "keys.set_allowlist",
            "callbacks.set_endpoint",
            "withdrawals.create",
            "withdrawals.approve",
            "limits.withdrawal",
            "contacts.create",
            "team.invite",
            "team.change",
            "team.remove",
        ],
    )
    def test_keeps_what_moves_money_or_lets_in_to_owners(self, permission):
        assert roles.roles_with(permission) == [Role.OWNER]

    def test_knows_no_permission_that_is_not_in_the_table(self):
        with pytest.raises(KeyError):
            roles.allows(role=Role.OWNER, permission="keys.show_secret")


class TestWords:
    @pytest.mark.parametrize("role", Role)
    def test_say_of_each_role_what_it_is(self, role):
        assert role.label == role.value.capitalize()
        assert role.words.endswith(".")
