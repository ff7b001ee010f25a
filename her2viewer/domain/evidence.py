"""What a scorer saw, each kind with its own geometry and legend, so that the window can draw it on the tissue.

All coordinates are level-0 pixels of the slide. Arrays are read-only by convention: evidence crosses threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import ClassScheme

NOT_SCORED = 255
"""Code in a class map for a patch that no scorer has looked at, or that holds no tumour."""


@dataclass(frozen=True)
class Grid:
    """Regular grid on the slide; cell (row r, column c) covers a square of ``step`` level-0 px."""

    x: float
    y: float
    step: float
    columns: int
    rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns), the shape of an array on this grid."""
        return (self.rows, self.columns)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of what it covers, level-0 px."""
        return (self.x, self.y, self.x + self.columns * self.step, self.y + self.rows * self.step)

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x and y of all cell centres, level-0 px, each of shape (rows, columns)."""
        xs = self.x + (np.arange(self.columns) + 0.5) * self.step
        ys = self.y + (np.arange(self.rows) + 0.5) * self.step
        gx, gy = np.meshgrid(xs, ys)
        return gx, gy

    def index(self, x: float, y: float) -> tuple[int, int] | None:
        """(row, column) of the cell at a point, or None outside."""
        column = int((x - self.x) // self.step)
        row = int((y - self.y) // self.step)
        return (row, column) if 0 <= row < self.rows and 0 <= column < self.columns else None


@dataclass(frozen=True)
class ClassMap:
    """One class for each patch of a grid."""

    name: str
    grid: Grid
    scheme: ClassScheme
    classes: NDArray[np.uint8]
    """(rows, columns), index into ``scheme.names`` or ``NOT_SCORED``."""
    weight: NDArray[np.float32]
    """(rows, columns), tumour fraction 0 to 1 of the patch: its weight in the shares."""
    probabilities: NDArray[np.float32] | None = None
    """(rows, columns, classes), or None."""
    least_weight: float = 0.0
    """A patch whose weight is no more than this is neither drawn nor counted, although its class is known."""
    kind: Literal["class_map"] = "class_map"

    @property
    def shown(self) -> NDArray[np.bool_]:
        """(rows, columns): the patches that are drawn and counted."""
        known: NDArray[np.bool_] = self.classes != NOT_SCORED
        return known if self.least_weight <= 0 else known & (self.weight > self.least_weight)


@dataclass(frozen=True)
class Heatmap:
    """One number for each patch of a grid; NaN where there is none."""

    name: str
    grid: Grid
    values: NDArray[np.float32]
    """(rows, columns)."""
    unit: str
    low: float
    high: float
    """Values shown in the first and the last colour of the scale."""
    scale: str = "fixed"
    """"fixed" or "percentile": how low and high were chosen; printed in the legend."""
    kind: Literal["heatmap"] = "heatmap"


@dataclass(frozen=True)
class TissueMask:
    """Where a kind of tissue lies, for example the invasive tumour; finer than the patches that are classed."""

    name: str
    grid: Grid
    values: NDArray[np.uint8]
    """(rows, columns): 1 where it lies, 0 where it does not, ``NOT_SCORED`` where nobody has looked."""
    kind: Literal["mask"] = "mask"


@dataclass(frozen=True)
class CellTable:
    """Cells by class; n cells, m contour points in all."""

    name: str
    scheme: ClassScheme
    x: NDArray[np.float32]
    """(n,) centre of the nucleus, level-0 px."""
    y: NDArray[np.float32]
    classes: NDArray[np.uint8]
    """(n,) index into ``scheme.names``."""
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Named columns, each (n,), for example ``membrane_od`` and ``completeness``."""
    feature_units: dict[str, str] = field(default_factory=dict)
    """Unit of each column as printed ("OD", "%", "um2")."""
    contours: NDArray[np.float32] | None = None
    """(m, 2) outlines one after the other, level-0 px, or None."""
    contour_starts: NDArray[np.int64] | None = None
    """(n + 1,) where each cell's outline starts in ``contours``."""
    probabilities: NDArray[np.float32] | None = None
    """(n, classes) or None."""
    scorer_classes: NDArray[np.uint8] | None = None
    """(n,) what the scorer had said where ``classes`` is the reader's word, ``NOT_SCORED`` elsewhere; None where the
    reader said nothing."""
    kind: Literal["cells"] = "cells"

    def __len__(self) -> int:
        return len(self.x)

    def contour(self, index: int) -> NDArray[np.float32]:
        """Outline of one cell, (k, 2) level-0 px; empty where none was kept."""
        if self.contours is None or self.contour_starts is None:
            return np.zeros((0, 2), dtype=np.float32)
        return self.contours[self.contour_starts[index] : self.contour_starts[index + 1]]

    def selected(self, keep: NDArray[np.bool_]) -> CellTable:
        """The cells where ``keep`` (n,) is true."""
        contours, starts = self.contours, self.contour_starts
        if contours is not None and starts is not None:
            contours, starts = _chosen_contours(contours, starts, keep)
        return CellTable(
            name=self.name,
            scheme=self.scheme,
            x=self.x[keep],
            y=self.y[keep],
            classes=self.classes[keep],
            features={k: v[keep] for k, v in self.features.items()},
            feature_units=self.feature_units,
            contours=contours,
            contour_starts=starts,
            probabilities=None if self.probabilities is None else self.probabilities[keep],
            scorer_classes=None if self.scorer_classes is None else self.scorer_classes[keep],
        )


@dataclass(frozen=True)
class FieldVote:
    """Answer of a scorer that looks at whole fields."""

    x: float
    y: float
    size: float
    """Side of the field, level-0 px."""
    score: int
    votes: tuple[int, ...]
    """Score of each vote, most confident first."""
    confidences: tuple[float, ...]


@dataclass(frozen=True)
class FieldVotes:
    """All fields of a region with their votes."""

    name: str
    fields: tuple[FieldVote, ...]
    kind: Literal["fields"] = "fields"


Evidence = ClassMap | Heatmap | TissueMask | CellTable | FieldVotes


def concatenated(tables: list[CellTable]) -> CellTable:
    """One table of all cells of several tables of the same scheme.

    Raises:
        ValueError: the list is empty, or names, schemes or columns differ.
    """
    if not tables:
        raise ValueError("There is no cell table to join.")
    first = tables[0]
    if any(t.scheme != first.scheme or t.features.keys() != first.features.keys() for t in tables):
        raise ValueError("Cell tables of different schemes cannot be joined.")
    with_contours = all(t.contours is not None and t.contour_starts is not None for t in tables)
    contours: NDArray[np.float32] | None = None
    starts: NDArray[np.int64] | None = None
    if with_contours:
        contours = np.concatenate([t.contours for t in tables if t.contours is not None])
        lengths = np.concatenate([np.diff(t.contour_starts) for t in tables if t.contour_starts is not None])
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def joined(column: list[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(column)

    probabilities = [t.probabilities for t in tables if t.probabilities is not None]
    said = any(t.scorer_classes is not None for t in tables)
    return CellTable(
        name=first.name,
        scheme=first.scheme,
        x=joined([t.x for t in tables]),
        y=joined([t.y for t in tables]),
        classes=joined([t.classes for t in tables]),
        features={k: joined([t.features[k] for t in tables]) for k in first.features},
        feature_units=first.feature_units,
        contours=contours,
        contour_starts=starts,
        probabilities=joined(probabilities) if len(probabilities) == len(tables) else None,
        scorer_classes=joined([_of_scorer(t) for t in tables]) if said else None,
    )


def _chosen_contours(
    contours: NDArray[np.float32], starts: NDArray[np.int64], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Outlines of some cells. Outlines are most of a table: where few go they are copied in few pieces."""
    lengths = np.diff(starts)
    kept = np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int64)
    rows = np.flatnonzero(keep)
    if 8 * len(rows) < len(keep):
        begin = starts[:-1][rows]
        return contours[np.repeat(begin - kept[:-1], lengths[rows]) + np.arange(kept[-1])], kept
    gone = np.flatnonzero(~keep)
    if 100 * len(gone) < len(keep):
        edges = [0, *np.stack([starts[gone], starts[gone + 1]], axis=1).ravel().tolist(), int(starts[-1])]
        return np.concatenate([contours[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]), kept
    return contours[np.repeat(keep, lengths)], kept


def _of_scorer(table: CellTable) -> NDArray[np.uint8]:
    known = table.scorer_classes
    return np.full(len(table), NOT_SCORED, dtype=np.uint8) if known is None else known
