"""Which doors a process opens, by its role.

`web` serves the API, the operator admin and the pages; `intake` serves the processors' callbacks and
nothing else. Management commands and tests (`manage`) see both.
"""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from callbacks.api import urls as intake
from callbacks.backoffice import urls as callback_pages
from config import doors
from merchants.admin import operator_site
from merchants.backoffice import urls as merchant_pages
from payments.api import urls as api
from payments.backoffice import urls as money_pages

_HEALTH: list[URLPattern | URLResolver] = [path("healthz", doors.healthz)]
_INTAKE: list[URLPattern | URLResolver] = [path("callbacks/", include(intake))]
_WEB: list[URLPattern | URLResolver] = [
    path("", include(merchant_pages)),
    path("", include(money_pages)),
    path("", include(callback_pages)),
    path("api/v2/", include(api)),
    path("operator/", operator_site.urls),
]
_BY_ROLE = {"web": _HEALTH + _WEB, "intake": _HEALTH + _INTAKE}

urlpatterns = _BY_ROLE.get(settings.ROLE, _HEALTH + _WEB + _INTAKE)

handler400 = "config.doors.bad_request"
handler404 = "config.doors.not_found"
handler500 = "config.doors.failed"
