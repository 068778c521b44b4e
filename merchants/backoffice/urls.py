"""URLs of the merchants' pages. What belongs to one merchant stands below its number."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from merchants.backoffice import door, home, keys, trail

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
    path("audit/", trail.Trail.as_view(), name="audit"),
    path("audit/export/", trail.ExportTrail.as_view(), name="audit_export"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.Home.as_view(), name="home"),
    path("sign-in/", door.SignIn.as_view(), name="sign_in"),
    path("sign-out/", door.SignOut.as_view(), name="sign_out"),
    path("merchants/", home.Merchants.as_view(), name="merchants"),
    path("m/<int:client_id>/", include(_MERCHANT)),
]
