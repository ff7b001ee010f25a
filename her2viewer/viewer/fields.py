"""Where to look next: the fields of a region one after the other, and the field that decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.evidence import CellTable, ClassMap, Evidence
from her2viewer.domain.region import Region

Point = tuple[float, float]
_LEAST_SHARE = 0.02
"""A field that holds less of the region than this share of its own area is passed over, if others show it."""
_NEXT_TO_NOTHING = 1e-4


def serpentine(region: Region, width: float, height: float, shown: float = 1.0) -> list[Point]:
    """Centres of the fields that cover a region, in reading order with every second row backwards.

    Fields that hold next to nothing are passed over where the fields beside them show it, too.

    Args:
        region: what is to be looked through.
        width: of a field, level-0 px.
        height: of a field, level-0 px.
        shown: side of what is seen of a field, as a multiple of its own side: fields may overlap.

    Returns:
        Level-0 px; empty for an empty region.
    """
    if region.empty or width <= 0 or height <= 0:
        return []
    x0, y0, x1, y1 = region.bounds
    columns = max(1, int(np.ceil((x1 - x0) / width)))
    rows = max(1, int(np.ceil((y1 - y0) / height)))
    # The grid is centred on the region, so that a region smaller than a field lies in its middle.
    left = (x0 + x1 - columns * width) / 2
    top = (y0 + y1 - rows * height) / 2
    kept = np.zeros((rows, columns), dtype=bool)
    scraps: list[tuple[int, int, BaseGeometry]] = []
    for row in range(rows):
        y = top + row * height
        strip = shapely.clip_by_rect(region.geometry, x0, y, x1, y + height)
        if strip.is_empty:
            continue
        shapely.prepare(strip)
        edges = left + np.arange(columns) * width
        boxes = shapely.box(edges, y, edges + width, y + height)
        for column in np.flatnonzero(shapely.intersects(strip, boxes)).tolist():
            part = shapely.clip_by_rect(strip, edges[column], y, edges[column] + width, y + height)
            kept[row, column] = part.area > _LEAST_SHARE * width * height
            if not kept[row, column]:
                scraps.append((row, column, part))

    def centre(row: int, column: int) -> Point:
        return (left + (column + 0.5) * width, top + (row + 0.5) * height)

    half_w, half_h = shown * width / 2, shown * height / 2
    for row, column, part in scraps:
        # Fields kept for their scraps count, too.
        r0, c0 = max(0, row - 1), max(0, column - 1)
        near = np.argwhere(kept[r0 : row + 2, c0 : column + 2]).tolist()
        middles = [centre(r0 + r, c0 + c) for r, c in near]
        seen = shapely.union_all([shapely.box(x - half_w, y - half_h, x + half_w, y + half_h) for x, y in middles])
        kept[row, column] = part.difference(seen).area > _NEXT_TO_NOTHING * width * height
    found: list[Point] = []
    for row in range(rows):
        hits = np.flatnonzero(kept[row]).tolist()
        found += [centre(row, column) for column in (hits[::-1] if row % 2 else hits)]
    if not found:
        # A thin region slips through every field: show its middle.
        point = region.geometry.representative_point()
        found.append((point.x, point.y))
    return found


def neighbour(fields: Sequence[Point], at: Point, step: int) -> Point | None:
    """The field ``step`` (1 or -1) after the one that lies nearest to ``at``; goes round at the ends.

    From a place that is not on a field, the first step goes to the nearest field itself.
    """
    if not fields:
        return None
    distances = [(x - at[0]) ** 2 + (y - at[1]) ** 2 for x, y in fields]
    nearest = int(np.argmin(distances))
    if distances[nearest] > 1.0:
        return fields[nearest]
    return fields[(nearest + step) % len(fields)]


def densest_field(
    evidence: Iterable[Evidence], region: Region, classes: Sequence[int], width: float, height: float
) -> Point | None:
    """Centre of the field that holds most tumour of these HER2 classes, level-0 px.

    Cells are counted by their number, patches by their tumour weight; only what lies inside ``region`` counts.
    None where there is nothing of these classes.
    """
    xs: list[NDArray[Any]] = []
    ys: list[NDArray[Any]] = []
    weights: list[NDArray[Any]] = []
    for item in evidence:
        if isinstance(item, CellTable):
            wanted = np.isin(np.asarray(item.scheme.her2)[item.classes], classes)
            xs.append(item.x[wanted])
            ys.append(item.y[wanted])
            weights.append(np.ones(int(wanted.sum())))
        elif isinstance(item, ClassMap):
            # A code above the scheme's classes stands for "not scored".
            codes = np.full(256, -1)
            codes[: len(item.scheme.her2)] = item.scheme.her2
            wanted = np.isin(codes[item.classes], classes)
            gx, gy = item.grid.centres()
            xs.append(gx[wanted])
            ys.append(gy[wanted])
            weights.append(item.weight[wanted])
    if not xs:
        return None
    x, y, weight = np.concatenate(xs), np.concatenate(ys), np.concatenate(weights)
    inside = region.contains_points(x, y)
    x, y, weight = x[inside], y[inside], weight[inside]
    if not len(x) or weight.sum() <= 0:
        return None
    # Quarter fields, summed four by four: the best field is found to a quarter of its size.
    cell_w, cell_h = width / 4, height / 4
    column = ((x - x.min()) // cell_w).astype(int)
    row = ((y - y.min()) // cell_h).astype(int)
    table = np.zeros((row.max() + 1, column.max() + 1))
    np.add.at(table, (row, column), weight)
    sums = np.pad(table, 3).cumsum(0).cumsum(1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    windows = sums[4:, 4:] - sums[:-4, 4:] - sums[4:, :-4] + sums[:-4, :-4]
    best_row, best_column = np.unravel_index(int(np.argmax(windows)), windows.shape)
    # The window starts three quarter fields before the padded origin.
    left = x.min() + (best_column - 3) * cell_w
    top = y.min() + (best_row - 3) * cell_h
    held = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
    centre_x = float(np.average(x[held], weights=weight[held]))
    centre_y = float(np.average(y[held], weights=weight[held]))
    return (centre_x, centre_y)
