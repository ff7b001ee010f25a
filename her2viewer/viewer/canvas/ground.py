"""The tissue and the overlays that lie on it as pictures, composed once and kept. Main thread.

A frame that shows what the last one showed is one copy; a pan composes the strips that come into view and no more.
The pixels lie in a ring of memory, row after row: a pixel (x, y) of the endless picture of the screen has the place
``y * width + x`` modulo the size of the view. So nothing is moved when the view moves, and the view is one or two
blocks of whole rows, which are copied twice as fast as parts of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import floor
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPainter, QRegion

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Scale, screen_origin
from her2viewer.viewer.canvas.viewport import Viewport

MOST_ENLARGED = 1.6
"""A picture that is kept is enlarged by this much in a zoom; then another one is composed."""

Compose = Callable[[QPainter, QRect], None]
"""Paint this part of the view; painter and rectangle in device px of the view."""


class Look(NamedTuple):
    """Whatever changes all of the picture besides the place."""

    scale: Scale
    rest: Hashable
    """Turn, screen scaling, layers."""


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
        self._look: Look | None = None
        self._whole: tuple[int, int, int, int] | None = None
        """The view that was wholly composed last, px of the endless picture of its look: left, top, width, height."""
        self._valid = QRegion()
        """What is composed, px of the endless picture."""
        self._blocks: list[Block] = []
        self._blocks_of: tuple[int, int] | None = None
        """Origin of the view that the blocks are of."""

    def forget(self) -> None:
        """Give the memory back."""
        self._ring = None
        self._blocks, self._blocks_of = [], None
        self._look = self._whole = None
        self._valid = QRegion()

    def invalidate(self, view: Viewport | None = None, part: QRect | None = None) -> None:
        """All of it, or ``part`` (device px of ``view``), no longer shows what is to be seen."""
        if view is None or part is None:
            self._valid = QRegion()
        else:
            self._valid -= QRegion(part.translated(*screen_origin(view)))

    def zoomed(self, painter: QPainter, view: Viewport, look: Look) -> QRect | None:
        """In a zoom into the tissue: what was composed last, enlarged without interpolation, in place of many tiles.

        Args:
            painter: with device px as its coordinates.
            view: aligned and not turned; of another zoom than the kept picture.
            look: of the view.

        Returns:
            The part of the view that is filled; None where nothing kept is of use.
        """
        last = self._look
        if last is None or self._whole is None or self._blocks_of is None:
            return None
        factor = last.scale.downsample / look.scale.downsample
        alike = last.rest == look.rest and last.scale.state == look.scale.state
        if not alike or not 1 <= factor <= MOST_ENLARGED:
            return None
        (left, top), (x, y, width, height) = screen_origin(view), self._whole

        def edges(area: QRect) -> QRect:
            # Each edge by one rule, so that neighbours meet.
            x0, y0 = x + area.x(), y + area.y()
            x1, y1 = x0 + area.width(), y0 + area.height()
            a, b, c, d = (floor(v * factor + 0.5) for v in (x0, y0, x1, y1))
            return QRect(a - left, b - top, c - a, d - b)

        for block in self._blocks:
            part = block.area.intersected(QRect(0, 0, width, height))
            target = edges(part)
            if not part.isEmpty() and not target.isEmpty():
                painter.drawImage(target, block.image, part.translated(-block.area.topLeft()))
        return edges(QRect(0, 0, width, height)).intersected(QRect(0, 0, view.width, view.height))

    def paint(self, painter: QPainter, view: Viewport, look: Look, dirty: QRect, compose: Compose) -> None:
        """Fill ``dirty`` of a view.

        Args:
            painter: with device px as its coordinates.
            view: aligned, see ``grid.aligned``.
            look: whatever changes all of the picture.
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
        if look != self._look:
            self._look = look
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
        whole = QRect(left, top, view.width, view.height)
        self._whole = None if not (QRegion(whole) - self._valid).isEmpty() else (left, top, view.width, view.height)
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
