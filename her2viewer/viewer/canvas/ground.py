"""The tissue and the overlays that lie on it as pictures, composed once and kept. Main thread.

A frame that shows what the last one showed is one copy; a pan composes the strips that come into view, mostly before
they do, see ``strips.py``.
The pixels lie in a ring of memory, row after row: a pixel (x, y) of the endless picture of the screen has the place
``y * width + x`` modulo the size of the view. So nothing is moved when the view moves, and the view is one or two
blocks of whole rows, which are copied twice as fast as parts of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPainter, QRegion

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box, Scale, screen_origin
from her2viewer.viewer.canvas.strips import AtHand, Beyond, Compose, Strip, Strips, copy_part
from her2viewer.viewer.canvas.viewport import Viewport

PAGE, IN_PAGE = 4096, 16
"""Bytes; large blocks of memory begin so far into a page."""


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


class Kept(NamedTuple):
    """A view that is wholly composed."""

    look: Look
    area: Box
    """Px of the endless picture of its look, without the rim."""
    blocks: list[Block]
    ring: NDArray[np.uint8]


class Ground:
    """Keeps what was composed of one view."""

    def __init__(self) -> None:
        self._ring: NDArray[np.uint8] | None = None
        """(pixels, 4)."""
        self._phase = 0
        """Place of the pixel (0, 0) of the endless picture in the ring, counted backwards."""
        self._size = (0, 0)
        self._look: Look | None = None
        self._whole: QRect | None = None
        """The view that was wholly composed last, without its rim, px of the endless picture of its look."""
        self._valid = QRegion()
        """What is composed, px of the endless picture."""
        self._complete: tuple[int, int] | None = None
        """Origin of the view all of which is composed, rim included."""
        self._blocks: list[Block] = []
        self._blocks_of: tuple[int, int] | None = None
        """Origin of the view that the blocks are of."""
        self._strips = Strips()
        self._beyond: Beyond | None = None
        """How the last frame composes what lies beyond its edges."""

    def forget(self) -> None:
        """Give the memory back."""
        self._ring = None
        self._blocks, self._blocks_of = [], None
        self._look = self._whole = None
        self.invalidate()

    def invalidate(self, view: Viewport | None = None, part: QRect | None = None) -> None:
        """All of it, or ``part`` (device px of ``view``), no longer shows what is to be seen."""
        self._complete = None
        if view is None or part is None:
            self._valid = QRegion()
            self._strips.clear()
            self._beyond = None
        else:
            area = part.translated(*screen_origin(view))
            self._valid -= QRegion(area)
            self._strips.drop(area)

    @property
    def rest(self) -> Hashable:
        """Turn, screen scaling and layers of what was composed last."""
        return None if self._look is None else self._look.rest

    def kept(self) -> Kept | None:
        """All of the view as it was composed last; None where parts of it are missing."""
        if self._look is None or self._whole is None or self._blocks_of is None or self._ring is None:
            return None
        whole = self._whole
        area = Box(whole.x(), whole.y(), whole.x() + whole.width(), whole.y() + whole.height())
        return Kept(self._look, area, self._blocks, self._ring)

    def uses(self, memory: NDArray[np.uint8]) -> bool:
        """Whether what is kept lies there."""
        return self._ring is memory

    def adopt(self, memory: NDArray[np.uint8], view: Viewport, look: Look) -> NDArray[np.uint8] | None:
        """Keep a finished picture of a view with its rim, row after row; returns the memory that was used before."""
        rim = rim_of(view)
        before, self._ring = self._ring, memory
        self._size = (view.width + 2 * rim, view.height + 2 * rim)
        left, top = screen_origin(view)
        self._look = look
        self._strips.clear()
        self._beyond = None
        self._begin_at((left, top), rim)
        self._divide((left, top), rim)
        self._valid = QRegion(QRect(left - rim, top - rim, *self._size))
        self._complete = (left, top)
        self._whole = QRect(left, top, view.width, view.height)
        return before

    def paint_over(self, parts: list[QRect], paint: Callable[[QPainter], None]) -> None:
        """Paint onto ``parts`` of the view that was adopted; they and the painter in device px of that view."""
        for block in self._blocks:
            for part in parts:
                inside = part.intersected(block.area)
                if not inside.isEmpty():
                    _compose(block.image, block.area, inside, paint)

    def paint(
        self,
        painter: QPainter,
        view: Viewport,
        look: Look,
        dirty: QRect,
        compose: Compose,
        *,
        at_hand: AtHand = lambda _: False,
    ) -> None:
        """Fill ``dirty`` of a view.

        Args:
            painter: with device px as its coordinates.
            view: aligned, see ``grid.aligned``.
            look: whatever changes all of the picture.
            dirty: device px of the view.
            compose: called for what is not there yet.
            at_hand: whether all tiles of a view are there, so that it can be composed ahead.
        """
        rim = rim_of(view)
        size = (view.width + 2 * rim, view.height + 2 * rim)
        if self._ring is None or self._size != size:
            self._size = size
            self._ring = screen_memory(size[0] * size[1])
            self._blocks_of = None
            self.invalidate()
        if look != self._look:
            self._look = look
            self.invalidate()
        origin = screen_origin(view)
        if self._valid.isEmpty():
            self._begin_at(origin, rim)
        self._divide(origin, rim)
        if self._complete != origin:
            self._complete_to(view, rim, dirty.translated(*origin), compose, at_hand)
        for area, image, _ in self._blocks:
            part = dirty.intersected(area)
            if part == area:
                painter.drawImage(area.x(), area.y(), image)
            elif not part.isEmpty():
                painter.drawImage(part.topLeft(), image, part.translated(-area.topLeft()))

    def work_ahead(self) -> bool:
        """Between two frames of a pan: compose a little of what the next ones will need; False where it is enough."""
        return self._beyond is not None and self._strips.work_ahead(self._beyond)

    def leave_off(self) -> None:
        """Compose nothing more between frames until the next one: something that took part in the last one goes."""
        self._beyond = None

    def _begin_at(self, origin: tuple[int, int], rim: int) -> None:
        # One block from the first byte on: memory that does not begin as that of the screen does, in multiples of a
        # line of the processor's cache, is copied half as fast.
        self._phase = (origin[1] - rim) * self._size[0] + origin[0] - rim
        self._blocks_of = None

    def _divide(self, origin: tuple[int, int], rim: int) -> None:
        if self._blocks_of != origin:
            assert self._ring is not None
            self._blocks = _blocks(self._ring, self._size, origin, rim, self._phase)
            self._blocks_of = origin

    def _complete_to(self, view: Viewport, rim: int, dirty: QRect, compose: Compose, at_hand: AtHand) -> None:
        """Compose what is missing in ``dirty`` (px of the endless picture)."""
        left, top = origin = screen_origin(view)
        shown = QRect(left - rim, top - rim, *self._size)
        there = dirty.intersected(shown)
        # What left the view is overwritten by what came into it.
        self._valid &= shown
        missing = QRegion(there) - self._valid
        self._strips.begin(origin)
        beyond = self._beyond = Beyond(view, shown, compose, self._copy, at_hand)
        for rect in missing:  # type: ignore[attr-defined]
            strips = self._strips.find(rect, beyond)
            for block in self._blocks:
                part = rect.translated(-left, -top).intersected(block.area)
                if part.isEmpty():
                    continue
                if not strips:
                    _compose(block.image, block.area, part, partial(_painted, compose, view, part))
                    continue
                part.translate(left, top)
                area = block.area.translated(left, top)
                for strip in strips:
                    at = part.intersected(strip.area)
                    if not at.isEmpty():
                        copy_part(at, strip.pixels, strip.area, block.pixels, area)
        self._valid |= there
        whole = QRect(left, top, view.width, view.height)
        missed = QRegion(shown) - self._valid
        self._complete = origin if missed.isEmpty() else None
        self._whole = whole if missed.intersected(whole).isEmpty() else None

    def _copy(self, strip: Strip) -> bool:
        """Fill a strip that lies in the view with what is kept; False where it is not all there."""
        origin = self._blocks_of
        if origin is None or not (QRegion(strip.area) - self._valid).isEmpty():
            return False
        for block in self._blocks:
            area = block.area.translated(*origin)
            part = strip.area.intersected(area)
            if not part.isEmpty():
                copy_part(part, block.pixels, area, strip.pixels, strip.area)
        return True


def screen_memory(pixels: int) -> NDArray[np.uint8]:
    """(pixels, 4), with anything in it; begins in its page where large images of Qt do, see ``Ground._begin_at``."""
    room = np.empty(4 * pixels + PAGE, dtype=np.uint8)
    begin = (IN_PAGE - room.ctypes.data) % PAGE
    return room[begin : begin + 4 * pixels].reshape(pixels, 4)


def rim_of(view: Viewport) -> int:
    """At fractional screen scalings a widget may touch one more device pixel on each side than it has by its size."""
    return 0 if view.dpr == int(view.dpr) else 1


def _painted(compose: Compose, view: Viewport, part: QRect, painter: QPainter) -> None:
    compose(painter, view, part)


def _compose(image: QImage, area: QRect, part: QRect, paint: Callable[[QPainter], None]) -> None:
    """Let ``paint`` fill ``part`` of an image of ``area``, with the coordinates of both."""
    painter = QPainter(image)
    painter.translate(-area.topLeft())
    painter.setClipRect(part)
    paint(painter)
    painter.end()


def _blocks(
    ring: NDArray[np.uint8], size: tuple[int, int], origin: tuple[int, int], rim: int = 0, phase: int = 0
) -> list[Block]:
    """The view as at most four blocks: whole rows up to the end of the ring, the row that is cut there, the rest.

    Args:
        ring: the memory.
        size: of the view with its rim on all sides, px.
        origin: of the view without it.
        rim: px.
        phase: place of the pixel (0, 0) of the endless picture in the ring, counted backwards.
    """
    width, height = size
    begin = ((origin[1] - rim) * width + origin[0] - rim - phase) % (width * height)
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
