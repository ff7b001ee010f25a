"""Evidence that arrives part by part, put together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import (
    NOT_SCORED,
    CellTable,
    ClassMap,
    Evidence,
    FieldVotes,
    Grid,
    Heatmap,
    TissueMask,
    concatenated,
)


class EvidenceStore:
    """Collects parts cheaply while a scorer runs; ``merged`` joins them when somebody asks."""

    def __init__(self, evidence: Iterable[Evidence] = ()) -> None:
        self._parts: dict[tuple[str, str], list[Evidence]] = {}
        self.add(evidence)

    def add(self, evidence: Iterable[Evidence]) -> None:
        """Take in more parts. Same kind and same name belong together; later parts lie over earlier ones."""
        for item in evidence:
            self._parts.setdefault((item.kind, item.name), []).append(item)

    def merged(self) -> tuple[Evidence, ...]:
        """One evidence of each kind and name, in the order in which they first came."""
        for key, parts in self._parts.items():
            if len(parts) > 1:
                self._parts[key] = [_joined(parts)]
        return tuple(parts[0] for parts in self._parts.values())


def _joined(parts: list[Evidence]) -> Evidence:
    first = parts[0]
    if isinstance(first, CellTable):
        return concatenated([p for p in parts if isinstance(p, CellTable)])
    if isinstance(first, FieldVotes):
        fields = tuple(f for p in parts if isinstance(p, FieldVotes) for f in p.fields)
        return FieldVotes(first.name, fields)
    if isinstance(first, Heatmap):
        maps = [p for p in parts if isinstance(p, Heatmap)]
        grid = _common_grid([m.grid for m in maps])
        values = np.full(grid.shape, np.nan, dtype=np.float32)
        for m in maps:
            window = values[_window(grid, m.grid)]
            known = ~np.isnan(m.values)
            window[known] = m.values[known]
        low, high = min(m.low for m in maps), max(m.high for m in maps)
        return Heatmap(first.name, grid, values, first.unit, low, high, first.scale)
    if isinstance(first, TissueMask):
        return _joined_masks([p for p in parts if isinstance(p, TissueMask)])
    maps_ = [p for p in parts if isinstance(p, ClassMap)]
    return _joined_class_maps(maps_)


def _joined_masks(masks: list[TissueMask]) -> TissueMask:
    grid = _common_grid([m.grid for m in masks])
    values = np.full(grid.shape, NOT_SCORED, dtype=np.uint8)
    for m in masks:
        window = values[_window(grid, m.grid)]
        looked_at = m.values != NOT_SCORED
        window[looked_at] = m.values[looked_at]
    return TissueMask(masks[0].name, grid, values)


def _joined_class_maps(maps: list[ClassMap]) -> ClassMap:
    first = maps[0]
    grid = _common_grid([m.grid for m in maps])
    classes = np.full(grid.shape, NOT_SCORED, dtype=np.uint8)
    weight = np.zeros(grid.shape, dtype=np.float32)
    probabilities: NDArray[np.float32] | None = None
    if all(m.probabilities is not None for m in maps):
        probabilities = np.zeros((*grid.shape, len(first.scheme.names)), dtype=np.float32)
    for m in maps:
        window = _window(grid, m.grid)
        known = m.classes != NOT_SCORED
        classes[window][known] = m.classes[known]
        weight[window][known] = m.weight[known]
        if probabilities is not None and m.probabilities is not None:
            probabilities[window][known] = m.probabilities[known]
    return ClassMap(first.name, grid, first.scheme, classes, weight, probabilities, first.least_weight)


def _common_grid(grids: list[Grid]) -> Grid:
    """The smallest grid that holds all of them.

    Raises:
        ValueError: steps differ, or the grids do not lie on one lattice.
    """
    step = grids[0].step
    for g in grids:
        shift_x, shift_y = (g.x - grids[0].x) / step, (g.y - grids[0].y) / step
        off = max(abs(shift_x - round(shift_x)), abs(shift_y - round(shift_y)))
        if abs(g.step - step) > 1e-6 * step or off > 1e-3:
            raise ValueError("Maps of different grids cannot be joined.")
    x0, y0 = min(g.x for g in grids), min(g.y for g in grids)
    columns = max(round((g.x - x0) / step) + g.columns for g in grids)
    rows = max(round((g.y - y0) / step) + g.rows for g in grids)
    return Grid(x0, y0, step, columns, rows)


def _window(whole: Grid, part: Grid) -> tuple[slice, slice]:
    row, column = round((part.y - whole.y) / whole.step), round((part.x - whole.x) / whole.step)
    return slice(row, row + part.rows), slice(column, column + part.columns)
