"""The paths of the API. Each is answered with and without a trailing slash: a redirect would lose the
body or its signature.
"""

from __future__ import annotations

from django.urls import re_path

from payments.api import invoices, views

urlpatterns = [
    re_path(r"^ping/?$", views.Ping.as_view()),
    re_path(r"^currencies/list/?$", views.CurrenciesList.as_view()),
    re_path(r"^currencies/(?:pairs|rates)/?$", views.CurrenciesPairs.as_view()),
    re_path(r"^accounts/list/?$", views.AccountsList.as_view()),
    re_path(r"^addresses/take/?$", views.AddressesTake.as_view()),
    re_path(r"^invoices/create/?$", invoices.InvoicesCreate.as_view()),
    re_path(r"^invoices/(?P<foreign_id>(?s:.+))/cancel/?$", invoices.InvoicesCancel.as_view()),
    re_path(r"", views.Unknown.as_view()),
]
