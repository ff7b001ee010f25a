"""The scale bar: a round length in um or mm, legible on any tissue."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.viewer.canvas.viewport import Viewport

MARGIN = 14
LONGEST = 150
"""Longest bar, logical px."""


def nice_length(most: float) -> float:
    """The largest of 1, 2, 5 x 10^n that is not longer than ``most`` (any unit, > 0)."""
    power = 10.0 ** math.floor(math.log10(most))
    for step in (5.0, 2.0):
        if step * power <= most * (1 + 1e-9):
            return step * power
    return power


def length_label(um: float) -> str:
    """``um`` in words: "200 um" with the micro sign, "2 mm" from 1000 um on, "500 nm" below 1 um."""
    if um >= 1000:
        return f"{um / 1000:g} mm"
    if um >= 1:
        return f"{um:g} µm"
    return f"{um * 1000:g} nm"


def bar(view: Viewport, pixel_size: PixelSize | None, longest: float = LONGEST) -> tuple[float, str]:
    """Length in logical px and label; in level-0 px of the slide where the pixel size is unknown."""
    if pixel_size is None:
        length = max(1.0, nice_length(longest / view.scale))
        return length * view.scale, f"{length:g} px"
    um = nice_length(longest / view.scale * pixel_size.mpp)
    return um / pixel_size.mpp * view.scale, length_label(um)


def paint_scale_bar(painter: QPainter, view: Viewport, pixel_size: PixelSize | None) -> QRectF:
    """Draw the bar in the lower left corner, in logical coordinates; returns the plate's rectangle."""
    length, label = bar(view, pixel_size)
    dpr = view.dpr
    # Whole device pixels, so that the bar is crisp at every screen scaling.
    length = round(length * dpr) / dpr
    thick = max(1, round(3 * dpr)) / dpr
    font = QFont(painter.font())
    font.setPixelSize(13)
    font.setWeight(QFont.Weight.DemiBold)
    metrics = QFontMetricsF(font)
    width = max(length, metrics.horizontalAdvance(label)) + 20
    height = metrics.height() + thick + 14
    bottom = view.height / dpr - MARGIN
    plate = QRectF(MARGIN, round((bottom - height) * dpr) / dpr, math.ceil(width), math.ceil(height))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(16, 18, 22, 190))
    painter.drawRoundedRect(plate, 4, 4)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    left = round((plate.center().x() - length / 2) * dpr) / dpr
    top = round((plate.bottom() - 7 - thick) * dpr) / dpr
    painter.fillRect(QRectF(left, top, length, thick), QColor(255, 255, 255))
    for x in (left, left + length - thick / 3):
        painter.fillRect(QRectF(x, top - 3, max(1 / dpr, thick / 3), thick + 3), QColor(255, 255, 255))
    painter.setFont(font)
    painter.setPen(QColor(255, 255, 255))
    painter.drawText(
        QPointF(plate.center().x() - metrics.horizontalAdvance(label) / 2, plate.top() + 4 + metrics.ascent()), label
    )
    painter.restore()
    return plate
