"""Django's settings for every role, from the environment; each variable is named here once.

`BURSAR_ENV=sandbox` (the default) runs with throw-away secrets and the built-in sandbox upstream.
`BURSAR_ENV=production` refuses to start with a default secret, a debug aid or a sandbox control.
"""

from __future__ import annotations

import base64
import ipaddress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

ENV = env.str("BURSAR_ENV", default="sandbox")
if ENV not in {"sandbox", "production"}:
    raise ImproperlyConfigured(f"BURSAR_ENV is sandbox or production, not {ENV!r}")
PRODUCTION = ENV == "production"
SANDBOX = not PRODUCTION

ROLES = ("web", "intake", "worker", "deliver", "deliver_slow", "sender", "beat", "manage")
ROLE = env.str("BURSAR_ROLE", default="manage")
if ROLE not in ROLES:
    raise ImproperlyConfigured(f"BURSAR_ROLE is one of {', '.join(ROLES)}, not {ROLE!r}")

# --- Secrets -------------------------------------------------------------------------------------
_SANDBOX_SECRET_KEY = "sandbox-only-not-a-secret-" + "0" * 40
_SANDBOX_ENCRYPTION_KEYS = "sandbox:" + base64.b64encode(b"sandbox-only-not-a-secret-000000").decode()

SECRET_KEY = env.str("BURSAR_SECRET_KEY", default=_SANDBOX_SECRET_KEY)
_encryption_keys = env.str("BURSAR_ENCRYPTION_KEYS", default=_SANDBOX_ENCRYPTION_KEYS)
if PRODUCTION and (SECRET_KEY == _SANDBOX_SECRET_KEY or _encryption_keys == _SANDBOX_ENCRYPTION_KEYS):
    raise ImproperlyConfigured("Production needs its own BURSAR_SECRET_KEY and BURSAR_ENCRYPTION_KEYS")


def _key_ring(text: str) -> dict[str, bytes]:
    """`kid:base64,...` as an ordered mapping; the first key encrypts, all of them decrypt."""
    ring: dict[str, bytes] = {}
    for part in filter(None, text.split(",")):
        kid, _, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise ImproperlyConfigured("BURSAR_ENCRYPTION_KEYS is kid:base64[,kid:base64]") from None
        if not kid or len(key) != 32 or kid in ring:
            raise ImproperlyConfigured("BURSAR_ENCRYPTION_KEYS needs distinct ids and keys of 32 bytes")
        ring[kid] = key
    if not ring:
        raise ImproperlyConfigured("BURSAR_ENCRYPTION_KEYS names no key")
    return ring


ENCRYPTION_KEYS = _key_ring(_encryption_keys)

