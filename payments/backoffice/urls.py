"""URLs of the pages of money; all of them belong to one merchant."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from payments.backoffice import addresses, balances, currencies, fees, receive, transactions

_MERCHANT: list[URLPattern | URLResolver] = [
    path("balances/", balances.Balances.as_view(), name="balances"),
    path("currencies/", currencies.Currencies.as_view(), name="currencies"),
    path("currencies/add/", currencies.AddCurrencies.as_view(), name="currencies_add"),
    path("currencies/<str:currency>/disable/", currencies.DisableCurrency.as_view(), name="currency_disable"),
    path("fees/", fees.Fees.as_view(), name="fees"),
    path("addresses/", addresses.MyAddresses.as_view(), name="addresses"),
    path("addresses/system/", addresses.SystemAddresses.as_view(), name="addresses_system"),
    path("addresses/<int:number>/", addresses.AddressPage.as_view(), name="address"),
    path("addresses/<int:number>/rename/", addresses.RenameAddress.as_view(), name="address_rename"),
    path("receive/<str:currency>/", receive.Receive.as_view(), name="receive"),
    path("transactions/", transactions.TransactionList.as_view(), name="transactions"),
    path("transactions/export/", transactions.ExportTransactions.as_view(), name="transactions_export"),
    path("transactions/views/save/", transactions.SaveView.as_view(), name="view_save"),
    path("transactions/views/<int:number>/remove/", transactions.RemoveView.as_view(), name="view_remove"),
]
urlpatterns: list[URLPattern | URLResolver] = [path("m/<int:client_id>/", include(_MERCHANT))]
