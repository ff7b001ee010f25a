"""Which part of a slide the canvas shows: plain numbers, so that every rule of navigation is testable."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MAX_ZOOM = 8.0
"""Device px per level-0 px at most."""


@dataclass(frozen=True)
class Viewport:
    """View of a slide. Immutable; navigation makes a new one.

    Screen coordinates are Qt's logical pixels from the upper left corner of the canvas; slide coordinates are
    level-0 px. The slide is turned clockwise on the screen by ``rotation`` about the centre of the view.
    """

    cx: float
    cy: float
    """Slide point at the centre of the canvas."""
    downsample: float
    """Level-0 px per **device** pixel: 1.0 is 1:1 on every screen."""
    width: int
    height: int
    """Size of the canvas, device pixels."""
    rotation: float = 0.0
    """Degrees clockwise, 0 <= rotation < 360."""
    dpr: float = 1.0
    """Device pixels per logical pixel."""

    @property
    def scale(self) -> float:
        """Logical screen px per level-0 px."""
        return 1.0 / (self.downsample * self.dpr)

    def to_screen(self, x: float, y: float) -> tuple[float, float]:
        """Logical screen position of a slide point."""
        dx, dy = (x - self.cx) * self.scale, (y - self.cy) * self.scale
        c, s = self._cos_sin()
        return (
            self.width / (2 * self.dpr) + c * dx - s * dy,
            self.height / (2 * self.dpr) + s * dx + c * dy,
        )

    def to_slide(self, sx: float, sy: float) -> tuple[float, float]:
        """Slide point under a logical screen position."""
        dx, dy = sx - self.width / (2 * self.dpr), sy - self.height / (2 * self.dpr)
        c, s = self._cos_sin()
        return (self.cx + (c * dx + s * dy) / self.scale, self.cy + (-s * dx + c * dy) / self.scale)

    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the smallest level-0 rectangle that holds everything visible."""
        w, h = self.width / self.dpr, self.height / self.dpr
        corners = [self.to_slide(*p) for p in ((0, 0), (w, 0), (0, h), (w, h))]
        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def corners(self) -> list[tuple[float, float]]:
        """The four corners of the view in slide coordinates, clockwise from the upper left."""
        w, h = self.width / self.dpr, self.height / self.dpr
        return [self.to_slide(*p) for p in ((0, 0), (w, 0), (w, h), (0, h))]

    def centred(self, x: float, y: float) -> Viewport:
        """With that slide point in the middle."""
        return replace(self, cx=x, cy=y)

    def panned(self, dx: float, dy: float) -> Viewport:
        """After the tissue was moved by (dx, dy) logical screen px."""
        c, s = self._cos_sin()
        return replace(
            self, cx=self.cx - (c * dx + s * dy) / self.scale, cy=self.cy - (-s * dx + c * dy) / self.scale
        )

    def zoomed(self, downsample: float, sx: float, sy: float) -> Viewport:
        """At another downsample, with the slide point under (sx, sy) staying where it is."""
        x, y = self.to_slide(sx, sy)
        new = replace(self, downsample=downsample)
        nx, ny = new.to_slide(sx, sy)
        return replace(new, cx=new.cx + x - nx, cy=new.cy + y - ny)

    def rotated(self, degrees: float) -> Viewport:
        """Turned clockwise by ``degrees`` about the centre of the view."""
        # Twice: a tiny negative angle plus 360 rounds to 360.
        return replace(self, rotation=(self.rotation + degrees) % 360 % 360)

    def part(self, x: float, y: float, width: int, height: int) -> Viewport:
        """The view of a part alone (device px)."""
        cx, cy = self.to_slide((x + width / 2) / self.dpr, (y + height / 2) / self.dpr)
        return replace(self, cx=cx, cy=cy, width=width, height=height)

    def resized(self, width: int, height: int, dpr: float) -> Viewport:
        """For a canvas of another size; centre and zoom stay."""
        return replace(self, width=max(1, width), height=max(1, height), dpr=dpr)

    def fitted(self, x0: float, y0: float, x1: float, y1: float, margin: float = 0.02) -> Viewport:
        """Showing a whole level-0 rectangle, with a margin as a share of the view."""
        c, s = (abs(v) for v in self._cos_sin())
        w, h = max(x1 - x0, 1e-6), max(y1 - y0, 1e-6)
        need_w, need_h = c * w + s * h, s * w + c * h
        usable = 1 - 2 * margin
        downsample = max(need_w / (self.width * usable), need_h / (self.height * usable))
        return replace(self, cx=(x0 + x1) / 2, cy=(y0 + y1) / 2, downsample=downsample)

    def limited(self, slide_width: int, slide_height: int) -> Viewport:
        """Kept where there is something to see: the middle inside the slide, the zoom between ``MAX_ZOOM`` and a
        quarter of the fitted one. Sizes in level-0 px.
        """
        fit = self.fitted(0, 0, slide_width, slide_height).downsample
        # A slide smaller than the screen may be enlarged until it fills it.
        finest = min(1 / MAX_ZOOM, fit)
        downsample = min(max(self.downsample, finest), max(4 * fit, finest))
        cx, cy = min(max(self.cx, 0.0), float(slide_width)), min(max(self.cy, 0.0), float(slide_height))
        if (cx, cy, downsample) == (self.cx, self.cy, self.downsample):
            return self
        return replace(self, cx=cx, cy=cy, downsample=downsample)

    def _cos_sin(self) -> tuple[float, float]:
        # Right angles exactly, so that tiles stay on whole pixels there.
        quarter = self.rotation / 90
        if quarter == int(quarter):
            return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
        angle = math.radians(self.rotation)
        return math.cos(angle), math.sin(angle)
