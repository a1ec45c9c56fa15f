"""A real Chromium against a real server, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them with the reason where there is no browser."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(
                    pytest.mark.skip(reason=f"no Chromium found on the path as {', '.join(NAMES)}")
                )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a made-up edition; yield its address."""
    sys.path.insert(0, str(HERE.parent / "site"))
    from pages import made_up

    folder = tmp_path_factory.mktemp("browser")
    made_up.write_references(made_up.write_paper(folder / "path"))
    env = os.environ | {
        "BROADSHEET_HOME": str(folder / "home"),
        "PYTHONPATH": str(folder / "path"),
        "DJANGO_SETTINGS_MODULE": "broadsheet.site.settings",
    }
    errors = (folder / "errors.txt").open("w+")
    server = subprocess.Popen(
        [sys.executable, str(HERE / "edition.py"), str(folder)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    assert server.stdout is not None
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("http://"), (folder / "errors.txt").read_text()[-2000:]
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)
        server.stdout.close()
        errors.close()


# Playwright keeps an event loop in this thread while it runs, in which Django refuses to touch a database: it
# must end before the next module's tests begin.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page; at the end no request may have left, and no script have failed."""
    contexts: list[Any] = []
    left: list[str] = []
    said: list[str] = []

    def open_page(address: str, *, width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: left.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(site + address, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    here = urlsplit(site).netloc
    assert [url for url in left if urlsplit(url).netloc != here] == []
    assert [text for text in said if "404 (Not Found)" not in text] == []
