"""Which fields of a slide represent its result: where what decides is densest, where it is least, what is typical."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, FieldVotes, Heatmap
from her2viewer.domain.region import Region
from her2viewer.guidelines.decision import Decision, deciding_classes

FIELD_UM = 400.0
"""Side of a field."""
_CONTROL_UM = 1600.0
"""Side of the largest field of control tissue."""
_BINS = 4
"""Bins along the side of a field: its place is found to a quarter of its side."""
_ENOUGH = 0.3
"""A field counts as full of tumour from this part of the fullest field."""


@dataclass(frozen=True)
class FieldChoice:
    """A field and why it was taken; centre and side in level-0 px."""

    x: float
    y: float
    side: float
    title: str


@dataclass(frozen=True)
class _Points:
    """Evidence as points: cells, or patches with their tumour weight. Each array is (n,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    her2: NDArray[np.int64]
    weight: NDArray[np.float64]


def choose_fields(
    evidence: Iterable[Evidence], region: Region, mpp: float, decision: Decision | None, count: int = 3
) -> tuple[FieldChoice, ...]:
    """Up to ``count`` fields inside the region that do not overlap; the middle of the region where nothing is known.

    Args:
        evidence: of the result.
        region: the reader's region.
        mpp: um per level-0 px.
        decision: what the guideline said; its deciding class is looked for.
        count: how many fields at most.
    """
    side = FIELD_UM / mpp
    if region.empty:
        return ()
    items = tuple(evidence)
    for kind in (CellTable, ClassMap):
        for item in items:
            if isinstance(item, kind):
                chosen = _by_class(_points(item, region), side, deciding_classes(decision), count)
                if chosen:
                    return chosen
    for item in items:
        if isinstance(item, Heatmap) and (chosen := _by_value(item, region, side)):
            return chosen[:count]
        if isinstance(item, FieldVotes) and item.fields:
            return _by_votes(item)[:count]
    middle = region.geometry.representative_point()
    centre = region.geometry.centroid
    if region.geometry.contains(centre):
        middle = centre
    return (FieldChoice(middle.x, middle.y, side, "Middle of the region"),)


def control_field(control: Region, mpp: float) -> FieldChoice | None:
    """A field that shows all of the control tissue, or its largest piece where it is spread; None without one.

    A row of graded controls is of use only where the weak and the strong ones are seen side by side.
    """
    if control.empty:
        return None
    x0, y0, x1, y1 = control.bounds
    side = 1.1 * max(x1 - x0, y1 - y0)
    if side * mpp <= _CONTROL_UM:
        return FieldChoice((x0 + x1) / 2, (y0 + y1) / 2, max(side, FIELD_UM / mpp), "Control tissue")
    largest = max(shapely.get_parts(control.geometry), key=lambda part: part.area)
    middle = largest.representative_point()
    return FieldChoice(middle.x, middle.y, FIELD_UM / mpp, "Control tissue")


def on_slide(field: FieldChoice, width: int, height: int) -> FieldChoice:
    """The field moved so that it lies on a slide of ``width`` x ``height`` level-0 px, if it has room there."""
    half = field.side / 2
    x = width / 2 if width < field.side else min(max(field.x, half), width - half)
    y = height / 2 if height < field.side else min(max(field.y, half), height - half)
    return replace(field, x=x, y=y)


def _points(item: CellTable | ClassMap, region: Region) -> _Points:
    if isinstance(item, CellTable):
        x, y, classes = item.x.astype(np.float64), item.y.astype(np.float64), item.classes
        weight = np.ones(len(item))
    else:
        rows, columns = np.nonzero(item.shown)
        x = item.grid.x + (columns.astype(np.float64) + 0.5) * item.grid.step
        y = item.grid.y + (rows.astype(np.float64) + 0.5) * item.grid.step
        classes = item.classes[rows, columns]
        weight = item.weight[rows, columns].astype(np.float64)
    her2 = np.asarray(item.scheme.her2, dtype=np.int64)[classes]
    keep = region.contains_points(x, y) & (her2 >= 0) & (weight > 0)
    return _Points(x[keep], y[keep], her2[keep], weight[keep])


def _by_class(points: _Points, side: float, deciding: tuple[int, ...], count: int) -> tuple[FieldChoice, ...]:
    import cv2

    if len(points.x) == 0:
        return ()
    step = side / _BINS
    # Windows may hang over the edge of the region, so that a small core ends up in the middle of its field.
    x0, y0 = points.x.min() - side + step, points.y.min() - side + step
    columns = ((points.x - x0) / step).astype(np.int64)
    rows = ((points.y - y0) / step).astype(np.int64)
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    windows = []
    for her2 in range(4):
        mine = points.her2 == her2
        flat = np.bincount(rows[mine] * shape[1] + columns[mine], points.weight[mine], minlength=shape[0] * shape[1])
        windows.append(
            cv2.boxFilter(
                flat.reshape(shape),
                cv2.CV_64F,
                (_BINS, _BINS),
                anchor=(0, 0),
                normalize=False,
                borderType=cv2.BORDER_CONSTANT,
            )
        )
    amounts = np.stack(windows)
    tumour = amounts.sum(axis=0)
    shares = np.array([points.weight[points.her2 == c].sum() for c in range(4)]) / points.weight.sum()
    if not deciding or not any(shares[c] > 0 for c in deciding):
        deciding = (int(np.argmax(shares)),)
    wanted = amounts[list(deciding)].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(tumour > 0, wanted / tumour, 0.0)
        distance = np.where(tumour > 0, np.abs(amounts / tumour - shares[:, None, None]).sum(axis=0), np.inf)
    full = tumour >= _ENOUGH * tumour.max()
    label = " and ".join(HER2_LABELS[c] for c in deciding)
    free = np.ones(shape, dtype=bool)
    chosen: list[FieldChoice] = []

    def take(value: NDArray[np.float64], allowed: NDArray[np.bool_], title: str) -> tuple[int, int] | None:
        """The window with the highest value among the allowed and free ones."""
        open_to = np.where(allowed & free & (tumour > 0), value, -np.inf)
        row, column = np.unravel_index(int(np.argmax(open_to)), shape)
        if len(chosen) >= count or not np.isfinite(open_to[row, column]):
            return None
        left, top = x0 + column * step, y0 + row * step
        inside = (points.x >= left) & (points.x < left + side) & (points.y >= top) & (points.y < top + side)
        # A nearly empty window looks better round what it holds, unless that pushes it over an earlier field.
        cx = float(points.x[inside].min() + points.x[inside].max()) / 2
        cy = float(points.y[inside].min() + points.y[inside].max()) / 2
        if any(abs(cx - c.x) < side and abs(cy - c.y) < side for c in chosen):
            cx, cy = left + side / 2, top + side / 2
        chosen.append(FieldChoice(cx, cy, side, title))
        near_x = np.abs(x0 + np.arange(shape[1]) * step + side / 2 - cx) < side
        near_y = np.abs(y0 + np.arange(shape[0]) * step + side / 2 - cy) < side
        free[np.ix_(near_y, near_x)] = False
        return int(row), int(column)

    densest = take(wanted, np.ones(shape, dtype=bool), f"Where {label} is densest")
    if densest is not None:
        fuller = np.where(tumour.max() > 0, tumour / tumour.max(), 0.0)
        differs = part < part[densest] - 0.1
        take(-part + 0.1 * fuller, full & differs, f"Where {label} is rarest")
    take(-distance, full, "Typical: closest to the shares of the whole region")
    return tuple(chosen)


def _by_value(heat: Heatmap, region: Region, side: float) -> tuple[FieldChoice, ...]:
    gx, gy = heat.grid.centres()
    known = np.isfinite(heat.values)
    inside = np.zeros(heat.grid.shape, dtype=bool)
    inside[known] = region.contains_points(gx[known], gy[known])
    if not inside.any():
        return ()
    values = np.where(inside, heat.values, np.nan)
    chosen = []
    for pick, title in ((np.nanargmax, "Highest"), (np.nanargmin, "Lowest")):
        row, column = np.unravel_index(int(pick(values)), heat.grid.shape)
        chosen.append(FieldChoice(float(gx[row, column]), float(gy[row, column]), side, f"{title} {heat.name}"))
    return tuple(chosen)


def _by_votes(votes: FieldVotes) -> tuple[FieldChoice, ...]:
    ranked = sorted(votes.fields, key=lambda f: f.score)
    ends = (ranked[-1], ranked[0]) if ranked[-1].score != ranked[0].score else (ranked[-1],)
    return tuple(
        FieldChoice(f.x + f.size / 2, f.y + f.size / 2, f.size, f"Voted {HER2_LABELS[f.score]}") for f in ends
    )
