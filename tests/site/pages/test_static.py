"""What the pages load: how large it is, that it stands here, and under what licence."""

from __future__ import annotations

import re
from pathlib import Path

from broadsheet.site import pages
from broadsheet.site.pages.templatetags.broadsheet import asset

STATIC = Path(pages.__file__).parent / "static" / "pages"
TEMPLATES = Path(pages.__file__).parent / "templates" / "pages"


def test_styles_and_scripts_keep_to_their_size():
    assert sum(p.stat().st_size for p in STATIC.glob("*.css")) < 30_000
    assert sum(p.stat().st_size for p in STATIC.glob("*.js")) < 60_000


def test_nothing_is_loaded_from_elsewhere():
    for path in [
        *STATIC.glob("*.css"),
        *STATIC.glob("site.js"),
        *STATIC.glob("theme.js"),
        *TEMPLATES.glob("*.html"),
    ]:
        loaded = re.findall(
            r'(?:src|srcset)="(https?:|//)|url\((?!fonts/)|@import|<link[^>]+href="https?:', path.read_text()
        )
        assert loaded == [], path


def test_fonts_named_by_the_styles_are_there_with_their_licences():
    css = (STATIC / "site.css").read_text()
    named = set(re.findall(r"url\(fonts/([^)]+)\)", css))
    there = {p.name for p in (STATIC / "fonts").glob("*.woff2")}
    assert named == there
    for licence in (STATIC / "fonts").glob("OFL-*.txt"):
        assert "SIL OPEN FONT LICENSE" in licence.read_text().upper()
    assert len(list((STATIC / "fonts").glob("OFL-*.txt"))) == 4


def test_an_asset_s_address_changes_with_its_content():
    assert re.fullmatch(r"/static/pages/site\.css\?v=[0-9a-f]{12}", asset("pages/site.css"))


def test_static_files_are_served_to_be_kept(client, db):
    response = client.get("/static/pages/site.css")
    assert response.status_code == 200
    assert "immutable" in response.headers["Cache-Control"]
    response.close()


def test_colours_have_enough_contrast():
    css = (STATIC / "site.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in _themes(css))
    for theme in (light, dark):
        for name in ("ink", "quiet", "accent", "teal", "blue", "grey", "red", "orange"):
            for ground in ("paper", "wash"):
                assert _contrast(theme[name], theme[ground]) >= 4.5, (name, ground)


def _themes(css: str) -> tuple[str, str]:
    blocks = re.findall(r"(?s):root[^{]*\{([^}]*--paper[^}]*)\}", css)
    assert (
        blocks[1].split("--paper")[1].split("}")[0].strip()
        == blocks[2].split("--paper")[1].split("}")[0].strip()
    )
    return blocks[0], blocks[1]


def _contrast(one: str, two: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)
