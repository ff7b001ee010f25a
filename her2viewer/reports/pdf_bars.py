"""Bars of the shares with cut-off lines; patterns besides colours, so that they read in a black-and-white print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import white

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.palette import her2_colors
from her2viewer.domain.pixelsize import mm2_column
from her2viewer.domain.shares import CountedUnit, Shares, percent_text
from her2viewer.reports.pdf_style import AMBER, BOLD, INK, MUTED, REGULAR, RULE, register_fonts, rgb

_ROW = 17.0
_BAR = 11.0
_SPACING: tuple[tuple[float, bool], ...] = ((0.0, False), (5.0, False), (2.6, False), (3.2, True))
"""Distance of the hatch lines of each class in points, and whether they cross; 0 is plain."""


def share_bars(shares: Shares, limits: tuple[float, ...], palette: str, width: float) -> Any:
    """A drawing of ``width`` points: label, bar, percentage and amount of each class."""
    register_fonts()
    left, right = 24.0, 98.0
    span = width - left - right
    height = 4 * _ROW + 20
    drawing = Drawing(width, height)
    top = height - 4
    amounts = _amounts(shares.amounts, shares.unit)
    for row, (label, percent, amount) in enumerate(zip(HER2_LABELS, shares.percent, amounts, strict=True)):
        y = top - (row + 1) * _ROW + (_ROW - _BAR) / 2
        drawing.add(String(0, y + 2, label, fontName=BOLD, fontSize=8.6, fillColor=INK))
        drawing.add(Rect(left, y, span, _BAR, fillColor=None, strokeColor=RULE, strokeWidth=0.4))
        swatch(drawing, (left, y, span * percent / 100, _BAR), row, palette)
        if shares.interval is not None:
            ends = (shares.interval.low[row], shares.interval.high[row])
            _whisker(drawing, left + span * ends[0], left + span * ends[1], y + _BAR / 2)
        elif shares.half_width is not None:
            low = max(0.0, percent - 100 * shares.half_width[row])
            high = min(100.0, percent + 100 * shares.half_width[row])
            _whisker(drawing, left + span * low / 100, left + span * high / 100, y + _BAR / 2)
        drawing.add(
            String(
                left + span + 44,
                y + 2,
                percent_text(percent, 1, (*limits, 100.0)),
                fontName=BOLD,
                fontSize=8.6,
                textAnchor="end",
            )
        )
        drawing.add(String(width, y + 2.4, amount, fontName=REGULAR, fontSize=7, textAnchor="end"))
    bottom = top - 4 * _ROW
    for limit in limits:
        x = left + span * limit / 100
        drawing.add(Line(x, bottom - 2, x, top, strokeColor=INK, strokeWidth=0.9, strokeDashArray=(2, 1.4)))
        drawing.add(
            String(x, bottom - 10, f"{limit:g} %", fontName=REGULAR, fontSize=6.6, textAnchor="middle", fillColor=INK)
        )
    for tick in (50, 100):
        drawing.add(
            String(
                left + span * tick / 100,
                bottom - 10,
                f"{tick} %",
                fontName=REGULAR,
                fontSize=6.6,
                textAnchor="middle",
                fillColor=MUTED,
            )
        )
    return drawing


def swatch(drawing: Any, box: tuple[float, float, float, float], her2: int, palette: str) -> None:
    """A filled and hatched rectangle (x, y, width, height) of a HER2 class in a drawing."""
    x, y, w, h = box
    if w <= 0:
        return
    drawing.add(Rect(x, y, w, h, fillColor=rgb(her2_colors(palette)[her2]), strokeColor=INK, strokeWidth=0.5))
    spacing, crossed = _SPACING[her2]
    red, green, blue = her2_colors(palette)[her2]
    # Lines of the ink vanish in a dark colour once the colour is gone.
    ink = white if 0.30 * red + 0.59 * green + 0.11 * blue < 115 else INK
    if spacing:
        for rising in (True, False) if crossed else (True,):
            for line in _hatch_lines(x, y, w, h, spacing=spacing, rising=rising):
                drawing.add(Line(*line, strokeColor=ink, strokeWidth=0.6))


def _hatch_lines(
    x: float, y: float, w: float, h: float, *, spacing: float, rising: bool
) -> list[tuple[float, float, float, float]]:
    """Diagonal lines clipped to a rectangle."""
    out = []
    offset = -h + spacing
    while offset < w:
        start, end = max(0.0, offset), min(w, offset + h)
        low, high = start - offset, end - offset
        if end > start:
            y0, y1 = (y + low, y + high) if rising else (y + h - low, y + h - high)
            out.append((x + start, y0, x + end, y1))
        offset += spacing * 1.414
    return out


def _whisker(drawing: Any, x0: float, x1: float, y: float) -> None:
    drawing.add(Line(x0, y, x1, y, strokeColor=AMBER, strokeWidth=1.1))
    for x in (x0, x1):
        drawing.add(Line(x, y - 2.5, x, y + 2.5, strokeColor=AMBER, strokeWidth=1.1))


def _amounts(amounts: Iterable[float], unit: CountedUnit) -> tuple[str, ...]:
    return tuple(f"{n:,.0f} cells" for n in amounts) if unit is CountedUnit.CELLS else mm2_column(amounts)
