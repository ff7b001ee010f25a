"""The tissue and the overlays that lie on it as pictures, composed once and kept. Main thread.

A frame that shows what the last one showed is one copy; a pan composes the strips that come into view and no more.
The pixels lie in a ring of memory, row after row: a pixel (x, y) of the endless picture of the screen has the place
``y * width + x`` modulo the size of the view. So nothing is moved when the view moves, and the view is one or two
blocks of whole rows, which are copied twice as fast as parts of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPainter, QRegion

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import screen_origin
from her2viewer.viewer.canvas.viewport import Viewport

Compose = Callable[[QPainter, QRect], None]
"""Paint this part of the view; painter and rectangle in device px of the view."""


class Block(NamedTuple):
    """A part of the view that lies in one piece in the ring."""

    area: QRect
    """Device px of the view."""
    image: QImage
    """Of just this part; shares its memory with the ring."""
    pixels: BGRAImage
    """The memory: Qt does not keep it alive."""


class Ground:
    """Keeps what was composed of one view."""

    def __init__(self) -> None:
        self._ring: BGRAImage | None = None
        """(pixels, 4)."""
        self._size = (0, 0)
        self._key: Hashable = None
        self._valid = QRegion()
        """What is composed, px of the endless picture."""
        self._blocks: list[Block] = []
        self._blocks_of: tuple[int, int] | None = None
        """Origin of the view that the blocks are of."""

    def forget(self) -> None:
        """Give the memory back."""
        self._ring = None
        self._blocks, self._blocks_of = [], None
        self._key = None
        self._valid = QRegion()

    def invalidate(self, view: Viewport | None = None, part: QRect | None = None) -> None:
        """All of it, or ``part`` (device px of ``view``), no longer shows what is to be seen."""
        if view is None or part is None:
            self._valid = QRegion()
        else:
            self._valid -= QRegion(part.translated(*screen_origin(view)))

    def paint(self, painter: QPainter, view: Viewport, key: Hashable, dirty: QRect, compose: Compose) -> None:
        """Fill ``dirty`` of a view.

        Args:
            painter: with device px as its coordinates.
            view: aligned, see ``grid.aligned``.
            key: whatever changes all of the picture besides the place: zoom, turn, layers.
            dirty: device px of the view.
            compose: called for what is not there yet.
        """
        # At fractional screen scalings a widget may touch one more device pixel on each side than it has by its size.
        rim = 0 if view.dpr == int(view.dpr) else 1
        size = (view.width + 2 * rim, view.height + 2 * rim)
        if self._ring is None or self._size != size:
            self._size = size
            self._ring = np.empty((size[0] * size[1], 4), dtype=np.uint8)
            self._blocks_of = None
            self._valid = QRegion()
        if key != self._key:
            self._key = key
            self._valid = QRegion()
        left, top = screen_origin(view)
        shown = QRect(left - rim, top - rim, *size)
        there = dirty.translated(left, top).intersected(shown)
        # What left the view is overwritten by what came into it.
        self._valid &= shown
        missing = QRegion(there) - self._valid
        if self._blocks_of != (left, top):
            self._blocks, self._blocks_of = _blocks(self._ring, size, (left, top), rim), (left, top)
        blocks = self._blocks
        if not missing.isEmpty():
            for rect in missing:  # type: ignore[attr-defined]
                for block in blocks:
                    part = rect.translated(-left, -top).intersected(block.area)
                    if not part.isEmpty():
                        _compose(block, part, compose)
            self._valid |= there
        for block in blocks:
            part = there.translated(-left, -top).intersected(block.area)
            if not part.isEmpty():
                painter.drawImage(part.topLeft(), block.image, part.translated(-block.area.topLeft()))


def _compose(block: Block, part: QRect, compose: Compose) -> None:
    painter = QPainter(block.image)
    painter.translate(-block.area.topLeft())
    painter.setClipRect(part)
    compose(painter, part)
    painter.end()


def _blocks(ring: BGRAImage, size: tuple[int, int], origin: tuple[int, int], rim: int = 0) -> list[Block]:
    """The view as at most four blocks: whole rows up to the end of the ring, the row that is cut there, the rest.

    Args:
        ring: the memory.
        size: of the view with its rim on all sides, px.
        origin: of the view without it.
        rim: px.
    """
    width, height = size
    begin = ((origin[1] - rim) * width + origin[0] - rim) % (width * height)
    before, rest = divmod(width * height - begin, width)
    areas = [QRect(0, 0, width, before)]
    if rest:
        areas += [QRect(0, before, rest, 1), QRect(rest, before, width - rest, 1)]
        areas.append(QRect(0, before + 1, width, height - before - 1))
    else:
        areas.append(QRect(0, before, width, height - before))
    found = []
    for area in areas:
        if area.isEmpty():
            continue
        first = (begin + area.y() * width + area.x()) % (width * height)
        pixels = ring[first : first + area.width() * area.height()].reshape(area.height(), area.width(), 4)
        image = QImage(pixels.data, area.width(), area.height(), 4 * area.width(), QImage.Format.Format_RGB32)
        found.append(Block(area.translated(-rim, -rim), image, pixels))
    return found
