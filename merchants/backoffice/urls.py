"""URLs of the merchants' pages. What belongs to one merchant stands below its number."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from merchants.backoffice import account, door, enrolling, home, invited, keys, mailbox, team, trail

_KEY: list[URLPattern | URLResolver] = [
    path("", keys.KeyPage.as_view(), name="key"),
    path("activate/", keys.Activate.as_view(), name="key_activate"),
    path("rotate/", keys.Rotate.as_view(), name="key_rotate"),
    path("deactivate/", keys.Deactivate.as_view(), name="key_deactivate"),
    path("allowlist/", keys.Allowlist.as_view(), name="key_allowlist"),
]
_MERCHANT: list[URLPattern | URLResolver] = [
    path("keys/", keys.KeyList.as_view(), name="keys"),
    path("keys/generate/", keys.Generate.as_view(), name="key_generate"),
    path("keys/<str:public_key>/", include(_KEY)),
    path("team/", team.Team.as_view(), name="team"),
    path("team/invite/", team.Invite.as_view(), name="team_invite"),
    path("team/invitations/<str:email>/withdraw/", team.Withdraw.as_view(), name="team_withdraw"),
    path("team/<str:email>/role/", team.ChangeRole.as_view(), name="team_role"),
    path("team/<str:email>/remove/", team.Remove.as_view(), name="team_remove"),
    path("audit/", trail.Trail.as_view(), name="audit"),
    path("audit/export/", trail.ExportTrail.as_view(), name="audit_export"),
]
_ACCOUNT: list[URLPattern | URLResolver] = [
    path("", account.Account.as_view(), name="account"),
    path("password/", account.ChangePassword.as_view(), name="password"),
    path("email/", account.ChangeEmail.as_view(), name="email"),
    path("email/<str:token>/", account.ConfirmEmail.as_view(), name="email_confirm"),
    path("recovery-codes/", account.RenewCodes.as_view(), name="recovery_codes"),
    path("authenticator/", account.NewAuthenticator.as_view(), name="authenticator"),
    path("authenticator/scan/", account.ScanAuthenticator.as_view(), name="authenticator_scan"),
    path("sessions/others/", account.EndOtherSessions.as_view(), name="sessions_end_others"),
    path("sessions/<int:session_id>/", account.EndSession.as_view(), name="session_end"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.Home.as_view(), name="home"),
    path("sign-in/", door.SignIn.as_view(), name="sign_in"),
    path("sign-out/", door.SignOut.as_view(), name="sign_out"),
    path("sign-in/recovery/", door.SignInByRecovery.as_view(), name="sign_in_by_recovery"),
    path("enrol/", enrolling.Enrol.as_view(), name="enrol"),
    path("invitation/<str:token>/", invited.Invited.as_view(), name="invitation"),
    path("password/", invited.AskReset.as_view(), name="ask_reset"),
    path("password/<str:token>/", invited.ResetPassword.as_view(), name="reset_password"),
    path("account/", include(_ACCOUNT)),
    path("mailbox/", mailbox.Mailbox.as_view(), name="mailbox"),
    path("merchants/", home.Merchants.as_view(), name="merchants"),
    path("m/<int:client_id>/", include(_MERCHANT)),
]
