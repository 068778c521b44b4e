"""URLs of the pages of money; all of them belong to one merchant."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from payments.backoffice import addresses, balances, currencies, transactions

_MERCHANT: list[URLPattern | URLResolver] = [
    path("balances/", balances.Balances.as_view(), name="balances"),
    path("currencies/", currencies.Currencies.as_view(), name="currencies"),
    path("currencies/add/", currencies.AddCurrencies.as_view(), name="currencies_add"),
    path("currencies/<str:currency>/disable/", currencies.DisableCurrency.as_view(), name="currency_disable"),
    path("addresses/", addresses.AddressList.as_view(), name="addresses"),
    path("receive/<str:currency>/", addresses.Receive.as_view(), name="receive"),
    path("transactions/", transactions.TransactionList.as_view(), name="transactions"),
    path("transactions/export/", transactions.ExportTransactions.as_view(), name="transactions_export"),
]
urlpatterns: list[URLPattern | URLResolver] = [path("m/<int:client_id>/", include(_MERCHANT))]
