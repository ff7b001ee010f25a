"""Which tiles a view wants, in which order. No Qt here; the order is a rule and has its tests.

1. the kept overview (base) of what is visible, where it is not there yet: an image at once, even if coarse;
2. what is visible at the zoom of the screen, nearest to the middle first;
3. what will be visible next: in the direction of the pan, at the next step of the zoom, in the next field;
4. the next coarser level around the view: what a quick pan or a step out falls back to;
5. the rest of the base, so that the view is never blank anywhere;
6. a ring around the view;
7. the next finer level in the middle of the view: a step in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from her2viewer.viewer.canvas.grid import Box, Pyramid, Scale, TileKey, nearest_first, view_box
from her2viewer.viewer.canvas.viewport import Viewport

RING = 1
"""Tiles around the view that are loaded ahead."""
MOST_AHEAD = 120
"""Tiles loaded ahead of the reader, at most; a larger screen needs no more."""
MOST_EXPECTED = 60
"""Of these, tiles of the views that are expected next."""
MOST_FINER = 24


def visible_tiles(view: Viewport, scale: Scale, ring: int = 0) -> list[TileKey]:
    """Tiles of a scale that show in the view (``ring`` tiles more on each side), nearest to its middle first.

    In a turned view the corners of the surrounding rectangle are left out.
    """
    return nearest_first(tiles_in_view(view, scale, ring), view)


def tiles_in_view(view: Viewport, scale: Scale, ring: int = 0) -> list[TileKey]:
    """As ``visible_tiles``, row by row."""
    box = view_box(view, scale.downsample)
    side = int(scale.span / scale.ratio) + 1
    grown = Box(box.x0 - ring * side, box.y0 - ring * side, box.x1 + ring * side, box.y1 + ring * side)
    columns, rows = scale.tiles(grown)
    if view.rotation % 90:
        return list(_showing(scale, columns, rows, view, ring * side))
    return [TileKey(scale, column, row) for row in rows for column in columns]


def wanted(
    view: Viewport, pyramid: Pyramid, have: Callable[[TileKey], bool], expected: Sequence[Viewport] = ()
) -> tuple[list[TileKey], int]:
    """All missing tiles in the order of the module's list, and how many of them the present frame needs.

    Args:
        view: what the canvas shows.
        pyramid: levels of the slide.
        have: whether a tile is at hand (or known to be broken).
        expected: views that are likely to come next, the likeliest first; their tiles come in the order in which
            the present view meets them.
    """
    scale, base = pyramid.scale(view.downsample), pyramid.base()
    order: dict[TileKey, None] = {}

    def add(keys: Iterable[TileKey], most: int | None = None) -> None:
        # Sorted late: mostly there is little left to sort.
        missing = [key for key in keys if key not in order and not have(key)]
        for key in nearest_first(missing, view):
            if most is not None and len(order) >= most:
                return
            order[key] = None

    add(tiles_in_view(view, base))
    add(tiles_in_view(view, scale))
    urgent = len(order)
    most = urgent + MOST_AHEAD
    for following in expected:
        tiles = visible_tiles(following, pyramid.scale(following.downsample))
        add(nearest_first(tiles, view), urgent + MOST_EXPECTED)
    if scale.level + 1 < len(pyramid.levels):
        coarser = pyramid.natural(scale.level + 1)
        if coarser.downsample < base.downsample:
            add(tiles_in_view(view, coarser, ring=1), most)
    add(TileKey(base, c, r) for r in range(base.rows) for c in range(base.columns))
    most = max(most, len(order) + MOST_AHEAD // 2)
    add(tiles_in_view(view, scale, ring=RING), most)
    if scale.level > 0 and scale.downsample < 2 * pyramid.levels[scale.level].downsample:
        finer = pyramid.natural(scale.level - 1)
        share = finer.downsample / view.downsample
        middle = replace(view, width=max(1, int(share * view.width)), height=max(1, int(share * view.height)))
        add(visible_tiles(middle, finer)[:MOST_FINER], most)
    return list(order), urgent


def _showing(scale: Scale, columns: range, rows: range, view: Viewport, margin: float) -> Iterator[TileKey]:
    """Tiles that can touch a turned view: by their half diagonal, so a few too many rather than one too few."""
    step, factor = scale.span / scale.ratio, scale.downsample / view.downsample
    angle = math.radians(view.rotation)
    c, s = factor * math.cos(angle), factor * math.sin(angle)
    x, y = view.cx / scale.downsample, view.cy / scale.downsample
    reach = factor * (0.75 * step + margin)
    right, bottom = view.width / 2 + reach, view.height / 2 + reach
    for row in rows:
        dy = (row + 0.5) * step - y
        for column in columns:
            dx = (column + 0.5) * step - x
            if abs(c * dx - s * dy) <= right and abs(s * dx + c * dy) <= bottom:
                yield TileKey(scale, column, row)