# --- Doors ---------------------------------------------------------------------------------------
DEBUG = False
PUBLIC_URL = env.str("BURSAR_PUBLIC_URL", default="http://127.0.0.1:8000")
ALLOWED_HOSTS = env.list("BURSAR_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
DOOR_HOSTS = {
    "backoffice": env.str("BURSAR_BACKOFFICE_HOST", default=""),
    "api": env.str("BURSAR_API_HOST", default=""),
    "checkout": env.str("BURSAR_CHECKOUT_HOST", default=""),
    "operator": env.str("BURSAR_OPERATOR_HOST", default=""),
}
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"


def _networks(name: str, default: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(text) for text in env.list(name, default=default)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


TRUSTED_PROXIES = _networks("BURSAR_TRUSTED_PROXIES", [])
PRIVATE_TARGETS = _networks("BURSAR_PRIVATE_TARGETS", [] if PRODUCTION else ["127.0.0.0/8", "::1/128"])

# --- Upstream ------------------------------------------------------------------------------------
PROCESSORS: dict[str, dict[str, str]] = env.json("BURSAR_PROCESSORS", default={})
SANDBOX_CONTROL = (
    env.str("BURSAR_SANDBOX_CONTROL_URL", default=""),
    env.str("BURSAR_SANDBOX_CONTROL_TOKEN", default=""),
)
if PRODUCTION and any(SANDBOX_CONTROL):
    raise ImproperlyConfigured("The sandbox cannot be reached from production: unset BURSAR_SANDBOX_*")

# --- Conversions -----------------------------------------------------------------------------------
# How far the house may stand open in one currency, in EUR, before it promises no further price.
CONVERSION_LIMIT_EUR = Decimal(env.str("BURSAR_CONVERSION_LIMIT_EUR", default="100000"))
CALCULATIONS_A_MINUTE = env.int("BURSAR_CALCULATIONS_A_MINUTE", default=30)  # of one client address

# --- Money out -----------------------------------------------------------------------------------
_cool_down_hours = env.int("BURSAR_CONTACT_COOL_DOWN_HOURS", default=24)
if _cool_down_hours < 0 or (PRODUCTION and not _cool_down_hours):
    raise ImproperlyConfigured("BURSAR_CONTACT_COOL_DOWN_HOURS is a number of hours, in production 1 or more")
CONTACT_COOL_DOWN = timedelta(hours=_cool_down_hours)

# --- Invoices: the least and the most that one may ask for, in euro -------------------------------
INVOICE_LIMITS_EUR = tuple(
    Decimal(env.str(f"BURSAR_INVOICE_{name}_EUR", default=default))
    for name, default in (("MINIMUM", "10"), ("MAXIMUM", "10000"))
)

# --- Applications --------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
    "django_otp",
    "rest_framework",
    "merchants",
    "payments",
    "callbacks",
]
if ROLE not in {"web", "manage"}:
    INSTALLED_APPS.remove("django.contrib.admin")  # it would load every page of the operator's
AUTH_USER_MODEL = "merchants.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.doors.TerminalLinks",
    "config.doors.OneHostForEachDoor",
    "config.doors.OnlyStorableQueries",
    "config.people.Policies",
    "config.people.StaticFiles",
    "config.people.Sessions",
    "merchants.sessions.SessionLimits",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.people.Users",
    "config.people.SecondFactors",
    "config.people.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
APPEND_SLASH = False  # a redirect loses the body, and with it the signature

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Data ----------------------------------------------------------------------------------------
_ON_THE_WEB = ROLE in {"web", "intake"}
DATABASES = {"default": env.db("DATABASE_URL", default="postgresql:///bursar")}
DATABASES["default"]["ENGINE"] = "config.database"
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
_options = DATABASES["default"].setdefault("OPTIONS", {})
_limits = "-c lock_timeout=3s -c statement_timeout=10s" if _ON_THE_WEB else "-c lock_timeout=10s"
_options["options"] = f"{_options.get('options', '')} {_limits} -c TimeZone=UTC".strip()
_options.setdefault("application_name", f"bursar-{ROLE}")
_options["server_side_binding"] = True  # composing batches of parameters in Python cost a sixth of a deposit

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
LOCALE_PATHS = [BASE_DIR / "locale"]

# Where the audit's head is written every five minutes: best on a disk of its own.
AUDIT_HEAD_FILE = env.str("BURSAR_AUDIT_HEAD_FILE", default="") or str(
    Path(env.str("BURSAR_VAR", default="") or BASE_DIR / "var") / "audit-head.jsonl"
)

# --- Mail: smtp+tls://user:password@host:587; the sandbox keeps it in its own mailbox ---------------
_email = env.email_url("BURSAR_EMAIL_URL", default="smtp://localhost:25" if PRODUCTION else "dummymail://")
globals().update({name: value for name, value in _email.items() if name.startswith("EMAIL_")})
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("BURSAR_MAIL_FROM", default="Bursar <bursar@localhost>")

# --- Celery: the broker carries doorbells only; PostgreSQL is the queue of record ----------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SOFT_TIME_LIMIT = 100
CELERY_TASK_DEFAULT_QUEUE = "work"
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,  # more than twice the task time limit
    "socket_connect_timeout": 0.2,
    "retry_policy": {"max_retries": 0},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- Security ------------------------------------------------------------------------------------
_SECURE = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_FAILURE_VIEW = "config.doors.stale_form"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if _SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _SECURE
SECURE_SSL_REDIRECT = False  # a redirect would lose signed bodies; the proxy in front owns TLS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # SECURE_SSL_REDIRECT, for the reason above

AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
OTP_TOTP_ISSUER = "Bursar"
LOGIN_REDIRECT_URL = "/operator/"

# The API caps bodies at 64 kB by itself; this is the cap for everything else.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = SANDBOX

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "payments.api.errors.answer",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # What strangers send too much of is refused; it is nobody's error here.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.security.RequestDataTooBig": {"level": "CRITICAL"},
        "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
        "django.security.TooManyFilesSent": {"level": "CRITICAL"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
