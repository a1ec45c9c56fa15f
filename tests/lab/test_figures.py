"""Figures: the same bytes each time, both styles, small, and nobody's own settings."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from broadsheet.lab.figures import LIMIT, save


def line(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="γ = 1")
    axes.set_xlabel("time, days")
    axes.set_title("A line")


def test_a_figure_is_the_same_each_time_and_differs_by_style(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
        files = save(line, folder, "line", size=(3, 2))
    assert set(files) == {"light.svg", "dark.svg", "light.png", "dark.png"}
    for name in files.values():
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).stat().st_size < LIMIT
    assert (first / files["light.svg"]).read_text() != (first / files["dark.svg"]).read_text()


def test_an_svg_stands_alone_and_lets_the_page_shine_through(tmp_path: Path) -> None:
    files = save(line, tmp_path, "line")
    for style, ink in (("light", "#1a1a18"), ("dark", "#e9e6df")):
        text = (tmp_path / files[f"{style}.svg"]).read_text()
        ET.fromstring(text)
        assert ink in text
        assert "<text" not in text, "letters are outlines: no font is needed"
        assert not re.search(r"<dc:date>|Matplotlib v|href=\"http", text)
        ground = re.search(r'<g id="patch_1">\s*<path [^>]*style="([^"]*)"', text)
        assert ground is None or "fill: none" in ground[1] or "opacity: 0" in ground[1]


def test_a_users_own_settings_do_not_change_a_figure(tmp_path: Path) -> None:
    save(line, tmp_path, "plain")
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "none"}):
        save(line, tmp_path, "changed")
        assert mpl.rcParams["lines.linewidth"] == 9
    assert (tmp_path / "plain.light.svg").read_bytes() == (tmp_path / "changed.light.svg").read_bytes()


def test_a_crowded_figure_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20_000))

    def crowd(figure: Figure) -> None:
        axes = figure.subplots()
        axes.scatter(x, y, s=4)
        axes.plot(x, y, ".", markersize=2)
        axes.set_xlabel("x")

    files = save(crowd, tmp_path, "crowd")
    text = (tmp_path / files["light.svg"]).read_text()
    assert len(text) < 600_000
    assert "data:image/png" in text


def test_an_empty_or_endless_figure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="figure 'nothing' is empty"):
        save(lambda figure: None, tmp_path, "nothing")
    for size in ((0, 1), (1, 41), (float("nan"), 1)):
        with pytest.raises(ValueError, match="size must be two numbers of inches"):
            save(line, tmp_path, "line", size=size)
