"""The outlines that a person drew: regions, exclusions, control tissue, notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF, QTransform

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.editing import rings
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.rasters import LayerRasters, Rings
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.annotation_texts import (
    MANY,
    SELECTED,
    AnnotationTexts,
    Named,
    color_of,
    paint_note_mark,
)
from her2viewer.viewer.overlays.drawn_rings import Disc, DrawnRings, RingStyle, diagonal, premultiplied
from her2viewer.viewer.overlays.outlines import Bounds, Outline, polygon_of
from her2viewer.viewer.overlays.raster_tiles import seen
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import DrawingState, title_of
from her2viewer.viewer.tools.hit import annotation_at, screen_transform, screen_xy
from her2viewer.viewer.tools.measure import area_text

LINE_PX = 2.0
SEAM = QColor(0, 0, 0, 110)
"""Dark seam under every line: a pale outline stays visible on white glass."""
SEAM_SELECTED = QColor(0, 0, 0, 190)
SMALL_PX = 7.0
"""Areas smaller than this on the screen get a mark, so that they are not lost at low power."""
CROWD = 600
"""With more corners than this in view, lines are drawn plainer and faster: smooth ones take 7 us a corner."""
KEPT_FROM = 24
KEPT_CORNERS = 2_000
"""More annotations or corners are kept with the tissue below them: painting them in each frame would be felt."""
KEPT_CROWD = 150
"""``CROWD`` of what is kept, in a view of ``USUAL_VIEW`` px of outlines that are evenly spread; few are."""
USUAL_VIEW = 2e6
LINE_OF_A_ZOOM = 2
"""Width of lines while a zoom goes on, px; pictures of them are made smaller by leaving out pixels."""
HATCH_PX = 8
HATCH_ALPHA = 170
NOTE_PX = 7
NO_MARK = -1
"""In place of a colour: notes are never too small."""
MARGIN_PX = 16.0


class _Frame(NamedTuple):
    """What painting one frame needs."""

    painter: QPainter
    viewport: Viewport
    view: Bounds
    transform: QTransform
    crowded: bool = False


class _Amount(NamedTuple):
    """How much there is to be drawn of a set of annotations."""

    of: AnnotationSet
    heavy: bool
    corners: int
    area: float
    """Of a box around all, px2 of level 0."""
    notes: tuple[Annotation, ...]


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
        self._known_amount: _Amount | None = None
        self._drawn: tuple[AnnotationSet, tuple[str, ...], DrawnRings] | None = None
        self.texts = AnnotationTexts(self, self)
        """To be shown above this layer."""
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
        """Many outlines are kept with the tissue below them, but while one of them is being changed."""
        return self._amount().heavy and not (self._state is not None and self._state.live)

    def rasters(self) -> LayerRasters | None:
        if not self.composed:
            return None
        annotations, selection = self._session.annotations, tuple(self._session.selection)
        known = self._drawn
        if known is None or known[0] is not annotations or known[1] != selection:
            self._drawn = known = (annotations, selection, _drawn(annotations, set(selection)))
        return LayerRasters(known[2], self.opacity)

    def _amount(self) -> _Amount:
        annotations, known = self._session.annotations, self._known_amount
        if known is None or known.of is not annotations:
            corners = int(shapely.get_num_coordinates([a.geometry for a in annotations]).sum())
            bounds = annotations.bounds[~np.isnan(annotations.bounds).any(axis=1)]
            width, height = (bounds[:, 2:].max(axis=0) - bounds[:, :2].min(axis=0)) if len(bounds) else (0.0, 0.0)
            heavy = len(annotations) > KEPT_FROM or corners > KEPT_CORNERS
            notes = annotations.with_role(Role.NOTE)
            self._known_amount = known = _Amount(annotations, heavy, corners, float(width * height), notes)
        return known

    def _crowded(self, viewport: Viewport, pieces: Iterable[QPolygonF]) -> bool:
        """Whether lines are drawn in the plainer way. Of what is kept it may not depend on the part painted."""
        amount = self._amount()
        if not amount.heavy:
            return sum(piece.size() for piece in pieces) > CROWD
        seen_share = min(1.0, USUAL_VIEW * viewport.downsample**2 / max(1.0, amount.area))
        return amount.corners * seen_share > KEPT_CROWD

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if not self.visible:
            return
        margin = MARGIN_PX / viewport.scale
        x0, y0, x1, y1 = seen(painter, viewport)
        view = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
        frame = _Frame(painter, viewport, view, screen_transform(viewport))
        selected = set(self._session.selection)
        near = self._paint_marks(frame, selected) if self.very_many else self._shown(view)
        shown = [(a, self._outline(a)) for a in near]
        shown = [(a, o) for a, o in shown if o.touches(view)]
        # What is selected is drawn last, above its neighbours.
        shown.sort(key=lambda pair: pair[0].id in selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        areas = [(a, o) for a, o in shown if a.role is not Role.NOTE]
        lines = [(a, o, o.pieces(view, viewport.scale)) for a, o in areas]
        crowded = self._crowded(viewport, (piece for _, _, pieces in lines for piece in pieces))
        frame = frame._replace(crowded=crowded)
        # The edge of a hatched area lies under its line.
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, not crowded)
        for a, outline in areas:
            if a.role is Role.EXCLUDE:
                self._paint_hatch(frame, a, outline)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for a, outline, pieces in lines:
            self._paint_outline(frame, a, outline, pieces, a.id in selected)
        notes = [a for a, _ in shown if a.role is Role.NOTE]
        for a in notes:
            paint_note_mark(painter, a, a.id in selected, viewport)
        if not self.composed:
            # They keep to the view, so they cannot be kept with the outlines.
            self.texts.draw(painter, viewport, areas, notes)
        painter.restore()

    def texts_in(self, view: Bounds, least: float) -> tuple[list[Named], list[Annotation]]:
        """What the layer above is to name: outlines of at least ``least`` level-0 px, and notes. None is left to it
        where this layer draws the texts.
        """
        if not self.visible or not self.composed:
            return [], []
        chosen = set(self._session.selection)
        notes = [a for a in self._amount().notes if self._outline(a).touches(view)]
        if self.very_many:
            # Only those that are selected have a text.
            notes = [a for a in notes if a.id in chosen]
        areas: list[Named] = []
        if self._show_names and not self.very_many:
            annotations = self._session.annotations
            near = annotations.touching(*view)
            x0, y0, x1, y1 = annotations.bounds[near].T
            large = [annotations.items[i] for i in near[x1 - x0 + y1 - y0 >= least]]
            areas = [(a, self._outline(a)) for a in sorted(large, key=lambda a: a.id in chosen)]
        return areas, sorted(notes, key=lambda a: a.id in chosen)

    def is_selected(self, annotation: Annotation) -> bool:
        """Whether the reader has selected it."""
        return annotation.id in self._session.selection

    @property
    def very_many(self) -> bool:
        """Whether texts are left out."""
        return len(self._session.annotations) > MANY

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
        color.setAlpha(HATCH_ALPHA)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QBrush(color, Qt.BrushStyle.BDiagPattern))
        # The hatch moves with the tissue.
        origin = viewport.to_screen(0, 0)
        painter.setBrushOrigin(QPointF(round(origin[0]) % HATCH_PX, round(origin[1]) % HATCH_PX))
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


def _drawn(annotations: AnnotationSet, selected: set[str]) -> DrawnRings:
    """For the frames of a zoom; what is selected comes last."""
    groups: dict[tuple[bool, bool, tuple[int, int, int]], list[NDArray[np.float64]]] = {}
    discs: list[Disc] = []
    for a in annotations:
        color = SELECTED if a.id in selected else color_of(a)
        rgb = (color.red(), color.green(), color.blue())
        if a.role is Role.NOTE:
            if not a.geometry.is_empty:
                discs.append(Disc(a.geometry.centroid.x, a.geometry.centroid.y, premultiplied(*rgb, 255), NOTE_PX))
            continue
        key = (a.id in selected, a.role is Role.EXCLUDE, rgb)
        groups.setdefault(key, []).extend(xy for *_, xy in rings(a.geometry))
    styles = [
        RingStyle(
            Rings(groups[key]),
            premultiplied(*key[2], 255),
            LINE_OF_A_ZOOM,
            diagonal(HATCH_PX, ((HATCH_PX - 1, premultiplied(*key[2], 255)),)) if key[1] else None,
        )
        for key in sorted(groups)
    ]
    return DrawnRings(styles, discs)
