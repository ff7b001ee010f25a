"""The outlines that a person drew: regions, exclusions, control tissue, notes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QGuiApplication, QPainter, QPen, QPolygonF, QTransform

from her2viewer.domain.annotation import DEFAULT_CLASS, Annotation, AnnotationSet, Role
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.outlines import Bounds, Outline, polygon_of
from her2viewer.viewer.overlays.raster_tiles import seen
from her2viewer.viewer.session import Session
from her2viewer.viewer.theme import DARK, tokens
from her2viewer.viewer.tools.drawing_state import DrawingState, title_of
from her2viewer.viewer.tools.hit import annotation_at, screen_transform, screen_xy
from her2viewer.viewer.tools.measure import area_text

LINE_PX = 2.0
SEAM = QColor(0, 0, 0, 110)
"""Dark seam under every line: a pale outline stays visible on white glass."""
SEAM_SELECTED = QColor(0, 0, 0, 190)
# The slide is as bright in every theme: one colour for all.
SELECTED = QColor(DARK.accent)
SMALL_PX = 7.0
"""Areas smaller than this on the screen get a mark, so that they are not lost at low power."""
CROWD = 6_000
"""With more corners than this in view, lines are drawn plainer and faster."""
NOTE_RADIUS = 7.0
NOTE_WIDTH = 260.0
MANY_NOTES = 40
MANY = 300
"""With more annotations than this names and texts are left out, and what does not change is kept between frames."""
NO_MARK = -1
"""In place of a colour: notes are never too small."""
PLATE = QColor(20, 20, 20, 190)
MARGIN_PX = 16.0


class _Frame(NamedTuple):
    """What painting one frame needs."""

    painter: QPainter
    viewport: Viewport
    view: Bounds
    transform: QTransform
    crowded: bool = False


class AnnotationLayer(Layer):
    """Draws the annotations of a session, in the shape that they have under the pointer while they are edited."""

    z = 100

    def __init__(self, session: Session, state: DrawingState | None = None, parent: QObject | None = None) -> None:
        super().__init__("Regions", parent)
        self._session = session
        self._state = state
        self._show_names = True
        self._outlines: dict[str, Outline] = {}
        self._mark_colors: tuple[AnnotationSet, NDArray[np.int64]] | None = None
        session.annotations_changed.connect(self._annotations_changed)
        session.selection_changed.connect(self._repaint)
        session.slide_changed.connect(self._slide_changed)
        if state is not None:
            state.live_changed.connect(self._repaint)

    @property
    def show_names(self) -> bool:
        """Whether named regions and exclusions carry their name on the slide."""
        return self._show_names

    @show_names.setter
    def show_names(self, value: bool) -> None:
        if value != self._show_names:
            self._show_names = value
            self.changed.emit()

    def annotation_at(self, x: float, y: float, viewport: Viewport) -> Annotation | None:
        """The annotation that a click at a slide point (level-0 px) means; None while the layer is hidden."""
        return annotation_at(self._session.annotations, x, y, viewport) if self.visible else None

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        found = self.annotation_at(x, y, viewport)
        if found is None:
            return None
        if found.role is Role.NOTE:
            return f"Note: {title_of(found)}"
        return f"{title_of(found)} {area_text(found.geometry.area, self._session.pixel_size)}"

    # --- painting ----------------------------------------------------------------------------------------------

    @property
    def composed(self) -> bool:  # type: ignore[override]
        """Very many outlines are kept with the tissue below them, but while one of them is being changed."""
        return len(self._session.annotations) > MANY and not (self._state is not None and self._state.live)

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if not self.visible:
            return
        many = len(self._session.annotations) > MANY
        margin = MARGIN_PX / viewport.scale
        x0, y0, x1, y1 = seen(painter, viewport)
        view = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
        frame = _Frame(painter, viewport, view, screen_transform(viewport))
        selected = set(self._session.selection)
        near = self._paint_marks(frame, selected) if many else self._shown(view)
        shown = [(a, self._outline(a)) for a in near]
        shown = [(a, o) for a, o in shown if o.touches(view)]
        # What is selected is drawn last, above its neighbours.
        shown.sort(key=lambda pair: pair[0].id in selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        areas = [(a, o) for a, o in shown if a.role is not Role.NOTE]
        for a, outline in areas:
            if a.role is Role.EXCLUDE:
                self._paint_hatch(frame, a, outline)
        lines = [(a, o, o.pieces(view, viewport.scale)) for a, o in areas]
        crowded = sum(piece.size() for _, _, pieces in lines for piece in pieces) > CROWD
        frame = frame._replace(crowded=crowded)
        for a, outline, pieces in lines:
            self._paint_outline(frame, a, outline, pieces, a.id in selected)
        if self._show_names and not many:
            for a, outline in areas:
                self._paint_name(painter, a, outline, viewport)
        notes = [a for a, _ in shown if a.role is Role.NOTE]
        for a in notes:
            self._paint_note(painter, a, a.id in selected, len(notes) <= MANY_NOTES and not many, viewport)
        painter.restore()

    def _shown(self, view: Bounds) -> list[Annotation]:
        """What may be in view, in drawing order, in the shape that it has now."""
        live = self._state.live if self._state is not None else {}
        annotations = self._session.annotations
        known = [annotations.items[i] for i in annotations.touching(*view)]
        known = [a for a in known if a.id not in live]
        return known + list(live.values())

    def _paint_marks(self, frame: _Frame, selected: set[str]) -> list[Annotation]:
        """Those in view that are too small for an outline, as points of their colour; returns the others in view."""
        annotations, live = self._session.annotations, self._state.live if self._state is not None else {}
        near = annotations.touching(*frame.view)
        bounds, rgb = annotations.bounds[near], self._colors()[near]
        size = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]) * frame.viewport.scale
        small = (size < SMALL_PX) & (rgb != NO_MARK)
        if selected or live:
            ids = [annotations.items[i].id for i in near]
            chosen = np.fromiter((i in selected for i in ids), dtype=bool, count=len(ids))
            if len(selected) > MANY:
                rgb[chosen & small] = SELECTED.rgb()
            else:
                small &= ~chosen
            small &= ~np.fromiter((i in live for i in ids), dtype=bool, count=len(ids))
        middle = screen_xy((bounds[:, :2] + bounds[:, 2:]) / 2, frame.viewport)
        painter = frame.painter
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for value in np.unique(rgb[small]):
            members = small & (rgb == value)
            # Smaller where they would run into one another.
            side = float(np.clip(np.median(size[members]), 2.0, SMALL_PX))
            pen = QPen(QColor.fromRgb(int(value)), side)
            pen.setCapStyle(Qt.PenCapStyle.SquareCap)
            painter.setPen(pen)
            painter.drawPoints(polygon_of(np.round(middle[members])))
        painter.restore()
        others = [annotations.items[i] for i in near[~small]]
        return [a for a in others if a.id not in live] + list(live.values())

    def _colors(self) -> NDArray[np.int64]:
        """Colour of the mark of each annotation, (n,); ``NO_MARK`` for notes."""
        annotations = self._session.annotations
        if self._mark_colors is None or self._mark_colors[0] is not annotations:
            known: dict[tuple[object, ...], int] = {}
            colors = np.empty(len(annotations), dtype=np.int64)
            for i, a in enumerate(annotations.items):
                look = (a.role, a.class_name, a.color)
                if look not in known:
                    known[look] = NO_MARK if a.role is Role.NOTE else color_of(a).rgb()
                colors[i] = known[look]
            self._mark_colors = (annotations, colors)
        return self._mark_colors[1]

    def _outline(self, annotation: Annotation) -> Outline:
        outline = self._outlines.get(annotation.id)
        if outline is None or outline.geometry is not annotation.geometry:
            outline = self._outlines[annotation.id] = Outline(annotation.geometry)
        return outline

    def _paint_hatch(self, frame: _Frame, annotation: Annotation, outline: Outline) -> None:
        painter, viewport = frame.painter, frame.viewport
        color = color_of(annotation)
        color.setAlpha(170)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QBrush(color, Qt.BrushStyle.BDiagPattern))
        # The hatch moves with the tissue.
        origin = viewport.to_screen(0, 0)
        painter.setBrushOrigin(QPointF(round(origin[0]) % 8, round(origin[1]) % 8))
        painter.drawPath(frame.transform.map(outline.fill(frame.view, viewport.scale)))

    def _paint_outline(
        self, frame: _Frame, annotation: Annotation, outline: Outline, pieces: list[QPolygonF], selected: bool
    ) -> None:
        painter, viewport = frame.painter, frame.viewport
        color = color_of(annotation)
        x0, y0, x1, y1 = outline.bounds
        if max(x1 - x0, y1 - y0) * viewport.scale < SMALL_PX:
            at = QPointF(*viewport.to_screen((x0 + x1) / 2, (y0 + y1) / 2))
            painter.setPen(QPen(SELECTED if selected else SEAM, 2.0 if selected else 1.0))
            painter.setBrush(color)
            painter.drawRect(QRectF(at.x() - 3.5, at.y() - 3.5, 7, 7))
            return
        if frame.crowded and not selected:
            self._paint_fast(frame, color, pieces)
            return
        if selected:
            pens = [QPen(SEAM_SELECTED, 5.0), QPen(SELECTED, 2.6)]
        else:
            pens = [QPen(SEAM, LINE_PX + 1.6), QPen(color, LINE_PX)]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        base = painter.transform()
        painter.setTransform(frame.transform, True)
        for pen in pens:
            pen.setCosmetic(True)
            # The width of cosmetic pens counts in device px.
            pen.setWidthF(pen.widthF() * viewport.dpr)
            pen.setJoinStyle(Qt.PenJoinStyle.BevelJoin)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            if annotation.role is Role.CONTROL:
                pen.setCapStyle(Qt.PenCapStyle.FlatCap)
                # Dash lengths count in line widths: line and seam must keep step.
                pen.setDashPattern([10 * viewport.dpr / pen.widthF(), 6 * viewport.dpr / pen.widthF()])
            painter.setPen(pen)
            for piece in pieces:
                painter.drawPolyline(piece)
        painter.setTransform(base)

    @staticmethod
    def _paint_fast(frame: _Frame, color: QColor, pieces: list[QPolygonF]) -> None:
        """Qt strokes lines of one px twenty times as fast as wider ones: three of them side by side do."""
        painter = frame.painter
        base = painter.transform()
        pen = QPen(color, 1.0)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
            painter.setTransform(frame.transform * QTransform.fromTranslate(dx, dy) * base)
            for piece in pieces:
                painter.drawPolyline(piece)
        painter.setTransform(base)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)

    def _paint_name(self, painter: QPainter, annotation: Annotation, outline: Outline, viewport: Viewport) -> None:
        if not annotation.name and annotation.role is Role.ROI:
            return
        corners = screen_xy(outline.corners(viewport.scale), viewport)
        if len(corners) == 0:
            return
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        font = label_font()
        metrics = QFontMetricsF(font)
        text = title_of(annotation)
        width = metrics.horizontalAdvance(text)
        if right - left < width + 12 or bottom - top < 2 * metrics.height():
            return
        # Inside the view where the outline begins outside it.
        highest = corners[corners[:, 1] < top + 4, 0]
        x = max((highest.min() + highest.max() - width) / 2, 8.0)
        y = max(top - metrics.height() - 5, 6.0)
        if y > bottom or x > viewport.width / viewport.dpr:
            return
        self._plate(painter, QRectF(x - 5, y - 1, width + 10, metrics.height() + 2), color_of(annotation))
        painter.setFont(font)
        painter.setPen(QColor("white"))
        painter.drawText(QPointF(x, y + metrics.ascent()), text)

    def _paint_note(
        self, painter: QPainter, annotation: Annotation, selected: bool, with_text: bool, viewport: Viewport
    ) -> None:
        if annotation.geometry.is_empty:
            return
        point = annotation.geometry.centroid
        at = QPointF(*viewport.to_screen(point.x, point.y))
        color = color_of(annotation)
        if with_text or selected:
            self._paint_note_text(painter, annotation, selected, at, viewport)
        if selected:
            painter.setPen(QPen(SELECTED, 3.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(at, NOTE_RADIUS + 2, NOTE_RADIUS + 2)
        painter.setPen(QPen(QColor(0, 0, 0, 200), 1.2))
        painter.setBrush(color)
        painter.drawEllipse(at, NOTE_RADIUS, NOTE_RADIUS)
        for dy in (-2.5, 0.0, 2.5):
            painter.drawLine(at + QPointF(-3.2, dy), at + QPointF(3.2, dy))

    def _paint_note_text(
        self, painter: QPainter, annotation: Annotation, selected: bool, at: QPointF, viewport: Viewport
    ) -> None:
        font = label_font()
        metrics = QFontMetricsF(font)
        text = " ".join((annotation.text or annotation.name).split())
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
        self._plate(painter, area.adjusted(-5, -2, 5, 2), color_of(annotation))
        painter.setFont(font)
        painter.setPen(QColor("white"))
        painter.drawText(area, flags, text)

    @staticmethod
    def _plate(painter: QPainter, rect: QRectF, color: QColor) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PLATE)
        painter.drawRoundedRect(rect, 3, 3)
        painter.setBrush(color)
        painter.drawRect(QRectF(rect.left(), rect.top() + 3, 2, rect.height() - 6))

    # --- changes -----------------------------------------------------------------------------------------------

    def _annotations_changed(self, _annotations: object) -> None:
        known = {a.id for a in self._session.annotations}
        self._outlines = {i: o for i, o in self._outlines.items() if i in known}
        self.changed.emit()

    def _slide_changed(self, _slide: object) -> None:
        self._outlines.clear()
        self.changed.emit()

    def _repaint(self, _what: object = None) -> None:
        self.changed.emit()


def color_of(annotation: Annotation) -> QColor:
    """The annotation's own colour, else that of its role."""
    return QColor(*(annotation.color or DEFAULT_CLASS[annotation.role][1]))


def label_font() -> QFont:
    """Small text on the slide."""
    font = QFont(QGuiApplication.font())
    font.setPixelSize(tokens().font_small + 1)
    return font
