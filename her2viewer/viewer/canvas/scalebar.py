"""The scale bar: a round length in um or mm, legible on any tissue."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

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


class ScaleBar:
    """Paints the bar; keeps it as a picture, because text costs more than all tiles of a frame."""

    def __init__(self) -> None:
        self._picture: QImage | None = None
        self._of: tuple[float, str, float, str] | None = None
        self._label: QImage | None = None
        self._label_of: tuple[str, float, str] | None = None

    def paint(self, painter: QPainter, view: Viewport, pixel_size: PixelSize | None) -> QRectF:
        """Into the lower left corner, in logical coordinates; returns the rectangle of its plate."""
        length, label = bar(view, pixel_size)
        of = (length, label, view.dpr, painter.font().family())
        if self._picture is None or self._of != of:
            self._picture, self._of = _drawn(length, self._labelled(label, view.dpr, painter.font()), view.dpr), of
        size = self._picture.deviceIndependentSize()
        # On whole device pixels, so that the bar is crisp at every screen scaling.
        top = round(view.height - MARGIN * view.dpr - self._picture.height()) / view.dpr
        left = round(MARGIN * view.dpr) / view.dpr
        painter.drawImage(QPointF(left, top), self._picture)
        return QRectF(QPointF(left, top), size)

    def _labelled(self, label: str, dpr: float, font: QFont) -> QImage:
        # In a zoom the length differs in every frame, the label seldom.
        of = (label, dpr, font.family())
        if self._label is None or self._label_of != of:
            self._label, self._label_of = _written(label, dpr, font), of
        return self._label


def _written(label: str, dpr: float, font: QFont) -> QImage:
    """The label, white on nothing."""
    font = QFont(font)
    font.setPixelSize(13)
    font.setWeight(QFont.Weight.DemiBold)
    metrics = QFontMetricsF(font)
    size = (math.ceil(metrics.horizontalAdvance(label) * dpr), math.ceil(metrics.height() * dpr))
    image = QImage(*size, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(dpr)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setFont(font)
    painter.setPen(QColor(255, 255, 255))
    painter.drawText(QPointF(0, metrics.ascent()), label)
    painter.end()
    return image


def _drawn(length: float, label: QImage, dpr: float) -> QImage:
    """White on a dark plate: legible on any tissue."""
    bar_px, thick_px = round(length * dpr), max(2, round(3 * dpr))
    width = math.ceil(max(length * dpr, label.width()) + 20 * dpr)
    height = label.height() + math.ceil(14 * dpr) + thick_px
    image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(16, 18, 22, 190))
    painter.drawRoundedRect(QRectF(0, 0, width, height), 4 * dpr, 4 * dpr)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    white = QColor(255, 255, 255)
    left, top = (width - bar_px) // 2, height - round(7 * dpr) - thick_px
    painter.fillRect(left, top, bar_px, thick_px, white)
    end_px, rise_px = max(1, thick_px // 3), round(3 * dpr)
    for x in (left, left + bar_px - end_px):
        painter.fillRect(x, top - rise_px, end_px, rise_px, white)
    painter.drawImage(QRect((width - label.width()) // 2, round(4 * dpr), label.width(), label.height()), label)
    painter.end()
    image.setDevicePixelRatio(dpr)
    return image
