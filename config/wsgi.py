"""The WSGI application that gunicorn serves for the roles `web` and `intake`."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
gc.collect()
gc.freeze()  # with gunicorn's --preload: workers go on sharing what was loaded before they were forked
