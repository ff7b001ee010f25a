"""Tumour cells as points of a plot: membrane OD against completeness. No Qt here; made in worker threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.scoring.cell_maps import inside

MOST_POINTS = 50_000
"""More are drawn as densities."""
MOST_WHILE_GROWING = 4_000
"""The same while a run goes on: points that change every other second must cost the window nothing."""
COLUMNS, ROWS = 220, 160
"""Squares of a density image."""
X_FEATURE, Y_FEATURE = "membrane_od", "completeness"


@dataclass(frozen=True)
class CellPoints:
    """The tumour cells of a region with both measures; n points."""

    table: CellTable
    indices: NDArray[np.int64]
    """(n,) sorted, into the table."""
    x: NDArray[np.float32]
    """(n,) membrane OD."""
    y: NDArray[np.float32]
    """(n,) completeness, %."""
    her2: NDArray[np.int8]
    """(n,) 0 to 3."""
    counts: NDArray[np.int64] | None
    """(4, ROWS, COLUMNS) points of each class in the squares, from the lower left; None for few points."""
    right: float
    """Membrane OD at the right edge: nearly all points lie left of it, the others are drawn on it."""

    def __len__(self) -> int:
        return len(self.indices)

    def squares(self, some: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.int64]:
        """Number of the square of each point, row * COLUMNS + column, (k,)."""
        x, y = self.x[some], self.y[some]
        column = np.clip(x * (COLUMNS / self.right), 0, COLUMNS - 1).astype(np.int64)
        row = np.clip(y * (ROWS / 100), 0, ROWS - 1).astype(np.int64)
        return np.asarray(row * COLUMNS + column, dtype=np.int64)

    def within(self, outline: NDArray[np.float64]) -> NDArray[np.int64]:
        """Cells (indices into the table) whose points an outline in the plot goes around.

        Args:
            outline: (k, 2) membrane OD and completeness; closed by itself.
        """
        import cv2

        if len(outline) < 3 or not len(self):
            return np.zeros(0, dtype=np.int64)
        low, high = outline.min(axis=0), outline.max(axis=0)
        shown = np.minimum(self.x, self.right)
        near = np.flatnonzero((shown >= low[0]) & (shown <= high[0]) & (self.y >= low[1]) & (self.y <= high[1]))
        if not len(near):
            return np.zeros(0, dtype=np.int64)
        # Looked up in a picture of the outline, finer than the screen: a million points take a moment.
        side = 2048
        span = np.maximum(high - low, 1e-9)
        corners = np.round((outline - low) / span * (side - 1) * 16).astype(np.int32)
        picture = np.zeros((side, side), dtype=np.uint8)
        cv2.fillPoly(picture, [corners], 1, lineType=cv2.LINE_8, shift=4)
        column = np.round((shown[near] - low[0]) / span[0] * (side - 1)).astype(np.int64)
        row = np.round((self.y[near] - low[1]) / span[1] * (side - 1)).astype(np.int64)
        return np.asarray(self.indices[near[picture[row, column] > 0]], dtype=np.int64)

    def nearest(self, x: float, y: float, reach: tuple[float, float]) -> int | None:
        """The cell (index into the table) whose point lies nearest to a place in the plot.

        Args:
            x: membrane OD.
            y: completeness, %.
            reach: how far it may lie off in each, in their units.
        """
        if not len(self):
            return None
        distance = ((np.minimum(self.x, self.right) - x) / reach[0]) ** 2 + ((self.y - y) / reach[1]) ** 2
        best = int(np.argmin(distance))
        return int(self.indices[best]) if distance[best] <= 1 else None

    def of(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of the points are those of some cells (sorted indices into the table), (k,)."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.indices, indices), len(self) - 1)
        return np.asarray(at[self.indices[at] == indices], dtype=np.int64)


def points_of(table: CellTable, region: Region, most: int = MOST_POINTS) -> CellPoints | None:
    """Points of the tumour cells of a region; None where the table lacks one of the two measures.

    More than ``most`` are counted in squares.
    """
    if X_FEATURE not in table.features or Y_FEATURE not in table.features:
        return None
    her2 = np.asarray(table.scheme.her2, dtype=np.int8)[table.classes]
    x, y = table.features[X_FEATURE], table.features[Y_FEATURE]
    chosen = np.flatnonzero((her2 >= 0) & np.isfinite(x) & np.isfinite(y) & inside(table, region))
    x, y, her2 = x[chosen], y[chosen], her2[chosen]
    right = float(np.percentile(x, 99.8)) * 1.05 if len(x) else 1.0
    points = CellPoints(table, chosen, x, y, her2, None, max(0.1, right))
    if len(points) <= most:
        return points
    places = her2.astype(np.int64) * (ROWS * COLUMNS) + points.squares()
    counts = np.bincount(places, minlength=4 * ROWS * COLUMNS).reshape(4, ROWS, COLUMNS)
    return CellPoints(table, chosen, x, y, her2, counts, points.right)


def density_picture(counts: NDArray[np.int64], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squares in the mixed colours of their points, the fuller the stronger (logarithm), (ROWS, COLUMNS, 4) RGBA."""
    total = counts.sum(axis=0)
    share = counts / np.maximum(total, 1)
    rgba = np.zeros((*total.shape, 4), dtype=np.uint8)
    rgba[..., :3] = np.tensordot(share, colors.astype(np.float64), axes=(0, 0))
    most = np.log1p(total.max()) if total.any() else 1.0
    rgba[..., 3] = np.where(total > 0, 50 + 205 * np.log1p(total) / most, 0)
    return rgba
