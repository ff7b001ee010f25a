"""Paints the tissue from the tiles at hand. Main thread; reads nothing."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QTransform

from her2viewer.viewer.canvas.grid import Box, Scale, view_box
from her2viewer.viewer.canvas.store import TileStore
from her2viewer.viewer.canvas.viewport import Viewport

SPARE = 96
"""Px composed around a turned view on each side."""
MOST_ROUGH = 2.0
"""Pixels of more than twice the size would look like bricks."""


@dataclass(frozen=True)
class Scene:
    """What is painted, apart from the tiles."""

    view: Viewport
    """Aligned, see ``grid.aligned``."""
    scale: Scale
    """Of the view."""
    glass: QColor
    """Where the slide is and nothing is known of it yet."""
    outside: QColor
    """Beside the slide."""
    version: int
    """Changes with every change of the store; a turned view is composed again only then."""


@dataclass(frozen=True)
class _Composed:
    """What the picture for turned views shows."""

    box: Box
    scale: Scale
    version: int


class TissuePainter:
    """Blits tiles one to one; where one is missing, scales what is known of the place."""

    def __init__(self, store: TileStore[QImage]) -> None:
        self._store = store
        self._buffer: QImage | None = None
        self._buffered: _Composed | None = None
        self._last: Scale | None = None
        self.rough = False
        """The last frame, the first of another zoom, was scaled in the quick way: it is painted again at rest."""

    def forget(self) -> None:
        """Another slide: drop the picture kept for turned views."""
        self._buffer = None
        self._buffered = None
        self._last = None

    def paint(self, painter: QPainter, scene: Scene, dirty: QRect) -> None:
        """Fill ``dirty`` (device px) of a canvas; the painter has device px as its coordinates."""
        # Smooth scaling costs five times as much. In motion nobody sees the difference, but a late frame.
        zooming = self._last is not None and scene.scale != self._last
        self._last = scene.scale
        self.rough = False
        if scene.view.rotation == 0:
            self.straight(painter, scene, view_box(scene.view, scene.view.downsample), dirty, zooming)
        else:
            self._turned(painter, scene, dirty)

    def straight(self, painter: QPainter, scene: Scene, shown: Box, dirty: QRect, quick: bool = False) -> None:
        """Fill ``dirty`` of an upright picture of ``shown`` (px of the scale; its corner is the painter's origin).

        With ``quick`` stand-ins of nearly the right zoom are scaled without interpolation.
        """
        scale, left, top = scene.scale, shown.x0, shown.y0
        x, y = dirty.x() + left, dirty.y() + top
        box = Box(x, y, x + dirty.width(), y + dirty.height())
        inside = box.intersected(scale.extent)
        if inside != box:
            painter.fillRect(dirty, scene.outside)
        if inside.empty:
            return
        pieces = list(self._store.pieces(scale, inside))
        covered = sum(part.width * part.height for part in (p.target.intersected(inside) for p in pieces))
        if covered < inside.width * inside.height:
            painter.fillRect(QRect(inside.x0 - left, inside.y0 - top, inside.width, inside.height), scene.glass)
        smooth = QPainter.RenderHint.SmoothPixmapTransform
        for piece in pieces:
            target, image = piece.target, piece.tile.image
            if piece.exact:
                painter.drawImage(target.x0 - left, target.y0 - top, image)
                continue
            # A quarter pixel more on each side: Qt's rounding may else leave out a line at an edge. No pixel of a
            # neighbour has its middle there.
            area = QRectF(target.x0 - left - 0.25, target.y0 - top - 0.25, target.width + 0.5, target.height + 0.5)
            rough = quick and 1 / MOST_ROUGH < piece.tile.key.scale.downsample / scale.downsample < MOST_ROUGH
            self.rough = self.rough or rough
            painter.setRenderHint(smooth, not rough)
            painter.drawImage(area, image, QRectF(*piece.source))
            painter.setRenderHint(smooth, False)

    def _turned(self, painter: QPainter, scene: Scene, dirty: QRect) -> None:
        # Tiles turned one by one would show their joints: compose the upright picture, turn it once.
        view, scale = scene.view, scene.scale
        need = view_box(view, view.downsample)
        oblique = bool(view.rotation % 90)
        if oblique:
            need = Box(need.x0 - 1, need.y0 - 1, need.x1 + 1, need.y1 + 1)
        buffered = self._buffered
        current = buffered is not None and buffered.scale == scale and buffered.version == scene.version
        if not current or buffered is None or need.intersected(buffered.box) != need:
            # A little more than is seen, so that most steps of a pan find it composed.
            box = Box(need.x0 - SPARE, need.y0 - SPARE, need.x1 + SPARE, need.y1 + SPARE)
            if self._buffer is None or self._buffer.width() < box.width or self._buffer.height() < box.height:
                self._buffer = QImage(box.width + 64, box.height + 64, QImage.Format.Format_RGB32)
            upright = QPainter(self._buffer)
            self.straight(upright, scene, box, QRect(0, 0, box.width, box.height))
            upright.end()
            self._buffered = buffered = _Composed(box, scale, scene.version)
        assert self._buffer is not None
        box = buffered.box
        painter.save()
        painter.setClipRect(dirty)
        turn = QTransform().translate(view.width / 2, view.height / 2)
        turn.rotate(view.rotation)
        turn.translate(box.x0 - view.cx / view.downsample, box.y0 - view.cy / view.downsample)
        painter.setTransform(turn, True)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, oblique)
        seen = QRectF(need.x0 - box.x0, need.y0 - box.y0, need.width, need.height)
        painter.drawImage(seen, self._buffer, seen)
        painter.restore()
