"""Colours, sizes and fonts of the window, from one place: a dark theme for the reading room and a light one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from string import Template

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics, QPalette
from PySide6.QtWidgets import QApplication

from her2viewer.resources import resource_path


@dataclass(frozen=True)
class Tokens:
    """What everything drawn by the window takes its colours (``#rrggbb``) and sizes (logical px) from."""

    name: str
    background: str
    """Behind panels and around the slide."""
    surface: str
    """Panels, menus, bars."""
    raised: str
    """Buttons, rows under the pointer."""
    field: str
    """Inside of text fields, boxes and tracks."""
    line: str
    """Hair lines between things."""
    text: str
    muted: str
    faint: str
    """Words and signs of what cannot be used now."""
    accent: str
    on_accent: str
    """Text on the accent."""
    amber: str
    """Close to a limit, questioned, not yet sure."""
    red: str
    """Failed."""
    green: str
    """Done, saved."""
    selected: str
    """Behind a selected row."""
    font_size: int = 13
    font_small: int = 11
    font_large: int = 15
    font_headline: int = 20
    grid: int = 8

    def color(self, token: str) -> QColor:
        """A colour token as QColor, for painting: ``tokens().color("accent")``."""
        return QColor(getattr(self, token))


# Greys without a tint: a coloured surround shifts how stain colours are seen.
DARK = Tokens(
    name="dark",
    background="#191919",
    surface="#212121",
    raised="#2d2d2d",
    field="#191919",
    line="#3a3a3a",
    text="#e6e6e6",
    muted="#a0a0a0",
    faint="#6c6c6c",
    accent="#62a8ea",
    on_accent="#0d1a26",
    amber="#e3a53c",
    red="#ee7b70",
    green="#74bf79",
    selected="#31475c",
)

LIGHT = Tokens(
    name="light",
    background="#d9d9d9",
    surface="#f4f4f4",
    raised="#ffffff",
    field="#ffffff",
    line="#c4c4c4",
    text="#1c1c1c",
    muted="#5c5c5c",
    faint="#969696",
    accent="#1766ae",
    on_accent="#ffffff",
    amber="#8f5a00",
    red="#b3261e",
    green="#23702c",
    selected="#c9dff2",
)

_NEEDED = "A0%"
THEMES = {"dark": DARK, "light": LIGHT}


class ThemeNotifier(QObject):
    """Tells painted widgets that the theme is another one."""

    changed = Signal(object)
    """Tokens."""


class _Current:
    tokens: Tokens = DARK


@lru_cache(maxsize=1)
def notifier() -> ThemeNotifier:
    """The one notifier of the program."""
    return ThemeNotifier()


def tokens() -> Tokens:
    """The tokens of the theme in use."""
    return _Current.tokens


def apply_theme(app: QApplication, name: str = "dark") -> Tokens:
    """Dress the whole application in a theme, "dark" or "light"; an unknown name gives the dark one."""
    chosen = THEMES.get(name, DARK)
    _Current.tokens = chosen
    if app.style().name() != "fusion":
        # The same look on every desktop; native styles ignore half of a style sheet.
        app.setStyle("Fusion")
    app.setFont(_font(chosen))
    app.setPalette(_palette(chosen))
    app.setStyleSheet(_style_sheet(chosen))
    notifier().changed.emit(chosen)
    return chosen


@lru_cache(maxsize=2)
def _style_sheet(chosen: Tokens) -> str:
    template = Template(resource_path("styles", "app.qss").read_text(encoding="utf-8"))
    values = {key: str(value) for key, value in asdict(chosen).items()}
    values["images"] = resource_path("styles").as_posix()
    return template.substitute(values)


@lru_cache(maxsize=1)
def _bundled_family() -> str:
    """Family of the bundled font, for a machine that has none."""
    family = ""
    for file in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"):
        number = QFontDatabase.addApplicationFont(str(resource_path("fonts", file)))
        families = QFontDatabase.applicationFontFamilies(number) if number >= 0 else []
        family = family or (families[0] if families else "")
    return family


def _can_write(font: QFont) -> bool:
    """False on a machine without fonts, whose families are names only and whose letters are boxes."""
    # Not QFontDatabase.families(): fontconfig lists "Sans Serif" also where there is no file behind it. Nor
    # QRawFont, which crashes on such a family.
    metrics = QFontMetrics(font)
    return all(metrics.inFontUcs4(ord(letter)) for letter in _NEEDED)


def _font(chosen: Tokens) -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if not _can_write(font):
        font = QFont(_bundled_family())
    font.setPixelSize(chosen.font_size)
    # Numbers change in place: every figure is as wide as the others.
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def _palette(t: Tokens) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette()
    for key, color in {
        role.Window: t.surface,
        role.WindowText: t.text,
        role.Base: t.field,
        role.AlternateBase: t.surface,
        role.Text: t.text,
        role.Button: t.raised,
        role.ButtonText: t.text,
        role.BrightText: t.red,
        role.ToolTipBase: t.raised,
        role.ToolTipText: t.text,
        role.PlaceholderText: t.muted,
        role.Highlight: t.accent,
        role.HighlightedText: t.on_accent,
        role.Accent: t.accent,
        role.Link: t.accent,
        role.LinkVisited: t.accent,
        role.Light: t.raised,
        role.Midlight: t.line,
        role.Mid: t.line,
        role.Dark: t.background,
        role.Shadow: "#000000",
    }.items():
        palette.setColor(key, QColor(color))
    for key in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(group.Disabled, key, QColor(t.faint))
    palette.setColor(group.Disabled, role.Highlight, QColor(t.line))
    palette.setColor(group.Disabled, role.Accent, QColor(t.line))
    return palette
