"""What polygon, freehand, rectangle and brush share: refusal when locked, preview, commit, pen and read-out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import Role
from her2viewer.domain.editing import clip, drop_slivers
from her2viewer.viewer.canvas.tool import Tool
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.canvas_filter import CanvasFilter
from her2viewer.viewer.tools.drawing_state import DrawingState
from her2viewer.viewer.tools.measure import area_text, size_text
from her2viewer.viewer.tools.preview import Previewer, is_area, min_sliver

if TYPE_CHECKING:
    from her2viewer.viewer.canvas.canvas import SlideCanvas

CLICK_PX = 4.0
"""Movement below this many logical screen px is a click, and a shape smaller than this an accident."""

LOCKED = "This case is signed: its regions cannot be changed. Amend the case first."
NO_SLIDE = "Open a slide first."
OFF_SLIDE = "That shape lies outside the slide: nothing was drawn."


def distance(a: QPointF, b: QPointF) -> float:
    """Logical screen px between two points."""
    return math.hypot(a.x() - b.x(), a.y() - b.y())


class SessionTool(Tool):
    """A tool that works on a session; knows its canvas while it is the active tool."""

    def __init__(self, session: Session, state: DrawingState, previewer: Previewer | None = None) -> None:
        self.session = session
        self.state = state
        self.previewer = previewer or Previewer(session, state)
        self.canvas: SlideCanvas | None = None
        self._filter = CanvasFilter(self)
        # Half-drawn shapes belong to the slide and to the unsigned case.
        session.slide_changed.connect(lambda _slide: self.cancel())
        session.locked_changed.connect(lambda _locked: self.cancel())

    def activate(self, canvas: SlideCanvas) -> None:
        self.canvas = canvas
        canvas.installEventFilter(self._filter)

    def deactivate(self) -> None:
        self.cancel()
        if self.canvas is not None:
            self.canvas.removeEventFilter(self._filter)
        self.canvas = None

    @property
    def busy(self) -> bool:
        """True while something is half done, which Esc would drop."""
        return False

    def wants_key(self, event: QKeyEvent) -> bool:
        return event.key() == Qt.Key.Key_Escape and self.busy

    def control_wheel(self, notches: float) -> bool:
        return False

    def takes_menu(self) -> bool:
        return False

    def finish(self) -> bool:
        """The Enter key: complete what is half done; True where there was something."""
        return False

    def cancel(self) -> bool:
        """Drop what is half done; True where there was something."""
        return False

    def delete(self) -> bool:
        """The Delete key: True where the tool had something of its own to delete."""
        return False

    def repaint(self) -> None:
        """Ask the canvas for a frame."""
        if self.canvas is not None:
            self.canvas.schedule()

    def refused(self) -> bool:
        """True, with a sentence on ``state.message``, where this session takes no edits."""
        if self.session.locked:
            self.state.message.emit(LOCKED)
            return True
        if self.session.slide is None:
            self.state.message.emit(NO_SLIDE)
            return True
        return False

    def on_slide(self, geometry: BaseGeometry) -> BaseGeometry:
        """The part of a geometry that lies on the slide."""
        slide = self.session.slide
        return geometry if slide is None else clip(geometry, slide.width, slide.height)


class DrawingTool(SessionTool):
    """Draws one new shape a gesture. Sub-classes say what the shape is right now."""

    cursor = Qt.CursorShape.CrossCursor
    undo_text = "Draw region"

    def __init__(self, session: Session, state: DrawingState, previewer: Previewer | None = None) -> None:
        super().__init__(session, state, previewer)
        self._viewport: Viewport | None = None

    def shape(self) -> BaseGeometry | None:
        """The half-drawn shape as an area in level-0 px, or None where nothing is being drawn."""
        raise NotImplementedError

    def preview(self) -> None:
        """Let the numbers follow the half-drawn shape."""
        shape = self.shape()
        if shape is not None and is_area(shape):
            self.previewer.show(self.state.annotation(self.on_slide(shape)), draw=False)
        else:
            # Corners were taken back: the numbers must not stay with a shape that is gone.
            self.previewer.show(draw=False)
        self.repaint()

    def begin(self) -> None:
        """A gesture begins."""
        self.previewer.start()

    def commit(self, scale: float) -> bool:
        """Make the half-drawn shape an annotation: one undo step.

        Args:
            scale: of the viewport, which says how small a sliver is.

        Returns:
            False where nothing was left of it; then nothing changed.
        """
        shape = self.shape()
        done = None if shape is None else self.on_slide(drop_slivers(shape, min_sliver(scale)))
        if done is None or not is_area(done):
            self.previewer.stop()
            if shape is not None and is_area(shape):
                self.state.message.emit(OFF_SLIDE)
            return False
        self.previewer.stop(commit=True)
        self.session.add(self.state.annotation(done), self.undo_text_for(self.state.role))
        self.repaint()
        return True

    def undo_text_for(self, role: Role) -> str:
        """What the Undo entry says."""
        words = {Role.ROI: "", Role.EXCLUDE: " to exclude", Role.CONTROL: " of control tissue"}
        return self.undo_text + words.get(role, "")

    def readout(self) -> str | None:
        shape = self.shape()
        if shape is None:
            return None
        shape = self.on_slide(shape)
        if not is_area(shape):
            return None
        x0, y0, x1, y1 = shape.bounds
        pixel_size = self.session.pixel_size
        words = [area_text(shape.area, pixel_size), size_text(x1 - x0, y1 - y0, pixel_size)]
        if self.state.role is not Role.ROI:
            words.insert(0, self.state.label)
        return "  ·  ".join(words)


def paint_outline(
    painter: QPainter, points: list[QPointF], color: QColor, closed: bool = True, fill: bool = True
) -> None:
    """A half-drawn outline in screen coordinates: line with a dark seam, faint fill."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    tint = QColor(color)
    # Faint: the stain is judged while it is outlined.
    tint.setAlpha(16)
    painter.setBrush(tint if fill else Qt.BrushStyle.NoBrush)
    painter.setPen(Qt.PenStyle.NoPen)
    if closed and fill:
        painter.drawPolygon(points, Qt.FillRule.WindingFill)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(QColor(0, 0, 0, 120), 4.0), QPen(color, 2.0)):
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        if closed:
            painter.drawPolygon(points)
        else:
            painter.drawPolyline(points)


def to_screen(points: list[tuple[float, float]], viewport: Viewport) -> list[QPointF]:
    """Slide points (level-0 px) as logical screen points."""
    return [QPointF(*viewport.to_screen(x, y)) for x, y in points]
