"""Paints the tissue from the tiles at hand. Main thread; reads nothing."""

from __future__ import annotations

import math
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
        self._turned_picture: Picture | None = None
        self._turned_key: tuple[Viewport, Scale, int, bool] | None = None
        self._last: Scene | None = None
        self.rough = False
        """The last frame, one of a motion, was scaled or turned in the quick way: it is painted again at rest."""

    def forget(self) -> None:
        """Another slide: drop the picture kept for turned views."""
        self._upright = None
        self._turned_picture = None
        self._turned_key = None
        self._last = None

    def paint(self, painter: QPainter, scene: Scene, dirty: QRect, *, still: bool = False) -> None:
        """Fill ``dirty`` (device px) of a canvas; the painter has device px as its coordinates.

        Scaling and turning without interpolation take a fifth of the time. In motion nobody sees the difference, but
        a late frame; with ``still`` it is never done, for pictures that are kept.
        """
        last = scene if still or self._last is None else self._last
        moving, zooming = last.view != scene.view, last.scale != scene.scale
        if not still:
            self._last = scene
            self.rough = False
        if scene.view.rotation == 0:
            self.straight(painter, scene, view_box(scene.view, scene.view.downsample), dirty, quick=zooming)
        else:
            self._turned(painter, scene, dirty, moving)

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
            quick: stand-ins of nearly the right zoom are scaled without interpolation.
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
        pieces = list(self._store.pieces(scale, inside))
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
            rough = quick and 1 / MOST_ROUGH < tile.key.scale.downsample / scale.downsample < MOST_ROUGH
            self.rough = self.rough or rough
            painter.setRenderHint(smooth, not rough)
            painter.drawImage(area, tile.image, QRectF(*source))
            painter.setRenderHint(smooth, False)

    def _turned(self, painter: QPainter, scene: Scene, dirty: QRect, quick: bool) -> None:
        # Tiles turned one by one would show their joints: compose the upright picture, turn it once.
        quick = quick and bool(scene.view.rotation % 90)
        self.rough = self.rough or quick
        key = (scene.view, scene.scale, scene.version, quick)
        if self._turned_key != key or self._turned_picture is None:
            last = self._turned_picture
            if last is None or last.pixels.shape[:2] != (scene.view.height, scene.view.width):
                last = Picture(np.empty((scene.view.height, scene.view.width, 4), dtype=np.uint8))
            self._rotate(scene, last.pixels, quick)
            self._turned_picture = last
            self._turned_key = key
        painter.drawImage(dirty, self._turned_picture.image, dirty)

    def _rotate(self, scene: Scene, out: BGRAImage, quick: bool) -> None:
        """Write the whole view, turned, to ``out``. By OpenCV: Qt takes several times as long."""
        import cv2

        view = scene.view
        need = view_box(view, view.downsample)
        quarters = view.rotation / 90
        if quarters == int(quarters):
            upright, box = self._composed(scene, need)
            part = upright[need.y0 - box.y0 : need.y1 - box.y0, need.x0 - box.x0 : need.x1 - box.x0]
            turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
            turned = part.shape[:2] if quarters == 2 else part.shape[1::-1]
            if turned == (view.height, view.width):
                cv2.rotate(part, turns[int(quarters) - 1], out)
                return
        upright, box = self._composed(scene, Box(need.x0 - 1, need.y0 - 1, need.x1 + 1, need.y1 + 1))
        # From px of the screen to px of the picture, both counted from their corners.
        angle = math.radians(view.rotation)
        c, s = math.cos(angle), math.sin(angle)
        x, y = view.cx / view.downsample - box.x0, view.cy / view.downsample - box.y0
        w, h = view.width / 2, view.height / 2
        # OpenCV counts from the middle of the first pixel.
        matrix = np.array(
            [
                [c, s, x - c * (w - 0.5) - s * (h - 0.5) - 0.5],
                [-s, c, y + s * (w - 0.5) - c * (h - 0.5) - 0.5],
            ]
        )
        flags = (cv2.INTER_NEAREST if quick else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
        size = (view.width, view.height)
        cv2.warpAffine(upright, matrix, size, out, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def _composed(self, scene: Scene, need: Box) -> tuple[BGRAImage, Box]:
        """An upright picture of at least ``need`` (px of the scale), and what it shows."""
        last = self._upright
        if last is None or last.scale != scene.scale or need.intersected(last.box) != need:
            # A little more than is seen, so that most steps of a pan find it composed.
            box = Box(need.x0 - SPARE, need.y0 - SPARE, need.x1 + SPARE, need.y1 + SPARE)
            picture = None if last is None else last.picture
            if picture is None or picture.pixels.shape[:2] != (box.height, box.width):
                picture = Picture(np.empty((box.height, box.width, 4), dtype=np.uint8))
            self._upright = last = _Upright(picture, box, scene.scale)
        if last.version != scene.version:
            painter = QPainter(last.picture.image)
            whole = QRect(0, 0, last.box.width, last.box.height)
            self.straight(painter, scene, last.box, whole, drawn=last.drawn)
            painter.end()
            last.version = scene.version
        return last.picture.pixels, last.box
