"""What lies beyond the edges of a view that is panned, composed ahead. Main thread.

The first step of a pan composes a narrow strip beyond the edge. While the next steps use it up, the strip that
follows it is composed between the frames, piece by piece, so that no step waits for long. What is about to leave the
view at the other edges is copied, for a pan that turns back. All rectangles are in px of the endless picture of the
screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPainter, QRegion

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import screen_origin
from her2viewer.viewer.canvas.viewport import Viewport

Compose = Callable[[QPainter, Viewport, QRect], None]
"""Paint this part of a view; painter and rectangle in device px of that view."""
Copy = Callable[["Strip"], bool]
"""Fill a strip that lies in the view with what is kept of it; False where it is not all there."""
AtHand = Callable[[Viewport], bool]
"""Whether all tiles of a view are there, so that it can be composed ahead."""

FIRST, FIRST_STEPS = 16, 5
"""Px, and steps of the pan: the strip that has to be there at once is as wide as the larger of both."""
AHEAD, AHEAD_STEPS = 40, 4
"""The same of those that have time."""
LOW_STEPS = 16
"""When what is composed ahead lasts for no more steps than this the next strip is begun."""
PIECE = 360
"""Px. Length of what is composed at a time."""
WIDER = 128
"""Px. Strips are composed as parts of a view that is so much wider on each side, or layers would leave them out."""
ENDS = 96
"""Px. A strip is so much longer at both ends: a pan is seldom quite along an edge."""
THIN = 48
"""Px. A part of the view that is wider than this is composed by itself, and steps of more are no pan."""
BACK, BACK_STEPS = 24, 4
"""Px, and steps of the pan: after the larger of both what is about to leave the view is copied again."""
MOST_STRIPS, MOST_COPIES = 6, 2
"""For each edge: those that follow, the one in use, and some before it, which the corners need."""

Edge = tuple[int, int]
"""Direction in which it lies from the middle of the view."""


class Strip(NamedTuple):
    """A picture of a part of the endless picture."""

    area: QRect
    image: QImage
    pixels: BGRAImage
    """The memory: Qt does not keep it alive."""

    @classmethod
    def of(cls, area: QRect) -> Strip:
        """Nothing is composed yet."""
        pixels = np.empty((area.height(), area.width(), 4), dtype=np.uint8)
        image = QImage(pixels.data, area.width(), area.height(), 4 * area.width(), QImage.Format.Format_RGB32)
        return cls(area, image, pixels)


class _Growing(NamedTuple):
    strip: Strip
    left: list[QRect]
    """Pieces that are not composed yet."""


class Beyond:
    """How a frame composes what lies beyond the edges of its view."""

    def __init__(self, view: Viewport, shown: QRect, compose: Compose, copy: Copy, at_hand: AtHand) -> None:
        self.shown = shown
        """What the view shows, its rim included."""
        self._copy = copy
        self._compose = compose
        self._at_hand = at_hand
        self._of = view
        self._wider: tuple[Viewport, int, int] | None = None
        """The view with what lies around it, and its upper left corner; most frames need none."""

    def draw(self, strip: Strip, area: QRect) -> bool:
        """Compose ``area`` of a strip; False where that cannot be."""
        if self._wider is None:
            of = self._of
            view = of.resized(of.width + 2 * WIDER, of.height + 2 * WIDER, of.dpr)
            self._wider = (view, *screen_origin(view))
        view, left, top = self._wider
        part = area.translated(-left, -top)
        if not QRect(0, 0, view.width, view.height).contains(part):
            return False
        if not self._at_hand(view.part(part.x(), part.y(), part.width(), part.height())):
            return False
        painter = QPainter(strip.image)
        painter.translate(left - strip.area.x(), top - strip.area.y())
        painter.setClipRect(part)
        self._compose(painter, view, part)
        painter.end()
        return True

    def copied(self, area: QRect) -> Strip | None:
        """A part of what is shown; None where it is not all there."""
        strip = Strip.of(area)
        return strip if self._copy(strip) else None


class Strips:
    """Strips beyond the edges of one view."""

    def __init__(self) -> None:
        self._done: dict[Edge, list[Strip]] = {}
        self._copies: dict[Edge, list[Strip]] = {}
        """What was about to leave the view by an edge."""
        self._growing: dict[Edge, _Growing] = {}
        self._last: tuple[int, int] | None = None
        self._step = (0, 0)
        self._may_add = True
        self._copied_at: tuple[int, int] | None = None
        """Upper left corner of the view whose edges were copied last."""

    def clear(self) -> None:
        """Everything shows something else now."""
        self._done, self._copies, self._growing = {}, {}, {}
        self._copied_at = None

    def drop(self, area: QRect) -> None:
        """Something else is to be seen in ``area``."""
        for kept in (self._done, self._copies):
            for edge, strips in kept.items():
                kept[edge] = [strip for strip in strips if not strip.area.intersects(area)]
        self._growing = {e: grown for e, grown in self._growing.items() if not grown.strip.area.intersects(area)}

    def begin(self, origin: tuple[int, int]) -> None:
        """A frame shows the view whose upper left corner is ``origin``."""
        last = origin if self._last is None else self._last
        self._step = (origin[0] - last[0], origin[1] - last[1])
        self._last = origin
        # One strip in a frame: two are felt, and the other one can wait for the next frame.
        self._may_add = True

    def find(self, rect: QRect, beyond: Beyond) -> list[Strip]:
        """Strips that together have ``rect``, which the last step uncovered. Composed now where they must be; none
        where that is of no use.
        """
        found = self._covering(rect)
        if found:
            return found
        edge = _edge_of(rect, beyond.shown)
        if edge is None or not self._may_add:
            return []
        self._may_add = False
        if edge in self._growing:
            while edge in self._growing:
                self._grow(edge, beyond)
            found = self._covering(rect)
            if found:
                return found
        strip = Strip.of(_strip_at(beyond.shown, edge, 0, self._width(edge, FIRST, FIRST_STEPS)).united(rect))
        return [_keep(self._done, edge, strip, MOST_STRIPS)] if beyond.draw(strip, strip.area) else []

    def _covering(self, rect: QRect) -> list[Strip]:
        kept = chain(*self._done.values(), *self._copies.values())
        parts = [strip for strip in kept if strip.area.intersects(rect)]
        for strip in parts:
            if strip.area.contains(rect):
                return [strip]
        left = QRegion(rect)
        for strip in parts:
            left -= QRegion(strip.area)
        return parts if left.isEmpty() else []

    def work_ahead(self, beyond: Beyond) -> bool:
        """Between two frames: compose a piece of what the next steps will need; False where there is nothing due."""
        if max(map(abs, self._step)) > THIN:
            return False
        due = []
        for edge in self._edges():
            lead = self._lead(beyond.shown, edge)
            steps = lead // abs(self._step[0] if edge[0] else self._step[1])
            width = self._width(edge, AHEAD, AHEAD_STEPS)
            # Where nothing is there the next step composes it at once.
            if lead and steps <= LOW_STEPS and lead + width <= WIDER:
                due.append((steps, edge, lead, width))
        if not due:
            self._copy_what_leaves(beyond)
            return False
        _, edge, lead, width = min(due)
        if edge not in self._growing:
            area = _strip_at(beyond.shown, edge, lead, width)
            self._growing[edge] = _Growing(Strip.of(area), list(_pieces(area)))
        return self._grow(edge, beyond)

    def _copy_what_leaves(self, beyond: Beyond) -> None:
        """For a pan that turns back: its first steps find what they uncover."""
        if self._last is None or self._step == (0, 0):
            return
        far = max(BACK, BACK_STEPS * max(map(abs, self._step)))
        at = self._copied_at
        if at is not None and max(abs(self._last[0] - at[0]), abs(self._last[1] - at[1])) < far:
            return
        self._copied_at = self._last
        for x, y in self._edges():
            # Just inside of the edge that they leave by; it is twice as wide since the next copy may come late.
            strip = beyond.copied(_strip_at(beyond.shown, (-x, -y), -2 * far, 2 * far, ends=0))
            if strip is not None:
                _keep(self._copies, (-x, -y), strip, MOST_COPIES)

    def _grow(self, edge: Edge, beyond: Beyond) -> bool:
        """Compose a piece more. Where that cannot be the strip is given up, and False."""
        strip, left = self._growing[edge]
        drawn = beyond.draw(strip, left.pop(0))
        if not drawn or not left:
            del self._growing[edge]
        if drawn and not left:
            _keep(self._done, edge, strip, MOST_STRIPS)
        return drawn

    def _edges(self) -> Iterator[Edge]:
        """Those towards which the view moves."""
        x, y = self._step
        if x:
            yield (1 if x > 0 else -1, 0)
        if y:
            yield (0, 1 if y > 0 else -1)

    def _width(self, edge: Edge, least: int, steps: int) -> int:
        step = abs(self._step[0] if edge[0] else self._step[1])
        return min(max(least, steps * step), WIDER // 2)

    def _lead(self, shown: QRect, edge: Edge) -> int:
        """How far beyond an edge everything is composed, px."""
        lead = 0
        while lead < WIDER:
            parts = self._covering(_strip_at(shown, edge, lead, 1, ends=0))
            if not parts:
                break
            lead = min(_reach(strip.area, shown, edge) for strip in parts)
        return lead


def copy_part(part: QRect, source: BGRAImage, source_area: QRect, target: BGRAImage, target_area: QRect) -> None:
    """Copy a part of one picture into another; all rectangles in px of the same picture.

    As a painter does it, in a tenth of the time that a painter takes to begin.
    """
    width, height = part.width(), part.height()
    x, y = part.x() - source_area.x(), part.y() - source_area.y()
    left, top = part.x() - target_area.x(), part.y() - target_area.y()
    target[top : top + height, left : left + width] = source[y : y + height, x : x + width]


def _keep(kept: dict[Edge, list[Strip]], edge: Edge, strip: Strip, most: int) -> Strip:
    kept[edge] = [*kept.get(edge, ())[1 - most :], strip]
    return strip


def _strip_at(shown: QRect, edge: Edge, lead: int, width: int, ends: int = ENDS) -> QRect:
    """``width`` px, ``lead`` px beyond an edge of what is shown, and ``ends`` px longer than it at both ends."""
    x, y = edge
    if x:
        left = shown.right() + 1 + lead if x > 0 else shown.left() - lead - width
        return QRect(left, shown.top() - ends, width, shown.height() + 2 * ends)
    top = shown.bottom() + 1 + lead if y > 0 else shown.top() - lead - width
    return QRect(shown.left() - ends, top, shown.width() + 2 * ends, width)


def _reach(area: QRect, shown: QRect, edge: Edge) -> int:
    """How far an area goes beyond an edge of what is shown, px."""
    x, y = edge
    if x:
        return area.right() - shown.right() if x > 0 else shown.left() - area.left()
    return area.bottom() - shown.bottom() if y > 0 else shown.top() - area.top()


def _edge_of(rect: QRect, shown: QRect) -> Edge | None:
    """The edge of what is shown at which a thin rectangle lies; None for others."""
    if rect.width() <= min(THIN, rect.height()):
        return (1, 0) if rect.right() == shown.right() else (-1, 0) if rect.left() == shown.left() else None
    if rect.height() <= THIN:
        return (0, 1) if rect.bottom() == shown.bottom() else (0, -1) if rect.top() == shown.top() else None
    return None


def _pieces(area: QRect) -> Iterator[QRect]:
    """A strip in pieces of about one length."""
    count = max(1, round(max(area.width(), area.height()) / PIECE))
    for i in range(count):
        if area.width() < area.height():
            top, bottom = area.height() * i // count, area.height() * (i + 1) // count
            yield QRect(area.x(), area.y() + top, area.width(), bottom - top)
        else:
            left, right = area.width() * i // count, area.width() * (i + 1) // count
            yield QRect(area.x() + left, area.y(), right - left, area.height())
