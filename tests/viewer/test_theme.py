"""Colours, fonts and icons of the window."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QAction, QColor
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from her2viewer.resources import resource_path
from her2viewer.viewer import theme
from her2viewer.viewer.icons import application_icon, icon, pixmap, refresh_icons, set_icon
from her2viewer.viewer.theme import THEMES, apply_theme, tokens

ICONS = sorted(p.stem for p in resource_path("icons").glob("*.svg"))


def luminance(color: str) -> float:
    def linear(v: float) -> float:
        return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4

    r, g, b, _ = QColor(color).getRgbF()
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("word", ["text", "muted", "accent", "amber", "red", "green"])
@pytest.mark.parametrize("ground", ["surface", "raised", "field"])
def test_words_are_readable_on_every_ground(name: str, word: str, ground: str):
    t = THEMES[name]
    # WCAG AA for text of this size.
    assert contrast(getattr(t, word), getattr(t, ground)) >= 4.5


@pytest.mark.parametrize("name", THEMES)
def test_words_on_the_accent_and_on_a_selected_row_are_readable(name: str):
    t = THEMES[name]
    assert contrast(t.on_accent, t.accent) >= 4.5
    assert contrast(t.text, t.selected) >= 4.5


def test_the_surround_of_the_slide_has_no_tint():
    for t in THEMES.values():
        for token in ("background", "surface", "raised", "field", "line"):
            assert QColor(getattr(t, token)).saturation() == 0


def test_a_theme_reaches_style_palette_and_tokens(qapp: QApplication):
    for name in ("light", "dark"):
        heard = []
        theme.notifier().changed.connect(heard.append)
        apply_theme(qapp, name)
        theme.notifier().changed.disconnect(heard.append)
        assert tokens().name == name
        assert heard == [tokens()]
        assert qapp.palette().window().color() == QColor(tokens().surface)
        assert tokens().accent in qapp.styleSheet()
        assert qapp.font().pixelSize() == 13


def test_an_unknown_theme_gives_the_dark_one(qapp: QApplication):
    assert apply_theme(qapp, "nonsense").name == "dark"


def test_the_style_sheet_leaves_no_placeholder_and_names_files_that_exist(qapp: QApplication):
    apply_theme(qapp, "dark")
    sheet = qapp.styleSheet()
    assert "$" not in sheet
    for path in re.findall(r'url\("([^"]+)"\)', sheet):
        assert Path(path).is_file()


def test_roles_of_labels_change_their_look(qtbot):
    apply_theme(QApplication.instance(), "dark")
    looks = {}
    for role in ("", "muted", "heading", "amber", "headline"):
        label = QLabel("12.4 mm2")
        label.setProperty("role", role)
        qtbot.addWidget(label)
        label.show()
        looks[role] = (label.font().pixelSize(), label.palette().windowText().color().name())
    assert len(set(looks.values())) == 5
    assert looks["headline"][0] == 20
    assert looks["amber"][1] == tokens().amber


def test_a_focused_button_shows_it(qtbot):
    apply_theme(QApplication.instance(), "dark")
    box = QWidget()
    first, second = QPushButton("One", box), QPushButton("One", box)
    first.setGeometry(0, 0, 100, 30)
    second.setGeometry(0, 40, 100, 30)
    qtbot.addWidget(box)
    box.show()
    first.setFocus()
    qtbot.waitUntil(first.hasFocus)
    assert first.grab().toImage() != second.grab().toImage()


@pytest.mark.parametrize("name", ICONS)
def test_every_icon_draws_something_in_the_colour_asked_for(qapp: QApplication, name: str):
    image = pixmap(name, "#ff0000", 20).toImage()
    drawn = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    assert sum(c.alphaF() for c in drawn) >= 5
    if name != "her2viewer":
        assert all(c.red() > 200 and c.green() < 60 for c in drawn if c.alpha() > 100)


def test_icons_are_drawn_with_one_stroke_width():
    for name in ICONS:
        text = resource_path("icons", f"{name}.svg").read_text(encoding="utf-8")
        if name != "her2viewer":
            assert 'stroke-width="1.5"' in text
            assert "currentColor" in text


def test_an_unknown_icon_is_refused(qapp: QApplication):
    with pytest.raises(FileNotFoundError):
        icon("no-such-icon")


def test_icons_follow_the_theme(qtbot):
    app = QApplication.instance()
    apply_theme(app, "dark")
    root = QWidget()
    qtbot.addWidget(root)
    action = QAction("Open", root)
    set_icon(action, "open")
    dark = action.icon().pixmap(20, 20).toImage()
    apply_theme(app, "light")
    refresh_icons(root)
    assert action.icon().pixmap(20, 20).toImage() != dark
    apply_theme(app, "dark")


def test_the_application_has_an_icon_in_several_sizes(qapp: QApplication):
    assert len(application_icon().availableSizes()) >= 3


def test_a_machine_without_fonts_gets_the_bundled_one(tmp_path):
    """In a process of its own: Qt looks for fonts once."""
    empty = tmp_path / "fonts.conf"
    empty.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig><cachedir>{tmp_path / 'cache'}</cachedir></fontconfig>"
    )
    code = (
        "from PySide6.QtWidgets import QApplication\n"
        "from PySide6.QtGui import QFontMetrics\n"
        "from her2viewer.viewer.theme import apply_theme\n"
        "app = QApplication([])\n"
        "apply_theme(app)\n"
        "metrics = QFontMetrics(app.font())\n"
        "print(app.font().family(), all(metrics.inFontUcs4(ord(c)) for c in 'HER2 3+ µm² ≥ 10 %'))\n"
    )
    environment = {**os.environ, "FONTCONFIG_FILE": str(empty), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "DejaVu Sans True"
