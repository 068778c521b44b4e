"""Which doors a process opens, by its role.

`web` serves the API, the operator admin and the pages; `intake` serves the processors' callbacks and
nothing else. Management commands and tests (`manage`) see both. What a role does not serve it does not
load: the pages would take a third of the memory of `intake`.
"""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from config import doors


def _intake() -> list[URLPattern | URLResolver]:
    from callbacks.api import urls

    return [path("callbacks/", include(urls))]


def _web() -> list[URLPattern | URLResolver]:
    from callbacks.backoffice import urls as callback_pages
    from merchants.admin import operator_site
    from merchants.backoffice import urls as merchant_pages
    from payments.api import urls as api
    from payments.backoffice import money_out_urls as money_out_pages
    from payments.backoffice import urls as money_pages
    from payments.checkout import urls as checkout

    return [
        path("api/v2/", include(api)),  # first: programs ask most
        path("", include(checkout)),
        path("", include(merchant_pages)),
        path("", include(money_pages)),
        path("", include(money_out_pages)),
        path("", include(callback_pages)),
        path("operator/", operator_site.urls),
    ]


urlpatterns: list[URLPattern | URLResolver] = [path("healthz", doors.healthz)]
if settings.ROLE != "intake":
    urlpatterns += _web()
if settings.ROLE != "web":
    urlpatterns += _intake()

handler400 = "config.doors.bad_request"
handler404 = "config.doors.not_found"
handler500 = "config.doors.failed"
