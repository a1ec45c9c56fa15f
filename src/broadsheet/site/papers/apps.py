"""The Django app of the papers."""

from __future__ import annotations

from django.apps import AppConfig


class PapersConfig(AppConfig):
    """Papers, authors, organisations and the days on which papers were listed."""

    name = "broadsheet.site.papers"
    label = "papers"
    default_auto_field = "django.db.models.BigAutoField"
