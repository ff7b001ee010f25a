"""The canvas: shows a slide, its layers and the tool, and lets the reader move about in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDropEvent,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QGestureEvent, QWidget

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.grid import TileKey, aligned
from her2viewer.viewer.canvas.layered import LayeredView
from her2viewer.viewer.canvas.motion import Heading, Motion
from her2viewer.viewer.canvas.navigation import Navigator
from her2viewer.viewer.canvas.overview import OverviewMap
from her2viewer.viewer.canvas.tool import Tool
from her2viewer.viewer.canvas.viewport import Viewport


class SlideCanvas(LayeredView):
    """One slide, its layers and one tool. Lives in the main thread and never reads the slide there.

    ``shutdown()`` ends the tile workers and must be called before the canvas goes.
    """

    cursor_moved = Signal(float, float)
    """Slide point under the pointer, level-0 px."""
    cursor_left = Signal()
    tool_changed = Signal(object)
    """Tool | None."""
    files_dropped = Signal(list)
    """list[Path] of local files."""
    context_menu_requested = Signal(float, float, QPoint)
    """Slide point (level-0 px) and global screen position."""

    def __init__(self, parent: QWidget | None = None, workers: int | None = None, cache: int | None = None) -> None:
        super().__init__(parent, workers, cache)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAcceptDrops(True)
        self.setMinimumSize(200, 150)
        self.grabGesture(Qt.GestureType.PinchGesture)
        self.setAccessibleName("Slide")
        self.tool: Tool | None = None
        self.motion = Motion(self)
        """What moves by itself; ``motion.enabled`` switches it, off at first."""
        self._heading = Heading()
        self._expected: list[Viewport] = []
        self._repeated: tuple[float, tuple[float, float]] | None = None
        """The last step of a zoom, octaves and where: often it is followed by the same step."""
        self._navigator = Navigator(self)
        self.overview = OverviewMap(self)
        """The map in the corner; ``overview.shown`` switches it."""
        # A frame of the canvas paints the map along with it.
        self.tiles_changed.connect(self.overview.tiles_arrived)

    def set_slide(self, slide: Slide | None, pixel_size: PixelSize | None = None) -> None:
        self._navigator.drop()
        self.motion.cancel()
        self._heading.clear()
        self._expect_nothing()
        super().set_slide(slide, pixel_size)
        self._navigator.update_cursor()

    def _pyramid_changed(self) -> None:
        self.overview.set_pyramid(self.pyramid)

    def _kept_tiles(self) -> list[TileKey]:
        return self.overview.tiles()

    # -- moving ---------------------------------------------------------------------------------------------------

    @property
    def pointer(self) -> QPointF | None:
        """Where the pointer is, logical px of the canvas; None outside it."""
        return self._navigator.pointer

    @property
    def goal(self) -> Viewport:
        goal = self.motion.goal if self.motion.zooming else None
        return self._viewport if goal is None else goal

    def set_viewport(self, view: Viewport) -> None:
        self.motion.cancel()
        super().set_viewport(view)
        self._expect_nothing()
        self._heading.note(self.motion.clock(), self._viewport)

    def expect(self, *views: Viewport) -> None:
        """What the reader will probably look at next, the likeliest first: loaded ahead until the view moves."""
        self._expect_nothing()
        self._expected = [self.limited(view) for view in views]
        self._orders_due = True
        self.start_frame()

    def _expect_nothing(self) -> None:
        self._expected, self._repeated = [], None

    def fit(self) -> None:
        self.motion.cancel()
        self._heading.clear()
        self._expect_nothing()
        super().fit()

    def rotate(self, degrees: float) -> None:
        self.motion.settle()
        super().rotate(degrees)

    def zoom_by(self, octaves: float, at: QPointF | None = None, smooth: bool = True) -> None:
        super().zoom_by(octaves, at, smooth)
        if self.slide is None:
            return
        self._repeated = (octaves, self._point(at))
        if smooth:
            self._order_soon()

    def _zoom_to(self, downsample: float, at: QPointF | None = None, smooth: bool = True) -> None:
        # In the middle of a drag the tissue sticks to the pointer, which leaves no room for a curve.
        if self.slide is not None and smooth and self.motion.enabled and not self._navigator.panning:
            self._heading.clear()
            self._expect_nothing()
            self.motion.zoom(downsample, *self._point(at))
            self._orders_due = True
            return
        self.motion.settle()
        if self.slide is not None and not smooth:
            self._expect_nothing()
            self.zoom_soon(self._viewport.zoomed(downsample, *self._point(at)))
            self._heading.note(self.motion.clock(), self._viewport)
            return
        super()._zoom_to(downsample, at, smooth)

    def pan_instead(self, start: QPointF, now: QPointF) -> None:
        """For a tool: the drag that it was given moves the slide, as if it had not taken it (logical px)."""
        self._navigator.take_over(start, now)

    def show_step(self, view: Viewport) -> None:
        """For the motion: a step of it."""
        self.zoom_soon(view)

    def next_frame(self) -> None:
        """For the motion: there is another step to be shown."""
        self.start_frame()

    def _next_frame(self) -> None:
        # A step asks for the next frame: one frame after this one.
        self._since_frame.start()
        self.motion.advance()
        super()._next_frame()

    def _ordered_view(self) -> Viewport:
        # Each frame of a zoom has a scale of its own: tiles are made for the last one alone.
        return aligned(self.goal) if self.motion.zooming else self.aim

    def _expected_views(self) -> list[Viewport]:
        expected = list(self._expected)
        if self._repeated is not None:
            octaves, point = self._repeated
            # The same step again, by the same arithmetic: tiles of another last digit would be of no use.
            goal = self.goal
            following = self.limited(replace(goal, downsample=goal.downsample / 2**octaves))
            if following.downsample != goal.downsample:
                expected.append(self.limited(goal.zoomed(following.downsample, *point)))
        rest = self.motion.goal
        gliding = rest is not None and not self.motion.zooming
        ahead = rest if gliding else self._heading.ahead(self.goal)
        if ahead is not None:
            expected.append(self.limited(ahead))
        return expected

    # -- tool ----------------------------------------------------------------------------------------------------

    def set_tool(self, tool: Tool | None) -> None:
        """Another tool; None pans."""
        if tool is self.tool:
            return
        self._navigator.drop()
        if self.tool is not None:
            self.tool.deactivate()
        self.tool = tool
        if tool is not None:
            tool.activate(self)
        self._navigator.update_cursor()
        self.tool_changed.emit(tool)
        self.schedule()

    def _paint_tool(self, painter: QPainter, view: Viewport) -> None:
        if self.tool is not None:
            painter.save()
            self.tool.paint(painter, view)
            painter.restore()
            self._paint_tool_readout(painter)

    def _paint_tool_readout(self, painter: QPainter) -> None:
        words = self.tool.readout() if self.tool is not None else None
        at = self._navigator.pointer
        if not words or at is None:
            return
        metrics = QFontMetricsF(painter.font())
        plate = QRectF(0, 0, metrics.horizontalAdvance(words) + 12, metrics.height() + 6)
        plate.moveTopLeft(at + QPointF(16, 18))
        plate.moveRight(min(plate.right(), self.width() - 4.0))
        plate.moveBottom(min(plate.bottom(), self.height() - 4.0))
        painter.save()
        painter.fillRect(plate, QColor(16, 18, 22, 200))
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, words)
        painter.restore()

    # -- events ---------------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.NativeGesture and isinstance(event, QNativeGestureEvent):
            return self._navigator.native_gesture(event) or super().event(event)
        if kind == QEvent.Type.Gesture and isinstance(event, QGestureEvent):
            return self._navigator.gesture(event) or super().event(event)
        if kind == QEvent.Type.DevicePixelRatioChange:
            self.overview.set_pyramid(self.pyramid)
            self._resized()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._resized()
        self.overview.place()

    def showEvent(self, event: QShowEvent) -> None:
        self._resized()

    def _resized(self) -> None:
        if self._fitted:
            self.fit()
        self._show_view(self._viewport)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._navigator.press(event)
        self._refresh_tool()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._navigator.move(event)
        self._refresh_tool()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._navigator.release(event)
        self._refresh_tool()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._navigator.double_click(event)
        self._refresh_tool()

    def _refresh_tool(self) -> None:
        if self.tool is not None:
            self.schedule()

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._navigator.wheel(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._navigator.key_press(event):
            event.accept()
            self._refresh_tool()
        else:
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.setAccepted(self._navigator.key_release(event))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._navigator.drop()

    def leaveEvent(self, event: QEvent) -> None:
        self._navigator.leave()
        self._refresh_tool()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.slide is not None:
            position = QPointF(event.pos())
            if event.reason() == QContextMenuEvent.Reason.Keyboard:
                position = QPointF(self.rect().center())
            x, y = self._viewport.to_slide(position.x(), position.y())
            self.context_menu_requested.emit(x, y, self.mapToGlobal(position.toPoint()))
        event.accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _local_files(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        files = _local_files(event)
        if files:
            event.acceptProposedAction()
            self.files_dropped.emit(files)


def _local_files(event: QDropEvent) -> list[Path]:
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
