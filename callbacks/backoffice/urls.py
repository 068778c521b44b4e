"""URLs of the pages of callbacks, and of those that join apps."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from callbacks.backoffice import letters, operation, search, settings

_CALLBACK: list[URLPattern | URLResolver] = [
    path("", letters.OperationCallback.as_view(), name="operation_callback"),
    path("resend/", letters.Resend.as_view(), name="callback_resend"),
    path("signature/", letters.Explain.as_view(), name="callback_explain"),
]
_MERCHANT: list[URLPattern | URLResolver] = [
    path("settings/", settings.ApiSettings.as_view(), name="settings"),
    path("settings/callbacks/", settings.EditEndpoint.as_view(), name="settings_endpoint"),
    path("settings/test/", settings.SendTest.as_view(), name="test_send"),
    path("settings/test/<int:number>/", settings.TestCallback.as_view(), name="test_callback"),
    path("callbacks/", letters.CallbackList.as_view(), name="callbacks"),
    path("callbacks/resend/", letters.ResendSince.as_view(), name="callbacks_resend"),
    path("transactions/<int:number>/", operation.OperationPage.as_view(), name="transaction"),
    path("transactions/<int:number>/callbacks/<int:version>/", include(_CALLBACK)),
    path("search/", search.Search.as_view(), name="search"),
]
urlpatterns: list[URLPattern | URLResolver] = [path("m/<int:client_id>/", include(_MERCHANT))]
