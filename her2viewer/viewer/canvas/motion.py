"""Movement that goes on by itself: a zoom step that eases in, and the slide that glides on after a quick drag.

And where the reader is heading, so that tiles can be loaded ahead.


Qt's own QScroller is no help here: it moves the contents of a rectangle of fixed size, cannot zoom, and takes the
left button for itself, which the drawing tools need. What is left is little: two curves and the frame clock of the
canvas. There is no timer of its own: each frame asks for the next one while something moves, so that an idle canvas
paints nothing.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from her2viewer.viewer.canvas.viewport import Viewport

ZOOM_S = 0.12
"""A zoom step takes this long."""
GLIDE_S = 0.28
"""A glide goes on for speed * GLIDE_S, and takes four times as long for it as it would at full speed."""
TRACE_S = 0.08
"""The speed of a drag is that of its last part: a hand that stops before it lets go means to stop."""
LEAST_SPEED = 150.0
"""Logical px/s below which a drag just ends."""
MOST_SPEED = 6000.0
"""Faster than this nobody can follow, and no tile would be there in time."""
RECENT_S = 0.3
"""The direction of a pan is that of the moves of this time."""
AHEAD_S = 0.5
"""Tiles are loaded ahead for what will be visible after this time."""
JUMP = 1.5
"""A view that is further away than this many views was jumped to: that is no direction."""
Clock = Callable[[], float]


@dataclass(frozen=True)
class ZoomEase:
    """From one zoom to another about a point of the screen. Times in s from the start."""

    start: Viewport
    downsample: float
    """At the end, level-0 px per device px."""
    sx: float
    sy: float
    """Logical screen position whose slide point stays in place."""

    def at(self, t: float) -> Viewport:
        """The view ``t`` s after the start; from ``ZOOM_S`` on exactly the one that a single step gives."""
        if t >= ZOOM_S:
            return self.start.zoomed(self.downsample, self.sx, self.sy)
        share = 1 - (1 - max(0.0, t) / ZOOM_S) ** 3
        downsample = self.start.downsample * (self.downsample / self.start.downsample) ** share
        return self.start.zoomed(downsample, self.sx, self.sy)

    def over(self, t: float) -> bool:
        """Whether nothing changes any more."""
        return t >= ZOOM_S


@dataclass(frozen=True)
class Glide:
    """The tissue goes on at a speed that dies away. Times in s from the start."""

    start: Viewport
    vx: float
    vy: float
    """Speed of the tissue on the screen at the start, logical px/s."""

    def at(self, t: float) -> Viewport:
        """The view ``t`` s after the start, not limited to the slide."""
        left = max(0.0, 1 - max(0.0, t) / (4 * GLIDE_S))
        # Like friction, but with an end: an exponential would creep on for seconds.
        way = GLIDE_S * (1 - left**4)
        return self.start.panned(self.vx * way, self.vy * way)

    def rest(self) -> Viewport:
        """Where it ends, not limited to the slide."""
        return self.start.panned(self.vx * GLIDE_S, self.vy * GLIDE_S)

    def over(self, t: float) -> bool:
        """Whether nothing changes any more."""
        return t >= 4 * GLIDE_S


class Trace:
    """The last moments of a drag, from which its speed follows."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float, float]] = deque()

    def clear(self) -> None:
        """Forget; a drag begins."""
        self._points.clear()

    def add(self, t: float, x: float, y: float) -> None:
        """The pointer was at (x, y) logical px at ``t`` s."""
        self._points.append((t, x, y))
        while self._points[0][0] < t - 2 * TRACE_S:
            self._points.popleft()

    def speed(self, t: float) -> tuple[float, float]:
        """Logical px/s at ``t``, over the last ``TRACE_S``; nothing where the pointer has rested since.

        No faster than ``MOST_SPEED``, and (0, 0) below ``LEAST_SPEED``.
        """
        recent = [p for p in self._points if p[0] >= t - TRACE_S]
        if len(recent) < 2:
            return (0.0, 0.0)
        (t0, x0, y0), (_, x1, y1) = recent[0], recent[-1]
        # Until now, not until the last move: a pause before the release slows the glide.
        # Two moves read at one moment tell no speed: a frame at least.
        span = max(t - t0, 0.008)
        vx, vy = (x1 - x0) / span, (y1 - y0) / span
        speed = math.hypot(vx, vy)
        if speed < LEAST_SPEED:
            return (0.0, 0.0)
        f = min(1.0, MOST_SPEED / speed)
        return (f * vx, f * vy)


