"""Wiring only: settings, URLs by role, the Celery application. Imported by nobody."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
