from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from broadsheet.claims import Verdict
from broadsheet.site.pages.middleware import POLICY
from broadsheet.site.pages.views import about


def test_about_explains_every_verdict(get):
    html = get("/about")
    for verdict in Verdict:
        assert f">{verdict}</" in html or f"</svg>{verdict}</span>" in html


def test_unknown_pages_offer_search(get):
    html = get("/no/such/page", status=404)
    assert "This page is not here" in html
    assert "urlpatterns" not in html
    assert html.count("<h1>") == 1


def test_a_failure_is_said_without_touching_the_database(rf: RequestFactory):
    response = about.server_error(rf.get("/"))
    assert response.status_code == 500
    assert b"This page failed" in response.content


def test_a_view_that_fails_answers_with_that_page(coins_paper, monkeypatch):
    from broadsheet.site.papers import feeds

    def fail(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(feeds, "newest_day", fail)
    response = Client(raise_request_exception=False).get("/")
    assert response.status_code == 500
    assert b"This page failed" in response.content
    assert b"broken" not in response.content


@pytest.mark.parametrize(
    "address", ["/", "/claims", "/search?q=x", "/about", "/nowhere", "/papers/1901.99999"]
)
def test_every_page_has_the_strict_policy_and_obeys_it(client, coins_paper, address):
    response = client.get(address)
    assert response.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    html = response.content.decode()
    assert " style=" not in html
    assert "<style" not in html
    assert "<script>" not in html
    assert "onclick" not in html


@pytest.mark.parametrize("address", ["/", "/claims", "/search", "/about", "/go"])
def test_pages_are_read_only(client, db, address):
    assert client.post(address).status_code == 405
