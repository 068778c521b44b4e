"""The payers' door."""

from __future__ import annotations

from django.urls import re_path

from payments.checkout import views

urlpatterns = [
    re_path(r"^invoice/(?P<code>[0-9A-Za-z_-]{1,64})/?$", views.InvoicePage.as_view(), name="invoice"),
]
