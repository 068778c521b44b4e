"""`python -m bench.statements`: the SQL statements of one signed request, with BEGIN and COMMIT.

Reads a merchant's key and secret, a path and two bodies as JSON from stdin; the first request warms what a
process keeps, the second is counted. The application answers it in this very process, with a role's settings.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    wanted, client = json.load(sys.stdin), Client()
    for body in wanted["bodies"]:
        with CaptureQueriesContext(connection) as said:
            _post(client, wanted, body.encode())
    json.dump([query["sql"] for query in said.captured_queries], sys.stdout)


def _post(client: Any, wanted: dict[str, Any], body: bytes) -> None:
    from merchants import signing

    headers = {
        signing.KEY_HEADER: wanted["key"],
        signing.SIGNATURE_HEADER: signing.sign(wanted["secret"], body),
        "Host": "127.0.0.1",
    }
    path = f"/api/v2/{wanted['path']}"
    answer = client.post(path, body, content_type="application/json", headers=headers)
    if answer.status_code not in {200, 201}:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.content!r}")


if __name__ == "__main__":
    main()
