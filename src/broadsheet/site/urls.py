"""The site's addresses."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("broadsheet.site.pages.urls"))]

handler404 = "broadsheet.site.pages.views.about.not_found"
handler500 = "broadsheet.site.pages.views.about.server_error"
