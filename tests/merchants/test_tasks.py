"""Merchants' alarm clock."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from merchants import clock, keys, tasks
from merchants.models import ApiKey
from tests import factories

pytestmark = pytest.mark.django_db


class TestEndOverdueKeys:
    def test_ends_the_older_key_of_a_rotation_that_is_over(self, merchant):
        factories.active_key(merchant)
        old = ApiKey.objects.get()
        keys.rotate(merchant=merchant, key_id=old.pk, overlap=timedelta(hours=1), by=None, now=clock.now())
        tasks.end_overdue_keys(from_a_newer_release=True)
        assert ApiKey.objects.get(pk=old.pk).is_active
        clock.shift(by=timedelta(hours=1))
        tasks.end_overdue_keys()
        assert ApiKey.objects.get(pk=old.pk).state == "deactivated"

    def test_is_due_by_real_time(self, merchant):
        factories.active_key(merchant)
        with connection.cursor() as cursor:
            cursor.execute(tasks.END_OVERDUE_DUE_SQL)
            assert cursor.fetchone() is None
            cursor.execute(
                "UPDATE merchants_apikey SET rotated_at = now() - interval '1 hour', retires_at = now()"
            )
            cursor.execute(tasks.END_OVERDUE_DUE_SQL)
            assert cursor.fetchone() is not None
