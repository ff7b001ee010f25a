"""Names of outlines and texts of notes: they keep to the view and lie above all outlines."""

from __future__ import annotations

import math
from typing import Protocol

from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QGuiApplication, QPainter, QPen

from her2viewer.domain.annotation import DEFAULT_CLASS, Annotation, Role
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.outlines import Bounds, Outline
from her2viewer.viewer.overlays.raster_tiles import seen
from her2viewer.viewer.theme import DARK, tokens
from her2viewer.viewer.tools.drawing_state import title_of
from her2viewer.viewer.tools.hit import screen_xy

# The slide is as bright in every theme: one colour for all.
SELECTED = QColor(DARK.accent)
PLATE = QColor(20, 20, 20, 190)
MANY = 300
"""With more annotations than this names and texts are left out, and small ones are marks."""
NOTE_RADIUS = 7.0
NOTE_WIDTH = 260.0
MANY_NOTES = 40
REACH_PX = 16.0
MOST_WIDTHS = 500
UPPER_EDGE_PX = 4.0
"""So much below its highest corner."""
LEAST_PX = 30.0
"""Width and height together of an outline that has room for a name: no name is narrower."""

Named = tuple[Annotation, Outline]


class Owner(Protocol):
    """The layer of the outlines."""

    visible: bool
    show_names: bool
    title: str

    def texts_in(self, view: Bounds, least: float) -> tuple[list[Named], list[Annotation]]:
        """What the owner does not name itself: outlines of at least ``least`` level-0 px, and notes."""

    def is_selected(self, annotation: Annotation) -> bool:
        """Whether the reader has selected it."""

    @property
    def very_many(self) -> bool:
        """Whether texts are left out."""


class AnnotationTexts(Layer):
    """A layer right above that of the outlines. It draws what that one, which may be kept, does not draw itself."""

    z = 102

    def __init__(self, owner: Owner, parent: QObject) -> None:
        super().__init__(owner.title, parent)
        self._owner = owner
        self._widths: dict[tuple[str, float], float] = {}
        """Of names at some height of the font, logical px."""

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        """Nothing while the outlines are not visible."""
        margin = REACH_PX / viewport.scale
        x0, y0, x1, y1 = seen(painter, viewport)
        view = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
        areas, notes = self._owner.texts_in(view, LEAST_PX / viewport.scale)
        if areas or notes:
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self.draw(painter, viewport, areas, notes)
            painter.restore()

    def draw(self, painter: QPainter, viewport: Viewport, areas: list[Named], notes: list[Annotation]) -> None:
        """Names of outlines and texts of notes, the painter being smooth."""
        font = label_font()
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        if self._owner.show_names and not self._owner.very_many:
            for annotation, outline in areas:
                self._draw_name(painter, annotation, outline, viewport, metrics)
        few = len(notes) <= MANY_NOTES and not self._owner.very_many
        for note in notes:
            selected = self._owner.is_selected(note)
            if (few or selected) and not note.geometry.is_empty:
                _draw_note(painter, note, selected, viewport, metrics)

    def _draw_name(
        self, painter: QPainter, annotation: Annotation, outline: Outline, viewport: Viewport, metrics: QFontMetricsF
    ) -> None:
        if not annotation.name and annotation.role is Role.ROI:
            return
        text = title_of(annotation)
        width = self._width(text, metrics)
        x0, y0, x1, y1 = outline.bounds
        # However it is turned there is no room in the smaller ones: most outlines from afar.
        if (x1 - x0 + y1 - y0) * viewport.scale < width + 12:
            return
        place = _place_of_name(outline, viewport)
        if place is None:
            return
        left, top, right, bottom, middle = place
        if right - left < width + 12 or bottom - top < 2 * metrics.height():
            return
        # Inside the view where the outline begins outside it.
        x = max(middle - width / 2, 8.0)
        y = max(top - metrics.height() - 5, 6.0)
        if y > bottom or x > viewport.width / viewport.dpr:
            return
        _plate(painter, QRectF(x - 5, y - 1, width + 10, metrics.height() + 2), color_of(annotation))
        painter.setPen(QColor("white"))
        painter.drawText(QPointF(x, y + metrics.ascent()), text)

    def _width(self, text: str, metrics: QFontMetricsF) -> float:
        """Of a name; most of them are names of classes."""
        key = (text, metrics.height())
        if key not in self._widths:
            if len(self._widths) >= MOST_WIDTHS:
                self._widths.clear()
            self._widths[key] = metrics.horizontalAdvance(text)
        return self._widths[key]


