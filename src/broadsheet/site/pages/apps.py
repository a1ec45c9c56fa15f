"""The Django app of the pages."""

from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Views, templates and static files."""

    name = "broadsheet.site.pages"
    label = "pages"
