"""A small API of the tests' own: what authentication alone answers, without any payment."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path, re_path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import authentication
from merchants.admin import operator_site
from merchants.authentication import SignedKeyAuthentication


def plain(request: HttpRequest, **_captured: str) -> HttpResponse:
    try:
        caller = authentication.authenticate(request)
    except authentication.AuthenticationRefused as refusal:
        return JsonResponse({"error": refusal.error, "code": refusal.code}, status=refusal.status)
    return JsonResponse({"merchant": caller.merchant_id, "key": caller.public_key})


class Rest(APIView):
    authentication_classes = (SignedKeyAuthentication,)

    def post(self, request: Request) -> Response:
        return Response({"merchant": request.user.merchant_id, "key": request.auth.caller.public_key})


api = [
    re_path(r"^rest/?$", Rest.as_view()),
    re_path(r"^accounts/list/?$", plain),
    path("invoices/<foreign_id>/cancel", plain),
    re_path(r"", plain),
]
urlpatterns = [path("api/v2/", include(api)), path("operator/", operator_site.urls), path("", plain)]
