"""Fonts, colours and paragraph styles of the PDF; any text made safe to print."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.graphics import shapes
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph

from her2viewer.resources import resource_path

REGULAR = "HER2Sans"
BOLD = "HER2Sans-Bold"

WIDTH = 178 * mm
"""Text width of an A4 page."""

INK = HexColor("#1b1f24")
MUTED = HexColor("#5b6570")
RULE = HexColor("#b9c0c8")
TINT = HexColor("#f2f4f6")
AMBER = HexColor("#b35c00")

_EVERY = ((0, 0), (-1, -1))
FLAT: tuple[tuple[Any, ...], ...] = (
    ("FONTNAME", *_EVERY, REGULAR),
    ("LEFTPADDING", *_EVERY, 0),
    ("RIGHTPADDING", *_EVERY, 0),
    ("TOPPADDING", *_EVERY, 0),
    ("BOTTOMPADDING", *_EVERY, 2),
    ("VALIGN", *_EVERY, "TOP"),
)
"""Table style: columns of text without lines."""
BOXED: tuple[tuple[Any, ...], ...] = (
    ("FONTNAME", *_EVERY, REGULAR),
    ("BOX", *_EVERY, 0.8, INK),
    ("VALIGN", *_EVERY, "TOP"),
    ("LEFTPADDING", *_EVERY, 7),
    ("RIGHTPADDING", *_EVERY, 7),
    ("TOPPADDING", *_EVERY, 6),
    ("BOTTOMPADDING", *_EVERY, 6),
)
"""Table style: one box."""
LINED: tuple[tuple[Any, ...], ...] = (
    ("FONTNAME", *_EVERY, REGULAR),
    ("LINEBELOW", *_EVERY, 0.4, RULE),
    ("LINEABOVE", (0, 1), (-1, 1), 0.8, INK),
    ("VALIGN", *_EVERY, "TOP"),
    ("LEFTPADDING", *_EVERY, 3),
    ("RIGHTPADDING", *_EVERY, 3),
    ("TOPPADDING", *_EVERY, 1.6),
    ("BOTTOMPADDING", *_EVERY, 1.8),
)
"""Table style: a head and lines between the rows."""


@cache
def register_fonts() -> None:
    """Register the shipped fonts; they are embedded, so the machine needs none of its own.

    Raises:
        FileNotFoundError: the installation lacks them.
    """
    pdfmetrics.registerFont(TTFont(REGULAR, str(resource_path("fonts", "DejaVuSans.ttf"))))
    pdfmetrics.registerFont(TTFont(BOLD, str(resource_path("fonts", "DejaVuSans-Bold.ttf"))))
    # Pictures as they are, not as text: a tenth of the time and four fifths of the size.
    rl_config.useA85 = 0
    # Drawings select this font before any other, even where no text follows; Helvetica would not be embedded.
    shapes.STATE_DEFAULTS["fontName"] = REGULAR
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)


@cache
def _glyphs() -> frozenset[int]:
    register_fonts()
    regular = pdfmetrics.getFont(REGULAR).face.charToGlyph
    bold = pdfmetrics.getFont(BOLD).face.charToGlyph
    return frozenset(regular) & frozenset(bold)


def printable(text: str) -> str:
    """The text with every character that the font lacks named by its code point, so that no empty box is printed."""
    out = []
    for char in unicodedata.normalize("NFC", text):
        if char in "\n\t" or ord(char) in _glyphs():
            out.append(char)
        elif unicodedata.category(char) not in ("Cc", "Cf"):
            out.append(f"[U+{ord(char):04X}]")
    return "".join(out)


def markup(text: str) -> str:
    """Text for a paragraph: printable, escaped, line ends kept."""
    return escape(printable(text)).replace("\n", "<br/>")


def rgb(color: tuple[int, int, int]) -> Color:
    """A colour of 0 to 255 as reportlab wants it."""
    return Color(color[0] / 255, color[1] / 255, color[2] / 255)


@cache
def style(name: str) -> Any:
    """Paragraph style by name: body, small, tiny, right, head, title, headline, label, amber."""
    register_fonts()
    base: dict[str, Any] = {"fontName": REGULAR, "fontSize": 8.6, "leading": 11.4, "textColor": INK}
    special: dict[str, dict[str, Any]] = {
        "body": {},
        "small": {"fontSize": 7.6, "leading": 10.0},
        "smallbold": {"fontName": BOLD, "fontSize": 7.6, "leading": 10.0},
        "smallright": {"fontSize": 7.6, "leading": 10.0, "alignment": TA_RIGHT},
        "tiny": {"fontSize": 6.7, "leading": 8.8, "textColor": MUTED},
        "right": {"alignment": TA_RIGHT, "fontSize": 7.6, "leading": 10.0, "textColor": MUTED},
        "bold": {"fontName": BOLD},
        "head": {"fontName": BOLD, "fontSize": 9.6, "leading": 12, "spaceBefore": 7, "spaceAfter": 3},
        "title": {"fontName": BOLD, "fontSize": 15, "leading": 18},
        "headline": {"fontName": BOLD, "fontSize": 19, "leading": 23},
        "label": {"fontSize": 7.0, "leading": 9.0, "textColor": MUTED},
        "amber": {"fontSize": 8.2, "leading": 10.8, "textColor": AMBER, "fontName": BOLD},
    }
    return ParagraphStyle(name, **{**base, **special[name]})


def para(text: str, name: str = "body") -> Any:
    """A paragraph of plain text."""
    return Paragraph(markup(text), style(name))


def rich(text: str, name: str = "body") -> Any:
    """A paragraph of text that is markup already; pass user text through ``markup`` first."""
    return Paragraph(text, style(name))
