"""The Celery application and the beat table: one tick a second that rings whatever is due."""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_before_create_process
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_BEAT = settings.ROLE == "beat"  # it sends names and runs nothing: neither models nor tasks are loaded

app = Celery("bursar", fixups=[] if _BEAT else None)
app.config_from_object("django.conf:settings", namespace="CELERY")
if not _BEAT:
    app.autodiscover_tasks(["merchants", "payments", "callbacks"])
app.conf.beat_schedule = {
    "tick": {
        "task": "payments.tasks.tick",
        "schedule": 1.0,
        # A queue of its own, worked by all who have the application's rights: behind drains that last
        # seconds the tick would be late, or expire, and what waits for a time would wait longer.
        "options": {"expires": 5, "queue": "tick"},
    },
}


@worker_before_create_process.connect
def _share_memory(**_ignored: Any) -> None:
    """What is loaded before a fork is left out of collections, so that parent and child go on sharing it."""
    gc.collect()
    gc.freeze()
