"""The Celery application and the beat table: one tick a second that rings whatever is due."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("bursar")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["merchants", "payments", "callbacks"])
app.conf.beat_schedule = {
    "tick": {
        "task": "payments.tasks.tick",
        "schedule": 1.0,
        "options": {"expires": 5, "queue": "work"},
    },
}
