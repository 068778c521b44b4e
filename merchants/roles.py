"""Who may do what on a merchant's account: one table, in plain words, read by every door.

A permission is the name of the act (`keys.activate`); a role is the set of acts it allows. The back-office
prints `Role.words` next to each role and names the permission that somebody lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a person is on a merchant's team."""

    OWNER = "owner"
    """Everything, including what moves money and what lets others in."""
    EXCHANGE = "exchange"
    """Looks at everything and exchanges between the merchant's own balances."""
    LIMITS = "limits"
    """Looks at everything and keeps the balances' limits."""
    VIEW = "view"
    """Looks at everything, makes invoices and deposit addresses, repeats callbacks."""
    RESTRICTED = "restricted"
    """Nothing; the person is signed out at once."""

    @property
    def label(self) -> str:
        return self.value.capitalize()

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS: Mapping[Role, str] = {
    Role.OWNER: "Does everything: keys, callback address, team, limits, sending money and approving it.",
    Role.EXCHANGE: "Sees everything and exchanges funds. Cannot send money out or change settings.",
    Role.LIMITS: "Sees everything and sets keep-on-hot and minimum-transaction limits.",
    Role.VIEW: "Sees everything, manages deposit addresses, creates invoices and repeats callbacks.",
    Role.RESTRICTED: "May not enter the back-office.",
}

_VIEW = {
    "balances.view": "See balances",
    "fees.view": "See fees",
    "currencies.view": "See the enabled currencies",
    "transactions.view": "See transactions and payments",
    "invoices.view": "See invoices",
    "addresses.view": "See addresses",
    "limits.view": "See limits",
    "contacts.view": "See contacts",
    "callbacks.view": "See callbacks and their attempts",
    "addresses.manage": "Create and rename deposit addresses",
    "callbacks.resend": "Repeat callbacks",
    "invoices.create": "Create and cancel invoices",
}
_EXCHANGE = {"exchanges.create": "Exchange funds"}
_LIMITS = {
    "limits.keep_on_hot": "Set keep-on-hot limits",
    "limits.minimum_transaction": "Set minimum-transaction limits",
}
_OWNER = {
    "keys.view": "See API keys and where they are used from",
    "keys.generate": "Generate API keys",
    "keys.activate": "Activate API keys",
    "keys.rotate": "Rotate API keys",
    "keys.deactivate": "Deactivate API keys",
    "keys.set_allowlist": "Change which addresses an API key may be used from",
    "callbacks.set_endpoint": "Change the callback address and its settings",
    "callbacks.test": "Send test callbacks",
    "currencies.enable": "Enable and disable currencies",
    "withdrawals.create": "Send money",
    "withdrawals.approve": "Approve and decline held withdrawals",
    "limits.withdrawal": "Set withdrawal limits",
    "limits.cold_address": "Set cold addresses",
    "contacts.create": "Add contacts",
    "bank_accounts.manage": "Manage bank accounts",
    "notifications.manage": "Manage notifications",
    "team.view": "See the team",
    "team.invite": "Invite people",
    "team.change": "Change roles of people who are not Owners",
    "team.remove": "Remove people who are not Owners",
    "audit.view": "See the audit",
    "export.create": "Export data",
}

PERMISSIONS: Mapping[str, str] = _VIEW | _EXCHANGE | _LIMITS | _OWNER
"""Every permission and what it is called on a page."""

_ALLOWED: Mapping[Role, frozenset[str]] = {
    Role.OWNER: frozenset(PERMISSIONS),
    Role.EXCHANGE: frozenset(_VIEW | _EXCHANGE),
    Role.LIMITS: frozenset(_VIEW | _LIMITS),
    Role.VIEW: frozenset(_VIEW),
    Role.RESTRICTED: frozenset(),
}


def allows(*, role: Role, permission: str) -> bool:
    """Whether `role` has `permission`. Raises `KeyError` for a permission that does not exist."""
    PERMISSIONS[permission]
    return permission in _ALLOWED[role]


def permissions_of(role: Role) -> frozenset[str]:
    return _ALLOWED[role]


def roles_with(permission: str) -> list[Role]:
    """Who could grant or do it, most powerful first. Raises `KeyError` for an unknown permission."""
    return [role for role in Role if allows(role=role, permission=permission)]
