"""Addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from broadsheet.site.pages.views import about, claims, feed, figures, paper, people, scaling, search

urlpatterns: list[URLPattern] = [
    path("", feed.front, name="front"),
    re_path(r"^day/(?P<text>\d{4}-\d\d-\d\d)$", feed.day, name="day"),
    re_path(r"^week/(?P<text>\d{4}-W\d\d)$", feed.week, name="week"),
    re_path(r"^month/(?P<text>\d{4}-\d\d)$", feed.month, name="month"),
    path("go", feed.go, name="go"),
    path("papers/<path:key>.bib", paper.bib, name="bib"),
    path("papers/<path:key>/files/<slug:claim>/<str:result>/<str:file>", figures.file, name="file"),
    path("papers/<path:key>", paper.show, name="paper"),
    path("authors/<path:slug>", people.author, name="author"),
    path("organisations/<path:handle>", people.organisation, name="organisation"),
    path("claims", claims.listing, name="claims"),
    path("search", search.results, name="search"),
    path("scaling", scaling.bench, name="scaling"),
    path("scaling/reports/<str:token>", scaling.report, name="report"),
    path("about", about.about, name="about"),
]
