"""The operator admin: Django's admin at `/operator/`, entered with a second factor, every change audited.

Operators look at keys and at the audit and touch neither; a secret is shown nowhere.
"""

from __future__ import annotations

from merchants.admin import people, records
from merchants.admin.bases import (
    AuditedAdmin,
    CodedActsAdmin,
    ReadOnlyAdmin,
    facts,
    how,
    note,
    operator_of,
    subject_of,
)
from merchants.admin.site import operator_site

__all__ = [
    "AuditedAdmin",
    "CodedActsAdmin",
    "ReadOnlyAdmin",
    "facts",
    "how",
    "note",
    "operator_of",
    "operator_site",
    "people",
    "records",
    "subject_of",
]
