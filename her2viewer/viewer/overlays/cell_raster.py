"""Cells drawn into arrays, in worker threads: outlines when close, dots in between, density when far.

No Qt here. Arrays are premultiplied BGRA, the memory order of ``QImage.Format_ARGB32_Premultiplied`` on the
little-endian machines that Qt's desktop wheels are made for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.cell_corrections import NO_CELL
from her2viewer.viewer.overlays.cell_index import Box, CellChunk, CellDensity, among_all
from her2viewer.viewer.overlays.cell_marks import mark_removed, mark_said

OUTLINE_PX = 8.0
"""Cells at least this wide on the screen are outlined."""
DOT_PX = 2.6
"""Below this width cells would run into each other as dots: their density is drawn."""
_DENSITY_BLOCK_PX = 3.0
"""Smallest block of the density view, device px: finer ones would flicker."""

ONE_PX = 0.6
"""A dot of this radius is one px."""
_SOFT = 0.7
"""Px from the radius of a dot to where its rim ends: half the rim, and what makes it as large as its circle."""

_SEEN = 0.15
"""Shares of a px below this are not seen and left out."""

_MARK, _EDGE = np.array([255, 255, 255], dtype=np.uint8), np.array([16, 16, 20], dtype=np.uint8)
"""RGB of what the reader has chosen: no class has these colours."""

_CROWD_PX = 10.0
"""Marked cells that lie closer than this on the screen, in the mean of a tile, have no edge."""

BGRA = NDArray[np.uint8]
"""(h, w, 4) premultiplied."""


class CellView(Enum):
    """How cells are drawn at a zoom."""

    OUTLINES = "outlines"
    DOTS = "dots"
    DENSITY = "density"


@dataclass(frozen=True)
class CellStyle:
    """Colours and what is shown."""

    colors: NDArray[np.uint8]
    """(classes, 3) RGB."""
    shown: NDArray[np.bool_]
    """(classes,)."""
    order: tuple[int, ...]
    """Classes in the order of drawing: the strongest last, so that a few 3+ cells are not painted over."""


def view_for(cell_size: float, downsample: float) -> CellView:
    """How to draw cells of ``cell_size`` level-0 px at ``downsample`` level-0 px per device px."""
    on_screen = cell_size / downsample
    if on_screen >= OUTLINE_PX:
        return CellView.OUTLINES
    return CellView.DOTS if on_screen >= DOT_PX else CellView.DENSITY


def draw_cells(
    chunks: tuple[CellChunk, ...],
    box: Box,
    *,
    size: int,
    downsample: float,
    style: CellStyle,
    cell_size: float,
) -> BGRA | None:
    """Outlines or dots of one tile; None where no cell touches it.

    Args:
        chunks: the indexed cells.
        box: the tile in level-0 px.
        size: side of the tile, device px.
        downsample: level-0 px per device px.
        style: colours and shown classes.
        cell_size: diameter of a cell, level-0 px; cells reach over the tile's edge by this much.
    """
    reach = cell_size
    x0, y0, x1, y1 = box
    wide = (x0 - reach, y0 - reach, x1 + reach, y1 + reach)
    found = [(chunk, chunk.inside(wide)) for chunk in chunks]
    outlines = view_for(cell_size, downsample) is CellView.OUTLINES
    gone = [(chunk, at[chunk.classes[at] == NO_CELL]) for chunk, at in found] if outlines else []
    shown = among_all(style.shown)
    found = [(chunk, at[shown[chunk.classes[at]]]) for chunk, at in found]
    found = [(chunk, at) for chunk, at in found if len(at)]
    if not found and not any(len(at) for _, at in gone):
        return None
    image = np.zeros((size, size, 4), dtype=np.uint8)
    radius = float(np.clip(0.32 * cell_size / downsample, ONE_PX, 3.0))
    for code in style.order:
        color = style.colors[code]
        for chunk, at in found:
            picked = at[chunk.classes[at] == code]
            if outlines:
                _outline(
                    image, chunk, picked, origin=(x0, y0), downsample=downsample, color=color, cell_size=cell_size
                )
            else:
                x, y = (chunk.x[picked] - x0) / downsample, (chunk.y[picked] - y0) / downsample
                _dots(image, x, y, color, radius)
    if outlines:
        for chunk, at in found:
            mark_said(image, chunk, at, (x0, y0), downsample, style.colors, cell_size)
        for chunk, at in gone:
            mark_removed(image, chunk, at, (x0, y0), downsample, cell_size)
    return image


def draw_marked(chunk: CellChunk, box: Box, *, size: int, downsample: float, cell_size: float) -> BGRA | None:
    """Cells set off from all others at every zoom: a white line with a dark edge around each, or a dot of that kind.

    Arguments as ``draw_cells``; None where no cell touches the tile.
    """
    reach = max(cell_size, 4 * downsample)
    x0, y0, x1, y1 = box
    at = chunk.inside((x0 - reach, y0 - reach, x1 + reach, y1 + reach))
    if not len(at):
        return None
    image = np.zeros((size, size, 4), dtype=np.uint8)
    x, y = (chunk.x[at] - x0) / downsample, (chunk.y[at] - y0) / downsample
    if len(at) > (size / _CROWD_PX) ** 2:
        # From afar so many would cover all: one px each shows where they are dense.
        _dots(image, x, y, _MARK, ONE_PX)
        return image
    outlines = view_for(cell_size, downsample) is CellView.OUTLINES
    wide = 2 if cell_size / downsample > 40 else 1
    for color, thickness, radius in ((_EDGE, wide + 3, 3.2), (_MARK, wide, 1.8)):
        if outlines:
            _outline(
                image,
                chunk,
                at,
                origin=(x0, y0),
                downsample=downsample,
                color=color,
                cell_size=cell_size,
                thickness=thickness,
            )
        else:
            _dots(image, x, y, color, radius)
    return image


def _outline(
    image: BGRA,
    chunk: CellChunk,
    picked: NDArray[np.int64],
    *,
    origin: tuple[float, float],
    downsample: float,
    color: NDArray[np.uint8],
    cell_size: float,
    thickness: int = 0,
) -> None:
    import cv2

    if len(picked) == 0:
        return
    shift, one = 4, 16
    table = chunk.table
    thickness = thickness or (2 if cell_size / downsample > 40 else 1)
    # Drawn over zeros, the anti-aliased line is colour times coverage in all four channels: premultiplied already.
    ink = (int(color[2]), int(color[1]), int(color[0]), 255)
    offset = np.array(origin, dtype=np.float64)
    lines = []
    bare = []
    if table.contours is not None and table.contour_starts is not None:
        rows = chunk.order[picked]
        begin, end = table.contour_starts[rows], table.contour_starts[rows + 1]
        lengths = end - begin
        bare_mask = lengths < 2
        bare = picked[bare_mask].tolist()
        begin, lengths = begin[~bare_mask], lengths[~bare_mask]
        if len(begin):
            flat = np.repeat(begin - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(
                lengths.sum()
            )
            points = ((table.contours[flat] - offset) * (one / downsample) - one / 2).round().astype(np.int32)
            lines = np.split(points, np.cumsum(lengths)[:-1])
    else:
        bare = picked.tolist()
    if lines:
        cv2.polylines(image, lines, True, ink, thickness, cv2.LINE_AA, shift)
    radius = round(0.45 * cell_size / downsample * one)
    for i in bare:
        centre = ((chunk.x[i] - origin[0]) / downsample, (chunk.y[i] - origin[1]) / downsample)
        cv2.circle(
            image, (round(centre[0] * one), round(centre[1] * one)), radius, ink, thickness, cv2.LINE_AA, shift
        )


def _dots(
    image: BGRA, x: NDArray[np.float32], y: NDArray[np.float32], color: NDArray[np.uint8], radius: float
) -> None:
    """Round dots with soft rims, their middles in the middles of px. Rims cover nothing that is fuller."""
    if len(x) == 0:
        return
    h, w = image.shape[:2]
    pixels = image.view(np.uint32).reshape(h * w)
    ink = np.array([color[2], color[1], color[0], 255])
    cx, cy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    for (dx, dy), share in _disc(radius).items():
        px, py = cx + dx, cy + dy
        keep = (px >= 0) & (px < w) & (py >= 0) & (py < h)
        at = py[keep] * w + px[keep]
        full = np.round(ink * share).astype(np.uint8)
        if share < 1:
            at = at[pixels[at] >> 24 < full[3]]
        pixels[at] = full.view(np.uint32)[0]


@lru_cache(maxsize=64)
def _disc(radius: float) -> dict[tuple[int, int], float]:
    """How much of each px around its middle one a dot covers, 0 to 1, the rim first."""
    if radius <= ONE_PX:
        return {(0, 0): 1.0}
    reach = int(np.ceil(radius + _SOFT))
    around = range(-reach, reach + 1)
    shares = {(dx, dy): min(1.0, radius + _SOFT - float(np.hypot(dx, dy))) for dx in around for dy in around}
    return dict(sorted(((at, share) for at, share in shares.items() if share > _SEEN), key=lambda each: each[1]))


def draw_density(
    density: CellDensity, box: Box, *, size: int, downsample: float, style: CellStyle, cell_size: float
) -> BGRA | None:
    """Density of one tile: each block has the colour of its most frequent shown class, the stronger the fuller.

    Blocks are whole bins joined by powers of two, drawn with hard edges: what is shown is what was counted. A block
    in which the strongest class that is shown occurs, but is not the most frequent, has a point of that class in its
    middle: from afar a few 3+ cells must not vanish.
    Arguments as ``draw_cells``; None where there is no cell.
    """
    join = 1
    while density.bin * join / downsample < _DENSITY_BLOCK_PX:
        join *= 2
    side = density.bin * join
    x0, y0, x1, y1 = box
    c0, r0 = max(0, int(x0 // side)), max(0, int(y0 // side))
    c1 = min(-(-density.columns // join), int(x1 // side) + 1)
    r1 = min(-(-density.rows // join), int(y1 // side) + 1)
    if c0 >= c1 or r0 >= r1:
        return None
    block = density.counts[:, r0 * join : r1 * join, c0 * join : c1 * join]
    if not block.any():
        return None
    counts = _joined(block, join)
    h, w = counts.shape[1:]
    counts[~style.shown] = 0
    total = counts.sum(axis=0)
    if not total.any():
        return None
    # Of equally frequent classes the one drawn last, the strongest, gives the colour.
    order = np.array(style.order[::-1])
    winner = order[np.argmax(counts[order], axis=0)]
    full = side * side / (cell_size * cell_size) * 0.5
    strength = np.where(total > 0, 0.35 + 0.65 * np.minimum(1.0, total / full), 0.0)
    rgba = np.empty((h, w, 4), dtype=np.uint8)
    rgba[..., :3] = (style.colors[winner][..., ::-1] * strength[..., None]).astype(np.uint8)
    rgba[..., 3] = (255 * strength).astype(np.uint8)
    # Where something is counted, a class is shown.
    strongest = next(code for code in reversed(style.order) if style.shown[code])
    points = (counts[strongest] > 0) & (winner != strongest)
    at = (np.arange(size) + 0.5) * downsample
    columns = ((x0 + at) // side).astype(np.int64) - c0
    rows = ((y0 + at) // side).astype(np.int64) - r0
    inside_c, inside_r = (columns >= 0) & (columns < w), (rows >= 0) & (rows < h)
    image = np.zeros((size, size), dtype=np.uint32)
    if inside_c.any() and inside_r.any():
        # Both are one run, so plain slices serve; pixels are moved as whole words.
        at_r, at_c = np.flatnonzero(inside_r), np.flatnonzero(inside_c)
        words = rgba.view(np.uint32)[..., 0]
        picked = words[rows[inside_r]][:, columns[inside_c]]
        image[at_r[0] : at_r[-1] + 1, at_c[0] : at_c[-1] + 1] = picked
    if points.any():
        row, column = np.nonzero(points)
        x = ((column + c0 + 0.5) * side - x0) / downsample
        y = ((row + r0 + 0.5) * side - y0) / downsample
        _points(image, x, y, style.colors[strongest], max(1, round(side / downsample / 3)))
    return image.view(np.uint8).reshape(size, size, 4)


def _points(
    image: NDArray[np.uint32],
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    color: NDArray[np.uint8],
    side: int,
) -> None:
    """Squares of ``side`` px around places in px of an image."""
    ink = np.array([color[2], color[1], color[0], 255], dtype=np.uint8).view(np.uint32)[0]
    left, top = np.floor(x - (side - 1) / 2).astype(np.int64), np.floor(y - (side - 1) / 2).astype(np.int64)
    height, width = image.shape
    for down in range(side):
        for right in range(side):
            px, py = left + right, top + down
            keep = (px >= 0) & (px < width) & (py >= 0) & (py < height)
            image[py[keep], px[keep]] = ink


def _joined(block: NDArray[np.uint16], join: int) -> NDArray[np.uint32]:
    """Counts in blocks of ``join`` x ``join`` bins (a power of two); bins beyond the edge are empty."""
    counts = block.astype(np.uint32)
    while join > 1:
        odd_r, odd_c = counts.shape[1] % 2, counts.shape[2] % 2
        if odd_r or odd_c:
            counts = np.pad(counts, ((0, 0), (0, odd_r), (0, odd_c)))
        counts = counts[:, 0::2] + counts[:, 1::2]
        counts = counts[:, :, 0::2] + counts[:, :, 1::2]
        join //= 2
    return counts