class Heading:
    """Where the reader is going: the last moves of the view, and the view that follows from them."""

    def __init__(self) -> None:
        self._moves: deque[tuple[float, Viewport]] = deque()

    def clear(self) -> None:
        """Forget: the view went elsewhere by another way than moving."""
        self._moves.clear()

    def note(self, t: float, view: Viewport) -> None:
        """The reader moved the view to this one at ``t`` s."""
        last = self._moves[-1][1] if self._moves else view
        if _shape(last) != _shape(view) or max(map(abs, _shift(last, view))) > JUMP:
            self._moves.clear()
        self._moves.append((t, view))
        # The move before the first recent one stays: from there the first one came.
        while len(self._moves) > 2 and self._moves[1][0] < t - RECENT_S:
            self._moves.popleft()

    def ahead(self, view: Viewport) -> Viewport | None:
        """The view that is expected after this one: at most one view further on; None where nothing moved.

        A single step (a key) is expected to be followed by another one; a pan goes on at its speed.
        """
        if len(self._moves) < 2:
            return None
        (t0, first), (t1, last) = self._moves[0], self._moves[-1]
        if _shape(last) != _shape(view):
            return None
        dx, dy = _shift(first, last)
        if len(self._moves) > 2 or t1 - t0 <= RECENT_S:
            factor = AHEAD_S / max(t1 - t0, AHEAD_S / 60)
            dx, dy = factor * dx, factor * dy
        most = max(abs(dx), abs(dy))
        if most < 0.002:
            return None
        shrink = min(1.0, 1 / most)
        return view.panned(-shrink * dx * view.width / view.dpr, -shrink * dy * view.height / view.dpr)


def _shape(view: Viewport) -> tuple[float, float, int, int]:
    """What stays while a view is only moved."""
    return (view.downsample, view.rotation, view.width, view.height)


def _shift(before: Viewport, after: Viewport) -> tuple[float, float]:
    """How far the view went on the screen to the right and down, in views."""
    x, y = before.to_screen(after.cx, after.cy)
    return (x * before.dpr / before.width - 0.5, y * before.dpr / before.height - 0.5)


class Mover(Protocol):
    """What a motion needs of the canvas."""

    @property
    def viewport(self) -> Viewport: ...

    def show_step(self, view: Viewport) -> None:
        """Show a step of a motion, limited to the slide."""

    def limited(self, view: Viewport) -> Viewport:
        """Within the slide."""

    def next_frame(self) -> None:
        """Ask for another frame."""


class Motion:
    """What moves one canvas by itself. With ``enabled`` off nothing ever does. Main thread."""

    def __init__(self, mover: Mover, clock: Clock = time.monotonic) -> None:
        self._mover = mover
        self.clock = clock
        """Seconds; tests turn it themselves."""
        self.enabled = False
        self._moving: ZoomEase | Glide | None = None
        self._begun = 0.0

    @property
    def active(self) -> bool:
        """True while something moves."""
        return self._moving is not None

    @property
    def zooming(self) -> bool:
        """True while a zoom eases in."""
        return isinstance(self._moving, ZoomEase)

    @property
    def goal(self) -> Viewport | None:
        """The view at the end of what moves, within the slide; None at rest."""
        moving = self._moving
        if moving is None:
            return None
        return self._mover.limited(moving.at(ZOOM_S) if isinstance(moving, ZoomEase) else moving.rest())

    def zoom(self, downsample: float, sx: float, sy: float) -> None:
        """Ease to ``downsample`` about a screen position; takes the place of what moves now."""
        view = self._mover.viewport
        self._begin(ZoomEase(view, downsample, sx, sy) if downsample != view.downsample else None)

    def glide(self, vx: float, vy: float) -> None:
        """Let the tissue go on at this speed (logical px/s)."""
        self._begin(Glide(self._mover.viewport, vx, vy) if vx or vy else None)

    def settle(self) -> None:
        """A zoom is at its end at once, so that each step counts in full; a glide stops where it is."""
        moving, self._moving = self._moving, None
        if isinstance(moving, ZoomEase):
            self._mover.show_step(moving.at(ZOOM_S))

    def cancel(self) -> None:
        """Nothing moves any more: another view is shown."""
        self._moving = None

    def advance(self) -> None:
        """Before each frame of the canvas: one step."""
        moving = self._moving
        if moving is None:
            return
        t = self.clock() - self._begun
        before = self._mover.viewport
        if moving.over(t):
            self._moving = None
        self._mover.show_step(moving.at(t))
        after = self._mover.viewport
        if isinstance(moving, Glide) and t > 0 and (after.cx, after.cy) == (before.cx, before.cy):
            # At the edge of the slide.
            self._moving = None
        if self._moving is not None:
            self._mover.next_frame()

    def _begin(self, moving: ZoomEase | Glide | None) -> None:
        self._moving = moving
        self._begun = self.clock()
        if moving is not None:
            self._mover.next_frame()
