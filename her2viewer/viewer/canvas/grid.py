"""The grid of screen tiles: whole pixels of one endless screen per zoom, so that neighbours meet without a seam.

At a zoom (level-0 px per screen px) the whole slide is one large picture of screen pixels. A tile is the part of it
that comes from a square block of source pixels of one level; its edges are rounded to whole screen pixels by one
rule, so that the right edge of a tile is always the left edge of the next. A pan moves tiles by whole pixels.
No Qt here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from her2viewer.slides.slide import Level, Slide
from her2viewer.viewer.canvas.viewport import Viewport

MIN_SIDE, MAX_SIDE = 192, 512
"""A screen tile is about this large, px: smaller ones cost blits, larger ones make the first pixels late."""
SHARP_ENOUGH = 1.1
"""A coarser level may be enlarged by this much before the next finer one is read: one reads up to 16 times less."""
BASE_PIXELS = 4_000_000
"""The whole slide is always kept at a zoom of at most this many px: what the view falls back to."""


class Box(NamedTuple):
    """A rectangle of whole screen pixels of one scale; the right and lower edges are outside."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.y1 - self.y0

    @property
    def empty(self) -> bool:
        """True where it holds no pixel."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def intersected(self, other: Box) -> Box:
        """Pixels in both; possibly empty."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def widened(self, margin: int) -> Box:
        """With so many pixels more on each side."""
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)


class TileKey(NamedTuple):
    """One screen tile of one scale."""

    scale: Scale
    column: int
    row: int