def _place_of_name(outline: Outline, viewport: Viewport) -> tuple[float, float, float, float, float] | None:
    """Left, top, right and bottom of an outline on the screen, and the middle of its upper edge; logical px."""
    if viewport.rotation == 0 and outline.bounds[0] <= outline.bounds[2]:
        # In the frames of a zoom each has another scale: nothing is thinned for it.
        x0, y0, x1, y1 = outline.bounds
        middle = sum(outline.top(UPPER_EDGE_PX / viewport.scale)) / 2
        return *viewport.to_screen(x0, y0), *viewport.to_screen(x1, y1), viewport.to_screen(middle, y0)[0]
    corners = screen_xy(outline.corners(viewport.scale), viewport)
    if len(corners) == 0:
        return None
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    highest = corners[corners[:, 1] < top + UPPER_EDGE_PX, 0]
    return left, top, right, bottom, (highest.min() + highest.max()) / 2


def paint_note_mark(painter: QPainter, note: Annotation, selected: bool, viewport: Viewport) -> None:
    """The disc of a note, the painter being smooth."""
    if note.geometry.is_empty:
        return
    at = _place(note, viewport)
    if selected:
        painter.setPen(QPen(SELECTED, 3.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, NOTE_RADIUS + 2, NOTE_RADIUS + 2)
    painter.setPen(QPen(QColor(0, 0, 0, 200), 1.2))
    painter.setBrush(color_of(note))
    painter.drawEllipse(at, NOTE_RADIUS, NOTE_RADIUS)
    for dy in (-2.5, 0.0, 2.5):
        painter.drawLine(at + QPointF(-3.2, dy), at + QPointF(3.2, dy))


def _draw_note(
    painter: QPainter, note: Annotation, selected: bool, viewport: Viewport, metrics: QFontMetricsF
) -> None:
    at = _place(note, viewport)
    text = " ".join((note.text or note.name).split())
    if not text:
        return
    flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    if selected:
        flags |= int(Qt.TextFlag.TextWordWrap)
        box = metrics.boundingRect(QRectF(0, 0, NOTE_WIDTH, 400), flags, text)
    else:
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, NOTE_WIDTH)
        box = QRectF(0, 0, metrics.horizontalAdvance(text), metrics.height())
    width, height = math.ceil(box.width()) + 1, math.ceil(box.height())
    x = at.x() + NOTE_RADIUS + 8
    if x + width + 6 > viewport.width / viewport.dpr:
        x = at.x() - NOTE_RADIUS - 8 - width
    area = QRectF(x, at.y() - height / 2, width, height)
    _plate(painter, area.adjusted(-5, -2, 5, 2), color_of(note))
    painter.setPen(QColor("white"))
    painter.drawText(area, flags, text)


def _place(note: Annotation, viewport: Viewport) -> QPointF:
    point = note.geometry.centroid
    return QPointF(*viewport.to_screen(point.x, point.y))


def _plate(painter: QPainter, rect: QRectF, color: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(PLATE)
    painter.drawRoundedRect(rect, 3, 3)
    painter.setBrush(color)
    painter.drawRect(QRectF(rect.left(), rect.top() + 3, 2, rect.height() - 6))


def color_of(annotation: Annotation) -> QColor:
    """The annotation's own colour, else that of its role."""
    return QColor(*(annotation.color or DEFAULT_CLASS[annotation.role][1]))


def label_font() -> QFont:
    """Small text on the slide."""
    font = QFont(QGuiApplication.font())
    font.setPixelSize(tokens().font_small + 1)
    return font
