"""URLs of the pages of money that goes out; all of them belong to one merchant."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from payments.backoffice import alerts, approvals, contacts, limits, money_out, send, stops

_LIMITS = "settings/withdrawal-limits/"
_MERCHANT: list[URLPattern | URLResolver] = [
    path("send/<str:currency>/", send.Send.as_view(), name="send"),
    path("approvals/", approvals.Approvals.as_view(), name="approvals"),
    path("approvals/<int:number>/", approvals.Approval.as_view(), name="approval"),
    path("withdrawals/", money_out.UnderWay.as_view(), name="withdrawals_open"),
    path("withdrawals/<int:number>/", money_out.WithdrawalPage.as_view(), name="withdrawal"),
    path("withdrawals/<int:number>/outcome/", money_out.Resolve.as_view(), name="withdrawal_resolve"),
    path(_LIMITS, limits.WithdrawalLimits.as_view(), name="withdrawal_limits"),
    path(f"{_LIMITS}recipients/", limits.EditRecipients.as_view(), name="limit_recipients"),
    path(f"{_LIMITS}<str:origin>/add/", limits.AddLimit.as_view(), name="withdrawal_limit_add"),
    path(f"{_LIMITS}<str:origin>/<str:currency>/", limits.EditLimit.as_view(), name="withdrawal_limit"),
    path(
        f"{_LIMITS}<str:origin>/<str:currency>/remove/",
        limits.RemoveLimit.as_view(),
        name="withdrawal_limit_remove",
    ),
    path("contacts/", contacts.ContactList.as_view(), name="contacts"),
    path("contacts/add/", contacts.AddContact.as_view(), name="contact_add"),
    path("contacts/<int:number>/remove/", contacts.RemoveContact.as_view(), name="contact_remove"),
    path("stop/", stops.StopPage.as_view(), name="stop"),
    path("stop/all/", stops.StopAll.as_view(), name="stop_all"),
    path("alerts/", alerts.AlertList.as_view(), name="alerts"),
    path("alerts/<int:number>/clear/", alerts.ClearAlert.as_view(), name="alert_clear"),
]
urlpatterns: list[URLPattern | URLResolver] = [path("m/<int:client_id>/", include(_MERCHANT))]
