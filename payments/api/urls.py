"""The paths of the API. Each is answered with and without a trailing slash: a redirect would lose the
body or its signature.
"""

from __future__ import annotations

from django.urls import re_path

from payments.api import exchanges, information, invoices, views, withdrawals

urlpatterns = [
    re_path(r"^ping/?$", views.Ping.as_view()),
    re_path(r"^currencies/list/?$", views.CurrenciesList.as_view()),
    re_path(r"^currencies/(?:pairs|rates)/?$", views.CurrenciesPairs.as_view()),
    re_path(r"^accounts/list/?$", views.AccountsList.as_view()),
    re_path(r"^addresses/take/?$", views.AddressesTake.as_view()),
    re_path(r"^invoices/create/?$", invoices.InvoicesCreate.as_view()),
    re_path(r"^invoices/(?P<foreign_id>(?s:.+))/cancel/?$", invoices.InvoicesCancel.as_view()),
    re_path(r"^exchange/calculate/?$", exchanges.Calculate.as_view()),
    re_path(r"^exchange/fixed/?$", exchanges.ExchangeFixed.as_view()),
    re_path(r"^exchange/now/?$", exchanges.ExchangeNow.as_view()),
    re_path(r"^futures/rates/?$", exchanges.FuturesRates.as_view()),
    re_path(r"^futures/confirm/?$", exchanges.FuturesConfirm.as_view()),
    re_path(r"^transactions/info/?$", information.TransactionsInfo.as_view()),
    re_path(r"^withdrawal/crypto/?$", withdrawals.WithdrawalCrypto.as_view()),
    re_path(r"", views.Unknown.as_view()),
]
