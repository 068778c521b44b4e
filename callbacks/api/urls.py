"""The processors' door: one URL for each."""

from __future__ import annotations

from django.urls import path

from callbacks.api.views import ProcessorCallback

urlpatterns = [
    path("<str:processor>/", ProcessorCallback.as_view(), name="processor-callback"),
    path("<str:processor>", ProcessorCallback.as_view()),
]
