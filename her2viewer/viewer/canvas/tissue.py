"""Paints the tissue from the tiles at hand. Main thread; reads nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QColor, QImage, QPainter

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box, Scale, TileKey, view_box
from her2viewer.viewer.canvas.store import TileStore
from her2viewer.viewer.canvas.viewport import Viewport

SPARE = 96
"""Px composed around a turned view on each side."""
LEAST_PIECE = 240
"""Px. Turned strips are painted in pieces of this length."""
MOST_ROUGH = 2.0
"""Pixels of more than twice the size would look like bricks."""
BLURRED = 8.0
"""What is enlarged so much has no edge on which pixels of twice the size could be seen."""


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


class Picture:
    """Pixels that OpenCV and Qt both see."""

    def __init__(self, pixels: BGRAImage) -> None:
        self.pixels = np.ascontiguousarray(pixels)
        height, width = self.pixels.shape[:2]
        self.image = QImage(self.pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)


@dataclass
class _Upright:
    """The picture that turned views are made of, and what it shows."""

    picture: Picture
    box: Box
    scale: Scale
    version: int = -1
    drawn: set[TileKey] = field(default_factory=set)
    """Tiles that it has; those that come are drawn over their stand-ins."""


class TissuePainter:
    """Blits tiles one to one; where one is missing, scales what is known of the place."""

    def __init__(self, store: TileStore[QImage]) -> None:
        self._store = store
        self._upright: _Upright | None = None
        self._turned_pixels: BGRAImage | None = None
        """Memory for what is turned."""
        self._half_pixels: BGRAImage | None = None
        """Memory for what is enlarged in two steps."""
        self._last: Scene | None = None
        self._quick = False
        """This frame is one of a motion that changes every pixel."""
        self.rough = False
        """The last frame, one of a motion, was scaled or turned in the quick way: it is painted again at rest."""

    def forget(self) -> None:
        """Another slide: drop the picture kept for turned views."""
        self._upright = None
        self._turned_pixels = None
        self._half_pixels = None
        self._last = None

    def begin(self, scene: Scene) -> bool:
        """Before the parts of a frame: whether every pixel differs from the last one's, as in a zoom or a turn."""
        last = scene if self._last is None else self._last
        self._last = scene
        self._quick = last.scale != scene.scale or last.view.rotation != scene.view.rotation
        self.rough = False
        return self._quick

    def paint(self, painter: QPainter, scene: Scene, dirty: QRect, *, still: bool = False) -> None:
        """Fill ``dirty`` (device px) of a canvas; the painter has device px as its coordinates.

        Scaling and turning without interpolation take a fifth of the time. In motion nobody sees the difference, but
        a late frame; with ``still`` it is never done, for pictures that are kept.
        """
        quick = self._quick and not still
        if scene.view.rotation == 0:
            self.straight(painter, scene, view_box(scene.view, scene.view.downsample), dirty, quick=quick)
        else:
            self._turned(painter, scene, dirty, quick)

    def straight(
        self,
        painter: QPainter,
        scene: Scene,
        shown: Box,
        dirty: QRect,
        *,
        quick: bool = False,
        drawn: set[TileKey] | None = None,
    ) -> None:
        """Fill ``dirty`` of an upright picture of ``shown`` (px of the scale; its corner is the painter's origin).

        Args:
            painter: of the picture.
            scene: what is painted.
            shown: what the picture shows.
            dirty: px of the picture.
            quick: stand-ins are scaled without interpolation as far as that does not look like bricks.
            drawn: tiles that the picture has already; they are left as they are, and those that come are added.
        """
        scale, left, top = scene.scale, shown.x0, shown.y0
        x, y = dirty.x() + left, dirty.y() + top
        box = Box(x, y, x + dirty.width(), y + dirty.height())
        inside = box.intersected(scale.extent)
        if inside != box and not drawn:
            painter.fillRect(dirty, scene.outside)
        if inside.empty:
            return
        pieces = self._store.pieces(scale, inside)
        if not drawn and not (pieces and all(piece.exact for piece in pieces)):
            covered = sum(part.width * part.height for part in (p.target.intersected(inside) for p in pieces))
            if covered < inside.width * inside.height:
                painter.fillRect(QRect(inside.x0 - left, inside.y0 - top, inside.width, inside.height), scene.glass)
        smooth = QPainter.RenderHint.SmoothPixmapTransform
        for target, tile, source, exact in pieces:
            if exact:
                if drawn is not None:
                    if tile.key in drawn:
                        continue
                    drawn.add(tile.key)
                painter.drawImage(target.x0 - left, target.y0 - top, tile.image)
                continue
            # A quarter pixel more on each side: Qt's rounding may else leave out a line at an edge. No pixel of a
            # neighbour has its middle there.
            area = QRectF(target.x0 - left - 0.25, target.y0 - top - 0.25, target.width + 0.5, target.height + 0.5)
            enlarged = tile.key.scale.downsample / scale.downsample
            if enlarged >= (MOST_ROUGH if quick else BLURRED):
                self.rough = self.rough or enlarged < BLURRED
                painter.drawImage(area, self._half_way(target, tile.image, QRectF(*source)).image)
                continue
            rough = quick and enlarged > 1 / MOST_ROUGH
            self.rough = self.rough or rough
            painter.setRenderHint(smooth, not rough)
            painter.drawImage(area, tile.image, QRectF(*source))
            painter.setRenderHint(smooth, False)

    def _half_way(self, target: Box, image: QImage, source: QRectF) -> Picture:
        """A part of a tile, smoothly at half the size that it is to have; valid until the next call.

        The rest is a factor of two without interpolation: together a quarter of the work of one smooth step, which Qt
        would divide among threads that the readers of tiles need.
        """
        width, height = -(-target.width // 2), -(-target.height // 2)
        size = 4 * width * height
        if self._half_pixels is None or self._half_pixels.size < size:
            self._half_pixels = np.empty(size, dtype=np.uint8)
        half = Picture(self._half_pixels[:size].reshape(height, width, 4))
        painter = QPainter(half.image)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(0, 0, width, height), image, source)
        painter.end()
        return half

    def _turned(self, painter: QPainter, scene: Scene, dirty: QRect, quick: bool) -> None:
        # Tiles turned one by one would show their joints: compose the upright picture, turn what is needed of it.
        # At fractional screen scalings a pixel more on each side may belong to the widget.
        dirty = dirty.intersected(QRect(0, 0, scene.view.width, scene.view.height).adjusted(-1, -1, 1, 1))
        if dirty.isEmpty():
            return
        quick = quick and bool(scene.view.rotation % 90)
        self.rough = self.rough or quick
        if scene.view.rotation % 90 == 0 or self._has_under(scene, dirty):
            self._turned_part(painter, scene, dirty, quick)
            return
        # The upright box around a long strip that is turned is nearly as large as the view.
        for part in _cut(dirty):
            self._turned_part(painter, scene, part, quick)

    def _has_under(self, scene: Scene, dirty: QRect) -> bool:
        """Whether what lies under a part of the view is composed or to be composed with the whole view."""
        if _is_strip(dirty, scene.view):
            last, need = self._upright, _grown(view_box(_part_of(scene.view, dirty), scene.view.downsample))
            return last is not None and last.scale == scene.scale and need.intersected(last.box) == need
        return True

    def _turned_part(self, painter: QPainter, scene: Scene, dirty: QRect, quick: bool) -> None:
        size = 4 * dirty.width() * dirty.height()
        if self._turned_pixels is None or self._turned_pixels.size < size:
            self._turned_pixels = np.empty(size, dtype=np.uint8)
        part = Picture(self._turned_pixels[:size].reshape(dirty.height(), dirty.width(), 4))
        self._rotate(scene, dirty, part.pixels, quick)
        painter.drawImage(dirty.topLeft(), part.image)

    def _rotate(self, scene: Scene, rect: QRect, out: BGRAImage, quick: bool) -> None:
        """Write ``rect`` (device px of the view), turned, to ``out``. By OpenCV: Qt takes several times as long."""
        import cv2

        view = scene.view
        quarters = view.rotation / 90
        part = _part_of(view, rect)
        need = view_box(part, view.downsample)
        if quarters == int(quarters):
            upright, box = self._composed(scene, need, rect)
            under = upright[need.y0 - box.y0 : need.y1 - box.y0, need.x0 - box.x0 : need.x1 - box.x0]
            turned = under.shape[:2] if quarters == 2 else under.shape[1::-1]
            if turned == out.shape[:2]:
                turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
                cv2.rotate(under, turns[int(quarters) - 1], out)
                return
        upright, box = self._composed(scene, _grown(need), rect)
        # From px of the screen to px of the picture, both counted from their corners.
        angle = math.radians(view.rotation)
        c, s = math.cos(angle), math.sin(angle)
        x, y = view.cx / view.downsample - box.x0, view.cy / view.downsample - box.y0
        w, h = view.width / 2 - rect.x(), view.height / 2 - rect.y()
        # OpenCV counts from the middle of the first pixel.
        matrix = np.array(
            [
                [c, s, x - c * (w - 0.5) - s * (h - 0.5) - 0.5],
                [-s, c, y + s * (w - 0.5) - c * (h - 0.5) - 0.5],
            ]
        )
        flags = (cv2.INTER_NEAREST if quick else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
        size = (rect.width(), rect.height())
        cv2.warpAffine(upright, matrix, size, out, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def _composed(self, scene: Scene, need: Box, rect: QRect) -> tuple[BGRAImage, Box]:
        """An upright picture of at least ``need`` (px of the scale, under ``rect`` of the view), and what it shows.

        The one of the whole view is kept; a strip beside it gets a picture of its own.
        """
        last = self._upright
        known = last is not None and last.scale == scene.scale and need.intersected(last.box) == need
        if not known and _is_strip(rect, scene.view):
            return self._filled(_Upright(Picture(_empty(need)), need, scene.scale), scene)
        if last is None or not known:
            # A little more than is seen, so that most steps of a pan find it composed.
            box = Box(need.x0 - SPARE, need.y0 - SPARE, need.x1 + SPARE, need.y1 + SPARE)
            picture = None if last is None else last.picture
            if picture is None or picture.pixels.shape[:2] != (box.height, box.width):
                picture = Picture(_empty(box))
            self._upright = last = _Upright(picture, box, scene.scale)
        return self._filled(last, scene)

    def _filled(self, upright: _Upright, scene: Scene) -> tuple[BGRAImage, Box]:
        if upright.version != scene.version:
            painter = QPainter(upright.picture.image)
            whole = QRect(0, 0, upright.box.width, upright.box.height)
            self.straight(painter, scene, upright.box, whole, drawn=upright.drawn)
            painter.end()
            upright.version = scene.version
        return upright.picture.pixels, upright.box


def _empty(box: Box) -> BGRAImage:
    return np.empty((box.height, box.width, 4), dtype=np.uint8)


def _grown(box: Box) -> Box:
    return Box(box.x0 - 1, box.y0 - 1, box.x1 + 1, box.y1 + 1)


def _is_strip(rect: QRect, view: Viewport) -> bool:
    """Whether it is not worth composing the whole view for ``rect`` (device px)."""
    return 3 * rect.width() * rect.height() < view.width * view.height


def _cut(rect: QRect) -> Iterator[QRect]:
    """A long rectangle in pieces that are not."""
    side = max(LEAST_PIECE, min(rect.width(), rect.height()))
    for y in range(rect.top(), rect.bottom() + 1, side):
        for x in range(rect.left(), rect.right() + 1, side):
            yield QRect(x, y, side, side).intersected(rect)


def _part_of(view: Viewport, rect: QRect) -> Viewport:
    """The view of ``rect`` (device px of ``view``) alone."""
    return view.part(rect.x(), rect.y(), rect.width(), rect.height())
