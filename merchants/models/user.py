"""People who sign in: a merchant's staff and the installation's operators."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower, Now

SETTLING = timedelta(hours=24)
"""For how long a new Owner, or whoever's factor, e-mail or password was reset, moves no money."""


def normalised(email: str) -> str:
    """The one spelling in which an e-mail address is stored and looked up."""
    return email.strip().lower()


class UserManager(BaseUserManager["User"]):
    def create_user(self, *, email: str, password: str | None = None, **columns: Any) -> User:
        """A person with this login; without a password nobody can sign in as them yet."""
        user = User(email=normalised(email), **columns)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=normalised(username or ""))


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # TotpDevice: django-otp carries no types
    """A person. Signs in by e-mail address, always with a second factor.

    is_operator: runs the installation: may everything in the operator admin, and nothing by it elsewhere.
    settled_at: from then on a reset of the person's factor, e-mail or password no longer bars withdrawals.
    must_change_password: signed up with a one-time password that the next sign-in replaces.
    """

    email = models.EmailField("e-mail address", unique=True)
    is_operator = models.BooleanField("operator", default=False, help_text="May use the operator admin.")
    is_active = models.BooleanField("active", default=True, help_text="May sign in.")
    must_change_password = models.BooleanField(default=False, editable=False)
    settled_at = models.DateTimeField(db_default=Now(), editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
            models.CheckConstraint(condition=~models.Q(email=""), name="user_has_an_email"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def subject(self) -> str:
        return f"user:{self.pk}"

    def is_settled(self, now: datetime) -> bool:
        return self.settled_at <= now

    def unsettle(self, *, until: datetime) -> None:
        """No withdrawals by this person before `until`."""
        self.settled_at = until
        self.save(update_fields=["settled_at"])

    def set_password(self, raw_password: str | None) -> None:
        """Whoever chooses a password is done with the one-time one."""
        super().set_password(raw_password)
        self.must_change_password = False

    def change_password(self, password: str, *, temporary: bool = False) -> None:
        self.set_password(password)
        self.must_change_password = temporary
        self.save(update_fields=["password", "must_change_password"])

    def change_email(self, email: str) -> None:
        self.email = normalised(email)
        self.save(update_fields=["email"])

    # What Django's admin asks of a user. There are no groups and no single permissions: one flag decides,
    # so that there is no second way to become an operator.
    @property
    def is_staff(self) -> bool:
        return self.is_operator

    @property
    def is_superuser(self) -> bool:
        return self.is_operator

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_operator

    def get_all_permissions(self, obj: object = None) -> set[str]:
        return set()