class Scale(NamedTuple):
    """One zoom rendered from one level. Hashable: it is part of the key of every tile."""

    level: int
    downsample: float
    """Level-0 px per screen px."""
    span: int
    """Side of the source block of a tile, px of the level."""
    ratio: float
    """Source px (of the level) per screen px; below 1 the level is enlarged."""
    width: int
    """Size of the level, px."""
    height: int
    state: int
    """Which slide with which display transform: a tile of another state is stale."""

    @property
    def extent(self) -> Box:
        """The whole slide in screen pixels of this scale."""
        return _measures(self)[0]

    @property
    def columns(self) -> int:
        """Tiles across the slide; a rest that rounds to no screen pixel at all is none."""
        return _measures(self)[1]

    @property
    def rows(self) -> int:
        """Tiles down the slide."""
        return _measures(self)[2]

    def box(self, column: int, row: int) -> Box:
        """Screen pixels of a tile; never empty for a column and row of the scale."""
        return self.block(column, row, column + 1, row + 1)

    def block(self, column: int, row: int, end_column: int, end_row: int) -> Box:
        """Screen pixels of the tiles from (column, row) up to and without (end_column, end_row)."""
        extent, columns, rows = _measures(self)
        step = self.span / self.ratio
        return Box(
            min(math.floor(column * step + 0.5), extent.x1),
            min(math.floor(row * step + 0.5), extent.y1),
            extent.x1 if end_column >= columns else min(math.floor(end_column * step + 0.5), extent.x1),
            extent.y1 if end_row >= rows else min(math.floor(end_row * step + 0.5), extent.y1),
        )

    def tiles(self, box: Box) -> tuple[range, range]:
        """Columns and rows of the tiles that touch ``box``, cut to the slide."""
        inside = box.intersected(self.extent)
        if inside.empty:
            return range(0), range(0)
        return (
            self._indices(inside.x0, inside.x1, self.columns),
            self._indices(inside.y0, inside.y1, self.rows),
        )

    def mapped(self, box: Box, other: Scale) -> Box:
        """The same area in screen pixels of another scale, edges rounded: neighbours still share their edges."""
        f = self.downsample / other.downsample
        return Box(_rounded(box.x0 * f), _rounded(box.y0 * f), _rounded(box.x1 * f), _rounded(box.y1 * f))

    def _edge(self, index: int) -> int:
        return math.floor(index * (self.span / self.ratio) + 0.5)

    def _indices(self, low: int, high: int, count: int) -> range:
        # The guess from the unrounded edges is at most one off.
        first = min(count - 1, max(0, int(low * self.ratio // self.span)))
        while first > 0 and self._edge(first) > low:
            first -= 1
        while first < count - 1 and self._edge(first + 1) <= low:
            first += 1
        end = min(count, max(first + 1, int(high * self.ratio // self.span)))
        while end < count and self._edge(end) < high:
            end += 1
        while end > first + 1 and self._edge(end - 1) >= high:
            end -= 1
        return range(first, end)

    def _count(self, size: int, screen: int) -> int:
        count = -(-size // self.span)
        return count - 1 if count > 1 and self._edge(count - 1) >= screen else count


@dataclass(frozen=True)
class Pyramid:
    """Which level is read for which zoom, and how its tiles are cut."""

    levels: tuple[Level, ...]
    state: int = 0

    @classmethod
    def of(cls, slide: Slide, state: int = 0) -> Pyramid:
        """The pyramid of a slide; levels sorted by fineness as the slide gives them."""
        return cls(tuple(slide.levels), state)

    def scale(self, downsample: float) -> Scale:
        """How the zoom ``downsample`` (level-0 px per screen px) is rendered."""
        best = 0
        for index, level in enumerate(self.levels):
            if level.downsample <= downsample * (SHARP_ENOUGH if index else 1.0):
                best = index
        return self._scale(best, downsample)

    def natural(self, level: int) -> Scale:
        """A level as it is, one source px per screen px."""
        return self._scale(level, self.levels[level].downsample)

    def base(self) -> Scale:
        """The whole slide at a zoom of at most ``BASE_PIXELS``; its tiles stay in memory."""
        last = self.levels[-1]
        factor = 1
        while (last.width / factor) * (last.height / factor) > BASE_PIXELS:
            factor *= 2
        return self._scale(len(self.levels) - 1, last.downsample * factor)

    def _scale(self, index: int, downsample: float) -> Scale:
        level = self.levels[index]
        ratio = downsample / level.downsample
        if abs(ratio - 1) < 1e-9:
            ratio = 1.0
        span = block_side(level)
        while span / ratio < MIN_SIDE:
            span *= 2
        while span / ratio > MAX_SIDE and span % 2 == 0 and span > 16:
            span //= 2
        return Scale(index, downsample, span, ratio, level.width, level.height, self.state)


def block_side(level: Level) -> int:
    """Side of the square block in which a level is decoded, px: whole tiles of the file where they allow it."""
    small, large = sorted((level.tile_width, level.tile_height))
    if small >= 64 and large <= 1024 and large % small == 0:
        return large
    return 256


@lru_cache(maxsize=8)
def aligned(view: Viewport) -> Viewport:
    """The view moved by at most half a device pixel, so that tiles fall on whole pixels.

    Everything in a frame is drawn with this view: tissue, layers and tool share one rounding. Any two aligned views
    of one zoom and turn differ by whole pixels of the screen.
    """
    if view.rotation % 90:
        x, y = screen_origin(view)
        u, v = x + view.width / 2, y + view.height / 2
        c, s = _cos_sin(view)
        return replace(view, cx=(c * u + s * v) * view.downsample, cy=(-s * u + c * v) * view.downsample)
    w, h = (view.width, view.height) if view.rotation % 180 == 0 else (view.height, view.width)
    return replace(
        view,
        cx=(_rounded(view.cx / view.downsample - w / 2) + w / 2) * view.downsample,
        cy=(_rounded(view.cy / view.downsample - h / 2) + h / 2) * view.downsample,
    )


def screen_origin(view: Viewport) -> tuple[int, int]:
    """Where the upper left corner of a view lies in the endless picture of its zoom and turn, whole device px."""
    c, s = _cos_sin(view)
    x, y = view.cx / view.downsample, view.cy / view.downsample
    return _rounded(c * x - s * y - view.width / 2), _rounded(s * x + c * y - view.height / 2)


def _cos_sin(view: Viewport) -> tuple[float, float]:
    quarter = view.rotation / 90
    if quarter == int(quarter):
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    angle = math.radians(view.rotation)
    return math.cos(angle), math.sin(angle)


def view_box(view: Viewport, downsample: float, grow: float = 0.0) -> Box:
    """Screen pixels at ``downsample`` that hold everything visible; ``grow`` widens it by a share of the view.

    For an aligned view at its own downsample and no rotation these are exactly its pixels.
    """
    x0, y0, x1, y1 = (v / downsample for v in view.bounds())
    mx, my = grow * (x1 - x0), grow * (y1 - y0)
    tiny = 1e-6
    return Box(
        math.floor(x0 - mx + tiny), math.floor(y0 - my + tiny), math.ceil(x1 + mx - tiny), math.ceil(y1 + my - tiny)
    )


def nearest_first(keys: Sequence[TileKey], view: Viewport) -> list[TileKey]:
    """Keys sorted by the distance of their middle from the middle of the view; equal ones row by row."""

    def distance(key: TileKey) -> tuple[float, int, int]:
        scale, column, row = key
        # Level-0 px per tile; the last, narrower tiles count as whole ones.
        side = scale.span / scale.ratio * scale.downsample
        return (math.hypot((column + 0.5) * side - view.cx, (row + 0.5) * side - view.cy), row, column)

    return sorted(keys, key=distance)


@lru_cache(maxsize=512)
def _measures(scale: Scale) -> tuple[Box, int, int]:
    """Extent, columns and rows: asked for some thousand times a frame."""
    width, height = max(1, _rounded(scale.width / scale.ratio)), max(1, _rounded(scale.height / scale.ratio))
    return Box(0, 0, width, height), scale._count(scale.width, width), scale._count(scale.height, height)


def _rounded(value: float) -> int:
    # Not round(): its ties go to even numbers, which would make tile sizes jump by two.
    return math.floor(value + 0.5)
