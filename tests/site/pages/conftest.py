from __future__ import annotations

import datetime as dt
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from broadsheet.site.pages import measurements

from . import made_up

if TYPE_CHECKING:
    from broadsheet.site.papers.models import Paper


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an installation of its own, so that nobody's results are read."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BROADSHEET_HOME", str(folder))
    return folder


@pytest.fixture
def results(home: Path) -> Path:
    return home / "results"


@pytest.fixture
def coins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the made-up paper, with reference results; yield its folder."""
    path = tmp_path / "path"
    folder = made_up.write_paper(path)
    made_up.write_references(folder)
    monkeypatch.syspath_prepend(str(path))
    importlib.invalidate_caches()
    yield folder
    for name in [n for n in sys.modules if n.split(".")[0] == "coin_tosses"]:
        del sys.modules[name]


@pytest.fixture
def view(coins: Path) -> measurements.PaperView:
    found = measurements.paper_view(made_up.KEY)
    assert found is not None
    return found


@pytest.fixture
def coins_paper(coins: Path, db: None) -> Paper:
    """The made-up paper in the database."""
    from broadsheet.site.papers.models import Organisation

    from .rows import DAY, make_paper

    return make_paper(
        made_up.TITLE,
        names=("Jane Doe", "Richard Roe"),
        day=DAY,
        arxiv_id=made_up.ARXIV_ID,
        method=made_up.KEY,
        summary="A coin that remembers is told from one that does not.",
        abstract=r"Tosses with $p=\frac{1}{2}$; code at~https://example.org/coins. Erd\H{o}s knew 5\% of it.",
        published_on=dt.date(2019, 1, 9),
        organisation=Organisation.objects.create(handle="mint", name="The Mint"),
    )


@pytest.fixture
def get(client: Client, db: None):
    """Return a function that gets a page and refuses more than eight queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def get_page(address: str, status: int = 200) -> str:
        with CaptureQueriesContext(connection) as queries:
            response = client.get(address)
        assert response.status_code == status, address
        assert len(queries) <= 8, [q["sql"][:80] for q in queries]
        return response.content.decode()

    return get_page
