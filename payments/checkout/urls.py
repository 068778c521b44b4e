"""The payers' door."""

from __future__ import annotations

from django.conf import settings
from django.urls import re_path

from payments.checkout import terminal, views

urlpatterns = [
    re_path(r"^invoice/(?P<code>[0-9A-Za-z_-]{1,64})/?$", views.InvoicePage.as_view(), name="invoice"),
    re_path(r"^invoice/(?P<code>[0-9A-Za-z_-]{1,64})/receipt$", views.Receipt.as_view(), name="receipt"),
    re_path(r"^terminal/?$", terminal.TerminalPage.as_view(), name="terminal"),
]

if settings.SANDBOX:
    urlpatterns += [
        re_path(
            r"^invoice/(?P<code>[0-9A-Za-z_-]{1,64})/simulate$", views.Simulation.as_view(), name="simulate"
        )
    ]
