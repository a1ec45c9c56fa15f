"""Settings with a default for everything; the TOML file named by ``BROADSHEET_SETTINGS`` changes them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from broadsheet import places
from broadsheet.rooms import BrokenFile, Table

_HERE = Path(__file__).parent

# Every key that the TOML file may hold; the manual's table is drawn from here.
SERVER_SETTINGS = {
    "secret_key": "Key that signs what the server hands out. Default: made at first use, kept in `secret-key`.",
    "debug": "`true` shows errors in the browser. Default: `false`; never on a server that others reach.",
    "hosts": "List of the names under which the server is reached. Default: this machine only.",
}


_SHORTEST_KEY = 20
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]


def _server_settings() -> dict[str, Any]:
    path = places.settings_file()
    try:
        table = Table.read(path) if path is not None else Table(Path(), {})
        given = {
            "secret_key": table.take("secret_key", str, required=False, check=_key_fault),
            "debug": table.take("debug", bool, False, required=False),
            "hosts": table.take("hosts", list, _HOSTS, required=False, check=_hosts_fault),
        }
        table.finish()
    except BrokenFile as error:
        raise ImproperlyConfigured(f"BROADSHEET_SETTINGS: {error}") from error
    return given


def _key_fault(value: str) -> str | None:
    # The message goes to a terminal or a log: it does not repeat the key.
    return None if len(value) >= _SHORTEST_KEY else f"must have at least {_SHORTEST_KEY} characters"


def _hosts_fault(value: list[str]) -> str | None:
    if value and all(name.strip() for name in value):
        return None
    return f'must hold the names under which the server is reached, such as ["papers.example.org"], got {value!r}'


def _secret_key() -> str:
    """Return this installation's key, made at first use and readable by its owner only."""
    path = places.home() / "secret-key"
    for _ in range(2):
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written beside and linked in one step: no process ever reads a half-written key.
            beside = path.with_name(f"secret-key-{os.getpid()}-{secrets.token_hex(4)}")
            beside.touch(mode=0o600)
            beside.write_text(secrets.token_urlsafe(50))
            try:
                os.link(beside, path)
            except FileExistsError:
                pass  # another process was first: its key counts
            except OSError:  # a file system without hard links
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
    return path.read_text().strip()


_SERVER = _server_settings()

SECRET_KEY = _SERVER["secret_key"] or _secret_key()
DEBUG = _SERVER["debug"]
ALLOWED_HOSTS = _SERVER["hosts"]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "django_htmx",
    "broadsheet.site.papers",
    "broadsheet.site.pages",
]

MIDDLEWARE = [
    "broadsheet.site.pages.middleware.ContentPolicy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "broadsheet.site.urls"
WSGI_APPLICATION = "broadsheet.site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": places.database_file(),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # One writer at a time waits for the other; readers never wait (write-ahead log).
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;"
            " PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864;",
        },
    }
}

# A page that fails says that the terminal says why.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"terminal": {"format": "%(asctime)s %(message)s"}},
    "handlers": {"terminal": {"class": "logging.StreamHandler", "formatter": "terminal"}},
    "loggers": {"django.request": {"handlers": ["terminal"], "level": "ERROR", "propagate": False}},
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
# Pages name these files with a hash of their content, so browsers may keep them for ever.
WHITENOISE_IMMUTABLE_FILE_TEST = r"/static/pages/"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
DATA_UPLOAD_MAX_NUMBER_FILES = 2
