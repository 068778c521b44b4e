"""Roles of a merchant's staff and what each may do: the one table. Pure.

Sources: the published role list of the portal (gateway contract, section 5).
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A role; its value is what the database keeps."""

    OWNER = "owner"
    """Everything, money included."""
    EXCHANGE = "exchange"
    """Look, and exchange between the merchant's own balances."""
    LIMITS = "limits"
    """Look, and set how much stays on the hot wallet."""
    VIEW = "view"
    """Only look; may manage deposit addresses, create invoices and repeat callbacks."""
    RESTRICTED = "restricted"
    """Nothing; signed out at once."""

    @property
    def label(self) -> str:
        """The role in plain words."""
        return _LABELS[self]


_LABELS = {
    Role.OWNER: "Owner: can do everything, money included",
    Role.EXCHANGE: "Exchange: can look and exchange balances",
    Role.LIMITS: "Limits: can look and set wallet limits",
    Role.VIEW: "View: can only look, and create invoices and addresses",
    Role.RESTRICTED: "Restricted: cannot enter",
}


class Permission(StrEnum):
    """Something that a role may allow."""

    LOOK = "look"
    """See balances, transactions, addresses, callbacks, fees."""
    MANAGE_ADDRESSES = "addresses.manage"
    """Create and rename deposit addresses in the portal."""
    CREATE_INVOICES = "invoices.create"
    """Create invoices."""
    REPEAT_CALLBACKS = "callbacks.repeat"
    """Send a callback again."""
    EXCHANGE = "exchanges.make"
    """Exchange between the merchant's own balances."""
    SET_WALLET_LIMITS = "wallet_limits.set"
    """Set keep-on-hot and minimum-transaction limits."""
    MANAGE_KEYS = "keys.manage"
    """Generate, activate, rotate and deactivate API keys; edit their allowlists."""
    MANAGE_ENDPOINT = "endpoint.manage"
    """Set the callback URL and its switches."""
    MANAGE_CURRENCIES = "currencies.manage"
    """Enable and disable currencies."""
    MANAGE_TEAM = "team.manage"
    """Invite people, change and remove roles."""
    MOVE_MONEY = "withdrawals.make"
    """Make withdrawals."""
    APPROVE_MONEY = "withdrawals.approve"
    """Approve and decline withdrawals."""
    SET_LIMITS = "limits.set"
    """Set withdrawal limits and contacts."""


_LOOKING = frozenset(
    {
        Permission.LOOK,
        Permission.MANAGE_ADDRESSES,
        Permission.CREATE_INVOICES,
        Permission.REPEAT_CALLBACKS,
    }
)

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.EXCHANGE: _LOOKING | {Permission.EXCHANGE},
    Role.LIMITS: _LOOKING | {Permission.SET_WALLET_LIMITS},
    Role.VIEW: _LOOKING,
    Role.RESTRICTED: frozenset(),
}


def allows(role: Role, permission: Permission) -> bool:
    return permission in PERMISSIONS[role]


def granting(permission: Permission) -> list[Role]:
    """The roles that have a permission: whom a page names when it refuses."""
    return [role for role in Role if allows(role, permission)]
