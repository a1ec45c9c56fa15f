"""What a reader does, from the feed to a claim's figure."""

from __future__ import annotations

import re
import time

import pytest

PAPER = "/papers/1901.99999"
PAGES = [
    "/",
    "/day/2025-12-07",
    "/week/2025-W50",
    PAPER,
    "/papers/2512.10804",
    "/claims",
    "/search?q=quantity",
    "/search",
    "/authors/zoe-author0",
    "/organisations/mint",
    "/scaling",
    "/about",
    "/nowhere",
]


def wait_until(page, condition):
    """Wait for a condition on the page. Playwright's own wait evaluates a string there, which our policy forbids."""
    until = time.monotonic() + 10
    while not page.evaluate(condition) and time.monotonic() < until:
        page.wait_for_timeout(20)
    assert page.evaluate(condition), condition


def test_from_the_feed_to_a_paper_its_claim_and_its_figure(visit):
    page = visit("/")
    assert page.locator("h1").inner_text() == "Monday, 8 December 2025"
    page.locator(".lead h2 a").click()
    page.wait_for_url(f"**{PAPER}")
    claim = page.locator("#power")
    assert not claim.locator(".reason").is_visible()
    claim.locator("summary").first.click()
    assert claim.locator(".reason").is_visible()
    assert claim.locator("svg.plot").is_visible()
    picture = claim.locator("img")
    picture.scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('#power img').naturalWidth > 0")
    assert "power.light.svg" in picture.evaluate("image => image.currentSrc")
    claim.get_by_text("The same as a table").click()
    assert claim.get_by_role("cell", name="0.9012").is_visible()


def test_a_claim_s_address_opens_it(visit):
    page = visit(f"{PAPER}#passes")
    wait_until(page, "document.querySelector('#passes').open")
    assert page.locator("#passes .reason").is_visible()


def test_a_tooltip_opens_by_keyboard_and_goes_with_escape(visit):
    page = visit(f"{PAPER}#power")
    term = page.locator("#power .term").first
    term.focus()
    tip = page.locator(f"#{term.get_attribute('aria-describedby')}")
    page.wait_for_timeout(200)
    assert tip.is_visible()
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    assert not tip.is_visible()


def test_the_example_is_copied(visit, site):
    page = visit(PAPER, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Example").click()
    page.get_by_text("Copied").wait_for()
    assert "from coin_tosses import PairTest" in page.evaluate("navigator.clipboard.readText()")


def test_searching_from_any_page(visit):
    page = visit("/about")
    page.get_by_role("searchbox").fill("held -estimating")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**")
    assert page.locator(".hits article").count() == 20
    assert page.locator("mark").first.inner_text().lower() == "held"
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**page=2")
    assert page.locator(".hits article").count() > 0


def test_filtering_claims_replaces_the_list_and_the_address(visit):
    page = visit("/claims")
    page.get_by_label("Kind").select_option("trend")
    page.wait_for_url("**kind=trend**")
    wait_until(page, "document.querySelectorAll('a.claim-title[href^=\"/papers/1901.99999\"]').length === 1")
    assert page.get_by_text("The pair test beats the runs test").is_visible()
    page.go_back()
    wait_until(page, "document.querySelectorAll('a.claim-title[href^=\"/papers/1901.99999\"]').length === 5")


def test_without_javascript_everything_is_reached(visit):
    page = visit("/", java_script_enabled=False)
    page.locator(".lead h2 a").click()
    page.locator("#power summary").first.click()
    assert page.locator("#power svg.plot").is_visible()
    assert page.locator(".theme").is_hidden()
    page.get_by_role("link", name="Claims", exact=True).click()
    page.get_by_label("Kind").select_option("trend")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**kind=trend**", wait_until="load")
    assert page.locator('a.claim-title[href^="/papers/1901.99999"]').count() == 1
    page.get_by_role("searchbox").fill("quantity")
    page.get_by_role("button", name="Search").click()
    page.locator(".hits article").last.wait_for()
    page.wait_for_load_state()
    assert page.locator(".hits article").count() == 20


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_needs_no_sideways_scrolling(visit, site, width):
    page = visit("/", width=width, height=800)
    for address in PAGES:
        page.goto(site + address)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_dark_follows_the_system_and_the_switch_is_remembered(visit):
    page = visit(PAPER, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 20, 18)"
    page.locator("#power summary").first.click()
    page.locator("#power img").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('#power img').currentSrc.includes('dark.svg')")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) == "rgb(251, 250, 247)"
    wait_until(page, "document.querySelector('#power img').currentSrc.includes('light.svg')")
    page.goto(page.url.split("/papers")[0] + "/about")
    assert page.evaluate(ground) == "rgb(251, 250, 247)"


def test_the_masthead_becomes_one_line_on_scrolling(visit):
    page = visit("/")
    assert page.locator(".nameplate").is_visible()
    page.evaluate("window.scrollTo(0, 1200)")
    page.wait_for_timeout(200)
    box = page.locator(".bar").bounding_box()
    assert box["y"] == 0
    assert box["height"] < 60
    assert page.locator(".bar-name").bounding_box()["width"] > 80


@pytest.mark.parametrize("address", ["/", PAPER])
def test_nothing_moves_while_the_page_comes(visit, address):
    page = visit(address)
    page.wait_for_timeout(300)
    shift = page.evaluate(
        """() => new Promise(done => {
            let sum = 0;
            new PerformanceObserver(list => { for (const e of list.getEntries()) sum += e.value; })
                .observe({type: "layout-shift", buffered: true});
            setTimeout(() => done(sum), 200);
        })"""
    )
    assert shift < 0.05


def test_a_paper_prints_on_clean_pages_with_its_links(visit):
    page = visit(PAPER)
    page.emulate_media(media="print")
    assert page.locator(".bar").is_hidden()
    assert page.locator(".print-only").is_visible()
    assert "https://arxiv.org/abs/1901.99999" in page.locator(".print-only").inner_text()
    assert page.locator("#power .claim-title").is_visible()
    pdf = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 2


def test_the_skip_link_leads_to_the_content(visit):
    page = visit("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("javascript", [True, False])
def test_a_table_is_dropped_and_its_report_appears(visit, tmp_path, javascript):
    rows = [(n, d) for n in (1e7, 3e7, 1e8, 3e8) for d in (1e9, 3e9, 1e10, 3e10)]
    table = tmp_path / "runs.csv"
    lines = [f"{n},{d},{1.8 + 480 / n**0.35 + 2100 / d**0.37}" for n, d in rows]
    table.write_text("\n".join(["N,D,loss", *lines]))
    page = visit("/scaling", java_script_enabled=javascript)
    page.get_by_label("A CSV file").set_input_files(table)
    page.get_by_role("button", name="Report").click()
    page.get_by_role("heading", name="Chinchilla law on 16 runs").wait_for()
    # The policy lets its own style and figures through.
    assert (
        page.get_by_role("heading", name="Parameters", exact=True).evaluate(
            "e => getComputedStyle(e).fontWeight"
        )
        == "400"
    )
    assert page.locator("figure img").first.evaluate("image => image.naturalWidth") > 0
