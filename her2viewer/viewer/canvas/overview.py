"""The small map of the whole slide in the corner of the canvas; shows the view and moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from her2viewer.domain.reviewed import ReviewedMap
from her2viewer.viewer.canvas.grid import Box, Pyramid, Scale, TileKey

if TYPE_CHECKING:
    from her2viewer.viewer.canvas.canvas import SlideCanvas
    from her2viewer.viewer.canvas.viewport import Viewport

LONGEST = 190
"""Longer side of the map, logical px."""
SHORTEST = 28
FRAME = 4
MARGIN = 12
MANY_CORNERS = 5_000
"""An outline of more is drawn as a plain line."""
BACKGROUND = QColor(24, 26, 30)
RIM = (30, 32, 36, 255)
"""Red, green, blue, alpha of the edge of the region where it is drawn as a raster."""
SEEN = (0, 150, 120, 48)
"""Red, green, blue, alpha of places that were looked at closely: neither brown nor blue."""


class OverviewMap(QWidget):
    """Child of a canvas, in its upper right corner. Its picture comes from the canvas' tile workers."""

    def __init__(self, canvas: SlideCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._scale: Scale | None = None
        self._picture: QImage | None = None
        self._version = -1
        self._complete = False
        self._wanted = True
        self._reviewed: ReviewedMap | None = None
        self._shade: QImage | None = None
        self._outline: QPainterPath | NDArray[np.bool_] = QPainterPath()
        self._drawn: QImage | None = None
        """The outline."""
        self._whole_picture: QImage | None = None
        self._whole_view: Viewport | None = None
        self._turned: QImage | None = None
        """Outline of a turned view."""
        self._turned_key: tuple[object, ...] = ()
        self._bare_picture: QImage | None = None
        self._bare_key: tuple[object, ...] = ()
        self._painted_view: Viewport | None = None
        # Not WA_OpaquePaintEvent: Qt would cut the map out of what the canvas paints, and with a clip that is no
        # rectangle it scales images several times more slowly.
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Overview map of the slide")
        self.setToolTip("The whole slide. Click or drag to move the view.\nGreen: looked at closely (20x or more)")
        self.hide()

    # -- called by the canvas -------------------------------------------------------------------------------------

    @property
    def shown(self) -> bool:
        """Whether the reader wants the map; without a slide it is hidden all the same."""
        return self._wanted

    @shown.setter
    def shown(self, value: bool) -> None:
        self._wanted = value
        self.place()

    def set_pyramid(self, pyramid: Pyramid | None) -> None:
        """Another slide, another display transform or another screen."""
        self._picture = self._shade = self._drawn = self._bare_picture = None
        self._complete = False
        if pyramid is None:
            self._scale = None
            self.hide()
            return
        level = pyramid.levels[0]
        dpr = self.devicePixelRatioF()
        longest = max(level.width, level.height)
        self._scale = pyramid.scale(longest / (LONGEST * dpr))
        width, height = (max(SHORTEST, round(v * LONGEST / longest)) for v in (level.width, level.height))
        self.setFixedSize(QSize(width + 2 * FRAME, height + 2 * FRAME))
        self.place()
        self.update()

    def place(self) -> None:
        """Into the upper right corner; away where the canvas is too small to share."""
        self.move(self._canvas.width() - self.width() - MARGIN, MARGIN)
        room = self._canvas.width() >= 2 * self.width() and self._canvas.height() >= 1.5 * self.height()
        self.setVisible(self._wanted and self._scale is not None and room)

    def tiles_arrived(self) -> None:
        """The canvas has more tiles; repaint where the picture is not final."""
        if not self._complete:
            self.update()

    def tiles(self) -> list[TileKey]:
        """Tiles the map is made of."""
        if self._scale is None:
            return []
        return [TileKey(self._scale, c, r) for r in range(self._scale.rows) for c in range(self._scale.columns)]

    def set_reviewed(self, reviewed: ReviewedMap | None) -> None:
        """Shade what was looked at closely."""
        if reviewed is not self._reviewed:
            self._reviewed, self._shade, self._bare_picture = reviewed, None, None
            self.update()

    def set_outline(self, outline: QPainterPath | NDArray[np.bool_]) -> None:
        """The region: its outline in level-0 px, or a raster (rows, columns) for thousands of polygons."""
        self._outline, self._drawn, self._bare_picture = outline, None, None
        self.update()

    # -- painting -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._scale is None or self._canvas.slide is None:
            painter.fillRect(self.rect(), BACKGROUND)
            return
        view = self._canvas.viewport
        moved, self._painted_view = view != self._painted_view, view
        if moved:
            # A picture with its frame would be of no use for the next step of the motion.
            painter.drawImage(0, 0, self._bare())
            self._draw_view(painter)
        else:
            painter.drawImage(0, 0, self._whole())

    def _bare(self) -> QImage:
        """Map and region as one picture, without the view."""
        picture = self._map()
        key = (picture.cacheKey(), self.size().toTuple())
        if self._bare_picture is None or self._bare_key != key:
            self._bare_picture, self._bare_key = self._empty(), key
            self._whole_picture = None
            painter = QPainter(self._bare_picture)
            self._draw(painter, picture)
            painter.end()
        return self._bare_picture

    def _whole(self) -> QImage:
        """The same with the view: it is painted with every frame of the canvas, but rarely differs."""
        bare = self._bare()
        if self._whole_picture is None or self._whole_view != self._canvas.viewport:
            self._whole_view = self._canvas.viewport
            self._whole_picture = bare.copy()
            painter = QPainter(self._whole_picture)
            self._draw_view(painter)
            painter.end()
        return self._whole_picture

    def _empty(self) -> QImage:
        dpr = self.devicePixelRatioF()
        picture = QImage((QSizeF(self.size()) * dpr).toSize().expandedTo(QSize(1, 1)), QImage.Format.Format_RGB32)
        picture.setDevicePixelRatio(dpr)
        return picture

    def _draw(self, painter: QPainter, picture: QImage) -> None:
        painter.fillRect(self.rect(), BACKGROUND)
        area = self._area()
        painter.drawImage(area.topLeft().toPoint(), picture)
        if self._reviewed is not None and not self._reviewed.nothing:
            painter.drawImage(area.topLeft().toPoint(), self._shading(self._reviewed, picture))
        if isinstance(self._outline, QPainterPath) and not self._outline.isEmpty():
            painter.drawImage(QPointF(0, 0), self._outline_picture(self._outline))
        elif isinstance(self._outline, np.ndarray):
            painter.drawImage(area, self._raster_picture(self._outline))
        painter.setPen(QPen(QColor(90, 94, 102), 1))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _map(self) -> QImage:
        assert self._scale is not None
        version = self._canvas.tiles_version
        if self._picture is None or (not self._complete and version != self._version):
            # From stand-ins at first; once from its own tiles, nothing makes it better.
            self._complete = all(key in self._canvas.store for key in self.tiles())
            self._version = version
            extent = self._scale.extent
            picture = QImage(extent.width, extent.height, QImage.Format.Format_RGB32)
            painter = QPainter(picture)
            self._canvas.tissue.straight(painter, self._canvas.scene(self._scale), extent, picture.rect())
            painter.end()
            # To the pixels of the screen once: scaled smoothly in each frame it would cost as much as the tissue.
            dpr = self.devicePixelRatioF()
            size = (self._area().size() * dpr).toSize().expandedTo(QSize(1, 1))
            ignore, smooth = Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            self._picture = picture.scaled(size, ignore, smooth)
            self._picture.setDevicePixelRatio(dpr)
        return self._picture

    def _shading(self, reviewed: ReviewedMap, picture: QImage) -> QImage:
        """Of the size of the picture; as strong as the share of a pixel that was looked at."""
        slide = self._canvas.slide
        assert slide is not None
        if self._shade is None:
            width, height = picture.width(), picture.height()
            rows, columns = reviewed.seen.shape
            bottom, right = slide.height / reviewed.step, slide.width / reviewed.step
            y = np.minimum(np.linspace(0, bottom, height, endpoint=False).astype(int), rows - 1)
            x = np.minimum(np.linspace(0, right, width, endpoint=False).astype(int), columns - 1)
            # Where the map is finer than the raster, ``reduceat`` takes the one square that a pixel has.
            seen = np.add.reduceat(np.add.reduceat(reviewed.seen, y, axis=0, dtype=np.int32), x, axis=1)
            down, across = (np.maximum(np.diff(v, append=n), 1) for v, n in ((y, rows), (x, columns)))
            share = seen / np.outer(down, across)
            pixels = np.empty((height, width, 4), dtype=np.uint8)
            pixels[...] = SEEN
            pixels[..., 3] = np.round(SEEN[3] * share)
            shade = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
            self._shade = shade.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
            self._shade.setDevicePixelRatio(picture.devicePixelRatio())
        return self._shade

    def _outline_picture(self, outline: QPainterPath) -> QImage:
        """The region as it lies on the map, drawn once: with many corners a line costs more than a frame has."""
        dpr = self.devicePixelRatioF()
        size = (QSizeF(self.size()) * dpr).toSize()
        if self._drawn is None or self._drawn.size() != size:
            self._drawn = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
            self._drawn.setDevicePixelRatio(dpr)
            self._drawn.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._drawn)
            path = self._transform().map(outline)
            many = path.elementCount() > MANY_CORNERS
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, not many)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            pens = (QPen(QColor(30, 32, 36), 0),) if many else (QPen(QColor(255, 255, 255, 170), 2.5),)
            for pen in pens if many else (*pens, QPen(QColor(30, 32, 36), 1)):
                painter.setPen(pen)
                painter.drawPath(path)
            painter.end()
        return self._drawn

    def _raster_picture(self, inside: NDArray[np.bool_]) -> QImage:
        """The edge of a raster over the slide."""
        if self._drawn is None:
            # Not before the first paint: nothing else in the start needs it.
            import cv2

            rim = inside & ~cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            pixels = np.zeros((*inside.shape, 4), dtype=np.uint8)
            pixels[rim] = RIM
            rows, columns = inside.shape
            image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
            premultiplied = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
            size = (self._area().size() * self.devicePixelRatioF()).toSize().expandedTo(QSize(1, 1))
            ignore, smooth = Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            self._drawn = premultiplied.scaled(size, ignore, smooth)
        return self._drawn

    def _area(self) -> QRectF:
        """Where the slide lies on the map, logical px; the rest of a very narrow slide's map stays dark."""
        assert self._scale is not None
        extent: Box = self._scale.extent
        room = QRectF(FRAME, FRAME, self.width() - 2 * FRAME, self.height() - 2 * FRAME)
        f = LONGEST / max(extent.width, extent.height)
        width, height = max(1.0, extent.width * f), max(1.0, extent.height * f)
        return QRectF(room.center().x() - width / 2, room.center().y() - height / 2, width, height)

    def _transform(self) -> QTransform:
        """Level-0 px to logical px of the map."""
        area = self._area()
        slide = self._canvas.slide
        assert slide is not None
        return (
            QTransform().translate(area.x(), area.y()).scale(area.width() / slide.width, area.height() / slide.height)
        )

    def _draw_view(self, painter: QPainter) -> None:
        outline = self._transform().map(QPolygonF([QPointF(x, y) for x, y in self._canvas.viewport.corners()]))
        painter.setClipRect(self.rect().adjusted(1, 1, -1, -1))
        # Antialiasing costs as much as all tiles of a frame; an upright rectangle needs none.
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, bool(self._canvas.viewport.rotation % 90))
        bounds = outline.boundingRect()
        if bounds.contains(self._area()):
            return
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._canvas.viewport.rotation % 90:
            self._draw_turned(painter, outline, bounds)
        else:
            # Lines that are filled: a pen of this width costs as much as all tiles of a frame.
            _draw_frame(painter, bounds, 3, QColor(255, 255, 255, 200))
            _draw_frame(painter, bounds, 1.5, QColor(20, 90, 200))
        if min(bounds.width(), bounds.height()) < 5:
            # Too small to be found: cross hairs around it.
            c = bounds.center()
            for pen in (QPen(QColor(255, 255, 255, 200), 3), QPen(QColor(20, 90, 200), 1.5)):
                painter.setPen(pen)
                for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                    painter.drawLine(c + QPointF(dx, dy) * 5, c + QPointF(dx, dy) * 10)

    def _draw_turned(self, painter: QPainter, outline: QPolygonF, bounds: QRectF) -> None:
        """As a picture where it is not much larger than the map: a pan moves it, and slanted lines take long."""
        if bounds.width() > 2 * self.width() or bounds.height() > 2 * self.height():
            _draw_polygon(painter, outline)
            return
        view, dpr = self._canvas.viewport, self.devicePixelRatioF()
        key = (view.rotation, view.downsample, view.width, view.height, dpr, self.size().toTuple())
        bounds = bounds.adjusted(-3, -3, 3, 3)
        if self._turned is None or self._turned_key != key:
            self._turned_key = key
            self._turned = QImage((bounds.size() * dpr).toSize(), QImage.Format.Format_ARGB32_Premultiplied)
            self._turned.setDevicePixelRatio(dpr)
            self._turned.fill(Qt.GlobalColor.transparent)
            inner = QPainter(self._turned)
            inner.setRenderHint(QPainter.RenderHint.Antialiasing)
            _draw_polygon(inner, outline.translated(-bounds.topLeft()))
            inner.end()
        painter.drawImage(bounds.topLeft().toPoint(), self._turned)

    # -- moving the view ------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._go(event.position())
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event.position())
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        # At the middle of the view: the pointer is not on the tissue.
        self._canvas.zoom_by(0.4 * event.angleDelta().y() / 120)
        event.accept()

    def _go(self, position: QPointF) -> None:
        if self._scale is None or self._canvas.slide is None:
            return
        inverse, ok = self._transform().inverted()
        if ok:
            point = inverse.map(position)
            self._canvas.set_viewport(self._canvas.viewport.centred(point.x(), point.y()))


def _draw_frame(painter: QPainter, rect: QRectF, width: float, color: QColor) -> None:
    """The edge of an upright rectangle, ``width`` wide, half of it outside."""
    half = width / 2
    x0, y0, x1, y1 = rect.left() - half, rect.top() - half, rect.right() + half, rect.bottom() + half
    painter.fillRect(QRectF(x0, y0, x1 - x0, width), color)
    painter.fillRect(QRectF(x0, y1 - width, x1 - x0, width), color)
    painter.fillRect(QRectF(x0, y0 + width, width, y1 - y0 - 2 * width), color)
    painter.fillRect(QRectF(x1 - width, y0 + width, width, y1 - y0 - 2 * width), color)


def _draw_polygon(painter: QPainter, outline: QPolygonF) -> None:
    for pen in (QPen(QColor(255, 255, 255, 200), 3), QPen(QColor(20, 90, 200), 1.5)):
        painter.setPen(pen)
        painter.drawConvexPolygon(outline)
